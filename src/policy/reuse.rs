//! May this stored response answer this request now (RFC 9111 §4)?
//!
//! Assumes that the cache key and the variant match. Says what is allowed; whether a validation can be made, and what
//! its outcome is, is the caller's.

use super::directives::RequestDirectives;
use super::freshness::Freshness;
use super::{Rules, Why};
use crate::time::Now;
use std::time::Duration;

/// What to do with a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Serve it.
    Fresh,
    /// Serve it although it is stale: [`Why::MaxStale`], or [`Why::StaleWhileRevalidate`], with which a validation is
    /// started that nobody waits for.
    Stale(Why),
    /// Validate it first, or fetch anew where it has no validator.
    Validate(Why),
    /// It needs a validation and the client wants none (`only-if-cached`): 504 (RFC 9111 §5.2.1.7). The same holds
    /// where nothing is stored.
    Unsatisfiable(Why),
}

/// Decides for one request; `request` is `None` where it has neither Cache-Control nor Pragma.
pub fn reuse(request: Option<&RequestDirectives>, stored: &Freshness, rules: &Rules, now: Now) -> Reuse {
    let request = request.filter(|_| !rules.ignore_client_cache_control);
    let reuse = by_response(request, stored, now);
    match (reuse, request) {
        (Reuse::Validate(why), Some(request)) if request.only_if_cached => Reuse::Unsatisfiable(why),
        _ => reuse,
    }
}

fn by_response(request: Option<&RequestDirectives>, stored: &Freshness, now: Now) -> Reuse {
    if stored.is_no_cache() {
        return Reuse::Validate(Why::NoCache);
    }
    let wish = request.filter(|_| !stored.was_just_forced(now)).and_then(|request| forced(request, stored, now));
    if let Some(why) = wish {
        Reuse::Validate(why)
    } else if stored.is_fresh(now) {
        Reuse::Fresh
    } else if stored.forbids_stale() {
        Reuse::Validate(Why::Expired)
    } else if max_stale(request, stored).is_some_and(|limit| stored.staleness(now) <= limit) {
        Reuse::Stale(Why::MaxStale)
    } else if is_within(stored, now, u64::from(stored.stale_while_revalidate())) {
        Reuse::Stale(Why::StaleWhileRevalidate)
    } else {
        Reuse::Validate(Why::Expired)
    }
}

/// The client's wish for something newer than what is stored (RFC 9111 §5.2.1.1, §5.2.1.3, §5.2.1.4).
fn forced(request: &RequestDirectives, stored: &Freshness, now: Now) -> Option<Why> {
    if request.no_cache {
        Some(Why::RequestNoCache)
    } else if request.max_age.is_some_and(|max_age| stored.age(now) > max_age) {
        Some(Why::RequestMaxAge)
    } else if request.min_fresh.is_some_and(|min_fresh| stored.ttl(now) < i64::from(min_fresh)) {
        Some(Why::RequestMinFresh)
    } else {
        None
    }
}

/// The client's `max-stale`, in seconds, where the response leaves it a say (RFC 9111 §5.2.2.10).
fn max_stale(request: Option<&RequestDirectives>, stored: &Freshness) -> Option<u64> {
    request.and_then(|request| request.max_stale).filter(|_| !stored.has_s_maxage()).map(u64::from)
}

/// Stale for at most `limit` seconds; a limit of zero allows nothing.
fn is_within(stored: &Freshness, now: Now, limit: u64) -> bool {
    limit > 0 && stored.staleness(now) <= limit
}

/// May a stored response, fresh or stale, stand in for a failure of the origin (RFC 9111 §4.2.4, RFC 5861 §4)?
///
/// At most `limit` past its lifetime (decision 19), or its `stale-if-error` if that is less. `s-maxage` forbids it
/// unless the response has `stale-if-error` too: then the origin itself has allowed it.
pub fn may_serve_stale_on_error(stored: &Freshness, now: Now, limit: Duration) -> bool {
    if stored.forbids_stale() {
        return false;
    }
    let limit = match stored.stale_if_error() {
        Some(seconds) => limit.as_secs().min(u64::from(seconds)),
        None if stored.has_s_maxage() => 0,
        None => limit.as_secs(),
    };
    stored.is_fresh(now) || is_within(stored, now, limit)
}

