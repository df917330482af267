//! Heads of requests, as clients send them (RFC 9112 §3, §5).
//!
//! Borrowed from the connection's buffer and read without allocating, but for a path that is missing: one pass of
//! [`HeadScan`], one of httparse, one over the fields. Which methods and hosts are served is the caller's to know; only
//! CONNECT is refused here, because its target has a form of its own (RFC 9112 §3.2.3) and would make us a tunnel.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use super::present::Present;
use super::scan::Fault;
use super::target::{Authority, Target};
use super::{HeadLimits, HeadScan, Parsed, Version};
use crate::http1::connection::{ConnectionOptions, Persistence};
use crate::http1::framing::{BodyLength, Coding, FramingFields};

/// The most fields that a request may have, whatever the limits say.
const MAX_FIELDS: usize = 128;

/// Room for the fields of one head, 4 KiB; lives on the caller's stack and is never cleared.
pub struct Slots<'b>([MaybeUninit<httparse::Header<'b>>; MAX_FIELDS]);

impl Slots<'_> {
    /// Empty room.
    #[inline]
    pub const fn new() -> Self {
        Slots([const { MaybeUninit::uninit() }; MAX_FIELDS])
    }
}

/// The head of a request that may be served: everything that could mislead a reader has been refused.
#[derive(Debug)]
pub struct RequestHead<'h, 'b> {
    /// The method: a token of at most 32 bytes, case kept.
    pub method: &'b str,
    /// Path and query as sent, beginning with `/`; or `*`, with OPTIONS only. Of an absolute target its path and query; owned
    /// only where that has a query and no path, which then is `/`.
    pub target: Cow<'b, str>,
    /// `host[:port]` as sent: of the absolute target where there is one (RFC 9112 §3.2.2), else of Host. Empty only
    /// in HTTP/1.0 without Host.
    pub authority: &'b str,
    /// The version in the request line.
    pub version: Version,
    /// How the body is framed; never `UntilClose`.
    pub body: BodyLength,
    /// The client lets the connection carry another request after this one (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// The client waits for 100 (Continue) before it sends the body; only in HTTP/1.1 and with a body
    /// (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Which fields are there, of those that rules ask about.
    pub present: Present,
    /// Length of the head in the buffer, with an empty line before it.
    pub len: usize,
    host: usize,
    /// Connection lists more than what concerns the connection itself.
    names_fields: bool,
    fields: &'h [httparse::Header<'b>],
}

/// Why a request head is refused. The caller answers with the status and closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// 400, 405 (CONNECT), 414, 417, 431, 501 or 505.
    pub status: u16,
    /// What is wrong, in plain words.
    pub reason: &'static str,
}

impl RequestError {
    /// The request line passes [`HeadLimits::line`].
    pub const LINE_TOO_LONG: RequestError = RequestError::new(414, "request line too long");
    /// The head passes [`HeadLimits::head`].
    pub const HEAD_TOO_LARGE: RequestError = RequestError::new(431, "request head too large");
    /// The fields pass [`HeadLimits::fields`].
    pub const TOO_MANY_FIELDS: RequestError = RequestError::new(431, "too many fields");

    pub(super) const fn new(status: u16, reason: &'static str) -> RequestError {
        RequestError { status, reason }
    }

    pub(super) const fn bad(reason: &'static str) -> RequestError {
        RequestError::new(400, reason)
    }
}

impl<'h, 'b> RequestHead<'h, 'b> {
    /// Parses the head at the start of `buf`. `scan` remembers the search between calls on the same growing buffer and
    /// is reset by every other answer than `Partial`. The answer does not depend on how the bytes were split.
    pub fn parse(
        buf: &'b [u8],
        limits: &HeadLimits,
        scan: &mut HeadScan,
        slots: &'h mut Slots<'b>,
    ) -> Result<Parsed<RequestHead<'h, 'b>>, RequestError> {
        let was_checked = scan.start_line(buf).is_some();
        let found = scan.run(buf, limits, true);
        let (start, line) = (scan.start(), scan.start_line(buf).unwrap_or_default());
        if !matches!(found, Ok(None)) {
            *scan = HeadScan::default();
        }
        if let Ok(Some(len)) = found {
            let head = buf.get(start..len).unwrap_or_default();
            return RequestHead::build(head, line, slots).map(|head| Parsed::Whole(RequestHead { len, ..head }));
        }
        // As soon as the request line is there it is judged, and before any fault that the scan met behind it.
        if !line.is_empty() && !was_checked {
            let end = start.saturating_add(line.len()).saturating_add(2);
            let mut request = httparse::Request::new(&mut []);
            let parsed = request.parse(buf.get(start..end).unwrap_or_default());
            RequestLine::of(&request, parsed.err(), line)?;
        }
        match found {
            Err(fault) => Err(fault.into()),
            Ok(_) => Ok(Parsed::Partial),
        }
    }

