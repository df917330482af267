//! The shards: keys to stored responses, least recently used first to go. The only door of the `lru` crate.
//!
//! Each shard is one mutex around one list. A key's hash is computed once, with a key of this process, and kept beside
//! the whole key, which is compared on every lookup. No two shards are locked at once, and what leaves is dropped after
//! unlocking. Knows nothing of freshness: which variant fits is the caller's question.

use std::borrow::Borrow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::mem::size_of;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::budget::Ledger;
use super::entry::{Entry, Victims};
use super::held::Held;
use super::purges::{Active, Purges, Rule};
use super::response::StoredResponse;
use super::sweep::Sweeps;

/// All shards.
pub struct Shards {
    shards: Box<[Mutex<Shard>]>,
    random: RandomState,
    /// The purges of what is stored here.
    pub purges: Purges,
    /// How they are carried through.
    pub sweeps: Sweeps,
    /// Keys were stored that tell more apart than resources.
    pub has_longer_keys: AtomicBool,
    /// Complete responses that are here only as long as they are read.
    pub held: Mutex<Vec<Held>>,
    /// Where the next eviction that belongs to no shard begins.
    turn: AtomicUsize,
    evictions: AtomicU64,
    /// Signed: an eviction may be counted before the insertion is.
    responses: AtomicI64,
}

/// One shard's list.
pub(super) type Shard = LruCache<StoredKey, Entry, BuildHasherDefault<Ready>>;

/// A shard, locked, and the purges under way.
pub(super) type Opened<'s> = (MutexGuard<'s, Shard>, Option<Arc<[Arc<Rule>]>>);

impl Shards {
    /// `count` empty shards.
    pub fn new(count: usize) -> Shards {
        let shard = || Mutex::new(LruCache::unbounded_with_hasher(BuildHasherDefault::default()));
        Shards {
            shards: std::iter::repeat_with(shard).take(count.max(1)).collect(),
            random: RandomState::new(),
            purges: Purges::new(),
            sweeps: Sweeps::default(),
            has_longer_keys: AtomicBool::new(false),
            held: Mutex::default(),
            turn: AtomicUsize::new(0),
            evictions: AtomicU64::new(0),
            responses: AtomicI64::new(0),
        }
    }

    /// The key with its hash, to look up with.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> BorrowedKey<'k> {
        BorrowedKey { hash: self.random.hash_one(bytes), bytes }
    }

    /// Locks the shard of `key` and lets `work` have it, once the purges under way have been applied to the key. What leaves
    /// is given back to `ledger` and dropped after unlocking. `None` where purges begin faster than one could look.
    pub fn with<T>(
        &self,
        key: &BorrowedKey<'_>,
        ledger: &Ledger,
        work: impl FnOnce(&mut Shard, &mut Victims) -> T,
    ) -> Option<T> {
        let index = self.index(key);
        let (mut shard, rules) = self.open(index)?;
        let mut victims = Victims::default();
        if let Some(rules) = rules {
            purge(&mut shard, key, &rules, &mut victims);
        }
        let answer = work(&mut shard, &mut victims);
        drop(shard);
        self.note_taken(index, &victims, ledger);
        Some(answer)
    }

    /// A shard, locked, and the purges under way, which whoever touches an entry of it applies there first.
    pub(super) fn open(&self, index: usize) -> Option<Opened<'_>> {
        let mut active = Active::default();
        for _ in 0..MOST_LOOKS {
            let shard = self.lock(index)?;
            if self.purges.state() == active.state {
                return Some((shard, active.rules));
            }
            drop(shard);
            active = self.purges.active();
        }
        None
    }

    /// Evicts until `bytes` could be taken from `ledger`: from the shard of `key` first, then from the others in turn,
    /// the least recently used of each. What somebody uses is passed over: evicting it would free nothing. False where
    /// there is not enough that nobody uses.
    pub fn make_room(&self, key: Option<&BorrowedKey<'_>>, bytes: u64, ledger: &Ledger) -> bool {
        if bytes > ledger.limit() {
            return false;
        }
        let first = key.map_or_else(|| self.turn.fetch_add(1, Ordering::Relaxed), |key| self.index(key));
        for step in 0..self.shards.len() {
            let index = first.wrapping_add(step) % self.shards.len();
            while self.evict_some(index, bytes, ledger) {
                if ledger.take(bytes) {
                    return true;
                }
            }
        }
        ledger.take(bytes)
    }

    /// Evicts until no more is taken than `ledger` allows, a batch from each shard in turn.
    pub fn shrink(&self, ledger: &Ledger) {
        let mut has_evicted = true;
        while std::mem::take(&mut has_evicted) {
            for index in 0..self.shards.len() {
                if ledger.used() <= ledger.limit() {
                    return;
                }
                has_evicted |= self.evict_some(index, 0, ledger);
            }
        }
    }

    /// Takes a batch out of one shard and drops it with the shard unlocked; false where nothing could be taken.
    fn evict_some(&self, index: usize, bytes: u64, ledger: &Ledger) -> bool {
        let missing = ledger.used().saturating_add(bytes).saturating_sub(ledger.limit());
        let mut victims = Victims::default();
        if let Some((mut shard, rules)) = self.open(index) {
            shed(&mut shard, rules.as_deref().unwrap_or_default(), missing.max(1), &mut victims);
        }
        self.evictions.fetch_add(victims.count(), Ordering::Relaxed);
        self.note_taken(index, &victims, ledger);
        !victims.is_empty()
    }

    /// Notes that one response was put into the shard of `key`, and that its entry cost so many bytes.
    pub fn note_added(&self, key: &BorrowedKey<'_>, response: &StoredResponse, cost: u64, ledger: &Ledger) {
        let index = self.index(key);
        self.responses.fetch_add(1, Ordering::Relaxed);
        ledger.note_shard(index, i64::try_from(cost).unwrap_or(i64::MAX));
        response.body.enter(index);
    }

    /// Notes what was taken out of a shard, and gives back what its entries were charged.
    pub fn note_taken(&self, index: usize, victims: &Victims, ledger: &Ledger) {
        if victims.is_empty() {
            return;
        }
        let count = i64::try_from(victims.count()).unwrap_or(i64::MAX);
        self.responses.fetch_sub(count, Ordering::Relaxed);
        ledger.note_shard(index, i64::try_from(victims.entry_cost()).unwrap_or(i64::MAX).saturating_neg());
        ledger.give_back(victims.entry_cost());
    }

    /// Responses in all shards.
    pub fn responses(&self) -> u64 {
        u64::try_from(self.responses.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Keys in all shards, counted one shard after the other.
    pub fn keys(&self) -> usize {
        (0..self.shards.len()).map(|index| self.len_of(index)).sum()
    }

    /// Keys in one shard.
    pub fn len_of(&self, index: usize) -> usize {
        self.lock(index).map_or(0, |shard| shard.len())
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.shards.len()
    }

    /// Responses evicted since the start.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// The number of a key's shard; the table uses the lowest and the highest bits, so these are others.
    pub(super) fn index(&self, key: &BorrowedKey<'_>) -> usize {
        usize::try_from((key.hash >> 32) & 0xffff).unwrap_or(0) % self.shards.len()
    }

    fn lock(&self, index: usize) -> Option<MutexGuard<'_, Shard>> {
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes the least recently used out of `shard` until their charges reach `missing`. What is in use moves to the front.
fn shed(shard: &mut Shard, rules: &[Arc<Rule>], missing: u64, victims: &mut Victims) {
    let mut patience = MOST_IN_USE.min(shard.len());
    while victims.charge() < missing && victims.count() < MOST_VICTIMS && patience > 0 {
        let Some((key, mut entry)) = shard.pop_lru() else { return };
        entry.purge(&key.bytes, rules, victims);
        entry.take_unused(&key.bytes, victims);
        if !entry.is_empty() {
            patience = patience.saturating_sub(1);
            shard.put(key, entry);
        }
    }
}

/// Applies purges to one key.
fn purge(shard: &mut Shard, key: &BorrowedKey<'_>, rules: &[Arc<Rule>], victims: &mut Victims) {
    let Some(entry) = shard.peek_mut(key as &dyn Hashed) else { return };
    entry.purge(key.bytes, rules, victims);
    if entry.is_empty() {
        shard.pop(key as &dyn Hashed);
    }
}

/// The key of the least recently used entry, copied into `room`.
pub(super) fn oldest<'k>(shard: &Shard, room: &'k mut Vec<u8>) -> Option<BorrowedKey<'k>> {
    let (key, _) = shard.peek_lru()?;
    room.clear();
    room.extend_from_slice(&key.bytes);
    Some(BorrowedKey { hash: key.hash, bytes: room })
}

