//! A seeded world around one slot: an engine that fails, containers that die, an agent that is killed, a role that changes.
//! Invariants hold after every step, and everything converges once the faults end.

use super::chance::Chance;
use super::*;
use crate::change::{ChangeKind, Strategy, classify, replace_strategy};
use crate::fixture::{provide, require, role, volume};
use disco_proto::{Endpoint, Name, Provision};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::SystemTime;

/// Seconds of faults, and of peace after them.
const TROUBLE: u64 = 300;
const PEACE: u64 = 1500;

#[derive(Debug, Clone)]
struct Unit {
    desired: Arc<Desired>,
    container: Container,
    state: FoundState,
    healthy_at: Instant,
    memo: Option<Memo>,
    probed: bool,
    published: bool,
    telling: bool,
    /// Address list it was last told, by the launch or a live update that worked.
    told: Vec<String>,
    seen: Vec<String>,
}

#[derive(Debug)]
enum Event {
    Act(Effect),
    Tell(Input),
    /// A subscription is answered with what is true by then.
    Answer(String),
}

struct World {
    now: Instant,
    chance: Chance,
    life: Lifecycle,
    units: BTreeMap<String, Unit>,
    queue: VecDeque<(Instant, Event)>,
    desired: Arc<Desired>,
    tombstoned: bool,
    endpoints: Endpoints,
    faults: bool,
    log: VecDeque<String>,
    exclusive: bool,
    /// Whether the role has a health check.
    checked: bool,
    started: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let exclusive = chance.next().is_multiple_of(2);
        let checked = !chance.next().is_multiple_of(4);
        let now = Instant::now();
        let desired = Arc::new(Desired {
            role: variant(0, exclusive, checked),
            generation: 1,
            stopped: false,
            moving: false,
            secrets: BTreeMap::new(),
        });
        let mut world = Self {
            now,
            life: Lifecycle::new(slot(), chance.next()),
            chance,
            units: BTreeMap::new(),
            queue: VecDeque::new(),
            desired,
            tombstoned: false,
            endpoints: Endpoints { list: vec![endpoint(1)], seq: 1, complete: true, ..Endpoints::default() },
            faults: true,
            log: VecDeque::new(),
            exclusive,
            checked,
            started: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let input = if self.tombstoned { Input::Tombstoned } else { Input::Assigned(self.desired.clone()) };
        self.tell(input);
        self.look();
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.chance.next().is_multiple_of(n)
    }

    fn fails(&mut self) -> bool {
        self.faults && self.one_in(6)
    }

    fn later(&mut self, event: Event) {
        let delay = Duration::from_millis(self.chance.next() % 400);
        self.queue.push_back((self.now + delay, event));
    }

    fn note(&mut self, line: String) {
        if self.log.len() > 60 {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    fn tell(&mut self, input: Input) {
        self.note(format!("tell {}", short(&input)));
        let mut out = Vec::new();
        self.life.handle(self.now, input, &mut out);
        for effect in out {
            self.note(format!("  do {}", short(&effect)));
            self.effect(effect);
        }
        let _ = self.life.report(self.now);
    }

    /// What takes effect at once in the agent's own process; the rest comes later.
    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Subscribe { requirement, .. } => {
                self.later(Event::Answer(requirement));
            }
            Effect::Remember { instance, memo } => {
                if let Some(unit) = self.units.get_mut(&instance) {
                    unit.memo = Some(memo);
                }
            }
            Effect::WriteFiles { instance, view } => {
                if let Some(unit) = self.units.get_mut(&instance) {
                    unit.seen = addresses(&view);
                }
            }
            Effect::Provide { instance, .. } => {
                if let Some(unit) = self.units.get_mut(&instance) {
                    assert!(
                        !self.checked || unit.probed || unit.memo.as_ref().is_some_and(|memo| memo.healthy_once),
                        "published before it was healthy"
                    );
                    unit.published = true;
                }
            }
            Effect::LiveUpdate { ref instance, .. } => {
                if let Some(unit) = self.units.get_mut(instance) {
                    assert!(!unit.telling, "two live updates at once");
                    assert!(
                        !self.checked || unit.probed || unit.memo.as_ref().is_some_and(|memo| memo.healthy_once),
                        "told before it was healthy"
                    );
                    unit.telling = true;
                }
                self.later(Event::Act(effect));
            }
            Effect::Applied { .. } | Effect::Unsubscribe { .. } => {}
            effect => self.later(Event::Act(effect)),
        }
    }

