//! The merged manifest as `scs config` prints it: YAML again, each value with the file and line it came from.

#[cfg(test)]
mod tests;

use crate::tree::{Kind, Map, Node, Scalar, Value};
use serde_json::json;

/// YAML of the tree with a `# FILE:LINE` behind each value. Reads back as the same values.
#[must_use]
pub fn show(root: &Node) -> String {
    let mut lines = Vec::new();
    match &root.value {
        Value::Map(map) if !map.is_empty() => show_map(map, 0, &mut lines),
        Value::List(items) if !items.is_empty() => show_list(items, 0, &mut lines),
        _ => lines.push((inline(root), place(root))),
    }
    // Comments start in one column where the line allows it; long lines push theirs out.
    let widths = lines.iter().filter(|(_, place)| !place.is_empty()).map(|(line, _)| line.chars().count());
    let column = widths.filter(|width| *width <= 60).max().unwrap_or(0);
    let mut text = String::new();
    for (line, place) in lines {
        if place.is_empty() {
            text.push_str(&line);
        } else {
            text.push_str(&format!("{line:<column$}  # {place}"));
        }
        text.push('\n');
    }
    text
}

/// The tree as JSON: `{value, file, line}` for a scalar, `{map: …}` and `{list: …}` with the same inside.
#[must_use]
pub fn to_json(root: &Node) -> serde_json::Value {
    let inside = match &root.value {
        Value::Scalar(_) => json!({"value": root.to_json()}),
        Value::List(items) => json!({"list": items.iter().map(to_json).collect::<Vec<_>>()}),
        Value::Map(map) => {
            let entries: serde_json::Map<_, _> =
                map.iter().map(|(key, entry)| (key.clone(), to_json(&entry.node))).collect();
            json!({"map": entries})
        }
    };
    let mut object = match inside {
        serde_json::Value::Object(object) => object,
        _ => serde_json::Map::new(),
    };
    object.insert("file".to_owned(), (*root.span.file).into());
    object.insert("line".to_owned(), root.span.line.into());
    object.into()
}

type Line = (String, String);

fn show_map(map: &Map, indent: usize, lines: &mut Vec<Line>) {
    for (key, entry) in map {
        let head = format!("{:indent$}{}:", "", text(key));
        show_value(&head, &entry.node, indent + 2, lines);
    }
}

fn show_list(items: &[Node], indent: usize, lines: &mut Vec<Line>) {
    for item in items {
        match &item.value {
            Value::Map(map) if !map.is_empty() => {
                let first = lines.len();
                show_map(map, indent + 2, lines);
                let (line, _) = &mut lines[first];
                *line = format!("{:indent$}- {}", "", line.trim_start());
            }
            _ => show_value(&format!("{:indent$}-", ""), item, indent + 2, lines),
        }
    }
}

fn show_value(head: &str, node: &Node, indent: usize, lines: &mut Vec<Line>) {
    match &node.value {
        Value::Map(map) if !map.is_empty() => {
            lines.push((head.to_owned(), String::new()));
            show_map(map, indent, lines);
        }
        // Commands and the like stay on one line.
        Value::List(items) if items.iter().any(|item| !matches!(item.value, Value::Scalar(_))) => {
            lines.push((head.to_owned(), String::new()));
            show_list(items, indent, lines);
        }
        _ => lines.push((format!("{head} {}", inline(node)), place(node))),
    }
}

fn place(node: &Node) -> String {
    // A line break in a file's name would end the comment.
    format!("{}:{}", node.span.file.replace(['\n', '\r'], "?"), node.span.line)
}

fn inline(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Text => text(&scalar.text),
            Kind::Null => "null".to_owned(),
            Kind::Bool(_) | Kind::Number(_) => scalar.text.clone(),
        },
        Value::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, entry)| format!("{}: {}", text(key), inline(&entry.node))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Text as a plain scalar where that is safe anywhere, else quoted as in JSON, which YAML reads alike.
pub(crate) fn text(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let plain = !text.is_empty()
        && text.chars().all(safe)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_')
        && Scalar::plain(text).kind == Kind::Text;
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
