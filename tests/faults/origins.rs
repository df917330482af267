//! Origins that hang, flap or answer what cannot be shared, and herds before them.

use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::crowd::{Crowd, Load};
use crate::rig::{Program, is_long, scale};
use crate::support::pop::{site, site_at, site_with};
use crate::support::{Client, Gate, Origin, Reply, wait_until};
use crate::{FRESH, content, sound};

const FIRST_BYTE: fn() -> &'static str =
    || scale("timeouts = { first_byte = \"1s\" }\n", "timeouts = { first_byte = \"3s\" }\n");

fn ask(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

/// It takes requests and never answers.
fn silent() -> Origin {
    Origin::raw(|socket, _| {
        let mut piece = [0; 1024];
        while std::io::Read::read(&mut &*socket, &mut piece).is_ok_and(|read| read > 0) {}
    })
}

/// Fault 7.
#[test]
fn while_one_origin_hangs_hits_and_another_sites_misses_go_on() {
    let (origin, hung) = (sound(), silent());
    let toml = site("a.test", &origin) + &site_with("hung.test", &hung, "", FIRST_BYTE());
    let program = Program::start(&toml);
    let watch = program.watch("/hit");
    let mut crowd = Crowd::connect(program.http, scale(200, 600));
    crowd.say_each(|number| format!("GET /{number} HTTP/1.1\r\nHost: hung.test\r\n\r\n"));
    let begin = Instant::now();
    let (mut times, mut client) = (Vec::new(), program.client());
    while !crowd.is_answered() {
        let asked = Instant::now();
        let target = format!("/miss/{}", times.len());
        assert!(client.get("a.test", &target).body == content(&target, 1000));
        times.push(asked.elapsed());
        crowd.hear(1024);
        sleep(Duration::from_millis(20));
        assert!(begin.elapsed() < Duration::from_secs(60), "{} wait still", crowd.open());
    }
    times.sort();
    let (p99, over) = (times[(times.len() * 99 / 100).min(times.len() - 1)], begin.elapsed());
    watch
        .end("7 hung origin", format!("{} clients answered after {over:?}, others' misses p99 {p99:?}", crowd.0.len()));
    assert_eq!(crowd.with_status("5"), crowd.0.len());
    assert!(!is_long() || p99 <= Duration::from_millis(500), "{p99:?}");
}

/// Fault 8 and 12: the origin's port refuses and accepts by turns.
#[test]
fn an_origin_that_flaps_costs_no_hit_and_is_back_at_once() {
    let answer =
        |request: &crate::support::Request| Reply::response("200 OK", &[FRESH], content(&request.target, 1000));
    let mut origin = Some(Origin::plain(answer));
    let address = origin.as_ref().unwrap().address().to_string();
    let program = Program::start(&site_at("a.test", &address, "", ""));
    let watch = program.watch("/hit");
    let beat = scale(Duration::from_millis(200), Duration::from_secs(1));
    let (mut statuses, mut worst_back, mut worst_refusal) = ([0; 2], Duration::ZERO, Duration::ZERO);
    let mut number = 0;
    let mut miss = || {
        number += 1;
        let target = format!("/miss/{number}");
        let asked = Instant::now();
        let response = program.client().get("a.test", &target);
        let is_good = response.status == 200 && response.body == content(&target, 1000);
        assert!(is_good || [502, 503].contains(&response.status), "{:?}", response.head);
        statuses[usize::from(!is_good)] += 1;
        (is_good, asked.elapsed())
    };
    for _ in 0..6 {
        drop(origin.take());
        let gone = Instant::now();
        while gone.elapsed() < beat {
            let (is_good, took) = miss();
            assert!(!is_good);
            worst_refusal = worst_refusal.max(took);
        }
        origin = Some(Origin::start(&address, None, answer));
        let back = Instant::now();
        wait_until(|| {
            miss().0 || {
                sleep(Duration::from_millis(5));
                false
            }
        });
        worst_back = worst_back.max(back.elapsed());
    }
    drop(origin);
    watch.end(
        "8, 12 flapping",
        format!("{statuses:?} misses, refused within {worst_refusal:?}, back after {worst_back:?}"),
    );
    if is_long() {
        assert!(worst_back <= Duration::from_secs(1), "{worst_back:?}");
        assert!(worst_refusal <= Duration::from_secs(1), "{worst_refusal:?}");
    }
}

/// Fault 9: an origin whose machine drops what it is sent.
#[test]
fn a_black_hole_is_given_up_in_time_and_holds_nobody_up() {
    let (origin, hole) = (sound(), socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap());
    hole.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    hole.listen(0).unwrap();
    let address = hole.local_addr().unwrap().as_socket().unwrap();
    // With its queue full, whoever comes next hears nothing.
    let patience = Duration::from_millis(200);
    let full: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, patience).ok()).take(16).collect();
    assert!(full.len() < 16, "the queue has no end");
    let lines = scale("timeouts = { connect = \"1s\" }\nretries = 0\n", "retries = 0\n");
    let toml = site("a.test", &origin) + &site_at("hole.test", &address.to_string(), "", lines);
    let program = Program::start(&toml);
    let watch = program.watch("/hit");
    let begin = Instant::now();
    let mut crowd = Crowd::connect(program.http, scale(20, 200));
    crowd.say_each(|number| format!("GET /{number} HTTP/1.1\r\nHost: hole.test\r\n\r\n"));
    // Half of them find a fetcher at once.
    crowd.hear_until(Duration::from_secs(60), |crowd| crowd.with_status("50") >= crowd.0.len() / 2);
    let half = begin.elapsed();
    crowd.hear_until(Duration::from_secs(60), Crowd::is_answered);
    let over = begin.elapsed();
    watch.end("9 black hole", format!("{} clients, half after {half:?}, all after {over:?}", crowd.0.len()));
    assert_eq!(crowd.with_status("50"), crowd.0.len());
    if is_long() {
        assert!(half <= Duration::from_secs(4), "connect timeout and a second: {half:?}");
        assert!(over <= Duration::from_secs(8), "two rounds of fetches: {over:?}");
    }
}

