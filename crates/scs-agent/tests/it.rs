//! The agent as its users see it: over fakes, and over a real Docker Engine.

#[path = "it/docker.rs"]
mod docker;
#[path = "it/fakes.rs"]
mod fakes;
#[path = "it/support.rs"]
mod support;
