//! Journals that have grown long, begun anew: what was said again and again of an address is said once.

use super::file::{AFTER_FAILURE, TASK, encoded, row_lines};
use super::work::{Saved, Work};
use super::{AT_ONCE, Inner};
use crate::state::Journal;

impl Inner {
    /// Begins the journal of a task anew where it has grown long. The lock is never held for long: what happens meanwhile
    /// is said at the end, or added later.
    pub fn shorten(&self, id: u64) {
        let Some((old, before)) = self.begin_shortening(id) else { return };
        let mut lines = Vec::new();
        let mut said = 0;
        while said < before.0 {
            let held = self.lock();
            let Some(work) = held.works.get(&id) else { break };
            if said == 0 {
                lines.extend(encoded(&work.manner, work.created));
            }
            let next = said.saturating_add(AT_ONCE).min(before.0);
            lines.extend((said..next).flat_map(|index| row_lines(&work.rows, index)));
            said = next;
        }
        let changed = self.say_the_rest(id, &mut lines);
        let written = match &self.dir {
            Some(dir) => dir.begin_journal(&TASK, id, lines.iter().map(String::as_str)),
            None => return,
        };
        let now = self.clock.now().monotonic;
        let mut held = self.lock();
        let Some(work) = held.works.get_mut(&id) else {
            drop(held);
            // It was removed meanwhile.
            let _ = written.unwrap_or(old).remove();
            return;
        };
        match written {
            Ok(journal) => work.saved.journal = Some(journal),
            Err(_) => {
                // The old one is as good as it was, but for what has happened since.
                (work.saved.journal, work.saved.rows, work.saved.is_stale) = (Some(old), before.0, true);
                work.saved.changed.extend(before.1.into_iter().chain(changed));
                work.saved.not_before = now.saturating_add(AFTER_FAILURE);
            }
        }
    }

    /// Takes the journal in hand, where it is long: itself, the addresses that it has, and those of which it says less than
    /// is known.
    fn begin_shortening(&self, id: u64) -> Option<(Journal, (usize, Vec<usize>))> {
        let mut held = self.lock();
        let saved = &mut held.works.get_mut(&id)?.saved;
        let journal = saved.journal.take_if(|journal| journal.is_long())?;
        Some((journal, (saved.rows, saved.take_known())))
    }

    /// What has happened since, all under one lock: a document counts as read only together with what it names. The numbers
    /// of the addresses that it says.
    fn say_the_rest(&self, id: u64, lines: &mut Vec<String>) -> Vec<usize> {
        let mut held = self.lock();
        let Some(work) = held.works.get_mut(&id) else { return Vec::new() };
        let Work { saved, rows, wanted, started, ended, .. } = work;
        saved.is_stale = true;
        let chunk = saved.take_chunk(rows, *wanted, [*started, *ended], usize::MAX);
        lines.extend(chunk.lines);
        chunk.changed
    }
}

impl Saved {
    /// Takes out the changed ones among the addresses that the journal has: they are said anew from what is known. How those
    /// stand that came since is said behind them.
    fn take_known(&mut self) -> Vec<usize> {
        let (known, new) = std::mem::take(&mut self.changed).into_iter().partition(|index| *index < self.rows);
        self.changed = new;
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_addresses_that_the_journal_does_not_have_yet_is_not_forgotten() {
        let mut saved = Saved { rows: 2, changed: vec![3, 0, 2, 1], ..Saved::default() };
        assert_eq!((saved.take_known(), saved.changed), (vec![0, 1], vec![3, 2]));
    }
}
