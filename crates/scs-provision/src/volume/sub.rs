//! `sub`: a directory inside another volume.

use super::kept::{Kept, copy};
use super::marker::{self, For, Marker};
use super::{blocking, failed, option_error};
use crate::options::{Reader, Wrong};
use crate::{Host, cleanup, helper};
use async_trait::async_trait;
use scs_helper::inside::{self, Found};
use scs_ports::engine::{Engine, Mount, MountSource};
use scs_ports::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const METHOD: &str = "sub";

/// Volumes that are directories inside other volumes.
#[derive(Debug)]
pub struct Sub {
    engine: Arc<dyn Engine>,
    kept: Kept,
}

impl Sub {
    /// Volumes of this host.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        Sub { engine: host.engine.clone(), kept: Kept::new(METHOD, host) }
    }

    async fn have(&self, request: &VolumeRequest, wanted: For) -> Result<Ensured, Error> {
        let id = &request.id;
        let path = options(request).map_err(|wrong| option_error(id, wrong))?;
        let parent = match &request.parent {
            Some(MountSource::Host(parent)) => parent.clone(),
            Some(MountSource::Named(name)) => {
                let message = format!(
                    "it cannot lie inside the engine's volume `{name}`, whose files only the engine reaches; a parent of \
                     method `local` or `bind` can hold it"
                );
                return Err(Error::Unsupported { id: id.clone(), message });
            }
            None => {
                let message = "its parent volume is not there".to_owned();
                return Err(Error::Unsupported { id: id.clone(), message });
            }
        };
        let directory = self.kept.directory(id)?;
        let _turn = self.kept.turn().await;
        self.have_inside(request, wanted, &parent, &path, directory).await
    }

    async fn have_inside(
        &self,
        request: &VolumeRequest,
        wanted: For,
        parent: &Path,
        path: &Path,
        directory: PathBuf,
    ) -> Result<Ensured, Error> {
        let id = &request.id;
        let place = parent.join(path);
        let (shown, inside) = (place.display().to_string(), Some(parent.display().to_string()));
        if !parent.is_dir() {
            return Err(Error::Missing { id: id.clone(), place: parent.display().to_string() });
        }
        let there = self.look(id, parent, path, false).await?;
        let marker = self.kept.marker(id).await?;
        let missing = there == Found::Missing;
        // Of a copy the files come with those of its parent.
        if missing && if marker.is_some() { wanted == For::Use } else { request.known } {
            return Err(Error::Missing { id: id.clone(), place: shown });
        }
        if missing && marker.is_none() {
            self.look(id, parent, path, true).await?;
        }
        let request = request.clone();
        blocking(id, move || {
            if let Some(mut found) = marker {
                found.admit(&request, &directory, &shown, wanted)?;
                if found.place.as_deref() != Some(&*shown) || found.inside != inside {
                    (found.place, found.inside) = (Some(shown), inside);
                    found.write(&directory)?;
                }
                return Ok(Ensured { source: MountSource::Host(place), fresh: false, epoch: found.epoch });
            }
            marker::make(&request.id, &directory)?;
            // A directory with something in it (the parent came with it) is not ours to delete; an empty one may be what
            // an interrupted call left. What comes with a copy of the parent was ours before.
            let borrowed = wanted == For::Use && there == Found::Full;
            let new = Marker::new(METHOD, &request, wanted);
            Marker { place: Some(shown), inside, borrowed, ..new }.write(&directory)?;
            Ok(Ensured { source: MountSource::Host(place), fresh: missing, epoch: request.epoch })
        })
        .await
    }

    /// What is there, made if asked to; as root in a container where a container's user has closed the parent to us.
    async fn look(&self, id: &VolumeId, parent: &Path, path: &Path, make: bool) -> Result<Found, Error> {
        let place = parent.join(path);
        let action = if make { format!("make {}", place.display()) } else { format!("look at {}", place.display()) };
        let (outer, inner) = (parent.to_owned(), path.to_owned());
        let found = match blocking(id, move || Ok(inside::look(&outer, &inner, make))).await? {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let source = MountSource::Host(parent.to_owned());
                let mount = Mount { source, target: "/parent".to_owned(), read_only: !make };
                let inner = path.display().to_string();
                let mut arguments = vec!["inside"];
                arguments.extend(make.then_some("--make"));
                arguments.extend(["--", "/parent", &inner]);
                let code = helper::run(&*self.engine, &[mount], &arguments).await;
                let code = code.map_err(|error| failed(id, action.clone(), error))?;
                let found = inside::CODES.iter().find(|(_, known)| i64::from(*known) == code);
                found.map(|(found, _)| *found).ok_or_else(|| failed(id, action, error))?
            }
            other => other.map_err(|error| failed(id, action, error))?,
        };
        if found == Found::Blocked {
            let message = format!("{} is not a directory; a link is not followed", place.display());
            return Err(Error::Option { id: id.clone(), option: "path".to_owned(), message });
        }
        Ok(found)
    }
}

#[async_trait]
impl VolumeProvisioner for Sub {
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
        let place = PathBuf::from(marker.place.clone().unwrap_or_default());
        let there = match marker.parts() {
            Some((parent, path)) => self.look(id, parent, path, false).await? != Found::Missing,
            None => tokio::fs::metadata(&place).await.is_ok_and(|it| it.is_dir()),
        };
        Ok(there.then_some(Ensured { source: MountSource::Host(place), fresh: false, epoch: marker.epoch }))
    }

    async fn release(&self, _id: &VolumeId) -> Result<(), Error> {
        Ok(())
    }

    async fn destroy(&self, id: &VolumeId) -> Result<(), Error> {
        let _turn = self.kept.turn().await;
        let Some(marker) = self.kept.marker(id).await? else { return Ok(()) };
        if let Some(place) = marker.place.as_deref().filter(|_| !marker.borrowed) {
            if let Some((parent, path)) = marker.parts() {
                self.look(id, parent, path, false).await?;
            }
            let removed = cleanup::remove_tree(&*self.engine, Path::new(place)).await;
            removed.map_err(|error| failed(id, format!("delete {place}"), cleanup::cause(error)))?;
        }
        self.kept.forget(id).await
    }
}

/// The path inside the parent.
fn options(request: &VolumeRequest) -> Result<PathBuf, Wrong> {
    let mut reader = Reader::new(&request.options);
    // Which volume the parent is was found out by whoever asks.
    reader.text("of")?;
    let path = reader.text("path")?.unwrap_or(&request.id.name);
    reader.finish()?;
    let path = Path::new(path.trim_start_matches("./"));
    let inside = path.components().all(|it| matches!(it, Component::Normal(_))) && path.components().count() > 0;
    if !inside {
        return Err(Wrong::new("path", format!("`{}` must be a path inside the parent, without `..`", path.display())));
    }
    Ok(path.to_owned())
}
