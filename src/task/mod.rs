//! Tasks: work with an id that goes on while its user looks away; so far, prefetching.
//!
//! A task is a list of addresses, some of which name further ones when they are read (sitemaps, manifests). One thread
//! picks what may begin: by turns over the sites, within the rate, the time of day and the number of fetches at once from
//! a site, and only while a fetcher is idle, so that clients never wait for it (decisions 10). A few threads of their own
//! carry it out; each address takes the way of a client's request ([`crate::proxy::Errand`]). What is done is added to the
//! task's journal in the state directory about once a second.

mod begin;
mod file;
mod plan;
mod retry;
mod rows;
mod run;
mod shorten;
mod shown;
mod sources;
mod step;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use plan::{Prefetch, TaskError, Window};
pub use shown::{Page, Task, TaskState, TaskUrl, UrlState};

use crate::pool::{Limits, Pool};
use crate::proxy::Proxy;
use crate::server::Clock;
use crate::state::StateDir;
use rows::Row;
use step::Step;
use work::{Wanted, Work};

/// All tasks of one edge. Dropping it lets nothing begin any more and calls off what runs; it is begun anew by the next one
/// with the same state directory.
pub struct Tasks {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    proxy: Arc<Proxy>,
    clock: Clock,
    dir: Option<StateDir>,
    pool: Pool<Step>,
    /// Where troubles with files are told.
    tell: Box<dyn Fn(&str) + Send + Sync>,
    state: Mutex<State>,
    changed: Condvar,
    /// Documents that are being read, each of which may fill a good part of memory.
    reading: AtomicUsize,
}

#[derive(Default)]
struct State {
    works: BTreeMap<u64, Work>,
    next_id: u64,
    /// Addresses under way, and how many of each site.
    running: usize,
    busy: HashMap<Arc<str>, usize>,
    /// Counts what has happened, for whoever waits for something to do.
    version: u64,
    is_stopping: bool,
}

