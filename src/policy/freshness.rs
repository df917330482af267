//! How long a response is fresh and how old it is (RFC 9111 §4.2). Whether a stale one may be served is `reuse`'s.

use super::directives::ResponseDirectives;
use super::list::{MAX_SECONDS, delta_seconds, members};
use super::rules::is_error;
use super::{Fields, Why};
use crate::time::{HttpDate, Now};
use std::time::Duration;

/// When the request was sent and when the response's head had arrived (RFC 9111 §4.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The request was sent.
    pub request: Now,
    /// The response's head had arrived.
    pub response: Now,
}

/// What a freshness lifetime was taken from, in the order of RFC 9111 §4.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `s-maxage`, which is for shared caches alone.
    SMaxAge,
    /// `max-age`
    MaxAge,
    /// Expires, less Date.
    Expires,
    /// A tenth of the time since Last-Modified, at most a day (RFC 9111 §4.2.2).
    Heuristic,
    /// Nothing says how long: stale from the start.
    None,
    /// An operator's rule, by its number from 1.
    RuleTtl(u8),
    /// The operator's lifetime for the status.
    StatusTtl,
    /// The operator's default.
    DefaultTtl,
    /// The operator's minimum, of whatever was shorter.
    MinTtl,
    /// The operator's maximum, of whatever was longer.
    MaxTtl,
}

impl Source {
    /// The operator's part in it, if there is one.
    pub fn why(self) -> Option<Why> {
        match self {
            Source::RuleTtl(_) => Some(Why::TtlRule),
            Source::StatusTtl => Some(Why::TtlStatus),
            Source::DefaultTtl => Some(Why::TtlDefault),
            Source::MinTtl => Some(Why::TtlMin),
            Source::MaxTtl => Some(Why::TtlMax),
            Source::SMaxAge | Source::MaxAge | Source::Expires | Source::Heuristic | Source::None => None,
        }
    }
}

/// All that reuse of a stored response depends on, in 32 bytes. Ages follow the monotonic clock, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Monotonic milliseconds at which the response arrived.
    received: u64,
    /// corrected_initial_age (RFC 9111 §4.2.3), milliseconds.
    initial_age: u64,
    /// Seconds, at most 2^31.
    lifetime: u32,
    stale_while_revalidate: u32,
    stale_if_error: u32,
    source: Source,
    flags: u8,
}

impl Freshness {
    /// The freshness of a response that arrived with these fields.
    pub fn of(status: u16, directives: &ResponseDirectives, fields: &dyn Fields, times: Times) -> Freshness {
        let dates = Dates::of(fields, times.response.date());
        let (lifetime, source) = lifetime(status, directives, &dates, times.response);
        let flags = [
            (MUST_REVALIDATE, directives.must_revalidate || directives.proxy_revalidate),
            (S_MAXAGE, directives.s_maxage.is_some()),
            (NO_CACHE, directives.no_cache),
            (HAS_STALE_IF_ERROR, directives.stale_if_error.is_some()),
            (EXPLICIT, !matches!(source, Source::Heuristic | Source::None)),
            (DATED, dates.date.is_some()),
        ];
        Freshness {
            received: milliseconds(times.response.monotonic),
            initial_age: corrected_initial_age(&dates, times),
            lifetime,
            stale_while_revalidate: directives.stale_while_revalidate.unwrap_or(0),
            stale_if_error: directives.stale_if_error.unwrap_or(0),
            source,
            flags: flags.iter().filter(|(_, is_set)| *is_set).fold(0, |all, (flag, _)| all | flag),
        }
    }

    /// The same with a lifetime of at most `seconds` and never to be served stale: for errors (decision 33).
    pub fn capped(self, seconds: u32) -> Freshness {
        let flags = self.flags | MUST_REVALIDATE;
        Freshness { lifetime: self.lifetime.min(seconds), stale_while_revalidate: 0, stale_if_error: 0, flags, ..self }
    }

    /// The same with a lifetime of `seconds` from the arrival on, whatever its age was then.
    pub fn lasting(self, seconds: u32, source: Source) -> Freshness {
        Freshness { lifetime: seconds.saturating_add(self.age_at_arrival()).min(MAX_SECONDS), source, ..self }
    }

