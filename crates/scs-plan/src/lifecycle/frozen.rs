//! What is frozen in a container's environment at its start, so that a change of it needs a new container.

use scs_manifest::compiled::{Role, SecretAs};
use scs_manifest::template::{Part, parse};
use std::collections::BTreeSet;

/// Requirements whose endpoints a template of the environment names: `{{ require.mysql.host }}`.
#[must_use]
pub fn frozen_requirements(role: &Role) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // A template that cannot be parsed fails at the launch, with its place.
    for part in role.process.environment.values().flat_map(|template| parse(template).unwrap_or_default()) {
        if let Part::Name { name, .. } = part
            && let Some(("require", rest)) = name.split_once('.')
        {
            names.extend(rest.split('.').next().map(str::to_owned));
        }
    }
    names.retain(|name| role.require.contains_key(name));
    names
}

/// Secrets that are environment variables.
pub(super) fn frozen_secrets(role: &Role) -> impl Iterator<Item = &String> {
    role.secrets.iter().filter(|(_, secret)| secret.r#as == SecretAs::Environment).map(|(name, _)| name)
}
