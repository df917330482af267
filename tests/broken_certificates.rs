//! Broken origins, part 5: certificates that are refused. Of each: what clients get, the ledger's row, the doctor's finding,
//! and 200 after the remedy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use millpond::doctor::Step;
use support::openssl::{Weak, s_server};
use support::{Broken, Certificates, Leaf, Origin, OriginTls, Reply};

fn content(_: &support::Request) -> Reply {
    Reply::response("200 OK", &["Cache-Control: no-store"], "content")
}

/// An origin with this certificate alone.
fn issued(leaf: Leaf) -> (Certificates, Origin) {
    let certificates = Certificates::new();
    let origin = Origin::tls(OriginTls::new(&certificates.issue("leaf", &leaf)), content);
    (certificates, origin)
}

fn sound(certificates: &Certificates) -> Option<OriginTls> {
    Some(OriginTls::new(&certificates.identity(&["a.test"])))
}

/// Refused for its certificate, which bears these names: all that every scene here has in common.
fn refused(origin: &Origin, certificates: &Certificates, lines: &str, names: &'static [&'static str]) -> Broken {
    Broken::https(origin, certificates, lines).page(502, "tls_certificate_error", "tls-handshake").facts(
        move |example| assert_eq!((example.certificate_names.as_slice(), example.alert), (&owned(names)[..], None)),
    )
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_certificate_for_another_name() {
    let (certificates, origin) = issued(Leaf::names(&["node7.origin.test"]));
    refused(&origin, &certificates, "", &["node7.origin.test"])
        .finding(Step::Certificate, &["is for \"node7.origin.test\", not for \"a.test\""])
        .evidence(&["leaf \"node7.origin.test\"", "Millpond Test Root"])
        .fix(&["common_name_whitelist = [\"node7.origin.test\"]"])
        .cured_by_fix(&[]);
}

#[test]
fn a_certificate_for_another_name_that_is_asked_for() {
    let (certificates, origin) = issued(Leaf::names(&["node7.origin.test"]));
    refused(&origin, &certificates, "", &["node7.origin.test"])
        .finding(Step::Certificate, &["is for \"node7.origin.test\""])
        .fix(&["common_name_whitelist"])
        .cured_by_alternative(1, &[]);
}

#[test]
fn a_wildcard_that_does_not_reach() {
    // `*` is one label: neither the name above nor one further below.
    let (certificates, origin) = issued(Leaf::names(&["*.a.test"]));
    refused(&origin, &certificates, "", &["*.a.test"])
        .finding(Step::Certificate, &["is for \"*.a.test\", not for \"a.test\""])
        .fix(&["common_name_whitelist = [\"*.a.test\"]"])
        .cured_by_fix(&[]);
    let (certificates, origin) = issued(Leaf::names(&["*.shop.test"]));
    refused(&origin, &certificates, "sni = \"img.eu.shop.test\"", &["*.shop.test"])
        .finding(Step::Certificate, &["is for \"*.shop.test\", not for \"img.eu.shop.test\""])
        .fix(&["common_name_whitelist = [\"*.shop.test\"]"])
        .cured_by_fix(&[]);
}

#[test]
fn a_common_name_alone_where_it_does_not_count() {
    let (certificates, origin) = issued(Leaf::common_name_only("a.test"));
    refused(&origin, &certificates, "certificate_names = \"san\"", &["a.test"])
        .finding(Step::Certificate, &["does not count under certificate_names = \"san\""])
        .fix(&["certificate_names = \"san-or-cn\""])
        .cured_by_fix(&[]);
}

#[test]
fn a_common_name_alone_of_another_name() {
    let (certificates, origin) = issued(Leaf::common_name_only("node.test"));
    for rule in ["", "certificate_names = \"cn\"", "certificate_names = \"san\""] {
        refused(&origin, &certificates, rule, &["node.test"])
            .finding(Step::Certificate, &["is for \"node.test\", not for \"a.test\""])
            .fix(&["common_name_whitelist = [\"node.test\"]"])
            .cured_by_fix(&[]);
    }
}

#[test]
fn a_common_name_that_disagrees_with_the_alternative_name() {
    let named = || Leaf::names(&["x.test"]).common_name("a.test");
    for rule in ["certificate_names = \"san-or-cn\"", "certificate_names = \"san\""] {
        let (certificates, origin) = issued(named());
        refused(&origin, &certificates, rule, &["a.test", "x.test"])
            .finding(Step::Certificate, &["its Common Name does not count"])
            .fix(&["common_name_whitelist = [\"a.test\"]"])
            .cured_by_fix(&[]);
    }
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).common_name("x.test"));
    refused(&origin, &certificates, "certificate_names = \"cn\"", &["x.test", "a.test"])
        .finding(Step::Certificate, &["its subjectAltName does not count under certificate_names = \"cn\""])
        .fix(&["certificate_names: write certificate_names = \"san-or-cn\""])
        .cured_by_fix(&[]);
}

