use super::*;
use proptest::prelude::*;

fn parse(input: &[u8]) -> Result<Parsed<(ResponseHead, usize)>, ResponseError> {
    ResponseHead::parse(input, &HeadLimits::ORIGIN, &mut HeadScan::default())
}

#[track_caller]
fn whole(input: &str) -> ResponseHead {
    match parse(input.as_bytes()) {
        Ok(Parsed::Whole((head, _))) => head,
        other => panic!("{input:?}: {other:?}"),
    }
}

/// Feeds one byte more at a time until there is an answer.
fn drip(input: &[u8]) -> Result<Parsed<(ResponseHead, usize)>, ResponseError> {
    let mut scan = HeadScan::default();
    for end in 0..input.len() {
        match ResponseHead::parse(&input[..end], &HeadLimits::ORIGIN, &mut scan) {
            Ok(Parsed::Partial) => {}
            answer => return answer,
        }
    }
    ResponseHead::parse(input, &HeadLimits::ORIGIN, &mut scan)
}

/// What can be compared of an answer.
fn told(answer: Result<Parsed<(ResponseHead, usize)>, ResponseError>) -> Result<Option<String>, ResponseError> {
    answer.map(|parsed| match parsed {
        Parsed::Partial => None,
        Parsed::Whole(whole) => Some(format!("{whole:?}")),
    })
}

#[test]
fn reads_a_head_in_full() {
    let text = "HTTP/1.1 404 Not Found\r\nContent-Type:text/html\r\nX-Empty:\r\nx-b: \t a b \t\r\nX-B: c\r\n\r\nbody";
    let Ok(Parsed::Whole((head, len))) = parse(text.as_bytes()) else { panic!() };
    assert_eq!(&text[len..], "body");
    assert_eq!((head.version, head.status), (Version::Http11, 404));
    let fields: Vec<_> = head.fields().collect();
    let expected: [(&str, &[u8]); 4] =
        [("Content-Type", b"text/html"), ("X-Empty", b""), ("x-b", b"a b"), ("X-B", b"c")];
    assert_eq!(fields, expected);
    assert_eq!(head.field("X-B"), Some(&b"a b"[..]));
    assert_eq!(head.field("content-TYPE"), Some(&b"text/html"[..]));
    assert_eq!(head.field("content"), None);
}

#[test]
fn status_lines_are_three_digits_of_http_1() {
    for (line, status) in [
        ("HTTP/1.1 200 OK", 200),
        ("HTTP/1.0 599 x y", 599),
        ("HTTP/1.1 200 ", 200),
        ("HTTP/1.1 200", 200),
        ("HTTP/1.1 100 Na\u{ef}ve", 100),
    ] {
        assert_eq!(whole(&format!("{line}\r\n\r\n")).status, status, "{line}");
    }
    for line in [
        "asdf qwer",
        "220 mail ESMTP",
        "SSH-2.0-x",
        "ICY 200 OK",
        "HTTP/0.9 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 -200 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 600 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2 200 OK",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1",
        "HTTP/11 200 OK",
        "\u{feff}HTTP/1.1 200 OK",
    ] {
        let text = format!("{line}\r\n");
        assert!(matches!(parse(text.as_bytes()), Err(ResponseError::Malformed(_))), "{line}");
    }
}

#[test]
fn refuses_heads_that_are_not_strictly_lines() {
    for text in [
        " HTTP/1.1 200 OK\r\n",
        "\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1 200 OK\r\nA: b\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c",
        "HTTP/1.1 200 OK\r\n A: b",
        "HTTP/1.1 200 OK\r\nA: b\rc",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\t: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\ngarbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\u{ff}: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA(b): x\r\n\r\n",
    ] {
        assert!(matches!(parse(text.as_bytes()), Err(ResponseError::Malformed(_))), "{text:?}");
    }
}

#[test]
fn names_are_tokens_byte_for_byte() {
    for byte in 0..=255_u8 {
        for name in [vec![byte], vec![b'a', byte, b'b'], [b"abcdefghijklmnopq", &[byte][..], b"rstuvwxyz"].concat()] {
            let text = [b"HTTP/1.1 200 OK\r\n", &name[..], b": x\r\n\r\n"].concat();
            let is_taken = matches!(parse(&text), Ok(Parsed::Whole((head, _))) if head.fields().all(|field| {
                field == (std::str::from_utf8(&name).unwrap(), b"x")
            }));
            // A name with a colon in it ends there, which leaves another value.
            assert_eq!(is_taken, crate::http1::framing::is_token(&name), "{name:?}");
        }
    }
}

