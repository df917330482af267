//! Fetching parts, on a fetcher's thread: one slice, or a client's own range whose answer may be stored as a part.

use std::sync::Arc;
use std::time::Duration;

use super::super::fetch::{Fetch, Goal};
use super::super::fields::{self, Field};
use super::super::fill::length_of;
use super::super::landing::{Arrived, Landing, Trip, own_failure};
use super::super::stale::{STALE_LIMIT, stale_arrival, stale_despite};
use super::slices::Slice;
use crate::cache::{Listing, Manifest};
use crate::http1::{Present, ResponseHead};
use crate::origin::{FetchError, Fetched};
use crate::policy::freshen::Freshened;
use crate::policy::freshness::{Freshness, Times};
use crate::policy::part::{Part, storable_part};
use crate::policy::range::ByteRange;
use crate::policy::reuse::may_serve_stale_on_error;
use crate::policy::storable::Storable;
use crate::policy::validator::Validators;
use crate::policy::withheld::Withheld;
use crate::policy::{Fields, Why};
use crate::pool::Turn;
use crate::status::{CacheStatus, Forward, Phase, ProxyError};
use crate::store::{Body, Mark, Plan, Reader, StoredResponse, Writer};
use crate::time::{HttpDate, Now};

impl Fetch {
    /// One slice: asked for by our own Range, and taken only with a strong validator and exactly as asked for.
    pub fn slice(&mut self, slice: Slice, turn: &Turn) {
        let asked = self.core.clock.now();
        let fetched = match self.send(&conditions(&slice, asked.date()), turn) {
            Ok(fetched) => fetched,
            Err(error) => return self.failed(error, turn.waited),
        };
        if fetched.head.status >= 500
            && let Some(landing) = self.slice_despite_5xx(&fetched, turn.waited)
        {
            return self.land(landing.clone(), landing);
        }
        match (fetched.head.status, &slice.stored) {
            (206, _) => self.slice_arrived(slice, fetched, asked, turn),
            (304, Some(stored)) => {
                let update = Validators::of(&fetched.head, asked.date());
                match slice
                    .manifest
                    .clone()
                    .filter(|known| known.response.validators(asked.date()).is_freshened_by(&update))
                {
                    Some(known) => self.slice_confirmed(&known, stored, slice.range, (fetched, asked, turn.waited)),
                    // The origin means something else: whoever waits has asked for no 304.
                    None => self.slice(Slice { stored: None, ..slice }, turn),
                }
            }
            (status, _) if slice.is_continued => self.break_off(&slice, status),
            // Some say so of what has no byte at all, which a request without a range can have.
            (416, _) if slice.range.start == 0 => self.without_slices(&slice, turn),
            (status, _) => {
                if self.is_of_resource(status) {
                    self.forget(&slice);
                }
                // All there is, or why there is nothing: an answer like any other.
                self.goal = if status == 416 { Goal::Pass } else { Goal::Store };
                self.arrived(fetched, asked, turn.waited);
            }
        }
    }

    fn slice_arrived(&mut self, slice: Slice, fetched: Fetched, asked: Now, turn: &Turn) {
        let now = self.core.clock.now();
        let times = Times { request: asked, response: now };
        let accepted = self.acceptable(&fetched, times).filter(|(part, _)| part.answers(slice.range));
        let is_new = |length| {
            let validators = Validators::of(&fetched.head, now.date());
            slice.manifest.as_ref().is_some_and(|known| {
                known.length() != length || !known.response.validators(now.date()).is_strongly(&validators)
            })
        };
        match accepted {
            Some((part, freshness)) => {
                if is_new(part.length) {
                    self.forget(&slice);
                }
                self.store_slice(slice.range, fetched, (part, freshness), (now, turn.waited));
            }
            None if slice.is_continued => self.break_off(&slice, fetched.head.status),
            None => self.without_slices(&slice, turn),
        }
    }

    /// The slice enters the store with its body still open, under a manifest that it founds or joins.
    fn store_slice(
        &mut self,
        range: ByteRange,
        fetched: Fetched,
        (part, freshness): (Part, Freshness),
        (now, waited): (Now, Duration),
    ) {
        let trip = Trip::of(&fetched.report, waited);
        let Some(key) = self.key.clone() else { return };
        let (writer, response) = self.part(&fetched.head, part, freshness, now);
        let reader = Reader::new(&response.body);
        let Some(manifest) = self.core.cache.keep_part(&key, &response, Listing::Place(self.site.slice_size), now)
        else {
            return;
        };
        let status = CacheStatus {
            forward: Some(self.forward),
            stored: true,
            ttl: Some(manifest.response.freshness.ttl(now)),
            ..CacheStatus::default()
        };
        let arrived = Arrived { response: manifest.response.clone(), reader: Some(reader), status, fault: None, trip };
        self.land(Landing::Slice(arrived.clone(), range), Landing::Slice(arrived, range));
        if !self.fill(writer, (&fetched.head, fetched.body), Some(&response)) {
            self.core.cache.store.remove_response(&manifest.key_of(range.start), &response);
        }
    }

