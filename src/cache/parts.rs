//! Parts of responses (RFC 9111 §3.3, §3.4): what is stored of a representation that is not there whole.
//!
//! Under the key itself stands a *manifest*: the head of a 206 with its freshness, validators and variant, and for a body
//! the number of its generation, the complete length, how large its slices are, and which other parts there are. The parts
//! lie under keys of their own, made of the generation alone, so that whatever removes the manifest (a purge, an unsafe
//! method, a newer version) makes all of its parts unreachable at once. A purge removes them too, unless somebody is still
//! sent what they are parts of; otherwise they leave as the least recently used. A manifest is never found as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Cache;
use crate::policy::Fields;
use crate::policy::part::{Part, are_combinable};
use crate::policy::range::ByteRange;
use crate::store::{Body, Chunk, StoredHead, StoredResponse};
use crate::time::{HttpDate, Now};

/// What binds the stored parts of one representation together.
#[derive(Clone)]
pub struct Manifest {
    /// As stored under the key; its status is 206, its body is this manifest.
    pub response: Arc<StoredResponse>,
    places: Places,
}

/// Where the parts of one manifest lie: its content.
#[derive(Clone, PartialEq, Eq)]
struct Places {
    generation: u64,
    /// Up to where slices begin: the length of the representation.
    length: u64,
    /// Bytes of a slice; 0 where there are none.
    slice_size: u64,
    /// The oldest first; slices are not listed, for their places are known.
    parts: Vec<ByteRange>,
}

/// How a part is to be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// By its place: slices of so many bytes.
    Place(u64),
    /// In the manifest's list: parts of any size.
    List,
}

impl Manifest {
    /// Reads a manifest; `None` where `response` is none.
    pub fn of(response: &Arc<StoredResponse>) -> Option<Manifest> {
        if response.is_whole() {
            return None;
        }
        Some(Manifest { response: Arc::clone(response), places: Places::read(&response.body)? })
    }

    /// Does `other` speak of the same bytes, by one strong validator and one length (RFC 9111 §3.4)?
    pub fn is_same(&self, other: &Manifest) -> bool {
        self.is_of(&other.response, other.length())
    }

    /// Is a response of `length` bytes of the same representation?
    pub fn is_of(&self, response: &StoredResponse, length: u64) -> bool {
        // Only compared with each other: in whichever century a two-digit year is read, it is the same on both sides.
        let (ours, theirs) = (self.response.validators(HttpDate(0)), response.validators(HttpDate(0)));
        are_combinable((&ours, self.length()), (&theirs, length))
    }

    /// Bytes of the whole representation.
    pub fn length(&self) -> u64 {
        self.places.length
    }

    /// The key of the part that begins at `start`; no request's key begins like it.
    pub fn key_of(&self, start: u64) -> Vec<u8> {
        part_key(self.places.generation, start)
    }

    /// The same parts, with another head.
    pub fn content(&self) -> Arc<Body> {
        Arc::clone(&self.response.body)
    }
}

impl Places {
    /// Those of a new manifest.
    fn new(length: u64) -> Places {
        Places { generation: next_generation(), length, slice_size: 0, parts: Vec::new() }
    }

    /// Reads them; `None` where `content` is no manifest's.
    fn read(content: &Arc<Body>) -> Option<Places> {
        let content = content.sealed()?;
        let (numbers, rest) = content.bytes()?.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let (generation, length, slice_size) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let mut parts = Vec::new();
        while let (Some(start), Some(end)) = (numbers.next(), numbers.next()) {
            parts.push(ByteRange { start, end });
        }
        rest.is_empty().then_some(Places { generation, length, slice_size, parts })
    }

    fn write(&self) -> Vec<u8> {
        let ends = self.parts.iter().flat_map(|part| [part.start, part.end]);
        [self.generation, self.length, self.slice_size].into_iter().chain(ends).flat_map(u64::to_be_bytes).collect()
    }

    /// Where parts may begin.
    fn starts(&self) -> impl Iterator<Item = u64> {
        let slices = if self.slice_size == 0 { 0 } else { self.length.div_ceil(self.slice_size).min(MOST_SLICES) };
        let starts = (0..slices).map(|number| number.saturating_mul(self.slice_size));
        starts.chain(self.parts.iter().map(|part| part.start))
    }
}

