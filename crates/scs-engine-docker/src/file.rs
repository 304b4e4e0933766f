//! Files of containers.

use crate::Docker;
use crate::call::{Subject, optional};
use bollard::query_parameters::DownloadFromContainerOptions;
use bytes::Bytes;
use futures_util::TryStreamExt;
use scs_ports::engine::Error;
use std::io::{self, Read};

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
