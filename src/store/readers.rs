//! The readers of a body under way: where each of them stands, and whom to wake.
//!
//! A plain table under the body's lock; it calls no wake itself.

use std::collections::BTreeMap;

use crate::wake::Wake;

/// The table. A reader is known by its slot, which is used anew once it has left.
#[derive(Default)]
pub struct Readers {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// How many readers stand at each position; the first key is the slowest.
    positions: BTreeMap<u64, usize>,
    had_any: bool,
}

struct Slot {
    position: u64,
    wake: Option<Wake>,
    is_cut: bool,
}

impl Readers {
    /// Enters a reader that stands at `position`.
    pub fn enter(&mut self, position: u64) -> usize {
        self.had_any = true;
        self.stand(position);
        let entry = Some(Slot { position, wake: None, is_cut: false });
        if let Some(free) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(free)
        {
            *slot = entry;
            return free;
        }
        self.slots.push(entry);
        self.slots.len().saturating_sub(1)
    }

    /// Removes the reader, its position and its wake.
    pub fn leave(&mut self, slot: usize) -> Option<Wake> {
        let left = self.slots.get_mut(slot).and_then(Option::take)?;
        self.free.push(slot);
        if !left.is_cut {
            self.unstand(left.position);
        }
        left.wake
    }

    /// The reader has taken all before `position`.
    pub fn advance(&mut self, slot: usize, position: u64) {
        let Some(Some(entry)) = self.slots.get_mut(slot) else { return };
        let from = std::mem::replace(&mut entry.position, position);
        if !entry.is_cut && from != position {
            self.unstand(from);
            self.stand(position);
        }
    }

    /// Leaves a wake for the next news; returns the one that it replaces, to be dropped after unlocking.
    pub fn leave_wake(&mut self, slot: usize, wake: &Wake) -> Option<Wake> {
        let entry = self.slots.get_mut(slot)?.as_mut()?;
        match &entry.wake {
            Some(old) if old.is_same(wake) => None,
            _ => entry.wake.replace(wake.clone()),
        }
    }

    /// Moves every wake to `out`; the caller wakes them after unlocking.
    pub fn take_wakes(&mut self, out: &mut Vec<Wake>) {
        out.extend(self.slots.iter_mut().flatten().filter_map(|slot| slot.wake.take()));
    }

    /// Cuts off the readers at the slowest position: they hold nothing back from now on, and their next step is broken.
    pub fn cut_slowest(&mut self, wakes: &mut Vec<Wake>) {
        let Some(slowest) = self.slowest() else { return };
        for slot in self.slots.iter_mut().flatten().filter(|slot| !slot.is_cut && slot.position == slowest) {
            slot.is_cut = true;
            wakes.extend(slot.wake.take());
        }
        self.positions.remove(&slowest);
    }

    /// The reader was cut off.
    pub fn is_cut(&self, slot: usize) -> bool {
        self.slots.get(slot).and_then(Option::as_ref).is_some_and(|slot| slot.is_cut)
    }

    /// Where the slowest reader stands; `None` without readers.
    pub fn slowest(&self) -> Option<u64> {
        self.positions.first_key_value().map(|(position, _)| *position)
    }

    /// Readers that are here and were not cut off.
    pub fn count(&self) -> usize {
        self.positions.values().sum()
    }

    /// Someone has read here, now or earlier.
    pub fn had_any(&self) -> bool {
        self.had_any
    }

    fn stand(&mut self, position: u64) {
        let here = self.positions.entry(position).or_insert(0);
        *here = here.saturating_add(1);
    }

    fn unstand(&mut self, position: u64) {
        if let Some(here) = self.positions.get_mut(&position) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                self.positions.remove(&position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::Counter;
    use super::*;

    #[test]
    fn the_slowest_is_found_as_readers_move_leave_and_are_cut() {
        let mut readers = Readers::default();
        assert_eq!((readers.slowest(), readers.had_any()), (None, false));
        let (a, b) = (readers.enter(0), readers.enter(0));
        readers.advance(a, 10);
        assert_eq!(readers.slowest(), Some(0));
        readers.advance(b, 20);
        assert_eq!(readers.slowest(), Some(10));
        readers.cut_slowest(&mut Vec::new());
        assert_eq!((readers.is_cut(a), readers.is_cut(b)), (true, false));
        assert_eq!((readers.slowest(), readers.count()), (Some(20), 1));
        readers.advance(a, 30);
        assert_eq!(readers.count(), 1, "a cut reader is not counted again");
        readers.leave(a);
        readers.leave(b);
        assert_eq!((readers.slowest(), readers.count(), readers.had_any()), (None, 0, true));
        assert_eq!(readers.enter(5), b, "slots are used anew");
    }

    #[test]
    fn a_reader_has_one_wake_at_most_and_takes_it_along_when_it_leaves() {
        let (one, two) = (Counter::wake(), Counter::wake());
        let mut readers = Readers::default();
        let slot = readers.enter(0);
        assert!(readers.leave_wake(slot, &one).is_none());
        assert!(readers.leave_wake(slot, &one).is_none());
        assert!(readers.leave_wake(slot, &two).is_some_and(|old| old.is_same(&one)));
        let mut taken = Vec::new();
        readers.take_wakes(&mut taken);
        assert!(taken.len() == 1 && taken[0].is_same(&two));
        readers.leave_wake(slot, &one);
        assert!(readers.leave(slot).is_some());
        readers.take_wakes(&mut taken);
        assert_eq!(taken.len(), 1);
    }
}
