//! Bodies: taking the framing off while reading, and putting our own on while writing (RFC 9112 §6, §7.1).
//!
//! [`BodyReader`] is handed bytes as they come and says which of them are data. It does no I/O and keeps nothing:
//! chunk extensions and trailers are checked, counted and dropped, so nothing of them can reach the other side.

use std::ops::Range;

use super::framing::{BodyLength, is_token_byte};

/// Ends a chunked body that has no trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends the line that begins a chunk of `n` bytes; the caller writes the data and a CRLF behind it. `n` must not
/// be 0, which would end the body.
pub fn write_chunk_size(out: &mut Vec<u8>, n: u64) {
    let digits = (u64::BITS - n.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = u8::try_from((n >> (place * 4)) & 0xf).unwrap_or_default();
        out.push(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
    }
    out.extend_from_slice(b"\r\n");
}

/// What one look at the input gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the input the body's data lies; often empty where only framing was read.
    pub data: Range<usize>,
    /// How many bytes of the input are used up; never less than `data.end`.
    pub consumed: usize,
    /// The body has ended, framing and all.
    pub is_done: bool,
}

/// Why a body is refused. After one of these nothing on the connection can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Chunk framing that is not exactly by the book; the words say what.
    Chunk(&'static str),
    /// A trailer that is no field line.
    Trailer(&'static str),
    /// Trailers of more than 8 KiB or 100 lines.
    TrailersTooLarge,
    /// The connection ended before the body did.
    Incomplete,
}

impl BodyError {
    /// What is wrong, in plain words.
    pub fn reason(&self) -> &'static str {
        match self {
            BodyError::Chunk(reason) | BodyError::Trailer(reason) => reason,
            BodyError::TrailersTooLarge => "trailers too large",
            BodyError::Incomplete => "connection ended within the body",
        }
    }
}

/// Takes the framing off one body, however its bytes are split.
#[derive(Clone, Debug)]
pub struct BodyReader {
    state: State,
    /// Bytes of data still to come, of the body or of this chunk; the number itself while it is being read.
    left: u64,
    /// Digits or extension bytes of this chunk's line, or bytes of trailers, so far.
    count: usize,
    /// Trailer lines so far.
    lines: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Exact,
    UntilClose,
    Size,
    ExtensionBlank,
    Extension,
    ExtensionQuoted,
    ExtensionEscape,
    SizeEnd,
    Data,
    DataEnd,
    DataEndLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    Done,
    Failed(BodyError),
}

impl BodyReader {
    /// A reader for a body of that length.
    pub fn new(length: BodyLength) -> BodyReader {
        let (state, left) = match length {
            BodyLength::None | BodyLength::Exact(0) => (State::Done, 0),
            BodyLength::Exact(length) => (State::Exact, length),
            BodyLength::Chunked => (State::Size, 0),
            BodyLength::UntilClose => (State::UntilClose, 0),
        };
        BodyReader { state, left, count: 0, lines: 0 }
    }

    /// Looks at the next bytes of the connection. Stops behind the first stretch of data, so call it again with the
    /// rest until the input is used up or `is_done`; takes nothing after the end. An error stays.
    pub fn read(&mut self, input: &[u8]) -> Result<Piece, BodyError> {
        let mut at = 0;
        while let Some(byte) = input.get(at) {
            match self.state {
                State::Done => break,
                State::Failed(error) => return Err(error),
                State::UntilClose => return Ok(self.piece(at..input.len())),
                State::Exact | State::Data => {
                    let rest = input.len().saturating_sub(at);
                    let taken = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                    return Ok(self.take(at..at.saturating_add(taken)));
                }
                _ => self.state = self.step(*byte).inspect_err(|error| self.state = State::Failed(*error))?,
            }
            at = at.saturating_add(1);
        }
        if let State::Failed(error) = self.state { Err(error) } else { Ok(self.piece(at..at)) }
    }

