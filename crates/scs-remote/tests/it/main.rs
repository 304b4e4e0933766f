//! An agent over the network behaves as it does here; and what happens where the network, or whoever is at the other end, does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod conformance;
mod faults;
mod scripted;
mod strangers;
mod volumes;
mod world;
