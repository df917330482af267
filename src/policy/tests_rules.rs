use super::*;
use crate::policy::freshness::Times;
use crate::policy::storable::{RequestFacts, Storable, storable_by_rules};
use crate::policy::tests::{GET, Lines, at, date};
use crate::policy::{Rules, Why};
use proptest::prelude::*;

const E404: StatusMatch = StatusMatch::Exact(404);
const E503: StatusMatch = StatusMatch::Exact(503);
const C4: StatusMatch = StatusMatch::Class(4);
const C5: StatusMatch = StatusMatch::Class(5);

type Told<'a> = &'a [(&'a str, &'a str)];
type Given = (u32, Source);
type Lifetime = Result<Given, Why>;

fn folder(path: &str, ttl: u32) -> Rule {
    Rule { path: vec![Glob::parse(path).unwrap()], ttl: Some(ttl), ..Rule::default() }
}

fn extension(extension: &str, ttl: u32) -> Rule {
    Rule { extension: vec![extension.into()], ttl: Some(ttl), ..Rule::default() }
}

fn with(rules: Vec<Rule>) -> SiteRules {
    SiteRules { rules, ..SiteRules::default() }
}

fn sign(name: &str, value: Option<&str>) -> Vec<Sign> {
    vec![Sign { name: Name::new(name), value: value.map(str::to_owned) }]
}

/// Seconds and their source, or why not.
fn check(own: &SiteRules, target: &str, status: u16, lines: &[(&str, &str)]) -> Lifetime {
    let rules = Rules { own: Some(Box::new(own.clone())), ..Rules::default() };
    let asked = Asked { target, fields: &Lines(&[]) };
    let times = Times { request: at(0), response: at(0) };
    match storable_by_rules(&GET, &asked, status, &Lines(lines), &rules, times) {
        Storable::Yes(freshness) => Ok((freshness.lifetime(), freshness.source())),
        Storable::No(why) => Err(why),
    }
}

fn says(cache_control: &str) -> [(&str, &str); 1] {
    [("Cache-Control", cache_control)]
}

#[test]
fn the_first_rule_that_matches_and_has_a_ttl_decides() {
    let both = Rule { ttl: Some(5), ..Rule { path: folder("/a/b/", 0).path, ..extension("js", 0) } };
    let silent = Rule { ttl: None, bypass: Some(false), ..folder("/a/", 0) };
    let own = with(vec![silent, both, folder("/a/b/", 10), folder("/a/", 20), extension("css", 30)]);
    let rows = [
        ("/a/b/c.js", Ok((5, Source::RuleTtl(2)))),
        ("/a/b/c.css", Ok((10, Source::RuleTtl(3)))),
        ("/a/c.css?b=/x/", Ok((20, Source::RuleTtl(4)))),
        ("/c.CSS", Ok((30, Source::RuleTtl(5)))),
        ("/c.js", Err(Why::NoFreshness)),
        // What can be read as another path gets no lifetime for its own.
        ("/a/../c", Err(Why::NoFreshness)),
        ("/a/%2e%2e/c.css", Err(Why::NoFreshness)),
        ("/a%2fc.css", Err(Why::NoFreshness)),
        ("//a/c.css", Err(Why::NoFreshness)),
    ];
    for (target, expected) in rows {
        assert_eq!(check(&own, target, 200, &[]), expected, "{target}");
    }
}

