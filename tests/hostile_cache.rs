//! Poisoning and deception: what one client sends or provokes never becomes what another is served.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{is_hit, is_stored, request, site, site_with};
use support::recorder::{Answer, Recorder, answer, echo};
use support::strict::Whole;
use support::{Gate, Pop, Response};

const FRESH: &str = "Cache-Control: max-age=600";

/// An origin that shows every field it was sent, in a response to be stored.
fn mirror() -> Recorder {
    Recorder::start(|request| {
        let fields: String = request.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        answer("200 OK", &[FRESH], request, &format!("{}\n{fields}", echo(request))).into()
    })
}

fn pop(recorder: &Recorder) -> Pop {
    Pop::start(&site("a.test", &recorder.origin))
}

/// After the attack the plain request for the same target gets a good answer.
#[track_caller]
fn check_plain(pop: &Pop, name: &str, target: &str) -> Response {
    let plain = pop.get(target);
    assert_eq!(plain.status, 200, "{name}: {plain:?}");
    assert!(!plain.text().contains("evil"), "{name}: {}", plain.text());
    plain
}

#[test]
fn fields_that_speak_for_the_host_the_address_the_path_or_the_method_are_not_sent_on() {
    let recorder = mirror();
    let pop = pop(&recorder);
    #[rustfmt::skip]
    let names = [
        "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Port",
        "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded",
        "Forwarded", "Forwarded-For", "X-Host", "X-Original-Host", "X-HTTP-Host-Override", "X-Original-URL", "X-Original-URI",
        "X-Rewrite-URL", "X-Override-URL", "X-Request-URI", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override",
        "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "Client-IP", "X-Originating-IP", "X-Remote-IP",
        "X-Remote-Addr", "CF-Connecting-IP", "Fastly-Client-IP", "X-Scheme", "X-URL-Scheme", "Front-End-Https", "Proxy",
        "Proxy-Authorization", "X_Forwarded_Host", "x_original_url", "HTTP2-Settings", "Upgrade", "TE", "Max-Forwards",
        "X-Forward-For", "X-Original-Forwarded-For", "X-True-IP", "X-ProxyUser-IP", "X-Custom-IP-Authorization", "Proxy-Client-IP",
        "WL-Proxy-Client-IP", "Cluster-Client-IP", "X-Envoy-External-Address", "X-Azure-ClientIP", "X-Remote-Host", "Client-Cert",
        "Client-Cert-Chain", "SSL_Client_Verify", "X-SSL-Client-Cert", "X-Client-Cert", "X-Host-Override", "Host-Override",
        "X-Backend-Host", "X-Proxy-Host", "X-Server-Name", "Proxy-Host", "X-Proto", "X-Arr-SSL", "X-Original-Path", "X-URI", "X-URL",
        "X-Proxy-URL", "X-Envoy-Original-Path", "Base-Url", "Http-Url", "Proxy-Url", "Request-Uri", "X-Middleware-Subrequest",
        "X-Forward", "X-Forwarder-For", "X-Originally-Forwarded-For", "X-Original-Remote-Addr", "Real-IP", "X-Azure-SocketIP",
        "CF-Connecting_IP", "CF-Pseudo-IPv4", "CF-Visitor", "CloudFront-Viewer-Address", "CloudFront-Forwarded-Proto",
        "Fly-Client-IP", "Fly-Forwarded-Proto", "Fastly-SSL", "Forwarded-Host", "Forwarded-For-Ip", "X-Envoy-Original-Dst-Host",
        "X-Original-Scheme", "X-Original-Proto", "X-Original-Method", "X-HTTP-DestinationURL", "X-Sendfile-Type", "X-Accel-Mapping",
        "X-Real-Host", "Forwarded-Proto", "Forwarded-Server", "X-HTTP-Path-Override", "X-Matched-Path",
        "X-Now-Route-Matches", "X-Invoke-Path", "X-Invoke-Query", "X-Invoke-Status", "X-Middleware-Invoke",
    ];
    for (number, name) in names.iter().enumerate() {
        let target = format!("/{number}");
        let attacked = pop.get_with(&target, &[&format!("{name}: evil")]);
        assert!(!attacked.text().contains("evil"), "{name}: {}", attacked.text());
        check_plain(&pop, name, &target);
        // Listing it in Connection changes nothing, nor does another spelling.
        let target = format!("/listed/{number}");
        let lines = [format!("Connection: {name}"), format!("{}: evil", name.to_uppercase())];
        pop.get_with(&target, &lines.each_ref().map(String::as_str));
        check_plain(&pop, name, &target);
    }
    recorder.check("mirror");
}

