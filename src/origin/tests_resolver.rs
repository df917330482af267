//! The resolver with an injected lookup: no network, no sleeps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Every answer is old at once, every failure forgotten at once.
fn no_lifetimes() -> Lifetimes {
    Lifetimes {
        fresh: Duration::ZERO,
        negative: Duration::ZERO,
        pause: Duration::ZERO,
        patience: Duration::from_secs(20),
        ..Lifetimes::default()
    }
}

#[test]
fn literals_are_not_asked() {
    let resolver = Resolver::with_lookup(|name| panic!("asked for {name}"));
    assert_eq!(*resolver.resolve("192.0.2.1", soon()).unwrap(), [ADDRESS]);
    assert_eq!(*resolver.resolve("::1", soon()).unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn an_answer_is_kept_while_fresh() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let resolver = Resolver::with_lookup(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        Ok(vec![ADDRESS])
    });
    for _ in 0..3 {
        assert_eq!(*resolver.resolve("Origin.Example", soon()).unwrap(), [ADDRESS]);
        assert_eq!(*resolver.resolve("origin.example", soon()).unwrap(), [ADDRESS]);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn callers_of_one_name_share_one_lookup() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (release, held) = mpsc::channel::<()>();
    let (entered, inside) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let seen = Arc::clone(&calls);
    let resolver = Resolver::with_lookup(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        entered.send(()).unwrap();
        held.lock().unwrap().recv().unwrap();
        Ok(vec![ADDRESS])
    });
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let resolver = resolver.clone();
            thread::spawn(move || resolver.resolve("origin.example", soon()).unwrap())
        })
        .collect();
    inside.recv().unwrap();
    release.send(()).unwrap();
    for caller in callers {
        assert_eq!(*caller.join().unwrap(), [ADDRESS]);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_slow_name_times_out_and_does_not_hold_up_another() {
    let (_release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let resolver = Resolver::with_lookup(move |name| {
        if name == "slow.example" {
            let _ = held.lock().unwrap().recv();
        }
        Ok(vec![ADDRESS])
    });
    let deadline = Instant::now() + Duration::from_millis(20);
    assert_eq!(resolver.resolve("slow.example", deadline), Err(LookupFailure::Timeout));
    assert_eq!(*resolver.resolve("quick.example", soon()).unwrap(), [ADDRESS]);
}

#[test]
fn failures_are_told_apart_and_believed_for_a_moment() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let resolver = Resolver::with_lookup(move |name| {
        seen.fetch_add(1, Ordering::SeqCst);
        match name {
            "gone.example" => Err(LookupFailure::NoName),
            "empty.example" => Err(LookupFailure::NoData),
            "void.example" => Ok(vec![]),
            _ => Err(LookupFailure::Again),
        }
    });
    for _ in 0..2 {
        assert_eq!(resolver.resolve("gone.example", soon()), Err(LookupFailure::NoName));
        assert_eq!(resolver.resolve("empty.example", soon()), Err(LookupFailure::NoData));
        assert_eq!(resolver.resolve("void.example", soon()), Err(LookupFailure::NoData));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(resolver.resolve("broken.example", soon()), Err(LookupFailure::Again));
}

#[test]
fn the_last_good_addresses_serve_while_the_name_servers_fail() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let lookup = move |_: &str| match seen.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(vec![ADDRESS]),
        _ => Err(LookupFailure::Again),
    };
    let resolver = Resolver::with_lifetimes(lookup, no_lifetimes());
    for _ in 0..3 {
        assert_eq!(*resolver.resolve("origin.example", soon()).unwrap(), [ADDRESS]);
    }
    assert!(calls.load(Ordering::SeqCst) >= 2);
}

#[test]
fn distrusted_addresses_are_asked_anew() {
    let calls = AtomicUsize::new(0);
    let lookup = move |_: &str| {
        let last = u8::try_from(calls.fetch_add(1, Ordering::SeqCst)).unwrap();
        Ok(vec![IpAddr::from([192, 0, 2, last])])
    };
    let lifetimes = Lifetimes { pause: Duration::ZERO, patience: Duration::from_secs(20), ..Lifetimes::default() };
    let resolver = Resolver::with_lifetimes(lookup, lifetimes);
    assert_eq!(*resolver.resolve("origin.example", soon()).unwrap(), [IpAddr::from([192, 0, 2, 0])]);
    assert_eq!(*resolver.resolve("origin.example", soon()).unwrap(), [IpAddr::from([192, 0, 2, 0])]);
    resolver.distrust("origin.example");
    assert_eq!(*resolver.resolve("origin.example", soon()).unwrap(), [IpAddr::from([192, 0, 2, 1])]);
}

#[test]
fn distrust_asks_at_once_and_nobody_need_come_for_it() {
    let (asked, heard) = mpsc::channel();
    let lookup = move |name: &str| {
        asked.send(name.to_owned()).unwrap();
        Ok(vec![ADDRESS])
    };
    let resolver = Resolver::with_lifetimes(lookup, Lifetimes { pause: Duration::ZERO, ..Lifetimes::default() });
    resolver.resolve("origin.example", soon()).unwrap();
    resolver.distrust("Origin.Example");
    let limit = Duration::from_secs(20);
    assert_eq!([heard.recv_timeout(limit).unwrap(), heard.recv_timeout(limit).unwrap()], ["origin.example"; 2]);
    resolver.distrust("never.asked.example");
    assert_eq!(resolver.known("never.asked.example"), None);
    assert_eq!(resolver.known("Origin.example").as_deref(), Some(&[ADDRESS][..]));
    assert_eq!(resolver.known("192.0.2.1").as_deref(), Some(&[ADDRESS][..]));
}

#[test]
fn the_state_of_every_name_can_be_seen() {
    let resolver = Resolver::with_lookup(|name| match name {
        "bad.example" => Err(LookupFailure::NoName),
        _ => Ok(vec![ADDRESS]),
    });
    resolver.resolve("good.example", soon()).unwrap();
    resolver.resolve("bad.example", soon()).unwrap_err();
    let names = resolver.names();
    let plain: Vec<_> =
        names.iter().map(|state| (state.name.as_str(), state.addresses.len(), state.age.is_some())).collect();
    assert_eq!(plain, [("bad.example", 0, false), ("good.example", 1, true)]);
    let failures: Vec<_> = names.iter().map(|state| state.failure.map(|(words, _)| words)).collect();
    assert_eq!(failures, [Some("there is no such name"), None]);
}

#[test]
fn a_panicking_lookup_is_a_failure_and_the_next_name_works() {
    let resolver = Resolver::with_lookup(|name| match name {
        "bad.example" => panic!("injected"),
        _ => Ok(vec![ADDRESS]),
    });
    assert_eq!(resolver.resolve("bad.example", soon()), Err(LookupFailure::System));
    assert_eq!(*resolver.resolve("good.example", soon()).unwrap(), [ADDRESS]);
}

#[test]
fn the_table_of_names_is_bounded() {
    let resolver = Resolver::with_lookup(|_| Ok(vec![ADDRESS]));
    let mut state = resolver.0.lock();
    let start = Instant::now();
    for number in 0..MAX_NAMES {
        let mut entry = Entry::new(start);
        entry.wanted = start + Duration::from_millis(number as u64);
        state.entries.insert(format!("n{number}").into(), entry);
    }
    make_room(&mut state, "n5");
    assert_eq!(state.entries.len(), MAX_NAMES);
    make_room(&mut state, "new");
    assert_eq!(state.entries.len(), MAX_NAMES - 1);
    assert!(!state.entries.contains_key("n0"));
}
