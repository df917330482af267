use super::*;
use crate::policy::tests::{Line, Lines};
use proptest::prelude::*;

fn response(lines: &[&str]) -> ResponseDirectives {
    let lines: Vec<_> = lines.iter().map(|line| ("cAche-control", *line)).collect();
    ResponseDirectives::parse(&Lines(&lines))
}

#[test]
fn max_age_is_read_exactly_or_is_zero() {
    let rows: [(&[&str], Option<u32>); 22] = [
        (&["max-age=3600"], Some(3600)),
        (&["MaX-aGe=3600"], Some(3600)),
        (&["foobar, max-age=3600"], Some(3600)),
        (&["max-age=\"3600\""], Some(3600)),
        (&["max-age=003600"], Some(3600)),
        (&["max-age=99999999999"], Some(MAX_SECONDS)),
        (&["max-age=1800, max-age=1"], Some(1)),
        (&["max-age=1, max-age=1800"], Some(1)),
        (&["max-age=1800", "max-age=1"], Some(1)),
        (&["extension=\"max-age=3600\", max-age=1"], Some(1)),
        (&["max-age=1, extension=\"max-age=3600\""], Some(1)),
        (&["extension=\"max-age=3600\""], None),
        (&["max-age =3600"], Some(0)),
        (&["max-age= 3600"], Some(0)),
        (&["max-age='3600'"], Some(0)),
        (&["max-age=3600.0"], Some(0)),
        (&["max-age=-100"], Some(0)),
        (&["max-age=a100"], Some(0)),
        (&["max-age=100a"], Some(0)),
        (&["max-age"], Some(0)),
        (&["max-age=\"36\"00"], Some(0)),
        (&["max-agee=1", "x-max-age=1", "=1"], None),
    ];
    for (lines, expected) in rows {
        assert_eq!(response(lines).max_age, expected, "{lines:?}");
    }
}

#[test]
fn restrictions_count_however_they_are_written() {
    assert!(response(&["max-age=600", "No-StOrE"]).no_store);
    assert!(response(&["no-store=1, public"]).no_store);
    assert!(response(&["ext=\"abc, no-store"]).no_store);
    assert!(response(&["PRIVATE, max-age=600"]).private);
    assert!(response(&["private=\"a, vary\", max-age=600"]).private);
    assert!(response(&["no-cache=\"a b\", max-age=600"]).no_cache);
    for line in ["private=\"set-cookie\", max-age=600", "no-cache=\"a, b\", max-age=600"] {
        let found = response(&[line]);
        assert!(found.withholds_fields && !found.private && !found.no_cache, "{line}");
        assert!(response(&[line, "private, no-cache"]).private, "{line}");
    }
    assert!(response(&["no-cache = a"]).no_cache);
    assert!(response(&["must-revalidate,proxy-revalidate"]).proxy_revalidate);
    assert!(!response(&["ext=\"no-store, private\""]).no_store);
    for junk in ["public; no-store", "max-age=9 no-store", ";No-Store", "\"x\" no-store", "a=b=no-store", "=no-store"] {
        assert!(response(&["max-age=600", junk]).no_store, "{junk}");
        assert!(!response(&[junk]).public, "{junk}");
    }
    assert!(response(&["max-age=600;private"]).private);
    assert!(!response(&["x-no-store, no-store-x, ext=no-store, a;no-stored"]).no_store);
    assert_eq!(response(&["public; max-age=600"]).max_age, None);
}

#[test]
fn permissions_count_only_when_clean() {
    assert!(response(&["public"]).public);
    assert!(!response(&["public = x"]).public);
    assert_eq!(response(&["stale-while-revalidate=x"]).stale_while_revalidate, Some(0));
    assert_eq!(response(&["stale-if-error=60, stale-if-error=5"]).stale_if_error, Some(5));
}

#[test]
fn pragma_counts_only_without_cache_control() {
    assert!(ResponseDirectives::parse(&Lines(&[("Pragma", "x, No-Cache")])).no_cache);
    assert!(RequestDirectives::parse(&Lines(&[("pragma", "no-cache")])).no_cache);
    assert!(!RequestDirectives::parse(&Lines(&[("pragma", "unknown")])).no_cache);
    let both = [("Pragma", "no-cache"), ("Cache-Control", "max-age=1")];
    assert!(!RequestDirectives::parse(&Lines(&both)).no_cache);
}

