//! What a pool runs, and how it says that it does not.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Work for one thread.
pub trait Job: Send + 'static {
    /// Does it.
    fn run(self, turn: Turn);

    /// False once nobody wants the result: a waiting job is then dropped instead of run.
    fn is_wanted(&self) -> bool {
        true
    }
}

/// What a job learns when its turn has come.
pub struct Turn {
    /// The time since it was submitted: it may be too old to be worth doing.
    pub waited: Duration,
    pub(super) answering: Arc<AtomicBool>,
}

impl Turn {
    /// How its site is marked at this moment. Takes no lock, so that a job need not mark what is marked already.
    pub fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed)
    }
}

/// A job that was not taken, and why. The caller has it back.
pub struct Full<J> {
    /// As it was submitted.
    pub job: J,
    /// What was full.
    pub why: Refusal,
}

impl<J> fmt::Debug for Full<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Full").field(&self.why).finish()
    }
}

/// Why a pool takes no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The site has its share of running and waiting jobs.
    Queue,
    /// There is no thread, and the system gives none.
    NoThread,
    /// The pool is shutting down.
    Closed,
}
