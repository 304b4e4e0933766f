//! Lost hosts: what may start elsewhere does, and what waits is known to whoever asks. What is decided is decided by [`scs_plan::loss`].

mod relocate;

use super::follow::{any, ended_never};
use super::planning::{Known, hosts};
use crate::agents::Reachability;
use crate::fleet::Members;
use crate::service::{Handle, Shared};
use crate::state::{ServiceKey, ServiceRecord, Status, volume_id};
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::{Access, Deployment, Volume};
use scs_plan::loss::{Alone, Contact, Losses, Resident, Standing, Wait};
use scs_plan::slot::Slot;
use scs_ports::volume::VolumeId;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long to wait before what could not be done is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// What became of the loss of hosts, as it was decided last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) alone: Option<Alone>,
    pub(crate) waits: Vec<Wait>,
}

/// Hosts that are out of reach, how their agents say so, and since when by our own clock, which is never set.
type Silences = BTreeMap<String, (How, Instant)>;

/// Since when a host is out of reach, and whether it is only its agent that is away.
type How = (SystemTime, bool);

impl Shared {
    /// Instances that wait for a lost host, a sentence each.
    pub(crate) fn waits(&self, concerned: impl Fn(&Wait) -> bool) -> Vec<String> {
        self.outlook.borrow().waits.iter().filter(|it| concerned(it)).map(ToString::to_string).collect()
    }
}

impl Handle {
    /// Instances that would have started elsewhere when their host was lost, and why they wait for it instead.
    pub fn waits(&self, concerned: impl Fn(&Wait) -> bool) -> Vec<String> {
        self.shared.waits(concerned)
    }

    /// Whether most hosts are out of reach, so that it is probably this server that is cut off.
    #[must_use]
    pub fn alone(&self) -> Option<Alone> {
        self.shared.outlook.borrow().alone
    }
}

/// Has what was on lost hosts start elsewhere, until the control plane stops.
pub(crate) async fn keep_places(shared: Arc<Shared>) {
    let (mut hosts, mut changed) = (shared.fleet.subscribe(), shared.changed.subscribe());
    let mut silences = Silences::new();
    loop {
        let members = hosts.borrow_and_update().clone();
        let mut reachable: Vec<_> = members.values().map(|it| it.agent.reachable()).collect();
        reachable.iter_mut().for_each(|it| drop(it.borrow_and_update()));
        changed.borrow_and_update();
        note(&members, &mut silences);
        let again = settle(&shared, &members, &silences).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is to become of a lost host could not be found out");
            Some(RETRY)
        });
        let later = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = any(&mut reachable) => {}
            () = ended_never(&mut hosts) => {}
            () = ended_never(&mut changed) => {}
            () = later => {}
        }
    }
}

fn note(members: &Members, silences: &mut Silences) {
    let silent = |name: &String| members.get(name).and_then(|it| it.silent()).map(|it| (it.since, it.host_answers));
    silences.retain(|name, (how, _)| silent(name) == Some(*how));
    for name in members.keys() {
        if let Some(how) = silent(name) {
            silences.entry(name.clone()).or_insert_with(|| (how, Instant::now()));
        }
    }
}

/// Decides, and does what follows. Gives when to look again though nothing happens.
async fn settle(shared: &Shared, members: &Members, silences: &Silences) -> Result<Option<Duration>, Problem> {
    let losses = Losses::of(standings(shared, members, silences), shared.options.loss_grace);
    let mut outlook = Outlook { alone: losses.alone(), waits: Vec::new() };
    let mut again = losses.next();
    let concerned = |record: &ServiceRecord| {
        record.status == Status::Up && (!record.bereft.is_empty() || record.hosts.values().any(|host| losses.has(host)))
    };
    let services: Vec<_> = shared.state.services().await?.into_iter().filter(|(_, it)| concerned(it)).collect();
    if !services.is_empty() {
        let moving: HashSet<Slot> = shared.state.moves().await?.into_iter().map(|it| it.slot).collect();
        for (service, record) in services {
            let Some(deployment) = Known::load(shared, &service, Some(record.clone())).await?.deployment else {
                continue;
            };
            let mut residents = residents(shared, &service, &record, &deployment, &moving);
            residents.extend(bereft(shared, &service, &record, &deployment).await?);
            let decision = losses.decide(&residents);
            again = again.into_iter().chain(decision.next).min();
            outlook.waits.extend(decision.waits);
            if decision.relocations.is_empty() {
                continue;
            }
            if let Err(problem) =
                relocate::relocate(shared, &service, &record, &deployment, &decision.relocations).await
            {
                // Whoever changes the service now is done soon; what is of no matter then is found so.
                if matches!(problem.code, Code::Locked | Code::StalePlan) {
                    tracing::debug!(service = %service, error = %problem, "what was on a lost host waits");
                } else {
                    tracing::warn!(service = %service, error = %problem, "what was on a lost host could not start elsewhere");
                }
                again = Some(again.map_or(RETRY, |again| again.min(RETRY)));
            }
        }
    }
    publish(shared, outlook);
    Ok(again)
}

