//! The control plane's look into the disco server beside it.

use async_trait::async_trait;
use disco_proto::{Endpoint, Protocol};
use disco_server::{Ended, Handle, ProvisionView, RequirementView, Verdict};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use scs_api::error::{Code, Problem};
use scs_api::inspect::{Candidate, Considered, EndpointChange, EndpointInfo, EndpointQuery};
use scs_control::discovery::Discovery;
use scs_manifest::compiled::Query;
use scs_plan::slot::Slot;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often a watcher looks: fast for the eye of a person, and nothing for the registry of one machine.
const LOOK: Duration = Duration::from_millis(100);

/// The registry of this process.
#[derive(Debug, Clone)]
pub struct Registry {
    /// The way to the server.
    pub handle: Handle,
    /// Where it listens.
    pub address: SocketAddr,
}

#[async_trait]
impl Discovery for Registry {
    fn address(&self) -> String {
        self.address.to_string()
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
        let first = self.matching(&query).await?;
        let now = SystemTime::now();
        let present: Vec<EndpointChange> = first.values().map(|endpoint| change("present", endpoint, now)).collect();
        let state = (self.clone(), query, first);
        let later = stream::unfold(state, |(registry, query, known)| async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let now = registry.matching(&query).await.ok()?;
                let changes = differences(&known, &now, SystemTime::now());
                if !changes.is_empty() {
                    return Some((stream::iter(changes), (registry, query, now)));
                }
            }
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
        Ok(Considered { candidates: verdicts.iter().map(candidate).collect(), ..Considered::default() })
    }
}

impl Registry {
    async fn matching(&self, query: &EndpointQuery) -> Result<BTreeMap<String, EndpointInfo>, Problem> {
        let view = self.handle.snapshot().await.map_err(ended)?;
        let part =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is || wanted == "*");
        let fits = |provision: &&ProvisionView| {
            let name = &provision.endpoint.name;
            part(&query.environment, &name.environment)
                && part(&query.service, &name.service)
                && part(&query.role, &name.role)
                && part(&query.endpoint, &name.endpoint)
        };
        let found = view.provisions.iter().filter(fits).map(|provision| {
            let endpoint = info(&provision.endpoint);
            (format!("{} {}", endpoint.name, endpoint.instance), endpoint)
        });
        Ok(found.collect())
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
    known: &BTreeMap<String, EndpointInfo>,
    now: &BTreeMap<String, EndpointInfo>,
    at: SystemTime,
) -> Vec<EndpointChange> {
    let gone =
        known.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, endpoint)| change("dropped", endpoint, at));
    let come = now.iter().filter_map(|(key, endpoint)| match known.get(key) {
        None => Some(change("added", endpoint, at)),
        Some(before) if before != endpoint => Some(change("updated", endpoint, at)),
        Some(_) => None,
    });
    gone.chain(come).collect()
}

fn change(what: &str, endpoint: &EndpointInfo, at: SystemTime) -> EndpointChange {
    EndpointChange { change: what.to_owned(), endpoint: endpoint.clone(), reason: None, at }
}

fn info(endpoint: &Endpoint) -> EndpointInfo {
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
