//! Bricks of schemas.

use serde_json::{Map, Value, json};

/// A key of an object: its name, its schema, what it is.
pub(super) fn key(name: &str, schema: Value, about: &str) -> (String, Value) {
    (name.to_owned(), described(schema, about))
}

/// A key with the value it has when left out.
pub(super) fn key_or(name: &str, schema: Value, default: impl Into<Value>, about: &str) -> (String, Value) {
    let mut schema = described(schema, about);
    schema["default"] = default.into();
    (name.to_owned(), schema)
}

pub(super) fn described(mut schema: Value, about: &str) -> Value {
    schema["description"] = about.into();
    schema
}

/// An object with fixed keys; those starting with `x-` are free.
pub(super) fn object(keys: impl IntoIterator<Item = (String, Value)>, required: &[&str]) -> Value {
    let properties: Map<String, Value> = keys.into_iter().collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x-": {}},
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// An object with fixed keys that may be left empty.
pub(super) fn section(keys: impl IntoIterator<Item = (String, Value)>) -> Value {
    let mut schema = object(keys, &[]);
    schema["type"] = json!(["object", "null"]);
    schema
}

/// Of these keys exactly one has to be given.
pub(super) fn exactly_one(mut schema: Value, keys: &[&str]) -> Value {
    let required: Vec<Value> = keys.iter().map(|key| json!({"required": [key]})).collect();
    schema["oneOf"] = required.into();
    schema
}

/// A map from names to values that may be left empty.
pub(super) fn map_of(names: &Value, values: Value) -> Value {
    let mut schema = json!({"type": ["object", "null"], "propertyNames": names});
    schema["additionalProperties"] = values;
    schema
}

pub(super) fn list_of(items: Value) -> Value {
    let mut schema = json!({"type": "array"});
    schema["items"] = items;
    schema
}

pub(super) fn words(words: &[&str]) -> Value {
    json!({"enum": words})
}

pub(super) fn refer(definition: &str) -> Value {
    json!({"$ref": format!("#/$defs/{definition}")})
}

pub(super) fn text() -> Value {
    json!({"type": "string"})
}

pub(super) fn filled() -> Value {
    json!({"type": "string", "minLength": 1})
}

pub(super) fn truth() -> Value {
    json!({"type": "boolean"})
}

pub(super) fn whole(min: u64, max: u64) -> Value {
    json!({"type": "integer", "minimum": min, "maximum": max})
}

/// Whatever stands there, as text.
pub(super) fn written() -> Value {
    json!({"title": "single value", "type": ["string", "number", "boolean"]})
}

pub(super) fn matching(title: &str, pattern: &str) -> Value {
    json!({"title": title, "type": "string", "pattern": pattern})
}

/// Names for propertyNames.
pub(super) fn any_name() -> Value {
    json!({})
}
