use super::*;
use crate::policy::tests::{Line, Lines, at, date};
use proptest::prelude::*;

/// A response that arrived at [`at`] 0, its request sent at once.
fn freshness(status: u16, lines: &[(&str, &str)]) -> Freshness {
    let lines = Lines(lines);
    let times = Times { request: at(0), response: at(0) };
    Freshness::of(status, &ResponseDirectives::parse(&lines), &lines, times)
}

#[test]
fn it_is_small() {
    assert_eq!(size_of::<Freshness>(), 32);
}

#[test]
fn the_lifetime_has_one_source() {
    let (now, soon, past, day_ago, year_ago) = (date(0), date(60), date(-60), date(-86_400), date(-31_536_000));
    let last_modified = ("Last-Modified", day_ago.as_str());
    type Row<'a> = (u16, &'a [(&'a str, &'a str)], (u32, Source));
    let rows: [Row<'_>; 27] = [
        (200, &[("Cache-Control", "max-age=5, s-maxage=9"), ("Expires", &soon)], (9, Source::SMaxAge)),
        (200, &[("Cache-Control", "max-age=5"), ("Expires", &past)], (5, Source::MaxAge)),
        (200, &[("Cache-Control", "max-age=0"), ("Expires", &soon)], (0, Source::MaxAge)),
        (200, &[("Expires", &soon), ("Date", &now)], (60, Source::Expires)),
        (200, &[("Expires", &soon)], (60, Source::Expires)),
        (200, &[("Expires", &soon), ("Date", "foo")], (60, Source::Expires)),
        (200, &[("Expires", &soon), ("Date", &past)], (120, Source::Expires)),
        (200, &[("Expires", &past), ("Date", &now)], (0, Source::Expires)),
        (200, &[("Expires", &now), ("Date", &now)], (0, Source::Expires)),
        (200, &[("Expires", "0"), last_modified], (0, Source::Expires)),
        (200, &[("Expires", &soon), ("Expires", &soon)], (0, Source::Expires)),
        (200, &[("Expires", "Thu, 01 Jan 9999 00:00:00 GMT")], (MAX_SECONDS, Source::Expires)),
        (200, &[("CDN-Cache-Control", "max-age=5"), ("Expires", &past)], (5, Source::MaxAge)),
        (200, &[("CDN-Cache-Control", "public"), ("Expires", &soon)], (0, Source::None)),
        (200, &[("CDN-Cache-Control", ""), ("Expires", &soon)], (60, Source::Expires)),
        (200, &[last_modified], (8640, Source::Heuristic)),
        (200, &[last_modified, ("Date", &past)], (8634, Source::Heuristic)),
        (200, &[("Last-Modified", &year_ago)], (86_400, Source::Heuristic)),
        (200, &[("Last-Modified", &soon)], (0, Source::Heuristic)),
        (404, &[last_modified], (8640, Source::Heuristic)),
        (302, &[last_modified], (0, Source::None)),
        (302, &[last_modified, ("Cache-Control", "public")], (8640, Source::Heuristic)),
        (501, &[last_modified], (8640, Source::Heuristic)),
        (502, &[last_modified, ("Cache-Control", "public")], (0, Source::None)),
        (200, &[last_modified, last_modified], (0, Source::None)),
        (200, &[("Last-Modified", "yesterday")], (0, Source::None)),
        (200, &[("ETag", "\"a\"")], (0, Source::None)),
    ];
    for (status, lines, expected) in rows {
        let found = freshness(status, lines);
        assert_eq!((found.lifetime(), found.source()), expected, "{status} {lines:?}");
    }
}

