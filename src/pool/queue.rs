//! Who is next: one queue a site, served in turn, under a share for each. No threads, locks or clocks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What one site may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Jobs under way; at least 1.
    pub max_running: usize,
    /// Jobs waiting beyond those.
    pub max_queued: usize,
}

/// A job in a queue, and since when.
pub(super) struct Queued<J> {
    pub job: J,
    /// Monotonic time of its submission.
    pub since: Duration,
    /// Tells it from all others of the pool.
    pub number: u64,
}

/// A job whose turn has come.
pub(super) struct Taken<J> {
    pub site: usize,
    pub queued: Queued<J>,
    /// The mark of its site, as it stands.
    pub answering: Arc<AtomicBool>,
}

/// The queues of all sites.
///
/// A site stands in `turn`, once, while it has a job waiting and a free share; whoever takes its job puts it at the end.
pub(super) struct Queues<J> {
    sites: HashMap<usize, Site<J>>,
    turn: VecDeque<usize>,
    running: usize,
    /// Running jobs of sites that are not answering.
    doubtful: usize,
    /// How many those may be.
    max_doubtful: usize,
}

struct Site<J> {
    jobs: VecDeque<Queued<J>>,
    running: usize,
    share: Share,
    /// Written through [`Queues::mark`] alone, read by jobs too.
    answering: Arc<AtomicBool>,
    has_turn: bool,
}

impl<J> Queues<J> {
    /// Queues for `threads` threads, the last quarter of which is for sites that answer.
    pub fn new(threads: usize) -> Queues<J> {
        let max_doubtful = threads - threads / 4;
        Queues { sites: HashMap::new(), turn: VecDeque::new(), running: 0, doubtful: 0, max_doubtful }
    }

    /// Whether the site has all that `share` allows, running and waiting taken together: a burst may pass through the
    /// queue before threads have come for it.
    pub fn is_full(&self, site: usize, share: Share) -> bool {
        let held = self.sites.get(&site).map_or(0, |site| site.running.saturating_add(site.jobs.len()));
        held >= share.max_running.max(1).saturating_add(share.max_queued)
    }

    /// Whether a job pushed now may start at once, given a thread.
    pub fn will_start(&self, site: usize, share: Share) -> bool {
        let site = self.sites.get(&site);
        let held = site.map_or(0, |site| site.running.saturating_add(site.jobs.len()));
        let is_answering = site.is_some_and(Site::is_answering);
        held < share.max_running.max(1) && (is_answering || self.doubtful < self.max_doubtful)
    }

    /// Adds a job at the end of its site's queue; `share` is the site's from now on.
    pub fn push(&mut self, key: usize, share: Share, queued: Queued<J>) {
        let site = self.site(key);
        site.share = share;
        site.jobs.push_back(queued);
        self.enrol(key);
    }

    /// Takes the site's oldest job out, out of turn.
    pub fn take_oldest(&mut self, key: usize) -> Option<Queued<J>> {
        self.sites.get_mut(&key)?.jobs.pop_front()
    }

    /// Puts back what [`Queues::take_oldest`] took.
    pub fn put_back(&mut self, key: usize, queued: Queued<J>) {
        self.site(key).jobs.push_front(queued);
        self.enrol(key);
    }

    /// Takes one certain job out, if it still waits.
    pub fn take_back(&mut self, key: usize, number: u64) -> Option<Queued<J>> {
        let jobs = &mut self.sites.get_mut(&key)?.jobs;
        let place = jobs.iter().rposition(|queued| queued.number == number)?;
        jobs.remove(place)
    }

    /// The next job that may start; it counts as running until [`Queues::finish`].
    pub fn take(&mut self) -> Option<Taken<J>> {
        while let Some(place) = self.next_place() {
            let key = self.turn.remove(place)?;
            let site = self.site(key);
            site.has_turn = false;
            // The share may have shrunk, or the jobs been taken, since the site took its place.
            if !site.may_start() {
                continue;
            }
            let Some(queued) = site.jobs.pop_front() else { continue };
            site.running += 1;
            let answering = Arc::clone(&site.answering);
            self.doubtful += usize::from(!site.is_answering());
            self.running += 1;
            self.enrol(key);
            return Some(Taken { site: key, queued, answering });
        }
        None
    }

