//! The failure ledger of a whole POP: which row each broken origin leaves, and what a restart, a cure, a damaged file and a
//! folder that cannot be written make of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use millpond::{Edge, FailureRow};
use support::pop::{site_at, site_with, trust};
use support::{Certificates, Log, Origin, OriginTls, Pop, Reply, TempDir, wait_until};

/// The site with a `[state]` in this folder.
fn with_state(dir: &Path, site: &str) -> String {
    format!("[state]\ndir = \"{}\"\n{site}", dir.display())
}

/// The only row there is, which must come: what a client sees may be a moment earlier.
#[track_caller]
fn only_row(pop: &Pop) -> FailureRow {
    wait_until(|| !pop.failures().is_empty());
    let rows = pop.failures();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows.into_iter().next().unwrap()
}

/// The row's cause, phase and count; its address is the origin's, which has one.
#[track_caller]
fn check(row: &FailureRow, origin: &str, cause: &str, phase: &str, count: u64) {
    assert_eq!((row.cause, row.phase, row.count), (cause, phase, count), "{row:#?}");
    assert_eq!((row.site.as_str(), row.server.as_str()), ("a.test", origin));
    assert_eq!(row.address.map(|address| address.to_string()).as_deref(), Some(origin));
    assert_eq!((row.failing_addresses, row.known_addresses), (1, 1));
    assert!(row.is_open() && row.first <= row.last && row.last_good.is_none(), "{row:#?}");
    let example = &row.example;
    assert!(example.detail.contains(origin) && example.request.len() == 32, "{example:#?}");
    assert!(row.first <= example.when && example.when <= row.last);
}

fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_refused_connection_is_counted_at_its_address() {
    let server = closed_port();
    let pop = Pop::start(&site_at("a.test", &server, "", ""));
    assert!(pop.failures().is_empty());
    for target in ["/1", "/2", "/3"] {
        assert_eq!(pop.get(target).status, 502);
    }
    check(&only_row(&pop), &server, "connection_refused", "connect", 3);
}

#[test]
fn every_address_of_a_server_that_refuses_has_its_own_row() {
    let server = format!("localhost:{}", closed_port().rsplit(':').next().unwrap());
    let pop = Pop::start(&site_at("a.test", &server, "", ""));
    assert_eq!(pop.get("/").status, 502);
    wait_until(|| !pop.failures().is_empty());
    let rows = pop.failures();
    assert!(rows.iter().all(|row| row.address.is_some_and(|address| address.ip().is_loopback())), "{rows:#?}");
    assert!(rows.iter().all(|row| row.failing_addresses == rows.len() && row.known_addresses == rows.len()));
    assert!(rows.iter().all(|row| row.server == server && row.cause == "connection_refused" && row.count == 1));
}

#[test]
fn a_name_that_cannot_be_looked_up_has_a_row_without_address() {
    let timeouts = "timeouts = { resolve = \"2s\" }";
    let pop = Pop::start(&site_at("a.test", "no-such-origin.invalid", "", timeouts));
    assert!(pop.get("/").status >= 500);
    let row = only_row(&pop);
    assert!(row.cause.starts_with("dns_") && row.phase == "resolve" && row.address.is_none(), "{row:#?}");
    assert!(row.server.starts_with("no-such-origin.invalid:"), "{row:#?}");
}

#[test]
fn a_certificate_for_another_name_is_a_row_with_the_names() {
    let certificates = Certificates::new();
    let origin = Origin::tls(OriginTls::new(&certificates.identity(&["node7.origin.test"])), |_| Reply::ok("content"));
    let lines = format!("protocol = \"https\"\n{}", trust(&certificates));
    let pop = Pop::start(&site_with("a.test", &origin, "", &lines));
    assert_eq!(pop.get("/").status, 502);
    let row = only_row(&pop);
    check(&row, &origin.address().to_string(), "tls_certificate_error", "tls-handshake", 1);
    assert!(row.example.detail.contains("node7.origin.test"), "{row:#?}");
}

