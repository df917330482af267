//! Bodies: what readers see of every end, where the bytes lie, and who waits for whom.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::body::State;
use super::chunk::tests::read;
use super::tests_support::Counter;
use super::writer::Stop;
use super::*;
use crate::status::ProxyError;
use crate::wake::Wake;

const BROKEN: Next = Next::Broken(ProxyError::ConnectionTerminated);

fn plan(kept: bool, length: Option<u64>) -> Plan {
    let spill = Spill { dir: std::env::temp_dir(), max: 1 << 30, window: 256 * 1024, patience: Duration::ZERO };
    Plan { kept, held: false, length, spill }
}

fn passing(window: usize, max: u64) -> (Writer, Arc<Body>) {
    let spill = Spill { window, max, ..plan(false, None).spill };
    Body::open(Plan { kept: false, held: false, length: None, spill }, None)
}

/// Bytes that tell their place: `n` of them from `at`.
fn bytes(at: usize, n: usize) -> Vec<u8> {
    (at..at + n).map(|place| u8::try_from(place % 251).unwrap()).collect()
}

/// Reads until nothing is there; the bytes, and what came then.
fn drain(reader: &mut Reader, wake: Option<&Wake>) -> (Vec<u8>, Next) {
    let mut all = Vec::new();
    loop {
        match reader.next(wake) {
            Next::Chunk(chunk) => {
                assert!(!chunk.is_empty());
                all.extend(read(&chunk));
            }
            end => return (all, end),
        }
    }
}

fn same(a: &Next, b: &Next) -> bool {
    match (a, b) {
        (Next::Complete, Next::Complete) | (Next::NotYet, Next::NotYet) => true,
        (Next::Broken(a), Next::Broken(b)) => a == b,
        _ => false,
    }
}

type End = fn(Writer);

#[test]
fn readers_see_every_byte_and_how_it_ended() {
    let ends: [(&str, End, Next, State); 4] = [
        ("finish", Writer::finish, Next::Complete, State::Complete),
        (
            "fail",
            |writer| writer.fail(ProxyError::ConnectionTerminated),
            BROKEN,
            State::Broken(ProxyError::ConnectionTerminated),
        ),
        ("drop", drop, Next::Broken(ProxyError::ProxyInternalError), State::Broken(ProxyError::ProxyInternalError)),
        ("nothing yet", std::mem::forget, Next::NotYet, State::Open),
    ];
    for kept in [true, false] {
        for pushes in [&[][..], &[1], &[1000], &[10, 0, 10], &[40_000, 40_000, 7], &[65_536], &[65_537], &[300_000, 5]]
        {
            for (name, end, want, state) in &ends {
                let (mut writer, body) = Body::open(plan(kept, None), None);
                let mut early = Reader::new(&body);
                let mut halfway = Reader::new(&body);
                let mut first = (Vec::new(), Next::NotYet);
                let mut total = 0;
                for (index, n) in pushes.iter().enumerate() {
                    writer.push(&bytes(total, *n)).unwrap();
                    total += n;
                    if index == 0 {
                        first = drain(&mut halfway, None);
                        assert!(same(&first.1, &Next::NotYet));
                    }
                }
                end(writer);
                let rest = drain(&mut halfway, None);
                let case = format!("kept {kept}, {pushes:?}, {name}");
                assert!([first.0, rest.0].concat() == bytes(0, total), "{case}");
                assert!(same(&rest.1, want), "{case}: {:?}", rest.1);
                let all = drain(&mut early, None);
                assert!(all.0 == bytes(0, total) && same(&all.1, want), "{case}: {:?}", all.1);
                assert_eq!((body.state(), body.len()), (*state, total as u64), "{case}");
            }
        }
    }
}

#[test]
fn a_complete_kept_body_is_sealed_and_later_readers_get_it_whole() {
    for (n, is_file) in [(0, false), (1, false), (65_536, false), (65_537, true), (1_000_000, true)] {
        let (mut writer, body) = Body::open(plan(true, None), None);
        bytes(0, n).chunks(10_000).for_each(|piece| writer.push(piece).unwrap());
        assert!(body.sealed().is_none());
        writer.finish();
        let sealed = body.sealed().unwrap();
        assert_eq!((sealed.len(), body.length()), (n as u64, Some(n as u64)));
        assert_eq!(sealed.bytes().is_none(), is_file, "{n} bytes");
        let (all, end) = drain(&mut Reader::new(&body), None);
        assert!(all == bytes(0, n) && same(&end, &Next::Complete));
    }
}

#[test]
fn a_declared_length_is_kept_to() {
    for (declared, pushed, is_whole) in [(3, 3, true), (3, 2, false), (3, 4, false), (0, 0, true)] {
        for kept in [true, false] {
            let (mut writer, body) = Body::open(plan(kept, Some(declared)), None);
            let _reader = Reader::new(&body);
            assert_eq!(body.length(), Some(declared));
            writer.push(&bytes(0, pushed)).unwrap();
            writer.finish();
            assert_eq!(body.state() == State::Complete, is_whole, "{pushed} of {declared}, kept {kept}");
            assert_eq!(body.may_be_shared(), kept && is_whole);
        }
    }
}

