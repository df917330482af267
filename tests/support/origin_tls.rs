//! How a scripted origin shows itself in TLS: which certificate for which name.

use std::sync::{Arc, Mutex};

use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::certificates::Identity;

/// TLS settings of an origin: certificates by SNI, versions, ALPN.
pub struct OriginTls {
    by_name: Vec<(String, Arc<CertifiedKey>)>,
    default: Option<Arc<CertifiedKey>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
    client_roots: Option<Arc<RootCertStore>>,
    is_client_optional: bool,
}

/// The names asked for in the hellos so far, in order; `None` for a hello without one.
pub(super) type AskedNames = Arc<Mutex<Vec<Option<String>>>>;

impl OriginTls {
    /// One certificate, whatever name is asked for, if any.
    pub fn new(default: &Identity) -> OriginTls {
        OriginTls { default: Some(certified(default)), ..OriginTls::strict() }
    }

    /// Only the names added by [`OriginTls::with`]; any other name, or none, is refused with an alert.
    pub fn strict() -> OriginTls {
        let versions = rustls::ALL_VERSIONS.to_vec();
        OriginTls {
            by_name: Vec::new(),
            default: None,
            versions,
            alpn: Vec::new(),
            client_roots: None,
            is_client_optional: false,
        }
    }

    /// A certificate for these names in the hello, whatever the certificate itself says.
    pub fn with(mut self, names: &[&str], identity: &Identity) -> OriginTls {
        let key = certified(identity);
        self.by_name.extend(names.iter().map(|name| ((*name).to_owned(), Arc::clone(&key))));
        self
    }

    /// `&rustls::version::TLS12`, `&rustls::version::TLS13`.
    pub fn versions(self, versions: &[&'static SupportedProtocolVersion]) -> OriginTls {
        OriginTls { versions: versions.to_vec(), ..self }
    }

    /// The protocols it speaks, such as `h2`; a client that offers others only is refused.
    pub fn alpn(self, protocols: &[&str]) -> OriginTls {
        OriginTls { alpn: protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect(), ..self }
    }

    /// Demands a certificate of the client.
    pub fn demand_client_certificate(self, roots: Arc<RootCertStore>) -> OriginTls {
        OriginTls { client_roots: Some(roots), ..self }
    }

    /// Asks the client for a certificate, and goes on without.
    pub fn ask_client_certificate(self, roots: Arc<RootCertStore>) -> OriginTls {
        OriginTls { client_roots: Some(roots), is_client_optional: true, ..self }
    }

    pub(super) fn config(self, asked: AskedNames) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&self.versions).unwrap();
        let builder = match self.client_roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = if self.is_client_optional { verifier.allow_unauthenticated() } else { verifier };
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let resolver = Resolver { by_name: self.by_name, default: self.default, asked };
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = self.alpn;
        Arc::new(config)
    }
}

fn certified(identity: &Identity) -> Arc<CertifiedKey> {
    let key = ring::sign::any_supported_type(&identity.key()).unwrap();
    Arc::new(CertifiedKey::new(identity.chain(), key))
}

#[derive(Debug)]
struct Resolver {
    by_name: Vec<(String, Arc<CertifiedKey>)>,
    default: Option<Arc<CertifiedKey>>,
    asked: AskedNames,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().map(str::to_owned);
        let named = self.by_name.iter().find(|(name, _)| Some(name) == asked.as_ref()).map(|(_, key)| key);
        let chosen = named.or(self.default.as_ref()).cloned();
        self.asked.lock().unwrap().push(asked);
        chosen
    }
}
