//! `local`: a directory of ours on this host's disk.

use super::kept::{Kept, copy};
use super::marker::{self, For, Marker};
use super::{blocking, failed, option_error};
use crate::options::Reader;
use crate::{Host, cleanup};
use async_trait::async_trait;
use scs_ports::engine::{Engine, MountSource};
use scs_ports::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const METHOD: &str = "local";
/// The directory that is mounted; the marker lies beside it, out of the container's sight.
const DATA: &str = "data";

/// Volumes that are directories below the installation's state.
#[derive(Debug)]
pub struct Local {
    engine: Arc<dyn Engine>,
    kept: Kept,
}

impl Local {
    /// Volumes of this host.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        Local { engine: host.engine.clone(), kept: Kept::new(METHOD, host) }
    }

    async fn have(&self, request: &VolumeRequest, wanted: For) -> Result<Ensured, Error> {
        Reader::new(&request.options).finish().map_err(|wrong| option_error(&request.id, wrong))?;
        let directory = self.kept.directory(&request.id)?;
        let request = request.clone();
        let _turn = self.kept.turn().await;
        blocking(&request.id.clone(), move || ensure(&directory, &request, wanted)).await
    }
}

#[async_trait]
impl VolumeProvisioner for Local {
    async fn ensure(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        self.have(request, For::Use).await
    }

    async fn receive(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        self.have(&copy(request), For::Copy).await
    }

    async fn hand_over(&self, id: &VolumeId, epoch: u64, to: &str) -> Result<(), Error> {
        self.kept.hand_over(id, epoch, to).await
    }

    async fn inspect(&self, id: &VolumeId) -> Result<Option<Ensured>, Error> {
        let Some(marker) = self.kept.marker(id).await? else { return Ok(None) };
        let data = self.kept.directory(id)?.join(DATA);
        let there = tokio::fs::metadata(&data).await.is_ok_and(|it| it.is_dir());
        Ok(there.then_some(Ensured { source: MountSource::Host(data), fresh: false, epoch: marker.epoch }))
    }

    async fn release(&self, _id: &VolumeId) -> Result<(), Error> {
        Ok(())
    }

    async fn destroy(&self, id: &VolumeId) -> Result<(), Error> {
        let _turn = self.kept.turn().await;
        let data = self.kept.directory(id)?.join(DATA);
        let removed = cleanup::remove_tree(&*self.engine, &data).await;
        removed.map_err(|error| failed(id, format!("delete {}", data.display()), cleanup::cause(error)))?;
        self.kept.forget(id).await
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
