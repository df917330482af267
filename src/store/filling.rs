//! What a body is while it is being written, and while a passing one is being read: a queue of segments.
//!
//! Everything here happens under the body's lock and does no I/O. What must wait until the lock is open (dropping
//! memory and files, wakes, giving back the charge) leaves in [`Leftovers`].

use std::collections::VecDeque;
use std::sync::{Arc, Condvar};

use super::body::State;
use super::chunk::Chunk;
use super::nameless::Nameless;
use super::reader::Next;
use super::readers::Readers;
use crate::status::ProxyError;
use crate::wake::Wake;

/// The segments between what the slowest reader still needs and what the writer has pushed.
pub struct Filling {
    /// Contiguous; the first begins at `start`, the last ends at `len`.
    segments: VecDeque<Segment>,
    start: u64,
    len: u64,
    declared: Option<u64>,
    state: State,
    hold: Hold,
    /// Nobody can come any more: all readers have left, and the writer knows.
    is_closed: bool,
    in_memory: u64,
    on_disk: u64,
    pub readers: Readers,
    /// Set while the writer waits for its slowest reader.
    pub waiting: Option<Arc<Condvar>>,
}

/// What of a body stays for readers to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// All of it, for good.
    Kept,
    /// All of it, while it arrives and is read.
    Held,
    /// What the slowest reader has yet to take.
    Passing,
}

/// Some consecutive bytes of the body.
#[derive(Clone)]
pub struct Segment {
    at: u64,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Bytes(Arc<[u8]>),
    File { file: Arc<Nameless>, offset: u64, len: u64, is_memory: bool },
}

/// What to do once the lock is open.
#[derive(Default)]
pub struct Leftovers {
    segments: Vec<Segment>,
    wake: Option<Wake>,
    moved: Option<Arc<Condvar>>,
}

/// How full a passing body is.
pub struct Fill {
    /// Bytes in memory that somebody may still read.
    pub in_memory: u64,
    /// Bytes on disk that somebody may still read.
    pub on_disk: u64,
    /// Where the slowest reader stands.
    pub slowest: Option<u64>,
}

impl Filling {
    /// Nothing yet of a body with `declared` bytes, if that is known.
    pub fn new(declared: Option<u64>, hold: Hold) -> Filling {
        Filling {
            segments: VecDeque::new(),
            start: 0,
            len: 0,
            declared,
            state: State::Open,
            hold,
            is_closed: false,
            in_memory: 0,
            on_disk: 0,
            readers: Readers::default(),
            waiting: None,
        }
    }

    /// Adds bytes at the end; many small pieces become few, so that a dribbling origin costs no more than others.
    /// True where they joined the last piece, and so cost no piece of their own.
    pub fn append(&mut self, piece: Arc<[u8]>) -> bool {
        let n = size(&piece);
        let is_joined = match self.segments.back_mut() {
            Some(Segment { data: Data::Bytes(last), .. }) if last.len().saturating_add(piece.len()) <= SMALL_PIECE => {
                *last = [&last[..], &piece[..]].concat().into();
                true
            }
            _ => false,
        };
        if !is_joined {
            self.segments.push_back(Segment { at: self.len, data: Data::Bytes(piece) });
        }
        self.len = self.len.saturating_add(n);
        self.in_memory = self.in_memory.saturating_add(n);
        is_joined
    }

    /// Adds `n` bytes that were written to `file` at `offset`.
    pub fn append_file(&mut self, new: &Arc<Nameless>, offset: u64, n: u64, is_memory: bool) {
        match self.segments.back_mut() {
            Some(Segment { data: Data::File { file, offset: from, len, .. }, .. })
                if Arc::ptr_eq(file, new) && from.saturating_add(*len) == offset =>
            {
                *len = len.saturating_add(n);
            }
            _ => {
                let data = Data::File { file: Arc::clone(new), offset, len: n, is_memory };
                self.segments.push_back(Segment { at: self.len, data });
            }
        }
        self.len = self.len.saturating_add(n);
        let count = if is_memory { &mut self.in_memory } else { &mut self.on_disk };
        *count = count.saturating_add(n);
    }

