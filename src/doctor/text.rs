//! A report as text for people: plain, or with colours for a terminal. What came over the network is made harmless.

use std::fmt::Write;

use super::report::{Check, Finding, Fix, Outcome, Report, Role, SniRow};

/// Colours, or none of them.
#[derive(Clone, Copy, Debug)]
struct Style {
    has_colours: bool,
}

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        if self.has_colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn outcome(self, outcome: Outcome, text: &str) -> String {
        let colour = match outcome {
            Outcome::Passed => "32",
            Outcome::Doubtful => "33",
            Outcome::Broken => "1;31",
        };
        self.paint(colour, text)
    }
}

impl Check {
    /// The check in a few lines: step, outcome, time, what was seen. With ANSI colours if wanted.
    pub fn text(&self, has_colours: bool) -> String {
        let style = Style { has_colours };
        let title = format!("{} {}", self.step.number(), self.step.name());
        let outcome = style.outcome(self.outcome, &format!("{:<8}", self.outcome.word()));
        let time = if self.elapsed.is_zero() { String::new() } else { format!("{} ms", self.elapsed.as_millis()) };
        let mut lines = self.lines.iter();
        let first = lines.next().map(|line| clean(line)).unwrap_or_default();
        let mut text = format!("{title:<16} {outcome} {time:>8}  {first}").trim_end().to_owned();
        text.push('\n');
        for line in lines {
            push(&mut text, &format!("{INDENT}{}", clean(line)));
        }
        if let (Outcome::Doubtful, Some(finding)) = (self.outcome, &self.finding) {
            let fix = if finding.fix == Fix::default() { String::new() } else { format!("; {}", finding.fix) };
            push(&mut text, &format!("{INDENT}{}", clean(&format!("{}{fix}", finding.what))));
        }
        text
    }
}

/// The certificates for all server names as a table.
pub fn matrix(rows: &[SniRow]) -> String {
    let mut table = vec![["SNI", "why", "certificate", "issuer", "days", "chain", "name", "fetch"].map(str::to_owned)];
    for row in rows {
        let asked = row.asked.clone().unwrap_or_else(|| "(none)".into());
        let why: Vec<&str> = row.roles.iter().filter(|role| **role != Role::Nothing).map(|role| role.word()).collect();
        let cells = match &row.shown {
            Ok(shown) => [
                shorten(&names(&shown.names)),
                shorten(&shown.issuer),
                shown.days_left.to_string(),
                if shown.chain.is_none() { "ok" } else { "BAD" }.to_owned(),
                if shown.is_for_asked { "ok" } else { "other" }.to_owned(),
                if shown.is_accepted { "accepts" } else { "refuses" }.to_owned(),
            ],
            Err(refused) => {
                let alert = refused.alert.map(|alert| format!("alert {alert}, ")).unwrap_or_default();
                [format!("none: {alert}{}", refused.what), "".into(), "".into(), "".into(), "".into(), "".into()]
            }
        };
        let [certificate, issuer, days, chain, name, fetch] = cells;
        table.push([shorten(&asked), why.join(", "), certificate, issuer, days, chain, name, fetch]);
    }
    let table: Vec<[String; 8]> = table.into_iter().map(|row| row.map(|cell| clean(&cell))).collect();
    let is_refusal = |row: &[String; 8]| row.get(2).is_some_and(|cell| cell.starts_with("none: "));
    let width = |column: usize| {
        let cells = table.iter().filter(|row| column < 2 || !is_refusal(row)).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..8).map(width).collect();
    let mut text = String::new();
    for row in &table {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        push(&mut text, format!("    {}", cells.join("  ")).trim_end());
    }
    text
}

impl Report {
    /// The whole report, as it is also shown piece by piece while it is made.
    pub fn text(&self, has_colours: bool) -> String {
        let mut text = self.title();
        for check in &self.checks {
            text += &check.text(has_colours);
        }
        for server in &self.servers {
            text += &format!("\n{}\n", clean(&server.server));
            for check in &server.checks {
                text += &check.text(has_colours);
                if check.step == super::Step::SniMatrix {
                    text += &matrix(&server.sni);
                }
            }
        }
        text + &self.conclusion(has_colours)
    }

    /// What is asked for, in a line.
    fn title(&self) -> String {
        format!("{}\n", clean(&self.subject))
    }

    /// The first broken check with evidence, remedies and commands, and the last line.
    pub fn conclusion(&self, has_colours: bool) -> String {
        let style = Style { has_colours };
        let mut text = String::from("\n");
        let outcome = if self.is_healthy() { Outcome::Passed } else { Outcome::Broken };
        if let Some(finding) = self.first_broken().and_then(|(_, check)| check.finding.as_ref()) {
            text += &finding.text(style);
            text.push('\n');
        }
        push(&mut text, &style.outcome(outcome, &clean(&self.ending())));
        text
    }
}

impl Finding {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        push(&mut text, &style.paint("1", &clean(&self.what)));
        if let Some(error) = self.error {
            push(&mut text, &format!("  clients get      Proxy-Status: millpond; error={error}"));
        }
        for line in &self.evidence {
            push(&mut text, &format!("  seen             {}", clean(line)));
        }
        self.fix.push(&mut text, "to mend it", style);
        for fix in &self.alternatives {
            fix.push(&mut text, "or", style);
        }
        for command in &self.commands {
            push(&mut text, &format!("  to see it        {}", clean(command)));
        }
        text
    }
}

impl Fix {
    fn push(&self, text: &mut String, label: &str, style: Style) {
        let mut label = label;
        for line in std::iter::once(&self.what).filter(|what| !what.is_empty()) {
            push(text, &format!("  {label:<16} {}", clean(line)));
            label = "";
        }
        for change in &self.changes {
            push(text, &format!("  {label:<16} {}", style.paint("36", &clean(&change.to_string()))));
            label = "";
        }
        if !self.trusts.is_empty() {
            push(text, &format!("  {:<16} this trusts {}", "", clean(&self.trusts)));
        }
    }
}

fn push(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn names(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    match (shown.is_empty(), more) {
        (true, _) => "no name".into(),
        (_, 0) => shown.join(", "),
        (_, more) => format!("{} +{more}", shown.join(", ")),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_CELL) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Without control characters: certificates and heads may hold anything, and terminals obey.
fn clean(text: &str) -> String {
    let is_bad = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_bad(c) { '?' } else { c }).collect()
}

const INDENT: &str = "                                     ";
const MAX_CELL: usize = 48;

#[cfg(test)]
#[path = "tests_text.rs"]
mod tests;
