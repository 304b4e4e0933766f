//! Which values of two compiled roles differ, as paths that a reader of the manifest recognises.

use super::Difference;
use scs_manifest::compiled::Role;
use serde_json::{Map, Value};

/// Every value that differs, in the order of the document. The digests are left out: they follow from the rest.
#[must_use]
pub fn differences(old: &Role, new: &Role) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", &tree(old), &tree(new), &mut found);
    found
}

fn tree(role: &Role) -> Value {
    let mut value = serde_json::to_value(role).expect("a compiled role has text keys only");
    if let Value::Object(fields) = &mut value {
        fields.shift_remove("image_digest");
        fields.shift_remove("spec_digest");
    }
    value
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => compare_maps(path, old, new, found),
        (old, new) if old == new => {}
        (old, new) => found.push(Difference { path: path.to_owned(), old: text(old), new: text(new) }),
    }
}

fn compare_maps(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, found: &mut Vec<Difference>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, before) in old {
        compare(&below(key), before, new.get(key).unwrap_or(&Value::Null), found);
    }
    for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        compare(&below(key), &Value::Null, after, found);
    }
}

/// `null` is how the compiled form says that something is absent.
fn text(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_string())
}
