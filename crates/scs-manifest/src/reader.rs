//! Reading typed values out of a tree by hand, noting everything that is wrong on the way.

mod scalar;
mod shared;

pub(crate) use scalar::{is_label, is_secret, is_variable};
pub(crate) use shared::NAME_PARTS;

use crate::diagnostic::{Diagnostic, choices, is_full, listed, note, suggest};
use crate::source::Span;
use crate::tree::{Entry, Map, Node, Value};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, span: &Span) -> Self {
        Self { value, span: span.clone() }
    }
}

/// Collects findings while values are read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) found: Vec<Diagnostic>,
}

/// A map with fixed keys that is being read; `finish` reports the keys nobody asked for.
pub(crate) struct Fields<'a> {
    /// What the map is, for errors: "a health check".
    what: &'static str,
    map: Option<&'a Map>,
    pub(crate) span: &'a Span,
    asked: Vec<&'static str>,
}

impl Reader {
    pub(crate) fn error(&mut self, span: &Span, message: impl Into<String>) {
        self.push(Diagnostic::error(span, message));
    }

    pub(crate) fn push(&mut self, finding: Diagnostic) {
        note(&mut self.found, finding);
    }

    /// A map with fixed keys; anything else is an error.
    pub(crate) fn fields<'a>(&mut self, node: &'a Node, what: &'static str) -> Option<Fields<'a>> {
        let map = self.expect_map(node, what)?;
        Some(Fields { what, map: Some(map), span: &node.span, asked: Vec::new() })
    }

    /// A map with fixed keys that may be left empty (`provide:` with nothing behind it).
    pub(crate) fn section<'a>(&mut self, node: &'a Node, what: &'static str) -> Option<Fields<'a>> {
        if node.is_null() {
            return Some(Fields { what, map: None, span: &node.span, asked: Vec::new() });
        }
        self.fields(node, what)
    }

    /// A map from names to values that may be left empty.
    pub(crate) fn entries<'a>(&mut self, node: Option<&'a Entry>, what: &'static str) -> Vec<(&'a str, &'a Entry)> {
        let Some(entry) = node.filter(|entry| !entry.node.is_null()) else { return Vec::new() };
        let map = self.expect_map(&entry.node, what);
        map.into_iter().flatten().map(|(key, entry)| (key.as_str(), entry)).collect()
    }

    fn expect_map<'a>(&mut self, node: &'a Node, what: &'static str) -> Option<&'a Map> {
        let map = node.map();
        if map.is_none() {
            self.error(&node.span, format!("{what} is a map, not {}", node.described()));
        }
        map
    }

    /// The items of a list.
    pub(crate) fn list<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            _ => {
                self.error(&node.span, format!("{what} is a list, not {}", node.described()));
                None
            }
        }
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(&mut self, fields: &Fields<'_>) {
        for (key, entry) in fields.map.into_iter().flatten() {
            if fields.asked.contains(&key.as_str()) || key.starts_with("x-") {
                continue;
            }
            if is_full(&self.found) {
                return;
            }
            let known = || fields.asked.iter().copied();
            let help = suggest(key, known()).unwrap_or_else(|| format!("known are {}", listed(known())));
            self.push(Diagnostic::error(&entry.key, format!("unknown key `{key}` in {}", fields.what)).help(help));
        }
    }
}

impl<'a> Fields<'a> {
    /// The entry of a key, and a note that the key is known.
    pub(crate) fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.map?.get(key)
    }

    /// The value of a key, and a note that the key is known.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The value of a key that has to be there.
    pub(crate) fn require(&mut self, key: &'static str, reader: &mut Reader) -> Option<&'a Node> {
        let node = self.get(key);
        if node.is_none() {
            reader.error(self.span, format!("{} needs `{key}`", self.what));
        }
        node
    }

    /// The one key of several alternatives that is given; none or several is an error.
    pub(crate) fn one_of(&mut self, keys: &[&'static str], reader: &mut Reader) -> Option<(&'static str, &'a Node)> {
        let mut given: Vec<(&'static str, &'a Entry)> = Vec::new();
        for key in keys {
            given.extend(self.entry(key).map(|entry| (*key, entry)));
        }
        match given.as_slice() {
            [(key, entry)] => Some((key, &entry.node)),
            [] => {
                let choices = choices(keys.iter().copied());
                reader.error(self.span, format!("{} needs {choices}", self.what));
                None
            }
            [(first, at), (second, other), ..] => {
                let message = format!("{} takes `{first}` or `{second}`, not both", self.what);
                reader.push(Diagnostic::error(&other.key, message).related(&at.key, "the other is here"));
                None
            }
        }
    }
}
