//! Heads of messages: the start line and the fields, up to the empty line. The only door of httparse.
//!
//! httparse is fast but lenient (it takes a bare LF for a line end, and any number of empty lines), so
//! [`HeadScan`] goes over the bytes first, finds the end of the head and refuses whatever is not `CRLF` lines of
//! visible text. httparse then only splits what is known to be clean.

mod present;
mod request;
mod response;
mod scan;
mod target;

pub use present::Present;
pub use request::{RequestError, RequestHead, Slots};
pub use response::{ResponseError, ResponseHead};
pub use scan::{HeadLimits, HeadScan};

/// A head that may not have arrived in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// Nothing wrong so far; more bytes are needed.
    Partial,
    /// All of it.
    Whole(T),
}

/// The version in the start line (RFC 9112 §2.3); every other one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `HTTP/1.0`
    Http10,
    /// `HTTP/1.1`
    Http11,
}
