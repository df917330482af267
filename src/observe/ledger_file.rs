//! The ledger as text: a line a row, fields between tabs, and as strict in reading as in writing.
//!
//! Within a field every byte that is not printable ASCII, and the backslash, is written `\xHH`; `-` stands for nothing, and a
//! field that is that very text for `\x2d`. Times are milliseconds since the Unix epoch, durations microseconds. Knows no
//! file: what surrounds the text (version, checksum) is the business of whoever keeps it.

use std::net::SocketAddr;
use std::str::Split;
use std::time::Duration;

use super::failure::{CERTIFICATE_NAMES, DETAIL, FailureExample, FailureRow, HEAD_START, NAME, SERVER, WORD};
use super::record::FetchTimes;
use crate::status::{Phase, ProxyError};

/// What a text holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Rows, their computed parts empty.
    pub rows: Vec<FailureRow>,
    /// Good fetches, with their sites.
    pub goods: Vec<(String, LastGood)>,
}

/// The last good fetch of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGood {
    /// `name:port`
    pub server: String,
    /// The address.
    pub address: SocketAddr,
    /// When, since the Unix epoch.
    pub at: Duration,
}

/// Appends the line of a row.
pub fn write_row(out: &mut Vec<u8>, row: &FailureRow) {
    let FetchTimes { queue, dns, connect, tls, first_byte } = row.times;
    let example = &row.example;
    out.extend_from_slice(b"row");
    put(out, row.site.as_bytes());
    put(out, row.server.as_bytes());
    put_any(out, row.address);
    put(out, row.cause.as_bytes());
    put(out, row.phase.as_bytes());
    put_any(out, Some(row.count));
    put_any(out, Some(row.made_good));
    put_any(out, Some(row.known_addresses));
    for moment in [row.first, row.last, example.when] {
        put_any(out, Some(moment.as_millis()));
    }
    for time in [queue, dns, connect, tls, first_byte] {
        put_any(out, time.map(|time| time.as_micros()));
    }
    put(out, example.request.as_bytes());
    put_any(out, example.alert);
    put(out, example.rcode.as_deref().unwrap_or_default().as_bytes());
    put(out, example.sni.as_deref().unwrap_or_default().as_bytes());
    put(out, example.certificate_names.join(BETWEEN_NAMES).as_bytes());
    put(out, example.detail.as_bytes());
    put(out, &example.head_start);
    out.push(b'\n');
}

/// Appends the line of a good fetch.
pub fn write_good(out: &mut Vec<u8>, site: &str, good: &LastGood) {
    out.extend_from_slice(b"good");
    put(out, site.as_bytes());
    put(out, good.server.as_bytes());
    put_any(out, Some(good.address));
    put_any(out, Some(good.at.as_millis()));
    out.push(b'\n');
}

/// Reads a whole text; one line that is wrong spoils it all.
///
/// # Errors
/// The line, counted from 1, and what is wrong with it.
pub fn read(text: &[u8]) -> Result<Contents, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    let mut contents = Contents::default();
    for (index, line) in text.lines().enumerate() {
        read_line(line, &mut contents).map_err(|what| format!("line {}: {what}", index + 1))?;
    }
    Ok(contents)
}

fn read_line(line: &str, contents: &mut Contents) -> Result<(), &'static str> {
    let mut fields = Fields(line.split('\t'));
    match fields.next()? {
        "row" => contents.rows.push(fields.row()?),
        "good" => {
            let site = fields.text(NAME)?;
            let (server, address, at) = (fields.text(SERVER)?, fields.any()?, fields.moment()?);
            contents.goods.push((site, LastGood { server, address: address.ok_or("no address")?, at }));
        }
        _ => return Err("neither a row nor a good fetch"),
    }
    if fields.0.next().is_some() { Err("too many fields") } else { Ok(()) }
}

/// The fields of a line, read in order.
pub(super) struct Fields<'t>(pub(super) Split<'t, char>);