impl Tasks {
    /// The tasks that an earlier run left in `dir`, going on; `tell` hears of troubles with its files.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn open(
        proxy: Arc<Proxy>,
        clock: Clock,
        dir: Option<&StateDir>,
        tell: impl Fn(&str) + Send + Sync + 'static,
    ) -> std::io::Result<Tasks> {
        let limits = Limits { threads: run::MOST_RUNNING, ..Limits::default() };
        let pool = Pool::new("task", limits, move || clock.now().monotonic);
        pool.mark(0, true);
        let inner = Arc::new(Inner {
            proxy,
            clock,
            dir: dir.map(|dir| dir.folder("tasks")),
            pool,
            tell: Box::new(tell),
            state: Mutex::new(State { next_id: 1, ..State::default() }),
            changed: Condvar::new(),
            reading: AtomicUsize::new(0),
        });
        inner.restore();
        let running = inner.clone();
        let thread = std::thread::Builder::new().name("tasks".into()).stack_size(512 << 10);
        let thread = thread.spawn(move || running.run())?;
        Ok(Tasks { inner, thread: Some(thread) })
    }

    /// All tasks, newest first, `limit` of them behind the number `after`; `state` chooses.
    pub fn list(&self, after: Option<u64>, limit: usize, state: Option<TaskState>) -> Page<Task> {
        let now = self.inner.clock.now().monotonic;
        let held = self.inner.lock();
        let fits = |work: &&Work| state.is_none_or(|state| work.state() == state);
        let total = held.works.values().filter(fits).count();
        let mut rest = held.works.range(..after.unwrap_or(u64::MAX)).rev().map(|(_, work)| work).filter(fits);
        let items: Vec<Task> = rest.by_ref().take(limit).map(|work| work.shown(now)).collect();
        let next = rest.next().and(items.last()).map(|task| task.id);
        Page { items, next, total }
    }

    /// One task.
    pub fn get(&self, id: u64) -> Option<Task> {
        let now = self.inner.clock.now().monotonic;
        self.inner.lock().works.get(&id).map(|work| work.shown(now))
    }

    /// The addresses of a task in their order, `limit` of them from the number `after` on; `state` chooses.
    pub fn urls(&self, id: u64, after: Option<u64>, limit: usize, state: Option<UrlState>) -> Option<Page<TaskUrl>> {
        let held = self.inner.lock();
        let work = held.works.get(&id)?;
        let from = usize::try_from(after.unwrap_or(0)).unwrap_or(usize::MAX);
        let fits = |row: &Row| state.is_none_or(|state| row.state == state);
        let total = match state {
            None => work.rows.len(),
            Some(_) => work.rows.iter().filter(|(_, row)| fits(row)).count(),
        };
        let mut rest = work.rows.iter().skip(from).filter(|(_, row)| fits(row));
        let items: Vec<TaskUrl> =
            rest.by_ref().take(limit).map(|(index, row)| TaskUrl::of(&work.rows, index, row)).collect();
        let next = rest.next().and_then(|(index, _)| u64::try_from(index).ok());
        Some(Page { items, next, total })
    }

    /// Lets nothing more of it begin; what is under way ends.
    ///
    /// # Errors
    /// [`TaskError::Unknown`], or [`TaskError::State`] where it has ended; so too below.
    pub fn pause(&self, id: u64) -> Result<Task, TaskError> {
        self.change(id, |work| {
            if work.ended.is_some() {
                return Err(TaskError::State("it has ended: there is nothing to pause".into()));
            }
            work.wanted = Wanted::Pause;
            work.saved.is_stale = true;
            Ok(())
        })
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where it is not paused.
    pub fn resume(&self, id: u64) -> Result<Task, TaskError> {
        self.change(id, |work| {
            if work.state() != TaskState::Paused {
                return Err(TaskError::State("it is not paused".into()));
            }
            work.wanted = Wanted::Run;
            work.saved.is_stale = true;
            Ok(())
        })
    }

    /// Ends it now: what is under way is called off.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn cancel(&self, id: u64) -> Result<Task, TaskError> {
        let now = self.inner.clock.now();
        self.change(id, |work| {
            if work.ended.is_some() {
                return Err(TaskError::State("it has ended: there is nothing to cancel".into()));
            }
            work.cancel();
            work.settle(now.wall);
            Ok(())
        })
    }

    /// Forgets a task that has ended, and removes its journal.
    ///
    /// # Errors
    /// Where it has not ended.
    pub fn remove(&self, id: u64) -> Result<(), TaskError> {
        let mut held = self.inner.lock();
        let work = held.works.get(&id).ok_or(TaskError::Unknown)?;
        if work.ended.is_none() {
            return Err(TaskError::State("it has not ended: cancel it first".into()));
        }
        let work = held.works.remove(&id);
        drop(held);
        if let Some(journal) = work.and_then(|work| work.saved.journal) {
            // What cannot be removed is there again after the next start, no more.
            let _ = journal.remove();
        }
        Ok(())
    }

    /// Begins nothing any more, and calls off what is under way.
    pub fn stop(&self) {
        let mut held = self.inner.lock();
        held.is_stopping = true;
        held.works.values().for_each(Work::call_off);
        self.inner.note_change(held);
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Work) -> Result<(), TaskError>) -> Result<Task, TaskError> {
        let now = self.inner.clock.now().monotonic;
        let mut held = self.inner.lock();
        let work = held.works.get_mut(&id).ok_or(TaskError::Unknown)?;
        change(work)?;
        let shown = work.shown(now);
        self.inner.note_change(held);
        Ok(shown)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.inner.pool.shutdown(STEPS_END);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has happened: whoever waits looks again.
    fn note_change(&self, mut held: MutexGuard<'_, State>) {
        held.version = held.version.wrapping_add(1);
        drop(held);
        self.changed.notify_all();
    }
}

/// Addresses that are looked at under one lock.
const AT_ONCE: usize = 2000;
/// How long an end waits for what was called off.
const STEPS_END: Duration = Duration::from_secs(1);
