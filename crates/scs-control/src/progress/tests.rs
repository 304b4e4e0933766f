//! Clocks and verdicts, on a time of their own.

use super::{AGENT_PATIENCE, Goal, Limits, Running, Tracker, Want};
use scs_api::agent::{Applied, ContainerReport, HostReport, Phase, SlotReport};
use scs_api::deploy::Event;
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::Restart;
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

const WAIT: Duration = Duration::from_secs(60);
const WORK: Duration = Duration::from_secs(90);

fn slot(role: &str) -> Slot {
    Slot { environment: "dev".to_owned(), service: "blog".to_owned(), role: role.to_owned(), index: 0 }
}

fn goal(role: &str, providers: &[&str]) -> Goal {
    let running = Running {
        image_digest: "i".to_owned(),
        spec_digest: "s".to_owned(),
        generation: 1,
        restart: Restart::Always,
        told: BTreeMap::new(),
        since: SystemTime::UNIX_EPOCH,
    };
    Goal {
        slot: slot(role),
        host: "here".to_owned(),
        want: Want::Running(running),
        word: "running",
        unchanged: false,
        providers: providers.iter().map(|it| (*it).to_owned()).collect(),
        limits: Limits { wait: WAIT, work: WORK },
    }
}

fn report(role: &str, phase: Phase, message: &str) -> SlotReport {
    let applied = Applied { spec_digest: "s".to_owned(), image_digest: "i".to_owned(), generation: 1 };
    SlotReport {
        slot: slot(role),
        phase,
        message: (!message.is_empty()).then(|| message.to_owned()),
        details: Vec::new(),
        since: SystemTime::UNIX_EPOCH,
        container: None,
        applied: (phase == Phase::Running).then_some(applied),
        restarts: 0,
        served: false,
        leased: false,
        live_updates: BTreeMap::new(),
        requirements: BTreeMap::new(),
        volumes: BTreeMap::new(),
    }
}

/// A change that is followed over a time that the test makes.
struct Course {
    tracker: Tracker,
    now: Instant,
    slots: Vec<SlotReport>,
    tombstones: HashSet<Slot>,
    problems: Vec<String>,
    revision: u64,
}

impl Course {
    fn new(goals: Vec<Goal>, before: Vec<SlotReport>) -> Self {
        let now = Instant::now();
        let host = HostReport { host: "here".to_owned(), revision: 6, slots: before.clone(), ..HostReport::default() };
        let tracker = Tracker::new(now, 7, goals, &[host]);
        Self { tracker, now, slots: before, tombstones: HashSet::new(), problems: Vec::new(), revision: 7 }
    }

    /// Lets time pass, then reports.
    fn after(&mut self, passed: Duration, slots: &[SlotReport]) -> Vec<Event> {
        self.now += passed;
        for slot in slots {
            self.slots.retain(|it| it.slot != slot.slot);
            self.slots.push(slot.clone());
        }
        let report = HostReport {
            host: "here".to_owned(),
            revision: self.revision,
            slots: self.slots.clone(),
            gone: Vec::new(),
            problems: self.problems.clone(),
        };
        let mut out = Vec::new();
        self.tracker.observe(self.now, &[report], &self.tombstones, &mut out);
        out
    }

    fn problem(&self) -> Problem {
        self.tracker.outcome().expect("it is over").expect_err("it failed")
    }

