//! An agent that does what a test says, and tells what it was asked.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use scs_api::agent::{Assignments, HostReport};
use scs_api::deploy::{BuildRequest, Event};
use scs_api::error::{Code, Problem};
use scs_api::log::{LogLine, LogQuery};
use scs_api::routes::{ExecQuery, Pruned};
use scs_api::transfer::{Copied, Progress, Survey};
use scs_control::agents::{
    Agent, ByteStream, Channel, CopyEvent, ExecInput, ExecOutput, ExecSession, OutputLine, VolumeAt, VolumeCopy,
    VolumeOffer, VolumeSeen,
};
use scs_plan::slot::Slot;
use scs_ports::volume::VolumeId;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream};

/// Bytes of a volume's content at a time.
pub const CHUNK: usize = 64 << 10;

#[derive(Debug, Default)]
pub struct Model {
    pub assigned: Option<Assignments>,
    /// Everything that can be refused is, with this.
    pub refuse: Option<Problem>,
    pub volume: Option<VolumeAt>,
    pub imported: Vec<u8>,
    pub kept: BTreeSet<String>,
    /// What was handed over, and to whom.
    pub handed_over: Option<(VolumeAt, String)>,
}

#[derive(Debug)]
pub struct Scripted {
    model: Mutex<Model>,
    pub report: watch::Sender<HostReport>,
    pub output: broadcast::Sender<OutputLine>,
    pub log: broadcast::Sender<String>,
    /// Streams, sessions and transfers that somebody still holds.
    pub open: Arc<AtomicUsize>,
    /// Chunks of volumes that were read from them.
    pub read: Arc<AtomicUsize>,
    /// Chunks that a volume has.
    pub chunks: AtomicUsize,
    /// Lets a volume be removed.
    pub removed: Notify,
}

/// Counted while held.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub fn slot(role: &str) -> Slot {
    Slot { environment: "dev".to_owned(), service: "blog".to_owned(), role: role.to_owned(), index: 0 }
}

pub fn line(text: &str) -> LogLine {
    LogLine {
        slot: slot("web"),
        instance: "run-1".to_owned(),
        source: "stdout".to_owned(),
        time: None,
        line: text.to_owned(),
    }
}

impl Scripted {
    pub fn new(host: &str) -> Arc<Self> {
        let report = HostReport { host: host.to_owned(), revision: 1, ..HostReport::default() };
        Arc::new(Self {
            model: Mutex::default(),
            report: watch::Sender::new(report),
            output: broadcast::channel(64).0,
            log: broadcast::channel(64).0,
            open: Arc::default(),
            read: Arc::default(),
            chunks: AtomicUsize::new(4),
            removed: Notify::new(),
        })
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("no test panicked with the model in hand")
    }

