//! Exact lines for a table of records, in both formats.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::line::{Dates, Format, MAX_LINE, write_line};
use super::record::{CacheResult, FetchTimes, Record, RequestId};
use crate::status::{Phase, ProxyError};
use crate::time::Now;

/// 10 October 2000, 13:55:36.250 UTC.
pub const NOW: Now = Now { wall: Duration::from_millis(971_186_136_250), monotonic: Duration::from_secs(50) };

/// A hit by curl.
pub fn plain() -> Record<'static> {
    Record {
        id: RequestId(0xab),
        client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        is_https: false,
        method: b"GET",
        target: b"/x?q=1",
        version: "HTTP/1.1",
        host: b"www.example.com",
        referer: None,
        user_agent: None,
        site: "www.example.com",
        status: 200,
        bytes: 123,
        is_cut: false,
        cache: CacheResult::Hit,
        reason: "",
        duration: Duration::from_micros(45),
        fetch: FetchTimes::default(),
        origin: None,
        cause: None,
    }
}

fn failed() -> Record<'static> {
    Record {
        id: RequestId(0x0123_4567_89ab_cdef_0000_0000_0000_0001),
        client: "::ffff:192.0.2.8".parse().unwrap(),
        is_https: true,
        referer: Some(b"https://example.com/"),
        user_agent: Some(b"curl/8.0"),
        status: 502,
        is_cut: true,
        cache: CacheResult::Error,
        reason: "uri-miss",
        duration: Duration::from_millis(3_004),
        fetch: FetchTimes {
            dns: Some(Duration::from_micros(1_500)),
            connect: Some(Duration::from_secs(3)),
            ..FetchTimes::default()
        },
        origin: Some("[2001:db8::1]:443".parse().unwrap()),
        cause: Some((ProxyError::ConnectionRefused, Phase::Connect)),
        ..plain()
    }
}

fn unread() -> Record<'static> {
    Record {
        client: "2001:db8::9".parse().unwrap(),
        method: b"",
        target: b"",
        version: "",
        host: b"",
        site: "",
        status: 400,
        bytes: 0,
        cache: CacheResult::Local,
        reason: "bare-lf",
        ..plain()
    }
}

fn line(format: Format, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    write_line(&mut out, format, &mut Dates::new(), NOW, record);
    String::from_utf8(out).unwrap()
}

fn check(record: &Record<'_>, combined: &str, json: &str) {
    assert_eq!(line(Format::Combined, record), format!("{combined}\n"));
    assert_eq!(line(Format::Json, record), format!("{json}\n"));
}

#[test]
fn a_hit_is_a_short_line() {
    check(
        &plain(),
        r#"192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET /x?q=1 HTTP/1.1" 200 123 "-" "-" id=00000000000000ab scheme=http host="www.example.com" site="www.example.com" cache=hit time=0.000045"#,
        r#"{"time":"2000-10-10T13:55:36.250Z","client":"192.0.2.7","id":"00000000000000ab","scheme":"http","method":"GET","host":"www.example.com","target":"/x?q=1","version":"HTTP/1.1","status":200,"bytes":123,"seconds":0.000045,"site":"www.example.com","cache":"hit"}"#,
    );
}

#[test]
fn a_failed_fetch_says_where_and_why() {
    check(
        &failed(),
        r#"192.0.2.8 - - [10/Oct/2000:13:55:36 +0000] "GET /x?q=1 HTTP/1.1" 502 123 "https://example.com/" "curl/8.0" id=0123456789abcdef0000000000000001 scheme=https host="www.example.com" site="www.example.com" cache=error why=uri-miss time=3.004000 fetch=dns:0.001500,connect:3.000000 origin=[2001:db8::1]:443 cause=connection_refused phase=connect cut=yes"#,
        r#"{"time":"2000-10-10T13:55:36.250Z","client":"192.0.2.8","id":"0123456789abcdef0000000000000001","scheme":"https","method":"GET","host":"www.example.com","target":"/x?q=1","version":"HTTP/1.1","status":502,"bytes":123,"seconds":3.004000,"site":"www.example.com","cache":"error","why":"uri-miss","referer":"https://example.com/","agent":"curl/8.0","fetch":{"dns":0.001500,"connect":3.000000},"origin":"[2001:db8::1]:443","cause":"connection_refused","phase":"connect","cut":true}"#,
    );
}

