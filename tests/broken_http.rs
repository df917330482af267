//! Broken origins, part 4: answers that come late, in pieces, in the wrong form or not for us. Of each: what clients get,
//! the ledger's row, the doctor's finding, and 200 after the remedy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use millpond::doctor::Step;
use support::pop::trust;
use support::{Broken, Certificates, Gate, Leaf, Origin, OriginTls, Reply};

fn content(_: &support::Request) -> Reply {
    Reply::response("200 OK", &["Cache-Control: no-store"], "content")
}

#[test]
fn a_421_for_a_host_on_the_connection_of_another_name() {
    let certificates = Certificates::new();
    let origin = Origin::tls(OriginTls::new(&certificates.identity(&["a.test", "b.test"])), |request| {
        match request.sni.as_deref() == request.field("host") {
            true => Reply::ok("content"),
            false => Reply::response("421 Misdirected Request", &[], ""),
        }
    });
    Broken::https(&origin, &certificates, "sni = \"b.test\"")
        .passes(421)
        .finding(Step::Http, &["421, the server does not answer for Host \"a.test\""])
        .evidence(&["SNI sent: \"b.test\"", "with the change it answers 200"])
        .fix(&["sni = \"a.test\""])
        .cured_by_fix(&[]);
}

#[test]
fn a_redirect_to_itself_under_https() {
    let certificates = Certificates::new();
    let secure = Origin::tls(OriginTls::new(&certificates.identity(&["a.test"])), content);
    let location = format!("Location: https://a.test:{}/", secure.port());
    let origin = Origin::plain(move |_| Reply::response("301 Moved Permanently", &[&location], ""));
    // A client of https must not be sent to https: one of plain HTTP may be.
    let lines = format!("host = \"a.test:{}\"\n{}", secure.port(), trust(&certificates));
    let front = support::pop::https_table(&certificates.issue("front", &Leaf::names(&["a.test"])));
    let roots = certificates.roots();
    let site = support::pop::site_with("a.test", &origin, "", &lines) + &front;
    Broken::before(&origin, &lines)
        .file("http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"", site)
        .subject("https://a.test/")
        .asks(move |pop| support::Client::tls(pop.https(), &roots, "a.test").get("a.test", "/"))
        .page(502, "http_protocol_error", "response-head")
        .finding(Step::Http, &["redirects to the same URL over https"])
        .evidence(&["301 leads to https://a.test:"])
        .fix(&["protocol = \"https\"", "ports = { https = "])
        .moves()
        .cured_by_fix(&[]);
}

#[test]
fn a_redirect_to_itself_under_http() {
    let certificates = Certificates::new();
    let plain = Origin::plain(content);
    let location = format!("Location: http://a.test:{}/", plain.port());
    let origin = Origin::tls(OriginTls::new(&certificates.identity(&["a.test"])), move |_| {
        Reply::response("302 Found", &[&location], "")
    });
    Broken::https(&origin, &certificates, &format!("host = \"a.test:{}\"", plain.port()))
        .page(502, "http_protocol_error", "response-head")
        .finding(Step::Http, &["redirects to the same URL over http"])
        .fix(&["protocol = \"http\""])
        .moves()
        .cured_by_fix(&[]);
}

#[test]
fn a_redirect_to_the_very_same_url() {
    let origin = Origin::plain(|_| Reply::response("302 Found", &["Location: http://a.test/"], ""));
    Broken::before(&origin, "")
        .passes(302)
        .finding(Step::Http, &["the origin redirects the URL to itself"])
        .fix(&["mend the redirect at the origin"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_host_that_the_server_does_not_know() {
    let origin = Origin::plain(|request| match request.field("host") {
        Some("a.test") => Reply::ok("content"),
        _ => Reply::response("503 Service Unavailable", &[], "no such site"),
    });
    Broken::before(&origin, "host = \"old.test\"")
        .passes(503)
        .finding(Step::Http, &["the origin itself answers 503"])
        .evidence(&["Host sent: \"old.test\"", "with the change it answers 200"])
        .fix(&["host = \"a.test\""])
        .cured_by_fix(&[]);
}

#[test]
fn a_fault_behind_the_server() {
    let origin = Origin::plain(|_| Reply::response("500 Internal Server Error", &[], "oops"));
    Broken::before(&origin, "")
        .passes(500)
        .finding(Step::Http, &["the origin itself answers 500"])
        .fix(&["look at the server's own log"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_slow_first_byte() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| Reply::nothing().wait(&held).then("HTTP/1.1 204 No Content\r\n\r\n"));
    let answered = origin.address().to_string();
    Broken::before(&origin, "timeouts = { first_byte = \"500ms\" }")
        .page(504, "http_response_timeout", "response-head")
        .facts(|example| assert!(example.head_start.is_empty()))
        .finding(Step::Http, &[&answered, "the origin was silent for too long before the first byte"])
        .fix(&["make the origin answer sooner, or wait longer for it", "first_byte = \"1s\""])
        .cured_by_fix_and(|| {
            gate.open();
            origin.becomes(None, content);
        });
}

/// Sends the pieces one by one, each when nothing has come for a while, until the other side goes.
fn drip(mut socket: &TcpStream, start: &str, piece: &str) {
    let mut room = [0; 4096];
    _ = socket.read(&mut room);
    _ = socket.write_all(start.as_bytes());
    _ = socket.set_read_timeout(Some(Duration::from_millis(20)));
    while socket.write_all(piece.as_bytes()).is_ok() {
        if socket.read(&mut room).is_ok_and(|count| count == 0) {
            return;
        }
    }
}

#[test]
fn a_head_that_drips() {
    let origin = Origin::raw(|socket, _| drip(socket, "HTTP/1.1 200 OK\r\nX-Slow: ", "x"));
    Broken::before(&origin, "timeouts = { head = \"400ms\", first_byte = \"300ms\" }")
        .page(504, "http_response_timeout", "response-head")
        .facts(|example| assert!(example.head_start.starts_with(b"HTTP/1.1 200 OK\r\nX-Slow: x"), "{example:?}"))
        .finding(Step::Http, &["the origin was silent for too long within the response head"])
        .evidence(&["HTTP/1.1 200 OK"])
        .fix(&["make the origin send its response head in one go", "head = \"800ms\""])
        .cured_by_fix_and(|| origin.becomes(None, content));
}

#[test]
fn a_body_that_drips_past_its_limit() {
    let origin = Origin::raw(|socket, _| drip(socket, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "x"));
    let gate = Gate::new();
    Broken::before(&origin, "timeouts = { total = \"500ms\" }")
        .cut("connection_read_timeout", &gate)
        .finding(Step::Http, &["the response body takes longer than timeouts.total allows"])
        .fix(&["total = \"1s\""])
        .cured_by_fix_and(|| origin.becomes(None, content));
}

#[test]
fn a_body_that_stops() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").wait(&held));
    Broken::before(&origin, "timeouts = { between_bytes = \"300ms\" }")
        .cut("connection_read_timeout", &Gate::new())
        .finding(Step::Http, &["the origin was silent for too long within the response body"])
        .fix(&["between_bytes = \"600ms\""])
        .cured_by_fix_and(|| {
            gate.open();
            origin.becomes(None, content);
        });
}

#[test]
fn a_head_that_never_ends() {
    let origin = Origin::plain(|_| {
        let lines: String = (0..9000).map(|number| format!("X-{number}: {number}\r\n")).collect();
        Reply::bytes(format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).close()
    });
    Broken::before(&origin, "")
        .page(502, "http_response_header_section_size", "response-head")
        .facts(|example| assert_eq!(example.head_start.len(), 1024))
        .finding(Step::Http, &["the response head is refused"])
        .fix(&["fewer or shorter fields"])
        .cured_at_origin(|| origin.becomes(None, content));
}

/// Head and body, the gate between them, and then an end of this kind.
fn truncated(gate: &Gate, head: &str, body: &str, is_reset: bool) -> impl Fn(&support::Request) -> Reply + use<> {
    let reply = Reply::bytes(format!("HTTP/1.1 200 OK\r\n{head}\r\n")).wait(gate).then(body);
    let reply = if is_reset { reply.reset() } else { reply.cut() };
    move |_| reply.clone()
}

#[test]
fn a_body_shorter_than_its_length() {
    let gate = Gate::new();
    let origin = Origin::plain(truncated(&gate, "Content-Length: 10\r\n", "half", false));
    Broken::before(&origin, "")
        .cut("http_response_incomplete", &gate)
        .finding(Step::Http, &["the response body is broken"])
        .fix(&["mend the length or the chunks of the response at the origin"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn chunks_that_end_before_the_last() {
    let gate = Gate::new();
    let origin = Origin::plain(truncated(&gate, "Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n", false));
    Broken::before(&origin, "")
        .cut("http_response_incomplete", &gate)
        .finding(Step::Http, &["the response body is broken"])
        .fix(&["mend the length or the chunks of the response at the origin"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_body_without_length_that_is_reset() {
    let gate = Gate::new();
    let origin = Origin::plain(truncated(&gate, "", "half", true));
    Broken::before(&origin, "")
        .cut("http_response_incomplete", &gate)
        .finding(Step::Http, &["the connection was reset within the response body"])
        .fix(&["have the origin send Content-Length or chunks"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_body_without_length_over_tls_that_ends_without_goodbye() {
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let gate = Gate::new();
    let origin = Origin::tls(OriginTls::new(&identity), truncated(&gate, "", "half", false));
    Broken::https(&origin, &certificates, "")
        .cut("http_response_incomplete", &gate)
        .facts(|example| {
            assert_eq!(
                (&example.head_start[..], example.sni.as_deref()),
                (&b"HTTP/1.1 200 OK\r\n\r\n"[..], Some("a.test"))
            );
        })
        .finding(Step::Http, &["without close_notify"])
        .fix(&["have the origin send Content-Length or chunks", "close_notify"])
        .cured_at_origin(|| origin.becomes(Some(OriginTls::new(&identity)), content));
}

#[test]
fn chunks_that_are_none() {
    let gate = Gate::new();
    let origin = Origin::plain(truncated(&gate, "Transfer-Encoding: chunked\r\n", "zz\r\nhalf\r\n", false));
    Broken::before(&origin, "")
        .cut("http_response_transfer_coding", &gate)
        .finding(Step::Http, &["the response body is broken"])
        .fix(&["mend the length or the chunks of the response at the origin"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn two_lengths_that_differ() {
    let origin = Origin::plain(|_| {
        Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!").close()
    });
    Broken::before(&origin, "")
        .page(502, "http_protocol_error", "response-head")
        .finding(Step::Http, &["the response head is refused", "Content-Length"])
        .evidence(&["Content-Length: 6"])
        .fix(&["mend the response at the origin"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_transfer_coding_that_nobody_asked_for() {
    let origin = Origin::plain(|_| Reply::bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n").close());
    Broken::before(&origin, "")
        .page(502, "http_response_transfer_coding", "response-head")
        .facts(|example| assert!(example.head_start.starts_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip")))
        .finding(Step::Http, &["the response head is refused"])
        .fix(&["have the origin send Transfer-Encoding: chunked or a Content-Length"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for() {
    let origin = Origin::plain(|_| {
        Reply::bytes("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    });
    Broken::before(&origin, "")
        .page(502, "http_upgrade_failed", "response-head")
        .finding(Step::Http, &["the origin switched protocols without being asked"])
        .fix(&["101"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn more_interim_responses_than_anyone_needs() {
    let origin = Origin::plain(|_| {
        Reply::bytes("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20)).then("HTTP/1.1 204 No Content\r\n\r\n")
    });
    Broken::before(&origin, "")
        .page(502, "http_protocol_error", "response-head")
        .finding(Step::Http, &["more than 16 interim responses"])
        .fix(&["at the origin"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn an_early_close_of_a_reused_connection() {
    let origin = Origin::plain(|request| match request.index {
        0 => content(request),
        _ => Reply::nothing().close(),
    });
    Broken::before(&origin, "")
        .asks(|pop| {
            // The fetch before it leaves its connection open; what may not be repeated falls with it.
            assert_eq!(pop.get("/").status, 200);
            support::wait_until(|| pop.stats().idle_origin_connections == 1);
            pop.ask("POST", "/", &["Content-Length: 0"])
        })
        .page(502, "connection_terminated", "response-head")
        .primed()
        .warning(Step::Http, &["the server ended a connection that it had kept open"])
        .fix(&["mend keep-alive at the origin", "Connection: close"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_redirect_to_an_address_that_is_not_for_outsiders() {
    let inside = Origin::plain(content);
    let location = format!("Location: http://{}/", inside.address());
    let origin = Origin::plain(move |_| Reply::response("302 Found", &[&location], ""));
    Broken::before(&origin, "follow_redirects = 2")
        .page(502, "destination_ip_prohibited", "resolve")
        .row(&inside.address().to_string(), None)
        .finding(Step::Http, &["127.0.0.1 is loopback", "which nobody but the operator may choose"])
        .evidence(&["302 leads to http://127.0.0.1:"])
        .fix(&["name its host and port in the servers of a site"])
        .moves()
        .cured_at_origin(|| origin.becomes(None, content));
    assert_eq!(inside.count(), 0);
}

#[test]
fn a_304_to_a_request_without_a_condition() {
    let origin = Origin::plain(|_| Reply::bytes("HTTP/1.1 304 Not Modified\r\n\r\n"));
    Broken::before(&origin, "")
        .passes(304)
        .warning(Step::Http, &["304 to a request that asked for the whole"])
        .fix(&["with 200 and all of the content"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_page_without_a_head() {
    let origin = Origin::plain(|_| Reply::bytes("<html>hello</html>").close());
    Broken::before(&origin, "")
        .page(502, "http_response_incomplete", "response-head")
        .facts(|example| assert_eq!(example.head_start, b"<html>hello</html>"))
        .finding(Step::Http, &["within the response head"])
        .evidence(&["<html>hello</html>"])
        .fix(&["write the port on which the server speaks HTTP/1.1"])
        .cured_at_origin_instead(|| origin.becomes(None, content));
}
