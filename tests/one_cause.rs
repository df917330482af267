//! One failure, one cause: header, page, access log, counters and ledger say the same words of it, under the same number.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;

use support::pop::{site_at, site_with, trust};
use support::{Certificates, Gate, Leaf, Origin, OriginTls, Pop, Reply, TempDir, wait_until};

/// The value of a parameter of Proxy-Status, without quotes.
fn parameter(field: &str, name: &str) -> Option<String> {
    let start = field.find(&format!("; {name}="))? + name.len() + 3;
    let value = field[start..].split("; ").next().unwrap();
    Some(value.trim_matches('"').to_owned())
}

/// One GET through a POP with this configuration, which fails with this status; then everything that was said of it.
#[track_caller]
fn check(toml: &str, status: u16, error: &str, phase: &str) {
    let dir = TempDir::new();
    let file = dir.path().join("access.log");
    let pop = Pop::start(&format!("[log]\naccess = {file:?}\nformat = \"json\"\n{toml}"));
    let response = pop.get_with("/x", &["Accept: application/json"]);
    let header = response.field("proxy-status").unwrap_or_else(|| panic!("{response:?}"));
    let told = (response.status, parameter(header, "error"), parameter(header, "phase"));
    assert_eq!(told, (status, Some(error.to_owned()), Some(phase.to_owned())), "{header}");
    let id = response.field("x-request-id").unwrap().to_owned();
    let page = response.text();
    for part in [
        format!("\"status\":{status},"),
        format!("\"error\":\"{error}\""),
        format!("\"phase\":\"{phase}\""),
        format!("\"request_id\":\"{id}\""),
        "\"time\":\"".to_owned(),
    ] {
        assert!(page.contains(&part), "{part} is not in {page}");
    }
    wait_until(|| !pop.failures().is_empty());
    let rows = pop.failures();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    let (row, example) = (&rows[0], &rows[0].example);
    assert_eq!((row.cause, row.phase, row.count, row.made_good), (error, phase, 1, 0));
    assert_eq!(example.request, id);
    let detail = example.detail.trim_end_matches("...").replace('\\', "\\\\").replace('"', "\\\"");
    assert!(header.contains(&format!("; details=\"{detail}")), "{header}\n{detail}");
    assert_eq!(parameter(header, "alert-id"), example.alert.map(|alert| alert.to_string()));
    assert_eq!(parameter(header, "rcode"), example.rcode);
    let stats = pop.stats();
    let counted: Vec<(&str, u64)> = stats.failures_by_cause.iter().map(|(cause, count)| (*cause, *count)).collect();
    assert_eq!((counted, stats.failures), (vec![(error, 1)], 1));
    pop.shutdown();
    let log = std::fs::read_to_string(&file).unwrap();
    for part in [format!("\"cause\":\"{error}\",\"phase\":\"{phase}\""), format!("\"status\":{status}"), id] {
        assert!(log.contains(&part), "{part} is not in {log}");
    }
}

/// A plain origin that answers with these bytes and closes.
fn answers(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Origin {
    Origin::plain(move |_| Reply::bytes(bytes.as_ref()).close())
}

#[test]
fn connections_that_fail() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    check(&site_at("a.test", &closed, "", ""), 502, "connection_refused", "connect");
    let rude = Origin::plain(|_| Reply::nothing().reset());
    check(&site_with("a.test", &rude, "", ""), 502, "connection_terminated", "response-head");
}

#[test]
fn tls_that_fails() {
    let certificates = Certificates::new();
    let secure = format!("protocol = \"https\"\n{}", trust(&certificates));
    let tls = |leaf: Leaf| Origin::tls(OriginTls::new(&certificates.issue("leaf", &leaf)), |_| Reply::ok("content"));
    for leaf in
        [Leaf::names(&["other.test"]), Leaf::names(&["a.test"]).expired(), Leaf::names(&["a.test"]).self_signed()]
    {
        let origin = tls(leaf);
        check(&site_with("a.test", &origin, "", &secure), 502, "tls_certificate_error", "tls-handshake");
    }
    let strict = Origin::tls(OriginTls::strict(), |_| Reply::ok("content"));
    check(&site_with("a.test", &strict, "", &secure), 502, "tls_alert_received", "tls-handshake");
    let plain = Origin::raw(|mut socket, _| {
        _ = socket.read(&mut [0; 4096]);
        _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        _ = socket.shutdown(std::net::Shutdown::Write);
        _ = std::io::copy(&mut socket, &mut std::io::sink());
    });
    check(&site_with("a.test", &plain, "", &secure), 502, "tls_protocol_error", "tls-handshake");
}

#[test]
fn responses_that_are_none() {
    let rows: [(Vec<u8>, &str); 4] = [
        (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), "http_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(), "http_response_incomplete"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n".to_vec(), "http_response_transfer_coding"),
        (
            format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(300_000)).into_bytes(),
            "http_response_header_section_size",
        ),
    ];
    for (bytes, error) in rows {
        let origin = answers(bytes);
        check(&site_with("a.test", &origin, "", ""), 502, error, "response-head");
    }
    let upgraded = answers("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    check(&site_with("a.test", &upgraded, "", ""), 502, "http_upgrade_failed", "response-head");
}

#[test]
fn waits_that_end() {
    let gate = Gate::new();
    let held = gate.clone();
    let silent = Origin::plain(move |_| Reply::nothing().wait(&held));
    let limit = "timeouts = { first_byte = \"300ms\" }";
    check(&site_with("a.test", &silent, "", limit), 504, "http_response_timeout", "response-head");
    gate.open();
}
