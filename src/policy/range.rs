//! Byte ranges (RFC 9110 §14). Only syntax and arithmetic: whether a range is honoured at all is the caller's choice,
//! and If-Range is [`super::validator::Validators::allow_range`].

use super::list::{digits, members};
use crate::status::write_decimal;

/// Bytes `start..end` of a representation; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// What a Range field asks of a representation of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// Ignore the field: 200 with everything (RFC 9110 §14.2). For other units, bad syntax, and sets that cost more than
    /// they spare: over 16 ranges, ranges that overlap, an empty representation.
    Whole,
    /// 206 with one part.
    One(ByteRange),
    /// 206 with several, in the order asked for.
    Many(Vec<ByteRange>),
    /// 416
    Unsatisfiable,
}

impl Ranges {
    /// Resolves the value of a Range field against `length` bytes; allocates only for [`Ranges::Many`].
    pub fn parse(value: &[u8], length: u64) -> Ranges {
        let Some(set) = value.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes=")) else {
            return Ranges::Whole;
        };
        let mut ranges = [ByteRange { start: 0, end: 0 }; MAX_RANGES];
        let mut count = 0_usize;
        let mut satisfiable = 0_usize;
        for spec in members(set.1) {
            count += 1;
            match resolve(spec, length) {
                _ if count > MAX_RANGES => return Ranges::Whole,
                None => return Ranges::Whole,
                Some(range) => {
                    for (place, range) in ranges.iter_mut().skip(satisfiable).zip(range) {
                        *place = range;
                        satisfiable += 1;
                    }
                }
            }
        }
        match ranges.get(..satisfiable).unwrap_or_default() {
            ranges if count == 0 || length == 0 || has_overlap(ranges) => Ranges::Whole,
            [] => Ranges::Unsatisfiable,
            [range] => Ranges::One(*range),
            ranges => Ranges::Many(ranges.to_vec()),
        }
    }
}

/// What a Range field asks for, as far as that can be told before the length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstByte {
    /// One range that begins here; without a valid field, the whole.
    At(u64),
    /// The last bytes, however many there are before them.
    OfSuffix,
    /// Several ranges.
    OfSeveral,
}

impl FirstByte {
    /// Reads the value of a Range field.
    pub fn parse(value: &[u8]) -> FirstByte {
        match Ranges::parse(value, u64::MAX) {
            Ranges::One(_) if members(value.get(6..).unwrap_or_default()).any(|spec| spec.first() == Some(&b'-')) => {
                FirstByte::OfSuffix
            }
            Ranges::One(range) => FirstByte::At(range.start),
            Ranges::Many(_) => FirstByte::OfSeveral,
            Ranges::Whole | Ranges::Unsatisfiable => FirstByte::At(0),
        }
    }
}

impl ByteRange {
    /// Bytes in the range, at least one.
    pub fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Appends the value of Content-Range (RFC 9110 §14.4), `bytes 0-9/100`, for a representation of `length` bytes.
    pub fn write_content_range(&self, length: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"bytes ");
        write_decimal(out, self.start);
        out.push(b'-');
        write_decimal(out, self.end.saturating_sub(1));
        out.push(b'/');
        write_decimal(out, length);
    }
}

/// One int-range or suffix-range (RFC 9110 §14.1.1, §14.1.2): `None` is bad syntax, `Some(None)` has no byte here.
fn resolve(spec: &[u8], length: u64) -> Option<Option<ByteRange>> {
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
    let (start, end) = if first.is_empty() {
        (length.saturating_sub(digits(last)?), length)
    } else if last.is_empty() {
        (digits(first)?, length)
    } else {
        let (first, last) = (digits(first)?, digits(last)?);
        if last < first {
            return None;
        }
        (first, last.saturating_add(1).min(length))
    };
    Some((start < end).then_some(ByteRange { start, end }))
}

fn has_overlap(ranges: &[ByteRange]) -> bool {
    let others = |index: usize| ranges.iter().skip(index + 1);
    ranges
        .iter()
        .enumerate()
        .any(|(index, one)| others(index).any(|other| one.start < other.end && other.start < one.end))
}

