//! Deadlines of one worker's sessions: a wheel of slots, each a stretch of time.
//!
//! Entries are lazy. A session whose deadline moves later is not touched; when its old entry comes up, the worker looks
//! at the deadline itself and arms it again. So a busy keep-alive connection costs the wheel nothing per request.

use std::time::Duration;

use crate::wake::Address;

/// A wheel of [`SLOTS`] slots of [`TICK`] each; what lies beyond its horizon waits in the last slot and is re-armed.
pub struct Wheel {
    slots: Vec<Vec<Address>>,
    occupied: [u64; WORDS],
    /// The number of the tick up to which entries have been handed out.
    done: u64,
}

impl Wheel {
    /// An empty wheel at the monotonic time `now`.
    pub fn new(now: Duration) -> Wheel {
        Wheel { slots: vec![Vec::new(); SLOTS], occupied: [0; WORDS], done: tick_of(now) }
    }

    /// Has `address` handed out once `at` has passed (at most a tick late, or early where `at` lies past the horizon).
    pub fn arm(&mut self, address: Address, at: Duration) {
        let tick = tick_of(at).saturating_add(1).clamp(self.done + 1, self.done + SLOTS as u64 - 1);
        let slot = slot_of(tick);
        if let Some(entries) = self.slots.get_mut(slot) {
            entries.push(address);
        }
        if let Some(word) = self.occupied.get_mut(slot / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// Moves to `due` every address whose slot has passed at `now`.
    pub fn expire(&mut self, now: Duration, due: &mut Vec<Address>) {
        let until = tick_of(now);
        if until.saturating_sub(self.done) > SLOTS as u64 {
            self.done = until - SLOTS as u64;
        }
        while self.done < until {
            self.done += 1;
            let slot = slot_of(self.done);
            if let Some(word) = self.occupied.get_mut(slot / 64) {
                *word &= !(1 << (slot % 64));
            }
            if let Some(entries) = self.slots.get_mut(slot) {
                due.append(entries);
            }
        }
    }

    /// How long from `now` until the next occupied slot has passed; `None` when the wheel is empty.
    pub fn next(&self, now: Duration) -> Option<Duration> {
        let first = slot_of(self.done + 1);
        let (start, offset) = (first / 64, first % 64);
        // A word a step. The first one comes again at the end, for the slots in it that lie before the first.
        let ahead = (0..=WORDS).find_map(|step| {
            let word = self.occupied.get((start + step) % WORDS)?;
            let word = if step == 0 { word >> offset << offset } else { *word };
            (word != 0).then(|| step * 64 + word.trailing_zeros() as usize - offset)
        })?;
        let tick = self.done + 1 + ahead as u64;
        Some((TICK * u32::try_from(tick).unwrap_or(u32::MAX)).saturating_sub(now))
    }
}

fn tick_of(at: Duration) -> u64 {
    u64::try_from(at.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX / 2)
}

fn slot_of(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

const SLOTS: usize = 512;
const WORDS: usize = SLOTS / 64;
const TICK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn address(slot: usize) -> Address {
        Address { slot, generation: 1 }
    }

    fn due(wheel: &mut Wheel, seconds: u64) -> Vec<usize> {
        let mut due = Vec::new();
        wheel.expire(Duration::from_secs(seconds), &mut due);
        due.iter().map(|address| address.slot).collect()
    }

    #[test]
    fn an_entry_comes_up_after_its_time_and_never_before() {
        let mut wheel = Wheel::new(Duration::from_secs(1000));
        wheel.arm(address(1), Duration::from_secs(1010));
        wheel.arm(address(2), Duration::from_secs(1060));
        assert_eq!(due(&mut wheel, 1010), [] as [usize; 0]);
        assert_eq!(due(&mut wheel, 1011), [1]);
        assert_eq!(due(&mut wheel, 1061), [2]);
    }

    #[test]
    fn an_entry_in_the_past_comes_up_at_the_next_tick() {
        let mut wheel = Wheel::new(Duration::from_secs(1000));
        wheel.arm(address(1), Duration::from_secs(3));
        assert_eq!(due(&mut wheel, 1001), [1]);
    }

    #[test]
    fn an_entry_past_the_horizon_comes_up_early_to_be_armed_again() {
        let mut wheel = Wheel::new(Duration::from_secs(1000));
        wheel.arm(address(1), Duration::from_secs(5000));
        assert_eq!(due(&mut wheel, 1129), [1]);
    }

    #[test]
    fn a_long_pause_hands_out_everything_once() {
        let mut wheel = Wheel::new(Duration::from_secs(1000));
        (1..100).for_each(|slot| wheel.arm(address(slot), Duration::from_secs(1000 + slot as u64)));
        assert_eq!(due(&mut wheel, 100_000).len(), 99);
        assert_eq!(due(&mut wheel, 200_000).len(), 0);
    }

    #[test]
    fn next_finds_the_nearest_slot_wherever_the_wheel_stands() {
        let at = |tick: u64| TICK * u32::try_from(tick).unwrap();
        for (done, ahead) in (500..1100).step_by(7).flat_map(|done| (1..SLOTS as u64).map(move |ahead| (done, ahead))) {
            let mut wheel = Wheel::new(at(done));
            wheel.arm(address(1), at(done + SLOTS as u64 - 2));
            wheel.arm(address(2), at(done + ahead - 1));
            assert_eq!(wheel.next(at(done)), Some(at(ahead)), "{ahead} behind {done}");
        }
    }

    #[test]
    fn next_tells_how_long_to_wait_and_nothing_when_empty() {
        let mut wheel = Wheel::new(Duration::from_secs(1000));
        assert_eq!(wheel.next(Duration::from_secs(1000)), None);
        wheel.arm(address(1), Duration::from_secs(1010));
        let wait = wheel.next(Duration::from_secs(1001)).unwrap();
        assert!(wait >= Duration::from_secs(9) && wait <= Duration::from_millis(9_500), "{wait:?}");
    }
}
