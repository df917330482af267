//! The writing end of a body: where the bytes go.
//!
//! Kept: on the heap up to 64 KiB, beyond that in a memory file that the kernel can send by itself, or on the heap
//! still where no descriptor is to be had. Held and passing: a window in memory, then temporary files; then a held one
//! passes, and a passing one waits. No lock is
//! held over I/O, over a charge or over a wake.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, PoisonError};

use super::body::{Body, OPEN_COST, Plan, Sealed, State};
use super::budget::Budget;
use super::filling::{Fill, Filling, Hold, Leftovers, PIECE_COST, file_cost};
use super::nameless::Nameless;
use super::spill::{Fault, SpillFiles, memory_file};
use crate::status::ProxyError;
use crate::wake::Wake;

/// Fills one body. Dropped unfinished, it breaks the body with `ProxyInternalError`.
pub struct Writer {
    body: Arc<Body>,
    plan: Plan,
    budget: Option<Budget>,
    len: u64,
    memory: Memory,
    spill: SpillFiles,
    /// Kept between pushes for its capacity.
    wakes: Vec<Wake>,
    /// The first fault of the disk, until somebody asks.
    fault: Fault,
    has_ended: bool,
}

/// Where a kept body lies.
enum Memory {
    /// On the heap, so far.
    Heap,
    /// On the heap for good: no memory file was to be had.
    HeapOnly,
    File(Arc<Nameless>),
}

/// Why a push was refused; the fetch ends, and the writer is to be failed or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A passing body that nobody reads.
    NoReaders,
    /// The window and the spill are full, and the last reader did not move in time and was cut off.
    Stalled,
}

impl Writer {
    pub(super) fn new(body: Arc<Body>, plan: Plan, budget: Option<Budget>) -> Writer {
        let spill = SpillFiles::new(plan.spill.max);
        Writer {
            body,
            plan,
            budget,
            len: 0,
            memory: Memory::Heap,
            spill,
            wakes: Vec::new(),
            fault: Fault::None,
            has_ended: false,
        }
    }

    /// Adds `data` and wakes the readers. May wait for a slow reader, of a passing body only, as long as
    /// [`super::Spill::patience`] says for each move. Look at [`Body::is_kept`] afterwards: a kept body may have turned
    /// into a passing one, and must then leave the store.
    ///
    /// # Errors
    /// [`Stop`] where going on helps nobody; never for a body that is kept.
    pub fn push(&mut self, data: &[u8]) -> Result<(), Stop> {
        if data.is_empty() {
            return Ok(());
        }
        if self.len == 0 {
            self.charge(OPEN_COST);
        }
        if self.body.is_kept() && !self.keep(data) {
            self.stop_keeping();
        }
        if !self.body.is_kept() {
            self.pass(data)?;
        }
        self.len = self.len.saturating_add(size(data));
        self.wake_all();
        Ok(())
    }

    /// The body is proven whole. One of another length than was declared breaks instead.
    pub fn finish(mut self) {
        if self.plan.length.is_some_and(|length| length != self.len) {
            self.end(State::Broken(ProxyError::HttpResponseIncomplete));
        } else if self.body.is_kept() {
            self.has_ended = true;
            self.seal();
        } else {
            self.end(State::Complete);
        }
    }

    /// The body ends here and is not whole. Readers get what was pushed, and then `error`.
    pub fn fail(mut self, error: ProxyError) {
        self.end(State::Broken(error));
    }

    /// Nobody reads any more, and too much is missing to be fetched for those who may come (decisions 11).
    pub fn is_deserted(&self) -> bool {
        let is_nearly_there = self.plan.length.is_some_and(|all| all < WORTH_FETCHING || self.len >= all / 2);
        !is_nearly_there && self.readers() == 0
    }

    /// Readers that are here and were not cut off.
    pub fn readers(&self) -> usize {
        self.body.lock().as_deref().map_or(0, |filling| filling.readers.count())
    }

    fn end(&mut self, state: State) {
        self.has_ended = true;
        if state != State::Complete {
            self.body.note_broken();
        }
        let is_closed = self.body.with(|filling| {
            let leftovers = filling.end(state);
            (filling.is_closed(), leftovers)
        });
        if is_closed == Some(true) {
            self.body.note_deserted();
        }
        self.wake_all();
    }

    fn wake_all(&mut self) {
        if let Some(filling) = self.body.lock().as_deref_mut() {
            filling.readers.take_wakes(&mut self.wakes);
        }
        self.wakes.drain(..).for_each(|wake| wake.wake());
    }

