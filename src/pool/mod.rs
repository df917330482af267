//! Threads for work that blocks: started on demand, shared fairly between sites, none lost to a panic.
//!
//! One site that hangs holds at most its share; sites that are not answering hold at most three quarters of all
//! threads together, so that the last quarter is always there for those that are. The pool knows sites by number only,
//! never what a job does, and holds no lock while one runs, is asked whether it is wanted, or is dropped.

mod job;
mod queue;
mod seat;
#[cfg(test)]
mod tests;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub use job::{Full, Job, Refusal, Turn};
use queue::{Queued, Queues, Taken};
pub use queue::{Share, SiteStats};
use seat::{Call, Seat};

/// What bounds a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads at most; at least 1.
    pub threads: usize,
    /// Stack of each, in bytes.
    pub stack: usize,
    /// A thread without work ends after this.
    pub idle: Duration,
}

impl Default for Limits {
    /// 512 threads, 256 KiB, 30 s.
    fn default() -> Limits {
        Limits { threads: 512, stack: 256 * 1024, idle: Duration::from_secs(30) }
    }
}

/// A pool at one moment, and what it has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Threads there are.
    pub threads: usize,
    /// Of them, those with a job.
    pub running: usize,
    /// Jobs waiting.
    pub queued: usize,
    /// Jobs refused, for whatever reason.
    pub refused: u64,
    /// Jobs dropped because nobody wanted them any more.
    pub unwanted: u64,
    /// Jobs that panicked.
    pub panics: u64,
    /// Threads that the system refused.
    pub failed_threads: u64,
    /// Each site that ever submitted or was marked, by number.
    pub sites: Vec<SiteStats>,
}

/// The pool. Dropping it takes no further jobs and drops those waiting; running ones end on their own.
pub struct Pool<J: Job>(Arc<Inner<J>>);

