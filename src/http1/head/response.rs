//! Heads of responses, as origins send them (RFC 9112 §4, §5).
//!
//! Owned, because a response outlives the buffer it was read into. Interim responses are heads like any other here;
//! who asked for what, and so whether a 101 or a 304 was due, is the caller's to know.

use super::scan::Fault;
use super::{HeadLimits, HeadScan, Parsed, Version};
use crate::http1::connection::Persistence;
use crate::http1::framing::{BodyLength, Coding, FramingFields};

/// The most fields that a response may have, whatever the limits say.
const MAX_FIELDS: usize = 256;
const USUAL_FIELDS: usize = 32;

/// The head of a response: order, spelling and duplicates of its fields are kept.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The version in the status line.
    pub version: Version,
    /// 100 to 599.
    pub status: u16,
    /// May the connection carry another exchange after this one (RFC 9112 §9.3), as far as the head tells?
    pub keep_alive: bool,
    framing: FramingFields,
    bytes: Box<[u8]>,
    fields: Box<[(Span, Span)]>,
}

/// Why a response head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// Not HTTP/1.0 or 1.1, or not as strict as we read it; the words say what.
    Malformed(&'static str),
    /// The status line or the whole head passes its limit.
    TooLarge,
    /// More field lines than the limit.
    TooManyFields,
    /// A Transfer-Encoding other than `chunked`; the words say what.
    TransferCoding(&'static str),
}

impl ResponseHead {
    /// Parses the head at the start of `buf` and gives it with its length. `scan` remembers the search between calls
    /// on the same growing buffer and is reset by every other answer than `Partial`.
    pub fn parse(
        buf: &[u8],
        limits: &HeadLimits,
        scan: &mut HeadScan,
    ) -> Result<Parsed<(ResponseHead, usize)>, ResponseError> {
        let was_checked = scan.start_line(buf).is_some();
        let found = scan.run(buf, limits, false);
        let line = scan.start_line(buf);
        if !matches!(found, Ok(None)) {
            *scan = HeadScan::default();
        }
        // The status line comes first, so its fault goes before one that the scan met later.
        let status_line = match line {
            Some(line) if !was_checked || matches!(found, Ok(Some(_))) => Some(StatusLine::parse(line)?),
            _ => None,
        };
        match (found?, status_line, line) {
            (Some(len), Some(status), Some(line)) => {
                let head = buf.get(..len).unwrap_or_default();
                Ok(Parsed::Whole((ResponseHead::build(head, line.len(), &status)?, len)))
            }
            _ => Ok(Parsed::Partial),
        }
    }

    fn build(head: &[u8], line: usize, status: &StatusLine) -> Result<ResponseHead, ResponseError> {
        // Few heads have more fields than this, and those that have pay for the room themselves.
        match ResponseHead::with_slots(head, line, status, &mut [httparse::EMPTY_HEADER; USUAL_FIELDS]) {
            Err(ResponseError::TooManyFields) => ResponseHead::build_large(head, line, status),
            built => built,
        }
    }

    #[cold]
    #[inline(never)]
    fn build_large(head: &[u8], line: usize, status: &StatusLine) -> Result<ResponseHead, ResponseError> {
        ResponseHead::with_slots(head, line, status, &mut [httparse::EMPTY_HEADER; MAX_FIELDS])
    }

    fn with_slots<'h>(
        head: &'h [u8],
        line: usize,
        status: &StatusLine,
        slots: &mut [httparse::Header<'h>],
    ) -> Result<ResponseHead, ResponseError> {
        let lines = head.get(line.saturating_add(2)..).unwrap_or_default();
        let headers = match httparse::parse_headers(lines, slots) {
            Ok(httparse::Status::Complete((consumed, headers))) if consumed == lines.len() => headers,
            Ok(_) => return Err(ResponseError::Malformed("fields end early")),
            Err(httparse::Error::TooManyHeaders) => return Err(ResponseError::TooManyFields),
            Err(_) => return Err(ResponseError::Malformed("invalid field line")),
        };
        let (mut framing, mut persistence) = (FramingFields::default(), Persistence::default());
        for header in headers.iter() {
            match header.name.len() {
                10 if header.name.eq_ignore_ascii_case("connection") => persistence.add(header.value),
                14 if header.name.eq_ignore_ascii_case("content-length") => framing.add_length(header.value),
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    framing.add_coding(header.value);
                    Ok(())
                }
                _ => Ok(()),
            }
            .map_err(ResponseError::Malformed)?;
        }
        let spans =
            |header: &httparse::Header<'_>| (Span::of(header.name.as_bytes(), head), Span::of(header.value, head));
        Ok(ResponseHead {
            version: status.version,
            status: status.code,
            keep_alive: persistence.persists(status.version),
            framing,
            fields: headers.iter().map(spans).collect(),
            bytes: head.into(),
        })
    }

    /// The first bytes of the head as it came.
    pub fn start(&self, most: usize) -> &[u8] {
        self.bytes.get(..most).unwrap_or(&self.bytes)
    }

    /// Every field line in order: the name as sent, the value without blanks around it.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| {
            // Names are tokens, so this never takes the other way.
            (std::str::from_utf8(name.within(&self.bytes)).unwrap_or_default(), value.within(&self.bytes))
        })
    }

    /// The value of the first field of that name, compared without case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let is_named = |span: &Span| span.within(&self.bytes).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(|(span, _)| is_named(span)).map(|(_, value)| value.within(&self.bytes))
    }

    /// The same head with one more field line, which has nothing to do with framing: `replaced` tells whether it stands in
    /// the place of those of its name. `value` holds no control bytes.
    pub fn with_field(self, name: &str, value: &[u8], replaced: bool) -> ResponseHead {
        let mut bytes = self.bytes.into_vec();
        let mut fields = self.fields.into_vec();
        if replaced {
            fields.retain(|(known, _)| !known.within(&bytes).eq_ignore_ascii_case(name.as_bytes()));
        }
        let start = bytes.len();
        bytes.extend_from_slice(name.as_bytes());
        let middle = bytes.len();
        bytes.extend_from_slice(value);
        fields.push((Span { start, end: middle }, Span { start: middle, end: bytes.len() }));
        ResponseHead { bytes: bytes.into(), fields: fields.into(), ..self }
    }

    /// Content-Length as declared, also where no body follows (HEAD, 304).
    pub fn declared_length(&self) -> Option<u64> {
        self.framing.length
    }

    /// How long the body is that follows this head, as the answer to a request with that method (RFC 9112 §6.3).
    pub fn body(&self, request_method: &str) -> Result<BodyLength, ResponseError> {
        if request_method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(BodyLength::None);
        }
        match (self.framing.coding, self.framing.length) {
            (None, None) => Ok(BodyLength::UntilClose),
            (None, Some(length)) => Ok(BodyLength::Exact(length)),
            (Some(Coding::Unknown), _) => Err(ResponseError::TransferCoding("unknown transfer coding")),
            (Some(Coding::Malformed), _) => Err(ResponseError::TransferCoding("Transfer-Encoding is not one coding")),
            (Some(Coding::Chunked), _) if self.version == Version::Http10 => {
                Err(ResponseError::Malformed("Transfer-Encoding in HTTP/1.0"))
            }
            (Some(Coding::Chunked), Some(_)) => {
                Err(ResponseError::Malformed("both Transfer-Encoding and Content-Length"))
            }
            (Some(Coding::Chunked), None) => Ok(BodyLength::Chunked),
        }
    }
}

