use super::*;
use proptest::prelude::*;

const LIMITS: HeadLimits = HeadLimits { line: 16 << 10, head: 32 << 10, fields: 100 };

/// What a test looks at; an owned copy, so that the buffers can go.
type Told = Result<Option<String>, RequestError>;

fn told(answer: Result<Parsed<RequestHead<'_, '_>>, RequestError>) -> Told {
    answer.map(|parsed| match parsed {
        Parsed::Partial => None,
        Parsed::Whole(head) => Some(format!("{head:?}")),
    })
}

fn parse(input: &[u8], limits: &HeadLimits) -> Told {
    told(RequestHead::parse(input, limits, &mut HeadScan::default(), &mut Slots::new()))
}

/// Feeds one byte more at a time until there is an answer.
fn drip(input: &[u8], limits: &HeadLimits) -> Told {
    let mut scan = HeadScan::default();
    for end in 0..input.len() {
        let answer = told(RequestHead::parse(&input[..end], limits, &mut scan, &mut Slots::new()));
        if answer != Ok(None) {
            return answer;
        }
    }
    told(RequestHead::parse(input, limits, &mut scan, &mut Slots::new()))
}

#[track_caller]
fn with_head(input: &str, check: impl FnOnce(&RequestHead<'_, '_>)) {
    let (mut scan, mut slots) = (HeadScan::default(), Slots::new());
    match RequestHead::parse(input.as_bytes(), &LIMITS, &mut scan, &mut slots) {
        Ok(Parsed::Whole(head)) => check(&head),
        other => panic!("{input:?}: {other:?}"),
    }
    assert_eq!(drip(input.as_bytes(), &LIMITS), parse(input.as_bytes(), &LIMITS), "{input:?}");
}

#[track_caller]
fn check_refused(input: &str, status: u16) {
    for (way, answer) in
        [("whole", parse(input.as_bytes(), &LIMITS)), ("byte by byte", drip(input.as_bytes(), &LIMITS))]
    {
        assert_eq!(answer.map_err(|error| error.status), Err(status), "{way}: {input:?}");
    }
}

/// A request of these field lines, each with its CRLF.
fn post(lines: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n")
}

#[test]
fn reads_a_head_in_full() {
    let text = "GET /a?b HTTP/1.1\r\nhOsT: A.example:80\r\nX-Empty:\r\n\
        X-Ows: \t v\tw \t\r\nX-Latin: \u{e9}\r\nx-ows: 2\r\n\r\nrest";
    with_head(text, |head| {
        assert_eq!((head.method, &*head.target, head.version), ("GET", "/a?b", Version::Http11));
        assert_eq!((head.authority, head.host()), ("A.example:80", "A.example"));
        assert_eq!((head.body, head.keep_alive, head.expects_continue), (BodyLength::None, true, false));
        assert_eq!(&text[head.len..], "rest");
        assert_eq!(head.field("x-OWS"), Some(&b"v\tw"[..]));
        assert_eq!(head.field("x-ow"), None);
        let fields: Vec<_> = head.fields().collect();
        let expected: [(&str, &[u8]); 5] = [
            ("hOsT", b"A.example:80"),
            ("X-Empty", b""),
            ("X-Ows", b"v\tw"),
            ("X-Latin", "\u{e9}".as_bytes()),
            ("x-ows", b"2"),
        ];
        assert_eq!(fields, expected);
    });
}

