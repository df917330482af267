//! What a certificate tells beside its names: key, signature, fingerprint, and where its issuer's certificate lies.
//!
//! For people who read a diagnosis. Nothing is verified here, and any bytes are answered without a panic.

use super::der::{Der, date_text, tag};
use super::names::{PresentedNames, enter_at_issuer};
use super::verifier::fingerprint;

/// One certificate as an origin shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CertificateFacts {
    /// Names, issuer and validity.
    pub names: PresentedNames,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
    /// The kind of key in plain words, for example `RSA 2048 bits`; empty if it is none that we know.
    pub key: String,
    /// How it is signed, for example `SHA-256 with RSA`; empty if in no way that we know.
    pub signature: &'static str,
    /// Where the issuer's own certificate can be had (authority information access, RFC 5280 section 4.2.2.1).
    pub issuer_url: Option<String>,
}

impl CertificateFacts {
    /// Reads a certificate; `None` if it is not one of X.509.
    pub(crate) fn read(der: &[u8]) -> Option<CertificateFacts> {
        let names = PresentedNames::read(der)?;
        let key = key_text(der, &names).unwrap_or_default();
        let signature = signature_oid(der).and_then(|oid| words(oid, SIGNATURES)).unwrap_or_default();
        Some(CertificateFacts { key, signature, issuer_url: issuer_url(der), fingerprint: fingerprint(der), names })
    }

    /// The subject in a word: its Common Name, else its first other name.
    pub(crate) fn subject(&self) -> String {
        self.names.all().into_iter().next().unwrap_or_default()
    }

    /// Whole days until it ends; negative once it has.
    pub(crate) fn days_left(&self, now_unix: i64) -> i64 {
        self.names.not_after.saturating_sub(now_unix).div_euclid(86_400)
    }

    /// The end of its validity, for people.
    pub(crate) fn end(&self) -> String {
        date_text(self.names.not_after)
    }

    /// `sha256:` and 64 hexadecimal digits, the form of the setting `pin`.
    pub(crate) fn fingerprint_text(&self) -> String {
        self.fingerprint.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }
}

fn signature_oid(der: &[u8]) -> Option<&[u8]> {
    let mut certificate = Der::new(der).enter(tag::SEQUENCE)?;
    certificate.take(tag::SEQUENCE)?;
    certificate.enter(tag::SEQUENCE)?.take(tag::OID)
}

fn key_text(der: &[u8], names: &PresentedNames) -> Option<String> {
    if let Some(bits) = names.rsa_bits {
        return Some(format!("RSA {bits} bits"));
    }
    let (_, mut tbs) = enter_at_issuer(der)?;
    tbs.take(tag::SEQUENCE)?;
    tbs.take(tag::SEQUENCE)?;
    let mut algorithm = tbs.enter(tag::SEQUENCE)?.enter(tag::SEQUENCE)?;
    let kind = algorithm.take(tag::OID)?;
    if kind == OID_EC {
        return algorithm.take(tag::OID).and_then(|curve| words(curve, CURVES)).map(|curve| format!("ECDSA {curve}"));
    }
    (kind == OID_ED25519).then(|| "Ed25519".to_owned())
}

/// The first `caIssuers` URL.
fn issuer_url(der: &[u8]) -> Option<String> {
    let (_, mut tbs) = enter_at_issuer(der)?;
    for _ in ["validity", "subject", "key"] {
        tbs.take(tag::SEQUENCE)?;
    }
    while tbs.peek()? != EXTENSIONS {
        tbs.next()?;
    }
    let mut extensions = tbs.enter(EXTENSIONS)?.enter(tag::SEQUENCE)?;
    while !extensions.is_empty() {
        let mut extension = extensions.enter(tag::SEQUENCE)?;
        let id = extension.take(tag::OID)?;
        extension.skip_if(tag::BOOLEAN)?;
        let value = extension.take(tag::OCTET_STRING)?;
        if id == OID_AUTHORITY_INFORMATION {
            return ca_issuers(Der::new(value).enter(tag::SEQUENCE)?);
        }
    }
    None
}

fn ca_issuers(mut accesses: Der<'_>) -> Option<String> {
    while !accesses.is_empty() {
        let mut access = accesses.enter(tag::SEQUENCE)?;
        let method = access.take(tag::OID)?;
        let (place, url) = access.next()?;
        let is_url = place == URI && url.iter().all(|byte| byte.is_ascii_graphic() && !b"'\"\\`$".contains(byte));
        if method == OID_CA_ISSUERS && is_url && url.starts_with(b"http") {
            return String::from_utf8(url.to_vec()).ok();
        }
    }
    None
}

fn words(oid: &[u8], table: &[(&[u8], &'static str)]) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == oid).map(|(_, words)| *words)
}

const EXTENSIONS: u8 = 0xa3;
/// uniformResourceIdentifier of a GeneralName.
const URI: u8 = 0x86;
/// 1.3.6.1.5.5.7.1.1
const OID_AUTHORITY_INFORMATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
/// 1.3.6.1.5.5.7.48.2
const OID_CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];
/// 1.2.840.10045.2.1
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// 1.3.101.112
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const CURVES: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], "P-256"),
    (&[0x2b, 0x81, 4, 0, 0x22], "P-384"),
    (&[0x2b, 0x81, 4, 0, 0x23], "P-521"),
];
const SIGNATURES: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4], "MD5 with RSA"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], "SHA-1 with RSA"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10], "RSA-PSS"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], "SHA-256 with RSA"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12], "SHA-384 with RSA"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13], "SHA-512 with RSA"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], "SHA-1 with ECDSA"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], "SHA-256 with ECDSA"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3], "SHA-384 with ECDSA"),
    (&[0x2b, 0x65, 0x70], "Ed25519"),
];

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn keys_and_signatures_are_told_in_plain_words() {
        let rows = [
            (include_str!("testdata/sha1.pem"), "ECDSA P-256", "SHA-1 with ECDSA"),
            (include_str!("testdata/rsa1024.pem"), "RSA 1024 bits", "SHA-256 with RSA"),
            (include_str!("testdata/rsa.pem"), "RSA 2048 bits", "SHA-256 with RSA"),
        ];
        for (pem, key, signature) in rows {
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            let facts = CertificateFacts::read(&der).unwrap();
            assert_eq!((facts.key.as_str(), facts.signature), (key, signature));
            for cut in 0..der.len() {
                CertificateFacts::read(&der[..cut]);
            }
        }
    }

    #[test]
    fn the_place_of_the_issuers_certificate_is_found() {
        use rcgen::{CertificateParams, CustomExtension, KeyPair};
        let url = b"http://ca.example/r1.der";
        let mut access = vec![0x30, 10 + 2 + 24, 6, 8];
        access.extend_from_slice(OID_CA_ISSUERS);
        access.extend_from_slice(&[URI, 24]);
        access.extend_from_slice(url);
        let value = [&[0x30, u8::try_from(access.len()).unwrap()][..], &access].concat();
        let mut params = CertificateParams::new(vec!["a.test".into()]).unwrap();
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], value)];
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let facts = CertificateFacts::read(&der).unwrap();
        assert_eq!(facts.issuer_url.as_deref(), Some("http://ca.example/r1.der"));
        assert_eq!(facts.key, "ECDSA P-256");
    }
}
