//! Answers from parts of a response (RFC 9111 §3.3, §3.4): parts that clients' own ranges brought, or slices.
//!
//! What is stored and what binds it is `cache::parts`'; here is decided what of it a request means and how that is sent.
//! Bytes of two versions never meet in one answer: every part has the strong validator and the length of its manifest.

mod fetch;
mod sequence;
mod slices;

use std::sync::Arc;

pub use sequence::Courier;
pub use slices::{Slice, answer, landed};

use super::Core;
use super::answer::{Ask, conditions, copy_fields, finish_head, is_kept_by_304, is_kept_by_refusal, write_status};
use super::fetch::Goal;
use super::multipart::{Contents, Multipart};
use super::ranged::is_kept_by_part;
use crate::cache::Manifest;
use crate::config::{RangeFetch, Site};
use crate::http1::Present;
use crate::policy::Why;
use crate::policy::directives::RequestDirectives;
use crate::policy::range::{ByteRange, Ranges};
use crate::policy::reuse::{Reuse, reuse};
use crate::policy::validator::{self, Precondition};
use crate::server::{Payload, Sequence};
use crate::status::{CacheStatus, Forward};
use crate::store::{Body, Chunk, Reader, StoredResponse};
use crate::time::Now;

/// What parts can do for a request for which no whole is stored.
pub enum Partial {
    /// Answer it now; for this reason although it is stale.
    Serve(Box<Assembled>, Option<Why>),
    /// Nothing yet: ask the origin for this, for these reasons.
    Fetch(Goal, Forward, &'static str),
    /// Nothing at all.
    Nothing,
}

/// An answer that is put together from parts.
pub struct Assembled {
    manifest: Manifest,
    outcome: Outcome,
    content: Content,
}

/// What a request comes to, given the representation that it is about.
#[derive(Clone)]
enum Outcome {
    NotModified,
    Failed,
    Unsatisfiable,
    /// Several ranges: 206 with a part for each.
    Several(Vec<ByteRange>),
    Bytes {
        range: ByteRange,
        /// It asked for a range: 206.
        is_part: bool,
    },
}

/// Where the bytes come from.
enum Content {
    /// None are wanted, or only their number.
    None,
    /// They are all there.
    Chunks(Vec<Arc<Body>>, Vec<Chunk>),
    /// The same for each of several ranges.
    Several(Vec<Arc<Body>>, Vec<Vec<Chunk>>),
    /// The first slice is there, or arriving; this is where it begins.
    Slices(Reader, ByteRange),
}

/// Looks whether stored parts answer the request, or which of them is to be fetched.
pub fn look(
    core: &Core,
    ask: &Ask<'_>,
    key: &[u8],
    site: &Site,
    directives: Option<&RequestDirectives>,
    now: Now,
) -> Partial {
    match site.range_fetch {
        RangeFetch::Whole => Partial::Nothing,
        RangeFetch::Pass => passed(core, ask, key, site, directives, now),
        RangeFetch::Slices => slices::look(core, ask, key, site, directives, now),
    }
}

/// Parts that clients' own ranges brought: used where they are fresh and cover all that is asked for.
fn passed(
    core: &Core,
    ask: &Ask<'_>,
    key: &[u8],
    site: &Site,
    directives: Option<&RequestDirectives>,
    now: Now,
) -> Partial {
    let Some(manifest) = core.cache.manifest(key, ask.fields) else { return Partial::Nothing };
    let stale = match reuse(directives, &manifest.response.freshness_at(now), &site.rules, now) {
        Reuse::Fresh => None,
        // Nothing refreshes it behind the answer: that would fetch the client's own range for nobody.
        Reuse::Stale(why) if why != Why::StaleWhileRevalidate => Some(why),
        Reuse::Validate(why) | Reuse::Stale(why) | Reuse::Unsatisfiable(why) => {
            let forward = if why.is_forced() { Forward::Request } else { Forward::Stale };
            return Partial::Fetch(Goal::Store, forward, why.word());
        }
    };
    let outcome = Outcome::of(ask, &manifest, now);
    let content = match outcome {
        _ if ask.method == "HEAD" => None,
        Outcome::Several(ref ranges) => {
            let covered: Option<Vec<_>> = ranges.iter().map(|range| core.cache.cover(&manifest, *range)).collect();
            covered.map(|parts| {
                let (bodies, chunks): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                Content::Several(bodies.concat(), chunks)
            })
        }
        Outcome::Bytes { range, .. } => {
            core.cache.cover(&manifest, range).map(|(bodies, chunks)| Content::Chunks(bodies, chunks))
        }
        _ => Some(Content::None),
    };
    match content {
        Some(content) => Partial::Serve(Box::new(Assembled { manifest, outcome, content }), stale),
        None => Partial::Fetch(Goal::Store, Forward::Partial, ""),
    }
}

impl Outcome {
    /// The bytes that it takes, if any.
    fn wanted(&self) -> Option<&[ByteRange]> {
        match self {
            Outcome::Bytes { range, .. } => Some(std::slice::from_ref(range)),
            Outcome::Several(ranges) => Some(ranges),
            Outcome::NotModified | Outcome::Failed | Outcome::Unsatisfiable => None,
        }
    }

