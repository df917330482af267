//! Slices (`range_fetch = "slices"`): which of them a request begins with, and what becomes of it when that has come.
//!
//! One request asks for one slice at a time, and one fetch a slice serves all who want it. Slices that cannot be told from
//! those of another version are not used: the request goes on as if there were none, and the key is left alone for a while.

use std::sync::Arc;

use super::super::Core;
use super::super::Proxy;
use super::super::answer::Ask;
use super::super::depart::{depart, on_its_own};
use super::super::exchange::{Desk, Exchange};
use super::super::fetch::Goal;
use super::super::landing::{Arrived, Landing};
use super::{Assembled, Content, Courier, Outcome, Partial};
use crate::cache::{Manifest, Role, Waiting, meeting_key};
use crate::config::Site;
use crate::http1::Present;
use crate::policy::Why;
use crate::policy::directives::RequestDirectives;
use crate::policy::part::Part;
use crate::policy::range::{ByteRange, FirstByte};
use crate::policy::reuse::{Reuse, reuse};
use crate::server::Step;
use crate::status::{CacheStatus, Forward};
use crate::store::{Reader, StoredResponse};
use crate::time::Now;

/// One slice, to be fetched.
#[derive(Clone)]
pub struct Slice {
    /// Its bytes; the last slice of a representation has fewer.
    pub range: ByteRange,
    /// What is known of the representation.
    pub manifest: Option<Manifest>,
    /// The slice itself, where only what is known has to be confirmed.
    pub stored: Option<Arc<StoredResponse>>,
    /// Bytes of the same answer have been sent: nothing but this slice is of use.
    pub is_continued: bool,
}

impl Slice {
    /// Joins those who want it, or begins its flight. Where no version is known yet, what detaches the key's flights
    /// detaches this one too; otherwise its version is forgotten with the key. One that was begun before anything was known
    /// serves those who know more by now as well.
    pub fn join(&self, core: &Core, key: &[u8], now: Now) -> Role<Landing> {
        let flights = &core.cache.flights;
        let Some(manifest) = &self.manifest else {
            return flights.join_selected(key, &meeting_key(key, self.range.start), now);
        };
        match begun_unknowing(core, key, self.range).filter(|_| !self.is_continued) {
            Some(waiting) => Role::Follow(waiting),
            None => flights.join_selected(&manifest.key_of(self.range.start), b"", now),
        }
    }
}

/// The flight of a slice that was begun when nothing was known of the representation.
pub fn begun_unknowing(core: &Core, key: &[u8], slice: ByteRange) -> Option<Waiting<Landing>> {
    core.cache.flights.follow(key, &meeting_key(key, slice.start))
}

/// The slice that a byte lies in.
pub fn slice_at(byte: u64, size: u64) -> ByteRange {
    let size = size.max(1);
    let start = byte - byte % size;
    ByteRange { start, end: start.saturating_add(size) }
}

/// A stored slice, or one that is arriving.
pub fn stored_slice(core: &Core, manifest: &Manifest, range: ByteRange) -> Option<Arc<StoredResponse>> {
    let stored = core.cache.part(manifest, range.start)?;
    Part::of(&stored.head)?.answers(range).then_some(stored)
}

/// The first step of a request: served from slices, or the fetch of the first one that it needs.
pub fn look(
    core: &Core,
    ask: &Ask<'_>,
    key: &[u8],
    site: &Site,
    directives: Option<&RequestDirectives>,
    now: Now,
) -> Partial {
    if let Some(why) = own_affair(ask, directives) {
        let goal = if ask.present.has_any(Present::RANGE) { Goal::Pass } else { Goal::Apart };
        return Partial::Fetch(goal, Forward::Bypass, why.word());
    }
    if core.cache.flights.is_uncollapsible(key, now) {
        return Partial::Nothing;
    }
    let Some(manifest) = core.cache.manifest(key, ask.fields) else {
        return first_of_unknown(ask, site);
    };
    let outcome = Outcome::of(ask, &manifest, now);
    let whole = [ByteRange { start: 0, end: manifest.length() }];
    let wanted = outcome.wanted().unwrap_or(&whole).to_vec();
    let range = slice_at(wanted.first().map_or(0, |range| range.start), site.slice_size);
    let fetch = |forward, stored, why| {
        let slice = Slice { range, manifest: Some(manifest.clone()), stored, is_continued: false };
        Partial::Fetch(Goal::Slice(Box::new(slice)), forward, why)
    };
    let stored = stored_slice(core, &manifest, range);
    let stale = match reuse(directives, &manifest.response.freshness_at(now), &site.rules, now) {
        Reuse::Fresh => None,
        Reuse::Stale(why) if stored.is_some() => Some(why),
        Reuse::Validate(why) if why.is_forced() => return fetch(Forward::Request, stored, why.word()),
        Reuse::Validate(why) | Reuse::Stale(why) | Reuse::Unsatisfiable(why) => {
            return fetch(Forward::Stale, stored, why.word());
        }
    };
    let needs_bytes = outcome.wanted().is_some() && ask.method != "HEAD";
    let is_only_cached = directives.is_some_and(|directives| directives.only_if_cached);
    let content = match stored {
        _ if !needs_bytes => Content::None,
        Some(_) if is_only_cached && !wanted.iter().all(|range| is_all_stored(core, &manifest, *range, site)) => {
            return fetch(Forward::Partial, None, Why::Slice.word());
        }
        Some(stored) => Content::Slices(Reader::new(&stored.body), range),
        None => return fetch(Forward::Partial, None, Why::Slice.word()),
    };
    Partial::Serve(Box::new(Assembled { manifest, outcome, content }), stale)
}

