//! Redirects of an origin: where one leads, and whether it leads back to where it came from.
//!
//! Addresses are judged elsewhere, once names are resolved; here are URLs alone.

use super::invalidate::{Target, split_scheme, without_dots};

/// A URL that could be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Scheme https, else http.
    pub is_https: bool,
    /// Lower-case name, or an IP address; IPv6 without brackets.
    pub host: String,
    /// As written, or the scheme's own.
    pub port: u16,
    /// Path and query.
    pub target: String,
}

/// How a redirect relates to the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It leads somewhere else.
    Elsewhere,
    /// To the very URL that it answers, in the same scheme: a page that sets a cookie and asks to come again, or a slip.
    Same,
    /// To the client's URL in the scheme that the client did not use: meant for the client.
    OtherScheme,
    /// To itself in the other scheme, and the client would only be sent round: the origin wants to be asked in another
    /// scheme than the site's `protocol` says.
    Loop,
}

/// The reference of a redirect that may be followed: one Location with 301, 302, 303, 307 or 308 (RFC 9110 §15.4).
pub fn location<'f>(status: u16, fields: impl Iterator<Item = (&'f str, &'f [u8])>) -> Option<&'f [u8]> {
    if !matches!(status, 301..=303 | 307 | 308) {
        return None;
    }
    let mut found = fields.filter(|(name, _)| name.eq_ignore_ascii_case("location"));
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value)
}

impl Url {
    /// A URL from its parts; `None` where the authority is none that a name could be looked up from.
    pub fn new(is_https: bool, authority: &str, target: &str) -> Option<Url> {
        let (host, port) = split_authority(authority)?;
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        Some(Url { is_https, host: host.to_ascii_lowercase(), port, target: target.to_owned() })
    }

    /// Where a reference leads from here (RFC 3986 §5.2), without its fragment. `None` where that cannot be followed: not
    /// http or https, user information, bytes that no request line can hold.
    pub fn resolve(&self, reference: &[u8]) -> Option<Url> {
        let text = std::str::from_utf8(reference).ok()?;
        let text = text.split('#').next().unwrap_or_default();
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') || text.len() > MAX_REFERENCE {
            return None;
        }
        let (is_https, rest) = match split_scheme(text) {
            Some((scheme, rest)) => {
                let is_https = scheme.eq_ignore_ascii_case("https");
                (is_https, rest.strip_prefix("//").filter(|_| is_https || scheme.eq_ignore_ascii_case("http"))?)
            }
            None => match text.strip_prefix("//") {
                Some(rest) => (self.is_https, rest),
                None => {
                    let base = Target { is_https: self.is_https, authority: "", path: &self.target };
                    return Some(Url { target: base.resolve_relative(text), ..self.clone() });
                }
            },
        };
        let (authority, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
        Url::new(is_https, authority, &without_dots(path))
    }

    /// `host[:port]` as it stands in a Host field, the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.has_own_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// The whole, as in a Location field.
    pub fn text(&self) -> String {
        format!("http{}://{}{}", if self.is_https { "s" } else { "" }, self.authority(), self.target)
    }

    /// Is `self` on this host? A port that is the scheme's own counts as any: who answers for a name answers on it.
    pub fn is_on(&self, authority: &str) -> bool {
        split_authority(authority).is_some_and(|(host, port)| {
            host.eq_ignore_ascii_case(&self.host) && (self.has_own_port() || port == Some(self.port))
        })
    }

    fn has_own_port(&self) -> bool {
        self.port == if self.is_https { 443 } else { 80 }
    }
}

/// What the redirect to `to` means for the request `asked` of the origin, made for the client's request `client`. Both are
/// in the scheme that was in fact spoken; the origin goes by each name of `home`.
pub fn turn(client: &Url, asked: &Url, home: &[&str], to: &Url) -> Turn {
    let is_same_path = |url: &Url| to.target == url.target || to.target == without_dots(&url.target);
    let is_clients = to.is_on(&client.authority()) && is_same_path(client);
    let is_asked =
        is_same_path(asked) && (to.is_on(&asked.authority()) || home.iter().any(|authority| to.is_on(authority)));
    match (is_clients, to.is_https == asked.is_https) {
        (false, _) if !is_asked => Turn::Elsewhere,
        (_, true) => Turn::Same,
        (true, false) if to.is_https != client.is_https => Turn::OtherScheme,
        (_, false) => Turn::Loop,
    }
}

