//! Purges: against a model, and from many threads.

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::tests_store::{response, sealed};
use super::*;

/// A response without content that was asked for at this number of the purges.
fn response_with(store: &Store, tag: u64, number: u64) -> Arc<StoredResponse> {
    let response = response(usize::try_from(tag).unwrap(), 0, 0, sealed(store, 0));
    let mark = Mark::new(number, response.head.status(), &response.head);
    Arc::new(StoredResponse { mark, ..Arc::into_inner(response).unwrap() })
}

fn name(key: u16) -> [u8; 2] {
    key.to_be_bytes()
}

/// Takes keys that leave this remainder.
fn every(step: u8, rest: u8) -> Matches {
    Arc::new(move |key: &[u8], _: &StoredResponse| key[1] % step == rest % step)
}

#[derive(Clone, Debug)]
enum Op {
    /// The origin is asked for this key.
    Ask {
        key: u8,
    },
    /// What was asked for longest ago arrives, or something later.
    Arrive {
        which: usize,
    },
    Find {
        key: u8,
    },
    Purge {
        step: u8,
        rest: u8,
        is_hard: bool,
    },
    PurgeLater {
        step: u8,
        rest: u8,
        is_hard: bool,
    },
    PurgeKey {
        key: u8,
        is_hard: bool,
    },
    Count {
        step: u8,
        rest: u8,
    },
    Sweep,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (key, step) = (0..12_u8, 1..4_u8);
    let op = prop_oneof![
        6 => key.clone().prop_map(|key| Op::Ask { key }),
        6 => (0..4_usize).prop_map(|which| Op::Arrive { which }),
        4 => key.clone().prop_map(|key| Op::Find { key }),
        2 => (step.clone(), 0..4_u8, any::<bool>()).prop_map(|(step, rest, is_hard)| Op::Purge { step, rest, is_hard }),
        2 => (step.clone(), 0..4_u8, any::<bool>()).prop_map(|(step, rest, is_hard)| Op::PurgeLater { step, rest, is_hard }),
        2 => (key, any::<bool>()).prop_map(|(key, is_hard)| Op::PurgeKey { key, is_hard }),
        1 => (step, 0..4_u8).prop_map(|(step, rest)| Op::Count { step, rest }),
        1 => Just(Op::Sweep),
    ];
    proptest::collection::vec(op, 1..120)
}

/// What should be there, as plainly as can be.
#[derive(Default)]
struct Model {
    /// Key and tag, and whether a soft purge has passed over it.
    stored: Vec<(u8, u64, bool)>,
    /// Key, tag, the number at which it was asked for, and whether a purge has overtaken it.
    asked: Vec<(u8, u64, u64, bool)>,
    tags: u64,
}

impl Model {
    fn purge(&mut self, is_hard: bool, takes: impl Fn(u8) -> bool, overtakes: impl Fn(u8) -> bool) -> u64 {
        let mut taken = 0;
        self.stored.retain_mut(|(key, _, is_expired)| {
            let is_meant = takes(*key);
            taken += u64::from(is_meant && (is_hard || !*is_expired));
            *is_expired |= is_meant;
            !(is_meant && is_hard)
        });
        self.asked.iter_mut().for_each(|(key, .., is_late)| *is_late |= overtakes(*key));
        taken
    }

    fn count(&self, takes: impl Fn(u8) -> bool) -> u64 {
        self.stored.iter().filter(|(key, ..)| takes(*key)).count() as u64
    }
}

