//! The marker beside a volume's data: whose it is, which volume, and the highest epoch anybody has written under.

use scs_ports::volume::{Error, VolumeId, VolumeRequest};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Format of the file; a higher one was written by a later version and is not touched.
const VERSION: u32 = 1;

/// What a marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    version: u32,
    /// Which volume.
    pub id: VolumeId,
    /// Which installation made it.
    pub owner: String,
    /// The highest epoch anybody has written under.
    pub epoch: u64,
}

impl Marker {
    /// The marker of a volume that is being made.
    pub fn new(request: &VolumeRequest) -> Self {
        Self { version: VERSION, id: request.id.clone(), owner: request.owner.clone(), epoch: request.epoch }
    }

    /// Reads it; `None` where there is none.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let marker: Self = serde_json::from_slice(&text).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is no volume's marker: {error}", path.display()))
        })?;
        if marker.version > VERSION {
            let message = format!("{} was written by a later version of scs", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Some(marker))
    }

    /// Writes it so that it is there whole or not at all, and still there after the power failed.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }

    /// Whether this is the volume asked for, under a permit that has not passed on.
    pub fn admit(&self, request: &VolumeRequest, place: &str) -> Result<(), Error> {
        if self.id != request.id || self.owner != request.owner {
            let found = format!("volume {} of installation {}", self.id, self.owner);
            return Err(Error::Foreign { id: request.id.clone(), place: place.to_owned(), found });
        }
        if request.epoch > 0 && request.epoch < self.epoch {
            return Err(Error::StaleEpoch { id: request.id.clone(), seen: self.epoch, asked: request.epoch });
        }
        Ok(())
    }
}
