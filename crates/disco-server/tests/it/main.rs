//! The server over real sockets: who gets in, what they are told, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod admitting;
mod api;
mod certificates;
mod conformance;
mod ending;
mod support;
mod watching;
