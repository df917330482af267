//! Coalescing: one fetch a key, everybody else who asks meanwhile waits for it.
//!
//! A flight begins when somebody is the first to ask for a key, and lands when its lead knows the answer's head: the
//! lead gets one value and the followers another. What the values mean is the caller's business. The caller stores
//! first and lands second, and a new lead looks the store up again, so that no request falls between the two. No two
//! locks are held at once, and wakes are called with none.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::time::Now;
use crate::wake::Wake;

/// The flights under way, by key.
pub struct Flights<T>(Arc<Inner<T>>);

struct Inner<T> {
    shards: Box<[Mutex<Shard<T>>]>,
    random: RandomState,
}

struct Shard<T> {
    /// By key and selection.
    flights: HashMap<Box<[u8]>, Joinable<T>>,
    /// Keys that are not to be coalesced, the oldest mark first. A hash stands for the key: two keys that share one
    /// would only fetch apart.
    marks: VecDeque<Mark>,
}

struct Joinable<T> {
    flight: Arc<Flight<T>>,
    /// How much of the place's name is the key.
    key_length: usize,
}

struct Mark {
    hash: u64,
    until: Duration,
}

/// What a request for a key does.
pub enum Role<T> {
    /// Nobody was under way: fetch, and land the ticket. The lead may wait like the others.
    Lead(Ticket<T>, Waiting<T>),
    /// Somebody fetches already.
    Follow(Waiting<T>),
    /// The key was marked as not to be coalesced: fetch on your own.
    Apart,
}

impl<T: Clone> Flights<T> {
    /// None under way.
    pub fn new() -> Flights<T> {
        let shard = || Mutex::new(Shard { flights: HashMap::new(), marks: VecDeque::new() });
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        Flights(Arc::new(Inner { shards, random: RandomState::new() }))
    }

    /// Joins the flight of `key`, or begins it.
    #[cfg(test)]
    pub fn join(&self, key: &[u8], now: Now) -> Role<T> {
        self.join_selected(key, b"", now)
    }

    /// Joins the flight of `key` for requests with this `selection`, or begins it.
    pub fn join_selected(&self, key: &[u8], selection: &[u8], now: Now) -> Role<T> {
        let hash = self.0.hash(key);
        let mut shard = self.0.shard(hash);
        shard.forget_marks(now);
        if shard.marks.iter().any(|mark| mark.hash == hash) {
            return Role::Apart;
        }
        let name: Box<[u8]> = [key, selection].concat().into();
        if let Some(flight) = shard.flights.get(&name).map(|joinable| Arc::clone(&joinable.flight)) {
            drop(shard);
            return Role::Follow(Waiting::new(flight, false));
        }
        let flight = Arc::new(Flight::new());
        shard.flights.insert(name.clone(), Joinable { flight: Arc::clone(&flight), key_length: key.len() });
        drop(shard);
        let waiting = Waiting::new(Arc::clone(&flight), true);
        let place = Place { inner: Arc::clone(&self.0), hash, name };
        Role::Lead(Ticket { flight, place: Some(place), has_landed: false }, waiting)
    }

    /// A place among those who wait for that flight, where it is under way.
    pub fn follow(&self, key: &[u8], selection: &[u8]) -> Option<Waiting<T>> {
        let shard = self.0.shard(self.0.hash(key));
        let flight = Arc::clone(&shard.flights.get(&[key, selection].concat()[..])?.flight);
        drop(shard);
        Some(Waiting::new(flight, false))
    }

    /// Nobody joins the flights of keys that are so any more; those who wait for one still get what it lands. Looks at one
    /// shard after the other.
    pub fn detach(&self, is_meant: impl Fn(&[u8]) -> bool) {
        self.0.shards.iter().for_each(|shard| lock(shard).detach(&is_meant));
    }

    /// A flight that nobody can join, for what must not be shared.
    pub fn alone() -> (Ticket<T>, Waiting<T>) {
        let flight = Arc::new(Flight::new());
        let waiting = Waiting::new(Arc::clone(&flight), true);
        (Ticket { flight, place: None, has_landed: false }, waiting)
    }

