//! Removing what containers have written: as whoever we are, else as root inside a helper container.

use crate::helper;
use scs_ports::engine::{self, BoxError, Engine, Mount, MountSource};
use std::io::ErrorKind;
use std::path::Path;
use tokio::fs;

/// Why something was not removed; parts of it may be gone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system did not let us.
    #[error("cannot remove {path}")]
    Io {
        /// What was to be removed.
        path: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The helper container could not be run.
    #[error("cannot remove {path} through a helper container")]
    Engine {
        /// What was to be removed.
        path: String,
        /// Why it failed.
        #[source]
        source: engine::Error,
    },
    /// The helper in the container failed.
    #[error("the helper container did not remove {path} (exit code {code})")]
    Helper {
        /// What was to be removed.
        path: String,
        /// Its exit code.
        code: i64,
    },
}

/// Removes a directory with all that is in it; one that is not there is no error. What we may not remove, because the users
/// of containers own it, is removed as root by a container of the helper image.
///
/// # Errors
/// When neither works.
pub async fn remove_tree(engine: &dyn Engine, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { path: path.display().to_string(), source };
    match fs::remove_dir_all(path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        other => return other.map_err(failed),
    }
    let mount = Mount { source: MountSource::Host(path.to_owned()), target: "/tree".to_owned(), read_only: false };
    let code = helper::run(engine, &[mount], &["remove", "--contents", "/tree"])
        .await
        .map_err(|source| Error::Engine { path: path.display().to_string(), source })?;
    if code != 0 {
        return Err(Error::Helper { path: path.display().to_string(), code });
    }
    match fs::remove_dir(path).await {
        // The directory that it lies in is closed to us, too.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => remove_entry(engine, path, error).await,
        other => other.map_err(failed),
    }
}

async fn remove_entry(engine: &dyn Engine, path: &Path, denied: std::io::Error) -> Result<(), Error> {
    let shown = || path.display().to_string();
    let (Some(outer), Some(name)) = (path.parent(), path.file_name().and_then(|it| it.to_str())) else {
        return Err(Error::Io { path: shown(), source: denied });
    };
    let mount = Mount { source: MountSource::Host(outer.to_owned()), target: "/tree".to_owned(), read_only: false };
    let removed = helper::run(engine, &[mount], &["remove", "--", &format!("/tree/{name}")]).await;
    match removed.map_err(|source| Error::Engine { path: shown(), source })? {
        0 => Ok(()),
        code => Err(Error::Helper { path: shown(), code }),
    }
}

/// A cause for the ports' errors.
pub(crate) fn cause(error: Error) -> BoxError {
    error.into()
}
