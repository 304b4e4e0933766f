//! One role of a deployment manifest.

use super::connections::{self, Network, Provide, Require, Volume};
use super::globals::Globals;
use super::secrets;
use crate::compiled::{Fence, OnHostLoss, Placement, Restart, SecretAs, Source};
use crate::diagnostic::Diagnostic;
use crate::image;
use crate::reader::{Reader, Spanned, is_secret, is_variable};
use crate::source::Span;
use crate::tree::{Entry, Map, Node};
use indexmap::IndexMap;
use std::time::Duration;

/// A role as the deployment manifest gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Where its name stands.
    pub key: Span,
    /// Its image; `None` only when what was given cannot be read.
    pub image: Option<ImageUse>,
    /// The image manifest, inline.
    pub manifest: Option<image::Manifest>,
    /// Overrides the image's command.
    pub command: Option<Vec<String>>,
    /// Provided services that the role says something of.
    pub provide: IndexMap<String, Spanned<Provide>>,
    /// Provided services of the image that the role does not provide (`null`), and where it says so.
    pub withheld: IndexMap<String, Span>,
    /// Required services that the role says something of.
    pub require: IndexMap<String, Spanned<Require>>,
    /// Volumes that the role says something of.
    pub volumes: IndexMap<String, Spanned<Volume>>,
    /// Secrets by the name the image gives them.
    pub secrets: IndexMap<String, Spanned<SecretUse>>,
    /// How it is attached to the network.
    pub network: Network,
    /// Environment variables.
    pub environment: IndexMap<String, Spanned<Variable>>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// CPU limit in cores.
    pub cpus: Option<f64>,
    /// When an ended container is started again.
    pub restart: Restart,
    /// How long the process has between the stop signal and being killed.
    pub stop_grace_period: Duration,
    /// How many instances run.
    pub replicas: Spanned<u32>,
    /// Which hosts may run it.
    pub placement: Placement,
    /// What happens when its host is lost.
    pub on_host_loss: OnHostLoss,
    /// How a second writer is kept out.
    pub fence: Spanned<Fence>,
}

/// Which image, with which configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageUse {
    /// Where it comes from.
    pub source: Spanned<Source>,
    /// Parameters over the image's own, and where they start.
    pub config: Map,
}

/// One use of a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretUse {
    /// Name in the deployment's `secrets`.
    pub from: Spanned<String>,
    /// How the container gets it.
    pub r#as: SecretAs,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq)]
pub enum Variable {
    /// As written, templates and all.
    Text(String),
    /// From the environment of whoever runs `scs`.
    FromEnv {
        /// Name there.
        name: String,
        /// Value when it is not there.
        default: Option<String>,
    },
}

const ALWAYS: [(&str, Restart); 3] =
    [("always", Restart::Always), ("on-failure", Restart::OnFailure), ("never", Restart::Never)];

pub(super) fn read(entry: &Entry, globals: &Globals<'_>, reader: &mut Reader) -> Option<Container> {
    let mut fields = reader.fields(&entry.node, "a role")?;
    if fields.get("image").is_none() {
        let finding = Diagnostic::error(&entry.key, "a role needs an `image`");
        reader.push(finding.help("`image: {source: {path: images/NAME}}`, or a finished one: `image: redis:7`"));
    }
    let (memory, cpus) = resources(fields.get("resources"), reader);
    let (provide, withheld) = provides(fields.entry("provide"), globals, reader);
    let replicas = fields.get("replicas").map(|node| (reader.count32(node, 0, 1000), &node.span));
    let container = Container {
        key: entry.key.clone(),
        image: fields.get("image").and_then(|node| image_use(node, reader)),
        manifest: fields.get("manifest").and_then(|node| image::read(node, image::Form::Inline, reader)),
        command: fields.get("command").and_then(|node| reader.command(node)),
        provide,
        withheld,
        require: connected(fields.entry("require"), "`require`", reader, |own, reader| {
            connections::require(Some(own), globals, reader)
        }),
        volumes: volumes(fields.entry("volume"), globals, reader),
        secrets: secret_uses(fields.entry("secrets"), reader),
        network: connections::network(fields.entry("network"), globals, reader),
        environment: environment(fields.entry("environment"), reader),
        memory,
        cpus,
        restart: fields.get("restart").and_then(|node| reader.word(node, &ALWAYS)).unwrap_or(Restart::Always),
        stop_grace_period: fields
            .get("stop_grace_period")
            .and_then(|node| reader.duration(node))
            // The engine's own default.
            .unwrap_or(Duration::from_secs(10)),
        replicas: match replicas {
            Some((count, span)) => Spanned::new(count.unwrap_or(1), span),
            None => Spanned::new(1, &entry.key),
        },
        placement: fields.get("place").map(|node| placement(node, reader)).unwrap_or_default(),
        on_host_loss: fields
            .get("on_host_loss")
            .and_then(|node| reader.word(node, &[("wait", OnHostLoss::Wait), ("elsewhere", OnHostLoss::Elsewhere)]))
            .unwrap_or(OnHostLoss::Wait),
        fence: match fields.get("fence") {
            Some(node) => {
                let word = reader.word(node, &[("none", Fence::None), ("lease", Fence::Lease)]);
                Spanned::new(word.unwrap_or(Fence::None), &node.span)
            }
            None => Spanned::new(Fence::None, &entry.key),
        },
    };
    reader.finish(&fields);
    Some(container)
}

