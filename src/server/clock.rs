//! The one place that reads both clocks together.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::Now;

/// Reads [`Now`]; all parts of one Millpond share its start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic side starts a little above zero, so that subtraction has room.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Both clocks, now.
    pub fn now(&self) -> Now {
        Now {
            wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO),
            monotonic: self.start.elapsed() + HEAD_START,
        }
    }
}

/// Keeps "a minute ago" above zero from the first second on.
const HEAD_START: Duration = Duration::from_secs(1 << 20);
