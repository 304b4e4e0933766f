//! What the control plane asks of the agent of a host. In one process with it the wiring hands calls over; across hosts it
//! will be a client of the agent's API. Everything is keyed by names, nothing holds a container's handle.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use scs_api::agent::{Assignments, HostReport, LeaseGrant};
use scs_api::deploy::{BuildRequest, Event};
use scs_api::error::{Code, Problem};
pub use scs_api::exec::{Input as ExecInput, Output as ExecOutput};
use scs_api::log::{LogLine, LogQuery};
use scs_api::routes::{ExecQuery, Pruned};
use scs_api::transfer::{Compare, Copied, Progress, Survey};
use scs_plan::slot::Slot;
use scs_ports::volume::VolumeId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, mpsc, watch};

/// Bytes of a tar stream; an error ends it.
pub type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

/// The agent of one host.
#[async_trait]
pub trait Agent: Send + Sync + std::fmt::Debug {
    /// Name of its host; never changes.
    fn host(&self) -> &str;
    /// Labels of its host, for placement.
    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    /// Whether it answers, always the newest. One in the same process always does.
    fn reachable(&self) -> watch::Receiver<Reachability> {
        watch::Sender::new(Reachability::Reachable { since: SystemTime::UNIX_EPOCH }).subscribe()
    }
    /// Hands over everything its host has to run, replacing what it was handed before. Returns once the agent has it (not
    /// once it is done), so that it is not lost with this process.
    async fn assign(&self, assignments: Assignments) -> Result<(), Problem>;
    /// The newest question for a lease that its host has asked; `None` until it asks. One in the same process never does.
    fn questions(&self) -> watch::Receiver<Option<u64>> {
        watch::Sender::new(None).subscribe()
    }
    /// Asks for a lease in the name of the host: the number of the question, or `None` where it runs nothing that needs one.
    async fn ask_lease(&self) -> Option<u64> {
        None
    }
    /// Answers such a question.
    async fn lease(&self, _grant: LeaseGrant) -> Result<(), Problem> {
        Ok(())
    }
    /// What its host sees, always the newest. Revision 0 means that it has not looked yet.
    fn report(&self) -> watch::Receiver<HostReport>;
    /// Lines of output of long steps (builds), from now on.
    fn output(&self) -> broadcast::Receiver<OutputLine>;
    /// What the container engine calls itself, or why it does not answer.
    async fn engine(&self) -> Result<String, Problem>;
    /// Builds or fetches images and starts nothing. The stream ends with `Done` (revision and addresses are filled in by the
    /// caller) or `Failed`.
    async fn build(&self, request: BuildRequest) -> Result<BoxStream<'static, Event>, Problem>;
    /// Image digests whose images are on the host.
    async fn images(&self) -> Result<BTreeSet<String>, Problem>;
    /// The image of a digest, as the tar stream of `docker save`, for a host that needs it.
    async fn export_image(&self, digest: &str) -> Result<ByteStream, Problem> {
        Err(Problem::new(Code::NotFound, format!("host {} gives away no image {digest}", self.host())))
    }
    /// Log lines of its containers, those that are gone included as far as they are kept.
    async fn logs(&self, query: LogQuery) -> Result<BoxStream<'static, LogLine>, Problem>;
    /// Runs a command in the container of a run id.
    async fn exec(&self, instance: &str, query: ExecQuery) -> Result<ExecSession, Problem>;
    /// Deletes a volume's data.
    async fn remove_volume(&self, volume: VolumeAt) -> Result<(), Problem>;
    /// A volume's content as a tar stream.
    async fn export_volume(&self, volume: VolumeAt) -> Result<ByteStream, Problem>;
    /// Replaces a volume's content by that of a tar stream; makes the volume where `known` is false.
    async fn import_volume(&self, volume: VolumeAt, content: ByteStream) -> Result<(), Problem>;
    /// Where a volume is, in words, and how many bytes it holds, as far as that can be said quickly.
    async fn inspect_volume(&self, _volume: VolumeAt) -> Result<VolumeSeen, Problem> {
        Ok(VolumeSeen::default())
    }
    /// Gets ready to let another host read a volume, as long as this agent runs or until it is offered for another transfer; says what
    /// it holds now.
    async fn offer_volume(&self, offer: VolumeOffer) -> Result<Survey, Problem> {
        Err(cannot_move(&offer.volume))
    }
    /// Makes a volume of this host like one that another host offers. The stream ends with `Done` or `Failed`; dropping it ends the
    /// copying, and so does another copy of the same volume. What was copied stays, and is found by the next.
    async fn copy_volume(&self, copy: VolumeCopy) -> Result<BoxStream<'static, CopyEvent>, Problem> {
        Err(cannot_move(&copy.volume))
    }
    /// Sends an offered volume over a channel to the host that it is offered to: what another host's agent asked for, and proved to
    /// be. Returns once the channel has ended.
    async fn serve_volume(&self, to: &str, transfer: &str, volume: &VolumeId, channel: Channel) -> Result<(), Problem> {
        drop(channel);
        Err(Problem::new(Code::NotFound, format!("volume {volume} is not offered to host {to} for {transfer}")))
    }
    /// Notes beside a volume that its permit (`volume.epoch`), and all before it, have passed on to another host: nothing starts with
    /// them any more.
    async fn hand_over_volume(&self, volume: VolumeAt, _to: &str) -> Result<(), Problem> {
        Err(cannot_move(&volume))
    }
    /// Removes images that are not among `keep`, and whatever failed builds and replaced containers left.
    async fn prune(&self, keep: BTreeSet<String>) -> Result<Pruned, Problem>;
}

