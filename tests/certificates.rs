//! The certificates of both sides: told on demand and in the log, noted in whole handshakes alone, and kept over restarts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use millpond::config::Config;
use millpond::{CertificateRow, Edge};
use support::door::OPEN;
use support::pop::{https_table, site_at, site_with, trust};
use support::{Certificates, Client, Door, Leaf, Log, Origin, OriginTls, Pop, Reply, TempDir, wait_until};

/// A day so many days from now.
fn day(days: i64) -> (i32, u8, u8) {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let date = String::from_utf8(millpond::HttpDate(now + days * 86_400).rfc3339().to_vec()).unwrap();
    let mut parts = date.split(['-', 'T']);
    let mut next = || parts.next().unwrap();
    (next().parse().unwrap(), next().parse().unwrap(), next().parse().unwrap())
}

/// Answers with `Connection: close`, so that every fetch makes a connection.
fn closing(_: &support::Request) -> Reply {
    Reply::response("200 OK", &["Cache-Control: no-store", "Connection: close"], "content").close()
}

fn tls_site(server: SocketAddr, certificates: &Certificates) -> String {
    site_at("a.test", &server.to_string(), "", &format!("protocol = \"https\"\n{}", trust(certificates)))
}

/// The rows of one side.
fn rows(pop: &Pop, side: &str) -> Vec<CertificateRow> {
    pop.edge().certificates().into_iter().filter(|row| row.side.token() == side).collect()
}

#[test]
fn what_an_origin_shows_is_known_after_its_first_handshake() {
    let certificates = Certificates::new();
    let identity = certificates.issue("leaf", &Leaf::names(&["a.test"]).common_name("Leaf").valid(day(-30), day(60)));
    let origin = Origin::tls(OriginTls::new(&identity), |_| Reply::ok("content"));
    let pop = Pop::start(&tls_site(origin.address(), &certificates));
    let unknown = rows(&pop, "origin").remove(0);
    assert_eq!((unknown.state.token(), unknown.certificate), ("unknown", None));
    assert_eq!((unknown.site, unknown.server), ("a.test".into(), origin.address().to_string()));
    assert_eq!(pop.get("/").status, 200);
    let row = rows(&pop, "origin").remove(0);
    let details = row.certificate.as_ref().unwrap();
    assert_eq!((row.state.token(), row.sni.as_deref()), ("ok", Some("a.test")));
    assert_eq!(details.names, ["Leaf", "a.test"]);
    assert_eq!(details.issuer, "Millpond Test Root");
    assert!((58..=60).contains(&details.days_left) && details.not_before < details.not_after, "{details:?}");
    assert!(details.fingerprint.starts_with("sha256:") && details.fingerprint.len() == 71);
    // Another request over the same connection shows nothing.
    let seen = row.seen.unwrap();
    assert_eq!(pop.get("/again").status, 200);
    assert_eq!(rows(&pop, "origin").remove(0).seen, Some(seen));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn another_issuer_is_told_once_and_kept_over_a_restart() {
    let log = Log::take();
    let (one, two, dir) = (Certificates::new(), Certificates::new(), TempDir::new());
    let both = dir.write("both.pem", one.ca_pem() + &two.ca_pem());
    let by_root = one.identity(&["a.test"]);
    let by_intermediate = two.issue("leaf", &Leaf::names(&["a.test"]).by_intermediate());
    let origin = Origin::tls(OriginTls::new(&by_root), closing);
    let address = origin.address();
    let settings = format!("protocol = \"https\"\ntrust = {both:?}\n");
    let state = dir.path().join("state");
    let toml = format!("[state]\ndir = {state:?}\n{}", site_at("a.test", &address.to_string(), "", &settings));
    let pop = Pop::start(&toml);
    assert_eq!(pop.get("/1").status, 200);
    assert_eq!(rows(&pop, "origin")[0].issuer_change, None);
    pop.shutdown();
    drop(origin);
    let origin = Origin::start(&address.to_string(), Some(OriginTls::new(&by_intermediate)), closing);
    let pop = Pop::start(&toml);
    assert_eq!(rows(&pop, "origin")[0].state.token(), "ok", "it is known from before");
    wait_until(|| pop.get("/2").status == 200);
    let row = rows(&pop, "origin").remove(0);
    let change = row.issuer_change.as_ref().unwrap();
    assert_eq!((change.from.as_str(), change.to.as_str()), ("Millpond Test Root", "Millpond Test Intermediate"));
    let server = address.to_string();
    log.line_with(&[&server, "changed from \"Millpond Test Root\" to \"Millpond Test Intermediate\""]);
    assert_eq!(pop.get("/3").status, 200);
    assert_eq!(rows(&pop, "origin")[0].issuer_change.as_ref(), Some(change));
    pop.shutdown();
    drop(origin);
    assert_eq!(log.count(&[&server, "changed from"]), 1);
    assert_eq!(rows(&Pop::start(&toml), "origin")[0].issuer_change.as_ref(), Some(change));
}

#[test]
fn an_origin_certificate_that_ends_soon_is_in_the_log_and_in_check() {
    let log = Log::take();
    let (certificates, dir) = (Certificates::new(), TempDir::new());
    let identity = certificates.issue("leaf", &Leaf::names(&["a.test"]).valid(day(-80), day(9)));
    let origin = Origin::tls(OriginTls::new(&identity), closing);
    let state = dir.path().join("state");
    let toml = format!("[state]\ndir = {state:?}\n{}", tls_site(origin.address(), &certificates));
    let config = Config::parse(&toml, Path::new("m.toml")).unwrap();
    assert!(Edge::check(&config).is_empty(), "nothing is known yet");
    let pop = Pop::start(&toml);
    assert_eq!(pop.get("/").status, 200);
    assert_eq!(rows(&pop, "origin")[0].state.token(), "ends-soon");
    let server = origin.address().to_string();
    log.line_with(&[&server, "ends in 8 days", "renew it there"]);
    pop.shutdown();
    let problems: Vec<String> = Edge::check(&config).iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains("warning: site[1].origin.servers: the certificate of") && problems[0].contains(&server)
    );
    let told = log.count(&[&server, "ends in 8 days"]);
    let pop = Pop::start(&toml);
    assert_eq!(log.count(&[&server, "ends in 8 days"]), told + 1, "once at the start");
    pop.reload("http = \"127.0.0.1:0\"", &toml).unwrap();
    assert_eq!(log.count(&[&server, "ends in 8 days"]), told + 2, "and with a reload");
}

