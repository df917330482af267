//! The way out: one request to a site's origin, and an answer or a named cause.
//!
//! [`Origins::send`] resolves, connects, checks certificates, sends, retries where that is safe, and hands back the head
//! and a reader for the body. Every failure is a [`FetchError`] with a type of RFC 9209, the phase and a sentence that
//! names addresses and names. Refuses to know of caches, clients and of what the request was for.

mod answer;
mod body;
mod buffer;
mod check;
mod checks;
mod choice;
mod client;
mod connection;
mod connector;
mod elsewhere;
mod error;
mod guard;
mod health;
mod idle;
mod lookup;
mod names;
mod policies;
pub mod probe;
mod rate;
mod reach;
mod records;
mod request;
mod resolver;
mod retry;
mod slots;
mod tls_hint;
mod transport;
mod visitor;

#[cfg(test)]
mod tests_elsewhere;
#[cfg(test)]
mod tests_failover;
#[cfg(test)]
mod tests_fetch;
#[cfg(test)]
mod tests_reuse;
#[cfg(test)]
mod tests_support;
#[cfg(test)]
mod tests_tls;
#[cfg(test)]
mod tests_upload;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

pub use answer::Interim;
pub use body::OriginBody;
pub use checks::CheckState;
pub use choice::route;
pub use client::MAX_HEAD_START;
pub use elsewhere::Standing;
pub use error::FetchError;
pub use health::AddressState;
pub use lookup::LookupFailure;
pub use names::{Lifetimes, NameState};
pub use request::{OriginRequest, Upload};
pub use resolver::{Lookup, Resolver};

use crate::config::{ServerConfig, Site};
use crate::http1::ResponseHead;
use crate::tls::CertificateFacts;
use check::Kit;
use checks::Checks;
use choice::{Route, is_own_listener};
use client::Walk;
use connector::{RefusalKind, is_local, knock};
use error::Cause;
use guard::prohibited;
use health::Health;
use idle::{IdleLimits, IdlePool};
use policies::Policies;
use slots::Slots;

/// What all fetchers share: names, idle connections, TLS configurations, and what is known of addresses.
pub struct Origins {
    resolver: Resolver,
    idle: Arc<IdlePool>,
    policies: Arc<Policies>,
    health: Arc<Health>,
    checks: Arc<Checks>,
    slots: Slots,
    /// Fetches begun, by site, to share them among servers by weight.
    turns: Box<[AtomicU32]>,
    /// Our own listening addresses: an origin there would be a loop.
    listeners: RwLock<Arc<[SocketAddr]>>,
    /// Outsiders choose the servers: private addresses are refused, but for those of these names and ports.
    outsiders: Option<Vec<(String, u16)>>,
}

/// An answer whose head has come.
#[derive(Debug)]
pub struct Fetched {
    /// The final head, as strict as a client's.
    pub head: ResponseHead,
    /// The body, still on the connection; in a box, because what is fetched goes through many hands.
    pub body: Box<OriginBody>,
    /// How it went.
    pub report: Report,
    /// Attempts at other addresses or servers that failed before this one was good; empty in a fetch without any.
    pub lost: Vec<FetchError>,
}

/// How a fetch went. Durations are of the last attempt; zero for a step that was not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The server that answered, `name:port`.
    pub origin: String,
    /// Its address.
    pub address: Option<SocketAddr>,
    /// The connection had served before.
    pub is_reused: bool,
    /// Connections tried, this one included.
    pub attempts: u32,
    /// Time for the name.
    pub resolve: Duration,
    /// Time for TCP.
    pub connect: Duration,
    /// Time for TLS.
    pub tls: Duration,
    /// From the start of the request to the first byte of an answer.
    pub first_byte: Duration,
    /// `TLSv1.2` or `TLSv1.3`; none on plain HTTP.
    pub tls_version: Option<&'static str>,
    /// What the server showed, where this attempt made a new handshake.
    pub certificate: Option<Box<ShownCertificate>>,
}

/// The certificate that a server showed in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The server name that was sent, or the address that was expected.
    pub sni: String,
    /// Names, issuer, validity and fingerprint.
    pub facts: CertificateFacts,
    /// Why it is not accepted, if it is not.
    pub refusal: Option<String>,
}

impl Origins {
    /// Nothing resolved, nothing connected. `listeners` are our own, with their real ports.
    pub fn new(resolver: Resolver, listeners: Vec<SocketAddr>) -> Origins {
        let limits = IdleLimits { per_key: MAX_IDLE_PER_KEY, total: MAX_IDLE };
        Origins {
            resolver,
            idle: Arc::new(IdlePool::new(limits)),
            policies: Arc::default(),
            health: Arc::default(),
            checks: Arc::default(),
            slots: Slots::default(),
            turns: (0..TURNS).map(|_| AtomicU32::new(0)).collect(),
            listeners: RwLock::new(listeners.into()),
            outsiders: None,
        }
    }