    /// The heap pieces of a kept body now live in `file`. Readers know positions only, and do not notice.
    pub fn move_into(&mut self, file: &Arc<Nameless>) -> Leftovers {
        let old = std::mem::take(&mut self.segments);
        if self.len > 0 {
            let data = Data::File { file: Arc::clone(file), offset: 0, len: self.len, is_memory: true };
            self.segments.push_back(Segment { at: 0, data });
        }
        Leftovers { segments: old.into(), ..Leftovers::default() }
    }

    /// All that was pushed lies on disk now, in these places, in order: file, offset, length.
    pub fn move_to_disk(&mut self, places: Vec<(Arc<Nameless>, u64, u64)>) -> Leftovers {
        let old = std::mem::take(&mut self.segments);
        let len = std::mem::take(&mut self.len);
        (self.in_memory, self.on_disk) = (0, 0);
        places.into_iter().for_each(|(file, offset, n)| self.append_file(&file, offset, n, false));
        debug_assert_eq!(self.len, len);
        Leftovers { segments: old.into(), ..Leftovers::default() }
    }

    /// Less of it stays from now on.
    pub fn turn(&mut self, hold: Hold) -> Leftovers {
        self.hold = hold;
        self.trim()
    }

    /// What was held is let go once it has ended and nobody reads it.
    fn let_go(&mut self) {
        if self.hold == Hold::Held && self.state != State::Open && self.readers.slowest().is_none() {
            (self.hold, self.is_closed) = (Hold::Passing, true);
        }
    }

    /// Nobody reads it any more: whoever comes now finds nothing.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Ends the body, well or badly; the first end stands.
    pub fn end(&mut self, state: State) -> Leftovers {
        if self.state == State::Open {
            self.state = state;
        }
        self.let_go();
        self.trim()
    }

    /// The next step of the reader in `slot` that has taken all before `position`. A chunk counts as taken when the
    /// reader asks again, so what it is sending stays within the accounts.
    pub fn read(&mut self, slot: Option<usize>, position: u64, wake: Option<&Wake>) -> (Next, Leftovers) {
        let Some(slot) = slot else {
            return (Next::Broken(ProxyError::ProxyInternalError), Leftovers::default());
        };
        if self.readers.is_cut(slot) {
            return (Next::Broken(ProxyError::ConnectionWriteTimeout), Leftovers::default());
        }
        let mut leftovers = self.shift(|readers| readers.advance(slot, position));
        if let Some(chunk) = self.chunk(position) {
            return (Next::Chunk(chunk), leftovers);
        }
        let next = match self.state {
            State::Complete => Next::Complete,
            State::Broken(error) => Next::Broken(error),
            State::Open => {
                leftovers.wake = wake.and_then(|wake| self.readers.leave_wake(slot, wake));
                Next::NotYet
            }
        };
        (next, leftovers)
    }

    /// Changes the readers, then drops what nobody needs any more and tells a waiting writer.
    pub fn shift(&mut self, change: impl FnOnce(&mut Readers)) -> Leftovers {
        let before = self.readers.slowest();
        change(&mut self.readers);
        if self.readers.slowest() == before {
            return Leftovers::default();
        }
        self.let_go();
        Leftovers { moved: self.waiting.clone(), ..self.trim() }
    }

    /// The bytes from `position` to the end of their segment.
    fn chunk(&self, position: u64) -> Option<Chunk> {
        let index = self.segments.partition_point(|segment| segment.end() <= position);
        let segment = self.segments.get(index)?;
        let mut chunk = segment.chunk();
        chunk.advance(position.saturating_sub(segment.at));
        if self.hold != Hold::Kept && chunk.bytes().is_none() {
            chunk.truncate(LARGEST_PASSING_CHUNK);
        }
        Some(chunk)
    }

