//! The check of an origin's certificate, and the rustls configuration that carries it.
//!
//! The chain, the dates and the purpose are always verified, or the leaf is pinned (decision 30); only then do names
//! count. There is no switch that turns the check off. One configuration belongs to one policy: a changed policy needs a
//! new configuration, because resumed sessions do not pass through the verifier again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, version};

use super::names::{NameRule, PresentedNames, is_whitelisted, issuer_der};
use super::reject::{CertificateReject, Reason};

/// Which leaf certificates of an origin are accepted, besides the chain check. The expected name is not part of it: it
/// is the `ServerName` of each connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct NameCheck {
    /// Which names count against the expected one.
    pub rule: NameRule,
    /// Further names that are accepted; never a rescue from a bad chain, date or purpose.
    pub whitelist: Vec<String>,
    /// SHA-256 fingerprints of leaves that are accepted whatever their issuer, name and dates. Other leaves go through
    /// the usual check.
    pub pins: Vec<[u8; 32]>,
}

/// Our own side of the handshake with an origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientSide {
    /// What we show an origin that asks for a certificate.
    pub certificate: Option<Arc<SingleCertAndKey>>,
    /// TLS 1.2 is refused.
    pub is_tls13_only: bool,
}

/// The configuration for connections to origins under one policy: TLS 1.2 (unless refused) and 1.3, `http/1.1` by ALPN, session
/// resumption in bounded memory. The `ServerName` given to each connection is both the SNI and the expected name; an IP
/// literal there sends no SNI and is compared with iPAddress names.
pub(crate) fn client_config(roots: Arc<RootCertStore>, check: NameCheck, side: ClientSide) -> Arc<ClientConfig> {
    let versions: &[_] = if side.is_tls13_only { &[&version::TLS13] } else { &[&version::TLS13, &version::TLS12] };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("ring has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(origin_verifier(roots, check));
    let mut config = match side.certificate {
        Some(certificate) => builder.with_client_cert_resolver(certificate),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
    Arc::new(config)
}

/// The check that such a configuration holds, by itself: for a diagnosis that must come to the same verdict.
pub(crate) fn origin_verifier(roots: Arc<RootCertStore>, check: NameCheck) -> Arc<dyn ServerCertVerifier> {
    Arc::new(OriginVerifier { roots, check, warned: AtomicI64::new(i64::MIN) })
}

/// SHA-256 of a certificate's DER, as in the setting `pin`.
pub(crate) fn fingerprint(der: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The only crypto provider in Millpond.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&PROVIDER)
}

#[derive(Debug)]
struct OriginVerifier {
    roots: Arc<RootCertStore>,
    check: NameCheck,
    /// When an expired pinned leaf was last warned of, Unix seconds.
    warned: AtomicI64,
}

impl ServerCertVerifier for OriginVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let print = fingerprint(leaf);
        if self.check.pins.contains(&print) {
            self.warn_of_expired_pin(leaf, now);
            return Ok(ServerCertVerified::assertion());
        }
        let expected = name.to_str();
        let subject = Subject { leaf, intermediates, expected: &expected, print };
        self.verify_chain(leaf, intermediates, now).map_err(|error| self.chain_reject(&subject, &error))?;
        self.verify_name(&subject)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, &algorithms).map_err(|error| self.signature_error(leaf, error))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, &algorithms).map_err(|error| self.signature_error(leaf, error))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// What is being judged.
struct Subject<'a> {
    leaf: &'a [u8],
    intermediates: &'a [CertificateDer<'a>],
    expected: &'a str,
    print: [u8; 32],
}

