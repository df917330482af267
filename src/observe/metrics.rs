//! Counters without locks: relaxed atomics in blocks of their own cache lines, one block a worker.
//!
//! It counts what it is told and knows no names: who shows the numbers (admin) gives them theirs. Sums over blocks are
//! read without stopping anyone, so a snapshot may catch a request between two of its counters.

use std::sync::atomic::{AtomicU64, Ordering};

use super::record::{CacheResult, Record};
use super::series::{Series, Sums};
use super::tally::Totals;
use crate::status::ProxyError;
use crate::time::Now;

/// All counters of one running edge.
pub struct Metrics {
    /// Counts of those who own no block: acceptors, fetchers, the log writer.
    shared: Block,
    workers: Box<[Block]>,
    totals: Totals,
    series: Series,
}

impl Metrics {
    /// Counters at zero, with a block for each of `workers` (at least one).
    pub fn new(workers: usize) -> Metrics {
        let workers = (0..workers.max(1)).map(|_| Block::new()).collect();
        Metrics { shared: Block::new(), workers, totals: Totals::default(), series: Series::default() }
    }

    /// The block of one worker, to be counted in by that worker's thread alone if it is to be fast. Any number is safe.
    pub fn block(&self, worker: usize) -> &Block {
        let index = worker.checked_rem(self.workers.len()).unwrap_or(0);
        self.workers.get(index).unwrap_or(&self.shared)
    }

    /// The block of everyone who is no worker.
    pub fn shared(&self) -> &Block {
        &self.shared
    }

    /// Counts by site and durations, as the workers have handed them over.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The last minutes, step by step.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Upkeep, about once a second: ends a step of the series where one is over.
    pub fn keep(&self, now: Now) {
        self.series.note(now, || {
            let counts = self.snapshot();
            Sums {
                requests: counts.value(Counter::Requests),
                hits: counts.hits(),
                fetches: counts.value(Counter::FetchesStarted),
                failures: counts.value(Counter::FetchesFailed),
                bytes: counts.value(Counter::BytesSent),
            }
        });
    }

    /// Adds `n` in the shared block.
    pub fn add(&self, counter: Counter, n: u64) {
        self.shared.add(counter, n);
    }

    /// The sums over all blocks.
    pub fn snapshot(&self) -> Snapshot {
        let mut sums = Snapshot::default();
        for block in std::iter::once(&self.shared).chain(self.workers.iter()) {
            block.add_to(&mut sums);
        }
        sums
    }
}

/// One thread's counters. 128 bytes apart, because processors fetch cache lines in pairs.
#[repr(align(128))]
pub struct Block {
    counters: [AtomicU64; Counter::COUNT],
    cache: [AtomicU64; CacheResult::COUNT],
    responses: [AtomicU64; CLASSES],
    refused: [AtomicU64; REFUSALS.len() + 1],
    failures: [AtomicU64; PROXY_ERRORS],
}

impl Block {
    fn new() -> Block {
        Block {
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            cache: [const { AtomicU64::new(0) }; CacheResult::COUNT],
            responses: [const { AtomicU64::new(0) }; CLASSES],
            refused: [const { AtomicU64::new(0) }; REFUSALS.len() + 1],
            failures: [const { AtomicU64::new(0) }; PROXY_ERRORS],
        }
    }

    /// Counts `n` more.
    pub fn add(&self, counter: Counter, n: u64) {
        bump(&self.counters, counter as usize, n);
    }

    /// An exchange has ended: counts the request, its bytes, class, cache result, and whether it was cut.
    pub fn count(&self, record: &Record<'_>) {
        self.add(Counter::Requests, 1);
        self.add(Counter::BytesSent, record.bytes);
        bump(&self.cache, record.cache as usize, 1);
        bump(&self.responses, class(record.status), 1);
        if record.is_cut {
            self.add(Counter::AnswersCut, 1);
        }
    }

    /// A request was refused with `status` before it reached the cache (also counted by [`Block::count`]).
    pub fn refused(&self, status: u16) {
        let other = REFUSALS.len();
        bump(&self.refused, REFUSALS.iter().position(|&known| known == status).unwrap_or(other), 1);
    }

    /// A fetch failed.
    pub fn failed(&self, error: ProxyError) {
        bump(&self.failures, error as usize, 1);
    }

    fn add_to(&self, sums: &mut Snapshot) {
        sum(&mut sums.counters, &self.counters);
        sum(&mut sums.cache, &self.cache);
        sum(&mut sums.responses, &self.responses);
        sum(&mut sums.refused, &self.refused);
        sum(&mut sums.failures, &self.failures);
    }
}

