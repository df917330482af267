use super::*;
use crate::policy::tests::{Line, Lines, at, date};
use proptest::prelude::*;

fn validators(lines: &[(&str, &str)]) -> Validators<'static> {
    Validators::of(&Lines(lines), at(0).date())
}

#[test]
fn validators_are_read_where_they_are_clear() {
    let modified = date(-60);
    let found = validators(&[("etag", "W/\"a\""), ("last-modified", &modified)]);
    assert_eq!(found.if_none_match(), Some(&b"W/\"a\""[..]));
    assert_eq!(found.if_modified_since().as_ref().map(|text| &text[..]), Some(modified.as_bytes()));
    assert!(validators(&[]).is_empty());
    assert!(validators(&[("ETag", "")]).is_empty());
    assert!(validators(&[("ETag", "\"a\""), ("ETag", "\"b\""), ("ETag", "\"c\"")]).is_empty());
    assert!(validators(&[("Last-Modified", "0")]).is_empty());
    assert!(validators(&[("Last-Modified", &modified), ("Last-Modified", &modified)]).is_empty());
    let rfc850 = validators(&[("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT")]);
    assert_eq!(&rfc850.if_modified_since().unwrap(), b"Sun, 06 Nov 1994 08:49:37 GMT");
}

#[test]
fn conditions_are_evaluated_in_order() {
    use Precondition::*;
    let (older, same, newer) = (date(-120), date(-60), date(-30));
    let stored = validators(&[("ETag", "\"a\""), ("Last-Modified", &same)]);
    let same_old_form = "Friday, 31-Jul-26 23:59:00 GMT";
    let rows: [(&[(&str, &str)], Precondition); 33] = [
        (&[], Proceed),
        (&[("If-None-Match", "\"a\"")], NotModified),
        (&[("If-None-Match", "W/\"a\"")], NotModified),
        (&[("If-None-Match", "\"x\", \"a\" ,\"y\"")], NotModified),
        (&[("If-None-Match", "\"x\""), ("If-None-Match", "\"a\"")], NotModified),
        (&[("If-None-Match", "\"x\\\", \"a\"")], NotModified),
        (&[("If-None-Match", "\"x,a\", b")], Proceed),
        (&[("If-None-Match", "\"b\"")], Proceed),
        (&[("If-None-Match", "a")], Proceed),
        (&[("If-None-Match", "w/\"a\"")], Proceed),
        (&[("If-None-Match", "\"a")], Proceed),
        (&[("If-None-Match", "*")], NotModified),
        (&[("If-None-Match", "")], Proceed),
        (&[("If-None-Match", "\"b\""), ("If-Modified-Since", &newer)], Proceed),
        (&[("If-None-Match", "\"a\""), ("If-Modified-Since", &older)], NotModified),
        (&[("If-Modified-Since", &same)], NotModified),
        (&[("If-Modified-Since", same_old_form)], NotModified),
        (&[("If-Modified-Since", &newer)], NotModified),
        (&[("If-Modified-Since", &older)], Proceed),
        (&[("If-Modified-Since", "now")], Proceed),
        (&[("If-Modified-Since", &older), ("If-Modified-Since", &newer)], Proceed),
        (&[("If-Modified-Since", &newer), ("If-Modified-Since", &newer), ("If-Modified-Since", &newer)], Proceed),
        (&[("If-Unmodified-Since", &same), ("If-Unmodified-Since", &older)], Proceed),
        (&[("If-Match", "\"a\"")], Proceed),
        (&[("If-Match", "*")], Proceed),
        (&[("If-Match", "W/\"a\"")], Failed),
        (&[("If-Match", "\"b\"")], Failed),
        (&[("If-Match", "\"b\""), ("If-None-Match", "\"a\"")], Failed),
        (&[("If-Match", "\"a\""), ("If-None-Match", "\"a\"")], NotModified),
        (&[("If-Match", "\"a\""), ("If-Unmodified-Since", &older)], Proceed),
        (&[("If-Unmodified-Since", &older)], Failed),
        (&[("If-Unmodified-Since", &same)], Proceed),
        (&[("If-Unmodified-Since", "then")], Proceed),
    ];
    for (lines, expected) in rows {
        assert_eq!(evaluate(&Lines(lines), "GET", 200, &stored, at(0)), expected, "{lines:?}");
    }
}

