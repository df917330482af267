//! The thread that picks what may begin, and keeps the journals.

use std::sync::Arc;
use std::time::Duration;

use super::step::Step;
use super::work::{Start, Wanted, to_millis};
use super::{Inner, State};
use crate::policy::redirect::bare_host;
use crate::pool::Share;
use crate::time::Now;

impl Inner {
    /// Until the end.
    pub fn run(self: Arc<Inner>) {
        let mut kept = Duration::ZERO;
        loop {
            let now = self.clock.now();
            let mut held = self.lock();
            if held.is_stopping {
                break;
            }
            let seen = held.version;
            let (starts, wait) = held.pick(now);
            drop(held);
            starts.into_iter().for_each(|start| self.begin(start));
            if now.monotonic.saturating_sub(kept) >= BETWEEN_WRITES {
                kept = now.monotonic;
                self.save(false);
            }
            let held = self.lock();
            let is_quiet = |state: &mut State| state.version == seen && !state.is_stopping;
            // Whoever notices nothing looks again all the same: the time of day opens, the journals are due.
            let limit = if held.is_busy() { wait.min(BETWEEN_WRITES) } else { IDLE };
            drop(self.changed.wait_timeout_while(held, limit, is_quiet));
        }
        self.save(true);
    }

    /// Has an address done, if a fetcher is idle for it.
    fn begin(self: &Arc<Self>, start: Start) {
        let step = Step::new(self.clone(), start);
        let site = self.proxy.site_of(host_of(&step.start.url));
        if !step.start.manner.is_dry && site.is_some_and(|site| !self.proxy.has_idle_fetcher(&site)) {
            return step.put_back(CROWDED, false);
        }
        let share = Share { max_running: MOST_RUNNING, max_queued: MOST_RUNNING };
        if let Err(full) = self.pool.submit(0, share, step) {
            full.job.put_back(CROWDED, false);
        }
    }
}

impl State {
    /// What may begin now, and how long until more may.
    fn pick(&mut self, now: Now) -> (Vec<Start>, Duration) {
        self.works.values_mut().for_each(|work| work.sample(now.monotonic));
        let (mut starts, mut wait) = (Vec::new(), BETWEEN_WRITES);
        // One of each task in turn, so that a long one does not keep a short one waiting.
        let mut has_more = true;
        while std::mem::take(&mut has_more) {
            for work in self.works.values_mut() {
                if self.running >= MOST_RUNNING {
                    return (starts, wait);
                }
                if work.ended.is_some() || work.wanted != Wanted::Run {
                    continue;
                }
                if let Some(closed) = work.manner.window.and_then(|window| window.opens_in(now.wall)) {
                    wait = wait.min(closed);
                    continue;
                }
                match work.pick(now.monotonic, &self.busy) {
                    Ok(Some(start)) => {
                        if work.started.is_none() {
                            (work.started, work.saved.is_stale) = (Some(to_millis(now.wall)), true);
                        }
                        self.running += 1;
                        *self.busy.entry(start.site.clone()).or_insert(0) += 1;
                        starts.push(start);
                        has_more = true;
                    }
                    Ok(None) | Err(None) => {}
                    Err(Some(soonest)) => wait = wait.min(soonest),
                }
            }
        }
        (starts, wait.max(SHORTEST_WAIT))
    }

    /// Bytes that all addresses take, about.
    pub fn weight(&self) -> usize {
        self.works.values().map(|work| work.rows.weight()).fold(0, usize::saturating_add)
    }

    /// An address of the site is under way no more.
    pub fn leave(&mut self, site: &Arc<str>) {
        self.running = self.running.saturating_sub(1);
        if let Some(busy) = self.busy.get_mut(site) {
            *busy = busy.saturating_sub(1);
            if *busy == 0 {
                self.busy.remove(site);
            }
        }
    }

    /// Something is to be done, or to be written.
    fn is_busy(&self) -> bool {
        self.running > 0 || self.works.values().any(|work| work.is_active() || work.saved.is_due(&work.rows))
    }
}

/// The host of an address that has been looked at before.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    bare_host(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// Addresses under way, of all tasks together.
pub const MOST_RUNNING: usize = 32;
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(60);
/// Until it is looked again whether a fetcher is idle.
const CROWDED: Duration = Duration::from_millis(50);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::super::rows::Part;
    use super::super::work::{Manner, Work};
    use super::*;
    use crate::proxy::Visited;

    #[test]
    fn how_fast_a_task_is_is_known_while_as_much_runs_as_may() {
        let mut work = Work::new(1, Manner { parallel: Some(64), ..Manner::default() }, Duration::ZERO);
        for number in 0..200 {
            assert!(work.add(&(format!("http://a.test/{number}"), Part::Page, Ok("a.test".into()))));
        }
        let mut state = State::default();
        state.works.insert(1, work);
        let at = |seconds| Now { wall: Duration::from_secs(seconds), monotonic: Duration::from_secs(seconds) };
        for second in 1..=5 {
            let (starts, _) = state.pick(at(second));
            assert_eq!(state.running, MOST_RUNNING);
            for start in starts.iter().take(10) {
                state.leave(&start.site);
                state.works.get_mut(&1).unwrap().finish(start.index, &Visited::default(), None);
            }
        }
        let shown = state.works.get(&1).unwrap().shown(at(6).monotonic);
        assert_eq!((shown.rate, shown.seconds_left), (10.0, Some(15)));
    }
}
