//! Cache-Control and its kin, structured fields, dates, validators and ranges.

use std::time::Duration;

use super::{Fault, hold};
use crate::policy::Fields;
use crate::policy::Rules;
use crate::policy::directives::{RequestDirectives, ResponseDirectives};
use crate::policy::freshness::{Freshness, Times};
use crate::policy::groups::{has_groups, invalidated_groups};
use crate::policy::part::Part;
use crate::policy::range::{ByteRange, FirstByte, Ranges};
use crate::policy::reuse::{Reuse, reuse};
use crate::policy::storable::{RequestFacts, Storable, storable};
use crate::policy::structured::{Value, dictionary, strings};
use crate::policy::validator::{Validators, evaluate};
use crate::policy::variant::{Variant, Vary};
use crate::policy::withheld::Withheld;
use crate::time::{HttpDate, Now};

/// Lines of a message, read from the input: a letter for the name, then the value, to the end of the line.
struct Lines<'d>(Vec<(&'static str, &'d [u8])>);

impl<'d> Lines<'d> {
    fn read(data: &'d [u8]) -> Lines<'d> {
        let line = |line: &'d [u8]| {
            let (first, value) = line.split_first()?;
            let name = NAMES.get(usize::from(first % 32))?;
            value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control()).then(|| (*name, value.trim_ascii()))
        };
        Lines(data.split(|byte| *byte == b'\n').filter_map(line).collect())
    }

    fn has(&self, name: &str, value: &[u8]) -> bool {
        self.0.iter().any(|(known, line)| *known == name && line.eq_ignore_ascii_case(value))
    }

    /// The same with one more line.
    fn with(&self, name: &'static str, value: &'d [u8]) -> Lines<'d> {
        Lines(self.0.iter().copied().chain([(name, value)]).collect())
    }
}

impl Fields for Lines<'_> {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.0.iter().for_each(|(name, value)| each(name.as_bytes(), value));
    }
}

const NAMES: [&str; 20] = [
    "Cache-Control",
    "CDN-Cache-Control",
    "Millpond-Cache-Control",
    "Expires",
    "Date",
    "Age",
    "Last-Modified",
    "ETag",
    "Vary",
    "Cache-Groups",
    "Cache-Group-Invalidation",
    "Pragma",
    "If-None-Match",
    "If-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Range",
    "Range",
    "Content-Range",
    "Set-Cookie",
];

fn at(seconds: u64) -> Now {
    Now { wall: Duration::from_secs(1_785_542_400 + seconds), monotonic: Duration::from_secs(1_000 + seconds) }
}

/// All that is read of a message for caching: no promise of the rules is broken by any of it.
pub fn cache_fields(data: &[u8]) -> Result<(), Fault> {
    let lines = Lines::read(data);
    let (now, later) = (at(0), at(3600));
    let times = Times { request: now, response: now };
    let directives = RequestDirectives::parse(&lines);
    let request = RequestFacts { method: "GET", has_authorization: false, directives };
    let freshness = Freshness::of(200, &ResponseDirectives::parse(&lines), &lines, times);
    hold(freshness.lifetime() <= 1 << 31 && freshness.age(now) <= freshness.age(later), || format!("{freshness:?}"))?;
    check_directives(&lines, &directives)?;
    let vary = Vary::parse(&lines);
    if let Some(variant) = Variant::of(&vary, &lines).filter(|_| vary != Vary::Any) {
        hold(variant.matches(&lines), || format!("{variant:?} is not its own"))?;
    }
    let validators = Validators::of(&lines, now.date());
    let _ = evaluate(&lines, "GET", 200, &validators, now);
    let _ = validators.if_modified_since();
    let (_, _, _) = (Withheld::of(&lines), has_groups(&lines), invalidated_groups("POST", &lines));
    lines.0.iter().try_for_each(|(_, value)| structured_field(value))?;
    for status in [200, 404, 500] {
        if let Storable::Yes(freshness) = storable(&request, status, &lines, &Rules::default(), times) {
            let is_bare = |value: &[u8]| lines.has("Cache-Control", value) && lines.0.len() == 1;
            hold(!is_bare(b"no-store") && !is_bare(b"private") && vary != Vary::Any, || format!("{status} is stored"))?;
            hold(status == 200 || status == 404 || freshness.lifetime() <= 10, || {
                format!("an error for {freshness:?}")
            })?;
            let _ = reuse(Some(&directives), &freshness, &Rules::default(), later);
            check_reuse(&freshness, later)?;
            let stricter = ["no-store", "private"].map(|word| lines.with("Cache-Control", word.as_bytes()));
            let response = ResponseDirectives::parse(&lines);
            for stricter in stricter.iter().filter(|_| !response.is_targeted && !response.must_understand) {
                let verdict = storable(&request, status, stricter, &Rules::default(), times);
                hold(matches!(verdict, Storable::No(_)), || format!("{status} is stored against {:?}", stricter.0))?;
            }
        }
    }
    Ok(())
}