#[test]
fn a_whitelist_that_misses_the_common_name() {
    let (certificates, origin) = issued(Leaf::common_name_only("node8.oss.test"));
    refused(&origin, &certificates, "common_name_whitelist = [\"node7.oss.test\"]", &["node8.oss.test"])
        .finding(Step::Certificate, &["is for \"node8.oss.test\""])
        .fix(&["common_name_whitelist = [\"node7.oss.test\", \"node8.oss.test\"]"])
        .cured_by_fix(&[]);
}

#[test]
fn a_whitelist_that_misses_the_alternative_name() {
    let (certificates, origin) = issued(Leaf::names(&["*.eu.oss.test"]));
    refused(&origin, &certificates, "common_name_whitelist = [\"*.oss.test\"]", &["*.eu.oss.test"])
        .finding(Step::Certificate, &["is for \"*.eu.oss.test\""])
        .fix(&["common_name_whitelist = [\"*.oss.test\", \"*.eu.oss.test\"]"])
        .cured_by_fix(&[]);
}

#[test]
fn an_expired_certificate() {
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).expired());
    refused(&origin, &certificates, "common_name_whitelist = [\"a.test\"]", &["a.test"])
        .finding(Step::Certificate, &["expired on 2002-01-01"])
        .evidence(&["the clock of this machine says"])
        .fix(&["renew the certificate at the origin"])
        .cured_at_origin(|| origin.becomes(sound(&certificates), content));
}

#[test]
fn an_expired_intermediate() {
    let certificates = Certificates::new();
    let leaf = Leaf::names(&["a.test"]).by_expired_intermediate();
    let origin = Origin::tls(OriginTls::new(&certificates.issue("leaf", &leaf)), content);
    refused(&origin, &certificates, "", &["a.test"])
        .finding(Step::Certificate, &["has an intermediate certificate that expired on"])
        .fix(&["intermediate", "at the origin"])
        .cured_at_origin(|| origin.becomes(sound(&certificates), content));
}

#[test]
fn a_certificate_that_is_not_valid_yet() {
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).not_yet_valid());
    refused(&origin, &certificates, "", &["a.test"])
        .finding(Step::Certificate, &["is not valid before 2090-01-01"])
        .evidence(&["the clock of this machine says"])
        .fix(&["compare the clock of this machine"])
        .cured_at_origin(|| origin.becomes(sound(&certificates), content));
}

#[test]
fn a_self_signed_certificate_without_a_pin() {
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).self_signed());
    refused(&origin, &certificates, "", &["a.test"])
        .finding(Step::Certificate, &["is self-signed"])
        .fix(&["pin = [\"sha256:"])
        .cured_by_fix(&[]);
}

#[test]
fn a_self_signed_certificate_beside_the_pin_of_another() {
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).self_signed());
    refused(&origin, &certificates, &format!("pin = [\"sha256:{}\"]", "ab".repeat(32)), &["a.test"])
        .finding(Step::Certificate, &["is none of the pinned ones"])
        .fix(&["site[1].origin.pin: write pin = [\"sha256:abab"])
        .cured_by_fix(&[]);
}

#[test]
fn a_private_ca_without_its_file() {
    let (certificates, origin) = issued(Leaf::names(&["a.test"]));
    Broken::before(&origin, "protocol = \"https\"")
        .page(502, "tls_certificate_error", "tls-handshake")
        .finding(Step::Certificate, &["has an issuer that is not trusted"])
        .fix(&["if \"Millpond Test Root\" is your own CA", "trust = \"ca.pem\""])
        .cured_by_fix(&[("ca.pem", certificates.ca_file().to_str().unwrap())]);
}

#[test]
fn a_private_ca_with_the_file_of_one_that_it_replaced() {
    // Both have the same name, as a CA that is made anew does.
    let (certificates, origin) = issued(Leaf::names(&["a.test"]));
    let old = Certificates::new();
    refused(&origin, &old, "", &["a.test"])
        .finding(
            Step::Certificate,
            &["\"Millpond Test Root\"", "is not signed by the CA of that name which is trusted"],
        )
        .fix(&["trust = \"ca.pem\""])
        .cured_by_fix(&[("ca.pem", certificates.ca_file().to_str().unwrap())]);
}

#[test]
fn a_missing_intermediate() {
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).without_its_intermediate());
    let whole = OriginTls::new(&certificates.issue("whole", &Leaf::names(&["a.test"]).by_intermediate()));
    refused(&origin, &certificates, "", &["a.test"])
        .finding(Step::Certificate, &["the origin sent no intermediate certificate"])
        .fix(&["install the full chain", "\"Millpond Test Intermediate\" is missing"])
        .cured_at_origin(|| origin.becomes(Some(whole), content));
}

#[test]
fn a_certificate_for_clients() {
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).for_clients_only());
    refused(&origin, &certificates, "", &["a.test"])
        .finding(Step::Certificate, &["is not made for servers"])
        .fix(&["serverAuth"])
        .cured_at_origin(|| origin.becomes(sound(&certificates), content));
}

#[test]
fn a_certificate_for_clients_that_is_pinned() {
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).for_clients_only());
    refused(&origin, &certificates, "", &["a.test"])
        .finding(Step::Certificate, &["is not made for servers"])
        .fix(&["serverAuth"])
        .cured_by_alternative(1, &[]);
}

