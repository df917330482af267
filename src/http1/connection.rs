//! The Connection field and the fields that end at each hop (RFC 9110 §7.6.1).
//!
//! A proxy removes the standard hop-by-hop fields and those that Connection lists. But a listed name is a request to
//! delete something, and some deletions would change who may see a response, so those names stay whatever is listed.

use super::framing::is_token;
use super::head::Version;

/// More names than this in the Connection lines of one message are refused by the parsers.
pub(super) const MAX_OPTIONS: usize = 64;

/// Is the field one of those that every proxy removes (RFC 9110 §7.6.1, RFC 9111 §3.1)? The proxy writes its own where it needs them.
pub fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The names listed in the Connection lines of one message.
#[derive(Clone, Debug, Default)]
pub struct ConnectionOptions<'a> {
    names: Vec<&'a [u8]>,
}

impl<'a> ConnectionOptions<'a> {
    /// Gathers the names out of all Connection lines among `fields`. Allocates only where a name is listed that can
    /// be dropped at all. Holds at most 64 names, which is what the parsers let through.
    pub fn of<N: AsRef<str>>(fields: impl Iterator<Item = (N, &'a [u8])>) -> ConnectionOptions<'a> {
        let names = fields
            .filter(|(name, _)| name.as_ref().eq_ignore_ascii_case("connection"))
            .flat_map(|(_, value)| options(value))
            .filter(|name| !is_flag(name) && !is_protected(name))
            .take(MAX_OPTIONS)
            .collect();
        ConnectionOptions { names }
    }

    /// Must the field be left out of what is sent on: hop-by-hop by nature, or listed and not protected?
    pub fn drops(&self, name: &str) -> bool {
        is_hop_by_hop(name) || self.lists(name)
    }

    /// Is the field listed and not protected?
    pub fn lists(&self, name: &str) -> bool {
        self.names.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// What the Connection lines say about the connection itself, gathered line by line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Persistence {
    close: bool,
    keep_alive: bool,
    options: usize,
    /// There are options that concern more than the connection itself, so they may name fields.
    pub(super) names_fields: bool,
}

impl Persistence {
    /// Takes a Connection line; the error is the reason for refusal.
    pub(super) fn add(&mut self, value: &[u8]) -> Result<(), &'static str> {
        for option in options(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.names_fields |= !is_flag(option);
            self.options = self.options.saturating_add(1);
        }
        if self.options > MAX_OPTIONS { Err("more than 64 connection options") } else { Ok(()) }
    }

    /// May another message follow on this connection (RFC 9112 §9.3)?
    pub(super) fn persists(self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// The members of one Connection line. What is no token names no field and is passed over.
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| is_token(option))
}

fn is_flag(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"close") || name.eq_ignore_ascii_case(b"keep-alive")
}

fn is_protected(name: &[u8]) -> bool {
    let has_prefix =
        |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    PROTECTED.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
        || PROTECTED_PREFIXES.iter().any(has_prefix)
}

const HOP_BY_HOP: [&str; 10] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// Fields whose loss would change where a message goes, how long it is, what it means, or who may store or see it.
const PROTECTED: [&str; 30] = [
    "Accept-Ranges",
    "Age",
    "Authorization",
    "Cache-Control",
    "CDN-Cache-Control",
    "CDN-Loop",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Security-Policy",
    "Content-Type",
    "Cookie",
    "Date",
    "ETag",
    "Expires",
    "Forwarded",
    "Host",
    "Last-Modified",
    "Location",
    "Max-Forwards",
    "Millpond-Cache-Control",
    "Pragma",
    "Range",
    "Set-Cookie",
    "Strict-Transport-Security",
    "Surrogate-Control",
    "Vary",
    "Via",
    "WWW-Authenticate",
    "X-Real-IP",
];

const PROTECTED_PREFIXES: [&str; 3] = ["X-Forwarded-", "Access-Control-", "If-"];

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(lines: &'a [(&'a str, &'a str)]) -> ConnectionOptions<'a> {
        ConnectionOptions::of(lines.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    #[test]
    fn drops_the_standard_set_and_what_is_listed() {
        let options = of(&[("connection", "X-One, close"), ("Via", "x-four"), ("CONNECTION", " ,x-TWO\t,,x three")]);
        for name in ["x-one", "X-Two", "te", "TRAILER", "Upgrade", "keep-alive", "proxy-connection"] {
            assert!(options.drops(name), "{name}");
        }
        for name in ["close", "x-three", "x three", "x-four", "x-on", ""] {
            assert!(!options.drops(name), "{name}");
        }
    }

    #[test]
    fn never_drops_what_guards_a_response() {
        let options = of(&[(
            "Connection",
            "Host, cache-control, Cookie, SET-COOKIE, authorization, content-length, x-forwarded-for, vary, via, if-range",
        )]);
        for name in [
            "Host",
            "Cache-Control",
            "Cookie",
            "Set-Cookie",
            "Authorization",
            "X-Forwarded-For",
            "Vary",
            "Via",
            "If-Range",
        ] {
            assert!(!options.drops(name), "{name}");
        }
    }

    #[test]
    fn persistence_follows_version_and_options() {
        for (value, http10, http11) in [
            ("", false, true),
            ("keep-alive", true, true),
            ("Close", false, false),
            ("keep-alive, close", false, false),
            ("x, Keep-Alive", true, true),
            ("closed", false, true),
        ] {
            let mut persistence = Persistence::default();
            persistence.add(value.as_bytes()).unwrap();
            assert_eq!(persistence.persists(Version::Http10), http10, "{value}");
            assert_eq!(persistence.persists(Version::Http11), http11, "{value}");
        }
    }

    #[test]
    fn a_flood_of_options_is_refused() {
        let mut persistence = Persistence::default();
        assert!(persistence.add("a,".repeat(64).as_bytes()).is_ok());
        assert!(persistence.add(b"a").is_err());
    }
}
