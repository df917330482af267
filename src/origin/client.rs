//! One fetch from its first name lookup to the response head: servers, addresses, connections, retries.
//!
//! The walk itself; each rule it follows is a pure one elsewhere (`choice`, `retry`, `error`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use ureq::SendBody;

use super::answer::{Answer, Interim, is_tls_hint};
use super::body::{BodyLimits, Home, OriginBody};
use super::choice::{Route, is_own_listener, routes};
use super::connection::Connection;
use super::connector::{dial, is_local};
use super::error::{Cause, Failure, FetchError};
use super::idle::Key;
use super::policies::TlsPolicy;
use super::request::{OriginRequest, Prepared, UploadReader};
use super::retry::{Retry, retry};
use super::transport::{Exchange, ExchangeLimits};
use super::{Fetched, Origins, Report};
use crate::config::Site;
use crate::http1::{BodyLength, ResponseHead};
use crate::status::Phase;

/// One call of [`Origins::send`].
pub struct Walk<'a> {
    origins: &'a Origins,
    site: &'a Site,
    request: &'a OriginRequest<'a>,
    prepared: Prepared,
    interim: Option<Interim>,
    /// From resolving to the head, all attempts together.
    deadline: Instant,
    /// Moves to another address or server that are still allowed.
    moves: usize,
    report: Report,
}

