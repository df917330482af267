//! Another configuration for a running edge: all of it, or nothing.
//!
//! First everything that can fail: numbers, files, listeners, the log. Then the swaps, none of which can. Connections stay,
//! exchanges end under the configuration that they began with, what is stored stays stored.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::listening::{Listening, Plan};
use super::material::Material;
use super::radar::{OwnCertificate, OwnCertificates, warn_of_origins};
use super::{Addresses, Edge, open_log};
use crate::admin::Refused;
use crate::config::{Change, Config, Problem};
use crate::error::Error;
use crate::observe::AccessLog;
use crate::proxy::{Live, Proxy};
use crate::server::{Bound, Clock, Server};
use crate::tls::{Certificates, CertificatesBuilder};

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Names of sites that are new.
    pub added: Vec<String>,
    /// Names of sites that are no more.
    pub removed: Vec<String>,
    /// Names of sites that say something else.
    pub changed: Vec<String>,
    /// Tables of the file besides those of sites that say something else, such as `limits`.
    pub tables: Vec<&'static str>,
    /// Certificates for clients, or of the operator's door, that were not in force before.
    pub certificates: usize,
    /// Sorts of trust in origins whose files say something else.
    pub trusts: usize,
}

/// What one reload leaves to the next. Locked for the whole of one, files and all: two at once come one after the other,
/// and nobody else waits for it.
pub(super) struct Reloading {
    /// The number of the next site that is new.
    next_site: usize,
}

/// What is in force besides the proxy: which listeners there are, and what clients are shown.
pub(super) struct Front {
    pub certificates: Arc<Certificates>,
    /// What the operator's door shows, where it has a certificate.
    door: Option<Arc<Certificates>>,
    pub own: Arc<OwnCertificates>,
    listening: Mutex<Vec<Listening>>,
    reloading: Mutex<Reloading>,
}

/// Everything that can fail, done.
struct Ready {
    live: Live,
    change: Change,
    certificates: CertificatesBuilder,
    door: Option<CertificatesBuilder>,
    own: Vec<OwnCertificate>,
    listening: Vec<Listening>,
    gone: Vec<SocketAddr>,
}

impl Edge {
    /// Puts another configuration in force, whole or not at all. Connections stay open and exchanges under way end as
    /// they began; what is stored stays, and so do idle connections to origins. Certificates and CA files are read
    /// anew even where the configuration is the same. Sites are the same where their names are, whatever their order.
    ///
    /// When this returns, every request that begins and every handshake that begins is under the new one (limits: from the
    /// worker's next loop turn on, which begins at once). A fetch under way may still store what it brings. Two reloads at
    /// once come one after the other.
    ///
    /// # Errors
    /// [`Error::Configuration`] where certificates or CA files cannot be used, an address cannot be listened on, or
    /// something changed that needs a restart; [`Error::Io`] where the access log cannot be opened or the edge has ended.
    /// The old configuration stays in force then.
    pub fn reload(&self, config: Config) -> Result<Reloaded, Error> {
        let (Some(proxy), Some(server)) = (&self.proxy, &self.server) else { return Err(stopping()) };
        Ok(self.front.reload(config, proxy, server)?)
    }
}

/// It is too late to change anything.
pub(super) fn stopping() -> Error {
    Error::Io { what: "reload Millpond".into(), source: std::io::Error::other("it is stopping") }
}

impl Front {
    /// The first one: `bound` is what `config` asks for, in order.
    pub fn new(
        config: &Config,
        bound: &[Bound],
        certificates: Arc<Certificates>,
        door: Option<Arc<Certificates>>,
        own: Arc<OwnCertificates>,
    ) -> Front {
        let listening = Listening::of(config, bound);
        let reloading = Reloading { next_site: config.sites.len() };
        Front { certificates, door, own, listening: Mutex::new(listening), reloading: Mutex::new(reloading) }
    }

    /// Where clients reach it.
    pub fn addresses(&self) -> Addresses {
        let mut addresses = Addresses::default();
        for listening in self.listening() {
            let list = if listening.is_https { &mut addresses.https } else { &mut addresses.http };
            list.push(listening.address);
        }
        addresses
    }

    /// See [`Edge::reload`].
    pub fn reload(&self, config: Config, proxy: &Proxy, server: &Server) -> Result<Reloaded, Refused> {
        let mut reloading = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = self.prepare(config, proxy, server, &mut reloading)?;
        let reloaded = self.swap(ready, proxy, server);
        warn_of_origins(proxy, Clock::start());
        Ok(reloaded)
    }

