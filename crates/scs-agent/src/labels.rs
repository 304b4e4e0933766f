//! Labels by which an agent finds its containers again.

use scs_manifest::compiled::Role;
pub(crate) use scs_plan::lifecycle::FoundState;
use scs_plan::lifecycle::{Desired, Exit};
use scs_plan::slot::Slot;
use scs_ports::engine::{Container, Labels, State};
use std::net::IpAddr;

/// Names of the labels.
pub mod names {
    /// Id of the installation; nobody touches what is another's.
    pub const OWNER: &str = "scs.owner";
    /// Id of the cluster.
    pub const CLUSTER: &str = "scs.cluster";
    /// Environment.
    pub const ENVIRONMENT: &str = "scs.environment";
    /// Service.
    pub const SERVICE: &str = "scs.service";
    /// Role.
    pub const ROLE: &str = "scs.role";
    /// Index of the replica, from 0.
    pub const INDEX: &str = "scs.index";
    /// Run id, also the instance in endpoint names.
    pub const INSTANCE: &str = "scs.instance";
    /// Image digest.
    pub const IMAGE_DIGEST: &str = "scs.image-digest";
    /// Spec digest it was made from.
    pub const SPEC_DIGEST: &str = "scs.spec-digest";
    /// Generation it was made in.
    pub const GENERATION: &str = "scs.generation";
    /// Highest permit of its exclusive volumes.
    pub const EPOCH: &str = "scs.epoch";
    /// The compiled role it was made from, as JSON.
    pub const ROLE_SPEC: &str = "scs.role-spec";
    /// The address under which others reach its ports.
    pub const ANNOUNCE: &str = "scs.announce";
    /// The same over IPv6, where it is reached over both.
    pub const ANNOUNCE_V6: &str = "scs.announce-v6";
    /// What a container is for that fills no slot: `own` sets the owner of a fresh volume.
    pub const PURPOSE: &str = "scs.purpose";
}

/// What is made for a container.
pub(crate) struct Made<'a> {
    pub(crate) owner: &'a str,
    pub(crate) cluster: &'a str,
    pub(crate) slot: &'a Slot,
    pub(crate) instance: &'a str,
    pub(crate) desired: &'a Desired,
    pub(crate) epoch: u64,
    pub(crate) announce: Option<IpAddr>,
    pub(crate) announce_v6: Option<IpAddr>,
}

impl Made<'_> {
    pub(crate) fn labels(&self) -> Labels {
        let role = &self.desired.role;
        let spec = serde_json::to_string(role).expect("a role serialises: its maps have text keys");
        let mut labels: Labels = [
            (names::OWNER, self.owner.to_owned()),
            (names::CLUSTER, self.cluster.to_owned()),
            (names::ENVIRONMENT, self.slot.environment.clone()),
            (names::SERVICE, self.slot.service.clone()),
            (names::ROLE, self.slot.role.clone()),
            (names::INDEX, self.slot.index.to_string()),
            (names::INSTANCE, self.instance.to_owned()),
            (names::IMAGE_DIGEST, role.image_digest.clone()),
            (names::SPEC_DIGEST, role.spec_digest.clone()),
            (names::GENERATION, self.desired.generation.to_string()),
            (names::EPOCH, self.epoch.to_string()),
            (names::ROLE_SPEC, spec),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(announce) = self.announce {
            labels.insert(names::ANNOUNCE.to_owned(), announce.to_string());
        }
        if let Some(announce) = self.announce_v6 {
            labels.insert(names::ANNOUNCE_V6.to_owned(), announce.to_string());
        }
        labels
    }
}

/// The slot and instance of a container, if it fills one.
pub(crate) fn slot(labels: &Labels) -> Option<(Slot, String)> {
    let get = |name: &str| labels.get(name).cloned();
    let slot = Slot {
        environment: get(names::ENVIRONMENT)?,
        service: get(names::SERVICE)?,
        role: get(names::ROLE)?,
        index: get(names::INDEX)?.parse().ok()?,
    };
    Some((slot, get(names::INSTANCE)?))
}

/// What a container was made of. Secrets are not known from labels.
pub(crate) fn desired(labels: &Labels) -> Option<Desired> {
    let role: Role = serde_json::from_str(labels.get(names::ROLE_SPEC)?).ok()?;
    let generation = labels.get(names::GENERATION)?.parse().ok()?;
    Some(Desired { role, generation, stopped: false, moving: false, secrets: Default::default() })
}

/// The address under which others reach it.
pub(crate) fn announce(labels: &Labels) -> Option<IpAddr> {
    labels.get(names::ANNOUNCE)?.parse().ok()
}

/// The same over IPv6.
pub(crate) fn announce_v6(labels: &Labels) -> Option<IpAddr> {
    labels.get(names::ANNOUNCE_V6)?.parse().ok()
}

/// Its state.
pub(crate) fn state(container: &Container) -> FoundState {
    match &container.state {
        State::Created => FoundState::Created,
        State::Running | State::Paused => FoundState::Running,
        State::Exited(exit) => FoundState::Exited(self::exit(exit)),
    }
}

/// How it ended.
pub(crate) fn exit(exit: &scs_ports::engine::Exit) -> Exit {
    let message = if exit.out_of_memory { Some("out of memory".to_owned()) } else { exit.error.clone() };
    Exit { code: Some(exit.code), message: message.filter(|message| !message.is_empty()), output: Vec::new() }
}
