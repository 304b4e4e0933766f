//! What the agent keeps of each slot beside its life: the assignment, and what is known of its containers.

use crate::labels;
use crate::launch::facts;
use crate::logs::Following;
use crate::provision::Prepared;
use scs_api::agent::Assignment;
use scs_plan::lifecycle::{Desired, Found, Lifecycle, Phase, View};
use scs_plan::slot::Slot;
use scs_ports::engine;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// A slot.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) life: Lifecycle,
    pub(crate) assignment: Option<Arc<Assignment>>,
    pub(crate) tombstoned: bool,
    pub(crate) prepared: BTreeMap<String, Prepared>,
    pub(crate) containers: BTreeMap<String, Known>,
    /// Log files that are followed, by instance.
    pub(crate) logs: BTreeMap<String, Following>,
    /// Where to say that a requirement was applied; dropping it ends the subscription.
    pub(crate) subscriptions: BTreeMap<String, mpsc::UnboundedSender<u64>>,
    /// What discovery refused, by endpoint.
    pub(crate) refused: BTreeMap<String, String>,
    /// When its life has to be looked at again, as it said after the last fact.
    pub(crate) deadline: Option<std::time::Instant>,
    /// Phase and message, and since when.
    pub(crate) since: Option<(Phase, Option<String>, SystemTime)>,
}

/// A container of the slot.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) desired: Arc<Desired>,
    /// Where its ports are reached from this host.
    pub(crate) address: IpAddr,
    pub(crate) provides: BTreeMap<String, scs_plan::lifecycle::Address>,
    pub(crate) view: Arc<View>,
    pub(crate) ended: bool,
    pub(crate) started: Option<SystemTime>,
}

impl Held {
    pub(crate) fn new(slot: Slot, seed: u64) -> Self {
        Self {
            life: Lifecycle::new(slot, seed),
            assignment: None,
            tombstoned: false,
            prepared: BTreeMap::new(),
            containers: BTreeMap::new(),
            logs: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            refused: BTreeMap::new(),
            deadline: None,
            since: None,
        }
    }

    /// Notes a container that was launched or found.
    pub(crate) fn note(
        &mut self,
        instance: &str,
        container: &engine::Container,
        desired: &Arc<Desired>,
        announce: Option<IpAddr>,
        view: Option<Arc<View>>,
    ) -> scs_plan::lifecycle::Container {
        let facts = facts(container, desired, announce);
        let view = view.or_else(|| self.containers.get(instance).map(|known| known.view.clone())).unwrap_or_default();
        let shared = desired.role.network.method == "host";
        let own = container.addresses.first().copied().filter(|_| !shared);
        let known = Known {
            id: container.id.clone(),
            desired: desired.clone(),
            address: own.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            provides: facts.provides.clone(),
            view,
            // Its life hears of an end first, and then it is noted.
            ended: self.containers.get(instance).is_some_and(|known| known.ended),
            started: container.started,
        };
        self.containers.insert(instance.to_owned(), known);
        facts
    }
}

/// A container of the engine as a life is told of it; `None` for what fills no slot or was made by something newer.
pub(crate) fn found(
    held: &mut Held,
    instance: String,
    container: &engine::Container,
    state: &std::path::Path,
) -> Option<Found> {
    let known = held.containers.get(&instance);
    let desired = match known {
        Some(known) => known.desired.clone(),
        None => Arc::new(labels::desired(&container.labels)?),
    };
    let announce = labels::announce(&container.labels);
    let new = known.is_none();
    let memo = if new { crate::files::Files::of(state, &instance).memo() } else { None };
    let facts = held.note(&instance, container, &desired, announce, None);
    if new && let Some(known) = held.containers.get_mut(&instance) {
        known.ended = matches!(container.state, engine::State::Exited(_));
    }
    Some(Found { instance, desired, container: facts, state: labels::state(container), memo })
}
