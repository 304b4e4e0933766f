//! `bind`: a directory or file of the user's, as it is.

use super::kept::Kept;
use super::marker::{self, For, Marker};
use super::{blocking, option_error};
use crate::Host;
use crate::options::{Reader, Wrong};
use async_trait::async_trait;
use scs_ports::engine::MountSource;
use scs_ports::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use std::path::{Component, Path, PathBuf};

const METHOD: &str = "bind";

/// Volumes that belong to the user. Only the highest epoch is remembered of them, in the installation's state.
#[derive(Debug)]
pub struct Bind {
    kept: Kept,
}

impl Bind {
    /// Volumes of this host.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        Bind { kept: Kept::new(METHOD, host) }
    }
}

#[async_trait]
impl VolumeProvisioner for Bind {
    async fn ensure(&self, request: &VolumeRequest) -> Result<Ensured, Error> {
        let place = options(request).map_err(|wrong| option_error(&request.id, wrong))?;
        let directory = self.kept.directory(&request.id)?;
        let request = request.clone();
        let _turn = self.kept.turn().await;
        blocking(&request.id.clone(), move || ensure(&directory, place, &request)).await
    }

    async fn inspect(&self, id: &VolumeId) -> Result<Option<Ensured>, Error> {
        let Some(marker) = self.kept.marker(id).await? else { return Ok(None) };
        let place = PathBuf::from(marker.place.unwrap_or_default());
        let there = tokio::fs::try_exists(&place).await.unwrap_or(false);
        Ok(there.then_some(Ensured { source: MountSource::Host(place), fresh: false, epoch: marker.epoch }))
    }

    async fn release(&self, _id: &VolumeId) -> Result<(), Error> {
        Ok(())
    }

    async fn destroy(&self, id: &VolumeId) -> Result<(), Error> {
        let message = "it is a directory of yours, which scs does not delete".to_owned();
        Err(Error::Unsupported { id: id.clone(), message })
    }
}

/// The user's directory.
fn options(request: &VolumeRequest) -> Result<PathBuf, Wrong> {
    let mut reader = Reader::new(&request.options);
    let from = reader.text("from")?.ok_or_else(|| Wrong::new("from", "is missing: the directory to mount"))?;
    reader.finish()?;
    let place = normal(&request.origin.join(from));
    if !place.is_absolute() {
        let message = format!("`{from}` is relative, and what it is relative to is not known");
        return Err(Wrong::new("from", message));
    }
    Ok(place)
}

/// Without `.` and `..`, as the engine wants it. `..` is the user's own choice here: it is their directory.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

fn ensure(directory: &Path, place: PathBuf, request: &VolumeRequest) -> Result<Ensured, Error> {
    let id = &request.id;
    let shown = place.display().to_string();
    let found = Marker::read(directory, METHOD, id)?;
    if !place.exists() {
        if request.known || found.is_some() {
            return Err(Error::Missing { id: id.clone(), place: shown });
        }
        let message = format!("{shown} is not there; it is yours to make");
        return Err(Error::Option { id: id.clone(), option: "from".to_owned(), message });
    }
    let epoch = if let Some(mut found) = found {
        found.admit(request, directory, &shown, For::Use)?;
        if found.place.as_deref() != Some(&*shown) {
            found.place = Some(shown);
            found.write(directory)?;
        }
        found.epoch
    } else {
        marker::make(id, directory)?;
        Marker { place: Some(shown), borrowed: true, ..Marker::new(METHOD, request, For::Use) }.write(directory)?;
        request.epoch
    };
    Ok(Ensured { source: MountSource::Host(place), fresh: false, epoch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_without_dots() {
        assert_eq!(normal(Path::new("/home/me/blog/./src/../data")), Path::new("/home/me/blog/data"));
        assert_eq!(normal(Path::new("/../..")), Path::new("/"));
    }
}