#[test]
fn without_validators_only_the_star_matches() {
    let none = Validators::default();
    let newer = date(0);
    let check = |lines: &[(&str, &str)]| evaluate(&Lines(lines), "HEAD", 200, &none, at(0));
    assert_eq!(check(&[("If-None-Match", "*")]), Precondition::NotModified);
    assert_eq!(check(&[("If-None-Match", "\"a\"")]), Precondition::Proceed);
    assert_eq!(check(&[("If-Modified-Since", &newer)]), Precondition::Proceed);
    assert_eq!(check(&[("If-Unmodified-Since", &newer)]), Precondition::Proceed);
    assert_eq!(check(&[("If-Match", "\"a\"")]), Precondition::Failed);
}

#[test]
fn without_last_modified_the_date_or_the_arrival_is_compared() {
    use Precondition::*;
    let (older, sent, newer) = (date(-30), date(-20), date(-10));
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, Precondition);
    let rows: [Row<'_>; 8] = [
        (&[("Date", &sent)], &newer, NotModified),
        (&[("Date", &sent)], &sent, NotModified),
        (&[("Date", &sent)], &older, Proceed),
        (&[], &newer, Proceed),
        (&[], &date(0), NotModified),
        (&[("Date", "then")], &newer, Proceed),
        (&[("Date", &sent), ("Last-Modified", &older)], &older, NotModified),
        (&[("Date", &older), ("Last-Modified", &newer)], &sent, Proceed),
    ];
    for (lines, since, expected) in rows {
        let request = [("If-Modified-Since", since)];
        assert_eq!(evaluate(&Lines(&request), "GET", 200, &validators(lines), at(0)), expected, "{lines:?} {since}");
    }
    let passed = validators(&[("Date", &sent)]).of_a_pass();
    assert_eq!(evaluate(&Lines(&[("If-Modified-Since", &newer)]), "GET", 200, &passed, at(0)), Proceed);
    let since = [("If-Unmodified-Since", older.as_str())];
    assert_eq!(evaluate(&Lines(&since), "GET", 200, &validators(&[("Date", &sent)]), at(0)), Proceed);
}

#[test]
fn conditions_count_for_successful_reads_only() {
    let stored = validators(&[("ETag", "\"a\"")]);
    let lines = Lines(&[("If-None-Match", "\"a\"")]);
    for (method, status) in [("POST", 200), ("get", 200), ("GET", 404), ("GET", 301)] {
        assert_eq!(evaluate(&lines, method, status, &stored, at(0)), Precondition::Proceed, "{method} {status}");
    }
}

#[test]
fn a_malformed_tag_matches_only_its_like_and_never_strongly() {
    let stored = validators(&[("ETag", "abcdef")]);
    let check = |name, value| evaluate(&Lines(&[(name, value)]), "GET", 200, &stored, at(0));
    assert_eq!(check("If-None-Match", "abcdef"), Precondition::NotModified);
    assert_eq!(check("If-None-Match", "\"abcdef\""), Precondition::Proceed);
    assert_eq!(check("If-Match", "abcdef"), Precondition::Failed);
}

