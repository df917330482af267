//! Which servers a fetch may go to, in which order, and what TCP, TLS and HTTP are told there. Pure.
//!
//! Primary before backup, among equals by weight. Host and SNI follow origin-fetch.md section 1. Refuses to know of
//! addresses and of what happened to earlier fetches.

use std::net::{IpAddr, SocketAddr};

use rustls::pki_types::ServerName;

use super::error::Cause;
use crate::config::{OriginConfig, Role, ServerConfig};
use crate::policy::redirect::{bare_host, bracketed};

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

/// The servers for one request, best first.
#[derive(Clone)]
pub struct Candidates<'a> {
    origin: &'a OriginConfig,
    host: &'a str,
    client_is_https: bool,
    order: std::vec::IntoIter<&'a ServerConfig>,
}

impl<'a> Candidates<'a> {
    /// For request number `turn` of the site. `host` is the name that the client asked for, without port; empty if it
    /// asked for none (HTTP/1.0).
    pub fn new(origin: &'a OriginConfig, host: &'a str, client_is_https: bool, turn: u64) -> Candidates<'a> {
        Candidates { origin, host, client_is_https, order: order(&origin.servers, turn).into_iter() }
    }
}

impl Candidates<'_> {
    /// Name and port of those that are left.
    pub fn rest(&self) -> impl Iterator<Item = (&str, u16)> {
        self.order
            .as_slice()
            .iter()
            .map(|server| (server.name.as_str(), self.origin.destination(server, self.client_is_https).port))
    }
}

impl Iterator for Candidates<'_> {
    type Item = Route;

    fn next(&mut self) -> Option<Route> {
        let server = self.order.next()?;
        Some(route(self.origin, server, self.host, self.client_is_https))
    }
}

/// Primaries, then backups, each kind by weight: over as many turns in a row as the weights add up to, each server
/// comes first exactly as often as its weight says. What is left is shared out alike, by another digit of `turn`, so that
/// the share of a dead server goes to all others by their weights.
fn order(servers: &[ServerConfig], turn: u64) -> Vec<&ServerConfig> {
    if let [only] = servers {
        return vec![only];
    }
    let mut order = Vec::with_capacity(servers.len());
    for role in [Role::Primary, Role::Backup] {
        let mut left: Vec<&ServerConfig> = servers.iter().filter(|server| server.role == role).collect();
        let mut turn = turn;
        while !left.is_empty() {
            let unit = left.iter().fold(0, |unit, server| gcd(unit, server.weight.into())).max(1);
            let weight = |server: &ServerConfig| u64::from(server.weight) / unit;
            let total = left.iter().map(|server| weight(server)).sum::<u64>().max(1);
            let mut place = spread(turn, total);
            turn /= total;
            let chosen = left.iter().position(|server| {
                let is_here = place < weight(server);
                place = place.saturating_sub(weight(server));
                is_here
            });
            order.push(left.remove(chosen.unwrap_or(0)));
        }
    }
    order
}

/// Takes the places 0 to `total` - 1 in steps near the golden section, so that neighbours in time are far apart in place
/// and no server gets its share in one go. Every place comes once in `total` turns.
fn spread(turn: u64, total: u64) -> u64 {
    let golden = total.saturating_mul(618) / 1000;
    let step = (golden..=total).find(|step| gcd(*step, total) == 1).unwrap_or(1);
    (turn % total).wrapping_mul(step) % total
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What a server is asked for, and under which names.
pub fn route(origin: &OriginConfig, server: &ServerConfig, host: &str, client_is_https: bool) -> Route {
    let destination = origin.destination(server, client_is_https);
    let asked = if host.is_empty() { bracketed(&server.name) } else { host.to_owned() };
    let host = server.host.clone().or_else(|| origin.host.clone()).unwrap_or(asked);
    let sni = || server.sni.clone().or_else(|| origin.sni.clone()).unwrap_or_else(|| bare_host(&host).to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(rows: &[(Role, u32)]) -> Vec<ServerConfig> {
        let server = |(index, (role, weight)): (usize, &(Role, u32))| ServerConfig {
            name: index.to_string(),
            port: None,
            role: *role,
            weight: *weight,
            host: None,
            sni: None,
        };
        rows.iter().enumerate().map(server).collect()
    }

    /// How often each server comes at this place of the order, over `turns` turns from `start`; servers that `is_dead`
    /// names are passed over.
    fn shares(servers: &[ServerConfig], start: u64, turns: u64, is_dead: &[usize]) -> Vec<u64> {
        let mut counts = vec![0; servers.len()];
        for turn in start..start + turns {
            let names = order(servers, turn).into_iter().map(|server| server.name.parse::<usize>().unwrap());
            counts[names.into_iter().find(|index| !is_dead.contains(index)).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn equals_share_by_weight_and_backups_get_nothing_while_a_primary_lives() {
        use Role::{Backup, Primary};
        /// Servers, the dead among them, shares of 3600 turns.
        type Row<'a> = (&'a [(Role, u32)], &'a [usize], &'a [u64]);
        let rows: &[Row<'_>] = &[
            (&[(Primary, 1)], &[], &[3600]),
            (&[(Primary, 1), (Primary, 1)], &[], &[1800, 1800]),
            (&[(Primary, 3), (Primary, 1)], &[], &[2700, 900]),
            (&[(Primary, 1), (Primary, 2), (Primary, 3)], &[], &[600, 1200, 1800]),
            (&[(Backup, 5), (Primary, 1), (Primary, 1)], &[], &[0, 1800, 1800]),
            (&[(Backup, 1), (Primary, 1), (Backup, 2)], &[1], &[1200, 0, 2400]),
            (&[(Primary, 2), (Primary, 1), (Primary, 1)], &[0], &[0, 1800, 1800]),
            (&[(Primary, 1), (Primary, 1), (Primary, 1)], &[1], &[1800, 0, 1800]),
        ];
        for (servers_of, dead, expected) in rows {
            for start in [0, 7, 3601] {
                assert_eq!(shares(&servers(servers_of), start, 3600, dead), *expected, "{servers_of:?} from {start}");
            }
        }
    }

    #[test]
    fn a_heavy_server_does_not_get_its_share_in_one_go() {
        for (weights, expected) in [([5, 5], "0101010101"), ([5, 3], "0101001001"), ([30, 10], "0100010001")] {
            let servers = servers(&weights.map(|weight| (Role::Primary, weight)));
            let firsts: String = (0..10).map(|turn| order(&servers, turn)[0].name.as_str()).collect();
            assert_eq!(firsts, expected, "{weights:?}");
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
