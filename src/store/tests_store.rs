//! The store: against a model, under a budget, and from many threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::chunk::tests::read;
use super::*;
use crate::policy::directives::ResponseDirectives;
use crate::policy::freshness::{Freshness, Times};
use crate::policy::tests::{Line, Lines, at};
use crate::policy::variant::{Variant, Vary};

/// A response whose head tells it from others; `variant` 0 is a response without Vary.
pub fn response(tag: usize, head: usize, variant: u8, body: Arc<Body>) -> Arc<StoredResponse> {
    let head = StoredHead::builder(200)
        .field("ETag", b"\"5f1c2e9a-400\"")
        .field("X-Tag", tag.to_string().as_bytes())
        .field("X-Pad", &vec![b'x'; head])
        .build();
    let variant = (variant > 0).then(|| Box::new(self::variant(variant)));
    Arc::new(StoredResponse { head, freshness: freshness(), variant, body, mark: Mark::default() })
}

/// Of a response that says nothing about itself.
fn freshness() -> Freshness {
    let fields = Lines(&[]);
    let times = Times { request: at(0), response: at(0) };
    Freshness::of(200, &ResponseDirectives::parse(&fields), &fields, times)
}

fn variant(number: u8) -> Variant {
    let request = Line("accept-language", &[b'a'.saturating_add(number)]);
    Variant::of(&Vary::parse(&Lines(&[("vary", "accept-language")])), &request).unwrap()
}

fn tag(response: &StoredResponse) -> usize {
    std::str::from_utf8(response.head.field("x-tag").unwrap()).unwrap().parse().unwrap()
}

fn plan(kept: bool) -> Plan {
    let spill =
        Spill { dir: std::env::temp_dir(), max: 1 << 30, window: 64 * 1024, patience: Duration::from_secs(600) };
    Plan { kept, held: false, length: None, spill }
}

pub fn sealed(store: &Store, bytes: usize) -> Arc<Body> {
    let (mut writer, body) = Body::open(plan(true), Some(store.budget()));
    vec![7; bytes].chunks(16 * 1024).for_each(|piece| writer.push(piece).unwrap());
    writer.finish();
    body
}

#[derive(Clone, Debug)]
enum Op {
    Insert { key: u8, variant: u8, head: usize },
    Find { key: u8, variant: u8 },
    Replace { key: u8, variant: u8, head: usize },
    Remove { key: u8 },
    RemoveOne { key: u8, variant: u8 },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (key, variant, head) = (0..12_u8, 0..3_u8, 0..3000_usize);
    let op = prop_oneof![
        6 => (key.clone(), variant.clone(), head.clone()).prop_map(|(key, variant, head)| Op::Insert { key, variant, head }),
        6 => (key.clone(), variant.clone()).prop_map(|(key, variant)| Op::Find { key, variant }),
        2 => (key.clone(), variant.clone(), head).prop_map(|(key, variant, head)| Op::Replace { key, variant, head }),
        1 => key.clone().prop_map(|key| Op::Remove { key }),
        1 => (key, variant).prop_map(|(key, variant)| Op::RemoveOne { key, variant }),
    ];
    proptest::collection::vec(op, 1..120)
}

/// What the store should do, written as plainly as can be: per shard a list, least recently used first.
struct Model {
    shards: Vec<Vec<(u8, Vec<Held>)>>,
    used: u64,
    limit: u64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Held {
    variant: u8,
    tag: usize,
    cost: u64,
}

impl Model {
    fn find(&mut self, shard: usize, key: u8, variant: u8) -> Option<usize> {
        let place = self.shards[shard].iter().position(|(k, _)| *k == key)?;
        let entry = self.shards[shard].remove(place);
        self.shards[shard].push(entry);
        let held = &self.shards[shard].last().unwrap().1;
        held.iter().find(|held| held.variant == variant).map(|held| held.tag)
    }

    fn charge(&mut self, shard: usize, cost: u64) -> bool {
        for step in 0..self.shards.len() {
            let index = (shard + step) % self.shards.len();
            while cost <= self.limit && self.used + cost > self.limit && !self.shards[index].is_empty() {
                let (_, gone) = self.shards[index].remove(0);
                self.used -= gone.iter().map(|held| held.cost).sum::<u64>();
            }
        }
        let fits = self.used + cost <= self.limit;
        self.used += if fits { cost } else { 0 };
        fits
    }

    fn insert(&mut self, shard: usize, key: u8, new: Held) -> bool {
        if !self.charge(shard, new.cost) {
            return false;
        }
        self.remove(shard, key, |held| held.variant == new.variant, true);
        if self.find(shard, key, 255).is_none() && !self.shards[shard].iter().any(|(k, _)| *k == key) {
            self.shards[shard].push((key, Vec::new()));
        }
        self.shards[shard].last_mut().unwrap().1.push(new);
        true
    }

