//! `cargo fuzz run manifest --sanitizer none`.

#![no_main]

#[path = "../checks/manifest.rs"]
mod manifest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| manifest::check(input));
