//! What the machine under it may lack: room for the log, a folder to write, threads.

use rustix::process::{Resource, getrlimit};

use crate::crowd::Crowd;
use crate::rig::{Program, scale};
use crate::support::pop::site;
use crate::support::{Gate, LIMIT, Origin, Reply, wait_until};
use crate::{FRESH, content, sound};

/// Fault 33, its log's half: every write to this file fails for want of room.
#[test]
fn a_full_log_stops_nothing() {
    let origin = sound();
    let program = Program::start(&("[log]\naccess = \"/dev/full\"\n".to_owned() + &site("a.test", &origin)));
    let watch = program.watch("/hit");
    let mut client = program.client();
    let count = scale(2000, 50_000);
    for number in 0..count {
        assert_eq!(client.get("a.test", &format!("/{}", number % 50)).status, 200);
    }
    let seen = watch.end("33 log full", format!("{count} lines"));
    assert!(seen.growth <= 32 << 10, "lines are dropped, not kept: {} KiB", seen.growth);
}

/// Where nothing can be made, not even by root.
#[test]
fn a_state_folder_that_cannot_be_written_is_a_warning() {
    let origin = sound();
    let toml = "[state]\ndir = \"/proc/millpond\"\n".to_owned() + &site("a.test", &origin);
    let program = Program::start(&toml);
    assert!(program.client().get("a.test", "/hit").body == content("/hit", 1000));
    program.reload(&toml);
    program.line_with("nothing changed");
    assert_eq!(program.client().get("a.test", "/miss").status, 200);
}

/// No room for bodies that are not stored: their temporary file cannot be made.
#[test]
fn a_temporary_folder_that_cannot_be_written_cuts_nothing_short() {
    let len = scale(4 << 20, 32 << 20);
    let origin = Origin::plain(move |request| {
        Reply::response("200 OK", &["Cache-Control: no-store"], content(&request.target, len))
    });
    let toml = "[cache]\ntemp_dir = \"/proc\"\nmemory = \"8MiB\"\n".to_owned() + &site("a.test", &origin);
    let program = Program::start(&toml);
    for number in 0..scale(3, 20) {
        let target = format!("/{number}");
        assert!(program.client().get("a.test", &target).body == content(&target, len), "{target}");
    }
}

/// Fault 33, its disk's half: temporary files of which each breaks off in the middle. A limit on the size of files stands
/// for the disk, and hits memory files as well.
#[test]
fn a_disk_that_fills_midway_cuts_nothing_short_and_is_told() {
    let len = 3 << 20;
    let origin = Origin::plain(move |request| {
        let fields = [["Cache-Control: no-store"], [FRESH]];
        let len = if request.target == "/hit" { 1000 } else { len };
        Reply::response("200 OK", &fields[request.target.len() % 2], content(&request.target, len))
    });
    let toml = "[cache]\nmemory = \"64MiB\"\nmax_response = \"1MiB\"\n".to_owned() + &site("a.test", &origin);
    let program = Program::with_files_up_to(256 << 10, &toml);
    let mut crowds: Vec<(String, Crowd)> = (0..4)
        .map(|number| {
            let target = format!("/{}", "x".repeat(number + 1));
            let mut crowd = Crowd::connect(program.http, 3);
            crowd.say(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"));
            (target, crowd)
        })
        .collect();
    let mut slow = program.client();
    slow.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(slow.head_of("GET").status, 200);
    for (target, crowd) in &mut crowds {
        crowd.hear_until(LIMIT, |crowd| crowd.open() == 0);
        assert!(crowd.0.iter().all(|member| member.taken > len as u64), "{target}");
        assert!(program.client().get("a.test", target).body == content(target, len), "{target}");
    }
    assert!(slow.rest().unwrap() == content("/slow", len), "at the pace of the slowest, and whole");
    program.line_with("cannot write a temporary file");
    println!("| 33 disk that fills | {} bodies for 3 clients each, all whole |", crowds.len());
}

/// The same for request bodies: one that finds no room is refused, and nothing of it reaches the origin.
#[test]
fn an_upload_that_finds_no_room_is_refused_and_told() {
    let origin = sound();
    let program = Program::with_files_up_to(256 << 10, &site("a.test", &origin));
    let post = |len: usize| {
        let mut client = program.client();
        client.send(format!("POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len}\r\n\r\n"));
        client.send_if_open(content("/up", len));
        client.response().status
    };
    assert_eq!(post(1 << 20), 503);
    program.line_with("large request bodies are refused");
    assert_eq!(origin.count(), 0);
    assert_eq!(post(100_000), 200);
}

/// Out of threads: fetches that get none wait for one that is there, or are turned away; hits go on, and later all is well.
/// The limit counts for no root, so the program runs as somebody else where the scene is root's.
#[test]
fn out_of_threads_hits_go_on_and_misses_are_answered() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/hit" => Reply::response("200 OK", &[FRESH], content("/hit", 1000)),
        target => {
            let body = content(target, 1000);
            let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {}\r\n\r\n", body.len());
            Reply::nothing().wait(&held).then(head).then(body)
        }
    });
    let Some(program) = Program::of_nobody(&site("a.test", &origin)) else {
        return println!("skipped: a user without privileges may not run the program where it is");
    };
    let watch = program.watch("/hit");
    let mut crowd = Crowd::connect(program.http, 40);
    program.limit_threads("1");
    let threads = program.vitals().threads();
    crowd.say_each(|number| format!("GET /{number} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    gate.wait_for_arrivals(1);
    assert!(program.vitals().threads() <= threads);
    gate.open();
    crowd.hear_until(LIMIT, Crowd::is_answered);
    program.limit_threads(&getrlimit(Resource::Nproc).current.map_or("unlimited".into(), |most| most.to_string()));
    let (good, bad) = (crowd.with_status("200"), crowd.with_status("5"));
    watch.end("out of threads", format!("40 misses: {good} served, {bad} turned away"));
    assert_eq!(good + bad, 40);
    wait_until(|| program.client().get("a.test", "/after").status == 200);
}
