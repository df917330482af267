//! Mixed traffic with faults, for a time: every byte that a client takes for whole is the right one, memory settles, and
//! nothing is left behind. Five seconds each time; `MILLPOND_SOAK_SECONDS=600 cargo test --release --test soak -- --ignored
//! --nocapture` for as long as wanted (ten minutes unless it is set).
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

#[path = "faults/crowd.rs"]
mod crowd;
#[path = "faults/rig.rs"]
mod rig;

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crowd::Load;
use rig::{Program, content};
use support::pop::{site, site_with};
use support::{Client, Origin, Reply, Request, wait_until};

const FRESH: &str = "Cache-Control: max-age=2, stale-if-error=60";
const LARGE: usize = 300_000;
/// Of the store, in bytes.
const BUDGET: usize = 32 << 20;

#[test]
fn five_seconds_of_mixed_traffic_and_every_byte_is_right() {
    soak(Duration::from_secs(5));
}

#[test]
#[ignore = "takes MILLPOND_SOAK_SECONDS, ten minutes unless it is set"]
fn mixed_traffic_for_long_and_memory_settles() {
    let seconds = std::env::var("MILLPOND_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    soak(Duration::from_secs(seconds.unwrap_or(600)));
}

fn soak(time: Duration) {
    let (sound, flapping, lying) = (Origin::plain(answer), Origin::plain(flap), Origin::plain(lie));
    let lines = "timeouts = { first_byte = \"1s\", between_bytes = \"1s\" }\n";
    let sites = site("a.test", &sound)
        + &site_with("flapping.test", &flapping, "", lines)
        + &site_with("lying.test", &lying, "", lines);
    let toml = format!("[cache]\nmemory = {BUDGET}\n{sites}");
    let program = Program::with_door(&toml);
    if is_to_settle(time) {
        fill(program.http);
    }
    let watch = program.watch("/hit");
    let before = program.vitals().descriptors();
    let address = program.http;
    let load = Load::start(KINDS.len(), move |thread, turn| {
        KINDS[thread](address, turn);
        sleep(Duration::from_millis(2));
    });
    let (begin, mut sizes, mut beats) = (Instant::now(), Vec::new(), 0);
    while begin.elapsed() < time {
        load.wait_for_rounds(1);
        sleep(Duration::from_millis(200));
        sizes.push((program.vitals().resident() + program.vitals().memory_files()) as f64);
        beats += 1;
        if beats % 5 == 0 {
            assert!(program.operate(&["purge", "--prefix", "http://a.test/small/"]));
            program.reload(&format!("[limits]\nrequest_fields = {}\n{toml}", 60 + beats % 7));
            [&sound, &flapping, &lying].iter().for_each(|origin| origin.forget_requests());
        }
    }
    let rounds = load.end();
    let slope = slope(&sizes[sizes.len() / 2..]);
    watch.quietly().print("soak", format!("{time:?}, {rounds} rounds"));
    drop((sound, flapping, lying));
    let eighths = sizes.chunks(sizes.len().div_ceil(8)).map(|part| part.iter().sum::<f64>() as usize / part.len());
    let eighths: Vec<usize> = eighths.collect();
    println!("| memory over the last half: {:+.2} %, by eighths {eighths:?} KiB |", slope * 100.0);
    let said = program.said();
    assert!(!said.contains("panicked"), "{said}");
    // Large responses that are stored have a memory file each.
    assert!(program.operate(&["purge", "--everything"]));
    wait_until(|| {
        sleep(Duration::from_millis(50));
        program.vitals().descriptors() <= before + KEPT
    });
    if is_to_settle(time) {
        assert!(slope <= 0.01, "memory grows by {:.2} % over the last half", slope * 100.0);
    }
}

/// Is it so long that memory must have settled in its second half?
fn is_to_settle(time: Duration) -> bool {
    time >= Duration::from_secs(300)
}

/// More than the store holds, so that it is full before memory is looked at, and whatever comes takes the place of something.
fn fill(address: SocketAddr) {
    let mut client = Client::plain(address);
    for number in 0..BUDGET * 3 / 2 / 3000 {
        let target = format!("/fill/{number}");
        is_right(&client.get("a.test", &target), &target);
    }
}

/// The growth from the first to the last by the straight line through them all, as a share of their mean.
fn slope(sizes: &[f64]) -> f64 {
    let count = sizes.len() as f64;
    let (mean_at, mean) = ((count - 1.0) / 2.0, sizes.iter().sum::<f64>() / count);
    let each = |at: usize, size: f64| ((at as f64 - mean_at) * (size - mean), (at as f64 - mean_at).powi(2));
    let sums = sizes.iter().enumerate().map(|(at, size)| each(at, *size));
    let (above, below) = sums.fold((0.0, 0.0), |(above, below), (a, b)| (above + a, below + b));
    if below > 0.0 { above / below * (count - 1.0) / mean } else { 0.0 }
}

/// Idle connections to origins, looked at when they are next wanted.
const KEPT: usize = 24;

// The origins.

fn len_of(target: &str) -> usize {
    if target.starts_with("/large") { LARGE } else { 3000 }
}

fn answer(request: &Request) -> Reply {
    if request.method == "POST" {
        return Reply::response("200 OK", &["Cache-Control: no-store"], &request.body);
    }
    let etag = format!("\"{}\"", request.target);
    if request.field("if-none-match") == Some(&etag) {
        return Reply::bytes(format!("HTTP/1.1 304 Not Modified\r\n{FRESH}\r\nETag: {etag}\r\n\r\n"));
    }
    let body = content(&request.target, len_of(&request.target));
    match request.target.len() % 2 {
        0 => Reply::response("200 OK", &[FRESH, &format!("ETag: {etag}")], body),
        _ => {
            let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nETag: {etag}\r\nTransfer-Encoding: chunked\r\n\r\n");
            let (first, rest) = body.split_at(body.len() / 3);
            let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
            Reply::bytes(head).then(chunk(first)).then(chunk(rest)).then("0\r\n\r\n")
        }
    }
}

/// Ill for half of each 32 connections.
fn flap(request: &Request) -> Reply {
    match request.connection % 32 {
        0..8 => Reply::nothing().reset(),
        8..16 => Reply::response("500 Internal Server Error", &[], "ill").close(),
        _ if request.index == 7 => answer(request).close(),
        _ => answer(request),
    }
}

/// Promises more than it sends, sends more than it promised, or ends its chunks in the middle.
fn lie(request: &Request) -> Reply {
    let body = content(&request.target, len_of(&request.target));
    let head = |framing: &str| Reply::bytes(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n{framing}\r\n\r\n"));
    let head_of = |body: &[u8]| format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {}\r\n\r\n", body.len());
    match request.connection % 4 {
        0 => head(&format!("Content-Length: {}", body.len())).then(&body[..body.len() / 2]).cut(),
        // In one piece with the end of the answer: nobody can tell what comes on a connection that is in use again.
        1 if body.len() < LARGE => {
            let more = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
            Reply::bytes([head_of(&body).as_bytes(), &body, more.as_bytes()].concat()).close()
        }
        2 => head("Transfer-Encoding: chunked").then("ffff\r\n").then(&body[..1000]).reset(),
        _ => answer(request).close(),
    }
}

// The clients.

type Kind = fn(SocketAddr, usize);

const KINDS: [Kind; 9] = [hits, misses, ranges, conditions, uploads, leavers, slow_readers, of_flapping, of_lying];

#[track_caller]
fn is_right(response: &support::Response, target: &str) {
    let is_right = response.status == 200 && response.body == content(target, len_of(target));
    assert!(is_right, "{target}: {} bytes after {}", response.body.len(), String::from_utf8_lossy(&response.head));
}

fn hits(address: SocketAddr, turn: usize) {
    let mut client = Client::plain(address);
    for number in 0..20 {
        let target = format!("/small/{}", (turn + number) % 100);
        is_right(&client.get("a.test", &target), &target);
    }
}

fn misses(address: SocketAddr, turn: usize) {
    let target = format!("/miss/{turn}");
    is_right(&Client::plain(address).get("a.test", &target), &target);
}

fn ranges(address: SocketAddr, turn: usize) {
    let target = format!("/large/{}", turn % 20);
    let (from, to) = (turn * 7919 % LARGE, (turn * 7919 % LARGE + 5000).min(LARGE - 1));
    let mut client = Client::plain(address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nRange: bytes={from}-{to}\r\n\r\n"));
    let response = client.response();
    let body = content(&target, LARGE);
    match response.status {
        206 => assert!(response.body == body[from..=to], "{target} {from}-{to}"),
        _ => is_right(&response, &target),
    }
}

fn conditions(address: SocketAddr, turn: usize) {
    let target = format!("/small/{}", turn % 100);
    let mut client = Client::plain(address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nIf-None-Match: \"{target}\"\r\n\r\n"));
    assert_eq!(client.response().status, 304, "{target}");
}

fn uploads(address: SocketAddr, turn: usize) {
    let body = content("/upload", turn * 7919 % 400_000);
    let mut client = Client::plain(address);
    client.send(format!("POST /upload HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    assert!(client.response_to("POST").body == body);
}

fn leavers(address: SocketAddr, turn: usize) {
    let mut client = Client::plain(address);
    let target = ["/large/left", "/small/left", "/miss/left"][turn % 3];
    client.send(format!("GET {target}/{} HTTP/1.1\r\nHost: a.test\r\n\r\n", turn % 200));
    if turn.is_multiple_of(2) {
        client.head_of("GET");
    }
    client.reset();
}

fn slow_readers(address: SocketAddr, turn: usize) {
    let target = format!("/large/{}", turn % 20);
    let mut client = Client::plain(address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    assert_eq!(client.head_of("GET").status, 200);
    let mut body = Vec::new();
    while body.len() < LARGE / 2 {
        body.extend(client.body_of_at_least(1));
        sleep(Duration::from_millis(5));
    }
    body.extend(client.rest().unwrap());
    assert!(body == content(&target, LARGE), "{target}");
}

/// An error is told as one, and everything else is right.
fn of_flapping(address: SocketAddr, turn: usize) {
    let target = format!("/small/{}", turn % 300);
    let response = Client::plain(address).get("flapping.test", &target);
    if response.status < 500 {
        is_right(&response, &target);
    }
}

/// The same; what is cut short the client can tell.
fn of_lying(address: SocketAddr, turn: usize) {
    let target = format!("/{}/{}", ["small", "large"][turn % 2], turn % 300);
    let mut client = Client::plain(address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: lying.test\r\n\r\n"));
    if let Ok(response) = client.try_response("GET")
        && response.status < 500
    {
        is_right(&response, &target);
    }
}