/// Does `to` lead whoever asked for `client` back to the same stored response? Stored, such a redirect would go round for all
/// of them for as long as it is fresh. Ports do not count, as they do not in the key. `names` are further ones that share it,
/// `*.` for any below; with `shares_schemes` so do http and https.
pub fn leads_back(client: &Url, names: &[String], shares_schemes: bool, to: &Url) -> bool {
    let is_below = |suffix: &str| to.host.strip_suffix(suffix).is_some_and(|labels| labels.ends_with('.'));
    let shares = |name: &String| name.strip_prefix("*.").map_or(to.host.eq_ignore_ascii_case(name), is_below);
    let is_same_host = to.host == client.host || names.iter().any(shares);
    let is_same_path = to.target == client.target || to.target == without_dots(&client.target);
    is_same_host && is_same_path && (shares_schemes || to.is_https == client.is_https)
}

/// Host without brackets and without the dot at the end, and the port if one is written. Narrow on purpose: no user information, no encoding.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if behind.is_empty() { "" } else { behind.strip_prefix(':')? })
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if host.len() > MAX_HOST || !host.bytes().all(is_name) {
                return None;
            }
            // The dot at the end makes no other name of it (RFC 3986 §3.2.2). No label is empty (RFC 1035 §2.3.1).
            let host = host.strip_suffix('.').unwrap_or(host);
            (host.split('.').all(|label| !label.is_empty()).then_some(host)?, port)
        }
    };
    match port {
        "" => Some((host, None)),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((host, Some(digits.parse().ok().filter(|port| *port != 0)?)))
        }
        _ => None,
    }
}

const MAX_HOST: usize = 254;
const MAX_REFERENCE: usize = 8 << 10;

/// A host as it stands before a port: an IPv6 literal in brackets (RFC 3986 §3.2.2).
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// The host of `host[:port]`; an IPv6 literal keeps its brackets.
pub(crate) fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // A colon within the brackets is the address's own.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

