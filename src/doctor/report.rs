//! What a diagnosis says: plain values, in the order in which they were found.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The steps of a diagnosis, in order. The first one that is broken ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// 0: what the settings alone say.
    Configuration,
    /// 1: does the server's name have addresses?
    Dns,
    /// 2: does every address take connections?
    Reachability,
    /// 3: does the port speak the protocol that is set?
    Protocol,
    /// 4: does a TLS handshake with the configured server name (SNI) come to an end?
    Handshake,
    /// 5: which certificate is shown for which server name?
    SniMatrix,
    /// 6: is the certificate accepted?
    Certificate,
    /// 7: does it answer a request?
    Http,
    /// 8: how long would the answer be kept?
    Cacheability,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Step; 9] = [
        Step::Configuration,
        Step::Dns,
        Step::Reachability,
        Step::Protocol,
        Step::Handshake,
        Step::SniMatrix,
        Step::Certificate,
        Step::Http,
        Step::Cacheability,
    ];

    /// Its number, from 0.
    pub fn number(self) -> usize {
        self as usize
    }

    /// Its name in a few letters, as reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Step::Configuration => "configuration",
            Step::Dns => "DNS",
            Step::Reachability => "reachability",
            Step::Protocol => "protocol",
            Step::Handshake => "TLS handshake",
            Step::SniMatrix => "SNI matrix",
            Step::Certificate => "certificate",
            Step::Http => "HTTP",
            Step::Cacheability => "cacheability",
        }
    }
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// All is well.
    Passed,
    /// Fetches succeed, yet something should be looked at.
    Doubtful,
    /// A fetch fails here, or brings what nobody wants.
    Broken,
}

impl Outcome {
    /// `ok`, `warning` or `BROKEN`.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "ok",
            Outcome::Doubtful => "warning",
            Outcome::Broken => "BROKEN",
        }
    }
}

/// One check: a step, for one server or for the site as a whole.
#[derive(Clone, Debug)]
pub struct Check {
    /// Which step.
    pub step: Step,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen, a line each.
    pub lines: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// What is wrong or doubtful, and what mends it.
    pub finding: Option<Finding>,
}

/// Something wrong or doubtful, with its remedy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// One sentence without a full stop. For a failed fetch it is the one on its error page.
    pub what: String,
    /// The type (RFC 9209 §2.3) that clients get in `Proxy-Status`, where a fetch fails of it.
    pub error: Option<&'static str>,
    /// What it was seen by: addresses, names, alert numbers.
    pub evidence: Vec<String>,
    /// What mends it.
    pub fix: Fix,
    /// Other ways to mend it, the smaller change first.
    pub alternatives: Vec<Fix>,
    /// Command lines that reproduce it.
    pub commands: Vec<String>,
}

/// A remedy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fix {
    /// What to do, in words.
    pub what: String,
    /// What to change in the configuration; empty where only the origin can be mended.
    pub changes: Vec<Change>,
    /// Which certificates would be trusted then; empty where trust does not change.
    pub trusts: String,
}

/// One line of the configuration to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file; empty where there is none.
    pub file: PathBuf,
    /// The line where the key stands now, from 1; 0 where it is not there yet.
    pub line: usize,
    /// The key, for example `site[1].origin.sni`.
    pub key: String,
    /// The header to write it under if it is not there, for example `[site.origin]`.
    pub section: &'static str,
    /// The line of that header, from 1; 0 where it is not known.
    pub section_line: usize,
    /// The whole line to write, for example `sni = "www.example.com"`.
    pub text: String,
}

impl fmt::Display for Change {
    /// `millpond.toml:12: site[1].origin.sni: write sni = "…"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = if self.line > 0 { self.line } else { self.section_line };
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}:", self.file.display())?;
            if line > 0 {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        match self.line {
            0 => write!(f, "under {} add {}", self.section, self.text),
            _ => write!(f, "{}: write {}", self.key, self.text),
        }
    }
}

impl fmt::Display for Fix {
    /// The words, then every change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for (index, change) in self.changes.iter().enumerate() {
            let before = if index > 0 || !self.what.is_empty() { "; " } else { "" };
            write!(f, "{before}{change}")?;
        }
        Ok(())
    }
}

