//! What becomes of a request, and what is known of the way to the origins.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::Desk;
use super::super::control::{Asked, Unexplained};
use super::super::reply::time_text;
use super::{Answered, Reply, Request, Row};
use crate::observe::{FailureRow, FetchTimes};
use crate::store::StoredResponse;
use crate::time::Now;

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[
    Row::post("/api/v1/explain", explain),
    Row::get("/api/v1/failures", failures).with_query(&["site"]),
    Row::get("/api/v1/origins", origins),
    Row::get("/api/v1/certificates", certificates).later(certificates),
];

fn explain(desk: &Desk, request: &Request) -> Answered {
    let members = request.json(&["url", "method", "headers", "status", "response_headers"])?;
    members.choice_if("method", &["GET", "HEAD"])?;
    let lines = |name: &str| -> Result<Vec<String>, Reply> {
        Ok(members.pairs(name)?.into_iter().map(|(name, value)| format!("{name}: {value}")).collect())
    };
    let status = members.number_if("status")?.unwrap_or(200);
    let status = u16::try_from(status).ok().filter(|status| (200..600).contains(status));
    let asked = Asked {
        url: members.text("url")?.to_owned(),
        fields: lines("headers")?,
        response: lines("response_headers")?,
        status: status.ok_or_else(|| Reply::unfit("\"status\" must be a whole number from 200 to 599"))?,
    };
    let told = desk.control.explain(&asked).map_err(|error| match error {
        Unexplained::Malformed(text) => Reply::unfit(&text),
        Unexplained::NoSite(text) => Reply::missing(&text),
    })?;
    let first = |title: &str| told.lines.iter().find(|(known, _)| known.trim() == title).map(|(_, text)| text.as_str());
    let names = first("names").and_then(|text| text.split_once(" in ")).map(|(names, _)| names);
    let stored = match &told.key {
        Some(key) => desk.proxy()?.store().variants(key).first().map(|one| stored_json(one, request.now)),
        None => None,
    };
    Ok(Reply::json(&json!({
        "site": first("site").and_then(|text| text.split(' ').next()),
        "key": first("key"),
        "rules": told.rules(),
        "origin": first("origin").and_then(|text| text.split(',').next()),
        "host": first("Host"),
        "sni": first("SNI"),
        "accepted_names": names.map_or_else(Vec::new, |names| names.split(", ").collect()),
        "stored": stored,
        "lines": told.lines.iter().map(|(label, text)| json!({ "label": label.trim(), "value": text })).collect::<Vec<_>>(),
        "text": told.text,
    })))
}

/// The newest of what is stored.
fn stored_json(stored: &StoredResponse, now: Now) -> Value {
    let freshness = stored.freshness_at(now);
    json!({
        "status": stored.head.status(),
        "age_seconds": freshness.age(now),
        "lifetime_seconds": freshness.lifetime(),
        "fresh": freshness.is_fresh(now),
        "bytes": stored.body.length(),
        "varies": stored.variant.is_some(),
    })
}

fn failures(desk: &Desk, request: &Request) -> Answered {
    let proxy = desk.proxy()?;
    let rows = proxy.ledger().rows();
    let site = request.query("site");
    let rows = rows.iter().filter(|row| site.is_none_or(|site| row.site == site));
    Ok(Reply::json(&json!({ "items": rows.map(failure_json).collect::<Vec<_>>() })))
}

fn failure_json(row: &FailureRow) -> Value {
    let example = &row.example;
    json!({
        "site": row.site,
        "server": row.server,
        "address": row.address,
        "cause": row.cause,
        "phase": row.phase,
        "status": status_of(row.cause),
        "count": row.count,
        "made_good": row.made_good,
        "first": time_text(row.first),
        "last": time_text(row.last),
        "last_good": row.last_good.map(time_text),
        "ever_good": row.last_good.is_some(),
        "open": row.is_open(),
        "scope": scope(row),
        "failing_addresses": row.failing_addresses,
        "known_addresses": row.known_addresses,
        "times": times_json(&row.times),
        "example": {
            "time": time_text(example.when),
            "request_id": example.request,
            "sni": example.sni,
            "alert": example.alert,
            "rcode": example.rcode,
            "detail": example.detail,
            "response_head": (!example.head_start.is_empty()).then(|| example.head_start.escape_ascii().to_string()),
            "certificate_names": example.certificate_names,
        },
        "fix_hint": hint(row.cause),
    })
}

