//! Every way in which an origin can fail, as the client of a whole POP sees it: status, cause, phase, page, and the cure.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use support::pop::{cache_status, is_hit, is_stored, site_at, site_with, trust};
use support::{Certificates, Client, Gate, Leaf, Origin, OriginTls, Pop, Reply, Response};

/// The answer names this error and phase, carries a request id on head and page alike, and is not to be stored.
#[track_caller]
fn check(response: &Response, status: u16, error: &str, phase: &str) {
    let cause = response.field("proxy-status").unwrap_or_else(|| panic!("no Proxy-Status in {response:?}"));
    assert!(cause.starts_with(&format!("millpond; error={error}; phase={phase}")), "{cause}");
    assert_eq!(response.status, status, "{cause}");
    assert_eq!(response.field("cache-control"), Some("no-store"));
    let page = response.text();
    for part in [error, phase, response.field("x-request-id").unwrap()] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains(".."), "two full stops in {page}");
}

/// GET through a new POP for the site `a.test`, with these lines in `[site.origin]`.
#[track_caller]
fn ask(origin: &Origin, of_origin: &str) -> Response {
    Pop::start(&site_with("a.test", origin, "", of_origin)).get("/x")
}

fn https(certificates: &Certificates) -> String {
    format!("protocol = \"https\"\n{}", trust(certificates))
}

/// Reads what comes at least once, then goes.
fn answer_raw(bytes: &'static [u8]) -> Origin {
    Origin::raw(move |mut socket, _| {
        _ = socket.read(&mut [0; 4096]);
        _ = socket.write_all(bytes);
        _ = socket.shutdown(std::net::Shutdown::Write);
        _ = std::io::copy(&mut socket, &mut std::io::sink());
    })
}

/// A port of the loopback address that nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn an_origin_that_refuses_connections() {
    let server = format!("127.0.0.1:{}", closed_port());
    let response = Pop::start(&site_at("a.test", &server, "", "")).get("/x");
    check(&response, 502, "connection_refused", "connect");
    assert!(response.text().contains(&server), "the address is for local clients: {}", response.text());
    assert!(cache_status(&response).contains("fwd=uri-miss"), "{response:?}");
}

#[test]
fn an_origin_whose_name_does_not_exist() {
    let timeouts = "timeouts = { resolve = \"2s\" }";
    let response = Pop::start(&site_at("a.test", "no-such-origin.invalid", "", timeouts)).get("/x");
    // Where no name server answers at all, the same question ends in a timeout.
    let is_timeout = response.status == 504;
    check(
        &response,
        if is_timeout { 504 } else { 502 },
        if is_timeout { "dns_timeout" } else { "dns_error" },
        "resolve",
    );
    assert!(response.text().contains("no-such-origin.invalid"), "{}", response.text());
}

#[test]
fn a_certificate_for_another_name_and_its_cure() {
    let certificates = Certificates::new();
    let origin = Origin::tls(OriginTls::new(&certificates.identity(&["node7.origin.test"])), |_| Reply::ok("content"));
    let response = ask(&origin, &https(&certificates));
    check(&response, 502, "tls_certificate_error", "tls-handshake");
    for word in ["node7.origin.test", "a.test", "common_name_whitelist"] {
        assert!(response.text().contains(word), "{word} is not in {}", response.text());
    }
    for entry in ["node7.origin.test", "*.origin.test"] {
        let cured = format!("{}common_name_whitelist = [\"{entry}\"]", https(&certificates));
        assert_eq!(ask(&origin, &cured).text(), "content", "{entry}");
    }
    let sni = format!("{}sni = \"node7.origin.test\"", https(&certificates));
    assert_eq!(ask(&origin, &sni).text(), "content");
    for entry in ["node8.origin.test", "*.other.test", "origin.test"] {
        let other = format!("{}common_name_whitelist = [\"{entry}\"]", https(&certificates));
        check(&ask(&origin, &other), 502, "tls_certificate_error", "tls-handshake");
    }
    assert!(origin.requests().iter().all(|request| request.sni.is_some()));
}

#[test]
fn certificates_that_no_whitelist_rescues() {
    let certificates = Certificates::new();
    let names = || Leaf::names(&["a.test"]);
    let rows = [
        ("expired", names().expired(), "expired"),
        ("early", names().not_yet_valid(), "not valid"),
        ("self", names().self_signed(), ""),
        ("gap", names().without_its_intermediate(), ""),
        ("purpose", names().for_clients_only(), ""),
    ];
    for (file, leaf, word) in rows {
        let origin = Origin::tls(OriginTls::new(&certificates.issue(file, &leaf)), |_| Reply::ok("content"));
        let lines = format!("{}common_name_whitelist = [\"a.test\"]", https(&certificates));
        let response = ask(&origin, &lines);
        check(&response, 502, "tls_certificate_error", "tls-handshake");
        assert!(response.text().contains(word), "{file}: {}", response.text());
        assert_eq!(origin.count(), 0, "{file}");
    }
    let origin = Origin::tls(OriginTls::new(&Certificates::new().identity(&["a.test"])), |_| Reply::ok("content"));
    check(&ask(&origin, &https(&certificates)), 502, "tls_certificate_error", "tls-handshake");
}