#[test]
fn the_age_starts_with_what_date_and_age_say() {
    let (now, past, future) = (date(0), date(-10), date(10));
    let rows: [(&[(&str, &str)], u32); 14] = [
        (&[], 0),
        (&[("Date", &now)], 0),
        (&[("Date", &past)], 10),
        (&[("Date", &past), ("Date", &now)], 10),
        (&[("Date", &future)], 0),
        (&[("Age", "15")], 15),
        (&[("Date", &past), ("Age", "15")], 15),
        (&[("Date", &past), ("Age", "5")], 10),
        (&[("Age", "7200,0")], 7200),
        (&[("Age", "0,7200")], 0),
        (&[("Age", "7"), ("Age", "9")], 7),
        (&[("Age", "abc"), ("Age", "9")], 0),
        (&[("Age", "-7200"), ("Date", &past)], 10),
        (&[("Age", "99999999999999")], MAX_SECONDS),
    ];
    for (lines, expected) in rows {
        assert_eq!(freshness(200, lines).age(at(0)), expected, "{lines:?}");
    }
}

#[test]
fn the_delay_of_the_response_counts_as_age() {
    let lines = Lines(&[("Cache-Control", "max-age=10"), ("Age", "3")]);
    let times = Times { request: at(0), response: at(4) };
    let found = Freshness::of(200, &ResponseDirectives::parse(&lines), &lines, times);
    assert_eq!((found.age(at(4)), found.ttl(at(4))), (7, 3));
    assert_eq!((found.age(at(9)), found.ttl(at(9))), (12, -2));
}

#[test]
fn ages_saturate() {
    let lines = Lines(&[("Age", "1"), ("Cache-Control", "max-age=2147483648")]);
    let end = Now { wall: Duration::MAX, monotonic: Duration::MAX };
    let found = Freshness::of(200, &ResponseDirectives::parse(&lines), &lines, Times { request: at(0), response: end });
    assert_eq!((found.age(end), found.ttl(end), found.is_fresh(end)), (MAX_SECONDS, 0, false));
}

#[test]
fn a_response_is_stale_when_its_age_reaches_the_lifetime() {
    let found = freshness(200, &[("Cache-Control", "max-age=10")]);
    let just_before = Now { monotonic: at(10).monotonic - Duration::from_millis(1), ..at(9) };
    assert!(found.is_fresh(just_before));
    assert_eq!((found.ttl(just_before), found.staleness(just_before)), (1, 0));
    assert!(!found.is_fresh(at(10)));
    assert_eq!((found.ttl(at(10)), found.staleness(at(10))), (0, 0));
    let just_after = Now { monotonic: at(10).monotonic + Duration::from_millis(1), ..at(10) };
    assert_eq!((found.ttl(just_after), found.staleness(just_after)), (0, 1));
}

#[test]
fn a_step_of_the_wall_clock_changes_no_age() {
    let found = freshness(200, &[("Cache-Control", "max-age=2")]);
    let back = Now { wall: Duration::ZERO, ..at(3) };
    assert!(!found.is_fresh(back));
    let forward = Now { wall: Duration::from_secs(u64::MAX), ..at(1) };
    assert!(found.is_fresh(forward));
}

#[test]
fn a_capped_error_is_short_and_never_served_stale() {
    let error = freshness(503, &[("Cache-Control", "max-age=600, stale-if-error=600, stale-while-revalidate=600")]);
    let capped = error.capped(10);
    assert_eq!((capped.lifetime(), capped.stale_while_revalidate(), capped.stale_if_error()), (10, 0, Some(0)));
    assert!(capped.forbids_stale());
    assert_eq!(freshness(503, &[("Cache-Control", "max-age=5")]).capped(10).lifetime(), 5);
}

proptest! {
    #[test]
    fn any_fields_and_times_are_taken_without_panic(value: Vec<u8>, status: u16, wall: u64, [sent, got, now]: [u64; 3]) {
        let moment = |seconds| Now { wall: Duration::from_secs(wall), monotonic: Duration::from_secs(seconds) };
        for name in ["Date", "Age", "Expires", "Last-Modified", "Cache-Control"] {
            let line = Line(name, &value);
            let times = Times { request: moment(sent), response: moment(got) };
            let found = Freshness::of(status, &ResponseDirectives::parse(&line), &line, times);
            prop_assert_eq!(found.is_fresh(moment(now)), found.ttl(moment(now)) > 0);
            found.staleness(moment(now));
        }
    }
}
