//! One question to the system's resolver. The only door to `dns_lookup`.
//!
//! Knows how a name is asked (trailing dot, hosts file) and what the answer means. Refuses to know of caches, threads
//! and deadlines: the call blocks for as long as the C library likes, so `resolver` runs it on threads of its own.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFailure {
    /// There is no such name (NXDOMAIN).
    NoName,
    /// The name exists and has no address (NODATA).
    NoData,
    /// A name server answered that it cannot tell now (SERVFAIL, REFUSED, garbage).
    Again,
    /// No name server answered in time.
    Timeout,
    /// The C library itself failed: no memory, no descriptor, a broken configuration.
    System,
}

impl LookupFailure {
    /// What happened, for an operator.
    pub fn words(self) -> &'static str {
        match self {
            LookupFailure::NoName => "there is no such name",
            LookupFailure::NoData => "the name exists but has no address",
            LookupFailure::Again => "the name server failed (SERVFAIL or REFUSED)",
            LookupFailure::Timeout => "the name server did not answer in time",
            LookupFailure::System => "the system's resolver failed",
        }
    }

    /// The DNS response code for `Proxy-Status` (RFC 9209 §2.3.2), as far as the C library lets one know it.
    pub fn rcode(self) -> Option<&'static str> {
        match self {
            LookupFailure::NoName => Some("NXDOMAIN"),
            LookupFailure::NoData => Some("NODATA"),
            LookupFailure::Again => Some("SERVFAIL"),
            LookupFailure::Timeout | LookupFailure::System => None,
        }
    }
}

/// Asks the system for the stream addresses of `name`, in the order of RFC 6724. Blocks; cannot be cancelled.
pub fn system_lookup(name: &str) -> Result<Vec<IpAddr>, LookupFailure> {
    let hosts = std::fs::read_to_string(HOSTS_FILE).unwrap_or_default();
    let asked = query_name(name, &hosts);
    // Without the stream hint every address comes three times. No AI_ADDRCONFIG: it hides 127.0.0.1 on hosts that
    // have no other address.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let started = Instant::now();
    let found = getaddrinfo(Some(&asked), None, Some(hints));
    let elapsed = started.elapsed();
    let mut addresses: Vec<IpAddr> = Vec::new();
    for info in found.map_err(|error| judge(error.kind(), elapsed))?.flatten() {
        let address = info.sockaddr.ip();
        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(LookupFailure::NoData) } else { Ok(addresses) }
}

/// SERVFAIL and silence have the same code and differ only in the time they take (measured: at once, or one resolver
/// time-out and more).
fn judge(kind: LookupErrorKind, elapsed: Duration) -> LookupFailure {
    match kind {
        LookupErrorKind::Again if elapsed >= SLOW => LookupFailure::Timeout,
        LookupErrorKind::Again => LookupFailure::Again,
        LookupErrorKind::NoName => LookupFailure::NoName,
        LookupErrorKind::NoData => LookupFailure::NoData,
        LookupErrorKind::Fail => LookupFailure::Again,
        _ => LookupFailure::System,
    }
}

/// How a configured name is asked. A name of several labels is absolute: a trailing dot keeps the search list of
/// `resolv.conf` away from it. But the hosts file is compared literally, so a name listed there goes as written, and so
/// does a single label (`localhost`, container names), which may need the search list.
fn query_name(name: &str, hosts: &str) -> String {
    if name.ends_with('.') || !name.contains('.') || is_listed(name, hosts) {
        name.to_owned()
    } else {
        format!("{name}.")
    }
}

fn is_listed(name: &str, hosts: &str) -> bool {
    hosts.lines().any(|line| {
        let entry = line.split('#').next().unwrap_or_default();
        entry.split_whitespace().skip(1).any(|listed| listed.eq_ignore_ascii_case(name))
    })
}

const HOSTS_FILE: &str = "/etc/hosts";
/// More addresses than anyone can try within a connect deadline.
const MAX_ADDRESSES: usize = 32;
/// The shortest time-out that `resolv.conf` can express.
const SLOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_several_labels_are_asked_as_absolute_ones() {
        let hosts =
            "127.0.0.1 localhost\n# 10.0.0.1 commented.example\n10.0.0.2 db.internal www.listed.example # x.example\n";
        let rows = [
            ("origin.example.net", "origin.example.net."),
            ("origin.example.net.", "origin.example.net."),
            ("localhost", "localhost"),
            ("www.listed.example", "www.listed.example"),
            ("WWW.Listed.Example", "WWW.Listed.Example"),
            ("commented.example", "commented.example."),
            ("x.example", "x.example."),
        ];
        for (name, asked) in rows {
            assert_eq!(query_name(name, hosts), asked, "{name}");
        }
    }

    #[test]
    fn silence_is_told_from_refusal_by_the_time_it_takes() {
        let quick = Duration::from_millis(20);
        let slow = Duration::from_secs(4);
        assert_eq!(judge(LookupErrorKind::Again, quick), LookupFailure::Again);
        assert_eq!(judge(LookupErrorKind::Again, slow), LookupFailure::Timeout);
        assert_eq!(judge(LookupErrorKind::NoName, slow), LookupFailure::NoName);
        assert_eq!(judge(LookupErrorKind::NoData, quick), LookupFailure::NoData);
        assert_eq!(judge(LookupErrorKind::Memory, quick), LookupFailure::System);
    }

    #[test]
    fn localhost_is_found_without_a_network() {
        let found = system_lookup("localhost").unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
