//! `[site.cache]`, `[[site.rule]]` and `[site.response]`: what they become, and what is refused with which words.

use std::path::Path;

use super::Config;
use crate::policy::rules::{Asked, SiteRules, StatusMatch};

fn file(tables: &str) -> String {
    format!(
        "[[site]]\ndomains = [\"a.example\"]\n[site.origin]\nservers = [\"o.example\"]\nprotocol = \"http\"\n{tables}"
    )
}

#[track_caller]
fn accepted(tables: &str) -> SiteRules {
    let config = Config::parse(&file(tables), Path::new("m.toml")).unwrap_or_else(|problems| {
        panic!("{tables}\n{}", problems.iter().map(|problem| format!("{problem}\n")).collect::<String>())
    });
    config.sites[0].rules.own.as_deref().cloned().expect("something is set")
}

#[test]
fn a_site_that_sets_nothing_has_no_rules() {
    for tables in ["", "[site.cache]", "[site.cache]\nprecedence = \"origin\"\ndefault_ttl = \"0s\"\n[site.response]"] {
        let config = Config::parse(&file(tables), Path::new("m.toml")).unwrap();
        assert_eq!(config.sites[0].rules.own, None, "{tables}");
    }
}

#[test]
fn every_key_of_the_rules_is_read() {
    let rules = accepted(
        r#"
[site.cache]
precedence = "rule"
status = { 404 = "10s", "5xx" = 0 }
default_ttl = "1h"
min_ttl = "500ms"
max_ttl = "30d"
override_no_store = true
negative_ttl = "2s"
query_keep = ["id", "p*"]
query_drop = ["p1"]
sort_query = true
key_headers = ["X-Device"]
key_cookies = ["Lang"]
show_lifetime = true
[[site.rule]]
path = ["/static/", "/**/*.png"]
extension = "CSS"
status = 301
ttl = "1d"
[[site.rule]]
path = "/"
header = "X-A=b=c"
cookie = ["s_*"]
query = "q"
bypass = true
[site.response]
set = { X-Frame-Options = "DENY" }
add = { "Link" = " </a>; rel=b " }
remove = ["Server"]
"#,
    );
    assert!(rules.rule_wins && rules.override_no_store && rules.query.is_sorted && rules.edits.show_lifetime);
    assert_eq!(rules.status, [(StatusMatch::Exact(404), 10), (StatusMatch::Class(5), 0)]);
    assert_eq!((rules.default_ttl, rules.min_ttl, rules.max_ttl), (Some(3600), Some(1), Some(2_592_000)));
    assert_eq!((rules.negative_ttl, rules.query.keep.len(), rules.query.drop.len()), (2, 2, 1));
    assert_eq!((rules.key.headers, rules.key.cookies), (vec!["x-device".to_owned()], vec!["Lang".to_owned()]));
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!((rules.edits.set, rules.edits.add), (pair("X-Frame-Options", "DENY"), pair("Link", "</a>; rel=b")));
    assert_eq!(rules.edits.remove, ["Server"]);
    let [one, two] = &rules.rules[..] else { panic!("two rules") };
    assert_eq!(
        (one.path.len(), &one.extension[..], &one.status[..]),
        (2, &["css".to_owned()][..], &[StatusMatch::Exact(301)][..])
    );
    assert_eq!((one.ttl, one.bypass, two.ttl, two.bypass), (Some(86_400), None, None, Some(true)));
    assert_eq!(two.header[0].value.as_deref(), Some("b=c"));
    assert_eq!(two.query[0].value, None);
}

#[test]
fn rules_keep_the_order_of_the_file() {
    let rules = accepted(
        "[[site.rule]]\npath = \"/a/b/\"\nbypass = false\n[[site.rule]]\npath = \"/a/\"\nbypass = true\n[site.cache]\nsort_query = true",
    );
    let bypass = |target| rules.bypass(&Asked { target, fields: &NoFields });
    assert_eq!((bypass("/a/b/c"), bypass("/a/c")), (None, Some(2)));
}

struct NoFields;

impl crate::policy::Fields for NoFields {
    fn for_each(&self, _: &mut dyn FnMut(&[u8], &[u8])) {}
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint() {
    let mut table: Vec<&str> = Vec::new();
    let mut count = 0;
    for line in REFUSED.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("    ") {
            None => table.push(line),
            Some(expected) => {
                let problems =
                    Config::parse(&file(&table.join("\n")), Path::new("m.toml")).expect_err(&table.join("\n"));
                let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
                assert_eq!(found, [format!("m.toml:{expected}")], "{table:?}");
                table.clear();
                count += 1;
            }
        }
    }
    assert!(count > 30, "{count}");
}

/// The tables of a site from line 6 on, then, indented, the one problem that they must give.
const REFUSED: &str = r#"
[site.cache]
precedence = "origin"
override_no_store = true
    7: site[1].cache.precedence: override_no_store has nothing to win with while the origin wins; set precedence = "rule", or leave override_no_store out
[site.cache]
query = "ignore"
query_keep = ["a"]
    7: site[1].cache.query: there is nothing left to keep or drop; leave query = "ignore" out, or the lists
[site.cache]
min_ttl = "2m"
max_ttl = "1m"
    7: site[1].cache.min_ttl: min_ttl is more than max_ttl; exchange the two
[site.cache]
negative_ttl = "11s"
    7: site[1].cache.negative_ttl: that is too long; a failure may be over at any moment: at most "10s"
