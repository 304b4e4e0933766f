//! The life of one slot as a pure state machine: which container fills it, how it came there and how it goes.
//!
//! [`Lifecycle::handle`] takes a fact and appends what is to be done; after every fact the whole state is looked at again, so
//! nothing depends on the order in which facts come, and a process that starts anew finds its way from an observation
//! alone. No clock, no randomness but a seed, no IO.
//!
//! A container goes through these hands: an `Attempt` prepares it (image, requirements, network, volumes, launch); the
//! `candidate` runs beside the old one until it is healthy; `current` is the one that fills the slot; `retiring` ones
//! withdraw and stop; `last` is the one that ended last, kept for its logs.

pub(crate) mod chance;
mod fact;
mod frozen;
mod instance;
mod observe;
mod reconcile;
mod report;
mod requirement;
#[cfg(test)]
mod simulation;
mod status;
#[cfg(test)]
mod tests;

pub use fact::{
    Address, Container, Desired, Effect, Endpoints, Exit, Failure, Found, FoundState, Input, Memo, Outcome, Seen, Tell,
    View, Volume,
};
pub use frozen::frozen_requirements;
pub use instance::LiveRecord;
pub use report::{Connection, Phase, Report, Shown};

use crate::change::{ChangeKind, classify};
use crate::slot::Slot;
use chance::Chance;
use instance::{Birth, Instance};
use requirement::Requirement;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long subscribers have to apply a withdrawal before the container is stopped (`design/lifecycle.md`, Stop).
pub const WITHDRAW: Duration = Duration::from_secs(30);
/// A container that has run this long has started well: its next end is restarted without the pauses of those before.
const STABLE: Duration = Duration::from_secs(10);
/// How long a container without a health check has to run before it counts as ready. Long enough for a program to stumble over
/// its configuration, short enough for whoever watches `up`. Once one has ended before [`STABLE`], its successor needs that.
const SETTLE: Duration = Duration::from_secs(2);
/// Pauses before an ended container is started again: first and longest.
const RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(60));
/// Pauses before a failed step is tried again that somebody may have mended meanwhile (a port, a disk, the engine).
const STEP: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Pauses before an image is built again: building costs much and fails mostly for the same reason.
const IMAGE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// The life of one slot.
#[derive(Debug)]
pub struct Lifecycle {
    slot: Slot,
    chance: Chance,
    desired: Option<Arc<Desired>>,
    tombstoned: bool,
    gone: bool,
    /// Whether what the engine has is known; before, nothing is made or stopped.
    observed: bool,
    /// When a container last came or went, so that older observations are not believed about it.
    changed: Option<Instant>,
    requirements: BTreeMap<String, Requirement>,
    attempt: Option<Attempt>,
    candidate: Option<Instance>,
    current: Option<Instance>,
    retiring: Vec<Retiring>,
    last: Option<Last>,
    restart: Restart,
    failure: Option<Failure>,
    /// Whether any container of the slot was ever ready or announced here; whoever adopts one hears it from its memo.
    served: bool,
    volumes: BTreeMap<String, Volume>,
    releasing: Releasing,
}

/// A container being prepared.
#[derive(Debug)]
struct Attempt {
    instance: String,
    since: Instant,
    desired: Arc<Desired>,
    why: Option<String>,
    stage: Stage,
    image: Option<String>,
}

/// How far an attempt has come.
#[derive(Debug)]
enum Stage {
    /// Nothing is under way; a new step may begin.
    Ready,
    /// The image is being looked for.
    Image,
    /// Network and volumes are being made ready.
    Provisioning,
    /// Network and volumes are ready.
    Provisioned,
    /// The container is being made and started.
    Launching(Birth),
    /// It is not known whether the container was made; the engine is asked.
    Unknown(Birth),
}

/// A container on its way out.
#[derive(Debug)]
struct Retiring {
    instance: Instance,
    step: Step,
    grace: Duration,
}

#[derive(Debug, PartialEq)]
enum Step {
    /// Subscribers are given time until then.
    Withdrawing(Instant),
    /// It is to be stopped, not before then.
    Stop(Instant, u32),
    /// It is being stopped.
    Stopping,
}