    pub fn sees(&self, revision: u64) {
        self.report.send_modify(|report| report.revision = revision);
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn refused(&self) -> Result<(), Problem> {
        self.model().refuse.clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Agent for Scripted {
    fn host(&self) -> &str {
        "h2"
    }

    async fn assign(&self, assignments: Assignments) -> Result<(), Problem> {
        self.refused()?;
        self.model().assigned = Some(assignments);
        Ok(())
    }

    fn report(&self) -> watch::Receiver<HostReport> {
        self.report.subscribe()
    }

    fn output(&self) -> broadcast::Receiver<OutputLine> {
        self.output.subscribe()
    }

    async fn engine(&self) -> Result<String, Problem> {
        self.refused()?;
        Ok("Script 1".to_owned())
    }

    async fn build(&self, request: BuildRequest) -> Result<BoxStream<'static, Event>, Problem> {
        self.refused()?;
        let output = |role: &String| Event::Output { slot: slot(role), line: "step".to_owned() };
        let end = Event::Done { revision: 0, addresses: Vec::new() };
        let events: Vec<Event> = request.roles.iter().map(output).chain([end]).collect();
        Ok(stream::iter(events).boxed())
    }

    async fn images(&self) -> Result<BTreeSet<String>, Problem> {
        self.refused()?;
        Ok(BTreeSet::from(["one".to_owned(), "two".to_owned()]))
    }

    async fn logs(&self, query: LogQuery) -> Result<BoxStream<'static, LogLine>, Problem> {
        self.refused()?;
        let held = Held::new(&self.open);
        let tail = usize::try_from(query.tail.unwrap_or(3)).unwrap();
        let roles = query.roles;
        let kept = stream::iter((0..3).skip(3 - tail)).map(move |number| line(&format!("kept {number} of {roles}")));
        if !query.follow {
            return Ok(kept.boxed());
        }
        let written = BroadcastStream::new(self.log.subscribe()).filter_map(move |text| {
            let _held = &held;
            std::future::ready(text.ok().map(|text| line(&text)))
        });
        Ok(kept.chain(written).boxed())
    }

    /// Echoes its input; exits with 7 when it ends, and fails where it is told to.
    async fn exec(&self, instance: &str, query: ExecQuery) -> Result<ExecSession, Problem> {
        if instance != "run-1" {
            return Err(Problem::new(Code::NotFound, format!("no container of run {instance} runs on this host")));
        }
        let held = Held::new(&self.open);
        let (input, mut inputs) = mpsc::channel(8);
        let (sender, output) = mpsc::channel(8);
        tokio::spawn(async move {
            let _held = held;
            let _ = sender.send(ExecOutput::Stderr(query.command.into())).await;
            while let Some(input) = inputs.recv().await {
                let output = match input {
                    ExecInput::Data(data) if data == "fail" => {
                        ExecOutput::Failed(Problem::new(Code::Failed, "it failed"))
                    }
                    ExecInput::Data(data) => ExecOutput::Stdout(data),
                    ExecInput::Resize { columns, rows } => ExecOutput::Stdout(format!("{columns}x{rows}").into()),
                    ExecInput::End => ExecOutput::Exit(7),
                };
                if sender.send(output).await.is_err() {
                    return;
                }
            }
        });
        Ok(ExecSession { input, output: ReceiverStream::new(output).boxed() })
    }

    async fn remove_volume(&self, volume: VolumeAt) -> Result<(), Problem> {
        self.refused()?;
        self.model().volume = Some(volume);
        self.removed.notified().await;
        Ok(())
    }

    async fn export_volume(&self, volume: VolumeAt) -> Result<ByteStream, Problem> {
        self.refused()?;
        self.model().volume = Some(volume);
        let (held, read) = (Held::new(&self.open), Arc::clone(&self.read));
        let chunks = 0..self.chunks.load(Ordering::SeqCst);
        let content = stream::iter(chunks).map(move |number| {
            let _held = &held;
            read.fetch_add(1, Ordering::SeqCst);
            Ok(Bytes::from(vec![u8::try_from(number % 251).unwrap(); CHUNK]))
        });
        Ok(content.boxed())
    }

    async fn import_volume(&self, volume: VolumeAt, mut content: ByteStream) -> Result<(), Problem> {
        self.model().volume = Some(volume);
        let _held = Held::new(&self.open);
        let mut imported = Vec::new();
        while let Some(chunk) = content.next().await {
            let chunk =
                chunk.map_err(|error| Problem::new(Code::Failed, format!("the archive is cut short: {error}")))?;
            imported.extend_from_slice(&chunk);
            self.refused()?;
        }
        self.model().imported = imported;
        Ok(())
    }

    async fn inspect_volume(&self, _volume: VolumeAt) -> Result<VolumeSeen, Problem> {
        self.refused()?;
        Ok(VolumeSeen { place: Some("/volumes/data".to_owned()), bytes: Some(42) })
    }

    async fn offer_volume(&self, _: VolumeOffer) -> Result<Survey, Problem> {
        self.refused()?;
        Ok(Survey { bytes: 7, mapped: Some(vec!["hot".to_owned()]), ..Survey::default() })
    }

    async fn copy_volume(&self, copy: VolumeCopy) -> Result<BoxStream<'static, CopyEvent>, Problem> {
        self.refused()?;
        let progress = CopyEvent::Progress(Progress { bytes: 1, percent: 50, rate: 2 });
        let done = CopyEvent::Done(Copied { bytes: copy.source.bytes, took_ms: 1 });
        Ok(stream::iter([progress, done]).boxed())
    }

    async fn serve_volume(
        &self,
        to: &str,
        transfer: &str,
        volume: &VolumeId,
        mut channel: Channel,
    ) -> Result<(), Problem> {
        let mut asked = String::new();
        let read = channel.read_to_string(&mut asked).await;
        read.map_err(|error| Problem::of(Code::Failed, &error))?;
        let answer = format!("{to} {transfer} {volume}: {asked}");
        let written = channel.write_all(answer.as_bytes()).await;
        written.map_err(|error| Problem::of(Code::Failed, &error))?;
        channel.shutdown().await.map_err(|error| Problem::of(Code::Failed, &error))
    }

    async fn hand_over_volume(&self, volume: VolumeAt, to: &str) -> Result<(), Problem> {
        self.refused()?;
        self.model().handed_over = Some((volume, to.to_owned()));
        Ok(())
    }

    async fn prune(&self, keep: BTreeSet<String>) -> Result<Pruned, Problem> {
        self.refused()?;
        self.model().kept = keep;
        Ok(Pruned { removed: vec!["image one".to_owned()], bytes: 3 })
    }
}
