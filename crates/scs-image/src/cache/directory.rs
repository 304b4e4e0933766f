//! A cache in a directory, local or mounted. Any number of processes and hosts may use it at once: files appear by rename,
//! carry their own checksum, and the last writer of a digest wins.

use super::{Cache, Error, Stream, archive};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// A temporary file this old was left by a writer that was killed: no image takes that long to write.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// Pieces between the file and the engine; enough to keep both busy.
const PIECES: usize = 8;
const PIECE: usize = 256 * 1024;
const PREFIX: &str = ".put-";

/// Images as `DIGEST.tar.zst` in one directory.
#[derive(Debug, Clone)]
pub struct DirectoryCache {
    directory: PathBuf,
}

impl DirectoryCache {
    /// The cache in this directory, which is made when first written to.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        DirectoryCache { directory: directory.into() }
    }

    /// Where the image of a digest lies, or would.
    #[must_use]
    pub fn path(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}.tar.zst"))
    }
}

#[async_trait]
impl Cache for DirectoryCache {
    fn name(&self) -> String {
        format!("cache {}", self.directory.display())
    }

    async fn get(&self, digest: &str) -> Result<Option<Stream>, Error> {
        let path = self.path(digest);
        let Some(file) = blocking(move || open(&path)).await? else { return Ok(None) };
        let (sender, receiver) = mpsc::channel(PIECES);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = decompress(file, &sender) {
                // Nobody listens any more when this fails.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(Some(from_channel(receiver)))
    }

    async fn put(&self, digest: &str, mut image: Stream) -> Result<(), Error> {
        let path = self.path(digest);
        let (sender, receiver) = mpsc::channel::<Bytes>(PIECES);
        let (done, whole) = std::sync::mpsc::channel();
        let writer = tokio::task::spawn_blocking(move || write(&path, receiver, &whole));
        let mut failed = None;
        while let Some(piece) = image.next().await {
            match piece {
                // A writer that is gone says why below.
                Ok(piece) => {
                    if sender.send(piece).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if failed.is_none() {
            let _ = done.send(());
        }
        drop(sender);
        drop(done);
        let written = writer.await.expect("writing a cache does not panic");
        failed.map_or(written, |error| Err(Error::Image(error)))
    }
}

fn from_channel(receiver: mpsc::Receiver<std::io::Result<Bytes>>) -> Stream {
    futures_util::stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    })
    .boxed()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("work on a cache does not panic")
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

fn open(path: &Path) -> Result<Option<File>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", path)(error)),
    };
    match archive::verify(&mut file).map_err(io("read", path))? {
        Ok(()) => Ok(Some(file)),
        Err(message) => {
            let moved = path.with_extension("zst.corrupt");
            fs::rename(path, &moved).map_err(io("move aside", path))?;
            Err(Error::Corrupt { path: path.to_owned(), moved, message: message.to_owned() })
        }
    }
}

fn decompress(file: File, sender: &mpsc::Sender<std::io::Result<Bytes>>) -> std::io::Result<()> {
    let mut reader = archive::reader(BufReader::with_capacity(PIECE, file))?;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        (&mut reader).take(PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() || sender.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
}

/// Writes what comes; publishes it only if `whole` says that all of it came.
fn write(path: &Path, mut pieces: mpsc::Receiver<Bytes>, whole: &std::sync::mpsc::Receiver<()>) -> Result<(), Error> {
    let directory = path.parent().expect("a cached image lies in its cache");
    let failed = || io("write to", directory);
    fs::create_dir_all(directory).map_err(io("make", directory))?;
    sweep(directory);
    let temporary = tempfile::Builder::new().prefix(PREFIX).tempfile_in(directory).map_err(failed())?;
    let mut writer = archive::Writer::new(BufWriter::with_capacity(PIECE, temporary.as_file())).map_err(failed())?;
    while let Some(piece) = pieces.blocking_recv() {
        writer.write(&piece).map_err(failed())?;
    }
    if whole.recv().is_err() {
        return Ok(());
    }
    writer.finish().map_err(failed())?;
    temporary.as_file().sync_all().map_err(failed())?;
    // Temporary files are made 0600, and a shared cache is read by others.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    temporary.as_file().set_permissions(mode).map_err(failed())?;
    temporary.persist(path).map_err(|error| failed()(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed())
}

/// Removes what killed writers left; a failure costs only room.
fn sweep(directory: &Path) {
    let Ok(listing) = fs::read_dir(directory) else { return };
    for entry in listing.flatten() {
        let abandoned = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > ABANDONED));
        if abandoned {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