    /// What the world does about an effect; gives the fact, if somebody is still there to hear it.
    fn act(&mut self, effect: Effect) -> Option<Input> {
        let failure = |unknown| Failure { message: "it failed".into(), details: Vec::new(), unknown };
        Some(match effect {
            Effect::EnsureImage(desired) => {
                let digest = desired.role.image_digest.clone();
                if self.fails() {
                    Input::ImageFailed { digest, failure: failure(false) }
                } else {
                    Input::ImageReady { digest, image: "sha256:1".into() }
                }
            }
            Effect::Provision { instance, .. } => {
                if self.fails() {
                    Input::ProvisionFailed { instance, failure: failure(false) }
                } else {
                    Input::Provisioned { instance, volumes: BTreeMap::new() }
                }
            }
            Effect::Launch { instance, desired, view, .. } => {
                let fails = self.fails();
                let unknown = fails && self.one_in(2);
                if fails && !unknown {
                    return Some(Input::LaunchFailed { instance, failure: failure(false) });
                }
                let created_only = unknown && self.one_in(3);
                if !unknown || !self.one_in(3) {
                    self.start(&instance, desired, &view, created_only);
                }
                if unknown {
                    self.later_look();
                    return Some(Input::LaunchFailed { instance, failure: failure(true) });
                }
                let container = self.units[&instance].container.clone();
                Input::Launched { instance, container }
            }
            Effect::Probe { instance, endpoint, .. } => {
                let healthy = self
                    .units
                    .get(&instance)
                    .is_some_and(|it| it.state == FoundState::Running && it.healthy_at <= self.now);
                let flaps = self.faults && self.one_in(10);
                let result = if healthy && !flaps { Ok(()) } else { Err("refused".to_owned()) };
                if let (Ok(()), Some(unit)) = (&result, self.units.get_mut(&instance)) {
                    unit.probed = true;
                }
                Input::Probed { instance, endpoint, result }
            }
            Effect::Withdraw { instance, .. } => {
                if let Some(unit) = self.units.get_mut(&instance) {
                    unit.published = false;
                }
                Input::Withdrawn { instance, unapplied: Vec::new() }
            }
            Effect::LiveUpdate { instance, run, view, .. } => {
                let fails = self.fails();
                let unit = self.units.get_mut(&instance)?;
                unit.telling = false;
                if !fails {
                    unit.told = addresses(&view);
                }
                let outcome = Outcome { code: Some(i64::from(fails)), ..Outcome::default() };
                Input::LiveUpdated { instance, run, outcome }
            }
            Effect::Stop { instance, .. } => {
                if self.fails() {
                    return Some(Input::StopFailed { instance, failure: failure(true) });
                }
                let unit = self.units.get_mut(&instance)?;
                if unit.state == FoundState::Running {
                    let unit = unit.clone();
                    self.justified(&instance, &unit);
                }
                let unit = self.units.get_mut(&instance)?;
                unit.state = FoundState::Exited(Exit { code: Some(0), ..Exit::default() });
                Input::Ended { instance, exit: Exit { code: Some(0), ..Exit::default() } }
            }
            Effect::Remove { instance, .. } => {
                if self.faults && self.one_in(5) {
                    return None; // It failed, and is found again.
                }
                if let Some(unit) = self.units.remove(&instance) {
                    assert_ne!(unit.state, FoundState::Running, "a running container was removed: {:#?}", self.log);
                }
                return None;
            }
            Effect::Explain { instance, .. } => {
                let exit = Exit { output: vec!["its last line".to_owned()], ..Exit::default() };
                Input::Explained { instance, exit }
            }
            Effect::Release(_) => Input::Released(if self.fails() { Err(failure(false)) } else { Ok(()) }),
            other => panic!("not an effect that comes later: {other:?}"),
        })
    }

