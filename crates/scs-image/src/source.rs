//! Sources: the files an image is made of. Reads a directory or a git repository into sorted entries, their digest and a
//! bundle (a tar named by that digest). Knows nothing of engines or manifests.

mod bundle;
mod entry;
pub mod git;
pub mod ignore;
mod walk;

pub use bundle::BundleStore;
pub use entry::{Entry, Hash, Kind, hex, source_digest};
pub use walk::{Options, Tree, scan};

use std::path::PathBuf;

/// Why a source cannot be read. Nothing was changed unless a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, e.g. `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The source is not a directory.
    #[error("the source {} is not a directory", path.display())]
    NotDirectory {
        /// What was named as source.
        path: PathBuf,
    },
    /// A socket, pipe or device.
    #[error("{} is a {what}, which cannot be part of an image; remove it or name it in .dockerignore", path.display())]
    Special {
        /// The file.
        path: PathBuf,
        /// What it is, e.g. `named pipe`.
        what: &'static str,
    },
    /// A name that is not UTF-8.
    #[error("the name of {} is not UTF-8; rename it or name it in .dockerignore", path.display())]
    NotUtf8 {
        /// The file, shown as well as it can be.
        path: PathBuf,
    },
    /// A symbolic link that leads out of the source.
    #[error("{} links to {target}, outside of the source; copy the file or name the link in .dockerignore", path.display())]
    Outside {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: String,
    },
    /// A file was changed while it was read.
    #[error("{} changed while it was read; try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A line of `.dockerignore` that Docker would refuse too.
    #[error("{}:{line}: {message}: `{pattern}`", path.display())]
    Ignore {
        /// The `.dockerignore`.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: &'static str,
    },
    /// No bundle of this digest is stored.
    #[error("the source {digest} is not among the bundles in {}", store.display())]
    Missing {
        /// Source digest.
        digest: String,
        /// The store's directory.
        store: PathBuf,
    },
    /// A bundle does not hold what its name says; it was moved aside.
    #[error("the bundle of source {digest} was damaged and has been moved to {}; read the source again", moved.display())]
    Corrupt {
        /// Source digest.
        digest: String,
        /// Where it is now.
        moved: PathBuf,
    },
    /// The git program failed.
    #[error("git could not {action}: {message}")]
    Git {
        /// What was tried.
        action: String,
        /// Its last words.
        message: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { action, path, source }
    }
}
