//! Steps of a hostile or muddled origin, one after the other: what it said once is never given to anybody for more than it
//! was, and what it says later never makes more of it (RFC 9110 §8.8, §15.4.5; RFC 9111 §3, §4.1, §4.2, §4.3).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::Scene;

const KEPT: &[&str] = &["GET => 200 | $1 => 200 #1 !hit", "GET => => 200 #1 hit"];
const NOT_KEPT: &[&str] = &["GET => 200 | $1 => 200 #1 !hit", "GET => 200 => 200 #2 !hit"];

#[test]
fn a_restriction_counts_however_it_is_garbled() {
    Scene::new("").check_rows(
        NOT_KEPT,
        &[
            ["Cache-Control: max-age=60, \u{a0}no-store"],
            ["Cache-Control: max-age=60, no-store\u{a0}"],
            ["Cache-Control: max-age=60\u{ff0c} no-store"],
            ["Cache-Control: max-age=60 no-store"],
            ["Cache-Control: max-age=60\tprivate"],
            ["Cache-Control: max-age=60;private"],
            ["Cache-Control: max-age=60, \"no-store\""],
            ["Cache-Control: max-age=60, (no-store)"],
            ["Cache-Control: max-age=60, Cache-Control: no-store"],
            ["Cache-Control: max-age=60, = private"],
            ["Cache-Control: max-age=60, no-store="],
            ["Cache-Control: max-age=60, private=?0"],
            ["Cache-Control: max-age=60, private=\"\""],
            ["Cache-Control: max-age=60, private=\"a\"b"],
            ["Cache-Control: max-age=60, no-store:true"],
            ["Cache-Control: x=\"unclosed, max-age=60, no-store"],
            ["Cache-Control: max-age=\"60, no-store"],
            ["Cache-Control: max-age=60 | cache-control: | CACHE-CONTROL: NO-STORE"],
            ["Connection: Cache-Control | Cache-Control: no-store, max-age=60"],
            ["Cache-Control: max-age=60 | Connection: Vary | Vary: *"],
            ["Cache-Control: max-age=60 | Connection: Set-Cookie | Set-Cookie: a=b"],
            ["Cache-Control: max-age=60 | SET-COOKIE: a=b"],
            ["Cache-Control: max-age=60, private=\"set-cookie | Set-Cookie: a=b"],
            ["Cache-Control: max-age=60, no-cache=\"set-cookie2\" | Set-Cookie: a=b"],
            ["Cache-Control: s-maxage=60, public, immutable | Set-Cookie:"],
            ["CDN-Cache-Control: max-age=60, private"],
            ["CDN-Cache-Control: max-age=60 | CDN-Cache-Control: no-store"],
            ["CDN-Cache-Control: max-age=60, no-store=1"],
            ["CDN-Cache-Control: max-age=60, | Cache-Control: no-store"],
            ["CDN-Cache-Control: max-age=\"60\" | Cache-Control: private"],
            ["CDN-Cache-Control: Max-Age=60 | Cache-Control: max-age=0"],
            ["CDN-Cache-Control: max-age=-1 | Cache-Control: max-age=60"],
            ["Surrogate-Control: max-age=60 | Cache-Control: no-store"],
            ["X-Accel-Expires: 60"],
            ["Cache-Control: max-age=60 | Vary: **, *"],
            ["Cache-Control: max-age=60 | Vary: Accept;q=1"],
            ["Cache-Control: max-age=60 | Vary: \"*\""],
            ["Cache-Control: max-age=60 | Vary: Accept Encoding"],
            ["Cache-Control: max-age=60 | Vary: Accept, \u{e9}"],
            ["Cache-Control: max-age=60 | Vary: X-Real-IP"],
        ],
    );
}