#[test]
fn a_head_that_could_not_be_read_has_a_line_too() {
    check(
        &unread(),
        r#"2001:db8::9 - - [10/Oct/2000:13:55:36 +0000] "-" 400 0 "-" "-" id=00000000000000ab scheme=http host="" site="" cache=local why=bare-lf time=0.000045"#,
        r#"{"time":"2000-10-10T13:55:36.250Z","client":"2001:db8::9","id":"00000000000000ab","scheme":"http","method":"","host":"","target":"","version":"","status":400,"bytes":0,"seconds":0.000045,"site":"","cache":"local","why":"bare-lf"}"#,
    );
}

#[test]
fn hostile_bytes_are_escaped() {
    let rows: [(&[u8], &str, &str); 7] = [
        (b"a\r\nb", r"a\x0d\x0ab", r"a\u000d\u000ab"),
        (br#"" 200 0 "-" x=y"#, r"\x22 200 0 \x22-\x22 x=y", r#"\" 200 0 \"-\" x=y"#),
        (br"end\", r"end\x5c", r"end\\"),
        (b"\x1b[2J\0\x7f", r"\x1b[2J\x00\x7f", r"\u001b[2J\u0000\u007f"),
        ("é\u{2028}".as_bytes(), r"\xc3\xa9\xe2\x80\xa8", r"\u00e9\u2028"),
        ("😀".as_bytes(), r"\xf0\x9f\x98\x80", r"\ud83d\ude00"),
        (b"a\xffb\xc3", r"a\xffb\xc3", r"a\ufffdb\ufffd"),
    ];
    for (agent, combined, json) in rows {
        let record = Record { user_agent: Some(agent), ..plain() };
        assert!(line(Format::Combined, &record).contains(&format!("\"-\" \"{combined}\" id=")), "{combined}");
        assert!(line(Format::Json, &record).contains(&format!(",\"agent\":\"{json}\"}}")), "{json}");
    }
}

#[test]
fn every_byte_in_every_text_stays_on_one_line_of_printable_ascii() {
    let bytes: Vec<u8> = (0..=255).collect();
    let record = Record {
        method: &bytes,
        target: &bytes,
        host: &bytes,
        referer: Some(&bytes),
        user_agent: Some(&bytes),
        site: "\"\n\u{85}",
        ..plain()
    };
    for (format, quotes) in [(Format::Combined, 10), (Format::Json, 0)] {
        let line = line(format, &record);
        let (text, end) = line.split_at(line.len() - 1);
        assert!(end == "\n" && text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
        // In the combined format every quote is one of ours.
        assert!(quotes == 0 || text.matches('"').count() == quotes, "{text}");
    }
}

#[test]
fn a_text_over_its_limit_is_cut_between_escapes() {
    let long = vec![b'a'; 9_000];
    let record = Record { target: &long, ..plain() };
    let expected = format!("\"GET {}... HTTP/1.1\"", "a".repeat(8 * 1024));
    assert!(line(Format::Combined, &record).contains(&expected));
    let agent = vec![b'\n'; 1_000];
    let record = Record { user_agent: Some(&agent), ..plain() };
    assert!(line(Format::Json, &record).contains(&format!("\"agent\":\"{}...\"", "\\u000a".repeat(170))));
}

#[test]
fn no_line_is_longer_than_its_limit() {
    let worst = vec![0xff; 70_000];
    let site = "\n".repeat(1_000);
    let record = Record {
        method: &worst,
        target: &worst,
        host: &worst,
        referer: Some(&worst),
        user_agent: Some(&worst),
        site: &site,
        bytes: u64::MAX,
        duration: Duration::MAX,
        ..failed()
    };
    for format in [Format::Combined, Format::Json] {
        assert!(line(format, &record).len() < MAX_LINE);
    }
}

#[test]
fn the_date_follows_the_clock() {
    let mut dates = Dates::new();
    let mut out = Vec::new();
    for seconds in [971_186_136, 0] {
        let now = Now { wall: Duration::from_secs(seconds), ..NOW };
        write_line(&mut out, Format::Combined, &mut dates, now, &plain());
    }
    let text = String::from_utf8(out).unwrap();
    let dates: Vec<_> = text.lines().map(|line| &line[14..42]).collect();
    assert_eq!(dates, ["[10/Oct/2000:13:55:36 +0000]", "[01/Jan/1970:00:00:00 +0000]"]);
}
