//! How a role's connections are made: its own words over `global`'s over the defaults.

use super::globals::{ENDPOINT, Globals, Settled};
use super::methods::{NETWORK, VOLUME};
use crate::compiled::{Access, Condition, ProvideMethod, Publish};
use crate::diagnostic::Diagnostic;
use crate::image::ACCESS;
use crate::reader::{NAME_PARTS, Reader, Spanned};
use crate::source::Span;
use crate::tree::{Entry, Node, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How a provided service is announced and bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Provide {
    /// How it is announced.
    pub method: Spanned<ProvideMethod>,
    /// Where on the host it is bound.
    pub publish: Publish,
    /// Where a fixed port is said.
    pub port_span: Option<Span>,
    /// Attributes that subscribers can match.
    pub attributes: BTreeMap<String, String>,
}

/// Where a required service is found.
#[derive(Debug, Clone, PartialEq)]
pub struct Require {
    /// Where endpoints come from.
    pub from: RequireFrom,
    /// How many endpoints it needs; what the image says without it.
    pub min: Option<u32>,
    /// How long a start waits for them.
    pub wait: Duration,
}

/// Where the endpoints of a requirement come from.
#[derive(Debug, Clone, PartialEq)]
pub enum RequireFrom {
    /// Disco.
    Disco {
        /// What has to match; boxed for being much larger than the other variant.
        r#match: Box<Match>,
        /// Attributes by which endpoints are preferred.
        prefer: Vec<String>,
    },
    /// Fixed `host:port` addresses.
    Static(Vec<String>),
}

/// What an endpoint has to match: parts of its name, and attributes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Match {
    /// Environment; one's own without it.
    pub environment: Option<Spanned<String>>,
    /// Service; one's own without it.
    pub service: Option<Spanned<String>>,
    /// Role or `*`; the only one that provides the endpoint without it.
    pub role: Option<Spanned<String>>,
    /// Endpoint; the requirement's own key without it.
    pub endpoint: Option<Spanned<String>>,
    /// Attributes.
    pub attributes: BTreeMap<String, Condition>,
}

/// What provides a volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Name of the method.
    pub method: Spanned<String>,
    /// Where it is mounted; where the image says without it.
    pub path: Option<Spanned<String>>,
    /// Who may write to it; what the image says without it.
    pub access: Option<Access>,
    /// Owner; what the image says without it.
    pub owner: Option<String>,
    /// Permission bits; what the image says without it.
    pub mode: Option<u32>,
    /// Mounted read-only.
    pub read_only: bool,
    /// The method's own options.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// Where the parent of a `sub` volume is named.
    pub of_span: Option<Span>,
}

/// How a container is attached to the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Name of the method.
    pub method: Spanned<String>,
    /// The method's own options.
    pub options: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn provide(own: Option<&Entry>, globals: &Globals<'_>, reader: &mut Reader) -> Provide {
    provide_of(&globals.provide.settle(own, &ENDPOINT, "disco", reader), reader)
}

pub(super) fn provide_of(settled: &Settled, reader: &mut Reader) -> Provide {
    let method = if settled.method.value == "static" { ProvideMethod::Static } else { ProvideMethod::Disco };
    let mut provide = Provide {
        method: Spanned::new(method, &settled.method.span),
        publish: Publish::default(),
        port_span: None,
        attributes: BTreeMap::new(),
    };
    let Some(mut fields) = reader.fields(&settled.node, "a provided service") else { return provide };
    fields.get("method");
    if let Some(mut publish) = fields.get("publish").and_then(|node| reader.section(node, "`publish`")) {
        if let Some(node) = publish.get("port") {
            provide.publish.port = reader.port(node);
            provide.port_span = Some(node.span.clone());
        }
        provide.publish.address = publish.get("address").and_then(|node| address(node, reader));
        reader.finish(&publish);
    }
    if method == ProvideMethod::Disco {
        provide.attributes = reader.attributes(fields.entry("attributes"));
    }
    if settled.known {
        reader.finish(&fields);
    }
    provide
}

fn address(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node)?;
    if text.parse::<IpAddr>().is_err() {
        reader.error(&node.span, format!("expected an address of the host such as 192.0.2.7, found `{text}`"));
        return None;
    }
    Some(text)
}

pub(super) fn require(own: Option<&Entry>, globals: &Globals<'_>, reader: &mut Reader) -> Require {
    require_of(&globals.require.settle(own, &ENDPOINT, "disco", reader), reader)
}

