//! Over fakes, with a clock that jumps: what takes minutes in the world takes none here.

use crate::support::{
    Agent, FixedImages, Registry, assignment, assignments, instance, live_update, of, provide, require, role, slot,
};
use async_trait::async_trait;
use disco_client::Reason;
use scs_agent::ports::{ImageError, Images};
use scs_agent::{Options, Ports, label};
use scs_api::agent::{HostReport, Phase};
use scs_manifest::compiled::Role;
use scs_ports::engine::{Error, Progress, State};
use scs_ports::fake::{Behaviour, Engine, Networks, Op, Outcome, Volumes};
use scs_ports::network::{self, Attachment, NetworkProvisioner, NetworkRequest};
use scs_ports::volume::VolumeProvisioner;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

struct Host {
    engine: Engine,
    volumes: Volumes,
    registry: Registry,
    images: Arc<FixedImages>,
    state: TempDir,
}

impl Host {
    fn new() -> Self {
        let engine = Engine::new();
        let images = Arc::new(FixedImages::default());
        for digest in ["image-1", "image-2"] {
            let id = engine.add_image(digest, &BTreeMap::new());
            images.0.lock().unwrap().insert(digest.into(), id);
        }
        let state = tempfile::tempdir().unwrap();
        Self { engine, volumes: Volumes::new(), registry: Registry::default(), images, state }
    }

    fn options(&self) -> Options {
        Options {
            host: "h1".into(),
            owner: "me".into(),
            cluster: None,
            state: self.state.path().join("agent"),
            attributes: [("zone".to_owned(), "a".to_owned())].into(),
            helper: None,
            watchdog: None,
        }
    }

    fn ports(&self) -> Ports {
        let volumes: Arc<dyn VolumeProvisioner> = Arc::new(self.volumes.clone());
        let networks: Arc<dyn NetworkProvisioner> = Arc::new(Networks::new());
        Ports {
            engine: Arc::new(self.engine.clone()),
            volumes: [("local".to_owned(), volumes)].into(),
            networks: [("bridge".to_owned(), networks)].into(),
            images: self.images.clone(),
            discovery: Arc::new(self.registry.clone()),
        }
    }

    fn agent(&self) -> Agent {
        Agent::start(self.options(), self.ports())
    }

    fn running(&self) -> Vec<String> {
        let running = self.engine.all().into_iter().filter(|it| it.state == State::Running);
        running.map(|it| it.labels[label::INSTANCE].clone()).collect()
    }
}

fn db() -> Role {
    role("db", &json!({"provide": {"mysql": provide(3306, &json!(null))}}))
}

