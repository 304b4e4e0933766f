//! Carries out what a life asks for: at once what is small and local, in a task of its own what is not.

mod lines;

use crate::console::Console;
use crate::failure;
use crate::files::Files;
use crate::launch::Launch;
use crate::lease::Leases;
use crate::live;
use crate::logs::Source;
use crate::options::Options;
use crate::own::Users;
use crate::ports::Ports;
use crate::probe::{self, Target};
use crate::provide::{self, Say};
use crate::provision::{self, For};
use crate::service::Fact;
use crate::slots::Held;
use crate::{handle::Output, labels};
use disco_client::{Provision, Reason};
use futures_util::FutureExt;
use scs_plan::lifecycle::{Desired, Effect, Endpoints, Exit, Failure, Input, Outcome, Tell};
use scs_plan::slot::Slot;
use scs_ports::engine::{Container, Error};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};

/// Pause before a subscription that panicked is made anew.
const RESUBSCRIBE: Duration = Duration::from_secs(1);

/// What all effects need.
#[derive(Debug, Clone)]
pub(crate) struct Hands {
    pub(crate) options: Arc<Options>,
    pub(crate) ports: Ports,
    pub(crate) users: Users,
    pub(crate) leases: Leases,
    pub(crate) console: Option<Console>,
    pub(crate) facts: mpsc::UnboundedSender<Fact>,
    pub(crate) say: mpsc::UnboundedSender<Say>,
    pub(crate) output: broadcast::Sender<Output>,
    /// Containers whose lines can be read.
    pub(crate) sources: watch::Receiver<Arc<Vec<Source>>>,
    /// Grows from one start of the agent to the next, so that what it provides anew counts as newer.
    pub(crate) incarnation: u64,
}

impl Hands {
    pub(crate) fn carry_out(&self, slot: &Slot, held: &mut Held, cluster: &str, effect: Effect) {
        match effect {
            Effect::EnsureImage(desired) => self.ensure_image(slot, held, desired),
            Effect::Subscribe { requirement, query, instance } => {
                let query = provide::query(&query, instance);
                let applied = self.subscribe(slot, &requirement, query);
                held.subscriptions.insert(requirement, applied);
            }
            Effect::Unsubscribe { requirement } => drop(held.subscriptions.remove(&requirement)),
            Effect::Applied { requirement, seq } => {
                if let Some(applied) = held.subscriptions.get(&requirement) {
                    let _ = applied.send(seq);
                }
            }
            Effect::Provision { instance, desired } => self.provision(slot, held, instance, desired),
            Effect::Launch { .. } => self.launch(slot, held, cluster, effect),
            Effect::Probe { instance, endpoint, health } => {
                let Some(known) = held.containers.get(&instance) else { return };
                let Some(port) = known.desired.role.provide.get(&endpoint).map(|provide| provide.port) else { return };
                let helper = self.options.helper.is_some();
                let target = Target { container: known.id.clone(), address: known.address, port, helper };
                let engine = self.ports.engine.clone();
                let probed = |result| Input::Probed { instance, endpoint, result };
                let (passed, broken) = (probed.clone(), probed);
                let check = async move { passed(probe::check(&engine, &target, &health).await) };
                self.spawn(slot, check, |failure| broken(Err(failure.message)));
            }
            Effect::Provide { instance, endpoint, passing, attributes } => {
                self.provide(slot, held, &instance, endpoint, passing, attributes);
            }
            Effect::Withdraw { instance, reason, wait, successor_by } => {
                self.withdraw(slot, held, instance, reason, wait, successor_by);
            }
            Effect::WriteFiles { instance, view } => {
                if let Some(known) = held.containers.get_mut(&instance) {
                    known.view = view;
                }
                self.write_files(slot, held, &instance);
            }
            Effect::LiveUpdate { instance, run, action, .. } => self.live_update(slot, held, instance, run, action),
            Effect::Remember { instance, memo } => {
                if let Err(error) = self.files(&instance).write_memo(&memo) {
                    tracing::warn!(%slot, %instance, %error, "what the container was told cannot be written down");
                }
            }
            Effect::Stop { instance, container, grace } => self.stop(slot, instance, container, grace),
            Effect::Explain { instance, container } => self.last_words(slot, instance, container),
            Effect::Remove { instance, container } => self.remove(slot, held, &instance, container),
            Effect::Release(desired) => {
                let (ports, slot_) = (self.ports.clone(), slot.clone());
                let release = async move { Input::Released(provision::release(&ports, &slot_, &desired.role).await) };
                self.spawn(slot, release, |failure| Input::Released(Err(failure)));
            }
        }
    }

