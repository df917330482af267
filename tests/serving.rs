//! What clients get, answer by answer: misses and hits, framing, conditions, ranges, variants, and what is not stored.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use support::pop::{cache_status, is_hit, is_stored, request, site, site_with};
use support::{Gate, Origin, Pop, Reply, wait_until};

const FRESH: &str = "Cache-Control: max-age=600";

/// Answers everything with a storable body that names the target.
fn storable_origin() -> Origin {
    Origin::plain(|request| Reply::response("200 OK", &[FRESH, "ETag: \"v1\""], format!("body of {}", request.target)))
}

#[test]
fn the_first_answer_is_a_miss_and_the_second_a_hit_with_its_age() {
    let origin =
        Origin::plain(|_| Reply::response("200 OK", &[FRESH, "Age: 100", "Content-Type: text/plain"], "hello"));
    let pop = Pop::of(&origin);
    let first = pop.get("/x?y");
    assert_eq!((first.status, first.text().as_str()), (200, "hello"));
    assert!(cache_status(&first).starts_with("millpond; fwd=uri-miss; ttl="), "{first:?}");
    assert!(is_stored(&first) && !is_hit(&first), "{first:?}");
    let second = pop.get("/x?y");
    assert_eq!((second.status, second.text().as_str()), (200, "hello"));
    assert!(cache_status(&second).starts_with("millpond; hit; ttl="), "{second:?}");
    for response in [&first, &second] {
        assert!(response.field("age").unwrap().parse::<u32>().unwrap() >= 100, "{response:?}");
        assert_eq!(response.fields_named("age").len(), 1, "{response:?}");
        assert_eq!(response.field("content-type"), Some("text/plain"));
        assert_eq!(response.field("content-length"), Some("5"));
    }
    assert!(!is_hit(&pop.get("/x?z")), "the query is part of the key");
    assert_eq!(origin.count(), 2);
    assert_eq!((pop.stats().hits, pop.stats().stored), (1, 2));
}

#[test]
fn head_is_answered_from_a_stored_get_and_the_connection_goes_on() {
    let origin = storable_origin();
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    let stored = client.get("a.test", "/x");
    client.send(request("HEAD", "/x", &[]));
    let head = client.response_to("HEAD");
    assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, Some("10"), 0));
    assert!(is_hit(&head));
    assert_eq!(head.field("etag"), stored.field("etag"));
    assert_eq!(client.get("a.test", "/x").text(), "body of /x");
    assert_eq!(origin.count(), 1);
}

#[test]
fn head_of_something_not_stored_is_passed_and_says_the_origins_length() {
    let origin = Origin::plain(|request| match request.method.as_str() {
        "HEAD" => Reply::bytes("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 777\r\n\r\n"),
        _ => Reply::response("200 OK", &[FRESH], "the whole"),
    });
    let pop = Pop::of(&origin);
    let head = pop.ask("HEAD", "/x", &[]);
    assert_eq!((head.status, head.field("content-length")), (200, Some("777")));
    let whole = pop.get("/x");
    assert_eq!((whole.text().as_str(), is_hit(&whole)), ("the whole", false));
    let methods: Vec<_> = origin.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["HEAD", "GET"]);
}

#[test]
fn pipelined_requests_are_answered_in_order_byte_for_byte() {
    let origin = Origin::plain(|request| match request.method.as_str() {
        "POST" => Reply::ok([b"got ", request.body.as_slice()].concat()),
        _ => Reply::response("200 OK", &[FRESH], format!("{:<1$}", request.target, 5000)),
    });
    let pop = Pop::of(&origin);
    let mut all = String::new();
    for round in 0..3 {
        for number in 0..15 {
            all += &request("GET", &format!("/{number}"), &[]);
            all += &request("HEAD", &format!("/{number}"), &[]);
        }
        all += &format!("POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nab{round}.");
        all +=
            "POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n1;x=y\r\ne\r\n0\r\n\r\n";
    }
    let mut client = pop.client();
    client.send(all);
    for round in 0..3 {
        for number in 0..15 {
            assert_eq!(client.response().text(), format!("{:<1$}", format!("/{number}"), 5000));
            assert_eq!(client.response_to("HEAD").field("content-length"), Some("5000"));
        }
        assert_eq!(client.response().text(), format!("got ab{round}."));
        assert_eq!(client.response().text(), "got cde");
    }
    assert_eq!(origin.count(), 15 + 6);
}

