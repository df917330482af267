//! One task while it is done: which addresses are left, which are under way, what came of the others. Knows no clock, no
//! file and no proxy.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::plan::Window;
use super::rows::{Part, Rows};
use super::{Task, TaskState, UrlState};
use crate::proxy::{Signal, Visited};
use crate::state::Journal;

/// How a task is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    pub fields: Vec<(String, String)>,
    pub rate: Option<u32>,
    pub parallel: Option<u32>,
    pub window: Option<Window>,
    pub is_dry: bool,
    pub source: String,
}

/// What its user wants of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    #[default]
    Run,
    Pause,
    Cancel,
}

/// A task.
#[derive(Default)]
pub struct Work {
    pub id: u64,
    pub manner: Arc<Manner>,
    /// Since the Unix epoch, as all moments here but those called monotonic.
    pub created: Duration,
    pub started: Option<Duration>,
    pub ended: Option<Duration>,
    pub wanted: Wanted,
    pub rows: Rows,
    pub counts: Counts,
    pub saved: Saved,
    lanes: Vec<Lane>,
    by_site: HashMap<Arc<str>, usize>,
    /// The lane whose turn it is.
    turn: usize,
    left: usize,
    running: Vec<(usize, Arc<Signal>)>,
    /// Retries that are putting back what was lost.
    pub revivals: usize,
    /// When the rate allows the next (monotonic).
    not_before: Duration,
    /// What has been named so far, while documents are still to be read.
    seen: HashSet<u64>,
    /// Moments (monotonic), and how many were done then.
    samples: VecDeque<(Duration, usize)>,
}

/// Sums over the addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub done: usize,
    pub failed: usize,
    pub bytes: u64,
}

/// What of it is in its journal.
#[derive(Default)]
pub struct Saved {
    pub journal: Option<Journal>,
    /// Addresses that are there.
    pub rows: usize,
    /// Those whose standing has changed since.
    pub changed: Vec<usize>,
    /// So has that of the task.
    pub is_stale: bool,
    /// After a failure it is tried again then (monotonic).
    pub not_before: Duration,
    /// The last try failed, and that has been said.
    pub is_failing: bool,
}

/// What is left of one site.
struct Lane {
    site: Arc<str>,
    pending: VecDeque<usize>,
    /// No fetcher was idle: not before this (monotonic).
    not_before: Duration,
}

/// What may begin now.
pub struct Start {
    pub task: u64,
    pub index: usize,
    pub url: String,
    pub part: Part,
    pub site: Arc<str>,
    pub manner: Arc<Manner>,
    pub signal: Arc<Signal>,
}

/// An address that is to be added, and the name of its site; the reason why not, where there is none.
pub type Addition = (String, Part, Result<Arc<str>, String>);

impl Work {
    /// A task without addresses.
    pub fn new(id: u64, manner: Manner, created: Duration) -> Work {
        Work { id, manner: Arc::new(manner), created: to_millis(created), ..Work::default() }
    }

    /// Adds an address; false where there is no room for more.
    pub fn add(&mut self, (url, part, site): &Addition) -> bool {
        let Some(index) = self.rows.add(url, *part) else { return false };
        match site {
            Ok(site) => self.enlist(index, site),
            Err(why) => self.fail(index, "destination_not_found", why),
        }
        true
    }

    /// The same for what a document names: once only.
    pub fn add_found(&mut self, addition: &Addition) -> bool {
        if self.seen.is_empty() {
            self.seen = (0..self.rows.len()).map(|index| hash(self.rows.url(index))).collect();
        }
        !self.seen.insert(hash(&addition.0)) || self.add(addition)
    }

