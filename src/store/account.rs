//! What one body is charged, and four facts about it, in one word: every stored response pays for the size of this.
//!
//! Takes no lock. Whether a charge fits was asked of the [`Ledger`] before; here it is only remembered, so that all of it
//! is given back in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::budget::Ledger;

/// A body's account. Dropped, it gives back what was charged, and its memory file.
pub struct Account {
    ledger: Option<Arc<Ledger>>,
    /// The facts on top, below them the bytes charged.
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
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    }

    /// Gives `bytes` back to the ledger; more than were charged means all.
    pub fn give_back(&self, bytes: u64) {
        let Some(ledger) = self.ledger.as_ref().filter(|_| bytes > 0) else { return };
        let less = |word: u64| Some((word & !CHARGE) | (word & CHARGE).saturating_sub(bytes));
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).unwrap_or(0);
        ledger.give_back(bytes.min(before & CHARGE));
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

/// Far more than any ledger has.
const CHARGE: u64 = (1 << 60) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_and_charge_do_not_touch() {
        let ledger = Arc::new(Ledger::new(1000));
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
    fn all_goes_back_in_the_end() {
        let ledger = Arc::new(Ledger::new(1000));
        let account = Account::new(Some(Arc::clone(&ledger)), &[]);
        assert!(ledger.take(100) && ledger.take_file());
        account.add(100);
        account.set(Fact::MemoryFile);
        drop(account);
        assert_eq!((ledger.used(), ledger.files()), (0, 0));
    }
}