    /// Sends requests for `key` apart for ten seconds. Marks are few: where there are too many, the oldest goes.
    pub fn mark_uncollapsible(&self, key: &[u8], now: Now) {
        let hash = self.0.hash(key);
        let mut shard = self.0.shard(hash);
        shard.forget_marks(now);
        shard.marks.retain(|mark| mark.hash != hash);
        if shard.marks.len() >= MOST_MARKS {
            shard.marks.pop_front();
        }
        shard.marks.push_back(Mark { hash, until: now.monotonic.saturating_add(MARK_LIFETIME) });
    }

    /// Is `key` marked as not to be coalesced now?
    pub fn is_uncollapsible(&self, key: &[u8], now: Now) -> bool {
        let hash = self.0.hash(key);
        let mut shard = self.0.shard(hash);
        shard.forget_marks(now);
        shard.marks.iter().any(|mark| mark.hash == hash)
    }

    /// Flights under way that can be joined; visits every shard in turn.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| lock(shard).flights.len()).sum()
    }
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Flights<T> {
        Flights::new()
    }
}

impl<T> Inner<T> {
    fn hash(&self, key: &[u8]) -> u64 {
        self.random.hash_one(key)
    }

    #[allow(clippy::indexing_slicing)] // the remainder is below the length
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<T>> {
        lock(&self.shards[usize::try_from(hash >> 48).unwrap_or(0) % SHARDS])
    }
}

impl<T> Shard<T> {
    fn detach(&mut self, is_meant: impl Fn(&[u8]) -> bool) {
        self.flights.retain(|name, joinable| !name.get(..joinable.key_length).is_some_and(&is_meant));
    }

    /// All marks live equally long, so the expired ones are in front.
    fn forget_marks(&mut self, now: Now) {
        while self.marks.front().is_some_and(|mark| mark.until <= now.monotonic) {
            self.marks.pop_front();
        }
    }
}

/// Where a flight can be joined.
struct Place<T> {
    inner: Arc<Inner<T>>,
    hash: u64,
    name: Box<[u8]>,
}

/// The duty to land a flight. Dropped unlanded, everybody who waits finds it lost.
pub struct Ticket<T> {
    flight: Arc<Flight<T>>,
    /// Where the key stands, unless the flight is alone.
    place: Option<Place<T>>,
    has_landed: bool,
}

impl<T> Ticket<T> {
    /// Ends the flight: `lead` for the waiting of the lead, a clone of `followers` for each other one. The key is free
    /// before anybody is woken.
    pub fn land(mut self, lead: T, followers: T) {
        self.end(Outcome::Landed { lead: Some(lead), followers });
    }

    /// What tells the lead something while the flight is under way.
    pub fn messenger(&self) -> Messenger<T> {
        Messenger { flight: Arc::clone(&self.flight) }
    }

    /// Those who wait, the lead not counted.
    #[cfg(test)]
    pub fn followers(&self) -> usize {
        self.flight.lock().followers
    }

    /// Somebody waits for the outcome, the lead counted.
    pub fn is_awaited(&self) -> bool {
        let state = self.flight.lock();
        state.followers > 0 || state.lead.is_some()
    }

    fn end(&mut self, outcome: Outcome<T>) {
        self.has_landed = true;
        if let Some(Place { inner, hash, name }) = self.place.take() {
            let mut shard = inner.shard(hash);
            // Where it was detached, another flight may have the place now.
            if shard.flights.get(&name).is_some_and(|joinable| Arc::ptr_eq(&joinable.flight, &self.flight)) {
                shard.flights.remove(&name);
            }
        }
        let mut state = self.flight.lock();
        state.outcome = outcome;
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        wakes.into_iter().flatten().for_each(|wake| wake.wake());
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if !self.has_landed {
            self.end(Outcome::Lost);
        }
    }
}

/// Carries messages of a flight under way to its lead, and to nobody else.
pub struct Messenger<T> {
    flight: Arc<Flight<T>>,
}

