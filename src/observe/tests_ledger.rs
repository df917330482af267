//! The ledger: what becomes a row, what leaves, and that its text is read back, or refused whole.

use proptest::prelude::*;

use super::*;

fn address(number: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], number))
}

fn at(seconds: u64) -> Now {
    Now { wall: Duration::from_secs(seconds), monotonic: Duration::ZERO }
}

/// A failure at `o.test:443` of `a.test`.
fn failed(address: Option<SocketAddr>, error: ProxyError, example: &FailureExample) -> Failed<'_> {
    let (phase, times) = (Phase::Connect, FetchTimes::default());
    let (is_made_good, addresses) = (false, 0);
    Failed { site: "a.test", server: "o.test:443", address, error, phase, is_made_good, addresses, times, example }
}

fn fail(ledger: &Ledger, address: Option<SocketAddr>, error: ProxyError, now: Now) {
    ledger.failed(&failed(address, error, &FailureExample::default()), now);
}

fn example() -> FailureExample {
    FailureExample {
        when: Duration::from_secs(7),
        request: "00ff".into(),
        detail: "a \\ and \"quotes\"".into(),
        sni: Some("-".into()),
        alert: Some(112),
        rcode: Some("NXDOMAIN".into()),
        certificate_names: vec!["one.test".into(), "CN with, blanks".into()],
        head_start: b"HTTP/9\r\n\t\x00\xff\\".to_vec(),
    }
}

#[test]
fn failures_of_one_site_address_and_cause_are_one_row() {
    use ProxyError::{ConnectionRefused, ConnectionTimeout};
    let ledger = Ledger::default();
    for second in 10..15 {
        fail(&ledger, Some(address(1)), ConnectionRefused, at(second));
    }
    fail(&ledger, Some(address(1)), ConnectionTimeout, at(11));
    fail(&ledger, Some(address(2)), ConnectionRefused, at(12));
    fail(&ledger, None, ConnectionRefused, at(13));
    let none = FailureExample::default();
    ledger.failed(&Failed { site: "b.test", ..failed(Some(address(1)), ConnectionRefused, &none) }, at(16));
    let rows: Vec<_> = ledger.rows().iter().map(|row| (row.site.clone(), row.address, row.cause, row.count)).collect();
    let expected = [
        ("b.test", Some(address(1)), "connection_refused", 1),
        ("a.test", Some(address(1)), "connection_refused", 5),
        ("a.test", None, "connection_refused", 1),
        ("a.test", Some(address(2)), "connection_refused", 1),
        ("a.test", Some(address(1)), "connection_timeout", 1),
    ];
    assert_eq!(rows, expected.map(|(site, address, cause, count)| (site.to_owned(), address, cause, count)));
    let row = &ledger.rows()[1];
    assert_eq!((row.first.as_secs(), row.last.as_secs(), row.phase), (10, 14, "connect"));
    assert_eq!(row.example.when, row.last);
}

#[test]
fn the_example_and_the_phase_are_of_a_late_failure() {
    let ledger = Ledger::default();
    let detail = |detail: &str| FailureExample { detail: detail.into(), ..FailureExample::default() };
    let enter = |text: &str, phase, now| {
        let example = detail(text);
        ledger.failed(&Failed { phase, ..failed(Some(address(1)), ProxyError::ConnectionTerminated, &example) }, now);
    };
    enter("first", Phase::TlsHandshake, at(10));
    enter("in the same second", Phase::TlsHandshake, at(10));
    assert_eq!(ledger.rows()[0].example.detail, "first");
    enter("later", Phase::ResponseHead, at(11));
    let row = &ledger.rows()[0];
    assert_eq!((row.example.detail.as_str(), row.phase, row.count), ("later", "response-head", 3));
}

