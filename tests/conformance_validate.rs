//! Conformance: validation, what a 304 or a HEAD updates, and clients' own conditions and ranges (RFC 9111 §3.2, §4.3;
//! RFC 9110 §13, §14).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::Scene;

const STALE: &str = "GET => 200 | Cache-Control: max-age=60 | Age: 100 | ETag: \"a\" | X-Old: 1 => 200 #1 stored";
const CONFIRMED: &str =
    "GET => 304 | Cache-Control: max-age=60 | ETag: \"a\" => 200 #1 fwd=stale fwd-status=304 stored";

#[test]
fn the_origin_is_asked_with_what_it_said_itself() {
    let scene = Scene::new("");
    // RFC 9111 §4.3.1
    scene.check_rows(
        &[
            "GET => 200 | Cache-Control: max-age=60 | Age: 100 | ETag: $1 => 200 stored",
            "GET => 304 | ETag: $1 => 200 #1 fwd-status=304 | asked If-None-Match: $1",
        ],
        &[["\"a\""], ["W/\"a\""], ["abc"], ["\"\""], ["\"a b,c\""], ["w/\"a\""], ["\"\\\""], ["W/abc"]],
    );
    scene.check_rows(
        &[
            "GET => 200 | Cache-Control: max-age=60 | Age: 100 | Last-Modified: $1 => 200 stored",
            "GET => 304 | Last-Modified: $1 => 200 #1 fwd-status=304 | asked If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT | asked !If-None-Match",
        ],
        &[["Sun, 06 Nov 1994 08:49:37 GMT"], ["Sunday, 06-Nov-94 08:49:37 GMT"], ["Sun Nov  6 08:49:37 1994"]],
    );
    scene.check(&[
        ("both", &["GET => 200 | Cache-Control: no-cache | ETag: \"a\" | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT => 200 stored", "GET => 304 | ETag: \"a\" => 200 #1 detail=no-cache | asked If-None-Match: \"a\" | asked If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"]),
        ("a date that is none", &["GET => 200 | Cache-Control: max-age=60 | Age: 100 | Last-Modified: soon => 200 !stored", "GET => 200 => 200 #2 | asked !If-Modified-Since"]),
        ("the client's own condition stays behind", &[STALE, "GET | If-None-Match: \"b\" | If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT => 304 | ETag: \"a\" => 200 #1 | asked If-None-Match: \"a\" | asked !If-Modified-Since"]),
        ("nothing to ask with on a miss", &["GET | If-None-Match: \"b\" => 200 | ETag: \"a\" | Cache-Control: max-age=60 => 200 #1 stored | asked !If-None-Match"]),
        ("a miss whose answer the client has", &["GET | If-None-Match: \"a\" => 200 | ETag: \"a\" | Cache-Control: max-age=60 => 304 stored", "GET => => 200 #1 hit"]),
        ("confirmed, it is fresh again", &[STALE, CONFIRMED, "GET => => 200 #1 hit | X-Old: 1"]),
        ("confirmed without a new lifetime it keeps its own", &["GET => 200 | Cache-Control: max-age=60 | ETag: \"a\" => 200", "expire", "GET => 304 | ETag: \"a\" => 200 #1", "GET => => 200 #1 hit"]),
        ("§4.3.4: a 304 without a Date makes it as young as it is", &["GET => 200 | Cache-Control: max-age=60 | Age: 100 | Date: {date-100} | ETag: \"a\" => 200", "GET => 304 | ETag: \"a\" => 200", "GET => => 200 hit"]),
        ("§4.3.4: a 304 of another", &[STALE, "GET => 304 | ETag: \"b\" && 200 | Cache-Control: max-age=60 | ETag: \"b\" => 200 #3 stored | asked !If-None-Match", "GET => => 200 #3 hit"]),
        ("§4.3.4: a weak 304 of a weak one", &["GET => 200 | Cache-Control: max-age=60 | Age: 100 | ETag: W/\"a\" => 200", "GET => 304 | ETag: W/\"a\" | Cache-Control: max-age=60 => 200 #1", "GET => => 200 #1 hit"]),
        ("a 304 that says it may not be stored", &[STALE, "GET => 304 | ETag: \"a\" | Cache-Control: no-store => 200 #1 !stored", "GET => 200 => 200 #3 | asked !If-None-Match"]),
        ("a 304 that says private", &[STALE, "GET => 304 | ETag: \"a\" | Cache-Control: private => 200 #1 !stored", "GET => close => 502"]),
        ("§4.3.3: a full answer", &[STALE, "GET => 200 | Cache-Control: max-age=60 | ETag: \"b\" => 200 #2 fwd=stale stored !fwd-status=304 | !X-Old", "GET => => 200 #2 hit"]),
        ("one that nobody asked for", &["GET => 304 | ETag: \"a\" => 304 !stored", "GET => 200 => 200 #2"]),
        ("a client that has it is told so by a 304", &[STALE, "GET | If-None-Match: \"a\" => 304 | ETag: \"a\" | Cache-Control: max-age=60 => 304 fwd-status=304"]),
        ("§4.3.1: all variants in one question", &[
            "GET | Foo: 1 => 200 | Cache-Control: max-age=60 | Vary: Foo | ETag: \"a\" => 200",
            "GET | Foo: 2 => 200 | Cache-Control: max-age=60 | Vary: Foo | ETag: \"b\" => 200 #2",
            "GET | Foo: 3 => 304 | ETag: \"a\" | Vary: Foo => 200 #1 fwd=vary-miss fwd-status=304 | asked If-None-Match: \"b\", \"a\"",
            "GET | Foo: 3 => => 200 #1 hit",
        ]),
    ]);
}