    /// 304: what is known of the representation still holds, and with it all of its slices (RFC 9111 §4.3.4).
    fn slice_confirmed(
        &mut self,
        known: &Manifest,
        stored: &Arc<StoredResponse>,
        range: ByteRange,
        (mut fetched, asked, waited): (Fetched, Now, Duration),
    ) {
        let now = self.core.clock.now();
        // Nothing follows a 304, but reading to the end is what gives the connection back.
        let _ = fetched.body.read(&mut [0; 16]);
        let Some(key) = self.key.clone() else { return };
        let old = &known.response;
        let update = fields::kept_head(&fetched.head, now);
        let merged = Freshened { stored: &old.head, update: &update };
        let times = Times { request: asked, response: now };
        let (is_kept, freshness) = match self.verdict_on_whole(&merged, times) {
            Storable::Yes(freshness) => (true, freshness),
            Storable::No(_) => (false, old.freshness_at(now)),
        };
        let freshness = if self.forward == Forward::Request { freshness.after_forced_validation() } else { freshness };
        let response = Arc::new(StoredResponse {
            head: fields::merged_head(206, &merged),
            freshness,
            mark: Mark::new(self.purge_number, 206, &merged),
            variant: old.variant.clone(),
            body: known.content(),
        });
        let store = &self.core.cache.store;
        let is_stored = is_kept && store.replace(&key, old, response.clone());
        if !is_kept {
            store.remove_response(&key, old);
        }
        let status = CacheStatus {
            forward: Some(self.forward),
            forward_status: Some(304),
            stored: is_stored,
            ttl: Some(freshness.ttl(now)),
            ..CacheStatus::default()
        };
        let trip = Trip::of(&fetched.report, waited);
        let arrived = Arrived { response, reader: Some(Reader::new(&stored.body)), status, fault: None, trip };
        self.land(Landing::Slice(arrived.clone(), range), Landing::Slice(arrived, range));
    }

    /// The origin fails while a slice was only to be confirmed: it is served stale, if that is allowed; further slices too
    /// as far as they are stored.
    pub fn stale_slice(&self, error: &Arc<FetchError>, trip: &Trip, now: Now) -> Option<Landing> {
        let may_be = |known: &StoredResponse| may_serve_stale_on_error(&known.freshness_at(now), now, STALE_LIMIT);
        let fault = Some(error.clone());
        let arrive = |known| stale_arrival(known, fault, trip.clone(), self.forward, Why::OriginFailed);
        self.stored_instead(may_be, arrive)
    }

    /// The same where the origin answers with an error, and one side allows it (RFC 5861 §4).
    fn slice_despite_5xx(&self, fetched: &Fetched, waited: Duration) -> Option<Landing> {
        let now = self.core.clock.now();
        let may_be = |known: &StoredResponse| self.may_stand_in_for_5xx(known, now);
        let trip = Trip::of(&fetched.report, waited);
        let arrive = |known| stale_despite(fetched.head.status, known, trip, self.forward);
        let landing = self.stored_instead(may_be, arrive)?;
        self.core.praise(&self.site, &fetched.body);
        Some(landing)
    }

    fn stored_instead(
        &self,
        may_be: impl Fn(&StoredResponse) -> bool,
        arrive: impl FnOnce(Arc<StoredResponse>) -> Arrived,
    ) -> Option<Landing> {
        let Goal::Slice(slice) = &self.goal else { return None };
        let (known, stored) = (slice.manifest.as_ref()?, slice.stored.as_ref()?);
        let response = Some(known.response.clone()).filter(|known| may_be(known))?;
        Some(Landing::Slice(Arrived { reader: Some(Reader::new(&stored.body)), ..arrive(response) }, slice.range))
    }

