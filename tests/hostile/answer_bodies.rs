//! Bodies of a hostile origin's answers, and what stands behind them (RFC 9112 §6.3, §7.1, §8).

use super::answers::{EVIL, FRESH, Fate, Reply, chunked, cut, refused, reply, whole};
use crate::support::recorder::End;

pub fn chunks() -> Vec<Reply> {
    let head = format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let one = |body: &&[u8]| {
        cut(format!("chunk {:?}", String::from_utf8_lossy(body)), [head.as_bytes(), *body].concat(), End::Keep)
    };
    let mut replies: Vec<Reply> = BROKEN_CHUNKS.iter().map(one).collect();
    replies.push(cut(
        "an extension of 300 bytes",
        format!("{head}4;{}\r\nevil\r\n0\r\n\r\n", "x".repeat(300)),
        End::Keep,
    ));
    replies.push(cut("trailers of 10 KB", format!("{head}0\r\nX: {}\r\n\r\n", "x".repeat(10_000)), End::Keep));
    replies.push(cut("101 trailers", format!("{head}0\r\n{}\r\n", "X: y\r\n".repeat(101)), End::Keep));
    replies
}

pub fn truncations() -> Vec<Reply> {
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
    // Wherever chunks are cut, the end is missed.
    let chunks = "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n";
    for length in 1..chunks.len() {
        let end = if length % 2 == 0 { End::Close } else { End::Reset };
        replies.push(cut(format!("chunks cut at {length}"), format!("{chunked}{}", &chunks[..length]), end));
    }
    let head = format!("{FRESH}Content-Length: 5\r\n\r\n");
    for length in (1..head.len()).step_by(3) {
        let end = if length % 2 == 0 { End::Close } else { End::Reset };
        replies.push(reply(format!("a head cut at {length}"), &head[..length], end, Fate::Refused));
    }
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
pub fn surplus() -> Vec<Reply> {
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
        whole("a NUL behind a length", format!("{FRESH}Content-Length: 5\r\n\r\nhello\0"), "hello"),
        whole("half an answer behind a length", format!("{FRESH}Content-Length: 5\r\n\r\nhelloHTTP/1.1 200"), "hello"),
        whole("a CRLF behind chunks", chunked("5\r\nhello\r\n0\r\n\r\n\r\n"), "hello"),
        whole("chunks behind the last one", chunked("5\r\nhello\r\n0\r\n\r\n4\r\nevil\r\n0\r\n\r\n"), "hello"),
        reply(
            "a body behind 304 with a length",
            "HTTP/1.1 304 x\r\nContent-Length: 4\r\n\r\nevil",
            End::Keep,
            Fate::Whole(304, ""),
        ),
        reply(
            "chunks behind 304",
            "HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
            End::Keep,
            Fate::Whole(304, ""),
        ),
        reply(
            "another answer behind 205",
            format!("HTTP/1.1 205 x\r\nContent-Length: 0\r\n\r\n{EVIL}"),
            End::Keep,
            Fate::Whole(205, ""),
        ),
        reply(
            "another answer behind an error",
            format!("HTTP/1.1 500 x\r\nContent-Length: 5\r\n\r\nhello{EVIL}"),
            End::Keep,
            Fate::Whole(500, "hello"),
        ),
        whole(
            "an interim answer behind",
            format!("{FRESH}Content-Length: 5\r\n\r\nhelloHTTP/1.1 100 Continue\r\n\r\n"),
            "hello",
        ),
    ]
}

pub fn to_head() -> Vec<Reply> {
    let head = |name: &str, bytes: String| Reply { is_head: true, ..whole(name, bytes, "") };
    vec![
        head("HEAD", format!("{FRESH}Content-Length: 5\r\n\r\n")),
        head("HEAD without length", format!("{FRESH}\r\n")),
        head("HEAD with chunks", format!("{FRESH}Transfer-Encoding: chunked\r\n\r\n")),
        head("HEAD with a body", format!("{FRESH}Content-Length: 5\r\n\r\nevil!")),
        head("HEAD with another answer behind", format!("{FRESH}Content-Length: 5\r\n\r\n{EVIL}")),
        head("HEAD with a length that nothing has", format!("{FRESH}Content-Length: 999999999999999999\r\n\r\n")),
        head("HEAD with a body that nobody can read", format!("{FRESH}Transfer-Encoding: gzip\r\n\r\nevil")),
        Reply {
            is_head: true,
            ..reply("HEAD and 204", format!("HTTP/1.1 204 x\r\n\r\n{EVIL}"), End::Keep, Fate::Whole(204, ""))
        },
        Reply { is_head: true, ..refused("HEAD and 101", "HTTP/1.1 101 x\r\nUpgrade: evil\r\n\r\n") },
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

const BROKEN_CHUNKS: [&[u8]; 50] = [
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
    b"00000000000000004\r\nevil\r\n0\r\n\r\n",
    b"4\x0b\r\nevil\r\n0\r\n\r\n",
    b"4\0\r\nevil\r\n0\r\n\r\n",
    b"4,4\r\nevil\r\n0\r\n\r\n",
    b"4.0\r\nevil\r\n0\r\n\r\n",
    b"4h\r\nevil\r\n0\r\n\r\n",
    b"\xef\xbc\x94\r\nevil\r\n0\r\n\r\n",
    b"4\r\r\nevil\r\n0\r\n\r\n",
    b"4\r\n\nevil\r\n0\r\n\r\n",
    b"4\r\nevil\r0\r\n\r\n",
    b"4\r\nevil\n\r0\r\n\r\n",
    b"4\r\nevil0\r\n\r\n",
    b"3\r\nevil\r\n0\r\n\r\n",
    b"4\t;a\x01\r\nevil\r\n0\r\n\r\n",
    b"4;a\rb\r\nevil\r\n0\r\n\r\n",
    b"4;a=\"\r\nevil\r\n0\r\n\r\n\"",
    b"4 4\r\nevil\r\n0\r\n\r\n",
    b";\r\nevil\r\n0\r\n\r\n",
    b"-0\r\n\r\n",
    b"0x0\r\n\r\n",
    b"0 \r\n\r\n",
    b"0\r\n\rX: y\r\n\r\n",
    b"0\r\n X: y\r\n\r\n",
    b"0\r\n: y\r\n\r\n",
    b"0\r\nX\0: y\r\n\r\n",
    b"0\r\nHTTP/1.1 200 OK\r\n\r\n",
];
