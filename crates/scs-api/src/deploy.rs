//! Changing what runs: plan, up, down, restart, stop, rollback, history, build.

use crate::error::Problem;
use crate::secret::SecretValue;
use scs_manifest::compiled::Deployment;
use scs_plan::plan::Plan;
use scs_plan::slot::Slot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

/// `POST …/plan`: what would happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanRequest {
    /// What is wanted.
    pub deployment: Deployment,
    /// Directory of the manifests.
    pub origin: PathBuf,
    /// Places what somebody moved as the manifest says.
    #[serde(default)]
    pub reset_placement: bool,
}

/// `POST …/up`: makes it so. Answered by a stream of [`Event`]s that ends with `Done` or `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpRequest {
    /// What is wanted.
    pub deployment: Deployment,
    /// Directory of the manifests.
    pub origin: PathBuf,
    /// Revision the plan was made against; refused with `stale_plan` once it has changed.
    pub base_revision: u64,
    /// Values of secrets that come from the caller (`file`, `environment`, `command`).
    pub secrets: BTreeMap<String, SecretValue>,
    /// Takes over a service that another directory brought up.
    pub take_over: bool,
    /// Places what somebody moved as the manifest says.
    #[serde(default)]
    pub reset_placement: bool,
    /// Who asks, for the history (user@host).
    pub who: String,
}

/// Who asks for a change of a service that is named and not described, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Who asks, for the history (user@host).
    pub who: String,
    /// Directory of the manifests that named the service; `None` where it was named outright. Another than the one it was brought
    /// up from is refused with `conflict`.
    #[serde(default)]
    pub origin: Option<PathBuf>,
    /// Does it although another directory brought the service up.
    #[serde(default)]
    pub take_over: bool,
}

/// `POST …/down`: stops and removes the containers of a service; volumes stay. Answered like up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DownRequest {
    /// Who asks, and from where.
    #[serde(flatten)]
    pub caller: Caller,
}

/// `POST …/roles/ROLE/restart|stop|start`. Answered like up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RoleRequest {
    /// Only this replica.
    pub index: Option<u32>,
    /// Who asks, and from where.
    #[serde(flatten)]
    pub caller: Caller,
}

/// `POST …/roles/ROLE/move`: moves an instance to another host, its data included. Answered like up; going away undoes nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MoveRequest {
    /// Which instance; needed where the role has several.
    pub index: Option<u32>,
    /// Host it is to be on.
    pub host: String,
    /// Longest time it may be down, in milliseconds: a move that is expected to need more, or does, is called off.
    #[serde(default)]
    pub max_downtime_ms: Option<u64>,
    /// Most bytes a second that are copied.
    #[serde(default)]
    pub bandwidth: Option<u64>,
    /// Does it although the manifest's placement does not let it be there.
    #[serde(default)]
    pub force: bool,
    /// Who asks, and from where.
    #[serde(flatten)]
    pub caller: Caller,
}

/// `POST …/roles/ROLE/move/abort`: calls a move off, where that can still be done without losing anything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AbortRequest {
    /// Which instance; needed where the role has several.
    pub index: Option<u32>,
    /// Whoever asks answers for it that the target is dead and never comes back: without its word the source runs again.
    #[serde(default)]
    pub assume_host_dead: bool,
    /// Who asks, and from where.
    #[serde(flatten)]
    pub caller: Caller,
}

/// `POST …/rollback`: makes an earlier revision the desired one again. Answered like up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RollbackRequest {
    /// Revision number; the one before the current without it.
    pub revision: Option<u64>,
    /// Who asks, and from where.
    #[serde(flatten)]
    pub caller: Caller,
}

/// `POST …/build`: builds images and starts nothing. Answered like up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuildRequest {
    /// What is wanted.
    pub deployment: Deployment,
    /// Directory of the manifests.
    pub origin: PathBuf,
    /// Only these roles; all where empty.
    pub roles: Vec<String>,
}

/// One line of the stream that a change answers with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A slot came to a new step.
    Step {
        /// Which slot.
        slot: Slot,
        /// What it does, a verb in the present participle: `building`, `waiting for mysql`, `starting`.
        doing: String,
    },
    /// A slot is as wanted.
    SlotDone {
        /// Which slot.
        slot: Slot,
        /// What it is now: `running`, `removed`, `unchanged`, `live-updated`.
        now: String,
        /// Milliseconds since the request.
        took_ms: u64,
    },
    /// A line of output of a long step (a build).
    Output {
        /// Which slot.
        slot: Slot,
        /// The line.
        line: String,
    },
    /// How far a long step has come; many a minute.
    Progress {
        /// Which slot.
        slot: Slot,
        /// What it does, as in `Step`.
        doing: String,
        /// How far it has come, in words: `45 %, 1.2 GB at 80 MB/s`.
        how_far: String,
    },
    /// Something the reader should know and that does not stop anything.
    Warning {
        /// In words.
        message: String,
    },
    /// All is as wanted.
    Done {
        /// Revision that is now desired.
        revision: u64,
        /// Where things can be reached: `wordpress/http → 127.0.0.1:8080`.
        addresses: Vec<Address>,
    },
    /// It did not come to be.
    Failed {
        /// What went wrong.
        problem: Problem,
    },
}

/// Where a provided service can be reached from this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Role.
    pub role: String,
    /// Endpoint.
    pub endpoint: String,
    /// `host:port`.
    pub address: String,
    /// Whether it is bound to a fixed port by `publish`.
    pub fixed: bool,
}

/// `POST …/plan` answers this.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanResponse {
    /// What would happen.
    pub plan: Plan,
    /// What the reader should know, e.g. that another directory brought the service up.
    pub warnings: Vec<String>,
}

/// `GET …/history` answers a list of these, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revision {
    /// Number, from 1.
    pub revision: u64,
    /// When.
    #[serde(with = "crate::time")]
    pub at: SystemTime,
    /// Who asked.
    pub who: String,
    /// What was done: `up`, `down`, `rollback to 3`, `restart wordpress`.
    pub what: String,
    /// Roles whose digest differs from the revision before.
    pub changed: Vec<String>,
    /// Whether it is the desired one now.
    pub current: bool,
}
