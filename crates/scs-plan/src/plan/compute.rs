//! Desired and observed state to plan. Pure, and linear in the number of slots.

use super::{Action, Difference, Plan, Step, differences};
use crate::change::{ChangeKind, Strategy, classify, replace_strategy};
use crate::placement::{Host, Placer, Unplaceable};
use crate::slot::Slot;
use scs_manifest::compiled::{Deployment, LiveAction, Role};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is wanted.
    pub desired: &'a Deployment,
    /// Revision of the service that the plan is made against; 0 where there is none.
    pub base_revision: u64,
    /// What was wanted so far; `None` where the service is down.
    pub current: Option<&'a Current<'a>>,
    /// What the hosts see of the service.
    pub observed: &'a [Observed],
    /// Hosts that may run something.
    pub hosts: &'a [Host],
}

/// What was wanted so far.
#[derive(Debug, Clone)]
pub struct Current<'a> {
    /// The roles.
    pub deployment: &'a Deployment,
    /// Host of each slot. A slot without one is on its way out and counts as not there.
    pub hosts: BTreeMap<Slot, String>,
    /// Slots that are stopped by hand.
    pub stopped: BTreeSet<Slot>,
    /// Earlier revisions, which a container may still be made from.
    pub earlier: Vec<&'a Deployment>,
    /// Slots that somebody moved; they stay there.
    pub moved: BTreeMap<Slot, Moved>,
    /// Whether moved slots are placed as the manifest says all the same.
    pub reset_placement: bool,
}

/// That somebody moved a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Where to.
    pub host: String,
    /// Who.
    pub who: String,
    /// When, in words.
    pub at: String,
    /// Whether it is there although the manifest's placement does not let it.
    pub forced: bool,
}

/// What a host sees of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Which slot.
    pub slot: Slot,
    /// Host.
    pub host: String,
    /// What is in effect in its container; `None` where it has none.
    pub effective: Option<Effective>,
    /// Whether its host knows what is there; until then what is stored is believed.
    pub settled: bool,
}

/// Digests of the role that a container is made from, or has since been updated to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Effective {
    /// Image digest.
    pub image_digest: String,
    /// Spec digest.
    pub spec_digest: String,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A role can run nowhere.
    #[error("role {role} can run nowhere")]
    Unplaceable {
        /// The role.
        role: String,
        /// Why.
        #[source]
        source: Unplaceable,
    },
}

/// The least that has to happen so that what is desired becomes true.
pub fn compute(request: &Request<'_>) -> Result<Plan, Error> {
    let planner = Planner::new(request);
    let mut placer = Placer::new(request.hosts);
    let desired = request.desired;
    let mut steps = Vec::new();
    for (name, role) in &desired.roles {
        for index in 0..role.replicas {
            let slot = slot(desired, name, index);
            let now = planner.host_now(&slot);
            let moved = planner.moved(&slot);
            let reset = request.current.is_some_and(|current| current.reset_placement);
            let held = match moved {
                Some(moved) if moved.forced && !reset => placer.hold(name, &role.placement, &moved.host),
                _ => None,
            };
            // Who is not to stay where somebody moved it is placed as one that is nowhere.
            let prefers = now.filter(|_| moved.is_none() || !reset);
            let host = match held {
                Some(host) => host,
                None => placer
                    .place(name, &role.placement, prefers)
                    .map_err(|source| Error::Unplaceable { role: name.clone(), source })?,
            };
            let mut step = planner.step(slot, role, now, host);
            if let Some(moved) = moved.filter(|_| now == Some(host)) {
                step.notes.push(moved.note());
            }
            steps.push(step);
        }
    }
    steps.extend(planner.removals());
    Ok(Plan {
        version: 1,
        environment: desired.environment.clone(),
        service: desired.service.clone(),
        base_revision: request.base_revision,
        steps,
    })
}

/// Every slot of a deployment, in its order.
pub(crate) fn slots(deployment: &Deployment) -> impl Iterator<Item = (Slot, &Role)> {
    deployment
        .roles
        .iter()
        .flat_map(move |(name, role)| (0..role.replicas).map(move |index| (slot(deployment, name, index), role)))
}

fn slot(deployment: &Deployment, role: &str, index: u32) -> Slot {
    Slot {
        environment: deployment.environment.clone(),
        service: deployment.service.clone(),
        role: role.to_owned(),
        index,
    }
}

impl Moved {
    fn note(&self) -> String {
        let Self { host, who, at, forced } = self;
        let who = if who.is_empty() { "somebody" } else { who };
        let against = if *forced { ", against `place`" } else { "" };
        format!("{who} moved it to {host} on {at}{against}; `--reset-placement` puts it where the manifest says")
    }
}

struct Planner<'a> {
    request: &'a Request<'a>,
    observed: HashMap<&'a Slot, &'a Observed>,
    /// Every role that a container may be made from, by its digests; the newest wins, which says the same.
    known: HashMap<(&'a str, &'a str, &'a str), &'a Role>,
    unseen: BTreeSet<&'a str>,
}

impl<'a> Planner<'a> {
    fn new(request: &'a Request<'a>) -> Self {
        let earlier = request.current.into_iter().flat_map(|current| current.earlier.iter().copied());
        let deployments = request.current.map(|current| current.deployment).into_iter().chain(earlier);
        let roles = deployments.flat_map(|deployment| deployment.roles.values());
        Self {
            request,
            observed: request.observed.iter().map(|it| (&it.slot, it)).collect(),
            known: roles
                .map(|it| ((it.name.as_str(), it.image_digest.as_str(), it.spec_digest.as_str()), it))
                .collect(),
            unseen: request.hosts.iter().filter(|host| !host.seen).map(|host| host.name.as_str()).collect(),
        }
    }

