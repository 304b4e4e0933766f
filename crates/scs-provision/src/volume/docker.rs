//! `docker`: a named volume of the container engine, of any driver.

use super::kept::{Kept, copy};
use super::marker::{self, For, Marker};
use super::{blocking, failed, option_error};
use crate::Host;
use crate::options::{Reader, Wrong};
use async_trait::async_trait;
use scs_ports::engine::{Engine, Labels, MountSource, NamedVolume};
use scs_ports::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use std::collections::BTreeMap;
use std::sync::Arc;

const METHOD: &str = "docker";
/// The label with the id of the volume.
const VOLUME: &str = "scs.volume";
/// The label with the installation that made it.
const OWNER: &str = "scs.owner";

/// Volumes that the engine keeps. Their marker is in their labels, which never change; the epoch, which does, is in the
/// installation's state.
#[derive(Debug)]
pub struct Named {
    engine: Arc<dyn Engine>,
    kept: Kept,
}

/// What the manifest says.
struct Options {
    name: Option<String>,
    driver: String,
    options: BTreeMap<String, String>,
}

impl Named {
    /// Volumes of this host's engine.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        Named { engine: host.engine.clone(), kept: Kept::new(METHOD, host) }
    }

    async fn volume(&self, id: &VolumeId, name: &str) -> Result<Option<NamedVolume>, Error> {
        self.engine
            .volume(name)
            .await
            .map_err(|error| failed(id, format!("look at the engine's volume `{name}`"), error))
    }

    async fn have(&self, request: &VolumeRequest, wanted: For) -> Result<Ensured, Error> {
        let id = &request.id;
        let options = options(request).map_err(|wrong| option_error(id, wrong))?;
        let directory = self.kept.directory(id)?;
        let name = options.name.clone().unwrap_or_else(|| engine_name(request));
        let place = format!("the engine's volume `{name}`");
        let _turn = self.kept.turn().await;
        let found = self.volume(id, &name).await?;
        let marker = self.kept.marker(id).await?;
        if found.is_none() && (request.known || marker.is_some()) {
            return Err(Error::Missing { id: id.clone(), place });
        }
        let fresh = found.is_none();
        let borrowed = match &found {
            Some(found) => check(found, request, options.name.is_some(), &place)?,
            None => false,
        };
        if fresh {
            let labels = Labels::from([(VOLUME.to_owned(), id.to_string()), (OWNER.to_owned(), request.owner.clone())]);
            let volume = NamedVolume { name: name.clone(), driver: options.driver, options: options.options, labels };
            let made = self.engine.create_volume(&volume).await;
            made.map_err(|error| failed(id, format!("make {place}"), error))?;
        }
        let (request, source) = (request.clone(), MountSource::Named(name.clone()));
        blocking(id, move || {
            marker::make(&request.id, &directory)?;
            let epoch = if let Some(mut marker) = marker {
                marker.admit(&request, &directory, &place, wanted)?;
                if marker.place.as_deref() != Some(&*name) {
                    marker.place = Some(name);
                    marker.borrowed = borrowed;
                    marker.write(&directory)?;
                }
                marker.epoch
            } else {
                let marker = Marker { place: Some(name), borrowed, ..Marker::new(METHOD, &request, wanted) };
                marker.write(&directory)?;
                request.epoch
            };
            Ok(Ensured { source, fresh, epoch })
        })
        .await
    }
}

#[async_trait]
impl VolumeProvisioner for Named {
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
        let name = marker.place.unwrap_or_default();
        let there = self.volume(id, &name).await?.is_some();
        Ok(there.then_some(Ensured { source: MountSource::Named(name), fresh: false, epoch: marker.epoch }))
    }

    async fn release(&self, _id: &VolumeId) -> Result<(), Error> {
        Ok(())
    }

    async fn destroy(&self, id: &VolumeId) -> Result<(), Error> {
        let _turn = self.kept.turn().await;
        let Some(marker) = self.kept.marker(id).await? else { return Ok(()) };
        let name = marker.place.unwrap_or_default();
        if marker.borrowed {
            let message =
                format!("the engine's volume `{name}` is yours, which scs does not delete (`docker volume rm`)");
            return Err(Error::Unsupported { id: id.clone(), message });
        }
        let removed = self.engine.remove_volume(&name).await;
        removed.map_err(|error| failed(id, format!("remove the engine's volume `{name}`"), error))?;
        self.kept.forget(id).await
    }
}

fn options(request: &VolumeRequest) -> Result<Options, Wrong> {
    let mut reader = Reader::new(&request.options);
    let name = reader.text("name")?.map(str::to_owned);
    let driver = reader.text("driver")?.unwrap_or("local").to_owned();
    let options = reader.texts("options")?;
    reader.finish()?;
    if let Some(name) = &name {
        // The engine's own rule.
        let first = name.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric());
        if name.len() < 2 || !first || !name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it)) {
            let message = format!("`{name}` is no name for a volume: two or more letters, digits, `-`, `_` or `.`");
            return Err(Wrong::new("name", message));
        }
    }
    Ok(Options { name, driver, options })
}

/// A name that no two volumes of no two installations on an engine share.
fn engine_name(request: &VolumeRequest) -> String {
    let id = &request.id;
    // Enough of an owner's id to tell installations apart; that it is the right one is checked by the label.
    let owner: String = request.owner.chars().filter(char::is_ascii_alphanumeric).rev().take(8).collect();
    let owner: String = owner.chars().rev().collect();
    let index = if id.index > 0 { format!(".{}", id.index) } else { String::new() };
    format!("scs-{owner}.{}.{}.{}{index}.{}", id.environment, id.service, id.role, id.name)
}

/// Whether a volume that is there belongs to the user. One of scs must be this very volume.
fn check(found: &NamedVolume, request: &VolumeRequest, named: bool, place: &str) -> Result<bool, Error> {
    let id = &request.id;
    let foreign = |found: String| Error::Foreign { id: id.clone(), place: place.to_owned(), found };
    match (found.labels.get(VOLUME), found.labels.get(OWNER)) {
        (Some(volume), _) if *volume != id.to_string() => Err(foreign(format!("volume {volume}"))),
        (Some(_), Some(owner)) if *owner != request.owner => Err(foreign(format!("another installation, `{owner}`"))),
        (Some(_), _) => Ok(false),
        (None, _) if named => Ok(true),
        (None, _) => Err(foreign("somebody other than scs".to_owned())),
    }
}
