//! What a subscriber has.

use std::time::SystemTime;

use disco_proto::{Endpoint, Failure, Health, Reason};

/// The endpoints of one requirement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointSet {
    /// Grows whenever `endpoints` change, for as long as the subscription lives, across connections and servers. What
    /// [`crate::Subscription::applied`] is told.
    pub seq: u64,
    /// The registry's revision it was true at; comparable only within one start of a server.
    pub revision: u64,
    /// In order of preference.
    pub endpoints: Vec<Endpoint>,
    /// Whether a server that has heard of everyone said so. Before its first answer, and for a while after a server's start, it
    /// is not: there may be more.
    pub complete: bool,
    /// Since when no server confirms it; `None` while connected.
    pub stale_since: Option<SystemTime>,
    /// What went since the last set that was applied and has not come back, the latest last, at most 256.
    pub gone: Vec<(Endpoint, Reason)>,
    /// Why the server refuses to say anything of it; what was known before stays.
    pub refused: Option<Failure>,
}

/// How usable an endpoint is; the lowest first.
pub(crate) fn usability(endpoint: &Endpoint) -> u8 {
    match endpoint.health {
        Health::Passing => u8::from(endpoint.suspect),
        Health::Draining => 2,
        Health::Failing => 3,
    }
}
