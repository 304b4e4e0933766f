//! What the agent and its watchdog tell each other: a file for each container that may run only so long.

use scs_plan::slot::Slot;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Raised when a watchdog of another version could not read what is written here; it is replaced then.
pub(crate) const FORMAT: u32 = 1;

/// A container that may run only so long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Boot of the machine that the time counts from.
    pub(crate) boot: String,
    /// Time since then.
    pub(crate) until: Duration,
    /// Whose container.
    pub(crate) slot: Slot,
    /// Its id in the engine.
    pub(crate) container: String,
    /// A directory that it mounts: without it the engine cannot start it any more.
    pub(crate) mounted: PathBuf,
}

/// The directory of these files.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Locked as long as a watchdog runs; holds its format and process id.
    pub(crate) fn watchdog(&self) -> io::Result<File> {
        open(&self.0.join("watchdog"))
    }

    /// Locked while an entry is added, or a watchdog that has nothing to do ends.
    pub(crate) fn turn(&self) -> io::Result<File> {
        open(&self.0.join("turn"))
    }

    /// Entries of this boot. Those of earlier ones are removed: their containers ended with it. One that cannot be read is `Err` with
    /// its container's id.
    pub(crate) fn read(&self) -> io::Result<Vec<Result<Entry, String>>> {
        let boot = boot()?;
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            let Some(name) = path.file_name().and_then(|it| it.to_str()) else { continue };
            // One that says of no container is nobody's: every control group has the empty text in its name.
            let container = name.strip_suffix(".json").filter(|it| !it.is_empty() && !it.starts_with('.'));
            let Some(container) = container else { continue };
            match fs::read(&path).map(|text| serde_json::from_slice::<Entry>(&text)) {
                Ok(Ok(entry)) if entry.boot != boot => self.remove(container)?,
                // It is found by the name of its file, too, so one that says otherwise was not written by us.
                Ok(Ok(entry)) if entry.container == container => entries.push(Ok(entry)),
                // Removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(_) | Err(_) => entries.push(Err(container.to_owned())),
            }
        }
        Ok(entries)
    }

    /// Writes an entry, whole or not at all. What the machine forgets when it goes down need not be on disk.
    pub(crate) fn put(&self, entry: &Entry) -> io::Result<()> {
        let text = serde_json::to_vec(entry).map_err(io::Error::other)?;
        crate::files::replace(&self.file(&entry.container), &text, 0o600)
    }

    pub(crate) fn remove(&self, container: &str) -> io::Result<()> {
        match fs::remove_file(self.file(container)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn file(&self, container: &str) -> PathBuf {
        self.0.join(format!("{container}.json"))
    }
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

/// Which boot of the machine this is.
pub(crate) fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Time since boot, that which the machine slept included.
pub(crate) fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
