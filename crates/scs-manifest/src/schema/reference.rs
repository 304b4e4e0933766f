//! The manifest reference, as Markdown, from the schemas: every key with its value, default and meaning.

use super::{deployment, image};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Markdown that says what each key of both manifests means.
#[must_use]
pub fn reference() -> String {
    let mut page = Page { text: String::new(), definitions: Map::new(), written: Vec::new() };
    page.text.push_str(
        "# Manifest reference\n\nEvery key of `image.yaml` and `deployment.yaml`, made from their schemas (`scs schema image|deployment`).\n\
         Keys starting with `x-` are free for notes and YAML anchors. Files are YAML 1.2: `no` is text, `true` a truth value.\n",
    );
    page.document(&image(), "image.yaml");
    // The same manifest inline is not told twice.
    page.written.push("image-manifest".to_owned());
    page.document(&deployment(), "deployment.yaml");
    page.text
}

struct Page {
    text: String,
    /// Of the document being written.
    definitions: Map<String, Value>,
    /// Definitions that have a section; the second document refers to those of the first.
    written: Vec<String>,
}

/// An object that has a section of its own.
struct Section {
    path: String,
    schema: Value,
}

impl Page {
    fn document(&mut self, schema: &Value, name: &str) {
        self.definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
        let _ =
            write!(self.text, "\n## {}: `{name}`\n\n{}\n", text_of(schema, "title"), text_of(schema, "description"));
        self.table(schema, "");
        let names: Vec<String> = self.definitions.keys().cloned().collect();
        // Objects first: they are what people look up; scalars are words in tables.
        for name in names {
            if self.written.contains(&name) {
                continue;
            }
            let schema = self.definitions[&name].clone();
            let title = title(&name, &schema);
            let _ = write!(self.text, "\n### {}\n\n{}\n", capitalized(&title), text_of(&schema, "description"));
            if let Some(object) = object_in(&schema) {
                self.table(object, "");
            }
            self.written.push(name);
        }
    }

    /// A table of an object's keys, then sections of the objects inside.
    fn table(&mut self, object: &Value, path: &str) {
        let Some(properties) = object["properties"].as_object() else { return };
        let required: Vec<&str> =
            object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.text.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        let mut inside = Vec::new();
        for (key, schema) in properties {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let default = match &schema["default"] {
                Value::Null if required.contains(&key.as_str()) => "**needed**".to_owned(),
                Value::Null => String::new(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let about = text_of(schema, "description").replace('\n', " ").replace('|', "\\|");
            let _ = writeln!(self.text, "| `{key}` | {} | {default} | {about} |", self.kind(schema));
            sections(&path, schema, &mut inside);
        }
        for section in inside {
            // The defaults of each method hold what a use of the method holds, which is told there.
            if section.path.starts_with("global.") && section.path.matches('.').count() > 1 {
                continue;
            }
            let _ = write!(self.text, "\n#### `{}`\n", section.path);
            self.table(&section.schema, &section.path);
        }
    }

    /// What a value is, in a few words for a table.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = definition(schema) {
            if name == "image-manifest" {
                return "[image manifest](#image-manifest-imageyaml)".to_owned();
            }
            let title = self.definitions.get(name).map_or_else(|| name.to_owned(), |schema| title(name, schema));
            return format!("[{title}](#{})", title.to_lowercase().replace(' ', "-"));
        }
        if schema["title"] == "signal" {
            return "signal".to_owned();
        }
        if let Some(words) = schema["enum"].as_array() {
            return words
                .iter()
                .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
                .collect::<Vec<_>>()
                .join(" \\| ");
        }
        if let Some(only) = schema.get("const") {
            return format!("`{only}`");
        }
        if let Some(choices) = schema["oneOf"].as_array().filter(|choices| {
            choices.iter().all(|choice| choice.get("required").is_none() || choice.get("type").is_some())
        }) {
            return choices.iter().map(|choice| self.kind(choice)).collect::<Vec<_>>().join(" or ");
        }
        if schema.get("properties").is_some() {
            return "map".to_owned();
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            return format!("name → {}", self.kind(values));
        }
        if let Some(items) = schema.get("items") {
            return format!("list of {}", plural(&self.kind(items)));
        }
        if let Some(title) = schema["title"].as_str() {
            return title.to_owned();
        }
        match schema["type"].as_str() {
            Some("string") => "text".to_owned(),
            Some("boolean") => "`true` \\| `false`".to_owned(),
            Some("number") => "number above 0".to_owned(),
            Some("integer") => {
                let bound = |name: &str| schema[name].as_u64().unwrap_or(u64::MAX);
                match bound("maximum") {
                    // Bounds that only keep numbers representable say nothing to people.
                    4_294_967_296.. => "whole number".to_owned(),
                    maximum => format!("{}–{maximum}", bound("minimum")),
                }
            }
            _ => "any value".to_owned(),
        }
    }
}

fn plural(kind: &str) -> String {
    match kind.strip_suffix(')') {
        // A link: the `s` belongs to the words, not behind the address.
        Some(_) => kind.replacen("](", "s](", 1),
        None if kind == "map" || kind.ends_with(['y', 'e', 'r', 't']) => format!("{kind}s").replace("ys", "ies"),
        None => kind.to_owned(),
    }
}

/// The objects inside a schema that need a section.
fn sections(path: &str, schema: &Value, found: &mut Vec<Section>) {
    if schema.get("properties").is_some() {
        found.push(Section { path: path.to_owned(), schema: schema.clone() });
    } else if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        sections(&format!("{path}.NAME"), values, found);
    } else if let Some(items) = schema.get("items") {
        sections(&format!("{path}[]"), items, found);
    } else {
        for choice in schema["oneOf"].as_array().into_iter().flatten() {
            sections(path, choice, found);
        }
    }
}

fn object_in(schema: &Value) -> Option<&Value> {
    if schema.get("properties").is_some() {
        return Some(schema);
    }
    schema["oneOf"].as_array().into_iter().flatten().find(|choice| choice.get("properties").is_some())
}

fn definition(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn title(name: &str, schema: &Value) -> String {
    schema["title"].as_str().map_or_else(|| name.replace('-', " "), str::to_owned)
}

fn text_of<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema[key].as_str().unwrap_or_default()
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
