//! The certificates that clients see, chosen by server name (RFC 6066 section 3).
//!
//! Certificates arrive as PEM bytes with the domain names they are for; what cannot work is refused with a hint before
//! any client meets it. Which sites exist, and what Host a request names, is not known here.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::certificate_problem::{CertificateProblem, ProblemKind, key_problem};
use super::facts::CertificateFacts;
use super::names::{NameRule, PresentedNames};
use super::verifier::provider;

/// The certificates in force. One value lives as long as the listeners; a reload puts a new set into it.
pub(crate) struct Certificates(RwLock<Arc<Set>>);

/// Collects certificates, then becomes [`Certificates`] or takes the place of what is in them.
#[derive(Default)]
pub(crate) struct CertificatesBuilder(Set);

/// Certificates by the names they answer to.
#[derive(Default)]
struct Set {
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By suffix, without `*.`.
    wildcards: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// In the order of adding; the first answers hellos without a server name.
    all: Vec<Arc<CertifiedKey>>,
}

/// Facts of one certificate, for warnings.
#[derive(Clone, Debug)]
pub(crate) struct CertificateInfo {
    /// Domain names of the site, as configured.
    pub domains: Vec<String>,
    /// Names, issuer and validity of the leaf.
    pub presented: PresentedNames,
}

/// The configuration for connections of clients: TLS 1.2 and 1.3, `http/1.1` by ALPN, no early data, stateless tickets
/// whose keys live in memory alone. New handshakes, resumed ones too, see whatever `certificates` hold by then.
pub(crate) fn server_config(certificates: Arc<Certificates>) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.send_tls13_tickets = TICKETS;
    config.session_storage = ServerSessionMemoryCache::new(MAX_SESSIONS);
    match rustls::crypto::ring::Ticketer::new() {
        Ok(ticketer) => config.ticketer = ticketer,
        Err(error) => log::warn!("no TLS session tickets: {error}"),
    }
    Arc::new(config)
}

/// The certificate that we show to origins, from the PEM of its chain (leaf first) and of its key.
pub(crate) fn client_certificate(
    chain_pem: &[u8],
    key_pem: &[u8],
) -> Result<Arc<SingleCertAndKey>, CertificateProblem> {
    let key = certified_key(read_chain(chain_pem)?, key_pem)?;
    Ok(Arc::new(SingleCertAndKey::from(key)))
}

/// The alert to send in place of rustls' own output where a handshake failed because no certificate answers to its
/// server name. rustls says `access_denied` there; RFC 6066 section 3 has `unrecognized_name` for it.
pub(crate) fn refusal_alert(error: &rustls::Error) -> Option<[u8; 7]> {
    let is_refusal = matches!(error, rustls::Error::General(text) if text == NO_CERTIFICATE);
    // Record: alert, TLS 1.2, two bytes: fatal, unrecognized_name(112). Nothing is encrypted yet.
    is_refusal.then_some([21, 3, 3, 0, 2, 2, 112])
}

/// The facts of the first certificate in a PEM text; `None` where there is none that can be read.
pub(crate) fn leaf_facts(chain_pem: &[u8]) -> Option<CertificateFacts> {
    CertificateFacts::read(read_chain(chain_pem).ok()?.first()?)
}

impl CertificatesBuilder {
    /// Adds the chain (leaf first) and key of a site for its domain names: exact ones, and `*.suffix` for any depth
    /// below. The first certificate added answers hellos without a server name; of two for one domain the first stays.
    ///
    /// Dates are no error: see [`CertificateInfo::warnings`].
    pub(crate) fn add(
        &mut self,
        domains: &[String],
        chain_pem: &[u8],
        key_pem: &[u8],
    ) -> Result<CertificateInfo, CertificateProblem> {
        let chain = read_chain(chain_pem)?;
        let presented = chain.first().and_then(|leaf| PresentedNames::read(leaf));
        let presented =
            presented.ok_or_else(|| CertificateProblem::of(ProblemKind::UnreadableCertificate, "its first"))?;
        let key = Arc::new(certified_key(chain, key_pem)?);
        self.0.all.push(Arc::clone(&key));
        for domain in domains {
            self.0.insert(domain, &key);
        }
        Ok(CertificateInfo { domains: domains.to_vec(), presented })
    }

    /// The finished collection.
    pub(crate) fn build(self) -> Arc<Certificates> {
        Arc::new(Certificates(RwLock::new(Arc::new(self.0))))
    }
}

