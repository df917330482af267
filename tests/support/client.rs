//! A raw client: it sends exact bytes and reads responses strictly by their framing.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::LIMIT;
use super::wire::{self, Fields, Framing, Socket, Wire};

/// One connection to a server, plain or TLS.
pub struct Client {
    wire: Wire,
    /// What is left of the body whose head was read.
    framing: Framing,
    peer: Option<CertificateDer<'static>>,
}

/// One response as it came over the wire.
#[derive(Clone, Debug)]
pub struct Response {
    /// The exact bytes of the head, with its empty line.
    pub head: Vec<u8>,
    pub version: String,
    pub status: u16,
    pub reason: String,
    pub fields: Fields,
    /// The body without its chunked coding; empty if only the head was asked for.
    pub body: Vec<u8>,
    /// Interim (1xx) responses that came before.
    pub interim: Vec<Response>,
}

impl Client {
    pub fn plain(address: SocketAddr) -> Client {
        let socket = connect(address).unwrap();
        Client { wire: Wire::new(Box::new(socket.clone()), socket), framing: Framing::Done, peer: None }
    }

    /// TLS with the name as SNI, trusting `roots`, the certificate checked against the name.
    #[track_caller]
    pub fn tls(address: SocketAddr, roots: &Arc<RootCertStore>, name: &str) -> Client {
        Client::try_tls(address, client_config(roots), name).unwrap()
    }

    /// TLS with no SNI in the hello; the certificate is checked against the name all the same.
    #[track_caller]
    pub fn tls_without_sni(address: SocketAddr, roots: &Arc<RootCertStore>, name: &str) -> Client {
        let mut config = client_config(roots);
        config.enable_sni = false;
        Client::try_tls(address, config, name).unwrap()
    }

    /// TLS with any settings; the error is the handshake's.
    pub fn try_tls(address: SocketAddr, config: ClientConfig, name: &str) -> io::Result<Client> {
        let mut socket = connect(address)?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let peer = tls.peer_certificates().and_then(|chain| chain.first()).cloned();
        let wire = Wire::new(Box::new(StreamOwned::new(tls, socket.clone())), socket);
        Ok(Client { wire, framing: Framing::Done, peer })
    }

    /// The certificate that the server showed.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.peer.as_ref()
    }

    /// Sends exactly these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes.as_ref()).unwrap();
    }

    /// Sends as much of them as the other side still takes.
    pub fn send_if_open(&mut self, bytes: impl AsRef<[u8]>) {
        _ = self.wire.send(bytes.as_ref());
    }

    /// Sends a GET for the target with that Host and no other field, and reads the response.
    #[track_caller]
    pub fn get(&mut self, host: &str, target: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        self.response()
    }

    /// The next whole response to a method other than HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// The next whole response to this method.
    #[track_caller]
    pub fn response_to(&mut self, method: &str) -> Response {
        self.try_response(method).unwrap_or_else(|error| panic!("no whole response to {method}: {error}"))
    }

    /// The same; an error if the response is cut short or malformed.
    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let mut response = self.try_head(method)?;
        response.body = self.rest()?;
        Ok(response)
    }

    /// The next final response's head; its body is left to [`Client::body_of_at_least`] and [`Client::rest`].
    #[track_caller]
    pub fn head_of(&mut self, method: &str) -> Response {
        self.try_head(method).unwrap_or_else(|error| panic!("no response head to {method}: {error}"))
    }

    /// The next interim (1xx) response, alone.
    #[track_caller]
    pub fn interim(&mut self) -> Response {
        let head = self.wire.head().unwrap().expect("an interim response");
        let response = Response::parse(head).unwrap();
        assert!(response.status < 200, "{response:?}");
        response
    }

    fn try_head(&mut self, method: &str) -> io::Result<Response> {
        assert_eq!(self.framing, Framing::Done, "the body before was not read to its end");
        let mut interim = Vec::new();
        loop {
            let head = self.wire.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let mut response = Response::parse(head)?;
            self.framing = response.framing(method)?;
            if response.status >= 200 || response.status == 101 {
                response.interim = interim;
                return Ok(response);
            }
            interim.push(response);
        }
    }

    /// Reads on until `len` more bytes of the body are there; returns them all. Panics if the body ends before.
    #[track_caller]
    pub fn body_of_at_least(&mut self, len: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < len {
            match self.wire.piece(&mut self.framing) {
                Ok(Some(piece)) => body.extend(piece),
                end => panic!("the body ended after {} of {len} bytes: {end:?}", body.len()),
            }
        }
        body
    }

    /// The rest of the body to its proven end; an error if it is cut short.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.wire.body(&mut self.framing)
    }

    /// Waits for the server to end the connection: true if it did so without sending anything more.
    pub fn closed(&mut self) -> bool {
        self.wire.is_ended().unwrap_or(false)
    }

    /// Ends our direction in order; responses can still be read.
    pub fn finish(&mut self) {
        self.wire.finish();
    }

    /// Goes away by a reset.
    pub fn reset(self) {
        self.wire.reset();
    }
}

impl Response {
    fn parse(head: Vec<u8>) -> io::Result<Response> {
        let (line, fields) = wire::parse_head(&head)?;
        let wrong = || wire::invalid(&format!("status line {line:?}"));
        let mut parts = line.splitn(3, ' ');
        let version = parts.next().filter(|v| matches!(*v, "HTTP/1.1" | "HTTP/1.0")).ok_or_else(wrong)?.to_owned();
        let status = parts.next().filter(|s| s.len() == 3 && s.bytes().all(|b| b.is_ascii_digit()));
        let status = status.and_then(|status| status.parse().ok()).filter(|status| *status >= 100).ok_or_else(wrong)?;
        // The blank after the status is not optional (RFC 9112 section 4).
        let reason = parts.next().ok_or_else(wrong)?.to_owned();
        Ok(Response { head, version, status, reason, fields, body: Vec::new(), interim: Vec::new() })
    }

    /// RFC 9112 section 6.3.
    fn framing(&self, method: &str) -> io::Result<Framing> {
        let declared = wire::declared_framing(&self.fields)?;
        let has_no_framing = self.status < 200 || self.status == 204;
        if has_no_framing && declared.is_some() {
            return Err(wire::invalid(&format!("framing fields on a {}", self.status)));
        }
        let has_no_body = has_no_framing || self.status == 304 || method == "HEAD";
        Ok(if has_no_body { Framing::Done } else { declared.unwrap_or(Framing::UntilClose) })
    }

    /// The first field of that name, without case.
    pub fn field(&self, name: &str) -> Option<&str> {
        wire::field(&self.fields, name)
    }

    /// All fields of that name, in order.
    pub fn fields_named(&self, name: &str) -> Vec<&str> {
        wire::fields_named(&self.fields, name)
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Settings that trust `roots` only: TLS 1.2 and 1.3, no ALPN.
pub fn client_config(roots: &Arc<RootCertStore>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth()
}

fn connect(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(TcpStream::connect_timeout(&address, LIMIT)?)
}