    fn start(&mut self, instance: &str, desired: Arc<Desired>, view: &View, created_only: bool) {
        self.started += 1;
        let number = u64::from(self.started);
        let mut provides = BTreeMap::new();
        provides.insert(
            "http".to_owned(),
            Address { announced: format!("127.0.0.1:{number}"), local: None, announced_v6: None },
        );
        let started = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(number));
        let container = Container {
            id: format!("c{number}"),
            name: instance.to_owned(),
            image: "sha256:1".into(),
            started,
            provides,
        };
        let slow = Duration::from_millis(self.chance.next() % 2000);
        // Some never become healthy while there are faults.
        let slow = if self.fails() { Duration::from_secs(3600) } else { slow };
        let state = if created_only { FoundState::Created } else { FoundState::Running };
        let unit = Unit {
            desired,
            container,
            state,
            healthy_at: self.now + slow,
            memo: None,
            probed: false,
            published: false,
            telling: false,
            told: addresses(view),
            seen: addresses(view),
        };
        self.units.insert(instance.to_owned(), unit);
        let running: Vec<_> = self.units.values().filter(|it| it.state == FoundState::Running).collect();
        if self.exclusive {
            assert!(running.len() <= 1, "two containers with one exclusive volume: {:#?}", self.log);
        }
        assert!(running.len() <= 3, "too many containers: {:#?}", self.log);
    }

    /// A running container is stopped for a reason, or not at all.
    fn justified(&self, instance: &str, unit: &Unit) {
        let role = &self.desired.role;
        let asked = self.tombstoned || self.desired.stopped;
        let replaced = unit.desired.generation < self.desired.generation
            || classify(&unit.desired.role, role) == ChangeKind::Replace;
        let twin = self.units.iter().any(|(other, it)| other != instance && it.state == FoundState::Running);
        let side_by_side = twin && replace_strategy(&unit.desired.role, role) == Strategy::StartFirst;
        // What is wanted may have changed back and forth while the stop was under way: the history is kept for that.
        let was = self.log.iter().any(|line| line.contains("want"));
        assert!(asked || replaced || side_by_side || was, "{instance} was stopped for no reason: {:#?}", self.log);
    }

    fn found(&self) -> Vec<Found> {
        let found = |(instance, unit): (&String, &Unit)| Found {
            instance: instance.clone(),
            desired: unit.desired.clone(),
            container: unit.container.clone(),
            state: unit.state.clone(),
            memo: unit.memo.clone(),
        };
        self.units.iter().map(found).collect()
    }

    fn look(&mut self) {
        let input = Input::Observed { at: self.now, containers: self.found() };
        self.later(Event::Tell(input));
    }

    fn later_look(&mut self) {
        // Asked after the failure is known.
        self.queue.push_back((self.now + Duration::from_millis(500), Event::Tell(Input::Tick)));
    }

    fn want(&mut self, change: impl FnOnce(&mut Desired)) {
        let mut desired = (*self.desired).clone();
        change(&mut desired);
        self.desired = Arc::new(desired);
        self.tombstoned = false;
        self.note("want something else".into());
        self.tell(Input::Assigned(self.desired.clone()));
    }

    /// Something that nobody asked for, or somebody did.
    fn trouble(&mut self) {
        match self.chance.next() % 12 {
            0..=2 => self.kill(),
            3 | 4 => self.change_endpoints(),
            5 => {
                let n = self.chance.next() % 4;
                let role = variant(n, self.exclusive, self.checked);
                self.want(|desired| desired.role = role);
            }
            6 => self.want(|desired| desired.generation += 1),
            7 => self.want(|desired| desired.stopped = !desired.stopped),
            8 => {
                self.tombstoned = true;
                self.note("want nothing".into());
                self.tell(Input::Tombstoned);
            }
            9 => self.want(|desired| desired.stopped = false),
            _ => self.restart(),
        }
    }

    fn kill(&mut self) {
        let running: Vec<String> =
            self.units.iter().filter(|(_, it)| it.state == FoundState::Running).map(|(id, _)| id.clone()).collect();
        let Some(id) = running.get(usize::try_from(self.chance.next()).unwrap_or(0) % running.len().max(1)).cloned()
        else {
            return;
        };
        let exit = Exit { code: Some(137), ..Exit::default() };
        if let Some(unit) = self.units.get_mut(&id) {
            unit.state = FoundState::Exited(exit.clone());
        }
        self.note(format!("{id} dies"));
        // The event may get lost; a later look finds it.
        if !self.one_in(4) {
            self.later(Event::Tell(Input::Ended { instance: id, exit }));
        }
    }

    fn change_endpoints(&mut self) {
        let n = u16::try_from(self.chance.next() % 5).unwrap_or(0);
        self.endpoints.seq += 1;
        self.endpoints.list = if n == 0 { Vec::new() } else { vec![endpoint(n)] };
        self.endpoints.left = self.one_in(2);
        let set = self.endpoints.clone();
        self.tell(Input::EndpointsChanged { requirement: "mysql".into(), set });
    }

    /// The agent is killed and started again. What it had asked of the engine may or may not have been done.
    fn restart(&mut self) {
        self.note("the agent is killed".into());
        let open = std::mem::take(&mut self.queue);
        for (_, event) in open {
            if let Event::Act(effect @ (Effect::Launch { .. } | Effect::Stop { .. } | Effect::Remove { .. })) = event
                && self.one_in(2)
            {
                let _ = self.act(effect);
            }
        }
        for unit in self.units.values_mut() {
            unit.telling = false; // The lock in the container keeps them apart.
        }
        self.queue.clear();
        self.life = Lifecycle::new(slot(), self.chance.next());
        self.begin();
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        let mut looked = self.now;
        while self.now < end {
            let next = self.queue.iter().map(|(at, _)| *at).min();
            let deadline = self.life.next_deadline(self.now).map(|at| at.max(self.now + Duration::from_millis(1)));
            let step = [next, deadline, Some(looked + Duration::from_secs(5))].into_iter().flatten().min();
            self.now = step.unwrap_or(end).max(self.now);
            let due: Vec<usize> = (0..self.queue.len()).filter(|i| self.queue[*i].0 <= self.now).collect();
            if let Some(index) = due.first()
                && let Some((_, event)) = self.queue.remove(*index)
            {
                match event {
                    Event::Tell(input) => self.tell(input),
                    Event::Answer(requirement) => {
                        let set = self.endpoints.clone();
                        self.tell(Input::EndpointsChanged { requirement, set });
                    }
                    Event::Act(effect) => {
                        if let Some(fact) = self.act(effect) {
                            self.later(Event::Tell(fact));
                        }
                    }
                }
            } else {
                self.tell(Input::Tick);
            }
            if self.now >= looked + Duration::from_secs(5) {
                looked = self.now;
                self.look();
                if self.faults && self.one_in(2) {
                    self.trouble();
                }
            }
        }
    }

    fn converged(&self, seed: u64) {
        let report = self.life.report(self.now);
        let running: Vec<_> = self.units.iter().filter(|(_, it)| it.state == FoundState::Running).collect();
        let log = &self.log;
        if self.tombstoned {
            assert!(running.is_empty() && report.gone, "seed {seed}: not gone: {report:#?} {log:#?}");
            assert!(self.units.is_empty(), "seed {seed}: left: {:?} {log:#?}", self.units.keys());
            return;
        }
        if self.desired.stopped {
            assert!(running.is_empty(), "seed {seed}: not stopped: {report:#?} {log:#?}");
            assert_eq!(report.phase, Phase::Stopped, "seed {seed}: {log:#?}");
            return;
        }
        assert_eq!(running.len(), 1, "seed {seed}: {report:#?} {log:#?}");
        let (id, unit) = running[0];
        assert_eq!(report.phase, Phase::Running, "seed {seed}: {report:#?} {log:#?}");
        assert!(report.applied.is_some(), "seed {seed}: {report:#?} {log:#?}");
        assert_eq!(report.container.map(|it| it.instance).as_ref(), Some(id), "seed {seed}");
        assert!(unit.published, "seed {seed}: not published: {log:#?}");
        assert_ne!(classify(&unit.desired.role, &self.desired.role), ChangeKind::Replace, "seed {seed}");
        let truth: Vec<String> = self.endpoints.list.iter().map(Endpoint::address).collect();
        assert_eq!(unit.told, truth, "seed {seed}: told something else: {log:#?}");
        assert_eq!(unit.seen, truth, "seed {seed}: sees something else: {log:#?}");
        assert!(self.units.len() <= 2, "seed {seed}: leftovers {:?}", self.units.keys().collect::<BTreeSet<_>>());
    }
}

