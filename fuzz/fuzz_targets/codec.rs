//! `cargo fuzz run codec --sanitizer none`.

#![no_main]

#[path = "../checks/codec.rs"]
mod codec;

libfuzzer_sys::fuzz_target!(|input: &[u8]| codec::check(input));
