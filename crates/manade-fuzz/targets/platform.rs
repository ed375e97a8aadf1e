//! `cargo xtask fuzz platform`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| manade_fuzz::platform(input));
