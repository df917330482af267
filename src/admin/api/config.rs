//! The configuration file as a whole: its text, its earlier versions, and the doctor's remedies written into it.

use serde_json::{Value, json};

use super::super::Desk;
use super::super::reply::time_text;
use super::change::{MANNERS, Manner, make, matched, settings, snapshot};
use super::{Answered, Reply, Request, Row};
use crate::config::written::Remedy;
use crate::settings::{Change, Settings};

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[
    Row::get("/api/v1/config", text).later(text),
    Row::post("/api/v1/config", replace).with_method("PUT").with_query(MANNERS).with_body(Some(MOST_TEXT)),
    Row::post("/api/v1/config/apply_fix", apply_fix),
    Row::get("/api/v1/config/versions", versions).later(versions),
    Row::get("/api/v1/config/versions/{version}", version).later(version),
    Row::post("/api/v1/config/versions/{version}/restore", restore).with_query(MANNERS).with_body(None),
];

fn text(desk: &Desk, request: &Request) -> Answered {
    let now = snapshot(settings(desk)?)?;
    if request.knows(&now.etag) {
        return Ok(Reply::not_modified().tagged(&now.etag));
    }
    Ok(Reply::text(200, now.text).tagged(&now.etag))
}

fn replace(desk: &Desk, request: &Request) -> Answered {
    let before = matched(settings(desk)?, request)?;
    let text = request.text()?.to_owned();
    make(desk, request, before, Change::Text(text), Manner::of(request)?, 200)
}

fn restore(desk: &Desk, request: &Request) -> Answered {
    let before = matched(settings(desk)?, request)?;
    let text = earlier(desk, request.parameter())?;
    make(desk, request, before, Change::Text(text), Manner::of(request)?, 200)
}

fn versions(desk: &Desk, _: &Request) -> Answered {
    // Without a file there is none of it.
    let versions = desk.settings.as_ref().map_or(Ok(Vec::new()), Settings::versions);
    let versions = versions.map_err(|error| unreadable(&error.to_string()))?;
    let items = versions
        .iter()
        .map(|version| json!({ "version": version.id, "saved": time_text(version.saved), "bytes": version.bytes }));
    Ok(Reply::json(&json!({ "items": items.collect::<Value>() })))
}

fn version(desk: &Desk, request: &Request) -> Answered {
    Ok(Reply::text(200, earlier(desk, request.parameter())?))
}

fn earlier(desk: &Desk, id: &str) -> Result<String, Reply> {
    let text = settings(desk)?.version(id).map_err(|error| unreadable(&error.to_string()))?;
    text.ok_or_else(|| Reply::missing("there is no such version; the oldest are forgotten after a while"))
}

fn unreadable(why: &str) -> Reply {
    Reply::problem(500, "Earlier version unreadable", &format!("it cannot be read from the state directory: {why}"))
}

fn apply_fix(desk: &Desk, request: &Request) -> Answered {
    let body = request.json(&["changes", "dry_run", "rehearse", "force"])?;
    let settings = settings(desk)?;
    let before = matched(settings, request)?;
    let manner = Manner::new(body.flag_if("dry_run")?, body.flag_if("rehearse")?, body.flag_if("force")?);
    let changes = body.value("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let remedies: Vec<Remedy<'_>> = changes.iter().map(remedy).collect::<Option<_>>().ok_or_else(|| {
        Reply::unfit("\"changes\" must be those of the doctor: each with line, section_line, key and text")
    })?;
    if remedies.is_empty() {
        return Err(Reply::unfit("\"changes\" is missing: there is nothing to change"));
    }
    let own = settings.path().display().to_string();
    let mut files = changes.iter().filter_map(|change| change.get("file")?.as_str());
    if let Some(file) = files.find(|file| !file.is_empty() && *file != own) {
        return Err(Reply::unfit(&format!("{file:?} is not the file that Millpond runs with, {own:?}")));
    }
    make(desk, request, before, Change::Remedies(remedies), manner, 200)
}

/// One of the doctor's changes (see its JSON).
fn remedy(change: &Value) -> Option<Remedy<'_>> {
    let line = |name: &str| match change.get(name) {
        None | Some(Value::Null) => Some(0),
        Some(line) => usize::try_from(line.as_u64()?).ok(),
    };
    Some(Remedy {
        line: line("line")?,
        section_line: line("section_line")?,
        key: change.get("key")?.as_str()?,
        text: change.get("text")?.as_str()?,
    })
}

/// The largest file that is taken.
const MOST_TEXT: u64 = 8 << 20;
