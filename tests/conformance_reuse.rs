//! Conformance: what of the store answers a request, fresh or stale, and which variant (RFC 9111 §4, RFC 5861).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::Scene;

/// A thousand seconds old, fresh for a thousand more.
const FRESH: &str = "GET => 200 | Cache-Control: max-age=2000 | Age: 1000 | ETag: \"a\" => 200 #1 stored";
/// Stale for forty seconds.
const STALE: &str = "GET => 200 | Cache-Control: max-age=60 | Age: 100 | ETag: \"a\" => 200 #1 stored";

#[test]
fn the_client_says_how_fresh_it_wants_it() {
    let scene = Scene::new("");
    // RFC 9111 §5.2.1, §5.4
    scene.check_rows(
        &[FRESH, "GET | $1 => => 200 #1 hit"],
        &[
            ["Cache-Control: max-age=1100"],
            ["Cache-Control: MAX-AGE=\"1500\""],
            ["Cache-Control: max-age=99999999999"],
            ["Cache-Control: min-fresh=900"],
            ["Cache-Control: max-stale=0"],
            ["Cache-Control: only-if-cached"],
            ["Cache-Control: no-store"],
            ["Cache-Control: no-transform"],
            ["Cache-Control: foo, max-age=junk"],
            ["Cache-Control: max-age=-1"],
            ["Cache-Control: private, must-revalidate"],
            ["Cache-Control: foo | Pragma: no-cache"],
            ["Pragma: foo"],
        ],
    );
    scene.check_rows(
        &[
            FRESH,
            "GET | $1 => 304 | ETag: \"a\" => 200 #1 fwd=request fwd-status=304 detail=$2 | asked If-None-Match: \"a\"",
        ],
        &[
            ["Cache-Control: no-cache", "request-no-cache"],
            ["Cache-Control: NO-CACHE", "request-no-cache"],
            ["Cache-Control: no-cache, max-stale", "request-no-cache"],
            ["Cache-Control: max-age=0", "request-max-age"],
            ["Cache-Control: max-age=999", "request-max-age"],
            ["Cache-Control: max-age=5000, max-age=1", "request-max-age"],
            ["Cache-Control: max-age=5000 | Cache-Control: max-age=1", "request-max-age"],
            ["Cache-Control: min-fresh=1100", "request-min-fresh"],
            ["Cache-Control: min-fresh=1, min-fresh=1100", "request-min-fresh"],
            ["Pragma: no-cache", "request-no-cache"],
            ["Pragma: foo, No-Cache", "request-no-cache"],
        ],
    );
    scene.check(&[
        ("the wish is not told to the origin as a condition of ours", &[FRESH, "GET | Cache-Control: no-cache => 200 => 200 #2 !hit | asked Cache-Control: no-cache"]),
        ("§5.2.1.7: nothing stored", &["GET | Cache-Control: only-if-cached => => 504"]),
        ("§5.2.1.7: stale", &[STALE, "GET | Cache-Control: only-if-cached => => 504"]),
        ("§5.2.1.7: too old for it", &[FRESH, "GET | Cache-Control: only-if-cached, max-age=10 => => 504"]),
        ("§5.2.1.7: another variant", &["GET | Foo: 1 => 200 | Cache-Control: max-age=60 | Vary: Foo => 200", "GET | Foo: 2 | Cache-Control: only-if-cached => => 504"]),
        ("§5.2.1.5: not stored", &["GET | Cache-Control: no-store => 200 | Cache-Control: max-age=60 => 200 !stored detail=request-no-store", "GET => 200 => 200 #2 !hit"]),
        ("§5.2.2.10 and §5.2.1.1: what fits, not what is fresh", &["GET => 200 | Cache-Control: max-age=5000 | Age: 1000 => 200", "GET | Cache-Control: max-age=500 => 200 | Cache-Control: max-age=5000 => 200 #2 stored", "GET | Cache-Control: max-age=500 => => 200 #2 hit"]),
    ]);
}

