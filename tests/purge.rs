//! Purging and invalidation over real sockets: what is found no more, what is asked anew, and who is not disturbed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millpond::{Purge, Scope};
use support::pop::{cache_status, is_hit, is_stored, request, site, site_with};
use support::{Client, Gate, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";
const ONE_WORKER: &str = "[workers]\ncount = 1\n";

fn url(target: &str) -> String {
    format!("http://a.test{target}")
}

/// Answers every GET with how many it has had, every other method with 204.
fn counting() -> Origin {
    let count = AtomicUsize::new(0);
    Origin::plain(move |request| match request.method.as_str() {
        "GET" => Reply::response("200 OK", &[FRESH], format!("{}", count.fetch_add(1, Ordering::SeqCst) + 1)),
        _ => Reply::bytes("HTTP/1.1 204 No Content\r\n\r\n"),
    })
}

/// The GETs that wait are held; all else is answered by the origin at once.
fn held(gate: &Gate) -> Origin {
    let (gate, count) = (gate.clone(), AtomicUsize::new(0));
    Origin::plain(move |request| match request.method.as_str() {
        "GET" if count.fetch_add(1, Ordering::SeqCst) == 0 => {
            Reply::nothing().wait(&gate).then(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 3\r\n\r\nold"))
        }
        "GET" => Reply::response("200 OK", &[FRESH], "new"),
        _ => Reply::response("200 OK", &["Cache-Group-Invalidation: \"g\""], ""),
    })
}

fn asking(pop: &Pop, target: &str) -> Client {
    let mut client = pop.client();
    client.send(request("GET", target, &[]));
    client
}

#[test]
fn an_answer_that_was_asked_for_before_a_put_is_not_found_after_it() {
    for (method, target, other) in [("PUT", "/x", "/x"), ("DELETE", "/x", "/x"), ("POST", "/x", "/x")] {
        let gate = Gate::new();
        let origin = held(&gate);
        let pop = Pop::of(&origin);
        let mut early = asking(&pop, target);
        gate.wait_for_arrivals(1);
        assert_eq!(pop.ask(method, other, &[]).status, 200);
        gate.open();
        let answer = early.response();
        assert_eq!(answer.text(), "old");
        assert!(!is_stored(&answer), "{answer:?}");
        assert_eq!(pop.get(target).text(), "new", "{method}");
        assert!(is_hit(&pop.get(target)));
    }
}

#[test]
fn a_put_in_vain_disturbs_no_fetch() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| match request.method.as_str() {
        "GET" => Reply::nothing().wait(&held).then(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 0\r\n\r\n")),
        _ => Reply::response("409 Conflict", &[], ""),
    });
    let pop = Pop::of(&origin);
    let mut early = asking(&pop, "/x");
    gate.wait_for_arrivals(1);
    assert_eq!(pop.ask("PUT", "/x", &[]).status, 409);
    gate.open();
    assert!(is_stored(&early.response()));
    assert!(is_hit(&pop.get("/x")));
}

#[test]
fn a_purge_while_the_head_is_awaited_lets_those_who_wait_have_it_and_nobody_else() {
    let scopes = [
        Scope::Url(url("/d/x")),
        Scope::Prefix(url("/d")),
        Scope::Glob(url("/*x")),
        Scope::Site("a.test".into()),
        Scope::Group { origin: url(""), name: "g".into() },
        Scope::Everything,
    ];
    for scope in scopes {
        for purge in [Purge::hard(scope.clone()), Purge::soft(scope)] {
            let gate = Gate::new();
            let (held, count) = (gate.clone(), AtomicUsize::new(0));
            let origin = Origin::plain(move |_| {
                let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nCache-Groups: \"g\"\r\nContent-Length: 3\r\n\r\n");
                match count.fetch_add(1, Ordering::SeqCst) {
                    0 => Reply::nothing().wait(&held).then(head + "old"),
                    _ => Reply::bytes(head + "new"),
                }
            });
            let pop = Pop::start(&(site("a.test", &origin) + ONE_WORKER));
            let mut early = [asking(&pop, "/d/x"), asking(&pop, "/d/x")];
            gate.wait_for_arrivals(1);
            assert_eq!(pop.client().get("unknown.test", "/").status, 421, "both have been taken in");
            assert_eq!(pop.purge(&purge), 0, "{purge:?}");
            // The flight is still in the air, and nobody joins it.
            assert_eq!(pop.get("/d/x").text(), "new", "{purge:?}");
            gate.open();
            for client in &mut early {
                assert_eq!(client.response().text(), "old", "{purge:?}");
            }
            let answer = pop.get("/d/x");
            assert_eq!((answer.text().as_str(), is_hit(&answer)), ("new", true), "{purge:?}");
            assert_eq!(origin.count(), 2, "{purge:?}");
        }
    }
}

