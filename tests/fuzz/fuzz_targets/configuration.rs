#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millpond::fuzzed::run("configuration", data).unwrap());
