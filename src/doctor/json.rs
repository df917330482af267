//! A report as JSON: names and meanings are documented at [`Report::json`] and do not change, new ones may come.

use super::report::{Change, Check, Finding, Fix, Report, ServerReport, SniRow};
use crate::json::{list, null, object, optional, text, texts};

impl Report {
    /// One JSON object (RFC 8259) in ASCII, without a line feed.
    ///
    /// ```text
    /// { "format": 1, "subject": URL, "site": NAME | null, "healthy": BOOL, "ending": TEXT,
    ///   "checks": [CHECK], "servers": [{ "server": "name:port", "checks": [CHECK], "sni": [ROW] }] }
    /// CHECK  = { "step": 0-8, "name": TEXT, "outcome": "ok" | "warning" | "BROKEN", "milliseconds": NUMBER,
    ///            "lines": [TEXT], "finding": FINDING | null }
    /// FINDING = { "what": TEXT, "error": RFC 9209 type | null, "evidence": [TEXT], "fix": FIX,
    ///            "alternatives": [FIX], "commands": [TEXT] }
    /// FIX    = { "what": TEXT, "trusts": TEXT, "changes": [{ "file": TEXT, "line": NUMBER (0 = not there yet),
    ///            "key": TEXT, "section": TEXT, "section_line": NUMBER, "text": TEXT }] }
    /// ROW    = { "sni": NAME | null, "roles": [TEXT], "refused": TEXT | null, "alert": NUMBER | null,
    ///            "certificate": null | { "names": [TEXT], "issuer": TEXT, "end": TEXT, "days_left": NUMBER,
    ///            "fingerprint": TEXT, "chain_error": TEXT | null, "names_sni": BOOL, "accepted": BOOL, "tls": TEXT } }
    /// ```
    pub fn json(&self) -> String {
        object(&[
            ("format", "1".into()),
            ("subject", text(&self.subject)),
            ("site", optional(self.site.as_deref())),
            ("healthy", self.is_healthy().to_string()),
            ("ending", text(&self.ending())),
            ("checks", list(self.checks.iter().map(check))),
            ("servers", list(self.servers.iter().map(server))),
        ])
    }
}

impl Check {
    /// One check alone, as it stands in a report.
    pub fn json(&self) -> String {
        check(self)
    }
}

fn server(server: &ServerReport) -> String {
    object(&[
        ("server", text(&server.server)),
        ("checks", list(server.checks.iter().map(check))),
        ("sni", list(server.sni.iter().map(row))),
    ])
}

fn check(check: &Check) -> String {
    object(&[
        ("step", check.step.number().to_string()),
        ("name", text(check.step.name())),
        ("outcome", text(check.outcome.word())),
        ("milliseconds", check.elapsed.as_millis().to_string()),
        ("lines", texts(&check.lines)),
        ("finding", check.finding.as_ref().map_or_else(null, finding)),
    ])
}

fn finding(finding: &Finding) -> String {
    object(&[
        ("what", text(&finding.what)),
        ("error", optional(finding.error)),
        ("evidence", texts(&finding.evidence)),
        ("fix", fix(&finding.fix)),
        ("alternatives", list(finding.alternatives.iter().map(fix))),
        ("commands", texts(&finding.commands)),
    ])
}

fn fix(fix: &Fix) -> String {
    object(&[
        ("what", text(&fix.what)),
        ("trusts", text(&fix.trusts)),
        ("changes", list(fix.changes.iter().map(change))),
    ])
}

fn change(change: &Change) -> String {
    object(&[
        ("file", text(&change.file.to_string_lossy())),
        ("line", change.line.to_string()),
        ("key", text(&change.key)),
        ("section", text(change.section)),
        ("section_line", change.section_line.to_string()),
        ("text", text(&change.text)),
    ])
}

fn row(row: &SniRow) -> String {
    let roles: Vec<String> = row.roles.iter().map(|role| role.word().to_owned()).collect();
    let certificate = row.shown.as_ref().ok().map(|shown| {
        object(&[
            ("names", texts(&shown.names)),
            ("issuer", text(&shown.issuer)),
            ("end", text(&shown.end)),
            ("days_left", shown.days_left.to_string()),
            ("fingerprint", text(&shown.fingerprint)),
            ("chain_error", optional(shown.chain.as_deref())),
            ("names_sni", shown.is_for_asked.to_string()),
            ("accepted", shown.is_accepted.to_string()),
            ("tls", text(shown.version)),
        ])
    });
    let refused = row.shown.as_ref().err();
    object(&[
        ("sni", optional(row.asked.as_deref())),
        ("roles", texts(&roles)),
        ("refused", optional(refused.map(|refused| refused.what.as_str()))),
        ("alert", refused.and_then(|refused| refused.alert).map_or_else(null, |alert| alert.to_string())),
        ("certificate", certificate.unwrap_or_else(null)),
    ])
}
