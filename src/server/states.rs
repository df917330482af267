//! Client connections by what they are at. Each worker counts for itself in plain numbers, and hands over with its tick: no
//! exchange pays an atomic operation for it, and what is shown is up to a second late.

use std::sync::atomic::{AtomicI64, Ordering};

use super::Handler;
use super::session::{Connection, Stage};
use super::worker::Turn;

/// What a client connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Its TLS handshake is not complete.
    Handshake,
    /// No byte of a request, or of its next one, is there.
    Idle,
    /// A request is arriving, head or body.
    Reading,
    /// The request is here, the head of its response is not: the origin is being asked.
    Awaiting,
    /// A response is being delivered.
    Writing,
}

impl ConnectionState {
    /// All of them.
    pub const ALL: [ConnectionState; 5] = [
        ConnectionState::Handshake,
        ConnectionState::Idle,
        ConnectionState::Reading,
        ConnectionState::Awaiting,
        ConnectionState::Writing,
    ];

    /// That of a connection which is parked in this stage.
    pub fn of<H: Handler>(stage: &Stage<H>, connection: &Connection) -> ConnectionState {
        match stage {
            Stage::Handshake => ConnectionState::Handshake,
            Stage::Head(_) if connection.input.is_empty() => ConnectionState::Idle,
            Stage::Head(_) | Stage::Upload(_) => ConnectionState::Reading,
            Stage::Await(_) => ConnectionState::Awaiting,
            Stage::Deliver(_) => ConnectionState::Writing,
        }
    }

    /// `handshake`, `idle`, `reading`, `awaiting` or `writing`.
    pub fn token(self) -> &'static str {
        match self {
            ConnectionState::Handshake => "handshake",
            ConnectionState::Idle => "idle",
            ConnectionState::Reading => "reading",
            ConnectionState::Awaiting => "awaiting",
            ConnectionState::Writing => "writing",
        }
    }
}

/// Connections by state, all workers together.
#[derive(Default)]
pub struct StateSums([AtomicI64; ConnectionState::ALL.len()]);

impl StateSums {
    /// Connections in each state, in the order of [`ConnectionState::ALL`].
    pub fn counts(&self) -> [u64; ConnectionState::ALL.len()] {
        self.0.each_ref().map(|sum| u64::try_from(sum.load(Ordering::Relaxed)).unwrap_or(0))
    }
}

/// What has changed with one worker's connections since it handed over last.
#[derive(Default)]
pub struct StateTally([i64; ConnectionState::ALL.len()]);

impl StateTally {
    /// A connection begins.
    pub fn enter(&mut self, state: ConnectionState) {
        self.add(state, 1);
    }

    /// A connection is gone.
    pub fn leave(&mut self, state: ConnectionState) {
        self.add(state, -1);
    }

    /// A connection that was counted as `counted` is now in `state`.
    pub fn change(&mut self, counted: &mut ConnectionState, state: ConnectionState) {
        let before = std::mem::replace(counted, state);
        if before != state {
            self.leave(before);
            self.enter(state);
        }
    }

    fn add(&mut self, state: ConnectionState, more: i64) {
        if let Some(count) = self.0.get_mut(state as usize) {
            *count = count.saturating_add(more);
        }
    }

    fn hand_over(&mut self, sums: &StateSums) {
        for (change, sum) in self.0.iter_mut().zip(&sums.0) {
            if *change != 0 {
                sum.fetch_add(std::mem::take(change), Ordering::Relaxed);
            }
        }
    }
}

impl<H: Handler> Turn<H> {
    /// Upkeep between sessions: what was counted is handed over, and the handler sees to what is its own.
    pub fn tick(&mut self) {
        self.states.hand_over(&self.shared.states);
        self.handler.tick(&mut self.local, self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_hand_over_what_changed_and_no_connection_counts_twice() {
        let (sums, mut one, mut other) = (StateSums::default(), StateTally::default(), StateTally::default());
        let mut counted = ConnectionState::Handshake;
        one.enter(counted);
        other.enter(ConnectionState::Idle);
        assert_eq!(sums.counts(), [0; 5]);
        one.hand_over(&sums);
        other.hand_over(&sums);
        assert_eq!(sums.counts(), [1, 1, 0, 0, 0]);
        one.change(&mut counted, ConnectionState::Idle);
        one.change(&mut counted, ConnectionState::Idle);
        one.change(&mut counted, ConnectionState::Awaiting);
        other.leave(ConnectionState::Idle);
        one.hand_over(&sums);
        other.hand_over(&sums);
        one.hand_over(&sums);
        assert_eq!((sums.counts(), counted), ([0, 0, 0, 1, 0], ConnectionState::Awaiting));
        one.leave(counted);
        one.hand_over(&sums);
        assert_eq!(sums.counts(), [0; 5]);
    }

    #[test]
    fn the_states_stand_in_their_own_order() {
        for (place, state) in ConnectionState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, place, "{}", state.token());
        }
    }
}
