//! What is remembered of a volume, in a file on disk: whose it is, where it is, and the highest epoch it has seen.
//!
//! It lies in `<state>/volumes/<environment>/<service>/<role>[/<index>]/<name>/`; of a `local` volume that is beside the
//! data. Nothing a manifest can say leads out of `<state>/volumes`.

use super::failed;
use scs_ports::volume::{Error, VolumeId, VolumeRequest};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The form of the file that this program writes.
const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub version: u32,
    pub method: String,
    pub id: VolumeId,
    pub owner: String,
    pub epoch: u64,
    /// Where the data is, for methods to which that is not clear from the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The directory of another volume that `place` lies in, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// The permit under which the data will be whole: until then it is being copied from another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving: Option<u64>,
    /// The permit that was handed over, and to which host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<HandedOver>,
    /// Whether the data belongs to the user and is never deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub borrowed: bool,
}

/// That a permit, and all before it, are no longer good here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HandedOver {
    pub epoch: u64,
    pub to: String,
}

/// What a volume is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// A container.
    Use,
    /// To be copied into.
    Copy,
}

impl Marker {
    /// Of a volume that is made now.
    pub fn new(method: &str, request: &VolumeRequest, wanted: For) -> Self {
        Marker {
            version: VERSION,
            method: method.to_owned(),
            id: request.id.clone(),
            owner: request.owner.clone(),
            epoch: if wanted == For::Use { request.epoch } else { 0 },
            place: None,
            inside: None,
            receiving: (wanted == For::Copy).then_some(request.epoch),
            handed_over: None,
            borrowed: false,
        }
    }

    /// The marker in this directory, if there is one.
    pub fn read(directory: &Path, method: &str, id: &VolumeId) -> Result<Option<Marker>, Error> {
        let path = file(directory, method);
        let text = match fs::read(&path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            other => other.map_err(|error| failed(id, format!("read its marker {}", path.display()), error))?,
        };
        let marker: Marker = serde_json::from_slice(&text)
            .map_err(|error| failed(id, format!("understand its marker {}", path.display()), error))?;
        if marker.version > VERSION {
            let newer = format!("it was written by a newer scs (version {})", marker.version);
            return Err(failed(id, format!("understand its marker {}", path.display()), newer));
        }
        Ok(Some(marker))
    }

    /// Writes it so that it is whole, and on the disk, when this returns.
    pub fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = file(directory, &self.method);
        let written = || {
            let new = path.with_extension("json.new");
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(directory)?.sync_all()
        };
        written()
            .map_err(|error: std::io::Error| failed(&self.id, format!("write its marker {}", path.display()), error))
    }

    pub fn remove(directory: &Path, method: &str, id: &VolumeId) -> Result<(), Error> {
        match fs::remove_file(file(directory, method)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(id, "remove its marker", error)),
            _ => Ok(()),
        }
    }

    /// Whether the request may have this volume: its id, owner and epoch fit. Writes a higher epoch down before it says so.
    pub fn admit(&mut self, request: &VolumeRequest, directory: &Path, place: &str, wanted: For) -> Result<(), Error> {
        let id = &request.id;
        let foreign = |found: String| Error::Foreign { id: id.clone(), place: place.to_owned(), found };
        if self.id != *id {
            return Err(foreign(format!("volume {}", self.id)));
        }
        if self.owner != request.owner {
            return Err(foreign(format!("another installation, `{}`", self.owner)));
        }
        if request.epoch > 0 && request.epoch < self.epoch {
            return Err(Error::StaleEpoch { id: id.clone(), seen: self.epoch, asked: request.epoch });
        }
        let asked = request.epoch;
        if let Some(handed) = self.handed_over.as_ref().filter(|it| asked <= it.epoch) {
            return Err(Error::HandedOver { id: id.clone(), to: handed.to.clone(), asked });
        }
        if wanted == For::Copy {
            if asked <= self.epoch {
                return Err(Error::StaleEpoch { id: id.clone(), seen: self.epoch, asked });
            }
            if self.receiving != Some(asked) {
                self.receiving = Some(asked);
                self.write(directory)?;
            }
            return Ok(());
        }
        if !request.known && self.epoch > 0 && asked > self.epoch && self.handed_over.is_none() {
            let (id, place, seen) = (id.clone(), place.to_owned(), self.epoch);
            return Err(Error::GivenUp { id, place, seen, asked });
        }
        if let Some(until) = self.receiving.filter(|until| asked < *until) {
            return Err(Error::Receiving { id: id.clone(), until, asked });
        }
        let taken = self.receiving.take().is_some() | self.handed_over.take().is_some();
        if taken || asked > self.epoch {
            self.epoch = self.epoch.max(asked);
            self.write(directory)?;
        }
        Ok(())
    }

    /// The directory of the other volume that the data lies in, and where in it.
    pub fn parts(&self) -> Option<(&Path, &Path)> {
        let parent = Path::new(self.inside.as_deref()?);
        Some((parent, Path::new(self.place.as_deref()?).strip_prefix(parent).ok()?))
    }

    /// Notes that a permit has passed on.
    pub fn hand_over(&mut self, directory: &Path, epoch: u64, to: &str) -> Result<(), Error> {
        if self.handed_over.as_ref().is_some_and(|it| it.epoch >= epoch) {
            return Ok(());
        }
        self.handed_over = Some(HandedOver { epoch, to: to.to_owned() });
        self.write(directory)
    }
}

