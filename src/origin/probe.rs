//! One server of a site, looked at step by step: for the doctor.
//!
//! Every step is the function that a fetch calls, and every failure goes through the same table (`error`), so that a
//! failed fetch and its diagnosis cannot disagree. Refuses to know what a finding means and what would mend it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::check::{Kit, check};
use super::choice::route;
use super::connection::{Connection, WireFailure};
use super::connector::{Refusal, dial};
use super::error::{Cause, Failure, FetchError};
use super::policies::{self, TlsPolicy};
use super::{Fetched, OriginRequest, Origins, Report, Standing};
use crate::config::{HealthCheck, Site};
use crate::http1::ResponseHead;
use crate::policy::redirect::Url;
use crate::policy::template::Facts;
use crate::status::Phase;
use crate::tls::{Seen, Watch};

pub use super::choice::Route;
pub use super::connector::RefusalKind;

/// Looks at one server, with the settings of its site.
pub struct Probe<'a> {
    origins: &'a Origins,
    /// The site with this server alone.
    site: Site,
    /// Where it goes: what TCP, TLS and HTTP are told.
    pub route: Route,
    /// The accelerated name that a client asks for.
    host: String,
    client_is_https: bool,
}

/// How a connection to one address went.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The address.
    pub address: SocketAddr,
    /// Why it failed, if it did.
    pub failure: Option<RefusalKind>,
    /// How long that took.
    pub elapsed: Duration,
}

/// What stands behind a failed handshake, as far as the next step depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer was plain HTTP.
    PlainHttp,
    /// The answer was no TLS, and no HTTP either.
    NotTls,
    /// No answer, or the connection ended.
    Silent,
    /// TLS, and the server refused.
    Alert(u8),
    /// TLS, and the certificate was refused.
    Certificate,
    /// TLS of a kind that we do not speak, or a fault of ours.
    Other,
}

/// A handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The version that was agreed on, or why none was.
    pub outcome: Result<&'static str, (Kind, FetchError)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// An exchange, read to the end of its body or to [`MAX_BODY`].
#[derive(Debug)]
pub struct Exchanged {
    /// The final head.
    pub head: ResponseHead,
    /// Bytes of the body, or why it broke.
    pub body: Result<u64, FetchError>,
    /// It was still under way after so long, and is not read further.
    pub is_slow: Option<Duration>,
    /// How it went.
    pub report: Report,
    /// What failed on the way to it once connected, at other addresses.
    pub setbacks: Vec<FetchError>,
}

