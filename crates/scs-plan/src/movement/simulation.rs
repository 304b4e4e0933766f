//! A seeded world around moves: two agents that die, lose their link, are rebooted, fill up and fail to start; a server that is
//! killed at every step and resumes from its record; reports that are lost, doubled and late. Checked after every step: one writer
//! at a time, no acknowledged write lost, nothing stopped that nobody asked to stop. Once the faults end it converges.

use super::record::Part;
use super::*;
use crate::lifecycle::chance::Chance;
use crate::slot::Slot;
use std::collections::{BTreeMap, VecDeque};

/// Seconds of faults, and of peace after them.
const TROUBLE: u64 = 900;
const PEACE: u64 = 600;
const HOSTS: [&str; 2] = ["h1", "h2"];

/// A container with an epoch, and whether others write through it.
#[derive(Debug, Clone)]
struct Container {
    epoch: u64,
    served: bool,
}

#[derive(Debug, Default)]
struct Agent {
    up: bool,
    linked: bool,
    /// What it was assigned last: revision, part, epoch.
    assigned: (u64, Option<(Part, u64)>),
    /// Highest epoch beside the data.
    marker: u64,
    /// Epoch that was given away: nothing starts under it.
    released: u64,
    /// Copied into for a permit of this epoch.
    copying: Option<u64>,
    /// The pass that writes here.
    writing: Option<u64>,
    /// Acknowledged writes that the data holds; `None` where it is of several moments.
    data: Option<u64>,
    container: Option<Container>,
    used: Option<Used>,
    fails: bool,
    full: bool,
}

/// Desired state.
#[derive(Debug, Clone)]
struct Store {
    revision: u64,
    epoch: u64,
    holder: usize,
    record: Option<Record>,
    gone: [bool; 2],
}

#[derive(Debug, Clone)]
enum Event {
    Assign(usize, u64, Option<(Part, u64)>),
    Act(usize),
    Serve(usize),
    Fact(Input),
    Commit(Stage, Option<String>, Stage),
    Close(Outcome, Stage),
    /// The pass begins, or ends.
    CopyBegin(u64, Pass, u64),
    CopyEnd(u64, Pass, bool),
    Release,
}

