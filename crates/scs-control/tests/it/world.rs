//! A model world: one host whose agent does at once what it is told, unless a test says otherwise.

mod cluster;
mod deployments;
mod neighbours;

pub use cluster::{Cluster, Trust};
pub use deployments::{blog, role};
pub use neighbours::{Memory, Registry};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use scs_api::agent::{
    Applied, Assignments, ContainerReport, HostReport, LeaseGrant, LiveUpdateReport, Phase, ProvideReport,
    RequirementReport, SlotReport, VolumeReport,
};
use scs_api::deploy::{BuildRequest, Caller, Event, PlanRequest, UpRequest};
use scs_api::error::{Code, Problem};
use scs_api::log::{LogLine, LogQuery};
use scs_api::routes::{ExecQuery, Pruned};
use scs_api::transfer::{Compare, Copied, Progress, Survey};
use scs_control::agents::{
    Agent, ByteStream, CopyEvent, ExecInput, ExecOutput, ExecSession, OutputLine, Reachability, VolumeAt, VolumeCopy,
    VolumeOffer,
};
use scs_control::store::Embedded;
use scs_control::{EventStream, Handle, Options, Ports, Service};
use scs_manifest::compiled::{Deployment, Role};
use scs_plan::change::{ChangeKind, classify};
use scs_plan::loss::Grace;
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a test makes of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// It stands in this phase, with this message.
    Stands(Phase, String),
    /// Its tombstones are never done.
    NeverGoes,
}

#[derive(Debug, Clone)]
pub struct Container {
    pub instance: String,
    pub role: Role,
    pub generation: u64,
    pub secrets: BTreeMap<String, String>,
    pub updates: BTreeMap<String, LiveUpdateReport>,
}

#[derive(Debug, Default)]
pub struct Model {
    pub assigned: Vec<Assignments>,
    pub containers: BTreeMap<Slot, Container>,
    pub volumes: BTreeMap<(Slot, String), String>,
    pub scripts: BTreeMap<String, Script>,
    pub images: BTreeSet<String>,
    pub kept: Option<BTreeSet<String>>,
    pub removed_volumes: Vec<String>,
    pub imported: Vec<u8>,
    pub started: u32,
    /// Slots in the order in which they went.
    pub went: Vec<Slot>,
    pub refuse: Option<Problem>,
    /// Copies that were asked for: of which volume, under which epoch, compared how.
    pub copies: Vec<(String, u64, Compare)>,
    /// What becomes of the next copies.
    pub copying: Copying,
    /// Permits that were handed over: of which volume, which epoch, to whom.
    pub handed_over: Vec<(String, u64, String)>,
    /// Slots that ever served here.
    pub served: BTreeSet<Slot>,
}

/// What becomes of copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Copying {
    /// They are done at once.
    #[default]
    Works,
    /// They never end.
    Hangs,
    /// They fail, for good.
    Fails(String),
}

/// An agent of a host where nothing is real.
pub struct World {
    host: String,
    reachable: watch::Sender<Reachability>,
    pub model: Mutex<Model>,
    report: watch::Sender<HostReport>,
    output: broadcast::Sender<OutputLine>,
    questions: watch::Sender<Option<u64>>,
    /// Answers to its questions for a lease.
    pub grants: watch::Sender<Vec<LeaseGrant>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    pub fn new() -> Arc<Self> {
        Self::named("here")
    }

    pub fn named(host: &str) -> Arc<Self> {
        Arc::new(Self {
            host: host.to_owned(),
            reachable: watch::Sender::new(Reachability::Reachable { since: SystemTime::UNIX_EPOCH }),
            model: Mutex::default(),
            report: watch::Sender::new(HostReport::default()),
            output: broadcast::channel(64).0,
            questions: watch::Sender::new(None),
            grants: watch::Sender::new(Vec::new()),
        })
    }

    /// Whether it answers from now on.
    pub fn answers(&self, answers: bool) {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        let why = "connection refused".to_owned();
        self.reachable.send_replace(if answers {
            Reachability::Reachable { since }
        } else {
            Reachability::Unreachable { since, why, host_answers: false }
        });
    }