#[test]
fn a_pinned_certificate_is_accepted_whatever_else_is_wrong_with_it() {
    let certificates = Certificates::new();
    let identity = certificates.issue("pinned", &Leaf::names(&["other.test"]).expired().self_signed());
    let origin = Origin::tls(OriginTls::new(&identity), |_| Reply::ok("content"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest = hex(ring::digest::digest(&ring::digest::SHA256, &identity.leaf()).as_ref());
    assert_eq!(ask(&origin, &format!("protocol = \"https\"\npin = [\"sha256:{digest}\"]")).text(), "content");
    let wrong = hex(&[7; 32]);
    check(
        &ask(&origin, &format!("protocol = \"https\"\npin = [\"sha256:{wrong}\"]")),
        502,
        "tls_certificate_error",
        "tls-handshake",
    );
}

#[test]
fn certificate_names_decides_which_names_count() {
    let certificates = Certificates::new();
    let common = certificates.issue("cn", &Leaf::common_name_only("a.test"));
    let alternative = certificates.issue("san", &Leaf::names(&["a.test"]).common_name("b.test"));
    for (identity, mode, is_accepted) in [
        (&common, "san-or-cn", true),
        (&common, "san", false),
        (&common, "cn", true),
        (&alternative, "san-or-cn", true),
        (&alternative, "san", true),
        (&alternative, "cn", false),
    ] {
        let origin = Origin::tls(OriginTls::new(identity), |_| Reply::ok("content"));
        let response = ask(&origin, &format!("{}certificate_names = \"{mode}\"", https(&certificates)));
        assert_eq!(response.status, if is_accepted { 200 } else { 502 }, "{mode}: {}", response.text());
    }
}

#[test]
fn an_intermediate_that_the_origin_sends_completes_the_chain() {
    let certificates = Certificates::new();
    let identity = certificates.issue("chain", &Leaf::names(&["a.test"]).by_intermediate());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let origin = Origin::tls(OriginTls::new(&identity).versions(&[version]), |_| Reply::ok("content"));
        assert_eq!(ask(&origin, &https(&certificates)).text(), "content");
    }
}

#[test]
fn plain_http_on_the_tls_port() {
    let origin = answer_raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    let response = ask(&origin, "protocol = \"https\"");
    check(&response, 502, "tls_protocol_error", "tls-handshake");
    assert!(response.text().contains("protocol = \"http\""), "{}", response.text());
}

#[test]
fn garbage_on_the_tls_port() {
    check(
        &ask(&answer_raw(b"220 mail.test ESMTP\r\n"), "protocol = \"https\""),
        502,
        "tls_protocol_error",
        "tls-handshake",
    );
}

#[test]
fn tls_on_the_plain_port() {
    let certificates = Certificates::new();
    let origin = Origin::tls(OriginTls::new(&certificates.identity(&["a.test"])), |_| Reply::ok("content"));
    // No protocol policy and a port that is not 443: plain HTTP, the port trap.
    for lines in ["", "protocol = \"http\""] {
        let response = ask(&origin, lines);
        check(&response, 502, "http_protocol_error", "response-head");
        assert!(response.text().contains("protocol = \"https\""), "{}", response.text());
    }
}

#[test]
fn the_page_of_a_server_that_was_asked_in_plain_http_on_its_tls_port_is_not_passed_for_content() {
    let origin = Origin::plain(|_| {
        let page = "<title>400 The plain HTTP request was sent to HTTPS port</title>";
        Reply::response("400 Bad Request", &["Server: nginx", "Content-Type: text/html"], page).close()
    });
    let response = ask(&origin, "");
    check(&response, 502, "http_protocol_error", "response-head");
}

#[test]
fn an_alert_from_an_origin_that_does_not_know_the_name() {
    let certificates = Certificates::new();
    let tls = || OriginTls::strict().with(&["inner.test"], &certificates.identity(&["inner.test"]));
    let origin = Origin::tls(tls(), |_| Reply::ok("content"));
    let response = ask(&origin, &https(&certificates));
    check(&response, 502, "tls_alert_received", "tls-handshake");
    assert!(response.field("proxy-status").unwrap().contains("alert-id="), "{response:?}");
    let cured = ask(&origin, &format!("{}sni = \"inner.test\"", https(&certificates)));
    assert_eq!(cured.text(), "content");
    assert_eq!(origin.asked_names(), [Some("a.test".to_owned()), Some("inner.test".to_owned())]);
}

#[test]
fn an_origin_that_speaks_another_protocol_in_tls_only() {
    let certificates = Certificates::new();
    let tls = OriginTls::new(&certificates.identity(&["a.test"])).alpn(&["h2"]);
    let origin = Origin::tls(tls, |_| Reply::ok("content"));
    let response = ask(&origin, &https(&certificates));
    check(&response, 502, "tls_alert_received", "tls-handshake");
}

#[test]
fn an_origin_that_demands_a_client_certificate() {
    let certificates = Certificates::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let tls = OriginTls::new(&certificates.identity(&["a.test"])).versions(&[version]);
        let origin = Origin::tls(tls.demand_client_certificate(certificates.roots()), |_| Reply::ok("content"));
        let response = ask(&origin, &https(&certificates));
        // TLS 1.3 tells only after the handshake that it wants one.
        let phase = response.field("proxy-status").unwrap().split("phase=").nth(1).unwrap().split(';').next().unwrap();
        assert!(["tls-handshake", "send-request", "response-head"].contains(&phase), "{phase}");
        check(&response, 502, "tls_alert_received", phase);
    }
}