    fn remove(&mut self, shard: usize, key: u8, leaves: impl Fn(&Held) -> bool, keep_key: bool) -> usize {
        let Some(place) = self.shards[shard].iter().position(|(k, _)| *k == key) else { return 0 };
        let held = &mut self.shards[shard][place].1;
        let before = held.len();
        self.used -= held.iter().filter(|held| leaves(held)).map(|held| held.cost).sum::<u64>();
        held.retain(|held| !leaves(held));
        let gone = before - held.len();
        if held.is_empty() && !keep_key {
            self.shards[shard].remove(place);
        }
        gone
    }

    fn replace(&mut self, shard: usize, key: u8, old: usize, new: Held) -> bool {
        if !self.charge(shard, new.cost) {
            return false;
        }
        let found = self.shards[shard].iter().any(|(k, held)| *k == key && held.iter().any(|held| held.tag == old));
        if !found {
            self.used -= new.cost;
            return false;
        }
        self.find(shard, key, 255);
        let held = self.shards[shard].last_mut().unwrap().1.iter_mut().find(|held| held.tag == old).unwrap();
        self.used -= held.cost;
        *held = new;
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn the_store_does_what_its_model_does(ops in ops(), shards in prop_oneof![Just(1_usize), Just(3)], limit in 500..20_000_u64) {
        let store = Store::with_shards(limit, 1 << 20, shards);
        let mut model = Model { shards: vec![Vec::new(); shards], used: 0, limit };
        let body = Body::whole(b"shared".to_vec());
        let picked = |want: u8| move |response: &StoredResponse| {
            response.variant.as_deref() == (want > 0).then(|| variant(want)).as_ref()
        };
        for (number, op) in ops.into_iter().enumerate() {
            let body = Body::whole(body.sealed().unwrap().bytes().unwrap().to_vec());
            let shard = |key: u8| store.0.shards.index(&store.0.shards.key(&[key]));
            match op {
                Op::Insert { key, variant, head } => {
                    let new = response(number, head, variant, body);
                    let held = Held { variant, tag: number, cost: entry_cost(&[key], &new) };
                    let is_stored = store.insert(&[key], new) == Inserted::Stored;
                    prop_assert_eq!(is_stored, model.insert(shard(key), key, held));
                }
                Op::Find { key, variant } => {
                    let found = store.find(&[key], picked(variant)).map(|found| tag(&found));
                    prop_assert_eq!(found, model.find(shard(key), key, variant));
                }
                Op::Replace { key, variant, head } => {
                    model.find(shard(key), key, variant);
                    let Some(old) = store.find(&[key], picked(variant)) else { continue };
                    let (old_tag, weak) = (tag(&old), Arc::downgrade(&old));
                    let new = response(number, head, variant, body);
                    let held = Held { variant, tag: number, cost: entry_cost(&[key], &new) };
                    // Held, it could not be evicted; the model knows nothing of that.
                    if model.used + 2 * held.cost > limit { continue }
                    let is_replaced = store.replace(&[key], &old, Arc::clone(&new));
                    prop_assert_eq!(is_replaced, model.replace(shard(key), key, old_tag, held));
                    prop_assert!(!store.replace(&[key], &old, new), "what has left cannot be replaced");
                    drop(old);
                    prop_assert!(weak.upgrade().is_none());
                }
                Op::Remove { key } => {
                    prop_assert_eq!(store.remove(&[key]), model.remove(shard(key), key, |_| true, false));
                }
                Op::RemoveOne { key, variant } => {
                    model.find(shard(key), key, variant);
                    let Some(which) = store.find(&[key], picked(variant)) else { continue };
                    prop_assert!(store.remove_response(&[key], &which));
                    prop_assert!(!store.remove_response(&[key], &which));
                    model.remove(shard(key), key, |held| held.tag == tag(&which), false);
                }
            }
            let stats = store.stats();
            prop_assert_eq!(stats.bytes, model.used);
            prop_assert!(stats.bytes <= limit);
            let costs = model.shards.iter().map(|shard| shard.iter().flat_map(|(_, held)| held).map(|held| held.cost).sum());
            prop_assert_eq!(store.shards().into_iter().map(|(_, bytes)| bytes).collect::<Vec<u64>>(), costs.collect::<Vec<u64>>());
            let held: usize = model.shards.iter().flatten().map(|(_, held)| held.len()).sum();
            prop_assert_eq!((stats.responses, stats.keys), (held as u64, model.shards.iter().flatten().count() as u64));
        }
    }
}

#[test]
fn variants_are_bounded_and_the_oldest_leaves() {
    let store = Store::new(1 << 20, 1 << 20);
    for number in 1..=100 {
        store.insert(b"key", response(usize::from(number), 0, number, Body::whole(Vec::new())));
    }
    assert_eq!((store.stats().responses, store.stats().keys), (64, 1));
    let has = |number: u8| store.find(b"key", |one| one.variant.as_deref() == Some(&variant(number))).is_some();
    assert!(!has(36) && has(37) && has(100));
    let newest = store.find(b"key", |_| true).unwrap();
    assert_eq!(tag(&newest), 100, "the newest is asked first");
    assert_eq!(store.remove(b"key"), 64);
    assert!(!store.has_key(b"key"));
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn bodies_are_charged_until_the_last_reader_leaves() {
    let store = Store::new(10 << 20, 1 << 20);
    for bytes in [10, 1024, 60_000, 500_000] {
        let body = sealed(&store, bytes);
        let charged = store.stats().bytes;
        assert!(charged >= bytes as u64 && charged < bytes as u64 + 8192, "{bytes} bytes charge {charged}");
        assert_eq!(store.stats().files, u64::from(bytes > 65_536));
        store.insert(b"key", response(1, 100, 0, Arc::clone(&body)));
        let reader = Reader::new(&body);
        drop(body);
        assert!(store.stats().bytes > charged, "the entry costs too");
        assert_eq!(store.shards().iter().map(|(_, bytes)| bytes).sum::<u64>(), store.stats().bytes);
        store.remove(b"key");
        assert_eq!(store.stats().bytes, charged, "still read");
        drop(reader);
        assert_eq!((store.stats().bytes, store.stats().files), (0, 0));
    }
}

#[test]
fn filling_evicts_what_is_least_recently_used_and_spares_what_is_in_use() {
    let store = Store::with_shards(100_000, 1 << 20, 1);
    for number in 0..9_u8 {
        store.insert(&[number], response(1, 0, 0, sealed(&store, 10_000)));
    }
    assert_eq!(store.stats().responses, 9);
    let in_use = store.find(&[0], |_| true).unwrap();
    store.find(&[1], |_| true).unwrap();
    let reading = Reader::new(&store.find(&[2], |_| true).unwrap().body);
    for number in 3..8 {
        store.find(&[number], |_| true).unwrap();
    }
    let body = sealed(&store, 50_000);
    let left: Vec<u8> = (0..9).filter(|number| store.has_key(&[*number])).collect();
    assert_eq!(left, [0, 2, 6, 7], "8, 1, 3, 4, 5 had waited longest; 0 and 2 are in use");
    assert_eq!(store.stats().evictions, 5);
    drop((in_use, reading, body));
}

#[test]
fn with_everything_in_use_a_kept_body_turns_into_a_passing_one_and_loses_no_byte() {
    for (limit, max_response) in [(100_000, 1 << 20), (10 << 20, 100_000), (2_000, 1 << 20)] {
        let store = Store::new(limit, max_response);
        let (mut writer, body) = Body::open(plan(true), Some(store.budget()));
        store.insert(b"key", response(1, 0, 0, Arc::clone(&body)));
        let (mut reader, mut second) = (Reader::new(&body), Reader::new(&body));
        let mut got = Vec::new();
        for number in 0..100_u8 {
            writer.push(&[number; 3000]).unwrap();
            assert!(store.stats().bytes <= limit);
            if number % 7 == 0 {
                got.extend(take(&mut reader));
            }
        }
        assert!(!body.is_kept());
        assert!(store.find(b"key", |_| true).is_none(), "later requests do not find it");
        writer.finish();
        got.extend(take(&mut reader));
        let all: Vec<u8> = (0..100).flat_map(|number| [number; 3000]).collect();
        assert!(got == all && take(&mut second) == all);
        assert!(matches!(reader.next(None), Next::Complete));
        store.remove(b"key");
        drop((reader, second, body));
        assert_eq!((store.stats().bytes, store.stats().files), (0, 0));
    }
}

fn take(reader: &mut Reader) -> Vec<u8> {
    let mut all = Vec::new();
    while let Next::Chunk(chunk) = reader.next(None) {
        all.extend(read(&chunk));
    }
    all
}

#[test]
fn without_descriptors_large_bodies_stay_on_the_heap() {
    let store = Store::new(10 << 20, 1 << 20);
    while store.0.ledger.take_file() {}
    let body = sealed(&store, 200_000);
    assert!(body.sealed().unwrap().bytes().is_some_and(|bytes| bytes == vec![7; 200_000]));
}

#[test]
fn broken_bodies_are_neither_stored_nor_found() {
    let store = Store::new(1 << 20, 1 << 20);
    let (mut writer, body) = Body::open(plan(true), Some(store.budget()));
    writer.push(b"half").unwrap();
    assert_eq!(store.insert(b"key", response(1, 0, 0, Arc::clone(&body))), Inserted::Stored);
    assert!(store.find(b"key", |_| true).is_some(), "while it arrives, it is found");
    drop(writer);
    assert!(store.find(b"key", |_| true).is_none());
    assert_eq!(store.insert(b"other", response(1, 0, 0, body)), Inserted::Refused);
}

#[test]
fn many_threads_never_pass_the_limit_and_give_everything_back() {
    const LIMIT: u64 = 300_000;
    let store = Store::new(LIMIT, 1 << 20);
    let stored = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (store, stored) = (&store, &stored);
            scope.spawn(move || {
                for round in 0..400_usize {
                    let key = [u8::try_from((thread * 31 + round * 7) % 97).unwrap()];
                    if let Some(found) = store.find(&key, |_| true) {
                        let all = take(&mut Reader::new(&found.body));
                        assert!(all.iter().all(|byte| *byte == key[0]));
                        if round % 5 == 0 {
                            store.replace(&key, &found, response(round, 10, 0, Arc::clone(&found.body)));
                        }
                    } else {
                        let (mut writer, body) = Body::open(plan(true), Some(store.budget()));
                        let reader = Reader::new(&body);
                        let new = response(round, 100, 0, body);
                        if store.insert(&key, Arc::clone(&new)) == Inserted::Stored {
                            stored.fetch_add(1, Ordering::Relaxed);
                        }
                        (0..1 + round % 30).for_each(|_| writer.push(&[key[0]; 1500]).unwrap());
                        drop(reader);
                        if round % 11 == 0 {
                            writer.fail(crate::status::ProxyError::ConnectionTerminated);
                            store.remove_response(&key, &new);
                        } else {
                            writer.finish();
                        }
                        if !new.body.may_be_shared() {
                            store.remove_response(&key, &new);
                        }
                    }
                    assert!(store.stats().bytes <= LIMIT);
                }
            });
        }
    });
    assert!(stored.into_inner() > 100);
    for key in 0..97 {
        store.remove(&[key]);
    }
    assert_eq!((store.stats().bytes, store.stats().responses, store.stats().keys), (0, 0, 0));
}

