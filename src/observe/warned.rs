//! A warning that would be the same again and again, said once in a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When it was said last.
#[derive(Debug, Default)]
pub struct Warned(AtomicU64);

impl Warned {
    /// Says it, unless it was said less than a minute ago; whether it was said. `now` is of the monotonic clock.
    pub fn warn(&self, now: Duration, text: impl FnOnce() -> String) -> bool {
        let now = now.as_secs().max(1);
        let is_due = |last: u64| (last == 0 || now.saturating_sub(last) >= BETWEEN).then_some(now);
        let is_said = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok();
        if is_said {
            log::warn!("{}", text());
        }
        is_said
    }
}

/// Seconds.
const BETWEEN: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_once_a_minute() {
        let warned = Warned::default();
        let said = [0, 1, 59, 61, 62, 120, 121].map(|at| warned.warn(Duration::from_secs(at), String::new));
        assert_eq!(said, [true, false, false, true, false, false, true]);
    }
}
