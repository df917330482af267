//! Lengths and codings (RFC 9112 §6): whatever two readers could take differently is refused.

use super::{Row, SMUG, answered, forwarded_as, get, post, refused};

pub fn rows() -> Vec<Row> {
    let bodies = [where_none_belongs(), further_bodies(), sound()];
    [both(), codings(), coding_lines(), lengths(), repeated_lengths()].into_iter().chain(bodies).flatten().collect()
}

/// CL.TE and TE.CL, with the hidden request behind what either reader takes for the end.
fn both() -> Vec<Row> {
    let (te, zero) = ("Transfer-Encoding: chunked\r\n", format!("0\r\n\r\n{SMUG}"));
    let length = format!("Content-Length: {}\r\n", zero.len());
    let chunk = format!("{:x}\r\n{SMUG}\r\n0\r\n\r\n", SMUG.len());
    vec![
        refused("CL.TE", post(format!("{length}{te}"), &zero), 400),
        refused("TE.CL", post(format!("{te}Content-Length: 4\r\n"), &chunk), 400),
        refused("CL.TE, length 0", post(format!("Content-Length: 0\r\n{te}"), &zero), 400),
        refused("TE.CL, length 0", post(format!("{te}Content-Length: 0\r\n"), &chunk), 400),
        refused("CL.TE with a field between", post(format!("{length}X: y\r\n{te}"), &zero), 400),
        refused("CL.TE in lower case", post("content-length: 5\r\ntransfer-encoding: chunked\r\n", &zero), 400),
        refused("CL.TE on a GET", get(format!("{length}{te}")), 400),
        refused("CL.TE on a HEAD", post(format!("{length}{te}"), &zero).replace_method("HEAD"), 400),
        refused("CL.TE, coding unknown", post(format!("{length}Transfer-Encoding: gzip\r\n"), &zero), 400),
        refused("CL.TE, coding empty", post(format!("{length}Transfer-Encoding:\r\n"), &zero), 400),
        refused(
            "CL.TE with Connection: Content-Length",
            post(format!("{length}{te}Connection: Content-Length\r\n"), &zero),
            400,
        ),
        refused(
            "CL.TE with Connection: Transfer-Encoding",
            post(format!("{length}{te}Connection: Transfer-Encoding\r\n"), &zero),
            400,
        ),
    ]
}

/// TE.TE: codings that one of two readers might overlook.
fn codings() -> Vec<Row> {
    let body = format!("0\r\n\r\n{SMUG}");
    let one = |(value, status): &(&[u8], u16)| {
        let line = [b"Transfer-Encoding:", *value, b"\r\n"].concat();
        refused(format!("TE.TE {:?}", String::from_utf8_lossy(value)), post(line, &body), *status)
    };
    CODINGS.iter().map(one).collect()
}