    /// Asks for a lease, and gives what it is granted.
    pub async fn ask(&self, question: u64) -> Vec<String> {
        self.questions.send_replace(Some(question));
        let mut grants = self.grants.subscribe();
        let answered = grants.wait_for(|all| all.last().is_some_and(|it| it.question == question));
        let all = tokio::time::timeout(Duration::from_secs(10), answered).await.expect("answered").expect("it lives");
        all.last().map(|it| it.slots.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    fn refuse_silent(&self) -> Result<(), Problem> {
        match &*self.reachable.borrow() {
            Reachability::Reachable { .. } => Ok(()),
            _ => Err(Problem::new(Code::EngineUnavailable, format!("host {} does not answer", self.host))),
        }
    }

    pub fn model(&self) -> std::sync::MutexGuard<'_, Model> {
        self.model.lock().expect("no test panicked with the model in hand")
    }

    /// Says what a role does from now on, and lets it be seen.
    pub fn script(&self, role: &str, script: Option<Script>) {
        let mut model = self.model();
        match script {
            Some(script) => drop(model.scripts.insert(role.to_owned(), script)),
            None => drop(model.scripts.remove(role)),
        }
        self.act(&mut model);
    }

    pub fn say(&self, slot: Slot, line: &str) {
        let _ = self.output.send(OutputLine { slot, line: line.to_owned() });
    }

    /// What is assigned now.
    pub fn assigned(&self) -> Assignments {
        self.model().assigned.last().cloned().unwrap_or_default()
    }

    pub fn running(&self) -> Vec<String> {
        self.model().containers.keys().map(ToString::to_string).collect()
    }

    fn act(&self, model: &mut Model) {
        let Some(assigned) = model.assigned.last().cloned() else { return };
        let mut report = HostReport { host: self.host.clone(), revision: assigned.revision, ..HostReport::default() };
        for slot in &assigned.tombstones {
            if model.scripts.get(&slot.role) == Some(&Script::NeverGoes) {
                continue;
            }
            if model.containers.remove(slot).is_some() {
                model.went.push(slot.clone());
            }
            report.gone.push(slot.clone());
        }
        for it in &assigned.assignments {
            report.slots.push(slot_report(model, it));
        }
        self.report.send_replace(report);
    }
}

fn slot_report(model: &mut Model, it: &scs_api::agent::Assignment) -> SlotReport {
    let mut report = SlotReport {
        slot: it.slot.clone(),
        phase: Phase::Running,
        message: None,
        details: Vec::new(),
        since: SystemTime::UNIX_EPOCH,
        container: None,
        applied: None,
        restarts: 0,
        served: false,
        leased: it.leased,
        live_updates: BTreeMap::new(),
        requirements: BTreeMap::new(),
        volumes: BTreeMap::new(),
    };
    if let Some(Script::Stands(phase, message)) = model.scripts.get(&it.slot.role) {
        report.phase = *phase;
        report.since = SystemTime::now();
        report.message = Some(message.clone());
        report.details = vec!["last line of output".to_owned()];
        report.container = model.containers.get(&it.slot).map(container_report);
        if !it.stopped {
            return report;
        }
    }
    report.served = model.served.contains(&it.slot);
    if it.stopped {
        model.containers.remove(&it.slot);
        (report.phase, report.message) = (Phase::Stopped, None);
        return report;
    }
    model.served.insert(it.slot.clone());
    report.served = true;
    let secrets: BTreeMap<String, String> =
        it.secrets.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let keeps = model.containers.get(&it.slot).is_some_and(|running| {
        running.generation == it.generation && classify(&running.role, &it.role) < ChangeKind::Replace
    });
    if !keeps {
        model.started += 1;
        let instance = format!("run-{}", model.started);
        let fresh = Container {
            instance,
            role: it.role.clone(),
            generation: it.generation,
            secrets: secrets.clone(),
            updates: BTreeMap::new(),
        };
        model.containers.insert(it.slot.clone(), fresh);
        model.images.insert(it.role.image_digest.clone());
    }
    for name in it.volumes.keys() {
        model.volumes.insert((it.slot.clone(), name.clone()), it.role.volumes[name].method.clone());
    }
    let container = model.containers.get_mut(&it.slot).expect("just made");
    for (own, used) in &it.role.secrets {
        if container.secrets.get(&used.from) != secrets.get(&used.from) {
            let update = LiveUpdateReport {
                at: SystemTime::now(),
                running: false,
                exit_code: Some(0),
                took_ms: 1,
                output: Vec::new(),
                failures: 0,
            };
            container.updates.insert(own.clone(), update);
        }
    }
    container.secrets = secrets;
    container.role = it.role.clone();
    report.live_updates = container.updates.clone();
    let standing = RequirementReport {
        applied: true,
        standing: "the container has applied it".to_owned(),
        ..RequirementReport::default()
    };
    report.requirements = it.role.require.keys().map(|name| (name.clone(), standing.clone())).collect();
    report.applied = Some(Applied {
        spec_digest: it.role.spec_digest.clone(),
        image_digest: it.role.image_digest.clone(),
        generation: it.generation,
    });
    report.container = Some(container_report(container));
    for ((_, name), method) in model.volumes.iter().filter(|((slot, _), _)| *slot == it.slot) {
        let volume =
            VolumeReport { method: method.clone(), place: format!("/volumes/{name}"), epoch: it.volumes[name].epoch };
        report.volumes.insert(name.clone(), volume);
    }
    report
}

fn container_report(container: &Container) -> ContainerReport {
    let provides = container.role.provide.iter().map(|(name, provide)| {
        let port = provide.publish.port.unwrap_or(49152);
        let report = ProvideReport {
            address: format!("192.0.2.1:{port}"),
            local_address: Some(format!("127.0.0.1:{port}")),
            published: true,
            failure: None,
        };
        (name.clone(), report)
    });
    ContainerReport {
        instance: container.instance.clone(),
        id: format!("id-{}", container.instance),
        name: format!("scs-{}", container.role.name),
        spec_digest: container.role.spec_digest.clone(),
        image_digest: container.role.image_digest.clone(),
        image: "sha256:0".to_owned(),
        started: Some(SystemTime::UNIX_EPOCH),
        exit_code: None,
        explained: false,
        provides: provides.collect(),
    }
}

#[async_trait]
impl Agent for World {
    fn host(&self) -> &str {
        &self.host
    }

