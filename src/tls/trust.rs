//! Whom we trust to vouch for origins (the setting `trust`).
//!
//! It loads root certificates and shares them between sites; it judges no certificate.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::pem_file::read_pem;
use super::verifier::fingerprint;

/// Where trusted root certificates come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TrustSource {
    /// The operating system's store, or the bundled roots where that is empty.
    System,
    /// The roots of Mozilla, as compiled in.
    Bundled,
    /// A PEM file with one or more CA certificates.
    File(PathBuf),
}

/// Why trusted roots could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustProblem {
    /// What is wrong, naming the file.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for TrustProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.hint)
    }
}

impl std::error::Error for TrustProblem {}

/// The trusted roots of a source. System and bundled roots are loaded once in the life of the process; a file is read
/// at each call, and sites whose files hold the same bytes share one store.
pub(crate) fn trust_roots(source: &TrustSource) -> Result<Arc<RootCertStore>, TrustProblem> {
    match source {
        TrustSource::System => Ok(Arc::clone(SYSTEM.get_or_init(load_system))),
        TrustSource::Bundled => Ok(bundled()),
        TrustSource::File(path) => {
            let pem = read_pem(path).map_err(|error| TrustProblem {
                what: format!("cannot read the CA file {}: {error}", path.display()),
                hint: "trust takes \"system\", \"bundled\" or the path of a PEM file that Millpond may read".to_owned(),
            })?;
            shared(&pem).map_err(|what| TrustProblem {
                what: format!("the CA file {} is of no use: {what}", path.display()),
                hint: "it must hold one or more -----BEGIN CERTIFICATE----- sections".to_owned(),
            })
        }
    }
}

fn load_system() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Unreadable and unusual roots are left out: one odd file in the system's store must not stop a start.
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Arc::new(roots);
    }
    log::warn!("the system has no trusted root certificates: the bundled ones are used");
    bundled()
}

fn bundled() -> Arc<RootCertStore> {
    Arc::clone(BUNDLED.get_or_init(|| Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())))
}

/// The roots in a PEM text, taken from memory while some site still holds the same ones.
fn shared(pem: &[u8]) -> Result<Arc<RootCertStore>, String> {
    let digest = fingerprint(pem);
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    files.retain(|(_, roots)| roots.strong_count() > 0);
    if let Some(roots) = files.iter().find(|(known, _)| *known == digest).and_then(|(_, roots)| roots.upgrade()) {
        return Ok(roots);
    }
    let roots = Arc::new(read_roots(pem)?);
    files.push((digest, Arc::downgrade(&roots)));
    Ok(roots)
}

fn read_roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let number = index.saturating_add(1);
        let certificate = certificate.map_err(|error| format!("section {number} is broken ({error})"))?;
        roots.add(certificate).map_err(|error| format!("certificate {number} cannot be a root ({error})"))?;
    }
    if roots.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(roots) }
}

static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
static BUNDLED: OnceLock<Arc<RootCertStore>> = OnceLock::new();
static FILES: Mutex<Vec<([u8; 32], Weak<RootCertStore>)>> = Mutex::new(Vec::new());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests_support::Authority;

    #[test]
    fn the_same_ca_text_is_parsed_once_while_in_use() {
        let pem = Authority::new("Shared CA").pem();
        let first = shared(pem.as_bytes()).unwrap();
        assert!(Arc::ptr_eq(&first, &shared(pem.as_bytes()).unwrap()));
        assert_eq!(first.len(), 1);
        assert!(Arc::ptr_eq(&bundled(), &trust_roots(&TrustSource::Bundled).unwrap()));
        assert!(trust_roots(&TrustSource::System).unwrap().len() > 1);
    }

    #[test]
    fn a_ca_file_of_no_use_is_named_with_a_hint() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "hello", broken, "-----BEGIN CERTIFICATE-----\nAA"] {
            assert!(shared(pem.as_bytes()).is_err(), "{pem}");
        }
        let problem = trust_roots(&TrustSource::File("/nonexistent/ca.pem".into())).unwrap_err().to_string();
        assert!(problem.contains("/nonexistent/ca.pem") && problem.contains("\"bundled\""), "{problem}");
    }
}
