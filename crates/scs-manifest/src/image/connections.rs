//! What an image provides, requires, keeps secret, stores and logs.

use super::{Provide, Require, Secret, Volume};
use crate::compiled::{Access, Health, LogFile, Probe, Protocol, Quiesce};
use crate::diagnostic::Diagnostic;
use crate::reader::{Reader, is_secret};
use crate::tree::{Entry, Node};
use indexmap::IndexMap;
use std::time::Duration;

pub(super) fn provides(entry: Option<&Entry>, reader: &mut Reader) -> IndexMap<String, Provide> {
    let mut provides = IndexMap::new();
    for (name, entry) in reader.entries(entry, "`provide`") {
        reader.check_label(name, &entry.key, "the name of a provided service");
        let Some(mut fields) = reader.fields(&entry.node, "a provided service") else { continue };
        let port = fields.require("port", reader).and_then(|node| reader.port(node));
        let protocol = fields
            .get("protocol")
            .and_then(|node| reader.word(node, &[("tcp", Protocol::Tcp), ("udp", Protocol::Udp)]))
            .unwrap_or(Protocol::Tcp);
        let provide = Provide {
            key: entry.key.clone(),
            description: fields.get("description").and_then(|node| reader.text(node)),
            // What is wrong has been noted; any port lets the reading go on.
            port: port.unwrap_or(1),
            protocol,
            health: fields.get("health").and_then(|node| health(node, protocol, reader)),
        };
        reader.finish(&fields);
        provides.insert(name.to_owned(), provide);
    }
    provides
}

fn health(node: &Node, protocol: Protocol, reader: &mut Reader) -> Option<Health> {
    let mut fields = reader.fields(node, "a health check")?;
    let probe = fields.one_of(&["http", "tcp", "command"], reader).and_then(|(key, node)| {
        if protocol == Protocol::Udp && key != "command" {
            let finding = Diagnostic::error(&node.span, format!("a udp service cannot be checked by {key}"));
            reader.push(finding.help("check it by a command"));
        }
        match key {
            "http" => http_path(node, reader).map(Probe::Http),
            "tcp" => {
                if reader.truth(node) == Some(false) {
                    reader.error(&node.span, "to go without a check, leave `health` out");
                }
                Some(Probe::Tcp)
            }
            _ => reader.command(node).map(Probe::Command),
        }
    });
    let interval = fields.get("interval").and_then(|node| reader.pause(node));
    let timeout = fields.get("timeout").and_then(|node| reader.pause(node));
    let start = fields.get("start").and_then(|node| reader.duration(node));
    let unhealthy = fields.get("unhealthy").and_then(|node| reader.count32(node, 1, 1000));
    reader.finish(&fields);
    Some(Health {
        probe: probe?,
        interval: interval.unwrap_or(Duration::from_secs(2)),
        timeout: timeout.unwrap_or(Duration::from_secs(1)),
        start: start.unwrap_or(Duration::from_secs(60)),
        unhealthy: unhealthy.unwrap_or(3),
    })
}

fn http_path(node: &Node, reader: &mut Reader) -> Option<String> {
    let path = reader.text(node)?;
    let fine = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !fine {
        reader.error(&node.span, format!("expected a path such as /health, found `{}`", path.escape_debug()));
    }
    fine.then_some(path)
}

pub(super) fn requires(entry: Option<&Entry>, reader: &mut Reader) -> IndexMap<String, Require> {
    let mut requires = IndexMap::new();
    for (name, entry) in reader.entries(entry, "`require`") {
        reader.check_label(name, &entry.key, "the name of a required service");
        let Some(mut fields) = reader.section(&entry.node, "a required service") else { continue };
        let require = Require {
            key: entry.key.clone(),
            description: fields.get("description").and_then(|node| reader.text(node)),
            min: fields.get("min").and_then(|node| reader.count32(node, 0, 1000)),
            liveupdate: reader.liveupdate(fields.get("liveupdate")),
        };
        reader.finish(&fields);
        requires.insert(name.to_owned(), require);
    }
    requires
}

pub(super) fn secrets(entry: Option<&Entry>, reader: &mut Reader) -> IndexMap<String, Secret> {
    let mut secrets = IndexMap::new();
    for (name, entry) in reader.entries(entry, "`secret`") {
        if !is_secret(name) {
            let finding =
                Diagnostic::error(&entry.key, format!("`{}` cannot be the name of a secret", name.escape_debug()));
            reader.push(finding.help("letters, digits, `_`, `-` and `.`: it becomes a file under /run/secrets"));
        }
        let Some(mut fields) = reader.section(&entry.node, "a secret") else { continue };
        let secret = Secret {
            key: entry.key.clone(),
            description: fields.get("description").and_then(|node| reader.text(node)),
            liveupdate: reader.liveupdate(fields.get("liveupdate")),
        };
        reader.finish(&fields);
        secrets.insert(name.to_owned(), secret);
    }
    secrets
}

pub(crate) const ACCESS: [(&str, Access); 2] = [("single", Access::Single), ("shared", Access::Shared)];

pub(super) fn volumes(entry: Option<&Entry>, reader: &mut Reader) -> IndexMap<String, Volume> {
    let mut volumes = IndexMap::new();
    for (name, entry) in reader.entries(entry, "`volume`") {
        reader.check_label(name, &entry.key, "the name of a volume");
        let Some(mut fields) = reader.fields(&entry.node, "a volume") else { continue };
        let path = fields.require("path", reader).and_then(|node| reader.container_path(node));
        let volume = Volume {
            key: entry.key.clone(),
            description: fields.get("description").and_then(|node| reader.text(node)),
            path: path.unwrap_or_else(|| format!("/{name}")),
            access: fields.get("access").and_then(|node| reader.word(node, &ACCESS)).unwrap_or(Access::Single),
            owner: fields.get("owner").and_then(|node| reader.written(node)),
            mode: fields.get("mode").and_then(|node| reader.mode(node)),
        };
        reader.finish(&fields);
        volumes.insert(name.to_owned(), volume);
    }
    volumes
}

pub(super) fn quiesce(node: &Node, reader: &mut Reader) -> Option<Quiesce> {
    let mut fields = reader.fields(node, "`quiesce`")?;
    let command = fields.require("command", reader).and_then(|node| reader.command(node));
    let release = fields.get("release").and_then(|node| reader.command(node));
    reader.finish(&fields);
    Some(Quiesce { command: command?, release })
}

pub(super) fn logs(node: &Node, reader: &mut Reader) -> Vec<LogFile> {
    let mut logs = Vec::new();
    for item in reader.list(node, "`logs`").into_iter().flatten() {
        let Some(mut fields) = reader.fields(item, "a log file") else { continue };
        let path = fields.require("path", reader).and_then(|node| reader.container_path(node));
        let kind = fields.get("type").and_then(|node| reader.filled(node));
        reader.finish(&fields);
        let Some(path) = path else { continue };
        let stem = || path.rsplit('/').next().unwrap_or("log").trim_end_matches(".log").to_owned();
        let r#type = kind.unwrap_or_else(stem);
        logs.push(LogFile { path, r#type });
    }
    logs
}