[site.cache]
max_ttl = "0s"
    7: site[1].cache.max_ttl: "0s" is no time at all; write "30s", "250ms", "5m" or "1h"
[site.cache]
default_ttl = 60
    7: site[1].cache.default_ttl: 60 has no unit; write "60s" for 60 seconds
[site.cache]
precedence = "rules"
    7: site[1].cache.precedence: "rules" is not a choice here; did you mean "rule"?
[site.cache]
status = "10s"
    7: site[1].cache.status: this must be a table of statuses and durations, not the text "10s"; write { 404 = "10s", 5xx = "0s" }
[site.cache]
status = { 404 = 10 }
    7: site[1].cache.status.404: 10 has no unit; write "10s" for 10 seconds
[site.cache]
status = { 304x = "1s" }
    7: site[1].cache.status.304x: "304x" is not a status; write 404 (200 to 599) or "4xx"
[site.cache]
status = { 1xx = "1s" }
    7: site[1].cache.status.1xx: "1xx" is not a status; write 404 (200 to 599) or "4xx"
[site.cache]
status = { 503 = "6m" }
    7: site[1].cache.status.503: that is too long for an error; an error that is over should not be shown for long: at most "5m"
[site.cache]
query_drop = ["utm_*", "a=b"]
    7: site[1].cache.query_drop[2]: "a=b" is not a name; write the name as it stands in the address, without =; a * at its end covers all that begin so
[site.cache]
query_keep = []
    7: site[1].cache.query_keep: the list is empty; name something, or leave the key out
[site.cache]
key_headers = ["X-A", "Cookie"]
    7: site[1].cache.key_headers[2]: "Cookie" cannot be part of the key; name the cookies that count under key_cookies
[site.cache]
key_headers = ["Range"]
    7: site[1].cache.key_headers[1]: "Range" cannot be part of the key; leave it out
[site.cache]
key_headers = ["X-Forwarded-For"]
    7: site[1].cache.key_headers[1]: "X-Forwarded-For" cannot be part of the key; leave it out
[site.cache]
key_headers = ["X A"]
    7: site[1].cache.key_headers[1]: "X A" is not the name of a field; write it as in "X-Name"
[site.cache]
key_cookies = ["a=b"]
    7: site[1].cache.key_cookies[1]: "a=b" is not the name of a cookie; write the name alone
[site.cache]
ttl = "1h"
    7: site[1].cache.ttl: there is no such key; `ttl` belongs in [[site.rule]]
[[site.rule]]
path = "/a"
    6: site[1].rule[1]: the rule does nothing; add ttl = "1h", or bypass = true
[[site.rule]]
cookie = "session"
ttl = "1h"
    6: site[1].rule[1]: a ttl cannot depend on `cookie`: others get it too; leave `cookie` out, or send such requests past the cache with bypass = true
[[site.rule]]
status = 404
bypass = true
    6: site[1].rule[1]: a bypass is decided before there is a status; leave `status` out, or set ttl = "0s" in the place of bypass
[[site.rule]]
status = "5xx"
ttl = "1h"
    8: site[1].rule[1].ttl: that is too long for an error; an error that is over should not be shown for long: at most "5m"
[[site.rule]]
status = [404, true]
ttl = "1h"
    7: site[1].rule[1].status[2]: this must be a status or a list of them, not true; write 404, "5xx", or [404, "5xx"]
[[site.rule]]
path = "static/"
ttl = "1h"
    7: site[1].rule[1].path: "static/" will not do: a pattern is of a whole path; begin it with /, or with ** for any folder
[[site.rule]]
path = ["/a", "/b?c"]
ttl = "1h"
    7: site[1].rule[1].path[2]: "/b?c" will not do: a path ends before the ? or #; leave it out; query = … is a condition of its own
[[site.rule]]
path = "/(a|b)"
ttl = "1h"
    7: site[1].rule[1].path: "/(a|b)" will not do: patterns have no such character; only * (within a segment) and ** (across) are special
[[site.rule]]
extension = ".css"
ttl = "1h"
    7: site[1].rule[1].extension: ".css" is not an extension; write "css", without the dot
[[site.rule]]
header = "X A=b"
bypass = true
    7: site[1].rule[1].header: "X A" is not a name; write the name as it stands in the address, without =; a * at its end covers all that begin so
[[site.rule]]
bypass = "yes"
    7: site[1].rule[1].bypass: this must be true or false, not the text "yes"; write true or false, without quotes
[site.rule]
bypass = true
    6: site[1].rule: this must be a list of tables, each headed [[site.rule]], not a table; write [[site.rule]], in double brackets, above each one's keys
[site.response]
remove = ["Content-Length"]
    7: site[1].response.remove[1]: "Content-Length" cannot be changed: it belongs to the connection, where a wrong one breaks the message; leave it out
[site.response]
set = { "cache-status" = "x" }
    7: site[1].response.set.cache-status: "cache-status" cannot be changed: Millpond writes it; leave it out
[site.response]
add = { "X-A" = "a\r\nb" }
    7: site[1].response.add.X-A: "a\r\nb" is not the value of a field; one line of ASCII, at most 4096 characters
[site.response]
set = { "X A" = "a" }
    7: site[1].response.set.X A: "X A" is not the name of a field; write it as in "X-Name"
[site.response]
set = ["X-A"]
    7: site[1].response.set: this must be a table of names and texts, not a list; write { "name" = "value" }
"#;
