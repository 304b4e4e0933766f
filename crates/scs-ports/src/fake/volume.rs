//! A volume provisioner in memory.

use super::lock;
use crate::engine::MountSource;
use crate::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use async_trait::async_trait;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A volume provisioner in memory: markers, owners and epochs are kept, directories are only named.
#[derive(Debug, Clone, Default)]
pub struct Volumes {
    model: Arc<Mutex<Model>>,
}

#[derive(Debug, Default)]
struct Model {
    root: PathBuf,
    volumes: BTreeMap<VolumeId, Volume>,
    failures: VecDeque<Error>,
    calls: Vec<(&'static str, VolumeId)>,
}

/// A volume, as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// What is mounted.
    pub source: MountSource,
    /// Whose it is.
    pub owner: String,
    /// The highest epoch seen.
    pub epoch: u64,
    /// Whether it is attached (ensured, and not released since).
    pub attached: bool,
    /// The epoch under which it will be whole.
    pub receiving: Option<u64>,
    /// The epoch that was handed over, and to which host.
    pub handed_over: Option<(u64, String)>,
}

impl Volumes {
    /// No volume yet; mount sources are named under `/fake`.
    #[must_use]
    pub fn new() -> Self {
        let volumes = Volumes::default();
        lock(&volumes.model).root = "/fake".into();
        volumes
    }

    /// Makes the next call of any method fail, once; several queue up.
    pub fn fail_next(&self, error: Error) {
        lock(&self.model).failures.push_back(error);
    }

    /// A volume's data goes away behind the tested code's back, as when a disk is not mounted.
    pub fn lose(&self, id: &VolumeId) {
        lock(&self.model).volumes.remove(id);
    }

    /// The volume of this id.
    #[must_use]
    pub fn get(&self, id: &VolumeId) -> Option<Volume> {
        lock(&self.model).volumes.get(id).cloned()
    }

    /// Every call so far: the method's name and the volume.
    #[must_use]
    pub fn calls(&self) -> Vec<(&'static str, VolumeId)> {
        lock(&self.model).calls.clone()
    }
}

impl Volume {
    /// Refuses a permit that has passed on, or has not come yet.
    fn keep_out(&self, request: &VolumeRequest) -> Result<(), Error> {
        let (id, asked) = (request.id.clone(), request.epoch);
        match (&self.handed_over, self.receiving) {
            (Some((epoch, to)), _) if asked <= *epoch => Err(Error::HandedOver { id, to: to.clone(), asked }),
            (_, Some(until)) if asked < until => Err(Error::Receiving { id, until, asked }),
            _ => Ok(()),
        }
    }
}

impl Model {
    fn enter(&mut self, method: &'static str, id: &VolumeId) -> Result<(), Error> {
        self.calls.push((method, id.clone()));
        self.failures.pop_front().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl VolumeProvisioner for Volumes {
    async fn ensure(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        let mut model = lock(&self.model);
        let id = &request.id;
        model.enter("ensure", id)?;
        let place = model.root.join(id.to_string());
        let Some(volume) = model.volumes.get_mut(id) else {
            if request.known {
                return Err(Error::Missing { id: id.clone(), place: place.display().to_string() });
            }
            let source = MountSource::Host(place);
            let (owner, epoch) = (request.owner.clone(), request.epoch);
            let made =
                Volume { source: source.clone(), owner, epoch, attached: true, receiving: None, handed_over: None };
            model.volumes.insert(id.clone(), made);
            return Ok(Ensured { source, fresh: true, epoch });
        };
        if volume.owner != request.owner {
            let found = format!("installation {}", volume.owner);
            return Err(Error::Foreign { id: id.clone(), place: place.display().to_string(), found });
        }
        if request.epoch > 0 && request.epoch < volume.epoch {
            return Err(Error::StaleEpoch { id: id.clone(), seen: volume.epoch, asked: request.epoch });
        }
        volume.keep_out(request)?;
        let (seen, asked) = (volume.epoch, request.epoch);
        if !request.known && seen > 0 && asked > seen && volume.handed_over.is_none() {
            return Err(Error::GivenUp { id: id.clone(), place: place.display().to_string(), seen, asked });
        }
        (volume.receiving, volume.handed_over) = (None, None);
        volume.epoch = volume.epoch.max(request.epoch);
        volume.attached = true;
        Ok(Ensured { source: volume.source.clone(), fresh: false, epoch: volume.epoch })
    }

    async fn receive(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        let mut model = lock(&self.model);
        let (id, asked) = (&request.id, request.epoch);
        model.enter("receive", id)?;
        let source = MountSource::Host(model.root.join(id.to_string()));
        let owner = request.owner.clone();
        let fresh = Volume { source, owner, epoch: 0, attached: false, receiving: None, handed_over: None };
        let volume = model.volumes.entry(id.clone()).or_insert(fresh);
        if asked <= volume.epoch {
            return Err(Error::StaleEpoch { id: id.clone(), seen: volume.epoch, asked });
        }
        volume.receiving = None;
        volume.keep_out(request)?;
        volume.receiving = Some(asked);
        Ok(Ensured { source: volume.source.clone(), fresh: false, epoch: volume.epoch })
    }

    async fn hand_over(&self, id: &VolumeId, epoch: u64, to: &str) -> Result<(), Error> {
        let mut model = lock(&self.model);
        model.enter("hand_over", id)?;
        let missing = || Error::Missing { id: id.clone(), place: id.to_string() };
        model.volumes.get_mut(id).ok_or_else(missing)?.handed_over = Some((epoch, to.to_owned()));
        Ok(())
    }

    async fn inspect(&self, id: &VolumeId) -> Result<Option<Ensured>, Error> {
        let mut model = lock(&self.model);
        model.enter("inspect", id)?;
        let found = model.volumes.get(id);
        Ok(found.map(|it| Ensured { source: it.source.clone(), fresh: false, epoch: it.epoch }))
    }

    async fn release(&self, id: &VolumeId) -> Result<(), Error> {
        let mut model = lock(&self.model);
        model.enter("release", id)?;
        if let Some(volume) = model.volumes.get_mut(id) {
            volume.attached = false;
        }
        Ok(())
    }

    async fn destroy(&self, id: &VolumeId) -> Result<(), Error> {
        let mut model = lock(&self.model);
        model.enter("destroy", id)?;
        model.volumes.remove(id);
        Ok(())
    }
}
