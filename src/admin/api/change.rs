//! How a change of the configuration is made at the door, whatever it is: proposed, checked, rehearsed, applied; and how it
//! is told.

use serde_json::{Value, json};

use super::super::Desk;
use super::super::control::{Changes, Refused};
use super::super::rehearsal::Rehearsal;
use super::super::reply::problem_json;
use super::{Answered, Reply, Request};
use crate::config::Problem;
use crate::config::written::{LineKind, Unwritable};
use crate::settings::{Applied, Change, NotApplied, Proposal, Settings, Snapshot};

/// How it is to be made.
#[derive(Clone, Copy)]
pub struct Manner {
    /// It is only looked at.
    pub is_dry: bool,
    /// The sites that it changes are rehearsed.
    pub is_rehearsed: bool,
    /// It is made even where it breaks a site that answers now.
    pub is_forced: bool,
}

/// The names of the query that say so.
pub const MANNERS: &[&str] = &["dry_run", "rehearse", "force"];

impl Manner {
    /// From flags that may be absent.
    pub fn new(dry_run: Option<bool>, rehearse: Option<bool>, force: Option<bool>) -> Manner {
        let is_dry = dry_run.unwrap_or(false);
        Manner { is_dry, is_rehearsed: rehearse.unwrap_or(!is_dry), is_forced: force.unwrap_or(false) }
    }

    /// From the query.
    ///
    /// # Errors
    /// 400 where a flag is none.
    pub fn of(request: &Request) -> Result<Manner, Reply> {
        Ok(Manner::new(request.flag("dry_run")?, request.flag("rehearse")?, request.flag("force")?))
    }
}

/// What is found about a proposal.
struct Found {
    problems: Vec<Problem>,
    warnings: Vec<String>,
    restart_needed: Vec<String>,
}

/// The settings.
///
/// # Errors
/// 409 where there is no file.
pub fn settings(desk: &Desk) -> Result<&Settings, Reply> {
    let detail = "Millpond runs without a configuration file: start it with serve --config FILE to change anything";
    desk.settings.as_ref().ok_or_else(|| Reply::conflict(detail))
}

/// The file as it is.
///
/// # Errors
/// 500 where it cannot be read.
pub fn snapshot(settings: &Settings) -> Result<Snapshot, Reply> {
    settings.read().map_err(|error| {
        let detail = format!("cannot read {}: {error}", settings.path().display());
        Reply::problem(500, "Configuration file unreadable", &detail)
    })
}

/// The file as it is, which is the state that the request would change.
///
/// # Errors
/// 428 without `If-Match`, 412 where it names another state.
pub fn matched(settings: &Settings, request: &Request) -> Result<Snapshot, Reply> {
    let now = snapshot(settings)?;
    request.must_match(&now.etag)?;
    Ok(now)
}

/// Makes a change, or only looks at it; answers with `status` where it is made.
///
/// # Errors
/// 422 with its problems, 409 where it would break a site, 412 where the file has changed meanwhile.
pub fn make(
    desk: &Desk,
    request: &Request,
    before: Snapshot,
    change: Change<'_>,
    manner: Manner,
    status: u16,
) -> Answered {
    let settings = settings(desk)?;
    let proposal = settings.propose(before, change).map_err(|why| unwritable(&why))?;
    let (etag, diff) = (proposal.after.etag.clone(), diff(&proposal));
    let found = look(desk, settings, &proposal)?;
    if !found.problems.is_empty() {
        return Err(problems_reply("the configuration would not be accepted", &found.problems, Some(diff)));
    }
    let rehearsal = manner.is_rehearsed.then(|| desk.rehearsals.rehearse(&proposal, &request.audience));
    let rehearsal = rehearsal.transpose()?;
    let told = |applied: Option<&Applied<Changes>>| {
        json!({
            "applied": applied.is_some(),
            "etag": applied.map(|_| etag.as_str()),
            "version": applied.and_then(|applied| applied.version.clone()),
            "diff": diff,
            "problems": [],
            "warnings": found.warnings,
            "restart_needed": found.restart_needed,
            "changed": applied.map(|applied| applied.in_force.changed.clone()).unwrap_or_default(),
            "rehearsal": rehearsal.as_ref().map(Rehearsal::json),
        })
    };
    if manner.is_dry {
        return Ok(Reply::json(&told(None)));
    }
    if let Some(rehearsal) = rehearsal.as_ref().filter(|it| !it.broken.is_empty() && !manner.is_forced) {
        let detail = format!(
            "{} would answer every fetch with a failure, and does not now; mend that, or ask with force=true",
            rehearsal.broken.join(", ")
        );
        let more = [("rehearsal", rehearsal.json()), ("diff", diff)];
        return Err(Reply::problem_with(409, "A site would break", &detail, &more));
    }
    let applied = settings.apply(proposal, request.now.wall, |config| desk.control.put_in_force(config));
    let applied = applied.map_err(not_applied)?;
    if let Some(rehearsal) = &rehearsal {
        desk.rehearsals.note(rehearsal);
    }
    let changed = applied.in_force.changed.join(", ");
    log::info!("{} is changed, as asked for at the operator's door: {changed}", settings.path().display());
    Ok(Reply::json_of(status, &told(Some(&applied))).tagged(&etag))
}