#[test]
fn the_first_valid_targeted_field_counts_alone() {
    let (cdn, own) = ("CDN-Cache-Control", "millpond-cache-control");
    let targeted = ResponseDirectives { is_targeted: true, ..ResponseDirectives::default() };
    let plain = ResponseDirectives { no_store: true, ..ResponseDirectives::default() };
    let aged = |seconds| ResponseDirectives { max_age: Some(seconds), ..targeted };
    let rows: [(&[(&str, &str)], ResponseDirectives); 25] = [
        (&[(cdn, "max-age=60")], aged(60)),
        (&[(cdn, "max-age=99999999999")], aged(MAX_SECONDS)),
        (&[(cdn, "max-age=-1")], aged(0)),
        (&[(cdn, "max-age=60;x=1, ext=(a b), s=\"no-store\"")], aged(60)),
        (&[(cdn, "max-age=60, max-age=90")], aged(90)),
        (&[(cdn, "max-age=60"), (cdn, "max-age=90")], aged(90)),
        (&[(cdn, "none")], targeted),
        (&[(cdn, "no-store=?0, public=?0")], targeted),
        (&[(cdn, "no-store")], ResponseDirectives { no_store: true, ..targeted }),
        (&[(cdn, "private=\"set-cookie\"")], ResponseDirectives { private: true, ..targeted }),
        (&[(cdn, "no-cache=1, public=\"x\"")], ResponseDirectives { no_cache: true, ..targeted }),
        (&[(cdn, "public"), (cdn, "s-maxage=9")], ResponseDirectives { public: true, s_maxage: Some(9), ..targeted }),
        (&[(own, "max-age=5"), (cdn, "max-age=60")], aged(5)),
        (&[(cdn, "max-age=60"), (own, "max-age=5")], aged(5)),
        (&[(own, "max-age="), (cdn, "max-age=60")], aged(60)),
        (&[(own, ""), (cdn, "max-age=60")], aged(60)),
        (&[(cdn, "")], plain),
        (&[(cdn, "max-age=60, &&&&&")], plain),
        (&[(cdn, "MaX-aGe=60")], plain),
        (&[(cdn, "max-age =60")], plain),
        (&[(cdn, "max-age=\"60\"")], plain),
        (&[(cdn, "max-age=60.5")], plain),
        (&[(cdn, "max-age")], plain),
        (&[(cdn, "max-age=60"), (cdn, "")], plain),
        (&[("Surrogate-Control", "max-age=60")], plain),
    ];
    for (lines, expected) in rows {
        let with_rest = [lines, &[("Cache-Control", "no-store"), ("Pragma", "no-cache")]].concat();
        assert_eq!(ResponseDirectives::parse(&Lines(&with_rest)), expected, "{lines:?}");
    }
    let pragma = [("Pragma", "no-cache"), (cdn, "max-age=60")];
    assert_eq!(ResponseDirectives::parse(&Lines(&pragma)), aged(60));
}

#[test]
fn request_wishes_are_the_strictest_that_can_be_read() {
    let none = RequestDirectives::default();
    let rows = [
        ("no-cache, no-store", RequestDirectives { no_cache: true, no_store: true, ..none }),
        ("only-if-cached", RequestDirectives { only_if_cached: true, ..none }),
        ("max-age=5, max-age=3", RequestDirectives { max_age: Some(3), ..none }),
        ("min-fresh=5, min-fresh=7", RequestDirectives { min_fresh: Some(7), ..none }),
        ("max-stale", RequestDirectives { max_stale: Some(MAX_SECONDS), ..none }),
        ("max-stale, max-stale=4", RequestDirectives { max_stale: Some(4), ..none }),
        ("Stale-If-Error=9, stale-if-error=\"8\"", RequestDirectives { stale_if_error: Some(8), ..none }),
        ("max-age=x, min-fresh=, max-stale=x", none),
    ];
    for (line, expected) in rows {
        assert_eq!(RequestDirectives::parse(&Lines(&[("Cache-Control", line)])), expected, "{line}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(
        any: Vec<u8>,
        near in "(no-store|private|max-age|public)?[ =\",\\\\]{0,4}(no-cache|60|x)?[ =\",\\\\]{0,3}",
    ) {
        for value in [&any[..], near.as_bytes()] {
            ResponseDirectives::parse(&Line("Cache-Control", value));
            ResponseDirectives::parse(&Line("CDN-Cache-Control", value));
            RequestDirectives::parse(&Line("Cache-Control", value));
        }
    }

    #[test]
    fn what_stands_before_or_after_cannot_hide_a_restriction(junk in r#"([ !#-\[\]-~]|="([ !#-\[\]-~]|\\"){0,5}"){0,8}"#) {
        let line = format!("{junk}, no-store, {junk}");
        prop_assert!(response(&[&line]).no_store);
    }
}
