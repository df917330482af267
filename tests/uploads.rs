//! Request bodies: taken in whole, then sent on byte for byte, or refused before they cost anything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{Read, Write};

use support::door::OPEN;
use support::pop::{is_hit, is_stored, request, site, site_with};
use support::{Certificates, Client, Door, Gate, Origin, Pop, Reply, TempDir, wait_until};

/// Bytes that show every shift and every swap.
fn bytes(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

/// An origin that sends the body back.
fn echo() -> Origin {
    Origin::plain(|request| Reply::ok(&request.body))
}

fn with_length(method: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{method} /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn chunked(method: &str, body: &[u8], chunk: usize) -> Vec<u8> {
    let mut all = format!("{method} /up HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.chunks(chunk) {
        all.extend(format!("{:X};name=\"v;\"\r\n", piece.len()).bytes());
        all.extend(piece);
        all.extend(b"\r\n");
    }
    all.extend(b"0\r\nTrailer: dropped\r\n\r\n");
    all
}

/// Sends while the answer may come already, so that neither side waits for the other's buffer.
fn exchange(mut client: Client, sent: Vec<u8>) -> (Client, support::Response) {
    client.send(sent);
    let response = client.response_to("POST");
    (client, response)
}

#[test]
fn uploads_of_every_size_arrive_byte_for_byte_with_a_length_and_the_connection_goes_on() {
    let origin = echo();
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    let sizes = [0, 1, 5000, 65_535, 65_536, 200_000, 262_143, 262_144, 262_145, 1_000_000, 5_000_000];
    for size in sizes {
        let body = bytes(size);
        for sent in [with_length("POST", &body), chunked("PUT", &body, 70_000)] {
            let response;
            (client, response) = exchange(client, sent);
            assert!(response.status == 200 && response.body == body, "{size}: {} came back", response.body.len());
            let seen = origin.requests().pop().unwrap();
            assert!(seen.body == body, "{size}: {} arrived", seen.body.len());
            assert_eq!(seen.fields_named("content-length"), [size.to_string()]);
            assert_eq!((seen.field("transfer-encoding"), seen.field("trailer")), (None, None));
        }
    }
    assert_eq!(client.get("a.test", "/after").text(), "");
}

#[test]
fn chunks_of_one_byte_arrive_whole() {
    let origin = echo();
    let pop = Pop::of(&origin);
    let body = bytes(3000);
    let (_, response) = exchange(pop.client(), chunked("POST", &body, 1));
    assert!(response.body == body);
}

#[test]
fn an_upload_over_https_arrives_byte_for_byte() {
    let certificates = Certificates::new();
    let origin = echo();
    let https = support::pop::https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::start_with_https(&(site("a.test", &origin) + &https));
    let body = bytes(1_000_000);
    let mut client = Client::tls(pop.https(), &certificates.roots(), "a.test");
    for sent in [with_length("POST", &body), chunked("POST", &body, 50_000)] {
        let response;
        (client, response) = exchange(client, sent);
        assert!(response.body == body);
    }
}

#[test]
fn many_uploads_at_once_are_not_mixed_up() {
    let origin = echo();
    let pop = Pop::of(&origin);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let pop = &pop;
            scope.spawn(move || {
                let body = bytes(400_000 + number).repeat(2);
                let (_, response) = exchange(pop.client(), with_length("POST", &body));
                assert!(response.body == body);
            });
        }
    });
    assert_eq!(origin.count(), 8);
}

#[test]
fn a_client_that_expects_100_gets_it_here_and_the_origin_never_sees_the_expectation() {
    let origin = echo();
    let pop = Pop::of(&origin);
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let mut client = pop.client();
        client.send(format!("POST /up HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"));
        assert_eq!(client.interim().status, 100);
        client.send(if framing.starts_with('C') { "hello" } else { "5\r\nhello\r\n0\r\n\r\n" });
        assert_eq!(client.response_to("POST").text(), "hello");
        assert_eq!(origin.requests().pop().unwrap().field("expect"), None);
    }
    // HTTP/1.0 knows no interim responses; the body is simply read.
    let mut client = pop.client();
    client.send("POST /up HTTP/1.0\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    let response = client.response_to("POST");
    assert_eq!((response.text().as_str(), response.interim.len()), ("hello", 0));
}

