//! What the life of a slot is told (facts) and what it asks for (effects).

use disco_proto::{Endpoint, Reason};
use scs_manifest::compiled::{Health, Query, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What a slot is to be filled with.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The role.
    pub role: Role,
    /// Raised by `scs restart`: a container of a lower one is replaced.
    pub generation: u64,
    /// Kept, but not running.
    pub stopped: bool,
    /// Stopped because it goes to another host: its users are told of a successor, not of an end.
    pub moving: bool,
    /// Fingerprint of each secret's value, by the name the image gives it; a changed one is applied live.
    pub secrets: BTreeMap<String, u64>,
}

/// Something that happened. Facts about an instance that is no longer there are ignored.
#[derive(Debug, Clone)]
pub enum Input {
    /// The slot is to be filled with this, which takes back an earlier tombstone.
    Assigned(Arc<Desired>),
    /// The slot is to be emptied for good.
    Tombstoned,
    /// All containers of this slot that the engine had, asked for at a time.
    Observed {
        /// When the engine was asked: what happened later is not in it.
        at: Instant,
        /// What it has, whatever its state.
        containers: Vec<Found>,
    },
    /// The engine answers again after it did not: what failed meanwhile need not wait out its pause.
    EngineBack,
    /// The host holds a lease for the slot that it did not hold before: what could not start without need not wait out its pause.
    Leased,
    /// The image of a digest is on this host.
    ImageReady {
        /// Image digest.
        digest: String,
        /// Its id in the engine.
        image: String,
    },
    /// The image of a digest cannot be had.
    ImageFailed {
        /// Image digest.
        digest: String,
        /// Why.
        failure: Failure,
    },
    /// The endpoints of a requirement are these now.
    EndpointsChanged {
        /// The image's name for the requirement.
        requirement: String,
        /// All of them.
        set: Endpoints,
    },
    /// Network and volumes of an instance are ready.
    Provisioned {
        /// Run id.
        instance: String,
        /// Volumes by name.
        volumes: BTreeMap<String, Volume>,
    },
    /// Network or a volume of an instance cannot be had.
    ProvisionFailed {
        /// Run id.
        instance: String,
        /// Why.
        failure: Failure,
    },
    /// The container of an instance was made and started.
    Launched {
        /// Run id.
        instance: String,
        /// The container.
        container: Container,
    },
    /// The container of an instance could not be made or started.
    LaunchFailed {
        /// Run id.
        instance: String,
        /// Why.
        failure: Failure,
    },
    /// The container of an instance has ended.
    Ended {
        /// Run id.
        instance: String,
        /// How.
        exit: Exit,
    },
    /// All is known about how a container ended that will be: its last lines, why. Answers [`Effect::Explain`].
    Explained {
        /// Run id.
        instance: String,
        /// How.
        exit: Exit,
    },
    /// What there is of the slot's volumes, found beside a container that was adopted.
    VolumesSeen(BTreeMap<String, Volume>),
    /// A health check was made.
    Probed {
        /// Run id.
        instance: String,
        /// Endpoint name.
        endpoint: String,
        /// Whether it passed, and what it said otherwise.
        result: Result<(), String>,
    },
    /// What an instance provides has been withdrawn, and its subscribers have applied it or had their time.
    Withdrawn {
        /// Run id.
        instance: String,
        /// Those who have not applied it.
        unapplied: Vec<String>,
    },
    /// A live update has ended.
    LiveUpdated {
        /// Run id.
        instance: String,
        /// Number of the run.
        run: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// The engine did not stop the container of an instance.
    StopFailed {
        /// Run id.
        instance: String,
        /// Why.
        failure: Failure,
    },
    /// Network and volumes were given back.
    Released(Result<(), Failure>),
    /// Time has passed.
    Tick,
}

/// Something to be done. Each one that names an instance is answered by a fact about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Find, fetch or build the image of this role.
    EnsureImage(Arc<Desired>),
    /// Ask disco for the endpoints of a requirement, replacing what was asked under its name.
    Subscribe {
        /// The image's name for the requirement.
        requirement: String,
        /// What is asked.
        query: Query,
        /// The instance that never matches.
        instance: Option<String>,
    },
    /// Ask no more.
    Unsubscribe {
        /// The image's name for the requirement.
        requirement: String,
    },
    /// Tell disco that the containers of this slot have applied a requirement's endpoints.
    Applied {
        /// The image's name for the requirement.
        requirement: String,
        /// Up to which change.
        seq: u64,
    },
    /// Make network and volumes ready, in this order.
    Provision {
        /// Run id.
        instance: String,
        /// For what.
        desired: Arc<Desired>,
    },
    /// Write the files, make the container and start it.
    Launch {
        /// Run id.
        instance: String,
        /// Of what.
        desired: Arc<Desired>,
        /// Engine id of the image.
        image: String,
        /// What it sees of its requirements.
        view: Arc<View>,
    },
    /// Check the health of an endpoint.
    Probe {
        /// Run id.
        instance: String,
        /// Endpoint name.
        endpoint: String,
        /// How.
        health: Health,
    },
    /// Announce an endpoint, or change what is announced.
    Provide {
        /// Run id.
        instance: String,
        /// Endpoint name.
        endpoint: String,
        /// Whether its health check passes.
        passing: bool,
        /// Attributes of the manifest.
        attributes: BTreeMap<String, String>,
    },
    /// Withdraw all that an instance provides.
    Withdraw {
        /// Run id.
        instance: String,
        /// Why.
        reason: Reason,
        /// How long subscribers have to apply it.
        wait: Duration,
        /// How long it stays usable for subscribers that have no successor for it; `None`: it goes at once.
        successor_by: Option<Duration>,
    },
    /// Replace the files under `/run/scs` and `/run/secrets`.
    WriteFiles {
        /// Run id.
        instance: String,
        /// What it sees of its requirements.
        view: Arc<View>,
    },
    /// Tell the running container.
    LiveUpdate {
        /// Run id.
        instance: String,
        /// Number of the run.
        run: u64,
        /// Requirements and secrets that changed.
        triggers: Vec<String>,
        /// How.
        action: Tell,
        /// What it sees of its requirements.
        view: Arc<View>,
    },
    /// Keep this beside the container, for whoever adopts it.
    Remember {
        /// Run id.
        instance: String,
        /// What.
        memo: Memo,
    },
    /// Stop the container.
    Stop {
        /// Run id.
        instance: String,
        /// Engine id.
        container: String,
        /// Time between the stop signal and being killed.
        grace: Duration,
    },
    /// Find out why an ended container ended, and what it said last.
    Explain {
        /// Run id.
        instance: String,
        /// Engine id.
        container: String,
    },
    /// Remove the ended container with its files.
    Remove {
        /// Run id.
        instance: String,
        /// Engine id.
        container: String,
    },
    /// Give back network and volumes, the last first; data stays.
    Release(Arc<Desired>),
}

