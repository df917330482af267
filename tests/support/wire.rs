//! Bytes to messages and back for both ends: heads read strictly by RFC 9112, bodies by their framing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::{ClientConnection, ServerConnection, StreamOwned};

use super::LIMIT;

/// A socket with bounded reads and writes that several may hold, and that really closes when the last lets go.
#[derive(Clone)]
pub struct Socket(pub Arc<TcpStream>);

/// What carries bytes both ways: a socket, or TLS on one.
pub trait Stream: Read + Write + Send {
    /// Says goodbye if the protocol has a word for it.
    fn end(&mut self) {}
}

/// A connection with the bytes that were read beyond the last message.
pub struct Wire {
    stream: Box<dyn Stream>,
    socket: Socket,
    buffer: Vec<u8>,
}

/// What a head says of the body after it (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Exact(u64),
    /// A chunk's size line comes next.
    Chunked,
    /// That many bytes of a chunk are missing, then its line's end.
    InChunk(u64),
    UntilClose,
    Done,
}

/// Field lines in order, with values trimmed.
pub type Fields = Vec<(String, String)>;

impl Socket {
    pub fn new(socket: TcpStream) -> io::Result<Socket> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_write_timeout(Some(LIMIT))?;
        Ok(Socket(Arc::new(socket)))
    }
}

impl Read for Socket {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(out)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Socket {}

impl Stream for StreamOwned<ServerConnection, Socket> {
    fn end(&mut self) {
        self.conn.send_close_notify();
        _ = self.flush();
    }
}

impl Stream for StreamOwned<ClientConnection, Socket> {
    fn end(&mut self) {
        self.conn.send_close_notify();
        _ = self.flush();
    }
}

impl Wire {
    pub fn new(stream: Box<dyn Stream>, socket: Socket) -> Wire {
        Wire { stream, socket, buffer: Vec::new() }
    }

    /// Ends our direction in order; what the other side still sends can be read.
    pub fn finish(&mut self) {
        self.stream.end();
        _ = self.socket.0.shutdown(Shutdown::Write);
    }

    /// Ends in order, then reads to the other side's end, so that no unread byte turns the end into a reset.
    pub fn close(mut self) {
        self.finish();
        while self.fill().is_ok_and(|has_more| has_more) {
            self.buffer.clear();
        }
    }

    /// Ends both directions at once, without TLS's closing alert.
    pub fn cut(self) {
        _ = self.socket.0.shutdown(Shutdown::Both);
    }

    /// Ends by a reset (RST).
    pub fn reset(self) {
        _ = socket2::SockRef::from(&*self.socket.0).set_linger(Some(std::time::Duration::ZERO));
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads more into the buffer; false at a clean end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        let read = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..read]);
        Ok(read > 0)
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.buffer.drain(..len).collect()
    }

    /// All bytes up to and with `mark`; `None` if the connection ends cleanly before their first byte.
    fn until(&mut self, mark: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Ok(Some(self.take(at + mark.len())));
            }
            if !self.fill()? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(cut("within a head or a line")) };
            }
        }
    }

    /// A message's head with its empty line; `None` at a clean end.
    pub fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.until(b"\r\n\r\n")
    }

    /// A whole body, to its proven end.
    pub fn body(&mut self, framing: &mut Framing) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(framing)? {
            body.extend(piece);
        }
        Ok(body)
    }

    /// The next piece of a body as it arrives; `None` once the framing has proven it whole. An early end is an error.
    pub fn piece(&mut self, framing: &mut Framing) -> io::Result<Option<Vec<u8>>> {
        match framing {
            Framing::Done | Framing::Exact(0) => {
                *framing = Framing::Done;
                Ok(None)
            }
            Framing::Exact(left) | Framing::InChunk(left @ 1..) => {
                if self.buffer.is_empty() && !self.fill()? {
                    return Err(cut(&format!("{left} bytes before the end of the body")));
                }
                let len = self.buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= len as u64;
                Ok(Some(self.take(len)))
            }
            Framing::UntilClose => {
                if self.buffer.is_empty() && !self.fill()? {
                    *framing = Framing::Done;
                    return Ok(None);
                }
                Ok(Some(self.take(self.buffer.len())))
            }
            Framing::Chunked => match self.chunk_size()? {
                0 => {
                    while self.line("within the trailers")? != b"\r\n" {}
                    *framing = Framing::Done;
                    Ok(None)
                }
                size => {
                    *framing = Framing::InChunk(size);
                    self.piece(framing)
                }
            },
            Framing::InChunk(0) => match self.line("at a chunk's end")?.as_slice() {
                b"\r\n" => {
                    *framing = Framing::Chunked;
                    self.piece(framing)
                }
                _ => Err(invalid("a chunk longer than its size")),
            },
        }
    }

    fn line(&mut self, place: &str) -> io::Result<Vec<u8>> {
        self.until(b"\r\n")?.ok_or_else(|| cut(place))
    }

    fn chunk_size(&mut self) -> io::Result<u64> {
        let line = self.line("before a chunk's size")?;
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let digits = line.split(';').next().unwrap_or_default();
        let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        size.ok_or_else(|| invalid(&format!("chunk size {line:?}")))
    }

    /// Waits for the other side to end the connection: true if it does so without a further byte.
    pub fn is_ended(&mut self) -> io::Result<bool> {
        if !self.buffer.is_empty() {
            return Ok(false);
        }
        match self.fill() {
            Ok(has_more) => Ok(!has_more),
            // A reset, or TLS without its closing alert, ends it as well.
            Err(error) if is_end(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe)
}

/// Splits a head into its first line and its fields; refuses what RFC 9112 section 5 does not allow.
pub fn parse_head(head: &[u8]) -> io::Result<(String, Fields)> {
    let text: String = head.iter().map(|&byte| char::from(byte)).collect();
    let text = text.strip_suffix("\r\n\r\n").ok_or_else(|| invalid("a head without its end"))?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let mut fields = Fields::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid(&format!("field line {line:?}")))?;
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(invalid(&format!("field name {name:?}")));
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    match text.contains(['\0', '\x7f']) || text.replace("\r\n", "").contains(['\r', '\n']) {
        true => Err(invalid("a control byte in a head")),
        false => Ok((first, fields)),
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The body length that fields declare; `None` if they say nothing. Refuses contradictions.
pub fn declared_framing(fields: &Fields) -> io::Result<Option<Framing>> {
    let (lengths, codings) = (fields_named(fields, "content-length"), fields_named(fields, "transfer-encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(None),
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().map(|length| Some(Framing::Exact(length))).map_err(|_| invalid("Content-Length too large"))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
        (lengths, codings) => Err(invalid(&format!("Content-Length {lengths:?} with Transfer-Encoding {codings:?}"))),
    }
}

/// The first field of that name.
pub fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// All fields of that name, in order.
pub fn fields_named<'a>(fields: &'a Fields, name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}

pub fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("invalid message: {what}"))
}

fn cut(place: &str) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, format!("the connection ended {place}"))
}
