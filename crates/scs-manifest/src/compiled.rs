//! The compiled form of a role: one static document with every default filled in. Everything below the manifests
//! (plan, image, agent, control plane, command line) speaks in these types and never sees YAML.
//!
//! Serialised as JSON it is what `scs compile` prints, what desired state stores and what a container is labelled with,
//! so a field may be added with a default but never change its meaning.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// All roles of one service, compiled for one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Format of this document; 1.
    pub version: u32,
    /// First part of every endpoint name, a DNS label.
    pub environment: String,
    /// Second part of every endpoint name, a DNS label.
    pub service: String,
    /// Secrets by name: how each comes to be. Values are never part of this document.
    pub secrets: IndexMap<String, SecretSource>,
    /// Roles by name, in the order of the manifest.
    pub roles: IndexMap<String, Role>,
    /// Named placements of the service; `scs layout apply` picks one.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub layouts: IndexMap<String, IndexMap<String, Placement>>,
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// Made once, this many random characters long, and kept.
    Generate(u32),
    /// The content of a file, relative to the manifest that names it.
    File(String),
    /// An environment variable of whoever runs `scs up`.
    Environment(String),
    /// What a command of whoever runs `scs up` prints.
    Command(Vec<String>),
}

/// One role: how it works and how it connects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The role's name, third part of its endpoint names, a DNS label.
    pub name: String,
    /// SHA-256 (lower-case hex) over all that changes the image and nothing else.
    pub image_digest: String,
    /// SHA-256 (lower-case hex) over the rest of this document.
    pub spec_digest: String,
    /// How should I work?
    pub image: Image,
    /// How the container's process is run.
    pub process: Process,
    /// Provided services by endpoint name.
    pub provide: IndexMap<String, Provide>,
    /// Required services by the name the image gives them.
    pub require: IndexMap<String, Require>,
    /// Secrets by the name the image gives them.
    pub secrets: IndexMap<String, SecretUse>,
    /// Volumes by the name the image gives them.
    pub volumes: IndexMap<String, Volume>,
    /// How the container is attached to the network.
    pub network: Network,
    /// Run inside the container before a consistent copy of its volumes, and after it.
    pub quiesce: Option<Quiesce>,
    /// Log files inside the container that are followed beside its output.
    pub logs: Vec<LogFile>,
    /// How many instances run, at least 1 (0 stops the role).
    pub replicas: u32,
    /// Which hosts may run it.
    pub placement: Placement,
    /// What happens when its host is lost.
    pub on_host_loss: OnHostLoss,
    /// How a second writer is kept out when the host is lost.
    pub fence: Fence,
    /// When an ended container is started again.
    pub restart: Restart,
}

/// What an image is made of; together with the platform all of it is covered by the image digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Human words for the image; not digested.
    pub title: Option<String>,
    /// Where the source's files come from, for the builder; the place is not digested, the content is.
    pub source: Source,
    /// SHA-256 over the source's content, or `None` without a source.
    pub source_digest: Option<String>,
    /// What the image starts from.
    pub base: Base,
    /// What turns base and source into the image.
    pub configurator: Configurator,
    /// Parameters after merging, as JSON values.
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// Command as the image manifest gives it, baked into the image.
    pub command: Option<Vec<String>>,
    /// Entry point as the image manifest gives it, baked into the image.
    pub entrypoint: Option<Vec<String>>,
    /// User as the image manifest gives it, baked into the image.
    pub user: Option<String>,
    /// Platform, e.g. `linux/amd64`.
    pub platform: String,
}

/// Where an image's source comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A directory, relative to the manifest that names it.
    Path(String),
    /// A repository, a ref of it, and a directory in it.
    Git {
        /// Address of the repository.
        url: String,
        /// Branch, tag or commit; the default branch without it.
        r#ref: Option<String>,
        /// Directory inside the repository.
        path: Option<String>,
    },
    /// A finished image.
    Reference(String),
}

