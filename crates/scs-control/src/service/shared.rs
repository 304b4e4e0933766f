//! What the tasks and handles of the control plane share. None of it is a truth of its own: that is in the state store.

use super::{Error, Leases, Options, PATIENCE, Ports};
use crate::admission::Register;
use crate::api::Activity;
use crate::audit::Audit;
use crate::bundles::Bundles;
use crate::discovery::Discovery;
use crate::fleet::Fleet;
use crate::images::Claims;
use crate::locks::Locks;
use crate::orchestrate::{Moves, Outlook};
use crate::state::{Error as StateError, State, Status};
use crate::trust::Certifier;
use crate::vault::Vault;
use scs_api::agent::HostReport;
use scs_api::error::{Code, Problem};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) state: State,
    pub(crate) vault: Vault,
    pub(crate) fleet: Fleet,
    /// Who may come into discovery.
    pub(crate) admission: Register,
    pub(crate) audit: Audit,
    /// Who builds which image.
    pub(crate) claims: Mutex<Claims>,
    pub(crate) authority: Option<Arc<dyn Certifier>>,
    pub(crate) discovery: Arc<dyn Discovery>,
    pub(crate) bundles: Arc<dyn Bundles>,
    pub(crate) locks: Locks,
    pub(crate) moves: Moves,
    pub(crate) leases: Leases,
    /// Raised whenever desired state has changed: assignments are made anew, and whoever follows a change looks again.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) services: watch::Sender<Vec<String>>,
    /// Why assignments could not be handed over, by host; empty where they were.
    pub(crate) refusals: watch::Sender<BTreeMap<String, Problem>>,
    /// What waits for lost hosts.
    pub(crate) outlook: watch::Sender<Outlook>,
    pub(crate) asked_to_end: CancellationToken,
    pub(crate) stopping: CancellationToken,
    /// Requests of the API that are being answered.
    pub(crate) activity: Activity,
    tasks: TaskTracker,
    /// Desired state is read and adopted in turns, so that older state never replaces newer: whoever was revoked in between would be let in.
    refreshing: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(super) fn new(options: Options, ports: Ports, state: State, vault: Vault) -> Result<Self, Error> {
        let fleet = Fleet::new(ports.agents, ports.connect).map_err(Error::Agents)?;
        Ok(Self {
            state,
            vault,
            fleet,
            admission: Register::new(),
            audit: Audit::new(&options.state_directory),
            claims: Mutex::default(),
            authority: ports.authority,
            discovery: ports.discovery,
            bundles: ports.bundles,
            locks: Locks::default(),
            moves: Moves::default(),
            leases: Leases::new(options.lease),
            changed: watch::Sender::new(0),
            services: watch::Sender::new(Vec::new()),
            refusals: watch::Sender::new(BTreeMap::new()),
            outlook: watch::Sender::new(Outlook::default()),
            options,
            asked_to_end: CancellationToken::new(),
            stopping: CancellationToken::new(),
            activity: Activity::new(),
            tasks: TaskTracker::new(),
            refreshing: tokio::sync::Mutex::default(),
        })
    }

    /// Runs what follows a change; it ends when the control plane does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Lets everything that was spawned come to its end.
    pub(super) async fn stop(&self) {
        // Followers look up at once; the patience is for one that waits for a reader who reads nothing.
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(PATIENCE, self.tasks.wait()).await.is_err() {
            tracing::warn!("left a task behind");
        }
    }

    /// Waits for something; `None` where the control plane stops before.
    pub(crate) async fn unless_stopping<T>(&self, awaited: impl Future<Output = T>) -> Option<T> {
        self.stopping.run_until_cancelled(awaited).await
    }

    /// To be called after every change of desired state.
    pub(crate) async fn refresh(&self) -> Result<(), StateError> {
        let _turn = self.refreshing.lock().await;
        self.fleet.follow(&self.state).await?;
        let services = self.state.services().await?;
        self.admit(&services).await?;
        let wanted = services.into_iter().filter(|(_, record)| record.status != Status::Down);
        let names = wanted.map(|(key, _)| key.to_string()).collect();
        self.services.send_if_modified(|now| {
            let differs = *now != names;
            *now = names;
            differs
        });
        self.changed.send_modify(|tick| *tick += 1);
        Ok(())
    }

    /// Whether a host has seen a later revision than desired state has now, so that this was restored from an older copy.
    pub(crate) async fn is_older_than(&self, seen: u64) -> Result<bool, StateError> {
        Ok(seen > self.state.cluster().await?.revision)
    }

    /// The highest revision of assignments that any host has seen.
    pub(crate) fn highest_seen(&self) -> u64 {
        self.reports().iter().map(|it| it.revision).max().unwrap_or(0)
    }

    /// What every host reports now, or reported last.
    pub(crate) fn reports(&self) -> Vec<HostReport> {
        self.fleet.reports()
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        match &error {
            StateError::Store(scs_ports::state::Error::Conflict { .. }) => {
                Problem::of(Code::StalePlan, &error).hint("nothing was changed; try again")
            }
            _ => Problem::of(Code::Internal, &error),
        }
    }
}
