//! Real rsync on both sides, a pipe in between.

#![expect(clippy::unwrap_used, reason = "a test that unwraps a failure fails, which is what it is for")]

mod faults;
mod files;
mod support;