fn connected<T>(
    entry: Option<&Entry>,
    what: &'static str,
    reader: &mut Reader,
    read: impl Fn(&Entry, &mut Reader) -> T,
) -> IndexMap<String, Spanned<T>> {
    let entries = reader.entries(entry, what);
    entries.into_iter().map(|(name, entry)| (name.to_owned(), Spanned::new(read(entry, reader), &entry.key))).collect()
}

/// What the role says of provided services, and those it withholds.
fn provides(
    entry: Option<&Entry>,
    globals: &Globals<'_>,
    reader: &mut Reader,
) -> (IndexMap<String, Spanned<Provide>>, IndexMap<String, Span>) {
    let mut provide =
        connected(entry, "`provide`", reader, |own, reader| connections::provide(Some(own), globals, reader));
    let entries = entry.and_then(|entry| entry.node.map()).into_iter().flatten();
    let withheld: IndexMap<String, Span> = entries
        .filter(|(_, entry)| entry.node.is_written_null())
        .map(|(name, entry)| (name.clone(), entry.key.clone()))
        .collect();
    provide.retain(|name, _| !withheld.contains_key(name));
    (provide, withheld)
}

fn volumes(entry: Option<&Entry>, globals: &Globals<'_>, reader: &mut Reader) -> IndexMap<String, Spanned<Volume>> {
    for (name, entry) in reader.entries(entry, "`volume`") {
        reader.check_label(name, &entry.key, "the name of a volume");
    }
    // Whatever is wrong with the whole has been noted by the loop above.
    let entry = entry.filter(|entry| entry.node.map().is_some());
    connected(entry, "`volume`", reader, |own, reader| connections::volume(Some(own), globals, reader))
}

fn image_use(node: &Node, reader: &mut Reader) -> Option<ImageUse> {
    if node.map().is_none() {
        let reference = image::reference(node, reader)?;
        return Some(ImageUse { source: Spanned::new(Source::Reference(reference), &node.span), config: Map::new() });
    }
    let mut fields = reader.fields(node, "an image")?;
    let source = fields.require("source", reader).and_then(|node| source(node, reader));
    let mut config = Map::new();
    for (name, entry) in reader.entries(fields.entry("config"), "`config`") {
        config.insert(name.to_owned(), entry.clone());
    }
    reader.finish(&fields);
    source.map(|source| ImageUse { source, config })
}

fn source(node: &Node, reader: &mut Reader) -> Option<Spanned<Source>> {
    let mut fields = reader.fields(node, "a source")?;
    let given = fields.one_of(&["path", "git", "reference"], reader);
    reader.finish(&fields);
    let (key, node) = given?;
    let source = match key {
        "path" => Source::Path(reader.filled(node)?),
        "reference" => Source::Reference(image::reference(node, reader)?),
        _ => git(node, reader)?,
    };
    Some(Spanned::new(source, &node.span))
}

