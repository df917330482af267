//! Where the bytes of an answer come from: a stretch of one body, as it grows, or several that are there already.
//!
//! Knows nothing of framing and sockets.

use std::sync::Arc;

use crate::status::ProxyError;
use crate::store::{Body, Chunk, Next as Part, Reader};
use crate::wake::Wake;

/// The content of an answer that is not sent yet.
pub enum Source {
    /// What a reader brings, without its first `skip` bytes, and no more than `left`.
    Stretch { reader: Reader, skip: u64, left: Option<u64> },
    /// Chunks one after the other.
    Parts {
        /// Held for its accounts only.
        _body: Arc<Body>,
        chunks: std::vec::IntoIter<Chunk>,
    },
}

impl Source {
    /// The next bytes. `wake` is called only where a body still grows: a hit never makes a wake.
    pub fn next(&mut self, wake: impl FnMut() -> Wake) -> Part {
        match self {
            Source::Stretch { reader, skip, left } => stretch(reader, skip, left, wake),
            Source::Parts { chunks, .. } => chunks.next().map_or(Part::Complete, Part::Chunk),
        }
    }

    /// All has been handed out: `next` need not be called again.
    pub fn is_spent(&self) -> bool {
        match self {
            Source::Stretch { left, .. } => *left == Some(0),
            Source::Parts { chunks, .. } => chunks.as_slice().is_empty(),
        }
    }
}

/// How many bytes these chunks are together.
pub fn total(chunks: &[Chunk]) -> u64 {
    chunks.iter().map(Chunk::len).fold(0, u64::saturating_add)
}

/// The next part of a stretch: without what is skipped, and no more than is left.
fn stretch(reader: &mut Reader, skip: &mut u64, left: &mut Option<u64>, mut wake: impl FnMut() -> Wake) -> Part {
    loop {
        let part = match reader.next(None) {
            // Asked again with a wake each time: between two looks bytes may come that are all skipped.
            Part::NotYet => reader.next(Some(&wake())),
            part => part,
        };
        let Part::Chunk(mut chunk) = part else {
            return match (part, *left) {
                (Part::Complete, Some(left)) if left > 0 => Part::Broken(ProxyError::HttpResponseIncomplete),
                (part, _) => part,
            };
        };
        let skipped = (*skip).min(chunk.len());
        chunk.advance(skipped);
        *skip -= skipped;
        if let Some(left) = left.as_mut() {
            chunk.truncate(*left);
            *left -= chunk.len();
        }
        if !chunk.is_empty() {
            return Part::Chunk(chunk);
        }
        if *left == Some(0) {
            return Part::Complete;
        }
    }
}