    /// `head` is a whole one and clean as far as the scan can tell; `line` is its first line.
    fn build(head: &'b [u8], line: &[u8], slots: &'h mut Slots<'b>) -> Result<RequestHead<'h, 'b>, RequestError> {
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(head, &mut slots.0);
        let line = RequestLine::of(&request, parsed.err(), line)?;
        match parsed {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Fault::TooManyFields.into()),
            _ => return Err(RequestError::bad("invalid field line")),
        }
        let fields: &'h [httparse::Header<'b>] = request.headers;
        let mut told = Told::default();
        for field in fields {
            told.add(field.name, field.value)?;
        }
        let named = told.host.map(Authority::parse).transpose()?;
        if named.is_none() && line.version == Version::Http11 {
            return Err(RequestError::bad("no Host field"));
        }
        let authority = line.target.authority.or(named).unwrap_or_default();
        let body = told.body(line.version)?;
        Ok(RequestHead {
            method: line.method,
            target: line.target.path,
            authority: authority.text,
            version: line.version,
            body,
            keep_alive: told.persistence.persists(line.version),
            expects_continue: told.expects_continue && line.version == Version::Http11 && !body.is_empty(),
            present: told.present,
            len: head.len(),
            host: authority.host,
            names_fields: told.persistence.names_fields,
            fields,
        })
    }

    /// Every field line in order: the name as sent, the value without blanks around it.
    pub fn fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'h, 'b> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The value of the first field of that name, compared without case.
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// What Connection lists to go no further than here. Allocates only where there is such a thing.
    pub fn listed(&self) -> ConnectionOptions<'b> {
        if self.names_fields { ConnectionOptions::of(self.fields()) } else { ConnectionOptions::default() }
    }

    /// The host as sent, without the port and the dot that may end a name; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &'b str {
        self.authority.get(..self.host).unwrap_or_default()
    }
}

/// Without what Connection lists: the origin does not see it, so nothing is to be decided, looked up or stored by it.
impl crate::policy::Fields for RequestHead<'_, '_> {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let listed = self.listed();
        for field in self.fields.iter().filter(|field| !listed.lists(field.name)) {
            each(field.name.as_bytes(), field.value);
        }
    }
}

impl From<Fault> for RequestError {
    fn from(fault: Fault) -> RequestError {
        match fault {
            Fault::LineTooLong => RequestError::LINE_TOO_LONG,
            Fault::HeadTooLong => RequestError::HEAD_TOO_LARGE,
            Fault::TooManyFields => RequestError::TOO_MANY_FIELDS,
            Fault::Malformed(reason) => RequestError::bad(reason),
        }
    }
}

/// A request line that has been checked.
struct RequestLine<'b> {
    method: &'b str,
    target: Target<'b>,
    version: Version,
}

impl<'b> RequestLine<'b> {
    /// From what httparse made of `line`, where `fault` is the error that it ended with.
    fn of(
        request: &httparse::Request<'_, 'b>,
        fault: Option<httparse::Error>,
        line: &[u8],
    ) -> Result<RequestLine<'b>, RequestError> {
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
            return Err(match fault {
                Some(httparse::Error::Version) if names_version(line) => {
                    RequestError::new(505, "neither HTTP/1.0 nor HTTP/1.1")
                }
                _ => RequestError::bad("invalid request line"),
            });
        };
        if method.len() > MAX_METHOD {
            return Err(RequestError::new(501, "unknown method"));
        }
        if method == "CONNECT" {
            return Err(RequestError::new(405, "CONNECT is not served"));
        }
        // Two single spaces and `HTTP/1.x`: nothing else can be in the line.
        if Some(line.len()) != method.len().checked_add(target.len()).and_then(|sum| sum.checked_add(10)) {
            return Err(RequestError::bad("invalid request line"));
        }
        let version = if minor == 1 { Version::Http11 } else { Version::Http10 };
        Ok(RequestLine { method, target: Target::parse(method, target)?, version })
    }
}

