//! Conformance: what is stored, for how long it is fresh, and how its fields are read (RFC 9111 §3, §4.2, §5; RFC 9213).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::Scene;

/// The second request is answered from the store.
const KEPT: &[&str] = &["GET => 200 | $1 => 200 #1 !hit", "GET => => 200 #1 hit | Age: *"];
/// The second request goes to the origin.
const NOT_KEPT: &[&str] = &["GET => 200 | $1 => 200 #1 !hit", "GET => 200 => 200 #2 !hit"];

#[test]
fn directives_and_dates_that_give_a_lifetime() {
    Scene::new("").check_rows(
        KEPT,
        &[
            // RFC 9111 §5.2: names without case, arguments as token or quoted string.
            ["Cache-Control: max-age=60"],
            ["cache-control: MAX-Age=60"],
            ["Cache-Control: max-age=\"60\""],
            ["Cache-Control: max-age=0060"],
            ["Cache-Control: max-age=2147483648"],
            ["Cache-Control: max-age=99999999999999999999"],
            ["Cache-Control: s-maxage=60"],
            ["Cache-Control: s-maxage=60, max-age=0"],
            ["Cache-Control: max-age=0, s-maxage=60"],
            ["Cache-Control: public, max-age=60"],
            ["Cache-Control: must-revalidate, max-age=60"],
            ["Cache-Control: proxy-revalidate, max-age=60"],
            ["Cache-Control: immutable, max-age=60"],
            // Extensions and junk between directives.
            ["Cache-Control: foo, max-age=60"],
            ["Cache-Control: foo=bar, max-age=60, baz=\"q\""],
            ["Cache-Control: foo=\"no-store, private\", max-age=60"],
            ["Cache-Control: foo=\"a\\\", no-store\", max-age=60"],
            ["Cache-Control: , ,max-age=60,, "],
            ["Cache-Control:\tmax-age=60\t,foo"],
            ["Cache-Control: max-age=60,no-store2,x-private"],
            ["Cache-Control: no-storeno-store, max-age=60"],
            ["Cache-Control: foo | Cache-Control: max-age=60"],
            // §5.2.1.4, §5.4: directives of requests, and Pragma beside Cache-Control, say nothing in a response.
            ["Cache-Control: max-age=60, only-if-cached, min-fresh=5"],
            ["Cache-Control: max-age=60 | Pragma: no-cache"],
            // §5.3: Expires less Date, in all three forms of a date; Cache-Control comes first.
            ["Expires: {date+600}"],
            ["Expires: {date+600} | Date: {date+0}"],
            ["Expires: {rfc850+600} | Date: {rfc850+0}"],
            ["Expires: {asctime+600} | Date: {asctime+0}"],
            ["Cache-Control: max-age=60 | Expires: {date-600}"],
            ["Cache-Control: max-age=60 | Expires: 0"],
            ["Cache-Control: foo | Expires: {date+600}"],
            // §5.2.2.3: must-understand sets no-store aside where the status is understood.
            ["Cache-Control: no-store, must-understand, max-age=60"],
            ["Cache-Control: must-understand, max-age=60"],
        ],
    );
}