/// Policy and name of a TLS server.
type Secure = (Arc<TlsPolicy>, ServerName<'static>);

/// A failure at one server that another server may make good.
enum Stop {
    Final(Failure),
    MoveOn(Failure),
}

impl<'a> Walk<'a> {
    /// Checks the request and starts the clock.
    pub fn new(
        origins: &'a Origins,
        site: &'a Site,
        request: &'a OriginRequest<'a>,
        interim: Option<Interim>,
    ) -> Result<Walk<'a>, FetchError> {
        let refused = |cause| Failure::early(cause, Phase::SendRequest).into_error("");
        let prepared = Prepared::new(request).map_err(refused)?;
        let deadline = Instant::now() + site.origin.timeouts.head;
        Ok(Walk { origins, site, request, prepared, interim, deadline, moves: RETRIES, report: Report::default() })
    }

    /// Goes from server to server until one answers.
    pub fn run(mut self) -> Result<Fetched, FetchError> {
        let mut earlier = String::new();
        let mut last = None;
        for route in routes(&self.site.origin, self.request.host, self.request.client_is_https) {
            if last.is_some() && !self.may_move() {
                break;
            }
            self.report.origin.clone_from(&route.label);
            let stop = match self.try_server(&route) {
                Ok(fetched) => return Ok(fetched),
                Err(stop) => stop,
            };
            let (failure, is_final) = match stop {
                Stop::Final(failure) => (failure, true),
                Stop::MoveOn(failure) => (failure, false),
            };
            let mut error = failure.into_error(&route.label);
            if !earlier.is_empty() {
                error.detail = format!("{}; before that: {earlier}", error.detail);
            }
            if is_final {
                return Err(error);
            }
            earlier.clone_from(&error.detail);
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| Failure::early(Cause::NoServer, Phase::Resolve).into_error("")))
    }

    /// Goes from address to address of one server.
    fn try_server(&mut self, route: &Route) -> Result<Fetched, Stop> {
        let mut addresses = self.addresses(route).map_err(Stop::MoveOn)?;
        let mut is_fresh = false;
        loop {
            self.report.attempts += 1;
            let (failure, was_reused) = match self.connect(route, &addresses, is_fresh) {
                Ok((connection, key)) => {
                    let was_reused = connection.is_reused;
                    match self.exchange(route, connection, key) {
                        Ok(fetched) => return Ok(fetched),
                        Err(failure) => (failure, was_reused),
                    }
                }
                Err(failure) => (failure, false),
            };
            match retry(&failure, self.prepared.is_idempotent(), was_reused) {
                Retry::No => return Err(Stop::Final(failure)),
                Retry::Fresh => is_fresh = true,
                Retry::Elsewhere => {
                    // A failed race has tried all addresses; otherwise one of them failed.
                    addresses.retain(|address| failure.address.is_some_and(|failed| failed != *address));
                    if addresses.is_empty() {
                        self.origins.resolver.distrust(&route.name);
                        return Err(Stop::MoveOn(failure));
                    }
                    if !self.may_move() {
                        return Err(Stop::Final(failure));
                    }
                }
            }
        }
    }

    /// Spends one of the allowed moves.
    fn may_move(&mut self) -> bool {
        let is_allowed = self.moves > 0 && Instant::now() < self.deadline;
        self.moves = self.moves.saturating_sub(1);
        is_allowed
    }

    fn addresses(&mut self, route: &Route) -> Result<Vec<SocketAddr>, Failure> {
        let started = Instant::now();
        let deadline = self.deadline.min(started + self.site.origin.timeouts.resolve);
        let found = self.origins.resolver.resolve(&route.name, deadline);
        self.report.resolve = started.elapsed();
        let found = found.map_err(|failure| Failure::early(Cause::Lookup(failure), Phase::Resolve))?;
        let all = found.iter().map(|address| SocketAddr::new(*address, route.port));
        let own = self.origins.listeners();
        let foreign: Vec<_> = all.filter(|address| !is_own_listener(*address, &own, is_local)).collect();
        if foreign.is_empty() { Err(Failure::early(Cause::OwnAddress, Phase::Resolve)) } else { Ok(foreign) }
    }

    /// An idle connection to one of the addresses, or a new one.
    fn connect(
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
        let idle = if is_fresh { None } else { addresses.iter().find_map(|address| self.idle(key_of(*address))) };
        let (connection, key) = match idle {
            Some(idle) => idle,
            None => {
                let connection = self.dial(addresses, tls.as_ref())?;
                let key = key_of(connection.address);
                (connection, key)
            }
        };
        self.report.address = Some(connection.address);
        self.report.is_reused = connection.is_reused;
        self.report.tls_version = connection.tls_version();
        Ok((connection, key))
    }

    fn idle(&self, key: Key) -> Option<(Connection, Key)> {
        // A request that cannot be repeated takes no connection that the origin may be closing right now.
        let max_idle = if self.prepared.is_idempotent() { Duration::MAX } else { YOUNG };
        Some((self.origins.idle.take(&key, max_idle)?, key))
    }

    fn dial(&mut self, addresses: &[SocketAddr], tls: Option<&Secure>) -> Result<Connection, Failure> {
        let timeouts = &self.site.origin.timeouts;
        let started = Instant::now();
        let (stream, address) = dial(addresses, self.deadline.min(started + timeouts.connect))
            .map_err(|refusals| Failure::early(Cause::Connect(refusals), Phase::Connect))?;
        let connected = Instant::now();
        self.report.connect = connected.saturating_duration_since(started);
        let Some((policy, name)) = tls else { return Ok(Connection::plain(stream, address)) };
        let deadline = self.deadline.min(connected + timeouts.tls_handshake);
        let secured = Connection::secure(stream, address, Arc::clone(&policy.config), name.clone(), deadline);
        self.report.tls = connected.elapsed();
        secured.map_err(|failure| Failure {
            cause: Cause::Wire(failure),
            phase: Phase::TlsHandshake,
            address: Some(address),
            has_response: false,
        })
    }

    /// The exchange on one connection, up to the head.
    fn exchange(&mut self, route: &Route, connection: Connection, key: Key) -> Result<Fetched, Failure> {
        let address = Some(connection.address);
        let early = |cause| Failure { cause, phase: Phase::SendRequest, address, has_response: false };
        let timeouts = &self.site.origin.timeouts;
        let limits = ExchangeLimits {
            first_byte: timeouts.first_byte,
            write_stall: timeouts.between_bytes,
            head: self.deadline,
        };
        let size = self.prepared.head_size(route.host.len());
        let exchange = Exchange::new(connection, Answer::new(self.interim.clone()), limits, size);
        let body = self.upload(&exchange).map_err(early)?;
        let request = self.prepared.build(&route.host, route.sni.is_some(), body).map_err(early)?;
        let started = Instant::now();
        let has_upload = self.prepared.upload().is_some();
        let lost = || early(Cause::Internal("the connection was lost between ureq and the pool".into()));
        let mut exchange = exchange.run(request, has_upload).ok_or_else(lost)?;
        if let Some((cause, phase)) = exchange.failure.take() {
            return Err(Failure { cause, phase, address, has_response: exchange.connection.received > 0 });
        }
        let first_byte = exchange.first_byte.unwrap_or_else(Instant::now);
        self.report.first_byte = first_byte.saturating_duration_since(started);
        self.deliver(route, exchange, key)
    }

    /// A reader on the upload, as ureq wants it.
    fn upload(&self, exchange: &Exchange) -> Result<SendBody<'static>, Cause> {
        let (Some(upload), Some(left)) = (&self.request.body, self.prepared.upload()) else {
            return Ok(SendBody::none());
        };
        let inner = (upload.open)().map_err(|error| Cause::Upload(error.to_string()))?;
        let is_answered = Arc::clone(&exchange.is_answered_early);
        Ok(SendBody::from_owned_reader(UploadReader { inner, left, is_answered }))
    }

    /// The head has come: what kind of body follows, and may the connection serve again?
    fn deliver(&mut self, route: &Route, exchange: Exchange, key: Key) -> Result<Fetched, Failure> {
        let address = Some(exchange.connection.address);
        let broken = |cause| Failure { cause, phase: Phase::ResponseHead, address, has_response: true };
        let is_cut_short = exchange.is_answered_early.load(Ordering::Relaxed);
        let mut connection = exchange.connection;
        let no_head = || broken(Cause::Internal("ureq ended an exchange without a head".into()));
        let head = exchange.answer.into_head().ok_or_else(no_head)?;
        let length = head.body(self.prepared.method()).map_err(|error| broken(Cause::Head(error)))?;
        let timeouts = &self.site.origin.timeouts;
        let now = Instant::now();
        if !connection.is_tls() && wants_tls(&head, length, &mut connection, now + HINT_WAIT) {
            return Err(broken(Cause::TlsOnPlainPort));
        }
        let may_serve_again = head.keep_alive && !is_cut_short && length != BodyLength::UntilClose;
        let home = may_serve_again.then(|| Home {
            pool: Arc::clone(&self.origins.idle),
            key,
            age: idle_age(head.field("keep-alive")),
        });
        let end = (!timeouts.total.is_zero()).then(|| now + timeouts.total);
        let limits = BodyLimits { between_bytes: timeouts.between_bytes, end };
        let body = OriginBody::new(connection, length, limits, home, &route.label);
        Ok(Fetched { head, body, report: std::mem::take(&mut self.report) })
    }
}