fn run(store: &Store, ops: &[Op]) {
    let mut model = Model::default();
    // Keys that share a place keep one another's fetches out.
    let place = |key: u8| store.key(&name(key.into())).hash() % (1 << 14);
    for op in ops {
        match *op {
            Op::Ask { key } => {
                model.tags += 1;
                model.asked.push((key, model.tags, store.purge_number(), false));
            }
            Op::Arrive { which } => {
                if model.asked.is_empty() {
                    continue;
                }
                let (key, tag, number, is_late) = model.asked.remove(which % model.asked.len());
                let inserted = store.insert(&name(key.into()), response_with(store, tag, number));
                assert_eq!(inserted == Inserted::Refused, is_late, "{op:?}");
                if !is_late {
                    model.stored.retain(|(other, ..)| *other != key);
                    model.stored.push((key, tag, false));
                }
            }
            Op::Find { key } => {
                let found = store.find(&name(key.into()), |_| true).map(|found| {
                    let tag = found.head.field("x-tag").map(|tag| String::from_utf8_lossy(tag).parse().unwrap());
                    (key, tag.unwrap(), found.mark.is_expired())
                });
                assert_eq!(found, model.stored.iter().find(|(other, ..)| *other == key).copied(), "{op:?}");
            }
            Op::Purge { step, rest, is_hard } => {
                let takes = |key: u8| key % step == rest % step;
                assert_eq!(store.purge(is_hard, &every(step, rest)), model.purge(is_hard, takes, takes), "{op:?}");
            }
            Op::PurgeLater { step, rest, is_hard } => {
                let takes = |key: u8| key % step == rest % step;
                store.purge_later(is_hard, &every(step, rest));
                model.purge(is_hard, takes, takes);
            }
            Op::PurgeKey { key, is_hard } => {
                let (taken, _) = store.purge_key(&name(key.into()), is_hard);
                let expected = model.purge(is_hard, |other| other == key, |other| place(other) == place(key));
                assert_eq!(taken, expected, "{op:?}");
            }
            Op::Count { step, rest } => {
                let expected = model.count(|key| key % step == rest % step);
                assert_eq!(store.count(&every(step, rest)), expected, "{op:?}");
            }
            Op::Sweep => {
                store.sweep();
                assert_eq!(store.stats().responses, model.count(|_| true), "{op:?}");
                assert!(store.0.shards.purges.active().rules.is_none());
            }
        }
    }
    store.purge(true, &every(1, 0));
    assert_eq!((store.stats().responses, store.stats().keys, store.stats().bytes), (0, 0, 0));
}

proptest! {
    #[test]
    fn purges_do_what_a_list_would(ops in ops()) {
        run(&Store::with_shards(1 << 20, 1 << 20, 2), &ops);
    }
}

