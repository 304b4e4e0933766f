//! Roles and deployments as the compiler would make them.

use scs_manifest::compiled::Deployment;
pub use scs_testkit::fixture::role;
use serde_json::{Value, json};

fn live_update() -> Value {
    json!({"action": {"command": ["/u"]}, "timeout": "30s", "debounce": "250ms", "on_failure": "retry", "on_empty": "hold"})
}

/// The blog: a database with a volume and a generated password, and a site that needs both.
pub fn blog(environment: &str, parameter: u32) -> Deployment {
    let secret = json!({"from": "db", "as": "file", "liveupdate": live_update()});
    let mysql = json!({
        "provide": {"mysql": {
            "description": null, "port": 3306, "protocol": "tcp", "method": "disco",
            "publish": {"port": null, "address": null}, "attributes": {}, "health": null}},
        "secrets": {"ROOT_PASSWORD": secret},
        "volumes": {"data": {"path": "/data", "access": "single", "owner": null, "mode": null, "method": "local"}},
    });
    let wordpress = json!({
        "image": {"parameters": {"p": parameter}},
        "provide": {"http": {
            "description": null, "port": 80, "protocol": "tcp", "method": "disco",
            "publish": {"port": 8080, "address": null}, "attributes": {}, "health": null}},
        "require": {"mysql": {
            "description": null,
            "method": {"disco": {"environment": environment, "service": "blog", "role": "mysql", "endpoint": "mysql"}},
            "min": 1, "wait": "1m", "liveupdate": live_update()}},
        "secrets": {"DB_PASSWORD": secret},
    });
    let roles = [role("mysql", &mysql), role("wordpress", &wordpress)];
    Deployment {
        version: 1,
        environment: environment.to_owned(),
        service: "blog".to_owned(),
        secrets: [("db".to_owned(), scs_manifest::compiled::SecretSource::Generate(32))].into_iter().collect(),
        roles: roles.into_iter().map(|it| (it.name.clone(), it)).collect(),
        layouts: indexmap::IndexMap::new(),
    }
}