impl<T: Clone> Cache<T> {
    /// The newest manifest under `key` for a request with these fields, fresh or not.
    pub fn manifest(&self, key: &[u8], fields: &dyn Fields) -> Option<Manifest> {
        let fits = |stored: &StoredResponse| {
            !stored.is_whole() && stored.variant.as_deref().is_none_or(|variant| variant.matches(fields))
        };
        Manifest::of(&self.store.find(key, fits)?)
    }

    /// The stored part that begins at `start`; its body may still be open.
    pub fn part(&self, manifest: &Manifest, start: u64) -> Option<Arc<StoredResponse>> {
        let stored = self.store.find(&manifest.key_of(start), |_| true)?;
        let part = Part::of(&stored.head)?;
        (part.range.start == start && manifest.is_of(&stored, part.length)).then_some(stored)
    }

    /// The bytes of `range` from listed parts, where they cover it and are complete.
    pub fn cover(&self, manifest: &Manifest, range: ByteRange) -> Option<(Vec<Arc<Body>>, Vec<Chunk>)> {
        let (mut bodies, mut chunks) = (Vec::new(), Vec::new());
        let mut position = range.start;
        while position < range.end {
            let reaches = |part: &&ByteRange| part.start <= position && position < part.end;
            let best = manifest.places.parts.iter().filter(reaches).max_by_key(|part| part.end)?;
            let stored = self.part(manifest, best.start)?;
            let mut chunk = stored.body.sealed().filter(|chunk| chunk.len() == best.length())?;
            chunk.advance(position.saturating_sub(best.start));
            chunk.truncate(range.end.saturating_sub(position));
            position = position.saturating_add(chunk.len());
            bodies.push(Arc::clone(&stored.body));
            chunks.push(chunk);
        }
        Some((bodies, chunks))
    }

    /// Stores a part, a 206 with its Content-Range, beside those that are of the same representation, or as the first of a
    /// new one, which takes the place of an older version; of two that come first at once one joins the other. Returns the manifest that it belongs to now, stored or not.
    pub fn keep_part(&self, key: &[u8], part: &Arc<StoredResponse>, listing: Listing, now: Now) -> Option<Manifest> {
        let Part { range, length } = Part::of(&part.head)?;
        let mut kept = None;
        for _ in 0..TRIES {
            let is_like = |stored: &StoredResponse| !stored.is_whole() && stored.variant == part.variant;
            let current = self.store.find(key, is_like).and_then(|stored| Manifest::of(&stored));
            let current = current.filter(|manifest| manifest.is_of(part, length));
            let mut places = current.as_ref().map_or_else(|| Places::new(length), |manifest| manifest.places.clone());
            let generation = places.generation;
            match listing {
                Listing::List => self.list(generation, range, &mut places.parts),
                Listing::Place(size) => places.slice_size = size,
            }
            self.store.insert(&part_key(generation, range.start), Arc::clone(part));
            let is_first = current.is_none();
            let (manifest, is_stored) = self.joined(key, part, current, places, now)?;
            kept = Some(manifest);
            if is_stored {
                break;
            }
            if is_first {
                self.store.remove(&part_key(generation, range.start));
            }
        }
        kept
    }

    /// The manifest with a part more; false where it could not be stored because it had changed meanwhile.
    fn joined(
        &self,
        key: &[u8],
        part: &Arc<StoredResponse>,
        current: Option<Manifest>,
        places: Places,
        now: Now,
    ) -> Option<(Manifest, bool)> {
        // The whole is as fresh as the least fresh of its parts; one that had gone stale is confirmed by a new part with
        // its strong validator, whose fields are the newer ones (RFC 9111 §3.4).
        let is_less_fresh =
            |old: &StoredResponse| !is_usable(old, now) || part.freshness.ttl(now) < old.freshness_at(now).ttl(now);
        let template = match &current {
            Some(manifest) if !is_less_fresh(&manifest.response) && manifest.places == places => {
                return Some((manifest.clone(), true));
            }
            Some(manifest) if !is_less_fresh(&manifest.response) => &manifest.response,
            _ => part,
        };
        // Manifests of the same parts share their content, so that it tells whether somebody has one of them.
        let content = match &current {
            Some(manifest) if manifest.places == places => manifest.content(),
            _ => Body::whole(places.write()),
        };
        let response = Arc::new(with_content(template, template.head.clone(), content));
        let is_stored = match &current {
            Some(old) => self.store.replace(key, &old.response, Arc::clone(&response)),
            None => {
                let is_same = |stored: &Arc<StoredResponse>| {
                    let is_like = !stored.is_whole() && stored.variant == part.variant && stored.body.may_be_shared();
                    is_like && Manifest::of(stored).is_some_and(|manifest| manifest.is_of(part, places.length))
                };
                self.store.insert_unless(key, &response, is_same)
            }
        };
        Some((Manifest::of(&response)?, is_stored))
    }

