//! Origins that speak TLS, well or badly.

use std::io::{Read, Write};
use std::sync::mpsc;

use super::tests_support::*;
use super::*;
use crate::status::{Phase, ProxyError};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn failure(first: Script, authority: &Authority) -> FetchError {
    let origin = ScriptedOrigin::new(vec![first]);
    fetch(&origins(), &tls_site(&[origin.address], authority)).unwrap_err()
}

#[test]
fn the_host_is_the_server_name_unless_one_is_set() {
    let authority = Authority::new();
    let config = authority.server(&["www.example", "other.example"]);
    let (sent, seen) = mpsc::channel();
    let connection = |sent: mpsc::Sender<(String, String)>| {
        let serve = tls(config.clone(), move |stream| {
            let host = field(&read_head(stream), "host").unwrap().to_owned();
            sent.send((stream.conn.server_name().unwrap().to_owned(), host)).unwrap();
            stream.write_all(OK).unwrap();
            until_closed(stream);
        });
        // On a thread of its own: the first connection stays, idle, while the second comes.
        script(move |stream| drop(std::thread::spawn(move || serve(stream))))
    };
    let origin = ScriptedOrigin::new(vec![connection(sent.clone()), connection(sent)]);
    let origins = origins();
    let mut site = tls_site(&[origin.address], &authority);
    let mut fetched = origins.send(&site, &get(), None).unwrap();
    assert_eq!(fetched.report.tls_version, Some("TLSv1.3"));
    assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
    assert_eq!(seen.recv().unwrap(), ("www.example".into(), "www.example".into()));
    // Another name in the handshake is another key: the idle connection is not used.
    site.origin.sni = Some("other.example".into());
    assert_eq!(fetch(&origins, &site).unwrap().1, b"ok");
    assert_eq!(seen.recv().unwrap(), ("other.example".into(), "www.example".into()));
}

#[test]
fn a_tls_connection_serves_again_under_the_same_name_and_policy() {
    let authority = Authority::new();
    let serve = |stream: &mut TlsStream| {
        while read_head(stream).starts_with("GET") {
            stream.write_all(OK).unwrap();
        }
    };
    // TLS 1.3 tickets arrive behind the first response's head: they are no stray bytes.
    let config = authority.server(&["www.example", "other.example"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let script = tls(config.clone(), serve);
            std::thread::spawn(move || script(stream));
        }
    });
    let origins = origins();
    let site = tls_site(&[address], &authority);
    let reused = |site: &Site, host: &str| {
        let mut fetched = origins.send(site, &OriginRequest { host, ..get() }, None).unwrap();
        assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
        fetched.report.is_reused
    };
    assert!(!reused(&site, "www.example"));
    assert!(reused(&site, "www.example"));
    assert!(!reused(&site, "other.example"));
    assert!(reused(&site, "www.example"));
    let mut stricter = site.clone();
    stricter.origin.certificate_names = crate::config::CertificateNames::San;
    assert!(!reused(&stricter, "www.example"));
    assert!(reused(&stricter, "www.example"));
    stricter.origin.tls_min = crate::config::TlsMin::Tls13;
    assert!(!reused(&stricter, "www.example"));
}

#[test]
fn certificates_that_do_not_fit_are_named_with_the_remedy() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let handshake = |config| tls(config, |stream| drop(stream.read(&mut [0])));
    let rows = [
        (authority.server(&["eu.shop.example"]), "\"eu.shop.example\""),
        (stranger.server(&["www.example"]), "issuer"),
    ];
    for (config, named) in rows {
        let error = failure(handshake(config), &authority);
        assert_eq!((error.error, error.phase), (ProxyError::TlsCertificateError, Phase::TlsHandshake));
        assert_eq!((error.error.status(), error.is_after_request), (502, false));
        assert!(error.detail.contains(named), "{error}");
        let facts = &error.facts;
        assert_eq!(facts.certificate_names, [if named == "issuer" { "www.example" } else { "eu.shop.example" }]);
        assert_eq!((facts.sni.as_deref(), facts.report.attempts), (Some("www.example"), 1));
        assert_eq!((facts.report.address, facts.report.first_byte.is_zero()), (error.address, true));
        assert!(!facts.report.connect.is_zero() && !facts.report.tls.is_zero(), "{facts:?}");
    }
}