#[test]
fn a_purge_while_the_body_fills_cuts_nobody_short() {
    let (gate, count) = (Gate::new(), AtomicUsize::new(0));
    let held = gate.clone();
    let origin = Origin::plain(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => {
            let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 6\r\n\r\n");
            Reply::bytes(head).then("old").wait(&held).then("est")
        }
        _ => Reply::response("200 OK", &[FRESH], "new"),
    });
    let pop = Pop::of(&origin);
    let mut clients = [asking(&pop, "/x"), asking(&pop, "/x")];
    for client in &mut clients {
        client.head_of("GET");
        client.body_of_at_least(3);
    }
    assert_eq!(pop.purge(&Purge::hard(Scope::Everything)), 1);
    assert_eq!(pop.get("/x").text(), "new");
    gate.open();
    for client in &mut clients {
        assert_eq!(client.rest().unwrap(), b"est");
    }
    assert_eq!(pop.get("/x").text(), "new");
    assert_eq!((origin.count(), pop.stats().stored), (2, 1));
}

#[test]
fn each_scope_takes_what_it_names_and_says_how_many() {
    let origin = counting();
    let b = site("b.test", &origin).replace("\"b.test\"", "\"b.test\", \"*.b.test\"");
    let pop = Pop::start(&(site("a.test", &origin) + &b));
    let all = [
        ("a.test", "/"),
        ("a.test", "/img"),
        ("a.test", "/img/"),
        ("a.test", "/img/1.jpg"),
        ("a.test", "/img/2.jpg?v=1"),
        ("a.test", "/img/x/3.png"),
        ("a.test", "/imga"),
        ("b.test", "/img/1.jpg"),
        ("www.b.test", "/img/1.jpg"),
    ];
    let group = |name: &str| Scope::Group { origin: url("/any"), name: name.into() };
    #[rustfmt::skip]
    let rows = [
        (Scope::Url(url("/img/1.jpg")), vec![3]),
        (Scope::Url("HTTP://A.test:8080/img/1.jpg#top".into()), vec![3]),
        (Scope::Url(url("/img/2.jpg")), vec![]),
        (Scope::Url(url("/img/2.jpg?v=1")), vec![4]),
        (Scope::Url("https://a.test/img/1.jpg".into()), vec![]),
        (Scope::Prefix(url("/img/")), vec![2, 3, 4, 5]),
        (Scope::Prefix(url("/img")), vec![2, 3, 4, 5]),
        (Scope::Prefix(url("/")), vec![0, 1, 2, 3, 4, 5, 6]),
        (Scope::Glob(url("/*.jpg")), vec![3]),
        (Scope::Glob(url("/*.jpg*")), vec![3, 4]),
        (Scope::Glob(url("/img*")), vec![1, 2, 3, 4, 5, 6]),
        (Scope::Glob("http://www.b.test/*".into()), vec![8]),
        (Scope::Site("a.test".into()), vec![0, 1, 2, 3, 4, 5, 6]),
        (Scope::Site("*.b.test".into()), vec![7, 8]),
        (Scope::Site("other.b.test".into()), vec![7, 8]),
        (group("none"), vec![]),
        (Scope::Everything, (0..9).collect()),
    ];
    for (scope, taken) in rows {
        for (host, target) in all {
            pop.client().get(host, target);
        }
        assert_eq!(pop.stats().stored, 9);
        assert_eq!(pop.purge(&Purge::count(scope.clone())), taken.len() as u64, "{scope:?}");
        assert_eq!(pop.stats().stored, 9, "counting takes nothing");
        assert_eq!(pop.purge(&Purge::hard(scope.clone())), taken.len() as u64, "{scope:?}");
        assert_eq!(pop.stats().stored, 9 - taken.len() as u64, "{scope:?}");
        let gone = (0..9).filter(|&place| !is_hit(&pop.client().get(all[place].0, all[place].1)));
        assert_eq!(gone.collect::<Vec<_>>(), taken, "{scope:?}");
    }
}

