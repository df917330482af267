//! `/metrics`: the numbers in Prometheus's text format: names, units and help in one place.
//!
//! Durations are seconds, sizes bytes, everything that only grows ends in `_total`. Labels are few: sites and causes come
//! from closed lists.

use std::fmt::Write;

use super::Desk;
use super::api::{Answered, Row};
use super::reply::Reply;
use super::request::Request;
use crate::observe::{BOUNDS, CacheResult, Counter, Counts, Histogram, PHASES, SiteCounts, Snapshot};
use crate::pool;
use crate::status::ProxyError;
use crate::store;

/// The endpoint.
pub static ROWS: &[Row] = &[Row::get("/metrics", page)];

fn page(desk: &Desk, request: &Request) -> Answered {
    let proxy = desk.proxy()?;
    let live = proxy.live();
    let sources = Sources {
        counters: proxy.metrics().snapshot(),
        counts: proxy.metrics().totals().counts(),
        sites: live.config.sites.iter().map(|site| (site.name.as_str(), site.number)).collect(),
        store: proxy.store().stats(),
        fetchers: proxy.fetchers(),
        idle_origin_connections: proxy.idle_origin_connections(),
        accept_errors: desk.control.connections().1,
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
    /// The fetchers.
    fetchers: pool::Stats,
    /// Idle connections to origins.
    idle_origin_connections: usize,
    /// Times that the system refused to accept a connection.
    accept_errors: u64,
    /// Since the start.
    uptime: std::time::Duration,
}

impl Sources<'_> {
    /// The page.
    fn render(&self) -> String {
        let mut page = Page(String::with_capacity(16 << 10));
        page.gauge("millpond_build_info", "Always 1; the version is a label.");
        page.sample("millpond_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.gauge("millpond_uptime_seconds", "Seconds since the start.");
        page.sample("millpond_uptime_seconds", &[], self.uptime.as_secs());
        self.requests(&mut page);
        self.connections(&mut page);
        self.fetches(&mut page);
        self.stored(&mut page);
        self.durations(&mut page);
        page.0
    }

    fn requests(&self, page: &mut Page) {
        page.counter("millpond_requests_total", "Exchanges ended, by site and by what the cache did.");
        for (name, counts) in self.by_site() {
            for result in RESULTS {
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
        self.plain(page, "millpond_panics_total", Counter::Panics, "Panics that were contained.");
        self.plain(
            page,
            "millpond_uploads_spilled_total",
            Counter::UploadsSpilled,
            "Request bodies that went to a file.",
        );
        self.plain(page, "millpond_log_lines_dropped_total", Counter::LogLinesDropped, "Access log lines not written.");
        self.plain(page, "millpond_log_write_errors_total", Counter::LogWritesFailed, "Access log writes refused.");
    }

    /// The sites in force with their counts.
    fn by_site(&self) -> impl Iterator<Item = (&str, &SiteCounts)> {
        self.sites.iter().filter_map(|(name, number)| Some((*name, self.counts.sites.get(*number)?)))
    }

    fn connections(&self, page: &mut Page) {
        page.gauge("millpond_connections", "Client connections open.");
        page.sample("millpond_connections", &[], self.counters.value(Counter::ConnectionsOpen));
        self.plain(page, "millpond_connections_total", Counter::ConnectionsAccepted, "Client connections accepted.");
        self.plain(
            page,
            "millpond_connections_timed_out_total",
            Counter::ConnectionsTimedOut,
            "Closed for being slow.",
        );
        page.counter("millpond_tls_handshakes_total", "TLS handshakes with clients, by how they ended.");
        for (result, counter) in [("done", Counter::HandshakesDone), ("failed", Counter::HandshakesFailed)] {
            page.sample("millpond_tls_handshakes_total", &[("result", result)], self.counters.value(counter));
        }
        page.counter("millpond_accept_errors_total", "Times that the system refused to accept a connection.");
        page.sample("millpond_accept_errors_total", &[], self.accept_errors);
    }

    fn fetches(&self, page: &mut Page) {
        self.plain(page, "millpond_fetches_total", Counter::FetchesStarted, "Origin fetches begun.");
        page.counter("millpond_fetch_failures_total", "Origin fetches and bodies that failed, by type of RFC 9209.");
        for error in ProxyError::ALL {
            let count = self.counters.failures(error);
            page.sample("millpond_fetch_failures_total", &[("cause", error.token())], count);
        }
        self.plain(
            page,
            "millpond_fetches_refused_total",
            Counter::QueueFull,
            "Fetches refused because a queue was full.",
        );
        page.gauge("millpond_fetches", "Fetches now, by whether they run or wait for a fetcher.");
        for (state, count) in [("running", self.fetchers.running), ("queued", self.fetchers.queued)] {
            page.sample("millpond_fetches", &[("state", state)], count);
        }
        page.gauge("millpond_origin_connections_idle", "Connections to origins that wait for their next request.");
        page.sample("millpond_origin_connections_idle", &[], self.idle_origin_connections);
    }

    fn stored(&self, page: &mut Page) {
        let rows = [
            ("millpond_stored_responses", "Responses stored.", self.store.responses),
            ("millpond_stored_keys", "Keys that have a response stored.", self.store.keys),
            ("millpond_stored_bytes", "Bytes of the budget that are taken.", self.store.bytes),
            ("millpond_store_limit_bytes", "The budget for stored responses.", self.store.limit),
            ("millpond_memory_files", "Memory files open.", self.store.files),
        ];
        for (name, help, value) in rows {
            page.gauge(name, help);
            page.sample(name, &[], value);
        }
        page.counter("millpond_evictions_total", "Responses that left the store for room.");
        page.sample("millpond_evictions_total", &[], self.store.evictions);
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

/// Writing to a `String` cannot fail, so results are dropped.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn counter(&mut self, name: &str, help: &str) {
        self.head(name, help, "counter");
    }

    fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, help, "gauge");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let mut count = 0_u64;
        for (bound, more) in BOUNDS.iter().map(Some).chain([None]).zip(histogram.buckets) {
            count = count.saturating_add(more);
            let bound = bound.map_or("+Inf".to_owned(), |micros| seconds(*micros));
            self.sample(&format!("{name}_bucket"), &[label, ("le", &bound)], count);
        }
        self.sample(&format!("{name}_sum"), &[label], seconds(histogram.micros));
        self.sample(&format!("{name}_count"), &[label], count);
    }
}

/// `0.00025`
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const RESULTS: [CacheResult; CacheResult::COUNT] = [
    CacheResult::Hit,
    CacheResult::Miss,
    CacheResult::Pass,
    CacheResult::Stale,
    CacheResult::Revalidated,
    CacheResult::Collapsed,
    CacheResult::Error,
    CacheResult::Local,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_below_their_help_with_escaped_labels() {
        let mut page = Page(String::new());
        page.counter("a_total", "Help.");
        page.sample("a_total", &[("site", "x\"\\\n"), ("b", "c")], 7);
        page.sample("a_total", &[], 8);
        assert_eq!(
            page.0,
            "# HELP a_total Help.\n# TYPE a_total counter\na_total{site=\"x\\\"\\\\\\n\",b=\"c\"} 7\na_total 8\n"
        );
    }

    #[test]
    fn a_histogram_adds_up_and_ends_at_infinity() {
        let mut histogram = Histogram::default();
        for micros in [60, 60, 90_000_000] {
            histogram.add(std::time::Duration::from_micros(micros));
        }
        let mut page = Page(String::new());
        page.histogram("d_seconds", ("from", "store"), &histogram);
        for line in [
            "d_seconds_bucket{from=\"store\",le=\"0.00005\"} 0\n",
            "d_seconds_bucket{from=\"store\",le=\"0.0001\"} 2\n",
            "d_seconds_bucket{from=\"store\",le=\"60\"} 2\n",
            "d_seconds_bucket{from=\"store\",le=\"+Inf\"} 3\n",
            "d_seconds_sum{from=\"store\"} 90.00012\n",
            "d_seconds_count{from=\"store\"} 3\n",
        ] {
            assert!(page.0.contains(line), "{line}{}", page.0);
        }
    }
}
