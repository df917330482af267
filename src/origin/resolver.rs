//! Names to addresses: a few threads, one lookup a name at a time, answers kept.
//!
//! Callers wait with their own deadline while a resolver thread sits in the C library. What an answer is worth over
//! time is decided in `names`; how a question is put, in `lookup`. Refuses to know of ports, sites and connections.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::lookup::{LookupFailure, system_lookup};
use super::names::{Entry, Known, Lifetimes, NameState};

/// The function that asks; tests inject their own.
pub type Lookup = dyn Fn(&str) -> Result<Vec<IpAddr>, LookupFailure> + Send + Sync;

/// Cheap to clone; all clones share threads and answers.
#[derive(Clone)]
pub struct Resolver(Arc<Shared>);

struct Shared {
    lookup: Box<Lookup>,
    lifetimes: Lifetimes,
    state: Mutex<State>,
    /// Signalled when a name is queued.
    queued: Condvar,
    /// Signalled when a lookup has ended.
    answered: Condvar,
}

#[derive(Default)]
struct State {
    entries: HashMap<Box<str>, Entry>,
    queue: VecDeque<Box<str>>,
    threads: usize,
    idle: usize,
}

impl Resolver {
    /// Asks the system (`getaddrinfo`).
    pub fn system() -> Resolver {
        Resolver::with_lookup(system_lookup)
    }

    /// Asks `lookup` instead of the system.
    pub fn with_lookup(
        lookup: impl Fn(&str) -> Result<Vec<IpAddr>, LookupFailure> + Send + Sync + 'static,
    ) -> Resolver {
        Resolver::with_lifetimes(lookup, Lifetimes::default())
    }

    /// The same with lifetimes of one's own.
    pub fn with_lifetimes(
        lookup: impl Fn(&str) -> Result<Vec<IpAddr>, LookupFailure> + Send + Sync + 'static,
        lifetimes: Lifetimes,
    ) -> Resolver {
        let state = Mutex::new(State::default());
        let (queued, answered) = (Condvar::new(), Condvar::new());
        Resolver(Arc::new(Shared { lookup: Box::new(lookup), lifetimes, state, queued, answered }))
    }

