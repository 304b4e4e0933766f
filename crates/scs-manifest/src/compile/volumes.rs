//! The volumes of a role, and the directories of volumes that are volumes themselves.

use super::Context;
use super::role::{Connection, undeclared};
use crate::compiled::{Access, Fence, OnHostLoss, Volume};
use crate::deployment::{self, Container, VOLUME};
use crate::diagnostic::{Diagnostic, suggest};
use crate::image::Manifest;
use crate::reader::Reader;
use crate::source::Span;
use indexmap::IndexMap;

pub(super) fn compile(
    container: &Container,
    manifest: &Manifest,
    context: &Context<'_>,
    reader: &mut Reader,
) -> IndexMap<String, Volume> {
    let mut volumes = IndexMap::new();
    let own = container.volumes.keys().filter(|name| !manifest.volumes.contains_key(*name));
    for name in manifest.volumes.keys().chain(own) {
        let used = container.volumes.get(name);
        let how = used.map_or(&context.manifest.defaults.volume, |used| &used.value);
        let declared = manifest.volumes.get(name);
        if used.is_none() {
            check_default(name, container, how, reader);
        }
        let own_path = how.path.as_ref().map(|path| &path.value).filter(|_| used.is_some());
        let Some(path) = own_path.or(declared.map(|declared| &declared.path)) else {
            let Some(used) = used else { continue };
            let names = manifest.volumes.keys().map(String::as_str);
            let mut finding = undeclared(Connection::Volume, name, &used.span, manifest, names);
            if finding.help.as_ref().is_none_or(|help| !help.starts_with("did you mean")) && how.method.value != "sub" {
                let or = if manifest.silent {
                    format!("; or declare it: `{}`", Connection::Volume.inline(name))
                } else {
                    String::new()
                };
                finding = finding.help(format!("a volume of the deployment's own needs a `path` in the container{or}"));
            }
            reader.push(finding);
            continue;
        };
        let mut options = how.options.clone();
        if how.method.value == "sub" && !options.contains_key("path") {
            options.insert("path".to_owned(), name.as_str().into());
        }
        let volume = Volume {
            path: path.clone(),
            access: how.access.or(declared.map(|declared| declared.access)).unwrap_or(Access::Single),
            owner: how.owner.clone().or_else(|| declared.and_then(|declared| declared.owner.clone())),
            mode: how.mode.or(declared.and_then(|declared| declared.mode)),
            read_only: how.read_only,
            method: how.method.value.clone(),
            options,
        };
        volumes.insert(name.clone(), volume);
    }
    check_places(container, manifest, &volumes, reader);
    check_replicas(container, manifest, &volumes, reader);
    check_parents(container, manifest, &volumes, reader);
    volumes
}

/// A method that `global` chose may need more than `global` says.
fn check_default(name: &str, container: &Container, how: &deployment::Volume, reader: &mut Reader) {
    let options = VOLUME.method(&how.method.value).map(|method| method.options).unwrap_or_default();
    for option in options.iter().filter(|option| option.required && !how.options.contains_key(option.name)) {
        let message = format!("the volume `{name}` is of method `{}`, which needs `{}`", how.method.value, option.name);
        let finding = Diagnostic::error(&container.key, message).related(&how.method.span, "the method is chosen here");
        reader.push(finding.help(format!("`volume: {{{name}: {{{}: …}}}}` in the role", option.name)));
    }
}

/// Where a volume's name stands: in the deployment, else in the image.
fn place<'a>(name: &str, container: &'a Container, manifest: &'a Manifest) -> &'a Span {
    let used = container.volumes.get(name).map(|used| &used.span);
    used.or_else(|| manifest.volumes.get(name).map(|declared| &declared.key)).unwrap_or(&container.key)
}

fn check_places(container: &Container, manifest: &Manifest, volumes: &IndexMap<String, Volume>, reader: &mut Reader) {
    for (index, (name, volume)) in volumes.iter().enumerate() {
        let same = |other: &Volume| other.path.trim_end_matches('/') == volume.path.trim_end_matches('/');
        if let Some((first, _)) = volumes.iter().take(index).find(|(_, other)| same(other)) {
            let finding = Diagnostic::error(
                place(name, container, manifest),
                format!("`{name}` and `{first}` are both mounted at {}", volume.path),
            );
            reader.push(finding.related(place(first, container, manifest), "the other is here"));
        }
        if volume.path == "/" || volume.path.starts_with("/run/scs") || volume.path.starts_with("/run/secrets") {
            reader.error(place(name, container, manifest), format!("no volume can be mounted at {}", volume.path));
        }
    }
}