#[test]
fn the_whitelist_of_the_site_counts() {
    let authority = Authority::new();
    let config = authority.server(&["eu.shop.example"]);
    let serve = |config| {
        tls(config, |stream| {
            read_head(stream);
            stream.write_all(OK).unwrap();
            until_closed(stream);
        })
    };
    let origin = ScriptedOrigin::new(vec![serve(config.clone())]);
    let mut site = tls_site(&[origin.address], &authority);
    site.origin.common_name_whitelist = vec!["*.shop.example".into()];
    assert_eq!(fetch(&origins(), &site).unwrap().1, b"ok");
}

#[test]
fn handshakes_that_fail_are_named() {
    use ProxyError as P;
    let authority = Authority::new();
    let alert = |stream: std::net::TcpStream| (&stream).write_all(&[21, 3, 3, 0, 2, 2, 112]).unwrap();
    let hello = |stream: &mut std::net::TcpStream| {
        let mut record = [0; 5];
        stream.read_exact(&mut record).unwrap();
        let mut rest = vec![0; usize::from(u16::from_be_bytes([record[3], record[4]]))];
        stream.read_exact(&mut rest).unwrap();
    };
    let after_hello = move |then: fn(std::net::TcpStream)| {
        script(move |mut stream| {
            hello(&mut stream);
            then(stream);
        })
    };
    let plain = |stream: std::net::TcpStream| {
        (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
    };
    let garbage = |stream: std::net::TcpStream| (&stream).write_all(b"SSH-2.0-OpenSSH_9.9\r\n").unwrap();
    let rows = [
        (after_hello(drop), P::ConnectionTerminated, "closed the connection"),
        (after_hello(reset), P::ConnectionTerminated, "was reset"),
        (after_hello(alert), P::TlsAlertReceived, "set sni"),
        (after_hello(plain), P::TlsProtocolError, "set protocol = \"http\""),
        (after_hello(garbage), P::TlsProtocolError, "may speak plain HTTP"),
    ];
    for (first, expected, named) in rows {
        let error = failure(first, &authority);
        assert_eq!((error.error, error.phase), (expected, Phase::TlsHandshake), "{error}");
        assert_eq!(error.error.status(), 502);
        assert_eq!(error.alert, (expected == P::TlsAlertReceived).then_some(112));
        assert!(error.detail.contains(named), "{error}");
    }
}

#[test]
fn a_silent_handshake_is_a_connection_time_out() {
    let authority = Authority::new();
    let origin = ScriptedOrigin::new(vec![script(|mut stream| drop(until_closed(&mut stream)))]);
    let mut site = tls_site(&[origin.address], &authority);
    site.origin.timeouts.tls_handshake = Duration::from_millis(30);
    let error = fetch(&origins(), &site).unwrap_err();
    assert_eq!((error.error, error.error.status()), (ProxyError::ConnectionTimeout, 504));
    assert_eq!(error.phase, Phase::TlsHandshake);
    assert!(error.detail.contains("TLS handshake"), "{error}");
    origin.finish();
}

#[test]
fn a_body_without_length_is_complete_after_close_notify_alone() {
    let authority = Authority::new();
    let config = authority.server(&["www.example"]);
    let serve = |is_clean: bool| {
        tls(config.clone(), move |stream| {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nok").unwrap();
            if is_clean {
                close_notify(stream);
            }
        })
    };
    let origin = ScriptedOrigin::new(vec![serve(true)]);
    let fetched = fetch(&origins(), &tls_site(&[origin.address], &authority)).unwrap();
    assert_eq!(fetched.1, b"ok");
    let error = failure(serve(false), &authority);
    assert_eq!((error.error, error.phase), (ProxyError::HttpResponseIncomplete, Phase::Body));
    assert!(error.detail.contains("close_notify"), "{error}");
}

#[test]
fn a_second_response_in_tls_never_reaches_another_request() {
    let authority = Authority::new();
    let config = authority.server(&["www.example"]);
    let twice = [OK, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"];
    // In one record, in two records, and in a record of which only the first half has come; each in one segment.
    let sends = |cut: usize, is_joined: bool| {
        tls(config.clone(), move |stream| {
            read_head(stream);
            stream.flush().unwrap();
            let mut records = Vec::new();
            for piece in if is_joined { vec![twice.concat()] } else { twice.map(<[u8]>::to_vec).to_vec() } {
                stream.conn.writer().write_all(&piece).unwrap();
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut records).unwrap();
                }
            }
            let whole = records.len();
            stream.sock.write_all(&records[..whole - cut]).unwrap();
            let _ = stream.sock.read(&mut [0; 1024]);
        })
    };
    for first in [sends(0, true), sends(0, false), sends(10, false)] {
        let second = tls(config.clone(), |stream| {
            read_head(stream);
            stream.write_all(OK).unwrap();
            until_closed(stream);
        });
        let origin = ScriptedOrigin::new(vec![first, second]);
        let origins = origins();
        let site = tls_site(&[origin.address], &authority);
        assert_eq!(fetch(&origins, &site).unwrap().1, b"ok");
        let mut fetched = origins.send(&site, &get(), None).unwrap();
        assert!(!fetched.report.is_reused);
        assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
    }
}