#[test]
fn keeps_to_the_limits() {
    let many = |n: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-H: aaaaaaaa\r\n".repeat(n));
    assert_eq!(whole(&many(256)).fields().count(), 256);
    assert_eq!(parse(many(257).as_bytes()).err(), Some(ResponseError::TooManyFields));
    assert_eq!(parse(&[b"HTTP/1.1 200 ", &[b'A'; 8180][..]].concat()).err(), Some(ResponseError::TooLarge));
    let endless = [b"HTTP/1.1 200 OK\r\nX: ", &[b'A'; 65_536][..]].concat();
    assert_eq!(parse(&endless).err(), Some(ResponseError::TooLarge));
}

#[test]
fn body_length_follows_status_method_and_fields() {
    use BodyLength::{Chunked, Exact, None, UntilClose};
    for (head, method, length) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "GET", Ok(Exact(5))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "GET", Ok(Exact(0))),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding:\tCHUNKED \r\n", "GET", Ok(Chunked)),
        ("HTTP/1.1 200 OK\r\n", "GET", Ok(UntilClose)),
        ("HTTP/1.0 200 OK\r\n", "GET", Ok(UntilClose)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "HEAD", Ok(None)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "HEAD", Ok(None)),
        ("HTTP/1.1 204 x\r\nContent-Length: 5\r\n", "GET", Ok(None)),
        ("HTTP/1.1 304 x\r\nContent-Length: 70\r\n", "GET", Ok(None)),
        ("HTTP/1.1 100 x\r\nContent-Length: 5\r\n", "POST", Ok(None)),
        ("HTTP/1.1 205 x\r\n", "GET", Ok(UntilClose)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: cow\r\n", "GET", Err("unknown transfer coding")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: cow\r\nContent-Length: 5\r\n", "GET", Err("unknown transfer coding")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, cow\r\n", "GET", Err("Transfer-Encoding is not one coding")),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "GET",
            Err("Transfer-Encoding is not one coding"),
        ),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", "GET", Err("Transfer-Encoding in HTTP/1.0")),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "GET",
            Err("both Transfer-Encoding and Content-Length"),
        ),
    ] {
        let answer = whole(&format!("{head}\r\n")).body(method).map_err(|error| error.reason());
        assert_eq!(answer, length, "{method} {head:?}");
    }
}

#[test]
fn invalid_lengths_refuse_the_whole_head() {
    for lines in [
        "Content-Length: 5, 9",
        "Content-Length: -5",
        "Content-Length: +5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 18446744073709551621",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\ncontent-length: 9",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
        assert!(matches!(parse(text.as_bytes()), Err(ResponseError::Malformed(_))), "{lines:?}");
    }
}

#[test]
fn persistence_is_read_from_version_and_connection() {
    for (text, keep_alive) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: X, CLOSE\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false),
    ] {
        assert_eq!(whole(text).keep_alive, keep_alive, "{text:?}");
    }
}

#[test]
fn several_heads_follow_one_another_in_one_buffer() {
    let text = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let mut scan = HeadScan::default();
    let Ok(Parsed::Whole((first, len))) = ResponseHead::parse(text, &HeadLimits::ORIGIN, &mut scan) else { panic!() };
    let Ok(Parsed::Whole((second, rest))) = ResponseHead::parse(&text[len..], &HeadLimits::ORIGIN, &mut scan) else {
        panic!()
    };
    assert_eq!((first.status, second.status, len + rest), (103, 200, text.len()));
}

/// Text that is often nearly a head.
fn head_like() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&'static [u8]> = vec![
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200",
        b"HTTP/1.1 999",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b"\0",
        b"\xff",
        b"A: b",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b":",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn dripping_bytes_give_the_same_answer(input in head_like()) {
        prop_assert_eq!(told(drip(&input)), told(parse(&input)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        input in prop::collection::vec(any::<u8>(), 0..200),
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = parse(&input);
        let _ = parse(&[b"HTTP/1.1 200 OK\r\n", &tail[..], b"\r\n\r\n"].concat());
    }
}

#[test]
fn a_line_is_added_or_takes_the_place_of_its_name() {
    let text = b"HTTP/1.1 302 Found\r\nLocation: a\r\nVary: x\r\nContent-Length: 3\r\n\r\n";
    let Ok(Parsed::Whole((head, _))) = ResponseHead::parse(text, &HeadLimits::ORIGIN, &mut HeadScan::default()) else {
        panic!("it is whole");
    };
    let head = head.with_field("location", b"/b", true).with_field("Vary", b"y", false);
    let shown: Vec<_> = head.fields().map(|(name, value)| format!("{name}={}", value.escape_ascii())).collect();
    assert_eq!(shown, ["Vary=x", "Content-Length=3", "location=/b", "Vary=y"]);
    assert_eq!((head.status, head.body("GET")), (302, Ok(BodyLength::Exact(3))));
}
