//! Parts of a representation (RFC 9110 §14.4, §15.3.7): what a 206 says it carries, whether that may be stored, and with
//! what it may be combined (RFC 9111 §3.3, §3.4).
//!
//! Stricter than the RFC where a doubt could mix two versions: a part counts only with one Content-Range whose complete
//! length is known, and with a strong validator.

use super::freshness::Freshness;
use super::list::digits;
use super::range::ByteRange;
use super::storable::Storable;
use super::validator::Validators;
use super::{Fields, Why};
use crate::time::HttpDate;

/// Which bytes of a representation a 206 carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The bytes.
    pub range: ByteRange,
    /// The complete length of the representation.
    pub length: u64,
}

impl Part {
    /// What the head of a 206 says; `None` where it is of several parts, or its one Content-Range is missing, doubled,
    /// malformed, of another unit, or does not tell the complete length.
    pub fn of(fields: &dyn Fields) -> Option<Part> {
        let (mut found, mut lines, mut is_multipart) = (None, 0_u32, false);
        fields.for_each(&mut |name, value| {
            if name.eq_ignore_ascii_case(b"content-range") {
                lines = lines.saturating_add(1);
                found = Part::parse(value);
            } else if name.eq_ignore_ascii_case(b"content-type") {
                is_multipart |= value.get(..MULTIPART.len()).is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART));
            }
        });
        found.filter(|_| lines == 1 && !is_multipart)
    }

    /// `bytes 0-9/100` (RFC 9110 §14.4), with nothing else in it and every number below 2^63.
    fn parse(value: &[u8]) -> Option<Part> {
        let (_, rest) = value.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes "))?;
        let slash = rest.iter().position(|&byte| byte == b'/')?;
        let (range, length) = (rest.get(..slash)?, rest.get(slash + 1..)?);
        let dash = range.iter().position(|&byte| byte == b'-')?;
        let number = |text: &[u8]| digits(text).filter(|&number| number < LARGEST);
        let (first, last) = (number(range.get(..dash)?)?, number(range.get(dash + 1..)?)?);
        let length = number(length)?;
        let part = Part { range: ByteRange { start: first, end: last.saturating_add(1) }, length };
        (first <= last && last < length).then_some(part)
    }

    /// Is this the answer to a request for `asked`: all of it, or all that there is of it?
    pub fn answers(&self, asked: ByteRange) -> bool {
        self.range == ByteRange { start: asked.start, end: asked.end.min(self.length) }
    }
}

/// May the 206 with this head, which arrived at `now`, be stored as a part, and how long is it fresh? The rules of a whole
/// apply (RFC 9111 §3): `verdict` is theirs on a 200 with this head. Besides it must be one part with a strong validator
/// (§3.3, §3.4).
pub fn storable_part(verdict: Storable, response: &dyn Fields, now: HttpDate) -> Result<(Part, Freshness), Why> {
    let part = Part::of(response).ok_or(Why::Partial)?;
    if !Validators::of(response, now).is_strong() {
        return Err(Why::Partial);
    }
    match verdict {
        Storable::Yes(freshness) => Ok((part, freshness)),
        Storable::No(why) => Err(why),
    }
}

/// Are two parts of one representation (RFC 9111 §3.4)? Only with the same strong validator, and of the same length. That
/// they were selected by the same request fields is the caller's to know.
pub fn are_combinable(one: (&Validators<'_>, u64), other: (&Validators<'_>, u64)) -> bool {
    one.1 == other.1 && one.0.is_strongly(other.0)
}

