//! From a server to a connection: its addresses, those in good standing first; an idle connection, or a new one.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::ShownCertificate;
use super::choice::Route;
use super::client::{Walk, YOUNG};
use super::connection::{Connection, WireFailure};
use super::connector::{Onlooker, Refusal, RefusalKind, dial_watched};
use super::error::{Cause, Failure};
use super::health::{AddressState, Health, Standing};
use super::idle::Key;
use super::policies::TlsPolicy;
use super::slots::Slot;
use crate::status::Phase;
use crate::tls::{CertificateFacts, PresentedNames, reject_of};

/// Policy and name of a TLS server.
type Secure = (Arc<TlsPolicy>, ServerName<'static>);

/// The addresses of a server.
pub struct Survey {
    /// Those in good standing.
    pub good: Vec<SocketAddr>,
    /// Those that are suspect or dead.
    pub resting: Vec<SocketAddr>,
}

impl Walk<'_> {
    /// The addresses of a server, by their standing.
    pub fn survey(&mut self, route: &Route) -> Result<Survey, Failure> {
        let started = Instant::now();
        let deadline = self.deadline.min(started + self.site.origin.timeouts.resolve);
        self.addresses = 0;
        let found = self.origins.addresses(route, deadline);
        self.report.resolve = started.elapsed();
        let found = found.map_err(|cause| Failure::early(cause, Phase::Resolve))?;
        self.addresses = found.len();
        Ok(self.sift(found))
    }

    fn sift(&self, all: Vec<SocketAddr>) -> Survey {
        let (origins, site) = (self.origins, self.site);
        let is_only = all.len() == 1 && site.origin.servers.len() == 1;
        if origins.health.is_quiet() && (is_only || site.origin.health.is_none()) {
            return Survey { good: all, resting: Vec::new() };
        }
        let is_good = |address: &SocketAddr| match origins.health.standing(*address) {
            // To ask the only address costs nothing, unless it lets connects run out of time.
            standing if is_only => standing != Standing::Dead(RefusalKind::Timeout),
            standing => standing == Standing::Good && !origins.checks.is_failing(site, *address),
        };
        let (good, resting) = all.into_iter().partition(is_good);
        Survey { good, resting }
    }

    /// Where nothing is in good standing: the suspects; once a second the dead; else the word that all are dead.
    pub fn last_resort(&self, resting: Vec<(Route, Vec<SocketAddr>)>) -> Result<Vec<(Route, Vec<SocketAddr>)>, Cause> {
        let origins = self.origins;
        let is_dead = |address: &SocketAddr| match origins.health.standing(*address) {
            Standing::Dead(_) => true,
            Standing::Good | Standing::Suspect => origins.checks.is_failing(self.site, *address),
        };
        let all: Vec<SocketAddr> = resting.iter().flat_map(|(_, addresses)| addresses.iter().copied()).collect();
        if all.iter().all(is_dead) {
            let is_trial = origins.health.may_try(&all);
            return if is_trial { Ok(resting) } else { Err(Cause::AllDead(self.obituary(&all))) };
        }
        let suspects = resting.into_iter().map(|(route, mut addresses)| {
            addresses.retain(|address| !is_dead(address));
            (route, addresses)
        });
        Ok(suspects.filter(|(_, addresses)| !addresses.is_empty()).collect())
    }

    fn obituary(&self, all: &[SocketAddr]) -> String {
        let states = self.origins.health.states();
        let words = |address: &SocketAddr| match states.iter().find(|state| state.address == *address) {
            Some(AddressState { failure, dead_for: Some(dead_for), .. }) => {
                format!("{address} {failure} (dead for {} s)", dead_for.as_secs())
            }
            _ => format!("{address} fails its health check"),
        };
        all.iter().take(MAX_LISTED).map(words).collect::<Vec<_>>().join(", ")
    }

    /// An idle connection to one of the addresses, or a new one.
    pub fn connect(
        &mut self,
        route: &Route,
        addresses: &[SocketAddr],
        is_fresh: bool,
    ) -> Result<(Connection, Key), Failure> {
        let setting = |cause| Failure::early(cause, Phase::Connect);
        let tls = match route.server_name().map_err(setting)? {
            Some(name) => Some((self.origins.policies.policy(&self.site.origin).map_err(setting)?, name)),
            None => None,
        };
        let key_of = |address| Key { address, tls: tls.as_ref().map(|(policy, name)| (policy.id, name.clone())) };
        let wait = Instant::now() + self.site.origin.timeouts.connect;
        loop {
            let seen = self.changes();
            let idle = if is_fresh { None } else { addresses.iter().find_map(|address| self.idle(key_of(*address))) };
            if let Some((connection, key)) = idle {
                self.note(&connection);
                return Ok((connection, key));
            }
            if let Some(mut slots) = self.slots(addresses) {
                let open: Vec<SocketAddr> = slots.iter().map(|(address, _)| *address).collect();
                let mut connection = self.dial(route, &open, tls.as_ref())?;
                let won = slots.iter().position(|(address, _)| *address == connection.address);
                connection.slot = won.and_then(|index| slots.swap_remove(index).1);
                self.note(&connection);
                let key = key_of(connection.address);
                return Ok((connection, key));
            }
            let deadline = self.deadline.min(wait);
            if !self.origins.idle.evict(addresses) && !self.origins.slots.wait(seen, deadline) {
                return Err(setting(Cause::ConnectionLimit(self.site.origin.max_connections)));
            }
        }
    }

    fn note(&mut self, connection: &Connection) {
        self.report.address = Some(connection.address);
        self.report.is_reused = connection.is_reused;
        self.report.tls_version = connection.tls_version();
    }

    fn idle(&self, key: Key) -> Option<(Connection, Key)> {
        // A request that cannot be repeated takes no connection that the origin may be closing right now.
        let max_idle = if self.prepared.is_idempotent() { Duration::MAX } else { YOUNG };
        Some((self.origins.idle.take(&key, max_idle)?, key))
    }

    /// The addresses that may have one connection more, each with the right to it; `None`: there is none.
    fn slots(&self, addresses: &[SocketAddr]) -> Option<Vec<(SocketAddr, Option<Slot>)>> {
        let max = self.site.origin.max_connections;
        if max == 0 {
            return Some(addresses.iter().map(|address| (*address, None)).collect());
        }
        let slot = |address: &SocketAddr| Some((*address, Some(self.origins.slots.take(*address, max)?)));
        let slots: Vec<_> = addresses.iter().filter_map(slot).collect();
        (!slots.is_empty()).then_some(slots)
    }

    fn changes(&self) -> u64 {
        if self.site.origin.max_connections == 0 { 0 } else { self.origins.slots.changes() }
    }

    /// Where the fetch could go from here, as far as that is known without asking anybody.
    fn others(&self) -> Vec<SocketAddr> {
        let Some(rest) = self.rest.as_ref().filter(|_| self.moves > 0) else { return Vec::new() };
        let known = |(name, port)| {
            let addresses = self.origins.resolver.known(name).unwrap_or_default();
            addresses.iter().map(|address| SocketAddr::new(*address, port)).collect::<Vec<_>>()
        };
        rest.rest().flat_map(known).collect()
    }

    fn dial(&mut self, route: &Route, addresses: &[SocketAddr], tls: Option<&Secure>) -> Result<Connection, Failure> {
        let timeouts = &self.site.origin.timeouts;
        let watch = Watch { health: &self.origins.health, others: self.others(), beaten: RefCell::default() };
        let started = Instant::now();
        let dialled = dial_watched(addresses, self.deadline.min(started + timeouts.connect), Some(&watch));
        let connected = Instant::now();
        self.report.connect = connected.saturating_duration_since(started);
        let (stream, address) = dialled.map_err(|refusals| Failure::early(Cause::Connect(refusals), Phase::Connect))?;
        let beaten = watch.beaten.into_inner();
        if !beaten.is_empty() {
            self.lose(Failure::early(Cause::Connect(beaten), Phase::Connect), route);
        }
        self.report.address = Some(address);
        let Some((policy, name)) = tls else { return Ok(Connection::plain(stream, address)) };
        let deadline = self.deadline.min(connected + timeouts.tls_handshake);
        let secured = Connection::secure(stream, address, Arc::clone(&policy.config), name.clone(), deadline);
        self.report.tls = connected.elapsed();
        self.report.certificate = shown(&secured, name).map(Box::new);
        secured.map_err(|failure| Failure {
            cause: Cause::Wire(failure),
            phase: Phase::TlsHandshake,
            address: Some(address),
            has_response: false,
        })
    }
}

