//! `global`, and how a connection's own words lie over it.

use super::connections::{network_of, provide_of, require_of, volume_of};
use super::methods::{Kind, NETWORK, VOLUME};
use crate::diagnostic::Diagnostic;
use crate::merge::layered;
use crate::reader::{Reader, Spanned};
use crate::source::Span;
use crate::tree::{Entry, Map, Node, Value};

/// `global`: for each kind of connection a method, and defaults for every use of a method.
#[derive(Debug, Default)]
pub(super) struct Globals<'a> {
    pub(super) provide: Global<'a>,
    pub(super) require: Global<'a>,
    pub(super) volume: Global<'a>,
    pub(super) network: Global<'a>,
}

#[derive(Debug, Default)]
pub(super) struct Global<'a> {
    method: Option<&'a Node>,
    by_method: Vec<(&'static str, &'a Node)>,
}

/// Methods of provided and required services.
pub(super) const ENDPOINT: [&str; 2] = ["disco", "static"];

impl<'a> Globals<'a> {
    pub(super) fn read(node: Option<&'a Node>, reader: &mut Reader) -> Self {
        let Some(mut fields) = node.and_then(|node| reader.section(node, "`global`")) else { return Self::default() };
        let volume: Vec<&'static str> = VOLUME.names().collect();
        let network: Vec<&'static str> = NETWORK.names().collect();
        let globals = Self {
            provide: Global::read(fields.get("provide"), "`global.provide`", &ENDPOINT, reader),
            require: Global::read(fields.get("require"), "`global.require`", &ENDPOINT, reader),
            volume: Global::read(fields.get("volume"), "`global.volume`", &volume, reader),
            network: Global::read(fields.get("network"), "`global.network`", &network, reader),
        };
        reader.finish(&fields);
        globals.check(reader);
        globals
    }

    /// Reads every default once as if it were used, so that a wrong one is found also where nothing uses it.
    fn check(&self, reader: &mut Reader) {
        for (method, node) in &self.provide.by_method {
            provide_of(&Settled::of(method, node), reader);
        }
        for (method, node) in &self.require.by_method {
            require_of(&Settled::of(method, node), reader);
        }
        for (method, node) in &self.volume.by_method {
            volume_of(&Settled::of(method, node), reader);
        }
        for (method, node) in &self.network.by_method {
            network_of(&Settled::of(method, node), reader);
        }
    }
}

impl<'a> Global<'a> {
    fn read(node: Option<&'a Node>, what: &'static str, methods: &[&'static str], reader: &mut Reader) -> Self {
        let Some(mut fields) = node.and_then(|node| reader.section(node, what)) else { return Self::default() };
        let words: Vec<(&str, ())> = methods.iter().map(|name| (*name, ())).collect();
        let method = fields.get("method").filter(|node| reader.word(node, &words).is_some());
        let mut by_method = Vec::new();
        for name in methods {
            let Some(node) = fields.get(name).filter(|node| !node.is_null()) else { continue };
            if let Some(map) = node.map() {
                by_method.push((*name, node));
                if let Some(entry) = map.get("method") {
                    let message = format!("these are the defaults of `{name}`, so they cannot choose the method");
                    reader.push(Diagnostic::error(&entry.key, message).help("`method` stands one level up"));
                }
            } else {
                reader.error(&node.span, format!("the defaults of a method are a map, not {}", node.described()));
            }
        }
        reader.finish(&fields);
        Self { method, by_method }
    }

    /// A connection's method, and all that is said of it.
    pub(super) fn settle(
        &self,
        own: Option<&Entry>,
        methods: &[&'static str],
        default: &'static str,
        reader: &mut Reader,
    ) -> Settled {
        let nothing = Span { file: "".into(), start: 0, end: 0, line: 1, column: 1 };
        let span = own.map(|entry| entry.node.span.clone()).unwrap_or(nothing);
        let own = own.map(|entry| &entry.node).filter(|node| !node.is_null());
        if let Some(node) = own.filter(|node| node.map().is_none()) {
            reader.error(&node.span, format!("a connection is a map, not {}", node.described()));
        }
        let said = own.and_then(|node| node.get("method")).or(self.method);
        let words: Vec<(&str, &'static str)> = methods.iter().map(|name| (*name, *name)).collect();
        let method = said.and_then(|node| reader.word(node, &words));
        let known = said.is_none() || method.is_some();
        let method = Spanned::new(method.unwrap_or(default), said.map_or(&span, |node| &node.span));
        let below = self.by_method.iter().find(|(name, _)| *name == method.value).map(|(_, node)| (*node).clone());
        let own = own.filter(|node| node.map().is_some()).cloned();
        let defaults = own.is_none();
        let node = match (below, own) {
            (Some(below), Some(own)) => layered(below, own),
            (Some(node), None) | (None, Some(node)) => node,
            (None, None) => Node { value: Value::Map(Map::new()), span },
        };
        Settled { method, node, known, defaults }
    }
}

/// A connection whose method is known, and all that is said of it.
pub(super) struct Settled {
    pub(super) method: Spanned<&'static str>,
    pub(super) node: Node,
    /// Whether the method is one; else nobody can tell which keys are right.
    pub(super) known: bool,
    /// Whether these are only defaults, which need not hold all that a use must.
    pub(super) defaults: bool,
}

impl Settled {
    fn of(method: &'static str, node: &Node) -> Self {
        Self { method: Spanned::new(method, &node.span), node: node.clone(), known: true, defaults: true }
    }
}

impl Settled {
    pub(super) fn options(&self, kind: &Kind, reader: &mut Reader) -> serde_json::Map<String, serde_json::Value> {
        match kind.method(self.method.value) {
            Some(method) if self.known => kind.options(method, &self.node, self.defaults, reader),
            _ => serde_json::Map::new(),
        }
    }
}