#[test]
fn a_304_updates_what_it_names() {
    let scene = Scene::new("");
    // RFC 9111 §3.2
    scene.check_rows(
        &[
            "GET => 200 | $1: $2 | Date: {date-100} | Cache-Control: max-age=60 | ETag: \"a\" => 200 stored",
            "GET => 304 | $1: $3 | Cache-Control: max-age=60 | ETag: \"a\" => 200 #1 | $1: $3",
            "GET => => 200 #1 hit | $1: $3",
        ],
        &[
            ["Test-Header", "1", "2"],
            ["X-Test-Header", "1", "2"],
            ["Content-Foo", "1", "2"],
            ["X-Content-Foo", "1", "2"],
            ["Content-Type", "text/plain", "text/plain;charset=utf-8"],
            ["Content-Location", "/foo", "/bar"],
            ["Content-Language", "de", "en"],
            ["Content-Security-Policy", "default-src 'self'", "default-src 'self' cdn.example.com"],
            ["Clear-Site-Data", "cache", "cookies"],
            ["Expires", "Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 11 Jan 2038 11:11:11 GMT"],
            ["Set-Cookie2", "a=b", "a=c"],
            ["X-Frame-Options", "deny", "sameorigin"],
            ["Link", "</a>", "</b>"],
        ],
    );
    // What tells how the stored body is to be read stays with the body.
    scene.check_rows(
        &[
            "GET => 200 | $1: $2 | Age: 100 | Cache-Control: max-age=60 | ETag: \"a\" => 200 stored",
            "GET => 304 | $1: $3 | Cache-Control: max-age=60 | ETag: \"a\" => 200 #1 | $1: $2",
            "GET => => 200 #1 hit | $1: $2",
        ],
        &[["Content-Encoding", "x-a", "x-b"], ["Content-Range", "x-a", "x-b"]],
    );
    // What is never stored (§3.1), and what is one client's.
    scene.check_rows(
        &[
            "GET => 200 | Age: 100 | Cache-Control: max-age=60 | ETag: \"a\" => 200 stored",
            "GET => 304 | $1 | Cache-Control: max-age=60 | ETag: \"a\" => 200 #1 | !$2",
            "GET => => 200 #1 hit | !$2",
        ],
        &[
            ["Set-Cookie: a=b", "Set-Cookie"],
            ["Connection: X-Hop | X-Hop: 1", "X-Hop"],
            ["Keep-Alive: timeout=5", "Keep-Alive"],
            ["Proxy-Authenticate: Basic", "Proxy-Authenticate"],
            ["Upgrade: h2c", "Upgrade"],
        ],
    );
    scene.check(&[
        ("the length stays", &[STALE, "GET => 304 | Content-Length: 999 | ETag: \"a\" | Cache-Control: max-age=60 => 200 #1 | Content-Length: 7", "GET => => 200 #1 hit | Content-Length: 7"]),
        ("a field of several lines is replaced as one", &["GET => 200 | A: 1 | A: 2 | B: 1 | Age: 100 | Cache-Control: max-age=60 | ETag: \"a\" => 200", "GET => 304 | a: 3 | ETag: \"a\" => 200 | A: 3 | B: 1"]),
        ("Cache-Control too", &["GET => 200 | Age: 100 | Cache-Control: public, max-age=60 | ETag: \"a\" => 200", "GET => 304 | Cache-Control: max-age=500 | ETag: \"a\" => 200 ttl=500 | Cache-Control: max-age=500"]),
        ("the operator of the way is named once", &[STALE, CONFIRMED, "GET => => 200 hit | Via: 1.1 millpond"]),
        ("the Date is the newer one", &["GET => 200 | Date: {date-100} | Cache-Control: max-age=60 | ETag: \"a\" => 200", "GET => 304 | Date: Thu, 01 Jan 2037 00:00:00 GMT | ETag: \"a\" => 200 | Date: Thu, 01 Jan 2037 00:00:00 GMT"]),
    ]);
}

