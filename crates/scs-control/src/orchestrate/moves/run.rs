//! Carries out one move: tells the state machine what both hosts say, and does what it asks for.

use super::copying::{Suspects, Work};
use super::record::{close, enter};
use super::{Place, service_of};
use crate::agents::Reachability;
use crate::orchestrate::events::Events;
use crate::service::Shared;
use crate::state::Error as StateError;
use scs_api::agent::{HostReport, Phase};
use scs_api::deploy::Event;
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::{Deployment, Role};
use scs_plan::movement::{Effect, End, Input, Move, Outcome, Record, Sight, Used};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Follows a move to its end: the service's revision then, or why it was not moved. `None` where the server ends before; the next one
/// goes on with it.
pub(super) async fn run(
    shared: &Arc<Shared>,
    record: Record,
    events: &Events,
    mut place: Place,
) -> Result<Option<u64>, Problem> {
    let Some(deployment) = deployment(shared, &record).await else { return Ok(None) };
    let Some(role) = deployment.as_ref().and_then(|it| it.roles.get(&record.slot.role)).cloned() else {
        let message = format!("{} is being moved, and is not in desired state any more", record.slot);
        tracing::error!("{message}");
        return Err(Problem::new(Code::Internal, message));
    };
    let started = Instant::now();
    let (say, mut facts) = mpsc::unbounded_channel();
    let mut driver = Driver {
        it: Move::resume(record.clone(), started.into_std(), SystemTime::now()),
        shared: shared.clone(),
        events: events.clone(),
        role,
        suspects: Suspects::default(),
        say,
        copying: None,
        revision: None,
        said: String::new(),
    };
    let mut ears = Ears::new(shared, &record);
    let outcome = loop {
        let mut inputs: VecDeque<Input> = ears.hear(shared, &record).into();
        inputs.push_back(Input::Tick);
        while let Some(input) = inputs.pop_front() {
            inputs.extend(driver.handle(input).await);
        }
        driver.tell().await;
        if let Some(outcome) = driver.it.ended() {
            break outcome.clone();
        }
        let deadline = driver.it.next_deadline(Instant::now().into_std());
        // A look now and then costs nothing and mends what no event tells.
        let deadline = deadline.map_or_else(|| Instant::now() + Duration::from_secs(10), Instant::from_std);
        let input = tokio::select! {
            fact = facts.recv() => fact,
            order = place.orders.recv() => order,
            () = ears.wake() => None,
            () = tokio::time::sleep_until(deadline) => None,
            () = shared.stopping.cancelled() => return Ok(None),
        };
        if let Some(input) = input {
            for input in driver.handle(input).await {
                inputs.push_back(input);
            }
            while let Some(input) = inputs.pop_front() {
                inputs.extend(driver.handle(input).await);
            }
        }
    };
    drop(place);
    finish(&driver, &outcome, started).await
}