    /// Whether [`Queues::take`] is likely to have a job.
    pub fn has_startable(&self) -> bool {
        self.next_place().is_some()
    }

    /// A job of the site has ended.
    pub fn finish(&mut self, key: usize) {
        let site = self.site(key);
        site.running = site.running.saturating_sub(1);
        let is_answering = site.is_answering();
        self.running = self.running.saturating_sub(1);
        self.doubtful = self.doubtful.saturating_sub(usize::from(!is_answering));
        self.enrol(key);
    }

    /// Whether fetches of the site are being answered; a site is not until it is marked.
    pub fn mark(&mut self, key: usize, is_answering: bool) {
        let site = self.site(key);
        let running = site.running;
        match (site.answering.swap(is_answering, Ordering::Relaxed), is_answering) {
            (false, true) => self.doubtful = self.doubtful.saturating_sub(running),
            (true, false) => self.doubtful += running,
            _ => {}
        }
    }

    /// Forgets the sites that are not to be kept and have no job.
    pub fn retain(&mut self, is_kept: impl Fn(usize) -> bool) {
        self.sites.retain(|key, site| is_kept(*key) || site.has_turn || site.running > 0 || !site.jobs.is_empty());
    }

    /// Takes all waiting jobs out.
    pub fn clear(&mut self) -> Vec<Queued<J>> {
        self.turn.clear();
        let emptied = self.sites.values_mut().flat_map(|site| {
            site.has_turn = false;
            site.jobs.drain(..)
        });
        emptied.collect()
    }

    /// Jobs under way.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Every site known, in no order.
    pub fn stats(&self) -> impl Iterator<Item = SiteStats> {
        self.sites.iter().map(|(key, site)| SiteStats {
            site: *key,
            running: site.running,
            queued: site.jobs.len(),
            is_answering: site.is_answering(),
        })
    }

    /// The first in turn, or the first that answers once the others have their three quarters.
    fn next_place(&self) -> Option<usize> {
        if self.doubtful < self.max_doubtful {
            return (!self.turn.is_empty()).then_some(0);
        }
        self.turn.iter().position(|key| self.sites.get(key).is_some_and(Site::is_answering))
    }

    /// Gives the site a place in turn if it has use for one.
    fn enrol(&mut self, key: usize) {
        let site = self.site(key);
        if site.may_start() && !site.has_turn {
            site.has_turn = true;
            self.turn.push_back(key);
        }
    }

    fn site(&mut self, key: usize) -> &mut Site<J> {
        self.sites.entry(key).or_insert_with(|| Site {
            jobs: VecDeque::new(),
            running: 0,
            share: Share { max_running: 1, max_queued: 0 },
            answering: Arc::default(),
            has_turn: false,
        })
    }
}

impl<J> Site<J> {
    fn may_start(&self) -> bool {
        !self.jobs.is_empty() && self.running < self.share.max_running.max(1)
    }

    fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed)
    }
}