/// The server's certificate, accepted or not, where it has shown one.
fn shown(secured: &Result<Connection, WireFailure>, name: &ServerName<'_>) -> Option<ShownCertificate> {
    let sni = || name.to_str().into_owned();
    match secured {
        Ok(connection) => Some(ShownCertificate { sni: sni(), facts: connection.shown()?, refusal: None }),
        Err(WireFailure::Tls(error)) => {
            let reject = reject_of(error).filter(|reject| reject.presented != PresentedNames::default())?;
            let facts = CertificateFacts {
                names: reject.presented.clone(),
                fingerprint: reject.fingerprint,
                ..CertificateFacts::default()
            };
            Some(ShownCertificate { sni: sni(), facts, refusal: Some(reject.finding()) })
        }
        Err(_) => None,
    }
}

/// Tells the table what happens, and gives up on an address that others have found silent, while there is a good one.
struct Watch<'a> {
    health: &'a Health,
    others: Vec<SocketAddr>,
    /// Those that another address may yet make good.
    beaten: RefCell<Vec<Refusal>>,
}

impl Watch<'_> {
    /// No route to one family is how most machines are, and what this machine lacks is nobody else's fault.
    fn note(&self, address: SocketAddr, kind: RefusalKind) {
        if !matches!(kind, RefusalKind::Unroutable | RefusalKind::Own) {
            self.beaten.borrow_mut().push(Refusal { address, kind });
        }
    }
}

