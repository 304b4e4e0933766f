//! Unix sockets at paths of any length.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Longest path that the kernel takes for a socket: `sun_path` is 108 bytes with the NUL.
pub const LONGEST: usize = 107;

/// A name for a socket that is short enough for the kernel, for as long as this lives.
#[derive(Debug)]
pub struct Short {
    path: PathBuf,
    /// Kept open: `path` may lead through it.
    _directory: Option<File>,
}

impl Short {
    /// The path itself where it is short enough, else one through an open directory.
    ///
    /// # Errors
    /// Where the directory cannot be opened, or even the file's name is too long.
    pub fn new(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { path: path.to_owned(), _directory: None });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path of the socket names no file"));
        };
        let directory =
            File::from(rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?);
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }

    /// The short name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn a_socket_far_down_can_be_bound_and_reached() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("d".repeat(90)).join("e".repeat(90));
        std::fs::create_dir_all(&deep).unwrap();
        let socket = deep.join("scs.sock");
        let bound = Short::new(&socket).unwrap();
        let _listener = UnixListener::bind(bound.path()).unwrap();
        assert!(socket.exists());
        let reached = Short::new(&socket).unwrap();
        drop(bound);
        UnixStream::connect(reached.path()).unwrap();
    }
}
