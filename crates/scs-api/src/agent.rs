//! What a server assigns to an agent, and what the agent reports.

use crate::secret::SecretValue;
use scs_manifest::compiled::Role;
pub use scs_plan::lifecycle::Phase;
use scs_plan::slot::Slot;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

/// Everything a host has to run. Always complete: but what is missing from it is left alone, only a tombstone removes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Assignments {
    /// Id of the cluster that assigns; an agent refuses another's.
    pub cluster: String,
    /// Revision of desired state; an agent refuses a lower one than it has seen.
    pub revision: u64,
    /// What runs.
    pub assignments: Vec<Assignment>,
    /// What is to be stopped and removed, until the agent has reported it gone.
    pub tombstones: Vec<Slot>,
    /// Labels of the host, which what it provides and what it prefers go by; `None` where they are not for the server to say.
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
}

/// One slot that the host fills.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// Which slot.
    pub slot: Slot,
    /// What fills it.
    pub role: Role,
    /// Raised by `scs restart`: a container of a lower one is replaced.
    pub generation: u64,
    /// Kept, but not running (`scs stop`).
    pub stopped: bool,
    /// Stopped because it goes to another host: its users are told of a successor, not of an end.
    #[serde(default)]
    pub moving: bool,
    /// Whether it runs only while the server grants the host a lease ([`LeaseGrant`]): then no container of it outlives that.
    #[serde(default)]
    pub leased: bool,
    /// Directory of the manifests, against which the user's relative paths count.
    pub origin: PathBuf,
    /// Its volumes by name.
    pub volumes: BTreeMap<String, VolumeGrant>,
    /// Values of the secrets it uses, by their name in the deployment.
    pub secrets: BTreeMap<String, SecretValue>,
}

/// A server's answer to a host that asked for a lease. It lasts [`scs_plan::lease::LENGTH`] from when the host asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseGrant {
    /// Number of the question.
    pub question: u64,
    /// What the host may run meanwhile; leases of other slots run out.
    pub slots: BTreeSet<Slot>,
}

/// What an agent may do with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeGrant {
    /// Whether the volume exists as far as desired state knows: then a missing one is an error.
    pub known: bool,
    /// Epoch of the permit this host holds; 0 for shared volumes.
    pub epoch: u64,
}

/// What a host sees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostReport {
    /// Host name.
    pub host: String,
    /// Revision of the assignments it works on.
    pub revision: u64,
    /// Slots it fills, or empties.
    pub slots: Vec<SlotReport>,
    /// Tombstones that are done: nothing of these slots is left running.
    pub gone: Vec<Slot>,
    /// What is wrong with the host itself, e.g. its engine does not answer.
    pub problems: Vec<String>,
}

/// What a host sees of one slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotReport {
    /// Which slot.
    pub slot: Slot,
    /// Where its life stands.
    pub phase: Phase,
    /// Why it stands there, in words, e.g. `waiting for mysql (dev/blog/mysql-master/mysql)` or the last error.
    pub message: Option<String>,
    /// What the whole chain of causes and the last lines of output were, where something failed.
    pub details: Vec<String>,
    /// Since when.
    #[serde(with = "crate::time")]
    pub since: SystemTime,
    /// The container that fills it now, or that failed last.
    pub container: Option<ContainerReport>,
    /// Spec digest and generation that are fully in effect; `None` until they are.
    pub applied: Option<Applied>,
    /// How often it was started again because it had ended.
    pub restarts: u32,
    /// Whether a container of it was ever ready or announced on this host, so that others may have written through it.
    #[serde(default)]
    pub served: bool,
    /// Whether nothing of it can outlive the lease that the host holds for it.
    #[serde(default)]
    pub leased: bool,
    /// Live updates by requirement or secret name.
    pub live_updates: BTreeMap<String, LiveUpdateReport>,
    /// How its requirements stand, by name.
    #[serde(default)]
    pub requirements: BTreeMap<String, RequirementReport>,
    /// Volumes that exist, by name.
    pub volumes: BTreeMap<String, VolumeReport>,
}

/// How a requirement stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequirementReport {
    /// Addresses that the container sees, or would see.
    pub sees: Vec<String>,
    /// Since when these are kept although nobody is there any more (`on_empty: hold`).
    pub held_since: Option<SystemTime>,
    /// Why the last one went then: `died`, `lost`, `expired`, ….
    pub held_because: Option<String>,
    /// Since when discovery is out of reach and these are the last known.
    pub stale_since: Option<SystemTime>,
    /// Whether the container works with them.
    pub applied: bool,
    /// What it makes of them, in words.
    pub standing: String,
}

/// What is fully in effect in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Spec digest.
    pub spec_digest: String,
    /// Image digest.
    pub image_digest: String,
    /// Generation.
    pub generation: u64,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerReport {
    /// Run id; also the instance in its endpoint names.
    pub instance: String,
    /// Engine id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Spec digest it was made from.
    pub spec_digest: String,
    /// Image digest it was made from.
    pub image_digest: String,
    /// Content id of its image.
    pub image: String,
    /// When it was started.
    #[serde(default, with = "crate::time::maybe")]
    pub started: Option<SystemTime>,
    /// Exit code, where it has ended.
    pub exit_code: Option<i64>,
    /// Whether all is known of its end that will be: the slot's message says why, its details are the last lines.
    #[serde(default)]
    pub explained: bool,
    /// What it provides: endpoint name → address announced (`host:port`), and whether it is announced.
    pub provides: BTreeMap<String, ProvideReport>,
}

/// An endpoint that a container provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvideReport {
    /// Address others use, `host:port`.
    pub address: String,
    /// Address on this machine, `127.0.0.1:port`, where bound.
    pub local_address: Option<String>,
    /// Whether it is announced now.
    pub published: bool,
    /// What the last health check said, where it failed.
    pub failure: Option<String>,
}

/// The last live update of a requirement or secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveUpdateReport {
    /// When it ended, or started where it still runs.
    #[serde(with = "crate::time")]
    pub at: SystemTime,
    /// Whether it still runs.
    pub running: bool,
    /// Exit code of the command; `None` where it did not run to its end.
    pub exit_code: Option<i64>,
    /// How many milliseconds it took.
    pub took_ms: u64,
    /// Last lines it printed.
    pub output: Vec<String>,
    /// Failed tries in a row.
    pub failures: u32,
}

/// A volume on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeReport {
    /// Method that made it.
    pub method: String,
    /// Where it is, in words: a path or a volume's name.
    pub place: String,
    /// Highest epoch its marker has seen.
    pub epoch: u64,
}
