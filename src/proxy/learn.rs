//! What an answer says about responses stored before: that they are invalid, that they still hold, under which head; and
//! how it is asked for.

use std::sync::Arc;

use super::fetch::{Fetch, Goal};
use super::fields::{self, Field};
use crate::http1::ResponseHead;
use crate::policy::Why;
use crate::policy::freshen::Freshened;
use crate::policy::freshness::Times;
use crate::policy::invalidate::{Target, invalidated};
use crate::policy::select::{if_none_match, may_offer};
use crate::policy::storable::{RequestFacts, Storable, storable, storable_post};
use crate::policy::validator::Validators;
use crate::status::Forward;
use crate::store::{StoredHead, StoredResponse};
use crate::time::HttpDate;

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
        let (tags, date) = match &self.goal {
            Goal::Validate(stored) => {
                let conditions = &stored.validators;
                (conditions.if_none_match().map(<[u8]>::to_vec), conditions.if_modified_since())
            }
            _ => (if_none_match(candidates.iter().map(|stored| &stored.validators)), None),
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
        let update = Validators::of(head, self.core.clock.now().date());
        let is_only = matches!(self.goal, Goal::Validate(_));
        let is_meant = |stored: &&Arc<StoredResponse>| match is_only {
            true => stored.validators.is_freshened_by(&update),
            false => stored.validators.are_chosen_by(&update),
        };
        candidates.iter().find(is_meant).cloned()
    }

    /// What concerns the store in an answer that is passed on: of an unsafe method that succeeded (RFC 9111 §4.4), or of
    /// a HEAD (§4.3.5).
    pub(super) fn learn(&self, response: &ResponseHead, times: Times) {
        for path in invalidated(self.request.method(), response.status, &self.target(), response) {
            self.core.cache.store.remove(&self.key_of(&path));
        }
        if self.request.method() == "HEAD" && response.status == 200 {
            self.learn_from_head(response, times);
        }
    }

    /// The stored response that this HEAD could have been answered from is freshened by it, or has been overtaken.
    fn learn_from_head(&self, response: &ResponseHead, times: Times) {
        let store = &self.core.cache.store;
        let key = self.key_of(self.request.target());
        let Some(stored) =
            store.find(&key, |stored| stored.variant.as_deref().is_none_or(|variant| variant.matches(&*self.request)))
        else {
            return;
        };
        let is_same_length = match (response.declared_length(), stored.body.length()) {
            (Some(said), Some(length)) => said == length,
            // It is still arriving, and nobody knows how long it will be.
            (Some(_), None) => return,
            (None, _) => true,
        };
        let validators = Validators::of(response, times.response.date());
        if !is_same_length || stored.head.status() != 200 || !stored.validators.agree_with(&validators) {
            store.remove_response(&key, &stored);
            return;
        }
        let (refusal, renewed) = self.renewed(&stored, &fields::kept_head(response, times.response), times);
        match refusal {
            None => {
                store.replace(&key, &stored, Arc::new(renewed));
            }
            // This client's answer, which says nothing of the others'.
            Some(Why::RequestNoStore | Why::Authorization) => {}
            Some(_) => {
                store.remove_response(&key, &stored);
            }
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
        let verdict = storable(&facts, stored.head.status(), &merged, &self.site.rules, times);
        let (refusal, freshness) = match verdict {
            Storable::Yes(freshness) => (None, freshness),
            Storable::No(why) => (Some(why), stored.freshness),
        };
        let response = StoredResponse {
            variant: self.variant(&merged).or_else(|| stored.variant.clone()),
            validators: Validators::of(&merged, HttpDate(times.response.unix())),
            head: fields::merged_head(stored.head.status(), &merged),
            freshness,
            body: stored.body.clone(),
        };
        (refusal, response)
    }

    /// The verdict on the answer to a POST that may be stored, and the key to store it under; nothing else that is passed
    /// on is (RFC 9110 §9.3.3).
    pub(super) fn post_to_store(&mut self, response: &ResponseHead, times: Times) -> Option<Storable> {
        let (target, rules) = (self.target(), &self.site.rules);
        let verdict = storable_post(&self.facts(), &target, response.status, response, rules, times);
        matches!(verdict, Storable::Yes(_)).then(|| {
            self.key = Some(self.key_of(self.request.target()).into());
            verdict
        })
    }

    fn target(&self) -> Target<'_> {
        let request = &self.request;
        Target { is_https: request.is_https, authority: request.authority(), path: request.target() }
    }

    fn key_of(&self, target: &str) -> Vec<u8> {
        let mut key = Vec::new();
        super::route::key_of(&mut key, &self.site, self.request.host(), target, self.request.is_https);
        key
    }
}
