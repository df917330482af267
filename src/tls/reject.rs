//! Why a certificate of an origin was refused, in facts for the ledger and the doctor and in a sentence for a person.
//!
//! The facts travel inside a `rustls::Error` through ureq or any other caller; [`reject_of`] gets them back out. Nothing
//! is decided here.

use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, OtherError};

use super::der::date_text;
use super::names::{NameRule, PresentedNames};

/// A refused certificate of an origin.
#[derive(Clone, Debug)]
pub(crate) struct CertificateReject {
    /// What is wrong.
    pub reason: Reason,
    /// The name that the certificate had to carry; empty where only the handshake's signature failed.
    pub expected: String,
    /// Which names counted.
    pub rule: NameRule,
    /// Names, issuer and validity of the leaf; empty if it could not be read.
    pub presented: PresentedNames,
    /// SHA-256 of the leaf.
    pub fingerprint: [u8; 32],
    /// Certificates that the origin sent besides the leaf.
    pub intermediates: usize,
    /// Whether the Common Name did not count because a CA above is limited to certain names (nameConstraints).
    pub is_name_constrained: bool,
    /// The date that was missed, Unix seconds: end of validity for `Expired`, start for `NotYetValid`. It may be that of
    /// an intermediate.
    pub date: Option<i64>,
    /// What the chain check said, in rustls' words; empty if the chain was fine.
    pub chain_error: String,
}

/// What is wrong with a certificate of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// Not a certificate, or one that rustls cannot read.
    Unreadable,
    /// The leaf or an intermediate has expired.
    Expired,
    /// The leaf or an intermediate is not valid yet.
    NotYetValid,
    /// No path to a trusted root: a private CA, or an intermediate that the origin does not send.
    UnknownIssuer,
    /// Issued by itself and not trusted.
    SelfSigned,
    /// A CA certificate, used as that of a server.
    CaUsedAsEndEntity,
    /// Not made for servers (extendedKeyUsage).
    WrongPurpose,
    /// A good certificate for other names.
    NotValidForName,
    /// An RSA key of less than 2048 bits.
    WeakKey,
    /// A signature or key algorithm that is not supported, SHA-1 for one.
    UnsupportedAlgorithm,
    /// X.509 version 1 or 2.
    UnsupportedVersion,
    /// The signature in the handshake is wrong.
    BadSignature,
    /// A signature in the chain is not that of the CA whose name stands there.
    OtherIssuerKey,
    /// Pins are set, this is none of them, and it has no trusted issuer either.
    PinMismatch,
    /// Anything else that the chain check refuses; see `chain_error`.
    Other,
}

/// The refusal inside an error of rustls, if that is what it is.
pub(crate) fn reject_of(error: &rustls::Error) -> Option<&CertificateReject> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref(),
        _ => None,
    }
}

impl From<CertificateReject> for rustls::Error {
    fn from(reject: CertificateReject) -> rustls::Error {
        CertificateError::Other(OtherError(Arc::new(reject))).into()
    }
}

impl std::error::Error for CertificateReject {}

impl fmt::Display for CertificateReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.finding(), self.fix())
    }
}

impl CertificateReject {
    /// What is wrong, in one sentence without a full stop. Names are quoted and escaped.
    pub(crate) fn finding(&self) -> String {
        let of = self.description();
        let date = self.date.map(date_text).unwrap_or_default();
        match self.reason {
            Reason::Unreadable => format!("the origin's certificate cannot be read ({})", self.chain_error),
            Reason::Expired if self.is_leaf_date() => format!("{of} expired on {date}"),
            Reason::Expired => format!("{of} has an intermediate certificate that expired on {date}"),
            Reason::NotYetValid if self.is_leaf_date() => format!("{of} is not valid before {date}"),
            Reason::NotYetValid => format!("{of} has an intermediate certificate that is not valid before {date}"),
            Reason::UnknownIssuer if self.intermediates == 0 => {
                format!("{of} has an issuer that is not trusted, and the origin sent no intermediate certificate")
            }
            Reason::UnknownIssuer => format!("{of} has no chain to a trusted root"),
            Reason::SelfSigned => format!("{of} is self-signed"),
            Reason::CaUsedAsEndEntity => format!("{of} is the certificate of a CA, not of a server"),
            Reason::WrongPurpose => format!("{of} is not made for servers (extendedKeyUsage)"),
            Reason::NotValidForName => self.name_finding(),
            Reason::WeakKey => {
                let bits = self.presented.rsa_bits.unwrap_or_default();
                format!("{of} has an RSA key of {bits} bits, shorter than 2048")
            }
            Reason::UnsupportedAlgorithm => {
                format!("{of} is signed in a way that is no longer accepted, such as SHA-1")
            }
            Reason::UnsupportedVersion => format!("{of} is of X.509 version 1 or 2, not 3"),
            Reason::BadSignature => format!("{of} comes with a wrong signature"),
            Reason::OtherIssuerKey => {
                format!("{of} is not signed by the CA of that name which is trusted: its key is another, or too short")
            }
            Reason::PinMismatch => format!("{of} is none of the pinned ones and has no trusted issuer"),
            Reason::Other => format!("{of} was refused: {}", self.chain_error),
        }
    }

