#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millpond::fuzzed::run("certificate_names", data).unwrap());