#[test]
fn a_body_of_our_own_is_whole_from_the_start() {
    let body = Body::whole(b"Not found\n".to_vec());
    assert_eq!((body.state(), body.length()), (State::Complete, Some(10)));
    assert_eq!(drain(&mut Reader::new(&body), None).0, b"Not found\n");
}

#[test]
fn readers_in_the_middle_do_not_notice_the_move_to_a_memory_file() {
    let (mut writer, body) = Body::open(plan(true, None), None);
    let (mut early, mut middle) = (Reader::new(&body), Reader::new(&body));
    writer.push(&bytes(0, 30_000)).unwrap();
    writer.push(&bytes(30_000, 30_000)).unwrap();
    let Next::Chunk(first) = middle.next(None) else { panic!() };
    assert!(first.bytes().is_some_and(|first| first == bytes(0, 30_000)), "still on the heap");
    writer.push(&bytes(60_000, 30_000)).unwrap();
    let Next::Chunk(second) = middle.next(None) else { panic!() };
    assert!(matches!(second, Chunk::File { offset: 30_000, len: 60_000, .. }), "{second:?}");
    assert!(read(&second) == bytes(30_000, 60_000));
    assert!(drain(&mut early, None).0 == bytes(0, 90_000));
    writer.finish();
    assert!(same(&middle.next(None), &Next::Complete));
}

#[test]
fn pushes_and_ends_wake_those_who_found_nothing_and_nobody_else() {
    let (mut writer, body) = Body::open(plan(true, None), None);
    let (waits, wake) = Counter::pair();
    let (left, left_wake) = Counter::pair();
    let (idle, _) = Counter::pair();
    let (mut reader, mut leaver, _idler) = (Reader::new(&body), Reader::new(&body), Reader::new(&body));
    for _ in 0..3 {
        assert!(same(&reader.next(Some(&wake)), &Next::NotYet));
    }
    assert!(same(&leaver.next(Some(&left_wake)), &Next::NotYet));
    assert!(same(&leaver.next(None), &Next::NotYet), "asking without a wake keeps the one that was left");
    drop(leaver);
    writer.push(b"x").unwrap();
    assert_eq!((waits.count(), left.count(), idle.count()), (1, 0, 0));
    wake.arm();
    writer.push(b"y").unwrap();
    assert_eq!(waits.count(), 1, "nothing was asked since");
    assert!(same(&drain(&mut reader, Some(&wake)).1, &Next::NotYet));
    writer.finish();
    assert_eq!(waits.count(), 2);
    assert!(same(&reader.next(Some(&wake)), &Next::Complete));
}

#[test]
fn a_passing_body_beyond_its_window_goes_through_files_and_comes_back_right() {
    let (mut writer, body) = passing(1000, 1 << 20);
    let (mut reader, mut second) = (Reader::new(&body), Reader::new(&body));
    bytes(0, 50_000).chunks(700).for_each(|piece| writer.push(piece).unwrap());
    let Next::Chunk(first) = reader.next(None) else { panic!() };
    assert!(first.bytes().is_some_and(|first| first == bytes(0, 700)), "the window is in memory");
    let Next::Chunk(on_disk) = reader.next(None) else { panic!() };
    assert!(on_disk.bytes().is_none(), "the rest is not");
    let mut all = [read(&first), read(&on_disk)].concat();
    all.extend(drain(&mut reader, None).0);
    assert!(all == bytes(0, 50_000));
    assert!(drain(&mut second, None).0 == all);
    writer.push(&bytes(50_000, 700)).unwrap();
    let Next::Chunk(after) = reader.next(None) else { panic!() };
    assert!(after.bytes().is_some_and(|after| after == bytes(50_000, 700)), "drained, it is back in memory");
    writer.finish();
    assert!(same(&drain(&mut second, None).1, &Next::Complete));
}

#[test]
fn a_passing_body_stops_when_its_readers_have_left_and_waits_for_those_to_come() {
    let (mut writer, body) = passing(1000, 0);
    writer.push(b"somebody holds the body and may read").unwrap();
    let reader = Reader::new(&body);
    writer.push(b"somebody reads").unwrap();
    assert_eq!(writer.readers(), 1);
    drop(reader);
    assert_eq!(writer.push(b"all have left"), Err(Stop::NoReaders));
    let (mut writer, body) = passing(1000, 0);
    drop(body);
    assert_eq!(writer.push(b"nobody can come"), Err(Stop::NoReaders));
}

