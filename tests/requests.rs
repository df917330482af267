//! Where requests go and what they carry: methods, sites and keys, fields in both directions, loops.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Mutex;

use support::pop::{cache_status, https_table, is_hit, is_stored, site, site_at, site_with};
use support::{Certificates, Client, Origin, Pop, Reply};

const FRESH: &str = "Cache-Control: max-age=600";

/// Answers everything with a storable body that names the target.
fn storable_origin() -> Origin {
    Origin::plain(|request| Reply::response("200 OK", &[FRESH, "ETag: \"v1\""], format!("body of {}", request.target)))
}

#[test]
fn unsafe_methods_reach_the_origin_and_invalidate_what_is_stored() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get"] {
        let origin = Origin::plain(|request| match (request.method.as_str(), request.target.as_str()) {
            ("GET", _) => Reply::response("200 OK", &[FRESH], "stored"),
            (_, "/refused") => Reply::response("403 Forbidden", &[], "no"),
            (_, _) => Reply::response("200 OK", &[FRESH], &request.body),
        });
        let pop = Pop::of(&origin);
        let send = |target: &str| {
            let mut client = pop.client();
            client.send(format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"));
            client.response_to(method)
        };
        for target in ["/x", "/refused"] {
            pop.get(target);
            let response = send(target);
            assert_eq!(response.text(), if target == "/x" { "abc" } else { "no" }, "{method}");
            assert!(!is_stored(&response), "{method}");
            assert_eq!(is_hit(&pop.get(target)), target == "/refused", "{method} {target}");
        }
        let seen = &origin.requests()[1];
        assert_eq!((seen.method.as_str(), seen.body.as_slice()), (method, b"abc".as_slice()));
    }
}

#[test]
fn what_an_unsafe_answer_names_on_its_own_origin_is_invalid_too() {
    let names = ["Location", "Content-Location"];
    let rows = [
        ("/named", true),
        ("../named", true),
        ("//a.test/named", true),
        ("http://A.test:80/x/../named", true),
        ("http://a.test:8080/named", false),
        ("https://a.test/named", false),
        ("http://b.test/named", false),
    ];
    for (name, (reference, is_invalid)) in names.iter().flat_map(|name| rows.map(|row| (*name, row))) {
        let origin = Origin::plain(move |request| match request.method.as_str() {
            "GET" => Reply::response("200 OK", &[FRESH], "stored"),
            _ => Reply::response("201 Created", &[&format!("{name}: {reference}")], ""),
        });
        let pop = Pop::of(&origin);
        pop.get("/named");
        assert_eq!(pop.ask("FROB", "/list/x?y", &["Content-Length: 0"]).field(name), Some(reference));
        assert_eq!(is_hit(&pop.get("/named")), !is_invalid, "{name}: {reference}");
    }
}

#[test]
fn safe_methods_invalidate_nothing() {
    let origin = storable_origin();
    let pop = Pop::of(&origin);
    pop.get("/x");
    for method in ["OPTIONS", "PROPFIND", "SEARCH"] {
        pop.ask(method, "/x", &[]);
        assert!(is_hit(&pop.get("/x")), "{method}");
    }
}

#[test]
fn conditions_of_an_unsafe_method_are_the_origins_to_judge() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["ETag: \"new\""], "changed"));
    let pop = Pop::of(&origin);
    for field in ["If-Match: \"old\"", "If-None-Match: *", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"] {
        let response = pop.ask("PUT", "/x", &[field, "Content-Length: 0"]);
        assert_eq!((response.status, response.text().as_str()), (200, "changed"), "{field}");
        let (name, value) = field.split_once(": ").unwrap();
        assert_eq!(origin.requests().last().unwrap().field(name), Some(value));
    }
}

#[test]
fn options_of_a_resource_is_forwarded_and_of_the_server_answered() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Allow: GET, BREW"], ""));
    let pop = Pop::of(&origin);
    assert_eq!(pop.ask("OPTIONS", "/x", &[]).field("allow"), Some("GET, BREW"));
    let own = pop.ask("OPTIONS", "*", &[]);
    assert_eq!(own.status, 204);
    assert!(own.field("allow").unwrap().contains("GET"));
    assert_eq!(origin.count(), 1);
}

