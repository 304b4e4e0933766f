//! What can go wrong for a caller.

use std::time::Duration;

use disco_proto::Failure;

/// A request that did not come to its end, and what was left of it.
#[derive(Debug, thiserror::Error)]
#[error("disco: cannot {what}{}", if *retried { "; it is tried again in the background" } else { "" })]
pub struct Error {
    /// What was asked, with its name.
    pub what: String,
    /// Whether the service remembers it and goes on trying.
    pub retried: bool,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// No server answered in time.
    #[error("no answer from {address} in {waited:?}; is the server running?")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// For how long.
        waited: Duration,
    },
    /// The server refused.
    #[error("the server refused")]
    Refused(#[source] Failure),
    /// The server's answer cannot be read.
    #[error("the server's answer cannot be read")]
    Answer(#[source] serde_json::Error),
    /// The endpoint was withdrawn, or the session closed, before the server had it.
    #[error("it was withdrawn meanwhile")]
    Withdrawn,
    /// The service task has ended.
    #[error("the disco client has been shut down")]
    Closed,
}