#[test]
fn at_the_deadline_only_the_slowest_reader_is_cut() {
    let (mut writer, body) = passing(100, 0);
    let (mut slow, mut fast) = (Reader::new(&body), Reader::new(&body));
    let (woken, wake) = Counter::pair();
    writer.push(&[1; 60]).unwrap();
    assert_eq!(drain(&mut fast, None).0.len(), 60);
    assert!(same(&fast.next(Some(&wake)), &Next::NotYet));
    writer.push(&[2; 60]).unwrap();
    assert_eq!((writer.readers(), woken.count()), (1, 1));
    assert!(same(&slow.next(None), &Next::Broken(ProxyError::ConnectionWriteTimeout)));
    assert_eq!(drain(&mut fast, None).0, [2; 60]);
    writer.push(&[3; 60]).unwrap();
    assert_eq!(writer.push(&[4; 60]), Err(Stop::Stalled), "the last one does not move either");
    assert!(same(&fast.next(None), &Next::Broken(ProxyError::ConnectionWriteTimeout)));
    let mut late = Reader::new(&body);
    assert!(same(&late.next(None), &Next::Broken(ProxyError::ProxyInternalError)), "the beginning has passed");
}

#[test]
fn a_waiting_writer_goes_on_as_soon_as_the_slowest_reader_moves_or_leaves() {
    for leaves in [false, true] {
        let spill = Spill { window: 100, max: 0, patience: Duration::from_secs(600), dir: std::env::temp_dir() };
        let (mut writer, body) = Body::open(Plan { kept: false, held: false, length: None, spill }, None);
        let (mut slow, mut fast) = (Some(Reader::new(&body)), Reader::new(&body));
        writer.push(&[1; 60]).unwrap();
        assert_eq!(drain(&mut fast, None).0.len(), 60);
        std::thread::scope(|scope| {
            let pushing = scope.spawn(move || {
                writer.push(&[2; 60]).unwrap();
                writer.finish();
            });
            while body.lock().as_ref().is_some_and(|filling| filling.waiting.is_none()) {
                std::thread::yield_now();
            }
            match slow.take().filter(|_| !leaves) {
                Some(mut slow) => assert_eq!(drain(&mut slow, None).0[..60], [1; 60]),
                None => drop(slow.take()),
            }
            pushing.join().unwrap();
        });
        assert!(same(&drain(&mut fast, None).1, &Next::Complete));
    }
}

#[test]
fn without_a_disk_the_window_and_the_wait_remain() {
    let spill = Spill { dir: "/nonexistent".into(), window: 100, max: 1 << 20, patience: Duration::ZERO };
    let (mut writer, body) = Body::open(Plan { kept: false, held: false, length: None, spill }, None);
    let mut reader = Reader::new(&body);
    writer.push(&[1; 90]).unwrap();
    assert_eq!(drain(&mut reader, None).0, [1; 90]);
    writer.push(&[2; 500]).unwrap();
    assert_eq!(drain(&mut reader, None).0, [2; 500], "with all taken, a piece of any size goes through memory");
    writer.push(&[3; 90]).unwrap();
    assert_eq!(writer.push(&[4; 90]), Err(Stop::Stalled));
}

#[test]
fn a_clone_of_a_reader_keeps_its_place_for_those_to_come() {
    let (mut writer, body) = passing(1000, 0);
    let holder = Reader::new(&body);
    let mut first = holder.clone();
    writer.push(&[7; 300]).unwrap();
    assert_eq!(drain(&mut first, None).0, [7; 300]);
    let mut second = holder.clone();
    drop(holder);
    writer.finish();
    let (all, end) = drain(&mut second, None);
    assert!(all == [7; 300] && same(&end, &Next::Complete));
}

#[test]
fn one_push_per_byte_does_not_make_one_piece_per_byte() {
    let (mut writer, body) = Body::open(plan(true, None), None);
    for byte in bytes(0, 10_000) {
        writer.push(&[byte]).unwrap();
    }
    let pieces = body.lock().as_ref().unwrap().pieces().len();
    assert!(pieces <= 3, "{pieces}");
    writer.finish();
    assert!(read(&body.sealed().unwrap()) == bytes(0, 10_000));
}

#[test]
fn two_hundred_readers_on_their_own_threads_all_get_the_same_bytes() {
    const READERS: usize = 200;
    for (kept, n) in [(true, 50_000), (true, 400_000), (false, 400_000)] {
        let (mut writer, body) = if kept { Body::open(plan(true, None), None) } else { passing(20_000, 1 << 30) };
        let start = Barrier::new(READERS + 1);
        std::thread::scope(|scope| {
            for _ in 0..READERS {
                let mut reader = Reader::new(&body);
                let start = &start;
                scope.spawn(move || {
                    let (posts, wake) = Counter::pair();
                    start.wait();
                    let mut all = Vec::new();
                    loop {
                        let (more, next) = drain(&mut reader, Some(&wake));
                        all.extend(more);
                        match next {
                            Next::NotYet => posts.wait(&wake), // a wake that is lost hangs here
                            end => break assert!(all == bytes(0, n) && same(&end, &Next::Complete)),
                        }
                    }
                });
            }
            start.wait();
            for (index, piece) in bytes(0, n).chunks(3_001).enumerate() {
                writer.push(piece).unwrap();
                if index % 3 == 0 {
                    std::thread::yield_now();
                }
            }
            writer.finish();
        });
    }
}