#[test]
fn silence_and_sudden_ends_in_the_handshake() {
    let gate = Gate::new();
    let held = gate.clone();
    let silent = Origin::raw(move |_, _| held.wait());
    let response = ask(&silent, "protocol = \"https\"\ntimeouts = { tls_handshake = \"200ms\" }");
    check(&response, 504, "connection_timeout", "tls-handshake");
    gate.open();
    check(&ask(&answer_raw(b""), "protocol = \"https\""), 502, "connection_terminated", "tls-handshake");
    let resetting = Origin::raw(|mut socket, _| {
        _ = socket.read(&mut [0; 16]);
        _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
    });
    check(&ask(&resetting, "protocol = \"https\""), 502, "connection_terminated", "tls-handshake");
}

#[test]
fn an_origin_that_takes_the_request_and_says_nothing() {
    check(&ask(&Origin::plain(|_| Reply::nothing().close()), ""), 502, "connection_terminated", "response-head");
    check(&ask(&Origin::plain(|_| Reply::nothing().reset()), ""), 502, "connection_terminated", "response-head");
    let gate = Gate::new();
    let held = gate.clone();
    let silent = Origin::plain(move |_| Reply::nothing().wait(&held));
    let response = ask(&silent, "timeouts = { first_byte = \"200ms\" }");
    check(&response, 504, "http_response_timeout", "response-head");
    gate.open();
}

#[test]
fn a_head_that_stops_in_the_middle() {
    let begun = "HTTP/1.1 200 OK\r\nX-Be";
    check(
        &ask(&Origin::plain(move |_| Reply::bytes(begun).close()), ""),
        502,
        "http_response_incomplete",
        "response-head",
    );
    let gate = Gate::new();
    let held = gate.clone();
    let slow = Origin::plain(move |_| Reply::bytes(begun).wait(&held));
    let response = ask(&slow, "timeouts = { first_byte = \"200ms\", between_bytes = \"200ms\", head = \"400ms\" }");
    check(&response, 504, "http_response_timeout", "response-head");
    gate.open();
}

#[test]
fn no_route_to_the_origin_is_not_a_refusal() {
    // A name's dot-one in a network for documentation; where a route exists, nobody answers within the time.
    let timeouts = "timeouts = { connect = \"200ms\" }";
    let response = Pop::start(&site_at("a.test", "192.0.2.1:9", "", timeouts)).get("/x");
    match response.status {
        504 => check(&response, 504, "connection_timeout", "connect"),
        _ => {
            let cause = response.field("proxy-status").unwrap();
            assert!(cause.contains("phase=connect"), "{cause}");
        }
    }
}

#[test]
fn the_page_comes_in_the_form_that_the_client_accepts() {
    let pop = Pop::start(&site_at("a.test", &format!("127.0.0.1:{}", closed_port()), "", ""));
    let rows = [
        ("Accept: text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8", "<!doctype html>"),
        ("Accept: application/json", "application/json", "{\"status\":502,"),
        ("Accept: text/plain", "text/plain; charset=utf-8", "502 Bad Gateway\n"),
        ("X-None: x", "text/plain; charset=utf-8", "502 Bad Gateway\n"),
    ];
    for (field, media_type, start) in rows {
        let response = pop.get_with("/x", &[field]);
        check(&response, 502, "connection_refused", "connect");
        assert_eq!(response.field("content-type"), Some(media_type), "{field}");
        assert!(response.text().starts_with(start), "{}", response.text());
    }
    let head = pop.ask("HEAD", "/x", &[]);
    assert_eq!((head.status, head.body.len()), (502, 0));
    let ids: Vec<_> = (0..3).map(|_| pop.get("/x").field("x-request-id").unwrap().to_owned()).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
}

