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
    let lines: [&[u8]; 24] = [
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
    ];
    let one = |line: &&[u8]| {
        let body = [*line, b"\r\nhello\r\n0\r\n\r\n"].concat();
        bad(format!("chunk size {:?}", String::from_utf8_lossy(line)), body)
    };
    let mut rows: Vec<Row> = lines.iter().map(one).collect();
    rows.push(good(
        "chunk sizes with zeros and capitals",
        "0005\r\nhello\r\n00A\r\n0123456789\r\n000\r\n\r\n",
        "hello0123456789",
    ));
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
        good("a trailer", with("X: y\r\n"), "hello"),
        good("a length in the trailers", with("Content-Length: 50\r\n"), "hello"),
        good("a coding in the trailers", with("Transfer-Encoding: gzip\r\n"), "hello"),
        good("a host in the trailers", with("Host: b.test\r\n"), "hello"),
        good("an address in the trailers", with("X-Forwarded-For: 192.0.2.1\r\n"), "hello"),
        good("Authorization in the trailers", with("Authorization: Basic x\r\n"), "hello"),
        good("100 trailers", with(&"X: y\r\n".repeat(100)), "hello"),
    ]
}
