//! The journal of a task: how it is to be done, its addresses, then what came of each, line by line.
//!
//! A line is a letter and its parts, tabs between them, with `%XX` for whatever is not plain. Nothing about it is fatal: a
//! damaged journal is set aside, and one that cannot be written costs a warning and the memory of this run.

use std::sync::Arc;
use std::time::Duration;

use super::begin::site_of;
use super::plan::Window;
use super::rows::{MOST_TEXT, Part, Row, Rows};
use super::work::{Manner, Saved, Wanted, Work, cut};
use super::{AT_ONCE, Inner, UrlState};
use crate::proxy::Kept;
use crate::state::{StateKind, Unread};

impl Inner {
    /// Takes in what an earlier run has left.
    pub fn restore(&self) {
        let Some(dir) = &self.dir else { return };
        dir.remove_unfinished();
        let numbers = dir.numbers().unwrap_or_else(|error| {
            (self.tell)(&format!(
                "cannot read the folder tasks in the state directory: {error}; the tasks of earlier runs are not known: make \
                 it readable for this user"
            ));
            Vec::new()
        });
        let mut held = self.lock();
        let mut weight = 0_usize;
        for id in numbers.into_iter().rev().take(MOST_TASKS) {
            held.next_id = held.next_id.max(id.saturating_add(1));
            let mut reading = Reading::new(id);
            let read = dir.read_journal(&TASK, id, |line| reading.take(line));
            let read = read.map(|journal| Some((journal, reading.finish()?)));
            let damage = match read {
                Ok(Some((journal, mut work))) => {
                    weight = weight.saturating_add(work.rows.weight());
                    if weight > MOST_WEIGHT {
                        (self.tell)(&format!(
                            "there is no room for task {id} and those before it; they stay in the state directory"
                        ));
                        break;
                    }
                    work.saved.journal = Some(journal);
                    self.revive(&mut work);
                    held.works.insert(id, work);
                    continue;
                }
                Ok(None) => "a line means nothing".to_owned(),
                Err(Unread::Damaged(damage)) => damage.to_owned(),
                Err(Unread::Io(error)) => error.to_string(),
            };
            let aside = match dir.set_journal_aside(id, self.clock.now().unix()) {
                Ok(place) => format!("it is set aside as {}, and the task is forgotten", place.display()),
                Err(error) => format!("nor set aside ({error})"),
            };
            (self.tell)(&format!("the journal of task {id} cannot be used ({damage}): {aside}"));
        }
    }

    /// What was left is left again.
    fn revive(&self, work: &mut Work) {
        let left: Vec<usize> =
            work.rows.iter().filter(|(_, row)| row.state == UrlState::Pending).map(|(index, _)| index).collect();
        for index in left {
            let site = site_of(&self.proxy, work.rows.url(index)).unwrap_or_else(|_| "".into());
            work.enlist(index, &site);
        }
        if work.wanted == Wanted::Cancel {
            work.drop_left();
        } else if work.is_active() {
            // The end of its journal was lost, which said that it goes on after all.
            work.ended = None;
        }
        work.settle(self.clock.now().wall);
    }

    /// The first writing of a task that nobody else knows yet.
    pub fn save_new(&self, work: &mut Work) {
        let Some(dir) = &self.dir else { return };
        let mut lines = encoded(&work.manner, work.created);
        lines.extend(work.saved.take_chunk(&work.rows, work.wanted, [work.started, work.ended], usize::MAX).lines);
        match dir.begin_journal(&TASK, work.id, lines.iter().map(String::as_str)) {
            Ok(journal) => work.saved.journal = Some(journal),
            Err(error) => (self.tell)(&format!(
                "cannot write the journal of task {}: {error}; it is forgotten at a restart: make the folder tasks in \
                 the state directory writable for this user",
                work.id
            )),
        }
    }

    /// Adds what has happened to the journals, a part at a time: the lock is held neither for long nor while they are written.
    pub fn save(&self, is_last: bool) {
        let now = self.clock.now().monotonic;
        let held = self.lock();
        let is_due = |work: &&Work| work.saved.journal.is_some() && work.saved.is_due(&work.rows);
        let due: Vec<u64> = held.works.values().filter(is_due).map(|work| work.id).collect();
        drop(held);
        for id in due {
            while let Some(has_more) = self.save_chunk(id, is_last, now) {
                if !has_more {
                    self.shorten(id);
                    break;
                }
            }
        }
    }

