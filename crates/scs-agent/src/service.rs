//! The task that owns the lives of all slots of this host.

mod publish;

use crate::assignments::{Refused, Store, recover_secrets};
use crate::console::Console;
use crate::effects::{Hands, clean};
use crate::handle::{Handle, Order, Output};
use crate::lease::Leases;
use crate::logs::{Archive, Source};
use crate::options::Options;
use crate::own::Users;
use crate::ports::Ports;
use crate::provision::Prepared;
use crate::report::Clock;
use crate::slots::{Held, found};
use crate::{labels, provide, watch as engine_watch};
use scs_api::agent::{Assignment, Assignments, HostReport};
use scs_plan::lifecycle::{Desired, Exit, Input, View};
use scs_plan::slot::Slot;
use scs_ports::engine::{Container, Event, EventKind};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the server keeps our endpoints while we restart: as long as an upgrade with time to spare takes.
const PARK: Duration = Duration::from_secs(120);
/// How long we wait for it to hear of that.
const PARTING: Duration = Duration::from_secs(2);
/// Lines of progress kept for a slow reader.
const OUTPUT: usize = 4096;
/// Ends of containers nobody has heard of that are remembered: more than can be starting at once.
const EARLY: usize = 1000;
/// When endpoints of a former run are withdrawn that nobody has provided again: as long as its containers have had to be found.
const INHERITED: Duration = Duration::from_secs(5);

/// What tasks report to the owner.
#[derive(Debug)]
pub(crate) enum Fact {
    Slot(Slot, Input),
    Prepared { slot: Slot, instance: String, prepared: Box<Prepared> },
    Launched { slot: Slot, instance: String, container: Box<Container>, desired: Arc<Desired>, view: Arc<View> },
    Provided { slot: Slot, instance: String, endpoint: String, failure: Option<String> },
    Withdrawn { slot: Slot, instance: String, unapplied: Vec<String> },
    Listed { at: std::time::Instant, containers: Vec<Container> },
    Event(Event),
    EngineLost(String),
}

/// The agent, not yet running.
#[derive(Debug)]
pub struct Service {
    hands: Hands,
    store: Store,
    slots: BTreeMap<Slot, Held>,
    orders: mpsc::UnboundedReceiver<Order>,
    facts: mpsc::UnboundedReceiver<Fact>,
    said: Option<mpsc::UnboundedReceiver<provide::Say>>,
    report: watch::Sender<HostReport>,
    labels: watch::Sender<Option<BTreeMap<String, String>>>,
    sources: watch::Sender<Arc<Vec<Source>>>,
    look: Arc<Notify>,
    engine_lost: Option<String>,
    listed: bool,
    /// Ends that the engine told of before the launch was reported, by instance.
    early: BTreeMap<String, i64>,
    clock: Clock,
}

impl Service {
    /// An agent that continues what it did last, and a handle to it that may be used at once.
    ///
    /// # Errors
    /// When the state directory cannot be made, read or written.
    pub fn new(options: Options, ports: Ports) -> io::Result<(Self, Handle)> {
        let (store, last) = Store::open(&options.state, options.cluster.clone())?;
        let (order, orders) = mpsc::unbounded_channel();
        let (facts_sender, facts) = mpsc::unbounded_channel();
        let (say, said) = mpsc::unbounded_channel();
        let (output, _) = broadcast::channel::<Output>(OUTPUT);
        let (report, report_receiver) =
            watch::channel(HostReport { host: options.host.clone(), ..HostReport::default() });
        let (labels, labels_receiver) = watch::channel(None);
        let (sources, sources_receiver) = watch::channel(Arc::default());
        let system = SystemTime::now();
        let since_epoch = system.duration_since(UNIX_EPOCH).unwrap_or_default();
        let leases = Leases::open(&options.state, options.watchdog.clone())?;
        let handle = Handle {
            leases: leases.clone(),
            orders: order,
            report: report_receiver,
            labels: labels_receiver,
            sources: sources_receiver.clone(),
            output: output.clone(),
            ports: ports.clone(),
            archive: Archive::new(&options.state),
        };
        let hands = Hands {
            options: Arc::new(options),
            ports,
            users: Users::default(),
            leases,
            console: None,
            facts: facts_sender,
            say,
            output,
            sources: sources_receiver,
            incarnation: u64::try_from(since_epoch.as_millis()).unwrap_or(0),
        };
        let mut service = Self {
            hands,
            store,
            slots: BTreeMap::new(),
            orders,
            facts,
            said: Some(said),
            report,
            labels,
            sources,
            look: Arc::new(Notify::new()),
            engine_lost: None,
            listed: false,
            early: BTreeMap::new(),
            clock: Clock { instant: Instant::now().into_std(), system },
        };
        service.restore(last);
        Ok((service, handle))
    }

