//! Requests with bodies.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tests_support::*;
use super::*;
use crate::status::{Phase, ProxyError};

fn upload(bytes: &'static [u8]) -> Option<Upload> {
    sized(bytes.len() as u64, bytes)
}

fn sized(length: u64, bytes: &'static [u8]) -> Option<Upload> {
    Some(Upload { length, open: Box::new(move || Ok(Box::new(bytes))) })
}

/// A body of that many bytes, made as it is read.
fn endless(length: u64) -> Option<Upload> {
    Some(Upload { length, open: Box::new(move || Ok(Box::new(io::repeat(b'u').take(length)))) })
}

fn read_body(stream: &mut impl Read, length: usize) -> Vec<u8> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    body
}

#[test]
fn a_body_goes_out_with_its_length_whatever_the_method() {
    for method in ["POST", "PUT", "DELETE", "GET", "PROPFIND"] {
        let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
            for _ in 0..2 {
                let head = read_head(&mut stream);
                assert!(head.starts_with(method), "{head}");
                assert_eq!(field(&head, "content-length"), Some("5"));
                assert_eq!(field(&head, "transfer-encoding"), None);
                assert_eq!(read_body(&mut stream, 5), b"hello");
                stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        })]);
        let origins = origins();
        for round in 0..2 {
            let request = OriginRequest { body: upload(b"hello"), ..request(method) };
            let fetched = origins.send(&site(&[origin.address]), &request, None).unwrap();
            assert_eq!((fetched.head.status, fetched.report.is_reused), (201, round > 0), "{method}");
        }
        origin.finish();
    }
}

#[test]
fn a_post_without_body_says_so() {
    let origin = ScriptedOrigin::new(vec![script(|mut stream| {
        for _ in 0..2 {
            let head = read_head(&mut stream);
            assert_eq!(field(&head, "content-length"), Some("0"));
            assert_eq!(field(&head, "transfer-encoding"), None);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
    })]);
    let origins = origins();
    let site = site(&[origin.address]);
    assert_eq!(origins.send(&site, &request("POST"), None).unwrap().head.status, 204);
    let empty = OriginRequest { body: upload(b""), ..request("PUT") };
    assert_eq!(origins.send(&site, &empty, None).unwrap().head.status, 204);
    origin.finish();
}

#[test]
fn interim_responses_do_not_stop_an_upload() {
    const LENGTH: usize = 3_000_000;
    let origin = ScriptedOrigin::new(vec![script(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        read_body(&mut stream, LENGTH);
        stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").unwrap();
    })]);
    let request = OriginRequest { body: endless(LENGTH as u64), ..request("POST") };
    let origins = origins();
    assert_eq!(origins.send(&site(&[origin.address]), &request, None).unwrap().head.status, 201);
    assert_eq!(origins.idle_connections(), 1);
    origin.finish();
}

const TOO_LARGE: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 6\r\n\r\nno way";
const HUGE: u64 = 1 << 30;

#[test]
fn an_early_answer_ends_the_upload_and_is_delivered() {
    // The origin answers after the head and closes, resets, or reads on.
    let ends: [fn(std::net::TcpStream); 3] = [drop, reset, until_fin];
    for end in ends {
        let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(TOO_LARGE).unwrap();
            end(stream);
        })]);
        let request = OriginRequest { body: endless(HUGE), ..request("POST") };
        let origins = origins();
        let mut fetched = origins.send(&site(&[origin.address]), &request, None).unwrap();
        assert_eq!(fetched.head.status, 413);
        assert_eq!(read_all(&mut fetched.body).unwrap(), b"no way");
        assert_eq!(origins.idle_connections(), 0);
        drop(fetched);
        origin.finish();
    }
}

#[test]
fn an_early_answer_is_heard_though_the_origin_reads_no_more() {
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(TOO_LARGE).unwrap();
        let _ = wait.recv();
    })]);
    let request = OriginRequest { body: endless(HUGE), ..request("PUT") };
    let mut fetched = origins().send(&site(&[origin.address]), &request, None).unwrap();
    assert_eq!(fetched.head.status, 413);
    assert_eq!(read_all(&mut fetched.body).unwrap(), b"no way");
    drop(stop);
    origin.finish();
}

/// Reads whatever the client still sends, to its end.
fn until_fin(mut stream: std::net::TcpStream) {
    let _ = io::copy(&mut stream, &mut io::sink());
}

#[test]
fn an_early_answer_over_tls_is_delivered() {
    let authority = Authority::new();
    let origin = ScriptedOrigin::new(vec![tls(authority.server(&["www.example"]), |stream| {
        read_head(stream);
        stream.write_all(TOO_LARGE).unwrap();
        close_notify(stream);
    })]);
    let request = OriginRequest { body: endless(HUGE), ..request("POST") };
    let site = tls_site(&[origin.address], &authority);
    let mut fetched = origins().send(&site, &request, None).unwrap();
    assert_eq!(fetched.head.status, 413);
    assert_eq!(read_all(&mut fetched.body).unwrap(), b"no way");
}

#[test]
fn a_large_upload_over_tls_arrives_whole() {
    const LENGTH: usize = 3_000_000;
    let authority = Authority::new();
    let origin = ScriptedOrigin::new(vec![tls(authority.server(&["www.example"]), |stream| {
        read_head(stream);
        assert!(read_body(stream, LENGTH).iter().all(|byte| *byte == b'u'));
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        until_closed(stream);
    })]);
    let request = OriginRequest { body: endless(LENGTH as u64), ..request("PUT") };
    let site = tls_site(&[origin.address], &authority);
    let fetched = origins().send(&site, &request, None).unwrap();
    assert_eq!(fetched.head.status, 204);
    drop(fetched);
}

#[test]
fn an_origin_that_stops_reading_is_a_write_time_out() {
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
        read_head(&mut stream);
        let _ = wait.recv();
    })]);
    let mut site = site(&[origin.address]);
    site.origin.timeouts.between_bytes = Duration::from_millis(30);
    let request = OriginRequest { body: endless(HUGE), ..request("POST") };
    let error = origins().send(&site, &request, None).unwrap_err();
    assert_eq!((error.error, error.phase), (ProxyError::ConnectionWriteTimeout, Phase::SendRequest));
    assert_eq!(error.error.status(), 504);
    drop(stop);
    origin.finish();
}

#[test]
fn a_body_that_cannot_be_read_is_our_fault() {
    let origin = ScriptedOrigin::new(vec![script(|mut stream| drop(until_closed(&mut stream)))]);
    let request = OriginRequest { body: sized(9, b"short"), ..request("PUT") };
    let error = origins().send(&site(&[origin.address]), &request, None).unwrap_err();
    assert_eq!((error.error, error.error.status()), (ProxyError::ProxyInternalError, 500));
    assert!(error.detail.contains("shorter than declared"), "{error}");
    origin.finish();
}

#[test]
fn a_repeatable_upload_is_read_anew_for_the_next_server() {
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    let dead = ScriptedOrigin::new(vec![answer("")]);
    let good = ScriptedOrigin::new(vec![script(|mut stream| {
        read_head(&mut stream);
        assert_eq!(read_body(&mut stream, 5), b"hello");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    })]);
    let open = || {
        OPENED.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(&b"hello"[..]) as Box<dyn Read + Send>)
    };
    let body = Some(Upload { length: 5, open: Box::new(open) });
    let request = OriginRequest { body, ..request("PUT") };
    let fetched = origins().send(&site(&[dead.address, good.address]), &request, None).unwrap();
    assert_eq!((fetched.head.status, OPENED.load(Ordering::SeqCst)), (204, 2));
    dead.finish();
    good.finish();
}
