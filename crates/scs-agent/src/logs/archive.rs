//! Where lines are kept of containers that have ended, and those of declared log files: a directory a container, bounded in all.
//!
//! `ENVIRONMENT/SERVICE/ROLE.INDEX/STARTED-INSTANCE/` holds the sets `files` and, once the container is removed, `output`. What is in the
//! way of a bound goes with the oldest container first.

use super::set::{self, Origin};
use scs_plan::slot::Slot;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Containers of a slot that are kept, and bytes of all slots. A container has at most 32 MiB.
const CONTAINERS: usize = 10;
const BYTES: u64 = 512 << 20;

/// The archive of a host.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    root: PathBuf,
}

/// What is kept of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    /// When the container was started, in milliseconds of Unix time.
    pub(crate) started: u64,
    pub(crate) instance: String,
    pub(crate) directory: PathBuf,
}

impl Kept {
    /// Lines of its declared log files.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    /// What it wrote itself; there only once it is whole.
    pub(crate) fn output(&self) -> PathBuf {
        self.directory.join("output")
    }

    /// Where that is put together.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.directory.join("output.new")
    }

    /// Its id in the engine.
    pub(crate) fn container(&self) -> Option<String> {
        fs::read_to_string(self.directory.join("container")).ok()
    }
}

impl Archive {
    pub(crate) fn new(state: &Path) -> Self {
        Self { root: state.join("logs") }
    }

    fn of(&self, slot: &Slot) -> PathBuf {
        self.root.join(&slot.environment).join(&slot.service).join(format!("{}.{}", slot.role, slot.index))
    }

    /// The place of a container, made where there is none.
    pub(crate) fn open(&self, slot: &Slot, instance: &str, container: &str, started: SystemTime) -> io::Result<Kept> {
        if let Some(kept) = self.find(slot, instance) {
            return Ok(kept);
        }
        let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = u64::try_from(started.as_millis()).unwrap_or(u64::MAX);
        let directory = self.of(slot).join(format!("{started:013}-{instance}"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        fs::write(directory.join("container"), container)?;
        Ok(Kept { started, instance: instance.to_owned(), directory })
    }

    pub(crate) fn find(&self, slot: &Slot, instance: &str) -> Option<Kept> {
        self.kept(slot).into_iter().find(|kept| kept.instance == instance)
    }

    /// Containers of a slot, the oldest first.
    pub(crate) fn kept(&self, slot: &Slot) -> Vec<Kept> {
        kept(&self.of(slot))
    }

    /// Slots of which something is kept.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for (environment, path) in named(&self.root) {
            for (service, path) in named(&path) {
                for (place, _) in named(&path) {
                    let Some((role, index)) = place.rsplit_once('.') else { continue };
                    let Ok(index) = index.parse() else { continue };
                    let (environment, service, role) = (environment.clone(), service.clone(), role.to_owned());
                    slots.push(Slot { environment, service, role, index });
                }
            }
        }
        slots
    }

    /// How far the containers before this one have read a file that outlives them.
    pub(crate) fn before(&self, slot: &Slot, instance: &str) -> Vec<Origin> {
        let kept = self.kept(slot);
        let before = kept.iter().rev().filter(|kept| kept.instance != instance);
        before.map(|kept| set::origins(&kept.files())).find(|origins| !origins.is_empty()).unwrap_or_default()
    }

    /// Removes what is too much, but nothing of the containers named.
    pub(crate) fn prune(&self, current: &BTreeSet<String>) {
        let mut ended: Vec<Kept> = Vec::new();
        let mut total = 0;
        for slot in self.slots() {
            let kept = self.kept(&slot);
            let too_many = kept.len().saturating_sub(CONTAINERS);
            for (number, kept) in kept.into_iter().enumerate() {
                if current.contains(&kept.instance) {
                    total += size(&kept.directory);
                } else if number < too_many {
                    remove(&kept.directory);
                } else {
                    total += size(&kept.directory);
                    ended.push(kept);
                }
            }
        }
        ended.sort();
        let mut ended = ended.into_iter();
        while total > BYTES
            && let Some(oldest) = ended.next()
        {
            total = total.saturating_sub(size(&oldest.directory));
            remove(&oldest.directory);
        }
    }
}

fn kept(place: &Path) -> Vec<Kept> {
    let mut all: Vec<Kept> = named(place)
        .into_iter()
        .filter_map(|(name, directory)| {
            let (started, instance) = name.split_once('-')?;
            Some(Kept { started: started.parse().ok()?, instance: instance.to_owned(), directory })
        })
        .collect();
    all.sort();
    all
}

fn named(directory: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

fn size(directory: &Path) -> u64 {
    let of = |(_, path): (String, PathBuf)| match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => size(&path),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    named(directory).into_iter().map(of).sum()
}

fn remove(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        tracing::warn!(path = %directory.display(), %error, "lines of an ended container stay");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn slot(role: &str) -> Slot {
        Slot { environment: "dev".into(), service: "blog".into(), role: role.into(), index: 0 }
    }

    #[test]
    fn the_latest_containers_of_a_slot_are_kept_and_those_that_run() {
        let directory = tempfile::tempdir().unwrap();
        let archive = Archive::new(directory.path());
        for number in 0..15_u64 {
            let started = UNIX_EPOCH + Duration::from_secs(number);
            archive.open(&slot("web"), &format!("i{number}"), "id", started).unwrap();
        }
        assert_eq!(archive.slots(), [slot("web")]);
        archive.prune(&BTreeSet::from(["i2".to_owned()]));
        let kept: Vec<String> = archive.kept(&slot("web")).into_iter().map(|it| it.instance).collect();
        let latest = (5..15).map(|number| format!("i{number}"));
        assert_eq!(kept, ["i2".to_owned()].into_iter().chain(latest).collect::<Vec<_>>());
    }

    #[test]
    fn the_oldest_containers_make_room() {
        let directory = tempfile::tempdir().unwrap();
        let archive = Archive::new(directory.path());
        for (number, role) in ["old", "middle", "new"].into_iter().enumerate() {
            let started = UNIX_EPOCH + Duration::from_secs(number as u64);
            let kept = archive.open(&slot(role), role, "id", started).unwrap();
            // Sparse: it only looks large.
            fs::File::create(kept.directory.join("x")).unwrap().set_len(200 << 20).unwrap();
        }
        archive.prune(&BTreeSet::new());
        assert!(archive.find(&slot("old"), "old").is_none());
        assert!(archive.find(&slot("middle"), "middle").is_some());
    }
}
