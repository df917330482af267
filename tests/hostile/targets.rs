//! Request lines and targets (RFC 9112 §3), versions and methods.

use super::{Fate, Row, SMUG, answered, forwarded, forwarded_as, get, last, refused};

pub fn rows() -> Vec<Row> {
    let mut rows = lines();
    rows.extend(versions());
    rows.extend(methods());
    rows.extend(options_rows());
    rows.extend(wrong_targets());
    rows.extend(odd_targets());
    rows.extend(encoded_targets());
    rows.extend(absolute());
    rows.extend(absolute_without_path());
    rows.extend(other_protocols());
    rows
}

const REST: &str = "\r\nHost: a.test\r\n\r\n";

fn line(line: &str) -> String {
    format!("{line}{REST}")
}

fn lines() -> Vec<Row> {
    vec![
        refused("two blanks behind the method", line("GET  $P HTTP/1.1"), 400),
        refused("two blanks behind the target", line("GET $P  HTTP/1.1"), 400),
        refused("a tab behind the method", line("GET\t$P HTTP/1.1"), 400),
        refused("a tab behind the target", line("GET $P\tHTTP/1.1"), 400),
        refused("a vertical tab", line("GET $P\x0bHTTP/1.1"), 400),
        refused("a bare CR", line("GET $P\rHTTP/1.1"), 400),
        refused("a blank in front", line(" GET $P HTTP/1.1"), 400),
        refused("a blank at the end", line("GET $P HTTP/1.1 "), 400),
        refused("a second version", line("GET $P HTTP/1.1 HTTP/1.1"), 400),
        refused("a blank in the target", line("GET $P x HTTP/1.1"), 400),
        refused("no method", line("$P HTTP/1.1"), 400),
        refused("no target", line("GET HTTP/1.1"), 400),
        refused("no target but its blanks", line("GET  HTTP/1.1"), 400),
        refused("no version", line("GET $P"), 400),
        refused("no version but its blank", line("GET $P "), 400),
        refused("a field for a line", "Host: a.test\r\n\r\n", 400),
        refused("HTTP/0.9", "GET $P\r\n", 400),
        refused("a status line", line("HTTP/1.1 200 OK"), 400),
    ]
}

fn versions() -> Vec<Row> {
    let other =
        ["HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/1.10", "HTTP/01.1", "HTTP/1.01", "HTTP/11"];
    let row = |version: &&str| {
        let bytes = line(&format!("GET $P {version}"));
        Row { name: format!("version {version}"), bytes: bytes.into_bytes(), fate: Fate::Refused(0) }
    };
    let mut rows: Vec<Row> = other.iter().chain(&NO_VERSIONS).map(row).collect();
    rows.push(last("HTTP/1.0", "GET $P HTTP/1.0\r\nHost: a.test\r\n\r\n"));
    rows.push(forwarded("HTTP/1.0, kept alive", "GET $P HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n"));
    rows.push(refused("HTTP/1.0 without Host", "GET $P HTTP/1.0\r\n\r\n", 400));
    rows
}

fn options(lines: &str) -> String {
    format!("OPTIONS $P HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")
}

