//! Fetches that failed a moment ago and are not repeated yet (`negative_ttl`).
//!
//! A bounded table by cache key. Only sites that ask for it touch it, and only where nothing may be served from the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::exchange::{Desk, Exchange};
use super::fetch::{Fetch, Goal};
use super::landing::Trip;
use super::stale::{servable_instead, stale_arrival};
use super::{Core, Proxy};
use crate::origin::FetchError;
use crate::policy::Why;
use crate::policy::provoked::has_cause;
use crate::server::Answer;
use crate::status::{CacheStatus, Phase};
use crate::time::Now;

/// The failures that still count.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<Box<[u8]>, Failure>>);

/// How a fetch failed, for all who ask the same until then.
#[derive(Clone)]
pub struct Failure {
    error: Arc<FetchError>,
    trip: Trip,
    /// Monotonic.
    until: Duration,
}

impl Failures {
    fn find(&self, key: &[u8], now: Now) -> Option<Failure> {
        self.table().get(key).filter(|failure| failure.until > now.monotonic).cloned()
    }

    fn remember(&self, key: &[u8], failure: Failure, now: Now) {
        if key.len() > LONGEST_KEY {
            return;
        }
        let mut table = self.table();
        if table.len() >= MOST {
            table.retain(|_, known| known.until > now.monotonic);
        }
        // In a failure as wide as that, one more that is asked for again does not matter.
        if table.len() < MOST {
            table.insert(key.into(), failure);
        }
    }

    fn forget(&self, key: &[u8]) {
        self.table().remove(key);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch {
    /// Notes a failure from resolving to the head; not one that came of what this request alone had sent.
    pub(super) fn remember_failure(&self, error: &Arc<FetchError>, trip: &Trip, now: Now) {
        let (Some(ttl), Some(key)) = (self.negative_ttl(), &self.key) else { return };
        if matches!(error.phase, Phase::Queue | Phase::Body) || (error.is_after_request && has_cause(&*self.request)) {
            return;
        }
        let failure = Failure { error: error.clone(), trip: trip.clone(), until: now.monotonic.saturating_add(ttl) };
        self.core.failures.remember(key, failure, now);
    }

    /// The origin has answered.
    pub(super) fn forget_failure(&self) {
        if let (Some(_), Some(key)) = (self.negative_ttl(), &self.key) {
            self.core.failures.forget(key);
        }
    }

    fn negative_ttl(&self) -> Option<Duration> {
        negative_ttl(&self.site)
    }
}

fn negative_ttl(site: &crate::config::Site) -> Option<Duration> {
    let seconds = site.rules.own.as_ref().map_or(0, |own| own.negative_ttl);
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

/// The failure for which no fetch is made for this key now.
pub fn standing(core: &Core, site: &crate::config::Site, key: &[u8], now: Now) -> Option<Failure> {
    negative_ttl(site)?;
    core.failures.find(key, now)
}

impl Exchange {
    /// The failure that answers in the place of a fetch, if there is one.
    pub(super) fn failed_before(&self, desk: &Desk<'_>, goal: &Goal) -> Option<Failure> {
        let key = self.key.as_deref().filter(|_| matches!(goal, Goal::Store | Goal::Validate(_)))?;
        standing(desk.core, &self.site, key, desk.now)
    }

    /// The answer without a fetch: what is stale, where it may be, else the same cause again.
    pub(super) fn fail_again(self, desk: &mut Desk<'_>, goal: &Goal, failure: &Failure) -> Answer<Proxy> {
        let why = Why::Negative.word();
        if let Some(stored) = servable_instead(goal, desk.now) {
            let fault = Some(failure.error.clone());
            return self.answer(
                desk,
                stale_arrival(stored, fault, failure.trip.clone(), crate::status::Forward::Stale, Why::Negative),
            );
        }
        let left = failure.until.saturating_sub(desk.now.monotonic).as_secs();
        let ttl = i64::try_from(left).ok();
        let cache = CacheStatus { hit: true, ttl, detail: Some(why), ..CacheStatus::default() };
        self.fail_as(desk, &failure.error, &failure.trip, &cache)
    }
}

const MOST: usize = 1024;
const LONGEST_KEY: usize = 2048;
