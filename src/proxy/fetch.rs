//! One fetch, top to bottom, on a fetcher's thread: ask the origin, land the flight, fill the body.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::fields::{self, Field};
use super::fill::length_of;
use super::landing::{Arrived, Landing, Trip, waited_too_long};
use super::parts::Slice;
use super::request::Request;
use super::stale::{is_silence, stale_arrival, stale_despite};
use crate::cache::Ticket;
use crate::config::Site;
use crate::http1::Present;
use crate::observe::Counter;
use crate::origin::{FetchError, Fetched};
use crate::policy::directives::{RequestDirectives, ResponseDirectives};
use crate::policy::freshness::{Freshness, Times};
use crate::policy::storable::{RequestFacts, Storable};
use crate::policy::variant::{Variant, Vary};
use crate::policy::withheld::Withheld;
use crate::policy::{Fields, Why};
use crate::pool::{Full, Job, Share, Turn};
use crate::status::{CacheStatus, Forward};
use crate::store::{Body, Inserted, Mark, Plan, Reader, StoredResponse};
use crate::time::Now;

/// What a fetch is for.
#[derive(Clone)]
pub enum Goal {
    /// A response to store, if it may be.
    Store,
    /// To learn whether this stored response still holds.
    Validate(Arc<StoredResponse>),
    /// A response for one request alone, whatever it is.
    Pass,
    /// The same, of a client's own range: the part that comes is stored if it may be.
    Part,
    /// One slice, to be stored.
    Slice(Box<Slice>),
    /// A pass of a request whose key is not coalesced for now; the answer is stored if it may be.
    Apart,
}

impl Goal {
    /// Is `now` for a slice of something of which this one knows nothing?
    pub fn knows_less_than(&self, now: &Goal) -> bool {
        matches!((self, now), (Goal::Slice(old), Goal::Slice(new)) if old.manifest.is_none() && new.manifest.is_some())
    }

    /// What a new lead is after once it has looked again: a flight for one slice stays one.
    pub fn or(self, now: Goal) -> Goal {
        match (self, now) {
            (Goal::Slice(old), Goal::Slice(new)) if old.range == new.range => Goal::Slice(new),
            (old @ Goal::Slice(_), _) => old,
            (_, now) => now,
        }
    }
}

/// A fetch, waiting for its fetcher or under way.
pub struct Fetch {
    pub core: Arc<Core>,
    pub site: Arc<Site>,
    pub request: Arc<Request>,
    pub key: Option<Box<[u8]>>,
    pub goal: Goal,
    pub forward: Forward,
    pub ticket: Option<Ticket<Landing>>,
    /// A fetch for the same key has just failed: this one's failure is everybody's.
    pub is_second: bool,
    /// The latest purge's number when the origin was asked, or will be: what a later purge concerns is not stored.
    pub purge_number: u64,
    /// No client waits for it: only an idle fetcher takes it (decisions 10).
    pub is_background: bool,
}

impl Job for Fetch {
    fn run(mut self, turn: Turn) {
        if let Some(error) = waited_too_long(turn.waited) {
            return self.failed(error, turn.waited);
        }
        self.core.metrics.add(Counter::FetchesStarted, 1);
        self.core.metrics.totals().fetching(self.site.number);
        self.go(&turn);
    }

    fn is_wanted(&self) -> bool {
        self.is_background || self.ticket.as_ref().is_some_and(Ticket::is_awaited)
    }
}

impl Fetch {
    /// Queues the fetch. Where the queue is full, what may be served stale comes back instead, else nothing.
    pub fn submit(self) -> Result<(), Option<Box<Arrived>>> {
        let share = self.core.share_of(&self.site);
        let core = self.core.clone();
        let submitted = match self.is_background {
            true => core.pool.submit_idle(self.site.number, share, self),
            false => core.pool.submit(self.site.number, share, self),
        };
        submitted.map_err(|Full { mut job, .. }| {
            if job.is_background {
                // Whoever has joined meanwhile fetches for itself.
                job.land(Landing::Again, Landing::Again);
            }
            let stale = job.servable_stale(core.clock.now());
            stale.map(|response| {
                Box::new(stale_arrival(response, None, Trip::default(), Forward::Stale, Why::QueueFull))
            })
        })
    }

