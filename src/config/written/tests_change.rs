//! What a change makes of a file, text for text.

use std::path::Path;

use super::*;
use crate::config::Config;

/// A patch in TOML; `null` stands as a text.
fn patch(toml: &str) -> Value {
    fn with_nulls(value: &Value) -> Value {
        match value {
            Value::Text(text) if text == "null" => Value::Null,
            Value::List(items) => Value::List(items.iter().map(with_nulls).collect()),
            Value::Table(members) => {
                Value::Table(members.iter().map(|(name, value)| (name.clone(), with_nulls(value))).collect())
            }
            other => other.clone(),
        }
    }
    with_nulls(&Written::parse(toml).unwrap().root)
}

/// The lines that differ, with their signs.
fn changed(old: &str, new: &str) -> Vec<String> {
    let lines = unified(old, new).into_iter().filter(|line| line.kind != LineKind::Same);
    lines.map(|line| format!("{}{}", if line.kind == LineKind::Added { '+' } else { '-' }, line.text)).collect()
}

#[track_caller]
fn check(old: &str, new: Result<String, Unwritable>, expected: &[&str]) {
    let new = new.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(changed(old, &new), expected, "{new}");
}

const FILE: &str = r#"# The POP of the north.

[listen]
http = "127.0.0.1:0"   # any port
#https = "0.0.0.0:443"

# Pictures. They are large.
[[site]]
domains = ["IMG.example", "*.static.example"] # two names
# Nobody needs it yet.
#force_https = true

[site.origin]
servers = [
    "a.example",      # Frankfurt
    # The one in the cellar.
    { address = 'b.example:8443', role = "backup" }, # slow
]
# The bucket answers under its own name.
sni = 'old.example' # since May
protocol = "https"

# --- rules ---
[[site.rule]]
path = "/static/"
ttl = "1d"

[[site.rule]] # never
path = "/admin/"
bypass = true

[[site]]
default = true
origin = { servers = ["c.example"], ports = { http = 81 } }

# --- the rest ---

[cache]
memory = "1GiB"
# The end.
"#;

#[test]
fn one_setting_changes_one_line() {
    let file = Written::parse(FILE).unwrap();
    assert_eq!(file.names(), ["img.example", "default"]);
    let rows: &[(usize, &str, &[&str])] = &[
        (0, "origin.sni = \"old.example\"", &[]),
        (
            0,
            "origin.sni = \"new.example\"",
            &["-sni = 'old.example' # since May", "+sni = \"new.example\" # since May"],
        ),
        (0, "origin.sni = \"null\"", &["-sni = 'old.example' # since May"]),
        (0, "origin.host = \"h.example\"", &["+host = \"h.example\""]),
        (0, "force_https = true", &["+force_https = true"]),
        (
            0,
            "domains = [\"IMG.example\", \"*.static.example\", \"x.example\"]",
            &[
                "-domains = [\"IMG.example\", \"*.static.example\"] # two names",
                "+domains = [\"IMG.example\", \"*.static.example\", \"x.example\"] # two names",
            ],
        ),
        (0, "response.remove = [\"Server\"]", &["+[site.response]", "+remove = [\"Server\"]", "+"]),
        (0, "origin.ports = { https = 8443 }", &["+ports = { https = 8443 }"]),
        (0, "origin.timeouts.connect = \"1s\"", &["+[site.origin.timeouts]", "+connect = \"1s\"", "+"]),
        (
            1,
            "origin.ports = { http = \"null\", https = 8443 }",
            &[
                "-origin = { servers = [\"c.example\"], ports = { http = 81 } }",
                "+origin = { servers = [\"c.example\"], ports = { https = 8443 } }",
            ],
        ),
        (
            1,
            "origin.host = \"h.example\"",
            &[
                "-origin = { servers = [\"c.example\"], ports = { http = 81 } }",
                "+origin = { servers = [\"c.example\"], ports = { http = 81 }, host = \"h.example\" }",
            ],
        ),
        (
            1,
            "https = { certificate = \"c.pem\", key = \"k.pem\" }",
            &["+[site.https]", "+certificate = \"c.pem\"", "+key = \"k.pem\"", "+"],
        ),
    ];
    for (site, toml, expected) in rows {
        check(FILE, file.with_patch(*site, &patch(toml)), expected);
    }
}

