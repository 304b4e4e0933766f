//! Texts that are handed in, and places in them.

use serde::{Serialize, Serializer};
use std::sync::Arc;

/// A manifest's text under the name by which errors call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path as the user wrote or would write it, e.g. `deployment.prod.yaml`.
    pub name: String,
    /// The whole content.
    pub text: String,
}

impl File {
    /// A file of that name and content.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The place of the whole file, for errors that are about no line of it.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { file: Arc::from(self.name.as_str()), start: 0, end: 0, line: 1, column: 1 }
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Span {
    /// Name of the file.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