impl Certificates {
    /// Puts other certificates in force for all handshakes that begin from now on; connections keep theirs. Says how many
    /// of the new ones were not in force before.
    pub(crate) fn replace(&self, builder: CertificatesBuilder) -> usize {
        let new = Arc::new(builder.0);
        let old = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), Arc::clone(&new));
        let is_known = |key: &&Arc<CertifiedKey>| old.all.iter().any(|known| known.cert == key.cert);
        new.all.iter().filter(|key| !is_known(key)).count()
    }

    /// Whether a hello with this server name (`None` = without one) gets a certificate.
    #[cfg(test)]
    pub(crate) fn answers(&self, server_name: Option<&str>) -> bool {
        self.set().find(server_name).is_some()
    }

    fn set(&self) -> Arc<Set> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Set {
    fn insert(&mut self, domain: &str, key: &Arc<CertifiedKey>) {
        let domain = normal(domain);
        let (map, name) = match domain.strip_prefix("*.") {
            Some(suffix) => (&mut self.wildcards, suffix),
            None => (&mut self.exact, domain.as_str()),
        };
        map.entry(name.into()).or_insert_with(|| Arc::clone(key));
    }

    /// The exact name, else the longest suffix of a wildcard, at least one label below it: the order of the router.
    /// Without a name the first certificate of all.
    fn find(&self, server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = server_name.map(normal) else { return self.all.first().cloned() };
        if let Some(key) = self.exact.get(name.as_str()) {
            return Some(Arc::clone(key));
        }
        let suffixes = name.match_indices('.').filter_map(|(dot, _)| name.get(dot.saturating_add(1)..));
        suffixes.filter_map(|suffix| self.wildcards.get(suffix)).next().map(Arc::clone)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.set().find(hello.server_name())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.set();
        f.debug_set().entries(set.exact.keys()).entries(set.wildcards.keys()).finish()
    }
}

impl CertificateInfo {
    /// Whole days until the leaf expires; negative once it has.
    pub(crate) fn days_left(&self, now_unix: i64) -> i64 {
        self.presented.not_after.saturating_sub(now_unix).div_euclid(86_400)
    }

    /// What clients will complain about, each with what to do; empty if nothing.
    pub(crate) fn warnings(&self, now_unix: i64) -> Vec<String> {
        let mut warnings = Vec::new();
        let days = self.days_left(now_unix);
        if self.presented.not_after < now_unix {
            warnings.push(format!("the certificate for {:?} has expired: renew it", self.domains));
        } else if days < WARN_DAYS {
            warnings.push(format!("the certificate for {:?} expires in {days} days: renew it", self.domains));
        }
        if self.presented.not_before > now_unix {
            warnings.push(format!("the certificate for {:?} is not valid yet: look at the clock", self.domains));
        }
        let uncovered = self.domains.iter().filter(|domain| !self.is_covered(domain));
        warnings.extend(uncovered.map(|domain| {
            format!("the certificate does not name {domain:?}: clients will refuse it there; have one issued that does")
        }));
        warnings
    }

    /// Browsers look at subjectAltName alone. A wildcard domain must stand there as it is.
    fn is_covered(&self, domain: &str) -> bool {
        self.presented.is_valid_for(domain, NameRule::San)
    }
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn read_chain(chain_pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateProblem> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain_pem).collect();
    let chain = chain.map_err(|error| CertificateProblem::of(ProblemKind::BrokenPem, error))?;
    if chain.is_empty() { Err(CertificateProblem::of(ProblemKind::NoCertificate, "")) } else { Ok(chain) }
}

/// Joins chain and key, which must belong together (their public keys are compared).
fn certified_key(chain: Vec<CertificateDer<'static>>, key_pem: &[u8]) -> Result<CertifiedKey, CertificateProblem> {
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| match error {
        pem::Error::NoItemsFound => key_problem(key_pem),
        error => CertificateProblem::of(ProblemKind::BrokenPem, error),
    })?;
    let provider = provider();
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| CertificateProblem::of(ProblemKind::UnusableKey, error))?;
    let mut pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateProblem::of(mismatch(&mut pair), "")),
        Err(error) => Err(CertificateProblem::of(ProblemKind::UnreadableCertificate, error)),
    }
}

/// Whether the key belongs to nothing in the chain, or to a certificate that should stand first.
fn mismatch(pair: &mut CertifiedKey) -> ProblemKind {
    while !pair.cert.is_empty() {
        pair.cert.remove(0);
        if !pair.cert.is_empty() && pair.keys_match().is_ok() {
            return ProblemKind::LeafNotFirst;
        }
    }
    ProblemKind::MismatchedKey
}

/// What rustls says when a resolver returns nothing; a test holds on to it.
const NO_CERTIFICATE: &str = "no server certificate chain resolved";
/// Of TLS 1.3, to each client: every further one costs it and us some microseconds of each handshake.
const TICKETS: usize = 1;
/// Sessions kept for clients that resume without tickets.
const MAX_SESSIONS: usize = 1024;
/// Renewal is due when fewer days are left; public certificates live 47 to 90 days.
pub(crate) const WARN_DAYS: i64 = 21;
