//! The stored responses: found by key, charged by the byte, evicted when least recently used.
//!
//! Memory only, so far. Knows what responses cost and when they were used last; whether one may be stored or reused is
//! `policy`'s question, and which of a key's variants fits is asked of the caller.

mod account;
mod body;
mod budget;
mod chunk;
mod entry;
mod filling;
mod lru;
mod reader;
mod readers;
mod response;
mod spill;
#[cfg(test)]
mod tests_body;
#[cfg(test)]
mod tests_store;
#[cfg(test)]
mod tests_support;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use body::{Body, Plan};
pub use budget::Budget;
pub use chunk::Chunk;
use entry::{Entry, Victims, entry_cost};
use lru::{BorrowedKey, Shards};
pub use reader::{Next, Reader};
pub use response::{Builder, StoredHead, StoredResponse};
pub use spill::{Spill, temporary_file};
pub use writer::Writer;

/// The memory of the cache. Clones share it.
#[derive(Clone)]
pub struct Store(Budget);

/// What became of [`Store::insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It can be found from now on.
    Stored,
    /// All room is taken by what is in use, or its body is not kept any more; it was not stored.
    Refused,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Responses stored.
    pub responses: u64,
    /// Keys that have at least one.
    pub keys: u64,
    /// Bytes charged: responses, open fills, and bodies that were evicted but are still read.
    pub bytes: u64,
    /// Bytes that may be charged.
    pub limit: u64,
    /// Responses evicted for room since the start.
    pub evictions: u64,
    /// Memory files open.
    pub files: u64,
}

impl Store {
    /// A store that takes at most `memory` bytes, bodies and overhead together, and keeps no body of more than
    /// `max_response` bytes. Reads the descriptor limit: raise that first.
    pub fn new(memory: u64, max_response: u64) -> Store {
        Store::with_shards(memory, max_response, SHARDS)
    }

    fn with_shards(memory: u64, max_response: u64, count: usize) -> Store {
        let ledger = Arc::new(budget::Ledger::new(memory));
        let max_response = Arc::new(max_response.into());
        Store(Budget { ledger, shards: Arc::new(Shards::new(count)), max_response })
    }

    /// Changes both limits. Where there is less memory now, the least recently used leave at once; what is in use goes on.
    pub fn resize(&self, memory: u64, max_response: u64) {
        self.0.max_response.store(max_response, Ordering::Relaxed);
        self.0.ledger.set_limit(memory);
        self.0.shards.shrink(&self.0.ledger);
    }

    /// The largest response that is stored, bytes of head and body.
    pub fn max_response(&self) -> u64 {
        self.0.max_response()
    }

    /// What bodies charge that are opened for this store.
    pub fn budget(&self) -> Budget {
        self.0.clone()
    }

    /// The newest response under `key` that `pick` accepts, marked as used. `pick` runs under the shard's lock: it must
    /// be quick and touch no store. A body that broke or stopped being kept is never found. Locks one shard, allocates
    /// nothing.
    pub fn find(&self, key: &[u8], mut pick: impl FnMut(&StoredResponse) -> bool) -> Option<Arc<StoredResponse>> {
        let key = self.key(key);
        let look = |shard: &mut lru::Shard| {
            let entry = shard.get(&key as &dyn lru::Hashed)?;
            let mut newest_first = entry.responses().iter().rev();
            newest_first.find(|response| response.body.may_be_shared() && pick(response)).map(Arc::clone)
        };
        self.0.shards.with(&key, look).flatten()
    }

    /// Some response is stored under `key`, whichever requests it answers. Marks nothing as used.
    pub fn has_key(&self, key: &[u8]) -> bool {
        let key = self.key(key);
        self.0.shards.with(&key, |shard| shard.contains(&key as &dyn lru::Hashed)).unwrap_or(false)
    }

    /// All that is stored under `key` and may be served, newest first. Marks nothing as used.
    pub fn variants(&self, key: &[u8]) -> Vec<Arc<StoredResponse>> {
        let key = self.key(key);
        let look = |shard: &mut lru::Shard| {
            let entry = shard.peek(&key as &dyn lru::Hashed)?;
            let newest_first = entry.responses().iter().rev();
            Some(newest_first.filter(|response| response.body.may_be_shared()).map(Arc::clone).collect())
        };
        self.0.shards.with(&key, look).flatten().unwrap_or_default()
    }