impl<T> Messenger<T> {
    /// Leaves `message` for the lead and wakes it. It is dropped where no lead waits, and beyond 16 messages or 16 KiB in
    /// all: a message is a courtesy, what counts is the landing.
    pub fn tell(&self, message: &[u8]) {
        let mut state = self.flight.lock();
        let bytes = state.told_bytes.saturating_add(message.len());
        let Some(place) = state.lead.filter(|_| state.messages < MOST_MESSAGES && bytes <= MOST_TOLD) else { return };
        state.messages += 1;
        state.told_bytes = bytes;
        state.told.extend_from_slice(message);
        let wake = state.wakes.get_mut(place).and_then(Option::take);
        drop(state);
        if let Some(wake) = wake {
            wake.wake();
        }
    }
}

struct Flight<T>(Mutex<State<T>>);

struct State<T> {
    outcome: Outcome<T>,
    /// One place for each that waits; places of those who left are used anew.
    wakes: Vec<Option<Wake>>,
    free: Vec<usize>,
    followers: usize,
    /// The place of the lead, while it waits.
    lead: Option<usize>,
    /// What the lead has not taken yet, and how much it was told in all.
    told: Vec<u8>,
    messages: usize,
    told_bytes: usize,
}

enum Outcome<T> {
    UnderWay,
    Landed { lead: Option<T>, followers: T },
    Lost,
}

impl<T> Flight<T> {
    fn new() -> Flight<T> {
        Flight(Mutex::new(State {
            outcome: Outcome::UnderWay,
            wakes: Vec::new(),
            free: Vec::new(),
            followers: 0,
            lead: None,
            told: Vec::new(),
            messages: 0,
            told_bytes: 0,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.0)
    }
}

/// A place among those who wait for a flight. Dropping it removes its wake.
pub struct Waiting<T> {
    flight: Arc<Flight<T>>,
    place: usize,
    is_lead: bool,
}

/// The answer to [`Waiting::poll`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll<T> {
    /// Still under way; the wake is called when it ends.
    Pending,
    /// It landed. The lead gets its value once.
    Landed(T),
    /// The ticket was dropped, or the lead has its value already.
    Lost,
}

impl<T> Waiting<T> {
    fn new(flight: Arc<Flight<T>>, is_lead: bool) -> Waiting<T> {
        let mut state = flight.lock();
        let place = state.free.pop().unwrap_or_else(|| {
            state.wakes.push(None);
            state.wakes.len().saturating_sub(1)
        });
        if is_lead {
            state.lead = Some(place);
        } else {
            state.followers = state.followers.saturating_add(1);
        }
        drop(state);
        Waiting { flight, place, is_lead }
    }
}

impl<T: Clone> Waiting<T> {
    /// How the flight ended. Where it has not, a clone of `wake` is left under the same lock, so the end is not missed.
    pub fn poll(&mut self, wake: &Wake) -> Poll<T> {
        let mut state = self.flight.lock();
        let (poll, replaced) = match &mut state.outcome {
            Outcome::Lost => (Poll::Lost, None),
            Outcome::Landed { lead, .. } if self.is_lead => (lead.take().map_or(Poll::Lost, Poll::Landed), None),
            Outcome::Landed { followers, .. } => (Poll::Landed(followers.clone()), None),
            Outcome::UnderWay => {
                (Poll::Pending, state.wakes.get_mut(self.place).and_then(|place| place.replace(wake.clone())))
            }
        };
        drop(state);
        drop(replaced);
        poll
    }

    /// What the lead was told since it was last asked for; nothing for the others. Whoever asks after a poll misses
    /// nothing: what comes later wakes.
    pub fn told(&mut self) -> Vec<u8> {
        if self.is_lead { std::mem::take(&mut self.flight.lock().told) } else { Vec::new() }
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        let mut state = self.flight.lock();
        if self.is_lead {
            state.lead = None;
        } else {
            state.followers = state.followers.saturating_sub(1);
        }
        let wake = state.wakes.get_mut(self.place).and_then(Option::take);
        state.free.push(self.place);
        drop(state);
        drop(wake);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Messages to the lead of one flight.
const MOST_MESSAGES: usize = 16;
/// Bytes of all of them.
const MOST_TOLD: usize = 16 << 10;
/// Enough that requests for different keys seldom meet.
const SHARDS: usize = 32;
/// Marks in one shard.
const MOST_MARKS: usize = 128;
/// After this a key is tried as one that can be shared again.
const MARK_LIFETIME: Duration = Duration::from_secs(10);

#[cfg(test)]
#[path = "tests_flight.rs"]
mod tests;
