//! Which values of two compiled roles differ, as a plan carries them.

use super::Difference;
use scs_manifest::compiled::Role;
use scs_manifest::digest::explain_change;

/// Every value that differs, in the order of the paths. The digests are left out: they follow from the rest.
#[must_use]
pub fn differences(old: &Role, new: &Role) -> Vec<Difference> {
    let text = |value: Option<serde_json::Value>| value.map(|it| it.to_string());
    let changes = explain_change(old, new).into_iter();
    changes.map(|it| Difference { path: it.path, old: text(it.old), new: text(it.new) }).collect()
}
