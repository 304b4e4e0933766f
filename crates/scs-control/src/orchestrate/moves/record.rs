//! The transactions of a move: each stage with the permits, places and tombstones that follow from it, or nothing.

use super::ask::Asked;
use super::{service_of, what};
use crate::orchestrate::commit::{KEPT, forget_old};
use crate::service::Shared;
use crate::state::{
    Draft, Error as StateError, MovedRecord, Permit, RevisionRecord, ServiceKey, TombstoneRecord, volume_id, within,
};
use scs_api::error::{Code, Problem};
use scs_plan::movement::{Outcome, Part, Record, Stage};
use std::time::SystemTime;

/// Writes a move down for the first time, if everything it was checked against is still so.
pub(super) async fn begin(shared: &Shared, service: &ServiceKey, asked: Asked) -> Result<Record, Problem> {
    let Asked { mut record, service_record, .. } = asked;
    let mut draft = shared.state.draft().await;
    let stale = |what: String| Problem::new(Code::StalePlan, what).hint("nothing was changed; try again");
    if draft.service(service).await?.as_ref() != Some(&service_record) {
        return Err(stale(format!("{service} was changed meanwhile")));
    }
    if draft.movement(&record.slot).await?.is_some() {
        return Err(stale(format!("{} is being moved already", record.slot)));
    }
    if shared.fleet.members().get(&record.to).is_some_and(|it| it.address.is_some())
        && draft.host(&record.to).await?.is_none()
    {
        return Err(stale(format!("host {} has been removed", record.to)));
    }
    for (name, epoch) in &record.volumes {
        let volume = draft.volume(&volume_id(&record.slot, name, false)).await?;
        let held = Some(Permit { epoch: *epoch, holder: record.from.clone() });
        if volume.is_none_or(|it| it.permit != held) {
            return Err(stale(format!("the permit of volume {name} has passed on meanwhile")));
        }
    }
    record.revision = draft.raise().await?;
    draft.put_movement(&record);
    draft.commit().await?;
    shared.refresh().await?;
    Ok(record)
}

/// Enters a stage, if the move is in the expected one; gives the move as it is then.
pub(super) async fn enter(
    shared: &Shared,
    of: &Record,
    stage: Stage,
    fault: Option<String>,
) -> Result<Record, StateError> {
    let mut draft = shared.state.draft().await;
    let Some(mut record) = draft.movement(&of.slot).await? else { return Ok(of.clone()) };
    if record.stage != of.stage || record.id != of.id {
        return Ok(record);
    }
    let before = record.clone();
    let now = SystemTime::now();
    (record.stage, record.fault, record.since) = (stage, fault, now);
    if stage == Stage::Closing {
        record.down_since = Some(now);
    }
    pass_permits(&before, &record, &mut draft).await?;
    place(&record, record.holder(), &mut draft).await?;
    record.revision = draft.raise().await?;
    for host in [&record.from, &record.to] {
        match record.part(host) {
            Part::Gone => {
                let tombstone = TombstoneRecord { host: host.clone(), revision: record.revision };
                draft.put_tombstone(&record.slot, &tombstone);
            }
            Part::Runs if draft.tombstone(&record.slot, host).await?.is_some() => {
                draft.delete_tombstone(&record.slot, host);
            }
            _ => {}
        }
    }
    draft.put_movement(&record);
    draft.commit().await?;
    shared.refresh().await?;
    Ok(record)
}

/// Gives the permits to whom the stage says, if they are whose they were.
async fn pass_permits(before: &Record, after: &Record, draft: &mut Draft<'_>) -> Result<(), StateError> {
    for name in after.volumes.keys() {
        let id = volume_id(&after.slot, name, false);
        let permit = |of: &Record| Permit {
            epoch: of.epoch(name, of.stage).unwrap_or_default(),
            holder: of.holder().to_owned(),
        };
        let Some(mut volume) = draft.volume(&id).await? else { continue };
        if volume.permit.as_ref() != Some(&permit(before)) {
            let key = format!("the permit of volume {id}");
            return Err(StateError::Store(scs_ports::state::Error::Conflict { key }));
        }
        volume.permit = Some(permit(after));
        after.holder().clone_into(&mut volume.host);
        // What was copied is there.
        volume.known |= after.stage == Stage::Passed;
        draft.put_volume(&volume);
    }
    Ok(())
}

/// Makes a host the place of the slot.
async fn place(record: &Record, host: &str, draft: &mut Draft<'_>) -> Result<(), StateError> {
    let service = service_of(&record.slot);
    let Some(mut wanted) = draft.service(&service).await? else { return Ok(()) };
    let slot = within(&record.slot.role, record.slot.index);
    if wanted.hosts.get(&slot).map(String::as_str) != Some(host) {
        wanted.hosts.insert(slot, host.to_owned());
        draft.put_service(&service, &wanted);
    }
    Ok(())
}

/// Ends a move, if it is in the expected stage. Gives the revision of the service, or `None` where it is not. One that is not in desired
/// state any more has been ended: by an earlier call, of which something failed once that was committed.
pub(super) async fn close(shared: &Shared, of: &Record, outcome: &Outcome) -> Result<Option<u64>, StateError> {
    let service = service_of(&of.slot);
    let mut draft = shared.state.draft().await;
    let (record, wanted) = (draft.movement(&of.slot).await?, draft.service(&service).await?);
    let Some(record) = record else {
        drop(draft);
        shared.refresh().await?;
        return Ok(Some(wanted.map_or(0, |it| it.revision)));
    };
    let Some(mut wanted) = wanted.filter(|_| record.stage == of.stage && record.id == of.id) else { return Ok(None) };
    let assigned = draft.raise().await?;
    let slot = within(&record.slot.role, record.slot.index);
    let moved = matches!(outcome, Outcome::Moved { .. });
    let leaves = if moved { Some(&record.from) } else { Some(&record.to).filter(|_| record.stage == Stage::Beside) };
    if let Some(host) = leaves {
        draft.put_tombstone(&record.slot, &TombstoneRecord { host: host.clone(), revision: assigned });
    }
    if moved {
        wanted.hosts.insert(slot.clone(), record.to.clone());
        wanted.moved.insert(slot, self::moved(&record));
        wanted.revision += 1;
        let note = RevisionRecord {
            revision: wanted.revision,
            at: SystemTime::now(),
            who: record.who.clone(),
            what: what(&record),
            changed: Vec::new(),
            deployment: None,
            origin: wanted.origin.clone(),
        };
        draft.put_revision(&service, &note);
    }
    draft.put_service(&service, &wanted);
    draft.delete_movement(&record.slot);
    if moved {
        let forgotten = forget_old(shared, &service, KEPT, &mut draft).await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, service = %service, "old revisions are kept for now");
        }
    }
    draft.commit().await?;
    shared.refresh().await?;
    Ok(Some(wanted.revision))
}

fn moved(record: &Record) -> MovedRecord {
    let (host, who, forced) = (record.to.clone(), record.who.clone(), record.options.forced);
    MovedRecord { host, who, at: SystemTime::now(), forced }
}