#[test]
fn an_upload_that_says_it_is_too_large_is_refused_before_its_body() {
    let origin = echo();
    let small = site_with("b.test", &origin, "request_body = 10", "");
    let pop = Pop::start(&(site("a.test", &origin) + &small + "[limits]\nrequest_body = \"1MiB\"\n"));
    let rows = [("a.test", (1 << 20) + 1), ("b.test", 11)];
    for (host, length) in rows {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut client = pop.client();
            client.send(format!("POST /up HTTP/1.1\r\nHost: {host}\r\n{expect}Content-Length: {length}\r\n\r\n"));
            let response = client.response_to("POST");
            assert_eq!((response.status, response.interim.len()), (413, 0), "{host}");
            assert_eq!(response.field("connection"), Some("close"), "{host}");
            assert!(client.closed(), "{host}");
        }
    }
    let (_, response) = exchange(pop.client(), with_length("POST", &bytes(1 << 20)));
    assert_eq!(response.body.len(), 1 << 20, "the limit itself is fine");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_client_that_sends_on_although_it_was_refused_still_gets_the_answer() {
    let origin = echo();
    let pop = Pop::start(&site_with("a.test", &origin, "request_body = 10", ""));
    for _ in 0..10 {
        let mut client = pop.client();
        let sent = with_length("POST", &bytes(500_000));
        let (head, body) = sent.split_at(sent.len() - 500_000);
        client.send(head);
        for piece in body.chunks(10_000) {
            client.send(piece);
        }
        assert_eq!(client.response_to("POST").status, 413);
        assert!(client.closed());
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_chunked_upload_is_refused_where_it_passes_the_limit() {
    let origin = echo();
    let pop = Pop::start(&(site("a.test", &origin) + "[limits]\nrequest_body = \"1MiB\"\n"));
    let mut client = pop.client();
    client.send(chunked("POST", &bytes((1 << 20) + 1), 100_000));
    let response = client.response_to("POST");
    assert_eq!((response.status, response.field("connection")), (413, Some("close")));
    assert!(client.closed());
    let (_, response) = exchange(pop.client(), chunked("POST", &bytes(1 << 20), 100_000));
    assert_eq!(response.body.len(), 1 << 20);
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_client_that_leaves_in_its_upload_never_reaches_the_origin() {
    let origin = echo();
    let pop = Pop::of(&origin);
    for (sent, size) in
        [(with_length("POST", &bytes(900_000)), 899_999), (chunked("POST", &bytes(900_000), 900), 900_000)]
    {
        for is_reset in [true, false] {
            let mut client = pop.client();
            client.send(&sent[..size]);
            match is_reset {
                true => client.reset(),
                false => drop(client),
            }
        }
    }
    wait_until(|| pop.stats().connections == 0);
    assert_eq!(origin.count(), 0);
    assert_eq!(pop.get("/x").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_upload_that_ends_its_direction_in_the_middle_is_not_taken_for_whole() {
    let origin = echo();
    let pop = Pop::of(&origin);
    for sent in [&with_length("POST", b"hello")[..], &chunked("POST", b"hello", 5)] {
        let mut client = pop.client();
        client.send(&sent[..sent.len() - 2]);
        client.finish();
        assert!(client.try_response("POST").is_err());
        assert_eq!(origin.count(), 0);
    }
}

#[test]
fn what_the_origin_answers_in_the_middle_of_an_upload_reaches_the_client() {
    // Reads the head alone, answers, and closes while the body still comes.
    let origin = Origin::raw(|mut socket, _| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if socket.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.push(byte[0]);
        }
        _ = socket.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 6\r\nConnection: close\r\n\r\nenough");
        _ = socket.shutdown(std::net::Shutdown::Write);
        // Takes what comes, so that our end does not become a reset; the other side stops by itself.
        _ = std::io::copy(&mut socket, &mut std::io::sink());
    });
    let pop = Pop::of(&origin);
    for _ in 0..5 {
        let (_, response) = exchange(pop.client(), with_length("POST", &bytes(8_000_000)));
        assert_eq!((response.status, response.text().as_str()), (413, "enough"));
    }
}

#[test]
fn an_upload_is_not_sent_twice_to_an_origin_that_broke_after_reading_it() {
    let origin = Origin::plain(|_| Reply::nothing().close());
    let pop = Pop::of(&origin);
    let (_, response) = exchange(pop.client(), with_length("POST", b"pay once"));
    assert_eq!(response.status, 502);
    assert!(response.field("proxy-status").unwrap().contains("error=connection_terminated"), "{response:?}");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_get_with_a_body_bypasses_the_cache_both_ways() {
    let origin = Origin::plain(|request| {
        Reply::response("200 OK", &["Cache-Control: max-age=600"], [b"body: ", request.body.as_slice()].concat())
    });
    let pop = Pop::of(&origin);
    for body in ["one", "two"] {
        let (_, response) = exchange(pop.client(), with_length("GET", body.as_bytes()));
        assert_eq!((response.text(), is_stored(&response)), (format!("body: {body}"), false));
    }
    assert!(!is_hit(&pop.get("/up")), "nothing with a body was stored");
    let (_, response) = exchange(pop.client(), with_length("GET", b"three"));
    assert_eq!(response.text(), "body: three", "what is stored is not served for a body");
    assert!(is_hit(&pop.get("/up")));
}

#[test]
fn a_slow_upload_holds_no_fetcher_and_nobody_up() {
    let origin = echo();
    let pop = Pop::start(&(site("a.test", &origin) + "[workers]\ncount = 1\nfetchers = 1\nmax_fetches = 1\n"));
    let mut slow = pop.client();
    let sent = with_length("POST", b"hello");
    slow.send(&sent[..sent.len() - 1]);
    for _ in 0..5 {
        assert_eq!(pop.get("/x").status, 200);
    }
    assert!(origin.requests().iter().all(|request| request.method == "GET"));
    slow.send("o");
    assert_eq!(slow.response_to("POST").text(), "hello");
}

#[test]
fn requests_behind_an_upload_wait_their_turn() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| match request.method.as_str() {
        "POST" => Reply::nothing().wait(&held).then("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nposted"),
        _ => Reply::ok("got"),
    });
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    client.send([with_length("POST", &bytes(300_000)), request("GET", "/x", &[]).into_bytes()].concat());
    gate.wait_for_arrivals(1);
    gate.open();
    assert_eq!(client.response_to("POST").text(), "posted");
    assert_eq!(client.response().text(), "got");
}

#[test]
fn an_upload_that_cannot_be_kept_is_refused_for_that_and_one_that_is_counts_once() {
    let origin = echo();
    let folder = TempDir::new();
    let cache = format!("[cache]\ntemp_dir = \"{}\"\n", folder.path().display());
    let pop = Pop::start(&format!("{OPEN}{cache}{}", site("a.test", &origin)));
    let door = Door::of(&pop);
    let count = |name: &str| {
        let page = door.get("/metrics").text();
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap()
    };
    let body = bytes(1 << 20);
    let (_, response) = exchange(pop.client(), with_length("POST", &body));
    assert_eq!((response.status, response.body.len()), (200, body.len()));
    drop(folder);
    let (_, response) = exchange(pop.client(), with_length("POST", &body));
    assert_eq!(response.status, 503);
    assert_eq!((count("millpond_uploads_spilled_total "), count("millpond_spill_errors_total ")), (2, 1));
    assert_eq!((origin.count(), pop.stats().refusals), (1, vec![(503, 1)]));
}
