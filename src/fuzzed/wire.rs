//! Heads and bodies of both sides: the same however the bytes are split, and clean once they are taken.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Fault, hold, slow};
use crate::config::{Config, Site};
use crate::http1::{
    BodyError, BodyLength, BodyReader, ConnectionOptions, HeadLimits, HeadScan, LAST_CHUNK, Parsed, RequestError,
    RequestHead, ResponseError, ResponseHead, Slots, write_chunk_size,
};
use crate::origin::{OriginRequest, Origins, Resolver};
use crate::store::StoredHead;

/// The limits of a default configuration.
const CLIENT: HeadLimits = HeadLimits { line: 16 << 10, head: 32 << 10, fields: 100 };

/// Limits that short inputs pass too.
const SMALL: HeadLimits = HeadLimits { line: 64, head: 200, fields: 4 };

/// What a request says, apart from where it lies.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    words: Vec<String>,
    fields: Vec<(String, Vec<u8>)>,
    body: BodyLength,
    flags: [bool; 2],
    len: usize,
}

fn said(head: &RequestHead<'_, '_>) -> Said {
    Said {
        words: [head.method, &*head.target, head.authority, head.host()].map(str::to_owned).into(),
        fields: head.fields().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        body: head.body,
        flags: [head.keep_alive, head.expects_continue],
        len: head.len,
    }
}

fn parse_request(data: &[u8], limits: &HeadLimits, scan: &mut HeadScan) -> Result<Parsed<Said>, RequestError> {
    let mut slots = Slots::new();
    RequestHead::parse(data, limits, scan, &mut slots).map(|parsed| match parsed {
        Parsed::Partial => Parsed::Partial,
        Parsed::Whole(head) => Parsed::Whole(said(&head)),
    })
}

/// A request head and the body behind it.
pub fn request_head(data: &[u8]) -> Result<(), Fault> {
    let whole = parse_request(data, &CLIENT, &mut HeadScan::default());
    agree(data, &CLIENT, &whole)?;
    agree(data, &SMALL, &parse_request(data, &SMALL, &mut HeadScan::default()))?;
    let mut scan = HeadScan::default();
    let mut dripped = Ok(Parsed::Partial);
    for end in 0..=data.len() {
        dripped = parse_request(data.get(..end).unwrap_or_default(), &CLIENT, &mut scan);
        if dripped != Ok(Parsed::Partial) {
            break;
        }
    }
    hold(whole == dripped, || format!("whole {whole:?}, byte by byte {dripped:?}"))?;
    let said = match whole {
        Ok(Parsed::Whole(said)) => said,
        Ok(Parsed::Partial) => return Ok(()),
        Err(error) => {
            return hold(matches!(error.status, 400 | 405 | 414 | 417 | 431 | 501 | 505), || format!("{error:?}"));
        }
    };
    check_request(&said)?;
    body(data.get(said.len..).unwrap_or_default(), said.body)
}

/// The slow reader takes it too and says the same, or refuses it too.
fn agree(data: &[u8], limits: &HeadLimits, found: &Result<Parsed<Said>, RequestError>) -> Result<(), Fault> {
    let slow = slow::request(data, limits);
    let is_same = match (found, &slow) {
        (Ok(Parsed::Whole(said)), Some(slow)) => {
            said.words == slow.words
                && said.body == slow.body
                && said.len == slow.head.len
                && is_equal(&said.fields, &slow.head.fields)
        }
        (found, slow) => !matches!(found, Ok(Parsed::Whole(_))) && slow.is_none(),
    };
    hold(is_same, || format!("{found:?}, and read slowly {:?}", slow.map(|slow| slow.words)))
}

fn is_equal(fields: &[(String, Vec<u8>)], slow: &[(&str, &[u8])]) -> bool {
    fields.len() == slow.len() && fields.iter().zip(slow).all(|(one, other)| one.0 == other.0 && one.1 == other.1)
}

