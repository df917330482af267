//! From the name that a client asked for to its site.
//!
//! Exact names first, then the most specific wildcard, then the default site. A look-up allocates nothing and takes
//! bounded time whatever the name. Knows nothing of requests.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::Site;

/// Finds the site of a host name.
#[derive(Clone, Debug, Default)]
pub struct Router {
    exact: Names,
    /// By suffix, without the `*.` before it.
    wildcards: Names,
    /// IPv6 addresses have many spellings, so they are compared as numbers.
    addresses: HashMap<Ipv6Addr, Arc<Site>>,
    fallback: Option<Arc<Site>>,
}

type Names = HashMap<Box<str>, Arc<Site>, BuildHasherDefault<NameHash>>;

impl Router {
    /// A router over these sites. Where two claim the same name, which a checked configuration never does, the first
    /// one keeps it.
    pub fn new(sites: &[Arc<Site>]) -> Router {
        let mut router = Router::default();
        for site in sites {
            for domain in &site.domains {
                if let Some(address) = ipv6(domain) {
                    router.addresses.entry(address).or_insert_with(|| site.clone());
                } else if let Some(suffix) = domain.strip_prefix("*.") {
                    router.wildcards.entry(suffix.into()).or_insert_with(|| site.clone());
                } else {
                    router.exact.entry(domain.as_str().into()).or_insert_with(|| site.clone());
                }
            }
            if site.is_default && router.fallback.is_none() {
                router.fallback = Some(site.clone());
            }
        }
        router
    }

    /// The site of a host, given in lower case and without port (IPv6 with or without brackets). `None` means that
    /// nobody answers for it.
    ///
    /// A wildcard covers any depth below its suffix, not the suffix itself: `*.b.c` covers `a.b.c` and `x.a.b.c`.
    pub fn find(&self, host: &str) -> Option<&Arc<Site>> {
        // No name is longer (RFC 1035 §2.3.4); the limit also bounds the walk over a hostile one's many labels.
        let name = host.strip_suffix('.').unwrap_or(host);
        if name.len() <= LONGEST_NAME {
            if let Some(site) = self.exact.get(name).or_else(|| self.find_wildcard(name)) {
                return Some(site);
            }
            if let Some(site) = ipv6(name).and_then(|address| self.addresses.get(&address)) {
                return Some(site);
            }
        }
        self.fallback.as_ref()
    }

    fn find_wildcard(&self, name: &str) -> Option<&Arc<Site>> {
        if self.wildcards.is_empty() || name.starts_with('.') {
            return None;
        }
        let mut rest = name;
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(site) = self.wildcards.get(suffix) {
                return Some(site);
            }
            rest = suffix;
        }
        None
    }
}

/// FNV-1a, a step a byte. All names in the tables are the operator's, so no client can make them collide, and a look-up comes
/// with every request.
#[derive(Clone, Debug)]
struct NameHash(u64);

impl Default for NameHash {
    fn default() -> NameHash {
        NameHash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHash {
    fn write(&mut self, bytes: &[u8]) {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, step);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// An IPv6 address, with or without brackets.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    if !text.contains(':') {
        return None;
    }
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse().ok()
}

/// Letters of the longest name in DNS.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn router(sites: &[(&[&str], bool)]) -> Router {
        let mut text = String::new();
        for (domains, is_default) in sites {
            text += &format!(
                "[[site]]\ndomains = {domains:?}\ndefault = {is_default}\n[site.origin]\nservers = [\"192.0.2.1\"]\n"
            );
        }
        Config::parse(&text, Path::new("test.toml")).unwrap().router()
    }

    #[track_caller]
    fn check(router: &Router, rows: &[(&str, Option<&str>)]) {
        for (host, expected) in rows {
            assert_eq!(router.find(host).map(|site| site.name.as_str()), *expected, "{host:?}");
        }
    }

    #[test]
    fn exact_names_go_before_wildcards_and_the_most_specific_wildcard_wins() {
        let router = router(&[
            (&["*.example.com"], false),
            (&["*.static.example.com"], false),
            (&["img.static.example.com"], false),
        ]);
        check(
            &router,
            &[
                ("img.static.example.com", Some("img.static.example.com")),
                ("img.static.example.com.", Some("img.static.example.com")),
                ("a.static.example.com", Some("*.static.example.com")),
                ("b.a.static.example.com", Some("*.static.example.com")),
                ("static.example.com", Some("*.example.com")),
                ("x.y.example.com", Some("*.example.com")),
                ("example.com", None),
                (".example.com", None),
                ("badexample.com", None),
                ("com", None),
                ("", None),
                (".", None),
            ],
        );
        assert!(router.find(&"a.".repeat(100_000)).is_none());
    }

    #[test]
    fn the_default_site_answers_for_the_rest() {
        let router = router(&[(&["a.example"], false), (&[], true)]);
        check(&router, &[("a.example", Some("a.example")), ("b.example", Some("default")), ("", Some("default"))]);
        assert_eq!(router.find(&"a.".repeat(100_000)).unwrap().name, "default");
    }

    #[test]
    fn ip_literals_are_names_too_in_any_spelling() {
        let router = router(&[(&["192.0.2.7", "2001:DB8::1", "[::1]"], false)]);
        let site = Some("192.0.2.7");
        check(
            &router,
            &[
                ("192.0.2.7", site),
                ("[2001:db8::1]", site),
                ("[2001:db8:0:0::1]", site),
                ("2001:db8::1", site),
                ("[::1]", site),
                ("[::2]", None),
                ("192.0.2.8", None),
            ],
        );
    }

    #[test]
    fn without_a_default_site_an_unknown_name_finds_none() {
        check(&router(&[(&["a.example"], false)]), &[("b.example", None), ("", None)]);
    }
}