fn check_replicas(container: &Container, manifest: &Manifest, volumes: &IndexMap<String, Volume>, reader: &mut Reader) {
    let replicas = &container.replicas;
    if replicas.value <= 1 {
        return;
    }
    for (name, _) in volumes.iter().filter(|(_, volume)| volume.access == Access::Single && !volume.read_only) {
        let message =
            format!("{} replicas cannot share the volume `{name}`, which takes a single writer", replicas.value);
        let finding =
            Diagnostic::error(&replicas.span, message).related(place(name, container, manifest), "the volume");
        reader.push(finding.help("one replica, or `access: shared` if the program copes with other writers"));
    }
}

/// Methods whose volumes can go with a lease: what is in others stays behind on the host that was lost.
const LEASED: [&str; 1] = ["bind"];

/// A lease passes a role on to another host, so it needs leave to, and volumes that are there, too.
pub(super) fn check_fence(
    container: &Container,
    manifest: &Manifest,
    volumes: &IndexMap<String, Volume>,
    reader: &mut Reader,
) {
    let fence = &container.fence;
    if fence.value != Fence::Lease {
        return;
    }
    if container.on_host_loss != OnHostLoss::Elsewhere {
        let message = "`fence: lease` ends the role on a lost host so that another may run it, and here none may";
        let finding = Diagnostic::error(&fence.span, message.to_owned());
        reader.push(finding.help("add `on_host_loss: elsewhere`, or leave `fence` out"));
    }
    for (name, volume) in volumes.iter().filter(|(_, it)| !LEASED.contains(&it.method.as_str())) {
        let message = format!(
            "`fence: lease` passes the role on to another host, and its volume `{name}` of method `{}` lies on the one that was lost",
            volume.method
        );
        let finding = Diagnostic::error(&fence.span, message).related(place(name, container, manifest), "the volume");
        reader
            .push(finding.help("`{method: bind, from: DIRECTORY}` of a directory on storage that all its hosts share"));
    }
}

fn check_parents(container: &Container, manifest: &Manifest, volumes: &IndexMap<String, Volume>, reader: &mut Reader) {
    let parent = |name: &str| volumes.get(name).filter(|volume| volume.method == "sub")?.options.get("of")?.as_str();
    let mut in_known_cycle: Vec<&str> = Vec::new();
    for name in volumes.keys() {
        let Some(of) = parent(name) else { continue };
        if !volumes.contains_key(of) {
            let span = container.volumes.get(name).and_then(|used| used.value.of_span.as_ref());
            let finding = Diagnostic::error(
                span.unwrap_or(place(name, container, manifest)),
                format!("the role has no volume `{of}` for `{name}` to lie in"),
            );
            let others = volumes.keys().map(String::as_str).filter(|other| other != name);
            reader.push(finding.maybe_help(suggest(of, others)));
            continue;
        }
        let mut chain = vec![name.as_str()];
        while let Some(next) = chain.last().and_then(|last| parent(last)) {
            if let Some(start) = chain.iter().position(|seen| *seen == next) {
                // Reported once, from its first volume, and not again from those that only lead into it.
                if start == 0 && !in_known_cycle.contains(&name.as_str()) {
                    let message = format!("`sub` volumes lie in each other: {} → {next}", chain.join(" → "));
                    let of = |name: &str| container.volumes.get(name).and_then(|used| used.value.of_span.as_ref());
                    let mut finding = Diagnostic::error(of(name).unwrap_or(place(name, container, manifest)), message);
                    for other in &chain[1..] {
                        finding = finding.related(of(other).unwrap_or(place(other, container, manifest)), "and here");
                    }
                    reader.push(finding);
                    in_known_cycle.extend(&chain);
                }
                break;
            }
            chain.push(next);
        }
    }
}