impl<'t> Fields<'t> {
    fn row(&mut self) -> Result<FailureRow, &'static str> {
        let (site, server, address) = (self.text(NAME)?, self.text(SERVER)?, self.any()?);
        let (cause, phase) = (self.next()?, self.next()?);
        let cause = ProxyError::ALL.iter().map(|error| error.token()).find(|token| *token == cause);
        let phase = PHASES.iter().map(|known| known.token()).find(|token| *token == phase);
        let count = self.any::<u64>()?.filter(|count| *count > 0).ok_or("no count")?;
        let made_good = self.any::<u64>()?.filter(|good| *good <= count).ok_or("more made good than failed")?;
        let known_addresses = self.any::<u16>()?.ok_or("no number of addresses")?.into();
        let (first, last, when) = (self.moment()?, self.moment()?, self.moment()?);
        let times = FetchTimes {
            queue: self.duration()?,
            dns: self.duration()?,
            connect: self.duration()?,
            tls: self.duration()?,
            first_byte: self.duration()?,
        };
        Ok(FailureRow {
            site,
            server,
            address,
            cause: cause.ok_or("an unknown cause")?,
            phase: phase.ok_or("an unknown phase")?,
            count,
            made_good,
            first,
            last,
            last_good: None,
            failing_addresses: 0,
            known_addresses,
            times,
            example: self.example(when)?,
        })
    }

    fn example(&mut self, when: Duration) -> Result<FailureExample, &'static str> {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let (request, alert) = (self.text(WORD)?, self.any()?);
        let (rcode, sni) = (some(self.text(WORD)?), some(self.text(NAME)?));
        let names = self.bytes(CERTIFICATE_NAMES)?;
        let names = String::from_utf8(names).map_err(|_| "names that are no text")?;
        let names = names.split(BETWEEN_NAMES).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let (detail, head_start) = (self.text(DETAIL)?, self.bytes(HEAD_START)?);
        let example = FailureExample { when, request, detail, sni, alert, rcode, certificate_names: names, head_start };
        // Whoever wrote the file: what is shown on a terminal is clean.
        if example == example.bounded() { Ok(example) } else { Err("an example that is not ours") }
    }

    pub(super) fn next(&mut self) -> Result<&'t str, &'static str> {
        self.0.next().ok_or("too few fields")
    }

    /// Printable ASCII of at most `most` bytes.
    pub(super) fn text(&mut self, most: usize) -> Result<String, &'static str> {
        let text = String::from_utf8(self.bytes(most)?).map_err(|_| "a text that is none")?;
        let is_clean = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_clean { Ok(text) } else { Err("a text with control characters") }
    }

    pub(super) fn bytes(&mut self, most: usize) -> Result<Vec<u8>, &'static str> {
        let field = self.next()?;
        if field == NOTHING {
            return Ok(Vec::new());
        }
        let mut bytes = Vec::new();
        let mut rest = field.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            if bytes.len() == most {
                return Err("a field that is too long");
            }
            let (byte, next) = match (first, after) {
                (b'\\', [b'x', high, low, next @ ..]) => {
                    (digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low), next)
                }
                (b'\\', _) => (None, after),
                (plain, next) => (Some(*plain), next),
            };
            bytes.push(byte.ok_or("an escape that is none")?);
            rest = next;
        }
        Ok(bytes)
    }

    /// A number, an address, or nothing.
    pub(super) fn any<T: std::str::FromStr>(&mut self) -> Result<Option<T>, &'static str> {
        match self.next()? {
            NOTHING => Ok(None),
            field => field.parse().map(Some).map_err(|_| "a number or address that is none"),
        }
    }

    pub(super) fn moment(&mut self) -> Result<Duration, &'static str> {
        let millis = self.any::<u64>()?.filter(|millis| *millis <= LAST_MOMENT);
        millis.map(Duration::from_millis).ok_or("a time that is none")
    }

    fn duration(&mut self) -> Result<Option<Duration>, &'static str> {
        Ok(self.any::<u64>()?.map(Duration::from_micros))
    }
}

pub(super) fn put_any(out: &mut Vec<u8>, value: Option<impl ToString>) {
    put(out, value.map(|value| value.to_string()).unwrap_or_default().as_bytes());
}

pub(super) fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'\t');
    match text {
        b"" => out.extend_from_slice(NOTHING.as_bytes()),
        b"-" => put_hex(out, b'-'),
        _ => text.iter().for_each(|byte| match byte {
            b' '..=b'~' if *byte != b'\\' => out.push(*byte),
            _ => put_hex(out, *byte),
        }),
    }
}

fn put_hex(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(b"\\x");
    let digits = [byte >> 4, byte & 15].map(|half| char::from_digit(u32::from(half), 16).unwrap_or('0'));
    out.extend(digits.iter().map(|digit| u8::try_from(*digit).unwrap_or(b'0')));
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

const NOTHING: &str = "-";
/// ASCII's unit separator: no name that is kept has it.
pub(super) const BETWEEN_NAMES: &str = "\u{1f}";
const PHASES: [Phase; 7] = [
    Phase::Queue,
    Phase::Resolve,
    Phase::Connect,
    Phase::TlsHandshake,
    Phase::SendRequest,
    Phase::ResponseHead,
    Phase::Body,
];
/// The end of the year 9999.
const LAST_MOMENT: u64 = 253_402_300_799_999;
