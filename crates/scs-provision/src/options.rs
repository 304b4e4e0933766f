//! A method's options, read strictly: whatever is not understood is an error that names it.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is wrong with an option.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub option: String,
    pub message: String,
}

impl Wrong {
    pub fn new(option: &str, message: impl Into<String>) -> Self {
        Wrong { option: option.to_owned(), message: message.into() }
    }
}

/// Reads options one by one.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    options: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub fn new(options: &'a Map<String, Value>) -> Self {
        Reader { options, known: Vec::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.options.get(name)
    }

    /// A text that is not empty.
    pub fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(other) => Err(Wrong::new(name, format!("must be a text, not {other}"))),
        }
    }

    /// `true` or `false`; `false` where it is left out.
    pub fn truth(&mut self, name: &'static str) -> Result<bool, Wrong> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(truth)) => Ok(*truth),
            Some(other) => Err(Wrong::new(name, format!("must be true or false, not {other}"))),
        }
    }

    /// A map of texts, numbers and truths.
    pub fn texts(&mut self, name: &'static str) -> Result<BTreeMap<String, String>, Wrong> {
        let map = match self.take(name) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(Wrong::new(name, format!("must be a map, not {other}"))),
        };
        let text = |(key, value): (&String, &Value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            Value::Number(_) | Value::Bool(_) => Ok((key.clone(), value.to_string())),
            other => Err(Wrong::new(name, format!("`{key}` must be a text, not {other}"))),
        };
        map.iter().map(text).collect()
    }

    /// Says if an option was given that nothing has read.
    pub fn finish(self) -> Result<(), Wrong> {
        let Some(unknown) = self.options.keys().find(|it| !self.known.contains(&it.as_str())) else { return Ok(()) };
        let message = if self.known.is_empty() {
            "is not known; this method has no options".to_owned()
        } else {
            format!("is not known; this method has `{}`", self.known.join("`, `"))
        };
        Err(Wrong::new(unknown, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_option_nobody_reads_is_named_with_those_that_are_known() {
        let options = map(&json!({ "from": "x", "form": "y" }));
        let mut reader = Reader::new(&options);
        assert_eq!(reader.text("from").unwrap(), Some("x"));
        let wrong = reader.finish().unwrap_err();
        assert_eq!(wrong, Wrong::new("form", "is not known; this method has `from`"));
    }

    #[test]
    fn a_value_of_another_type_is_shown() {
        let options = map(&json!({ "from": 1, "ipv6": "yes", "options": [] }));
        let mut reader = Reader::new(&options);
        assert_eq!(reader.text("from").unwrap_err().message, "must be a text, not 1");
        assert_eq!(reader.truth("ipv6").unwrap_err().message, "must be true or false, not \"yes\"");
        assert_eq!(reader.texts("options").unwrap_err().message, "must be a map, not []");
    }

    #[test]
    fn numbers_in_a_map_of_texts_are_taken_as_written() {
        let options = map(&json!({ "options": { "size": 10, "o": "nolock", "soft": true } }));
        let texts = Reader::new(&options).texts("options").unwrap();
        assert_eq!(
            texts.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
            ["o=nolock", "size=10", "soft=true"]
        );
    }
}
