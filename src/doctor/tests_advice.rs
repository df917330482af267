//! The name advisor as a table: what a server shows for which name, and the change that is proposed first.

use super::*;
use crate::doctor::report::Refused;

/// A certificate: its fingerprint, names, chain sound, bears the name that was asked for.
fn shown(print: &str, names: &[&str], is_sound: bool, is_for_asked: bool) -> Result<Shown, Refused> {
    Ok(Shown {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        fingerprint: print.to_owned(),
        chain: (!is_sound).then(|| "bad".to_owned()),
        is_for_asked,
        ..Shown::default()
    })
}

fn alert() -> Result<Shown, Refused> {
    Err(Refused { what: String::new(), alert: Some(112) })
}

fn row(asked: &str, role: Role, shown: Result<Shown, Refused>) -> SniRow {
    let asked = (!asked.is_empty()).then(|| asked.to_owned());
    SniRow { asked, roles: vec![role], shown }
}

fn facts(trouble: Trouble, rows: &[SniRow]) -> Facts<'_> {
    Facts {
        trouble,
        sni: "a.test",
        rows,
        rule: CertificateNames::SanOrCn,
        has_own_ca: false,
        intermediates: 0,
        issuer_url: None,
        issuer: "Some CA",
        is_named_by_cn: false,
        is_named_by_default: false,
        is_leaf_date: true,
    }
}

fn sni(name: &str) -> Advice {
    Advice::Sni(name.into())
}

fn whitelist(name: &str) -> Advice {
    Advice::Whitelist(name.into())
}

