//! The target of the origin request, where it differs from the client's: prefixes, rewritten paths, parameters.
//!
//! A function of the client's URL alone, so the cache key stays that of the client's URL: two of them may lead to one URL
//! of the origin, never one to two. The steps, in order: `strip_prefix` takes off what only clients see, the first
//! `rewrite` whose pattern fits changes the rest, `path_prefix` goes in front, and the query's parameters are edited.

mod glob;
mod query;

use std::borrow::Cow;

pub use glob::Rewrite;
pub use query::ParameterEdits;

use super::template::Mistake;
use query::percent_decoded;

/// What is done to path and query. Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetEdits {
    /// Taken off paths that begin with these whole segments; no slash at its end.
    strip_prefix: Box<str>,
    /// The first that fits counts.
    rewrites: Vec<Rewrite>,
    /// Put before every path; no slash at its end.
    path_prefix: Box<str>,
    parameters: ParameterEdits,
}

/// Why a target cannot be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Its path has `..` segments: behind a prefix they would lead out of what the prefix confines it to.
    Climbs,
    /// It would be longer than any server takes.
    TooLong,
}

impl Unfit {
    /// The reason, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Unfit::Climbs => "its path has .. segments, which the site's path edits do not take",
            Unfit::TooLong => "its target would become too long",
        }
    }
}

impl TargetEdits {
    /// Edits from what the operator wrote, already checked but for the two prefixes.
    pub fn new(rewrites: Vec<Rewrite>, parameters: ParameterEdits) -> TargetEdits {
        TargetEdits { rewrites, parameters, ..TargetEdits::default() }
    }

    /// The same with this `strip_prefix`.
    pub fn stripping(self, prefix: &str) -> Result<TargetEdits, Mistake> {
        Ok(TargetEdits { strip_prefix: prefix_of(prefix)?, ..self })
    }

    /// The same with this `path_prefix`.
    pub fn prefixed(self, prefix: &str) -> Result<TargetEdits, Mistake> {
        Ok(TargetEdits { path_prefix: prefix_of(prefix)?, ..self })
    }

    /// The target for the origin: it begins with a slash and holds nothing that a request line cannot, whatever comes in.
    /// `*`, which is no path, stays.
    pub fn apply<'t>(&self, target: &'t str) -> Result<Cow<'t, str>, Unfit> {
        if !target.starts_with('/') || (!self.edits_path() && self.parameters.is_empty()) {
            return Ok(Cow::Borrowed(target));
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = if self.edits_path() { self.path(path)? } else { path.to_owned() };
        let query = match query {
            query if self.parameters.is_empty() => query.map(str::to_owned),
            query => Some(self.parameters.apply(query.unwrap_or_default())).filter(|query| !query.is_empty()),
        };
        let mut edited = path;
        if let Some(query) = query {
            edited.push('?');
            edited.push_str(&query);
        }
        let edited = plain(edited);
        if edited.len() > MAX_TARGET { Err(Unfit::TooLong) } else { Ok(Cow::Owned(edited)) }
    }

    fn edits_path(&self) -> bool {
        !(self.strip_prefix.is_empty() && self.rewrites.is_empty() && self.path_prefix.is_empty())
    }

    fn path(&self, path: &str) -> Result<String, Unfit> {
        if climbs(path) {
            return Err(Unfit::Climbs);
        }
        let stripped = match path.strip_prefix(&*self.strip_prefix) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        };
        let rewritten = self.rewrites.iter().find_map(|rewrite| rewrite.apply(stripped));
        let rewritten = rewritten.map_or(Cow::Borrowed(stripped), Cow::Owned);
        // What a capture brought together must not climb either: `/.*` and `.` make `..`.
        if climbs(&rewritten) {
            return Err(Unfit::Climbs);
        }
        Ok(format!("{}{rewritten}", self.path_prefix))
    }
}

/// `/a/` and `/a` are the same prefix.
fn prefix_of(text: &str) -> Result<Box<str>, Mistake> {
    glob::check_path(text)?;
    if text.contains('*') {
        return Err(Mistake::new("a prefix has no wildcards", "write a rewrite: { from = \"/*/x\", to = \"/$1\" }"));
    }
    if climbs(text) {
        return Err(Mistake::new("a prefix has no .. segments", "write the path that they lead to"));
    }
    Ok(text.trim_end_matches('/').into())
}

/// Has the path a segment `..`, as origins may read it: percent-encoded, or between encoded slashes or backslashes?
fn climbs(path: &str) -> bool {
    percent_decoded(path.as_bytes()).split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| segment == b"..")
}