/// The container that ended last.
#[derive(Debug)]
struct Last {
    instance: String,
    desired: Arc<Desired>,
    container: Container,
    exit: Exit,
    /// Whether what [`Effect::Explain`] asks for is in `exit`.
    explained: bool,
}

/// When and how often it is started again.
#[derive(Debug, Default)]
struct Restart {
    /// Restarts because it had ended, for people.
    count: u32,
    /// Ends and failed steps in a row, for the pause.
    failures: u32,
    /// Nothing is started before then.
    until: Option<Instant>,
    /// It ended and its restart policy says that this is it.
    ended: bool,
    /// Whether the pause is due to an end and not to a failed step.
    after_end: bool,
    /// Whether the last container ended before it had run for [`STABLE`].
    stumbled: bool,
    /// The container that was to take over and ended while the old one runs on.
    fallen: Option<String>,
}

/// Whether network and volumes of a stopped slot are given back.
#[derive(Debug, PartialEq)]
enum Releasing {
    No,
    Asked,
    Done,
    Retry(Instant, u32),
}

impl Lifecycle {
    /// An empty slot of which nothing is known. `seed` is for run ids and jitter and should differ between any two.
    #[must_use]
    pub fn new(slot: Slot, seed: u64) -> Self {
        Self {
            slot,
            chance: Chance::new(seed),
            desired: None,
            tombstoned: false,
            gone: false,
            observed: false,
            changed: None,
            requirements: BTreeMap::new(),
            attempt: None,
            candidate: None,
            current: None,
            retiring: Vec::new(),
            last: None,
            restart: Restart::default(),
            failure: None,
            served: false,
            volumes: BTreeMap::new(),
            releasing: Releasing::No,
        }
    }

    /// Which slot it is.
    #[must_use]
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// What it is to be filled with, if anything.
    #[must_use]
    pub fn desired(&self) -> Option<&Arc<Desired>> {
        self.desired.as_ref()
    }

