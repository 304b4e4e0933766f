//! Plans over stored and observed state.

use super::check_deployment;
use crate::service::{Handle, Shared};
use crate::state::{Error as StateError, ServiceKey, ServiceRecord, Status, within};
use futures_util::future::join_all;
use scs_api::agent::{HostReport, Phase, SlotReport};
use scs_api::deploy::{Caller, PlanRequest, PlanResponse};
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::Deployment;
use scs_plan::placement::Host;
use scs_plan::plan::{Action, Current, Effective, Moved, Observed, Plan, Request, compute};
use scs_plan::slot::Slot;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

impl Handle {
    /// What would happen.
    pub async fn plan(&self, environment: &str, service: &str, request: PlanRequest) -> Result<PlanResponse, Problem> {
        let (shared, service) = (&self.shared, ServiceKey::new(environment, service));
        check_deployment(&service, &request.deployment)?;
        let record = shared.state.service(&service).await?;
        let known = Known::load(shared, &service, record).await?;
        let mut plan = plan(shared, &service, &request.deployment, &known, request.reset_placement).await?;
        super::volumes::check(shared, &service, &request.deployment, &plan, &request.origin).await?;
        if plan.steps.iter().any(|step| step.build) {
            let mut images = BTreeSet::new();
            let members = shared.fleet.members();
            let answering = members.values().filter(|it| it.silent().is_none());
            // A plan is worth having without; it then says that everything is built.
            for found in join_all(answering.map(|it| it.agent.images())).await {
                images.extend(found.unwrap_or_default());
            }
            plan = plan.with_images(&request.deployment, &images);
        }
        let foreign = known.foreign_origin(&service, &request.origin).map(|it| it.message);
        let silent = shared.silent_hosts(|_| true, "the plan goes by what it said last, and puts nothing new there");
        let waits = shared.waits(|it| service.holds(&it.slot));
        let failed = failed(&shared.reports(), &service, &request.deployment);
        Ok(PlanResponse { plan, warnings: foreign.into_iter().chain(silent).chain(waits).chain(failed).collect() })
    }
}

/// What does not work although it is as wanted: nothing of the plan mends it.
fn failed(reports: &[HostReport], service: &ServiceKey, desired: &Deployment) -> Vec<String> {
    let slots = reports
        .iter()
        .flat_map(|host| &host.slots)
        .filter(|it| ServiceKey::new(&it.slot.environment, &it.slot.service) == *service);
    let failed = slots.filter(|it| {
        let ended_badly = it.container.as_ref().and_then(|it| it.exit_code).is_some_and(|code| code != 0);
        desired.roles.contains_key(&it.slot.role)
            && match it.phase {
                Phase::Failed | Phase::Failing | Phase::Backoff => true,
                Phase::Ended => ended_badly,
                _ => false,
            }
    });
    let line = |it: &SlotReport| {
        let why = it.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{} does not work{why}", it.slot.label())
    };
    failed.map(line).collect()
}

/// What desired state says of a service.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(super) record: Option<ServiceRecord>,
    /// What is wanted; `None` where the service is down.
    pub(crate) deployment: Option<Deployment>,
}

impl Known {
    pub(crate) async fn load(
        shared: &Shared,
        service: &ServiceKey,
        record: Option<ServiceRecord>,
    ) -> Result<Self, StateError> {
        let deployed = record.as_ref().filter(|it| it.status != Status::Down).map(|it| it.deployed);
        let deployment = match deployed {
            Some(number) => shared.state.revision(service, number).await?.and_then(|it| it.deployment),
            None => None,
        };
        Ok(Self { record, deployment })
    }

    pub(super) fn revision(&self) -> u64 {
        self.record.as_ref().map_or(0, |it| it.revision)
    }

    /// Why bringing the service up from `origin` takes it away from another directory.
    pub(super) fn foreign_origin(&self, service: &ServiceKey, origin: &Path) -> Option<Problem> {
        let foreign = foreign(service, self.record.as_ref()?, origin)?;
        Some(foreign.hint(
            "nothing was changed; use another service name or environment, or --take-over to bring it up from here from now on",
        ))
    }
}

/// Refuses a change that manifests of another directory than the service's own ask for, unless it is meant.
pub(super) fn check_origin(service: &ServiceKey, record: &ServiceRecord, caller: &Caller) -> Result<(), Problem> {
    let origin = caller.origin.as_ref().filter(|_| !caller.take_over);
    match origin.and_then(|origin| foreign(service, record, origin)) {
        Some(foreign) => Err(foreign.hint(format!(
            "nothing was changed; go there, or say `--take-over` or `--service {}` where just this service is meant",
            service.service
        ))),
        None => Ok(()),
    }
}

fn foreign(service: &ServiceKey, record: &ServiceRecord, origin: &Path) -> Option<Problem> {
    let (theirs, ours) = (record.origin.display(), origin.display());
    (record.origin != origin)
        .then(|| Problem::new(Code::Conflict, format!("{service} belongs to {theirs}, not to {ours}")))
}

