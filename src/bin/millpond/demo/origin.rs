//! The origin of `millpond demo`: HTTPS and plain HTTP on free loopback ports, with a certificate authority and
//! certificates made on the fly, several on one address, chosen by SNI. A name it has no certificate for gets the one of
//! `origin.internal.test`, as many real origins behave. It knows nothing of the POP before it and is fit for a demo only:
//! a thread a connection, at most [`MAX_CONNECTIONS`], no request bodies.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A running demo origin; dropping it stops both listeners.
pub struct DemoOrigin {
    /// Where it speaks TLS.
    pub https: SocketAddr,
    /// Where it speaks plain HTTP: the wrong port for a fetch by HTTPS.
    pub http: SocketAddr,
    /// The certificate authority to trust, as PEM.
    pub ca_pem: String,
    /// A certificate of that authority for whoever serves [`POP_NAME`] to visitors.
    pub pop: Identity,
    shared: Arc<Shared>,
}

/// A certificate and its private key, as PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// What all connections share.
#[derive(Default)]
struct Shared {
    counts: Mutex<BTreeMap<String, usize>>,
    connections: AtomicUsize,
    is_stopping: AtomicBool,
}

impl DemoOrigin {
    /// The names that have certificates; the first one's is shown to everybody who asks for another name or none.
    pub const NAMES: [&str; 3] = ["origin.internal.test", "www.example.test", "img.example.test"];

    /// Makes the certificates and starts both listeners. Fails if the system refuses a loopback port or a thread.
    pub fn start() -> io::Result<DemoOrigin> {
        let (ca_pem, pop, certificates) = certificates().map_err(io::Error::other)?;
        let shared = Arc::new(Shared::default());
        let tls = server_config(certificates).map_err(io::Error::other)?;
        let https = listen("demo-https", &shared, Some(Arc::new(tls)))?;
        let http = listen("demo-http", &shared, None)?;
        Ok(DemoOrigin { https, http, ca_pem, pop, shared })
    }

    /// How many requests reached this origin for that path, on both ports together.
    pub fn count(&self, path: &str) -> usize {
        let counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(path).copied().unwrap_or(0)
    }
}

impl Drop for DemoOrigin {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        for address in [self.https, self.http] {
            // Wakes the listener from its blocking accept.
            _ = TcpStream::connect_timeout(&address, TIMEOUT);
        }
    }
}

/// Starts a listener with its accepting thread; the address is the one the system chose.
fn listen(name: &str, shared: &Arc<Shared>, tls: Option<Arc<ServerConfig>>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let shared = Arc::clone(shared);
    thread::Builder::new().name(name.into()).spawn(move || accept(&listener, &shared, tls.as_ref()))?;
    Ok(address)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, tls: Option<&Arc<ServerConfig>>) {
    while !shared.is_stopping.load(Ordering::SeqCst) {
        let Ok((socket, _)) = listener.accept() else {
            // Out of descriptors or the like: passes when connections end.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let Some(place) = Place::take(shared) else { continue };
        let tls = tls.cloned();
        // If no thread can be had, the connection is closed: the closure is dropped, and the socket and place with it.
        _ = thread::Builder::new().name("demo-connection".into()).spawn(move || _ = serve(socket, &place.0, tls));
    }
}

/// One of the places for connections, given back when dropped.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Place> {
        let before = shared.connections.fetch_add(1, Ordering::SeqCst);
        let place = Place(Arc::clone(shared));
        (before < MAX_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One connection, from handshake to end; an error means that the other side left or spoke nonsense.
fn serve(socket: TcpStream, shared: &Shared, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    let Some(tls) = tls else { return exchange(socket, shared, "plain HTTP") };
    let mut stream = StreamOwned::new(ServerConnection::new(tls).map_err(io::Error::other)?, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let over = match stream.conn.server_name() {
        Some(name) => format!("TLS with SNI {}", AsRef::<str>::as_ref(name)),
        None => "TLS without SNI".into(),
    };
    exchange(stream, shared, &over)
}

/// Answers requests until one side ends the connection.
fn exchange(stream: impl Read + Write, shared: &Shared, over: &str) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        // A TLS hello on the plain port never ends its first line: it is known by its first byte, as real servers do.
        if stream.fill_buf()?.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) {
            return stream.get_mut().write_all(NOT_HTTP);
        }
        let Some(request) = Request::read(&mut stream)? else { return Ok(()) };
        let path = request.path();
        *shared.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(path.into()).or_insert(0) += 1;
        if path == "/slow" {
            thread::sleep(SLOW);
        }
        stream.get_mut().write_all(&answer(&request, over))?;
        stream.get_mut().flush()?;
        if !request.keeps_connection() {
            return Ok(());
        }
    }
}