/// Is it the last of three words that is wrong, and one for a version? Anything else is no request line (RFC 9112 §3).
fn names_version(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let version = words.nth(2).and_then(|word| word.first_chunk::<5>());
    words.next().is_none() && version.is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/"))
}

/// What the fields said that the parser itself must know.
#[derive(Default)]
struct Told<'b> {
    host: Option<&'b [u8]>,
    framing: FramingFields,
    persistence: Persistence,
    expects_continue: bool,
    present: Present,
}

impl<'b> Told<'b> {
    /// Names are told apart by their length first, so that nearly every field costs one comparison or none.
    fn add(&mut self, name: &str, value: &'b [u8]) -> Result<(), RequestError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let present = match name.len() {
            4 if is("host") => return self.add_host(value),
            5 if is("range") => Present::RANGE,
            6 if is("accept") => Present::ACCEPT,
            6 if is("cookie") => Present::COOKIE,
            6 if is("pragma") => Present::PRAGMA,
            6 if is("expect") => return self.add_expect(value),
            7 if is("upgrade") => Present::UPGRADE,
            8 if is("if-range") => Present::IF_RANGE,
            8 if is("if-match") => Present::IF_MATCH,
            8 if is("cdn-loop") => Present::CDN_LOOP,
            10 if is("connection") => {
                self.persistence.add(value).map_err(RequestError::bad)?;
                Present::CONNECTION
            }
            13 if is("cache-control") => Present::CACHE_CONTROL,
            13 if is("if-none-match") => Present::IF_NONE_MATCH,
            13 if is("authorization") => Present::AUTHORIZATION,
            14 if is("content-length") => return self.framing.add_length(value).map_err(RequestError::bad),
            15 if is("accept-encoding") => Present::ACCEPT_ENCODING,
            17 if is("if-modified-since") => Present::IF_MODIFIED_SINCE,
            17 if is("transfer-encoding") => {
                self.framing.add_coding(value);
                return Ok(());
            }
            19 if is("if-unmodified-since") => Present::IF_UNMODIFIED_SINCE,
            _ => return Ok(()),
        };
        self.present.insert(present);
        Ok(())
    }

    fn add_host(&mut self, value: &'b [u8]) -> Result<(), RequestError> {
        match self.host.replace(value) {
            None => Ok(()),
            Some(_) => Err(RequestError::bad("more than one Host field")),
        }
    }

    fn add_expect(&mut self, value: &[u8]) -> Result<(), RequestError> {
        self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        if self.expects_continue { Ok(()) } else { Err(RequestError::new(417, "unknown expectation")) }
    }

    /// RFC 9112 §6.3, without its room for guessing.
    fn body(&self, version: Version) -> Result<BodyLength, RequestError> {
        match (self.framing.coding, self.framing.length) {
            (None, None) => Ok(BodyLength::None),
            (None, Some(length)) => Ok(BodyLength::Exact(length)),
            (Some(_), Some(_)) => Err(RequestError::bad("both Transfer-Encoding and Content-Length")),
            (Some(_), None) if version == Version::Http10 => Err(RequestError::bad("Transfer-Encoding in HTTP/1.0")),
            (Some(Coding::Chunked), None) => Ok(BodyLength::Chunked),
            (Some(Coding::Unknown), None) => Err(RequestError::new(501, "unknown transfer coding")),
            (Some(Coding::Malformed), None) => Err(RequestError::bad("Transfer-Encoding is not one coding")),
        }
    }
}

/// No registered method is half as long.
const MAX_METHOD: usize = 32;

#[cfg(test)]
#[path = "tests_request.rs"]
mod tests;
