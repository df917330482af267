//! Time as a value: nothing here reads a clock.
//!
//! [`Now`] is read once per loop turn by whoever owns a clock (floor 3 and above) and handed down, so that every
//! rule below can be tested with a `now` moved by hand. [`HttpDate`] is the calendar form of RFC 9110 §5.6.7.

use std::time::Duration;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the Unix epoch, for dates that people and other machines see.
    pub wall: Duration,
    /// Time since an arbitrary start, for ages and deadlines; never steps.
    pub monotonic: Duration,
}

impl Now {
    /// Whole seconds since the Unix epoch.
    pub fn unix(&self) -> i64 {
        i64::try_from(self.wall.as_secs()).unwrap_or(i64::MAX)
    }

    /// The wall clock as an HTTP date.
    pub fn date(&self) -> HttpDate {
        HttpDate(self.unix())
    }
}

/// An HTTP-date (RFC 9110 §5.6.7) as seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpDate(pub i64);

impl HttpDate {
    /// Parses IMF-fixdate, RFC 850 and asctime dates; `now` places a two-digit year (RFC 9110 §5.6.7).
    ///
    /// Exact: letter case, blanks and digits must be as in the grammar and the day must exist. That the day's name fits
    /// the date is not checked: nobody computes with it.
    pub fn parse(text: &[u8], now: HttpDate) -> Option<HttpDate> {
        match text.len() {
            29 => parse_imf(text),
            24 => parse_asctime(text),
            _ => parse_rfc850(text, now),
        }
    }

    /// The IMF-fixdate form, always 29 bytes. Dates outside the years 0000 to 9999 are moved to their edge.
    pub fn format(self) -> [u8; 29] {
        let seconds = self.0.clamp(FIRST_SECOND, LAST_SECOND);
        let days = seconds.div_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        let second = seconds.rem_euclid(DAY);
        let [w0, w1, w2] = name_of(&WEEKDAYS, (days + 4).rem_euclid(7));
        let [m0, m1, m2] = name_of(&MONTHS, month - 1);
        let (d, h, m, s) = (two(day), two(second / 3600), two(second / 60 % 60), two(second % 60));
        let (y, z) = (two(year / 100), two(year % 100));
        #[rustfmt::skip]
        let text = [
            w0, w1, w2, b',', b' ', d.0, d.1, b' ', m0, m1, m2, b' ', y.0, y.1, z.0, z.1, b' ',
            h.0, h.1, b':', m.0, m.1, b':', s.0, s.1, b' ', b'G', b'M', b'T',
        ];
        text
    }

