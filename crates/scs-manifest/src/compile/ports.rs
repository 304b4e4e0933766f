//! Fixed ports of one host that two containers would want.

use super::Context;
use crate::compiled::{Condition, Placement, Protocol, Role};
use crate::diagnostic::Diagnostic;
use crate::reader::Reader;
use crate::source::Span;
use indexmap::IndexMap;

/// A port of the host that a role binds.
struct Bound<'a> {
    role: &'a Role,
    endpoint: &'a str,
    port: u16,
    protocol: Protocol,
    span: Span,
}

pub(super) fn check(context: &Context<'_>, roles: &IndexMap<String, Role>, reader: &mut Reader) {
    let bound: Vec<Bound<'_>> = roles.values().flat_map(|role| bound(role, context)).collect();
    for (index, one) in bound.iter().enumerate() {
        check_host_network(one, reader);
        let clash = |other: &&Bound<'_>| {
            other.port == one.port
                && other.protocol == one.protocol
                && (other.role.name == one.role.name || may_share_host(&one.role.placement, &other.role.placement))
        };
        if let Some(other) = bound.iter().take(index).find(clash) {
            let message = format!(
                "`{}/{}` and `{}/{}` both want port {} of the host",
                other.role.name, other.endpoint, one.role.name, one.endpoint, one.port
            );
            let finding = Diagnostic::error(&one.span, message).related(&other.span, "the other is here");
            reader.push(finding.help("leave `publish.port` out for a free port, or place them on different hosts"));
        }
        let spread = one.role.placement.spread.is_some();
        if one.role.replicas > 1 && !spread {
            let container = &context.manifest.containers[&one.role.name];
            let message = format!(
                "{} replicas of `{}` would all want port {} of the host",
                one.role.replicas, one.role.name, one.port
            );
            let finding = Diagnostic::error(&container.replicas.span, message).related(&one.span, "the port");
            reader.push(finding.help("leave the port out for free ports, or spread them: `place: {spread: host}`"));
        }
    }
}

fn bound<'a>(role: &'a Role, context: &Context<'_>) -> Vec<Bound<'a>> {
    let container = &context.manifest.containers[&role.name];
    let on_host = role.network.method == "host";
    let mut all: Vec<Bound<'a>> = Vec::new();
    for (endpoint, provide) in &role.provide {
        let said = container.provide.get(endpoint);
        let span = said.map_or(&container.key, |said| said.value.port_span.as_ref().unwrap_or(&said.span));
        let Some(port) = provide.publish.port.or(on_host.then_some(provide.port)) else { continue };
        // Two names for one port of a program that has the host's network are no clash.
        if on_host && all.iter().any(|other| other.port == port && other.protocol == provide.protocol) {
            continue;
        }
        all.push(Bound { role, endpoint, port, protocol: provide.protocol, span: span.clone() });
    }
    all
}

fn check_host_network(bound: &Bound<'_>, reader: &mut Reader) {
    let provide = &bound.role.provide[bound.endpoint];
    if bound.role.network.method == "host" && provide.publish.port.is_some_and(|port| port != provide.port) {
        let message = format!(
            "`{}` has the host's network, so `{}` is on port {} and cannot be published on {}",
            bound.role.name, bound.endpoint, provide.port, bound.port
        );
        reader.error(&bound.span, message);
    }
}

/// Whether nothing in the placements keeps two roles apart.
fn may_share_host(a: &Placement, b: &Placement) -> bool {
    if let (Some(a), Some(b)) = (&a.host, &b.host) {
        return a == b;
    }
    let apart = a.r#match.iter().any(|(label, condition)| match (condition, b.r#match.get(label)) {
        (Condition::In(these), Some(Condition::In(those))) => !these.iter().any(|value| those.contains(value)),
        _ => false,
    });
    !apart
}
