//! The core by itself: scripts and a seeded simulation.

#![allow(clippy::unwrap_used)]

mod braking;
mod delivering;
mod granting;
mod hold;
mod limiting;
mod matching;
mod observing;
mod ownership;
mod preferring;
mod restoring;
mod script;
mod sessions;
mod simulation;
mod withdrawing;
