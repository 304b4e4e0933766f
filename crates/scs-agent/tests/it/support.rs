//! What both kinds of tests need: roles, assignments, images and discovery in memory, and waiting for a condition.

use async_trait::async_trait;
use disco_client::{Endpoint, EndpointSet, Name, Provision, Query, Reason, Withdraw};
use scs_agent::ports::{Discovery, ImageError, Images, Subscription};
use scs_agent::{Handle, Options, Ports, Service};
use scs_api::agent::{Assignment, Assignments, HostReport, Phase, SlotReport};
use scs_manifest::compiled::Role;
use scs_plan::slot::Slot;
use scs_ports::engine::{BoxError, Progress};
use scs_testkit::fixture;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what has to come. Far more than it takes, as the machine may be busy; paused clocks skip it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A role in which everything is empty, laid over with `with`. Its image is there, and it is soon stopped.
pub fn role(name: &str, with: &Value) -> Role {
    let mut quick = json!({"image_digest": "image-1", "process": {"stop_grace_period": "1s"}});
    fixture::lay_over(&mut quick, with);
    fixture::role(name, &quick)
}

pub fn provide(port: u16, health: &Value) -> Value {
    json!({
        "description": null, "port": port, "protocol": "tcp", "method": "disco",
        "publish": {"port": null, "address": null}, "attributes": {}, "health": health,
    })
}

pub fn http_health() -> Value {
    json!({"probe": {"http": "/"}, "interval": "1s", "timeout": "1s", "start": "30s", "unhealthy": 2})
}

pub fn require(role: &str, endpoint: &str, command: &[&str]) -> Value {
    json!({
        "description": null,
        "method": {"disco": {"environment": "dev", "service": "blog", "role": role, "endpoint": endpoint}},
        "min": 1, "wait": "1m", "liveupdate": live_update(command),
    })
}

pub fn live_update(command: &[&str]) -> Value {
    json!({
        "action": {"command": command}, "timeout": "10s", "debounce": "50ms", "on_failure": "retry", "on_empty": "hold",
    })
}

pub fn slot(role: &str) -> Slot {
    Slot { environment: "dev".into(), service: "blog".into(), role: role.into(), index: 0 }
}

pub fn assignment(role: Role) -> Assignment {
    let slot = slot(&role.name);
    Assignment {
        slot,
        role,
        generation: 1,
        stopped: false,
        moving: false,
        leased: false,
        origin: "/".into(),
        volumes: BTreeMap::new(),
        secrets: BTreeMap::new(),
    }
}

pub fn assignments(revision: u64, assignments: Vec<Assignment>) -> Assignments {
    Assignments { cluster: "c1".into(), revision, assignments, ..Assignments::default() }
}

/// Images by digest; those that are not there cannot be built.
#[derive(Debug, Default)]
pub struct FixedImages(pub Mutex<BTreeMap<String, String>>);

#[async_trait]
impl Images for FixedImages {
    async fn ensure(&self, role: &Role, _: &Path, progress: &dyn Progress) -> Result<String, ImageError> {
        progress.line("looking for the image");
        let found = self.0.lock().unwrap().get(&role.image_digest).cloned();
        found.ok_or_else(|| ImageError {
            role: role.name.clone(),
            output: vec!["step 3 failed".into()],
            source: "it does not build".into(),
        })
    }
}

/// A registry in memory that matches by name, and waits for those who were told.
#[derive(Debug, Default, Clone)]
pub struct Registry {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    provided: Vec<Provision>,
    subscriptions: BTreeMap<String, (Query, watch::Sender<EndpointSet>, u64)>,
    log: VecDeque<String>,
    parked: bool,
}

impl Registry {
    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.iter().cloned().collect()
    }

    pub fn parked(&self) -> bool {
        self.state.lock().unwrap().parked
    }

    /// Somebody elsewhere provides `dev/blog/ROLE/ENDPOINT`.
    pub fn elsewhere(&self, role: &str, endpoint: &str, instance: &str, host: &str, port: u16) {
        let name = Name::new("dev", "blog", role, endpoint).unwrap();
        self.put(Provision::new(name, instance, host, port));
    }

    pub fn gone(&self, role: &str, endpoint: &str, instance: &str, reason: Reason) {
        self.drop_one(&Name::new("dev", "blog", role, endpoint).unwrap(), instance, reason);
    }

    fn put(&self, provision: Provision) {
        let mut state = self.state.lock().unwrap();
        state.provided.retain(|it| (&it.name, &it.instance) != (&provision.name, &provision.instance));
        state.log.push_back(format!("provide {} {:?}", provision.name, provision.health));
        state.provided.push(provision);
        state.push(None);
    }

    fn drop_one(&self, name: &Name, instance: &str, reason: Reason) {
        let mut state = self.state.lock().unwrap();
        let Some(at) = state.provided.iter().position(|it| it.name == *name && it.instance == instance) else { return };
        let gone = state.provided.remove(at);
        state.log.push_back(format!("withdraw {name} {reason}"));
        state.push(Some(&(Endpoint::of(&gone), reason)));
    }

    fn applied(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.subscriptions.values().all(|(_, set, applied)| *applied >= set.borrow().seq)
    }
}