/// A plan against what is known and what hosts report now.
pub(super) async fn plan(
    shared: &Shared,
    service: &ServiceKey,
    desired: &Deployment,
    known: &Known,
    reset_placement: bool,
) -> Result<Plan, Problem> {
    let reports = settled_reports(shared, service).await;
    let hosts = hosts(shared, &reports);
    // What a slot has left behind on another host, which may not even answer, says nothing about it.
    let is_place = |host: &str, slot: &Slot| {
        let place = known.record.as_ref().and_then(|it| it.host(&slot.role, slot.index));
        place.is_none_or(|it| it == host)
    };
    let observed: Vec<Observed> = reports
        .iter()
        .flat_map(|report| report.slots.iter().map(move |slot| (report, slot)))
        .filter(|(report, slot)| service.holds(&slot.slot) && is_place(&report.host, &slot.slot))
        .map(|(report, slot)| Observed {
            slot: slot.slot.clone(),
            host: report.host.clone(),
            effective: effective(slot),
            settled: is_settled(slot),
        })
        .collect();
    // Earlier revisions are only worth reading where a container was made from one of them.
    let is_current = |it: &Effective, role: &str| {
        known
            .deployment
            .iter()
            .chain([desired])
            .filter_map(|deployment| deployment.roles.get(role))
            .any(|role| role.image_digest == it.image_digest && role.spec_digest == it.spec_digest)
    };
    let strays = observed.iter().any(|it| it.effective.as_ref().is_some_and(|found| !is_current(found, &it.slot.role)));
    let revisions = if strays { shared.state.revisions(service).await? } else { Vec::new() };
    let current = known.record.as_ref().zip(known.deployment.as_ref()).map(|(record, deployment)| {
        let slots = || {
            deployment.roles.values().flat_map(|role| (0..role.replicas).map(move |index| (role.name.as_str(), index)))
        };
        let hosts =
            slots().filter_map(|(role, index)| Some((service.slot(role, index), record.host(role, index)?.to_owned())));
        let stopped = slots().filter(|(role, index)| record.is_stopped(role, *index));
        Current {
            deployment,
            hosts: hosts.collect(),
            stopped: stopped.map(|(role, index)| service.slot(role, index)).collect(),
            earlier: revisions.iter().filter_map(|it| it.deployment.as_ref()).collect(),
            moved: slots()
                .filter_map(|(role, index)| {
                    let it = record.moved.get(&within(role, index))?;
                    let at = jiff::Timestamp::try_from(it.at).unwrap_or(jiff::Timestamp::MIN);
                    let at = at.strftime("%Y-%m-%d").to_string();
                    let moved = Moved { host: it.host.clone(), who: it.who.clone(), at, forced: it.forced };
                    Some((service.slot(role, index), moved))
                })
                .collect(),
            reset_placement,
        }
    });
    let request = Request {
        desired,
        base_revision: known.revision(),
        current: current.as_ref(),
        observed: &observed,
        hosts: &hosts,
    };
    compute(&request).map_err(|error| Problem::of(Code::BadRequest, &error).hint("nothing was changed"))
}

/// Takes the moves out of a plan: their slots are brought to what is wanted where they are, and moved when that is done.
pub(super) fn without_moves(plan: &mut Plan) -> Vec<(Slot, String)> {
    let mut moves = Vec::new();
    for step in &mut plan.steps {
        if let Action::Move { from } = &step.action {
            let to = std::mem::replace(&mut step.host, from.clone());
            moves.push((step.slot.clone(), to));
            step.action = Action::ReplaceStopFirst;
        }
    }
    moves
}

/// What hosts report, once they have looked at what is there: right after the start of a server or an agent they have not.
async fn settled_reports(shared: &Shared, service: &ServiceKey) -> Vec<HostReport> {
    // Looking takes some hundredths of a second; a host that takes longer does not hold up a plan.
    const PATIENCE: Duration = Duration::from_secs(2);
    let settled = |report: &HostReport| {
        report.revision > 0 && report.slots.iter().filter(|it| service.holds(&it.slot)).all(is_settled)
    };
    let all = async {
        for member in shared.fleet.members().values().filter(|it| it.silent().is_none()) {
            // An agent that has ended reports nothing more, and what it said last counts.
            let _ = member.agent.report().wait_for(settled).await;
        }
    };
    let _ = tokio::time::timeout(PATIENCE, all).await;
    shared.reports()
}

/// Whether a host knows what is in a slot. One that starts without a container is one whose engine is still being asked.
fn is_settled(slot: &SlotReport) -> bool {
    slot.phase != Phase::Starting || slot.container.is_some()
}

pub(super) fn hosts(shared: &Shared, reports: &[HostReport]) -> Vec<Host> {
    let members = shared.fleet.members();
    let host = |report: &HostReport| {
        let member = members.get(&report.host)?;
        let silent = || member.silent().map(|it| it.to_string());
        Some(Host {
            name: report.host.clone(),
            labels: member.labels.clone(),
            seen: report.revision > 0,
            closed: if member.drained { Some("is drained".to_owned()) } else { silent() },
        })
    };
    reports.iter().filter_map(host).collect()
}

/// What is in effect in a slot: what has been applied in full, or what its container was made from.
fn effective(slot: &SlotReport) -> Option<Effective> {
    let applied = slot.applied.as_ref().map(|it| (&it.image_digest, &it.spec_digest));
    let made_from = || slot.container.as_ref().map(|it| (&it.image_digest, &it.spec_digest));
    let (image_digest, spec_digest) = applied.or_else(made_from)?;
    Some(Effective { image_digest: image_digest.clone(), spec_digest: spec_digest.clone() })
}
