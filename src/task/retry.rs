//! Addresses that failed, or were cancelled, done again. There may be a million of them: they are looked at a part at a time,
//! so that nobody waits long for the lock.

use std::sync::Arc;

use super::begin::site_of;
use super::rows::Row;
use super::work::{Wanted, Work};
use super::{AT_ONCE, Task, TaskError, Tasks, UrlState};

impl Tasks {
    /// Does again what failed, and what was not done because it was cancelled. A task that is paused stays so.
    ///
    /// # Errors
    /// Where there is nothing of the kind.
    pub fn retry(&self, id: u64) -> Result<Task, TaskError> {
        let inner = &self.inner;
        let mut held = inner.lock();
        let work = held.works.get_mut(&id).ok_or(TaskError::Unknown)?;
        if !work.begin_revival() {
            return Err(TaskError::State("nothing of it failed or was cancelled".into()));
        }
        drop(held);
        let mut from = 0;
        loop {
            // A statement of its own: the lock is free while their sites are looked up.
            let part = inner.lock().works.get(&id).and_then(|work| work.lost(from, AT_ONCE));
            let Some((lost, next)) = part else { break };
            let site = |url: &str| site_of(&inner.proxy, url).unwrap_or_else(|_| "".into());
            let lost: Vec<(usize, Arc<str>)> = lost.iter().map(|(index, url)| (*index, site(url))).collect();
            let mut held = inner.lock();
            if let Some(work) = held.works.get_mut(&id) {
                lost.iter().for_each(|(index, site)| work.revive(*index, site));
            }
            inner.note_change(held);
            from = next;
        }
        let now = inner.clock.now();
        let mut held = inner.lock();
        let work = held.works.get_mut(&id).ok_or(TaskError::Unknown)?;
        work.end_revival();
        work.settle(now.wall);
        let shown = work.shown(now.monotonic);
        inner.note_change(held);
        Ok(shown)
    }
}

impl Work {
    /// What failed, or was cancelled, is to be done after all: the task neither begins anything more nor ends before
    /// [`Work::end_revival`]. False where there is nothing of the kind.
    pub fn begin_revival(&mut self) -> bool {
        if !self.rows.iter().any(|(_, row)| is_lost(row)) {
            return false;
        }
        if self.ended.is_some() || self.wanted == Wanted::Cancel {
            self.wanted = Wanted::Run;
        }
        (self.ended, self.saved.is_stale) = (None, true);
        self.revivals += 1;
        true
    }

    /// The numbers and texts of those among the next `most` addresses, from the number `from` on, and the number behind them.
    /// `None` at the end, and once somebody has cancelled the task meanwhile.
    pub fn lost(&self, from: usize, most: usize) -> Option<(Vec<(usize, String)>, usize)> {
        if from >= self.rows.len() || self.wanted == Wanted::Cancel {
            return None;
        }
        let some = self.rows.iter().skip(from).take(most).filter(|(_, row)| is_lost(row));
        let lost = some.map(|(index, _)| (index, self.rows.url(index).to_owned())).collect();
        Some((lost, from.saturating_add(most)))
    }

    /// Puts one of them among what is left, if it still is one.
    pub fn revive(&mut self, index: usize, site: &Arc<str>) {
        if self.wanted == Wanted::Cancel {
            return;
        }
        let Some(row) = self.rows.row_mut(index).filter(|row| is_lost(row)) else { return };
        let was_done = usize::from(row.state == UrlState::Failed);
        self.counts.done = self.counts.done.saturating_sub(was_done);
        self.counts.failed = self.counts.failed.saturating_sub(was_done);
        self.counts.bytes = self.counts.bytes.saturating_sub(row.bytes);
        (row.state, row.bytes) = (UrlState::Pending, 0);
        self.rows.set_detail(index, None);
        self.saved.changed.push(index);
        self.enlist(index, site);
    }

    /// All of them are among what is left: it goes on.
    pub fn end_revival(&mut self) {
        self.revivals = self.revivals.saturating_sub(1);
    }
}

fn is_lost(row: &Row) -> bool {
    matches!(row.state, UrlState::Failed | UrlState::Cancelled)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::rows::Part;
    use super::super::work::Manner;
    use super::super::{TaskState, UrlState};
    use super::*;
    use crate::proxy::Visited;

    const WALL: Duration = Duration::from_secs(1);

    /// Of two addresses one has failed, the other has not begun.
    fn work() -> (Work, Arc<str>) {
        let mut work = Work::new(1, Manner::default(), WALL);
        let site: Arc<str> = "a.test".into();
        for url in ["http://a.test/1", "http://a.test/2"] {
            assert!(work.add(&(url.into(), Part::Page, Ok(site.clone()))));
        }
        let start = work.pick(WALL, &Default::default()).unwrap().unwrap();
        work.finish(start.index, &Visited { status: 500, ..Visited::default() }, None);
        (work, site)
    }

    #[test]
    fn a_task_has_no_end_while_what_failed_is_put_back() {
        let (mut work, site) = work();
        work.cancel();
        work.settle(WALL);
        assert_eq!((work.state(), work.ended), (TaskState::Cancelled, Some(WALL)));
        assert!(work.begin_revival());
        work.settle(WALL);
        assert_eq!(work.ended, None, "nothing is left yet, and it goes on all the same");
        let (lost, next) = work.lost(0, 1).unwrap();
        assert_eq!((lost.len(), lost[0].1.as_str(), next), (1, "http://a.test/1", 1));
        lost.iter().for_each(|(index, _)| work.revive(*index, &site));
        lost.iter().for_each(|(index, _)| work.revive(*index, &site));
        let (lost, _) = work.lost(next, 10).unwrap();
        lost.iter().for_each(|(index, _)| work.revive(*index, &site));
        work.end_revival();
        for _ in 0..2 {
            let start = work.pick(WALL, &Default::default()).unwrap().unwrap();
            work.finish(start.index, &Visited { status: 200, ..Visited::default() }, None);
            work.settle(WALL);
        }
        assert_eq!((work.state(), work.counts.done, work.counts.failed), (TaskState::Complete, 2, 0), "each once");
        assert!(!work.begin_revival());
    }

    #[test]
    fn who_cancels_a_task_while_it_is_retried_has_the_last_word() {
        let (mut work, site) = work();
        assert!(work.begin_revival());
        work.cancel();
        assert!(work.lost(0, 10).is_none());
        work.revive(0, &site);
        work.end_revival();
        work.settle(WALL);
        let states = [0, 1].map(|index| work.rows.row(index).unwrap().state);
        assert_eq!((work.state(), states), (TaskState::Cancelled, [UrlState::Failed, UrlState::Cancelled]));
    }

    #[test]
    fn a_paused_task_stays_paused_when_it_is_retried() {
        let (mut work, site) = work();
        work.wanted = Wanted::Pause;
        assert!(work.begin_revival());
        work.revive(0, &site);
        work.end_revival();
        assert_eq!((work.state(), work.counts.failed), (TaskState::Paused, 0));
    }
}
