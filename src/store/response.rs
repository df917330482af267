//! A stored response: head, what the rules know of it, body. Never changed in place; a 304 makes a new one that shares
//! the body.
//!
//! The fields are kept as the bytes of an HTTP/1.1 head, so that a hit writes them as they are. Which belong into it is
//! the caller's decision.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::body::Body;
use crate::policy::Fields;
use crate::policy::freshness::Freshness;
use crate::policy::groups::has_groups;
use crate::policy::validator::Validators;
use crate::policy::variant::Variant;
use crate::time::{HttpDate, Now};

/// What RFC 9111 stores, ready to be sent.
#[derive(Debug)]
pub struct StoredResponse {
    /// Status line and fields.
    pub head: StoredHead,
    /// How long it is fresh, and what it allows when stale, as it arrived; [`StoredResponse::freshness_at`] knows of soft
    /// purges too.
    pub freshness: Freshness,
    /// Which requests it answers, where it has Vary (RFC 9111 §4.1).
    pub variant: Option<Box<Variant>>,
    /// Its content; perhaps still arriving.
    pub body: Arc<Body>,
    /// Where it stands among the purges.
    pub mark: Mark,
}

impl StoredResponse {
    /// It is a response to a request for all of a resource; not a part of one, nor what binds parts together (206).
    pub fn is_whole(&self) -> bool {
        self.head.status() != 206
    }

    /// What a validation would ask with, and what a client's conditions are compared with; read from the head each time,
    /// for few requests need it and every stored response would pay for a copy.
    pub fn validators(&self, now: HttpDate) -> Validators<'_> {
        let found = Validators::of_lines(self.head.fields(), now);
        let found = if self.freshness.is_dated() { found } else { found.undated() };
        if self.body.is_kept() { found } else { found.of_a_pass() }
    }

    /// How fresh it is to be taken for at `now`.
    pub fn freshness_at(&self, now: Now) -> Freshness {
        if self.mark.is_expired() { self.freshness.expired(now) } else { self.freshness }
    }
}

/// What purges need to know of a response, in one word. Of a default one every purge is later.
#[derive(Debug, Default)]
pub struct Mark(AtomicU64);

impl Mark {
    /// Of a response with this status and head for which the origin was asked when `number` was the latest purge's.
    pub fn new(number: u64, status: u16, head: &dyn Fields) -> Mark {
        let groups = if has_groups(head) { GROUPS } else { 0 };
        let part = if status == 206 { PART } else { 0 };
        Mark(AtomicU64::new(number & NUMBER | groups | part))
    }

    /// The response is a part, or binds parts together: known here without a look at its head.
    pub fn is_part(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PART != 0
    }

    /// The latest purge's number when the origin was asked.
    pub fn number(&self) -> u64 {
        self.0.load(Ordering::Relaxed) & NUMBER
    }

    /// The response says that it belongs to cache groups (RFC 9875).
    pub fn has_groups(&self) -> bool {
        self.0.load(Ordering::Relaxed) & GROUPS != 0
    }

    /// A soft purge has made it stale.
    pub fn is_expired(&self) -> bool {
        self.0.load(Ordering::Relaxed) & EXPIRED != 0
    }

    /// Notes that it was served. Beyond the first thousand one in sixty-four is noted, for all: `chance` is any number, evenly
    /// spread. Costs a load where nothing is noted.
    pub fn note_hit(&self, chance: u64) {
        let noted = self.noted();
        if noted < EXACT || (chance.is_multiple_of(SAMPLE) && noted < MOST_NOTED) {
            self.0.fetch_add(HIT, Ordering::Relaxed);
        }
    }

    /// About how often it was served since it was stored.
    pub fn hits(&self) -> u64 {
        let noted = self.noted();
        noted.min(EXACT) + noted.saturating_sub(EXACT) * SAMPLE
    }

    fn noted(&self) -> u64 {
        (self.0.load(Ordering::Relaxed) & HITS) / HIT
    }

