//! May an error be the fault of the one request that met it? (Cache-poisoned denial of service.)
//!
//! An error that an unusual field provokes would, once stored, be everybody's: a single request takes a resource off the
//! air for as long as the error stays fresh. So it is stored only where the request had nothing to provoke it with. Where
//! the origin itself gives the error a lifetime, that means no `X-…` field, which is where servers have their switches, none
//! that speaks of content where there is none, no credentials, nothing large and no byte that some parsers choke on. Where
//! nobody does, only the fields that any client sends will do.
//!
//! A redirect that a switch provoked leads everybody away just as well.
//!
//! Fields that any client sends provoke errors too: a 403 for a User-Agent or Referer, a 406 for an Accept, a 401 for a
//! cookie that is missing. A status that is about the request rather than about the resource is stored, but answers only
//! requests like the one that met it ([`super::variant::Variant::of_likeness`]).

use super::Fields;
use super::freshness::{Freshness, Source};

/// The error of this status and freshness may be the fault of the request with these fields. Never where the operator
/// has named its status a lifetime.
pub fn may_be_provoked(status: u16, freshness: &Freshness, request: &dyn Fields) -> bool {
    !is_named(freshness)
        && match status {
            300..=399 => has_switch(request),
            400.. => !is_ordinary(status, freshness.is_explicit(), request),
            _ => false,
        }
}

/// Is an answer of this status and freshness about the request that met it, so that only requests like that one may have
/// it? Not where the operator has named its status a lifetime.
pub fn is_of_its_like(status: u16, freshness: &Freshness) -> bool {
    !is_named(freshness) && is_about_request(status)
}

/// Does the status tell of the request that met it rather than of the resource?
pub fn is_about_request(status: u16) -> bool {
    (400..=499).contains(&status) && !is_about_resource(status) && !matches!(status, 414 | 416)
}

/// May the request have been the reason why a fetch failed, or was answered with an error? Without a lifetime there is
/// nothing to weigh: the fields that any client sends, and credentials, do not count.
pub fn has_cause(request: &dyn Fields) -> bool {
    !is_ordinary(404, true, request)
}

/// What of a request field counts where two requests are to be alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Nothing of it: it does not reach the origin, or not as it came.
    Nothing,
    /// That it is there: numbers of requests and the like differ each time.
    Name,
    /// Its value too.
    Value,
}

/// What of the field with this name counts.
pub fn counts(name: &[u8]) -> Counts {
    if is_one_of(&KEPT_BACK, &KEPT_BACK_PREFIXES, name) {
        Counts::Nothing
    } else if is_usual(name) || is_credential(name) {
        Counts::Value
    } else {
        Counts::Name
    }
}

fn is_named(freshness: &Freshness) -> bool {
    matches!(freshness.source(), Source::RuleTtl(_) | Source::StatusTtl)
}

fn has_switch(request: &dyn Fields) -> bool {
    let mut is_found = false;
    request.for_each(&mut |name, _| is_found |= is_switch(name) && !is_usual(name));
    is_found
}

fn is_ordinary(status: u16, is_explicit: bool, request: &dyn Fields) -> bool {
    let (mut is_harmless, mut length) = (true, 0_usize);
    request.for_each(&mut |name, value| {
        is_harmless &= match () {
            () if name.len() > LONGEST_NAME => false,
            () if is_usual(name) => true,
            () if is_credential(name) => is_about_resource(status),
            () => {
                is_explicit
                    && !is_switch(name)
                    && !is_about_content(name)
                    && value.iter().all(|byte| (b' '..=b'~').contains(byte))
            }
        };
        length = length.saturating_add(name.len()).saturating_add(value.len());
    });
    is_harmless && length <= LARGE
}

/// `X-…`, in either spelling.
fn is_switch(name: &[u8]) -> bool {
    matches!(name, [b'x' | b'X', b'-' | b'_', ..])
}

/// `Content-…`: what is fetched for all has no content, and some servers refuse a type or coding all the same.
fn is_about_content(name: &[u8]) -> bool {
    name.first_chunk::<8>().is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
}

/// Statuses that speak of the resource: what a visitor brings with every request, such as his cookies, has no part in them.
fn is_about_resource(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 451)
}

fn is_usual(name: &[u8]) -> bool {
    is_one_of(&USUAL, &USUAL_PREFIXES, name) || is_one_of(&KEPT_BACK, &KEPT_BACK_PREFIXES, name)
}

fn is_one_of(names: &[&str], prefixes: &[&str], name: &[u8]) -> bool {
    let begins =
        |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)) || prefixes.iter().any(begins)
}

