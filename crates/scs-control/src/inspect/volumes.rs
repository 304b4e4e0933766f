//! Volumes: listed, copied out and in, and deleted on their own command alone.

use crate::agents::ByteStream;
use crate::orchestrate::volume_at;
use crate::service::Handle;
use crate::state::{ServiceKey, Status, VolumeRecord, volume_id};
use futures_util::stream::StreamExt;
use scs_api::agent::{HostReport, Phase, SlotReport};
use scs_api::error::{Code, Problem};
use scs_api::volume::VolumeInfo;
use scs_manifest::compiled::Access;
use scs_ports::volume::VolumeId;

impl Handle {
    /// Every volume of desired state, by id.
    pub async fn volumes(&self) -> Result<Vec<VolumeInfo>, Problem> {
        let reports = self.shared.reports();
        let mut volumes = Vec::new();
        for record in self.shared.state.volumes(None).await? {
            let reported = uses(&reports, &record).find_map(|it| it.volumes.get(&record.id.name));
            let mut place = reported.map(|it| it.place.clone());
            let mut bytes = None;
            if let Some(agent) = self.shared.agents.get(&record.host).filter(|_| record.known) {
                // A host that cannot say does not keep the others from being listed.
                let seen = agent.inspect_volume(volume_at(&record)).await.unwrap_or_default();
                (place, bytes) = (place.or(seen.place), seen.bytes);
            }
            volumes.push(VolumeInfo {
                id: record.id.to_string(),
                method: record.method.clone(),
                host: record.host.clone(),
                place,
                epoch: record.epoch(),
                in_use: uses(&reports, &record).any(is_running),
                bytes,
            });
        }
        Ok(volumes)
    }

    /// Deletes a volume and its data; refused while its service is wanted or a container uses it.
    pub async fn remove_volume(&self, id: &str) -> Result<(), Problem> {
        let record = self.volume(id).await?;
        let service = ServiceKey::new(&record.id.environment, &record.id.service);
        let _lock = self.shared.locks.take(&service, "volume rm", "")?;
        let wanted = self.shared.state.service(&service).await?.filter(|it| it.status != Status::Down);
        let nothing = "nothing was deleted";
        if wanted.is_some() && self.is_wanted(&service, &record).await? {
            return Err(Problem::new(Code::Conflict, format!("volume {id} belongs to {service}, which is up"))
                .hint(format!("{nothing}; `scs down` first")));
        }
        self.refuse_in_use(&record, nothing)?;
        if record.known || record.method != "bind" {
            self.shared.agent(&record.host)?.remove_volume(volume_at(&record)).await?;
        }
        let mut draft = self.shared.state.draft().await;
        if draft.volume(&record.id).await?.is_some() {
            draft.delete_volume(&record.id);
            draft.commit().await?;
        }
        Ok(())
    }

    /// A volume's content as a tar stream.
    pub async fn export_volume(&self, id: &str) -> Result<ByteStream, Problem> {
        let record = self.volume(id).await?;
        self.shared.agent(&record.host)?.export_volume(volume_at(&record)).await
    }

    /// Replaces a volume's content by that of a tar stream; refused while a container uses it.
    pub async fn import_volume(&self, id: &str, content: ByteStream) -> Result<(), Problem> {
        let record = self.volume(id).await?;
        let service = ServiceKey::new(&record.id.environment, &record.id.service);
        let _lock = self.shared.locks.take(&service, "volume import", "")?;
        self.refuse_in_use(&record, "nothing was written")?;
        self.shared.agent(&record.host)?.import_volume(volume_at(&record), content.boxed()).await?;
        let mut draft = self.shared.state.draft().await;
        if let Some(mut now) = draft.volume(&record.id).await?.filter(|it| !it.known) {
            // It has data from now on, so that a missing one is an error.
            now.known = true;
            draft.put_volume(&now);
            draft.raise().await?;
            draft.commit().await?;
            self.shared.refresh().await?;
        }
        Ok(())
    }

    async fn volume(&self, id: &str) -> Result<VolumeRecord, Problem> {
        let missing = || {
            Problem::new(Code::NotFound, format!("there is no volume {id}")).hint("`scs volume ls` lists what there is")
        };
        let parsed = parse(id).ok_or_else(missing)?;
        let mut found = self.shared.state.volumes(None).await?.into_iter();
        found.find(|it| it.id == parsed).ok_or_else(missing)
    }

    /// Whether the deployment that is wanted mounts a volume.
    async fn is_wanted(&self, service: &ServiceKey, volume: &VolumeRecord) -> Result<bool, Problem> {
        let record = self.shared.state.service(service).await?;
        let Some(deployed) = record.map(|it| it.deployed) else { return Ok(false) };
        let revision = self.shared.state.revision(service, deployed).await?;
        let role = revision.and_then(|it| it.deployment).and_then(|mut it| it.roles.swap_remove(&volume.id.role));
        Ok(role.is_some_and(|it| volume.id.index < it.replicas && it.volumes.contains_key(&volume.id.name)))
    }

    fn refuse_in_use(&self, record: &VolumeRecord, left: &str) -> Result<(), Problem> {
        let reports = self.shared.reports();
        let Some(user) = uses(&reports, record).find(|it| is_running(it)) else { return Ok(()) };
        let message = format!("volume {} is in use by {}", record.id, user.slot);
        Err(Problem::new(Code::Conflict, message).hint(format!("{left}; `scs stop {}` first", user.slot.role)))
    }
}

/// Slots that mount a volume, as their hosts see them.
fn uses<'a>(reports: &'a [HostReport], record: &'a VolumeRecord) -> impl Iterator<Item = &'a SlotReport> {
    let shared = record.access == Access::Shared;
    reports
        .iter()
        .flat_map(|it| &it.slots)
        .filter(move |it| volume_id(&it.slot, &record.id.name, shared) == record.id)
        .filter(|it| it.volumes.contains_key(&record.id.name) || is_running(it))
}

/// Whether a container may be writing.
fn is_running(slot: &SlotReport) -> bool {
    let container = slot.container.as_ref().is_some_and(|it| it.exit_code.is_none());
    container && !matches!(slot.phase, Phase::Stopped | Phase::Ended)
}

/// `environment/service/role[/index]/name`.
fn parse(id: &str) -> Option<VolumeId> {
    let parts: Vec<&str> = id.split('/').collect();
    let (environment, service, role, index, name) = match parts.as_slice() {
        [environment, service, role, name] => (environment, service, role, 0, name),
        [environment, service, role, index, name] => (environment, service, role, index.parse().ok()?, name),
        _ => return None,
    };
    Some(VolumeId {
        environment: (*environment).to_owned(),
        service: (*service).to_owned(),
        role: (*role).to_owned(),
        index,
        name: (*name).to_owned(),
    })
}
