//! In-memory stand-ins for the ports, for the tests of every crate: small models, not recordings of calls.
//!
//! Each passes the conformance suite of its port, so that a test that is green over a fake says something about the real
//! thing. A handle is cheap to clone: give one clone to the tested code and keep the other to script and to look.

pub mod engine;
pub mod network;
pub mod state;
pub mod volume;

pub use engine::{Behaviour, Engine, Op, Outcome};
pub use network::Networks;
pub use state::State;
pub use volume::Volumes;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a model even when a test panicked while it held the lock, so that the first panic is the one that is seen.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