/// Fault 13.
#[test]
fn a_herd_is_one_fetch() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/herd" => Reply::nothing()
            .wait(&held)
            .then("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 5\r\n\r\nhello"),
        target => Reply::response("200 OK", &[FRESH], content(target, 1000)),
    });
    let program = Program::start(&site("a.test", &origin));
    let watch = program.watch("/hit");
    let begin = Instant::now();
    let mut crowd = Crowd::connect(program.http, scale(300, 1000));
    crowd.say(ask("/herd"));
    gate.wait_for_arrivals(1);
    sleep(scale(Duration::from_millis(100), Duration::from_secs(1)));
    gate.open();
    crowd.hear_until(Duration::from_secs(20), Crowd::is_answered);
    let over = begin.elapsed();
    watch.end("13 herd", format!("{} clients, over after {over:?}", crowd.0.len()));
    assert_eq!(crowd.with_status("200"), crowd.0.len());
    assert_eq!(origin.requests().iter().filter(|request| request.target == "/herd").count(), 1);
    assert!(!is_long() || over <= Duration::from_secs(3), "{over:?}");
}

/// Fault 14.
#[test]
fn a_herd_on_what_cannot_be_shared_does_not_queue_up() {
    let origin = Origin::plain(|request| match request.target.as_str() {
        "/own" => {
            sleep(Duration::from_millis(200));
            Reply::response("200 OK", &["Cache-Control: no-store"], "own")
        }
        target => Reply::response("200 OK", &[FRESH], content(target, 1000)),
    });
    let program = Program::start(&site("a.test", &origin));
    let watch = program.watch("/hit");
    let begin = Instant::now();
    let mut crowd = Crowd::connect(program.http, scale(40, 200));
    crowd.say(ask("/own"));
    crowd.hear_until(Duration::from_secs(30), Crowd::is_answered);
    let over = begin.elapsed();
    watch.end("14 herd, no-store", format!("{} clients, over after {over:?}", crowd.0.len()));
    assert_eq!(crowd.with_status("200"), crowd.0.len());
    let fetches = origin.requests().iter().filter(|request| request.target == "/own").count();
    assert_eq!(fetches, crowd.0.len(), "nobody gets another's");
    assert!(!is_long() || over <= Duration::from_secs(3), "{over:?}");
}

