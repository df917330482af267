//! What is kept of parts: joined by one strong validator and length only, within limits, never found as a whole.

use super::*;
use crate::cache::Which;
use crate::policy::directives::ResponseDirectives;
use crate::policy::freshness::{Freshness, Times};
use crate::policy::tests::{Lines, at};
use crate::policy::variant::{Variant, Vary};
use crate::policy::{Rules, reuse};
use crate::store::Inserted;

const KEY: &[u8] = b"\x05http\x09a.example/x";

fn cache() -> Cache<()> {
    Cache::new(64 << 20, 1 << 20)
}

/// A 206 of `range` with content of its own, as of `now`.
fn part(range: (u64, u64), length: u64, etag: &str, fields: &[(&str, &str)], now: Now) -> Arc<StoredResponse> {
    let range = ByteRange { start: range.0, end: range.1 };
    let mut content = Vec::new();
    range.write_content_range(length, &mut content);
    let mut head = StoredHead::builder(206).field("Content-Range", &content);
    for (name, value) in [("ETag", etag), ("Cache-Control", "max-age=60")].iter().chain(fields) {
        head = head.field(name, value.as_bytes());
    }
    response(head.build(), (range.start..range.end).map(|byte| byte as u8).collect(), now)
}

fn response(head: StoredHead, body: Vec<u8>, now: Now) -> Arc<StoredResponse> {
    let times = Times { request: now, response: now };
    Arc::new(StoredResponse {
        mark: crate::store::Mark::new(0, head.status(), &head),
        freshness: Freshness::of(200, &ResponseDirectives::parse(&head), &head, times),
        variant: Variant::of(&Vary::parse(&head), &Lines(&[("Accept-Language", "en")])).map(Box::new),
        head,
        body: Body::whole(body),
    })
}

/// Keeps parts of one representation of 100 bytes in the list.
fn keep(cache: &Cache<()>, ranges: &[(u64, u64)]) -> Manifest {
    let keep_one = |range: &(u64, u64)| {
        cache.keep_part(KEY, &part(*range, 100, "\"a\"", &[], at(0)), Listing::List, at(0)).unwrap()
    };
    let mut kept: Vec<Manifest> = ranges.iter().map(keep_one).collect();
    kept.pop().unwrap()
}

fn covered(cache: &Cache<()>, start: u64, end: u64) -> Option<Vec<u8>> {
    let manifest = cache.manifest(KEY, &Lines(&[]))?;
    let (_, chunks) = cache.cover(&manifest, ByteRange { start, end })?;
    Some(chunks.iter().flat_map(|chunk| chunk.bytes().unwrap().to_vec()).collect())
}

#[test]
fn a_range_is_covered_by_parts_that_meet_or_overlap() {
    let cache = cache();
    keep(&cache, &[(10, 20), (20, 30), (25, 40), (50, 60)]);
    for (start, end, is_covered) in [
        (10, 20, true),
        (12, 15, true),
        (10, 40, true),
        (39, 40, true),
        (9, 12, false),
        (35, 55, false),
        (50, 61, false),
    ] {
        let expected = is_covered.then(|| (start..end).map(|byte| byte as u8).collect::<Vec<u8>>());
        assert_eq!(covered(&cache, start, end), expected, "{start}..{end}");
    }
    keep(&cache, &[(0, 10), (40, 50), (60, 100)]);
    assert_eq!(covered(&cache, 0, 100).map(|bytes| bytes.len()), Some(100));
}

#[test]
fn another_validator_or_length_begins_anew_and_what_was_there_is_gone() {
    for (etag, length) in [("\"b\"", 100), ("\"a\"", 101)] {
        let cache = cache();
        keep(&cache, &[(10, 20)]);
        let other = cache.keep_part(KEY, &part((20, 30), length, etag, &[], at(0)), Listing::List, at(0)).unwrap();
        assert_eq!(covered(&cache, 20, 30).map(|bytes| bytes.len()), Some(10), "{etag} {length}");
        assert_eq!(covered(&cache, 10, 20), None, "{etag} {length}");
        assert_eq!(other.length(), length);
    }
}

