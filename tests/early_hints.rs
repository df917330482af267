//! Interim responses of the origin (RFC 9110 §15.2, RFC 8297) reach the client that leads the fetch, at once, and no other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{https_table, is_hit, request, site};
use support::{Certificates, Client, Gate, Origin, Pop, Reply, wait_until};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\
    Keep-Alive: timeout=5\r\nX-End: 2\r\n\r\n";
const WHOLE: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 5\r\n\r\nhello";

/// Hints, then a gate, then the answer.
fn hinting(hints: &str) -> (Origin, Gate) {
    let gate = Gate::new();
    let (held, hints) = (gate.clone(), hints.to_owned());
    (Origin::plain(move |_| Reply::bytes(&hints).wait(&held).then(WHOLE)), gate)
}

fn asking(pop: &Pop) -> Client {
    let mut client = pop.client();
    client.send(request("GET", "/x", &[]));
    client
}

#[test]
fn hints_arrive_before_the_answer_without_what_ends_at_each_hop_and_are_not_stored() {
    let (origin, gate) = hinting(HINTS);
    let pop = Pop::of(&origin);
    let mut client = asking(&pop);
    let hints = client.interim();
    assert_eq!((hints.status, hints.reason.as_str()), (103, "Early Hints"));
    assert_eq!(hints.field("link"), Some("</a.css>; rel=preload"));
    assert_eq!((hints.field("x-end"), hints.field("via")), (Some("2"), Some("1.1 millpond")));
    for name in ["x-hop", "connection", "keep-alive", "content-length", "transfer-encoding", "age", "cache-status"] {
        assert_eq!(hints.field(name), None, "{name}");
    }
    gate.open();
    let whole = client.response();
    assert_eq!((whole.status, whole.text().as_str(), whole.interim.len()), (200, "hello", 0));
    for response in [client.get("a.test", "/x"), pop.get("/x")] {
        assert!(is_hit(&response) && response.interim.is_empty(), "{response:?}");
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn several_come_in_order_one_by_one_and_100_is_ours_alone() {
    let (between, gate) = (Gate::new(), Gate::new());
    let (first, second) = (between.clone(), gate.clone());
    let origin = Origin::plain(move |_| {
        Reply::bytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-N: 1\r\n\r\n")
            .wait(&first)
            .then("HTTP/1.1 103 Early Hints\r\nX-N: 2\r\n\r\nHTTP/1.1 199 Odd\r\nX-N: 3\r\n\r\n")
            .wait(&second)
            .then(format!("HTTP/1.1 103 Early Hints\r\nX-N: 4\r\n\r\n{WHOLE}"))
    });
    let pop = Pop::of(&origin);
    let mut client = asking(&pop);
    let told = |client: &mut Client| {
        let response = client.interim();
        (response.status, response.field("x-n").unwrap().to_owned())
    };
    assert_eq!(told(&mut client), (102, "1".into()));
    between.open();
    assert_eq!(told(&mut client), (103, "2".into()));
    assert_eq!(told(&mut client), (199, "3".into()));
    gate.open();
    assert_eq!(told(&mut client), (103, "4".into()));
    assert_eq!(client.response().text(), "hello");
}

#[test]
fn http_1_0_is_told_nothing() {
    let (origin, gate) = hinting(HINTS);
    gate.open();
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    client.send("GET /x HTTP/1.0\r\nHost: a.test\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str(), response.interim.len()), (200, "hello", 0));
}

#[test]
fn who_only_follows_is_told_nothing() {
    let (origin, gate) = hinting(HINTS);
    let pop = Pop::of(&origin);
    let mut lead = asking(&pop);
    assert_eq!(lead.interim().status, 103);
    let mut followers: Vec<_> = (0..8).map(|_| asking(&pop)).collect();
    wait_until(|| pop.stats().connections >= 9);
    gate.open();
    assert_eq!(lead.response().text(), "hello");
    for follower in &mut followers {
        let response = follower.response();
        assert_eq!((response.text().as_str(), response.interim.len()), ("hello", 0));
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn hints_are_passed_for_what_is_not_cached_and_before_a_failure_too() {
    let origin = Origin::plain(|request| match request.method.as_str() {
        "POST" => Reply::bytes(format!("{HINTS}{WHOLE}")),
        "HEAD" => Reply::bytes(format!("{HINTS}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")),
        _ => Reply::bytes(format!("{HINTS}HTTP/1.1 2OO OK\r\n\r\n")).close(),
    });
    let pop = Pop::of(&origin);
    for (method, status) in [("POST", 200), ("HEAD", 200), ("GET", 502)] {
        let response = pop.ask(method, "/x", &[]);
        assert_eq!(response.status, status, "{method}");
        assert!(!response.interim.is_empty() && response.interim.iter().all(|hints| hints.status == 103), "{method}");
    }
}

#[test]
fn what_is_too_much_is_left_out_and_the_answer_comes() {
    let long = format!("HTTP/1.1 103 Early Hints\r\nX-Long: {}\r\n\r\n", "x".repeat(10_000));
    let (origin, gate) = hinting(&long.repeat(3));
    gate.open();
    let pop = Pop::of(&origin);
    let response = asking(&pop).response();
    assert_eq!((response.text().as_str(), response.interim.len()), ("hello", 1));
}

#[test]
fn a_client_over_tls_is_told_too() {
    let (origin, gate) = hinting(HINTS);
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let pop = Pop::start_with_https(&(site("a.test", &origin) + &https_table(&identity)));
    let mut client = Client::tls(pop.https(), &certificates.roots(), "a.test");
    client.send(request("GET", "/x", &[]));
    assert_eq!(client.interim().status, 103);
    gate.open();
    assert_eq!(client.response().text(), "hello");
    assert!(is_hit(&client.get("a.test", "/x")));
}