#[test]
fn one_empty_line_may_stand_before_the_request() {
    with_head("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(head.len, 29));
    for text in ["\r\n\r\nGET / HTTP/1.1\r\n", "\nGET", " \r\n", "\r\rGET"] {
        check_refused(text, 400);
    }
}

#[test]
fn request_lines_are_exactly_three_words() {
    for (line, status) in [
        ("GET /", 400),
        ("GET", 400),
        ("GET / ", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET / HTTP/1.1 HTTP/1.1", 400),
        ("GET / x HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET /\tHTTP/1.1", 400),
        (" GET / HTTP/1.1", 400),
        ("/ HTTP/1.1", 400),
        ("G@T / HTTP/1.1", 400),
        ("\"GET\" / HTTP/1.1", 400),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/1.10", 400),
        ("GET / HTTP/1.1.", 400),
        ("GET / HTTP/01.1", 505),
        ("GET / HTTP/1,1", 505),
        ("GET / http/1.1", 505),
        ("GET / HTTP/4294967297.1", 505),
        ("PRI * HTTP/2.0", 505),
        ("CONNECT a.example:443 HTTP/1.1", 405),
        ("CONNECT /x HTTP/1.1", 405),
        ("GET * HTTP/1.1", 400),
        ("GET x HTTP/1.1", 400),
        ("GET :80/x HTTP/1.1", 400),
        ("GET /\u{e9} HTTP/1.1", 400),
        ("GET /a#b HTTP/1.1", 400),
        ("GET ftp://a.example/ HTTP/1.1", 400),
        ("GET http://a@b/ HTTP/1.1", 400),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1", 501),
    ] {
        // Refused with the line alone, however much of the head is there.
        check_refused(&format!("{line}\r\n"), status);
        check_refused(&format!("{line}\r\nHost: a.example\r\n\r\n"), status);
        check_refused(&format!("{line}\r\nHost : a\n"), status);
    }
}

#[test]
fn any_method_is_a_method() {
    for method in ["get", "PURGE", "M-SEARCH", "!#$%&'*+-.^_`|~", "TRACE", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF"] {
        with_head(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"), |head| assert_eq!(head.method, method));
    }
}

#[test]
fn the_absolute_target_goes_before_host() {
    with_head("GET HTTP://B.example:81/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n", |head| {
        assert_eq!((head.authority, head.host(), &*head.target), ("B.example:81", "B.example", "/x?y"));
    });
    with_head("OPTIONS * HTTP/1.1\r\nHost: [::1]:81\r\n\r\n", |head| {
        assert_eq!((head.authority, head.host(), &*head.target), ("[::1]:81", "[::1]", "*"));
    });
    check_refused("GET http://a.example/ HTTP/1.1\r\n\r\n", 400);
    check_refused("GET http://a.example/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
}

#[test]
fn host_is_demanded_once_and_valid() {
    with_head("GET / HTTP/1.0\r\n\r\n", |head| assert_eq!((head.authority, head.host()), ("", "")));
    for lines in [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhOST: b\r\n",
        "Host: a, b\r\n",
        "Host: a@b\r\n",
        "Host: a/x\r\n",
        "Host: a\t.b\r\n",
        "Host: [::1\r\n",
        "Host: a:99999\r\n",
        "Host: a%00\r\n",
        "Host : a\r\n",
        "Host\t: a\r\n",
        " Host: a\r\n",
    ] {
        check_refused(&format!("GET / HTTP/1.1\r\n{lines}\r\n"), 400);
    }
}

#[test]
fn body_length_comes_from_one_clear_field() {
    for (lines, body) in [
        ("", BodyLength::None),
        ("cOnTeNt-LeNgTh:\t5\t\r\n", BodyLength::Exact(5)),
        ("Content-Length: 0\r\n", BodyLength::Exact(0)),
        ("transfer-ENCODING: \t Chunked \r\n", BodyLength::Chunked),
        ("Transfer_Encoding: chunked\r\n", BodyLength::None),
    ] {
        with_head(&post(lines), |head| assert_eq!(head.body, body, "{lines:?}"));
    }
    for (lines, status) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: \u{a0}5\r\n", 400),
        ("Content-Length : 5\r\n", 400),
        ("Content-Length\u{85}: 5\r\n", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        ("Transfer-Encoding: cow\r\nContent-Length: 5\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: identity, chunked\r\n", 400),
        ("Transfer-Encoding: chunked;a=b\r\n", 400),
        ("Transfer-Encoding: \"chunked\"\r\n", 400),
        ("Transfer-Encoding\t: chunked\r\n", 400),
        ("Transfer-Encoding:\r\n chunked\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: gzip\r\n", 501),
    ] {
        check_refused(&post(lines), status);
    }
    check_refused("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

#[test]
fn expectations_are_100_continue_or_417() {
    for (lines, expects) in [
        ("Expect: 100-continue\r\nContent-Length: 5\r\n", true),
        ("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("Expect: 100-continue\r\nContent-Length: 0\r\n", false),
        ("Expect: 100-continue\r\n", false),
        ("Content-Length: 5\r\n", false),
    ] {
        with_head(&post(lines), |head| assert_eq!(head.expects_continue, expects, "{lines:?}"));
    }
    with_head("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", |head| {
        assert!(!head.expects_continue);
    });
    for value in ["", "x", "y 100-continue", "100-continue, 100-continue", "100-continue;q=1"] {
        check_refused(&post(&format!("Expect: {value}\r\n")), 417);
    }
}

#[test]
fn persistence_is_read_from_version_and_connection() {
    for (text, keep_alive) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", true),
    ] {
        with_head(text, |head| assert_eq!(head.keep_alive, keep_alive, "{text:?}"));
    }
    check_refused(&post(&format!("Connection: {}\r\n", "x,".repeat(65))), 400);
}

#[test]
fn tells_which_fields_are_there() {
    for (name, bit) in [
        ("Accept", Present::ACCEPT),
        ("Accept-Encoding", Present::ACCEPT_ENCODING),
        ("Authorization", Present::AUTHORIZATION),
        ("Cache-Control", Present::CACHE_CONTROL),
        ("CDN-Loop", Present::CDN_LOOP),
        ("Connection", Present::CONNECTION),
        ("Cookie", Present::COOKIE),
        ("If-Match", Present::IF_MATCH),
        ("If-Modified-Since", Present::IF_MODIFIED_SINCE),
        ("If-None-Match", Present::IF_NONE_MATCH),
        ("If-Range", Present::IF_RANGE),
        ("If-Unmodified-Since", Present::IF_UNMODIFIED_SINCE),
        ("Pragma", Present::PRAGMA),
        ("Range", Present::RANGE),
        ("Upgrade", Present::UPGRADE),
    ] {
        with_head(&post(&format!("{name}: x\r\n")), |head| assert_eq!(head.present, bit, "{name}"));
    }
    with_head(&post("Cookies: x\r\nRunge: x\r\n"), |head| assert_eq!(head.present, Present::default()));
    with_head(&post("Cookie: x\r\nRange: x\r\n"), |head| {
        assert!(head.present.has_any(Present::RANGE | Present::PRAGMA) && head.present.has_any(Present::COOKIE));
        assert!(!head.present.has_any(Present::PRAGMA | Present::UPGRADE));
    });
}

#[test]
fn names_are_tokens_byte_for_byte() {
    for byte in (0..=255_u8).filter(|byte| *byte != b':') {
        for name in [vec![byte], vec![b'a', byte, b'b'], [b"abcdefghijklmnopq", &[byte][..], b"rstuvwxyz"].concat()] {
            let text = [b"GET / HTTP/1.1\r\nHost: a\r\n", &name[..], b": x\r\n\r\n"].concat();
            let is_taken = parse(&text, &LIMITS).is_ok();
            assert_eq!(is_taken, crate::http1::framing::is_token(&name), "{name:?}");
        }
    }
    for line in [": x", "no colon", "a b: x", "HTTP/1.1 200 OK"] {
        check_refused(&post(&format!("{line}\r\n")), 400);
    }
}

#[test]
fn keeps_to_the_limits() {
    let fields = |n: usize| post(&"X-H: a\r\n".repeat(n));
    with_head(&fields(99), |head| assert_eq!(head.fields().count(), 100));
    check_refused(&fields(100), 431);
    check_refused(&fields(50_000), 431);
    with_head(&post(&format!("X-Big: {}\r\n", "a".repeat(32_000))), |_| {});
    check_refused(&post(&format!("X-Big: {}\r\n", "a".repeat(33_000))), 431);
    let target = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(n));
    with_head(&target(16_370), |_| {});
    check_refused(&target(16_371), 414);
    check_refused(&"a".repeat(20_000), 414);
    check_refused(&format!("GET /{}", "a".repeat(1 << 20)), 414);
    let limits = HeadLimits { fields: 200, ..LIMITS };
    assert_eq!(parse(fields(128).as_bytes(), &limits).map_err(|error| error.status), Err(431));
}

#[test]
fn pipelined_heads_follow_one_another() {
    let text = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut scan = HeadScan::default();
    let (mut at, mut targets) = (0, Vec::new());
    while at < text.len() {
        let mut slots = Slots::new();
        let Ok(Parsed::Whole(head)) = RequestHead::parse(&text[at..], &LIMITS, &mut scan, &mut slots) else {
            panic!("at {at}");
        };
        targets.push(head.target);
        at += head.len;
    }
    assert_eq!(targets, ["/1", "/2"]);
}

/// Text that is often nearly a head.
fn head_like() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&'static [u8]> = vec![
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"OPTIONS",
        b" ",
        b"*",
        b"/x",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/2",
        b"CONNECT",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"\t",
        b"\0",
        b"\xff",
        b"A: b",
        b"Host: a",
        b":",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Expect: x",
        b"http://a/",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn splitting_gives_the_same_answer(input in head_like(), place in any::<prop::sample::Index>()) {
        let limits = HeadLimits { line: 60, head: 120, fields: 3 };
        let whole = parse(&input, &limits);
        prop_assert_eq!(&drip(&input, &limits), &whole);
        let mut scan = HeadScan::default();
        let at = place.index(input.len() + 1);
        let first = told(RequestHead::parse(&input[..at], &limits, &mut scan, &mut Slots::new()));
        if first == Ok(None) {
            let second = told(RequestHead::parse(&input, &limits, &mut scan, &mut Slots::new()));
            prop_assert_eq!(&second, &whole);
        } else {
            prop_assert_eq!(&first, &whole);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        input in prop::collection::vec(any::<u8>(), 0..200),
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = parse(&input, &LIMITS);
        let _ = parse(&[b"GET / HTTP/1.1\r\nHost: a\r\n", &tail[..], b"\r\n\r\n"].concat(), &LIMITS);
    }
}
