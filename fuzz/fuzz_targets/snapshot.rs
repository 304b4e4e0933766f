//! `cargo fuzz run snapshot --sanitizer none`.

#![no_main]

#[path = "../checks/snapshot.rs"]
mod snapshot;

libfuzzer_sys::fuzz_target!(|input: &[u8]| snapshot::check(input));