    /// The addresses of `name`, waiting until `deadline` at most. An IP literal is its own address: the C library
    /// would read `127.1` or `010.0.0.1` as numbers too, so literals never get there.
    pub fn resolve(&self, name: &str, deadline: Instant) -> Result<Arc<[IpAddr]>, LookupFailure> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(Arc::from([address]));
        }
        let name = name.to_ascii_lowercase();
        let shared = &self.0;
        let mut state = shared.lock();
        let now = Instant::now();
        make_room(&mut state, &name);
        let entry = state.entries.entry(name.as_str().into()).or_insert_with(|| Entry::new(now));
        entry.wanted = now;
        let answers = entry.answers;
        match entry.known(now, &shared.lifetimes) {
            Known::Fresh(addresses) | Known::Held(addresses) => Ok(addresses),
            Known::Failed(failure) => Err(failure),
            Known::Ageing(addresses) | Known::Kept(addresses) => {
                shared.ask(&mut state, &name);
                Ok(addresses)
            }
            Known::Old(_) => {
                shared.ask(&mut state, &name);
                shared.wait(state, &name, answers, deadline.min(now + shared.lifetimes.patience))
            }
            Known::Nothing => {
                shared.ask(&mut state, &name);
                shared.wait(state, &name, answers, deadline)
            }
        }
    }

    /// None of the addresses of `name` served: they are looked up again at once, and the next caller gets the new ones.
    pub fn distrust(&self, name: &str) {
        let name = name.to_ascii_lowercase();
        let mut state = self.0.lock();
        let Some(entry) = state.entries.get_mut(name.as_str()) else { return };
        if entry.distrust(Instant::now(), &self.0.lifetimes) {
            self.0.ask(&mut state, &name);
        }
    }

    /// The addresses of `name` as they are known, without asking.
    pub fn known(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Some(Arc::from([address]));
        }
        let state = self.0.lock();
        state.entries.get(name.to_ascii_lowercase().as_str())?.last_good(Instant::now(), &self.0.lifetimes)
    }

    /// Every name that is known, in order.
    pub fn names(&self) -> Vec<NameState> {
        let now = Instant::now();
        let mut names: Vec<_> = self.0.lock().entries.iter().map(|(name, entry)| entry.state(name, now)).collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        names
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between a change and its completion, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a lookup unless one is under way, and starts a thread if none is idle.
    fn ask(self: &Arc<Shared>, state: &mut State, name: &str) {
        let Some(entry) = state.entries.get_mut(name) else { return };
        if entry.is_asked {
            return;
        }
        entry.is_asked = true;
        state.queue.push_back(name.into());
        if state.idle >= state.queue.len() || state.threads >= MAX_THREADS {
            self.queued.notify_one();
            return;
        }
        let shared = Arc::clone(self);
        let started = thread::Builder::new().name("resolver".into()).stack_size(STACK).spawn(move || shared.serve());
        match started {
            Ok(_) => state.threads += 1,
            // Another thread will come to it; with none at all the callers run into their deadlines.
            Err(error) => log::warn!("no resolver thread: {error}"),
        }
        self.queued.notify_one();
    }

    /// Waits for the lookup that followed answer number `answers`.
    fn wait(
        &self,
        mut state: MutexGuard<'_, State>,
        name: &str,
        answers: u64,
        deadline: Instant,
    ) -> Result<Arc<[IpAddr]>, LookupFailure> {
        loop {
            let now = Instant::now();
            let Some(entry) = state.entries.get(name) else { return Err(LookupFailure::Timeout) };
            if entry.answers != answers {
                return match entry.known(now, &self.lifetimes) {
                    Known::Failed(failure) => Err(failure),
                    // A lifetime of nothing leaves no fresh set, yet the answer that was waited for counts.
                    _ => entry.last_good(now, &self.lifetimes).ok_or_else(|| entry.last_failure()),
                };
            }
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return entry.last_good(now, &self.lifetimes).ok_or(LookupFailure::Timeout);
            }
            state = self.answered.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A resolver thread: looks names up, ends when nothing comes for a while.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some(name) = state.queue.pop_front() {
                drop(state);
                let answer = self.look_up(&name);
                state = self.lock();
                self.note(&mut state, &name, answer);
                self.answered.notify_all();
                continue;
            }
            state.idle += 1;
            let (guard, timeout) = self.queued.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    /// A panic in an injected function must not take the thread's place in the count with it.
    fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, LookupFailure> {
        let call = std::panic::AssertUnwindSafe(|| (self.lookup)(name));
        std::panic::catch_unwind(call).unwrap_or(Err(LookupFailure::System))
    }

    fn note(&self, state: &mut State, name: &str, answer: Result<Vec<IpAddr>, LookupFailure>) {
        let now = Instant::now();
        let Some(entry) = state.entries.get_mut(name) else { return };
        match answer {
            Ok(addresses) if addresses.is_empty() => entry.failed(LookupFailure::NoData, now, &self.lifetimes),
            Ok(addresses) => entry.found(addresses, spread(), now, &self.lifetimes),
            Err(failure) => entry.failed(failure, now, &self.lifetimes),
        }
    }
}

/// Keeps the table bounded: the name that was wanted longest ago leaves, unless a lookup for it is under way.
fn make_room(state: &mut State, name: &str) {
    if state.entries.len() < MAX_NAMES || state.entries.contains_key(name) {
        return;
    }
    let idle = state.entries.iter().filter(|(_, entry)| !entry.is_asked);
    if let Some(oldest) = idle.min_by_key(|(_, entry)| entry.wanted).map(|(name, _)| name.clone()) {
        state.entries.remove(&oldest);
    }
}

/// A number in -1.0..=1.0, different each time.
fn spread() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    let thousandths = i32::try_from(bits % 2001).unwrap_or(1000) - 1000;
    f64::from(thousandths) / 1000.0
}

/// Lookups under way at once. They block in the C library, so a few slow names must not stop the others.
const MAX_THREADS: usize = 8;
/// The C library needs some room on the stack for answers.
const STACK: usize = 256 * 1024;
const IDLE: Duration = Duration::from_secs(10);
/// Names come from the configuration, so only a huge one meets this limit.
const MAX_NAMES: usize = 8192;

#[cfg(test)]
#[path = "tests_resolver.rs"]
mod tests;
