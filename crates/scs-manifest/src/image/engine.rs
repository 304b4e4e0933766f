//! `engine` and `config`: what an image is made of.

use super::{Config, Docker};
use crate::compiled::{Base, Configurator};
use crate::diagnostic::Diagnostic;
use crate::reader::{Reader, Spanned};
use crate::tree::{Entry, Map, Node, Value};
use std::collections::BTreeMap;

pub(super) fn docker(engine: Option<&Node>, reader: &mut Reader) -> Docker {
    let Some(mut engine) = engine.and_then(|node| reader.section(node, "`engine`")) else { return Docker::default() };
    let docker = engine.get("docker");
    reader.finish(&engine);
    let Some(mut fields) = docker.and_then(|node| reader.section(node, "`engine.docker`")) else {
        return Docker::default();
    };
    let docker = Docker {
        span: Some(fields.span.clone()),
        from: fields.get("from").and_then(|node| base(node, reader)),
        command: fields.get("command").and_then(|node| reader.command(node)),
        entrypoint: fields.get("entrypoint").and_then(|node| reader.command(node)),
        user: fields.get("user").and_then(|node| user(node, reader)),
        ulimits: ulimits(fields.entry("ulimits"), reader),
        shm_size: fields.get("shm_size").and_then(|node| reader.size(node)),
        cap_add: fields.get("cap_add").map(|node| capabilities(node, reader)).unwrap_or_default(),
        tmpfs: fields.get("tmpfs").map(|node| tmpfs(node, reader)).unwrap_or_default(),
        init: fields.get("init").and_then(|node| reader.truth(node)).unwrap_or(false),
    };
    reader.finish(&fields);
    docker
}

fn base(node: &Node, reader: &mut Reader) -> Option<Spanned<Base>> {
    if node.map().is_none() {
        let base = reference(node, reader).map_or(Base::None, Base::Reference);
        return Some(Spanned::new(base, &node.span));
    }
    // What is wrong with it is noted; that something is given counts all the same.
    let unreadable = Some(Spanned::new(Base::None, &node.span));
    let Some(mut fields) = reader.fields(node, "`from`") else { return unreadable };
    let suite =
        fields.require("debootstrap", reader).and_then(|node| reader.label_like(node, "a release such as bookworm"));
    let snapshot = fields.get("snapshot").and_then(|node| snapshot(node, reader));
    reader.finish(&fields);
    match suite {
        Some(suite) => Some(Spanned::new(Base::Debootstrap { suite, snapshot }, &node.span)),
        None => unreadable,
    }
}

/// The date of a snapshot: `20260131` or `20260131T120000Z`.
fn snapshot(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.written(node)?;
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let fine = match text.split_once('T') {
        None => digits(&text, 8),
        Some((date, time)) => digits(date, 8) && time.strip_suffix('Z').is_some_and(|time| digits(time, 6)),
    };
    if !fine {
        reader.error(&node.span, format!("expected a date such as 20260131T120000Z, found `{text}`"));
    }
    fine.then_some(text)
}

/// An image reference. The engine knows the whole grammar; this catches what cannot be one.
pub(crate) fn reference(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.filled(node)?;
    let path = text.split('@').next().unwrap_or(&text);
    let fine = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@[]".contains(&byte))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && !path.ends_with(['/', ':', '.', '-', '_'])
        && text.len() <= 512;
    if !fine {
        reader.error(&node.span, format!("expected an image reference such as debian:bookworm-slim, found `{text}`"));
    }
    fine.then_some(text)
}

/// A user's name or id, with a group perhaps: ids are numbers in YAML.
fn user(node: &Node, reader: &mut Reader) -> Option<String> {
    reader.written(node).filter(|user| !user.is_empty())
}

fn ulimits(entry: Option<&Entry>, reader: &mut Reader) -> BTreeMap<String, (u64, u64)> {
    let mut ulimits = BTreeMap::new();
    for (name, entry) in reader.entries(entry, "`ulimits`") {
        let limits = if entry.node.map().is_some() {
            let Some(mut fields) = reader.fields(&entry.node, "a limit") else { continue };
            let soft = fields.require("soft", reader).and_then(|node| reader.count(node, 0, u64::MAX));
            let hard = fields.require("hard", reader).and_then(|node| reader.count(node, 0, u64::MAX));
            reader.finish(&fields);
            soft.zip(hard)
        } else {
            reader.count(&entry.node, 0, u64::MAX).map(|limit| (limit, limit))
        };
        let Some((soft, hard)) = limits else { continue };
        if soft > hard {
            reader.error(&entry.node.span, format!("the soft limit {soft} is above the hard limit {hard}"));
        }
        ulimits.insert(name.to_owned(), (soft, hard));
    }
    ulimits
}

fn capabilities(node: &Node, reader: &mut Reader) -> Vec<String> {
    let mut names = Vec::new();
    for item in reader.list(node, "`cap_add`").into_iter().flatten() {
        let Some(name) = reader.text(item) else { continue };
        let bare = name.strip_prefix("CAP_").unwrap_or(&name).to_owned();
        if bare.is_empty()
            || !bare.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        {
            let finding = Diagnostic::error(&item.span, format!("`{name}` is no kernel capability"));
            reader.push(finding.help("they are written like NET_ADMIN"));
        } else {
            names.push(bare);
        }
    }
    names
}

