//! Schemas of volumes and networks, from the table of their methods that the parser reads too.

use super::build::{any_name, described, filled, key, key_or, list_of, refer, section, truth, whole, words, written};
use super::shared::label;
use crate::deployment::{Kind, Method, OptionKind};
use serde_json::{Map, Value, json};

pub(super) fn kind_defaults(kind: &Kind, common: &[(String, Value)]) -> Value {
    let names: Vec<&str> = kind.names().collect();
    let mut keys = vec![key_or("method", words(&names), kind.default, "The method where a role names none.")];
    for method in kind.methods {
        let own = method.options.iter().map(|option| key(option.name, option_schema(option.kind), option.about));
        let common =
            common.iter().filter(|(name, _)| !method.options.iter().any(|option| option.name == name)).cloned();
        keys.push(key(method.name, section(common.chain(own)), method.about));
    }
    section(keys)
}

pub(super) fn volume_common() -> Vec<(String, Value)> {
    vec![
        key(
            "path",
            refer("container-path"),
            "Where it is mounted; where the image says without it. A volume with a `path` need not be declared by the image.",
        ),
        key(
            "access",
            words(&["single", "shared"]),
            "Whether one container at a time may write to it, or many; what the image says without it.",
        ),
        key("owner", written(), "Owner of a new volume's root directory; what the image says without it."),
        key("mode", refer("mode"), "Permission bits of a new volume's root directory; what the image says without it."),
        key_or("read_only", truth(), false, "Mounted read-only."),
    ]
}

/// A connection of a method chosen by name, with that method's options.
pub(super) fn by_method(kind: &Kind, common: Vec<(String, Value)>) -> Value {
    let names: Vec<&str> = kind.names().collect();
    let mut keys: Map<String, Value> = Map::new();
    keys.extend([key_or("method", words(&names), kind.default, "What provides it.")]);
    let mut rules = Vec::new();
    for method in kind.methods {
        for option in method.options {
            let about = format!("`{}`: {}", method.name, option.about);
            match keys.get_mut(option.name) {
                // Several methods call an option so; each says below what its own takes.
                Some(known) => {
                    let both = format!("{} {about}", known["description"].as_str().unwrap_or_default());
                    *known = described(json!({"title": "see the method"}), &both);
                }
                None => keys.extend([key(option.name, option_schema(option.kind), &about)]),
            }
        }
        rules.push(rule(method, &common));
    }
    for (name, schema) in common {
        match keys.get_mut(&name) {
            Some(known) => {
                let both = format!(
                    "{} {}",
                    schema["description"].as_str().unwrap_or_default(),
                    known["description"].as_str().unwrap_or_default()
                );
                *known = described(json!({"title": "path"}), &both);
            }
            None => keys.extend([(name, schema)]),
        }
    }
    let mut schema = section(keys);
    schema["allOf"] = rules.into();
    let about: Vec<String> =
        kind.methods.iter().map(|method| format!("- `{}`: {}", method.name, method.about)).collect();
    described(schema, &format!("What provides {}, by its `method`:\n\n{}", kind.what, about.join("\n")))
}

fn rule(method: &Method, common: &[(String, Value)]) -> Value {
    let mut properties: Map<String, Value> = common.iter().cloned().collect();
    properties.extend(method.options.iter().map(|option| (option.name.to_owned(), option_schema(option.kind))));
    let mut names: Vec<&str> = properties.keys().map(String::as_str).collect();
    names.push("method");
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    json!({
        "if": {"type": "object", "properties": {"method": {"const": method.name}}, "required": ["method"]},
        "then": {"properties": properties, "propertyNames": {"anyOf": [{"enum": names}, {"pattern": "^x-"}]}},
    })
}

fn option_schema(kind: OptionKind) -> Value {
    match kind {
        OptionKind::Text => filled(),
        OptionKind::Truth => truth(),
        OptionKind::Count => whole(1, 1 << 32),
        OptionKind::Size => refer("size"),
        OptionKind::Label => label(),
        OptionKind::InnerPath => refer("inner-path"),
        OptionKind::Texts => list_of(written()),
        OptionKind::TextMap => {
            json!({"type": "object", "propertyNames": any_name(), "additionalProperties": written()})
        }
    }
}
