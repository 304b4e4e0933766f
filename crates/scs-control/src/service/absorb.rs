//! Reports to desired state: tombstones that are done go, volumes that exist become known.

use super::{RETRY, Shared};
use crate::agents::Agent;
use crate::state::{Error, VolumeRecord, volume_id};
use scs_api::agent::{HostReport, SlotReport};
use std::collections::HashMap;
use std::sync::Arc;

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
    let new_volumes = unknown_volumes(shared, host, report).await?;
    if report.gone.is_empty() && new_volumes.is_empty() {
        return Ok(());
    }
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
    if draft.is_empty() {
        return Ok(());
    }
    draft.raise().await?;
    draft.commit().await?;
    shared.refresh().await
}

/// Volumes that a host says it has and desired state does not know of.
async fn unknown_volumes(shared: &Shared, host: &str, report: &HostReport) -> Result<Vec<VolumeRecord>, Error> {
    let with_volumes: Vec<&SlotReport> = report.slots.iter().filter(|it| !it.volumes.is_empty()).collect();
    if with_volumes.is_empty() {
        return Ok(Vec::new());
    }
    let pending = shared.state.volumes(None).await?.into_iter().filter(|it| !it.known && it.host == host);
    let pending: HashMap<_, VolumeRecord> = pending.map(|it| (it.id.clone(), it)).collect();
    let mut found = Vec::new();
    for slot in with_volumes {
        for (name, seen) in &slot.volumes {
            let own = volume_id(&slot.slot, name, false);
            let shared_one = volume_id(&slot.slot, name, true);
            // A report from before the method was changed says nothing about the volume that is wanted now.
            let record = [own, shared_one].iter().find_map(|id| pending.get(id)).filter(|it| it.method == seen.method);
            found.extend(record.cloned());
        }
    }
    Ok(found)
}
