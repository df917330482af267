//! Cache-Control (RFC 9111 §5.2), what takes its place when it is addressed to us (RFC 9213), and Pragma (§5.4) as
//! values. Reads; decides nothing.
//!
//! Where the text leaves a doubt, the reading that stores less and reuses less wins: of two equal directives the more
//! restrictive counts, a restriction with a malformed argument counts, a permission with one does not, a lifetime that
//! is not a number is zero (§4.2.1), and `no-cache="…"` and `private="…"` count as the plain ones, as §5.2.2.4 and
//! §5.2.2.7 allow, unless they list fields that can be left out ([`super::withheld`]).

use super::Fields;
use super::list::{MAX_SECONDS, delta_seconds, is_token_byte, members, quoted_length};
use super::structured::{Value, dictionary};
use super::withheld::listed_fields;

/// The directives of a response that concern a shared cache; seconds are delta-seconds, at most 2^31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the directives' own names, which RFC 9111 §5.2 explains")]
pub struct ResponseDirectives {
    pub no_store: bool,
    pub no_cache: bool,
    pub private: bool,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub max_age: Option<u32>,
    pub s_maxage: Option<u32>,
    /// RFC 5861 §3
    pub stale_while_revalidate: Option<u32>,
    /// RFC 5861 §4
    pub stale_if_error: Option<u32>,
    /// They come from a targeted field (RFC 9213 §2.2): Cache-Control and Expires say nothing.
    pub is_targeted: bool,
    /// Some fields may not be stored with the rest ([`super::withheld::Withheld`] knows which).
    pub withholds_fields: bool,
}

impl ResponseDirectives {
    /// Reads the first targeted field that is valid and not empty (RFC 9213 §2.2); where there is none, all
    /// Cache-Control lines; without any, `Pragma: no-cache` counts as `no-cache`.
    pub fn parse(fields: &dyn Fields) -> ResponseDirectives {
        let targeted = TARGETS.iter().find_map(|target| ResponseDirectives::targeted(fields, target));
        if let Some(found) = targeted {
            return found;
        }
        let mut found = ResponseDirectives::default();
        let has_pragma = for_each_directive(fields, &mut |directive| found.add(directive));
        found.no_cache |= has_pragma;
        found
    }

    /// The directives of one targeted field (RFC 9213 §2.1). A lifetime that is no Integer makes the field invalid: it
    /// is not to be coerced into one.
    fn targeted(fields: &dyn Fields, target: &str) -> Option<ResponseDirectives> {
        let line = joined(fields, target)?;
        let members = dictionary(&line).filter(|members| !members.is_empty())?;
        let mut found = ResponseDirectives { is_targeted: true, ..ResponseDirectives::default() };
        for (name, value) in members {
            let argument = match value {
                Value::Integer(digits) => Argument::Given(digits),
                _ if LIFETIMES.iter().any(|lifetime| name == lifetime.as_bytes()) => return None,
                Value::False => continue,
                Value::True => Argument::Missing,
                Value::Other => Argument::Broken,
            };
            found.add(Directive { name, argument });
        }
        Some(found)
    }

    fn add(&mut self, directive: Directive<'_>) {
        let is_clean = !matches!(directive.argument, Argument::Broken);
        // A number that cannot be read is the most restrictive one (RFC 9111 §4.2.1).
        let seconds = directive.seconds().unwrap_or(0);
        match directive {
            _ if directive.is("max-age") => keep_least(&mut self.max_age, seconds),
            _ if directive.is("s-maxage") => keep_least(&mut self.s_maxage, seconds),
            _ if directive.is("stale-while-revalidate") => keep_least(&mut self.stale_while_revalidate, seconds),
            _ if directive.is("stale-if-error") => keep_least(&mut self.stale_if_error, seconds),
            _ if directive.is("no-store") => self.no_store = true,
            _ if !self.is_targeted && listed_fields(&directive).is_some() => self.withholds_fields = true,
            _ if directive.is("no-cache") => self.no_cache = true,
            _ if directive.is("private") => self.private = true,
            _ if directive.is("must-revalidate") => self.must_revalidate = true,
            _ if directive.is("proxy-revalidate") => self.proxy_revalidate = true,
            _ if directive.is("public") => self.public |= is_clean,
            _ if directive.is("must-understand") => self.must_understand |= is_clean,
            _ => {}
        }
    }
}

/// The directives of a request (RFC 9111 §5.2.1); seconds are delta-seconds, at most 2^31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the directives' own names, which RFC 9111 §5.2 explains")]
pub struct RequestDirectives {
    pub no_store: bool,
    pub no_cache: bool,
    pub only_if_cached: bool,
    pub max_age: Option<u32>,
    pub min_fresh: Option<u32>,
    /// `max-stale` without a number is 2^31.
    pub max_stale: Option<u32>,
    /// RFC 5861 §4
    pub stale_if_error: Option<u32>,
}

