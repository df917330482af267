//! Bodies, ranges of them, and what range requests for them must bring.

use std::ops::Range;
use std::sync::Mutex;

use super::client::{Client, Response};
use super::origin::Request;
use super::pop::{Pop, request};
use super::reply::Reply;

/// Bytes of which no two stretches are alike, different for each version.
pub fn content(len: usize, version: usize) -> Vec<u8> {
    let seed = (version as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (0..len as u64 / 8 + 1)
        .flat_map(|i| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
        .take(len)
        .collect()
}

/// A thousand ranges in all three forms, from one byte up to 300 KB, with the bytes that they mean.
pub fn thousand(len: usize) -> Vec<(String, Range<usize>)> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit as u64).unwrap()
    };
    let range = |form: usize| {
        let size = 1 + below([10, 5_000, 300_000_usize][form % 3]);
        let start = below(len - size);
        match form % 5 {
            0 => (format!("-{size}"), len - size..len),
            1 => (format!("{}-", len - size), len - size..len),
            _ => (format!("{start}-{}", start + size - 1), start..start + size),
        }
    };
    (0..1000).map(range).collect()
}

/// Asks for all of them on eight connections at once; `is_asked` is called with each range once it is asked for.
pub fn compare(pop: &Pop, body: &[u8], ranges: &[(String, Range<usize>)], is_asked: impl Fn(&Range<usize>) + Sync) {
    let queue = Mutex::new(ranges.iter());
    let ask_on = |mut client: Client| {
        loop {
            let Some((spec, range)) = queue.lock().unwrap().next() else { return };
            client.send(request("GET", "/x", &[&format!("Range: bytes={spec}")]));
            is_asked(range);
            let response = client.response();
            let expected = format!("bytes {}-{}/{}", range.start, range.end - 1, body.len());
            assert_eq!((response.status, response.field("content-range")), (206, Some(expected.as_str())));
            assert!(response.body == body[range.clone()], "{spec}");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| ask_on(pop.client()));
        }
    });
}

/// The parts of a multipart/byteranges answer: the field lines of each, and its bytes.
#[track_caller]
pub fn parts(response: &Response) -> Vec<(String, Vec<u8>)> {
    let media_type = response.field("content-type").unwrap();
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap_or_else(|| panic!("{media_type}"));
    assert!(boundary.len() >= 32 && boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{boundary}");
    let mark = format!("\r\n--{boundary}");
    let mut rest = [b"\r\n", response.body.as_slice()].concat();
    assert!(rest.starts_with(mark.as_bytes()), "a preamble");
    let mut found = Vec::new();
    loop {
        rest.drain(..mark.len());
        if rest == b"--\r\n" {
            return found;
        }
        let end = rest.windows(mark.len()).position(|window| window == mark.as_bytes()).expect("a closing delimiter");
        let part: Vec<u8> = rest.drain(..end).collect();
        let blank = part.windows(4).position(|window| window == b"\r\n\r\n").expect("an empty line in each part");
        let lines = String::from_utf8(part[..blank].to_vec()).unwrap();
        found.push((lines.trim_start().replace("\r\n", "; "), part[blank + 4..].to_vec()));
    }
}

/// What an origin that knows ranges answers.
pub fn ranged(asked: &Request, fields: &[&str], body: &[u8]) -> Reply {
    let Some(spec) = asked.field("range").and_then(|range| range.strip_prefix("bytes=")) else {
        return Reply::response("200 OK", fields, body);
    };
    let (first, last) = spec.split_once('-').unwrap();
    let (first, end) = (first.parse::<usize>().unwrap(), last.parse().map_or(body.len(), |last: usize| last + 1));
    if first >= body.len() {
        return Reply::response("416 Range Not Satisfiable", &[&format!("Content-Range: bytes */{}", body.len())], "");
    }
    let end = end.min(body.len());
    let range = format!("Content-Range: bytes {first}-{}/{}", end - 1, body.len());
    Reply::response("206 Partial Content", &[fields, &[range.as_str()]].concat(), &body[first..end])
}