#[test]
fn a_range_applies_to_the_same_version_only() {
    let (now, same, newer) = (date(0), date(-60), date(-30));
    let dated = [("Last-Modified", same.as_str()), ("Date", &now)];
    let fresh = [("Last-Modified", now.as_str()), ("Date", &now)];
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, bool);
    let rows: [Row<'_>; 9] = [
        (&[("ETag", "\"a\"")], "\"a\"", true),
        (&[("ETag", "\"a\"")], "\"b\"", false),
        (&[("ETag", "\"a\"")], "W/\"a\"", false),
        (&[("ETag", "W/\"a\"")], "W/\"a\"", false),
        (&dated, &same, true),
        (&dated, &newer, false),
        (&dated[..1], &same, false),
        (&fresh, &now, false),
        (&[], "\"a\"", false),
    ];
    for (lines, if_range, expected) in rows {
        assert_eq!(validators(lines).allow_range(if_range.as_bytes(), at(0)), expected, "{lines:?} {if_range}");
    }
}

#[test]
fn a_304_freshens_only_the_response_it_names() {
    let (same, newer) = (date(-60), date(-30));
    let stored = validators(&[("ETag", "\"a\""), ("Last-Modified", &same)]);
    let rows: [(&[(&str, &str)], bool); 7] = [
        (&[], true),
        (&[("ETag", "\"a\"")], true),
        (&[("ETag", "W/\"a\"")], true),
        (&[("ETag", "\"b\"")], false),
        (&[("ETag", "\"a\""), ("Last-Modified", &newer)], true),
        (&[("Last-Modified", &same)], true),
        (&[("Last-Modified", &newer)], false),
    ];
    for (lines, expected) in rows {
        assert_eq!(stored.is_freshened_by(&validators(lines)), expected, "{lines:?}");
    }
}

#[test]
fn the_answer_to_a_head_agrees_when_all_its_validators_are_ours() {
    let (same, newer) = (date(-60), date(-30));
    let (both, none) = ([("ETag", "\"a\""), ("Last-Modified", same.as_str())], []);
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)], bool);
    let rows: [Row<'_>; 9] = [
        (&both, &none, true),
        (&both, &both, true),
        (&both, &both[..1], true),
        (&both, &[("ETag", "W/\"a\"")], true),
        (&both, &[("ETag", "\"b\"")], false),
        (&both, &[("ETag", "\"a\""), ("Last-Modified", &newer)], false),
        (&both[..1], &both, false),
        (&none, &both[..1], false),
        (&none, &none, true),
    ];
    for (stored, head, expected) in rows {
        assert_eq!(validators(stored).agree_with(&validators(head)), expected, "{stored:?} {head:?}");
    }
}

#[test]
fn a_304_chooses_by_a_strong_tag_only() {
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)], bool);
    let rows: [Row<'_>; 6] = [
        (&[("ETag", "\"a\"")], &[("ETag", "\"a\"")], true),
        (&[("ETag", "\"a\"")], &[("ETag", "\"b\"")], false),
        (&[("ETag", "\"a\"")], &[("ETag", "W/\"a\"")], false),
        (&[("ETag", "W/\"a\"")], &[("ETag", "W/\"a\"")], false),
        (&[("ETag", "\"a\"")], &[], false),
        (&[], &[], false),
    ];
    for (stored, update, expected) in rows {
        assert_eq!(validators(stored).are_chosen_by(&validators(update)), expected, "{stored:?} {update:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(value: Vec<u8>, near in "(W/)?[\",a\\\\ *]{0,12}") {
        for value in [&value[..], near.as_bytes()] {
            let stored = Validators::of(&Line("ETag", value), at(0).date());
            for name in ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"] {
                evaluate(&Line(name, value), "GET", 200, &stored, at(0));
            }
            stored.allow_range(value, at(0));
        }
    }

    #[test]
    fn a_well_formed_tag_is_found_in_any_list(tag in "[!#-~]{0,8}", before in "(\"[!#-~]{0,4}\", ?){0,3}") {
        let stored = validators(&[("ETag", &format!("\"{tag}\""))]);
        let line = format!("{before}\"{tag}\"");
        let lines = [("If-None-Match", line.as_str())];
        prop_assert_eq!(evaluate(&Lines(&lines), "GET", 200, &stored, at(0)), Precondition::NotModified);
    }
}
