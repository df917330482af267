//! Every kind of origin certificate against every rule, by whole handshakes in memory.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, NameConstraints, SanType};
use rustls::pki_types::CertificateDer;

use super::reject::{CertificateReject, Reason};
use super::tests_support::{Authority, Failed, Leaf, handshake, origin, params, roots, with_years};
use super::verifier::fingerprint;
use super::*;

const SNI: &str = "shop.example.com";

fn check(rule: NameRule, whitelist: &[&str]) -> NameCheck {
    NameCheck { rule, whitelist: whitelist.iter().map(|entry| (*entry).to_owned()).collect(), pins: Vec::new() }
}

fn pinned(leaf: &Leaf) -> NameCheck {
    NameCheck { pins: vec![[7; 32], fingerprint(&leaf.der)], ..NameCheck::default() }
}

/// What a client that trusts `ca` says to an origin that shows `leaf`.
fn meet(
    ca: &Authority,
    check: NameCheck,
    leaf: &Leaf,
    sent: &[CertificateDer<'static>],
    name: &str,
) -> Option<CertificateReject> {
    match handshake(&client_config(ca.roots(), check, ClientSide::default()), &origin(leaf, sent), name) {
        Ok(_) => None,
        Err(Failed::Client(error)) => Some(reject_of(&error).unwrap_or_else(|| panic!("{error:?}")).clone()),
        Err(failed) => panic!("{failed:?}"),
    }
}

fn reason(ca: &Authority, check: NameCheck, leaf: &Leaf, name: &str) -> Option<Reason> {
    meet(ca, check, leaf, &[], name).map(|reject| reject.reason)
}

/// Common Names, subjectAltName, expected name, and whether san, san-or-cn and cn accept it.
type NameRow = (&'static [&'static str], &'static [&'static str], &'static str, [bool; 3]);

#[test]
fn names_decide_by_the_rule() {
    use NameRule::{Cn, San, SanOrCn};
    let ca = Authority::new("Test CA");
    const OTHER: &str = "other.example.net";
    let rows: [NameRow; 22] = [
        (&[], &[SNI], SNI, [true, true, false]),
        (&[], &["Shop.Example.COM"], SNI, [true, true, false]),
        (&[OTHER], &[OTHER, SNI], SNI, [true, true, false]),
        (&[], &["*.example.com"], SNI, [true, true, false]),
        (&[], &["*.example.com"], "a.b.example.com", [false, false, false]),
        (&[], &["*.example.com"], "example.com", [false, false, false]),
        (&[], &["*.com"], "example.com", [false, false, false]),
        (&[], &["s*.example.com"], SNI, [false, false, false]),
        (&[], &["*.*.com"], SNI, [false, false, false]),
        (&[], &["under_score.example.com"], "under_score.example.com", [true, true, false]),
        (&[], &["xn--bcher-kva.example.com"], "xn--bcher-kva.example.com", [true, true, false]),
        (&[], &["192.0.2.7", "2001:db8::7"], "192.0.2.7", [true, true, false]),
        (&[], &["192.0.2.7", "2001:db8::7"], "2001:db8::7", [true, true, false]),
        (&[], &["192.0.2.7"], "192.0.2.8", [false, false, false]),
        (&["192.0.2.7"], &[], "192.0.2.7", [false, true, true]),
        (&[SNI], &[], SNI, [false, true, true]),
        (&["*.example.com"], &[], SNI, [false, true, true]),
        (&["Some Text", SNI], &[], SNI, [false, true, true]),
        (&[SNI], &[OTHER], SNI, [false, false, true]),
        (&[OTHER], &[SNI], SNI, [true, true, false]),
        (&[OTHER], &[], SNI, [false, false, false]),
        (&[], &[], SNI, [false, false, false]),
    ];
    for (common, alternative, name, accepted) in rows {
        let leaf = ca.issue(&params(common, alternative));
        for (rule, is_accepted) in [San, SanOrCn, Cn].into_iter().zip(accepted) {
            let expected = (!is_accepted).then_some(Reason::NotValidForName);
            assert_eq!(
                reason(&ca, check(rule, &[]), &leaf, name),
                expected,
                "{common:?} {alternative:?} {name} {rule:?}"
            );
        }
    }
}