    pub(super) fn go(&mut self, turn: &Turn) {
        self.purge_number = self.core.cache.store.purge_number();
        if let Goal::Slice(slice) = &self.goal {
            let slice = Slice::clone(slice);
            return self.slice(slice, turn);
        }
        let mut asked = self.core.clock.now();
        let candidates = self.candidates();
        let mut result = self.send(&self.conditions(&candidates), turn);
        let mut confirmed = None;
        if let Ok(fetched) = &mut result
            && fetched.head.status == 304
            && !candidates.is_empty()
        {
            confirmed = self.confirmed(&candidates, &fetched.head);
            if confirmed.is_none() {
                // The origin means something that we do not have: whoever waits has asked for no 304.
                let _ = fetched.body.read(&mut [0; 16]);
                asked = self.core.clock.now();
                result = self.send(&[], turn);
            }
        }
        if result.is_ok() {
            self.forget_failure();
        }
        match (result, confirmed) {
            (Ok(fetched), Some(stored)) => self.freshened(&stored, fetched, asked, turn.waited),
            (Ok(fetched), None) => self.arrived(fetched, asked, turn.waited),
            (Err(error), _) => self.failed(error, turn.waited),
        }
    }

    /// One request to the origin, with our own conditions, and along its redirects.
    pub(super) fn send(&self, conditions: &[Field<'_>], turn: &Turn) -> Result<Fetched, FetchError> {
        let result = self.ask(conditions);
        let is_answering = !result.as_ref().is_err_and(is_silence);
        if turn.is_answering() != is_answering {
            self.core.pool.mark(self.site.number, is_answering);
        }
        result
    }

    pub(super) fn arrived(&mut self, fetched: Fetched, asked: Now, waited: Duration) {
        let now = self.core.clock.now();
        let trip = Trip::of(&fetched.report, waited);
        let status = fetched.head.status;
        if status >= 500
            && let Some(stale) = self.servable_on_5xx(now)
        {
            self.core.praise(&self.site, &fetched.body);
            let arrived = stale_despite(status, stale, trip, self.forward);
            return self.land(Landing::Response(arrived.clone()), Landing::Response(arrived));
        }
        let times = Times { request: asked, response: now };
        self.learn(&fetched.head, times);
        if matches!(self.goal, Goal::Part) && status == 206 {
            return self.part_arrived(fetched, times, trip);
        }
        let verdict = match (&self.goal, &self.key) {
            _ if self.varies_by_ours(&fetched.head) => Some(Storable::No(Why::VaryStar)),
            (Goal::Pass | Goal::Part, _) | (_, None) => self.post_to_store(&fetched.head, times),
            _ => Some(self.verdict_on_arrival(&fetched.head, times)),
        };
        let too_large =
            fetched.head.declared_length().is_some_and(|length| length > self.core.cache.store.max_response());
        self.overtake(status, if too_large { Some(Storable::No(Why::TooLarge)) } else { verdict });
        match verdict {
            Some(Storable::Yes(freshness)) => self.store(fetched, (freshness, too_large), now, trip),
            Some(Storable::No(why)) => self.pass(fetched, times, trip, Some(why)),
            None => self.pass(fetched, times, trip, None),
        }
    }

    /// The response enters the store with its body still open; whoever comes later simply finds it. One that is too large
    /// stands there as long as all of it can be had: while it arrives, and then while it is read.
    fn store(&mut self, fetched: Fetched, (freshness, too_large): (Freshness, bool), now: Now, trip: Trip) {
        let Fetched { head, body, .. } = fetched;
        let plan = Plan { kept: true, held: true, length: length_of(&body), spill: self.core.spill.clone() };
        let (writer, shared) = Body::open(plan, Some(self.core.cache.store.budget()));
        let reader = Reader::new(&shared);
        let withheld = Withheld::of(&head);
        let of_head = |kept| {
            Arc::new(StoredResponse {
                variant: self.variant(&head),
                mark: Mark::new(self.purge_number, head.status, &head),
                head: kept,
                freshness,
                body: shared.clone(),
            })
        };
        let response = of_head(fields::shared_head(&head, &withheld, now));
        // Whoever asked gets all of it, whatever is withheld from the others.
        let own = if withheld.is_empty() { response.clone() } else { of_head(fields::kept_head(&head, now)) };
        let Some(key) = self.key.clone() else { return };
        let is_found = self.core.cache.store.insert(&key, response.clone()) == Inserted::Stored;
        let is_stored = is_found && !too_large;
        let status = CacheStatus {
            forward: Some(self.forward),
            stored: is_stored,
            ttl: Some(freshness.ttl(now)).filter(|_| !too_large),
            detail: too_large.then_some(Why::TooLarge.word()),
            ..CacheStatus::default()
        };
        let arrived = |response| {
            let (reader, trip) = (Some(reader.clone()), trip.clone());
            Landing::Response(Arrived { response, reader, status, fault: None, trip })
        };
        let (lead, followers) = (arrived(own), arrived(response.clone()));
        drop(reader);
        self.land(lead, followers);
        let is_whole = self.fill(writer, (&head, body), Some(&response));
        let (store, body) = (&self.core.cache.store, &response.body);
        match is_whole && body.may_be_shared() {
            true if body.is_kept() => {}
            true => store.leave_with_readers(&key, &response),
            false => _ = store.remove_response(&key, &response),
        }
    }

    /// The response is for those who asked now, and for nobody later.
    pub(super) fn pass(&mut self, fetched: Fetched, times: Times, trip: Trip, why: Option<Why>) {
        let now = times.response;
        let Fetched { head, body, .. } = fetched;
        let plan = Plan { kept: false, held: false, length: length_of(&body), spill: self.core.spill.clone() };
        let (writer, shared) = Body::open(plan, None);
        let reader = Reader::new(&shared);
        let response = Arc::new(StoredResponse {
            variant: self.variant(&head),
            head: match self.request.method() {
                "HEAD" => fields::head_of_head(&head, now),
                _ => fields::kept_head(&head, now),
            },
            freshness: Freshness::of(head.status, &ResponseDirectives::parse(&head), &head, times),
            body: shared,
            mark: Mark::default(),
        });
        let detail = why.map(Why::word);
        let status = CacheStatus { forward: Some(self.forward), detail, ..CacheStatus::default() };
        let arrived = Arrived { response, reader: Some(reader), status, fault: None, trip };
        let lead = Landing::Response(arrived);
        if is_shared_error(head.status, why) {
            let followers = lead.clone();
            self.land(lead, followers);
        } else {
            // What one request's own fields provoked says nothing of the others.
            let is_of_key = matches!(self.goal, Goal::Store) && why != Some(Why::Provoked);
            if let Some(key) = self.key.as_deref().filter(|_| is_of_key) {
                self.core.cache.flights.mark_uncollapsible(key, now);
            }
            self.land(lead, Landing::Apart);
        }
        self.fill(writer, (&head, body), None);
    }

    pub(super) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            method: self.request.method(),
            has_authorization: self.request.present.has_any(Present::AUTHORIZATION),
            directives: RequestDirectives::parse(&*self.request),
        }
    }

    pub(super) fn variant(&self, response: &dyn Fields) -> Option<Box<Variant>> {
        Variant::of(&Vary::parse(response), &*self.request).map(Box::new)
    }

    pub(super) fn land(&mut self, lead: Landing, followers: Landing) {
        if let Some(ticket) = self.ticket.take() {
            ticket.land(lead, followers);
        }
    }
}

impl Core {
    /// What a site may have of the fetchers.
    pub fn share_of(&self, site: &Site) -> Share {
        let workers = &self.live().config.workers;
        Share { max_running: site.max_fetches.unwrap_or(workers.max_fetches), max_queued: workers.fetch_queue }
    }
}

/// An error of the origin that is nobody's own goes to all who wait, and leaves no mark (decisions 15).
fn is_shared_error(status: u16, why: Option<Why>) -> bool {
    status >= 500 && matches!(why, Some(Why::NoFreshness | Why::NoCache | Why::TooLarge | Why::Provoked))
}
