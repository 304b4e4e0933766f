//! Volumes: listed, copied out and in, and deleted on their own command alone.

use super::Partial;
use crate::agents::{ByteStream, VolumeAt};
use crate::orchestrate::{next, volume_at};
use crate::service::Handle;
use crate::state::{ServiceKey, Status, VolumeRecord, volume_id};
use futures_util::stream::StreamExt;
use scs_api::agent::{HostReport, Phase, SlotReport};
use scs_api::error::{Code, Problem};
use scs_api::volume::VolumeInfo;
use scs_manifest::compiled::{Access, Role};
use scs_ports::volume::VolumeId;
use std::collections::BTreeSet;

impl Handle {
    /// Every volume of desired state, by id.
    pub async fn volumes(&self) -> Result<Partial<Vec<VolumeInfo>>, Problem> {
        let reports = self.shared.reports();
        let members = self.shared.fleet.members();
        let silent = self.shared.fleet.silent();
        let (mut volumes, mut missed) = (Vec::new(), BTreeSet::new());
        for record in self.shared.state.volumes(None).await? {
            let reported = uses(&reports, &record).find_map(|it| it.volumes.get(&record.id.name));
            let mut place = reported.map(|it| it.place.clone());
            let mut bytes = None;
            if silent.contains_key(&record.host) {
                missed.insert(record.host.clone());
            } else if let Some(member) = members.get(&record.host).filter(|_| record.known) {
                // A host that cannot say does not keep the others from being listed.
                let seen = member.agent.inspect_volume(volume_at(&record)).await.unwrap_or_default();
                (place, bytes) = (place.or(seen.place), seen.bytes);
            }
            if record.lost.is_some() {
                place = Some(format!("lost with host {}", record.host));
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
        let so = "what is shown of its volumes is what it said last";
        let warnings = self.shared.silent_hosts(|host| missed.contains(host), so);
        Ok(Partial { value: volumes, warnings })
    }

    /// Deletes a volume and its data; refused while its service is wanted or a container uses it.
    pub async fn remove_volume(&self, id: &str) -> Result<(), Problem> {
        let record = self.volume(id).await?;
        let service = ServiceKey::new(&record.id.environment, &record.id.service);
        let _lock = self.shared.locks.take(&service, "volume rm", "")?;
        let wanted = self.shared.state.service(&service).await?.filter(|it| it.status != Status::Down);
        if record.lost.is_some() {
            return self.give_up_volume(&record, wanted.is_some() && self.is_wanted(&service, &record).await?).await;
        }
        let nothing = "nothing was deleted";
        if wanted.is_some() && self.is_wanted(&service, &record).await? {
            return Err(Problem::new(Code::Conflict, format!("volume {id} belongs to {service}, which is up"))
                .hint(format!("{nothing}; `scs down` first")));
        }
        self.refuse_in_use(&record, nothing)?;
        if record.known || record.method != "bind" {
            self.shared.fleet.agent(&record.host)?.remove_volume(volume_at(&record)).await?;
        }
        let mut draft = self.shared.state.draft().await;
        if draft.volume(&record.id).await?.is_some() {
            draft.delete_volume(&record.id);
            draft.commit().await?;
        }
        Ok(())
    }

    /// Gives up what is lost: a fresh volume is made in its place where one is wanted.
    async fn give_up_volume(&self, record: &VolumeRecord, wanted: bool) -> Result<(), Problem> {
        let mut draft = self.shared.state.draft().await;
        match draft.volume(&record.id).await?.filter(|now| now == record) {
            Some(mut now) if wanted => {
                now.renew();
                draft.put_volume(&now);
            }
            Some(_) => draft.delete_volume(&record.id),
            None => {
                let message = format!("volume {} was changed meanwhile", record.id);
                return Err(Problem::new(Code::StalePlan, message).hint("nothing was changed; try again"));
            }
        }
        draft.raise().await?;
        draft.commit().await?;
        self.shared.refresh().await?;
        Ok(())
    }

    /// A volume's content as a tar stream.
    pub async fn export_volume(&self, id: &str) -> Result<ByteStream, Problem> {
        let record = self.volume(id).await?;
        self.shared.fleet.agent(&record.host)?.export_volume(volume_at(&record)).await
    }

    /// Replaces a volume's content by that of a tar stream; refused while a container uses it. One that is not there (it
    /// was deleted, or its service has moved here from elsewhere) is made as the service's last deployment says.
    pub async fn import_volume(&self, id: &str, content: ByteStream) -> Result<(), Problem> {
        let (service, parsed) =
            parse(id).map(|it| (ServiceKey::new(&it.environment, &it.service), it)).ok_or_else(|| missing(id))?;
        let _lock = self.shared.locks.take(&service, "volume import", "")?;
        let record = match self.find(&parsed).await? {
            Some(record) => record,
            None => self.planned(&service, parsed.clone()).await?.ok_or_else(|| {
                missing(id).hint("one that was deleted is made anew while its service's last deployment has it")
            })?,
        };
        self.refuse_in_use(&record, "nothing was written")?;
        let at = self.at(&service, &record).await?;
        // What is wanted is written down before it is made, so that nothing is made that nobody knows.
        let mut draft = self.shared.state.draft().await;
        if draft.volume(&record.id).await?.is_none() {
            draft.put_volume(&record);
            draft.commit().await?;
        } else {
            drop(draft);
        }
        self.shared.fleet.agent(&record.host)?.import_volume(at, content.boxed()).await?;
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
        let parsed = parse(id).ok_or_else(|| missing(id))?;
        self.find(&parsed).await?.ok_or_else(|| missing(id))
    }

    async fn find(&self, id: &VolumeId) -> Result<Option<VolumeRecord>, Problem> {
        Ok(self.shared.state.volumes(None).await?.into_iter().find(|it| it.id == *id))
    }

    /// A volume that is not there, as it would be made for the service's last deployment.
    async fn planned(&self, service: &ServiceKey, id: VolumeId) -> Result<Option<VolumeRecord>, Problem> {
        let Some(record) = self.shared.state.service(service).await? else { return Ok(None) };
        let Some(role) = self.deployed_role(service, &id.role).await? else { return Ok(None) };
        let Some(volume) = role.volumes.get(&id.name).filter(|_| id.index < role.replicas) else { return Ok(None) };
        let reports = self.shared.reports();
        // A service that is down has no place; its volume goes where the next `up` puts it, which on one host is clear.
        let host = record.host(&id.role, id.index).or_else(|| reports.first().map(|it| it.host.as_str()));
        let Some(host) = host else { return Ok(None) };
        next(None, id, volume, host, &record.origin).map(Some)
    }

    /// The volume as its host is told of it, with the volume that it is a part of.
    async fn at(&self, service: &ServiceKey, record: &VolumeRecord) -> Result<VolumeAt, Problem> {
        let mut at = volume_at(record);
        if record.method == "sub"
            && let Some(of) = record.options.get("of").and_then(|it| it.as_str())
            && let Some(role) = self.deployed_role(service, &record.id.role).await?
            && let Some(parent) = role.volumes.get(of)
        {
            let index = if parent.access == Access::Shared { 0 } else { record.id.index };
            let id = VolumeId { index, name: of.to_owned(), ..record.id.clone() };
            let Some(parent) = self.find(&id).await?.filter(|it| it.known) else {
                let message = format!("volume {} is a part of volume {id}, which is not there", record.id);
                return Err(Problem::new(Code::Conflict, message).hint("nothing was written; import the whole first"));
            };
            at.parent = Some(Box::new(Box::pin(self.at(service, &parent)).await?));
        }
        Ok(at)
    }

    /// A role of the deployment that is, or was last, wanted.
    async fn deployed_role(&self, service: &ServiceKey, name: &str) -> Result<Option<Role>, Problem> {
        let Some(record) = self.shared.state.service(service).await? else { return Ok(None) };
        let revision = self.shared.state.revision(service, record.deployed).await?;
        Ok(revision.and_then(|it| it.deployment).and_then(|mut it| it.roles.swap_remove(name)))
    }

    /// Whether the deployment that is wanted mounts a volume.
    async fn is_wanted(&self, service: &ServiceKey, volume: &VolumeRecord) -> Result<bool, Problem> {
        let role = self.deployed_role(service, &volume.id.role).await?;
        Ok(role.is_some_and(|it| volume.id.index < it.replicas && it.volumes.contains_key(&volume.id.name)))
    }

    fn refuse_in_use(&self, record: &VolumeRecord, left: &str) -> Result<(), Problem> {
        let reports = self.shared.reports();
        let Some(user) = uses(&reports, record).find(|it| is_running(it)) else { return Ok(()) };
        let message = format!("volume {} is in use by {}", record.id, user.slot);
        let (service, label, environment) = (&user.slot.service, user.slot.label(), &user.slot.environment);
        let stop = format!("scs stop {service}/{label} --env {environment}");
        Err(Problem::new(Code::Conflict, message).hint(format!("{left}; `{stop}` first")))
    }
}

fn missing(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no volume {id}")).hint("`scs volume ls` lists what there is")
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
