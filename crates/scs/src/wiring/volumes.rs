//! The content of volumes as tar streams: by the `tar` of this machine, which knows owners, links, holes and attributes.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scs_agent::label as names;
use scs_api::error::{Code, Problem};
use scs_control::agents::{ByteStream, VolumeAt, VolumeSeen};
use scs_ports::engine::{Engine, Labels, MountSource, State};
use scs_ports::volume::{Ensured, Error, VolumeId, VolumeProvisioner, VolumeRequest};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::io::{ReaderStream, StreamReader};

/// Files that are counted for a size; beyond it that takes too long to be worth it in a list.
const COUNTED: usize = 20_000;

/// An archive ends with two blocks of zeros.
const END: usize = 1024;

/// How the directories in a volume begin that an import works in.
const FRESH: &str = ".scs-import-";
const REPLACED: &str = ".scs-replaced-";

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
        method.destroy(&volume.id).await.map_err(|error| problem(&error))
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
        let directory = self.directory(volume, false).await?;
        // Said before the first byte: an archive that breaks off says nothing of the reason.
        let looked_at = directory.clone();
        let unreadable = tokio::task::spawn_blocking(move || unreadable(&looked_at)).await.ok().flatten();
        if let Some((path, why)) = unreadable {
            return Err(Problem::new(Code::Failed, format!("{} cannot be read: {why}", path.display()))
                .hint("nothing was written; files that belong to a container's users need scs to run as root"));
        }
        let mut child = tar(&["--create", "--file=-", "--sparse", "."], &directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| no_tar(&error))?;
        let words = words(&mut child);
        let stdout = child.stdout.take().expect("it was piped");
        let bytes = ReaderStream::with_capacity(stdout, 256 << 10);
        // An archive that `tar` did not finish must not look whole.
        let end = stream::once(async move { finish(child, words).await.map_err(io::Error::other) });
        Ok(bytes.chain(end.try_filter_map(|()| async { Ok(None) })).boxed())
    }

    /// Puts an archive's files in place of a volume's content. Until all of them are there, the old ones stay.
    pub async fn import(&self, volume: &VolumeAt, content: ByteStream) -> Result<(), Problem> {
        let method = self.method(volume)?;
        let was_there = method.inspect(&volume.id).await.map_err(|error| problem(&error))?.is_some();
        let imported = self.unpack(volume, content).await;
        if imported.is_err() && !was_there {
            // Left behind, it would pass for the volume: empty, and with an owner that nobody chose.
            if let Err(error) = method.destroy(&volume.id).await {
                tracing::warn!(volume = %volume.id, %error, "an empty volume stays");
            }
        }
        imported
    }

    async fn unpack(&self, volume: &VolumeAt, content: ByteStream) -> Result<(), Problem> {
        let directory = self.directory(volume, true).await?;
        // Inside the volume, which may be a mount of its own: files can be moved within one file system only.
        let fresh =
            tempfile::Builder::new().prefix(FRESH).tempdir_in(&directory).map_err(|error| io_problem(&error))?;
        let mut child = tar(&["--extract", "--file=-", "--preserve-permissions"], fresh.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| no_tar(&error))?;
        let words = words(&mut child);
        let mut stdin = child.stdin.take().expect("it was piped");
        let zeros = Arc::new(AtomicUsize::new(0));
        let seen = zeros.clone();
        let content = content.inspect_ok(move |bytes| {
            let last = bytes.iter().rposition(|byte| *byte != 0);
            match last {
                Some(at) => seen.store(bytes.len() - at - 1, Ordering::Relaxed),
                None => drop(seen.fetch_add(bytes.len(), Ordering::Relaxed)),
            }
        });
        let mut content = StreamReader::new(content.map_err(io::Error::other));
        let copied = tokio::io::copy(&mut content, &mut stdin).await;
        let closed = stdin.shutdown().await;
        drop(stdin);
        // What `tar` says went wrong says more than the broken pipe it leaves.
        finish(child, words).await.map_err(|why| {
            Problem::new(Code::Failed, format!("the archive cannot be unpacked: {why}")).hint("the volume is as it was")
        })?;
        copied.map_err(|error| io_problem(&error))?;
        // `tar` takes an archive that is cut short between two files for a whole one.
        if zeros.load(Ordering::Relaxed) < END {
            return Err(Problem::new(Code::Failed, "the archive cannot be unpacked: it is cut short")
                .hint("the volume is as it was"));
        }
        closed.map_err(|error| io_problem(&error))?;
        tokio::task::spawn_blocking(move || swap(&directory, fresh.path()))
            .await
            .map_err(|error| io_problem(&io::Error::other(error)))?
            .map_err(|error| io_problem(&error))
    }

    pub(super) fn method(&self, volume: &VolumeAt) -> Result<&Arc<dyn VolumeProvisioner>, Problem> {
        self.methods.get(&volume.method).ok_or_else(|| {
            let known: Vec<&str> = self.methods.keys().map(String::as_str).collect();
            Problem::new(Code::Failed, format!("this host has no volume method `{}`", volume.method))
                .hint(format!("it has {}", known.join(", ")))
        })
    }

    pub(super) async fn directory(&self, volume: &VolumeAt, make: bool) -> Result<PathBuf, Problem> {
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
        self.files(ensured.source).await
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
        match source {
            MountSource::Host(path) => Ok(path),
            MountSource::Named(name) => {
                let info = self.engine.info().await.map_err(|error| super::engine_problem(&error))?;
                let path = info.root.join("volumes").join(&name).join("_data");
                if path.is_dir() {
                    return Ok(path);
                }
                Err(Problem::new(
                    Code::Failed,
                    format!("the files of the engine's volume {name} cannot be reached from here"),
                )
                .hint("it needs root, and a volume of the engine's `local` driver"))
            }
        }
    }
}