#[test]
fn an_address_with_a_bad_certificate_gives_way_to_the_next_server() {
    let authority = Authority::new();
    let (bad, good) = (authority.server(&["shop.example"]), authority.server(&["www.example"]));
    let bad = ScriptedOrigin::new(vec![tls(bad, |stream| drop(stream.read(&mut [0])))]);
    let good = ScriptedOrigin::new(vec![tls(good, |stream| {
        read_head(stream);
        stream.write_all(OK).unwrap();
        until_closed(stream);
    })]);
    // Not even a POST has been sent when the certificate is refused.
    let site = tls_site(&[bad.address, good.address], &authority);
    let mut fetched = origins().send(&site, &request("POST"), None).unwrap();
    assert_eq!((fetched.report.attempts, fetched.report.address), (2, Some(good.address)));
    assert_eq!(read_all(&mut fetched.body).unwrap(), b"ok");
}

#[test]
fn settings_that_cannot_work_are_named() {
    let authority = Authority::new();
    let mut site = tls_site(&[SocketAddr::from(([127, 0, 0, 1], 1))], &authority);
    site.origin.sni = Some("not a name".into());
    let error = fetch(&origins(), &site).unwrap_err();
    assert_eq!((error.error, error.error.status()), (ProxyError::ProxyConfigurationError, 500));
    assert!(error.detail.contains("set sni"), "{error}");
    site.origin.sni = None;
    site.origin.trust = crate::config::Trust::File("/nowhere/ca.pem".into());
    let error = fetch(&origins(), &site).unwrap_err();
    assert_eq!(error.error, ProxyError::ProxyConfigurationError);
    assert!(error.detail.contains("/nowhere/ca.pem"), "{error}");
}

#[test]
fn a_certificate_is_told_by_a_whole_handshake_alone_accepted_or_not() {
    let authority = Authority::new();
    let (config, (sent, kinds)) = (authority.server(&["www.example"]), mpsc::channel());
    let connection = || {
        let sent = sent.clone();
        tls(config.clone(), move |stream| {
            read_head(stream);
            sent.send(stream.conn.handshake_kind().unwrap()).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").unwrap();
            close_notify(stream);
            until_closed(stream);
        })
    };
    let origin = ScriptedOrigin::new(vec![connection(), connection()]);
    let (origins, site) = (origins(), tls_site(&[origin.address], &authority));
    let told = || {
        let mut fetched = origins.send(&site, &get(), None).unwrap();
        read_all(&mut fetched.body).unwrap();
        fetched.report.certificate
    };
    let shown = told().unwrap();
    assert_eq!(
        (shown.sni.as_str(), shown.facts.names.all(), shown.refusal),
        ("www.example", vec!["www.example".into()], None)
    );
    assert!(shown.facts.names.issuer.starts_with("Test CA ") && shown.facts.fingerprint != [0; 32]);
    assert_eq!(told(), None);
    let expected = [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed];
    assert_eq!([kinds.recv().unwrap(), kinds.recv().unwrap()], expected);

    let other = authority.server(&["shop.example"]);
    let error = failure(tls(other, |stream| drop(stream.read(&mut [0]))), &authority);
    let shown = error.facts.report.certificate.unwrap();
    assert_eq!(shown.facts.names.all(), ["shop.example"]);
    assert!(shown.refusal.unwrap().contains("shop.example"));
}