    /// Adds a part to one journal; whether there is more, or nothing where it cannot be written now.
    fn save_chunk(&self, id: u64, is_last: bool, now: Duration) -> Option<bool> {
        let mut held = self.lock();
        let work = held.works.get_mut(&id).filter(|work| is_last || work.saved.not_before <= now)?;
        let mut journal = work.saved.journal.take()?;
        let chunk = work.saved.take_chunk(&work.rows, work.wanted, [work.started, work.ended], AT_ONCE);
        let is_safe = !chunk.has_more && (is_last || work.ended.is_some());
        drop(held);
        let outcome = journal.add(chunk.lines.iter().map(String::as_str), is_safe);
        let mut held = self.lock();
        let Some(work) = held.works.get_mut(&id) else {
            drop(held);
            // It was removed meanwhile.
            let _ = journal.remove();
            return None;
        };
        work.saved.journal = Some(journal);
        let Err(error) = outcome else {
            work.saved.is_failing = false;
            return Some(chunk.has_more);
        };
        work.saved.give_back(chunk, now.saturating_add(AFTER_FAILURE));
        let was_failing = std::mem::replace(&mut work.saved.is_failing, true);
        drop(held);
        if !was_failing {
            (self.tell)(&format!(
                "cannot write the journal of task {id}: {error}; it is tried again every {} s: look at the room on the \
                 disk, and make the folder tasks in the state directory writable for this user",
                AFTER_FAILURE.as_secs()
            ));
        }
        None
    }
}

/// Lines for a journal, which count as written.
pub struct Chunk {
    pub lines: Vec<String>,
    /// More is not written yet.
    pub has_more: bool,
    /// Addresses that were written before.
    rows: usize,
    /// Those whose standing the lines say.
    pub changed: Vec<usize>,
}

impl Saved {
    /// Something is not written yet.
    pub fn is_due(&self, rows: &Rows) -> bool {
        self.is_stale || !self.changed.is_empty() || self.rows < rows.len()
    }

    /// At most about `most` lines of what is not written yet. Addresses come first: a document is done only once what it
    /// names is known. How the task itself stands comes last: it ends only once all else of it is said.
    pub fn take_chunk(&mut self, rows: &Rows, wanted: Wanted, times: [Option<Duration>; 2], most: usize) -> Chunk {
        let before = self.rows;
        self.rows = rows.len().min(before.saturating_add(most));
        let mut lines: Vec<String> = (before..self.rows)
            .filter_map(|index| Some(line(&["u", rows.row(index)?.part.token(), rows.url(index)])))
            .collect();
        let mut changed = Vec::new();
        if self.rows == rows.len() {
            changed = self.changed.split_off(self.changed.len().saturating_sub(most.saturating_sub(lines.len())));
            changed.sort_unstable();
            changed.dedup();
            lines.extend(changed.iter().filter_map(|index| Some(row_line(rows, *index, rows.row(*index)?))));
        }
        let has_more = self.rows < rows.len() || !self.changed.is_empty();
        if !has_more && (std::mem::take(&mut self.is_stale) || lines.is_empty()) {
            let [started, ended] = times.map(|time| time.map(millis).unwrap_or_default());
            lines.push(line(&["s", wanted_token(wanted), &started, &ended]));
        }
        Chunk { lines, has_more, rows: before, changed }
    }

    /// A part that could not be written, to be tried again then (monotonic).
    fn give_back(&mut self, chunk: Chunk, not_before: Duration) {
        (self.rows, self.is_stale, self.not_before) = (chunk.rows, true, not_before);
        self.changed.extend(chunk.changed);
    }
}

pub fn encoded(manner: &Manner, created: Duration) -> Vec<String> {
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let window = manner.window.map(|window| window.to_string()).unwrap_or_default();
    let dry = if manner.is_dry { "dry" } else { "" };
    let mut lines = vec![line(&[
        "o",
        &millis(created),
        dry,
        &number(manner.rate),
        &number(manner.parallel),
        &window,
        &manner.source,
    ])];
    lines.extend(manner.fields.iter().map(|(name, value)| line(&["h", name, value])));
    lines
}

/// The lines of an address: itself, and how it stands where there is something to say of that.
pub fn row_lines(rows: &Rows, index: usize) -> impl Iterator<Item = String> {
    let row = rows.row(index);
    let url = row.map(|row| line(&["u", row.part.token(), rows.url(index)]));
    let standing = row.filter(|row| **row != Row { part: row.part, ..Row::default() });
    url.into_iter().chain(standing.map(|row| row_line(rows, index, row)))
}

fn row_line(rows: &Rows, index: usize, row: &Row) -> String {
    let text = |word| rows.text_of(word).unwrap_or_default();
    line(&[
        "r",
        &index.to_string(),
        // What is under way now begins anew after a restart.
        if row.state == UrlState::Running { UrlState::Pending.token() } else { row.state.token() },
        &row.attempts.to_string(),
        &row.status.to_string(),
        row.kept.map_or("", super::shown::kept_token),
        &row.lifetime.map(|lifetime| lifetime.to_string()).unwrap_or_default(),
        &row.bytes.to_string(),
        text(row.reason),
        text(row.cause),
        text(row.phase),
        row.detail.as_deref().unwrap_or_default(),
    ])
}

