//! Range requests (RFC 9110 §14) on what is stored and on what is still arriving: one part, several parts, none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::pop::{https_table, is_hit, request};
use support::{Certificates, Client, Origin, Pop, Reply, Response};

const FRESH: &str = "Cache-Control: max-age=600";
const TAG: &str = "ETag: \"v1\"";
const TYPE: &str = "Content-Type: text/plain";

/// Ten digits, storable.
fn digits() -> Origin {
    Origin::plain(|_| Reply::response("200 OK", &[FRESH, TAG, TYPE], "0123456789"))
}

/// Bytes of which no two stretches are alike.
fn content(len: usize) -> Vec<u8> {
    (0..len as u64 / 8 + 1).flat_map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).take(len).collect()
}

/// The parts of a multipart/byteranges answer: the field lines of each, and its bytes.
#[track_caller]
fn parts(response: &Response) -> Vec<(String, Vec<u8>)> {
    let media_type = response.field("content-type").unwrap();
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap_or_else(|| panic!("{media_type}"));
    assert!(boundary.len() >= 32 && boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{boundary}");
    let mark = format!("\r\n--{boundary}");
    let mut rest = [b"\r\n", response.body.as_slice()].concat();
    assert!(rest.starts_with(mark.as_bytes()), "a preamble");
    let mut found = Vec::new();
    loop {
        rest.drain(..mark.len());
        if rest == b"--\r\n" {
            return found;
        }
        let end = rest.windows(mark.len()).position(|window| window == mark.as_bytes()).expect("a closing delimiter");
        let part: Vec<u8> = rest.drain(..end).collect();
        let blank = part.windows(4).position(|window| window == b"\r\n\r\n").expect("an empty line in each part");
        let lines = String::from_utf8(part[..blank].to_vec()).unwrap();
        found.push((lines.trim_start().replace("\r\n", "; "), part[blank + 4..].to_vec()));
    }
}

#[test]
fn several_ranges_come_as_parts_in_the_order_asked_for() {
    let origin = digits();
    let pop = Pop::of(&origin);
    pop.get("/x");
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
    let pop = Pop::of(&origin);
    pop.get("/x");
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
    let pop = Pop::of(&origin);
    pop.get("/x");
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
    let body = content(3 << 20);
    let whole = body.clone();
    let origin = Origin::plain(move |_| Reply::response("200 OK", &[FRESH, TYPE], &body));
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let toml = format!("share_schemes = true\n[site.origin]\nservers = [\"{}\"]\n", origin.address());
    let pop = Pop::start_with_https(&format!("[[site]]\ndomains = [\"a.test\"]\n{toml}{}", https_table(&identity)));
    pop.get("/x");
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
