//! `/metrics`: the numbers in Prometheus's text format: names, units and help in one place.
//!
//! Durations are seconds, sizes bytes, everything that only grows ends in `_total`. Labels are few: sites and causes come
//! from closed lists.

use std::collections::BTreeMap;

use super::Desk;
use super::api::{Answered, Row};
use super::control::CertificateRow;
use super::prometheus::Page;
use super::reply::Reply;
use super::request::Request;
use crate::observe::{CacheResult, Counter, Counts, PHASES, SiteCounts, Snapshot};
use crate::pool;
use crate::proxy::Proxy;
use crate::server::{self, ConnectionState};
use crate::status::ProxyError;
use crate::store;
use crate::task::{TaskState, Tasks};

/// The endpoint.
pub static ROWS: &[Row] = &[Row::get("/metrics", page).later(page)];

fn page(desk: &Desk, request: &Request) -> Answered {
    let proxy = desk.proxy()?;
    let live = proxy.live();
    let sources = Sources {
        counters: proxy.metrics().snapshot(),
        counts: proxy.metrics().totals().counts(),
        sites: live.config.sites.iter().map(|site| (site.name.as_str(), site.number)).collect(),
        store: proxy.store().stats(),
        shards: proxy.store().shards(),
        fetchers: proxy.fetchers(),
        most_fetchers: live.config.workers.fetchers,
        origins: Origins::of(&proxy),
        clients: desk.control.clients(),
        most_connections: live.config.limits.connections,
        certificates: desk.control.certificates(),
        tasks: desk.control.tasks().map(|tasks| TaskCounts::of(&tasks)).unwrap_or_default(),
        uptime: request.now.monotonic.saturating_sub(desk.started.monotonic),
    };
    Ok(Reply::of(200, "text/plain; version=0.0.4; charset=utf-8", sources.render().into_bytes()))
}

/// All that is shown, gathered at one moment.
struct Sources<'a> {
    /// What workers and fetchers count.
    counters: Snapshot,
    /// By site, and durations.
    counts: Counts,
    /// Names of the sites, and their numbers.
    sites: Vec<(&'a str, usize)>,
    /// The store.
    store: store::Stats,
    /// Keys and bytes by shard.
    shards: Vec<(usize, u64)>,
    /// The fetchers.
    fetchers: pool::Stats,
    /// Fetchers at most.
    most_fetchers: usize,
    /// The way out.
    origins: Origins,
    /// The server towards clients.
    clients: &'a server::Counts,
    /// Client connections at most.
    most_connections: usize,
    /// Certificates that we show, and that origins have shown.
    certificates: Vec<CertificateRow>,
    /// Prefetch tasks.
    tasks: TaskCounts,
    /// Since the start.
    uptime: std::time::Duration,
}

/// The way out, in numbers.
struct Origins {
    idle: usize,
    dead: usize,
    suspect: usize,
    failing_checks: usize,
}

impl Origins {
    fn of(proxy: &Proxy) -> Origins {
        let addresses = proxy.origins().health();
        let dead = addresses.iter().filter(|address| address.dead_for.is_some()).count();
        Origins {
            idle: proxy.idle_origin_connections(),
            dead,
            suspect: addresses.len() - dead,
            failing_checks: proxy.origins().checks().iter().filter(|check| check.is_failing).count(),
        }
    }
}

