//! What one body is charged, for which shard, and four facts about it, in one word: every stored response pays for the
//! size of this.
//!
//! Takes no lock. Whether a charge fits was asked of the [`Ledger`] before; here it is only remembered, so that all of it
//! is given back in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::budget::Ledger;

/// A body's account. Dropped, it gives back what was charged, and its memory file.
pub struct Account {
    ledger: Option<Arc<Ledger>>,
    /// The facts on top, below them the shard's number plus one (0: none yet), below that the bytes charged.
    word: AtomicU64,
}

/// What is known of a body without locking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It keeps all its bytes for good.
    Kept,
    /// All that has come can be had by new readers: it is kept, or at least held while it arrives.
    Held,
    /// It was cut short.
    Broken,
    /// It holds one of the ledger's memory files.
    MemoryFile,
}

impl Account {
    /// An account with nothing charged. Without a ledger nothing ever is.
    pub fn new(ledger: Option<Arc<Ledger>>, facts: &[Fact]) -> Account {
        let word = facts.iter().fold(0, |word, fact| word | fact.bit());
        Account { ledger, word: AtomicU64::new(word) }
    }

    /// Whether it is so.
    pub fn has(&self, fact: Fact) -> bool {
        self.word.load(Ordering::Acquire) & fact.bit() != 0
    }

    /// From now on it is so.
    pub fn set(&self, fact: Fact) {
        self.word.fetch_or(fact.bit(), Ordering::AcqRel);
    }

    /// From now on it is not.
    pub fn clear(&self, fact: Fact) {
        self.word.fetch_and(!fact.bit(), Ordering::AcqRel);
    }

    /// Bytes charged and not given back.
    pub fn charged(&self) -> u64 {
        self.word.load(Ordering::Acquire) & CHARGE
    }

    /// Notes that `bytes` were taken from the ledger.
    pub fn add(&self, bytes: u64) {
        let more = |word: u64| Some((word & !CHARGE) | (word & CHARGE).saturating_add(bytes).min(CHARGE));
        if let Ok(before) = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            self.note_shard(before, signed(bytes));
        }
    }

    /// From now on its charge is told among those of this shard, for good: what is stored under a key stays with its shard.
    pub fn enter(&self, shard: usize) {
        let number = u64::try_from(shard).unwrap_or(u64::MAX).saturating_add(1);
        let is_none = |word: u64| (word & SHARD == 0 && number <= MOST_SHARDS).then_some(word | number << SHARD_AT);
        if let Ok(before) = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, is_none) {
            self.note_shard(before | number << SHARD_AT, signed(before & CHARGE));
        }
    }

    fn note_shard(&self, word: u64, more: i64) {
        let shard = ((word & SHARD) >> SHARD_AT).checked_sub(1).and_then(|shard| usize::try_from(shard).ok());
        if let (Some(shard), Some(ledger)) = (shard, &self.ledger) {
            ledger.note_shard(shard, more);
        }
    }

    /// Gives `bytes` back to the ledger; more than were charged means all.
    pub fn give_back(&self, bytes: u64) {
        let Some(ledger) = self.ledger.as_ref().filter(|_| bytes > 0) else { return };
        let less = |word: u64| Some((word & !CHARGE) | (word & CHARGE).saturating_sub(bytes));
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).unwrap_or(0);
        let given = bytes.min(before & CHARGE);
        self.note_shard(before, -signed(given));
        ledger.give_back(given);
    }

    /// Where it is charged.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_deref()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.give_back(self.charged());
        if let Some(ledger) = self.ledger().filter(|_| self.has(Fact::MemoryFile)) {
            ledger.give_file_back();
        }
    }
}

impl Fact {
    fn bit(self) -> u64 {
        match self {
            Fact::Kept => 1 << 63,
            Fact::Broken => 1 << 62,
            Fact::MemoryFile => 1 << 61,
            Fact::Held => 1 << 60,
        }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

const SHARD_AT: u32 = 52;
const MOST_SHARDS: u64 = 255;
const SHARD: u64 = MOST_SHARDS << SHARD_AT;
/// Far more than any ledger has.
const CHARGE: u64 = (1 << SHARD_AT) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_and_charge_do_not_touch() {
        let ledger = Arc::new(Ledger::new(1000, 1));
        let account = Account::new(Some(Arc::clone(&ledger)), &[Fact::Kept]);
        assert!(ledger.take(100));
        account.add(100);
        account.set(Fact::Broken);
        account.give_back(30);
        account.clear(Fact::Kept);
        assert_eq!((account.charged(), ledger.used()), (70, 70));
        assert_eq!([Fact::Kept, Fact::Broken, Fact::MemoryFile].map(|fact| account.has(fact)), [false, true, false]);
        account.give_back(u64::MAX);
        assert_eq!((account.charged(), ledger.used(), account.has(Fact::Broken)), (0, 0, true));
    }

    #[test]
    fn a_shard_is_told_what_was_charged_before_and_what_is_after() {
        let ledger = Arc::new(Ledger::new(1000, 3));
        let account = Account::new(Some(Arc::clone(&ledger)), &[Fact::Kept]);
        assert!(ledger.take(100));
        account.add(60);
        assert_eq!(ledger.by_shard(), [0, 0, 0]);
        account.enter(2);
        account.add(40);
        account.enter(1);
        assert_eq!((ledger.by_shard(), account.charged(), account.has(Fact::Kept)), (vec![0, 0, 100], 100, true));
        account.give_back(30);
        assert_eq!(ledger.by_shard(), [0, 0, 70]);
        drop(account);
        assert_eq!((ledger.by_shard(), ledger.used()), (vec![0, 0, 0], 0));
    }

    #[test]
    fn all_goes_back_in_the_end() {
        let ledger = Arc::new(Ledger::new(1000, 1));
        let account = Account::new(Some(Arc::clone(&ledger)), &[]);
        assert!(ledger.take(100) && ledger.take_file());
        account.add(100);
        account.set(Fact::MemoryFile);
        drop(account);
        assert_eq!((ledger.used(), ledger.files()), (0, 0));
    }
}
