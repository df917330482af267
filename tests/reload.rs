//! Another configuration for a running POP: whole or not at all, nobody dropped, nothing forgotten that still holds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use millpond::{Error, Reloaded};
use support::client::client_config;
use support::pop::{https_table, is_hit, site, site_at, site_with, trust};
use support::{Certificates, Client, Gate, LIMIT, Leaf, Origin, OriginTls, Pop, Reply, TempDir, wait_until};

const HTTP: &str = "http = \"127.0.0.1:0\"";
const BOTH: &str = "http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"";

/// Stored where the target begins with `/stored`, else not; the body names the Host.
fn echo() -> Origin {
    Origin::plain(answer)
}

fn answer(request: &support::Request) -> Reply {
    let fresh = if request.target.starts_with("/stored") { "max-age=600" } else { "no-store" };
    Reply::response("200 OK", &[&format!("Cache-Control: {fresh}")], request.field("host").unwrap())
}

#[track_caller]
fn reload(pop: &Pop, toml: &str) -> Reloaded {
    pop.reload(HTTP, toml).unwrap()
}

/// The problems of a refused reload, one a line.
#[track_caller]
fn refused(result: Result<Reloaded, Error>) -> String {
    match result {
        Err(Error::Configuration(problems)) => problems.join("\n"),
        other => panic!("not refused: {other:?}"),
    }
}

