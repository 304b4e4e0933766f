//! `restart`, `stop` and `start` of one role.

use super::commit::{KEPT, forget_old, running};
use super::events::{EventStream, Events};
use super::follow::{Ears, addresses, follow, last};
use super::planning::{Known, check_origin};
use super::secrets::not_found;
use crate::progress::{Limits, Tracker, Want};
use crate::service::Handle;
use crate::state::{RevisionRecord, ServiceKey, Status, within};
use scs_api::deploy::RoleRequest;
use scs_api::error::{Code, Problem};
use scs_plan::order;
use scs_plan::slot::Slot;
use std::time::SystemTime;

/// What is done to a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleAction {
    /// Its containers are created anew.
    Restart,
    /// Its containers are stopped and stay so.
    Stop,
    /// Its containers run again.
    Start,
}

impl RoleAction {
    fn word(self) -> &'static str {
        match self {
            RoleAction::Restart => "restart",
            RoleAction::Stop => "stop",
            RoleAction::Start => "start",
        }
    }
}

/// Why an instance cannot be asked for.
pub(crate) fn no_instance(slot: &Slot, replicas: u32) -> Problem {
    let Slot { environment, service, role, .. } = slot;
    let has = match replicas.checked_sub(1) {
        None => "none".to_owned(),
        Some(0) => role.clone(),
        Some(last) => format!("{role}.0 to {role}.{last}"),
    };
    let message = format!("role {role} of {environment}/{service} has no instance {}; it has {has}", slot.numbered());
    Problem::new(Code::NotFound, message).hint("nothing was changed; `scs ps` lists what there is")
}

impl Handle {
    /// Restarts, stops or starts a role, or one instance of it.
    pub async fn role(
        &self,
        environment: &str,
        service: &str,
        role: &str,
        action: RoleAction,
        request: RoleRequest,
    ) -> Result<EventStream, Problem> {
        let (shared, service) = (self.shared.clone(), ServiceKey::new(environment, service));
        let RoleRequest { index: only, caller } = request;
        let what = match only {
            Some(index) => format!("{} {}", action.word(), service.slot(role, index).numbered()),
            None => format!("{} {role}", action.word()),
        };
        let lock = shared.locks.take(&service, &what, &caller.who)?;
        super::moves::refuse_moving(&shared, &service).await?;
        let mut ears = Ears::new(&shared);
        let before = shared.reports();
        let mut draft = shared.state.draft().await;
        let record = draft.service(&service).await?.ok_or_else(|| not_found(&service))?;
        check_origin(&service, &record, &caller)?;
        let known = Known::load(&shared, &service, Some(record.clone())).await?;
        let deployment = known.deployment.filter(|_| record.status == Status::Up).ok_or_else(|| {
            Problem::new(Code::Conflict, format!("{service} is not up"))
                .hint("nothing was changed; `scs up` brings it up")
        })?;
        let Some(wanted) = deployment.roles.get(role) else {
            let roles: Vec<&str> = deployment.roles.keys().map(String::as_str).collect();
            let message = format!("{service} has no role {role}; it has {}", roles.join(", "));
            return Err(Problem::new(Code::NotFound, message));
        };
        if let Some(index) = only.filter(|index| *index >= wanted.replicas) {
            return Err(no_instance(&service.slot(role, index), wanted.replicas));
        }
        let indexes = only.map_or(0..wanted.replicas, |index| index..index + 1);
        let mut record = record;
        for index in indexes.clone() {
            let slot = within(role, index);
            match action {
                RoleAction::Restart => {
                    let generation = record.generation(role, index) + 1;
                    record.stopped.remove(&slot);
                    record.generations.insert(slot, generation);
                }
                RoleAction::Stop => drop(record.stopped.insert(slot)),
                RoleAction::Start => drop(record.stopped.remove(&slot)),
            }
        }
        record.revision += 1;
        draft.put_service(&service, &record);
        let note = RevisionRecord {
            revision: record.revision,
            at: SystemTime::now(),
            who: caller.who,
            what,
            changed: Vec::new(),
            deployment: None,
            origin: record.origin.clone(),
        };
        draft.put_revision(&service, &note);
        forget_old(&shared, &service, KEPT, &mut draft).await?;
        let assigned = draft.raise().await?;
        draft.commit().await?;
        shared.refresh().await?;

        let providers: Vec<String> =
            order::waits_for(&deployment).remove(role).unwrap_or_default().into_iter().collect();
        let goals = indexes.filter_map(|index| {
            let host = record.host(role, index)?.to_owned();
            let slot = service.slot(role, index);
            let mut goal = running(slot, host, wanted, &record, note.at, providers.clone());
            if action == RoleAction::Stop {
                (goal.want, goal.word, goal.limits) = (Want::Stopped, "stopped", Limits::to_end(wanted));
            }
            Some(goal)
        });
        let mut tracker = Tracker::new(tokio::time::Instant::now().into_std(), assigned, goals.collect(), &before);
        let (events, stream) = Events::channel();
        shared.clone().spawn(async move {
            let followed = follow(&shared, &service, &mut tracker, &mut ears, &events, false).await;
            drop(lock);
            if let Some(event) = last(followed, record.revision, || addresses(&shared, &service, &deployment)) {
                events.send(event).await;
            }
        });
        Ok(stream)
    }
}
