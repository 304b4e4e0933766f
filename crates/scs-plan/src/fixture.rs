//! Roles and deployments for this crate's tests.

use indexmap::IndexMap;
use scs_manifest::compiled::{Deployment, Role};
use serde_json::{Value, json};

/// A compiled role in which everything is empty, laid over with `with`. Its digests are made of
/// its content, as the compiler's are.
pub(crate) fn role(name: &str, with: &Value) -> Role {
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
    role.image_digest = format!("image {}", serde_json::to_string(&role.image).expect("serialisable"));
    role.spec_digest = format!("spec {}", serde_json::to_string(&role).expect("serialisable"));
    role
}

/// What a provided endpoint looks like when nothing is said about it.
pub(crate) fn provide(port: u16) -> Value {
    json!({
        "description": null, "port": port, "protocol": "tcp", "method": "disco",
        "publish": {"port": null, "address": null}, "attributes": {}, "health": null,
    })
}

/// A requirement of an endpoint of another role (or `*`) of service `dev/blog`.
pub(crate) fn require(role: &str, endpoint: &str) -> Value {
    json!({
        "description": null,
        "method": {"disco": {"environment": "dev", "service": "blog", "role": role, "endpoint": endpoint}},
        "min": 1, "wait": "1m", "liveupdate": live_update(),
    })
}

/// A live update by command.
pub(crate) fn live_update() -> Value {
    json!({
        "action": {"command": ["/update"]}, "timeout": "30s", "debounce": "250ms", "on_failure": "retry", "on_empty": "hold",
    })
}

/// A volume of one container at a time.
pub(crate) fn volume(path: &str) -> Value {
    json!({"path": path, "access": "single", "owner": null, "mode": null, "method": "local"})
}

/// Service `dev/blog`.
pub(crate) fn deployment(roles: impl IntoIterator<Item = Role>) -> Deployment {
    Deployment {
        version: 1,
        environment: "dev".to_owned(),
        service: "blog".to_owned(),
        secrets: IndexMap::new(),
        roles: roles.into_iter().map(|role| (role.name.clone(), role)).collect(),
        layouts: IndexMap::new(),
    }
}

fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
