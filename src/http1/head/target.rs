//! The request target (RFC 9112 §3.2) and the host it names.
//!
//! Checks, and takes an absolute target apart; changes nothing but a path that is missing. Percent-encoding, dot segments
//! and case are left as sent, since the cache key and the origin must see the same bytes.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::request::RequestError;

/// A request target that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'b> {
    /// Path and query, or `*` where OPTIONS asks about the server itself. Owned only where the path was left out before a
    /// query.
    pub(super) path: Cow<'b, str>,
    /// Of the absolute form: host and port with the host's length.
    pub(super) authority: Option<Authority<'b>>,
}

/// `host[:port]` that has been checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Authority<'b> {
    pub(super) text: &'b str,
    /// Length of the host in `text`, with the brackets of an IPv6 address, without the dot that may end a name: with it the
    /// name is the same (RFC 3986 §3.2.2).
    pub(super) host: usize,
}

impl<'b> Target<'b> {
    /// Origin form for all methods, absolute form of http and https, `*` for OPTIONS.
    pub(super) fn parse(method: &str, target: &'b str) -> Result<Target<'b>, RequestError> {
        // A backslash is a slash to some readers. No early exit, so that the compiler can look at many bytes a step.
        let is_wrong = |wrong, byte: &u8| wrong | !byte.is_ascii_graphic() | (*byte == b'#') | (*byte == b'\\');
        if target.as_bytes().iter().fold(false, is_wrong) {
            return Err(RequestError::bad("byte in the target that no target may hold"));
        }
        if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
            return Ok(Target { path: target.into(), authority: None });
        }
        let rest = ["http://", "https://"].iter().find_map(|scheme| strip_prefix_ignoring_case(target, scheme));
        let rest = rest.ok_or(RequestError::bad("target is neither a path nor an http address"))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        // An empty path is `/` (RFC 9110 §4.2.3); OPTIONS without a query too is about the server (RFC 9112 §3.2.4).
        let path = match path {
            "" if method == "OPTIONS" => "*".into(),
            "" => "/".into(),
            _ if path.starts_with('?') => format!("/{path}").into(),
            _ => path.into(),
        };
        Ok(Target { path, authority: Some(Authority::parse(authority.as_bytes())?) })
    }
}

impl<'b> Authority<'b> {
    /// A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port (RFC 3986 §3.2). Narrower than the
    /// grammar: user information, percent-encoding and punctuation have no place in a name that is looked up.
    pub(super) fn parse(bytes: &'b [u8]) -> Result<Authority<'b>, RequestError> {
        let host = match bytes {
            [b'[', ..] => address_length(bytes),
            _ => name_length(bytes),
        };
        let (name, port) = bytes.split_at_checked(host).unwrap_or_default();
        let is_port = match port {
            [] => true,
            [b':', digits @ ..] => is_port_number(digits),
            _ => false,
        };
        match std::str::from_utf8(bytes) {
            Ok(text) if is_port && !name.is_empty() && name.len() <= MAX_HOST => {
                Ok(Authority { text, host: name.strip_suffix(b".").unwrap_or(name).len() })
            }
            _ => Err(RequestError::bad("invalid host")),
        }
    }
}

/// How far an IPv6 address in brackets goes; 0 where there is none.
fn address_length(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|byte| *byte == b']').unwrap_or(0);
    let address = bytes.get(1..end).and_then(|address| std::str::from_utf8(address).ok());
    if address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()) { end.saturating_add(1) } else { 0 }
}

/// How far a name goes: labels with a dot between them, and perhaps one behind.
fn name_length(bytes: &[u8]) -> usize {
    let mut last = b'.';
    let ends_at = |byte: &u8| {
        let before = std::mem::replace(&mut last, *byte);
        match byte {
            b'.' => before == b'.',
            _ => !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
        }
    };
    bytes.iter().position(ends_at).unwrap_or(bytes.len())
}