#[test]
fn lists_over_several_lines_keep_their_comments() {
    let file = Written::parse(FILE).unwrap();
    let backup = "{ address = \"b.example:8443\", role = \"backup\" }";
    let rows: &[(String, &[&str])] = &[
        (format!("\"a.example\", {backup}, \"c.example\""), &["+    \"c.example\","]),
        (format!("\"z.example\", \"a.example\", {backup}"), &["+    \"z.example\","]),
        (
            format!("\"z.example\", {backup}"),
            &["-    \"a.example\",      # Frankfurt", "+    \"z.example\",      # Frankfurt"],
        ),
        (backup.to_owned(), &["-    \"a.example\",      # Frankfurt"]),
        (
            "\"a.example\"".to_owned(),
            &["-    # The one in the cellar.", "-    { address = 'b.example:8443', role = \"backup\" }, # slow"],
        ),
        (
            "\"a.example\", { address = \"b.example:8443\" }".to_owned(),
            &[
                "-    { address = 'b.example:8443', role = \"backup\" }, # slow",
                "+    { address = 'b.example:8443' }, # slow",
            ],
        ),
    ];
    for (servers, expected) in rows {
        check(FILE, file.with_patch(0, &patch(&format!("origin.servers = [{servers}]"))), expected);
    }
    // The last item had no comma, and a comment behind it.
    let open = "[[site]]\ndefault = true\n[site.origin]\nservers = [\n  \"a.example\" # first\n]\n";
    let new = Written::parse(open).unwrap().with_patch(0, &patch("origin.servers = [\"a.example\", \"b.example\"]"));
    check(open, new, &["-  \"a.example\" # first", "+  \"a.example\", # first", "+  \"b.example\","]);
}

#[test]
fn rules_change_one_by_one() {
    let file = Written::parse(FILE).unwrap();
    let (first, second) = ("{ path = \"/static/\", ttl = \"1d\" }", "{ path = \"/admin/\", bypass = true }");
    let rows: &[(String, &[&str])] = &[
        (format!("{first}, {second}"), &[]),
        (
            format!("{first}, {second}, {{ path = \"/x\", ttl = \"1m\" }}"),
            &["+[[site.rule]]", "+path = \"/x\"", "+ttl = \"1m\"", "+"],
        ),
        (second.to_owned(), &["-[[site.rule]]", "-path = \"/static/\"", "-ttl = \"1d\"", "-"]),
        (first.to_owned(), &["-[[site.rule]] # never", "-path = \"/admin/\"", "-bypass = true", "-"]),
        (format!("{first}, {{ path = \"/admin/\", bypass = false }}"), &["-bypass = true", "+bypass = false"]),
    ];
    for (rules, expected) in rows {
        let new = file.with_patch(0, &patch(&format!("rule = [{rules}]"))).unwrap();
        let mut found = changed(FILE, &new);
        // The words above the first rule were about it.
        found.retain(|line| line != "-# --- rules ---");
        assert_eq!(found, *expected, "{new}");
    }
    let none = file.with_patch(0, &patch("rule = \"null\"")).unwrap();
    assert!(!none.contains("rule]]") && Written::parse(&none).unwrap().names().len() == 2, "{none}");
}

