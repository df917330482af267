//! What a certificate says about itself, and the rules by which names match (RFC 9525 section 6.3, decision 29).
//!
//! Read by hand from the DER: Common Names, subjectAltName, issuer and validity, which rustls does not show. It judges
//! no signature and no date, and trusts nothing: any bytes are answered without a panic.

use std::net::IpAddr;

use super::der::{Der, read_time, tag};

/// The names and dates in one certificate. Texts are as the certificate has them: case kept, control bytes possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PresentedNames {
    /// Common Names of the subject, in order.
    pub common_names: Vec<String>,
    /// subjectAltName entries of type dNSName.
    pub dns_names: Vec<String>,
    /// subjectAltName entries of type iPAddress.
    pub ip_names: Vec<IpAddr>,
    /// Whether there is a subjectAltName extension at all, whatever it holds: if so, RFC 9525 ignores the Common Name.
    pub has_san: bool,
    /// Whether there is a nameConstraints extension: a CA that may vouch for some names only.
    pub has_name_constraints: bool,
    /// The issuer's Common Name, else its organisation, else empty.
    pub issuer: String,
    /// The issuer's organisation, else empty: it stays the same where a CA changes its intermediates.
    pub issuer_organisation: String,
    /// Whether issuer and subject are the same name, which is how self-signed certificates look.
    pub is_self_issued: bool,
    /// Start of validity, Unix seconds.
    pub not_before: i64,
    /// End of validity, Unix seconds, inclusive.
    pub not_after: i64,
    /// Length of an RSA key, bits; `None` for other keys.
    pub rsa_bits: Option<usize>,
}

/// Which names of a certificate count against the expected name (`certificate_names`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum NameRule {
    /// subjectAltName alone (RFC 9525).
    San,
    /// subjectAltName; the Common Name only where the certificate has no subjectAltName extension.
    #[default]
    SanOrCn,
    /// The Common Name alone.
    Cn,
}

impl PresentedNames {
    /// Reads a certificate (RFC 5280 section 4.1); `None` if it is not one.
    pub(crate) fn read(der: &[u8]) -> Option<PresentedNames> {
        let (issuer, mut tbs) = enter_at_issuer(der)?;
        let mut validity = tbs.enter(tag::SEQUENCE)?;
        let subject = tbs.take(tag::SEQUENCE)?;
        let key = tbs.enter(tag::SEQUENCE)?;
        let mut names = PresentedNames {
            common_names: attributes(Der::new(subject), OID_COMMON_NAME)?,
            issuer: issuer_text(issuer)?,
            issuer_organisation: attributes(Der::new(issuer), OID_ORGANISATION)?.pop().unwrap_or_default(),
            is_self_issued: issuer == subject,
            not_before: next_time(&mut validity)?,
            not_after: next_time(&mut validity)?,
            rsa_bits: rsa_bits(key),
            ..PresentedNames::default()
        };
        tbs.skip_if(ISSUER_UNIQUE_ID)?;
        tbs.skip_if(SUBJECT_UNIQUE_ID)?;
        if !tbs.is_empty() {
            names.read_extensions(tbs.enter(EXTENSIONS)?.enter(tag::SEQUENCE)?)?;
        }
        Some(names)
    }

    fn read_extensions(&mut self, mut extensions: Der<'_>) -> Option<()> {
        while !extensions.is_empty() {
            let mut extension = extensions.enter(tag::SEQUENCE)?;
            let id = extension.take(tag::OID)?;
            extension.skip_if(tag::BOOLEAN)?;
            let value = extension.take(tag::OCTET_STRING)?;
            self.has_name_constraints |= id == OID_NAME_CONSTRAINTS;
            if id == OID_SUBJECT_ALT_NAME {
                self.has_san = true;
                self.read_alternative_names(Der::new(value).enter(tag::SEQUENCE)?)?;
            }
        }
        Some(())
    }

    fn read_alternative_names(&mut self, mut names: Der<'_>) -> Option<()> {
        while !names.is_empty() {
            match names.next()? {
                (SAN_DNS_NAME, text) => self.dns_names.extend(ascii(text)),
                (SAN_IP_ADDRESS, octets) => self.ip_names.extend(ip_address(octets)),
                _ => {}
            }
        }
        Some(())
    }

    /// Whether the certificate names `expected` under `rule`. An expected IP literal is compared with iPAddress entries
    /// (and, where the Common Name counts, with one that is the same address), never with wildcards.
    pub(crate) fn is_valid_for(&self, expected: &str, rule: NameRule) -> bool {
        let ip = expected.parse::<IpAddr>().ok();
        let san = || match ip {
            Some(ip) => self.ip_names.contains(&ip),
            None => self.dns_names.iter().any(|name| covers(name, expected)),
        };
        let cn = || match ip {
            Some(ip) => self.common_names.iter().any(|name| name.parse() == Ok(ip)),
            None => self.common_names.iter().any(|name| covers(name, expected)),
        };
        match rule {
            NameRule::San => san(),
            NameRule::SanOrCn if self.has_san => san(),
            NameRule::SanOrCn | NameRule::Cn => cn(),
        }
    }

    /// Every name of the certificate as text, Common Names first, repetitions left out.
    pub(crate) fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let ips = self.ip_names.iter().map(IpAddr::to_string);
        for name in self.common_names.iter().chain(&self.dns_names).cloned().chain(ips) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }
}

