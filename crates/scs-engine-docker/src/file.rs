//! Files of containers.

use crate::Docker;
use crate::call::{Subject, optional};
use bollard::query_parameters::DownloadFromContainerOptions;
use bytes::{Buf, Bytes};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use scs_ports::engine::Error;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// The largest answer that is taken. What is read is configuration; the list of users of a large site is some 100 kB.
const LARGEST: usize = 4 << 20;

impl Docker {
    pub(crate) async fn file_of(&self, id: &str, path: &str) -> Result<Option<Bytes>, Error> {
        let subject = Subject::container(&format!("read {path} of"), id);
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let stream = self.client.download_from_container(id, Some(options));
        let whole = stream.try_fold(Some(Vec::new()), |all: Option<Vec<u8>>, chunk| async move {
            // What is too large is read to its end and kept no longer.
            let all = all.filter(|all| all.len() + chunk.len() <= LARGEST);
            Ok(all.map(|mut all| {
                all.extend_from_slice(&chunk);
                all
            }))
        });
        let refused = |message: String| Error::Refused { action: subject.action.clone(), message };
        let tar = match optional(self.query(&subject, whole).await)? {
            Some(Some(tar)) => tar,
            Some(None) => return Err(refused(format!("it is larger than {} MiB", LARGEST >> 20))),
            // The engine says the same of a container and of a file that is not there.
            None => return self.inspect(id).await?.map(|_| None).ok_or(Error::NotFound { what: subject.what }),
        };
        only_file(&tar).map_err(|error| refused(format!("what the engine sent cannot be read: {error}")))
    }

    /// The engine sends a whole file always; what comes before `from` is dropped as it arrives.
    pub(crate) async fn rest_of(
        &self,
        id: &str,
        path: &str,
        from: u64,
    ) -> Result<Option<BoxStream<'static, io::Result<Bytes>>>, Error> {
        let subject = Subject::container(&format!("read {path} of"), id);
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let mut tar = self.client.download_from_container(id, Some(options)).boxed().peekable();
        let begun =
            self.query(&subject, async { Ok(std::pin::Pin::new(&mut tar).peek().await.is_some_and(Result::is_ok)) });
        if !begun.await? {
            return match tar.next().await {
                Some(Err(error)) => match optional::<()>(Err(self.failure(&subject, error)))? {
                    // The engine says the same of a container and of a file that is not there.
                    None if self.inspect(id).await?.is_none() => Err(Error::NotFound { what: subject.what }),
                    _ => Ok(None),
                },
                _ => Ok(None),
            };
        }
        let (pieces, inward) = mpsc::channel(4);
        let (outward, rest) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(piece) = tar.next().await {
                if pieces.send(piece.map_err(io::Error::other)).await.is_err() {
                    return;
                }
            }
        });
        // The reader of tars waits for its input.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = pass_on(Pieces { inward, current: Bytes::new() }, from, &outward) {
                let _ = outward.blocking_send(Err(error));
            }
        });
        Ok(Some(stream::unfold(rest, |mut rest| async { Some((rest.recv().await?, rest)) }).boxed()))
    }
}

fn pass_on(tar: Pieces, from: u64, outward: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    let Some(entry) = archive.entries()?.next() else { return Ok(()) };
    let mut entry = entry?;
    if !entry.header().entry_type().is_file() {
        return Ok(());
    }
    if from <= entry.size() {
        io::copy(&mut entry.by_ref().take(from), &mut io::sink())?;
    }
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = entry.read(&mut buffer)?;
        if read == 0 || outward.blocking_send(Ok(Bytes::copy_from_slice(&buffer[..read]))).is_err() {
            return Ok(());
        }
    }
}

/// Pieces that come from elsewhere, read one after another.
struct Pieces {
    inward: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.inward.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// The content of the one entry of a tar, if that is a file.
fn only_file(tar: &[u8]) -> io::Result<Option<Bytes>> {
    let mut archive = tar::Archive::new(tar);
    let Some(entry) = archive.entries()?.next() else { return Ok(None) };
    let mut entry = entry?;
    if !entry.header().entry_type().is_file() {
        return Ok(None);
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    Ok(Some(content.into()))
}
