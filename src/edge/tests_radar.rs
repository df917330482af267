//! Which certificates are told, in which words, and which are not.

use std::path::Path;

use super::*;
use crate::observe::Sighting;
use crate::time::Now;

const DAY: i64 = 86_400;
/// 2026-11-23T00:00:00Z
const NOW: i64 = 1_795_392_000;

fn config(origin: &str) -> Config {
    let text = format!("[[site]]\ndomains = [\"a.test\"]\n[site.origin]\n{origin}\n");
    Config::parse(&text, Path::new("m.toml")).unwrap()
}

/// A book in which a server of `a.test` showed a certificate from `from` to `to` (days from now), `ago` days ago.
fn book(server: &str, (from, to): (i64, i64), ago: i64) -> CertificateBook {
    let book = CertificateBook::default();
    let names = || vec!["o.test".to_owned(), "*.o.test".to_owned()];
    let sighting = Sighting {
        site: "a.test",
        server,
        sni: "a.test",
        names: &names,
        issuer: "Some CA",
        organisation: "",
        validity: (NOW + from * DAY, NOW + to * DAY),
        fingerprint: [0xab; 32],
        refusal: None,
    };
    let wall = Duration::from_secs(u64::try_from(NOW - ago * DAY).unwrap());
    book.note(&sighting, Now { wall, monotonic: Duration::ZERO });
    book
}

fn rows_of(config: &Config, book: &CertificateBook) -> Vec<CertificateRow> {
    rows(config, &OwnCertificates::default(), book, NOW)
}

#[test]
fn a_certificate_stands_by_its_dates() {
    let config = config("servers = [\"o.test:443\"]");
    let rows = [
        ((-60, 90), "ok", 90),
        ((-60, 21), "ok", 21),
        ((-60, 20), "ends-soon", 20),
        ((-60, 0), "ends-soon", 0),
        ((-60, -1), "expired", -1),
        ((1, 90), "not-yet-valid", 90),
    ];
    for (validity, state, days) in rows {
        let found = rows_of(&config, &book("o.test:443", validity, 0));
        let details = found[0].certificate.as_ref().unwrap();
        assert_eq!((found.len(), found[0].state.token(), details.days_left), (1, state, days), "{validity:?}");
        assert_eq!(found[0].warning().is_some(), matches!(state, "ends-soon" | "expired"), "{state}");
        assert_eq!(details.fingerprint, format!("sha256:{}", "ab".repeat(32)));
    }
}

#[test]
fn the_words_name_site_server_names_issuer_day_and_what_to_do() {
    let text = |validity| rows_of(&config("servers = [\"o.test:443\"]"), &book("o.test:443", validity, 0))[0].warning();
    assert_eq!(
        text((-60, 12)).unwrap(),
        "the certificate of o.test:443 (\"o.test\", \"*.o.test\", issued by \"Some CA\"), an origin of a.test, ends in 12 \
         days, on 2026-12-05T00:00:00Z: renew it there, or fetches fail from then on"
    );
    assert!(text((-60, -2)).unwrap().contains("has expired on 2026-11-21T00:00:00Z: renew it"));
}

#[test]
fn each_server_that_speaks_tls_has_a_row_whether_or_not_it_was_seen() {
    let servers = "servers = [\"o.test:443\", \"p.test:443\", \"q.test:80\", \"o.test:443\"]";
    let found = rows_of(&config(servers), &book("o.test:443", (-1, 90), 0));
    let told: Vec<_> = found.iter().map(|row| (row.server.as_str(), row.state.token())).collect();
    assert_eq!(told, [("o.test:443", "ok"), ("p.test:443", "unknown")]);
    assert_eq!((found[1].certificate.as_ref(), found[1].side.token()), (None, "origin"));
    // What was seen at a server that is configured no more is not told.
    assert!(rows_of(&config("servers = [\"q.test:80\"]"), &book("o.test:443", (-1, 3), 0)).is_empty());
    let follow = "servers = [\"o.test\"]\nprotocol = \"follow\"";
    assert_eq!(rows_of(&config(follow), &book("o.test:443", (-1, 90), 0))[0].state, CertificateState::Good);
}

#[test]
fn a_file_is_warned_of_what_its_origins_showed_of_late_at_the_line_of_its_servers() {
    let config = config("servers = [\"o.test:443\"]");
    let told = |validity, ago| problems(&config, &book("o.test:443", validity, ago), NOW);
    let found = told((-60, 3), 29);
    assert_eq!(found.len(), 1);
    let text = found[0].to_string();
    assert!(text.starts_with("m.toml:4: warning: site[1].origin.servers: the certificate of o.test:443"), "{text}");
    assert!(told((-60, 3), 31).is_empty(), "it may show another one by now");
    assert!(told((-60, 90), 0).is_empty());
}

#[test]
fn a_change_of_the_issuer_names_both() {
    let row = CertificateRow { server: "o.test:443".into(), ..empty(CertificateSide::Origin, "a.test") };
    let change =
        IssuerChange { from: "One".into(), to: "\"Two\"".into(), is_same_organisation: false, at: Duration::ZERO };
    let line = issuer_line(&row, &change);
    assert!(line.contains("o.test:443, an origin of a.test, changed from \"One\" to \"\\\"Two\\\"\""), "{line}");
}