impl RequestDirectives {
    /// Reads all Cache-Control lines; without any, `Pragma: no-cache` counts as `no-cache` (RFC 9111 §5.4). A number
    /// that cannot be read is no wish at all.
    pub fn parse(fields: &dyn Fields) -> RequestDirectives {
        let mut found = RequestDirectives::default();
        let has_pragma = for_each_directive(fields, &mut |directive| found.add(directive));
        found.no_cache |= has_pragma;
        found
    }

    fn add(&mut self, directive: Directive<'_>) {
        let seconds = directive.seconds();
        match directive {
            _ if directive.is("no-store") => self.no_store = true,
            _ if directive.is("no-cache") => self.no_cache = true,
            _ if directive.is("only-if-cached") => self.only_if_cached = true,
            _ if directive.is("max-stale") && matches!(directive.argument, Argument::Missing) => {
                keep_least(&mut self.max_stale, MAX_SECONDS);
            }
            _ => {
                let Some(seconds) = seconds else { return };
                if directive.is("max-age") {
                    keep_least(&mut self.max_age, seconds);
                } else if directive.is("max-stale") {
                    keep_least(&mut self.max_stale, seconds);
                } else if directive.is("stale-if-error") {
                    keep_least(&mut self.stale_if_error, seconds);
                } else if directive.is("min-fresh") {
                    self.min_fresh = self.min_fresh.max(Some(seconds));
                }
            }
        }
    }
}

/// One member of Cache-Control.
pub(super) struct Directive<'a> {
    name: &'a [u8],
    argument: Argument<'a>,
}

enum Argument<'a> {
    Missing,
    /// A token, or the inside of a quoted string with its escapes.
    Given(&'a [u8]),
    /// Something that is neither, for example `= 5`.
    Broken,
}

impl<'a> Directive<'a> {
    /// `None` where the member does not start with a name.
    fn parse(member: &'a [u8]) -> Option<Directive<'a>> {
        let end = member.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(member.len());
        let (name, rest) = member.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
        let argument = match rest {
            [] => Argument::Missing,
            [b'=', quoted @ ..] if quoted_length(quoted) == Some(quoted.len()) => {
                Argument::Given(quoted.get(1..quoted.len() - 1).unwrap_or_default())
            }
            [b'=', token @ ..] if !token.is_empty() && token.iter().all(|&byte| is_token_byte(byte)) => {
                Argument::Given(token)
            }
            _ => Argument::Broken,
        };
        Some(Directive { name, argument })
    }

    /// It has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Its argument, where that is a token or a quoted string.
    pub fn argument_text(&self) -> Option<&'a [u8]> {
        match self.argument {
            Argument::Given(text) => Some(text),
            Argument::Missing | Argument::Broken => None,
        }
    }

    fn seconds(&self) -> Option<u32> {
        delta_seconds(self.argument_text()?)
    }
}

/// Calls `each` for every Cache-Control directive; true where there is no such line and Pragma says `no-cache`.
pub(super) fn for_each_directive(fields: &dyn Fields, each: &mut dyn FnMut(Directive<'_>)) -> bool {
    let (mut has_cache_control, mut has_pragma) = (false, false);
    fields.for_each(&mut |name, value| {
        if name.eq_ignore_ascii_case(b"cache-control") {
            has_cache_control = true;
            members(value).for_each(|member| read_member(member, each));
        } else if name.eq_ignore_ascii_case(b"pragma") {
            has_pragma |= members(value).any(|member| member.eq_ignore_ascii_case(b"no-cache"));
        }
    });
    has_pragma && !has_cache_control
}

/// Reads one member. In one that is broken, what looks like a restriction counts wherever it stands: `public; no-store`
/// was not meant to be stored.
fn read_member(member: &[u8], each: &mut dyn FnMut(Directive<'_>)) {
    let directive = Directive::parse(member);
    if !directive.as_ref().is_some_and(|directive| !matches!(directive.argument, Argument::Broken)) {
        let pieces = member.split(|&byte| !is_token_byte(byte));
        pieces
            .filter(|piece| is_restriction(piece))
            .for_each(|name| each(Directive { name, argument: Argument::Missing }));
    }
    if let Some(directive) = directive {
        each(directive);
    }
}

fn is_restriction(name: &[u8]) -> bool {
    RESTRICTIONS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// All lines of a field as one (RFC 9110 §5.3).
pub(super) fn joined(fields: &dyn Fields, wanted: &str) -> Option<Vec<u8>> {
    let mut line: Option<Vec<u8>> = None;
    fields.for_each(&mut |name, value| {
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            match &mut line {
                Some(line) => line.extend([b", ", value].concat()),
                None => line = Some(value.to_vec()),
            }
        }
    });
    line
}

fn keep_least(kept: &mut Option<u32>, seconds: u32) {
    *kept = Some(kept.map_or(seconds, |least| least.min(seconds)));
}

/// The fields addressed to us, the nearest first (the target list of RFC 9213 §2.2).
const TARGETS: [&str; 2] = ["Millpond-Cache-Control", "CDN-Cache-Control"];
const RESTRICTIONS: [&str; 5] = ["no-store", "no-cache", "private", "must-revalidate", "proxy-revalidate"];
const LIFETIMES: [&str; 4] = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];

#[cfg(test)]
#[path = "tests_directives.rs"]
mod tests;
