//! Broken origins, part 2: connections that end, silence, and ports that speak something else. Of each: what clients get,
//! the ledger's row, the doctor's finding, and 200 after the remedy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use millpond::doctor::Step;
use support::diagnosis::plain_only;
use support::{Broken, Certificates, Gate, Origin, OriginTls, Reply};

fn content(_: &support::Request) -> Reply {
    Reply::response("200 OK", &["Cache-Control: no-store"], "content")
}

fn secure(certificates: &Certificates) -> Option<OriginTls> {
    Some(OriginTls::new(&certificates.identity(&["a.test"])))
}

/// Ends the connection by a reset once something has come.
fn reset(mut socket: &TcpStream) {
    _ = socket.read(&mut [0; 16]);
    _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Reads what comes at least once, says this and ends in order.
fn says(bytes: &'static [u8]) -> Origin {
    Origin::raw(move |mut socket, _| {
        _ = socket.read(&mut [0; 4096]);
        _ = socket.write_all(bytes);
        _ = socket.shutdown(std::net::Shutdown::Write);
        _ = std::io::copy(&mut socket, &mut std::io::sink());
    })
}

/// Greets whoever connects, as servers of mail and shells do.
fn greets(bytes: &'static [u8]) -> Origin {
    Origin::raw(move |mut socket, _| {
        _ = socket.write_all(bytes);
        _ = std::io::copy(&mut socket, &mut std::io::sink());
    })
}

#[test]
fn a_reset_before_an_answer() {
    let origin = Origin::raw(|socket, _| reset(socket));
    Broken::before(&origin, "")
        .page(502, "connection_terminated", "response-head")
        .finding(Step::Http, &["the connection was reset before the first byte of a response"])
        .fix(&["look at the server's own log"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn an_end_before_an_answer() {
    let origin = Origin::plain(|_| Reply::nothing().close());
    Broken::before(&origin, "")
        .page(502, "connection_terminated", "response-head")
        .finding(Step::Http, &["the origin closed the connection before the first byte of a response"])
        .fix(&["look at the server's own log"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn a_reset_in_the_handshake() {
    let certificates = Certificates::new();
    let origin = Origin::raw(|socket, _| reset(socket));
    Broken::https(&origin, &certificates, "")
        .page(502, "connection_terminated", "tls-handshake")
        .facts(|example| assert_eq!(example.sni.as_deref(), Some("a.test")))
        .finding(Step::Handshake, &["the connection was reset during the TLS handshake"])
        .evidence(&["SNI sent: \"a.test\""])
        .fix(&["look at the server's own log"])
        .cured_at_origin(|| origin.becomes(secure(&certificates), content));
}

#[test]
fn an_end_in_the_handshake() {
    let certificates = Certificates::new();
    let origin = says(b"");
    Broken::https(&origin, &certificates, "")
        .page(502, "connection_terminated", "tls-handshake")
        .finding(Step::Handshake, &["the origin closed the connection during the TLS handshake"])
        .fix(&["look at the server's own log"])
        .cured_at_origin(|| origin.becomes(secure(&certificates), content));
}

#[test]
fn silence_in_the_handshake() {
    let certificates = Certificates::new();
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::raw(move |_, _| held.wait());
    let timeouts = "timeouts = { tls_handshake = \"700ms\", first_byte = \"1s\" }";
    Broken::https(&origin, &certificates, timeouts)
        .page(504, "connection_timeout", "tls-handshake")
        .finding(Step::Handshake, &["the origin was silent for too long during the TLS handshake"])
        .fix(&["look at the server's own log"])
        .cured_at_origin(|| {
            gate.open();
            origin.becomes(secure(&certificates), content);
        });
}

#[test]
fn plain_http_on_the_tls_port() {
    let origin = plain_only();
    Broken::before(&origin, "protocol = \"https\"")
        .page(502, "tls_protocol_error", "tls-handshake")
        .finding(Step::Protocol, &["the port answers plain HTTP, not TLS"])
        .fix(&["protocol = \"http\""])
        .cured_by_fix(&[]);
}

#[test]
fn plain_http_that_waits_for_the_end_of_a_tls_hello() {
    let origin = Origin::plain(content);
    Broken::before(&origin, "protocol = \"https\"\ntimeouts = { tls_handshake = \"200ms\" }")
        .page(504, "connection_timeout", "tls-handshake")
        .finding(Step::Protocol, &["the port answers plain HTTP, not TLS"])
        .evidence(&["silent for too long"])
        .fix(&["protocol = \"http\""])
        .cured_by_fix(&[]);
}

#[test]
fn tls_on_the_plain_port() {
    let certificates = Certificates::new();
    let origin = Origin::tls(secure(&certificates).unwrap(), content);
    Broken::before(&origin, &support::pop::trust(&certificates))
        .page(502, "http_protocol_error", "response-head")
        .finding(Step::Protocol, &["the port speaks TLS and was asked in plain HTTP"])
        .evidence(&["answers a TLS handshake"])
        .fix(&["protocol = \"https\""])
        .cured_by_fix(&[]);
}

#[test]
fn tls_on_the_plain_port_behind_a_page_that_says_so() {
    let certificates = Certificates::new();
    let config = secure(&certificates).unwrap();
    let origin = support::diagnosis::either(
        config,
        "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\nContent-Length: 60\r\n\r\n\
         <title>400 The plain HTTP request was sent to HTTPS port</t>",
    );
    Broken::before(&origin, &format!("protocol = \"http\"\n{}", support::pop::trust(&certificates)))
        .page(502, "http_protocol_error", "response-head")
        .finding(Step::Protocol, &["the port speaks TLS and was asked in plain HTTP"])
        .fix(&["site[1].origin.protocol: write protocol = \"https\""])
        .cured_by_fix(&[]);
}

#[test]
fn a_mail_server_on_the_tls_port() {
    let certificates = Certificates::new();
    let origin = greets(b"220 mail.test ESMTP\r\n");
    let right = Origin::tls(secure(&certificates).unwrap(), content);
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_protocol_error", "tls-handshake")
        .finding(Step::Protocol, &["is not TLS"])
        .fix(&["write the port on which the server speaks HTTPS", "servers = [\"127.0.0.1:PORT\"]"])
        .moves()
        .cured_by_fix(&[("127.0.0.1:PORT", &right.address().to_string())]);
}

#[test]
fn a_shell_on_the_plain_port() {
    let origin = greets(b"SSH-2.0-OpenSSH_9.6\r\n\r\n");
    let right = Origin::plain(content);
    Broken::before(&origin, "")
        .page(502, "http_protocol_error", "response-head")
        .facts(|example| assert!(example.head_start.starts_with(b"SSH-2.0-OpenSSH_9.6"), "{example:?}"))
        .finding(Step::Http, &["the response head is refused"])
        .evidence(&["SSH-2.0-OpenSSH_9.6"])
        .fix(&["servers = [\"127.0.0.1:PORT\"]"])
        .moves()
        .cured_by_fix(&[("127.0.0.1:PORT", &right.address().to_string())]);
}

#[test]
fn a_garbage_status_line() {
    let origin = Origin::plain(|_| Reply::bytes("HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n").close());
    Broken::before(&origin, "")
        .page(502, "http_protocol_error", "response-head")
        .facts(|example| assert!(example.head_start.starts_with(b"HTTP/1.1 OK 200"), "{example:?}"))
        .finding(Step::Http, &["the response head is refused", "status"])
        .evidence(&["HTTP/1.1 OK 200"])
        .fix(&["mend the response at the origin"])
        .cured_at_origin(|| origin.becomes(None, content));
}

#[test]
fn an_answer_of_http_2() {
    // SETTINGS, as servers send it that take every connection for HTTP/2.
    let origin = says(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64");
    Broken::before(&origin, "")
        .page(502, "http_protocol_error", "response-head")
        .finding(Step::Http, &["the response head is refused"])
        .fix(&["HTTP/1.1"])
        .cured_at_origin_instead(|| origin.becomes(None, content));
}

#[test]
fn one_of_two_addresses_that_resets() {
    let odd = Origin::raw(|socket, _| reset(socket));
    let even = Origin::start(&format!("127.0.0.2:{}", odd.port()), None, content);
    let server = format!("origin.test:{}", odd.port());
    let names = millpond::Names::by(|_| Ok(["127.0.0.1", "127.0.0.2"].map(|it| it.parse().unwrap()).to_vec()));
    Broken::at(&server, "")
        .names(names)
        .passes(200)
        .blames("connection_terminated", "response-head")
        .row(&server, Some(&odd.address().to_string()))
        .warning(
            Step::Http,
            &["1 of the addresses would not do", &odd.address().to_string(), "the connection was reset"],
        )
        .fix(&["make the servers at these addresses like the others"])
        .moves()
        .cured_at_origin(|| odd.becomes(None, content));
    drop(even);
}
