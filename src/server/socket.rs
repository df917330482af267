//! One client's socket, plain or TLS: reads, vectored writes and file ranges that never block.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use rustls::ServerConnection;

use super::listener::worker_slot;
use crate::tls::refusal_alert;

/// A non-blocking connection to a client.
pub struct Socket {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    is_paced: bool,
    /// The handshake took all that the socket had; the first read of a request learns it from here.
    is_drained: bool,
    /// What is written now is the last.
    is_ending: bool,
    /// The worker's epoll, to be told when room to write is waited for.
    registry: Arc<Registry>,
    is_write_watched: bool,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes; `true` where the socket is drained, so that another read would only find nothing.
    Bytes(usize, bool),
    /// Nothing now.
    WouldBlock,
    /// The client has closed its side.
    End,
}

impl Socket {
    /// A socket that speaks TLS first where `tls` is given.
    pub fn new(
        stream: TcpStream,
        tls: Option<Arc<rustls::ServerConfig>>,
        registry: Arc<Registry>,
    ) -> Result<Socket, rustls::Error> {
        let tls = match tls {
            Some(config) => Some(Box::new(ServerConnection::new(config)?)),
            None => None,
        };
        Ok(Socket {
            stream,
            tls,
            is_paced: false,
            is_drained: false,
            is_ending: false,
            registry,
            is_write_watched: false,
        })
    }

    /// One step of the TLS handshake, to be called again when the socket is readable, or at once where it is not drained.
    ///
    /// # Errors
    /// A TLS or socket error; the alert has been tried to be sent.
    pub fn handshake(&mut self) -> io::Result<Fill> {
        let Some(tls) = self.tls.as_mut() else { return Ok(Fill::Bytes(0, false)) };
        let mut fill = Fill::WouldBlock;
        let mut watched = Watched { stream: &mut self.stream, is_drained: false };
        match tls.read_tls(&mut watched) {
            Ok(0) => return Ok(Fill::End),
            Ok(n) => fill = Fill::Bytes(n, watched.is_drained),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        match tls.process_new_packets() {
            Ok(state) => self.is_drained = matches!(fill, Fill::Bytes(_, true)) && !state.peer_has_closed(),
            Err(error) => {
                match refusal_alert(&error) {
                    // rustls would say access_denied for a name that nobody here bears.
                    Some(alert) => drop(self.stream.write(&alert)),
                    None => drop(tls.write_tls(&mut self.stream)),
                }
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        // What is left to say when all is agreed are tickets for later: they share a packet with the first answer.
        let is_agreed = !tls.is_handshaking() && tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        if !is_agreed {
            self.flush()?;
        }
        Ok(fill)
    }

    /// True while the handshake goes on.
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// The name in the client's hello.
    pub fn server_name(&self) -> Option<&str> {
        self.tls.as_ref().and_then(|tls| tls.server_name())
    }

    /// Reads application bytes.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Fill> {
        let Some(tls) = self.tls.as_mut() else {
            let room = buffer.len();
            return match rustix::net::recv(&self.stream, buffer, RecvFlags::empty()) {
                Ok((0, _)) => Ok(Fill::End),
                Ok((n, _)) => Ok(Fill::Bytes(n, n < room)),
                Err(Errno::AGAIN) => Ok(Fill::WouldBlock),
                Err(Errno::INTR) => Ok(Fill::Bytes(0, false)),
                Err(error) => Err(error.into()),
            };
        };
        let mut is_drained = std::mem::take(&mut self.is_drained);
        loop {
            match tls.reader().read(buffer) {
                Ok(0) => return Ok(Fill::End),
                Ok(n) => return Ok(Fill::Bytes(n, is_drained && n < buffer.len())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Fill::End),
                Err(error) => return Err(error),
            }
            let mut watched = Watched { stream: &mut self.stream, is_drained: false };
            match tls.read_tls(&mut watched) {
                Ok(0) => return Ok(Fill::End),
                Ok(_) => is_drained = watched.is_drained,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Fill::WouldBlock),
                Err(error) => return Err(error),
            }
            match tls.process_new_packets() {
                // The end has been said: it is there to be read though the socket has no more.
                Ok(state) => is_drained &= !state.peer_has_closed(),
                Err(error) => {
                    let _ = tls.write_tls(&mut self.stream);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        }
    }

    /// Takes as much of `bytes` as fits; `Ok(None)` when nothing fits now.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        if self.tls.is_some() {
            return self.encrypt(&[IoSlice::new(bytes)]);
        }
        let sent = would_block(self.outlet().write(bytes))?;
        self.watched(sent)
    }

    /// The same of a head and what follows it. Small ones are joined in `room`: one copy costs less than to have the system
    /// gather them.
    pub fn write_both(&mut self, head: &[u8], rest: &[u8], room: &mut [u8]) -> io::Result<Option<usize>> {
        if self.tls.is_some() {
            return self.encrypt(&[IoSlice::new(head), IoSlice::new(rest)]);
        }
        if let Some(bytes) = joined(head, rest, room) {
            return self.write(bytes);
        }
        let sent = would_block(self.outlet().write_vectored(&[IoSlice::new(head), IoSlice::new(rest)]))?;
        self.watched(sent)
    }

    /// What is written from now on is the last, and the connection ends behind it. The end then shares its packet: the
    /// client has one to take in, where it had two, or with TLS three.
    pub fn begin_last(&mut self) {
        self.is_ending = true;
    }

    fn encrypt(&mut self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        let all: usize = parts.iter().map(|part| part.len()).sum();
        loop {
            let Some(tls) = self.tls.as_mut() else { return Ok(Some(0)) };
            let taken = tls.writer().write_vectored(parts)?;
            if self.is_ending && taken == all {
                tls.send_close_notify();
            }
            let has_room = self.flush()?;
            if taken > 0 || parts.iter().all(|part| part.is_empty()) {
                return Ok(Some(taken));
            }
            // TLS was full, and only a socket that is full too will say when there is room again.
            if !has_room {
                return Ok(None);
            }
        }
    }

    /// Takes as much of `head` as fits, where the file that follows at once is to share its first packet. With a large file
    /// that is a tenth cheaper, with a small one dearer.
    pub fn write_before_file(&mut self, head: &[u8]) -> io::Result<Option<usize>> {
        if self.tls.is_some() {
            return self.write(head);
        }
        let sent = would_block(Outlet { stream: &self.stream, has_more: true }.write(head))?;
        self.watched(sent)
    }

    fn outlet(&self) -> Outlet<'_> {
        Outlet { stream: &self.stream, has_more: self.is_ending }
    }

