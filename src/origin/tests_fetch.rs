//! What an origin can do wrong in plain HTTP, and what it is called (ureq.md section 4).

use std::io::Write;
use std::sync::mpsc;

use super::lookup::LookupFailure;
use super::tests_support::*;
use super::*;
use crate::http1::BodyLength;
use crate::status::{Phase, ProxyError};

/// One origin, one connection, one GET that must fail.
fn failure(first: Script) -> FetchError {
    // A second connection would be refused: nothing listens any more.
    let origin = ScriptedOrigin::new(vec![first]);
    fetch(&origins(), &site(&[origin.address])).unwrap_err()
}

#[test]
fn a_request_is_sent_as_given_and_nothing_is_added() {
    let (sent, seen) = mpsc::channel();
    let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
        sent.send(read_head(&mut stream)).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 Fine\r\nETag: \"x\"\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\nok")
            .unwrap();
    })]);
    let fields: [(&str, &[u8]); 2] = [("accept", b"*/*"), ("x-b", b"1")];
    let request = OriginRequest { target: "//a/../b?c=|", fields: &fields, ..get() };
    let mut fetched = origins().send(&site(&[origin.address]), &request, None).unwrap();
    assert_eq!(seen.recv().unwrap(), "GET //a/../b?c=| HTTP/1.1\r\nhost: www.example\r\naccept: */*\r\nx-b: 1\r\n\r\n");
    assert_eq!(fetched.head.status, 200);
    let names: Vec<_> = fetched.head.fields().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["ETag", "X-A", "x-a", "Content-Length"]);
    assert_eq!(fetched.body.length(), BodyLength::Exact(2));
    assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
    let report = fetched.report;
    assert_eq!((report.address, report.attempts, report.is_reused), (Some(origin.address), 1, false));
    origin.finish();
}

#[test]
fn host_and_target_server_follow_the_settings() {
    let (sent, seen) = mpsc::channel();
    let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
        for _ in 0..3 {
            sent.send(field(&read_head(&mut stream), "host").unwrap().to_owned()).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
    })]);
    let origins = origins();
    let mut site = site(&[origin.address]);
    assert_eq!(fetch(&origins, &site).unwrap().0, 204);
    site.origin.host = Some("site.example:8080".into());
    assert_eq!(fetch(&origins, &site).unwrap().0, 204);
    site.origin.servers[0].host = Some("server.example".into());
    assert_eq!(fetch(&origins, &site).unwrap().0, 204);
    assert_eq!(seen.iter().collect::<Vec<_>>(), ["www.example", "site.example:8080", "server.example"]);
}

#[test]
fn bodies_of_every_framing_are_read_to_their_end() {
    let long = "z".repeat(100_000);
    let rows = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(), "hello"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), ""),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nT: x\r\n\r\n"
                .to_owned(),
            "hello",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello".to_owned(), "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello".to_owned(), "hello"),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(), ""),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", long.len()), &long),
        (format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n{long}\r\n0\r\n\r\n"), &long),
        (format!("HTTP/1.1 200 OK\r\n\r\n{long}"), &long),
        ("HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".to_owned(), "x"),
    ];
    for (response, body) in rows {
        let origin = ScriptedOrigin::new(vec![answer(response.as_bytes())]);
        let (_, read) = fetch(&origins(), &site(&[origin.address])).unwrap();
        assert!(read == body.as_bytes(), "{response:.80}");
        origin.finish();
    }
}

#[test]
fn interim_responses_are_handed_on_before_the_final_one() {
    let (go_on, wait) = mpsc::channel();
    let (hint, hints) = mpsc::channel();
    let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n").unwrap();
        // The final response is held back until the hint has been seen.
        wait.recv().unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    })]);
    let interim: Interim = Arc::new(move |head| {
        hint.send(head.field("link").unwrap().to_vec()).unwrap();
        go_on.send(()).unwrap();
    });
    let fetched = origins().send(&site(&[origin.address]), &get(), Some(interim)).unwrap();
    assert_eq!(fetched.head.status, 204);
    assert_eq!(hints.recv().unwrap(), b"</a.css>");
}