#[test]
fn directives_and_dates_that_give_none() {
    Scene::new("").check_rows(
        NOT_KEPT,
        &[
            ["X-None: 1"],
            ["Cache-Control: no-store, max-age=60"],
            ["Cache-Control: No-Store, max-age=60"],
            ["Cache-Control: max-age=60 | Cache-Control: no-store"],
            ["Cache-Control: private, max-age=60"],
            ["Cache-Control: PRIVATE, s-maxage=60"],
            ["Cache-Control: max-age=60, private=\"x"],
            ["Cache-Control: no-cache, max-age=60"],
            ["Cache-Control: public; no-store, max-age=60"],
            ["Cache-Control: no-store=\"x\", max-age=60"],
            ["Cache-Control: public"],
            ["Cache-Control: max-age=0"],
            ["Cache-Control: max-age=60, max-age=0"],
            ["Cache-Control: max-age=0, max-age=60"],
            ["Cache-Control: max-age=60 | Cache-Control: max-age=0"],
            ["Cache-Control: s-maxage=0, max-age=60"],
            // §4.2.1: what is not a number of seconds is stale.
            ["Cache-Control: max-age=-60"],
            ["Cache-Control: max-age=60.0"],
            ["Cache-Control: max-age=60s"],
            ["Cache-Control: max-age='60'"],
            ["Cache-Control: max-age= 60"],
            ["Cache-Control: max-age =60"],
            ["Cache-Control: max-age"],
            ["Cache-Control: max-age="],
            ["Cache-Control: max-age=\"-60\""],
            ["Cache-Control: max-age:60"],
            ["Cache-Control: maxage=60"],
            ["Cache-Control: s-maxage=a, max-age=60"],
            ["Pragma: no-cache | Expires: {date+600}"],
            // §5.3
            ["Expires: {date-60}"],
            ["Expires: {date+0} | Date: {date+0}"],
            ["Expires: 0"],
            ["Expires: -1"],
            ["Expires: soon"],
            ["Expires: Thu, 18 Aug 2050 02:01:18 UTC"],
            ["Expires: Thu, 18 AUG 2050 02:01:18 GMT"],
            ["Expires: Thu, 18 Aug 2050 2:01:18 GMT"],
            ["Expires: Thu, 31 Feb 2050 02:01:18 GMT"],
            ["Expires: {date+600} | Expires: {date+900}"],
            ["Expires: {date+600}, {date+900}"],
            ["Expires: {date+60} | Age: 100"],
            ["Cache-Control: max-age=60 | Vary: *"],
            ["Cache-Control: max-age=60 | Vary: Accept, *"],
            ["Cache-Control: max-age=60 | Vary: Accept | Vary: *"],
            ["Cache-Control: max-age=60 | Set-Cookie: a=b"],
            ["Cache-Control: public, max-age=60 | Set-Cookie: a=b"],
        ],
    );
}

#[test]
fn age_is_what_others_and_the_clock_say() {
    let scene = Scene::new("");
    // RFC 9111 §5.1: of a list the first member counts, what is no number is ignored.
    scene.check_rows(
        KEPT,
        &[
            ["Cache-Control: max-age=3600 | Age: abc"],
            ["Cache-Control: max-age=3600 | Age: -7200"],
            ["Cache-Control: max-age=3600 | Age: 7200.0"],
            ["Cache-Control: max-age=3600 | Age: 0, 7200"],
            ["Cache-Control: max-age=3600 | Age: 0 | Age: 7200"],
            ["Cache-Control: max-age=3600 | Age: 0, 0"],
            ["Cache-Control: max-age=10000 | Age: 3600 | Age: 3600"],
            ["Cache-Control: max-age=3600 | Age: 7200;a=b"],
            ["Cache-Control: max-age=3600 | Age:"],
            ["Cache-Control: max-age=3600 | Date: {date+3600}"],
            ["Cache-Control: max-age=3600 | Date: soon"],
        ],
    );
    // §4.2.3
    scene.check_rows(
        NOT_KEPT,
        &[
            ["Cache-Control: max-age=3600 | Age: 3600"],
            ["Cache-Control: max-age=3600 | Age: 7200, 0"],
            ["Cache-Control: max-age=3600 | Age: 7200 | Age: 0"],
            ["Cache-Control: max-age=3600 | Age: 2147483648"],
            ["Cache-Control: max-age=3600 | Age: 99999999999999999999"],
            ["Cache-Control: max-age=3600 | Date: {date-7200}"],
            ["Cache-Control: max-age=3600 | Date: {rfc850-7200}"],
            ["Cache-Control: max-age=3600 | Date: {asctime-7200} | Age: 5"],
            ["Cache-Control: s-maxage=10 | Age: 20"],
            ["Cache-Control: max-age=1 | Age: 1"],
        ],
    );
    scene.check(&[
        ("§5.1: the age goes on", &["GET => 200 | Cache-Control: max-age=600 | Age: 300 => 200 | Age: 300", "GET => => 200 hit ttl=300 | Age: 300"]),
        ("§4.2.3: the larger counts", &["GET => 200 | Cache-Control: max-age=600 | Age: 300 | Date: {date-500} => 200 | Age: *", "GET => => 200 hit !ttl=300"]),
        ("§6.6.1 of RFC 9110: a Date is made", &["GET => 200 | Cache-Control: max-age=60 => 200 | Date: *", "GET => => 200 hit | Date: *"]),
        ("the Date stays the origin's", &["GET => 200 | Cache-Control: max-age=60 | Date: Thu, 01 Jan 1970 00:00:00 GMT | ETag: \"a\" => 200 | Date: Thu, 01 Jan 1970 00:00:00 GMT"]),
    ]);
}

