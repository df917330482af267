//! Purging as its users say it: addresses, directories, patterns, sites and groups, put into the words of the cache.

use std::fmt;
use std::sync::Arc;

use super::route::key_of;
use super::{Live, Proxy};
use crate::cache::Which;
use crate::config::Site;
use crate::policy::key::{KeyParts, origin_of};
use crate::policy::redirect::without_port;

/// Stored responses to be taken out of use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purge {
    /// Which.
    pub scope: Scope,
    /// Make them stale instead of removing them: the next use validates with the origin, and they are served meanwhile
    /// where their `stale-while-revalidate` allows it, or where the origin fails and nothing forbids it.
    pub is_soft: bool,
    /// Take nothing, only say how many it would be.
    pub is_count: bool,
}

/// Which stored responses a [`Purge`] takes. Addresses are absolute, of `http` or `https`, as clients ask for them: their
/// path and query are compared byte by byte, their port does not count. A site that shares its responses between schemes
/// or between domains shares their purges too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// One address, with all its variants.
    Url(String),
    /// A directory and all below it: `https://www.example.com/img/`, with or without the last slash.
    Prefix(String),
    /// All addresses that fit a pattern: in path and query each `*` stands for any number of any letters, slashes too.
    /// Without a query in the pattern, `*.jpg` does not fit `a.jpg?v=2`; `*.jpg*` does.
    Glob(String),
    /// All domains of a site, by its name or by one of them.
    Site(String),
    /// All of one origin (scheme and host, as `https://www.example.com`) that say they belong to a cache group (RFC 9875).
    Group {
        /// An address of the origin; what follows its host does not count.
        origin: String,
        /// The name, compared byte by byte.
        name: String,
    },
    /// All that is stored.
    Everything,
}

/// What a [`Purge`] took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Stored responses removed, or made stale that were not so by a purge already; each variant counts.
    pub responses: u64,
}

/// Why a [`Purge`] means nothing here: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeError(String);

impl Purge {
    /// Removes what the scope names.
    pub fn hard(scope: Scope) -> Purge {
        Purge { scope, is_soft: false, is_count: false }
    }

    /// Makes it stale.
    pub fn soft(scope: Scope) -> Purge {
        Purge { is_soft: true, ..Purge::hard(scope) }
    }

    /// Only counts it.
    pub fn count(scope: Scope) -> Purge {
        Purge { is_count: true, ..Purge::hard(scope) }
    }
}

impl fmt::Display for PurgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PurgeError {}

impl Proxy {
    /// Carries a purge out; see [`Edge::purge`](crate::Edge::purge).
    pub fn purge(&self, purge: &Purge) -> Result<Purged, PurgeError> {
        let which = which(&self.core.live(), &purge.scope)?;
        let cache = &self.core.cache;
        let responses = if purge.is_count { cache.count(which) } else { cache.purge(which, !purge.is_soft) };
        Ok(Purged { responses })
    }
}

impl Proxy {
    /// The addresses whose responses a purge of this scope takes, as far as keys tell them: a million at most. The one
    /// address of a scope is there in any case.
    pub fn urls_of(&self, scope: &Scope) -> Result<Vec<String>, PurgeError> {
        let live = self.core.live();
        let which = which(&live, scope)?;
        if let Scope::Url(url) = scope {
            return Ok(vec![url.clone()]);
        }
        let mut urls = Vec::new();
        self.core.cache.each_key(&which, &mut |key| {
            if urls.len() < MOST_URLS {
                urls.extend(url_of(&live, key));
            }
        });
        urls.sort_unstable();
        urls.dedup();
        Ok(urls)
    }
}

/// The address that a key was made of; `None` where it is none of a request's.
fn url_of(live: &Live, key: &[u8]) -> Option<String> {
    let parts = KeyParts::of(key).filter(|parts| parts.target.starts_with('/'))?;
    let host = parts.host?;
    let site = live.router.find(host)?;
    // What its domains share has the site's name there, which may stand for many.
    let host = if host.starts_with('*') { site.domains.iter().find(|name| !name.starts_with('*'))? } else { host };
    let scheme = parts.scheme.unwrap_or(if site.https.is_some() { "https" } else { "http" });
    Some(format!("{scheme}://{host}{}", parts.target))
}

/// As many as a task may have.
const MOST_URLS: usize = 1_000_000;

