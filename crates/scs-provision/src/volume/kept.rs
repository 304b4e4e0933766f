//! What a method keeps of its volumes on this host: a marker of each, read and changed by one call at a time.

use super::blocking;
use super::marker::{self, Marker};
use crate::Host;
use scs_ports::volume::{Error, VolumeId, VolumeRequest};
use std::path::{Path, PathBuf};
use tokio::sync::{Mutex, MutexGuard};

#[derive(Debug)]
pub(super) struct Kept {
    method: &'static str,
    state: PathBuf,
    /// So that two calls for one volume do not both make it.
    turn: Mutex<()>,
}

impl Kept {
    pub fn new(method: &'static str, host: &Host) -> Self {
        Kept { method, state: host.state.clone(), turn: Mutex::new(()) }
    }

    /// The directory of a volume's marker.
    pub fn directory(&self, id: &VolumeId) -> Result<PathBuf, Error> {
        marker::directory(&self.state, id)
    }

    /// Waits for its turn, which lasts as long as what is given.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// A volume's marker, if there is one.
    pub async fn marker(&self, id: &VolumeId) -> Result<Option<Marker>, Error> {
        let (directory, method, id) = (self.directory(id)?, self.method, id.clone());
        blocking(&id.clone(), move || Marker::read(&directory, method, &id)).await
    }

    /// Notes that a permit has passed on to another host.
    pub async fn hand_over(&self, id: &VolumeId, epoch: u64, to: &str) -> Result<(), Error> {
        let _turn = self.turn().await;
        let (directory, method, id, to) = (self.directory(id)?, self.method, id.clone(), to.to_owned());
        blocking(&id.clone(), move || match Marker::read(&directory, method, &id)? {
            Some(mut marker) => marker.hand_over(&directory, epoch, &to),
            None => Err(Error::Missing { id: id.clone(), place: directory.display().to_string() }),
        })
        .await
    }

    /// Removes a volume's marker, and the directories that nothing is left in. It goes last: what is interrupted before is
    /// found, and done again, by the next call.
    pub async fn forget(&self, id: &VolumeId) -> Result<(), Error> {
        let (directory, method, id) = (self.directory(id)?, self.method, id.clone());
        let state = self.state.clone();
        blocking(&id.clone(), move || {
            Marker::remove(&directory, method, &id)?;
            prune(&state, &directory);
            Ok(())
        })
        .await
    }
}

/// The request for a copy, of which nothing has to be there yet.
pub(super) fn copy(request: &VolumeRequest) -> VolumeRequest {
    VolumeRequest { known: false, ..request.clone() }
}

/// Removes a directory and those above it, up to `volumes`, as far as they are empty.
fn prune(state: &Path, directory: &Path) {
    let root = state.join("volumes");
    let mut next = Some(directory);
    while let Some(path) = next.filter(|it| **it != root && it.starts_with(&root)) {
        if std::fs::remove_dir(path).is_err() {
            return;
        }
        next = path.parent();
    }
}
