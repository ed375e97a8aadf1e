//! `cargo xtask fuzz events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| manade_fuzz::events(input));
