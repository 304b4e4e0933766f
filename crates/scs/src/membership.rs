//! What a host remembers of the cluster that it has joined: one file, written once it has a certificate.

use crate::contexts::Address;
use crate::exit::Failure;
use crate::wiring::installation::persist;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A host's place in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Id of the cluster.
    pub cluster: String,
    /// Name of this host in it.
    pub name: String,
    /// The server's API.
    pub server: Address,
    /// Its discovery, `host:port`, several separated by commas.
    pub disco: String,
    /// Address under which others reach this host.
    pub advertise: IpAddr,
    /// Its labels, which what it provides and what it prefers go by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Membership {
    /// Attributes of this host in discovery: its name and its labels.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = self.labels.clone();
        attributes.insert("host".to_owned(), self.name.clone());
        attributes
    }
}

/// The file it is in.
#[must_use]
pub fn path(state: &Path) -> PathBuf {
    state.join("membership.json")
}

/// The directory of the certificate that goes with it.
#[must_use]
pub fn certificates(state: &Path) -> PathBuf {
    state.join("certificates")
}

/// What is remembered; `None` where this host has not joined.
///
/// # Errors
/// Where the file cannot be read, or makes no sense.
pub fn read(state: &Path) -> Result<Option<Membership>, Failure> {
    let path = path(state);
    let unreadable = |error: &(dyn std::error::Error + 'static)| {
        Failure::failed(format!("cannot read {}", path.display()))
            .because(error)
            .hint("containers keep running; remove the file and join again with a new token of `scs host token`")
    };
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| unreadable(&error))?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| unreadable(&error))
}

/// Remembers it.
///
/// # Errors
/// Where it cannot be written.
pub fn write(state: &Path, membership: &Membership) -> Result<(), Failure> {
    let path = path(state);
    let beside = path.with_extension("new");
    let write = || {
        std::fs::write(&beside, serde_json::to_vec_pretty(membership)?)?;
        persist(&beside, &path)
    };
    write().map_err(|error| crate::dev::daemon::unusable(&path, &error))
}