struct World {
    now: Instant,
    clock: SystemTime,
    chance: Chance,
    agents: [Agent; 2],
    store: Store,
    server: Option<Move>,
    queue: VecDeque<(Instant, Event)>,
    /// Writes that were acknowledged, and the highest epoch of any.
    acknowledged: u64,
    written: u64,
    copies: bool,
    faults: bool,
    passes: u64,
    moves: u64,
    outcomes: BTreeMap<&'static str, u64>,
    log: VecDeque<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let copies = !chance.next().is_multiple_of(4);
        let agent = || Agent { up: true, linked: true, data: None, ..Agent::default() };
        let mut first = agent();
        first.data = Some(0);
        first.assigned = (1, Some((Part::Runs, 1)));
        let mut world = Self {
            now: Instant::now(),
            clock: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
            chance,
            agents: [first, agent()],
            store: Store { revision: 1, epoch: 1, holder: 0, record: None, gone: [false; 2] },
            server: None,
            queue: VecDeque::new(),
            acknowledged: 0,
            written: 0,
            copies,
            faults: true,
            passes: 0,
            moves: 0,
            outcomes: BTreeMap::new(),
            log: VecDeque::new(),
        };
        world.later(Event::Act(0));
        world
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.chance.next().is_multiple_of(n)
    }

    fn fault(&mut self, n: u64) -> bool {
        self.faults && self.one_in(n)
    }

    fn later(&mut self, event: Event) {
        let delay = Duration::from_millis(1 + self.chance.next() % 900);
        self.queue.push_back((self.now + delay, event));
    }

    fn note(&mut self, line: String) {
        if self.log.len() > 80 {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    fn bad(&self, what: &str) -> ! {
        panic!("{what}: {:#?} {:#?} {:#?}", self.agents, self.store, self.log)
    }

    // === the server ===

    /// What a host is assigned, as desired state says.
    fn part(&self, host: usize) -> Option<(Part, u64)> {
        let store = &self.store;
        if store.gone[host] {
            return Some((Part::Gone, 0));
        }
        match &store.record {
            Some(record) => Some((record.part(HOSTS[host]), store.epoch)).filter(|(part, _)| *part != Part::None),
            None => (store.holder == host).then_some((Part::Runs, store.epoch)),
        }
    }

    fn tell(&mut self, input: Input) {
        let (now, Some(mut server)) = (self.now, self.server.take()) else { return };
        self.note(format!("tell {input:?}"));
        let mut out = Vec::new();
        server.handle(now, input, &mut out);
        let stage = server.record().stage;
        let _ = server.doing();
        if server.ended().is_none() {
            self.server = Some(server);
        }
        for effect in out {
            self.note(format!("  do {effect:?}"));
            match effect {
                Effect::Commit { stage: next, fault } => self.later(Event::Commit(next, fault, stage)),
                Effect::Close(outcome) => self.later(Event::Close(outcome, stage)),
                Effect::Copy { attempt, pass } => {
                    self.passes += 1;
                    self.later(Event::CopyBegin(attempt, pass, self.passes));
                }
                Effect::CancelCopy => self.agents.iter_mut().for_each(|agent| agent.writing = None),
                Effect::Quiesce => self.later(Event::Fact(Input::Quiesced)),
                Effect::Unquiesce => {}
                Effect::Release => self.later(Event::Release),
            }
        }
    }

    fn commit(&mut self, stage: Stage, fault: Option<String>, expected: Stage) {
        let Some(mut record) = self.store.record.clone().filter(|record| record.stage == expected) else {
            return self.tell(Input::CommitFailed);
        };
        self.note(format!("committed {stage:?}"));
        record.stage = stage;
        record.fault = fault;
        record.since = self.clock;
        if stage == Stage::Closing {
            record.down_since = Some(self.clock);
        }
        self.store.revision += 1;
        record.revision = self.store.revision;
        self.store.holder = HOSTS.iter().position(|host| *host == record.holder()).unwrap();
        if record.copies() {
            self.store.epoch = record.epoch("data", stage).unwrap();
        }
        for (host, name) in HOSTS.iter().enumerate() {
            if record.part(name) == Part::Gone {
                self.store.gone[host] = true;
            }
        }
        self.store.record = Some(record.clone());
        if self.fault(8) {
            return self.crash();
        }
        self.tell(Input::Committed(Box::new(record)));
    }

    fn close(&mut self, outcome: &Outcome, expected: Stage) {
        let Some(record) = self.store.record.clone().filter(|record| record.stage == expected) else {
            return self.tell(Input::CommitFailed);
        };
        self.store.revision += 1;
        let (from, to) = if record.from == HOSTS[0] { (0, 1) } else { (1, 0) };
        match outcome {
            Outcome::Moved { warning, .. } => {
                if self.agents[to].used != Some(Used::Served) {
                    self.bad("it says that it was moved, and it never served there");
                }
                self.store.gone[from] = true;
                self.store.holder = to;
                *self.outcomes.entry(if warning.is_some() { "moved, warned" } else { "moved" }).or_default() += 1;
            }
            Outcome::Failed { downtime, warning, .. } => {
                let running = self.agents[from].container.is_some();
                if warning.is_none() && downtime.is_some() && !running && !self.faults {
                    self.bad("it says that it is back, and it is not");
                }
                if record.stage == Stage::Beside {
                    self.store.gone[to] = true;
                }
                self.store.holder = from;
                *self.outcomes.entry(if record.down_since.is_some() { "put back" } else { "refused" }).or_default() +=
                    1;
            }
        }
        self.note(format!("closed {outcome:?}"));
        self.store.record = None;
        if self.fault(8) {
            return self.crash();
        }
        self.tell(Input::Closed);
    }

    /// The server is killed and comes back: what it had asked of others may or may not have been done.
    fn crash(&mut self) {
        self.note("the server is killed".into());
        self.server = None;
        for (_, event) in std::mem::take(&mut self.queue) {
            match event {
                Event::Fact(_) => {}
                Event::Commit(stage, fault, expected) if self.one_in(2) => self.commit(stage, fault, expected),
                Event::Close(outcome, expected) if self.one_in(2) => self.close(&outcome, expected),
                Event::Commit(..) | Event::Close(..) => {}
                other => self.queue.push_back((self.now, other)),
            }
        }
        self.resume();
    }

    fn resume(&mut self) {
        if let Some(record) = self.store.record.clone() {
            self.server = Some(Move::resume(record, self.now, self.clock));
            for host in 0..2 {
                self.reach(host);
            }
        }
    }

    /// Somebody asks for a move; the source has to answer.
    fn begin(&mut self) {
        let from = self.store.holder;
        let to = 1 - from;
        let ready = [from, to].iter().all(|host| self.reachable(*host)) && !self.store.gone.contains(&true);
        if self.store.record.is_some() || !ready {
            return;
        }
        let volumes =
            if self.copies { BTreeMap::from([("data".to_owned(), self.store.epoch)]) } else { BTreeMap::new() };
        self.moves += 1;
        let max_downtime = self.one_in(3).then(|| Duration::from_secs(20));
        let record = Record {
            id: self.moves.to_string(),
            slot: Slot { environment: "dev".into(), service: "blog".into(), role: "db".into(), index: 0 },
            from: HOSTS[from].into(),
            to: HOSTS[to].into(),
            volumes,
            idle: false,
            quiesce: self.one_in(3),
            patience: Duration::from_secs(40),
            options: Options { max_downtime, ..Options::default() },
            who: "somebody".into(),
            began: self.clock,
            stage: if self.copies { Stage::Copying } else { Stage::Beside },
            since: self.clock,
            revision: self.store.revision + 1,
            down_since: None,
            fault: None,
        };
        self.note(format!("move to {}", record.to));
        self.store.revision += 1;
        self.store.record = Some(record);
        self.agents[to].used = None;
        self.resume();
        self.tell(Input::Tick);
    }

    // === the agents ===

    fn reachable(&self, host: usize) -> bool {
        self.agents[host].up && self.agents[host].linked
    }

    fn end(&self, host: usize) -> Option<End> {
        let record = self.store.record.as_ref()?;
        Some(if record.from == HOSTS[host] { End::From } else { End::To })
    }

    /// What the server hears of a host: a report, or that it is silent.
    fn reach(&mut self, host: usize) {
        let Some(end) = self.end(host) else { return };
        if !self.reachable(host) {
            return self.later(Event::Fact(Input::Lost(end)));
        }
        let agent = &self.agents[host];
        let runs = matches!(agent.assigned.1, Some((Part::Runs, _)));
        let sight = Sight {
            revision: agent.assigned.0,
            stopped: agent.container.is_none() && !runs && agent.assigned.1.is_some(),
            ready: runs && agent.container.as_ref().is_some_and(|it| it.served),
            used: agent.used.unwrap_or(Used::Never),
            words: None,
        };
        let twice = self.fault(5);
        if !self.fault(5) {
            self.later(Event::Fact(Input::Reported(end, sight.clone())));
        }
        if twice {
            self.later(Event::Fact(Input::Reported(end, sight)));
        }
    }

    fn assign(&mut self, host: usize, revision: u64, part: Option<(Part, u64)>) {
        if !self.reachable(host) || revision <= self.agents[host].assigned.0 {
            return;
        }
        let agent = &mut self.agents[host];
        // Absence is not an order.
        agent.assigned = (revision, part.or(agent.assigned.1));
        self.later(Event::Act(host));
        self.reach(host);
    }

    /// The agent makes what it was assigned true.
    fn act(&mut self, host: usize) {
        if !self.agents[host].up {
            return;
        }
        let Some((part, epoch)) = self.agents[host].assigned.1 else { return };
        let (fails, shared) = (self.agents[host].fails, !self.copies);
        if part != Part::Runs && self.agents[host].container.is_some() && !self.one_in(3) {
            // It takes its time to stop.
            return self.reach(host);
        }
        let agent = &mut self.agents[host];
        match part {
            Part::Runs if agent.container.is_none() => {
                let allowed = agent.writing.is_none()
                    && epoch >= agent.marker
                    && epoch > agent.released
                    && agent.copying.is_none_or(|until| epoch >= until);
                if !shared && (!allowed || agent.data.is_none() && agent.copying.is_none() && agent.marker > 0) {
                    return self.note(format!("{} refuses to start under {epoch}", HOSTS[host]));
                }
                (agent.marker, agent.copying) = (agent.marker.max(epoch), None);
                if !fails {
                    agent.container = Some(Container { epoch, served: false });
                    agent.used = agent.used.max(Some(Used::Started));
                    self.note(format!("{} starts under {epoch}", HOSTS[host]));
                    self.later(Event::Serve(host));
                }
            }
            Part::Stopped | Part::Gone => {
                if agent.container.take().is_some() {
                    self.justified(host);
                    self.note(format!("{} stops", HOSTS[host]));
                }
                if part == Part::Gone && self.reachable(host) && self.store.gone[host] {
                    self.store.gone[host] = false;
                    self.agents[host].assigned.1 = None;
                }
            }
            _ => {}
        }
        self.reach(host);
    }

    /// Nothing is stopped that nobody asked to stop.
    fn justified(&self, host: usize) {
        let (revision, part) = self.agents[host].assigned;
        if !matches!(part, Some((Part::Stopped | Part::Gone, _))) || revision > self.store.revision {
            self.bad("stopped for no reason");
        }
    }

    fn serve(&mut self, host: usize) {
        if self.agents[host].up && !self.agents[host].fails {
            let agent = &mut self.agents[host];
            if let Some(container) = &mut agent.container {
                container.served = true;
                agent.used = Some(Used::Served);
            }
            self.reach(host);
        }
    }

    /// Clients write wherever they are served.
    fn write(&mut self) {
        if !self.copies {
            return;
        }
        for host in 0..2 {
            let Some(container) = self.agents[host].container.clone().filter(|it| it.served) else { continue };
            if container.epoch < self.written {
                self.bad("a writer under a permit that has passed on");
            }
            if self.agents[host].data != Some(self.acknowledged) {
                self.bad("an acknowledged write is lost");
            }
            self.written = container.epoch;
            self.acknowledged += 1;
            self.agents[host].data = Some(self.acknowledged);
        }
    }

    fn check(&self) {
        let running = self.agents.iter().filter(|agent| agent.container.is_some()).count();
        if self.copies && running > 1 {
            self.bad("two containers of one slot with an exclusive volume");
        }
    }

    fn ends(&self) -> Option<(usize, usize)> {
        let record = self.store.record.as_ref()?;
        Some(if record.from == HOSTS[0] { (0, 1) } else { (1, 0) })
    }

    fn copy_begin(&mut self, attempt: u64, pass: Pass, number: u64) {
        let Some((from, to)) = self.ends() else { return };
        let until = self.store.record.as_ref().and_then(|it| it.epoch("data", Stage::Passed)).unwrap_or(0);
        let failed = |message: &str, fatal| {
            let result = Err(CopyFailure { message: message.into(), fatal });
            Event::Fact(Input::Copied { attempt, result })
        };
        if !self.reachable(from) || !self.reachable(to) {
            return self.later(failed("a host does not answer", false));
        }
        if self.agents[to].full {
            return self.later(failed("no room", true));
        }
        if self.agents[to].container.is_some() || self.agents[to].marker >= until {
            return self.later(failed("somebody writes there", true));
        }
        let agent = &mut self.agents[to];
        (agent.copying, agent.writing, agent.data) = (Some(until), Some(number), None);
        let broken = self.fault(5);
        let delay = Duration::from_millis(200 + self.chance.next() % 5000);
        self.queue.push_back((self.now + delay, Event::CopyEnd(number, pass, broken)));
        // Its answer is found by its number.
        self.queue.push_back((self.now + delay + Duration::from_millis(1), failed("broken", false)));
    }

    fn copy_end(&mut self, number: u64, pass: Pass, broken: bool) {
        let Some(to) = self.agents.iter().position(|agent| agent.writing == Some(number)) else { return };
        let from = 1 - to;
        self.agents[to].writing = None;
        if broken || !self.reachable(from) || !self.reachable(to) {
            return;
        }
        if self.agents[to].container.is_some() {
            self.bad("copied into a volume that is in use");
        }
        let still = self.agents[from].container.is_none();
        // One that was called off may come to its end; its result is of no interest.
        let counts = self.store.record.as_ref().is_some_and(|record| record.stage == Stage::Closing);
        if pass == Pass::Final && counts && !still {
            self.bad("the last pass while the source runs");
        }
        self.agents[to].data = if still { self.agents[from].data } else { None };
        // The answer that stands in the queue becomes a good one, if anybody is left to hear it.
        let bytes = self.chance.next() % (64 << 20);
        let copied = Copied { bytes, took: Duration::from_secs(bytes >> 24) };
        for (at, event) in &mut self.queue {
            if *at == self.now + Duration::from_millis(1)
                && let Event::Fact(Input::Copied { result, .. }) = event
            {
                *result = Ok(copied);
            }
        }
    }

    fn release(&mut self) {
        let Some((from, _)) = self.ends() else { return };
        let Some(epoch) = self.store.record.as_ref().and_then(|it| it.volumes.get("data").copied()) else { return };
        if !self.reachable(from) {
            return self.later(Event::Fact(Input::Released(Err("no answer".into()))));
        }
        self.agents[from].released = self.agents[from].released.max(epoch);
        if self.fault(5) {
            return self.later(Event::Fact(Input::Released(Err("the answer is lost".into()))));
        }
        self.later(Event::Fact(Input::Released(Ok(()))));
    }

    // === what goes wrong ===

    fn trouble(&mut self) {
        let host = usize::from(self.one_in(2));
        match self.chance.next() % 14 {
            0 => self.crash(),
            1 | 2 => {
                self.note(format!("the agent of {} dies", HOSTS[host]));
                (self.agents[host].up, self.agents[host].writing) = (false, None);
            }
            3 | 4 => self.agents[host].linked = false,
            5 => {
                self.note(format!("{} reboots", HOSTS[host]));
                (self.agents[host].container, self.agents[host].writing) = (None, None);
                self.later(Event::Act(host));
            }
            6 => self.agents[host].fails = !self.agents[host].fails,
            7 => self.agents[host].full = !self.agents[host].full,
            8 if self.one_in(3) => self.tell(Input::AbortAsked("by hand".into())),
            _ => {
                (self.agents[host].up, self.agents[host].linked) = (true, true);
                self.later(Event::Act(host));
            }
        }
        self.reach(host);
    }

    fn mend(&mut self) {
        self.faults = false;
        for agent in &mut self.agents {
            (agent.up, agent.linked, agent.fails, agent.full) = (true, true, false, false);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Assign(host, revision, part) => self.assign(host, revision, part),
            Event::Act(host) => self.act(host),
            Event::Serve(host) => self.serve(host),
            Event::Fact(input) => self.tell(input),
            Event::Commit(..) if self.fault(8) => self.tell(Input::CommitFailed),
            Event::Commit(stage, fault, expected) => self.commit(stage, fault, expected),
            Event::Close(outcome, expected) => self.close(&outcome, expected),
            Event::CopyBegin(attempt, pass, number) => self.copy_begin(attempt, pass, number),
            Event::CopyEnd(number, pass, broken) => self.copy_end(number, pass, broken),
            Event::Release => self.release(),
        }
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        let mut looked = self.now;
        while self.now < end {
            let next = self.queue.iter().map(|(at, _)| *at).min();
            let deadline = self.server.as_ref().and_then(|server| server.next_deadline(self.now));
            let look = looked + Duration::from_secs(2);
            let step = [next, deadline, Some(look)].into_iter().flatten().min().unwrap_or(look).max(self.now);
            self.clock += step - self.now;
            self.now = step;
            if let Some(index) =
                (0..self.queue.len()).filter(|at| self.queue[*at].0 <= step).min_by_key(|at| self.queue[*at].0)
                && let Some((_, event)) = self.queue.remove(index)
            {
                self.event(event);
            } else if deadline.is_some_and(|at| at <= step) {
                self.tell(Input::Tick);
            }
            self.check();
            if self.now >= look {
                looked = self.now;
                self.write();
                self.check();
                for host in 0..2 {
                    let part = self.part(host);
                    let revision = self.store.revision;
                    if self.reachable(host) && !self.fault(3) {
                        self.later(Event::Assign(host, revision, part));
                    }
                    self.later(Event::Act(host));
                    self.reach(host);
                }
                if self.fault(3) {
                    self.trouble();
                }
                if self.faults && self.one_in(8) {
                    self.begin();
                }
            }
        }
    }

    fn converged(&self) {
        if self.store.record.is_some() || self.server.is_some() {
            self.bad("a move does not come to its end");
        }
        let agent = &self.agents[self.store.holder];
        if !agent.container.as_ref().is_some_and(|it| it.served) {
            self.bad("it does not run where it should");
        }
        if self.agents[1 - self.store.holder].container.is_some() {
            self.bad("it runs where it should not");
        }
        if self.copies && agent.data != Some(self.acknowledged) {
            self.bad("an acknowledged write is lost");
        }
    }
}

fn simulate(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed);
    world.run(TROUBLE);
    world.mend();
    world.run(PEACE);
    world.converged();
    world.outcomes
}

#[test]
fn whatever_happens_there_is_one_writer_and_no_write_is_lost() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match (number("SCS_SEED"), number("SCS_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => 0..seeds.unwrap_or(100),
    };
    let (mut outcomes, many) = (BTreeMap::<&str, u64>::new(), seeds.end - seeds.start);
    for seed in seeds {
        let run = std::panic::catch_unwind(|| simulate(seed));
        let run = run.unwrap_or_else(|_| panic!("seed {seed} (again with SCS_SEED={seed})"));
        run.into_iter().for_each(|(name, count)| *outcomes.entry(name).or_default() += count);
    }
    // A world in which one of these never happens proves little.
    let common = ["moved", "moved, warned", "put back", "refused"];
    let missing = common.iter().find(|outcome| many >= 100 && !outcomes.contains_key(**outcome));
    assert_eq!(missing, None, "in {many} seeds: {outcomes:?}");
}
