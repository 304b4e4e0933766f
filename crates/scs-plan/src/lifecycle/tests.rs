//! One slot, step by step: what is asked for after each fact.

mod live;

use super::*;
use crate::fixture::{live_update, provide, require, role};
use disco_proto::{Endpoint, Name, Provision, Reason};
use scs_manifest::compiled::Role;
use serde_json::{Value, json};

/// A slot whose effects are answered only as the test says.
struct Scene {
    now: Instant,
    life: Lifecycle,
    out: Vec<Effect>,
    generation: u64,
}

impl Scene {
    fn of(role: Role) -> Self {
        let slot = Slot { environment: "dev".into(), service: "blog".into(), role: "web".into(), index: 0 };
        let now = Instant::now();
        let mut scene = Self { now, life: Lifecycle::new(slot, 7), out: Vec::new(), generation: 1 };
        scene.want(role);
        scene.tell(Input::Observed { at: now, containers: Vec::new() });
        scene
    }

    fn want(&mut self, role: Role) {
        let desired =
            Desired { role, generation: self.generation, stopped: false, moving: false, secrets: BTreeMap::new() };
        self.tell(Input::Assigned(Arc::new(desired)));
    }

    fn tell(&mut self, input: Input) {
        self.life.handle(self.now, input, &mut self.out);
    }

    fn after(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.tell(Input::Tick);
    }

    /// Takes what was asked for since the last time.
    fn taken(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.out)
    }

    fn phase(&self) -> Phase {
        self.life.report(self.now).phase
    }

    fn endpoints(&mut self, seq: u64, ports: &[u16], left: bool) {
        let list = ports.iter().map(|port| endpoint(*port)).collect();
        let set = Endpoints { list, seq, complete: true, stale: None, left, gone: (!left).then_some(Reason::Died) };
        self.tell(Input::EndpointsChanged { requirement: "mysql".into(), set });
    }

    /// Answers image, provisioning and launch as they are asked for; gives the run id.
    fn launch(&mut self) -> String {
        for _ in 0..10 {
            for effect in self.taken() {
                match effect {
                    Effect::EnsureImage(desired) => {
                        let digest = desired.role.image_digest.clone();
                        self.tell(Input::ImageReady { digest, image: "sha256:1".into() });
                    }
                    Effect::Provision { instance, .. } => {
                        self.tell(Input::Provisioned { instance, volumes: BTreeMap::new() });
                    }
                    Effect::Launch { instance, .. } => {
                        self.tell(Input::Launched { instance: instance.clone(), container: container(&instance) });
                        return instance;
                    }
                    _ => {}
                }
            }
        }
        panic!("it was not launched: {:?}", self.life.report(self.now));
    }

    /// The same, and lets it run until it counts as ready.
    fn settle(&mut self) -> String {
        let instance = self.launch();
        self.after(2000);
        self.taken();
        instance
    }

    fn died(&mut self, instance: &str, code: i64) {
        let exit = Exit { code: Some(code), ..Exit::default() };
        self.tell(Input::Ended { instance: instance.to_owned(), exit });
    }

    fn live_updated(&mut self, code: i64) -> Vec<String> {
        let updates = self.taken().into_iter().filter_map(|effect| match effect {
            Effect::LiveUpdate { instance, run, view, .. } => Some((instance, run, view)),
            _ => None,
        });
        let updates: Vec<_> = updates.collect();
        assert_eq!(updates.len(), 1, "one live update: {updates:?}");
        let (instance, run, view) = updates[0].clone();
        self.tell(Input::LiveUpdated { instance, run, outcome: Outcome { code: Some(code), ..Outcome::default() } });
        view.requirements["mysql"].endpoints.iter().map(Endpoint::address).collect()
    }
}

fn endpoint(port: u16) -> Endpoint {
    let name = Name::new("dev", "blog", "db", "mysql").unwrap();
    Endpoint::of(&Provision::new(name, &format!("m{port}"), "192.0.2.1", port))
}

fn container(instance: &str) -> Container {
    let address = Address { announced: "198.51.100.1:8080".into(), local: None, announced_v6: None };
    Container {
        id: format!("id-{instance}"),
        name: instance.to_owned(),
        image: "sha256:1".into(),
        started: None,
        provides: [("http".to_owned(), address)].into(),
    }
}