/// What an image starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Base {
    /// A minimal system made from the distribution's packages.
    Debootstrap {
        /// Release, e.g. `bookworm`.
        suite: String,
        /// Snapshot date that pins the packages, if any.
        snapshot: Option<String>,
    },
    /// An image reference.
    Reference(String),
    /// The configurator brings its own (`dockerfile`).
    None,
}

/// What turns a base and a source into an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "method", deny_unknown_fields)]
pub enum Configurator {
    /// `puppet apply` of class `scs` with the source's `puppet/` as module path.
    Puppet {
        /// Kind → name → parameters, declared as `scs::KIND`.
        #[serde(default)]
        resources: serde_json::Map<String, serde_json::Value>,
    },
    /// Scripts of the source, in order.
    Shell {
        /// Relative to the source.
        scripts: Vec<String>,
    },
    /// A Dockerfile of the source.
    Dockerfile {
        /// Relative to the source.
        file: String,
        /// Stage to stop at.
        target: Option<String>,
    },
    /// The base as it is.
    None,
}

/// How the container's process is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Overrides the image's command.
    pub command: Option<Vec<String>>,
    /// Environment variables, templates (`{{ … }}`) not yet filled in.
    pub environment: IndexMap<String, String>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// CPU limit in cores.
    pub cpus: Option<f64>,
    /// `name → (soft, hard)`.
    #[serde(default)]
    pub ulimits: BTreeMap<String, (u64, u64)>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Kernel capabilities to add.
    #[serde(default)]
    pub cap_add: Vec<String>,
    /// In-memory directories by path → mount options.
    #[serde(default)]
    pub tmpfs: BTreeMap<String, String>,
    /// Whether the engine's init runs as process 1.
    #[serde(default)]
    pub init: bool,
    /// How long the process has between the stop signal and being killed.
    #[serde(with = "crate::duration")]
    pub stop_grace_period: Duration,
}

/// When an ended container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Whatever its exit code.
    Always,
    /// Only when the exit code is not 0.
    OnFailure,
    /// Never.
    Never,
}

/// One provided service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provide {
    /// What it is, in words.
    pub description: Option<String>,
    /// Port inside the container.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// How it is announced.
    pub method: ProvideMethod,
    /// Where on the host it is bound.
    pub publish: Publish,
    /// Attributes that subscribers can match.
    pub attributes: BTreeMap<String, String>,
    /// When it is announced, and when it is marked failing.
    pub health: Option<Health>,
}

/// Transport of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// How a provided service is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvideMethod {
    /// Registered with disco.
    Disco,
    /// Bound on the host but announced to nobody.
    Static,
}

/// Where a provided service is bound on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// A fixed host port; the engine picks a free one without it.
    pub port: Option<u16>,
    /// A further address to bind, beside loopback and the host's own.
    pub address: Option<String>,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// Time between checks once it has passed.
    #[serde(with = "crate::duration")]
    pub interval: Duration,
    /// How long one check may take.
    #[serde(with = "crate::duration")]
    pub timeout: Duration,
    /// How long it may fail after the start before the start has failed.
    #[serde(with = "crate::duration")]
    pub start: Duration,
    /// Failures in a row that mark it failing.
    pub unhealthy: u32,
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Probe {
    /// `GET` of this path answers with a status below 400.
    Http(String),
    /// A connection is accepted.
    Tcp,
    /// A command inside the container exits 0.
    Command(Vec<String>),
}

/// One required service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Require {
    /// What it is, in words.
    pub description: Option<String>,
    /// Where endpoints come from.
    pub method: RequireMethod,
    /// How many endpoints it needs before the container may start; 0 makes it optional.
    pub min: u32,
    /// How long a start waits for them before `scs up` says so.
    #[serde(with = "crate::duration")]
    pub wait: Duration,
    /// How a change reaches the running container.
    pub liveupdate: LiveUpdate,
}

/// Where the endpoints of a requirement come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RequireMethod {
    /// Pushed by disco.
    Disco(Query),
    /// Fixed `host:port` addresses.
    Static(Vec<String>),
}