    /// What of the lifetime was left at the arrival, in seconds.
    pub fn lifetime_from_arrival(&self) -> u32 {
        self.lifetime.saturating_sub(self.age_at_arrival())
    }

    fn age_at_arrival(&self) -> u32 {
        u32::try_from(self.initial_age / 1000).unwrap_or(MAX_SECONDS)
    }

    /// The same, stale from `now` on if it was fresh still: a soft purge has overtaken it.
    pub fn expired(self, now: Now) -> Freshness {
        Freshness { lifetime: self.lifetime.min(self.age(now)), ..self }
    }

    /// The same, marked as the outcome of a validation that only a client's wish forced; such a wish is not granted
    /// again for a second (decision 6).
    pub fn after_forced_validation(self) -> Freshness {
        Freshness { flags: self.flags | FORCED, ..self }
    }

    /// current_age (RFC 9111 §4.2.3) in whole seconds, at most 2^31: the value of the Age field.
    pub fn age(&self, now: Now) -> u32 {
        u32::try_from(self.age_in_milliseconds(now) / 1000).unwrap_or(MAX_SECONDS).min(MAX_SECONDS)
    }

    /// Freshness lifetime left in whole seconds; zero or negative when stale (the `ttl` of RFC 9211 §2.4).
    pub fn ttl(&self, now: Now) -> i64 {
        i64::from(self.lifetime) - i64::from(self.age(now))
    }

    /// response_is_fresh (RFC 9111 §4.2): the lifetime is greater than the age.
    pub fn is_fresh(&self, now: Now) -> bool {
        u64::from(self.lifetime) * 1000 > self.age_in_milliseconds(now)
    }

    /// Seconds, rounded up, for which the response has been stale; zero when fresh.
    pub fn staleness(&self, now: Now) -> u64 {
        self.age_in_milliseconds(now).saturating_sub(u64::from(self.lifetime) * 1000).div_ceil(1000)
    }

    /// Freshness lifetime in seconds (RFC 9111 §4.2.1), at most 2^31.
    pub fn lifetime(&self) -> u32 {
        self.lifetime
    }

    /// What the lifetime was taken from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The response itself says how long it is fresh (RFC 9111 §4.2.1), whether or not that counts.
    pub fn is_explicit(&self) -> bool {
        self.flags & EXPLICIT != 0
    }

    /// The response had a Date of its own (RFC 9110 §6.6.1).
    pub fn is_dated(&self) -> bool {
        self.flags & DATED != 0
    }

    /// Every use needs a validation (`no-cache`, RFC 9111 §5.2.2.4).
    pub fn is_no_cache(&self) -> bool {
        self.flags & NO_CACHE != 0
    }

    /// Never to be served stale, whatever else is said: `must-revalidate`, `proxy-revalidate` or `no-cache`, or a
    /// capped error (RFC 9111 §4.2.4).
    pub fn forbids_stale(&self) -> bool {
        self.flags & (MUST_REVALIDATE | NO_CACHE) != 0
    }

    /// The lifetime is that of `s-maxage`, which forbids stale use that the response does not itself allow (RFC 9111
    /// §5.2.2.10).
    pub fn has_s_maxage(&self) -> bool {
        self.flags & S_MAXAGE != 0
    }

    /// Seconds past the lifetime in which the response may be served while it is validated (RFC 5861 §3).
    pub fn stale_while_revalidate(&self) -> u32 {
        self.stale_while_revalidate
    }

    /// Seconds past the lifetime in which the response may stand in for a failure (RFC 5861 §4), if it says so.
    pub fn stale_if_error(&self) -> Option<u32> {
        (self.flags & HAS_STALE_IF_ERROR != 0).then_some(self.stale_if_error)
    }

    /// A client's wish made us validate this response less than a second ago.
    pub fn was_just_forced(&self, now: Now) -> bool {
        self.flags & FORCED != 0 && milliseconds(now.monotonic).saturating_sub(self.received) < 1000
    }

    fn age_in_milliseconds(&self, now: Now) -> u64 {
        let resident = milliseconds(now.monotonic).saturating_sub(self.received);
        self.initial_age.saturating_add(resident)
    }
}