impl OriginVerifier {
    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = provider().signature_verification_algorithms.all;
        let leaf = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, intermediates, now, algorithms)
    }

    fn verify_name(&self, subject: &Subject<'_>) -> Result<(), Error> {
        let Some(mut names) = PresentedNames::read(subject.leaf) else {
            return Err(self.reject(Reason::Unreadable, PresentedNames::default(), subject).into());
        };
        // webpki holds a CA's nameConstraints against subjectAltName alone; the Common Name must not slip past them.
        let is_constrained = !names.common_names.is_empty() && self.is_name_constrained(subject);
        let uncounted = if is_constrained { std::mem::take(&mut names.common_names) } else { Vec::new() };
        if names.is_valid_for(subject.expected, self.check.rule) || self.is_any_whitelisted(&names) {
            return Ok(());
        }
        if is_constrained {
            names.common_names = uncounted;
        }
        let reject = self.reject(Reason::NotValidForName, names, subject);
        Err(CertificateReject { is_name_constrained: is_constrained, ..reject }.into())
    }

    /// Whether an intermediate, or a trusted root that one of the certificates points at, may vouch for some names only.
    fn is_name_constrained(&self, subject: &Subject<'_>) -> bool {
        let has_constraints =
            |der: &CertificateDer<'_>| PresentedNames::read(der).is_none_or(|it| it.has_name_constraints);
        let is_issuer = |name: &[u8]| {
            let mut sent = std::iter::once(subject.leaf).chain(subject.intermediates.iter().map(AsRef::as_ref));
            sent.any(|der| issuer_der(der) == Some(name))
        };
        let mut roots = self.roots.roots.iter().filter(|root| root.name_constraints.is_some());
        subject.intermediates.iter().any(has_constraints) || roots.any(|root| is_issuer(&root.subject))
    }

    fn is_any_whitelisted(&self, names: &PresentedNames) -> bool {
        let whitelist = &self.check.whitelist;
        !whitelist.is_empty()
            && names.all().iter().any(|name| whitelist.iter().any(|entry| is_whitelisted(entry, name)))
    }

    fn chain_reject(&self, subject: &Subject<'_>, error: &Error) -> Error {
        let names = PresentedNames::read(subject.leaf).unwrap_or_default();
        let (reason, date) = reason_of(error, &names);
        let reason = if reason == Reason::BadSignature { Reason::OtherIssuerKey } else { reason };
        let is_untrusted = matches!(
            reason,
            Reason::UnknownIssuer | Reason::SelfSigned | Reason::CaUsedAsEndEntity | Reason::OtherIssuerKey
        );
        let reason = if is_untrusted && !self.check.pins.is_empty() { Reason::PinMismatch } else { reason };
        let reject = self.reject(reason, names, subject);
        CertificateReject { date, chain_error: error.to_string(), ..reject }.into()
    }

    /// An error of the signature over the handshake, with the certificate's facts where it is about the certificate.
    fn signature_error(&self, leaf: &CertificateDer<'_>, error: Error) -> Error {
        if !matches!(error, Error::InvalidCertificate(_)) {
            return error;
        }
        let subject = Subject { leaf, intermediates: &[], expected: "", print: fingerprint(leaf) };
        let names = PresentedNames::read(leaf).unwrap_or_default();
        let (reason, date) = reason_of(&error, &names);
        let reject = self.reject(reason, names, &subject);
        CertificateReject { date, chain_error: error.to_string(), ..reject }.into()
    }

    fn reject(&self, reason: Reason, presented: PresentedNames, subject: &Subject<'_>) -> CertificateReject {
        CertificateReject {
            reason,
            expected: subject.expected.to_owned(),
            rule: self.check.rule,
            presented,
            fingerprint: subject.print,
            intermediates: subject.intermediates.len(),
            is_name_constrained: false,
            date: None,
            chain_error: String::new(),
        }
    }

    /// A pin outlives the dates (decision 30), but not in silence: one line an hour and policy.
    fn warn_of_expired_pin(&self, leaf: &[u8], now: UnixTime) {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let Some(names) = PresentedNames::read(leaf).filter(|names| names.not_after < now) else { return };
        let last = self.warned.load(Ordering::Relaxed);
        if now.saturating_sub(last) >= 3600 {
            self.warned.store(now, Ordering::Relaxed);
            log::warn!("a pinned origin certificate for {:?} has expired and is still accepted", names.all());
        }
    }
}