/// Whatever a request line cannot hold, percent-encoded; the parser of requests lets none of it through.
fn plain(target: String) -> String {
    if target.bytes().all(is_plain) {
        return target;
    }
    let mut out = String::with_capacity(target.len().saturating_add(16));
    for byte in target.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\')
}

/// Bytes of a target: twice what a request line may have by default.
const MAX_TARGET: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edits(strip: &str, rewrites: &[(&str, &str)], prefix: &str) -> TargetEdits {
        let rewrites = rewrites.iter().map(|(from, to)| Rewrite::parse(from, to).unwrap()).collect();
        let plain = TargetEdits::new(rewrites, ParameterEdits::default());
        let stripped = if strip.is_empty() { plain } else { plain.stripping(strip).unwrap() };
        if prefix.is_empty() { stripped } else { stripped.prefixed(prefix).unwrap() }
    }

    #[test]
    fn prefixes_and_rules_apply_in_their_order() {
        let rules = [("/old/**", "/new/$1"), ("/old/x", "/never"), ("/r", "/rr")];
        let rows = [
            (edits("", &[], "/bucket"), "/a?b", "/bucket/a?b"),
            (edits("", &[], "/bucket/"), "/", "/bucket/"),
            (edits("", &[], "/"), "/a", "/a"),
            (edits("/cdn", &[], ""), "/cdn/a", "/a"),
            (edits("/cdn/", &[], ""), "/cdn", "/"),
            (edits("/cdn", &[], ""), "/cdn?x", "/?x"),
            (edits("/cdn", &[], ""), "/cdnx", "/cdnx"),
            (edits("/cdn", &[], ""), "/a/cdn", "/a/cdn"),
            (edits("/cdn", &[], ""), "/cdn//a", "//a"),
            (edits("", &rules, ""), "/old/x?/old/y", "/new/x?/old/y"),
            (edits("", &rules, ""), "/other", "/other"),
            (edits("/cdn", &rules, "/b"), "/cdn/old/x", "/b/new/x"),
            (edits("/cdn", &rules, "/b"), "/r", "/b/rr"),
            (edits("", &rules, "/b"), "*", "*"),
            (edits("", &[], ""), "/..//%2e", "/..//%2e"),
        ];
        for (edits, target, expected) in rows {
            assert_eq!(edits.apply(target).as_deref(), Ok(expected), "{target} {edits:?}");
        }
    }

    #[test]
    fn no_target_climbs_out_of_a_prefix() {
        let edits = edits("", &[("/d/*", "/.$1/x")], "/bucket");
        for target in ["/../x", "/a/..", "/%2e%2E/x", "/a/..%2fx", "/..%5Cx", "/a%2F..%2Fx", "/.%2e", "/d/."] {
            assert_eq!(edits.apply(target), Err(Unfit::Climbs), "{target}");
        }
        for target in ["/...", "/..a", "/a..", "/?/../", "/%252e%252e/"] {
            assert!(edits.apply(target).is_ok(), "{target}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET));
        assert_eq!(edits.apply(&long), Err(Unfit::TooLong));
    }

    #[test]
    fn only_the_parameters_that_are_named_change() {
        let parameters = ParameterEdits { remove: vec!["t".into()], ..ParameterEdits::default() };
        let edits = TargetEdits::new(Vec::new(), parameters);
        for (target, expected) in [("/../a?t=1", "/../a"), ("/a?", "/a"), ("/a?b=?&t", "/a?b=?"), ("/a", "/a")] {
            assert_eq!(edits.apply(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn prefixes_are_paths() {
        for bad in ["bucket", "/a?b", "/a b", "/*", "/a/../b", "/%2e%2e", "/a#"] {
            assert!(TargetEdits::default().prefixed(bad).is_err(), "{bad}");
            assert!(TargetEdits::default().stripping(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_target_is_always_one_that_a_request_line_can_hold(any in "\\PC{0,80}", wild: String, near in "[/.a*?&%=#\\\\\r\n ]{0,40}") {
            let parameters = ParameterEdits { set: vec![("k\n".into(), "v #".into())], ..ParameterEdits::default() };
            let all = TargetEdits { parameters, ..edits("/a", &[("/a/**", "/$1"), ("/*", "/x/$1")], "/b") };
            for text in [any, wild, near] {
                let target = format!("/{text}");
                if let Ok(edited) = all.apply(&target) {
                    prop_assert!(edited.starts_with("/b/") && edited.len() <= MAX_TARGET);
                    prop_assert!(edited.bytes().all(is_plain), "{edited}");
                    prop_assert!(!climbs(edited.split('?').next().unwrap()));
                    prop_assert_eq!(all.apply(&target).unwrap(), edited);
                }
            }
        }
    }
}
