//! Chunks, their extensions and trailers (RFC 9112 §7.1), and what stands where a body should.

use super::{Row, SMUG, forwarded_as, post, refused};

pub fn rows() -> Vec<Row> {
    let mut rows = sizes();
    rows.extend(ends());
    rows.extend(extensions());
    rows.extend(trailers());
    rows
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

fn bad(name: impl Into<String>, body: impl AsRef<[u8]>) -> Row {
    refused(name, post(CHUNKED, [body.as_ref(), SMUG.as_bytes()].concat()), 400)
}

fn good(name: &str, sent: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Row {
    forwarded_as(name, post(CHUNKED, sent), "POST", "$P", body)
}

fn sizes() -> Vec<Row> {
    let one = |line: &&[u8]| {
        let body = [*line, b"\r\nhello\r\n0\r\n\r\n"].concat();
        bad(format!("chunk size {:?}", String::from_utf8_lossy(line)), body)
    };
    let mut rows: Vec<Row> = SIZES.iter().map(one).collect();
    rows.push(good(
        "chunk sizes with zeros and capitals",
        "0005\r\nhello\r\n00A\r\n0123456789\r\n000\r\n\r\n",
        "hello0123456789",
    ));
    rows.extend(["100000000000", "4000000000000000", "7fffffffffffffff"].map(|size| {
        let body = format!("5\r\nhello\r\n{size}\r\n{SMUG}0\r\n\r\n");
        refused(format!("a chunk of {size}"), post(CHUNKED, body), 413)
    }));
    rows.push(good("a size of 16 digits", "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"));
    rows.push(good("chunks of one byte", "1\r\na\r\n".repeat(500) + "0\r\n\r\n", "a".repeat(500)));
    rows
}

fn ends() -> Vec<Row> {
    vec![
        bad("a bare LF behind the size", "5\nhello\r\n0\r\n\r\n"),
        bad("a bare CR behind the size", "5\rhello\r\n0\r\n\r\n"),
        bad("CR CR LF behind the size", "5\r\r\nhello\r\n0\r\n\r\n"),
        bad("a bare LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        bad("a bare CR behind the data", "5\r\nhello\r0\r\n\r\n"),
        bad("two other bytes behind the data", "5\r\nhelloXX0\r\n\r\n"),
        bad("nothing behind the data", "5\r\nhello0\r\n\r\n"),
        bad("data longer than its size", "5\r\nhello!\r\n0\r\n\r\n"),
        bad("data shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
        bad("an empty line between chunks", "5\r\nhello\r\n\r\n0\r\n\r\n"),
        bad("a bare LF behind the last size", "5\r\nhello\r\n0\n\r\n"),
        bad("a bare LF for the end", "5\r\nhello\r\n0\r\n\n"),
        bad("a bare CR for the end", "5\r\nhello\r\n0\r\n\rX"),
        bad("a size of minus nought for the end", "5\r\nhello\r\n-0\r\n\r\n"),
        bad("all in bare LF", "5\nhello\n0\n\n"),
        bad("all in bare CR", "5\rhello\r0\r\r"),
        bad("LF CR behind the size", "5\n\rhello\r\n0\r\n\r\n"),
        bad("LF CR behind the data", "5\r\nhello\n\r0\r\n\r\n"),
        bad("CR CR LF behind the data", "5\r\nhello\r\r\n0\r\n\r\n"),
        bad("CR CR LF behind the last size", "5\r\nhello\r\n0\r\r\n\r\n"),
        bad("CR CR LF for the end", "5\r\nhello\r\n0\r\n\r\r\n"),
        bad("a last size with a blank", "5\r\nhello\r\n0 \r\n\r\n"),
        bad("a last size in hexadecimal", "5\r\nhello\r\n0x0\r\n\r\n"),
        bad("a last size of 17 digits", format!("5\r\nhello\r\n{}\r\n\r\n", "0".repeat(17))),
        bad("no last size", "5\r\nhello\r\n\r\n"),
        bad("an empty line first", "\r\n5\r\nhello\r\n0\r\n\r\n"),
        bad("a head for a chunk", format!("{SMUG}0\r\n\r\n")),
        good("a last size of 16 digits", format!("5\r\nhello\r\n{}\r\n\r\n", "0".repeat(16)), "hello"),
        good("data that looks like an end", "5\r\n\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n"),
    ]
}

fn extensions() -> Vec<Row> {
    let with = |extension: &str| format!("5{extension}\r\nhello\r\n0\r\n\r\n");
    vec![
        bad("an extension of 300 bytes", with(&format!(";{}", "x".repeat(300)))),
        bad("a bare LF in an extension", with(";a\nb")),
        bad("a bare LF at an extension's end", "5;a\nhello\r\n0\r\n\r\n"),
        bad("a bare CR in an extension", with(";a\rb")),
        bad("NUL in an extension", with(";a\0b")),
        bad("DEL in an extension", with(";a\x7fb")),
        bad("a quote that does not close", with(";a=\"b")),
        bad("a line end within quotes", with(";a=\"b\r\n\"")),
        bad("a quote escaped to the end", with(";a=\"b\\\"")),
        bad("an extension without semicolon", with("a=b; c")),
        bad("a blank and no semicolon", with("  a")),
        bad("a long extension on the last chunk", format!("0;{}\r\n\r\n", "x".repeat(300))),
        bad("a control byte within quotes", with(";a=\"\x01\"")),
        bad("a line end escaped within quotes", with(";a=\"b\\\r\n\"")),
        bad("an end within quotes", "5;a=\"b\r\n0\r\n\r\n\"\r\nhello\r\n0\r\n\r\n"),
        bad("CR CR LF behind an extension", with(";a=b\r")),
        bad("a bare LF within quotes", with(";a=\"b\nc\"")),
        bad("a bare LF before the line end", with(";a=b\n")),
        bad("no size before the semicolon", ";a=b\r\nhello\r\n0\r\n\r\n"),
        bad("a bare LF behind the last extension", "5\r\nhello\r\n0;a=b\n\r\n"),
        bad("a last extension whose quote does not close", "5\r\nhello\r\n0;a=\"b\r\n\r\n"),
        good("extensions", with(";a;b=c ; d = \"e;\\\\f\"\t;g"), "hello"),
        good("an extension without value", with(";a="), "hello"),
        good("an extension beyond ASCII", b"5;caf\xe9=\x80\r\nhello\r\n0\r\n\r\n", "hello"),
        good("a line end told of in an extension", with(";a=%0d%0a0%0d%0a"), "hello"),
        good("an extension", with(";a=b"), "hello"),
        good("an empty extension", with(";"), "hello"),
        good("blanks before the semicolon", with(" \t;a"), "hello"),
        good("a quoted extension", with(";a=\"b;c\\\"d\""), "hello"),
        good("an extension on the last chunk", "5\r\nhello\r\n0;a=b\r\n\r\n", "hello"),
        good("a request in an extension", with(";GET /smug HTTP/1.1"), "hello"),
    ]
}

fn trailers() -> Vec<Row> {
    let with = |lines: &str| format!("5\r\nhello\r\n0\r\n{lines}\r\n");
    vec![
        bad("a trailer without colon", with("X y\r\n")),
        bad("a trailer without name", with(": y\r\n")),
        bad("a blank before a trailer's colon", with("X : y\r\n")),
        bad("a folded trailer", with("X: y\r\n z\r\n")),
        bad("a trailer that begins with a blank", with(" X: y\r\n")),
        bad("a bare LF behind a trailer", with("X: y\n")),
        bad("a bare CR behind a trailer", with("X: y\rZ: a\r\n")),
        bad("NUL in a trailer", with("X: y\0\r\n")),
        bad("a request for a trailer", with("GET /smug HTTP/1.1\r\nHost: a.test\r\n")),
        bad("101 trailers", with(&"X: y\r\n".repeat(101))),
        bad("trailers of 10 KB", with(&format!("X: {}\r\n", "y".repeat(10_000)))),
        bad("a trailer of a colon", with(":\r\n")),
        bad("a trailer's name beyond ASCII", with("X\u{e9}: y\r\n")),
        bad("a bare LF behind the trailers", "5\r\nhello\r\n0\r\nX: y\r\n\n"),
        bad("a bare CR behind the trailers", "5\r\nhello\r\n0\r\nX: y\r\n\rX"),
        bad("CR CR LF behind a trailer", with("X: y\r\r\n")),
        bad("a status line for a trailer", with("HTTP/1.1 200 OK\r\n")),
        bad("a chunk for a trailer", with("5\r\nhello\r\n")),
        good("a trailer that would close", with("Connection: close\r\n"), "hello"),
        good("a trailer that would list another", with("Connection: X\r\nX: y\r\n"), "hello"),
        good("a trailer that would expect", with("Expect: x\r\n"), "hello"),
        good("a cookie in the trailers", with("Cookie: a=b\r\n"), "hello"),
        good("directives in the trailers", with("Cache-Control: no-store\r\n"), "hello"),
        good("a trailer of another method", with("X-HTTP-Method-Override: DELETE\r\n"), "hello"),
        good("a trailer without value", with("X:\r\n"), "hello"),
        good("a trailer", with("X: y\r\n"), "hello"),
        good("a length in the trailers", with("Content-Length: 50\r\n"), "hello"),
        good("a coding in the trailers", with("Transfer-Encoding: gzip\r\n"), "hello"),
        good("a host in the trailers", with("Host: b.test\r\n"), "hello"),
        good("an address in the trailers", with("X-Forwarded-For: 192.0.2.1\r\n"), "hello"),
        good("Authorization in the trailers", with("Authorization: Basic x\r\n"), "hello"),
        good("100 trailers", with(&"X: y\r\n".repeat(100)), "hello"),
    ]
}

const SIZES: [&[u8]; 34] = [
    b"",
    b" 5",
    b"\t5",
    b"+5",
    b"-5",
    b"-0",
    b"0x5",
    b"0X0",
    b"5h",
    b"g",
    b"5_0",
    b"5,5",
    b"5.0",
    b"\"5\"",
    b"5\0",
    b"5 ",
    b"5\t",
    b"5 x",
    b"\xef\xbc\x95",
    b"00000000000000005",
    b"fffffffffffffffff",
    b"10000000000000003",
    b"8000000000000000",
    b"ffffffffffffffff",
    b"0x0",
    b"5\x0b",
    b"5\x0c",
    b"5\xa0",
    b"\xef\xbb\xbf5",
    b"5:",
    b"5#",
    b"'5'",
    b"5 5",
    b"5\\",
];
