//! Bodies that are held: whole for whoever comes while they arrive and are read, and never half.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::chunk::tests::read;
use super::writer::Stop;
use super::*;
use crate::status::ProxyError;

const MOST: u64 = 100_000;

/// A body of a store that keeps none of more than [`MOST`] bytes.
fn held(length: Option<u64>, spill_max: u64) -> (Writer, Arc<Body>) {
    let spill = Spill { dir: std::env::temp_dir(), max: spill_max, window: 1000, patience: Duration::ZERO };
    Body::open(Plan { kept: true, held: true, length, spill }, Some(Store::new(1 << 24, MOST).budget()))
}

fn bytes(at: usize, n: usize) -> Vec<u8> {
    (at..at + n).map(|place| u8::try_from(place % 251).unwrap()).collect()
}

fn push(writer: &mut Writer, from: usize, to: usize) {
    bytes(from, to - from).chunks(3001).for_each(|piece| writer.push(piece).unwrap());
}

/// All that is there, and how it ended: whole, open, or broken.
fn all(reader: &mut Reader) -> (Vec<u8>, Option<Result<(), ProxyError>>) {
    let mut all = Vec::new();
    loop {
        match reader.next(None) {
            Next::Chunk(chunk) => all.extend(read(&chunk)),
            Next::NotYet => return (all, None),
            Next::Complete => return (all, Some(Ok(()))),
            Next::Broken(error) => return (all, Some(Err(error))),
        }
    }
}

#[test]
fn whoever_comes_while_it_arrives_or_is_read_has_all_of_it() {
    // Known to be too large, outgrown on the heap, outgrown in a memory file.
    for (length, pieces) in [(Some(300_000), 300_000), (None, 60_000), (None, 300_000)] {
        let end = length.map_or(300_000, |length| usize::try_from(length).unwrap());
        let (mut writer, body) = held(length, 1 << 30);
        let mut first = Reader::new(&body);
        push(&mut writer, 0, pieces);
        assert!(all(&mut first) == (bytes(0, pieces), None));
        let mut second = Reader::join(&body).unwrap();
        push(&mut writer, pieces, end);
        let (mut third, mut fourth) = (Reader::join(&body).unwrap(), Reader::join(&body).unwrap());
        assert!(body.may_be_shared() && !body.is_kept() && body.sealed().is_none());
        assert!(all(&mut fourth).0 == bytes(0, end));
        drop(first);
        writer.finish();
        let mut late = Reader::join(&body).unwrap();
        for reader in [&mut second, &mut third, &mut late] {
            assert!(all(reader) == (bytes(0, end), Some(Ok(()))), "{length:?}");
        }
        assert!(body.may_be_shared());
        drop((second, third, fourth, late));
        assert!(!body.may_be_shared() && Reader::join(&body).is_none(), "nobody reads it any more");
    }
}

#[test]
fn readers_in_the_middle_do_not_notice_that_it_moves_to_disk() {
    let (mut writer, body) = held(None, 1 << 30);
    let mut middle = Reader::new(&body);
    push(&mut writer, 0, 90_000);
    let Next::Chunk(in_memory) = middle.next(None) else { panic!() };
    push(&mut writer, 90_000, 200_000);
    let begun = [read(&in_memory), all(&mut middle).0].concat();
    assert!(begun == bytes(0, 200_000));
    assert!(body.charged() < MOST, "the store has its memory back: {}", body.charged());
}

#[test]
fn beyond_the_spill_its_beginning_goes_and_nobody_can_join_but_those_who_read_go_on() {
    let (mut writer, body) = held(Some(300_000), 150_000);
    let mut quick = Reader::new(&body);
    push(&mut writer, 0, 120_000);
    assert!(Reader::join(&body).is_some());
    assert!(all(&mut quick) == (bytes(0, 120_000), None));
    push(&mut writer, 120_000, 180_000);
    assert!(!body.may_be_shared() && Reader::join(&body).is_none());
    assert!(all(&mut quick) == (bytes(120_000, 60_000), None));
    push(&mut writer, 180_000, 300_000);
    writer.finish();
    assert!(all(&mut quick) == (bytes(180_000, 120_000), Some(Ok(()))));
}

#[test]
fn without_readers_it_stops_and_nobody_joins_what_has_stopped() {
    let (mut writer, body) = held(Some(300_000), 1 << 30);
    let reader = Reader::new(&body);
    push(&mut writer, 0, 6000);
    drop(reader);
    assert!(Reader::join(&body).is_some(), "until the writer knows, somebody may come");
    assert_eq!(writer.push(b"all have left"), Err(Stop::NoReaders));
    assert!(Reader::join(&body).is_none());
    drop(writer);
    assert!(!body.may_be_shared());
}

