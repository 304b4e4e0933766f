//! Volumes of desired state: granted when a slot is, and never silently replaced by fresh ones.

use crate::agents::VolumeAt;
use crate::service::Shared;
use crate::state::{Draft, Permit, ServiceKey, VolumeRecord, volume_id};
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::{Access, Deployment, Volume};
use scs_plan::loss::EVERYWHERE;
use scs_plan::plan::{Action, Plan};
use scs_plan::slot::Slot;
use scs_ports::volume::VolumeId;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Records the volumes of every slot of a plan. A known one keeps its id, method and host, or this is an error.
pub(super) async fn grant(
    service: &ServiceKey,
    deployment: &Deployment,
    plan: &Plan,
    origin: &Path,
    draft: &mut Draft<'_>,
) -> Result<(), Problem> {
    let mut done = BTreeSet::new();
    for (slot, id, volume, host) in wanted(service, deployment, plan) {
        if !done.insert(id.clone()) {
            continue;
        }
        let existing = draft.volume(&id).await?;
        if let Some(holder) = other_holder(existing.as_ref(), host)
            && draft.tombstone(slot, holder).await?.is_some()
        {
            return Err(held(&id, holder, host));
        }
        let next = next(existing.as_ref(), id, volume, host, origin)?;
        if existing.as_ref() != Some(&next) {
            draft.put_volume(&next);
        }
    }
    Ok(())
}

/// What [`grant`] would refuse.
pub(super) async fn check(
    shared: &Shared,
    service: &ServiceKey,
    deployment: &Deployment,
    plan: &Plan,
    origin: &Path,
) -> Result<(), Problem> {
    let existing: HashMap<VolumeId, VolumeRecord> =
        shared.state.volumes(Some(service)).await?.into_iter().map(|it| (it.id.clone(), it)).collect();
    let leaving = shared.state.tombstones(Some(service)).await?;
    for (slot, id, volume, host) in wanted(service, deployment, plan) {
        let existing = existing.get(&id);
        if let Some(holder) = other_holder(existing, host)
            && leaving.iter().any(|(gone, it)| gone == slot && it.host == holder)
        {
            return Err(held(&id, holder, host));
        }
        next(existing, id, volume, host, origin)?;
    }
    Ok(())
}

fn wanted<'a>(
    service: &'a ServiceKey,
    deployment: &'a Deployment,
    plan: &'a Plan,
) -> impl Iterator<Item = (&'a Slot, VolumeId, &'a Volume, &'a str)> {
    let steps = plan.steps.iter().filter(|step| step.action != Action::Remove && service.holds(&step.slot));
    steps.flat_map(|step| {
        let volumes = deployment.roles.get(&step.slot.role).into_iter().flat_map(|role| &role.volumes);
        volumes.map(|(name, volume)| {
            // What moves takes its volumes along when it does.
            let host = if let Action::Move { from } = &step.action { from } else { &step.host };
            (&step.slot, volume_id(&step.slot, name, volume.access == Access::Shared), volume, host.as_str())
        })
    })
}

/// Host that holds the permit of a volume which is wanted on another.
fn other_holder<'a>(existing: Option<&'a VolumeRecord>, host: &str) -> Option<&'a str> {
    existing?.permit.as_ref().map(|it| it.holder.as_str()).filter(|holder| !holder.is_empty() && *holder != host)
}

/// Its holder has been told to end what runs there, and has not said that it has.
fn held(id: &VolumeId, holder: &str, host: &str) -> Problem {
    let message = format!("volume {id} cannot be used on host {host} yet: host {holder} may still write to it");
    Problem::new(Code::Conflict, message).hint(format!(
        "nothing was changed; it can once host {holder} is back and has removed what was there; if it never comes back, \
         `scs host rm {holder} --assume-host-dead`"
    ))
}

/// The record of a volume once it is granted to a host, where nobody else holds it any more.
pub(crate) fn next(
    existing: Option<&VolumeRecord>,
    id: VolumeId,
    volume: &Volume,
    host: &str,
    origin: &Path,
) -> Result<VolumeRecord, Problem> {
    if let Some(existing) = existing.filter(|it| it.known) {
        let refused = |message: String| {
            Err(Problem::new(Code::Conflict, message).hint(format!(
                "nothing was changed and no data was touched; go back to what it was, or copy the data with `scs volume export` \
                 and `import`, or give it up with `scs volume rm {id}`"
            )))
        };
        if let Some(lost) = &existing.lost {
            let (on, who) = (&existing.host, if lost.who.is_empty() { "somebody" } else { &lost.who });
            let message = format!("volume {id} was lost with host {on}, which {who} gave up for dead");
            return Err(Problem::new(Code::Conflict, message).hint(format!(
                "nothing was changed, and no fresh one is made unasked: `scs volume rm {id}` gives its data up, so that one is"
            )));
        }
        if existing.method != volume.method {
            return refused(format!("volume {id} was made by method {}, not {}", existing.method, volume.method));
        }
        // Whose permit nobody holds was left by a dead host, and is the same from every other.
        let held = existing.permit.as_ref().is_none_or(|it| !it.holder.is_empty());
        if held && existing.host != host && !EVERYWHERE.contains(&volume.method.as_str()) {
            return refused(format!("volume {id} is on host {}, not on {host}", existing.host));
        }
    }
    let exclusive = volume.access == Access::Single;
    let permit = match existing.and_then(|it| it.permit.clone()) {
        // Of what runs, a permit is passed on by a move; this is of what its holder has removed, and put down with it.
        Some(permit) if permit.holder != host => Some(Permit { epoch: permit.epoch + 1, holder: host.to_owned() }),
        Some(permit) => Some(permit),
        None if exclusive => Some(Permit { epoch: 1, holder: host.to_owned() }),
        None => None,
    };
    Ok(VolumeRecord {
        id,
        method: volume.method.clone(),
        options: volume.options.clone(),
        access: volume.access,
        origin: origin.to_owned(),
        host: host.to_owned(),
        known: existing.is_some_and(|it| it.known),
        permit,
        lost: None,
    })
}

/// A volume as its host's agent is told of it.
pub(crate) fn volume_at(record: &VolumeRecord) -> VolumeAt {
    VolumeAt {
        id: record.id.clone(),
        method: record.method.clone(),
        options: record.options.clone(),
        origin: record.origin.clone(),
        known: record.known,
        epoch: record.epoch(),
        parent: None,
    }
}
