//! From `[site.cache]`, `[[site.rule]]` and `[site.response]` to the rules that policy computes with.
//!
//! As in `check`: problems are noted, the walk goes on.

use std::time::Duration;

use super::problem::{Fault, Problems, quoted};
use super::section::{Located, Section, Value};
use crate::policy::glob::Glob;
use crate::policy::key_parts::KeyParts;
use crate::policy::query::{Name, QueryRules};
use crate::policy::response_edits::{Edits, refusal};
use crate::policy::rules::{LONGEST_ERROR, Rule, Sign, SiteRules, StatusMatch, is_error};

/// What a site sets; `None` where it sets nothing.
pub(super) fn rules(site: &Section, problems: &mut Problems) -> Option<SiteRules> {
    let cache = site.table("cache");
    check_sense(cache, problems);
    let rules: Vec<Rule> = site.tables("rule").map(|section| rule(section, problems)).collect();
    if rules.len() > MOST_RULES {
        let hint = "join rules of the same lifetime: path and extension take lists";
        problems.refuse(site.place("rule"), Fault::new(format!("more than {MOST_RULES} rules"), hint));
    }
    let found = SiteRules {
        rules,
        status: cache.pairs("status").iter().filter_map(|pair| status_time(pair, problems)).collect(),
        rule_wins: cache.text("precedence").as_deref() == Some("rule"),
        override_no_store: cache.flag("override_no_store"),
        min_ttl: some_seconds(cache, "min_ttl"),
        max_ttl: cache.time_if_any("max_ttl").map(seconds),
        default_ttl: some_seconds(cache, "default_ttl"),
        negative_ttl: seconds(cache.time("negative_ttl")),
        query: QueryRules {
            is_ignored: cache.text("query").as_deref() == Some("ignore"),
            keep: names(cache, "query_keep", parameter, problems),
            drop: names(cache, "query_drop", parameter, problems),
            is_sorted: cache.flag("sort_query"),
        },
        key: KeyParts {
            headers: names(cache, "key_headers", key_header, problems),
            cookies: names(cache, "key_cookies", cookie, problems),
        },
        show_key: cache.flag("show_key"),
        edits: edits(site.table("response"), cache.flag("show_lifetime"), problems),
    };
    (found != SiteRules::default()).then_some(found)
}

/// Settings that contradict each other.
fn check_sense(cache: &Section, problems: &mut Problems) {
    if cache.flag("override_no_store") && cache.text("precedence").as_deref() != Some("rule") {
        let fault = Fault::new(
            "override_no_store has nothing to win with while the origin wins",
            "set precedence = \"rule\", or leave override_no_store out",
        );
        problems.refuse(cache.place("precedence"), fault);
    }
    if cache.text("query").as_deref() == Some("ignore") && (cache.has("query_keep") || cache.has("query_drop")) {
        let fault = Fault::new("there is nothing left to keep or drop", "leave query = \"ignore\" out, or the lists");
        problems.refuse(cache.place("query"), fault);
    }
    let (min, max) = (some_seconds(cache, "min_ttl"), cache.time_if_any("max_ttl").map(seconds));
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        problems.refuse(cache.place("min_ttl"), Fault::new("min_ttl is more than max_ttl", "exchange the two"));
    }
    if seconds(cache.time("negative_ttl")) > LONGEST_NEGATIVE {
        let hint = format!("a failure may be over at any moment: at most \"{LONGEST_NEGATIVE}s\"");
        problems.refuse(cache.place("negative_ttl"), Fault::new("that is too long", hint));
    }
}

