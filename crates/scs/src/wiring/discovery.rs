//! The control plane's look into the disco server beside it.

use async_trait::async_trait;
use disco_proto::{Endpoint, Protocol, Reason};
use disco_server::{Changes, Ended, Filter, Handle, Missed, Observed, RequirementView, Verdict, What};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use scs_api::error::{Code, Problem};
use scs_api::inspect::{Candidate, Considered, EndpointChange, EndpointInfo, EndpointQuery};
use scs_control::discovery::Discovery;
use scs_manifest::compiled::Query;
use scs_plan::slot::Slot;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The registry of this process.
#[derive(Debug, Clone)]
pub struct Registry {
    /// The way to the server.
    pub handle: Handle,
    /// Where it is reached.
    pub address: String,
}

#[async_trait]
impl Discovery for Registry {
    fn address(&self) -> String {
        self.address.clone()
    }

    async fn list(&self, query: EndpointQuery) -> Result<Vec<EndpointInfo>, Problem> {
        Ok(self.matching(&query).await?.into_values().collect())
    }

    async fn resolve(&self, query: EndpointQuery) -> Result<Vec<EndpointInfo>, Problem> {
        let mut found = self.list(query).await?;
        // What works comes first; equal ones stay in the order of their names.
        found.sort_by_key(|endpoint| (endpoint.suspect, endpoint.health != "passing"));
        let good = found.iter().filter(|endpoint| !endpoint.suspect && endpoint.health == "passing").count();
        if good > 0 {
            found.truncate(good);
        }
        Ok(found)
    }

    async fn watch(&self, query: EndpointQuery) -> Result<BoxStream<'static, EndpointChange>, Problem> {
        let watcher = Watcher::begin(self.handle.clone(), filter(&query)).await.map_err(ended)?;
        let now = SystemTime::now();
        let present: Vec<EndpointChange> =
            watcher.known.values().map(|endpoint| change("present", endpoint, None, now)).collect();
        let later = stream::unfold(watcher, |mut watcher| async move {
            let changes = watcher.next().await.ok()?;
            Some((stream::iter(changes), watcher))
        });
        Ok(stream::iter(present).chain(later.flatten()).boxed())
    }

    async fn explain(&self, subscriber: &Slot, requirement: &str, query: &Query) -> Result<Considered, Problem> {
        let view = self.handle.snapshot().await.map_err(ended)?;
        let id = format!("{subscriber}:{requirement}");
        if let Some(found) = view.requirements.iter().find(|found| found.id == id) {
            return Ok(of_subscriber(found));
        }
        // Nobody asks yet: what would be said to whoever did.
        let verdicts = self.handle.explain(asked(query), BTreeMap::new()).await.map_err(ended)?;
        let candidates = verdicts.iter().map(|verdict| match candidate(verdict) {
            chosen if chosen.chosen => Candidate { chosen: false, reason: "would be chosen".to_owned(), ..chosen },
            other => other,
        });
        Ok(Considered { candidates: candidates.collect(), ..Considered::default() })
    }
}

impl Registry {
    async fn matching(&self, query: &EndpointQuery) -> Result<BTreeMap<Key, EndpointInfo>, Problem> {
        let (present, _) = self.handle.watch(filter(query)).await.map_err(ended)?;
        Ok(known(&present.endpoints))
    }
}

/// Environment, service, role, endpoint, instance: the order of lists, and what names an endpoint.
type Key = (disco_proto::Name, String);

/// Follows a part of the registry. It remembers what is there, so that it can say what changed even after it fell behind.
struct Watcher {
    handle: Handle,
    filter: Filter,
    known: BTreeMap<Key, EndpointInfo>,
    changes: Changes,
}

impl Watcher {
    async fn begin(handle: Handle, filter: Filter) -> Result<Self, Ended> {
        let (present, changes) = handle.watch(filter.clone()).await?;
        Ok(Self { handle, filter, known: known(&present.endpoints), changes })
    }

    /// What changed next, at least one thing unless the watcher had fallen behind.
    async fn next(&mut self) -> Result<Vec<EndpointChange>, Ended> {
        match self.changes.next().await {
            Ok(observed) => Ok(vec![self.note(&observed)]),
            Err(Missed::Ended) => Err(Ended),
            Err(Missed::Behind) => {
                let now = Self::begin(self.handle.clone(), self.filter.clone()).await?;
                let changes = differences(&self.known, &now.known, SystemTime::now());
                *self = now;
                Ok(changes)
            }
        }
    }