    fn reachable(&self) -> watch::Receiver<Reachability> {
        self.reachable.subscribe()
    }

    async fn assign(&self, assignments: Assignments) -> Result<(), Problem> {
        self.refuse_silent()?;
        let mut model = self.model();
        if let Some(problem) = &model.refuse {
            return Err(problem.clone());
        }
        let last = model.assigned.last().map_or(0, |it| it.revision);
        assert!(assignments.revision >= last, "assigned {} after {last}", assignments.revision);
        model.assigned.push(assignments);
        self.act(&mut model);
        Ok(())
    }

    fn questions(&self) -> watch::Receiver<Option<u64>> {
        self.questions.subscribe()
    }

    async fn lease(&self, grant: LeaseGrant) -> Result<(), Problem> {
        self.refuse_silent()?;
        self.grants.send_modify(|all| all.push(grant));
        Ok(())
    }

    fn report(&self) -> watch::Receiver<HostReport> {
        self.report.subscribe()
    }

    fn output(&self) -> broadcast::Receiver<OutputLine> {
        self.output.subscribe()
    }

    async fn engine(&self) -> Result<String, Problem> {
        Ok("Model 1".to_owned())
    }

    async fn build(&self, request: BuildRequest) -> Result<BoxStream<'static, Event>, Problem> {
        let done = request.deployment.roles.values().map(|role| {
            let slot = Slot {
                environment: request.deployment.environment.clone(),
                service: request.deployment.service.clone(),
                role: role.name.clone(),
                index: 0,
            };
            Event::SlotDone { slot, now: "built".to_owned(), took_ms: 1 }
        });
        let end = Event::Done { revision: 0, addresses: Vec::new() };
        Ok(stream::iter(done.chain([end]).collect::<Vec<_>>()).boxed())
    }

    async fn images(&self) -> Result<BTreeSet<String>, Problem> {
        self.refuse_silent()?;
        Ok(self.model().images.clone())
    }

