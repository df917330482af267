//! `doctor`, `check --live` and `serve --require-healthy`: diagnoses, told while they run.

use std::io::{IsTerminal, Write};

use millpond::config::Config;
use millpond::doctor::{Outcome, Progress, Report, Subject, diagnose, rehearse, rehearse_change, sni_table};

use crate::cli::Diagnosis;
use crate::failure::Failure;
use crate::messages::{answer, complain};

/// Diagnoses a site of a file, or a server that no file names yet.
pub fn doctor(diagnosis: &Diagnosis, is_json: bool) -> Result<(), Failure> {
    let (config, subject) = match diagnosis {
        Diagnosis::Site { subject, config } => {
            let subject = Subject::parse(subject).map_err(|what| Failure::Refused(format!("millpond: {what}")))?;
            (Config::load(config)?, subject)
        }
        Diagnosis::Server { url, sni, host } => {
            let config = Config::for_server(url, host.as_deref(), sni.as_deref()).map_err(|problem| vec![problem])?;
            let name = config.sites.first().and_then(|site| site.origin.host.clone()).unwrap_or_default();
            let subject = Subject::parse(&name).map_err(Failure::Refused)?;
            (config, subject)
        }
    };
    let report = if is_json {
        let report = diagnose(&config, &subject, &mut |_| ());
        answer(&format!("{}\n", report.json()))?;
        report
    } else {
        let mut screen = Screen::new();
        let report = diagnose(&config, &subject, &mut |progress| screen.show(&progress));
        answer(&report.conclusion(screen.has_colours))?;
        report
    };
    if report.is_healthy() { Ok(()) } else { Err(Failure::Told) }
}

/// Diagnoses every site of a file that is good on paper; what was found goes to standard output, site by site.
pub fn check_live(config: &Config) -> Result<(), Failure> {
    let is_terminal = std::io::stderr().is_terminal();
    let all = config.sites.len();
    let bar = |left: usize| {
        if is_terminal {
            let done = all.saturating_sub(left);
            let full = (done * BAR).checked_div(all).unwrap_or(0);
            // A bar that cannot be drawn is missed by nobody.
            let _ = write!(std::io::stderr(), "\r\x1b[K[{:<BAR$}] {done} of {all} sites", "#".repeat(full));
        }
    };
    bar(all);
    let reports = rehearse(config, AT_ONCE, &mut |_, left| bar(left));
    if is_terminal {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    let mut text = String::new();
    for report in &reports {
        text += &format!("  {}: {}\n", report.site.as_deref().unwrap_or(&report.subject), report.ending());
        for (server, what, fix) in doubts(report) {
            text += &format!("    {server}: {what}; {fix}\n");
        }
    }
    answer(&text)?;
    if reports.iter().all(Report::is_healthy) { Ok(()) } else { Err(Failure::Told) }
}

/// Refuses where a site would answer every fetch with a failure; other findings are logged.
pub fn require_healthy(config: &Config) -> Result<(), Failure> {
    let mut dead = Vec::new();
    for report in rehearse(config, AT_ONCE, &mut |_, _| ()) {
        if report.is_dead() {
            dead.push(format!("millpond: {}: {}", site_of(&report), report.ending()));
        } else if !report.is_healthy() {
            log::warn!("{}: {}", site_of(&report), report.ending());
        }
        warn_of_doubts(&report);
    }
    if dead.is_empty() {
        return Ok(());
    }
    dead.push("millpond: not started, because --require-healthy is given".into());
    Err(Failure::Failed(dead.join("\n")))
}

/// Refuses a change by which a site would answer every fetch with a failure that did not before; other findings are logged.
pub fn require_no_harm(old: &Config, new: &Config) -> Result<(), Failure> {
    let mut broken = Vec::new();
    for rehearsal in rehearse_change(old, new, AT_ONCE) {
        let report = &rehearsal.report;
        if rehearsal.breaks() {
            broken.push(format!("{}: {}", site_of(report), report.ending()));
        } else if !report.is_healthy() {
            let before = if rehearsal.was_dead { " (as it was before)" } else { "" };
            log::warn!("{}: {}{before}", site_of(report), report.ending());
        }
        warn_of_doubts(report);
    }
    if broken.is_empty() {
        return Ok(());
    }
    broken.push("--require-healthy is given, and every fetch of these sites would fail".into());
    Err(Failure::Failed(broken.join("\n")))
}

fn site_of(report: &Report) -> &str {
    report.site.as_deref().unwrap_or(&report.subject)
}

fn warn_of_doubts(report: &Report) {
    doubts(report).for_each(|(server, what, fix)| log::warn!("{}: {server}: {what}; {fix}", site_of(report)));
}

/// Doubtful findings of a report: server, what, remedy. What the file itself is warned of is left to `check`.
fn doubts(report: &Report) -> impl Iterator<Item = (&str, &str, String)> {
    let doubtful = report.all().filter(|(server, check)| check.outcome == Outcome::Doubtful && !server.is_empty());
    doubtful.filter_map(|(server, check)| {
        let finding = check.finding.as_ref()?;
        Some((server, finding.what.as_str(), finding.fix.to_string()))
    })
}

/// Standard output while a diagnosis runs: what is being checked now on a terminal, and what came of it everywhere.
struct Screen {
    is_terminal: bool,
    has_colours: bool,
    server: String,
}

impl Screen {
    fn new() -> Screen {
        let is_terminal = std::io::stdout().is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Screen { is_terminal, has_colours: is_terminal && !is_set("NO_COLOR") && !is_dumb, server: String::new() }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Checking { step, .. } if self.is_terminal => {
                self.write(&format!("{} {} …", step.number(), step.name()));
            }
            Progress::Checked { server, check } => {
                let mut text = self.cleared();
                if *server != self.server {
                    text += &format!("\n{server}\n");
                    (*server).clone_into(&mut self.server);
                }
                self.write(&(text + &check.text(self.has_colours)));
            }
            Progress::Shown { rows, .. } => self.write(&(self.cleared() + &sni_table(rows))),
            _ => {}
        }
    }

    fn cleared(&self) -> String {
        if self.is_terminal { "\r\x1b[K".into() } else { String::new() }
    }

    fn write(&self, text: &str) {
        // Who closed the pipe hears no more; the exit status still tells.
        if let Err(failure) = answer(text) {
            complain(&failure);
        }
    }
}

/// Sites at once.
const AT_ONCE: usize = 4;
/// Letters of the progress bar.
const BAR: usize = 30;