#[test]
fn heads_that_break_the_rules_are_named() {
    use ProxyError as P;
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(300));
    let large = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(70_000));
    let interims = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17);
    let rows: [(&str, ProxyError); 15] = [
        ("SSH-2.0-OpenSSH\r\n\r\n", P::HttpProtocolError),
        ("HTTP/2.0 200 OK\r\n\r\n", P::HttpProtocolError),
        ("HTTP/1.1 999 X\r\n\r\n", P::HttpProtocolError),
        ("<html>hello</html>\r\n", P::HttpProtocolError),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", P::HttpProtocolError),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", P::HttpProtocolError),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", P::HttpProtocolError),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", P::HttpProtocolError),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", P::HttpProtocolError),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", P::HttpResponseTransferCoding),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", P::HttpUpgradeFailed),
        (&interims, P::HttpProtocolError),
        (&many, P::HttpResponseHeaderSectionSize),
        (&large, P::HttpResponseHeaderSectionSize),
        ("\u{15}\u{3}\u{1}\0\u{2}\u{2}F", P::HttpProtocolError),
    ];
    for (response, expected) in rows {
        let error = failure(answer(response));
        assert_eq!((error.error, error.phase), (expected, Phase::ResponseHead), "{response:.60}: {error}");
        assert_eq!(error.error.status(), 502);
        assert!(error.is_after_request);
    }
}

