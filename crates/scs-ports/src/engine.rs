//! The engine port: what scs asks of a container engine. Docker is the real one.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use scs_manifest::compiled::Protocol;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Labels of a container, image, network or volume.
pub type Labels = BTreeMap<String, String>;

/// A container engine of this host.
#[async_trait]
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// Who the engine is; also the cheapest proof that it answers.
    async fn info(&self) -> Result<Info, Error>;

    /// Images that carry all these labels (an empty value matches any).
    async fn images(&self, labels: &Labels) -> Result<Vec<Image>, Error>;
    /// The image of a reference or id, if the engine has it.
    async fn image(&self, reference: &str) -> Result<Option<Image>, Error>;
    /// Fetches an image from its registry.
    async fn pull(&self, reference: &str, progress: &dyn Progress) -> Result<Image, Error>;
    /// Builds an image from a tar stream of a context that holds `request.dockerfile`.
    async fn build(
        &self,
        request: &Build,
        context: BoxStream<'static, std::io::Result<Bytes>>,
        progress: &dyn Progress,
    ) -> Result<Image, Error>;
    /// Makes an image of a root file system's tar stream.
    async fn import(
        &self,
        reference: &str,
        rootfs: BoxStream<'static, std::io::Result<Bytes>>,
        labels: &Labels,
    ) -> Result<Image, Error>;
    /// The image as the tar stream of `docker save`.
    async fn save(&self, reference: &str) -> Result<BoxStream<'static, std::io::Result<Bytes>>, Error>;
    /// Takes in what [`Engine::save`] gave out.
    async fn load(&self, image: BoxStream<'static, std::io::Result<Bytes>>) -> Result<(), Error>;
    /// Gives an image a further name.
    async fn tag(&self, reference: &str, name: &str) -> Result<(), Error>;
    /// Removes an image; one that is not there is no error.
    async fn remove_image(&self, reference: &str) -> Result<(), Error>;

    /// Makes a container, not yet started.
    async fn create(&self, request: &Create) -> Result<String, Error>;
    /// Starts it.
    async fn start(&self, id: &str) -> Result<(), Error>;
    /// Sends the stop signal, waits for `grace`, kills; one that is not running is no error.
    async fn stop(&self, id: &str, grace: Duration) -> Result<(), Error>;
    /// Sends a signal to process 1, e.g. `HUP`.
    async fn signal(&self, id: &str, signal: &str) -> Result<(), Error>;
    /// Removes it with its writable layer, killing it where it runs; one that is not there is no error.
    async fn remove(&self, id: &str) -> Result<(), Error>;
    /// Gives a container another name.
    async fn rename(&self, id: &str, name: &str) -> Result<(), Error>;
    /// The container of an id or name, if there is one.
    async fn container(&self, id: &str) -> Result<Option<Container>, Error>;
    /// All containers, running or not, that carry these labels (an empty value matches any).
    async fn containers(&self, labels: &Labels) -> Result<Vec<Container>, Error>;
    /// Waits until it has ended.
    async fn wait(&self, id: &str) -> Result<Exit, Error>;
    /// Makes an image of a stopped container: its writable layer upon the image it was made from, whose settings it keeps
    /// but for those given. What the container itself was created with (command, environment, …) does not count.
    async fn commit(&self, id: &str, request: &Commit) -> Result<Image, Error> {
        let _ = (id, request);
        Err(Error::Unsupported { what: "make an image of a container".to_owned() })
    }
    /// Runs a command inside it.
    async fn exec(&self, id: &str, request: &Exec) -> Result<Process, Error>;
    /// Connects to process 1 of a container that was made and not yet started, so that nothing it writes is missed. Its terminal
    /// has a size only once it runs.
    async fn attach(&self, id: &str) -> Result<Process, Error>;
    /// What a file of a container's own file system holds, whether it runs or not; `None` where there is none, or something that is
    /// no file. Links are not followed.
    async fn read_file(&self, id: &str, path: &str) -> Result<Option<Bytes>, Error>;
    /// The same from `from` on, as it comes and of any size; from its beginning where the file is shorter than that.
    async fn rest_of_file(
        &self,
        id: &str,
        path: &str,
        from: u64,
    ) -> Result<Option<BoxStream<'static, std::io::Result<Bytes>>>, Error> {
        let Some(whole) = self.read_file(id, path).await? else { return Ok(None) };
        let from = usize::try_from(from).ok().filter(|from| *from <= whole.len()).unwrap_or(0);
        Ok(Some(Box::pin(futures_util::stream::iter([Ok(whole.slice(from..))]))))
    }
    /// A container's output.
    async fn logs(&self, id: &str, request: &Logs) -> Result<BoxStream<'static, Result<LogChunk, Error>>, Error>;
    /// What happens to containers that carry these labels, from now on. Ends when the engine does.
    async fn events(&self, labels: &Labels) -> Result<BoxStream<'static, Result<Event, Error>>, Error>;

    /// A bridge network of this name, made if it is not there.
    async fn ensure_network(&self, request: &BridgeNetwork) -> Result<Gateways, Error>;
    /// Removes a network nobody uses; one that is not there is no error.
    async fn remove_network(&self, name: &str) -> Result<(), Error>;
    /// The named volume, if there is one.
    async fn volume(&self, name: &str) -> Result<Option<NamedVolume>, Error>;
    /// Makes a named volume.
    async fn create_volume(&self, request: &NamedVolume) -> Result<NamedVolume, Error>;
    /// Removes a named volume with its data; one that is not there is no error.
    async fn remove_volume(&self, name: &str) -> Result<(), Error>;
}