/// May it stand in for a 5xx (RFC 5861 §4)? Only where the response says so, or the request about a response that leaves it
/// a say; within the bounds of [`may_serve_stale_on_error`] and of both.
pub fn may_serve_stale_on_5xx(
    request: Option<&RequestDirectives>,
    stored: &Freshness,
    rules: &Rules,
    now: Now,
    limit: Duration,
) -> bool {
    let request = request.filter(|_| !rules.ignore_client_cache_control);
    let is_asked_for = request
        .and_then(|request| request.stale_if_error)
        .is_some_and(|seconds| is_within(stored, now, u64::from(seconds)));
    (stored.stale_if_error().is_some() || is_asked_for) && may_serve_stale_on_error(stored, now, limit)
}

#[cfg(test)]
mod tests {
    use super::super::directives::ResponseDirectives;
    use super::super::freshness::Times;
    use super::super::tests::{Lines, at};
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// A response of age zero at [`at`] 0.
    fn stored(cache_control: &str) -> Freshness {
        let lines = [("Cache-Control", cache_control)];
        let times = Times { request: at(0), response: at(0) };
        Freshness::of(200, &ResponseDirectives::parse(&Lines(&lines)), &Lines(&lines), times)
    }

    fn request(cache_control: &str) -> Option<RequestDirectives> {
        (!cache_control.is_empty()).then(|| RequestDirectives::parse(&Lines(&[("Cache-Control", cache_control)])))
    }

    #[test]
    fn a_stored_response_is_reused_by_these_rules() {
        #[rustfmt::skip]
        let rows = [
            // response, request, age, decision
            ("max-age=10", "", 9, Reuse::Fresh),
            ("max-age=10", "", 10, Reuse::Validate(Why::Expired)),
            ("max-age=10, no-cache", "", 0, Reuse::Validate(Why::NoCache)),
            ("max-age=10, no-cache", "max-stale", 0, Reuse::Validate(Why::NoCache)),
            ("max-age=10, must-revalidate", "", 9, Reuse::Fresh),
            ("max-age=10", "no-cache", 0, Reuse::Validate(Why::RequestNoCache)),
            ("max-age=10", "no-store", 0, Reuse::Fresh),
            ("max-age=10", "max-age=0", 1, Reuse::Validate(Why::RequestMaxAge)),
            ("max-age=10", "max-age=5", 5, Reuse::Fresh),
            ("max-age=10", "max-age=5", 6, Reuse::Validate(Why::RequestMaxAge)),
            ("max-age=10", "max-age=5, max-stale=9", 6, Reuse::Validate(Why::RequestMaxAge)),
            ("max-age=10", "min-fresh=5", 5, Reuse::Fresh),
            ("max-age=10", "min-fresh=5", 6, Reuse::Validate(Why::RequestMinFresh)),
            ("max-age=10", "max-stale=5", 15, Reuse::Stale(Why::MaxStale)),
            ("max-age=10", "max-stale=5", 16, Reuse::Validate(Why::Expired)),
            ("max-age=10", "max-stale", 100_000, Reuse::Stale(Why::MaxStale)),
            ("max-age=10, must-revalidate", "max-stale", 11, Reuse::Validate(Why::Expired)),
            ("max-age=10, proxy-revalidate", "max-stale", 11, Reuse::Validate(Why::Expired)),
            ("s-maxage=10", "max-stale", 11, Reuse::Validate(Why::Expired)),
            ("max-age=10, stale-while-revalidate=5", "", 15, Reuse::Stale(Why::StaleWhileRevalidate)),
            ("max-age=10, stale-while-revalidate=5", "", 16, Reuse::Validate(Why::Expired)),
            ("s-maxage=10, stale-while-revalidate=5", "", 15, Reuse::Stale(Why::StaleWhileRevalidate)),
            ("max-age=10, stale-while-revalidate=5, must-revalidate", "", 11, Reuse::Validate(Why::Expired)),
            ("max-age=10, stale-while-revalidate=5", "max-age=10", 11, Reuse::Validate(Why::RequestMaxAge)),
            ("max-age=10", "only-if-cached", 9, Reuse::Fresh),
            ("max-age=10", "only-if-cached", 11, Reuse::Unsatisfiable(Why::Expired)),
            ("max-age=10", "only-if-cached, max-stale", 11, Reuse::Stale(Why::MaxStale)),
        ];
        for (response, wish, age, expected) in rows {
            let found = reuse(request(wish).as_ref(), &stored(response), &Rules::default(), at(age));
            assert_eq!(found, expected, "{response} | {wish} | {age}");
        }
    }

