//! One question about several stored variants (RFC 9111 §4.3.1): which of them may answer a request that none was
//! selected for, and the If-None-Match that names them all. The origin's 304 chooses (§4.3.3).

use super::Fields;
use super::list::{members, trim};
use super::validator::Validators;

/// The value of an If-None-Match that names the strong tags of all these, each once; `None` where there are none. What
/// would make the field very long is left out.
///
/// Weak tags are left out: a weak tag may be shared by a coded and a plain form, and the 304 would not say which of them
/// the client can read.
pub fn if_none_match(stored: &[Validators<'_>]) -> Option<Vec<u8>> {
    let mut tags: Vec<&[u8]> = Vec::new();
    let mut length = 0;
    for tag in stored.iter().filter_map(Validators::strong_etag) {
        if !tags.contains(&tag) && tag.len().saturating_add(length) <= LONGEST {
            length += tag.len() + 2;
            tags.push(tag);
        }
    }
    (!tags.is_empty()).then(|| tags.join(&b", "[..]))
}

/// May this stored variant be offered for this request at all? Not where it has a content coding that the request does
/// not name: some origins give all codings one tag.
pub fn may_offer(stored: &dyn Fields, request: &dyn Fields) -> bool {
    let mut is_readable = true;
    stored.for_each(&mut |name, value| {
        if name.eq_ignore_ascii_case(b"content-encoding") {
            is_readable &=
                members(value).all(|coding| coding.eq_ignore_ascii_case(b"identity") || accepts(request, coding));
        }
    });
    is_readable
}

/// Does Accept-Encoding (RFC 9110 §12.5.3) name the coding without refusing it?
fn accepts(request: &dyn Fields, coding: &[u8]) -> bool {
    let mut is_accepted = false;
    request.for_each(&mut |name, value| {
        if name.eq_ignore_ascii_case(b"accept-encoding") {
            is_accepted |= members(value).any(|member| {
                let mut parts = member.split(|&byte| byte == b';').map(trim);
                let is_named = parts.next().is_some_and(|named| named.eq_ignore_ascii_case(coding));
                is_named && !parts.any(is_refusal)
            });
        }
    });
    is_accepted
}

/// A weight of zero.
fn is_refusal(parameter: &[u8]) -> bool {
    match parameter {
        [b'q' | b'Q', b'=', weight @ ..] => weight.iter().all(|byte| matches!(byte, b'0' | b'.')),
        _ => false,
    }
}

/// Bytes of a list of tags.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::tests::{Lines, at};
    use super::*;

    #[test]
    fn all_strong_tags_are_asked_about_once() {
        let long = format!("\"{}\"", "x".repeat(4000));
        let rows: [(&[&str], Option<&str>); 7] = [
            (&[], None),
            (&["\"a\""], Some("\"a\"")),
            (&["\"a\"", "\"b\"", "\"a\""], Some("\"a\", \"b\"")),
            (&["W/\"a\"", "\"b\""], Some("\"b\"")),
            (&["W/\"a\"", "plain", "\"a\", \"b\"", ""], None),
            (&["\"*\""], Some("\"*\"")),
            (&[&long, &"y".repeat(200), &long.replace('x', "z"), "\"b\""], Some(&format!("{long}, \"b\""))),
        ];
        for (tags, expected) in rows {
            let stored: Vec<_> =
                tags.iter().map(|tag| Validators::of(&Lines(&[("ETag", tag)]), at(0).date())).collect();
            let found = if_none_match(&stored).map(|value| String::from_utf8(value).unwrap());
            assert_eq!(found.as_deref(), expected, "{tags:?}");
        }
    }

    #[test]
    fn a_coding_is_offered_only_to_those_who_name_it() {
        let rows = [
            ("", "", true),
            ("identity", "", true),
            ("gzip", "", false),
            ("gzip", "*", false),
            ("gzip", "br, GZIP;q=0.5", true),
            ("gzip", "gzip; q=0.000", false),
            ("gzip", "gzipped", false),
            ("gzip, br", "gzip", false),
            ("gzip, br", "br ,gzip", true),
        ];
        for (stored, request, expected) in rows {
            let found = may_offer(&Lines(&[("Content-Encoding", stored)]), &Lines(&[("Accept-Encoding", request)]));
            assert_eq!(found, expected, "{stored} | {request}");
        }
        assert!(!may_offer(&Lines(&[("Content-Encoding", "gzip")]), &Lines(&[])));
    }
}
