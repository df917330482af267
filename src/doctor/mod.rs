//! Why a site's fetches fail, step by step, and which line of the configuration mends it.
//!
//! [`diagnose`] runs from this machine, with the site's own settings and through the very functions of a fetch, so that a
//! failed fetch and its diagnosis cannot disagree: does the server's name resolve, can the server be reached, does it
//! speak HTTPS, which certificate does it show for which server name (SNI), does it answer, and may the answer be kept.
//! The first broken step ends the run, but a fault in TLS still shows the certificates for all names. Refuses to print,
//! and to change anything.
//!
//! ```
//! use millpond::config::Config;
//! use millpond::doctor::{Step, Subject, diagnose};
//!
//! // Nothing listens there.
//! let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
//! let text = format!("[[site]]\ndomains = [\"www.example.com\"]\n[site.origin]\nservers = [\"{closed}\"]\n");
//! let config = Config::parse(&text, "millpond.toml".as_ref()).expect("the text above is valid");
//!
//! let subject = Subject::parse("www.example.com").expect("it is a name");
//! let report = diagnose(&config, &subject, &mut |_| ());
//! let (_, check) = report.first_broken().expect("nobody answers");
//! assert_eq!(check.step, Step::Reachability);
//! assert!(report.ending().contains("refused the connection"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod advice;
mod checks;
mod commands;
mod exchange;
mod failed;
mod json;
mod keeping;
mod matrix;
mod redirects;
mod rehearsal;
mod remedy;
mod report;
mod run;
mod secure;
mod subject;
#[cfg(test)]
mod tests_run;
mod text;

pub(crate) use rehearsal::rehearse_sites;
pub use rehearsal::{Rehearsal, rehearse, rehearse_change};
pub use report::{Change, Check, Finding, Fix, Outcome, Refused, Report, Role, ServerReport, Shown, SniRow, Step};
pub use subject::Subject;
pub use text::matrix as sni_table;

use std::ops::ControlFlow;

use crate::config::Config;
use crate::origin::{Origins, Resolver};

/// What a diagnosis tells while it runs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A check begins.
    Checking {
        /// The server that it is about, `name:port`; empty for the site as a whole.
        server: &'a str,
        /// Which step.
        step: Step,
    },
    /// A check has ended.
    Checked {
        /// The server that it is about.
        server: &'a str,
        /// The outcome.
        check: &'a Check,
    },
    /// The certificates for all server names are known.
    Shown {
        /// The server that shows them.
        server: &'a str,
        /// Name by name.
        rows: &'a [SniRow],
    },
}

/// Diagnoses the site that answers for `subject`. Blocks for as long as the site's own time-outs allow, server by
/// server; `progress` is called on this thread.
///
/// The servers of a configuration are its operator's choice, so private and loopback addresses are looked at like any
/// other; only our own listeners are refused.
pub fn diagnose(config: &Config, subject: &Subject, progress: &mut dyn FnMut(Progress<'_>)) -> Report {
    diagnose_by(&origins(config, Resolver::system()), config, subject, progress)
}

/// The same for a server that somebody names who is not at this machine's own command line, such as a caller of an API, in
/// `config` (see [`Config::for_server`]): what no site of `known` configures is refused where its address is private,
/// loopback, link-local or this machine's own (`destination_ip_prohibited`), because this machine stands where its caller
/// does not. Every connection of the diagnosis is judged by its address, whatever a name resolves to from one to the next.
pub fn diagnose_unlisted(
    config: &Config,
    known: &Config,
    subject: &Subject,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Report {
    diagnose_by(&origins_for_outsiders(known, Resolver::system()), config, subject, progress)
}

/// The same with means of one's own: tests inject DNS faults through the resolver.
pub(crate) fn diagnose_by(
    origins: &Origins,
    config: &Config,
    subject: &Subject,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Report {
    let mut progress = |told: Progress<'_>| {
        progress(told);
        ControlFlow::Continue(())
    };
    diagnose_while(origins, config, subject, &mut progress)
}

/// The same for somebody who may leave: no further step begins once `progress` breaks off, and the report has those that were
/// made.
pub(crate) fn diagnose_while(
    origins: &Origins,
    config: &Config,
    subject: &Subject,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Report {
    run::Run::new(origins, config, subject, Step::Cacheability, progress).report()
}

/// Means of [`diagnose_unlisted`].
pub(crate) fn origins_for_outsiders(known: &Config, resolver: Resolver) -> Origins {
    origins(known, resolver).for_outsiders(&known.sites)
}

/// Means of a diagnosis, apart from those of a running Millpond: nothing is reused that a fetch has opened.
pub(crate) fn origins(config: &Config, resolver: Resolver) -> Origins {
    Origins::new(resolver, config.listen.http.iter().chain(&config.listen.https).copied().collect())
}
