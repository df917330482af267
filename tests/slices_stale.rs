//! Slices that have gone stale: confirmed, served meanwhile, and served where the origin fails (RFC 9111 §4.2.4, RFC 5861).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::pop::{cache_status, is_hit, site_with};
use support::ranges::{content, ranged};
use support::{Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";
const SLICE: usize = 64 << 10;

fn pop_of(origin: &Origin) -> Pop {
    Pop::start(&site_with("a.test", origin, "range_fetch = \"slices\"\nslice_size = \"64KiB\"", ""))
}

#[test]
fn stale_slices_are_confirmed_at_once_by_one_question() {
    let body = content(3 * SLICE, 0);
    let whole = body.clone();
    let origin = Origin::plain(move |asked| match asked.field("if-none-match") {
        Some("\"v0\"") => Reply::bytes(format!("HTTP/1.1 304 Not Modified\r\nETag: \"v0\"\r\n{FRESH}\r\n\r\n")),
        _ => ranged(asked, &["Cache-Control: max-age=600, no-cache", "ETag: \"v0\""], &whole),
    });
    let pop = pop_of(&origin);
    assert!(pop.get("/x").body == body);
    assert_eq!(origin.count(), 3);
    let confirmed = pop.get("/x");
    assert!(cache_status(&confirmed).contains("fwd-status=304"), "{}", cache_status(&confirmed));
    assert!(confirmed.status == 200 && confirmed.body == body);
    assert_eq!(origin.count(), 4);
}

#[test]
fn stale_slices_are_served_where_the_origin_fails() {
    let body = content(2 * SLICE, 0);
    let is_down = Arc::new(AtomicUsize::new(0));
    let (down, whole) = (is_down.clone(), body.clone());
    let origin = Origin::plain(move |asked| match down.load(Ordering::SeqCst) {
        0 => ranged(asked, &["Cache-Control: max-age=1", "Age: 5", "ETag: \"v0\""], &whole),
        _ => Reply::nothing().cut(),
    });
    let pop = pop_of(&origin);
    assert!(pop.get("/x").body == body);
    is_down.store(1, Ordering::SeqCst);
    let stale = pop.get("/x");
    assert!(stale.status == 200 && stale.body == body);
    assert!(cache_status(&stale).contains("origin-failed"), "{}", cache_status(&stale));
    assert!(stale.field("proxy-status").is_some());
}

#[test]
fn stale_slices_stand_in_for_an_error_where_one_side_says_so() {
    let body = content(2 * SLICE, 0);
    let rows = [
        ("max-age=1, stale-if-error=60", "X: 1", true),
        ("max-age=1", "Cache-Control: stale-if-error=60", true),
        ("max-age=1", "X: 1", false),
        ("max-age=1, stale-if-error=2", "X: 1", false),
        ("max-age=1, stale-if-error=60, must-revalidate", "X: 1", false),
    ];
    for (control, asked_with, is_served) in rows {
        let is_down = Arc::new(AtomicUsize::new(0));
        let (down, whole) = (is_down.clone(), body.clone());
        let origin = Origin::plain(move |asked| match down.load(Ordering::SeqCst) {
            0 => ranged(asked, &[&format!("Cache-Control: {control}"), "Age: 5", "ETag: \"v0\""], &whole),
            _ => Reply::response("503 Service Unavailable", &[], "no"),
        });
        let pop = pop_of(&origin);
        assert!(pop.get("/x").body == body);
        is_down.store(1, Ordering::SeqCst);
        let answer = pop.get_with("/x", &[asked_with]);
        assert_eq!(
            cache_status(&answer).contains("fwd=stale; fwd-status=503; detail=origin-5xx"),
            is_served,
            "{control}: {answer:?}"
        );
        assert_eq!(answer.status, if is_served { 200 } else { 503 }, "{control}");
        assert_eq!(answer.body == body, is_served, "{control}");
        is_down.store(0, Ordering::SeqCst);
        assert!(pop.get("/x").body == body, "{control}");
    }
}

#[test]
fn stale_slices_are_served_while_the_first_of_them_is_confirmed() {
    let body = content(3 * SLICE, 0);
    let whole = body.clone();
    let origin = Origin::plain(move |asked| match asked.field("if-none-match") {
        Some("\"v0\"") => Reply::bytes(format!("HTTP/1.1 304 Not Modified\r\nETag: \"v0\"\r\n{FRESH}\r\n\r\n")),
        _ => ranged(asked, &["Cache-Control: max-age=1, stale-while-revalidate=60", "Age: 5", "ETag: \"v0\""], &whole),
    });
    let pop = pop_of(&origin);
    assert!(pop.get("/x").body == body);
    assert_eq!(origin.count(), 3);
    let stale = pop.get_with("/x", &["Range: bytes=70000-70009"]);
    assert!(is_hit(&stale) && cache_status(&stale).contains("detail=stale-while-revalidate"), "{stale:?}");
    assert!(stale.status == 206 && stale.body == body[70_000..70_010]);
    origin.wait_for_requests(4);
    assert_eq!(origin.requests()[3].field("range"), Some("bytes=0-65535"));
    wait_until(|| !cache_status(&pop.get("/x")).contains("stale"));
    let fresh = pop.get("/x");
    assert!(is_hit(&fresh) && fresh.body == body);
    assert_eq!(origin.count(), 4);
}

#[test]
fn a_client_that_takes_them_stale_gets_stale_slices() {
    let body = content(2 * SLICE, 0);
    let whole = body.clone();
    let origin =
        Origin::plain(move |asked| ranged(asked, &["Cache-Control: max-age=1", "Age: 5", "ETag: \"v0\""], &whole));
    let pop = pop_of(&origin);
    assert!(pop.get("/x").body == body);
    let stale = pop.get_with("/x", &["Cache-Control: max-stale=60"]);
    assert!(cache_status(&stale).contains("hit") && cache_status(&stale).contains("detail=max-stale"), "{stale:?}");
    assert!(stale.body == body);
    assert_eq!(origin.count(), 2);
    assert!(!is_hit(&pop.get_with("/x", &["Cache-Control: max-stale=1"])));
}
