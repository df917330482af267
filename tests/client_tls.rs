//! HTTPS towards clients: which certificate for which name, versions, protocols, tickets, and what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::ErrorKind;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use support::client::client_config;
use support::pop::{https_table, is_hit, site, site_at};
use support::{Certificates, Client, Gate, Identity, Origin, Pop, Reply, wait_until};

/// A POP with a certificate each for a.test and *.b.test, and the plain site c.test without one.
struct Stage {
    certificates: Certificates,
    a: Identity,
    b: Identity,
    origin: Origin,
    pop: Pop,
}

impl Stage {
    fn new() -> Stage {
        let certificates = Certificates::new();
        let (a, b) = (certificates.issue("a", &names(&["a.test"])), certificates.issue("b", &names(&["*.b.test"])));
        let origin = Origin::plain(|request| {
            let host = request.field("host").unwrap().to_owned();
            Reply::response("200 OK", &["Cache-Control: max-age=600"], host)
        });
        let a_site = site("a.test", &origin) + &https_table(&a);
        let b_site = site("*.b.test", &origin) + &https_table(&b);
        let pop = Pop::start_with_https(&(a_site + &b_site + &site("c.test", &origin)));
        Stage { certificates, a, b, origin, pop }
    }

    fn config(&self) -> ClientConfig {
        client_config(&self.certificates.roots())
    }

    fn client(&self, name: &str) -> Client {
        Client::tls(self.pop.https(), &self.certificates.roots(), name)
    }
}

fn names(names: &[&str]) -> support::Leaf {
    support::Leaf::names(names)
}

#[test]
fn the_certificate_is_the_one_of_the_name_asked_for() {
    let stage = Stage::new();
    for (name, identity) in [("a.test", &stage.a), ("x.b.test", &stage.b), ("y.b.test", &stage.b)] {
        let mut client = stage.client(name);
        assert_eq!(client.peer_certificate(), Some(&identity.leaf()), "{name}");
        assert_eq!(client.get(name, "/x").text(), name);
    }
}

#[test]
fn a_client_without_sni_gets_the_first_certificate_and_may_name_any_site() {
    let stage = Stage::new();
    let mut client = Client::tls_without_sni(stage.pop.https(), &stage.certificates.roots(), "a.test");
    assert_eq!(client.peer_certificate(), Some(&stage.a.leaf()));
    for host in ["a.test", "x.b.test"] {
        assert_eq!(client.get(host, "/x").text(), host);
    }
}

#[test]
fn a_name_that_no_certificate_is_for_is_refused_with_an_alert() {
    let stage = Stage::new();
    for name in ["unknown.test", "c.test", "b.test"] {
        let error = Client::try_tls(stage.pop.https(), stage.config(), name).err().unwrap();
        assert!(error.to_string().contains("alert"), "{name}: {error}");
    }
    assert_eq!(stage.client("a.test").get("a.test", "/x").status, 200);
}

#[test]
fn a_host_of_another_site_than_the_name_in_the_hello_is_misdirected() {
    let stage = Stage::new();
    let mut client = stage.client("x.b.test");
    let rows = [("x.b.test", 200), ("a.test", 421), ("y.b.test", 200), ("unknown.test", 421), ("X.B.test:443", 200)];
    for (host, status) in rows {
        assert_eq!(client.get(host, "/x").status, status, "{host}");
    }
    assert!(stage.origin.requests().iter().all(|request| request.field("host").unwrap().ends_with(".b.test")));
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_http_1_1_is_agreed_on() {
    let stage = Stage::new();
    let roots = stage.certificates.roots();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tls = handshake(&stage, Arc::new(config));
        assert_eq!(tls.protocol_version(), Some(version.version));
        assert_eq!(tls.alpn_protocol(), Some(b"http/1.1".as_slice()));
    }
}

/// A connection for a.test whose handshake is done, after one exchange, so that tickets have come.
fn handshake(stage: &Stage, config: Arc<ClientConfig>) -> ClientConnection {
    let name = rustls::pki_types::ServerName::try_from("a.test").unwrap();
    let tls = ClientConnection::new(config, name).unwrap();
    let socket = std::net::TcpStream::connect(stage.pop.https()).unwrap();
    socket.set_read_timeout(Some(support::LIMIT)).unwrap();
    let mut stream = StreamOwned::new(tls, socket);
    std::io::Write::write_all(&mut stream, b"GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    match std::io::Read::read_to_end(&mut stream, &mut answer) {
        Ok(_) => {}
        Err(error) => panic!("the connection did not end in order: {error}"),
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"\r\n\r\na.test"));
    stream.conn
}

