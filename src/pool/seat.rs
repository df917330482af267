//! Where one idle thread waits to be called. Knows nothing of who calls, and why.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::queue::Taken;

/// Why an idle thread is called.
pub(super) enum Call<J> {
    /// This job is its own, and counts as running.
    Run(Taken<J>),
    /// To look for itself.
    Look,
}

/// One thread's place to rest. Its lock is held for a moment only, and with no other.
pub(super) struct Seat<J> {
    call: Mutex<Option<Call<J>>>,
    called: Condvar,
}

impl<J> Default for Seat<J> {
    fn default() -> Seat<J> {
        Seat { call: Mutex::new(None), called: Condvar::new() }
    }
}

impl<J> Seat<J> {
    /// Calls its thread. It is woken after unlocking, or it would only wake to wait for the lock.
    pub fn call(&self, call: Call<J>) {
        *self.lock() = Some(call);
        self.called.notify_one();
    }

    /// Waits for a call, `limit` at most.
    pub fn wait(&self, limit: Duration) -> Option<Call<J>> {
        let waited = self.called.wait_timeout_while(self.lock(), limit, |call| call.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    /// Waits for a call that is sure to come.
    pub fn wait_long(&self) -> Call<J> {
        let waited = self.called.wait_while(self.lock(), |call| call.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).take().unwrap_or(Call::Look)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Call<J>>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