    fn charge(&self, bytes: u64) -> bool {
        let Some(budget) = &self.budget else { return true };
        let is_granted = budget.charge(bytes);
        if is_granted {
            self.body.note_charge(bytes);
        }
        is_granted
    }
}

// Kept bodies.
impl Writer {
    /// False where the body cannot be kept any longer; nothing of `data` was taken then.
    fn keep(&mut self, data: &[u8]) -> bool {
        let total = self.len.saturating_add(size(data));
        if self.budget.as_ref().is_some_and(|budget| total > budget.max_response()) {
            return false;
        }
        if matches!(self.memory, Memory::Heap) && self.plan.length.unwrap_or(0).max(total) > LARGEST_ON_HEAP {
            self.memory = self.move_to_file().map_or(Memory::HeapOnly, Memory::File);
        }
        match &self.memory {
            Memory::File(file) => self.keep_in_file(file, data, total),
            Memory::Heap | Memory::HeapOnly => self.keep_on_heap(data),
        }
    }

    fn keep_on_heap(&self, data: &[u8]) -> bool {
        if !self.charge(size(data).saturating_add(PIECE_COST)) {
            return false;
        }
        self.append(data);
        true
    }

    /// Adds a piece on the heap that was charged with its own cost.
    fn append(&self, data: &[u8]) -> Option<()> {
        let piece = Arc::from(data);
        let is_joined = self.body.with(|filling| (filling.append(piece), Leftovers::default()))?;
        if is_joined {
            self.body.uncharge(PIECE_COST);
        }
        Some(())
    }

    fn keep_in_file(&self, file: &Arc<Nameless>, data: &[u8], total: u64) -> bool {
        let more = file_cost(total).saturating_sub(file_cost(self.len));
        if !self.charge(more) {
            return false;
        }
        if file.write_all_at(data, self.len).is_err() {
            self.body.uncharge(more);
            return false;
        }
        self.body.with(|filling| (filling.append_file(file, self.len, size(data), true), Leftovers::default()));
        true
    }

    /// Opens a memory file and moves what was pushed so far into it.
    fn move_to_file(&self) -> Option<Arc<Nameless>> {
        let cost = file_cost(self.len);
        if !self.charge(cost) {
            return None;
        }
        let file = self.open_file().and_then(|file| self.copy_pieces(&file).then_some(file));
        match &file {
            Some(file) => self.body.with(|filling| ((), filling.move_into(file))).unwrap_or(()),
            None => self.body.uncharge(cost),
        }
        file
    }

    fn open_file(&self) -> Option<Arc<Nameless>> {
        if self.body.ledger().is_some_and(|ledger| !ledger.take_file()) {
            return None;
        }
        self.body.note_memory_file();
        memory_file().ok().map(Arc::new)
    }

    fn copy_pieces(&self, file: &Nameless) -> bool {
        let mut at: u64 = 0;
        self.pieces().iter().all(|piece| {
            let offset = at;
            at = at.saturating_add(size(piece));
            file.write_all_at(piece, offset).is_ok()
        })
    }

    fn seal(&mut self) {
        let sealed = match &self.memory {
            Memory::File(file) => Sealed::File(Box::new((Arc::clone(file), self.len))),
            Memory::Heap | Memory::HeapOnly => Sealed::Bytes(match self.pieces().as_slice() {
                [one] => one.as_ref().into(),
                many => many.concat().into_boxed_slice(),
            }),
        };
        self.body.seal(sealed, &mut self.wakes);
        self.wakes.drain(..).for_each(|wake| wake.wake());
    }

    fn pieces(&self) -> Vec<Arc<[u8]>> {
        self.body.lock().as_deref().map(Filling::pieces).unwrap_or_default()
    }
}

// Held and passing bodies.
impl Writer {
    /// It outgrew the store. All of it is held on disk instead, where it is meant to and the disk takes it.
    fn stop_keeping(&mut self) {
        let is_held = self.plan.held && self.len <= self.plan.spill.max && self.move_to_disk().is_some();
        self.memory = Memory::HeapOnly;
        self.body.turn(if is_held { Hold::Held } else { Hold::Passing });
    }

    /// Copies what was pushed so far to disk; readers do not notice. `None` where the disk does not take it.
    fn move_to_disk(&mut self) -> Option<()> {
        let mut places = Vec::new();
        match &self.memory {
            Memory::File(file) => {
                let (file, mut room, mut at) = (Arc::clone(file), vec![0; COPIED_AT_ONCE], 0);
                while at < self.len {
                    let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
                    let piece = room.get_mut(..left.min(COPIED_AT_ONCE))?;
                    file.read_exact_at(piece, at).ok()?;
                    places.push(self.spilled(piece)?);
                    at = at.saturating_add(size(piece));
                }
            }
            Memory::Heap | Memory::HeapOnly => {
                for piece in self.pieces() {
                    places.push(self.spilled(&piece)?);
                }
            }
        }
        self.body.with(|filling| ((), filling.move_to_disk(places)))
    }

