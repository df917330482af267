//! What an operator sets for a site's caching, over real sockets: lifetimes, keys, bypass, failures kept, fields changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use support::pop::{cache_status, is_hit, is_stored, site, site_at};
use support::{Origin, Pop, Reply, Response, wait_until};

/// A POP for `a.test` with further tables of the site.
#[track_caller]
fn pop(origin: &Origin, tables: &str) -> Pop {
    Pop::start(&format!("{}{tables}", site("a.test", origin)))
}

/// An origin that says this of everything.
fn origin_of(status: &'static str, fields: &'static [&'static str]) -> Origin {
    Origin::plain(move |request| Reply::response(status, fields, format!("{} {}", request.method, request.target)))
}

/// Stored with this lifetime and this word, and then a hit with the same; or, without them, not stored.
#[track_caller]
fn check_stored(pop: &Pop, target: &str, expected: Option<(u32, &str)>) {
    let (first, second) = (pop.get(target), pop.get(target));
    match expected {
        Some((seconds, word)) => {
            let status = cache_status(&first);
            assert!(is_stored(&first) && status.contains(&format!("; ttl={seconds};")), "{target}: {status}");
            assert!(status.ends_with(&format!("detail={word}")), "{target}: {status}");
            let status = cache_status(&second);
            assert!(is_hit(&second) && status.ends_with(&format!("detail={word}")), "{target}: {status}");
        }
        None => assert!(!is_stored(&first) && !is_hit(&second), "{target}: {first:?}"),
    }
}

#[test]
fn lifetimes_go_by_folder_extension_and_pattern_the_first_rule_first() {
    let origin = origin_of("200 OK", &[]);
    let pop = pop(
        &origin,
        r#"
[[site.rule]]
path = "/static/img/"
ttl = "5m"
[[site.rule]]
path = "/static/"
ttl = "1h"
[[site.rule]]
extension = ["css", "js"]
ttl = "2h"
[[site.rule]]
path = ["/a/*/c", "**/deep/*.bin"]
ttl = "3h"
"#,
    );
    for (target, expected) in [
        ("/static/img/a.css", Some((300, "ttl-rule"))),
        ("/static/a.css?v=1", Some((3600, "ttl-rule"))),
        ("/a.CSS", Some((7200, "ttl-rule"))),
        ("/a/b/c", Some((10_800, "ttl-rule"))),
        ("/x/deep/y.bin", Some((10_800, "ttl-rule"))),
        ("/a/b/b/c", None),
        ("/static", None),
        ("/static/../secret", None),
    ] {
        check_stored(&pop, target, expected);
    }
}

#[test]
fn lifetimes_go_by_status_where_the_origin_gives_none() {
    let origin = Origin::plain(|request| {
        let status = format!("{} Any", &request.target[1..4]);
        let fields: &[&str] = if request.target.ends_with("own") { &["Cache-Control: max-age=4"] } else { &[] };
        Reply::response(&status, fields, "page")
    });
    let pop = pop(&origin, "[site.cache]\nstatus = { 404 = \"40s\", 4xx = \"20s\", 5xx = \"0s\", 503 = \"2m\" }");
    for (target, expected) in [
        ("/404", Some((40, "ttl-status"))),
        ("/410", Some((20, "ttl-status"))),
        ("/429", Some((10, "ttl-status"))),
        ("/503", Some((120, "ttl-status"))),
        ("/500", None),
        ("/200", None),
    ] {
        check_stored(&pop, target, expected);
    }
    assert_eq!(cache_status(&pop.get("/404own")), "millpond; fwd=uri-miss; ttl=4; stored");
}

#[test]
fn the_origin_wins_or_the_rule_does() {
    for (precedence, expected) in [("origin", 600), ("rule", 60)] {
        let origin = origin_of("200 OK", &["Cache-Control: max-age=600"]);
        let tables =
            format!("[site.cache]\nprecedence = \"{precedence}\"\n[[site.rule]]\npath = \"/**\"\nttl = \"60s\"");
        let pop = pop(&origin, &tables);
        let first = pop.get("/x");
        assert!(cache_status(&first).contains(&format!("ttl={expected}")), "{precedence}: {first:?}");
        // The client is told what the origin says.
        assert_eq!(first.field("cache-control"), Some("max-age=600"));
        assert!(is_hit(&pop.get("/x")));
    }
}

#[test]
fn a_rule_that_wins_stores_nothing_that_is_one_clients_own() {
    let everything = "[site.cache]\nprecedence = \"rule\"\ndefault_ttl = \"1h\"\nmin_ttl = \"1h\"\nstatus = { 200 = \"1h\" }\n\
                      [[site.rule]]\npath = \"/**\"\nttl = \"1h\"\n";
    let overriding = everything.replace("precedence", "override_no_store = true\nprecedence");
    let rows: [(&'static [&'static str], bool); 8] = [
        (&["Cache-Control: no-store"], true),
        (&["Cache-Control: private"], false),
        (&["Cache-Control: private, no-store"], false),
        (&["Cache-Control: private=\"vary\", max-age=60"], false),
        (&["Cache-Control: max-age=60", "Set-Cookie: a=b"], false),
        (&["Cache-Control: no-cache"], false),
        (&["Cache-Control: max-age=60", "Vary: *"], false),
        (&["CDN-Cache-Control: private", "Cache-Control: max-age=60"], false),
    ];
    for (fields, is_overridden) in rows {
        let origin = origin_of("200 OK", fields);
        for (tables, is_kept) in [(everything, false), (overriding.as_str(), is_overridden)] {
            let pop = pop(&origin, tables);
            pop.get("/x");
            assert_eq!(is_hit(&pop.get("/x")), is_kept, "{fields:?}");
        }
    }
    let origin = origin_of("200 OK", &[]);
    let pop = pop(&origin, &overriding);
    for _ in 0..2 {
        assert!(!is_hit(&pop.get_with("/x", &["Authorization: Basic YTpi"])));
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn lifetimes_have_a_minimum_a_maximum_and_a_default() {
    let origin = Origin::plain(|request| match request.target.as_str() {
        "/none" => Reply::ok("x"),
        target => Reply::response("200 OK", &[&format!("Cache-Control: max-age={}", &target[1..])], "x"),
    });
    let pop = pop(&origin, "[site.cache]\nmin_ttl = \"30s\"\nmax_ttl = \"5m\"\ndefault_ttl = \"1m\"");
    check_stored(&pop, "/5", Some((30, "ttl-min")));
    check_stored(&pop, "/9000", Some((300, "ttl-max")));
    check_stored(&pop, "/none", Some((60, "ttl-default")));
    assert_eq!(cache_status(&pop.get("/200")), "millpond; fwd=uri-miss; ttl=200; stored");
}

#[test]
fn what_of_a_query_does_not_count_the_origin_is_not_asked_either() {
    let fields = &["Cache-Control: max-age=600"];
    let rows: [(&str, &[&str], &[&str]); 6] = [
        ("query = \"ignore\"", &["/x?a=1", "/x", "/x?"], &["/x"]),
        (
            "query_keep = [\"id\", \"p*\"]",
            &["/x?b&id=1&p1=2", "/x?id=1&c=3&p1=2", "/x?id=2"],
            &["/x?id=1&p1=2", "/x?id=2"],
        ),
        ("query_drop = [\"utm_*\"]", &["/x?utm_id=1&a=2", "/x?a=2&utm_x", "/x?a=3"], &["/x?a=2", "/x?a=3"]),
        (
            "sort_query = true",
            &["/x?b=1&a=2", "/x?a=2&b=1", "/x?a=2&a=1", "/x?a=1&a=2"],
            &["/x?a=2&b=1", "/x?a=2&a=1", "/x?a=1&a=2"],
        ),
        ("sort_query = true\nquery_drop = [\"z\"]", &["/x?b&z=1&a", "/x?a&b"], &["/x?a&b"]),
        ("query = \"keep\"\nshow_lifetime = true", &["/x?b&a", "/x?a&b"], &["/x?b&a", "/x?a&b"]),
    ];
    for (line, asked, fetched) in rows {
        let origin = origin_of("200 OK", fields);
        let pop = pop(&origin, &format!("[site.cache]\n{line}"));
        for target in asked {
            pop.get(target);
        }
        let targets: Vec<_> = origin.requests().into_iter().map(|request| request.target).collect();
        assert_eq!(targets, fetched, "{line}");
    }
}

#[test]
fn what_is_not_looked_up_keeps_its_query() {
    let origin = Origin::plain(|request| {
        let own = format!("Content-Location: {}", request.target);
        Reply::response("200 OK", &["Cache-Control: max-age=600", &own], request.target.clone())
    });
    let pop = pop(&origin, "[site.cache]\nquery = \"ignore\"\n[[site.rule]]\nquery = \"live=1\"\nbypass = true");
    assert_eq!(pop.ask("POST", "/x?user=7", &["Content-Length: 0"]).text(), "/x?user=7");
    assert_eq!(pop.get("/x?live=1").text(), "/x?live=1");
    // The answer to one query of a POST is not that of the path without one.
    assert_eq!(pop.get("/x").text(), "/x");
    assert!(is_hit(&pop.get("/x?b")));
    // An unsafe request makes invalid what its address is stored as.
    pop.ask("DELETE", "/x?b", &[]);
    assert!(!is_hit(&pop.get("/x")));
}

#[test]
fn fields_and_cookies_of_the_key_have_responses_of_their_own() {
    let origin = Origin::plain(|request| {
        let text = format!("{:?} {:?}", request.field("x-device"), request.field("cookie"));
        Reply::response("200 OK", &["Cache-Control: max-age=600"], text)
    });
    let pop = pop(&origin, "[site.cache]\nkey_headers = [\"X-Device\"]\nkey_cookies = [\"lang\"]");
    let rows: [(&[&str], bool); 9] = [
        (&[], false),
        (&["X-Device: tv"], false),
        (&["x-device: tv", "X-Other: 1"], true),
        (&["X-Device: phone"], false),
        (&["Cookie: lang=de"], false),
        (&["Cookie: lang=en; a=b"], false),
        (&["Cookie: c=d;lang=en"], true),
        (&["Cookie: other=1"], true),
        (&["X-Device: tv", "Cookie: lang=en"], false),
    ];
    for (fields, expected) in rows {
        let response = pop.get_with("/x", fields);
        assert_eq!(is_hit(&response), expected, "{fields:?}: {}", cache_status(&response));
    }
    // The origin may read something else than the key would say: such a request is its own.
    let long = format!("X-Device: {}", "x".repeat(1025));
    for fields in [&["X_Device: tv"][..], &["Cookie: a=\"b; lang=en; c\""], &[&long]] {
        for _ in 0..2 {
            let status = pop.get_with("/x", fields);
            assert_eq!(cache_status(&status), "millpond; fwd=bypass; detail=key-unusable");
        }
    }
    assert_eq!(pop.get("/x").text(), "None None");
}

#[test]
fn a_bypass_neither_looks_up_nor_stores_nor_changes_what_is_stored() {
    let count = AtomicUsize::new(0);
    let origin = Origin::plain(move |request| {
        let text = format!("answer {}", count.fetch_add(1, Ordering::SeqCst));
        let own = format!("Content-Location: {}", request.target);
        let fields = ["Cache-Control: max-age=600", "ETag: \"a\"", &own];
        match request.method.as_str() {
            "HEAD" => Reply::bytes("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nX-A: theirs\r\n\r\n"),
            _ => Reply::response("200 OK", &fields, text),
        }
    });
    let tables = "[[site.rule]]\ncookie = \"session\"\nbypass = true\n[[site.rule]]\npath = \"/live/open/\"\nbypass = false\n\
                  [[site.rule]]\npath = \"/live/\"\nbypass = true";
    let pop = pop(&origin, tables);
    let session = &["Cookie: a=b; session=1"];
    assert_eq!(pop.get("/x").text(), "answer 0");
    for (method, fields) in [("GET", &session[..]), ("HEAD", session), ("POST", &[session[0], "Content-Length: 0"])] {
        let response = pop.ask(method, "/x?", fields);
        assert_eq!(cache_status(&response), "millpond; fwd=bypass; detail=bypass-rule", "{method}");
        let response = pop.ask(method, if method == "POST" { "/y" } else { "/x" }, fields);
        assert_eq!(cache_status(&response), "millpond; fwd=bypass; detail=bypass-rule", "{method}");
    }
    let found = pop.get("/x");
    assert_eq!((is_hit(&found), found.text().as_str(), found.field("x-a")), (true, "answer 0", None));
    for (target, is_kept) in [("/live/a", false), ("/live/open/a", true), ("/live/open/../a", false)] {
        pop.get(target);
        assert_eq!(is_hit(&pop.get(target)), is_kept, "{target}");
    }
    assert!(!is_hit(&pop.get("/y")));
    let only = pop.get_with("/live/a", &["Cache-Control: only-if-cached"]);
    assert_eq!(only.status, 504);
}

fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_failure_is_not_repeated_while_it_is_kept_and_says_its_cause_again() {
    let server = format!("127.0.0.1:{}", closed_port());
    let tables = "[site.cache]\nnegative_ttl = \"10s\"";
    let pop = Pop::start(&format!("{}{tables}", site_at("a.test", &server, "", "")));
    let first = pop.get("/x");
    assert!(cache_status(&first).contains("fwd=uri-miss"), "{first:?}");
    for _ in 0..3 {
        let again = pop.get("/x");
        let status = cache_status(&again);
        assert!(status.starts_with("millpond; hit; ttl=") && status.ends_with("; detail=negative"), "{status}");
        assert_eq!((again.status, again.field("proxy-status")), (502, first.field("proxy-status")));
        assert_eq!(again.field("cache-control"), Some("no-store"));
        assert_ne!(again.field("x-request-id"), first.field("x-request-id"));
    }
    wait_until(|| pop.stats().fetching == (0, 0));
    assert_eq!(pop.stats().fetches, 1);
    // Another address has a fetch of its own, and what is passed is not answered for others.
    assert!(cache_status(&pop.get("/y")).contains("fwd=uri-miss"));
    assert!(cache_status(&pop.ask("POST", "/x", &["Content-Length: 0"])).contains("fwd=method"));
}

#[test]
fn without_it_every_request_tries_again_and_a_success_ends_it() {
    let server = format!("127.0.0.1:{}", closed_port());
    let off = Pop::start(&site_at("a.test", &server, "", ""));
    for _ in 0..2 {
        assert!(cache_status(&off.get("/x")).contains("fwd=uri-miss"));
    }
    // An unwilling origin: what is stale stands in without a fetch, until somebody else's success.
    let is_down = Arc::new(AtomicBool::new(false));
    let down = is_down.clone();
    let origin = Origin::plain(move |request| match down.load(Ordering::SeqCst) {
        true => Reply::nothing().cut(),
        false if request.target == "/stale" => {
            Reply::response("200 OK", &["Cache-Control: max-age=0", "ETag: \"a\""], "old")
        }
        false => Reply::response("200 OK", &["Cache-Control: max-age=600"], "here"),
    });
    let pop = pop(&origin, "[site.cache]\nnegative_ttl = \"10s\"");
    pop.get("/stale");
    is_down.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(pop.get("/stale").text(), "old");
        assert_eq!(pop.get("/x").status, 502);
    }
    let asked = origin.count();
    assert!(cache_status(&pop.get("/stale")).ends_with("detail=negative"));
    assert_eq!(origin.count(), asked);
    is_down.store(false, Ordering::SeqCst);
    assert_eq!(pop.get("/x").status, 502);
    assert_eq!(pop.get("/other").text(), "here");
}

/// The fields of a response but those that differ from one to the next.
fn edited(response: &Response) -> Vec<(&str, Vec<&str>)> {
    ["server", "x-a", "x-b", "cache-control"].map(|name| (name, response.fields_named(name))).to_vec()
}

#[test]
fn fields_are_set_added_and_removed_on_hits_and_misses_alike() {
    let fields = &["Cache-Control: max-age=600", "ETag: \"a\"", "Server: secret", "X-A: 1", "X-A: 2", "X-B: 1"];
    let origin = origin_of("200 OK", fields);
    let tables = "[site.response]\nset = { X-A = \"mine\", Cache-Control = \"max-age=5\" }\nadd = { X-B = \"2\" }\nremove = [\"server\"]";
    let pop = pop(&origin, tables);
    let expected =
        vec![("server", vec![]), ("x-a", vec!["mine"]), ("x-b", vec!["1", "2"]), ("cache-control", vec!["max-age=5"])];
    for (method, fields, status) in
        [("GET", "X: y", 200), ("GET", "X: y", 200), ("HEAD", "X: y", 200), ("GET", "Range: bytes=0-2", 206)]
    {
        let response = pop.ask(method, "/x", &[fields]);
        assert_eq!(response.status, status);
        assert_eq!(edited(&response), expected, "{method} {fields}");
    }
    // A 304 repeats what a cache needs (RFC 9110 §15.4.5); a 412 or 416 says nothing of freshness.
    let confirmed = pop.get_with("/x", &["If-None-Match: \"a\""]);
    assert_eq!(
        (confirmed.status, confirmed.field("cache-control"), confirmed.field("x-a")),
        (304, Some("max-age=5"), None)
    );
    let refused = pop.get_with("/x", &["Range: bytes=900-"]);
    assert_eq!((refused.status, refused.field("cache-control")), (416, None));
    assert_eq!(origin.count(), 1);
}

#[test]
fn what_may_not_be_stored_is_not_made_storable_for_caches_behind() {
    let origin = origin_of("200 OK", &["Cache-Control: private", "X-A: 1"]);
    let pop = pop(&origin, "[site.response]\nset = { Cache-Control = \"public, max-age=60\", X-A = \"mine\" }");
    let response = pop.get("/x");
    assert_eq!((response.field("cache-control"), response.field("x-a")), (Some("private"), Some("mine")));
}

#[test]
fn the_lifetime_is_shown_where_there_is_one() {
    let origin = Origin::plain(|request| {
        let field = if request.target == "/own" { "Cache-Control: private" } else { "Cache-Control: max-age=600" };
        Reply::response("200 OK", &[field, "ETag: \"a\"", "X-Cache-Lifetime: 9"], "x")
    });
    let pop = pop(&origin, "[site.cache]\nshow_lifetime = true\n[[site.rule]]\npath = \"/a/\"\nttl = \"9s\"");
    for _ in 0..2 {
        assert_eq!(pop.get("/x").fields_named("x-cache-lifetime"), ["600"]);
        assert_eq!(pop.get("/own").field("x-cache-lifetime"), None);
    }
    assert_eq!(pop.get_with("/x", &["Range: bytes=0-0"]).fields_named("x-cache-lifetime"), ["600"]);
    assert_eq!(pop.get("/x").head.windows(4).filter(|bytes| *bytes == b"\r\n\r\n").count(), 1);
}

#[test]
fn the_key_is_shown_where_the_site_says_so() {
    let origin = origin_of("200 OK", &["Cache-Control: max-age=600"]);
    let pop = pop(&origin, "[site.cache]\nshow_key = true\nsort_query = true\nkey_headers = [\"X-A\"]");
    for is_expected_hit in [false, true] {
        let response = pop.get_with("/x?b&a", &["X-A: 1"]);
        assert_eq!(is_hit(&response), is_expected_hit);
        assert!(cache_status(&response).ends_with("; key=\"http|a.test|/x?a&b|1\""), "{}", cache_status(&response));
    }
}

#[test]
fn two_sites_that_share_their_own_domains_share_nothing_with_each_other() {
    let (one, two) = (
        origin_of("200 OK", &["Cache-Control: max-age=600", "X-Of: one"]),
        Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=600", "X-Of: two"], "two")),
    );
    let site = |domains: &str, origin: &Origin| {
        format!(
            "[[site]]\ndomains = [{domains}]\nshare_domains = true\nshare_schemes = true\n[site.origin]\nhost = \"o.test\"\n\
             servers = [\"{}\"]\n",
            origin.address()
        )
    };
    let pop = Pop::start(&format!("{}{}", site("\"a.test\", \"b.test\"", &one), site("\"c.test\"", &two)));
    let of = |host: &str| {
        let response = pop.client().get(host, "/x");
        (is_hit(&response), response.field("x-of").unwrap().to_owned())
    };
    assert_eq!(of("a.test"), (false, "one".to_owned()));
    assert_eq!(of("b.test"), (true, "one".to_owned()));
    assert_eq!(of("c.test"), (false, "two".to_owned()));
}
