//! Broken origins, part 3: handshakes that end in an alert. Of each: what clients get, the ledger's row, the doctor's
//! finding, and 200 after the remedy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use millpond::doctor::Step;
use support::diagnosis::{alerting, breaking_off, picky, replying};
use support::openssl::{Weak, s_server};
use support::{Broken, Certificates, Leaf, Origin, OriginTls, Reply};

fn content(_: &support::Request) -> Reply {
    Reply::response("200 OK", &["Cache-Control: no-store"], "content")
}

fn secure(certificates: &Certificates) -> OriginTls {
    OriginTls::new(&certificates.identity(&["a.test"]))
}

/// OpenSSL with these options, in the place of which a sound origin comes in the end.
#[track_caller]
fn refused_by_openssl(options: &[&str], alert: u8, what: &[&str], fix: &[&str]) {
    let certificates = Certificates::new();
    let origin = s_server(&certificates.identity(&["a.test"]), options);
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_alert_received", "tls-handshake")
        .facts(move |example| assert_eq!((example.alert, example.sni.as_deref()), (Some(alert), Some("a.test"))))
        .finding(Step::Handshake, what)
        .evidence(&[&format!("TLS alert {alert}"), "SNI sent: \"a.test\""])
        .fix(fix)
        .cured_at_origin(|| origin.becomes(Some(secure(&certificates)), content));
}

const OLD: &[&str] = &["offer TLS 1.2 or 1.3", "at the origin"];

#[test]
fn tls_1_0_alone() {
    refused_by_openssl(
        &["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"],
        70,
        &["the server speaks no version of TLS that it was offered"],
        OLD,
    );
}

#[test]
fn tls_1_1_alone() {
    refused_by_openssl(
        &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
        70,
        &["the server speaks no version of TLS that it was offered"],
        OLD,
    );
}

#[test]
fn no_common_cipher() {
    // Ciphers in CBC mode; the certificate and the curve would do.
    let options = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384@SECLEVEL=0"];
    refused_by_openssl(&options, 40, &["refused the handshake"], &["ECDHE", "AES-GCM", "at the origin"]);
}

#[test]
fn no_common_curve() {
    let options = ["-tls1_2", "-groups", "P-521"];
    refused_by_openssl(&options, 40, &["refused the handshake"], &["X25519", "at the origin"]);
}

#[test]
fn an_old_server_that_answers_in_tls_1_0() {
    // A ServerHello of 1.0 whatever the client offers, as servers from before supported_versions do.
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let certificates = Certificates::new();
    let origin = replying(hello);
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_protocol_error", "tls-handshake")
        .finding(Step::Handshake, &["the server answers in no version that it was offered"])
        .fix(&["offer TLS 1.2 or 1.3", "at the origin"])
        .cured_at_origin(|| origin.becomes(Some(secure(&certificates)), content));
}

#[test]
fn a_floor_of_ours_above_what_the_server_speaks() {
    let certificates = Certificates::new();
    let tls = secure(&certificates).versions(&[&rustls::version::TLS12]);
    let origin = Origin::tls(tls, content);
    Broken::https(&origin, &certificates, "tls_min = \"1.3\"")
        .page(502, "tls_alert_received", "tls-handshake")
        .facts(|example| assert_eq!(example.alert, Some(70)))
        .finding(Step::Handshake, &["the server speaks no version of TLS that it was offered"])
        .fix(&["site[1].origin.tls_min: write tls_min = \"1.2\""])
        .cured_by_fix(&[]);
}

#[test]
fn alert_112_for_a_name_that_the_server_does_not_know() {
    unknown_name(112, "the server does not know the name in the handshake");
}

#[test]
fn alert_40_for_a_name_that_the_server_does_not_know() {
    unknown_name(40, "the server refused the handshake");
}

#[track_caller]
fn unknown_name(alert: u8, what: &str) {
    let certificates = Certificates::new();
    let origin = picky(secure(&certificates), "a.test", alert);
    Broken::https(&origin, &certificates, "sni = \"b.test\"")
        .page(502, "tls_alert_received", "tls-handshake")
        .facts(move |example| assert_eq!((example.alert, example.sni.as_deref()), (Some(alert), Some("b.test"))))
        .finding(Step::Handshake, &[what])
        .evidence(&[&format!("TLS alert {alert}"), "SNI sent: \"b.test\""])
        .fix(&["sni = \"a.test\""])
        .cured_by_fix(&[]);
}

#[test]
fn alert_112_for_every_name() {
    let certificates = Certificates::new();
    let origin = alerting(112);
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_alert_received", "tls-handshake")
        .facts(|example| assert_eq!(example.alert, Some(112)))
        .finding(Step::Handshake, &["does not know the name"])
        .fix(&["have the server answer for \"a.test\""])
        .cured_at_origin(|| origin.becomes(Some(secure(&certificates)), content));
}

#[test]
fn an_internal_error_of_the_server() {
    let certificates = Certificates::new();
    let origin = alerting(80);
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_alert_received", "tls-handshake")
        .facts(|example| assert_eq!(example.alert, Some(80)))
        .finding(Step::Handshake, &["InternalError"])
        .evidence(&["internal_error of the server"])
        .fix(&["look at the server's own log"])
        .cured_at_origin(|| origin.becomes(Some(secure(&certificates)), content));
}

