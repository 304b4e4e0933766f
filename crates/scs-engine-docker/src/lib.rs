//! The engine port over Docker's API. It knows Docker and nothing of services, roles or manifests.
//!
//! Written against Docker Engine 20.10 (API 1.41) and newer ones; whatever the engine does not say in a machine-readable
//! way (which port is taken, which build step failed) is read from its words in [`failure`] and [`build`].

mod address;
mod attach;
mod build;
mod call;
mod commit;
mod container;
mod engine;
mod events;
mod exec;
mod failure;
mod file;
mod image;
mod logs;
mod network;
mod reference;
mod volume;

use bollard::ClientVersion;
use call::Subject;
use scs_ports::engine::Error;
use std::time::Duration;

/// How long the engine may take to answer a question. Docker answers in some 10 ms; a host that swaps needs seconds.
const QUERY_LIMIT: Duration = Duration::from_secs(20);
/// How long it may take to carry out an order. Creating a container on a slow disk was seen to take over 30 s.
const ORDER_LIMIT: Duration = Duration::from_secs(120);
/// bollard's own limit until an answer begins, in seconds: a week, so that ours above are those that count, and uploads
/// of build contexts, which answer only once all is there, are not cut.
const CLIENT_LIMIT: u64 = 7 * 24 * 3600;

/// The newest API version this crate was written for.
const API_VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 47 };

/// A Docker Engine. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Docker {
    client: bollard::Docker,
    address: String,
    query_limit: Duration,
    order_limit: Duration,
}

impl Docker {
    /// Connects to the engine at this address (`unix:///path`, `/path`, `tcp://host:port`), and agrees on an API version.
    ///
    /// Without one: `DOCKER_HOST`; else `/var/run/docker.sock`; else the socket of a rootless engine in
    /// `$XDG_RUNTIME_DIR`, which is also taken when the former may not be opened. The Docker CLI's contexts are not read.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when nobody answers there, with what to do about it in its source;
    /// [`Error::Unsupported`] for other kinds of addresses.
    pub async fn connect(address: Option<&str>) -> Result<Docker, Error> {
        let address = address::choose(address, &address::Surroundings::of_this_process())?;
        let client = match address.strip_prefix("unix://") {
            Some(path) => bollard::Docker::connect_with_unix(path, CLIENT_LIMIT, &API_VERSION),
            None => bollard::Docker::connect_with_http(&address, CLIENT_LIMIT, &API_VERSION),
        };
        let client = client.map_err(|error| failure::unreachable(&address, error.into()))?;
        let mut docker = Docker { client, address, query_limit: QUERY_LIMIT, order_limit: ORDER_LIMIT };
        let hello = docker.client.clone().negotiate_version();
        docker.client = docker.query(&Subject::engine("answer"), hello).await?;
        Ok(docker)
    }

    /// Sets how long the engine may take to answer a question, and to carry out an order. Builds, pulls and streams take as
    /// long as they take.
    #[must_use]
    pub fn with_limits(mut self, query: Duration, order: Duration) -> Docker {
        self.query_limit = query;
        self.order_limit = order;
        self
    }

    /// The address it was reached at.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}