/// An empty port is grammatical (RFC 3986 §3.2.3) and means the scheme's own.
fn is_port_number(digits: &[u8]) -> bool {
    let value = digits
        .iter()
        .fold(0_u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0'))));
    digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) && value <= u32::from(u16::MAX)
}

fn strip_prefix_ignoring_case<'b>(text: &'b str, prefix: &str) -> Option<&'b str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The longest name that DNS can hold, with a final dot.
const MAX_HOST: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_form_is_kept_as_sent() {
        for target in ["/", "/a?b", "//evil.example/x", "/..%2f/../x%5cy", "/%00%zz", "/<>\"`{}|^[]", "/?a=http://b"] {
            assert_eq!(Target::parse("GET", target), Ok(Target { path: target.into(), authority: None }), "{target}");
        }
        assert_eq!(Target::parse("OPTIONS", "*").map(|target| target.path), Ok("*".into()));
    }

    #[test]
    fn absolute_form_is_taken_apart() {
        for (method, target, authority, path) in [
            ("GET", "http://a.example/x?y", "a.example", "/x?y"),
            ("GET", "HTTPS://a.example:8443//", "a.example:8443", "//"),
            ("GET", "http://a.example", "a.example", "/"),
            ("GET", "http://a.example?x=/y", "a.example", "/?x=/y"),
            ("GET", "http://a.example:81?", "a.example:81", "/?"),
            ("OPTIONS", "http://a.example?x", "a.example", "/?x"),
            ("OPTIONS", "http://a.example", "a.example", "*"),
            ("OPTIONS", "http://a.example/", "a.example", "/"),
            ("GET", "http://[::1]:80/", "[::1]:80", "/"),
        ] {
            let parsed = Target::parse(method, target).unwrap();
            assert_eq!((parsed.authority.unwrap().text, &*parsed.path), (authority, path), "{target}");
        }
    }

    #[test]
    fn other_targets_are_refused() {
        for target in [
            "",
            "*",
            "x",
            ":80/x",
            "a.example:443",
            "?x",
            "/a#b",
            "#",
            "/a\\b",
            "/\u{e9}",
            "/a\tb",
            "ftp://a.example/",
            "http:/x",
            "http://",
            "http:///x",
            "http://?x",
            "http://a.example?x#y",
            "http://u@a.example?x",
            "http://a.example?x\\y",
            "http://u@a.example/",
            "http://u:p@a.example/",
            "http://a.example:x/",
            "http://a,b/",
            "http://a\\b/",
            "http://[::1/",
            "https:a.example/",
            "http//x/",
        ] {
            assert_eq!(Target::parse("GET", target).map_err(|error| error.status), Err(400), "{target:?}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_with_a_port() {
        for (text, host) in [
            ("a", 1),
            ("A-b_c.example", 13),
            ("a.example.", 9),
            ("a.example.:80", 9),
            ("a.example:80", 9),
            ("a.example:", 9),
            ("a:65535", 1),
            ("127.0.0.1:8080", 9),
            ("[::1]", 5),
            ("[2001:db8::1]:443", 13),
            ("[::ffff:1.2.3.4]", 16),
        ] {
            assert_eq!(Authority::parse(text.as_bytes()), Ok(Authority { text, host }), "{text}");
        }
    }

    #[test]
    fn other_hosts_are_refused() {
        let long = "a".repeat(255);
        for text in [
            "",
            ".",
            ".a",
            "a..b",
            "a b",
            "a,b",
            "a;b",
            "u@a",
            "a/b",
            "a#b",
            "a?b",
            "a\\b",
            "a\tb",
            "a<b",
            "a%00b",
            "a%2eb",
            "a:b",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:000080",
            "a:80:80",
            ":80",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[]",
            "[x]",
            "::1",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "]",
            "[",
            "a[b]",
            "\u{e9}.example",
            "a~b",
            "*",
            long.as_str(),
        ] {
            assert!(Authority::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