fn methods() -> Vec<Row> {
    let mut rows: Vec<Row> = ["get", "Get", "BREW", "M-SEARCH", "X!#$%&'*+-.^_`|~", "PURGE", "PROPFIND", "PATCH"]
        .map(|method| {
            forwarded_as(format!("method {method}"), line(&format!("{method} $P HTTP/1.1")), method, "$P", "")
        })
        .into();
    rows.extend(
        ["G(T", "GET,", "G\"ET", "GE/T", "GET:", "G\u{c9}T", "[GET]", "GET\0"]
            .map(|method| refused(format!("method {method:?}"), line(&format!("{method} $P HTTP/1.1")), 400)),
    );
    rows.extend([
        answered("TRACE in lower case", line("trace $P HTTP/1.1"), 405),
        answered("connect in lower case", line("Connect $P HTTP/1.1"), 405),
        answered("the method of HTTP/2's preface", line("PRI $P HTTP/1.1"), 405),
        refused("connect in lower case to us", line("connect a.test:80 HTTP/1.1"), 400),
        refused("POST *", line("POST * HTTP/1.1"), 400),
        refused("HEAD *", line("HEAD * HTTP/1.1"), 400),
        refused("OPTIONS **", line("OPTIONS ** HTTP/1.1"), 400),
        refused("OPTIONS *?x", line("OPTIONS *?x HTTP/1.1"), 400),
        refused("OPTIONS of an authority", line("OPTIONS a.test:80 HTTP/1.1"), 400),
        refused("CONNECT to us", line("CONNECT a.test:80 HTTP/1.1"), 405),
        refused("CONNECT elsewhere", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n", 405),
        refused("CONNECT to a path", line("CONNECT $P HTTP/1.1"), 405),
        refused("a method of 33 letters", line(&format!("{} $P HTTP/1.1", "X".repeat(33))), 501),
        forwarded_as(
            "a method override",
            get("X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: PUT\r\n"),
            "GET",
            "$P",
            "",
        ),
    ]);
    rows
}

fn options_rows() -> Vec<Row> {
    vec![
        answered("OPTIONS *", line("OPTIONS * HTTP/1.1"), 204),
        answered("Max-Forwards of none", options("Max-Forwards: 0\r\n"), 204),
        answered(
            "Max-Forwards of none, listed in Connection",
            options("Connection: Max-Forwards\r\nMax-Forwards: 0\r\n"),
            204,
        ),
        answered(
            "Max-Forwards of none for another site",
            options("Max-Forwards: 0\r\n").replace("a.test", "b.test"),
            421,
        ),
        refused("OPTIONS * with a body", line("OPTIONS * HTTP/1.1\r\nContent-Length: 5") + "hello", 204),
        refused(
            "Max-Forwards of none with a body",
            format!("{}{SMUG}", options(&format!("Max-Forwards: 0\r\nContent-Length: {}\r\n", SMUG.len()))),
            204,
        ),
        forwarded_as("Max-Forwards with a sign", options("Max-Forwards: +0\r\n"), "OPTIONS", "$P", ""),
        forwarded_as("Max-Forwards as a list", options("Max-Forwards: 0, 0\r\n"), "OPTIONS", "$P", ""),
        answered("Max-Forwards of none, in two digits", options("Max-Forwards: 00\r\n"), 204),
        answered("Max-Forwards on two lines, one of none", options("Max-Forwards: 5\r\nMax-Forwards: 0\r\n"), 204),
        forwarded_as("Max-Forwards of one", options("Max-Forwards: 1\r\n"), "OPTIONS", "$P", ""),
        forwarded_as("Max-Forwards that is no number", options("Max-Forwards: x\r\n"), "OPTIONS", "$P", ""),
        forwarded_as(
            "Max-Forwards beyond numbers",
            options(&format!("Max-Forwards: {}\r\n", "9".repeat(30))),
            "OPTIONS",
            "$P",
            "",
        ),
    ]
}

fn wrong_targets() -> Vec<Row> {
    let one = |target: &&str| refused(format!("target {target}"), line(&format!("GET {target} HTTP/1.1")), 400);
    let mut rows: Vec<Row> = WRONG.iter().map(one).collect();
    for byte in [0, 1, 9, 0x0b, 0x1f, 0x7f, 0x80, 0xe9, 0xff] {
        let bytes = [b"GET $P", &[byte][..], b" HTTP/1.1", REST.as_bytes()].concat();
        rows.push(refused(format!("byte {byte:#x} in the target"), bytes, 400));
    }
    rows
}

/// Paths that mean something else to some servers: forwarded byte by byte as they came, and stored under that very form.
fn odd_targets() -> Vec<Row> {
    ODD.map(|target| {
        forwarded_as(format!("target {target}"), line(&format!("GET {target} HTTP/1.1")), "GET", target, "")
    })
    .into()
}

/// What no URI may hold, and some readers refuse, goes on percent-encoded (RFC 3986 §2.1), which means the same.
fn encoded_targets() -> Vec<Row> {
    [
        ("$P/<script>", "$P/%3Cscript%3E"),
        ("$P/`x`", "$P/%60x%60"),
        ("$P%/<", "$P%/%3C"),
        ("$P?<x>", "$P?%3Cx%3E"),
        ("$P?\"x\"", "$P?%22x%22"),
    ]
    .map(|(sent, seen)| forwarded_as(format!("target {sent}"), line(&format!("GET {sent} HTTP/1.1")), "GET", seen, ""))
    .into()
}

fn absolute() -> Vec<Row> {
    let at = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    vec![
        forwarded("absolute form", at("http://a.test$P", "a.test")),
        forwarded("absolute form over another Host", at("http://a.test$P", "b.test")),
        forwarded("absolute form with a port", at("http://a.test:80$P", "a.test")),
        forwarded("absolute form in capitals", at("HTTP://A.TEST$P", "a.test")),
        forwarded("absolute form of https", at("https://a.test$P", "a.test")),
        forwarded("absolute form with an empty port", at("http://a.test:$P", "a.test")),
        forwarded("absolute form with a dot at the name's end", at("http://a.test.$P", "a.test")),
        last("absolute form in HTTP/1.0 without Host", "GET http://a.test$P HTTP/1.0\r\n\r\n"),
        answered("absolute form of an IPv6 address", at("http://[::1]:80$P", "a.test"), 421),
        refused("absolute form with an empty Host", at("http://a.test$P", ""), 400),
        answered("absolute form of another site", at("http://b.test$P", "a.test"), 421),
        answered("absolute form of this machine", at("http://127.0.0.1:1$P", "a.test"), 421),
        answered("absolute form of a metadata service", at("http://169.254.169.254$P", "a.test"), 421),
        refused("absolute form with user information", at("http://u@a.test$P", "a.test"), 400),
        refused("absolute form with a password", at("http://u:p@a.test$P", "a.test"), 400),
        refused("absolute form that seems ours", at("http://b.test\\@a.test$P", "a.test"), 400),
        refused("absolute form with a bad Host", at("http://a.test$P", "a b"), 400),
        refused("absolute form without Host", "GET http://a.test$P HTTP/1.1\r\n\r\n", 400),
        refused("absolute form with two Hosts", at("http://a.test$P", "a.test\r\nHost: b.test"), 400),
        refused("absolute form with a bad port", at("http://a.test:x$P", "a.test"), 400),
        forwarded_as("two slashes are a path", line("GET //b.test$P HTTP/1.1"), "GET", "//b.test$P", ""),
    ]
}

/// An empty path is `/`, and what follows it counts (RFC 9110 §4.2.3); but OPTIONS without either is about the server.
fn absolute_without_path() -> Vec<Row> {
    let at = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    vec![
        forwarded_as("absolute form without a path", at("http://a.test?$P", "a.test"), "GET", "/?$P", ""),
        forwarded_as("absolute form of https without a path", at("https://A.test:81?$P", "b.test"), "GET", "/?$P", ""),
        forwarded_as("absolute form with an empty query", at("http://a.test/x$P?", "a.test"), "GET", "/x$P?", ""),
        forwarded_as(
            "absolute form with two slashes",
            at("http://a.test//b.test$P", "a.test"),
            "GET",
            "//b.test$P",
            "",
        ),
        forwarded_as("absolute form with dots", at("http://a.test/..$P", "a.test"), "GET", "/..$P", ""),
        forwarded_as(
            "absolute form of OPTIONS without a path",
            "OPTIONS http://a.test?$P HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "OPTIONS",
            "/?$P",
            "",
        ),
        answered(
            "absolute form of OPTIONS without more",
            "OPTIONS http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n",
            204,
        ),
        answered("absolute form without a path of another site", at("http://b.test?$P", "a.test"), 421),
    ]
}

fn other_protocols() -> Vec<Row> {
    vec![
        refused("the preface of HTTP/2", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SMUG}"), 505),
        refused("the preface of HTTP/2 as HTTP/1.1", "PRI * HTTP/1.1\r\nHost: a.test\r\n\r\nSM\r\n\r\n", 400),
        refused("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        refused("PROXY protocol", format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\n{SMUG}"), 400),
        refused("PROXY protocol, second version", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", 400),
        refused("SSH", "SSH-2.0-x\r\n", 400),
        refused("Redis", "*1\r\n$4\r\nPING\r\n", 400),
        refused("noise", b"\x00\x01\x02\xff\xfe\r\n\r\n", 400),
        refused("RTSP", line("OPTIONS * RTSP/1.0"), 400),
        refused("SIP", line("INVITE sip:x SIP/2.0"), 400),
        refused("ICY", line("GET $P ICY/1.0"), 400),
    ]
}

const WRONG: [&str; 73] = [
    "*",
    "x",
    "x/y",
    "?x",
    ":80/",
    "a.test",
    "a.test/",
    "a.test:80",
    "#",
    "$P#x",
    "$P?a#x",
    "$P\\x",
    "\\",
    "\\\\b.test/",
    "ftp://a.test/",
    "file:///etc/passwd",
    "javascript:x",
    "http:/a.test/",
    "http:a.test/",
    "http:///x",
    "http://",
    "http://?x",
    "http://a.test#x",
    "http://a.test?x#y",
    "http://a.test\\?x",
    "http://u@a.test?x",
    "http://a.test:x?y",
    "http://a.test:80:80/",
    "http://a.test:65536/",
    "http://a.test:-1/",
    "http://a.test,b.test/",
    "http://a.test;b/",
    "http://%61.test/",
    "http://a..test/",
    "http://.a.test/",
    "http://*/",
    "http://a.test:80@b.test/",
    "http://@a.test/",
    "http://:@a.test/",
    "http://:80/",
    "http://a.test@/",
    "http://[::1/",
    "http://[::1]x/",
    "http://[::1%25lo]/",
    "http://[v1.x]/",
    "http:\\\\a.test\\",
    "http:",
    "http",
    "https://",
    "ws://a.test/",
    "gopher://a.test/",
    "httpx://a.test/",
    "xhttp://a.test/",
    "http+unix://a.test/",
    "blob:http://a.test/",
    "data:,x",
    "[::1]:80",
    "[::1]/",
    "**",
    "*?x",
    "*/x",
    "%2f",
    "%2fx",
    ".",
    "..",
    "./x",
    "~x",
    "@a.test/",
    "a.test:443/x",
    ";x",
    "&",
    "$P#",
    "/#",
];

const ODD: [&str; 73] = [
    "$P/../x",
    "$P/..",
    "$P/./x",
    "$P//x",
    "$P/%2e%2e/x",
    "$P/%2e%2e%2fx",
    "$P/..%2fx",
    "$P/..%5cx",
    "$P/..;/x",
    "$P%00",
    "$P%0d%0aX:%20y",
    "$P%",
    "$P%zz",
    "$P%u002e",
    "$P%c0%ae",
    "$P%23x",
    "$P%3fx",
    "$P;a=b",
    "$P/x.css",
    "$P%2fx.css",
    "$P;x.js",
    "$P%0a.css",
    "$P?",
    "$P??",
    "$P?a=1&a=2",
    "$P?a[]=1",
    "$P?/../x",
    "$P?http://b.test/",
    "$P@b.test/",
    "$P:80/",
    "$P/{x}",
    "$P/a|b",
    "$P/a^b",
    "$P/\"x\"",
    "$P/~x",
    "$P/$x",
    "$P/!x",
    "$P/%2E%2E",
    "$P/.%2e/x",
    "$P/%252e%252e/x",
    "$P/...",
    "$P/..;a=b/x",
    "$P%ff",
    "$P%80",
    "$P%09",
    "$P%20",
    "$P%7f",
    "$P+",
    "$P/'x'",
    "$P/(x)",
    "$P/[x]",
    "$P/*",
    "$P&a=1",
    "$P=1",
    "$P,1",
    "$P?*",
    "$P?%00",
    "$P?&&",
    "$P?=",
    "$P?a=1;b=2",
    "$P?a=1&a[]=2",
    "$P?_method=DELETE",
    "$P?{x}|^",
    "/.$P",
    "/..$P",
    "/./..$P",
    "///b.test$P",
    "/.//b.test$P",
    "/@b.test$P",
    "/:80$P",
    "/http://b.test$P",
    "/%2f%2fb.test$P",
    "/*$P",
];

const NO_VERSIONS: [&str; 28] = [
    "http/1.1",
    "Http/1.1",
    "HTTP/1,1",
    "HTTP 1.1",
    "HTTP/1.",
    "HTTP/.1",
    "HTTP/4294967297.1",
    "HTTPS/1.1",
    "XTTP/1.1",
    "HTTP/1",
    "HTTP/2",
    "HTTP/",
    "HTTP",
    "hTTP/1.0",
    "HTTP/1.1.1",
    "HTTP/1.1/",
    "HTTP/1.1a",
    "HTTP/1.1;",
    "HTTP/1.\u{b9}",
    "HTTP/+1.1",
    "HTTP/1.-1",
    "HTTP/0x1.1",
    "HTTP/001.1",
    "HTTP/1.1\0",
    "HTTP/ 1.1",
    "HTTP /1.1",
    "HTTP/1. 1",
    "\u{feff}HTTP/1.1",
];
