//! How the rest of the process speaks to the agent.

use crate::assignments::Refused;
use crate::lease::Leases;
use crate::logs::{self, Source};
use crate::ports::Ports;
use futures_util::stream::BoxStream;
use scs_api::agent::{Assignments, HostReport, LeaseGrant};
use scs_api::log::{LogLine, LogQuery};
use scs_plan::slot::Slot;
use scs_ports::engine::{Exec, Process};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// One line of what is done for a slot, e.g. of the build of its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// For which slot.
    pub slot: Slot,
    /// The line.
    pub line: String,
}

/// A cheap way to the agent.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) report: watch::Receiver<HostReport>,
    pub(crate) labels: watch::Receiver<Option<BTreeMap<String, String>>>,
    pub(crate) sources: watch::Receiver<Arc<Vec<Source>>>,
    pub(crate) output: broadcast::Sender<Output>,
    pub(crate) ports: Ports,
    pub(crate) archive: logs::Archive,
    pub(crate) leases: Leases,
}

/// What handles ask of the agent.
#[derive(Debug)]
pub(crate) enum Order {
    Assign(Box<Assignments>, oneshot::Sender<Result<(), Refused>>),
    /// There is a lease for these that there was not before.
    Leased(Vec<Slot>),
    Environment(String, oneshot::Sender<Option<(String, BTreeMap<String, String>)>>),
}

/// Why something could not be done in a container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such container.
    #[error("no container of run {instance} runs on this host")]
    NotRunning {
        /// Run id.
        instance: String,
    },
    /// The engine did not do it.
    #[error("cannot run `{command}` in the container of run {instance}")]
    Exec {
        /// Run id.
        instance: String,
        /// The command's first word.
        command: String,
        /// Why.
        #[source]
        source: scs_ports::engine::Error,
    },
}

impl Handle {
    /// Hands over everything the host has to run. What is missing from it is left alone; tombstones remove.
    pub async fn assign(&self, assignments: Assignments) -> Result<(), Refused> {
        let (reply, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Assign(Box::new(assignments), reply));
        answer.await.unwrap_or(Err(Refused::Ended))
    }

    /// The next question for a lease, which counts from now on; `None` where nothing here needs one.
    #[must_use]
    pub fn ask_lease(&self) -> Option<u64> {
        self.leases.ask()
    }

    /// The server's answer to such a question. One that comes too late changes nothing.
    pub fn lease(&self, grant: &LeaseGrant) {
        let fresh = self.leases.granted(grant);
        if !fresh.is_empty() {
            let _ = self.orders.send(Order::Leased(fresh));
        }
    }

    /// What the host sees, the latest first.
    #[must_use]
    pub fn report(&self) -> watch::Receiver<HostReport> {
        self.report.clone()
    }

    /// Labels of this host as the server said them last; `None` until it has.
    #[must_use]
    pub fn labels(&self) -> watch::Receiver<Option<BTreeMap<String, String>>> {
        self.labels.clone()
    }

    /// What is done for slots from now on, line by line. A slow reader misses lines.
    #[must_use]
    pub fn output(&self) -> broadcast::Receiver<Output> {
        self.output.subscribe()
    }

    /// Lines of containers' output and of the log files that their images declare, the latest of those that ended included.
    /// With `follow` it goes on, across replaced containers, until the stream is dropped.
    #[must_use]
    pub fn logs(&self, query: LogQuery) -> BoxStream<'static, LogLine> {
        self.lines(query, true)
    }

    /// The same of those containers alone that are there now or come, ended ones included.
    #[must_use]
    pub fn present_logs(&self, query: LogQuery) -> BoxStream<'static, LogLine> {
        self.lines(query, false)
    }

    fn lines(&self, query: LogQuery, removed: bool) -> BoxStream<'static, LogLine> {
        logs::stream(self.ports.engine.clone(), self.archive.clone(), self.sources.clone(), query, removed)
    }

    /// Runs a command in the container of a run, with the environment as it is now.
    pub async fn exec(&self, instance: &str, mut exec: Exec) -> Result<Process, Error> {
        let (reply, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Environment(instance.to_owned(), reply));
        let Ok(Some((container, environment))) = answer.await else {
            return Err(Error::NotRunning { instance: instance.to_owned() });
        };
        for (name, value) in environment {
            exec.environment.entry(name).or_insert(value);
        }
        self.ports.engine.exec(&container, &exec).await.map_err(|source| Error::Exec {
            instance: instance.to_owned(),
            command: exec.command.first().cloned().unwrap_or_default(),
            source,
        })
    }
}