fn kinds(effects: &[Effect]) -> Vec<String> {
    let kind = |effect: &Effect| format!("{effect:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
    effects.iter().map(kind).filter(|kind: &String| kind != "Remember").collect()
}

fn plain(with: &Value) -> Role {
    role("web", with)
}

fn healthy() -> Value {
    let mut http = provide(80);
    http["health"] = json!({"probe": "tcp", "interval": "2s", "timeout": "1s", "start": "10s", "unhealthy": 3});
    json!({"provide": {"http": http}})
}

fn user() -> Role {
    plain(&json!({"require": {"mysql": require("db", "mysql")}}))
}

#[test]
fn what_failed_while_the_engine_was_away_is_tried_again_as_soon_as_it_is_back() {
    let mut scene = Scene::of(role("web", &json!({})));
    for _ in 0..5 {
        let digest = "image".to_owned();
        let asked = scene.taken().into_iter().find_map(|effect| match effect {
            Effect::EnsureImage(desired) => Some(desired.role.image_digest.clone()),
            _ => None,
        });
        let digest = asked.unwrap_or(digest);
        scene.tell(Input::ImageFailed { digest, failure: Failure::default() });
        scene.after(1000);
    }
    assert_eq!(scene.taken(), [], "it waits longer and longer");
    scene.tell(Input::EngineBack);
    assert!(matches!(scene.taken()[..], [Effect::EnsureImage(_)]));
}

/// Checks that each take so long and fail, until a time after the start; gives when each began and the one after.
fn failing_checks(scene: &mut Scene, instance: &str, took: u64, until: u64) -> Vec<u64> {
    let start = scene.now;
    let mut begun = Vec::new();
    while scene.now < start + Duration::from_millis(until) {
        assert_eq!(kinds(&scene.taken()), ["Probe"]);
        begun.push(u64::try_from(scene.now.duration_since(start).as_millis()).unwrap());
        scene.now += Duration::from_millis(took);
        let (instance, endpoint) = (instance.to_owned(), "http".into());
        scene.tell(Input::Probed { instance, endpoint, result: Err("refused".into()) });
        scene.now = scene.life.next_deadline(scene.now).unwrap();
        scene.tell(Input::Tick);
    }
    begun
}

#[test]
fn a_start_is_checked_so_often_that_at_most_a_tenth_of_it_is_lost_and_only_then_published() {
    let mut scene = Scene::of(plain(&healthy()));
    let instance = scene.launch();
    let begun = failing_checks(&mut scene, &instance, 0, 9000);
    assert_eq!(begun[..4], [0, 50, 100, 150]);
    for pair in begun.windows(2).filter(|pair| pair[0] >= 500) {
        assert!((pair[1] - pair[0]).abs_diff(pair[0] / 10) <= 1, "{begun:?}");
    }
    assert!(begun.len() < 50, "{begun:?}");
    assert_eq!(scene.phase(), Phase::Starting);
    scene.taken();
    scene.tell(Input::Probed { instance, endpoint: "http".into(), result: Ok(()) });
    assert_eq!(kinds(&scene.taken()), ["Provide"]);
    assert_eq!(scene.phase(), Phase::Running);
}

#[test]
fn a_check_that_takes_long_pauses_as_long_while_it_starts() {
    let mut scene = Scene::of(plain(&healthy()));
    let instance = scene.launch();
    assert_eq!(failing_checks(&mut scene, &instance, 300, 2000), [0, 600, 1200, 1800]);
}

#[test]
fn failures_in_a_row_mark_it_failing_and_stop_nothing() {
    let mut scene = Scene::of(plain(&healthy()));
    let instance = scene.launch();
    let probed = |result| Input::Probed { instance: instance.clone(), endpoint: "http".into(), result };
    scene.tell(probed(Ok(())));
    scene.taken();
    for round in 1..=3 {
        scene.after(2000);
        scene.tell(probed(Err("refused".into())));
        let effects = scene.taken();
        let marked = effects.iter().any(|it| matches!(it, Effect::Provide { passing: false, .. }));
        assert_eq!(marked, round == 3, "{effects:?}");
        assert!(!effects.iter().any(|it| matches!(it, Effect::Stop { .. })));
    }
    assert_eq!(scene.phase(), Phase::Failing);
    scene.after(2000);
    scene.taken();
    scene.tell(probed(Ok(())));
    assert!(matches!(scene.taken()[0], Effect::Provide { passing: true, .. }));
}

#[test]
fn a_health_check_that_never_passes_is_reported_and_stops_nothing() {
    let mut scene = Scene::of(plain(&healthy()));
    let instance = scene.launch();
    scene.tell(Input::Probed { instance, endpoint: "http".into(), result: Err("refused".into()) });
    scene.after(10_001);
    assert_eq!(scene.phase(), Phase::Failing);
    let message = scene.life.report(scene.now).message.unwrap();
    assert_eq!(message, "the health check of http does not pass: refused (within the 10s it has to start)");
    assert!(!kinds(&scene.taken()).contains(&"Stop".to_owned()));
}

#[test]
fn a_health_check_may_fail_for_ever() {
    let mut scene = Scene::of(plain(&healthy()));
    let instance = scene.launch();
    let mut pause = Duration::ZERO;
    for _ in 0..1000 {
        let (instance, endpoint) = (instance.clone(), "http".into());
        scene.tell(Input::Probed { instance, endpoint, result: Err("refused".into()) });
        let next = scene.life.next_deadline(scene.now).unwrap();
        pause = next - scene.now;
        scene.now = next;
        scene.tell(Input::Tick);
    }
    assert_eq!(pause, Duration::from_secs(2), "the interval of the check");
    assert_eq!(scene.phase(), Phase::Failing);
}

#[test]
fn without_a_health_check_it_is_ready_once_it_has_run_for_a_while() {
    let mut scene = Scene::of(plain(&json!({"provide": {"http": provide(80)}})));
    let instance = scene.launch();
    assert_eq!(kinds(&scene.taken()), ["Provide"], "who needs it does not wait");
    assert_eq!((scene.phase(), scene.life.report(scene.now).applied), (Phase::Starting, None));
    assert_eq!(scene.life.next_deadline(scene.now), Some(scene.now + Duration::from_secs(2)));
    scene.after(2000);
    assert_eq!(scene.phase(), Phase::Running);
    assert!(scene.life.report(scene.now).applied.is_some());
    scene.after(1000);
    scene.died(&instance, 1);
    scene.after(300);
    scene.launch();
    scene.after(9_999);
    assert_eq!(scene.phase(), Phase::Starting, "after one that ended soon it takes longer to be believed");
    scene.after(1);
    assert_eq!(scene.phase(), Phase::Running);
    let instance = scene.life.report(scene.now).container.unwrap().instance;
    scene.died(&instance, 1);
    scene.after(300);
    scene.launch();
    scene.after(2000);
    assert_eq!(scene.phase(), Phase::Running, "one that had run for long is forgiven");
}

#[test]
fn a_new_container_without_a_health_check_takes_over_only_when_it_does_not_end_at_once() {
    let mut scene = Scene::of(plain(&json!({})));
    let old = scene.launch();
    scene.after(2000);
    scene.generation = 2;
    scene.want(plain(&json!({})));
    let new = scene.launch();
    scene.taken();
    scene.after(1000);
    scene.died(&new, 3);
    let explain = Effect::Explain { instance: new.clone(), container: format!("id-{new}") };
    assert_eq!(scene.taken(), [explain]);
    assert_eq!(scene.phase(), Phase::Starting, "why it ended is still to come");
    let exit = Exit { output: vec!["no configuration".into()], ..Exit::default() };
    scene.tell(Input::Explained { instance: new, exit });
    let report = scene.life.report(scene.now);
    let message = "the new container ended with exit code 3; the old one keeps running";
    assert_eq!((report.phase, report.message.as_deref()), (Phase::Failed, Some(message)));
    assert_eq!((report.details, report.container.unwrap().instance), (vec!["no configuration".to_owned()], old));
    scene.after(300);
    scene.launch();
    scene.after(10_000);
    assert_eq!(scene.phase(), Phase::Running);
    assert!(kinds(&scene.taken()).contains(&"Stop".to_owned()), "the old one goes");
}

#[test]
fn an_end_is_said_at_once_and_the_next_start_waits_longer_each_time() {
    let mut scene = Scene::of(plain(&json!({"provide": {"http": provide(80)}})));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let instance = scene.launch();
        scene.taken();
        scene.died(&instance, 1);
        let effects = scene.taken();
        assert!(
            matches!(effects[0], Effect::Withdraw { reason: Reason::Died, wait: Duration::ZERO, .. }),
            "{effects:?}"
        );
        assert_eq!(scene.phase(), Phase::Backoff);
        let next = scene.life.next_deadline(scene.now).unwrap();
        pauses.push(next.duration_since(scene.now).as_millis());
        scene.now = next;
        scene.tell(Input::Tick);
    }
    for (pause, base) in pauses.iter().zip([200, 400, 800, 1600]) {
        assert!((base * 3 / 4..=base * 5 / 4).contains(pause), "{pauses:?}");
    }
    let instance = scene.launch();
    scene.after(60_000);
    scene.died(&instance, 1);
    let next = scene.life.next_deadline(scene.now).unwrap();
    assert!(next.duration_since(scene.now) < Duration::from_millis(300), "a stable run is forgiven");
}

