//! The hosts there are, each with its agent: those that the wiring brought along, and those that have joined. It
//! follows the host records of desired state; everybody takes a snapshot.

use crate::agents::{Agent, Connect, HostAddress, Reachability};
use crate::state::{Error as StateError, HostRecord, State};
use scs_api::agent::HostReport;
use scs_api::error::{Code, Problem};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// Every host by name.
pub(crate) type Members = Arc<BTreeMap<String, Member>>;

/// A host with its agent.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) agent: Arc<dyn Agent>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) drained: bool,
    /// Where its agent was connected to; `None` for one that the wiring brought along.
    pub(crate) address: Option<String>,
}

/// A host that does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Silent {
    pub(crate) since: SystemTime,
    pub(crate) why: String,
    /// Whether it is only its agent that is away.
    pub(crate) host_answers: bool,
}

impl Member {
    /// Since when, and why, it does not answer; `None` while it does, or is only just being connected to.
    pub(crate) fn silent(&self) -> Option<Silent> {
        match &*self.agent.reachable().borrow() {
            Reachability::Unreachable { since, why, host_answers } => {
                Some(Silent { since: *since, why: why.clone(), host_answers: *host_answers })
            }
            Reachability::Connecting | Reachability::Reachable { .. } => None,
        }
    }
}

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = jiff::Timestamp::try_from(self.since).unwrap_or(jiff::Timestamp::MIN);
        let since = since.round(jiff::Unit::Second).unwrap_or(since);
        write!(f, "has not answered since {since}: {}", self.why)
    }
}

/// The hosts there are.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// Those that the wiring brought along; they never go.
    fixed: BTreeMap<String, Arc<dyn Agent>>,
    connect: Option<Arc<dyn Connect>>,
    members: watch::Sender<Members>,
}

impl Fleet {
    /// The agents that the wiring brought along, and how others are connected to.
    pub(crate) fn new(agents: Vec<Arc<dyn Agent>>, connect: Option<Arc<dyn Connect>>) -> Result<Self, String> {
        let mut fixed = BTreeMap::new();
        for agent in agents {
            let host = agent.host().to_owned();
            if fixed.insert(host.clone(), agent).is_some() {
                return Err(format!("host {host} has two agents"));
            }
        }
        if fixed.is_empty() && connect.is_none() {
            return Err("there is no agent".to_owned());
        }
        Ok(Self { fixed, connect, members: watch::Sender::new(Arc::default()) })
    }

    /// The hosts now.
    pub(crate) fn members(&self) -> Members {
        self.members.borrow().clone()
    }

    /// Told whenever a host comes, goes or is another.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Members> {
        self.members.subscribe()
    }

    /// Makes the hosts those of the records, and the ones that the wiring brought along. An agent whose address has not changed
    /// stays the one it is. To be called in turns, so that older records never replace newer.
    pub(crate) async fn follow(&self, state: &State) -> Result<(), StateError> {
        self.adopt(&state.hosts().await?);
        Ok(())
    }

    fn adopt(&self, records: &[HostRecord]) {
        let before = self.members();
        let mut members = BTreeMap::new();
        for (name, agent) in &self.fixed {
            let (agent, labels) = (agent.clone(), agent.labels());
            members.insert(name.clone(), Member { agent, labels, drained: false, address: None });
        }
        for record in records {
            if let Some(fixed) = members.get_mut(&record.name) {
                fixed.labels.extend(record.labels.clone());
                fixed.drained = record.drained;
                continue;
            }
            let kept = before.get(&record.name).filter(|it| it.address.as_ref() == Some(&record.address));
            let agent = match (kept, &self.connect) {
                (Some(kept), _) => kept.agent.clone(),
                (None, Some(connect)) => {
                    connect.connect(&HostAddress { name: record.name.clone(), address: record.address.clone() })
                }
                // Joined through a server that this one, on the same state, is not.
                (None, None) => continue,
            };
            let (labels, drained) = (record.labels.clone(), record.drained);
            members
                .insert(record.name.clone(), Member { agent, labels, drained, address: Some(record.address.clone()) });
        }
        let same = |one: &Member, other: &Member| {
            Arc::ptr_eq(&one.agent, &other.agent) && one.labels == other.labels && one.drained == other.drained
        };
        let unchanged = before.len() == members.len()
            && members.iter().all(|(name, it)| before.get(name).is_some_and(|before| same(before, it)));
        if !unchanged {
            self.members.send_replace(Arc::new(members));
        }
    }

    /// The agent of a host.
    pub(crate) fn agent(&self, host: &str) -> Result<Arc<dyn Agent>, Problem> {
        self.members().get(host).map(|it| it.agent.clone()).ok_or_else(|| missing(host))
    }

    /// What every host reports now, or reported last.
    pub(crate) fn reports(&self) -> Vec<HostReport> {
        let report = |(host, member): (&String, &Member)| {
            let mut report = member.agent.report().borrow().clone();
            // An agent that has not looked yet has not named itself either.
            report.host.clone_from(host);
            report
        };
        self.members().iter().map(report).collect()
    }

    /// Hosts that do not answer now.
    pub(crate) fn silent(&self) -> BTreeMap<String, Silent> {
        self.members().iter().filter_map(|(name, it)| Some((name.clone(), it.silent()?))).collect()
    }
}

/// There is no such host.
pub(crate) fn missing(host: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no host {host}")).hint("`scs host ls` lists what there is")
}
