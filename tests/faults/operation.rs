//! What operators do while clients ask: reloads, new certificates, a stop, another program in the place of this one.

use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::crowd::Load;
use crate::rig::{Program, is_long, scale};
use crate::support::pop::{https_table, site};
use crate::support::{Certificates, Client, Gate, Leaf, Origin, Reply, wait_until};
use crate::{FRESH, content, sound};

/// One round of load: a hit or a miss on a fresh connection.
fn round(mut client: Client, thread: usize, turn: usize) {
    let target = if turn.is_multiple_of(2) { "/hit".to_owned() } else { format!("/miss/{thread}/{turn}") };
    let response = client.get("a.test", &target);
    assert!(response.status == 200 && response.body == content(&target, 1000), "{target} {:?}", response.head);
}

/// Faults 25, 30 and 31.
#[test]
fn reloads_good_and_bad_and_new_certificates_fail_no_request() {
    let certificates = Certificates::new();
    let origin = sound();
    let issue = || certificates.issue("a", &Leaf::names(&["a.test"]));
    let toml = site("a.test", &origin) + &https_table(&issue());
    let program = Program::listening("http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"", &toml);
    let (http, https, roots) = (program.http, program.https.unwrap(), certificates.roots());
    let load = Load::start(3, move |thread, turn| match thread {
        0 => round(Client::tls(https, &roots, "a.test"), thread, turn),
        _ => round(Client::plain(http), thread, turn),
    });
    let mut slowest = Duration::ZERO;
    for number in 0..5 {
        load.wait_for_rounds(scale(20, 1000));
        let shown = issue();
        program.reload(&(format!("[limits]\nrequest_fields = {}\n", 60 + number) + &toml));
        let begin = Instant::now();
        wait_until(|| {
            let client = Client::tls(https, &certificates.roots(), "a.test");
            client.peer_certificate().is_some_and(|seen| *seen == shown.leaf())
        });
        slowest = slowest.max(begin.elapsed());
        program.line_with("reloaded ");
        for damaged in ["[limits\n", "[[site]]\n", "\u{0}\u{0}", "[cache]\nmemory = \"lots\"\n"] {
            program.reload(&(damaged.to_owned() + &toml));
            program.line_with("not reloaded: the old configuration stays in force");
        }
    }
    println!("| 25, 30, 31 reloads | 5 good, 20 bad, {} rounds, certificate shown after {slowest:?} |", load.end());
    assert!(!is_long() || slowest <= Duration::from_secs(2), "{slowest:?}");
}

/// Fault 31, the checker's half: files with a byte changed, a line gone, or their end missing.
#[test]
fn a_damaged_file_never_kills_the_checker_and_the_old_one_stays_in_force() {
    let origin = sound();
    let toml = site("a.test", &origin);
    let program = Program::start(&toml);
    let sound = format!("[listen]\nhttp = \"127.0.0.1:0\"\n[limits]\nrequest_fields = 60\n{toml}").into_bytes();
    let (count, mut codes) = (scale(12, 60), [0; 2]);
    for number in 0..count {
        let (at, mut file) = (number * 7919 % sound.len(), sound.clone());
        match number % 4 {
            0 => file[at] = 0xff,
            1 => file.truncate(at),
            2 => file[at] = b'"',
            _ => drop(file.splice(at..at, *b"\n[[]]\0 = {")),
        }
        program.write(file);
        match program.code_of(&["check"]) {
            Some(code @ 0..=2) => codes[usize::from(code != 0)] += 1,
            other => panic!("damage {number} ends the checker with {other:?}"),
        }
        assert_eq!(program.client().get("a.test", "/hit").status, 200);
    }
    println!("| 31 damaged files | {count}: {} refused, {} harmless |", codes[1], codes[0]);
    assert!(codes[1] > codes[0]);
}

/// Fault 26.
#[test]
fn a_stop_under_load_finishes_every_download() {
    let (gate, len) = (Gate::new(), 1 << 20);
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {len}\r\n\r\n");
        let body = content(&request.target, len);
        let (first, rest) = body.split_at(len / 2);
        Reply::bytes(head).then(first).wait(&held).then(rest)
    });
    let mut program = Program::start(&site("a.test", &origin));
    let count = scale(10, 50);
    let mut downloads: Vec<Client> = (0..count).map(|_| program.client()).collect();
    for (number, client) in downloads.iter_mut().enumerate() {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(client.head_of("GET").status, 200);
    }
    program.signal(Signal::TERM);
    program.line_with("SIGTERM");
    wait_until(|| match std::net::TcpStream::connect(program.http) {
        Err(_) => true,
        Ok(socket) => {
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            matches!(std::io::Read::read(&mut &socket, &mut [0]), Ok(0))
        }
    });
    let begin = Instant::now();
    gate.open();
    for (number, client) in downloads.iter_mut().enumerate() {
        assert!(client.rest().unwrap() == content(&format!("/{number}"), len), "{number}");
    }
    drop(downloads);
    assert_eq!(program.end(), Some(0));
    println!("| 26 stop | {count} downloads whole, over after {:?} |", begin.elapsed());
}

