//! Which keys a purge takes.

use super::*;
use crate::cache::parts::meeting_key;
use crate::policy::key::write_key;

fn key(scheme: Option<&str>, host: Option<&str>, target: &str) -> Vec<u8> {
    let mut key = Vec::new();
    write_key(&mut key, scheme, host, target);
    key
}

fn http(host: &str, target: &str) -> Vec<u8> {
    key(Some("http"), Some(host), target)
}

#[test]
fn a_star_stands_for_any_bytes() {
    #[rustfmt::skip]
    let rows = [
        ("", "", true), ("", "a", false), ("*", "", true), ("*", "/a/b", true), ("/a", "/a", true), ("/a", "/ab", false),
        ("/*.jpg", "/x/y.jpg", true), ("/*.jpg", "/y.jpg?z", false), ("/*.jpg*", "/y.jpg?z", true), ("/*.jpg", "/.jpg", true),
        ("/a*b*c", "/abbc", true), ("/a*b*c", "/acb", false), ("**", "x", true), ("/a**", "/a", true), ("a*", "b", false),
        ("*ab", "aab", true), ("*aab", "aaab", true), ("/img/*/big", "/img/1/2/big", true), ("/img/*/big", "/img/big", false),
        ("/?", "/x", false), ("/[a]", "/[a]", true),
    ];
    for (pattern, text, expected) in rows {
        assert_eq!(is_like(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
    }
}

#[test]
fn a_hostile_pattern_is_done_in_time() {
    assert!(!is_like("*a".repeat(2000).as_bytes(), "a".repeat(1999).as_bytes()));
    assert!(!is_like(&[&b"*"[..], &[b'a'; 2000], b"b"].concat(), &[b'a'; 8000]));
}

#[test]
fn purges_take_keys_by_their_parts() {
    let longer = |mut key: Vec<u8>| {
        key.extend_from_slice(b"\0\x02en");
        key
    };
    let origin: Box<[u8]> = http("a.test", "").into();
    let resource = || Which::Resource(http("a.test", "/x").into());
    let glob = |pattern: &str| Which::Glob(origin.clone(), pattern.as_bytes().into());
    let hosts = |wanted: Option<&'static str>| Which::Hosts(Box::new(move |host| host == wanted));
    #[rustfmt::skip]
    let rows = [
        (resource(), http("a.test", "/x"), true),
        (resource(), longer(http("a.test", "/x")), true),
        (resource(), http("a.test", "/x?y"), false),
        (resource(), http("a.test", "/xy"), false),
        (resource(), http("b.test", "/x"), false),
        (resource(), key(Some("https"), Some("a.test"), "/x"), false),
        (Which::Beginning(http("a.test", "/i/").into()), http("a.test", "/i/"), true),
        (Which::Beginning(http("a.test", "/i/").into()), longer(http("a.test", "/i/j/k?l")), true),
        (Which::Beginning(http("a.test", "/i/").into()), http("a.test", "/i"), false),
        (Which::Beginning(http("a.test", "/i/").into()), http("a.testy", "/i/j"), false),
        (glob("/*.jpg"), http("a.test", "/i/j.jpg"), true),
        (glob("/*.jpg"), longer(http("a.test", "/i/j.jpg")), true),
        (glob("/*.jpg"), http("b.test", "/i/j.jpg"), false),
        (glob("*en"), longer(http("a.test", "/")), false),
        (hosts(Some("a.test")), http("a.test", "/"), true),
        (hosts(Some("a.test")), key(None, Some("a.test"), "/"), true),
        (hosts(Some("a.test")), key(None, None, "/"), false),
        (hosts(None), key(None, None, "/"), true),
        (hosts(Some("a.test")), b"\x05no key".to_vec(), false),
        (Which::Everything, b"anything".to_vec(), true),
    ];
    for (place, (which, key, expected)) in rows.into_iter().enumerate() {
        assert_eq!(which.may_take(&key), expected, "{place}");
    }
}

#[test]
fn a_purge_detaches_the_flights_of_slices_too() {
    let cache: Cache<&str> = Cache::new(1 << 20, 1 << 20);
    let now = crate::policy::tests::at(0);
    let key = http("a.test", "/x");
    let slice = meeting_key(&key, 4096);
    let _flights = [&key, &slice, &http("a.test", "/y")].map(|key| cache.flights.join(key, now));
    assert_eq!(cache.flights.len(), 3);
    cache.invalidate(&key, 0);
    assert_eq!(cache.flights.len(), 1);
    assert_eq!(met_under(&slice), key);
}
