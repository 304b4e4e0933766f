//! The last known good, on disk: what every requirement had, and the session to resume.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::Path,
    time::{Duration, SystemTime},
};

use disco_proto::{Endpoint, Query, message::Resume};
use serde::{Deserialize, Serialize};

use crate::set::EndpointSet;

/// The form of the file; another one is not read.
const FORM: u32 = 1;

/// What nobody required for so long is forgotten.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contents {
    form: u32,
    /// The session to resume. Its token is a secret: the file is for its owner only.
    pub(crate) session: Option<Resume>,
    pub(crate) requirements: BTreeMap<String, Saved>,
}

/// What one requirement had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) query: Query,
    pub(crate) revision: u64,
    /// When a server last confirmed it, in milliseconds since 1970.
    pub(crate) confirmed: u64,
    pub(crate) endpoints: Vec<Endpoint>,
}

impl Contents {
    /// Reads the file. One that is missing, broken or of another form counts as empty: it is a convenience, not a record.
    pub(crate) fn read(path: &Path) -> Self {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %error, "cannot read the last known endpoints");
                return Self::default();
            }
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(contents) if contents.form == FORM => contents,
            Ok(contents) => {
                tracing::warn!(path = %path.display(), form = contents.form, "the last known endpoints are of another form");
                Self::default()
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %error, "the last known endpoints cannot be understood");
                Self::default()
            }
        }
    }

    /// Writes the file whole or not at all, readable by its owner only.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let text = serde_json::to_vec(&Self { form: FORM, ..self.clone() }).map_err(io::Error::other)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Forgets what was not confirmed for a long time.
    pub(crate) fn tidy(&mut self, now: SystemTime) {
        let oldest = millis(now).saturating_sub(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
        self.requirements.retain(|_, saved| saved.confirmed >= oldest);
    }

    /// The set that a new subscription starts with: what the file has for the same question, or else what the caller knows.
    pub(crate) fn first_set(&self, id: &str, query: &Query, known: Vec<Endpoint>, now: SystemTime) -> EndpointSet {
        let saved = self.requirements.get(id).filter(|saved| saved.query == *query);
        let (endpoints, revision, since) = match saved {
            Some(saved) => (saved.endpoints.clone(), saved.revision, time(saved.confirmed)),
            None => (known, 0, now),
        };
        if endpoints.is_empty() {
            return EndpointSet::default();
        }
        EndpointSet { seq: 1, revision, endpoints, stale_since: Some(since), ..EndpointSet::default() }
    }
}

pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> SystemTime {
    // A file from the future, or from a broken clock, must not overflow.
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.min(u64::from(u32::MAX) * 1000))
}
