//! What the program says: answers on standard output, everything else on standard error.
//!
//! A reader that went away (`millpond help config | head`) is no failure of ours.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use env_logger::Builder;
use log::{Level, LevelFilter};
use millpond::HttpDate;

use crate::failure::Failure;

/// Has the log written to standard error. `MILLPOND_LOG` chooses what: `warn`, `debug`, `millpond=trace`, `off`. Where it is
/// absent or a plain level, another level can be set while it runs.
pub fn start() {
    let chosen = std::env::var("MILLPOND_LOG").unwrap_or_else(|_| "millpond=info".to_owned());
    let plain = chosen.strip_prefix("millpond=").unwrap_or(&chosen).parse::<LevelFilter>().ok();
    let mut builder = Builder::new();
    builder.parse_filters(&chosen);
    if plain.is_some() {
        // What we say ourselves is held back by the level in force alone.
        builder.filter_module("millpond", LevelFilter::Trace);
    }
    builder.format(|out, record| writeln!(out, "{} {}: {}", clock(), word(record.level()), record.args())).init();
    if let Some(level) = plain {
        log::set_max_level(level);
    }
}

/// Writes what was asked for to standard output.
pub fn answer(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("millpond: cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error.
pub fn complain(words: &impl Display) {
    // There is no place left to complain to if this fails.
    _ = writeln!(io::stderr(), "{words}");
}

/// The time as `23 Nov 2026 06:51:46 UTC`.
fn clock() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let date = HttpDate(i64::try_from(now).unwrap_or(0)).format();
    let text = String::from_utf8_lossy(&date);
    let moment = text.split_once(", ").map_or(text.as_ref(), |(_, moment)| moment);
    moment.replace("GMT", "UTC")
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}
