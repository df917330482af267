//! Conformance: methods, what makes stored responses invalid, interim responses, an operator's rules, and what Cache-Status
//! says of it all (RFC 9110 §9, RFC 9111 §4.4, RFC 8297, RFC 9875, RFC 9211).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use support::Scene;

const STORED: &str = "GET => 200 | Cache-Control: max-age=600 | ETag: \"a\" => 200 #1 stored";
const NEIGHBOUR: &str = "GET b => 200 | Cache-Control: max-age=600 => 200 stored";

#[test]
fn unsafe_methods_make_their_target_invalid_where_they_succeed() {
    let scene = Scene::new("");
    // RFC 9111 §4.4
    for method in ["POST", "PUT", "DELETE", "PATCH", "MKCOL", "M-SEARCH", "FOO", "get"] {
        let gone = [STORED, &format!("{method} => 200 => 200 #2 fwd=method !stored"), "GET => 200 => 200 #3 !hit"];
        scene.check(&[(method, &gone)]);
        let kept = [
            STORED,
            &format!("{method} => 500 => 500 #2"),
            &format!("{method} => 404 => 404 #3"),
            "GET => => 200 #1 hit",
        ];
        scene.check(&[(method, &kept)]);
    }
    for status in ["201", "204", "301", "303", "307"] {
        scene.check(&[(status, &[STORED, &format!("PUT => {status} => {status}"), "GET => 200 => 200 #3 !hit"])]);
    }
    for method in ["OPTIONS", "PROPFIND", "REPORT", "SEARCH", "QUERY"] {
        scene.check(&[(method, &[STORED, &format!("{method} => 200 => 200 #2 fwd=method"), "GET => => 200 #1 hit"])]);
    }
    scene.check_rows(
        &[NEIGHBOUR, "POST => 200 | $1: $2 => 200", "GET b => 200 => 200 #3 !hit"],
        &[
            ["Location", "b"],
            ["Content-Location", "b"],
            ["Location", "./b"],
            ["Location", "http://a.test:80$pathx/../b"],
            ["location", "//A.TEST$path/../b#c"],
        ],
    );
    scene.check_rows(
        &[NEIGHBOUR, "POST => $3 | $1: $2 => $3", "GET b => => 200 #1 hit"],
        &[
            ["Location", "http://b.test$path/../b", "200"],
            ["Content-Location", "https://a.test$path/../b", "200"],
            ["Location", "http://a.test:81$path/../b", "200"],
            ["Location", "b", "500"],
            ["Link", "<b>", "200"],
        ],
    );
    scene.check(&[
        (
            "all variants go",
            &[
                "GET | Foo: 1 => 200 | Cache-Control: max-age=60 | Vary: Foo => 200",
                "GET | Foo: 2 => 200 | Cache-Control: max-age=60 | Vary: Foo => 200",
                "POST | Foo: 3 => 200 => 200",
                "GET | Foo: 1 => 200 => 200 #4 !hit",
                "GET | Foo: 2 => 200 => 200 #5 !hit",
            ],
        ),
        ("a GET names nothing", &[NEIGHBOUR, "GET => 200 | Location: b => 200", "GET b => => 200 #1 hit"]),
    ]);
}

#[test]
fn what_a_post_brings_is_stored_only_where_it_says_it_is_its_targets() {
    let scene = Scene::new("");
    // RFC 9110 §9.3.3
    scene.check(&[
        (
            "of its target",
            &[
                "POST => 200 | Cache-Control: max-age=60 | Content-Location: $path => 200 stored",
                "GET => => 200 #1 hit",
                "HEAD => => 200 hit",
                "POST => 200 => 200 #2 !hit",
            ],
        ),
        (
            "of its target, by an Expires",
            &["POST => 200 | Expires: {date+60} | Content-Location: a => 200 stored", "GET => => 200 #1 hit"],
        ),
        (
            "without Content-Location",
            &["POST => 200 | Cache-Control: max-age=60 => 200 !stored", "GET => 200 => 200 #2 !hit"],
        ),
        (
            "of another",
            &[
                "POST => 200 | Cache-Control: max-age=60 | Content-Location: b => 200 !stored",
                "GET => 200 => 200 #2",
                "GET b => 200 => 200 #3",
            ],
        ),
        (
            "without explicit freshness",
            &[
                "POST => 200 | Last-Modified: {date-86400} | Content-Location: a => 200 !stored",
                "GET => 200 => 200 #2 !hit",
            ],
        ),
        (
            "a PUT never",
            &[
                "PUT => 200 | Cache-Control: max-age=60 | Content-Location: a => 200 !stored",
                "GET => 200 => 200 #2 !hit",
            ],
        ),
        (
            "an error never",
            &[
                "POST => 404 | Cache-Control: max-age=60 | Content-Location: a => 404 !stored",
                "GET => 200 => 200 #2 !hit",
            ],
        ),
        (
            "not where it is private",
            &[
                "POST => 200 | Cache-Control: private, max-age=60 | Content-Location: a => 200 !stored",
                "GET => 200 => 200 #2 !hit",
            ],
        ),
    ]);
}

