//! `cargo xtask fuzz query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| manade_fuzz::query(input));