/// Told what a long operation does.
pub trait Progress: Send + Sync {
    /// One line of the operation's own output.
    fn line(&self, line: &str);
}

impl<F: Fn(&str) + Send + Sync> Progress for F {
    fn line(&self, line: &str) {
        self(line);
    }
}

/// Who the engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its product and version, e.g. `Docker Engine 20.10.24`.
    pub version: String,
    /// The API version spoken with it.
    pub api: String,
    /// Platform of its containers, e.g. `linux/amd64`.
    pub platform: String,
    /// An id that differs between engines.
    pub id: String,
    /// Where it keeps images and containers.
    pub root: PathBuf,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Whether user ids inside its containers are other ones outside.
    pub remapped: bool,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Content id, `sha256:…`.
    pub id: String,
    /// Names it goes by.
    pub references: Vec<String>,
    /// Its labels.
    pub labels: Labels,
    /// Bytes.
    pub size: u64,
    /// When it was made.
    pub created: Option<SystemTime>,
}

/// A build.
#[derive(Debug, Clone, Default)]
pub struct Build {
    /// Path of the Dockerfile in the context.
    pub dockerfile: String,
    /// Name of the result.
    pub reference: String,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Build arguments.
    pub arguments: BTreeMap<String, String>,
    /// Labels of the result.
    pub labels: Labels,
    /// Uses BuildKit where the engine has it.
    pub buildkit: bool,
}

/// An image to make of a container.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Name of the result.
    pub reference: String,
    /// Labels of the result, beside those of the container's image.
    pub labels: Labels,
    /// Its command.
    pub command: Option<Vec<String>>,
    /// Its entry point; given without a command, the one of the container's image is dropped, as in a Dockerfile.
    pub entrypoint: Option<Vec<String>>,
    /// Its user.
    pub user: Option<String>,
}

/// A container to make.
#[derive(Debug, Clone, Default)]
pub struct Create {
    /// Its name.
    pub name: String,
    /// Id or reference of its image.
    pub image: String,
    /// Its labels.
    pub labels: Labels,
    /// Host name inside it.
    pub hostname: Option<String>,
    /// Overrides the image's command.
    pub command: Option<Vec<String>>,
    /// Overrides the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Overrides the image's user.
    pub user: Option<String>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Ports bound on the host.
    pub ports: Vec<Port>,
    /// The network it is attached to: a bridge's name, `host` or `none`.
    pub network: String,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// CPU limit in cores.
    pub cpus: Option<f64>,
    /// `name → (soft, hard)`.
    pub ulimits: BTreeMap<String, (u64, u64)>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Kernel capabilities to add.
    pub cap_add: Vec<String>,
    /// In-memory directories by path → mount options.
    pub tmpfs: BTreeMap<String, String>,
    /// Whether the engine's init runs as process 1.
    pub init: bool,
    /// Bytes after which the engine starts a new log file, and how many it keeps; its own default without it.
    pub log_rotation: Option<(u64, u32)>,
    /// Whether the engine keeps nothing of its output, which is there for whoever attached to it alone.
    pub unlogged: bool,
    /// Keeps standard input open until whoever attached to it ends it, for one-off commands.
    pub stdin: bool,
    /// Gives it a terminal.
    pub tty: bool,
}

/// Something mounted in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where in the container.
    pub target: String,
    /// Read-only.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A directory or file of the host.
    Host(PathBuf),
    /// A named volume of the engine.
    Named(String),
}

/// A port bound on the host. A zero `host_port` lets the engine pick one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Inside the container.
    pub container_port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Address on the host.
    pub host_address: IpAddr,
    /// Port on the host.
    pub host_port: u16,
}