fn check_request(said: &Said) -> Result<(), Fault> {
    let is_visible = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
    hold(said.words.iter().all(is_visible), || format!("a word that is none: {:?}", said.words))?;
    check_fields(said.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
    let count = |wanted: &str| said.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).count();
    hold(count("host") <= 1 && count("content-length") + count("transfer-encoding") <= 1, || {
        format!("fields that contradict: {:?}", said.fields)
    })?;
    // Written anew it is the same request.
    let [method, target, authority, _] = said.words.as_slice() else { return Err("four words".into()) };
    let mut text = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    for (name, value) in &said.fields {
        if !name.eq_ignore_ascii_case("host") {
            text.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
    }
    text.extend(format!("Host: {}\r\n\r\n", if authority.is_empty() { "a" } else { authority }).into_bytes());
    if text.len() > CLIENT.head || text.iter().position(|byte| *byte == b'\r').is_some_and(|line| line > CLIENT.line) {
        return Ok(());
    }
    match parse_request(&text, &CLIENT, &mut HeadScan::default()) {
        Ok(Parsed::Whole(again)) => hold(
            again.words.first() == Some(method) && again.words.get(1) == Some(target) && again.body == said.body,
            || format!("{said:?} became {again:?}"),
        ),
        Err(RequestError { status: 431, .. }) => Ok(()),
        other => Err(format!("{:?} became {other:?}", String::from_utf8_lossy(&text))),
    }
}

/// Names are tokens, values have no control bytes but HTAB, and asking for what Connection lists breaks nothing.
fn check_fields<'f>(fields: impl Iterator<Item = (&'f str, &'f [u8])> + Clone) -> Result<(), Fault> {
    let options = ConnectionOptions::of(fields.clone());
    for (name, value) in fields {
        let is_token = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_graphic() && !b":()<>@,;\\\"/[]?={}".contains(&byte));
        let is_text = value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
        hold(is_token && is_text, || format!("the field {name:?}: {value:?}"))?;
        let guards = ["host", "content-length", "cache-control", "set-cookie", "authorization", "vary"];
        let is_guard = guards.iter().any(|guard| guard.eq_ignore_ascii_case(name));
        hold(!(is_guard && options.drops(name)), || format!("{name} is dropped"))?;
    }
    Ok(())
}

/// A body under that framing: the same data however it is split, never a byte more than there are.
fn body(data: &[u8], length: BodyLength) -> Result<(), Fault> {
    let whole = decode(data, length, data.len().max(1));
    for step in [1, 2, 7] {
        let split = decode(data, length, step);
        hold(whole == split, || format!("whole {whole:?}, by {step} {split:?}"))?;
    }
    let Decoded { data: decoded, used, end } = whole;
    if length == BodyLength::Chunked {
        let slow = slow::chunked(data);
        let is_same = match &slow {
            Some((data, len)) => end == Ok(true) && *data == decoded && *len == used,
            None => end != Ok(true),
        };
        hold(is_same, || format!("{end:?} at {used} with {decoded:?}, and read slowly {slow:?}"))?;
    }
    hold(used <= data.len() && decoded.len() <= used, || format!("{used} of {}", data.len()))?;
    if end == Ok(true) && length == BodyLength::Chunked {
        let mut text = Vec::new();
        for chunk in decoded.chunks(3) {
            write_chunk_size(&mut text, chunk.len() as u64);
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(LAST_CHUNK);
        let again = decode(&text, length, 5);
        hold(again.data == decoded && again.end == Ok(true), || format!("{decoded:?} became {again:?}"))?;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    data: Vec<u8>,
    used: usize,
    /// The body's end has come.
    end: Result<bool, BodyError>,
}

fn decode(input: &[u8], length: BodyLength, step: usize) -> Decoded {
    let mut reader = BodyReader::new(length);
    let mut decoded = Decoded { data: Vec::new(), used: 0, end: Ok(reader.is_done()) };
    let mut shown = 0;
    while decoded.end == Ok(false) && decoded.used < input.len() {
        shown = if shown == decoded.used { shown.saturating_add(step).min(input.len()) } else { shown };
        let piece = input.get(decoded.used..shown).unwrap_or_default();
        match reader.read(piece) {
            Ok(read) => {
                decoded.data.extend_from_slice(piece.get(read.data).unwrap_or_default());
                decoded.used = decoded.used.saturating_add(read.consumed);
                decoded.end = Ok(read.is_done);
            }
            Err(error) => {
                // How far the fault lies is not the same for every split.
                decoded.used = 0;
                decoded.data.clear();
                decoded.end = Err(error);
            }
        }
    }
    decoded
}

/// A chunked body.
pub fn chunked_body(data: &[u8]) -> Result<(), Fault> {
    body(data, BodyLength::Chunked)
}

/// What an answer's head says.
type Answered = (u16, bool, Vec<(String, Vec<u8>)>, Result<BodyLength, ResponseError>, usize);

fn parse_response(data: &[u8], scan: &mut HeadScan) -> Result<Parsed<Answered>, ResponseError> {
    ResponseHead::parse(data, &HeadLimits::ORIGIN, scan).map(|parsed| match parsed {
        Parsed::Partial => Parsed::Partial,
        Parsed::Whole((head, len)) => {
            let fields = head.fields().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
            Parsed::Whole((head.status, head.keep_alive, fields, head.body("GET"), len))
        }
    })
}

/// A response head, the body behind it, and the head that would be stored.
pub fn response_head(data: &[u8]) -> Result<(), Fault> {
    let whole = parse_response(data, &mut HeadScan::default());
    let mut scan = HeadScan::default();
    let mut dripped = Ok(Parsed::Partial);
    for end in 0..=data.len() {
        dripped = parse_response(data.get(..end).unwrap_or_default(), &mut scan);
        if dripped != Ok(Parsed::Partial) {
            break;
        }
    }
    hold(whole == dripped, || format!("whole {whole:?}, byte by byte {dripped:?}"))?;
    let slow = slow::response(data);
    let is_same = match (&whole, &slow) {
        (Ok(Parsed::Whole((status, _, fields, body, len))), Some(slow)) => {
            (*status, *len, body.ok()) == (slow.status, slow.head.len, slow.body) && is_equal(fields, &slow.head.fields)
        }
        (whole, slow) => !matches!(whole, Ok(Parsed::Whole(_))) && slow.is_none(),
    };
    hold(is_same, || format!("{whole:?}, and read slowly {:?}", slow.map(|slow| (slow.status, slow.body))))?;
    let Ok(Parsed::Whole((status, _, fields, length, len))) = whole else { return Ok(()) };
    check_fields(fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
    let stored = fields.iter().fold(StoredHead::builder(status), |head, (name, value)| head.field(name, value));
    let stored = stored.build();
    let again: Vec<_> = stored.fields().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    hold(stored.status() == status && again == fields, || format!("{fields:?} is stored as {again:?}"))?;
    match length {
        Ok(length) => body(data.get(len..).unwrap_or_default(), length),
        Err(_) => Ok(()),
    }
}

/// One origin for the whole process, which says to each connection what it was told last, and closes.
struct Loopback {
    origins: Origins,
    site: Arc<Site>,
    answer: Arc<Mutex<Vec<u8>>>,
}

fn loopback() -> Option<&'static Loopback> {
    static ONE: OnceLock<Option<Loopback>> = OnceLock::new();
    ONE.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        let text = format!(
            "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [\"{}\"]\nretries = 0\n",
            listener.local_addr().ok()?
        );
        let config = Config::parse(&text, Path::new("")).ok()?;
        let answer: Arc<Mutex<Vec<u8>>> = Arc::default();
        let said = answer.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else { continue };
                let bytes = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let _ = connection.read(&mut [0; 4096]);
                let _ = connection.write_all(&bytes);
                let _ = connection.shutdown(Shutdown::Both);
            }
        });
        let site = config.sites.first()?.clone();
        Some(Loopback { origins: Origins::new(Resolver::system(), Vec::new()), site, answer })
    })
    .as_ref()
}