fn addresses(view: &View) -> Vec<String> {
    view.requirements.values().flat_map(|seen| seen.endpoints.iter().map(Endpoint::address)).collect()
}

fn short(what: &impl std::fmt::Debug) -> String {
    let text = format!("{what:?}");
    let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    let instance = text.split("instance: \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    format!("{name} {instance}")
}

fn slot() -> Slot {
    Slot { environment: "dev".into(), service: "blog".into(), role: "web".into(), index: 0 }
}

fn endpoint(n: u16) -> Endpoint {
    let name = Name::new("dev", "blog", "db", "mysql").unwrap();
    Endpoint::of(&Provision::new(name, &format!("m{n}"), "192.0.2.1", 3000 + n))
}

/// 0 and 1 differ in what is applied live, 2 in the environment, 3 in the image.
fn variant(n: u64, exclusive: bool, checked: bool) -> scs_manifest::compiled::Role {
    let mut http = provide(80);
    let health = json!({"probe": "tcp", "interval": "2s", "timeout": "1s", "start": "20s", "unhealthy": 3});
    http["health"] = if checked { health } else { Value::Null };
    http["attributes"] = json!({"n": (n == 1).to_string()});
    let volumes: Value = if exclusive { json!({"data": volume("/data")}) } else { json!({}) };
    let with = json!({
        "provide": {"http": http},
        "require": {"mysql": require("db", "mysql")},
        "volumes": volumes,
        "process": {"environment": {"N": (n == 2).to_string()}},
        "image": {"parameters": {"n": n == 3}},
    });
    role("web", &with)
}

fn simulate(seed: u64) {
    let mut world = World::new(seed);
    world.run(TROUBLE);
    world.faults = false;
    world.log.clear();
    for unit in world.units.values_mut() {
        unit.healthy_at = unit.healthy_at.min(world.now);
    }
    if world.endpoints.list.is_empty() {
        world.endpoints.seq += 1;
        world.endpoints.list = vec![endpoint(9)];
        let set = world.endpoints.clone();
        world.tell(Input::EndpointsChanged { requirement: "mysql".into(), set });
    }
    world.run(PEACE);
    world.converged(seed);
}

#[test]
fn whatever_happens_invariants_hold_and_it_converges() {
    let seeds = std::env::var("SCS_SEED").ok().and_then(|seed| seed.parse().ok()).map_or(0..60, |seed| seed..seed + 1);
    for seed in seeds {
        simulate(seed);
    }
}