    pub(crate) fn files(&self, instance: &str) -> Files {
        Files::of(&self.options.state, instance)
    }

    /// Runs something in a task of its own that ends with a fact about a slot: one that panics has failed.
    fn spawn(
        &self,
        slot: &Slot,
        work: impl Future<Output = Input> + Send + 'static,
        broken: impl FnOnce(Failure) -> Input + Send + 'static,
    ) {
        let (slot, slot_) = (slot.clone(), slot.clone());
        self.spawn_for(async move { Fact::Slot(slot, work.await) }, |failure| Fact::Slot(slot_, broken(failure)));
    }

    fn spawn_for(
        &self,
        work: impl Future<Output = Fact> + Send + 'static,
        broken: impl FnOnce(Failure) -> Fact + Send + 'static,
    ) {
        let facts = self.facts.clone();
        tokio::spawn(async move {
            let fact = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(fact) => fact,
                Err(payload) => {
                    let failure = failure::panicked(&*payload);
                    tracing::error!(failure.message, "a step panicked");
                    broken(failure)
                }
            };
            let _ = facts.send(fact);
        });
    }

    fn ensure_image(&self, slot: &Slot, held: &Held, desired: Arc<Desired>) {
        let origin = held.assignment.as_ref().map(|assignment| assignment.origin.clone()).unwrap_or_default();
        let (images, output, slot_) = (self.ports.images.clone(), self.output.clone(), slot.clone());
        let digest_ = desired.role.image_digest.clone();
        let ensure = async move {
            let progress = |line: &str| {
                // Nobody may be listening.
                let _ = output.send(Output { slot: slot_.clone(), line: line.to_owned() });
            };
            let digest = desired.role.image_digest.clone();
            match images.ensure(&desired.role, &origin, &progress).await {
                Ok(image) => Input::ImageReady { digest, image },
                Err(error) => {
                    let mut failure = failure::of(&error);
                    failure.details.extend(error.output);
                    Input::ImageFailed { digest, failure }
                }
            }
        };
        self.spawn(slot, ensure, |failure| Input::ImageFailed { digest: digest_, failure });
    }

    fn subscribe(&self, slot: &Slot, requirement: &str, query: disco_client::Query) -> mpsc::UnboundedSender<u64> {
        let discovery = self.ports.discovery.clone();
        let id = format!("{slot}:{requirement}");
        let (applied, mut seqs) = mpsc::unbounded_channel::<u64>();
        let (facts, slot, requirement) = (self.facts.clone(), slot.clone(), requirement.to_owned());
        let fact = move |set: disco_client::EndpointSet| {
            // What vanished and nobody said why has not left.
            let left = !set.gone.is_empty() && set.gone.iter().all(|(_, reason)| *reason == Reason::Left);
            let gone = set.gone.last().map(|(_, reason)| *reason);
            let set = Endpoints {
                list: set.endpoints,
                seq: set.seq,
                complete: set.complete,
                stale: set.stale_since,
                left,
                gone,
            };
            Fact::Slot(slot.clone(), Input::EndpointsChanged { requirement: requirement.clone(), set })
        };
        tokio::spawn(async move {
            loop {
                let pass_on = async {
                    let mut subscription = discovery.require(&id, query.clone());
                    let _ = facts.send(fact(subscription.current()));
                    loop {
                        tokio::select! {
                            set = subscription.changed() => drop(facts.send(fact(set))),
                            seq = seqs.recv() => match seq {
                                Some(seq) => subscription.applied(seq).await,
                                None => return,
                            },
                        }
                    }
                };
                let Err(payload) = AssertUnwindSafe(pass_on).catch_unwind().await else { return };
                // The slot keeps what it was told last, and hears the truth from a subscription of its own.
                tracing::error!(
                    id,
                    error = failure::panicked(&*payload).message,
                    "a subscription panicked; it is made anew"
                );
                tokio::time::sleep(RESUBSCRIBE).await;
            }
        });
        applied
    }

    fn provision(&self, slot: &Slot, held: &Held, instance: String, desired: Arc<Desired>) {
        let Some(assignment) = held.assignment.clone() else { return };
        let (ports, options) = (self.ports.clone(), self.options.clone());
        let (slot, slot_, instance_) = (slot.clone(), slot.clone(), instance.clone());
        let provision = async move {
            let with = For { ports: &ports, owner: &options.owner, state: &options.state, assignment: &assignment };
            match with.prepare(&instance, &desired.role).await {
                Ok(prepared) => Fact::Prepared { slot, instance, prepared: Box::new(prepared) },
                Err(failure) => Fact::Slot(slot, Input::ProvisionFailed { instance, failure }),
            }
        };
        let failed = |failure| Input::ProvisionFailed { instance: instance_, failure };
        self.spawn_for(provision, |failure| Fact::Slot(slot_, failed(failure)));
    }

    fn launch(&self, slot: &Slot, held: &mut Held, cluster: &str, effect: Effect) {
        let Effect::Launch { instance, desired, image, view } = effect else { return };
        let failed = |failure| {
            let input = Input::LaunchFailed { instance: instance.clone(), failure };
            let _ = self.facts.send(Fact::Slot(slot.clone(), input));
        };
        let (Some(assignment), Some(prepared)) = (held.assignment.clone(), held.prepared.get(&instance).cloned())
        else {
            return failed(failure::saying("what it needs was not prepared"));
        };
        let missing = desired.role.secrets.iter().find(|(_, secret)| !assignment.secrets.contains_key(&secret.from));
        if let Some((name, secret)) = missing {
            let message = format!(
                "the value of secret {} ({name}) is not known on this host until the server says it",
                secret.from
            );
            return failed(failure::saying(message));
        }
        let files = self.files(&instance);
        let written = files
            .prepare(self.options.helper.as_deref())
            .and_then(|()| files.write(slot, &instance, &desired.role, &view))
            .and_then(|()| files.write_secrets(&desired.role, &assignment.secrets));
        if let Err(error) = written {
            return failed(failure::saying(format!(
                "cannot write its files in {}: {error}",
                self.options.state.display()
            )));
        }
        let launch = Launch {
            engine: self.ports.engine.clone(),
            users: self.users.clone(),
            leases: self.leases.clone(),
            console: self.console.clone(),
            options: self.options.clone(),
            cluster: cluster.to_owned(),
            assignment,
            instance: instance.clone(),
            desired: desired.clone(),
            image,
            view: view.clone(),
            prepared,
        };
        let (slot, slot_, instance_) = (slot.clone(), slot.clone(), instance.clone());
        let launch = async move {
            match launch.run().await {
                Ok(container) => Fact::Launched { slot, instance, container: Box::new(container), desired, view },
                Err(failure) => Fact::Slot(slot, Input::LaunchFailed { instance, failure }),
            }
        };
        let failed = |failure| Input::LaunchFailed { instance: instance_, failure };
        self.spawn_for(launch, |failure| Fact::Slot(slot_, failed(failure)));
    }

    fn provide(
        &self,
        slot: &Slot,
        held: &Held,
        instance: &str,
        endpoint: String,
        passing: bool,
        mut attributes: BTreeMap<String, String>,
    ) {
        let Some(known) = held.containers.get(instance) else { return };
        let (Some(address), Some(name)) = (known.provides.get(&endpoint), provide::name(slot, &endpoint)) else {
            return;
        };
        let Some((host, port)) = address.announced.rsplit_once(':') else { return };
        let Ok(port) = port.parse() else { return };
        attributes.extend(self.options.attributes.clone());
        attributes.insert("host".to_owned(), self.options.host.clone());
        // One endpoint stays one endpoint, however many families reach it: who wants IPv6 takes it from here.
        if let Some(v6) = &address.announced_v6 {
            attributes.insert(provide::IPV6.to_owned(), v6.clone());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut provision = Provision::new(name, instance, host, port);
        provision.health = provide::health(passing);
        provision.attributes = attributes;
        provision.incarnation = self.incarnation;
        if let Some(provided) = known.desired.role.provide.get(&endpoint) {
            provision.protocol = provide::protocol(provided.protocol);
        }
        let _ = self.say.send(Say::Provide { slot: slot.clone(), endpoint, provision });
    }

    fn withdraw(
        &self,
        slot: &Slot,
        held: &Held,
        instance: String,
        reason: Reason,
        wait: Duration,
        successor_by: Option<Duration>,
    ) {
        let provides = held.containers.get(&instance).into_iter().flat_map(|known| known.provides.keys());
        let names = provides.filter_map(|endpoint| provide::name(slot, endpoint)).collect();
        let how = provide::how(reason, wait, successor_by);
        let _ = self.say.send(Say::Withdraw { slot: slot.clone(), instance, names, how });
    }

    pub(crate) fn write_files(&self, slot: &Slot, held: &Held, instance: &str) {
        let (Some(known), Some(assignment)) = (held.containers.get(instance), &held.assignment) else { return };
        let role = held.life.desired().map_or(&known.desired.role, |desired| &desired.role);
        let files = self.files(instance);
        // After an upgrade of this program there may be more to the directory than before.
        let written = files.write(slot, instance, role, &known.view);
        let written = written.and_then(|()| files.write_secrets(role, &assignment.secrets));
        if let Err(error) = written {
            tracing::error!(%slot, %instance, %error, "the container cannot be shown what changed");
        }
    }

    /// The path from a change to the command: nothing but the exec itself is asked of the engine.
    fn live_update(&self, slot: &Slot, held: &Held, instance: String, run: u64, action: Tell) {
        let Some(known) = held.containers.get(&instance) else { return };
        let role = held.life.desired().map_or(&known.desired.role, |desired| &desired.role);
        let environment = crate::files::environment(slot, &instance, role, &known.view);
        let (engine, container, helper) = (self.ports.engine.clone(), known.id.clone(), self.options.helper.is_some());
        let updated = move |outcome| Input::LiveUpdated { instance, run, outcome };
        let (ended, broken) = (updated.clone(), updated);
        let tell = async move { ended(live::tell(&engine, &container, &action, environment, helper).await) };
        self.spawn(slot, tell, |failure| broken(Outcome { failure: Some(failure.message), ..Outcome::default() }));
    }

    fn stop(&self, slot: &Slot, instance: String, container: String, grace: Duration) {
        let engine = self.ports.engine.clone();
        let instance_ = instance.clone();
        let stop = async move {
            let ended = match engine.stop(&container, grace).await {
                Ok(()) => engine.container(&container).await.map(|container| container.as_ref().map(labels::state)),
                Err(error) => Err(error),
            };
            match ended {
                Ok(None) | Err(Error::NotFound { .. }) => Input::Ended { instance, exit: Exit::default() },
                Ok(Some(scs_plan::lifecycle::FoundState::Exited(exit))) => Input::Ended { instance, exit },
                Ok(Some(_)) => Input::StopFailed {
                    instance,
                    failure: failure::saying("its container runs although it was stopped"),
                },
                Err(error) => Input::StopFailed { instance, failure: failure::of(&error) },
            }
        };
        self.spawn(slot, stop, |failure| Input::StopFailed { instance: instance_, failure });
    }

    /// Returns what the network gave a container that has ended.
    pub(crate) fn release_network(&self, slot: &Slot, instance: String, method: &str) {
        let Some(network) = self.ports.networks.get(method).cloned() else { return };
        let slot = slot.clone();
        tokio::spawn(async move {
            if let Err(error) = network.release(&instance).await {
                tracing::warn!(%slot, %instance, error = failure::chain(&error).join(": "), "the network keeps what it gave");
            }
        });
    }

    /// Why a container ended, and its last lines.
    fn last_words(&self, slot: &Slot, instance: String, container: String) {
        let engine = self.ports.engine.clone();
        let instance_ = instance.clone();
        let explain = async move {
            let state = engine.container(&container).await.ok().flatten().as_ref().map(labels::state);
            let mut exit = match state {
                Some(scs_plan::lifecycle::FoundState::Exited(exit)) => exit,
                _ => Exit::default(),
            };
            exit.output = crate::logs::last_lines(&*engine, &container).await;
            Input::Explained { instance, exit }
        };
        let broken = |failure: Failure| Exit { output: vec![failure.message], ..Exit::default() };
        self.spawn(slot, explain, move |failure| Input::Explained { instance: instance_, exit: broken(failure) });
    }

    /// What there is of a slot's volumes.
    pub(crate) fn inspect_volumes(&self, slot: &Slot, desired: Arc<Desired>) {
        let (ports, slot_) = (self.ports.clone(), slot.clone());
        let inspect = async move { Input::VolumesSeen(provision::inspect(&ports, &slot_, &desired.role).await) };
        self.spawn(slot, inspect, |_| Input::VolumesSeen(BTreeMap::new()));
    }
}

/// Leftovers of launches that were interrupted: one-off containers of this installation.
pub(crate) async fn clean(ports: Ports, owner: String, containers: Vec<Container>) {
    for container in containers {
        let labels = &container.labels;
        if labels.get(labels::names::OWNER) == Some(&owner)
            && labels.get(labels::names::PURPOSE).is_some_and(|purpose| purpose == "own")
            && let Err(error) = ports.engine.remove(&container.id).await
        {
            tracing::warn!(container = container.name, %error, "a leftover container stays");
        }
    }
}
