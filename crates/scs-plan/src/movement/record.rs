//! What of a move is in desired state, and what that means for both hosts.

use super::End;
use crate::slot::Slot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// A move, as desired state keeps it. A field may be added with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Tells it from every other move; what is copied for it carries it.
    pub id: String,
    /// What moves.
    pub slot: Slot,
    /// Host it leaves.
    pub from: String,
    /// Host it goes to.
    pub to: String,
    /// Exclusive volumes that go with it, by the image's name for them, and the epoch of the permit that the source held when the
    /// move began. Without any the slot runs on both hosts for a while.
    pub volumes: BTreeMap<String, u64>,
    /// Whether it is stopped by hand, and stays so.
    pub idle: bool,
    /// Whether a command makes its files consistent before it is stopped.
    pub quiesce: bool,
    /// How long the slot may take to stop, and to be ready on the target.
    pub patience: Duration,
    /// What whoever asked for it wants of it.
    pub options: Options,
    /// Who asked for it.
    pub who: String,
    /// When it began.
    #[serde(default = "epoch")]
    pub began: SystemTime,
    /// How far it has come.
    pub stage: Stage,
    /// Since when.
    pub since: SystemTime,
    /// Revision of the assignments that first said so: an older report does not know of it.
    pub revision: u64,
    /// Since when the slot has been down for it.
    #[serde(default)]
    pub down_since: Option<SystemTime>,
    /// Why it is called off.
    #[serde(default)]
    pub fault: Option<String>,
}

fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

/// What whoever asks for a move wants of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Longest time the slot may be down; a move that is expected to need more, or does, is called off.
    #[serde(default)]
    pub max_downtime: Option<Duration>,
    /// Most bytes a second that are copied.
    #[serde(default)]
    pub bandwidth: Option<u64>,
    /// That the manifest's placement, which does not let it be there, is broken on purpose.
    #[serde(default)]
    pub forced: bool,
}

/// How far a move has come. Each is entered by one transaction that changes permits, places and tombstones with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing is exclusive: it runs on both hosts until the target is ready.
    Beside,
    /// It runs on the source, and its volumes are copied meanwhile.
    Copying,
    /// It is asked to make its files consistent.
    Quiescing,
    /// It stops on the source, and what is left is copied.
    Closing,
    /// The target holds the permits and starts it.
    Passed,
    /// The target is told to stop it, as it did not come up there.
    Recalling,
    /// The permits never passed on: the source starts it again.
    PutBack,
    /// The permits are the source's again, which starts it.
    Returned,
}

/// What a host has to do with the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is told nothing.
    None,
    /// It runs it (or keeps it stopped, where it is stopped by hand).
    Runs,
    /// It keeps it stopped; the successor is or will be elsewhere.
    Stopped,
    /// It removes it.
    Gone,
}

impl Stage {
    /// What the host at this end has to do.
    #[must_use]
    pub fn part(self, end: End) -> Part {
        match (self, end) {
            (Self::Beside | Self::Copying | Self::Quiescing | Self::PutBack | Self::Returned, End::From)
            | (Self::Beside | Self::Passed, End::To) => Part::Runs,
            (Self::Closing | Self::Passed | Self::Recalling, End::From) | (Self::Recalling, End::To) => Part::Stopped,
            (Self::Copying | Self::Quiescing | Self::Closing | Self::PutBack, End::To) => Part::None,
            (Self::Returned, End::To) => Part::Gone,
        }
    }

    /// Which end holds the permits.
    #[must_use]
    pub fn holder(self) -> End {
        if matches!(self, Self::Passed | Self::Recalling) { End::To } else { End::From }
    }

    /// By how much the permits are above those that the source held when the move began. They are raised when they are put back,
    /// too: by then the source may have noted that it gave them away.
    #[must_use]
    pub fn raised(self) -> u64 {
        match self {
            Self::Beside | Self::Copying | Self::Quiescing | Self::Closing => 0,
            Self::Passed | Self::Recalling | Self::PutBack => 1,
            Self::Returned => 2,
        }
    }
}

impl Record {
    /// What a host has to do with the slot; [`Part::None`] for all but the two.
    #[must_use]
    pub fn part(&self, host: &str) -> Part {
        let end = if host == self.from {
            End::From
        } else if host == self.to {
            End::To
        } else {
            return Part::None;
        };
        self.stage.part(end)
    }

    /// Host that holds the permits, and counts as the place of the slot.
    #[must_use]
    pub fn holder(&self) -> &str {
        match self.stage.holder() {
            End::From => &self.from,
            End::To => &self.to,
        }
    }

    /// Epoch that a volume's permit has at a stage.
    #[must_use]
    pub fn epoch(&self, volume: &str, stage: Stage) -> Option<u64> {
        Some(self.volumes.get(volume)? + stage.raised())
    }

    /// Whether it copies data.
    #[must_use]
    pub fn copies(&self) -> bool {
        !self.volumes.is_empty()
    }
}
