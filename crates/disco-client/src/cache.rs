//! The last known good, on disk.

use disco_proto::{Endpoint, Query};

use crate::set::EndpointSet;

/// What was read at the start.
#[derive(Debug, Default)]
pub(crate) struct Contents {}

impl Contents {
    /// The set that a new subscription starts with.
    pub(crate) fn first_set(&self, _id: &str, _query: &Query, known: Vec<Endpoint>) -> EndpointSet {
        EndpointSet { endpoints: known, ..EndpointSet::default() }
    }
}