#[test]
fn restart_policies_decide_which_end_is_the_end() {
    for (policy, code, ends) in [
        ("always", 0, false),
        ("always", 1, false),
        ("on-failure", 0, true),
        ("on-failure", 1, false),
        ("never", 1, true),
    ] {
        let mut scene = Scene::of(plain(&json!({"restart": policy})));
        let instance = scene.launch();
        scene.died(&instance, code);
        scene.after(120_000);
        assert_eq!(scene.phase() == Phase::Ended, ends, "{policy} {code}");
        // A live change alone does not run a finished job again.
        scene.taken();
        scene.want(plain(&json!({"restart": policy, "process": {"stop_grace_period": "20s"}})));
        assert_eq!(kinds(&scene.taken()).is_empty(), ends, "{policy} {code}");
    }
}

#[test]
fn changes_are_coalesced_and_the_state_is_read_again() {
    let mut scene = Scene::of(user());
    scene.endpoints(1, &[1], true);
    scene.settle();
    scene.endpoints(2, &[2], true);
    scene.after(200);
    scene.endpoints(3, &[3], true);
    assert!(!kinds(&scene.taken()).contains(&"LiveUpdate".to_owned()), "not before the debounce");
    scene.after(50);
    scene.endpoints(4, &[4], true);
    let told = scene.live_updated(0);
    assert_eq!(told, ["192.0.2.1:3"], "250 ms after the first change, with what was true then");
    scene.after(250);
    assert_eq!(scene.live_updated(0), ["192.0.2.1:4"]);
    assert!(scene.taken().contains(&Effect::Applied { requirement: "mysql".into(), seq: 4 }));
    scene.after(60_000);
    assert_eq!(kinds(&scene.taken()), Vec::<String>::new());
}

