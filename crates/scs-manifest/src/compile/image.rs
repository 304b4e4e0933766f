//! What each role's image is made of.

use super::role::{Connection, undeclared};
use super::{Context, ImageInput, Request};
use crate::compiled::{Base, Configurator, Image, Source};
use crate::deployment::{self, Container};
use crate::diagnostic::{Diagnostic, nearest};
use crate::image::Manifest;
use crate::merge::over;
use crate::reader::Reader;
use crate::tree::{Map, Node, Value};
use crate::yaml;
use std::collections::HashMap;

/// The image manifest of each role: inline, or from its source, or nothing for a finished image.
pub(super) fn manifests(
    manifest: &deployment::Manifest,
    request: &Request<'_>,
    reader: &mut Reader,
) -> HashMap<String, Manifest> {
    let mut manifests = HashMap::new();
    for (role, container) in &manifest.containers {
        let Some(image) = &container.image else { continue };
        let input = request.images.get(role);
        if let Some(problem) = input.and_then(|input| input.problem.as_ref()) {
            reader.error(&image.source.span, problem);
        }
        let read = read(role, container, image, input, reader);
        manifests.extend(read.map(|manifest| (role.clone(), without_withheld(manifest, container, reader))));
    }
    manifests
}

/// What the role does not provide is as if its image did not.
fn without_withheld(mut manifest: Manifest, container: &Container, reader: &mut Reader) -> Manifest {
    let declared: Vec<&str> = manifest.provide.keys().map(String::as_str).collect();
    for (name, span) in container.withheld.iter().filter(|(name, _)| !declared.contains(&name.as_str())) {
        reader.push(undeclared(Connection::Provide, name, span, &manifest, declared.iter().copied()));
    }
    manifest.provide.retain(|name, _| !container.withheld.contains_key(name));
    manifest
}

fn read(
    role: &str,
    container: &Container,
    image: &deployment::ImageUse,
    input: Option<&ImageInput>,
    reader: &mut Reader,
) -> Option<Manifest> {
    if let Some(inline) = &container.manifest {
        return Some(inline.clone());
    }
    if matches!(image.source.value, Source::Reference(_)) {
        return Some(Manifest::silent(&image.source.span));
    }
    let Some(file) = input.and_then(|input| input.manifest.as_ref()) else {
        if input.is_none_or(|input| input.problem.is_none()) {
            let finding = Diagnostic::error(&image.source.span, format!("the source of `{role}` holds no image.yaml"));
            reader.push(finding.help("write one there, or give it inline as the role's `manifest`"));
        }
        return None;
    };
    let root = yaml::parse(file, &mut reader.found)?;
    crate::image::read(&root, crate::image::Form::File, reader)
}

/// The image of a role; its digest comes later.
pub(super) fn compile(
    role: &str,
    container: &Container,
    manifest: &Manifest,
    context: &Context<'_>,
    reader: &mut Reader,
) -> Option<Image> {
    let image = container.image.as_ref()?;
    let base = base(&image.source.value, manifest, reader)?;
    Some(Image {
        title: manifest.title.clone(),
        source: image.source.value.clone(),
        source_digest: context.request.images.get(role).and_then(|input| input.source_digest.clone()),
        base,
        configurator: manifest.config.configurator.clone(),
        parameters: parameters(&image.config, manifest, reader),
        command: manifest.docker.command.clone(),
        entrypoint: manifest.docker.entrypoint.clone(),
        user: manifest.docker.user.clone(),
        platform: context.request.platform.to_owned(),
    })
}

fn base(source: &Source, manifest: &Manifest, reader: &mut Reader) -> Option<Base> {
    let from = manifest.docker.from.as_ref();
    if let Source::Reference(reference) = source {
        if let Some(from) = from {
            reader.error(
                &from.span,
                format!("`{reference}` is a finished image, so `engine.docker.from` cannot be given"),
            );
        }
        if let (Some(span), false) = (&manifest.config.span, manifest.config.configurator == Configurator::None) {
            let finding =
                Diagnostic::error(span, format!("`{reference}` is a finished image and cannot be configured"));
            reader.push(finding.help("to build on it, name it in `engine.docker.from` of a source of your own"));
        }
        return Some(Base::Reference(reference.clone()));
    }
    match (&manifest.config.configurator, from) {
        // With `from` given too, reading the manifest has found the error.
        (Configurator::Dockerfile { .. }, _) => Some(Base::None),
        (_, Some(from)) => Some(from.value.clone()),
        (_, None) => {
            let span = manifest.docker.span.as_ref().unwrap_or(&manifest.span);
            let finding = Diagnostic::error(span, "the image manifest does not say what the image starts from");
            reader.push(finding.help("`engine: {docker: {from: {debootstrap: bookworm}}}`, or an image reference"));
            None
        }
    }
}

/// The deployment's parameters over the image's own.
fn parameters(config: &Map, manifest: &Manifest, reader: &mut Reader) -> serde_json::Map<String, serde_json::Value> {
    let own = &manifest.config.parameters;
    for (name, entry) in config.iter().filter(|(name, _)| !own.contains_key(*name)) {
        // The image may know parameters for which it gives no default; only a likely slip of the pen is worth a word.
        let unset = own.keys().filter(|key| !config.contains_key(*key)).map(String::as_str);
        if let Some(near) = nearest(name, unset) {
            let message = format!("the image gives no default for a parameter `{name}`, but one for `{near}`");
            let finding = Diagnostic::warning(&entry.key, message).related(&own[near].key, "the image's parameter");
            reader.push(finding.help(format!("did you mean `{near}`?")));
        }
    }
    let as_node = |map: &Map| Node { value: Value::Map(map.clone()), span: manifest.span.clone() };
    match over(as_node(own), as_node(config)).to_json() {
        serde_json::Value::Object(parameters) => parameters,
        _ => serde_json::Map::new(),
    }
}