    /// What to do about it, naming the setting where there is one.
    pub(crate) fn fix(&self) -> String {
        let pin = format!("pin = [\"{}\"]", self.fingerprint_text());
        match self.reason {
            Reason::Expired => format!("renew it at the origin, or accept this leaf until then with {pin}"),
            Reason::NotYetValid => {
                format!("compare the clocks of this machine and the origin, or accept this leaf with {pin}")
            }
            Reason::UnknownIssuer => format!(
                "install the full chain at the origin, or, if {:?} is your own CA, set trust to the path of its \
                 certificate, or accept exactly this leaf with {pin}",
                self.presented.issuer
            ),
            Reason::SelfSigned | Reason::CaUsedAsEndEntity => {
                format!("to accept exactly this certificate set {pin}, after comparing the fingerprint at the origin")
            }
            Reason::PinMismatch => format!("if it was renewed on purpose set {pin}"),
            Reason::NotValidForName => self.name_fix(&pin),
            Reason::WrongPurpose => {
                format!("have one issued with the purpose serverAuth, or accept exactly this leaf with {pin}")
            }
            Reason::OtherIssuerKey => format!(
                "if {:?} is your own CA and was made anew, put its present certificate in the file of trust, or accept \
                 exactly this leaf with {pin}",
                self.presented.issuer
            ),
            Reason::BadSignature => "look at who answers at the origin's address".to_owned(),
            Reason::Unreadable
            | Reason::WeakKey
            | Reason::UnsupportedAlgorithm
            | Reason::UnsupportedVersion
            | Reason::Other => "have a new certificate issued for the origin".to_owned(),
        }
    }

    /// `sha256:` and 64 hexadecimal digits, the form of the setting `pin`.
    pub(crate) fn fingerprint_text(&self) -> String {
        let mut text = "sha256:".to_owned();
        for byte in self.fingerprint {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    fn description(&self) -> String {
        let names = list(&self.presented.all());
        match self.presented.issuer.as_str() {
            "" => format!("the origin's certificate for {names}"),
            issuer => format!("the origin's certificate for {names} (issued by {issuer:?})"),
        }
    }

    fn name_finding(&self) -> String {
        let named =
            format!("the origin's certificate is for {}, not for {:?}", list(&self.presented.all()), self.expected);
        let uncounted = match self.rule {
            _ if self.is_name_constrained => {
                " (its Common Name does not count because its CA is limited to certain names)"
            }
            NameRule::SanOrCn if self.presented.is_valid_for(&self.expected, NameRule::Cn) => {
                " (its Common Name does not count beside a subjectAltName)"
            }
            NameRule::San if self.presented.is_valid_for(&self.expected, NameRule::Cn) => {
                " (its Common Name does not count under certificate_names = \"san\")"
            }
            NameRule::Cn if self.presented.is_valid_for(&self.expected, NameRule::San) => {
                " (its subjectAltName does not count under certificate_names = \"cn\")"
            }
            _ => "",
        };
        named + uncounted
    }

    fn name_fix(&self, pin: &str) -> String {
        let host = |name: &&String| name.contains('.') && !name.contains(char::is_whitespace);
        let presented = &self.presented;
        match presented.dns_names.iter().chain(&presented.common_names).find(host) {
            Some(name) => {
                format!("set sni to the name that the origin serves, or add {name:?} to common_name_whitelist")
            }
            None => format!("have one issued for {:?}, or accept exactly this leaf with {pin}", self.expected),
        }
    }

    /// The date that was missed is that of the leaf itself, and not of a certificate above it.
    pub(crate) fn is_leaf_date(&self) -> bool {
        let leaf = if self.reason == Reason::Expired { self.presented.not_after } else { self.presented.not_before };
        self.date == Some(leaf)
    }
}

/// The first few names, quoted; a certificate may hold thousands.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "no name at all".to_owned();
    }
    let shown: Vec<String> = names.iter().take(MAX_SHOWN).map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(MAX_SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}

const MAX_SHOWN: usize = 8;