    /// As if the whole were stored: conditions first (RFC 9110 §13.2.2), then the range.
    fn of(ask: &Ask<'_>, manifest: &Manifest, now: Now) -> Outcome {
        let whole = Outcome::Bytes { range: ByteRange { start: 0, end: manifest.length() }, is_part: false };
        if !ask.present.has_any(conditions()) {
            return whole;
        }
        let validators = manifest.response.validators(now.date());
        match validator::evaluate(ask.fields, ask.method, 200, &validators, now) {
            Precondition::Proceed => {}
            Precondition::NotModified => return Outcome::NotModified,
            Precondition::Failed => return Outcome::Failed,
        }
        let is_refused = || {
            ask.present.has_any(Present::IF_RANGE)
                && !ask.read_field("if-range", |value| validators.allow_range(value, now))
        };
        if ask.method != "GET" || !ask.present.has_any(Present::RANGE) || is_refused() {
            return whole;
        }
        match ask.read_field("range", |value| Ranges::parse(value, manifest.length())) {
            Ranges::Whole => whole,
            Ranges::One(range) => Outcome::Bytes { range, is_part: true },
            Ranges::Many(ranges) => Outcome::Several(ranges),
            Ranges::Unsatisfiable => Outcome::Unsatisfiable,
        }
    }
}

impl Assembled {
    /// The manifest's time to live, for `Cache-Status`.
    pub fn ttl(&self, now: Now) -> i64 {
        self.manifest.response.freshness_at(now).ttl(now)
    }

    /// What confirms it: the representation's first slice, so that all who ask meet in one fetch; or, where that is not
    /// stored, the first that is wanted.
    pub fn to_confirm(&self, core: &Core, site: &Site) -> Option<Goal> {
        let wanted = self.outcome.wanted().and_then(<[ByteRange]>::first).map_or(0, |range| range.start);
        let stored = |start| {
            let range = slices::slice_at(start, site.slice_size);
            slices::stored_slice(core, &self.manifest, range).map(|stored| (range, stored))
        };
        let (range, stored) = stored(0).or_else(|| stored(wanted))?;
        let manifest = Some(self.manifest.clone());
        Some(Goal::Slice(Box::new(Slice { range, manifest, stored: Some(stored), is_continued: false })))
    }

    /// The manifest as stored.
    pub fn response(&self) -> Arc<StoredResponse> {
        Arc::clone(&self.manifest.response)
    }

    /// Writes the head and says what follows; `courier` fetches slices that the first is followed by.
    pub fn write(
        self,
        out: &mut Vec<u8>,
        ask: &Ask<'_>,
        cache: &CacheStatus,
        now: Now,
        courier: impl FnOnce() -> Courier,
    ) -> (u16, Payload) {
        let Assembled { manifest, outcome, content } = self;
        if let Outcome::Several(ranges) = outcome {
            let multipart = Multipart::of(&ranges, manifest.length(), &manifest.response);
            multipart.write_head(out, ask, &manifest.response, cache, now);
            return (206, multipart.payload(several(manifest, &ranges, content, courier)));
        }
        let status = write_head(out, ask, (&manifest, &outcome), cache, now);
        let payload = match (outcome, content) {
            (Outcome::NotModified, _) => Payload::Absent,
            (Outcome::Bytes { range, .. }, _) if ask.method == "HEAD" => Payload::Head(Some(range.length())),
            (Outcome::Bytes { .. }, Content::Chunks(bodies, chunks)) => Payload::Parts { bodies, chunks },
            (Outcome::Bytes { range, .. }, Content::Slices(reader, slice)) if range.end <= slice.end => {
                let skip = range.start.saturating_sub(slice.start);
                Payload::Stream { reader, skip, length: Some(range.length()) }
            }
            (Outcome::Bytes { range, .. }, Content::Slices(reader, slice)) => {
                let sequence = sequence::Slices::new(courier(), manifest, range, (reader, slice));
                Payload::Sequence { sequence: Box::new(sequence), length: range.length() }
            }
            _ => Payload::Empty,
        };
        (status, payload)
    }
}

/// The content of several ranges: what is there, or slice by slice.
fn several(manifest: Manifest, ranges: &[ByteRange], content: Content, courier: impl FnOnce() -> Courier) -> Contents {
    if let Content::Several(bodies, chunks) = content {
        return Contents::There(bodies, chunks);
    }
    let mut first = match content {
        Content::Slices(reader, slice) => Some((reader, slice)),
        _ => None,
    };
    let courier = courier();
    let part = |range: &ByteRange| -> Box<dyn Sequence> {
        Box::new(sequence::Slices::begin(courier.clone(), manifest.clone(), *range, first.take()))
    };
    Contents::Arriving(ranges.iter().map(part).collect())
}

/// Status line and fields; those of the manifest are of a 206, but for what only a part says all hold for the whole.
fn write_head(
    out: &mut Vec<u8>,
    ask: &Ask<'_>,
    (manifest, outcome): (&Manifest, &Outcome),
    cache: &CacheStatus,
    now: Now,
) -> u16 {
    let response = &manifest.response;
    let status = match outcome {
        Outcome::NotModified => 304,
        Outcome::Failed => 412,
        Outcome::Unsatisfiable => 416,
        Outcome::Bytes { is_part: true, .. } => 206,
        Outcome::Bytes { .. } | Outcome::Several(_) => 200,
    };
    write_status(out, status);
    match outcome {
        Outcome::NotModified => copy_fields(out, ask, response, cache, is_kept_by_304),
        Outcome::Failed | Outcome::Unsatisfiable => copy_fields(out, ask, response, cache, is_kept_by_refusal),
        Outcome::Bytes { .. } | Outcome::Several(_) => copy_fields(out, ask, response, cache, is_kept_by_part),
    }
    match outcome {
        Outcome::Bytes { range, is_part: true } => {
            out.extend_from_slice(b"Content-Range: ");
            range.write_content_range(manifest.length(), out);
            out.extend_from_slice(b"\r\n");
        }
        Outcome::Unsatisfiable => {
            out.extend_from_slice(format!("Content-Range: bytes */{}\r\n", manifest.length()).as_bytes());
        }
        _ => {}
    }
    finish_head(out, response.freshness.age(now), cache);
    status
}
