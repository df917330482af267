//! Cache-Control (RFC 9111 §5.2), what takes its place when it is addressed to us (RFC 9213), and Pragma (§5.4) as
//! values. Reads; decides nothing.
//!
//! Where the text leaves a doubt, the reading that stores less and reuses less wins: of two equal directives the more
//! restrictive counts, a restriction with a malformed argument counts, a permission with one does not, a lifetime that
//! is not a number is zero (§4.2.1), and `no-cache="…"` and `private="…"` with field names count as the plain ones,
//! as §5.2.2.4 and §5.2.2.7 allow.

use super::Fields;
use super::list::{MAX_SECONDS, delta_seconds, is_token_byte, members, quoted_length};
use super::structured::{Value, dictionary};

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
                } else if directive.is("min-fresh") {
                    self.min_fresh = self.min_fresh.max(Some(seconds));
                }
            }
        }
    }
}

struct Directive<'a> {
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

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    fn seconds(&self) -> Option<u32> {
        match self.argument {
            Argument::Given(text) => delta_seconds(text),
            Argument::Missing | Argument::Broken => None,
        }
    }
}

/// Calls `each` for every Cache-Control directive; true where there is no such line and Pragma says `no-cache`.
fn for_each_directive(fields: &dyn Fields, each: &mut dyn FnMut(Directive<'_>)) -> bool {
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
fn joined(fields: &dyn Fields, wanted: &str) -> Option<Vec<u8>> {
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
mod tests {
    use super::super::tests::{Line, Lines};
    use super::*;
    use proptest::prelude::*;

    fn response(lines: &[&str]) -> ResponseDirectives {
        let lines: Vec<_> = lines.iter().map(|line| ("cAche-control", *line)).collect();
        ResponseDirectives::parse(&Lines(&lines))
    }

    #[test]
    fn max_age_is_read_exactly_or_is_zero() {
        let rows: [(&[&str], Option<u32>); 22] = [
            (&["max-age=3600"], Some(3600)),
            (&["MaX-aGe=3600"], Some(3600)),
            (&["foobar, max-age=3600"], Some(3600)),
            (&["max-age=\"3600\""], Some(3600)),
            (&["max-age=003600"], Some(3600)),
            (&["max-age=99999999999"], Some(MAX_SECONDS)),
            (&["max-age=1800, max-age=1"], Some(1)),
            (&["max-age=1, max-age=1800"], Some(1)),
            (&["max-age=1800", "max-age=1"], Some(1)),
            (&["extension=\"max-age=3600\", max-age=1"], Some(1)),
            (&["max-age=1, extension=\"max-age=3600\""], Some(1)),
            (&["extension=\"max-age=3600\""], None),
            (&["max-age =3600"], Some(0)),
            (&["max-age= 3600"], Some(0)),
            (&["max-age='3600'"], Some(0)),
            (&["max-age=3600.0"], Some(0)),
            (&["max-age=-100"], Some(0)),
            (&["max-age=a100"], Some(0)),
            (&["max-age=100a"], Some(0)),
            (&["max-age"], Some(0)),
            (&["max-age=\"36\"00"], Some(0)),
            (&["max-agee=1", "x-max-age=1", "=1"], None),
        ];
        for (lines, expected) in rows {
            assert_eq!(response(lines).max_age, expected, "{lines:?}");
        }
    }

    #[test]
    fn restrictions_count_however_they_are_written() {
        assert!(response(&["max-age=600", "No-StOrE"]).no_store);
        assert!(response(&["no-store=1, public"]).no_store);
        assert!(response(&["ext=\"abc, no-store"]).no_store);
        assert!(response(&["PRIVATE, max-age=600"]).private);
        assert!(response(&["private=\"set-cookie\", max-age=600"]).private);
        assert!(response(&["no-cache=\"a, b\", max-age=600"]).no_cache);
        assert!(response(&["no-cache = a"]).no_cache);
        assert!(response(&["must-revalidate,proxy-revalidate"]).proxy_revalidate);
        assert!(!response(&["ext=\"no-store, private\""]).no_store);
        for junk in
            ["public; no-store", "max-age=9 no-store", ";No-Store", "\"x\" no-store", "a=b=no-store", "=no-store"]
        {
            assert!(response(&["max-age=600", junk]).no_store, "{junk}");
            assert!(!response(&[junk]).public, "{junk}");
        }
        assert!(response(&["max-age=600;private"]).private);
        assert!(!response(&["x-no-store, no-store-x, ext=no-store, a;no-stored"]).no_store);
        assert_eq!(response(&["public; max-age=600"]).max_age, None);
    }

    #[test]
    fn permissions_count_only_when_clean() {
        assert!(response(&["public"]).public);
        assert!(!response(&["public = x"]).public);
        assert_eq!(response(&["stale-while-revalidate=x"]).stale_while_revalidate, Some(0));
        assert_eq!(response(&["stale-if-error=60, stale-if-error=5"]).stale_if_error, Some(5));
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        assert!(ResponseDirectives::parse(&Lines(&[("Pragma", "x, No-Cache")])).no_cache);
        assert!(RequestDirectives::parse(&Lines(&[("pragma", "no-cache")])).no_cache);
        assert!(!RequestDirectives::parse(&Lines(&[("pragma", "unknown")])).no_cache);
        let both = [("Pragma", "no-cache"), ("Cache-Control", "max-age=1")];
        assert!(!RequestDirectives::parse(&Lines(&both)).no_cache);
    }

    #[test]
    fn the_first_valid_targeted_field_counts_alone() {
        let (cdn, own) = ("CDN-Cache-Control", "millpond-cache-control");
        let targeted = ResponseDirectives { is_targeted: true, ..ResponseDirectives::default() };
        let plain = ResponseDirectives { no_store: true, ..ResponseDirectives::default() };
        let aged = |seconds| ResponseDirectives { max_age: Some(seconds), ..targeted };
        let rows: [(&[(&str, &str)], ResponseDirectives); 25] = [
            (&[(cdn, "max-age=60")], aged(60)),
            (&[(cdn, "max-age=99999999999")], aged(MAX_SECONDS)),
            (&[(cdn, "max-age=-1")], aged(0)),
            (&[(cdn, "max-age=60;x=1, ext=(a b), s=\"no-store\"")], aged(60)),
            (&[(cdn, "max-age=60, max-age=90")], aged(90)),
            (&[(cdn, "max-age=60"), (cdn, "max-age=90")], aged(90)),
            (&[(cdn, "none")], targeted),
            (&[(cdn, "no-store=?0, public=?0")], targeted),
            (&[(cdn, "no-store")], ResponseDirectives { no_store: true, ..targeted }),
            (&[(cdn, "private=\"set-cookie\"")], ResponseDirectives { private: true, ..targeted }),
            (&[(cdn, "no-cache=1, public=\"x\"")], ResponseDirectives { no_cache: true, ..targeted }),
            (
                &[(cdn, "public"), (cdn, "s-maxage=9")],
                ResponseDirectives { public: true, s_maxage: Some(9), ..targeted },
            ),
            (&[(own, "max-age=5"), (cdn, "max-age=60")], aged(5)),
            (&[(cdn, "max-age=60"), (own, "max-age=5")], aged(5)),
            (&[(own, "max-age="), (cdn, "max-age=60")], aged(60)),
            (&[(own, ""), (cdn, "max-age=60")], aged(60)),
            (&[(cdn, "")], plain),
            (&[(cdn, "max-age=60, &&&&&")], plain),
            (&[(cdn, "MaX-aGe=60")], plain),
            (&[(cdn, "max-age =60")], plain),
            (&[(cdn, "max-age=\"60\"")], plain),
            (&[(cdn, "max-age=60.5")], plain),
            (&[(cdn, "max-age")], plain),
            (&[(cdn, "max-age=60"), (cdn, "")], plain),
            (&[("Surrogate-Control", "max-age=60")], plain),
        ];
        for (lines, expected) in rows {
            let with_rest = [lines, &[("Cache-Control", "no-store"), ("Pragma", "no-cache")]].concat();
            assert_eq!(ResponseDirectives::parse(&Lines(&with_rest)), expected, "{lines:?}");
        }
        let pragma = [("Pragma", "no-cache"), (cdn, "max-age=60")];
        assert_eq!(ResponseDirectives::parse(&Lines(&pragma)), aged(60));
    }

    #[test]
    fn request_wishes_are_the_strictest_that_can_be_read() {
        let none = RequestDirectives::default();
        let rows = [
            ("no-cache, no-store", RequestDirectives { no_cache: true, no_store: true, ..none }),
            ("only-if-cached", RequestDirectives { only_if_cached: true, ..none }),
            ("max-age=5, max-age=3", RequestDirectives { max_age: Some(3), ..none }),
            ("min-fresh=5, min-fresh=7", RequestDirectives { min_fresh: Some(7), ..none }),
            ("max-stale", RequestDirectives { max_stale: Some(MAX_SECONDS), ..none }),
            ("max-stale, max-stale=4", RequestDirectives { max_stale: Some(4), ..none }),
            ("max-age=x, min-fresh=, max-stale=x", none),
        ];
        for (line, expected) in rows {
            assert_eq!(RequestDirectives::parse(&Lines(&[("Cache-Control", line)])), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            any: Vec<u8>,
            near in "(no-store|private|max-age|public)?[ =\",\\\\]{0,4}(no-cache|60|x)?[ =\",\\\\]{0,3}",
        ) {
            for value in [&any[..], near.as_bytes()] {
                ResponseDirectives::parse(&Line("Cache-Control", value));
                ResponseDirectives::parse(&Line("CDN-Cache-Control", value));
                RequestDirectives::parse(&Line("Cache-Control", value));
            }
        }

        #[test]
        fn what_stands_before_or_after_cannot_hide_a_restriction(junk in r#"([ !#-\[\]-~]|="([ !#-\[\]-~]|\\"){0,5}"){0,8}"#) {
            let line = format!("{junk}, no-store, {junk}");
            prop_assert!(response(&[&line]).no_store);
        }
    }
}
