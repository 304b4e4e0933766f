//! What both manifests use: names, durations, commands, live updates.

use super::build::{
    any_name, described, exactly_one, key, key_or, list_of, map_of, matching, object, refer, words, written,
};
use serde_json::{Map, Value, json};

pub(super) fn label() -> Value {
    matching("DNS label", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
}

pub(super) fn secret_name() -> Value {
    matching("name of a secret", "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")
}

pub(super) fn variable_name() -> Value {
    matching("name of an environment variable", "^[A-Za-z_][A-Za-z0-9_]*$")
}

pub(super) fn attribute_name() -> Value {
    matching("attribute name", "^[^\\s]{1,128}$")
}

/// Definitions that both documents carry.
pub(super) fn definitions() -> Map<String, Value> {
    let mut definitions = Map::new();
    let mut define = |name: &str, schema: Value| definitions.insert(name.to_owned(), schema);
    define(
        "duration",
        described(matching("duration", "^[0-9]+(ms|s|m|h|d)$"), "A duration: `250ms`, `30s`, `5m`, `2h`, `1d`."),
    );
    define(
        "pause",
        described(
            matching("duration above 0", "^[0-9]*[1-9][0-9]*(ms|s|m|h|d)$"),
            "A duration that is longer than nothing.",
        ),
    );
    define(
        "size",
        described(
            matching("size", "^[0-9]*[1-9][0-9]*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)$"),
            "A size: `512KiB`, `256MiB`, `20GiB`; decimal `kB`, `MB`, `GB`, `TB` too.",
        ),
    );
    define(
        "mode",
        json!({
            "title": "permission bits", "type": ["string", "integer"], "pattern": "^(0o)?[0-7]{3,5}$", "minimum": 0,
            "description": "Permission bits in octal, as `chmod` takes them: `0750`.",
        }),
    );
    define("container-path", described(matching("absolute path", "^/"), "An absolute path inside the container."));
    define(
        "inner-path",
        described(matching("relative path", "^[^/]"), "A relative path that stays inside its directory."),
    );
    define(
        "command",
        json!({
            "title": "command", "type": "array", "items": written(), "minItems": 1,
            "description": "A program and its arguments, run without a shell.",
        }),
    );
    define(
        "reference",
        described(
            matching("image reference", "^[A-Za-z0-9\\[][A-Za-z0-9._/:@\\[\\]-]*$"),
            "An image reference, e.g. `debian:bookworm-slim` or `NAME@sha256:…`.",
        ),
    );
    define("liveupdate", liveupdate());
    define("condition", condition());
    definitions
}

fn liveupdate() -> Value {
    let keys = [
        key(
            "command",
            refer("command"),
            "Run inside the container with the new environment; exit code 0 means applied.",
        ),
        key(
            "signal",
            json!({"title": "signal", "enum": [
                "HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH", "CONT", "ALRM",
                "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGWINCH", "SIGCONT", "SIGALRM",
            ]}),
            "`HUP`, `USR1`, … with or without `SIG`: sent to process 1, once the files under `/run/scs` are new.",
        ),
        key_or("timeout", refer("pause"), "30s", "How long the command may run."),
        key_or("debounce", refer("duration"), "250ms", "At least this long after the first change of a burst."),
        key_or(
            "on_failure",
            words(&["retry", "restart", "ignore"]),
            "retry",
            "What follows a failed command: tried again with backoff; the container created anew; nothing.",
        ),
        key_or(
            "on_empty",
            words(&["hold", "apply"]),
            "hold",
            "What an empty set of endpoints means: the last ones stay, unless they all left cleanly; or the container is told at once.",
        ),
    ];
    json!({
        "title": "live update",
        "description": "How a change reaches the running container. `restart` (the default) creates it anew, `none` only rewrites the files under `/run/scs`.",
        "oneOf": [words(&["none", "restart"]), exactly_one(object(keys, &[]), &["command", "signal"])],
    })
}

fn condition() -> Value {
    let mut values = list_of(written());
    values["minItems"] = 1.into();
    let one_or_more = json!({"oneOf": [written(), values]});
    let keys = [
        key("not", one_or_more, "It is none of these, or absent."),
        key("exists", json!({"type": "boolean"}), "It is there, or is not."),
    ];
    json!({
        "title": "condition",
        "description": "What has to hold of an attribute: `a`, `[a, b]`, `{not: a}`, `{not: [a, b]}` or `{exists: true}`.",
        "oneOf": [written(), values, exactly_one(object(keys, &[]), &["not", "exists"])],
    })
}

/// Anything under any name: parameters.
pub(super) fn anything() -> Value {
    map_of(&any_name(), json!({"title": "any value"}))
}