#[test]
fn a_purge_takes_all_variants_of_an_address() {
    let origin = Origin::plain(|request| {
        let language = request.field("accept-language").unwrap_or("none").to_owned();
        Reply::response("200 OK", &[FRESH, "Vary: Accept-Language"], language)
    });
    let pop = Pop::of(&origin);
    for language in ["de", "en", "fr"] {
        pop.get_with("/x", &[&format!("Accept-Language: {language}")]);
    }
    pop.get("/y");
    assert_eq!(pop.purge(&Purge::soft(Scope::Url(url("/x")))), 3);
    assert_eq!(pop.purge(&Purge::soft(Scope::Url(url("/x")))), 0, "they are stale already");
    assert_eq!(pop.purge(&Purge::hard(Scope::Url(url("/x")))), 3);
    assert_eq!(pop.stats().stored, 1);
}

#[test]
fn shared_schemes_and_domains_share_their_purges() {
    let origin = counting();
    let of_site = "share_schemes = true\nshare_domains = true";
    let shared =
        site_with("a.test", &origin, of_site, "host = \"origin.test\"").replace("\"a.test\"", "\"a.test\", \"b.test\"");
    let pop = Pop::start(&shared);
    for scope in [
        Scope::Url("https://b.test/d/x".into()),
        Scope::Prefix("https://b.test/d/".into()),
        Scope::Glob("https://b.test/*x".into()),
        Scope::Site("b.test".into()),
    ] {
        pop.get("/d/x");
        assert!(is_hit(&pop.client().get("b.test", "/d/x")));
        assert_eq!(pop.purge(&Purge::hard(scope.clone())), 1, "{scope:?}");
        assert!(is_stored(&pop.get("/d/x")));
    }
}

#[test]
fn groups_that_an_unsafe_answer_names_are_found_no_more() {
    let script = |request: &support::Request| match request.method.as_str() {
        "GET" => {
            let groups = format!("Cache-Groups: {}", request.field("x-groups").unwrap_or_default());
            Reply::response("200 OK", &[FRESH, &groups], "")
        }
        _ => Reply::response("200 OK", &["Cache-Group-Invalidation: \"a\", \"b c\";x"], ""),
    };
    let origin = Origin::plain(script);
    let pop = Pop::start(&(site("a.test", &origin) + &site("b.test", &origin)));
    // RFC 9875 §2, §2.1
    let rows = [
        ("/1", "X-Groups: \"a\"", false),
        ("/2", "X-Groups: \"x\", \"b c\"", false),
        ("/3", "X-Groups: \"A\"", true),
        ("/4", "X-Groups: a", true),
        ("/5", "X-Groups: \"x\"", true),
        ("/6", "X-Other: \"a\"", true),
    ];
    let store = || rows.iter().for_each(|(target, groups, _)| _ = pop.get_with(target, &[groups]));
    let of_b = || {
        let mut client = pop.client();
        client.send("GET /1 HTTP/1.1\r\nHost: b.test\r\nX-Groups: \"a\"\r\n\r\n");
        client.response()
    };
    store();
    of_b();
    let seen = pop.get("/1");
    assert_eq!((is_hit(&seen), seen.field("cache-groups")), (true, Some("\"a\"")), "passed on");
    for method in ["GET", "HEAD", "OPTIONS"] {
        pop.ask(method, "/change", &[]);
        assert!(is_hit(&pop.get("/1")), "{method} is safe (RFC 9875 §3)");
    }
    let changed = pop.ask("POST", "/change", &[]);
    assert_eq!(changed.field("cache-group-invalidation"), Some("\"a\", \"b c\";x"));
    for (target, groups, stays) in rows {
        assert_eq!(is_hit(&pop.get_with(target, &[groups])), stays, "{target} {groups}");
    }
    assert!(is_hit(&of_b()), "another origin");
    assert!(is_hit(&pop.get("/1")), "what was asked for afterwards stays");
    let group = Scope::Group { origin: url(""), name: "a".into() };
    assert_eq!(pop.purge(&Purge::hard(group)), 1);
}

