//! Lines, field names and values (RFC 9112 §2.2, §5), Host, and the fields that are for one hop.

use super::{Row, SMUG, forwarded, forwarded_as, get, last, post, refused};

pub fn rows() -> Vec<Row> {
    let mut rows = line_ends();
    rows.extend(names());
    rows.extend(values());
    rows.extend(hosts());
    rows.extend(hop_by_hop());
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
    let wrong = [
        "",
        " ",
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
    ];
    let mut rows: Vec<Row> = wrong
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
        super::answered("a Host that is not served", host("Host: b.test\r\n"), 421),
        super::answered("a Host that ends like ours", host("Host: xa.test\r\n"), 421),
        super::answered("a Host below ours", host("Host: x.a.test\r\n"), 421),
        super::answered("an address for Host", host("Host: 127.0.0.1\r\n"), 421),
        super::answered("an IPv6 address for Host", host("Host: [::1]:80\r\n"), 421),
        forwarded("a Host with a port", host("Host: a.test:81\r\n")),
        forwarded("a Host with an empty port", host("Host: a.test:\r\n")),
        forwarded("a Host in capitals", host("HOST: A.TEST\r\n")),
        forwarded("a Host with a dot at its end", host("Host: a.test.\r\n")),
        forwarded("a Host with a dot at its end and a port", host("Host: a.test.:80\r\n")),
        refused("a Host with two dots at its end", host("Host: a.test..\r\n"), 400),
    ]);
    rows
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
        refused("a control byte in Connection", get("Connection: \x01close\r\n"), 400),
        last("Connection: close", get("Connection: close\r\n")),
        last("Connection: close in a list", get("Connection: keep-alive, CLOSE\r\n")),
        last("Connection: close on a line of its own", get("Connection: keep-alive\r\nConnection: close\r\n")),
    ]);
    rows
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
        forwarded_as("100-continue", with("100-continue"), "POST", "$P", "hello"),
        forwarded_as("100-continue in another case", with("100-Continue"), "POST", "$P", "hello"),
        forwarded("100-continue without a body", get("Expect: 100-continue\r\n")),
    ]
}
