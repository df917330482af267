//! The DER walk against x509-parser, and against anything at all.

use std::net::IpAddr;
use std::sync::LazyLock;

use proptest::prelude::*;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, SanType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::*;

use super::names::{PresentedNames, covers, is_whitelisted};
use super::tests_support::{Authority, Leaf, params, with_years};

/// What x509-parser reads of the same facts; `None` if it refuses the certificate.
fn by_x509_parser(der: &[u8]) -> Option<PresentedNames> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let text = |found: &AttributeTypeAndValue<'_>| found.as_str().ok().map(str::to_owned);
    let issuer = certificate.issuer();
    let issuer_text = issuer.iter_common_name().filter_map(text).last();
    let organisation = || issuer.iter_organization().filter_map(text).last();
    let mut names = PresentedNames {
        common_names: certificate.subject().iter_common_name().filter_map(text).collect(),
        issuer: issuer_text.or_else(organisation).unwrap_or_default(),
        issuer_organisation: organisation().unwrap_or_default(),
        is_self_issued: issuer.as_raw() == certificate.subject().as_raw(),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        rsa_bits: match certificate.public_key().parsed() {
            Ok(x509_parser::public_key::PublicKey::RSA(key)) => Some(key.key_size()),
            _ => None,
        },
        has_name_constraints: certificate.name_constraints().ok()?.is_some(),
        ..PresentedNames::default()
    };
    if let Some(extension) = certificate.subject_alternative_name().ok()? {
        names.has_san = true;
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.dns_names.push((*name).to_owned()),
                GeneralName::IPAddress(octets) if octets.len() == 4 => {
                    names.ip_names.push(IpAddr::from(<[u8; 4]>::try_from(*octets).unwrap()));
                }
                GeneralName::IPAddress(octets) if octets.len() == 16 => {
                    names.ip_names.push(IpAddr::from(<[u8; 16]>::try_from(*octets).unwrap()));
                }
                _ => {}
            }
        }
    }
    Some(names)
}

fn check(der: &[u8]) -> PresentedNames {
    let ours = PresentedNames::read(der).expect("readable");
    assert_eq!(Some(&ours), by_x509_parser(der).as_ref());
    ours
}

/// Certificates of many shapes.
fn shapes() -> Vec<CertificateDer<'static>> {
    let ca = Authority::new("Test CA");
    let mut strings = CertificateParams::default();
    strings.distinguished_name = DistinguishedName::new();
    let common_name = |text: DnValue| {
        let mut params = strings.clone();
        params.distinguished_name.push(DnType::OrganizationName, "Org");
        params.distinguished_name.push(DnType::CommonName, text);
        params
    };
    let mut other_names = params(&["mail"], &["a.example", "192.0.2.1", "2001:db8::1"]);
    other_names.subject_alt_names.push(SanType::Rfc822Name("a@example.com".try_into().unwrap()));
    other_names.subject_alt_names.push(SanType::URI("https://example.com/".try_into().unwrap()));
    let mut extensions = params(&["ext"], &["ext.example"]);
    let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    critical.set_criticality(true);
    extensions.custom_extensions = vec![critical, CustomExtension::from_oid_content(&[1, 2, 3, 5], vec![])];
    let many: Vec<String> = (0..300).map(|n| format!("name-{n}.example.org")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let all = [
        params(&[], &[]),
        params(&["one.example", "two.example"], &[]),
        params(&["ünïcode"], &["*.example.com"]),
        params(&[""], &many),
        common_name(DnValue::PrintableString("printable.example".try_into().unwrap())),
        common_name(DnValue::Ia5String("ia5.example".try_into().unwrap())),
        with_years(params(&["old"], &[]), 1960, 1970),
        with_years(params(&["late"], &[]), 2049, 2050),
        with_years(params(&["later"], &[]), 2051, 9999),
        other_names,
        extensions,
    ];
    let issued = all.iter().map(|params| ca.issue(params).der);
    let alone = all.iter().map(|params| Leaf::self_signed(params).der);
    let mut organisation_alone = CertificateParams::default();
    organisation_alone.distinguished_name = DistinguishedName::new();
    organisation_alone.distinguished_name.push(DnType::OrganizationName, "Only Org");
    let files =
        [include_str!("testdata/v1.pem"), include_str!("testdata/rsa.pem"), include_str!("testdata/rsa1024.pem")];
    let files = files.into_iter().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
    issued.chain(alone).chain([ca.der(), Leaf::self_signed(&organisation_alone).der]).chain(files).collect()
}

static SHAPES: LazyLock<Vec<CertificateDer<'static>>> = LazyLock::new(shapes);

#[test]
fn certificates_of_many_shapes_read_as_x509_parser_reads_them() {
    for der in SHAPES.iter() {
        check(der);
    }
}

#[test]
fn the_systems_roots_read_as_x509_parser_reads_them() {
    let roots = rustls_native_certs::load_native_certs().certs;
    for der in &roots {
        check(der);
    }
}

#[test]
fn texts_that_x509_parser_passes_over_are_read_too() {
    let rows = [
        DnValue::BmpString("old.example".try_into().unwrap()),
        DnValue::TeletexString("old.example".try_into().unwrap()),
    ];
    for text in rows {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, text);
        assert_eq!(PresentedNames::read(&Leaf::self_signed(&params).der).unwrap().common_names, ["old.example"]);
    }
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&[tag, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
}

/// The smallest certificate with this subject and these extensions.
fn tiny(subject: &[u8], extensions: &[u8]) -> Vec<u8> {
    let empty = tlv(0x30, &[]);
    let time = tlv(0x17, &[b"300101000000Z"]);
    let validity = tlv(0x30, &[&time, &time]);
    let serial = tlv(2, &[&[1]]);
    let key = tlv(0x30, &[&empty, &tlv(3, &[&[0]])]);
    tlv(0x30, &[&tlv(0x30, &[&serial, &empty, &empty, &validity, subject, &key, extensions])])
}

