//! Makes network and volumes of a container ready, and gives them back.

use crate::failure;
use crate::files::keep;
use crate::labels::names;
use crate::ports::Ports;
use scs_api::agent::Assignment;
use scs_manifest::compiled::{Access, Role};
use scs_plan::lifecycle::{Failure, Volume};
use scs_plan::slot::Slot;
use scs_ports::engine::{Labels, Mount, MountSource};
use scs_ports::network::{Attachment, NetworkRequest, ProvidedPort};
use scs_ports::volume::{VolumeId, VolumeProvisioner, VolumeRequest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a container is to be attached to.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) attachment: Attachment,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) fresh: Vec<Fresh>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) epoch: u64,
}

/// A volume that was just made, whose root has yet to get its owner and mode.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    pub(crate) source: MountSource,
    pub(crate) owner: Option<String>,
    pub(crate) mode: Option<u32>,
    /// Whether it is a directory of this host that no container has a say in: not a part of another volume, whose containers could
    /// have put a link in its place.
    pub(crate) ours: bool,
    /// Removed once that is done: until then a start that was interrupted finds it and does it.
    pub(crate) marker: PathBuf,
}

/// For whom.
pub(crate) struct For<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) owner: &'a str,
    pub(crate) state: &'a Path,
    pub(crate) assignment: &'a Assignment,
}

impl For<'_> {
    /// The network first, then the volumes in name order.
    pub(crate) async fn prepare(&self, instance: &str, role: &Role) -> Result<Prepared, Failure> {
        let attachment = self.attach(instance, role).await?;
        let mut prepared =
            Prepared { attachment, mounts: Vec::new(), fresh: Vec::new(), volumes: BTreeMap::new(), epoch: 0 };
        let mut sources: BTreeMap<String, MountSource> = BTreeMap::new();
        let mut names: Vec<&String> = role.volumes.keys().collect();
        names.sort();
        // A part of another volume comes after the whole; the manifest has no cycles, and a depth of its size bounds us.
        let mut open = names;
        while !open.is_empty() {
            let before = open.len();
            let mut rest = Vec::new();
            for name in open {
                match parent(role, name) {
                    Some(of) if !sources.contains_key(of) => rest.push(name),
                    of => {
                        let parent = of.and_then(|of| sources.get(of)).cloned();
                        sources.insert(name.clone(), self.volume(role, name, parent, &mut prepared).await?);
                    }
                }
            }
            if rest.len() == before {
                let message = format!("volume {}: the volume it is a part of is not there", rest[0]);
                return Err(failure::saying(message));
            }
            open = rest;
        }
        Ok(prepared)
    }

    async fn attach(&self, instance: &str, role: &Role) -> Result<Attachment, Failure> {
        let method = &role.network.method;
        let Some(network) = self.ports.networks.get(method) else {
            return Err(failure::saying(format!("this host has no network method `{method}`")));
        };
        let mut ports = Vec::new();
        for provide in role.provide.values() {
            let publish_address = match &provide.publish.address {
                Some(text) => {
                    Some(text.parse().map_err(|_| failure::saying(format!("`{text}` is no address of the host")))?)
                }
                None => None,
            };
            ports.push(ProvidedPort {
                container_port: provide.port,
                protocol: provide.protocol,
                publish_port: provide.publish.port,
                publish_address,
            });
        }
        let slot = &self.assignment.slot;
        let labels: Labels = [
            (names::OWNER, self.owner),
            (names::ENVIRONMENT, &slot.environment),
            (names::SERVICE, &slot.service),
            (names::ROLE, &slot.role),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let options = role.network.options.clone();
        let request = NetworkRequest { instance: instance.to_owned(), ports, options, labels };
        network.ensure(&request).await.map_err(|error| failure::of(&error))
    }

    async fn volume(
        &self,
        role: &Role,
        name: &str,
        parent: Option<MountSource>,
        prepared: &mut Prepared,
    ) -> Result<MountSource, Failure> {
        let volume = &role.volumes[name];
        let provisioner = provisioner(self.ports, &volume.method)?;
        let grant = self.assignment.volumes.get(name);
        let id = id(&self.assignment.slot, volume.access, name);
        let marker = self.state.join("fresh").join(id.to_string().replace('/', "_"));
        let interrupted = marker.exists();
        let known = grant.is_some_and(|grant| grant.known);
        let wishes = volume.owner.is_some() || volume.mode.is_some();
        if !known && wishes && !interrupted {
            let marked = std::fs::create_dir_all(self.state.join("fresh")).and_then(|()| keep(&marker, b"", 0o600));
            marked.map_err(|error| failure::saying(format!("cannot write {}: {error}", marker.display())))?;
        }
        let whole = parent.is_none();
        let request = VolumeRequest {
            id,
            known,
            epoch: grant.map_or(0, |grant| grant.epoch),
            owner: self.owner.to_owned(),
            options: volume.options.clone(),
            parent,
            origin: self.assignment.origin.clone(),
        };
        let ensured = provisioner.ensure(&request).await.map_err(|error| failure::of(&error))?;
        if (ensured.fresh || interrupted) && wishes {
            let (owner, mode, source) = (volume.owner.clone(), volume.mode, ensured.source.clone());
            let ours = whole && matches!(source, MountSource::Host(_));
            prepared.fresh.push(Fresh { source, owner, mode, ours, marker });
        } else if !interrupted {
            let _ = std::fs::remove_file(&marker);
        }
        let (target, read_only) = (volume.path.clone(), volume.read_only);
        prepared.mounts.push(Mount { source: ensured.source.clone(), target, read_only });
        prepared.epoch = prepared.epoch.max(ensured.epoch);
        prepared.volumes.insert(name.to_owned(), seen(&volume.method, &ensured.source, ensured.epoch));
        Ok(ensured.source)
    }
}