/// Ten requests on one connection, or as many as it is kept for.
fn kept_round(mut client: Client) {
    for _ in 0..10 {
        let response = client.get("a.test", "/hit");
        assert!(response.status == 200 && response.body == content("/hit", 1000), "{:?}", response.head);
        if response.field("connection") == Some("close") {
            return;
        }
    }
}

/// The listening socket is handed to another process while clients connect all the time, and ask on connections that the old
/// one keeps.
#[test]
fn a_new_program_on_the_same_socket_takes_over_without_a_failed_request() {
    let origin = sound();
    let toml = site("a.test", &origin);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut serving = Program::on_socket(&socket, &toml);
    let address = serving.http;
    let load = Load::start(scale(4, 8), move |thread, turn| match thread % 2 {
        0 => round(Client::plain(address), thread, turn),
        _ => kept_round(Client::plain(address)),
    });
    for _ in 0..scale(2, 10) {
        load.wait_for_rounds(scale(30, 500));
        let mut old = std::mem::replace(&mut serving, Program::on_socket(&socket, &toml));
        old.signal(Signal::TERM);
        load.wait_for_rounds(30);
        assert_eq!(old.end(), Some(0));
    }
    println!("| handed over | {} times, {} rounds, none failed |", scale(2, 10), load.end());
}

/// Certificates that are written anew are shown without being told.
#[test]
fn a_certificate_file_written_anew_is_shown_after_a_hangup_alone() {
    let certificates = Certificates::new();
    let origin = sound();
    let first = certificates.issue("a", &Leaf::names(&["a.test"]));
    let toml = site("a.test", &origin) + &https_table(&first);
    let program = Program::listening("http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"", &toml);
    let https = program.https.unwrap();
    let mut kept = Client::tls(https, &certificates.roots(), "a.test");
    assert_eq!(kept.get("a.test", "/hit").status, 200);
    let second = certificates.issue("a", &Leaf::names(&["a.test"]));
    program.signal(Signal::HUP);
    wait_until(|| {
        sleep(Duration::from_millis(5));
        let fresh = Client::tls(https, &certificates.roots(), "a.test");
        fresh.peer_certificate().is_some_and(|shown| *shown == second.leaf())
    });
    assert_eq!(kept.get("a.test", "/hit").status, 200, "who is there stays");
}

/// Fault 24: what is kept over a restart is never half of something.
#[test]
fn killed_in_the_middle_it_is_back_at_once_and_its_folder_is_sound() {
    let origin = Origin::plain(|request| match request.target.as_str() {
        target if target.starts_with("/broken") => Reply::nothing().reset(),
        target => Reply::response("200 OK", &[FRESH], content(target, 1000)),
    });
    let toml = site("a.test", &origin);
    let mut program = Program::with_door(&toml);
    let mut slowest = Duration::ZERO;
    for number in 0..3 {
        let address = program.http;
        // They are cut off by the kill; until then all is right.
        let load = Load::start(3, move |thread, turn| {
            let Ok(socket) = std::net::TcpStream::connect(address) else { return };
            drop(socket);
            let target = format!("/{}/{number}/{thread}/{turn}", if turn % 5 == 0 { "broken" } else { "sound" });
            let Ok(mut client) = std::panic::catch_unwind(|| Client::plain(address)) else { return };
            client.send_if_open(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
            if let Ok(response) = client.try_response("GET") {
                assert!(response.status == 502 || response.body == content(&target, 1000), "{target}");
            }
        });
        load.wait_for_rounds(scale(100, 1000));
        let begin = Instant::now();
        program = program.killed(&toml);
        assert_eq!(program.client().get("a.test", "/hit").status, 200);
        slowest = slowest.max(begin.elapsed());
        load.end();
        assert!(program.operate(&["failures"]), "the ledger can be read");
        let said = program.said();
        assert!(!said.contains("damaged") && !said.contains("set aside"), "{said}");
    }
    println!("| 24 killed | 3 times, back after {slowest:?} |");
    assert!(!is_long() || slowest <= Duration::from_secs(5), "{slowest:?}");
}
