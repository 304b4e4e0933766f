//! Roles as the compiler would make them, for tests that need no manifest.

use scs_manifest::compiled::Role;
use serde_json::{Value, json};

/// A compiled role in which everything is empty, laid over with `with`. Digests that `with` does not give are made of the
/// role's content, as the compiler's are.
///
/// # Panics
/// When what comes of it is no role.
#[must_use]
pub fn role(name: &str, with: &Value) -> Role {
    let mut value = json!({
        "name": name, "image_digest": "", "spec_digest": "",
        "image": {
            "title": null, "source": {"reference": name}, "source_digest": null, "base": {"reference": name},
            "configurator": {"method": "none"}, "parameters": {}, "command": null, "entrypoint": null, "user": null,
            "platform": "linux/amd64",
        },
        "process": {
            "command": null, "environment": {}, "memory": null, "cpus": null, "shm_size": null, "stop_grace_period": "10s",
        },
        "provide": {}, "require": {}, "secrets": {}, "volumes": {},
        "network": {"method": "bridge"}, "quiesce": null, "logs": [], "replicas": 1,
        "placement": {"host": null, "spread": null}, "on_host_loss": "wait", "fence": "none", "restart": "always",
    });
    lay_over(&mut value, with);
    let mut role: Role = serde_json::from_value(value).expect("a valid role");
    if role.image_digest.is_empty() {
        role.image_digest = format!("image {}", serde_json::to_string(&role.image).expect("serialisable"));
    }
    if role.spec_digest.is_empty() {
        role.spec_digest = format!("spec {}", serde_json::to_string(&role).expect("serialisable"));
    }
    role
}

/// Puts `over` upon `under`: maps key by key, all else whole.
pub fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
