//! The body of a message: one writer, any number of readers, no async.
//!
//! A *kept* body stays whole for later readers; when complete it is sealed into one chunk that readers reach without a
//! lock. A *held* one cannot be kept, but is whole on disk for whoever comes while it arrives and is read. A *passing* body
//! is dropped behind its slowest reader. Kept may turn into held, and both into passing; never back. Knows nothing of HTTP
//! framing, sockets or clocks: the writer says when the body is proven whole, and how long a wait may be is a value given
//! to it.
//!
//! A body that is full of a small response costs its bytes and about a hundred more; all that only a body under way
//! needs is in a box ([`Filling`]) that sealing drops.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::account::{Account, Fact};
use super::budget::{Budget, Ledger};
use super::chunk::{Chunk, Shared};
use super::filling::{Filling, Hold, Leftovers, PIECE_COST, file_cost};
use super::nameless::Nameless;
use super::spill::Spill;
use super::writer::Writer;
use crate::status::ProxyError;
use crate::wake::Wake;

/// A body, shared by its writer, its readers and the store.
pub struct Body {
    /// Set once, when a kept body is complete.
    sealed: OnceLock<Sealed>,
    /// Gone once the body is sealed.
    filling: Mutex<Option<Box<Filling>>>,
    account: Account,
}

/// What is known of a body before its first byte.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Keep all of it, for the store, as far as the budget allows.
    pub kept: bool,
    /// Hold what is not to be kept, or cannot be, for readers that come while it arrives and is read, as far as the spill
    /// allows; else it passes.
    pub held: bool,
    /// Its length, where the message declares it; a body of another length never completes.
    pub length: Option<u64>,
    /// How far it may outrun its readers when it is not kept.
    pub spill: Spill,
}

/// How a body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// More will come.
    Open,
    /// Whole: its framing was proven complete.
    Complete,
    /// Cut short; what was pushed before can be read and must be seen as incomplete.
    Broken(ProxyError),
}

/// A complete kept body.
pub(super) enum Sealed {
    Bytes(Box<[u8]>),
    /// A file and its length; boxed, because every small body pays for the size of this.
    File(Box<(Arc<Nameless>, u64)>),
}

// A word more here, and a small stored response costs sixteen bytes more.
const _: () = assert!(size_of::<Body>() <= 56);

impl Body {
    /// A body to be written. With a budget, the memory that it takes is charged from its first byte until it is
    /// dropped (a passing one gives back what its readers have passed).
    pub fn open(plan: Plan, budget: Option<Budget>) -> (Writer, Arc<Body>) {
        let most = budget.as_ref().map_or(u64::MAX, Budget::max_response);
        let (hold, facts): (Hold, &[Fact]) = match plan.kept && plan.length.is_none_or(|length| length <= most) {
            true => (Hold::Kept, &[Fact::Kept, Fact::Held]),
            false if plan.held => (Hold::Held, &[Fact::Held]),
            false => (Hold::Passing, &[]),
        };
        let body = Arc::new(Body {
            sealed: OnceLock::new(),
            filling: Mutex::new(Some(Box::new(Filling::new(plan.length, hold)))),
            account: Account::new(budget.as_ref().map(|budget| Arc::clone(&budget.ledger)), facts),
        });
        (Writer::new(Arc::clone(&body), plan, budget), body)
    }

    /// A complete body that needs no writer, for answers that we make; charged to nobody.
    pub fn whole(data: Vec<u8>) -> Arc<Body> {
        Arc::new(Body {
            sealed: OnceLock::from(Sealed::Bytes(data.into())),
            filling: Mutex::new(None),
            account: Account::new(None, &[Fact::Kept, Fact::Held]),
        })
    }

    /// Bytes pushed so far.
    #[cfg(test)]
    pub fn len(&self) -> u64 {
        self.look(Sealed::len, Filling::len)
    }

    /// The length of the whole: declared, or known because the body is complete.
    pub fn length(&self) -> Option<u64> {
        self.look(|sealed| Some(sealed.len()), Filling::length)
    }

    /// How it stands.
    #[cfg(test)]
    pub fn state(&self) -> State {
        self.look(|_| State::Complete, Filling::state)
    }

    /// It is kept and complete. Takes no lock.
    pub fn is_sealed(&self) -> bool {
        self.sealed.get().is_some()
    }

    /// A complete kept body as one chunk. Takes no lock, allocates nothing.
    pub fn sealed(self: &Arc<Self>) -> Option<Chunk> {
        self.sealed.get().map(|sealed| sealed.chunk(self, 0))
    }

    /// The same where it lies on the heap: such a chunk keeps the body's account open too, so nothing else needs to.
    pub fn in_memory(self: &Arc<Self>) -> Option<Chunk> {
        self.sealed.get().filter(|sealed| matches!(sealed, Sealed::Bytes(_))).map(|sealed| sealed.chunk(self, 0))
    }