/// A request's head, read loosely: the POP before this origin sends only sound ones.
struct Request {
    line: String,
    fields: Vec<(String, String)>,
}

impl Request {
    /// The next head; `None` when the other side has ended the connection.
    fn read(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
        let mut head = stream.take(MAX_HEAD);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut fields = Vec::new();
        loop {
            let mut field = String::new();
            // Also the end of a head that is too long.
            if head.read_line(&mut field)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match field.split_once(':') {
                Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => return Ok(Some(Request { line: line.trim_end().to_owned(), fields })),
            }
        }
    }

    fn word(&self, index: usize) -> &str {
        self.line.split(' ').nth(index).unwrap_or("")
    }

    fn path(&self) -> &str {
        self.word(1).split('?').next().unwrap_or("")
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A body is never read here, so the next request could not be found behind it.
    fn keeps_connection(&self) -> bool {
        let has_body =
            self.field("transfer-encoding").is_some() || self.field("content-length").is_some_and(|l| l != "0");
        let wants_close = self.field("connection").is_some_and(|options| options.eq_ignore_ascii_case("close"));
        self.word(2) == "HTTP/1.1" && !has_body && !wants_close
    }
}

/// The whole response as bytes.
fn answer(request: &Request, over: &str) -> Vec<u8> {
    let etag = format!("\"{}-1\"", request.path().trim_matches('/'));
    let (status, caching) = match (request.word(0), request.path()) {
        _ if !request.word(2).starts_with("HTTP/1.") => ("400 Bad Request", "no-store"),
        ("GET" | "HEAD", "/private") => ("200 OK", "no-store"),
        ("GET" | "HEAD", "/" | "/slow" | "/big") => match request.field("if-none-match") {
            Some(known) if known == etag => ("304 Not Modified", "public, max-age=60"),
            _ => ("200 OK", "public, max-age=60"),
        },
        ("GET" | "HEAD", _) => ("404 Not Found", "no-store"),
        _ => ("405 Method Not Allowed", "no-store"),
    };
    let body = match (status, request.path()) {
        ("304 Not Modified", _) => Vec::new(),
        ("200 OK", "/big") => b"Millpond\n".iter().copied().cycle().take(BIG).collect(),
        _ => {
            let host = request.field("host").unwrap_or("no host");
            format!("{status}: {} of {host}, asked over {over}\n", request.path()).into_bytes()
        }
    };
    let mut head = format!("HTTP/1.1 {status}\r\nServer: demo-origin\r\nCache-Control: {caching}\r\n");
    if caching != "no-store" {
        head += &format!("ETag: {etag}\r\n");
    }
    if !status.starts_with("304") {
        head += &format!("Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n", body.len());
    }
    if status.starts_with("405") {
        head += "Allow: GET, HEAD\r\n";
    }
    let connection = if request.keeps_connection() { "" } else { "Connection: close\r\n" };
    let mut response = format!("{head}{connection}\r\n").into_bytes();
    if request.word(0) != "HEAD" {
        response.extend(body);
    }
    response
}

/// A certificate with its key for a name.
type Named = (&'static str, Arc<CertifiedKey>);

/// A new certificate authority as PEM, and certificates of its making: the POP's, and one for each name of the origin.
fn certificates() -> Result<(String, Identity, Vec<Named>), Box<dyn std::error::Error + Send + Sync>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Millpond demo CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let issue = |name: &str| -> Result<(Certificate, KeyPair), rcgen::Error> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &ca)?, key))
    };
    let mut named = Vec::new();
    for name in DemoOrigin::NAMES {
        let (certificate, key) = issue(name)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.der().clone()];
        named.push((name, Arc::new(CertifiedKey::new(chain, ring::sign::any_supported_type(&key)?))));
    }
    let (certificate, key) = issue(POP_NAME)?;
    Ok((ca.pem(), Identity { certificate: certificate.pem(), key: key.serialize_pem() }, named))
}

fn server_config(certificates: Vec<Named>) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(ByName(certificates)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct ByName(Vec<Named>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().unwrap_or_default();
        let chosen = self.0.iter().find(|(name, _)| *name == asked).or(self.0.first());
        chosen.map(|(_, certificate)| Arc::clone(certificate))
    }
}

/// The name that the POP shows to visitors.
pub const POP_NAME: &str = "www.example.test";
/// Connections at once; further ones are closed when accepted.
const MAX_CONNECTIONS: usize = 64;
/// Longest wait for the other side to send or take anything.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long `/slow` thinks.
const SLOW: Duration = Duration::from_millis(300);
/// Bytes of `/big`.
const BIG: usize = 2 * 1024 * 1024;
/// Bytes of a request's head.
const MAX_HEAD: u64 = 16 * 1024;
/// The answer to what is no HTTP at all.
const NOT_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

#[cfg(test)]
#[path = "tests_origin.rs"]
mod tests;