#[test]
fn statuses_with_explicit_freshness() {
    let scene = Scene::new("");
    let rows = [
        "200", "201", "202", "203", "205", "207", "226", "299", "300", "301", "302", "303", "305", "307", "308", "399",
        "400", "401", "402", "403", "404", "405", "410", "414", "418", "429", "451", "499", "500", "501", "502", "503",
        "504", "599",
    ];
    for status in rows {
        scene.check(&[(
            status,
            &[
                &format!("GET => {status} | Cache-Control: max-age=60 => {status} #1 stored"),
                &format!("GET => => {status} #1 hit"),
            ],
        )]);
        scene.check(&[(
            status,
            &[
                &format!("GET => {status} | Cache-Control: max-age=60 | Age: 90 => {status} #1"),
                &format!("GET => {status} => {status} #2 !hit"),
            ],
        )]);
    }
    scene.check(&[
        ("204", &["GET => 204 | Cache-Control: max-age=60 => 204 stored | !Content-Length", "GET => => 204 hit"]),
        (
            "§5.2.2.3: a status that is not understood",
            &[
                "GET => 599 | Cache-Control: max-age=60, must-understand => 599 detail=must-understand",
                "GET => 599 => 599 #2",
            ],
        ),
        (
            "§5.2.2.3: the same with no-store",
            &[
                "GET => 499 | Cache-Control: max-age=60, no-store, must-understand => 499 !stored",
                "GET => 499 => 499 #2",
            ],
        ),
        (
            "§3.3: a part that nobody asked for",
            &[
                "GET => 206 | Cache-Control: max-age=60 | Content-Range: bytes 0-6/99 => 206 !stored",
                "GET => 200 => 200 #2",
            ],
        ),
        (
            "412 is of its request alone",
            &["GET => 412 | Cache-Control: max-age=60 => 412 detail=status", "GET => 200 => 200 #2"],
        ),
        (
            "416 is of its request alone",
            &["GET => 416 | Cache-Control: max-age=60 => 416 detail=status", "GET => 200 => 200 #2"],
        ),
    ]);
}

#[test]
fn heuristics_are_for_some_statuses_and_without_explicit_freshness_only() {
    let scene = Scene::new("");
    // RFC 9110 §15.1
    for status in ["200", "203", "300", "301", "308", "404", "405", "410", "414", "501"] {
        let first = format!("GET => {status} | Last-Modified: {{date-864000}} | Date: {{date+0}} => {status} #1");
        scene.check(&[(status, &[&first, &format!("GET => => {status} #1 hit")])]);
    }
    for status in [
        "201", "202", "207", "299", "302", "303", "307", "400", "401", "403", "418", "429", "451", "500", "502", "503",
        "599",
    ] {
        let first = format!("GET => {status} | Last-Modified: {{date-864000}} | Date: {{date+0}} => {status} #1");
        scene.check(&[(status, &[&first, &format!("GET => {status} => {status} #2 !hit")])]);
    }
    scene.check(&[
        ("§4.2.2: a tenth", &["GET => 200 | Last-Modified: {date-1000} | Date: {date+0} => 200 stored ttl=100"]),
        (
            "§4.2.2: at most a day",
            &["GET => 200 | Last-Modified: {date-86400000} | Date: {date+0} => 200 stored ttl=86400"],
        ),
        (
            "§4.2.2: public lets it be",
            &["GET => 299 | Cache-Control: public | Last-Modified: {date-864000} => 299 stored", "GET => => 299 hit"],
        ),
        ("a date to come", &["GET => 200 | Last-Modified: {date+8640} => 200 !hit", "GET => 200 => 200 #2 !hit"]),
        (
            "explicit comes first",
            &[
                "GET => 200 | Last-Modified: {date-864000} | Cache-Control: max-age=0 => 200",
                "GET => 200 => 200 #2 !hit",
            ],
        ),
        (
            "an Expires that is none comes first",
            &["GET => 200 | Last-Modified: {date-864000} | Expires: 0 => 200", "GET => 200 => 200 #2 !hit"],
        ),
        (
            "no-cache",
            &[
                "GET => 200 | Last-Modified: {date-864000} | Cache-Control: no-cache => 200",
                "GET => 200 => 200 #2 !hit",
            ],
        ),
        (
            "§5.4: Pragma",
            &["GET => 200 | Last-Modified: {date-864000} | Pragma: no-cache => 200", "GET => 200 => 200 #2 !hit"],
        ),
    ]);
}