/// Neither the order of lines nor the case of letters counts, a lifetime is the one that is written, and plain lists of
/// directives say what they say word by word.
fn check_directives(lines: &Lines<'_>, request: &RequestDirectives) -> Result<(), Fault> {
    let response = ResponseDirectives::parse(lines);
    let reversed = Lines(lines.0.iter().rev().copied().collect());
    let upper: Vec<_> = lines.0.iter().map(|(name, value)| (*name, value.to_ascii_uppercase())).collect();
    let upper = Lines(upper.iter().map(|(name, value)| (*name, value.as_slice())).collect());
    for other in [&reversed, &upper] {
        let found = ResponseDirectives::parse(other);
        // Of a targeted field both count (RFC 9651 §3.1.2, §4.2).
        let is_same = response.is_targeted || found.is_targeted || found == response;
        hold(is_same, || format!("{:?} otherwise: {response:?}, {found:?}", lines.0))?;
        hold(RequestDirectives::parse(other) == *request, || format!("{:?} otherwise: {request:?}", lines.0))?;
    }
    let now = at(0);
    let written = response.s_maxage.or(response.max_age);
    let freshness = Freshness::of(200, &response, lines, Times { request: now, response: now });
    hold(written.is_none_or(|seconds| freshness.lifetime() == seconds), || format!("{freshness:?} for {written:?}"))?;
    let values: Vec<_> = lines.0.iter().filter(|(name, _)| *name == "Cache-Control").map(|(_, value)| *value).collect();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-=, ".contains(byte);
    if response.is_targeted || !values.iter().all(|value| value.iter().all(is_plain)) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&values.join(&b',')).to_ascii_lowercase();
    let members: Vec<&str> = text.split(',').map(|member| member.trim_matches(' ')).collect();
    let has = |word: &str| members.iter().any(|member| says(member, word));
    let least = |word: &str| members.iter().filter_map(|member| seconds(member, word)).min();
    let slow = (has("no-store"), has("must-revalidate"), least("max-age"), least("s-maxage"));
    let fast = (response.no_store, response.must_revalidate, response.max_age, response.s_maxage);
    hold(slow == fast, || format!("{text:?} says {fast:?}, and read slowly {slow:?}"))
}

/// Does a member say this word: by its name, or, where it is malformed, anywhere?
fn says(member: &str, word: &str) -> bool {
    let (name, argument) = member.split_once('=').unwrap_or((member, "x"));
    let is_clean = !name.is_empty() && !argument.is_empty() && !name.contains(' ') && !argument.contains([' ', '=']);
    if is_clean { name == word } else { member.split([' ', '=']).any(|piece| piece == word) }
}

/// What a member of this name says, of which everything that is no number is 0.
fn seconds(member: &str, word: &str) -> Option<u32> {
    let name = member.split([' ', '=']).next();
    let digits = member.split_once('=').map_or("", |(name, digits)| if name == word { digits } else { "" });
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse::<u64>().unwrap_or(u64::MAX).min(1 << 31);
    (name == Some(word)).then_some(if is_number { u32::try_from(number).unwrap_or(0) } else { 0 })
}

/// Without a wish of the client's only what is fresh is served as such, and stale only for as long as the response says.
fn check_reuse(freshness: &Freshness, now: Now) -> Result<(), Fault> {
    let decided = reuse(None, freshness, &Rules::default(), now);
    let over = u64::from(freshness.age(now)).saturating_sub(u64::from(freshness.lifetime()));
    let is_right = match decided {
        Reuse::Fresh => freshness.age(now) < freshness.lifetime() && !freshness.is_no_cache(),
        Reuse::Stale(_) => over <= u64::from(freshness.stale_while_revalidate()) && !freshness.forbids_stale(),
        Reuse::Validate(_) | Reuse::Unsatisfiable(_) => true,
    };
    hold(is_right, || format!("{decided:?} of {freshness:?}"))
}

/// What is a Structured Field stays the same when it is written anew, and is none with a comma behind it.
fn structured_field(value: &[u8]) -> Result<(), Fault> {
    if let Some(members) = dictionary(value) {
        let text: Vec<Vec<u8>> = members
            .iter()
            .map(|(key, value)| match value {
                Value::True => key.to_vec(),
                Value::False => [key, &b"=?0"[..]].concat(),
                Value::Integer(digits) => [key, &b"="[..], digits].concat(),
                Value::Other => [key, &b"=\"x, y\"; z"[..]].concat(),
            })
            .collect();
        let text = text.join(&b", "[..]);
        hold(dictionary(&text).as_ref() == Some(&members), || format!("{members:?} became another"))?;
        let is_open = !members.is_empty() && dictionary(&[value, b","].concat()).is_some();
        hold(!is_open, || format!("{value:?} may go on with a comma"))?;
    }
    let Some(members) = strings(value) else { return Ok(()) };
    let quoted = |text: &[u8]| {
        let guarded =
            text.iter().flat_map(|byte| if b"\"\\".contains(byte) { vec![b'\\', *byte] } else { vec![*byte] });
        [&b"\""[..], &guarded.collect::<Vec<_>>(), b"\""].concat()
    };
    let text = members.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(&b","[..]);
    hold(strings(&text).as_ref() == Some(&members), || format!("{members:?} became another"))
}