    /// Writes `data` to the spill: where, and how much. A fault is noted.
    fn spilled(&mut self, data: &[u8]) -> Option<(Arc<Nameless>, u64, u64)> {
        match self.spill.write(&self.plan.spill.dir, data) {
            Ok((file, offset)) => Some((file, offset, size(data))),
            Err(fault) => {
                self.fault.note(fault);
                None
            }
        }
    }

    /// From now on the disk takes nothing.
    #[cfg(test)]
    pub fn fill_disk(&mut self) {
        self.spill = SpillFiles::full();
    }

    /// The first fault of the disk under this body, told once.
    pub fn take_fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }

    fn pass(&mut self, data: &[u8]) -> Result<(), Stop> {
        let n = size(data);
        loop {
            let fill = self.fill()?;
            let is_drained = fill.in_memory == 0 && fill.on_disk == 0;
            if is_drained {
                self.spill.close();
            }
            let fits_window = fill.in_memory.saturating_add(n) <= size_of_window(self.plan.spill.window);
            if (is_drained || fits_window) && self.charge(n.saturating_add(PIECE_COST)) {
                return self.append(data).ok_or(Stop::NoReaders);
            }
            if fill.on_disk.saturating_add(n) <= self.plan.spill.max && self.pass_to_disk(data) {
                return Ok(());
            }
            if self.body.may_be_shared() {
                self.body.turn(Hold::Passing); // its beginning makes room: nobody can join it any more
                continue;
            }
            if is_drained {
                return self.append(data).ok_or(Stop::NoReaders); // no memory granted and no disk: one piece at a time must do
            }
            self.wait(&fill)?;
        }
    }

    fn fill(&self) -> Result<Fill, Stop> {
        let mut guard = self.body.lock();
        let Some(filling) = guard.as_deref_mut() else { return Err(Stop::NoReaders) };
        // A reader may still be made by whoever else holds the body, unless there were readers and all have left.
        let is_alone = filling.readers.had_any() || Arc::strong_count(&self.body) == 1;
        if filling.readers.count() == 0 && is_alone {
            filling.close();
            return Err(Stop::NoReaders);
        }
        Ok(filling.fill())
    }

    fn pass_to_disk(&mut self, data: &[u8]) -> bool {
        let Some((file, offset, n)) = self.spilled(data) else { return false };
        let append = |filling: &mut Filling| filling.append_file(&file, offset, n, false);
        self.body.with(|filling| (append(filling), Leftovers::default())).is_some()
    }

    /// Waits until the slowest reader moves; one that does not in time is cut off.
    fn wait(&mut self, seen: &Fill) -> Result<(), Stop> {
        self.wake_all(); // nobody may sleep on bytes that were pushed before this wait
        let moved = Arc::new(Condvar::new());
        let mut guard = self.body.lock();
        if let Some(filling) = guard.as_deref_mut() {
            filling.waiting = Some(Arc::clone(&moved));
        }
        let is_stuck = |filling: &mut Option<Box<Filling>>| {
            filling.as_ref().is_some_and(|filling| filling.readers.slowest() == seen.slowest)
        };
        let waited = moved.wait_timeout_while(guard, self.plan.spill.patience, is_stuck);
        let (mut guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(filling) = guard.as_deref_mut() else { return Err(Stop::NoReaders) };
        filling.waiting = None;
        if !timeout.timed_out() {
            return Ok(());
        }
        let leftovers = filling.shift(|readers| readers.cut_slowest(&mut self.wakes));
        let is_over = filling.readers.count() == 0;
        drop(guard);
        self.body.settle(leftovers);
        self.wakes.drain(..).for_each(|wake| wake.wake());
        if is_over { Err(Stop::Stalled) } else { Ok(()) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end(State::Broken(ProxyError::ProxyInternalError));
        }
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn size_of_window(window: usize) -> u64 {
    u64::try_from(window).unwrap_or(u64::MAX)
}

/// A body that moves to disk does so in pieces of so many bytes.
const COPIED_AT_ONCE: usize = 64 * 1024;
/// A body smaller than this is fetched to its end though nobody reads it.
const WORTH_FETCHING: u64 = 1 << 20;
/// A kept body beyond this lives in a memory file.
const LARGEST_ON_HEAP: u64 = 64 * 1024;
