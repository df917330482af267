//! What to do for a request, given what is stored: the policy's answer put into the proxy's words.

use std::sync::Arc;

use super::Core;
use super::answer::Ask;
use super::fetch::Goal;
use super::parts::{self, Assembled, Partial};
use crate::cache::Lookup;
use crate::config::{RangeFetch, Site};
use crate::http1::Present;
use crate::observe::CacheResult;
use crate::policy::Why;
use crate::policy::directives::RequestDirectives;
use crate::status::{CacheStatus, Forward};
use crate::store::{Reader, StoredResponse};
use crate::time::Now;

/// What the store has for a request, decided.
pub enum Decision {
    /// Answer from it now; with a reader where its body is still under way.
    Serve(Arc<StoredResponse>, Option<Reader>, CacheStatus, CacheResult),
    /// The same, and have it validated meanwhile (RFC 5861 §3).
    ServeAndRefresh(Arc<StoredResponse>, CacheStatus),
    /// Answer from stored parts, put together.
    ServeParts(Box<Assembled>, CacheStatus),
    /// Ask the origin, perhaps whether the stored response still holds.
    Fetch(Goal, Forward, &'static str),
    /// `only-if-cached`, and it is not (RFC 9111 §5.2.1.7).
    NotCached,
}

/// Decides; `key` only where the answer may be shared at all.
pub fn decide(core: &Core, ask: &Ask<'_>, key: Option<impl AsRef<[u8]>>, site: &Site, now: Now) -> Decision {
    let Some(key) = key else {
        return Decision::Fetch(Goal::Pass, Forward::Method, Why::Method.word());
    };
    let has_directives =
        !site.rules.ignore_client_cache_control && ask.present.has_any(Present::CACHE_CONTROL | Present::PRAGMA);
    let directives = has_directives.then(|| RequestDirectives::parse(ask.fields));
    let is_only_cached = directives.as_ref().is_some_and(|directives| directives.only_if_cached);
    let (goal, forward, reason) =
        match core.cache.lookup(key.as_ref(), ask.fields, directives.as_ref(), &site.rules, now) {
            Lookup::Fresh(stored) => {
                let (ttl, whose) = (Some(stored.freshness.ttl(now)), stored.freshness.source().why());
                let status = CacheStatus { hit: true, ttl, detail: whose.map(Why::word), ..CacheStatus::default() };
                match taken(&stored, ask) {
                    Ok(reader) => return Decision::Serve(stored, reader, status, CacheResult::Hit),
                    Err(Gone) => (Goal::Store, Forward::UriMiss, ""),
                }
            }
            Lookup::Stale(stored, why) => {
                let is_refreshed = why == Why::StaleWhileRevalidate;
                let ttl = Some(stored.freshness_at(now).ttl(now));
                let status = CacheStatus { hit: true, ttl, detail: Some(why.word()), ..CacheStatus::default() };
                return match is_refreshed {
                    true => Decision::ServeAndRefresh(stored, status),
                    false => Decision::Serve(stored, None, status, CacheResult::Stale),
                };
            }
            Lookup::Validate(stored, forward, why) => (Goal::Validate(stored), forward, why.word()),
            Lookup::Unsatisfiable => return Decision::NotCached,
            Lookup::Miss(forward) => match parts::look(core, ask, key.as_ref(), site, directives.as_ref(), now) {
                Partial::Serve(parts, stale) => {
                    let (ttl, detail) = (Some(parts.ttl(now)), stale.map(Why::word));
                    return Decision::ServeParts(
                        parts,
                        CacheStatus { hit: true, ttl, detail, ..CacheStatus::default() },
                    );
                }
                Partial::Fetch(goal, forward, reason) => (goal, forward, reason),
                Partial::Nothing => (Goal::Store, forward, ""),
            },
        };
    if is_only_cached {
        return Decision::NotCached;
    }
    let has_range = ask.present.has_any(Present::RANGE);
    match (ask.method, goal) {
        // A HEAD brings no body to store, and a range only a part of one: both are passed.
        ("HEAD", _) => Decision::Fetch(Goal::Pass, forward, reason),
        (_, Goal::Store) if has_range && site.range_fetch == RangeFetch::Pass => {
            Decision::Fetch(Goal::Part, forward, Why::Range.word())
        }
        (_, Goal::Store) if has_range && site.range_fetch == RangeFetch::Slices => {
            Decision::Fetch(Goal::Pass, forward, Why::Range.word())
        }
        (_, goal) => Decision::Fetch(goal, forward, reason),
    }
}

/// A response was found as its beginning went away: it outgrew the store at that moment, or its last reader left.
struct Gone;

/// The place of a new reader in a body that is still under way; none is needed in a complete one, nor for a head alone.
fn taken(stored: &StoredResponse, ask: &Ask<'_>) -> Result<Option<Reader>, Gone> {
    if ask.method == "HEAD" || stored.body.is_sealed() {
        return Ok(None);
    }
    Reader::join(&stored.body).map(Some).ok_or(Gone)
}