    /// Takes out the segments that all readers have passed; all of them, once every reader has left.
    fn trim(&mut self) -> Leftovers {
        let mut leftovers = Leftovers::default();
        if self.hold != Hold::Passing || !self.readers.had_any() {
            return leftovers;
        }
        let slowest = self.readers.slowest().unwrap_or(self.len);
        while self.segments.front().is_some_and(|segment| segment.end() <= slowest) {
            let Some(segment) = self.segments.pop_front() else { break };
            self.start = segment.end();
            let count = if segment.is_in_memory() { &mut self.in_memory } else { &mut self.on_disk };
            *count = count.saturating_sub(segment.len());
            leftovers.segments.push(segment);
        }
        leftovers
    }

    /// All pieces on the heap, in order.
    pub fn pieces(&self) -> Vec<Arc<[u8]>> {
        let bytes = |segment: &Segment| match &segment.data {
            Data::Bytes(bytes) => Some(Arc::clone(bytes)),
            Data::File { .. } => None,
        };
        self.segments.iter().filter_map(bytes).collect()
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        Fill { in_memory: self.in_memory, on_disk: self.on_disk, slowest: self.readers.slowest() }
    }

    /// Whether a reader that begins at `position` finds everything from there on.
    pub fn reaches_back_to(&self, position: u64) -> bool {
        position >= self.start && !self.is_closed
    }

    /// Its readers have left, and nobody can come.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Bytes pushed so far.
    #[cfg(test)]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The final length, where it is declared or known.
    pub fn length(&self) -> Option<u64> {
        if self.state == State::Complete { Some(self.len) } else { self.declared }
    }

    /// How the body stands.
    #[cfg(test)]
    pub fn state(&self) -> State {
        self.state
    }
}

impl Segment {
    fn len(&self) -> u64 {
        match &self.data {
            Data::Bytes(bytes) => size(bytes),
            Data::File { len, .. } => *len,
        }
    }

    fn end(&self) -> u64 {
        self.at.saturating_add(self.len())
    }

    fn is_in_memory(&self) -> bool {
        match &self.data {
            Data::Bytes(_) => true,
            Data::File { is_memory, .. } => *is_memory,
        }
    }

    fn chunk(&self) -> Chunk {
        match &self.data {
            Data::Bytes(bytes) => Chunk::of(Arc::clone(bytes)),
            Data::File { file, offset, len, .. } => Chunk::File { file: Arc::clone(file), offset: *offset, len: *len },
        }
    }

    fn cost(&self) -> u64 {
        match &self.data {
            Data::Bytes(bytes) => size(bytes).saturating_add(PIECE_COST),
            Data::File { len, is_memory: true, .. } => file_cost(*len),
            Data::File { .. } => 0,
        }
    }
}

impl Leftovers {
    /// What the dropped segments were charged.
    pub fn cost(&self) -> u64 {
        self.segments.iter().map(Segment::cost).sum()
    }

    /// Drops the memory, the files and the wake, and tells the waiting writer. Call it with no lock held.
    pub fn settle(self) {
        if let Some(moved) = self.moved {
            moved.notify_one();
        }
    }
}

/// What a piece of the heap costs beyond its bytes: reference counts, the allocator's header and rounding.
pub const PIECE_COST: u64 = 32;

/// What `len` bytes in a memory file cost: whole pages, and the kernel's inode, directory entry and file.
pub fn file_cost(len: u64) -> u64 {
    len.checked_next_multiple_of(4096).unwrap_or(u64::MAX).saturating_add(2048)
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Pieces are joined up to this many bytes.
const SMALL_PIECE: usize = 4096;
/// A reader of a passing body holds at most this much of a file at a time.
const LARGEST_PASSING_CHUNK: u64 = 256 * 1024;
