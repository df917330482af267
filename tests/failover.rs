//! Several servers behind one site, as clients see them: who is asked, who stands in, and that nobody notices a death.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use support::pop::{request, site_with, trust};
use support::{Certificates, Gate, Leaf, Origin, OriginTls, Pop, Reply, Response, wait_until};

/// The site `a.test` with these servers (TOML items) and further lines for `[site.origin]`.
fn site(servers: &[String], of_origin: &str) -> String {
    let servers = servers.join(", ");
    format!("[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [{servers}]\n{of_origin}\n")
}

fn primary(address: SocketAddr) -> String {
    format!("{{ address = \"{address}\" }}")
}

fn backup(address: SocketAddr) -> String {
    format!("{{ address = \"{address}\", role = \"backup\" }}")
}

fn weighing(address: SocketAddr, weight: u32) -> String {
    format!("{{ address = \"{address}\", weight = {weight} }}")
}

/// Says its name, not to be stored, in one write.
fn named(name: &'static str) -> impl Fn(&support::Request) -> Reply + Send + Sync + 'static {
    move |_| {
        let length = name.len();
        Reply::bytes(format!("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: {length}\r\n\r\n{name}"))
    }
}

/// A port of the loopback address that nobody listens on.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[track_caller]
fn check(response: &Response, status: u16, error: &str, phase: &str) {
    let cause = response.field("proxy-status").unwrap_or_else(|| panic!("no Proxy-Status in {response:?}"));
    assert!(cause.starts_with(&format!("millpond; error={error}; phase={phase}")), "{cause}");
    assert_eq!(response.status, status, "{cause}");
}

#[test]
fn a_backup_stands_in_and_a_probe_brings_the_primary_back() {
    let first = Origin::plain(named("primary"));
    let address = first.address();
    let second = Origin::plain(named("backup"));
    let pop = Pop::start(&site(&[backup(second.address()), primary(address)], ""));
    assert_eq!(pop.get("/x").text(), "primary");
    drop(first);
    for _ in 0..3 {
        assert_eq!(pop.get("/x").text(), "backup");
    }
    let states = pop.origins().addresses;
    assert_eq!((states.len(), states[0].address, states[0].dead_for.is_some()), (1, address, true));
    assert_eq!((pop.stats().dead_addresses, pop.origins().dead_addresses()), (1, 1));
    let _first = Origin::start(&address.to_string(), None, named("primary"));
    // No request goes there meanwhile: it is the probe that finds out.
    wait_until(|| pop.origins().addresses.is_empty());
    assert_eq!(pop.stats().dead_addresses, 0);
    assert_eq!(pop.get("/x").text(), "primary");
}

#[test]
fn servers_get_their_shares_by_weight() {
    let (heavy, light) = (Origin::plain(named("heavy")), Origin::plain(named("light")));
    let pop = Pop::start(&site(&[weighing(heavy.address(), 3), weighing(light.address(), 1)], ""));
    for _ in 0..40 {
        pop.get("/x");
    }
    assert_eq!((heavy.count(), light.count()), (30, 10));
}

#[test]
fn with_all_servers_dead_the_answer_is_503_at_once_until_one_is_back() {
    let addresses = [closed_port(), closed_port()];
    let pop = Pop::start(&site(&addresses.map(primary), ""));
    let mut answer = pop.get("/x");
    check(&answer, 502, "connection_refused", "connect");
    wait_until(|| {
        answer = pop.get("/x");
        answer.status == 503
    });
    check(&answer, 503, "destination_unavailable", "connect");
    let origin = Origin::start(&addresses[1].to_string(), None, named("back"));
    wait_until(|| pop.get("/x").status == 200);
    assert!(origin.count() > 0);
}

#[test]
fn stale_content_is_served_while_all_servers_are_dead() {
    let origins = [Origin::plain(fresh_for_a_moment), Origin::plain(fresh_for_a_moment)];
    let servers: Vec<String> = origins.iter().map(|origin| primary(origin.address())).collect();
    let pop = Pop::start(&site(&servers, ""));
    assert_eq!(pop.get("/x").text(), "from before");
    drop(origins);
    for _ in 0..5 {
        assert_eq!((pop.get("/x").text().as_str(), pop.get("/y").status / 100), ("from before", 5));
    }
    assert!(pop.origins().addresses.iter().all(|state| state.dead_for.is_some()));
}

fn fresh_for_a_moment(_: &support::Request) -> Reply {
    Reply::response("200 OK", &["Cache-Control: max-age=0", "ETag: \"v\""], "from before")
}

#[test]
fn a_sick_answer_moves_on_to_the_next_server_and_a_lone_one_is_passed_on() {
    let sick = Origin::plain(|_| Reply::response("503 Service Unavailable", &["X-From: sick"], "its own words"));
    let well = Origin::plain(named("well"));
    let pop = Pop::start(&site(&[primary(sick.address()), backup(well.address())], ""));
    assert_eq!((pop.get("/x").text().as_str(), sick.count(), well.count()), ("well", 1, 1));
    // Not repeatable: the answer is the answer.
    assert_eq!((pop.ask("POST", "/x", &["Content-Length: 0"]).status, sick.count(), well.count()), (503, 2, 1));
    let alone = Pop::of(&sick);
    let response = alone.get("/x");
    assert_eq!((response.status, response.text().as_str()), (503, "its own words"));
    assert_eq!((response.field("x-from"), response.field("proxy-status")), (Some("sick"), None));
    assert_eq!(sick.count(), 3, "nothing is sent twice");
}

#[test]
fn no_more_connections_than_allowed_and_the_others_wait_their_turn() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/held" => Reply::nothing().wait(&held).then("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        _ => Reply::ok("ok"),
    });
    let pop = Pop::start(&site_with("a.test", &origin, "", "max_connections = 1"));
    let mut first = pop.client();
    first.send(request("GET", "/held", &[]));
    gate.wait_for_arrivals(1);
    let mut others: Vec<_> = (0..4).map(|_| pop.client()).collect();
    for (index, client) in others.iter_mut().enumerate() {
        client.send(request("GET", &format!("/{index}"), &[]));
    }
    wait_until(|| pop.stats().fetching.0 == 5);
    gate.open();
    assert_eq!(first.response().text(), "ok");
    assert!(others.iter_mut().all(|client| client.response().text() == "ok"));
    assert_eq!((origin.count(), origin.connections()), (5, 1));
}

