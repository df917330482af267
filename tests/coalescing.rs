//! Many clients and one fetch: who waits, who leaves, what breaks, and who must not notice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit};
use support::pop::{cache_status, is_hit, is_stored, request, site, site_at, site_with, trust};
use support::{Certificates, Client, Gate, Origin, OriginTls, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";
/// One worker takes requests strictly in turn, so that a probe behind a herd tells that the herd has been taken in.
const ONE_WORKER: &str = "[workers]\ncount = 1\n";

/// A POP with one worker and the site `a.test` in front of the origin.
fn pop_of(origin: &Origin) -> Pop {
    Pop::start(&(site("a.test", origin) + ONE_WORKER))
}

/// So many clients that have asked for the target; the POP (with one worker) has taken all requests in.
fn herd(pop: &Pop, count: usize, target: &str) -> Vec<Client> {
    let clients = (0..count).map(|_| {
        let mut client = pop.client();
        client.send(request("GET", target, &[]));
        client
    });
    let clients = clients.collect();
    probe(pop);
    clients
}

/// Comes back when the one worker has taken in all that was sent before.
fn probe(pop: &Pop) {
    assert_eq!(pop.client().get("unknown.test", "/").status, 421);
}

/// 1,000, or fewer where descriptors for both ends are lacking.
fn thousand() -> usize {
    if getrlimit(Resource::Nofile).current.is_none_or(|limit| limit >= 3000) { 1000 } else { 300 }
}

#[test]
fn a_thousand_clients_cost_one_fetch_and_have_its_first_bytes_before_its_last() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| {
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 12\r\n\r\n");
        Reply::bytes(head).then("first ").wait(&held).then("second")
    });
    let pop = pop_of(&origin);
    let mut clients = herd(&pop, thousand(), "/x");
    let mut leads = 0;
    for client in &mut clients {
        let head = client.head_of("GET");
        assert_eq!(head.status, 200);
        leads += usize::from(!cache_status(&head).contains("collapsed") && !is_hit(&head));
        assert_eq!(client.body_of_at_least(6), b"first ");
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.rest().unwrap(), b"second");
    }
    assert_eq!((origin.count(), origin.connections(), leads), (1, 1, 1));
    assert!(is_hit(&clients[0].get("a.test", "/x")));
}

#[test]
fn a_herd_that_waits_for_the_head_gets_one_answer() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| Reply::nothing().wait(&held).then(ok("hello")));
    let pop = pop_of(&origin);
    let mut clients = herd(&pop, 50, "/x");
    gate.wait_for_arrivals(1);
    gate.open();
    let answers: Vec<_> = clients.iter_mut().map(Client::response).collect();
    assert!(answers.iter().all(|answer| answer.text() == "hello"));
    let collapsed = answers.iter().filter(|answer| cache_status(answer).contains("; collapsed")).count();
    assert_eq!((origin.count(), collapsed), (1, 49));
}

/// A storable response.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_private_response_reaches_exactly_one_client_and_the_others_fetch_side_by_side() {
    let number = AtomicUsize::new(0);
    let (first, rest) = (Gate::new(), Gate::new());
    let (hold_first, hold_rest) = (first.clone(), rest.clone());
    let origin = Origin::plain(move |_| {
        let number = number.fetch_add(1, Ordering::SeqCst);
        let body = format!("for client {number}");
        let gate = if number == 0 { &hold_first } else { &hold_rest };
        let head = format!("HTTP/1.1 200 OK\r\nCache-Control: private, max-age=600\r\nContent-Length: {}", body.len());
        Reply::nothing().wait(gate).then(format!("{head}\r\n\r\n{body}"))
    });
    let pop = pop_of(&origin);
    let mut clients = herd(&pop, 20, "/x");
    first.wait_for_arrivals(1);
    assert_eq!(origin.count(), 1);
    first.open();
    // All others are at the origin together; none waits for another's answer.
    rest.wait_for_arrivals(19);
    rest.open();
    let mut bodies: Vec<_> = clients.iter_mut().map(|client| client.response().text()).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!((bodies.len(), origin.count(), pop.stats().stored), (20, 20, 0));
}

#[test]
fn a_lead_that_leaves_before_the_head_harms_nobody() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| Reply::nothing().wait(&held).then(ok("hello")));
    let pop = pop_of(&origin);
    let lead = herd(&pop, 1, "/x").remove(0);
    let mut followers = herd(&pop, 10, "/x");
    wait_until(|| pop.stats().connections == 11);
    lead.reset();
    wait_until(|| pop.stats().connections == 10);
    gate.open();
    assert!(followers.iter_mut().all(|client| client.response().text() == "hello"));
    assert_eq!(origin.count(), 1);
}

