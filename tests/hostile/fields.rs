//! Lines, field names and values (RFC 9112 §2.2, §5), Host, and the fields that are for one hop.

use super::{Row, SMUG, answered, forwarded, forwarded_as, get, last, post, refused};

pub fn rows() -> Vec<Row> {
    let mut rows = line_ends();
    rows.extend(names());
    rows.extend(values());
    rows.extend(hosts());
    rows.extend(served_hosts());
    rows.extend(hop_by_hop());
    rows.extend(connections());
    rows.extend(expectations());
    rows
}

fn line_ends() -> Vec<Row> {
    vec![
        refused("bare LF everywhere", "GET $P HTTP/1.1\nHost: a.test\n\n", 400),
        refused("bare LF behind the request line", "GET $P HTTP/1.1\nHost: a.test\r\n\r\n", 400),
        refused("bare LF behind a field", get("X: y\n"), 400),
        refused("bare LF for the end", "GET $P HTTP/1.1\r\nHost: a.test\r\n\n", 400),
        refused("LF LF hides a request", format!("GET $P HTTP/1.1\r\nHost: a.test\r\nX: y\n\n{SMUG}"), 400),
        refused("bare CR everywhere", "GET $P HTTP/1.1\rHost: a.test\r\r", 400),
        refused("bare CR behind a field", get("X: y\rZ: a\r\n"), 400),
        refused("CR CR LF behind a field", get("X: y\r\r\n"), 400),
        refused("CR CR LF for the end", "GET $P HTTP/1.1\r\nHost: a.test\r\n\r\r\n", 400),
        refused("LF CR", "GET $P HTTP/1.1\n\rHost: a.test\n\r\n\r", 400),
        refused("CR and a letter for the end", "GET $P HTTP/1.1\r\nHost: a.test\r\n\rX", 400),
        refused("a folded value", get("X: y\r\n z\r\n"), 400),
        refused("a value folded by a tab", get("X: y\r\n\tz\r\n"), 400),
        refused("a line of one blank", get("X: y\r\n \r\n"), 400),
        refused("a fold behind the request line", "GET $P HTTP/1.1\r\n Host: a.test\r\n\r\n", 400),
        refused("a fold that hides a field", get("X: y\r\n Transfer-Encoding: chunked\r\n"), 400),
        refused("two empty lines first", "\r\n\r\nGET $P HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        refused("a line of a blank first", "\r\n \r\nGET $P HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        refused("a blank behind an empty line", "\r\n GET $P HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        refused("a bare CR first", "\rGET $P HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        refused("NUL first", "\0GET $P HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        refused("a byte order mark first", "\u{feff}GET $P HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        refused("NUL between the lines", "GET $P HTTP/1.1\r\n\0\r\nHost: a.test\r\n\r\n", 400),
        refused("NUL for the end", "GET $P HTTP/1.1\r\nHost: a.test\r\n\0\r\n", 400),
        refused("a next line (0x85) for a line end", b"GET $P HTTP/1.1\r\nHost: a.test\r\nX: y\x85Z\r\n \r\n", 400),
        refused("an empty LF line first", "\nGET $P HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        forwarded("one empty line first", "\r\nGET $P HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ]
}

fn names() -> Vec<Row> {
    let wrong: [&[u8]; 22] = [
        b"", b" ", b"X ", b"X\t", b" X", b"X Y", b"X\0", b"X\x7f", b"X\x01", b"X\x85", b"X\xff", b"X\"", b"X(", b"X,",
        b"X/", b"X;", b"X<", b"X=", b"X@", b"X[", b"X{", b"X\\",
    ];
    let one = |name: &&[u8]| {
        refused(format!("name {:?}", String::from_utf8_lossy(name)), get([*name, b": y\r\n"].concat()), 400)
    };
    let mut rows: Vec<Row> = wrong.iter().map(one).collect();
    rows.extend([
        refused("no colon", get("Xy\r\n"), 400),
        refused("only a colon", get(":\r\n"), 400),
        refused("a request line among the fields", get("GET /smug HTTP/1.1\r\n"), 400),
        refused("a first line without colon", "GET $P HTTP/1.1\r\nXy\r\nHost: a.test\r\n\r\n", 400),
        forwarded("a name of every token byte", get("!#$%&'*+-.^_`|~09azAZ: y\r\n")),
        forwarded("a name of one byte", get("X: y\r\n")),
    ]);
    rows
}

fn values() -> Vec<Row> {
    let mut rows: Vec<Row> = [0, 1, 7, 8, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f]
        .map(|byte: u8| {
            refused(format!("byte {byte:#x} in a value"), get([b"X: a", &[byte][..], b"b\r\n"].concat()), 400)
        })
        .into();
    rows.extend([
        forwarded("an empty value", get("X:\r\n")),
        forwarded("a value of blanks", get("X: \t \r\n")),
        forwarded("no blank behind the colon", get("X:y\r\n")),
        forwarded("a tab in a value", get("X: a\tb\r\n")),
        forwarded("bytes beyond ASCII in a value", get(b"X: \xe9\xff\x80\r\n")),
        forwarded("a value of colons", get("X:: :\r\n")),
        forwarded("a value that looks encoded", get("X: a%0d%0aY: b\r\n")),
    ]);
    rows
}

fn hosts() -> Vec<Row> {
    let host = |lines: &str| format!("GET $P HTTP/1.1\r\n{lines}\r\n");
    let mut rows: Vec<Row> = WRONG_HOSTS
        .iter()
        .map(|value| refused(format!("Host {value:?}"), host(&format!("Host: {value}\r\n")), 400))
        .collect();
    rows.extend([
        refused("no Host", host(""), 400),
        refused("two Hosts", host("Host: a.test\r\nHost: b.test\r\n"), 400),
        refused("two Hosts alike", host("Host: a.test\r\nHost: a.test\r\n"), 400),
        refused("two Hosts, one empty", host("Host: a.test\r\nHost:\r\n"), 400),
        refused("a folded Host", host("Host:\r\n a.test\r\n"), 400),
        refused("a blank before Host's colon", host("Host : a.test\r\n"), 400),
        refused("a Host beyond ASCII", b"GET $P HTTP/1.1\r\nHost: \xe4.test\r\n\r\n", 400),
        refused("a Host with a bare LF", host("Host: a.test\nX: y\r\n"), 400),
        refused("a Host of 300 bytes", host(&format!("Host: {}\r\n", "a".repeat(300))), 400),
        refused("a Host with two dots at its end", host("Host: a.test..\r\n"), 400),
        refused("two Hosts in HTTP/1.0", "GET $P HTTP/1.0\r\nHost: a.test\r\nHost: a.test\r\n\r\n", 400),
        refused("an empty Host in HTTP/1.0", "GET $P HTTP/1.0\r\nHost:\r\n\r\n", 400),
        refused(
            "two Hosts far apart",
            host(&format!("Host: a.test\r\n{}hOST: a.test\r\n", "X: y\r\n".repeat(90))),
            400,
        ),
    ]);
    rows
}

fn served_hosts() -> Vec<Row> {
    let host = |lines: &str| format!("GET $P HTTP/1.1\r\n{lines}\r\n");
    vec![
        answered("a Host that is not served", host("Host: b.test\r\n"), 421),
        answered("a Host that ends like ours", host("Host: xa.test\r\n"), 421),
        answered("a Host below ours", host("Host: x.a.test\r\n"), 421),
        answered("an address for Host", host("Host: 127.0.0.1\r\n"), 421),
        answered("an IPv6 address for Host", host("Host: [::1]:80\r\n"), 421),
        answered("an IPv6 address in full for Host", host("Host: [0:0:0:0:0:0:0:1]\r\n"), 421),
        answered("an IPv4 address within an IPv6 one for Host", host("Host: [::ffff:127.0.0.1]:80\r\n"), 421),
        answered("a short address for Host", host("Host: 127.1\r\n"), 421),
        answered("an address of one number for Host", host("Host: 2130706433\r\n"), 421),
        answered("an address in hexadecimal for Host", host("Host: 0x7f000001\r\n"), 421),
        answered("localhost for Host", host("Host: localhost\r\n"), 421),
        answered("a Host that begins like ours", host("Host: a.test.b.test\r\n"), 421),
        answered("a Host that nearly is ours", host("Host: a-test\r\n"), 421),
        answered("a Host with a dash before ours", host("Host: -a.test\r\n"), 421),
        answered("a Host of 127 labels", host(&format!("Host: {}\r\n", "a.".repeat(127))), 421),
        forwarded("a Host behind 90 fields", host(&format!("{}Host: a.test\r\n", "X: y\r\n".repeat(90)))),
        forwarded("a Host with port 0", host("Host: a.test:0\r\n")),
        forwarded("a Host with the last port", host("Host: a.test:65535\r\n")),
        forwarded("a Host with a port of five digits", host("Host: a.test:00080\r\n")),
        forwarded(
            "another site's name in other fields",
            host("Host: a.test\r\nX-Forwarded-Host: b.test\r\nX-Host: b.test\r\n"),
        ),
        forwarded("a Host with a port", host("Host: a.test:81\r\n")),
        forwarded("a Host with an empty port", host("Host: a.test:\r\n")),
        forwarded("a Host in capitals", host("HOST: A.TEST\r\n")),
        forwarded("a Host with a dot at its end", host("Host: a.test.\r\n")),
        forwarded("a Host with a dot at its end and a port", host("Host: a.test.:80\r\n")),
    ]
}

fn hop_by_hop() -> Vec<Row> {
    let listed = [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Cookie",
        "Authorization",
        "Cache-Control",
        "X-Forwarded-For",
        "Connection",
        "Via",
        "CDN-Loop",
        "X-One",
        "TE",
        "keep-alive, Host",
        ",,,",
        "\"x\"",
        "a b",
        "Keep-Alive",
    ];
    let one = |value: &&str| {
        let lines =
            format!("Connection: {value}\r\nX-One: y\r\nCookie: a=b\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\n");
        forwarded(format!("Connection: {value}"), get(lines))
    };
    let mut rows: Vec<Row> = listed.iter().map(one).collect();
    rows.extend([
        forwarded("Upgrade to websocket", get("Connection: Upgrade\r\nUpgrade: websocket\r\n")),
        forwarded(
            "Upgrade to h2c",
            get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"),
        ),
        forwarded("Upgrade without Connection", get("Upgrade: h2c\r\n")),
        forwarded(
            "Proxy fields",
            get("Proxy-Connection: close\r\nProxy-Authorization: Basic x\r\nProxy: http://b.test\r\n"),
        ),
        refused("65 connection options", get(format!("Connection: {}\r\n", "a,".repeat(65))), 400),
        refused("65 connection options on as many lines", get("Connection: a\r\n".repeat(65)), 400),
    ]);
    rows
}

/// What says whether the connection goes on, and what only looks like it.
fn connections() -> Vec<Row> {
    vec![
        forwarded("a connection option in quotes", get("Connection: \"close\"\r\n")),
        forwarded("connection options without a comma", get("Connection: close close\r\n")),
        forwarded("a connection option that begins like another", get("Connection: closed, clos\r\n")),
        forwarded(
            "Proxy-Connection and Keep-Alive do not close",
            get("Proxy-Connection: close\r\nKeep-Alive: timeout=0, max=0\r\n"),
        ),
        forwarded("TE of many kinds", get("TE: trailers, deflate;q=0.5, chunked\r\nTE: , \r\n")),
        forwarded("Trailer of a framing field", get("Trailer: Content-Length, Host\r\n")),
        forwarded("Upgrade to several", get("Connection: upgrade\r\nUpgrade: h2c, websocket, TLS/1.2\r\n")),
        forwarded("Upgrade twice", get("Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n")),
        forwarded(
            "a handshake of websocket",
            get(
                "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Version: 777\r\n",
            ),
        ),
        last("Upgrade in HTTP/1.0", "GET $P HTTP/1.0\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
        last("Connection: close between commas", get("Connection: ,\t,close ,\r\n")),
        last("Connection: close in front", get("Connection: close, keep-alive\r\n")),
        last(
            "Connection: close in HTTP/1.0",
            "GET $P HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive, close\r\n\r\n",
        ),
        refused("a control byte in Connection", get("Connection: \x01close\r\n"), 400),
        last("Connection: close", get("Connection: close\r\n")),
        last("Connection: close in a list", get("Connection: keep-alive, CLOSE\r\n")),
        last("Connection: close on a line of its own", get("Connection: keep-alive\r\nConnection: close\r\n")),
    ]
}

fn expectations() -> Vec<Row> {
    let with = |expect: &str| post(format!("Expect: {expect}\r\nContent-Length: 5\r\n"), "hello");
    vec![
        refused("an unknown expectation", with("200-ok"), 417),
        refused("an empty expectation", with(""), 417),
        refused("two expectations", with("100-continue, 100-continue"), 417),
        refused("an expectation in quotes", with("\"100-continue\""), 417),
        refused("an expectation with a word behind it", with("100-continue x"), 417),
        refused("two lines of them, one unknown", with("100-continue\r\nExpect: x"), 417),
        refused("two lines of them, one empty", with("100-continue\r\nExpect:"), 417),
        refused("an expectation with a parameter", with("100-continue;q=1"), 417),
        refused("an expectation with a comma", with("100-continue,"), 417),
        refused("the beginning of an expectation", with("100"), 417),
        refused("an expectation with a value", with("100-continue=1"), 417),
        refused("an expectation behind a word", with("y 100-continue"), 417),
        refused("an expectation of a GET", get("Expect: x\r\n"), 417),
        refused(
            "an expectation of a body in chunks",
            post("Expect: x\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            417,
        ),
        refused("an expectation of a length that is none", with("100-continue\r\nContent-Length: 5"), 400),
        forwarded_as("100-continue twice", with("100-continue\r\nexpect: 100-CONTINUE"), "POST", "$P", "hello"),
        forwarded_as(
            "100-continue of a body in chunks",
            post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            "POST",
            "$P",
            "hello",
        ),
        forwarded_as(
            "100-continue of no bytes",
            post("Expect: 100-continue\r\nContent-Length: 0\r\n", ""),
            "POST",
            "$P",
            "",
        ),
        forwarded_as(
            "100-continue that Connection lists",
            with("100-continue\r\nConnection: Expect"),
            "POST",
            "$P",
            "hello",
        ),
        forwarded_as("100-continue", with("100-continue"), "POST", "$P", "hello"),
        forwarded_as("100-continue in another case", with("100-Continue"), "POST", "$P", "hello"),
        forwarded("100-continue without a body", get("Expect: 100-continue\r\n")),
    ]
}

const WRONG_HOSTS: [&str; 69] = [
    "",
    " ",
    "\t",
    "a.test a.test",
    "a.test, a.test",
    "a.test,b.test",
    "u@a.test",
    "a.test/",
    "a.test/x",
    "a.test?x",
    "a.test#x",
    "http://a.test",
    "a.test\\b.test",
    "a.test:x",
    "a.test:80:80",
    "a.test:-1",
    "a.test:65536",
    "a.test:0000080",
    "a..test",
    ".a.test",
    "a%2etest",
    "a.test%00",
    "*",
    "[::1",
    "::1",
    "[]",
    "[a.test]",
    "a_\"",
    "a.test;b",
    "'a.test'",
    "\"a.test\"",
    "(a.test)",
    "{a.test}",
    "<a.test>",
    "a.test&b",
    "a.test!",
    "a.test~",
    "a.test$",
    "a.test|b",
    "a.test^",
    "a.test`",
    "a.test+",
    "a.test=",
    "a.test\tb.test",
    "%61.test",
    "a.test%20",
    "a.test:80@b.test",
    "a.test: 80",
    "a.test :80",
    "a.test:+80",
    "a.test:0x50",
    "a.test:80,",
    "@a.test",
    ":80",
    ":",
    ".",
    "[::1]]",
    "[[::1]]",
    "[::1]a.test",
    "[::1]:65536",
    "[::1]@a.test",
    "[::1%25lo]",
    "[::1%lo]",
    "[v1.x]",
    "[1:2]",
    "[127.0.0.1]",
    "\u{430}.test",
    "a\u{3002}test",
    "a\u{ad}.test",
];
