//! Lines of logs.

use scs_plan::slot::Slot;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Which lines are asked for (`GET /v1/logs`, as query parameters).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LogQuery {
    /// Environment.
    pub environment: String,
    /// Only this service.
    pub service: Option<String>,
    /// Only these roles or instances (`ROLE`, `ROLE.INDEX`), comma-separated; all where empty.
    #[serde(default)]
    pub roles: String,
    /// Goes on as more is written, across replaced containers.
    #[serde(default)]
    pub follow: bool,
    /// Only the last lines of each slot, all its containers and log files together.
    pub tail: Option<u64>,
    /// Only since, in milliseconds of Unix time.
    pub since: Option<u64>,
    /// Only until, in milliseconds of Unix time.
    pub until: Option<u64>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Whose.
    pub slot: Slot,
    /// Run id of the container.
    pub instance: String,
    /// `stdout`, `stderr`, or the type of the log file it stands in.
    pub source: String,
    /// When it was written, where known; when it was read, where it stands in a log file.
    #[serde(default, with = "crate::time::maybe")]
    pub time: Option<SystemTime>,
    /// The text, without its end.
    pub line: String,
}