/// What is deployed of the service, once desired state can be read: a move that is written down has nobody else to carry it out. `None`
/// where the server ends before.
async fn deployment(shared: &Shared, record: &Record) -> Option<Option<Deployment>> {
    const PAUSE: Duration = Duration::from_secs(1);
    let service = service_of(&record.slot);
    loop {
        let read = async {
            let Some(wanted) = shared.state.service(&service).await? else { return Ok(None) };
            let revision = shared.state.revision(&service, wanted.deployed).await?;
            Ok::<_, StateError>(revision.and_then(|it| it.deployment))
        };
        match read.await {
            Ok(deployment) => return Some(deployment),
            Err(error) => {
                tracing::warn!(slot = %record.slot, %error, "a move waits for desired state to be readable");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shared.stopping.cancelled() => return None,
        }
    }
}

/// Says how it ended.
async fn finish(driver: &Driver, outcome: &Outcome, started: Instant) -> Result<Option<u64>, Problem> {
    let (record, events) = (driver.it.record(), &driver.events);
    let warn = |message: &str| Event::Warning { message: format!("{}: {message}", record.slot.label()) };
    match outcome {
        Outcome::Moved { downtime, warning } => {
            if let Some(warning) = warning {
                events.send(warn(warning)).await;
            }
            tracing::info!(slot = %record.slot, from = record.from, to = record.to, ?downtime, "moved");
            let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let now = format!("on {}, {}", record.to, down_for(*downtime));
            events.send(Event::SlotDone { slot: record.slot.clone(), now, took_ms }).await;
            Ok(Some(driver.revision.unwrap_or_default()))
        }
        Outcome::Failed { fault, downtime, warning } => {
            tracing::warn!(slot = %record.slot, from = record.from, to = record.to, fault, "not moved");
            if let Some(warning) = warning {
                events.send(warn(warning)).await;
            }
            let mut problem = Problem::new(
                Code::Failed,
                format!("{} was not moved to host {}: {fault}", record.slot.label(), record.to),
            );
            let left = downtime.filter(|down| !down.is_zero()).map(down_for).map(|it| format!(" ({it})"));
            problem.hint = Some(format!("it is on host {} as before{}", record.from, left.unwrap_or_default()));
            Err(problem)
        }
    }
}

fn down_for(downtime: Duration) -> String {
    if downtime.is_zero() { "never down".to_owned() } else { format!("down for {:.1}s", downtime.as_secs_f64()) }
}

struct Driver {
    it: Move,
    shared: Arc<Shared>,
    events: Events,
    role: Role,
    suspects: Suspects,
    say: mpsc::UnboundedSender<Input>,
    copying: Option<Ends>,
    /// Revision of the service, once the move has ended.
    revision: Option<u64>,
    /// What was said last that it does.
    said: String,
}

/// Ends a task when dropped.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    /// Hands a fact over and does what is due; gives the facts that are known at once.
    async fn handle(&mut self, input: Input) -> Vec<Input> {
        let mut effects = Vec::new();
        self.it.handle(Instant::now().into_std(), input, &mut effects);
        let mut facts = Vec::new();
        for effect in effects {
            tracing::debug!(slot = %self.it.record().slot, ?effect, "to do");
            facts.extend(self.carry_out(effect).await);
        }
        facts
    }

    async fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Commit { stage, fault } => {
                self.copying = None;
                match enter(&self.shared, self.it.record(), stage, fault).await {
                    Ok(record) if record.stage != self.it.record().stage => Some(Input::Committed(Box::new(record))),
                    Ok(_) => Some(Input::CommitFailed),
                    Err(error) => {
                        tracing::warn!(slot = %self.it.record().slot, %error, "a stage of a move could not be entered");
                        Some(Input::CommitFailed)
                    }
                }
            }
            Effect::Close(outcome) => {
                self.copying = None;
                match close(&self.shared, self.it.record(), &outcome).await {
                    Ok(Some(revision)) => {
                        self.revision = Some(revision);
                        Some(Input::Closed)
                    }
                    Ok(None) => Some(Input::CommitFailed),
                    Err(error) => {
                        tracing::warn!(slot = %self.it.record().slot, %error, "the end of a move could not be written down");
                        Some(Input::CommitFailed)
                    }
                }
            }
            Effect::Copy { attempt, pass } => {
                // Ended before the next begins.
                self.copying = None;
                let (work, say, events, doing) = (self.work(), self.say.clone(), self.events.clone(), self.it.doing());
                let task = tokio::spawn(async move {
                    let result = work.copy(pass, &doing, &events).await;
                    let _ = say.send(Input::Copied { attempt, result });
                });
                self.copying = Some(Ends(task.abort_handle()));
                None
            }
            Effect::CancelCopy => {
                self.copying = None;
                None
            }
            Effect::Quiesce => {
                let command = self.role.quiesce.as_ref().map(|it| it.command.clone()).unwrap_or_default();
                let (work, say) = (self.work(), self.say.clone());
                tokio::spawn(async move {
                    if let Err(error) = work.quiesce(&command).await {
                        // It is stopped next, which leaves its files as consistent as a stop ever does.
                        tracing::warn!(slot = %work.record.slot, %error, "it could not be quiesced");
                    }
                    let _ = say.send(Input::Quiesced);
                });
                None
            }
            Effect::Unquiesce => {
                let command = self.role.quiesce.as_ref().and_then(|it| it.release.clone());
                let work = self.work();
                if let Some(command) = command {
                    tokio::spawn(async move {
                        if let Err(error) = work.quiesce(&command).await {
                            tracing::error!(slot = %work.record.slot, %error, "it could not be released after it was quiesced");
                        }
                    });
                }
                None
            }
            Effect::Release => {
                let (work, say) = (self.work(), self.say.clone());
                tokio::spawn(async move {
                    let _ = say.send(Input::Released(work.release().await));
                });
                None
            }
        }
    }

    fn work(&self) -> Work {
        let (shared, record) = (self.shared.clone(), self.it.record().clone());
        Work { shared, record, role: self.role.clone(), suspects: self.suspects.clone() }
    }

    /// Says what it does now, where that is something else.
    async fn tell(&mut self) {
        let doing = self.it.doing();
        if self.it.ended().is_none() && doing != self.said {
            self.said.clone_from(&doing);
            self.events.send(Event::Step { slot: self.it.record().slot.clone(), doing }).await;
        }
    }
}