#[test]
fn an_alternative_name_of_another_kind_still_silences_the_common_name() {
    let ca = Authority::new("Test CA");
    let mut params = params(&[SNI], &[]);
    params.subject_alt_names = vec![SanType::Rfc822Name("a@example.com".try_into().unwrap())];
    let leaf = ca.issue(&params);
    assert_eq!(reason(&ca, check(NameRule::SanOrCn, &[]), &leaf, SNI), Some(Reason::NotValidForName));
    assert_eq!(reason(&ca, check(NameRule::Cn, &[]), &leaf, SNI), None);
}

#[test]
fn the_whitelist_adds_names_of_either_kind() {
    let ca = Authority::new("Test CA");
    let (cn, san) = ("cn.oss.example.net", "san.oss.example.net");
    let both = ca.issue(&params(&[cn], &[san]));
    let wild = ca.issue(&params(&[], &["*.oss.example.net"]));
    let text = ca.issue(&params(&["Origin Farm 7"], &[]));
    let ip = ca.issue(&params(&[], &["192.0.2.7"]));
    let rows: [(&Leaf, &str, bool); 14] = [
        (&both, cn, true),
        (&both, san, true),
        (&both, "CN.oss.example.net.", true),
        (&both, "*.oss.example.net", true),
        (&both, "*.example.net", false),
        (&both, "oss.example.net", false),
        (&both, "*", false),
        (&both, "", false),
        (&wild, "*.oss.example.net", true),
        (&wild, "any.oss.example.net", true),
        (&wild, "a.b.oss.example.net", false),
        (&text, "origin farm 7", true),
        (&ip, "192.0.2.7", true),
        (&ip, "*.0.2.7", false),
    ];
    for (leaf, entry, is_accepted) in rows {
        for rule in [NameRule::San, NameRule::SanOrCn, NameRule::Cn] {
            let found = reason(&ca, check(rule, &["unrelated.example", entry]), leaf, SNI);
            assert_eq!(found, (!is_accepted).then_some(Reason::NotValidForName), "{entry} {rule:?}");
        }
    }
}

