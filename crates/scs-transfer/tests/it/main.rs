//! Real rsync on both sides, a pipe in between.

mod faults;
mod files;
mod support;
