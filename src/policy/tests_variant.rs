use super::*;
use crate::policy::tests::{Line, Lines};
use proptest::prelude::*;

struct Both<'a>(Line<'a>, Line<'a>);

impl Fields for Both<'_> {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.0.for_each(each);
        self.1.for_each(each);
    }
}

type Rows<'a> = &'a [(&'a str, &'a str)];

fn names(vary: &Vary) -> String {
    match vary {
        Vary::Fields(names) => names.0.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join(","),
        other => format!("{other:?}"),
    }
}

#[test]
fn vary_lines_are_one_list_of_names() {
    let rows: [(&[&str], &str); 10] = [
        (&[], "None"),
        (&["", " , "], "None"),
        (&["Foo"], "foo"),
        (&["Foo, bar", "BAZ,foo"], "bar,baz,foo"),
        (&["*"], "Any"),
        (&["Accept, *"], "Any"),
        (&["Accept", "*"], "Any"),
        (&["foo bar"], "Any"),
        (&["X-Forwarded-For"], "Any"),
        (&["\"foo\""], "Any"),
    ];
    for (lines, expected) in rows {
        let lines: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
        assert_eq!(names(&Vary::parse(&Lines(&lines))), expected, "{lines:?}");
    }
    let many: Vec<_> = (0..33).map(|number| format!("x-{number}")).collect();
    assert_eq!(Vary::parse(&Lines(&[("Vary", &many.join(","))])), Vary::Any);
    assert_eq!(names(&Vary::parse(&Lines(&[("Vary", &many[..32].join(","))]))).split(',').count(), 32);
}

#[test]
fn requests_are_told_apart_by_the_named_fields() {
    #[rustfmt::skip]
    let rows: [(&str, Rows, Rows, bool); 29] = [
        ("Foo", &[("Foo", "1")], &[("fOO", "1")], true),
        ("Foo", &[("Foo", "1")], &[("Foo", "2")], false),
        ("Foo", &[("Foo", "1")], &[("Foo", "11")], false),
        ("Foo", &[("Foo", "1")], &[], false),
        ("Foo", &[("Foo", "")], &[], false),
        ("Foo", &[], &[("Foo", "")], false),
        ("Foo", &[], &[("Bar", "1")], true),
        ("Foo", &[("Foo", "1"), ("Other", "2")], &[("Foo", "1"), ("Other", "3")], true),
        ("Foo, Bar", &[("Foo", "1"), ("Bar", "2")], &[("Bar", "2"), ("Foo", "1")], true),
        ("Foo, Bar", &[("Foo", "1"), ("Bar", "2")], &[("Foo", "1")], false),
        ("X-A, X-B", &[("X-A", "1"), ("X-B", "2")], &[("X-A", "1|2")], false),
        ("Foo", &[("Foo", "1, 2")], &[("Foo", "1"), ("Foo", "2")], true),
        ("User-Agent", &[("User-Agent", "A, b")], &[("User-Agent", "A,b")], false),
        ("User-Agent", &[("User-Agent", "A")], &[("User-Agent", "a")], false),
        ("Accept-Encoding", &[("Accept-Encoding", "gzip, BR;q=1")], &[("Accept-Encoding", "GZIP ,br ; q=1")], true),
        ("Accept-Encoding", &[("Accept-Encoding", "gzip, br")], &[("Accept-Encoding", "gzip"), ("Accept-Encoding", "br")], true),
        ("Accept-Encoding", &[("Accept-Encoding", "gzip")], &[("Accept-Encoding", "gz ip")], false),
        ("Accept-Language", &[("Accept-Language", "en  , de\t")], &[("Accept-Language", "EN,DE")], true),
        ("Accept-Language", &[("Accept-Language", "en, de")], &[("Accept-Language", "de,, EN")], true),
        ("Accept-Language", &[("Accept-Language", "en, de")], &[("Accept-Language", "de"), ("Accept-Language", "en")], true),
        ("Accept-Language", &[("Accept-Language", "en, de;q=0.5")], &[("Accept-Language", "de, en;q=0.5")], false),
        ("Accept-Language", &[("Accept-Language", "en, de")], &[("Accept-Language", "en, de, en")], false),
        ("Accept-Language", &[("Accept-Language", "")], &[], false),
        ("Accept-Encoding", &[("Accept-Encoding", "br, \"a,b\"")], &[("Accept-Encoding", "\"a,b\", br")], false),
        ("Accept", &[("Accept", "a/b, c/d")], &[("Accept", "c/d, a/b")], false),
        ("Accept", &[("Accept", "text/html; a=\"x, Y\"")], &[("Accept", "text/html;a=\"x, Y\"")], true),
        ("Accept", &[("Accept", "text/html;a=\"x, Y\"")], &[("Accept", "text/html;a=\"x,Y\"")], false),
        ("Accept", &[("Accept", "a;b=\"\\\" ,\"")], &[("Accept", "a;b=\"\\\",\"")], false),
        ("*", &[("*", "1")], &[("*", "1")], false),
    ];
    for (vary, stored, request, expected) in rows {
        let vary = Vary::parse(&Lines(&[("Vary", vary)]));
        let variant = Variant::of(&vary, &Lines(stored)).unwrap();
        assert_eq!(variant.matches(&Lines(request)), expected, "{vary:?} {stored:?} {request:?}");
        assert_eq!(Variant::of(&vary, &Lines(request)).unwrap() == variant, expected || vary == Vary::Any);
    }
}

