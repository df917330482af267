//! Purges: the numbers that put them and fetches into one order, and the rules of those under way.
//!
//! Every purge takes the next number. A response carries the number that was the latest when the origin was asked for it
//! ([`Mark`](super::response::Mark)), and a purge concerns what carries a lower number than its own: all that is stored,
//! and all that is still on its way. A purge of one key leaves its number in a table of fixed size and needs no more. A
//! *rule* is under way until a sweep has visited every shard; meanwhile whoever touches an entry applies it there first,
//! so that it acts from its beginning on and no entry slips past the sweep.
//!
//! All is bounded: 64 rules under way, 256 remembered for what is on its way (forgetting one only means that what was
//! asked for before it is not stored), and 16,384 numbers for keys (a shared place only means that a response is not
//! stored that could have been).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::response::StoredResponse;

/// Does a purge concern what is stored under this key? Runs under a shard's lock: it must be quick and touch no store.
pub type Matches = Arc<dyn Fn(&[u8], &StoredResponse) -> bool + Send + Sync>;

/// All purges of one store.
pub struct Purges {
    /// The latest number given.
    number: AtomicU64,
    /// The number of the newest rule.
    newest: AtomicU64,
    /// Zero while no rule is under way; changes whenever one is added.
    state: AtomicU64,
    rules: Mutex<Rules>,
    /// By the hash of a key: the latest purge of one of the keys that share the place.
    keys: Box<[AtomicU64]>,
}

struct Rules {
    active: Arc<[Arc<Rule>]>,
    /// Newest last.
    recent: VecDeque<Arc<Rule>>,
    /// What was asked for before this number may be concerned by a rule that is forgotten.
    floor: u64,
}

/// One purge that looks at every key.
pub struct Rule {
    number: u64,
    is_hard: bool,
    matches: Matches,
    taken: AtomicU64,
}

/// The rules under way at one moment.
#[derive(Default)]
pub struct Active {
    /// [`Purges::state`] at that moment.
    pub state: u64,
    /// In order; `None` where there are none.
    pub rules: Option<Arc<[Arc<Rule>]>>,
}

impl Purges {
    /// None so far.
    pub fn new() -> Purges {
        Purges {
            number: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            state: AtomicU64::new(0),
            rules: Mutex::new(Rules { active: Arc::default(), recent: VecDeque::new(), floor: 0 }),
            keys: std::iter::repeat_with(AtomicU64::default).take(PLACES).collect(),
        }
    }

    /// The latest number: what is asked for from now on is concerned by later purges only.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }

    /// A purge of the key with this hash, and its number. What is stored is to be removed after this, so that nothing comes
    /// in between.
    pub fn note_key(&self, hash: u64) -> u64 {
        let number = self.next();
        if let Some(place) = self.place(hash) {
            place.fetch_max(number, Ordering::SeqCst);
        }
        number
    }

    /// Begins a purge; `None` where too many are under way.
    pub fn begin(&self, is_hard: bool, matches: &Matches) -> Option<Arc<Rule>> {
        let mut rules = self.lock();
        if rules.active.len() >= MOST_ACTIVE {
            return None;
        }
        let number = self.next();
        let rule = Arc::new(Rule { number, is_hard, matches: Arc::clone(matches), taken: AtomicU64::new(0) });
        rules.active = rules.active.iter().chain([&rule]).map(Arc::clone).collect();
        rules.recent.push_back(Arc::clone(&rule));
        if rules.recent.len() > MOST_RECENT
            && let Some(forgotten) = rules.recent.pop_front()
        {
            rules.floor = forgotten.number;
        }
        self.newest.store(number, Ordering::SeqCst);
        self.state.store(number, Ordering::SeqCst);
        Some(rule)
    }

    /// Ends purges that a sweep has carried through.
    pub fn end(&self, swept: &[Arc<Rule>]) {
        let mut rules = self.lock();
        let is_left = |rule: &&Arc<Rule>| !swept.iter().any(|swept| Arc::ptr_eq(swept, rule));
        rules.active = rules.active.iter().filter(is_left).map(Arc::clone).collect();
        if rules.active.is_empty() {
            self.state.store(0, Ordering::SeqCst);
        }
    }

    /// What [`Purges::active`] would bring is what was brought with the same state. One look, for the hot path: under a
    /// shard's lock it is never older than what a sweep has done to that shard.
    pub fn state(&self) -> u64 {
        self.state.load(Ordering::Relaxed)
    }

    /// The rules under way.
    pub fn active(&self) -> Active {
        let rules = self.lock();
        let is_any = !rules.active.is_empty();
        Active { state: self.state.load(Ordering::SeqCst), rules: is_any.then(|| Arc::clone(&rules.active)) }
    }

    /// May `response` still be stored under `key`? `None` where a later purge concerns it; else what [`Purges::allows`] is
    /// to be asked with under the shard's lock.
    pub fn admit(&self, key: &[u8], hash: u64, response: &StoredResponse) -> Option<u64> {
        let newest = self.newest.load(Ordering::SeqCst);
        let number = response.mark.number();
        if self.key_number(hash) > number {
            return None;
        }
        if newest <= number {
            return Some(newest);
        }
        let rules = self.lock();
        let is_remembered = number >= rules.floor;
        let later: Vec<Arc<Rule>> = rules.recent.iter().filter(|rule| rule.number > number).map(Arc::clone).collect();
        drop(rules);
        (is_remembered && !later.iter().any(|rule| (rule.matches)(key, response))).then_some(newest)
    }

    /// No purge has come since [`Purges::admit`] said `newest` of a response with this number.
    pub fn allows(&self, newest: u64, hash: u64, number: u64) -> bool {
        self.newest.load(Ordering::SeqCst) == newest && self.key_number(hash) <= number
    }

    fn next(&self) -> u64 {
        self.number.fetch_add(1, Ordering::SeqCst).saturating_add(1)
    }

    fn key_number(&self, hash: u64) -> u64 {
        self.place(hash).map_or(0, |place| place.load(Ordering::SeqCst))
    }

    fn place(&self, hash: u64) -> Option<&AtomicU64> {
        self.keys.get(usize::try_from(hash & (PLACES as u64 - 1)).unwrap_or(0))
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    /// Applies it to what is stored under `key`; true where that must leave. A soft purge marks it and lets it stay.
    pub fn takes(&self, key: &[u8], response: &StoredResponse) -> bool {
        if response.mark.number() >= self.number || !(self.matches)(key, response) {
            return false;
        }
        if self.is_hard || response.mark.expire() {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        self.is_hard
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Responses that it took so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Each costs every look at the store a little while it is under way.
const MOST_ACTIVE: usize = 64;
/// A fetch that is overtaken by more purges is not stored.
const MOST_RECENT: usize = 256;
/// A power of two; 128 KiB.
const PLACES: usize = 1 << 14;
