//! What stands behind the last request of a connection is no request: behind one that closes, one of HTTP/1.0, and one that
//! is refused.

use super::{Row, SMUG, get, last, last_as, post, refused};

pub fn rows() -> Vec<Row> {
    let mut rows = closing();
    rows.extend(refusals());
    rows
}

fn then(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [bytes.as_ref(), SMUG.as_bytes()].concat()
}

fn closing() -> Vec<Row> {
    let old = |method: &str, lines: &str| format!("{method} $P HTTP/1.0\r\nHost: a.test\r\n{lines}\r\n");
    let close = "Connection: close\r\n";
    vec![
        last("a request behind one that closes", then(get(close))),
        last("noise behind one that closes", [&get(close)[..], b"\0\xff\r\n\r\n"].concat()),
        last("a request behind HTTP/1.0", then(old("GET", ""))),
        last("a request behind HTTP/1.0 that would close too", then(old("GET", "Connection: keep-alive, close\r\n"))),
        last_as(
            "a request behind a body that closes",
            then(post(format!("{close}Content-Length: 5\r\n"), "hello")),
            "POST",
            "hello",
        ),
        last_as(
            "a request behind chunks that close",
            then(post(format!("{close}Transfer-Encoding: chunked\r\n"), "5\r\nhello\r\n0\r\n\r\n")),
            "POST",
            "hello",
        ),
        last_as("a body of HTTP/1.0 without a length", then(old("POST", "")), "POST", ""),
        last_as("a body of HTTP/1.0 until the end", old("PUT", "") + "hello", "PUT", ""),
        last_as("a body of HTTP/1.0", then(old("POST", "Content-Length: 5\r\n") + "hello"), "POST", "hello"),
        last_as(
            "100-continue of HTTP/1.0",
            old("POST", "Expect: 100-continue\r\nContent-Length: 5\r\n") + "hello",
            "POST",
            "hello",
        ),
        last_as("a request behind HEAD that closes", then(get_as("HEAD", close)), "HEAD", ""),
    ]
}

fn refusals() -> Vec<Row> {
    let long = |len: usize| "x".repeat(len);
    vec![
        refused("a request behind a bad line", then("GET  $P HTTP/1.1\r\nHost: a.test\r\n\r\n"), 400),
        refused("a request behind a bad field", then(get("X : y\r\n")), 400),
        refused("a request behind no Host", then("GET $P HTTP/1.1\r\n\r\n"), 400),
        refused("a request behind a bad length", then(post("Content-Length: x\r\n", "")), 400),
        refused("a request behind a line too long", then(format!("GET $P?{} HTTP/1.1\r\n\r\n", long(20_000))), 414),
        refused("a request behind a head too large", then(get(format!("X: {}\r\n", long(40_000)))), 431),
        refused("a request behind too many fields", then(get("X: y\r\n".repeat(101))), 431),
        refused("a request behind a body too large", then(post("Content-Length: 99999999999999\r\n", "")), 413),
        refused("a request behind an expectation", then(post("Expect: x\r\nContent-Length: 0\r\n", "")), 417),
        refused("a request behind an unknown coding", then(post("Transfer-Encoding: x\r\n", "")), 501),
        refused("a request behind an unknown version", then("GET $P HTTP/1.3\r\nHost: a.test\r\n\r\n"), 505),
        refused("a request behind a long method", then(get_as(&"X".repeat(40), "")), 501),
        refused("a request behind CONNECT", then("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n"), 405),
        refused("a request behind a bad chunk", then(post("Transfer-Encoding: chunked\r\n", "x\r\n")), 400),
        refused(
            "a request behind an unread body for another site",
            then(post("Content-Length: 5\r\n", "hello")).replace_host(),
            421,
        ),
    ]
}

fn get_as(method: &str, lines: &str) -> String {
    format!("{method} $P HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")
}

trait ReplaceHost {
    /// The first Host is another site's.
    fn replace_host(self) -> Vec<u8>;
}

impl ReplaceHost for Vec<u8> {
    fn replace_host(mut self) -> Vec<u8> {
        let place = self.windows(6).position(|window| window == b"a.test").expect("a Host");
        self[place] = b'b';
        self
    }
}
