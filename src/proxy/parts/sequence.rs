//! An answer that runs over several slices: the next one is looked up, or fetched and waited for, when it is its turn; one
//! is fetched ahead where that takes nothing from anybody.
//!
//! Runs on the worker, inside the delivery, and never waits itself. A slice of another version ends the answer: the client
//! sees a cut message, never a mixed one.

use std::sync::Arc;

use super::super::Core;
use super::super::fetch::{Fetch, Goal};
use super::super::landing::Landing;
use super::super::request::Request;
use super::slices::{Slice, begun_unknowing, slice_at, stored_slice};
use crate::cache::{Flights, Manifest, Poll, Role, Ticket, Waiting};
use crate::config::Site;
use crate::observe::Counter;
use crate::policy::range::ByteRange;
use crate::server::{Sequence, Stretch};
use crate::status::{Forward, ProxyError};
use crate::store::{Next, Reader};
use crate::wake::Wake;

/// What it takes to fetch further slices for a request.
#[derive(Clone)]
pub struct Courier {
    pub core: Arc<Core>,
    pub site: Arc<Site>,
    pub request: Arc<Request>,
    /// The request's key.
    pub key: Box<[u8]>,
}

/// The bytes of a range, slice by slice.
pub struct Slices {
    courier: Courier,
    manifest: Manifest,
    /// The next byte to send, and the end.
    left: ByteRange,
    state: State,
    /// Where the slice ends behind which the next one has been looked for ahead of its turn.
    looked_ahead: u64,
    /// Flights that came to nothing since the last slice.
    failures: u8,
    /// One of somebody who knows nothing was of no use since then.
    has_met: bool,
}

enum State {
    /// A slice is sent.
    Send(Stretch),
    /// The next slice is wanted.
    Look,
    /// It is being fetched.
    Wait(Waiting<Landing>),
    /// The same, by somebody who knows nothing of the representation: what comes may be of another.
    Meet(Waiting<Landing>),
}

impl Slices {
    /// Begins with the slice that a reader is at hand for.
    pub fn new(courier: Courier, manifest: Manifest, range: ByteRange, first: (Reader, ByteRange)) -> Slices {
        let state = State::Send(stretch(range, first.0, first.1));
        Slices { courier, manifest, left: range, state, looked_ahead: 0, failures: 0, has_met: false }
    }

    /// The same, where perhaps no reader is at hand.
    pub fn begin(courier: Courier, manifest: Manifest, range: ByteRange, first: Option<(Reader, ByteRange)>) -> Slices {
        match first {
            Some(first) => Slices::new(courier, manifest, range, first),
            None => Slices {
                courier,
                manifest,
                left: range,
                state: State::Look,
                looked_ahead: 0,
                failures: 0,
                has_met: false,
            },
        }
    }

    fn slice(&self) -> ByteRange {
        slice_at(self.left.start, self.courier.site.slice_size)
    }

    /// Goes on by another manifest of the very same representation; false where it is of another, or none.
    fn adopt(&mut self, manifest: Option<Manifest>) -> bool {
        let is_same_variant = |other: &Manifest| self.manifest.response.variant == other.response.variant;
        let same = manifest.filter(|manifest| self.manifest.is_same(manifest) && is_same_variant(manifest));
        same.map(|manifest| self.manifest = manifest).is_some()
    }

    /// From the store, or off to the origin.
    fn look(&mut self) -> Result<State, ProxyError> {
        let range = self.slice();
        if stored_slice(&self.courier.core, &self.manifest, range).is_none() {
            // Others may have begun anew with the same: of two that found a manifest at once one is forgotten.
            let current = self.courier.core.cache.manifest(&self.courier.key, &*self.courier.request);
            self.adopt(current);
        }
        let core = &self.courier.core;
        let find = || stored_slice(core, &self.manifest, range);
        if let Some(stored) = find() {
            return Ok(self.send(Reader::new(&stored.body)));
        }
        if let Some(waiting) = begun_unknowing(core, &self.courier.key, range).filter(|_| !self.has_met) {
            return Ok(State::Meet(waiting));
        }
        let slice = Slice { range, manifest: Some(self.manifest.clone()), stored: None, is_continued: true };
        let role = slice.join(core, &self.courier.key, core.clock.now());
        let (ticket, waiting) = match role {
            Role::Follow(waiting) => return Ok(State::Wait(waiting)),
            Role::Lead(ticket, waiting) => (ticket, waiting),
            Role::Apart => Flights::alone(),
        };
        // The flight before may have landed between the first look and now (decisions 14).
        if let Some(stored) = find() {
            ticket.land(Landing::Again, Landing::Again);
            return Ok(self.send(Reader::new(&stored.body)));
        }
        self.take_off(slice, ticket, false)?;
        Ok(State::Wait(waiting))
    }