#[test]
fn what_a_purge_takes_is_found_no_more_whoever_fills_and_looks_meanwhile() {
    let store = Store::with_shards(64 << 20, 1 << 20, 2);
    let is_over = AtomicBool::new(false);
    let keys = 1500_u16;
    std::thread::scope(|scope| {
        for start in 0..2 {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                for key in (start..keys).step_by(2).cycle() {
                    let number = store.purge_number();
                    store.insert(&name(key), response_with(store, 0, number));
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        scope.spawn(|| {
            for key in (0..keys).cycle().map(|key| key.wrapping_mul(7919) % keys) {
                let _ = store.find(&name(key), |_| true);
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        for round in 0..40_u8 {
            let before = store.purge_number();
            match round % 3 {
                0 => _ = store.purge(true, &every(2, 0)),
                1 => _ = store.purge_later(true, &every(2, 0)),
                _ => (0..keys).step_by(2).for_each(|key| _ = store.purge_key(&name(key), true)),
            }
            for key in (0..keys).step_by(2) {
                let found = store.find(&name(key), |_| true).map(|found| found.mark.number());
                assert!(found.is_none_or(|number| number > before), "{round}: {key} {found:?} {before}");
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_purge_finds_room_among_many_and_what_is_forgotten_keeps_old_fetches_out() {
    let store = Store::with_shards(1 << 20, 1 << 20, 2);
    let number = store.purge_number();
    for _ in 0..300 {
        store.purge_later(true, &every(4, 1));
    }
    assert!(store.0.shards.purges.active().rules.unwrap().len() <= 64);
    // None of the purges concerns it, but not all of them are remembered.
    assert_eq!(store.insert(&name(0), response_with(&store, 0, number)), Inserted::Refused);
    assert_eq!(store.insert(&name(0), response_with(&store, 0, store.purge_number() - 9)), Inserted::Stored);
    assert_eq!(store.insert(&name(1), response_with(&store, 0, store.purge_number() - 9)), Inserted::Refused);
}

#[test]
fn a_validation_that_a_purge_overtakes_puts_nothing_back() {
    let store = Store::new(1 << 20, 1 << 20);
    let old = response_with(&store, 1, 0);
    store.insert(b"k", Arc::clone(&old));
    let asked = store.purge_number();
    assert_eq!(store.purge(false, &(Arc::new(|_: &[u8], _: &StoredResponse| true) as Matches)), 1);
    assert!(!store.replace(b"k", &old, response_with(&store, 2, asked)));
    assert!(store.find(b"k", |_| true).unwrap().mark.is_expired());
    assert!(store.replace(b"k", &old, response_with(&store, 3, store.purge_number())));
    assert!(!store.find(b"k", |_| true).unwrap().mark.is_expired());
}

#[test]
fn a_purged_resource_keeps_out_what_was_asked_for_under_its_longer_keys() {
    let mut key = Vec::new();
    crate::policy::key::write_key(&mut key, Some("http"), Some("a.test"), "/x");
    let longer = [&key[..], b"\0en"].concat();
    let store = Store::new(1 << 20, 1 << 20);
    let asked = store.purge_number();
    assert!(!store.has_longer_keys());
    store.purge_key(&key, true);
    assert_eq!(store.insert(&longer, response_with(&store, 1, asked)), Inserted::Refused);
    assert_eq!(store.insert(&longer, response_with(&store, 2, store.purge_number())), Inserted::Stored);
    assert!(store.has_longer_keys());
}

#[test]
fn a_purge_of_many_acts_at_once_and_their_memory_comes_back() {
    let store = Store::new(1 << 30, 1 << 20);
    let key = |number: u32| number.to_be_bytes();
    for number in 0..10_000_u32 {
        let kept = response(usize::try_from(number).unwrap(), 0, 0, sealed(&store, 100));
        assert_eq!(store.insert(&key(number), kept), Inserted::Stored);
    }
    let held = store.find(&key(7), |_| true).unwrap();
    let all: Matches = Arc::new(|key: &[u8], _: &StoredResponse| key[3] != 1);
    assert_eq!(store.purge(true, &all), 10_000 - 40);
    assert_eq!(store.stats().responses, 40);
    assert!((0..10_000).all(|number| store.find(&key(number), |_| true).is_some() == (number % 256 == 1)));
    assert!(held.body.may_be_shared(), "whoever reads it has it to the end");
    drop(held);
    // They are dropped by a thread of their own.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let left: u64 = (0..10_000_u32)
        .filter(|number| number % 256 == 1)
        .map(|number| {
            let stored = store.variants(&key(number));
            stored.iter().map(|one| entry_cost(&key(number), one) + one.body.charged()).sum::<u64>()
        })
        .sum();
    while store.stats().bytes != left {
        assert!(std::time::Instant::now() < end, "{} bytes are charged for {left}", store.stats().bytes);
        std::thread::yield_now();
    }
}

#[test]
fn who_has_a_moment_carries_a_purge_through_and_the_caller_only_waits() {
    let store = Store::new(1 << 30, 1 << 20);
    let (called, calls) = std::sync::mpsc::channel();
    store.help_by(move || called.send(()).unwrap());
    let everything: Matches = Arc::new(|_: &[u8], _: &StoredResponse| true);
    let fill = |count: u32| {
        for number in 0..count {
            store.insert(&number.to_be_bytes(), response_with(&store, 1, store.purge_number()));
        }
    };
    // Few: nobody is called.
    fill(1000);
    assert!(!store.spare(Duration::from_secs(1)));
    assert_eq!(store.purge(true, &everything), 1000);
    assert!(calls.try_recv().is_err());
    // Many: helpers are called, and find something to do until it is over.
    for is_helped in [true, false] {
        fill(20_000);
        std::thread::scope(|scope| {
            let purge = scope.spawn(|| store.purge(true, &everything));
            calls.recv().unwrap();
            assert!(store.is_sweeping());
            // Where nobody comes, the caller does it alone.
            while is_helped && store.spare(Duration::ZERO) {}
            assert_eq!(purge.join().unwrap(), 20_000);
        });
        assert!(!store.is_sweeping() && !store.spare(Duration::from_secs(1)));
        assert_eq!(store.stats().responses, 0);
    }
}

#[test]
fn a_purge_whose_rule_panics_under_a_helper_comes_back() {
    let store = Store::new(1 << 30, 1 << 20);
    store.help_by(|| {});
    for number in 0..10_000_u32 {
        store.insert(&number.to_be_bytes(), response(1, 0, 0, sealed(&store, 1)));
    }
    let has_panicked = AtomicBool::new(false);
    let once: Matches = Arc::new(move |_: &[u8], _: &StoredResponse| {
        assert!(has_panicked.swap(true, Ordering::SeqCst), "the first look");
        true
    });
    std::thread::scope(|scope| {
        let purge = scope.spawn(|| store.purge(true, &once));
        while !store.is_sweeping() && !purge.is_finished() {
            std::thread::yield_now();
        }
        let help = || while store.spare(Duration::ZERO) {};
        let helped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(help));
        // Either the helper met the panic, and the rest was purged all the same, or the caller did.
        match (helped, purge.join()) {
            (Err(_), taken) => assert!(taken.unwrap() > 9000),
            (Ok(()), caller) => assert!(caller.is_err()),
        }
    });
}
