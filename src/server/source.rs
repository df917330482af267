//! Where the bytes of an answer come from: a stretch of one body, as it grows, several that are there already, or one
//! stretch after the other, as the handler finds them.
//!
//! Knows nothing of framing and sockets.

use std::sync::Arc;

use super::Payload;
use crate::status::ProxyError;
use crate::store::{Body, Chunk, Next as Part, Reader};
use crate::wake::Wake;

/// The content of an answer that is not sent yet.
pub enum Source {
    /// A part of one body.
    Stretch(Stretch),
    /// Chunks one after the other.
    Parts {
        /// Held for their accounts only.
        _bodies: Vec<Arc<Body>>,
        chunks: std::vec::IntoIter<Chunk>,
    },
    /// Whatever the handler brings next, no more than `left` bytes of it.
    Sequence { sequence: Box<dyn Sequence>, left: u64 },
}

/// Content that the handler finds piece by piece while it is sent; some of it may have to be fetched first.
pub trait Sequence: Send {
    /// The next bytes. `NotYet` only where a wake that `wake` made was left with what will bring them, which has a deadline
    /// of its own.
    fn next(&mut self, wake: &mut dyn FnMut() -> Wake) -> Part;
}

/// What a reader brings, without its first bytes, and no more than was asked for.
pub struct Stretch {
    reader: Reader,
    skip: u64,
    left: Option<u64>,
}

impl Source {
    /// The next bytes. `wake` is called only where a body still grows: a hit never makes a wake.
    pub fn next(&mut self, mut wake: impl FnMut() -> Wake) -> Part {
        match self {
            Source::Stretch(stretch) => stretch.next(&mut wake),
            Source::Parts { chunks, .. } => chunks.next().map_or(Part::Complete, Part::Chunk),
            Source::Sequence { sequence, left } => limited(sequence.next(&mut wake), left),
        }
    }

    /// All has been handed out: `next` need not be called again.
    pub fn is_spent(&self) -> bool {
        match self {
            Source::Stretch(stretch) => stretch.left == Some(0),
            Source::Parts { chunks, .. } => chunks.as_slice().is_empty(),
            Source::Sequence { left, .. } => *left == 0,
        }
    }
}

impl Payload {
    /// What the answer to HEAD says in its place (RFC 9110 §9.3.2).
    pub fn without_content(self) -> Payload {
        match self {
            Payload::Whole(chunk) => Payload::Head(Some(chunk.len())),
            Payload::Stream { length, .. } => Payload::Head(length),
            Payload::Parts { chunks, .. } => Payload::Head(Some(total(&chunks))),
            Payload::Sequence { length, .. } => Payload::Head(Some(length)),
            Payload::Empty | Payload::Absent | Payload::Head(_) => self,
        }
    }
}

/// How many bytes these chunks are together.
pub fn total(chunks: &[Chunk]) -> u64 {
    chunks.iter().map(Chunk::len).fold(0, u64::saturating_add)
}

/// Takes from `part` what may still be sent; an end before that is a break.
fn limited(part: Part, left: &mut u64) -> Part {
    match part {
        Part::Chunk(mut chunk) => {
            chunk.truncate(*left);
            *left = left.saturating_sub(chunk.len());
            Part::Chunk(chunk)
        }
        Part::Complete if *left > 0 => Part::Broken(ProxyError::HttpResponseIncomplete),
        part => part,
    }
}

impl Sequence for Stretch {
    fn next(&mut self, wake: &mut dyn FnMut() -> Wake) -> Part {
        Stretch::next(self, wake)
    }
}

impl Stretch {
    /// `left` bytes behind the first `skip` that `reader` brings; all of them where `left` is not said.
    pub fn new(reader: Reader, skip: u64, left: Option<u64>) -> Stretch {
        Stretch { reader, skip, left }
    }

    /// The next bytes; `Complete` also where all that was asked for has been handed out.
    pub fn next(&mut self, wake: &mut dyn FnMut() -> Wake) -> Part {
        // Nothing more is wanted, whether or not more of the body has come.
        if self.left == Some(0) {
            return Part::Complete;
        }
        loop {
            let part = match self.reader.next(None) {
                // Asked again with a wake each time: between two looks bytes may come that are all skipped.
                Part::NotYet => self.reader.next(Some(&wake())),
                part => part,
            };
            let Part::Chunk(mut chunk) = part else {
                return match (part, self.left) {
                    (Part::Complete, Some(left)) if left > 0 => Part::Broken(ProxyError::HttpResponseIncomplete),
                    (part, _) => part,
                };
            };
            let skipped = self.skip.min(chunk.len());
            chunk.advance(skipped);
            self.skip -= skipped;
            if let Some(left) = self.left.as_mut() {
                chunk.truncate(*left);
                *left -= chunk.len();
            }
            if !chunk.is_empty() {
                return Part::Chunk(chunk);
            }
            if self.left == Some(0) {
                return Part::Complete;
            }
        }
    }
}
