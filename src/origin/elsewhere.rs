//! Fetches from where a redirect leads, which no site need have configured.
//!
//! The name is resolved here once, every address is judged, and only addresses go on to be dialled: what the name turns
//! into a moment later does not count. The rest of the way is the same as to a site's own server, with the site's
//! time-outs and trust; the certificate must bear the name of the redirect.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::choice::is_own_listener;
use super::connector::is_local;
use super::error::{Cause, Failure, FetchError};
use super::guard::prohibited;
use super::request::OriginRequest;
use super::{Fetched, Origins, Report};
use crate::config::{CertificateNames, OriginConfig, OriginProtocol, Role, ServerConfig, Site};
use crate::policy::redirect::{Url, bracketed};
use crate::status::Phase;

/// How far a target is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A server of this very site: its certificate rules hold.
    OfSite,
    /// A server of another site of this operator's.
    Configured,
    /// Chosen by an outsider: private addresses are refused.
    Unknown,
}

impl Standing {
    /// That of host and port among all sites; `site` is the one that fetches.
    pub fn of<'s>(url: &Url, site: &Site, mut sites: impl Iterator<Item = &'s Site>) -> Standing {
        if has_server(&site.origin, url) {
            Standing::OfSite
        } else if sites.any(|site| has_server(&site.origin, url)) {
            Standing::Configured
        } else {
            Standing::Unknown
        }
    }
}

fn has_server(origin: &OriginConfig, url: &Url) -> bool {
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_owned();
    origin.servers.iter().any(|server| {
        let ports = [false, true].map(|client_is_https| origin.destination(server, client_is_https).port);
        bare(&server.name) == bare(&url.host) && ports.contains(&url.port)
    })
}

impl Origins {
    /// As [`Origins::send`], to the host of `url` within `limit`. The request's Host is the URL's.
    pub fn send_elsewhere(
        &self,
        site: &Site,
        url: &Url,
        standing: Standing,
        request: &OriginRequest<'_>,
        limit: Duration,
    ) -> Result<Fetched, FetchError> {
        let started = Instant::now();
        let label = format!("{}:{}", bracketed(&url.host), url.port);
        let told = |error: FetchError| {
            let detail = format!("the origin redirects to {}, and {}", url.text(), error.detail);
            FetchError { detail, ..error }
        };
        let addresses = self.judged(url, standing, started + limit.min(site.origin.timeouts.resolve));
        let addresses = addresses.map_err(|cause| told(Failure::early(cause, Phase::Resolve).into_error(&label)))?;
        let left = limit.saturating_sub(started.elapsed());
        self.send(&stand_in(site, url, standing, &addresses, left), request, None).map_err(told)
    }

    /// The addresses that may be dialled.
    pub(super) fn judged(&self, url: &Url, standing: Standing, deadline: Instant) -> Result<Vec<IpAddr>, Cause> {
        let found = self.resolver.resolve(&url.host, deadline).map_err(Cause::Lookup)?;
        let listeners = self.listeners();
        let is_own = |address: &IpAddr| is_own_listener(SocketAddr::new(*address, url.port), &listeners, is_local);
        if found.iter().all(is_own) {
            return Err(Cause::OwnAddress);
        }
        let is_trusted = self.may_be_private(&url.host, url.port, standing != Standing::Unknown);
        let is_open = |address: &&IpAddr| is_trusted || prohibited(**address).is_none();
        let open: Vec<IpAddr> = found.iter().filter(is_open).take(MAX_ADDRESSES).copied().collect();
        match found.first() {
            Some(address) if open.is_empty() => Err(Cause::Prohibited(*address, prohibited(*address).unwrap_or(""))),
            _ => Ok(open),
        }
    }
}

impl FetchError {
    /// The origin redirects to itself in the other scheme, for ever.
    pub fn redirect_to_itself(report: &Report, wants_https: bool) -> FetchError {
        let cause = Cause::RedirectsToItself { wants_https };
        let failure = Failure { cause, phase: Phase::ResponseHead, address: report.address, has_response: true };
        failure.into_error(&report.origin)
    }
}

/// The site as it would be with the target's addresses for its servers.
pub(super) fn stand_in(site: &Site, url: &Url, standing: Standing, addresses: &[IpAddr], left: Duration) -> Site {
    let server = |address: &IpAddr| ServerConfig {
        name: address.to_string(),
        port: Some(url.port),
        role: Role::Primary,
        weight: 1,
        host: None,
        sni: None,
    };
    let mut stand_in = site.clone();
    let origin = &mut stand_in.origin;
    origin.servers = addresses.iter().map(server).collect();
    origin.protocol = Some(if url.is_https { OriginProtocol::Https } else { OriginProtocol::Http });
    (origin.http_port, origin.https_port) = (None, None);
    origin.host = Some(url.authority());
    origin.sni = Some(url.host.clone());
    origin.timeouts.head = left;
    if standing != Standing::OfSite {
        origin.common_name_whitelist.clear();
        origin.pin.clear();
        origin.client_certificate = None;
        origin.certificate_names = CertificateNames::SanOrCn;
    }
    stand_in
}

/// More are not tried: each is a server of its own here.
const MAX_ADDRESSES: usize = 4;
