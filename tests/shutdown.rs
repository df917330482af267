//! Stopping in order: what runs is finished, what idles ends, and a stop never hangs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::thread::{JoinHandle, spawn};

use support::pop::{https_table, request, site};
use support::{Certificates, Client, Gate, LIMIT, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";

/// One worker, so that an answer of its tells that it has read what came before.
const ONE_WORKER: &str = "[workers]\ncount = 1\n";

/// A POP with one worker and the site `a.test`.
fn pop_of(origin: &Origin) -> Pop {
    Pop::start(&(site("a.test", origin) + ONE_WORKER))
}

/// Begins to stop the POP, and comes back when it accepts nobody any more.
fn stop(pop: Pop) -> JoinHandle<()> {
    let address = pop.address();
    let stopping = spawn(move || pop.shutdown());
    wait_until(|| is_closed(address));
    stopping
}

/// Nobody takes connections there: they are refused, or end without a byte.
fn is_closed(address: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&address, LIMIT) {
        Err(_) => true,
        Ok(socket) => {
            socket.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
            matches!(std::io::Read::read(&mut &socket, &mut [0]), Ok(0))
        }
    }
}

/// Sends a head and a part, and the rest when the gate opens; `/late` sends nothing before that.
fn held_origin(gate: &Gate) -> Origin {
    let held = gate.clone();
    Origin::plain(move |request| {
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 12\r\n\r\nfirst ");
        match request.target.as_str() {
            "/late" => Reply::nothing().wait(&held).then(head + "second"),
            "/idle" => Reply::response("200 OK", &[FRESH], "done"),
            _ => Reply::bytes(head).wait(&held).then("second"),
        }
    })
}

#[test]
fn running_downloads_are_finished_and_idle_connections_end() {
    let gate = Gate::new();
    let origin = held_origin(&gate);
    let pop = pop_of(&origin);
    let mut idle = pop.client();
    assert_eq!(idle.get("a.test", "/idle").text(), "done");
    let mut silent = pop.client();
    let mut running: Vec<Client> = (0..5).map(|_| pop.client()).collect();
    for client in &mut running {
        client.send(request("GET", "/x", &[]));
        assert_eq!(client.head_of("GET").status, 200);
        assert_eq!(client.body_of_at_least(6), b"first ");
    }
    let stopping = stop(pop);
    assert!(idle.closed() && silent.closed());
    gate.open();
    for client in &mut running {
        assert_eq!(client.rest().unwrap(), b"second");
        assert!(client.closed());
    }
    stopping.join().unwrap();
    assert_eq!(origin.count(), 2);
}

#[test]
fn answers_that_begin_after_the_stop_say_close() {
    let gate = Gate::new();
    let origin = held_origin(&gate);
    let pop = pop_of(&origin);
    let mut waiting = pop.client();
    // The second request of the pipeline comes too late.
    waiting.send(request("GET", "/late", &[]) + &request("GET", "/idle", &[]));
    gate.wait_for_arrivals(1);
    let stopping = stop(pop);
    gate.open();
    let response = waiting.response();
    assert_eq!((response.text().as_str(), response.field("connection")), ("first second", Some("close")));
    assert!(waiting.closed());
    stopping.join().unwrap();
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_request_that_has_begun_to_arrive_is_still_answered() {
    let gate = Gate::new();
    let origin = held_origin(&gate);
    let pop = pop_of(&origin);
    let (mut head, mut body) = (pop.client(), pop.client());
    head.send("GET /idle HTTP/1.1\r\nHost: a.te");
    body.send("POST /idle HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhe");
    // The one worker has read both when it answers this.
    assert_eq!(pop.get("/idle").status, 200);
    let stopping = stop(pop);
    head.send("st\r\n\r\n");
    body.send("llo");
    for client in [&mut head, &mut body] {
        let response = client.response();
        assert_eq!((response.text().as_str(), response.field("connection")), ("done", Some("close")));
        assert!(client.closed());
    }
    stopping.join().unwrap();
}

#[test]
fn a_connection_accepted_before_the_stop_gets_its_first_answer_if_it_asks_soon() {
    let origin = held_origin(&Gate::new());
    let pop = pop_of(&origin);
    let (mut early, mut silent) = (pop.client(), pop.client());
    wait_until(|| pop.stats().connections == 2);
    let stopping = stop(pop);
    let response = early.get("a.test", "/idle");
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
    assert!(early.closed() && silent.closed(), "who says nothing is not waited for for long");
    stopping.join().unwrap();
}

#[test]
fn a_kept_connection_whose_next_request_is_on_its_way_is_answered_and_told() {
    let certificates = Certificates::new();
    let origin = held_origin(&Gate::new());
    let https = https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::start_with_https(&(site("a.test", &origin) + &https + ONE_WORKER));
    let mut clients = [pop.client(), Client::tls(pop.https(), &certificates.roots(), "a.test")];
    for client in &mut clients {
        assert_eq!(client.get("a.test", "/idle").field("connection"), None);
    }
    let stopping = stop(pop);
    for client in &mut clients {
        let response = client.get("a.test", "/idle");
        assert_eq!((response.status, response.field("connection")), (200, Some("close")));
        assert!(client.closed());
    }
    stopping.join().unwrap();
}

#[test]
fn https_clients_are_told_the_end() {
    let certificates = Certificates::new();
    let gate = Gate::new();
    let origin = held_origin(&gate);
    let https = https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::start_with_https(&(site("a.test", &origin) + &https + ONE_WORKER));
    let mut idle = Client::tls(pop.https(), &certificates.roots(), "a.test");
    idle.get("a.test", "/idle");
    let mut running = Client::tls(pop.https(), &certificates.roots(), "a.test");
    running.send(request("GET", "/x", &[]));
    running.head_of("GET");
    let stopping = stop(pop);
    assert!(idle.closed());
    gate.open();
    assert_eq!(running.rest().unwrap(), b"first second");
    stopping.join().unwrap();
}

#[test]
fn a_stop_does_not_wait_for_a_hung_origin_beyond_its_limit() {
    let gate = Gate::new();
    let origin = held_origin(&gate);
    let pop = Pop::start(&(site("a.test", &origin) + "[limits]\nshutdown_timeout = \"100ms\"\n"));
    let mut waiting = pop.client();
    waiting.send(request("GET", "/late", &[]));
    gate.wait_for_arrivals(1);
    pop.shutdown();
    assert!(waiting.try_response("GET").is_err(), "nothing came, so nothing can have been answered");
    gate.open();
}

#[test]
fn dropping_it_stops_at_once() {
    let gate = Gate::new();
    let origin = held_origin(&gate);
    let pop = pop_of(&origin);
    let address = pop.address();
    let (mut idle, mut running) = (pop.client(), pop.client());
    idle.get("a.test", "/idle");
    running.send(request("GET", "/x", &[]));
    running.head_of("GET");
    drop(pop);
    assert!(is_closed(address));
    assert!(idle.closed());
    assert!(running.rest().is_err(), "a cut answer must not look whole");
    gate.open();
}

#[test]
fn another_one_may_start_on_the_same_address_at_once() {
    let origin = held_origin(&Gate::new());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for _ in 0..3 {
        let pop = Pop::listening(&format!("http = \"127.0.0.1:{port}\""), &site("a.test", &origin));
        assert_eq!(pop.get("/idle").text(), "done");
        pop.shutdown();
    }
    assert_eq!(origin.count(), 3);
}
