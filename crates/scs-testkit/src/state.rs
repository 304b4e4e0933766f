//! A directory for a test's state.

use crate::say;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory of its own that goes away with the test; kept, with its path told, when the test fails and
/// `SCS_TEST_KEEP` is set.
#[derive(Debug)]
pub struct StateDir {
    directory: Option<TempDir>,
}

impl StateDir {
    /// A new, empty one.
    ///
    /// # Panics
    /// When the host's temporary directory cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("scs-test-").tempdir();
        StateDir { directory: Some(directory.expect("a test needs a temporary directory")) }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// A path inside it.
    #[must_use]
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path().join(path)
    }
}

impl Default for StateDir {
    fn default() -> Self {
        StateDir::new()
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("SCS_TEST_KEEP").is_some() {
            let kept = self.directory.take().map(TempDir::keep).unwrap_or_default();
            say(&format!("the test's state is kept in {}", kept.display()));
        }
    }
}
