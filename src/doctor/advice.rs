//! The name advisor: the smallest safe change that makes a handshake succeed, and what it would trust. Pure.
//!
//! A server name (SNI) is proposed only where a handshake with it has just shown a good certificate. What accepts more
//! than before comes after what accepts the same, and a pin, which accepts one certificate alone, after all that verify
//! a chain. Refuses to know of files and sockets.

use std::net::IpAddr;

use super::report::{Role, Shown, SniRow};
use crate::config::CertificateNames;
use crate::tls::Reason;

/// What the handshake with the configured server name came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server ended the handshake with this alert.
    Refused(u8),
    /// The certificate was refused.
    Certificate(Reason),
}

/// What the advice is built on.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What is wrong.
    pub trouble: Trouble,
    /// The server name that fetches send and expect.
    pub sni: &'a str,
    /// What the server shows for which name.
    pub rows: &'a [SniRow],
    /// Which names of the certificate count.
    pub rule: CertificateNames,
    /// `trust` names a CA file of the operator's own.
    pub has_own_ca: bool,
    /// Intermediate certificates that came along.
    pub intermediates: usize,
    /// Where the missing issuer's certificate can be had, by the last certificate that was sent.
    pub issuer_url: Option<&'a str>,
    /// The issuer that is not known.
    pub issuer: &'a str,
    /// The Common Name alone would be accepted for the SNI, as far as names go.
    pub is_named_by_cn: bool,
    /// It would be with `certificate_names = "san-or-cn"`.
    pub is_named_by_default: bool,
    /// The date that was missed is the leaf's own.
    pub is_leaf_date: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Send this server name.
    Sni(String),
    /// Accept this name too.
    Whitelist(String),
    /// Count other names of the certificate (`certificate_names`).
    Names(CertificateNames),
    /// Accept exactly this certificate.
    Pin(String),
    /// Trust the CA of this name.
    Trust(String),
    /// Have the origin mended; the words say how.
    AtOrigin(String),
}

/// The changes that would mend it, the best first; never empty.
pub fn advise(facts: &Facts<'_>) -> Vec<Advice> {
    let configured = facts.configured();
    let fingerprint = configured.map(|shown| shown.fingerprint.as_str());
    let mut advice = Vec::new();
    // Another certificate for another name: the server has several, and the right one was not asked for.
    if let Some((name, _)) = facts.good().find(|(_, shown)| Some(shown.fingerprint.as_str()) != fingerprint) {
        advice.push(Advice::Sni(name.to_owned()));
    }
    match facts.trouble {
        Trouble::Refused(alert) => advice.extend(for_refusal(facts, alert)),
        Trouble::Certificate(reason) => {
            advice.extend(for_certificate(facts, reason));
            let is_pinnable = !matches!(
                reason,
                Reason::Unreadable
                    | Reason::WeakKey
                    | Reason::UnsupportedAlgorithm
                    | Reason::UnsupportedVersion
                    | Reason::BadSignature
                    | Reason::Other
            );
            advice.extend(fingerprint.filter(|_| is_pinnable).map(|print| Advice::Pin(print.to_owned())));
        }
    }
    let mut seen = Vec::new();
    advice.retain(|one| {
        !seen.contains(one) && {
            seen.push(one.clone());
            true
        }
    });
    advice
}

fn for_refusal(facts: &Facts<'_>, alert: u8) -> Vec<Advice> {
    // No good certificate for any name: one with a sound chain under another name is the next best.
    let mut advice = Vec::new();
    let sound = facts.shown().find(|(_, shown)| shown.chain.is_none());
    if let Some((asked, shown)) = sound.filter(|_| facts.good().next().is_none()) {
        advice.push(Advice::Sni(asked.to_owned()));
        advice.extend(whitelist_entry(shown).map(Advice::Whitelist));
    }
    let is_name_known = facts.rows.iter().all(|row| row.shown.is_err());
    let words = match alert {
        UNRECOGNIZED_NAME => format!("have the server answer for {:?}", facts.sni),
        HANDSHAKE_FAILURE | INSUFFICIENT_SECURITY if is_name_known => {
            format!("{SPOKEN}; or have it answer for {:?}", facts.sni)
        }
        HANDSHAKE_FAILURE | INSUFFICIENT_SECURITY => format!("have the server answer for {:?}", facts.sni),
        alert => {
            format!("look at the server's own log: it ends the handshake with alert {alert}, whatever name is sent")
        }
    };
    advice.push(Advice::AtOrigin(words));
    advice
}

fn for_certificate(facts: &Facts<'_>, reason: Reason) -> Vec<Advice> {
    let at_origin = |words: &str| vec![Advice::AtOrigin(words.to_owned())];
    match reason {
        Reason::NotValidForName => for_name(facts),
        // A pin comes behind; here is what would be better.
        Reason::SelfSigned | Reason::PinMismatch => Vec::new(),
        Reason::CaUsedAsEndEntity => at_origin("have the server show a certificate of its own, not that of its CA"),
        Reason::OtherIssuerKey => vec![
            Advice::Trust(facts.issuer.to_owned()),
            Advice::AtOrigin(format!("have a certificate issued by the CA {:?} of today", facts.issuer)),
        ],
        Reason::UnknownIssuer => for_issuer(facts),
        Reason::Expired if !facts.is_leaf_date => {
            at_origin("install the full chain at the origin anew, with an intermediate certificate that is valid")
        }
        Reason::Expired => at_origin("renew the certificate at the origin"),
        Reason::NotYetValid => at_origin("compare the clock of this machine with that of the origin (date -u)"),
        Reason::WrongPurpose => at_origin("have a certificate issued that may be used by servers (serverAuth)"),
        Reason::WeakKey => at_origin("have a certificate issued for a key of 2048 bits or more"),
        Reason::UnsupportedAlgorithm => at_origin("have a certificate issued that is signed with SHA-256 or better"),
        Reason::BadSignature => at_origin("look at who answers at this address: the signature is not the key's"),
        Reason::UnsupportedVersion => {
            at_origin("have a certificate of X.509 version 3 issued, with the name in subjectAltName")
        }
        Reason::Unreadable | Reason::Other => at_origin("have a new certificate issued for the origin"),
    }
}