impl Onlooker for Watch<'_> {
    fn failed(&self, address: SocketAddr, kind: RefusalKind) {
        self.health.failed(address, kind);
        self.note(address, kind);
    }

    fn overtaken(&self, address: SocketAddr) {
        self.health.overtaken(address);
        self.note(address, RefusalKind::Timeout);
    }

    fn answered(&self, address: SocketAddr) {
        self.health.answered(address);
    }

    fn is_lost(&self, address: SocketAddr) -> bool {
        self.health.is_lost(address) && self.others.iter().any(|other| !self.health.is_lost(*other))
    }
}

const MAX_LISTED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_called_off_only_while_there_is_a_better_one() {
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let (health, good, dead, suspect) = (Health::default(), address(1), address(2), address(3));
        health.failed(dead, RefusalKind::Refused);
        health.failed(dead, RefusalKind::Refused);
        health.overtaken(suspect);
        let rows = [
            // dialled, where else it could go, called off
            (suspect, vec![good], true),
            (suspect, vec![dead, good], true),
            (dead, vec![good], true),
            (suspect, vec![], false),
            (suspect, vec![dead], false),
            (good, vec![good], false),
        ];
        for (dialled, others, expected) in rows {
            let watch = Watch { health: &health, others, beaten: RefCell::default() };
            assert_eq!(watch.is_lost(dialled), expected, "{dialled} {:?}", watch.others);
        }
    }

    #[test]
    fn what_another_address_may_make_good_is_noted_but_not_what_this_machine_lacks() {
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let health = Health::default();
        let watch = Watch { health: &health, others: Vec::new(), beaten: RefCell::default() };
        watch.failed(address(1), RefusalKind::Refused);
        watch.failed(address(2), RefusalKind::Unroutable);
        watch.failed(address(3), RefusalKind::Own);
        watch.overtaken(address(4));
        let noted: Vec<_> = watch.beaten.take().iter().map(|one| (one.address, one.kind)).collect();
        assert_eq!(noted, [(address(1), RefusalKind::Refused), (address(4), RefusalKind::Timeout)]);
    }
}
