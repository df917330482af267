//! One live connection to an origin: plain or TLS, non-blocking, every wait with a deadline.
//!
//! Tells apart all ways in which a stream ends (a clean end, a cut one, a reset), because a body without length is
//! complete after a clean end alone. Refuses to know of HTTP and of where the connection came from.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion};

use super::buffer::Buffer;
use super::connector::{wait_either, wait_readable};
use super::records::Records;
use super::slots::Slot;
use crate::tls::CertificateFacts;

/// How a connection failed us.
#[derive(Debug)]
pub enum WireFailure {
    /// The deadline passed.
    Timeout,
    /// The origin ended the stream where more had to come.
    Closed,
    /// The origin reset the connection, or the network did.
    Reset,
    /// A TLS stream ended without close_notify: an attacker can do that too (RFC 8446 §6.1).
    Truncated,
    /// TLS said no.
    Tls(rustls::Error),
    /// The origin answered the TLS handshake in plain HTTP.
    PlainHttp,
    /// The system refused, and not because of the origin.
    System(io::Error),
}

/// A connected stream and the bytes read ahead from it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
    /// The address it leads to.
    pub address: SocketAddr,
    /// Bytes that came and are not used yet.
    pub input: Buffer,
    /// It served an exchange before this one.
    pub is_reused: bool,
    /// Bytes of HTTP received in this exchange.
    pub received: u64,
    /// A read or a write failed. The kernel tells of a reset once and then pretends a clean end.
    is_cut: bool,
    /// Its place among the connections to the address, where their number is limited.
    pub slot: Option<Slot>,
}

#[derive(Debug)]
struct Tls {
    session: ClientConnection,
    /// Where we are in the origin's records, to see a half one behind a body.
    records: Records,
}

impl Connection {
    /// A plain connection over a connected, non-blocking stream.
    pub fn plain(stream: TcpStream, address: SocketAddr) -> Connection {
        Connection {
            stream,
            tls: None,
            address,
            input: Buffer::default(),
            is_reused: false,
            received: 0,
            is_cut: false,
            slot: None,
        }
    }

    /// The TLS handshake over a connected, non-blocking stream. `name` is the SNI and the expected name at once.
    pub fn secure(
        stream: TcpStream,
        address: SocketAddr,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        deadline: Instant,
    ) -> Result<Connection, WireFailure> {
        let session = ClientConnection::new(config, name).map_err(WireFailure::Tls)?;
        let tls = Tls { session, records: Records::default() };
        let mut connection = Connection::plain(stream, address);
        connection.tls = Some(Box::new(tls));
        connection.shake_hands(deadline)?;
        Ok(connection)
    }

    /// Reads into `out`, waiting until `deadline`. `Ok(0)` is a clean end: FIN on a plain connection, close_notify on
    /// TLS.
    pub fn read(&mut self, out: &mut [u8], deadline: Instant) -> Result<usize, WireFailure> {
        loop {
            match self.try_read(out)? {
                Some(count) => return Ok(count),
                None => self.wait(deadline)?,
            }
        }
    }

    /// Reads without waiting; `None`: nothing has come.
    pub fn try_read(&mut self, out: &mut [u8]) -> Result<Option<usize>, WireFailure> {
        let read = match &mut self.tls {
            None => soft(self.stream.read(out)),
            Some(tls) => tls.try_read(&self.stream, out),
        };
        self.is_cut |= read.is_err();
        let count = read?;
        if count == Some(0) && self.is_cut && self.tls.is_none() {
            return Err(WireFailure::Reset);
        }
        let bytes = count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        self.received = self.received.saturating_add(bytes);
        Ok(count)
    }

    /// Reads ahead into [`Connection::input`], waiting until `deadline`. `Ok(0)` is a clean end.
    pub fn fill(&mut self, deadline: Instant) -> Result<usize, WireFailure> {
        loop {
            match self.try_fill()? {
                Some(count) => return Ok(count),
                None => self.wait(deadline)?,
            }
        }
    }

    /// The same where most likely nothing has come yet: waits first, which spares a read in vain.
    pub fn await_fill(&mut self, deadline: Instant) -> Result<usize, WireFailure> {
        // What rustls has decrypted already is not seen by waiting for the socket.
        let is_dry = self.tls.as_mut().is_none_or(|tls| tls.session.reader().fill_buf().is_err());
        if is_dry {
            self.wait(deadline)?;
        }
        self.fill(deadline)
    }

    /// The same without waiting.
    pub fn try_fill(&mut self) -> Result<Option<usize>, WireFailure> {
        let mut input = std::mem::take(&mut self.input);
        let read = self.try_read(input.room());
        input.filled(read.as_ref().ok().copied().flatten().unwrap_or(0));
        self.input = input;
        read
    }

    /// Writes what the connection takes without waiting; 0 means that it takes nothing now.
    pub fn try_write(&mut self, data: &[u8]) -> Result<usize, WireFailure> {
        let written = match &mut self.tls {
            None => soft((&self.stream).write(data)).map(|count| count.unwrap_or(0)),
            Some(tls) => tls.try_write(&self.stream, data),
        };
        self.is_cut |= written.is_err();
        written
    }

