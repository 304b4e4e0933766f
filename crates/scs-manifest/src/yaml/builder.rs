//! Builds a tree from parser events: anchors, merge keys, duplicate keys, bounds. Iterative, so depth costs no stack.

use super::{MAX_DEPTH, MAX_NODES};
use crate::diagnostic::{Diagnostic, note};
use crate::source::Span;
use crate::tree::{Entry, Kind, Map, Node, Scalar, Value};
use granit_parser::{Event, ScalarStyle, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// What ends the parsing of a file.
type Fatal = Box<Diagnostic>;

pub(super) struct Builder {
    file: Arc<str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    n_documents: usize,
    n_nodes: usize,
}

/// A collection whose end has not come yet.
struct Open {
    start: granit_parser::Span,
    anchor: usize,
    n_nodes_before: usize,
    /// Height of the tallest child so far.
    height: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { map: Map, key: Option<Key>, merges: Vec<Node> },
}

struct Key {
    text: String,
    span: Span,
    merge: bool,
}

/// A node that aliases may repeat, and what that costs.
struct Anchored {
    node: Node,
    n_nodes: usize,
    height: usize,
}

impl Builder {
    pub(super) fn new(file: Arc<str>) -> Self {
        Self { file, open: Vec::new(), anchors: HashMap::new(), root: None, n_documents: 0, n_nodes: 0 }
    }

    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    pub(super) fn event(
        &mut self,
        event: &Event<'_>,
        span: granit_parser::Span,
        found: &mut Vec<Diagnostic>,
    ) -> Result<(), Fatal> {
        match event {
            Event::DocumentStart(..) => {
                self.n_documents += 1;
                if self.n_documents > 1 {
                    return Err(self.fatal(span, "a manifest is one YAML document; this starts a second"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let span = self.span(span);
                let scalar = scalar(text, *style, tag.as_deref(), &span, found);
                self.count(1, &span)?;
                let is_merge = *style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                self.add(Node { value: Value::Scalar(scalar), span }, *anchor, (1, 1), is_merge, found)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", span, found);
                self.start(span, *anchor, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", span, found);
                self.start(span, *anchor, OpenKind::Map { map: Map::new(), key: None, merges: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span, found),
            Event::Alias(id) => self.alias(*id, span, found),
            _ => Ok(()),
        }
    }

    fn start(&mut self, span: granit_parser::Span, anchor: usize, kind: OpenKind) -> Result<(), Fatal> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fatal(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let n_nodes_before = self.n_nodes;
        self.count(1, &self.span(span))?;
        self.open.push(Open { start: span, anchor, n_nodes_before, height: 0, kind });
        Ok(())
    }

    fn end(&mut self, end: granit_parser::Span, found: &mut Vec<Diagnostic>) -> Result<(), Fatal> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let mut span = self.span(open.start);
        span.end = end.end.byte_offset().unwrap_or(span.end).max(span.end);
        let value = match open.kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map { mut map, merges, .. } => {
                for merge in merges {
                    merge_into(&mut map, merge, found);
                }
                Value::Map(map)
            }
        };
        let size = (self.n_nodes - open.n_nodes_before, open.height + 1);
        self.add(Node { value, span }, open.anchor, size, false, found)
    }

    fn alias(&mut self, id: usize, at: granit_parser::Span, found: &mut Vec<Diagnostic>) -> Result<(), Fatal> {
        let span = self.span(at);
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(self.fatal(at, "an alias inside the very thing it repeats"));
        };
        let size = (anchored.n_nodes, anchored.height);
        if self.open.len() + size.1 > MAX_DEPTH {
            return Err(self.fatal(at, format!("nested deeper than {MAX_DEPTH} levels through an alias")));
        }
        self.count(size.0, &span)?;
        let node = Node { value: self.anchors[&id].node.value.clone(), span };
        self.add(node, 0, size, false, found)
    }

    /// Puts a finished node where it belongs: as key, value, item or root. `size` is its number of nodes and height.
    fn add(
        &mut self,
        node: Node,
        anchor: usize,
        size: (usize, usize),
        is_merge: bool,
        found: &mut Vec<Diagnostic>,
    ) -> Result<(), Fatal> {
        if anchor != 0 {
            // Copies of anchored nodes count too: each anchor holds one.
            self.count(size.0, &node.span)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), n_nodes: size.0, height: size.1 });
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.height = open.height.max(size.1);
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { key: pending @ None, .. } => {
                let Value::Scalar(scalar) = node.value else {
                    let message = "a key is plain text, not a list or a map";
                    return Err(Box::new(
                        Diagnostic::error(&node.span, message).help("a value that holds `{{ … }}` needs quotes"),
                    ));
                };
                *pending = Some(Key { text: scalar.text, span: node.span, merge: is_merge });
            }
            OpenKind::Map { map, key, merges } => {
                let key = key.take().expect("invariant: the arm above takes a map without a pending key");
                if key.merge {
                    merges.push(node);
                } else if let Some(first) = map.get(&key.text) {
                    note(
                        found,
                        Diagnostic::error(&key.span, format!("`{}` is given twice", key.text))
                            .related(&first.key, "first given here"),
                    );
                } else {
                    map.insert(key.text, Entry { key: key.span, node });
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, n_more: usize, at: &Span) -> Result<(), Fatal> {
        self.n_nodes += n_more;
        if self.n_nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Box::new(Diagnostic::error(
            at,
            format!("more than {MAX_NODES} values, those that aliases repeat included"),
        )))
    }

    fn check_tag(&self, tag: Option<&Tag>, expected: &str, span: granit_parser::Span, found: &mut Vec<Diagnostic>) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(expected)
        {
            note(found, Diagnostic::error(&self.span(span), format!("the tag {} means nothing here", tag.original())));
        }
    }

    fn fatal(&self, span: granit_parser::Span, message: impl Into<String>) -> Fatal {
        Box::new(Diagnostic::error(&self.span(span), message))
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let start = span.start.byte_offset().unwrap_or(0);
        let end = span.end.byte_offset().unwrap_or(start).max(start);
        Span { file: Arc::clone(&self.file), start, end, line: span.start.line(), column: span.start.col() + 1 }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span, found: &mut Vec<Diagnostic>) -> Scalar {
    // The parser writes `~` for what is left empty; what is as it was written has nothing there.
    let text = if style == ScalarStyle::Plain && span.start == span.end { "" } else { text };
    let plain = Scalar::plain(text);
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain } else { Scalar::quoted(text) };
    };
    let fits = match (tag.core_suffix(), &plain.kind) {
        (Some("str"), _) => return Scalar::quoted(text),
        (Some("null"), Kind::Null) | (Some("bool"), Kind::Bool(_)) | (Some("float"), Kind::Number(_)) => true,
        (Some("int"), Kind::Number(number)) => !number.is_f64(),
        _ => false,
    };
    if !fits {
        note(found, Diagnostic::error(span, format!("`{text}` is not what the tag {} says", tag.original())));
    }
    plain
}

/// Adds what `<<: value` gives and the map does not say itself.
fn merge_into(map: &mut Map, from: Node, found: &mut Vec<Diagnostic>) {
    match from.value {
        Value::Map(other) => {
            for (key, entry) in other {
                map.entry(key).or_insert(entry);
            }
        }
        Value::List(items) if items.iter().all(|item| item.map().is_some()) => {
            for item in items {
                merge_into(map, item, found);
            }
        }
        _ => note(found, Diagnostic::error(&from.span, "`<<` takes a map or a list of maps")),
    }
}
