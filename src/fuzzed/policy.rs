//! Cache-Control and its kin, structured fields, dates, validators and ranges.

use std::time::Duration;

use super::{Fault, hold};
use crate::policy::Fields;
use crate::policy::Rules;
use crate::policy::directives::{RequestDirectives, ResponseDirectives};
use crate::policy::freshness::{Freshness, Times};
use crate::policy::groups::{has_groups, invalidated_groups};
use crate::policy::part::Part;
use crate::policy::range::{FirstByte, Ranges};
use crate::policy::reuse::reuse;
use crate::policy::storable::{RequestFacts, Storable, storable};
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
    let vary = Vary::parse(&lines);
    if let Some(variant) = Variant::of(&vary, &lines).filter(|_| vary != Vary::Any) {
        hold(variant.matches(&lines), || format!("{variant:?} is not its own"))?;
    }
    let validators = Validators::of(&lines, now.date());
    let _ = evaluate(&lines, "GET", 200, &validators, now);
    let _ = validators.if_modified_since();
    let (_, _, _) = (Withheld::of(&lines), has_groups(&lines), invalidated_groups("POST", &lines));
    for status in [200, 404, 500] {
        if let Storable::Yes(freshness) = storable(&request, status, &lines, &Rules::default(), times) {
            let is_bare = |value: &[u8]| lines.has("Cache-Control", value) && lines.0.len() == 1;
            hold(!is_bare(b"no-store") && !is_bare(b"private") && vary != Vary::Any, || format!("{status} is stored"))?;
            hold(status == 200 || status == 404 || freshness.lifetime() <= 10, || {
                format!("an error for {freshness:?}")
            })?;
            let _ = reuse(Some(&directives), &freshness, &Rules::default(), later);
        }
    }
    Ok(())
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
    if let Some(part) = Part::of(&One("Content-Range", value)) {
        hold(part.range.start < part.range.end && part.range.end <= part.length, || format!("{part:?}"))?;
    }
    if let Some(date) = HttpDate::parse(value, at(0).date()) {
        hold(HttpDate::parse(&date.format(), at(0).date()) == Some(date), || format!("{date:?}"))?;
    }
    let _ = Validators::of(&One("ETag", value), at(0).date()).allow_range(value, at(0));
    Ok(())
}

/// One field line.
struct One<'d>(&'static str, &'d [u8]);

impl Fields for One<'_> {
    fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        each(self.0.as_bytes(), self.1);
    }
}
