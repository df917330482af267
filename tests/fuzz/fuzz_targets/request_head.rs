#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millpond::fuzzed::run("request_head", data).unwrap());
