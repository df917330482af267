//! Scripted origins: real sockets on port 0, one script a connection, no sleeps.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::config::{CertificateNames, OriginConfig, OriginProtocol, RangeFetch, Role, Timeouts, TlsMin, Trust};

/// What an origin does with one connection.
pub(super) type Script = Box<dyn FnOnce(TcpStream) + Send>;

/// An origin that runs one script for each connection, in turn, and then listens no more.
pub(super) struct ScriptedOrigin {
    pub(super) address: SocketAddr,
    thread: JoinHandle<()>,
}

impl ScriptedOrigin {
    pub(super) fn new(scripts: Vec<Script>) -> ScriptedOrigin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            for script in scripts {
                let stream = listener.accept().unwrap().0;
                // Else the kernel may still hold an answer back when a script closes.
                stream.set_nodelay(true).unwrap();
                script(stream);
            }
        });
        ScriptedOrigin { address, thread }
    }

    /// All scripts have run, without a failed assertion.
    pub(super) fn finish(self) {
        self.thread.join().unwrap();
    }
}

/// An address on which nothing listens, and nothing can while the socket is held.
pub(super) fn closed_port() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// An address whose backlog is full, so that connects hang; the sockets that fill it come along.
pub(super) fn silent_port() -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
    let (socket, address) = closed_port();
    socket.listen(0).unwrap();
    let mut fill = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        fill.push(stream);
    }
    (socket, fill, address)
}

pub(super) fn script(run: impl FnOnce(TcpStream) + Send + 'static) -> Script {
    Box::new(run)
}

/// Reads a request head and sends these bytes, then ends the stream (FIN).
pub(super) fn answer(bytes: impl Into<Vec<u8>>) -> Script {
    let bytes = bytes.into();
    script(move |mut stream| {
        read_head(&mut stream);
        // A client that has seen enough may be gone.
        let _ = stream.write_all(&bytes);
    })
}

/// The same, then RST.
pub(super) fn answer_and_reset(bytes: impl Into<Vec<u8>>) -> Script {
    let bytes = bytes.into();
    script(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(&bytes).unwrap();
        reset(stream);
    })
}

pub(super) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// The request's head, byte by byte so that nothing behind it is taken.
pub(super) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Blocks until the client has closed its side.
pub(super) fn until_closed(stream: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    rest
}

/// A site with these servers, plain HTTP, generous time-outs.
pub(super) fn site(addresses: &[SocketAddr]) -> Site {
    let server = |address: &SocketAddr| crate::config::ServerConfig {
        name: address.ip().to_string(),
        port: Some(address.port()),
        role: Role::Primary,
        weight: 1,
        host: None,
        sni: None,
    };
    let long = Duration::from_secs(20);
    let timeouts = Timeouts {
        resolve: long,
        connect: long,
        tls_handshake: long,
        first_byte: long,
        between_bytes: long,
        head: Duration::from_secs(60),
        total: Duration::ZERO,
        min_rate: 0,
    };
    Site {
        number: 0,
        name: "test".into(),
        domains: vec!["www.example".into()],
        is_default: true,
        origin: OriginConfig {
            servers: addresses.iter().map(server).collect(),
            protocol: None,
            http_port: None,
            https_port: None,
            host: None,
            sni: None,
            common_name_whitelist: Vec::new(),
            certificate_names: CertificateNames::SanOrCn,
            trust: Trust::Bundled,
            pin: Vec::new(),
            follow_redirects: 0,
            request: crate::policy::edits::RequestEdits::default(),
            timeouts,
            client_certificate: None,
            tls_min: TlsMin::Tls12,
            retries: 2,
            retry_on: vec![502, 503, 504],
            max_connections: 0,
            health: None,
        },
        https: None,
        share_schemes: false,
        share_domains: false,
        rules: Default::default(),
        range_fetch: RangeFetch::Pass,
        slice_size: 1 << 20,
        request_body: None,
        max_fetches: None,
        expose_errors: true,
        force_https: false,
    }
}

/// The same for TLS, trusting `authority`.
pub(super) fn tls_site(addresses: &[SocketAddr], authority: &Authority) -> Site {
    let mut site = site(addresses);
    site.origin.protocol = Some(OriginProtocol::Https);
    site.origin.trust = Trust::File(authority.file.clone());
    site
}

pub(super) fn origins() -> Origins {
    Origins::new(Resolver::with_lookup(|name| panic!("{name} was looked up")), Vec::new())
}

pub(super) fn get<'a>() -> OriginRequest<'a> {
    request("GET")
}

pub(super) fn request(method: &str) -> OriginRequest<'_> {
    OriginRequest { method, target: "/x", host: "www.example", client_is_https: false, fields: &[], body: None }
}

/// Reads a body to its proven end, in odd steps.
pub(super) fn read_all(body: &mut OriginBody) -> Result<Vec<u8>, FetchError> {
    let mut all = Vec::new();
    let mut room = [0; 777];
    loop {
        match body.read(&mut room)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&room[..count]),
        }
    }
}

/// One GET: status and body, or the error of either half.
pub(super) fn fetch(origins: &Origins, site: &Site) -> Result<(u16, Vec<u8>), FetchError> {
    let mut fetched = origins.send(site, &get(), None)?;
    Ok((fetched.head.status, read_all(&mut fetched.body)?))
}

/// A CA of the tests.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its certificate as a file.
    file: PathBuf,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("Test CA {}", number()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = std::env::temp_dir().join(format!("millpond-origin-ca-{}-{}.pem", std::process::id(), number()));
        std::fs::write(&file, issuer.pem()).unwrap();
        Authority { issuer, file }
    }

    /// A server configuration with a certificate for these names.
    pub(super) fn server(&self, names: &[&str]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Different each time.
fn number() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

pub(super) type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// A script that speaks TLS. The stream ends without close_notify unless the script sends it.
pub(super) fn tls(config: ServerConfig, run: impl FnOnce(&mut TlsStream) + Send + 'static) -> Script {
    script(move |stream| {
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        run(&mut StreamOwned::new(session, stream));
    })
}

/// Ends a TLS stream as one should.
pub(super) fn close_notify(stream: &mut TlsStream) {
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// The value of a request's field.
pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = BufReader::new(head.as_bytes()).lines().map_while(Result::ok);
    let prefix = format!("{name}: ");
    let at = lines.position(|line| line.starts_with(&prefix))?;
    head.lines().nth(at)?.strip_prefix(prefix.as_str())
}
