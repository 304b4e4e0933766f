//! `down`: wave by wave, users before the providers they use. What is desired shrinks with every wave, so that an interrupted
//! down goes on where it was.

use super::commit::gone;
use super::events::{EventStream, Events};
use super::follow::{Ears, Followed, follow, last};
use super::planning::check_origin;
use super::secrets::not_found;
use crate::locks::Lock;
use crate::progress::{Goal, Tracker};
use crate::service::{Handle, Shared};
use crate::state::{RevisionRecord, ServiceKey, Status, TombstoneRecord, within};
use scs_api::deploy::{DownRequest, Event};
use scs_api::error::Problem;
use scs_manifest::compiled::Deployment;
use scs_plan::order;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

impl Handle {
    /// Stops and removes the containers of a service. It goes on when nobody reads the events.
    pub async fn down(&self, environment: &str, service: &str, request: DownRequest) -> Result<EventStream, Problem> {
        let (shared, service) = (self.shared.clone(), ServiceKey::new(environment, service));
        let DownRequest { caller } = request;
        let lock = shared.locks.take(&service, "down", &caller.who)?;
        super::moves::refuse_moving(&shared, &service).await?;
        let (events, stream) = Events::channel();
        let mut draft = shared.state.draft().await;
        let mut record = draft.service(&service).await?.ok_or_else(|| not_found(&service))?;
        let was = record.status;
        if was != Status::Down {
            check_origin(&service, &record, &caller)?;
        }
        if was == Status::Up {
            record.revision += 1;
            record.status = Status::Leaving;
            draft.put_service(&service, &record);
            draft.put_revision(
                &service,
                &RevisionRecord {
                    revision: record.revision,
                    at: SystemTime::now(),
                    who: caller.who,
                    what: "down".to_owned(),
                    changed: Vec::new(),
                    deployment: None,
                    origin: record.origin.clone(),
                },
            );
            draft.commit().await?;
            shared.refresh().await?;
        } else {
            drop(draft);
        }
        shared.clone().spawn(async move {
            if was == Status::Down {
                events.send(Event::Warning { message: format!("{service} is not up") }).await;
            }
            leave(&shared, &service, &events, lock).await;
        });
        Ok(stream)
    }
}

/// Goes on with every service that was on its way down when the server ended.
pub(crate) async fn resume(handle: &Handle) {
    let services = match handle.shared.state.services().await {
        Ok(services) => services,
        Err(error) => {
            tracing::error!(%error, "services that are on their way down cannot be found");
            return;
        }
    };
    for (service, _) in services.into_iter().filter(|(_, record)| record.status == Status::Leaving) {
        let shared = handle.shared.clone();
        let Ok(lock) = shared.locks.take(&service, "down", "the server") else { continue };
        shared.clone().spawn(async move { leave(&shared, &service, &Events::nowhere(), lock).await });
    }
}

async fn leave(shared: &Arc<Shared>, service: &ServiceKey, events: &Events, lock: Lock) {
    let followed = match waves(shared, service, events).await {
        Ok(followed) => followed,
        Err(problem) => Followed::Failed(problem),
    };
    if let Followed::Failed(problem) = &followed {
        tracing::warn!(service = %service, error = %problem, "a service could not be taken down");
    }
    let revision = shared.state.service(service).await.ok().flatten().map_or(0, |it| it.revision);
    drop(lock);
    if let Some(event) = last(followed, revision, Vec::new) {
        events.send(event).await;
    }
}

async fn waves(shared: &Shared, service: &ServiceKey, events: &Events) -> Result<Followed, Problem> {
    let Some(record) = shared.state.service(service).await? else { return Ok(Followed::Reached) };
    let deployment = shared.state.revision(service, record.deployed).await?.and_then(|it| it.deployment);
    let Some(deployment) = deployment else { return finish(shared, service).await };
    let mut waves: Vec<Vec<String>> = order::stop_waves(&deployment);
    // What an interrupted `down`, or an `up` without a role, has already told to go.
    waves.insert(0, Vec::new());
    for wave in waves {
        let mut ears = Ears::new(shared);
        let before = shared.reports();
        let (goals, assigned) = bury(shared, service, &deployment, &wave).await?;
        if goals.is_empty() {
            continue;
        }
        let now = tokio::time::Instant::now().into_std();
        let mut tracker = Tracker::new(now, assigned, goals, &before);
        match follow(shared, service, &mut tracker, &mut ears, events, true).await {
            Followed::Reached => {}
            other => return Ok(other),
        }
    }
    finish(shared, service).await
}

/// Puts tombstones on the slots of a wave, and gives the goals for every tombstone that is open.
async fn bury(
    shared: &Shared,
    service: &ServiceKey,
    deployment: &Deployment,
    wave: &[String],
) -> Result<(Vec<Goal>, u64), Problem> {
    let mut draft = shared.state.draft().await;
    let mut goals = Vec::new();
    let Some(mut record) = draft.service(service).await?.filter(|it| it.status == Status::Leaving) else {
        return Ok((goals, 0));
    };
    let members = shared.fleet.members();
    let mut open = shared.state.tombstones(Some(service)).await?;
    open.retain(|(_, it)| members.contains_key(&it.host));
    for (slot, tombstone) in &open {
        if let Some(role) = deployment.roles.get(&slot.role) {
            goals.push(gone(slot.clone(), tombstone.host.clone(), role));
        }
    }
    let already: BTreeSet<_> = open.into_iter().map(|(slot, _)| slot).collect();
    let slots = wave
        .iter()
        .filter_map(|name| deployment.roles.get(name))
        .flat_map(|role| (0..role.replicas).map(move |index| (role, index)));
    let mut fresh = Vec::new();
    for (role, index) in slots {
        let Some(host) = record.hosts.remove(&within(&role.name, index)) else { continue };
        let slot = service.slot(&role.name, index);
        if !already.contains(&slot) {
            goals.push(gone(slot.clone(), host.clone(), role));
        }
        fresh.push((slot, host));
    }
    if fresh.is_empty() {
        return Ok((goals, shared.state.cluster().await?.revision));
    }
    let assigned = draft.raise().await?;
    for (slot, host) in fresh {
        draft.put_tombstone(&slot, &TombstoneRecord { host, revision: assigned });
    }
    draft.put_service(service, &record);
    draft.commit().await?;
    shared.refresh().await?;
    Ok((goals, assigned))
}

/// Nothing of it is left: its history and its volumes stay, what was wanted does not.
async fn finish(shared: &Shared, service: &ServiceKey) -> Result<Followed, Problem> {
    let mut draft = shared.state.draft().await;
    if let Some(mut record) = draft.service(service).await?.filter(|it| it.status == Status::Leaving) {
        record.status = Status::Down;
        record.hosts.clear();
        record.stopped.clear();
        record.bereft.clear();
        draft.put_service(service, &record);
        draft.commit().await?;
        shared.refresh().await?;
    }
    Ok(Followed::Reached)
}