/// What is counted besides the families by cache result, class, refusal and cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Exchanges ended.
    Requests,
    /// Body bytes given to sockets.
    BytesSent,
    /// Answers that ended before they were whole.
    AnswersCut,
    /// Connections accepted.
    ConnectionsAccepted,
    /// TLS handshakes finished.
    HandshakesDone,
    /// TLS handshakes that ended without a session.
    HandshakesFailed,
    /// Connections closed for being too slow.
    ConnectionsTimedOut,
    /// Fetches begun.
    FetchesStarted,
    /// Fetches that brought no response.
    FetchesFailed,
    /// Attempts that failed while their fetch came good at another address or server.
    AttemptsMadeGood,
    /// Fetches refused because a queue was full.
    QueueFull,
    /// Body bytes that origins sent.
    BytesFetched,
    /// Request bodies that went to a file.
    UploadsSpilled,
    /// Bodies, of requests or on their way to clients, whose temporary file could not be written.
    SpillFaults,
    /// Lines of the access log that were not written.
    LogLinesDropped,
    /// Writes, or reopenings, of the access log that the system refused.
    LogWritesFailed,
    /// Connections closed after as many requests as one may have.
    ConnectionsSpent,
    /// Connections closed because no request came.
    IdleClosed,
    /// TLS handshakes that took too long.
    SlowHandshakes,
    /// Request heads that took too long.
    SlowHeads,
    /// Request bodies that came too slowly.
    SlowUploads,
    /// Responses that were taken too slowly.
    SlowDownloads,
    /// Responses of which nothing was taken for too long.
    StalledDownloads,
    /// Requests refused for the length of their request line.
    LongLines,
    /// Requests refused for the bytes of their head.
    LargeHeads,
    /// Requests refused for the number of their fields.
    ManyFields,
    /// Requests refused for the bytes of their body.
    LargeBodies,
    /// Panics that were contained. Keep it last.
    Panics,
}

impl Counter {
    const COUNT: usize = Counter::Panics as usize + 1;
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    counters: [u64; Counter::COUNT],
    cache: [u64; CacheResult::COUNT],
    responses: [u64; CLASSES],
    refused: [u64; REFUSALS.len() + 1],
    failures: [u64; PROXY_ERRORS],
}

impl Snapshot {
    /// One counter.
    pub fn value(&self, counter: Counter) -> u64 {
        at(&self.counters, counter as usize)
    }

    /// Exchanges by what the cache did.
    pub fn cache(&self, result: CacheResult) -> u64 {
        at(&self.cache, result as usize)
    }

    /// Exchanges answered from the store without asking the origin: fresh or stale.
    pub fn hits(&self) -> u64 {
        self.cache(CacheResult::Hit).wrapping_add(self.cache(CacheResult::Stale))
    }

    /// Exchanges whose status was of the class of `status` (200 and 204: the same); 0 asks for those without one.
    pub fn responses(&self, status: u16) -> u64 {
        at(&self.responses, class(status))
    }

    /// Refusals by status; those of no status of [`REFUSALS`] come last, as 0.
    pub fn refusals(&self) -> impl Iterator<Item = (u16, u64)> {
        REFUSALS.into_iter().chain([0]).zip(self.refused)
    }

    /// Fetches that failed for this cause.
    pub fn failures(&self, error: ProxyError) -> u64 {
        at(&self.failures, error as usize)
    }
}

/// The statuses by which refusals are told apart.
const REFUSALS: [u16; 16] = [400, 403, 404, 405, 408, 411, 413, 414, 417, 421, 429, 431, 501, 503, 505, 508];

/// Types of RFC 9209 §2.3; `ProxyLoopDetected` is the last that `status` names.
const PROXY_ERRORS: usize = ProxyError::ProxyLoopDetected as usize + 1;

/// 1xx to 5xx, and all else at 0.
const CLASSES: usize = 6;

fn class(status: u16) -> usize {
    let hundreds = usize::from(status / 100);
    if hundreds < CLASSES { hundreds } else { 0 }
}

fn bump(counters: &[AtomicU64], index: usize, n: u64) {
    if let Some(counter) = counters.get(index) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

fn sum(sums: &mut [u64], counters: &[AtomicU64]) {
    for (sum, counter) in sums.iter_mut().zip(counters) {
        *sum = sum.wrapping_add(counter.load(Ordering::Relaxed));
    }
}

fn at(values: &[u64], index: usize) -> u64 {
    values.get(index).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::tests_line::plain;

    #[test]
    fn an_exchange_counts_in_every_family() {
        let metrics = Metrics::new(2);
        let record = Record { cache: CacheResult::Miss, status: 206, bytes: 7, is_cut: true, ..plain() };
        metrics.block(0).count(&record);
        metrics.block(1).count(&Record { status: 999, is_cut: false, ..record });
        let all = metrics.snapshot();
        assert_eq!((all.value(Counter::Requests), all.value(Counter::BytesSent)), (2, 14));
        assert_eq!((all.cache(CacheResult::Miss), all.cache(CacheResult::Hit)), (2, 0));
        assert_eq!((all.responses(200), all.responses(0), all.responses(500)), (1, 1, 0));
        assert_eq!(all.value(Counter::AnswersCut), 1);
    }

    #[test]
    fn refusals_and_failures_are_told_apart() {
        let metrics = Metrics::new(0);
        metrics.block(9).refused(431);
        metrics.block(9).refused(418);
        metrics.shared().failed(ProxyError::DnsTimeout);
        metrics.shared().failed(ProxyError::ProxyLoopDetected);
        metrics.add(Counter::Panics, 1);
        let all = metrics.snapshot();
        let counted: Vec<_> = all.refusals().filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, [(431, 1), (0, 1)]);
        assert_eq!(
            [ProxyError::ProxyLoopDetected, ProxyError::DnsTimeout, ProxyError::DnsError].map(|e| all.failures(e)),
            [1, 1, 0]
        );
        assert_eq!(all.value(Counter::Panics), 1);
    }

    #[test]
    fn cache_results_stand_in_their_own_order() {
        for (place, result) in CacheResult::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, place, "{}", result.token());
        }
    }

    #[test]
    fn workers_share_no_cache_line() {
        assert_eq!((align_of::<Block>(), size_of::<Block>() % 128), (128, 0));
    }
}
