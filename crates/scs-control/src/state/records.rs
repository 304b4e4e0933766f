//! What the keys of desired state hold. A field may be added with a default; anything else raises the format.

use super::volume_id;
use crate::vault::Sealed;
use scs_api::join::Purpose;
use scs_api::person::Role;
use scs_manifest::compiled::{Access, Deployment};
use scs_plan::slot::Slot;
use scs_ports::volume::VolumeId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

/// Whose desired state this is, and how often assignments changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) format: u32,
    pub(crate) id: String,
    pub(crate) revision: u64,
}

/// A service that is, or was, wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceRecord {
    /// Number of its last revision.
    pub(crate) revision: u64,
    /// Number of the revision whose deployment is wanted (or was, until it went down).
    pub(crate) deployed: u64,
    pub(crate) status: Status,
    /// Directory of the manifests.
    pub(crate) origin: PathBuf,
    /// Host of each slot, by `ROLE/INDEX`.
    pub(crate) hosts: BTreeMap<String, String>,
    /// Generation of each slot that was ever restarted, by `ROLE/INDEX`; never goes back.
    #[serde(default)]
    pub(crate) generations: BTreeMap<String, u64>,
    /// Slots that are stopped by hand, as `ROLE/INDEX`.
    #[serde(default)]
    pub(crate) stopped: BTreeSet<String>,
    /// Where somebody moved a slot to, by `ROLE/INDEX`: that holds until somebody asks for the manifest's placement.
    #[serde(default)]
    pub(crate) moved: BTreeMap<String, MovedRecord>,
    /// Slots without a host because theirs was given up for dead, by `ROLE/INDEX`: that host. They are placed as soon as they can be.
    #[serde(default)]
    pub(crate) bereft: BTreeMap<String, String>,
}

/// That somebody moved a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedRecord {
    pub(crate) host: String,
    pub(crate) who: String,
    pub(crate) at: SystemTime,
    /// Whether the manifest's placement forbids that host.
    #[serde(default)]
    pub(crate) forced: bool,
}

/// Whether a service is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It is.
    Up,
    /// It is being taken down; whoever finds it so goes on with that.
    Leaving,
    /// It is not; its history and its volumes stay.
    Down,
}

/// The name of a slot within its service.
pub(crate) fn within(role: &str, index: u32) -> String {
    format!("{role}/{index}")
}

impl ServiceRecord {
    pub(crate) fn host(&self, role: &str, index: u32) -> Option<&str> {
        self.hosts.get(&within(role, index)).map(String::as_str)
    }

    pub(crate) fn generation(&self, role: &str, index: u32) -> u64 {
        self.generations.get(&within(role, index)).copied().unwrap_or(1)
    }

    pub(crate) fn is_stopped(&self, role: &str, index: u32) -> bool {
        self.stopped.contains(&within(role, index))
    }
}

/// One change of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RevisionRecord {
    pub(crate) revision: u64,
    pub(crate) at: SystemTime,
    pub(crate) who: String,
    /// `up`, `down`, `rollback to 3`, `restart wordpress`.
    pub(crate) what: String,
    /// Roles whose digests differ from what was wanted before.
    pub(crate) changed: Vec<String>,
    /// What was wanted from then on; `None` where the change left that as it was (`down`, `restart`).
    pub(crate) deployment: Option<Deployment>,
    /// Directory of the manifests.
    pub(crate) origin: PathBuf,
}

/// A slot that is to be emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TombstoneRecord {
    pub(crate) host: String,
    /// Revision of the assignments that first held it: an older report says nothing about it.
    pub(crate) revision: u64,
}

/// A volume that exists, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRecord {
    pub(crate) id: VolumeId,
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) options: serde_json::Map<String, serde_json::Value>,
    pub(crate) access: Access,
    /// Directory against which the user's relative paths count.
    pub(crate) origin: PathBuf,
    /// Host it is on.
    pub(crate) host: String,
    /// Whether a host has said that it is there.
    pub(crate) known: bool,
    /// Who may write; `None` for shared volumes.
    pub(crate) permit: Option<Permit>,
    /// That its data is lost. Nothing starts with it, or with a fresh one in its place, until somebody has given it up.
    #[serde(default)]
    pub(crate) lost: Option<LostRecord>,
}

/// That somebody has said that a host is dead for good, and what lay there lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LostRecord {
    pub(crate) who: String,
    pub(crate) at: SystemTime,
}

impl VolumeRecord {
    /// Whether a slot mounts it.
    pub(crate) fn used_by(&self, slot: &Slot) -> bool {
        volume_id(slot, &self.id.name, self.access == Access::Shared) == self.id
    }

    /// Takes it from its host, which is dead: whatever that host still has is of an earlier epoch from now on.
    pub(crate) fn revoke(&mut self) {
        if let Some(permit) = &mut self.permit {
            (permit.epoch, permit.holder) = (permit.epoch + 1, String::new());
        }
    }

    /// Gives up its data: it is made anew wherever it is granted next.
    pub(crate) fn renew(&mut self) {
        (self.lost, self.known) = (None, false);
    }

    /// Epoch of its permit; 0 for a shared volume, though it keeps the permit it had when it was exclusive.
    pub(crate) fn epoch(&self) -> u64 {
        if self.access == Access::Shared {
            return 0;
        }
        self.permit.as_ref().map_or(0, |permit| permit.epoch)
    }
}

/// The right to write to an exclusive volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Permit {
    /// Raised whenever it passes on.
    pub(crate) epoch: u64,
    /// Host that holds it; nobody, where its host was given up for dead and no other has it yet.
    pub(crate) holder: String,
}

/// A secret's value, sealed, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretRecord {
    pub(crate) name: String,
    pub(crate) sealed: Sealed,
    /// In words: `generated`, `file db.txt`, `set by hand`.
    pub(crate) source: String,
    pub(crate) changed: SystemTime,
}

/// A host that has joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostRecord {
    pub(crate) name: String,
    /// `host:port` of its agent.
    pub(crate) address: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Takes nothing new.
    #[serde(default)]
    pub(crate) drained: bool,
    pub(crate) joined: SystemTime,
    /// Version of the program that it joined with.
    #[serde(default)]
    pub(crate) version: String,
    /// Certificates that were issued to it and have not ended, the newest last.
    #[serde(default)]
    pub(crate) certificates: Vec<IssuedRecord>,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IssuedRecord {
    pub(crate) serial: String,
    pub(crate) not_after: SystemTime,
}

/// A person who has joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PersonRecord {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// `*` is any.
    pub(crate) environments: Vec<String>,
    pub(crate) joined: SystemTime,
    /// Certificates that were issued to them and have not ended, the newest last.
    #[serde(default)]
    pub(crate) certificates: Vec<IssuedRecord>,
}

/// A one-time token; its key is the digest of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) purpose: Purpose,
    pub(crate) expires: SystemTime,
    /// Who had it made.
    pub(crate) by: String,
    pub(crate) used: Option<UsedRecord>,
}

/// What a token was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedRecord {
    /// Who got a certificate for it, e.g. `host h2`.
    pub(crate) by: String,
    pub(crate) at: SystemTime,
    /// Digest of the request: whoever sends the same again, because the answer was lost, gets another answer.
    pub(crate) request: String,
}

/// A certificate that is turned away; its key is the serial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RevokedRecord {
    pub(crate) holder: String,
    /// When it ends by itself.
    pub(crate) not_after: SystemTime,
    pub(crate) at: SystemTime,
}
