//! The agent of this process, as the control plane asks it.

use super::transfers::Transfers;
use super::volumes::Volumes;
use super::{engine_problem, images, session};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use scs_agent::ports::Images as _;
use scs_agent::{Handle, Refused};
use scs_api::agent::{Assignments, HostReport, LeaseGrant};
use scs_api::deploy::{BuildRequest, Event};
use scs_api::error::{Code, Problem};
use scs_api::log::{LogLine, LogQuery};
use scs_api::routes::{ExecQuery, Pruned};
use scs_api::transfer::Survey;
use scs_control::agents::{
    Agent, ByteStream, Channel, CopyEvent, ExecSession, OutputLine, Peers, VolumeAt, VolumeCopy, VolumeOffer,
    VolumeSeen,
};
use scs_image::{DIGEST_LABEL, MANIFEST_LABEL};
use scs_manifest::compiled::{Image, Role};
use scs_plan::slot::Slot;
use scs_ports::engine::{Engine, Exec, Labels};
use scs_ports::volume::VolumeId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{broadcast, mpsc, watch};

/// Lines of progress that wait for a slow reader, as many as the agent itself keeps.
const OUTPUT: usize = 4096;

/// The agent and what is beside it on its host.
#[derive(Debug, Clone)]
pub struct Local {
    host: String,
    handle: Handle,
    engine: Arc<dyn Engine>,
    images: images::Service,
    volumes: Volumes,
    transfers: Transfers,
    output: broadcast::Sender<OutputLine>,
}

