//! The core by itself: scripts and a seeded simulation.

#![allow(clippy::unwrap_used)]

mod delivering;
mod granting;
mod hold;
mod observing;
mod ownership;
mod preferring;
mod script;
mod sessions;
mod simulation;
mod withdrawing;