    /// Does all that can fail. What it binds accepts already when it returns, still under the old configuration.
    fn prepare(
        &self,
        mut config: Config,
        proxy: &Proxy,
        server: &Server,
        reloading: &mut Reloading,
    ) -> Result<Ready, Refused> {
        let old = proxy.live();
        config.keep_door(&old.config);
        let mut problems = config.beyond_reload(&old.config);
        let material = Material::read(&config, Clock::start().now().unix()).accepted();
        let Material { certificates, door, own, .. } = material.map_err(|mut more| {
            problems.append(&mut more);
            Refused::Problems(std::mem::take(&mut problems))
        })?;
        if !problems.is_empty() {
            return Err(Refused::Problems(problems));
        }
        let Plan { listening, bound, gone } = Plan::new(self.listening(), &config)?;
        let access_log = renewed_log(&config, &old, proxy)?;
        server.listen(bound)?;
        let change = config.succeed(&old.config, &mut reloading.next_site);
        Ok(Ready { live: Live::new(config, access_log), change, certificates, door, own, listening, gone })
    }

    /// Puts it all in force. A site that is new is found before its certificate is shown, and one that is no more is
    /// refused before its certificate is taken away, so no handshake leads nowhere.
    fn swap(&self, ready: Ready, proxy: &Proxy, server: &Server) -> Reloaded {
        let Ready { live, change, certificates, door, own, listening, gone } = ready;
        let limits = live.config.limits.clone();
        // Also where nothing changed but the places of things in the file, by which problems and remedies are told.
        proxy.replace(live);
        server.renew(limits);
        let at_door = self.door.as_ref().zip(door).map_or(0, |(door, builder)| door.replace(builder));
        let certificates = self.certificates.replace(certificates).saturating_add(at_door);
        self.own.replace(own);
        let addresses = listening.iter().map(|listening| listening.address).collect();
        let trusts = proxy.renew_origins(addresses);
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = listening;
        server.leave(&gone);
        let Change { added, removed, changed, tables } = change;
        Reloaded { added, removed, changed, tables, certificates, trusts }
    }

    fn listening(&self) -> Vec<Listening> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The log of a new configuration: the old one where nothing about it changed.
fn renewed_log(config: &Config, old: &Live, proxy: &Proxy) -> Result<Option<Arc<AccessLog>>, Error> {
    if config.log == old.config.log {
        return Ok(old.access_log.clone());
    }
    Ok(open_log(config, proxy.metrics())?.map(Arc::new))
}

/// A line a problem.
pub(super) fn refusal(problems: &[Problem]) -> Error {
    Error::Configuration(problems.iter().map(ToString::to_string).collect())
}

impl Reloaded {
    /// What has changed, each in a few words; none where nothing has.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let sites = [(&self.added, "added"), (&self.removed, "removed"), (&self.changed, "changed")];
        for (names, what) in sites.into_iter().filter(|(names, _)| !names.is_empty()) {
            parts.push(format!("{} {what} ({})", counted(names.len(), "site"), shown(names)));
        }
        if !self.tables.is_empty() {
            parts.push(format!("[{}] changed", self.tables.join("], [")));
        }
        if self.certificates > 0 {
            parts.push(format!("{} new", counted(self.certificates, "certificate")));
        }
        if self.trusts > 0 {
            parts.push(format!("{} of origins changed", counted(self.trusts, "trust file")));
        }
        parts
    }
}

/// `2 sites changed, 1 added; limits changed; 1 certificate is new`.
impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.sentences();
        if parts.is_empty() { f.write_str("nothing changed") } else { f.write_str(&parts.join(", ")) }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn shown(names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    let names: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

const MOST_NAMES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_told_in_a_line() {
        let names = |count: usize| (0..count).map(|number| format!("{number}.test")).collect::<Vec<_>>();
        let rows = [
            (Reloaded::default(), "nothing changed"),
            (Reloaded { added: names(1), ..Reloaded::default() }, "1 site added (0.test)"),
            (
                Reloaded { removed: names(2), changed: names(7), tables: vec!["limits", "log"], ..Reloaded::default() },
                "2 sites removed (0.test, 1.test), 7 sites changed (0.test, 1.test, 2.test, 3.test, 4.test and 2 more), \
                 [limits], [log] changed",
            ),
            (
                Reloaded { certificates: 2, trusts: 1, ..Reloaded::default() },
                "2 certificates new, 1 trust file of origins changed",
            ),
        ];
        for (reloaded, text) in rows {
            assert_eq!(reloaded.to_string(), text);
        }
    }
}