/// Range, If-Range and Content-Range: what is taken of them lies within the representation.
pub fn ranges(data: &[u8]) -> Result<(), Fault> {
    let Some((seed, value)) = data.split_first_chunk::<2>() else { return Ok(()) };
    let length = u64::from(u16::from_le_bytes(*seed));
    let found = Ranges::parse(value, length);
    let ranges = match &found {
        Ranges::One(range) => vec![*range],
        Ranges::Many(ranges) => ranges.clone(),
        Ranges::Whole | Ranges::Unsatisfiable => Vec::new(),
    };
    let slow = match slow_ranges(value, length) {
        None => Ranges::Whole,
        Some(ranges) => match ranges.as_slice() {
            [] => Ranges::Unsatisfiable,
            [one] => Ranges::One(*one),
            _ => Ranges::Many(ranges),
        },
    };
    hold(found == slow, || format!("{found:?} of {length}, and read slowly {slow:?}"))?;
    let is_within = ranges.iter().all(|range| range.start < range.end && range.end <= length && range.length() > 0);
    let total: u64 = ranges.iter().map(|range| range.length()).sum();
    hold(is_within && ranges.len() <= 16 && total <= length, || format!("{found:?} of {length}"))?;
    for range in ranges {
        let mut text = Vec::new();
        range.write_content_range(length, &mut text);
        let part = Part::of(&One("Content-Range", &text));
        hold(part.is_some_and(|part| part.range == range && part.length == length), || format!("{range:?}: {part:?}"))?;
    }
    let _ = FirstByte::parse(value);
    let part = Part::of(&One("Content-Range", value)).map(|part| (part.range, part.length));
    let slow = slow_content_range(value);
    hold(part == slow, || format!("{part:?}, and read slowly {slow:?}"))?;
    let date = HttpDate(i64::from(u16::from_le_bytes(*seed)) * 1_000_003);
    hold(HttpDate::parse(&date.format(), at(0).date()) == Some(date), || format!("{date:?}"))?;
    if let Some(date) = HttpDate::parse(value, at(0).date()) {
        hold(HttpDate::parse(&date.format(), at(0).date()) == Some(date), || format!("{date:?}"))?;
    }
    let _ = Validators::of(&One("ETag", value), at(0).date()).allow_range(value, at(0));
    Ok(())
}

/// What a Range field asks for, read member by member (RFC 9110 §14.1); `None` where it is to be ignored.
fn slow_ranges(value: &[u8], length: u64) -> Option<Vec<ByteRange>> {
    let text = std::str::from_utf8(value).ok()?;
    let (unit, set) = text.split_once('=')?;
    let specs: Vec<&str> =
        set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()).collect();
    let mut ranges = Vec::new();
    for spec in &specs {
        let (first, last) = spec.split_once('-')?;
        let (start, end) = match (first, last) {
            ("", suffix) => (length - number(suffix)?.min(length), length),
            (first, "") => (number(first)?, length),
            (first, last) if number(first)? <= number(last)? => {
                (number(first)?, number(last)?.saturating_add(1).min(length))
            }
            _ => return None,
        };
        ranges.extend((start < end).then_some(ByteRange { start, end }));
    }
    let mut sorted = ranges.clone();
    sorted.sort_by_key(|range| range.start);
    let is_apart = sorted.iter().zip(sorted.iter().skip(1)).all(|(one, next)| one.end <= next.start);
    let is_set = unit.eq_ignore_ascii_case("bytes") && (1..=16).contains(&specs.len()) && length > 0;
    (is_set && is_apart).then_some(ranges)
}

/// What a Content-Range says of one part, read by its signs.
fn slow_content_range(value: &[u8]) -> Option<(ByteRange, u64)> {
    let (unit, rest) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let (range, length) = rest.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, length) = (number(first)?, number(last)?, number(length)?);
    let is_part = unit.eq_ignore_ascii_case("bytes") && first <= last && last < length && length < 1 << 63;
    is_part.then(|| (ByteRange { start: first, end: last + 1 }, length))
}

/// Digits, however many; what is too large for a number is the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// One field line.
struct One<'d>(&'static str, &'d [u8]);

impl Fields for One<'_> {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        each(self.0.as_bytes(), self.1);
    }
}