fn is_credential(name: &[u8]) -> bool {
    [&b"cookie"[..], b"authorization"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What browsers, crawlers and other caches send without being asked to.
const USUAL: [&str; 18] = [
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "CDN-Loop",
    "DNT",
    "From",
    "Origin",
    "Pragma",
    "Priority",
    "Purpose",
    "Referer",
    "Save-Data",
    "Upgrade-Insecure-Requests",
    "User-Agent",
    "Via",
    "X-Requested-With",
];
const USUAL_PREFIXES: [&str; 1] = ["Sec-"];
/// What the origin is not sent with a fetch for all, or not as it came.
const KEPT_BACK: [&str; 14] = [
    "Connection",
    "Content-Length",
    "Forwarded",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Proxy-Connection",
    "Range",
    "TE",
    "Upgrade",
];
const KEPT_BACK_PREFIXES: [&str; 1] = ["X-Forwarded-"];
/// Bytes of a name that is anybody's.
const LONGEST_NAME: usize = 255;
/// Bytes of names and values that an ordinary origin takes without a word.
const LARGE: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::directives::ResponseDirectives;
    use crate::policy::freshness::Times;
    use crate::policy::tests::{Lines, at};

    fn freshness() -> Freshness {
        let lines = Lines(&[("Cache-Control", "max-age=600")]);
        let times = Times { request: at(0), response: at(0) };
        Freshness::of(400, &ResponseDirectives::parse(&lines), &lines, times)
    }

    #[test]
    fn an_error_is_stored_only_where_the_request_had_nothing_to_provoke_it_with() {
        let large = "x".repeat(LARGE);
        let rows: [(u16, &str, &str, bool); 25] = [
            (200, "X-Attack", "1", false),
            (299, "X-Attack", "1", false),
            (301, "X-Attack", "1", true),
            (308, "x_attack", "1", true),
            (301, "X-Requested-With", "1", false),
            (302, "X-Forwarded-Host", "1", false),
            (302, "Cookie", "a=b", false),
            (400, "Content-Type", "invalid", true),
            (415, "content-encoding", "x", true),
            (400, "X-Attack", "1", true),
            (404, "X-Attack", "1", true),
            (500, "x-attack", "1", true),
            (599, "X_Forwarded_For", "1", true),
            (400, "User-Agent", "a", false),
            (404, "Trace-Id", "7f", false),
            (400, "Trace-Id", "\u{e9}", true),
            (503, "accept-language", "en", false),
            (403, "Sec-Fetch-Mode", "cors", false),
            (431, "X-Forwarded-Host", "b.example", false),
            (404, "Cookie", "a=b", false),
            (410, "Authorization", "Basic x", false),
            (400, "Cookie", "a=b", true),
            (500, "Authorization", "Basic x", true),
            (404, "Cookie", &large, true),
            (431, "User-Agent", &large, true),
        ];
        for (status, name, value, expected) in rows {
            let request = Lines(&[("Host", "a.example"), (name, value)]);
            assert_eq!(may_be_provoked(status, &freshness(), &request), expected, "{status} {name}");
        }
    }

    #[test]
    fn an_error_without_a_lifetime_of_its_own_wants_a_request_of_usual_fields() {
        let lines =
            Lines(&[("Date", "Sat, 01 Aug 2026 00:00:00 GMT"), ("Last-Modified", "Fri, 31 Jul 2026 00:00:00 GMT")]);
        let times = Times { request: at(0), response: at(0) };
        let freshness = Freshness::of(404, &ResponseDirectives::parse(&lines), &lines, times);
        for (name, expected) in [("Trace-Id", true), ("X-Attack", true), ("Accept", false), ("Cookie", false)] {
            assert_eq!(may_be_provoked(404, &freshness, &Lines(&[(name, "7f")])), expected, "{name}");
        }
    }

    #[test]
    fn what_is_about_the_request_is_for_its_like() {
        let fresh = freshness();
        for (status, expected) in [
            (200, false),
            (301, false),
            (400, true),
            (401, true),
            (403, true),
            (404, false),
            (405, false),
            (406, true),
            (410, false),
            (414, false),
            (429, true),
            (451, false),
            (499, true),
            (500, false),
        ] {
            assert_eq!(is_of_its_like(status, &fresh), expected, "{status}");
            assert!(!is_of_its_like(status, &fresh.lasting(5, Source::StatusTtl)), "{status}");
        }
    }

    #[test]
    fn a_failure_has_its_cause_in_what_no_client_sends_by_itself() {
        let large = "x".repeat(LARGE);
        for (name, value, expected) in [
            ("User-Agent", "a", false),
            ("Cookie", "a=b", false),
            ("Trace-Id", "7", false),
            ("X-Attack", "1", true),
            ("Content-Type", "x", true),
            ("Accept", "\u{e9}", false),
            ("Trace-Id", "\u{e9}", true),
            ("User-Agent", &large, true),
        ] {
            assert_eq!(has_cause(&Lines(&[("Host", "a.test"), (name, value)])), expected, "{name}");
        }
    }

    #[test]
    fn an_operators_word_on_the_status_stands() {
        let request = Lines(&[("X-Attack", "1")]);
        for (source, expected) in [
            (Source::StatusTtl, false),
            (Source::RuleTtl(1), false),
            (Source::DefaultTtl, true),
            (Source::MaxTtl, true),
        ] {
            assert_eq!(may_be_provoked(503, &freshness().lasting(5, source), &request), expected, "{source:?}");
        }
    }
}
