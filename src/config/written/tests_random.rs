//! Any change of any file gives a text that says what was asked for, and nothing else in it is another.

use std::path::Path;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::config::Config;

/// Lines of `[[site]]` and of `[site.origin]`, as operators write them.
const OF_SITE: &[&str] = &[
    "force_https = true",
    "  slice_size = \"4MiB\"   # large",
    "# A remark.\nshare_schemes = true",
    "cache.sort_query = true",
    "cache.query_drop = [ 'utm_*',\"fbclid\" ]",
    "request_body = \"\"\"10MiB\"\"\"",
    "\"max_fetches\" = 0x10",
    "",
    "#expose_errors = true",
];
const OF_ORIGIN: &[&str] = &[
    "host = 'h.example'",
    "# Why.\nsni = \"s.example\" # since",
    "  tls_min = \"1.3\"",
    "ports = { http = 81 , https=8443 }",
    "retry_on = [\n  500,\n  # and\n  502 # this\n]",
    "timeouts.connect = \"1s\"",
    "common_name_whitelist = [\n]",
    "",
    "#retries = 3",
];
const TABLES: &[&str] = &[
    "[site.https]\ncertificate = \"c.pem\"\nkey = \"k.pem\"",
    "# Rules.\n\n# The first.\n[[site.rule]]\npath = \"/a/\"\nttl = \"1d\"\n[[site.rule]] # two\nextension = [\"css\"]\nbypass = true",
    "[site.response]\nset = { \"X-A\" = \"1\", \"X-B\" = 'two' }\n# end of it",
    "[site.response.add]\nLink = \"</a.css>\"",
];
const SERVERS: &[&str] = &[
    "servers = [\"a.example\"]",
    "servers = [\n    \"a.example\",  # one\n    # two:\n    { address = \"b.example\", role = \"backup\" } # slow\n]",
    "servers = [ 'a.example:8443', ]",
];

fn site() -> impl Strategy<Value = String> {
    let lines = (subsequence(OF_SITE, 0..=OF_SITE.len()), subsequence(OF_ORIGIN, 0..=OF_ORIGIN.len()));
    let parts = (lines, select(SERVERS), subsequence(TABLES, 0..=2), any::<bool>());
    parts.prop_map(|((of_site, of_origin), servers, tables, is_first)| {
        let origin = format!("[site.origin] # here\n{servers}\n{}", of_origin.join("\n"));
        let mut parts: Vec<String> = tables.iter().map(ToString::to_string).collect();
        parts.insert(if is_first { 0 } else { parts.len() }, origin);
        format!("[[site]]\ndomains = [\"DOMAIN\"]\n{}\n\n{}\n", of_site.join("\n"), parts.join("\n\n"))
    })
}

fn file() -> impl Strategy<Value = String> {
    let around =
        select(&["", "\n# --- others ---\n\n[cache]\nmemory = \"1GiB\"\n# end", "[log]\n#access = \"-\"\n"][..]);
    let head = select(&["", "# The POP.\n\n[listen]\nhttp = \"127.0.0.1:0\" # any\n\n", "listen.http = []\n"][..]);
    (head, vec(site(), 1..4), around, any::<bool>()).prop_map(|(head, sites, end, is_dos)| {
        let head = if head.contains("[]") { "" } else { head };
        let mut text = head.to_owned();
        for (number, site) in sites.iter().enumerate() {
            text += &site.replace("DOMAIN", &format!("{number}.test"));
        }
        text += end;
        if is_dos { text.replace('\n', "\r\n") } else { text }
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Flag),
        any::<i64>().prop_map(Value::Number),
        select(&["1s", "x.example", "", "a \"quoted\" text", "two\nlines", "#é", "'"][..])
            .prop_map(|text| Value::Text(text.to_owned())),
    ];
    let name = || select(&["sni", "host", "servers", "ttl", "path", "connect", "X-A", "http", "odd key"][..]);
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let items = vec(inner.clone(), 0..4)
            .prop_map(|items| Value::List(items.into_iter().filter(|item| !item.has_null()).collect()));
        let members = btree_map(name().prop_map(str::to_owned), inner, 0..4).prop_map(Value::Table);
        prop_oneof![items, members]
    })
}