#[test]
fn different_certificates_by_name_and_for_strangers() {
    let certificates = Certificates::new();
    let fallback = certificates.issue("fallback", &Leaf::names(&["ingress.local"]).self_signed());
    let right = certificates.identity(&["a.test"]);
    let origin = Origin::tls(OriginTls::new(&fallback).with(&["a.test"], &right), content);
    refused(&origin, &certificates, "sni = \"wrong.test\"", &["ingress.local"])
        .finding(Step::Certificate, &["\"ingress.local\"", "self-signed"])
        .fix(&["site[1].origin.sni: write sni = \"a.test\""])
        .cured_by_fix(&[]);
}

const SERVER: &str = "subjectAltName=DNS:a.test\nextendedKeyUsage=serverAuth\n";

/// A certificate of OpenSSL's making, served by OpenSSL; in the end a sound one of another CA that the file names too.
#[track_caller]
fn weak(weak: &Weak, finding: &[&str], evidence: &str, fix: &str) {
    let origin = s_server(&weak.identity, &["-cipher", "DEFAULT@SECLEVEL=0"]);
    let certificates = Certificates::new();
    // One file with both: that of the weak leaf's CA, and that of the sound one which comes in its place.
    let both = std::fs::read_to_string(weak.dir.path().join("ca.pem")).unwrap() + &certificates.ca_pem();
    weak.dir.write("ca.pem", both);
    Broken::before(&origin, &format!("protocol = \"https\"\n{}", weak.trust()))
        .page(502, "tls_certificate_error", "tls-handshake")
        .facts(|example| assert_eq!(example.certificate_names, ["a.test"]))
        .finding(Step::Certificate, finding)
        .evidence(&[evidence])
        .fix(&[fix])
        .cured_at_origin(|| origin.becomes(sound(&certificates), content));
}

#[test]
fn a_signature_with_sha_1() {
    let leaf = Weak::new(&["rsa:2048"], &["-sha1"], SERVER);
    weak(&leaf, &["SHA-1"], "SHA-1 with RSA", "signed with SHA-256 or better");
}

#[test]
fn an_rsa_key_of_1024_bits() {
    let leaf = Weak::new(&["rsa:1024"], &["-sha256"], SERVER);
    weak(&leaf, &["an RSA key of 1024 bits"], "RSA 1024 bits", "a key of 2048 bits or more");
}

#[test]
fn a_certificate_of_the_first_version() {
    let leaf = Weak::new(&["rsa:2048"], &["-sha256"], "");
    weak(&leaf, &["X.509 version 1"], "RSA 2048 bits", "version 3");
}

#[test]
fn a_certificate_that_openssl_has_signed_by_itself() {
    // With `CA:TRUE`, as `openssl req -x509` makes them.
    let (weak, certificates) = (Weak::new(&["rsa:2048"], &["-sha256"], SERVER), Certificates::new());
    let path = weak.dir.path();
    let identity =
        support::Identity { chain_file: path.join("ca.pem"), key_file: path.join("ca.key"), ..weak.identity.clone() };
    let origin = s_server(&identity, &[]);
    // It answers no HEAD, and its pages come with an end that is none.
    Broken::https(&origin, &certificates, "timeouts = { first_byte = \"1s\" }")
        .page(502, "tls_certificate_error", "tls-handshake")
        .finding(Step::Certificate, &["\"Weak Test Root\"", "is self-signed"])
        .fix(&["pin = [\"sha256:"])
        .cured_by_fix(&[]);
}

#[test]
fn a_certificate_for_an_address_alone() {
    let (certificates, origin) = issued(Leaf::names(&["127.0.0.1"]));
    refused(&origin, &certificates, "", &["127.0.0.1"])
        .finding(Step::Certificate, &["is for \"127.0.0.1\", not for \"a.test\""])
        .fix(&["have a certificate issued for \"a.test\""])
        .cured_at_origin(|| origin.becomes(sound(&certificates), content));
}

#[test]
fn one_of_two_addresses_with_another_certificate() {
    let certificates = Certificates::new();
    let stranger = certificates.issue("stranger", &Leaf::names(&["b.test"]));
    let odd = Origin::tls(OriginTls::new(&stranger), content);
    let even = Origin::start(&format!("127.0.0.2:{}", odd.port()), sound(&certificates), content);
    let server = format!("origin.test:{}", odd.port());
    let names = millpond::Names::by(|_| Ok(["127.0.0.1", "127.0.0.2"].map(|it| it.parse().unwrap()).to_vec()));
    Broken::at(&server, &format!("protocol = \"https\"\n{}", support::pop::trust(&certificates)))
        .names(names)
        .passes(200)
        .blames("tls_certificate_error", "tls-handshake")
        .row(&server, Some(&odd.address().to_string()))
        .facts(|example| assert_eq!(example.certificate_names, ["b.test"]))
        .warning(Step::Certificate, &["1 of the addresses would not do", &odd.address().to_string(), "\"b.test\""])
        .fix(&["make the servers at these addresses like the others"])
        .moves()
        .cured_at_origin(|| odd.becomes(sound(&certificates), content));
    drop(even);
}