#[test]
fn the_client_may_take_it_stale_unless_the_response_forbids_it() {
    let scene = Scene::new("");
    // §5.2.1.2
    scene.check_rows(
        &[STALE, "GET | Cache-Control: $1 => => 200 #1 hit detail=max-stale | Age: 100"],
        &[
            ["max-stale"],
            ["max-stale=90"],
            ["max-stale=1000, max-stale=80"],
            ["max-stale=80, max-age=500"],
            ["only-if-cached, max-stale"],
        ],
    );
    scene.check_rows(
        &[STALE, "GET | Cache-Control: $1 => 304 | ETag: \"a\" => 200 #1 !hit | asked If-None-Match: \"a\""],
        &[
            ["max-stale=39"],
            ["max-stale=junk"],
            ["max-stale=1000, max-stale=5"],
            ["max-stale, max-age=50"],
            ["max-stale, min-fresh=10"],
        ],
    );
    scene.check_rows(
        &[
            "GET => 200 | Cache-Control: $1 | Age: 100 | ETag: \"a\" => 200 stored",
            "GET | Cache-Control: max-stale => 304 | ETag: \"a\" => 200 #1 !hit",
        ],
        // §5.2.2.2, §5.2.2.8, §5.2.2.10, §5.2.2.4
        &[
            ["max-age=60, must-revalidate"],
            ["max-age=60, proxy-revalidate"],
            ["s-maxage=60"],
            ["max-age=600, no-cache"],
        ],
    );
}

#[test]
fn a_stale_response_stands_in_for_an_origin_that_does_not_answer() {
    let scene = Scene::new("");
    // RFC 9111 §4.2.4
    scene.check_rows(
        &[
            "GET => 200 | Cache-Control: $1 | Age: 100 | ETag: \"a\" => 200 stored",
            "GET => close => 200 #1 hit detail=origin-failed | Age: 100 | Proxy-Status: *",
        ],
        &[
            ["max-age=60"],
            ["max-age=60, immutable"],
            ["max-age=60, stale-if-error=60"],
            ["s-maxage=60, stale-if-error=60"],
            ["public, max-age=0"],
        ],
    );
    scene.check_rows(
        &[
            "GET => 200 | Cache-Control: $1 | Age: $2 | ETag: \"a\" => 200 stored",
            "GET => close => 502 !hit | Proxy-Status: *",
        ],
        &[
            ["max-age=60, must-revalidate", "100"],
            ["max-age=60, proxy-revalidate", "100"],
            ["max-age=600, no-cache", "100"],
            ["s-maxage=60", "100"],
            ["max-age=60, stale-if-error=10", "100"],
            ["max-age=60, stale-if-error=600, must-revalidate", "100"],
            ["max-age=60", "90000"],
        ],
    );
    scene.check(&[
        (
            "it is asked again",
            &[
                STALE,
                "GET => close => 200 #1 hit",
                "GET => 304 | ETag: \"a\" | Cache-Control: max-age=60 => 200 #1 !hit",
                "GET => => 200 #1 hit",
            ],
        ),
        ("nothing stored", &["GET => close => 502 fwd=uri-miss !hit | Proxy-Status: *"]),
        (
            "another variant does not stand in",
            &["GET | Foo: 1 => 200 | Cache-Control: max-age=60 | Vary: Foo => 200", "GET | Foo: 2 => close => 502"],
        ),
        (
            "a purged one does",
            &[
                "GET => 200 | Cache-Control: max-age=60 => 200 stored",
                "expire",
                "GET => close => 200 #1 hit detail=origin-failed",
            ],
        ),
        (
            "§5.2.1.4: the client wants what the origin has",
            &[FRESH, "GET | Cache-Control: no-cache => close => 200 #1 hit detail=origin-failed"],
        ),
    ]);
}

