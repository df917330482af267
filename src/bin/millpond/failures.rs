//! `millpond failures`: the ledger as a table, or as JSON.
//!
//! Reads the state directory of a Millpond that runs or has run; asks nobody and changes nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millpond::config::Config;
use millpond::{Edge, FailureRow, HttpDate};

use crate::cli::{Asked, LedgerPlace};
use crate::failure::Failure;
use crate::messages::answer;

/// Prints what was asked for.
pub fn show(asked: &Asked) -> Result<(), Failure> {
    let (dir, site) = place(asked)?;
    let mut rows = Edge::failures_in(&dir).map_err(|error| {
        let hint = "has a Millpond run with this state directory, and may this user read it?";
        Failure::Failed(format!("millpond: {error}; {hint}"))
    })?;
    if let Some(site) = &site {
        rows.retain(|row| row.site == *site);
    }
    if asked.is_json {
        return answer(&rows.iter().map(|row| format!("{}\n", row.json())).collect::<String>());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    answer(&table(rows, site.as_deref(), now))
}

/// The state directory, and the site's name if only one is asked for.
fn place(asked: &Asked) -> Result<(PathBuf, Option<String>), Failure> {
    let path = match &asked.ledger {
        LedgerPlace::State(dir) => {
            return Ok((dir.clone(), asked.domain.as_ref().map(|name| name.to_ascii_lowercase())));
        }
        LedgerPlace::Config(path) => path,
    };
    let config = Config::load_with_door(path)?;
    let site = asked.domain.as_deref().map(|domain| site_of(&config, domain, path)).transpose()?;
    let dir = config.state.dir.ok_or_else(|| {
        let hint = "write dir = \"/var/lib/millpond\" under [state], and serve with it";
        Failure::Refused(format!("millpond: {} names no state directory\n{hint}", path.display()))
    })?;
    Ok((dir, site))
}

fn site_of(config: &Config, domain: &str, path: &Path) -> Result<String, Failure> {
    let router = config.router();
    router.find(&domain.to_ascii_lowercase()).map(|site| site.name.clone()).ok_or_else(|| {
        let hint = "write a domain of [[site]], or leave it out to see all";
        Failure::Refused(format!("millpond: no site of {} answers for {domain}\n{hint}", path.display()))
    })
}

/// The whole answer for people.
fn table(rows: Vec<FailureRow>, site: Option<&str>, now: Duration) -> String {
    let of = site.map(|site| format!(" of {site}")).unwrap_or_default();
    if rows.is_empty() {
        return format!("no failed fetch{of} is in the ledger\n");
    }
    let lines = merged(rows);
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(lines.iter().map(|line| line.cells(now)));
    let mut widths = [0; HEAD.len()];
    for row in &cells {
        row.iter().zip(&mut widths).for_each(|(cell, width)| *width = cell.chars().count().max(*width));
    }
    let mut text = String::new();
    let examples = std::iter::once(None).chain(lines.iter().map(Some));
    for (row, line) in cells.iter().zip(examples) {
        let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += &format!("{}\n", padded.join("  ").trim_end());
        if let Some(line) = line {
            text += &format!("    {}\n", line.example());
        }
    }
    if let Some(open) = lines.iter().find(|line| line.row.is_open()) {
        text += &format!("\nmillpond doctor {} looks for the cause and says what mends it\n", open.row.site);
    }
    text
}

/// A line of the table: one row of the ledger, or those of all addresses of a server.
struct Line {
    row: FailureRow,
    is_of_all: bool,
}

/// Rows that together say that every address of a server fails for the same cause become one.
fn merged(rows: Vec<FailureRow>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let is_alike = |one: &FailureRow, other: &FailureRow| {
        (&one.site, &one.server, one.cause) == (&other.site, &other.server, other.cause)
    };
    let failing = |row: &FailureRow| row.address.is_some() && row.is_open();
    let alike = |row: &FailureRow| rows.iter().filter(|other| is_alike(row, other) && failing(other)).count();
    let of_all: Vec<bool> =
        rows.iter().map(|row| row.known_addresses > 1 && failing(row) && alike(row) == row.known_addresses).collect();
    for (row, is_of_all) in rows.into_iter().zip(of_all) {
        match lines.iter_mut().find(|line| is_of_all && line.is_of_all && is_alike(&line.row, &row)) {
            // The latest comes first, and gives the example.
            Some(line) => {
                line.row.count = line.row.count.saturating_add(row.count);
                line.row.made_good = line.row.made_good.saturating_add(row.made_good);
                line.row.first = line.row.first.min(row.first);
                line.row.last_good = line.row.last_good.max(row.last_good);
            }
            None => lines.push(Line { row, is_of_all }),
        }
    }
    lines
}

impl Line {
    fn cells(&self, now: Duration) -> [String; HEAD.len()] {
        let row = &self.row;
        let last_good = match row.last_good {
            None => "never seen".to_owned(),
            Some(good) if row.is_open() => ago(good, now),
            Some(good) => format!("{}, well again", ago(good, now)),
        };
        [
            row.site.clone(),
            row.cause.to_owned(),
            row.phase.to_owned(),
            self.origin(),
            self.count(),
            rfc3339(row.first),
            ago(row.last, now),
            last_good,
        ]
    }

    /// How often, and how often of that no client saw it.
    fn count(&self) -> String {
        match (self.row.count, self.row.made_good) {
            (count, 0) => count.to_string(),
            (count, good) if good >= count => format!("{count} (no client saw it)"),
            (count, good) => format!("{count} ({good} seen by no client)"),
        }
    }

    /// The server and which of its addresses.
    fn origin(&self) -> String {
        let row = &self.row;
        match row.address {
            _ if self.is_of_all => format!("{} (all {} addresses)", row.server, row.known_addresses),
            None if row.server.is_empty() => "-".to_owned(),
            None => row.server.clone(),
            Some(address) => {
                let which = match row.known_addresses {
                    0 | 1 => String::new(),
                    known => format!(" ({} of {known} addresses)", row.failing_addresses),
                };
                match address.to_string() {
                    text if text == row.server => format!("{text}{which}"),
                    text => format!("{} at {text}{which}", row.server),
                }
            }
        }
    }

    /// The facts of one failure in a line.
    fn example(&self) -> String {
        let example = &self.row.example;
        let mut parts =
            vec![if example.detail.is_empty() { self.row.cause.to_owned() } else { example.detail.clone() }];
        parts.extend(example.sni.as_ref().map(|name| format!("SNI {name}")));
        parts.extend(example.alert.map(|alert| format!("alert {alert}")));
        parts.extend(example.rcode.clone());
        if !example.certificate_names.is_empty() {
            parts.push(format!("certificate for {}", example.certificate_names.join(", ")));
        }
        if !example.head_start.is_empty() {
            let start: Vec<u8> = example.head_start.iter().copied().take(HEAD_SHOWN).collect();
            parts.push(format!("it began \"{}\"", start.escape_ascii()));
        }
        if !example.request.is_empty() {
            parts.push(format!("request {}", example.request));
        }
        parts.join("; ")
    }
}

/// `2026-11-23T09:16:53Z (3 min ago)`
fn ago(moment: Duration, now: Duration) -> String {
    let seconds = now.saturating_sub(moment).as_secs();
    let words = match seconds {
        0 if moment > now => return rfc3339(moment),
        0..=1 => "just now".to_owned(),
        2..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        7200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    };
    format!("{} ({words})", rfc3339(moment))
}

/// `2026-11-23T09:16:53Z`
fn rfc3339(moment: Duration) -> String {
    let date = HttpDate(i64::try_from(moment.as_secs()).unwrap_or(i64::MAX)).rfc3339();
    String::from_utf8_lossy(&date).into_owned()
}

const HEAD: [&str; 8] = ["SITE", "CAUSE", "PHASE", "ORIGIN", "COUNT", "FIRST", "LAST", "LAST GOOD FETCH"];
/// Bytes of a broken head in the example's line; `--json` has all that is kept.
const HEAD_SHOWN: usize = 60;

#[cfg(test)]
mod tests;
