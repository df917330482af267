//! When the origin fails: what is stored is served although it is stale, or the cause goes to all who wait.

use std::sync::Arc;
use std::time::Duration;

use super::fetch::{Fetch, Goal};
use super::landing::{Arrived, Landing, Trip};
use crate::observe::Counter;
use crate::origin::FetchError;
use crate::policy::Why;
use crate::policy::directives::RequestDirectives;
use crate::policy::provoked::has_cause;
use crate::policy::reuse;
use crate::status::{CacheStatus, Forward, Phase, ProxyError};
use crate::store::StoredResponse;
use crate::time::Now;

impl Fetch {
    /// No usable response: stale if it may be, else the cause for all who wait.
    pub(super) fn failed(&mut self, error: FetchError, waited: Duration) {
        self.core.metrics.add(Counter::FetchesFailed, 1);
        self.core.metrics.totals().failed(self.site.number);
        self.core.metrics.shared().failed(error.error);
        let now = self.core.clock.now();
        let mut trip = Trip::of(&error.facts.report, waited);
        trip.origin = error.address.or(trip.origin);
        self.core.blame(&self.site, &self.request, &error, trip.times);
        let is_early = matches!(error.phase, Phase::Queue | Phase::Resolve | Phase::Connect | Phase::TlsHandshake);
        let error = Arc::new(error);
        if let Some(landing) = self.stale_slice(&error, &trip, now) {
            return self.land(landing.clone(), landing);
        }
        self.remember_failure(&error, &trip, now);
        if let Some(stored) = self.servable_stale(now) {
            let arrived = stale_arrival(stored, Some(error), trip, self.forward, Why::OriginFailed);
            return self.land(Landing::Response(arrived.clone()), Landing::Response(arrived));
        }
        let lead = Landing::Failed(error, trip);
        // A sick origin is not asked once more for everybody who waits; a broken answer may be this request's alone, so
        // one of them tries again for all (decisions 15); so does another where that one may have caused it as well.
        let is_of_all = is_early || (self.is_second && !has_cause(&*self.request));
        let followers = if is_of_all { lead.clone() } else { Landing::Again };
        self.land(lead, followers);
    }

    pub(super) fn servable_stale(&self, now: Now) -> Option<Arc<StoredResponse>> {
        servable_instead(&self.goal, now)
    }

    pub(super) fn servable_on_5xx(&self, now: Now) -> Option<Arc<StoredResponse>> {
        let Goal::Validate(stored) = &self.goal else { return None };
        self.may_stand_in_for_5xx(stored, now).then(|| stored.clone())
    }

    /// May a stored response be served in the place of a 5xx (RFC 5861 §4)?
    pub(super) fn may_stand_in_for_5xx(&self, stored: &StoredResponse, now: Now) -> bool {
        let wish = RequestDirectives::parse(&*self.request);
        reuse::may_serve_stale_on_5xx(Some(&wish), &stored.freshness_at(now), &self.site.rules, now, STALE_LIMIT)
    }
}

/// What is stored and may stand in for a fetch that fails.
pub fn servable_instead(goal: &Goal, now: Now) -> Option<Arc<StoredResponse>> {
    match goal {
        Goal::Validate(stored) if reuse::may_serve_stale_on_error(&stored.freshness_at(now), now, STALE_LIMIT) => {
            Some(stored.clone())
        }
        _ => None,
    }
}

/// What is stored, in the place of what the origin did not bring.
pub fn stale_arrival(
    response: Arc<StoredResponse>,
    fault: Option<Arc<FetchError>>,
    trip: Trip,
    forward: Forward,
    why: Why,
) -> Arrived {
    let status = CacheStatus { hit: true, forward: Some(forward), detail: Some(why.word()), ..CacheStatus::default() };
    Arrived { response, reader: None, status, fault, trip }
}

/// The same in the place of an error that the origin answered with.
pub fn stale_despite(status: u16, response: Arc<StoredResponse>, trip: Trip, forward: Forward) -> Arrived {
    let arrived = stale_arrival(response, None, trip, forward, Why::Origin5xx);
    Arrived { status: CacheStatus { forward_status: Some(status), ..arrived.status }, ..arrived }
}

/// Did the origin not answer at all? Such a site does not get the last fetchers (decisions 9).
pub fn is_silence(error: &FetchError) -> bool {
    !matches!(error.phase, Phase::ResponseHead | Phase::Body) || error.error == ProxyError::HttpResponseTimeout
}

pub const STALE_LIMIT: Duration = Duration::from_secs(86_400);