#[test]
fn a_host_reaches_the_origin_in_one_spelling() {
    let recorder = mirror();
    let pop = pop(&recorder);
    let hosts =
        ["A.TEST", "a.Test:81", "a.test:", "a.test:0", "a.test:65535", "a.test.", "A.test.:8080", "a.test:1337"];
    for (number, host) in hosts.iter().enumerate() {
        let (path, absolute) = (format!("/{number}"), format!("/absolute/{number}"));
        for (target, sent) in [(&path, path.clone()), (&absolute, format!("http://{host}{absolute}"))] {
            let name = format!("{host}: {sent}");
            let mut client = pop.client();
            client.send(format!("GET {sent} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let first = client.response();
            let second = check_plain(&pop, &name, target);
            assert!(is_hit(&second), "{name}");
            assert_eq!(first.text(), second.text(), "{name}");
        }
    }
    for request in recorder.requests() {
        assert_eq!(request.values("host"), ["a.test"]);
        assert_eq!(request.values("x-forwarded-host"), ["a.test"]);
        assert_eq!(request.values("forwarded"), ["for=127.0.0.1;host=\"a.test\";proto=http"]);
    }
}

/// Fails with the status where the request has the field, in a response that says how long it is to be stored.
fn provoked(status: &'static str, field: &'static str) -> Recorder {
    Recorder::start(move |request| {
        let is_met = if field.is_empty() { true } else { !request.values(field).is_empty() };
        let status = if is_met { status } else { "200 OK" };
        answer(status, &[FRESH, "Location: /elsewhere"], request, &echo(request)).into()
    })
}

#[test]
fn an_error_that_a_field_provoked_is_not_stored_for_others() {
    for status in
        ["400", "401", "403", "404", "405", "406", "408", "410", "413", "414", "415", "417", "421", "422", "425"]
            .iter()
            .chain(&["426", "428", "429", "431", "451", "500", "501", "502", "503", "504", "505", "511", "599"])
    {
        let recorder = provoked(format!("{status} x").leak(), "x-attack");
        let pop = pop(&recorder);
        for round in 0..2 {
            let attacked = pop.get_with("/", &["X-Attack: 1"]);
            assert!(round == 1 || attacked.status.to_string() == **status, "{status}: {attacked:?}");
            assert!(!is_stored(&attacked), "{status}: {attacked:?}");
            check_plain(&pop, status, "/");
        }
    }
}

#[test]
fn an_error_that_any_client_gets_is_stored_as_long_as_errors_may_be() {
    for (status, fields, is_kept) in [
        ("400 x", &["User-Agent: a", "Accept: */*"][..], true),
        ("500 x", &["Sec-Fetch-Mode: cors", "Referer: http://a.test/"], true),
        ("404 x", &["Cookie: a=b"], true),
        ("403 x", &["Cookie: a=b"], false),
        ("500 x", &["X-Api-Version: 2"], false),
        ("500 x", &["Api-Version: 2"], true),
        ("400 x", &["Content-Type: invalid"], false),
        ("415 x", &["Content-Encoding: x"], false),
        ("400 x", &["Content-Length: 0"], true),
    ] {
        let recorder = provoked(status, "");
        let pop = pop(&recorder);
        assert_eq!(is_stored(&pop.get_with("/", fields)), is_kept, "{status} {fields:?}");
        assert_eq!(is_hit(&pop.get_with("/", fields)), is_kept, "{status} {fields:?}");
    }
}

#[test]
fn a_redirect_to_itself_is_not_stored() {
    for (number, location, is_kept, is_kept_shared) in [
        (0, "SELF", false, false),
        (1, "http://a.test{}", false, false),
        (2, "http://A.test:80{}#x", false, false),
        (3, "//a.test{}", false, false),
        (4, "https://a.test{}", true, false),
        (5, "https://b.test{}", true, true),
        (6, "/elsewhere", true, true),
        (7, "?", true, true),
    ] {
        let target = format!("/{number}");
        let location = location.replace("{}", &target);
        let recorder = Recorder::start(move |request| {
            let line = format!("Location: {}", location.replace("SELF", &request.target));
            answer("301 x", &[FRESH, &line], request, &echo(request)).into()
        });
        for (lines, is_kept) in [("", is_kept), ("share_schemes = true", is_kept_shared)] {
            let pop = Pop::start(&site_with("a.test", &recorder.origin, lines, ""));
            for host in ["a.test:0", "a.test:8080", "a.test.", "a.test"] {
                let mut client = pop.client();
                client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
                assert_eq!(client.response().status, 301);
                assert_eq!(is_hit(&pop.get(&target)), is_kept, "{number} {lines} {host}");
            }
        }
    }
}

#[test]
fn a_redirect_that_a_switch_provoked_is_not_stored_for_others() {
    for status in ["301 x", "302 x", "303 x", "307 x", "308 x"] {
        let recorder = provoked(status, "x-attack");
        let pop = pop(&recorder);
        let attacked = pop.get_with("/", &["X-Attack: 1"]);
        assert_eq!(
            (attacked.status.to_string(), is_stored(&attacked)),
            (status[..3].to_owned(), false),
            "{attacked:?}"
        );
        check_plain(&pop, status, "/");
        // One that everybody gets is.
        let recorder = provoked(status, "");
        let pop = Pop::start(&site("a.test", &recorder.origin));
        assert!(is_stored(&pop.get_with("/", &["User-Agent: a"])), "{status}");
    }
}

#[test]
fn an_operators_lifetime_for_a_status_is_kept_whatever_was_sent() {
    let recorder = provoked("503 x", "");
    let pop = Pop::start(&site_with(
        "a.test",
        &recorder.origin,
        "[site.cache]\nprecedence = \"rule\"\nstatus = { 503 = \"5s\" }",
        "",
    ));
    pop.get_with("/", &["X-Attack: 1"]);
    assert!(is_hit(&pop.get("/")));
}

#[test]
fn an_error_of_a_large_head_is_not_stored_for_others() {
    // An origin with less room for heads than we have.
    let recorder = Recorder::start(|request| {
        let size: usize = request.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        let status = if size > 8000 { "431 x" } else { "200 OK" };
        answer(status, &[FRESH], request, &echo(request)).into()
    });
    let pop = pop(&recorder);
    for (number, name) in ["Cookie", "User-Agent", "Accept", "Referer", "Sec-X", "X-Oversized"].iter().enumerate() {
        let target = format!("/{number}");
        let attacked = pop.get_with(&target, &[&format!("{name}: {}", "x".repeat(9000))]);
        assert_eq!(attacked.status, 431, "{name}");
        check_plain(&pop, name, &target);
    }
}

#[test]
fn a_body_a_range_or_a_condition_is_no_part_of_what_is_stored() {
    let recorder = Recorder::start(|request| match request.fields.iter().find(|(name, _)| is_of_one(name)) {
        Some((name, _)) if name == "range" => {
            answer("206 x", &[FRESH, "Content-Range: bytes 0-3/100"], request, "evil").into()
        }
        Some((name, _)) if name == "if-match" || name == "if-unmodified-since" => {
            answer("412 x", &[FRESH], request, "evil").into()
        }
        Some(_) => Answer::from(b"HTTP/1.1 304 x\r\nCache-Control: max-age=600\r\nETag: \"evil\"\r\n\r\n".to_vec()),
        None => answer("200 OK", &[FRESH, "ETag: \"a\""], request, &echo(request)).into(),
    });
    let pop = pop(&recorder);
    #[rustfmt::skip]
    let lines = [
        "Range: bytes=0-3", "Range: bytes=0-0,2-3", "Range: bytes=999-", "Range: bytes=3-0", "Range: evil", "Range: bytes=-0",
        "Range: bytes=0-3\r\nIf-Range: \"a\"", "Range: bytes=99999999999999999999-", "If-Match: \"evil\"", "If-Match: *",
        "If-None-Match: \"evil\"", "If-None-Match: *", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "If-Range: \"evil\"", "If-Modified-Since: evil",
    ];
    for (number, line) in lines.iter().enumerate() {
        let target = format!("/{number}");
        pop.get_with(&target, &[line]);
        let plain = check_plain(&pop, line, &target);
        assert_eq!(plain.text(), format!("GET {target} a.test "), "{line}");
    }
    // A body on a GET is nobody else's either.
    let mut client = pop.client();
    client.send("GET /fat HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nevil");
    assert!(client.response().text().ends_with("evil"));
    assert!(!is_hit(&check_plain(&pop, "a body", "/fat")));
}

fn is_of_one(name: &str) -> bool {
    name == "range" || name.starts_with("if-")
}

/// What a request lists in Connection never reaches the origin, so the answer is that of a request without it.
#[test]
fn what_connection_lists_chooses_nothing_and_is_no_part_of_the_key() {
    let recorder = Recorder::start(|request| {
        let vary: &[&str] = if request.target.starts_with("/vary") { &[FRESH, "Vary: X-Lang"] } else { &[FRESH] };
        answer("200 OK", vary, request, &request.values("x-lang").join("|")).into()
    });
    let rules = "[site.cache]\nkey_headers = [\"X-Lang\"]\n[[site.rule]]\nheader = \"X-Shared\"\nbypass = false\n\
                 [[site.rule]]\npath = \"/mine/\"\nbypass = true";
    let keyed = Pop::start(&site_with("a.test", &recorder.origin, rules, ""));
    let plain = pop(&recorder);
    let lists = ["X-Lang", "close, x-lang", "a=\"b, X-Lang, c\"", "\"b, X-Lang, c\"", "x-lang\r\nConnection: close"];
    for (number, list) in lists.iter().enumerate() {
        for (pop, target) in [(&keyed, format!("/keyed/{number}")), (&plain, format!("/vary/{number}"))] {
            let attacked = pop.get_with(&target, &["X-Lang: evil", &format!("Connection: {list}")]);
            assert_eq!(attacked.text(), "", "{list}");
            let asked = pop.get_with(&target, &["X-Lang: evil"]);
            assert_eq!((asked.text().as_str(), is_hit(&asked)), ("evil", false), "{target} {list}");
            let plain = pop.get(&target);
            assert_eq!((plain.text().as_str(), is_hit(&plain)), ("", true), "{target} {list}");
        }
    }
    assert!(is_stored(&keyed.get_with("/mine/a", &["X-Shared: 1"])));
    assert!(!is_stored(&keyed.get_with("/mine/b", &["X-Shared: 1", "Connection: X-Shared"])));
}

/// Of a condition or range that is said twice nobody knows which counts, so none does (RFC 9110 §13.1.3, §13.1.4, §14.2).
#[test]
fn a_condition_or_range_that_is_said_twice_does_not_count() {
    let modified = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
    let recorder = Recorder::start(move |request| {
        answer("200 OK", &[FRESH, "ETag: \"a\"", modified], request, "0123456789").into()
    });
    let pop = pop(&recorder);
    let (old, new) = ("Sat, 05 Nov 1994 08:49:37 GMT", "Sat, 01 Jan 2050 00:00:00 GMT");
    pop.get("/");
    for (fields, status) in [
        (vec![format!("If-Modified-Since: {new}")], 304),
        (vec![format!("If-Modified-Since: {old}"), format!("If-Modified-Since: {new}")], 200),
        (vec![format!("If-Modified-Since: {new}"), format!("if-modified-since: {new}")], 200),
        (vec![format!("If-Unmodified-Since: {old}")], 412),
        (vec![format!("If-Unmodified-Since: {new}"), format!("If-Unmodified-Since: {old}")], 200),
        (vec!["Range: bytes=0-0".to_owned()], 206),
        (vec!["Range: bytes=0-0".to_owned(), "Range: bytes=1-1".to_owned()], 200),
        (vec!["Range: bytes=0-0".to_owned(), "If-Range: \"a\"".to_owned()], 206),
        (vec!["Range: bytes=0-0".to_owned(), "If-Range: \"a\"".to_owned(), "If-Range: \"b\"".to_owned()], 200),
    ] {
        let response = pop.get_with("/", &fields.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((response.status, is_hit(&response)), (status, true), "{fields:?}: {response:?}");
    }
}

#[test]
fn methods_that_are_no_get_leave_nothing_for_one() {
    let recorder = Recorder::echoing();
    let pop = pop(&recorder);
    for method in ["POST", "OPTIONS", "PUT", "DELETE", "PATCH", "get", "GETX", "HEAD", "PROPFIND", "PURGE"] {
        let target = format!("/{method}");
        pop.ask(method, &target, &[]);
        assert_eq!(check_plain(&pop, method, &target).text(), format!("GET {target} a.test "), "{method}");
        assert_eq!(pop.ask(method, &target, &[]).status, 200, "{method}");
        assert!(check_plain(&pop, method, &target).text().starts_with("GET "), "{method}");
    }
}

#[test]
fn targets_that_some_would_take_for_one_are_stored_apart() {
    let recorder = Recorder::echoing();
    let pop = pop(&recorder);
    #[rustfmt::skip]
    let targets = [
        "/a", "/A", "/a/", "//a", "/./a", "/a/.", "/b/../a", "/%61", "/a?", "/a??", "/a%3F", "/a%3f", "/a%23", "/a;", "/a;x",
        "/a%2F", "/a%2f", "/a%5c", "/a%00", "/a%0a", "/a%20", "/a+", "/a%", "/a&", "/a?x=1&y=2", "/a?y=2&x=1", "/a?x=1;y=2",
        "/a?x=1&x=2", "/a?x=2&x=1", "/a?X=1", "/a?x=%31", "/a?x=1&", "/a?utm_source=1", "/a.css", "/a/.css", "/a%2e%2e/b",
    ];
    for target in targets {
        assert_eq!(pop.get(target).text(), format!("GET {target} a.test "));
    }
    for target in targets {
        let again = pop.get(target);
        assert_eq!((again.text(), is_hit(&again)), (format!("GET {target} a.test "), true), "{target}");
    }
    let long = format!("/{}", "a".repeat(8000));
    for target in [format!("{long}1"), format!("{long}2")] {
        assert_eq!(pop.get(&target).text(), format!("GET {target} a.test "));
    }
}

#[test]
fn a_path_that_looks_like_a_file_makes_nothing_storable() {
    let recorder = Recorder::start(|request: &Whole| {
        let private = ["no-store", "private", "max-age=600, private", "no-cache=\"x\", no-store", "max-age=0"];
        let number = request.target.split('/').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
        let lines = [format!("Cache-Control: {}", private[number]), "Content-Type: text/css".to_owned()];
        answer("200 OK", &lines.each_ref().map(String::as_str), request, &echo(request)).into()
    });
    let pop = pop(&recorder);
    #[rustfmt::skip]
    let endings = [
        "/account/x.css", "/account%2fx.css", "/account;x.css", "/account%3bx.css", "/account%00.css", "/account%0a.css",
        "/account?x.css", "/account%3fx.css", "/account%23x.css", "/static/..%2faccount", "/static/%2e%2e/account",
        "/robots.txt/../account", "/account/.js", "/account~x.png", "/account,x.ico",
    ];
    for target in (0..5).flat_map(|number| endings.map(|ending| format!("/{number}{ending}"))) {
        assert!(!is_stored(&pop.get_with(&target, &["Cookie: who=me"])), "{target}");
        assert!(!is_hit(&pop.get(&target)), "{target}");
    }
    assert_eq!(pop.stats().stored, 0);
}

#[test]
fn ranges_of_what_is_stored_never_cost_more_than_the_whole() {
    let body = "0123456789".repeat(100);
    let sent = body.clone();
    let recorder = Recorder::start(move |request| answer("200 OK", &[FRESH], request, &sent).into());
    let pop = pop(&recorder);
    assert_eq!(pop.get("/").body.len(), 1000);
    #[rustfmt::skip]
    let ranges = [
        "0-,".repeat(2000), "0-0,".repeat(2000), "-1,".repeat(2000), "0-999,".repeat(100), (0..500).map(|n| format!("{}-{n},", n)).collect(),
        "0-18446744073709551615,0-".to_owned(), "5-,4-,3-,2-,1-,0-".to_owned(), "-99999999999999999999".to_owned(),
    ];
    for range in ranges {
        let mut client = pop.client();
        client.send(request("GET", "/", &[&format!("Range: bytes={}", range.trim_end_matches(','))]));
        let response = client.response();
        let name = &range[..range.len().min(40)];
        assert!(response.body.len() <= 1000 + 500, "{name}: {} bytes", response.body.len());
        assert!(matches!(response.status, 200 | 206 | 416), "{name}: {response:?}");
    }
    assert_eq!(recorder.requests().len(), 1);
    assert_eq!(pop.get("/").text(), body);
}

#[test]
fn values_that_vary_never_run_together() {
    let recorder = Recorder::start(|request| {
        let shown = format!("{}/{}", request.values("x-a").join(", "), request.values("x-b").join(", "));
        answer("200 OK", &[FRESH, "Vary: X-A, X-B"], request, &shown).into()
    });
    let pop = pop(&recorder);
    let rows: [(&[&str], &str); 11] = [
        (&["X-A: 1", "X-B: 2"], "1/2"),
        (&["X-A: 12"], "12/"),
        (&["X-B: 12"], "/12"),
        (&["X-A: 1\t2"], "1\t2/"),
        (&["X-A: 1", "X-A: 2"], "1, 2/"),
        (&["X-A: 1,2", "X-B: 1"], "1,2/1"),
        (&["X-A:", "X-B: 1"], "/1"),
        (&["X-A: \"1", "X-B: 2\""], "\"1/2\""),
        (&["X-A: 1/2"], "1/2/"),
        (&["X-A: 1", "X-B: 2, X-A: 3"], "1/2, X-A: 3"),
        (&[], "/"),
    ];
    for _ in 0..2 {
        for (lines, shown) in rows {
            assert_eq!(pop.get_with("/", lines).text(), shown, "{lines:?}");
        }
    }
}

#[test]
fn what_connection_takes_away_chooses_no_variant() {
    for name in ["X-A", "Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Origin", "Sec-CH-UA"] {
        let lower = name.to_ascii_lowercase();
        let vary = format!("Vary: {name}");
        let recorder = Recorder::start(move |request| {
            let shown = format!("given {}", request.values(&lower).join("|"));
            answer("200 OK", &[FRESH, &vary], request, &shown).into()
        });
        let pop = pop(&recorder);
        let field = format!("{name}: one");
        for listed in [format!("Connection: {name}"), format!("Connection: close, {}", name.to_lowercase())] {
            assert_eq!(pop.get_with("/", &[&listed, &field]).text(), "given ", "{name}");
        }
        assert_eq!(pop.get_with("/", &[&field]).text(), "given one", "{name}");
        assert_eq!(pop.get("/").text(), "given ", "{name}");
        // Both are stored by now.
        assert!(is_hit(&pop.get_with("/", &[&field])) && is_hit(&pop.get("/")), "{name}");
    }
}

#[test]
fn an_error_that_a_field_provoked_leaves_coalescing_as_it_was() {
    let gate = Gate::new();
    let hold = gate.clone();
    let recorder = Recorder::start(move |request| {
        let is_met = !request.values("x-attack").is_empty();
        if !is_met {
            hold.wait();
        }
        answer(if is_met { "400 x" } else { "200 OK" }, &[FRESH], request, &echo(request)).into()
    });
    let pop = pop(&recorder);
    assert_eq!(pop.get_with("/", &["X-Attack: 1"]).status, 400);
    let mut clients: Vec<_> = (0..10).map(|_| pop.client()).collect();
    clients.iter_mut().for_each(|client| client.send(request("GET", "/", &[])));
    gate.wait_for_arrivals(1);
    gate.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    assert_eq!(recorder.requests().len(), 2);
}
