//! May this response be stored by a shared cache (RFC 9111 §3), and for how long does it stay fresh?
//!
//! Stricter than the RFC where an open cache is an attack (reliability requirements 12 and 13, decision 33): Set-Cookie,
//! errors, and answers to conditions are not stored on the strength of what the RFC merely allows. Does not know sizes.

use super::directives::{RequestDirectives, ResponseDirectives};
use super::freshness::{Freshness, Times};
use super::invalidate::Target;
use super::validator::Validators;
use super::variant::Vary;
use super::withheld::Withheld;
use super::{Fields, Rules, Why};

/// What the decision needs of the request that fetched the response.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// As sent: methods are case-sensitive.
    pub method: &'a str,
    /// It had an Authorization field.
    pub has_authorization: bool,
    /// Its Cache-Control; the default where it had none.
    pub directives: RequestDirectives,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storable {
    /// It may be stored, with this freshness.
    Yes(Freshness),
    /// It may not.
    No(Why),
}

/// Decides for one response. After a 304, `response` is the freshened head ([`super::freshen::Freshened`]).
pub fn storable(
    request: &RequestFacts<'_>,
    status: u16,
    response: &dyn Fields,
    rules: &Rules,
    times: Times,
) -> Storable {
    let directives = ResponseDirectives::parse(response);
    if let Some(why) = refusal(request, status, &directives, response, rules) {
        return Storable::No(why);
    }
    let freshness = Freshness::of(status, &directives, response, times);
    let freshness = match is_error(status) {
        true if !freshness.is_explicit() => return Storable::No(Why::NoFreshness),
        true => freshness.capped(ERROR_LIFETIME),
        false => freshness,
    };
    let is_usable = freshness.is_fresh(times.response) && !freshness.is_no_cache();
    let is_usable_stale =
        !freshness.forbids_stale() && (freshness.stale_while_revalidate() > 0 || freshness.stale_if_error() > Some(0));
    if is_usable
        || is_usable_stale
        || (!is_error(status) && !Validators::of(response, times.response.date()).is_empty())
    {
        Storable::Yes(freshness)
    } else if freshness.is_no_cache() {
        Storable::No(Why::NoCache)
    } else {
        Storable::No(Why::NoFreshness)
    }
}

/// Decides for the answer to a POST, which is stored for later GETs where it says explicitly how long it is fresh and that
/// it is the representation of its own target (RFC 9110 §9.3.3).
pub fn storable_post(
    request: &RequestFacts<'_>,
    target: &Target<'_>,
    status: u16,
    response: &dyn Fields,
    rules: &Rules,
    times: Times,
) -> Storable {
    let mut locations = Vec::new();
    response.for_each(&mut |name, value| {
        if name.eq_ignore_ascii_case(b"content-location") {
            locations.push(target.resolve(value));
        }
    });
    let is_of_target = matches!(&locations[..], [Some(path)] if path == target.path);
    if request.method != "POST" || status != 200 || !is_of_target {
        return Storable::No(Why::Method);
    }
    match storable(&RequestFacts { method: "GET", ..*request }, status, response, rules, times) {
        Storable::Yes(freshness) if !freshness.is_explicit() => Storable::No(Why::NoFreshness),
        verdict => verdict,
    }
}

/// What forbids storing, whatever the freshness, if anything does.
fn refusal(
    request: &RequestFacts<'_>,
    status: u16,
    directives: &ResponseDirectives,
    response: &dyn Fields,
    rules: &Rules,
) -> Option<Why> {
    // RFC 9111 §3.5 and, for cookies, reliability requirement 13.
    let is_shared = directives.public || directives.s_maxage.is_some();
    let must_understand = directives.must_understand;
    let rows = [
        (Why::Method, request.method != "GET"),
        (Why::Status, !is_storable_status(status)),
        (Why::RequestNoStore, request.directives.no_store && !rules.ignore_client_cache_control),
        (Why::MustUnderstand, must_understand && !is_understood(status)),
        // RFC 9111 §5.2.2.3: must-understand with a known status sets no-store aside.
        (Why::NoStore, directives.no_store && !must_understand),
        (Why::Private, directives.private),
        (Why::Authorization, request.has_authorization && !is_shared && !directives.must_revalidate),
        (Why::SetCookie, keeps_set_cookie(response, directives) && !(is_shared && rules.store_set_cookie)),
    ];
    let why = rows.iter().find(|(_, is_forbidden)| *is_forbidden).map(|(why, _)| *why);
    why.or_else(|| (Vary::parse(response) == Vary::Any).then_some(Why::VaryStar))
}

/// Final statuses, without those that answer a Range or a condition (reliability requirement 12).
fn is_storable_status(status: u16) -> bool {
    (200..=599).contains(&status) && !matches!(status, 206 | 304 | 412 | 416)
}

/// Statuses whose caching rules are known here (RFC 9110 §15, RFC 9111 §3, RFC 6585, RFC 7725).
fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 307 | 308 | 400..=411 | 413..=415 | 417 | 421 | 422 | 426 | 428 | 429)
        || matches!(status, 431 | 451 | 500..=505 | 511)
}

/// Errors that must not stay: with explicit freshness only, and not for long (decision 33).
fn is_error(status: u16) -> bool {
    matches!(status, 400 | 408 | 413 | 414 | 429 | 431 | 500..=599)
}

/// A cookie would be stored: there is one, and the response does not keep it out itself. Set-Cookie2 sets none any more
/// (RFC 6265 §9.3).
fn keeps_set_cookie(response: &dyn Fields, directives: &ResponseDirectives) -> bool {
    let mut is_found = false;
    response.for_each(&mut |name, _| is_found |= name.eq_ignore_ascii_case(b"set-cookie"));
    is_found && !(directives.withholds_fields && Withheld::of(response).has(b"set-cookie"))
}

/// Seconds an error stays at most (decision 33).
const ERROR_LIFETIME: u32 = 10;

#[cfg(test)]
#[path = "tests_storable.rs"]
mod tests;
