//! Fields that are said twice, endlessly or by somebody else: each request reaches the origin once, with its one Host, or is
//! answered here.

use super::{Row, answered, forwarded, get, refused};

pub fn rows() -> Vec<Row> {
    let mut rows = twice();
    rows.extend(many());
    rows.extend(loops());
    rows
}

/// Fields that may stand but once, where two readers could take two of them.
fn twice() -> Vec<Row> {
    let pairs = [
        ("Range", "bytes=0-0", "bytes=1-1"),
        ("If-Range", "\"a\"", "\"b\""),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 01 Jan 2050 00:00:00 GMT"),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 01 Jan 2050 00:00:00 GMT"),
        ("If-None-Match", "\"a\"", "\"b\""),
        ("If-Match", "*", "\"a\""),
        ("Authorization", "Basic YTph", "Basic Yjpi"),
        ("Cookie", "a=1", "a=2"),
        ("Content-Type", "text/plain", "text/html"),
        ("Content-Encoding", "gzip", "identity"),
        ("User-Agent", "a", "b"),
        ("Referer", "http://a.test/", "http://b.test/"),
        ("Origin", "http://a.test", "null"),
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT", "now"),
        ("Max-Forwards", "0", "1"),
        ("X-Forwarded-For", "192.0.2.1", "192.0.2.2"),
        ("Upgrade", "h2c", "websocket"),
        ("x", "1", "2"),
    ];
    let row = |(name, one, other): (&str, &str, &str)| {
        let lines = format!("{name}: {one}\r\n{}: {other}\r\n", name.to_uppercase());
        forwarded(format!("{name} twice"), get(lines))
    };
    pairs.map(row).into()
}

fn many() -> Vec<Row> {
    let names = |lines: usize, name: &dyn Fn(usize) -> String| (0..lines).map(name).collect::<String>();
    vec![
        forwarded("90 fields of one name", get("x: y\r\nX: y\r\n".repeat(45))),
        forwarded("90 fields of as many names", get(names(90, &|n| format!("X-{n}: y\r\n")))),
        forwarded("90 cookies", get(names(90, &|n| format!("Cookie: c{n}=1\r\n")))),
        forwarded("90 lines of Via", get(names(90, &|n| format!("Via: 1.1 p{n}\r\n")))),
        forwarded("90 lines of CDN-Loop", get(names(90, &|n| format!("CDN-Loop: p{n}\r\n")))),
        forwarded("90 lines of X-Forwarded-For", get("X-Forwarded-For: 192.0.2.1\r\n".repeat(90))),
        forwarded(
            "64 options that each drop a field",
            get(names(9, &|n| {
                let listed: Vec<String> = (0..7).map(|m| format!("x-{n}-{m}")).collect();
                format!("Connection: {}\r\n", listed.join(","))
            })),
        ),
        forwarded("a name of 30 KB", get(format!("{}: y\r\n", "X".repeat(30_000)))),
        forwarded("a Range of quotes and commas", get(format!("Range: bytes={}\r\n", "\",".repeat(5000)))),
        forwarded("an If-None-Match of open quotes", get(format!("If-None-Match: {}\r\n", "\"a,".repeat(5000)))),
        forwarded("an If-None-Match of commas", get(format!("If-None-Match: {}\r\n", ",".repeat(20_000)))),
        forwarded("a Cache-Control of open quotes", get(format!("Cache-Control: {}\r\n", "a=\"\\".repeat(5000)))),
        forwarded("a Cookie of semicolons", get(format!("Cookie: {}\r\n", ";=".repeat(10_000)))),
        forwarded("an Accept of commas", get(format!("Accept: {}\r\n", ",;q=".repeat(5000)))),
        refused("9,000 options", get(format!("Connection: {}\r\n", "a,".repeat(9000))), 400),
    ]
}

/// CDN-Loop (RFC 8586), and what only looks like it.
fn loops() -> Vec<Row> {
    let via = |value: &str| get(format!("CDN-Loop: {value}\r\n"));
    vec![
        answered("a loop", via("millpond"), 508),
        answered("a loop in capitals", via("MILLPOND"), 508),
        answered("a loop among others", via("a, b; x=y,\tmillpond\t, c"), 508),
        answered("a loop on its second line", via("a\r\nCDN-Loop: millpond"), 508),
        answered("a loop that Connection lists", via("millpond\r\nConnection: CDN-Loop"), 508),
        answered("eight of us", via(&["millpond; id=1"; 8].join(", ")), 508),
        forwarded("seven of us", via(&["millpond;id=1"; 7].join(","))),
        forwarded("a loop of others", via("millpond.example, xmillpond, a; x=\"millpond\"")),
        forwarded("no loop", via(",,\t,")),
        forwarded("a Via of ours", get("Via: 1.1 millpond, 1.0 millpond\r\n")),
    ]
}
