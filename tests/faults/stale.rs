//! Origins that fail or are slow while what is stored may still be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::content;
use crate::crowd::Crowd;
use crate::rig::{Program, is_long, scale};
use crate::support::pop::site_with;
use crate::support::{Gate, Origin, Reply, wait_until};

const LEN: usize = 10_000;

fn is_stale_and_whole(program: &Program, target: &str) -> bool {
    let response = program.client().get("a.test", target);
    response.status == 200 && response.body == content(target, LEN)
}

/// Fault 10: the origin says 500, then nothing, then is not there.
#[test]
fn what_is_stored_stands_in_for_an_origin_that_fails_in_any_way() {
    let (mode, gate) = (Arc::new(AtomicUsize::new(0)), Gate::new());
    let (current, held) = (mode.clone(), gate.clone());
    let origin = Origin::plain(move |request| {
        let fields = ["Cache-Control: max-age=0, stale-if-error=600", "ETag: \"v1\""];
        match (request.target.as_str(), current.load(Ordering::SeqCst)) {
            ("/hit", _) => Reply::response("200 OK", &[crate::FRESH], content("/hit", 1000)),
            (_, 0) => Reply::response("200 OK", &fields, content(&request.target, LEN)),
            (_, 1) => Reply::response("500 Internal Server Error", &[], "ill"),
            _ => Reply::nothing().wait(&held),
        }
    });
    let lines = scale("timeouts = { first_byte = \"1s\" }\n", "timeouts = { first_byte = \"3s\" }\n");
    let program = Program::start(&site_with("a.test", &origin, "", lines));
    for number in 0..10 {
        assert!(is_stale_and_whole(&program, &format!("/{number}")));
    }
    let watch = program.watch("/hit");
    let ask_all = |kind: &str| {
        let mut crowd = Crowd::connect(program.http, scale(20, 100));
        crowd.say_each(|number| format!("GET /{} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", number % 10));
        crowd.hear_until(Duration::from_secs(60), |crowd| crowd.open() == 0);
        assert_eq!(crowd.with_status("200"), crowd.0.len(), "{kind}");
        assert!(crowd.0.iter().all(|member| member.taken > LEN as u64), "{kind}");
    };
    mode.store(1, Ordering::SeqCst);
    ask_all("500");
    mode.store(2, Ordering::SeqCst);
    ask_all("silent");
    gate.open();
    drop(origin);
    ask_all("refused");
    assert!((0..10).all(|number| is_stale_and_whole(&program, &format!("/{number}"))));
    watch.end("10 stale on errors", "500, silence and refusal: all 200 and whole");
}

/// Fault 11.
#[test]
fn while_one_refresh_takes_its_time_everybody_gets_what_is_stored() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let fields = ["Cache-Control: max-age=0, stale-while-revalidate=600", "ETag: \"v1\""];
        match (request.target.as_str(), request.field("if-none-match")) {
            ("/hit", _) => Reply::response("200 OK", &[crate::FRESH], content("/hit", 1000)),
            (_, None) => Reply::response("200 OK", &fields, content(&request.target, LEN)),
            _ => Reply::nothing()
                .wait(&held)
                .then("HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"v1\"\r\n\r\n"),
        }
    });
    let program = Program::start(&site_with("a.test", &origin, "", ""));
    assert!(is_stale_and_whole(&program, "/stale"));
    let (watch, begin, mut worst, mut count) = (program.watch("/hit"), Instant::now(), Duration::ZERO, 0);
    while count < 20 || begin.elapsed() < scale(Duration::ZERO, Duration::from_secs(2)) {
        let asked = Instant::now();
        assert!(is_stale_and_whole(&program, "/stale"));
        worst = worst.max(asked.elapsed());
        count += 1;
    }
    let refreshes = || origin.requests().iter().filter(|request| request.target == "/stale").count() - 1;
    wait_until(|| refreshes() == 1);
    gate.open();
    wait_until(|| {
        program.client().get("a.test", "/stale").field("cache-status").is_some_and(|field| !field.contains("stale"))
    });
    watch.end("11 stale while revalidating", format!("{count} requests within {worst:?}, {} refresh", refreshes()));
    assert_eq!(refreshes(), 1);
    assert!(!is_long() || worst <= Duration::from_millis(250), "{worst:?}");
}