type WrongLeaf = (Leaf, Reason, &'static str);

/// Certificates that are right by name and wrong otherwise, and what is said.
fn wrong_leaves(ca: &Authority) -> Vec<WrongLeaf> {
    let good = || params(&[], &[SNI]);
    let mut purpose = good();
    purpose.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut is_ca = good();
    is_ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    vec![
        (ca.issue(&with_years(good(), 2000, 2001)), Reason::Expired, "expired on 2001-01-01 00:00 UTC; renew it"),
        (ca.issue(&with_years(good(), 4000, 4001)), Reason::NotYetValid, "not valid before 4000-01-01 00:00 UTC"),
        (ca.issue(&purpose), Reason::WrongPurpose, "not made for servers"),
        (ca.issue(&is_ca), Reason::CaUsedAsEndEntity, "the certificate of a CA"),
        (Authority::new("Stranger").issue(&good()), Reason::UnknownIssuer, "\"Stranger\" is your own CA, set trust"),
        (Leaf::self_signed(&good()), Reason::SelfSigned, "is self-signed; to accept exactly this certificate set pin"),
        (Leaf::self_signed(&is_ca), Reason::SelfSigned, "is self-signed"),
    ]
}

#[test]
fn a_bad_chain_date_or_purpose_is_rescued_by_a_pin_alone() {
    let ca = Authority::new("Test CA");
    for (leaf, expected, sentence) in wrong_leaves(&ca) {
        let reject = meet(&ca, check(NameRule::SanOrCn, &[SNI, "*.example.com"]), &leaf, &[], SNI).unwrap();
        assert_eq!(reject.reason, expected);
        assert!(reject.to_string().contains(sentence), "{reject}");
        assert_eq!((reject.expected.as_str(), &reject.presented.dns_names), (SNI, &vec![SNI.to_owned()]));
        assert_eq!(reject.fingerprint, fingerprint(&leaf.der));
        assert!(!reject.chain_error.is_empty());
        assert_eq!(reason(&ca, pinned(&leaf), &leaf, "wholly.different.example"), None, "{expected:?}");
    }
}

#[test]
fn a_pin_for_another_leaf_helps_nobody_and_hurts_no_good_chain() {
    let ca = Authority::new("Test CA");
    let wrong_pin = || NameCheck { pins: vec![[7; 32]], ..NameCheck::default() };
    let stranger = Leaf::self_signed(&params(&[], &[SNI]));
    let reject = meet(&ca, wrong_pin(), &stranger, &[], SNI).unwrap();
    assert_eq!(reject.reason, Reason::PinMismatch);
    assert!(reject.to_string().contains(&format!("set pin = [\"{}\"]", reject.fingerprint_text())), "{reject}");
    assert_eq!(reason(&ca, wrong_pin(), &ca.issue(&params(&[], &[SNI])), SNI), None);
    let expired = ca.issue(&with_years(params(&[], &[SNI]), 2000, 2001));
    assert_eq!(reason(&ca, wrong_pin(), &expired, SNI), Some(Reason::Expired));
}

#[test]
fn an_intermediate_must_be_sent_or_trusted() {
    let ca = Authority::new("Test CA");
    let intermediate = ca.intermediate("Test Intermediate");
    let leaf = intermediate.issue(&params(&[], &[SNI]));
    let default = NameCheck::default;
    assert!(meet(&ca, default(), &leaf, &[intermediate.der()], SNI).is_none());
    assert!(meet(&intermediate, default(), &leaf, &[], SNI).is_none());
    let reject = meet(&ca, default(), &leaf, &[], SNI).unwrap();
    assert_eq!((reject.reason, reject.intermediates), (Reason::UnknownIssuer, 0));
    let text = reject.to_string();
    assert!(text.contains("sent no intermediate") && text.contains("issued by \"Test Intermediate\""), "{text}");
    let stranger = Authority::new("Stranger").der();
    let text = meet(&ca, default(), &leaf, &[stranger], SNI).unwrap().to_string();
    assert!(text.contains("no chain to a trusted root"), "{text}");
}

#[test]
fn a_common_name_does_not_slip_past_the_limits_of_its_ca() {
    let ca = Authority::new("Test CA");
    let limited = ca.intermediate_with("Limited CA", |mut params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.net".to_owned())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        params
    });
    let sent = [limited.der()];
    let by_cn = limited.issue(&params(&[SNI], &[]));
    let inside = limited.issue(&params(&["in.example.net"], &["in.example.net"]));
    let outside = limited.issue(&params(&[], &[SNI]));
    for check in [NameCheck::default(), check(NameRule::Cn, &[]), check(NameRule::San, &[SNI])] {
        for (root, sent) in [(&ca, &sent[..]), (&limited, &[])] {
            let reject = meet(root, check.clone(), &by_cn, sent, SNI).unwrap();
            assert_eq!(
                (reject.reason, reject.presented.common_names.as_slice()),
                (Reason::NotValidForName, &[SNI.to_owned()][..])
            );
            assert!(reject.to_string().contains("its CA is limited to certain names"), "{reject}");
        }
    }
    assert!(meet(&ca, NameCheck::default(), &inside, &sent, "in.example.net").is_none());
    let reject = meet(&ca, check(NameRule::SanOrCn, &[SNI]), &outside, &sent, SNI).unwrap();
    assert_eq!(reject.reason, Reason::Other);
    assert!(reject.to_string().contains("NameConstraintViolation"), "{reject}");
    let unlimited = ca.issue(&params(&[SNI], &[]));
    assert!(meet(&ca, NameCheck::default(), &unlimited, &[], SNI).is_none());
}

#[test]
fn an_expired_intermediate_is_told_from_an_expired_leaf() {
    let (ca, leaf, intermediate) = expired_intermediate();
    let reject = meet(&ca, NameCheck::default(), &leaf, &[intermediate], SNI).unwrap();
    assert_eq!(reject.reason, Reason::Expired);
    assert!(reject.to_string().contains("has an intermediate certificate that expired on 2001-01-01"), "{reject}");
}

fn expired_intermediate() -> (Authority, Leaf, CertificateDer<'static>) {
    let ca = Authority::new("Test CA");
    let old = ca.intermediate_with("Old Intermediate", |params| with_years(params, 2000, 2001));
    let leaf = old.issue(&params(&[], &[SNI]));
    (ca, leaf, old.der())
}

#[test]
fn a_self_signed_leaf_is_trusted_if_it_is_no_ca_and_in_the_store() {
    let leaf = Leaf::self_signed(&params(&[], &[SNI]));
    let config = client_config(roots(std::slice::from_ref(&leaf.der)), NameCheck::default(), ClientSide::default());
    assert!(handshake(&config, &origin(&leaf, &[]), SNI).is_ok());
    let issued = Authority::new("Test CA").issue(&params(&[], &[SNI]));
    let config = client_config(roots(std::slice::from_ref(&issued.der)), NameCheck::default(), ClientSide::default());
    let Err(Failed::Client(error)) = handshake(&config, &origin(&issued, &[]), SNI) else { panic!() };
    assert_eq!(reject_of(&error).unwrap().reason, Reason::UnknownIssuer);
}

