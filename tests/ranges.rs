//! Range requests (RFC 9110 §14) on what is stored and on what is still arriving: one part, several parts, none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{https_table, is_hit, request};
use support::ranges::{compare, content, parts, thousand};
use support::{Certificates, Client, Gate, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";
const TAG: &str = "ETag: \"v1\"";
const TYPE: &str = "Content-Type: text/plain";

/// Ten digits, storable.
fn digits() -> Origin {
    Origin::plain(|_| Reply::response("200 OK", &[FRESH, TAG, TYPE], "0123456789"))
}

/// A POP that has all of `/x`: its last byte may be out a moment before the whole is sealed.
fn pop_with_x(origin: &Origin) -> Pop {
    let pop = Pop::of(origin);
    complete(&pop);
    pop
}

fn complete(pop: &Pop) {
    pop.get("/x");
    wait_until(|| pop.get_with("/x", &["Range: bytes=0-0,2-2"]).status == 206);
}

#[test]
fn several_ranges_come_as_parts_in_the_order_asked_for() {
    let origin = digits();
    let pop = pop_with_x(&origin);
    let mut client = pop.client();
    let mut ask = |fields: &[&str]| {
        client.send(request("GET", "/x", fields));
        client.response()
    };
    let first = ask(&["Range: bytes=8-,0-1, 4-4", "If-Range: \"v1\""]);
    assert_eq!((first.status, first.field("etag"), first.field("content-range")), (206, Some("\"v1\""), None));
    assert!(is_hit(&first));
    assert_eq!(first.fields_named("content-type").len(), 1);
    let expected = [("8-9", "89"), ("0-1", "01"), ("4-4", "4")]
        .map(|(range, bytes)| (format!("{TYPE}; Content-Range: bytes {range}/10"), bytes.as_bytes().to_vec()));
    assert_eq!(parts(&first), expected);
    let second = ask(&["Range: bytes=8-,0-1,4-4"]);
    assert_eq!(parts(&second), expected);
    assert_ne!(first.field("content-type"), second.field("content-type"), "a boundary is used once");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_set_of_ranges_that_leaves_one_none_or_too_many_is_no_multipart() {
    let origin = digits();
    let pop = pop_with_x(&origin);
    let many = format!("Range: bytes={}", ["0-0"; 17].join(","));
    let rows: [(&[&str], u16, &str, Option<&str>); 6] = [
        (&["Range: bytes=20-30,3-4"], 206, "34", Some("bytes 3-4/10")),
        (&["Range: bytes=20-30,40-"], 416, "", Some("bytes */10")),
        (&["Range: bytes=0-5,3-9"], 200, "0123456789", None),
        (&["Range: bytes=0-1,4-3"], 200, "0123456789", None),
        (&["Range: bytes=0-1,3-4", "If-Range: \"v0\""], 200, "0123456789", None),
        (&[&many], 200, "0123456789", None),
    ];
    for (fields, status, body, content_range) in rows {
        let response = pop.get_with("/x", fields);
        assert_eq!((response.status, response.text().as_str()), (status, body), "{fields:?}");
        assert_eq!(response.field("content-range"), content_range, "{fields:?}");
        // A refusal is of this request alone: a cache behind us must not keep it for others.
        assert_eq!(response.field("cache-control").is_none(), status == 416, "{fields:?}");
    }
    let head = pop.ask("HEAD", "/x", &["Range: bytes=0-1,3-4"]);
    assert_eq!((head.status, head.field("content-length")), (200, Some("10")));
    assert_eq!(pop.get_with("/x", &["Range: bytes=0-1,3-4", "If-None-Match: \"v1\""]).status, 304);
}

#[test]
fn a_part_does_not_repeat_what_only_the_whole_may_say() {
    let fields =
        [FRESH, TYPE, "Content-Range: bytes 0-9/10", "Content-Digest: sha-256=:x:", "Repr-Digest: sha-256=:x:"];
    let origin = Origin::plain(move |_| Reply::response("200 OK", &fields, "0123456789"));
    let pop = pop_with_x(&origin);
    let one = pop.get_with("/x", &["Range: bytes=1-2"]);
    assert_eq!(one.fields_named("content-range"), ["bytes 1-2/10"]);
    let many = pop.get_with("/x", &["Range: bytes=1-2,5-6"]);
    assert_eq!(many.field("content-range"), None);
    for part in [one, many] {
        assert_eq!((part.status, part.field("content-digest")), (206, None));
        assert!(part.field("repr-digest").is_some());
    }
}

#[test]
fn parts_of_a_large_body_are_right_over_http_and_https() {
    let body = content(3 << 20, 0);
    let whole = body.clone();
    let origin = Origin::plain(move |_| Reply::response("200 OK", &[FRESH, TYPE], &body));
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let toml = format!("share_schemes = true\n[site.origin]\nservers = [\"{}\"]\n", origin.address());
    let pop = Pop::start_with_https(&format!("[[site]]\ndomains = [\"a.test\"]\n{toml}{}", https_table(&identity)));
    complete(&pop);
    let ranges = [2_000_000..3_145_728_usize, 0..1, 70_000..1_500_000];
    let list: Vec<_> = ranges.iter().map(|range| format!("{}-{}", range.start, range.end - 1)).collect();
    let field = format!("Range: bytes={}", list.join(","));
    for mut client in [pop.client(), Client::tls(pop.https(), &certificates.roots(), "a.test")] {
        // Twice on one connection: the length was exact.
        for _ in 0..2 {
            client.send(request("GET", "/x", &[&field]));
            let response = client.response();
            let found = parts(&response);
            assert_eq!((response.status, found.len()), (206, 3));
            for ((lines, bytes), range) in found.iter().zip(ranges.clone()) {
                assert_eq!(lines, &format!("{TYPE}; Content-Range: bytes {}-{}/3145728", range.start, range.end - 1));
                assert!(bytes == &whole[range], "{lines}");
            }
        }
    }
    assert_eq!(origin.count(), 1);
}

/// An origin with `body`, which it sends in equal pieces with a gate before each but the first.
fn arriving(body: &[u8], pieces: usize) -> (Origin, Vec<Gate>) {
    let gates: Vec<Gate> = (1..pieces).map(|_| Gate::new()).collect();
    let mut reply =
        Reply::bytes(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\n{TAG}\r\nContent-Length: {}\r\n\r\n", body.len()));
    for (index, piece) in body.chunks(body.len().div_ceil(pieces)).enumerate() {
        reply = index.checked_sub(1).map_or(reply.clone(), |before| reply.clone().wait(&gates[before])).then(piece);
    }
    (Origin::plain(move |_| reply.clone()), gates)
}

#[test]
fn a_range_of_a_response_under_way_is_served_as_its_bytes_arrive() {
    // On the heap, and in a memory file.
    for len in [40_000, 4 << 20] {
        let body = content(len, 0);
        let (origin, gates) = arriving(&body, 2);
        let pop = Pop::of(&origin);
        let mut whole = pop.client();
        whole.send(request("GET", "/x", &[]));
        assert_eq!(whole.head_of("GET").status, 200);
        gates[0].wait_for_arrivals(1);
        let half = len / 2;
        let ask = |field: String| {
            let mut client = pop.client();
            client.send(request("GET", "/x", &[&field]));
            let head = client.head_of("GET");
            assert_eq!((head.status, is_hit(&head)), (206, true), "{field}");
            (client, head)
        };
        // All of it has arrived.
        let (mut client, head) = ask(format!("Range: bytes=100-{}", half - 1));
        assert_eq!(head.field("content-range").unwrap(), format!("bytes 100-{}/{len}", half - 1));
        assert!(client.rest().unwrap() == body[100..half]);
        // Some of it has, and the rest is waited for.
        let (mut across, _) = ask(format!("Range: bytes={}-{}", half - 1000, half + 999));
        assert!(across.body_of_at_least(1000) == body[half - 1000..half]);
        // None of it has.
        let (mut ahead, _) = ask(format!("Range: bytes={}-{}", half + 10, half + 5009));
        let (mut suffix, head) = ask("Range: bytes=-700".into());
        assert_eq!(head.field("content-range").unwrap(), format!("bytes {}-{}/{len}", len - 700, len - 1));
        gates[0].open();
        assert!(across.rest().unwrap() == body[half..half + 1000]);
        assert!(ahead.rest().unwrap() == body[half + 10..half + 5010]);
        assert!(suffix.rest().unwrap() == body[len - 700..]);
        assert!(whole.rest().unwrap() == body);
        assert_eq!(origin.count(), 1);
    }
}

#[test]
fn several_ranges_of_a_response_under_way_come_in_the_order_asked_for() {
    for len in [40_000, 4 << 20] {
        let body = content(len, 0);
        let (origin, gates) = arriving(&body, 2);
        let pop = Pop::of(&origin);
        let mut whole = pop.client();
        whole.send(request("GET", "/x", &[]));
        whole.head_of("GET");
        gates[0].wait_for_arrivals(1);
        let half = len / 2;
        let ranges = [100..200, half - 50..half + 50, 0..10, len - 7..len];
        let list = ranges.clone().map(|range| format!("{}-{}", range.start, range.end - 1)).join(",");
        let mut client = pop.client();
        client.send(request("GET", "/x", &[&format!("Range: bytes={list}")]));
        let mut response = client.head_of("GET");
        assert_eq!((response.status, response.field("content-range"), is_hit(&response)), (206, None, true));
        // The first part is out before the origin has said the last byte.
        response.body = client.body_of_at_least(200);
        gates[0].open();
        response.body.extend(client.rest().unwrap());
        let expected = ranges.map(|range| {
            let lines = format!("Content-Range: bytes {}-{}/{len}", range.start, range.end - 1);
            (lines, body[range].to_vec())
        });
        assert!(parts(&response) == expected, "{len}");
        assert!(whole.rest().unwrap() == body);
        assert_eq!(origin.count(), 1);
    }
}

#[test]
fn what_a_range_of_a_response_under_way_comes_to_is_known_before_its_end() {
    let body = content(1 << 20, 0);
    let (origin, gates) = arriving(&body, 2);
    let pop = Pop::of(&origin);
    let mut whole = pop.client();
    whole.send(request("GET", "/x", &[]));
    whole.head_of("GET");
    let rows: [(&str, &[&str], u16, Option<&str>); 7] = [
        ("GET", &["Range: bytes=1048576-"], 416, Some("bytes */1048576")),
        ("GET", &["Range: bytes=0-1", "If-Range: \"v1\""], 206, Some("bytes 0-1/1048576")),
        ("GET", &["Range: bytes=0-1", "If-Range: \"v0\""], 200, None),
        ("GET", &["Range: bytes=0-1", "If-None-Match: \"v1\""], 304, None),
        ("GET", &["Range: bytes=0-1", "If-Match: \"v0\""], 412, None),
        ("GET", &["Range: bytes=0-1,1048570-"], 206, None),
        ("HEAD", &["Range: bytes=0-1"], 200, None),
    ];
    for (method, fields, status, content_range) in rows {
        let mut client = pop.client();
        client.send(request(method, "/x", fields));
        let head = client.head_of(method);
        assert_eq!((head.status, head.field("content-range")), (status, content_range), "{method} {fields:?}");
        if status == 200 {
            assert_eq!(head.field("content-length"), Some("1048576"), "{method} {fields:?}");
        }
    }
    gates[0].open();
    assert!(whole.rest().unwrap() == body);
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_range_of_a_response_that_breaks_off_is_cut_and_never_short() {
    let gate = Gate::new();
    let held = gate.clone();
    let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 10\r\n\r\n01234");
    let origin = Origin::plain(move |_| Reply::bytes(&head).wait(&held).cut());
    let pop = Pop::of(&origin);
    let mut whole = pop.client();
    whole.send(request("GET", "/x", &[]));
    whole.head_of("GET");
    let mut client = pop.client();
    client.send(request("GET", "/x", &["Range: bytes=3-7"]));
    assert_eq!(client.head_of("GET").status, 206);
    assert_eq!(client.body_of_at_least(2), b"34");
    gate.open();
    assert!(client.rest().is_err());
}

#[test]
fn a_thousand_ranges_of_a_stored_response_equal_the_whole() {
    let body = content(10 << 20, 0);
    let (origin, _) = arriving(&body, 1);
    let pop = Pop::of(&origin);
    assert!(pop.get("/x").body == body);
    compare(&pop, &body, &thousand(body.len()), |_| {});
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_thousand_ranges_of_a_response_under_way_equal_the_whole() {
    const PIECES: usize = 320;
    let body = content(10 << 20, 0);
    let (origin, gates) = arriving(&body, PIECES);
    let pop = Pop::of(&origin);
    let mut whole = pop.client();
    whole.send(request("GET", "/x", &[]));
    whole.head_of("GET");
    let mut ranges = thousand(body.len());
    ranges.sort_by_key(|(_, range)| range.end);
    // What a range wants leaves the origin only after it was asked for.
    compare(&pop, &body, &ranges, |range| {
        let last = (range.end - 1) / (body.len() / PIECES);
        gates[..last.min(gates.len())].iter().for_each(Gate::open);
    });
    assert!(whole.rest().unwrap() == body);
    assert_eq!(origin.count(), 1);
}
