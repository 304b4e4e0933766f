//! Commits what is wanted of a service: one transaction over its record, revision, secrets, volumes and tombstones.

use super::planning::{Known, plan, without_moves};
use super::{secrets, volumes};
use crate::progress::{Goal, Limits, Running, Want};
use crate::service::Shared;
use crate::state::{Draft, RevisionRecord, ServiceKey, ServiceRecord, Status, TombstoneRecord, within};
use scs_api::error::{Code, Problem};
use scs_api::secret::SecretValue;
use scs_manifest::compiled::{Deployment, Role};
use scs_plan::order;
use scs_plan::plan::{Action, Plan};
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

/// Revisions with a deployment that are kept, with their images.
pub(super) const KEPT: usize = 10;
/// Revisions without one (`restart`, `down`, …) that are kept beside them.
const NOTES: usize = 50;

/// What somebody wants of a service.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) deployment: Deployment,
    pub(super) origin: PathBuf,
    /// Revision it was planned against; `None` plans anew.
    pub(super) base_revision: Option<u64>,
    /// Values of secrets that come from the caller.
    pub(super) secrets: BTreeMap<String, SecretValue>,
    pub(super) take_over: bool,
    pub(super) reset_placement: bool,
    pub(super) who: String,
    /// `up`, `rollback to 3`.
    pub(super) what: String,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Committed {
    /// Revision of the service.
    pub(super) revision: u64,
    /// Revision of the assignments that hold it.
    pub(super) assigned: u64,
    pub(super) goals: Vec<Goal>,
    pub(super) deployment: Deployment,
    pub(super) warnings: Vec<String>,
    /// Slots that go to other hosts once all else has come to be.
    pub(super) moves: Vec<(Slot, String)>,
}

/// Makes a wish what is wanted. What is wanted already commits nothing.
pub(super) async fn commit(shared: &Shared, service: &ServiceKey, wish: Wish) -> Result<Committed, Problem> {
    super::check_deployment(service, &wish.deployment)?;
    super::moves::refuse_moving(shared, service).await?;
    let mut draft = shared.state.draft().await;
    let record = draft.service(service).await?;
    let known = Known::load(shared, service, record).await?;
    check_base(service, &wish, &known)?;
    let mut warnings = shared.waits(|it| service.holds(&it.slot));
    if let Some(foreign) = known.foreign_origin(service, &wish.origin) {
        if !wish.take_over {
            return Err(foreign);
        }
        warnings.push(format!("{}: taken over", foreign.message));
    }
    let mut plan = plan(shared, service, &wish.deployment, &known, wish.reset_placement).await?;
    let moves = without_moves(&mut plan);
    keep_hosts(shared, &plan, &mut draft).await?;
    let now = SystemTime::now();
    let renewed =
        secrets::resolve(shared, service, &wish.deployment, &wish.secrets, now, &mut draft, &mut warnings).await?;
    volumes::grant(service, &wish.deployment, &plan, &wish.origin, &mut draft).await?;
    let record = next_record(&known, &wish, &plan);
    let is_new = known.record.as_ref().is_none_or(|old| !same_wish(old, &record))
        || known.deployment.as_ref() != Some(&wish.deployment);
    let mut revision = known.revision();
    if is_new {
        revision += 1;
        let changed = changed_roles(known.deployment.as_ref(), &wish.deployment);
        draft.put_service(service, &ServiceRecord { revision, deployed: revision, ..record.clone() });
        draft.put_revision(
            service,
            &RevisionRecord {
                revision,
                at: now,
                who: wish.who,
                what: wish.what,
                changed,
                deployment: Some(wish.deployment.clone()),
                origin: wish.origin,
            },
        );
        forget_old(shared, service, KEPT - 1, &mut draft).await?;
    }
    let goals = goals(&wish.deployment, &known, &record, &plan, &renewed, now);
    // Whoever deploys on a state store that was restored from an older copy says that it counts.
    let seen = shared.highest_seen();
    let assigned = if draft.is_empty() && !is_new && !shared.is_older_than(seen).await? {
        shared.state.cluster().await?.revision
    } else {
        let assigned = draft.raise_above(seen).await?;
        bury(shared, service, &plan, assigned, &mut draft).await?;
        draft.commit().await?;
        shared.refresh().await?;
        assigned
    };
    Ok(Committed { revision, assigned, goals, deployment: wish.deployment, warnings, moves })
}

