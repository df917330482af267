//! Why a site's certificate and key cannot be used: words for the person who configured them.

use std::fmt;

/// A certificate and key that cannot be used, and what to do. It names no file: the caller knows which it read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateProblem {
    /// Which problem it is.
    pub kind: ProblemKind,
    /// What is wrong, as one sentence without a full stop.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

/// The problems of a certificate and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProblemKind {
    /// A PEM section is cut off or not base64.
    BrokenPem,
    /// No certificate in the certificate file.
    NoCertificate,
    /// The leaf is not an X.509 version 3 certificate.
    UnreadableCertificate,
    /// No private key in the key file.
    NoKey,
    /// The key is protected by a passphrase.
    EncryptedKey,
    /// A key of a kind or length that ring does not take.
    UnusableKey,
    /// The key is that of another certificate.
    MismatchedKey,
    /// The key is that of a certificate further down the chain.
    LeafNotFirst,
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.hint)
    }
}

impl std::error::Error for CertificateProblem {}

impl CertificateProblem {
    /// `detail` is what the parser said, or nothing.
    pub(super) fn of(kind: ProblemKind, detail: impl fmt::Display) -> CertificateProblem {
        let (what, hint) = words(kind);
        let detail = detail.to_string();
        let what = if detail.is_empty() { what.to_owned() } else { format!("{what} ({detail})") };
        CertificateProblem { kind, what, hint }
    }
}

/// The problem of a key file in which no usable key was found.
pub(super) fn key_problem(key_pem: &[u8]) -> CertificateProblem {
    let has = |needle: &[u8]| key_pem.windows(needle.len()).any(|window| window == needle);
    let is_encrypted = has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED");
    CertificateProblem::of(if is_encrypted { ProblemKind::EncryptedKey } else { ProblemKind::NoKey }, "")
}

fn words(kind: ProblemKind) -> (&'static str, &'static str) {
    match kind {
        ProblemKind::BrokenPem => ("the PEM text is broken", "copy the file again, whole and as text"),
        ProblemKind::NoCertificate => (
            "there is no certificate in the certificate file",
            "it must hold -----BEGIN CERTIFICATE----- sections: the leaf first, then its intermediates",
        ),
        ProblemKind::UnreadableCertificate => (
            "the first certificate cannot be read as one of X.509 version 3",
            "have the certificate issued anew, or put the right file here",
        ),
        ProblemKind::NoKey => (
            "there is no private key in the key file",
            "it must hold one -----BEGIN PRIVATE KEY----- section (or RSA PRIVATE KEY, EC PRIVATE KEY)",
        ),
        ProblemKind::EncryptedKey => (
            "the private key is protected by a passphrase",
            "write it without one: openssl pkey -in KEY -out PLAIN.key, readable by Millpond alone",
        ),
        ProblemKind::UnusableKey => (
            "the private key is of a kind that is not supported",
            "use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits",
        ),
        ProblemKind::MismatchedKey => (
            "the private key does not belong to the certificate",
            "give the key with which this certificate was requested, or the certificate made for this key",
        ),
        ProblemKind::LeafNotFirst => (
            "the private key belongs to a later certificate of the file, not to the first",
            "put the server's certificate first, then its intermediates",
        ),
    }
}
