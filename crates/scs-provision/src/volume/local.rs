//! `local`: a directory of ours on this host's disk.

use super::marker::{self, For, Marker};
use super::{blocking, failed, option_error};
use crate::options::Reader;
use crate::{Host, cleanup};
use async_trait::async_trait;
use scs_ports::engine::{Engine, MountSource};
use scs_ports::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

const METHOD: &str = "local";
/// The directory that is mounted; the marker lies beside it, out of the container's sight.
const DATA: &str = "data";

/// Volumes that are directories below the installation's state.
#[derive(Debug)]
pub struct Local {
    engine: Arc<dyn Engine>,
    state: PathBuf,
    /// One at a time, so that two calls for one volume do not both make it.
    turn: Mutex<()>,
}

impl Local {
    /// Volumes of this host.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        Local { engine: host.engine.clone(), state: host.state.clone(), turn: Mutex::new(()) }
    }

    async fn have(&self, request: &VolumeRequest, wanted: For) -> Result<Ensured, Error> {
        Reader::new(&request.options).finish().map_err(|wrong| option_error(&request.id, wrong))?;
        let directory = marker::directory(&self.state, &request.id)?;
        let request = request.clone();
        let _turn = self.turn.lock().await;
        blocking(&request.id.clone(), move || ensure(&directory, &request, wanted)).await
    }
}

#[async_trait]
impl VolumeProvisioner for Local {
    async fn ensure(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        self.have(request, For::Use).await
    }

    async fn receive(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        self.have(&VolumeRequest { known: false, ..request.clone() }, For::Copy).await
    }

    async fn hand_over(&self, id: &VolumeId, epoch: u64, to: &str) -> Result<(), Error> {
        let (directory, id, to) = (marker::directory(&self.state, id)?, id.clone(), to.to_owned());
        let _turn = self.turn.lock().await;
        blocking(&id.clone(), move || marker::hand_over(&directory, METHOD, &id, epoch, &to)).await
    }

    async fn inspect(&self, id: &VolumeId) -> Result<Option<Ensured>, Error> {
        let (directory, id) = (marker::directory(&self.state, id)?, id.clone());
        blocking(&id.clone(), move || {
            let Some(marker) = Marker::read(&directory, METHOD, &id)? else { return Ok(None) };
            let data = directory.join(DATA);
            Ok(data.is_dir().then_some(Ensured { source: MountSource::Host(data), fresh: false, epoch: marker.epoch }))
        })
        .await
    }

    async fn release(&self, _id: &VolumeId) -> Result<(), Error> {
        Ok(())
    }

    async fn destroy(&self, id: &VolumeId) -> Result<(), Error> {
        let directory = marker::directory(&self.state, id)?;
        let _turn = self.turn.lock().await;
        let data = directory.join(DATA);
        let removed = cleanup::remove_tree(&*self.engine, &data).await;
        removed.map_err(|error| failed(id, format!("delete {}", data.display()), cleanup::cause(error)))?;
        // The marker goes last: what is interrupted here is found, and done again, by the next call.
        let (state, id) = (self.state.clone(), id.clone());
        blocking(&id.clone(), move || {
            Marker::remove(&directory, METHOD, &id)?;
            marker::prune(&state, &directory);
            Ok(())
        })
        .await
    }
}

fn ensure(directory: &Path, request: &VolumeRequest, wanted: For) -> Result<Ensured, Error> {
    let id = &request.id;
    let data = directory.join(DATA);
    let missing = || Error::Missing { id: id.clone(), place: data.display().to_string() };
    let source = MountSource::Host(data.clone());
    if let Some(mut found) = Marker::read(directory, METHOD, id)? {
        if !data.is_dir() {
            return Err(missing());
        }
        found.admit(request, directory, &data.display().to_string(), wanted)?;
        return Ok(Ensured { source, fresh: false, epoch: found.epoch });
    }
    let empty = match fs::read_dir(&data) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => true,
    };
    // An empty directory without a marker is what an interrupted call leaves; data without a marker is somebody's.
    if !empty {
        let found = "somebody who left no marker beside it".to_owned();
        return Err(Error::Foreign { id: id.clone(), place: data.display().to_string(), found });
    }
    if request.known {
        return Err(missing());
    }
    marker::make(id, &data)?;
    Marker::new(METHOD, request, wanted).write(directory)?;
    Ok(Ensured { source, fresh: true, epoch: request.epoch })
}
