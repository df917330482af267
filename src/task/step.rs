//! One address of a task, top to bottom, on a thread that may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::begin::found;
use super::file::MOST_WEIGHT;
use super::plan::address;
use super::sources::{most_bytes, read};
use super::work::{Addition, Start};
use super::{AT_ONCE, Inner};
use crate::policy::redirect::Url;
use crate::pool::{Job, Turn};
use crate::proxy::{Errand, Kept, Visited};
use crate::status::{Phase, ProxyError};

/// An address that has begun. Dropped undone, as by a panic, it has failed.
pub struct Step {
    pub inner: Arc<Inner>,
    pub start: Start,
    is_done: bool,
}

/// What came of it.
enum Outcome {
    Done(Visited, Option<String>),
    /// Nobody has the time for it now.
    Later,
    /// It was called off.
    Off,
}

impl Step {
    pub fn new(inner: Arc<Inner>, start: Start) -> Step {
        Step { inner, start, is_done: false }
    }

    /// Back among what is left, for so long at least.
    pub fn put_back(mut self, wait: Duration, is_tried: bool) {
        self.is_done = true;
        let not_before = self.inner.clock.now().monotonic.saturating_add(wait);
        let start = &self.start;
        let mut held = self.inner.lock();
        held.leave(&start.site);
        if let Some(work) = held.works.get_mut(&start.task) {
            work.put_back(start.index, &start.site, not_before, is_tried);
            work.settle(self.inner.clock.now().wall);
        }
        self.inner.note_change(held);
    }

    fn outcome(&self) -> Outcome {
        let url = match address(&self.start.url) {
            Ok(url) if self.inner.proxy.site_of(&url.host).is_some() => url,
            Ok(url) => return refused(format!("no site is configured for {:?} any more", url.host)),
            Err(why) => return refused(why),
        };
        let errand = Errand { url: &url, fields: &self.start.manner.fields };
        if self.start.manner.is_dry {
            let considered = self.inner.proxy.consider(&errand);
            let is_fresh = considered.kept == Some(Kept::Hit) && considered.lifetime > Some(0);
            if !is_fresh || !self.start.part.is_source() {
                return Outcome::Done(considered, None);
            }
        }
        match self.start.part.is_source() {
            true => self.read(&url, &errand),
            false => match self.inner.proxy.visit(&errand, &self.start.signal, None) {
                Some(visited) => done(visited, None),
                None => Outcome::Off,
            },
        }
    }

    /// A document: what it names becomes part of the task before it is done itself.
    fn read(&self, url: &Url, errand: &Errand<'_>) -> Outcome {
        let Some(_turn) = Reading::take(&self.inner.reading) else { return Outcome::Later };
        let (mut text, most, mut is_too_long) = (Vec::new(), most_bytes(self.start.part), false);
        let mut take = |bytes: &[u8]| {
            is_too_long |= text.len().saturating_add(bytes.len()) > most;
            if !is_too_long {
                text.extend_from_slice(bytes);
            }
        };
        let Some(visited) = self.inner.proxy.visit(errand, &self.start.signal, Some(&mut take)) else {
            return Outcome::Off;
        };
        if visited.cause.is_some() || visited.status >= 400 {
            return done(visited, None);
        }
        let failure = match visited.status {
            200 if is_too_long => Some(format!("it is larger than {} MiB", most >> 20)),
            200 => match read(self.start.part, url, text) {
                Ok(named) => self.add(named.iter().map(|(url, part)| found(&self.inner.proxy, url, *part)).collect()),
                Err(why) => Some(why),
            },
            status => Some(format!("the answer has status {status}: there is nothing to read")),
        };
        done(visited, failure)
    }

    /// A few at once, so that nobody waits long for the lock.
    fn add(&self, additions: Vec<Addition>) -> Option<String> {
        for some in additions.chunks(AT_ONCE) {
            let mut held = self.inner.lock();
            if held.weight() > MOST_WEIGHT {
                return Some(
                    "all tasks together have as many addresses as there is room for: remove some that have ended"
                        .into(),
                );
            }
            let work = held.works.get_mut(&self.start.task)?;
            if !some.iter().all(|addition| work.add_found(addition)) {
                return Some("it names more addresses than a task may have".into());
            }
            self.inner.note_change(held);
        }
        None
    }

    fn settle(&mut self, outcome: Outcome) {
        self.is_done = true;
        let now = self.inner.clock.now();
        let start = &self.start;
        let mut held = self.inner.lock();
        held.leave(&start.site);
        if let Some(work) = held.works.get_mut(&start.task) {
            match outcome {
                Outcome::Done(visited, failure) => work.finish(start.index, &visited, failure.as_deref()),
                Outcome::Later => {
                    work.put_back(start.index, &start.site, now.monotonic.saturating_add(LATER), false);
                }
                Outcome::Off => work.put_back(start.index, &start.site, now.monotonic, false),
            }
            work.settle(now.wall);
        }
        self.inner.note_change(held);
    }
}

impl Job for Step {
    fn run(mut self, _: Turn) {
        let outcome = self.outcome();
        self.settle(outcome);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.is_done {
            let detail = "the work on it ended without a result".to_owned();
            let cause = Some((ProxyError::ProxyInternalError, Phase::Queue));
            self.settle(Outcome::Done(Visited { cause, detail, ..Visited::default() }, None));
        }
    }
}

/// One of the few documents that are read at once.
struct Reading<'a>(&'a AtomicUsize);

impl<'a> Reading<'a> {
    fn take(reading: &'a AtomicUsize) -> Option<Reading<'a>> {
        let more = |count: usize| (count < MOST_READING).then_some(count + 1);
        reading.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Reading(reading))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A fetch that found no room in its queue is no failure of the origin's: it has its turn later.
fn done(visited: Visited, failure: Option<String>) -> Outcome {
    match visited.cause {
        Some((ProxyError::ConnectionLimitReached, Phase::Queue)) => Outcome::Later,
        _ => Outcome::Done(visited, failure),
    }
}

fn refused(why: String) -> Outcome {
    Outcome::Done(
        Visited { cause: Some((ProxyError::DestinationNotFound, Phase::Queue)), detail: why, ..Visited::default() },
        None,
    )
}

/// Documents read at once, of all tasks together: each is up to 50 MiB of text, and the addresses in it.
const MOST_READING: usize = 4;
/// Until a crowded site is tried again.
const LATER: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_documents_are_read_at_once() {
        let reading = AtomicUsize::new(0);
        let mut turns: Vec<_> = (0..MOST_READING).map(|_| Reading::take(&reading).unwrap()).collect();
        assert!(Reading::take(&reading).is_none());
        turns.pop();
        assert!(Reading::take(&reading).is_some());
    }
}
