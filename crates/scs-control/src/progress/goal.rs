//! What a change wants of one slot, and whether a report says that it is so.

use super::{AGENT_PATIENCE, Failure};
use scs_api::agent::{Phase, SlotReport};
use scs_api::error::Code;
use scs_manifest::compiled::{OnFailure, Restart, Role};
use scs_plan::slot::Slot;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// A container that has ended this often since the change will not come up; fewer may be a user that came before its provider.
const RESTARTS: u32 = 5;
/// How the message of a container that ended ends.
const AGAIN: &str = " and is started again";
/// A live update that has failed this often in a row will not come to be; fewer may be a user that was told of a new password
/// before the one it logs in to. With the agent's pauses that is about a quarter of a minute.
const TRIES: u32 = 5;

/// What a change wants of one slot.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    pub(crate) slot: Slot,
    pub(crate) host: String,
    pub(crate) want: Want,
    /// What is said once it is reached: `running`, `unchanged`, ….
    pub(crate) word: &'static str,
    /// Whether the change leaves it alone: then what it already reports counts.
    pub(crate) unchanged: bool,
    /// Roles of the same service it cannot start without.
    pub(crate) providers: Vec<String>,
    pub(crate) limits: Limits,
}

/// What a change wants a slot to be.
#[derive(Debug, Clone)]
pub(crate) enum Want {
    /// Filled by this role, all of it in effect.
    Running(Running),
    /// Stopped, as `scs stop` asks.
    Stopped,
    /// Empty.
    Gone,
}

/// What has to be in effect.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) image_digest: String,
    pub(crate) spec_digest: String,
    pub(crate) generation: u64,
    pub(crate) restart: Restart,
    /// Secrets, by the image's names, whose new value has to have been applied since this time, and what follows a failed try.
    pub(crate) told: BTreeMap<String, OnFailure>,
    pub(crate) since: SystemTime,
}

/// How long a slot may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For requirements, once nothing of the same change is on its way any more.
    pub(crate) wait: Duration,
    /// From requirements met to healthy, or from asked to gone.
    pub(crate) work: Duration,
}

/// What a slot's clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its host has not taken up the change.
    Untaken,
    /// Its image is made ready; takes as long as it takes.
    Image,
    /// It waits for requirements.
    Waiting,
    /// It is provisioned, started, told, stopped.
    Working,
    /// It runs and does not pass its health check, though it has had the time to.
    Failing,
    /// It reports a failure from before a change that left it alone.
    Stuck,
}

/// What a report says of a goal.
pub(super) enum Verdict {
    Reached,
    Failed(Failure),
    Underway(Stage),
}

impl Limits {
    /// Of a role that is to run. `wait` is its requirements' own; the rest is its health checks' `start`, its live updates and
    /// its grace period, with half a minute for the engine.
    pub(crate) fn of(role: &Role) -> Self {
        const ENGINE: Duration = Duration::from_secs(30);
        // As long as a role without health checks may take from created to started.
        const START: Duration = Duration::from_secs(30);
        // A role that insists on nothing is never told to wait for long.
        let wait = role.require.values().filter(|it| it.min > 0).map(|it| it.wait).max().unwrap_or(START);
        let checks = role.provide.values().filter_map(|it| it.health.as_ref());
        let start = checks.map(|it| it.start + it.timeout).max().unwrap_or(START);
        let updates =
            role.require.values().map(|it| &it.liveupdate).chain(role.secrets.values().map(|it| &it.liveupdate));
        let update = updates.map(|it| it.debounce + it.timeout).max().unwrap_or_default();
        Self { wait, work: start + update + role.process.stop_grace_period + ENGINE }
    }

    /// Of a role that is to end: withdrawn with a deadline, then its grace period, with time for the engine.
    pub(crate) fn to_end(role: &Role) -> Self {
        const WITHDRAW: Duration = Duration::from_secs(30);
        const ENGINE: Duration = Duration::from_secs(30);
        Self { wait: Duration::ZERO, work: WITHDRAW + role.process.stop_grace_period + ENGINE }
    }
}

impl Stage {
    pub(super) fn limit(self, limits: &Limits) -> Option<Duration> {
        match self {
            Stage::Untaken => Some(AGENT_PATIENCE),
            Stage::Image => None,
            Stage::Waiting => Some(limits.wait),
            Stage::Working => Some(limits.work),
            // Long enough for one that has only just been overloaded.
            Stage::Failing => Some(Duration::from_secs(10)),
            // It has had its time already; this is for a report that is just being renewed.
            Stage::Stuck => Some(Duration::from_secs(3)),
        }
    }
}

impl Goal {
    /// The role, with its index where it is not the first.
    pub(super) fn name(&self) -> String {
        self.slot.label()
    }

    /// Why it is given up when its clock has run out.
    pub(super) fn late(&self, stage: Stage, report: Option<&SlotReport>) -> Failure {
        let seconds = stage.limit(&self.limits).unwrap_or_default().as_secs();
        let message = report.and_then(|it| it.message.as_deref());
        let because = message.map(|it| format!(": {it}")).unwrap_or_default();
        let reason = match (stage, &self.want) {
            (Stage::Untaken, _) => format!("was not taken up by host {} within {seconds} s", self.host),
            (Stage::Waiting, _) => match message {
                Some(message) => format!("is still {message} after {seconds} s"),
                None => format!("still waits for its requirements after {seconds} s"),
            },
            (Stage::Stuck, _) => format!("has failed{because}"),
            (Stage::Failing, Want::Running(_)) => format!("runs but is not healthy{because}"),
            (_, Want::Gone | Want::Stopped) => format!("has not stopped within {seconds} s{because}"),
            (_, Want::Running(_)) => format!("is not running as wanted after {seconds} s{because}"),
        };
        let code = if stage == Stage::Untaken { Code::EngineUnavailable } else { Code::Failed };
        Failure { code, reason, details: report.map(|it| it.details.clone()).unwrap_or_default(), follows: false }
    }
}

