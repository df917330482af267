//! Sizes and numbers, at the limits and past them (reliability 9).

use super::{Row, SMUG, forwarded, forwarded_as, get, refused};

const LINE: usize = 16 << 10;
const HEAD: usize = 32 << 10;

pub fn rows() -> Vec<Row> {
    let field = |len: usize| get(format!("X: {}\r\n", "x".repeat(len)));
    let target = |len: usize| format!("$P?{}", "x".repeat(len));
    let line = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let ranges = |count: usize| format!("Range: bytes={}0-0\r\n", "0-,".repeat(count));
    vec![
        refused("a line over its limit", line(&target(LINE)), 414),
        refused("a line of 100 KB", line(&target(100_000)), 414),
        refused("a line without end", format!("GET {}", target(100_000)), 414),
        refused("a method without end", "X".repeat(100_000), 414),
        refused("a head over its limit", field(HEAD), 431),
        refused("a field of 100 KB", field(100_000), 431),
        refused("a field without end", format!("GET $P HTTP/1.1\r\nHost: a.test\r\nX: {}", "x".repeat(100_000)), 431),
        refused("a name of 100 KB", get(format!("{}: y\r\n", "x".repeat(100_000))), 431),
        refused("a fold of 100 KB", get(format!("X: y\r\n {}\r\n", "x".repeat(100_000))), 400),
        refused("101 fields", get("X: y\r\n".repeat(100)), 431),
        refused("5,000 fields", get("X: y\r\n".repeat(5000)), 431),
        refused("5,000 names", get((0..5000).map(|n| format!("X{n}: y\r\n")).collect::<String>()), 431),
        refused("5,000 Hosts", get("Host: a.test\r\n".repeat(5000)), 431),
        refused("10,000 empty lines", format!("{}{SMUG}", "\r\n".repeat(10_000)), 400),
        refused("a body that says it is too large", get("Content-Length: 999999999999999999\r\n"), 413),
        forwarded_as("a target of 8,000 bytes", line(&target(8000)), "GET", &target(8000), ""),
        forwarded_as(
            "1,900 query parameters",
            line(&format!("$P?{}", "a=1&".repeat(1900))),
            "GET",
            &format!("$P?{}", "a=1&".repeat(1900)),
            "",
        ),
        forwarded("a field of 30 KB", field(30_000)),
        forwarded("100 fields", get("X: y\r\n".repeat(99))),
        forwarded("a Range of 2,000 parts", get(ranges(2000))),
        forwarded("a Range that is none", get("Range: bytes=a-b\r\n")),
        forwarded("a Range of another unit", get("Range: rows=0-1\r\n")),
        forwarded("a Range backwards", get("Range: bytes=5-1\r\n")),
        forwarded("a long Accept-Encoding", get(format!("Accept-Encoding: {}\r\n", "gzip;q=0.1,".repeat(500)))),
        forwarded("a long If-None-Match", get(format!("If-None-Match: {}\"x\"\r\n", "\"a\",".repeat(2000)))),
        forwarded("a date that is none", get("If-Modified-Since: never\r\n")),
        forwarded("a long Cookie", get(format!("Cookie: {}\r\n", "a=b; ".repeat(2000)))),
    ]
}