impl<'a> Probe<'a> {
    /// Looks at server number `server` of the site, from 0, for requests that ask for `host`.
    pub fn new(
        origins: &'a Origins,
        site: &Site,
        server: usize,
        host: &str,
        client_is_https: bool,
    ) -> Option<Probe<'a>> {
        let mut site = site.clone();
        site.origin.servers = vec![site.origin.servers.get(server)?.clone()];
        Probe::of(origins, site, host, client_is_https)
    }

    fn of(origins: &'a Origins, site: Site, host: &str, client_is_https: bool) -> Option<Probe<'a>> {
        let route = route(&site.origin, site.origin.servers.first()?, host, client_is_https);
        Some(Probe { origins, site, route, host: host.to_owned(), client_is_https })
    }

    /// The same server for clients of HTTPS.
    pub fn for_https(&self) -> Option<Probe<'a>> {
        Probe::of(self.origins, self.site.clone(), &self.host, true)
    }

    /// The same server under changed settings.
    pub fn with(&self, change: impl FnOnce(&mut Site)) -> Option<Probe<'a>> {
        let mut site = self.site.clone();
        change(&mut site);
        Probe::of(self.origins, site, &self.host, self.client_is_https)
    }

    /// The site with this server alone.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Whether the settings can be used at all: SNI and trust.
    pub fn check_settings(&self) -> Result<(), FetchError> {
        self.tls().map(drop).map_err(|cause| self.early(cause, Phase::Connect))
    }

    /// The server's addresses with its port, as a fetch would dial them.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, FetchError> {
        let deadline = Instant::now() + self.site.origin.timeouts.resolve;
        self.origins.addresses(&self.route, deadline).map_err(|cause| self.early(cause, Phase::Resolve))
    }

    /// Connects to each of the addresses, a few at a time, and closes again.
    pub fn reach(&self, addresses: &[SocketAddr]) -> Vec<Reached> {
        let limit = self.site.origin.timeouts.connect;
        let mut reached = Vec::with_capacity(addresses.len());
        for some in addresses.chunks(AT_ONCE) {
            thread::scope(|scope| {
                let dials: Vec<_> = some.iter().map(|address| scope.spawn(move || reach(*address, limit))).collect();
                reached.extend(dials.into_iter().zip(some).map(|(dial, address)| {
                    dial.join().unwrap_or(Reached {
                        address: *address,
                        failure: Some(RefusalKind::Own),
                        elapsed: Duration::ZERO,
                    })
                }));
            });
        }
        reached
    }

    /// The failure of a fetch that finds no address to connect to.
    pub fn unreachable(&self, reached: &[Reached]) -> FetchError {
        let refusals =
            reached.iter().filter_map(|it| Some(Refusal { address: it.address, kind: it.failure? })).collect();
        self.early(Cause::Connect(refusals), Phase::Connect)
    }

    /// The handshake of a fetch, its certificate check included.
    pub fn handshake(&self, address: SocketAddr) -> Handshake {
        let started = Instant::now();
        let outcome = self.tls().and_then(|(policy, name)| self.shake_hands(address, policy.config.clone(), name));
        let outcome =
            outcome.map(|connection| version_of(&connection)).map_err(|cause| self.handshake_error(cause, address));
        Handshake { outcome, elapsed: started.elapsed() }
    }

    /// A handshake with any server name, or none, that is not ended by a refused certificate, and what it showed.
    pub fn watch(&self, address: SocketAddr, name: Option<&str>) -> (Handshake, Seen) {
        let started = Instant::now();
        let mut seen = Seen::default();
        let outcome = self.watched(address, name, &mut seen).map_err(|cause| self.handshake_error(cause, address));
        (Handshake { outcome, elapsed: started.elapsed() }, seen)
    }

    fn watched(&self, address: SocketAddr, name: Option<&str>, seen: &mut Seen) -> Result<&'static str, Cause> {
        let policy = self.origins.policies.policy(&self.site.origin)?;
        let verifier = policies::verifier(&self.site.origin)?;
        let (watch, config) = Watch::over(&policy.config, verifier, name.is_some());
        let text = name.or(self.route.sni.as_deref()).unwrap_or(&self.host).trim_end_matches('.').to_owned();
        let name = ServerName::try_from(text).or_else(|_| ServerName::try_from("none.invalid"));
        let name = name.map_err(|_| Cause::Internal("no server name".into()))?;
        let shaken = self.shake_hands(address, config, name);
        *seen = watch.seen();
        let mut connection = shaken?;
        if seen.wants_client_certificate {
            // In TLS 1.3 the server says only afterwards that it wants one, or another one.
            let until = Instant::now() + ALERT_WAIT.min(self.site.origin.timeouts.tls_handshake);
            match connection.read(&mut [0], until) {
                Err(WireFailure::Timeout) | Ok(1..) => {}
                Ok(0) => return Err(Cause::Wire(WireFailure::Closed)),
                Err(failure) => return Err(Cause::Wire(failure)),
            }
        }
        Ok(version_of(&connection))
    }

    /// One request through the code of a fetch, with the site's edits, and its body.
    pub fn exchange(&self, method: &str, target: &str) -> Result<Exchanged, FetchError> {
        let edits = &self.site.origin.request;
        let unfit = |unfit: crate::policy::rewrite::Unfit| Cause::Request(unfit.reason().into());
        let sent = edits.target.apply(target).map_err(|error| self.early(unfit(error), Phase::SendRequest))?;
        let mut list = self.fields();
        let facts = Facts {
            client: SocketAddr::from(([127, 0, 0, 1], 0)),
            is_https: self.client_is_https,
            host: &self.host,
            method,
            target,
            id: &"doctor",
            site: &self.site.name,
        };
        edits.fields.apply(&mut list, &facts);
        let fields: Vec<(&str, &[u8])> = list.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let (host, client_is_https) = (self.host.as_str(), self.client_is_https);
        let request = OriginRequest { method, target: &sent, host, client_is_https, fields: &fields, body: None };
        read(self.origins.send(&self.site, &request, None)?)
    }

    /// A GET for where a redirect leads, as a fetch follows it: without what is meant for the site's own origin.
    pub fn exchange_elsewhere(&self, to: &Url, standing: Standing) -> Result<Exchanged, FetchError> {
        let list = self.fields();
        let fields: Vec<(&str, &[u8])> = list.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let request = OriginRequest {
            method: "GET",
            target: &to.target,
            host: &self.host,
            client_is_https: to.is_https,
            fields: &fields,
            body: None,
        };
        let limit = self.site.origin.timeouts.head;
        read(self.origins.send_elsewhere(&self.site, to, standing, &request, limit)?)
    }

    /// The addresses at which the site's health check fails now, and how.
    pub fn health_check(&self, health: &HealthCheck) -> Vec<(SocketAddr, String)> {
        let Some(server) = self.site.origin.servers.first() else { return Vec::new() };
        let kit = Kit { resolver: self.origins.resolver.clone(), policies: Arc::clone(&self.origins.policies) };
        let outcomes = check(&kit, &self.site, server, health).into_iter();
        outcomes.filter_map(|(address, outcome)| Some((address, outcome.err()?))).collect()
    }

    /// The handshakes of fetches with several addresses, a few at a time.
    pub fn handshakes(&self, addresses: &[SocketAddr]) -> Vec<Handshake> {
        let mut shaken = Vec::with_capacity(addresses.len());
        for some in addresses.chunks(AT_ONCE) {
            thread::scope(|scope| {
                let hands: Vec<_> = some.iter().map(|address| scope.spawn(move || self.handshake(*address))).collect();
                shaken.extend(hands.into_iter().filter_map(|hand| hand.join().ok()));
            });
        }
        shaken
    }

    /// What a fetch sends besides the client's own fields, as far as an origin may go by it.
    fn fields(&self) -> Vec<(&str, Cow<'_, [u8]>)> {
        let scheme: &[u8] = if self.client_is_https { b"https" } else { b"http" };
        vec![
            ("Accept", Cow::Borrowed(b"*/*")),
            ("User-Agent", Cow::Borrowed(b"millpond-doctor")),
            ("X-Forwarded-Proto", Cow::Borrowed(scheme)),
            ("X-Forwarded-Host", Cow::Borrowed(self.host.as_bytes())),
        ]
    }

    fn tls(&self) -> Result<(Arc<TlsPolicy>, ServerName<'static>), Cause> {
        let policy = self.origins.policies.policy(&self.site.origin)?;
        let any = || ServerName::try_from("none.invalid").map_err(|error| Cause::Internal(error.to_string()));
        Ok((policy, self.route.server_name()?.map_or_else(any, Ok)?))
    }

    fn shake_hands(
        &self,
        address: SocketAddr,
        config: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Connection, Cause> {
        let timeouts = &self.site.origin.timeouts;
        let (stream, address) = dial(&[address], Instant::now() + timeouts.connect).map_err(Cause::Connect)?;
        let deadline = Instant::now() + timeouts.tls_handshake;
        Connection::secure(stream, address, config, name, deadline).map_err(Cause::Wire)
    }

    fn handshake_error(&self, cause: Cause, address: SocketAddr) -> (Kind, FetchError) {
        let kind = match &cause {
            Cause::Wire(WireFailure::PlainHttp) => Kind::PlainHttp,
            Cause::Wire(WireFailure::Tls(rustls::Error::AlertReceived(alert))) => Kind::Alert(u8::from(*alert)),
            Cause::Wire(WireFailure::Tls(rustls::Error::InvalidCertificate(_))) => Kind::Certificate,
            Cause::Wire(WireFailure::Tls(rustls::Error::InvalidMessage(_))) => Kind::NotTls,
            Cause::Wire(WireFailure::Timeout | WireFailure::Closed | WireFailure::Reset | WireFailure::Truncated) => {
                Kind::Silent
            }
            _ => Kind::Other,
        };
        let phase = if matches!(cause, Cause::Connect(_)) { Phase::Connect } else { Phase::TlsHandshake };
        let failure = Failure { cause, phase, address: Some(address), has_response: false };
        (kind, failure.into_error(&self.route.label))
    }

    fn early(&self, cause: Cause, phase: Phase) -> FetchError {
        Failure::early(cause, phase).into_error(&self.route.label)
    }
}

