//! Clients that are slow, silent, too many, or gone.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, prlimit};

use crate::crowd::Crowd;
use crate::rig::{Program, Vitals, is_long, scale};
use crate::support::pop::{https_table, site};
use crate::support::{Certificates, Client, LIMIT, Origin, Reply, wait_until};
use crate::{FRESH, content, sound};

const BEAT: fn() -> Duration = || scale(Duration::from_millis(100), Duration::from_secs(1));

/// Fault 1.
#[test]
fn heads_byte_by_byte_are_cut_off_and_hits_go_on() {
    let origin = sound();
    let limits = scale("[limits]\nhead_timeout = \"1s\"\n", "");
    let program = Program::start(&(limits.to_owned() + &site("a.test", &origin)));
    let watch = program.watch("/hit");
    let mut crowd = Crowd::connect(program.http, scale(50, 1000));
    crowd.say("GET /slow HTTP/1.1\r\nHost: a.test\r\nX-Slow: ");
    let begin = Instant::now();
    while crowd.open() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(40), "{} are open still", crowd.open());
        crowd.say("x");
        crowd.hear(1024);
        sleep(BEAT());
    }
    let seen = watch.end("1 slow heads", format!("{} clients, over after {:?}", crowd.0.len(), begin.elapsed()));
    assert!(!is_long() || seen.growth <= 32 * 1000 + 8192, "{} KiB", seen.growth);
    assert!(origin.requests().iter().all(|request| request.target == "/hit"));
}

/// Fault 2.
#[test]
fn bodies_byte_by_byte_reach_no_origin_and_hold_nobody_up() {
    let origin = sound();
    let program = Program::start(&site("a.test", &origin));
    let watch = program.watch("/hit");
    let mut crowd = Crowd::connect(program.http, scale(40, 500));
    crowd.say("POST /slow HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\n");
    for _ in 0..scale(10, 30) {
        crowd.say("x");
        crowd.hear(1024);
        sleep(BEAT());
    }
    let seen = watch.end("2 slow bodies", format!("{} clients, {} still open", crowd.0.len(), crowd.open()));
    if is_long() {
        assert_eq!(crowd.open(), 0, "below upload_rate nobody stays");
        assert!(seen.growth <= 64 * 500, "{} KiB", seen.growth);
    }
    assert!(origin.requests().iter().all(|request| request.target == "/hit"));
}

/// Fault 3.
#[test]
fn readers_that_take_a_little_at_a_time_hold_nobody_up() {
    let len = scale(4 << 20, 50 << 20);
    let origin = Origin::plain(move |request| {
        let len = if request.target == "/large" { len } else { 1000 };
        Reply::response("200 OK", &[FRESH], content(&request.target, len))
    });
    let cache = "[cache]\nmemory = \"256MiB\"\nmax_response = \"64MiB\"\n";
    let program = Program::start(&(cache.to_owned() + &site("a.test", &origin)));
    assert!(program.client().get("a.test", "/large").body == content("/large", len));
    let watch = program.watch("/hit");
    let count = scale(100, 2000);
    let mut crowd = Crowd::connect(program.http, count);
    crowd.say("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n");
    for _ in 0..scale(10, 30) {
        crowd.hear(1024);
        sleep(BEAT());
    }
    assert_eq!((crowd.open(), crowd.with_status("200")), (count, count));
    let unsent = Vitals::unsent(program.http.port()) / count as u64;
    let seen =
        watch.end("3 slow readers", format!("{count} clients of {len} bytes, {unsent} unsent in the system each"));
    assert!(unsent <= 128 << 10, "{unsent} bytes each");
    assert!(!is_long() || seen.growth <= 128 * count as u64, "{} KiB", seen.growth);
    crowd.reset();
    assert_eq!(origin.requests().iter().filter(|request| request.target == "/large").count(), 1);
}

/// Fault 3 where each has a fetch of its own: what a reader is yet to take lies in files, not in the system's queues.
#[test]
fn slow_readers_of_what_is_not_stored_fill_no_queue_of_the_system() {
    let (count, len) = (40, 1 << 20);
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/hit" => Reply::response("200 OK", &[FRESH], content("/hit", 1000)),
        target => Reply::response("200 OK", &["Cache-Control: no-store"], content(target, len)),
    });
    let program = Program::start(&site("a.test", &origin));
    let watch = program.watch("/hit");
    let mut crowd = Crowd::connect(program.http, count);
    crowd.say_each(|number| format!("GET /{number} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    wait_until(|| {
        sleep(Duration::from_millis(20));
        crowd.hear(1024);
        crowd.with_status("200") == count
    });
    for _ in 0..10 {
        crowd.hear(1024);
        sleep(BEAT());
    }
    let unsent = Vitals::unsent(program.http.port()) / count as u64;
    watch.end(
        "3 slow readers, not stored",
        format!("{count} clients of {len} bytes, {unsent} unsent in the system each"),
    );
    assert!(unsent <= 128 << 10, "{unsent} bytes each");
    crowd.hear_until(LIMIT, |crowd| crowd.0.iter().all(|member| member.taken > len as u64));
}