#[test]
fn max_forwards_of_options_counts_down_and_that_of_others_ends_here() {
    let origin = storable_origin();
    let pop = Pop::of(&origin);
    for (sent, seen) in [
        (&["Max-Forwards: 1"][..], vec!["0"]),
        (&["max-forwards: 07"], vec!["6"]),
        (&["Max-Forwards: 3", "Max-Forwards: 2"], vec!["1"]),
        (&["Max-Forwards: x"], vec![]),
        (&["Max-Forwards: -1"], vec![]),
        (&["Max-Forwards: +3"], vec![]),
        (&["Max-Forwards: 3", "Connection: max-forwards"], vec!["2"]),
        (&["Max-Forwards: 99999999999999999999999"], vec![]),
    ] {
        assert_eq!(pop.ask("OPTIONS", "/x", sent).status, 200, "{sent:?}");
        assert_eq!(origin.requests().last().unwrap().fields_named("max-forwards"), seen, "{sent:?}");
    }
    pop.get_with("/y", &["Max-Forwards: 5"]);
    assert_eq!(origin.requests().last().unwrap().field("max-forwards"), None);
}

#[test]
fn any_method_token_is_forwarded_and_case_matters() {
    let origin = Origin::plain(|request| Reply::response("200 OK", &[FRESH], request.method.clone()));
    let pop = Pop::of(&origin);
    for method in ["BREW", "get", "M-SEARCH", "X!y"] {
        for _ in 0..2 {
            let response = pop.ask(method, "/x", &[]);
            assert_eq!(response.text(), method);
            assert!(cache_status(&response).contains("fwd=method"), "{response:?}");
        }
    }
    assert_eq!(origin.count(), 8);
}

