//! `range_fetch = "whole"`: a range of something not stored brings the whole, once, and is cut from it as it arrives.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{cache_status, is_hit, is_stored, request, site_with};
use support::{Client, Gate, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";
const TAG: &str = "ETag: \"v1\"";

fn pop_of(origin: &Origin) -> Pop {
    Pop::start(&site_with("a.test", origin, "range_fetch = \"whole\"", ""))
}

/// A client that has asked for a range of `/x`.
fn asking(pop: &Pop, fields: &[&str]) -> Client {
    let mut client = pop.client();
    client.send(request("GET", "/x", fields));
    client
}

/// Honours a range, unlike what is wanted of it here.
fn ranging(whole: impl Fn() -> Reply + Send + Sync + 'static) -> Origin {
    Origin::plain(move |request| match request.field("range") {
        Some(_) => Reply::response("206 Partial Content", &[FRESH, "Content-Range: bytes 2-4/10"], "234"),
        None => whole(),
    })
}

#[test]
fn a_range_of_something_not_stored_fetches_the_whole_and_stores_it() {
    let origin = ranging(|| Reply::response("200 OK", &[FRESH, TAG], "0123456789"));
    let pop = pop_of(&origin);
    let part = pop.get_with("/x", &["Range: bytes=2-4", "If-Range: \"v1\""]);
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.field("content-range"), Some("bytes 2-4/10"));
    assert!(is_stored(&part), "{part:?}");
    assert!(is_hit(&pop.get("/x")));
    assert_eq!(pop.get_with("/x", &["Range: bytes=-2"]).text(), "89");
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].field("range"), requests[0].field("if-range")), (None, None));
}

#[test]
fn what_the_range_comes_to_is_decided_by_the_whole() {
    let rows: [(&[&str], u16, &str); 4] = [
        (&["Range: bytes=10-"], 416, ""),
        (&["Range: bytes=2-4", "If-Range: \"v0\""], 200, "0123456789"),
        (&["Range: bytes=4-2"], 200, "0123456789"),
        (&["Range: bytes=2-4", "If-None-Match: \"v1\""], 304, ""),
    ];
    for (fields, status, body) in rows {
        let origin = ranging(|| Reply::response("200 OK", &[FRESH, TAG], "0123456789"));
        let pop = pop_of(&origin);
        let response = pop.get_with("/x", fields);
        assert_eq!((response.status, response.text().as_str()), (status, body), "{fields:?}");
        assert!(is_hit(&pop.get("/x")), "{fields:?}");
    }
}

#[test]
fn ranges_asked_for_at_once_share_one_fetch_and_leave_as_their_bytes_arrive() {
    let (before, half) = (Gate::new(), Gate::new());
    let (first, second) = (before.clone(), half.clone());
    let origin = ranging(move || {
        let head = format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 10\r\n\r\n");
        Reply::nothing().wait(&first).then(head + "01234").wait(&second).then("56789")
    });
    let pop = pop_of(&origin);
    let mut early = asking(&pop, &["Range: bytes=1-3"]);
    before.wait_for_arrivals(1);
    let mut late = asking(&pop, &["Range: bytes=4-6"]);
    let mut whole = asking(&pop, &[]);
    wait_until(|| pop.stats().connections >= 3);
    before.open();
    assert_eq!(early.response().text(), "123");
    assert_eq!(late.head_of("GET").status, 206);
    assert_eq!(late.body_of_at_least(1), b"4");
    half.open();
    assert_eq!((late.rest().unwrap(), whole.response().text().as_str()), (b"56".to_vec(), "0123456789"));
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_range_of_what_may_not_be_stored_is_cut_from_the_whole_once_and_then_passed() {
    let origin = ranging(|| Reply::response("200 OK", &["Cache-Control: no-store"], "0123456789"));
    let pop = pop_of(&origin);
    let range = ["Range: bytes=2-4"];
    for asked in [None, Some("bytes=2-4")] {
        let part = pop.get_with("/x", &range);
        assert_eq!((part.status, part.text().as_str()), (206, "234"), "{asked:?}");
        assert!(!is_stored(&part) && cache_status(&part).contains("fwd="), "{part:?}");
        assert_eq!(origin.requests().last().unwrap().field("range"), asked);
    }
}

#[test]
fn a_body_of_unknown_length_is_answered_whole() {
    let origin = ranging(|| {
        Reply::bytes(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n"))
            .then("5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")
    });
    let pop = pop_of(&origin);
    let response = pop.get_with("/x", &["Range: bytes=2-4"]);
    // The length is known only if the end came before the answer began.
    assert!(matches!((response.status, response.text().as_str()), (200, "0123456789") | (206, "234")), "{response:?}");
    wait_until(|| pop.get_with("/x", &["Range: bytes=2-4"]).status == 206);
    assert_eq!(origin.count(), 1);
}

#[test]
fn head_with_a_range_is_still_a_head() {
    let origin = Origin::plain(|_| Reply::bytes(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 10\r\n\r\n")));
    let pop = pop_of(&origin);
    let head = pop.ask("HEAD", "/x", &["Range: bytes=2-4"]);
    assert_eq!((head.status, head.field("content-length")), (200, Some("10")));
}