/// More than any honest client asks for at once (RFC 9110 §14.2, §17.15).
const MAX_RANGES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange { start, end }
    }

    #[test]
    fn ranges_are_resolved_against_the_length() {
        use Ranges::*;
        let rows = [
            ("bytes=0-0", 10, One(range(0, 1))),
            ("bytes=2-5", 10, One(range(2, 6))),
            ("BYTES=2-", 10, One(range(2, 10))),
            ("bytes=-3", 10, One(range(7, 10))),
            ("bytes=-99", 10, One(range(0, 10))),
            ("bytes=5-99999999999999999999999", 10, One(range(5, 10))),
            ("bytes=0-18446744073709551615", u64::MAX, One(range(0, u64::MAX))),
            ("bytes= 0-1 ,, 4-5", 10, Many(vec![range(0, 2), range(4, 6)])),
            ("bytes=8-9,0-1", 10, Many(vec![range(8, 10), range(0, 2)])),
            ("bytes=0-1,20-30", 10, One(range(0, 2))),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=20-30, 99999999999999999999-", 10, Unsatisfiable),
            ("bytes=0-5,3-9", 10, Whole),
            ("bytes=0-,0-", 10, Whole),
            ("bytes=5-2", 10, Whole),
            ("bytes=0-1,5-2", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=0 - 1", 10, Whole),
            ("bytes=--1", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes =0-1", 10, Whole),
            ("items=0-1", 10, Whole),
            ("cow", 10, Whole),
            ("", 10, Whole),
            ("bytes=0-", 0, Whole),
            ("bytes=-1", 0, Whole),
        ];
        for (value, length, expected) in rows {
            assert_eq!(Ranges::parse(value.as_bytes(), length), expected, "{value}");
        }
    }

    #[test]
    fn where_a_range_begins_is_known_without_the_length_unless_it_counts_from_the_end() {
        let rows = [
            ("bytes=0-0", FirstByte::At(0)),
            ("bytes=7-", FirstByte::At(7)),
            ("bytes=-5", FirstByte::OfSuffix),
            ("bytes=1-2,5-6", FirstByte::OfSeveral),
            ("bytes=1-2,-6", FirstByte::OfSeveral),
            ("bytes=5-2", FirstByte::At(0)),
            ("bytes=-0", FirstByte::At(0)),
            ("items=5-6", FirstByte::At(0)),
            ("", FirstByte::At(0)),
        ];
        for (value, expected) in rows {
            assert_eq!(FirstByte::parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn a_set_that_is_too_long_is_ignored() {
        let set = |count: usize| (0..count).map(|index| format!("{0}-{0}", index * 2)).collect::<Vec<_>>().join(",");
        let parse = |count| Ranges::parse(format!("bytes={}", set(count)).as_bytes(), 1000);
        assert!(matches!(parse(16), Ranges::Many(ranges) if ranges.len() == 16));
        assert_eq!(parse(17), Ranges::Whole);
    }

    #[test]
    fn content_range_names_the_last_byte() {
        let mut out = Vec::new();
        range(0, 10).write_content_range(100, &mut out);
        assert_eq!(out, b"bytes 0-9/100");
    }

    proptest! {
        #[test]
        fn what_is_resolved_lies_inside(
            any: Vec<u8>,
            near in "bytes=([0-9]{0,3}-[0-9]{0,3},?){0,20}",
            length: u64,
            small in 0_u64..200,
        ) {
            for (value, length) in [(&any[..], length), (near.as_bytes(), length), (near.as_bytes(), small)] {
                let ranges = match Ranges::parse(value, length) {
                    Ranges::One(range) => vec![range],
                    Ranges::Many(ranges) => ranges,
                    Ranges::Whole | Ranges::Unsatisfiable => Vec::new(),
                };
                prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
                let total = ranges.iter().map(|range| u128::from(range.length())).sum::<u128>();
                prop_assert!(total <= u128::from(length));
            }
        }
    }
}