#[test]
fn an_alert_is_a_row_with_its_number() {
    let certificates = Certificates::new();
    let tls = OriginTls::strict().with(&["inner.test"], &certificates.identity(&["inner.test"]));
    let origin = Origin::tls(tls, |_| Reply::ok("content"));
    let pop = Pop::start(&site_with("a.test", &origin, "", &format!("protocol = \"https\"\n{}", trust(&certificates))));
    assert_eq!(pop.get("/").status, 502);
    let row = only_row(&pop);
    check(&row, &origin.address().to_string(), "tls_alert_received", "tls-handshake", 1);
    assert!(row.example.alert.is_some(), "{row:#?}");
}

#[test]
fn broken_framing_and_a_head_that_is_none_are_rows() {
    let rows: [(&[u8], &str, &str); 3] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
            "http_protocol_error",
            "response-head",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "http_response_transfer_coding", "body"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "http_protocol_error", "response-head"),
    ];
    for (bytes, cause, phase) in rows {
        let origin = Origin::plain(move |_| Reply::bytes(bytes).close());
        let pop = Pop::of(&origin);
        // Whether its client sees a head before the cut is a matter of moments; the row comes in any case.
        let mut client = pop.client();
        client.send(support::pop::request("GET", "/", &[]));
        check(&only_row(&pop), &origin.address().to_string(), cause, phase, 1);
    }
}

#[test]
fn a_body_that_is_cut_is_a_row_whether_or_not_it_would_have_been_stored() {
    for field in ["Cache-Control: max-age=60", "Cache-Control: no-store"] {
        let head = format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 10\r\n\r\nhello");
        let origin = Origin::plain(move |_| Reply::bytes(&head).close());
        let pop = Pop::of(&origin);
        // Whether its client sees a head before the cut is a matter of moments; the row comes in any case.
        let mut client = pop.client();
        client.send(support::pop::request("GET", "/", &[]));
        check(&only_row(&pop), &origin.address().to_string(), "http_response_incomplete", "body", 1);
    }
}

#[test]
fn what_is_served_stale_instead_is_a_failure_all_the_same() {
    let is_broken = std::sync::Arc::new(AtomicBool::new(false));
    let broken = is_broken.clone();
    let origin = Origin::plain(move |_| match broken.load(Ordering::SeqCst) {
        true => Reply::nothing().reset(),
        false => Reply::response("200 OK", &["Cache-Control: max-age=0", "ETag: \"a\""], "content").close(),
    });
    let pop = Pop::of(&origin);
    assert_eq!(pop.get("/").text(), "content");
    is_broken.store(true, Ordering::SeqCst);
    assert_eq!(pop.get("/").text(), "content", "stale");
    let row = only_row(&pop);
    assert_eq!((row.cause, row.count), ("connection_terminated", 1));
    assert!(row.last_good.is_some_and(|good| good <= row.last), "the fetch before it went well: {row:#?}");
}

#[test]
fn a_cure_shows_as_the_last_good_fetch_and_the_row_stays() {
    let is_sound = std::sync::Arc::new(AtomicBool::new(false));
    let sound = is_sound.clone();
    let origin = Origin::plain(move |_| match sound.load(Ordering::SeqCst) {
        true => Reply::ok("content"),
        false => Reply::nothing().close(),
    });
    let pop = Pop::of(&origin);
    assert_eq!(pop.get("/1").status, 502);
    check(&only_row(&pop), &origin.address().to_string(), "connection_terminated", "response-head", 1);
    is_sound.store(true, Ordering::SeqCst);
    assert_eq!(pop.get("/2").text(), "content");
    wait_until(|| !only_row(&pop).is_open());
    let row = only_row(&pop);
    assert_eq!((row.count, row.failing_addresses, row.known_addresses), (1, 0, 1));
    assert!(row.last_good.is_some_and(|good| good >= row.last));
}

