//! What an edge has done and holds, in plain numbers for whoever embeds it.

use crate::observe::{CacheResult, Counter, Snapshot};
use crate::pool::Stats as PoolStats;
use crate::status::ProxyError;
use crate::store::Stats as StoreStats;

/// Counts since the start, and what is held now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Exchanges ended.
    pub requests: u64,
    /// Answers from the store, fresh ones.
    pub hits: u64,
    /// Body bytes given to clients.
    pub bytes_sent: u64,
    /// Answers by class of their status: 1xx to 5xx.
    pub responses: [u64; 5],
    /// Requests refused before they were one (malformed, too large, too slow), by status; only those that happened.
    pub refusals: Vec<(u16, u64)>,
    /// Fetches begun.
    pub fetches: u64,
    /// Fetches that brought no response.
    pub failures: u64,
    /// Failed fetches and cut bodies by their type of RFC 9209; only those that happened.
    pub failures_by_cause: Vec<(&'static str, u64)>,
    /// Failed attempts that another address or server made good within the same fetch: no client saw them.
    pub made_good: u64,
    /// Addresses of origins that are dead now.
    pub dead_addresses: usize,
    /// Fetches under way, and waiting for a fetcher.
    pub fetching: (usize, usize),
    /// Idle connections to origins.
    pub idle_origin_connections: usize,
    /// Client connections open.
    pub connections: usize,
    /// Times that the system refused to accept a connection.
    pub accept_errors: u64,
    /// What the limits towards clients have come to.
    pub limited: Limited,
    /// Responses stored.
    pub stored: u64,
    /// Bytes that they, and what is being filled, take of the budget.
    pub stored_bytes: u64,
    /// Responses that left the store for room.
    pub evictions: u64,
    /// Panics that were contained.
    pub panics: u64,
    /// Lines of the access log that were not written.
    pub log_drops: u64,
}

/// How often each limit towards clients has been met. What was answered is in [`Stats::refusals`] too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    /// Pauses in accepting, with as many connections as there may be (`connections`).
    pub accept_pauses: u64,
    /// Connections closed at once, their address having as many as it may have (`connections_per_address`).
    pub per_address: u64,
    /// Connections closed after their last request (`requests_per_connection`).
    pub spent: u64,
    /// Requests refused for the length of their request line, with 414 (`request_line`).
    pub lines: u64,
    /// Requests refused for the bytes of their head, with 431 (`request_head`).
    pub large_heads: u64,
    /// Requests refused for the number of their fields, with 431 (`request_fields`).
    pub fields: u64,
    /// Requests refused for the bytes of their body, with 413 (`request_body`).
    pub bodies: u64,
    /// Connections closed because no request came (`idle_timeout`).
    pub idle: u64,
    /// TLS handshakes that took too long (`handshake_timeout`).
    pub handshakes: u64,
    /// Request heads that took too long, and new connections without one (`head_timeout`).
    pub heads: u64,
    /// Request bodies that came too slowly (`upload_rate`).
    pub uploads: u64,
    /// Responses of which nothing was taken for too long (`write_stall`).
    pub stalls: u64,
    /// Responses that were taken too slowly (`download_rate`).
    pub downloads: u64,
}

impl Limited {
    /// From the counters, and from what the server has counted itself.
    pub(super) fn of(counts: &Snapshot, (accept_pauses, per_address): (u64, u64)) -> Limited {
        Limited {
            accept_pauses,
            per_address,
            spent: counts.value(Counter::ConnectionsSpent),
            lines: counts.value(Counter::LongLines),
            large_heads: counts.value(Counter::LargeHeads),
            fields: counts.value(Counter::ManyFields),
            bodies: counts.value(Counter::LargeBodies),
            idle: counts.value(Counter::IdleClosed),
            handshakes: counts.value(Counter::SlowHandshakes),
            heads: counts.value(Counter::SlowHeads),
            uploads: counts.value(Counter::SlowUploads),
            stalls: counts.value(Counter::StalledDownloads),
            downloads: counts.value(Counter::SlowDownloads),
        }
    }
}

impl Stats {
    /// From what each part counts.
    pub(super) fn of(counts: &Snapshot, store: &StoreStats, pool: &PoolStats) -> Stats {
        let causes = ProxyError::ALL.iter().map(|error| (error.token(), counts.failures(*error)));
        Stats {
            requests: counts.value(Counter::Requests),
            hits: counts.cache(CacheResult::Hit),
            bytes_sent: counts.value(Counter::BytesSent),
            responses: [100, 200, 300, 400, 500].map(|status| counts.responses(status)),
            refusals: counts.refusals().filter(|(_, count)| *count > 0).collect(),
            fetches: counts.value(Counter::FetchesStarted),
            failures: counts.value(Counter::FetchesFailed),
            failures_by_cause: causes.filter(|(_, count)| *count > 0).collect(),
            made_good: counts.value(Counter::AttemptsMadeGood),
            fetching: (pool.running, pool.queued),
            stored: store.responses,
            stored_bytes: store.bytes,
            evictions: store.evictions,
            panics: counts.value(Counter::Panics).saturating_add(pool.panics),
            log_drops: counts.value(Counter::LogLinesDropped),
            ..Stats::default()
        }
    }
}
