//! The volume port: gives a container a place to write, wherever that comes from.
//!
//! Three verbs. `ensure` is idempotent, keyed by an id the caller chose; it creates only what the caller says has never
//! been seen, so that a disk that is not mounted is an error and never a fresh empty volume.

use crate::engine::{BoxError, MountSource};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One method of making volumes (`local`, `docker`, …).
#[async_trait]
pub trait VolumeProvisioner: Send + Sync + std::fmt::Debug {
    /// Finds the volume by id, or makes it if `request.known` is false; mounts and attaches it to this host.
    async fn ensure(&self, request: &VolumeRequest) -> Result<Ensured, Error>;
    /// What is there now, changing nothing.
    async fn inspect(&self, id: &VolumeId) -> Result<Option<Ensured>, Error>;
    /// Finds or makes the volume to be copied into, for a permit of `request.epoch` that passes on to this host once the copy is
    /// whole: until it is ensured under that permit or a later one, nothing may have it. One that holds such a permit
    /// already is refused.
    async fn receive(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        let message = "its method cannot be copied to another host".to_owned();
        Err(Error::Unsupported { id: request.id.clone(), message })
    }
    /// Notes that the permit of this epoch, and all before it, have passed on to another host: none of them may have the volume any
    /// more. Data stays.
    async fn hand_over(&self, id: &VolumeId, _epoch: u64, _to: &str) -> Result<(), Error> {
        let message = "its method cannot be handed over to another host".to_owned();
        Err(Error::Unsupported { id: id.clone(), message })
    }
    /// Unmounts and detaches; data stays.
    async fn release(&self, id: &VolumeId) -> Result<(), Error>;
    /// Deletes the data, for `scs volume rm` alone; `Unsupported` for what belongs to the user.
    async fn destroy(&self, id: &VolumeId) -> Result<(), Error>;
}

/// Identity of a volume: never changes, whatever happens to its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VolumeId {
    /// Environment, service, role, instance index (`None` for a shared one) and the image's name for it.
    pub environment: String,
    /// Service.
    pub service: String,
    /// Role.
    pub role: String,
    /// Index of the replica; 0 for the only one.
    pub index: u32,
    /// The image's name for the volume.
    pub name: String,
}

impl std::fmt::Display for VolumeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.environment, self.service, self.role)?;
        if self.index > 0 {
            write!(f, "/{}", self.index)?;
        }
        write!(f, "/{}", self.name)
    }
}

/// A volume to have ready on this host.
#[derive(Debug, Clone)]
pub struct VolumeRequest {
    /// Which one.
    pub id: VolumeId,
    /// Whether desired state has seen it before: then a missing one is an error.
    pub known: bool,
    /// The permit's epoch: an exclusive volume refuses one lower than the highest it has seen. 0 for shared ones.
    pub epoch: u64,
    /// Owner (of the installation) whose marker the volume carries.
    pub owner: String,
    /// The method's options, as the manifest gives them.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// Root of the parent, for `sub` volumes.
    pub parent: Option<MountSource>,
    /// Directory against which the user's relative paths count (where the manifest lies).
    pub origin: PathBuf,
}

/// A volume that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ensured {
    /// What to mount in the container.
    pub source: MountSource,
    /// Whether this very call made it, so that its root's owner and mode are still to be set.
    pub fresh: bool,
    /// The highest epoch its marker has seen.
    pub epoch: u64,
}

/// Why a volume is not ready. Nothing was made or deleted unless a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Desired state knows it, but it is not there.
    #[error("volume {id} should be at {place}, but is not there")]
    Missing {
        /// Which one.
        id: VolumeId,
        /// Where it should be.
        place: String,
    },
    /// Something is there that is not this volume.
    #[error("{place} belongs to {found}, not to volume {id}")]
    Foreign {
        /// Which one.
        id: VolumeId,
        /// Where.
        place: String,
        /// Whose it is.
        found: String,
    },
    /// Somebody with a newer permit has written to it.
    #[error("volume {id} was last written under permit {seen}; permit {asked} has passed on")]
    StaleEpoch {
        /// Which one.
        id: VolumeId,
        /// The epoch its marker has seen.
        seen: u64,
        /// The epoch asked with.
        asked: u64,
    },
    /// It is to be made anew, and its data of before is there: somebody has given that up.
    #[error(
        "volume {id} is to be made anew, and {place} holds data of its permit {seen}, which was given up (it is {asked} now)"
    )]
    GivenUp {
        /// Which one.
        id: VolumeId,
        /// Where.
        place: String,
        /// The epoch its marker has seen.
        seen: u64,
        /// The epoch asked with.
        asked: u64,
    },
    /// Its permit has been handed over to another host.
    #[error("volume {id} was handed over to host {to}; its permit {asked} is no longer good here")]
    HandedOver {
        /// Which one.
        id: VolumeId,
        /// Which host has it since.
        to: String,
        /// The epoch asked with.
        asked: u64,
    },
    /// It is the copy of another host's volume, and not whole yet.
    #[error(
        "volume {id} is being copied from another host and is not whole yet (it will be under permit {until}, not {asked})"
    )]
    Receiving {
        /// Which one.
        id: VolumeId,
        /// The epoch under which it will be.
        until: u64,
        /// The epoch asked with.
        asked: u64,
    },
    /// An option of the method is wrong.
    #[error("option `{option}` of volume {id}: {message}")]
    Option {
        /// Which volume.
        id: VolumeId,
        /// The option.
        option: String,
        /// What is wrong.
        message: String,
    },
    /// The method cannot do that.
    #[error("volume {id}: {message}")]
    Unsupported {
        /// Which volume.
        id: VolumeId,
        /// What it cannot do, and what can.
        message: String,
    },
    /// Something outside failed.
    #[error("volume {id}: cannot {action}")]
    Failed {
        /// Which volume.
        id: VolumeId,
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
}
