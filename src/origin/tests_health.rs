//! The life of an address in the table, the clock moved by hand.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn dead(start: Instant, kind: RefusalKind) -> Table {
    let mut table = Table::default();
    assert_eq!(table.failed(address(1), kind, start), Change::None);
    assert_eq!(table.failed(address(1), kind, start), Change::Died);
    table
}

#[test]
fn two_failures_in_a_row_are_deadly_and_one_is_not() {
    use RefusalKind::{Own, Refused, Reset, Timeout, Unroutable};
    let rows = [
        // what happens (None: a connection stands), what is thought then
        (vec![Some(Refused)], Standing::Good),
        (vec![Some(Unroutable)], Standing::Good),
        (vec![Some(Timeout)], Standing::Suspect),
        (vec![Some(Refused), Some(Refused)], Standing::Dead(Refused)),
        (vec![Some(Timeout), Some(Reset)], Standing::Dead(Reset)),
        (vec![Some(Refused), None, Some(Refused)], Standing::Good),
        (vec![Some(Timeout), None], Standing::Good),
        (vec![Some(Own), Some(Own), Some(Own)], Standing::Good),
        (vec![Some(Refused), Some(Own)], Standing::Good),
    ];
    let now = Instant::now();
    for (events, expected) in rows {
        let mut table = Table::default();
        for event in &events {
            match event {
                Some(kind) => table.failed(address(1), *kind, now),
                None => table.answered(address(1)),
            };
        }
        assert_eq!(table.standing(address(1), now), expected, "{events:?}");
        assert_eq!(table.standing(address(2), now), Standing::Good);
    }
}

#[test]
fn a_dead_address_is_probed_every_5_s_until_it_answers() {
    let start = Instant::now();
    let mut table = dead(start, RefusalKind::Refused);
    assert_eq!(table.due(start + PROBE - MS), []);
    assert_eq!(table.due(start + PROBE), [address(1)]);
    assert_eq!(table.due(start + PROBE), [], "a probe is under way");
    let ended = start + PROBE + 2000 * MS;
    assert_eq!(table.probed(address(1), Err(RefusalKind::Timeout), ended), Change::None);
    assert_eq!(table.standing(address(1), ended), Standing::Dead(RefusalKind::Timeout));
    assert_eq!(table.due(ended + PROBE - MS), []);
    assert_eq!(table.due(ended + PROBE), [address(1)]);
    assert_eq!(table.probed(address(1), Ok(()), ended + PROBE), Change::Revived);
    assert_eq!(table.standing(address(1), ended + PROBE), Standing::Good);
    assert_eq!(table.states(ended + PROBE), []);
}

#[test]
fn a_suspect_is_probed_at_once_and_the_probe_decides() {
    let start = Instant::now();
    for (outcome, expected) in
        [(Ok(()), Standing::Good), (Err(RefusalKind::Timeout), Standing::Dead(RefusalKind::Timeout))]
    {
        let mut table = Table::default();
        table.failed(address(1), RefusalKind::Timeout, start);
        assert_eq!(table.due(start), [address(1)]);
        table.probed(address(1), outcome, start);
        assert_eq!(table.standing(address(1), start), expected);
    }
    let mut overtaken = Table::default();
    overtaken.suspected(address(1), start);
    assert_eq!(overtaken.standing(address(1), start), Standing::Suspect);
    for turn in 0..DEADLY {
        let now = start + TRIAL * turn;
        assert_eq!(overtaken.due(now), [address(1)], "{turn}");
        overtaken.probed(address(1), Err(RefusalKind::Refused), now);
    }
    assert_eq!(overtaken.standing(address(1), start), Standing::Dead(RefusalKind::Refused));
}

#[test]
fn one_request_a_second_may_try_the_dead() {
    let start = Instant::now();
    let mut table = dead(start, RefusalKind::Timeout);
    table.failed(address(2), RefusalKind::Timeout, start);
    table.failed(address(2), RefusalKind::Timeout, start);
    let both = [address(1), address(2)];
    assert!(table.trial(&both, start));
    assert!(!table.trial(&both, start + TRIAL - MS));
    assert!(!table.trial(&both[..1], start + TRIAL - MS));
    assert!(table.trial(&both[1..], start + TRIAL));
    assert!(!table.trial(&both, start + TRIAL));
    let unknown = [address(3)];
    assert!(table.trial(&unknown, start) && !table.trial(&unknown, start), "dead by a health check alone");
    assert_eq!(table.states(start).len(), 2);
}

#[test]
fn old_news_leaves_the_table() {
    let start = Instant::now();
    let mut table = dead(start, RefusalKind::Refused);
    table.failed(address(2), RefusalKind::Refused, start);
    table.due(start + FORGIVEN - MS);
    assert_eq!(table.states(start).len(), 2);
    table.due(start + FORGIVEN);
    assert_eq!(table.states(start).len(), 1, "one failure is forgiven");
    table.probed(address(1), Err(RefusalKind::Refused), start + FORGIVEN);
    table.due(start + UNWANTED);
    assert_eq!(table.states(start), [], "probes alone keep nobody");
    let mut wanted = dead(start, RefusalKind::Refused);
    wanted.standing(address(1), start + UNWANTED);
    assert_eq!(wanted.due(start + UNWANTED), [address(1)]);
}

#[test]
fn the_table_is_bounded_and_the_oldest_leaves_first() {
    let start = Instant::now();
    let mut table = Table::default();
    for port in 0..=u16::try_from(MAX_ADDRESSES).unwrap() {
        table.failed(address(port), RefusalKind::Refused, start + MS * u32::from(port));
    }
    let states = table.states(start);
    assert_eq!((states.len(), states[0].address), (MAX_ADDRESSES, address(1)));
}

#[test]
fn the_state_is_told_in_plain_values() {
    let start = Instant::now();
    let mut table = dead(start, RefusalKind::Refused);
    table.due(start + PROBE);
    table.probed(address(1), Err(RefusalKind::Timeout), start + PROBE);
    let state = AddressState {
        address: address(1),
        dead_for: Some(PROBE + 2000 * MS),
        failures: 3,
        failure: "did not answer in time",
        probed: Some(2000 * MS),
    };
    assert_eq!(table.states(start + PROBE + 2000 * MS), [state]);
}