#[test]
fn http_2_alone() {
    let certificates = Certificates::new();
    let origin = Origin::tls(secure(&certificates).alpn(&["h2"]), content);
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_alert_received", "tls-handshake")
        .facts(|example| assert_eq!(example.alert, Some(120)))
        .finding(Step::Handshake, &["speaks no HTTP/1.1 on this port"])
        .fix(&["ALPN http/1.1"])
        .cured_at_origin(|| origin.becomes(Some(secure(&certificates).alpn(&["h2", "http/1.1"])), content));
}

#[test]
fn a_client_certificate_demanded_in_tls_1_2() {
    client_certificate(&rustls::version::TLS12, "tls-handshake");
}

#[test]
fn a_client_certificate_demanded_in_tls_1_3() {
    client_certificate(&rustls::version::TLS13, "response-head");
}

#[track_caller]
fn client_certificate(version: &'static rustls::SupportedProtocolVersion, phase: &'static str) {
    let certificates = Certificates::new();
    let ours = certificates.issue("ours", &Leaf::names(&["pop.test"]).for_clients_only());
    let demanding = secure(&certificates).versions(&[version]).demand_client_certificate(certificates.roots());
    let origin = Origin::tls(demanding, content);
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_alert_received", phase)
        .facts(|example| assert!(example.alert.is_some() && example.sni.as_deref() == Some("a.test"), "{example:?}"))
        .finding(Step::Handshake, &["the server demands a client certificate, and none is set"])
        .fix(&["client_certificate = { certificate = \"client.pem\", key = \"client.key\" }"])
        .cured_by_fix(&[
            ("client.pem", ours.chain_file.to_str().unwrap()),
            ("client.key", ours.key_file.to_str().unwrap()),
        ]);
}

#[test]
fn a_client_certificate_that_is_refused_in_tls_1_2() {
    wrong_client_certificate(&rustls::version::TLS12, "tls-handshake");
}

#[test]
fn a_client_certificate_that_is_refused_in_tls_1_3() {
    wrong_client_certificate(&rustls::version::TLS13, "response-head");
}

#[track_caller]
fn wrong_client_certificate(version: &'static rustls::SupportedProtocolVersion, phase: &'static str) {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let leaf = Leaf::names(&["pop.test"]).for_clients_only();
    let (right, wrong) = (certificates.issue("right", &leaf), others.issue("wrong", &leaf));
    let demanding = secure(&certificates).versions(&[version]).demand_client_certificate(certificates.roots());
    let origin = Origin::tls(demanding, content);
    let shown = format!(
        "client_certificate = {{ certificate = \"{}\", key = \"{}\" }}",
        wrong.chain_file.display(),
        wrong.key_file.display()
    );
    Broken::https(&origin, &certificates, &shown)
        .page(502, "tls_alert_received", phase)
        .finding(Step::Handshake, &["the server does not accept our client certificate"])
        .fix(&["client certificate issued by a CA that the server trusts", "site[1].origin.client_certificate: write"])
        .cured_by_fix(&[
            ("client.pem", right.chain_file.to_str().unwrap()),
            ("client.key", right.key_file.to_str().unwrap()),
        ]);
}

#[test]
fn a_client_certificate_that_is_missed_with_a_page() {
    let certificates = Certificates::new();
    let ours = certificates.issue("ours", &Leaf::names(&["pop.test"]).for_clients_only());
    let origin =
        Origin::tls(secure(&certificates).ask_client_certificate(certificates.roots()), |request| {
            match request.is_certified {
                true => content(request),
                false => Reply::response("400 Bad Request", &[], "No required SSL certificate was sent"),
            }
        });
    Broken::https(&origin, &certificates, "")
        .passes(400)
        .finding(Step::Http, &["400, and the server has asked for a client certificate, and none is set"])
        .fix(&["client_certificate = { certificate = \"client.pem\", key = \"client.key\" }"])
        .cured_by_fix(&[
            ("client.pem", ours.chain_file.to_str().unwrap()),
            ("client.key", ours.key_file.to_str().unwrap()),
        ]);
}

#[test]
fn a_key_of_a_kind_that_is_not_spoken() {
    let certificates = Certificates::new();
    let leaf = Weak::new(&["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], &["-sha256"], "subjectAltName=DNS:a.test\n");
    let origin = s_server(&leaf.identity, &[]);
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_alert_received", "tls-handshake")
        .facts(|example| assert_eq!(example.alert, Some(40)))
        .finding(Step::Handshake, &["the server refused the handshake"])
        .fix(&["a certificate with a key of RSA, P-256, P-384 or Ed25519"])
        .cured_at_origin(|| origin.becomes(Some(secure(&certificates)), content));
}

#[test]
fn bytes_that_are_no_tls_after_a_good_handshake() {
    let certificates = Certificates::new();
    let origin = breaking_off(secure(&certificates));
    Broken::https(&origin, &certificates, "")
        .page(502, "tls_protocol_error", "response-head")
        .finding(Step::Http, &["before the first byte of a response"])
        .fix(&["TLS breaks after a handshake that went well"])
        .cured_at_origin(|| origin.becomes(Some(secure(&certificates)), content));
}