    fn is_open(&self) -> bool {
        self.tracker.outcome().is_none()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_build_takes_as_long_as_it_takes_and_its_users_wait_for_it() {
    let mut course = Course::new(vec![goal("mysql", &[]), goal("web", &["mysql"])], Vec::new());
    course.after(
        seconds(0),
        &[report("mysql", Phase::Image, "building"), report("web", Phase::Waiting, "waiting for mysql")],
    );
    course.after(seconds(3600), &[]);
    assert!(course.is_open());
    assert_eq!(course.tracker.next_deadline(), None);
    // The user's clock starts when its provider is there.
    course.after(seconds(1), &[report("mysql", Phase::Running, "")]);
    course.after(seconds(59), &[]);
    assert!(course.is_open());
    assert_eq!(course.tracker.next_deadline(), Some(course.now + seconds(1)));
    course.after(seconds(1), &[]);
    assert_eq!(course.problem().message, "web is still waiting for mysql after 60 s");
}

#[test]
fn those_that_only_wait_for_each_other_are_given_up() {
    let mut course = Course::new(vec![goal("a", &["b"]), goal("b", &["a"])], Vec::new());
    course.after(
        seconds(0),
        &[report("a", Phase::Waiting, "waiting for b"), report("b", Phase::Waiting, "waiting for a")],
    );
    course.after(seconds(60), &[]);
    assert_eq!(course.problem().message, "a is still waiting for b after 60 s");
}

#[test]
fn a_provider_that_fails_takes_its_users_along_at_once() {
    let mut course = Course::new(vec![goal("web", &["php"]), goal("php", &["mysql"]), goal("mysql", &[])], Vec::new());
    let waiting = [report("web", Phase::Waiting, ""), report("php", Phase::Waiting, "")];
    course.after(seconds(0), &waiting);
    course.after(seconds(1), &[report("mysql", Phase::Failed, "no space left")]);
    let problem = course.problem();
    assert_eq!(problem.message, "mysql failed: no space left");
    assert_eq!(
        problem.causes,
        ["web waits for php, which did not come up", "php waits for mysql, which did not come up"]
    );
}

#[test]
fn one_that_is_never_healthy_is_given_up_with_what_it_said_last() {
    let mut course = Course::new(vec![goal("web", &[])], Vec::new());
    course.after(seconds(0), &[report("web", Phase::Starting, "")]);
    course.after(seconds(40), &[report("web", Phase::Backoff, "ended with exit code 1")]);
    course.after(seconds(40), &[report("web", Phase::Starting, "GET / answers 503")]);
    assert!(course.is_open(), "starting again does not wind the clock up");
    course.after(seconds(10), &[]);
    assert_eq!(course.problem().message, "web is not running as wanted after 90 s: GET / answers 503");
}

#[test]
fn one_that_is_not_healthy_within_its_start_is_given_up_at_once() {
    let mut course = Course::new(vec![goal("web", &[])], Vec::new());
    course.after(seconds(0), &[report("web", Phase::Starting, "")]);
    course.after(seconds(5), &[report("web", Phase::Failing, "GET / answers 503 (within the 5s it has to start)")]);
    let message = "web runs but is not healthy: GET / answers 503 (within the 5s it has to start)";
    assert_eq!(course.problem().message, message);
}

#[test]
fn one_that_was_healthy_and_fails_is_given_up_soon() {
    let applied = report("web", Phase::Running, "").applied;
    let failing = SlotReport { applied, ..report("web", Phase::Failing, "GET / answers 503") };
    let mut course = Course::new(vec![goal("web", &[])], Vec::new());
    course.after(seconds(0), &[report("web", Phase::Starting, "")]);
    course.after(seconds(60), std::slice::from_ref(&failing));
    course.after(seconds(9), &[report("web", Phase::Starting, "")]);
    course.after(seconds(1), &[failing]);
    course.after(seconds(9), &[]);
    assert!(course.is_open());
    course.after(seconds(1), &[]);
    assert_eq!(course.problem().message, "web runs but is not healthy: GET / answers 503");
}

#[test]
fn one_that_keeps_ending_is_given_up_before_its_time() {
    let ended = |restarts| SlotReport {
        restarts,
        details: vec!["no configuration".to_owned()],
        container: Some(ended_container(1, true)),
        ..report("web", Phase::Backoff, "it ended with exit code 1 and is started again")
    };
    let mut course = Course::new(vec![goal("web", &[])], vec![ended(3)]);
    for restarts in 4..8 {
        course.after(seconds(1), &[ended(restarts)]);
        assert!(course.is_open(), "{restarts}");
    }
    let unexplained = SlotReport { container: Some(ended_container(1, false)), ..ended(8) };
    course.after(seconds(1), &[unexplained]);
    assert!(course.is_open(), "its last lines are still to come");
    course.after(seconds(1), &[ended(8)]);
    assert_eq!(course.problem().message, "web keeps ending: it ended with exit code 1, 5 times so far");
    assert_eq!(course.problem().output, ["no configuration"]);

    // One that the change leaves alone has shown that it keeps ending.
    let mut course = Course::new(vec![Goal { unchanged: true, ..goal("web", &[]) }], vec![ended(9)]);
    course.after(seconds(0), &[]);
    course.after(seconds(3), &[]);
    assert_eq!(course.problem().message, "web has failed: it ended with exit code 1 and is started again");
}

#[test]
fn a_failure_from_before_the_change_is_not_taken_for_its_own() {
    let failed = report("web", Phase::Failed, "old");
    let mut course = Course::new(vec![goal("web", &[])], vec![failed.clone()]);
    assert!(course.after(seconds(0), &[]).is_empty(), "and it is not told as a step of it");
    assert!(course.is_open());
    course.after(seconds(1), &[report("web", Phase::Image, "building")]);
    course.after(seconds(1), &[report("web", Phase::Running, "")]);
    assert_eq!(course.tracker.outcome(), Some(Ok(())));

    // One that the change leaves alone has had its time.
    let mut course = Course::new(vec![Goal { unchanged: true, ..goal("web", &[]) }], vec![failed]);
    course.after(seconds(0), &[]);
    course.after(seconds(3), &[]);
    assert_eq!(course.problem().message, "web has failed: old");
}

#[test]
fn a_report_on_older_assignments_says_nothing() {
    let mut course = Course::new(vec![goal("web", &[])], vec![report("web", Phase::Running, "")]);
    course.revision = 6;
    course.after(seconds(0), &[]);
    assert!(course.is_open());
    course.after(AGENT_PATIENCE, &[]);
    let problem = course.problem();
    assert_eq!(problem.code, Code::EngineUnavailable);
    assert_eq!(problem.message, "web was not taken up by host here within 30 s");
}

#[test]
fn a_host_in_trouble_is_told_of_once_and_given_up_when_it_lasts() {
    let mut course = Course::new(vec![goal("web", &[])], Vec::new());
    course.problems = vec!["the engine does not answer".to_owned()];
    let events = course.after(seconds(0), &[report("web", Phase::Image, "")]);
    assert!(matches!(&events[0], Event::Warning { message } if message == "host here: the engine does not answer"));
    assert!(!course.after(seconds(29), &[]).iter().any(|it| matches!(it, Event::Warning { .. })));
    course.after(seconds(1), &[]);
    assert_eq!(course.problem().code, Code::EngineUnavailable);

    let mut course = Course::new(vec![goal("web", &[])], Vec::new());
    course.problems = vec!["the engine does not answer".to_owned()];
    course.after(seconds(0), &[]);
    course.problems.clear();
    course.after(seconds(29), &[]);
    course.after(seconds(1), &[report("web", Phase::Running, "")]);
    assert_eq!(course.tracker.outcome(), Some(Ok(())));
}

fn ended_container(code: i64, explained: bool) -> ContainerReport {
    ContainerReport {
        instance: "run-1".to_owned(),
        id: String::new(),
        name: String::new(),
        spec_digest: "s".to_owned(),
        image_digest: "i".to_owned(),
        image: String::new(),
        started: None,
        exit_code: Some(code),
        explained,
        provides: BTreeMap::new(),
    }
}

#[test]
fn a_job_is_done_when_it_has_ended_well() {
    let job = || {
        let mut job = goal("job", &[]);
        if let Want::Running(running) = &mut job.want {
            running.restart = Restart::OnFailure;
        }
        job
    };
    let ended = |code| {
        let mut ended = report("job", Phase::Ended, "");
        ended.container = Some(ended_container(code, true));
        ended
    };
    let mut course = Course::new(vec![job()], Vec::new());
    course.after(seconds(1), &[ended(0)]);
    assert_eq!(course.tracker.outcome(), Some(Ok(())));
    let mut course = Course::new(vec![job()], Vec::new());
    let mut unexplained = ended(3);
    unexplained.container = Some(ended_container(3, false));
    course.after(seconds(1), &[unexplained]);
    assert!(course.is_open(), "its last lines are still to come");
    course.after(seconds(1), &[ended(3)]);
    assert_eq!(course.problem().message, "job ended with exit code 3");
}

#[test]
fn what_is_to_go_is_gone_with_its_tombstone() {
    let mut course = Course::new(vec![Goal { want: Want::Gone, word: "removed", ..goal("web", &[]) }], Vec::new());
    course.tombstones.insert(slot("web"));
    course.after(seconds(0), &[report("web", Phase::Stopping, "")]);
    assert!(course.is_open());
    course.after(seconds(89), &[]);
    assert!(course.is_open());
    let mut late = course;
    late.after(seconds(1), &[]);
    assert_eq!(late.problem().message, "web has not stopped within 90 s");
}

#[test]
fn steps_are_told_once_each() {
    let mut course = Course::new(vec![goal("web", &[])], Vec::new());
    let told = |events: Vec<Event>| -> Vec<String> {
        events
            .into_iter()
            .map(|it| match it {
                Event::Step { doing, .. } => doing,
                Event::SlotDone { now, took_ms, .. } => format!("{now} after {took_ms} ms"),
                other => format!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(
        told(course.after(seconds(0), &[report("web", Phase::Image, "building")])),
        ["preparing its image (building)"]
    );
    assert!(course.after(seconds(1), &[]).is_empty());
    assert_eq!(told(course.after(seconds(1), &[report("web", Phase::Starting, "")])), ["starting"]);
    assert_eq!(told(course.after(seconds(1), &[report("web", Phase::Running, "")])), ["running after 3000 ms"]);
}