/// Fault 15.
#[test]
fn a_herd_before_a_hung_origin_shares_its_failure() {
    let (origin, hung) = (sound(), silent());
    let toml = site("a.test", &origin) + &site_with("hung.test", &hung, "", FIRST_BYTE());
    let program = Program::start(&toml);
    let watch = program.watch("/hit");
    let begin = Instant::now();
    let mut crowd = Crowd::connect(program.http, scale(40, 100));
    crowd.say("GET /one HTTP/1.1\r\nHost: hung.test\r\n\r\n");
    crowd.hear_until(Duration::from_secs(30), Crowd::is_answered);
    let (over, fetches) = (begin.elapsed(), hung.connections());
    watch.end("15 herd, hung", format!("{} clients, {fetches} connections, over after {over:?}", crowd.0.len()));
    assert_eq!(crowd.with_status("504"), crowd.0.len());
    assert!(fetches <= 3, "{fetches} connections for one key");
    assert!(!is_long() || over <= Duration::from_secs(7), "{over:?}");
}

/// Faults 16, 17 and 18.
#[test]
fn a_first_client_that_leaves_or_stands_still_harms_nobody() {
    let (gate, len) = (Gate::new(), 1 << 20);
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let body = content(&request.target, len);
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {len}\r\n\r\n");
        let (first, rest) = body.split_at(len / 5);
        match request.target.as_str() {
            "/hit" => Reply::bytes(head).then(body),
            _ => Reply::bytes(head).then(first).wait(&held).then(rest),
        }
    });
    let program = Program::start(&site("a.test", &origin));
    let watch = program.watch("/hit");
    let mut leavers: Vec<Client> = ["/left", "/still"].iter().map(|target| asking(program.http, target)).collect();
    for leader in &mut leavers {
        leader.head_of("GET");
        leader.body_of_at_least(len / 10);
    }
    // The other one stays, and reads no further.
    leavers.remove(0).reset();
    let mut followers: Vec<(&str, Client)> =
        (0..20).map(|n| ["/left", "/still"][n % 2]).map(|target| (target, asking(program.http, target))).collect();
    for (_, follower) in &mut followers {
        follower.head_of("GET");
    }
    gate.open();
    let begin = Instant::now();
    for (target, follower) in &mut followers {
        assert!(follower.rest().unwrap() == content(target, len), "{target}");
    }
    let over = begin.elapsed();
    assert!(!is_long() || over <= Duration::from_millis(5300), "{over:?}");
    for target in ["/left", "/still"] {
        assert!(program.client().get("a.test", target).body == content(target, len));
        assert_eq!(origin.requests().iter().filter(|request| request.target == target).count(), 1, "{target}");
    }
    // Alone, and gone: what is left of it is never taken for the whole.
    for _ in 0..10 {
        let mut client = asking(program.http, "/alone");
        client.head_of("GET");
        client.reset();
    }
    assert!(program.client().get("a.test", "/alone").body == content("/alone", len));
    assert!(origin.requests().iter().filter(|request| request.target == "/alone").count() <= 11);
    watch.end("16-18 leaders", format!("20 followers whole after {over:?}"));
}

fn asking(address: SocketAddr, target: &str) -> Client {
    let mut client = Client::plain(address);
    client.send(ask(target));
    client
}

/// Fault 27: bodies that are cut, resets, silence. What a client takes for whole is whole, and so is what is stored.
#[test]
fn of_an_origin_that_breaks_off_no_broken_body_is_stored() {
    let origin = Origin::plain(|request| {
        let body = content(&request.target, 10_000);
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {}\r\n\r\n", body.len());
        let broken = Reply::bytes(&head).then(&body[..4000]);
        match request.target.bytes().map(u32::from).sum::<u32>() % 5 + request.connection as u32 % 3 {
            // The connection stays, and nothing comes: in the middle of a body, and before an answer.
            _ if request.connection % 80 == 7 => broken,
            _ if request.connection % 80 == 47 => Reply::nothing(),
            0 => broken.cut(),
            1 => broken.reset(),
            2 => Reply::nothing().reset(),
            _ => Reply::bytes(head).then(body),
        }
    });
    let lines = "timeouts = { first_byte = \"500ms\", between_bytes = \"500ms\" }\n";
    let program = Program::start(&site_with("a.test", &origin, "", lines));
    let address = program.http;
    let load = Load::start(4, move |thread, turn| {
        let target = format!("/{}", (turn * 7 + thread) % 100);
        let mut client = asking(address, &target);
        // Cut short is what a client can tell; anything else must be right.
        if let Ok(response) = client.try_response("GET") {
            let is_right = response.status == 200 && response.body == content(&target, 10_000);
            assert!(is_right || response.status >= 500, "{target} {:?}", response.head);
        }
    });
    load.wait_for_rounds(scale(300, 3000));
    println!("| 27 origin breaks off | {} requests, {} fetches, none wrong |", load.end(), origin.count());
}