#[test]
fn an_answer_of_a_group_that_was_asked_for_before_its_invalidation_is_not_found() {
    let (gate, count) = (Gate::new(), AtomicUsize::new(0));
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nCache-Groups: \"g\"\r\nContent-Length: 3\r\n\r\n");
        match request.method.as_str() {
            "GET" if count.fetch_add(1, Ordering::SeqCst) == 0 => Reply::nothing().wait(&held).then(head + "old"),
            "GET" => Reply::bytes(head + "new"),
            _ => Reply::response("500 Oops", &["Cache-Group-Invalidation: \"g\""], ""),
        }
    });
    let pop = Pop::of(&origin);
    let mut early = asking(&pop, "/x");
    gate.wait_for_arrivals(1);
    // RFC 9875 §3 asks for no success.
    assert_eq!(pop.ask("POST", "/change", &[]).status, 500);
    gate.open();
    assert_eq!(early.response().text(), "old");
    assert_eq!(pop.get("/x").text(), "new");
}

#[test]
fn what_is_swept_later_leaves_the_store() {
    let gate = Gate::new();
    gate.open();
    let origin = Origin::plain(|request| match request.method.as_str() {
        "GET" => Reply::response("200 OK", &[FRESH, "Cache-Groups: \"g\""], ""),
        _ => Reply::response("200 OK", &["Cache-Group-Invalidation: \"g\""], ""),
    });
    let pop = Pop::of(&origin);
    (0..20).for_each(|number| _ = pop.get(&format!("/{number}")));
    assert_eq!(pop.stats().stored, 20);
    pop.ask("POST", "/change", &[]);
    wait_until(|| pop.stats().stored == 0);
}

#[test]
fn after_a_soft_purge_the_next_use_validates_and_a_304_makes_it_fresh() {
    let origin = Origin::plain(|request| match request.field("if-none-match") {
        Some("\"v1\"") => Reply::bytes(format!("HTTP/1.1 304 Not Modified\r\n{FRESH}\r\nETag: \"v1\"\r\n\r\n")),
        _ => Reply::response("200 OK", &[FRESH, "ETag: \"v1\""], "hello"),
    });
    let pop = Pop::of(&origin);
    for scope in [Scope::Url(url("/x")), Scope::Prefix(url("/")), Scope::Everything] {
        pop.get("/x");
        assert!(is_hit(&pop.get("/x")));
        let before = origin.count();
        assert_eq!(pop.purge(&Purge::soft(scope)), 1);
        let answer = pop.get("/x");
        assert_eq!(answer.text(), "hello");
        assert!(cache_status(&answer).contains("fwd=stale; fwd-status=304"), "{answer:?}");
        assert_eq!(origin.requests().last().unwrap().field("if-none-match"), Some("\"v1\""));
        assert!(is_hit(&pop.get("/x")));
        assert_eq!(origin.count(), before + 1);
    }
}

