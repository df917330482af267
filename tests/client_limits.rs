//! Limits towards clients: each is kept, and counted where operators look. To the byte, sizes of heads are in `framing` and
//! `hostile_requests`, those of bodies in `uploads`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::client::client_config;
use support::pop::{https_table, request, site, site_with};
use support::{Certificates, Client, LIMIT, Origin, Pop, Reply, wait_until};

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
fn a_limit_on_addresses_that_a_reload_brings_counts_who_is_there_and_closes_nobody() {
    let origin = quick();
    let pop = pop(&origin, "");
    let (mut one, mut two) = (pop.client(), pop.client());
    assert_eq!((one.get("a.test", "/").status, two.get("a.test", "/").status), (200, 200));
    let limits = format!("[limits]\nconnections_per_address = 2\n{}", site("a.test", &origin));
    pop.reload("http = \"127.0.0.1:0\"", &limits).unwrap();
    // With an answer of each worker it has taken the limit up.
    assert_eq!((one.get("a.test", "/").status, two.get("a.test", "/").status), (200, 200));
    assert!(pop.client().closed());
    drop(one);
    wait_until(|| pop.stats().connections == 1);
    assert_eq!(pop.get("/").status, 200);
}

#[test]
fn all_listeners_share_the_limit_on_connections() {
    let origin = quick();
    let certificates = Certificates::new();
    let table = https_table(&certificates.identity(&["a.test"]));
    let limits = "[limits]\nconnections = 1\n";
    let pop = Pop::start_with_https(&format!("{limits}{}", site_with("a.test", &origin, &table, "")));
    let mut first = pop.client();
    assert_eq!(first.get("a.test", "/").status, 200);
    let (https, roots) = (pop.https(), certificates.roots());
    let second = std::thread::spawn(move || Client::tls(https, &roots, "a.test").get("a.test", "/").status);
    wait_until(|| pop.stats().limited.accept_pauses > 1);
    assert_eq!(pop.stats().connections, 1);
    assert_eq!(first.get("a.test", "/").status, 200);
    drop(first);
    assert_eq!(second.join().unwrap(), 200);
}

#[test]
fn what_is_too_large_is_counted_under_its_limit() {
    let origin = quick();
    let pop =
        pop(&origin, "request_line = \"1KiB\"\nrequest_head = \"2KiB\"\nrequest_fields = 10\nrequest_body = \"1KiB\"");
    let mut sent = Vec::new();
    for (most, more, status) in [
        (
            request("GET", &format!("/{}", "x".repeat(1010)), &[]),
            request("GET", &format!("/{}", "x".repeat(1011)), &[]),
            414,
        ),
        (request("GET", "/", &["X: y"; 9]), request("GET", "/", &["X: y"; 10]), 431),
        (padded(2048), padded(2049), 431),
        (posted(1024), posted(1025), 413),
        (chunked(1024), chunked(1025), 413),
    ] {
        let mut client = pop.client();
        client.send(most);
        assert_eq!(client.response().status, 200);
        client.send_if_open(more);
        assert_eq!(client.response().status, status);
        assert!(client.closed());
        let limited = pop.stats().limited;
        sent.push([limited.lines, limited.fields, limited.large_heads, limited.bodies]);
    }
    assert_eq!(sent, [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 2]]);
}

/// A request whose head has so many bytes.
fn padded(len: usize) -> String {
    let rest = request("GET", "/", &["X: "]).len();
    request("GET", "/", &[&format!("X: {}", "x".repeat(len - rest))])
}

fn posted(len: usize) -> String {
    request("POST", "/", &[&format!("Content-Length: {len}")]) + &"x".repeat(len)
}

