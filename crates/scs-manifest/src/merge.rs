//! Base and overlays become one tree. Maps merge, scalars and lists replace, `null` removes; every value keeps its place.
//! What the image offers and a role takes back (`provide: {http: null}`) is below every overlay, so there the `null` stays.

#[cfg(test)]
mod tests;

use crate::diagnostic::{Diagnostic, note, suggest};
use crate::source::File;
use crate::tree::{Entry, Map, Node, Value};
use crate::yaml;

/// A deployment manifest, overlays applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The merged value.
    pub root: Node,
    /// The files it was made of, the base first; what rendering findings needs.
    pub files: Vec<File>,
}

/// Parses a base and its overlays and merges them; all that is wrong with any of them at once.
pub fn load(files: &[File]) -> Result<Tree, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let nodes: Vec<Option<Node>> = files.iter().map(|file| yaml::parse(file, &mut found)).collect();
    if files.is_empty() {
        found.push(Diagnostic::error(&File::new("", "").span(), "no manifest is given"));
    }
    // With a file missing, what the others say of it would be wrong.
    let nodes: Option<Vec<Node>> = nodes.into_iter().collect();
    let mut nodes = nodes.into_iter().flatten();
    let root = nodes.next().map(|base| merge(base, nodes.collect(), &mut found));
    match root {
        Some(root) if found.is_empty() => Ok(Tree { root, files: files.to_vec() }),
        _ => Err(found),
    }
}

/// Applies overlays to a base, each over what the ones before it made.
pub fn merge(mut base: Node, overlays: Vec<Node>, found: &mut Vec<Diagnostic>) -> Node {
    for overlay in overlays {
        check_roles(&base, &overlay, found);
        base = over_at(&mut Vec::new(), base, overlay);
    }
    base
}

/// Whether a value is a `null` that the role has to be told of, since what it removes is the image's.
fn is_taken_back(path: &[String], key: &str, node: &Node) -> bool {
    let place: Vec<&str> = path.iter().map(String::as_str).chain([key]).collect();
    matches!(place[..], ["containers", _, "provide", _]) && node.is_written_null()
}

/// The overlay's file name that `--env` adds: `deployment.yaml` and `prod` give `deployment.prod.yaml`.
#[must_use]
pub fn overlay_name(base: &str, environment: &str) -> String {
    match base.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => format!("{stem}.{environment}.{extension}"),
        _ => format!("{base}.{environment}"),
    }
}

/// A role that the base has not is a slip of the pen, unless the overlay gives it an image.
fn check_roles(base: &Node, overlay: &Node, found: &mut Vec<Diagnostic>) {
    let Some(overlaid) = overlay.get("containers").and_then(Node::map) else { return };
    let empty = Map::new();
    let known = base.get("containers").and_then(Node::map).unwrap_or(&empty);
    for (role, entry) in overlaid {
        if known.contains_key(role) || entry.node.get("image").is_some() {
            continue;
        }
        let mut finding =
            Diagnostic::error(&entry.key, format!("`{role}` is no role of the manifest under this overlay"))
                .help("a role that only the overlay has needs an `image` there")
                .maybe_help(suggest(role, known.keys().map(String::as_str)));
        if let Some(containers) = base.map().and_then(|map| map.get("containers")) {
            finding = finding.related(&containers.key, "the roles are here");
        }
        note(found, finding);
    }
}

/// One value over another, by the rules of overlays.
pub(crate) fn over(base: Node, overlay: Node) -> Node {
    // Of no document: at the top of one there are no names of parameters.
    over_at(&mut vec!["config".to_owned()], base, overlay)
}

fn over_at(path: &mut Vec<String>, base: Node, overlay: Node) -> Node {
    match (base.value, overlay.value) {
        (Value::Map(mut map), Value::Map(overlaid)) => {
            for (key, entry) in overlaid {
                overlay_entry(path, &mut map, key, entry);
            }
            Node { value: Value::Map(map), span: base.span }
        }
        (_, value) => Node { value: without_nulls(path, value), span: overlay.span },
    }
}

/// What one place says over its defaults: as [`over`], but nothing is removed, so that a `null` is what it is.
pub(crate) fn layered(below: Node, own: Node) -> Node {
    match (below.value, own.value) {
        (Value::Map(mut map), Value::Map(own_map)) => {
            for (key, entry) in own_map {
                let node = match map.get_mut(&key) {
                    Some(below) => layered(below.node.clone(), entry.node),
                    None => entry.node,
                };
                map.insert(key, Entry { key: entry.key, node });
            }
            Node { value: Value::Map(map), span: own.span }
        }
        (_, value) => Node { value, span: own.span },
    }
}

fn overlay_entry(path: &mut Vec<String>, map: &mut Map, key: String, entry: Entry) {
    if is_taken_back(path, &key, &entry.node) {
        map.insert(key, entry);
        return;
    }
    if entry.node.is_null() {
        map.shift_remove(&key);
        return;
    }
    path.push(key.clone());
    let Some(below) = map.get_mut(&key) else {
        let node = Node { value: without_nulls(path, entry.node.value), span: entry.node.span };
        path.pop();
        map.insert(key, Entry { key: entry.key, node });
        return;
    };
    let nothing = Node { value: Value::List(Vec::new()), span: below.node.span.clone() };
    let base = std::mem::replace(&mut below.node, nothing);
    let both_maps = base.map().is_some() && entry.node.map().is_some();
    below.node = over_at(path, base, entry.node);
    path.pop();
    if !both_maps {
        below.key = entry.key;
    }
}

/// What an overlay adds anew has nothing below that its `null`s could remove.
fn without_nulls(path: &mut Vec<String>, value: Value) -> Value {
    let Value::Map(map) = value else { return value };
    let mut kept = Map::new();
    for (key, Entry { key: span, node }) in map {
        if node.is_null() && !is_taken_back(path, &key, &node) {
            continue;
        }
        path.push(key);
        let node = Node { value: without_nulls(path, node.value), span: node.span };
        kept.extend(path.pop().map(|key| (key, Entry { key: span, node })));
    }
    Value::Map(kept)
}