/// The same without the brackets.
pub(crate) fn bare_host(authority: &str) -> &str {
    let host = without_port(authority);
    host.strip_prefix('[').and_then(|literal| literal.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_port_is_no_part_of_the_host() {
        let rows = [
            ("a.example", "a.example", "a.example"),
            ("a.example:8443", "a.example", "a.example"),
            ("a.example:", "a.example", "a.example"),
            ("192.0.2.1:80", "192.0.2.1", "192.0.2.1"),
            ("[::1]:80", "[::1]", "::1"),
            ("[::1]", "[::1]", "::1"),
            ("", "", ""),
            (":80", "", ""),
        ];
        for (authority, host, bare) in rows {
            assert_eq!((without_port(authority), bare_host(authority)), (host, bare), "{authority}");
        }
    }

    fn url(text: &str) -> Url {
        Url { is_https: false, host: "x".into(), port: 80, target: "/".into() }.resolve(text.as_bytes()).unwrap()
    }

    #[test]
    fn references_lead_on_from_where_they_were_met() {
        let base = url("https://a.test:8443/b/c?d");
        let rows = [
            ("/x?y#f", Some("https://a.test:8443/x?y")),
            ("e", Some("https://a.test:8443/b/e")),
            ("?z", Some("https://a.test:8443/b/c?z")),
            ("//B.test/x", Some("https://b.test/x")),
            ("http://B.test", Some("http://b.test/")),
            ("HTTP://b.test:80/../x", Some("http://b.test/x")),
            ("https://b.test:80/", Some("https://b.test:80/")),
            ("http://[::1]:81/x", Some("http://[::1]:81/x")),
            ("http://192.0.2.1?q", Some("http://192.0.2.1/?q")),
            ("http://b.test:/", Some("http://b.test/")),
            ("http://b.test./", Some("http://b.test/")),
            ("http://user@b.test/", None),
            ("http://user:pass@b.test/", None),
            ("http://b.test:0/", None),
            ("http://b.test:99999/", None),
            ("http://b.test:+80/", None),
            ("http://b%2etest/", None),
            ("http:///x", None),
            ("http://./", None),
            ("http://b.test../", None),
            ("http://b..test/", None),
            ("http://.b.test/", None),
            ("http:x", None),
            ("ftp://b.test/", None),
            ("javascript:x", None),
            ("/a b", None),
            ("/a\r\nb", None),
            ("/\u{e9}", None),
            ("http://b.test\\@c.test/", None),
        ];
        for (reference, expected) in rows {
            assert_eq!(base.resolve(reference.as_bytes()).map(|url| url.text()).as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn only_redirects_with_one_location_are_followed() {
        let one: [(&str, &[u8]); 2] = [("Date", b"x"), ("location", b"/a")];
        let two: [(&str, &[u8]); 2] = [("Location", b"/b"), ("location", b"/a")];
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(location(status, one.into_iter()), Some(&b"/a"[..]));
            assert_eq!(location(status, two.into_iter()), None);
            assert_eq!(location(status, one.into_iter().take(1)), None);
        }
        for status in [200, 201, 300, 304, 305, 306, 309, 404] {
            assert_eq!(location(status, one.into_iter()), None, "{status}");
        }
    }

    #[test]
    fn a_redirect_to_itself_is_told_from_one_for_the_client() {
        use Turn::{Elsewhere, Loop, OtherScheme, Same};
        let rows = [
            // client, asked of the origin, Location, meaning
            ("https://a.test/x", "http://a.test/x", "https://a.test/x", Loop),
            ("https://a.test/x", "http://a.test/x", "https://a.test:443/x", Loop),
            ("https://a.test:8443/x", "http://a.test/x", "https://a.test:8443/x", Loop),
            ("https://a.test:8443/x", "http://a.test/x", "https://a.test/x", Loop),
            ("https://a.test/x", "http://a.test/x", "https://a.test/y", Elsewhere),
            ("https://a.test/x", "http://a.test/x", "https://b.test/x", Elsewhere),
            ("https://a.test/x", "http://a.test/x", "https://a.test:444/x", Elsewhere),
            ("http://a.test/x", "http://a.test/x", "https://a.test/x", OtherScheme),
            ("http://a.test/x", "https://a.test/x", "http://a.test/x", Loop),
            ("https://a.test/x", "https://a.test/x", "http://a.test/x", OtherScheme),
            ("https://a.test/x", "https://a.test/x", "https://a.test/x", Same),
            ("http://a.test/x", "http://a.test/x", "/x", Same),
            ("https://a.test/x", "http://a.test/x", "/x", Same),
            // The origin is asked by a name of its own: the client would leave us for ever.
            ("http://a.test/x", "http://h.test/x", "https://h.test/x", Loop),
            ("https://a.test/x", "http://h.test/x", "https://h.test/x", Loop),
            // The origin's path is not the client's.
            ("https://a.test/x", "http://a.test/p/x", "https://a.test/p/x", Loop),
            ("https://a.test/x", "http://a.test/p/x", "https://a.test/x", Loop),
            ("http://a.test/x", "http://a.test/p/x", "https://a.test/x", OtherScheme),
        ];
        for (client, asked, to, expected) in rows {
            let (client, asked) = (url(client), url(asked));
            let to = asked.resolve(to.as_bytes()).unwrap();
            assert_eq!(turn(&client, &asked, &["a.test", "h.test"], &to), expected, "{client:?} {asked:?} {to:?}");
        }
    }

    #[test]
    fn a_redirect_that_leads_back_is_told_by_name_path_and_scheme_whatever_the_port() {
        let names = ["b.test".to_owned(), "*.c.test".to_owned()];
        let rows = [
            ("/x", false, true),
            ("http://a.test:8080/x", false, true),
            ("http://A.test./y/../x", false, true),
            ("https://a.test/x", false, false),
            ("https://a.test:8443/x", true, true),
            ("http://b.test/x", false, true),
            ("http://d.c.test/x", false, true),
            ("http://c.test/x", false, false),
            ("http://dc.test/x", false, false),
            ("http://a.test/X", false, false),
            ("/x?y", false, false),
        ];
        let client = url("http://a.test/x");
        for (to, shares_schemes, expected) in rows {
            let to = client.resolve(to.as_bytes()).unwrap();
            assert_eq!(leads_back(&client, &names, shares_schemes, &to), expected, "{to:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_followed_can_be_asked_for(any: Vec<u8>, near in "(https?:)?(//)?[a-z/.?#:@%\\[\\]0-9]{0,20}") {
            for value in [&any[..], near.as_bytes()] {
                if let Some(to) = url("http://a.test/b").resolve(value) {
                    prop_assert!(to.target.starts_with('/') && to.port > 0 && !to.host.is_empty());
                    prop_assert!(to.target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
                    prop_assert_eq!(url(&to.text()), to);
                }
            }
        }
    }
}
