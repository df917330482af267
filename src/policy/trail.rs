//! Redirects that were followed for a client, and what they say about keeping the response at their end.
//!
//! The response is kept under the client's URL, so what was said on the way there counts too: none of it may be kept
//! longer, or shown to more people, than each step allows. What a step says is laid over the last response's own head as
//! further field lines, so that we, caches behind us and browsers read the same. A step that says nothing about its
//! freshness sets no limit: a plain 302 is the usual way to a storage server, whose own fields then decide.

use super::Fields;
use super::directives::ResponseDirectives;
use super::freshness::{Freshness, Times};

/// What the steps so far have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    is_private: bool,
    is_no_cache: bool,
    /// Least seconds of explicit freshness left.
    ttl: Option<i64>,
    /// Field names that a step was chosen by.
    vary: Vec<Vec<u8>>,
}

impl Trail {
    /// Takes note of one redirect. One that sets a cookie was for one client alone.
    pub fn pass(&mut self, status: u16, response: &dyn Fields, times: Times) {
        let directives = ResponseDirectives::parse(response);
        let freshness = Freshness::of(status, &directives, response, times);
        self.is_private |= directives.no_store || directives.private;
        self.is_no_cache |= directives.no_cache;
        if freshness.is_explicit() {
            let left = freshness.ttl(times.response);
            self.ttl = Some(self.ttl.map_or(left, |least| least.min(left)));
        }
        response.for_each(&mut |name, value| {
            self.is_private |= name.eq_ignore_ascii_case(b"set-cookie");
            if name.eq_ignore_ascii_case(b"vary") {
                self.vary.push(value.to_vec());
            }
        });
    }

    /// The lines to add to the response at the end.
    pub fn lines(&self, status: u16, response: &dyn Fields, times: Times) -> Vec<(String, Vec<u8>)> {
        let vary = self.vary.iter().map(|value| ("Vary".to_owned(), value.clone()));
        let mut lines: Vec<_> = vary.collect();
        if self.is_private {
            lines.extend(restriction(response, "no-store"));
            return lines;
        }
        if self.is_no_cache {
            lines.extend(restriction(response, "no-cache"));
        }
        let directives = ResponseDirectives::parse(response);
        let freshness = Freshness::of(status, &directives, response, times);
        let left = self.ttl.map(|ttl| i64::from(freshness.age(times.response)) + ttl.max(0));
        if let Some(least) = left.filter(|least| *least < i64::from(freshness.lifetime())) {
            // s-maxage also opens what Authorization closes, so it is said only where it was said before.
            let shared = if directives.s_maxage.is_some() { format!(", s-maxage={least}") } else { String::new() };
            lines.extend(restriction(response, &format!("max-age={least}{shared}")));
        }
        lines
    }
}

/// Directives as further lines of Cache-Control, and of each targeted field that the response has (RFC 9213), which would
/// set Cache-Control aside.
pub fn restriction(response: &dyn Fields, directives: &str) -> Vec<(String, Vec<u8>)> {
    let mut names = vec!["Cache-Control".to_owned()];
    response.for_each(&mut |name, _| {
        let name = String::from_utf8_lossy(name);
        let is_known = names.iter().any(|known| known.eq_ignore_ascii_case(&name));
        if name.to_ascii_lowercase().ends_with("-cache-control") && !is_known {
            names.push(name.into_owned());
        }
    });
    names.into_iter().map(|name| (name, directives.as_bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Lines, at};
    use super::*;

    type Head<'a> = &'a [(&'a str, &'a str)];

    fn lines(hops: &[Head<'_>], last: Head<'_>) -> Vec<String> {
        let times = Times { request: at(0), response: at(0) };
        let mut trail = Trail::default();
        hops.iter().for_each(|hop| trail.pass(302, &Lines(hop), times));
        let lines = trail.lines(200, &Lines(last), times);
        lines.iter().map(|(name, value)| format!("{name}: {}", value.escape_ascii())).collect()
    }

    #[test]
    fn each_step_limits_what_the_last_response_allows() {
        let minute: Head<'_> = &[("Cache-Control", "max-age=60")];
        let hour: Head<'_> = &[("Cache-Control", "max-age=3600")];
        let rows: &[(&[Head<'_>], Head<'_>, &[&str])] = &[
            (&[], hour, &[]),
            (&[&[]], hour, &[]),
            (&[minute], hour, &["Cache-Control: max-age=60"]),
            (&[hour], minute, &[]),
            (&[hour, minute], hour, &["Cache-Control: max-age=60"]),
            (&[minute, hour], hour, &["Cache-Control: max-age=60"]),
            // Ages count on both sides (RFC 9111 §4.2.3).
            (&[&[("Cache-Control", "max-age=60"), ("Age", "20")]], hour, &["Cache-Control: max-age=40"]),
            (&[minute], &[("Cache-Control", "max-age=3600"), ("Age", "100")], &["Cache-Control: max-age=160"]),
            (&[&[("Cache-Control", "max-age=60"), ("Age", "90")]], hour, &["Cache-Control: max-age=0"]),
            (&[minute], &[("Cache-Control", "s-maxage=99")], &["Cache-Control: max-age=60, s-maxage=60"]),
            // A response that is not fresh at all gets no lifetime from a step.
            (&[minute], &[], &[]),
            (&[&[("Cache-Control", "no-store")]], hour, &["Cache-Control: no-store"]),
            (&[&[("Cache-Control", "private, max-age=9")]], hour, &["Cache-Control: no-store"]),
            (&[&[("Set-Cookie", "a=1")]], hour, &["Cache-Control: no-store"]),
            (&[&[("Cache-Control", "no-cache")]], hour, &["Cache-Control: no-cache"]),
            (&[&[("Vary", "Accept-Language")], &[("Vary", "A, B")]], hour, &["Vary: Accept-Language", "Vary: A, B"]),
            (
                &[minute],
                &[("CDN-Cache-Control", "max-age=500")],
                &["Cache-Control: max-age=60", "CDN-Cache-Control: max-age=60"],
            ),
        ];
        for (hops, last, expected) in rows {
            assert_eq!(lines(hops, last), *expected, "{hops:?} {last:?}");
        }
    }

    #[test]
    fn the_lines_say_to_our_own_policy_what_they_mean() {
        let times = Times { request: at(0), response: at(0) };
        let last = [("CDN-Cache-Control", "max-age=500"), ("Cache-Control", "max-age=900")];
        for (hop, lifetime) in [("max-age=60", Some(60)), ("no-store", None)] {
            let mut trail = Trail::default();
            trail.pass(301, &Lines(&[("Cache-Control", hop)]), times);
            let added = trail.lines(200, &Lines(&last), times);
            let added: Vec<_> = added.iter().map(|(n, v)| (n.clone(), String::from_utf8(v.clone()).unwrap())).collect();
            let all: Vec<_> =
                last.into_iter().chain(added.iter().map(|(name, value)| (name.as_str(), value.as_str()))).collect();
            let directives = ResponseDirectives::parse(&Lines(&all));
            assert_eq!(directives.no_store, lifetime.is_none(), "{all:?}");
            if let Some(lifetime) = lifetime {
                assert_eq!(Freshness::of(200, &directives, &Lines(&all), times).lifetime(), lifetime, "{all:?}");
            }
        }
    }
}