#[test]
fn answers_to_authorization_are_shared_where_they_say_so() {
    let scene = Scene::new("");
    let lines = ["GET | Authorization: Basic x => 200 | Cache-Control: $1 => 200 #1 stored", "GET => => 200 #1 hit"];
    // RFC 9111 §3.5
    scene.check_rows(
        &lines,
        &[["public, max-age=60"], ["must-revalidate, max-age=60"], ["s-maxage=60"], ["max-age=60, S-MAXAGE=50"]],
    );
    let lines =
        ["GET | Authorization: Basic x => 200 | Cache-Control: $1 => 200 #1 detail=$2", "GET => 200 => 200 #2 !hit"];
    scene.check_rows(
        &lines,
        &[
            ["max-age=60", "authorization"],
            ["max-age=60, proxy-revalidate", "authorization"],
            ["max-age=60, immutable", "authorization"],
            ["public, no-store, max-age=60", "no-store"],
            ["private, s-maxage=60", "private"],
        ],
    );
    scene.check(&[(
        "a stored one is for all",
        &["GET => 200 | Cache-Control: max-age=60 => 200", "GET | Authorization: Basic x => => 200 #1 hit"],
    )]);
}

#[test]
fn fields_that_are_not_for_the_store() {
    let scene = Scene::new("");
    const FRESH: &str = "Cache-Control: max-age=60";
    // RFC 9111 §3.1, RFC 9110 §7.6.1
    scene.check_rows(
        &[
            "GET => 200 | Cache-Control: max-age=60 | $1 | X-Other: 1 => 200 | !$2",
            "GET => => 200 hit | !$2 | X-Other: 1",
        ],
        &[
            ["Connection: a, B | A: 1 | b: 2", "A"],
            ["Connection: a, B | A: 1 | b: 2", "B"],
            ["Connection: c | Connection: d | D: 1", "D"],
            ["Keep-Alive: timeout=5", "Keep-Alive"],
            ["Proxy-Authenticate: Basic", "Proxy-Authenticate"],
            ["Proxy-Authentication-Info: x", "Proxy-Authentication-Info"],
            ["Proxy-Authorization: x", "Proxy-Authorization"],
            ["Proxy-Connection: keep-alive", "Proxy-Connection"],
            ["TE: trailers", "TE"],
            ["Upgrade: h2c", "Upgrade"],
        ],
    );
    scene.check_rows(
        &["GET => 200 | Cache-Control: max-age=60 | $1: $2 => 200 | $1: $2", "GET => => 200 hit | $1: $2"],
        &[
            ["Test-Header", "a, b"],
            ["Content-Foo", "x"],
            ["Content-Encoding", "x-own"],
            ["Content-Location", "/x"],
            ["Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A=="],
            ["Content-Type", "text/plain;charset=utf-8"],
            ["Clear-Site-Data", "cookies"],
            ["ETag", "\"a\""],
            ["Set-Cookie2", "a=b"],
            ["Strict-Transport-Security", "max-age=1"],
            ["WWW-Authenticate", "Basic"],
            ["Cache-Status", "other; hit, millpond*"],
            ["X-Frame-Options", "deny"],
            ["Link", "</a>; rel=preload"],
        ][..13]
            .iter()
            .filter(|row| row[0] != "Cache-Status")
            .copied()
            .collect::<Vec<_>>(),
    );
    scene.check(&[
        (
            "§5.2.2.4: fields of no-cache",
            &[
                &format!("GET => 200 | {FRESH}, no-cache=\"A, b\" | A: 1 | B: 2 | C: 3 => 200 stored | A: 1"),
                "GET => => 200 hit | !A | !B | C: 3",
            ],
        ),
        (
            "§5.2.2.7: fields of private",
            &[
                &format!(
                    "GET => 200 | {FRESH}, private=\"Set-Cookie\" | Set-Cookie: a=b => 200 stored | Set-Cookie: a=b"
                ),
                "GET => => 200 hit | !Set-Cookie",
            ],
        ),
        (
            "a list that is broken is for all",
            &[&format!("GET => 200 | {FRESH}, private=\"a b\" => 200 detail=private"), "GET => 200 => 200 #2"],
        ),
    ]);
}