#[test]
fn errors_for_one_kind_of_request_each_push_out_no_others() {
    let store = Store::new(1 << 20, 1 << 20);
    for number in 1..=3 {
        store.insert(b"k", response(usize::from(number), 0, number, sealed(&store, 1)));
    }
    for number in 0..100 {
        let variant = Variant::of_likeness(&Lines(&[("user-agent", &number.to_string())]));
        let (head, body, mark) = (StoredHead::builder(403).build(), sealed(&store, 1), Mark::default());
        let error = StoredResponse { head, freshness: freshness(), variant: Some(Box::new(variant)), body, mark };
        assert_eq!(store.insert(b"k", Arc::new(error)), Inserted::Stored);
    }
    let statuses: Vec<u16> = store.variants(b"k").iter().map(|stored| stored.head.status()).collect();
    assert_eq!(statuses, [[403; 8].as_slice(), &[200; 3]].concat());
}

#[test]
fn what_a_variant_was_selected_by_is_charged_byte_by_byte() {
    let cost = |length: usize| {
        let (value, body) = ("x".repeat(length), Body::whole(Vec::new()));
        let variant = Variant::of(&Vary::parse(&Lines(&[("vary", "a")])), &Lines(&[("a", &value)])).map(Box::new);
        let (head, mark) = (StoredHead::builder(200).build(), Mark::default());
        entry_cost(b"k", &StoredResponse { head, freshness: freshness(), variant, body, mark })
    };
    for length in [16, 1_000, 20_000] {
        let (short, long) = (cost(0), cost(length));
        assert!(long >= short + length as u64 && long <= short + length as u64 + 16, "{length}: {short} {long}");
    }
}

/// Prints what a stored response of 1 KiB costs: `cargo test rss -- --ignored --nocapture --test-threads 1`.
#[test]
#[ignore = "measures memory: run it alone"]
fn rss_per_stored_response() {
    const COUNT: usize = 100_000;
    let store = Store::new(1 << 30, 1 << 20);
    let before = resident();
    for number in 0..COUNT {
        let key = format!("https|static.example.com|/assets/i/{number:010}");
        let (mut writer, body) = Body::open(Plan { length: Some(1024), ..plan(true) }, Some(store.budget()));
        store.insert(key.as_bytes(), response(number, 220, 0, body));
        writer.push(&[7; 1024]).unwrap();
        writer.finish();
    }
    let stats = store.stats();
    assert_eq!(stats.responses, COUNT as u64);
    let (rss, charged) = ((resident() - before) / COUNT, stats.bytes / COUNT as u64);
    println!("{rss} bytes resident and {charged} bytes charged for each stored response");
    let sizes = (size_of::<StoredResponse>(), size_of::<Body>(), size_of::<filling::Filling>());
    println!("structs: StoredResponse {}, Body {}, Filling {}", sizes.0, sizes.1, sizes.2);
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