/// What the two hosts say.
struct Ears {
    members: watch::Receiver<crate::fleet::Members>,
    reports: Vec<watch::Receiver<HostReport>>,
    reachable: Vec<watch::Receiver<Reachability>>,
}

impl Ears {
    fn new(shared: &Shared, record: &Record) -> Self {
        let mut ears = Self { members: shared.fleet.subscribe(), reports: Vec::new(), reachable: Vec::new() };
        ears.listen(record);
        ears
    }

    fn listen(&mut self, record: &Record) {
        let members = self.members.borrow_and_update().clone();
        let agents: Vec<_> = [&record.from, &record.to].into_iter().filter_map(|host| members.get(host)).collect();
        self.reports = agents.iter().map(|it| it.agent.report()).collect();
        self.reachable = agents.iter().map(|it| it.agent.reachable()).collect();
    }

    /// What is so now.
    fn hear(&mut self, shared: &Shared, record: &Record) -> Vec<Input> {
        if self.members.has_changed().unwrap_or(false) {
            self.listen(record);
        }
        self.reports.iter_mut().for_each(|it| drop(it.borrow_and_update()));
        self.reachable.iter_mut().for_each(|it| drop(it.borrow_and_update()));
        let members = shared.fleet.members();
        let one = |(end, host): (End, &String)| {
            let Some(member) = members.get(host) else { return Some(Input::Lost(end)) };
            match &*member.agent.reachable().borrow() {
                Reachability::Unreachable { .. } => return Some(Input::Lost(end)),
                // What it said before this process began is not known, and what it says now is yet to come.
                Reachability::Connecting => return None,
                Reachability::Reachable { .. } => {}
            }
            let report = member.agent.report().borrow().clone();
            (report.revision > 0).then(|| Input::Reported(end, sight(&report, record)))
        };
        [(End::From, &record.from), (End::To, &record.to)].into_iter().filter_map(one).collect()
    }

    /// Done once one of them says something else.
    async fn wake(&mut self) {
        let Self { members, reports, reachable } = self;
        tokio::select! {
            () = crate::orchestrate::follow::any(reports) => {}
            () = crate::orchestrate::follow::any(reachable) => {}
            () = crate::orchestrate::follow::ended_never(members) => {}
        }
    }
}

/// What a host's report says of the slot.
fn sight(report: &HostReport, record: &Record) -> Sight {
    let revision = report.revision;
    let Some(slot) = report.slots.iter().find(|it| it.slot == record.slot) else {
        // It has not heard of the slot, or has removed it.
        return Sight { revision, stopped: false, ready: false, used: Used::Never, words: None };
    };
    let used = match (slot.served, &slot.container) {
        (true, _) => Used::Served,
        (false, Some(_)) => Used::Started,
        (false, None) => Used::Never,
    };
    Sight {
        revision,
        stopped: slot.phase == Phase::Stopped,
        ready: slot.applied.is_some() && matches!(slot.phase, Phase::Running | Phase::Ended),
        used,
        words: slot.message.clone(),
    }
}
