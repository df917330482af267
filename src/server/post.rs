//! How a worker is woken: by posts for its sessions, and by the bell.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use mio::Waker;

use crate::wake::{Address, Mailbox};

/// The worker's mailbox: at most one post a session waits in it, one write to the waker a batch.
pub struct Post {
    wakes: Sender<Address>,
    waker: Waker,
    is_notified: AtomicBool,
    has_stray_event: AtomicBool,
}

impl Post {
    /// Posts go to `wakes`; `waker` wakes who reads them.
    pub fn new(wakes: Sender<Address>, waker: Waker) -> Post {
        Post { wakes, waker, is_notified: AtomicBool::new(false), has_stray_event: AtomicBool::new(false) }
    }

    /// Wakes the worker, if nobody has since it looked last.
    pub fn notify(&self) {
        if !self.is_notified.swap(true, Ordering::AcqRel) {
            // Fails only when the eventfd is full, and then the worker is awake anyway.
            let _ = self.waker.wake();
        }
    }

    /// The worker is awake, and about to look at everything.
    pub fn note_awake(&self) {
        self.is_notified.store(false, Ordering::Release);
    }

    /// A socket's first event has come before the socket itself.
    pub fn note_stray_event(&self) {
        self.has_stray_event.store(true, Ordering::SeqCst);
    }

    /// A socket has been handed over: where an event of it went astray, the worker must look again.
    pub fn look_again(&self) {
        if self.has_stray_event.swap(false, Ordering::SeqCst) {
            self.notify();
        }
    }
}

impl Mailbox for Post {
    fn post(&self, address: Address) {
        if self.wakes.send(address).is_ok() {
            self.notify();
        }
    }
}
