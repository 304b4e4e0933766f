//! A plan: the least that has to happen to each slot of a service so that what is desired becomes true.

mod compute;
mod difference;
#[cfg(test)]
mod tests;

pub use compute::{Current, Effective, Error, Moved, Observed, Request, compute};
pub use difference::differences;

use crate::slot::Slot;
use scs_manifest::compiled::Deployment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What `scs plan` shows and `scs up` applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Format of this document; 1.
    pub version: u32,
    /// Environment.
    pub environment: String,
    /// Service.
    pub service: String,
    /// Desired revision the plan was made against; 0 where there was none. Applying is refused once it has changed.
    pub base_revision: u64,
    /// One for each slot, in the order of the manifest, removals last.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether anything happens at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.action == Action::Keep)
    }

    /// The same, knowing which image digests are there already: their steps build nothing.
    #[must_use]
    pub fn with_images(mut self, desired: &Deployment, images: &BTreeSet<String>) -> Self {
        for step in self.steps.iter_mut().filter(|step| step.build) {
            step.build = desired.roles.get(&step.slot.role).is_some_and(|role| !images.contains(&role.image_digest));
        }
        self
    }
}

/// What happens to one slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which slot.
    pub slot: Slot,
    /// What happens.
    pub action: Action,
    /// Host it happens on; for a move, the target.
    pub host: String,
    /// Whether its image has to be built (or fetched) first.
    pub build: bool,
    /// Why: which values differ.
    pub changes: Vec<Difference>,
    /// What else the reader should know.
    pub notes: Vec<String>,
}

/// What happens to a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Keep,
    /// `+` A container is made.
    Create,
    /// `↻` The running container is told; it is not restarted.
    LiveUpdate,
    /// `+/-` The new container is healthy before the old one stops.
    ReplaceStartFirst,
    /// `-/+` The old container stops before the new one starts.
    ReplaceStopFirst,
    /// `→` It goes to another host.
    Move {
        /// Where it is now.
        from: String,
    },
    /// `-` The container is removed; volumes stay.
    Remove,
}

/// One value that differs between what is desired now and what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where in the compiled role, e.g. `image.parameters.http_host`.
    pub path: String,
    /// Before, as JSON text; `None` where it was absent.
    pub old: Option<String>,
    /// After, as JSON text; `None` where it is gone.
    pub new: Option<String>,
}