fn standings(shared: &Shared, members: &Members, silences: &Silences) -> Vec<Standing> {
    let contact = |name: &String| match (silences.get(name), members.get(name)) {
        (Some(((_, true), since)), _) => Contact::Away(since.elapsed()),
        (Some(((_, false), since)), _) => Contact::Silent(since.elapsed()),
        (None, Some(member)) if matches!(*member.agent.reachable().borrow(), Reachability::Reachable { .. }) => {
            Contact::Answers
        }
        // It has only just fallen silent, or come: the next look says more.
        _ => Contact::Connecting,
    };
    let hosts = hosts(shared, &shared.reports());
    hosts.into_iter().map(|host| Standing { contact: contact(&host.name), host }).collect()
}

/// Every instance of a service that has a host.
fn residents<'a>(
    shared: &Shared,
    service: &ServiceKey,
    record: &'a ServiceRecord,
    deployment: &'a Deployment,
    moving: &HashSet<Slot>,
) -> Vec<Resident<'a>> {
    let slots = deployment.roles.values().flat_map(|role| (0..role.replicas).map(move |index| (role, index)));
    // As its host said last, before it was lost.
    let reports = shared.reports();
    let leased: HashSet<(&str, &Slot)> = reports
        .iter()
        .flat_map(|it| it.slots.iter().filter(|slot| slot.leased).map(|slot| (it.host.as_str(), &slot.slot)))
        .collect();
    let resident = |(role, index): (&'a scs_manifest::compiled::Role, u32)| {
        let (slot, host) = (service.slot(&role.name, index), record.host(&role.name, index)?);
        let stays = record.is_stopped(&role.name, index) || moving.contains(&slot);
        let lease = leased.contains(&(host, &slot)).then(|| shared.leases.left(host));
        Some(Resident { slot, role, host, bereft: None, stays, lease })
    };
    slots.filter_map(resident).collect()
}

/// Instances of a service whose host was given up for dead.
async fn bereft<'a>(
    shared: &Shared,
    service: &ServiceKey,
    record: &'a ServiceRecord,
    deployment: &'a Deployment,
) -> Result<Vec<Resident<'a>>, Problem> {
    if record.bereft.is_empty() {
        return Ok(Vec::new());
    }
    let volumes = shared.state.volumes(Some(service)).await?;
    let lost: HashSet<VolumeId> = volumes.into_iter().filter(|it| it.lost.is_some()).map(|it| it.id).collect();
    let resident = |(place, host): (&String, &'a String)| {
        let (role, index) = place.rsplit_once('/')?;
        let (role, index) = (deployment.roles.get(role)?, index.parse().ok()?);
        let slot = service.slot(&role.name, index);
        let is_lost =
            |name: &str, volume: &Volume| lost.contains(&volume_id(&slot, name, volume.access == Access::Shared));
        let names = role.volumes.iter().filter(|(name, volume)| is_lost(name, volume)).map(|(name, _)| name.clone());
        let bereft = Some(names.collect());
        Some(Resident { slot, role, host, bereft, stays: false, lease: None })
    };
    Ok(record.bereft.iter().filter_map(resident).collect())
}

fn publish(shared: &Shared, outlook: Outlook) {
    shared.outlook.send_if_modified(|now| {
        if *now == outlook {
            return false;
        }
        if let Some(alone) = outlook.alone.filter(|_| now.alone != outlook.alone) {
            tracing::error!("{alone}");
        }
        for wait in outlook.waits.iter().filter(|it| !now.waits.contains(it)) {
            tracing::warn!("{wait}");
        }
        *now = outlook;
        true
    });
}
