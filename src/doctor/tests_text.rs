//! Reports as people read them.

use std::time::Duration;

use super::*;
use crate::doctor::report::{Change, Refused, ServerReport, Shown, Step};

fn report() -> Report {
    let change = Change {
        file: "m.toml".into(),
        line: 12,
        key: "site[1].origin.sni".into(),
        section: "[site.origin]",
        section_line: 9,
        text: "sni = \"b.test\"".into(),
    };
    let finding = Finding {
        what: "o.test:443: the server does not know \u{1b}[31m this name".into(),
        error: Some("tls_alert_received"),
        evidence: vec!["TLS alert 112".into()],
        fix: Fix { what: String::new(), changes: vec![change], trusts: "certificates for \"b.test\"".into() },
        alternatives: vec![Fix { what: "have the server answer".into(), ..Fix::default() }],
        commands: vec!["openssl s_client".into()],
    };
    let check = |step, outcome, line: &str, finding| Check {
        step,
        outcome,
        lines: vec![line.into()],
        elapsed: Duration::from_millis(7),
        finding,
    };
    let shown = Shown { names: vec!["b.test".into()], issuer: "CA".into(), days_left: 40, ..Shown::default() };
    let rows = vec![
        SniRow {
            asked: Some("a.test".into()),
            roles: vec![Role::Configured, Role::Domain],
            shown: Err(Refused { what: "unrecognized_name".into(), alert: Some(112) }),
        },
        SniRow { asked: None, roles: vec![Role::Nothing], shown: Ok(shown) },
    ];
    let checks = vec![
        check(Step::Dns, Outcome::Passed, "o.test: 1 A, 0 AAAA: 192.0.2.1", None),
        check(Step::Handshake, Outcome::Broken, "refused", Some(finding)),
        check(Step::SniMatrix, Outcome::Passed, "one certificate for 2 server names", None),
    ];
    let servers = vec![ServerReport { server: "o.test:443".into(), checks, sni: rows }];
    Report { subject: "http://a.test/".into(), site: Some("a.test".into()), checks: Vec::new(), servers }
}

#[test]
fn a_report_is_read_from_top_to_bottom() {
    let expected = "\
http://a.test/

o.test:443
1 DNS            ok           7 ms  o.test: 1 A, 0 AAAA: 192.0.2.1
4 TLS handshake  BROKEN       7 ms  refused
5 SNI matrix     ok           7 ms  one certificate for 2 server names
    SNI     why                 certificate  issuer  days  chain  name   fetch
    a.test  configured, domain  none: alert 112, unrecognized_name
    (none)                      b.test       CA      40    ok     other  refuses

o.test:443: the server does not know ?[31m this name
  clients get      Proxy-Status: millpond; error=tls_alert_received
  seen             TLS alert 112
  to mend it       m.toml:12: site[1].origin.sni: write sni = \"b.test\"
                   this trusts certificates for \"b.test\"
  or               have the server answer
  to see it        openssl s_client

broken at step 4 (TLS handshake): o.test:443: the server does not know ?[31m this name; to mend it: m.toml:12: \
site[1].origin.sni: write sni = \"b.test\"; to see it: openssl s_client
";
    assert_eq!(report().text(false), expected);
}

#[test]
fn colours_only_where_they_are_wanted() {
    let (plain, coloured) = (report().text(false), report().text(true));
    assert!(!plain.contains('\u{1b}'));
    assert!(coloured.contains("\u{1b}[1;31mBROKEN"));
    let mut without = coloured;
    for code in ["\u{1b}[32m", "\u{1b}[1;31m", "\u{1b}[1m", "\u{1b}[36m", "\u{1b}[0m"] {
        without = without.replace(code, "");
    }
    assert_eq!(without, plain);
}

#[test]
fn a_healthy_report_says_so() {
    let mut report = report();
    report.servers[0].checks.retain(|check| check.outcome == Outcome::Passed);
    assert_eq!(report.ending(), "healthy: every check passed");
    report.servers[0].checks[0].outcome = Outcome::Doubtful;
    assert_eq!(report.ending(), "healthy, with 1 warning");
    assert!(report.is_healthy() && !report.is_dead());
}

#[test]
fn json_has_every_member_that_is_documented() {
    let json = report().json();
    for part in [
        "{\"format\":1,\"subject\":\"http://a.test/\",\"site\":\"a.test\",\"healthy\":false,\"ending\":\"broken at step 4",
        "\"step\":4,\"name\":\"TLS handshake\",\"outcome\":\"BROKEN\",\"milliseconds\":7",
        "\"what\":\"o.test:443: the server does not know \\u001b[31m this name\",\"error\":\"tls_alert_received\"",
        "\"changes\":[{\"file\":\"m.toml\",\"line\":12,\"key\":\"site[1].origin.sni\",\"section\":\"[site.origin]\",\
         \"section_line\":9,\"text\":\"sni = \\\"b.test\\\"\"}]",
        "{\"sni\":\"a.test\",\"roles\":[\"configured\",\"domain\"],\"refused\":\"unrecognized_name\",\"alert\":112,\
         \"certificate\":null}",
        "\"days_left\":40",
    ] {
        assert!(json.contains(part), "{part} is not in {json}");
    }
    assert_eq!(json.matches('{').count(), json.matches('}').count());
}
