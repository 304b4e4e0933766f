//! The schema of `deployment.yaml`.

use super::build::{
    described, exactly_one, filled, key, key_or, list_of, map_of, matching, object, refer, section, whole, words,
    written,
};
use super::image::{health, manifest};
use super::methods::{by_method, kind_defaults, volume_common};
use super::shared::{anything, attribute_name, definitions, label, secret_name, variable_name};
use crate::deployment::{NETWORK, VOLUME};
use serde_json::{Value, json};

/// The JSON Schema (2020-12) of a deployment manifest. An overlay leaves out what it does not change.
#[must_use]
pub fn deployment() -> Value {
    let roles =
        json!({"type": "object", "minProperties": 1, "propertyNames": label(), "additionalProperties": refer("role")});
    let mut schema = object(
        [
            key("version", json!({"const": 1}), "Version of this format."),
            key(
                "service",
                label(),
                "Name of the service, the second part of every endpoint name. The environment is chosen at run time.",
            ),
            key(
                "secrets",
                map_of(&secret_name(), secret()),
                "Secrets by name; roles refer to them. Values are never part of a manifest.",
            ),
            key("global", global(), "Defaults for every use of a method."),
            key("containers", roles, "Roles by name."),
            key(
                "layouts",
                map_of(&label(), map_of(&label(), refer("place"))),
                "Named placements: layout → role → placement, for a service on several hosts; checked, and without effect on one machine.",
            ),
        ],
        &["version", "service", "containers"],
    );
    let mut all = definitions();
    all.insert("health".to_owned(), health());
    all.insert("role".to_owned(), role());
    all.insert("place".to_owned(), place());
    all.insert("volume".to_owned(), by_method(&VOLUME, volume_common()));
    all.insert("network".to_owned(), by_method(&NETWORK, Vec::new()));
    all.insert("provide".to_owned(), provide());
    all.insert("require".to_owned(), require());
    all.insert("image-manifest".to_owned(), described(manifest(&[]), "An image manifest, inline."));
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Deployment manifest".into();
    schema["description"] = "`deployment.yaml`: which images, with which configuration, connected how.".into();
    schema["$defs"] = all.into();
    schema
}

fn secret() -> Value {
    exactly_one(
        object(
            [
                key("generate", whole(8, 4096), "Made once, this many random characters long, and kept."),
                key("file", filled(), "The content of a file, relative to this one."),
                key("environment", variable_name(), "An environment variable of whoever runs `scs up`."),
                key("command", refer("command"), "What a command of whoever runs `scs up` prints."),
            ],
            &[],
        ),
        &["generate", "file", "environment", "command"],
    )
}

fn global() -> Value {
    let connection = |name: &str| {
        section([
            key_or("method", words(&["disco", "static"]), "disco", "The method where a role names none."),
            key("disco", defaults(name, "disco"), "Defaults of every use of `disco`."),
            key("static", defaults(name, "static"), "Defaults of every use of `static`."),
        ])
    };
    section([
        key("provide", connection("provide"), "Defaults for provided services."),
        key("require", connection("require"), "Defaults for required services."),
        key("volume", kind_defaults(&VOLUME, &volume_common()), "Defaults for volumes."),
        key("network", kind_defaults(&NETWORK, &[]), "Defaults for networks."),
    ])
}

/// Defaults of a method: what a use says, needing nothing.
fn defaults(definition: &str, method: &str) -> Value {
    let mut schema = if definition == "provide" { provide() } else { require() };
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("allOf");
        fields.remove("description");
    }
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.shift_remove("method");
        // Of each method's own keys.
        let other = if method == "static" { ["attributes", "match", "prefer"].as_slice() } else { &["addresses"] };
        properties.retain(|key, _| !other.contains(&key.as_str()));
    }
    schema["type"] = json!(["object", "null"]);
    schema
}

fn role() -> Value {
    let image = object(
        [
            key("source", source(), "Where the image comes from."),
            key("config", anything(), "Parameters over the image's own."),
        ],
        &["source"],
    );
    let resources = section([
        key("memory", refer("size"), "Memory limit."),
        key("cpus", json!({"type": "number", "exclusiveMinimum": 0}), "CPU limit in cores."),
    ]);
    let schema = object(
        [
            key(
                "image",
                json!({"title": "image", "oneOf": [refer("reference"), image]}),
                "The image; a reference alone is short for `{source: {reference: …}}`.",
            ),
            key(
                "manifest",
                refer("image-manifest"),
                "The image manifest, inline, instead of the source's `image.yaml`.",
            ),
            key("command", refer("command"), "Overrides the image's command, so that two roles can share one image."),
            key(
                "provide",
                map_of(&label(), refer("provide")),
                "How provided services are announced and published. `NAME: null` leaves one out that the image provides, in an overlay too.",
            ),
            key("require", map_of(&label(), refer("require")), "Where required services are found."),
            key("volume", map_of(&label(), refer("volume")), "What provides each volume."),
            key(
                "secrets",
                map_of(&secret_name(), secret_use()),
                "Secrets by the image's name for them: a name of the deployment's `secrets`, or `{from, as}`.",
            ),
            key("network", refer("network"), "How the container is attached to the network."),
            key(
                "environment",
                environment(),
                "Environment variables. `{{ require.NAME.host|port|address }}`, `{{ provide.NAME.address }}` and `{{ PARAMETER }}` are filled in; a change of theirs restarts the container.",
            ),
            key("resources", resources, "Limits."),
            key_or(
                "restart",
                words(&["always", "on-failure", "never"]),
                "always",
                "When an ended container is started again.",
            ),
            key_or("stop_grace_period", refer("duration"), "10s", "Time between the stop signal and being killed."),
            key_or("replicas", whole(0, 1000), 1, "How many instances run; 0 stops the role."),
            key("place", refer("place"), "Which hosts may run it."),
            key_or("on_host_loss", words(&["wait", "elsewhere"]), "wait", "What happens when its host is lost."),
            key_or(
                "fence",
                words(&["none", "lease"]),
                "none",
                "How a second writer is kept out when its host is lost.",
            ),
        ],
        &["image"],
    );
    described(schema, "A role: how many containers of which image, connected how.")
}