    /// Hands the containers that are started from now on to somebody, with their input.
    #[must_use]
    pub fn with_console(mut self, console: Console) -> Self {
        self.hands.console = Some(console);
        self
    }

    /// Works until `shutdown`. Containers keep running, and the session is parked for whoever starts next.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        let Hands { options, ports, facts, .. } = self.hands.clone();
        tasks.spawn(engine_watch::run(ports.engine.clone(), options.owner.clone(), self.look.clone(), facts.clone()));
        if let Some(said) = self.said.take() {
            tasks.spawn(provide::run(ports.discovery.clone(), said, facts));
        }
        let now = Instant::now();
        let slots: Vec<Slot> = self.slots.keys().cloned().collect();
        for slot in slots {
            self.handle(now, &slot, Input::Tick);
        }
        let mut inherited = std::pin::pin!(tokio::time::sleep(INHERITED));
        let mut inherited_done = false;
        let mut asked = true;
        loop {
            self.follow_logs();
            self.publish();
            let deadline = self.next_deadline();
            tokio::select! {
                () = shutdown.cancelled() => break,
                fact = self.facts.recv() => {
                    // The owner holds a sender itself, so there is always another fact to wait for.
                    let Some(fact) = fact else { break };
                    self.fact(fact);
                    // Those that came meanwhile belong to the same report.
                    while let Ok(fact) = self.facts.try_recv() {
                        self.fact(fact);
                    }
                }
                order = self.orders.recv(), if asked => match order {
                    Some(order) => self.order(order),
                    // Nobody is left who could ask for anything; the containers still are.
                    None => asked = false,
                },
                // Deaf or mute, an agent would look healthy: a part that panicked takes it down, and whoever runs it sees that.
                Some(Err(ended)) = tasks.join_next() => if ended.is_panic() {
                    std::panic::resume_unwind(ended.into_panic());
                },
                () = tokio::time::sleep_until(deadline) => self.tick(),
                () = &mut inherited, if !inherited_done => {
                    inherited_done = self.listed;
                    inherited.as_mut().reset(Instant::now() + INHERITED);
                    if self.listed {
                        self.withdraw_inherited();
                    }
                }
            }
        }
        let _ = tokio::time::timeout(PARTING, ports.discovery.park(PARK)).await;
    }

    fn restore(&mut self, last: Assignments) {
        let mut secrets: BTreeMap<Slot, Assignment> = BTreeMap::new();
        for mut assignment in last.assignments {
            for instance in instances(&self.hands.options.state) {
                let files = self.hands.files(&instance);
                if files.slot().as_ref() == Some(&assignment.slot) {
                    recover_secrets(&mut assignment, &files);
                }
            }
            secrets.insert(assignment.slot.clone(), assignment);
        }
        let now = Instant::now();
        for (slot, assignment) in secrets {
            self.assign_one(now, &slot, assignment);
        }
        for slot in last.tombstones {
            self.bury(now, &slot);
        }
    }

    fn held(&mut self, slot: &Slot) -> &mut Held {
        self.slots.entry(slot.clone()).or_insert_with(|| {
            // What runs in it is not known yet.
            self.look.notify_one();
            let mut seed = [0; 8];
            if getrandom::fill(&mut seed).is_err() {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                seed = u64::try_from(now.as_nanos()).unwrap_or(0).to_be_bytes();
            }
            Held::new(slot.clone(), u64::from_be_bytes(seed))
        })
    }

    fn assign_one(&mut self, now: Instant, slot: &Slot, assignment: Assignment) {
        let secrets = self.store.fingerprints(&assignment);
        let desired = Desired {
            role: assignment.role.clone(),
            generation: assignment.generation,
            stopped: assignment.stopped,
            moving: assignment.moving,
            secrets,
        };
        let held = self.held(slot);
        held.assignment = Some(Arc::new(assignment));
        held.tombstoned = false;
        self.handle(now, slot, Input::Assigned(Arc::new(desired)));
    }

    fn bury(&mut self, now: Instant, slot: &Slot) {
        self.held(slot).tombstoned = true;
        self.handle(now, slot, Input::Tombstoned);
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Assign(assignments, reply) => {
                let result = self.assign(*assignments);
                // The report says it before the answer does, so that whoever waits for both sees the new one.
                self.publish();
                let _ = reply.send(result);
            }
            Order::Leased(slots) => {
                let now = Instant::now();
                for slot in slots {
                    self.handle(now, &slot, Input::Leased);
                }
            }
            Order::Environment(instance, reply) => {
                let known = self.slots.iter().find_map(|(slot, held)| {
                    let known = held.containers.get(&instance).filter(|known| !known.ended)?;
                    let environment = crate::files::environment(slot, &instance, &known.desired.role, &known.view);
                    Some((known.id.clone(), environment))
                });
                let _ = reply.send(known);
            }
        }
    }

    fn assign(&mut self, assignments: Assignments) -> Result<(), Refused> {
        let before = self.store.revision;
        self.store.accept(&assignments)?;
        let Assignments { assignments: new, tombstones, labels, .. } = assignments;
        self.labels.send_if_modified(|known| {
            let differs = labels.is_some() && *known != labels;
            if differs {
                known.clone_from(&labels);
            }
            differs
        });
        let fresh: BTreeSet<&Slot> = new.iter().map(|assignment| &assignment.slot).chain(&tombstones).collect();
        // What the list does not name is left as it was.
        let old = self.slots.iter().filter(|(slot, held)| !fresh.contains(slot) && !held.tombstoned);
        let old = old.filter_map(|(_, held)| held.assignment.as_deref());
        if let Err(error) = self.store.write(old.chain(&new), tombstones.clone()) {
            self.store.revision = before;
            return Err(error);
        }
        // A tombstone that is no longer there has been taken note of.
        let named: BTreeSet<&Slot> = tombstones.iter().collect();
        self.slots.retain(|slot, held| !held.tombstoned || named.contains(slot) || !held.life.is_gone());
        let now = Instant::now();
        for assignment in new {
            self.assign_one(now, &assignment.slot.clone(), assignment);
        }
        for slot in tombstones {
            self.bury(now, &slot);
        }
        Ok(())
    }

    fn fact(&mut self, fact: Fact) {
        let now = Instant::now();
        match fact {
            Fact::Slot(slot, input) => self.handle(now, &slot, input),
            Fact::Prepared { slot, instance, prepared } => {
                let volumes = prepared.volumes.clone();
                if let Some(held) = self.slots.get_mut(&slot) {
                    held.prepared.insert(instance.clone(), *prepared);
                }
                self.handle(now, &slot, Input::Provisioned { instance, volumes });
            }
            Fact::Launched { slot, instance, container, desired, view } => {
                let Some(held) = self.slots.get_mut(&slot) else { return };
                let announce = labels::announce(&container.labels);
                let facts = held.note(&instance, &container, &desired, announce, Some(view));
                held.prepared.remove(&instance);
                let input = Input::Launched { instance: instance.clone(), container: facts };
                self.handle(now, &slot, input);
                let early = self.early.remove(&instance).map(|code| Exit { code: Some(code), ..Exit::default() });
                let exited = match labels::state(&container) {
                    labels::FoundState::Exited(exit) => Some(exit),
                    _ => early,
                };
                if let Some(exit) = exited {
                    self.ended(now, &slot, instance, exit);
                }
            }
            Fact::Provided { slot, instance, endpoint, failure } => {
                let Some(held) = self.slots.get_mut(&slot) else { return };
                match failure {
                    Some(failure) => {
                        if held.refused.get(&endpoint) != Some(&failure) {
                            tracing::warn!(%slot, %instance, %endpoint, failure, "not announced");
                        }
                        held.refused.insert(endpoint, failure);
                    }
                    None => drop(held.refused.remove(&endpoint)),
                }
            }
            Fact::Withdrawn { slot, instance, unapplied } => {
                if !unapplied.is_empty() {
                    tracing::info!(%slot, %instance, ?unapplied, "stopped although not every user has moved");
                }
                self.handle(now, &slot, Input::Withdrawn { instance, unapplied });
            }
            Fact::Listed { at, containers } => self.observed(now, at, containers),
            Fact::Event(event) => self.event(now, &event),
            Fact::EngineLost(problem) => {
                if self.engine_lost.is_none() {
                    tracing::error!(problem, "the container engine does not answer");
                }
                self.engine_lost = Some(problem);
            }
        }
    }

    fn event(&mut self, now: Instant, event: &Event) {
        let Some((slot, instance)) = labels::slot(&event.labels) else { return };
        match event.kind {
            EventKind::Died(code) => {
                let held = self.slots.get(&slot);
                if held.is_some_and(|held| !held.containers.contains_key(&instance)) && self.early.len() < EARLY {
                    self.early.insert(instance.clone(), code);
                }
                self.ended(now, &slot, instance, Exit { code: Some(code), ..Exit::default() });
            }
            EventKind::Removed => self.look.notify_one(),
            EventKind::Started => {}
        }
    }

    /// A container ended by itself, or was stopped. Its life hears it at once, and asks why.
    fn ended(&mut self, now: Instant, slot: &Slot, instance: String, exit: Exit) {
        let Some(held) = self.slots.get(slot) else { return };
        if held.containers.get(&instance).is_some_and(|known| !known.ended) {
            self.handle(now, slot, Input::Ended { instance, exit });
        }
    }

    fn observed(&mut self, now: Instant, at: std::time::Instant, containers: Vec<Container>) {
        let back = self.engine_lost.take().is_some();
        if back {
            tracing::info!("the container engine answers again");
        }
        let mut by_slot: BTreeMap<Slot, Vec<(String, Container)>> = BTreeMap::new();
        let mut others = Vec::new();
        for container in containers {
            match labels::slot(&container.labels) {
                Some((slot, instance)) => by_slot.entry(slot).or_default().push((instance, container)),
                None => others.push(container),
            }
        }
        let there: BTreeSet<&str> = by_slot
            .values()
            .flatten()
            .map(|(_, it)| it.id.as_str())
            .chain(others.iter().map(|it| it.id.as_str()))
            .collect();
        self.hands.leases.retain(at, &there);
        if !std::mem::replace(&mut self.listed, true) {
            // Nothing was launched by this process before now, so what has no container was left by an interrupted launch.
            let there: BTreeSet<&String> = by_slot.values().flatten().map(|(instance, _)| instance).collect();
            for instance in instances(&self.hands.options.state).iter().filter(|instance| !there.contains(instance)) {
                self.hands.files(instance).remove();
            }
            let (ports, owner) = (self.hands.ports.clone(), self.hands.options.owner.clone());
            tokio::spawn(clean(ports, owner, others));
        }
        // Ends that no event told of.
        for (slot, containers) in &by_slot {
            for (instance, container) in containers {
                if let labels::FoundState::Exited(exit) = labels::state(container) {
                    self.ended(now, slot, instance.clone(), exit);
                }
            }
        }
        let slots: Vec<Slot> = self.slots.keys().cloned().collect();
        for slot in slots {
            let Some(held) = self.slots.get_mut(&slot) else { continue };
            let mut adopted = None;
            let mut list = Vec::new();
            for (instance, container) in by_slot.remove(&slot).unwrap_or_default() {
                let known = held.containers.contains_key(&instance);
                let state = &self.hands.options.state;
                let Some(found) = found(held, instance, &container, state) else {
                    tracing::warn!(%slot, container = container.name, "its labels cannot be read; it is left alone");
                    continue;
                };
                if !known && found.state == labels::FoundState::Running {
                    tracing::info!(%slot, instance = found.instance, "a running container is adopted");
                    adopted = Some((found.instance.clone(), found.desired.clone()));
                }
                list.push(found);
            }
            self.handle(now, &slot, Input::Observed { at, containers: list });
            if back {
                self.handle(now, &slot, Input::EngineBack);
            }
            if let Some((instance, desired)) = adopted {
                let files = self.hands.files(&instance);
                if let Err(error) = files.prepare(self.hands.options.helper.as_deref()) {
                    tracing::warn!(%slot, %instance, %error, "the files of an adopted container cannot be made anew");
                }
                self.hands.inspect_volumes(&slot, desired);
            }
        }
    }

    fn handle(&mut self, now: Instant, slot: &Slot, input: Input) {
        let Some(held) = self.slots.get_mut(slot) else { return };
        let unknown = matches!(
            &input,
            Input::LaunchFailed { failure, .. } | Input::StopFailed { failure, .. } if failure.unknown
        );
        if let Input::Ended { instance, .. } = &input
            && let Some(known) = held.containers.get_mut(instance)
            && !std::mem::replace(&mut known.ended, true)
        {
            let method = known.desired.role.network.method.clone();
            self.hands.release_network(slot, instance.clone(), &method);
        }
        let mut effects = Vec::new();
        held.life.handle(now.into_std(), input, &mut effects);
        held.deadline = held.life.next_deadline(now.into_std());
        for effect in effects {
            tracing::debug!(%slot, ?effect, "to do");
            self.hands.carry_out(slot, held, self.store.cluster(), effect);
        }
        if unknown {
            self.look.notify_one();
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due = |held: &Held| held.deadline.is_some_and(|at| at <= now.into_std());
        let slots: Vec<Slot> = self.slots.iter().filter(|(_, held)| due(held)).map(|(slot, _)| slot.clone()).collect();
        for slot in slots {
            self.handle(now, &slot, Input::Tick);
        }
    }

    fn next_deadline(&self) -> Instant {
        let now = Instant::now();
        let next = self.slots.values().filter_map(|held| held.deadline).min();
        match next {
            // A millisecond is the timer's own grain; it also keeps a deadline that does not go away from burning a core.
            Some(at) => Instant::from_std(at).max(now + Duration::from_millis(1)),
            None => now + Duration::from_secs(3600),
        }
    }

    /// Endpoints that a former run provided and this one does not: their containers are gone, and nobody else withdraws them.
    fn withdraw_inherited(&self) {
        let (discovery, say) = (self.hands.ports.discovery.clone(), self.hands.say.clone());
        let ours: BTreeSet<String> = self
            .slots
            .values()
            .flat_map(|held| {
                held.containers.iter().filter(|(_, known)| !known.ended).map(|(instance, _)| instance.clone())
            })
            .collect();
        tokio::spawn(async move {
            let inherited = loop {
                match discovery.inherited().await {
                    Ok(inherited) => break inherited,
                    Err(_) => tokio::time::sleep(INHERITED).await,
                }
            };
            for (name, instance) in inherited {
                if ours.contains(&instance) {
                    continue;
                }
                let slot = Slot {
                    environment: name.environment.clone(),
                    service: name.service.clone(),
                    role: name.role.clone(),
                    index: 0,
                };
                let how = provide::how(disco_client::Reason::Died, Duration::ZERO, None);
                let _ = say.send(provide::Say::Withdraw { slot, instance, names: vec![name], how });
            }
        });
    }

    /// Follows the log files of containers whose are not followed yet, or other ones.
    fn follow_logs(&mut self) {
        for (slot, held) in &mut self.slots {
            self.hands.follow_logs(slot, held);
        }
    }
}

/// Instances that have files.
fn instances(state: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(state.join("run")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
