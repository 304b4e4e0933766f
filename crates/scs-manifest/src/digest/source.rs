//! The digest of a source's content: paths, executable bits, bytes, link targets.

use super::hex;
use serde_json::json;
use sha2::{Digest, Sha256};

/// One thing in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// Relative to the source's root, parts joined by `/`, without a leading `./`.
    pub path: String,
    /// What is there.
    pub content: Content,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
        /// SHA-256 of its bytes, lower-case hex.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Where it points, as stored.
        target: String,
    },
    /// A directory. It counts only when nothing listed lies in it: the others are implied by what they hold.
    Directory,
}

/// SHA-256 (lower-case hex) over a source's entries, in whatever order they come.
///
/// `.git` anywhere and `image.yaml` at the root do not count. What `.dockerignore` names, the deployment's own files and
/// its secrets are left out by the caller, who knows them.
#[must_use]
pub fn source(entries: &[SourceEntry]) -> String {
    let counts = |path: &str| path != "image.yaml" && !path.split('/').any(|part| part == ".git");
    let mut entries: Vec<&SourceEntry> = entries.iter().filter(|entry| counts(&entry.path)).collect();
    entries.sort_unstable_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    // Paths sorted by bytes do not keep `a/b` next to `a` (`a-c` comes between), hence the set.
    let parents: std::collections::HashSet<&str> =
        entries.iter().flat_map(|entry| entry.path.match_indices('/').map(|(at, _)| &entry.path[..at])).collect();
    let mut hasher = Sha256::new();
    hasher.update(b"scs-source-1\n");
    for entry in entries {
        let line = match &entry.content {
            Content::File { executable, sha256 } => json!(["file", entry.path, executable, sha256]),
            Content::Link { target } => json!(["link", entry.path, target]),
            Content::Directory if parents.contains(entry.path.as_str()) => continue,
            Content::Directory => json!(["directory", entry.path]),
        };
        hasher.update(line.to_string().as_bytes());
        hasher.update(b"\n");
    }
    hex(&hasher.finalize())
}
