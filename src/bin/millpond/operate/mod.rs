//! `prefetch`, `purge` and `tasks`: what a running Millpond is asked to do through its admin API.

mod client;
mod follow;

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Operation, PrefetchAsked, What};
use crate::failure::Failure;
use crate::messages::{answer, complain};
use client::{Client, failed, member};
use follow::{follow, summary};

/// Has it done.
pub fn run(operation: &Operation) -> Result<(), Failure> {
    let client = Client::new(&operation.place)?;
    let is_json = operation.is_json;
    match &operation.what {
        What::Prefetch(asked) => prefetch(&client, asked, is_json),
        What::Purge { scope, values, origin, mode, then_prefetch } => {
            let bodies = values.iter().map(|value| {
                let value = Some(value).filter(|value| !value.is_empty());
                json!({ "scope": scope, "value": value, "site": origin, "mode": mode, "then_prefetch": then_prefetch })
            });
            purge(&client, bodies, mode, is_json)
        }
        What::ListTasks => list(&client, is_json),
        What::ShowTask(id) => {
            let task = client.get(&format!("/api/v1/tasks/{}", encoded(id)))?;
            follow(&client, task, is_json)
        }
        What::Steer(command, id) => {
            let task = client.post(&format!("/api/v1/tasks/{}/{command}", encoded(id)), None)?;
            show(&task, is_json)
        }
    }
}

fn prefetch(client: &Client, asked: &PrefetchAsked, is_json: bool) -> Result<(), Failure> {
    let mut urls = asked.urls.clone();
    if let Some(file) = &asked.file {
        let text = read(file)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        urls.extend(lines.map(str::to_owned));
    }
    let split = |field: &String| {
        let (name, value) = field.split_once(':').unwrap_or((field, ""));
        json!([name.trim(), value.trim()])
    };
    let body = json!({
        "kind": "prefetch",
        "urls": urls,
        "sitemap": asked.sitemap,
        "manifest": asked.manifest,
        "headers": asked.fields.iter().map(split).collect::<Vec<_>>(),
        "rate_per_second": asked.rate,
        "parallel": asked.parallel,
        "window": asked.window,
        "dry_run": asked.is_dry,
    });
    let task = client.post("/api/v1/tasks", Some(&body))?;
    follow(client, task, is_json)
}

fn purge(client: &Client, bodies: impl Iterator<Item = Value>, mode: &str, is_json: bool) -> Result<(), Failure> {
    let mut outcome = Ok(());
    for body in bodies {
        let done = client.post("/api/v1/purge", Some(&body))?;
        let count = member(&done, "count").as_u64().unwrap_or(0);
        let time = member(&done, "milliseconds").as_u64().unwrap_or(0);
        let responses = if count == 1 { "stored response" } else { "stored responses" };
        let what = match (mode, count) {
            ("count", _) => "would be taken",
            ("soft", 1) => "is stale now",
            ("soft", _) => "are stale now",
            (_, 1) => "is removed",
            _ => "are removed",
        };
        match is_json {
            true => answer(&format!("{done}\n"))?,
            false => answer(&format!("{count} {responses} {what} ({time} ms)\n"))?,
        }
        if let Some(why) = member(&done, "prefetch_error").as_str() {
            complain(&format!("it is purged, but no prefetch was begun: {why}"));
            outcome = Err(Failure::Told);
        }
        if let Some(id) = member(&done, "prefetch_task").as_str() {
            let task = client.get(&format!("/api/v1/tasks/{id}"))?;
            outcome = follow(client, task, is_json).and(outcome);
        }
    }
    outcome
}

fn list(client: &Client, is_json: bool) -> Result<(), Failure> {
    let page = client.get("/api/v1/tasks?limit=1000")?;
    let tasks = member(&page, "items").as_array().cloned().unwrap_or_default();
    if tasks.is_empty() && !is_json {
        complain(&"there are no tasks");
    }
    tasks.iter().try_for_each(|task| show(task, is_json))
}

fn show(task: &Value, is_json: bool) -> Result<(), Failure> {
    match is_json {
        true => answer(&format!("{task}\n")),
        false => answer(&format!("{}  {}\n", summary(task), member(task, "source").as_str().unwrap_or_default())),
    }
}

/// The text of a file, or of standard input.
fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(MOST_TEXT).read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|file| file.take(MOST_TEXT).read_to_string(&mut text)),
    };
    match read {
        Ok(_) if text.len() as u64 >= MOST_TEXT => Err(failed(&format!("{} is larger than 30 MB", file.display()))),
        Ok(_) => Ok(text),
        Err(error) => Err(failed(&format!("cannot read {}: {error}", file.display()))),
    }
}

/// A segment of a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The API takes little more in one request.
const MOST_TEXT: u64 = 30_000_000;
