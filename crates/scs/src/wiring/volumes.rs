//! Volumes of this host: where they are, what they hold, and deleting them.

mod content;

use scs_agent::label as names;
use scs_api::error::{Code, Problem};
use scs_control::agents::{ByteStream, VolumeAt, VolumeSeen};
use scs_ports::engine::{Engine, Labels, MountSource, State};
use scs_ports::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are counted for a size; beyond it that takes too long to be worth it in a list.
const COUNTED: usize = 20_000;

/// The volumes of this host.
#[derive(Debug, Clone)]
pub struct Volumes {
    /// The container engine.
    pub engine: Arc<dyn Engine>,
    /// Provisioners by method.
    pub methods: BTreeMap<String, Arc<dyn VolumeProvisioner>>,
    /// Id of this installation.
    pub owner: String,
}

impl Volumes {
    /// Deletes a volume's data.
    pub async fn remove(&self, volume: &VolumeAt) -> Result<(), Problem> {
        let method = self.method(volume)?;
        let found = method.inspect(&volume.id).await.map_err(|error| problem(&error))?;
        if matches!(found, Some(Ensured { source: MountSource::Named(_), .. })) {
            self.remove_ended(volume).await?;
        }
        method.destroy(&volume.id).await.map_err(|error| match error {
            Error::Unsupported { .. } => {
                problem(&error).hint("nothing was deleted; what is yours, and of no more use, you delete yourself")
            }
            _ => problem(&error),
        })
    }

    /// The engine gives up no volume of its own while a container, even one that has ended, mounts it.
    async fn remove_ended(&self, volume: &VolumeAt) -> Result<(), Problem> {
        let VolumeId { environment, service, role, .. } = &volume.id;
        let labels: Labels = [
            (names::OWNER, &self.owner),
            (names::ENVIRONMENT, environment),
            (names::SERVICE, service),
            (names::ROLE, role),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
        let all = self.engine.containers(&labels).await.map_err(|error| super::engine_problem(&error))?;
        for container in all.iter().filter(|it| !matches!(it.state, State::Running | State::Paused)) {
            self.engine.remove(&container.id).await.map_err(|error| super::engine_problem(&error))?;
        }
        Ok(())
    }

    /// Where it is, and what it holds.
    pub async fn inspect(&self, volume: &VolumeAt) -> Result<VolumeSeen, Problem> {
        let Some(found) = self.method(volume)?.inspect(&volume.id).await.map_err(|error| problem(&error))? else {
            return Ok(VolumeSeen::default());
        };
        Ok(match found.source {
            MountSource::Host(path) => {
                let counted = path.clone();
                let bytes = tokio::task::spawn_blocking(move || size(&counted)).await.ok().flatten();
                VolumeSeen { place: Some(path.display().to_string()), bytes }
            }
            MountSource::Named(name) => VolumeSeen { place: Some(format!("engine volume {name}")), bytes: None },
        })
    }

    /// A volume's content.
    pub async fn export(&self, volume: &VolumeAt) -> Result<ByteStream, Problem> {
        let source = self.source(volume, false).await?;
        content::pack(&self.engine, source).await
    }

    /// Puts an archive's files in place of a volume's content. Until all of them are there, the old ones stay.
    pub async fn import(&self, volume: &VolumeAt, content: ByteStream) -> Result<(), Problem> {
        let method = self.method(volume)?;
        let was_there = method.inspect(&volume.id).await.map_err(|error| problem(&error))?.is_some();
        let imported = async { content::unpack(&self.engine, self.source(volume, true).await?, content).await }.await;
        if imported.is_err() && !was_there {
            // Left behind, it would pass for the volume: empty, and with an owner that nobody chose.
            if let Err(error) = method.destroy(&volume.id).await {
                tracing::warn!(volume = %volume.id, %error, "an empty volume stays");
            }
        }
        imported
    }

    pub(super) fn method(&self, volume: &VolumeAt) -> Result<&Arc<dyn VolumeProvisioner>, Problem> {
        self.methods.get(&volume.method).ok_or_else(|| {
            let known: Vec<&str> = self.methods.keys().map(String::as_str).collect();
            Problem::new(Code::Failed, format!("this host has no volume method `{}`", volume.method))
                .hint(format!("it has {}", known.join(", ")))
        })
    }

    pub(super) async fn directory(&self, volume: &VolumeAt, make: bool) -> Result<PathBuf, Problem> {
        self.files(self.source(volume, make).await?).await
    }

    /// What is mounted where the volume is used; made, if asked to, where there is none.
    async fn source(&self, volume: &VolumeAt, make: bool) -> Result<MountSource, Problem> {
        let method = self.method(volume)?;
        let found = method.inspect(&volume.id).await.map_err(|error| problem(&error))?;
        let ensured = match found {
            Some(found) => found,
            None if make => {
                let request = self.request(volume).await?;
                method.ensure(&request).await.map_err(|error| problem(&error))?
            }
            None => return Err(Problem::new(Code::NotFound, format!("volume {} is not on this host", volume.id))),
        };
        Ok(ensured.source)
    }

    pub(super) async fn request(&self, volume: &VolumeAt) -> Result<VolumeRequest, Problem> {
        let parent = match &volume.parent {
            Some(parent) => Some(MountSource::Host(Box::pin(self.directory(parent, false)).await?)),
            None => None,
        };
        Ok(VolumeRequest {
            id: volume.id.clone(),
            known: volume.known,
            epoch: volume.epoch,
            owner: self.owner.clone(),
            options: volume.options.clone(),
            parent,
            origin: volume.origin.clone(),
        })
    }

    /// Where the files of a volume can be reached from here.
    pub(super) async fn files(&self, source: MountSource) -> Result<PathBuf, Problem> {
        let place = content::place(&*self.engine, &source).await?;
        place.ok_or_else(|| {
            Problem::new(Code::Failed, "the files of the engine's volume cannot be reached from here")
                .hint("it needs root, and a volume of the engine's `local` driver")
        })
    }
}

/// Bytes on disk, where that can be said quickly.
fn size(directory: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut bytes, mut count, mut left) = (0, 0, vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).ok()? {
            let entry = entry.ok()?;
            let metadata = entry.metadata().ok()?;
            count += 1;
            if count > COUNTED {
                return None;
            }
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                left.push(entry.path());
            }
        }
    }
    Some(bytes)
}

pub(super) fn problem(error: &Error) -> Problem {
    let code = match error {
        Error::Missing { .. } => Code::NotFound,
        Error::Foreign { .. }
        | Error::GivenUp { .. }
        | Error::StaleEpoch { .. }
        | Error::HandedOver { .. }
        | Error::Receiving { .. } => Code::Conflict,
        _ => Code::Failed,
    };
    Problem::of(code, error)
}
