//! Just enough DER (X.690 section 10) to walk a certificate, and dates in both directions.
//!
//! It borrows, never allocates, and answers `None` for anything that is not plain DER: indefinite or wasteful lengths,
//! tags above 30, values cut short. It knows no certificate field; `names` does.

/// Universal tags, as they stand in certificates (constructed bit included).
pub(super) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const T61_STRING: u8 = 0x14;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const VISIBLE_STRING: u8 = 0x1a;
    pub(crate) const BMP_STRING: u8 = 0x1e;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
}

/// Reads one value after the other from a run of DER.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Der<'a> {
        Der(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next value, without taking it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value: its tag and its content.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        if tag & 0x1f == 0x1f {
            return None; // multi-byte tag: no certificate field has one
        }
        let (len, rest) = read_len(rest)?;
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next value, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The inside of the next value, which must have this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        self.take(tag).map(Der)
    }

    /// Passes over the next value if it has this tag; `None` only if it has the tag and is broken.
    pub(super) fn skip_if(&mut self, tag: u8) -> Option<()> {
        if self.peek() == Some(tag) { self.next().map(drop) } else { Some(()) }
    }
}

/// A definite length in its shortest form, and what follows it.
fn read_len(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 3 {
        return None; // indefinite, or above 16 MiB
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    let len = digits.iter().fold(0usize, |len, &digit| len << 8 | usize::from(digit));
    let is_shortest = len >= 0x80 && digits.first() != Some(&0);
    is_shortest.then_some((len, rest))
}

/// UTCTime or GeneralizedTime as RFC 5280 section 4.1.2.5 has them (seconds present, `Z`), in Unix seconds.
pub(super) fn read_time(tag: u8, content: &[u8]) -> Option<i64> {
    let text = content.strip_suffix(b"Z")?;
    let (year, rest) = match tag {
        tag::UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let [month, day, hour, minute, second] = pairs(rest)?;
    let is_calendar = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    let is_clock = hour < 24 && minute < 60 && second < 60;
    (is_calendar && is_clock).then(|| days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn pairs(text: &[u8]) -> Option<[i64; 5]> {
    let mut values = [0; 5];
    let mut chunks = text.chunks_exact(2);
    for value in &mut values {
        *value = number(chunks.next()?)?;
    }
    (chunks.next().is_none() && chunks.remainder().is_empty()).then_some(values)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |n, digit| digit.is_ascii_digit().then(|| n * 10 + i64::from(digit - b'0')))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar. The year is counted from March, so that the leap day
/// comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// `2031-05-09 17:00 UTC`, the form in which people read validity.
pub(super) fn date_text(unix: i64) -> String {
    let (days, second) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // Start from a year that is never too late, then walk; the error is at most a few years.
    let mut year = 1970 + days.div_euclid(366).clamp(-20_000, 20_000);
    while year < 20_000 && days_from_civil(year + 1, 1, 1) <= days {
        year += 1;
    }
    while year > -20_000 && days_from_civil(year, 1, 1) > days {
        year -= 1;
    }
    let mut month = 1;
    while month < 12 && days_from_civil(year, month + 1, 1) <= days {
        month += 1;
    }
    let day = days.saturating_sub(days_from_civil(year, month, 1)).saturating_add(1);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3600, second % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        let rows: [(u8, &str, Option<i64>, &str); 12] = [
            (tag::UTC_TIME, "700101000000Z", Some(0), "1970-01-01 00:00 UTC"),
            (tag::UTC_TIME, "491231235959Z", Some(2_524_607_999), "2049-12-31 23:59 UTC"),
            (tag::UTC_TIME, "500101000000Z", Some(-631_152_000), "1950-01-01 00:00 UTC"),
            (tag::GENERALIZED_TIME, "20240229120000Z", Some(1_709_208_000), "2024-02-29 12:00 UTC"),
            (tag::GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799), "9999-12-31 23:59 UTC"),
            (tag::GENERALIZED_TIME, "00000101000000Z", Some(-62_167_219_200), "0000-01-01 00:00 UTC"),
            (tag::GENERALIZED_TIME, "20230229120000Z", None, ""),
            (tag::GENERALIZED_TIME, "20231329120000Z", None, ""),
            (tag::UTC_TIME, "7001010000Z", None, ""),
            (tag::UTC_TIME, "700101000000", None, ""),
            (tag::UTC_TIME, "70010100000aZ", None, ""),
            (tag::INTEGER, "700101000000Z", None, ""),
        ];
        for (tag, text, unix, written) in rows {
            assert_eq!(read_time(tag, text.as_bytes()), unix, "{text}");
            if let Some(unix) = unix {
                assert_eq!(date_text(unix), written);
            }
        }
        date_text(i64::MAX);
        date_text(i64::MIN);
    }

    #[test]
    fn every_day_of_eight_centuries_survives_the_round_trip() {
        for day in -146_097..146_097 {
            let text = date_text(day * 86_400).replace([' ', ':', '-'], "").replace("UTC", "00Z");
            assert_eq!(read_time(tag::GENERALIZED_TIME, text.as_bytes()), Some(day * 86_400), "{text}");
        }
    }

    #[test]
    fn only_plain_der_lengths_pass() {
        let rows: [(&[u8], Option<usize>); 9] = [
            (&[4, 0], Some(0)),
            (&[4, 2, 1, 2], Some(2)),
            (&[4, 2, 1], None),
            (&[4, 0x81, 2, 1, 2], None),
            (&[4, 0x80, 0, 0], None),
            (&[4, 0x84, 0, 0, 0, 1, 9], None),
            (&[4, 0x82, 0, 0x80], None),
            (&[0x1f, 1, 0], None),
            (&[], None),
        ];
        for (bytes, len) in rows {
            assert_eq!(Der::new(bytes).next().map(|(_, content)| content.len()), len, "{bytes:?}");
        }
        let mut long = vec![4, 0x81, 0x80];
        long.resize(3 + 0x80, 7);
        assert_eq!(Der::new(&long).take(4).map(<[u8]>::len), Some(0x80));
    }
}