fn app() -> Role {
    role("app", &json!({"require": {"mysql": require("db", "mysql", &["/update"])}}))
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_what_it_requires_and_says_so() {
    let host = Host::new();
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(app())])).await;
    let waiting = agent.until_phase("app", Phase::Waiting).await;
    assert_eq!(waiting.message.as_deref(), Some("waiting for mysql (dev/blog/db/mysql)"));
    assert!(host.running().is_empty());
    host.registry.elsewhere("db", "mysql", "m1", "192.0.2.1", 3306);
    agent.until_applied("app").await;
    let container = host.engine.all().remove(0);
    let created = host.engine.created(&container.id).unwrap();
    assert_eq!(created.environment["SCS_REQUIRE_MYSQL"], "192.0.2.1:3306");
    assert_eq!(created.environment["SCS_REQUIRE_MYSQL_HOST"], "192.0.2.1");
    assert_eq!(created.environment["SCS_REQUIRE_MYSQL_PORT"], "3306");
    assert_eq!(created.environment["SCS_RUN_ID"], container.labels[label::INSTANCE]);
    assert_eq!(created.hostname.as_deref(), Some("app"));
    for target in ["/run/scs", "/run/secrets"] {
        assert!(created.mounts.iter().any(|it| it.target == target && it.read_only), "{:?}", created.mounts);
    }
    assert!(created.name.starts_with("dev_blog_app_1_"), "{}", created.name);
    agent.end().await;
    assert_eq!(host.running().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_change_costs_the_engine_one_exec_and_nothing_else() {
    let host = Host::new();
    host.registry.elsewhere("db", "mysql", "m1", "192.0.2.1", 3306);
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(app())])).await;
    agent.until_applied("app").await;
    host.engine.forget_calls();
    let changed = Instant::now();
    host.registry.gone("db", "mysql", "m1", Reason::Died);
    host.registry.elsewhere("db", "mysql", "m2", "192.0.2.2", 3307);
    let report = agent
        .until("told", |it| {
            of(it, "app").is_some_and(|it| it.live_updates.get("mysql").is_some_and(|it| it.exit_code == Some(0)))
        })
        .await;
    assert!(
        changed.elapsed() < Duration::from_millis(60),
        "the debounce of 50 ms and no more: {:?}",
        changed.elapsed()
    );
    assert_eq!(host.engine.calls().into_iter().map(|(op, _)| op).collect::<Vec<_>>(), [Op::Exec]);
    let (_, exec) = host.engine.execs().remove(0);
    assert_eq!(exec.command, ["/update"]);
    assert_eq!(exec.environment["SCS_REQUIRE_MYSQL"], "192.0.2.2:3307");
    let run = host.state.path().join("agent/run").join(instance(of(&report, "app").unwrap()));
    let file = std::fs::read_to_string(run.join("scs/require/mysql.json")).unwrap();
    assert!(file.contains("192.0.2.2"), "{file}");
    let env = std::fs::read_to_string(run.join("scs/env")).unwrap();
    assert!(env.contains("SCS_REQUIRE_MYSQL='192.0.2.2:3307'\n"), "{env}");
    let revision = env.lines().find_map(|line| line.strip_prefix("# revision ")).unwrap();
    assert!(file.contains(&format!("\"revision\": {revision},")), "all files carry one revision: {file}\n{env}");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_keeps_dying_is_started_ever_more_slowly() {
    let host = Host::new();
    host.engine.on_start(|_| Behaviour::ends(Duration::from_millis(10), 3));
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(db())])).await;
    let begun = Instant::now();
    let report = agent.until("restarted often", |it| of(it, "db").is_some_and(|it| it.restarts == 8)).await;
    // 0.2 s doubled seven times is 25.4 s, a quarter more or less.
    let took = begun.elapsed().as_secs();
    assert!((15..40).contains(&took), "{took} s");
    assert!(of(&report, "db").unwrap().message.as_ref().unwrap().contains("exit code 3"), "{report:?}");
    assert!(host.engine.all().len() <= 2, "only the last one is kept");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_away_and_comes_back_costs_no_container() {
    let host = Host::new();
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(db())])).await;
    let before = agent.until_applied("db").await;
    host.engine.set_reachable(false);
    agent.until("a problem", |it| !it.problems.is_empty()).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    host.engine.set_reachable(true);
    let report = agent.until("no problem", |it| it.problems.is_empty()).await;
    assert_eq!(instance(&before), instance(of(&report, "db").unwrap()));
    assert_eq!(of(&report, "db").unwrap().restarts, 0);
    assert_eq!(host.running(), [instance(&before)]);
    // One that ends while nobody looks is found.
    host.engine.set_reachable(false);
    agent.until("a problem", |it| !it.problems.is_empty()).await;
    host.engine.exit(&before.container.as_ref().unwrap().id, 1);
    host.engine.set_reachable(true);
    agent.until("restarted", |it| of(it, "db").is_some_and(|it| it.restarts == 1 && it.phase == Phase::Running)).await;
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_image_is_healthy_before_the_old_container_stops() {
    let host = Host::new();
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(db()), assignment(app())])).await;
    let (old, user) = (agent.until_applied("db").await, agent.until_applied("app").await);
    let mut new = db();
    (new.image_digest, new.spec_digest) = ("image-2".into(), "2".into());
    agent.assign(assignments(2, vec![assignment(new), assignment(app())])).await;
    let applied = |it: &scs_api::agent::SlotReport| it.applied.as_ref().is_some_and(|it| it.image_digest == "image-2");
    agent.until("replaced", |it| of(it, "db").is_some_and(applied)).await;
    agent.until("told", |it| of(it, "app").is_some_and(|it| it.live_updates.contains_key("mysql"))).await;
    let calls = host.engine.changes();
    let stop = calls.iter().position(|(op, id)| *op == Op::Stop && *id == old.container.as_ref().unwrap().id);
    let starts = calls.iter().filter(|(op, _)| *op == Op::Start).count();
    assert!(
        starts == 3 && stop.is_none_or(|stop| calls[..stop].iter().filter(|(op, _)| *op == Op::Start).count() == 3),
        "{calls:?}"
    );
    let now = agent.until_applied("app").await;
    assert_eq!(instance(&user), instance(&now));
    assert!(
        host.registry.log().contains(&"withdraw dev/blog/db/mysql draining".to_owned()),
        "{:?}",
        host.registry.log()
    );
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_exclusive_volume_is_never_in_two_containers() {
    let host = Host::new();
    let agent = host.agent();
    let data = json!({"path": "/data", "access": "single", "owner": null, "mode": null, "method": "local"});
    let with = json!({"provide": {"mysql": provide(3306, &json!(null))}, "volumes": {"data": data}});
    agent.assign(assignments(1, vec![assignment(role("db", &with))])).await;
    let old = agent.until_applied("db").await;
    assert_eq!(old.volumes["data"].method, "local");
    let mut new = assignment(role("db", &with));
    (new.role.image_digest, new.role.spec_digest) = ("image-2".into(), "2".into());
    new.volumes.insert("data".into(), scs_api::agent::VolumeGrant { known: true, epoch: 0 });
    agent.assign(assignments(2, vec![new])).await;
    agent
        .until("replaced", |it| {
            of(it, "db").is_some_and(|it| it.applied.as_ref().is_some_and(|it| it.image_digest == "image-2"))
        })
        .await;
    let calls = host.engine.changes();
    let stop = calls.iter().position(|(op, id)| *op == Op::Stop && *id == old.container.as_ref().unwrap().id).unwrap();
    assert_eq!(calls[..stop].iter().filter(|(op, _)| *op == Op::Start).count(), 1, "{calls:?}");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_is_shown_with_its_causes_and_tried_again() {
    let host = Host::new();
    let agent = host.agent();
    let mut missing = db();
    missing.image_digest = "image-3".into();
    agent.assign(assignments(1, vec![assignment(missing)])).await;
    let failed = agent.until_phase("db", Phase::Failed).await;
    assert_eq!(failed.message.as_deref(), Some("no image for db: it does not build"));
    assert_eq!(failed.details, ["it does not build", "step 3 failed"]);
    let id = host.engine.add_image("image-3", &BTreeMap::new());
    host.images.0.lock().unwrap().insert("image-3".into(), id);
    host.engine.fail_next(Op::Start, Error::PortTaken { address: "127.0.0.1".into(), port: 80 });
    let taken = agent
        .until("a port is taken", |it| {
            of(it, "db").is_some_and(|it| it.message.as_ref().is_some_and(|it| it.contains("taken")))
        })
        .await;
    assert_eq!(of(&taken, "db").unwrap().phase, Phase::Failed);
    agent.until_applied("db").await;
    assert_eq!(host.engine.all().len(), 1, "the one that did not start is removed");
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn assignments_of_another_cluster_or_of_the_past_are_refused() {
    let host = Host::new();
    let agent = host.agent();
    agent.assign(assignments(5, vec![assignment(db())])).await;
    agent.until_applied("db").await;
    let mut foreign = assignments(9, vec![]);
    foreign.cluster = "c2".into();
    let error = agent.handle.assign(foreign).await.unwrap_err().to_string();
    assert_eq!(error, "this host belongs to cluster `c1`; assignments of `c2` are refused");
    agent.end().await;
    let agent = host.agent();
    let error = agent.handle.assign(assignments(4, vec![])).await.unwrap_err().to_string();
    assert_eq!(error, "revision 4 of the assignments is older than 5, which this host has seen");
    agent.until_applied("db").await;
    agent.end().await;
    assert_eq!(host.running().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_told_and_a_stopped_slot_starts_again() {
    let host = Host::new();
    let agent = host.agent();
    let with = json!({"secrets": {"PASSWORD": {"from": "db", "as": "file", "liveupdate": live_update(&["/rotate"])}}});
    let mut given = assignment(role("app", &with));
    given.secrets.insert("db".into(), scs_api::secret::SecretValue::new("old".into()));
    agent.assign(assignments(1, vec![given.clone()])).await;
    let first = agent.until_applied("app").await;
    let secret = host.state.path().join("agent/run").join(instance(&first)).join("secrets/PASSWORD");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "old");
    given.secrets.insert("db".into(), scs_api::secret::SecretValue::new("new".into()));
    host.engine.on_exec(|_, _| Outcome::exit(1));
    agent.assign(assignments(2, vec![given.clone()])).await;
    agent
        .until("failed twice", |it| {
            of(it, "app").is_some_and(|it| it.live_updates.get("PASSWORD").is_some_and(|it| it.failures == 2))
        })
        .await;
    host.engine.on_exec(|_, _| Outcome::exit(0));
    agent.until("told", |it| of(it, "app").is_some_and(|it| it.live_updates["PASSWORD"].exit_code == Some(0))).await;
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "new");
    assert!(!format!("{:?}", host.engine.created(&first.container.as_ref().unwrap().id)).contains("\"old\""));
    let kept = std::fs::read_to_string(host.state.path().join("agent/assignments.json")).unwrap();
    assert!(!kept.contains("\"new\""), "{kept}");

    given.stopped = true;
    agent.assign(assignments(3, vec![given.clone()])).await;
    agent.until_phase("app", Phase::Stopped).await;
    assert!(host.running().is_empty());
    given.stopped = false;
    agent.assign(assignments(4, vec![given])).await;
    let second = agent.until_applied("app").await;
    assert_ne!(instance(&first), instance(&second));
    let mut empty = assignments(5, vec![]);
    empty.tombstones.push(slot("app"));
    agent.assign(empty).await;
    agent.until("gone", |it| it.gone == [slot("app")]).await;
    agent.end().await;
}

/// Panics the first time that it is asked.
#[derive(Debug)]
struct Bug(&'static str, AtomicBool);

impl Bug {
    fn of(what: &'static str) -> Self {
        Self(what, AtomicBool::new(true))
    }

    fn strike(&self) {
        assert!(!self.1.swap(false, Ordering::SeqCst), "a bug of {}", self.0);
    }
}

#[derive(Debug)]
struct BrokenImages(Bug, Arc<FixedImages>);

#[async_trait]
impl Images for BrokenImages {
    async fn ensure(&self, role: &Role, origin: &Path, progress: &dyn Progress) -> Result<String, ImageError> {
        self.0.strike();
        self.1.ensure(role, origin, progress).await
    }
}

#[derive(Debug)]
struct BrokenNetworks(Bug, Networks);

#[async_trait]
impl NetworkProvisioner for BrokenNetworks {
    async fn ensure(&self, request: &NetworkRequest) -> Result<Attachment, network::Error> {
        self.0.strike();
        self.1.ensure(request).await
    }

    async fn release(&self, id: &str) -> Result<(), network::Error> {
        self.1.release(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_panics_has_failed_and_is_made_again() {
    let host = Host::new();
    host.registry.elsewhere("db", "mysql", "m1", "192.0.2.1", 3306);
    let mut ports = host.ports();
    ports.images = Arc::new(BrokenImages(Bug::of("images"), host.images.clone()));
    ports.networks.insert("bridge".into(), Arc::new(BrokenNetworks(Bug::of("networks"), Networks::new())));
    let starts = Bug::of("starts");
    host.engine.on_start(move |_| {
        starts.strike();
        Behaviour::default()
    });
    let agent = Agent::start(host.options(), ports);
    let said = |it: &HostReport| of(it, "app").and_then(|it| it.message.clone());
    agent.assign(assignments(1, vec![assignment(app())])).await;
    for step in ["images", "networks", "starts"] {
        let message = format!("a defect of scs broke this step off: a bug of {step}");
        agent.until(&message, |it| said(it).as_ref() == Some(&message)).await;
    }
    let ready = agent.until_applied("app").await;
    assert_eq!(host.running(), [instance(&ready)]);

    let updates = Bug::of("updates");
    host.engine.on_exec(move |_, _| {
        updates.strike();
        Outcome::exit(0)
    });
    host.registry.elsewhere("db", "mysql", "m2", "192.0.2.2", 3306);
    let told = |it: &HostReport| of(it, "app").and_then(|it| it.live_updates.get("mysql").cloned());
    let broken = agent.until("the live update broken", |it| told(it).is_some_and(|it| it.failures == 1)).await;
    assert!(told(&broken).unwrap().output[0].contains("a bug"), "{broken:?}");
    agent.until("told", |it| told(it).is_some_and(|it| it.exit_code == Some(0))).await;
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_requirement_holds_on_to_is_reported_with_its_reason() {
    let host = Host::new();
    host.registry.elsewhere("db", "mysql", "m1", "192.0.2.1", 3306);
    let agent = host.agent();
    agent.assign(assignments(1, vec![assignment(app())])).await;
    let ready = agent.until_applied("app").await;
    let stands = &ready.requirements["mysql"];
    assert!(stands.applied && stands.held_since.is_none(), "{stands:?}");
    host.registry.gone("db", "mysql", "m1", Reason::Died);
    let of_mysql = |it: &HostReport| of(it, "app").and_then(|it| it.requirements.get("mysql").cloned());
    let report = agent.until("held", |it| of_mysql(it).is_some_and(|it| it.held_since.is_some())).await;
    let stands = of_mysql(&report).unwrap();
    assert_eq!((stands.held_because.as_deref(), stands.sees), (Some("died"), vec!["192.0.2.1:3306".to_owned()]));
    host.engine.on_exec(|_, _| Outcome::exit(3).stderr("no such host"));
    host.registry.elsewhere("db", "mysql", "m2", "192.0.2.2", 3306);
    let failed = |it: &HostReport| of_mysql(it).is_some_and(|it| it.standing.contains("has failed once"));
    let stands = of_mysql(&agent.until("a failed live update", failed).await).unwrap();
    assert!(!stands.applied && stands.held_since.is_none(), "{stands:?}");
    agent.end().await;
}