/// The content of the issuer's Name, by which a certificate points at the one above it.
pub(super) fn issuer_der(der: &[u8]) -> Option<&[u8]> {
    enter_at_issuer(der).map(|(issuer, _)| issuer)
}

/// The issuer's Name, and what follows it in the certificate.
pub(super) fn enter_at_issuer(der: &[u8]) -> Option<(&[u8], Der<'_>)> {
    let mut tbs = Der::new(der).enter(tag::SEQUENCE)?.enter(tag::SEQUENCE)?;
    tbs.skip_if(VERSION)?;
    tbs.take(tag::INTEGER)?;
    tbs.take(tag::SEQUENCE)?;
    let issuer = tbs.take(tag::SEQUENCE)?;
    Some((issuer, tbs))
}

/// Whether a certificate name (or pattern) stands for `name`: equal without regard to ASCII case and one trailing dot,
/// or a wildcard whose `*` is the whole left label, for exactly one label, with at least two labels after it
/// (RFC 9525 section 6.3). A `*` anywhere else matches nothing.
pub(crate) fn covers(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (without_dot(pattern), without_dot(name));
    if pattern.is_empty() || name.is_empty() {
        return false;
    }
    let Some(suffix) = pattern.strip_prefix("*.") else {
        return !pattern.contains('*') && pattern.eq_ignore_ascii_case(name);
    };
    if !is_wildcard_suffix(suffix) {
        return false;
    }
    if pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    let is_address = name.parse::<IpAddr>().is_ok();
    name.split_once('.').is_some_and(|(label, rest)| {
        let is_plain_label = !label.is_empty() && !label.contains('*');
        is_plain_label && !is_address && rest.eq_ignore_ascii_case(suffix)
    })
}

/// Whether a Common Name whitelist entry accepts a name of a certificate: equal to it, covering it, or covered by it
/// (decision 29).
pub(crate) fn is_whitelisted(entry: &str, presented: &str) -> bool {
    covers(entry, presented) || covers(presented, entry)
}

fn is_wildcard_suffix(suffix: &str) -> bool {
    suffix.contains('.') && !suffix.contains('*') && suffix.split('.').all(|label| !label.is_empty())
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The texts of all attributes of one type in a Name (RFC 5280 section 4.1.2.4). An attribute in a form that is no text is left out.
fn attributes(mut name: Der<'_>, id: &[u8]) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    while !name.is_empty() {
        let mut set = name.enter(tag::SET)?;
        while !set.is_empty() {
            let mut attribute = set.enter(tag::SEQUENCE)?;
            let found = attribute.take(tag::OID)?;
            let (tag, content) = attribute.next()?;
            if found == id {
                texts.extend(text(tag, content));
            }
        }
    }
    Some(texts)
}

fn issuer_text(name: &[u8]) -> Option<String> {
    let mut common = attributes(Der::new(name), OID_COMMON_NAME)?;
    let mut organisation = attributes(Der::new(name), OID_ORGANISATION)?;
    Some(common.pop().or_else(|| organisation.pop()).unwrap_or_default())
}

/// A DirectoryString or IA5String. T61 is read as ASCII: real Teletex escapes occur nowhere.
fn text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        tag::UTF8_STRING => std::str::from_utf8(content).ok().map(str::to_owned),
        tag::PRINTABLE_STRING | tag::T61_STRING | tag::IA5_STRING | tag::VISIBLE_STRING => ascii(content),
        tag::BMP_STRING if content.len().is_multiple_of(2) => {
            let units: Vec<u16> =
                content.chunks_exact(2).filter_map(|b| Some(u16::from_be_bytes(b.try_into().ok()?))).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

fn ascii(content: &[u8]) -> Option<String> {
    content.is_ascii().then(|| String::from_utf8_lossy(content).into_owned())
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

fn next_time(validity: &mut Der<'_>) -> Option<i64> {
    let (tag, content) = validity.next()?;
    read_time(tag, content)
}

/// Length of the modulus in a SubjectPublicKeyInfo, if that is an RSA key (RFC 8017 appendix A.1.1).
fn rsa_bits(mut key: Der<'_>) -> Option<usize> {
    let algorithm = key.enter(tag::SEQUENCE)?.take(tag::OID)?;
    let bits = key.take(tag::BIT_STRING)?;
    let (0, key) = bits.split_first().map(|(unused, key)| (*unused, key))? else { return None };
    let modulus = Der::new(key).enter(tag::SEQUENCE)?.take(tag::INTEGER)?;
    let significant = modulus.iter().position(|byte| *byte != 0).and_then(|start| modulus.get(start..))?;
    let first = significant.first()?;
    (algorithm == OID_RSA).then(|| significant.len() * 8 - first.leading_zeros() as usize)
}

const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
const SAN_DNS_NAME: u8 = 0x82;
const SAN_IP_ADDRESS: u8 = 0x87;
/// 2.5.4.3
const OID_COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// 2.5.4.10
const OID_ORGANISATION: &[u8] = &[0x55, 4, 10];
/// 2.5.29.17
const OID_SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
/// 2.5.29.30
const OID_NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
/// 1.2.840.113549.1.1.1
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
