//! The deployment manifest: which images, with which configuration, connected how.

mod connections;
mod container;
mod globals;
mod methods;
mod secrets;

pub use connections::{Match, Network, Provide, Require, RequireFrom, Volume};
pub use container::{Container, ImageUse, SecretUse, Variable};
pub(crate) use methods::{Kind, Method, NETWORK, OptionKind, VOLUME};

use crate::compiled::{Placement, SecretSource};
use crate::diagnostic::{Diagnostic, suggest};
use crate::reader::{Reader, Spanned};
use crate::source::Span;
use crate::tree::{Entry, Map, Node};
use globals::Globals;
use indexmap::IndexMap;

/// A deployment manifest, overlays applied and defaults filled in, images not yet looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Second part of every endpoint name.
    pub service: Spanned<String>,
    /// Secrets by name.
    pub secrets: IndexMap<String, Spanned<SecretSource>>,
    /// Roles by name.
    pub containers: IndexMap<String, Container>,
    /// Named placements: layout → role → placement.
    pub layouts: IndexMap<String, IndexMap<String, Placement>>,
    /// What a connection is that its role leaves out.
    pub defaults: Defaults,
}

/// What a connection is that its role leaves out.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// A provided service.
    pub provide: Provide,
    /// A required service.
    pub require: Require,
    /// A volume.
    pub volume: Volume,
}

/// Reads a merged tree; all that is wrong with it at once.
pub fn parse(root: &Node) -> Result<Manifest, Vec<Diagnostic>> {
    let mut reader = Reader::default();
    let manifest = read(root, &mut reader);
    match manifest {
        Some(manifest) if reader.found.is_empty() => Ok(manifest),
        _ => Err(reader.found),
    }
}

/// Reads what can be read; what cannot is noted.
pub(crate) fn read(root: &Node, reader: &mut Reader) -> Option<Manifest> {
    let mut fields = reader.fields(root, "a deployment manifest")?;
    if let Some(version) = fields.require("version", reader) {
        reader.version(version);
    }
    let service = fields.require("service", reader).and_then(|node| reader.label(node));
    let globals = Globals::read(fields.get("global"), reader);
    let secrets = secrets::read(fields.entry("secrets"), reader);
    let containers = containers(&mut fields, &globals, reader);
    let layouts = layouts(fields.entry("layouts"), &containers, reader);
    let defaults = Defaults {
        provide: connections::provide(None, &globals, reader),
        require: connections::require(None, &globals, reader),
        volume: connections::volume(None, &globals, reader),
    };
    reader.finish(&fields);
    let service = service.unwrap_or_else(|| Spanned::new("service".to_owned(), &root.span));
    Some(Manifest { service, secrets, containers, layouts, defaults })
}

fn containers(
    fields: &mut crate::reader::Fields<'_>,
    globals: &Globals<'_>,
    reader: &mut Reader,
) -> IndexMap<String, Container> {
    let mut containers = IndexMap::new();
    let entry = fields.entry("containers");
    if entry.is_none_or(|entry| entry.node.is_null() || entry.node.map().is_some_and(Map::is_empty)) {
        let span = entry.map_or(fields.span, |entry| &entry.key);
        let finding = Diagnostic::error(span, "a deployment manifest needs at least one role under `containers`");
        reader.push(finding.help("`scs init` writes one to start from"));
        return containers;
    }
    for (role, entry) in reader.entries(entry, "`containers`") {
        reader.check_label(role, &entry.key, "the name of a role");
        if let Some(container) = container::read(entry, globals, reader) {
            containers.insert(role.to_owned(), container);
        }
    }
    containers
}

fn layouts(
    entry: Option<&Entry>,
    containers: &IndexMap<String, Container>,
    reader: &mut Reader,
) -> IndexMap<String, IndexMap<String, Placement>> {
    let mut layouts = IndexMap::new();
    for (name, entry) in reader.entries(entry, "`layouts`") {
        reader.check_label(name, &entry.key, "the name of a layout");
        let mut roles = IndexMap::new();
        for (role, entry) in reader.entries(Some(entry), "a layout") {
            if !containers.contains_key(role) {
                let finding = Diagnostic::error(&entry.key, format!("`{role}` is no role of this manifest"));
                reader.push(finding.maybe_help(suggest(role, containers.keys().map(String::as_str))));
            }
            roles.insert(role.to_owned(), container::placement(&entry.node, reader));
        }
        layouts.insert(name.to_owned(), roles);
    }
    layouts
}

/// A role's source, whose `image.yaml` and content the caller looks up before compiling.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSource {
    /// The role.
    pub role: String,
    /// Where its image comes from.
    pub source: crate::compiled::Source,
    /// Where that is said; paths are relative to the directory of this file.
    pub span: Span,
    /// Whether the source's `image.yaml` is wanted: not for a finished image, nor when the manifest is inline.
    pub wants_manifest: bool,
}

/// The roles' sources. Only what is wrong with them is left out; `compile` says it.
#[must_use]
pub fn sources(root: &Node) -> Vec<RoleSource> {
    // Findings are thrown away here: `compile` reads the same tree and reports them.
    let Some(manifest) = read(root, &mut Reader::default()) else { return Vec::new() };
    let named = manifest.containers.into_iter();
    named
        .filter_map(|(role, container)| {
            let source = container.image?.source;
            let finished = matches!(source.value, crate::compiled::Source::Reference(_));
            let wants_manifest = !finished && container.manifest.is_none();
            Some(RoleSource { role, source: source.value, span: source.span, wants_manifest })
        })
        .collect()
}
