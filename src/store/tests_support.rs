//! What the tests of this room share: wakes that count.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::wake::{Address, Mailbox, Wake};

/// A mailbox that counts posts and lets a thread wait for one.
#[derive(Default)]
pub struct Counter {
    pub posts: AtomicUsize,
    pending: Mutex<bool>,
    posted: Condvar,
}

impl Mailbox for Counter {
    fn post(&self, _address: Address) {
        self.posts.fetch_add(1, Ordering::SeqCst);
        *self.pending.lock().unwrap() = true;
        self.posted.notify_all();
    }
}

impl Counter {
    /// A wake whose posts are of no interest.
    pub fn wake() -> Wake {
        Counter::pair().1
    }

    /// A counter and its wake.
    pub fn pair() -> (Arc<Counter>, Wake) {
        let counter = Arc::new(Counter::default());
        let mailbox: Arc<dyn Mailbox> = counter.clone();
        (counter, Wake::new(mailbox, Address { slot: 0, generation: 0 }))
    }

    /// Posts so far.
    pub fn count(&self) -> usize {
        self.posts.load(Ordering::SeqCst)
    }

    /// Waits for a post that was not yet waited for, and arms the wake again. A lost wake hangs here.
    pub fn wait(&self, wake: &Wake) {
        let mut pending = self.pending.lock().unwrap();
        while !*pending {
            pending = self.posted.wait(pending).unwrap();
        }
        *pending = false;
        wake.arm();
    }
}
