//! A stretch of body that a session can send as it is: shared bytes, or a range of a file.
//!
//! Knows nothing of sockets, and of the body that it was cut from no more than how to keep it.

use std::sync::Arc;

use super::body::Body;
use super::nameless::Nameless;

/// A stretch of a body. Cloning shares, and copies nothing.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// Bytes `start..end` of `data`.
    Bytes {
        /// The bytes, with whatever lies around the range.
        data: Shared,
        /// First byte of the range.
        start: usize,
        /// One past the last byte of the range.
        end: usize,
    },
    /// `len` bytes of `file` from `offset`; written once and never again, so they may be queued in a socket.
    File {
        /// A memory file or an unlinked temporary file.
        file: Arc<Nameless>,
        /// Where the range begins.
        offset: u64,
        /// How many bytes it has.
        len: u64,
    },
}

/// Bytes that chunks share with each other.
#[derive(Clone, Debug)]
pub enum Shared {
    /// Of their own.
    Piece(Arc<[u8]>),
    /// Those of a complete body in memory; counting its holders is enough, so its bytes need no counts of their own.
    Whole(Arc<Body>),
}

impl Shared {
    fn bytes(&self) -> &[u8] {
        match self {
            Shared::Piece(bytes) => bytes,
            Shared::Whole(body) => body.whole_bytes(),
        }
    }
}

impl Chunk {
    /// The whole of `data`.
    pub fn of(data: Arc<[u8]>) -> Chunk {
        Chunk::shared(Shared::Piece(data))
    }

    /// All that is shared.
    pub(super) fn shared(data: Shared) -> Chunk {
        let end = data.bytes().len();
        Chunk::Bytes { data, start: 0, end }
    }

    /// Bytes left.
    pub fn len(&self) -> u64 {
        match self {
            Chunk::Bytes { start, end, .. } => u64::try_from(end.saturating_sub(*start)).unwrap_or(u64::MAX),
            Chunk::File { len, .. } => *len,
        }
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the first `n` bytes: they were sent. More than there are empties the chunk.
    pub fn advance(&mut self, n: u64) {
        let n = n.min(self.len());
        match self {
            Chunk::Bytes { start, end, .. } => {
                *start = usize::try_from(n).map_or(*end, |n| start.saturating_add(n)).min(*end);
            }
            Chunk::File { offset, len, .. } => {
                *offset = offset.saturating_add(n);
                *len = len.saturating_sub(n);
            }
        }
    }

    /// Keeps the first `n` bytes at most.
    pub fn truncate(&mut self, n: u64) {
        match self {
            Chunk::Bytes { start, end, .. } => {
                *end = usize::try_from(n).map_or(*end, |n| start.saturating_add(n)).min(*end);
            }
            Chunk::File { len, .. } => *len = n.min(*len),
        }
    }

    /// The bytes, where they are in memory; `None` for a file range.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Chunk::Bytes { data, start, end } => data.bytes().get(*start..*end),
            Chunk::File { .. } => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    /// The bytes of a chunk of either kind.
    pub fn read(chunk: &Chunk) -> Vec<u8> {
        match chunk {
            Chunk::Bytes { .. } => chunk.bytes().unwrap().to_vec(),
            Chunk::File { file, offset, len } => {
                let mut out = vec![0; usize::try_from(*len).unwrap()];
                file.read_exact_at(&mut out, *offset).unwrap();
                out
            }
        }
    }

    #[test]
    fn advancing_and_truncating_stay_inside() {
        for (skip, keep, want) in
            [(0, 9, "abcdef"), (2, 9, "cdef"), (2, 3, "cde"), (6, 1, ""), (9, 9, ""), (u64::MAX, u64::MAX, "")]
        {
            let mut chunk = Chunk::of(Arc::from(*b"abcdef"));
            chunk.advance(skip);
            chunk.truncate(keep);
            assert_eq!(chunk.bytes().unwrap(), want.as_bytes(), "advance {skip}, truncate {keep}");
            assert_eq!(chunk.len(), want.len() as u64);
            assert_eq!(chunk.is_empty(), want.is_empty());
        }
    }

    #[test]
    fn a_file_range_advances_its_offset() {
        let file = Arc::new(super::super::spill::memory_file().unwrap());
        file.write_all_at(b"0123456789", 0).unwrap();
        let mut chunk = Chunk::File { file, offset: 2, len: 6 };
        chunk.advance(1);
        chunk.truncate(3);
        assert_eq!(read(&chunk), b"345");
        assert_eq!(chunk.bytes(), None);
        chunk.advance(10);
        assert!(chunk.is_empty());
    }
}