#[test]
fn clients_that_leave_in_the_middle_do_not_break_the_fill() {
    for stays in [true, false] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::plain(move |_| {
            let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst \r\n");
            Reply::bytes(head).wait(&held).then("6\r\nsecond\r\n0\r\n\r\n")
        });
        let pop = pop_of(&origin);
        let mut clients = herd(&pop, 3, "/x");
        for client in &mut clients {
            client.head_of("GET");
            assert_eq!(client.body_of_at_least(6), b"first ");
        }
        let mut last = if stays { clients.pop() } else { None };
        clients.into_iter().for_each(Client::reset);
        wait_until(|| pop.stats().connections == usize::from(stays));
        gate.open();
        if let Some(last) = &mut last {
            assert_eq!(last.rest().unwrap(), b"second");
        }
        assert_eq!(pop.get("/x").text(), "first second");
        assert_eq!(origin.count(), 1);
    }
}

#[test]
fn a_passing_download_that_nobody_reads_any_more_is_given_up() {
    let (stopped, seen) = (Gate::new(), Gate::new());
    let (stop, see) = (stopped.clone(), seen.clone());
    let origin = Origin::raw(move |mut socket, _| {
        _ = socket.read(&mut [0; 4096]);
        _ = socket.write_all(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\n");
        while socket.write_all(&[b'x'; 65536]).is_ok() {}
        see.open();
        stop.wait();
    });
    let pop = pop_of(&origin);
    let mut client = pop.client();
    client.send(request("GET", "/endless", &[]));
    client.head_of("GET");
    client.body_of_at_least(100_000);
    client.reset();
    seen.wait();
    stopped.open();
}

#[test]
fn a_reader_that_stands_still_holds_nobody_up() {
    let body = "0123456789abcdef".repeat(500_000);
    for (cache_control, size) in [("max-age=600", 8 << 20), ("no-store", 8 << 20)] {
        let sent = body.clone();
        let field = format!("Cache-Control: {cache_control}");
        let origin = Origin::plain(move |_| Reply::response("200 OK", &[&field], &sent));
        let pop = Pop::start(&(site("a.test", &origin) + &format!("[cache]\nmax_response = \"{size}\"\n")));
        let mut idle = pop.client();
        idle.send(request("GET", "/x", &[]));
        idle.head_of("GET");
        assert!(pop.get("/x").body == body.as_bytes(), "{cache_control}");
        assert!(idle.rest().unwrap() == body.as_bytes(), "{cache_control}");
    }
}

/// How the origin ends its response after the first part.
type End = fn(Reply) -> Reply;

#[test]
fn a_body_cut_short_never_looks_whole_and_is_never_stored() {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
    let rows: [(&str, &str, End); 11] = [
        ("length, FIN", "Content-Length: 9\r\n\r\npart", |reply| reply.close()),
        ("length, RST", "Content-Length: 9\r\n\r\npart", |reply| reply.reset()),
        ("chunked, FIN at a border", chunked, |reply| reply.close()),
        ("chunked, RST", chunked, |reply| reply.reset()),
        ("chunked, FIN in a chunk", chunked, |reply| reply.then("9\r\nxyz").close()),
        ("chunked, FIN in a size", chunked, |reply| reply.then("1").close()),
        ("chunked, FIN in the last chunk", chunked, |reply| reply.then("0\r\n").close()),
        ("chunked, bad size", chunked, |reply| reply.then("zz\r\n").close()),
        ("chunked, signed size", chunked, |reply| reply.then("+1\r\nx\r\n0\r\n\r\n").close()),
        ("chunked, chunk longer than its size", chunked, |reply| reply.then("1\r\nxyz\r\n0\r\n\r\n").close()),
        ("until close, RST", "\r\npart", |reply| reply.reset()),
    ];
    for (name, rest_of_head, end) in rows {
        for version in ["1.1", "1.0"] {
            cut_short(
                &format!("{name}, to HTTP/{version}"),
                version,
                |script| Origin::plain(script),
                "",
                |gate| {
                    let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n{rest_of_head}");
                    end(Reply::bytes(head).wait(gate))
                },
            );
        }
    }
}

#[test]
fn a_tls_body_that_ends_without_goodbye_never_looks_whole_and_is_never_stored() {
    let certificates = Certificates::new();
    let of_origin = format!("protocol = \"https\"\n{}", trust(&certificates));
    let identity = certificates.identity(&["a.test"]);
    let rows: [(&str, &str); 2] = [("until close", "\r\npart"), ("length", "Content-Length: 9\r\n\r\npart")];
    for (name, rest_of_head) in rows {
        let start = |script| Origin::tls(OriginTls::new(&identity), script);
        cut_short(name, "1.1", start, &of_origin, |gate| {
            let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n{rest_of_head}");
            Reply::bytes(head).wait(gate).cut()
        });
    }
}

type Script = Box<dyn Fn(&support::Request) -> Reply + Send + Sync>;

/// A client and a follower have read the first part of what the origin then cuts.
fn cut_short(
    name: &str,
    version: &str,
    start: impl FnOnce(Script) -> Origin,
    of_origin: &str,
    reply: impl Fn(&Gate) -> Reply,
) {
    let (gate, second) = (Gate::new(), Gate::new());
    second.open();
    let (cut, again) = (reply(&gate), reply(&second));
    let script = move |request: &support::Request| if request.connection == 0 { cut.clone() } else { again.clone() };
    let origin = start(Box::new(script));
    let pop = Pop::start(&site_with("a.test", &origin, "", of_origin));
    let mut clients = [pop.client(), pop.client()];
    for client in &mut clients {
        client.send(format!("GET /x HTTP/{version}\r\nHost: a.test\r\n\r\n"));
        assert_eq!(client.head_of("GET").status, 200, "{name}");
        assert_eq!(client.body_of_at_least(4), b"part", "{name}");
    }
    gate.open();
    for client in &mut clients {
        let rest = client.rest();
        assert!(rest.is_err(), "{name}: looked whole, with the rest {rest:?}");
    }
    wait_until(|| pop.stats().stored == 0);
    let mut client = pop.client();
    client.send(request("GET", "/x", &[]));
    assert!(client.try_response("GET").is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock), "{name}");
    assert_eq!(origin.count(), 2, "{name}");
}