    #[test]
    fn the_client_can_be_ignored() {
        let rules = Rules { ignore_client_cache_control: true, ..Rules::default() };
        for wish in ["no-cache", "max-age=0", "min-fresh=100"] {
            assert_eq!(reuse(request(wish).as_ref(), &stored("max-age=10"), &rules, at(1)), Reuse::Fresh, "{wish}");
        }
        let found = reuse(request("only-if-cached, max-stale").as_ref(), &stored("max-age=10"), &rules, at(11));
        assert_eq!(found, Reuse::Validate(Why::Expired));
    }

    #[test]
    fn a_forced_validation_is_not_repeated_for_a_second() {
        let stored = stored("max-age=10").after_forced_validation();
        let wish = request("no-cache");
        assert_eq!(reuse(wish.as_ref(), &stored, &Rules::default(), at(0)), Reuse::Fresh);
        assert_eq!(reuse(wish.as_ref(), &stored, &Rules::default(), at(1)), Reuse::Validate(Why::RequestNoCache));
    }

    #[test]
    fn a_failure_is_covered_by_a_stale_response_unless_forbidden() {
        let rows = [
            ("max-age=10", 11, true),
            ("max-age=10", 10 + 86_400, true),
            ("max-age=10", 11 + 86_400, false),
            ("max-age=10, stale-if-error=60", 70, true),
            ("max-age=10, stale-if-error=60", 71, false),
            ("max-age=10, stale-if-error=0", 11, false),
            ("max-age=10, stale-if-error=999999", 11 + 86_400, false),
            ("max-age=10, must-revalidate", 11, false),
            ("max-age=10, proxy-revalidate, stale-if-error=60", 11, false),
            ("s-maxage=10", 11, false),
            ("s-maxage=10, stale-if-error=60", 11, true),
            ("max-age=10, no-cache", 1, false),
            ("s-maxage=10", 1, true),
        ];
        for (response, age, expected) in rows {
            assert_eq!(may_serve_stale_on_error(&stored(response), at(age), DAY), expected, "{response} | {age}");
        }
    }

    #[test]
    fn a_5xx_is_covered_only_where_one_side_says_so() {
        #[rustfmt::skip]
        let rows = [
            ("max-age=10", "", 11, false),
            ("max-age=10", "stale-if-error=5", 15, true),
            ("max-age=10", "stale-if-error=5", 16, false),
            ("max-age=10", "stale-if-error=0", 11, false),
            ("max-age=10", "stale-if-error=x", 11, false),
            ("max-age=10, stale-if-error=5", "", 15, true),
            ("max-age=10, stale-if-error=5", "", 16, false),
            ("max-age=10, stale-if-error=5", "stale-if-error=60", 16, false),
            ("max-age=10, must-revalidate", "stale-if-error=5", 11, false),
            ("s-maxage=10", "stale-if-error=5", 11, false),
            ("max-age=10, no-cache", "stale-if-error=5", 11, false),
        ];
        for (response, wish, age, expected) in rows {
            let (stored, wish) = (stored(response), request(wish));
            for (rules, expected) in [
                (Rules::default(), expected),
                (
                    Rules { ignore_client_cache_control: true, ..Rules::default() },
                    expected && response.contains("stale-if"),
                ),
            ] {
                let found = may_serve_stale_on_5xx(wish.as_ref(), &stored, &rules, at(age), DAY);
                assert_eq!(found, expected, "{response} | {wish:?} | {age}");
            }
        }
    }
}