#[test]
fn cache_groups_become_invalid_together() {
    let scene = Scene::new("");
    // RFC 9875 §2, §3
    scene.check_rows(
        &[
            "GET b => 200 | Cache-Control: max-age=600 | Cache-Groups: $1 => 200 stored | Cache-Groups: $1",
            "POST => $3 | Cache-Group-Invalidation: $2 => $3 | Cache-Group-Invalidation: $2",
            "GET b => 200 => 200 #3 !hit",
        ],
        &[
            ["\"a\"", "\"a\"", "200"],
            ["\"b\", \"a\"", "\"x\", \"a\"", "200"],
            ["\"a\";x=1", "\"a\";y", "200"],
            ["\"a b,c\"", "\"a b,c\"", "200"],
            ["\"e\"", "\"e\"", "500"],
        ],
    );
    scene.check_rows(
        &[
            "GET b => 200 | Cache-Control: max-age=600 | Cache-Groups: $1 => 200 stored",
            "$3 => 200 | Cache-Group-Invalidation: $2 => 200",
            "GET b => => 200 #1 hit",
        ],
        &[
            ["\"f\"", "\"F\"", "POST"],
            ["\"f\"", "\"ff\"", "POST"],
            ["\"f\"", "f", "POST"],
            ["f", "\"f\"", "POST"],
            ["\"f\"", "\"f\",", "POST"],
            ["\"g\"", "\"g\"", "GET"],
            ["\"g\"", "\"g\"", "OPTIONS"],
        ],
    );
}

#[test]
fn interim_responses_pass_and_are_never_stored() {
    let scene = Scene::new("");
    // RFC 8297, RFC 9110 §15.2
    scene.check(&[
        ("103", &["GET => 200 | interim 103 Link: </a>; rel=preload | Cache-Control: max-age=60 => 200 #1 stored | interim 103 Link: </a>; rel=preload", "GET => => 200 #1 hit | !Link"]),
        ("102", &["GET => 200 | interim 102 X: 1 | Cache-Control: max-age=60 => 200 #1 stored | interim 102 X: 1", "GET => => 200 #1 hit"]),
        ("two", &["GET => 200 | interim 103 Link: </a> | interim 103 Link: </b> => 200 | interim 103 Link: </a> | interim 103 Link: </b>"]),
        ("before a 304", &["GET => 200 | Cache-Control: no-cache | ETag: \"a\" => 200", "GET => 304 | interim 103 Link: </a> | ETag: \"a\" => 200 #1 | interim 103 Link: </a>"]),
    ]);
}

