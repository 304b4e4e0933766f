//! What a changed role asks of the container that fills its slot: nothing, a live update, or a new container.
//!
//! Shared by the plan, which shows it, and by the lifecycle, which does it, so that the two never disagree. Both roles
//! are compiled ones; the old one is what the running container was made from (or has since been updated to).

use indexmap::IndexMap;
use scs_manifest::compiled::{Access, Protocol, Provide, Require, Role, SecretAs, SecretUse, Volume};
use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// What a change asks of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Nothing: the container is as wanted. Digests may differ all the same, where only words, the number of replicas or
    /// the place changed: the new document is taken over silently.
    None,
    /// The running container stays; what connects it or watches it changes (endpoints asked for, health check, secrets as
    /// files, attributes, restart policy, …).
    Live,
    /// A new container is needed: the image, the process, its mounts, ports or network changed.
    Replace,
}

/// In which order a container is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// The new one is healthy before the old one stops.
    StartFirst,
    /// The old one stops before the new one starts, because both need the same thing.
    StopFirst(Obstacle),
}

/// What two containers of a slot cannot have at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A volume that one container at a time may write to; its name.
    Volume(String),
    /// A fixed port of the host.
    Port(u16),
    /// An address of its own; the network method (`host`, `macvlan`, …).
    Network(String),
}

impl std::fmt::Display for Obstacle {
    /// Follows "stops first, because …".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Obstacle::Volume(name) => write!(f, "only one container may use volume {name}"),
            Obstacle::Port(port) => write!(f, "port {port} of the host is fixed"),
            Obstacle::Network(method) => write!(f, "network {method} gives one address"),
        }
    }
}

/// What has to happen to a container of `old` so that it is one of `new`.
#[must_use]
pub fn classify(old: &Role, new: &Role) -> ChangeKind {
    if old.image_digest == new.image_digest && old.spec_digest == new.spec_digest && !old.spec_digest.is_empty() {
        return ChangeKind::None;
    }
    if needs_container(old, new) {
        ChangeKind::Replace
    } else if needs_update(old, new) {
        ChangeKind::Live
    } else {
        ChangeKind::None
    }
}

/// In which order a container of `old` is replaced by one of `new`.
#[must_use]
pub fn replace_strategy(old: &Role, new: &Role) -> Strategy {
    obstacle(old, new).map_or(Strategy::StartFirst, Strategy::StopFirst)
}

/// Parts that are fixed when a container is created.
fn needs_container(old: &Role, new: &Role) -> bool {
    let (before, after) = (&old.process, &new.process);
    // The grace period counts when the container is stopped, not when it is made.
    let process_differs = before.command != after.command
        || before.environment != after.environment
        || before.memory != after.memory
        || before.cpus != after.cpus
        || before.ulimits != after.ulimits
        || before.shm_size != after.shm_size
        || before.cap_add != after.cap_add
        || before.tmpfs != after.tmpfs
        || before.init != after.init;
    process_differs
        || old.name != new.name
        || old.image_digest != new.image_digest
        || old.network != new.network
        || !same(&old.provide, &new.provide, same_binding)
        || !same_names(&old.require, &new.require)
        || !same(&old.volumes, &new.volumes, same_mount)
        || secrets_in_environment(&old.secrets) != secrets_in_environment(&new.secrets)
}

/// Parts that whoever looks after the container reads at run time.
fn needs_update(old: &Role, new: &Role) -> bool {
    old.process.stop_grace_period != new.process.stop_grace_period
        || !same(&old.provide, &new.provide, same_announcement)
        || !same(&old.require, &new.require, same_requirement)
        || old.secrets != new.secrets
        || old.quiesce != new.quiesce
        || old.logs != new.logs
        || old.restart != new.restart
        || old.fence != new.fence
}

fn same<T>(old: &IndexMap<String, T>, new: &IndexMap<String, T>, equal: impl Fn(&T, &T) -> bool) -> bool {
    old.len() == new.len() && old.iter().all(|(name, before)| new.get(name).is_some_and(|after| equal(before, after)))
}

/// A requirement that comes or goes changes the environment the process starts with.
fn same_names(old: &IndexMap<String, Require>, new: &IndexMap<String, Require>) -> bool {
    same(old, new, |_, _| true)
}

fn same_binding(old: &Provide, new: &Provide) -> bool {
    old.port == new.port && old.protocol == new.protocol && old.publish == new.publish
}

fn same_announcement(old: &Provide, new: &Provide) -> bool {
    old.method == new.method && old.attributes == new.attributes && old.health == new.health
}

fn same_requirement(old: &Require, new: &Require) -> bool {
    old.method == new.method && old.min == new.min && old.wait == new.wait && old.liveupdate == new.liveupdate
}

/// Owner and mode count when a volume is made, not when it is mounted.
fn same_mount(old: &Volume, new: &Volume) -> bool {
    old.path == new.path
        && old.access == new.access
        && old.read_only == new.read_only
        && old.method == new.method
        && old.options == new.options
}

fn secrets_in_environment(secrets: &IndexMap<String, SecretUse>) -> BTreeSet<(&str, &str)> {
    let in_environment = secrets.iter().filter(|(_, secret)| secret.r#as == SecretAs::Environment);
    in_environment.map(|(name, secret)| (name.as_str(), secret.from.as_str())).collect()
}

fn obstacle(old: &Role, new: &Role) -> Option<Obstacle> {
    let exclusive = |role: &Role, name: &str| role.volumes.get(name).is_some_and(|it| it.access == Access::Single);
    let shared_volume = old.volumes.keys().find(|name| {
        new.volumes.contains_key(*name) && (exclusive(old, name.as_str()) || exclusive(new, name.as_str()))
    });
    if let Some(name) = shared_volume {
        return Some(Obstacle::Volume(name.clone()));
    }
    // A bridge gives every container an address of its own; every other method gives the slot's one.
    if let Some(role) = [old, new].into_iter().find(|role| role.network.method != "bridge") {
        return Some(Obstacle::Network(role.network.method.clone()));
    }
    let before = fixed_ports(old);
    fixed_ports(new).intersection(&before).next().map(|(port, _)| Obstacle::Port(*port))
}

fn fixed_ports(role: &Role) -> BTreeSet<(u16, Protocol)> {
    role.provide.values().filter_map(|it| Some((it.publish.port?, it.protocol))).collect()
}
