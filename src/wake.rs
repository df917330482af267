//! A call to make once: how a flight or a body tells a parked session that it can go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where wakes are posted: a worker's mailbox.
pub trait Mailbox: Send + Sync {
    /// Takes the session's address; must not block.
    fn post(&self, address: Address);
}

/// Which session of a worker: its slot, and the generation that tells it from earlier users of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index into the worker's table of sessions.
    pub slot: usize,
    /// Counts the users of the slot.
    pub generation: u64,
}

/// Wakes one session. Cheap to clone; at most one post a session is under way; spurious wakes are harmless.
#[derive(Clone)]
pub struct Wake(Arc<Inner>);

struct Inner {
    mailbox: Arc<dyn Mailbox>,
    address: Address,
    is_posted: AtomicBool,
}

impl Wake {
    /// A wake for the session at `address` of the worker behind `mailbox`.
    pub fn new(mailbox: Arc<dyn Mailbox>, address: Address) -> Wake {
        Wake(Arc::new(Inner { mailbox, address, is_posted: AtomicBool::new(false) }))
    }

    /// Posts the address unless a post is already waiting to be read.
    pub fn wake(&self) {
        if !self.0.is_posted.swap(true, Ordering::AcqRel) {
            self.0.mailbox.post(self.0.address);
        }
    }

    /// The worker has read the post; the next `wake` posts again.
    pub fn arm(&self) {
        self.0.is_posted.store(false, Ordering::Release);
    }

    /// True where both wake the same session through the same handle.
    pub fn is_same(&self, other: &Wake) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Wake").field(&self.0.address).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Posts(Mutex<Vec<Address>>);

    impl Mailbox for Posts {
        fn post(&self, address: Address) {
            self.0.lock().unwrap().push(address);
        }
    }

    const ADDRESS: Address = Address { slot: 3, generation: 7 };

    #[test]
    fn wakes_before_the_post_is_read_are_one_post() {
        let posts = Arc::new(Posts::default());
        let wake = Wake::new(posts.clone(), ADDRESS);
        wake.wake();
        wake.clone().wake();
        assert_eq!(*posts.0.lock().unwrap(), [ADDRESS]);
        wake.arm();
        wake.wake();
        assert_eq!(*posts.0.lock().unwrap(), [ADDRESS, ADDRESS]);
    }

    #[test]
    fn wakes_from_many_threads_are_one_post() {
        let posts = Arc::new(Posts::default());
        let wake = Wake::new(posts.clone(), ADDRESS);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let wake = wake.clone();
                scope.spawn(move || wake.wake());
            }
        });
        assert_eq!(posts.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn clones_are_the_same_wake_and_equal_addresses_are_not() {
        let posts = Arc::new(Posts::default());
        let wake = Wake::new(posts.clone(), ADDRESS);
        assert!(wake.is_same(&wake.clone()));
        assert!(!wake.is_same(&Wake::new(posts, ADDRESS)));
    }
}
