//! What an operator sets for the caching of a site: rules in order, lifetimes by status, bounds, and the key.
//!
//! For each of `bypass` and `ttl` the first rule decides that matches and sets it. Nothing set here makes a response
//! storable that says `private`, has a cookie or answers Authorization; that is `storable`'s, which asks these rules for
//! a lifetime only. All lifetimes are counted from the arrival of the response.

use super::Fields;
use super::freshness::{Freshness, Source};
use super::glob::{Glob, Path};
use super::key_parts::{KeyParts, cookies};
use super::query::{Name, QueryRules, name_of, parameters};
use super::response_edits::Edits;

/// What the operator set for one site under `[site.cache]`, `[[site.rule]]` and `[site.response]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteRules {
    /// In the order of the file; at most 200.
    pub rules: Vec<Rule>,
    /// Lifetimes by status, in seconds.
    pub status: Vec<(StatusMatch, u32)>,
    /// A lifetime of the operator's takes the place of one that the origin gives (`precedence = "rule"`).
    pub rule_wins: bool,
    /// Where a rule wins, it wins against `no-store` too.
    pub override_no_store: bool,
    /// No lifetime is shorter, in seconds.
    pub min_ttl: Option<u32>,
    /// No lifetime is longer, in seconds.
    pub max_ttl: Option<u32>,
    /// The lifetime where neither the origin nor a rule gives one, in seconds.
    pub default_ttl: Option<u32>,
    /// Seconds for which a failed fetch is not repeated; zero is off.
    pub negative_ttl: u32,
    /// What of the query counts.
    pub query: QueryRules,
    /// What is added to the key.
    pub key: KeyParts,
    /// The key is shown in Cache-Status to those who may see it.
    pub show_key: bool,
    /// What is changed in responses to clients.
    pub edits: Edits,
}

/// One `[[site.rule]]`. A condition that is not set holds; all others must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// One of these covers the path.
    pub path: Vec<Glob>,
    /// The path has one of these extensions.
    pub extension: Vec<String>,
    /// The response has one of these statuses.
    pub status: Vec<StatusMatch>,
    /// The request has one of these fields.
    pub header: Vec<Sign>,
    /// The request has one of these cookies.
    pub cookie: Vec<Sign>,
    /// The request has one of these query parameters.
    pub query: Vec<Sign>,
    /// Lifetime in seconds; without effect beside conditions on the request's fields, cookies and query.
    pub ttl: Option<u32>,
    /// Neither looked up nor stored; `Some(false)` keeps later rules from it. Without effect beside a status, which is not
    /// known yet when it is decided.
    pub bypass: Option<bool>,
}

/// A status (`404`), or its class (`"4xx"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusMatch {
    /// This one.
    Exact(u16),
    /// All that begin with this digit.
    Class(u16),
}

/// A field, cookie or parameter that is there, perhaps with a certain value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Its name.
    pub name: Name,
    /// The whole value, letter by letter; `None`: any.
    pub value: Option<String>,
}

/// A request, as far as rules ask.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Path and query, as sent.
    pub target: &'a str,
    /// Its fields.
    pub fields: &'a dyn Fields,
}

/// What the rules say of the lifetime of one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    wish: Option<Wish>,
    rule_wins: bool,
    override_no_store: bool,
    min: u32,
    max: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    seconds: u32,
    source: Source,
    /// Longest lifetime of an error to which this applies (decision 33).
    error_limit: u32,
}

impl SiteRules {
    /// The number, from 1, of the rule by which this request goes past the cache.
    pub fn bypass(&self, asked: &Asked<'_>) -> Option<usize> {
        let path = Path::of(asked.target);
        let is_doubtful = path.is_doubtful();
        let place = self.rules.iter().position(|rule| rule.says_bypass(path, is_doubtful, asked))?;
        self.rules.get(place).filter(|rule| rule.bypass == Some(true)).map(|_| place.saturating_add(1))
    }

    /// What holds for the lifetime of a response of this status.
    pub fn terms(&self, asked: &Asked<'_>, status: u16) -> Terms {
        Terms {
            wish: self.wish(asked, status),
            rule_wins: self.rule_wins,
            override_no_store: self.override_no_store,
            min: self.min_ttl.unwrap_or(0),
            max: self.max_ttl,
        }
    }

