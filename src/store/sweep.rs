//! The sweep: every entry of every shard visited once, some dozens under one lock, while hits go on.
//!
//! A shard's list is turned round: its oldest entry is looked at and moved to the front, as often as the shard had entries
//! at the beginning; then each stands where it stood before. Whatever else moves to the front meanwhile was touched, and
//! who touches an entry applies the purges under way to it. So none is missed. While a shard is being turned its order is
//! not that of last use; that lasts a moment.
//!
//! A thread that does nothing but sweep would hold one shard or another nearly all the time, and whenever the system gives
//! its processor to somebody else, hits would wait for that shard until it comes back. So a sweep is cut into slices, and
//! whoever serves hits does them between two of its turns ([`Sweeps::spare`]): then nobody who holds a shard waits for a
//! processor that hits have.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;

use super::budget::Ledger;
use super::entry::{Entry, Victims};
use super::lru::{Hashed, Shard, Shards, StoredKey, oldest};
use super::purges::Rule;
use super::response::StoredResponse;

/// Sees every response with its key, once.
pub type Look<'l> = &'l mut dyn FnMut(&[u8], &StoredResponse);

/// Wakes those who call [`Sweeps::spare`].
pub type Call = Box<dyn Fn() + Send + Sync>;

/// The sweeps under way, and who helps with them.
#[derive(Default)]
pub struct Sweeps {
    /// There is one under way. One look, for those who have a moment.
    is_any: AtomicBool,
    queue: Mutex<VecDeque<Arc<Sweep>>>,
    /// Told whenever one is over.
    over: Condvar,
    call: OnceLock<Call>,
}

/// One sweep: what is left of it.
struct Sweep {
    /// Entries of each shard that nobody has taken on yet.
    left: Box<[AtomicUsize]>,
    /// Entries that have not been visited.
    unseen: AtomicUsize,
    /// Where the next hand begins to look for a shard.
    turn: AtomicUsize,
    graves: Mutex<Graves>,
}

/// What a sweep has taken out of the store. To drop it takes longer than to take it out, and nobody need wait for that.
#[derive(Default)]
struct Graves {
    slices: Vec<Vec<Arc<StoredResponse>>>,
    count: usize,
}

/// A part of one shard that somebody has taken on; it counts as seen once this is dropped, come what may.
struct Slice<'s> {
    sweep: &'s Sweep,
    index: usize,
    entries: usize,
}

impl Sweeps {
    /// Names those who help: `call` is to make them call [`Sweeps::spare`] until it says that nothing is left. Works once.
    pub fn help_by(&self, call: Call) {
        let _ = self.call.set(call);
    }

    /// A sweep is under way.
    pub fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed)
    }

    /// Goes on with a sweep for about `time`, if one is under way; true while something is left to do.
    pub fn spare(&self, shards: &Shards, ledger: &Ledger, time: Duration) -> bool {
        let Some(sweep) = self.lock().iter().find(|sweep| sweep.has_left()).map(Arc::clone) else { return false };
        self.go_on(&sweep, shards, ledger, time);
        // Where that one has nothing left, perhaps another has; the next call looks.
        true
    }

    fn go_on(&self, sweep: &Sweep, shards: &Shards, ledger: &Ledger, time: Duration) {
        let start = Instant::now();
        while self.advance(sweep, shards, ledger) && start.elapsed() < time {}
    }

    /// Sweeps all that is stored now: applies the purges under way. Comes back when that is done.
    pub fn run(&self, shards: &Shards, ledger: &Ledger) {
        let sweep = Arc::new(Sweep::of(shards));
        match self.call.get() {
            Some(call) if sweep.unseen.load(Ordering::SeqCst) >= MANY => {
                self.lock().push_back(Arc::clone(&sweep));
                self.is_any.store(true, Ordering::SeqCst);
                call();
                self.wait(&sweep, shards, ledger);
            }
            // To call for help would take longer, or nobody would come.
            _ => while self.advance(&sweep, shards, ledger) {},
        }
        std::mem::take(&mut *sweep.graves.lock().unwrap_or_else(PoisonError::into_inner)).clear();
    }

    /// Waits until the sweep is over. Where nobody gets on with it, it does so itself, by half of its time: who helped may have
    /// ended, or have a long turn.
    fn wait(&self, sweep: &Sweep, shards: &Shards, ledger: &Ledger) {
        let mut queue = self.lock();
        while !sweep.is_over() {
            let before = sweep.unseen.load(Ordering::SeqCst);
            queue = self.over.wait_timeout(queue, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
            if sweep.unseen.load(Ordering::SeqCst) == before {
                drop(queue);
                self.go_on(sweep, shards, ledger, PATIENCE);
                queue = self.lock();
            }
        }
        queue.retain(|other| !std::ptr::eq(&**other, sweep));
        self.is_any.store(!queue.is_empty(), Ordering::SeqCst);
    }

    /// Does one slice; false where none is left.
    fn advance(&self, sweep: &Sweep, shards: &Shards, ledger: &Ledger) -> bool {
        let Some(slice) = sweep.take_on() else { return false };
        let victims = slice.purge(shards);
        shards.note_taken(slice.index, &victims, ledger);
        sweep.graves.lock().unwrap_or_else(PoisonError::into_inner).bury(victims);
        drop(slice);
        if sweep.is_over() {
            // Under the lock, so that who waits has either seen it or is told.
            let _queue = self.lock();
            self.over.notify_all();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Sweep>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sweep {
    fn of(shards: &Shards) -> Sweep {
        let left: Box<[AtomicUsize]> = (0..shards.count()).map(|index| shards.len_of(index).into()).collect();
        let unseen = left.iter().map(|left| left.load(Ordering::Relaxed)).sum::<usize>().into();
        Sweep { left, unseen, turn: AtomicUsize::new(0), graves: Mutex::default() }
    }

    fn is_over(&self) -> bool {
        self.unseen.load(Ordering::SeqCst) == 0
    }

    fn has_left(&self) -> bool {
        self.left.iter().any(|left| left.load(Ordering::Relaxed) > 0)
    }

    /// The next slice, of another shard than the last one where there is any: who waits for that one comes first.
    fn take_on(&self) -> Option<Slice<'_>> {
        let count = self.left.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut indices = (0..count).map(|step| first.wrapping_add(step) % count);
        indices.find_map(|index| {
            let left = self.left.get(index)?;
            let take = |left: usize| (left > 0).then(|| left.saturating_sub(SLICE));
            let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).ok()?;
            Some(Slice { sweep: self, index, entries: before.min(SLICE) })
        })
    }
}

impl Slice<'_> {
    fn purge(&self, shards: &Shards) -> Victims {
        // A shard that does not open had purges begun between two looks; they are few.
        let (mut shard, rules) = loop {
            if let Some(opened) = shards.open(self.index) {
                break opened;
            }
        };
        let (mut victims, mut key) = (Victims::default(), Vec::new());
        let rules = rules.as_deref().unwrap_or_default();
        // Most keys have one response. All are looked at before the first is moved: so the processor waits for many places
        // in memory at once, and where a purge takes one, its key need not be looked up.
        let is_taken = |(key, entry): (&StoredKey, &Entry)| match entry {
            Entry::One(one) => Some(rules.iter().any(|rule| rule.takes(key.bytes(), one))),
            _ => None,
        };
        let verdicts: Vec<Option<bool>> = shard.iter().rev().take(self.entries).map(is_taken).collect();
        for verdict in verdicts {
            match verdict {
                Some(true) => bury_oldest(&mut shard, &mut victims),
                Some(false) => visit(&mut shard, &[], &mut key, &mut victims, &mut |_, _| {}),
                None => visit(&mut shard, rules, &mut key, &mut victims, &mut |_, _| {}),
            }
        }
        victims
    }
}