impl crate::policy::Fields for ResponseHead {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in &self.fields {
            each(name.within(&self.bytes), value.within(&self.bytes));
        }
    }
}

impl From<Fault> for ResponseError {
    fn from(fault: Fault) -> ResponseError {
        match fault {
            Fault::LineTooLong | Fault::HeadTooLong => ResponseError::TooLarge,
            Fault::TooManyFields => ResponseError::TooManyFields,
            Fault::Malformed(reason) => ResponseError::Malformed(reason),
        }
    }
}

impl ResponseError {
    /// What is wrong, in plain words.
    pub fn reason(&self) -> &'static str {
        match self {
            ResponseError::Malformed(reason) | ResponseError::TransferCoding(reason) => reason,
            ResponseError::TooLarge => "response head too large",
            ResponseError::TooManyFields => "too many fields in the response",
        }
    }
}

/// A status line taken apart.
struct StatusLine {
    version: Version,
    code: u16,
}

impl StatusLine {
    /// `HTTP/1.x SP 3DIGIT [SP reason]`; many origins leave the last SP out with the reason, which is not kept: it means
    /// nothing (RFC 9112 §4).
    fn parse(line: &[u8]) -> Result<StatusLine, ResponseError> {
        let (version, rest) = match line.split_first_chunk::<9>() {
            Some((b"HTTP/1.0 ", rest)) => (Version::Http10, rest),
            Some((b"HTTP/1.1 ", rest)) => (Version::Http11, rest),
            _ => return Err(ResponseError::Malformed("not an HTTP/1.0 or HTTP/1.1 status line")),
        };
        let code = match rest.split_first_chunk::<3>() {
            Some((code, [] | [b' ', ..])) => code,
            _ => return Err(ResponseError::Malformed("status is not three digits")),
        };
        let code = match code {
            [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => {
                code.iter().fold(0_u16, |sum, digit| sum.saturating_mul(10).saturating_add(u16::from(digit & 0x0f)))
            }
            _ => return Err(ResponseError::Malformed("status is not between 100 and 599")),
        };
        Ok(StatusLine { version, code })
    }
}

/// A part of the head's bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// Where `part`, a slice of `whole`, lies in it.
    fn of(part: &[u8], whole: &[u8]) -> Span {
        let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
        Span { start, end: start.saturating_add(part.len()) }
    }

    fn within(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "tests_response.rs"]
mod tests;