#[test]
fn a_failure_before_the_request_is_shared_by_all_who_wait() {
    let gate = Gate::new();
    let held = gate.clone();
    // Takes the connection and ends it within the TLS handshake.
    let origin = Origin::raw(move |_, _| held.wait());
    let pop = Pop::start(&(site_with("a.test", &origin, "", "protocol = \"https\"") + ONE_WORKER));
    let mut clients = herd(&pop, 30, "/x");
    gate.wait_for_arrivals(1);
    gate.open();
    for client in &mut clients {
        let answer = client.response();
        assert_eq!(answer.status, 502);
        let cause = answer.field("proxy-status").unwrap();
        assert!(cause.contains("error=connection_terminated; phase=tls-handshake"), "{cause}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_error_of_the_origin_is_shared_by_all_who_wait_and_leaves_no_mark() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| {
        Reply::nothing().wait(&held).then("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nsick")
    });
    let pop = pop_of(&origin);
    let mut clients = herd(&pop, 30, "/x");
    gate.wait_for_arrivals(1);
    gate.open();
    for client in &mut clients {
        let answer = client.response();
        assert_eq!((answer.status, answer.text().as_str()), (503, "sick"));
    }
    assert_eq!((origin.count(), pop.stats().stored), (1, 0));
}

#[test]
fn variants_are_fetched_once_each_and_never_mixed_up_in_a_herd() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let coding = request.field("accept-encoding").unwrap();
        let vary = "Vary: Accept-Encoding";
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n{vary}\r\nContent-Length: {}\r\n\r\n", coding.len());
        Reply::nothing().wait(&held).then(head + coding)
    });
    let pop = pop_of(&origin);
    let mut clients: Vec<(Client, String)> = (0..30)
        .map(|number| {
            let (mut client, coding) = (pop.client(), ["gzip", "br", "zstd"][number % 3].to_owned());
            client.send(request("GET", "/x", &[&format!("Accept-Encoding: {coding}")]));
            (client, coding)
        })
        .collect();
    probe(&pop);
    gate.open();
    for (client, coding) in &mut clients {
        assert_eq!(client.response().text(), *coding);
    }
    assert_eq!((origin.count(), pop.stats().stored), (3, 3));
}