fn rule(section: &Section, problems: &mut Problems) -> Rule {
    let rule = Rule {
        path: names(section, "path", glob, problems),
        extension: names(section, "extension", extension, problems),
        status: names(section, "status", status, problems),
        header: names(section, "header", header_sign, problems),
        cookie: names(section, "cookie", sign, problems),
        query: names(section, "query", sign, problems),
        ttl: section.time_if_any("ttl").map(seconds),
        bypass: section.flag_if_any("bypass"),
    };
    if !section.has("ttl") && !section.has("bypass") {
        problems.refuse(section.here(), Fault::new("the rule does nothing", "add ttl = \"1h\", or bypass = true"));
    }
    let is_of_request = ["header", "cookie", "query"].into_iter().find(|name| section.has(name));
    if let Some(name) = is_of_request.filter(|_| section.has("ttl") && !section.has("bypass")) {
        let hint = format!("leave `{name}` out, or send such requests past the cache with bypass = true");
        problems
            .refuse(section.here(), Fault::new(format!("a ttl cannot depend on `{name}`: others get it too"), hint));
    }
    if section.has("status") && section.has("bypass") && !section.has("ttl") {
        let hint = "leave `status` out, or set ttl = \"0s\" in the place of bypass";
        problems.refuse(section.here(), Fault::new("a bypass is decided before there is a status", hint));
    }
    let names_error = rule.status.iter().any(|status| matches!(status, StatusMatch::Exact(one) if is_error(*one)));
    if names_error || rule.status.contains(&StatusMatch::Class(5)) {
        check_error_time(section.place("ttl"), rule.ttl.unwrap_or(0), problems);
    }
    rule
}

fn status_time((name, value): &(Located, Value), problems: &mut Problems) -> Option<(StatusMatch, u32)> {
    let status = problems.check(name.place.clone(), status(&name.text))?;
    let Value::Time(time) = value else { return None };
    if matches!(status, StatusMatch::Class(5)) || matches!(status, StatusMatch::Exact(one) if is_error(one)) {
        check_error_time(name.place.clone(), seconds(*time), problems);
    }
    Some((status, seconds(*time)))
}

fn check_error_time(place: super::problem::Place, seconds: u32, problems: &mut Problems) {
    if seconds > LONGEST_ERROR {
        let hint = "an error that is over should not be shown for long: at most \"5m\"";
        problems.refuse(place, Fault::new("that is too long for an error", hint));
    }
}

fn edits(section: &Section, show_lifetime: bool, problems: &mut Problems) -> Edits {
    let mut pairs = |name: &str| -> Vec<(String, String)> {
        let pair = |(name, value): &(Located, Value)| {
            let field = problems.check(name.place.clone(), edited(&name.text))?;
            let Value::Text(value) = value else { return None };
            Some((field, problems.check(name.place.clone(), field_value(value))?))
        };
        section.pairs(name).iter().filter_map(pair).collect()
    };
    let (set, add) = (pairs("set"), pairs("add"));
    Edits { set, add, remove: names(section, "remove", edited, problems), show_lifetime }
}

/// The texts of a list by their rule, without the wrong ones.
fn names<T>(section: &Section, name: &str, rule: fn(&str) -> Result<T, Fault>, problems: &mut Problems) -> Vec<T> {
    if section.is_empty_list(name) {
        problems.refuse(section.place(name), Fault::new("the list is empty", "name something, or leave the key out"));
    }
    if section.items(name).len() > MOST_NAMES {
        let hint = format!("at most {MOST_NAMES} will do; a * covers many names");
        problems.refuse(section.place(name), Fault::new("the list is too long", hint));
    }
    section.texts(name).filter_map(|item| problems.check(item.place.clone(), rule(&item.text))).collect()
}

fn glob(text: &str) -> Result<Glob, Fault> {
    Glob::parse(text).map_err(|(what, hint)| Fault::new(format!("{} will not do: {what}", quoted(text)), hint))
}

fn extension(text: &str) -> Result<String, Fault> {
    let is_good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+~".contains(&byte));
    is_good
        .then(|| text.to_ascii_lowercase())
        .ok_or_else(|| Fault::new(format!("{} is not an extension", quoted(text)), "write \"css\", without the dot"))
}