    /// The same for servers that outsiders choose: whatever no site of `known` configures must not be private.
    pub fn for_outsiders(self, known: &[Arc<Site>]) -> Origins {
        let of_site = |site: &Arc<Site>| {
            let origin = site.origin.clone();
            let ports = move |server: &ServerConfig| [false, true].map(|https| origin.destination(server, https));
            site.origin.servers.iter().flat_map(ports).map(|at| (at.name, at.port)).collect::<Vec<_>>()
        };
        Origins { outsiders: Some(known.iter().flat_map(of_site).collect()), ..self }
    }

    /// The addresses of a server that may be dialled; never our own listeners.
    fn addresses(&self, route: &Route, deadline: Instant) -> Result<Vec<SocketAddr>, Cause> {
        let found = self.resolver.resolve(&route.name, deadline).map_err(Cause::Lookup)?;
        let own = self.listeners();
        let all = found.iter().map(|address| SocketAddr::new(*address, route.port));
        let foreign: Vec<_> = all.filter(|address| !is_own_listener(*address, &own, is_local)).collect();
        let Some(first) = foreign.first().copied() else { return Err(Cause::OwnAddress) };
        if self.may_be_private(&route.name, route.port, true) {
            return Ok(foreign);
        }
        let is_closed = |address: IpAddr| {
            prohibited(address).or_else(|| is_local(address.to_canonical()).then_some("this machine's own"))
        };
        let open: Vec<_> = foreign.into_iter().filter(|address| is_closed(address.ip()).is_none()).collect();
        match is_closed(first.ip()).filter(|_| open.is_empty()) {
            Some(what) => Err(Cause::Prohibited(first.ip(), what)),
            None => Ok(open),
        }
    }

    /// Whether host and port may lead to any address: where outsiders choose, only if a site is known to have them; else as
    /// `otherwise` says.
    fn may_be_private(&self, host: &str, port: u16, otherwise: bool) -> bool {
        let Some(known) = &self.outsiders else { return otherwise };
        known.iter().any(|(name, known_port)| name.eq_ignore_ascii_case(host) && *known_port == port)
    }

    /// Sends the request to the site's origin and waits for the final head. Blocks the calling thread, a fetcher's, for
    /// the site's time-outs at most. `interim` is called for 103 and the like as they come.
    pub fn send(
        &self,
        site: &Site,
        request: &OriginRequest<'_>,
        interim: Option<Interim>,
    ) -> Result<Fetched, FetchError> {
        Walk::new(self, site, request, interim)?.run()
    }

    /// Upkeep, about once a second, which waits for nothing: closes idle connections that have waited long enough, probes
    /// dead addresses and starts the health checks that are due.
    pub fn keep(&self, sites: &[Arc<Site>]) {
        self.idle.reap();
        probe(&self.health);
        self.checks.start_due(sites, &Kit { resolver: self.resolver.clone(), policies: Arc::clone(&self.policies) });
    }

    /// The addresses of origins that failed lately, dead ones among them.
    pub fn health(&self) -> Vec<AddressState> {
        self.health.states()
    }

    /// How many of them are dead.
    pub fn dead_addresses(&self) -> usize {
        self.health.dead()
    }

    /// What the health checks have found.
    pub fn checks(&self) -> Vec<CheckState> {
        self.checks.states()
    }

    /// The names of origins that were looked up.
    pub fn names(&self) -> Vec<NameState> {
        self.resolver.names()
    }

    /// The number of the site's fetch, for the choice of its server.
    fn turn(&self, site: &Site) -> u64 {
        let turns = self.turns.get(site.number % TURNS).filter(|_| site.origin.servers.len() > 1);
        turns.map_or(0, |turns| turns.fetch_add(1, Ordering::Relaxed).into())
    }

    /// After a reload, which leaves these sites and these listeners of ours: what origins are trusted by is read anew, and
    /// idle connections verified by what has changed, or for nobody any more, are closed. Says how many policies changed.
    pub fn renew(&self, sites: &[Arc<Site>], listeners: Vec<SocketAddr>) -> usize {
        *self.listeners.write().unwrap_or_else(PoisonError::into_inner) = listeners.into();
        let renewed = self.policies.renew(sites);
        self.idle.retain(|key| key.tls.as_ref().is_none_or(|(policy, _)| !renewed.gone.contains(policy)));
        renewed.changed
    }

    fn listeners(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.listeners.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Idle connections now.
    pub fn idle_connections(&self) -> usize {
        self.idle.len()
    }
}

/// Looks on a thread of its own whether dead addresses answer again, if it is time for that.
fn probe(health: &Arc<Health>) {
    let due = health.due();
    if due.is_empty() {
        return;
    }
    let (probing, addresses) = (Arc::clone(health), due.clone());
    let look = move || {
        for (address, outcome) in knock(&addresses, Instant::now() + PROBE_TIME) {
            probing.probed(address, outcome);
        }
    };
    if std::thread::Builder::new().name("probe".into()).stack_size(PROBE_STACK).spawn(look).is_err() {
        due.into_iter().for_each(|address| health.probed(address, Err(RefusalKind::Own)));
    }
}

/// Counters of turns; sites beyond so many share them.
const TURNS: usize = 1024;
const PROBE_TIME: Duration = Duration::from_secs(2);
const PROBE_STACK: usize = 128 * 1024;
const MAX_IDLE_PER_KEY: usize = 64;
const MAX_IDLE: usize = 1024;