#[test]
fn old_versions_are_refused_even_with_a_pin() {
    let leaf = Leaf::from_pem(include_str!("testdata/v1.pem"), include_str!("testdata/ec_sec1.key"));
    let ca = Authority::new("Test CA");
    for check in [NameCheck::default(), pinned(&leaf)] {
        let reject = meet(&ca, check, &leaf, &[], "v1.example").unwrap();
        assert_eq!(reject.reason, Reason::UnsupportedVersion, "{reject}");
        assert_eq!(reject.presented.common_names, ["v1.example"]);
    }
}

#[test]
fn the_sentence_names_the_setting_that_mends_it() {
    let ca = Authority::new("Test CA");
    let rows: [(&[&str], &[&str], NameRule, &str); 5] = [
        (
            &["cn.example.net"],
            &["origin.example.net", "www.example.net"],
            NameRule::SanOrCn,
            "the origin's certificate is for \"cn.example.net\", \"origin.example.net\", \"www.example.net\", not for \
             \"shop.example.com\"; set sni to the name that the origin serves, or add \"origin.example.net\" to \
             common_name_whitelist",
        ),
        (&["cn.example.net"], &[], NameRule::SanOrCn, "add \"cn.example.net\" to common_name_whitelist"),
        (&[SNI], &["origin.example.net"], NameRule::SanOrCn, "does not count beside a subjectAltName"),
        (&[], &[SNI], NameRule::Cn, "does not count under certificate_names = \"cn\""),
        (&[], &[], NameRule::San, "is for no name at all, not for \"shop.example.com\"; have one issued for"),
    ];
    for (common, alternative, rule, sentence) in rows {
        let reject = meet(&ca, check(rule, &[]), &ca.issue(&params(common, alternative)), &[], SNI).unwrap();
        assert!(reject.to_string().contains(sentence), "{reject}");
    }
}

#[test]
fn names_in_a_sentence_are_few_and_harmless() {
    let ca = Authority::new("CA\nforged line");
    let many: Vec<String> = (0..100).map(|n| format!("n{n}.example.net")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let text =
        meet(&ca, NameCheck::default(), &ca.issue(&params(&["a\r\nb\u{202e}"], &many)), &[], SNI).unwrap().to_string();
    assert!(text.contains("and 93 more") && !text.contains(['\n', '\r', '\u{202e}']), "{text}");
    let issued = Authority::new("CA\nforged line").issue(&params(&[], &[SNI]));
    let text = meet(&ca, NameCheck::default(), &issued, &[], SNI).unwrap().to_string();
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn sessions_resume_and_speak_http_1_1() {
    let ca = Authority::new("Test CA");
    let server = origin(&ca.issue(&params(&[], &[SNI])), &[]);
    let client = client_config(ca.roots(), NameCheck::default(), ClientSide::default());
    let first = handshake(&client, &server, SNI).ok().unwrap();
    assert_eq!(first.client.handshake_kind(), Some(rustls::HandshakeKind::Full));
    assert_eq!(first.client.alpn_protocol(), Some(b"http/1.1".as_slice()));
    assert_eq!(first.server.server_name(), Some(SNI));
    let second = handshake(&client, &server, SNI).ok().unwrap();
    assert_eq!(second.client.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    let other_policy = client_config(ca.roots(), check(NameRule::Cn, &[]), ClientSide::default());
    assert!(handshake(&other_policy, &server, SNI).is_err(), "a new policy must not inherit sessions");
}

#[test]
fn an_origin_without_http_1_1_or_without_the_name_answers_with_an_alert() {
    let ca = Authority::new("Test CA");
    let mut server = (*origin(&ca.issue(&params(&[], &[SNI])), &[])).clone();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let client = client_config(ca.roots(), NameCheck::default(), ClientSide::default());
    let Err(Failed::Server { error, .. }) = handshake(&client, &server.into(), SNI) else { panic!() };
    assert_eq!(error, rustls::Error::NoApplicationProtocol);
}

#[test]
fn no_basic_constraints_and_no_purpose_are_fine() {
    let ca = Authority::new("Test CA");
    let mut params: CertificateParams = params(&[], &[SNI]);
    params.extended_key_usages.clear();
    params.is_ca = rcgen::IsCa::NoCa;
    assert_eq!(reason(&ca, NameCheck::default(), &ca.issue(&params), SNI), None);
}