#[test]
fn a_wait_for_a_connection_ends_with_its_cause() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| Reply::nothing().wait(&held).then("HTTP/1.1 204 No Content\r\n\r\n"));
    let limits = "max_connections = 1\ntimeouts = { connect = \"50ms\" }";
    let pop = Pop::start(&site_with("a.test", &origin, "", limits));
    let mut first = pop.client();
    first.send(request("GET", "/1", &[]));
    gate.wait_for_arrivals(1);
    let response = pop.get("/2");
    check(&response, 503, "connection_limit_reached", "connect");
    assert!(response.text().contains("max_connections"), "{}", response.text());
    gate.open();
    assert_eq!(first.response().status, 204);
    assert_eq!(pop.get("/2").status, 204);
}

#[test]
fn an_origin_that_asks_who_we_are_is_shown_the_certificate() {
    let certificates = Certificates::new();
    let us = certificates.issue("us", &Leaf::names(&["pop.test"]).for_clients_only());
    let tls = OriginTls::new(&certificates.identity(&["a.test"])).demand_client_certificate(certificates.roots());
    let origin = Origin::tls(tls, named("welcome"));
    let https = format!("protocol = \"https\"\n{}", trust(&certificates));
    let refused = Pop::start(&site_with("a.test", &origin, "", &https)).get("/x");
    assert_eq!(refused.status, 502, "{refused:?}");
    let paths = format!(
        "client_certificate = {{ certificate = \"{}\", key = \"{}\" }}",
        us.chain_file.display(),
        us.key_file.display()
    );
    let pop = Pop::start(&site_with("a.test", &origin, "", &format!("{https}{paths}")));
    assert_eq!(pop.get("/x").text(), "welcome");
}

#[test]
fn a_client_certificate_of_no_use_stops_the_start() {
    let certificates = Certificates::new();
    let us = certificates.identity(&["pop.test"]);
    let other = certificates.issue("other", &Leaf::names(&["pop.test"]));
    let rows = [
        ("/nonexistent.pem".into(), us.key_file.clone(), "client_certificate.certificate: cannot read"),
        (us.chain_file.clone(), other.key_file, "client_certificate.key: the private key does not belong"),
    ];
    for (chain, key, expected) in rows {
        let line = format!(
            "client_certificate = {{ certificate = \"{}\", key = \"{}\" }}",
            std::path::Path::new(&chain).display(),
            key.display()
        );
        let text = site(&["\"192.0.2.1\"".into()], &line);
        let config = millpond::config::Config::parse(&text, "scene.toml".as_ref()).unwrap();
        let problems = millpond::Edge::check(&config);
        assert!(problems.len() == 1 && problems[0].to_string().contains(expected), "{problems:?}");
    }
}

#[test]
fn below_the_tls_floor_nothing_is_spoken() {
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let old = Origin::tls(OriginTls::new(&identity).versions(&[&rustls::version::TLS12]), named("old"));
    let https = format!("protocol = \"https\"\n{}", trust(&certificates));
    assert_eq!(Pop::start(&site_with("a.test", &old, "", &https)).get("/x").text(), "old");
    let strict = format!("{https}tls_min = \"1.3\"\n");
    let refused = Pop::start(&site_with("a.test", &old, "", &strict)).get("/x");
    check(&refused, 502, "tls_alert_received", "tls-handshake");
    let new = Origin::tls(OriginTls::new(&identity), named("new"));
    assert_eq!(Pop::start(&site_with("a.test", &new, "", &strict)).get("/x").text(), "new");
}