/// Makes the commit fail where a host that something is placed on is removed meanwhile.
async fn keep_hosts(shared: &Shared, plan: &Plan, draft: &mut Draft<'_>) -> Result<(), Problem> {
    let members = shared.fleet.members();
    let hosts: BTreeSet<&String> =
        plan.steps.iter().filter(|step| step.action != Action::Remove).map(|step| &step.host).collect();
    for host in hosts {
        let joined = members.get(host).is_none_or(|it| it.address.is_some());
        if joined && draft.host(host).await?.is_none() {
            return Err(Problem::new(Code::StalePlan, format!("host {host} has been removed"))
                .hint("nothing was changed; plan again"));
        }
    }
    Ok(())
}

fn check_base(service: &ServiceKey, wish: &Wish, known: &Known) -> Result<(), Problem> {
    match wish.base_revision {
        Some(base) if base != known.revision() => {
            let now = known.revision();
            Err(Problem::new(
                Code::StalePlan,
                format!("{service} is at revision {now}; the plan was made against {base}"),
            )
            .hint("nothing was changed; plan again"))
        }
        _ => Ok(()),
    }
}

/// The record as it will be, but for the numbers of its revision.
fn next_record(known: &Known, wish: &Wish, plan: &Plan) -> ServiceRecord {
    let old = known.record.as_ref();
    let filled = plan.steps.iter().filter(|step| step.action != Action::Remove);
    ServiceRecord {
        revision: known.revision(),
        deployed: old.map_or(0, |it| it.deployed),
        status: Status::Up,
        origin: wish.origin.clone(),
        hosts: filled.map(|step| (within(&step.slot.role, step.slot.index), step.host.clone())).collect(),
        generations: old.map(|it| it.generations.clone()).unwrap_or_default(),
        stopped: BTreeSet::new(),
        bereft: Default::default(),
        moved: old.filter(|_| !wish.reset_placement).map(|it| it.moved.clone()).unwrap_or_default(),
    }
}

fn same_wish(old: &ServiceRecord, new: &ServiceRecord) -> bool {
    old.status == new.status && old.origin == new.origin && old.hosts == new.hosts && old.stopped == new.stopped
}

/// Roles that are new, gone, or have other digests, in the order of the manifest.
fn changed_roles(old: Option<&Deployment>, new: &Deployment) -> Vec<String> {
    let digests = |role: &Role| (role.image_digest.clone(), role.spec_digest.clone());
    let before = |name: &str| old.and_then(|it| it.roles.get(name)).map(digests);
    let changed = new.roles.iter().filter(|(name, role)| before(name) != Some(digests(role))).map(|(name, _)| name);
    let gone = old.into_iter().flat_map(|it| it.roles.keys()).filter(|name| !new.roles.contains_key(*name));
    changed.chain(gone).cloned().collect()
}

/// Tombstones for what goes, none for what is wanted again.
async fn bury(
    shared: &Shared,
    service: &ServiceKey,
    plan: &Plan,
    assigned: u64,
    draft: &mut Draft<'_>,
) -> Result<(), Problem> {
    let filled = plan.steps.iter().filter(|step| step.action != Action::Remove);
    let wanted: BTreeSet<_> = filled.map(|step| (&step.slot, step.host.as_str())).collect();
    for (slot, tombstone) in shared.state.tombstones(Some(service)).await? {
        let host = &tombstone.host;
        // Read in the draft too, so that it has not gone meanwhile. What a slot has left behind on another host still goes.
        if wanted.contains(&(&slot, host.as_str())) && draft.tombstone(&slot, host).await?.is_some() {
            draft.delete_tombstone(&slot, host);
        }
    }
    for step in plan.steps.iter().filter(|step| step.action == Action::Remove) {
        draft.put_tombstone(&step.slot, &TombstoneRecord { host: step.host.clone(), revision: assigned });
    }
    Ok(())
}

