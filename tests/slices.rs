//! `range_fetch = "slices"`: slices of a fixed size, bound to one validator and length, healed when the origin changes,
//! never mixed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use millpond::{Purge, Scope};
use support::pop::{cache_status, is_hit, is_stored, request, site_with};
use support::ranges::{compare, content, parts, ranged, thousand};
use support::{Client, Gate, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";
const SLICE: usize = 64 << 10;

fn pop_of(origin: &Origin) -> Pop {
    Pop::start(&site_with("a.test", origin, "range_fetch = \"slices\"\nslice_size = \"64KiB\"", ""))
}

/// An origin with one version of one body.
fn steady(body: &[u8], fields: &'static [&'static str]) -> Origin {
    let body = body.to_vec();
    Origin::plain(move |asked| ranged(asked, fields, &body))
}

const PLAIN: &[&str] = &[FRESH, "ETag: \"v0\"", "Content-Type: video/mp4"];

/// An origin whose version a test raises.
fn changing(len: usize) -> (Origin, Arc<AtomicUsize>) {
    let version = Arc::new(AtomicUsize::new(0));
    let current = version.clone();
    let origin = Origin::plain(move |asked| {
        let version = current.load(Ordering::SeqCst);
        ranged(asked, &[FRESH, &format!("ETag: \"v{version}\"")], &content(len, version))
    });
    (origin, version)
}

#[test]
fn a_thousand_ranges_through_cold_and_warm_slices_equal_the_whole() {
    let body = content((10 << 20) + 123, 0);
    let origin = steady(&body, PLAIN);
    let pop = pop_of(&origin);
    let ranges = thousand(body.len());
    compare(&pop, &body, &ranges, |_| {});
    let slices = body.len().div_ceil(SLICE);
    let cold = origin.count();
    // Though many ask first at once, when nothing is known yet.
    assert_eq!(cold, slices);
    for asked in origin.requests() {
        let (first, last) = asked.field("range").unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!((first % SLICE, last + 1 - first), (0, SLICE));
        assert_eq!(asked.field("if-range"), None);
    }
    assert!(pop.get("/x").body == body);
    let warm = origin.count();
    compare(&pop, &body, &ranges, |_| {});
    assert_eq!(origin.count(), warm);
    assert!(is_hit(&pop.get("/x")));
}

#[test]
fn a_request_without_a_range_is_put_together_from_slices_fetched_one_after_the_other() {
    let body = content(3 * SLICE + 7, 0);
    let origin = steady(&body, PLAIN);
    let pop = pop_of(&origin);
    let first = pop.get("/x");
    assert_eq!((first.status, first.field("content-range")), (200, None));
    assert_eq!(first.field("content-length").unwrap(), body.len().to_string());
    assert!(is_stored(&first) && first.body == body);
    assert_eq!((first.field("etag"), first.field("content-type")), (Some("\"v0\""), Some("video/mp4")));
    assert_eq!(origin.count(), 4);
    let again = pop.get("/x");
    assert!(is_hit(&again) && again.body == body);
    let head = pop.ask("HEAD", "/x", &[]);
    assert_eq!((head.status, head.field("content-length").unwrap()), (200, body.len().to_string().as_str()));
    assert_eq!(origin.count(), 4);
}