pub(super) fn require_of(settled: &Settled, reader: &mut Reader) -> Require {
    let mut require = Require {
        from: RequireFrom::Disco { r#match: Box::default(), prefer: Vec::new() },
        min: None,
        // Long enough for a database to start for the first time, short enough for somebody to still be watching.
        wait: Duration::from_secs(60),
    };
    let Some(mut fields) = reader.fields(&settled.node, "a required service") else { return require };
    fields.get("method");
    require.min = fields.get("min").and_then(|node| reader.count32(node, 0, 1000));
    require.wait = fields.get("wait").and_then(|node| reader.duration(node)).unwrap_or(require.wait);
    require.from = if settled.method.value == "static" {
        let given = if settled.defaults { fields.get("addresses") } else { fields.require("addresses", reader) };
        let addresses = given.map(|node| addresses(node, reader));
        RequireFrom::Static(addresses.unwrap_or_default())
    } else {
        let r#match = Box::new(r#match(fields.entry("match"), reader));
        RequireFrom::Disco {
            r#match,
            prefer: fields.get("prefer").map(|node| prefer(node, reader)).unwrap_or_default(),
        }
    };
    if settled.known {
        reader.finish(&fields);
    }
    require
}

fn addresses(node: &Node, reader: &mut Reader) -> Vec<String> {
    let mut addresses = Vec::new();
    let items = reader.list(node, "`addresses`").unwrap_or_default();
    for item in items {
        let Some(text) = reader.text(item) else { continue };
        if !is_host_and_port(&text) {
            let v6 = text.matches(':').count() > 1;
            let help = v6.then(|| "an IPv6 address stands in brackets: \"[2001:db8::7]:3306\"".to_owned());
            let finding = Diagnostic::error(&item.span, format!("expected `host:port`, found `{text}`"));
            reader.push(finding.maybe_help(help));
        }
        addresses.push(text);
    }
    if items.is_empty() && matches!(node.value, Value::List(_)) {
        reader.error(&node.span, "`addresses` holds none");
    }
    addresses
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_fine = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !host.is_empty() && host.len() <= 253 && host.bytes().all(inner)
        }
    };
    host_fine && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn r#match(entry: Option<&Entry>, reader: &mut Reader) -> Match {
    let mut found = Match::default();
    for (name, entry) in reader.entries(entry, "`match`") {
        if !NAME_PARTS.contains(&name) {
            if reader.check_attribute(name, &entry.key)
                && let Some(condition) = reader.condition(&entry.node)
            {
                found.attributes.insert(name.to_owned(), condition);
            }
            continue;
        }
        let any_role = name == "role" && matches!(&entry.node.value, Value::Scalar(scalar) if scalar.text == "*");
        let part =
            if any_role { Some(Spanned::new("*".to_owned(), &entry.node.span)) } else { reader.label(&entry.node) };
        match name {
            "environment" => found.environment = part,
            "service" => found.service = part,
            "role" => found.role = part,
            _ => found.endpoint = part,
        }
    }
    found
}

fn prefer(node: &Node, reader: &mut Reader) -> Vec<String> {
    let mut names = Vec::new();
    for item in reader.list(node, "`prefer`").into_iter().flatten() {
        let Some(name) = reader.filled(item) else { continue };
        if reader.check_attribute(&name, &item.span) {
            names.push(name);
        }
    }
    names
}

pub(super) fn volume(own: Option<&Entry>, globals: &Globals<'_>, reader: &mut Reader) -> Volume {
    let names: Vec<&'static str> = VOLUME.names().collect();
    volume_of(&globals.volume.settle(own, &names, VOLUME.default, reader), reader)
}

pub(super) fn volume_of(settled: &Settled, reader: &mut Reader) -> Volume {
    let options = settled.options(&VOLUME, reader);
    let get = |key: &str| settled.node.get(key);
    // The `path` of a `sub` volume is the directory in its parent, an option of the method.
    let path = get("path").filter(|_| settled.method.value != "sub");
    Volume {
        method: Spanned::new(settled.method.value.to_owned(), &settled.method.span),
        path: path.and_then(|node| reader.container_path(node).map(|path| Spanned::new(path, &node.span))),
        access: get("access").and_then(|node| reader.word(node, &ACCESS)),
        owner: get("owner").and_then(|node| reader.written(node)),
        mode: get("mode").and_then(|node| reader.mode(node)),
        read_only: get("read_only").and_then(|node| reader.truth(node)).unwrap_or(false),
        options,
        of_span: get("of").map(|node| node.span.clone()),
    }
}

pub(super) fn network(own: Option<&Entry>, globals: &Globals<'_>, reader: &mut Reader) -> Network {
    let names: Vec<&'static str> = NETWORK.names().collect();
    let settled = globals.network.settle(own, &names, NETWORK.default, reader);
    // A role that says nothing of its network uses the defaults as they are.
    network_of(&Settled { defaults: false, ..settled }, reader)
}

pub(super) fn network_of(settled: &Settled, reader: &mut Reader) -> Network {
    let options = settled.options(&NETWORK, reader);
    Network { method: Spanned::new(settled.method.value.to_owned(), &settled.method.span), options }
}