#[test]
fn a_server_that_fails_its_health_check_is_left_out_until_it_is_well() {
    let is_sick = Arc::new(AtomicBool::new(true));
    let sick = Arc::clone(&is_sick);
    let checks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&checks);
    let first = Origin::plain(move |request| match request.target.as_str() {
        "/healthz" => {
            assert_eq!((request.field("host"), request.method.as_str()), (Some("check.test"), "GET"));
            counted.fetch_add(1, Ordering::SeqCst);
            let status = if sick.load(Ordering::SeqCst) { "500 Internal Server Error" } else { "204 No Content" };
            Reply::bytes(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))
        }
        _ => named("primary")(request),
    });
    let are_all_sick = Arc::new(AtomicBool::new(false));
    let all_sick = Arc::clone(&are_all_sick);
    let second = Origin::plain(move |request| match request.target.as_str() {
        "/healthz" if all_sick.load(Ordering::SeqCst) => {
            Reply::bytes("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        }
        "/healthz" => Reply::bytes("HTTP/1.1 204 No Content\r\n\r\n"),
        _ => named("backup")(request),
    });
    let health = "[site.origin.health]\npath = \"/healthz\"\nstatus = [200, 204]\ninterval = \"500ms\"\n\
        host = \"check.test\"\nfailures = 2\nsuccesses = 1";
    let pop = Pop::start(&site(&[primary(first.address()), backup(second.address())], health));
    let is_out = || pop.origins().checks.iter().any(|state| state.address == first.address() && state.is_failing);
    wait_until(is_out);
    assert!(checks.load(Ordering::SeqCst) >= 2);
    assert_eq!(pop.get("/x").text(), "backup");
    let failure = pop.origins().checks.into_iter().find(|state| state.is_failing).unwrap().failure;
    assert!(failure.ends_with("GET /healthz was answered with 500"), "{failure}");
    are_all_sick.store(true, Ordering::SeqCst);
    wait_until(|| pop.origins().checks.iter().all(|state| state.is_failing));
    // One request a second goes through all the same.
    wait_until(|| pop.get("/x").status == 503);
    is_sick.store(false, Ordering::SeqCst);
    wait_until(|| !is_out());
    assert_eq!(pop.get("/x").text(), "primary");
}

/// A listener with a full backlog, which lets connects hang as a black hole does; the sockets that fill it come along.
fn black_hole() -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut fill = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        fill.push(stream);
    }
    (socket, fill, address)
}

#[test]
fn a_crowd_before_a_black_hole_is_served_by_the_other_server() {
    let (_socket, _fill, silent) = black_hole();
    let other = Origin::plain(named("ok"));
    let pop = Pop::start(&site(&[primary(silent), primary(other.address())], "timeouts = { connect = \"500ms\" }"));
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| pop.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(request("GET", &format!("/{number}"), &[]));
    }
    assert!(clients.iter_mut().all(|client| client.response().text() == "ok"));
    assert_eq!((pop.stats().failures, other.count()), (0, CLIENTS));
    wait_until(|| pop.origins().addresses.iter().any(|state| state.dead_for.is_some()));
}

/// One of two servers is killed, its connections reset or closed, while a hundred clients ask on.
#[test]
fn under_load_nobody_notices_that_one_of_two_servers_dies() {
    let doomed = Origin::plain(named("ok"));
    let other = Origin::plain(named("ok"));
    let pop = Pop::start(&site(&[primary(doomed.address()), primary(other.address())], ""));
    let address = pop.address();
    let (start, served, goes_on) = (Barrier::new(CLIENTS + 1), AtomicUsize::new(0), AtomicBool::new(true));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (start, served, goes_on) = (&start, &served, &goes_on);
                scope.spawn(move || {
                    let mut client = support::Client::plain(address);
                    start.wait();
                    for round in 0.. {
                        let response = client.get("a.test", &format!("/{number}/{round}"));
                        assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{response:?}");
                        served.fetch_add(1, Ordering::SeqCst);
                        if !goes_on.load(Ordering::SeqCst) {
                            return;
                        }
                    }
                })
            })
            .collect();
        start.wait();
        wait_until(|| served.load(Ordering::SeqCst) > 3 * CLIENTS);
        assert!(doomed.count() > CLIENTS, "it had its share");
        drop(doomed);
        let before = served.load(Ordering::SeqCst);
        wait_until(|| served.load(Ordering::SeqCst) > before + 5 * CLIENTS);
        goes_on.store(false, Ordering::SeqCst);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    assert_eq!(pop.stats().failures, 0);
}

const CLIENTS: usize = 100;
