//! One [`Record`] as one line of text, without allocating, and without a byte of a client's that could end a line,
//! a string or a terminal's patience.
//!
//! Every line is printable ASCII. In the combined format a byte that is not, a quote and a backslash are written
//! `\xHH` (so a reader may split at quotes without looking for escapes); in JSON they are JSON's escapes, and bytes
//! that are no UTF-8 become `\ufffd`. A text longer than its limit is cut and ends in `...`, so that no line is longer
//! than [`MAX_LINE`].
//!
//! Never written: Authorization, Cookie, or any field but Referer and User-Agent. The target is written as it was sent,
//! query included; whoever puts secrets into queries has them in logs.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use super::record::Record;
use crate::time::{HttpDate, Now};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The combined format of Apache and nginx, then `key=value` pairs of our own.
    Combined,
    /// One JSON object a line.
    Json,
}

/// No line is longer, in bytes, whatever the record holds: the limits below come to 12 KiB, the rest is ours.
pub const MAX_LINE: usize = 16 * 1024;

/// Appends the line with its line feed. `out` does not grow if it has room for [`MAX_LINE`] bytes.
pub fn write_line(out: &mut Vec<u8>, format: Format, dates: &mut Dates, now: Now, record: &Record<'_>) {
    dates.set(now);
    match format {
        Format::Combined => combined(out, dates, record),
        Format::Json => json(out, dates, now, record),
    }
    out.push(b'\n');
}

fn combined(out: &mut Vec<u8>, dates: &Dates, record: &Record<'_>) {
    put_client(out, record.client);
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(&dates.common);
    out.extend_from_slice(b"] \"");
    if record.method.is_empty() {
        out.push(b'-');
    } else {
        put_text(out, record.method, METHOD);
        out.push(b' ');
        put_text(out, record.target, TARGET);
        out.push(b' ');
        out.extend_from_slice(record.version.as_bytes());
    }
    let _ = write!(out, "\" {} {} \"", record.status, record.bytes);
    put_text(out, record.referer.unwrap_or(b"-"), REFERER);
    out.extend_from_slice(b"\" \"");
    put_text(out, record.user_agent.unwrap_or(b"-"), USER_AGENT);
    out.extend_from_slice(b"\" ");
    combined_extras(out, record);
}

fn combined_extras(out: &mut Vec<u8>, record: &Record<'_>) {
    let _ = write!(out, "id={} scheme={} host=\"", record.id, scheme(record));
    put_text(out, record.host, NAME);
    out.extend_from_slice(b"\" site=\"");
    put_text(out, record.site.as_bytes(), NAME);
    let _ = write!(out, "\" cache={}", record.cache.token());
    if !record.reason.is_empty() {
        out.extend_from_slice(b" why=");
        put_text(out, record.reason.as_bytes(), NAME);
    }
    out.extend_from_slice(b" time=");
    put_seconds(out, record.duration);
    for (index, (name, time)) in record.fetch.phases().enumerate() {
        out.extend_from_slice(if index == 0 { b" fetch=" } else { b"," });
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        put_seconds(out, time);
    }
    if let Some(origin) = record.origin {
        let _ = write!(out, " origin={origin}");
    }
    if let Some((error, phase)) = record.cause {
        let _ = write!(out, " cause={} phase={}", error.token(), phase.token());
    }
    if record.is_cut {
        out.extend_from_slice(b" cut=yes");
    }
}

fn json(out: &mut Vec<u8>, dates: &Dates, now: Now, record: &Record<'_>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(&dates.rfc3339);
    let _ = write!(out, ".{:03}Z\",\"client\":\"", now.wall.subsec_millis());
    put_client(out, record.client);
    let _ = write!(out, "\",\"id\":\"{}\",\"scheme\":\"{}\"", record.id, scheme(record));
    put_json(out, "method", record.method, METHOD);
    put_json(out, "host", record.host, NAME);
    put_json(out, "target", record.target, TARGET);
    put_json(out, "version", record.version.as_bytes(), NAME);
    let _ = write!(out, ",\"status\":{},\"bytes\":{},\"seconds\":", record.status, record.bytes);
    put_seconds(out, record.duration);
    put_json(out, "site", record.site.as_bytes(), NAME);
    put_json(out, "cache", record.cache.token().as_bytes(), NAME);
    if !record.reason.is_empty() {
        put_json(out, "why", record.reason.as_bytes(), NAME);
    }
    if let Some(referer) = record.referer {
        put_json(out, "referer", referer, REFERER);
    }
    if let Some(agent) = record.user_agent {
        put_json(out, "agent", agent, USER_AGENT);
    }
    json_fetch(out, record);
    if record.is_cut {
        out.extend_from_slice(b",\"cut\":true");
    }
    out.push(b'}');
}

fn json_fetch(out: &mut Vec<u8>, record: &Record<'_>) {
    let mut is_open = false;
    for (name, time) in record.fetch.phases() {
        let _ = write!(out, "{}\"{name}\":", if is_open { "," } else { ",\"fetch\":{" });
        put_seconds(out, time);
        is_open = true;
    }
    if is_open {
        out.push(b'}');
    }
    if let Some(origin) = record.origin {
        let _ = write!(out, ",\"origin\":\"{origin}\"");
    }
    if let Some((error, phase)) = record.cause {
        let _ = write!(out, ",\"cause\":\"{}\",\"phase\":\"{}\"", error.token(), phase.token());
    }
}