/// The same by their lines.
fn coding_lines() -> Vec<Row> {
    let body = format!("0\r\n\r\n{SMUG}");
    let lines = [
        ("on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("on two lines, the second unknown", "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", 400),
        ("on two lines, the first unknown", "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n", 400),
        ("on two lines, the first empty", "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", 400),
        ("with a blank before the colon", "Transfer-Encoding : chunked\r\n", 400),
        ("with a tab before the colon", "Transfer-Encoding\t: chunked\r\n", 400),
        ("with a blank before the name", " Transfer-Encoding: chunked\r\n", 400),
        ("with NUL behind the name", "Transfer-Encoding\0: chunked\r\n", 400),
        ("with a quote in the name", "Transfer-Encoding\": chunked\r\n", 400),
        ("with a blank in the name", "Transfer Encoding: chunked\r\n", 400),
        ("with a colon before the name", ":Transfer-Encoding: chunked\r\n", 400),
        ("behind a bare LF", "X: y\nTransfer-Encoding: chunked\r\n", 400),
        ("behind a bare CR", "X: y\rTransfer-Encoding: chunked\r\n", 400),
        ("behind an empty name", ": y\r\nTransfer-Encoding: chunked\r\n", 400),
        ("on two lines, the second empty", "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", 400),
        ("on two lines, in two cases", "transfer-encoding: identity\r\nTRANSFER-ENCODING: chunked\r\n", 400),
        ("on two lines, gzip first", "Transfer-Encoding: gzip\r\nX: y\r\nTransfer-Encoding: chunked\r\n", 400),
        ("with a byte behind the name", "Transfer-Encoding\u{85}: chunked\r\n", 400),
        ("with a slash in the name", "Transfer/Encoding: chunked\r\n", 400),
        ("in quotes, name and all", "\"Transfer-Encoding: chunked\"\r\n", 400),
        ("behind CR CR LF", "X: y\r\r\nTransfer-Encoding: chunked\r\n", 400),
        ("behind LF CR", "X: y\n\rTransfer-Encoding: chunked\r\n", 400),
        ("with a line end for a blank", "Transfer-Encoding:\r\nchunked\r\n", 400),
    ];
    let mut rows: Vec<Row> =
        lines.map(|(name, lines, status)| refused(format!("TE {name}"), post(lines, &body), status)).into();
    let old = format!("POST $P HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    rows.push(refused("chunked in HTTP/1.0", &old, 400));
    rows.push(refused("chunked in HTTP/1.0, kept alive", old.replace("Host", "Connection: keep-alive\r\nHost"), 400));
    rows
}

fn lengths() -> Vec<Row> {
    let one = |value: &&[u8]| {
        let line = [b"Content-Length:", *value, b"\r\n"].concat();
        refused(format!("length {:?}", String::from_utf8_lossy(value)), post(line, format!("hello{SMUG}")), 400)
    };
    LENGTHS.iter().map(one).collect()
}

fn repeated_lengths() -> Vec<Row> {
    let (five, body) = ("Content-Length: 5\r\n", format!("hello{SMUG}"));
    let row = |name: &str, lines: String| refused(name, post(lines, &body), 400);
    vec![
        row("lengths alike", format!("{five}{five}")),
        row("lengths that differ", format!("{five}Content-Length: 0\r\n")),
        row("lengths that differ, the short one first", format!("Content-Length: 0\r\n{five}")),
        row("lengths apart", format!("{five}X: y\r\n{five}")),
        row("lengths in another case", format!("{five}CONTENT-LENGTH: 5\r\n")),
        row("lengths, one empty", format!("{five}Content-Length:\r\n")),
        row("a length with a blank before the colon", "Content-Length : 5\r\n".to_owned()),
        row("a length with a blank before the name", format!("X: y\r\n {five}")),
        row("a folded length", "Content-Length:\r\n 5\r\n".to_owned()),
        row("a length behind a bare LF", format!("X: y\n{five}")),
        row("a length behind a bare CR", format!("X: y\r{five}")),
        row("a length with NUL in its name", "Content-Length\0: 5\r\n".to_owned()),
    ]
}

/// Bodies where most requests have none: they are read, and never taken for what comes next.
fn where_none_belongs() -> Vec<Row> {
    let length = format!("Content-Length: {}\r\n", SMUG.len());
    let chunks = format!("{:x}\r\n{SMUG}\r\n0\r\n\r\n", SMUG.len());
    vec![
        forwarded_as("GET with a body", with("GET", &length, SMUG), "GET", "$P", SMUG),
        forwarded_as("GET with chunks", with("GET", "Transfer-Encoding: chunked\r\n", &chunks), "GET", "$P", SMUG),
        forwarded_as("HEAD with a body", with("HEAD", &length, SMUG), "HEAD", "$P", ""),
        forwarded_as("DELETE with a body", with("DELETE", &length, SMUG), "DELETE", "$P", SMUG),
        forwarded_as("OPTIONS with a body", with("OPTIONS", &length, SMUG), "OPTIONS", "$P", SMUG),
        forwarded_as("an unknown method with a body", with("BREW", &length, SMUG), "BREW", "$P", SMUG),
        refused("TRACE with a body", with("TRACE", &length, SMUG), 405),
        refused("CONNECT with a body", with("CONNECT", &length, SMUG).replacen("$P", "a.test:80", 1), 405),
        refused(
            "a body for an unknown host",
            with("POST", &length, SMUG).replace("a.test\r\nCon", "b.test\r\nCon"),
            421,
        ),
        refused("OPTIONS * with a body", with("OPTIONS", &length, SMUG).replacen("$P", "*", 1), 204),
        refused(
            "OPTIONS with a body that ends here",
            with("OPTIONS", &format!("{length}Max-Forwards: 0\r\n"), SMUG),
            204,
        ),
        refused("a body that went round", with("POST", &format!("{length}CDN-Loop: millpond\r\n"), SMUG), 508),
        refused("a body that nobody asked for", with("POST", &format!("{length}Expect: x\r\n"), SMUG), 417),
        answered("TRACE", with("TRACE", "", ""), 405),
    ]
}

fn with(method: &str, lines: &str, body: &str) -> String {
    format!("{method} $P HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n{body}")
}

fn further_bodies() -> Vec<Row> {
    let length = format!("Content-Length: {}\r\n", SMUG.len());
    let chunks = format!("{:x}\r\n{SMUG}\r\n0\r\n\r\n", SMUG.len());
    vec![
        refused("GET with both", with("GET", &format!("{length}Transfer-Encoding: chunked\r\n"), SMUG), 400),
        refused(
            "a body in chunks for an unknown host",
            with("POST", "Transfer-Encoding: chunked\r\n", &chunks).replacen("a.test", "b.test", 1),
            421,
        ),
        refused("TRACE with chunks", with("TRACE", "Transfer-Encoding: chunked\r\n", &chunks), 405),
        refused("a body of 900 TB", with("POST", "Content-Length: 999999999999999\r\n", SMUG), 413),
        forwarded_as("GET with a length of nothing", with("GET", "Content-Length: 0\r\n", ""), "GET", "$P", ""),
        forwarded_as("HEAD with a length of nothing", with("HEAD", "Content-Length: 0\r\n", ""), "HEAD", "$P", ""),
        forwarded_as(
            "GET with chunks of nothing",
            with("GET", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            "GET",
            "$P",
            "",
        ),
        forwarded_as("HEAD with chunks", with("HEAD", "Transfer-Encoding: chunked\r\n", &chunks), "HEAD", "$P", ""),
        forwarded_as(
            "DELETE with chunks",
            with("DELETE", "Transfer-Encoding: chunked\r\n", &chunks),
            "DELETE",
            "$P",
            SMUG,
        ),
        forwarded_as(
            "a body to be upgraded",
            with("POST", &format!("{length}Connection: Upgrade\r\nUpgrade: h2c\r\n"), SMUG),
            "POST",
            "$P",
            SMUG,
        ),
    ]
}

fn sound() -> Vec<Row> {
    let post_as =
        |name: &str, lines: &str, sent: &str, body: &str| forwarded_as(name, post(lines, sent), "POST", "$P", body);
    vec![
        post_as("a length", "Content-Length: 5\r\n", "hello", "hello"),
        post_as("a length of nothing", "Content-Length: 0\r\n", "", ""),
        post_as("no length", "", "", ""),
        post_as("a length with tabs around it", "Content-Length:\t5\t\r\n", "hello", "hello"),
        post_as("a length in another case", "cOnTeNt-LeNgTh: 5\r\n", "hello", "hello"),
        post_as("chunks", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        post_as("chunks in another case", "TRANSFER-ENCODING: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        post_as("a coding with blanks around it", "Transfer-Encoding: \t chunked \t\r\n", "0\r\n\r\n", ""),
        post_as("a length with _ is no length", "Content_Length: 5\r\n", "", ""),
        post_as("a coding with _ is no coding", "Transfer_Encoding: chunked\r\n", "", ""),
        post_as("a length of another name", "X-Content-Length: 5\r\n", "", ""),
        post_as("TE is no coding", "TE: chunked\r\n", "", ""),
        post_as("a coding with a dot is no coding", "Transfer.Encoding: chunked\r\n", "", ""),
        post_as("a coding with a longer name is no coding", "Transfer-Encoding-: chunked\r\n", "", ""),
        post_as("a coding for others is no coding", "X-Transfer-Encoding: chunked\r\n", "", ""),
        post_as(
            "a length listed in Connection counts",
            "Connection: Content-Length\r\nContent-Length: 5\r\n",
            "hello",
            "hello",
        ),
        post_as(
            "a coding listed in Connection counts",
            "Connection: close2, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        post_as("a range of an upload", "Content-Range: bytes 0-4/9\r\nContent-Length: 5\r\n", "hello", "hello"),
        post_as(
            "a body that looks like requests",
            &format!("Content-Length: {}\r\n", 2 * SMUG.len()),
            &SMUG.repeat(2),
            &SMUG.repeat(2),
        ),
    ]
}

trait ReplaceMethod {
    fn replace_method(self, method: &str) -> Vec<u8>;
}

impl ReplaceMethod for Vec<u8> {
    fn replace_method(self, method: &str) -> Vec<u8> {
        let end = self.iter().position(|byte| *byte == b' ').unwrap_or(0);
        [method.as_bytes(), &self[end..]].concat()
    }
}

const CODINGS: [(&[u8], u16); 51] = [
    (b" xchunked", 501),
    (b" chunkedx", 501),
    (b" chunk", 501),
    (b" identity", 501),
    (b" gzip", 501),
    (b" deflate", 501),
    (b" cow", 501),
    (b"", 400),
    (b" ,", 400),
    (b" chunked,", 400),
    (b" ,chunked", 400),
    (b" chunked, chunked", 400),
    (b" chunked chunked", 400),
    (b" gzip, chunked", 400),
    (b" chunked, gzip", 400),
    (b" chunked, identity", 400),
    (b" identity, chunked", 400),
    (b" chunked;q=1", 400),
    (b" chunked; foo", 400),
    (b" \"chunked\"", 400),
    (b" 'chunked'", 501),
    (b" chunked\\", 400),
    (b" (chunked)", 400),
    (b" \x0bchunked", 400),
    (b" \x0cchunked", 400),
    (b" chunked\x0b", 400),
    (b" chunked\0", 400),
    (b" \x01chunked", 400),
    (b" \xa0chunked", 400),
    (b" chunked\xa0", 400),
    (b" chun\xe2\x84\xaaed", 400),
    (b" \xef\xbb\xbfchunked", 400),
    (b" chu\r\n nked", 400),
    (b"\r\n chunked", 400),
    (b"\r\n\tchunked", 400),
    (b" chunked\rX: y", 400),
    (b" chunked\n", 400),
    (b" chunked;", 400),
    (b" chunked ;", 400),
    (b" chunked=1", 400),
    (b" chunked:", 400),
    (b" chunked/1.1", 400),
    (b" , , chunked", 400),
    (b" chunked\t,", 400),
    (b" identity;q=1, chunked;q=0", 400),
    (b" x-chunked", 501),
    (b" %63hunked", 501),
    (b" chunked%00", 501),
    (b" trailers", 501),
    (b" *", 501),
    (b" \x85chunked", 400),
];

const LENGTHS: [&[u8]; 41] = [
    b"",
    b" ",
    b" +5",
    b" -5",
    b" -0",
    b" 0x5",
    b" 0b1",
    b" 05",
    b" 00",
    b" 5.0",
    b" 5e0",
    b" 5 5",
    b" 5;x",
    b" 5,",
    b" ,5",
    b" 5, 5",
    b" 5,6",
    b" \"5\"",
    b" 5_0",
    b" 5x",
    b" x5",
    b" five",
    b" \xd9\xa5",
    b" \xa05",
    b" \x0b5",
    b" 5\x0c",
    b" 5\0",
    b" 1000000000000000000",
    b" 9223372036854775808",
    b" 18446744073709551621",
    b" 4294967301x",
    b" 5'",
    b" 5%",
    b" 5\\",
    b" 5 ,",
    b" (5)",
    b" 5\xc2\xa0",
    b" \xef\xbc\x95",
    b" \x855",
    b" 0 5",
    b"\r\n5",
];
