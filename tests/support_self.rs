//! The scenes' own tools, tried on each other: the scripted origin, the raw client, certificates and gates.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use support::client::client_config;
use support::{Certificates, Client, Gate, Leaf, Origin, OriginTls, Reply, wait_until};

#[test]
fn keep_alive_carries_several_requests_and_records_them() {
    let origin = Origin::plain(|request| Reply::ok(format!("{} {}", request.method, request.target)));
    let mut client = Client::plain(origin.address());
    assert_eq!(client.get("a.test", "/one").text(), "GET /one");
    client.send(
        "POST /two HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabcHEAD /three HTTP/1.1\r\nHost: b\r\n\r\n",
    );
    assert_eq!(client.response_to("POST").text(), "POST /two");
    assert_eq!(client.head_of("HEAD").field("content-length"), Some("11"));

    let requests = origin.requests();
    let seen: Vec<_> = requests.iter().map(|r| (r.target.as_str(), r.connection, r.index, r.body.len())).collect();
    assert_eq!(seen, [("/one", 0, 0, 0), ("/two", 0, 1, 3), ("/three", 0, 2, 0)]);
    assert_eq!(requests[0].head, b"GET /one HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(requests[2].field("HOST"), Some("b"));
    assert_eq!((origin.count(), origin.connections()), (3, 1));
}

#[test]
fn chunked_bodies_go_both_ways_and_gates_hold_them() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let body = String::from_utf8(request.body.clone()).unwrap();
        let head = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Reply::bytes(head)
            .then(format!("{:x};x=y\r\n{body}\r\n", body.len()))
            .wait(&held)
            .then("1\r\n!\r\n0\r\nT: v\r\n\r\n")
    });
    let mut client = Client::plain(origin.address());
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    origin.wait_for_requests(1);
    let head = client.head_of("PUT");
    assert_eq!((head.status, head.interim[0].status), (200, 103));
    assert_eq!(client.body_of_at_least(5), b"abcde");
    gate.wait_for_arrivals(1);
    gate.open();
    assert_eq!(client.rest().unwrap(), b"!");
    assert_eq!(client.get("a", "/").status, 200);
}

#[test]
fn ends_are_told_apart() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/until-close" => Reply::bytes("HTTP/1.0 200 OK\r\n\r\nall").close(),
        "/close" => Reply::ok("x").close(),
        "/short" => Reply::bytes(head).then("part").close(),
        "/reset" => Reply::bytes(head).then("part").reset(),
        _ => Reply::bytes("HTTP/1.1 200\r\n\r\n").cut(),
    });
    let answer = |target: &str| {
        let mut client = Client::plain(origin.address());
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        (client.try_response("GET"), client)
    };
    assert_eq!(answer("/until-close").0.unwrap().body, b"all");
    let (response, mut client) = answer("/close");
    assert_eq!(response.unwrap().body, b"x");
    assert!(client.closed());
    assert_eq!(answer("/short").0.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(answer("/reset").0.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(answer("/malformed").0.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_raw_origin_speaks_anything_and_its_connections_can_be_dropped() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::raw(move |mut socket, number| {
        write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}").unwrap();
        held.wait();
    });
    let mut client = Client::plain(origin.address());
    assert_eq!(client.response().text(), "0");
    origin.drop_connections();
    assert!(client.closed());
    assert_eq!(Client::plain(origin.address()).response().text(), "1");
    gate.open();
}

#[test]
fn tls_chooses_the_certificate_by_sni() {
    let certificates = Certificates::new();
    let (a, b) = (certificates.identity(&["a.test"]), certificates.identity(&["*.b.test", "c.test"]));
    let tls = OriginTls::new(&a).with(&["www.b.test"], &b);
    let origin = Origin::tls(tls, |request| Reply::ok(format!("{:?}", request.sni)).close());

    let mut client = Client::tls(origin.address(), &certificates.roots(), "www.b.test");
    assert_eq!(client.peer_certificate(), Some(&b.leaf()));
    assert_eq!(client.get("x", "/").text(), "Some(\"www.b.test\")");
    assert!(client.closed());
    let mut client = Client::tls_without_sni(origin.address(), &certificates.roots(), "a.test");
    assert_eq!(client.peer_certificate(), Some(&a.leaf()));
    assert_eq!(client.get("x", "/").text(), "None");
    assert_eq!(origin.asked_names(), [Some("www.b.test".to_owned()), None]);
}

#[test]
fn broken_certificates_are_refused_each_for_its_own_reason() {
    let certificates = Certificates::new();
    let other_ca = Certificates::new().roots();
    let names = || Leaf::names(&["a.test"]);
    let rows = [
        ("sound", names(), ""),
        ("chain", names().by_intermediate(), ""),
        ("expired", names().expired(), "certificate expired"),
        ("early", names().not_yet_valid(), "not valid yet"),
        ("self", names().self_signed(), "UnknownIssuer"),
        ("gap", names().without_its_intermediate(), "UnknownIssuer"),
        ("purpose", names().for_clients_only(), "key usage"),
        ("cn", Leaf::common_name_only("a.test"), "not valid for"),
        ("name", Leaf::names(&["b.test"]).common_name("a.test"), "not valid for"),
    ];
    for (file, leaf, expected) in rows {
        let identity = certificates.issue(file, &leaf);
        let origin = Origin::tls(OriginTls::new(&identity), |_| Reply::ok("fine"));
        let dial = |roots: &Arc<_>| Client::try_tls(origin.address(), client_config(roots), "a.test");
        let error = dial(&certificates.roots()).err().map(|error| error.to_string()).unwrap_or_default();
        let is_expected = if expected.is_empty() { error.is_empty() } else { error.contains(expected) };
        assert!(is_expected, "{file}: expected {expected:?}, got {error:?}");
        assert!(dial(&other_ca).is_err());
        wait_until(|| !origin.handshake_errors().is_empty());
    }
}

#[test]
fn a_strict_origin_refuses_unknown_names() {
    let certificates = Certificates::new();
    let tls = OriginTls::strict().with(&["a.test"], &certificates.identity(&["a.test"]));
    let origin = Origin::tls(tls.versions(&[&rustls::version::TLS12]), |_| Reply::ok("fine"));
    let dial = |name| Client::try_tls(origin.address(), client_config(&certificates.roots()), name);
    assert_eq!(dial("a.test").unwrap().get("a.test", "/").text(), "fine");
    assert!(dial("b.test").err().unwrap().to_string().contains("alert"));
    assert_eq!(origin.asked_names()[1].as_deref(), Some("b.test"));
}

#[test]
fn certificate_files_go_away_with_their_directory() {
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let files: Vec<PathBuf> = vec![certificates.ca_file(), identity.chain_file.clone(), identity.key_file.clone()];
    assert!(files.iter().all(|file| file.is_file()));
    assert_eq!(std::fs::read_to_string(&files[1]).unwrap(), identity.chain_pem);
    drop(certificates);
    assert!(!files.iter().any(|file| file.exists()));
}