#[test]
fn variants_have_parts_of_their_own() {
    let cache = cache();
    keep(&cache, &[(10, 20)]);
    let english = part((20, 30), 100, "\"a\"", &[("Vary", "Accept-Language")], at(0));
    let manifest = cache.keep_part(KEY, &english, Listing::List, at(0)).unwrap();
    assert!(cache.cover(&manifest, ByteRange { start: 20, end: 30 }).is_some());
    assert!(cache.cover(&manifest, ByteRange { start: 10, end: 30 }).is_none());
    let of = |language| cache.manifest(KEY, &Lines(&[("Accept-Language", language)])).unwrap().places.parts;
    assert_eq!(of("en"), [ByteRange { start: 20, end: 30 }]);
    assert_eq!(of("de"), [ByteRange { start: 10, end: 20 }]);
}

#[test]
fn a_list_holds_sixteen_parts_and_no_more_bytes_than_a_response_may_have() {
    let cache = cache();
    let ranges: Vec<(u64, u64)> = (0..20).map(|index| (index * 4, index * 4 + 2)).collect();
    assert_eq!(keep(&cache, &ranges).places.parts.len(), 16);
    assert_eq!(covered(&cache, 12, 14), None);
    assert!(covered(&cache, 16, 18).is_some());
    // One manifest and sixteen parts: what left the list left the store.
    assert_eq!(cache.store.stats().responses, 17);
    let small: Cache<()> = Cache::new(64 << 20, 25);
    assert_eq!(
        keep(&small, &[(0, 10), (20, 30), (40, 50)]).places.parts,
        [(20, 30), (40, 50)].map(|(start, end)| ByteRange { start, end })
    );
}

#[test]
fn a_part_within_another_is_given_up_for_it() {
    let cache = cache();
    assert_eq!(keep(&cache, &[(10, 20), (30, 40), (5, 25)]).places.parts.len(), 2);
    assert!(covered(&cache, 5, 25).is_some());
    assert_eq!(cache.store.stats().responses, 3);
}

#[test]
fn the_whole_is_as_fresh_as_the_least_fresh_part() {
    let cache = cache();
    keep(&cache, &[(0, 10)]);
    let short = [("Cache-Control", "max-age=60, s-maxage=5")];
    let manifest = cache.keep_part(KEY, &part((10, 20), 100, "\"a\"", &short, at(1)), Listing::List, at(1)).unwrap();
    assert_eq!(manifest.response.freshness.ttl(at(1)), 5);
    let later = cache.keep_part(KEY, &part((20, 30), 100, "\"a\"", &[], at(2)), Listing::List, at(2)).unwrap();
    assert_eq!(later.response.freshness.ttl(at(2)), 4);
    // Stale, and confirmed by a part with its validator.
    let renewed = cache.keep_part(KEY, &part((30, 40), 100, "\"a\"", &[], at(50)), Listing::List, at(50)).unwrap();
    assert_eq!(renewed.response.freshness.ttl(at(50)), 60);
    assert_eq!(covered(&cache, 0, 40).map(|bytes| bytes.len()), Some(40));
}

#[test]
fn a_manifest_is_no_whole_and_goes_with_all_parts() {
    let cache = cache();
    keep(&cache, &[(0, 100)]);
    assert!(matches!(cache.lookup(KEY, &Lines(&[]), None, &Rules::default(), at(0)), crate::cache::Lookup::Miss(_)));
    assert_eq!(cache.store.remove(KEY), 1);
    assert!(cache.manifest(KEY, &Lines(&[])).is_none());
    // Parts that came back would be of another generation.
    keep(&cache, &[(0, 10)]);
    assert_eq!(covered(&cache, 0, 11), None);
}