fn status(text: &str) -> Result<StatusMatch, Fault> {
    let fault = || Fault::new(format!("{} is not a status", quoted(text)), "write 404 (200 to 599) or \"4xx\"");
    match text.strip_suffix("xx").or(text.strip_suffix("XX")) {
        Some(digit @ ("2" | "3" | "4" | "5")) => digit.parse().map(StatusMatch::Class).map_err(|_| fault()),
        Some(_) => Err(fault()),
        None => {
            let status = text.parse().ok().filter(|status| text.len() == 3 && (200..600).contains(status));
            status.map(StatusMatch::Exact).ok_or_else(fault)
        }
    }
}

/// `name` or `name=value`.
fn sign(text: &str) -> Result<Sign, Fault> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    Ok(Sign { name: parameter(name)?, value: value.map(str::to_owned) })
}

fn header_sign(text: &str) -> Result<Sign, Fault> {
    let sign = sign(text)?;
    let name = text.split('=').next().unwrap_or_default();
    field_name(name.strip_suffix('*').unwrap_or(name))?;
    Ok(sign)
}

fn parameter(text: &str) -> Result<Name, Fault> {
    let name = text.strip_suffix('*').unwrap_or(text);
    let is_good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"&=*#;,\"?".contains(&byte));
    let hint = "write the name as it stands in the address, without =; a * at its end covers all that begin so";
    is_good.then(|| Name::new(text)).ok_or_else(|| Fault::new(format!("{} is not a name", quoted(text)), hint))
}

fn cookie(text: &str) -> Result<String, Fault> {
    field_name(text)
        .map_err(|_| Fault::new(format!("{} is not the name of a cookie", quoted(text)), "write the name alone"))
}

fn field_name(text: &str) -> Result<String, Fault> {
    let is_token =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte));
    is_token
        .then(|| text.to_owned())
        .ok_or_else(|| Fault::new(format!("{} is not the name of a field", quoted(text)), "write it as in \"X-Name\""))
}

/// A request field whose value the origin sees as it is in the key.
fn key_header(text: &str) -> Result<String, Fault> {
    let name = field_name(text)?.to_ascii_lowercase();
    let hint = if name == "cookie" { "name the cookies that count under key_cookies" } else { "leave it out" };
    if NOT_IN_KEYS.contains(&name.as_str()) || name.starts_with("if-") || name.starts_with("x-forwarded-") {
        return Err(Fault::new(format!("{} cannot be part of the key", quoted(text)), hint));
    }
    Ok(name)
}

/// A response field that may be changed.
fn edited(text: &str) -> Result<String, Fault> {
    let name = field_name(text)?;
    match refusal(&name) {
        Some(why) => Err(Fault::new(format!("{} cannot be changed: {why}", quoted(text)), "leave it out")),
        None => Ok(name),
    }
}

fn field_value(text: &str) -> Result<String, Fault> {
    let is_good = text.len() <= LONGEST_VALUE && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let hint = format!("one line of ASCII, at most {LONGEST_VALUE} characters");
    is_good
        .then(|| text.trim().to_owned())
        .ok_or_else(|| Fault::new(format!("{} is not the value of a field", quoted(text)), hint))
}

/// A duration that is off at zero.
fn some_seconds(section: &Section, name: &str) -> Option<u32> {
    Some(seconds(section.time(name))).filter(|seconds| *seconds > 0)
}

/// Whole seconds, a part of one counting as one: lifetimes have no parts.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// A rule's number is kept in a byte of every stored response.
const MOST_RULES: usize = 200;
const MOST_NAMES: usize = 100;
const LONGEST_NEGATIVE: u32 = 10;
const LONGEST_VALUE: usize = 4096;
/// Fields that stay behind, or that every fetch writes anew.
const NOT_IN_KEYS: [&str; 16] = [
    "host",
    "cookie",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
    "range",
    "via",
    "cdn-loop",
    "forwarded",
    "x-real-ip",
    "cache-control",
];
