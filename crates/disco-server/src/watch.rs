//! Watching the whole registry: what is there, then every change of it.

use std::sync::Arc;

use disco_core::{Filter, Observed};
use disco_proto::Endpoint;
use tokio::sync::broadcast;

/// Changes that a watcher may be behind. One that is further behind is told to start anew; the core waits for nobody.
pub(crate) const BEHIND: usize = 4096;

/// What is there when a watch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The registry's revision; the changes that follow have higher ones.
    pub rev: u64,
    /// Whether the registry has heard of everyone since its start.
    pub complete: bool,
    /// In no particular order.
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// Every change after [`Present`].
#[derive(Debug)]
pub struct Changes {
    filter: Filter,
    changes: broadcast::Receiver<Observed>,
}

/// There is no next change to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missed {
    /// The watcher was too slow; what it has is out of date, and it must watch anew.
    #[error("the watcher fell behind the registry; it must start anew")]
    Behind,
    /// The server has ended.
    #[error("the disco server has ended")]
    Ended,
}

impl Changes {
    pub(crate) fn new(filter: Filter, changes: broadcast::Receiver<Observed>) -> Self {
        Self { filter, changes }
    }

    /// The next change. Safe to be cancelled.
    pub async fn next(&mut self) -> Result<Observed, Missed> {
        loop {
            match self.changes.recv().await {
                Ok(observed) if self.filter.admits(&observed.endpoint.name) => return Ok(observed),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Err(Missed::Behind),
                Err(broadcast::error::RecvError::Closed) => return Err(Missed::Ended),
            }
        }
    }
}

#[cfg(test)]
mod tests;