#[test]
fn a_stale_response_stands_in_for_errors_where_that_is_said() {
    let scene = Scene::new("");
    // RFC 5861 §4
    for status in ["500", "502", "503", "504"] {
        let lines = [
            "GET => 200 | Cache-Control: max-age=60, stale-if-error=600 | Age: 100 => 200 #1 stored",
            &format!("GET => {status} => 200 #1 hit detail=origin-5xx"),
            &format!("GET | Cache-Control: no-cache => {status} => 200 #1 hit"),
        ];
        scene.check(&[(status, &lines)]);
    }
    scene.check_rows(
        &["GET => 200 | Cache-Control: $1 | Age: 100 | ETag: \"a\" => 200 stored", "GET => 503 => 503 #2 !hit"],
        &[
            ["max-age=60"],
            ["max-age=60, stale-if-error=39"],
            ["max-age=60, stale-if-error=0"],
            ["max-age=60, stale-if-error=x"],
            ["max-age=60, stale-if-error=600, must-revalidate"],
            ["max-age=60, stale-if-error=600, proxy-revalidate"],
            ["max-age=60, stale-if-error=600, no-cache"],
        ],
    );
    // The request may say it as well.
    scene.check_rows(
        &[STALE, "GET | Cache-Control: stale-if-error=$1 => 503 => $2"],
        &[["600", "200 #1 hit detail=origin-5xx"], ["39", "503 #2 !hit"], ["junk", "503 #2 !hit"]],
    );
    scene.check(&[
        (
            "an error of the client's own is passed",
            &["GET => 200 | Cache-Control: max-age=60, stale-if-error=600 | Age: 100 => 200", "GET => 404 => 404 #2"],
        ),
        (
            "the request's does not weigh more than the response's",
            &[
                "GET => 200 | Cache-Control: max-age=60, must-revalidate | Age: 100 | ETag: \"a\" => 200",
                "GET | Cache-Control: stale-if-error=600 => 503 => 503",
            ],
        ),
        (
            "§4.3.3 of RFC 9111: an error while validating leaves what is stored",
            &[STALE, "GET => 503 => 503", "GET => 304 | ETag: \"a\" => 200 #1 | asked If-None-Match: \"a\""],
        ),
        ("§4.3.3: another full answer takes its place", &[STALE, "GET => 404 => 404 #2", "GET => close => 502"]),
        (
            "§4.3.3: also one that is not stored",
            &[STALE, "GET => 200 | Cache-Control: private => 200 #2 detail=private", "GET => close => 502"],
        ),
        (
            "what this client may not have stored says nothing of the others",
            &[STALE, "GET | Cache-Control: no-store => 200 => 200 #2", "GET => close => 200 #1 hit"],
        ),
    ]);
}

#[test]
fn a_stale_response_is_served_while_it_is_validated() {
    let scene = Scene::new("");
    // RFC 5861 §3
    scene.check_rows(
        &[
            "GET => 200 | Cache-Control: $1 | Age: 100 | ETag: \"a\" => 200 stored",
            "GET => 200 | Cache-Control: max-age=60 => 200 #1 hit detail=stale-while-revalidate later | asked If-None-Match: \"a\"",
        ],
        &[["max-age=60, stale-while-revalidate=600"], ["s-maxage=60, stale-while-revalidate=600"], ["stale-while-revalidate=600, max-age=60, stale-if-error=5"]],
    );
    scene.check_rows(
        &[
            "GET => 200 | Cache-Control: $1 | Age: 100 | ETag: \"a\" => 200 stored",
            "GET => 304 | ETag: \"a\" => 200 #1 !hit fwd=stale",
        ],
        &[
            ["max-age=60, stale-while-revalidate=39"],
            ["max-age=60, stale-while-revalidate"],
            ["max-age=60, stale-while-revalidate=x"],
            ["max-age=60, stale-while-revalidate=600, must-revalidate"],
            ["max-age=60, stale-while-revalidate=600, proxy-revalidate"],
            ["max-age=60, stale-while-revalidate=600, no-cache"],
        ],
    );
    const WINDOW: &str = "GET => 200 | Cache-Control: max-age=60, stale-while-revalidate=600 | Age: 100 => 200 stored";
    scene.check(&[
        ("not for whoever wants it newer", &[WINDOW, "GET | Cache-Control: no-cache => 200 => 200 #2 !hit"]),
        ("not for whoever wants it younger", &[WINDOW, "GET | Cache-Control: max-age=99 => 200 => 200 #2 !hit"]),
        ("HEAD too", &[WINDOW, "HEAD => 200 | Cache-Control: max-age=60 => 200 hit later | asked !If-None-Match"]),
    ]);
}

