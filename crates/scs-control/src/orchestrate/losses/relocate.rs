//! The transaction by which instances of a lost host start elsewhere: places, a tombstone each for what they leave, a line in the history.

use crate::orchestrate::commit::note;
use crate::service::Shared;
use crate::state::{Draft, MovedRecord, ServiceKey, ServiceRecord, Status, TombstoneRecord, volume_id, within};
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::{Access, Deployment, Fence};
use scs_plan::loss::Relocation;
use std::collections::BTreeSet;
use std::time::SystemTime;

/// Commits what is still so of relocations within one service, decided upon from this record and deployment.
pub(super) async fn relocate(
    shared: &Shared,
    service: &ServiceKey,
    seen: &ServiceRecord,
    deployment: &Deployment,
    relocations: &[Relocation],
) -> Result<(), Problem> {
    let who = who(relocations);
    let _lock = shared.locks.take(service, "start elsewhere", &who)?;
    // From here on no host is told anew that it may run what passes on here.
    let _leases = shared.leases.hold().await;
    let mut draft = shared.state.draft().await;
    let Some(mut record) = draft.service(service).await?.filter(|it| it.status == Status::Up) else { return Ok(()) };
    if record != *seen {
        // Its volumes may be others by now, and its fence: what was decided may not be so any more.
        return Err(Problem::new(Code::StalePlan, format!("{service} was changed while that was decided")));
    }
    let mut done = Vec::new();
    for it in relocations {
        let slot = within(&it.slot.role, it.slot.index);
        let given_up = record.bereft.get(&slot) == Some(&it.from) && !record.hosts.contains_key(&slot);
        let still = given_up || record.hosts.get(&slot) == Some(&it.from) && ended(shared, it, deployment);
        if still && draft.movement(&it.slot).await?.is_none() {
            done.push(it);
        }
    }
    if done.is_empty() {
        return Ok(());
    }
    let (now, assigned) = (SystemTime::now(), draft.raise().await?);
    for it in &done {
        check_target(shared, &it.to, &mut draft).await?;
        take_along(it, deployment, &mut draft).await?;
        // Whatever of it is on the lost host, or comes up there with the host, ends as soon as its agent is back.
        draft.put_tombstone(&it.slot, &TombstoneRecord { host: it.from.clone(), revision: assigned });
        if draft.tombstone(&it.slot, &it.to).await?.is_some() {
            draft.delete_tombstone(&it.slot, &it.to);
        }
        let slot = within(&it.slot.role, it.slot.index);
        let moved = MovedRecord { host: it.to.clone(), who: who.clone(), at: now, forced: false };
        record.bereft.remove(&slot);
        record.hosts.insert(slot.clone(), it.to.clone());
        record.moved.insert(slot, moved);
    }
    let what: Vec<String> = done.iter().map(|it| format!("{} to {}", it.slot.label(), it.to)).collect();
    let what = format!("move {}", what.join(", "));
    note(shared, service, &mut record, &who, what.clone(), &mut draft).await?;
    draft.commit().await?;
    tracing::warn!(service = %service, "{who}: {what}");
    shared.refresh().await?;
    Ok(())
}

/// As it stands in the history and in plans.
fn who(relocations: &[Relocation]) -> String {
    let hosts: BTreeSet<&str> = relocations.iter().map(|it| it.from.as_str()).collect();
    let word = if hosts.len() == 1 { "host" } else { "hosts" };
    format!("loss of {word} {}", hosts.into_iter().collect::<Vec<_>>().join(", "))
}

/// Makes the commit fail where the new host is removed meanwhile.
async fn check_target(shared: &Shared, to: &str, draft: &mut Draft<'_>) -> Result<(), Problem> {
    let joined = shared.fleet.members().get(to).is_none_or(|it| it.address.is_some());
    if joined && draft.host(to).await?.is_none() {
        return Err(Problem::new(Code::StalePlan, format!("host {to} has been removed")));
    }
    Ok(())
}

/// Whether no lease lets the lost host run it any more: it may have asked for another while this was decided.
fn ended(shared: &Shared, it: &Relocation, deployment: &Deployment) -> bool {
    let leased = deployment.roles.get(&it.slot.role).is_some_and(|role| role.fence == Fence::Lease);
    !leased || shared.leases.left(&it.from).is_zero()
}

/// Volumes that are the same from everywhere count as being where they are used; the permit of one that was held by a lease passes on.
async fn take_along(it: &Relocation, deployment: &Deployment, draft: &mut Draft<'_>) -> Result<(), Problem> {
    let Some(role) = deployment.roles.get(&it.slot.role) else { return Ok(()) };
    for (name, volume) in &role.volumes {
        let id = volume_id(&it.slot, name, volume.access == Access::Shared);
        if let Some(mut record) = draft.volume(&id).await?.filter(|record| record.host == it.from) {
            record.host.clone_from(&it.to);
            if volume.access == Access::Single
                && let Some(permit) = &mut record.permit
            {
                (permit.epoch, permit.holder) = (permit.epoch + 1, it.to.clone());
            }
            draft.put_volume(&record);
        }
    }
    Ok(())
}
