//! Validation with the origin: what it is asked about, which stored response a 304 speaks of, and what becomes of that one
//! (RFC 9111 §4.3).

use std::sync::Arc;
use std::time::Duration;

use super::fetch::{Fetch, Goal};
use super::fields::{self, Field};
use super::landing::{Arrived, Landing, Trip};
use crate::http1::ResponseHead;
use crate::origin::Fetched;
use crate::policy::Why;
use crate::policy::freshen::Freshened;
use crate::policy::freshness::Times;
use crate::policy::select::{if_none_match, may_offer};
use crate::policy::storable::{RequestFacts, Storable};
use crate::policy::validator::Validators;
use crate::status::{CacheStatus, Forward};
use crate::store::{Inserted, Mark, StoredHead, StoredResponse};
use crate::time::Now;

impl Fetch {
    /// The stored responses that the origin is asked about: the one to validate, or all variants of a key of which none
    /// was selected (RFC 9111 §4.3.1).
    pub(super) fn candidates(&self) -> Vec<Arc<StoredResponse>> {
        match (&self.goal, &self.key) {
            (Goal::Validate(stored), _) => vec![stored.clone()],
            (Goal::Store, Some(key)) if self.forward == Forward::VaryMiss => {
                let mut variants = self.core.cache.store.variants(key);
                variants.retain(|stored| stored.head.status() == 200 && may_offer(&stored.head, &*self.request));
                variants
            }
            _ => Vec::new(),
        }
    }

    /// The conditions to ask with.
    pub(super) fn conditions(&self, candidates: &[Arc<StoredResponse>]) -> Vec<Field<'static>> {
        let now = self.core.clock.now().date();
        let (tags, date) = match &self.goal {
            Goal::Validate(stored) => {
                let conditions = stored.validators(now);
                (conditions.if_none_match().map(<[u8]>::to_vec), conditions.if_modified_since())
            }
            _ => {
                let known: Vec<_> = candidates.iter().map(|stored| stored.validators(now)).collect();
                (if_none_match(&known), None)
            }
        };
        let tags = tags.map(|tags| ("If-None-Match", tags.into()));
        let date = date.map(|date| ("If-Modified-Since", date.to_vec().into()));
        tags.into_iter().chain(date).collect()
    }

    /// The candidate that a 304 speaks of (RFC 9111 §4.3.4).
    pub(super) fn confirmed(
        &self,
        candidates: &[Arc<StoredResponse>],
        head: &ResponseHead,
    ) -> Option<Arc<StoredResponse>> {
        let now = self.core.clock.now().date();
        let update = Validators::of(head, now);
        let is_only = matches!(self.goal, Goal::Validate(_));
        let is_meant = |stored: &&Arc<StoredResponse>| match is_only {
            true => stored.validators(now).is_freshened_by(&update),
            false => stored.validators(now).are_chosen_by(&update),
        };
        candidates.iter().find(is_meant).cloned()
    }

    /// 304: a new head over the same body takes the old one's place, or stands beside it for the requests that are like
    /// this one (RFC 9111 §4.3.4).
    pub(super) fn freshened(&mut self, stored: &Arc<StoredResponse>, fetched: Fetched, asked: Now, waited: Duration) {
        let now = self.core.clock.now();
        let Fetched { head, mut body, report, .. } = fetched;
        let trip = Trip::of(&report, waited);
        // Nothing follows a 304, but reading to the end is what gives the connection back.
        let _ = body.read(&mut [0; 16]);
        self.core.praise(&self.site, &body);
        let update = fields::kept_head(&head, now);
        let times = Times { request: asked, response: now };
        let (refusal, mut response) = self.renewed(stored, &update, times);
        if self.forward == Forward::Request {
            response.freshness = response.freshness.after_forced_validation();
        }
        let freshness = response.freshness;
        let response = Arc::new(response);
        let is_kept = self.key.as_deref().is_some_and(|key| self.keep(key, stored, &response, refusal.is_none()));
        let status = CacheStatus {
            forward: Some(self.forward),
            forward_status: Some(304),
            stored: is_kept,
            ttl: Some(freshness.ttl(now)),
            ..CacheStatus::default()
        };
        let arrived = Arrived { response, reader: None, status, fault: None, trip };
        self.land(Landing::Response(arrived.clone()), Landing::Response(arrived));
    }

    /// A full answer says that what was to be validated is not what the origin has now (RFC 9111 §4.3.3). One that is stored
    /// takes its place; one that is not must not leave it to be served when the origin fails. An error says nothing of it,
    /// nor what is this client's alone.
    pub(super) fn overtake(&self, status: u16, verdict: Option<Storable>) {
        let (Goal::Validate(stored), Some(key), Some(Storable::No(why))) = (&self.goal, &self.key, verdict) else {
            return;
        };
        if status < 500 && !matches!(why, Why::RequestNoStore | Why::Authorization) {
            self.core.cache.store.remove_response(key, stored);
        }
    }

    /// Puts what a 304 made of `stored` into the store, if it may be there.
    fn keep(&self, key: &[u8], stored: &Arc<StoredResponse>, response: &Arc<StoredResponse>, may_stay: bool) -> bool {
        let store = &self.core.cache.store;
        match (&self.goal, may_stay) {
            (Goal::Validate(_), true) => store.replace(key, stored, response.clone()),
            (Goal::Validate(_), false) => {
                store.remove_response(key, stored);
                false
            }
            (_, true) => store.insert(key, response.clone()) == Inserted::Stored,
            (_, false) => false,
        }
    }

    /// A stored response with the fields of `update` laid over its own (RFC 9111 §3.2), its body shared; and why it may
    /// not stay in the store, if so. Then it keeps the freshness it had: whoever waits may have it.
    pub(super) fn renewed(
        &self,
        stored: &StoredResponse,
        update: &StoredHead,
        times: Times,
    ) -> (Option<Why>, StoredResponse) {
        let merged = Freshened { stored: &stored.head, update };
        let facts = RequestFacts { method: "GET", ..self.facts() };
        let verdict = self.verdict(&facts, stored.head.status(), &merged, times);
        let (refusal, freshness) = match verdict {
            Storable::Yes(freshness) => (None, freshness),
            Storable::No(why) => (Some(why), stored.freshness),
        };
        let response = StoredResponse {
            variant: self.selection(stored.head.status(), &freshness, &merged).or_else(|| stored.variant.clone()),
            head: fields::merged_head(stored.head.status(), &merged),
            freshness,
            body: stored.body.clone(),
            mark: Mark::new(self.purge_number, stored.head.status(), &merged),
        };
        (refusal, response)
    }
}
