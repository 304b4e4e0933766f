//! One role: its image, and each of its connections as the deployment makes it and the image declares it.

use super::{Context, environment, image, resolve, volumes};
use crate::compiled::{Process, Provide, ProvideMethod, Publish, Role, SecretUse};
use crate::deployment::Container;
use crate::diagnostic::{Diagnostic, listed, suggest};
use crate::image::Manifest;
use crate::reader::Reader;
use crate::source::Span;
use indexmap::IndexMap;

/// The compiled role without its digests; `None` if its image cannot be read.
pub(super) fn compile(name: &str, container: &Container, context: &Context<'_>, reader: &mut Reader) -> Option<Role> {
    let manifest = context.images.get(name)?;
    let image = image::compile(name, container, manifest, context, reader);
    let provide = provides(container, manifest, context, reader);
    let require = resolve::requires(name, container, manifest, context, reader);
    let secrets = secrets(name, container, manifest, context, reader);
    let volumes = volumes::compile(container, manifest, context, reader);
    volumes::check_fence(container, manifest, &volumes, reader);
    // Templates are checked against the parameters, which without an image nobody knows.
    let parameters = image.as_ref().map(|image| &image.parameters);
    let environment = environment::compile(container, manifest, parameters, context, reader);
    Some(Role {
        name: name.to_owned(),
        image_digest: String::new(),
        spec_digest: String::new(),
        image: image?,
        process: Process {
            command: container.command.clone(),
            environment,
            memory: container.memory,
            cpus: container.cpus,
            ulimits: manifest.docker.ulimits.clone(),
            shm_size: manifest.docker.shm_size,
            cap_add: manifest.docker.cap_add.clone(),
            tmpfs: manifest.docker.tmpfs.clone(),
            init: manifest.docker.init,
            stop_grace_period: container.stop_grace_period,
        },
        provide,
        require,
        secrets,
        volumes,
        network: crate::compiled::Network {
            method: container.network.method.value.clone(),
            options: container.network.options.clone(),
        },
        quiesce: manifest.quiesce.clone(),
        logs: manifest.logs.clone(),
        replicas: container.replicas.value,
        placement: container.placement.clone(),
        on_host_loss: container.on_host_loss,
        fence: container.fence.value,
        restart: container.restart,
    })
}

/// A kind of connection, as an image declares it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Connection {
    Provide,
    Require,
    Secret,
    Volume,
}

impl Connection {
    fn word(self) -> &'static str {
        match self {
            Connection::Provide => "provided service",
            Connection::Require => "required service",
            Connection::Secret => "secret",
            Connection::Volume => "volume",
        }
    }

    /// How a role declares one for an image that has no manifest of its own.
    pub(super) fn inline(self, name: &str) -> String {
        match self {
            Connection::Provide => format!("manifest: {{provide: {{{name}: {{port: 80}}}}}}"),
            Connection::Require => format!("manifest: {{require: {{{name}: {{}}}}}}"),
            Connection::Secret => format!("manifest: {{secret: {{{name}: {{}}}}}}"),
            Connection::Volume => format!("manifest: {{volume: {{{name}: {{path: /…}}}}}}"),
        }
    }
}

/// A connection that the image does not declare.
pub(super) fn undeclared<'a>(
    kind: Connection,
    name: &str,
    span: &Span,
    manifest: &Manifest,
    declared: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let what = kind.word();
    let help = suggest(name, declared.clone()).unwrap_or_else(|| match declared.clone().next() {
        Some(_) => format!("it declares {}", listed(declared)),
        None if manifest.silent => {
            format!("a finished image declares nothing; the role can, in its place: `{}`", kind.inline(name))
        }
        None => format!("it declares no {what} at all"),
    });
    let finding = Diagnostic::error(span, format!("the image declares no {what} `{name}`")).help(help);
    if manifest.span.file == span.file { finding } else { finding.related(&manifest.span, "the image manifest") }
}

fn provides(
    container: &Container,
    manifest: &Manifest,
    context: &Context<'_>,
    reader: &mut Reader,
) -> IndexMap<String, Provide> {
    for (name, provide) in &container.provide {
        if !manifest.provide.contains_key(name) {
            let declared = manifest.provide.keys().map(String::as_str);
            reader.push(undeclared(Connection::Provide, name, &provide.span, manifest, declared));
        }
    }
    let mut provides = IndexMap::new();
    for (name, declared) in &manifest.provide {
        let used = container.provide.get(name).map_or(&context.manifest.defaults.provide, |provide| &provide.value);
        let method = used.method.value;
        provides.insert(
            name.clone(),
            Provide {
                description: declared.description.clone(),
                port: declared.port,
                protocol: declared.protocol,
                method,
                publish: Publish { port: used.publish.port, address: used.publish.address.clone() },
                attributes: if method == ProvideMethod::Disco { used.attributes.clone() } else { Default::default() },
                health: declared.health.clone(),
            },
        );
    }
    provides
}

fn secrets(
    role: &str,
    container: &Container,
    manifest: &Manifest,
    context: &Context<'_>,
    reader: &mut Reader,
) -> IndexMap<String, SecretUse> {
    let defined = &context.manifest.secrets;
    let mut uses = IndexMap::new();
    for (name, used) in &container.secrets {
        let from = &used.value.from;
        if !defined.contains_key(&from.value) {
            let names = || defined.keys().map(String::as_str);
            let finding = Diagnostic::error(&from.span, format!("no secret `{}` is defined", from.value));
            let help = suggest(&from.value, names())
                .unwrap_or_else(|| format!("define it: `secrets: {{{}: {{generate: 32}}}}`", from.value));
            reader.push(finding.help(help));
        }
        match manifest.secrets.get(name) {
            None => {
                let declared = manifest.secrets.keys().map(String::as_str);
                reader.push(undeclared(Connection::Secret, name, &used.span, manifest, declared));
            }
            Some(declared) => {
                let liveupdate = declared.liveupdate.clone();
                uses.insert(name.clone(), SecretUse { from: from.value.clone(), r#as: used.value.r#as, liveupdate });
            }
        }
    }
    for (name, declared) in manifest.secrets.iter().filter(|(name, _)| !container.secrets.contains_key(*name)) {
        let finding = Diagnostic::error(&container.key, format!("the image of `{role}` needs a secret `{name}`"))
            .related(&declared.key, "declared here");
        reader
            .push(finding.help(format!(
                "`secrets: {{{name}: NAME}}` in the role, NAME being one of the deployment's `secrets`"
            )));
    }
    uses
}