#[test]
fn a_purge_while_slices_are_fetched_is_not_undone_by_them() {
    let (gate, version, count) = (Gate::new(), Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let (held, current) = (gate.clone(), version.clone());
    let len = 3 * SLICE;
    let origin = Origin::plain(move |asked| {
        let version = current.load(Ordering::SeqCst);
        if count.fetch_add(1, Ordering::SeqCst) == 1 {
            held.wait();
        }
        ranged(asked, &[FRESH, &format!("ETag: \"v{version}\"")], &content(len, version))
    });
    let pop = pop_of(&origin);
    let mut early = pop.client();
    early.send(request("GET", "/x", &[]));
    gate.wait_for_arrivals(1);
    assert_eq!(pop.purge(&Purge::hard(Scope::Url("http://a.test/x".into()))), 1);
    version.store(1, Ordering::SeqCst);
    let after = pop.get("/x");
    assert!(after.body == content(len, 1), "effective before the purge came back");
    gate.open();
    wait_until(|| pop.stats().fetching.0 == 0);
    drop(early);
    let again = pop.get("/x");
    assert!(is_hit(&again) && again.body == content(len, 1), "what was asked for before it is not found");
}

#[test]
fn what_a_range_comes_to_is_decided_by_the_representation() {
    let body = content(3 * SLICE, 0);
    let len = body.len();
    let late = format!("Range: bytes={}-", len);
    let rows: [(&[&str], u16, &[u8]); 8] = [
        (&["Range: bytes=70000-70009"], 206, &body[70_000..70_010]),
        (&["Range: bytes=-5"], 206, &body[len - 5..]),
        (&["Range: bytes=70000-70009", "If-Range: \"v0\""], 206, &body[70_000..70_010]),
        (&["Range: bytes=70000-70009", "If-Range: \"v1\""], 200, &body),
        (&["Range: bytes=9-3"], 200, &body),
        (&["Range: bytes=70000-70009", "If-None-Match: \"v0\""], 304, b""),
        (&["If-Match: \"v1\""], 412, b""),
        (&[&late], 416, b""),
    ];
    for (fields, status, bytes) in rows {
        let origin = steady(&body, PLAIN);
        let pop = pop_of(&origin);
        // Cold, and warm.
        for _ in 0..2 {
            let response = pop.get_with("/x", fields);
            assert_eq!(response.status, status, "{fields:?}");
            assert!(response.body == bytes, "{fields:?}");
        }
    }
}

#[test]
fn a_herd_on_one_slice_is_one_fetch() {
    let gate = Gate::new();
    let (held, body) = (gate.clone(), content(2 * SLICE, 0));
    let whole = body.clone();
    let origin = Origin::plain(move |asked| {
        held.wait();
        ranged(asked, PLAIN, &whole)
    });
    let pop = pop_of(&origin);
    let mut clients: Vec<Client> = (0..30).map(|_| pop.client()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(request("GET", "/x", &[&format!("Range: bytes={}-{}", SLICE + index, SLICE + index + 99)]));
    }
    gate.wait_for_arrivals(1);
    wait_until(|| pop.stats().connections >= 30);
    gate.open();
    for (index, client) in clients.iter_mut().enumerate() {
        let response = client.response();
        assert_eq!(response.status, 206);
        assert!(response.body == body[SLICE + index..SLICE + index + 100]);
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_change_at_the_origin_between_two_slices_cuts_the_answer_under_way_and_heals_the_next() {
    let (origin, version) = changing(4 * SLICE);
    let pop = pop_of(&origin);
    // The first two slices are of version 0.
    assert_eq!(pop.get_with("/x", &[&format!("Range: bytes=0-{}", 2 * SLICE - 1)]).status, 206);
    version.store(1, Ordering::SeqCst);
    let mut client = pop.client();
    client.send(request("GET", "/x", &[]));
    let head = client.head_of("GET");
    assert_eq!((head.status, head.field("etag")), (200, Some("\"v0\"")));
    let sent = client.body_of_at_least(2 * SLICE);
    assert!(sent == content(4 * SLICE, 0)[..2 * SLICE], "a mixed answer");
    assert!(client.rest().is_err(), "the answer went on over the change");
    let healed = pop.get("/x");
    assert_eq!((healed.status, healed.field("etag")), (200, Some("\"v1\"")));
    assert!(healed.body == content(4 * SLICE, 1));
}

#[test]
fn a_change_seen_before_the_first_byte_is_answered_from_the_new_version() {
    let (origin, version) = changing(4 * SLICE);
    let pop = pop_of(&origin);
    assert_eq!(pop.get_with("/x", &["Range: bytes=0-9"]).status, 206);
    version.store(1, Ordering::SeqCst);
    let third = format!("Range: bytes={}-{}", 2 * SLICE, 2 * SLICE + 9);
    let response = pop.get_with("/x", &[&third]);
    assert_eq!((response.status, response.field("etag")), (206, Some("\"v1\"")));
    assert!(response.body == content(4 * SLICE, 1)[2 * SLICE..2 * SLICE + 10]);
    // The old first slice is gone with its version.
    let first = pop.get_with("/x", &["Range: bytes=0-9"]);
    assert!(first.body == content(4 * SLICE, 1)[..10]);
    assert_eq!(origin.count(), 3);
}

#[test]
fn no_answer_is_ever_mixed_while_the_origin_changes_all_the_time() {
    const LEN: usize = 6 * SLICE;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let versions: Arc<Vec<Vec<u8>>> = Arc::new((0..64).map(|version| content(LEN, version)).collect());
    let known = versions.clone();
    let origin = Origin::plain(move |asked| {
        let version = counter.fetch_add(1, Ordering::SeqCst) / 5 % 64;
        ranged(asked, &[FRESH, &format!("ETag: \"v{version}\"")], &known[version])
    });
    let pop = pop_of(&origin);
    let outcomes = Mutex::new((0, 0));
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            let (pop, versions, outcomes) = (&pop, &versions, &outcomes);
            scope.spawn(move || {
                for round in 0..40_usize {
                    let start = (worker * 31 + round * 17) % 5 * SLICE + 11;
                    let mut client = pop.client();
                    client.send(request("GET", "/x", &[&format!("Range: bytes={start}-")]));
                    let head = client.head_of("GET");
                    assert_eq!(head.status, 206);
                    let version: usize = head.field("etag").unwrap().trim_matches(['"', 'v']).parse().unwrap();
                    match client.rest() {
                        Ok(body) => {
                            assert!(body == versions[version][start..], "mixed");
                            outcomes.lock().unwrap().0 += 1;
                        }
                        Err(_) => outcomes.lock().unwrap().1 += 1,
                    }
                }
            });
        }
    });
    let (whole, cut) = *outcomes.lock().unwrap();
    assert!(whole > 0 && cut > 0, "{whole} whole, {cut} cut");
}

