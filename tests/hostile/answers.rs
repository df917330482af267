//! Answers of a hostile origin (RFC 9112 §4 to §9), and what is to become of each.

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
const EVIL: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 4\r\n\r\nevil";
const FRESH: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n";

fn reply(name: impl Into<String>, bytes: impl AsRef<[u8]>, end: End, fate: Fate) -> Reply {
    Reply { name: name.into(), bytes: bytes.as_ref().to_vec(), end, is_head: false, fate }
}

fn refused(name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Reply {
    reply(name, bytes, End::Keep, Fate::Refused)
}

fn cut(name: impl Into<String>, bytes: impl AsRef<[u8]>, end: End) -> Reply {
    reply(name, bytes, end, Fate::Cut)
}

fn whole(name: &str, bytes: impl AsRef<[u8]>, body: &'static str) -> Reply {
    reply(name, bytes, End::Keep, Fate::Whole(200, body))
}

/// All of them.
pub fn replies() -> Vec<Reply> {
    [sound(), status_lines(), heads(), lengths(), codings(), interim(), chunks(), truncations(), surplus(), to_head()]
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

fn status_lines() -> Vec<Reply> {
    let lines: [&[u8]; 26] = [
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
    ];
    let rest = b"\r\nCache-Control: max-age=600\r\nContent-Length: 4\r\n\r\nevil";
    let one =
        |line: &&[u8]| refused(format!("status line {:?}", String::from_utf8_lossy(line)), [*line, rest].concat());
    let mut replies: Vec<Reply> = lines.iter().map(one).collect();
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
    let lines: [&[u8]; 20] = [
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
        refused("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\nevil"),
        refused("a malformed interim answer", behind("HTTP/1.1 103 x\r\nX : y\r\n\r\n".to_owned())),
        refused(
            "an interim answer with a body",
            behind("HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\nevil".to_owned()),
        ),
    ]
}

fn chunks() -> Vec<Reply> {
    let head = format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let bodies: [&[u8]; 24] = [
        b"zz\r\nevil\r\n0\r\n\r\n",
        b"0x4\r\nevil\r\n0\r\n\r\n",
        b"-4\r\nevil\r\n0\r\n\r\n",
        b"+4\r\nevil\r\n0\r\n\r\n",
        b" 4\r\nevil\r\n0\r\n\r\n",
        b"4 \r\nevil\r\n0\r\n\r\n",
        b"\r\nevil\r\n0\r\n\r\n",
        b"4\nevil\r\n0\r\n\r\n",
        b"4\revil\r\n0\r\n\r\n",
        b"4\r\nevil\n0\r\n\r\n",
        b"4\r\nevilXX0\r\n\r\n",
        b"4\r\nevil!\r\n0\r\n\r\n",
        b"5\r\nevil\r\n0\r\n\r\n",
        b"10000000000000004\r\nevil\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nevil\r\n0\r\n\r\n",
        b"8000000000000000\r\nevil\r\n0\r\n\r\n",
        b"4;a=\"b\r\nevil\r\n0\r\n\r\n",
        b"4;a\nb\r\nevil\r\n0\r\n\r\n",
        b"0\n\r\n",
        b"0\r\n\n",
        b"0\r\nX y\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nX: y\r\n z\r\n\r\n",
        b"0\r\nX: y\n\r\n",
    ];
    let one = |body: &&[u8]| {
        cut(format!("chunk {:?}", String::from_utf8_lossy(body)), [head.as_bytes(), *body].concat(), End::Keep)
    };
    let mut replies: Vec<Reply> = bodies.iter().map(one).collect();
    replies.push(cut(
        "an extension of 300 bytes",
        format!("{head}4;{}\r\nevil\r\n0\r\n\r\n", "x".repeat(300)),
        End::Keep,
    ));
    replies.push(cut("trailers of 10 KB", format!("{head}0\r\nX: {}\r\n\r\n", "x".repeat(10_000)), End::Keep));
    replies.push(cut("101 trailers", format!("{head}0\r\n{}\r\n", "X: y\r\n".repeat(101)), End::Keep));
    replies
}

fn truncations() -> Vec<Reply> {
    let (length, chunked) =
        (format!("{FRESH}Content-Length: 9\r\n\r\n"), format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n"));
    let of = |name: &str, bytes: String| {
        [cut(format!("{name}, closed"), &bytes, End::Close), cut(format!("{name}, reset"), &bytes, End::Reset)]
    };
    let mut replies: Vec<Reply> = [
        of("a part of a length", format!("{length}hello")),
        of("nothing of a length", length.clone()),
        of("all but one byte of a length", format!("{length}hellohel")),
        of("no chunk", chunked.clone()),
        of("within a size", format!("{chunked}5\r\nhello\r\n1")),
        of("within a chunk", format!("{chunked}5\r\nhel")),
        of("behind a chunk's data", format!("{chunked}5\r\nhello")),
        of("no last chunk", format!("{chunked}5\r\nhello\r\n")),
        of("no end of the last chunk", format!("{chunked}5\r\nhello\r\n0\r\n")),
        of("within the trailers", format!("{chunked}5\r\nhello\r\n0\r\nX: y\r\n")),
    ]
    .into_iter()
    .flatten()
    .collect();
    for (name, bytes) in [
        ("within the status line", "HTTP/1.1 20".to_owned()),
        ("behind the status line", "HTTP/1.1 200 OK\r\n".to_owned()),
        ("within a field", format!("{FRESH}X: y")),
        ("before the empty line", FRESH.to_owned()),
        ("behind an interim answer", "HTTP/1.1 103 x\r\n\r\n".to_owned()),
    ] {
        replies.push(reply(format!("{name}, closed"), &bytes, End::Close, Fate::Refused));
        replies.push(reply(format!("{name}, reset"), &bytes, End::Reset, Fate::Refused));
    }
    replies.push(reply("nothing, closed", "", End::Close, Fate::Refused));
    replies.push(cut("until a reset", format!("{FRESH}\r\nhello"), End::Reset));
    replies
}

/// What stands behind a whole answer is nobody's.
fn surplus() -> Vec<Reply> {
    vec![
        whole("another answer behind a length", format!("{FRESH}Content-Length: 5\r\n\r\nhello{EVIL}"), "hello"),
        whole("another answer behind no content", format!("{FRESH}Content-Length: 0\r\n\r\n{EVIL}"), ""),
        whole(
            "another answer behind chunks",
            format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{EVIL}"),
            "hello",
        ),
        whole("a CRLF behind a length", format!("{FRESH}Content-Length: 5\r\n\r\nhello\r\n"), "hello"),
        whole("more than its length", format!("{FRESH}Content-Length: 5\r\n\r\nhelloevil"), "hello"),
        reply("another answer behind 204", format!("HTTP/1.1 204 x\r\n\r\n{EVIL}"), End::Keep, Fate::Whole(204, "")),
        reply("another answer behind 304", format!("HTTP/1.1 304 x\r\n\r\n{EVIL}"), End::Keep, Fate::Whole(304, "")),
        reply(
            "a body behind 204 with a length",
            "HTTP/1.1 204 x\r\nContent-Length: 4\r\n\r\nevil",
            End::Keep,
            Fate::Whole(204, ""),
        ),
        reply(
            "chunks behind 204",
            "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
            End::Keep,
            Fate::Whole(204, ""),
        ),
        whole(
            "an interim answer behind",
            format!("{FRESH}Content-Length: 5\r\n\r\nhelloHTTP/1.1 100 Continue\r\n\r\n"),
            "hello",
        ),
    ]
}

fn to_head() -> Vec<Reply> {
    let head = |name: &str, bytes: String| Reply { is_head: true, ..whole(name, bytes, "") };
    vec![
        head("HEAD", format!("{FRESH}Content-Length: 5\r\n\r\n")),
        head("HEAD without length", format!("{FRESH}\r\n")),
        head("HEAD with chunks", format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n")),
        head("HEAD with a body", format!("{FRESH}Content-Length: 5\r\n\r\nevil!")),
        head("HEAD with another answer behind", format!("{FRESH}Content-Length: 5\r\n\r\n{EVIL}")),
        head("HEAD with chunks behind", format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n")),
        Reply {
            is_head: true,
            ..refused("HEAD with two lengths", format!("{FRESH}Content-Length: 5\r\nContent-Length: 6\r\n\r\n"))
        },
        Reply {
            is_head: true,
            ..refused("HEAD with a length that is none", format!("{FRESH}Content-Length: x\r\n\r\n"))
        },
    ]
}