#[test]
fn a_failed_live_update_is_tried_again_and_applied_only_then() {
    let mut scene = Scene::of(user());
    scene.endpoints(1, &[1], true);
    scene.settle();
    scene.endpoints(2, &[2], true);
    scene.after(250);
    scene.live_updated(1);
    assert!(!kinds(&scene.taken()).contains(&"Applied".to_owned()));
    assert!(scene.life.report(scene.now).message.unwrap().contains("failed 1 times"));
    scene.after(1300);
    scene.live_updated(0);
    assert!(scene.taken().contains(&Effect::Applied { requirement: "mysql".into(), seq: 2 }));
}

#[test]
fn on_failure_restart_creates_it_anew_and_ignore_leaves_it() {
    for (policy, restarts) in [("restart", true), ("ignore", false)] {
        let mut require = require("db", "mysql");
        require["liveupdate"] = live_update();
        require["liveupdate"]["on_failure"] = json!(policy);
        let mut scene = Scene::of(plain(&json!({"require": {"mysql": require}})));
        scene.endpoints(1, &[1], true);
        let first = scene.settle();
        scene.endpoints(2, &[2], true);
        scene.after(250);
        scene.live_updated(1);
        if restarts {
            let second = scene.launch();
            assert_ne!(first, second);
            scene.after(2000);
            assert!(scene.taken().iter().any(|it| matches!(it, Effect::Stop { instance, .. } if *instance == first)));
        } else {
            assert!(scene.taken().contains(&Effect::Applied { requirement: "mysql".into(), seq: 2 }));
        }
    }
}