fn chunked(len: usize) -> String {
    request("POST", "/", &["Transfer-Encoding: chunked"]) + &format!("{len:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(len))
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
fn a_new_connection_that_says_nothing_ends_at_the_nearer_limit_and_counts_under_it() {
    for (limits, counts) in [
        ("head_timeout = \"50ms\"\nidle_timeout = \"10m\"", (1, 0)),
        ("head_timeout = \"10m\"\nidle_timeout = \"50ms\"", (0, 1)),
    ] {
        let origin = quick();
        let pop = pop(&origin, limits);
        assert!(pop.client().closed());
        wait_until(|| pop.stats().connections == 0);
        assert_eq!((pop.stats().limited.heads, pop.stats().limited.idle), counts, "{limits}");
    }
}

#[test]
fn bytes_of_tls_that_are_no_request_keep_nobody() {
    let origin = quick();
    let certificates = Certificates::new();
    let table = https_table(&certificates.identity(&["a.test"]));
    let limits = "[limits]\nidle_timeout = \"100ms\"\n";
    let pop = Pop::start_with_https(&format!("{limits}{}", site_with("a.test", &origin, &table, "")));
    let mut socket = TcpStream::connect(pop.https()).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let config = client_config(&certificates.roots());
    let mut tls = rustls::ClientConnection::new(config.into(), "a.test".try_into().unwrap()).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, &mut socket);
    stream.write_all(request("GET", "/", &[]).as_bytes()).unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    // The next request, in one record that comes byte by byte.
    let mut record = Vec::new();
    tls.writer().write_all(padded(16_000).as_bytes()).unwrap();
    tls.write_tls(&mut record).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (end, mut bytes) = (Instant::now() + LIMIT, record.iter());
    while pop.stats().limited.idle == 0 {
        assert!(Instant::now() < end, "bytes put the deadline off");
        _ = socket.write_all(&[*bytes.next().unwrap()]);
        _ = socket.read(&mut [0; 4096]);
    }
    wait_until(|| pop.stats().connections == 0);
}

/// A connection that always has the next request is neither idle nor slow.
#[test]
fn requests_without_a_pause_may_go_on_for_longer_than_one_may_take() {
    let origin = quick();
    let pop = pop(&origin, "head_timeout = \"500ms\"\nidle_timeout = \"500ms\"");
    assert_eq!(pop.get("/").text(), "served");
    let client = TcpStream::connect(pop.address()).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let writer = {
        let mut client = client.try_clone().unwrap();
        std::thread::spawn(move || {
            let (begin, many) = (Instant::now(), request("GET", "/", &[]).repeat(1000));
            let mut count = 0;
            while begin.elapsed() < Duration::from_secs(2) {
                client.write_all(many.as_bytes()).unwrap();
                count += 1000;
            }
            client.write_all(request("GET", "/", &["Connection: close"]).as_bytes()).unwrap();
            count + 1
        })
    };
    let mut answers = Vec::new();
    (&client).read_to_end(&mut answers).unwrap();
    let count = answers.windows(15).filter(|window| window == b"HTTP/1.1 200 OK").count();
    assert_eq!(count, writer.join().unwrap());
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

/// RFC 5746 is for those who renegotiate; we do not, and say so (RFC 5246 §7.2.2, no_renegotiation).
#[test]
fn tls_is_never_renegotiated() {
    let origin = quick();
    let certificates = Certificates::new();
    let table = https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::start_with_https(&site_with("a.test", &origin, &table, ""));
    let address = pop.https().to_string();
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", "a.test", "-tls1_2", "-crlf"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("the tests need the program openssl: {error}"));
    // A line of R alone has it ask for another handshake.
    client.stdin.take().unwrap().write_all(b"R\n").unwrap();
    let said = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    wait_until(|| pop.stats().connections == 0);
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
    while pop.stats().limited.stalls == 0 {
        assert!(Instant::now() < end, "what it sends puts the deadline off");
        if last.elapsed() > Duration::from_millis(20) {
            // Another request, byte by byte.
            _ = (&client).write(b"G");
            last = Instant::now();
        }
        std::thread::yield_now();
    }
    wait_until(|| pop.stats().connections == 0);
    assert_eq!(pop.stats().limited.downloads, 0);
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

/// Takes twenty seconds: the window of the rate.
#[test]
#[ignore = "long"]
fn without_a_rate_an_upload_of_which_nothing_comes_is_refused_all_the_same() {
    let origin = quick();
    let pop = pop(&origin, "upload_rate = 0");
    let mut client = pop.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n");
    let end = Instant::now() + Duration::from_secs(25);
    while pop.stats().limited.uploads == 0 {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
    assert_eq!(client.response().status, 408);
    assert_eq!((origin.count(), pop.stats().refusals), (0, vec![(408, 1)]));
}
