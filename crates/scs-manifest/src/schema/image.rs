//! The schema of `image.yaml`.

use super::build::{
    any_name, described, exactly_one, filled, key, key_or, list_of, map_of, matching, object, refer, section, text,
    truth, whole, words, written,
};
use super::shared::{anything, definitions, label, secret_name};
use serde_json::{Value, json};

/// The JSON Schema (2020-12) of an image manifest.
#[must_use]
pub fn image() -> Value {
    let mut schema = manifest(&["version"]);
    let mut definitions = definitions();
    definitions.insert("health".to_owned(), health());
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Image manifest".into();
    schema["description"] = "`image.yaml`, at the root of an image's source: what a container of this image needs and offers, never where it gets it.".into();
    schema["$defs"] = definitions.into();
    schema
}

/// The manifest itself, without definitions.
pub(super) fn manifest(required: &[&str]) -> Value {
    object(
        [
            key("version", json!({"const": 1}), "Version of this format."),
            key(
                "about",
                section([key("title", text(), "Short name."), key("description", text(), "What it is.")]),
                "Words for people; they change no digest.",
            ),
            key(
                "engine",
                section([key("docker", docker(), "What a container engine is told.")]),
                "What the image and its containers are, to the engine.",
            ),
            key("config", config(), "How the image is made. Without it, the base is used as it is."),
            key("provide", map_of(&label(), provide()), "Services that the container provides, by endpoint name."),
            key(
                "require",
                map_of(&label(), require()),
                "Services that the container needs, by the name it knows them under.",
            ),
            key(
                "secret",
                map_of(&secret_name(), secret()),
                "Secrets that the container reads, as files `/run/secrets/NAME`.",
            ),
            key("volume", map_of(&label(), volume()), "Places that the container writes what has to last."),
            key(
                "quiesce",
                object(
                    [
                        key("command", refer("command"), "Makes what is on disk consistent."),
                        key("release", refer("command"), "Lets writing go on."),
                    ],
                    &["command"],
                ),
                "Commands around a consistent copy of the volumes.",
            ),
            key("logs", list_of(log()), "Log files inside the container, shown beside its output."),
        ],
        required,
    )
}

fn docker() -> Value {
    let debootstrap = object(
        [
            key(
                "debootstrap",
                matching("release", "^[a-z0-9][a-z0-9.-]*$"),
                "A minimal system of this release, made from the distribution's packages.",
            ),
            key(
                "snapshot",
                json!({"title": "date", "type": ["string", "integer"], "pattern": "^[0-9]{8}(T[0-9]{6}Z)?$",
                       "minimum": 10_000_000, "maximum": 99_999_999}),
                "Date that pins the packages, e.g. `20260131T120000Z`.",
            ),
        ],
        &["debootstrap"],
    );
    let limit = whole(0, u64::MAX);
    let limits = object(
        [key("soft", limit.clone(), "Soft limit."), key("hard", limit.clone(), "Hard limit.")],
        &["soft", "hard"],
    );
    let mount_options =
        map_of(&matching("absolute path", "^/"), json!({"title": "mount options", "type": ["string", "null"]}));
    section([
        key(
            "from",
            json!({"title": "base", "oneOf": [refer("reference"), debootstrap]}),
            "What the image starts from: `{debootstrap: RELEASE}` or an image reference. Needed, except with the method `dockerfile`, which forbids it.",
        ),
        key("command", refer("command"), "The container's command, part of the image."),
        key("entrypoint", refer("command"), "The container's entry point, part of the image."),
        key("user", written(), "User (and `:group`) that the command runs as, part of the image."),
        key(
            "ulimits",
            map_of(&any_name(), json!({"oneOf": [limit, limits]})),
            "Limits of the process, e.g. `nofile: 65536`.",
        ),
        key("shm_size", refer("size"), "Size of `/dev/shm`."),
        key(
            "cap_add",
            list_of(matching("capability", "^(CAP_)?[A-Z0-9_]+$")),
            "Kernel capabilities to add, e.g. `NET_ADMIN`.",
        ),
        key(
            "tmpfs",
            json!({"title": "in-memory directories", "oneOf": [list_of(refer("container-path")), {
                "type": "object", "propertyNames": mount_options["propertyNames"], "additionalProperties": mount_options["additionalProperties"],
            }]}),
            "Directories in memory: a list of paths, or a map from paths to mount options.",
        ),
        key_or("init", truth(), false, "Whether the engine's init runs as process 1."),
    ])
}

