//! Roles and deployments as the compiler would make them.

use scs_manifest::compiled::{Deployment, Role};
use serde_json::{Value, json};

/// A role in which everything is empty, laid over with `with`; its digests are made of its content.
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
    role.image_digest = format!("image {}", serde_json::to_string(&role.image).expect("serialisable"));
    role.spec_digest = format!("spec {}", serde_json::to_string(&role).expect("serialisable"));
    role
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