/// A whole answer through a real fetch: what is taken for whole is what the same bytes say when they are read slowly.
pub fn fetched_response(data: &[u8]) -> Result<(), Fault> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let loopback = loopback().ok_or("no loopback origin")?;
    data.clone_into(&mut *loopback.answer.lock().unwrap_or_else(PoisonError::into_inner));
    let request =
        OriginRequest { method: "GET", target: "/", host: "a.test", client_is_https: false, fields: &[], body: None };
    let mut got = None;
    if let Ok(mut fetched) = loopback.origins.send(&loopback.site, &request, None) {
        let (mut body, mut room) = (Vec::new(), [0; 4096]);
        loop {
            match fetched.body.read(&mut room) {
                Ok(0) => break got = Some((fetched.head.status, body)),
                Ok(count) => body.extend_from_slice(room.get(..count).unwrap_or_default()),
                Err(_) => break,
            }
        }
    }
    let expected = at_rest(data);
    // A 400 that says so is the complaint of a TLS port, which is a failure of the fetch.
    let may_be_complaint = got.is_none() && matches!(expected, Some((400, _)));
    hold(got == expected || may_be_complaint, || format!("fetched {got:?}, read slowly {expected:?}"))
}

/// The final status and whole body that the bytes are, if they are.
fn at_rest(data: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut rest = data;
    for _ in 0..=16 {
        let response = slow::response(rest)?;
        rest = rest.get(response.head.len..)?;
        let body = match response.body? {
            _ if response.status == 101 => return None,
            _ if response.status < 200 => continue,
            BodyLength::None => Vec::new(),
            BodyLength::Exact(length) => rest.get(..usize::try_from(length).ok()?)?.to_vec(),
            BodyLength::Chunked => slow::chunked(rest)?.0,
            BodyLength::UntilClose => rest.to_vec(),
        };
        return Some((response.status, body));
    }
    None
}