impl<J: Job> Pool<J> {
    /// A pool without threads yet. `name` names them; `clock` is a monotonic one.
    pub fn new(name: &str, limits: Limits, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Pool<J> {
        Pool::with_threads(limits, clock, spawner(name, limits.stack))
    }

    fn with_threads(limits: Limits, clock: impl Fn() -> Duration + Send + Sync + 'static, spawn: Spawn) -> Pool<J> {
        let max_threads = limits.threads.max(1);
        let state = State {
            queues: Queues::new(max_threads),
            threads: 0,
            idle: Vec::new(),
            is_closed: false,
            last_number: 0,
            counts: Stats::default(),
        };
        Pool(Arc::new(Inner {
            max_threads,
            idle: limits.idle,
            clock: Box::new(clock),
            spawn,
            state: Mutex::new(state),
            ended: Condvar::new(),
        }))
    }

    /// Queues a job of `site`, whose share is `share` from now on. Never blocks on a job.
    ///
    /// # Errors
    /// [`Full`] with the job: the site's share is used up (and its oldest waiting job still wanted), no thread can be
    /// started and none is there, or the pool is shutting down.
    pub fn submit(&self, site: usize, share: Share, job: J) -> Result<(), Full<J>> {
        match self.0.submit(site, share, job, false) {
            Ok(()) => Ok(()),
            Err(full) => {
                self.0.lock().counts.refused += 1;
                Err(full)
            }
        }
    }

    /// The same for work that nobody waits for: only where it begins at once, with nobody's job waiting for a thread, and
    /// leaves half of the threads and of the site's share to others.
    ///
    /// # Errors
    /// [`Full`] with the job where that is not so.
    pub fn submit_idle(&self, site: usize, share: Share, job: J) -> Result<(), Full<J>> {
        self.0.submit(site, share, job, true)
    }

    /// Would a job of `site` begin at once, with nobody's job waiting for a thread? For work that nobody waits for.
    pub fn has_idle(&self, site: usize, share: Share) -> bool {
        self.0.has_idle(&self.0.lock(), site, share)
    }

    /// Would [`Pool::submit_idle`] take a job of `site`?
    pub fn has_spare(&self, site: usize, share: Share) -> bool {
        self.0.has_spare(&self.0.lock(), site, share)
    }

    /// Says whether the fetches of `site` are being answered; a site counts as not answering until it is marked.
    pub fn mark(&self, site: usize, is_answering: bool) {
        let mut state = self.0.lock();
        state.queues.mark(site, is_answering);
        self.0.recruit(state);
    }

    /// Forgets the sites that are not to be kept and have no job; a later job makes them known again.
    pub fn retain(&self, is_kept: impl Fn(usize) -> bool) {
        self.0.lock().queues.retain(is_kept);
    }

    /// The pool now.
    pub fn stats(&self) -> Stats {
        let state = self.0.lock();
        let mut sites: Vec<_> = state.queues.stats().collect();
        sites.sort_unstable_by_key(|site| site.site);
        Stats {
            threads: state.threads,
            running: state.queues.running(),
            queued: sites.iter().map(|site| site.queued).sum(),
            sites,
            ..state.counts.clone()
        }
    }

    /// Takes no further jobs and waits, at most `limit`, until all taken ones are done; then drops those still waiting.
    /// False if some were still waiting or running.
    pub fn shutdown(&self, limit: Duration) -> bool {
        let mut state = self.0.lock();
        state.is_closed = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        idle.iter().for_each(|seat| seat.call(Call::Look));
        let waited = self.0.ended.wait_timeout_while(self.0.lock(), limit, |state| state.threads > 0);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let left = state.queues.clear();
        let is_done = left.is_empty() && state.threads == 0;
        drop(state);
        drop(left);
        is_done
    }
}

impl<J: Job> Drop for Pool<J> {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}

/// Starts a thread that runs the given body.
type Spawn = Box<dyn Fn(Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync>;

fn spawner(name: &str, stack: usize) -> Spawn {
    let name = name.to_owned();
    Box::new(move |body| thread::Builder::new().name(name.clone()).stack_size(stack).spawn(body).map(|_| ()))
}

struct Inner<J> {
    max_threads: usize,
    idle: Duration,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    spawn: Spawn,
    state: Mutex<State<J>>,
    /// Notified when a thread ends.
    ended: Condvar,
}

/// Every thread has a job, is idle, or is looking for a job (just started, or done with one).
struct State<J> {
    queues: Queues<J>,
    threads: usize,
    /// The seats of idle threads. The last to sit down is called first, so that few threads do the work, with warm
    /// caches, and the others grow old and end. Whoever takes a seat out calls its thread, after unlocking.
    idle: Vec<Arc<Seat<J>>>,
    is_closed: bool,
    /// Number of the job submitted last.
    last_number: u64,
    /// Only the counters of it are used.
    counts: Stats,
}

impl<J> State<J> {
    fn is_anyone_looking(&self) -> bool {
        self.threads > self.idle.len() + self.queues.running()
    }
}

impl<J: Job> Inner<J> {
    fn has_idle(&self, state: &State<J>, site: usize, share: Share) -> bool {
        let is_free = state.queues.running() < self.max_threads && !state.queues.has_startable();
        is_free && state.queues.will_start(site, share)
    }

    fn has_spare(&self, state: &State<J>, site: usize, share: Share) -> bool {
        let half = Share { max_running: share.max_running.div_ceil(2), max_queued: 0 };
        state.queues.running() < self.max_threads.div_ceil(2) && self.has_idle(state, site, half)
    }

    fn submit(self: &Arc<Self>, site: usize, share: Share, job: J, is_idle_work: bool) -> Result<(), Full<J>> {
        let since = (self.clock)();
        let mut state = self.lock();
        if is_idle_work && !self.has_spare(&state, site, share) {
            return Err(Full { job, why: Refusal::Queue });
        }
        while state.queues.is_full(site, share) {
            drop(state);
            if !self.make_room(site) {
                return Err(Full { job, why: Refusal::Queue });
            }
            state = self.lock();
        }
        if state.is_closed {
            return Err(Full { job, why: Refusal::Closed });
        }
        let will_start = state.queues.will_start(site, share);
        state.last_number += 1;
        let number = state.last_number;
        state.queues.push(site, share, Queued { job, since, number });
        let is_short = state.threads == 0 || (will_start && state.idle.is_empty());
        if is_short && state.threads < self.max_threads {
            state = self.start_thread(state);
            let left = if state.threads == 0 { state.queues.take_back(site, number) } else { None };
            return left.map_or(Ok(()), |left| Err(Full { job: left.job, why: Refusal::NoThread }));
        }
        self.recruit(state);
        Ok(())
    }

    /// Drops the site's oldest waiting job if nobody wants it. Only the oldest is looked at: those behind it have been
    /// waited for less long.
    fn make_room(self: &Arc<Self>, site: usize) -> bool {
        let Some(oldest) = self.lock().queues.take_oldest(site) else { return false };
        if self.contain(|| oldest.job.is_wanted()) == Some(false) {
            self.contain(|| drop(oldest));
            self.lock().counts.unwanted += 1;
            return true;
        }
        let mut state = self.lock();
        state.queues.put_back(site, oldest);
        self.recruit(state);
        false
    }

    /// Gives jobs that may start to idle threads; where none is idle, and nobody on the way to a job, starts a thread,
    /// which recruits the next.
    fn recruit<'s>(self: &'s Arc<Self>, mut state: MutexGuard<'s, State<J>>) {
        while state.queues.has_startable() {
            let Some(seat) = state.idle.pop() else {
                if state.threads < self.max_threads && !state.is_anyone_looking() {
                    drop(self.start_thread(state));
                }
                return;
            };
            let call = state.queues.take().map_or(Call::Look, Call::Run);
            let is_last = !state.queues.has_startable();
            drop(state);
            seat.call(call);
            if is_last {
                return;
            }
            state = self.lock();
        }
    }

    /// Unlocks while the thread is being started. A refusal of the system is counted; whoever runs goes on.
    fn start_thread<'s>(self: &'s Arc<Self>, mut state: MutexGuard<'s, State<J>>) -> MutexGuard<'s, State<J>> {
        state.threads += 1;
        drop(state);
        let inner = self.clone();
        let started = (self.spawn)(Box::new(move || inner.work()));
        let mut state = self.lock();
        if started.is_err() {
            state.threads -= 1;
            state.counts.failed_threads += 1;
            self.ended.notify_all();
        }
        state
    }

    /// A thread's life.
    fn work(self: Arc<Self>) {
        let seat = Arc::new(Seat::default());
        let mut finished = None;
        while let Some(taken) = self.next(&seat, finished) {
            finished = Some(taken.site);
            self.run(taken);
        }
    }

    /// Waits for the next job; `None` ends the thread, which no longer counts then.
    fn next(self: &Arc<Self>, seat: &Arc<Seat<J>>, finished: Option<usize>) -> Option<Taken<J>> {
        let mut state = self.lock();
        if let Some(site) = finished {
            state.queues.finish(site);
        }
        loop {
            if let Some(taken) = state.queues.take() {
                self.recruit(state);
                return Some(taken);
            }
            if state.is_closed {
                break;
            }
            state.idle.push(Arc::clone(seat));
            drop(state);
            match self.rest(seat) {
                Some(Call::Run(taken)) => return Some(taken),
                Some(Call::Look) => state = self.lock(),
                None => return None,
            }
        }
        self.leave(state);
        None
    }

    /// Idles until called; `None` after too long: the thread has left then.
    fn rest(&self, seat: &Arc<Seat<J>>) -> Option<Call<J>> {
        if let Some(call) = seat.wait(self.idle) {
            return Some(call);
        }
        let mut state = self.lock();
        if let Some(place) = state.idle.iter().position(|idle| Arc::ptr_eq(idle, seat)) {
            state.idle.remove(place);
            self.leave(state);
            return None;
        }
        drop(state);
        // Somebody has taken the seat out: the call is on its way.
        Some(seat.wait_long())
    }

    fn leave(&self, mut state: MutexGuard<'_, State<J>>) {
        state.threads -= 1;
        self.ended.notify_all();
    }

    /// Runs one job, or drops it unrun.
    fn run(&self, taken: Taken<J>) {
        let Taken { queued: Queued { job, since, .. }, answering, .. } = taken;
        let turn = Turn { waited: (self.clock)().saturating_sub(since), answering };
        let is_unwanted = self.contain(|| {
            if !job.is_wanted() {
                return true;
            }
            job.run(turn);
            false
        });
        if is_unwanted == Some(true) {
            self.lock().counts.unwanted += 1;
        }
    }

    /// Calls what may panic; `None` if it did.
    fn contain<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        // Unwind safety: what the call owned is gone with it, and it borrows nothing of ours.
        let result = catch_unwind(AssertUnwindSafe(call));
        if result.is_err() {
            self.lock().counts.panics += 1;
        }
        result.ok()
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // No code that can panic runs under it, and a count that is off is better than a pool that is dead.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
