//! The component: what it is made of, how it runs, and the handle through which everything is asked.

mod absorb;
mod assign;
mod keep;
mod lease;
mod shared;

pub(crate) use lease::Leases;
pub(crate) use shared::Shared;

use crate::admission::Admission;
use crate::agents::{Agent, Connect};
use crate::bundles::Bundles;
use crate::discovery::Discovery;
use crate::state::{Error as StateError, State};
use crate::trust::Certifier;
use crate::vault::{Error as VaultError, Vault};
use scs_plan::loss::Grace;
use scs_ports::state::StateStore;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the control plane is told at the start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the host key. The embedded store lies there too.
    pub state_directory: PathBuf,
    /// Version of the program, for `GET /v1/version`.
    pub version: String,
    /// When a host that is out of reach is lost, so that what may start elsewhere does.
    pub loss_grace: Grace,
    /// How long after it was granted a lease counts as ended; [`LEASE`] unless a test is in a hurry.
    pub lease: Duration,
}

/// How long after it was granted a lease has ended, wherever it is held.
pub const LEASE: Duration = scs_plan::lease::LENGTH.saturating_add(scs_plan::lease::MARGIN);

/// What the control plane works with; the program that wires it chooses the adapters.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Where desired state is kept.
    pub store: Arc<dyn StateStore>,
    /// Agents that are always there, one a host: that of this machine, where it is in the same process.
    pub agents: Vec<Arc<dyn Agent>>,
    /// How the agents of hosts that join are connected to; `None` where none can join.
    pub connect: Option<Arc<dyn Connect>>,
    /// Who makes certificates for hosts and people that join; `None` where nobody can.
    pub authority: Option<Arc<dyn Certifier>>,
    /// The registry of endpoints.
    pub discovery: Arc<dyn Discovery>,
    /// Where sources of images are kept.
    pub bundles: Arc<dyn Bundles>,
}

/// Why the control plane does not start. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Desired state cannot be read.
    #[error("cannot read desired state")]
    State(#[source] StateError),
    /// Secrets cannot be opened.
    #[error("cannot open the secrets")]
    Vault(#[source] VaultError),
    /// There is no agent and no way to get one, or there are two for one host.
    #[error("{0}")]
    Agents(String),
}

/// The control plane, ready to run.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

/// Asks the control plane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Service {
    /// Opens desired state. Nothing is assigned before [`Service::run`].
    pub async fn open(options: Options, ports: Ports) -> Result<(Self, Handle), Error> {
        let vault = Vault::open(&options.state_directory).map_err(Error::Vault)?;
        let state = State::open(ports.store.clone()).await.map_err(Error::State)?;
        let shared = Arc::new(Shared::new(options, ports, state, vault)?);
        shared.refresh().await.map_err(Error::State)?;
        Ok((Self { shared: shared.clone() }, Handle { shared }))
    }

    /// Hands out assignments and takes in reports, until told to stop. Containers keep running then.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        tasks.spawn(keep::keep_hosts(self.shared.clone()));
        tasks.spawn(crate::orchestrate::keep_places(self.shared.clone()));
        crate::orchestrate::resume(&Handle { shared: self.shared.clone() }).await;
        tokio::select! {
            () = shutdown.cancelled() => {}
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a task of the control plane stopped");
                }
            }
        }
        self.shared.stop().await;
        // These end between two transactions: whoever hears that we have stopped finds the store let go of.
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            tracing::warn!("left a task of a host behind");
            tasks.shutdown().await;
        }
    }
}

impl Handle {
    /// Services that are wanted, as `environment/service`, in order; always the newest. A service that is on its way down is
    /// among them until the last of its containers has gone.
    #[must_use]
    pub fn services(&self) -> watch::Receiver<Vec<String>> {
        self.shared.services.subscribe()
    }

    /// Who may come into discovery, and what they may do there.
    #[must_use]
    pub fn admission(&self) -> Admission {
        self.shared.admission.admission()
    }

    /// How many requests of the API are being answered; always the newest.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<usize> {
        self.shared.activity.subscribe()
    }

    /// Done once somebody asked for the end (`POST /v1/shutdown`).
    pub async fn shutdown_requested(&self) {
        self.shared.asked_to_end.cancelled().await;
    }
}

/// How long what was begun has to come to its end when the control plane stops.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before a failed hand-over is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
