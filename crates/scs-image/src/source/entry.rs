//! What a source consists of, and its digest. Pure: knows entries, never files.
//!
//! The digest covers what of a source can reach an image, and nothing else: paths, the executable bit, the bytes of files,
//! the targets of links. Times, owners, other mode bits, empty directories (which no git clone has) and the place on disk
//! do not count. Its form is that of [`scs_manifest::digest`].

use scs_manifest::digest::{Content, SourceEntry};
use std::fmt::Write as _;

/// SHA-256 of some bytes.
pub type Hash = [u8; 32];

/// One file or link of a source. Directories are not entries: they follow from the paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the source's root, with `/`, without a leading one; never holds `..` or NUL.
    pub path: String,
    /// What is there.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
        /// Bytes; not digested, since the content is.
        size: u64,
        /// Hash of the content.
        content: Hash,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, as written.
        target: String,
    },
}

/// The source digest (64 lower-case hexadecimal digits) of entries, in whatever order they come.
#[must_use]
pub fn source_digest(entries: &[Entry]) -> String {
    let entries: Vec<SourceEntry> = entries
        .iter()
        .map(|entry| {
            let content = match &entry.kind {
                Kind::File { executable, content, .. } => {
                    Content::File { executable: *executable, sha256: hex(content) }
                }
                Kind::Link { target } => Content::Link { target: target.clone() },
            };
            SourceEntry { path: entry.path.clone(), content }
        })
        .collect();
    scs_manifest::digest::source(&entries)
}

/// Lower-case hexadecimal digits of bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn file(path: &str, content: &str, executable: bool) -> Entry {
        let kind =
            Kind::File { executable, size: content.len() as u64, content: Sha256::digest(content.as_bytes()).into() };
        Entry { path: path.to_owned(), kind }
    }

    #[test]
    fn the_digest_is_pinned() {
        let link = Entry { path: "a/link".to_owned(), kind: Kind::Link { target: "run.sh".to_owned() } };
        let entries = [file("a/run.sh", "echo hi\n", true), file("b", "", false), link];
        assert_eq!(source_digest(&entries), "841c37ccc7c1db6db5125bcae415a3ae7aa3a09c44494e81f250347b0033cb42");
    }

    #[test]
    fn order_does_not_count_and_everything_else_does() {
        let (a, b) = (file("a", "1", false), file("b", "2", false));
        let base = source_digest(&[a.clone(), b.clone()]);
        assert_eq!(source_digest(&[b.clone(), a]), base);
        for changed in [file("a", "1", true), file("a", "x", false), file("aa", "1", false)] {
            assert_ne!(source_digest(&[changed, b.clone()]), base);
        }
        let link = |target: &str| Entry { path: "a".to_owned(), kind: Kind::Link { target: target.to_owned() } };
        assert_ne!(source_digest(&[link("1"), b.clone()]), base);
        assert_ne!(source_digest(&[link("b"), b.clone()]), source_digest(&[link("1"), b]));
    }
}
