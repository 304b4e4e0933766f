//! How far a change has come: goals, one a slot, against what hosts report. Pure: time and reports are handed in.
//!
//! Each goal has a clock that runs only while the slot itself is to blame: not during a build, and not while it waits for a
//! role of the same change that is still on its way. So a slow first build never makes its users fail.

mod goal;
#[cfg(test)]
mod tests;

pub(crate) use goal::{Goal, Limits, Running, Want};

use goal::{Stage, Verdict, judge};
use scs_api::agent::{HostReport, Phase, SlotReport};
use scs_api::deploy::Event;
use scs_api::error::{Code, Problem};
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long an agent may take to answer for new assignments, or its engine to come back, before a change gives up on it.
pub(crate) const AGENT_PATIENCE: Duration = Duration::from_secs(30);

/// Follows the goals of one change.
#[derive(Debug)]
pub(crate) struct Tracker {
    started: Instant,
    /// Revision of the assignments that hold the change.
    revision: u64,
    goals: Vec<Goal>,
    courses: Vec<Course>,
    /// Where the goals of each role are.
    by_role: BTreeMap<String, Vec<usize>>,
    /// Problems of hosts that the reader has been told.
    warned: BTreeSet<String>,
    /// Since when each host has had problems.
    trouble: BTreeMap<String, Instant>,
}

/// How far one goal has come.
#[derive(Debug)]
struct Course {
    settled: Option<Result<(), Failure>>,
    stage: Stage,
    /// Since when its clock runs; `None` while it stands.
    clock: Option<Instant>,
    /// Its clock as it was before it was found failing: failing now and then does not wind it up.
    worked: Option<Instant>,
    told: Option<(Phase, Option<String>)>,
    /// What the host said before the change, so that an old failure is not taken for a new one.
    before: Option<SlotReport>,
}

/// Why a goal was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// Follows the name of the role.
    pub(crate) reason: String,
    pub(crate) details: Vec<String>,
    /// Whether it only follows from the failure of another goal.
    pub(crate) follows: bool,
}