    /// The system sends from a file by itself: nothing is encrypted, nothing copied.
    pub fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Sends a part of a file, through `scratch` where it must be encrypted; `Ok(None)` when nothing fits now.
    pub fn send_file(&mut self, file: &File, offset: u64, len: u64, scratch: &mut [u8]) -> io::Result<Option<usize>> {
        if self.tls.is_none() {
            let count = usize::try_from(len).unwrap_or(usize::MAX).min(SEND_FILE);
            let mut from = offset;
            let sent = rustix::io::retry_on_intr(|| rustix::fs::sendfile(&self.stream, file, Some(&mut from), count));
            let sent = no_end(would_block(sent.map_err(io::Error::from))?)?;
            return self.watched(sent);
        }
        if !self.flush()? {
            return Ok(None);
        }
        let count = usize::try_from(len).unwrap_or(usize::MAX).min(scratch.len());
        let read = file.read_at(scratch.get_mut(..count).unwrap_or_default(), offset)?;
        let read = no_end(Some(read))?.unwrap_or(0);
        self.write(scratch.get(..read).unwrap_or_default())
    }

    /// Hands what TLS still holds to the socket; true when nothing is left.
    pub fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = self.tls.as_mut() else { return Ok(true) };
        let mut outlet = Outlet { stream: &self.stream, has_more: self.is_ending };
        while tls.wants_write() {
            match tls.write_tls(&mut outlet) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.watch_writes()?;
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Asks to be woken when there is room again, where `written` says that there is none.
    fn watched(&mut self, written: Option<usize>) -> io::Result<Option<usize>> {
        if written.is_none() {
            self.watch_writes()?;
        }
        Ok(written)
    }

    /// From now on the worker is woken for room to write too; the first such event comes even if there is room by now.
    fn watch_writes(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_write_watched, true) {
            return Ok(());
        }
        let token = Token(worker_slot(&self.stream));
        self.registry.reregister(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Keeps the kernel from queueing more than a little of a large body: slow readers then cost little memory, and
    /// `sendfile` runs at its best.
    pub fn pace(&mut self) {
        if !std::mem::replace(&mut self.is_paced, true) {
            let _ = socket2::SockRef::from(&self.stream).set_tcp_notsent_lowat(NOT_SENT);
        }
    }

    /// Says that nothing more will be sent: close_notify where TLS, then FIN.
    pub fn end(&mut self) {
        self.say_end();
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// For a plain close right after: sends close_notify, and what waits for the end to share its packet. That must be out
    /// when the socket closes, for it may find there what nobody has read, and then drop what it holds.
    pub fn notify_close(&mut self) {
        self.say_end();
        if self.is_ending {
            let _ = self.stream.shutdown(std::net::Shutdown::Write);
        }
    }

    fn say_end(&mut self) {
        if let Some(tls) = self.tls.as_mut() {
            tls.send_close_notify();
            let _ = self.flush();
        }
    }

    /// Has the close that follows reset the connection, so that a cut body cannot look whole.
    pub fn reset(&mut self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO));
    }
}

/// Where bytes go out: one call of the system for each piece, without what the C library adds to end threads in it, which is
/// felt with every hit.
struct Outlet<'a> {
    stream: &'a TcpStream,
    /// What follows at once, bytes or the end, is to share the last packet.
    has_more: bool,
}

impl Outlet<'_> {
    fn flags(&self) -> SendFlags {
        if self.has_more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL }
    }
}

impl Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.stream, bytes, self.flags())?)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::net::sendmsg(self.stream, parts, &mut SendAncillaryBuffer::default(), self.flags())?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sees whether the last read left nothing in the socket.
struct Watched<'a> {
    stream: &'a mut TcpStream,
    is_drained: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        self.is_drained = n < buffer.len();
        Ok(n)
    }
}

/// Both in one piece, where they are small.
fn joined<'s>(head: &[u8], rest: &[u8], room: &'s mut [u8]) -> Option<&'s [u8]> {
    let len = head.len().checked_add(rest.len()).filter(|len| *len <= SMALL)?;
    let (first, second) = room.get_mut(..len)?.split_at_mut_checked(head.len())?;
    first.copy_from_slice(head);
    second.copy_from_slice(rest);
    room.get(..len)
}

fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Some(0)),
        Err(error) => Err(error),
    }
}

/// A file that ends before its range is a fault of ours: better a cut answer than a loop.
fn no_end(sent: Option<usize>) -> io::Result<Option<usize>> {
    match sent {
        Some(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        other => Ok(other),
    }
}

/// A turn of what is not copied.
const SEND_FILE: usize = super::session::TURN_BYTES * super::session::UNCOPIED;
/// A head and a small body.
const SMALL: usize = 2 << 10;
const NOT_SENT: u32 = 32 << 10;
