//! 206 responses that clients' own ranges brought: stored and combined where their validator is strong (RFC 9111 §3.3,
//! §3.4), never taken for the whole, never mixed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::pop::{cache_status, is_hit, is_stored, request};
use support::ranges::{parts, ranged};
use support::{Gate, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";
const TAG: &str = "ETag: \"v0\"";
const BODY: &[u8] = b"0123456789abcdefghij";

fn steady(fields: &'static [&'static str]) -> Origin {
    Origin::plain(move |asked| ranged(asked, fields, BODY))
}

/// Asks for a range that is not stored, and waits until it is: that is a moment after its last byte.
fn bring(pop: &Pop, range: &str) {
    let field = format!("Range: bytes={range}");
    let first = pop.get_with("/x", &[&field]);
    assert!(first.status == 206 && is_stored(&first), "{first:?}");
    wait_until(|| is_hit(&pop.get_with("/x", &[&field])));
}

#[test]
fn a_part_answers_later_requests_for_what_lies_in_it() {
    let origin = steady(&[FRESH, TAG, "Content-Type: text/plain", "Content-Digest: sha-256=:x:"]);
    let pop = Pop::of(&origin);
    bring(&pop, "5-14");
    let count = origin.count();
    let several = pop.get_with("/x", &["Range: bytes=13-14,5-6"]);
    assert!(is_hit(&several), "{several:?}");
    let expected = [("13-14", "de"), ("5-6", "56")].map(|(range, bytes)| {
        (format!("Content-Type: text/plain; Content-Range: bytes {range}/20"), bytes.as_bytes().to_vec())
    });
    assert_eq!(parts(&several), expected);
    let rows: [(&[&str], u16, &str); 6] = [
        (&["Range: bytes=5-14"], 206, "56789abcde"),
        (&["Range: bytes=7-8"], 206, "78"),
        (&["Range: bytes=7-8", "If-Range: \"v0\""], 206, "78"),
        (&["Range: bytes=7-8", "If-None-Match: \"v0\""], 304, ""),
        (&["Range: bytes=7-8", "If-Match: \"v1\""], 412, ""),
        (&["Range: bytes=20-"], 416, ""),
    ];
    for (fields, status, text) in rows {
        let response = pop.get_with("/x", fields);
        assert_eq!((response.status, response.text().as_str()), (status, text), "{fields:?}");
        assert!(is_hit(&response), "{fields:?}");
        if status == 206 {
            assert_eq!((response.field("etag"), response.field("content-digest")), (Some("\"v0\""), None));
            assert_eq!(response.fields_named("content-range").len(), 1);
        }
    }
    assert_eq!(origin.count(), count);
}

#[test]
fn what_does_not_lie_in_it_and_the_whole_are_asked_of_the_origin() {
    let rows: [(&[&str], u16, &[u8]); 5] = [
        (&["Range: bytes=4-8"], 206, b"45678"),
        (&["Range: bytes=14-15"], 206, b"ef"),
        (&["Range: bytes=7-8", "If-Range: \"v1\""], 206, b"78"),
        (&[], 200, BODY),
        (&["Range: bytes=7-8", "Cache-Control: no-cache"], 206, b"78"),
    ];
    for (fields, status, bytes) in rows {
        let origin = steady(&[FRESH, TAG]);
        let pop = Pop::of(&origin);
        bring(&pop, "5-14");
        let count = origin.count();
        let response = pop.get_with("/x", fields);
        assert_eq!((response.status, response.body.as_slice()), (status, bytes), "{fields:?}");
        assert!(!is_hit(&response), "{fields:?} {}", cache_status(&response));
        assert_eq!(origin.count(), count + 1, "{fields:?}");
    }
}

#[test]
fn parts_that_meet_are_combined_and_serve_the_whole_once_they_cover_it() {
    let origin = steady(&[FRESH, TAG]);
    let pop = Pop::of(&origin);
    bring(&pop, "0-7");
    bring(&pop, "8-12");
    let across = pop.get_with("/x", &["Range: bytes=6-10"]);
    assert!(across.status == 206 && is_hit(&across));
    assert_eq!((across.text().as_str(), across.field("content-range")), ("6789a", Some("bytes 6-10/20")));
    bring(&pop, "12-19");
    let count = origin.count();
    let whole = pop.get("/x");
    assert!(is_hit(&whole) && whole.body == BODY);
    assert_eq!((whole.status, whole.field("content-range"), whole.field("content-length")), (200, None, Some("20")));
    assert_eq!(pop.get_with("/x", &["Range: bytes=-3"]).text(), "hij");
    assert_eq!(origin.count(), count);
}