/// Takes out the oldest entry, which has one response.
fn bury_oldest(shard: &mut Shard, victims: &mut Victims) {
    if let Some((key, Entry::One(one))) = shard.pop_lru() {
        victims.add_purged(key.bytes(), one);
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        self.sweep.unseen.fetch_sub(self.entries, Ordering::SeqCst);
    }
}

impl Graves {
    fn bury(&mut self, victims: Victims) {
        let slice = victims.into_responses();
        self.count = self.count.saturating_add(slice.len());
        if !slice.is_empty() {
            self.slices.push(slice);
        }
    }

    /// Drops all: here where they are few, on a thread of its own where they are many.
    fn clear(self) {
        if self.count <= FEW {
            return;
        }
        let drop_all = move || {
            // It gets what others leave of the processors: it holds no shard. On Linux the priority is a thread's own; where it
            // cannot be lowered, the work is done as it is.
            let _ = setpriority_process(None, LOW);
            for slice in self.slices {
                drop(slice);
                // Whoever has something to do comes first.
                std::thread::sleep(REST);
            }
        };
        // Where the system gives no thread, it drops them here and now.
        let _ = std::thread::Builder::new().name("purged".into()).stack_size(STACK).spawn(drop_all);
    }
}

impl Shards {
    /// Shows all that is stored now to `look`, and applies the purges under way. Takes its time, so that hits need not take
    /// theirs.
    pub fn sweep(&self, ledger: &Ledger, look: Look<'_>) {
        let mut key = Vec::new();
        for index in 0..self.count() {
            let mut left = self.len_of(index);
            while left > 0 {
                let Some((mut shard, rules)) = self.open(index) else { continue };
                let mut victims = Victims::default();
                let rules = rules.as_deref().unwrap_or_default();
                (0..left.min(SLICE)).for_each(|_| visit(&mut shard, rules, &mut key, &mut victims, look));
                drop(shard);
                self.note_taken(index, &victims, ledger);
                drop(victims);
                left = left.saturating_sub(SLICE);
                if left > 0 {
                    std::thread::sleep(REST);
                }
            }
        }
    }
}

/// Visits the oldest entry of a shard and moves it to the front.
fn visit(shard: &mut Shard, rules: &[Arc<Rule>], room: &mut Vec<u8>, victims: &mut Victims, look: Look<'_>) {
    let Some(key) = oldest(shard, room) else { return };
    let Some(entry) = shard.get_mut(&key as &dyn Hashed) else { return };
    entry.purge(key.bytes(), rules, victims);
    entry.responses().iter().for_each(|response| look(key.bytes(), response));
    if entry.is_empty() {
        shard.pop(&key as &dyn Hashed);
    }
}

/// Responses that are dropped while the caller waits.
const FEW: usize = 4096;
/// Entries from which on a sweep is shared.
const MANY: usize = 4096;
/// Entries visited under one lock: some fifty microseconds.
const SLICE: usize = 128;
/// How long a sweep may stand still before who waits for it goes on with it.
const PATIENCE: Duration = Duration::from_millis(5);
/// Between two slices of work that is not urgent.
const REST: Duration = Duration::from_micros(50);
/// A niceness that leaves the processors to whoever wants them.
const LOW: i32 = 10;
const STACK: usize = 128 << 10;