/// The primary and a backup.
fn two_servers(first: &str, second: &str) -> String {
    let servers = format!("{{ address = \"{first}\" }}, {{ address = \"{second}\", role = \"backup\" }}");
    format!("[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [{servers}]\n")
}

#[test]
fn an_attempt_that_another_server_makes_good_is_a_row_that_no_client_saw() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: no-store"], "content"));
    let rude = Origin::plain(|_| Reply::nothing().reset());
    let closed = closed_port();
    let rows = [
        (closed.clone(), "connection_refused", "connect"),
        (rude.address().to_string(), "connection_terminated", "response-head"),
    ];
    for (broken, cause, phase) in rows {
        let pop = Pop::start(&two_servers(&broken, &origin.address().to_string()));
        assert_eq!(pop.get("/").text(), "content");
        let row = only_row(&pop);
        check(&row, &broken, cause, phase, 1);
        assert!(row.made_good == 1 && row.is_made_good(), "{row:#?}");
        assert_eq!((pop.stats().failures, pop.stats().made_good), (0, 1));
    }
}

#[test]
fn of_a_fetch_that_fails_every_attempt_is_a_row_and_clients_saw_it() {
    let (first, second) = (closed_port(), closed_port());
    let pop = Pop::start(&two_servers(&first, &second));
    assert_eq!(pop.get("/").status, 502);
    wait_until(|| pop.failures().len() == 2);
    let mut rows = pop.failures();
    rows.sort_by_key(|row| row.server == second);
    for (row, server) in rows.iter().zip([first, second]) {
        check(row, &server, "connection_refused", "connect", 1);
        assert!(!row.is_made_good());
    }
    assert_eq!((pop.stats().failures, pop.stats().made_good), (1, 0));
}

#[test]
fn an_upload_that_may_not_be_repeated_leaves_no_row_that_says_otherwise() {
    let origin = Origin::plain(|_| Reply::ok("content"));
    let rude = Origin::plain(|_| Reply::nothing().reset());
    let pop = Pop::start(&two_servers(&rude.address().to_string(), &origin.address().to_string()));
    assert_eq!(pop.ask("POST", "/", &["Content-Length: 0"]).status, 502);
    let row = only_row(&pop);
    assert_eq!((row.made_good, row.count, origin.count()), (0, 1, 0), "{row:#?}");
}

#[test]
fn a_primary_that_fails_while_the_backup_serves_has_its_row() {
    let certificates = Certificates::new();
    let misnamed = OriginTls::new(&certificates.identity(&["node7.origin.test"]));
    let primary = Origin::tls(misnamed, |_| Reply::ok("content"));
    let backup = Origin::tls(OriginTls::new(&certificates.identity(&["a.test"])), |_| Reply::ok("content"));
    let site = format!(
        "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"{}\", {{ address = \"{}\", role = \"backup\" }}]\n\
         protocol = \"https\"\n{}",
        primary.address(),
        backup.address(),
        trust(&certificates)
    );
    let pop = Pop::start(&site);
    assert_eq!((pop.get("/1").text(), pop.get("/2").text()), ("content".into(), "content".into()));
    let row = only_row(&pop);
    check(&row, &primary.address().to_string(), "tls_certificate_error", "tls-handshake", 2);
    assert_eq!(row.example.certificate_names, ["node7.origin.test"]);
}

#[test]
fn every_server_that_fails_in_one_fetch_has_its_row() {
    let (refused, silent) = (closed_port(), Origin::plain(|_| Reply::nothing().close()));
    let site = format!(
        "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"{refused}\", {{ address = \"{}\", role = \"backup\" \
         }}]\nprotocol = \"http\"\n",
        silent.address()
    );
    let pop = Pop::start(&site);
    assert_eq!(pop.get("/").status, 502);
    wait_until(|| pop.failures().len() == 2);
    let mut rows: Vec<_> = pop.failures().into_iter().map(|row| (row.server, row.cause, row.count)).collect();
    rows.sort_by_key(|row| row.1);
    assert_eq!(rows, [(refused, "connection_refused", 1), (silent.address().to_string(), "connection_terminated", 1)]);
}

