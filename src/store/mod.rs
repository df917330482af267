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
mod held;
mod lru;
mod nameless;
mod purges;
mod reader;
mod readers;
mod response;
mod spill;
mod sweep;
#[cfg(test)]
mod tests_body;
#[cfg(test)]
mod tests_held;
#[cfg(test)]
mod tests_purges;
#[cfg(test)]
mod tests_store;
#[cfg(test)]
mod tests_support;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::policy::key::resource_of;
pub use body::{Body, Plan};
pub use budget::Budget;
pub use chunk::Chunk;
use entry::{Entry, Victims, entry_cost};
use lru::{BorrowedKey, Shards};
pub use nameless::Nameless;
pub use purges::Matches;
pub use reader::{Next, Reader};
pub use response::{Builder, Mark, StoredHead, StoredResponse};
pub use spill::{Spill, leave_room, temporary_file};
pub use writer::Writer;

/// The memory of the cache. Clones share it.
#[derive(Clone)]
pub struct Store(Budget);

/// What became of [`Store::insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It can be found from now on.
    Stored,
    /// All room is taken by what is in use, its body is not kept any more, or a purge that began after the origin was asked
    /// for it concerns it; it was not stored.
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
        let ledger = Arc::new(budget::Ledger::new(memory, count.max(1)));
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
        let look = |shard: &mut lru::Shard, _: &mut Victims| {
            let entry = shard.get(&key as &dyn lru::Hashed)?;
            let mut newest_first = entry.responses().iter().rev();
            newest_first.find(|response| response.body.may_be_shared() && pick(response)).map(Arc::clone)
        };
        self.with(&key, look).flatten()
    }

    /// Some response is stored under `key`, whichever requests it answers. Marks nothing as used.
    pub fn has_key(&self, key: &[u8]) -> bool {
        let key = self.key(key);
        let look = |shard: &mut lru::Shard, _: &mut Victims| {
            let entry = shard.peek(&key as &dyn lru::Hashed)?;
            Some(entry.responses().iter().any(|response| response.body.may_be_shared()))
        };
        self.with(&key, look).flatten().unwrap_or(false)
    }

    /// All that is stored under `key` and may be served, newest first. Marks nothing as used.
    pub fn variants(&self, key: &[u8]) -> Vec<Arc<StoredResponse>> {
        let key = self.key(key);
        let look = |shard: &mut lru::Shard, _: &mut Victims| {
            let entry = shard.peek(&key as &dyn lru::Hashed)?;
            let newest_first = entry.responses().iter().rev();
            Some(newest_first.filter(|response| response.body.may_be_shared()).map(Arc::clone).collect())
        };
        self.with(&key, look).flatten().unwrap_or_default()
    }

    /// Stores `response` as the newest under `key`, in the place of one with the same variant. A key has at most 64
    /// variants; beyond that its oldest leaves. The body may still be open.
    pub fn insert(&self, key: &[u8], response: Arc<StoredResponse>) -> Inserted {
        let key = self.key(key);
        let is_stored = response.body.may_be_shared()
            && self.admit(&key, &response, |shard, victims| {
                match shard.get_mut(&key as &dyn lru::Hashed) {
                    Some(entry) => entry.add(key.bytes(), Arc::clone(&response), victims),
                    None => drop(shard.put(key.to_stored(), Entry::One(Arc::clone(&response)))),
                }
                true
            });
        if is_stored { Inserted::Stored } else { Inserted::Refused }
    }

    /// The same unless something is stored under `key` by now that `is_taken` names; false then too. `is_taken` runs under the
    /// shard's lock.
    pub fn insert_unless(
        &self,
        key: &[u8],
        response: &Arc<StoredResponse>,
        is_taken: impl Fn(&Arc<StoredResponse>) -> bool,
    ) -> bool {
        let key = self.key(key);
        self.admit(&key, response, |shard, victims| {
            match shard.get_mut(&key as &dyn lru::Hashed) {
                Some(entry) if entry.responses().iter().any(&is_taken) => return false,
                Some(entry) => entry.add(key.bytes(), Arc::clone(response), victims),
                None => drop(shard.put(key.to_stored(), Entry::One(Arc::clone(response)))),
            }
            true
        })
    }

    /// Puts `new` in the place of `old`, as a validation does; false where `old` is not stored under `key` any more, or
    /// [`Store::insert`] would have refused `new`.
    pub fn replace(&self, key: &[u8], old: &Arc<StoredResponse>, new: Arc<StoredResponse>) -> bool {
        let key = self.key(key);
        self.admit(&key, &new, |shard, victims| {
            let entry = shard.get_mut(&key as &dyn lru::Hashed);
            entry.is_some_and(|entry| entry.swap(key.bytes(), old, &new, victims))
        })
    }

    /// Charges for `response` and has `put` put it into its shard, unless a purge is in the way.
    fn admit(
        &self,
        key: &BorrowedKey<'_>,
        response: &StoredResponse,
        mut put: impl FnMut(&mut lru::Shard, &mut Victims) -> bool,
    ) -> bool {
        let (cost, purges) = (entry_cost(key.bytes(), response), &self.0.shards.purges);
        let place = self.place_of(key);
        if !self.charge(key, cost) {
            return false;
        }
        let mut is_put = false;
        for _ in 0..MOST_TRIES {
            let Some(newest) = purges.admit(key.bytes(), place, response) else { break };
            let outcome = self.with(key, |shard, victims| {
                purges.allows(newest, place, response.mark.number()).then(|| put(shard, victims))
            });
            if let Some(answer) = outcome.flatten() {
                is_put = answer;
                break;
            }
        }
        if is_put {
            self.0.shards.note_added(key, response, cost, &self.0.ledger);
        } else {
            self.0.ledger.give_back(cost);
        }
        is_put
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
        let take = |shard: &mut lru::Shard, victims: &mut Victims| {
            let before = victims.count();
            let Some(entry) = shard.peek_mut(&key as &dyn lru::Hashed) else { return 0 };
            entry.take_if(key.bytes(), victims, leaves);
            if entry.is_empty() {
                shard.pop(&key as &dyn lru::Hashed);
            }
            usize::try_from(victims.count().saturating_sub(before)).unwrap_or(usize::MAX)
        };
        self.with(&key, take).unwrap_or_default()
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

    /// Where a purge of the key's resource leaves its number.
    fn place_of(&self, key: &BorrowedKey<'_>) -> u64 {
        let resource = resource_of(key.bytes());
        if resource.len() == key.bytes().len() {
            return key.hash();
        }
        self.0.shards.has_longer_keys.store(true, Ordering::SeqCst);
        self.key(resource).hash()
    }

    fn key<'k>(&self, key: &'k [u8]) -> BorrowedKey<'k> {
        self.0.shards.key(key)
    }

    fn charge(&self, key: &BorrowedKey<'_>, bytes: u64) -> bool {
        let Budget { ledger, shards, .. } = &self.0;
        ledger.take(bytes) || shards.make_room(Some(key), bytes, ledger)
    }

    fn with<T>(&self, key: &BorrowedKey<'_>, work: impl FnOnce(&mut lru::Shard, &mut Victims) -> T) -> Option<T> {
        self.0.shards.with(key, &self.0.ledger, work)
    }
}

