//! The demo's origin, asked by raw sockets.
#![allow(clippy::unwrap_used)]

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;

/// Sends a request that ends the connection; returns all that comes back.
fn ask(mut stream: impl Read + Write, method: &str, path: &str, field: &str) -> String {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{field}\r\n").unwrap();
    let mut response = Vec::new();
    // Without TLS's closing alert the end is an error; the response is whole all the same.
    _ = stream.read_to_end(&mut response);
    String::from_utf8(response).unwrap()
}

fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn dial_tls(origin: &DemoOrigin, sni: &'static str) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(origin.ca_pem.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let name = ServerName::try_from(sni).unwrap();
    let mut tls = ClientConnection::new(Arc::new(builder.with_no_client_auth()), name).unwrap();
    let mut socket = dial(origin.https);
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(tls, socket))
}

#[test]
fn pages_say_how_they_may_be_cached_and_are_counted() {
    let origin = DemoOrigin::start().unwrap();
    let rows = [
        ("GET", "/", "", "200 OK", "max-age=60"),
        ("GET", "/?q", "If-None-Match: \"-1\"\r\n", "304 Not Modified", "max-age=60"),
        ("HEAD", "/slow", "", "200 OK", "ETag: \"slow-1\""),
        ("GET", "/private", "", "200 OK", "no-store"),
        ("GET", "/nothing", "", "404 Not Found", "no-store"),
        ("DELETE", "/", "", "405 Method Not Allowed", "Allow: GET"),
    ];
    for (method, path, field, status, part) in rows {
        let response = ask(dial(origin.http), method, path, field);
        let is_expected = response.starts_with(&format!("HTTP/1.1 {status}\r\n")) && response.contains(part);
        assert!(is_expected, "{method} {path}: {response}");
    }
    let big = ask(dial(origin.http), "GET", "/big", "");
    assert_eq!(big.split_once("\r\n\r\n").unwrap().1.len(), BIG);
    assert_eq!((origin.count("/"), origin.count("/big"), origin.count("/never")), (3, 1, 0));
}

#[test]
fn certificates_are_chosen_by_sni_and_strangers_get_the_first() {
    let origin = DemoOrigin::start().unwrap();
    for name in DemoOrigin::NAMES {
        let response = ask(dial_tls(&origin, name).unwrap(), "GET", "/", "");
        assert!(response.ends_with(&format!("200 OK: / of a.test, asked over TLS with SNI {name}\n")), "{response}");
    }
    let error = dial_tls(&origin, "shop.example.test").err().unwrap().to_string();
    assert!(error.contains("not valid for name") && error.contains("origin.internal.test"), "{error}");
}

#[test]
fn a_tls_hello_on_the_plain_port_is_answered_at_once() {
    let mut origin = DemoOrigin::start().unwrap();
    origin.https = origin.http;
    assert!(dial_tls(&origin, "www.example.test").err().unwrap().to_string().contains("InvalidContentType"));
}
