//! The numbers of the console's first page.

use serde_json::{Value, json};

use super::super::Desk;
use super::super::reply::time_text;
use super::{Answered, Reply, Request, Row};
use crate::observe::{Counter, Counts, STEP, Snapshot, Sums};
use crate::proxy::Proxy;
use crate::status::ProxyError;

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[Row::get("/api/v1/stats", overview)];

fn overview(desk: &Desk, request: &Request) -> Answered {
    let proxy = desk.proxy()?;
    let (counts, live) = (proxy.metrics().snapshot(), proxy.live());
    let (store, fetchers) = (proxy.store().stats(), proxy.fetchers());
    let clients = desk.control.clients();
    let requests = counts.value(Counter::Requests);
    let uptime = request.now.monotonic.saturating_sub(desk.started.monotonic);
    Ok(Reply::json(&json!({
        "at": time_text(request.now.wall),
        "uptime_seconds": uptime.as_secs(),
        "requests": requests,
        "hits": counts.hits(),
        "hit_ratio": ratio(counts.hits(), requests),
        "bytes_sent": counts.value(Counter::BytesSent),
        "bytes_from_origin": counts.value(Counter::BytesFetched),
        "fetches": counts.value(Counter::FetchesStarted),
        "fetch_failures": counts.value(Counter::FetchesFailed),
        "failures_by_cause": causes(&counts),
        "responses": classes(&counts),
        "connections": {
            "open": clients.connections(),
            "idle": proxy.idle_origin_connections(),
            "accept_errors": clients.accept_errors(),
        },
        "fetch_pool": {
            "running": fetchers.running,
            "queued": fetchers.queued,
            "limit": live.config.workers.fetchers,
        },
        "stored": store.responses,
        "stored_bytes": store.bytes,
        "budget": store.limit,
        "evictions": store.evictions,
        "by_site": by_site(&proxy, &proxy.metrics().totals().counts()),
        "series": series(&proxy),
    })))
}

/// Of all, 0 to 1; 0 where there are none.
fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

fn causes(counts: &Snapshot) -> Vec<Value> {
    let causes = ProxyError::ALL.iter().map(|error| (error.token(), counts.failures(*error)));
    let mut causes: Vec<_> = causes.filter(|(_, count)| *count > 0).collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    causes.into_iter().map(|(cause, count)| json!({ "cause": cause, "count": count })).collect()
}

fn classes(counts: &Snapshot) -> Value {
    let class = |status| counts.responses(status);
    json!({ "1xx": class(100), "2xx": class(200), "3xx": class(300), "4xx": class(400), "5xx": class(500) })
}

fn by_site(proxy: &Proxy, counts: &Counts) -> Vec<Value> {
    let live = proxy.live();
    let row = |(name, number): (&String, usize)| {
        let of_site = counts.sites.get(number).copied().unwrap_or_default();
        json!({
            "site": name,
            "requests": of_site.all(),
            "hits": of_site.hits(),
            "bytes_sent": of_site.bytes,
            "fetches": of_site.fetches,
            "failures": of_site.failures,
        })
    };
    live.config.sites.iter().map(|site| row((&site.name, site.number))).collect()
}

fn series(proxy: &Proxy) -> Value {
    let steps = proxy.metrics().series().steps();
    let times: Vec<_> = steps.iter().map(|step| time_text(step.at)).collect();
    let line = |value: fn(&Sums) -> u64| -> Vec<u64> { steps.iter().map(|step| value(&step.counts)).collect() };
    json!({
        "step_seconds": STEP.as_secs(),
        "times": times,
        "requests": line(|sums| sums.requests),
        "hits": line(|sums| sums.hits),
        "fetches": line(|sums| sums.fetches),
        "failures": line(|sums| sums.failures),
        "bytes": line(|sums| sums.bytes),
    })
}
