//! The digest of a source. Pure: knows entries, never files.
//!
//! It covers what of a source can reach an image, and nothing else: paths, the executable bit, the bytes of files, the
//! targets of links. Times, owners, other mode bits, empty directories and the place on disk do not count, since two
//! clones of one repository differ in them.

use sha2::{Digest, Sha256};
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
///
/// SHA-256 over the line `scs source v1` and then, in byte order of the paths, for each entry: a letter (`f` file, `x`
/// executable file, `l` link), NUL, the path, NUL, the hexadecimal SHA-256 of the content or of the link's target, and a
/// newline. Every part but the path has a fixed length and a path holds no NUL, so no two trees give the same bytes.
#[must_use]
pub fn source_digest(entries: &[Entry]) -> String {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    let mut hash = Sha256::new();
    hash.update(b"scs source v1\n");
    for entry in sorted {
        let (letter, content) = match &entry.kind {
            Kind::File { executable: false, content, .. } => (b"f", *content),
            Kind::File { executable: true, content, .. } => (b"x", *content),
            Kind::Link { target } => (b"l", Sha256::digest(target.as_bytes()).into()),
        };
        hash.update(letter);
        hash.update([0]);
        hash.update(entry.path.as_bytes());
        hash.update([0]);
        hash.update(hex(&content));
        hash.update(b"\n");
    }
    hex(&hash.finalize())
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

    fn file(path: &str, content: &str, executable: bool) -> Entry {
        let kind =
            Kind::File { executable, size: content.len() as u64, content: Sha256::digest(content.as_bytes()).into() };
        Entry { path: path.to_owned(), kind }
    }

    #[test]
    fn the_digest_is_pinned() {
        let link = Entry { path: "a/link".to_owned(), kind: Kind::Link { target: "run.sh".to_owned() } };
        let entries = [file("a/run.sh", "echo hi\n", true), file("b", "", false), link];
        assert_eq!(source_digest(&[]), "35fa644fe81195b9e06397a5d4aa423beeb4f837bf9faea95ed852747c9a6877");
        assert_eq!(source_digest(&entries), "649bdd3ba1801d2cb240bdffad455f096a6dfa4ef28cbc80b852f97f59f6692c");
    }

    #[test]
    fn order_does_not_count_and_everything_else_does() {
        let (a, b) = (file("a", "1", false), file("b", "2", false));
        let base = source_digest(&[a.clone(), b.clone()]);
        assert_eq!(source_digest(&[b.clone(), a.clone()]), base);
        for changed in [file("a", "1", true), file("a", "x", false), file("aa", "1", false)] {
            assert_ne!(source_digest(&[changed, b.clone()]), base);
        }
        let link = |target: &str| Entry { path: "a".to_owned(), kind: Kind::Link { target: target.to_owned() } };
        assert_ne!(source_digest(&[link("1"), b.clone()]), base);
        assert_ne!(source_digest(&[link("b"), b.clone()]), source_digest(&[link("1"), b]));
    }
}