/// What a server shows for one server name in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SniRow {
    /// The server name that was sent; `None` = none.
    pub asked: Option<String>,
    /// Why this one was tried.
    pub roles: Vec<Role>,
    /// The certificate, or why there was none.
    pub shown: Result<Shown, Refused>,
}

/// Where a server name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Fetches send it.
    Configured,
    /// The Host of a fetch.
    Host,
    /// The accelerated domain name.
    Domain,
    /// The server's own name in `servers`.
    Server,
    /// An entry of `common_name_whitelist`.
    Whitelist,
    /// A certificate that was shown bears it.
    Certificate,
    /// No server name at all.
    Nothing,
}

impl Role {
    /// The word for reports.
    pub fn word(self) -> &'static str {
        match self {
            Role::Configured => "configured",
            Role::Host => "Host",
            Role::Domain => "domain",
            Role::Server => "server",
            Role::Whitelist => "whitelist",
            Role::Certificate => "on certificate",
            Role::Nothing => "no SNI",
        }
    }
}

/// A certificate that was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Its names, Common Names first; as the certificate has them.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// The end of its validity, for people.
    pub end: String,
    /// Whole days until then; negative once it has ended.
    pub days_left: i64,
    /// `sha256:…`
    pub fingerprint: String,
    /// What is wrong with chain, dates or purpose; `None` = nothing.
    pub chain: Option<String>,
    /// It names the name that was sent, by the site's own rule (`certificate_names`).
    pub is_for_asked: bool,
    /// A fetch with this server name would accept it, whitelist and pins included.
    pub is_accepted: bool,
    /// The negotiated version.
    pub version: &'static str,
}

/// Why no certificate was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// What happened.
    pub what: String,
    /// The alert, where one was received.
    pub alert: Option<u8>,
}

/// All that was found about one server.
#[derive(Clone, Debug, Default)]
pub struct ServerReport {
    /// `name:port`
    pub server: String,
    /// The checks that were made, in order.
    pub checks: Vec<Check>,
    /// What it shows for which server name; empty for plain HTTP.
    pub sni: Vec<SniRow>,
}

/// A whole diagnosis.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was asked for, as a URL.
    pub subject: String,
    /// The site that answers for it, if one does.
    pub site: Option<String>,
    /// Checks of the site as a whole.
    pub checks: Vec<Check>,
    /// Server by server, primary ones first.
    pub servers: Vec<ServerReport>,
}

impl Report {
    /// Every check, with the server that it is about (empty for the site as a whole).
    pub fn all(&self) -> impl Iterator<Item = (&str, &Check)> {
        let of_servers =
            self.servers.iter().flat_map(|it| it.checks.iter().map(move |check| (it.server.as_str(), check)));
        self.checks.iter().map(|check| ("", check)).chain(of_servers)
    }

    /// No check is broken.
    pub fn is_healthy(&self) -> bool {
        self.first_broken().is_none()
    }

    /// The first broken check, with the server that it is about.
    pub fn first_broken(&self) -> Option<(&str, &Check)> {
        self.all().find(|(_, check)| check.outcome == Outcome::Broken)
    }

    /// The site has no server that a fetch could succeed at.
    pub fn is_dead(&self) -> bool {
        let is_broken = |check: &Check| check.outcome == Outcome::Broken;
        self.checks.iter().any(is_broken) || self.servers.iter().all(|server| server.checks.iter().any(is_broken))
    }

    /// The end of a report in one line: the first broken step, what was seen, what to change, how to see it oneself.
    pub fn ending(&self) -> String {
        let Some((server, check)) = self.first_broken() else {
            let doubts = self.all().filter(|(_, check)| check.outcome == Outcome::Doubtful).count();
            return match doubts {
                0 => "healthy: every check passed".into(),
                1 => "healthy, with 1 warning".into(),
                _ => format!("healthy, with {doubts} warnings"),
            };
        };
        let place = format!("broken at step {} ({})", check.step.number(), check.step.name());
        let Some(finding) = &check.finding else { return format!("{place}: {server}") };
        let command = finding.commands.first().map(|command| format!("; to see it: {command}")).unwrap_or_default();
        format!("{place}: {}; to mend it: {}{command}", finding.what, finding.fix)
    }
}