/// A patch that mostly is about keys which are there.
fn patch() -> impl Strategy<Value = Value> {
    let of_site = ["force_https", "slice_size", "cache", "rule", "response", "https", "share_schemes", "max_fetches"];
    let of_origin = ["servers", "host", "sni", "tls_min", "ports", "retry_on", "timeouts", "common_name_whitelist"];
    let members = |names: &[&'static str]| btree_map(select(names.to_vec()).prop_map(str::to_owned), value(), 0..4);
    (members(&of_site), proptest::option::of(members(&of_origin))).prop_map(|(mut site, origin)| {
        if let Some(origin) = origin {
            site.insert("origin".to_owned(), Value::Table(origin));
        }
        Value::Table(site)
    })
}

/// Lines of the old text that are not in the new one, in order.
fn lost<'t>(old: &'t str, new: &str) -> Vec<&'t str> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let steps = difference::steps(&old, &new).into_iter().filter(|step| step.kind == LineKind::Removed);
    steps.map(|step| old[step.old]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// There is no way out: what is asked for is always written.
    #[test]
    fn any_patch_gives_what_was_asked_for(text in file(), patch in patch(), number in 0usize..3) {
        prop_assert!(Config::parse(&text, Path::new("m.toml")).is_ok(), "{}", text);
        let old = Written::parse(&text).unwrap();
        let number = number % old.names().len();
        let wanted = old.settings(number).unwrap().merged(&patch);
        prop_assume!(!wanted.has_null());
        let changed = old.with_patch(number, &patch);
        prop_assert!(changed.is_ok(), "{:?}\n{}", changed, text);
        let changed = changed.unwrap();
        let new = Written::parse(&changed).unwrap();
        prop_assert_eq!(new.settings(number), Some(&wanted));
        for other in (0..old.names().len()).filter(|other| *other != number) {
            prop_assert_eq!(new.settings(other), old.settings(other));
        }
        if wanted == *old.settings(number).unwrap() {
            prop_assert_eq!(&changed, &text);
        }
    }

    /// A new value for one key that has a line of its own takes that line alone.
    #[test]
    fn one_key_touches_one_line(text in file(), number in 0usize..3) {
        let old = Written::parse(&text).unwrap();
        let number = number % old.names().len();
        let keys = [("host", "origin.host"), ("sni", "origin.sni"), ("tls_min", "origin.tls_min")];
        for (name, path) in keys {
            let value = Value::Text("new.example".to_owned());
            let patch = Value::Table([(name.to_owned(), value)].into());
            let patch = Value::Table([("origin".to_owned(), patch)].into());
            let changed = old.with_patch(number, &patch).unwrap();
            let lost = lost(&text, &changed);
            // At the end of the file a line without its feed gets one.
            let is_there = old.lines(number).contains_key(path);
            let feeds = usize::from(!text.ends_with('\n'));
            prop_assert!(lost.len() <= usize::from(is_there) + feeds, "{:?}\n{}\n{}", lost, text, changed);
            prop_assert!(!is_there || lost[0].contains(name));
        }
    }

    /// What the operator wrote about other things stays: no comment outside the site goes with it.
    #[test]
    fn sites_come_and_go(text in file(), number in 0usize..3) {
        let old = Written::parse(&text).unwrap();
        let count = old.names().len();
        let settings = Value::Table([("domains".to_owned(), Value::List(vec![Value::Text("n.test".to_owned())]))].into());
        let more = old.with_site(&settings).unwrap();
        prop_assert!(lost(&text, &more).len() <= usize::from(!text.ends_with('\n')), "{}", more);
        let less = Written::parse(&more).unwrap().without_site(count).unwrap();
        prop_assert_eq!(Written::parse(&less).unwrap().root, old.root.clone());
        let without = old.without_site(number % count).unwrap();
        prop_assert_eq!(Written::parse(&without).unwrap().names().len(), count - 1);
        for kept in ["# The POP.", "# any", "# --- others ---", "# end\r\n", "#access"] {
            prop_assert_eq!(text.contains(kept), without.contains(kept), "{}\n{}", kept, without);
        }
    }
}