#[test]
fn a_whole_takes_the_place_of_parts_and_parts_never_that_of_a_whole() {
    let cache = cache();
    keep(&cache, &[(0, 10)]);
    let fields = [("ETag", "\"a\""), ("Cache-Control", "max-age=60")];
    let head = fields.iter().fold(StoredHead::builder(200), |head, (name, value)| head.field(name, value.as_bytes()));
    let whole = response(head.build(), vec![0; 100], at(0));
    assert_eq!(cache.store.insert(KEY, whole.clone()), Inserted::Stored);
    assert!(cache.manifest(KEY, &Lines(&[])).is_none());
    keep(&cache, &[(0, 10)]);
    let found = cache.store.find(KEY, StoredResponse::is_whole).unwrap();
    assert!(Arc::ptr_eq(&found, &whole));
    assert_eq!(reuse::reuse(None, &found.freshness, &Rules::default(), at(0)), reuse::Reuse::Fresh);
}

#[test]
fn a_purge_removes_the_parts_too_unless_somebody_is_still_sent_them() {
    let ways = [
        || Which::Resource(KEY.into()),
        || Which::Beginning(b"\x05http\x09a.".as_slice().into()),
        || Which::Hosts(Box::new(|host| host == Some("a.exampl"))),
        || Which::Everything,
    ];
    for (number, which) in ways.iter().enumerate() {
        for listing in [Listing::Place(10), Listing::List] {
            let cache = filled(listing);
            assert_eq!(cache.purge(which(), false), if number == 3 { 10 } else { 1 });
            assert_eq!(cache.store.stats().responses, 10, "{number}");
            cache.purge(which(), true);
            assert_eq!(cache.store.stats().responses, 0, "{number} {listing:?}");
        }
        let cache = filled(Listing::Place(10));
        let sent = cache.manifest(KEY, &Lines(&[])).unwrap();
        cache.purge(which(), true);
        assert!(cache.manifest(KEY, &Lines(&[])).is_none());
        assert_eq!(cache.part(&sent, 10).is_some(), number < 3, "{number}");
    }
    let cache = filled(Listing::Place(10));
    cache.invalidate(KEY, 0);
    assert_eq!(cache.store.stats().responses, 0);
}

/// Nine parts and their manifest.
fn filled(listing: Listing) -> Cache<()> {
    let cache = cache();
    for start in (0..9).map(|number| number * 10) {
        cache.keep_part(KEY, &part((start, start + 10), 95, "\"a\"", &[], at(0)), listing, at(0)).unwrap();
    }
    assert_eq!(cache.store.stats().responses, 10);
    cache
}

#[test]
fn the_keys_of_parts_and_meetings_are_nobodys_request() {
    let mut key = Vec::new();
    for (scheme, host) in [(None, None), (Some("http"), None), (None, Some("p")), (Some("https"), Some("a.example"))] {
        crate::policy::key::write_key(&mut key, scheme, host, "/x");
        assert!(!key.starts_with(&[0x80, 0x00]));
    }
    assert_ne!(part_key(1, 2), part_key(2, 1));
    assert_ne!(meeting_key(b"a", 1), meeting_key(b"a", 2));
}

#[test]
fn of_many_that_come_first_at_once_all_join_one_manifest() {
    for _ in 0..50 {
        let cache = cache();
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for start in [0, 10, 20, 30] {
                let (cache, barrier) = (&cache, &barrier);
                scope.spawn(move || {
                    let part = part((start, start + 10), 100, "\"a\"", &[], at(0));
                    barrier.wait();
                    cache.keep_part(KEY, &part, Listing::Place(10), at(0)).unwrap();
                });
            }
        });
        let manifest = cache.manifest(KEY, &Lines(&[])).unwrap();
        assert!([0, 10, 20, 30].iter().all(|start| cache.part(&manifest, *start).is_some()));
        // What was kept under another number first is gone: four parts and their manifest.
        assert_eq!(cache.store.stats().responses, 5);
    }
}
