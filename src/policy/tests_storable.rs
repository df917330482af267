use super::*;
use crate::policy::tests::{GET, Lines, at, date};
use proptest::prelude::*;

const TIMES: fn() -> Times = || Times { request: at(0), response: at(0) };

type Row<'a> = (u16, &'a [(&'a str, &'a str)], Result<u32, Why>);

/// The lifetime in seconds, or why not.
fn check(request: &RequestFacts<'_>, status: u16, lines: &[(&str, &str)], rules: &Rules) -> Result<u32, Why> {
    match storable(request, status, &Lines(lines), rules, TIMES()) {
        Storable::Yes(freshness) => Ok(freshness.lifetime()),
        Storable::No(why) => Err(why),
    }
}

#[test]
fn responses_are_stored_by_cache_control() {
    let rows = [
        ("max-age=600", Ok(600)),
        ("s-maxage=60, max-age=600", Ok(60)),
        ("max-age=600, no-store", Err(Why::NoStore)),
        ("max-age=600, No-Store=x", Err(Why::NoStore)),
        ("PRIVATE, max-age=600", Err(Why::Private)),
        ("private=\"x-user\", max-age=600", Ok(600)),
        ("private=\"x-user\", private, max-age=600", Err(Why::Private)),
        ("private=\"content-type\", max-age=600", Err(Why::Private)),
        ("no-cache=\"x-user\"", Err(Why::NoFreshness)),
        ("max-age=0", Err(Why::NoFreshness)),
        ("max-age=x", Err(Why::NoFreshness)),
        ("public", Err(Why::NoFreshness)),
        ("no-cache", Err(Why::NoCache)),
        ("max-age=600, no-cache", Err(Why::NoCache)),
        ("max-age=0, stale-while-revalidate=5", Ok(0)),
        ("max-age=0, stale-if-error=5", Ok(0)),
        ("max-age=0, stale-if-error=5, must-revalidate", Err(Why::NoFreshness)),
        ("max-age=600, must-understand, no-store", Ok(600)),
        ("", Err(Why::NoFreshness)),
    ];
    for (value, expected) in rows {
        assert_eq!(check(&GET, 200, &[("Cache-Control", value)], &Rules::default()), expected, "{value}");
    }
}

#[test]
fn what_is_addressed_to_us_counts_in_the_place_of_cache_control() {
    let request = RequestFacts { has_authorization: true, ..GET };
    let rows = [
        ("max-age=600, public", "no-store", Ok(600)),
        ("no-store", "public, max-age=600", Err(Why::NoStore)),
        ("private", "public, max-age=600", Err(Why::Private)),
        ("max-age=600", "public, max-age=600", Err(Why::Authorization)),
        ("s-maxage=600", "private", Ok(600)),
        ("public", "max-age=600", Err(Why::NoFreshness)),
        ("Public", "public, max-age=600", Ok(600)),
    ];
    for (targeted, plain, expected) in rows {
        let lines = [("Cache-Control", plain), ("CDN-Cache-Control", targeted)];
        assert_eq!(check(&request, 200, &lines, &Rules::default()), expected, "{targeted} | {plain}");
    }
}

#[test]
fn a_validator_is_worth_storing_without_freshness() {
    let day_ago = date(-86_400);
    let rows: [Row<'_>; 6] = [
        (200, &[("ETag", "\"a\"")], Ok(0)),
        (200, &[("ETag", "\"a\""), ("Cache-Control", "no-cache")], Ok(0)),
        (200, &[("Last-Modified", &day_ago)], Ok(8640)),
        (200, &[("Cache-Control", "max-age=600"), ("Cache-Control", "no-store")], Err(Why::NoStore)),
        (200, &[("Cache-Control", "max-age=10"), ("Age", "15")], Err(Why::NoFreshness)),
        (200, &[("Cache-Control", "max-age=10"), ("Age", "15"), ("ETag", "\"a\"")], Ok(10)),
    ];
    for (status, lines, expected) in rows {
        assert_eq!(check(&GET, status, lines, &Rules::default()), expected, "{lines:?}");
    }
}