/// Prefetch tasks, in numbers.
#[derive(Default)]
struct TaskCounts {
    states: Vec<(&'static str, usize)>,
    done: usize,
    failed: usize,
    left: usize,
}

impl TaskCounts {
    fn of(tasks: &Tasks) -> TaskCounts {
        let mut counts =
            TaskCounts { states: TaskState::ALL.map(|state| (state.token(), 0)).into(), ..TaskCounts::default() };
        for task in tasks.list(None, MOST_TASKS, None).items {
            counts
                .states
                .iter_mut()
                .filter(|(token, _)| *token == task.state.token())
                .for_each(|(_, count)| *count += 1);
            counts.done += task.done.saturating_sub(task.failed);
            counts.failed += task.failed;
            // What was cancelled is not left to be done.
            counts.left += if task.ended.is_none() { task.total.saturating_sub(task.done) } else { 0 };
        }
        counts
    }
}

impl Sources<'_> {
    /// The page.
    fn render(&self) -> String {
        let mut page = Page::new();
        page.gauge("millpond_build_info", "Always 1; the version is a label.");
        page.sample("millpond_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.gauge("millpond_uptime_seconds", "Seconds since the start.");
        page.sample("millpond_uptime_seconds", &[], self.uptime.as_secs());
        self.requests(&mut page);
        self.connections(&mut page);
        self.fetches(&mut page);
        self.stored(&mut page);
        self.durations(&mut page);
        self.tasks(&mut page);
        page.into_text()
    }

    fn requests(&self, page: &mut Page) {
        page.counter("millpond_requests_total", "Exchanges ended, by site and by what the cache did.");
        for (name, counts) in self.by_site() {
            for result in CacheResult::ALL {
                let count = counts.requests.get(result as usize).copied().unwrap_or(0);
                page.sample("millpond_requests_total", &[("site", name), ("cache", result.token())], count);
            }
        }
        page.counter("millpond_sent_bytes_total", "Body bytes given to clients, by site.");
        for (name, counts) in self.by_site() {
            page.sample("millpond_sent_bytes_total", &[("site", name)], counts.bytes);
        }
        page.counter("millpond_saved_bytes_total", "Body bytes that clients got from the store, by site.");
        for (name, counts) in self.by_site() {
            page.sample("millpond_saved_bytes_total", &[("site", name)], counts.bytes_from_store);
        }
        page.counter("millpond_responses_total", "Answers by class of their status.");
        for (class, status) in [("1xx", 100), ("2xx", 200), ("3xx", 300), ("4xx", 400), ("5xx", 500)] {
            page.sample("millpond_responses_total", &[("class", class)], self.counters.responses(status));
        }
        page.counter(
            "millpond_refusals_total",
            "Requests refused before the cache was asked, by status; 0 is any other.",
        );
        for (status, count) in self.counters.refusals() {
            page.sample("millpond_refusals_total", &[("status", &status.to_string())], count);
        }
        self.plain(
            page,
            "millpond_answers_cut_total",
            Counter::AnswersCut,
            "Answers that ended before they were whole.",
        );
        page.counter("millpond_panics_total", "Panics that were contained, of workers and of fetchers.");
        let panics = self.counters.value(Counter::Panics).saturating_add(self.fetchers.panics);
        page.sample("millpond_panics_total", &[], panics);
        self.plain(
            page,
            "millpond_uploads_spilled_total",
            Counter::UploadsSpilled,
            "Request bodies that went to a file.",
        );
        self.plain(
            page,
            "millpond_spill_errors_total",
            Counter::SpillFaults,
            "Bodies whose temporary file failed; responses go on at their slowest client's pace, requests are refused.",
        );
        self.plain(page, "millpond_log_lines_dropped_total", Counter::LogLinesDropped, "Access log lines not written.");
        self.plain(page, "millpond_log_write_errors_total", Counter::LogWritesFailed, "Access log writes refused.");
    }

    /// The sites in force with their counts.
    fn by_site(&self) -> impl Iterator<Item = (&str, &SiteCounts)> {
        self.sites.iter().filter_map(|(name, number)| Some((*name, self.counts.sites.get(*number)?)))
    }

    fn connections(&self, page: &mut Page) {
        let name = "millpond_connections";
        page.gauge(
            name,
            "Connections by side and state: of clients all, by what they are at; to origins those that wait.",
        );
        for (state, count) in ConnectionState::ALL.iter().zip(self.clients.by_state()) {
            page.sample(name, &[("side", "client"), ("state", state.token())], count);
        }
        page.sample(name, &[("side", "origin"), ("state", "idle")], self.origins.idle);
        page.gauge("millpond_connections_limit", "Client connections at most.");
        page.sample("millpond_connections_limit", &[], self.most_connections);
        self.client_limits(page);
        self.plain(
            page,
            "millpond_connections_accepted_total",
            Counter::ConnectionsAccepted,
            "Client connections accepted.",
        );
        self.plain(
            page,
            "millpond_connections_timed_out_total",
            Counter::ConnectionsTimedOut,
            "Client connections closed for being slow.",
        );
        page.counter("millpond_tls_handshakes_total", "TLS handshakes with clients, by how they ended.");
        for (result, counter) in [("done", Counter::HandshakesDone), ("failed", Counter::HandshakesFailed)] {
            page.sample("millpond_tls_handshakes_total", &[("result", result)], self.counters.value(counter));
        }
        page.counter("millpond_accept_errors_total", "Times that the system refused to accept a connection.");
        page.sample("millpond_accept_errors_total", &[], self.clients.accept_errors());
        self.certificates(page);
    }

    fn certificates(&self, page: &mut Page) {
        let name = "millpond_certificate_expiry_timestamp_seconds";
        page.gauge(name, "When a certificate ends, in seconds since the epoch, by who shows it.");
        // Of several that one server shows, the one that ends first.
        let mut ends = BTreeMap::new();
        for row in &self.certificates {
            let Some(end) = row.not_after else { continue };
            let place = ends.entry((row.side, &row.site, row.server.as_deref().unwrap_or_default())).or_insert(end);
            *place = end.min(*place);
        }
        for ((side, site, server), end) in ends {
            page.sample(name, &[("side", side), ("site", site), ("server", server)], end);
        }
    }

    /// What the limits towards clients have come to; those within a request are refusals.
    fn client_limits(&self, page: &mut Page) {
        let name = "millpond_limits_met_total";
        page.counter(
            name,
            "Times that a limit towards clients was met, by the setting: accepting paused, or a connection closed.",
        );
        let (pauses, per_address) = self.clients.limited();
        let counted = |counter| self.counters.value(counter);
        for (limit, count) in [
            ("connections", pauses),
            ("connections_per_address", per_address),
            ("requests_per_connection", counted(Counter::ConnectionsSpent)),
            ("handshake_timeout", counted(Counter::SlowHandshakes)),
            ("head_timeout", counted(Counter::SlowHeads)),
            ("idle_timeout", counted(Counter::IdleClosed)),
            ("upload_rate", counted(Counter::SlowUploads)),
            ("download_rate", counted(Counter::SlowDownloads)),
        ] {
            page.sample(name, &[("limit", limit)], count);
        }
    }

    fn fetches(&self, page: &mut Page) {
        page.counter("millpond_fetches_total", "Origin fetches begun, by site.");
        self.by_site()
            .for_each(|(name, counts)| page.sample("millpond_fetches_total", &[("site", name)], counts.fetches));
        page.counter("millpond_fetches_failed_total", "Origin fetches that brought no response, by site.");
        let failed = |(name, counts): (&str, &SiteCounts)| {
            page.sample("millpond_fetches_failed_total", &[("site", name)], counts.failures);
        };
        self.by_site().for_each(failed);
        page.counter("millpond_fetch_failures_total", "Origin fetches and bodies that failed, by type of RFC 9209.");
        for error in ProxyError::ALL {
            let count = self.counters.failures(error);
            page.sample("millpond_fetch_failures_total", &[("cause", error.token())], count);
        }
        self.plain(page, "millpond_fetched_bytes_total", Counter::BytesFetched, "Body bytes that origins sent.");
        self.plain(
            page,
            "millpond_fetches_refused_total",
            Counter::QueueFull,
            "Fetches refused because a queue was full.",
        );
        page.gauge("millpond_fetch_pool", "Fetchers that work, and fetches that wait for one.");
        for (state, count) in [("running", self.fetchers.running), ("queued", self.fetchers.queued)] {
            page.sample("millpond_fetch_pool", &[("state", state)], count);
        }
        page.gauge("millpond_fetch_pool_limit", "Fetchers at most.");
        page.sample("millpond_fetch_pool_limit", &[], self.most_fetchers);
        page.gauge("millpond_origin_addresses", "Addresses of origins that are not well, by what is thought of them.");
        let states = [
            ("dead", self.origins.dead),
            ("suspect", self.origins.suspect),
            ("check_failing", self.origins.failing_checks),
        ];
        for (state, count) in states {
            page.sample("millpond_origin_addresses", &[("state", state)], count);
        }
    }

    fn stored(&self, page: &mut Page) {
        let rows = [
            ("millpond_stored_responses", "Responses stored.", self.store.responses),
            ("millpond_stored_bytes", "Bytes of the budget that are taken.", self.store.bytes),
            ("millpond_store_limit_bytes", "The budget for stored responses.", self.store.limit),
            ("millpond_memory_files", "Memory files open.", self.store.files),
        ];
        for (name, help, value) in rows {
            page.gauge(name, help);
            page.sample(name, &[], value);
        }
        page.gauge("millpond_stored_keys", "Keys that have a response stored, by shard.");
        for (shard, (keys, _)) in self.shards.iter().enumerate() {
            page.sample("millpond_stored_keys", &[("shard", &shard.to_string())], keys);
        }
        let name = "millpond_stored_shard_bytes";
        page.gauge(name, "Bytes of the budget that are taken, by shard; a fill belongs to none before it is stored.");
        for (shard, (_, bytes)) in self.shards.iter().enumerate() {
            page.sample(name, &[("shard", &shard.to_string())], bytes);
        }
        page.counter("millpond_evictions_total", "Responses that left the store for room.");
        page.sample("millpond_evictions_total", &[], self.store.evictions);
    }

    fn tasks(&self, page: &mut Page) {
        page.gauge("millpond_tasks", "Tasks known, by how they stand.");
        for (state, count) in &self.tasks.states {
            page.sample("millpond_tasks", &[("state", state)], count);
        }
        page.gauge("millpond_task_urls", "Addresses of the tasks known: done well, failed, left to do.");
        for (state, count) in [("done", self.tasks.done), ("failed", self.tasks.failed), ("left", self.tasks.left)] {
            page.sample("millpond_task_urls", &[("state", state)], count);
        }
    }

    fn durations(&self, page: &mut Page) {
        let name = "millpond_request_duration_seconds";
        page.head(
            name,
            "From the first byte of a request to the last of its answer, by where it came from.",
            "histogram",
        );
        page.histogram(name, ("from", "store"), &self.counts.hit);
        page.histogram(name, ("from", "origin"), &self.counts.miss);
        let name = "millpond_fetch_phase_seconds";
        page.head(name, "How long each phase of a fetch took.", "histogram");
        for (phase, histogram) in PHASES.iter().zip(&self.counts.phases) {
            page.histogram(name, ("phase", phase), histogram);
        }
    }

    fn plain(&self, page: &mut Page, name: &str, counter: Counter, help: &str) {
        page.counter(name, help);
        page.sample(name, &[], self.counters.value(counter));
    }
}

/// Tasks whose addresses are counted: more than are ever kept.
const MOST_TASKS: usize = 10_000;