/// What it is about, what is wrong, what is shown, what is advised.
type Case = (&'static str, Trouble, Vec<SniRow>, Vec<Advice>);

fn check(cases: Vec<Case>) {
    for (name, trouble, rows, expected) in cases {
        assert_eq!(advise(&facts(trouble, &rows)), expected, "{name}");
    }
}

const NAME: Trouble = Trouble::Certificate(Reason::NotValidForName);

#[test]
fn the_smallest_safe_change_comes_first() {
    use Role::{Certificate, Configured, Host, Server};
    let pin = |print: &str| Advice::Pin(print.into());
    let other = || shown("1", &["x.test"], true, false);
    let rows: Vec<Case> = vec![
        (
            "one certificate whatever is asked for: its name joins the whitelist, then SNI, then pin",
            NAME,
            vec![row("a.test", Configured, other()), row("x.test", Certificate, shown("1", &["x.test"], true, true))],
            vec![whitelist("x.test"), sni("x.test"), pin("1")],
        ),
        (
            "another certificate for another name: that name is the SNI",
            NAME,
            vec![row("a.test", Configured, other()), row("o.test", Server, shown("2", &["o.test"], true, true))],
            vec![sni("o.test"), whitelist("x.test"), pin("1")],
        ),
        (
            "of several good names the one nearest to the request",
            NAME,
            vec![
                row("a.test", Configured, other()),
                row("o.test", Server, shown("2", &["o.test"], true, true)),
                row("h.test", Host, shown("3", &["h.test"], true, true)),
            ],
            vec![sni("h.test"), whitelist("x.test"), pin("1")],
        ),
    ];
    check(rows);
}

#[test]
fn a_fault_of_chain_or_handshake_is_no_matter_of_names_where_another_name_is_well() {
    use Role::{Configured, Domain, Nothing, Server};
    let pin = |print: &str| Advice::Pin(print.into());
    let rows: Vec<Case> = vec![
        (
            "a good name does not mend by a bad chain",
            NAME,
            vec![
                row("a.test", Configured, shown("1", &["x.test"], true, false)),
                row("o.test", Server, shown("2", &["o.test"], false, true)),
            ],
            vec![whitelist("x.test"), pin("1")],
        ),
        (
            "the default certificate is self-signed, the right one was not asked for",
            Trouble::Certificate(Reason::SelfSigned),
            vec![
                row("a.test", Configured, shown("1", &["fake"], false, false)),
                row("o.test", Server, shown("2", &["o.test"], true, true)),
            ],
            vec![sni("o.test"), pin("1")],
        ),
        (
            "self-signed and nothing else: pin",
            Trouble::Certificate(Reason::SelfSigned),
            vec![row("a.test", Configured, shown("1", &["a.test"], false, true)), row("", Nothing, alert())],
            vec![pin("1")],
        ),
        (
            "an unknown name, and one that is known",
            Trouble::Refused(112),
            vec![row("a.test", Configured, alert()), row("b.test", Domain, shown("1", &["b.test"], true, true))],
            vec![sni("b.test"), Advice::AtOrigin("have the server answer for \"a.test\"".into())],
        ),
    ];
    check(rows);
}

#[test]
fn names_that_are_there_but_do_not_count_are_made_to_count() {
    use CertificateNames::{Cn, San, SanOrCn};
    let rows = [row("a.test", Role::Configured, shown("1", &["a.test", "x.test"], true, false))];
    let cases = [
        (Cn, false, true, Advice::Names(SanOrCn)),
        (San, true, true, Advice::Names(SanOrCn)),
        // Beside a subjectAltName the Common Name counts for nobody but the whitelist.
        (San, true, false, whitelist("a.test")),
        (SanOrCn, true, false, whitelist("a.test")),
    ];
    for (rule, is_named_by_cn, is_named_by_default, expected) in cases {
        let facts = Facts { rule, is_named_by_cn, is_named_by_default, ..facts(NAME, &rows) };
        assert_eq!(advise(&facts)[0], expected, "{rule:?}");
    }
}

#[test]
fn an_unknown_issuer_is_a_gap_or_a_ca_of_ones_own() {
    let rows = [row("a.test", Role::Configured, shown("1", &["a.test"], false, true))];
    let facts = facts(Trouble::Certificate(Reason::UnknownIssuer), &rows);
    assert_eq!(advise(&facts)[0], Advice::Trust("Some CA".into()));
    for gap in [
        Facts { has_own_ca: true, ..facts.clone() },
        Facts { issuer_url: Some("http://ca.test/r.der"), ..facts.clone() },
    ] {
        let advice = advise(&gap);
        let [Advice::AtOrigin(words), Advice::Trust(_), Advice::Pin(_)] = &advice[..] else { panic!("{advice:?}") };
        assert!(words.contains("\"Some CA\" is missing"), "{words}");
    }
}

#[test]
fn what_cannot_be_trusted_at_all_is_not_pinned() {
    let rows = [row("a.test", Role::Configured, shown("1", &["a.test"], false, true))];
    for (reason, is_pinnable) in [
        (Reason::Expired, true),
        (Reason::NotYetValid, true),
        (Reason::WrongPurpose, true),
        (Reason::PinMismatch, true),
        (Reason::OtherIssuerKey, true),
        (Reason::WeakKey, false),
        (Reason::UnsupportedAlgorithm, false),
        (Reason::BadSignature, false),
        (Reason::Unreadable, false),
        (Reason::Other, false),
    ] {
        let advice = advise(&facts(Trouble::Certificate(reason), &rows));
        assert_eq!(advice.contains(&Advice::Pin("1".into())), is_pinnable, "{reason:?} {advice:?}");
        assert!(!advice.is_empty());
    }
}

#[test]
fn only_names_that_the_whitelist_takes_are_proposed() {
    let rows = [
        (vec!["*.oss.test", "node.oss.test"], Some("node.oss.test")),
        (vec!["*.oss.test"], Some("*.oss.test")),
        (vec!["Snake Oil Ltd", "10.0.0.1", "*.test", "a*b.test", "X.Test."], Some("x.test")),
        (vec!["evil\", \"*.com", "\u{1b}[31m"], None),
        (vec![], None),
    ];
    for (names, expected) in rows {
        let Ok(shown) = shown("1", &names, true, false) else { panic!() };
        assert_eq!(whitelist_entry(&shown).as_deref(), expected, "{names:?}");
    }
}

#[test]
fn every_advice_says_what_it_trusts() {
    for (advice, word) in [
        (sni("b.test"), "\"b.test\" from a trusted issuer, and no other name"),
        (whitelist("b.test"), "beside those that name the SNI"),
        (Advice::Pin("1".into()), "exactly this one certificate"),
        (Advice::Trust("CA".into()), "no public CA"),
    ] {
        assert!(advice.trusts().contains(word), "{advice:?}");
    }
}

#[test]
fn a_refusal_is_answered_by_its_alert() {
    let refused = [row("a.test", Role::Configured, alert()), row("", Role::Nothing, alert())];
    let shown = [row("a.test", Role::Configured, alert()), row("", Role::Nothing, shown("1", &["d"], false, false))];
    for (alert, rows, word) in [
        (112, &refused, "have the server answer for \"a.test\""),
        (40, &refused, "P-256"),
        (71, &refused, "ChaCha20"),
        // Another name gets a certificate, so suites are not what is missing.
        (40, &shown, "have the server answer for \"a.test\""),
        (80, &refused, "log"),
    ] {
        let advice = advise(&facts(Trouble::Refused(alert), rows));
        let [Advice::AtOrigin(words)] = &advice[..] else { panic!("{advice:?}") };
        assert!(words.contains(word), "{alert}: {words}");
    }
}
