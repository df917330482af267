//! Which servers a fetch may go to, in which order, and what TCP, TLS and HTTP are told there. Pure.
//!
//! Primary before backup, each in the order of the list. Host and SNI follow origin-fetch.md section 1. Refuses to know
//! of addresses and of what happened to earlier fetches.

use std::net::{IpAddr, SocketAddr};

use rustls::pki_types::ServerName;

use super::error::Cause;
use crate::config::{OriginConfig, Role, ServerConfig};

/// One server as a fetch sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What the resolver is asked for: a name, or an IP literal without brackets.
    pub name: String,
    /// TCP port.
    pub port: u16,
    /// `name:port`, for people.
    pub label: String,
    /// The Host field.
    pub host: String,
    /// SNI and expected name of a TLS server, as text; `None`: plain HTTP.
    pub sni: Option<String>,
}

/// The servers for one request, best first. `host` is the name that the client asked for, without port; empty if it
/// asked for none (HTTP/1.0).
pub fn routes(origin: &OriginConfig, host: &str, client_is_https: bool) -> Vec<Route> {
    let with_role = |role| origin.servers.iter().filter(move |server| server.role == role);
    let ordered = with_role(Role::Primary).chain(with_role(Role::Backup));
    ordered.map(|server| route(origin, server, host, client_is_https)).collect()
}

fn route(origin: &OriginConfig, server: &ServerConfig, host: &str, client_is_https: bool) -> Route {
    let destination = origin.destination(server, client_is_https);
    let asked = if host.is_empty() { bracketed(&server.name) } else { host.to_owned() };
    let host = server.host.clone().or_else(|| origin.host.clone()).unwrap_or(asked);
    let sni = || server.sni.clone().or_else(|| origin.sni.clone()).unwrap_or_else(|| without_port(&host).to_owned());
    Route {
        label: format!("{}:{}", bracketed(&destination.name), destination.port),
        sni: destination.is_tls.then(sni),
        name: destination.name,
        port: destination.port,
        host,
    }
}

impl Route {
    /// The SNI as TLS wants it. An IP address is legal here: rustls then sends no SNI and compares with the
    /// certificate's IP addresses.
    pub fn server_name(&self) -> Result<Option<ServerName<'static>>, Cause> {
        let Some(sni) = &self.sni else { return Ok(None) };
        let name = sni.strip_suffix('.').unwrap_or(sni).to_owned();
        match ServerName::try_from(name) {
            Ok(name) => Ok(Some(name)),
            Err(_) => Err(Cause::Setting(format!("{sni:?} cannot be a server name in TLS; set sni to a host name"))),
        }
    }
}

/// Is `address` one of the listeners of this process? `is_local` tells whether an address is the machine's own; it is
/// asked only where a listener on all addresses has the same port.
pub fn is_own_listener(address: SocketAddr, listeners: &[SocketAddr], is_local: impl Fn(IpAddr) -> bool) -> bool {
    listeners.iter().filter(|listener| listener.port() == address.port()).any(|listener| {
        // `[::]` takes IPv4 too unless told otherwise; `0.0.0.0` as a target means this machine.
        let reaches_family = listener.is_ipv6() || address.is_ipv4();
        let is_same = listener.ip() == address.ip().to_canonical() || listener.ip() == address.ip();
        is_same || (listener.ip().is_unspecified() && reaches_family && is_local(address.ip().to_canonical()))
    })
}

fn bracketed(name: &str) -> String {
    if name.contains(':') { format!("[{name}]") } else { name.to_owned() }
}

/// The host of `host[:port]`, without the brackets of an IPv6 literal.
fn without_port(host: &str) -> &str {
    if let Some(literal) = host.strip_prefix('[') {
        return literal.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_the_server_name() {
        let rows = [("a.example", "a.example"), ("a.example:8443", "a.example"), ("[::1]:80", "::1"), ("[::1]", "::1")];
        for (host, name) in rows {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn server_names_are_checked_before_anyone_is_dialled() {
        let route = |sni: &str| Route {
            name: String::new(),
            port: 1,
            label: String::new(),
            host: String::new(),
            sni: Some(sni.into()),
        };
        assert!(matches!(route("a.example").server_name(), Ok(Some(ServerName::DnsName(_)))));
        assert!(matches!(route("a.example.").server_name(), Ok(Some(ServerName::DnsName(_)))));
        assert!(matches!(route("192.0.2.1").server_name(), Ok(Some(ServerName::IpAddress(_)))));
        for bad in ["*.example", "", "a b"] {
            assert!(matches!(route(bad).server_name(), Err(Cause::Setting(_))), "{bad:?}");
        }
    }

    #[test]
    fn own_listeners_are_recognised() {
        let local = |address: IpAddr| address.is_loopback() || address == IpAddr::from([10, 0, 0, 1]);
        let rows = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:81", "127.0.0.1:80", false),
            ("10.0.0.1:80", "127.0.0.1:80", false),
            ("10.0.0.1:80", "0.0.0.0:80", true),
            ("10.0.0.2:80", "0.0.0.0:80", false),
            ("127.0.0.1:80", "[::]:80", true),
            ("[::1]:80", "[::]:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
        ];
        for (address, listener, is_own) in rows {
            let (address, listener) = (address.parse().unwrap(), listener.parse().unwrap());
            assert_eq!(is_own_listener(address, &[listener], local), is_own, "{address} {listener}");
        }
    }
}
