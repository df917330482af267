//! What an answer that is passed on says about responses stored before: that they are invalid, or still hold.

use std::sync::Arc;

use super::fetch::Fetch;
use super::fields;
use super::site_rules::add_key_parts;
use crate::http1::ResponseHead;
use crate::policy::Why;
use crate::policy::freshness::Times;
use crate::policy::groups::invalidated_groups;
use crate::policy::invalidate::{Target, invalidated};
use crate::policy::storable::{Storable, storable_post};
use crate::policy::validator::Validators;
use crate::status::Forward;

impl Fetch {
    /// What concerns the store in an answer that is passed on: of an unsafe method that succeeded (RFC 9111 §4.4), or of
    /// a HEAD (§4.3.5).
    pub(super) fn learn(&mut self, response: &ResponseHead, times: Times) {
        for path in invalidated(self.request.method(), response.status, &self.target(), response) {
            self.purge_number = self.core.cache.invalidate(&self.key_of(&path), self.purge_number);
        }
        let groups = invalidated_groups(self.request.method(), response);
        if !groups.is_empty() {
            let key = self.key_of(self.request.target());
            self.purge_number = self.core.cache.invalidate_groups(&key, groups, self.purge_number);
        }
        if self.request.method() == "HEAD" && response.status == 200 && self.forward != Forward::Bypass {
            self.learn_from_head(response, times);
        }
    }

    /// Parts of another version than this HEAD tells of are overtaken (RFC 9111 §4.3.5).
    fn check_parts(&self, key: &[u8], response: &ResponseHead, times: Times) {
        let cache = &self.core.cache;
        let Some(known) = cache.manifest(key, &*self.request) else { return };
        let is_same_length = response.declared_length().is_none_or(|length| length == known.length());
        let validators = Validators::of(response, times.response.date());
        if !is_same_length || !known.response.validators(times.response.date()).agree_with(&validators) {
            cache.store.remove_response(key, &known.response);
        }
    }

    /// The stored response that this HEAD could have been answered from is freshened by it, or has been overtaken.
    fn learn_from_head(&self, response: &ResponseHead, times: Times) {
        let store = &self.core.cache.store;
        let key = self.key_of(self.request.target());
        self.check_parts(&key, response, times);
        let Some(stored) = store.find(&key, |stored| {
            stored.variant.as_deref().is_none_or(|variant| variant.matches(&*self.request)) && stored.is_whole()
        }) else {
            return;
        };
        let is_same_length = match (response.declared_length(), stored.body.length()) {
            (Some(said), Some(length)) => said == length,
            // It is still arriving, and nobody knows how long it will be.
            (Some(_), None) => return,
            (None, _) => true,
        };
        let validators = Validators::of(response, times.response.date());
        if !is_same_length
            || stored.head.status() != 200
            || !stored.validators(times.response.date()).agree_with(&validators)
        {
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

    /// The verdict on the answer to a POST that may be stored, and the key to store it under; nothing else that is passed
    /// on is (RFC 9110 §9.3.3).
    pub(super) fn post_to_store(&mut self, response: &ResponseHead, times: Times) -> Option<Storable> {
        if self.request.method() != "POST" || self.forward == Forward::Bypass || !self.is_asked_as_keyed() {
            return None;
        }
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
        add_key_parts(&mut key, &self.site, &*self.request);
        key
    }
}
