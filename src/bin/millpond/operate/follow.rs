//! Following a task to its end: a bar on a terminal, objects with `--json`, silence elsewhere; then what came of it.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::client::{Client, failed, member};
use crate::failure::Failure;
use crate::messages::{answer, complain};

/// Follows the task to its end, or until Ctrl-C; then fails where an address failed.
pub fn follow(client: &Client, mut task: Value, is_json: bool) -> Result<(), Failure> {
    let id = text(&task, "id").to_owned();
    let asked = asked_to_end()?;
    let mut screen = Screen { is_terminal: std::io::stderr().is_terminal() && !is_json, is_json, last: String::new() };
    screen.show(&task)?;
    while member(&task, "ended").is_null() {
        if text(&task, "state") == "paused" {
            screen.clear();
            complain(&format!("task {id} is paused: millpond tasks --resume {id} lets it go on"));
            return Ok(());
        }
        match asked.recv_timeout(BETWEEN_LOOKS) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => {
                screen.clear();
                complain(&format!(
                    "task {id} goes on: millpond tasks {id} shows it, millpond tasks --cancel {id} ends it"
                ));
                return Err(Failure::Told);
            }
        }
        task = client.get(&format!("/api/v1/tasks/{id}")).map_err(|failure| {
            screen.clear();
            lost_sight(&failure, &id)
        })?;
        screen.show(&task)?;
    }
    screen.clear();
    conclude(client, &task, is_json)
}

/// The Millpond whose task was followed cannot be asked any more: that ends the showing, not the task.
fn lost_sight(failure: &Failure, id: &str) -> Failure {
    let hint = format!("with a state directory task {id} goes on when it runs again: millpond tasks {id} shows it");
    Failure::Failed(format!("{failure}\n{hint}"))
}

/// What came of a task that has ended.
fn conclude(client: &Client, task: &Value, is_json: bool) -> Result<(), Failure> {
    let id = text(task, "id");
    if is_json {
        each_url(client, id, "", |url| answer(&format!("{url}\n")).map(|()| true))?;
        answer(&format!("{task}\n"))?;
    } else {
        let is_dry = *member(task, "dry_run") == Value::Bool(true);
        if is_dry {
            each_url(client, id, "", |url| answer(&format!("{}\n", line(url, true))).map(|()| true))?;
        } else {
            let mut shown = 0;
            each_url(client, id, "&state=failed", |url| {
                shown += 1;
                answer(&format!("{}\n", line(url, false))).map(|()| shown < MOST_SHOWN)
            })?;
            if let Some(more @ 1..) = member(task, "failed").as_u64().and_then(|all| all.checked_sub(shown)) {
                answer(&format!("and {more} more that failed: millpond tasks {id} --json names every address\n"))?;
            }
        }
        answer(&format!("{}\n", summary(task)))?;
    }
    let is_well = text(task, "state") == "complete";
    if is_well { Ok(()) } else { Err(Failure::Told) }
}

/// Shows every address of a task, until `show` has seen enough.
fn each_url(
    client: &Client,
    id: &str,
    query: &str,
    mut show: impl FnMut(&Value) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut after = String::new();
    loop {
        let page = client.get(&format!("/api/v1/tasks/{id}/urls?limit=1000{after}{query}"))?;
        for url in member(&page, "items").as_array().into_iter().flatten() {
            if !show(url)? {
                return Ok(());
            }
        }
        match member(&page, "next").as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(()),
        }
    }
}

/// An address and what came of it, in a line.
fn line(url: &Value, is_dry: bool) -> String {
    let address = text(url, "url");
    let word = |name: &str| member(url, name).as_str();
    match text(url, "state") {
        "failed" => {
            let cause = word("cause").map(|cause| format!("{cause}: ")).unwrap_or_default();
            format!("failed        {address}  {cause}{}", word("detail").unwrap_or_default())
        }
        _ if is_dry => match word("cache") {
            Some("hit") => format!("stored, fresh {address}"),
            Some(_) => format!("not stored    {address}  {}", word("reason").unwrap_or_default()),
            None => format!("would fetch   {address}  {}", word("reason").unwrap_or_default()),
        },
        state => format!("{state:13} {address}"),
    }
}