fn common_name(text: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&tlv(6, &[&[0x55, 4, 3]]), &tlv(0x0c, &[text])])
}

#[test]
fn every_attribute_of_a_multi_valued_rdn_counts() {
    let subject = tlv(0x30, &[&tlv(0x31, &[&common_name(b"a.example"), &common_name(b"b.example")])]);
    assert_eq!(PresentedNames::read(&tiny(&subject, &[])).unwrap().common_names, ["a.example", "b.example"]);
}

#[test]
fn odd_values_are_left_out_and_broken_structure_is_refused() {
    let subject = tlv(0x30, &[&tlv(0x31, &[&common_name(&[0xff, 0xfe])])]);
    assert_eq!(PresentedNames::read(&tiny(&subject, &[])).unwrap().common_names, [""; 0]);
    let san = |names: &[u8]| {
        let value = tlv(4, &[names]);
        let extension = tlv(0x30, &[&tlv(6, &[&[0x55, 0x1d, 17]]), &value]);
        tiny(&tlv(0x30, &[]), &tlv(0xa3, &[&tlv(0x30, &[&extension])]))
    };
    let odd = san(&tlv(0x30, &[&tlv(0x82, &[&[0xc3, 0xa9]]), &tlv(0x87, &[&[1, 2, 3]]), &tlv(0x82, &[b"ok.example"])]));
    let names = PresentedNames::read(&odd).unwrap();
    assert_eq!(
        (names.has_san, names.dns_names.as_slice(), names.ip_names.len()),
        (true, &["ok.example".to_owned()][..], 0)
    );
    assert_eq!(PresentedNames::read(&san(&[0x30, 5, 0x82, 9, b'x'])), None);
    assert_eq!(PresentedNames::read(&san(&[])), None);
    assert!(PresentedNames::read(&san(&tlv(0x30, &[]))).unwrap().has_san);
}

#[test]
fn patterns_cover_what_rfc_9525_lets_them() {
    let rows = [
        ("a.example", "a.example", true),
        ("A.Example.", "a.eXAMPLE", true),
        ("a.example", "a.example.", true),
        ("a.example", "a.example..", false),
        ("a.example", "b.example", false),
        ("*.a.example", "b.a.example", true),
        ("*.A.example", "B.a.EXAMPLE.", true),
        ("*.a.example", "*.a.example", true),
        ("*.a.example", "c.b.a.example", false),
        ("*.a.example", "a.example", false),
        ("*.a.example", ".a.example", false),
        ("*.example", "a.example", false),
        ("*.example", "*.example", false),
        ("*.", "a.", false),
        ("*", "a", false),
        ("*", "*", false),
        ("**.a.example", "b.a.example", false),
        ("b*.a.example", "b1.a.example", false),
        ("b.*.example", "b.a.example", false),
        ("*.*.example", "b.a.example", false),
        ("*.a..example", "b.a..example", false),
        ("*.0.2.7", "192.0.2.7", false),
        ("", "", false),
        (".", ".", false),
        ("", "a", false),
    ];
    for (pattern, name, expected) in rows {
        assert_eq!(covers(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn whitelist_and_certificate_may_either_hold_the_wildcard() {
    let rows = [
        ("a.b.example", "a.b.example", true),
        ("*.b.example", "a.b.example", true),
        ("a.b.example", "*.b.example", true),
        ("*.b.example", "*.b.example", true),
        ("*.b.example", "*.c.example", false),
        ("*.example", "*.b.example", false),
        ("*.b.example", "*.a.b.example", false),
        ("", "a.b.example", false),
    ];
    for (entry, presented, expected) in rows {
        assert_eq!(is_whitelisted(entry, presented), expected, "{entry} {presented}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = PresentedNames::read(&bytes);
    }

    #[test]
    fn mutated_certificates_are_answered_and_never_read_otherwise_than_by_x509_parser(
        shape in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut der = shape.get(&SHAPES).to_vec();
        // The constructed forms of dNSName and iPAddress, which DER forbids (X.690 §10.2), are names to x509-parser alone.
        let may_have_constructed = edits.iter().any(|(_, value)| matches!(value, 0xa2 | 0xa7));
        for (place, value) in edits {
            let place = place.index(der.len());
            der[place] = value;
        }
        if let Some(cut) = cut {
            der.truncate(cut.index(der.len()));
        }
        let ours = PresentedNames::read(&der);
        if let (Some(ours), Some(theirs)) = (ours, by_x509_parser(&der)) {
            if may_have_constructed {
                prop_assert!(ours.dns_names.iter().all(|name| theirs.dns_names.contains(name)));
                prop_assert!(ours.ip_names.iter().all(|name| theirs.ip_names.contains(name)));
            } else {
                prop_assert_eq!(&ours.dns_names, &theirs.dns_names);
                prop_assert_eq!(&ours.ip_names, &theirs.ip_names);
            }
            prop_assert_eq!(ours.has_san, theirs.has_san);
            prop_assert_eq!((ours.not_before, ours.not_after), (theirs.not_before, theirs.not_after));
        }
    }

    #[test]
    fn matching_answers_anything(pattern in "[a-b*.]{0,9}", name in "[a-b*.]{0,9}") {
        if covers(&pattern, &name) && !pattern.contains('*') {
            let bare = |text: &str| text.strip_suffix('.').unwrap_or(text).to_owned();
            prop_assert_eq!(bare(&pattern), bare(&name));
        }
        prop_assert_eq!(is_whitelisted(&pattern, &name), is_whitelisted(&name, &pattern));
    }
}