#[test]
fn an_origin_that_knows_no_ranges_is_taken_whole() {
    let body = content(3 * SLICE, 0);
    let whole = body.clone();
    let origin = Origin::plain(move |_| Reply::response("200 OK", PLAIN, &whole));
    let pop = pop_of(&origin);
    let response = pop.get_with("/x", &["Range: bytes=70000-70009"]);
    assert_eq!(response.status, 206);
    assert!(is_stored(&response) && response.body == body[70_000..70_010]);
    let all = pop.get("/x");
    assert!(is_hit(&all) && all.body == body);
    assert_eq!(origin.count(), 1);
}

#[test]
fn parts_that_cannot_be_bound_are_never_stored_and_the_request_goes_on_as_it_is() {
    let body = content(3 * SLICE, 0);
    let rows: [&[&str]; 4] = [
        &[FRESH, "ETag: W/\"v0\""],
        &[FRESH],
        &["Cache-Control: private", "ETag: \"v0\""],
        &["Cache-Control: no-store", "ETag: \"v0\""],
    ];
    for fields in rows {
        let origin = steady(&body, fields);
        let pop = pop_of(&origin);
        for asked in ["bytes=70000-70009", "bytes=70000-70009"] {
            let response = pop.get_with("/x", &[&format!("Range: {asked}")]);
            assert_eq!(response.status, 206, "{fields:?}");
            assert!(response.body == body[70_000..70_010]);
            assert!(!is_hit(&response) && !is_stored(&response), "{fields:?} {}", cache_status(&response));
            assert_eq!(origin.requests().last().unwrap().field("range"), Some(asked), "{fields:?}");
        }
        assert_eq!(origin.count(), 3, "the slice, and each request for itself");
        // Without a range the whole is fetched, and stored where that is allowed.
        assert!(pop.get("/x").body == body);
        assert_eq!(origin.requests().last().unwrap().field("range"), None);
    }
}

#[test]
fn a_wrong_content_range_is_never_stored() {
    let body = content(3 * SLICE, 0);
    let len = body.len();
    let rows = [
        format!("Content-Range: bytes 0-9/{len}"),
        format!("Content-Range: bytes 0-{}/*", SLICE - 1),
        format!("Content-Range: bytes 1-{SLICE}/{len}"),
        format!("Content-Range: bytes {}-{}/{len}", SLICE, 2 * SLICE - 1),
        format!("Content-Range: bytes 0-{}/10", SLICE - 1),
        "X: y".to_owned(),
    ];
    for wrong in rows {
        let (bytes, range) = (body.clone(), wrong.clone());
        let origin = Origin::plain(move |asked| match asked.field("range") {
            Some("bytes=5-8") => ranged(asked, PLAIN, &bytes),
            _ => Reply::response("206 Partial Content", &[FRESH, "ETag: \"v0\"", &range], &bytes[..SLICE]),
        });
        let pop = pop_of(&origin);
        let response = pop.get_with("/x", &["Range: bytes=5-8"]);
        assert!(response.status == 206 && response.body == body[5..9], "{wrong}: {response:?}");
        assert!(!is_stored(&response), "{wrong}");
        assert_eq!(pop.stats().stored, 0, "{wrong}");
    }
}