/// What one site has at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteStats {
    /// The number it was submitted with.
    pub site: usize,
    /// Jobs under way.
    pub running: usize,
    /// Jobs waiting.
    pub queued: usize,
    /// As last marked.
    pub is_answering: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Share = Share { max_running: 100, max_queued: 100 };

    /// Queues for 8 threads holding `jobs`, each (site, name).
    fn queues(share: Share, jobs: &[(usize, &'static str)]) -> Queues<&'static str> {
        let mut queues = Queues::new(8);
        for (site, job) in jobs {
            queues.push(*site, share, Queued { job: *job, since: Duration::ZERO, number: 0 });
        }
        queues
    }

    fn take_all(queues: &mut Queues<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queues.take()).map(|taken| taken.queued.job).collect()
    }

    #[test]
    fn sites_are_served_in_turn_and_a_site_in_order() {
        let mut queues = queues(WIDE, &[(1, "a"), (1, "b"), (1, "c"), (2, "x"), (3, "y"), (2, "z")]);
        assert_eq!(take_all(&mut queues), ["a", "x", "y", "b", "z", "c"]);
    }

    #[test]
    fn a_site_at_its_share_waits_for_an_end() {
        let mut queues = queues(Share { max_running: 1, ..WIDE }, &[(1, "a"), (1, "b"), (2, "x")]);
        assert_eq!(take_all(&mut queues), ["a", "x"]);
        queues.finish(2);
        assert!(!queues.has_startable());
        queues.finish(1);
        assert_eq!(take_all(&mut queues), ["b"]);
    }

    #[test]
    fn a_share_that_shrank_binds_at_once() {
        let mut queues = queues(WIDE, &[(1, "a"), (1, "b")]);
        assert!(queues.take().is_some());
        queues.push(1, Share { max_running: 1, ..WIDE }, Queued { job: "c", since: Duration::ZERO, number: 0 });
        assert!(queues.take().is_none());
    }

    #[test]
    fn running_and_waiting_together_fill_a_share() {
        let share = Share { max_running: 1, max_queued: 1 };
        let mut queues = queues(share, &[(1, "a")]);
        assert!(!queues.is_full(1, share) && !queues.is_full(2, share));
        assert!(queues.take().is_some());
        queues.push(1, share, Queued { job: "b", since: Duration::ZERO, number: 0 });
        assert!(queues.is_full(1, share) && !queues.is_full(2, share));
        queues.finish(1);
        assert!(!queues.is_full(1, share));
    }

    #[test]
    fn the_last_quarter_is_for_sites_that_answer() {
        let mut queues =
            queues(WIDE, &[(1, "1"), (1, "2"), (1, "3"), (2, "4"), (2, "5"), (2, "6"), (1, "7"), (3, "x")]);
        queues.mark(3, true);
        let started = take_all(&mut queues);
        assert_eq!(started.len(), 7, "six doubtful ones and the one that answers: {started:?}");
        assert!(started.contains(&"x") && !started.contains(&"7"));
        queues.finish(3);
        assert!(queues.take().is_none(), "a thread freed by a site that answers is not for the others");
        queues.finish(2);
        assert_eq!(take_all(&mut queues), ["7"]);
    }

    #[test]
    fn a_mark_moves_what_is_running() {
        let jobs: Vec<_> = (0..7).map(|_| (1, "a")).collect();
        let mut queues = queues(WIDE, &jobs);
        assert_eq!(take_all(&mut queues).len(), 6);
        queues.mark(1, true);
        queues.mark(1, true);
        assert_eq!(take_all(&mut queues).len(), 1);
        queues.mark(1, false);
        queues.push(2, WIDE, Queued { job: "x", since: Duration::ZERO, number: 0 });
        assert!(queues.take().is_none());
        queues.finish(1);
        queues.finish(1);
        assert_eq!(take_all(&mut queues), ["x"]);
    }

    #[test]
    fn a_site_without_a_job_can_be_forgotten_with_its_mark() {
        let mut queues = queues(WIDE, &[(1, "a"), (2, "b"), (3, "c")]);
        (1..4).for_each(|site| queues.mark(site, true));
        assert_eq!(take_all(&mut queues).len(), 3);
        queues.finish(1);
        queues.finish(3);
        queues.retain(|site| site == 3);
        let mut known: Vec<_> = queues.stats().map(|site| site.site).collect();
        known.sort_unstable();
        assert_eq!(known, [2, 3], "the second has a job still");
    }

    #[test]
    fn a_job_taken_out_leaves_no_turn_behind_and_can_come_back() {
        let mut queues = queues(WIDE, &[(1, "a")]);
        let oldest = queues.take_oldest(1).unwrap();
        assert!(queues.take().is_none());
        queues.put_back(1, oldest);
        assert_eq!(take_all(&mut queues), ["a"]);
        assert!(queues.clear().is_empty());
    }
}
