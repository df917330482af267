//! Answers to range requests from a stored or arriving response: one part, several parts, or none that exists
//! (RFC 9110 §14.2, §15.3.7, §15.5.17).
//!
//! Which bytes are meant is `policy::range`'s; how they reach the socket is `server`'s.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use super::answer::{Ask, copy_fields, finish_head, is_kept_by_refusal, write_field, write_status};
use crate::http1::Present;
use crate::policy::range::{ByteRange, Ranges};
use crate::server::Payload;
use crate::status::CacheStatus;
use crate::store::{Chunk, Reader, StoredResponse};
use crate::time::Now;

/// The answer to a range request, where there is one; nothing is written otherwise, and the whole is to be sent.
///
/// One range can be cut from a body under way as soon as its length is known. Several come out of a complete one only:
/// they may be asked for in any order, and whoever waits for the last bytes first would hold all others back.
pub fn ranged(
    out: &mut Vec<u8>,
    ask: &Ask<'_>,
    response: &StoredResponse,
    cache: &CacheStatus,
    now: Now,
) -> Option<(u16, Payload)> {
    if ask.method != "GET" || !ask.present.has_any(Present::RANGE) {
        return None;
    }
    let length = response.body.length()?;
    if ask.present.has_any(Present::IF_RANGE)
        && !ask.read_field("if-range", |value| response.validators(now.date()).allow_range(value, now))
    {
        return None;
    }
    let age = response.freshness.age(now);
    match ask.read_field("range", |value| Ranges::parse(value, length)) {
        Ranges::Whole => None,
        Ranges::One(part) => {
            write_status(out, 206);
            copy_fields(out, ask, response, cache, is_kept_by_part);
            out.extend_from_slice(b"Content-Range: ");
            part.write_content_range(length, out);
            out.extend_from_slice(b"\r\n");
            finish_head(out, age, cache);
            let reader = Reader::new(&response.body);
            Some((206, Payload::Stream { reader, skip: part.start, length: Some(part.length()) }))
        }
        Ranges::Many(ranges) => {
            let whole = response.body.sealed()?;
            let boundary = Boundary::new();
            write_status(out, 206);
            copy_fields(out, ask, response, cache, |name| is_kept_by_part(name) && !is_content_type(name));
            let _ = write!(out, "{CONTENT_TYPE}: multipart/byteranges; boundary={boundary}\r\n");
            finish_head(out, age, cache);
            let mut fields = response.head.fields();
            let media_type = fields.find_map(|(name, value)| is_content_type(name).then_some(value));
            let chunks = multipart(&ranges, length, &whole, media_type, boundary);
            Some((206, Payload::Parts { bodies: vec![response.body.clone()], chunks }))
        }
        Ranges::Unsatisfiable => {
            write_status(out, 416);
            copy_fields(out, ask, response, cache, is_kept_by_refusal);
            let _ = write!(out, "Content-Range: bytes */{length}\r\n");
            finish_head(out, age, cache);
            Some((416, Payload::Empty))
        }
    }
}

/// The body of a multipart/byteranges message (RFC 9110 §14.6, RFC 2046 §5.1): texts of ours, and stretches of `whole`
/// that are shared and not copied.
fn multipart(
    ranges: &[ByteRange],
    length: u64,
    whole: &Chunk,
    media_type: Option<&[u8]>,
    boundary: Boundary,
) -> Vec<Chunk> {
    let mut chunks = Vec::with_capacity(ranges.len().saturating_mul(2).saturating_add(1));
    // The line end before a delimiter belongs to it, and the first one has nothing to end.
    let mut line_end = "";
    for range in ranges {
        let mut text = Vec::with_capacity(PART_HEAD);
        let _ = write!(text, "{line_end}--{boundary}\r\n");
        if let Some(media_type) = media_type {
            write_field(&mut text, CONTENT_TYPE, media_type);
        }
        text.extend_from_slice(b"Content-Range: ");
        range.write_content_range(length, &mut text);
        text.extend_from_slice(b"\r\n\r\n");
        let mut part = whole.clone();
        part.advance(range.start);
        part.truncate(range.length());
        chunks.extend([Chunk::of(text.into()), part]);
        line_end = "\r\n";
    }
    chunks.push(Chunk::of(format!("{line_end}--{boundary}--\r\n").into_bytes().into()));
    chunks
}

/// A delimiter that whoever wrote the content could not foresee, so that it cannot stand in it: 128 bits from a keyed
/// hash whose key is the system's randomness.
#[derive(Clone, Copy)]
struct Boundary(u128);

impl Boundary {
    fn new() -> Boundary {
        let keyed = RandomState::new();
        Boundary(u128::from(keyed.hash_one(0)) << 64 | u128::from(keyed.hash_one(1)))
    }
}

impl std::fmt::Display for Boundary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a part of a response may say of itself: not the range that a whole response claims to be, nor a digest of content
/// that is not sent (RFC 9530 §2; Repr-Digest is of the whole and stays).
pub fn is_kept_by_part(name: &str) -> bool {
    !NOT_OF_PARTS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn is_content_type(name: &str) -> bool {
    name.eq_ignore_ascii_case(CONTENT_TYPE)
}

const CONTENT_TYPE: &str = "Content-Type";
const NOT_OF_PARTS: [&str; 3] = ["content-range", "content-digest", "content-md5"];
/// Room for a delimiter, a media type and a range.
const PART_HEAD: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_between_delimiters_in_the_order_asked_for() {
        let whole = Chunk::of(b"0123456789".as_slice().into());
        let ranges = [ByteRange { start: 8, end: 10 }, ByteRange { start: 0, end: 1 }];
        let text = |media_type: Option<&[u8]>| {
            let chunks = multipart(&ranges, 10, &whole, media_type, Boundary(0xab));
            let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes().unwrap().to_vec()).collect();
            String::from_utf8(bytes).unwrap()
        };
        let mark = format!("--{:032x}", 0xab);
        assert_eq!(
            text(Some(b"text/plain")),
            format!(
                "{mark}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n\
                 {mark}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n{mark}--\r\n"
            )
        );
        assert!(!text(None).contains("Content-Type"));
    }

    #[test]
    fn no_two_boundaries_are_alike() {
        let mut seen = std::collections::HashSet::new();
        assert!((0..1000).all(|_| seen.insert(Boundary::new().0)));
    }
}