/// The rest of an exchange: its body, to the end or to a limit.
fn read(mut fetched: Fetched) -> Result<Exchanged, FetchError> {
    let end = Instant::now() + MAX_BODY_TIME;
    let mut is_slow = None;
    let (mut length, mut room) = (0_u64, vec![0; 16 * 1024]);
    let body = loop {
        match fetched.body.read(&mut room) {
            Ok(count) if count > 0 && length < MAX_BODY => {
                length = length.saturating_add(u64::try_from(count).unwrap_or(0));
                if Instant::now() >= end {
                    is_slow = Some(MAX_BODY_TIME);
                    break Ok(length);
                }
            }
            Ok(_) => break Ok(length),
            Err(error) => break Err(error),
        }
    };
    fetched.lost.retain(|error| error.phase != Phase::Connect);
    Ok(Exchanged { head: fetched.head, body, is_slow, report: fetched.report, setbacks: fetched.lost })
}

fn reach(address: SocketAddr, limit: Duration) -> Reached {
    let started = Instant::now();
    let failure = match dial(&[address], started + limit) {
        Ok(_) => None,
        Err(refusals) => Some(refusals.first().map_or(RefusalKind::Unroutable, |refusal| refusal.kind)),
    };
    Reached { address, failure, elapsed: started.elapsed() }
}

fn version_of(connection: &Connection) -> &'static str {
    connection.tls_version().unwrap_or("TLS")
}

/// Addresses dialled at once.
const AT_ONCE: usize = 8;
/// How long a server may take to say that it wants a client certificate after all.
const ALERT_WAIT: Duration = Duration::from_secs(1);
/// Enough of a body to see that its framing holds; what is longer is left.
const MAX_BODY: u64 = 1024 * 1024;
const MAX_BODY_TIME: Duration = Duration::from_secs(5);

/// Which names of a certificate count for this site.
pub fn name_rule(site: &Site) -> crate::tls::NameRule {
    policies::rule(site.origin.certificate_names)
}