/// Whether a report says that a goal is reached.
pub(super) fn judge(
    goal: &Goal,
    taken: bool,
    report: Option<&SlotReport>,
    before: Option<&SlotReport>,
    tombstone: bool,
) -> Verdict {
    if let Want::Gone = goal.want {
        return if tombstone { Verdict::Underway(underway(taken, report)) } else { Verdict::Reached };
    }
    let Some(report) = report.filter(|_| taken) else {
        return Verdict::Underway(underway(taken, None));
    };
    match &goal.want {
        Want::Stopped if matches!(report.phase, Phase::Stopped | Phase::Ended) => Verdict::Reached,
        Want::Running(running) => running.judge(goal, report, before),
        _ => Verdict::Underway(underway(taken, Some(report))),
    }
}

fn underway(taken: bool, report: Option<&SlotReport>) -> Stage {
    match report.map(|it| it.phase) {
        _ if !taken => Stage::Untaken,
        Some(Phase::Image) => Stage::Image,
        Some(Phase::Waiting) => Stage::Waiting,
        Some(Phase::Failing) => Stage::Failing,
        _ => Stage::Working,
    }
}

impl Running {
    fn judge(&self, goal: &Goal, report: &SlotReport, before: Option<&SlotReport>) -> Verdict {
        let fail = |reason: String, details: &[String]| {
            Verdict::Failed(Failure { code: Code::Failed, reason, details: details.to_vec(), follows: false })
        };
        let because = || report.message.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        match report.phase {
            Phase::Running if self.is_applied(report) => self.judge_updates(report, before),
            // Why it ended, and what it said last, comes a moment later.
            Phase::Backoff | Phase::Ended if !report.container.as_ref().is_some_and(|it| it.explained) => {
                Verdict::Underway(Stage::Working)
            }
            Phase::Ended if self.is_made_of(report) => match report.container.as_ref().and_then(|it| it.exit_code) {
                Some(0) => Verdict::Reached,
                Some(code) => {
                    // What the report says is how it ended, and names the code too.
                    let how = report.message.as_deref().and_then(|it| it.strip_prefix("it "));
                    fail(how.map_or_else(|| format!("ended with exit code {code}"), str::to_owned), &report.details)
                }
                None => fail(format!("ended{}", because()), &report.details),
            },
            Phase::Backoff => {
                let earlier = before.map_or(0, |it| it.restarts);
                let ends = report.restarts.saturating_sub(earlier);
                let how = report.message.as_deref().unwrap_or("it ended").trim_end_matches(AGAIN);
                if ends >= RESTARTS {
                    return fail(format!("keeps ending: {how}, {ends} times so far"), &report.details);
                }
                // One that the change left alone and that had been at it for long is not given as many tries again.
                let old = goal.unchanged && before.is_some_and(|it| it.phase == Phase::Backoff) && earlier >= RESTARTS;
                Verdict::Underway(if old { Stage::Stuck } else { Stage::Working })
            }
            // It never was healthy, and has had all the time that its manifest gives it.
            Phase::Failing if !self.is_applied(report) => {
                fail(format!("runs but is not healthy{}", because()), &report.details)
            }
            Phase::Failed => match before {
                // The same failure as before the change: news may be on their way.
                Some(before) if before.phase == Phase::Failed && before.since == report.since => {
                    Verdict::Underway(if goal.unchanged { Stage::Stuck } else { Stage::Working })
                }
                _ => fail(format!("failed{}", because()), &report.details),
            },
            _ => Verdict::Underway(underway(true, Some(report))),
        }
    }

    fn is_applied(&self, report: &SlotReport) -> bool {
        report.applied.as_ref().is_some_and(|it| {
            it.spec_digest == self.spec_digest
                && it.image_digest == self.image_digest
                && it.generation == self.generation
        })
    }

    /// A container that has ended has nothing in effect; what it was made of counts.
    fn is_made_of(&self, report: &SlotReport) -> bool {
        let ends = self.restart != Restart::Always;
        ends && report
            .container
            .as_ref()
            .is_some_and(|it| it.image_digest == self.image_digest && it.spec_digest == self.spec_digest)
    }

    /// Whether every new secret has got through.
    fn judge_updates(&self, report: &SlotReport, before: Option<&SlotReport>) -> Verdict {
        let instance = |report: &SlotReport| report.container.as_ref().map(|it| it.instance.clone());
        if self.told.is_empty() || before.is_none_or(|before| instance(before) != instance(report)) {
            return Verdict::Reached;
        }
        for (secret, on_failure) in &self.told {
            match report.live_updates.get(secret).filter(|it| it.at >= self.since && !it.running) {
                None => return Verdict::Underway(Stage::Working),
                Some(update)
                    if update.exit_code != Some(0) && *on_failure == OnFailure::Retry && update.failures < TRIES =>
                {
                    return Verdict::Underway(Stage::Working);
                }
                Some(update) if update.exit_code != Some(0) => {
                    let code =
                        update.exit_code.map_or_else(|| "no exit code".to_owned(), |it| format!("exit code {it}"));
                    let reason = format!("could not apply secret {secret}: its live update ended with {code}");
                    let details = update.output.clone();
                    return Verdict::Failed(Failure { code: Code::Failed, reason, details, follows: false });
                }
                Some(_) => {}
            }
        }
        Verdict::Reached
    }
}
