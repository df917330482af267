//! The last ten minutes in steps of five seconds, for charts: a ring of differences between sums.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::time::Now;

/// The ring.
#[derive(Default)]
pub struct Series(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    /// When the step under way began (monotonic), and the sums then.
    began: Option<(Duration, Sums)>,
    steps: VecDeque<Step>,
}

/// What is counted, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Exchanges ended.
    pub requests: u64,
    /// Answered from the store.
    pub hits: u64,
    /// Fetches begun.
    pub fetches: u64,
    /// Fetches that brought no response.
    pub failures: u64,
    /// Body bytes given to clients.
    pub bytes: u64,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it ended, since the Unix epoch.
    pub at: Duration,
    /// What was counted in it.
    pub counts: Sums,
}

impl Series {
    /// Ends the step under way where it is over; only then `sums` is asked.
    pub fn note(&self, now: Now, sums: impl FnOnce() -> Sums) {
        let mut ring = self.lock();
        let is_over = |(began, _): (Duration, Sums)| now.monotonic.saturating_sub(began) >= STEP;
        if !ring.began.is_none_or(is_over) {
            return;
        }
        let sums = sums();
        if let Some((_, before)) = ring.began.replace((now.monotonic, sums)) {
            if ring.steps.len() >= STEPS {
                ring.steps.pop_front();
            }
            ring.steps.push_back(Step { at: now.wall, counts: sums.since(&before) });
        }
    }

    /// The steps so far, the oldest first.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().steps.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    fn since(&self, before: &Sums) -> Sums {
        Sums {
            requests: self.requests.saturating_sub(before.requests),
            hits: self.hits.saturating_sub(before.hits),
            fetches: self.fetches.saturating_sub(before.fetches),
            failures: self.failures.saturating_sub(before.failures),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }
}

/// How long a step is.
pub const STEP: Duration = Duration::from_secs(5);
/// Ten minutes.
const STEPS: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_what_was_counted_in_it_and_ten_minutes_are_kept() {
        let series = Series::default();
        let at = |seconds| Now { wall: Duration::from_secs(seconds), monotonic: Duration::from_secs(1000 + seconds) };
        let sums = |requests| Sums { requests, bytes: 10 * requests, ..Sums::default() };
        series.note(at(0), || sums(7));
        series.note(at(4), || panic!("the step is not over"));
        assert!(series.steps().is_empty());
        series.note(at(5), || sums(9));
        assert_eq!(series.steps(), [Step { at: Duration::from_secs(5), counts: sums(2) }]);
        (2..=200).for_each(|step| series.note(at(5 * step), || sums(9 + step)));
        assert_eq!(series.steps().len(), 120);
        assert_eq!(series.steps().last().unwrap().at, Duration::from_secs(1000));
        assert!(series.steps().iter().all(|step| step.counts == sums(1)));
    }
}