#[test]
fn an_empty_set_is_held_unless_everything_left() {
    let mut scene = Scene::of(user());
    scene.endpoints(1, &[1], true);
    scene.settle();
    scene.endpoints(2, &[], false);
    scene.after(1000);
    let effects = scene.taken();
    assert_eq!(kinds(&effects), ["WriteFiles", "Applied"], "marked stale, and the container is not told");
    let Effect::WriteFiles { view, .. } = &effects[0] else { panic!("{effects:?}") };
    assert!(view.requirements["mysql"].stale && view.requirements["mysql"].endpoints.len() == 1);
    scene.endpoints(3, &[], true);
    scene.after(250);
    assert_eq!(scene.live_updated(0), Vec::<String>::new());
}

#[test]
fn health_and_staleness_change_files_and_run_nothing() {
    let mut scene = Scene::of(user());
    scene.endpoints(1, &[1], true);
    scene.settle();
    let set = Endpoints {
        list: vec![endpoint(1)],
        seq: 1,
        complete: true,
        stale: Some(std::time::SystemTime::UNIX_EPOCH),
        left: true,
        gone: None,
    };
    scene.tell(Input::EndpointsChanged { requirement: "mysql".into(), set });
    scene.after(10_000);
    assert_eq!(kinds(&scene.taken()), ["WriteFiles"]);
}

#[test]
fn a_change_of_what_is_frozen_in_the_environment_restarts() {
    let with = json!({
        "require": {"mysql": require("db", "mysql")},
        "process": {"environment": {"DB": "{{ require.mysql.address }}"}},
    });
    let mut scene = Scene::of(plain(&with));
    scene.endpoints(1, &[1], true);
    let first = scene.launch();
    scene.taken();
    scene.endpoints(2, &[2], true);
    assert_ne!(scene.launch(), first);
}

#[test]
fn a_changed_connection_is_taken_over_without_a_restart() {
    let mut scene = Scene::of(plain(&json!({"provide": {"http": provide(80)}})));
    let instance = scene.launch();
    scene.after(2000);
    scene.taken();
    let mut http = provide(80);
    http["attributes"] = json!({"team": "web"});
    scene.want(plain(&json!({"provide": {"http": http}})));
    assert_eq!(kinds(&scene.taken()), ["Provide"]);
    let report = scene.life.report(scene.now);
    assert_eq!(report.container.unwrap().instance, instance);
    assert!(report.applied.is_some());
}

#[test]
fn a_restart_that_is_asked_for_is_make_before_break() {
    let mut scene = Scene::of(plain(&healthy()));
    let old = scene.launch();
    scene.tell(Input::Probed { instance: old.clone(), endpoint: "http".into(), result: Ok(()) });
    scene.taken();
    scene.generation = 2;
    scene.want(plain(&healthy()));
    let new = scene.launch();
    assert!(!kinds(&scene.taken()).contains(&"Withdraw".to_owned()), "the old one stays until the new one is healthy");
    scene.tell(Input::Probed { instance: new.clone(), endpoint: "http".into(), result: Ok(()) });
    let effects = scene.taken();
    let provide =
        effects.iter().position(|it| matches!(it, Effect::Provide { instance, .. } if *instance == new)).unwrap();
    let withdraw = effects
        .iter()
        .position(|it| matches!(it, Effect::Withdraw { reason: Reason::Draining, wait: WITHDRAW, .. }))
        .unwrap();
    assert!(provide < withdraw && !kinds(&effects).contains(&"Stop".to_owned()), "{effects:?}");
    scene.tell(Input::Withdrawn { instance: old.clone(), unapplied: Vec::new() });
    assert!(matches!(&scene.taken()[..], [Effect::Stop { instance, .. }] if *instance == old));
}

#[test]
fn a_new_container_that_does_not_get_healthy_is_given_up() {
    let mut scene = Scene::of(plain(&healthy()));
    let old = scene.launch();
    scene.tell(Input::Probed { instance: old.clone(), endpoint: "http".into(), result: Ok(()) });
    scene.generation = 2;
    scene.want(plain(&healthy()));
    scene.taken();
    scene.tell(Input::Tick);
    let new = {
        let digest = plain(&healthy()).image_digest;
        scene.tell(Input::ImageReady { digest, image: "sha256:1".into() });
        scene.launch()
    };
    scene.taken();
    scene.after(10_001);
    let effects = scene.taken();
    assert!(effects.iter().any(|it| matches!(it, Effect::Stop { instance, .. } if *instance == new)), "{effects:?}");
    let report = scene.life.report(scene.now);
    assert_eq!((report.phase, report.container.unwrap().instance), (Phase::Failed, old));
    assert!(report.message.unwrap().contains("the old one keeps running"));
}