/// Fault 4, and the memory of idle connections.
#[test]
fn idle_connections_are_held_and_cost_little() {
    let origin = sound();
    let limits = "[limits]\nidle_timeout = \"10m\"\n";
    let program = Program::start(&(limits.to_owned() + &site("a.test", &origin)));
    let watch = program.watch("/hit");
    let before = program.vitals().resident();
    let count = scale(1000, 15_000);
    let mut idle: Vec<Client> = (0..count)
        .map(|_| {
            let mut client = program.client();
            assert_eq!(client.get("a.test", "/hit").status, 200);
            client
        })
        .collect();
    let each = (program.vitals().resident().saturating_sub(before) * 1024) as usize / count;
    assert!(program.vitals().descriptors() >= count);
    let seen = watch.end("4 idle connections", format!("{count}, {each} bytes each"));
    assert!(seen.descriptors >= count);
    assert!(each < scale(16 << 10, 4 << 10), "{each} bytes each");
    for client in &mut idle {
        assert_eq!(client.get("a.test", "/hit").status, 200, "all are alive");
    }
    drop(idle);
    wait_until(|| program.vitals().descriptors() < 100);
}

/// Fault 5.
#[test]
fn connections_that_say_nothing_end() {
    let origin = sound();
    let limits = scale("[limits]\nhead_timeout = \"1s\"\n", "");
    let program = Program::start(&(limits.to_owned() + &site("a.test", &origin)));
    // Its kept connection asks all the while, and so is not idle.
    let watch = program.watch("/hit");
    let begin = Instant::now();
    let mut crowd = Crowd::connect(program.http, scale(200, 5000));
    crowd.hear_until(Duration::from_secs(65), |crowd| crowd.open() == 0);
    let over = begin.elapsed();
    watch.end("5 silent connections", format!("{} clients, over after {over:?}", crowd.0.len()));
    assert!(!is_long() || over <= Duration::from_secs(60), "{over:?}");
    assert!(crowd.0.iter().all(|member| member.taken == 0));
}

/// Fault 6.
#[test]
fn out_of_descriptors_it_serves_what_is_open_and_never_spins() {
    let (origin, other) = (sound(), sound());
    let program = Program::start(&(site("a.test", &origin) + &site("b.test", &other)));
    let mut open = program.client();
    assert_eq!(open.get("a.test", "/hit").status, 200);
    let vitals = program.vitals();
    let most = vitals.descriptors() as u64 + 60;
    let old = prlimit(Some(program.pid()), Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
    assert!(old.is_ok(), "{old:?}");
    let mut crowd = Crowd::connect(program.http, scale(150, 400));
    crowd.say("GET /hit HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until(|| {
        sleep(Duration::from_millis(5));
        vitals.descriptors() as u64 >= most
    });
    let (begin, cpu) = (Instant::now(), vitals.cpu());
    let (mut hits, mut misses) = (0, [0; 2]);
    while begin.elapsed() < scale(Duration::from_secs(1), Duration::from_secs(10)) {
        assert_eq!(open.get("a.test", "/hit").text(), String::from_utf8_lossy(&content("/hit", 1000)));
        let status = open.get("a.test", &format!("/miss/{hits}")).status;
        assert!([200, 502, 503, 504].contains(&status), "{status}");
        misses[usize::from(status != 200)] += 1;
        hits += 1;
        sleep(Duration::from_millis(20));
    }
    // There is none left for a connection to another origin, and that is not the origin's fault.
    let strange = open.get("b.test", "/first").status;
    assert_eq!(strange, 500, "proxy_internal_error (RFC 9209)");
    let share = (vitals.cpu() - cpu).as_secs_f64() / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    crowd.reset();
    let mut late = program.client();
    assert_eq!(late.get("a.test", "/hit").status, 200);
    let back = begin.elapsed();
    println!(
        "| 6 out of descriptors | CPU {:.0} %, {hits} hits, {misses:?} misses, {strange} for another origin, back after {back:?} |",
        share * 100.0
    );
    assert!(share <= 0.5, "it spins: {share}");
    assert!(!is_long() || back <= Duration::from_secs(2), "{back:?}");
    assert_eq!(late.get("a.test", "/miss/after").status, 200);
    wait_until(|| vitals.descriptors() as u64 + 20 < most);
    assert_eq!(late.get("b.test", "/second").status, 200, "nobody thinks it dead");
}