#[test]
fn a_request_that_arrives_byte_by_byte_is_served_and_so_is_the_next() {
    let origin = storable_origin();
    let pop = Pop::of(&origin);
    let mut client = pop.client();
    for _ in 0..2 {
        for byte in request("GET", "/slow", &["X-A: b"]).bytes() {
            client.send([byte]);
        }
        assert_eq!(client.response().text(), "body of /slow");
    }
}

#[test]
fn http_1_0_is_closed_unless_it_asks_to_be_kept() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &[FRESH], "hello"));
    let pop = Pop::of(&origin);
    for _ in 0..2 {
        let mut client = pop.client();
        client.send("GET /x HTTP/1.0\r\nHost: a.test\r\n\r\n");
        let response = client.response();
        assert_eq!((response.text().as_str(), response.field("connection")), ("hello", Some("close")));
        assert!(client.closed());
    }
    let mut client = pop.client();
    for _ in 0..2 {
        client.send("GET /x HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!((response.text().as_str(), response.field("connection")), ("hello", Some("keep-alive")));
    }
}

#[test]
fn a_body_of_unknown_length_is_chunked_for_http_1_1_and_ends_with_the_connection_for_http_1_0() {
    for (version, coding) in [("1.1", Some("chunked")), ("1.0", None)] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::plain(move |_| {
            let head = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n";
            Reply::bytes(head).then("3\r\nabc\r\n").wait(&held).then("2\r\nde\r\n0\r\n\r\n")
        });
        let pop = Pop::of(&origin);
        let mut client = pop.client();
        client.send(format!("GET /x HTTP/{version}\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n"));
        let head = client.head_of("GET");
        assert_eq!((head.field("transfer-encoding"), head.field("content-length")), (coding, None));
        assert_eq!(client.body_of_at_least(3), b"abc");
        gate.open();
        assert_eq!(client.rest().unwrap(), b"de");
        assert_eq!(head.field("connection"), if version == "1.1" { None } else { Some("close") });
    }
}

#[test]
fn a_client_that_asks_for_close_gets_it() {
    let origin = storable_origin();
    let pop = Pop::of(&origin);
    for _ in 0..2 {
        let mut client = pop.client();
        client.send(request("GET", "/x", &["Connection: close"]));
        assert_eq!(client.response().field("connection"), Some("close"));
        assert!(client.closed());
    }
}

#[test]
fn a_client_that_ends_its_side_still_gets_its_answer() {
    let origin = storable_origin();
    let pop = Pop::of(&origin);
    for _ in 0..2 {
        let mut client = pop.client();
        client.send(request("GET", "/x", &[]));
        client.finish();
        assert_eq!(client.response().text(), "body of /x");
        assert!(client.closed());
    }
}

