//! The book: what is news and what is not, what leaves, and that its text is read back, or refused whole.

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Now {
    Now { wall: Duration::from_secs(seconds), monotonic: Duration::ZERO }
}

fn no_names() -> Vec<String> {
    vec!["a.test".into()]
}

/// Certificate number `number` of `o.test:443`, as `a.test` sees it.
fn shown(number: u8, issuer: &str) -> Sighting<'_> {
    Sighting {
        site: "a.test",
        server: "o.test:443",
        sni: "a.test",
        names: &no_names,
        issuer,
        organisation: "",
        validity: (100, 1000),
        fingerprint: [number; 32],
        refusal: None,
    }
}

/// The certificates that are news, and whether their issuers are.
fn news(book: &CertificateBook) -> Vec<(u8, bool)> {
    book.take_news().iter().map(|news| (news.certificate.fingerprint[0], news.is_issuer_new)).collect()
}

#[test]
fn a_certificate_is_news_once_and_its_issuer_where_it_is_another() {
    let book = CertificateBook::default();
    book.note(&shown(1, "One"), at(1));
    assert_eq!((news(&book), book.changes()), (vec![(1, false)], 1));
    book.note(&shown(1, "One"), at(2));
    assert!(news(&book).is_empty() && book.changes() == 1 && book.take_seen() && !book.take_seen());
    assert_eq!(book.rows()[0].seen, (Duration::from_secs(1), Duration::from_secs(2)));
    book.note(&shown(2, "One"), at(3));
    assert_eq!(news(&book), [(2, false)], "a renewal");
    assert_eq!((book.rows()[0].seen.0.as_secs(), &book.rows()[0].change), (3, &None));
    book.note(&shown(3, "Two"), at(4));
    assert_eq!(news(&book), [(3, true)]);
    let change = book.rows()[0].change.clone().unwrap();
    assert_eq!((change.from.as_str(), change.to.as_str(), change.at.as_secs()), ("One", "Two", 4));
    assert!(!change.is_same_organisation);
    book.note(&shown(4, "Two"), at(5));
    assert_eq!((news(&book), book.rows()[0].change.as_ref()), (vec![(4, false)], Some(&change)), "it stays known");
}

#[test]
fn servers_that_take_turns_behind_one_name_are_told_of_once() {
    let book = CertificateBook::default();
    for second in 0..10 {
        book.note(&shown(1, "One"), at(second));
        book.note(&shown(2, "Two"), at(second));
    }
    assert_eq!(news(&book), [(1, false), (2, true)]);
    assert_eq!((book.rows().len(), book.changes(), book.rows()[0].issuers.len()), (1, 2, 2));
    book.note(&shown(3, "Three"), at(11));
    assert_eq!(news(&book), [(3, true)]);
}

#[test]
fn a_ca_that_changes_its_intermediates_is_known_by_its_organisation() {
    let book = CertificateBook::default();
    let rows = [("R10", "Encrypted", false), ("R11", "Encrypted", true), ("E5", "Other", false), ("E6", "", false)];
    for (number, (issuer, organisation, is_same)) in (1..).zip(rows) {
        book.note(&Sighting { organisation, ..shown(number, issuer) }, at(number.into()));
        let change = book.rows()[0].change.clone();
        assert_eq!(change.map(|change| change.is_same_organisation), (number > 1).then_some(is_same), "{issuer}");
    }
}

#[test]
fn a_certificate_without_an_issuers_name_is_renewed_in_silence_after_a_restart_too() {
    let (before, book) = (CertificateBook::default(), CertificateBook::default());
    before.note(&shown(1, ""), at(1));
    book.restore(&before.encode()).unwrap();
    book.note(&shown(2, ""), at(2));
    assert_eq!((news(&book), &book.rows()[0].change), (vec![(2, false)], &None));
}

#[test]
fn each_site_server_and_server_name_is_a_row_of_its_own() {
    let book = CertificateBook::default();
    let one = shown(1, "One");
    let rows = [one, Sighting { site: "b.test", ..one }, Sighting { server: "p.test:443", ..one }];
    rows.iter().chain([&Sighting { sni: "b.test", ..one }]).for_each(|row| book.note(row, at(1)));
    assert_eq!((book.rows().len(), book.changes(), news(&book).len()), (4, 4, 1));
}

#[test]
fn a_refusal_is_kept_until_the_certificate_is_accepted() {
    let book = CertificateBook::default();
    book.note(&Sighting { refusal: Some("it expired"), ..shown(1, "One") }, at(1));
    assert_eq!(book.rows()[0].refusal.as_deref(), Some("it expired"));
    book.note(&Sighting { refusal: Some("it has another name"), ..shown(1, "One") }, at(1));
    assert_eq!(book.rows()[0].refusal.as_deref(), Some("it has another name"), "the last reason counts");
    book.note(&shown(1, "One"), at(2));
    assert_eq!((&book.rows()[0].refusal, book.rows()[0].seen.0.as_secs()), (&None, 1));
}