/// An address of this machine that is not the loopback one, if it has any.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing: it only chooses the address that would be used.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn details_are_for_local_clients_unless_the_site_exposes_them() {
    let Some(outer) = outer_address() else { return };
    let server = format!("127.0.0.1:{}", closed_port());
    for (line, is_exposed) in [("", false), ("expose_errors = true", true)] {
        let pop = Pop::listening("http = \"0.0.0.0:0\"", &site_at("a.test", &server, line, ""));
        let mut client = Client::plain(SocketAddr::new(outer, pop.address().port()));
        let response = client.get("a.test", "/x");
        check(&response, 502, "connection_refused", "connect");
        assert_eq!(response.text().contains(&server), is_exposed, "{}", response.text());
        assert_eq!(response.field("proxy-status").unwrap().contains(&server), is_exposed, "{response:?}");
    }
}

#[test]
fn stale_content_is_served_when_the_origin_fails_and_says_why() {
    type Failure = fn() -> Reply;
    let failing: [(&str, &str, Failure); 3] = [
        ("closed", "connection_terminated", || Reply::nothing().close()),
        ("garbage", "http_protocol_error", || Reply::bytes("HTTP/1.1 2x0\r\n\r\n").close()),
        ("cut", "http_response_incomplete", || Reply::bytes("HTTP/1.1 200 OK\r\nContent-").close()),
    ];
    for (name, error, fail) in failing {
        let is_sick = AtomicBool::new(false);
        let origin = Origin::plain(move |_| match is_sick.swap(true, Ordering::SeqCst) {
            false => Reply::response("200 OK", &["Cache-Control: max-age=0", "ETag: \"v1\""], "from before"),
            true => fail(),
        });
        let pop = Pop::of(&origin);
        assert!(is_stored(&pop.get("/x")), "{name}");
        for _ in 0..2 {
            let stale = pop.get("/x");
            assert_eq!((stale.status, stale.text().as_str()), (200, "from before"), "{name}");
            assert!(is_hit(&stale), "{name}: {stale:?}");
            assert!(stale.field("proxy-status").unwrap().contains(&format!("error={error}")), "{name}: {stale:?}");
        }
        assert_eq!(pop.get("/other").status, 502, "{name}");
    }
}

#[test]
fn stale_content_is_served_when_nobody_listens_any_more() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=0", "ETag: \"v1\""], "old"));
    let pop = Pop::of(&origin);
    pop.get("/x");
    drop(origin);
    let stale = pop.get("/x");
    assert_eq!((stale.status, stale.text().as_str()), (200, "old"));
    assert!(stale.field("proxy-status").unwrap().contains("error=connection_"), "{stale:?}");
}

#[test]
fn stale_content_that_must_be_validated_is_not_served_for_a_failure() {
    for directives in ["max-age=0, must-revalidate", "no-cache", "max-age=0, proxy-revalidate", "s-maxage=0"] {
        let field = format!("Cache-Control: {directives}");
        let origin = Origin::plain(move |_| Reply::response("200 OK", &[&field, "ETag: \"v1\""], "from before"));
        let pop = Pop::of(&origin);
        assert!(is_stored(&pop.get("/x")), "{directives}");
        drop(origin);
        assert_eq!(pop.get("/x").status, 502, "{directives}");
    }
}

#[test]
fn stale_if_error_covers_5xx_and_without_it_the_origins_answer_is_passed_on() {
    for (directives, is_covered) in [("max-age=0, stale-if-error=60", true), ("max-age=0", false)] {
        let (field, is_sick) = (format!("Cache-Control: {directives}"), AtomicBool::new(false));
        let origin = Origin::plain(move |_| match is_sick.swap(true, Ordering::SeqCst) {
            false => Reply::response("200 OK", &[&field, "ETag: \"v1\""], "from before"),
            true => Reply::response("503 Service Unavailable", &[], "sick"),
        });
        let pop = Pop::of(&origin);
        pop.get("/x");
        let expected = if is_covered { (200, "from before") } else { (503, "sick") };
        let response = pop.get("/x");
        assert_eq!((response.status, response.text().as_str()), expected, "{directives}");
    }
}

#[test]
fn an_origins_own_error_is_passed_on_as_it_is() {
    for status in ["404 Not Found", "500 Internal Server Error", "503 Service Unavailable", "599 Odd"] {
        let origin = Origin::plain(move |_| Reply::response(status, &["X-From: origin"], "its own words"));
        let response = ask(&origin, "");
        assert_eq!(format!("{}", response.status), status[..3]);
        assert_eq!((response.text().as_str(), response.field("x-from")), ("its own words", Some("origin")));
        assert_eq!(response.field("proxy-status"), None);
    }
}