#[test]
fn a_tombstone_withdraws_waits_stops_releases_and_is_done() {
    let mut scene = Scene::of(plain(&json!({"provide": {"http": provide(80)}})));
    let instance = scene.settle();
    scene.tell(Input::Tombstoned);
    assert!(matches!(&scene.taken()[..], [Effect::Withdraw { reason: Reason::Left, wait: WITHDRAW, .. }]));
    scene.after(34_000);
    assert_eq!(kinds(&scene.taken()), Vec::<String>::new());
    scene.after(1_001);
    assert_eq!(kinds(&scene.taken()), ["Stop"], "whoever has not answered by then is not waited for");
    scene.died(&instance, 0);
    assert_eq!(kinds(&scene.taken()), ["Explain", "Release"]);
    assert!(!scene.life.is_gone());
    scene.tell(Input::Released(Ok(())));
    assert_eq!(kinds(&scene.taken()), ["Remove"]);
    assert!(scene.life.is_gone());
}

#[test]
fn what_goes_to_another_host_promises_a_successor_and_remembers_whom_it_served() {
    let mut scene = Scene::of(plain(&json!({"provide": {"http": provide(80)}})));
    let instance = scene.launch();
    let memo = scene.taken().into_iter().rev().find_map(|effect| match effect {
        Effect::Remember { memo, .. } => Some(memo),
        _ => None,
    });
    assert!(memo.as_ref().is_some_and(|memo| memo.served), "{memo:?}");
    let role = scene.life.desired().unwrap().role.clone();
    let leaving = Desired { role, generation: 1, stopped: true, moving: true, secrets: BTreeMap::new() };
    scene.tell(Input::Assigned(Arc::new(leaving)));
    let effects = scene.taken();
    // At once: whoever waits for users to go without it would wait in vain.
    let at_once = |it: &Effect| {
        matches!(it, Effect::Withdraw { reason: Reason::Draining, wait: Duration::ZERO, successor_by: Some(_), .. })
    };
    assert!(effects.iter().any(at_once), "{effects:?}");
    scene.tell(Input::Withdrawn { instance: instance.clone(), unapplied: Vec::new() });
    scene.died(&instance, 0);
    let report = scene.life.report(scene.now);
    assert_eq!((report.phase, report.served), (Phase::Stopped, true));
    // Another agent finds it ended, with what was remembered beside it.
    let mut other = Scene::of(plain(&json!({})));
    other.life = Lifecycle::new(scene.life.slot().clone(), 1);
    let found = Found {
        instance: instance.clone(),
        desired: scene.life.desired().unwrap().clone(),
        container: container(&instance),
        state: FoundState::Exited(Exit::default()),
        memo,
    };
    other.tell(Input::Observed { at: other.now, containers: vec![found] });
    assert!(other.life.report(other.now).served);
}

#[test]
fn an_adopted_container_is_told_only_what_it_missed() {
    let mut scene = Scene::of(user());
    scene.endpoints(1, &[1], true);
    let instance = scene.launch();
    scene.after(2000);
    let memo = scene.taken().into_iter().rev().find_map(|it| match it {
        Effect::Remember { memo, .. } => Some(memo),
        _ => None,
    });
    for (port, told) in [(1, false), (2, true)] {
        let mut next = Scene::of(user());
        next.life.observed = false;
        next.life.attempt = None;
        next.taken();
        let desired = next.life.desired.clone().unwrap();
        let found = Found {
            instance: instance.clone(),
            desired,
            container: container(&instance),
            state: FoundState::Running,
            memo: memo.clone(),
        };
        next.tell(Input::Observed { at: next.now, containers: vec![found] });
        next.endpoints(1, &[port], true);
        next.after(250);
        let effects = next.taken();
        assert_eq!(kinds(&effects).contains(&"LiveUpdate".to_owned()), told, "{effects:?}");
        assert!(!kinds(&effects).iter().any(|it| it == "Launch" || it == "Stop"), "{effects:?}");
    }
}
