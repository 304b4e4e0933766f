//! Reports to desired state: tombstones that are done go, volumes that exist become known.

use super::{RETRY, Shared};
use crate::agents::Agent;
use crate::state::{Draft, Error, MovedRecord, ServiceKey, Status, VolumeRecord, volume_id, within};
use scs_api::agent::HostReport;
use scs_plan::slot::Slot;
use scs_ports::volume::VolumeId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

/// Takes in a host's reports, until the control plane stops.
pub(super) async fn keep_absorbing(shared: Arc<Shared>, agent: Arc<dyn Agent>) {
    let mut reports = agent.report();
    let mut pause = RETRY.0;
    loop {
        let report = reports.borrow_and_update().clone();
        match absorb(&shared, agent.host(), &report).await {
            Ok(()) => {
                pause = RETRY.0;
                match shared.unless_stopping(reports.changed()).await {
                    Some(Ok(())) => {}
                    // The agent has ended; what it said stays true until somebody says otherwise.
                    Some(Err(_)) => return shared.stopping.cancelled().await,
                    None => return,
                }
            }
            Err(error) => {
                tracing::warn!(host.id = agent.host(), %error, "a report could not be taken in");
                let next = tokio::time::timeout(pause, reports.changed());
                if shared.unless_stopping(next).await.is_none() {
                    return;
                }
                pause = (pause * 2).min(RETRY.1);
            }
        }
    }
}

async fn absorb(shared: &Shared, host: &str, report: &HostReport) -> Result<(), Error> {
    let has_volumes = report.slots.iter().any(|it| !it.volumes.is_empty());
    let volumes = if has_volumes { shared.state.volumes(None).await? } else { Vec::new() };
    let new_volumes = unknown_volumes(&volumes, host, report);
    let later = later_epochs(&volumes, report);
    if report.gone.is_empty() && new_volumes.is_empty() && later.is_empty() {
        return Ok(());
    }
    let is_older = shared.is_older_than(report.revision).await?;
    let mut draft = shared.state.draft().await;
    for slot in &report.gone {
        let tombstone = draft.tombstone(slot, host).await?;
        // A report on older assignments speaks of an earlier tombstone of the same slot.
        if tombstone.is_some_and(|it| it.host == host && it.revision <= report.revision) {
            draft.delete_tombstone(slot, host);
        }
    }
    for volume in new_volumes {
        if let Some(mut record) = draft.volume(&volume.id).await?.filter(|it| !it.known && it.host == host) {
            record.known = true;
            draft.put_volume(&record);
        }
    }
    for Later { slot, id, epoch } in later {
        adopt(host, &slot, &id, epoch, is_older, &mut draft).await?;
    }
    if draft.is_empty() {
        return Ok(());
    }
    draft.raise().await?;
    draft.commit().await?;
    shared.refresh().await
}

/// A volume of which a host has seen a later epoch than desired state: that was restored from an older copy.
struct Later {
    slot: Slot,
    id: VolumeId,
    epoch: u64,
}

fn later_epochs(volumes: &[VolumeRecord], report: &HostReport) -> Vec<Later> {
    let known: HashMap<&VolumeId, &VolumeRecord> = volumes.iter().map(|it| (&it.id, it)).collect();
    let mut found = Vec::new();
    for slot in &report.slots {
        for (name, seen) in &slot.volumes {
            let id = volume_id(&slot.slot, name, false);
            if known.get(&id).is_some_and(|it| it.permit.is_some() && it.epoch() > 0 && it.epoch() < seen.epoch) {
                found.push(Later { slot: slot.slot.clone(), id, epoch: seen.epoch });
            }
        }
    }
    found
}

/// Raises a permit to the epoch that a host has seen. Where desired state is older than the host, the permit passed on to it after the copy was
/// made, and the slot with it. What is being moved is left to the move.
async fn adopt(
    host: &str,
    slot: &Slot,
    id: &VolumeId,
    epoch: u64,
    is_older: bool,
    draft: &mut Draft<'_>,
) -> Result<(), Error> {
    let Some(mut record) = draft.volume(id).await? else { return Ok(()) };
    let Some(permit) = record.permit.as_mut().filter(|it| it.epoch < epoch) else { return Ok(()) };
    if draft.movement(slot).await?.is_some() || (permit.holder != host && !is_older) {
        return Ok(());
    }
    tracing::warn!(host.id = host, volume = %id, epoch, before = permit.epoch, holder = permit.holder, "adopted the epoch that a host has seen");
    let passed = permit.holder != host;
    (permit.epoch, permit.holder) = (epoch, host.to_owned());
    (record.host, record.known) = (host.to_owned(), true);
    draft.put_volume(&record);
    let service = ServiceKey::new(&slot.environment, &slot.service);
    if passed && let Some(mut wanted) = draft.service(&service).await?.filter(|it| it.status == Status::Up) {
        let place = within(&slot.role, slot.index);
        let moved = MovedRecord {
            host: host.to_owned(),
            who: "a restored state store".to_owned(),
            at: SystemTime::now(),
            forced: false,
        };
        wanted.hosts.insert(place.clone(), host.to_owned());
        wanted.moved.insert(place, moved);
        draft.put_service(&service, &wanted);
    }
    Ok(())
}

/// Volumes that a host says it has and desired state does not know of.
fn unknown_volumes(volumes: &[VolumeRecord], host: &str, report: &HostReport) -> Vec<VolumeRecord> {
    let pending = volumes.iter().filter(|it| !it.known && it.host == host);
    let pending: HashMap<&VolumeId, &VolumeRecord> = pending.map(|it| (&it.id, it)).collect();
    let mut found = Vec::new();
    for slot in &report.slots {
        for (name, seen) in &slot.volumes {
            let own = volume_id(&slot.slot, name, false);
            let shared_one = volume_id(&slot.slot, name, true);
            // A report from before the method was changed says nothing about the volume that is wanted now.
            let record = [own, shared_one].iter().find_map(|id| pending.get(id)).filter(|it| it.method == seen.method);
            found.extend(record.copied().cloned());
        }
    }
    found
}