    /// Removes the parts of a manifest that is gone, given its content, unless somebody has the manifest still: what he is
    /// sent goes on with them.
    pub fn remove_parts(&self, content: &Arc<Body>) {
        let Some(places) = Places::read(content).filter(|_| Arc::strong_count(content) == 1) else { return };
        for start in places.starts() {
            self.store.remove(&part_key(places.generation, start));
        }
    }

    /// Adds a range to a list, takes out what it makes needless or what is gone, and keeps to the limits.
    fn list(&self, generation: u64, range: ByteRange, parts: &mut Vec<ByteRange>) {
        let contains = |outer: &ByteRange, inner: &ByteRange| outer.start <= inner.start && inner.end <= outer.end;
        let mut leaving: Vec<ByteRange> = Vec::new();
        parts.retain(|part| {
            let stays = !contains(&range, part) && self.store.has_key(&part_key(generation, part.start));
            if !stays {
                leaving.push(*part);
            }
            stays
        });
        parts.push(range);
        let bytes = |parts: &[ByteRange]| parts.iter().map(ByteRange::length).fold(0, u64::saturating_add);
        while parts.len() > MOST_PARTS || (parts.len() > 1 && bytes(parts) > self.store.max_response()) {
            leaving.push(parts.remove(0));
        }
        for part in leaving.iter().filter(|part| part.start != range.start) {
            self.store.remove(&part_key(generation, part.start));
        }
    }
}

/// The same response with another head and content.
fn with_content(response: &StoredResponse, head: StoredHead, body: Arc<Body>) -> StoredResponse {
    StoredResponse {
        head,
        freshness: response.freshness,
        mark: response.mark.copied(),
        variant: response.variant.clone(),
        body,
    }
}

/// May it be used without asking the origin?
fn is_usable(response: &StoredResponse, now: Now) -> bool {
    let freshness = response.freshness_at(now);
    freshness.is_fresh(now) && !freshness.is_no_cache()
}

fn part_key(generation: u64, start: u64) -> Vec<u8> {
    [&PART_KEY[..], &generation.to_be_bytes(), &start.to_be_bytes()].concat()
}

/// The key under which requests for one slice of something unknown meet: they are one flight, and nothing is stored there.
pub fn meeting_key(key: &[u8], start: u64) -> Vec<u8> {
    [&MEETING_KEY[..], &start.to_be_bytes(), key].concat()
}

/// The key of the request that meets others at this one; what is no meeting key is its own.
pub fn met_under(key: &[u8]) -> &[u8] {
    let behind = key.strip_prefix(&MEETING_KEY).and_then(|rest| rest.get(size_of::<u64>()..));
    behind.unwrap_or(key)
}

fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// A request's key begins with a length in its shortest form; a continued zero is none.
const PART_KEY: [u8; 3] = [0x80, 0x00, b'p'];
const MEETING_KEY: [u8; 3] = [0x80, 0x00, b'm'];
/// Slices of one manifest that are looked for where it is gone: those of a terabyte, of a mebibyte each. Any behind them
/// leave as the least recently used.
const MOST_SLICES: u64 = 1 << 20;
/// Parts in one list; the oldest leaves.
const MOST_PARTS: usize = 16;
/// Others may add to the same manifest at the same time; whoever loses so often leaves its part out.
const TRIES: usize = 4;

#[cfg(test)]
#[path = "tests_parts.rs"]
mod tests;
