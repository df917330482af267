//! Sizes, durations, shares: `"512MiB"`, `"30s"`, `"10%"`.
//!
//! Text to number and back, exact and with an error for everything doubtful. Knows no keys and no limits.

use std::time::Duration;

use super::problem::{Fault, quoted};

/// A size that may be a part of something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Hundredths, 1 to 100.
    Percent(u64),
    /// Bytes.
    Bytes(u64),
}

impl Share {
    /// The bytes that this is of `whole`.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            // u128 so that no budget overflows; the quotient fits because the share is at most the whole.
            Share::Percent(percent) => u64::try_from(u128::from(whole) * u128::from(percent) / 100).unwrap_or(whole),
            Share::Bytes(bytes) => bytes,
        }
    }
}

/// `"64KiB"`, `"1GiB"`, `"100MB"`, `"512"` → bytes.
pub(super) fn size(text: &str) -> Result<u64, Fault> {
    let (digits, unit) = split_number(text);
    let Some((_, factor)) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        return Err(Fault::new(format!("{} is not a size", quoted(text)), SIZE_ADVICE));
    };
    number(digits)
        .ok_or_else(|| Fault::new(format!("{} is not a size", quoted(text)), SIZE_ADVICE))?
        .checked_mul(*factor)
        .ok_or_else(|| Fault::new(format!("{} is more than can be counted", quoted(text)), SIZE_ADVICE))
}

/// `"30s"`, `"250ms"`, `"5m"`, `"1h"`, `"1d"` → a duration of at most a year. Zero is let through.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let (digits, unit) = split_number(text);
    let value = number(digits);
    if let (Some(value), "") = (value, unit) {
        if value == 0 {
            return Ok(Duration::ZERO);
        }
        return Err(Fault::new(
            format!("{} has no unit", quoted(text)),
            format!("write \"{value}s\" for {value} seconds"),
        ));
    }
    let factor = TIMES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let (Some(value), Some(factor)) = (value, factor) else {
        return Err(Fault::new(format!("{} is not a duration", quoted(text)), TIME_ADVICE));
    };
    match value.checked_mul(factor) {
        Some(millis) if millis <= LONGEST => Ok(Duration::from_millis(millis)),
        _ => Err(Fault::new(format!("{} is more than a year", quoted(text)), TIME_ADVICE)),
    }
}

/// `"10%"` or a size.
pub(super) fn share(text: &str) -> Result<Share, Fault> {
    let Some(digits) = text.strip_suffix('%') else {
        return size(text)
            .map(Share::Bytes)
            .map_err(|_| Fault::new(format!("{} is neither a share nor a size", quoted(text)), SHARE_ADVICE));
    };
    match number(digits) {
        Some(percent) if (1..=100).contains(&percent) => Ok(Share::Percent(percent)),
        _ => Err(Fault::new(format!("{} is not a share", quoted(text)), SHARE_ADVICE)),
    }
}

/// Bytes in the largest unit that divides them: `64KiB`, `12B`.
pub(super) fn show_size(bytes: u64) -> String {
    let fits = |factor: u64| bytes >= factor && bytes.is_multiple_of(factor);
    match SIZES.iter().rev().find(|(name, factor)| name.contains('i') && fits(*factor)) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

/// Digits, then the rest without the blank between them.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits, unit.strip_prefix(' ').unwrap_or(unit))
}

/// Digits alone: no sign, no blank, not empty.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Units of bytes; those with an `i` are the ones we write ourselves, smallest first.
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
/// Units of time, in milliseconds. Their case counts, so that `5M` is not taken for minutes.
const TIMES: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// A year, in milliseconds: far below where adding to a clock could overflow.
const LONGEST: u64 = 365 * 86_400_000;
const SIZE_ADVICE: &str = "write a number and KiB, MiB or GiB, for example \"256MiB\"";
const TIME_ADVICE: &str = "write a whole number and ms, s, m, h or d, for example \"30s\"";
const SHARE_ADVICE: &str = "write \"1%\" to \"100%\", or a size such as \"8MiB\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("12B", Some(12)),
            ("64KiB", Some(65_536)),
            ("64kib", Some(65_536)),
            ("64 KiB", Some(65_536)),
            ("100MB", Some(100_000_000)),
            ("1GiB", Some(1 << 30)),
            ("", None),
            ("MiB", None),
            ("1.5GiB", None),
            ("-1", None),
            ("+1", None),
            ("1G", None),
            ("10%", None),
            ("99999999999999999999", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("30s", Some(30_000)),
            ("250ms", Some(250)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("365d", Some(LONGEST)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("366d", None),
            ("30", None),
            ("5M", None),
            ("-5s", None),
            ("1.5s", None),
            ("s", None),
            ("", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn shares() {
        for (text, expected) in [
            ("10%", Some(Share::Percent(10))),
            ("100%", Some(Share::Percent(100))),
            ("8MiB", Some(Share::Bytes(8 << 20))),
            ("0%", None),
            ("101%", None),
            ("%", None),
            ("ten", None),
        ] {
            assert_eq!(share(text).ok(), expected, "{text:?}");
        }
        assert_eq!(Share::Percent(10).of(1000), 100);
        assert_eq!(Share::Percent(100).of(u64::MAX), u64::MAX);
    }

    #[test]
    fn sizes_are_shown_in_the_largest_whole_unit() {
        for (bytes, expected) in [(12, "12B"), (0, "0B"), (65_536, "64KiB"), (1 << 30, "1GiB"), (1025, "1025B")] {
            assert_eq!(show_size(bytes), expected);
        }
    }
}
