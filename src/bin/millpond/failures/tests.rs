//! The table and the JSON of rows made by hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use millpond::{FailureExample, FetchTimes};

const NOW: Duration = Duration::from_secs(784_111_777);

fn row(address: &str, failing: usize, known: usize) -> FailureRow {
    FailureRow {
        site: "a.test".into(),
        server: "o.test:443".into(),
        address: Some(address.parse().unwrap()),
        cause: "connection_refused",
        phase: "connect",
        count: 2,
        made_good: 0,
        first: NOW - Duration::from_secs(7200),
        last: NOW - Duration::from_secs(180),
        last_good: None,
        failing_addresses: failing,
        known_addresses: known,
        times: FetchTimes { connect: Some(Duration::from_micros(1500)), ..FetchTimes::default() },
        example: FailureExample {
            detail: "192.0.2.1:443 refused".into(),
            request: "ab".into(),
            ..FailureExample::default()
        },
    }
}

#[test]
fn a_row_tells_since_when_how_often_and_where() {
    let text = table(vec![row("192.0.2.1:443", 1, 3)], None, NOW);
    let expected = "\
SITE    CAUSE               PHASE    ORIGIN                                         COUNT  FIRST                 LAST                              LAST GOOD FETCH
a.test  connection_refused  connect  o.test:443 at 192.0.2.1:443 (1 of 3 addresses)  2      1994-11-06T06:49:37Z  1994-11-06T08:46:37Z (3 min ago)  never seen
    192.0.2.1:443 refused; request ab

millpond doctor a.test looks for the cause and says what mends it
";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&text), squeezed(expected));
    let lines: Vec<&str> = text.lines().collect();
    for title in HEAD {
        let place = lines[0].find(title).unwrap();
        assert!(lines[1][..place].ends_with("  ") || place == 0, "{title} stands over its column:\n{text}");
    }
}

#[test]
fn the_addresses_of_a_server_become_one_line_where_all_of_them_fail() {
    let later = FailureRow { first: NOW, last: NOW, ..row("192.0.2.2:443", 2, 2) };
    let text = table(vec![later, row("192.0.2.1:443", 2, 2)], None, NOW);
    assert_eq!(text.lines().filter(|line| line.starts_with("a.test")).count(), 1, "{text}");
    let line = text.lines().nth(1).unwrap();
    for part in ["o.test:443 (all 2 addresses)", "  4 ", "1994-11-06T06:49:37Z", "(just now)"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let healed = FailureRow { last_good: Some(NOW), ..row("192.0.2.2:443", 1, 2) };
    let text = table(vec![healed, row("192.0.2.1:443", 1, 2)], None, NOW);
    assert_eq!(text.matches("(1 of 2 addresses)").count(), 2, "{text}");
    assert!(text.contains("(just now), well again"), "{text}");
}

#[test]
fn it_is_said_where_no_client_saw_a_failure() {
    let cell = |count, made_good| {
        let row = FailureRow { count, made_good, ..row("192.0.2.1:443", 1, 3) };
        Line { row, is_of_all: false }.count()
    };
    assert_eq!([cell(2, 0), cell(2, 2), cell(3, 1)], ["2", "2 (no client saw it)", "3 (1 seen by no client)"]);
    let both = [row("192.0.2.1:443", 2, 2), row("192.0.2.2:443", 2, 2)].map(|row| FailureRow { made_good: 1, ..row });
    assert_eq!(merged(both.to_vec())[0].count(), "4 (2 seen by no client)");
}

#[test]
fn a_single_address_is_named_once_and_a_name_without_address_by_itself() {
    let literal = FailureRow { server: "192.0.2.1:443".into(), ..row("192.0.2.1:443", 1, 1) };
    let name = FailureRow { address: None, cause: "dns_error", known_addresses: 0, ..row("192.0.2.1:1", 0, 0) };
    let own = FailureRow {
        address: None,
        server: String::new(),
        cause: "connection_limit_reached",
        ..row("192.0.2.1:1", 0, 0)
    };
    let origins: Vec<String> = merged(vec![literal, name, own]).iter().map(Line::origin).collect();
    assert_eq!(origins, ["192.0.2.1:443", "o.test:443", "-"]);
}

#[test]
fn the_facts_of_the_wire_are_in_the_example() {
    let mut row = row("192.0.2.1:443", 1, 1);
    row.example = FailureExample {
        sni: Some("a.test".into()),
        alert: Some(112),
        certificate_names: vec!["b.test".into(), "c.test".into()],
        head_start: b"SSH-2.0\r\n\x1b".to_vec(),
        ..row.example
    };
    let line = Line { row, is_of_all: false };
    assert_eq!(
        line.example(),
        "192.0.2.1:443 refused; SNI a.test; alert 112; certificate for b.test, c.test; it began \"SSH-2.0\\r\\n\\x1b\"; \
         request ab"
    );
}

#[test]
fn nothing_to_show_is_said() {
    assert_eq!(table(Vec::new(), None, NOW), "no failed fetch is in the ledger\n");
    assert_eq!(table(Vec::new(), Some("a.test"), NOW), "no failed fetch of a.test is in the ledger\n");
}

#[test]
fn times_are_told_as_people_do() {
    let rows = [
        (0, "just now"),
        (2, "2 s ago"),
        (119, "119 s ago"),
        (180, "3 min ago"),
        (7200, "2 h ago"),
        (172_800, "2 days ago"),
    ];
    for (seconds, words) in rows {
        let text = ago(NOW - Duration::from_secs(seconds), NOW);
        assert!(text.ends_with(&format!("Z ({words})")), "{text}");
    }
    assert_eq!(ago(NOW + Duration::from_secs(5), NOW), "1994-11-06T08:49:42Z", "a clock that was set back");
}