    /// Whether a tombstone is done.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Takes a fact in and appends what is to be done.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Assigned(desired) => self.assigned(desired),
            Input::Tombstoned => self.tombstoned = true,
            Input::Observed { at, containers } => self.observed(now, at, containers, out),
            Input::EngineBack | Input::Leased => (self.restart.until, self.restart.failures) = (None, 0),
            Input::ImageReady { digest, image } => self.image_ready(&digest, image),
            Input::ImageFailed { digest, failure } => self.image_failed(now, &digest, failure),
            Input::EndpointsChanged { requirement, set } => {
                if let Some(requirement) = self.requirements.get_mut(&requirement) {
                    requirement.told(now, set);
                }
            }
            Input::Provisioned { instance, volumes } => {
                if let Some(attempt) = self.attempt_of(&instance) {
                    attempt.stage = Stage::Provisioned;
                    self.volumes = volumes;
                }
            }
            Input::ProvisionFailed { instance, failure } => {
                if self.attempt_of(&instance).is_some() {
                    self.step_failed(now, failure, STEP);
                }
            }
            Input::Launched { instance, container } => self.launched(now, &instance, container),
            Input::LaunchFailed { instance, failure } => self.launch_failed(now, &instance, failure),
            Input::Ended { instance, exit } => self.ended(now, &instance, exit, out),
            Input::Explained { instance, exit } => {
                if let Some(last) = self.last.as_mut().filter(|last| last.instance == instance) {
                    last.exit.message = exit.message.or(last.exit.message.take());
                    last.exit.code = exit.code.or(last.exit.code);
                    last.exit.output = exit.output;
                    last.explained = true;
                }
            }
            Input::VolumesSeen(volumes) => {
                if self.volumes.is_empty() {
                    self.volumes = volumes;
                }
            }
            Input::Probed { instance, endpoint, result } => {
                if let Some(instance) = self.serving(&instance) {
                    instance.probed(now, &endpoint, result);
                }
            }
            Input::Withdrawn { instance, .. } => {
                for retiring in &mut self.retiring {
                    if retiring.instance.id == instance && matches!(retiring.step, Step::Withdrawing(_)) {
                        retiring.step = Step::Stop(now, 0);
                    }
                }
            }
            Input::LiveUpdated { instance, run, outcome } => {
                let Self { current, candidate, chance, .. } = self;
                let known = [current, candidate].into_iter().flatten().find(|known| known.id == instance);
                if let Some(instance) = known {
                    instance.live_updated(now, chance, run, &outcome);
                }
            }
            Input::StopFailed { instance, failure } => self.stop_failed(now, &instance, &failure),
            Input::Released(result) => self.released(now, result),
            Input::Tick => {}
        }
        self.reconcile(now, out);
    }

    fn assigned(&mut self, desired: Arc<Desired>) {
        let same = self.desired.as_ref() == Some(&desired);
        self.tombstoned = false;
        self.gone = false;
        if !same {
            // Whoever changes what is wanted does not want to wait for the pauses of what was.
            let over = |last: &Last| {
                last.desired.generation >= desired.generation
                    && classify(&last.desired.role, &desired.role) != ChangeKind::Replace
            };
            let ended = self.restart.ended && self.last.as_ref().is_some_and(over);
            self.restart = Restart { count: self.restart.count, ended, ..Restart::default() };
            self.failure = None;
        }
        self.desired = Some(desired);
    }

    fn attempt_of(&mut self, instance: &str) -> Option<&mut Attempt> {
        self.attempt.as_mut().filter(|attempt| attempt.instance == instance)
    }

    fn serving(&mut self, id: &str) -> Option<&mut Instance> {
        [self.current.as_mut(), self.candidate.as_mut()].into_iter().flatten().find(|instance| instance.id == id)
    }

    fn image_ready(&mut self, digest: &str, image: String) {
        if let Some(attempt) = &mut self.attempt
            && matches!(attempt.stage, Stage::Image)
            && attempt.desired.role.image_digest == digest
        {
            attempt.stage = Stage::Ready;
            attempt.image = Some(image);
        }
    }

    fn image_failed(&mut self, now: Instant, digest: &str, failure: Failure) {
        let asked =
            |attempt: &Attempt| matches!(attempt.stage, Stage::Image) && attempt.desired.role.image_digest == digest;
        if self.attempt.as_ref().is_some_and(asked) {
            self.step_failed(now, failure, IMAGE);
        }
    }

    fn launched(&mut self, now: Instant, instance: &str, container: Container) {
        if self.attempt_of(instance).is_none() {
            return;
        }
        let Some(attempt) = self.attempt.take() else { return };
        let (Stage::Launching(birth) | Stage::Unknown(birth)) = attempt.stage else { return };
        let settle = if self.restart.stumbled { STABLE } else { SETTLE };
        let new = Instance::launched(now, attempt.instance, attempt.desired, container, birth, settle);
        self.failure = None;
        self.restart.fallen = None;
        self.restart.until = None;
        self.changed = Some(now);
        if self.current.is_some() { self.candidate = Some(new) } else { self.current = Some(new) }
    }

    fn launch_failed(&mut self, now: Instant, instance: &str, failure: Failure) {
        let Some(attempt) = self.attempt_of(instance) else { return };
        if failure.unknown {
            if let Stage::Launching(birth) = &attempt.stage {
                attempt.stage = Stage::Unknown(birth.clone());
            }
            self.observed = false;
            self.failure = Some(failure);
            return;
        }
        self.step_failed(now, failure, STEP);
    }

    /// A step of the attempt failed: another one begins after a pause.
    fn step_failed(&mut self, now: Instant, failure: Failure, pauses: (Duration, Duration)) {
        self.attempt = None;
        self.restart.failures = self.restart.failures.saturating_add(1);
        self.restart.until = Some(now + self.chance.pause(self.restart.failures, pauses.0, pauses.1));
        self.restart.after_end = false;
        self.failure = Some(failure);
    }

    fn stop_failed(&mut self, now: Instant, instance: &str, failure: &Failure) {
        for retiring in &mut self.retiring {
            if retiring.instance.id == instance && retiring.step == Step::Stopping {
                retiring.step = Step::Stop(now + self.chance.pause(1, STEP.0, STEP.1), 1);
                self.failure = Some(failure.clone());
            }
        }
    }

    fn released(&mut self, now: Instant, result: Result<(), Failure>) {
        if self.releasing != Releasing::Asked {
            return;
        }
        self.releasing = match result {
            Ok(()) => Releasing::Done,
            Err(failure) => {
                self.failure = Some(failure);
                Releasing::Retry(now + self.chance.pause(3, STEP.0, STEP.1), 1)
            }
        };
    }
}
