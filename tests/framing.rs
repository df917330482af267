//! Messages that are not what they should be: refused whole, on either side, and nothing of them goes further.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{is_stored, request, site};
use support::{Client, Gate, Origin, Pop, Reply};

const FRESH: &str = "Cache-Control: max-age=600";

/// A request that would be served, were it not for what is in front of it.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

type Row<'a> = (&'a str, Vec<u8>, u16);

fn row<'a>(name: &'a str, bytes: impl AsRef<[u8]>, status: u16) -> Row<'a> {
    (name, bytes.as_ref().to_vec(), status)
}

/// Every row is refused with its status, the connection is closed, and the origin sees nothing of it.
#[track_caller]
fn check(rows: &[Row<'_>]) {
    let origin = Origin::plain(|_| Reply::response("200 OK", &[FRESH], "served"));
    let pop = Pop::of(&origin);
    for (name, bytes, status) in rows {
        let mut client = pop.client();
        client.send(bytes);
        client.send(NEXT);
        let response = client.try_response("GET").unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(response.status, *status, "{name}");
        assert_eq!(response.field("connection"), Some("close"), "{name}");
        assert!(response.field("x-request-id").is_some(), "{name}: {response:?}");
        assert!(client.closed(), "{name}: something followed the refusal");
        let reached: Vec<_> = origin.requests().into_iter().map(|request| request.target).collect();
        assert!(reached.is_empty(), "{name}: {reached:?} reached the origin");
    }
}

/// A head with one more line, which ends as it says.
fn with_line(line: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{line}\r\n")
}

#[test]
fn lines_that_end_or_go_on_oddly_are_refused() {
    check(&[
        row("bare LF everywhere", "GET / HTTP/1.1\nHost: a.test\n\n", 400),
        row("bare LF after the request line", "GET / HTTP/1.1\nHost: a.test\r\n\r\n", 400),
        row("bare LF after a field", with_line("X: y\n"), 400),
        row("bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a.test\r\n\n", 400),
        row("bare CR in a value", with_line("X: y\rz\r\n"), 400),
        row("two CR before LF", with_line("X: y\r\r\n"), 400),
        row("a folded line", with_line("X: y\r\n z\r\n"), 400),
        row("a line folded by a tab", with_line("X: y\r\n\tz\r\n"), 400),
        row("a blank before the first field", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n", 400),
        row("two empty lines first", "\r\n\r\n", 400),
    ]);
}

#[test]
fn field_names_and_values_with_wrong_bytes_are_refused() {
    check(&[
        row("NUL in a value", with_line("X: a\0b\r\n"), 400),
        row("NUL in a name", with_line("X\0Y: a\r\n"), 400),
        row("DEL in a value", with_line("X: a\x7fb\r\n"), 400),
        row("a control byte in a value", with_line("X: a\x01b\r\n"), 400),
        row("a blank before the colon", with_line("X : a\r\n"), 400),
        row("a tab before the colon", with_line("X\t: a\r\n"), 400),
        row("a blank in a name", with_line("X Y: a\r\n"), 400),
        row("no name", with_line(": a\r\n"), 400),
        row("no colon", with_line("Xa\r\n"), 400),
        row("a name that is no token", with_line("X(): a\r\n"), 400),
        row("a blank before the colon of Transfer-Encoding", with_line("Transfer-Encoding : chunked\r\n"), 400),
        row("a blank before the colon of Content-Length", with_line("Content-Length : 5\r\n"), 400),
    ]);
}

#[test]
fn request_lines_that_are_none_are_refused() {
    let rest = "Host: a.test\r\n\r\n";
    check(&[
        row("two blanks", format!("GET  / HTTP/1.1\r\n{rest}"), 400),
        row("a tab", format!("GET\t/ HTTP/1.1\r\n{rest}"), 400),
        row("a blank in the target", format!("GET /a b HTTP/1.1\r\n{rest}"), 400),
        row("a blank at the end", format!("GET / HTTP/1.1 \r\n{rest}"), 400),
        row("a blank in front", format!(" GET / HTTP/1.1\r\n{rest}"), 400),
        row("no target", format!("GET HTTP/1.1\r\n{rest}"), 400),
        row("no version (HTTP/0.9)", "GET /\r\n\r\n", 400),
        row("a method that is no token", format!("G(T / HTTP/1.1\r\n{rest}"), 400),
        row("a raw byte beyond ASCII", b"GET /\xe9 HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        row("a fragment", format!("GET /#x HTTP/1.1\r\n{rest}"), 400),
        row("a control byte in the target", format!("GET /\x01 HTTP/1.1\r\n{rest}"), 400),
        row("another scheme", format!("GET ftp://a.test/ HTTP/1.1\r\n{rest}"), 400),
        row("user information", format!("GET http://u@a.test/ HTTP/1.1\r\n{rest}"), 400),
        row("a star for GET", format!("GET * HTTP/1.1\r\n{rest}"), 400),
        row("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ]);
}

#[test]
fn other_versions_and_tunnels_are_refused() {
    let rest = "Host: a.test\r\n\r\n";
    check(&[
        row("HTTP/1.2", format!("GET / HTTP/1.2\r\n{rest}"), 505),
        row("HTTP/2.0", format!("GET / HTTP/2.0\r\n{rest}"), 505),
        row("HTTP/0.9", format!("GET / HTTP/0.9\r\n{rest}"), 505),
        row("lower case", format!("GET / http/1.1\r\n{rest}"), 505),
        row("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        row("CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405),
        row("an expectation of another kind", with_line("Expect: 200-ok\r\n"), 417),
    ]);
}

#[test]
fn a_host_that_is_missing_doubled_or_malformed_is_refused() {
    let host = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n");
    check(&[
        row("none", host(""), 400),
        row("empty", host("Host:\r\n"), 400),
        row("two, alike", host("Host: a.test\r\nHost: a.test\r\n"), 400),
        row("two, different", host("Host: a.test\r\nhost: b.test\r\n"), 400),
        row("a list", host("Host: a.test, b.test\r\n"), 400),
        row("user information", host("Host: u:p@a.test\r\n"), 400),
        row("a path", host("Host: a.test/x\r\n"), 400),
        row("a port that is no number", host("Host: a.test:x\r\n"), 400),
        row("a port too large", host("Host: a.test:65536\r\n"), 400),
        row("an open bracket", host("Host: [::1\r\n"), 400),
        row("percent-encoding", host("Host: a%2etest\r\n"), 400),
        row("an empty label", host("Host: a..test\r\n"), 400),
        row("beyond ASCII", b"GET / HTTP/1.1\r\nHost: \xe4.test\r\n\r\n", 400),
        row("absolute target without a good one", "GET http:///x HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ]);
}

#[test]
fn lengths_and_codings_that_two_readers_could_take_differently_are_refused() {
    let head = |lines: &str| format!("POST / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n");
    check(&[
        row("both, length first", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400),
        row("both, coding first", head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n", 400),
        row("two lengths", head("Content-Length: 5\r\nContent-Length: 6\r\n") + "hello", 400),
        row("two lengths alike", head("Content-Length: 5\r\nContent-Length: 5\r\n") + "hello", 400),
        row("a list of lengths", head("Content-Length: 5, 5\r\n") + "hello", 400),
        row("a signed length", head("Content-Length: +5\r\n") + "hello", 400),
        row("a negative length", head("Content-Length: -5\r\n") + "hello", 400),
        row("a hexadecimal length", head("Content-Length: 0x5\r\n") + "hello", 400),
        row("an empty length", head("Content-Length: \r\n") + "hello", 400),
        row("a length past 64 bits", head("Content-Length: 18446744073709551621\r\n") + "hello", 400),
        row("a length with a word", head("Content-Length: 5 bytes\r\n") + "hello", 400),
        row("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        row("chunked twice", head("Transfer-Encoding: chunked, chunked\r\n") + "0\r\n\r\n", 400),
        row("chunked on two lines", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
        row("gzip before chunked", head("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n", 400),
        row("chunked with a parameter", head("Transfer-Encoding: chunked;q=1\r\n") + "0\r\n\r\n", 400),
        row("chunked with a vertical tab", head("Transfer-Encoding: \x0bchunked\r\n") + "0\r\n\r\n", 400),
        row("gzip alone", head("Transfer-Encoding: gzip\r\n"), 501),
        row("identity", head("Transfer-Encoding: identity\r\n"), 501),
        row("nearly chunked", head("Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n", 501),
    ]);
}

#[test]
fn chunks_that_are_not_framed_as_they_say_are_refused() {
    let body = |body: &str| format!("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    check(&[
        row("a size that is no number", body("zz\r\nhello\r\n0\r\n\r\n"), 400),
        row("a signed size", body("+5\r\nhello\r\n0\r\n\r\n"), 400),
        row("a negative size", body("-5\r\nhello\r\n0\r\n\r\n"), 400),
        row("a size with 0x", body("0x5\r\nhello\r\n0\r\n\r\n"), 400),
        row("no size", body("\r\nhello\r\n0\r\n\r\n"), 400),
        row("a blank before the size", body(" 5\r\nhello\r\n0\r\n\r\n"), 400),
        row("17 digits", body("00000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
        row("a size past 64 bits", body("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), 400),
        row("a bare LF behind the size", body("5\nhello\r\n0\r\n\r\n"), 400),
        row("a bare CR behind the size", body("5\rhello\r\n0\r\n\r\n"), 400),
        row("a chunk longer than its size", body("5\r\nhello!\r\n0\r\n\r\n"), 400),
        row("a chunk shorter than its size", body("6\r\nhello\r\n0\r\n\r\n"), 400),
        row("a bare LF behind the data", body("5\r\nhello\n0\r\n\r\n"), 400),
        row("an extension too long", body(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300))), 400),
        row("a bare LF in an extension", body("5;x\ny\r\nhello\r\n0\r\n\r\n"), 400),
        row("a trailer that is no field", body("5\r\nhello\r\n0\r\nX y\r\n\r\n"), 400),
        row("a folded trailer", body("5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"), 400),
        row("trailers too large", body(&format!("0\r\nX: {}\r\n\r\n", "x".repeat(10_000))), 400),
    ]);
}

#[test]
fn what_is_too_long_is_refused_and_the_limits_themselves_are_served() {
    let line = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "x".repeat(len - 14));
    let head = |len: usize| with_line(&format!("X: {}\r\n", "x".repeat(len - with_line("X: \r\n").len())));
    let fields = |count: usize| with_line(&"X: y\r\n".repeat(count - 1));
    check(&[
        row("a line over 16 KiB", line((16 << 10) + 1), 414),
        row("a line of 1 MB", line(1_000_000), 414),
        row("a head over 32 KiB", head((32 << 10) + 1), 431),
        row("101 fields", fields(101), 431),
        row("5,000 fields", fields(5000), 431),
        row("a method of 1,000 letters", format!("{} / HTTP/1.1\r\nHost: a.test\r\n\r\n", "X".repeat(1000)), 501),
    ]);
    let origin = Origin::plain(|_| Reply::response("200 OK", &[FRESH], "served"));
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    for bytes in [line(16 << 10), head(32 << 10), fields(100), format!("\r\n{}", request("GET", "/", &[]))] {
        client.send(bytes);
        assert_eq!(client.response().text(), "served");
    }
}

#[test]
fn the_answer_is_the_same_byte_by_byte() {
    let origin = Origin::plain(|_| Reply::ok("served"));
    let pop = Pop::of(&origin);
    let rows = [
        ("GET / HTTP/1.1\nHost: a.test\n\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a.test\r\nX : y\r\n\r\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        ("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello".to_owned(), 400),
    ];
    for (bytes, status) in rows {
        let mut client = pop.client();
        // Our writes may meet a connection that is closed already.
        bytes.bytes().for_each(|byte| client.send([byte]));
        assert_eq!(client.response().status, status, "{bytes:?}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn trace_is_refused_and_upgrade_is_not_offered() {
    let origin = Origin::plain(|_| Reply::ok("plain"));
    let pop = Pop::of(&origin);
    let refused = pop.ask("TRACE", "/", &[]);
    assert_eq!((refused.status, origin.count()), (405, 0));
    assert!(refused.field("allow").is_some());
    let fields = ["Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    assert_eq!(pop.get_with("/", &fields).text(), "plain");
    assert_eq!(origin.requests()[0].field("upgrade"), None);
}

#[test]
fn get_with_a_body_is_passed_and_nothing_of_it_becomes_a_request() {
    let origin = Origin::plain(|request| Reply::response("200 OK", &[FRESH], &request.body));
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{NEXT}", NEXT.len()));
    let response = client.response();
    assert_eq!((response.text().as_str(), is_stored(&response)), (NEXT, false));
    let targets: Vec<_> = origin.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/"]);
}

/// Each answer of the origin is refused with 502 and this error, twice, since it is never stored.
fn check_origin(rows: &[(&'static str, Vec<u8>, &str)]) {
    for (name, bytes, error) in rows {
        let sent = bytes.clone();
        let origin = Origin::plain(move |_| Reply::bytes(&sent).close());
        let pop = Pop::of(&origin);
        for round in 1..=2 {
            let response = pop.get("/x");
            assert_eq!(response.status, 502, "{name}: {response:?}");
            let cause = response.field("proxy-status").unwrap();
            assert!(cause.starts_with(&format!("millpond; error={error}; phase=response-head")), "{name}: {cause}");
            assert!(!response.text().contains("evil"), "{name}");
            assert_eq!(origin.count(), round, "{name}");
        }
        assert_eq!(pop.stats().stored, 0, "{name}");
    }
}

fn answer<'a>(name: &'static str, bytes: impl AsRef<[u8]>, error: &'a str) -> (&'static str, Vec<u8>, &'a str) {
    (name, bytes.as_ref().to_vec(), error)
}

#[test]
fn heads_of_the_origin_that_are_no_http_are_refused() {
    let rest = format!("{FRESH}\r\nContent-Length: 4\r\n\r\nevil");
    let with = |line: &str| format!("HTTP/1.1 200 OK\r\n{line}{rest}");
    let error = "http_protocol_error";
    check_origin(&[
        answer("no blank behind the version", format!("HTTP/1.1200 OK\r\n{rest}"), error),
        answer("no blank behind the status", format!("HTTP/1.1 200OK\r\n{rest}"), error),
        answer("two digits", format!("HTTP/1.1 20 OK\r\n{rest}"), error),
        answer("four digits", format!("HTTP/1.1 2000 OK\r\n{rest}"), error),
        answer("status 099", format!("HTTP/1.1 099 x\r\n{rest}"), error),
        answer("status 600", format!("HTTP/1.1 600 x\r\n{rest}"), error),
        answer("HTTP/2", format!("HTTP/2 200 OK\r\n{rest}"), error),
        answer("HTTP/1.2", format!("HTTP/1.2 200 OK\r\n{rest}"), error),
        answer("lower case", format!("http/1.1 200 OK\r\n{rest}"), error),
        answer("an empty line first", format!("\r\nHTTP/1.1 200 OK\r\n{rest}"), error),
        answer("garbage", "SSH-2.0-OpenSSH_9.2\r\n\r\n", error),
        answer("bare LF", "HTTP/1.1 200 OK\nContent-Length: 4\n\nevil", error),
        answer("bare CR", with("X: a\rb\r\n"), error),
        answer("NUL", with("X: a\0b\r\n"), error),
        answer("a blank before the colon", with("X : a\r\n"), error),
        answer("a folded line", with("X: a\r\n b\r\n"), error),
        answer("no colon", with("Xa\r\n"), error),
        answer("no name", with(": a\r\n"), error),
    ]);
}

#[test]
fn answers_of_the_origin_whose_length_is_in_doubt_are_refused() {
    let with = |lines: &str| format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n{lines}\r\n4\r\nevil\r\n0\r\n\r\n");
    let (error, coding) = ("http_protocol_error", "http_response_transfer_coding");
    check_origin(&[
        answer("both", with("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), error),
        answer("two lengths", with("Content-Length: 4\r\nContent-Length: 5\r\n"), error),
        answer("two lengths alike", with("Content-Length: 4\r\nContent-Length: 4\r\n"), error),
        answer("a list", with("Content-Length: 4, 4\r\n"), error),
        answer("a signed length", with("Content-Length: +4\r\n"), error),
        answer("a length past 64 bits", with("Content-Length: 18446744073709551620\r\n"), error),
        answer("gzip", with("Transfer-Encoding: gzip\r\n"), coding),
        answer("gzip before chunked", with("Transfer-Encoding: gzip, chunked\r\n"), coding),
        answer("chunked twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), coding),
        answer("chunked in HTTP/1.0", with("Transfer-Encoding: chunked\r\n").replacen("1.1", "1.0", 1), error),
    ]);
}

#[test]
fn heads_of_the_origin_without_measure_are_refused() {
    let (size, error) = ("http_response_header_section_size", "http_protocol_error");
    let bomb = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 4\r\n\r\nevil", "x".repeat(70_000));
    let fields = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 4\r\n\r\nevil", "X: y\r\n".repeat(300));
    let interim =
        |count| format!("{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", "HTTP/1.1 103 H\r\n\r\n".repeat(count));
    check_origin(&[
        answer("70 KB in one field", bomb, size),
        answer("300 fields", fields, size),
        answer("17 interim responses", interim(17), error),
        answer("a protocol nobody asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\nevil", "http_upgrade_failed"),
    ]);
    let origin = Origin::plain(move |_| Reply::bytes(interim(16)).close());
    assert_eq!(Pop::of(&origin).get("/x").text(), "fine");
}

#[test]
fn bytes_behind_a_body_never_reach_the_next_client() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let head = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n";
    let rows = [
        ("a length", "GET", format!("{head}Content-Length: 5\r\n\r\nhello{evil}")),
        ("no length", "GET", format!("{head}Content-Length: 0\r\n\r\n{evil}")),
        ("chunks", "GET", format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{evil}")),
        ("204", "GET", format!("HTTP/1.1 204 No Content\r\n\r\n{evil}")),
        ("304", "GET", format!("HTTP/1.1 304 Not Modified\r\n\r\n{evil}")),
        ("HEAD with a body", "HEAD", format!("{head}Content-Length: {}\r\n\r\n{evil}", evil.len())),
    ];
    for (name, method, bytes) in rows {
        let origin = Origin::plain(move |request| match request.target.as_str() {
            "/first" => Reply::bytes(&bytes),
            _ => Reply::ok("own"),
        });
        let pop = Pop::of(&origin);
        let first = pop.ask(method, "/first", &[]);
        assert!(first.status < 500 && !first.text().contains("evil"), "{name}: {first:?}");
        for _ in 0..3 {
            assert_eq!(pop.get("/next").text(), "own", "{name}");
        }
        assert_eq!(origin.requests()[1].connection, 1, "{name}: the connection was used again");
    }
}

#[test]
fn bytes_that_come_on_an_idle_connection_never_reach_the_next_client() {
    let (gate, sent) = (Gate::new(), Gate::new());
    let (hold, tell) = (gate.clone(), sent.clone());
    sent.open();
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/first" => Reply::ok("hello").wait(&hold).then("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").wait(&tell),
        _ => Reply::ok("own"),
    });
    let pop = Pop::of(&origin);
    assert_eq!(pop.get("/first").text(), "hello");
    gate.open();
    sent.wait_for_arrivals(1);
    assert_eq!(pop.get("/next").text(), "own");
    assert_eq!(origin.requests()[1].connection, 1);
}

#[test]
fn a_dead_idle_connection_costs_a_get_nothing() {
    let origin = Origin::plain(|_| Reply::ok("hello"));
    let pop = Pop::of(&origin);
    for _ in 0..3 {
        assert_eq!(pop.get("/x").text(), "hello");
        origin.drop_connections();
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn no_answer_means_the_same_to_the_next_request_as_to_the_refused_one() {
    // The refusal of one connection does not touch another, nor the site.
    let origin = Origin::plain(|_| Reply::response("200 OK", &[FRESH], "served"));
    let pop = Pop::start(&site("a.test", &origin));
    let mut sound = Client::plain(pop.address());
    for _ in 0..20 {
        let mut broken = pop.client();
        broken.send("GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n");
        assert_eq!(broken.response().status, 400);
        assert_eq!(sound.get("a.test", "/").text(), "served");
    }
    assert_eq!(pop.stats().panics, 0);
}

#[test]
fn a_head_that_is_refused_or_late_is_answered_without_content() {
    let origin = Origin::plain(|_| Reply::ok("never"));
    let pop = Pop::start(&format!("[limits]\nhead_timeout = \"100ms\"\n{}", site("a.test", &origin)));
    for (bytes, status) in [
        ("HEAD / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", 400),
        ("\r\nHEAD / HTTP/2.0\r\n\r\n", 505),
        ("HEAD / HTTP/1.1\r\nHost: a.test\r\n", 408),
    ] {
        let mut client = pop.client();
        client.send(bytes);
        assert_eq!(client.response_to("HEAD").status, status, "{bytes:?}");
        assert!(client.closed(), "{bytes:?}: content follows");
    }
    assert_eq!(origin.count(), 0);
}