/// Gives volumes back, the last first.
pub(crate) async fn release(ports: &Ports, slot: &Slot, role: &Role) -> Result<(), Failure> {
    let mut names: Vec<&String> = role.volumes.keys().collect();
    // Parts before their wholes, and otherwise against the order in which they were made ready.
    names.sort_by_key(|name| (parent(role, name).is_some(), *name));
    for name in names.into_iter().rev() {
        let volume = &role.volumes[name];
        let provisioner = provisioner(ports, &volume.method)?;
        provisioner.release(&id(slot, volume.access, name)).await.map_err(|error| failure::of(&error))?;
    }
    Ok(())
}

/// What is there of a role's volumes, changing nothing.
pub(crate) async fn inspect(ports: &Ports, slot: &Slot, role: &Role) -> BTreeMap<String, Volume> {
    let mut found = BTreeMap::new();
    for (name, volume) in &role.volumes {
        let Ok(provisioner) = provisioner(ports, &volume.method) else { continue };
        if let Ok(Some(ensured)) = provisioner.inspect(&id(slot, volume.access, name)).await {
            found.insert(name.clone(), seen(&volume.method, &ensured.source, ensured.epoch));
        }
    }
    found
}

fn provisioner<'a>(ports: &'a Ports, method: &str) -> Result<&'a Arc<dyn VolumeProvisioner>, Failure> {
    ports.volumes.get(method).ok_or_else(|| failure::saying(format!("this host has no volume method `{method}`")))
}

fn seen(method: &str, source: &MountSource, epoch: u64) -> Volume {
    let place = match source {
        MountSource::Host(path) => path.display().to_string(),
        MountSource::Named(name) => name.clone(),
    };
    Volume { method: method.to_owned(), place, epoch }
}

fn parent<'a>(role: &'a Role, name: &str) -> Option<&'a str> {
    let volume = role.volumes.get(name).filter(|volume| volume.method == "sub")?;
    volume.options.get("of")?.as_str()
}

/// A shared volume is one for all replicas.
fn id(slot: &Slot, access: Access, name: &str) -> VolumeId {
    VolumeId {
        environment: slot.environment.clone(),
        service: slot.service.clone(),
        role: slot.role.clone(),
        index: if access == Access::Shared { 0 } else { slot.index },
        name: name.to_owned(),
    }
}
