//! The image manifest: what a container of an image needs and offers, never where it gets it.

mod connections;
mod engine;

pub(crate) use connections::ACCESS;
pub(crate) use engine::reference;

use crate::compiled;
use crate::diagnostic::Diagnostic;
use crate::reader::{Reader, Spanned};
use crate::source::{File, Span};
use crate::tree::{Map, Node};
use crate::yaml;
use indexmap::IndexMap;

/// An image manifest, every default of its own filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Where it stands.
    pub span: Span,
    /// Whether nobody has written one: a finished image says nothing of itself.
    pub silent: bool,
    /// Short human name.
    pub title: Option<String>,
    /// What it is, in words.
    pub description: Option<String>,
    /// What the engine is told.
    pub docker: Docker,
    /// How the image is made.
    pub config: Config,
    /// Provided services by endpoint name.
    pub provide: IndexMap<String, Provide>,
    /// Required services by name.
    pub require: IndexMap<String, Require>,
    /// Secrets by the name of their file.
    pub secrets: IndexMap<String, Secret>,
    /// Volumes by name.
    pub volumes: IndexMap<String, Volume>,
    /// Commands around a consistent copy of the volumes.
    pub quiesce: Option<compiled::Quiesce>,
    /// Log files inside the container.
    pub logs: Vec<compiled::LogFile>,
}

/// What the engine is told about the image and its containers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Docker {
    /// Where the section stands.
    pub span: Option<Span>,
    /// What the image starts from.
    pub from: Option<Spanned<compiled::Base>>,
    /// Command, baked into the image.
    pub command: Option<Vec<String>>,
    /// Entry point, baked into the image.
    pub entrypoint: Option<Vec<String>>,
    /// User, baked into the image.
    pub user: Option<String>,
    /// `name → (soft, hard)`.
    pub ulimits: std::collections::BTreeMap<String, (u64, u64)>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Kernel capabilities to add.
    pub cap_add: Vec<String>,
    /// In-memory directories: path → mount options.
    pub tmpfs: std::collections::BTreeMap<String, String>,
    /// Whether the engine's init runs as process 1.
    pub init: bool,
}

/// How the image is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the section stands, if there is one.
    pub span: Option<Span>,
    /// What turns base and source into the image.
    pub configurator: compiled::Configurator,
    /// Parameters and their defaults.
    pub parameters: Map,
}

/// A provided service.
#[derive(Debug, Clone, PartialEq)]
pub struct Provide {
    /// Where its name stands.
    pub key: Span,
    /// What it is, in words.
    pub description: Option<String>,
    /// Port inside the container.
    pub port: u16,
    /// Transport.
    pub protocol: compiled::Protocol,
    /// When it is announced.
    pub health: Option<compiled::Health>,
}

/// A required service.
#[derive(Debug, Clone, PartialEq)]
pub struct Require {
    /// Where its name stands.
    pub key: Span,
    /// What it is, in words.
    pub description: Option<String>,
    /// How many endpoints it needs, unless the deployment says otherwise.
    pub min: Option<u32>,
    /// How a change reaches the running container.
    pub liveupdate: compiled::LiveUpdate,
}

/// A secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Secret {
    /// Where its name stands.
    pub key: Span,
    /// What it is, in words.
    pub description: Option<String>,
    /// How a rotated value reaches the running container.
    pub liveupdate: compiled::LiveUpdate,
}

/// A volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Where its name stands.
    pub key: Span,
    /// What it is, in words.
    pub description: Option<String>,
    /// Where it is mounted in the container.
    pub path: String,
    /// Who may write to it.
    pub access: compiled::Access,
    /// Owner of a new volume's root directory.
    pub owner: Option<String>,
    /// Permission bits of a new volume's root directory.
    pub mode: Option<u32>,
}

/// Reads an image manifest; all that is wrong with it at once.
pub fn parse(file: &File) -> Result<Manifest, Vec<Diagnostic>> {
    let mut reader = Reader::default();
    let manifest = yaml::parse(file, &mut reader.found).and_then(|root| read(&root, Form::File, &mut reader));
    match manifest {
        Some(manifest) if reader.found.is_empty() => Ok(manifest),
        _ => Err(reader.found),
    }
}

/// Where an image manifest stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In a file of its own, which names its version.
    File,
    /// Inside a deployment manifest, whose version counts.
    Inline,
}

pub(crate) fn read(root: &Node, form: Form, reader: &mut Reader) -> Option<Manifest> {
    let what = if form == Form::File { "an image manifest" } else { "an inline image manifest" };
    let mut fields = reader.fields(root, what)?;
    let version = match form {
        Form::File => fields.require("version", reader),
        Form::Inline => fields.get("version"),
    };
    if let Some(version) = version {
        reader.version(version);
    }
    let (title, description) = about(fields.get("about"), reader);
    let docker = engine::docker(fields.get("engine"), reader);
    let config = engine::config(fields.entry("config"), &docker, reader);
    let manifest = Manifest {
        span: root.span.clone(),
        silent: false,
        title,
        description,
        docker,
        config,
        provide: connections::provides(fields.entry("provide"), reader),
        require: connections::requires(fields.entry("require"), reader),
        secrets: connections::secrets(fields.entry("secret"), reader),
        volumes: connections::volumes(fields.entry("volume"), reader),
        quiesce: fields.get("quiesce").and_then(|node| connections::quiesce(node, reader)),
        logs: fields.get("logs").map(|node| connections::logs(node, reader)).unwrap_or_default(),
    };
    reader.finish(&fields);
    Some(manifest)
}

impl Manifest {
    /// The manifest of a finished image that says nothing about itself.
    pub(crate) fn silent(span: &Span) -> Self {
        Self {
            span: span.clone(),
            silent: true,
            title: None,
            description: None,
            docker: Docker::default(),
            config: Config { span: None, configurator: compiled::Configurator::None, parameters: Map::new() },
            provide: IndexMap::new(),
            require: IndexMap::new(),
            secrets: IndexMap::new(),
            volumes: IndexMap::new(),
            quiesce: None,
            logs: Vec::new(),
        }
    }
}

fn about(node: Option<&Node>, reader: &mut Reader) -> (Option<String>, Option<String>) {
    let Some(mut fields) = node.and_then(|node| reader.section(node, "`about`")) else { return (None, None) };
    let title = fields.get("title").and_then(|node| reader.text(node));
    let description = fields.get("description").and_then(|node| reader.text(node));
    reader.finish(&fields);
    (title, description)
}

impl Reader {
    /// `version: 1`, the only one so far.
    pub(crate) fn version(&mut self, node: &Node) {
        if self.count(node, 0, u64::MAX).is_some_and(|version| version != 1) {
            let finding = Diagnostic::error(&node.span, "this scs reads version 1 of the manifests");
            self.push(finding.help("write `version: 1`, or use an scs that knows the newer version"));
        }
    }
}