#[test]
fn an_operators_rules_decide_in_order() {
    let scene = Scene::new(
        "[[site.rule]]\nheader = [\"X-Skip\"]\nbypass = true\n[[site.rule]]\npath = [\"/*/short\"]\nttl = \"50s\"\n\
         [[site.rule]]\nextension = [\"css\"]\nttl = \"10m\"\n[site.cache]\nkey_headers = [\"X-Key\"]\nmin_ttl = \"3s\"\n\
         max_ttl = \"1h\"\ndefault_ttl = \"30s\"\n\
         [site.cache.status]\n404 = \"10s\"\n\"5xx\" = \"0s\"\n",
    );
    scene.check(&[
        (
            "a rule gives what the origin does not",
            &["GET short => 200 => 200 stored ttl=50 detail=ttl-rule", "GET short => => 200 #1 hit detail=ttl-rule"],
        ),
        ("the origin wins", &["GET short => 200 | Cache-Control: max-age=60 => 200 ttl=60 !detail=ttl-rule"]),
        ("an extension", &["GET x.css => 200 => 200 stored ttl=600 detail=ttl-rule"]),
        ("a default", &["GET => 200 => 200 stored ttl=30 detail=ttl-default"]),
        ("a maximum", &["GET => 200 | Cache-Control: max-age=86400 => 200 ttl=3600 detail=ttl-max"]),
        ("a minimum", &["GET => 200 | Cache-Control: max-age=1 => 200 ttl=3 detail=ttl-min"]),
        ("a status", &["GET => 404 => 404 ttl=10 detail=ttl-status"]),
        ("a class of statuses", &["GET => 503 => 503 !stored", "GET => 200 => 200 #2"]),
        ("no-store stays no-store", &["GET short => 200 | Cache-Control: no-store => 200 !stored detail=no-store"]),
        ("private stays private", &["GET x.css => 200 | Cache-Control: private => 200 !stored detail=private"]),
        ("a cookie stays a client's", &["GET x.css => 200 | Set-Cookie: a=b => 200 !stored detail=set-cookie"]),
        (
            "a bypass",
            &[
                "GET => 200 | Cache-Control: max-age=60 => 200",
                "GET | X-Skip: 1 => 200 => 200 #2 fwd=bypass detail=bypass-rule",
                "GET => => 200 #1 hit",
            ],
        ),
        (
            "a part of the key",
            &[
                "GET | X-Key: 1 => 200 => 200 stored",
                "GET | X-Key: 2 => 200 => 200 #2 fwd=uri-miss",
                "GET | X-Key: 1 => => 200 #1 hit",
            ],
        ),
    ]);
}

#[test]
fn every_answer_says_why_it_was_forwarded() {
    let scene = Scene::new("");
    // RFC 9211 §2.2, and the closed list of `detail`
    scene.check_rows(
        &["$1 => 200 | $2 => 200 !hit !stored fwd=$3 detail=$4"],
        &[
            ["GET", "Cache-Control: no-store", "uri-miss", "no-store"],
            ["GET", "Cache-Control: private", "uri-miss", "private"],
            ["GET", "Cache-Control: max-age=60 | Set-Cookie: a=b", "uri-miss", "set-cookie"],
            ["GET", "Cache-Control: max-age=60 | Vary: *", "uri-miss", "vary-star"],
            ["GET", "X: 1", "uri-miss", "no-freshness"],
            ["GET", "Cache-Control: no-cache", "uri-miss", "no-cache"],
            ["GET | Cache-Control: no-store", "Cache-Control: max-age=60", "uri-miss", "request-no-store"],
            ["GET | Authorization: x", "Cache-Control: max-age=60", "uri-miss", "authorization"],
            ["GET | Range: bytes=9-8", "Cache-Control: max-age=60", "uri-miss", "range"],
            ["POST", "Cache-Control: max-age=60", "method", "method"],
            ["PURGE", "X: 1", "method", "method"],
            ["HEAD", "~ | X: 1", "uri-miss", "method"],
        ],
    );
    scene.check(&[
        (
            "stale",
            &[
                "GET => 200 | Cache-Control: max-age=60 | Age: 100 | ETag: \"a\" => 200",
                "GET => 304 | ETag: \"a\" => 200 fwd=stale fwd-status=304 detail=expired",
            ],
        ),
        (
            "no-cache",
            &[
                "GET => 200 | Cache-Control: no-cache | ETag: \"a\" => 200",
                "GET => 304 | ETag: \"a\" => 200 fwd=stale detail=no-cache",
            ],
        ),
        (
            "only-if-cached",
            &["GET | Cache-Control: only-if-cached => => 504 | Cache-Status: millpond; detail=only-if-cached"],
        ),
        ("a failure", &["GET => close => 502 fwd=uri-miss detail=failed"]),
        (
            "a hit says how long it stays",
            &[
                "GET => 200 | Cache-Control: max-age=600 | Age: 100 => 200 ttl=500",
                "GET => => 200 hit ttl=500 !detail=expired",
            ],
        ),
    ]);
}