impl Tracker {
    /// Goals of a change that stands in the assignments of `revision`; `before` is what hosts reported until then.
    pub(crate) fn new(now: Instant, revision: u64, goals: Vec<Goal>, before: &[HostReport]) -> Self {
        let reports = by_slot(before, &goals);
        let courses = goals.iter().map(|goal| Course {
            settled: None,
            stage: Stage::Untaken,
            clock: Some(now),
            worked: None,
            told: None,
            before: reports.get(&goal.slot).map(|report| (*report).clone()),
        });
        let courses = courses.collect();
        let mut by_role: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, goal) in goals.iter().enumerate() {
            by_role.entry(goal.slot.role.clone()).or_default().push(at);
        }
        let (warned, trouble) = (BTreeSet::new(), BTreeMap::new());
        Self { started: now, revision, goals, courses, by_role, warned, trouble }
    }

    /// Takes in what hosts report now, and which tombstones are still open.
    pub(crate) fn observe(
        &mut self,
        now: Instant,
        reports: &[HostReport],
        tombstones: &HashSet<Slot>,
        out: &mut Vec<Event>,
    ) {
        self.watch_hosts(now, reports, out);
        let slots = by_slot(reports, &self.goals);
        let revisions: HashMap<&str, u64> = reports.iter().map(|it| (it.host.as_str(), it.revision)).collect();
        for at in 0..self.goals.len() {
            if self.courses[at].settled.is_some() {
                continue;
            }
            let goal = &self.goals[at];
            let taken = revisions.get(goal.host.as_str()).is_some_and(|revision| *revision >= self.revision);
            let report = slots.get(&goal.slot).copied();
            let open = tombstones.contains(&goal.slot);
            match judge(goal, taken, report, self.courses[at].before.as_ref(), open) {
                Verdict::Reached => self.settle(now, at, Ok(()), out),
                Verdict::Failed(failure) => self.settle(now, at, Err(failure), out),
                Verdict::Underway(stage) => self.go_on(now, at, stage, report, out),
            }
        }
        self.run_clocks(now, &slots, out);
    }

    /// When to look again even if nothing is reported.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let unsettled = self.courses.iter().zip(&self.goals).filter(|(course, _)| course.settled.is_none());
        let clocks = unsettled.filter_map(|(course, goal)| Some(course.clock? + course.stage.limit(&goal.limits)?));
        clocks.chain(self.trouble.values().map(|since| *since + AGENT_PATIENCE)).min()
    }

    /// The end of it, once every goal is reached or given up.
    pub(crate) fn outcome(&self) -> Option<Result<(), Problem>> {
        if self.courses.iter().any(|course| course.settled.is_none()) {
            return None;
        }
        let mut failed: Vec<(&Goal, &Failure)> = self
            .goals
            .iter()
            .zip(&self.courses)
            .filter_map(|(goal, course)| Some((goal, course.settled.as_ref()?.as_ref().err()?)))
            .collect();
        failed.sort_by_key(|(_, failure)| failure.follows);
        let Some(((goal, first), others)) = failed.split_first() else { return Some(Ok(())) };
        let mut problem = Problem::new(first.code, format!("{} {}", goal.name(), first.reason));
        problem.causes = others.iter().map(|(goal, other)| format!("{} {}", goal.name(), other.reason)).collect();
        problem.output.clone_from(&first.details);
        let role = &goal.slot.role;
        problem.hint = Some(if first.code == Code::EngineUnavailable {
            "containers that run go on running; `scs doctor` looks at the engine".to_owned()
        } else {
            format!(
                "everything else was left as it is, and it is tried again as long as it is wanted; see `scs ps` and `scs logs {role}`"
            )
        });
        Some(Err(problem))
    }

    fn settle(&mut self, now: Instant, at: usize, outcome: Result<(), Failure>, out: &mut Vec<Event>) {
        let goal = &self.goals[at];
        if outcome.is_ok() {
            let took_ms = u64::try_from((now - self.started).as_millis()).unwrap_or(u64::MAX);
            out.push(Event::SlotDone { slot: goal.slot.clone(), now: goal.word.to_owned(), took_ms });
        }
        self.courses[at].settled = Some(outcome);
    }

    fn go_on(&mut self, now: Instant, at: usize, stage: Stage, report: Option<&SlotReport>, out: &mut Vec<Event>) {
        let course = &mut self.courses[at];
        if course.stage != stage {
            match (course.stage, stage) {
                (Stage::Working, Stage::Failing) => (course.worked, course.clock) = (course.clock, Some(now)),
                (Stage::Failing, Stage::Working) => course.clock = course.worked.or(Some(now)),
                _ => course.clock = Some(now),
            }
            course.stage = stage;
        }
        let Some(report) = report.filter(|_| stage != Stage::Untaken) else { return };
        let seen = (report.phase, report.message.clone());
        // What was there before the change is not a step of it.
        let old = course.told.is_none() && course.before.as_ref().is_some_and(|it| it == report);
        if course.told.as_ref() != Some(&seen) && !old {
            out.push(Event::Step { slot: self.goals[at].slot.clone(), doing: doing(report) });
            course.told = Some(seen);
        }
    }

    /// Stops and starts the clocks of those that wait for others, and gives up on whoever's has run out.
    fn run_clocks(&mut self, now: Instant, slots: &HashMap<&Slot, &SlotReport>, out: &mut Vec<Event>) {
        // A goal that is given up frees those that wait for it, so the round is made again until nothing is given up.
        let mut again = true;
        while std::mem::take(&mut again) {
            let moving = self.courses.iter().any(|it| it.settled.is_none() && it.stage != Stage::Waiting);
            for at in 0..self.goals.len() {
                if self.courses[at].settled.is_some() {
                    continue;
                }
                let goal = &self.goals[at];
                let failure = match self.standing(goal, &self.courses[at], moving) {
                    Standing::Patient => {
                        self.courses[at].clock = None;
                        continue;
                    }
                    Standing::Hopeless(provider) => Failure {
                        code: Code::Failed,
                        reason: format!("waits for {provider}, which did not come up"),
                        details: Vec::new(),
                        follows: true,
                    },
                    Standing::Clocked => {
                        let stage = self.courses[at].stage;
                        let limit = stage.limit(&goal.limits);
                        let since = *self.courses[at].clock.get_or_insert(now);
                        if limit.is_none_or(|limit| now < since + limit) {
                            continue;
                        }
                        goal.late(stage, slots.get(&goal.slot).copied())
                    }
                };
                self.settle(now, at, Err(failure), out);
                again = true;
            }
        }
    }

    fn standing(&self, goal: &Goal, course: &Course, moving: bool) -> Standing {
        if course.stage != Stage::Waiting {
            return Standing::Clocked;
        }
        let providers = goal.providers.iter().flat_map(|role| self.by_role.get(role).into_iter().flatten());
        let providers: Vec<&usize> = providers.collect();
        let failed = |at: &usize| matches!(self.courses[*at].settled, Some(Err(_)));
        if let Some(first) = providers.first().filter(|_| providers.iter().all(|at| failed(at))) {
            return Standing::Hopeless(self.goals[**first].name());
        }
        let on_its_way = providers.iter().any(|at| self.courses[**at].settled.is_none());
        if moving && on_its_way { Standing::Patient } else { Standing::Clocked }
    }

    /// Tells of hosts in trouble, and gives up on their goals when it lasts.
    fn watch_hosts(&mut self, now: Instant, reports: &[HostReport], out: &mut Vec<Event>) {
        for report in reports {
            if report.problems.is_empty() {
                self.trouble.remove(&report.host);
                continue;
            }
            let ours = |goal: &&Goal| goal.host == report.host;
            if !self.goals.iter().any(|goal| ours(&goal)) {
                continue;
            }
            for problem in &report.problems {
                let message = format!("host {}: {problem}", report.host);
                if self.warned.insert(message.clone()) {
                    out.push(Event::Warning { message });
                }
            }
            let since = *self.trouble.entry(report.host.clone()).or_insert(now);
            if now >= since + AGENT_PATIENCE {
                let reason = format!("cannot go on: host {}: {}", report.host, report.problems.join("; "));
                for at in 0..self.goals.len() {
                    if self.goals[at].host == report.host && self.courses[at].settled.is_none() {
                        let details = report.problems.clone();
                        let code = Code::EngineUnavailable;
                        let failure = Failure { code, reason: reason.clone(), details, follows: false };
                        self.settle(now, at, Err(failure), out);
                    }
                }
                self.trouble.remove(&report.host);
            }
        }
    }
}