#[test]
fn hop_by_hop_and_listed_fields_go_no_further_in_either_direction() {
    let origin = Origin::plain(|_| {
        let fields = [
            FRESH,
            "Connection: keep-alive, x-inner, cache-control, content-length",
            "X-Inner: secret",
            "X-Outer: kept",
            "Keep-Alive: timeout=5",
            "Proxy-Authenticate: Basic",
            "Proxy-Authentication-Info: x",
            "Upgrade: h2c",
            "Trailer: x",
        ];
        Reply::response("200 OK", &fields, "hello")
    });
    let pop = Pop::of(&origin);
    let asked = [
        "Connection: x-secret, keep-alive",
        "Connection: Cookie, X-Forwarded-For, upgrade",
        "X-Secret: 1",
        "X-Kept: 2",
        "Cookie: a=b",
        "Keep-Alive: 300",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic YTpi",
        "TE: trailers",
        "Upgrade: websocket",
    ];
    for _ in 0..2 {
        let response = pop.get_with("/x", &asked);
        assert_eq!((response.status, response.text().as_str()), (200, "hello"));
        for gone in [
            "x-inner",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authentication-info",
            "upgrade",
            "trailer",
            "connection",
        ] {
            assert_eq!(response.field(gone), None, "{gone}");
        }
        assert_eq!((response.field("x-outer"), response.field("cache-control")), (Some("kept"), Some("max-age=600")));
    }
    let seen = &origin.requests()[0];
    for gone in
        ["x-secret", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade", "transfer-encoding"]
    {
        assert_eq!(seen.field(gone), None, "{gone}");
    }
    assert_eq!((seen.field("x-kept"), seen.field("cookie")), (Some("2"), Some("a=b")));
    assert!(seen.field("x-forwarded-for").is_some());
    assert!(!seen.fields_named("connection").iter().any(|value| value.contains("secret")));
}

#[test]
fn the_origin_sees_who_asked_and_through_whom_and_no_word_of_the_clients_about_it() {
    let origin = storable_origin();
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    let forged = [
        "Via: 1.0 before",
        "X-Forwarded-For: 6.6.6.6",
        "X_Forwarded_For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Port: 1",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "X-HTTP-Method-Override: DELETE",
        "Proxy: http://evil.test",
        "CDN-Loop: other",
        "X-Millpond-Debug: 0123456789abcdef",
        "X_Millpond_Debug: 0123456789abcdef",
        "User-Agent: scene",
    ];
    let fields: String = forged.iter().map(|field| format!("{field}\r\n")).collect();
    client.send(format!("GET /x HTTP/1.1\r\nHost: A.test:8080\r\n{fields}\r\n"));
    let response = client.response();
    assert_eq!(response.field("via"), Some("1.1 millpond"));
    let seen = &origin.requests()[0];
    assert_eq!(seen.head.windows(7).filter(|window| *window == b"6.6.6.6").count(), 0, "{seen:?}");
    assert!(!String::from_utf8_lossy(&seen.head).contains("0123456789abcdef"), "the debug token is ours: {seen:?}");
    assert_eq!(seen.field("host"), Some("a.test"));
    assert_eq!(seen.fields_named("via"), ["1.0 before, 1.1 millpond"]);
    assert_eq!(seen.fields_named("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.fields_named("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.fields_named("x-forwarded-host"), ["a.test"]);
    assert_eq!(seen.fields_named("forwarded"), ["for=127.0.0.1;host=\"a.test\";proto=http"]);
    assert!(seen.field("cdn-loop").unwrap().starts_with("other, millpond; id="), "{seen:?}");
    assert_eq!(seen.field("user-agent"), Some("scene"));
    for gone in ["x-forwarded-port", "x-real-ip", "x-original-url", "x-rewrite-url", "x-http-method-override", "proxy"]
    {
        assert_eq!(seen.field(gone), None, "{gone}");
    }
}

#[test]
fn a_client_without_user_agent_and_accept_gets_none_invented() {
    let origin = storable_origin();
    Pop::of(&origin).get("/x");
    let seen = &origin.requests()[0];
    for absent in ["user-agent", "accept", "accept-encoding", "content-length", "range"] {
        assert_eq!(seen.field(absent), None, "{absent}");
    }
}

#[test]
fn a_request_that_comes_back_is_refused_as_a_loop() {
    static BACK_TO: Mutex<Option<std::net::SocketAddr>> = Mutex::new(None);
    // An origin that sends every request back to the POP it came from.
    let origin = Origin::plain(|request| {
        let mut again = Client::plain(BACK_TO.lock().unwrap().unwrap());
        again.send(&request.head);
        let answer = again.response();
        Reply::response(&format!("{} Loop", answer.status), &[], answer.body)
    });
    let pop = Pop::of(&origin);
    *BACK_TO.lock().unwrap() = Some(pop.address());
    assert_eq!(pop.get("/x").status, 508);
    assert_eq!(origin.count(), 1);
    assert_eq!(pop.get_with("/x", &["CDN-Loop: millpond"]).status, 508);
    assert_eq!(origin.count(), 1);
}

#[test]
fn sites_are_found_by_exact_name_then_wildcard_and_unknown_hosts_are_misdirected() {
    let named = |name: &'static str| Origin::plain(move |_| Reply::response("200 OK", &[FRESH], name));
    let (a, wild, deep) = (named("a"), named("wild"), named("deep"));
    let toml = site("a.test", &a) + &site("*.b.test", &wild) + &site("*.c.b.test", &deep);
    let pop = Pop::start(&toml);
    let rows = [
        ("a.test", 200, "a"),
        ("A.TEST:1234", 200, "a"),
        ("a.test.", 200, "a"),
        ("x.b.test", 200, "wild"),
        ("x.y.b.test", 200, "wild"),
        ("x.c.b.test", 200, "deep"),
        ("c.b.test", 200, "wild"),
        ("b.test", 421, ""),
        ("xa.test", 421, ""),
        ("a.test.evil", 421, ""),
        ("127.0.0.1", 421, ""),
    ];
    let mut client = pop.client();
    for (host, status, body) in rows {
        let response = client.get(host, "/x");
        assert_eq!(response.status, status, "{host}");
        match status {
            200 => assert_eq!(response.text(), body, "{host}"),
            _ => {
                assert!(response.text().contains("no site is configured for this host"), "{host}: {}", response.text())
            }
        }
    }
    // The absolute form wins over Host (RFC 9112 section 3.2.2).
    client.send("GET http://x.b.test/abs HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.response().text(), "wild");
}

#[test]
fn a_default_site_answers_for_every_other_name() {
    let (a, rest) = (storable_origin(), Origin::plain(|request| Reply::ok(request.field("host").unwrap_or("none"))));
    let other = format!("[[site]]\ndefault = true\n[site.origin]\nservers = [\"{}\"]\n", rest.address());
    let pop = Pop::start(&(site("a.test", &a) + &other));
    assert_eq!(pop.get("/x").text(), "body of /x");
    assert_eq!(pop.client().get("whatever.example", "/x").text(), "whatever.example");
    assert_eq!(a.count() + rest.count(), 2);
}

#[test]
fn http_and_https_are_stored_apart_unless_the_site_shares_schemes() {
    let certificates = Certificates::new();
    for (line, is_shared) in [("", false), ("share_schemes = true", true)] {
        let origin = storable_origin();
        let https = https_table(&certificates.identity(&["a.test"]));
        let pop = Pop::start_with_https(&(site_with("a.test", &origin, line, "") + &https));
        pop.get("/x");
        let mut client = Client::tls(pop.https(), &certificates.roots(), "a.test");
        assert_eq!(is_hit(&client.get("a.test", "/x")), is_shared);
        assert!(is_hit(&client.get("a.test", "/x")));
        assert_eq!(origin.count(), if is_shared { 1 } else { 2 });
    }
}

#[test]
fn names_are_stored_apart_unless_the_site_shares_domains() {
    for (line, is_shared) in [("", false), ("share_domains = true", true)] {
        let origin = storable_origin();
        let server = origin.address().to_string();
        let toml = site_at("a.test\", \"b.test", &server, line, "host = \"origin.test\"");
        let pop = Pop::start(&toml);
        pop.client().get("a.test", "/x");
        assert_eq!(is_hit(&pop.client().get("b.test", "/x")), is_shared);
        assert!(is_hit(&pop.client().get("B.TEST:99", "/x")), "case and port do not count");
        assert!(origin.requests().iter().all(|request| request.field("host") == Some("origin.test")));
    }
}

#[test]
fn force_https_sends_plain_clients_over_and_serves_the_others() {
    let certificates = Certificates::new();
    let origin = storable_origin();
    let https = https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::start_with_https(&(site_with("a.test", &origin, "force_https = true", "") + &https));
    let rows = [("GET", 301), ("HEAD", 301), ("DELETE", 308)];
    for (method, status) in rows {
        let response = pop.ask(method, "/x?y=z", &[]);
        assert_eq!((response.status, response.field("location")), (status, Some("https://a.test/x?y=z")), "{method}");
    }
    let mut client = pop.client();
    client.send("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(client.response().status, 308);
    assert!(client.closed(), "the body was not read, so the connection cannot go on");
    assert_eq!(origin.count(), 0);
    let mut client = Client::tls(pop.https(), &certificates.roots(), "a.test");
    assert_eq!(client.get("a.test", "/x").text(), "body of /x");
}

#[test]
fn force_https_sends_nobody_to_an_address_without_a_host() {
    let origin = storable_origin();
    let site =
        format!("[[site]]\ndefault = true\nforce_https = true\n[site.origin]\nservers = [\"{}\"]\n", origin.address());
    let certificates = Certificates::new();
    let https = https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::start_with_https(&(site + &https));
    for (bytes, status) in [("GET //b.test/ HTTP/1.0\r\n\r\n", 400), ("GET /x HTTP/1.0\r\nHost: c.test\r\n\r\n", 301)] {
        let mut client = pop.client();
        client.send(bytes);
        let response = client.response();
        let location = (status == 301).then_some("https://c.test/x");
        assert_eq!((response.status, response.field("location")), (status, location), "{bytes:?}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn common_statuses_keep_a_reason_and_odd_ones_their_number() {
    for (line, expected) in [
        ("201 Created", "Created"),
        ("202 Accepted", "Accepted"),
        ("302 Found", "Found"),
        ("303 See Other", "See Other"),
        ("307 Temporary Redirect", "Temporary Redirect"),
        ("401 Unauthorized", "Unauthorized"),
        ("409 Conflict", "Conflict"),
        ("410 Gone", "Gone"),
        ("422 Unprocessable Content", "Unprocessable Content"),
    ] {
        let origin = Origin::plain(move |_| Reply::response(line, &[], "x"));
        let response = Pop::of(&origin).get("/x");
        assert_eq!((response.status.to_string().as_str(), response.reason.as_str()), (&line[..3], expected));
    }
}

#[test]
fn targets_reach_the_origin_as_they_were_sent_and_are_stored_under_that_very_form() {
    let origin = storable_origin();
    let pop = Pop::of(&origin);
    let targets =
        ["/a", "/A", "/a/", "//a", "/./a", "/b/../a", "/%61", "/a?", "/a?x=1&y=2", "/a?y=2&x=1", "/a%2Fb", "/[|]{}^"];
    for round in 0..2 {
        for target in targets {
            assert_eq!(is_hit(&pop.get(target)), round == 1, "{target}");
        }
    }
    let seen: Vec<_> = origin.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(seen, targets);
}