    async fn logs(&self, query: LogQuery) -> Result<BoxStream<'static, LogLine>, Problem> {
        self.refuse_silent()?;
        let lines: Vec<LogLine> = self
            .model()
            .containers
            .iter()
            .filter(|(slot, _)| slot.environment == query.environment)
            .map(|(slot, container)| LogLine {
                slot: slot.clone(),
                instance: container.instance.clone(),
                source: "stdout".to_owned(),
                time: None,
                line: "ready".to_owned(),
            })
            .collect();
        Ok(stream::iter(lines).boxed())
    }

    /// Echoes its input, then exits with 7.
    async fn exec(&self, instance: &str, query: ExecQuery) -> Result<ExecSession, Problem> {
        if !self.model().containers.values().any(|it| it.instance == instance) {
            return Err(Problem::new(Code::NotFound, format!("no container {instance}")));
        }
        let (input, mut received) = mpsc::channel(8);
        let (sender, output) = mpsc::channel(8);
        tokio::spawn(async move {
            let _ = sender.send(ExecOutput::Stderr(query.command.into())).await;
            while let Some(message) = received.recv().await {
                match message {
                    ExecInput::Data(data) => drop(sender.send(ExecOutput::Stdout(data)).await),
                    ExecInput::Resize { columns, rows } => {
                        let _ = sender.send(ExecOutput::Stdout(format!("{columns}x{rows}").into())).await;
                    }
                    ExecInput::End => break,
                }
            }
            let _ = sender.send(ExecOutput::Exit(7)).await;
        });
        let output = stream::unfold(output, |mut it| async { Some((it.recv().await?, it)) }).boxed();
        Ok(ExecSession { input, output })
    }

    async fn remove_volume(&self, volume: VolumeAt) -> Result<(), Problem> {
        self.model().removed_volumes.push(volume.id.to_string());
        Ok(())
    }

    async fn export_volume(&self, volume: VolumeAt) -> Result<ByteStream, Problem> {
        Ok(stream::iter([Ok(format!("content of {}", volume.id).into())]).boxed())
    }

    async fn import_volume(&self, _volume: VolumeAt, mut content: ByteStream) -> Result<(), Problem> {
        let mut imported = Vec::new();
        while let Some(chunk) = content.next().await {
            imported.extend_from_slice(&chunk.map_err(|error| Problem::of(Code::Internal, &error))?);
        }
        self.model().imported = imported;
        Ok(())
    }

    async fn offer_volume(&self, offer: VolumeOffer) -> Result<Survey, Problem> {
        self.refuse_silent()?;
        assert_ne!(offer.to, self.host);
        Ok(Survey { bytes: 4096, largest: 4096, files: 1, linked: false, mapped: Some(vec!["hot".to_owned()]) })
    }

    async fn copy_volume(&self, copy: VolumeCopy) -> Result<BoxStream<'static, CopyEvent>, Problem> {
        self.refuse_silent()?;
        let mut model = self.model();
        let running = model.containers.keys().any(|slot| slot.role == copy.volume.id.role);
        assert!(!running, "copied into a volume that is in use");
        model.copies.push((copy.volume.id.to_string(), copy.volume.epoch, copy.compare));
        Ok(match &model.copying {
            Copying::Works => {
                let progress = CopyEvent::Progress(Progress { bytes: 2048, percent: 50, rate: 1_500_000 });
                stream::iter([progress, CopyEvent::Done(Copied { bytes: 10, took_ms: 1 })]).boxed()
            }
            Copying::Hangs => stream::pending().boxed(),
            Copying::Fails(message) => {
                let problem = Problem::new(Code::Failed, message.clone());
                stream::iter([CopyEvent::Failed { problem, fatal: true }]).boxed()
            }
        })
    }

    async fn hand_over_volume(&self, volume: VolumeAt, to: &str) -> Result<(), Problem> {
        self.refuse_silent()?;
        let mut model = self.model();
        let running = model.containers.keys().any(|slot| slot.role == volume.id.role);
        assert!(!running, "handed over while it is in use");
        model.handed_over.push((volume.id.to_string(), volume.epoch, to.to_owned()));
        Ok(())
    }

    async fn prune(&self, keep: BTreeSet<String>) -> Result<Pruned, Problem> {
        self.refuse_silent()?;
        let mut model = self.model();
        let removed = model.images.iter().filter(|it| !keep.contains(*it)).cloned().collect();
        model.images.retain(|it| keep.contains(it));
        model.kept = Some(keep);
        Ok(Pruned { removed, bytes: 1 })
    }
}

