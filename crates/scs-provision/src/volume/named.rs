//! `docker`: a named volume of the engine, any driver. Labels cannot be changed, so the marker lies in a file of ours.

use super::{blocking, failed, option};
use crate::marker::Marker;
use crate::options::Options;
use async_trait::async_trait;
use scs_ports::engine::{Engine, Labels, MountSource, NamedVolume};
use scs_ports::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Named volumes, with a marker each under one root.
#[derive(Debug)]
pub struct Named {
    root: PathBuf,
    owner: String,
    engine: Arc<dyn Engine>,
}

impl Named {
    /// Volumes of `engine`, whose names carry `owner`, so that two installations on one engine never share one.
    #[must_use]
    pub fn new(root: PathBuf, owner: String, engine: Arc<dyn Engine>) -> Self {
        Self { root, owner, engine }
    }

    /// The engine's name for a volume.
    fn name(&self, id: &VolumeId) -> String {
        format!("scs_{}_{}", self.owner, id.to_string().replace('/', "_"))
    }

    fn marker(&self, id: &VolumeId) -> PathBuf {
        self.root.join(format!("{}.json", self.name(id)))
    }
}

fn refused(id: &VolumeId, action: &str) -> impl FnOnce(scs_ports::engine::Error) -> Error {
    let (id, action) = (id.clone(), action.to_owned());
    move |source| Error::Failed { id, action, source: source.into() }
}

#[async_trait]
impl VolumeProvisioner for Named {
    async fn ensure(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        let id = &request.id;
        let options = Options::new(&request.options, &["driver", "options"]).map_err(|wrong| option(id, wrong))?;
        let driver = options.text("driver").map_err(|wrong| option(id, wrong))?.unwrap_or("local").to_owned();
        let driver_options = options.texts("options").map_err(|wrong| option(id, wrong))?.into_iter().collect();
        let (name, path) = (self.name(id), self.marker(id));
        let there = self.engine.volume(&name).await.map_err(refused(id, "look it up in the engine"))?;
        let marker = Marker::read(&path).map_err(failed(id, "read its marker"))?;
        if let Some(marker) = &marker {
            marker.admit(request, &format!("engine volume {name}"))?;
        }
        if there.is_none() && (request.known || marker.is_some()) {
            return Err(Error::Missing { id: id.clone(), place: format!("engine volume {name}") });
        }
        let fresh = there.is_none();
        if fresh {
            let labels = Labels::from([
                ("scs.owner".to_owned(), request.owner.clone()),
                ("scs.volume".to_owned(), id.to_string()),
            ]);
            let wanted = NamedVolume { name: name.clone(), driver, options: driver_options, labels };
            self.engine.create_volume(&wanted).await.map_err(refused(id, "make it in the engine"))?;
        }
        let seen = marker.map_or(0, |marker| marker.epoch);
        if fresh || seen < request.epoch {
            let (marker, id) = (Marker::new(request), id.clone());
            blocking(move || {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(failed(&id, "write its marker"))?;
                }
                marker.write(&path).map_err(failed(&id, "write its marker"))
            })
            .await?;
        }
        Ok(Ensured { source: MountSource::Named(name), fresh, epoch: seen.max(request.epoch) })
    }

    async fn inspect(&self, id: &VolumeId) -> Result<Option<Ensured>, Error> {
        let name = self.name(id);
        let there = self.engine.volume(&name).await.map_err(refused(id, "look it up in the engine"))?;
        let marker = Marker::read(&self.marker(id)).map_err(failed(id, "read its marker"))?;
        let epoch = marker.map_or(0, |marker| marker.epoch);
        Ok(there.map(|_| Ensured { source: MountSource::Named(name), fresh: false, epoch }))
    }

    async fn release(&self, _id: &VolumeId) -> Result<(), Error> {
        Ok(())
    }

    async fn destroy(&self, id: &VolumeId) -> Result<(), Error> {
        self.engine.remove_volume(&self.name(id)).await.map_err(refused(id, "remove it from the engine"))?;
        match fs::remove_file(self.marker(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(id, "remove its marker")(error)),
            _ => Ok(()),
        }
    }
}