impl State {
    fn push(&mut self, gone: Option<&(Endpoint, Reason)>) {
        for (query, sender, _) in self.subscriptions.values() {
            let now = matching(&self.provided, query);
            let gone = gone.cloned();
            sender.send_if_modified(|set| {
                let changed = set.endpoints != now;
                if changed {
                    set.gone = gone.into_iter().collect();
                    set.seq += 1;
                    set.endpoints = now;
                }
                changed
            });
        }
    }
}

fn matching(provided: &[Provision], query: &Query) -> Vec<Endpoint> {
    let fits = |it: &&Provision| {
        (&it.name.environment, &it.name.service, &it.name.endpoint)
            == (&query.environment, &query.service, &query.endpoint)
            && query.admits(&it.name.role, &it.instance, &it.attributes)
    };
    provided.iter().filter(fits).map(Endpoint::of).collect()
}

#[async_trait]
impl Discovery for Registry {
    async fn provide(&self, provision: Provision) -> Result<(), BoxError> {
        self.put(provision);
        Ok(())
    }

    async fn withdraw(&self, name: &Name, instance: &str, how: Withdraw) -> Result<Vec<String>, BoxError> {
        self.drop_one(name, instance, how.reason);
        if let Some(wait) = how.wait {
            let all = async {
                while !self.applied() {
                    self.changed.notified().await;
                }
            };
            if tokio::time::timeout(wait, all).await.is_err() {
                return Ok(vec!["somebody".into()]);
            }
        }
        Ok(Vec::new())
    }

    fn require(&self, id: &str, query: Query) -> Box<dyn Subscription> {
        let mut state = self.state.lock().unwrap();
        let endpoints = matching(&state.provided, &query);
        let set = EndpointSet { seq: 1, endpoints, complete: true, ..EndpointSet::default() };
        let (sender, sets) = watch::channel(set);
        state.subscriptions.insert(id.to_owned(), (query, sender, 0));
        Box::new(Subscribed { registry: self.clone(), id: id.to_owned(), sets })
    }

    async fn inherited(&self) -> Result<Vec<(Name, String)>, BoxError> {
        Ok(Vec::new())
    }

    async fn park(&self, _: Duration) {
        self.state.lock().unwrap().parked = true;
    }
}

struct Subscribed {
    registry: Registry,
    id: String,
    sets: watch::Receiver<EndpointSet>,
}

#[async_trait]
impl Subscription for Subscribed {
    fn current(&mut self) -> EndpointSet {
        self.sets.borrow_and_update().clone()
    }

    async fn changed(&mut self) -> EndpointSet {
        if self.sets.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.current()
    }

    async fn applied(&self, seq: u64) {
        let mut state = self.registry.state.lock().unwrap();
        if let Some((_, _, applied)) = state.subscriptions.get_mut(&self.id) {
            *applied = seq;
        }
        drop(state);
        self.registry.changed.notify_one();
    }
}

/// A running agent.
pub struct Agent {
    pub handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Agent {
    pub fn start(options: Options, ports: Ports) -> Self {
        // Shown where a test fails, or with RUST_LOG where more is wanted.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let (service, handle) = Service::new(options, ports).unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Self { handle, shutdown, task }
    }

    /// Ends it as a signal would.
    pub async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    /// Ends it as SIGKILL would.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub async fn assign(&self, assignments: Assignments) {
        self.handle.assign(assignments).await.unwrap();
    }

    /// Waits until the report says so.
    pub async fn until(&self, what: &str, mut done: impl FnMut(&HostReport) -> bool) -> HostReport {
        let mut report = self.handle.report();
        let waited =
            tokio::time::timeout(PATIENCE, async { report.wait_for(|report| done(report)).await.unwrap().clone() });
        match waited.await {
            Ok(report) => report,
            Err(_) => panic!("not {what} after {PATIENCE:?}; the last report:\n{:#?}", self.handle.report().borrow()),
        }
    }

    pub async fn until_phase(&self, role: &str, phase: Phase) -> SlotReport {
        let report = self
            .until(&format!("{role} {phase:?}"), |report| of(report, role).is_some_and(|it| it.phase == phase))
            .await;
        of(&report, role).unwrap().clone()
    }

    /// Waits until a slot runs what was assigned last, and nothing of it is left to do.
    pub async fn until_applied(&self, role: &str) -> SlotReport {
        let done = |it: &SlotReport| it.applied.is_some() && it.phase == Phase::Running;
        let report = self.until(&format!("{role} applied"), |report| of(report, role).is_some_and(done)).await;
        of(&report, role).unwrap().clone()
    }
}

pub fn of<'a>(report: &'a HostReport, role: &str) -> Option<&'a SlotReport> {
    report.slots.iter().find(|it| it.slot.role == role)
}

pub fn instance(report: &SlotReport) -> String {
    report.container.as_ref().unwrap().instance.clone()
}

/// Waits until a condition holds that nobody tells of.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(last) if tokio::time::Instant::now() > deadline => {
                panic!("{what}: not after {PATIENCE:?}; last: {last}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