#[test]
fn a_site_comes_behind_the_others_and_goes_with_all_that_is_its_own() {
    let file = Written::parse(FILE).unwrap();
    let site = patch(
        "domains = [\"n.example\"]\norigin = { host = \"null\", servers = [\"o.example\"], protocol = \"https\" }",
    );
    check(
        FILE,
        file.with_site(&site),
        &[
            "+[[site]]",
            "+domains = [\"n.example\"]",
            "+",
            "+[site.origin]",
            "+servers = [\"o.example\"]",
            "+protocol = \"https\"",
            "+",
        ],
    );
    let without = file.without_site(1).unwrap();
    check(
        FILE,
        Ok(without),
        &["-[[site]]", "-default = true", "-origin = { servers = [\"c.example\"], ports = { http = 81 } }", "-"],
    );
    let without = file.without_site(0).unwrap();
    for kept in
        ["# The POP of the north.", "# any port", "#https = \"0.0.0.0:443\"", "# --- the rest ---", "# The end."]
    {
        assert!(without.contains(kept), "{kept}\n{without}");
    }
    for gone in ["img.example", "Pictures", "rule", "cellar", "since May", "force_https"] {
        assert!(!without.contains(gone), "{gone}\n{without}");
    }
    let none = Written::parse(&without).unwrap().without_site(0).unwrap();
    assert!(Written::parse(&none).unwrap().names().is_empty(), "{none}");
    assert_eq!(file.without_site(2), Err(Unwritable::NoSite));
}

#[test]
fn the_first_site_stands_behind_what_the_file_has() {
    let site = patch("domains = [\"n.example\"]\norigin.servers = [\"o.example\"]");
    let lines = "[[site]]\ndomains = [\"n.example\"]\n\n[site.origin]\nservers = [\"o.example\"]\n";
    for (old, before) in [
        ("", String::new()),
        ("# Mine.", "# Mine.\n\n".to_owned()),
        ("[listen]\nhttp = \"127.0.0.1:0\"\n", "[listen]\nhttp = \"127.0.0.1:0\"\n\n".to_owned()),
        ("[listen]\n# the end", "[listen]\n# the end\n\n".to_owned()),
    ] {
        let new = Written::parse(old).unwrap().with_site(&site).unwrap();
        assert_eq!(new, format!("{before}{lines}"), "{old:?}");
        assert!(Config::parse(&new, Path::new("m.toml")).is_ok(), "{new}");
    }
}

#[test]
fn line_ends_marks_and_a_missing_last_line_feed_stay() {
    let plain = "[[site]]\ndomains = [\"a.test\"] # one\n[site.origin]\nservers = [\"o.test\"]";
    for old in [plain.replace('\n', "\r\n"), format!("\u{feff}{plain}"), plain.to_owned()] {
        let file = Written::parse(&old).unwrap();
        let new = file.with_patch(0, &patch("origin.sni = \"s.test\"\nforce_https = true")).unwrap();
        let end = if old.contains('\r') { "\r\n" } else { "\n" };
        let site = format!("# one{end}");
        let expected = old.replace(&site, &format!("{site}force_https = true{end}"));
        assert_eq!(new, format!("{expected}{end}sni = \"s.test\"{end}"), "{old:?}");
    }
}

/// Found by fuzzing: a change of anything took the blanks out of every header.
#[test]
fn blanks_within_headers_stay() {
    let old = "[[ site ]]\ndomains = [\"a.test\"]\n[site\t. origin]\nservers = [\"o.test\"]\n";
    let file = Written::parse(old).unwrap();
    assert_eq!(file.with_patch(0, &patch("")).unwrap(), old);
    assert_eq!(file.with_patch(0, &patch("origin.sni = \"s.test\"")).unwrap(), format!("{old}sni = \"s.test\"\n"));
}