    fn note(&mut self, observed: &Observed) -> EndpointChange {
        let (key, endpoint, now) = (key(&observed.endpoint), info(&observed.endpoint), SystemTime::now());
        let (what, reason) = match observed.what {
            What::Added => ("added", None),
            What::Updated => ("updated", None),
            What::Leaving(reason) => ("updated", Some(reason)),
            What::Dropped(reason) => {
                self.known.remove(&key);
                return change("dropped", &endpoint, Some(reason), now);
            }
        };
        self.known.insert(key, endpoint.clone());
        change(what, &endpoint, reason, now)
    }
}

fn key(endpoint: &Endpoint) -> Key {
    (endpoint.name.clone(), endpoint.instance.clone())
}

fn known(endpoints: &[Arc<Endpoint>]) -> BTreeMap<Key, EndpointInfo> {
    endpoints.iter().map(|endpoint| (key(endpoint), info(endpoint))).collect()
}

/// The part of the registry that is asked for; `*` is anything.
fn filter(query: &EndpointQuery) -> Filter {
    let part = |part: &Option<String>| part.clone().filter(|part| part != "*");
    Filter {
        environment: part(&query.environment),
        service: part(&query.service),
        role: part(&query.role),
        endpoint: part(&query.endpoint),
    }
}

fn of_subscriber(found: &RequirementView) -> Considered {
    Considered {
        told: found
            .verdicts
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Chosen)
            .map(|(endpoint, _)| address(endpoint))
            .collect(),
        candidates: found.verdicts.iter().map(candidate).collect(),
        pushed: None,
        applied: Some(found.applied >= found.seq),
    }
}

fn candidate((endpoint, verdict): &(Arc<Endpoint>, Verdict)) -> Candidate {
    Candidate {
        name: endpoint.name.to_string(),
        address: address(endpoint),
        chosen: *verdict == Verdict::Chosen,
        reason: verdict.to_string(),
    }
}

fn differences(
    known: &BTreeMap<Key, EndpointInfo>,
    now: &BTreeMap<Key, EndpointInfo>,
    at: SystemTime,
) -> Vec<EndpointChange> {
    let gone = known
        .iter()
        .filter(|(key, _)| !now.contains_key(*key))
        .map(|(_, endpoint)| change("dropped", endpoint, None, at));
    let come = now.iter().filter_map(|(key, endpoint)| match known.get(key) {
        None => Some(change("added", endpoint, None, at)),
        Some(before) if before != endpoint => Some(change("updated", endpoint, None, at)),
        Some(_) => None,
    });
    gone.chain(come).collect()
}

fn change(what: &str, endpoint: &EndpointInfo, reason: Option<Reason>, at: SystemTime) -> EndpointChange {
    EndpointChange {
        change: what.to_owned(),
        endpoint: endpoint.clone(),
        reason: reason.map(|reason| reason.to_string()),
        at,
    }
}

/// An endpoint in the words of the API.
pub fn info(endpoint: &Endpoint) -> EndpointInfo {
    EndpointInfo {
        name: endpoint.name.to_string(),
        instance: endpoint.instance.clone(),
        address: address(endpoint),
        protocol: match endpoint.protocol {
            Protocol::Tcp => "tcp".to_owned(),
            Protocol::Udp => "udp".to_owned(),
        },
        attributes: endpoint.attributes.clone(),
        health: match endpoint.health {
            disco_proto::Health::Passing => "passing".to_owned(),
            disco_proto::Health::Draining => "draining".to_owned(),
            disco_proto::Health::Failing => "failing".to_owned(),
        },
        suspect: endpoint.suspect,
    }
}

fn address(endpoint: &Endpoint) -> String {
    if endpoint.host.contains(':') {
        return format!("[{}]:{}", endpoint.host, endpoint.port);
    }
    format!("{}:{}", endpoint.host, endpoint.port)
}

/// A requirement in the registry's words.
fn asked(query: &Query) -> disco_proto::Query {
    use scs_manifest::compiled::Condition;
    let condition = |condition: &Condition| match condition {
        Condition::In(values) => disco_proto::Condition::In(values.clone()),
        Condition::Not(values) => disco_proto::Condition::Not(values.clone()),
        Condition::Exists(there) => disco_proto::Condition::Exists(*there),
    };
    disco_proto::Query {
        environment: query.environment.clone(),
        service: query.service.clone(),
        role: query.role.clone(),
        endpoint: query.endpoint.clone(),
        r#match: query.r#match.iter().map(|(name, wanted)| (name.clone(), condition(wanted))).collect(),
        prefer: query.prefer.clone(),
        instance: None,
    }
}

fn ended(error: Ended) -> Problem {
    Problem::of(Code::Internal, &error)
}