#[test]
fn what_was_seen_longest_ago_leaves_a_full_book() {
    let book = CertificateBook::default();
    for number in 0..u64::try_from(OF_SITE).unwrap() + 5 {
        book.note(&Sighting { sni: &format!("{number}.test"), ..shown(1, "One") }, at(number + 1));
    }
    assert_eq!(book.rows().len(), OF_SITE);
    assert!(book.rows().iter().all(|row| row.seen.1.as_secs() > 5));
    for number in 0..u64::try_from(ALL).unwrap() + 5 {
        book.note(&Sighting { site: &format!("{number}.test"), ..shown(1, "One") }, at(number + 100));
    }
    let rows = book.rows();
    assert_eq!((rows.len(), book.lock().count), (ALL, ALL));
    assert!(rows.iter().all(|row| row.site != "a.test" && row.seen.1.as_secs() >= 105));
}

#[test]
fn the_text_of_a_full_book_is_read_back_and_stays_below_the_size_of_its_file() {
    let book = CertificateBook::default();
    let (long, names) = ("\\".repeat(999), || vec!["\\".repeat(100); 50]);
    for number in 0..ALL {
        let (site, byte) = (format!("{}{number}", "s".repeat(240)), u8::try_from(number % 250).unwrap());
        for issuer in ["1", "2", "3", "4", "5"].map(|number| format!("{number}{}", "\\".repeat(240))) {
            let server = "\\".repeat(SERVER);
            let row =
                Sighting { site: &site, server: &server, sni: &long, ..shown(byte ^ issuer.as_bytes()[0], &issuer) };
            book.note(&Sighting { names: &names, organisation: &long, refusal: Some(&long), ..row }, at(7));
        }
    }
    let text = book.encode();
    assert!(text.len() < MAX_BOOK && text.len() > MAX_BOOK / 4, "{}", text.len());
    let copy = CertificateBook::default();
    copy.restore(&text).unwrap();
    assert_eq!(copy.rows(), book.rows());
    assert!(copy.take_news().is_empty(), "what was known before is no news");
}

#[test]
fn a_text_that_is_not_ours_is_refused_whole_with_its_line() {
    let book = CertificateBook::default();
    book.note(&shown(b'f', "One"), at(1));
    book.note(&shown(b'g', "Two"), at(2));
    let whole = String::from_utf8(book.encode()).unwrap();
    let rows = [
        ("row\n".to_owned(), "line 1: not a certificate"),
        (whole.replace('\n', "\tmore\n"), "line 1: too many"),
        (whole.replace("\t100\t", "\tx\t"), "line 1: a number"),
        (whole.replace("\t100\t", "\t-\t"), "line 1: no date"),
        (whole.replace("gggg", "ggg"), "line 1: a fingerprint"),
        (whole.replace("Two\\x1f", "Two\\x0a\\x1f").replace("One\\x1fTwo", "One\\x1fTw\\x0a"), "line 1: texts"),
        (whole.replace("o.test", "o\\x00test"), "line 1: a text with control"),
        ("certificate\ta.test\n".to_owned(), "line 1: too few"),
    ];
    for (text, expected) in rows {
        let error = CertificateBook::default().restore(text.as_bytes());
        assert!(error.as_ref().is_err_and(|error| error.starts_with(expected)), "{text}: {error:?}");
    }
    CertificateBook::default().restore(whole.as_bytes()).unwrap();
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(bytes: Vec<u8>, text in "certificate(\t[-0-9a-z.:\\\\]{0,12}){0,20}\n") {
        let _ = CertificateBook::default().restore(&bytes);
        let _ = CertificateBook::default().restore(text.as_bytes());
    }

    #[test]
    fn any_certificate_is_read_back(issuer: String, organisation: String, names: Vec<String>, refusal: Option<String>, validity: (i64, i64)) {
        let book = CertificateBook::default();
        let names = || names.clone();
        let refusal = refusal.as_deref().filter(|words| !words.is_empty());
        book.note(&shown(1, "Before"), at(1));
        book.note(&Sighting { names: &names, organisation: &organisation, validity, refusal, ..shown(2, &issuer) }, at(2));
        let copy = CertificateBook::default();
        copy.restore(&book.encode()).unwrap();
        let told = |book: &CertificateBook| SeenCertificate { issuers: vec![], ..book.rows().remove(0) };
        prop_assert_eq!(told(&copy), told(&book));
    }
}
