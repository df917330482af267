//! A handshake that is watched: what the server shows and asks for, and what the site's own check says of it.
//!
//! The verdict is that of the very verifier that a fetch uses. A watched handshake goes on after a refusal, so that the
//! certificate can be looked at; it carries no request, and nothing that is sent over it is worth protecting.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::facts::CertificateFacts;

/// What was seen in one handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// What the server showed, its own certificate first; unreadable ones are left out.
    pub chain: Vec<CertificateFacts>,
    /// Why the site's check refuses it.
    pub refusal: Option<Error>,
    /// The server asked for a certificate of ours.
    pub wants_client_certificate: bool,
    /// We have none to give.
    pub lacks_client_certificate: bool,
}

/// Watches one handshake.
#[derive(Debug)]
pub(crate) struct Watch {
    verifier: Arc<dyn ServerCertVerifier>,
    resolver: Arc<dyn ResolvesClientCert>,
    seen: Mutex<Seen>,
}

impl Watch {
    /// `config`, as fetches use it, with a watch over `verifier`, which is the one in it. Without `sends_name` no SNI is
    /// sent.
    pub(crate) fn over(
        config: &ClientConfig,
        verifier: Arc<dyn ServerCertVerifier>,
        sends_name: bool,
    ) -> (Arc<Watch>, Arc<ClientConfig>) {
        let mut config = config.clone();
        let resolver = Arc::clone(&config.client_auth_cert_resolver);
        let watch = Arc::new(Watch { verifier, resolver, seen: Mutex::default() });
        config.client_auth_cert_resolver = watch.clone();
        // A resumed session would show no certificate.
        config.resumption = Resumption::disabled();
        config.enable_sni &= sends_name;
        config.dangerous().set_certificate_verifier(watch.clone());
        (watch, Arc::new(config))
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A refusal is noted, and the handshake goes on.
    fn pass<T>(&self, verdict: Result<T, Error>, passed: T) -> Result<T, Error> {
        Ok(verdict.unwrap_or_else(|error| {
            self.note(|seen| seen.refusal = seen.refusal.take().or(Some(error)));
            passed
        }))
    }
}

impl ServerCertVerifier for Watch {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = std::iter::once(leaf).chain(intermediates).take(MAX_CHAIN);
        let chain = shown.filter_map(|der| CertificateFacts::read(der)).collect();
        self.note(|seen| seen.chain = chain);
        let verdict = self.verifier.verify_server_cert(leaf, intermediates, name, ocsp_response, now);
        self.pass(verdict, ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict = self.verifier.verify_tls12_signature(message, leaf, signature);
        self.pass(verdict, HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict = self.verifier.verify_tls13_signature(message, leaf, signature);
        self.pass(verdict, HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl ResolvesClientCert for Watch {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = self.resolver.resolve(hints, schemes);
        self.note(|seen| {
            seen.wants_client_certificate = true;
            seen.lacks_client_certificate = key.is_none();
        });
        key
    }

    fn has_certs(&self) -> bool {
        // Else rustls would not ask.
        true
    }
}

const MAX_CHAIN: usize = 16;