    /// The same for a response that stands for this one.
    pub fn copied(&self) -> Mark {
        Mark(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }

    /// Makes it stale; false where it was already.
    pub(super) fn expire(&self) -> bool {
        self.0.fetch_or(EXPIRED, Ordering::Relaxed) & EXPIRED == 0
    }
}

const EXPIRED: u64 = 1 << 63;
const GROUPS: u64 = 1 << 62;
const PART: u64 = 1 << 61;
/// A trillion purges.
const NUMBER: u64 = HIT - 1;
const HIT: u64 = 1 << 40;
const HITS: u64 = (PART - 1) & !NUMBER;
/// Room is left for those who count at once.
const MOST_NOTED: u64 = HITS / HIT - (1 << 10);
const EXACT: u64 = 1 << 10;
const SAMPLE: u64 = 64;

// Sixteen bytes more here are sixteen more for every stored response.
const _: () = assert!(size_of::<StoredResponse>() <= 72);

/// The status in two bytes, and `Name: value\r\n` for each field. The status line is written anew with each answer.
#[derive(Clone)]
pub struct StoredHead(Box<[u8]>);

impl StoredHead {
    /// Begins a head. A status that no status line can have becomes 500.
    pub fn builder(status: u16) -> Builder {
        let status = if (100..1000).contains(&status) { status } else { 500 };
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&status.to_be_bytes());
        Builder(bytes)
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.0.first_chunk().map_or(500, |status| u16::from_be_bytes(*status))
    }

    /// The fields as they go on the wire, each with its CRLF.
    pub fn field_lines(&self) -> &[u8] {
        self.0.get(size_of::<u16>()..).unwrap_or_default()
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// All fields in order, names as the origin spelled them.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines().filter_map(|line| {
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
        self.field_lines().split(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\r"))
    }
}

impl Fields for StoredHead {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.fields().for_each(|(name, value)| each(name.as_bytes(), value));
    }
}

impl std::fmt::Debug for StoredHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status(), String::from_utf8_lossy(self.field_lines()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_order_spelling_and_duplicates() {
        let head = StoredHead::builder(206)
            .field("ETag", b"\"a\"")
            .field("X-a", b" one ")
            .field("x-A", b"")
            .field("Link", "<\u{e9}>: x".as_bytes())
            .build();
        assert_eq!(head.status(), 206);
        let wire = "ETag: \"a\"\r\nX-a: one\r\nx-A: \r\nLink: <\u{e9}>: x\r\n";
        assert_eq!(head.field_lines(), wire.as_bytes());
        assert_eq!(head.field("x-a"), Some(&b"one"[..]));
        assert_eq!(head.field("none"), None);
        let mut seen = Vec::new();
        head.for_each(&mut |name, value| seen.push((name.to_vec(), value.to_vec())));
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[2], (b"x-A".to_vec(), b"".to_vec()));
        assert_eq!(seen[3].1, "<\u{e9}>: x".as_bytes());
    }

    #[test]
    fn hits_are_counted_beside_the_number_and_never_run_into_it() {
        let mark = Mark::new(NUMBER, 200, &StoredHead::builder(200).build());
        (0..EXACT).for_each(|_| mark.note_hit(1));
        assert_eq!(mark.hits(), EXACT);
        mark.note_hit(1);
        mark.note_hit(64);
        assert_eq!(mark.hits(), EXACT + SAMPLE);
        mark.0.fetch_or(HITS, Ordering::Relaxed);
        mark.note_hit(0);
        assert!(mark.expire() && mark.is_expired() && !mark.has_groups());
        assert_eq!((mark.number(), mark.hits()), (NUMBER, EXACT + (HITS / HIT - EXACT) * SAMPLE));
    }

    #[test]
    fn nothing_splits_a_head() {
        let head = StoredHead::builder(20).field("A", b"b\r\nC: d\0").field("E\r\nF", b"g").field("", b"h").build();
        assert_eq!((head.status(), head.field_lines()), (500, &b"A: b  C: d \r\n"[..]));
        assert_eq!(head.fields().count(), 1);
    }
}
