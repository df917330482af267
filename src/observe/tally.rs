//! Counts by site, and how long exchanges and the phases of fetches took: kept by each worker for itself in plain numbers,
//! added to the [`Totals`] about once a second.
//!
//! So an exchange costs no atomic operation here, however many sites there are; what is shown is up to a second late.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::record::{CacheResult, Record};
use crate::time::Now;

/// What one worker has counted since it last handed over.
#[derive(Default)]
pub struct Tally {
    counts: Counts,
    /// When it last handed over (monotonic).
    handed_over: Duration,
    is_dirty: bool,
}

/// Sums since the start, for whoever shows them.
#[derive(Default)]
pub struct Totals(Mutex<Counts>);

/// Numbers that grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By the site's number. Exchanges of no site are not among them.
    pub sites: Vec<SiteCounts>,
    /// Whole exchanges answered from the store.
    pub hit: Histogram,
    /// Whole exchanges that the origin had a part in.
    pub miss: Histogram,
    /// Phases of fetches, in the order of [`PHASES`].
    pub phases: [Histogram; PHASES.len()],
}

/// Exchanges of one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteCounts {
    /// By what the cache did: `CacheResult as usize`.
    pub requests: [u64; CacheResult::COUNT],
    /// Body bytes given to clients.
    pub bytes: u64,
    /// Of these, bytes that came from the store.
    pub bytes_from_store: u64,
    /// Fetches begun.
    pub fetches: u64,
    /// Fetches that brought no response.
    pub failures: u64,
}

impl SiteCounts {
    /// Exchanges of all kinds.
    pub fn all(&self) -> u64 {
        self.requests.iter().sum()
    }

    /// Exchanges answered from the store without asking the origin.
    pub fn hits(&self) -> u64 {
        let of = |result: CacheResult| self.requests.get(result as usize).copied().unwrap_or(0);
        of(CacheResult::Hit).saturating_add(of(CacheResult::Stale))
    }
}

/// Durations in buckets whose upper bounds are [`BOUNDS`], and beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many fell into each bucket; the last takes all that is longer.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Microseconds in all.
    pub micros: u64,
}

impl Tally {
    /// Counts one exchange of the site with that number.
    pub fn count(&mut self, site: Option<usize>, record: &Record<'_>) {
        self.is_dirty = true;
        let is_from_store = matches!(record.cache, CacheResult::Hit | CacheResult::Stale);
        if let Some(counts) = site.and_then(|site| self.counts.site(site)) {
            if let Some(count) = counts.requests.get_mut(record.cache as usize) {
                *count += 1;
            }
            counts.bytes = counts.bytes.saturating_add(record.bytes);
            if is_from_store {
                counts.bytes_from_store = counts.bytes_from_store.saturating_add(record.bytes);
            }
        }
        match record.cache {
            CacheResult::Local => {}
            _ if is_from_store => self.counts.hit.add(record.duration),
            _ => self.counts.miss.add(record.duration),
        }
        // A hit had no fetch, and of one that several waited for the phases count once.
        if matches!(record.cache, CacheResult::Hit | CacheResult::Collapsed) {
            return;
        }
        let phases = record.fetch.phases();
        for (name, time) in phases {
            let place = PHASES.iter().position(|known| *known == name);
            if let Some(histogram) = place.and_then(|place| self.counts.phases.get_mut(place)) {
                histogram.add(time);
            }
        }
    }

    /// Hands over what has gathered, where that is a second's worth.
    pub fn hand_over_if_due(&mut self, now: Now, totals: &Totals) {
        if !self.is_dirty || now.monotonic.saturating_sub(self.handed_over) < PERIOD {
            return;
        }
        self.handed_over = now.monotonic;
        self.is_dirty = false;
        totals.lock().add(&self.counts);
        self.counts.clear();
    }
}

impl Totals {
    /// A fetch of the site with that number begins.
    pub fn fetching(&self, site: usize) {
        if let Some(counts) = self.lock().site(site) {
            counts.fetches = counts.fetches.saturating_add(1);
        }
    }

    /// It brought no response.
    pub fn failed(&self, site: usize) {
        if let Some(counts) = self.lock().site(site) {
            counts.failures = counts.failures.saturating_add(1);
        }
    }