    /// Is it right that the connection ends here?
    pub fn at_eof(&self) -> Result<(), BodyError> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(BodyError::Incomplete),
        }
    }

    /// Bytes that the framing has promised and that are still to come: of the body, or of the chunk that has begun.
    pub fn promised(&self) -> u64 {
        if matches!(self.state, State::Exact | State::Data) { self.left } else { 0 }
    }

    /// Has the body ended? Never true of one that lasts until the connection closes.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn piece(&self, data: Range<usize>) -> Piece {
        Piece { consumed: data.end, data, is_done: self.is_done() }
    }

    fn take(&mut self, data: Range<usize>) -> Piece {
        self.left = self.left.saturating_sub(data.len() as u64);
        self.state = match (self.left, self.state) {
            (0, State::Exact) => State::Done,
            (0, _) => State::DataEnd,
            (_, state) => state,
        };
        self.piece(data)
    }

    /// One byte of chunk framing.
    fn step(&mut self, byte: u8) -> Result<State, BodyError> {
        match (self.state, byte) {
            (State::Size, _) => self.size(byte),
            (State::ExtensionBlank | State::Extension | State::ExtensionQuoted | State::ExtensionEscape, _) => {
                self.extension(byte)
            }
            (State::SizeEnd, b'\n') if self.left == 0 => {
                self.count = 0;
                Ok(State::TrailerStart)
            }
            (State::SizeEnd, b'\n') => Ok(State::Data),
            (State::DataEnd, b'\r') => Ok(State::DataEndLf),
            (State::DataEndLf, b'\n') => {
                (self.left, self.count) = (0, 0);
                Ok(State::Size)
            }
            (State::SizeEnd, _) => Err(BodyError::Chunk("chunk size line does not end in CRLF")),
            (State::DataEnd | State::DataEndLf, _) => Err(BodyError::Chunk("chunk data does not end in CRLF")),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::LastLf, _) => Err(BodyError::Trailer("trailers do not end in CRLF")),
            _ => self.trailer(byte),
        }
    }

    fn size(&mut self, byte: u8) -> Result<State, BodyError> {
        match (char::from(byte).to_digit(16), byte) {
            (Some(_), _) if self.count == MAX_SIZE_DIGITS => {
                Err(BodyError::Chunk("chunk size has more than 16 digits"))
            }
            (Some(digit), _) => {
                self.count = self.count.saturating_add(1);
                self.left = (self.left << 4) | u64::from(digit);
                Ok(State::Size)
            }
            _ if self.count == 0 => Err(BodyError::Chunk("chunk size is not hexadecimal")),
            // Larger is an overflow in the making, at the peer or in whoever adds sizes up.
            _ if self.left > MAX_CHUNK => Err(BodyError::Chunk("chunk size is out of range")),
            (None, b'\r') => Ok(State::SizeEnd),
            (None, b';' | b' ' | b'\t') => {
                self.count = 0;
                self.extension(byte)
            }
            _ => Err(BodyError::Chunk("chunk size is not hexadecimal")),
        }
    }

    /// RFC 9112 §7.1.1, loosely: names and values are not told apart, but quotes must close. Blanks before the first
    /// `;` are bad but must be read.
    fn extension(&mut self, byte: u8) -> Result<State, BodyError> {
        self.count = self.count.saturating_add(1);
        match (self.state, byte) {
            (State::Extension, b'\r') => Ok(State::SizeEnd),
            _ if self.count > MAX_EXTENSION => Err(BodyError::Chunk("chunk extension is too long")),
            (State::Size | State::ExtensionBlank, b' ' | b'\t') => Ok(State::ExtensionBlank),
            (State::Size | State::ExtensionBlank, b';') => Ok(State::Extension),
            (State::Size | State::ExtensionBlank, _) => Err(BodyError::Chunk("blank behind the chunk size")),
            (_, _) if !is_text(byte) => Err(BodyError::Chunk("control byte in a chunk extension")),
            (State::ExtensionQuoted, b'\\') => Ok(State::ExtensionEscape),
            (State::ExtensionQuoted, b'"') => Ok(State::Extension),
            (State::ExtensionQuoted | State::ExtensionEscape, _) => Ok(State::ExtensionQuoted),
            (_, b'"') => Ok(State::ExtensionQuoted),
            _ => Ok(State::Extension),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<State, BodyError> {
        self.count = self.count.saturating_add(1);
        if self.count > MAX_TRAILERS {
            return Err(BodyError::TrailersTooLarge);
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerStart, _) if self.lines == MAX_TRAILER_LINES => Err(BodyError::TrailersTooLarge),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerValue, _) if is_text(byte) => Ok(State::TrailerValue),
            (State::TrailerEnd, b'\n') => {
                self.lines = self.lines.saturating_add(1);
                Ok(State::TrailerStart)
            }
            (State::TrailerValue, _) => Err(BodyError::Trailer("control byte in a trailer")),
            (State::TrailerEnd, _) => Err(BodyError::Trailer("trailer line does not end in CRLF")),
            _ => Err(BodyError::Trailer("invalid trailer name")),
        }
    }
}

/// What may stand in a field value: visible text, blanks, and bytes of unknown charsets (RFC 9110 §5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

const MAX_SIZE_DIGITS: usize = 16;
const MAX_CHUNK: u64 = i64::MAX as u64;
const MAX_EXTENSION: usize = 256;
const MAX_TRAILERS: usize = 8 << 10;
const MAX_TRAILER_LINES: usize = 100;

#[cfg(test)]
#[path = "tests_body.rs"]
mod tests;