impl Local {
    /// The agent behind this handle, which reaches those of other hosts through `peers`. Has to be called within a runtime.
    pub fn new(
        host: &str,
        handle: Handle,
        engine: Arc<dyn Engine>,
        images: images::Service,
        volumes: Volumes,
        peers: Option<Arc<dyn Peers>>,
    ) -> Self {
        let (output, _) = broadcast::channel(OUTPUT);
        let (mut lines, sender) = (handle.output(), output.clone());
        tokio::spawn(async move {
            loop {
                match lines.recv().await {
                    // Nobody may be listening.
                    Ok(line) => drop(sender.send(OutputLine { slot: line.slot, line: line.line })),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        let transfers = Transfers::new(volumes.clone(), peers);
        Self { host: host.to_owned(), handle, engine, images, volumes, transfers, output }
    }
}

#[async_trait]
impl Agent for Local {
    fn host(&self) -> &str {
        &self.host
    }

    async fn assign(&self, assignments: Assignments) -> Result<(), Problem> {
        self.handle.assign(assignments).await.map_err(|refused| {
            let code = match refused {
                Refused::Foreign { .. } | Refused::Stale { .. } => Code::Conflict,
                Refused::Unwritten { .. } | Refused::Ended => Code::Internal,
            };
            Problem::of(code, &refused)
        })
    }

    async fn ask_lease(&self) -> Option<u64> {
        self.handle.ask_lease()
    }

    async fn lease(&self, grant: LeaseGrant) -> Result<(), Problem> {
        self.handle.lease(&grant);
        Ok(())
    }

    fn report(&self) -> watch::Receiver<HostReport> {
        self.handle.report()
    }

    fn output(&self) -> broadcast::Receiver<OutputLine> {
        self.output.subscribe()
    }

    async fn engine(&self) -> Result<String, Problem> {
        self.engine.info().await.map(|info| info.version).map_err(|error| engine_problem(&error))
    }

    async fn build(&self, request: BuildRequest) -> Result<BoxStream<'static, Event>, Problem> {
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(build(self.images.clone(), request, sender));
        Ok(tokio_stream::wrappers::ReceiverStream::new(receiver).boxed())
    }

    async fn images(&self) -> Result<BTreeSet<String>, Problem> {
        self.images.images.digests().await.map_err(|error| image_problem(&error))
    }

    async fn export_image(&self, digest: &str) -> Result<ByteStream, Problem> {
        let image = self.images.images.find(digest).await.map_err(|error| image_problem(&error))?;
        // Under its name, by which the other engine finds it, too.
        let image = image.map(|_| scs_image::tag(digest)).ok_or_else(|| {
            Problem::new(Code::NotFound, format!("host {} has no image {}", self.host, scs_image::tag(digest)))
        })?;
        self.engine.save(&image).await.map_err(|error| engine_problem(&error))
    }

    async fn logs(&self, query: LogQuery) -> Result<BoxStream<'static, LogLine>, Problem> {
        Ok(self.handle.logs(query))
    }

    async fn exec(&self, instance: &str, query: ExecQuery) -> Result<ExecSession, Problem> {
        let command: Vec<String> = serde_json::from_str(&query.command)
            .map_err(|error| Problem::of(Code::BadRequest, &error).hint("the command is a JSON array of texts"))?;
        if command.is_empty() {
            return Err(Problem::new(Code::BadRequest, "the command is empty"));
        }
        let exec = Exec {
            command,
            user: query.user,
            stdin: query.stdin,
            tty: (query.columns > 0).then_some((query.columns, query.rows.max(1))),
            ..Exec::default()
        };
        let process = self.handle.exec(instance, exec).await.map_err(|error| match &error {
            scs_agent::Error::NotRunning { .. } => Problem::of(Code::NotFound, &error),
            scs_agent::Error::Exec { source, .. } => {
                let mut problem = engine_problem(source);
                problem.causes.insert(0, std::mem::replace(&mut problem.message, error.to_string()));
                problem
            }
        })?;
        Ok(session::of(process))
    }

    async fn remove_volume(&self, volume: VolumeAt) -> Result<(), Problem> {
        self.volumes.remove(&volume).await
    }

    async fn export_volume(&self, volume: VolumeAt) -> Result<ByteStream, Problem> {
        self.volumes.export(&volume).await
    }

    async fn import_volume(&self, volume: VolumeAt, content: ByteStream) -> Result<(), Problem> {
        self.volumes.import(&volume, content).await
    }

    async fn inspect_volume(&self, volume: VolumeAt) -> Result<VolumeSeen, Problem> {
        self.volumes.inspect(&volume).await
    }

    async fn offer_volume(&self, offer: VolumeOffer) -> Result<Survey, Problem> {
        self.transfers.offer(offer).await
    }

    async fn copy_volume(&self, copy: VolumeCopy) -> Result<BoxStream<'static, CopyEvent>, Problem> {
        self.transfers.copy(copy).await
    }

    async fn serve_volume(&self, to: &str, transfer: &str, volume: &VolumeId, channel: Channel) -> Result<(), Problem> {
        self.transfers.serve(to, transfer, volume, channel).await
    }

    async fn hand_over_volume(&self, volume: VolumeAt, to: &str) -> Result<(), Problem> {
        self.transfers.hand_over(&volume, to).await
    }

    async fn prune(&self, keep: BTreeSet<String>) -> Result<Pruned, Problem> {
        let labels = Labels::from([(DIGEST_LABEL.to_owned(), String::new())]);
        let all = self.engine.images(&labels).await.map_err(|error| engine_problem(&error))?;
        let digest = |labels: &Labels| labels.get(DIGEST_LABEL).cloned().unwrap_or_default();
        let sizes: BTreeMap<String, u64> = all.iter().map(|image| (digest(&image.labels), image.size)).collect();
        let kept = all.iter().filter(|image| keep.contains(&digest(&image.labels)));
        let sources: BTreeSet<String> = kept
            .filter_map(|image| serde_json::from_str::<Image>(image.labels.get(MANIFEST_LABEL)?).ok()?.source_digest)
            .collect();
        let pruned =
            self.images.images.prune(&keep, &sources, &|_: &str| {}).await.map_err(|error| image_problem(&error))?;
        let bytes = pruned.images.iter().filter_map(|digest| sizes.get(digest)).sum();
        let mut removed: Vec<String> =
            pruned.images.iter().map(|digest| format!("image {}", scs_image::tag(digest))).collect();
        if pruned.bundles > 0 {
            removed.push(format!("{} bundled sources", pruned.bundles));
        }
        if pruned.containers > 0 {
            removed.push(format!("{} containers of builds that were killed", pruned.containers));
        }
        Ok(Pruned { removed, bytes })
    }
}

/// Builds the images of the roles asked for, one after the other: a build takes the whole machine anyway.
async fn build(images: images::Service, request: BuildRequest, events: mpsc::Sender<Event>) {
    let started = Instant::now();
    let BuildRequest { deployment, origin, roles } = request;
    let mut done: BTreeSet<String> = BTreeSet::new();
    for role in deployment.roles.values().filter(|role| roles.is_empty() || roles.contains(&role.name)) {
        let slot = Slot {
            environment: deployment.environment.clone(),
            service: deployment.service.clone(),
            role: role.name.clone(),
            index: 0,
        };
        if !done.insert(role.image_digest.clone()) {
            continue;
        }
        if events.send(Event::Step { slot: slot.clone(), doing: "building".to_owned() }).await.is_err() {
            return;
        }
        let event = match one(&images, role, &origin, &slot, &events).await {
            Ok(()) => {
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                Event::SlotDone { slot, now: "built".to_owned(), took_ms }
            }
            Err(problem) => Event::Failed { problem },
        };
        let failed = matches!(event, Event::Failed { .. });
        if events.send(event).await.is_err() || failed {
            return;
        }
    }
    let _ = events.send(Event::Done { revision: 0, addresses: Vec::new() }).await;
}

async fn one(
    images: &images::Service,
    role: &Role,
    origin: &Path,
    slot: &Slot,
    events: &mpsc::Sender<Event>,
) -> Result<(), Problem> {
    let progress = |line: &str| {
        // A reader that does not keep up misses lines rather than slow the build down.
        let _ = events.try_send(Event::Output { slot: slot.clone(), line: line.to_owned() });
    };
    images.ensure(role, origin, &progress).await.map(|_| ()).map_err(|error| {
        let mut problem = Problem::of(Code::Failed, &error);
        problem.output = error.output;
        problem
    })
}

fn image_problem(error: &scs_image::Error) -> Problem {
    match error {
        scs_image::Error::Engine { source, .. } => engine_problem(source),
        other => Problem::of(Code::Failed, other),
    }
}