#[test]
fn a_lifetime_counts_only_where_it_is_certain() {
    let scene = Scene::new("");
    scene.check_rows(
        NOT_KEPT,
        &[
            ["Cache-Control: max-age=60\u{e9}"],
            ["Cache-Control: max-age=6\u{a0}0"],
            ["Cache-Control: max-age=\u{ff16}0"],
            ["Cache-Control: max-age=60=60"],
            ["Cache-Control: max-age=1e9"],
            ["Cache-Control: max-age=+60"],
            ["Cache-Control: max-age=60_000"],
            ["Cache-Control: max-age=\"60\"x"],
            ["Cache-Control: max-age=60, max-age=x"],
            ["Cache-Control: s-maxage=-1, max-age=60"],
            ["Cache-Control: max_age=60"],
            ["Cache-Control: max-age=60 | Date: {date-100}"],
            ["Cache-Control: max-age=60 | Date: Thu, 01 Jan 1970 00:00:00 GMT"],
            ["Cache-Control: max-age=60 | Date: {date-100} | Date: {date+0}"],
            ["Cache-Control: max-age=60 | Age: 61"],
            ["Cache-Control: max-age=60 | Age: 61, 0"],
            ["Cache-Control: max-age=60 | Age: 61 | Age: 0"],
            ["Cache-Control: max-age=60 | Age: 99999999999999999999"],
            ["Cache-Control: max-age=60 | Connection: Age | Age: 61"],
            ["Expires: {date+600} | Date: {date+9999}"],
            ["Expires: {date+600} | Connection: Expires | Expires: 0"],
            ["Expires: {date+600} GMT"],
            ["Expires: \"{date+600}\""],
            ["Last-Modified: {date+600} | Date: {date+0}"],
            ["Last-Modified: {date-86400} | Last-Modified: {date-86400} | Date: {date+0}"],
            ["Last-Modified: yesterday | Date: {date+0}"],
        ],
    );
    scene.check_rows(
        KEPT,
        &[
            ["Cache-Control: max-age=60 | Date: {date+9999}"],
            ["Cache-Control: max-age=60 | Date: soon"],
            ["Cache-Control: max-age=60 | Date:"],
            ["Cache-Control: max-age=60 | Age: -1"],
            ["Cache-Control: max-age=60 | Age: x"],
            ["Cache-Control: max-age=60 | Age: 0x61"],
            ["Cache-Control: max-age=60 | Age:"],
            ["Cache-Control: max-age=60 | Last-Modified: {date+600}"],
            ["Cache-Control: max-age=60 | ETag: *"],
            ["Cache-Control: max-age=60 | ETag: \"a\" | ETag: \"b\""],
            ["Cache-Control: max-age=60 | Content-Range: bytes 0-1/99"],
            ["Cache-Control: max-age=60 | Vary:"],
            ["Cache-Control: max-age=60 | Vary: , ,"],
        ],
    );
}

#[test]
fn what_is_stored_is_confirmed_only_by_what_speaks_of_it() {
    Scene::new("").check(&[
        (
            "a 304 with another tag, and once more",
            &[
                "GET => 200 | Cache-Control: max-age=0 | ETag: \"a\" => 200 #1",
                "GET => 304 | ETag: \"b\" && 200 | Cache-Control: max-age=60 | ETag: \"b\" => 200 #3",
                "GET => => 200 #3 hit",
            ],
        ),
        (
            "a 304 with another date",
            &[
                "GET => 200 | Cache-Control: max-age=0 | Last-Modified: {date-600} => 200 #1",
                "GET => 304 | Last-Modified: {date-60} && 200 => 200 #3",
            ],
        ),
        (
            "a 304 that makes it one client's",
            &[
                "GET => 200 | Cache-Control: max-age=0 | ETag: \"a\" => 200 #1",
                "GET => 304 | Cache-Control: private, max-age=60 => 200 #1",
                "GET => 200 => 200 #3 !hit",
            ],
        ),
        (
            "a 304 with Vary: *",
            &[
                "GET => 200 | Cache-Control: max-age=0 | ETag: \"a\" => 200 #1",
                "GET => 304 | Cache-Control: max-age=60 | Vary: * => 200 #1",
                "GET => 200 => 200 #3 !hit",
            ],
        ),
        (
            "a 304 with a cookie",
            &[
                "GET => 200 | Cache-Control: max-age=0 | ETag: \"a\" => 200 #1",
                "GET => 304 | Cache-Control: max-age=60 | Set-Cookie: evil => 200 #1 | !Set-Cookie",
                "GET => => 200 #1 hit | !Set-Cookie",
            ],
        ),
        (
            "a 304 that would change how the body is read",
            &[
                "GET => 200 | Cache-Control: max-age=0 | ETag: \"a\" => 200 #1",
                "GET => 304 | Cache-Control: max-age=60 | Content-Encoding: gzip | Content-Range: bytes 0-1/2 => 200 #1 | !Content-Encoding | !Content-Range",
                "GET => => 200 #1 hit | !Content-Encoding | !Content-Range",
            ],
        ),
    ]);
}