fn which(live: &Arc<Live>, scope: &Scope) -> Result<Which, PurgeError> {
    Ok(match scope {
        Scope::Url(url) => Which::Resource(Address::of(url)?.key(live)?.into()),
        Scope::Prefix(url) => {
            let address = Address::of(url)?;
            if address.target.contains('?') {
                let what = format!("{url:?} has a query, and a directory has none");
                return Err(PurgeError(format!(
                    "{what}: leave it out, or give a glob with * in the place of what varies"
                )));
            }
            let mut key = address.key(live)?;
            if !key.ends_with(b"/") {
                key.push(b'/');
            }
            Which::Beginning(key.into())
        }
        Scope::Glob(url) => {
            let address = Address::of(url)?;
            Which::Glob(origin_of(&address.key(live)?).into(), address.target.as_bytes().into())
        }
        Scope::Site(name) => {
            let (site, live) = (site(live, name)?, live.clone());
            Which::Hosts(Box::new(move |host| match host {
                // What all domains share has no domain's name in its key.
                Some(host) if site.share_domains => host.eq_ignore_ascii_case(&site.name),
                Some(host) => live.router.find(host).is_some_and(|found| Arc::ptr_eq(found, &site)),
                None => site.share_domains,
            }))
        }
        Scope::Group { origin, name } => {
            let key = Address::of(origin)?.key(live)?;
            Which::Groups(origin_of(&key).into(), Box::new([name.as_bytes().into()]))
        }
        Scope::Everything => Which::Everything,
    })
}

/// The site of that name, or with that domain.
fn site(live: &Live, name: &str) -> Result<Arc<Site>, PurgeError> {
    let name = name.to_ascii_lowercase();
    let is_named = |site: &&Arc<Site>| site.name.eq_ignore_ascii_case(&name) || site.domains.contains(&name);
    let named = live.config.sites.iter().find(is_named).or_else(|| live.router.find(&name));
    named.cloned().ok_or_else(|| unknown(&name))
}

fn unknown(host: &str) -> PurgeError {
    PurgeError(format!("no site is configured for {host:?}: give a domain that a [[site]] lists"))
}

/// An absolute address, as a request for it would say it.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    is_https: bool,
    /// In lower case, without port.
    host: String,
    /// Path and query.
    target: String,
}

impl Address {
    fn of(text: &str) -> Result<Address, PurgeError> {
        let refuse = |why: &str| {
            PurgeError(format!("{text:?} {why}: give an absolute address such as https://www.example.com/img/a.jpg"))
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("has no scheme"))?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(refuse("has a scheme that nothing is stored for"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        if rest.split(['/', '?']).next().is_some_and(|authority| !authority.is_ascii()) {
            return Err(refuse("has a host in letters that DNS does not have; write it as xn--…"));
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("holds a letter that no address has; what is not ASCII is written as %XX"));
        }
        let (authority, target) =
            rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len())).unwrap_or((rest, ""));
        if authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']') && !port.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(refuse("has a port that is no number"));
        }
        let host = without_port(authority);
        // The dot at the end makes no other name of it (RFC 3986 §3.2.2).
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.is_empty() || host.contains('@') {
            return Err(refuse("names no host"));
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Address { is_https, host: host.to_ascii_lowercase(), target: format!("{slash}{target}") })
    }

    /// The key that a request for it has.
    fn key(&self, live: &Live) -> Result<Vec<u8>, PurgeError> {
        let site = live.router.find(&self.host).ok_or_else(|| unknown(&self.host))?;
        let mut key = Vec::new();
        key_of(&mut key, site, &self.host, &self.target, self.is_https);
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_clients_ask_for_them() {
        let rows = [
            ("http://a.test", Some((false, "a.test", "/"))),
            ("HTTPS://A.Test:8443/X?y#z", Some((true, "a.test", "/X?y"))),
            ("http://a.test?y", Some((false, "a.test", "/?y"))),
            ("http://a.test./x", Some((false, "a.test", "/x"))),
            ("http://[::1]/x", Some((false, "[::1]", "/x"))),
            ("http://[::1]:80/x:y", Some((false, "[::1]", "/x:y"))),
            ("a.test/x", None),
            ("ftp://a.test/x", None),
            ("http:///x", None),
            ("http://u@a.test/x", None),
            ("http://a.test/a b", None),
            ("http://a.test/\u{e9}", None),
            ("http://a.test:x/", None),
            ("http://a.test:/x", Some((false, "a.test", "/x"))),
            ("http://a.test/x#\u{e9}", Some((false, "a.test", "/x"))),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|(is_https, host, target)| Address {
                is_https,
                host: host.to_owned(),
                target: target.to_owned(),
            });
            assert_eq!(Address::of(text).ok(), expected, "{text}");
        }
        let error = Address::of("a.test/x").unwrap_err().to_string();
        assert!(error.starts_with("\"a.test/x\" has no scheme: give"), "{error}");
        assert!(Address::of("http://b\u{fc}cher.test/").unwrap_err().to_string().contains("xn--"));
    }
}