/// A control plane that runs over a world.
pub struct Plane {
    pub handle: Handle,
    pub world: Arc<World>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Plane {
    pub async fn start(directory: &Path, world: &Arc<World>) -> Self {
        Self::run(open(directory, world).await.expect("opens"), world)
    }

    pub fn run((service, handle): (Service, Handle), world: &Arc<World>) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Self { handle, world: world.clone(), shutdown, task }
    }

    /// Ends it as a program's end does; the world stays.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("ends in order");
        drop(self.handle);
    }

    pub async fn up(&self, deployment: &Deployment) -> Result<Vec<Event>, Problem> {
        let plan = self.plan(deployment).await?;
        Ok(all(self.handle.up(&deployment.environment, &deployment.service, up(deployment, plan)).await?).await)
    }

    pub async fn plan(&self, deployment: &Deployment) -> Result<u64, Problem> {
        let request = PlanRequest { deployment: deployment.clone(), origin: origin(), reset_placement: false };
        let response = self.handle.plan(&deployment.environment, &deployment.service, request).await?;
        Ok(response.plan.base_revision)
    }

    /// Actions of a plan, by role.
    pub async fn actions(&self, deployment: &Deployment) -> Vec<String> {
        let request = PlanRequest { deployment: deployment.clone(), origin: origin(), reset_placement: false };
        let response = self.handle.plan(&deployment.environment, &deployment.service, request).await.expect("a plan");
        let steps = response.plan.steps.iter();
        steps.map(|it| format!("{} {:?}{}", it.slot.role, it.action, if it.build { " build" } else { "" })).collect()
    }

    pub async fn down(&self, environment: &str, service: &str) -> Vec<Event> {
        let request = scs_api::deploy::DownRequest { caller: caller() };
        all(self.handle.down(environment, service, request).await.expect("accepted")).await
    }
}

pub async fn open(directory: &Path, world: &Arc<World>) -> Result<(Service, Handle), String> {
    let store = Embedded::open(directory).map_err(|error| chain(&error))?;
    let ports = Ports {
        store: Arc::new(store),
        agents: vec![world.clone()],
        connect: None,
        authority: None,
        discovery: Arc::new(Registry),
        bundles: Arc::new(Memory::default()),
    };
    let options = options(directory);
    Service::open(options, ports).await.map_err(|error| chain(&error))
}

/// How long after it was granted a lease has ended here.
pub const LEASE: Duration = Duration::from_millis(400);

/// A host that is lost is lost soon, and a lease ends soon.
pub fn options(directory: &Path) -> Options {
    let loss_grace = Grace { silent: Duration::from_millis(20), ..Grace::default() };
    Options { state_directory: directory.to_owned(), version: "1.2.3".to_owned(), loss_grace, lease: LEASE }
}

pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |it| it.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub fn up(deployment: &Deployment, base_revision: u64) -> UpRequest {
    UpRequest {
        deployment: deployment.clone(),
        origin: origin(),
        base_revision,
        secrets: BTreeMap::new(),
        take_over: false,
        reset_placement: false,
        who: "test".to_owned(),
    }
}

/// Somebody in the directory that brought the service up.
pub fn caller() -> Caller {
    Caller { who: "test".to_owned(), origin: Some(origin()), take_over: false }
}

pub fn origin() -> PathBuf {
    PathBuf::from("/home/test/blog")
}

/// All events of a stream; a stream that does not end fails the test.
pub async fn all(stream: EventStream) -> Vec<Event> {
    tokio::time::timeout(Duration::from_secs(600), stream.collect()).await.expect("the stream ends")
}

/// Events in few words.
pub fn words(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Step { slot, doing } => format!("{}: {doing}", slot.role),
            Event::SlotDone { slot, now, .. } => format!("{} {now}", slot.role),
            Event::Progress { slot, doing, how_far } => format!("{}: {doing}, {how_far}", slot.role),
            Event::Output { slot, line } => format!("{}| {line}", slot.role),
            Event::Warning { message } => format!("warning: {message}"),
            Event::Done { revision, .. } => format!("done at {revision}"),
            Event::Failed { problem } => format!("failed: {}", problem.message),
        })
        .collect()
}

/// Waits until something holds, and says what was there last when it does not come to hold.
pub async fn until<T: std::fmt::Debug>(what: &str, mut look: impl FnMut() -> Result<(), T>) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match look() {
            Ok(()) => return,
            Err(last) => assert!(tokio::time::Instant::now() < deadline, "{what}: last seen {last:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
