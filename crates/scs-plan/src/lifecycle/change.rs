//! What a changed role asks of a running container: nothing, to be told, or to be replaced, and in which order.

use scs_manifest::compiled::{Access, Role, SecretAs};
use std::collections::BTreeSet;

/// In which order a container is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The new container is healthy before the old one stops.
    StartFirst,
    /// The old container stops before the new one starts.
    StopFirst,
}

/// Whether both containers may run side by side: not where they share an exclusive volume, a fixed port of the host, or a
/// network in which they would ask for the same address.
#[must_use]
pub fn replace_strategy(old: &Role, new: &Role) -> Strategy {
    let exclusive =
        |role: &Role| role.volumes.values().any(|volume| volume.access == Access::Single && !volume.read_only);
    let ports = |role: &Role| {
        role.provide.values().filter_map(|p| p.publish.port.map(|port| (port, p.protocol))).collect::<BTreeSet<_>>()
    };
    let bridged = |role: &Role| role.network.method == "bridge";
    if exclusive(old) && exclusive(new) || !ports(old).is_disjoint(&ports(new)) || !bridged(old) && !bridged(new) {
        Strategy::StopFirst
    } else {
        Strategy::StartFirst
    }
}

/// Whether a container of `old` has to be replaced for `new`; in words, what differs. `None` where a running container can be
/// told, or nothing at all has to happen.
#[must_use]
pub fn replacement(old: &Role, new: &Role) -> Option<&'static str> {
    if old.image_digest != new.image_digest {
        return Some("its image changed");
    }
    let mut process = old.process.clone();
    process.stop_grace_period = new.process.stop_grace_period;
    if process != new.process {
        return Some("its process or environment changed");
    }
    if old.volumes.len() != new.volumes.len()
        || old.volumes.iter().any(|(name, volume)| {
            new.volumes.get(name).is_none_or(|new| {
                (&volume.path, volume.read_only, &volume.method, &volume.options)
                    != (&new.path, new.read_only, &new.method, &new.options)
            })
        })
    {
        return Some("its volumes changed");
    }
    if old.network != new.network {
        return Some("its network changed");
    }
    let bound = |role: &Role| {
        role.provide.iter().map(|(name, p)| (name.clone(), p.port, p.protocol, p.publish.clone())).collect::<Vec<_>>()
    };
    if sorted(bound(old)) != sorted(bound(new)) {
        return Some("its ports changed");
    }
    let names = |role: &Role| role.require.keys().cloned().collect::<BTreeSet<_>>();
    if names(old) != names(new) {
        return Some("its requirements changed");
    }
    let secrets = |role: &Role| {
        let one = |(name, secret): (&String, &scs_manifest::compiled::SecretUse)| {
            (name.clone(), secret.r#as == SecretAs::File)
        };
        role.secrets.iter().map(one).collect::<BTreeSet<_>>()
    };
    (secrets(old) != secrets(new)).then_some("its secrets changed")
}

fn sorted<T>(
    mut list: Vec<(String, u16, scs_manifest::compiled::Protocol, T)>,
) -> Vec<(String, u16, scs_manifest::compiled::Protocol, T)> {
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list
}

/// Requirements whose endpoints are frozen in the environment at start: those that a template of it names.
#[must_use]
pub fn frozen_requirements(role: &Role) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for template in role.process.environment.values() {
        for block in template.split("{{").skip(1) {
            let inside = block.split("}}").next().unwrap_or_default();
            for part in inside.split("require.").skip(1) {
                let end =
                    part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(part.len());
                names.extend(part.get(..end).map(str::to_owned));
            }
            // `require["a-b"]`, for names that are no identifiers.
            for part in inside.split("require[").skip(1) {
                let quoted = part.trim_start().trim_start_matches(['"', '\'']);
                names.extend(quoted.split(['"', '\'', ']']).next().map(str::to_owned));
            }
        }
    }
    names.retain(|name| role.require.contains_key(name));
    names
}

/// Secrets that are frozen in the environment at start.
pub(super) fn frozen_secrets(role: &Role) -> impl Iterator<Item = &String> {
    role.secrets.iter().filter(|(_, secret)| secret.r#as == SecretAs::Environment).map(|(name, _)| name)
}
