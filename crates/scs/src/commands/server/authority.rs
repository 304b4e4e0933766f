//! The authority of a cluster, and the server's own certificate: made at the first start, renewed while it runs.

use super::unusable;
use crate::commands::ca;
use crate::exit::Failure;
use crate::joining::past_half;
use scs_pki::{Authority, Files, Identity, Kind, Live, Order, Unissued};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long the server's own certificate is valid.
pub const VALID: Duration = Duration::from_secs(24 * 3600);
/// How often its age is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// The authority that lies beside a server's state.
#[derive(Debug, Clone)]
pub struct Own {
    directory: PathBuf,
    certificates: PathBuf,
    name: String,
    addresses: Vec<String>,
}

impl Own {
    /// The authority in the state directory of the server of this name, which is reached at these addresses.
    #[must_use]
    pub fn new(state: &Path, name: &str, addresses: &[String]) -> Self {
        let mut addresses = addresses.to_vec();
        // Whoever is on the machine itself reaches it here, too.
        addresses.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        let mut seen = std::collections::BTreeSet::new();
        addresses.retain(|address| seen.insert(address.clone()));
        Self { directory: state.join("ca"), certificates: state.join("certificates"), name: name.to_owned(), addresses }
    }

    /// Where it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens the authority, or makes it; and the server's certificate, issued where there is none that still does.
    ///
    /// # Errors
    /// Where files cannot be used, or make no sense.
    pub fn open(&self, secret: [u8; 32]) -> Result<Arc<Live>, Failure> {
        let now = SystemTime::now();
        let authority = match Authority::open(&self.directory) {
            Err(Unissued::Missing(_)) => {
                tracing::info!(directory = %self.directory.display(), "making the authority of this cluster");
                Authority::create(&self.directory, &self.name, now).map_err(|error| ca::failure(&error))?
            }
            opened => opened.map_err(|error| ca::failure(&error))?,
        };
        if !self.still_good(now) {
            self.issue(&authority, now)?;
        }
        let live = Live::open(Files::within(&self.certificates), Some(secret)).map_err(|error| unusable(&error))?;
        Ok(Arc::new(live))
    }

    /// Whether the certificate there is of this server, at these addresses, and in the first half of its life.
    fn still_good(&self, now: SystemTime) -> bool {
        let Ok(credentials) = scs_pki::Credentials::read(&Files::within(&self.certificates), now) else { return false };
        let certificate = &credentials.certificate;
        credentials.identity.kind == Kind::Server
            && credentials.identity.name == self.name
            && self.addresses.iter().all(|address| certificate.addresses.contains(address))
            && !past_half(certificate, now)
    }

    fn issue(&self, authority: &Authority, now: SystemTime) -> Result<(), Failure> {
        let mut identity = Identity::new(Kind::Server, &self.name).map_err(|error| {
            Failure::usage(error.to_string()).hint("`--name` names this server; a host name does").because(&error)
        })?;
        let anywhere = "*/*".parse().map_err(|error: disco_core::NotAScope| Failure::failed(error.to_string()))?;
        identity.require = vec![anywhere];
        let order = Order { identity, addresses: self.addresses.clone(), valid: VALID };
        let issued = authority.issue(&order, now).map_err(|error| ca::failure(&error))?;
        let written = issued.write(&self.certificates).map(drop);
        match written {
            // Of an earlier name: what is ours in our own directory is ours to replace.
            Err(Unissued::Another { .. }) => {
                std::fs::remove_dir_all(&self.certificates)
                    .map_err(|error| crate::dev::daemon::unusable(&self.certificates, &error))?;
                issued.write(&self.certificates).map(drop).map_err(|error| ca::failure(&error))
            }
            written => written.map_err(|error| ca::failure(&error)),
        }
    }

    /// Issues the server's certificate anew at half its life. Never done.
    pub async fn keep_renewed(self, live: Arc<Live>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = SystemTime::now();
            if !past_half(&live.credentials().certificate, now) {
                continue;
            }
            let own = self.clone();
            let renewed = tokio::task::spawn_blocking(move || {
                let authority = Authority::open(&own.directory).map_err(|error| ca::failure(&error))?;
                own.issue(&authority, now)
            });
            match renewed.await {
                Ok(Ok(())) => {
                    if let Err(error) = live.reload() {
                        tracing::error!(%error, "the renewed certificate cannot be used");
                    }
                }
                Ok(Err(failure)) => {
                    tracing::error!(%failure, "the server's certificate cannot be renewed; trying again")
                }
                Err(error) => tracing::error!(%error, "the server's certificate cannot be renewed; trying again"),
            }
        }
    }
}
