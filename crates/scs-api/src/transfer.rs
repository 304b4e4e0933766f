//! Volumes on their way from host to host.

use serde::{Deserialize, Serialize};

/// What a volume holds, before it is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes on disk of the largest file.
    pub largest: u64,
    /// Files and directories.
    pub files: u64,
    /// Whether a file has several names.
    pub linked: bool,
    /// Files that were mapped for writing, relative to the volume; `None` where one of them has a name that cannot be written down
    /// here, so that all have to be compared.
    pub mapped: Option<Vec<String>>,
}

/// How files are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// By size and time.
    Times,
    /// By content.
    Content,
    /// These by content, and no others.
    These(Vec<String>),
}

/// How far a pass of copying has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of files that are done, those that were the same included.
    pub bytes: u64,
    /// The same in percent of what is known so far.
    pub percent: u8,
    /// Bytes a second.
    pub rate: u64,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Bytes of files that differed.
    pub bytes: u64,
    /// How many milliseconds it took.
    pub took_ms: u64,
}