/// How far the failure reaches.
fn scope(row: &FailureRow) -> String {
    match (row.address, row.failing_addresses, row.known_addresses) {
        (None, _, _) if row.server.is_empty() => "no server".to_owned(),
        (None, _, _) => "the server as a whole".to_owned(),
        (_, _, 0 | 1) => "one address".to_owned(),
        (_, failing, known) if failing >= known => format!("all {known} addresses"),
        (_, failing, known) => format!("{failing} of {known} addresses"),
    }
}

/// Milliseconds of each phase that happened.
fn times_json(times: &FetchTimes) -> Value {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    times
        .phases()
        .map(|(phase, time)| (format!("{phase}_ms"), json!(millis(time))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn status_of(cause: &str) -> Option<u16> {
    crate::status::ProxyError::ALL.iter().find(|error| error.token() == cause).map(|error| error.status())
}

/// The first thing to look at; the doctor says which line mends it.
fn hint(cause: &str) -> &'static str {
    match cause {
        "dns_error" => "Look at the spelling of the server's name: it has no address.",
        "dns_timeout" => "The name servers do not answer: look at this machine's resolver.",
        "destination_not_found" => "Give the site an origin server.",
        "destination_unavailable" => "All addresses of the server are dead: look at the server, or add a backup.",
        "destination_ip_prohibited" => {
            "The server's name leads back to this machine's own listeners: give another server."
        }
        "destination_ip_unroutable" => "No route leads there: look at the network, or at the address.",
        "connection_refused" => {
            "Nothing listens on that port: look at the port in servers, and at http_port and https_port."
        }
        "connection_timeout" => "Nobody answers there: a firewall, or the wrong address or port.",
        "connection_terminated" => {
            "The server closes the connection: often plain HTTP is spoken to a TLS port; see protocol."
        }
        "tls_protocol_error" => "No TLS comes back: often HTTPS is spoken to a plain HTTP port; see protocol.",
        "tls_certificate_error" => {
            "The certificate is not accepted: run the doctor; it says whether sni, common_name_whitelist, trust or the \
             certificate itself must change."
        }
        "tls_alert_received" => {
            "The server refuses the handshake: most often it does not know the SNI; run the doctor."
        }
        "connection_limit_reached" => "Too many fetches at once: the origin is slow, or max_fetches is low.",
        "http_response_timeout" | "connection_read_timeout" => {
            "The server takes the request and stays silent: look at its load, or raise the time-out."
        }
        "proxy_loop_detected" => "The origin leads back to this CDN: give the real origin server.",
        _ => "Run the doctor for the site: it walks the same steps and says which one breaks.",
    }
}

fn origins(desk: &Desk, request: &Request) -> Answered {
    let proxy = desk.proxy()?;
    let origins = proxy.origins();
    let now = request.now.wall;
    let before = |age: Duration| time_text(now.saturating_sub(age));
    let names = origins.names().into_iter().map(|name| {
        json!({
            "name": name.name,
            "addresses": name.addresses,
            "found": name.age.map(before),
            "failure": name.failure.map(|(what, _)| what),
            "failed": name.failure.map(|(_, age)| before(age)),
        })
    });
    let addresses = origins.health().into_iter().map(|address| {
        json!({
            "address": address.address,
            "state": if address.dead_for.is_some() { "dead" } else { "suspect" },
            "since": address.dead_for.map(before),
            "failures": address.failures,
            "failure": address.failure,
            "probed": address.probed.map(before),
        })
    });
    let checks = origins.checks().into_iter().map(|check| {
        json!({
            "site": check.site,
            "address": check.address,
            "state": if check.is_failing { "failing" } else { "good" },
            "failure": (!check.failure.is_empty()).then_some(check.failure),
            "since": check.since.map(before),
        })
    });
    let (names, addresses): (Vec<_>, Vec<_>) = (names.collect(), addresses.collect());
    Ok(Reply::json(&json!({ "names": names, "addresses": addresses, "checks": checks.collect::<Vec<_>>() })))
}

fn certificates(desk: &Desk, _: &Request) -> Answered {
    let items = desk.control.certificates().into_iter().map(|row| {
        json!({
            "side": row.side,
            "site": row.site,
            "server": row.server,
            "sni": row.sni,
            "names": row.names,
            "issuer": row.issuer,
            "not_before": row.not_before.map(date_text),
            "not_after": row.not_after.map(date_text),
            "days_left": row.days_left,
            "state": row.state,
            "fingerprint": row.fingerprint,
            "refusal": row.refusal,
        })
    });
    Ok(Reply::json(&json!({ "items": items.collect::<Vec<_>>() })))
}

fn date_text(unix: i64) -> String {
    time_text(Duration::from_secs(u64::try_from(unix).unwrap_or(0)))
}
