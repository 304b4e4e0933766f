//! The real program as people and scripts meet it: what it prints, where, and how it ends. Nothing here needs an engine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "it/ca.rs"]
mod ca;
#[path = "it/cluster.rs"]
mod cluster;
#[path = "it/disco.rs"]
mod disco;
#[path = "it/manifests.rs"]
mod manifests;
#[path = "it/server.rs"]
mod server;
#[path = "it/stopping.rs"]
mod stopping;
#[path = "it/support.rs"]
mod support;
#[path = "it/unavailable.rs"]
mod unavailable;
#[path = "it/usage.rs"]
mod usage;
