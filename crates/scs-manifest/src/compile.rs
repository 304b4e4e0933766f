//! From a merged tree and the images' manifests to the compiled form of every role, all that is wrong reported at once.

mod cycles;
mod environment;
mod image;
mod ports;
mod resolve;
mod role;
mod volumes;

use crate::compiled::{Deployment, Role};
use crate::diagnostic::Diagnostic;
use crate::merge::Tree;
use crate::reader::{Reader, is_label};
use crate::source::File;
use crate::{deployment, digest};
use indexmap::IndexMap;
use std::collections::HashMap;

/// What is compiled, and what the caller looked up for it.
pub struct Request<'a> {
    /// First part of every endpoint name, chosen at run time.
    pub environment: &'a str,
    /// The deployment manifest, overlays applied.
    pub tree: &'a Tree,
    /// For each role of [`deployment::sources`], what its source holds.
    pub images: &'a HashMap<String, ImageInput>,
    /// Platform of the images, e.g. `linux/amd64`.
    pub platform: &'a str,
    /// Looks a variable up in the environment of whoever runs `scs`, for `{from_env: …}`.
    pub caller_env: &'a dyn Fn(&str) -> Option<String>,
}

/// What a role's source holds.
#[derive(Debug, Clone, Default)]
pub struct ImageInput {
    /// Its `image.yaml`, if there is one.
    pub manifest: Option<File>,
    /// [`digest::source`] of its content, lower-case hex; `None` for a finished image, or where only validating.
    pub source_digest: Option<String>,
    /// Why the source cannot be read, e.g. "there is no directory images/mysql".
    pub problem: Option<String>,
}

/// Compiles every role; the warnings come with the result, the errors instead of it.
pub fn compile(request: &Request<'_>) -> Result<(Deployment, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut reader = Reader::default();
    let deployment = run(request, &mut reader);
    let found = in_order(reader.found, request.tree);
    match deployment {
        Some(deployment) if !found.iter().any(Diagnostic::is_error) => Ok((deployment, found)),
        _ => Err(found),
    }
}

fn run(request: &Request<'_>, reader: &mut Reader) -> Option<Deployment> {
    if !is_label(request.environment) {
        let place = &request.tree.root.span;
        let message = format!("the environment's name, `{}`, is not a DNS label", request.environment);
        reader.push(Diagnostic::error(place, message).help("lower-case letters, digits and inner hyphens, 63 at most"));
    }
    let manifest = deployment::read(&request.tree.root, reader)?;
    let images = image::manifests(&manifest, request, reader);
    let context = Context { request, manifest: &manifest, images: &images };
    let mut roles: IndexMap<String, Role> = IndexMap::new();
    for (name, container) in &manifest.containers {
        if let Some(role) = role::compile(name, container, &context, reader) {
            roles.insert(name.clone(), role);
        }
    }
    cycles::check(&context, &roles, reader);
    ports::check(&context, &roles, reader);
    check_secrets(&context, reader);
    for role in roles.values_mut() {
        role.image_digest = digest::image_digest(&role.image);
        role.spec_digest = digest::spec_digest(role);
    }
    Some(Deployment {
        version: 1,
        environment: request.environment.to_owned(),
        service: manifest.service.value.clone(),
        secrets: manifest.secrets.iter().map(|(name, secret)| (name.clone(), secret.value.clone())).collect(),
        roles,
        layouts: manifest.layouts,
    })
}

/// What every role is compiled against.
struct Context<'a> {
    request: &'a Request<'a>,
    manifest: &'a deployment::Manifest,
    /// By role; a role is missing whose image manifest cannot be read.
    images: &'a HashMap<String, crate::image::Manifest>,
}

fn check_secrets(context: &Context<'_>, reader: &mut Reader) {
    let used = |name: &str| {
        let uses = context.manifest.containers.values().flat_map(|container| container.secrets.values());
        uses.into_iter().any(|secret| secret.value.from.value == name)
    };
    for (name, secret) in &context.manifest.secrets {
        if !used(name) {
            reader.push(Diagnostic::warning(&secret.span, format!("no role uses the secret `{name}`")));
        }
    }
}

/// Each finding once, in the order of the files and lines.
fn in_order(found: Vec<Diagnostic>, tree: &Tree) -> Vec<Diagnostic> {
    let rank = |finding: &Diagnostic| {
        let file = tree.files.iter().position(|file| *file.name == *finding.primary.file);
        (file.unwrap_or(usize::MAX), finding.primary.file.to_string(), finding.primary.start)
    };
    let mut unique: Vec<Diagnostic> = Vec::new();
    for finding in found {
        // Several roles of one image, or several uses of one default, find the same.
        let same = |other: &Diagnostic| other.primary == finding.primary && other.message == finding.message;
        if !unique.iter().any(same) {
            unique.push(finding);
        }
    }
    unique.sort_by_key(rank);
    unique
}