    /// A 206 to the client's own range: passed on, and stored as a part once it is whole and if it may be.
    pub fn part_arrived(&mut self, fetched: Fetched, times: Times, trip: Trip) {
        let now = times.response;
        let accepted = self.acceptable(&fetched, times);
        let accepted = accepted.filter(|(_, freshness)| freshness.is_fresh(now) && !freshness.is_no_cache());
        // The answer to an If-Range need not have all fields (RFC 9110 §15.3.7).
        let is_complete = !self.request.present.has_any(Present::IF_RANGE);
        let (Some((part, freshness)), Some(key), true) = (accepted, self.key.clone(), is_complete) else {
            return self.pass(fetched, times, trip, None);
        };
        let (writer, response) = self.part(&fetched.head, part, freshness, now);
        let status = CacheStatus {
            forward: Some(self.forward),
            stored: true,
            ttl: Some(freshness.ttl(now)),
            ..CacheStatus::default()
        };
        let reader = Some(Reader::new(&response.body));
        let arrived = Arrived { response: response.clone(), reader, status, fault: None, trip };
        self.land(Landing::Response(arrived), Landing::Apart);
        if self.fill(writer, (&fetched.head, fetched.body), Some(&response)) && response.body.sealed().is_some() {
            self.core.cache.keep_part(&key, &response, Listing::List, now);
        }
    }

    /// The part of a 206 that may be stored: by the rules, by its size, with as many bytes as it says it has, and with no
    /// field that is not for everybody, for its head becomes that of answers to others.
    fn acceptable(&self, fetched: &Fetched, times: Times) -> Option<(Part, Freshness)> {
        let verdict = self.verdict_on_whole(&fetched.head, times);
        let (part, freshness) = storable_part(verdict, &fetched.head, times.response.date()).ok()?;
        let length = part.range.length();
        let is_as_said = length_of(&fetched.body).is_none_or(|declared| declared == length);
        let is_for_all = Withheld::of(&fetched.head).is_empty();
        (is_for_all && is_as_said && length <= self.core.cache.store.max_response()).then_some((part, freshness))
    }

    /// Might a 200 with these fields be stored?
    fn verdict_on_whole(&self, fields: &dyn Fields, times: Times) -> Storable {
        self.verdict(&self.facts(), 200, fields, times)
    }

    /// A part and the writer of its body, which completes only with exactly as many bytes as Content-Range says.
    fn part(&self, head: &ResponseHead, part: Part, freshness: Freshness, now: Now) -> (Writer, Arc<StoredResponse>) {
        let plan = Plan { kept: true, held: false, length: Some(part.range.length()), spill: self.core.spill.clone() };
        let (writer, body) = Body::open(plan, Some(self.core.cache.store.budget()));
        let response = StoredResponse {
            variant: self.variant(head),
            mark: Mark::new(self.purge_number, head.status, head),
            head: fields::kept_head(head, now),
            freshness,
            body,
        };
        (writer, Arc::new(response))
    }

    /// Slices are of no use here: the request goes on as the client sent it, and so do others for a while.
    fn without_slices(&mut self, slice: &Slice, turn: &Turn) {
        self.forget(slice);
        if let Some(key) = self.key.as_deref() {
            self.core.cache.flights.mark_uncollapsible(key, self.core.clock.now());
        }
        self.goal = if self.request.present.has_any(Present::RANGE) { Goal::Pass } else { Goal::Apart };
        self.go(turn);
    }

    /// An answer under way cannot go on with what came; others look again, and find that nothing is known any more.
    fn break_off(&mut self, slice: &Slice, status: u16) {
        if self.is_of_resource(status) {
            self.forget(slice);
        }
        let detail = "the origin's content changed while it was sent";
        let error = own_failure(ProxyError::HttpProtocolError, Phase::ResponseHead, detail);
        self.core.metrics.shared().failed(error.error);
        self.land(Landing::Failed(Arc::new(error), Trip::default()), Landing::Again);
    }

    /// Does an answer of this status, which brings no slice, say that what is known holds no more? An error says nothing of
    /// it, nor what this client alone is told.
    fn is_of_resource(&self, status: u16) -> bool {
        status < 500 && !self.may_be_own(status)
    }

    /// What was known is not so any more; its slices go with it.
    fn forget(&self, slice: &Slice) {
        if let (Some(key), Some(known)) = (self.key.as_deref(), &slice.manifest) {
            self.core.cache.store.remove_response(key, &known.response);
        }
    }
}

/// Our own Range, and the question whether what is stored of it still holds.
fn conditions(slice: &Slice, asked: HttpDate) -> Vec<Field<'static>> {
    let last = slice.range.end.saturating_sub(1);
    let range = format!("bytes={}-{last}", slice.range.start).into_bytes();
    let mut fields: Vec<Field<'static>> = vec![("Range", range.into())];
    if let (Some(known), Some(_)) = (&slice.manifest, &slice.stored) {
        let validators = known.response.validators(asked);
        match (validators.if_none_match(), validators.if_modified_since()) {
            (Some(tag), _) => fields.push(("If-None-Match", tag.to_vec().into())),
            (None, Some(date)) => fields.push(("If-Modified-Since", date.to_vec().into())),
            (None, None) => {}
        }
    }
    fields
}
