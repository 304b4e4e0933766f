//! Hosts: the machines that run containers, as people see them and as they join.

use crate::agent::Phase;
use crate::deploy::Caller;
use scs_plan::slot::Slot;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// `GET /v1/hosts` answers a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Name.
    pub name: String,
    /// `host:port` of its agent; `None` for the machine whose agent is in the server's own process.
    pub address: Option<String>,
    /// Labels, for placement.
    pub labels: BTreeMap<String, String>,
    /// Whether it takes nothing new.
    pub drained: bool,
    /// Whether its agent answers.
    pub answers: Answers,
    /// When it joined.
    #[serde(default, with = "crate::time::maybe")]
    pub joined: Option<SystemTime>,
    /// Version of the program that it joined with.
    pub version: Option<String>,
    /// When the newest certificate that was issued to it ends.
    #[serde(default, with = "crate::time::maybe")]
    pub certificate_ends: Option<SystemTime>,
    /// How many instances are to run there.
    pub instances: usize,
    /// How many volumes lie there.
    pub volumes: usize,
}

/// Whether an agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Answers {
    /// It is being connected to for the first time.
    Connecting,
    /// It does.
    Yes,
    /// It does not.
    No {
        /// Since when.
        #[serde(with = "crate::time")]
        since: SystemTime,
        /// Why, in words.
        why: String,
    },
}

/// `GET /v1/hosts/HOST` answers this, and so do changes of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostDetails {
    /// The host.
    #[serde(flatten)]
    pub host: HostInfo,
    /// What its container engine calls itself; `None` where it does not say.
    pub engine: Option<String>,
    /// What is wrong with the host, as it says itself.
    pub problems: Vec<String>,
    /// What is to run there, or is there still.
    pub slots: Vec<SlotThere>,
    /// Volumes that lie there, as `scs volume ls` names them.
    pub volume_ids: Vec<String>,
}

/// A slot on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotThere {
    /// Which.
    pub slot: Slot,
    /// Where its life stands, as the host said last; `None` where it said nothing.
    pub phase: Option<Phase>,
    /// Whether it is wanted there; otherwise it is on its way out.
    pub wanted: bool,
}

/// `POST /v1/hosts/HOST/labels`: changes labels. Answered by [`HostDetails`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelRequest {
    /// Labels that it has from now on.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Labels that it has no longer.
    #[serde(default)]
    pub remove: BTreeSet<String>,
}

/// `POST /v1/hosts/HOST/give-up`: says that a host that does not answer is dead for good, and forgets it. Answered by [`GivenUp`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveUpRequest {
    /// Whether what needs the data that lay there may start with fresh, empty volumes; otherwise it waits.
    #[serde(default)]
    pub lose_data: bool,
    /// Who says so.
    #[serde(default)]
    pub caller: Caller,
}

/// What became of what was on a host that was given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// Volumes whose data is lost, as `scs volume ls` names them.
    pub lost: Vec<String>,
    /// Instances that wait because their data is lost.
    pub waiting: Vec<Slot>,
    /// Instances that start on other hosts, as far as these may run them.
    pub elsewhere: Vec<Slot>,
}