#[test]
fn the_doctors_lines_are_written_where_the_keys_stand() {
    let file = Written::parse(FILE).unwrap();
    let remedy = |line, section_line, key, text| Remedy { line, section_line, key, text };
    let lines = file.lines(0);
    let (sni, origin) = (lines["origin.sni"], lines["origin"]);
    assert_eq!((sni, origin, lines["origin.servers[2].role"], lines["rule[2].bypass"]), (20, 13, 17, 30));
    let rows: &[(Remedy<'_>, &[&str])] = &[
        (
            remedy(sni, origin, "site[1].origin.sni", "sni = \"new.example\""),
            &["-sni = 'old.example' # since May", "+sni = \"new.example\" # since May"],
        ),
        // The number is that of another order of the sites: the line says which one is meant.
        (
            remedy(sni, origin, "site[2].origin.sni", "sni = \"new.example\""),
            &["-sni = 'old.example' # since May", "+sni = \"new.example\" # since May"],
        ),
        (remedy(0, origin, "site[1].origin.host", "host = \"h.example\""), &["+host = \"h.example\""]),
        (
            remedy(17, origin, "site[1].origin.servers[2].address", "address = \"b.example:443\""),
            &[
                "-    { address = 'b.example:8443', role = \"backup\" }, # slow",
                "+    { address = \"b.example:443\", role = \"backup\" }, # slow",
            ],
        ),
        (remedy(0, 0, "site[2].domains", "domains = [\"d.example\"]"), &["+domains = [\"d.example\"]"]),
    ];
    for (remedy, expected) in rows {
        check(FILE, file.with_remedies(&[*remedy]), expected);
    }
    for wrong in [
        remedy(sni + 1, origin, "site[1].origin.sni", "sni = \"x\""),
        remedy(sni, origin, "site[1].origin.sni", "host = \"x\""),
        remedy(sni, origin, "site[1].origin.sni", "sni = \"x\"\nhost = \"y\""),
        remedy(sni, origin, "site[1].origin.sni", "sni = "),
        remedy(0, 0, "cache.memory", "memory = 1"),
        remedy(0, 0, "site[9].domains", "domains = []"),
        remedy(0, 0, "site[1].origin.servers[1].sni", "sni = \"x\""),
    ] {
        assert!(file.with_remedies(&[wrong]).is_err(), "{wrong:?}");
    }
    let fits = remedy(0, 0, "site[2].domains", "domains = [\"d.example\"]");
    assert!(file.with_remedies(&[fits; 64]).is_ok());
    assert!(matches!(file.with_remedies(&[fits; 65]), Err(Unwritable::Unfit(_))), "the work is bounded");
}

#[test]
fn what_cannot_be_written_is_refused() {
    let file = Written::parse(FILE).unwrap();
    let nulls = Value::Table([("domains".to_owned(), Value::List(vec![Value::Null]))].into());
    assert!(matches!(file.with_patch(0, &nulls), Err(Unwritable::Unfit(_))));
    assert_eq!(file.with_patch(7, &nulls), Err(Unwritable::NoSite));
    assert!(matches!(Written::parse("a = "), Err(Unwritable::NotToml(_))));
}

#[test]
fn a_site_is_found_by_any_of_its_names() {
    let file = Written::parse(FILE).unwrap();
    let rows = [
        ("img.example", Some(0)),
        ("IMG.EXAMPLE.", Some(0)),
        ("*.static.example", Some(0)),
        ("default", Some(1)),
        ("x", None),
    ];
    for (name, expected) in rows {
        assert_eq!(file.site(name), expected, "{name}");
    }
}

#[test]
fn what_holds_is_told_with_the_defaults() {
    let effective = Written::parse(FILE).unwrap().effective(1).unwrap();
    let at = |path: &str| path.split('.').try_fold(&effective, |value, name| value.get(name)).cloned();
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    assert_eq!(at("origin.timeouts.connect"), text("3s"));
    assert_eq!(at("origin.ports.http"), Some(Value::Number(81)));
    assert_eq!(at("origin.tls_min"), text("1.2"));
    assert_eq!(at("origin.retries"), Some(Value::Number(2)));
    assert_eq!(at("cache.sort_query"), Some(Value::Flag(false)));
    assert_eq!(at("default"), Some(Value::Flag(true)));
    assert_eq!(at("https"), Some(Value::Null));
    assert_eq!(at("origin.sni"), Some(Value::Null));
}