fn config() -> Value {
    let resources = map_of(
        &matching("Puppet type", "^[a-z][a-z0-9_]*(::[a-z][a-z0-9_]*)*$"),
        map_of(&any_name(), json!({"title": "parameters", "type": ["object", "null"]})),
    );
    let mut scripts = list_of(refer("inner-path"));
    scripts["minItems"] = 1.into();
    let mut schema = section([
        key("method", words(&["puppet", "shell", "dockerfile", "none"]), "What turns base and source into the image."),
        key("parameters", anything(), "Parameters and their defaults; a deployment gives others in `image.config`."),
        key("resources", resources, "`puppet`: kind → name → parameters, declared as `scs::KIND`."),
        key("scripts", scripts, "`shell`: scripts of the source, run in this order; `[configure.sh]` without it."),
        key_or("file", refer("inner-path"), "Dockerfile", "`dockerfile`: the Dockerfile, relative to the source."),
        key("target", filled(), "`dockerfile`: the stage to stop at."),
    ]);
    let only = |method: &str, keys: &[&str]| {
        let allowed: Vec<&str> = ["method", "parameters"].iter().chain(keys).copied().collect();
        json!({
            "if": {"properties": {"method": {"const": method}}, "required": ["method"]},
            "then": {"propertyNames": {"anyOf": [{"enum": allowed}, {"pattern": "^x-"}]}},
        })
    };
    schema["required"] = json!(["method"]);
    schema["type"] = "object".into();
    schema["allOf"] = json!([
        only("puppet", &["resources"]),
        only("shell", &["scripts"]),
        only("dockerfile", &["file", "target"]),
        only("none", &[])
    ]);
    schema
}

fn provide() -> Value {
    object(
        [
            key("description", text(), "What it is."),
            key("port", whole(1, 65535), "Port inside the container."),
            key_or("protocol", words(&["tcp", "udp"]), "tcp", "Transport."),
            key(
                "health",
                refer("health"),
                "When it is announced, and when it is marked failing. Without it, it is announced as soon as the container runs; a container without any check is up once it has run for 2 s, or for 10 s after one that ended.",
            ),
        ],
        &["port"],
    )
}

/// The definition `health`.
pub(super) fn health() -> Value {
    let keys = [
        key("http", matching("path", "^/[!-~]*$"), "`GET` of this path answers with a status below 400."),
        key("tcp", json!({"const": true}), "A connection is accepted."),
        key("command", refer("command"), "A command inside the container exits with 0."),
        key_or("interval", refer("pause"), "2s", "Time between checks once it has passed."),
        key_or("timeout", refer("pause"), "1s", "How long one check may take."),
        key_or("start", refer("duration"), "60s", "How long it may fail after the start before the start has failed."),
        key_or("unhealthy", whole(1, 1000), 3, "Failures in a row that mark it failing."),
    ];
    let mut schema = exactly_one(object(keys, &[]), &["http", "tcp", "command"]);
    schema["title"] = "health check".into();
    described(schema, "A health check. It asks the container's own address, not the published port.")
}

fn require() -> Value {
    section([
        key("description", text(), "What it is."),
        key_or(
            "min",
            whole(0, 1000),
            1,
            "How many endpoints it needs before the container may start; 0 makes it optional. A deployment may say otherwise.",
        ),
        key_or(
            "liveupdate",
            refer("liveupdate"),
            "restart",
            "How a change of endpoints reaches the running container.",
        ),
    ])
}

fn secret() -> Value {
    section([
        key("description", text(), "What it is."),
        key_or("liveupdate", refer("liveupdate"), "restart", "How a rotated value reaches the running container."),
    ])
}

fn volume() -> Value {
    object(
        [
            key("description", text(), "What it holds."),
            key("path", refer("container-path"), "Where it is mounted."),
            key_or(
                "access",
                words(&["single", "shared"]),
                "single",
                "Whether one container at a time may write to it, or many.",
            ),
            key(
                "owner",
                written(),
                "User (name or id, resolved inside the image) that owns a new volume's root directory.",
            ),
            key("mode", refer("mode"), "Permission bits of a new volume's root directory."),
        ],
        &["path"],
    )
}

fn log() -> Value {
    object(
        [
            key("path", refer("container-path"), "Path of the file."),
            key("type", filled(), "Shown beside each line; the file's name without it."),
        ],
        &["path"],
    )
}
