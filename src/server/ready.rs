//! Whose turn it is: who wants something new comes first, then answers under way, and of these in one round only so many
//! that nobody who comes meanwhile waits for all of them.

use std::collections::VecDeque;

use super::session::TURN_BYTES;
use crate::wake::Address;

/// The sessions of one worker that are ready, each once.
pub struct Ready {
    new: VecDeque<Address>,
    under_way: VecDeque<Address>,
    round: Round,
}

/// What is left of a round.
#[derive(Default)]
struct Round {
    new: usize,
    under_way: usize,
    /// What answers under way have spent of it.
    spent: usize,
    is_of_under_way: bool,
}

impl Ready {
    /// Nobody.
    pub fn new() -> Ready {
        let list = || VecDeque::with_capacity(1024);
        Ready { new: list(), under_way: list(), round: Round::default() }
    }

    /// Nobody is ready.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.under_way.is_empty()
    }

    /// Puts a session behind its like; whoever comes in a round has a turn in the next one.
    pub fn push(&mut self, address: Address, is_under_way: bool) {
        let list = if is_under_way { &mut self.under_way } else { &mut self.new };
        list.push_back(address);
    }

    /// Begins a round with those who are here.
    pub fn begin_round(&mut self) {
        self.round = Round { new: self.new.len(), under_way: self.under_way.len(), ..Round::default() };
    }

    /// The next who has a turn in this round.
    pub fn take_next(&mut self) -> Option<Address> {
        let round = &mut self.round;
        if let Some(left) = round.new.checked_sub(1) {
            round.new = left;
            return self.new.pop_front();
        }
        round.is_of_under_way = true;
        round.under_way = round.under_way.checked_sub(1).filter(|_| round.spent < ROUND_BYTES)?;
        self.under_way.pop_front()
    }

    /// The last turn took so much.
    pub fn note_spent(&mut self, bytes: usize) {
        if self.round.is_of_under_way {
            self.round.spent = self.round.spent.saturating_add(bytes);
        }
    }
}

/// What answers under way may spend of a round: a few turns, some hundred microseconds.
const ROUND_BYTES: usize = 4 * TURN_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(new: usize, under_way: usize) -> Ready {
        let mut ready = Ready::new();
        let address = |slot| Address { slot, generation: 1 };
        (0..new).for_each(|slot| ready.push(address(slot), false));
        (100..100 + under_way).for_each(|slot| ready.push(address(slot), true));
        ready
    }

    /// A round in which each turn takes so much, and is followed by another of the same session.
    fn round(ready: &mut Ready, spent: usize) -> Vec<usize> {
        let mut slots = Vec::new();
        ready.begin_round();
        while let Some(address) = ready.take_next() {
            ready.note_spent(spent);
            ready.push(address, address.slot >= 100);
            slots.push(address.slot);
        }
        slots
    }

    #[test]
    fn who_wants_something_new_comes_first_and_everybody_once() {
        let mut ready = ready(2, 2);
        assert_eq!(round(&mut ready, 1), [0, 1, 100, 101]);
        ready.push(Address { slot: 2, generation: 1 }, false);
        assert_eq!(round(&mut ready, 1), [0, 1, 2, 100, 101]);
    }

    #[test]
    fn answers_under_way_share_what_a_round_has_for_them_and_go_on_where_it_ended() {
        let mut ready = ready(1, 7);
        assert_eq!(round(&mut ready, TURN_BYTES), [0, 100, 101, 102, 103]);
        assert_eq!(round(&mut ready, TURN_BYTES), [0, 104, 105, 106, 100]);
        assert_eq!(round(&mut ready, 10 * TURN_BYTES), [0, 101], "one at least");
        assert_eq!(round(&mut ready, 0), [0, 102, 103, 104, 105, 106, 100, 101]);
    }

    #[test]
    fn a_round_without_anybody_is_over_at_once() {
        let mut ready = ready(0, 0);
        assert!(ready.is_empty());
        assert_eq!(round(&mut ready, 1), [0; 0]);
        ready.push(Address { slot: 5, generation: 1 }, true);
        assert!(!ready.is_empty());
    }
}
