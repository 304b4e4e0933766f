//! For tests only: a real engine with everything a test makes in it cleaned up, temporary state, roles, waiting for conditions.

mod clean;
mod docker;
pub mod fixture;
mod own;
mod proxy;
mod state;
mod wait;

pub use docker::{TestEngine, docker};
pub use own::OwnEngine;
pub use proxy::Proxy;
pub use state::StateDir;
pub use wait::{wait_for, wait_for_blocking};

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// A name that no other test has, in this process or another, starting with `base`.
#[must_use]
pub fn unique(base: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{base}-{:x}-{:x}-{number}", std::process::id(), now & 0xff_ffff)
}

/// Writes to the test's output; it is a test's nature to talk.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