    /// The sums now.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn site(&mut self, number: usize) -> Option<&mut SiteCounts> {
        if number >= MOST_SITES {
            return None;
        }
        if self.sites.len() <= number {
            self.sites.resize(number + 1, SiteCounts::default());
        }
        self.sites.get_mut(number)
    }

    fn add(&mut self, other: &Counts) {
        if self.sites.len() < other.sites.len() {
            self.sites.resize(other.sites.len(), SiteCounts::default());
        }
        for (mine, theirs) in self.sites.iter_mut().zip(&other.sites) {
            add_all(&mut mine.requests, &theirs.requests);
            mine.bytes = mine.bytes.saturating_add(theirs.bytes);
            mine.bytes_from_store = mine.bytes_from_store.saturating_add(theirs.bytes_from_store);
            mine.fetches = mine.fetches.saturating_add(theirs.fetches);
            mine.failures = mine.failures.saturating_add(theirs.failures);
        }
        self.hit.merge(&other.hit);
        self.miss.merge(&other.miss);
        self.phases.iter_mut().zip(&other.phases).for_each(|(mine, theirs)| mine.merge(theirs));
    }

    /// To zero, without giving memory back: the same sites will be asked for again.
    fn clear(&mut self) {
        self.sites.fill(SiteCounts::default());
        self.hit = Histogram::default();
        self.miss = Histogram::default();
        self.phases = Default::default();
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.micros = self.micros.saturating_add(micros);
    }

    /// How many durations there are.
    #[cfg(test)]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    fn merge(&mut self, other: &Histogram) {
        add_all(&mut self.buckets, &other.buckets);
        self.micros = self.micros.saturating_add(other.micros);
    }
}

fn add_all(sums: &mut [u64], more: &[u64]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
}

/// The phases of a fetch, by their names in [`super::FetchTimes`].
pub const PHASES: [&str; 5] = ["queue", "dns", "connect", "tls", "first_byte"];
/// Upper bounds of the buckets, in microseconds: a hit takes some tens, a hung origin a minute.
pub const BOUNDS: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    15_000_000, 60_000_000,
];
/// Sites with counts of their own; the numbers of all others are in the whole.
const MOST_SITES: usize = 10_000;
const PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::tests_line::plain;

    fn at(seconds: u64) -> Now {
        Now { wall: Duration::ZERO, monotonic: Duration::from_secs(seconds) }
    }

    #[test]
    fn exchanges_are_counted_by_site_and_handed_over_once_a_second() {
        let totals = Totals::default();
        let mut tally = Tally::default();
        let hit = Record { cache: CacheResult::Hit, bytes: 7, duration: Duration::from_micros(60), ..plain() };
        let miss = Record { cache: CacheResult::Miss, bytes: 5, duration: Duration::from_secs(2), ..plain() };
        tally.count(Some(2), &hit);
        tally.count(Some(0), &miss);
        tally.count(None, &Record { cache: CacheResult::Local, ..hit.clone() });
        tally.count(Some(usize::MAX), &hit);
        tally.hand_over_if_due(at(1), &totals);
        tally.count(Some(2), &hit);
        tally.hand_over_if_due(at(1), &totals);
        let counts = totals.counts();
        assert_eq!(counts.sites.len(), 3);
        assert_eq!((counts.sites[2].requests[CacheResult::Hit as usize], counts.sites[2].bytes_from_store), (1, 7));
        assert_eq!((counts.sites[0].requests[CacheResult::Miss as usize], counts.sites[0].bytes), (1, 5));
        assert_eq!((counts.hit.count(), counts.miss.count()), (2, 1));
        tally.hand_over_if_due(at(2), &totals);
        assert_eq!(totals.counts().sites[2].requests[CacheResult::Hit as usize], 2);
        assert_eq!(totals.counts().miss.count(), 1);
    }

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let rows = [(0, 0), (50, 0), (51, 1), (1_000, 4), (60_000_000, 16), (60_000_001, 17), (u64::MAX, 17)];
        for (micros, bucket) in rows {
            let mut histogram = Histogram::default();
            histogram.add(Duration::from_micros(micros));
            assert_eq!((histogram.buckets[bucket], histogram.count()), (1, 1), "{micros}");
        }
    }

    #[test]
    fn the_phases_are_those_of_a_fetch() {
        let all = Some(Duration::from_micros(1));
        let times = super::super::FetchTimes { queue: all, dns: all, connect: all, tls: all, first_byte: all };
        assert_eq!(times.phases().map(|(name, _)| name).collect::<Vec<_>>(), PHASES);
        let mut tally = Tally::default();
        tally.count(None, &Record { fetch: times, cache: CacheResult::Miss, ..plain() });
        assert!(tally.counts.phases.iter().all(|phase| phase.count() == 1));
    }
}