#[test]
fn what_is_stored_is_left_alone_by_what_does_not_speak_of_it() {
    Scene::new("").check(&[
        (
            "a tag that is a star",
            &[
                "GET => 200 | Cache-Control: max-age=0 | ETag: * | Last-Modified: {date-600} => 200 #1",
                "GET => 200 => 200 #2 | asked !If-None-Match | asked If-Modified-Since: *",
            ],
        ),
        (
            "a 304 that nobody asked for",
            &["GET => 304 | Cache-Control: max-age=60 | ETag: \"a\" => 304 !stored", "GET => 200 => 200 #2 !hit"],
        ),
        (
            "an error of somebody's leaves what is fresh",
            &[
                "GET => 200 | Cache-Control: max-age=60 | ETag: \"a\" => 200 #1",
                "GET | Cache-Control: no-cache => 500 => 500",
                "GET => => 200 #1 hit",
            ],
        ),
        (
            "a HEAD of another length",
            &[
                "GET => 200 | Cache-Control: max-age=60 | ETag: \"a\" => 200 #1",
                "HEAD | Cache-Control: no-cache => 200 | ETag: \"b\" | ~ => 200",
                "GET => 200 => 200 #3 !hit",
            ],
        ),
        (
            "a HEAD with somebody's cookie",
            &[
                "GET => 200 | Cache-Control: max-age=60 | ETag: \"a\" => 200 #1",
                "HEAD | Cache-Control: no-cache => 200 | Cache-Control: max-age=60 | ETag: \"a\" | Set-Cookie: evil | ~ => 200",
                "GET => => 200 #1 hit | !Set-Cookie",
            ],
        ),
    ]);
}

#[test]
fn parts_are_given_only_for_what_they_say_they_are() {
    Scene::new("").check_rows(
        &[
            "GET | Range: bytes=0-6 => 206 | $1 | Cache-Control: max-age=60 => 206 #1 !stored",
            "GET => 200 => 200 #2 !hit",
        ],
        &[
            ["ETag: \"a\""],
            ["ETag: \"a\" | Content-Range: bytes 0-6/*"],
            ["ETag: \"a\" | Content-Range: bytes */7"],
            ["ETag: \"a\" | Content-Range: bytes 6-0/7"],
            ["ETag: \"a\" | Content-Range: bytes 0-6/6"],
            ["ETag: \"a\" | Content-Range: bytes 0-7/9"],
            ["ETag: \"a\" | Content-Range: bytes 0-5/9"],
            ["ETag: \"a\" | Content-Range: items 0-6/9"],
            ["ETag: \"a\" | Content-Range: bytes 0-6/9 | Content-Range: bytes 0-6/9"],
            ["ETag: \"a\" | Content-Range: bytes 0-6/9, bytes 0-6/9"],
            ["ETag: \"a\" | Content-Range: bytes 0-6/18446744073709551617"],
            ["ETag: W/\"a\" | Content-Range: bytes 0-6/9"],
            ["ETag: \"a\" | ETag: \"b\" | Content-Range: bytes 0-6/9"],
            ["ETag: a | Content-Range: bytes 0-6/9"],
            ["ETag: * | Content-Range: bytes 0-6/9"],
            ["ETag: \"a\" | Content-Range: bytes 0-6/9 | Content-Type: multipart/byteranges; boundary=x"],
            ["ETag: \"a\" | Content-Range: bytes 0-6/9 | Set-Cookie: a=b"],
            ["ETag: \"a\" | Content-Range: bytes 0-6/9 | Vary: *"],
            ["ETag: \"a\" | Content-Range: bytes 0-6/9 | Cache-Control: private"],
        ],
    );
}

#[test]
fn one_origins_word_concerns_no_other_host() {
    Scene::new("").check_rows(
        &[
            "GET b => 200 | Cache-Control: max-age=60 => 200 #1",
            "POST | Content-Length: 0 => 200 | $1 => 200",
            "GET b => => 200 #1 hit",
        ],
        &[
            ["Location: http://b.test$path/../b"],
            ["Location: //b.test$path/../b"],
            ["Content-Location: https://a.test$path/../b"],
            ["Content-Location: http://a.test:81$path/../b"],
            ["Location: http://a.test.evil$path/../b"],
            ["Location: http://evil@a.test$path/../b"],
            ["Location: http:$path/../b"],
            ["Location: \\\\a.test$path/../b"],
            ["Location: $path/..\u{2044}b"],
            ["Cache-Group-Invalidation: \"b\""],
        ],
    );
    // The same host it does.
    Scene::new("").check_rows(
        &[
            "GET b => 200 | Cache-Control: max-age=60 => 200 #1",
            "POST | Content-Length: 0 => 200 | $1 => 200",
            "GET b => 200 => 200 #3 !hit",
        ],
        &[["Location: http://A.test:80$path/../b"], ["Content-Location: b#x"], ["Location: //a.test$path/./.././b"]],
    );
}