/// What a requirement asks of disco: name and attributes, every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Environment part of the name.
    pub environment: String,
    /// Service part of the name.
    pub service: String,
    /// Role part of the name, or `*`.
    pub role: String,
    /// Endpoint part of the name.
    pub endpoint: String,
    /// Attributes that must hold.
    #[serde(default)]
    pub r#match: BTreeMap<String, Condition>,
    /// Attributes by which endpoints are preferred, the most important first.
    #[serde(default)]
    pub prefer: Vec<String>,
}

/// What must hold of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// It is one of these.
    In(Vec<String>),
    /// It is none of these (or absent).
    Not(Vec<String>),
    /// It is there, or is not.
    Exists(bool),
}

/// How a change of endpoints or a secret reaches the running container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveUpdate {
    /// What is done.
    pub action: LiveAction,
    /// How long the command may run.
    #[serde(with = "crate::duration")]
    pub timeout: Duration,
    /// At least this long after the first change of a burst.
    #[serde(with = "crate::duration")]
    pub debounce: Duration,
    /// What follows a failed command.
    pub on_failure: OnFailure,
    /// What an empty set of endpoints means.
    pub on_empty: OnEmpty,
}

/// What is done inside the container on a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LiveAction {
    /// The command is run inside the container.
    Command(Vec<String>),
    /// The signal (`HUP`, `USR1`, …) is sent to process 1.
    Signal(String),
    /// The container is created anew.
    Restart,
    /// Files are rewritten and nothing else happens.
    None,
}

/// What follows a failed live update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Tried again with backoff.
    Retry,
    /// The container is created anew.
    Restart,
    /// Recorded, and that is all.
    Ignore,
}

/// What an empty set of endpoints means to the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// The last endpoints stay, unless they all left cleanly.
    Hold,
    /// The container is told at once.
    Apply,
}

/// One use of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretUse {
    /// Name in the deployment's `secrets`.
    pub from: String,
    /// How the container gets it.
    pub r#as: SecretAs,
    /// How a rotated value reaches the running container.
    pub liveupdate: LiveUpdate,
}

/// How a container gets a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretAs {
    /// As `/run/secrets/NAME`.
    File,
    /// As an environment variable `NAME`, for images that know nothing else.
    Environment,
}

/// One volume of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Where it is mounted in the container.
    pub path: String,
    /// Who may write to it.
    pub access: Access,
    /// User (name or id, resolved inside the image) that owns a new volume's root directory.
    pub owner: Option<String>,
    /// Permission bits of a new volume's root directory.
    pub mode: Option<u32>,
    /// Mounted read-only.
    #[serde(default)]
    pub read_only: bool,
    /// What provides it: `local`, `sub`, `bind`, `docker`, `nfs`, `aws-ec2-ebs`; looked up in a registry of factories.
    pub method: String,
    /// The method's own options, as JSON values: `sub` has `of` and `path`, `bind` has `from`, ….
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// Who may write to a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// One container at a time.
    Single,
    /// Many.
    Shared,
}

/// How a container is attached to the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// `bridge`, `host`, `macvlan`, `aws-ec2-eni`; looked up in a registry of factories.
    pub method: String,
    /// The method's own options, as JSON values.
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// Commands around a consistent copy of the volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiesce {
    /// Makes what is on disk consistent.
    pub command: Vec<String>,
    /// Lets writing go on.
    pub release: Option<Vec<String>>,
}

/// A log file inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// Path inside the container.
    pub path: String,
    /// Shown beside each line.
    pub r#type: String,
}

/// Which hosts may run a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// This host and no other.
    pub host: Option<String>,
    /// Hosts whose labels hold this.
    #[serde(default)]
    pub r#match: BTreeMap<String, Condition>,
    /// Instances are spread over the values of this label.
    pub spread: Option<String>,
}

/// What happens to a role whose host is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHostLoss {
    /// It waits for the host.
    Wait,
    /// It starts elsewhere, once no second writer is possible.
    Elsewhere,
}

/// How a second writer is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// Only by the holder's word, or its storage.
    None,
    /// A lease at whose end a watchdog kills the container.
    Lease,
}
