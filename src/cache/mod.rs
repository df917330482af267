//! The cache: what is stored, what policy says of it, and one flight a key for what is not.

mod flight;
mod parts;
mod purge;

use std::sync::Arc;

pub use flight::{Flights, Poll, Role, Ticket, Waiting};
pub use parts::{Listing, Manifest, meeting_key};
pub use purge::Which;

use crate::policy::directives::RequestDirectives;
use crate::policy::reuse::{self, Reuse};
use crate::policy::{Fields, Rules, Why};
use crate::status::Forward;
use crate::store::{Store, StoredResponse};
use crate::time::Now;

/// The store and the flights that fill it. `T` is what a flight lands.
pub struct Cache<T> {
    /// The stored responses.
    pub store: Store,
    /// The fetches under way, by key.
    pub flights: Flights<T>,
}

/// What the cache has for a request.
pub enum Lookup {
    /// Fresh: serve it.
    Fresh(Arc<StoredResponse>),
    /// Stale, and may be served all the same.
    Stale(Arc<StoredResponse>, Why),
    /// Stored, but the origin must be asked first.
    Validate(Arc<StoredResponse>, Forward, Why),
    /// Stored, but not to be used without asking, and the client wants nobody asked.
    Unsatisfiable,
    /// Nothing that fits.
    Miss(Forward),
}

impl<T: Clone> Cache<T> {
    /// A cache with a budget of `memory` bytes, no stored response larger than `max_response`.
    pub fn new(memory: u64, max_response: u64) -> Cache<T> {
        Cache { store: Store::new(memory, max_response), flights: Flights::new() }
    }

    /// Joins the flight of `key`, or begins it. Once something that varies is stored under the key, requests that select
    /// another variant than the flight's do not wait for it (decisions 15): of several, the newest says by what they vary,
    /// but for one that was the fault of its request.
    pub fn join(&self, key: &[u8], fields: &dyn Fields, now: Now) -> Role<T> {
        let mut selection = Vec::new();
        let is_of_all =
            |stored: &&Arc<StoredResponse>| !stored.variant.as_ref().is_some_and(|variant| variant.is_likeness());
        if let Some(variant) =
            self.store.variants(key).iter().find(is_of_all).and_then(|newest| newest.variant.as_deref())
        {
            variant.write_selection(fields, &mut selection);
        }
        self.flights.join_selected(key, &selection, now)
    }

    /// What is stored for `key` and may be reused for a request with these fields (RFC 9111 §4).
    pub fn lookup(
        &self,
        key: &[u8],
        fields: &dyn Fields,
        directives: Option<&RequestDirectives>,
        rules: &Rules,
        now: Now,
    ) -> Lookup {
        let is_variant = |stored: &StoredResponse| {
            stored.variant.as_deref().is_none_or(|variant| variant.matches(fields)) && stored.is_whole()
        };
        let Some(stored) = self.store.find(key, is_variant) else {
            let forward = if self.store.has_key(key) { Forward::VaryMiss } else { Forward::UriMiss };
            return Lookup::Miss(forward);
        };
        // A plain hit copies nothing.
        let reuse = match stored.mark.is_expired() {
            true => reuse::reuse(directives, &stored.freshness_at(now), rules, now),
            false => reuse::reuse(directives, &stored.freshness, rules, now),
        };
        match reuse {
            Reuse::Fresh => Lookup::Fresh(stored),
            // One that is only held while it is read is there for those whom it answers at once.
            _ if !stored.body.is_kept() => Lookup::Miss(Forward::Stale),
            Reuse::Stale(why) => Lookup::Stale(stored, why),
            Reuse::Unsatisfiable(_) => Lookup::Unsatisfiable,
            Reuse::Validate(why) => {
                let forward = if why.is_forced() { Forward::Request } else { Forward::Stale };
                Lookup::Validate(stored, forward, why)
            }
        }
    }
}
