//! Answers of a hostile origin (RFC 9112 §4 to §9), and what is to become of each.

use super::answer_bodies::{chunks, surplus, to_head, truncations};
use crate::support::recorder::End;

/// One answer, to a GET unless `is_head`.
pub struct Reply {
    pub name: String,
    pub bytes: Vec<u8>,
    pub end: End,
    pub is_head: bool,
    pub fate: Fate,
}

/// What the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// This status with this body, whole.
    Whole(u16, &'static str),
    /// 502 with a cause; nothing is stored.
    Refused,
    /// An answer that can be seen not to be whole; nothing is stored.
    Cut,
}

/// Another answer, which nobody asked for.
pub const EVIL: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 4\r\n\r\nevil";
pub const FRESH: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n";

pub fn reply(name: impl Into<String>, bytes: impl AsRef<[u8]>, end: End, fate: Fate) -> Reply {
    Reply { name: name.into(), bytes: bytes.as_ref().to_vec(), end, is_head: false, fate }
}

pub fn refused(name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Reply {
    reply(name, bytes, End::Keep, Fate::Refused)
}

pub fn cut(name: impl Into<String>, bytes: impl AsRef<[u8]>, end: End) -> Reply {
    reply(name, bytes, end, Fate::Cut)
}

pub fn whole(name: &str, bytes: impl AsRef<[u8]>, body: &'static str) -> Reply {
    reply(name, bytes, End::Keep, Fate::Whole(200, body))
}

pub fn chunked(body: &str) -> String {
    format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n{body}")
}

/// All of them.
pub fn replies() -> Vec<Reply> {
    [
        sound(),
        odd(),
        statuses(),
        odd_statuses(),
        status_lines(),
        heads(),
        lengths(),
        codings(),
        interim(),
        chunks(),
        truncations(),
        surplus(),
        to_head(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn sound() -> Vec<Reply> {
    let length = format!("{FRESH}Content-Length: 5\r\n\r\nhello");
    vec![
        whole("a length", &length, "hello"),
        whole("no reason", length.replace(" OK", " "), "hello"),
        whole("neither reason nor blank", length.replace(" OK", ""), "hello"),
        whole("a reason beyond ASCII", length.replace("OK", "\u{e9}\u{e9}"), "hello"),
        whole("HTTP/1.0 with a length", length.replace("1.1", "1.0"), "hello"),
        whole("a length of nothing", format!("{FRESH}Content-Length: 0\r\n\r\n"), ""),
        whole("chunks", format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "hello"),
        whole("chunks of nothing", format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), ""),
        whole(
            "an extension",
            format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n"),
            "hello",
        ),
        whole(
            "trailers",
            format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nSet-Cookie: evil\r\n\r\n"),
            "hello",
        ),
        reply("until the end", format!("{FRESH}\r\nhello"), End::Close, Fate::Whole(200, "hello")),
        reply("until the end, nothing", format!("{FRESH}\r\n"), End::Close, Fate::Whole(200, "")),
        reply("HTTP/1.0 until the end", "HTTP/1.0 200 OK\r\n\r\nhello", End::Close, Fate::Whole(200, "hello")),
        whole("a name of one letter, a value of none", format!("{FRESH}X:\r\nContent-Length: 5\r\n\r\nhello"), "hello"),
        whole(
            "fields for one hop",
            format!(
                "{FRESH}Connection: close, X-A\r\nX-A: evil\r\nKeep-Alive: evil\r\nTE: evil\r\nUpgrade: evil\r\nContent-Length: 5\r\n\r\nhello"
            ),
            "hello",
        ),
        whole(
            "Connection that lists what guards it",
            "HTTP/1.1 200 OK\r\nConnection: Cache-Control, Content-Length\r\nCache-Control: no-store\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
        ),
    ]
}

/// Sound, but seldom seen.
fn odd() -> Vec<Reply> {
    let length = format!("{FRESH}Content-Length: 5\r\n\r\nhello");
    vec![
        whole(
            "chunked in capitals, blanks around it",
            format!("{FRESH}TRANSFER-ENCODING:\t CHUNKED\t \r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            "hello",
        ),
        whole("blanks around a length", format!("{FRESH}content-LENGTH: \t5\t \r\n\r\nhello"), "hello"),
        whole(
            "names that some read as framing",
            format!(
                "{FRESH}Content_Length: 99\r\nTransfer_Encoding: chunked\r\nContent-Lengths: 1\r\nContent-Length: 5\r\n\r\nhello"
            ),
            "hello",
        ),
        whole(
            "Connection that lists the framing",
            format!(
                "{FRESH}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            ),
            "hello",
        ),
        whole(
            "every letter of a name",
            format!("{FRESH}!#$%&'*+-.^_`|~09azAZ: x\r\nContent-Length: 5\r\n\r\nhello"),
            "hello",
        ),
        whole(
            "bytes beyond ASCII in a value",
            [FRESH.as_bytes(), b"X: \x80\xff\t\xa0\r\nContent-Length: 5\r\n\r\nhello"].concat(),
            "hello",
        ),
        whole("a tab in the reason", length.replace("OK", "\tO\tK"), "hello"),
        whole("250 fields", length.replace("Content", &format!("{}Content", "X: y\r\n".repeat(250))), "hello"),
        whole("leading zeros in a size", chunked("0000000000000005\r\nhello\r\n000\r\n\r\n"), "hello"),
        whole("capitals in a size", chunked("A\r\n0123456789\r\n0\r\n\r\n"), "0123456789"),
        whole("a chunk for each byte", chunked("1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"), "hello"),
        whole("an extension of the last chunk", chunked("5;\r\nhello\r\n0;a;b=\"\\\"\"\r\n\r\n"), "hello"),
        whole("line ends in a chunk's data", chunked("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), "\r\n0\r\n\r\n"),
        whole(
            "trailers that speak of framing and storing",
            chunked(
                "5\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nCache-Control: evil\r\nContent-Encoding: evil\r\nHost: evil\r\n\r\n",
            ),
            "hello",
        ),
    ]
}

fn statuses() -> Vec<Reply> {
    vec![
        reply("204", "HTTP/1.1 204 No Content\r\n\r\n", End::Keep, Fate::Whole(204, "")),
        reply(
            "204 with a length",
            "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n",
            End::Keep,
            Fate::Whole(204, ""),
        ),
        reply(
            "an unknown status",
            "HTTP/1.1 299 x\r\nContent-Length: 5\r\n\r\nhello",
            End::Keep,
            Fate::Whole(299, "hello"),
        ),
        reply(
            "the last status",
            "HTTP/1.1 599 x\r\nContent-Length: 5\r\n\r\nhello",
            End::Keep,
            Fate::Whole(599, "hello"),
        ),
        reply(
            "416 that nobody asked for",
            "HTTP/1.1 416 x\r\nCache-Control: max-age=9\r\nContent-Range: bytes */4\r\nContent-Length: 0\r\n\r\n",
            End::Keep,
            Fate::Whole(416, ""),
        ),
    ]
}

fn odd_statuses() -> Vec<Reply> {
    vec![
        reply(
            "205 with a body",
            "HTTP/1.1 205 x\r\nContent-Length: 5\r\n\r\nhello",
            End::Keep,
            Fate::Whole(205, "hello"),
        ),
        reply("205 without a length", "HTTP/1.1 205 x\r\n\r\n", End::Close, Fate::Whole(205, "")),
        reply(
            "204 with a length that nothing has",
            "HTTP/1.1 204 x\r\nContent-Length: 999999999999999999\r\n\r\n",
            End::Keep,
            Fate::Whole(204, ""),
        ),
        reply(
            "204 of HTTP/1.0",
            "HTTP/1.0 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
            End::Keep,
            Fate::Whole(204, ""),
        ),
        reply(
            "304 with two tags",
            "HTTP/1.1 304 x\r\nETag: \"a\"\r\nETag: \"b\"\r\n\r\n",
            End::Keep,
            Fate::Whole(304, ""),
        ),
        reply(
            "206 that nobody asked for",
            "HTTP/1.1 206 x\r\nCache-Control: max-age=600\r\nETag: \"a\"\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nhello",
            End::Keep,
            Fate::Whole(206, "hello"),
        ),
        reply(
            "412 that nobody asked for",
            "HTTP/1.1 412 x\r\nCache-Control: max-age=600\r\nContent-Length: 0\r\n\r\n",
            End::Keep,
            Fate::Whole(412, ""),
        ),
    ]
}

fn status_lines() -> Vec<Reply> {
    let rest = b"\r\nCache-Control: max-age=600\r\nContent-Length: 4\r\n\r\nevil";
    let one =
        |line: &&[u8]| refused(format!("status line {:?}", String::from_utf8_lossy(line)), [*line, rest].concat());
    let mut replies: Vec<Reply> = BROKEN_STATUS_LINES.iter().map(one).collect();
    replies.extend([
        refused("an empty line first", format!("\r\n{EVIL}")),
        refused("garbage", "evil evil evil\r\n\r\n"),
        refused("SSH", "SSH-2.0-OpenSSH_9.2\r\n"),
        refused("SMTP", "220 evil ESMTP\r\n"),
        refused("HTTP/0.9", "<html>evil</html>\r\n"),
        refused("a request", "GET / HTTP/1.1\r\nHost: evil\r\n\r\n"),
        refused("HTTP/2 settings", b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\r\n\r\n"),
        refused("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46"),
        refused("a status line of 10 KB", format!("HTTP/1.1 200 {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(10_000))),
    ]);
    replies
}

fn heads() -> Vec<Reply> {
    let with = |lines: &[u8]| [FRESH.as_bytes(), lines, b"Content-Length: 4\r\n\r\nevil"].concat();
    let lines: [&[u8]; 32] = [
        b"X : a\r\n",
        b"X\t: a\r\n",
        b" X: a\r\n",
        b"X: a\r\n b\r\n",
        b"X: a\r\n\tb\r\n",
        b"Xa\r\n",
        b": a\r\n",
        b"X Y: a\r\n",
        b"X\xff: a\r\n",
        b"X(: a\r\n",
        b"X: a\0b\r\n",
        b"X: a\x7f\r\n",
        b"X: a\x01\r\n",
        b"X: a\rb\r\n",
        b"X: a\n",
        b"X: a\r\r\n",
        b"\n",
        b"Content-Length : 4\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"X\0: a\r\n",
        b"\xef\xbb\xbfX: a\r\n",
        b"X\r: a\r\n",
        b"\rX: a\r\n",
        b"X: a\n\r",
        b"X: a\x0b\r\n",
        b"X: a\x0c\r\n",
        b"\"X\": a\r\n",
        b"X;: a\r\n",
        b"X@: a\r\n",
        b"Location: /a\rSet-Cookie: evil\r\n",
        b"Location: /a\nSet-Cookie: evil\r\n",
    ];
    let one = |line: &&[u8]| refused(format!("line {:?}", String::from_utf8_lossy(line)), with(line));
    let mut replies: Vec<Reply> = lines.iter().map(one).collect();
    replies.extend([
        refused("bare LF everywhere", "HTTP/1.1 200 OK\nCache-Control: max-age=600\nContent-Length: 4\n\nevil"),
        refused("a fold behind the status line", "HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 4\r\n\r\nevil"),
        refused("a field of 70 KB", with(format!("X: {}\r\n", "x".repeat(70_000)).as_bytes())),
        refused("a head without end", format!("{FRESH}X: {}", "x".repeat(70_000))),
        refused("300 fields", with("X: y\r\n".repeat(300).as_bytes())),
        refused("65 connection options", with(format!("Connection: {}\r\n", "a,".repeat(65)).as_bytes())),
    ]);
    replies
}

fn lengths() -> Vec<Reply> {
    let values = [
        "",
        "+4",
        "-4",
        "0x4",
        "4.0",
        "04",
        "4 4",
        "4,4",
        "4, 5",
        "4;",
        "\"4\"",
        "4x",
        "x",
        "4_0",
        "4,",
        ",4",
        "4\u{a0}",
        "0004",
        "00",
        "4 ,4",
        "4;4",
        "0b100",
        "4e0",
        "- 4",
        "4\u{b2}",
        "99999999999999999999999999999999999999",
        "1000000000000000000",
        "18446744073709551620",
        "\u{664}",
    ];
    let mut replies: Vec<Reply> = values
        .iter()
        .map(|value| refused(format!("length {value:?}"), format!("{FRESH}Content-Length: {value}\r\n\r\nevil")))
        .collect();
    replies.extend([
        refused("lengths alike", format!("{FRESH}Content-Length: 4\r\nContent-Length: 4\r\n\r\nevil")),
        refused("lengths that differ", format!("{FRESH}Content-Length: 4\r\nContent-Length: 40\r\n\r\nevil")),
        refused("lengths apart", format!("{FRESH}Content-Length: 4\r\nX: y\r\ncontent-length: 0\r\n\r\nevil")),
    ]);
    replies
}

fn codings() -> Vec<Reply> {
    let values = [
        "gzip",
        "identity",
        "xchunked",
        "chunked, gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "",
        "chunked;a=b",
        "\"chunked\"",
        "chunked\r\nTransfer-Encoding: chunked",
        "gzip\r\nTransfer-Encoding: chunked",
        "chunked\r\nContent-Length: 4",
        "chunked\r\nContent-Length: 14",
        "chunked\r\nContent-Length: 0",
        "chunked identity",
        "chunked\u{a0}",
        "\u{a0}chunked",
        "chun ked",
        "chunked;",
        "chunked,,",
        "chunked\r\nTransfer-Encoding:",
        "chunked\r\nTRANSFER-ENCODING: identity",
        "identity\r\nContent-Length: 4",
        "compress",
        "deflate, chunked",
        "'chunked'",
        "chunkedchunked",
        "trailers",
    ];
    let mut replies: Vec<Reply> = values
        .iter()
        .map(|value| {
            refused(
                format!("coding {value:?}"),
                format!("{FRESH}Transfer-Encoding: {value}\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
            )
        })
        .collect();
    let chunks = "Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n";
    replies.push(refused("length, then coding", format!("{FRESH}Content-Length: 4\r\n{chunks}")));
    replies.push(refused("chunked in HTTP/1.0", format!("{}{chunks}", FRESH.replace("1.1", "1.0"))));
    replies
}

fn interim() -> Vec<Reply> {
    let behind = |interim: String| format!("{interim}{FRESH}Content-Length: 5\r\n\r\nhello");
    let times = |count| behind("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(count));
    vec![
        whole("100", behind("HTTP/1.1 100 Continue\r\n\r\n".to_owned()), "hello"),
        whole("103", times(1), "hello"),
        whole("an unknown interim status", behind("HTTP/1.1 199 x\r\n\r\n".to_owned()), "hello"),
        whole("16 interim answers", times(16), "hello"),
        refused("17 interim answers", times(17)),
        refused("interim answers without end", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(2000)),
        whole("102", behind("HTTP/1.1 102 Processing\r\n\r\n".to_owned()), "hello"),
        whole(
            "a length in an interim answer",
            behind("HTTP/1.1 103 x\r\nContent-Length: 9\r\n\r\n".to_owned()),
            "hello",
        ),
        whole(
            "a coding in an interim answer",
            behind("HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
            "hello",
        ),
        whole("an interim answer of HTTP/1.0", behind("HTTP/1.0 100 x\r\n\r\n".to_owned()), "hello"),
        whole(
            "an interim answer that would close",
            behind("HTTP/1.1 103 x\r\nConnection: close\r\nCache-Control: no-store\r\n\r\n".to_owned()),
            "hello",
        ),
        refused(
            "two lengths in an interim answer",
            behind("HTTP/1.1 103 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned()),
        ),
        refused("101 behind 100", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 x\r\nUpgrade: evil\r\n\r\nevil"),
        refused("101 and an answer", behind("HTTP/1.1 101 x\r\n\r\n".to_owned())),
        refused("an interim answer of 70 KB", behind(format!("HTTP/1.1 103 x\r\nX: {}\r\n\r\n", "x".repeat(70_000)))),
        refused("a blank line behind an interim answer", behind("HTTP/1.1 103 x\r\n\r\n\r\n".to_owned())),
        refused("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\nevil"),
        refused("a malformed interim answer", behind("HTTP/1.1 103 x\r\nX : y\r\n\r\n".to_owned())),
        refused(
            "an interim answer with a body",
            behind("HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\nevil".to_owned()),
        ),
    ]
}

const BROKEN_STATUS_LINES: [&[u8]; 45] = [
    b"HTTP/1.1200 OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1\t200 OK",
    b"HTTP/1.1 200OK",
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 2x0 OK",
    b"HTTP/1.1 -20 OK",
    b"HTTP/1.1 +20 OK",
    b"HTTP/1.1 099 OK",
    b"HTTP/1.1 600 OK",
    b"HTTP/1.1 999 OK",
    b"HTTP/1.1 000 OK",
    b"HTTP/1.1 OK",
    b"HTTP/1.1",
    b"HTTP/1.2 200 OK",
    b"HTTP/2 200 OK",
    b"HTTP/2.0 200 OK",
    b"HTTP/0.9 200 OK",
    b"http/1.1 200 OK",
    b"HTTP/1,1 200 OK",
    b"ICY 200 OK",
    b" HTTP/1.1 200 OK",
    b"HTTP/1.1 200 O\0K",
    b"HTTP/1.1 200 O\rK",
    b"HTTP/1.1 200 O\x1bK",
    b"HTTP/1.1 200\tOK",
    b"HTTP/1.1 200\0",
    b"HTTP/1.1 200\x0bOK",
    b"HTTP/1.1 200,OK",
    b"HTTP/1.1 200;OK",
    b"HTTP/1.1 0200 OK",
    b"HTTP/1.1 2 00 OK",
    b"HTTP/1.1 2e2 OK",
    b"HTTP/1.1 \xef\xbc\x92\xef\xbc\x90\xef\xbc\x90 OK",
    b"HTTP/1.10 200 OK",
    b"HTTP/01.1 200 OK",
    b"HTTP/1. 200 OK",
    b"HTTP/11 200 OK",
    b"HTTP /1.1 200 OK",
    b"HTTPS/1.1 200 OK",
    b"\xef\xbb\xbfHTTP/1.1 200 OK",
    b"\0HTTP/1.1 200 OK",
    b"\nHTTP/1.1 200 OK",
    b"200 OK",
];