#[test]
fn a_port_that_wants_tls_is_recognised_and_the_setting_named() {
    let page = "<html><center>The plain HTTP request was sent to HTTPS port</center></html>";
    let rows = [
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}F".to_owned(),
        format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{page}", page.len()),
        format!("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n{page}"),
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".to_owned(),
    ];
    for response in rows {
        let error = failure(answer(response));
        assert_eq!((error.error, error.error.status()), (ProxyError::HttpProtocolError, 502));
        assert!(error.detail.contains("set protocol = \"https\""), "{error}");
    }
    let origin = ScriptedOrigin::new(vec![answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nnope")]);
    assert_eq!(fetch(&origins(), &site(&[origin.address])).unwrap(), (400, b"nope".to_vec()));
}

#[test]
fn heads_that_are_cut_are_told_from_no_answer_at_all() {
    use ProxyError as P;
    let rows = [
        (answer(""), P::ConnectionTerminated),
        (answer_and_reset(""), P::ConnectionTerminated),
        (answer("HTTP/1.1 200 OK\r\nA: "), P::HttpResponseIncomplete),
        (answer_and_reset("HTTP/1.1 200 OK\r\nA: "), P::HttpResponseIncomplete),
        (answer("HTTP/1.1 103 Early Hints\r\n\r\n"), P::HttpResponseIncomplete),
    ];
    for (first, expected) in rows {
        let error = failure(first);
        assert_eq!((error.error, error.error.status()), (expected, 502), "{error}");
        assert_eq!(error.phase, Phase::ResponseHead, "{error}");
    }
}

#[test]
fn bodies_that_are_cut_or_broken_are_never_complete() {
    use ProxyError as P;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows = [
        (answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), P::HttpResponseIncomplete),
        (answer_and_reset("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), P::HttpResponseIncomplete),
        (answer(format!("{chunked}5\r\nhello\r\n")), P::HttpResponseIncomplete),
        (answer(format!("{chunked}5\r\nhello\r\n0\r\n")), P::HttpResponseIncomplete),
        (answer_and_reset(format!("{chunked}5\r\nhel")), P::HttpResponseIncomplete),
        (answer_and_reset("HTTP/1.1 200 OK\r\n\r\nhello"), P::HttpResponseIncomplete),
        (answer(format!("{chunked}x\r\nhello\r\n0\r\n\r\n")), P::HttpResponseTransferCoding),
        (answer(format!("{chunked}5\r\nhelloworld\r\n0\r\n\r\n")), P::HttpResponseTransferCoding),
        (answer(format!("{chunked}0\r\n{}\r\n", "A: b\r\n".repeat(3000))), P::HttpResponseTrailerSectionSize),
    ];
    for (number, (first, expected)) in rows.into_iter().enumerate() {
        let error = failure(first);
        assert_eq!((error.error, error.phase), (expected, Phase::Body), "{number}: {error}");
        assert_eq!(error.error.status(), 502);
    }
}

#[test]
fn small_chunks_that_came_together_are_read_together_up_to_a_fault() {
    let chunks = "1\r\nx\r\n".repeat(1000);
    for (rest, is_whole) in [("0\r\n\r\n", true), ("y\r\n", false)] {
        let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{rest}");
        let origin = ScriptedOrigin::new(vec![answer(response)]);
        let mut fetched = origins().send(&site(&[origin.address]), &get(), None).unwrap();
        let (mut room, mut sum, mut reads) = ([0; 4096], 0, 0);
        let end = loop {
            match fetched.body.read(&mut room) {
                Ok(count @ 1..) => (sum, reads) = (sum + count, reads + 1),
                end => break end,
            }
        };
        assert_eq!((sum, end.is_ok()), (1000, is_whole));
        assert!(reads < 100, "{reads} for a thousand chunks");
        origin.finish();
    }
}

#[test]
fn a_broken_body_stays_broken() {
    let origin = ScriptedOrigin::new(vec![answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")]);
    let mut fetched = origins().send(&site(&[origin.address]), &get(), None).unwrap();
    let first = read_all(&mut fetched.body).unwrap_err();
    assert_eq!(fetched.body.read(&mut [0; 8]).unwrap_err(), first);
}

#[test]
fn silence_is_named_after_the_phase_it_falls_in() {
    let short = Duration::from_millis(30);
    let silent = |bytes: &'static [u8]| {
        script(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(bytes).unwrap();
            until_closed(&mut stream);
        })
    };
    let rows = [
        (&b""[..], ProxyError::HttpResponseTimeout, Phase::ResponseHead),
        (b"HTTP/1.1 200 OK\r\n", ProxyError::HttpResponseTimeout, Phase::ResponseHead),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", ProxyError::ConnectionReadTimeout, Phase::Body),
    ];
    for (bytes, error, phase) in rows {
        let origin = ScriptedOrigin::new(vec![silent(bytes)]);
        let mut site = site(&[origin.address]);
        site.origin.timeouts.between_bytes = short;
        match (phase, bytes) {
            (_, b"") => site.origin.timeouts.first_byte = short,
            // Long enough for the origin to be reached, and for the first bytes to come.
            (Phase::ResponseHead, _) => site.origin.timeouts.head = Duration::from_secs(1),
            _ => {}
        }
        let failed = fetch(&origins(), &site).unwrap_err();
        assert_eq!((failed.error, failed.phase, failed.error.status()), (error, phase, 504), "{failed}");
        origin.finish();
    }
}

#[test]
fn a_response_that_stops_before_its_head_is_whole_names_the_setting_that_ended_it() {
    let rows = [
        (&b"HTTP/1.1 200 OK\r\nContent-Le"[..], "between_bytes"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", "first_byte"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n", "between_bytes"),
    ];
    for (bytes, setting) in rows {
        let origin = ScriptedOrigin::new(vec![script(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(bytes).unwrap();
            until_closed(&mut stream);
        })]);
        let mut site = site(&[origin.address]);
        let timeouts = &mut site.origin.timeouts;
        match setting {
            "first_byte" => timeouts.first_byte = Duration::from_secs(1),
            _ => timeouts.between_bytes = Duration::from_millis(30),
        }
        let failed = fetch(&origins(), &site).unwrap_err();
        assert_eq!((failed.error, failed.phase), (ProxyError::HttpResponseTimeout, Phase::ResponseHead), "{failed}");
        assert_eq!(failed.facts.setting, Some(setting), "{failed}");
        origin.finish();
    }
}

#[test]
fn connections_that_cannot_be_made_are_named() {
    let (_held, closed) = closed_port();
    let error = fetch(&origins(), &site(&[closed])).unwrap_err();
    assert_eq!((error.error, error.phase), (ProxyError::ConnectionRefused, Phase::Connect));
    assert_eq!((error.error.status(), error.is_after_request), (502, false));
    assert!(error.detail.contains(&format!("{closed} refused the connection")), "{error}");
    assert_eq!(fetch(&origins(), &site(&[])).unwrap_err().error, ProxyError::DestinationNotFound);
    let own = Origins::new(Resolver::system(), vec![closed]);
    let error = fetch(&own, &site(&[closed])).unwrap_err();
    assert_eq!((error.error, error.error.status()), (ProxyError::ProxyLoopDetected, 508));
}

#[test]
fn every_address_of_a_name_is_tried() {
    let origin = ScriptedOrigin::new(vec![answer("HTTP/1.1 204 No Content\r\n\r\n")]);
    // Nothing listens on that port of the first address.
    let addresses = vec!["127.0.0.2".parse().unwrap(), origin.address.ip()];
    let origins = Origins::new(Resolver::with_lookup(move |_| Ok(addresses.clone())), Vec::new());
    let mut site = site(&[origin.address]);
    site.origin.servers[0].name = "origin.example".into();
    assert_eq!(fetch(&origins, &site).unwrap().0, 204);
    origin.finish();
}

#[test]
fn names_that_cannot_be_resolved_are_named() {
    let rows = [
        (LookupFailure::NoName, ProxyError::DnsError, 502, Some("NXDOMAIN")),
        (LookupFailure::Again, ProxyError::DnsError, 502, Some("SERVFAIL")),
        (LookupFailure::Timeout, ProxyError::DnsTimeout, 504, None),
    ];
    for (answer, error, status, rcode) in rows {
        let origins = Origins::new(Resolver::with_lookup(move |_| Err(answer)), Vec::new());
        let mut site = site(&[SocketAddr::from(([192, 0, 2, 1], 80))]);
        site.origin.servers[0].name = "origin.example".into();
        let failed = fetch(&origins, &site).unwrap_err();
        assert_eq!((failed.error, failed.phase), (error, Phase::Resolve));
        assert_eq!((failed.error.status(), failed.rcode), (status, rcode));
        assert_eq!(failed.origin, "origin.example:80");
    }
}

#[test]
fn the_next_server_steps_in_primary_before_backup() {
    let (_held, closed) = closed_port();
    let backup = ScriptedOrigin::new(vec![answer("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbackup")]);
    let silent = ScriptedOrigin::new(vec![answer("")]);
    let mut site = site(&[backup.address, closed, silent.address]);
    site.origin.servers[0].role = crate::config::Role::Backup;
    assert_eq!(fetch(&origins(), &site).unwrap(), (200, b"backup".to_vec()));
    silent.finish();
    let (_also_held, other) = closed_port();
    let error = fetch(&origins(), &self::site(&[closed, other])).unwrap_err();
    assert!(error.detail.contains("before that") && error.detail.contains(&closed.to_string()), "{error}");
}

#[test]
fn a_request_that_may_not_be_repeated_is_not() {
    let dead = ScriptedOrigin::new(vec![answer("")]);
    let other = ScriptedOrigin::new(vec![answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]);
    let site = site(&[dead.address, other.address]);
    let error = origins().send(&site, &request("POST"), None).unwrap_err();
    assert_eq!(error.error, ProxyError::ConnectionTerminated);
    dead.finish();
}

#[test]
fn the_head_of_an_answer_to_head_has_no_body() {
    let origin = ScriptedOrigin::new(vec![answer("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")]);
    let mut fetched = origins().send(&site(&[origin.address]), &request("HEAD"), None).unwrap();
    assert_eq!(fetched.head.declared_length(), Some(1000));
    assert_eq!(read_all(&mut fetched.body).unwrap(), b"");
}

#[test]
fn fetchers_share_origins_and_bodies_may_change_threads() {
    fn shared<T: Send + Sync>() {}
    fn movable<T: Send>() {}
    shared::<Origins>();
    movable::<Fetched>();
    shared::<FetchError>();
}