fn file(directory: &Path, method: &str) -> PathBuf {
    // The one beside the data has a name that says what it is to whoever finds it.
    directory.join(if method == "local" { "volume.json".to_owned() } else { format!("{method}.json") })
}

/// The directory of a volume.
pub(super) fn directory(state: &Path, id: &VolumeId) -> Result<PathBuf, Error> {
    let mut path = state.join("volumes");
    for part in [&id.environment, &id.service, &id.role] {
        path.push(plain(id, part)?);
    }
    if id.index > 0 {
        path.push(id.index.to_string());
    }
    // A name that is a number would be taken for a replica's index.
    if id.name.bytes().all(|it| it.is_ascii_digit()) {
        let message = format!("a volume cannot have the number `{}` as its name", id.name);
        return Err(Error::Unsupported { id: id.clone(), message });
    }
    path.push(plain(id, &id.name)?);
    Ok(path)
}

/// A part of an id that is a file name and nothing else.
fn plain<'a>(id: &VolumeId, part: &'a str) -> Result<&'a str, Error> {
    let fits = !part.is_empty()
        && part.len() <= 200
        && !part.starts_with('.')
        && part.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it));
    if fits {
        return Ok(part);
    }
    let message = format!("`{part}` cannot be part of a path: letters, digits, `-`, `_` and `.` can");
    Err(Error::Unsupported { id: id.clone(), message })
}

/// Makes a directory with those above it, each on the disk when this returns. State is nobody else's business.
pub(super) fn make(id: &VolumeId, directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let mut missing = Vec::new();
    let mut next = Some(directory);
    while let Some(path) = next.filter(|it| !it.exists()) {
        missing.push(path);
        next = path.parent();
    }
    let made = || {
        for path in missing.iter().rev() {
            match fs::DirBuilder::new().mode(0o755).create(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(())
    };
    made().map_err(|error: std::io::Error| failed(id, format!("make {}", directory.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> VolumeId {
        VolumeId {
            environment: "dev".to_owned(),
            service: "blog".to_owned(),
            role: "web".to_owned(),
            index: 0,
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_path_of_a_volume_follows_its_id() {
        let state = Path::new("/state");
        assert_eq!(directory(state, &id("data")).unwrap(), Path::new("/state/volumes/dev/blog/web/data"));
        let replica = VolumeId { index: 2, ..id("data") };
        assert_eq!(directory(state, &replica).unwrap(), Path::new("/state/volumes/dev/blog/web/2/data"));
    }

    #[test]
    fn no_name_leads_out_of_the_state_directory() {
        for name in ["..", ".", "a/b", "/etc", "", "a\0b", "2", ".hidden"] {
            assert!(matches!(directory(Path::new("/state"), &id(name)), Err(Error::Unsupported { .. })), "{name:?}");
        }
    }
}