#[test]
fn a_client_that_offers_only_another_protocol_is_told_so() {
    let stage = Stage::new();
    let mut config = stage.config();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let error = Client::try_tls(stage.pop.https(), config, "a.test").err().unwrap();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn sessions_resume_in_both_versions() {
    let stage = Stage::new();
    let roots = stage.certificates.roots();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let config = Arc::new(builder.with_root_certificates(roots.clone()).with_no_client_auth());
        let kinds: Vec<_> = (0..3).map(|_| handshake(&stage, config.clone()).handshake_kind().unwrap()).collect();
        let expected = [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed];
        assert_eq!(kinds, expected, "{:?}", version.version);
    }
}

#[test]
fn a_connection_is_kept_and_pipelining_works_inside_tls() {
    let stage = Stage::new();
    let mut client = stage.client("a.test");
    let one = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
    client.send(one.repeat(30));
    for number in 0..30 {
        let response = client.response();
        assert_eq!((response.text().as_str(), is_hit(&response)), ("a.test", number > 0));
    }
    assert_eq!((stage.origin.count(), stage.pop.stats().connections), (1, 1));
}

#[test]
fn large_bodies_come_whole_through_tls_stored_and_passing() {
    let certificates = Certificates::new();
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = body.clone();
    let origin = Origin::plain(move |request| {
        let field = if request.target == "/stored" { "Cache-Control: max-age=600" } else { "Cache-Control: no-store" };
        Reply::response("200 OK", &[field], &sent)
    });
    let https = https_table(&certificates.identity(&["a.test"]));
    let pop = Pop::start_with_https(&(site("a.test", &origin) + &https));
    let mut client = Client::tls(pop.https(), &certificates.roots(), "a.test");
    for target in ["/stored", "/stored", "/passing"] {
        assert!(client.get("a.test", target).body == body, "{target}");
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn all_that_has_come_from_the_origin_reaches_the_client_while_the_rest_is_withheld() {
    let certificates = Certificates::new();
    let part: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (directive, fetches) in [("max-age=600", 1), ("no-store", 2)] {
        let gate = Gate::new();
        let (held, sent) = (gate.clone(), part.clone());
        let origin = Origin::plain(move |_| {
            let head = format!("HTTP/1.1 200 OK\r\nCache-Control: {directive}\r\nContent-Length: 3000003\r\n\r\n");
            Reply::bytes(head).then(&sent).wait(&held).then("end")
        });
        let https = https_table(&certificates.identity(&["a.test"]));
        let pop = Pop::start_with_https(&(site("a.test", &origin) + &https));
        let mut clients = [pop.client(), Client::tls(pop.https(), &certificates.roots(), "a.test")];
        for client in &mut clients {
            client.send("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n");
        }
        // Nobody reads until then, so the way to the clients is full.
        gate.wait_for_arrivals(fetches);
        for client in &mut clients {
            assert_eq!(client.head_of("GET").status, 200);
            assert!(client.body_of_at_least(part.len()) == part, "{directive}");
        }
        gate.open();
        for client in &mut clients {
            assert_eq!(client.rest().unwrap(), b"end");
        }
    }
}

#[test]
fn plain_http_on_the_https_port_ends_and_harms_nobody() {
    let stage = Stage::new();
    let mut plain = Client::plain(stage.pop.https());
    plain.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let error = plain.try_response("GET").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::ConnectionReset));
    assert_eq!(stage.origin.count(), 0);
    wait_until(|| stage.pop.stats().connections == 0);
    assert_eq!(stage.client("a.test").get("a.test", "/x").status, 200);
}

#[test]
fn a_hello_that_comes_byte_by_byte_is_served_and_a_silent_client_holds_nobody_up() {
    let stage = Stage::new();
    let _silent = Client::plain(stage.pop.https());
    let name = rustls::pki_types::ServerName::try_from("a.test").unwrap();
    let mut tls = ClientConnection::new(Arc::new(stage.config()), name).unwrap();
    let mut socket = std::net::TcpStream::connect(stage.pop.https()).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    for byte in hello {
        std::io::Write::write_all(&mut socket, &[byte]).unwrap();
    }
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).unwrap();
    }
    assert_eq!(stage.client("a.test").get("a.test", "/x").status, 200);
}

#[test]
fn https_towards_clients_needs_no_https_towards_the_origin_nor_the_reverse() {
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let tls = Origin::tls(support::OriginTls::new(&identity), |_| Reply::ok("from TLS"));
    let plain = Origin::plain(|_| Reply::ok("from plain"));
    let lines = format!("protocol = \"https\"\n{}", support::pop::trust(&certificates));
    let behind_plain = site("a.test", &plain) + &https_table(&identity);
    let pop = Pop::start_with_https(
        &(behind_plain + &site_at("b.test", &tls.address().to_string(), "", &format!("host = \"a.test\"\n{lines}"))),
    );
    assert_eq!(Client::tls(pop.https(), &certificates.roots(), "a.test").get("a.test", "/x").text(), "from plain");
    assert_eq!(pop.client().get("b.test", "/x").text(), "from TLS");
}