#[test]
fn a_targeted_field_takes_the_place_of_cache_control() {
    let scene = Scene::new("");
    // RFC 9213 §2.2
    scene.check_rows(
        KEPT,
        &[
            ["CDN-Cache-Control: max-age=60"],
            ["CDN-Cache-Control: max-age=2147483648"],
            ["CDN-Cache-Control: max-age=99999999999"],
            ["CDN-Cache-Control: foo, max-age=60"],
            ["CDN-Cache-Control: max-age=60;x=1, foo=(a b)"],
            ["CDN-Cache-Control: no-store=?0, max-age=60"],
            ["CDN-Cache-Control: max-age=0, max-age=60"],
            ["CDN-Cache-Control: foo | CDN-Cache-Control: max-age=60"],
            ["CDN-Cache-Control: max-age=60 | Cache-Control: no-store"],
            ["CDN-Cache-Control: max-age=60 | Cache-Control: private, max-age=0"],
            ["CDN-Cache-Control: max-age=60 | Expires: {date-600}"],
            ["CDN-Cache-Control: max-age=60 | Expires: 0"],
            ["CDN-Cache-Control: max-age=60 | Pragma: no-cache"],
            ["CDN-Cache-Control: s-maxage=60, max-age=0"],
            ["Millpond-Cache-Control: max-age=60 | CDN-Cache-Control: no-store"],
            // §2.1: what is invalid or empty falls back.
            ["CDN-Cache-Control: | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: no-store, &&& | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: No-Store | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: max-age=a | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: max-age=0, | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: max-age=1.5 | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: max-age | Cache-Control: max-age=60"],
            ["Millpond-Cache-Control: ! | CDN-Cache-Control: max-age=60 | Cache-Control: no-store"],
        ],
    );
    scene.check_rows(
        NOT_KEPT,
        &[
            ["CDN-Cache-Control: max-age=0"],
            ["CDN-Cache-Control: max-age=-1 | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: max-age=3600 | Age: 7200"],
            ["CDN-Cache-Control: max-age=0 | Expires: {date+600}"],
            ["CDN-Cache-Control: max-age=0 | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: private | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: no-cache | Cache-Control: max-age=60"],
            ["CDN-Cache-Control: no-store | Cache-Control: max-age=60 | Expires: {date+600}"],
            ["CDN-Cache-Control: max-age=60, &&& | Cache-Control: no-store"],
            ["CDN-Cache-Control: max-age=\"60\" | Cache-Control: no-store"],
            ["CDN-Cache-Control: max-age =60 | Cache-Control: no-store"],
            ["CDN-Cache-Control: max-age= 60 | Cache-Control: no-store"],
            ["CDN-Cache-Control: MaX-aGe=60 | Cache-Control: no-store"],
            ["CDN-Cache-Control: foo | Cache-Control: max-age=60"],
            ["Millpond-Cache-Control: no-store | CDN-Cache-Control: max-age=60"],
            ["Surrogate-Control: max-age=60"],
        ],
    );
    scene.check(&[("passed on unchanged", &["GET => 200 | CDN-Cache-Control: max-age=60 | Cache-Control: max-age=1 => 200 | CDN-Cache-Control: max-age=60 | Cache-Control: max-age=1", "GET => => 200 hit | CDN-Cache-Control: max-age=60"])]);
}