    /// Waits until something can be read, or written where bytes of TLS are still to go out.
    pub fn wait(&mut self, deadline: Instant) -> Result<(), WireFailure> {
        let wants_write = self.tls.as_ref().is_some_and(|tls| tls.session.wants_write());
        let wait = if wants_write { wait_either } else { wait_readable };
        judge_wait(wait(&self.stream, deadline))
    }

    /// Waits until something can be written, or read: the origin may answer before it has taken everything.
    pub fn wait_to_write(&mut self, deadline: Instant) -> Result<(), WireFailure> {
        judge_wait(wait_either(&self.stream, deadline))
    }

    /// True where nothing lies behind the last byte used, so that a next exchange starts on clean ground.
    pub fn is_at_rest(&mut self) -> bool {
        self.input.is_empty() && self.tls.as_mut().is_none_or(|tls| tls.is_at_rest())
    }

    /// True where an idle connection can serve again: neither closed nor holding bytes that nobody asked for. Session
    /// tickets and key updates of TLS are fine.
    pub fn is_alive(&mut self) -> bool {
        if self.tls.is_none() {
            return matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        }
        matches!(self.try_read(&mut [0]), Ok(None)) && self.is_at_rest()
    }

    /// The negotiated version, for example `TLSv1.3`; `None` on a plain connection.
    pub fn tls_version(&self) -> Option<&'static str> {
        match self.tls.as_ref()?.session.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    /// What the server has shown in the handshake of this connection, if that was a whole one: one that resumes an earlier
    /// session shows nothing new.
    pub fn shown(&self) -> Option<CertificateFacts> {
        let session = &self.tls.as_ref()?.session;
        let is_whole = session.handshake_kind().is_some_and(|kind| kind != HandshakeKind::Resumed);
        CertificateFacts::read(session.peer_certificates().filter(|_| is_whole)?.first()?)
    }

    /// True where the connection is protected by TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    fn shake_hands(&mut self, deadline: Instant) -> Result<(), WireFailure> {
        loop {
            let Some(tls) = &mut self.tls else { return Ok(()) };
            tls.send(&self.stream)?;
            if !tls.session.is_handshaking() {
                return Ok(());
            }
            match tls.receive(&self.stream)? {
                Some(0) => return Err(WireFailure::Closed),
                Some(_) => {}
                None => self.wait(deadline)?,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            // A last courtesy; an origin that does not take it loses nothing.
            tls.session.send_close_notify();
            let _ = tls.send(&self.stream);
        }
    }
}

impl Tls {
    fn try_read(&mut self, stream: &TcpStream, out: &mut [u8]) -> Result<Option<usize>, WireFailure> {
        loop {
            match self.session.reader().read(out) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(WireFailure::Truncated),
                // The only other answer of rustls: no plaintext yet.
                Err(_) => {}
            }
            // An origin that takes nothing any more may still have answered.
            let _ = self.send(stream);
            if self.receive(stream)?.is_none() {
                return Ok(None);
            }
        }
    }

    fn try_write(&mut self, stream: &TcpStream, data: &[u8]) -> Result<usize, WireFailure> {
        self.send(stream)?;
        if self.session.wants_write() {
            return Ok(0);
        }
        let taken = self.session.writer().write(data).map_err(WireFailure::System)?;
        self.send(stream)?;
        Ok(taken)
    }

    /// Sends pending records, as far as the socket takes them.
    fn send(&mut self, mut stream: &TcpStream) -> Result<(), WireFailure> {
        while self.session.wants_write() {
            match soft(self.session.write_tls(&mut stream))? {
                Some(0) => return Err(WireFailure::Closed),
                Some(_) => {}
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes in what the socket holds; `Some(0)`: its end. `None`: nothing has come.
    fn receive(&mut self, stream: &TcpStream) -> Result<Option<usize>, WireFailure> {
        let mut source = Tracked { stream, records: &mut self.records };
        let count = soft(self.session.read_tls(&mut source))?;
        if count.is_none() {
            return Ok(None);
        }
        if let Err(error) = self.session.process_new_packets() {
            // The alert that tells the origin why goes out if the socket takes it.
            let _ = self.send(stream);
            let is_plain = self.records.opening() == b"HTTP/";
            return Err(if is_plain { WireFailure::PlainHttp } else { WireFailure::Tls(error) });
        }
        Ok(count)
    }

    fn is_at_rest(&mut self) -> bool {
        let has_nothing = matches!(self.session.reader().read(&mut [0]),
            Err(error) if error.kind() == ErrorKind::WouldBlock);
        has_nothing && self.records.is_between()
    }
}

/// Reads from the socket and follows the record boundaries.
struct Tracked<'a> {
    stream: &'a TcpStream,
    records: &'a mut Records,
}

impl Read for Tracked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(out)?;
        self.records.feed(out.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Would-block is `None`; the rest is a failure of a known kind.
fn soft(done: io::Result<usize>) -> Result<Option<usize>, WireFailure> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(None),
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Err(WireFailure::Reset)
            }
            // The kernel gave up on an origin that acknowledges nothing.
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Err(WireFailure::Timeout)
            }
            _ => Err(WireFailure::System(error)),
        },
    }
}

fn judge_wait(woken: io::Result<bool>) -> Result<(), WireFailure> {
    match woken {
        Ok(true) => Ok(()),
        Ok(false) => Err(WireFailure::Timeout),
        Err(error) => Err(WireFailure::System(error)),
    }
}