fn tar(arguments: &[&str], directory: &Path) -> Command {
    let mut command = Command::new("tar");
    command
        .args(["--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"])
        .arg("--directory")
        .arg(directory)
        .args(arguments)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The last of what `tar` has to say, read while it works: a pipe that nobody empties would bring it to a halt.
fn words(child: &mut Child) -> JoinHandle<String> {
    let stderr = child.stderr.take().expect("it was piped");
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).split(b'\n');
        let mut last = String::new();
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line);
            if !line.trim().is_empty() && !line.contains("Exiting with failure") {
                last = line.into_owned();
            }
        }
        last
    })
}

/// Waits for `tar`; its last words where it failed.
async fn finish(mut child: Child, words: JoinHandle<String>) -> Result<(), String> {
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let last = words.await.unwrap_or_default();
    Err(if last.is_empty() { "it gave no reason".to_owned() } else { last })
}

/// Puts the entries of `fresh`, which lies in `directory`, in place of all others there. The directory itself stays: it may
/// be mounted.
fn swap(directory: &Path, fresh: &Path) -> io::Result<()> {
    let old = tempfile::Builder::new().prefix(REPLACED).tempdir_in(directory)?;
    let entries =
        |of: &Path| -> io::Result<Vec<PathBuf>> { std::fs::read_dir(of)?.map(|entry| Ok(entry?.path())).collect() };
    let name = |path: &Path| path.file_name().map(std::ffi::OsStr::to_owned).unwrap_or_default();
    let mut moved = Vec::new();
    let all = entries(directory)?
        .into_iter()
        .filter(|entry| entry != fresh && entry != old.path())
        .map(|entry| (entry.clone(), old.path().join(name(&entry))))
        .chain(entries(fresh)?.into_iter().map(|entry| (entry.clone(), directory.join(name(&entry)))));
    for (from, to) in all {
        if let Err(error) = std::fs::rename(&from, &to) {
            for (from, to) in moved.into_iter().rev() {
                let _: io::Result<()> = std::fs::rename::<&PathBuf, &PathBuf>(&to, &from);
            }
            return Err(error);
        }
        moved.push((from, to));
    }
    old.close()?;
    // The archive's `.` carries owner, mode and attributes of the volume's root.
    let copied = std::process::Command::new("cp")
        .args(["--recursive", "--attributes-only", "--preserve=all", "--no-target-directory"])
        .args([fresh, directory])
        .stderr(Stdio::piped())
        .output()?;
    if copied.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&copied.stderr).trim_end()))
    }
}

/// The first file or directory in it that may not be read. Root reads everything.
fn unreadable(directory: &Path) -> Option<(PathBuf, io::Error)> {
    if rustix::process::geteuid().is_root() {
        return None;
    }
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        let opened = if metadata.is_dir() {
            std::fs::read_dir(&path).map(|entries| left.extend(entries.flatten().map(|entry| entry.path())))
        } else if metadata.is_file() {
            std::fs::File::open(&path).map(drop)
        } else {
            Ok(())
        };
        match opened {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Some((path, error)),
            _ => {}
        }
    }
    None
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
        Error::Foreign { .. } | Error::StaleEpoch { .. } | Error::HandedOver { .. } | Error::Receiving { .. } => {
            Code::Conflict
        }
        _ => Code::Failed,
    };
    Problem::of(code, error)
}

fn io_problem(error: &io::Error) -> Problem {
    Problem::of(Code::Failed, error).hint("the volume is as it was, unless the message says otherwise")
}

fn no_tar(error: &io::Error) -> Problem {
    let mut problem = Problem::new(Code::Failed, "cannot run `tar`");
    problem.causes.push(error.to_string());
    problem.hint("install it: `apt-get install tar`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_volume_held_goes_only_when_all_of_the_new_is_there() {
        let base = tempfile::tempdir().unwrap();
        let volume = base.path().join("data");
        let fresh = volume.join(".scs-import-1");
        for (directory, file) in [(&volume, "old"), (&fresh, "new")] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join(file), file).unwrap();
        }
        swap(&volume, &fresh).unwrap();
        std::fs::remove_dir(&fresh).unwrap();
        let names: Vec<_> = std::fs::read_dir(&volume).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["new"]);
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1, "nothing is left beside");
    }

    #[tokio::test]
    async fn a_program_with_more_to_say_than_a_pipe_holds_comes_to_its_end() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo file $i: cannot be read >&2; i=$((i + 1)); done; exit 2";
        let mut child = Command::new("sh").args(["-c", script]).stderr(Stdio::piped()).spawn().unwrap();
        let words = words(&mut child);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), finish(child, words)).await;
        assert_eq!(ended.expect("it ends"), Err("file 19999: cannot be read".to_owned()));
    }
}