/// Reloads five times, each time with the sites in another order, another limit and a new certificate, under the load of
/// clients on fresh, kept and TLS connections. Reliability 2, faults 25 and 30.
#[test]
fn five_reloads_and_new_certificates_under_load_fail_no_request() {
    let certificates = Certificates::new();
    let origin = echo();
    let issue = || certificates.issue("a", &Leaf::names(&["a.test"]));
    let a_site = site("a.test", &origin) + &https_table(&issue());
    let pop = Pop::start_with_https(&a_site);
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let roots = certificates.roots();
    let connect = |kind: usize| match kind {
        0 => Client::tls(pop.https(), &roots, "a.test"),
        _ => pop.client(),
    };
    let load = |kind: usize| {
        for round in 0..MOST_ROUNDS {
            if done.load(Ordering::SeqCst) {
                return;
            }
            let mut client = connect(kind);
            for number in 0..[3, 1, 50][kind] {
                let target = if number % 2 == 0 { "/stored".into() } else { format!("/passed/{round}") };
                let response = client.get("a.test", &target);
                assert_eq!((response.status, response.text()), (200, "a.test".into()), "{target}");
                asked.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let load = &load;
    thread::scope(|scope| {
        // The clients end even where an assertion below fails.
        let end = End(&done);
        let clients: Vec<_> = (0..3).map(|kind| scope.spawn(move || load(kind))).collect();
        for round in 0..5 {
            let before = asked.load(Ordering::SeqCst);
            wait_until(|| asked.load(Ordering::SeqCst) >= before + 100 || clients.iter().any(|c| c.is_finished()));
            issue();
            let other = site(&format!("b{round}.test"), &origin);
            let head = format!("[limits]\nrequest_fields = {}\n", 60 + round);
            let sites = if round % 2 == 0 { other + &a_site } else { a_site.clone() + &other };
            let reloaded = pop.reload(BOTH, &(head + &sites)).unwrap();
            assert_eq!((reloaded.added.len(), reloaded.changed.len(), reloaded.certificates), (1, 0, 1));
        }
        drop(end);
        clients.into_iter().for_each(|client| client.join().expect("no request failed"));
    });
    let stored = origin.requests().iter().filter(|request| request.target == "/stored").count();
    assert_eq!(stored, 2, "what is stored, for each scheme, outlives all reloads");
    assert_eq!(pop.stats().failures, 0);
}

/// Ends the load when dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

const MOST_ROUNDS: usize = 20_000;

#[test]
fn the_same_configuration_changes_nothing_and_keeps_connections_on_both_sides() {
    let origin = echo();
    let sites = site("a.test", &origin) + &site("b.test", &origin);
    let pop = Pop::start(&sites);
    let mut client = pop.client();
    assert!(!is_hit(&client.get("a.test", "/stored")));
    wait_until(|| pop.stats().idle_origin_connections == 1);
    let reloaded = reload(
        &pop,
        &format!("# A comment, and another order.\n{}{}", site("b.test", &origin), site("a.test", &origin)),
    );
    assert_eq!((reloaded.to_string().as_str(), reloaded), ("nothing changed", Reloaded::default()));
    assert!(is_hit(&client.get("a.test", "/stored")));
    assert_eq!(client.get("b.test", "/passed").status, 200);
    assert_eq!((origin.connections(), pop.stats().connections), (1, 1));
}

#[test]
fn a_changed_host_and_a_changed_server_take_effect_with_the_next_fetch() {
    let (old, new) = (echo(), echo());
    let pop = Pop::start(&site("a.test", &old));
    let mut client = pop.client();
    assert_eq!(client.get("a.test", "/passed").text(), "a.test");
    let reloaded = reload(&pop, &site_with("a.test", &old, "", "host = \"other.test\""));
    assert_eq!((reloaded.changed, reloaded.added, reloaded.removed), (vec!["a.test".into()], vec![], vec![]));
    assert_eq!(client.get("a.test", "/passed").text(), "other.test");
    reload(&pop, &site("a.test", &new));
    assert_eq!(client.get("a.test", "/passed").text(), "a.test");
    assert_eq!((old.count(), new.count()), (2, 1));
}

#[test]
fn a_rule_of_a_site_takes_effect_for_what_is_stored_already() {
    let origin = echo();
    let pop = Pop::start(&site("a.test", &origin));
    pop.get("/stored");
    let is_asked_again = || !is_hit(&pop.get_with("/stored", &["Cache-Control: no-cache"]));
    assert!(is_asked_again());
    reload(&pop, &site_with("a.test", &origin, "client_cache_control = \"ignore\"", ""));
    assert!(!is_asked_again());
}

#[test]
fn an_added_site_answers_and_a_removed_one_is_misdirected_at_once() {
    let origin = echo();
    let pop = Pop::start(&site("a.test", &origin));
    let mut client = pop.client();
    assert_eq!(client.get("b.test", "/x").status, 421);
    for _ in 0..10 {
        let reloaded = reload(&pop, &site("b.test", &origin));
        assert_eq!((reloaded.added, reloaded.removed), (vec!["b.test".into()], vec!["a.test".into()]));
        assert_eq!((client.get("a.test", "/stored").status, client.get("b.test", "/x").status), (421, 200));
        reload(&pop, &site("a.test", &origin));
        assert_eq!((client.get("a.test", "/stored").status, client.get("b.test", "/x").status), (200, 421));
    }
}

#[test]
fn an_exchange_ends_under_the_configuration_that_it_began_with() {
    let gate = Gate::new();
    let origin = Origin::plain({
        let gate = gate.clone();
        move |_| Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").wait(&gate).then("67890")
    });
    let pop = Pop::start(&site("a.test", &origin));
    let mut client = pop.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.head_of("GET").status, 200);
    reload(&pop, &site("b.test", &origin));
    gate.open();
    assert_eq!(client.rest().unwrap(), b"1234567890");
    assert_eq!(client.get("a.test", "/").status, 421);
}

#[test]
fn a_site_keeps_its_share_of_fetches_when_others_come_before_it() {
    let gate = Gate::new();
    let origin = Origin::plain({
        let gate = gate.clone();
        move |request| match request.target.as_str() {
            "/hangs" => Reply::nothing().wait(&gate).then("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            _ => Reply::ok("quick"),
        }
    });
    let head = "[workers]\nfetch_queue = 0\n";
    let small = |domain: &str| site_with(domain, &origin, "max_fetches = 1", "");
    let pop = Pop::start(&(head.to_owned() + &small("a.test")));
    let mut hanging = pop.client();
    hanging.send("GET /hangs HTTP/1.1\r\nHost: a.test\r\n\r\n");
    gate.wait_for_arrivals(1);
    reload(&pop, &(head.to_owned() + &small("b.test") + &small("a.test")));
    assert_eq!(pop.client().get("b.test", "/quick").status, 200);
    assert_eq!(pop.client().get("a.test", "/quick").status, 503, "its one fetch still runs");
    let more = format!("[workers]\nfetch_queue = 0\nmax_fetches = 2\n{}", site("a.test", &origin));
    assert_eq!(reload(&pop, &more).tables, ["workers"]);
    assert_eq!(pop.client().get("a.test", "/quick").status, 200);
    gate.open();
    assert_eq!(hanging.response().status, 200);
}

#[test]
fn a_refused_reload_changes_nothing_and_names_every_problem() {
    let (certificates, origin) = (Certificates::new(), echo());
    let identity = certificates.identity(&["a.test"]);
    let sites = site("a.test", &origin) + &https_table(&identity);
    let pop = Pop::start_with_https(&sites);
    let before = pop.edge().addresses();
    std::fs::write(&identity.key_file, "no key").unwrap();
    let worse = format!("[workers]\nfetchers = 3\n{}{sites}", site("b.test", &origin));
    let problems = refused(pop.reload(BOTH, &worse));
    let lines: Vec<_> = problems.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("scene.toml:5: workers.fetchers: "), "{problems}");
    assert!(lines[1].contains("site[2].https.key: "), "{problems}");
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    std::fs::write(&identity.key_file, &identity.key_pem).unwrap();
    let problems = refused(pop.reload(&format!("https = \"127.0.0.1:0\"\nhttp = \"{taken}\""), &sites));
    assert!(problems.contains("scene.toml:3: listen.http: cannot listen on 127.0.0.1:"), "{problems}");
    assert_eq!(pop.edge().addresses(), before);
    assert_eq!((pop.get("/x").status, pop.client().get("b.test", "/x").status), (200, 421));
    let mut secure = Client::tls(pop.https(), &certificates.roots(), "a.test");
    assert_eq!(secure.get("a.test", "/x").status, 200);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let (certificates, origin) = (Certificates::new(), echo());
    let sites = site("a.test", &origin) + &https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::start_with_https(&sites);
    let connect = || Client::tls(pop.https(), &certificates.roots(), "a.test");
    let mut old = connect();
    let new = certificates.identity(&["a.test"]);
    let reloaded = pop.reload(BOTH, &sites).unwrap();
    assert_eq!(reloaded.to_string(), "1 certificate new");
    let mut fresh = connect();
    assert_eq!(fresh.peer_certificate(), Some(&new.leaf()));
    assert_ne!(old.peer_certificate(), Some(&new.leaf()));
    assert_eq!((old.get("a.test", "/x").status, fresh.get("a.test", "/x").status), (200, 200));
}

#[test]
fn neither_a_resumed_session_nor_an_old_connection_brings_a_removed_site_back() {
    let (certificates, origin) = (Certificates::new(), echo());
    let secure = |name: &str| site(name, &origin) + &https_table(&certificates.issue(name, &Leaf::names(&[name])));
    let b_site = secure("b.test");
    let pop = Pop::start_with_https(&(secure("a.test") + &b_site));
    let config = client_config(&certificates.roots());
    let connect = |name: &str| Client::try_tls(pop.https(), config.clone(), name);
    let mut old = connect("a.test").unwrap();
    assert_eq!(old.get("a.test", "/stored").status, 200);
    pop.reload(BOTH, &b_site).unwrap();
    for host in ["a.test", "b.test"] {
        assert_eq!(old.get(host, "/stored").status, 421, "{host}");
    }
    let error = connect("a.test").err().expect("the ticket is for a name that nobody bears").to_string();
    assert!(error.contains("alert"), "{error}");
    assert_eq!(connect("b.test").unwrap().get("b.test", "/x").status, 200);
}

#[test]
fn origin_connections_stay_while_the_trust_is_the_same_and_go_when_its_file_changes() {
    let (certificates, stranger) = (Certificates::new(), Certificates::new());
    let origin = Origin::tls(OriginTls::new(&certificates.identity(&["a.test"])), answer);
    let of_origin = format!("protocol = \"https\"\n{}", trust(&certificates));
    let sites = site_with("a.test", &origin, "", &of_origin);
    let pop = Pop::start(&sites);
    let fetched = |connections: usize| {
        assert_eq!(pop.get("/passed").status, 200);
        wait_until(|| pop.stats().idle_origin_connections == 1);
        assert_eq!(origin.connections(), connections);
    };
    fetched(1);
    assert_eq!(reload(&pop, &sites), Reloaded::default());
    fetched(1);
    // The same CA and another one: still trusted, but by other roots.
    std::fs::write(certificates.ca_file(), certificates.ca_pem() + &stranger.ca_pem()).unwrap();
    assert_eq!(reload(&pop, &sites).trusts, 1);
    assert_eq!(pop.stats().idle_origin_connections, 0);
    fetched(2);
    std::fs::write(certificates.ca_file(), stranger.ca_pem()).unwrap();
    assert_eq!(reload(&pop, &sites).trusts, 1);
    let failed = pop.get("/passed");
    assert_eq!(failed.status, 502);
    assert!(failed.field("proxy-status").unwrap().contains("tls_certificate_error"), "{failed:?}");
}

#[test]
fn listeners_come_and_go_and_connections_through_them_stay() {
    let (certificates, origin) = (Certificates::new(), echo());
    let sites = site("a.test", &origin) + &https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::listening("http = [\"127.0.0.1:0\", \"127.0.0.2:0\"]", &sites);
    let before = pop.edge().addresses();
    let mut old = Client::plain(before.http[1]);
    assert_eq!(old.get("a.test", "/x").status, 200);
    let reloaded = pop.reload(BOTH, &sites).unwrap();
    assert_eq!((reloaded.tables, reloaded.certificates), (vec!["listen"], 0));
    let after = pop.edge().addresses();
    assert_eq!((after.http.as_slice(), after.https.len()), (&before.http[..1], 1));
    assert!(TcpStream::connect_timeout(&before.http[1], LIMIT).is_err(), "nobody listens there any more");
    assert_eq!(old.get("a.test", "/x").status, 200);
    let mut secure = Client::tls(pop.https(), &certificates.roots(), "a.test");
    assert_eq!((pop.get("/x").status, secure.get("a.test", "/x").status), (200, 200));
}

#[test]
fn a_listener_of_ours_is_no_origin_after_a_reload_either() {
    let origin = echo();
    let pop = Pop::start(&site("a.test", &origin));
    let listen = "http = [\"127.0.0.1:0\", \"127.0.0.2:0\"]";
    pop.reload(listen, &site("a.test", &origin)).unwrap();
    let ours = pop.edge().addresses().http[1].to_string();
    pop.reload(listen, &site_at("a.test", &ours, "", "")).unwrap();
    let answer = pop.get("/x");
    let status = answer.field("proxy-status").unwrap();
    assert!(status.contains("proxy_loop_detected") && status.contains("resolve"), "{answer:?}");
}

#[test]
fn limits_hold_from_the_next_request_on() {
    let origin = echo();
    let pop = Pop::start(&site("a.test", &origin));
    let mut client = pop.client();
    let many = format!("GET /x HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "X: y\r\n".repeat(50));
    client.send(&many);
    assert_eq!(client.response().status, 200);
    let few = format!("[limits]\nrequest_fields = 40\n{}", site("a.test", &origin));
    assert_eq!(reload(&pop, &few).tables, ["limits"]);
    client.send(&many);
    assert_eq!(client.response().status, 431);
    // Longer heads than the workers' buffers were made for.
    let long = format!("[limits]\nrequest_head = \"256 KiB\"\n{}", site("a.test", &origin));
    reload(&pop, &long);
    let mut client = pop.client();
    client.send(format!("GET /x HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "y".repeat(200_000)));
    assert_ne!(client.response().status, 400);
    let one = format!("[limits]\nconnections = 1\n{}", site("a.test", &origin));
    reload(&pop, &one);
    let mut second = pop.client();
    second.send("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until(|| pop.stats().limited.accept_pauses > 0);
    drop(client);
    assert_eq!(second.response().status, 200);
}

#[test]
fn a_smaller_memory_evicts_and_keeps_the_rest() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &["Cache-Control: max-age=600"], vec![b'x'; 30_000]));
    let pop = Pop::start(&site("a.test", &origin));
    let mut client = pop.client();
    (0..60).for_each(|number| assert_eq!(client.get("a.test", &format!("/{number}")).status, 200));
    wait_until(|| pop.stats().fetching == (0, 0));
    assert!(pop.stats().stored == 60 && pop.stats().stored_bytes > 1 << 20);
    let less = format!("[cache]\nmemory = \"1 MiB\"\n{}", site("a.test", &origin));
    assert_eq!(reload(&pop, &less).tables, ["cache"]);
    let stats = pop.stats();
    assert!(stats.stored_bytes <= 1 << 20 && stats.stored >= 10 && stats.evictions > 0, "{stats:?}");
    let hits = (0..60).filter(|number| is_hit(&client.get("a.test", &format!("/{number}")))).count();
    assert!(hits > 0);
    assert!(pop.stats().stored_bytes <= 1 << 20);
}

#[test]
fn each_line_goes_to_the_log_of_its_time() {
    let (origin, dir) = (echo(), TempDir::new());
    let [old, new] = ["old.log", "new.log"].map(|name| dir.path().join(name));
    let log =
        |path: &std::path::Path| format!("[log]\naccess = {path:?}\nformat = \"json\"\n{}", site("a.test", &origin));
    let pop = Pop::start(&log(&old));
    let mut client = pop.client();
    client.get("a.test", "/first");
    assert_eq!(reload(&pop, &log(&new)).tables, ["log"]);
    client.get("a.test", "/second");
    let has = |path: &std::path::Path, part: &str| std::fs::read_to_string(path).is_ok_and(|text| text.contains(part));
    wait_until(|| has(&old, "/first"));
    reload(&pop, &site("a.test", &origin));
    client.get("a.test", "/third");
    wait_until(|| has(&new, "/second"));
    assert!(!has(&old, "/second") && !has(&new, "/first") && !has(&new, "/third"));
    assert!(refused_log(&pop, &log(&dir.path().join("missing/x.log"))).contains("cannot open the access log"));
    assert_eq!(client.get("a.test", "/x").status, 200);
    pop.shutdown();
}

#[track_caller]
fn refused_log(pop: &Pop, toml: &str) -> String {
    pop.reload(HTTP, toml).expect_err("it cannot be opened").to_string()
}

#[test]
fn reloads_at_once_come_one_after_the_other() {
    let origin = echo();
    let pop = Pop::start(&site("a.test", &origin));
    let names = ["b.test", "c.test", "d.test"];
    thread::scope(|scope| {
        for name in names {
            let (pop, origin) = (&pop, &origin);
            scope.spawn(move || (0..50).for_each(|_| drop(reload(pop, &site(name, origin)))));
        }
    });
    let mut client = pop.client();
    let statuses: Vec<u16> = names.iter().map(|name| client.get(name, "/x").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(origin.count(), 1);
}
