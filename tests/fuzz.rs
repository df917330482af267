//! The fuzz targets on every input of the corpus, and on as many changed ones as `MILLPOND_FUZZ_RUNS` says (default 10,000 a
//! target). The changes are the same every time; libFuzzer, which looks for new ways, is started by `.ci/fuzz`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use millpond::fuzzed::{TARGETS, run};

/// A small generator of pseudo-random numbers (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % below.max(1)
    }
}

/// One more way to be wrong.
fn change(input: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.roll(input.len() + 1);
    let end = (at + dice.roll(16)).min(input.len());
    match dice.roll(8) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => input.insert(at, u8::try_from(dice.roll(256)).unwrap()),
        3 => input.insert(at, WORDS[dice.roll(WORDS.len())]),
        4 if at < input.len() => input[at] ^= 1 << dice.roll(8),
        5 => {
            let copy = input[at..end].to_vec();
            input.splice(at..at, copy);
        }
        6 => {
            let other = &others[dice.roll(others.len())];
            let from = dice.roll(other.len() + 1);
            let to = (from + dice.roll(40)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            let other = &others[dice.roll(others.len())];
            let from = dice.roll(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
    input.truncate(8192);
}

const WORDS: &[u8] = b"\0\t\n\r \",-:;=/*\\%09afAF{}[]\x7f\x80\xff";

fn check(target: &str, name: &str, input: &[u8]) {
    let outcome = catch_unwind(|| run(target, input)).unwrap_or_else(|_| Err("a panic".into()));
    assert_eq!(outcome, Ok(()), "{target}, {name}: {:?}", String::from_utf8_lossy(input));
}

/// The corpus of a target, in the order of its files' names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut corpus: Vec<_> = files
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    corpus.sort();
    let bytes: usize = corpus.iter().map(|(_, input)| input.len()).sum();
    let is_small = corpus.len() <= 200 && bytes <= 64 << 10;
    assert!(!corpus.is_empty() && is_small, "{} files of {bytes} bytes for {target}", corpus.len());
    corpus
}

fn play(target: &str) {
    let runs = std::env::var("MILLPOND_FUZZ_RUNS").map_or(10_000, |runs| runs.parse().unwrap());
    let corpus = corpus(target);
    for (name, input) in &corpus {
        check(target, name, input);
    }
    let inputs: Vec<_> = corpus.into_iter().map(|(_, input)| input).collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for number in 0..runs {
        let mut input = inputs[dice.roll(inputs.len())].clone();
        for _ in 0..=dice.roll(6) {
            change(&mut input, &inputs, &mut dice);
        }
        check(target, &format!("change {number}"), &input);
    }
}

#[test]
fn every_target_has_a_test_below() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz.rs")).unwrap();
    for (target, _) in TARGETS {
        assert!(source.contains(&format!("play(\"{target}\");")), "{target}");
    }
}

#[test]
fn request_heads_say_the_same_however_they_are_split_and_never_contradict_themselves() {
    play("request_head");
}

#[test]
fn chunked_bodies_are_the_same_however_they_are_split() {
    play("chunked_body");
}

#[test]
fn response_heads_say_the_same_however_they_are_split_and_are_stored_as_they_came() {
    play("response_head");
}

#[test]
fn fetched_responses_are_whole_where_their_bytes_are() {
    play("fetched_response");
}

#[test]
fn cache_fields_break_no_promise_of_the_rules() {
    play("cache_fields");
}

#[test]
fn ranges_lie_within_what_they_are_of() {
    play("ranges");
}

#[test]
fn certificates_are_read_or_refused() {
    play("certificate_names");
}

#[test]
fn configurations_are_taken_or_refused_with_words() {
    play("configuration");
}

#[test]
fn tls_clients_are_answered_or_refused() {
    play("client_hello");
}
