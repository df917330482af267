//! Connections that serve again, and those that must not.

use std::io::Write;
use std::sync::mpsc;

use super::tests_support::*;
use super::*;
use crate::status::ProxyError;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn one_connection_serves_many_requests() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let rows: [&'static [u8]; 3] =
        [OK, chunked, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"];
    for response in rows {
        let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
            for _ in 0..3 {
                assert!(read_head(&mut stream).starts_with("GET /x "));
                stream.write_all(response).unwrap();
            }
        })]);
        let origins = origins();
        for round in 0..3 {
            let mut fetched = origins.send(&site(&[origin.address]), &get(), None).unwrap();
            assert_eq!(fetched.report.is_reused, round > 0);
            assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
        }
        assert_eq!(origins.idle_connections(), 1);
        origin.finish();
    }
}

#[test]
fn a_connection_that_may_not_serve_again_does_not() {
    let rows: [&'static [u8]; 6] = [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nH",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok",
    ];
    for response in rows {
        let origin = ScriptedOrigin::new(vec![answer(response), answer(OK)]);
        let origins = origins();
        assert_eq!(fetch(&origins, &site(&[origin.address])).unwrap().1, b"ok");
        origins.keep(&[]);
        assert_eq!(origins.idle_connections(), 0, "{}", String::from_utf8_lossy(response));
        let second = origins.send(&site(&[origin.address]), &get(), None).unwrap();
        assert!(!second.report.is_reused);
        origin.finish();
    }
}

#[test]
fn bytes_behind_a_body_never_reach_another_request() {
    let (go_on, wait) = mpsc::channel::<()>();
    let (sent, told) = mpsc::channel::<()>();
    let origin = ScriptedOrigin::new(vec![
        script(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(OK).unwrap();
            // Only now, when the connection rests in the pool, comes the answer that nobody asked for.
            wait.recv().unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").unwrap();
            sent.send(()).unwrap();
            until_closed(&mut stream);
        }),
        answer(OK),
    ]);
    let origins = origins();
    let site = site(&[origin.address]);
    assert_eq!(fetch(&origins, &site).unwrap().1, b"ok");
    assert_eq!(origins.idle_connections(), 1);
    go_on.send(()).unwrap();
    told.recv().unwrap();
    assert_eq!(fetch(&origins, &site).unwrap().1, b"ok");
    origin.finish();
}

#[test]
fn a_body_left_unread_closes_its_connection() {
    let origin = ScriptedOrigin::new(vec![
        script(|mut stream| {
            read_head(&mut stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell").unwrap();
            assert_eq!(until_closed(&mut stream), b"");
        }),
        answer(OK),
    ]);
    let origins = origins();
    let site = site(&[origin.address]);
    let mut fetched = origins.send(&site, &get(), None).unwrap();
    let _ = fetched.body.read(&mut [0; 2]).unwrap();
    drop(fetched);
    assert_eq!(fetch(&origins, &site).unwrap().1, b"ok");
    origin.finish();
}

/// Serves once, then takes the next request and dies without a word; the connections after that answer.
fn stale_origin(dies: fn(std::net::TcpStream)) -> ScriptedOrigin {
    ScriptedOrigin::new(vec![
        script(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(OK).unwrap();
            // The probe sees a healthy connection; the request is read and then the origin closes.
            read_head(&mut stream);
            dies(stream);
        }),
        answer(OK),
    ])
}

#[test]
fn a_stale_connection_is_replaced_once_and_nobody_notices() {
    for dies in [drop as fn(std::net::TcpStream), reset] {
        let origin = stale_origin(dies);
        let origins = origins();
        let site = site(&[origin.address]);
        assert_eq!(fetch(&origins, &site).unwrap().1, b"ok");
        let mut fetched = origins.send(&site, &get(), None).unwrap();
        assert_eq!((fetched.report.attempts, fetched.report.is_reused), (2, false));
        assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
        origin.finish();
    }
}

#[test]
fn a_stale_connection_is_no_excuse_to_repeat_a_post() {
    let origin = stale_origin(drop);
    let origins = origins();
    let site = site(&[origin.address]);
    assert_eq!(fetch(&origins, &site).unwrap().1, b"ok");
    let error = origins.send(&site, &request("POST"), None).unwrap_err();
    assert_eq!(error.error, ProxyError::ConnectionTerminated);
}

#[test]
fn an_origin_that_closed_an_idle_connection_costs_nothing() {
    let (closed, told) = mpsc::channel();
    let origin = ScriptedOrigin::new(vec![
        script(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(OK).unwrap();
            // The client has the whole body once it says so; then the origin's idle time is over.
            drop(stream);
            closed.send(()).unwrap();
        }),
        answer(OK),
    ]);
    let origins = origins();
    let site = site(&[origin.address]);
    assert_eq!(fetch(&origins, &site).unwrap().1, b"ok");
    told.recv().unwrap();
    let fetched = origins.send(&site, &get(), None).unwrap();
    assert_eq!((fetched.report.attempts, fetched.report.is_reused), (1, false));
    origin.finish();
}

#[test]
fn other_hosts_of_a_plain_origin_share_its_connections() {
    let origin = ScriptedOrigin::new(vec![script(|mut stream| {
        assert_eq!(field(&read_head(&mut stream), "host"), Some("a.example"));
        stream.write_all(OK).unwrap();
        assert_eq!(field(&read_head(&mut stream), "host"), Some("b.example"));
        stream.write_all(OK).unwrap();
    })]);
    let origins = origins();
    for host in ["a.example", "b.example"] {
        let request = OriginRequest { host, ..get() };
        let mut fetched = origins.send(&site(&[origin.address]), &request, None).unwrap();
        assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
    }
    origin.finish();
}