/// Whether a goal's clock counts.
enum Standing {
    Clocked,
    /// It waits for a goal that is on its way.
    Patient,
    /// It waits for goals that all have failed; the name of one.
    Hopeless(String),
}

/// What is said of each slot by the host that it has to come to be on; another may still have what it left behind.
fn by_slot<'a>(reports: &'a [HostReport], goals: &[Goal]) -> HashMap<&'a Slot, &'a SlotReport> {
    let places: HashMap<&Slot, &str> = goals.iter().map(|it| (&it.slot, it.host.as_str())).collect();
    let seen = reports.iter().flat_map(|report| report.slots.iter().map(move |it| (report.host.as_str(), it)));
    seen.filter(|(host, it)| places.get(&it.slot) == Some(host)).map(|(_, it)| (&it.slot, it)).collect()
}

/// A phase as a step: a verb in the present participle.
fn doing(report: &SlotReport) -> String {
    let (word, message) = match report.phase {
        Phase::Image => ("preparing its image", report.message.as_deref()),
        Phase::Waiting => ("waiting", report.message.as_deref()),
        Phase::Provisioning => ("provisioning", report.message.as_deref()),
        Phase::Starting => ("starting", report.message.as_deref()),
        Phase::Running => ("running", None),
        Phase::Failing => ("failing its health check", report.message.as_deref()),
        Phase::Backoff => ("pausing before the next start", report.message.as_deref()),
        Phase::Ended => ("ended", report.message.as_deref()),
        Phase::Failed => ("failed", report.message.as_deref()),
        Phase::Stopping => ("stopping", None),
        Phase::Stopped => ("stopped", None),
    };
    match message {
        // This one is in the same form.
        Some(message) if report.phase == Phase::Waiting => message.to_owned(),
        Some(message) => format!("{word} ({message})"),
        None => word.to_owned(),
    }
}
