//! What is assigned to this host: who may assign, and what is remembered of it.
//!
//! On disk lies everything but the values of secrets. After a restart without a server those come from the files that the
//! running containers have mounted anyway; a container that needs one which is nowhere waits for the server.

use crate::files::{Files, keep};
use scs_api::agent::{Assignment, Assignments};
use scs_api::secret::SecretValue;
use scs_manifest::compiled::SecretAs;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why assignments were refused; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Another cluster's.
    #[error("this host belongs to cluster `{own}`; assignments of `{foreign}` are refused")]
    Foreign {
        /// The cluster it belongs to.
        own: String,
        /// The one that assigned.
        foreign: String,
    },
    /// Older than what is worked on.
    #[error("revision {offered} of the assignments is older than {seen}, which this host has seen")]
    Stale {
        /// Highest revision seen.
        seen: u64,
        /// The one offered.
        offered: u64,
    },
    /// They could not be written down.
    #[error("the assignments cannot be written to {path}")]
    Unwritten {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The agent has ended.
    #[error("the agent has ended")]
    Ended,
}

/// The assignments of this host, in memory and on disk.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    key: Key,
    cluster: Option<String>,
    pub(crate) revision: u64,
}

/// What secrets are fingerprinted under, kept out of what is printed.
struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Store {
    /// Opens it; gives what was assigned last, and to be emptied.
    pub(crate) fn open(state: &Path, cluster: Option<String>) -> io::Result<(Self, Assignments)> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state)?;
        let key = key(&state.join("secret.key"))?;
        let path = state.join("assignments.json");
        let last = match fs::read(&path) {
            Ok(text) => serde_json::from_slice::<Assignments>(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Assignments::default()),
            Err(error) => Err(error),
        };
        let mut last = match last {
            Ok(last) => last,
            Err(error) => {
                // Running containers keep running without it, and the server says it all again.
                tracing::warn!(path = %path.display(), %error, "what was assigned last cannot be read");
                Assignments::default()
            }
        };
        if cluster.as_ref().is_some_and(|own| *own != last.cluster) {
            last = Assignments::default();
        }
        let cluster = cluster.or_else(|| Some(last.cluster.clone()).filter(|cluster| !cluster.is_empty()));
        Ok((Self { path, key, cluster, revision: last.revision }, last))
    }

    pub(crate) fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or_default()
    }

    /// Takes assignments in, unless they are another's or older.
    pub(crate) fn accept(&mut self, offered: &Assignments) -> Result<(), Refused> {
        if let Some(own) = self.cluster.as_ref().filter(|own| **own != offered.cluster) {
            return Err(Refused::Foreign { own: own.clone(), foreign: offered.cluster.clone() });
        }
        if offered.revision < self.revision {
            return Err(Refused::Stale { seen: self.revision, offered: offered.revision });
        }
        self.cluster = Some(offered.cluster.clone());
        self.revision = offered.revision;
        Ok(())
    }

    /// Writes down what is worked on: also what a later, shorter list no longer names, as absence is not an order.
    pub(crate) fn write<'a>(
        &self,
        assignments: impl Iterator<Item = &'a Assignment>,
        tombstones: Vec<scs_plan::slot::Slot>,
    ) -> Result<(), Refused> {
        let plain = |assignment: &Assignment| Assignment { secrets: BTreeMap::new(), ..assignment.clone() };
        let kept = Assignments {
            cluster: self.cluster().to_owned(),
            revision: self.revision,
            assignments: assignments.map(plain).collect(),
            tombstones,
            labels: None,
        };
        let text = serde_json::to_vec(&kept).map_err(io::Error::other);
        let written = text.and_then(|text| keep(&self.path, &text, 0o600));
        written.map_err(|source| Refused::Unwritten { path: self.path.clone(), source })
    }

    /// Fingerprints of the secrets a role uses, under a key of this host, by the name the image gives them.
    pub(crate) fn fingerprints(&self, assignment: &Assignment) -> BTreeMap<String, u64> {
        let known = assignment.role.secrets.iter().filter_map(|(name, secret)| {
            let value = assignment.secrets.get(&secret.from)?;
            Some((name.clone(), self.fingerprint(value)))
        });
        known.collect()
    }

    fn fingerprint(&self, value: &SecretValue) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.key.0);
        hash.update(value.expose().as_bytes());
        hash.update(self.key.0);
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first)
    }
}

/// Fills in the secrets of an assignment from the files of a container of the slot.
pub(crate) fn recover_secrets(assignment: &mut Assignment, files: &Files) {
    for (name, secret) in &assignment.role.secrets {
        if secret.r#as == SecretAs::File
            && !assignment.secrets.contains_key(&secret.from)
            && let Some(value) = files.secret(name)
        {
            assignment.secrets.insert(secret.from.clone(), value);
        }
    }
}

fn key(path: &Path) -> io::Result<Key> {
    if let Ok(key) = fs::read(path)
        && let Ok(key) = key.try_into()
    {
        return Ok(Key(key));
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    keep(path, &key, 0o600)?;
    Ok(Key(key))
}