#[test]
fn what_cannot_be_bound_is_not_stored() {
    let rows: [&[&str]; 8] = [
        &["Cache-Control: max-age=600, private=\"X-Own\"", TAG, "X-Own: 1"],
        &[FRESH, "ETag: W/\"v0\""],
        &[FRESH],
        &["Cache-Control: no-store", TAG],
        &["Cache-Control: private", TAG],
        &["Cache-Control: max-age=600, no-cache", TAG],
        &[FRESH, TAG, "Vary: *"],
        &[FRESH, TAG, "Set-Cookie: a=b"],
    ];
    for fields in rows {
        let origin = steady(fields);
        let pop = Pop::of(&origin);
        for count in 1..=3 {
            let response = pop.get_with("/x", &["Range: bytes=5-14"]);
            assert!(response.status == 206 && response.text() == "56789abcde", "{fields:?}");
            assert!(!is_stored(&response) && !is_hit(&response), "{fields:?} {}", cache_status(&response));
            assert_eq!(origin.count(), count, "{fields:?}");
        }
    }
}

#[test]
fn a_part_without_a_clear_range_is_not_stored() {
    for range in ["bytes 5-14/*", "bytes 5-14/10", "bytes 14-5/20", "items 5-14/20"] {
        let field = format!("Content-Range: {range}");
        let origin =
            Origin::plain(move |_| Reply::response("206 Partial Content", &[FRESH, TAG, &field], &BODY[5..15]));
        let pop = Pop::of(&origin);
        for count in 1..=2 {
            let response = pop.get_with("/x", &["Range: bytes=5-14"]);
            assert!(response.status == 206 && !is_stored(&response), "{range}");
            assert_eq!(origin.count(), count, "{range}");
        }
    }
}

#[test]
fn a_part_of_a_version_or_length_of_its_own_is_never_combined() {
    let rows: [(&str, &[u8]); 2] = [("ETag: \"v1\"", BODY), (TAG, b"0123456789abcdefghijk")];
    for (tag, body) in rows {
        let version = Arc::new(AtomicUsize::new(0));
        let current = version.clone();
        let origin = Origin::plain(move |asked| match current.load(Ordering::SeqCst) {
            0 => ranged(asked, &[FRESH, TAG], BODY),
            _ => ranged(asked, &[FRESH, tag], body),
        });
        let pop = Pop::of(&origin);
        bring(&pop, "0-7");
        version.store(1, Ordering::SeqCst);
        bring(&pop, "8-12");
        // The first part is of another version: it is gone.
        let count = origin.count();
        assert!(!is_hit(&pop.get_with("/x", &["Range: bytes=6-10"])), "{tag}");
        assert_eq!(origin.count(), count + 1, "{tag}");
    }
}

#[test]
fn parts_are_of_the_requests_that_vary_names() {
    let origin = Origin::plain(|asked| {
        let index = usize::from(asked.field("accept-language") == Some("de"));
        let body = [BODY, b"ABCDEFGHIJKLMNOPQRST"][index];
        ranged(asked, &[FRESH, "Vary: Accept-Language", &format!("ETag: \"v{index}\"")], body)
    });
    let pop = Pop::of(&origin);
    let ask = |language: &str| pop.get_with("/x", &["Range: bytes=5-6", &format!("Accept-Language: {language}")]);
    for (language, text) in [("en", "56"), ("de", "FG")] {
        let first = ask(language);
        assert!(first.text() == text && !is_hit(&first), "{language}");
        wait_until(|| is_hit(&ask(language)));
        assert_eq!(ask(language).text(), text);
    }
    assert_eq!(ask("en").text(), "56");
}

#[test]
fn a_truncated_part_is_never_stored() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let origin = Origin::plain(move |asked| {
        if counter.fetch_add(1, Ordering::SeqCst) > 0 {
            return ranged(asked, &[FRESH, TAG], BODY);
        }
        let head = format!("HTTP/1.1 206 Partial Content\r\n{FRESH}\r\n{TAG}\r\nContent-Range: bytes 5-14/20\r\n");
        Reply::bytes(format!("{head}Content-Length: 10\r\n\r\n")).then(&BODY[5..9]).cut()
    });
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    client.send(request("GET", "/x", &["Range: bytes=5-14"]));
    assert_eq!(client.head_of("GET").status, 206);
    assert!(client.rest().is_err());
    assert_eq!(pop.stats().stored, 0);
    let again = pop.get_with("/x", &["Range: bytes=5-8"]);
    assert!(!is_hit(&again) && again.text() == "5678");
}

