//! Keys of the state store. Every part is a DNS label or a number, so `/` separates them without doubt.

use scs_plan::slot::Slot;
use scs_ports::volume::VolumeId;

/// Where the id of the cluster and the revision of assignments are.
pub(super) const CLUSTER: &str = "cluster";
/// Where hosts are.
pub(super) const HOSTS: &str = "host/";

/// Where people are.
pub(super) const PEOPLE: &str = "person/";
/// Where one-time tokens are, by their digest.
pub(super) const TOKENS: &str = "token/";
/// Where certificates are that are turned away, by serial.
pub(super) const REVOKED: &str = "revoked/";

pub(super) fn person(name: &str) -> String {
    format!("{PEOPLE}{name}")
}

pub(super) fn token(digest: &str) -> String {
    format!("{TOKENS}{digest}")
}

pub(super) fn revoked(serial: &str) -> String {
    format!("{REVOKED}{serial}")
}

pub(super) fn host(name: &str) -> String {
    format!("{HOSTS}{name}")
}

/// A service of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServiceKey {
    pub(crate) environment: String,
    pub(crate) service: String,
}

impl std::fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.environment, self.service)
    }
}

impl ServiceKey {
    /// Of two DNS labels.
    pub(crate) fn new(environment: &str, service: &str) -> Self {
        Self { environment: environment.to_owned(), service: service.to_owned() }
    }

    pub(super) fn record(&self) -> String {
        format!("service/{self}")
    }

    pub(super) fn of_record(key: &str) -> Option<Self> {
        let (environment, service) = key.strip_prefix("service/")?.split_once('/')?;
        Some(Self::new(environment, service))
    }

    pub(super) fn revisions(&self) -> String {
        format!("revision/{self}/")
    }

    /// Padded, so that keys are in the order of numbers.
    pub(super) fn revision(&self, number: u64) -> String {
        format!("revision/{self}/{number:010}")
    }

    pub(super) fn tombstones(&self) -> String {
        format!("tombstone/{self}/")
    }

    pub(super) fn volumes(&self) -> String {
        format!("volume/{self}/")
    }

    pub(super) fn secrets(&self) -> String {
        format!("secret/{self}/")
    }

    pub(super) fn secret(&self, name: &str) -> String {
        format!("secret/{self}/{name}")
    }

    /// What a secret's value is sealed under.
    pub(crate) fn seal(&self, name: &str) -> String {
        format!("{self}/{name}")
    }

    /// The slot of a role.
    pub(crate) fn slot(&self, role: &str, index: u32) -> Slot {
        Slot { environment: self.environment.clone(), service: self.service.clone(), role: role.to_owned(), index }
    }

    /// Whether a slot is one of this service.
    pub(crate) fn holds(&self, slot: &Slot) -> bool {
        self.environment == slot.environment && self.service == slot.service
    }
}

/// Of a slot on a host: one that moves may still be leaving another.
pub(super) fn tombstone(slot: &Slot, host: &str) -> String {
    format!("tombstone/{}/{}/{}/{}/{host}", slot.environment, slot.service, slot.role, slot.index)
}

/// Where moves are.
pub(super) const MOVES: &str = "move/";

pub(super) fn movement(slot: &Slot) -> String {
    format!("{MOVES}{}/{}/{}/{}", slot.environment, slot.service, slot.role, slot.index)
}

pub(super) fn slot_of_tombstone(key: &str) -> Option<Slot> {
    let mut parts = key.strip_prefix("tombstone/")?.split('/');
    let mut part = || parts.next().map(str::to_owned);
    Some(Slot { environment: part()?, service: part()?, role: part()?, index: part()?.parse().ok()? })
}

pub(super) fn volume(id: &VolumeId) -> String {
    format!("volume/{}/{}/{}/{}/{}", id.environment, id.service, id.role, id.index, id.name)
}

/// The id of a slot's volume: shared ones belong to all instances of the role, which is written as index 0.
pub(crate) fn volume_id(slot: &Slot, name: &str, shared: bool) -> VolumeId {
    VolumeId {
        environment: slot.environment.clone(),
        service: slot.service.clone(),
        role: slot.role.clone(),
        index: if shared { 0 } else { slot.index },
        name: name.to_owned(),
    }
}