#[test]
fn a_slice_that_breaks_off_is_cut_and_not_stored() {
    let body = content(2 * SLICE, 0);
    let broken = Arc::new(AtomicUsize::new(1));
    let (left, whole) = (broken.clone(), body.clone());
    let origin = Origin::plain(move |asked| {
        if left.swap(0, Ordering::SeqCst) == 0 {
            return ranged(asked, PLAIN, &whole);
        }
        let range = format!("bytes 0-{}/{}", SLICE - 1, whole.len());
        let head = format!("HTTP/1.1 206 Partial Content\r\n{FRESH}\r\nETag: \"v0\"\r\nContent-Range: {range}\r\n");
        Reply::bytes(format!("{head}Content-Length: {SLICE}\r\n\r\n")).then(&whole[..1000]).cut()
    });
    let pop = pop_of(&origin);
    let mut client = pop.client();
    client.send(request("GET", "/x", &["Range: bytes=0-9999"]));
    assert_eq!(client.head_of("GET").status, 206);
    assert!(client.rest().is_err());
    let again = pop.get_with("/x", &["Range: bytes=0-9999"]);
    assert!(again.status == 206 && again.body == body[..10_000]);
    assert_eq!(origin.count(), 2);
}

#[test]
fn the_next_slice_is_fetched_while_one_is_sent_and_no_more_than_that() {
    let gate = Gate::new();
    let (held, body) = (gate.clone(), content(4 * SLICE, 0));
    let whole = body.clone();
    let origin = Origin::plain(move |asked| {
        if asked.field("range").is_none_or(|range| !range.starts_with("bytes=0-")) {
            return ranged(asked, PLAIN, &whole);
        }
        let range = format!("bytes 0-{}/{}", SLICE - 1, whole.len());
        let head = format!("HTTP/1.1 206 Partial Content\r\n{FRESH}\r\nETag: \"v0\"\r\nContent-Range: {range}\r\n");
        let reply = Reply::bytes(format!("{head}Content-Length: {SLICE}\r\n\r\n")).then(&whole[..1000]);
        reply.wait(&held).then(&whole[1000..SLICE])
    });
    let pop = pop_of(&origin);
    let mut client = pop.client();
    client.send(request("GET", "/x", &[]));
    assert_eq!(client.head_of("GET").status, 200);
    let mut found = client.body_of_at_least(1000);
    origin.wait_for_requests(2);
    wait_until(|| pop.stats().stored == 3);
    assert_eq!(origin.count(), 2);
    gate.open();
    found.extend(client.rest().unwrap());
    assert!(found == body);
    assert_eq!(origin.count(), 4);
}

#[test]
fn requests_whose_answers_may_not_be_stored_leave_the_slices_of_others_alone() {
    let body = content(3 * SLICE, 0);
    for own in ["Cache-Control: no-store", "Authorization: Basic eDp5"] {
        let origin = steady(&body, PLAIN);
        let pop = pop_of(&origin);
        assert_eq!(pop.get_with("/x", &["Range: bytes=0-9"]).status, 206);
        for fields in [&[own][..], &[own, "Range: bytes=5-8"]] {
            let response = pop.get_with("/x", fields);
            assert!(response.body == if fields.len() == 1 { &body[..] } else { &body[5..9] }, "{fields:?}");
            assert!(!is_stored(&response) && !is_hit(&response), "{fields:?}");
        }
        assert!(is_hit(&pop.get_with("/x", &["Range: bytes=0-9"])), "{own}");
        assert!(is_stored(&pop.get_with("/x", &[&format!("Range: bytes={SLICE}-{}", SLICE + 9)])), "{own}");
        assert_eq!(origin.count(), 4, "{own}");
    }
}