#[test]
fn followers_of_a_response_that_outgrows_the_store_have_it_to_the_end() {
    let gate = Gate::new();
    let held = gate.clone();
    let piece = "0123456789abcdef".repeat(4096);
    let sent = piece.clone();
    let origin = Origin::plain(move |_| {
        let mut reply = Reply::bytes(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        reply = reply.then(format!("{:x}\r\n{sent}\r\n", sent.len())).wait(&held);
        for _ in 0..63 {
            reply = reply.then(format!("{:x}\r\n{sent}\r\n", sent.len()));
        }
        reply.then("0\r\n\r\n")
    });
    let toml = site("a.test", &origin) + ONE_WORKER + "[cache]\nmax_response = \"1MiB\"\n";
    let pop = Pop::start(&toml);
    let mut clients = herd(&pop, 8, "/x");
    for client in &mut clients {
        assert_eq!(client.head_of("GET").status, 200);
    }
    gate.open();
    let threads: Vec<_> = clients.into_iter().map(|mut client| std::thread::spawn(move || client.rest())).collect();
    for thread in threads {
        let body = thread.join().unwrap().unwrap();
        assert!(body == piece.repeat(64).as_bytes(), "{} bytes came", body.len());
    }
    assert_eq!(origin.count(), 1);
    wait_until(|| pop.stats().stored == 0);
}

#[test]
fn a_range_is_served_from_a_body_that_still_fills() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| {
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 10\r\n\r\n");
        Reply::bytes(head).then("01234").wait(&held).then("56789")
    });
    let pop = Pop::of(&origin);
    let mut whole = pop.client();
    whole.send(request("GET", "/x", &[]));
    whole.head_of("GET");
    assert_eq!(pop.get_with("/x", &["Range: bytes=1-3"]).text(), "123");
    gate.open();
    assert_eq!(pop.get_with("/x", &["Range: bytes=-3"]).text(), "789");
    assert_eq!(whole.rest().unwrap(), b"0123456789");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_stale_response_is_served_while_one_fetch_validates_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let fields = ["Cache-Control: max-age=0, stale-while-revalidate=60", "ETag: \"v1\""];
        match request.field("if-none-match") {
            Some(_) => Reply::nothing().wait(&held).then("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n"),
            None => Reply::response("200 OK", &fields, "hello"),
        }
    });
    let pop = Pop::of(&origin);
    assert!(is_stored(&pop.get("/x")));
    for _ in 0..10 {
        let answer = pop.get("/x");
        assert_eq!(answer.text(), "hello");
        assert!(is_hit(&answer), "{answer:?}");
    }
    gate.wait_for_arrivals(1);
    assert_eq!(origin.count(), 2);
    gate.open();
}

#[test]
fn a_hung_origin_delays_neither_hits_nor_other_sites() {
    let gate = Gate::new();
    let held = gate.clone();
    let sick = Origin::plain(move |request| match request.target.as_str() {
        "/stored" => Reply::response("200 OK", &[FRESH], "from before"),
        _ => Reply::nothing().wait(&held).then(ok("late")),
    });
    let sound = Origin::plain(|request| Reply::response("200 OK", &[FRESH], request.target.clone()));
    let workers = "[workers]\ncount = 1\nfetchers = 8\nmax_fetches = 4\n";
    let pop = Pop::start(&(site("a.test", &sick) + &site("b.test", &sound) + workers));
    pop.get("/stored");
    let mut waiting: Vec<_> = (0..12).flat_map(|number| herd(&pop, 1, &format!("/{number}"))).collect();
    gate.wait_for_arrivals(4);
    for number in 0..20 {
        assert_eq!(pop.client().get("b.test", &format!("/{number}")).text(), format!("/{number}"));
        assert!(is_hit(&pop.get("/stored")));
    }
    assert_eq!(sick.count(), 1 + 4, "max_fetches holds");
    gate.open();
    assert!(waiting.iter_mut().all(|client| client.response().text() == "late"));
}

#[test]
fn a_full_queue_answers_503_at_once_and_drops_whom_nobody_awaits() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| Reply::nothing().wait(&held).then(ok("late")));
    let limits = "[workers]\ncount = 1\nmax_fetches = 1\nfetch_queue = 2\n";
    let pop = Pop::start(&(site("a.test", &origin) + limits));
    let mut running = herd(&pop, 1, "/running").remove(0);
    gate.wait_for_arrivals(1);
    let mut queued = herd(&pop, 1, "/queued").remove(0);
    let left = herd(&pop, 1, "/left").remove(0);
    let refused = pop.get("/refused");
    assert_eq!(refused.status, 503);
    let cause = refused.field("proxy-status").unwrap();
    assert!(cause.contains("error=connection_limit_reached; phase=queue"), "{cause}");
    // Whoever wants what is fetched already still may wait for it.
    let mut follower = herd(&pop, 1, "/running").remove(0);
    wait_until(|| pop.stats().connections == 4);
    left.reset();
    wait_until(|| pop.stats().connections == 3);
    gate.open();
    for client in [&mut running, &mut queued, &mut follower] {
        assert_eq!(client.response().text(), "late");
    }
    let targets: Vec<_> = origin.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/running", "/queued"]);
}

#[test]
fn a_refused_connection_is_the_same_cause_for_all() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pop = Pop::start(&(site_at("a.test", &format!("127.0.0.1:{port}"), "", "") + ONE_WORKER));
    for client in &mut herd(&pop, 20, "/x") {
        let answer = client.response();
        assert_eq!(answer.status, 502);
        assert!(answer.field("proxy-status").unwrap().contains("error=connection_refused; phase=connect"));
    }
    assert_eq!(pop.stats().stored, 0);
}
