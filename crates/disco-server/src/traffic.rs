//! What the listeners count, for metrics.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Connections taken.
    pub connections: AtomicU64,
    /// Of these, open now.
    pub open: AtomicU64,
    /// TLS handshakes made in full.
    pub handshakes: AtomicU64,
    /// TLS sessions resumed.
    pub resumed: AtomicU64,
    /// Messages heard.
    pub messages: AtomicU64,
    /// Lines that were no message.
    pub broken: AtomicU64,
    /// Connections refused, by code.
    refused: Mutex<BTreeMap<String, u64>>,
}

impl Traffic {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was refused.
    pub(crate) fn refuse(&self, code: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(code.to_owned()).or_default() += 1;
    }

    /// Connections refused, by code.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