/// Our reason for an error of rustls, and the date that was missed.
fn reason_of(error: &Error, names: &PresentedNames) -> (Reason, Option<i64>) {
    let Error::InvalidCertificate(error) = error else { return (Reason::Other, None) };
    let seconds = |time: &UnixTime| i64::try_from(time.as_secs()).ok();
    let unknown = if names.is_self_issued { Reason::SelfSigned } else { Reason::UnknownIssuer };
    let reason = match error {
        CertificateError::BadEncoding => Reason::Unreadable,
        CertificateError::ExpiredContext { not_after, .. } => return (Reason::Expired, seconds(not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => return (Reason::NotYetValid, seconds(not_before)),
        CertificateError::Expired => return (Reason::Expired, Some(names.not_after)),
        CertificateError::NotValidYet => return (Reason::NotYetValid, Some(names.not_before)),
        CertificateError::UnknownIssuer => unknown,
        // ring refuses short keys before it looks at the signature, and rustls cannot tell the two apart.
        CertificateError::BadSignature if names.rsa_bits.is_some_and(|bits| bits < 2048) => Reason::WeakKey,
        CertificateError::BadSignature => Reason::BadSignature,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => Reason::WrongPurpose,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Reason::UnsupportedAlgorithm,
        // Errors of webpki that rustls has no name for; a test holds on to the spelling.
        CertificateError::Other(other) => match other.to_string().as_str() {
            text if text.contains("CaUsedAsEndEntity") && names.is_self_issued => Reason::SelfSigned,
            text if text.contains("CaUsedAsEndEntity") => Reason::CaUsedAsEndEntity,
            text if text.contains("UnsupportedCertVersion") => Reason::UnsupportedVersion,
            _ => Reason::Other,
        },
        _ => Reason::Other,
    };
    (reason, None)
}

/// Sessions remembered for resumption, by policy: rustls keeps up to 8 a server name.
const MAX_SESSIONS: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::tls::reject_of;
    use crate::tls::tests_support::roots;

    /// The check of a leaf that is its own trusted root, in the year 2030.
    fn judge(pem: &str, name: &str) -> Result<(), Error> {
        let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000));
        let roots = roots(std::slice::from_ref(&leaf));
        let verifier = OriginVerifier { roots, check: NameCheck::default(), warned: AtomicI64::new(i64::MIN) };
        verifier.verify_server_cert(&leaf, &[], &ServerName::try_from(name).unwrap(), &[], now).map(drop)
    }

    #[test]
    fn weak_signatures_and_keys_are_named() {
        let rows = [
            (include_str!("testdata/sha1.pem"), "sha1.example", Some(Reason::UnsupportedAlgorithm)),
            (include_str!("testdata/rsa1024.pem"), "short.example", Some(Reason::WeakKey)),
            (include_str!("testdata/rsa.pem"), "rsa.example", None),
            (include_str!("testdata/rsa.pem"), "short.example", Some(Reason::NotValidForName)),
        ];
        for (pem, name, expected) in rows {
            let found = judge(pem, name).err();
            assert_eq!(found.map(|error| reject_of(&error).unwrap().reason), expected, "{name}");
        }
        let text = judge(include_str!("testdata/rsa1024.pem"), "short.example").unwrap_err();
        assert!(reject_of(&text).unwrap().to_string().contains("an RSA key of 1024 bits, shorter than 2048"));
    }

    #[test]
    fn errors_of_the_handshake_signature_name_the_certificate_if_it_is_to_blame() {
        let leaf = CertificateDer::from_pem_slice(include_bytes!("testdata/rsa.pem")).unwrap();
        let verifier = OriginVerifier {
            roots: roots(std::slice::from_ref(&leaf)),
            check: NameCheck::default(),
            warned: AtomicI64::new(i64::MIN),
        };
        let error = verifier.signature_error(&leaf, CertificateError::BadSignature.into());
        let reject = reject_of(&error).unwrap();
        assert_eq!((reject.reason, reject.presented.rsa_bits), (Reason::BadSignature, Some(2048)));
        let other = verifier.signature_error(&leaf, Error::DecryptError);
        assert_eq!(other, Error::DecryptError);
    }
}