/// What checking finds: the text alone, the files that it names, and what is in force.
fn look(desk: &Desk, settings: &Settings, proposal: &Proposal) -> Result<Found, Reply> {
    let mut found = Found { problems: Vec::new(), warnings: Vec::new(), restart_needed: Vec::new() };
    let mut sort = |problem: Problem| {
        if problem.is_warning {
            found.warnings.push(problem.to_string());
        } else {
            found.problems.push(problem);
        }
    };
    match &proposal.config {
        Err(problems) => problems.iter().cloned().for_each(&mut sort),
        Ok(config) => {
            config.warnings().iter().cloned().for_each(&mut sort);
            desk.control.check(config).into_iter().for_each(&mut sort);
            let fixed = config.clone().keep_fixed(&desk.proxy()?.live().config);
            found.restart_needed = fixed.iter().map(|left| format!("{}: in force after a restart", left.key)).collect();
        }
    }
    if !settings.keeps_versions() {
        found
            .warnings
            .push("earlier versions of the file are forgotten when Millpond ends: give dir under [state]".into());
    }
    Ok(found)
}

/// 422 with problems, each with its place.
pub fn problems_reply(detail: &str, problems: &[Problem], diff: Option<Value>) -> Reply {
    let mut more = vec![("problems", problems.iter().map(problem_json).collect())];
    more.extend(diff.map(|diff| ("diff", diff)));
    Reply::problem_with(422, "Configuration refused", detail, &more)
}

fn diff(proposal: &Proposal) -> Value {
    let sign = |kind| match kind {
        LineKind::Same => " ",
        LineKind::Added => "+",
        LineKind::Removed => "-",
    };
    let lines = proposal.diff().into_iter();
    lines.map(|line| json!({ "kind": sign(line.kind), "line": line.line, "text": line.text })).collect()
}

/// What cannot be written into the file.
pub fn unwritable(why: &Unwritable) -> Reply {
    match why {
        Unwritable::NoSite => Reply::missing(&why.to_string()),
        Unwritable::Elsewhere(_) => Reply::conflict(&why.to_string()),
        Unwritable::NotToml(_) | Unwritable::Unfit(_) => Reply::unfit(&why.to_string()),
    }
}

fn not_applied(why: NotApplied<Refused>) -> Reply {
    match why {
        NotApplied::Stale => {
            let detail = "somebody has changed the file meanwhile: read it anew, and then change it";
            Reply::problem(412, "Precondition failed", detail)
        }
        NotApplied::Problems(problems) | NotApplied::Refused(Refused::Problems(problems)) => {
            problems_reply("it could not be put in force; the file is as it was", &problems, None)
        }
        NotApplied::Refused(Refused::Failed(error)) => {
            Reply::unfit(&format!("it could not be put in force, and the file is as it was: {error}"))
        }
        NotApplied::Unwritten(what, error) => {
            let detail = format!("{what}: {error}; Millpond's user must be able to write the file and its folder");
            Reply::problem(500, "Configuration file not written", &detail)
        }
    }
}