/// A list of paths, or a map from paths to mount options.
fn tmpfs(node: &Node, reader: &mut Reader) -> BTreeMap<String, String> {
    let mut mounts = BTreeMap::new();
    if let Value::List(items) = &node.value {
        for path in items.iter().filter_map(|item| reader.container_path(item)) {
            mounts.insert(path, String::new());
        }
        return mounts;
    }
    let Some(map) = node.map() else {
        reader.error(
            &node.span,
            format!("`tmpfs` is a list of paths or a map from paths to options, not {}", node.described()),
        );
        return mounts;
    };
    for (path, entry) in map {
        let options = if entry.node.is_null() { Some(String::new()) } else { reader.text(&entry.node) };
        if !path.starts_with('/') {
            reader.error(&entry.key, format!("expected an absolute path inside the container, found `{path}`"));
        } else if let Some(options) = options {
            mounts.insert(path.clone(), options);
        }
    }
    mounts
}

#[derive(Clone, Copy)]
enum Method {
    Puppet,
    Shell,
    Dockerfile,
    None,
}

const METHODS: [(&str, Method); 4] =
    [("puppet", Method::Puppet), ("shell", Method::Shell), ("dockerfile", Method::Dockerfile), ("none", Method::None)];

pub(super) fn config(entry: Option<&Entry>, docker: &Docker, reader: &mut Reader) -> Config {
    let mut config = Config { span: None, configurator: Configurator::None, parameters: Map::new() };
    let Some(mut fields) = entry.and_then(|entry| reader.section(&entry.node, "`config`")) else { return config };
    config.span = entry.map(|entry| entry.key.clone());
    if let Some(entry) = fields.entry("parameters") {
        for (name, entry) in reader.entries(Some(entry), "`parameters`") {
            config.parameters.insert(name.to_owned(), entry.clone());
        }
    }
    let method = fields.require("method", reader);
    let configurator = match method.and_then(|node| reader.word(node, &METHODS)) {
        Some(Method::Puppet) => Configurator::Puppet { resources: resources(fields.entry("resources"), reader) },
        Some(Method::Shell) => Configurator::Shell { scripts: scripts(fields.get("scripts"), reader) },
        Some(Method::Dockerfile) => {
            let file = fields.get("file").and_then(|node| reader.inner_path(node));
            let target = fields.get("target").and_then(|node| reader.filled(node));
            if let Some(from) = &docker.from {
                let mut finding =
                    Diagnostic::error(&from.span, "`engine.docker.from` cannot be given with the method `dockerfile`")
                        .help("the Dockerfile's own FROM says what the image starts from");
                if let Some(node) = method {
                    finding = finding.related(&node.span, "the method is chosen here");
                }
                reader.push(finding);
            }
            Configurator::Dockerfile { file: file.unwrap_or_else(|| "Dockerfile".to_owned()), target }
        }
        Some(Method::None) => Configurator::None,
        // The method is wrong or missing, so nobody can tell which of its keys are right.
        None => return config,
    };
    config.configurator = configurator;
    reader.finish(&fields);
    config
}

fn scripts(node: Option<&Node>, reader: &mut Reader) -> Vec<String> {
    let Some(node) = node else { return vec!["configure.sh".to_owned()] };
    let Some(items) = reader.list(node, "`scripts`") else { return Vec::new() };
    if items.is_empty() {
        reader.error(&node.span, "no script at all; for a base as it is, use the method `none`");
    }
    items.iter().filter_map(|item| reader.inner_path(item)).collect()
}

/// Kind → name → parameters.
fn resources(entry: Option<&Entry>, reader: &mut Reader) -> serde_json::Map<String, serde_json::Value> {
    let mut kinds = serde_json::Map::new();
    for (kind, entry) in reader.entries(entry, "`resources`") {
        if !kind.split("::").all(is_puppet_name) {
            reader.error(&entry.key, format!("`{kind}` is no name of a Puppet type"));
        }
        let mut names = serde_json::Map::new();
        for (name, entry) in reader.entries(Some(entry), "a kind of resources") {
            if entry.node.is_null() {
                names.insert(name.to_owned(), serde_json::Value::Object(serde_json::Map::new()));
            } else if entry.node.map().is_some() {
                names.insert(name.to_owned(), entry.node.to_json());
            } else {
                reader.error(
                    &entry.node.span,
                    format!("a resource is a map of parameters, not {}", entry.node.described()),
                );
            }
        }
        kinds.insert(kind.to_owned(), names.into());
    }
    kinds
}

fn is_puppet_name(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_lowercase())
        && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Reader {
    /// Lower-case letters, digits, dots and hyphens: a release, a label of a host.
    fn label_like(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.filled(node)?;
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let fine = text.bytes().all(inner) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !fine {
            self.error(&node.span, format!("expected {what}, found `{text}`"));
        }
        fine.then_some(text)
    }
}
