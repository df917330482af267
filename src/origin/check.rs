//! One health check: a small GET to each address of a server, with the names and the trust of the site's own fetches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::choice::{Route, route};
use super::connection::{Connection, WireFailure};
use super::connector::dial;
use super::error::{Cause, Failure};
use super::policies::Policies;
use super::resolver::Resolver;
use crate::config::{HealthCheck, ServerConfig, Site};
use crate::status::Phase;

/// What a check needs of the room. Cheap to clone.
#[derive(Clone)]
pub struct Kit {
    /// For the servers' names.
    pub resolver: Resolver,
    /// For TLS.
    pub policies: Arc<Policies>,
}

/// Asks every address of the server; each comes back with what is wrong, in words.
pub fn check(
    kit: &Kit,
    site: &Site,
    server: &ServerConfig,
    health: &HealthCheck,
) -> Vec<(SocketAddr, Result<(), String>)> {
    let host = site.domains.iter().find(|domain| !domain.starts_with("*.")).map_or("", String::as_str);
    let route = route(&site.origin, server, host, false);
    // Without an address there is nobody to find fault with.
    let found = kit.resolver.resolve(&route.name, Instant::now() + health.timeout).unwrap_or_else(|_| Arc::from([]));
    let addresses = found.iter().map(|address| SocketAddr::new(*address, route.port)).take(MAX_ADDRESSES);
    addresses.map(|address| (address, check_address(kit, site, &route, address, health))).collect()
}

fn check_address(
    kit: &Kit,
    site: &Site,
    route: &Route,
    address: SocketAddr,
    health: &HealthCheck,
) -> Result<(), String> {
    let words = |failure: Failure| failure.into_error(&route.label).detail;
    let deadline = Instant::now() + health.timeout;
    let mut connection = connect(kit, site, route, address, deadline).map_err(words)?;
    let status = ask(&mut connection, route, health, deadline).map_err(|(cause, phase)| {
        words(Failure { cause, phase, address: Some(address), has_response: connection.received > 0 })
    })?;
    if health.status.contains(&status) {
        return Ok(());
    }
    Err(format!("{} ({address}): GET {} was answered with {status}", route.label, health.path))
}

fn connect(
    kit: &Kit,
    site: &Site,
    route: &Route,
    address: SocketAddr,
    deadline: Instant,
) -> Result<Connection, Failure> {
    let timeouts = &site.origin.timeouts;
    let setting = |cause| Failure::early(cause, Phase::Connect);
    let name = route.server_name().map_err(setting)?;
    let soon = |limit: Duration| deadline.min(Instant::now() + limit);
    let (stream, _) = dial(&[address], soon(timeouts.connect)).map_err(|refused| setting(Cause::Connect(refused)))?;
    let Some(name) = name else { return Ok(Connection::plain(stream, address)) };
    let policy = kit.policies.policy(&site.origin).map_err(setting)?;
    let config = Arc::clone(&policy.config);
    let tls_end = soon(timeouts.tls_handshake);
    Connection::secure(stream, address, config, name, tls_end).map_err(|failure| Failure {
        cause: Cause::Wire(failure),
        phase: Phase::TlsHandshake,
        address: Some(address),
        has_response: false,
    })
}

/// The status of the final head.
fn ask(
    connection: &mut Connection,
    route: &Route,
    health: &HealthCheck,
    deadline: Instant,
) -> Result<u16, (Cause, Phase)> {
    let (path, host) = (&health.path, health.host.as_deref().unwrap_or(&route.host));
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: millpond-health\r\nConnection: close\r\n\r\n");
    let mut left = request.as_bytes();
    let sending = |failure| (Cause::Wire(failure), Phase::SendRequest);
    while !left.is_empty() {
        match connection.try_write(left).map_err(sending)? {
            0 => connection.wait_to_write(deadline).map_err(sending)?,
            count => left = left.get(count..).unwrap_or_default(),
        }
    }
    let reading = |cause| (cause, Phase::ResponseHead);
    let mut answer = Answer::default();
    while !answer.advance(&mut connection.input).map_err(reading)? {
        match connection.fill(deadline) {
            Ok(0) => return Err(reading(Cause::Wire(WireFailure::Closed))),
            Ok(_) => {}
            Err(failure) => return Err(reading(Cause::Wire(failure))),
        }
    }
    let head = answer.into_head();
    head.map(|head| head.status).ok_or_else(|| reading(Cause::Internal("a head came and is not there".into())))
}

const MAX_ADDRESSES: usize = 16;
