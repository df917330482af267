//! Responses that are too large to be stored, and wanted by many at once: those that may be shared are fetched once, and
//! whoever comes while they arrive has them from the first byte; those that may not are each client's own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{request, site};
use support::{Client, Gate, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";
const LEN: usize = 3 << 20;
const CACHE: &str = "[cache]\nmemory = \"8MiB\"\nmax_response = \"1MiB\"\n";

fn content() -> Vec<u8> {
    (0..LEN as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunked,
}

const BOTH: [Framing; 2] = [Framing::Length, Framing::Chunked];

/// It sends half of [`content`], and the other half once the gate is open.
fn halves(framing: Framing, fields: &str, gate: &Gate) -> Origin {
    let (gate, fields) = (gate.clone(), fields.to_owned());
    Origin::plain(move |_| {
        let (head, body) = (format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), content());
        let (first, rest) = body.split_at(LEN / 2);
        let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
        match framing {
            Framing::Length => {
                let reply = Reply::bytes(format!("{head}Content-Length: {LEN}\r\n\r\n"));
                reply.then(first).wait(&gate).then(rest)
            }
            Framing::Chunked => {
                let reply = Reply::bytes(format!("{head}Transfer-Encoding: chunked\r\n\r\n")).then(chunk(first));
                reply.wait(&gate).then(chunk(rest)).then("0\r\n\r\n")
            }
        }
    })
}

fn pop_of(origin: &Origin) -> Pop {
    Pop::start(&(site("a.test", origin) + CACHE))
}

fn asking(pop: &Pop, fields: &[&str]) -> Client {
    let mut client = pop.client();
    client.send(request("GET", "/large", fields));
    client
}

/// One client that has taken more than the store keeps, so that the response has outgrown it.
fn leader(pop: &Pop) -> (Client, Vec<u8>) {
    let mut leader = asking(pop, &[]);
    assert_eq!(leader.head_of("GET").status, 200);
    let begun = leader.body_of_at_least(LEN / 2);
    (leader, begun)
}

#[test]
fn whoever_comes_while_it_arrives_has_it_from_the_first_byte_and_it_is_fetched_once() {
    for framing in BOTH {
        let gate = Gate::new();
        let origin = halves(framing, FRESH, &gate);
        let pop = pop_of(&origin);
        let (mut first, mut begun) = leader(&pop);
        let mut followers: Vec<Client> = (0..8).map(|_| asking(&pop, &[])).collect();
        for follower in &mut followers {
            assert_eq!(follower.head_of("GET").status, 200);
        }
        gate.open();
        begun.extend(first.rest().unwrap());
        assert!(begun == content(), "{framing:?}");
        for mut follower in followers {
            assert!(follower.rest().unwrap() == content(), "{framing:?}");
        }
        assert_eq!(origin.count(), 1, "{framing:?}");
        wait_until(|| pop.stats().stored == 0);
        assert!(pop.get("/large").body == content());
        assert_eq!(origin.count(), 2, "it was not kept");
    }
}

#[test]
fn ranges_conditions_and_heads_are_answered_from_what_is_held() {
    let gate = Gate::new();
    let origin = halves(Framing::Length, &format!("{FRESH}\r\nETag: \"v1\""), &gate);
    let pop = pop_of(&origin);
    let (mut first, _) = leader(&pop);
    let head = pop.ask("HEAD", "/large", &[]);
    assert_eq!((head.status, head.field("content-length")), (200, Some(LEN.to_string().as_str())));
    let part = pop.get_with("/large", &["Range: bytes=1000-1999"]);
    assert!(part.status == 206 && part.body == content()[1000..2000]);
    // What it asks for has yet to come.
    let mut ahead = asking(&pop, &[&format!("Range: bytes={}-", LEN - 10)]);
    let mut several = asking(&pop, &["Range: bytes=0-9,20-29"]);
    assert_eq!(several.head_of("GET").status, 200, "several parts are cut from what is kept alone");
    gate.open();
    let part = ahead.response();
    assert!(part.status == 206 && part.body == content()[LEN - 10..]);
    assert!(several.rest().unwrap() == content());
    first.rest().unwrap();
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_leader_that_leaves_or_stands_still_harms_nobody() {
    for framing in BOTH {
        let gate = Gate::new();
        let origin = halves(framing, FRESH, &gate);
        let pop = pop_of(&origin);
        let (first, _) = leader(&pop);
        let (_still, mut follower) = (asking(&pop, &[]), asking(&pop, &[]));
        assert_eq!(follower.head_of("GET").status, 200);
        first.reset();
        gate.open();
        assert!(follower.rest().unwrap() == content(), "{framing:?}");
        assert_eq!(origin.count(), 1, "{framing:?}");
    }
}

#[test]
fn left_by_all_it_is_fetched_anew_for_the_next() {
    for framing in BOTH {
        let gate = Gate::new();
        let origin = halves(framing, FRESH, &gate);
        let pop = pop_of(&origin);
        let (first, _) = leader(&pop);
        first.reset();
        gate.open();
        wait_until(|| pop.stats().stored == 0);
        assert!(pop.get("/large").body == content(), "{framing:?}");
        assert_eq!(origin.count(), 2, "{framing:?}");
    }
}

#[test]
fn what_policy_forbids_to_share_is_each_clients_own() {
    let forbidden =
        ["Cache-Control: private", "Cache-Control: no-store", "Cache-Control: max-age=600\r\nSet-Cookie: a=b"];
    for fields in forbidden {
        let gate = Gate::new();
        gate.open();
        let origin = halves(Framing::Length, fields, &gate);
        let pop = pop_of(&origin);
        let mut clients: Vec<Client> = (0..4).map(|_| asking(&pop, &[])).collect();
        for client in &mut clients {
            assert!(client.response().body == content(), "{fields}");
        }
        assert_eq!(origin.count(), 4, "{fields}");
    }
    let gate = Gate::new();
    gate.open();
    let origin = halves(Framing::Length, FRESH, &gate);
    let pop = pop_of(&origin);
    let mut clients: Vec<Client> =
        (0..3).map(|number| asking(&pop, &[&format!("Authorization: Basic {number}")])).collect();
    for client in &mut clients {
        assert!(client.response().body == content());
    }
    assert_eq!(origin.count(), 3, "answers to Authorization");
}

#[test]
fn an_origin_that_breaks_off_breaks_it_for_all_and_it_is_fetched_anew() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |request| {
        let reply = Reply::bytes(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {LEN}\r\n\r\n"));
        match request.connection {
            0 => reply.then(&content()[..LEN / 2]).wait(&held).cut(),
            _ => reply.then(content()),
        }
    });
    let pop = pop_of(&origin);
    let (mut first, _) = leader(&pop);
    let mut follower = asking(&pop, &[]);
    assert_eq!(follower.head_of("GET").status, 200);
    gate.open();
    assert!(first.rest().is_err() && follower.rest().is_err(), "both can tell");
    assert!(pop.get("/large").body == content());
    assert_eq!(origin.count(), 2);
}