#[test]
fn the_origin_wins_unless_the_rule_shall() {
    let (soon, day_ago) = (date(60), date(-86_400));
    let (origin, rule) = (with(vec![folder("/", 0), folder("/a", 10)]), with(vec![folder("/a", 10)]));
    let rule = SiteRules { rule_wins: true, ..rule };
    let mine = (10, Source::RuleTtl(2));
    let wins = (10, Source::RuleTtl(1));
    // RFC 9111 §4.2.1: s-maxage, max-age and Expires are explicit; §4.2.2: a tenth of Last-Modified is a guess.
    #[rustfmt::skip]
    let rows: [(Told<'_>, Given, Given); 9] = [
        (&says("max-age=600"), (600, Source::MaxAge), wins),
        (&says("s-maxage=6, max-age=600"), (6, Source::SMaxAge), wins),
        (&says("max-age=5, must-revalidate"), (5, Source::MaxAge), wins),
        (&[("Expires", &soon)], (60, Source::Expires), wins),
        (&[("CDN-Cache-Control", "max-age=600")], (600, Source::MaxAge), wins),
        (&says("public"), mine, wins),
        (&[("Last-Modified", &day_ago)], mine, wins),
        (&[("CDN-Cache-Control", "public"), ("Expires", &soon)], mine, wins),
        (&[], mine, wins),
    ];
    for (lines, by_origin, by_rule) in rows {
        assert_eq!(check(&origin, "/a", 200, lines), Ok(by_origin), "{lines:?}");
        assert_eq!(check(&rule, "/a", 200, lines), Ok(by_rule), "{lines:?}");
    }
    // A zero is a lifetime too; only what can be validated is worth keeping then.
    let zero = SiteRules { rule_wins: true, ..with(vec![folder("/a", 0)]) };
    assert_eq!(check(&zero, "/a", 200, &says("max-age=600")), Err(Why::NoFreshness));
    let tagged = [("Cache-Control", "max-age=600"), ("ETag", "\"a\"")];
    assert_eq!(check(&zero, "/a", 200, &tagged), Ok((0, Source::RuleTtl(1))));
}

#[test]
fn what_forbids_storing_or_reuse_stays_in_force() {
    let every = SiteRules { rule_wins: true, default_ttl: Some(9), min_ttl: Some(9), ..with(vec![folder("/**", 10)]) };
    let overriding = SiteRules { override_no_store: true, ..every.clone() };
    // RFC 9111 §3, §5.2.2.4, §5.2.2.5, §5.2.2.7, §4.1; reliability requirement 13.
    #[rustfmt::skip]
    let rows: [(Told<'_>, Why, bool); 7] = [
        (&says("no-store"), Why::NoStore, true),
        (&says("no-store, max-age=60"), Why::NoStore, true),
        (&says("no-store, private"), Why::NoStore, false),
        (&says("private"), Why::Private, false),
        (&[("Set-Cookie", "a=b")], Why::SetCookie, false),
        (&[("Vary", "*")], Why::VaryStar, false),
        (&says("no-cache"), Why::NoCache, false),
    ];
    for (lines, why, is_overridden) in rows {
        assert_eq!(check(&every, "/a", 200, lines), Err(why), "{lines:?}");
        let found = check(&overriding, "/a", 200, lines);
        assert_eq!(found.is_ok(), is_overridden, "{lines:?}: {found:?}");
    }
    for status in [206, 304, 412, 416] {
        assert_eq!(check(&overriding, "/a", status, &[]), Err(Why::Status), "{status}");
    }
    // The default is nobody's wish to override anything.
    let only_default = SiteRules { rules: Vec::new(), ..overriding };
    assert_eq!(check(&only_default, "/a", 200, &says("no-store")), Err(Why::NoStore));
}

#[test]
fn no_cache_and_must_revalidate_mean_what_they_meant() {
    let own = SiteRules { rule_wins: true, ..with(vec![folder("/**", 10)]) };
    let rules = Rules { own: Some(Box::new(own)), ..Rules::default() };
    let asked = Asked { target: "/a", fields: &Lines(&[]) };
    let times = Times { request: at(0), response: at(0) };
    let stored = |value: &str| {
        let lines = [("Cache-Control", value), ("ETag", "\"a\"")];
        match storable_by_rules(&GET, &asked, 200, &Lines(&lines), &rules, times) {
            Storable::Yes(freshness) => freshness,
            Storable::No(why) => panic!("{why:?}"),
        }
    };
    assert!(stored("no-cache").is_no_cache() && stored("no-cache").forbids_stale());
    assert!(stored("max-age=1, must-revalidate").forbids_stale());
    assert!(stored("s-maxage=1").has_s_maxage());
    assert_eq!(stored("max-age=1, stale-if-error=7").stale_if_error(), Some(7));
}

#[test]
fn a_status_has_its_lifetime_the_exact_one_first() {
    let status =
        vec![(C4, 20), (E404, 60), (C5, 4), (E503, 100), (StatusMatch::Class(3), 7), (StatusMatch::Class(2), 8)];
    let own = SiteRules { status, ..SiteRules::default() };
    let by_status = |seconds| Ok((seconds, Source::StatusTtl));
    let rows = [
        (404, by_status(60)),
        (403, by_status(20)),
        (410, by_status(20)),
        (302, by_status(7)),
        (200, by_status(8)),
        (500, by_status(4)),
        // Decision 33: a class of clients' errors does not name 429; an error that is named is the operator's.
        (429, by_status(10)),
        (503, by_status(100)),
    ];
    for (status, expected) in rows {
        assert_eq!(check(&own, "/a", status, &[]), expected, "{status}");
    }
    let off = SiteRules { status: vec![(C5, 0)], ..SiteRules::default() };
    assert_eq!(check(&off, "/a", 503, &says("max-age=4")), Ok((4, Source::MaxAge)));
    assert_eq!(check(&SiteRules { rule_wins: true, ..off }, "/a", 503, &says("max-age=4")), Err(Why::NoFreshness));
}

#[test]
fn errors_stay_as_briefly_as_decided_whatever_folder_they_are_of() {
    let own = SiteRules {
        default_ttl: Some(600),
        min_ttl: Some(300),
        ..with(vec![Rule { status: vec![E503], ..folder("/a/", 60) }, folder("/a/", 600)])
    };
    let rows: [(u16, Told<'_>, Lifetime); 9] = [
        (200, &[], Ok((600, Source::RuleTtl(2)))),
        (503, &[], Ok((60, Source::RuleTtl(1)))),
        (503, &says("max-age=600"), Ok((10, Source::MaxAge))),
        (500, &[], Err(Why::NoFreshness)),
        (500, &says("max-age=600"), Ok((10, Source::MaxAge))),
        (500, &says("max-age=2"), Ok((2, Source::MaxAge))),
        (404, &[], Err(Why::NoFreshness)),
        (403, &[], Err(Why::NoFreshness)),
        (302, &[], Err(Why::NoFreshness)),
    ];
    for (status, lines, expected) in rows {
        assert_eq!(check(&own, "/a/b", status, lines), expected, "{status} {lines:?}");
    }
}

#[test]
fn bounds_hold_for_whatever_lifetime_there_is() {
    let day_ago = date(-86_400);
    let own = SiteRules {
        min_ttl: Some(30),
        max_ttl: Some(300),
        status: vec![(E404, 0), (E503, 200)],
        ..with(vec![folder("/long/", 900), folder("/off/", 0), folder("/short/", 3)])
    };
    #[rustfmt::skip]
    let rows: [(&str, u16, Told<'_>, Lifetime); 12] = [
        ("/a", 200, &says("max-age=5"), Ok((30, Source::MinTtl))),
        ("/a", 200, &says("max-age=0"), Ok((30, Source::MinTtl))),
        ("/a", 200, &says("max-age=60"), Ok((60, Source::MaxAge))),
        ("/a", 200, &says("max-age=900"), Ok((300, Source::MaxTtl))),
        ("/a", 200, &[("Last-Modified", &day_ago)], Ok((300, Source::MaxTtl))),
        ("/a", 200, &[("Expires", "0")], Ok((30, Source::MinTtl))),
        // A floor makes no lifetime where there is none.
        ("/a", 200, &[], Err(Why::NoFreshness)),
        ("/long/a", 200, &[], Ok((300, Source::MaxTtl))),
        ("/short/a", 200, &[], Ok((30, Source::MinTtl))),
        ("/off/a", 200, &[], Err(Why::NoFreshness)),
        ("/a", 404, &[], Err(Why::NoFreshness)),
        ("/a", 500, &says("max-age=5"), Ok((5, Source::MaxAge))),
    ];
    for (target, status, lines, expected) in rows {
        assert_eq!(check(&own, target, status, lines), expected, "{target} {status} {lines:?}");
    }
}

#[test]
fn a_default_takes_the_place_of_a_guess_alone() {
    let day_ago = date(-86_400);
    let own = SiteRules { default_ttl: Some(600), ..SiteRules::default() };
    let wins = SiteRules { rule_wins: true, ..own.clone() };
    for own in [own, wins] {
        let is_default = Ok((600, Source::DefaultTtl));
        assert_eq!(check(&own, "/a", 200, &[]), is_default);
        assert_eq!(check(&own, "/a", 200, &[("Last-Modified", &day_ago)]), is_default);
        assert_eq!(check(&own, "/a", 301, &[]), is_default);
        assert_eq!(check(&own, "/a", 200, &says("max-age=5")), Ok((5, Source::MaxAge)));
        assert_eq!(check(&own, "/a", 404, &[]), Err(Why::NoFreshness));
        assert_eq!(check(&own, "/a/../b", 200, &[]), Err(Why::NoFreshness));
    }
}

#[test]
fn an_operators_lifetime_is_counted_from_the_arrival() {
    let own = SiteRules { max_ttl: Some(50), ..with(vec![folder("/a", 20)]) };
    let rules = Rules { own: Some(Box::new(own)), ..Rules::default() };
    let times = Times { request: at(0), response: at(0) };
    for (target, lines, ttl) in [
        ("/a", vec![("Age", "500")], 20),
        ("/b", vec![("Age", "500"), ("Cache-Control", "max-age=600")], 50),
        ("/b", vec![("Age", "500"), ("Cache-Control", "max-age=530")], 30),
    ] {
        let asked = Asked { target, fields: &Lines(&[]) };
        let Storable::Yes(freshness) = storable_by_rules(&GET, &asked, 200, &Lines(&lines), &rules, times) else {
            panic!("{lines:?}")
        };
        assert_eq!((freshness.ttl(at(0)), freshness.age(at(0))), (ttl, 500), "{lines:?}");
    }
}

#[test]
fn the_first_rule_that_matches_and_has_a_bypass_decides() {
    let bypass = |rule: Rule| Rule { ttl: None, bypass: Some(true), ..rule };
    let own = with(vec![
        folder("/admin/", 5),
        Rule { bypass: Some(false), ..bypass(folder("/admin/public/", 0)) },
        bypass(folder("/admin/", 0)),
        bypass(extension("php", 0)),
        bypass(Rule { header: sign("X-Preview", None), ..Rule::default() }),
        bypass(Rule { header: sign("X-Stage", Some("test")), query: sign("debug", None), ..Rule::default() }),
        bypass(Rule { cookie: sign("session_*", None), ..Rule::default() }),
        bypass(Rule { cookie: sign("theme", Some("dark")), ..Rule::default() }),
        bypass(Rule { query: sign("nocache", Some("1")), ..Rule::default() }),
    ]);
    let rows: [(&str, Told<'_>, Option<usize>); 22] = [
        ("/", &[], None),
        ("/admin/x", &[], Some(3)),
        ("/admin/public/x", &[], None),
        ("/x.PHP?a", &[], Some(4)),
        // A path that can be read in two ways evades no bypass, and profits from no exception.
        ("/admin/public/../x", &[], Some(3)),
        ("/x/../admin/x", &[], Some(3)),
        ("/x//y", &[], Some(3)),
        ("/", &[("x-preview", "")], Some(5)),
        ("/", &[("X_Preview", "1")], Some(5)),
        ("/", &[("X-Stage", "test")], None),
        ("/?debug", &[("X-Stage", "test")], Some(6)),
        ("/?debug", &[("X-Stage", "live")], None),
        ("/?debug", &[("X-Stage", "live"), ("X-Stage", "test")], Some(6)),
        ("/", &[("Cookie", "a=b; session_7=x")], Some(7)),
        ("/", &[("Cookie", "a=session_7")], None),
        ("/", &[("Cookie", "theme=dark")], Some(8)),
        ("/", &[("Cookie", "theme=darker")], None),
        ("/?nocache=1", &[], Some(9)),
        ("/?a&nocache=1&b", &[], Some(9)),
        ("/?nocache=10", &[], None),
        ("/?xnocache=1", &[], None),
        ("/?nocache", &[], None),
    ];
    for (target, lines, expected) in rows {
        let found = own.bypass(&Asked { target, fields: &Lines(lines) });
        assert_eq!(found, expected, "{target} {lines:?}");
    }
}

fn any_rules() -> impl Strategy<Value = SiteRules> {
    let seconds = || prop::option::of(prop::sample::select(vec![0_u32, 5, 60, 600]));
    let path = prop::sample::select(vec!["/**", "/a", "/a/", "**/b"]);
    let status = prop::option::of(prop::sample::select(vec![E404, E503, C4, C5, StatusMatch::Class(2)]));
    let rule = (path, status, seconds()).prop_map(|(path, status, ttl)| Rule {
        status: status.into_iter().collect(),
        ttl,
        ..folder(path, 0)
    });
    let statuses =
        prop::collection::vec((prop::sample::select(vec![E404, E503, C5, StatusMatch::Class(2)]), 0..600_u32), 0..3);
    (prop::collection::vec(rule, 0..4), statuses, any::<bool>(), seconds(), seconds(), seconds()).prop_map(
        |(rules, status, rule_wins, min_ttl, max_ttl, default_ttl)| SiteRules {
            rules,
            status,
            rule_wins,
            min_ttl,
            max_ttl,
            default_ttl,
            ..SiteRules::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_rules_make_a_private_response_storable(
        own in any_rules(),
        overrides: bool,
        store_set_cookie: bool,
        has_authorization: bool,
        status in prop::sample::select(vec![200_u16, 206, 301, 404, 429, 503]),
        words in prop::collection::vec(
            prop::sample::select(vec!["max-age=60", "public", "s-maxage=9", "no-cache", "must-revalidate", "max-age=0"]), 0..4,
        ),
        forbidding in 0..6_usize,
    ) {
        let word = ["no-store", "private", "private=\"vary\"", "", "", ""][forbidding];
        let cache_control = words.iter().copied().chain([word]).collect::<Vec<_>>().join(", ");
        let mut lines = vec![("Cache-Control", cache_control.as_str())];
        lines.extend([("Set-Cookie", "a=b")].into_iter().filter(|_| forbidding == 3));
        lines.extend([("Vary", "*")].into_iter().filter(|_| forbidding == 4));
        let has_authorization = has_authorization || forbidding == 5;
        let is_shared = words.iter().any(|word| ["public", "s-maxage=9", "must-revalidate"].contains(word));
        let is_forbidden = match forbidding {
            0 => !overrides,
            3 => !store_set_cookie || !words.iter().any(|word| ["public", "s-maxage=9"].contains(word)),
            5 => !is_shared,
            _ => true,
        };
        let own = SiteRules { override_no_store: overrides, ..own };
        let rules = Rules { store_set_cookie, own: Some(Box::new(own)), ..Rules::default() };
        let facts = RequestFacts { has_authorization, ..GET };
        let asked = Asked { target: "/a", fields: &Lines(&[]) };
        let times = Times { request: at(0), response: at(0) };
        let found = storable_by_rules(&facts, &asked, status, &Lines(&lines), &rules, times);
        let is_open = has_authorization && !is_shared;
        prop_assert!(!(is_forbidden || is_open || status == 206) || matches!(found, Storable::No(_)), "{:?}", found);
        if let Storable::Yes(freshness) = found {
            let is_fault = is_error(status);
            prop_assert!(!is_fault || freshness.lifetime() <= LONGEST_ERROR && freshness.forbids_stale());
            prop_assert_eq!(freshness.is_no_cache(), words.contains(&"no-cache"));
        }
    }
}
