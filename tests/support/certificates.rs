//! A certificate authority and leaf certificates, sound and broken, made by rcgen for one test.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rcgen::{KeyUsagePurpose, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::temp_dir::TempDir;

/// A CA with an intermediate below it, and a directory for what they issue.
pub struct Certificates {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
    expired: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// What a leaf certificate is to say, and who signs it. Valid from 2020 to 2049 unless said otherwise.
#[derive(Clone)]
pub struct Leaf {
    names: Vec<String>,
    common_name: Option<String>,
    /// First and last day: year, month, day.
    valid: [(i32, u8, u8); 2],
    purpose: ExtendedKeyUsagePurpose,
    signer: Signer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signer {
    Root,
    Intermediate,
    MissingIntermediate,
    ExpiredIntermediate,
    Itself,
}

/// A certificate chain with its key, in memory and as PEM files.
#[derive(Clone)]
pub struct Identity {
    pub chain_pem: String,
    pub key_pem: String,
    pub chain_file: PathBuf,
    pub key_file: PathBuf,
}

impl Leaf {
    /// Subject Alternative Names (host names, `*.` patterns, IP literals); no Common Name.
    pub fn names(names: &[&str]) -> Leaf {
        Leaf {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            common_name: None,
            valid: [(2020, 1, 1), (2049, 1, 1)],
            purpose: ExtendedKeyUsagePurpose::ServerAuth,
            signer: Signer::Root,
        }
    }

    /// A Common Name and no Subject Alternative Name at all.
    pub fn common_name_only(name: &str) -> Leaf {
        Leaf::names(&[]).common_name(name)
    }

    pub fn common_name(self, name: &str) -> Leaf {
        Leaf { common_name: Some(name.to_owned()), ..self }
    }

    pub fn expired(self) -> Leaf {
        self.valid((2001, 1, 1), (2002, 1, 1))
    }

    pub fn not_yet_valid(self) -> Leaf {
        self.valid((2090, 1, 1), (2099, 1, 1))
    }

    /// From the first day to the last: year, month, day.
    pub fn valid(self, from: (i32, u8, u8), to: (i32, u8, u8)) -> Leaf {
        Leaf { valid: [from, to], ..self }
    }

    /// Fit for TLS clients only: the wrong purpose for an origin.
    pub fn for_clients_only(self) -> Leaf {
        Leaf { purpose: ExtendedKeyUsagePurpose::ClientAuth, ..self }
    }

    pub fn self_signed(self) -> Leaf {
        Leaf { signer: Signer::Itself, ..self }
    }

    /// Signed by the intermediate, which the chain holds.
    pub fn by_intermediate(self) -> Leaf {
        Leaf { signer: Signer::Intermediate, ..self }
    }

    /// Signed by the intermediate, which the chain leaves out: a common fault of real origins.
    pub fn without_its_intermediate(self) -> Leaf {
        Leaf { signer: Signer::MissingIntermediate, ..self }
    }

    /// Signed by an intermediate that has expired, which the chain holds.
    pub fn by_expired_intermediate(self) -> Leaf {
        Leaf { signer: Signer::ExpiredIntermediate, ..self }
    }

    fn params(&self) -> CertificateParams {
        let mut params = params(self.common_name.as_deref(), self.names.clone());
        let [from, to] = self.valid.map(|(year, month, day)| date_time_ymd(year, month, day));
        (params.not_before, params.not_after) = (from, to);
        params.extended_key_usages = vec![self.purpose.clone()];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params
    }
}

impl Certificates {
    /// A CA of its own: two of them do not trust each other.
    pub fn new() -> Certificates {
        let root = ca_params("Millpond Test Root");
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let intermediate = ca_params("Millpond Test Intermediate");
        let intermediate = CertifiedIssuer::signed_by(intermediate, KeyPair::generate().unwrap(), &root).unwrap();
        let mut expired = ca_params("Millpond Test Intermediate of old");
        expired.not_after = date_time_ymd(2002, 1, 1);
        let expired = CertifiedIssuer::signed_by(expired, KeyPair::generate().unwrap(), &root).unwrap();
        let dir = TempDir::new();
        dir.write("ca.pem", root.pem());
        Certificates { root, intermediate, expired, dir }
    }

    /// A sound certificate for the names.
    pub fn identity(&self, names: &[&str]) -> Identity {
        self.issue("leaf", &Leaf::names(names))
    }

    /// Issues a leaf; `file` names its files (`<file>.pem`, `<file>.key`) and may be used again.
    pub fn issue(&self, file: &str, leaf: &Leaf) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = leaf.params();
        let certificate = match leaf.signer {
            Signer::Root => params.signed_by(&key, &self.root),
            Signer::Intermediate | Signer::MissingIntermediate => params.signed_by(&key, &self.intermediate),
            Signer::ExpiredIntermediate => params.signed_by(&key, &self.expired),
            Signer::Itself => params.self_signed(&key),
        };
        let mut chain_pem = certificate.unwrap().pem();
        match leaf.signer {
            Signer::Intermediate => chain_pem.push_str(&self.intermediate.pem()),
            Signer::ExpiredIntermediate => chain_pem.push_str(&self.expired.pem()),
            _ => {}
        }
        let key_pem = key.serialize_pem();
        let chain_file = self.dir.write(&format!("{file}.pem"), &chain_pem);
        let key_file = self.dir.write(&format!("{file}.key"), &key_pem);
        Identity { chain_pem, key_pem, chain_file, key_file }
    }

    pub fn ca_pem(&self) -> String {
        self.root.pem()
    }

    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The directory of all files, removed with this value.
    pub fn dir(&self) -> &TempDir {
        &self.dir
    }

    /// A store that trusts this CA and nothing else.
    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        Arc::new(roots)
    }
}

impl Identity {
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).map(Result::unwrap).collect()
    }

    pub fn leaf(&self) -> CertificateDer<'static> {
        self.chain().swap_remove(0)
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap()
    }
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(Some(common_name), Vec::new());
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(common_name: Option<&str>, names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    // rcgen puts a Common Name of its own if none is set.
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = common_name {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params
}
