//! Where one who may wait waits: a mailbox with a place to sleep beside it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::wake::{Address, Mailbox};

/// Where a visit waits, and how it is called off.
#[derive(Default)]
pub struct Signal {
    state: Mutex<Rung>,
    changed: Condvar,
}

#[derive(Default)]
struct Rung {
    is_rung: bool,
    is_off: bool,
}

impl Signal {
    /// The visit that waits here ends without a result.
    pub fn call_off(&self) {
        self.lock().is_off = true;
        self.changed.notify_all();
    }

    /// Waits for a wake, `limit` at most; false where it has been called off or the time is over.
    pub fn wait(&self, limit: Duration) -> bool {
        let is_idle = |rung: &mut Rung| !rung.is_rung && !rung.is_off;
        let waited = self.changed.wait_timeout_while(self.lock(), limit, is_idle);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut rung.is_rung) && !rung.is_off
    }

    /// It has been called off.
    pub fn is_off(&self) -> bool {
        self.lock().is_off
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox for Signal {
    fn post(&self, _: Address) {
        self.lock().is_rung = true;
        self.changed.notify_all();
    }
}
