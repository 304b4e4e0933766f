//! The embedded server and agent of this user: where it lives, how it is found, started and ended.

pub mod daemon;
pub mod lock;
pub mod log;
pub mod notify;
pub mod start;
pub mod unit;

use std::path::{Path, PathBuf};

/// The files of `scs dev` below its state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The state directory.
    pub state: PathBuf,
}

impl Files {
    /// Those of this state directory.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// The socket of the API.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.state.join("scs.sock")
    }

    /// What it has to say.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("dev.log")
    }

    /// Locked while it runs; holds its process id.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state.join("dev.pid")
    }

    /// The port of the registry; there while it has clients, who would come back to it.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.state.join("disco.port")
    }

    /// There while nothing is to run, so that starting it again changes nothing.
    #[must_use]
    pub fn idle(&self) -> PathBuf {
        self.state.join("idle")
    }

    /// What may be said of an installation whose `scs dev` does not run.
    #[must_use]
    pub fn left(&self) -> Left {
        if self.idle().exists() {
            Left::Idle
        } else if self.lock().exists() {
            Left::Running
        } else {
            Left::Nothing
        }
    }
}

/// How the last `scs dev` left its installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// There was none.
    Nothing,
    /// Nothing is to run.
    Idle,
    /// Containers may run, and are looked after by nobody.
    Running,
}

/// Makes the state directory, for its owner's eyes only.
///
/// # Errors
/// Where it cannot be made.
pub fn prepare(state: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state)
}
