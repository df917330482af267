//! What would fill the memory: more than the budget, bodies without end, variants without number.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::crowd::Crowd;
use crate::rig::{Program, is_long, scale};
use crate::support::pop::{site, site_with};
use crate::support::{Client, Gate, Origin, Reply};
use crate::{FRESH, content};

/// Fault 20.
#[test]
fn ten_times_the_budget_stays_within_it() {
    let len = 100_000;
    let origin = Origin::plain(move |request| Reply::response("200 OK", &[FRESH], content(&request.target, len)));
    let budget: usize = scale(8, 64);
    let cache = format!("[cache]\nmemory = \"{budget}MiB\"\n");
    let program = Program::start(&(cache + &site("a.test", &origin)));
    let watch = program.watch("/hit");
    let count = budget * 10 * (1 << 20) / len;
    let mut client = program.client();
    for round in 0..2 {
        for number in 0..count {
            let target = format!("/{number}");
            let response = client.get("a.test", &target);
            assert!(response.status == 200 && response.body == content(&target, len), "{round} {target}");
        }
    }
    let seen = watch.end("20 ten times the budget", format!("{budget} MiB, {count} bodies twice"));
    // In the short form all bodies together would not fill the room that the long one leaves.
    let limit = (budget as u64 + scale(40, 100)) * 1024;
    assert!(seen.peak <= limit, "{} of {limit} KiB", seen.peak);
}

/// Fault 21.
#[test]
fn a_body_without_end_passes_and_costs_little() {
    let count: usize = scale(64, 600);
    let origin = Origin::raw(move |socket, _| {
        let (mut socket, mut piece, chunk) = (socket, [0; 4096], content("/endless", 1 << 20));
        while let Ok(read @ 1..) = socket.read(&mut piece) {
            let is_endless = piece[..read].starts_with(b"GET /endless");
            // Hits are small here as well, or they would measure this side.
            let (count, chunk) = if is_endless { (count, &chunk[..]) } else { (1, &chunk[..1000]) };
            let mut sent = write!(socket, "HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n");
            for _ in 0..count {
                sent = sent.and_then(|()| write!(socket, "{:x}\r\n", chunk.len()));
                sent = sent.and_then(|()| socket.write_all(chunk)).and_then(|()| socket.write_all(b"\r\n"));
            }
            if sent.and_then(|()| socket.write_all(b"0\r\n\r\n")).is_err() {
                return;
            }
        }
    });
    let (cache, room) = scale(("[cache]\nmemory = \"8MiB\"\n", 8 + 32_u64), ("[cache]\nmemory = \"64MiB\"\n", 64 + 64));
    let program = Program::start(&(cache.to_owned() + &site("a.test", &origin)));
    let watch = program.watch("/hit");
    let mut client = program.client();
    client.send("GET /endless HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.head_of("GET").status, 200);
    let (mut left, chunk) = (Vec::new(), content("/endless", 1 << 20));
    for _ in 0..count {
        while left.len() < chunk.len() {
            left.extend(client.body_of_at_least(1));
        }
        assert!(left[..chunk.len()] == chunk);
        left.drain(..chunk.len());
    }
    assert!(left.is_empty() && client.rest().unwrap().is_empty());
    let seen = watch.end("21 endless body", format!("{count} MiB"));
    assert!(seen.growth <= room << 10, "{} KiB", seen.growth);
}

/// Fault 22. All together would fit into the cache, and into no limit on growth.
#[test]
fn variants_without_number_take_the_room_of_a_few() {
    let len = 50_000;
    let origin = Origin::plain(move |request| {
        let seed = request.field("x-variant").unwrap_or("none");
        Reply::response("200 OK", &[FRESH, "Vary: X-Variant"], content(seed, len))
    });
    let cache = "[cache]\nmemory = \"512MiB\"\n";
    let program = Program::start(&(cache.to_owned() + &site("a.test", &origin)));
    let watch = program.watch("/hit");
    let mut client = program.client();
    let count = scale(500, 5000);
    for number in 0..count {
        client.send(format!("GET /bomb HTTP/1.1\r\nHost: a.test\r\nX-Variant: v{number}\r\n\r\n"));
        let response = client.response();
        assert!(response.status == 200 && response.body == content(&format!("v{number}"), len), "{number}");
    }
    let seen = watch.end("22 variants", count);
    assert!(seen.growth <= scale(16_u64, 64) << 10, "{} KiB", seen.growth);
}

/// Fault 28: larger than may be stored, and wanted by many at once.
#[test]
fn a_large_response_for_many_cold_clients_reaches_all_of_them() {
    let (len, count) = (scale(16 << 20, 200 << 20), scale(6, 20));
    let gate = Gate::new();
    let (held, fetches) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = fetches.clone();
    let origin = Origin::raw(move |socket, _| {
        let (mut socket, mut piece, chunk) = (socket, [0; 4096], content("/large", 1 << 20));
        while let Ok(read @ 1..) = socket.read(&mut piece) {
            let is_large = piece[..read].starts_with(b"GET /large");
            let len = if is_large { len } else { 1000 };
            if is_large {
                counted.fetch_add(1, Ordering::SeqCst);
                held.wait();
            }
            let mut sent = write!(socket, "HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {len}\r\n\r\n");
            for at in (0..len).step_by(chunk.len()) {
                sent = sent.and_then(|()| socket.write_all(&chunk[..chunk.len().min(len - at)]));
            }
            if sent.is_err() {
                return;
            }
        }
    });
    let cache = "[cache]\nmemory = \"64MiB\"\n";
    let lines = "timeouts = { first_byte = \"30s\" }\n";
    let program = Program::start(&(cache.to_owned() + &site_with("a.test", &origin, "", lines)));
    let watch = program.watch("/hit");
    let (mut crowd, mut reader) = (Crowd::connect(program.http, count - 1), program.client());
    crowd.say("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n");
    reader.send("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n");
    gate.wait_for_arrivals(1);
    gate.open();
    crowd.hear_until(Duration::from_secs(300), |crowd| {
        crowd.0.iter().all(|member| member.is_over || member.taken > len as u64)
    });
    // The last one looks at every byte.
    reader.head_of("GET");
    let chunk = content("/large", 1 << 20);
    assert!(reader.rest().unwrap().chunks(chunk.len()).all(|piece| piece == &chunk[..piece.len()]));
    let fetches = fetches.load(Ordering::SeqCst);
    let whole = 1 + crowd.0.iter().filter(|member| member.taken > len as u64).count();
    let seen = watch.end("28 large for many", format!("{whole} of {count} whole, {fetches} fetches of {len} bytes"));
    assert_eq!((whole, fetches), (count, 1));
    assert!(!is_long() || seen.growth <= 300 << 10, "{} KiB", seen.growth);
    assert_eq!(Client::plain(program.http).get("a.test", "/hit").status, 200);
}