#[test]
fn an_error_that_the_origin_answers_with_leaves_no_row() {
    let origin = Origin::plain(|_| Reply::response("503 Service Unavailable", &[], "busy"));
    let pop = Pop::of(&origin);
    assert_eq!(pop.get("/").status, 503);
    assert!(pop.failures().is_empty());
}

#[test]
fn a_restart_keeps_the_ledger_and_adds_to_it() {
    let dir = TempDir::new();
    let state = dir.path().join("state");
    let server = closed_port();
    let toml = with_state(&state, &site_at("a.test", &server, "", ""));
    let pop = Pop::start(&toml);
    assert_eq!((pop.get("/1").status, pop.get("/2").status), (502, 502));
    let before = only_row(&pop);
    pop.shutdown();
    assert_eq!(Edge::failures_in(&state).unwrap(), std::slice::from_ref(&before), "it can be read without a POP");
    let pop = Pop::start(&toml);
    assert_eq!(pop.failures(), std::slice::from_ref(&before));
    assert_eq!(pop.get("/3").status, 502);
    wait_until(|| only_row(&pop).count == 3);
    assert_eq!(only_row(&pop).first, before.first, "since when");
    // The keeper writes while it serves, nobody has to stop for it.
    wait_until(|| Edge::failures_in(&state).unwrap()[0].count == 3);
}

#[test]
fn a_file_that_is_not_ours_is_set_aside_and_serving_begins() {
    let log = Log::take();
    let origin = Origin::plain(|_| Reply::ok("content"));
    let whole = {
        let dir = TempDir::new();
        let pop = Pop::start(&with_state(dir.path(), &site_at("a.test", &closed_port(), "", "")));
        pop.get("/");
        pop.shutdown();
        fs::read(dir.path().join("failures")).unwrap()
    };
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let damaged =
        [Vec::new(), whole[..whole.len() / 2].to_vec(), changed, b"[listen]\n".to_vec(), vec![0xff; 40 << 20]];
    for bytes in damaged {
        let dir = TempDir::new();
        let file = dir.write("failures", &bytes);
        let pop = Pop::start(&with_state(dir.path(), &site_with("a.test", &origin, "", "")));
        assert_eq!(pop.get("/").text(), "content");
        assert!(pop.failures().is_empty());
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let aside = names.iter().find(|path| path.to_string_lossy().contains("failures.damaged-"));
        let aside = aside.unwrap_or_else(|| panic!("{names:?}"));
        assert!(fs::read(aside).unwrap() == bytes, "it is kept as it was");
        let line = log.line_with(&[&*file.to_string_lossy(), "set aside"]);
        assert!(line.contains(&*aside.to_string_lossy()), "{line}");
        assert_eq!(Edge::failures_in(dir.path()).unwrap(), [], "a sound one is in its place");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_a_warning_and_serving_goes_on() {
    let log = Log::take();
    let dir = TempDir::new();
    let file = dir.write("file", "where the folder should be");
    let state = file.join("state");
    // The first holds also for a test that runs as root, whom no permission stops.
    for state in [state.as_path(), Path::new("/proc/millpond")] {
        let pop = Pop::start(&with_state(state, &site_at("a.test", &closed_port(), "", "")));
        log.line_with(&[&*state.to_string_lossy(), "cannot write", "[state]"]);
        assert_eq!(pop.get("/").status, 502);
        assert_eq!(only_row(&pop).count, 1, "it is kept in memory");
        pop.shutdown();
        assert!(Edge::failures_in(state).is_err());
    }
}