#[test]
fn a_part_that_is_longer_or_shorter_than_it_says_is_never_stored() {
    for wrong in [&BODY[5..14], &BODY[5..16]] {
        let origin = Origin::plain(move |_| {
            Reply::response("206 Partial Content", &[FRESH, TAG, "Content-Range: bytes 5-14/20"], wrong)
        });
        let pop = Pop::of(&origin);
        let mut client = pop.client();
        client.send(request("GET", "/x", &["Range: bytes=5-14"]));
        _ = client.try_response("GET");
        let mut client = pop.client();
        client.send(request("GET", "/x", &["Range: bytes=5-14"]));
        _ = client.try_response("GET");
        assert_eq!(origin.count(), 2);
        assert_eq!(pop.stats().stored, 0);
    }
}

#[test]
fn a_part_is_not_served_before_it_is_whole() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |asked| match asked.field("range") {
        Some("bytes=5-14") => {
            let head = format!("HTTP/1.1 206 Partial Content\r\n{FRESH}\r\n{TAG}\r\nContent-Range: bytes 5-14/20\r\n");
            let reply = Reply::bytes(format!("{head}Content-Length: 10\r\n\r\n")).then(&BODY[5..9]);
            reply.wait(&held).then(&BODY[9..15])
        }
        _ => ranged(asked, &[FRESH, TAG], BODY),
    });
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    client.send(request("GET", "/x", &["Range: bytes=5-14"]));
    assert_eq!(client.head_of("GET").status, 206);
    // Its first bytes come at once.
    assert_eq!(client.body_of_at_least(4), b"5678");
    assert!(!is_hit(&pop.get_with("/x", &["Range: bytes=6-7"])));
    gate.open();
    assert_eq!(client.rest().unwrap(), b"9abcde");
    wait_until(|| is_hit(&pop.get_with("/x", &["Range: bytes=8-12"])));
}

#[test]
fn a_part_whose_client_leaves_early_is_not_fetched_to_its_end() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::plain(move |_| {
        let len = 8 << 20;
        let head =
            format!("HTTP/1.1 206 Partial Content\r\n{FRESH}\r\n{TAG}\r\nContent-Range: bytes 0-{}/{len}\r\n", len - 1);
        let reply = Reply::bytes(format!("{head}Content-Length: {len}\r\n\r\n")).then(vec![7; 100_000]);
        reply.wait(&held).then(vec![7; len - 100_000])
    });
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    client.send(request("GET", "/x", &["Range: bytes=0-"]));
    assert_eq!(client.head_of("GET").status, 206);
    gate.wait_for_arrivals(1);
    client.reset();
    wait_until(|| pop.stats().connections == 0);
    gate.open();
    wait_until(|| pop.stats().fetching.0 == 0);
    assert_eq!(pop.stats().stored, 0);
}

#[test]
fn a_head_that_tells_of_another_version_makes_the_parts_go() {
    for (fields, length, is_kept) in [(TAG, 20, true), ("ETag: \"v1\"", 20, false), (TAG, 21, false)] {
        let origin = Origin::plain(move |asked| match asked.method.as_str() {
            "HEAD" => Reply::bytes(format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: {length}\r\n\r\n")),
            _ => ranged(asked, &[FRESH, TAG], BODY),
        });
        let pop = Pop::of(&origin);
        bring(&pop, "5-14");
        assert_eq!(pop.ask("HEAD", "/x", &[]).status, 200);
        assert_eq!(is_hit(&pop.get_with("/x", &["Range: bytes=5-14"])), is_kept, "{fields} {length}");
    }
}

#[test]
fn an_unsafe_method_on_the_resource_makes_its_parts_go() {
    let origin = Origin::plain(|asked| match asked.method.as_str() {
        "PUT" => Reply::bytes("HTTP/1.1 204 No Content\r\n\r\n"),
        _ => ranged(asked, &[FRESH, TAG], BODY),
    });
    let pop = Pop::of(&origin);
    bring(&pop, "5-14");
    let mut client = pop.client();
    client.send("PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(client.response_to("PUT").status, 204);
    assert!(!is_hit(&pop.get_with("/x", &["Range: bytes=5-14"])));
}
