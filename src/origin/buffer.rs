//! Bytes read from an origin and not used yet. The memory is a fetcher thread's, borrowed for one exchange: an idle
//! connection holds none.

use std::cell::RefCell;

/// Unused bytes are `storage[start..end]`.
#[derive(Debug, Default)]
pub struct Buffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Bytes not consumed yet.
    pub fn bytes(&self) -> &[u8] {
        self.storage.get(self.start..self.end).unwrap_or_default()
    }

    /// True where no byte is left over.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes `count` bytes off the front; more than there are means all.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room to read into, at least [`STEP`] bytes; [`Buffer::filled`] says how many came.
    pub fn room(&mut self) -> &mut [u8] {
        if self.storage.is_empty() {
            self.storage = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default();
        }
        if self.start > 0 {
            self.storage.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let wanted = self.end.saturating_add(STEP);
        if self.storage.is_empty() {
            // Comes zeroed from the system: what no answer fills is never touched.
            self.storage = vec![0; wanted];
        } else if self.storage.len() < wanted {
            self.storage.resize(wanted, 0);
        }
        self.storage.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were read into [`Buffer::room`].
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.storage.len());
    }

    /// Gives the memory back to this thread; left-over bytes are forgotten.
    pub fn release(&mut self) {
        let storage = std::mem::take(&mut self.storage);
        (self.start, self.end) = (0, 0);
        if storage.is_empty() || storage.len() > MAX_SPARE_SIZE {
            return;
        }
        // A thread that is ending has no store any more; the memory is freed then.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MAX_SPARE {
                spare.push(storage);
            }
        });
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.release();
    }
}

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// One read; holds most heads, and a whole TLS record.
pub const STEP: usize = 16 * 1024;
const MAX_SPARE: usize = 2;
/// A thread that met a huge head does not keep that much memory.
const MAX_SPARE_SIZE: usize = 4 * STEP;

#[cfg(test)]
mod tests {
    use super::*;

    fn put(buffer: &mut Buffer, bytes: &[u8]) {
        buffer.room()[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut buffer = Buffer::default();
        put(&mut buffer, b"abc");
        buffer.consume(1);
        put(&mut buffer, b"def");
        assert_eq!(buffer.bytes(), b"bcdef");
        buffer.consume(5);
        assert!(buffer.is_empty());
        buffer.consume(1);
        assert_eq!(buffer.bytes(), b"");
    }

    #[test]
    fn memory_goes_back_to_the_thread_and_carries_nothing_over() {
        let mut buffer = Buffer::default();
        put(&mut buffer, b"secret");
        let place = buffer.bytes().as_ptr();
        buffer.release();
        assert!(buffer.is_empty());
        let mut next = Buffer::default();
        put(&mut next, b"x");
        assert_eq!(next.bytes(), b"x");
        assert_eq!(next.bytes().as_ptr(), place);
    }
}