#[test]
fn an_unsafe_method_on_the_resource_makes_its_slices_go() {
    let body = content(2 * SLICE, 0);
    let whole = body.clone();
    let origin = Origin::plain(move |asked| match asked.method.as_str() {
        "PUT" => Reply::response("204 No Content", &[], ""),
        _ => ranged(asked, PLAIN, &whole),
    });
    let pop = pop_of(&origin);
    assert!(pop.get("/x").body == body);
    assert_eq!(origin.count(), 2);
    assert!(is_hit(&pop.get("/x")));
    let mut client = pop.client();
    client.send("PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(client.response_to("PUT").status, 204);
    let after = pop.get("/x");
    assert!(!is_hit(&after) && after.body == body);
    assert_eq!(origin.count(), 5);
}

#[test]
fn slices_of_each_variant_stay_apart() {
    let versions = [content(2 * SLICE, 0), content(2 * SLICE, 1)];
    let known = versions.clone();
    let origin = Origin::plain(move |asked| {
        let index = usize::from(asked.field("accept-language") == Some("de"));
        ranged(asked, &[FRESH, "Vary: Accept-Language", &format!("ETag: \"v{index}\"")], &known[index])
    });
    let pop = pop_of(&origin);
    for _ in 0..2 {
        for (index, language) in ["en", "de"].iter().enumerate() {
            let response = pop.get_with("/x", &[&format!("Accept-Language: {language}")]);
            assert!(response.status == 200 && response.body == versions[index], "{language}");
        }
    }
    assert_eq!(origin.count(), 4);
}

#[test]
fn an_origin_that_has_nothing_there_is_passed_on() {
    let origin = Origin::plain(|_| Reply::response("404 Not Found", &[FRESH], "no"));
    let pop = pop_of(&origin);
    let response = pop.get_with("/x", &["Range: bytes=5-8"]);
    assert_eq!((response.status, response.text().as_str()), (404, "no"));
    assert!(is_hit(&pop.get("/x")));
    // What has no byte at all has none to begin a slice with.
    let empty = steady(b"", PLAIN);
    let pop = pop_of(&empty);
    let response = pop.get("/x");
    assert_eq!((response.status, response.body.len()), (200, 0));
}

#[test]
fn several_ranges_are_put_together_from_slices() {
    let body = content(5 * SLICE + 7, 0);
    let origin = steady(&body, PLAIN);
    let pop = pop_of(&origin);
    assert_eq!(pop.get_with("/x", &["Range: bytes=0-9"]).status, 206);
    let ranges = [2 * SLICE - 10..2 * SLICE + 10, 5..15, body.len() - 3..body.len()];
    let list = ranges.clone().map(|range| format!("{}-{}", range.start, range.end - 1)).join(",");
    let expected = ranges.map(|range| {
        let lines = format!("Content-Range: bytes {}-{}/{}", range.start, range.end - 1, body.len());
        (format!("Content-Type: video/mp4; {lines}"), body[range].to_vec())
    });
    let fetched = pop.get_with("/x", &[&format!("Range: bytes={list}")]);
    assert!(parts(&fetched) == expected);
    wait_until(|| is_hit(&pop.get_with("/x", &[&format!("Range: bytes={list}")])));
    let count = origin.count();
    let hit = pop.get_with("/x", &[&format!("Range: bytes={list}"), "Cache-Control: only-if-cached"]);
    assert!(is_hit(&hit) && parts(&hit) == expected, "{hit:?}");
    assert_eq!(origin.count(), count);
    for asked in origin.requests() {
        assert!(!asked.field("range").unwrap().contains(','), "{asked:?}");
    }
    let far = format!("Range: bytes={},{}-{}", &list, 4 * SLICE - 1, 4 * SLICE - 1);
    assert_eq!(pop.get_with("/x", &[&far, "Cache-Control: only-if-cached"]).status, 504);
}

#[test]
fn several_ranges_of_what_nobody_knows_are_left_to_the_origin() {
    let origin = Origin::plain(|asked| Reply::ok(asked.field("range").unwrap_or("none")));
    let pop = pop_of(&origin);
    assert_eq!(pop.get_with("/x", &["Range: bytes=0-1,4-5"]).text(), "bytes=0-1,4-5");
}

#[test]
fn only_if_cached_is_served_where_all_slices_are_there_and_fetches_none() {
    let body = content(3 * SLICE, 0);
    let origin = steady(&body, PLAIN);
    let pop = pop_of(&origin);
    assert_eq!(pop.get_with("/x", &["Cache-Control: only-if-cached"]).status, 504);
    assert_eq!(pop.get_with("/x", &["Range: bytes=0-9"]).status, 206);
    assert_eq!(pop.get_with("/x", &["Range: bytes=0-9", "Cache-Control: only-if-cached"]).status, 206);
    assert_eq!(pop.get_with("/x", &["Cache-Control: only-if-cached"]).status, 504);
    assert_eq!(origin.count(), 1);
    assert!(pop.get("/x").body == body);
    assert!(pop.get_with("/x", &["Cache-Control: only-if-cached"]).body == body);
    assert_eq!(origin.count(), 3);
}
