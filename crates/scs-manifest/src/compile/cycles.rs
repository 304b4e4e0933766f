//! Requirements that wait for each other in a circle, so that none of the roles would ever start.

use super::Context;
use super::resolve::announces;
use crate::compiled::{Query, RequireMethod, Role};
use crate::diagnostic::Diagnostic;
use crate::reader::Reader;
use indexmap::IndexMap;
use std::collections::HashSet;

/// A requirement that insists on an endpoint of this very service.
struct Need<'a> {
    name: &'a str,
    /// Any one of these will do.
    providers: Vec<&'a str>,
}

pub(super) fn check(context: &Context<'_>, roles: &IndexMap<String, Role>, reader: &mut Reader) {
    let needs: IndexMap<&str, Vec<Need<'_>>> =
        roles.iter().map(|(name, role)| (name.as_str(), needs(role, roles, context))).collect();
    // What could start, were every role started as soon as it can: the rest waits in circles, or for those.
    let mut started: HashSet<&str> = HashSet::new();
    loop {
        let ready = |role: &&str| {
            !started.contains(role)
                && needs[role].iter().all(|need| need.providers.iter().any(|role| started.contains(role)))
        };
        let ready: Vec<&str> = needs.keys().copied().filter(ready).collect();
        if ready.is_empty() {
            let Some(waiting) = needs.keys().copied().find(|role| !started.contains(role)) else { return };
            let cycle = cycle(waiting, &needs, &started);
            report(&cycle, context, reader);
            // As if it were solved, so that other circles are found and its users are not blamed.
            started.extend(cycle.iter().map(|(role, _)| *role));
        }
        started.extend(ready);
    }
}

fn needs<'a>(role: &'a Role, roles: &'a IndexMap<String, Role>, context: &Context<'_>) -> Vec<Need<'a>> {
    let insisting = role.require.iter().filter(|(_, require)| require.min > 0);
    insisting
        .filter_map(|(name, require)| {
            let RequireMethod::Disco(query) = &require.method else { return None };
            let mut providers = providers(query, roles, context);
            // A role never finds itself. One that asks for itself by name gets told so here.
            providers.retain(|provider| query.role != "*" || *provider != role.name);
            // A name nobody provides, here or anywhere known, is another error than a circle.
            (!providers.is_empty()).then_some(Need { name, providers })
        })
        .collect()
}

fn providers<'a>(query: &Query, roles: &'a IndexMap<String, Role>, context: &Context<'_>) -> Vec<&'a str> {
    let own = query.environment == context.request.environment && query.service == context.manifest.service.value;
    let named = |role: &&String| query.role == "*" || query.role == **role;
    let announcing = |role: &&String| announces(role, &query.endpoint, context) == Some(true);
    roles.keys().filter(|_| own).filter(named).filter(announcing).map(String::as_str).collect()
}

/// Follows what is waited for until it comes round: (role, the requirement that leads on).
fn cycle<'a>(
    from: &'a str,
    needs: &IndexMap<&'a str, Vec<Need<'a>>>,
    started: &HashSet<&str>,
) -> Vec<(&'a str, &'a str)> {
    let mut path: Vec<(&str, &str)> = Vec::new();
    let mut role = from;
    loop {
        if let Some(start) = path.iter().position(|(seen, _)| *seen == role) {
            return path.split_off(start);
        }
        let waits = |need: &&Need<'_>| !need.providers.iter().any(|provider| started.contains(provider));
        let need = needs[role].iter().find(waits).expect("invariant: a role that is not ready waits for something");
        path.push((role, need.name));
        role = need.providers[0];
    }
}

fn report(cycle: &[(&str, &str)], context: &Context<'_>, reader: &mut Reader) {
    let (first, requirement) = cycle[0];
    let span = |role: &str, requirement: &str| {
        let container = &context.manifest.containers[role];
        container.require.get(requirement).map_or(&container.key, |require| &require.span).clone()
    };
    let names: Vec<&str> = cycle.iter().map(|(role, _)| *role).chain([first]).collect();
    let mut finding = if cycle.len() == 1 {
        Diagnostic::error(
            &span(first, requirement),
            format!("`{first}` requires `{requirement}` of itself and would never start"),
        )
    } else {
        Diagnostic::error(
            &span(first, requirement),
            format!("these roles wait for each other and would never start: {}", names.join(" → ")),
        )
    };
    let others = if cycle.len() == 1 { &[] } else { cycle };
    for ((role, requirement), next) in others.iter().zip(&names[1..]) {
        finding = finding.related(&span(role, requirement), format!("`{role}` waits for `{next}`"));
    }
    reader.push(finding.help("`min: 0` makes one of them optional"));
}