/// Writes a service's record with a line in its history that leaves what is wanted of it as it is.
pub(crate) async fn note(
    shared: &Shared,
    service: &ServiceKey,
    record: &mut ServiceRecord,
    who: &str,
    what: String,
    draft: &mut Draft<'_>,
) -> Result<(), Problem> {
    record.revision += 1;
    let note = RevisionRecord {
        revision: record.revision,
        at: SystemTime::now(),
        who: who.to_owned(),
        what,
        changed: Vec::new(),
        deployment: None,
        origin: record.origin.clone(),
    };
    draft.put_service(service, record);
    draft.put_revision(service, &note);
    forget_old(shared, service, KEPT, draft).await
}

/// Forgets all but the last `kept` revisions with a deployment, and old notes.
pub(super) async fn forget_old(
    shared: &Shared,
    service: &ServiceKey,
    kept: usize,
    draft: &mut Draft<'_>,
) -> Result<(), Problem> {
    let revisions = shared.state.revisions(service).await?;
    let deployed: Vec<u64> = revisions.iter().filter(|it| it.deployment.is_some()).map(|it| it.revision).collect();
    let oldest = deployed.len().checked_sub(kept).and_then(|at| deployed.get(at)).copied().unwrap_or(0);
    let notes: Vec<u64> = revisions.iter().filter(|it| it.deployment.is_none()).map(|it| it.revision).collect();
    let oldest_note = notes.len().checked_sub(NOTES).and_then(|at| notes.get(at)).copied().unwrap_or(0);
    for it in &revisions {
        if it.revision < oldest || (it.deployment.is_none() && it.revision < oldest_note) {
            draft.delete_revision(service, it.revision);
        }
    }
    Ok(())
}

fn goals(
    deployment: &Deployment,
    known: &Known,
    record: &ServiceRecord,
    plan: &Plan,
    renewed: &BTreeSet<String>,
    now: SystemTime,
) -> Vec<Goal> {
    let providers = order::waits_for(deployment);
    let goal = |step: &scs_plan::plan::Step| {
        let slot = step.slot.clone();
        let host = step.host.clone();
        let Some(role) = deployment.roles.get(&slot.role).filter(|_| step.action != Action::Remove) else {
            let role = known.deployment.as_ref().and_then(|it| it.roles.get(&slot.role))?;
            return Some(gone(slot, host, role));
        };
        let providers = providers.get(&slot.role).into_iter().flatten().cloned().collect();
        let mut goal = running(slot, host, role, record, now, providers);
        goal.word = match step.action {
            Action::Keep => "unchanged",
            Action::LiveUpdate => "live-updated",
            _ => "running",
        };
        goal.unchanged = step.action == Action::Keep;
        if let Want::Running(running) = &mut goal.want {
            running.told = secrets::told(role, renewed);
            if !running.told.is_empty() && goal.unchanged {
                (goal.word, goal.unchanged) = (secrets::word(role, &running.told), false);
            }
        }
        Some(goal)
    };
    plan.steps.iter().filter_map(goal).collect()
}

/// The goal of a slot that is to run what it is told to.
pub(super) fn running(
    slot: scs_plan::slot::Slot,
    host: String,
    role: &Role,
    record: &ServiceRecord,
    since: SystemTime,
    providers: Vec<String>,
) -> Goal {
    let want = Want::Running(Running {
        image_digest: role.image_digest.clone(),
        spec_digest: role.spec_digest.clone(),
        generation: record.generation(&slot.role, slot.index),
        restart: role.restart,
        told: BTreeMap::new(),
        since,
    });
    Goal { slot, host, want, word: "running", unchanged: false, providers, limits: Limits::of(role) }
}

/// The goal of a slot that is to be empty.
pub(super) fn gone(slot: scs_plan::slot::Slot, host: String, role: &Role) -> Goal {
    let limits = Limits::to_end(role);
    Goal { slot, host, want: Want::Gone, word: "removed", unchanged: false, providers: Vec::new(), limits }
}