    /// The form of RFC 3339 in UTC, `2026-11-23T09:16:53Z`, always 20 bytes; the same years.
    pub fn rfc3339(self) -> [u8; 20] {
        let seconds = self.0.clamp(FIRST_SECOND, LAST_SECOND);
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
        let second = seconds.rem_euclid(DAY);
        let (y, z, n, d) = (two(year / 100), two(year % 100), two(month), two(day));
        let (h, m, s) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
        #[rustfmt::skip]
        let text = [
            y.0, y.1, z.0, z.1, b'-', n.0, n.1, b'-', d.0, d.1, b'T', h.0, h.1, b':', m.0, m.1, b':', s.0, s.1, b'Z',
        ];
        text
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn parse_imf(text: &[u8]) -> Option<HttpDate> {
    #[rustfmt::skip]
    let &[
        w0, w1, w2, b',', b' ', d0, d1, b' ', m0, m1, m2, b' ', y0, y1, y2, y3, b' ',
        h0, h1, b':', n0, n1, b':', s0, s1, b' ', b'G', b'M', b'T',
    ] = text else { return None };
    index_of(&WEEKDAYS, [w0, w1, w2])?;
    let month = index_of(&MONTHS, [m0, m1, m2])? + 1;
    let year = number(y0, y1)? * 100 + number(y2, y3)?;
    let time = time_of_day([h0, h1, n0, n1, s0, s1])?;
    Some(HttpDate(midnight(year, month, number(d0, d1)?)? + time))
}

/// `Sun Nov  6 08:49:37 1994`
fn parse_asctime(text: &[u8]) -> Option<HttpDate> {
    #[rustfmt::skip]
    let &[
        w0, w1, w2, b' ', m0, m1, m2, b' ', d0, d1, b' ',
        h0, h1, b':', n0, n1, b':', s0, s1, b' ', y0, y1, y2, y3,
    ] = text else { return None };
    index_of(&WEEKDAYS, [w0, w1, w2])?;
    let month = index_of(&MONTHS, [m0, m1, m2])? + 1;
    let day = number(if d0 == b' ' { b'0' } else { d0 }, d1)?;
    let year = number(y0, y1)? * 100 + number(y2, y3)?;
    let time = time_of_day([h0, h1, n0, n1, s0, s1])?;
    Some(HttpDate(midnight(year, month, day)? + time))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn parse_rfc850(text: &[u8], now: HttpDate) -> Option<HttpDate> {
    let comma = text.iter().position(|&byte| byte == b',')?;
    let (weekday, rest) = text.split_at_checked(comma)?;
    LONG_WEEKDAYS.iter().find(|name| name.as_bytes() == weekday)?;
    #[rustfmt::skip]
    let &[
        b',', b' ', d0, d1, b'-', m0, m1, m2, b'-', y0, y1, b' ',
        h0, h1, b':', n0, n1, b':', s0, s1, b' ', b'G', b'M', b'T',
    ] = rest else { return None };
    let (day, month) = (number(d0, d1)?, index_of(&MONTHS, [m0, m1, m2])? + 1);
    let time = time_of_day([h0, h1, n0, n1, s0, s1])?;
    let year = full_year(number(y0, y1)?, month, day, time, now);
    Some(HttpDate(midnight(year, month, day)? + time))
}

/// The latest year with these two digits that puts the date at most 50 years after `now` (RFC 9110 §5.6.7).
fn full_year(two_digits: i64, month: i64, day: i64, time: i64, now: HttpDate) -> i64 {
    let seconds = now.0.clamp(FIRST_SECOND, LAST_SECOND);
    let (now_year, now_month, now_day) = civil_from_days(seconds.div_euclid(DAY));
    let limit = (now_year + 50, now_month, now_day, seconds.rem_euclid(DAY));
    let century = (now_year / 100 + 1) * 100;
    let year = century + two_digits;
    if (year, month, day, time) <= limit {
        year
    } else if (year - 100, month, day, time) <= limit {
        year - 100
    } else {
        year - 200
    }
}

/// Seconds at the start of a day that exists.
fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=days).contains(&day).then(|| days_from_civil(year, month, day) * DAY)
}

/// Seconds since midnight of `HHMMSS`; second 60 is a leap second (RFC 9110 §5.6.7) and counts as the next one.
fn time_of_day([h0, h1, m0, m1, s0, s1]: [u8; 6]) -> Option<i64> {
    let (hour, minute, second) = (number(h0, h1)?, number(m0, m1)?, number(s0, s1)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Two digits as a number.
fn number(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// A number from 0 to 99 as two digits.
fn two(number: i64) -> (u8, u8) {
    let digit = |value: i64| b'0' + u8::try_from(value.rem_euclid(10)).unwrap_or(0);
    (digit(number / 10), digit(number))
}

fn index_of(names: &[[u8; 3]], name: [u8; 3]) -> Option<i64> {
    i64::try_from(names.iter().position(|known| *known == name)?).ok()
}

fn name_of(names: &[[u8; 3]], index: i64) -> [u8; 3] {
    usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or(*b"???")
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. The year is counted from March, so that the leap day is
/// its last and months before it add up to `(153 * month + 2) / 5` days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_EPOCH
}

/// Year, month, day of a day since 1970-01-01: the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, day_of_era) = (days.div_euclid(DAYS_IN_ERA), days.rem_euclid(DAYS_IN_ERA));
    // Taking out the leap days before this one leaves plain years of 365 days.
    let leap_days = day_of_era / 1460 - day_of_era / 36524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

const DAY: i64 = 86_400;
/// Days in 400 years.
const DAYS_IN_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;
/// 0000-01-01T00:00:00Z
const FIRST_SECOND: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z
const LAST_SECOND: i64 = 253_402_300_799;
const WEEKDAYS: [[u8; 3]; 7] = [*b"Sun", *b"Mon", *b"Tue", *b"Wed", *b"Thu", *b"Fri", *b"Sat"];
const LONG_WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
#[rustfmt::skip]
const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct", *b"Nov", *b"Dec",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-08-01T00:00:00Z
    const NOW: HttpDate = HttpDate(1_785_542_400);

    #[test]
    fn all_three_forms_are_read() {
        let rows: [(&str, Option<i64>); 27] = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Wed Nov 16 08:49:37 1994", Some(784_975_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
            ("Thu, 29 Feb 2023 00:00:00 GMT", None),
            ("Thu, 29 Feb 1900 00:00:00 GMT", None),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)),
            ("Fri, 31 Apr 2026 00:00:00 GMT", None),
            ("Fri, 00 Apr 2026 00:00:00 GMT", None),
            ("Thu, 18 Aug 2050 24:01:18 GMT", None),
            ("Thu, 18 Aug 2050 02:60:18 GMT", None),
            ("THU, 18 Aug 2050 02:01:18 GMT", None),
            ("Thu, 18 AUG 2050 02:01:18 GMT", None),
            ("Thu, 18 Aug 2050 02:01:18 UTC", None),
            ("Thu, 18 Aug 50 02:01:18 GMT", None),
            ("Thu 18 Aug 2050 02:01:18 GMT", None),
            ("Thu, 18  Aug  2050 02:01:18 GMT", None),
            ("Thu, 18-Aug-2050 02:01:18 GMT", None),
            ("Thu, 18 Aug 2050 02.01.18 GMT", None),
            ("Thu, 18 Aug 2050 2:01:18 GMT", None),
            ("Thu, +8 Aug 2050 02:01:18 GMT", None),
            ("0", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(HttpDate::parse(text.as_bytes(), NOW), expected.map(HttpDate), "{text}");
        }
    }

    #[test]
    fn a_two_digit_year_is_at_most_fifty_years_ahead() {
        let rows = [
            (NOW, "Friday, 31-Jul-76 23:59:59 GMT", "Fri, 31 Jul 2076 23:59:59 GMT"),
            (NOW, "Saturday, 01-Aug-76 00:00:00 GMT", "Sat, 01 Aug 2076 00:00:00 GMT"),
            (NOW, "Sunday, 01-Aug-76 00:00:01 GMT", "Sun, 01 Aug 1976 00:00:01 GMT"),
            (NOW, "Friday, 01-Jan-99 00:00:00 GMT", "Fri, 01 Jan 1999 00:00:00 GMT"),
            // 2099-01-01: the new century is the near one.
            (HttpDate(4_070_908_800), "Thursday, 01-Jan-05 00:00:00 GMT", "Thu, 01 Jan 2105 00:00:00 GMT"),
        ];
        for (now, text, expected) in rows {
            let date = HttpDate::parse(text.as_bytes(), now).unwrap().format();
            assert_eq!(date[4..], expected.as_bytes()[4..], "{text}");
        }
    }

    #[test]
    fn dates_beyond_four_digits_are_moved_to_the_edge() {
        assert_eq!(&HttpDate(i64::MAX).format(), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(&HttpDate(i64::MIN).format(), b"Sat, 01 Jan 0000 00:00:00 GMT");
    }

    #[test]
    fn rfc_3339_is_the_same_moment() {
        assert_eq!(&HttpDate(784_111_777).rfc3339(), b"1994-11-06T08:49:37Z");
        assert_eq!(&HttpDate(1_709_164_800).rfc3339(), b"2024-02-29T00:00:00Z");
        assert_eq!(&HttpDate(-1).rfc3339(), b"1969-12-31T23:59:59Z");
        assert_eq!(&HttpDate(i64::MAX).rfc3339(), b"9999-12-31T23:59:59Z");
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_read_back(seconds in FIRST_SECOND..=LAST_SECOND) {
            prop_assert_eq!(HttpDate::parse(&HttpDate(seconds).format(), NOW), Some(HttpDate(seconds)));
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            text: Vec<u8>,
            near in "(Sun|Sunday), [0-9]{2}[- ](Feb|Jun)[- ][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
            now: i64,
        ) {
            let _ = HttpDate::parse(&text, HttpDate(now));
            let _ = HttpDate::parse(near.as_bytes(), HttpDate(now));
            let _ = HttpDate(now).format();
        }
    }
}
