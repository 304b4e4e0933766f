//! What was issued: a line of JSON each, appended and never changed.

use std::{fs, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Authority, Unissued, damaged, file};
use crate::{files, identity::Kind};

/// One certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub serial: String,
    /// What kind of peer its holder is.
    pub kind: Kind,
    /// Its holder's name.
    pub name: String,
    /// Where it may provide.
    #[serde(default)]
    pub provide: Vec<String>,
    /// Where it may require.
    #[serde(default)]
    pub require: Vec<String>,
    /// What it may be connected to as.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// When it was issued.
    pub at: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Which generation of the authority issued it.
    pub generation: u32,
}

impl Entry {
    /// `host web1`.
    pub fn holder(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

impl Authority {
    /// What was issued, the oldest first.
    ///
    /// # Errors
    /// Where the list cannot be read.
    pub fn issued(&self) -> Result<Vec<Entry>, Unissued> {
        let path = self.directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(|source| file(&path, source))?,
        };
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).map_err(|error| damaged(&path, error))).collect()
    }

    pub(super) fn note(&self, entry: &Entry) -> Result<(), Unissued> {
        let path = self.directory.join(FILE);
        let line = serde_json::to_string(entry).map_err(|error| damaged(&path, error))?;
        files::append(&path, &line).map_err(|source| file(&path, source))
    }
}

const FILE: &str = "issued.jsonl";
