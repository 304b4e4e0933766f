//! The agent as its users see it: over fakes, and over a real Docker Engine.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "it/docker.rs"]
mod docker;
#[path = "it/fakes.rs"]
mod fakes;
#[path = "it/support.rs"]
mod support;