/// Purging; see [`purges`].
impl Store {
    /// The latest purge's number, for the [`Mark`] of what the origin is asked for now.
    pub fn purge_number(&self) -> u64 {
        self.0.shards.purges.number()
    }

    /// Takes all that is stored under `key`, which names a resource and no more, and keeps out what the origin was asked
    /// for before: removed where `is_hard`, else made stale; how many responses that were, and the purge's number.
    pub fn purge_key(&self, key: &[u8], is_hard: bool) -> (u64, u64) {
        let number = self.0.shards.purges.note_key(self.key(key).hash());
        let taken = match is_hard {
            true => u64::try_from(self.remove(key)).unwrap_or(u64::MAX),
            false => self.variants(key).iter().map(|response| u64::from(response.mark.expire())).sum(),
        };
        (taken, number)
    }

    /// Keys were stored that tell requests for one resource apart: [`Store::purge_key`] of the resource is not enough.
    pub fn has_longer_keys(&self) -> bool {
        self.0.shards.has_longer_keys.load(Ordering::SeqCst)
    }

    /// Takes all that `matches` names, and keeps out what the origin was asked for before: removed where `is_hard`, else
    /// made stale. Acts before it comes back; how many responses that were is known once all have been visited, which
    /// this waits for. A million take about half a second of a processor, which is shared between those who help
    /// ([`Store::help_by`]); what was removed is dropped later.
    pub fn purge(&self, is_hard: bool, matches: &Matches) -> u64 {
        let rule = self.begin(is_hard, matches);
        self.0.shards.sweeps.run(&self.0.shards, &self.0.ledger);
        self.0.shards.purges.end(std::slice::from_ref(&rule));
        rule.taken()
    }