const MULTIPART: &[u8] = b"multipart/byteranges";
/// Lengths beyond this are nobody's, and arithmetic with them stays inside 64 bits.
const LARGEST: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::super::Rules;
    use super::super::directives::RequestDirectives;
    use super::super::freshness::Times;
    use super::super::storable::{RequestFacts, storable};
    use super::super::tests::{Lines, at, date};
    use super::*;
    use proptest::prelude::*;

    type Fields<'a> = &'a [(&'a str, &'a str)];

    fn part(start: u64, end: u64, length: u64) -> Option<Part> {
        Some(Part { range: ByteRange { start, end }, length })
    }

    #[test]
    fn content_range_is_read_strictly() {
        let rows = [
            ("bytes 0-9/10", part(0, 10, 10)),
            ("BYTES 5-5/6", part(5, 6, 6)),
            ("bytes 0-9/100", part(0, 10, 100)),
            ("bytes 0-9/*", None),
            ("bytes */100", None),
            ("bytes 9-0/100", None),
            ("bytes 0-100/100", None),
            ("bytes 0-9/5", None),
            ("bytes 0-0/0", None),
            ("bytes  0-9/10", None),
            ("bytes 0 -9/10", None),
            ("bytes 0-9/10 ", None),
            ("bytes 0-9/10/10", None),
            ("bytes 0-9-9/10", None),
            ("bytes=0-9/10", None),
            ("bytes -9/10", None),
            ("bytes 0-/10", None),
            ("bytes 0-9", None),
            ("bytes +0-9/10", None),
            ("items 0-9/10", None),
            ("bytes 0-18446744073709551615/18446744073709551616", None),
            ("bytes 0-99999999999999999999/999999999999999999999", None),
            ("", None),
        ];
        for (value, expected) in rows {
            assert_eq!(Part::of(&Lines(&[("Content-Range", value)])), expected, "{value}");
        }
    }

    #[test]
    fn a_part_is_one_and_says_so_once() {
        let range = ("Content-Range", "bytes 0-9/10");
        let rows: [(&[(&str, &str)], bool); 5] = [
            (&[range], true),
            (&[], false),
            (&[range, range], false),
            (&[range, ("Content-Type", "Multipart/Byteranges; boundary=x")], false),
            (&[range, ("Content-Type", "multipart/mixed")], true),
        ];
        for (fields, expected) in rows {
            assert_eq!(Part::of(&Lines(fields)).is_some(), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_part_answers_what_was_asked_or_all_there_is_of_it() {
        let rows = [
            ((0, 10), (0, 10, 100), true),
            ((90, 110), (90, 100, 100), true),
            ((0, 10), (0, 9, 100), false),
            ((0, 10), (0, 11, 100), false),
            ((0, 10), (1, 10, 100), false),
            ((90, 110), (90, 99, 100), false),
        ];
        for ((start, end), (first, last, length), expected) in rows {
            let part = part(first, last, length).unwrap();
            assert_eq!(part.answers(ByteRange { start, end }), expected, "{start}-{end} {part:?}");
        }
    }

    #[test]
    fn a_part_is_stored_by_the_rules_of_a_whole_and_with_a_strong_validator() {
        let (sent, older) = (date(0), date(-1));
        let (fresh, range) = (("Cache-Control", "max-age=60"), ("Content-Range", "bytes 0-9/10"));
        let tag = ("ETag", "\"a\"");
        let weak = ("ETag", "W/\"a\"");
        let rows: [(&str, Fields<'_>, Result<(), Why>); 11] = [
            ("GET", &[fresh, range, tag], Ok(())),
            // RFC 9110 §8.8.2.2: a date at least a second older than Date is strong.
            ("GET", &[fresh, range, ("Date", &sent), ("Last-Modified", &older)], Ok(())),
            ("GET", &[fresh, range, ("Date", &sent), ("Last-Modified", &sent)], Err(Why::Partial)),
            ("GET", &[fresh, range, ("Last-Modified", &older)], Err(Why::Partial)),
            // RFC 9111 §3.4: nothing weak is combined.
            ("GET", &[fresh, range, weak], Err(Why::Partial)),
            ("GET", &[fresh, range, weak, ("Date", &sent), ("Last-Modified", &older)], Err(Why::Partial)),
            ("GET", &[fresh, range], Err(Why::Partial)),
            ("GET", &[fresh, tag], Err(Why::Partial)),
            ("GET", &[("Cache-Control", "private"), range, tag], Err(Why::Private)),
            ("GET", &[fresh, range, tag, ("Vary", "*")], Err(Why::VaryStar)),
            ("HEAD", &[fresh, range, tag], Err(Why::Method)),
        ];
        for (method, fields, expected) in rows {
            let facts = RequestFacts { method, has_authorization: false, directives: RequestDirectives::default() };
            let times = Times { request: at(0), response: at(0) };
            let verdict = storable(&facts, 200, &Lines(fields), &Rules::default(), times);
            let found = storable_part(verdict, &Lines(fields), at(0).date());
            assert_eq!(found.map(|_| ()), expected, "{method} {fields:?}");
        }
    }

    #[test]
    fn parts_are_combined_only_by_one_strong_validator_and_one_length() {
        let (sent, older, oldest) = (date(0), date(-1), date(-2));
        let by_date = [("Date", sent.as_str()), ("Last-Modified", older.as_str())];
        let by_other = [("Date", sent.as_str()), ("Last-Modified", oldest.as_str())];
        let both = [("Date", sent.as_str()), ("Last-Modified", older.as_str()), ("ETag", "\"a\"")];
        let (a, b, weak) = ([("ETag", "\"a\"")], [("ETag", "\"b\"")], [("ETag", "W/\"a\"")]);
        let rows: [(Fields<'_>, Fields<'_>, u64, bool); 9] = [
            (&a, &a, 10, true),
            (&a, &a, 11, false),
            (&a, &b, 10, false),
            (&weak, &weak, 10, false),
            (&a, &weak, 10, false),
            (&by_date, &by_date, 10, true),
            (&by_date, &by_other, 10, false),
            (&both, &a, 10, true),
            (&both, &by_date, 10, false),
        ];
        for (one, other, length, expected) in rows {
            let of = |fields| Validators::of(&Lines(fields), at(0).date());
            assert_eq!(are_combinable((&of(one), 10), (&of(other), length)), expected, "{one:?} {other:?}");
            assert_eq!(are_combinable((&of(other), length), (&of(one), 10)), expected, "{other:?} {one:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_lies_inside(any in "bytes [0-9]{0,21}-[0-9]{0,21}/[0-9*]{0,21}") {
            if let Some(Part { range, length }) = Part::parse(any.as_bytes()) {
                prop_assert!(range.start < range.end && range.end <= length);
                let mut out = Vec::new();
                range.write_content_range(length, &mut out);
                prop_assert_eq!(Part::parse(&out), Some(Part { range, length }));
            }
        }
    }
}
