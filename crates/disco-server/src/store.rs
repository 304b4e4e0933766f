//! The registry on disk, so that a restart finds who was there: written whole, beside the core and never in its way.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use disco_core::Saving;
use disco_proto::snapshot::{self, Snapshot, Unreadable};
use tokio::task::JoinHandle;

/// The file of one server, and what is being written to it.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// [`disco_core::Core::changes`] of what was written last.
    written: u64,
    /// Being copied, piece by piece, and the changes before it began.
    copying: Option<(Saving, u64)>,
    /// Being written.
    writing: Option<JoinHandle<io::Result<()>>>,
}

/// Endpoints copied at once: a fraction of a millisecond, after which whoever speaks is heard.
const PIECE: usize = 256;

impl Store {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, written: 0, copying: None, writing: None }
    }

    /// Begins to copy what has changed since, unless the last one still is being copied or written.
    pub(crate) async fn begin(&mut self, core: &disco_core::Core) {
        if self.copying() || self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        self.finish().await;
        if core.changes() != self.written {
            self.copying = Some((Saving::default(), core.changes()));
        }
    }

    /// Whether there is more to be copied.
    pub(crate) fn copying(&self) -> bool {
        self.copying.is_some()
    }

    /// Copies a piece; after the last one, it is written.
    pub(crate) fn copy(&mut self, core: &disco_core::Core) {
        let Some((mut saving, changes)) = self.copying.take() else { return };
        if core.save(&mut saving, PIECE) {
            self.copying = Some((saving, changes));
            return;
        }
        self.written = changes;
        let (path, snapshot) = (self.path.clone(), core.saved(saving));
        self.writing = Some(tokio::task::spawn_blocking(move || save(&path, &snapshot)));
    }

    /// Writes what there is now, whatever was under way.
    pub(crate) async fn keep(&mut self, core: &disco_core::Core) {
        self.copying = None;
        self.finish().await;
        self.begin(core).await;
        while self.copying() {
            self.copy(core);
        }
        self.finish().await;
    }

    /// Waits until what is being written has been.
    pub(crate) async fn finish(&mut self) {
        let Some(writing) = self.writing.take() else { return };
        let failure = match writing.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // Next time again: what is on disk is older, and still whole.
        self.written = 0;
        tracing::warn!(path = %self.path.display(), error = failure, "the registry's snapshot cannot be written");
    }
}

/// What a server before this one left, if it left anything that can be believed. What cannot is put aside and told of.
pub(crate) fn load(path: &Path) -> Option<Snapshot> {
    let read = || -> Result<Option<Snapshot>, Unreadable> {
        match File::open(path) {
            Ok(file) => snapshot::read(BufReader::with_capacity(256 * 1024, file)).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    };
    match read() {
        Ok(snapshot) => snapshot,
        Err(error) => {
            let aside = beside(path, "refused");
            let _ = fs::rename(path, &aside);
            tracing::warn!(
                path = %path.display(), %error, aside = %aside.display(),
                "the registry starts without a snapshot: clients bring back what they provide"
            );
            None
        }
    }
}

/// Whole or not at all, even if the power goes.
fn save(path: &Path, snapshot: &Snapshot) -> io::Result<()> {
    let new = beside(path, "new");
    let mut file = BufWriter::with_capacity(256 * 1024, File::create(&new)?);
    snapshot::write(snapshot, &mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Snapshot {
        Snapshot { epoch: "epoch".to_owned(), rev: 7, sessions: Vec::new() }
    }

    #[test]
    fn what_was_saved_is_loaded_and_what_is_half_written_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("registry");
        assert_eq!(load(&path), None);
        save(&path, &some()).unwrap();
        assert_eq!(load(&path), Some(some()));

        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(load(&path), None);
        assert!(!path.exists() && beside(&path, "refused").exists());
        save(&path, &some()).unwrap();
        assert_eq!(load(&path), Some(some()));
    }

    #[test]
    fn a_write_that_was_cut_off_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("registry");
        save(&path, &some()).unwrap();
        fs::write(beside(&path, "new"), b"{\"snap").unwrap();
        assert_eq!(load(&path), Some(some()));
    }
}
