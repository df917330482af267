//! The doctor's report as a whole: its steps and their order, the table of certificates, warnings, progress, rehearsals. What it
//! finds at each broken origin is in `broken_*.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::TcpListener;

use millpond::config::Config;
use millpond::doctor::{Outcome, Progress, Step, Subject, diagnose, rehearse};
use support::diagnosis::{Diagnosed, diagnosed, diagnosed_as};
use support::pop::{site_at, site_with, trust};
use support::{Certificates, Identity, Leaf, Origin, OriginTls, Reply};

/// `a.test` before an HTTPS origin that is asked over HTTPS and trusted by the CA, with further lines.
fn https(origin: &Origin, certificates: &Certificates, lines: &str) -> Diagnosed {
    let lines = format!("protocol = \"https\"\n{}{lines}\n", trust(certificates));
    diagnosed(&site_with("a.test", origin, "", &lines))
}

fn tls(identity: &Identity) -> Origin {
    Origin::tls(OriginTls::new(identity), |_| Reply::ok("content"))
}

fn issued(leaf: Leaf) -> (Certificates, Origin) {
    let certificates = Certificates::new();
    let origin = tls(&certificates.issue("leaf", &leaf));
    (certificates, origin)
}

#[test]
fn a_healthy_origin_passes_every_step() {
    let certificates = Certificates::new();
    let origin = Origin::tls(OriginTls::new(&certificates.identity(&["a.test"])), |_| {
        Reply::response("200 OK", &["Cache-Control: max-age=60", "ETag: \"1\"", "Accept-Ranges: bytes"], "content")
    });
    let found = https(&origin, &certificates, "");
    found.healthy();
    assert_eq!(found.report.ending(), "healthy: every check passed");
    let steps: Vec<usize> = found.report.all().map(|(_, check)| check.step.number()).collect();
    assert_eq!(steps, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let text = found.report.text(false);
    for part in
        ["TLSv1.3 with SNI \"a.test\"", "kept for 60 s by max-age", "HEAD /: 200", "serves ranges", "ECDSA P-256"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let methods: Vec<String> = origin.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["GET", "HEAD"]);
}

#[test]
fn progress_is_told_before_and_after_every_step() {
    let origin = Origin::plain(|_| Reply::ok("content"));
    let text = site_with("a.test", &origin, "", "");
    let config = Config::parse(&text, "scene.toml".as_ref()).unwrap();
    let mut told = Vec::new();
    diagnose(&config, &Subject::parse("a.test").unwrap(), &mut |progress| match progress {
        Progress::Checking { step, .. } => told.push((step, false)),
        Progress::Checked { check, .. } => told.push((check.step, true)),
        _ => {}
    });
    let pairs: Vec<bool> = told.iter().map(|(_, is_end)| *is_end).collect();
    assert_eq!(pairs, [false, true].repeat(told.len() / 2));
    assert!(told.chunks(2).all(|pair| pair[0].0 == pair[1].0));
}

#[test]
fn a_server_with_several_certificates_is_asked_for_the_right_one() {
    let certificates = Certificates::new();
    let fallback = certificates.issue("fallback", &Leaf::names(&["ingress.local"]).self_signed());
    let right = certificates.identity(&["a.test"]);
    let origin = Origin::tls(OriginTls::new(&fallback).with(&["a.test"], &right), |_| Reply::ok("content"));
    let found = https(&origin, &certificates, "sni = \"wrong.test\"");
    let finding = found.broken(Step::Certificate, "tls_certificate_error");
    assert_eq!(finding.fix.changes[0].text, "sni = \"a.test\"");
    assert_eq!(finding.fix.changes[0].key, "site[1].origin.sni");
    let rows = &found.report.servers[0].sni;
    let fingerprints: Vec<_> =
        rows.iter().filter_map(|row| Some(row.shown.as_ref().ok()?.fingerprint.clone())).collect();
    assert_eq!(rows.len(), 3, "configured, domain, none: {rows:?}");
    assert!(fingerprints[0] == fingerprints[2] && fingerprints[0] != fingerprints[1]);
    found.cured_by(&finding.fix, &[]);
}

#[test]
fn dates_are_mended_at_the_origin_or_by_a_pin() {
    for (leaf, word) in [
        (Leaf::names(&["a.test"]).expired(), "renew the certificate"),
        (Leaf::names(&["a.test"]).not_yet_valid(), "clock"),
    ] {
        let (certificates, origin) = issued(leaf);
        let found = https(&origin, &certificates, "");
        let finding = found.broken(Step::Certificate, "tls_certificate_error");
        assert!(finding.fix.what.contains(word) && finding.fix.changes.is_empty(), "{finding:?}");
        assert!(finding.evidence.iter().any(|line| line.starts_with("the clock of this machine says")));
        let pin = &finding.alternatives[0];
        assert!(pin.trusts.contains("exactly this one certificate"), "{pin:?}");
        let cured = found.with(pin, &[]);
        assert_eq!(support::Pop::start(&cured).get("/").status, 200);
    }
}

#[test]
fn a_redirect_to_itself_under_https_is_followed_to_its_port() {
    let certificates = Certificates::new();
    let secure = tls(&certificates.identity(&["a.test"]));
    let location = format!("Location: https://a.test:{}/", secure.port());
    let origin = Origin::plain(move |_| Reply::response("301 Moved Permanently", &[&location], ""));
    // The port is no host's own, so the origin must go by it too.
    let lines = format!("host = \"a.test:{}\"\n{}", secure.port(), trust(&certificates));
    let text = site_with("a.test", &origin, "", &lines);
    for subject in ["https://a.test/", "a.test"] {
        let found = diagnosed_as(&text, subject);
        let finding = found.broken(Step::Http, "http_protocol_error");
        assert!(finding.what.contains("redirects"), "{finding:?}");
        let texts: Vec<&str> = finding.fix.changes.iter().map(|change| change.text.as_str()).collect();
        assert_eq!(texts, ["protocol = \"https\"", &format!("ports = {{ https = {} }}", secure.port())]);
        let cured = found.with(&finding.fix, &[]);
        assert_eq!(support::Pop::start(&cured).get("/").status, 200);
        diagnosed_as(&cured, subject).healthy();
    }
}

#[test]
fn visitors_who_are_sent_to_https_and_are_well_there_are_no_fault() {
    let certificates = Certificates::new();
    let identity = certificates.identity(&["a.test"]);
    let secure = Origin::tls(OriginTls::new(&identity), |_| Reply::ok("content"));
    let plain = Origin::plain(|_| Reply::response("301 Moved Permanently", &["Location: https://a.test/"], ""));
    let lines = format!(
        "protocol = \"follow\"\nports = {{ http = {}, https = {} }}\n{}",
        plain.port(),
        secure.port(),
        trust(&certificates)
    );
    let found = diagnosed(&site_at("a.test", "127.0.0.1", "", &lines));
    found.healthy();
    assert!(found.report.text(false).contains("sent to https"), "{}", found.report.text(false));
}

#[test]
fn what_is_no_http_at_all_is_told_with_the_words_of_the_error_page() {
    let origin = Origin::plain(|_| Reply::bytes("SSH-2.0-OpenSSH_9\r\n\r\n").close());
    let found = diagnosed(&site_with("a.test", &origin, "", ""));
    let finding = found.broken(Step::Http, "http_protocol_error");
    let page = support::Pop::start(&found.text).get("/").text();
    assert!(page.contains(finding.what.split(": ").last().unwrap()), "{finding:?}\n{page}");
    found.proxy_agrees();
}

#[test]
fn a_health_check_that_no_server_passes_is_what_makes_the_site_dead() {
    let origins = [0, 1].map(|_| {
        Origin::plain(|request| match request.target.as_str() {
            "/healthz" => Reply::response("204 No Content", &[], ""),
            "/status" => Reply::ok("fine"),
            _ => Reply::response("200 OK", &["Cache-Control: no-store"], "content"),
        })
    });
    let servers: Vec<String> = origins.iter().map(|origin| format!("\"{}\"", origin.address())).collect();
    let text = format!(
        "[[site]]\ndomains = [\"a.test\"]\n[site.origin]\nservers = [{}]\nprotocol = \"http\"\n[site.origin.health]\n\
         path = \"/healthz\"\nstatus = [200]\ninterval = \"1s\"\nfailures = 1\n",
        servers.join(", ")
    );
    let found = diagnosed(&text);
    let finding = found.broken(Step::Http, "destination_unavailable");
    assert!(finding.what.contains("GET /healthz was answered with 204"), "{finding:?}");
    assert!(finding.fix.what.contains("write status = [204]") && found.report.is_dead(), "{finding:?}");
    let pop = support::Pop::start(&text);
    support::wait_until(|| pop.get("/").status == 503);
    diagnosed(&text.replace("status = [200]", "status = [204]")).healthy();
    // A lone server is asked whatever its check says.
    let alone = diagnosed(&text.replace(&servers.join(", "), &servers[0]));
    alone.healthy();
    assert!(alone.report.text(false).contains("the health check fails"), "{}", alone.report.text(false));
}

#[test]
fn redirects_are_followed_as_far_as_fetches_go() {
    let origin = Origin::plain(|request| match request.target.as_str() {
        "/" => Reply::response("302 Found", &["Location: /1"], ""),
        "/1" => Reply::response("302 Found", &["Location: /2"], ""),
        "/ring" => Reply::response("302 Found", &["Location: /gnir"], ""),
        "/gnir" => Reply::response("302 Found", &["Location: /ring"], ""),
        "/lost" => Reply::response("302 Found", &["Location: /nowhere"], ""),
        "/2" => Reply::ok("content"),
        _ => Reply::response("404 Not Found", &[], ""),
    });
    let text = site_with("a.test", &origin, "", "follow_redirects = 3");
    for (subject, word) in [
        ("a.test/", "in the end http://a.test/2 answers 200"),
        ("a.test/ring", "the redirects do not end within follow_redirects = 3"),
        ("a.test/lost", "redirects lead to http://a.test/nowhere, which answers 404"),
    ] {
        let found = diagnosed_as(&text, subject);
        found.healthy();
        assert!(found.report.text(false).contains(word), "{}", found.report.text(false));
    }
}

#[test]
fn a_missing_page_and_a_cookie_are_warnings() {
    let origin = Origin::plain(|request| match request.target.as_str() {
        "/" => Reply::response("404 Not Found", &[], ""),
        _ => Reply::response("200 OK", &["Set-Cookie: id=1", "Cache-Control: max-age=60"], "content"),
    });
    let text = site_with("a.test", &origin, "", "");
    for (subject, step, word) in [
        ("a.test", Step::Http, "the origin itself answers 404"),
        ("http://a.test/x", Step::Cacheability, "sets a cookie"),
    ] {
        let found = diagnosed_as(&text, subject);
        found.healthy();
        let mut doubts =
            found.report.all().filter(|(_, check)| check.outcome == Outcome::Doubtful && check.step == step);
        let what = doubts.next().and_then(|(_, check)| Some(check.finding.as_ref()?.what.clone())).unwrap_or_default();
        assert!(what.contains(word), "{}", found.report.text(false));
    }
}

#[test]
fn an_origin_certificate_that_ends_soon_is_on_the_radar() {
    let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let (year, month, day) = civil(today + 10);
    let (certificates, origin) = issued(Leaf::names(&["a.test"]).valid((2020, 1, 1), (year, month, day)));
    let found = https(&origin, &certificates, "");
    found.healthy();
    let (_, check) = found.report.all().find(|(_, check)| check.step == Step::Certificate).unwrap();
    assert_eq!(check.outcome, Outcome::Doubtful);
    assert!(check.finding.as_ref().unwrap().what.contains("\"a.test\" ends in 9 days"), "{check:?}");
}

/// The date of a day since 1970, found by counting.
fn civil(mut days: u64) -> (i32, u8, u8) {
    let is_leap = |year: i32| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |year: i32, month: u8| match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    for year in 1970.. {
        for month in 1..=12 {
            if days < length(year, month) {
                return (year, month, u8::try_from(days + 1).unwrap());
            }
            days -= length(year, month);
        }
    }
    unreachable!()
}

#[test]
fn a_rehearsal_looks_at_every_site_and_keeps_their_order() {
    let good = Origin::plain(|_| Reply::ok("content"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sites = [
        site_with("a.test", &good, "", ""),
        site_at("*.b.test", &closed.to_string(), "", ""),
        site_with("c.test", &good, "", ""),
    ];
    let config = Config::parse(&sites.concat(), "scene.toml".as_ref()).unwrap();
    let mut left = Vec::new();
    let reports = rehearse(&config, 2, &mut |_, more| left.push(more));
    assert_eq!(left, [2, 1, 0]);
    let subjects: Vec<&str> = reports.iter().map(|report| report.subject.as_str()).collect();
    assert_eq!(subjects, ["http://a.test/", "http://www.b.test/", "http://c.test/"]);
    assert_eq!(reports.iter().map(|report| report.is_dead()).collect::<Vec<_>>(), [false, true, false]);
    assert!(reports.iter().all(|report| report.all().all(|(_, check)| check.step < Step::Cacheability)));
}