// Most bytes that a client's text takes in a line, escapes included.
const METHOD: usize = 64;
const TARGET: usize = 8 * 1024;
const REFERER: usize = 2 * 1024;
const USER_AGENT: usize = 1024;
const NAME: usize = 300;

fn scheme(record: &Record<'_>) -> &'static str {
    if record.is_https { "https" } else { "http" }
}

fn put_client(out: &mut Vec<u8>, client: IpAddr) {
    let _ = write!(out, "{}", client.to_canonical());
}

fn put_seconds(out: &mut Vec<u8>, time: Duration) {
    let _ = write!(out, "{}.{:06}", time.as_secs(), time.subsec_micros());
}

/// Text between quotes of the combined format.
fn put_text(out: &mut Vec<u8>, text: &[u8], limit: usize) {
    let mut field = Field { out, left: limit };
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let run = rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len());
        let (plain, next) = rest.split_at(run);
        let fits = if plain.is_empty() { field.push_hex(first) } else { field.push_run(plain) };
        if !fits {
            return;
        }
        rest = if plain.is_empty() { after } else { next };
    }
}

/// `,"name":"text"` of the JSON format.
fn put_json(out: &mut Vec<u8>, name: &str, text: &[u8], limit: usize) {
    let _ = write!(out, ",\"{name}\":\"");
    let mut field = Field { out, left: limit };
    for chunk in text.utf8_chunks() {
        let is_bad = !chunk.invalid().is_empty();
        if !put_json_text(&mut field, chunk.valid()) || (is_bad && !field.push(b"\\ufffd")) {
            break;
        }
    }
    out.push(b'"');
}

fn put_json_text(field: &mut Field<'_>, text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.bytes().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
        let (plain, escaped) = rest.split_at(run);
        let mut characters = escaped.chars();
        let fits = field.push_run(plain.as_bytes()) && characters.next().is_none_or(|one| field.push_json(one));
        if !fits {
            return false;
        }
        rest = characters.as_str();
    }
    true
}

/// Needs no escape in either format.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// A text on its way into a line: everything returns false once the limit is reached and the text cut.
struct Field<'o> {
    out: &'o mut Vec<u8>,
    left: usize,
}

impl Field<'_> {
    /// Bytes of which a part may be taken.
    fn push_run(&mut self, run: &[u8]) -> bool {
        let part = run.get(..self.left).unwrap_or(run);
        self.push(part) && (part.len() == run.len() || self.cut())
    }

    /// Bytes that stand or fall together.
    fn push(&mut self, piece: &[u8]) -> bool {
        let Some(left) = self.left.checked_sub(piece.len()) else { return self.cut() };
        self.left = left;
        self.out.extend_from_slice(piece);
        true
    }

    fn push_hex(&mut self, byte: u8) -> bool {
        self.push(&[b'\\', b'x', hex(byte >> 4), hex(byte)])
    }

    fn push_json(&mut self, one: char) -> bool {
        match one {
            '"' => self.push(b"\\\""),
            '\\' => self.push(b"\\\\"),
            _ => one.encode_utf16(&mut [0; 2]).iter().all(|unit| {
                let [high, low] = unit.to_be_bytes();
                self.push(&[b'\\', b'u', hex(high >> 4), hex(high), hex(low >> 4), hex(low)])
            }),
        }
    }

    fn cut(&mut self) -> bool {
        self.out.extend_from_slice(b"...");
        false
    }
}

/// The low four bits as a digit.
fn hex(bits: u8) -> u8 {
    match bits & 15 {
        digit @ 0..=9 => b'0' + digit,
        digit => b'a' + (digit - 10),
    }
}

/// The date's text, made once a second.
pub struct Dates {
    second: i64,
    /// `10/Oct/2000:13:55:36 +0000`
    common: [u8; 26],
    /// `2000-10-10T13:55:36`
    rfc3339: [u8; 19],
}

impl Dates {
    /// Holds no date yet.
    pub fn new() -> Dates {
        Dates { second: i64::MIN, common: [b'-'; 26], rfc3339: [b'-'; 19] }
    }

    fn set(&mut self, now: Now) {
        if self.second == now.unix() {
            return;
        }
        self.second = now.unix();
        // `Sun, 06 Nov 1994 08:49:37 GMT` holds everything that both forms need.
        let [_, _, _, _, _, d1, d2, _, m1, m2, m3, _, y1, y2, y3, y4, _, time @ .., _, _, _, _] =
            HttpDate(self.second).format();
        let [h1, h2, _, i1, i2, _, s1, s2] = time;
        let [n1, n2] = month(&[m1, m2, m3]);
        self.common = [
            d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':', h1, h2, b':', i1, i2, b':', s1, s2, b' ', b'+', b'0',
            b'0', b'0', b'0',
        ];
        self.rfc3339 = [y1, y2, y3, y4, b'-', n1, n2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2];
    }
}

/// The month's two digits.
fn month(name: &[u8; 3]) -> [u8; 2] {
    match name {
        b"Jan" => *b"01",
        b"Feb" => *b"02",
        b"Mar" => *b"03",
        b"Apr" => *b"04",
        b"May" => *b"05",
        b"Jun" => *b"06",
        b"Jul" => *b"07",
        b"Aug" => *b"08",
        b"Sep" => *b"09",
        b"Oct" => *b"10",
        b"Nov" => *b"11",
        _ => *b"12",
    }
}
