//! In which order roles stop: users before the providers they use.

use scs_manifest::compiled::{Deployment, RequireMethod, Role};
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// The roles of a service in waves: every role of a wave is used only by roles of waves before it. A cycle, which only
/// optional requirements can form, is cut there first and otherwise goes in one wave.
#[must_use]
pub fn stop_waves(deployment: &Deployment) -> Vec<Vec<String>> {
    let roles: Vec<&Role> = deployment.roles.values().collect();
    let providers = providers(deployment);
    // How many roles that are still there use each one: those that must have it, and those that would like it.
    let (mut must, mut may) = (vec![0_usize; roles.len()], vec![0_usize; roles.len()]);
    let uses: Vec<BTreeMap<usize, bool>> =
        roles.iter().map(|role| providers_of(role, deployment, &providers)).collect();
    for (used, insists) in uses.iter().flatten() {
        *if *insists { &mut must[*used] } else { &mut may[*used] } += 1;
    }
    let mut left: BTreeSet<usize> = (0..roles.len()).collect();
    let mut ready: Vec<usize> = left.iter().copied().filter(|at| must[*at] + may[*at] == 0).collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        if ready.is_empty() {
            ready = left.iter().copied().filter(|at| must[*at] == 0).collect();
        }
        if ready.is_empty() {
            ready = left.iter().copied().collect();
        }
        let wave = std::mem::take(&mut ready);
        for at in &wave {
            left.remove(at);
        }
        for (used, insists) in wave.iter().flat_map(|at| &uses[*at]) {
            *if *insists { &mut must[*used] } else { &mut may[*used] } -= 1;
            if left.contains(used) && must[*used] + may[*used] == 0 {
                ready.push(*used);
            }
        }
        ready.sort_unstable();
        ready.dedup();
        waves.push(wave.into_iter().map(|at| roles[at].name.clone()).collect());
    }
    waves
}

/// For each role the other roles of the same service that it waits for before it starts: those whose endpoints it cannot
/// do without.
#[must_use]
pub fn waits_for(deployment: &Deployment) -> BTreeMap<String, BTreeSet<String>> {
    let providers = providers(deployment);
    let insisted = |role: &Role| {
        let used = providers_of(role, deployment, &providers).into_iter().filter(|(_, insists)| *insists);
        used.filter_map(|(at, _)| Some(deployment.roles.get_index(at)?.0.clone())).collect()
    };
    deployment.roles.iter().map(|(name, role)| (name.clone(), insisted(role))).collect()
}

/// Endpoint name → roles that provide it, by position.
fn providers(deployment: &Deployment) -> BTreeMap<&str, Vec<usize>> {
    let mut providers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, role) in deployment.roles.values().enumerate() {
        for endpoint in role.provide.keys() {
            providers.entry(endpoint).or_default().push(at);
        }
    }
    providers
}

/// The other roles of the same service that a role uses, by position, and whether it insists on one. Attributes are not
/// looked at: a role too many in the order does no harm.
fn providers_of(role: &Role, deployment: &Deployment, providers: &BTreeMap<&str, Vec<usize>>) -> BTreeMap<usize, bool> {
    let mut used = BTreeMap::new();
    let own = deployment.roles.get_index_of(&role.name);
    for require in role.require.values() {
        let RequireMethod::Disco(query) = &require.method else { continue };
        if query.environment != deployment.environment || query.service != deployment.service {
            continue;
        }
        let named = if query.role == "*" { None } else { Some(deployment.roles.get_index_of(&query.role)) };
        let all = providers.get(query.endpoint.as_str()).into_iter().flatten().copied();
        let matching: Vec<usize> = match named {
            Some(named) => named.into_iter().collect(),
            None => all.collect(),
        };
        for at in matching.into_iter().filter(|at| Some(*at) != own) {
            *used.entry(at).or_insert(false) |= require.min > 0;
        }
    }
    used
}
