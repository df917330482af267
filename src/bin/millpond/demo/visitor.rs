//! A visitor of the demo: one request a connection, over plain HTTP or TLS, its answer read to the proven end.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// For example 200.
    pub status: u16,
    /// For example `200 OK`.
    pub status_text: String,
    /// The body, as text.
    pub body: String,
    /// From the first step of connecting to the last byte.
    pub took: Duration,
    fields: Vec<(String, String)>,
}

/// A GET over plain HTTP.
pub fn visit(address: SocketAddr, host: &str, path: &str) -> io::Result<Answer> {
    let start = Instant::now();
    exchange(dial(address)?, host, path, start)
}

/// A GET over HTTPS by someone who trusts the authority in the file, the certificate checked against the host.
pub fn visit_safely(address: SocketAddr, ca_file: &Path, host: &str, path: &str) -> io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(ca_file).map_err(io::Error::other)?;
    roots.add(authority).map_err(io::Error::other)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let start = Instant::now();
    let tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
    exchange(StreamOwned::new(tls, dial(address)?), host, path, start)
}

impl Answer {
    /// The first field of that name, without case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a field has that text in it.
    pub fn tells(&self, name: &str, part: &str) -> bool {
        self.field(name).is_some_and(|value| value.contains(part))
    }

    /// Served from memory, without a fetch.
    pub fn is_hit(&self) -> bool {
        self.tells("Cache-Status", "; hit")
    }

    /// Where it came from, in the words that cache logs use.
    pub fn cache_word(&self) -> &'static str {
        match () {
            () if self.is_hit() => "HIT",
            () if self.tells("Cache-Status", "stored") => "MISS, now stored",
            () if self.tells("Cache-Status", "fwd=") => "MISS, not stored",
            () => "",
        }
    }

    /// Reads a whole message; one that is cut short is an error.
    fn parse(message: &[u8], took: Duration) -> io::Result<Answer> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let text = String::from_utf8_lossy(message);
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| wrong("the answer has no whole head"))?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status_text = status_line.strip_prefix("HTTP/1.1 ").ok_or_else(|| wrong("the answer is not HTTP/1.1"))?;
        let status = status_text.split(' ').next().and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| wrong("the answer has no status"))?;
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let answer = Answer { status, status_text: status_text.to_owned(), body: body.to_owned(), took, fields };
        match answer.field("Content-Length").map(|length| length.parse() == Ok(answer.body.len())) {
            Some(true) => Ok(answer),
            Some(false) => Err(wrong("the answer is cut short")),
            None => Err(wrong("the answer does not say how long it is")),
        }
    }
}

fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn exchange(mut stream: impl Read + Write, host: &str, path: &str, start: Instant) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut message = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut message)?;
    Answer::parse(&message, start.elapsed())
}

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MOST_BYTES: u64 = 64 * 1024;
