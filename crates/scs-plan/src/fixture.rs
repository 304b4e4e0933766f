//! Roles and deployments for this crate's tests.

use indexmap::IndexMap;
use scs_manifest::compiled::{Deployment, Role};
pub(crate) use scs_testkit::fixture::role;
use serde_json::{Value, json};

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