#[test]
fn one_that_breaks_is_joined_by_nobody_and_ends_for_its_readers_where_it_broke() {
    let (mut writer, body) = held(Some(300_000), 1 << 30);
    let mut reader = Reader::new(&body);
    push(&mut writer, 0, 6000);
    writer.fail(ProxyError::ConnectionTerminated);
    assert!(Reader::join(&body).is_none() && !body.may_be_shared());
    assert!(all(&mut reader) == (bytes(0, 6000), Some(Err(ProxyError::ConnectionTerminated))));
}

#[test]
fn a_disk_that_fills_midway_costs_newcomers_their_place_and_nobody_a_byte() {
    for length in [Some(300_000), None] {
        let (mut writer, body) = held(length, 1 << 30);
        let mut reader = Reader::new(&body);
        push(&mut writer, 0, 120_000);
        assert!(writer.take_fault().is_none());
        writer.fill_disk();
        assert!(all(&mut reader) == (bytes(0, 120_000), None));
        let mut got = Vec::new();
        for at in (120_000..300_000).step_by(3000) {
            push(&mut writer, at, at + 3000);
            got.extend(all(&mut reader).0);
            writer.fill_disk();
        }
        assert!(!body.may_be_shared() && Reader::join(&body).is_none());
        let fault = writer.take_fault().unwrap();
        assert_eq!(fault.kind(), std::io::ErrorKind::StorageFull);
        assert!(writer.take_fault().is_none(), "told once");
        writer.finish();
        assert!(all(&mut reader) == (Vec::new(), Some(Ok(()))) && got == bytes(120_000, 180_000), "{length:?}");
    }
}

#[test]
fn where_the_disk_is_full_when_it_outgrows_the_store_it_passes() {
    let (mut writer, body) = held(None, 1 << 30);
    let mut reader = Reader::new(&body);
    push(&mut writer, 0, 99_000);
    writer.fill_disk();
    assert!(all(&mut reader) == (bytes(0, 99_000), None));
    push(&mut writer, 99_000, 102_000);
    assert!(!body.may_be_shared() && Reader::join(&body).is_none());
    assert!(all(&mut reader) == (bytes(99_000, 3000), None));
}

#[test]
fn at_the_moment_of_any_change_a_newcomer_has_all_or_no_place() {
    // It outgrows the store at 100,000 and the spill at 200,000.
    const COMERS: usize = 4;
    for _ in 0..20 {
        let (mut writer, body) = held(None, 200_000);
        let (mut first, begin) = (Reader::new(&body), Barrier::new(COMERS + 1));
        std::thread::scope(|scope| {
            let comers: Vec<_> = (0..COMERS).map(|_| scope.spawn(|| until_refused(&body, &begin))).collect();
            begin.wait();
            for at in (0..300_000).step_by(3000) {
                push(&mut writer, at, at + 3000);
                let _ = all(&mut first);
            }
            writer.finish();
            drop(first);
            comers.into_iter().for_each(|comer| comer.join().unwrap());
        });
    }
}

/// Joins again and again, until nobody can.
fn until_refused(body: &Arc<Body>, begin: &Barrier) {
    let first = Reader::join(body);
    assert!(first.is_some());
    begin.wait();
    while let Some(mut reader) = Reader::join(body) {
        let (begun, end) = all(&mut reader);
        assert!(begun == bytes(0, begun.len()), "a place is always at the beginning");
        assert!(!matches!(end, Some(Err(ProxyError::ProxyInternalError))));
    }
}

#[test]
fn a_held_response_is_found_until_its_last_reader_leaves_and_then_upkeep_takes_it_out() {
    let store = Store::new(1 << 24, MOST);
    let spill = Spill { dir: std::env::temp_dir(), max: 1 << 30, window: 1000, patience: Duration::ZERO };
    let plan = Plan { kept: true, held: true, length: Some(300_000), spill };
    let (mut writer, body) = Body::open(plan, Some(store.budget()));
    let reader = Reader::new(&body);
    let response = super::tests_store::response(1, 100, 0, body.clone());
    assert_eq!(store.insert(b"key", response.clone()), Inserted::Stored);
    push(&mut writer, 0, 300_000);
    writer.finish();
    store.leave_with_readers(b"key", &response);
    store.sweep();
    assert!(store.find(b"key", |_| true).is_some() && store.has_key(b"key"));
    drop(reader);
    assert!(store.find(b"key", |_| true).is_none() && !store.has_key(b"key"), "nobody finds it from now on");
    store.sweep();
    assert_eq!(store.stats().responses, 0);
    drop((response, body));
    assert_eq!(store.stats().bytes, 0);
}
