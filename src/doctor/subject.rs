//! What is diagnosed: a URL as a client would ask for it, or a domain name alone. Pure.

use crate::config::{Config, Site};
use crate::policy::redirect::without_port;

/// What a client would ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The accelerated name, lower-case, without port; an IPv6 address in brackets.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// The client uses HTTPS; counts where the origin's protocol follows it.
    pub is_https: bool,
}

impl Subject {
    /// Reads `name`, `name/path`, or a URL with `http://` or `https://`. Without a scheme the client uses plain HTTP.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to write.
    pub fn parse(text: &str) -> Result<Subject, String> {
        let (is_https, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => {
                return Err(format!("{text:?} is no URL of a site; write http://NAME/PATH or https://NAME/PATH"));
            }
            None => (false, text),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(cut).unwrap_or((rest, ""));
        let host = without_port(authority).trim_end_matches('.').to_ascii_lowercase();
        if host.starts_with("*.") {
            return Err(format!(
                "{text:?} is a pattern; write one whole name, such as {:?}",
                host.replacen('*', "www", 1)
            ));
        }
        let is_literal = host.starts_with('[') && host.ends_with(']');
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if host.is_empty() || !(is_literal || is_name) {
            return Err(format!("{text:?} is neither a domain name nor a URL; write www.example.com"));
        }
        if target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(format!("{text:?} has blanks or control characters in it; write them as %20 and the like"));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Subject { host, target, is_https })
    }

    /// What a client of this site would most likely ask for.
    pub(super) fn of_site(config: &Config, site: &Site) -> Subject {
        let concrete = site.domains.iter().find(|domain| !domain.starts_with('*')).cloned();
        let pattern = || site.domains.first().map(|domain| domain.replacen('*', "www", 1));
        let server = || site.origin.servers.first().map(|server| server.name.clone());
        let host = concrete.or_else(pattern).or_else(|| site.origin.host.clone()).or_else(server).unwrap_or_default();
        let is_https = !config.listen.https.is_empty() && site.https.is_some();
        Subject { host: without_port(&host).to_owned(), target: "/".into(), is_https }
    }

    /// As a URL.
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", if self.is_https { "https" } else { "http" }, self.host, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_urls_are_read() {
        let rows = [
            ("a.test", Some(("a.test", "/", false))),
            ("A.Test.", Some(("a.test", "/", false))),
            ("a.test/x?y#z", Some(("a.test", "/x?y", false))),
            ("a.test?q", Some(("a.test", "/?q", false))),
            ("HTTPS://a.test:8443/x", Some(("a.test", "/x", true))),
            ("http://[::1]:80", Some(("[::1]", "/", false))),
            ("http://192.0.2.1/", Some(("192.0.2.1", "/", false))),
            ("ftp://a.test", None),
            ("*.a.test", None),
            ("", None),
            ("/x", None),
            ("a b", None),
            ("a.test/x y", None),
            ("u@a.test", None),
        ];
        for (text, expected) in rows {
            let found = Subject::parse(text).ok();
            let expected = expected.map(|(host, target, is_https)| Subject {
                host: host.to_owned(),
                target: target.to_owned(),
                is_https,
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
