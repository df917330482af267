//! Limits towards clients: each is kept, and counted where operators look. Sizes of heads are in `framing` and
//! `hostile_requests`, sizes of bodies in `uploads`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::pop::{https_table, request, site, site_with};
use support::{Certificates, LIMIT, Origin, Pop, Reply, wait_until};

fn pop(origin: &Origin, limits: &str) -> Pop {
    Pop::start(&format!("[limits]\n{limits}\n{}", site("a.test", origin)))
}

fn quick() -> Origin {
    Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=600"], "served"))
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let origin = quick();
    let pop = pop(&origin, "connections_per_address = 2");
    let (mut one, mut two) = (pop.client(), pop.client());
    assert_eq!(one.get("a.test", "/").text(), "served");
    assert_eq!(two.get("a.test", "/").text(), "served");
    for refused in 1..=3 {
        assert!(pop.client().closed());
        assert_eq!(pop.stats().limited.per_address, refused);
    }
    assert_eq!(one.get("a.test", "/").text(), "served");
    drop(one);
    wait_until(|| pop.stats().connections == 1);
    assert_eq!(pop.get("/").text(), "served");
}

#[test]
fn beyond_all_connections_a_client_waits_for_one_that_leaves() {
    let origin = quick();
    let pop = pop(&origin, "connections = 1");
    let mut first = pop.client();
    assert_eq!(first.get("a.test", "/").text(), "served");
    let mut second = pop.client();
    second.send(request("GET", "/", &[]));
    wait_until(|| pop.stats().limited.accept_pauses > 0);
    assert_eq!((pop.stats().connections, pop.stats().accept_errors), (1, 0));
    drop(first);
    assert_eq!(second.response().text(), "served");
}

#[test]
fn a_connection_has_so_many_requests() {
    let origin = quick();
    let pop = pop(&origin, "requests_per_connection = 2");
    let mut client = pop.client();
    client.send(request("GET", "/", &[]).repeat(3));
    assert_eq!(client.response().field("connection"), None);
    assert_eq!(client.response().field("connection"), Some("close"));
    assert!(client.closed());
    assert_eq!(pop.stats().limited.spent, 1);
}

#[test]
fn who_says_nothing_or_half_a_head_is_not_waited_for() {
    let origin = quick();
    let pop = pop(&origin, "idle_timeout = \"50ms\"\nhead_timeout = \"50ms\"");
    // Nothing at all, nothing after a request, an end that never comes, and a head that comes byte by byte.
    assert!(pop.client().closed());
    let mut client = pop.client();
    assert_eq!(client.get("a.test", "/").text(), "served");
    assert!(client.closed());
    wait_until(|| pop.stats().limited.idle == 2);
    let mut client = pop.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n");
    assert_eq!(client.response().status, 408);
    assert!(client.closed());
    let drip = TcpStream::connect(pop.address()).unwrap();
    drip.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    (&drip).write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let end = Instant::now() + LIMIT;
    let mut answer = Vec::new();
    while !answer.starts_with(b"HTTP/1.1 408") {
        assert!(Instant::now() < end, "bytes put the deadline off");
        _ = (&drip).write_all(b"x");
        _ = (&drip).read_to_end(&mut answer);
    }
    wait_until(|| pop.stats().limited.heads == 2);
    assert_eq!(pop.stats().refusals, [(408, 2)]);
}

#[test]
fn a_handshake_that_does_not_end_is_not_waited_for() {
    let origin = quick();
    let certificates = Certificates::new();
    let table = https_table(&certificates.identity(&["a.test"]));
    let limits = "[limits]\nhandshake_timeout = \"50ms\"\n";
    let pop = Pop::start_with_https(&format!("{limits}{}", site_with("a.test", &origin, &table, "")));
    for bytes in [&b""[..], b"\x16\x03\x01\x00\xff\x01"] {
        let mut silent = TcpStream::connect(pop.https()).unwrap();
        silent.set_read_timeout(Some(LIMIT)).unwrap();
        silent.write_all(bytes).unwrap();
        assert!(matches!(silent.read(&mut [0; 16]), Ok(0)) || bytes.is_empty());
    }
    wait_until(|| pop.stats().limited.handshakes == 2);
}

/// More than sockets hold by themselves.
fn large() -> Origin {
    let body = vec![b'x'; 32 << 20];
    Origin::plain(move |_| Reply::ok(&body))
}

#[test]
fn a_client_that_takes_nothing_is_cut_whatever_it_sends_meanwhile() {
    let origin = large();
    let pop = pop(&origin, "write_stall = \"300ms\"");
    let client = TcpStream::connect(pop.address()).unwrap();
    client.set_nonblocking(true).unwrap();
    (&client).write_all(request("GET", "/", &[]).as_bytes()).unwrap();
    let (end, mut last) = (Instant::now() + LIMIT, Instant::now());
    while pop.stats().limited.downloads == 0 {
        assert!(Instant::now() < end, "what it sends puts the deadline off");
        if last.elapsed() > Duration::from_millis(20) {
            // Another request, byte by byte.
            _ = (&client).write(b"G");
            last = Instant::now();
        }
        std::thread::yield_now();
    }
    wait_until(|| pop.stats().connections == 0);
}

/// Takes a minute: the window of the rate.
#[test]
#[ignore = "long"]
fn a_client_that_takes_too_little_is_cut_and_one_that_takes_enough_is_not() {
    let origin = large();
    let pop = pop(&origin, "download_rate = 65536");
    let clients: Vec<_> = [4096, 128 << 10]
        .map(|rate| {
            std::thread::spawn({
                let client = TcpStream::connect(pop.address()).unwrap();
                move || trickle(&client, rate, Duration::from_secs(90))
            })
        })
        .into();
    let ends: Vec<bool> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert_eq!((ends, pop.stats().limited.downloads), (vec![true, false], 1));
}

/// Takes a response at a rate; true where the other side cuts it.
fn trickle(mut client: &TcpStream, rate: usize, time: Duration) -> bool {
    client.write_all(request("GET", "/", &[]).as_bytes()).unwrap();
    let (start, mut taken, mut room) = (Instant::now(), 0, vec![0; 4096]);
    while start.elapsed() < time {
        if taken as f64 <= start.elapsed().as_secs_f64() * rate as f64 {
            match client.read(&mut room) {
                Ok(count @ 1..) => taken += count,
                _ => return true,
            }
        } else {
            std::thread::yield_now();
        }
    }
    false
}

/// Takes twenty seconds: the window of the rate.
#[test]
#[ignore = "long"]
fn an_upload_that_comes_too_slowly_is_refused() {
    let origin = quick();
    let pop = pop(&origin, "upload_rate = 100");
    let mut client = pop.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n");
    let end = Instant::now() + Duration::from_secs(25);
    while pop.stats().limited.uploads == 0 {
        assert!(Instant::now() < end);
        client.send_if_open("x");
        let next = Instant::now() + Duration::from_millis(100);
        while Instant::now() < next {
            std::thread::yield_now();
        }
    }
    assert_eq!(client.response().status, 408);
    assert_eq!((origin.count(), pop.stats().refusals), (0, vec![(408, 1)]));
}