fn git(node: &Node, reader: &mut Reader) -> Option<Source> {
    let mut fields = reader.fields(node, "a git source")?;
    let url = fields.require("url", reader).and_then(|node| {
        let url = reader.filled(node)?;
        // A leading hyphen would be read as an option by git, whatever stands behind it.
        if url.starts_with('-') || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            reader.error(&node.span, format!("`{}` is no address of a repository", url.escape_debug()));
            return None;
        }
        Some(url)
    });
    let r#ref = fields.get("ref").and_then(|node| {
        let name = reader.written(node)?;
        if name.is_empty() || name.starts_with('-') || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            reader.error(&node.span, format!("`{}` is no branch, tag or commit", name.escape_debug()));
            return None;
        }
        Some(name)
    });
    let path = fields.get("path").and_then(|node| reader.inner_path(node));
    reader.finish(&fields);
    Some(Source::Git { url: url?, r#ref, path })
}

fn resources(node: Option<&Node>, reader: &mut Reader) -> (Option<u64>, Option<f64>) {
    let Some(mut fields) = node.and_then(|node| reader.section(node, "`resources`")) else { return (None, None) };
    let memory = fields.get("memory").and_then(|node| reader.size(node));
    let cpus = fields.get("cpus").and_then(|node| reader.positive(node));
    reader.finish(&fields);
    (memory, cpus)
}

fn secret_uses(entry: Option<&Entry>, reader: &mut Reader) -> IndexMap<String, Spanned<SecretUse>> {
    let mut uses = IndexMap::new();
    for (name, entry) in reader.entries(entry, "`secrets`") {
        let (from, r#as) = if entry.node.map().is_some() {
            let Some(mut fields) = reader.fields(&entry.node, "the use of a secret") else { continue };
            let from = fields.require("from", reader).cloned();
            let how = fields.get("as").and_then(|node| {
                reader.word(node, &[("file", SecretAs::File), ("environment", SecretAs::Environment)])
            });
            reader.finish(&fields);
            (from, how.unwrap_or(SecretAs::File))
        } else {
            (Some(entry.node.clone()), SecretAs::File)
        };
        if r#as == SecretAs::Environment && !is_variable(name) {
            reader.error(&entry.key, format!("`{name}` cannot be the name of an environment variable"));
        }
        let Some(from) = from else { continue };
        let Some(text) = reader.filled(&from) else { continue };
        if !is_secret(&text) {
            reader.error(&from.span, format!("`{}` cannot be the name of a secret", text.escape_debug()));
            continue;
        }
        uses.insert(
            name.to_owned(),
            Spanned::new(SecretUse { from: Spanned::new(text, &from.span), r#as }, &entry.key),
        );
    }
    uses
}

fn environment(entry: Option<&Entry>, reader: &mut Reader) -> IndexMap<String, Spanned<Variable>> {
    let mut variables = IndexMap::new();
    for (name, entry) in reader.entries(entry, "`environment`") {
        if !is_variable(name) {
            reader
                .error(&entry.key, format!("`{}` cannot be the name of an environment variable", name.escape_debug()));
        } else if name.starts_with("SCS_") {
            reader.error(&entry.key, format!("`{name}` cannot be set: variables starting with SCS_ are scs's own"));
        }
        let Some(value) = variable(&entry.node, reader) else { continue };
        variables.insert(name.to_owned(), Spanned::new(value, &entry.node.span));
    }
    variables
}

fn variable(node: &Node, reader: &mut Reader) -> Option<Variable> {
    if node.map().is_none() {
        let text = reader.written(node)?;
        if text.contains('\0') {
            reader.error(&node.span, "an environment variable cannot hold a zero byte");
        }
        return Some(Variable::Text(text));
    }
    let mut fields = reader.fields(node, "a variable's value")?;
    let name = fields.require("from_env", reader).and_then(|node| secrets::variable(node, reader));
    let default = fields.get("default").and_then(|node| reader.written(node));
    reader.finish(&fields);
    Some(Variable::FromEnv { name: name?, default })
}

pub(super) fn placement(node: &Node, reader: &mut Reader) -> Placement {
    let Some(mut fields) = reader.section(node, "a placement") else { return Placement::default() };
    let placement = Placement {
        host: fields.get("host").and_then(|node| reader.filled(node)),
        r#match: reader.conditions(fields.entry("match"), "`match`"),
        spread: fields.get("spread").and_then(|node| reader.filled(node)),
    };
    reader.finish(&fields);
    placement
}