#[test]
fn a_head_updates_or_invalidates_what_is_stored() {
    let scene = Scene::new("");
    // RFC 9111 §4.3.5; the length of `reply 1` is 7.
    scene.check_rows(
        &[
            STALE,
            "HEAD => 200 | ~ | Cache-Control: max-age=60 | X-New: 1 | $1 => 200 !hit | X-New: 1",
            "GET => => 200 #1 hit | X-Old: 1 | X-New: 1",
        ],
        &[["ETag: \"a\""], ["ETag: \"a\" | Content-Length: 7"], ["Content-Length: 7"], ["X: 1"]],
    );
    scene.check_rows(
        &[
            STALE,
            "HEAD => $1 | ~ | Cache-Control: max-age=60 | $2 => $1 !hit",
            "GET => 200 => 200 #3 | asked !If-None-Match",
        ],
        &[["200", "ETag: \"b\""], ["200", "ETag: \"a\" | Content-Length: 8"], ["200", "Content-Length: 6"]],
    );
    scene.check(&[
        (
            "an error says nothing",
            &[STALE, "HEAD => 500 | ~ => 500", "GET => 304 | ETag: \"a\" => 200 #1 | asked If-None-Match: \"a\""],
        ),
        (
            "a HEAD is answered from a stored GET",
            &["GET => 200 | Cache-Control: max-age=60 => 200", "HEAD => => 200 hit | Content-Length: 7"],
        ),
        (
            "a HEAD stores nothing",
            &[
                "HEAD => 200 | ~ | Content-Length: 7 | Cache-Control: max-age=60 => 200 !stored | Content-Length: 7",
                "GET => 200 => 200 #2 !hit",
            ],
        ),
        (
            "a HEAD with the client's condition",
            &[
                "GET => 200 | Cache-Control: max-age=60 | ETag: \"a\" => 200",
                "HEAD | If-None-Match: \"a\" => => 304 hit | ETag: \"a\"",
            ],
        ),
    ]);
}

