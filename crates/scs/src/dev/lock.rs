//! One process an installation: a file lock, which the kernel lets go of however the process ends.

use crate::exit::{Exit, Failure};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

/// Held for as long as the process may touch the installation.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock for a program and writes this process's id into the file.
    ///
    /// # Errors
    /// With exit code 75 where another process holds it.
    pub fn take(path: &Path, program: &str) -> Result<Self, Failure> {
        let unwritable = |error: std::io::Error| {
            Failure::failed(format!("cannot write {}", path.display()))
                .because(&error)
                .hint("see who owns the directory, or set SCS_STATE_DIR to one of yours")
        };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let message = format!("`{program}` runs already, as process {}", holder.trim());
                return Err(Failure::new(Exit::LOCKED, message).hint("end that one first; containers keep running"));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(unwritable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_holds_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dev.pid");
        let first = Lock::take(&path, "scs dev").unwrap();
        let refused = Lock::take(&path, "scs dev").unwrap_err();
        assert_eq!(refused.exit(), Exit::LOCKED);
        assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        Lock::take(&path, "scs dev").unwrap();
    }
}