#[test]
fn conditions_on_a_stored_response_are_answered_without_the_origin() {
    let modified = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
    let origin = Origin::plain(move |_| Reply::response("200 OK", &[FRESH, "ETag: \"v1\"", modified], "hello"));
    let pop = Pop::of(&origin);
    pop.get("/x");
    let rows = [
        ("If-None-Match: \"v1\"", 304),
        ("If-None-Match: W/\"v1\"", 304),
        ("If-None-Match: \"v0\", \"v1\"", 304),
        ("If-None-Match: *", 304),
        ("If-None-Match: \"v2\"", 200),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 304),
        ("If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT", 304),
        ("If-Modified-Since: Sat, 05 Nov 1994 08:49:37 GMT", 200),
        ("If-Modified-Since: yesterday", 200),
        ("If-Match: \"v1\"", 200),
        ("If-Match: \"v2\"", 412),
        ("If-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT", 412),
    ];
    let mut client = pop.client();
    for (field, status) in rows {
        client.send(request("GET", "/x", &[field]));
        let response = client.response();
        assert_eq!(response.status, status, "{field}");
        assert_eq!(response.text(), if status == 200 { "hello" } else { "" }, "{field}");
        assert!(is_hit(&response), "{field}");
        assert_eq!(response.field("etag"), Some("\"v1\""), "{field}");
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn ranges_are_served_from_a_stored_response() {
    let origin = Origin::plain(|_| Reply::response("200 OK", &[FRESH, "ETag: \"v1\""], "0123456789"));
    let pop = Pop::of(&origin);
    pop.get("/x");
    let rows: [(&[&str], u16, &str, Option<&str>); 9] = [
        (&["Range: bytes=2-4"], 206, "234", Some("bytes 2-4/10")),
        (&["Range: bytes=7-"], 206, "789", Some("bytes 7-9/10")),
        (&["Range: bytes=-2"], 206, "89", Some("bytes 8-9/10")),
        (&["Range: bytes=0-99"], 206, "0123456789", Some("bytes 0-9/10")),
        (&["Range: bytes=10-"], 416, "", Some("bytes */10")),
        (&["Range: lines=1-2"], 200, "0123456789", None),
        (&["Range: bytes=4-2"], 200, "0123456789", None),
        (&["Range: bytes=2-4", "If-Range: \"v1\""], 206, "234", Some("bytes 2-4/10")),
        (&["Range: bytes=2-4", "If-Range: \"v0\""], 200, "0123456789", None),
    ];
    let mut client = pop.client();
    for (fields, status, body, content_range) in rows {
        client.send(request("GET", "/x", fields));
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (status, body), "{fields:?}");
        assert_eq!(response.field("content-range"), content_range, "{fields:?}");
    }
    client.send(request("HEAD", "/x", &["Range: bytes=2-4"]));
    assert_eq!(client.response_to("HEAD").status, 200);
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_range_of_something_not_stored_is_the_origins_to_answer_and_never_the_object() {
    let origin = Origin::plain(|request| match request.field("range") {
        Some("bytes=2-4") => Reply::response("206 Partial Content", &[FRESH, "Content-Range: bytes 2-4/10"], "234"),
        _ => Reply::response("200 OK", &[FRESH], "0123456789"),
    });
    let pop = Pop::of(&origin);
    let part = pop.get_with("/x", &["Range: bytes=2-4"]);
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert!(!is_stored(&part));
    let whole = pop.get("/x");
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    assert!(is_stored(&whole));
    assert!(is_hit(&pop.get_with("/x", &["Range: bytes=2-4"])));
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_stale_response_is_validated_and_its_body_not_sent_again() {
    let origin = Origin::plain(|request| match request.field("if-none-match") {
        Some("\"v1\"") => Reply::bytes("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nX-Round: second\r\n\r\n"),
        _ => Reply::response("200 OK", &["Cache-Control: no-cache", "ETag: \"v1\"", "X-Round: first"], "hello"),
    });
    let pop = Pop::of(&origin);
    let first = pop.get("/x");
    assert!(is_stored(&first), "{first:?}");
    for _ in 0..2 {
        let validated = pop.get_with("/x", &["If-None-Match: \"mine\""]);
        assert_eq!((validated.status, validated.text().as_str()), (200, "hello"));
        assert!(cache_status(&validated).contains("fwd-status=304"), "{validated:?}");
        assert_eq!(validated.fields_named("x-round"), ["second"]);
    }
    // The client's own validator may hold while ours is what the origin was asked about.
    assert_eq!(pop.get_with("/x", &["If-None-Match: \"v1\""]).status, 304);
    let asked: Vec<_> = origin.requests().iter().map(|r| r.field("if-none-match").map(str::to_owned)).collect();
    let ours = Some("\"v1\"".to_owned());
    assert_eq!(asked, [None, ours.clone(), ours.clone(), ours]);
}

#[test]
fn a_validation_by_date_asks_by_date_and_a_new_response_takes_the_old_ones_place() {
    let version = AtomicUsize::new(0);
    let origin = Origin::plain(move |_| {
        let number = version.fetch_add(1, Ordering::SeqCst);
        let modified = format!("Last-Modified: Sun, 06 Nov 1994 08:49:3{number} GMT");
        Reply::response("200 OK", &["Cache-Control: no-cache", &modified], format!("version {number}"))
    });
    let pop = Pop::of(&origin);
    for number in 0..3 {
        assert_eq!(pop.get("/x").text(), format!("version {number}"));
    }
    let asked: Vec<_> = origin.requests().iter().map(|r| r.field("if-modified-since").map(str::to_owned)).collect();
    assert_eq!(asked[0], None);
    assert_eq!(asked[1].as_deref(), Some("Sun, 06 Nov 1994 08:49:30 GMT"));
    assert_eq!(asked[2].as_deref(), Some("Sun, 06 Nov 1994 08:49:31 GMT"));
    assert_eq!(pop.stats().stored, 1);
}

#[test]
fn a_client_may_force_a_validation_unless_the_site_ignores_it() {
    let origin = storable_origin();
    let toml = site("a.test", &origin) + &site_with("b.test", &origin, "client_cache_control = \"ignore\"", "");
    let pop = Pop::start(&toml);
    for host in ["a.test", "b.test"] {
        let mut client = pop.client();
        client.get(host, "/x");
        client.send(format!("GET /x HTTP/1.1\r\nHost: {host}\r\nCache-Control: no-cache\r\n\r\n"));
        assert_eq!(is_hit(&client.response()), host == "b.test", "{host}");
    }
    let not_cached = pop.get_with("/absent", &["Cache-Control: only-if-cached"]);
    assert_eq!(not_cached.status, 504);
    assert_eq!(origin.count(), 3);
}

#[test]
fn vary_keeps_variants_apart() {
    let origin = Origin::plain(|request| {
        let coding = request.field("accept-encoding").unwrap_or("none").to_owned();
        Reply::response("200 OK", &[FRESH, "Vary: Accept-Encoding"], coding)
    });
    let pop = Pop::of(&origin);
    for round in 0..2 {
        for coding in ["gzip", "br", "identity"] {
            let response = pop.get_with("/x", &[&format!("Accept-Encoding: {coding}")]);
            assert_eq!((response.text().as_str(), is_hit(&response)), (coding, round == 1));
        }
        let response = pop.get("/x");
        assert_eq!((response.text().as_str(), is_hit(&response)), ("none", round == 1));
    }
    assert_eq!((origin.count(), pop.stats().stored), (4, 4));
}

#[test]
fn what_is_private_or_bound_to_one_client_is_never_stored() {
    let rows: [(&[&str], &str, &[&str]); 10] = [
        (&[], "200 OK", &["Cache-Control: no-store, max-age=600"]),
        (&[], "200 OK", &["Cache-Control: private, max-age=600"]),
        (&[], "200 OK", &["Cache-Control: max-age=600", "Cache-Control: no-store"]),
        (&[], "200 OK", &["Cache-Control: max-age=600", "Set-Cookie: a=b"]),
        (&[], "200 OK", &["Cache-Control: max-age=600", "Vary: *"]),
        (&[], "200 OK", &["Cache-Control: max-age=0"]),
        (&[], "200 OK", &[]),
        (&[], "500 Internal Server Error", &[]),
        (&["Authorization: Basic YTpi"], "200 OK", &["Cache-Control: max-age=600"]),
        (&["Cache-Control: no-store"], "200 OK", &["Cache-Control: max-age=600"]),
    ];
    for (asked, status, fields) in rows {
        let lines: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        let origin = Origin::plain(move |_| {
            Reply::response(status, &lines.iter().map(String::as_str).collect::<Vec<_>>(), "mine")
        });
        let pop = Pop::of(&origin);
        for _ in 0..2 {
            let response = pop.get_with("/x", asked);
            assert_eq!(response.text(), "mine", "{fields:?}");
            assert!(!is_hit(&response) && !is_stored(&response), "{fields:?}: {response:?}");
        }
        assert_eq!((origin.count(), pop.stats().stored), (2, 0), "{fields:?}");
    }
}

#[test]
fn a_response_larger_than_max_response_passes_whole_and_is_not_stored() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let sent = body.clone();
    let origin = Origin::plain(move |request| match request.target.as_str() {
        "/length" => Reply::response("200 OK", &[FRESH], &sent),
        _ => {
            let mut reply = Reply::bytes(format!("HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n"));
            for piece in sent.chunks(100_000) {
                reply = reply.then([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
            }
            reply.then("0\r\n\r\n")
        }
    });
    let pop = Pop::start(&(site("a.test", &origin) + "[cache]\nmemory = \"8MiB\"\nmax_response = \"1MiB\"\n"));
    for target in ["/length", "/length", "/chunked", "/chunked"] {
        let response = pop.get(target);
        assert!(response.body == body, "{target}: {} bytes came", response.body.len());
        assert!(!is_hit(&response));
        // Until its last reader has left, somebody else may join.
        wait_until(|| pop.stats().stored == 0);
    }
    assert_eq!(origin.count(), 4);
}

#[test]
fn eviction_keeps_the_byte_budget_and_every_answer_whole() {
    let body = |target: &str| target.bytes().cycle().take(60_000).collect::<Vec<u8>>();
    let origin = Origin::plain(move |request| Reply::response("200 OK", &[FRESH], body(&request.target)));
    let pop = Pop::start(&(site("a.test", &origin) + "[cache]\nmemory = \"1MiB\"\n"));
    let mut client = pop.client();
    for number in 0..60 {
        let target = format!("/{number}");
        assert!(client.get("a.test", &target).body == body(&target));
    }
    let stats = pop.stats();
    assert!(stats.stored_bytes <= 1 << 20, "{stats:?}");
    assert!((10..=17).contains(&stats.stored), "{stats:?}");
    assert!(is_hit(&client.get("a.test", "/59")), "the latest stays");
    assert!(!is_hit(&client.get("a.test", "/0")), "the oldest left");
}