#[test]
fn the_last_good_fetch_is_of_the_address_or_of_the_server_or_of_the_site() {
    let ledger = Ledger::default();
    let good = |number, second| ledger.succeeded("a.test", "o.test:443", address(number), at(second));
    fail(&ledger, Some(address(1)), ProxyError::ConnectionRefused, at(20));
    fail(&ledger, Some(address(3)), ProxyError::ConnectionRefused, at(20));
    fail(&ledger, None, ProxyError::DnsError, at(20));
    let none = FailureExample::default();
    let own = Failed { server: "", ..failed(None, ProxyError::ConnectionLimitReached, &none) };
    ledger.failed(&own, at(20));
    assert!(ledger.rows().iter().all(|row| row.last_good.is_none() && row.is_open()));
    good(1, 10);
    good(2, 15);
    ledger.succeeded("a.test", "p.test:80", address(9), at(30));
    ledger.succeeded("b.test", "o.test:443", address(1), at(40));
    let told = |cause: &str, number: Option<u16>| {
        let rows = ledger.rows();
        let row = rows.iter().find(|row| row.cause == cause && row.address == number.map(address)).unwrap();
        (row.last_good.map(|good| good.as_secs()), row.is_open(), row.failing_addresses, row.known_addresses)
    };
    assert_eq!(told("connection_refused", Some(1)), (Some(10), true, 2, 3));
    assert_eq!(told("connection_refused", Some(3)), (None, true, 2, 3));
    assert_eq!(told("dns_error", None), (Some(15), true, 2, 3));
    assert_eq!(told("connection_limit_reached", None).0, Some(30));
    let before = ledger.changes();
    good(1, 21);
    assert!(ledger.changes() > before, "the end of a failure is worth writing");
    assert_eq!(told("connection_refused", Some(1)), (Some(21), false, 1, 3));
    assert_eq!(told("dns_error", None), (Some(21), false, 1, 3));
    let before = ledger.changes();
    good(1, 22);
    good(1, 19);
    assert_eq!(ledger.changes(), before);
    assert_eq!(told("connection_refused", Some(1)).0, Some(22), "time does not go back");
    assert!(ledger.take_good() && !ledger.take_good());
}

#[test]
fn what_another_address_made_good_is_counted_by_itself() {
    let (ledger, none) = (Ledger::default(), FailureExample::default());
    let enter = |is_made_good, addresses, second| {
        let facts = failed(Some(address(1)), ProxyError::ConnectionRefused, &none);
        ledger.failed(&Failed { is_made_good, addresses, ..facts }, at(second));
        let row = ledger.rows().remove(0);
        (row.count, row.made_good, row.is_made_good(), row.failing_addresses, row.known_addresses)
    };
    assert_eq!(enter(true, 3, 1), (1, 1, true, 1, 3), "the name has three addresses, whether or not they were asked");
    assert_eq!(enter(true, 0, 2), (2, 2, true, 1, 3));
    assert_eq!(enter(false, 2, 3), (3, 2, false, 1, 2));
    ledger.succeeded("a.test", "o.test:443", address(2), at(3));
    ledger.succeeded("a.test", "o.test:443", address(3), at(3));
    assert_eq!(enter(true, 2, 4), (4, 3, false, 1, 3));
}

#[test]
fn what_was_seen_longest_ago_leaves_a_full_ledger() {
    let ledger = Ledger::default();
    let extra = 10;
    for number in 0..u16::try_from(ROWS_OF_SITE).unwrap() + extra {
        fail(&ledger, Some(address(number)), ProxyError::ConnectionRefused, at(1000 + u64::from(number)));
        ledger.succeeded("a.test", "o.test:443", address(number), at(10 + u64::from(number)));
    }
    let rows = ledger.rows();
    assert_eq!(rows.len(), ROWS_OF_SITE);
    assert!(rows.iter().all(|row| row.address.unwrap().port() >= extra && row.known_addresses == GOODS_OF_SITE));
    let none = FailureExample::default();
    for number in 0..SITES + 10 {
        let site = format!("s{number}.test");
        let second = at(2000 + u64::try_from(number).unwrap());
        for error in [ProxyError::ConnectionRefused, ProxyError::ConnectionTimeout, ProxyError::DnsError] {
            ledger.failed(&Failed { site: &site, ..failed(Some(address(1)), error, &none) }, second);
        }
        for number in 0..5 {
            ledger.succeeded(&site, "o.test:443", address(number), second);
        }
    }
    let rows = ledger.rows();
    assert_eq!(rows.len(), ROWS);
    assert_eq!(rows[0].site, format!("s{}.test", SITES + 9));
    let book = ledger.read();
    assert_eq!(book.rows, book.sites.values().map(|page| page.rows.len()).sum::<usize>());
    assert_eq!(book.goods, book.sites.values().map(|page| page.goods.len()).sum::<usize>());
    assert!(book.sites.len() <= SITES && book.goods <= GOODS, "{} {}", book.sites.len(), book.goods);
    assert!(!book.sites.contains_key("a.test"), "the oldest site has left");
}