/// What a key costs in a shard: both halves of a list node, a table slot at its usual load, the allocator's headers.
pub(super) fn key_cost(key: &[u8]) -> u64 {
    let node = size_of::<StoredKey>() + size_of::<Entry>() + 2 * size_of::<usize>();
    let slot = 32;
    super::entry::allocation(key.len()).saturating_add(super::entry::allocation(node)).saturating_add(slot)
}

/// A key in a shard.
pub struct StoredKey {
    hash: u64,
    bytes: Box<[u8]>,
}

/// A key to look up with: nothing on the heap.
#[derive(Clone, Copy)]
pub struct BorrowedKey<'k> {
    hash: u64,
    bytes: &'k [u8],
}

impl BorrowedKey<'_> {
    /// The key as a shard keeps it.
    pub fn to_stored(self) -> StoredKey {
        StoredKey { hash: self.hash, bytes: self.bytes.into() }
    }

    /// Its hash, as the shards know it.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The key itself.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }
}

/// Lets a map of [`StoredKey`]s be asked with a [`BorrowedKey`].
pub trait Hashed {
    /// The hash that [`Shards::key`] computed.
    fn hash(&self) -> u64;
    /// The whole key.
    fn bytes(&self) -> &[u8];
}

impl Hashed for StoredKey {
    fn hash(&self) -> u64 {
        self.hash
    }
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Hashed for BorrowedKey<'_> {
    fn hash(&self) -> u64 {
        self.hash
    }
    fn bytes(&self) -> &[u8] {
        self.bytes
    }
}

impl<'k> Borrow<dyn Hashed + 'k> for StoredKey {
    fn borrow(&self) -> &(dyn Hashed + 'k) {
        self
    }
}

impl Hash for dyn Hashed + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(Hashed::hash(self));
    }
}

impl PartialEq for dyn Hashed + '_ {
    fn eq(&self, other: &Self) -> bool {
        Hashed::hash(self) == Hashed::hash(other) && self.bytes() == other.bytes()
    }
}

impl Eq for dyn Hashed + '_ {}

impl Hash for StoredKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for StoredKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.bytes == other.bytes
    }
}

impl Eq for StoredKey {}

/// Passes a hash on that was computed before.
#[derive(Default)]
pub struct Ready(u64);

impl Hasher for Ready {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Responses dropped in one go, so that no lock is held for long.
const MOST_VICTIMS: u64 = 64;
/// Tries to lock a shard while purges begin.
const MOST_LOOKS: usize = 16;
/// Keys in use that one look at a shard passes over.
const MOST_IN_USE: usize = 64;