    /// Has the slice behind `end` fetched before its turn comes, where a fetcher is idle (decisions 10).
    fn look_ahead(&self, end: u64) {
        let Courier { core, site, key, .. } = &self.courier;
        let range = slice_at(end, site.slice_size);
        if range.start >= self.left.end
            || stored_slice(core, &self.manifest, range).is_some()
            || begun_unknowing(core, key, range).is_some()
            || !core.pool.has_idle(site.number, core.share_of(site))
        {
            return;
        }
        let slice = Slice { range, manifest: Some(self.manifest.clone()), stored: None, is_continued: true };
        if let Role::Lead(ticket, _) = slice.join(core, key, core.clock.now()) {
            // Without room for it, it is fetched when its turn comes.
            let _ = self.take_off(slice, ticket, true);
        }
    }

    fn take_off(&self, slice: Slice, ticket: Ticket<Landing>, is_background: bool) -> Result<(), ProxyError> {
        let Courier { core, site, request, key } = &self.courier;
        let fetch = Fetch {
            core: core.clone(),
            site: site.clone(),
            request: request.clone(),
            key: Some(key.clone()),
            goal: Goal::Slice(Box::new(slice)),
            forward: Forward::Partial,
            ticket: Some(ticket),
            is_second: self.failures > 0,
            is_background,
            purge_number: 0,
        };
        fetch.submit().map_err(|_| {
            core.metrics.add(Counter::QueueFull, 1);
            ProxyError::ConnectionLimitReached
        })
    }

    fn send(&self, reader: Reader) -> State {
        State::Send(stretch(self.left, reader, self.slice()))
    }

    /// Bytes of the slice have been handed out; with the first of them the next slice is looked for.
    fn sent(&mut self, bytes: u64) {
        let end = self.slice().end;
        self.left.start = self.left.start.saturating_add(bytes);
        self.failures = 0;
        self.has_met = false;
        if self.looked_ahead < end {
            self.looked_ahead = end;
            self.look_ahead(end);
        }
    }

    /// What the flight of somebody who knew nothing brought: perhaps this very slice.
    fn met(&mut self, landing: Option<Landing>) -> State {
        self.has_met = true;
        let Some(Landing::Slice(arrived, range)) = landing else { return State::Look };
        let is_same = range == self.slice() && self.adopt(Manifest::of(&arrived.response));
        arrived.reader.filter(|_| is_same).map_or(State::Look, |reader| self.send(reader))
    }

    /// What the flight brought: this very slice of the same version, or the end.
    fn landed(&mut self, landing: Landing) -> Result<State, ProxyError> {
        match landing {
            Landing::Slice(arrived, range) => {
                let is_same = self.adopt(Manifest::of(&arrived.response));
                match arrived.reader.filter(|_| is_same && range == self.slice()) {
                    Some(reader) => Ok(self.send(reader)),
                    None => Err(ProxyError::HttpProtocolError),
                }
            }
            Landing::Again if self.failures < MOST_FAILURES => {
                self.failures += 1;
                Ok(State::Look)
            }
            Landing::Failed(error, _) => Err(error.error),
            Landing::Response(_) | Landing::Apart | Landing::Again => Err(ProxyError::HttpProtocolError),
        }
    }
}

impl Sequence for Slices {
    fn next(&mut self, wake: &mut dyn FnMut() -> Wake) -> Next {
        loop {
            let next = match &mut self.state {
                State::Send(stretch) => match stretch.next(wake) {
                    Next::Chunk(chunk) => {
                        self.sent(chunk.len());
                        return Next::Chunk(chunk);
                    }
                    Next::Complete if self.left.start < self.left.end => Ok(State::Look),
                    end => return end,
                },
                State::Look => self.look(),
                State::Meet(waiting) => match waiting.poll(&wake()) {
                    Poll::Pending => return Next::NotYet,
                    Poll::Landed(landing) => Ok(self.met(Some(landing))),
                    Poll::Lost => Ok(self.met(None)),
                },
                State::Wait(waiting) => match waiting.poll(&wake()) {
                    Poll::Pending => return Next::NotYet,
                    Poll::Landed(landing) => self.landed(landing),
                    Poll::Lost => Err(ProxyError::ProxyInternalError),
                },
            };
            match next {
                Ok(state) => self.state = state,
                Err(error) => return Next::Broken(error),
            }
        }
    }
}

/// What of a slice belongs to a range that begins in it.
fn stretch(range: ByteRange, reader: Reader, slice: ByteRange) -> Stretch {
    let here = ByteRange { start: range.start, end: range.end.min(slice.end) };
    Stretch::new(reader, range.start.saturating_sub(slice.start), Some(here.length()))
}

/// Failed flights of others in a row, after each of which one looks again.
const MOST_FAILURES: u8 = 2;
