//! How many connections there are to each address of an origin that has a limit (`max_connections`).
//!
//! A [`Slot`] lives as long as its connection, idle or not. Who finds none waits, with a deadline, until one is given
//! back or a connection comes to rest. Refuses to know of pools and sites: the limit comes with each question.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The connections that count. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Slots(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: HashMap<SocketAddr, usize>,
    changes: u64,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Slots,
    address: SocketAddr,
}

impl Slots {
    /// A slot for the address, if fewer than `max` are taken.
    pub fn take(&self, address: SocketAddr, max: usize) -> Option<Slot> {
        let mut state = self.lock();
        let taken = state.taken.entry(address).or_default();
        if *taken >= max {
            return None;
        }
        *taken += 1;
        Some(Slot { slots: self.clone(), address })
    }

    /// A number that changes with every [`Slots::ring`]: to be read before looking for a slot.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Waits until something has changed since `seen`. False: the deadline passed.
    pub fn wait(&self, seen: u64, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.0.changed.wait_timeout_while(self.lock(), left, |state| state.changes == seen);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.changes != seen
    }

    /// Something may be free for those who wait: a slot, or a connection at rest.
    fn ring(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.changes = state.changes.wrapping_add(1);
        drop(state);
        // Those who wait look for different addresses, so all must look.
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// What to ring once the slot's connection is at rest.
    pub fn bell(&self) -> Bell {
        Bell(self.slots.clone())
    }
}

/// Tells those who wait for a slot that a connection has come to rest.
pub struct Bell(Slots);

impl Bell {
    /// Tells them.
    pub fn ring(self) {
        self.0.ring(|_| {});
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let address = self.address;
        self.slots.ring(|state| {
            if let Some(taken) = state.taken.get_mut(&address) {
                *taken = taken.saturating_sub(1);
                if *taken == 0 {
                    state.taken.remove(&address);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn no_more_than_the_limit_are_taken_and_each_comes_back() {
        let slots = Slots::default();
        let first = slots.take(address(1), 2).unwrap();
        let second = slots.take(address(1), 2).unwrap();
        assert!(slots.take(address(1), 2).is_none());
        assert!(slots.take(address(1), 3).is_some(), "the limit comes with the question");
        assert!(slots.take(address(2), 2).is_some(), "addresses do not share");
        drop(first);
        assert!(slots.take(address(1), 2).is_some());
        drop(second);
        assert!(slots.lock().taken.is_empty());
    }

    #[test]
    fn a_wait_ends_with_a_change_or_with_its_deadline() {
        let slots = Slots::default();
        let slot = slots.take(address(1), 1).unwrap();
        let seen = slots.changes();
        assert!(!slots.wait(seen, Instant::now()));
        slot.bell().ring();
        assert!(slots.wait(seen, Instant::now()), "a change before the wait counts");
        let seen = slots.changes();
        let waiting = slots.clone();
        let waiter = std::thread::spawn(move || waiting.wait(seen, Instant::now() + Duration::from_secs(20)));
        drop(slot);
        assert!(waiter.join().unwrap());
    }
}