/// The date fields of a response and its Age.
#[derive(Default)]
struct Dates {
    /// The first Date line, if it is a date.
    date: Option<HttpDate>,
    last_modified: Option<HttpDate>,
    /// `Some(None)`: there, but not one valid date.
    expires: Option<Option<HttpDate>>,
    age: Option<u32>,
}

impl Dates {
    fn of(fields: &dyn Fields, now: HttpDate) -> Dates {
        let mut found = Dates::default();
        let (mut has_date, mut has_age, mut has_modified) = (false, false, false);
        fields.for_each(&mut |name, value| {
            if name.eq_ignore_ascii_case(b"date") {
                if !std::mem::replace(&mut has_date, true) {
                    found.date = HttpDate::parse(value, now);
                }
            } else if name.eq_ignore_ascii_case(b"last-modified") {
                let is_second = std::mem::replace(&mut has_modified, true);
                found.last_modified = HttpDate::parse(value, now).filter(|_| !is_second);
            } else if name.eq_ignore_ascii_case(b"expires") {
                // A second line makes it unclear which one counts: stale (RFC 9111 §4.2.1).
                found.expires = Some(HttpDate::parse(value, now).filter(|_| found.expires.is_none()));
            } else if name.eq_ignore_ascii_case(b"age") && !std::mem::replace(&mut has_age, true) {
                // Of a list the first member counts; what is not a number is ignored (RFC 9111 §5.1).
                found.age = members(value).next().and_then(delta_seconds);
            }
        });
        found
    }
}

/// freshness_lifetime for a shared cache (RFC 9111 §4.2.1).
fn lifetime(status: u16, directives: &ResponseDirectives, dates: &Dates, response: Now) -> (u32, Source) {
    let date = dates.date.unwrap_or(response.date());
    if let Some(seconds) = directives.s_maxage {
        (seconds, Source::SMaxAge)
    } else if let Some(seconds) = directives.max_age {
        (seconds, Source::MaxAge)
    } else if let Some(expires) = dates.expires.filter(|_| !directives.is_targeted) {
        (expires.map_or(0, |expires| seconds_between(date, expires)), Source::Expires)
    } else if let Some(modified) = dates.last_modified.filter(|_| is_heuristically_cacheable(status, directives)) {
        let since = seconds_between(modified, date.min(response.date()));
        ((since / 10).min(HEURISTIC_LIMIT), Source::Heuristic)
    } else {
        (0, Source::None)
    }
}

/// The statuses of RFC 9110 §15.1, without 206, which we do not store; others where the response is `public` (RFC 9111
/// §4.2.2), but for the errors of decision 33.
fn is_heuristically_cacheable(status: u16, directives: &ResponseDirectives) -> bool {
    matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
        || (directives.public && !is_error(status))
}

/// RFC 9111 §4.2.3, in milliseconds. The delay is measured by the monotonic clock, the rest has whole seconds.
fn corrected_initial_age(dates: &Dates, times: Times) -> u64 {
    let now = times.response.date();
    let apparent_age = dates.date.map_or(0, |date| seconds_between(date, now));
    let response_delay = times.response.monotonic.saturating_sub(times.request.monotonic);
    let corrected_age = milliseconds(response_delay).saturating_add(u64::from(dates.age.unwrap_or(0)) * 1000);
    corrected_age.max(u64::from(apparent_age) * 1000)
}

/// Seconds from one date to a later one, at most 2^31; zero where it is not later.
fn seconds_between(earlier: HttpDate, later: HttpDate) -> u32 {
    let seconds = later.0.saturating_sub(earlier.0).clamp(0, i64::from(MAX_SECONDS));
    u32::try_from(seconds).unwrap_or(MAX_SECONDS)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One day.
const HEURISTIC_LIMIT: u32 = 86_400;
const MUST_REVALIDATE: u8 = 1;
const S_MAXAGE: u8 = 2;
const NO_CACHE: u8 = 4;
const HAS_STALE_IF_ERROR: u8 = 8;
const FORCED: u8 = 16;
const EXPLICIT: u8 = 32;
const DATED: u8 = 64;

#[cfg(test)]
#[path = "tests_freshness.rs"]
mod tests;
