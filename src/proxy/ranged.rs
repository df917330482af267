//! Answers to range requests from a stored or arriving response: one part, several parts, or none that exists
//! (RFC 9110 §14.2, §15.3.7, §15.5.17).
//!
//! Which bytes are meant is `policy::range`'s; how they reach the socket is `server`'s.

use std::io::Write;
use std::sync::Arc;

use super::answer::{Ask, copy_fields, finish_head, is_kept_by_refusal, write_status};
use super::multipart::{Contents, Multipart};
use crate::http1::Present;
use crate::policy::range::{ByteRange, Ranges};
use crate::server::{Payload, Sequence, Stretch};
use crate::status::CacheStatus;
use crate::store::{Body, Reader, StoredResponse};
use crate::time::Now;

/// The answer to a range request, where there is one; nothing is written otherwise, and the whole is to be sent.
///
/// Ranges can be cut from a body under way as soon as its length is known. Several only from one that is kept: they may be
/// asked for in any order, and whoever waits for the last bytes first would hold all others back.
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
            if let Some(mut whole) = response.body.in_memory() {
                whole.advance(part.start);
                whole.truncate(part.length());
                return Some((206, Payload::Whole(whole)));
            }
            let reader = Reader::new(&response.body);
            Some((206, Payload::Stream { reader, skip: part.start, length: Some(part.length()) }))
        }
        Ranges::Many(ranges) => {
            let contents = contents(&response.body, &ranges)?;
            let multipart = Multipart::of(&ranges, length, response);
            multipart.write_head(out, ask, response, cache, now);
            Some((206, multipart.payload(contents)))
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

/// The content of several ranges; `None` where the body does not stay for all of them.
fn contents(body: &Arc<Body>, ranges: &[ByteRange]) -> Option<Contents> {
    let Some(whole) = body.sealed() else {
        let stretch = |range: &ByteRange| Stretch::new(Reader::new(body), range.start, Some(range.length()));
        let stretches = ranges.iter().map(|range| Box::new(stretch(range)) as Box<dyn Sequence>);
        return body.is_kept().then(|| Contents::Arriving(stretches.collect()));
    };
    let part = |range: &ByteRange| {
        let mut part = whole.clone();
        part.advance(range.start);
        part.truncate(range.length());
        vec![part]
    };
    Some(Contents::There(vec![Arc::clone(body)], ranges.iter().map(part).collect()))
}

/// What a part of a response may say of itself: not the range that a whole response claims to be, nor a digest of content
/// that is not sent (RFC 9530 §2; Repr-Digest is of the whole and stays).
pub fn is_kept_by_part(name: &str) -> bool {
    !NOT_OF_PARTS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

const NOT_OF_PARTS: [&str; 3] = ["content-range", "content-digest", "content-md5"];