    /// Stores `response` as the newest under `key`, in the place of one with the same variant. A key has at most 64
    /// variants; beyond that its oldest leaves. The body may still be open.
    pub fn insert(&self, key: &[u8], response: Arc<StoredResponse>) -> Inserted {
        let key = self.key(key);
        if !response.body.may_be_shared() || !self.charge(&key, entry_cost(key.bytes(), &response)) {
            return Inserted::Refused;
        }
        self.change(&key, |shard, victims| match shard.get_mut(&key as &dyn lru::Hashed) {
            Some(entry) => entry.add(key.bytes(), response, victims),
            None => drop(shard.put(key.to_stored(), Entry::One(response))),
        });
        self.0.shards.note_added();
        Inserted::Stored
    }

    /// Puts `new` in the place of `old`, as a validation does; false where `old` is not stored under `key` any more.
    pub fn replace(&self, key: &[u8], old: &Arc<StoredResponse>, new: Arc<StoredResponse>) -> bool {
        let key = self.key(key);
        let cost = entry_cost(key.bytes(), &new);
        if !self.charge(&key, cost) {
            return false;
        }
        let is_replaced = self.change(&key, |shard, victims| {
            let entry = shard.get_mut(&key as &dyn lru::Hashed);
            entry.is_some_and(|entry| entry.swap(key.bytes(), old, &new, victims))
        });
        if is_replaced {
            self.0.shards.note_added();
        } else {
            self.0.ledger.give_back(cost);
        }
        is_replaced
    }

    /// Removes all that is stored under `key` and says how many that were.
    pub fn remove(&self, key: &[u8]) -> usize {
        self.remove_if(key, |_| true)
    }

    /// Removes exactly `which`; false where it is not stored under `key` any more.
    pub fn remove_response(&self, key: &[u8], which: &Arc<StoredResponse>) -> bool {
        self.remove_if(key, |response| Arc::ptr_eq(response, which)) > 0
    }

    fn remove_if(&self, key: &[u8], leaves: impl Fn(&Arc<StoredResponse>) -> bool) -> usize {
        let key = self.key(key);
        self.change(&key, |shard, victims| {
            let Some(entry) = shard.peek_mut(&key as &dyn lru::Hashed) else { return 0 };
            entry.take_if(key.bytes(), victims, leaves);
            if entry.is_empty() {
                shard.pop(&key as &dyn lru::Hashed);
            }
            usize::try_from(victims.count()).unwrap_or(usize::MAX)
        })
    }

    /// What it holds now; visits every shard in turn.
    pub fn stats(&self) -> Stats {
        let Budget { ledger, shards, .. } = &self.0;
        Stats {
            responses: shards.responses(),
            keys: u64::try_from(shards.keys()).unwrap_or(u64::MAX),
            bytes: ledger.used(),
            limit: ledger.limit(),
            evictions: shards.evictions(),
            files: ledger.files(),
        }
    }

    fn key<'k>(&self, key: &'k [u8]) -> BorrowedKey<'k> {
        self.0.shards.key(key)
    }

    fn charge(&self, key: &BorrowedKey<'_>, bytes: u64) -> bool {
        let Budget { ledger, shards, .. } = &self.0;
        ledger.take(bytes) || shards.make_room(Some(key), bytes, ledger)
    }

    /// Changes the shard of `key`; what leaves is given back and dropped after unlocking.
    fn change<T: Default>(&self, key: &BorrowedKey<'_>, work: impl FnOnce(&mut lru::Shard, &mut Victims) -> T) -> T {
        let mut victims = Victims::default();
        let answer = self.0.shards.with(key, |shard| work(shard, &mut victims));
        self.0.shards.note_taken(&victims, &self.0.ledger);
        answer.unwrap_or_default()
    }
}

/// Enough that a few workers seldom meet.
const SHARDS: usize = 32;