#[test]
fn examples_are_bounded_and_fit_for_a_terminal() {
    let ledger = Ledger::default();
    let long = FailureExample {
        detail: format!("\x1b[2J\u{202e}{}", "x".repeat(9999)),
        sni: Some("n".repeat(9999)),
        certificate_names: vec!["c\n\u{1f}".repeat(60); 100],
        head_start: vec![0; 9999],
        request: "r".repeat(9999),
        rcode: Some("c".repeat(9999)),
        ..example()
    };
    ledger.failed(&failed(None, ProxyError::HttpProtocolError, &long), at(1));
    let example = ledger.rows().remove(0).example;
    assert!(example.detail.starts_with("?[2J?xx") && example.detail.ends_with("x..."), "{}", example.detail);
    let names: usize = example.certificate_names.iter().map(String::len).sum();
    assert!(names <= 512 && example.certificate_names[0].starts_with("c??c"), "{names}");
    assert_eq!((example.detail.len(), example.head_start.len()), (512, 1024));
    assert!(example.sni.unwrap().len() <= 255 && example.request.len() <= 40 && example.rcode.unwrap().len() <= 40);
}

#[test]
fn the_text_of_a_ledger_makes_the_same_ledger() {
    let ledger = Ledger::default();
    let times = FetchTimes {
        queue: Some(Duration::ZERO),
        tls: Some(Duration::from_nanos(12_345_678)),
        ..FetchTimes::default()
    };
    let example = example();
    ledger.failed(&Failed { times, ..failed(Some(address(1)), ProxyError::TlsAlertReceived, &example) }, at(5));
    fail(&ledger, Some("[2001:db8::1]:443".parse().unwrap()), ProxyError::ConnectionRefused, at(6));
    let own = FailureExample::default();
    ledger.failed(&Failed { server: "", ..failed(None, ProxyError::ConnectionLimitReached, &own) }, at(7));
    let made_good =
        Failed { is_made_good: true, addresses: 3, ..failed(Some(address(2)), ProxyError::ConnectionTimeout, &own) };
    ledger.failed(&made_good, at(3));
    ledger.succeeded("a.test", "o.test:443", address(1), at(4));
    ledger.succeeded("quiet.test", "o.test:443", address(1), at(8));
    let copy = Ledger::default();
    copy.restore(&ledger.encode()).unwrap();
    assert_eq!(copy.rows(), ledger.rows());
    assert_eq!(copy.rows()[2].example, FailureExample { when: Duration::from_secs(5), ..example });
    assert!(copy.read().sites.contains_key("quiet.test"), "what never failed is known too");
    copy.restore(&ledger.encode()).unwrap();
    fail(&copy, Some(address(1)), ProxyError::TlsAlertReceived, at(9));
    let row = &copy.rows()[0];
    assert_eq!((row.count, row.first.as_secs(), row.last.as_secs()), (3, 5, 9), "rows of two sources add up");
}

#[test]
fn a_full_ledger_stays_below_the_size_of_its_file() {
    let ledger = Ledger::default();
    let worst = FailureExample {
        detail: "\\".repeat(999),
        sni: Some("\\".repeat(999)),
        certificate_names: vec!["\\".repeat(200); 3],
        head_start: vec![0xff; 9999],
        request: "\\".repeat(99),
        rcode: Some("\\".repeat(99)),
        ..example()
    };
    let long = "s".repeat(NAME - 5);
    for number in 0..ROWS.max(GOODS) {
        let site = format!("{long}{:05}", number / 60);
        let address = address(u16::try_from(number).unwrap());
        let server = "\\".repeat(SERVER);
        let facts = failed(Some(address), ProxyError::HttpResponseHeaderSectionSize, &worst);
        ledger.failed(&Failed { site: &site, server: &server, ..facts }, at(1));
        ledger.succeeded(&site, &server, address, at(2));
    }
    let text = ledger.encode();
    assert!(text.len() < MAX_TEXT && text.len() > MAX_TEXT / 4, "{}", text.len());
    let copy = Ledger::default();
    copy.restore(&text).unwrap();
    assert_eq!(copy.rows().len(), ROWS);
}