#[test]
fn a_certificate_that_is_refused_is_known_too() {
    let certificates = Certificates::new();
    let identity = certificates.issue("leaf", &Leaf::names(&["a.test"]).expired());
    let origin = Origin::tls(OriginTls::new(&identity), |_| Reply::ok("content"));
    let pop = Pop::start(&tls_site(origin.address(), &certificates));
    assert_eq!(pop.get("/").status, 502);
    wait_until(|| rows(&pop, "origin")[0].certificate.is_some());
    let row = rows(&pop, "origin").remove(0);
    assert_eq!(row.state.token(), "expired");
    assert!(row.refusal.unwrap().contains("expired on 2002-01-01") && row.certificate.unwrap().days_left < -5000);
}

#[test]
fn what_we_show_is_told_as_it_was_read_last() {
    let log = Log::take();
    let certificates = Certificates::new();
    let issue = |days| certificates.issue("shown", &Leaf::names(&["a.test"]).valid(day(-10), day(days)));
    let us = certificates.issue("us", &Leaf::names(&["pop.test"]).for_clients_only().valid(day(-10), day(5)));
    let origin = Origin::plain(|_| Reply::ok("content"));
    let client = format!(
        "client_certificate = {{ certificate = {:?}, key = {:?} }}",
        us.chain_file.display().to_string(),
        us.key_file.display().to_string()
    );
    let toml = site_with("a.test", &origin, "", &client) + &https_table(&issue(40));
    let pop = Pop::start_with_https(&toml);
    let row = rows(&pop, "client").remove(0);
    assert_eq!((row.state.token(), row.site.as_str(), row.server.as_str()), ("ok", "a.test", ""));
    let row = rows(&pop, "to-origin").remove(0);
    assert_eq!((row.state.token(), row.certificate.unwrap().names), ("ends-soon", vec!["pop.test".to_owned()]));
    log.line_with(&["the client certificate that the origin of a.test sees (\"pop.test\") ends in 4 days"]);
    issue(15);
    pop.reload("http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"", &toml).unwrap();
    let row = rows(&pop, "client").remove(0);
    assert!(row.state.token() == "ends-soon" && (13..=15).contains(&row.certificate.unwrap().days_left));
}

#[test]
fn the_operators_door_is_on_the_radar_and_shows_its_new_certificate_after_a_reload() {
    let log = Log::take();
    let certificates = Certificates::new();
    let issue = |days| certificates.issue("door", &Leaf::names(&["localhost"]).valid(day(-10), day(days)));
    let identity = issue(7);
    let origin = Origin::plain(|_| Reply::ok("content"));
    let (certificate, key) = (identity.chain_file.display().to_string(), identity.key_file.display().to_string());
    let toml = format!("{OPEN}certificate = {certificate:?}\nkey = {key:?}\n{}", site_with("a.test", &origin, "", ""));
    let problems = Edge::check(&Config::parse(&toml, Path::new("m.toml")).unwrap());
    assert!(problems.len() == 1 && problems[0].is_warning, "{problems:?}");
    assert!(
        problems[0].to_string().contains("admin.certificate: the certificate of the operator's door (\"localhost\")")
    );
    let pop = Pop::start(&toml);
    log.line_with(&["the certificate of the operator's door (\"localhost\") ends in 6 days"]);
    let row = rows(&pop, "admin").remove(0);
    assert_eq!((row.state.token(), row.site.as_str(), row.server.as_str()), ("ends-soon", "", ""));
    let door = Door::of(&pop);
    let ask = |target: &str| {
        let mut client = Client::tls(door.address, &certificates.roots(), "localhost");
        let shown = client.peer_certificate().unwrap().to_vec();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{}\r\n\r\n", door.bearer()));
        (client.response().text(), shown)
    };
    let (told, before) = ask("/api/v1/certificates");
    assert!(told.contains("\"side\":\"admin\""), "{told}");
    let name = "millpond_certificate_expiry_timestamp_seconds{side=\"admin\",site=\"\",server=\"\"} ";
    assert!(ask("/metrics").0.contains(name));
    issue(60);
    assert_eq!(pop.reload("http = \"127.0.0.1:0\"", &toml).unwrap().certificates, 1);
    assert_eq!(rows(&pop, "admin")[0].state.token(), "ok");
    assert_ne!(ask("/metrics").1, before);
    // One that cannot be read leaves the old one in force, and a start without it is refused at its line.
    std::fs::remove_file(&identity.chain_file).unwrap();
    let refused = pop.reload("http = \"127.0.0.1:0\"", &toml).unwrap_err().to_string();
    assert!(refused.contains("admin.certificate: cannot read"), "{refused}");
    assert_eq!(rows(&pop, "admin")[0].state.token(), "ok");
}