/// A task that is read line by line.
struct Reading {
    work: Work,
    manner: Manner,
    /// Every line so far has meant something.
    is_good: bool,
}

impl Reading {
    fn new(id: u64) -> Reading {
        let work = Work::new(id, Manner::default(), Duration::ZERO);
        Reading { work, manner: Manner::default(), is_good: true }
    }

    fn take(&mut self, text: &str) {
        self.is_good = self.is_good && self.take_line(text).is_some();
    }

    fn take_line(&mut self, text: &str) -> Option<()> {
        let parts: Vec<String> = text.split('\t').map(plain).collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (work, manner) = (&mut self.work, &mut self.manner);
        match parts.as_slice() {
            ["o", created, dry, rate, parallel, window, source] => {
                work.created = moment(created)??;
                manner.is_dry = *dry == "dry";
                (manner.rate, manner.parallel) = (number(rate)?, number(parallel)?);
                manner.window = if window.is_empty() { None } else { Some(Window::parse(window).ok()?) };
                manner.source = (*source).to_owned();
            }
            ["h", name, value] => manner.fields.push(((*name).to_owned(), (*value).to_owned())),
            ["u", part, url] => _ = work.rows.add(url, Part::of(part)?)?,
            ["s", wanted, started, ended] => {
                let all = [Wanted::Run, Wanted::Pause, Wanted::Cancel];
                work.wanted = all.into_iter().find(|one| wanted_token(*one) == *wanted)?;
                (work.started, work.ended) = (moment(started)?, moment(ended)?);
            }
            ["r", rest @ ..] => take_row(&mut work.rows, rest)?,
            _ => return None,
        }
        Some(())
    }

    /// The task; `None` where a line meant nothing.
    fn finish(self) -> Option<Work> {
        let Reading { mut work, manner, is_good: true } = self else { return None };
        work.manner = Arc::new(manner);
        for (_, row) in work.rows.iter() {
            let is_done = matches!(row.state, UrlState::Complete | UrlState::Failed);
            work.counts.done += usize::from(is_done);
            work.counts.failed += usize::from(row.state == UrlState::Failed);
            work.counts.bytes = work.counts.bytes.saturating_add(row.bytes);
        }
        work.saved.rows = work.rows.len();
        Some(work)
    }
}

fn take_row(rows: &mut Rows, parts: &[&str]) -> Option<()> {
    let [index, state, attempts, status, kept, lifetime, bytes, reason, cause, phase, detail] = parts else {
        return None;
    };
    let [reason, cause, phase] = [reason, cause, phase].map(|text| rows.word(text));
    let index = index.parse().ok()?;
    rows.set_detail(index, Some(cut(detail)).filter(|detail| !detail.is_empty()));
    let row = rows.row_mut(index)?;
    row.state = UrlState::ALL.into_iter().find(|one| one.token() == *state)?;
    (row.attempts, row.status, row.bytes) = (attempts.parse().ok()?, status.parse().ok()?, bytes.parse().ok()?);
    row.kept = match *kept {
        "" => None,
        kept => {
            Some([Kept::Stored, Kept::Hit, Kept::Not].into_iter().find(|one| super::shown::kept_token(*one) == kept)?)
        }
    };
    row.lifetime = number(lifetime)?;
    (row.reason, row.cause, row.phase) = (reason, cause, phase);
    Some(())
}

fn wanted_token(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Run => "run",
        Wanted::Pause => "pause",
        Wanted::Cancel => "cancel",
    }
}

fn millis(moment: Duration) -> String {
    moment.as_millis().to_string()
}

fn moment(text: &str) -> Option<Option<Duration>> {
    Some(if text.is_empty() { None } else { Some(Duration::from_millis(text.parse().ok()?)) })
}

fn number(text: &str) -> Option<Option<u32>> {
    Some(if text.is_empty() { None } else { Some(text.parse().ok()?) })
}

fn line(parts: &[&str]) -> String {
    let mut text = String::new();
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            text.push('\t');
        }
        for byte in part.bytes() {
            match byte {
                b'%' | 0..b' ' | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
                _ => text.push(char::from(byte)),
            }
        }
    }
    text
}

/// The reverse of what [`line`] does to a part.
fn plain(part: &str) -> Option<String> {
    if !part.contains('%') {
        return Some(part.to_owned());
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let Some((before, behind)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let (digits, behind) = behind.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = behind;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// A million addresses with what came of each; they are read line by line, and so need no memory of that size.
pub const TASK: StateKind = StateKind { name: "task", version: 1, max: 16 * MOST_TEXT };
/// Tasks that are kept, ended ones included.
pub const MOST_TASKS: usize = 100;
/// Bytes of all of them in memory, about.
pub const MOST_WEIGHT: usize = 256 << 20;
pub const AFTER_FAILURE: Duration = Duration::from_secs(30);

#[cfg(test)]
#[path = "tests_file.rs"]
mod tests;