    /// Puts an address among those that are left.
    pub fn enlist(&mut self, index: usize, site: &Arc<str>) {
        let next = self.lanes.len();
        let place = *self.by_site.entry(site.clone()).or_insert(next);
        if place == next {
            self.lanes.push(Lane { site: site.clone(), pending: VecDeque::new(), not_before: Duration::ZERO });
        }
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.pending.push_back(index);
            self.left += 1;
        }
    }

    /// An address that is not even tried.
    fn fail(&mut self, index: usize, cause: &str, why: &str) {
        let cause = self.rows.word(cause);
        if let Some(row) = self.rows.row_mut(index) {
            (row.state, row.cause) = (UrlState::Failed, cause);
        }
        self.rows.set_detail(index, Some(cut(why)));
        self.counts.done += 1;
        self.counts.failed += 1;
        self.saved.changed.push(index);
    }

    /// Nothing is left to be done.
    pub fn is_over(&self) -> bool {
        self.running.is_empty() && self.revivals == 0 && (self.left == 0 || self.wanted == Wanted::Cancel)
    }

    /// Something may be begun, or will be.
    pub fn is_active(&self) -> bool {
        self.wanted == Wanted::Run && self.left > 0 && self.revivals == 0
    }

    /// The next address that may begin; where none may yet, how long until one may.
    pub fn pick(
        &mut self,
        monotonic: Duration,
        busy: &HashMap<Arc<str>, usize>,
    ) -> Result<Option<Start>, Option<Duration>> {
        if !self.is_active() {
            return Ok(None);
        }
        if let Some(wait) = self.not_before.checked_sub(monotonic).filter(|wait| !wait.is_zero()) {
            return Err(Some(wait));
        }
        let most = self.manner.parallel.unwrap_or(PARALLEL);
        let (mut soonest, count) = (None, self.lanes.len());
        for step in 0..count {
            let place = self.turn.wrapping_add(step) % count;
            let Some(lane) = self.lanes.get_mut(place) else { continue };
            let is_busy = busy.get(&lane.site).is_some_and(|running| *running >= usize::try_from(most).unwrap_or(1));
            if lane.pending.is_empty() || is_busy {
                continue;
            }
            if let Some(wait) = lane.not_before.checked_sub(monotonic).filter(|wait| !wait.is_zero()) {
                soonest = Some(soonest.map_or(wait, |soonest: Duration| soonest.min(wait)));
                continue;
            }
            let (site, Some(index)) = (lane.site.clone(), lane.pending.pop_front()) else { continue };
            self.turn = place.wrapping_add(1);
            return Ok(Some(self.begin(index, site, monotonic)));
        }
        Err(soonest)
    }

    fn begin(&mut self, index: usize, site: Arc<str>, monotonic: Duration) -> Start {
        self.left = self.left.saturating_sub(1);
        if let Some(rate) = self.manner.rate {
            // A moment's delay is caught up with, a long one is not.
            let from = self.not_before.max(monotonic.saturating_sub(CATCH_UP));
            self.not_before = from.saturating_add(Duration::from_secs(1) / rate.max(1));
        }
        let signal = Arc::new(Signal::default());
        self.running.push((index, signal.clone()));
        let mut part = Part::Page;
        if let Some(row) = self.rows.row_mut(index) {
            row.state = UrlState::Running;
            row.attempts = row.attempts.saturating_add(1);
            part = row.part;
        }
        let (task, url, manner) = (self.id, self.rows.url(index).to_owned(), self.manner.clone());
        Start { task, index, url, part, site, manner, signal }
    }

    /// An address that was begun is not done: it is left again, not before that moment.
    pub fn put_back(&mut self, index: usize, site: &Arc<str>, not_before: Duration, is_tried: bool) {
        self.running.retain(|(running, _)| *running != index);
        let Some(row) = self.rows.row_mut(index) else { return };
        row.state = UrlState::Pending;
        if !is_tried {
            row.attempts = row.attempts.saturating_sub(1);
        }
        if self.wanted == Wanted::Cancel {
            row.state = UrlState::Cancelled;
            return;
        }
        self.enlist(index, site);
        if let Some(lane) = self.by_site.get(site).and_then(|place| self.lanes.get_mut(*place)) {
            lane.pending.rotate_right(1);
            lane.not_before = not_before;
        }
    }

    /// What came of an address.
    pub fn finish(&mut self, index: usize, visited: &Visited, failure: Option<&str>) {
        self.running.retain(|(running, _)| *running != index);
        let reason = self.rows.word(visited.reason);
        let cause = self.rows.word(visited.cause.map_or("", |(cause, _)| cause.token()));
        let phase = self.rows.word(visited.cause.map_or("", |(_, phase)| phase.token()));
        let Some(row) = self.rows.row_mut(index) else { return };
        let is_failed = failure.is_some() || visited.cause.is_some() || visited.status >= 400;
        row.state = if is_failed { UrlState::Failed } else { UrlState::Complete };
        (row.status, row.kept, row.lifetime, row.bytes) =
            (visited.status, visited.kept, visited.lifetime, visited.bytes);
        (row.reason, row.cause, row.phase) = (reason, cause, phase);
        let detail = match failure {
            Some(failure) => Some(cut(failure)),
            None if !visited.detail.is_empty() => Some(cut(&visited.detail)),
            None if visited.status >= 400 => Some(cut(&format!("the answer has status {}", visited.status))),
            None => None,
        };
        self.rows.set_detail(index, detail);
        self.counts.done += 1;
        self.counts.failed += usize::from(is_failed);
        self.counts.bytes = self.counts.bytes.saturating_add(visited.bytes);
        self.saved.changed.push(index);
    }

    /// Its end, once there is nothing left to do.
    pub fn settle(&mut self, wall: Duration) {
        if self.ended.is_none() && self.is_over() {
            self.ended = Some(to_millis(wall));
            self.saved.is_stale = true;
            self.seen = HashSet::new();
        }
    }

    /// Ends it: what is under way is called off, what is left is not done.
    pub fn cancel(&mut self) {
        self.wanted = Wanted::Cancel;
        self.saved.is_stale = true;
        self.call_off();
        self.drop_left();
    }

    /// What was left of a task that is cancelled.
    pub fn drop_left(&mut self) {
        for index in self.lanes.drain(..).flat_map(|lane| lane.pending) {
            if let Some(row) = self.rows.row_mut(index) {
                row.state = UrlState::Cancelled;
            }
        }
        (self.left, self.turn) = (0, 0);
        self.by_site.clear();
    }

    /// What is under way ends without a result.
    pub fn call_off(&self) {
        self.running.iter().for_each(|(_, signal)| signal.call_off());
    }

    /// How far it has come, about once a second.
    pub fn sample(&mut self, monotonic: Duration) {
        let is_due = self.samples.back().is_none_or(|(last, _)| monotonic.saturating_sub(*last) >= SAMPLE);
        if is_due && self.ended.is_none() {
            self.samples.push_back((monotonic, self.counts.done));
            if self.samples.len() > SAMPLES {
                self.samples.pop_front();
            }
        }
    }

    /// As its user sees it.
    pub fn shown(&self, monotonic: Duration) -> Task {
        let state = self.state();
        let (since, before) = self.samples.front().copied().unwrap_or((monotonic, self.counts.done));
        let time = monotonic.saturating_sub(since).as_secs_f64();
        let is_moving = state == TaskState::Running && time > 0.0;
        let rate = if is_moving { self.counts.done.saturating_sub(before) as f64 / time } else { 0.0 };
        let left = self.rows.len().saturating_sub(self.counts.done);
        Task {
            id: self.id,
            state,
            created: self.created,
            started: self.started,
            ended: self.ended,
            total: self.rows.len(),
            done: self.counts.done,
            failed: self.counts.failed,
            bytes: self.counts.bytes,
            rate,
            seconds_left: (rate > 0.0).then(|| (left as f64 / rate).ceil() as u64),
            is_dry: self.manner.is_dry,
            source: self.manner.source.clone(),
            error: (state == TaskState::Failed && self.counts.failed > 0)
                .then(|| format!("{} of {} addresses failed", self.counts.failed, self.rows.len())),
        }
    }

    /// How it stands.
    pub fn state(&self) -> TaskState {
        match (self.ended, self.wanted) {
            (_, Wanted::Cancel) => TaskState::Cancelled,
            (Some(_), _) if self.counts.failed > 0 => TaskState::Failed,
            (Some(_), _) => TaskState::Complete,
            (None, Wanted::Pause) => TaskState::Paused,
            (None, Wanted::Run) if self.started.is_some() => TaskState::Running,
            (None, Wanted::Run) => TaskState::Pending,
        }
    }
}

/// A moment as the journal has it, so that a restart changes nothing.
pub fn to_millis(moment: Duration) -> Duration {
    Duration::from_millis(u64::try_from(moment.as_millis()).unwrap_or(u64::MAX))
}

/// What is kept of a text that others wrote.
pub fn cut(text: &str) -> Box<str> {
    let mut end = text.len().min(MOST_DETAIL);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Fetches at once from one site where nothing is said.
const PARALLEL: u32 = 4;
const CATCH_UP: Duration = Duration::from_secs(1);
const SAMPLE: Duration = Duration::from_secs(1);
const SAMPLES: usize = 15;
const MOST_DETAIL: usize = 500;