/// A good certificate for other names.
fn for_name(facts: &Facts<'_>) -> Vec<Advice> {
    let mut advice = Vec::new();
    if facts.rule != CertificateNames::SanOrCn && facts.is_named_by_default {
        advice.push(Advice::Names(CertificateNames::SanOrCn));
    } else if facts.is_named_by_cn {
        // The name is there, beside a subjectAltName that leaves it out.
        advice.push(Advice::Whitelist(facts.sni.to_owned()));
    }
    advice.extend(facts.configured().and_then(whitelist_entry).map(Advice::Whitelist));
    // The same certificate whatever is asked for: then its name as SNI is as good, and changes more.
    advice.extend(facts.good().next().map(|(name, _)| Advice::Sni(name.to_owned())));
    if advice.is_empty() {
        advice.push(Advice::AtOrigin(format!("have a certificate issued for {:?}", facts.sni)));
    }
    advice
}

/// An issuer that nobody vouches for: a CA of one's own, or an intermediate that the server does not send.
fn for_issuer(facts: &Facts<'_>) -> Vec<Advice> {
    let from = facts.issuer_url.map(|url| format!(", to be had from {url}")).unwrap_or_default();
    let chain = format!(
        "install the full chain at the origin: the intermediate certificate {:?} is missing{from}",
        facts.issuer
    );
    let (chain, trust) = (Advice::AtOrigin(chain), Advice::Trust(facts.issuer.to_owned()));
    let is_gap = facts.issuer_url.is_some() || (facts.has_own_ca && facts.intermediates == 0);
    if is_gap { vec![chain, trust] } else { vec![trust, chain] }
}

/// The name of a certificate that a whitelist entry would best have: an exact one before a pattern.
fn whitelist_entry(shown: &Shown) -> Option<String> {
    let mut names = shown.names.iter().filter(|name| is_entry(name));
    let exact = names.clone().find(|name| !name.starts_with('*'));
    exact.or_else(|| names.next()).map(|name| name.trim_end_matches('.').to_ascii_lowercase())
}

/// TLS alerts (RFC 8446 §6).
const HANDSHAKE_FAILURE: u8 = 40;
const INSUFFICIENT_SECURITY: u8 = 71;
const UNRECOGNIZED_NAME: u8 = 112;
/// What of TLS is spoken here.
pub const SPOKEN: &str = "offer TLS 1.2 or 1.3 at the origin, with ECDHE and AES-GCM or ChaCha20, a curve of X25519, P-256 or \
                          P-384, and a certificate with a key of RSA, P-256, P-384 or Ed25519";

/// Could it stand in `common_name_whitelist`? Certificates may bear anything.
fn is_entry(name: &str) -> bool {
    let bare = name.strip_prefix("*.").unwrap_or(name).trim_end_matches('.');
    is_host_name(bare) && (bare.len() == name.trim_end_matches('.').len() || bare.contains('.'))
}

/// Could it be sent as a server name?
pub fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_good)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && !is_number && name.parse::<IpAddr>().is_err() && name.split('.').all(is_label)
}

impl Facts<'_> {
    /// What is shown for the configured name.
    fn configured(&self) -> Option<&Shown> {
        let row = self.rows.iter().find(|row| row.roles.contains(&Role::Configured))?;
        row.shown.as_ref().ok()
    }

    /// Other names with what is shown for them, by how near they are to what is asked for.
    fn shown(&self) -> impl Iterator<Item = (&str, &Shown)> {
        let mut rows: Vec<&SniRow> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.roles.first().copied());
        rows.into_iter()
            .filter(|row| !row.roles.contains(&Role::Configured))
            .filter_map(|row| Some((row.asked.as_deref()?, row.shown.as_ref().ok()?)))
    }

    /// Those of them that a fetch with that name would accept for the name's own sake.
    fn good(&self) -> impl Iterator<Item = (&str, &Shown)> {
        self.shown().filter(|(_, shown)| shown.chain.is_none() && shown.is_for_asked)
    }
}

impl Advice {
    /// What would be trusted then.
    pub fn trusts(&self) -> String {
        match self {
            Advice::Sni(name) => format!("certificates for {name:?} from a trusted issuer, and no other name"),
            Advice::Whitelist(entry) => {
                format!("certificates from a trusted issuer that name {entry:?}, beside those that name the SNI")
            }
            Advice::Names(_) => "certificates from a trusted issuer; other names of them count than before".into(),
            Advice::Pin(_) => {
                "exactly this one certificate, whatever its issuer, names and dates; compare the fingerprint at the \
                 origin first, and change the pin with every renewal"
                    .into()
            }
            Advice::Trust(issuer) => {
                format!("every certificate for the SNI that the CA {issuer:?} vouches for, and no public CA any more")
            }
            Advice::AtOrigin(_) => String::new(),
        }
    }
}

#[cfg(test)]
#[path = "tests_advice.rs"]
mod tests;