#[test]
fn errors_need_explicit_freshness_and_stay_ten_seconds() {
    let day_ago = date(-86_400);
    let rows: [Row<'_>; 17] = [
        (500, &[("Cache-Control", "max-age=600")], Ok(10)),
        (503, &[("Cache-Control", "s-maxage=4")], Ok(4)),
        (400, &[("Cache-Control", "max-age=600")], Ok(10)),
        (429, &[("Last-Modified", &day_ago)], Err(Why::NoFreshness)),
        // RFC 9110 §15.1: heuristically cacheable, these two.
        (414, &[("Last-Modified", &day_ago)], Ok(10)),
        (414, &[], Err(Why::NoFreshness)),
        (501, &[("Last-Modified", &day_ago), ("Cache-Control", "public")], Ok(10)),
        (502, &[("Last-Modified", &day_ago), ("Cache-Control", "public")], Err(Why::NoFreshness)),
        (500, &[("ETag", "\"a\"")], Err(Why::NoFreshness)),
        (500, &[("ETag", "\"a\""), ("Cache-Control", "max-age=0")], Err(Why::NoFreshness)),
        (404, &[("Cache-Control", "max-age=600")], Ok(600)),
        (404, &[("Last-Modified", &day_ago)], Ok(8640)),
        (404, &[], Err(Why::NoFreshness)),
        (403, &[("Last-Modified", &day_ago)], Ok(0)),
        (403, &[], Err(Why::NoFreshness)),
        (302, &[("Cache-Control", "max-age=600")], Ok(600)),
        (299, &[("Cache-Control", "max-age=600, must-understand")], Err(Why::MustUnderstand)),
    ];
    for (status, lines, expected) in rows {
        assert_eq!(check(&GET, status, lines, &Rules::default()), expected, "{status} {lines:?}");
    }
}

#[test]
fn parts_conditions_and_interim_responses_are_never_stored() {
    for status in [0, 100, 101, 103, 199, 206, 304, 412, 416, 600] {
        let lines = [("Cache-Control", "public, max-age=600")];
        assert_eq!(check(&GET, status, &lines, &Rules::default()), Err(Why::Status), "{status}");
    }
}

#[test]
fn only_get_is_stored() {
    for method in ["HEAD", "POST", "OPTIONS", "get", "QUERY"] {
        let request = RequestFacts { method, ..GET };
        assert_eq!(check(&request, 200, &[("Cache-Control", "max-age=6")], &Rules::default()), Err(Why::Method));
    }
}

#[test]
fn the_answer_to_a_post_is_stored_where_it_is_its_targets_and_says_for_how_long() {
    let target = Target { is_https: false, authority: "a.test", path: "/x?y" };
    let (fresh, here) = (("Cache-Control", "max-age=600"), ("Content-Location", "/x?y"));
    let post = RequestFacts { method: "POST", ..GET };
    let soon = date(60);
    type Row<'a> = (&'a str, u16, &'a [(&'a str, &'a str)], Result<u32, Why>);
    let rows: [Row<'_>; 14] = [
        ("POST", 200, &[fresh, here], Ok(600)),
        ("POST", 200, &[fresh, ("content-location", "http://A.test/x?y")], Ok(600)),
        ("POST", 200, &[("Expires", &soon), here], Ok(60)),
        ("POST", 200, &[("CDN-Cache-Control", "max-age=5"), here], Ok(5)),
        ("POST", 200, &[fresh], Err(Why::Method)),
        ("POST", 200, &[fresh, ("Content-Location", "/x")], Err(Why::Method)),
        ("POST", 200, &[fresh, ("Content-Location", "http://b.test/x?y")], Err(Why::Method)),
        ("POST", 200, &[fresh, here, here], Err(Why::Method)),
        ("POST", 201, &[fresh, here], Err(Why::Method)),
        ("PUT", 200, &[fresh, here], Err(Why::Method)),
        ("POST", 200, &[here, ("ETag", "\"a\"")], Err(Why::NoFreshness)),
        ("POST", 200, &[here, ("Last-Modified", &date(-86_400))], Err(Why::NoFreshness)),
        ("POST", 200, &[fresh, here, ("Set-Cookie", "a=b")], Err(Why::SetCookie)),
        ("POST", 200, &[("Cache-Control", "private, max-age=600"), here], Err(Why::Private)),
    ];
    for (method, status, lines, expected) in rows {
        let facts = RequestFacts { method, ..post };
        let verdict = storable_post(&facts, &target, status, &Lines(lines), &Rules::default(), TIMES());
        let found = match verdict {
            Storable::Yes(freshness) => Ok(freshness.lifetime()),
            Storable::No(why) => Err(why),
        };
        assert_eq!(found, expected, "{method} {status} {lines:?}");
    }
}