/// A 400 page in plain HTTP from a port that wants TLS: looks into short pages, without using up a byte of them.
fn wants_tls(head: &ResponseHead, length: BodyLength, connection: &mut Connection, deadline: Instant) -> bool {
    let wanted = match length {
        BodyLength::Exact(length) => usize::try_from(length).unwrap_or(usize::MAX),
        BodyLength::None => 0,
        BodyLength::Chunked | BodyLength::UntilClose => MAX_HINT_PAGE,
    };
    if head.status != 400 || wanted > MAX_HINT_PAGE {
        return false;
    }
    while connection.input.bytes().len() < wanted && !is_tls_hint(connection.input.bytes()) {
        // An end or a failure comes again when the body is read.
        if length == BodyLength::Chunked && connection.input.bytes().ends_with(b"0\r\n\r\n") {
            break;
        }
        match connection.fill(deadline) {
            Ok(count) if count > 0 => {}
            _ => break,
        }
    }
    is_tls_hint(connection.input.bytes())
}

/// How long a connection may wait for its next exchange: the default, or less than the origin's own `Keep-Alive:
/// timeout=`, so that it is we who close it.
fn idle_age(keep_alive: Option<&[u8]>) -> Duration {
    let text = keep_alive.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    let parameters = text.split([',', ';']).filter_map(|parameter| parameter.split_once('='));
    let timeout = parameters
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
        .find_map(|(_, value)| value.trim().trim_matches('"').parse::<u32>().ok());
    match timeout {
        None => IDLE_AGE,
        Some(seconds) => Duration::from_secs(u64::from(seconds)).saturating_sub(MARGIN).min(MAX_IDLE_AGE),
    }
}

const RETRIES: usize = 2;
/// The idle time of a connection that a request which must not be repeated may still take.
const YOUNG: Duration = Duration::from_secs(1);
const IDLE_AGE: Duration = Duration::from_secs(10);
const MAX_IDLE_AGE: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_secs(1);
const MAX_HINT_PAGE: usize = 2048;
/// Servers that want TLS send their page together with the head.
const HINT_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_leave_before_the_origin_closes_them() {
        let rows = [
            (None, 10),
            (Some("timeout=5, max=100"), 4),
            (Some("max=100;timeout = \"30\""), 29),
            (Some("timeout=1"), 0),
            (Some("timeout=0"), 0),
            (Some("timeout=99999"), 60),
            (Some("timeout=never"), 10),
        ];
        for (field, seconds) in rows {
            assert_eq!(idle_age(field.map(str::as_bytes)), Duration::from_secs(seconds), "{field:?}");
        }
    }
}
