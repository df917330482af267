//! Work that blocks, away from the door's worker: a few threads, a short queue, and the way back to who asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::reply::Reply;
use crate::pool::{Job, Limits, Pool, Share, Turn};
use crate::server::Clock;
use crate::wake::Wake;

/// The threads.
pub struct Jobs(Pool<Work>);

/// One piece of work.
struct Work {
    run: Box<dyn FnOnce(Responder) + Send>,
    responder: Responder,
}

/// Where a job leaves its answer. Dropped without one, it answers 500.
pub struct Responder(Arc<Mutex<Slot>>);

/// Where the session looks for it.
pub struct Pending(Arc<Mutex<Slot>>);

/// Who waits for the answer, as the work sees it.
#[derive(Clone, Default)]
pub struct Audience(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    reply: Option<Reply>,
    is_answered: bool,
    /// The client has left.
    is_abandoned: bool,
    /// The client has ended its side of the connection: it has left, or reads on.
    is_half_closed: bool,
    wake: Option<Wake>,
    /// What is to be done once either is so.
    farewell: Option<Box<dyn FnOnce() + Send>>,
}

impl Jobs {
    /// No thread yet.
    pub fn new(clock: Clock) -> Jobs {
        let limits = Limits { threads: THREADS, stack: STACK, ..Limits::default() };
        let pool = Pool::new("admin-job", limits, move || clock.now().monotonic);
        pool.mark(0, true);
        Jobs(pool)
    }

    /// Has `work` done by a thread.
    ///
    /// # Errors
    /// 503 where too much is under way.
    pub fn submit(&self, work: impl FnOnce(Responder) + Send + 'static) -> Result<Pending, Reply> {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let job = Work { run: Box::new(work), responder: Responder(slot.clone()) };
        match self.0.submit(0, Share { max_running: THREADS, max_queued: QUEUE }, job) {
            Ok(()) => Ok(Pending(slot)),
            Err(_) => Err(busy()),
        }
    }

    /// Jobs that panicked.
    pub fn panics(&self) -> u64 {
        self.0.stats().panics
    }

    /// Takes no more, and waits at most `limit` for those under way.
    pub fn shutdown(&self, limit: Duration) {
        self.0.shutdown(limit);
    }
}

/// There is too much to do.
fn busy() -> Reply {
    let detail = "as much as may be is under way already; try again in a moment";
    Reply::problem(503, "Busy", detail).with("Retry-After", "2")
}

impl Job for Work {
    fn run(self, _: Turn) {
        (self.run)(self.responder);
    }

    fn is_wanted(&self) -> bool {
        !lock(&self.responder.0).is_abandoned
    }
}

impl Responder {
    /// Who waits for the answer.
    pub fn audience(&self) -> Audience {
        Audience(self.0.clone())
    }

    /// Answers; what comes after the first answer is of no use to anyone.
    pub fn answer(&self, reply: Reply) {
        let mut slot = lock(&self.0);
        if std::mem::replace(&mut slot.is_answered, true) {
            return;
        }
        slot.reply = Some(reply);
        let wake = slot.wake.take();
        drop(slot);
        if let Some(wake) = wake {
            wake.wake();
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.answer(Reply::problem(500, "Failed", "the work ended without an answer"));
    }
}

impl Pending {
    /// The answer, if it is there; else `wake` is left for it.
    pub fn poll(&self, wake: &Wake) -> Option<Reply> {
        let mut slot = lock(&self.0);
        if slot.reply.is_none() {
            slot.wake = Some(wake.clone());
        }
        slot.reply.take()
    }
}

impl Pending {
    /// The client has ended its side of the connection.
    pub fn half_close(&self) {
        let mut slot = lock(&self.0);
        slot.is_half_closed = true;
        bid(slot);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut slot = lock(&self.0);
        slot.is_abandoned = true;
        bid(slot);
    }
}

impl Audience {
    /// Does `farewell` once the client has left, or may have; at once where that is so already. The last one given counts.
    pub fn on_leaving(&self, farewell: impl FnOnce() + Send + 'static) {
        let mut slot = lock(&self.0);
        slot.farewell = Some(Box::new(farewell));
        if slot.is_abandoned || slot.is_half_closed {
            bid(slot);
        }
    }
}

/// Does what was to be done, without the lock.
fn bid(mut slot: MutexGuard<'_, Slot>) {
    let farewell = slot.farewell.take();
    drop(slot);
    if let Some(farewell) = farewell {
        farewell();
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

const THREADS: usize = 8;
const QUEUE: usize = 32;
/// A diagnosis is the deepest of what they do.
const STACK: usize = 1 << 20;
