//! Several ranges in one answer: multipart/byteranges (RFC 9110 §14.6, RFC 2046 §5.1), from what is all there or from what
//! is still to come.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::Arc;

use super::answer::{Ask, copy_fields, finish_head, write_field, write_status};
use super::ranged::is_kept_by_part;
use crate::policy::range::ByteRange;
use crate::server::{Payload, Sequence};
use crate::status::CacheStatus;
use crate::store::{Body, Chunk, Next, StoredResponse};
use crate::time::Now;
use crate::wake::Wake;

/// The frame of such an answer, without the content of its parts.
pub struct Multipart {
    boundary: Boundary,
    /// What stands before each part.
    texts: Vec<Vec<u8>>,
    /// Bytes of all parts' content.
    content: u64,
}

/// The content of the parts, one for each range.
pub enum Contents {
    /// All is there, in these bodies.
    There(Vec<Arc<Body>>, Vec<Vec<Chunk>>),
    /// It comes while it is sent.
    Arriving(Vec<Box<dyn Sequence>>),
}

impl Multipart {
    /// The frame for `ranges` of a representation of `length` bytes, which has the media type of `response`.
    pub fn of(ranges: &[ByteRange], length: u64, response: &StoredResponse) -> Multipart {
        let mut fields = response.head.fields();
        let media_type = fields.find_map(|(name, value)| is_content_type(name).then_some(value));
        Multipart::framed(ranges, length, media_type, Boundary::new())
    }

    fn framed(ranges: &[ByteRange], length: u64, media_type: Option<&[u8]>, boundary: Boundary) -> Multipart {
        // The line end before a delimiter belongs to it, and the first one has nothing to end.
        let line_ends = std::iter::once("").chain(std::iter::repeat("\r\n"));
        let text = |(range, line_end): (&ByteRange, &str)| {
            let mut text = Vec::with_capacity(PART_HEAD);
            let _ = write!(text, "{line_end}--{boundary}\r\n");
            if let Some(media_type) = media_type {
                write_field(&mut text, CONTENT_TYPE, media_type);
            }
            text.extend_from_slice(b"Content-Range: ");
            range.write_content_range(length, &mut text);
            text.extend_from_slice(b"\r\n\r\n");
            text
        };
        let content = ranges.iter().map(ByteRange::length).fold(0, u64::saturating_add);
        Multipart { boundary, texts: ranges.iter().zip(line_ends).map(text).collect(), content }
    }

    /// Status line and fields: those of a part, under a media type of their own.
    pub fn write_head(
        &self,
        out: &mut Vec<u8>,
        ask: &Ask<'_>,
        response: &StoredResponse,
        cache: &CacheStatus,
        now: Now,
    ) {
        write_status(out, 206);
        copy_fields(out, ask, response, cache, |name| is_kept_by_part(name) && !is_content_type(name));
        let _ = write!(out, "{CONTENT_TYPE}: multipart/byteranges; boundary={}\r\n", self.boundary);
        finish_head(out, response.freshness.age(now), cache);
    }

    /// The whole message body.
    pub fn payload(self, contents: Contents) -> Payload {
        let end = format!("\r\n--{}--\r\n", self.boundary).into_bytes();
        match contents {
            Contents::There(bodies, parts) => {
                let framed = self.texts.into_iter().zip(parts);
                let chunks = framed.flat_map(|(text, part)| std::iter::once(Chunk::of(text.into())).chain(part));
                Payload::Parts { bodies, chunks: chunks.chain([Chunk::of(end.into())]).collect() }
            }
            Contents::Arriving(parts) => {
                let bytes = |text: &Vec<u8>| u64::try_from(text.len()).unwrap_or(u64::MAX);
                let frame = self.texts.iter().chain([&end]).map(bytes).fold(0, u64::saturating_add);
                let framed = self.texts.into_iter().zip(parts);
                let pieces = framed.flat_map(|(text, part)| [Piece::Text(text), Piece::Content(part)]);
                let sequence = Framed(pieces.chain([Piece::Text(end)]).collect());
                Payload::Sequence { sequence: Box::new(sequence), length: self.content.saturating_add(frame) }
            }
        }
    }
}

/// Texts of ours and content that comes, in turn.
struct Framed(VecDeque<Piece>);

enum Piece {
    Text(Vec<u8>),
    Content(Box<dyn Sequence>),
}

impl Sequence for Framed {
    fn next(&mut self, wake: &mut dyn FnMut() -> Wake) -> Next {
        loop {
            match self.0.front_mut() {
                None => return Next::Complete,
                Some(Piece::Text(text)) => {
                    let chunk = Chunk::of(std::mem::take(text).into());
                    self.0.pop_front();
                    return Next::Chunk(chunk);
                }
                Some(Piece::Content(content)) => match content.next(wake) {
                    Next::Complete => drop(self.0.pop_front()),
                    next => return next,
                },
            }
        }
    }
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

fn is_content_type(name: &str) -> bool {
    name.eq_ignore_ascii_case(CONTENT_TYPE)
}

const CONTENT_TYPE: &str = "Content-Type";
/// Room for a delimiter, a media type and a range.
const PART_HEAD: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Stretch;
    use crate::store::Reader;

    const RANGES: [ByteRange; 2] = [ByteRange { start: 8, end: 10 }, ByteRange { start: 0, end: 1 }];

    /// The message body, from parts that are there or that come, with the length that was told.
    fn text(media_type: Option<&[u8]>, is_arriving: bool) -> (String, u64) {
        let body = Body::whole(b"0123456789".to_vec());
        let cut = |range: &ByteRange| {
            let mut chunk = body.sealed().unwrap();
            chunk.advance(range.start);
            chunk.truncate(range.length());
            vec![chunk]
        };
        let stretch = |range: &ByteRange| -> Box<dyn Sequence> {
            Box::new(Stretch::new(Reader::new(&body), range.start, Some(range.length())))
        };
        let contents = match is_arriving {
            true => Contents::Arriving(RANGES.iter().map(stretch).collect()),
            false => Contents::There(Vec::new(), RANGES.iter().map(cut).collect()),
        };
        let mut bytes = Vec::new();
        let length = match Multipart::framed(&RANGES, 10, media_type, Boundary(0xab)).payload(contents) {
            Payload::Parts { chunks, .. } => {
                chunks.iter().for_each(|chunk| bytes.extend_from_slice(chunk.bytes().unwrap()));
                chunks.iter().map(Chunk::len).sum()
            }
            Payload::Sequence { mut sequence, length } => {
                while let Next::Chunk(chunk) = sequence.next(&mut || unreachable!("all of it is there")) {
                    bytes.extend_from_slice(chunk.bytes().unwrap());
                }
                length
            }
            _ => panic!("no content"),
        };
        (String::from_utf8(bytes).unwrap(), length)
    }

    #[test]
    fn parts_stand_between_delimiters_in_the_order_asked_for() {
        let mark = format!("--{:032x}", 0xab);
        let expected = format!(
            "{mark}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n\
             {mark}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n{mark}--\r\n"
        );
        for is_arriving in [false, true] {
            let (text_of_type, length) = text(Some(b"text/plain"), is_arriving);
            assert_eq!((text_of_type.as_str(), length), (expected.as_str(), expected.len() as u64));
            assert!(!text(None, is_arriving).0.contains("Content-Type"));
        }
    }

    #[test]
    fn no_two_boundaries_are_alike() {
        let mut seen = std::collections::HashSet::new();
        assert!((0..1000).all(|_| seen.insert(Boundary::new().0)));
    }
}
