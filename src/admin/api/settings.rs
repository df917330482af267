//! The configuration as a whole: checked, read anew. And how much the program tells of itself.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use log::LevelFilter;
use serde_json::{Value, json};

use super::super::reply::problem_json;
use super::super::{Desk, Refused};
use super::{Answered, MOST_BODY, Reply, Request, Row};
use crate::config::{Config, Problem};

/// Endpoint by endpoint.
pub static ROWS: &[Row] = &[
    Row::post("/api/v1/check", check).with_body(Some(MOST_BODY)),
    Row::post("/api/v1/reload", reload).with_body(None),
    Row::get("/api/v1/log-level", |_, _| Ok(level())),
    Row::post("/api/v1/log-level", set_level).now(set_level).with_method("PUT").with_body(Some(4096)),
];

/// What would be said of this text as the configuration file.
fn check(desk: &Desk, request: &Request) -> Answered {
    let path = desk.control.config_file().map_or_else(|| PathBuf::from("millpond.toml"), |(path, _)| path);
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let mut sort = |found: &Problem| {
        let list = if found.is_warning { &mut warnings } else { &mut problems };
        list.push(problem_json(found));
    };
    match Config::parse_with_door(request.text()?, &path) {
        Err(found) => found.iter().for_each(&mut sort),
        Ok(config) => {
            config.warnings().iter().for_each(&mut sort);
            desk.control.check(&config).iter().for_each(&mut sort);
        }
    }
    Ok(Reply::json(&json!({ "ok": problems.is_empty(), "problems": problems, "warnings": warnings })))
}

/// The file as it is now, put in force.
fn reload(desk: &Desk, _: &Request) -> Answered {
    let Some((path, _)) = desk.control.config_file() else {
        return Err(Reply::conflict("there is no configuration file: Millpond was started without one"));
    };
    let config = Config::load_with_door(&path).map_err(|problems| refused(Refused::Problems(problems)))?;
    let changes = desk.control.put_in_force(config).map_err(refused)?;
    log::info!("reloaded {}, as asked for at the operator's door", Path::new(&path).display());
    Ok(Reply::json(&json!({ "changed": changes.changed, "restart_needed": changes.restart_needed })))
}

/// What a configuration gets that is not put in force.
pub fn refused(refused: Refused) -> Reply {
    match refused {
        Refused::Problems(problems) => {
            let fatal = problems.iter().filter(|problem| !problem.is_warning);
            let list: Vec<Value> = fatal.map(problem_json).collect();
            let detail = "the configuration has problems; the one in force stays";
            Reply::problem_with(422, "Configuration refused", detail, &[("problems", list.into())])
        }
        Refused::Failed(error) => Reply::conflict(&error.to_string()),
    }
}

fn level() -> Reply {
    Reply::json(&json!({ "level": log::max_level().as_str().to_ascii_lowercase() }))
}

fn set_level(_: &Desk, request: &Request) -> Answered {
    let members = request.json(&["level"])?;
    let word = members.choice_if("level", &["error", "warn", "info", "debug", "trace"])?;
    let word = word.ok_or_else(|| Reply::unfit("\"level\" is missing: error, warn, info, debug or trace"))?;
    log::set_max_level(LevelFilter::from_str(word).unwrap_or(LevelFilter::Info));
    Ok(level())
}
