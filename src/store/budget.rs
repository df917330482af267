//! What the stored responses may cost: one count of bytes for the whole store, one of memory files.
//!
//! A [`Ledger`] only counts, and refuses what does not fit. A [`Budget`] is the ledger with the store behind it: asked
//! for more than is left, it evicts first. Neither knows what the bytes are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};

use super::Shards;

/// The counters. Every [`super::Body`] that was charged keeps one, and gives back what it took when it is dropped.
#[derive(Debug)]
pub struct Ledger {
    limit: AtomicU64,
    used: AtomicU64,
    file_limit: u64,
    files: AtomicU64,
    /// What of `used` belongs to each shard. Signed: what is given back may be noted before what was taken.
    shards: Box<[AtomicI64]>,
}

impl Ledger {
    /// A ledger of `limit` bytes for `shards` shards; memory files may take a quarter of this process's descriptors, as the limit stands now.
    pub fn new(limit: u64, shards: usize) -> Ledger {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Ledger {
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            file_limit: descriptors / 4,
            files: AtomicU64::new(0),
            shards: std::iter::repeat_with(AtomicI64::default).take(shards).collect(),
        }
    }

    /// Takes `bytes` if they fit; never goes past the limit.
    pub fn take(&self, bytes: u64) -> bool {
        let limit = self.limit();
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok()
    }

    /// Gives `bytes` back.
    pub fn give_back(&self, bytes: u64) {
        let _ = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| Some(used.saturating_sub(bytes)));
    }

    /// Takes one descriptor of those meant for memory files.
    pub fn take_file(&self) -> bool {
        let fits = |files: u64| (files < self.file_limit).then_some(files.saturating_add(1));
        self.files.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok()
    }

    /// Gives one descriptor back.
    pub fn give_file_back(&self) {
        let _ = self.files.fetch_update(Ordering::AcqRel, Ordering::Acquire, |files| Some(files.saturating_sub(1)));
    }

    /// Bytes taken and not given back.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// Notes that of what is taken, so many bytes more, or less, belong to a shard. It takes nothing itself.
    pub fn note_shard(&self, shard: usize, more: i64) {
        if let Some(bytes) = self.shards.get(shard) {
            bytes.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Bytes that belong to each shard.
    pub fn by_shard(&self) -> Vec<u64> {
        self.shards.iter().map(|bytes| u64::try_from(bytes.load(Ordering::Relaxed)).unwrap_or(0)).collect()
    }

    /// Bytes that may be taken in all.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Acquire)
    }

    /// Changes what may be taken in all. What is taken beyond it stays taken, and nothing more is until enough came back.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Release);
    }

    /// Memory files open.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Acquire)
    }
}

/// The right to charge the store's memory. Writers hold one while they fill; bodies do not, so that no ring of
/// references forms.
#[derive(Clone)]
pub struct Budget {
    pub(super) ledger: Arc<Ledger>,
    pub(super) shards: Arc<Shards>,
    pub(super) max_response: Arc<AtomicU64>,
}

impl Budget {
    /// Takes `bytes`, evicting what nobody uses where they do not fit; false where even that is not enough.
    /// Locks shards one at a time: call it with no lock held.
    pub fn charge(&self, bytes: u64) -> bool {
        self.ledger.take(bytes) || self.shards.make_room(None, bytes, &self.ledger)
    }

    /// The most bytes that one stored body may have.
    pub fn max_response(&self) -> u64 {
        self.max_response.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_refuses_what_does_not_fit_and_takes_it_once_there_is_room() {
        let ledger = Ledger::new(100, 1);
        assert!(ledger.take(60));
        assert!(!ledger.take(41));
        assert!(!ledger.take(u64::MAX));
        assert!(ledger.take(40));
        ledger.give_back(60);
        assert_eq!(ledger.used(), 40);
    }

    #[test]
    fn memory_files_are_counted() {
        let ledger = Ledger { file_limit: 1, ..Ledger::new(0, 1) };
        assert!(ledger.take_file());
        assert!(!ledger.take_file());
        ledger.give_file_back();
        assert!(ledger.take_file());
    }
}
