//! What an unsafe request makes invalid (RFC 9111 §4.4): its own target, and what the answer's Location and
//! Content-Location name on the same origin.
//!
//! References are resolved as RFC 3986 §5.2 says. Nothing of another origin is ever named: a site must not empty the
//! cache of its neighbours.

use super::Fields;

/// Where a request was sent, as its client knows it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Scheme https, else http.
    pub is_https: bool,
    /// `host[:port]`, as sent.
    pub authority: &'a str,
    /// Path and query, as sent.
    pub path: &'a str,
}

/// The paths, each with its query, that are invalid after `status` was answered to `method`; none where the method is
/// safe or the answer is an error.
pub fn invalidated(method: &str, status: u16, target: &Target<'_>, response: &dyn Fields) -> Vec<String> {
    if is_safe(method) || !(200..400).contains(&status) {
        return Vec::new();
    }
    let mut paths = vec![target.path.to_owned()];
    response.for_each(&mut |name, value| {
        if name.eq_ignore_ascii_case(b"location") || name.eq_ignore_ascii_case(b"content-location") {
            paths.extend(target.resolve(value).filter(|path| path != target.path));
        }
    });
    paths
}

/// The safe methods of the HTTP method registry. Any other is unsafe, unknown ones with them (RFC 9111 §4.4).
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PROPFIND" | "QUERY" | "REPORT" | "SEARCH")
}

impl Target<'_> {
    /// Path and query of a reference that this target's answer holds; `None` where it is of another origin, or nothing
    /// that a request line could hold.
    pub fn resolve(&self, reference: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(reference).ok()?;
        let text = text.split('#').next().unwrap_or_default();
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return None;
        }
        let rest = match split_scheme(text) {
            // A scheme without an authority names nothing that is asked for over HTTP.
            Some((scheme, rest)) => rest.strip_prefix("//").filter(|_| scheme.eq_ignore_ascii_case(self.scheme()))?,
            None => match text.strip_prefix("//") {
                Some(rest) => rest,
                None => return Some(self.resolve_relative(text)),
            },
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        self.is_ours(authority).then(|| without_dots(path))
    }

    pub(super) fn resolve_relative(&self, reference: &str) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        match reference.chars().next() {
            None => self.path.to_owned(),
            Some('/') => without_dots(reference),
            Some('?') => format!("{path}{reference}"),
            Some(_) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{reference}"))
            }
        }
    }

    /// The same host and port (RFC 9110 §4.3.1); a port that is not written is the scheme's.
    fn is_ours(&self, authority: &str) -> bool {
        let (host, port) = self.split(authority);
        let (our_host, our_port) = self.split(self.authority);
        host.eq_ignore_ascii_case(our_host) && port == our_port
    }

    fn split<'t>(&self, authority: &'t str) -> (&'t str, &'t str) {
        let default = if self.is_https { "443" } else { "80" };
        match authority.rsplit_once(':') {
            Some((host, "")) => (host, default),
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, default),
        }
    }

    fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }
}

/// Scheme and the rest behind its colon (RFC 3986 §3.1); `None` in a relative reference.
pub(super) fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// Path and query with the dot segments of the path taken out (RFC 3986 §5.2.4); an empty path is the root.
pub(super) fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at_checked(path.find('?').unwrap_or(path.len())).unwrap_or((path, ""));
    let mut kept = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        if !matches!(segment, "." | "..") {
            kept.push(segment);
            continue;
        }
        if segment == ".." {
            kept.pop();
        }
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Line, Lines};
    use super::*;
    use proptest::prelude::*;

    const BASE: Target<'static> = Target { is_https: false, authority: "a.test", path: "/b/c/d?q" };

    #[test]
    fn references_are_resolved_on_the_same_origin_only() {
        let rows = [
            ("/x?y", Some("/x?y")),
            ("g", Some("/b/c/g")),
            ("./g/.", Some("/b/c/g/")),
            ("..", Some("/b/")),
            ("../../../g", Some("/g")),
            ("/x/../y?a=/../b", Some("/y?a=/../b")),
            ("?z", Some("/b/c/d?z")),
            ("", Some("/b/c/d?q")),
            ("#f", Some("/b/c/d?q")),
            ("g#f/../x", Some("/b/c/g")),
            ("a/b:c", Some("/b/c/a/b:c")),
            ("//A.test/g", Some("/g")),
            ("HTTP://a.TEST:80/g", Some("/g")),
            ("http://a.test:/g", Some("/g")),
            ("http://a.test", Some("/")),
            ("http://a.test?x", Some("/?x")),
            ("http://a.test:8080/g", None),
            ("https://a.test/g", None),
            ("http://b.test/g", None),
            ("http://a.test.evil/g", None),
            ("http://user@a.test/g", None),
            ("//b.test/g", None),
            ("http:g", None),
            ("mailto:a@a.test", None),
            ("/a b", None),
            ("/\u{e9}", None),
            ("/a\\b", None),
        ];
        for (reference, expected) in rows {
            assert_eq!(BASE.resolve(reference.as_bytes()).as_deref(), expected, "{reference}");
        }
        let rows = [
            (true, "a.test:443", "https://a.test/g", true),
            (true, "a.test", "//a.test:443/g", true),
            (false, "a.test:8080", "//a.test:8080/g", true),
            (false, "a.test:8080", "//a.test/g", false),
            (false, "[::1]", "http://[::1]:80/g", true),
            (false, "[::1]:81", "http://[::1]/g", false),
        ];
        for (is_https, authority, reference, expected) in rows {
            let found = Target { is_https, authority, path: "/" }.resolve(reference.as_bytes());
            assert_eq!(found.as_deref(), expected.then_some("/g"), "{authority} {reference}");
        }
    }

    #[test]
    fn success_of_an_unsafe_method_makes_its_target_and_what_it_names_invalid() {
        let named = [("Location", "/l"), ("content-location", "e"), ("Location", "//other/x"), ("X", "/x")];
        let all: &[&str] = &["/b/c/d?q", "/l", "/b/c/e"];
        let rows = [
            ("POST", 200, all),
            ("PUT", 201, all),
            ("DELETE", 204, all),
            ("PATCH", 303, all),
            ("M-SEARCH", 200, all),
            ("get", 200, all),
            ("POST", 399, all),
            ("POST", 400, &[]),
            ("POST", 500, &[]),
            ("POST", 103, &[]),
            ("GET", 200, &[]),
            ("HEAD", 200, &[]),
            ("OPTIONS", 200, &[]),
            ("PROPFIND", 207, &[]),
        ];
        for (method, status, expected) in rows {
            assert_eq!(invalidated(method, status, &BASE, &Lines(&named)), expected, "{method} {status}");
        }
    }

    proptest! {
        #[test]
        fn any_reference_is_taken_without_panic_and_names_a_path(any: Vec<u8>, near in "(http:)?[/.?#:a]{0,12}") {
            for value in [&any[..], near.as_bytes()] {
                let found = invalidated("POST", 200, &BASE, &Line("Location", value));
                prop_assert!(found.iter().all(|path| path.starts_with('/')));
            }
        }
    }
}
