//! The least rate at which an origin must send a body (`timeouts.min_rate`). Pure: told what came and how long it took.
//!
//! Only time spent waiting for the origin counts: a body that we do not read because its readers are slow is no fault of
//! the origin's.

use std::time::Duration;

/// Follows one body, window by window.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Bytes a second; 0 = anything goes.
    least: u64,
    window: Duration,
    /// Time waited in this window.
    waited: Duration,
    /// Bytes that the connection had received when the window began.
    mark: u64,
}

impl Rate {
    /// Of a connection that has received `received` bytes so far.
    pub fn new(least: u64, window: Duration, received: u64) -> Rate {
        Rate { least, window, waited: Duration::ZERO, mark: received }
    }

    /// Whether there is anything to follow.
    pub fn is_on(&self) -> bool {
        self.least > 0
    }

    /// After a wait of `waited` the connection has received `received` bytes in all. True where that is too slow.
    pub fn is_too_slow(&mut self, waited: Duration, received: u64) -> bool {
        self.waited = self.waited.saturating_add(waited);
        if self.waited < self.window {
            return false;
        }
        let came = received.saturating_sub(self.mark) as f64;
        let is_slow = self.is_on() && came < self.least as f64 * self.waited.as_secs_f64();
        (self.waited, self.mark) = (Duration::ZERO, received);
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_is_judged_by_itself() {
        /// The least rate, waits in seconds with the bytes received so far, the wait after which it is too slow.
        type Row<'a> = (u64, &'a [(u32, u64)], Option<usize>);
        let second = Duration::from_secs(1);
        let rows: &[Row<'_>] = &[
            (10, &[(19, 0), (1, 200)], None),
            (10, &[(19, 0), (1, 199)], Some(1)),
            (10, &[(20, 10_000), (20, 10_199)], Some(1)),
            (10, &[(20, 10_000), (20, 10_200)], None),
            (10, &[(40, 400)], None),
            (10, &[(40, 399)], Some(0)),
            (0, &[(20, 0), (20, 0)], None),
        ];
        for (least, waits, expected) in rows {
            let mut rate = Rate::new(*least, 20 * second, 0);
            let slow = waits.iter().position(|(time, received)| rate.is_too_slow(*time * second, *received));
            assert_eq!(slow, *expected, "{least} {waits:?}");
        }
    }

    #[test]
    fn what_came_before_the_body_does_not_count() {
        let mut rate = Rate::new(10, Duration::from_secs(20), 5000);
        assert!(rate.is_too_slow(Duration::from_secs(20), 5199));
    }
}
