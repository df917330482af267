//! A program's own connection to a server that it has business with, such as the operator's door of another Millpond: who it
//! is, is always verified, by an issuer that is trusted or by the very certificate. Opens no socket.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::pem_file::read_pem;
use super::reject::reject_of;
use super::trust::{TrustSource, trust_roots};
use super::verifier::{ClientSide, NameCheck, client_config, fingerprint};

/// By what a server is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Its name, and an issuer that the system trusts; the bundled roots where the system has none.
    System,
    /// Its name, and an issuer in this PEM file; or that its own certificate is in there, whatever it says.
    File(PathBuf),
    /// That it shows the first certificate in this PEM file, whatever that says.
    Exactly(PathBuf),
}

/// What it takes to open connections of that trust.
#[derive(Clone, Debug)]
pub struct TlsClient(Arc<ClientConfig>);

/// A connection on which the other side has shown who it is.
pub struct TlsStream(StreamOwned<ClientConnection, TcpStream>);

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// A file that trust was to come from is of no use.
    File(String),
    /// The certificate is not that of a server that is trusted.
    Certificate(String),
    /// The server does not speak TLS, but plain HTTP or something else.
    NoTls,
    /// It does not know the name that it is asked under.
    UnknownName,
    /// Anything else.
    Other(String),
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsFailure::File(what) | TlsFailure::Certificate(what) | TlsFailure::Other(what) => f.write_str(what),
            TlsFailure::NoTls => f.write_str("it answers something else than TLS"),
            TlsFailure::UnknownName => f.write_str("it has no certificate for that name"),
        }
    }
}

impl std::error::Error for TlsFailure {}

impl TlsClient {
    /// Reads what trust comes from.
    ///
    /// # Errors
    /// [`TlsFailure::File`].
    pub fn new(trusted: &Trusted) -> Result<TlsClient, TlsFailure> {
        let roots = |source| {
            let loaded = trust_roots(&source);
            loaded.map_err(|problem| TlsFailure::File(problem.what))
        };
        let (roots, pins) = match trusted {
            Trusted::System => (roots(TrustSource::System)?, Vec::new()),
            Trusted::File(path) => (roots(TrustSource::File(path.clone()))?, prints(path)?),
            Trusted::Exactly(path) => {
                let mut prints = prints(path)?;
                prints.truncate(1);
                (Arc::new(RootCertStore::empty()), prints)
            }
        };
        let check = NameCheck { pins, ..NameCheck::default() };
        Ok(TlsClient(client_config(roots, check, ClientSide::default())))
    }

    /// The handshake over a connected socket that blocks, within the socket's own time-outs. `name` is a host name, or an IP
    /// address without brackets.
    ///
    /// # Errors
    /// All but [`TlsFailure::File`].
    pub fn open(&self, socket: TcpStream, name: &str) -> Result<TlsStream, TlsFailure> {
        let other = |error: &dyn fmt::Display| TlsFailure::Other(error.to_string());
        let name = ServerName::try_from(name.to_owned()).map_err(|error| other(&error))?;
        let session = ClientConnection::new(Arc::clone(&self.0), name).map_err(|error| other(&error))?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(failure)?;
        }
        Ok(TlsStream(stream))
    }
}

impl Read for TlsStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The fingerprints of the certificates in a PEM file.
fn prints(path: &Path) -> Result<Vec<[u8; 32]>, TlsFailure> {
    let unusable = |why: &dyn fmt::Display| TlsFailure::File(format!("{}: {why}", path.display()));
    let pem = read_pem(path).map_err(|error| unusable(&error))?;
    let read = CertificateDer::pem_slice_iter(&pem).map(|der| Ok(fingerprint(&der?)));
    let prints: Vec<_> =
        read.collect::<Result<_, rustls::pki_types::pem::Error>>().map_err(|error| unusable(&error))?;
    if prints.is_empty() { Err(unusable(&"it holds no certificate")) } else { Ok(prints) }
}

/// Why a handshake failed; rustls hands its own errors through those of I/O.
fn failure(error: io::Error) -> TlsFailure {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
        return TlsFailure::Other("it is silent for too long in the TLS handshake".to_owned());
    }
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return TlsFailure::Other(error.to_string());
    };
    match (inner, reject_of(inner)) {
        // The sentence is made for origins.
        (_, Some(reject)) => TlsFailure::Certificate(reject.finding().replace("the origin", "the server")),
        (rustls::Error::InvalidCertificate(_), None) => TlsFailure::Certificate(inner.to_string()),
        (rustls::Error::InvalidMessage(_), None) => TlsFailure::NoTls,
        (rustls::Error::AlertReceived(AlertDescription::UnrecognisedName), None) => TlsFailure::UnknownName,
        _ => TlsFailure::Other(inner.to_string()),
    }
}