fn source() -> Value {
    let git = object(
        [
            key("url", matching("address", "^[^-\\s][^\\s]*$"), "Address of the repository."),
            key("ref", written(), "Branch, tag or commit; the default branch without it."),
            key("path", refer("inner-path"), "Directory inside the repository."),
        ],
        &["url"],
    );
    exactly_one(
        object(
            [
                key("path", filled(), "A directory, relative to this file."),
                key("git", git, "A directory of a repository."),
                key("reference", refer("reference"), "A finished image."),
            ],
            &[],
        ),
        &["path", "git", "reference"],
    )
}

fn provide() -> Value {
    let publish = section([
        key("port", whole(1, 65535), "A fixed port of the host; a free one without it."),
        key(
            "address",
            matching("address", "^[0-9A-Fa-f.:]+$"),
            "A further address of the host to bind, beside loopback and the host's own.",
        ),
    ]);
    let attributes = json!({
        "type": ["object", "null"],
        "propertyNames": {"allOf": [attribute_name(), {"not": {"enum": ["environment", "service", "role", "endpoint"]}}]},
        "additionalProperties": written(),
    });
    let mut schema = section([
        key_or(
            "method",
            words(&["disco", "static"]),
            "disco",
            "`disco` announces it; `static` only binds it on the host.",
        ),
        key("publish", publish, "Where on the host it is bound."),
        key("attributes", attributes, "Attributes that subscribers can match. `disco` only."),
    ]);
    schema["allOf"] = json!([only("static", &["method", "publish"])]);
    described(schema, "How a provided service is announced and published.")
}

fn require() -> Value {
    let part = |about: &str| described(label(), about);
    let parts = json!({
        "environment": part("Environment; one's own without it."),
        "service": part("Service; one's own without it."),
        "role": {"description": "Role, or `*` for any; the only role that provides the endpoint without it.",
                 "title": "DNS label or `*`", "type": "string", "pattern": "^([*]|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$"},
        "endpoint": part("Endpoint; the requirement's own name without it."),
    });
    let found = json!({"type": ["object", "null"], "properties": parts, "propertyNames": attribute_name(), "additionalProperties": refer("condition")});
    let mut addresses = list_of(matching_address());
    addresses["minItems"] = 1.into();
    let mut schema = section([
        key_or("method", words(&["disco", "static"]), "disco", "`disco` finds it; `static` names addresses."),
        key("match", found, "What an endpoint has to match: parts of its name, and attributes. `disco` only."),
        key(
            "prefer",
            list_of(attribute_name()),
            "Attributes in which an endpoint should equal the container's host, the most important first. `disco` only.",
        ),
        key("addresses", addresses, "Fixed addresses. `static` only."),
        key(
            "min",
            whole(0, 1000),
            "How many endpoints it needs before the container may start; 0 makes it optional. What the image says without it.",
        ),
        key_or(
            "wait",
            refer("duration"),
            "60s",
            "How long a start waits for them before `scs up` and `scs run` say so and fail.",
        ),
    ]);
    schema["allOf"] = json!([
        only("static", &["method", "addresses", "min", "wait"]),
        only("disco", &["method", "match", "prefer", "min", "wait"]),
    ]);
    described(schema, "Where a required service is found.")
}

fn matching_address() -> Value {
    matching("`host:port` entry", "^([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$")
}

/// With this method, these keys alone. Which of them are needed depends on `global`, so the schema does not say.
fn only(method: &str, keys: &[&str]) -> Value {
    json!({
        "if": {"type": "object", "properties": {"method": {"const": method}}, "required": ["method"]},
        "then": {"propertyNames": {"anyOf": [{"enum": keys}, {"pattern": "^x-"}]}},
    })
}

fn secret_use() -> Value {
    let long = object(
        [
            key("from", secret_name(), "Name in the deployment's `secrets`."),
            key_or(
                "as",
                words(&["file", "environment"]),
                "file",
                "As the file `/run/secrets/NAME`, or as an environment variable for images that know nothing else.",
            ),
        ],
        &["from"],
    );
    json!({"title": "use of a secret", "oneOf": [secret_name(), long]})
}

fn environment() -> Value {
    let from_env = object(
        [
            key("from_env", variable_name(), "Variable of whoever runs `scs`."),
            key("default", written(), "Value when it is not set."),
        ],
        &["from_env"],
    );
    let names = json!({"allOf": [variable_name(), {"not": {"pattern": "^SCS_"}}]});
    map_of(&names, json!({"title": "value", "oneOf": [written(), from_env]}))
}

fn place() -> Value {
    let schema = section([
        key("host", filled(), "This host and no other."),
        key("match", map_of(&attribute_name(), refer("condition")), "Hosts whose labels hold this."),
        key("spread", filled(), "Instances are spread over the values of this label."),
    ]);
    described(schema, "Which hosts may run a role.")
}