/// Why what this request brings could not be stored, whatever it is: then slices, which have to be, are not for it, and
/// what comes of it says nothing of them.
fn own_affair(ask: &Ask<'_>, directives: Option<&RequestDirectives>) -> Option<Why> {
    if directives.is_some_and(|directives| directives.no_store) {
        return Some(Why::RequestNoStore);
    }
    ask.present.has_any(Present::AUTHORIZATION).then_some(Why::Authorization)
}

/// Nothing is known: the slice that the asked range begins in; the first one where that depends on the length.
fn first_of_unknown(ask: &Ask<'_>, site: &Site) -> Partial {
    let first = match ask.present.has_any(Present::RANGE) {
        true => ask.read_field("range", FirstByte::parse),
        false => FirstByte::At(0),
    };
    let byte = match first {
        _ if ask.method != "GET" => return Partial::Nothing,
        FirstByte::OfSeveral => return Partial::Nothing,
        FirstByte::OfSuffix => 0,
        // No origin has so much, and it will say so itself.
        FirstByte::At(byte) if byte > FARTHEST => return Partial::Nothing,
        FirstByte::At(byte) => byte,
    };
    let range = slice_at(byte, site.slice_size);
    let slice = Slice { range, manifest: None, stored: None, is_continued: false };
    Partial::Fetch(Goal::Slice(Box::new(slice)), Forward::UriMiss, Why::Slice.word())
}

fn is_all_stored(core: &Core, manifest: &Manifest, wanted: ByteRange, site: &Site) -> bool {
    let size = site.slice_size;
    let mut range = slice_at(wanted.start, size);
    for _ in 0..MOST_LOOKED_FOR {
        if stored_slice(core, manifest, range).is_none() {
            return false;
        }
        if range.end >= wanted.end {
            return true;
        }
        range = slice_at(range.end, size);
    }
    false
}

/// A slice has come: the answer begins, or goes on to the slice that it really begins with.
pub fn landed(desk: &mut Desk<'_>, mut exchange: Exchange, mut arrived: Arrived, came: ByteRange) -> Step<Proxy> {
    let request = exchange.request.clone();
    let ask = Ask::of_request(&request);
    let Some(manifest) = Manifest::of(&arrived.response) else { return on_its_own(desk, exchange) };
    let outcome = Outcome::of(&ask, &manifest, desk.now);
    let content = match outcome.wanted().and_then(<[ByteRange]>::first) {
        Some(range) => {
            let wanted = slice_at(range.start, exchange.site.slice_size);
            let stored = match wanted == came {
                true => arrived.reader.take(),
                false => stored_slice(desk.core, &manifest, wanted).map(|stored| Reader::new(&stored.body)),
            };
            match stored {
                Some(reader) => Content::Slices(reader, wanted),
                None if exchange.returns >= MOST_RETURNS => return on_its_own(desk, exchange),
                None => {
                    exchange.returns += 1;
                    let slice = Slice { range: wanted, manifest: Some(manifest), stored: None, is_continued: false };
                    return depart(desk, exchange, Goal::Slice(Box::new(slice)));
                }
            }
        }
        None => Content::None,
    };
    let assembled = Assembled { manifest, outcome, content };
    answer(desk, exchange, assembled, arrived)
}

/// Answers an exchange that waited from parts.
pub fn answer(desk: &mut Desk<'_>, exchange: Exchange, assembled: Assembled, arrived: Arrived) -> Step<Proxy> {
    let courier = Courier {
        core: desk.core.clone(),
        site: exchange.site.clone(),
        request: exchange.request.clone(),
        key: exchange.key.clone().unwrap_or_default(),
    };
    let write = |out: &mut Vec<u8>, ask: &Ask<'_>, status: &CacheStatus, now: Now| {
        assembled.write(out, ask, status, now, || courier)
    };
    Step::Answer(exchange.answer_with(desk, arrived, write))
}

const FARTHEST: u64 = 1 << 62;
const MOST_RETURNS: u8 = 3;
/// Slices that `only-if-cached` is looked up for.
const MOST_LOOKED_FOR: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_lies_in_the_slice_that_begins_at_a_multiple_of_the_size() {
        for (byte, size, start, end) in
            [(0, 10, 0, 10), (9, 10, 0, 10), (10, 10, 10, 20), (u64::MAX, 1, u64::MAX, u64::MAX)]
        {
            assert_eq!(slice_at(byte, size), ByteRange { start, end }, "{byte}");
        }
    }
}
