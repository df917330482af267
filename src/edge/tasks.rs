//! Tasks, as whoever embeds an edge begins and watches them.

use std::sync::Arc;

use super::Edge;
use crate::error::Error;
use crate::proxy::Proxy;
use crate::server::Clock;
use crate::state::StateDir;
use crate::task::{Page, Prefetch, Task, TaskError, TaskState, TaskUrl, Tasks, UrlState};

/// The tasks of a state directory, going on.
pub fn open(proxy: &Arc<Proxy>, clock: Clock, state: Option<&StateDir>) -> Result<Arc<Tasks>, Error> {
    let tasks = Tasks::open(proxy.clone(), clock, state, |trouble| log::warn!("{trouble}"));
    tasks.map(Arc::new).map_err(|source| Error::Io { what: "start the thread of the tasks".into(), source })
}

impl Edge {
    /// Begins a prefetch: what clients will ask for is fetched before they do, each address as if a client had asked, but
    /// only while fetchers are idle. It goes on by itself, also after a restart where there is a state directory.
    ///
    /// Addresses of hosts that no site answers for are refused one by one: they are failures of the task from the start.
    ///
    /// # Errors
    /// [`TaskError::Unfit`] where what is asked for means nothing, [`TaskError::Full`] where too much is under way.
    pub fn prefetch(&self, prefetch: &Prefetch) -> Result<Task, TaskError> {
        self.held_tasks()?.begin(prefetch)
    }

    /// A task as it stands now; `None` where there is no such number.
    pub fn task(&self, id: u64) -> Option<Task> {
        self.held_tasks().ok()?.get(id)
    }

    /// The tasks, newest first, `limit` of them behind the number `after`; `state` chooses. The latest hundred are kept.
    pub fn tasks(&self, after: Option<u64>, limit: usize, state: Option<TaskState>) -> Page<Task> {
        let none = |_| Page { items: Vec::new(), next: None, total: 0 };
        self.held_tasks().map_or_else(none, |tasks| tasks.list(after, limit, state))
    }

    /// What came of the addresses of a task, in their order, `limit` of them from the number `after` on; `state` chooses.
    /// `None` where there is no such task.
    pub fn task_urls(
        &self,
        id: u64,
        after: Option<u64>,
        limit: usize,
        state: Option<UrlState>,
    ) -> Option<Page<TaskUrl>> {
        self.held_tasks().ok()?.urls(id, after, limit, state)
    }

    /// Lets nothing more of a task begin; what is under way ends.
    ///
    /// # Errors
    /// [`TaskError::Unknown`], or [`TaskError::State`] where it has ended; so too below.
    pub fn pause(&self, id: u64) -> Result<Task, TaskError> {
        self.held_tasks()?.pause(id)
    }

    /// Lets a paused task go on.
    ///
    /// # Errors
    /// Where it is not paused.
    pub fn resume(&self, id: u64) -> Result<Task, TaskError> {
        self.held_tasks()?.resume(id)
    }

    /// Ends a task now: what is under way is called off, the rest is not begun. What it has stored stays.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn cancel(&self, id: u64) -> Result<Task, TaskError> {
        self.held_tasks()?.cancel(id)
    }

    /// Does again what failed in a task, and what was not done because it was cancelled. A task that is paused stays so.
    ///
    /// # Errors
    /// Where nothing did.
    pub fn retry(&self, id: u64) -> Result<Task, TaskError> {
        self.held_tasks()?.retry(id)
    }

    /// Forgets a task that has ended.
    ///
    /// # Errors
    /// Where it has not.
    pub fn remove_task(&self, id: u64) -> Result<(), TaskError> {
        self.held_tasks()?.remove(id)
    }

    fn held_tasks(&self) -> Result<&Arc<Tasks>, TaskError> {
        self.tasks.as_ref().ok_or_else(|| TaskError::Full("Millpond is stopping".into()))
    }
}