/// A task in a line.
pub fn summary(task: &Value) -> String {
    let number = |name: &str| member(task, name).as_u64().unwrap_or(0);
    let failed = match number("failed") {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let kind = if *member(task, "dry_run") == Value::Bool(true) { " (dry run)" } else { "" };
    format!(
        "task {}{kind} {}: {} of {} addresses{failed}, {}",
        text(task, "id"),
        text(task, "state"),
        number("done"),
        number("total"),
        bytes(number("bytes"))
    )
}

/// What is shown while a task goes on.
struct Screen {
    is_terminal: bool,
    is_json: bool,
    last: String,
}

impl Screen {
    fn show(&mut self, task: &Value) -> Result<(), Failure> {
        if self.is_json && member(task, "ended").is_null() {
            let now = format!("{task}\n");
            return if now == self.last { Ok(()) } else { answer(&std::mem::replace(&mut self.last, now)) };
        }
        if self.is_terminal {
            // A bar that cannot be drawn is missed by nobody.
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", bar(task));
            let _ = std::io::stderr().flush();
        }
        Ok(())
    }

    fn clear(&self) {
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// `task 7 [########      ] 812 of 2000, 54.1/s, 22 s left, 3 failed`
fn bar(task: &Value) -> String {
    let number = |name: &str| member(task, name).as_u64().unwrap_or(0);
    let (done, total) = (number("done"), number("total"));
    let full = usize::try_from(done.saturating_mul(BAR as u64).checked_div(total).unwrap_or(0)).unwrap_or(BAR).min(BAR);
    let mut line = format!("task {} [{:<BAR$}] {done} of {total}", text(task, "id"), "#".repeat(full));
    if text(task, "state") == "pending" {
        line += ", waits for its turn or its time of day";
    }
    if let Some(rate) = member(task, "rate_per_second").as_f64().filter(|rate| *rate > 0.0) {
        line += &format!(", {rate:.1}/s");
    }
    if let Some(seconds) = member(task, "seconds_left").as_u64() {
        line += &match seconds {
            0..=119 => format!(", {seconds} s left"),
            120..=7199 => format!(", {} min left", seconds / 60),
            _ => format!(", {} h left", seconds / 3600),
        };
    }
    match number("failed") {
        0 => line,
        failed => format!("{line}, {failed} failed"),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} bytes"),
        10_000..=9_999_999 => format!("{:.1} kB", count as f64 / 1e3),
        10_000_000..=9_999_999_999 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    member(value, name).as_str().unwrap_or_default()
}

/// Hears of the first Ctrl-C or SIGTERM.
fn asked_to_end() -> Result<Receiver<()>, Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| failed(&format!("cannot catch signals: {error}")))?;
    let (sender, asked) = channel();
    let wait = move || {
        if signals.forever().next().is_some() {
            // Whoever no longer listens has ended already.
            let _ = sender.send(());
        }
    };
    let thread = std::thread::Builder::new().name("signals".into()).spawn(wait);
    thread.map(|_| asked).map_err(|error| failed(&format!("cannot wait for signals: {error}")))
}

/// Letters of the progress bar.
const BAR: usize = 30;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// Failed addresses that are printed without `--json`.
const MOST_SHOWN: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_task_is_a_bar_and_then_a_line() {
        let task = json!({"id": "7", "state": "failed", "done": 50, "total": 200, "failed": 3, "bytes": 12_345_678,
            "rate_per_second": 12.5, "seconds_left": 130});
        assert_eq!(bar(&task), "task 7 [#######                       ] 50 of 200, 12.5/s, 2 min left, 3 failed");
        assert_eq!(summary(&task), "task 7 failed: 50 of 200 addresses, 3 failed, 12.3 MB");
        let waits = bar(&json!({"id": "8", "state": "pending", "done": 0, "total": 0}));
        assert!(waits.starts_with("task 8 [   ") && waits.ends_with("0 of 0, waits for its turn or its time of day"));
    }

    #[test]
    fn an_address_says_what_came_of_it() {
        let failed =
            json!({"url": "http://a.test/", "state": "failed", "cause": "dns_error", "detail": "no such name"});
        assert_eq!(line(&failed, false), "failed        http://a.test/  dns_error: no such name");
        let dry = json!({"url": "http://a.test/", "state": "complete", "cache": null, "reason": "uri-miss"});
        assert_eq!(line(&dry, true), "would fetch   http://a.test/  uri-miss");
    }
}
