//! The tree of a manifest: YAML values that know where they came from.

use crate::source::Span;
use indexmap::IndexMap;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, number, truth value or nothing.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Map),
}

/// A mapping by key.
pub type Map = IndexMap<String, Entry>;

/// A value in a mapping, and where its key stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's place.
    pub key: Span,
    /// The value.
    pub node: Node,
}

/// A scalar as it was written and as what it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// As written, quotes and escapes resolved: `0750` stays `0750`.
    pub text: String,
    /// What YAML 1.2's core schema makes of it: `no` is text, `0750` is 750.
    pub kind: Kind,
}

/// What a scalar counts as.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Everything else, and everything quoted.
    Text,
}

impl Node {
    /// The mapping, if it is one.
    #[must_use]
    pub fn map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether it is nothing, `null` or `~`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind == Kind::Null)
    }

    /// Whether it is the word `null` (or `~`), not merely left empty.
    #[must_use]
    pub fn is_written_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind == Kind::Null && !scalar.text.is_empty())
    }

    /// The value under a key, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.get(key).map(|entry| &entry.node)
    }

    /// What it is, for errors: "a map", "a number", ….
    #[must_use]
    pub fn described(&self) -> &'static str {
        match &self.value {
            Value::Map(_) => "a map",
            Value::List(_) => "a list",
            Value::Scalar(Scalar { kind: Kind::Null, .. }) => "nothing",
            Value::Scalar(Scalar { kind: Kind::Bool(_), .. }) => "a truth value",
            Value::Scalar(Scalar { kind: Kind::Number(_), .. }) => "a number",
            Value::Scalar(Scalar { kind: Kind::Text, .. }) => "text",
        }
    }

    /// The value as JSON, places forgotten.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar(scalar) => match &scalar.kind {
                Kind::Null => serde_json::Value::Null,
                Kind::Bool(truth) => (*truth).into(),
                Kind::Number(number) => number.clone().into(),
                Kind::Text => scalar.text.clone().into(),
            },
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(map) => map
                .iter()
                .map(|(key, entry)| (key.clone(), entry.node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

impl Scalar {
    /// Plain text of YAML 1.2's core schema: null, truth value, number or text.
    #[must_use]
    pub fn plain(text: &str) -> Self {
        let kind = match text {
            "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
            "true" | "True" | "TRUE" => Kind::Bool(true),
            "false" | "False" | "FALSE" => Kind::Bool(false),
            _ => number(text).map_or(Kind::Text, Kind::Number),
        };
        Self { text: text.to_owned(), kind }
    }

    /// Quoted text.
    #[must_use]
    pub fn quoted(text: &str) -> Self {
        Self { text: text.to_owned(), kind: Kind::Text }
    }
}

/// A number of the core schema; `None` for other text and for what JSON has no number for (`.inf`, `.nan`).
fn number(text: &str) -> Option<serde_json::Number> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    if let (true, Some(octal)) = (sign.is_empty(), text.strip_prefix("0o")) {
        return radix(octal, 8).map(Into::into);
    }
    if let (true, Some(hex)) = (sign.is_empty(), text.strip_prefix("0x")) {
        return radix(hex, 16).map(Into::into);
    }
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if sign.is_empty()
            && let Ok(unsigned) = digits.parse::<u64>()
        {
            return Some(unsigned.into());
        }
        if let Ok(signed) = format!("{sign}{digits}").parse::<i64>() {
            return Some(signed.into());
        }
    }
    is_float(digits).then(|| format!("{sign}{digits}").parse().ok().and_then(serde_json::Number::from_f64)).flatten()
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_ok = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_ok
}
