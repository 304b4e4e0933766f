//! Desired state to assignments: complete for a host, tombstones and all, and handed over whenever it changes.

use super::{RETRY, Shared};
use crate::agents::{Agent, Reachability};
use crate::state::{Error, ServiceKey, ServiceRecord, Status, VolumeRecord, volume_id};
use scs_api::agent::{Assignment, Assignments, VolumeGrant};
use scs_api::error::{Code, Problem};
use scs_api::secret::SecretValue;
use scs_manifest::compiled::{Access, Fence, Role};
use scs_plan::movement::{self, Part};
use scs_plan::slot::Slot;
use scs_ports::volume::VolumeId;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Hands a host its assignments whenever desired state changes or its agent is back, until the control plane
/// stops.
pub(super) async fn keep_assigned(shared: Arc<Shared>, agent: Arc<dyn Agent>) {
    let mut changed = shared.changed.subscribe();
    let mut reachable = agent.reachable();
    let mut pause = RETRY.0;
    let mut handed_over: Option<(String, u64)> = None;
    loop {
        changed.borrow_and_update();
        // Read before desired state is: what a host has seen was written before it saw it.
        let seen = agent.report().borrow().revision;
        let refusal = match for_host(&shared, agent.host()).await {
            Ok(assignments) if assignments.revision < seen => Some(older(agent.host(), assignments.revision, seen)),
            Ok(assignments) => {
                let this = (assignments.cluster.clone(), assignments.revision);
                if handed_over.as_ref() == Some(&this) {
                    None
                } else {
                    let Some(handed) = shared.unless_stopping(agent.assign(assignments)).await else { return };
                    let refusal = handed.err();
                    handed_over = refusal.is_none().then_some(this);
                    refusal
                }
            }
            Err(error) => Some(error.into()),
        };
        if let Some(refusal) = &refusal {
            tracing::warn!(host.id = agent.host(), error = %refusal, "assignments could not be handed over");
        }
        let again = refusal.is_some().then_some(pause);
        pause = if again.is_some() { (pause * 2).min(RETRY.1) } else { RETRY.0 };
        shared.refusals.send_modify(|all| match refusal {
            Some(refusal) => drop(all.insert(agent.host().to_owned(), refusal)),
            None => drop(all.remove(agent.host())),
        });
        let later = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            changed = changed.changed() => if changed.is_err() { return },
            // It may have been started anew, on an empty disk perhaps; and is not kept waiting.
            () = is_back(&mut reachable) => handed_over = None,
            () = later => {}
        }
    }
}

/// Desired state is older than what a host works on: it is not told, and goes on with what it has.
fn older(host: &str, ours: u64, seen: u64) -> Problem {
    let message = format!(
        "host {host} has seen revision {seen} of desired state, and this server's is {ours}: it was restored from an older copy"
    );
    Problem::new(Code::Conflict, message).hint(
        "nothing was changed, and what runs there runs on; bring the newest copy back, or look with `scs plan` what has changed since this one, \
         and say with `scs up` that it is what counts from now on",
    )
}

/// Waits until an agent answers that did not.
async fn is_back(reachable: &mut watch::Receiver<Reachability>) {
    loop {
        if reachable.changed().await.is_err() {
            // It is in this process, and always there.
            std::future::pending::<()>().await;
        }
        if matches!(*reachable.borrow_and_update(), Reachability::Reachable { .. }) {
            return;
        }
    }
}

