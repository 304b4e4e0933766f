//! File locks between processes of one installation. The kernel drops a lock with its holder, so none is ever stale.

use scs_ports::engine::Progress;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A lock that is held as long as this lives. Its file stays: removing it would let two holders in.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// A lock could not be taken.
#[derive(Debug, thiserror::Error)]
#[error("cannot lock {}", path.display())]
pub struct Error {
    /// The lock file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// Takes the lock of this name, waiting as long as somebody else holds it (and saying so once).
pub(crate) async fn acquire(directory: &Path, name: &str, progress: &dyn Progress) -> Result<Lock, Error> {
    // Asked again and again instead of waited for in a thread, so that giving up leaves no thread behind.
    let mut pause = Duration::from_millis(20);
    loop {
        if let Some(lock) = try_acquire(directory, name)? {
            return Ok(lock);
        }
        if pause == Duration::from_millis(20) {
            progress.line(&format!("waiting: another process is making {name}"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// Takes the lock of this name unless somebody else holds it.
pub(crate) fn try_acquire(directory: &Path, name: &str) -> Result<Option<Lock>, Error> {
    let path = directory.join(format!("{name}.lock"));
    let failed = |source| Error { path: path.clone(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
