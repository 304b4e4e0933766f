//! What differs between two compiled forms of a role, so that a plan can say why a digest changed.

use crate::compiled::Role;
use serde::Serialize;
use serde_json::Value;

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Where, e.g. `provide.http.health.interval`.
    pub path: String,
    /// What was there; `None` if nothing.
    pub old: Option<Value>,
    /// What is there; `None` if nothing.
    pub new: Option<Value>,
}

/// `PATH: OLD → NEW`
impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        write!(f, "{}: {} → {}", self.path, shown(&self.old), shown(&self.new))
    }
}

/// Every difference between two forms of a role, but for the digests, in the order of the paths.
#[must_use]
pub fn explain_change(old: &Role, new: &Role) -> Vec<Change> {
    let as_json = |role: &Role| serde_json::to_value(role).expect("invariant: a role has only text keys");
    let mut changes = Vec::new();
    compare("", Some(&as_json(old)), Some(&as_json(new)), &mut changes);
    changes.retain(|change| !["image_digest", "spec_digest"].contains(&change.path.as_str()));
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    // Nothing and JSON's null are the same to whoever reads a plan.
    let (old, new) = (old.filter(|value| !value.is_null()), new.filter(|value| !value.is_null()));
    if old == new {
        return;
    }
    let (Some(Value::Object(a)), Some(Value::Object(b))) = (old, new) else {
        changes.push(Change { path: path.to_owned(), old: old.cloned(), new: new.cloned() });
        return;
    };
    let added = b.keys().filter(|key| !a.contains_key(*key));
    for key in a.keys().chain(added) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        compare(&path, a.get(key), b.get(key), changes);
    }
}