#[test]
fn an_answer_to_authorization_needs_to_be_shared() {
    let request = RequestFacts { has_authorization: true, ..GET };
    let rows = [
        ("max-age=600", Err(Why::Authorization)),
        ("max-age=600, proxy-revalidate", Err(Why::Authorization)),
        ("max-age=600, public", Ok(600)),
        ("s-maxage=600", Ok(600)),
        ("max-age=600, must-revalidate", Ok(600)),
    ];
    for (value, expected) in rows {
        assert_eq!(check(&request, 200, &[("Cache-Control", value)], &Rules::default()), expected, "{value}");
    }
}

#[test]
fn cookies_are_stored_only_where_both_sides_say_so() {
    let allowed = Rules { store_set_cookie: true, ..Rules::default() };
    let rows = [
        ("max-age=600", &allowed, Err(Why::SetCookie)),
        ("max-age=600, public", &allowed, Ok(600)),
        ("s-maxage=600", &allowed, Ok(600)),
        ("max-age=600, public", &Rules::default(), Err(Why::SetCookie)),
    ];
    for (value, rules, expected) in rows {
        let lines = [("Cache-Control", value), ("SET-COOKIE", "a=b")];
        assert_eq!(check(&GET, 200, &lines, rules), expected, "{value}");
    }
    for value in ["max-age=600, no-cache=\"Set-Cookie\"", "private=set-cookie, max-age=600"] {
        let lines = [("Set-Cookie", "a=b"), ("Cache-Control", value)];
        assert_eq!(check(&GET, 200, &lines, &Rules::default()), Ok(600), "{value}");
    }
    let lines = [("Set-Cookie2", "a=b"), ("Cache-Control", "max-age=600")];
    assert_eq!(check(&GET, 200, &lines, &Rules::default()), Ok(600));
}

#[test]
fn vary_star_is_not_stored() {
    let lines = [("Cache-Control", "max-age=600"), ("Vary", "Accept, *")];
    assert_eq!(check(&GET, 200, &lines, &Rules::default()), Err(Why::VaryStar));
}

#[test]
fn the_clients_no_store_counts_unless_ignored() {
    let mut request = GET;
    request.directives.no_store = true;
    let lines = [("Cache-Control", "max-age=600")];
    assert_eq!(check(&request, 200, &lines, &Rules::default()), Err(Why::RequestNoStore));
    let ignoring = Rules { ignore_client_cache_control: true, ..Rules::default() };
    assert_eq!(check(&request, 200, &lines, &ignoring), Ok(600));
}

proptest! {
    #[test]
    fn nothing_said_beside_it_lets_a_private_or_no_store_response_be_stored(
        before in prop::collection::vec(PERMISSION, 0..4),
        restriction in "(private|PRIVATE)(=\"(|a b|,|vary)\")?|(no-store|No-Store)(=\"[a-z, ]{0,5}\"|=x)?",
        after in prop::collection::vec(PERMISSION, 0..4),
        status in 0_u16..700,
        is_targeted: bool,
        has_authorization: bool,
    ) {
        let restriction = if is_targeted { restriction.to_lowercase() } else { restriction };
        let line = [before, vec![restriction], after].concat().join(", ");
        let permission = ("Cache-Control", "public, max-age=600, s-maxage=600");
        let lines = match is_targeted {
            true => vec![permission, ("CDN-Cache-Control", &line)],
            false => vec![("Cache-Control", line.as_str()), permission, ("ETag", "\"a\"")],
        };
        let rules = Rules { store_set_cookie: true, ignore_client_cache_control: true, own: None };
        let request = RequestFacts { has_authorization, ..GET };
        prop_assert!(check(&request, status, &lines, &rules).is_err(), "{lines:?}");
    }
}

/// What might be taken for a permission; no must-understand, which may set no-store aside.
const PERMISSION: &str = "public|max-age=[0-9]{1,3}|s-maxage=60|immutable|must-revalidate|stale-if-error=60|ext=\"a\"";