    fn host_now(&self, slot: &Slot) -> Option<&'a str> {
        self.request.current?.hosts.get(slot).map(String::as_str)
    }

    /// Who moved a slot to where it is.
    fn moved(&self, slot: &Slot) -> Option<&'a Moved> {
        let moved = self.request.current?.moved.get(slot)?;
        (self.host_now(slot) == Some(moved.host.as_str())).then_some(moved)
    }

    /// The role as it was wanted so far.
    fn stored(&self, slot: &Slot) -> Option<&'a Role> {
        self.host_now(slot)?;
        self.request.current?.deployment.roles.get(&slot.role)
    }

    fn step(&self, slot: Slot, role: &Role, now: Option<&str>, host: &str) -> Step {
        let stored = self.stored(&slot);
        let (action, changes, mut notes) = match stored {
            None => (Action::Create, Vec::new(), Vec::new()),
            Some(stored) => match now {
                Some(from) if from != host => {
                    (Action::Move { from: from.to_owned() }, differences(stored, role), Vec::new())
                }
                _ => self.in_place(&slot, stored, role, host),
            },
        };
        let stopped = self.request.current.is_some_and(|current| current.stopped.contains(&slot));
        let action = if stopped && stored.is_some() {
            notes.push("was stopped by hand and is started".to_owned());
            if action == Action::Keep || action == Action::LiveUpdate { Action::Create } else { action }
        } else {
            action
        };
        let has_image = self.effective(&slot).is_some_and(|it| it.image_digest == role.image_digest);
        let build = !matches!(action, Action::Keep | Action::LiveUpdate | Action::Remove) && !has_image;
        Step { slot, action, host: host.to_owned(), build, changes, notes }
    }

    fn effective(&self, slot: &Slot) -> Option<&'a Effective> {
        self.observed.get(slot)?.effective.as_ref()
    }

    /// What happens to a slot that stays on its host.
    fn in_place(&self, slot: &Slot, stored: &Role, role: &Role, host: &str) -> (Action, Vec<Difference>, Vec<String>) {
        let running = match self.effective(slot) {
            Some(effective) => {
                let digests = (slot.role.as_str(), effective.image_digest.as_str(), effective.spec_digest.as_str());
                // What is wanted may be newer than what has come to be, when the last change has not got through.
                if *effective == effective_of(role) { Some(role) } else { self.known.get(&digests).copied() }
            }
            None if self.unseen.contains(host) || self.observed.get(slot).is_some_and(|it| !it.settled) => Some(stored),
            None => {
                return (Action::Create, differences(stored, role), vec!["no container is there".to_owned()]);
            }
        };
        let Some(running) = running else {
            let (action, mut notes) = replacement(stored, role);
            notes.insert(0, "the container that is there was made from a revision that is no longer known".to_owned());
            return (action, differences(stored, role), notes);
        };
        match classify(running, role) {
            ChangeKind::None => (Action::Keep, Vec::new(), Vec::new()),
            ChangeKind::Live => {
                let notes = live_notes(running, role);
                (Action::LiveUpdate, differences(running, role), notes)
            }
            ChangeKind::Replace => {
                let (action, notes) = replacement(running, role);
                (action, differences(running, role), [notes, volume_notes(running, Some(role))].concat())
            }
        }
    }

    fn removals(&self) -> Vec<Step> {
        let Some(current) = self.request.current else { return Vec::new() };
        let wanted =
            |slot: &Slot| self.request.desired.roles.get(&slot.role).is_some_and(|it| slot.index < it.replicas);
        let gone = slots(current.deployment).filter(|(slot, _)| !wanted(slot));
        gone.filter_map(|(slot, role)| {
            let host = current.hosts.get(&slot)?.clone();
            let notes = volume_notes(role, None);
            Some(Step { slot, action: Action::Remove, host, build: false, changes: Vec::new(), notes })
        })
        .collect()
    }
}

fn effective_of(role: &Role) -> Effective {
    Effective { image_digest: role.image_digest.clone(), spec_digest: role.spec_digest.clone() }
}

fn replacement(old: &Role, new: &Role) -> (Action, Vec<String>) {
    match replace_strategy(old, new) {
        Strategy::StartFirst => (Action::ReplaceStartFirst, Vec::new()),
        Strategy::StopFirst(obstacle) => {
            (Action::ReplaceStopFirst, vec![format!("stops before the new one starts: {obstacle}")])
        }
    }
}

/// Where a change that looks harmless makes a new container after all.
fn live_notes(old: &Role, new: &Role) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, require) in &new.require {
        if old.require.get(name).is_some_and(|before| before.method == require.method) {
            continue;
        }
        // Templates name a requirement as `{{ require.NAME.host }}`.
        let reference = format!("require.{name}.");
        for (variable, _) in new.process.environment.iter().filter(|(_, value)| value.contains(&reference)) {
            notes.push(format!(
                "environment value {variable} changes with requirement {name}: other endpoints restart the container"
            ));
        }
        if require.liveupdate.action == LiveAction::Restart {
            notes.push(format!("requirement {name} has no live update: other endpoints restart the container"));
        }
    }
    notes
}

/// Volumes that a slot no longer has.
fn volume_notes(old: &Role, new: Option<&Role>) -> Vec<String> {
    let left = |name: &&String| !new.is_some_and(|role| role.volumes.contains_key(*name));
    let names: Vec<&str> = old.volumes.keys().filter(left).map(String::as_str).collect();
    match names.as_slice() {
        [] => Vec::new(),
        [name] => vec![format!("volume {name} stays, with its data")],
        names => vec![format!("volumes {} stay, with their data", names.join(", "))],
    }
}