#[test]
fn a_list_too_long_to_sort_is_compared_in_its_order() {
    for (count, is_sorted) in [(32, true), (33, false), (120, false)] {
        let tags: Vec<_> = (0..count).map(|number| format!("t{number}")).collect();
        let reversed: Vec<_> = tags.iter().rev().cloned().collect();
        let (one, other) = (tags.join(","), reversed.join(" , "));
        let vary = Vary::parse(&Lines(&[("Vary", "Accept-Language")]));
        let variant = Variant::of(&vary, &Lines(&[("Accept-Language", &one)])).unwrap();
        assert!(variant.matches(&Lines(&[("Accept-Language", &one)])), "{count}");
        assert_eq!(variant.matches(&Lines(&[("Accept-Language", &other)])), is_sorted, "{count}");
    }
}

#[test]
fn requests_are_alike_that_send_the_same_fields_and_the_usual_ones_with_the_same_values() {
    #[rustfmt::skip]
    let rows: [(Rows, Rows, bool); 18] = [
        (&[], &[], true),
        (&[("User-Agent", "a")], &[("USER-AGENT", "a")], true),
        (&[("User-Agent", "a")], &[("User-Agent", "b")], false),
        (&[("User-Agent", "a")], &[], false),
        (&[], &[("User-Agent", "a")], false),
        (&[("Accept", "a, b")], &[("Accept", "a"), ("Accept", "b")], true),
        (&[("Accept-Language", "en,de")], &[("Accept-Language", "de, en")], true),
        (&[("Trace-Id", "1")], &[("trace-id", "2")], true),
        (&[("Trace-Id", "1")], &[], false),
        (&[], &[("Trace-Id", "1")], false),
        (&[], &[("Cookie", "a=b")], false),
        (&[("Sec-Fetch-Mode", "cors")], &[("Sec-Fetch-Mode", "navigate")], false),
        (&[("Host", "a")], &[("Host", "A."), ("Connection", "close")], true),
        (&[("Via", "1.1 x")], &[], false),
        (&[("Range", "bytes=0-")], &[("If-None-Match", "\"a\"")], true),
        (&[("X-Forwarded-For", "a")], &[("X-Forwarded-For", "b")], true),
        (&[("Referer", "a"), ("Accept", "b")], &[("Accept", "b"), ("Referer", "a")], true),
        (&[("Referer", "a"), ("Accept", "b")], &[("Accept", "a"), ("Referer", "b")], false),
    ];
    for (stored, request, expected) in rows {
        let variant = Variant::of_likeness(&Lines(stored));
        assert!(variant.is_likeness() && variant.matches(&Lines(stored)), "{stored:?}");
        assert_eq!(variant.matches(&Lines(request)), expected, "{stored:?} {request:?}");
        assert_eq!(Variant::of_likeness(&Lines(request)) == variant, expected, "{stored:?} {request:?}");
    }
    let of_vary = Variant::of(&Vary::parse(&Lines(&[("Vary", "a")])), &Lines(&[])).unwrap();
    assert!(!of_vary.is_likeness());
}

#[test]
fn without_vary_there_is_no_variant() {
    assert_eq!(Variant::of(&Vary::None, &Lines(&[("Foo", "1")])), None);
}

proptest! {
    #[test]
    fn a_request_always_matches_its_own_variant(
        name in "(accept|accept-encoding|foo)",
        value: Vec<u8>,
        vary: Vec<u8>,
    ) {
        let _ = Vary::parse(&Line("Vary", &vary));
        let vary = Vary::parse(&Line("Vary", name.as_bytes()));
        let request = Line(&name, &value);
        prop_assert!(Variant::of(&vary, &request).unwrap().matches(&request));
    }

    #[test]
    fn a_request_is_always_like_itself(name in "(accept|user-agent|foo|sec-a)", other in "[a-z-]{1,9}", value: Vec<u8>) {
        let lines = Both(Line(&name, &value), Line(&other, &value));
        prop_assert!(Variant::of_likeness(&lines).matches(&lines));
    }

    #[test]
    fn unlike_values_never_match(one: Vec<u8>, other: Vec<u8>) {
        let vary = Vary::parse(&Line("Vary", b"foo"));
        let variant = Variant::of(&vary, &Line("Foo", &one)).unwrap();
        prop_assert_eq!(variant.matches(&Line("foo", &other)), one == other);
    }
}