/// How a running container is told of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    /// A command inside it, with at most this long to run.
    Command(Vec<String>, Duration),
    /// A signal to process 1.
    Signal(String),
}

/// Why a step failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// In one line.
    pub message: String,
    /// Causes and last lines of output.
    pub details: Vec<String>,
    /// Whether the step may have been carried out all the same: the engine is asked before anything else is tried.
    pub unknown: bool,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, where known.
    pub code: Option<i64>,
    /// What else is known, e.g. `out of memory`, `removed by somebody else`.
    pub message: Option<String>,
    /// Last lines of output.
    pub output: Vec<String>,
}

/// How a live update ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Exit code of the command; `None` where it did not run to its end.
    pub code: Option<i64>,
    /// Why it did not.
    pub failure: Option<String>,
    /// Last lines it printed.
    pub output: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// Whether the container has taken the change in.
    #[must_use]
    pub fn applied(&self) -> bool {
        self.code == Some(0) && self.failure.is_none()
    }
}

/// A container, as far as a slot's life needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Engine id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Content id of its image.
    pub image: String,
    /// When it was started.
    pub started: Option<SystemTime>,
    /// Endpoint name → where it is reached.
    pub provides: BTreeMap<String, Address>,
}

/// Where an endpoint is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// By others, `host:port`.
    pub announced: String,
    /// On this machine, where bound.
    pub local: Option<String>,
    /// By others over IPv6, `[host]:port`, beside what is announced.
    pub announced_v6: Option<String>,
}

/// A volume that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Method that made it.
    pub method: String,
    /// Where it is, in words.
    pub place: String,
    /// Highest epoch its marker has seen.
    pub epoch: u64,
}

/// A container of this slot that the engine has.
#[derive(Debug, Clone)]
pub struct Found {
    /// Run id.
    pub instance: String,
    /// What it was made of, from its labels.
    pub desired: Arc<Desired>,
    /// The container.
    pub container: Container,
    /// Its state.
    pub state: FoundState,
    /// What was remembered beside it.
    pub memo: Option<Memo>,
}

/// State of a container that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundState {
    /// Made, never started.
    Created,
    /// Running or frozen.
    Running,
    /// Ended.
    Exited(Exit),
}

/// All endpoints of a requirement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// In order of preference.
    pub list: Vec<Endpoint>,
    /// Number of the change, for `applied`.
    pub seq: u64,
    /// Whether a server said that this is all; before that an empty list means nothing.
    pub complete: bool,
    /// Since when discovery is out of reach and these are the last known.
    pub stale: Option<SystemTime>,
    /// Whether everything that went with the last change left cleanly.
    pub left: bool,
    /// Why the last one went that did, where known.
    pub gone: Option<Reason>,
}

/// What a container sees of its requirements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Grows with every change.
    pub revision: u64,
    /// By the image's name for them.
    pub requirements: BTreeMap<String, Seen>,
}

/// What a container sees of one requirement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// In order of preference.
    pub endpoints: Vec<Endpoint>,
    /// Whether these are the last known, because discovery is out of reach or everything is gone that did not leave.
    pub stale: bool,
}

/// What is kept beside a container, so that another process can take it over without telling it anything twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memo {
    /// Revision of its files.
    pub revision: u64,
    /// Requirement or secret → fingerprint of what it has applied.
    pub told: BTreeMap<String, u64>,
    /// Fingerprint of what is frozen in its environment, where known.
    pub frozen: Option<u64>,
    /// Whether it has been healthy once.
    pub healthy_once: bool,
    /// Whether it, or a container of the slot before it, was ever ready or announced on this host.
    #[serde(default)]
    pub served: bool,
    /// Endpoint name → whether its health check passed when last said.
    pub published: BTreeMap<String, bool>,
}