/// Everything a host has to run, as desired state has it now.
pub(crate) async fn for_host(shared: &Shared, host: &str) -> Result<Assignments, Error> {
    let state = &shared.state;
    // The revision is read first: what is read after it is at least as new, and a change in between raises it again.
    let cluster = state.cluster().await?;
    let tombstones: Vec<Slot> =
        state.tombstones(None).await?.into_iter().filter(|(_, it)| it.host == host).map(|(slot, _)| slot).collect();
    let gone: HashSet<&Slot> = tombstones.iter().collect();
    let volumes: HashMap<VolumeId, VolumeRecord> =
        state.volumes(None).await?.into_iter().map(|it| (it.id.clone(), it)).collect();
    let moves: HashMap<Slot, movement::Record> =
        state.moves().await?.into_iter().map(|it| (it.slot.clone(), it)).collect();
    let member = shared.fleet.members().get(host).cloned();
    let joined = member.filter(|member| member.address.is_some());
    let mut assignments = Vec::new();
    for (service, record) in state.services().await? {
        if record.status == Status::Down {
            continue;
        }
        let Some(revision) = state.revision(&service, record.deployed).await? else { continue };
        let secrets = open_secrets(shared, &service).await?;
        for role in revision.deployment.iter().flat_map(|it| it.roles.values()) {
            for index in 0..role.replicas {
                let slot = service.slot(&role.name, index);
                let part = match moves.get(&slot) {
                    Some(moving) => moving.part(host),
                    None if record.host(&role.name, index) == Some(host) => Part::Runs,
                    None => Part::None,
                };
                if !matches!(part, Part::Runs | Part::Stopped) || gone.contains(&slot) {
                    continue;
                }
                let filled = Filled { record: &record, origin: &revision.origin, secrets: &secrets, volumes: &volumes };
                let mut assignment = filled.assignment(slot, role);
                if let Some(assignment) = &mut assignment {
                    // One in this process is never lost: nothing can pass on from it.
                    assignment.leased = role.fence == Fence::Lease && joined.is_some();
                }
                if let Some(assignment) = assignment.as_mut().filter(|_| part == Part::Stopped) {
                    // Its successor is elsewhere; not to be named at all would leave it running.
                    (assignment.stopped, assignment.moving) = (true, true);
                }
                assignments.extend(assignment);
            }
        }
    }
    let labels = joined.map(|member| member.labels);
    Ok(Assignments { cluster: cluster.id, revision: cluster.revision, assignments, tombstones, labels })
}

/// Values of a service's secrets; one that cannot be opened is left out.
async fn open_secrets(shared: &Shared, service: &ServiceKey) -> Result<BTreeMap<String, SecretValue>, Error> {
    let mut values = BTreeMap::new();
    for secret in shared.state.secrets(service).await? {
        match shared.vault.unseal(&service.seal(&secret.name), &secret.sealed) {
            Ok(value) => drop(values.insert(secret.name, value)),
            Err(error) => tracing::error!(%error, service = %service, "a secret cannot be opened"),
        }
    }
    Ok(values)
}

struct Filled<'a> {
    record: &'a ServiceRecord,
    origin: &'a PathBuf,
    secrets: &'a BTreeMap<String, SecretValue>,
    volumes: &'a HashMap<VolumeId, VolumeRecord>,
}

impl Filled<'_> {
    /// `None` where something it needs is missing from desired state: then the slot is left as it is, which is safe, because
    /// only a tombstone removes.
    fn assignment(&self, slot: Slot, role: &Role) -> Option<Assignment> {
        let mut secrets = BTreeMap::new();
        for used in role.secrets.values() {
            let Some(value) = self.secrets.get(&used.from) else {
                tracing::error!(slot = %slot, secret = used.from, "not assigned: a secret has no value");
                return None;
            };
            secrets.insert(used.from.clone(), value.clone());
        }
        let mut volumes = BTreeMap::new();
        for (name, volume) in &role.volumes {
            let id = volume_id(&slot, name, volume.access == Access::Shared);
            let Some(record) = self.volumes.get(&id) else {
                tracing::error!(slot = %slot, volume = %id, "not assigned: a volume is not in desired state");
                return None;
            };
            volumes.insert(name.clone(), VolumeGrant { known: record.known, epoch: record.epoch() });
        }
        Some(Assignment {
            role: role.clone(),
            generation: self.record.generation(&slot.role, slot.index),
            stopped: self.record.is_stopped(&slot.role, slot.index),
            moving: false,
            leased: false,
            origin: self.origin.clone(),
            volumes,
            secrets,
            slot,
        })
    }
}
