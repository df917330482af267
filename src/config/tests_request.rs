//! `[site.origin.request]` and `follow_redirects`: good ones, bad ones and their hints.

use std::path::Path;

use super::Config;

fn parse(lines: &str) -> Result<Config, String> {
    let text = format!("[[site]]\ndefault = true\n[site.origin]\nservers = [\"o.example\"]\n{lines}");
    let shown = |problem: &super::Problem| format!("{problem}\n");
    Config::parse(&text, Path::new("m.toml")).map_err(|problems| problems.iter().map(shown).collect())
}

#[test]
fn edits_of_requests_are_read() {
    let config = parse(
        r#"
follow_redirects = 5
[site.origin.request]
set = { "X-Real-IP" = "$client_ip", Authorization = "Basic eDp5" }
add = { X-Served-By = "millpond at $$5" }
remove = ["Cookie"]
strip_prefix = "/cdn/"
rewrite = [{ from = "/old/**", to = "/new/$1" }, { from = "/a", to = "/b" }]
path_prefix = "/bucket"
query = { set = { v = "2 &" }, add = { "é" = "" }, remove = ["token"] }
"#,
    )
    .unwrap();
    assert_eq!(config.warnings(), []);
    let origin = &config.sites[0].origin;
    assert_eq!(origin.follow_redirects, 5);
    let names = |list: &[(Box<str>, crate::policy::template::Template)]| {
        list.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    let mut set = names(&origin.request.fields.set);
    set.sort();
    assert_eq!(set, ["Authorization", "X-Real-IP"]);
    assert_eq!(names(&origin.request.fields.add), ["X-Served-By"]);
    assert_eq!(origin.request.fields.remove, [Box::from("Cookie")]);
    let target = |text: &str| origin.request.target.apply(text).unwrap().into_owned();
    assert_eq!(target("/cdn/old/x?token=1&a=1"), "/bucket/new/x?a=1&v=2%20%26&%C3%A9=");
    assert_eq!(target("/a"), "/bucket/b?v=2%20%26&%C3%A9=");
}

#[test]
fn edits_that_cannot_be_made_are_refused_with_a_hint() {
    let many: String = (0..33).map(|n| format!("\"X-{n}\" = \"1\", ")).collect();
    let many = format!("add = {{ {} }}", many.trim_end_matches(", "));
    for (line, expected) in [
        (
            r#"set = { Host = "b.example" }"#,
            "m.toml:6: site[1].origin.request.set.Host: Host cannot be edited; set host under [site.origin]",
        ),
        (
            r#"add = { "content_length" = "1" }"#,
            "request.add.content_length: content_length cannot be edited; it frames",
        ),
        (r#"remove = ["X-A", "If-None-Match"]"#, "request.remove[2]: If-None-Match cannot be edited; conditions"),
        (r#"remove = ["CDN-Loop"]"#, "request.remove[1]: CDN-Loop cannot be edited; it keeps"),
        (r#"set = { "X A" = "1" }"#, "request.set.X A: \"X A\" is no field name; write letters"),
        (r#"set = { X = "$ip" }"#, "request.set.X: there is no variable $ip; there are $client_ip, $client_port"),
        (r#"set = { X = "a\r\nHost: b" }"#, "request.set.X: byte 0x0d cannot stand in a field value; field values"),
        (r#"set = { X = 1 }"#, "request.set.X: this must be a text, not the number 1; write it in quotes"),
        (r#"set = { X = "1", x = "2" }"#, "request.set: x is set twice; remove one"),
        (r#"set = "X""#, "request.set: this must be a table of names and texts, not the text \"X\"; write { \"name\""),
        (many.as_str(), "request.add: 33 are too many; at most 32 will do"),
        (r#"rewrite = [{ from = "/a" }]"#, "request.rewrite[1]: `to` is missing: a rule has a new path; add to ="),
        (
            r#"rewrite = [{ from = "/*", to = "/$2" }]"#,
            "request.rewrite[1]: $2 stands for nothing; from has 1 wildcards",
        ),
        (r#"rewrite = ["/a"]"#, "request.rewrite[1]: an item here must be a table, not the text \"/a\""),
        (r#"rewrite = "/a""#, "this must be a list of tables: rewrite = [{ … }], not the text \"/a\"; write [{ key"),
        (r#"path_prefix = "bucket""#, "request.path_prefix: a path begins with /; write \"/bucket\""),
        (r#"strip_prefix = "/a/../b""#, "request.strip_prefix: a prefix has no .. segments; write the path"),
        (r#"query = { remove = "a" }"#, "request.query.remove: this must be a list; write remove = [\"a\"]"),
        (r#"query = { drop = ["a"] }"#, "request.query.drop: there is no such key"),
    ] {
        let found = parse(&format!("[site.origin.request]\n{line}")).unwrap_err();
        assert!(found.contains(expected) && found.lines().count() == 1, "{line}\n{found}");
    }
    let found = parse("follow_redirects = 11").unwrap_err();
    assert!(found.contains("site[1].origin.follow_redirects: 11 is too large; anything from 0 to 10"), "{found}");
}
