//! Certificates made on the spot and handshakes in memory, for the tests of this room.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

/// A CA that issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        Authority(CertifiedIssuer::self_signed(ca_params(name), KeyPair::generate().unwrap()).unwrap())
    }

    /// An intermediate CA signed by this one.
    pub(crate) fn intermediate(&self, name: &str) -> Authority {
        self.intermediate_with(name, |params| params)
    }

    pub(crate) fn intermediate_with(
        &self,
        name: &str,
        change: impl Fn(CertificateParams) -> CertificateParams,
    ) -> Authority {
        let params = change(ca_params(name));
        Authority(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        Leaf::of(params.signed_by(&key, &self.0).unwrap(), &key)
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        roots(&[self.der()])
    }
}

impl Leaf {
    fn of(certificate: rcgen::Certificate, key: &KeyPair) -> Leaf {
        Leaf { der: certificate.der().clone(), pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    pub(crate) fn from_pem(pem: &str, key_pem: &str) -> Leaf {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        Leaf { der, pem: pem.to_owned(), key_pem: key_pem.to_owned() }
    }

    pub(crate) fn self_signed(params: &CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        Leaf::of(params.self_signed(&key).unwrap(), &key)
    }
}

pub(crate) fn roots(certificates: &[CertificateDer<'static>]) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).unwrap();
    }
    Arc::new(roots)
}

/// Parameters of a server's certificate: its Common Names, its subjectAltName (DNS names and IP literals; none = no
/// extension).
pub(crate) fn params(common: &[&str], alternative: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (index, name) in common.iter().enumerate() {
        // rcgen keeps one value a type, but takes the same type under its number for another.
        let dn_type = if index == 0 { DnType::CommonName } else { DnType::CustomDnType(vec![2, 5, 4, 3]) };
        params.distinguished_name.push(dn_type, *name);
    }
    params.subject_alt_names = alternative
        .iter()
        .map(|name| match name.parse() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        })
        .collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub(crate) fn with_years(mut params: CertificateParams, from: i32, to: i32) -> CertificateParams {
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params
}

/// A server that shows this chain, whatever it is asked for.
pub(crate) fn origin(leaf: &Leaf, intermediates: &[CertificateDer<'static>]) -> Arc<ServerConfig> {
    let chain = std::iter::once(leaf.der.clone()).chain(intermediates.iter().cloned()).collect();
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
    let provider = super::verifier::provider();
    // Not `from_der`, which would refuse to serve what an origin out there may well serve.
    let key = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).unwrap());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Both ends after a handshake in memory, or the first error and whose it was.
pub(crate) struct Met {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
}

#[derive(Debug)]
pub(crate) enum Failed {
    Client(rustls::Error),
    Server { error: rustls::Error, output: Vec<u8> },
}

pub(crate) fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, name: &str) -> Result<Met, Failed> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).map_err(Failed::Client)?;
    let mut server = ServerConnection::new(Arc::clone(server)).map_err(|error| failed(error, Vec::new()))?;
    let mut bytes = Vec::new();
    while client.wants_write() || server.wants_write() {
        bytes.clear();
        client.write_tls(&mut bytes).unwrap();
        let mut input = bytes.as_slice();
        while !input.is_empty() {
            server.read_tls(&mut input).unwrap();
            if let Err(error) = server.process_new_packets() {
                let mut output = Vec::new();
                server.write_tls(&mut output).unwrap();
                return Err(failed(error, output));
            }
        }
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        let mut input = bytes.as_slice();
        while !input.is_empty() {
            client.read_tls(&mut input).unwrap();
            client.process_new_packets().map_err(Failed::Client)?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Met { client, server })
}

fn failed(error: rustls::Error, output: Vec<u8>) -> Failed {
    Failed::Server { error, output }
}