/// More clients than descriptors: some wait to be accepted, and those who are there get what has to be fetched.
#[test]
fn clients_leave_descriptors_for_what_they_ask_for() {
    let (origin, other) = (sound(), sound());
    let toml = site("a.test", &origin) + &site("b.test", &other);
    let program = Program::start(&toml);
    let most = 128;
    let old = prlimit(Some(program.pid()), Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
    assert!(old.is_ok(), "{old:?}");
    program.reload(&("[limits]\nrequest_fields = 60\n".to_owned() + &toml));
    program.line_with("reloaded ");
    let (mut first, vitals) = (program.client(), program.vitals());
    assert_eq!(first.get("a.test", "/hit").status, 200);
    let mut crowd = Crowd::connect(program.http, 200);
    crowd.say("GET /hit HTTP/1.1\r\nHost: a.test\r\n\r\n");
    // Half are for clients.
    crowd.hear_until(LIMIT, |crowd| crowd.with_status("200") as u64 == most / 2 - 1);
    for number in 0..10 {
        assert_eq!(first.get("b.test", &format!("/{number}")).status, 200);
    }
    assert!((vitals.descriptors() as u64) < most);
    assert_eq!(crowd.with_status("200") as u64, most / 2 - 1);
    drop(first);
    crowd.hear_until(LIMIT, |crowd| crowd.with_status("200") as u64 == most / 2);
}

/// Fault 19.
#[test]
fn a_storm_of_resets_leaves_no_descriptor_behind() {
    let origin = sound();
    let program = Program::start(&site("a.test", &origin));
    assert_eq!(program.client().get("a.test", "/hit").status, 200);
    let watch = program.watch("/hit");
    let before = program.vitals().descriptors();
    let count = scale(300, 3000);
    for round in 0..count / 50 {
        let mut crowd = Crowd::connect(program.http, 50);
        crowd.say_each(|number| match number % 3 {
            0 => "GET /hit HTTP/1.1\r\nHost: a.test\r\n\r\n".into(),
            1 => format!("GET /miss/{round}/{number} HTTP/1.1\r\nHost: a.test\r\n\r\n"),
            _ => "POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nx".into(),
        });
        crowd.reset();
    }
    // Kept origin connections, one for each fetch that ran at once, are no leak.
    wait_until(|| {
        sleep(Duration::from_millis(20));
        program.vitals().descriptors() <= before + 40
    });
    watch.end("19 resets", format!("{count} requests, {before} descriptors before"));
    assert_eq!(program.client().get("a.test", "/after").status, 200);
}

/// Fault 23.
#[test]
fn what_is_malformed_is_refused_each_time_and_reaches_no_origin() {
    const MALFORMED: [&str; 16] = [
        "GET /bad HTTP/1.1\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
        "GET /bad HTTP/1.1\nHost: a.test\n\n",
        "GET /bad HTTP/1.1\r\nHost : a.test\r\n\r\n",
        "GET /bad HTTP/1.1\r\n Host: a.test\r\n\r\n",
        "GET /bad HTTP/1.1\r\nHost: a.test\r\nX: a\0b\r\n\r\n",
        "GET /bad HTTP/1.2\r\nHost: a.test\r\n\r\n",
        "GET  /bad HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /bad\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
        "TRACE /bad HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "POST /bad HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\nx",
        "POST /bad HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /bad HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    let origin = sound();
    let program = Program::start(&site("a.test", &origin));
    let watch = program.watch("/hit");
    let count = scale(160, 2000);
    let mut refused = 0;
    for _ in 0..count / 80 {
        let mut crowd = Crowd::connect(program.http, 80);
        crowd.say_each(|number| MALFORMED[number % MALFORMED.len()].to_owned());
        crowd.hear_until(Duration::from_secs(20), Crowd::is_answered);
        refused += crowd.with_status("4") + crowd.with_status("5");
        assert!(crowd.0.iter().all(|member| member.taken == 0 || !member.first.starts_with(b"HTTP/1.1 2")));
    }
    watch.end("23 malformed", format!("{count} requests, {refused} refused with a status"));
    assert_eq!(refused, count / 80 * 80);
    assert!(origin.requests().iter().all(|request| request.target == "/hit"));
}

/// Fault 29.
#[test]
fn handshakes_that_do_not_end_are_cut_off_and_others_go_on() {
    let certificates = Certificates::new();
    let origin = sound();
    let toml = site("a.test", &origin) + &https_table(&certificates.identity(&["a.test"]));
    let limits = scale("[limits]\nhandshake_timeout = \"1s\"\nidle_timeout = \"1s\"\n", "");
    let program = Program::listening("http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"", &(limits.to_owned() + &toml));
    let https = program.https.unwrap();
    let watch = program.watch("/hit");
    let mut crowds: Vec<Crowd> = Vec::new();
    for round in 0..scale(2, 10) {
        let mut crowd = Crowd::connect(https, scale(40, 490));
        crowd.say_each(|number| match number % 4 {
            // The beginning of a hello, of none, and nothing at all.
            0 => "\x16\x03\x01\x02\x00\x01\x00\x01".into(),
            1 => "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".into(),
            2 => "\x16\x03\x03\u{7f}".into(),
            _ => String::new(),
        });
        let mut client = Client::tls(https, &certificates.roots(), "a.test");
        assert_eq!(client.get("a.test", &format!("/tls/{round}")).status, 200);
        crowds.push(crowd);
        sleep(BEAT());
    }
    for crowd in &mut crowds {
        crowd.hear_until(Duration::from_secs(65), |crowd| crowd.open() == 0);
    }
    watch.end("29 half handshakes", crowds.iter().map(|crowd| crowd.0.len()).sum::<usize>());
}
