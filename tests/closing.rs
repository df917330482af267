//! How connections end: the last answer whole, its end in the same packet where it is short, and in order over TLS.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use support::client::client_config;
use support::pop::{https_table, request, site};
use support::{Certificates, Client, LIMIT, Origin, Pop, Reply};

/// A POP for a.test in front of an origin that answers `/N` with N bytes, storable if the path begins with `/kept`.
struct Stage {
    certificates: Certificates,
    pop: Pop,
    _origin: Origin,
}

impl Stage {
    fn new() -> Stage {
        let certificates = Certificates::new();
        let identity = certificates.issue("a", &support::Leaf::names(&["a.test"]));
        let origin = Origin::plain(|request| {
            let len = request.target.rsplit('/').next().unwrap().parse().unwrap();
            let rule = if request.target.starts_with("/kept") { "max-age=600" } else { "no-store" };
            let head = format!("HTTP/1.1 200 OK\r\nCache-Control: {rule}\r\nContent-Length: {len}\r\n\r\n");
            let head = Reply::bytes(head);
            if request.method == "HEAD" { head } else { head.then(content(len)) }
        });
        let pop = Pop::start_with_https(&(site("a.test", &origin) + &https_table(&identity)));
        // What is asked for with LAST is there already, and so its answer is ready at once.
        assert_eq!(pop.get("/kept/1000").body, content(1000));
        let mut client = Client::tls(pop.https(), &certificates.roots(), "a.test");
        assert_eq!(client.get("a.test", "/kept/1000").body, content(1000));
        Stage { certificates, pop, _origin: origin }
    }
}

/// Bytes that tell where they are.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

const LAST: &str = "GET /kept/1000 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

fn connect(address: std::net::SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

/// What one read finds, and that the end is there already when it does.
fn all_in_one_packet(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let n = socket.read(&mut bytes).unwrap();
    bytes.truncate(n);
    socket.set_nonblocking(true).unwrap();
    let after = socket.read(&mut [0; 100]);
    assert!(matches!(after, Ok(0)), "{after:?} after {n} bytes");
    bytes
}

#[test]
fn the_end_of_a_connection_comes_with_its_last_answer() {
    let stage = Stage::new();
    for _ in 0..2 {
        let mut socket = connect(stage.pop.address());
        socket.write_all(LAST.as_bytes()).unwrap();
        let answer = all_in_one_packet(&mut socket);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(&content(1000)));
    }
}

#[test]
fn over_tls_ticket_answer_and_end_come_together() {
    let stage = Stage::new();
    let config = Arc::new(client_config(&stage.certificates.roots()));
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut socket = connect(stage.pop.https());
        let mut tls = shaken(&config, &mut socket);
        tls.writer().write_all(LAST.as_bytes()).unwrap();
        tls.write_tls(&mut socket).unwrap();
        let bytes = all_in_one_packet(&mut socket);
        let mut rest = bytes.as_slice();
        while tls.read_tls(&mut rest).unwrap() > 0 {
            tls.process_new_packets().unwrap();
        }
        let mut answer = Vec::new();
        // It fails where no close_notify came.
        tls.reader().read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(&content(1000)));
        assert_eq!(tls.handshake_kind(), Some(kind));
    }
}

/// A client whose handshake is done, and no byte more.
fn shaken(config: &Arc<ClientConfig>, socket: &mut TcpStream) -> ClientConnection {
    let name = rustls::pki_types::ServerName::try_from("a.test").unwrap();
    let mut tls = ClientConnection::new(config.clone(), name).unwrap();
    while tls.is_handshaking() {
        match tls.complete_io(socket) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("the handshake failed: {error}"),
        }
    }
    tls
}

#[test]
fn the_last_answer_is_whole_whatever_its_length_and_wherever_it_lies() {
    let stage = Stage::new();
    let roots = stage.certificates.roots();
    for len in [0, 1, 1500, 3000, 16 << 10, 64 << 10, 70_000, 300_000, 2 << 20] {
        // Of each the first is passed on while it arrives, the second comes from the store.
        for path in ["kept", "kept", "passed"] {
            for method in ["GET", "HEAD"] {
                for mut client in [stage.pop.client(), Client::tls(stage.pop.https(), &roots, "a.test")] {
                    let target = format!("/{path}/{len}");
                    client.send(request(method, &target, &["Connection: close"]));
                    let response = client.response_to(method);
                    let expected = if method == "GET" { content(len) } else { Vec::new() };
                    assert_eq!(response.status, 200, "{method} {target}");
                    assert!(response.body == expected, "{method} {target}: {} bytes", response.body.len());
                    assert!(client.closed(), "{method} {target}");
                }
            }
        }
    }
}

#[test]
fn an_answer_before_the_end_survives_what_the_client_still_sends() {
    let stage = Stage::new();
    let roots = stage.certificates.roots();
    for mut client in [stage.pop.client(), Client::tls(stage.pop.https(), &roots, "a.test")] {
        client.send(LAST.repeat(2) + &"more ".repeat(1000));
        assert_eq!(client.response().body, content(1000));
        assert!(client.closed());
    }
}
