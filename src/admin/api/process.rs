//! The program itself: is it there, is it ready, which version.

use serde_json::json;

use super::super::Desk;
use super::super::reply::time_text;
use super::openapi::document;
use super::{Answered, Reply, Request, Row};

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[
    Row::get("/healthz", |_, _| Ok(Reply::text(200, "ok\n"))).open(),
    Row::get("/readyz", ready).open(),
    Row::get("/api/v1/version", version).later(version),
    Row::get("/api/v1/openapi.json", document).open(),
];

fn ready(desk: &Desk, _: &Request) -> Answered {
    if desk.control.is_ready() { Ok(Reply::text(200, "ready\n")) } else { Err(Reply::text(503, "stopping\n")) }
}

fn version(desk: &Desk, request: &Request) -> Answered {
    let file = desk.control.config_file();
    let uptime = request.now.monotonic.saturating_sub(desk.started.monotonic);
    Ok(Reply::json(&json!({
        "name": "millpond",
        "version": env!("CARGO_PKG_VERSION"),
        "started": time_text(desk.started.wall),
        "uptime_seconds": uptime.as_secs(),
        "config_file": file.as_ref().map(|(path, _)| path.display().to_string()),
        "writable": file.is_some_and(|(_, is_writable)| is_writable),
    })))
}