#[test]
fn clients_conditions_are_answered_in_their_order() {
    let scene = Scene::new("");
    const STORED: &str = "GET => 200 | Cache-Control: max-age=600 | ETag: \"a\" | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT | X-Much: 1 => 200 #1";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    // RFC 9110 §13.1, §13.2.2
    let not_modified = [
        "If-None-Match: \"a\"".to_owned(),
        "If-None-Match: W/\"a\"".to_owned(),
        "If-None-Match: \"b\" , \"a\"".to_owned(),
        "If-None-Match: \"b\" | If-None-Match: \"a\"".to_owned(),
        "If-None-Match: *".to_owned(),
        "If-None-Match: \"b,\", W/\"a\"".to_owned(),
        format!("If-Modified-Since: {THEN}"),
        "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT".to_owned(),
        "If-Modified-Since: Sun Nov  6 08:49:37 1994".to_owned(),
        "If-Modified-Since: {date+0}".to_owned(),
        format!("If-None-Match: \"a\" | If-Modified-Since: {BEFORE}"),
        "If-Match: \"a\" | If-None-Match: \"a\"".to_owned(),
        format!("If-Unmodified-Since: {THEN} | If-None-Match: \"a\""),
    ];
    let modified = [
        "If-None-Match: \"b\"".to_owned(),
        "If-None-Match: a".to_owned(),
        "If-None-Match: \"A\"".to_owned(),
        format!("If-None-Match: \"b\" | If-Modified-Since: {THEN}"),
        format!("If-Modified-Since: {BEFORE}"),
        "If-Modified-Since: soon".to_owned(),
        "If-Modified-Since: 0".to_owned(),
        "If-Match: \"a\"".to_owned(),
        "If-Match: *".to_owned(),
        "If-Match: \"b\", \"a\"".to_owned(),
        format!("If-Unmodified-Since: {THEN}"),
        "If-Unmodified-Since: soon".to_owned(),
        format!("If-Match: \"a\" | If-Unmodified-Since: {BEFORE}"),
        "If-Range: \"a\"".to_owned(),
    ];
    let failed = [
        "If-Match: \"b\"".to_owned(),
        "If-Match: W/\"a\"".to_owned(),
        format!("If-Unmodified-Since: {BEFORE}"),
        "If-Match: \"b\" | If-None-Match: \"a\"".to_owned(),
    ];
    for (fields, outcome) in not_modified
        .iter()
        .map(|fields| {
            (
                fields,
                "304 hit | ETag: \"a\" | Cache-Control: max-age=600 | Date: * | Age: * | !Content-Length | !X-Much",
            )
        })
        .chain(modified.iter().map(|fields| (fields, "200 #1 hit | X-Much: 1")))
        .chain(failed.iter().map(|fields| (fields, "412 hit | !Cache-Control")))
    {
        scene.check(&[(fields, &[STORED, &format!("GET | {fields} => => {outcome}")])]);
    }
    scene.check(&[
        (
            "§13.2.1: conditions are about a success",
            &[
                "GET => 404 | Cache-Control: max-age=60 | ETag: \"a\" => 404",
                "GET | If-None-Match: \"a\" => => 404 #1 hit",
            ],
        ),
        (
            "a redirect is none",
            &["GET => 301 | Cache-Control: max-age=60 | ETag: \"a\" => 301", "GET | If-None-Match: * => => 301 #1 hit"],
        ),
        (
            "§4.3.2: without Last-Modified the Date counts",
            &[
                "GET => 200 | Cache-Control: max-age=60 | Date: {date+0} => 200",
                "GET | If-Modified-Since: {date+5} => => 304 hit",
                "GET | If-Modified-Since: {date-50} => => 200 #1 hit",
            ],
        ),
        (
            "a weak tag",
            &[
                "GET => 200 | Cache-Control: max-age=60 | ETag: W/\"a\" => 200",
                "GET | If-None-Match: \"a\" => => 304 hit",
                "GET | If-Match: W/\"a\" => => 412 hit",
            ],
        ),
        (
            "a tag without quotes",
            &["GET => 200 | Cache-Control: max-age=60 | ETag: abc => 200", "GET | If-None-Match: abc => => 304 hit"],
        ),
    ]);
}