    /// The same, left to the next [`Store::sweep`] to be carried through; it acts before this comes back all the same. Its
    /// number.
    pub fn purge_later(&self, is_hard: bool, matches: &Matches) -> u64 {
        self.begin(is_hard, matches).number()
    }

    /// Upkeep, about once a second: carries through the purges under way, if there are any, and lets go of what was held.
    pub fn sweep(&self) {
        self.let_go();
        if let Some(rules) = self.0.shards.purges.active().rules {
            self.0.shards.sweeps.run(&self.0.shards, &self.0.ledger);
            self.0.shards.purges.end(&rules);
        }
    }

    /// Names those who help with sweeps: `call` is to make them call [`Store::spare`] until it says that nothing is left.
    /// Works once for all clones.
    pub fn help_by(&self, call: impl Fn() + Send + Sync + 'static) {
        self.0.shards.sweeps.help_by(Box::new(call));
    }

    /// A sweep is under way that could be helped with.
    pub fn is_sweeping(&self) -> bool {
        self.0.shards.sweeps.is_any()
    }

    /// Goes on with a sweep for about `time`, if one is under way; true while something is left to do.
    pub fn spare(&self, time: Duration) -> bool {
        self.0.shards.sweeps.spare(&self.0.shards, &self.0.ledger, time)
    }

    /// How many responses a purge would take now; while others come and go this is about right.
    pub fn count(&self, matches: &Matches) -> u64 {
        let mut count = 0_u64;
        self.visit(&mut |key, response| count = count.saturating_add(u64::from(matches(key, response))));
        count
    }

    /// Shows all that is stored, with what each takes of the budget. It holds a shard for some fifty microseconds at a time;
    /// `look` must be quick and touch no store.
    pub fn survey(&self, look: &mut dyn FnMut(&[u8], &StoredResponse, u64)) {
        self.visit(&mut |key, response| {
            look(key, response, entry_cost(key, response).saturating_add(response.body.charged()));
        });
    }

    /// Keys in each shard, counted one after the other, and bytes of the budget that belong to it.
    pub fn shards(&self) -> Vec<(usize, u64)> {
        let Budget { ledger, shards, .. } = &self.0;
        ledger.by_shard().into_iter().enumerate().map(|(index, bytes)| (shards.len_of(index), bytes)).collect()
    }

    /// Begins a purge; where too many are under way, carries those through first.
    fn begin(&self, is_hard: bool, matches: &Matches) -> Arc<purges::Rule> {
        loop {
            match self.0.shards.purges.begin(is_hard, matches) {
                Some(rule) => return rule,
                None => self.sweep(),
            }
        }
    }

    fn visit(&self, look: sweep::Look<'_>) {
        self.0.shards.sweep(&self.0.ledger, look);
    }
}

/// Tries to store what purges overtake.
const MOST_TRIES: usize = 8;
/// Enough that a few workers seldom meet.
const SHARDS: usize = 32;