#[test]
fn a_text_that_is_not_ours_is_refused_whole_with_its_line() {
    let ledger = Ledger::default();
    let example = example();
    ledger.failed(&failed(Some(address(1)), ProxyError::DnsError, &example), at(5));
    let whole = String::from_utf8(ledger.encode()).unwrap();
    let good = "good\ta.test\to.test:443\t192.0.2.1:1\t4000\n";
    let rows = [
        ("bad\ta.test\n".to_owned(), "line 1: neither"),
        (format!("{good}{good}\n"), "line 3: neither"),
        ("good\ta.test\to.test:443\t192.0.2.1:1\n".to_owned(), "line 1: too few"),
        (good.replace('\n', "\tmore\n"), "line 1: too many"),
        (good.replace("192.0.2.1:1", "-"), "line 1: no address"),
        (good.replace("192.0.2.1:1", "o.test"), "line 1: a number or address"),
        (good.replace("4000", "99999999999999999"), "line 1: a time"),
        (good.replace("a.test", "\\x1b"), "line 1: a text with control"),
        (good.replace("a.test", "\\x1"), "line 1: an escape"),
        (good.replace("a.test", "a\\"), "line 1: an escape"),
        (good.replace("a.test", &"a".repeat(256)), "line 1: a field that is too long"),
        (whole.replace("dns_error", "dns_eror"), "line 1: an unknown cause"),
        (whole.replace("connect\t1", "walk\t1"), "line 1: an unknown phase"),
        (whole.replace("connect\t1", "connect\t0"), "line 1: no count"),
        (whole.replace("connect\t1\t0", "connect\t1\t2"), "line 1: more made good"),
        (whole.replace("connect\t1\t0\t0", "connect\t1\t0\t-"), "line 1: no number of addresses"),
        (whole.replace("one.test", "one\\x1b"), "line 1: an example"),
    ];
    for (text, expected) in rows {
        let fresh = Ledger::default();
        let error = fresh.restore(format!("{text}{}", if text.starts_with("good") { "" } else { good }).as_bytes());
        assert!(error.as_ref().is_err_and(|error| error.starts_with(expected)), "{text}: {error:?}");
        assert!(fresh.rows().is_empty() && fresh.read().sites.is_empty(), "{text}");
    }
    Ledger::default().restore(format!("{whole}{good}").as_bytes()).unwrap();
}

#[test]
fn many_threads_lose_no_failure() {
    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        for thread in 0..4_u16 {
            let ledger = &ledger;
            scope.spawn(move || {
                for second in 0..500 {
                    fail(ledger, Some(address(1)), ProxyError::ConnectionRefused, at(second));
                    ledger.succeeded("a.test", "o.test:443", address(thread), at(second));
                }
            });
        }
    });
    let row = &ledger.rows()[0];
    assert_eq!((row.count, row.known_addresses, ledger.changes() >= 2000), (2000, 4, true));
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(bytes: Vec<u8>, text in "(row|good)(\t[-0-9a-z.:\\\\]{0,12}){0,24}\n") {
        let _ = Ledger::default().restore(&bytes);
        let _ = Ledger::default().restore(text.as_bytes());
    }

    #[test]
    fn any_failure_is_read_back(detail: String, names: Vec<String>, head: Vec<u8>, site in "[a-z.]{1,20}", millis in 0..253_402_300_799_999_u64) {
        let example = FailureExample { detail, certificate_names: names, head_start: head, ..example() };
        let ledger = Ledger::default();
        let facts = failed(Some(address(1)), ProxyError::DnsError, &example);
        let now = Now { wall: Duration::from_millis(millis), monotonic: Duration::ZERO };
        ledger.failed(&Failed { site: &site, ..facts }, now);
        let copy = Ledger::default();
        copy.restore(&ledger.encode()).unwrap();
        prop_assert_eq!(copy.rows(), ledger.rows());
    }
}