    fn wish(&self, asked: &Asked<'_>, status: u16) -> Option<Wish> {
        let path = Path::of(asked.target);
        let is_doubtful = path.is_doubtful();
        let named = |ttl: &&(StatusMatch, u32)| ttl.0.covers(status);
        let mut rules = self.rules.iter().zip(1_u8..);
        if let Some((rule, number)) = rules.find(|(rule, _)| rule.says_ttl(path, is_doubtful, status)) {
            let error_limit = rule.status.iter().map(|named| named.error_limit(status)).max().unwrap_or(0);
            return Some(Wish { seconds: rule.ttl?, source: Source::RuleTtl(number), error_limit });
        }
        let exact =
            self.status.iter().find(|(status, _)| matches!(status, StatusMatch::Exact(_)) && named(&&(*status, 0)));
        if let Some((named, seconds)) = exact.or_else(|| self.status.iter().find(named)) {
            return Some(Wish { seconds: *seconds, source: Source::StatusTtl, error_limit: named.error_limit(status) });
        }
        let seconds = self.default_ttl.filter(|_| is_usual(status) && !is_doubtful)?;
        Some(Wish { seconds, source: Source::DefaultTtl, error_limit: 0 })
    }
}

impl Rule {
    /// It holds for the request and says whether to bypass.
    pub(super) fn says_bypass(&self, path: Path<'_>, is_doubtful: bool, asked: &Asked<'_>) -> bool {
        self.bypass.is_some_and(|bypass| self.covers(path, is_doubtful, bypass))
            && self.status.is_empty()
            && self.covers_request(asked)
    }

    /// It holds for the path and status and gives a lifetime. Who asks first says nothing of how long a response is good
    /// for.
    pub(super) fn says_ttl(&self, path: Path<'_>, is_doubtful: bool, status: u16) -> bool {
        let is_of_client = !(self.header.is_empty() && self.cookie.is_empty() && self.query.is_empty());
        self.ttl.is_some() && !is_of_client && self.covers(path, is_doubtful, false) && self.covers_status(status)
    }

    /// A path that can be read in two ways is covered by none where that would let something be kept longer, and by all
    /// where it would let something go past a bypass.
    fn covers(&self, path: Path<'_>, is_doubtful: bool, if_doubtful: bool) -> bool {
        if self.path.is_empty() && self.extension.is_empty() {
            return true;
        }
        if is_doubtful {
            return if_doubtful;
        }
        (self.path.is_empty() || self.path.iter().any(|glob| glob.matches(path)))
            && (self.extension.is_empty() || self.extension.iter().any(|extension| path.has_extension(extension)))
    }

    fn covers_status(&self, status: u16) -> bool {
        if self.status.is_empty() { is_usual(status) } else { self.status.iter().any(|named| named.covers(status)) }
    }

    fn covers_request(&self, asked: &Asked<'_>) -> bool {
        let query = asked.target.split_once('?').map_or("", |(_, query)| query);
        (self.header.is_empty() || has_header(&self.header, asked.fields))
            && (self.cookie.is_empty() || has_cookie(&self.cookie, asked.fields))
            && (self.query.is_empty() || has_parameter(&self.query, query))
    }
}

fn has_header(signs: &[Sign], fields: &dyn Fields) -> bool {
    let mut is_found = false;
    fields.for_each(&mut |name, value| is_found |= signs.iter().any(|sign| sign.is_header(name, value)));
    is_found
}

fn has_cookie(signs: &[Sign], fields: &dyn Fields) -> bool {
    let mut is_found = false;
    fields.for_each(&mut |name, line| {
        if name.eq_ignore_ascii_case(b"cookie") {
            is_found |= cookies(line).any(|(name, value)| signs.iter().any(|sign| sign.is(name, value)));
        }
    });
    is_found
}