/// A container, as the engine sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without a leading slash.
    pub name: String,
    /// Id of its image.
    pub image: String,
    /// Its labels.
    pub labels: Labels,
    /// Whether it runs.
    pub state: State,
    /// Its own addresses on the networks it is attached to.
    pub addresses: Vec<IpAddr>,
    /// The ports that are bound, with those the engine picked.
    pub ports: Vec<Port>,
    /// When it was started.
    pub started: Option<SystemTime>,
    /// Process 1 as the host sees it, where it runs.
    pub pid: Option<u32>,
}

/// Whether a container runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Ended.
    Exited(Exit),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code of process 1.
    pub code: i64,
    /// Whether the kernel killed it for want of memory.
    pub out_of_memory: bool,
    /// What the engine says went wrong, if anything.
    pub error: Option<String>,
}

/// A command to run inside a container.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    /// The command.
    pub command: Vec<String>,
    /// Environment variables beside the container's own.
    pub environment: BTreeMap<String, String>,
    /// Overrides the container's user.
    pub user: Option<String>,
    /// Directory to run in.
    pub directory: Option<String>,
    /// Attaches standard input.
    pub stdin: bool,
    /// Gives it a terminal of this size (columns, rows).
    pub tty: Option<(u16, u16)>,
}

/// A command that runs inside a container, or its process 1.
pub struct Process {
    /// What it writes; ends when it does.
    pub output: BoxStream<'static, Result<LogChunk, Error>>,
    /// Its standard input, if attached.
    pub input: Option<std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>>,
    /// Resizes its terminal, and gives its exit code once the output has ended.
    pub control: Box<dyn ProcessControl>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

/// Control over a [`Process`].
#[async_trait]
pub trait ProcessControl: Send + Sync {
    /// Its exit code; `None` while it runs.
    async fn exit_code(&self) -> Result<Option<i64>, Error>;
    /// Resizes its terminal to columns and rows.
    async fn resize(&self, columns: u16, rows: u16) -> Result<(), Error>;
}

/// Which output of a container is asked for.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Goes on as more is written.
    pub follow: bool,
    /// Only the last lines.
    pub tail: Option<u64>,
    /// Only what was written since.
    pub since: Option<SystemTime>,
    /// Only what was written until.
    pub until: Option<SystemTime>,
}

/// A piece of output; one whole line, without its end, where it comes from [`Engine::logs`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Which stream.
    pub stream: Stream,
    /// When, where known.
    pub time: Option<SystemTime>,
    /// The bytes.
    pub bytes: Bytes,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Its labels.
    pub labels: Labels,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It was started.
    Started,
    /// It ended with this exit code.
    Died(i64),
    /// It was removed.
    Removed,
}

/// A bridge network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgeNetwork {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Whether it carries IPv6 too.
    pub ipv6: bool,
}

/// Addresses of the host on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateways {
    /// IPv4.
    pub v4: Option<IpAddr>,
    /// IPv6.
    pub v6: Option<IpAddr>,
}

/// A named volume of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedVolume {
    /// Its name.
    pub name: String,
    /// Its driver; `local` where empty.
    pub driver: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: Labels,
}

/// Why the engine did not do it. Unless a variant says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not answer at all; whether the last request was carried out is unknown.
    #[error("the container engine at {address} does not answer")]
    Unreachable {
        /// Its address.
        address: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The engine did not answer in time; whether the request was carried out is unknown.
    #[error("the container engine did not {action} within {}", scs_manifest::duration::format(*.after))]
    TimedOut {
        /// What it was asked to do.
        action: String,
        /// How long it had.
        after: Duration,
    },
    /// There is no such container, image, network or volume.
    #[error("there is no {what}")]
    NotFound {
        /// What is not there, e.g. ``container `x` ``.
        what: String,
    },
    /// A host port is taken by somebody else.
    #[error("port {port} of {address} is taken on this host")]
    PortTaken {
        /// Address on the host.
        address: String,
        /// Port on the host.
        port: u16,
    },
    /// The name or thing is in use.
    #[error("{what} is in use: {message}")]
    Conflict {
        /// What is in use.
        what: String,
        /// The engine's words.
        message: String,
    },
    /// A build failed.
    #[error("step `{step}` failed: {message}")]
    Build {
        /// The failing instruction of the Dockerfile.
        step: String,
        /// The engine's words.
        message: String,
        /// The last lines of the step's output.
        output: Vec<String>,
    },
    /// The engine refused.
    #[error("the container engine did not {action}: {message}")]
    Refused {
        /// What it was asked to do.
        action: String,
        /// Its words.
        message: String,
    },
    /// This engine cannot do that.
    #[error("this container engine cannot {what}")]
    Unsupported {
        /// What it cannot do.
        what: String,
    },
}

/// A cause of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// Whether the same request may succeed later without anybody doing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::TimedOut { .. } | Error::Conflict { .. })
    }
}
