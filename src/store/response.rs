//! A stored response: head, what the rules know of it, body. Never changed in place; a 304 makes a new one that shares
//! the body.
//!
//! The head is kept as the bytes of an HTTP/1.1 head, so that a hit writes it as it is. Which fields belong into it is
//! the caller's decision.

use std::sync::Arc;

use super::body::Body;
use crate::policy::Fields;
use crate::policy::freshness::Freshness;
use crate::policy::validator::Validators;
use crate::policy::variant::Variant;

/// What RFC 9111 stores, ready to be sent.
#[derive(Debug)]
pub struct StoredResponse {
    /// Status line and fields.
    pub head: StoredHead,
    /// How long it is fresh, and what it allows when stale.
    pub freshness: Freshness,
    /// What a validation would ask with.
    pub validators: Validators,
    /// Which requests it answers, where it has Vary (RFC 9111 §4.1).
    pub variant: Option<Box<Variant>>,
    /// Its content; perhaps still arriving.
    pub body: Arc<Body>,
}

impl StoredResponse {
    /// It is a response to a request for all of a resource; not a part of one, nor what binds parts together (206).
    pub fn is_whole(&self) -> bool {
        self.head.0.get(STATUS..STATUS + 3) != Some(b"206")
    }
}

/// `HTTP/1.1 200 OK\r\n` and `Name: value\r\n` for each field, without the empty line.
#[derive(Clone)]
pub struct StoredHead(Box<[u8]>);

impl StoredHead {
    /// Begins a head. Of `reason` the bytes that a reason phrase may have are kept (RFC 9112 §4).
    pub fn builder(status: u16, reason: &str) -> Builder {
        let status = if (100..1000).contains(&status) { status } else { 500 };
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(format!("HTTP/1.1 {status} ").as_bytes());
        bytes.extend(reason.bytes().filter(|byte| is_text(*byte)));
        bytes.extend_from_slice(b"\r\n");
        Builder(bytes)
    }

    /// The three digits of the status line.
    pub fn status(&self) -> u16 {
        let digits = self.0.get(STATUS..STATUS + 3).unwrap_or_default();
        digits.iter().fold(0, |sum: u16, digit| sum.wrapping_mul(10).wrapping_add(u16::from(digit.wrapping_sub(b'0'))))
    }

    /// The head as it goes on the wire, up to and with the last field's CRLF.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// All fields in order, names as the origin spelled them.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines().skip(1).filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((std::str::from_utf8(name).ok()?, value.strip_prefix(b": ")?))
        })
    }

    /// The value of the first field called `name`, in any case.
    #[cfg(test)]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        // Values hold no line feed: the builder lets none in.
        self.0.split(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\r"))
    }
}

impl Fields for StoredHead {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.fields().for_each(|(name, value)| each(name.as_bytes(), value));
    }
}

impl std::fmt::Debug for StoredHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Collects a [`StoredHead`].
pub struct Builder(Vec<u8>);

impl Builder {
    /// Adds one field line. A name that is no token is left out, and bytes that no value may have become spaces: what is
    /// stored can never be read as two fields.
    #[must_use]
    pub fn field(mut self, name: &str, value: &[u8]) -> Builder {
        if !name.is_empty() && name.bytes().all(is_token) {
            self.0.extend_from_slice(name.as_bytes());
            self.0.extend_from_slice(b": ");
            self.0.extend(value.trim_ascii().iter().map(|byte| if is_text(*byte) { *byte } else { b' ' }));
            self.0.extend_from_slice(b"\r\n");
        }
        self
    }

    /// The head, at its exact size.
    pub fn build(self) -> StoredHead {
        StoredHead(self.0.into_boxed_slice())
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 §5.5: visible, SP, HTAB or obs-text.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// Where the status stands behind `HTTP/1.1 `.
const STATUS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_order_spelling_and_duplicates() {
        let head = StoredHead::builder(206, "Partial Content")
            .field("ETag", b"\"a\"")
            .field("X-a", b" one ")
            .field("x-A", b"")
            .field("Link", "<\u{e9}>: x".as_bytes())
            .build();
        assert_eq!(head.status(), 206);
        let wire = "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nX-a: one\r\nx-A: \r\nLink: <\u{e9}>: x\r\n";
        assert_eq!(head.bytes(), wire.as_bytes());
        assert_eq!(head.field("x-a"), Some(&b"one"[..]));
        assert_eq!(head.field("none"), None);
        let mut seen = Vec::new();
        head.for_each(&mut |name, value| seen.push((name.to_vec(), value.to_vec())));
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[2], (b"x-A".to_vec(), b"".to_vec()));
        assert_eq!(seen[3].1, "<\u{e9}>: x".as_bytes());
    }

    #[test]
    fn nothing_splits_a_head() {
        let head = StoredHead::builder(20, "a\r\nX: y")
            .field("A", b"b\r\nC: d\0")
            .field("E\r\nF", b"g")
            .field("", b"h")
            .build();
        assert_eq!(head.bytes(), b"HTTP/1.1 500 aX: y\r\nA: b  C: d \r\n");
        assert_eq!(head.fields().count(), 1);
    }
}