#[test]
fn ranges_are_cut_from_what_is_stored() {
    let scene = Scene::new("");
    const STORED: &str = "GET => 200 | Cache-Control: max-age=600 | ETag: \"a\" | Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT | Date: {date+0} | = 0123456789 => 200";
    // RFC 9110 §14
    scene.check_rows(
        &[STORED, "GET | $1 => => $2 hit | = $3 | $4"],
        &[
            ["Range: bytes=0-0", "206", "0", "Content-Range: bytes 0-0/10"],
            ["Range: bytes=7-", "206", "789", "Content-Range: bytes 7-9/10"],
            ["Range: bytes=-2", "206", "89", "Content-Range: bytes 8-9/10"],
            ["Range: bytes=-20", "206", "0123456789", "Content-Range: bytes 0-9/10"],
            ["Range: bytes=8-100", "206", "89", "Content-Range: bytes 8-9/10"],
            ["Range: BYTES=2-3", "206", "23", "Content-Range: bytes 2-3/10"],
            ["Range: bytes=2-3, 50-60", "206", "23", "Content-Range: bytes 2-3/10"],
            ["Range: bytes=10-", "416", "", "Content-Range: bytes */10"],
            ["Range: bytes=-0", "416", "", "Content-Range: bytes */10"],
            ["Range: bytes=3-2", "200", "0123456789", "!Content-Range"],
            ["Range: bytes=a-b", "200", "0123456789", "!Content-Range"],
            ["Range: items=0-1", "200", "0123456789", "!Content-Range"],
            ["Range: bytes=0-5,2-7", "200", "0123456789", "!Content-Range"],
            ["Range: bytes=2-3 | If-Range: \"a\"", "206", "23", "ETag: \"a\""],
            ["Range: bytes=2-3 | If-Range: \"b\"", "200", "0123456789", "!Content-Range"],
            ["Range: bytes=2-3 | If-Range: W/\"a\"", "200", "0123456789", "!Content-Range"],
            ["Range: bytes=2-3 | If-Range: Sun, 06 Nov 1994 08:49:37 GMT", "206", "23", "ETag: \"a\""],
            ["Range: bytes=2-3 | If-Range: {date+0}", "200", "0123456789", "!Content-Range"],
            ["Range: bytes=2-3 | If-None-Match: \"a\"", "304", "", "!Content-Range"],
            ["Range: bytes=2-3 | If-None-Match: \"b\"", "206", "23", "Cache-Control: max-age=600"],
            ["Range: bytes=2-3 | If-Match: \"b\"", "412", "", "!Content-Range"],
        ],
    );
    scene.check(&[
        ("§14.2: of a GET only", &[STORED, "HEAD | Range: bytes=0-1 => => 200 hit | Content-Length: 10"]),
        ("§14.2: of a 200 only", &["GET => 404 | Cache-Control: max-age=60 => 404", "GET | Range: bytes=0-1 => => 404 #1 hit"]),
        ("by a weak date it is not cut", &["GET => 200 | Cache-Control: max-age=60 | Last-Modified: {date+0} | Date: {date+0} | = 0123456789 => 200", "GET | Range: bytes=0-1 | If-Range: {date+0} => => 200 hit"]),
        ("§3.3 of RFC 9111: a part without a strong validator stays unstored", &["GET | Range: bytes=0-1 => 206 | Cache-Control: max-age=60 | Content-Range: bytes 0-1/10 | = 01 => 206 !stored | = 01 | asked Range: bytes=0-1", "GET | Range: bytes=0-1 => 200 | = 0123456789 => 206 !hit | = 01"]),
        ("a stale one is confirmed, then cut", &[STALE, "GET | Range: bytes=0-1 => 304 | ETag: \"a\" | Cache-Control: max-age=60 => 206 fwd-status=304 | = re | asked !Range"]),
    ]);
}
