//! The real program as people and scripts meet it: what it prints, where, and how it ends. Nothing here needs an engine.

#[path = "it/manifests.rs"]
mod manifests;
#[path = "it/support.rs"]
mod support;
#[path = "it/unavailable.rs"]
mod unavailable;
#[path = "it/usage.rs"]
mod usage;