#[test]
fn requests_are_told_apart_by_what_vary_names() {
    let scene = Scene::new("");
    // RFC 9111 §4.1
    let lines =
        ["GET | $1 => 200 | Cache-Control: max-age=60 | Vary: $2 => 200 #1 stored", "GET | $3 => => 200 #1 hit"];
    scene.check_rows(
        &lines,
        &[
            ["X: 0", "Foo", "X: 1"],
            ["Foo: 1", "Foo", "fOO: 1"],
            ["Foo: 1", "foo, Foo", "Foo: 1 | Bar: 2"],
            ["Foo: 1 | Bar: 2", "Foo | Vary: Bar", "Bar: 2 | Foo: 1"],
            ["Foo: 1, 2", "Foo", "Foo: 1 | Foo: 2"],
            ["Foo:", "Foo", "Foo: "],
            ["Accept-Encoding: gzip, br", "Accept-Encoding", "Accept-Encoding: br,GZIP"],
            ["Accept-Encoding: gzip;q=0.5, br", "Accept-Encoding", "Accept-Encoding: br , gzip ; q=0.5"],
            ["Accept-Language: en, de", "Accept-Language", "Accept-Language: de | Accept-Language: EN"],
            ["Accept: a/b, c/d;q=0.1", "Accept", "Accept: a/b,c/d ;q=0.1"],
            ["Cookie: a=b", "Cookie", "Cookie: a=b"],
            ["User-Agent: A", "User-Agent, , Foo", "User-Agent: A"],
        ],
    );
    let lines = [
        "GET | $1 => 200 | Cache-Control: max-age=60 | Vary: $2 => 200 #1",
        "GET | $3 => 200 | Cache-Control: max-age=60 | Vary: $2 => 200 #2 !hit",
    ];
    scene.check_rows(
        &lines,
        &[
            ["Foo: 1", "Foo", "Foo: 2"],
            ["Foo: 1", "FOO", "Bar: 1"],
            ["X: 0", "Foo", "Foo:"],
            ["Foo: a", "Foo", "Foo: A"],
            ["Foo: 1 | Foo: 2", "Foo", "Foo: 2 | Foo: 1"],
            ["Foo: 1 | Bar: 2", "Foo, Bar", "Foo: 1 | Bar: 3"],
            ["Foo: 1 | Bar: 2", "Foo | Vary: Bar", "Foo: 1"],
            ["Accept-Encoding: gzip;q=0.5, br", "Accept-Encoding", "Accept-Encoding: gzip, br;q=0.5"],
            ["Cookie: a=b", "Cookie", "Cookie: a=c"],
            ["User-Agent: A", "User-Agent", "User-Agent: B"],
            ["Foo: 1", "*", "Foo: 1"],
            ["Foo: 1", "Foo, *", "Foo: 1"],
            ["Foo: 1", "\"Foo\"", "Foo: 1"],
        ],
    );
    let first = "GET | Foo: 1 => 200 | Cache-Control: max-age=60 | Vary: Foo => 200";
    scene.check(&[
        (
            "variants stand beside each other",
            &[
                first,
                "GET | Foo: 2 => 200 | Cache-Control: max-age=60 | Vary: Foo => 200 #2 fwd=vary-miss",
                "GET | Foo: 1 => => 200 #1 hit",
                "GET | Foo: 2 => => 200 #2 hit",
            ],
        ),
        (
            "the newest that fits answers",
            &[first, "GET | Foo: 2 => 200 | Cache-Control: max-age=60 => 200 #2", "GET | Foo: 1 => => 200 #2 hit"],
        ),
        (
            "without a Vary it is for all",
            &["GET | Foo: 1 => 200 | Cache-Control: max-age=60 => 200", "GET | Foo: 2 => => 200 #1 hit"],
        ),
        (
            "a list of one that says it all",
            &[
                first,
                "GET => 200 | Cache-Control: max-age=60 | Vary: Foo => 200 #2 fwd=vary-miss",
                "GET => => 200 #2 hit",
            ],
        ),
    ]);
}
