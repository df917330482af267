//! A barrier that a test opens by hand.

use std::sync::{Arc, Condvar, Mutex};

use super::LIMIT;

/// A barrier: who waits at it goes on when the test opens it, and it stays open. Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<Inside>);

#[derive(Default)]
struct Inside {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_open: bool,
    arrivals: usize,
}

impl Gate {
    pub fn new() -> Gate {
        Gate::default()
    }

    pub fn open(&self) {
        self.0.state.lock().unwrap().is_open = true;
        self.0.changed.notify_all();
    }

    /// Waits until the gate is open; panics after the limit.
    #[track_caller]
    pub fn wait(&self) {
        let mut state = self.0.state.lock().unwrap();
        state.arrivals += 1;
        self.0.changed.notify_all();
        let (state, timeout) = self.0.changed.wait_timeout_while(state, LIMIT, |state| !state.is_open).unwrap();
        drop(state);
        assert!(!timeout.timed_out(), "nobody opened the gate within {LIMIT:?}");
    }

    /// Waits until `count` waits have begun at this gate, so that the test knows how far the other side has come.
    #[track_caller]
    pub fn wait_for_arrivals(&self, count: usize) {
        let state = self.0.state.lock().unwrap();
        let (state, _) = self.0.changed.wait_timeout_while(state, LIMIT, |state| state.arrivals < count).unwrap();
        let arrivals = state.arrivals;
        drop(state);
        assert!(arrivals >= count, "{arrivals} of {count} arrived at the gate within {LIMIT:?}");
    }
}
