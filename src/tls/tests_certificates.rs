//! Loading, choosing and replacing the certificates that clients see, by whole handshakes in memory.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};

use super::certificates::CertificateInfo;
use super::tests_support::{Authority, Failed, Leaf, handshake, params, with_years};
use super::*;

fn domains(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn add(builder: &mut CertificatesBuilder, names: &[&str], leaf: &Leaf) -> CertificateInfo {
    builder.add(&domains(names), leaf.pem.as_bytes(), leaf.key_pem.as_bytes()).unwrap()
}

/// A set with three sites, each with a certificate of its own.
fn three(ca: &Authority) -> (CertificatesBuilder, [Leaf; 3]) {
    let leaves = [
        ca.issue(&params(&[], &["one.example.com", "www.one.example.com"])),
        ca.issue(&params(&[], &["*.example.com", "*.b.example.com"])),
        ca.issue(&params(&[], &["*.static.example.com", "deep.b.static.example.com"])),
    ];
    let mut builder = CertificatesBuilder::default();
    add(&mut builder, &["one.example.com", "WWW.One.example.com."], &leaves[0]);
    add(&mut builder, &["*.example.com", "one.example.com"], &leaves[1]);
    add(&mut builder, &["*.static.example.com"], &leaves[2]);
    (builder, leaves)
}

/// A client that takes any certificate of `ca`: it looks at which one it was shown.
fn client(ca: &Authority) -> Arc<ClientConfig> {
    let whitelist = domains(&["*.example.com", "*.one.example.com", "*.static.example.com"]);
    client_config(ca.roots(), NameCheck { whitelist, ..NameCheck::default() }, ClientSide::default())
}

fn without_sni(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(config);
    config.enable_sni = false;
    Arc::new(config)
}

#[test]
fn the_server_name_chooses_exactly_then_by_the_longest_wildcard() {
    let ca = Authority::new("Test CA");
    let (builder, leaves) = three(&ca);
    let server = server_config(builder.build());
    let rows = [
        ("one.example.com", Some(0)),
        ("ONE.example.com", Some(0)),
        ("www.one.example.com", Some(0)),
        ("two.example.com", Some(1)),
        ("deep.er.example.com", Some(1)),
        ("static.example.com", Some(1)),
        ("a.static.example.com", Some(2)),
        ("a.b.static.example.com", Some(2)),
        ("example.com", None),
        ("example.net", None),
        ("notexample.com", None),
    ];
    for (name, expected) in rows {
        match handshake(&client(&ca), &server, name) {
            Ok(met) => {
                let shown = &met.client.peer_certificates().unwrap()[0];
                assert_eq!(leaves.iter().position(|leaf| leaf.der == *shown), expected, "{name}");
            }
            Err(Failed::Server { error, output }) => {
                assert_eq!(expected, None, "{name}: {error}");
                assert_eq!(output, [21, 3, 3, 0, 2, 2, 49], "rustls alone says access_denied");
                assert_eq!(refusal_alert(&error), Some([21, 3, 3, 0, 2, 2, 112]));
            }
            Err(failed) => panic!("{name}: {failed:?}"),
        }
    }
}

#[test]
fn no_server_name_gets_the_first_certificate() {
    let ca = Authority::new("Test CA");
    let (builder, leaves) = three(&ca);
    let met = handshake(&without_sni(&client(&ca)), &server_config(builder.build()), "one.example.com").ok().unwrap();
    assert_eq!(met.client.peer_certificates().unwrap()[0], leaves[0].der);
    assert_eq!(met.server.server_name(), None);
    let empty = server_config(CertificatesBuilder::default().build());
    assert!(handshake(&without_sni(&client(&ca)), &empty, "one.example.com").is_err());
}

#[test]
fn a_site_without_names_of_its_own_can_still_be_the_default() {
    let ca = Authority::new("Test CA");
    let mut builder = CertificatesBuilder::default();
    add(&mut builder, &[], &ca.issue(&params(&[], &["one.example.com"])));
    let certificates = builder.build();
    assert!(certificates.answers(None) && !certificates.answers(Some("one.example.com")));
}

#[test]
fn new_handshakes_see_replaced_certificates() {
    let ca = Authority::new("Test CA");
    let issue = |name| ca.issue(&params(&[], &[name]));
    let (old, new, other) = (issue("one.example.com"), issue("one.example.com"), issue("two.example.com"));
    let mut builder = CertificatesBuilder::default();
    add(&mut builder, &["one.example.com"], &old);
    add(&mut builder, &["two.example.com"], &other);
    let certificates = builder.build();
    let server = server_config(Arc::clone(&certificates));
    let known = client(&ca);
    let shown = |client: &Arc<ClientConfig>| {
        let met = handshake(client, &server, "one.example.com").ok()?;
        Some(met.client.peer_certificates().unwrap()[0].clone())
    };
    assert_eq!(shown(&known), Some(old.der));
    let mut builder = CertificatesBuilder::default();
    add(&mut builder, &["one.example.com"], &new);
    add(&mut builder, &["two.example.com"], &other);
    assert_eq!(certificates.replace(builder), 1, "only one of them is new");
    assert_eq!(shown(&client(&ca)), Some(new.der));
    assert_eq!(certificates.replace(CertificatesBuilder::default()), 0);
    assert!(
        shown(&known).is_none(),
        "a session from before does not resume for a name that nobody here bears any more"
    );
    assert!(!certificates.answers(Some("one.example.com")));
}

#[test]
fn sessions_resume_in_both_versions_and_take_no_early_data() {
    let ca = Authority::new("Test CA");
    let (builder, _) = three(&ca);
    let server = server_config(builder.build());
    assert_eq!(server.max_early_data_size, 0);
    let old = {
        let mut config = ClientConfig::builder_with_provider(super::verifier::provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(ca.roots())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    };
    for (client, version) in [(client(&ca), ProtocolVersion::TLSv1_3), (old, ProtocolVersion::TLSv1_2)] {
        let kinds = [HandshakeKind::Full, HandshakeKind::Resumed].map(|kind| {
            let met = handshake(&client, &server, "one.example.com").ok().unwrap();
            assert_eq!(met.server.protocol_version(), Some(version));
            assert_eq!(met.server.alpn_protocol(), Some(b"http/1.1".as_slice()));
            (met.server.handshake_kind(), Some(kind))
        });
        assert!(kinds.iter().all(|(found, expected)| found == expected), "{kinds:?}");
    }
}

#[test]
fn keys_of_every_common_form_load() {
    let rsa = include_bytes!("testdata/rsa.pem");
    let ec = include_bytes!("testdata/sha1.pem");
    let made = Leaf::self_signed(&params(&[], &["one.example.com"]));
    let combined = [made.key_pem.as_bytes(), b"text between\n", made.pem.as_bytes()].concat();
    let crlf = made.key_pem.replace('\n', "\r\n");
    let rows: [(&str, &[u8], &[u8]); 5] = [
        ("PKCS#1", rsa, include_bytes!("testdata/rsa_pkcs1.key")),
        ("SEC1", ec, include_bytes!("testdata/ec_sec1.key")),
        ("PKCS#8", made.pem.as_bytes(), made.key_pem.as_bytes()),
        ("both in one file", &combined, &combined),
        ("line ends of Windows", made.pem.as_bytes(), crlf.as_bytes()),
    ];
    for (form, chain, key) in rows {
        let added = CertificatesBuilder::default().add(&[], chain, key);
        assert!(added.is_ok(), "{form}: {added:?}");
    }
    assert!(matches!(PrivateKeyDer::from_pem_slice(rows[1].2), Ok(PrivateKeyDer::Sec1(_))));
}

#[test]
fn what_cannot_work_is_refused_with_a_hint() {
    let ca = Authority::new("Test CA");
    let intermediate = ca.intermediate("Test Intermediate");
    let leaf = intermediate.issue(&params(&[], &["one.example.com"]));
    let other = ca.issue(&params(&[], &["two.example.com"]));
    let reversed = intermediate.pem() + &leaf.pem;
    let cut = leaf.pem.replace("-----END CERTIFICATE-----", "");
    let v1 = include_str!("testdata/v1.pem");
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let not_a_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let (pem, key) = (leaf.pem.as_str(), leaf.key_pem.as_str());
    let rows: [(&str, &str, ProblemKind); 12] = [
        ("", key, ProblemKind::NoCertificate),
        (key, key, ProblemKind::NoCertificate),
        (&cut, key, ProblemKind::BrokenPem),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", key, ProblemKind::BrokenPem),
        (not_a_certificate, key, ProblemKind::UnreadableCertificate),
        (v1, include_str!("testdata/ec_sec1.key"), ProblemKind::UnreadableCertificate),
        (pem, "", ProblemKind::NoKey),
        (pem, pem, ProblemKind::NoKey),
        (pem, include_str!("testdata/encrypted.key"), ProblemKind::EncryptedKey),
        (pem, not_a_key, ProblemKind::UnusableKey),
        (pem, &other.key_pem, ProblemKind::MismatchedKey),
        (&reversed, key, ProblemKind::LeafNotFirst),
    ];
    for (chain, key, kind) in rows {
        let mut builder = CertificatesBuilder::default();
        let problem = builder.add(&domains(&["one.example.com"]), chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(problem.kind, kind, "{problem}");
        assert!(!problem.hint.is_empty() && problem.to_string().contains(problem.hint));
        assert!(!builder.build().answers(None), "a refused certificate must leave nothing behind");
    }
}

#[test]
fn warnings_come_before_clients_complain() {
    let day = 86_400;
    let now = 1_900_000_000; // 2030-03-17
    let ca = Authority::new("Test CA");
    let names = ["one.example.com", "*.example.com"];
    let good = || params(&[], &names);
    let rows = [
        (with_years(good(), 2029, 2031), &names[..], vec![]),
        (with_years(good(), 2020, 2021), &names[..], vec!["has expired"]),
        (with_years(good(), 2040, 2041), &names[..], vec!["not valid yet"]),
        (with_years(good(), 2029, 2031), &["one.example.com", "*.example.net"], vec!["name \"*.example.net\""]),
        (with_years(params(&names[..1], &[]), 2029, 2031), &names[..1], vec!["does not name"]),
    ];
    for (params, names, expected) in rows {
        let warnings = add(&mut CertificatesBuilder::default(), names, &ca.issue(&params)).warnings(now);
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        assert!(warnings.iter().zip(&expected).all(|(text, part)| text.contains(part)), "{warnings:?}");
    }
    let info = add(&mut CertificatesBuilder::default(), &names, &Leaf::self_signed(&good()));
    let end = info.presented.not_after;
    assert_eq!([end - 20 * day, end - day, end - 1, end, end + 1].map(|at| info.days_left(at)), [20, 1, 0, 0, -1]);
    assert_eq!(info.warnings(end - 21 * day), [""; 0]);
    assert!(info.warnings(end - 20 * day)[0].contains("expires in 20 days"));
    assert!(info.warnings(end - 5 * day)[0].contains("expires in 5 days"));
}