#[test]
fn after_a_soft_purge_stale_is_served_while_the_origin_is_asked_or_down() {
    let is_down = Arc::new(AtomicUsize::new(0));
    let down = Arc::clone(&is_down);
    let origin = Origin::plain(move |_| match down.load(Ordering::SeqCst) {
        0 => Reply::response("200 OK", &["Cache-Control: max-age=600, stale-while-revalidate=60"], "hello"),
        _ => Reply::nothing().close(),
    });
    let pop = Pop::of(&origin);
    pop.get("/x");
    assert_eq!(pop.purge(&Purge::soft(Scope::Everything)), 1);
    let answer = pop.get("/x");
    assert_eq!(answer.text(), "hello");
    assert!(cache_status(&answer).contains("stale-while-revalidate"), "{answer:?}");
    wait_until(|| origin.count() == 2);
    for (control, status) in [("max-age=600", 200), ("max-age=600, must-revalidate", 502)] {
        let is_down = Arc::new(AtomicUsize::new(0));
        let down = Arc::clone(&is_down);
        let origin = Origin::plain(move |_| match down.load(Ordering::SeqCst) {
            0 => Reply::response("200 OK", &[&format!("Cache-Control: {control}")], "hello"),
            _ => Reply::nothing().close(),
        });
        let pop = Pop::of(&origin);
        pop.get("/x");
        is_down.store(1, Ordering::SeqCst);
        assert!(is_hit(&pop.get("/x")));
        assert_eq!(pop.purge(&Purge::soft(Scope::Everything)), 1);
        let answer = pop.get("/x");
        assert_eq!(answer.status, status, "{control}");
        assert_eq!(cache_status(&answer).contains("origin-failed"), status == 200, "{answer:?}");
    }
}

#[test]
fn a_purge_while_a_stale_answer_is_validated_behind_it_is_not_undone_by_that() {
    let (gate, count) = (Gate::new(), AtomicUsize::new(0));
    let held = gate.clone();
    let fresh = "Cache-Control: max-age=600, stale-while-revalidate=60";
    let origin = Origin::plain(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::response("200 OK", &[fresh], "old"),
        1 => Reply::nothing().wait(&held).then(format!("HTTP/1.1 200 OK\r\n{fresh}\r\nContent-Length: 3\r\n\r\nmid")),
        _ => Reply::response("200 OK", &[fresh], "new"),
    });
    let pop = Pop::of(&origin);
    pop.get("/x");
    assert_eq!(pop.purge(&Purge::soft(Scope::Url(url("/x")))), 1);
    assert_eq!(pop.get("/x").text(), "old", "served while it is asked for anew");
    gate.wait_for_arrivals(1);
    assert_eq!(pop.purge(&Purge::hard(Scope::Url(url("/x")))), 1);
    assert_eq!(pop.get("/x").text(), "new", "nobody waits for what was asked for before");
    gate.open();
    // Whatever is stored of it would be found from now on.
    wait_until(|| origin.count() == 3 && pop.stats().fetching.0 == 0);
    let answer = pop.get("/x");
    assert_eq!((answer.text().as_str(), is_hit(&answer)), ("new", true));
}

#[test]
fn a_purge_that_means_nothing_says_what_to_do() {
    let origin = counting();
    let edge = Pop::of(&origin);
    let rows = [
        (Scope::Url("/x".into()), "has no scheme: give an absolute address"),
        (Scope::Url("http://other.test/x".into()), "no site is configured for \"other.test\""),
        (Scope::Site("other.test".into()), "no site is configured for \"other.test\""),
        (Scope::Glob("ftp://a.test/*".into()), "a scheme that nothing is stored for"),
    ];
    for (scope, expected) in rows {
        let error = edge.try_purge(&Purge::hard(scope)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn variants_known_to_differ_do_not_wait_for_one_another() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let language = request.field("accept-language").unwrap_or("none").to_owned();
        let head = format!(
            "HTTP/1.1 200 OK\r\n{FRESH}\r\nVary: Accept-Language\r\nContent-Length: {}\r\n\r\n",
            language.len()
        );
        match language.as_str() {
            "slow" => Reply::nothing().wait(&held).then(head + &language),
            _ => Reply::bytes(head + &language),
        }
    });
    let pop = Pop::of(&origin);
    assert!(is_stored(&pop.get_with("/x", &["Accept-Language: de"])));
    let mut slow = [pop.client(), pop.client()];
    slow.iter_mut().for_each(|client| client.send(request("GET", "/x", &["Accept-Language: slow"])));
    gate.wait_for_arrivals(1);
    assert_eq!(pop.get_with("/x", &["Accept-Language: en"]).text(), "en", "while the other is still awaited");
    gate.open();
    slow.iter_mut().for_each(|client| assert_eq!(client.response().text(), "slow"));
    assert_eq!(origin.count(), 3);
}
