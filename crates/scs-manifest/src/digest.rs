//! Digests: what changes an image, what changes a container, and the canonical form both are taken over.
//!
//! Changing anything here rebuilds every image of every user, so the tests pin the bytes.

mod change;
mod source;
#[cfg(test)]
mod tests;

pub use change::{Change, explain_change};
pub use source::{Content, SourceEntry, source};

use crate::compiled::{Base, Configurator, Image, Role};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Version of the recipe by which each configurator makes an image; raise it when the same inputs make another image.
#[must_use]
pub fn recipe(configurator: &Configurator) -> u32 {
    match configurator {
        Configurator::Puppet { .. }
        | Configurator::Shell { .. }
        | Configurator::Dockerfile { .. }
        | Configurator::None => 1,
    }
}

/// SHA-256 (lower-case hex) over all that changes the image and nothing else: parameters, base, command, entry point,
/// user, the configurator and its recipe, the platform, the source's content. Not the title, not the source's place.
#[must_use]
pub fn image_digest(image: &Image) -> String {
    let base = match &image.base {
        Base::Debootstrap { suite, snapshot } => {
            json!({"debootstrap": suite, "snapshot": snapshot, "variant": "minbase"})
        }
        Base::Reference(reference) => json!({"reference": reference}),
        Base::None => Value::Null,
    };
    let configurator = serde_json::to_value(&image.configurator).expect("invariant: a configurator has only text keys");
    let document = json!({
        "format": "scs-image-1",
        "base": base,
        "command": image.command,
        "configurator": configurator,
        "entrypoint": image.entrypoint,
        "parameters": image.parameters,
        "platform": image.platform,
        "recipe": recipe(&image.configurator),
        "source": image.source_digest,
        "user": image.user,
    });
    sha256_hex(canonical(&document).as_bytes())
}

/// SHA-256 (lower-case hex) over the rest of a role: all but the image, the digests and the words for people.
#[must_use]
pub fn spec_digest(role: &Role) -> String {
    let mut document = serde_json::to_value(role).expect("invariant: a role has only text keys");
    if let Value::Object(fields) = &mut document {
        for field in ["image_digest", "spec_digest", "image"] {
            fields.remove(field);
        }
        for connections in ["provide", "require"] {
            for connection in fields.get_mut(connections).and_then(Value::as_object_mut).into_iter().flatten() {
                connection.1.as_object_mut().map(|fields| fields.remove("description"));
            }
        }
    }
    let document = json!({"format": "scs-spec-1", "role": document});
    sha256_hex(canonical(&document).as_bytes())
}

/// JSON without white space, keys sorted by their bytes, whatever order the value was made in.
///
/// Integers are written plain; other numbers as the shortest decimals that read back the same, without exponent and with
/// a point. Not as `serde_json` writes them, which has changed between its versions.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(&fields[key], text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::Number(number) if number.is_f64() => {
            let decimal = number.as_f64().unwrap_or_default().to_string();
            text.push_str(&decimal);
            if !decimal.contains('.') {
                text.push_str(".0");
            }
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// SHA-256 of some bytes, as lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