    /// It keeps all its bytes for later readers. Once false, it stays false.
    pub fn is_kept(&self) -> bool {
        self.account.has(Fact::Kept)
    }

    /// A new reader can have all of it: it is kept or held, and was not broken. Takes no lock, so what is not sealed may
    /// be about to change; [`super::Reader::join`] knows.
    pub fn may_be_shared(&self) -> bool {
        self.account.has(Fact::Held) && !self.is_broken()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.account.has(Fact::Broken)
    }

    /// Bytes of memory that it is charged now.
    pub fn charged(&self) -> u64 {
        self.account.charged()
    }

    fn look<T>(&self, sealed: impl Fn(&Sealed) -> T, filling: impl Fn(&Filling) -> T) -> T {
        if let Some(whole) = self.sealed.get() {
            return sealed(whole);
        }
        if let Some(open) = self.lock().as_deref() {
            return filling(open);
        }
        // The filling leaves only after the seal is set.
        self.sealed.get().map_or_else(|| filling(&Filling::new(None, Hold::Passing)), sealed)
    }
}

// For the writer and the readers only.
impl Body {
    /// The bytes of a complete body in memory; none of any other.
    pub(super) fn whole_bytes(&self) -> &[u8] {
        match self.sealed.get() {
            Some(Sealed::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    pub(super) fn sealed_form(&self) -> Option<&Sealed> {
        self.sealed.get()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Box<Filling>>> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `change` on a body under way and settles what it leaves once the lock is open; `None` when sealed.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Filling) -> (T, Leftovers)) -> Option<T> {
        let mut guard = self.lock();
        let (answer, leftovers) = change(guard.as_deref_mut()?);
        drop(guard);
        self.settle(leftovers);
        Some(answer)
    }

    pub(super) fn settle(&self, leftovers: Leftovers) {
        self.uncharge(leftovers.cost());
        leftovers.settle();
    }

    /// Makes the body one chunk and drops the box; the wakes of those who waited go to `wakes`.
    pub(super) fn seal(&self, sealed: Sealed, wakes: &mut Vec<Wake>) {
        let cost = sealed.cost().saturating_add(SEALED_COST);
        let mut guard = self.lock();
        let _ = self.sealed.set(sealed);
        let mut filling = guard.take();
        drop(guard);
        if let Some(filling) = &mut filling {
            filling.readers.take_wakes(wakes);
        }
        drop(filling);
        self.uncharge(self.charged().saturating_sub(cost));
    }

    /// It is kept no more, and with `hold` perhaps not held either; what nobody needs is dropped.
    pub(super) fn turn(&self, hold: Hold) {
        self.account.clear(Fact::Kept);
        if hold == Hold::Passing {
            self.account.clear(Fact::Held);
        }
        self.with(|filling| ((), filling.turn(hold)));
    }

    /// Its last reader has left, and nobody else can come.
    pub(super) fn note_deserted(&self) {
        self.account.clear(Fact::Held);
    }

    pub(super) fn note_broken(&self) {
        self.account.set(Fact::Broken);
    }

    pub(super) fn note_memory_file(&self) {
        self.account.set(Fact::MemoryFile);
    }

    pub(super) fn note_charge(&self, bytes: u64) {
        self.account.add(bytes);
    }

    pub(super) fn uncharge(&self, bytes: u64) {
        self.account.give_back(bytes);
    }

    /// It is stored under a key of this shard, and what it is charged belongs there.
    pub(super) fn enter(&self, shard: usize) {
        self.account.enter(shard);
    }

    pub(super) fn ledger(&self) -> Option<&Ledger> {
        self.account.ledger()
    }
}

impl Sealed {
    pub(super) fn len(&self) -> u64 {
        match self {
            Sealed::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Sealed::File(file) => file.1,
        }
    }

    /// What `body`, which is sealed with this, has from there on.
    pub(super) fn chunk(&self, body: &Arc<Body>, from: u64) -> Chunk {
        let mut chunk = match self {
            Sealed::Bytes(_) => Chunk::shared(Shared::Whole(Arc::clone(body))),
            Sealed::File(whole) => Chunk::File { file: Arc::clone(&whole.0), offset: 0, len: whole.1 },
        };
        chunk.advance(from);
        chunk
    }

    fn cost(&self) -> u64 {
        match self {
            Sealed::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_add(PIECE_COST),
            Sealed::File(file) => file_cost(file.1),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("is_kept", &self.is_kept()).finish_non_exhaustive()
    }
}

/// A sealed body beyond its bytes: the struct, its counts, the allocator's header.
const SEALED_COST: u64 = 80;
/// An open body beyond its segments.
pub(super) const OPEN_COST: u64 = 768;