fn has_parameter(signs: &[Sign], query: &str) -> bool {
    parameters(query).any(|parameter| {
        let value = parameter.split_once('=').map_or("", |(_, value)| value);
        signs.iter().any(|sign| sign.is(name_of(parameter).as_bytes(), value.as_bytes()))
    })
}

impl Sign {
    fn is(&self, name: &[u8], value: &[u8]) -> bool {
        self.name.covers(name) && self.value.as_ref().is_none_or(|wanted| wanted.as_bytes() == value)
    }

    fn is_header(&self, name: &[u8], value: &[u8]) -> bool {
        self.name.covers_header(name) && self.value.as_ref().is_none_or(|wanted| wanted.as_bytes() == value)
    }
}

impl StatusMatch {
    /// Covers a status.
    pub fn covers(self, status: u16) -> bool {
        match self {
            StatusMatch::Exact(one) => one == status,
            StatusMatch::Class(digit) => status / 100 == digit,
        }
    }

    /// An error that is named, by itself or as a 5xx, may stay as long as its operator says, but no fault for long; `4xx`
    /// means 404 rather than 429.
    fn error_limit(self, status: u16) -> u32 {
        match self {
            StatusMatch::Exact(one) if one == status => LONGEST_ERROR,
            StatusMatch::Class(5) if status >= 500 => LONGEST_ERROR,
            StatusMatch::Class(digit) if status / 100 == digit => ERROR_LIFETIME,
            _ => 0,
        }
    }
}

impl Terms {
    /// The operator's word is taken against `no-store`.
    pub fn overrides_no_store(&self) -> bool {
        self.override_no_store && self.wish.is_some_and(|wish| self.wins(wish))
    }

    /// The freshness of a response that is no error, under these terms.
    pub fn apply(&self, freshness: Freshness) -> Freshness {
        let wished = self.chosen(&freshness).map(|wish| (freshness.lasting(wish.seconds, wish.source), wish.seconds));
        let (freshness, is_off) = wished.map_or((freshness, false), |(freshness, seconds)| (freshness, seconds == 0));
        let seconds = freshness.lifetime_from_arrival();
        if let Some(max) = self.max.filter(|max| seconds > *max) {
            return freshness.lasting(max, Source::MaxTtl);
        }
        // A floor under a lifetime: it makes none where there is none, and an operator's own zero means zero.
        if seconds < self.min && !is_off && freshness.source() != Source::None {
            return freshness.lasting(self.min, Source::MinTtl);
        }
        freshness
    }

    /// The same of an error; `None` where nobody says that it may stay (decision 33). Never to be served stale.
    pub fn apply_to_error(&self, freshness: Freshness) -> Option<Freshness> {
        let most = self.max.unwrap_or(u32::MAX);
        match self.chosen(&freshness).filter(|wish| wish.error_limit > 0) {
            Some(wish) => {
                let seconds = wish.seconds.min(wish.error_limit).min(most);
                Some(freshness.capped(ERROR_LIFETIME).lasting(seconds, wish.source))
            }
            None => (freshness.source() != Source::None).then(|| freshness.capped(ERROR_LIFETIME.min(most))),
        }
    }

    /// What takes the place of the lifetime that the response has.
    fn chosen(&self, freshness: &Freshness) -> Option<Wish> {
        self.wish.filter(|wish| self.wins(*wish) || !freshness.is_explicit())
    }

    fn wins(&self, wish: Wish) -> bool {
        self.rule_wins && wish.source != Source::DefaultTtl
    }
}

/// Statuses that a lifetime concerns where none is named: a fault, a refusal or a redirect for now is not kept because its
/// folder is.
fn is_usual(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308)
}

/// Errors that must not stay: with explicit freshness only, or as 414 and 501 with a heuristic one, and not for long
/// (decision 33).
pub fn is_error(status: u16) -> bool {
    matches!(status, 400 | 408 | 413 | 414 | 429 | 431 | 500..=599)
}

/// Seconds an error stays at most where its origin says so (decision 33).
pub const ERROR_LIFETIME: u32 = 10;
/// Seconds an error stays at most where the operator names its status.
pub const LONGEST_ERROR: u32 = 300;

#[cfg(test)]
#[path = "tests_rules.rs"]
mod tests;