fn cannot_move(volume: &VolumeAt) -> Problem {
    Problem::new(Code::Failed, format!("volume {} cannot be moved: this agent does not know how", volume.id))
}

/// Bytes in both directions between two agents.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream of bytes in both directions, whatever carries it.
pub type Channel = Box<dyn Duplex>;

/// How an agent reaches those of other hosts. At the other end is [`Agent::serve_volume`], told who we are by our certificate.
#[async_trait]
pub trait Peers: Send + Sync + std::fmt::Debug {
    /// A channel over which a volume comes that is offered for a transfer.
    async fn open(&self, peer: &HostAddress, transfer: &str, volume: &VolumeId) -> std::io::Result<Channel>;
}

/// A volume that another host may read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeOffer {
    /// Id of the move it is for.
    pub transfer: String,
    /// Which one.
    pub volume: VolumeAt,
    /// The only host that may read it.
    pub to: String,
}

/// A volume that becomes like that of another host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeCopy {
    /// Id of the move it is for.
    pub transfer: String,
    /// Which one. Its epoch is that of the permit that passes on once the copy is whole: until then nothing starts with it.
    pub volume: VolumeAt,
    /// Host that offers it, and where its agent is.
    pub from: HostAddress,
    /// What it holds there.
    pub source: Survey,
    /// How files are compared.
    pub compare: Compare,
    /// Whether the source is in use: then files that vanish meanwhile are no error.
    pub warm: bool,
    /// Most bytes a second.
    pub bandwidth: Option<u64>,
}

/// What happens while a volume is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum CopyEvent {
    /// How far it has come.
    Progress(Progress),
    /// It is like the other one.
    Done(Copied),
    /// It is not.
    Failed {
        /// Why.
        problem: Problem,
        /// Whether trying again is of no use as long as nobody mends something.
        fatal: bool,
    },
}

/// Makes the control plane's connection to the agent of a host that has joined. The agent lives until it is dropped.
pub trait Connect: Send + Sync + std::fmt::Debug {
    /// The agent of a host at its advertised address. Returns at once: whether it answers is what [`Agent::reachable`] says.
    fn connect(&self, host: &HostAddress) -> Arc<dyn Agent>;
}

/// A host, and where its agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAddress {
    /// Name; its certificate says the same.
    pub name: String,
    /// `host:port` it advertises.
    pub address: String,
}

/// Whether the agent of a host answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachability {
    /// It has not been reached since this process began, and the first try has not ended yet.
    Connecting,
    /// It answers.
    Reachable {
        /// Since when.
        since: SystemTime,
    },
    /// It does not: what it reported last may not be so any more.
    Unreachable {
        /// Since when.
        since: SystemTime,
        /// Why, in words that follow "host NAME does not answer: ".
        why: String,
        /// Whether the host itself does, by refusing or ending connections: then it is only the agent that is away.
        host_answers: bool,
    },
}

/// A line of output of a long step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLine {
    /// Whose.
    pub slot: Slot,
    /// The line, without its end.
    pub line: String,
}

/// A volume, with all that its method needs to find it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeAt {
    /// Which one.
    pub id: VolumeId,
    /// Method that provides it.
    pub method: String,
    /// The method's options.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// Directory against which the user's relative paths count.
    pub origin: PathBuf,
    /// Whether it exists as far as desired state knows.
    pub known: bool,
    /// Epoch of its permit; 0 for shared ones.
    pub epoch: u64,
    /// The volume that it is a part of, where it has to be made inside that one.
    pub parent: Option<Box<VolumeAt>>,
}

/// What a host says of a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSeen {
    /// Where it is, in words.
    pub place: Option<String>,
    /// Bytes it holds.
    pub bytes: Option<u64>,
}

/// A command that runs in a container. Dropping both ends ends the session.
pub struct ExecSession {
    /// What goes in.
    pub input: mpsc::Sender<ExecInput>,
    /// What comes out; ends after `Exit` or `Failed`.
    pub output: BoxStream<'static, ExecOutput>,
}

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession").finish_non_exhaustive()
    }
}
