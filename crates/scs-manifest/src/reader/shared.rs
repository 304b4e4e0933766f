//! Values that several places of both manifests share: commands, live updates, conditions.

use super::Reader;
use crate::compiled::{Condition, LiveAction, LiveUpdate, OnEmpty, OnFailure};
use crate::diagnostic::{Diagnostic, suggest};
use crate::source::Span;
use crate::tree::{Node, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Parts of an endpoint's name, which no attribute may be called.
pub(crate) const NAME_PARTS: [&str; 4] = ["environment", "service", "role", "endpoint"];

/// Signals that make sense to a running program.
const SIGNALS: [&str; 9] = ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH", "CONT", "ALRM"];

impl Reader {
    /// A list of texts, one at least.
    pub(crate) fn command(&mut self, node: &Node) -> Option<Vec<String>> {
        if let Value::Scalar(scalar) = &node.value
            && !node.is_null()
        {
            let message = "a command is a list of words, not one text";
            let shell = serde_json::Value::from(scalar.text.as_str());
            self.push(
                Diagnostic::error(&node.span, message).help(format!("for a shell, write [/bin/sh, -c, {shell}]")),
            );
            return None;
        }
        let words = self.texts(node, "a command")?;
        if words.first().is_none_or(String::is_empty) {
            self.error(&node.span, "a command needs at least the program");
            return None;
        }
        Some(words)
    }

    /// A list of texts; numbers in it count as they were written, since `[-p, 80]` means what it says.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        let items = self.list(node, what)?;
        let texts: Vec<Option<String>> = items.iter().map(|item| self.written(item)).collect();
        texts.into_iter().collect()
    }

    /// What happens on a change: a map, or `none`, or `restart`; the default is a restart.
    pub(crate) fn liveupdate(&mut self, node: Option<&Node>) -> LiveUpdate {
        let mut update = LiveUpdate {
            action: LiveAction::Restart,
            timeout: Duration::from_secs(30),
            debounce: Duration::from_millis(250),
            on_failure: OnFailure::Retry,
            on_empty: OnEmpty::Hold,
        };
        let Some(node) = node else { return update };
        if node.map().is_none() {
            if let Some(none) = self.word(node, &[("none", true), ("restart", false)]) {
                update.action = if none { LiveAction::None } else { LiveAction::Restart };
            }
            return update;
        }
        let Some(mut fields) = self.fields(node, "a live update") else { return update };
        if let Some((key, node)) = fields.one_of(&["command", "signal"], self) {
            let action = match key {
                "command" => self.command(node).map(LiveAction::Command),
                _ => self.signal(node).map(LiveAction::Signal),
            };
            update.action = action.unwrap_or(update.action);
        }
        update.timeout = fields.get("timeout").and_then(|node| self.pause(node)).unwrap_or(update.timeout);
        update.debounce = fields.get("debounce").and_then(|node| self.duration(node)).unwrap_or(update.debounce);
        if let Some(node) = fields.get("on_failure") {
            let words = [("retry", OnFailure::Retry), ("restart", OnFailure::Restart), ("ignore", OnFailure::Ignore)];
            update.on_failure = self.word(node, &words).unwrap_or(update.on_failure);
        }
        if let Some(node) = fields.get("on_empty") {
            let words = [("hold", OnEmpty::Hold), ("apply", OnEmpty::Apply)];
            update.on_empty = self.word(node, &words).unwrap_or(update.on_empty);
        }
        self.finish(&fields);
        update
    }

    fn signal(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        let name = text.strip_prefix("SIG").unwrap_or(&text);
        if SIGNALS.contains(&name) {
            return Some(name.to_owned());
        }
        let finding = Diagnostic::error(&node.span, format!("`{text}` is no signal to update with"));
        self.push(finding.help(suggest(name, SIGNALS).unwrap_or_else(|| format!("known are {}", SIGNALS.join(", ")))));
        None
    }

    /// What must hold of an attribute: `a`, `[a, b]`, `{not: a}`, `{not: [a, b]}` or `{exists: true}`.
    pub(crate) fn condition(&mut self, node: &Node) -> Option<Condition> {
        match &node.value {
            Value::Scalar(_) => self.written(node).map(|value| Condition::In(vec![value])),
            Value::List(_) => self.values(node).map(Condition::In),
            Value::Map(_) => {
                let mut fields = self.fields(node, "a condition")?;
                let given = fields.one_of(&["not", "exists"], self);
                self.finish(&fields);
                let (key, value) = given?;
                match (key, &value.value) {
                    ("exists", _) => self.truth(value).map(Condition::Exists),
                    (_, Value::List(_)) => self.values(value).map(Condition::Not),
                    _ => self.written(value).map(|value| Condition::Not(vec![value])),
                }
            }
        }
    }

    fn values(&mut self, node: &Node) -> Option<Vec<String>> {
        let values = self.texts(node, "a condition")?;
        if values.is_empty() {
            self.error(&node.span, "nothing is one of no values");
            return None;
        }
        Some(values)
    }

    /// Whether an attribute may be called so; reports it if not.
    pub(crate) fn check_attribute(&mut self, name: &str, span: &Span) -> bool {
        let fine = (1..=128).contains(&name.len()) && !name.chars().any(|c| c.is_control() || c.is_whitespace());
        if !fine {
            self.error(span, format!("`{}` is no name for an attribute", name.escape_debug()));
        }
        fine
    }

    /// Attribute → value.
    pub(crate) fn attributes(&mut self, node: Option<&crate::tree::Entry>) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::new();
        for (name, entry) in self.entries(node, "`attributes`") {
            if NAME_PARTS.contains(&name) {
                self.error(
                    &entry.key,
                    format!("`{name}` is part of the endpoint's name, so no attribute can be called so"),
                );
            } else if self.check_attribute(name, &entry.key)
                && let Some(value) = self.written(&entry.node)
            {
                attributes.insert(name.to_owned(), value);
            }
        }
        attributes
    }

    /// Attribute → condition.
    pub(crate) fn conditions(
        &mut self,
        node: Option<&crate::tree::Entry>,
        what: &'static str,
    ) -> BTreeMap<String, Condition> {
        let mut conditions = BTreeMap::new();
        for (name, entry) in self.entries(node, what) {
            if self.check_attribute(name, &entry.key)
                && let Some(condition) = self.condition(&entry.node)
            {
                conditions.insert(name.to_owned(), condition);
            }
        }
        conditions
    }
}
