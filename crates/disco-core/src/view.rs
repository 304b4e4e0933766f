//! Looking in: lists for clients, and everything for this server's own pages and explanations.

use std::sync::Arc;

use disco_proto::{
    Endpoint, Query,
    message::{List, ListedProvision, ListedRequirement, Listing},
};

use crate::{
    core::Core,
    deliver::{BUDGET, size},
    grants::Grants,
    matching::{self, Attributes, Verdict},
    observe::Filter,
    registry::Record,
    require::Requirement,
};

/// Everything a registry knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegistryView {
    /// Its revision.
    pub rev: u64,
    /// Which start of which server.
    pub epoch: String,
    /// Whether it has heard of everyone since its start.
    pub complete: bool,
    /// Who provides, by name and instance.
    pub provisions: Vec<ProvisionView>,
    /// Who is connected, or was a moment ago, in the order of opening.
    pub sessions: Vec<SessionView>,
    /// Who requires, in the same order.
    pub requirements: Vec<RequirementView>,
}

/// One provision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionView {
    /// As subscribers get it.
    pub endpoint: Arc<Endpoint>,
    /// Its provider's incarnation.
    pub incarnation: u64,
    /// The session that provides it.
    pub session: String,
    /// Who that is, in its own words.
    pub agent: String,
    /// The host that owns it.
    pub owner: String,
    /// Whether its provider is connected now.
    pub connected: bool,
    /// Whether it is being withdrawn.
    pub leaving: bool,
    /// It comes from a snapshot, and its provider has not said it again: it is there only for those who had it before.
    pub unclaimed: bool,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its id.
    pub session: String,
    /// Who it is, in its own words.
    pub agent: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// Whether it is connected now.
    pub connected: bool,
    /// How many endpoints it provides.
    pub provisions: usize,
    /// How many requirements it has.
    pub requirements: usize,
}

/// One requirement.
#[derive(Debug, Clone, PartialEq)]
pub struct RequirementView {
    /// The session it is of.
    pub session: String,
    /// Who that is, in its own words.
    pub agent: String,
    /// The subscriber's own word for it.
    pub id: String,
    /// What is asked for.
    pub query: Query,
    /// Whether the subscriber is connected now.
    pub connected: bool,
    /// The last difference sent.
    pub seq: u64,
    /// Whether the subscriber has received it.
    pub received: bool,
    /// The last difference applied.
    pub applied: u64,
    /// `role/instance` of what it was last told.
    pub told: Vec<String>,
    /// Every provider of the name in whatever role, and why the subscriber gets it or does not.
    pub verdicts: Vec<(Arc<Endpoint>, Verdict)>,
}

impl Core {
    /// Everything, for this server's own pages.
    pub fn view(&self) -> RegistryView {
        let sessions = self.sessions.values().map(|session| SessionView {
            session: session.name.to_string(),
            agent: session.agent.to_string(),
            attributes: session.attributes.clone(),
            connected: session.connected(),
            provisions: session.provisions.len(),
            requirements: session.requirements.len(),
        });
        let all = self.sessions.values().flat_map(|session| session.requirements.values());
        RegistryView {
            rev: self.registry.rev,
            epoch: self.options.epoch.clone(),
            complete: !self.holding,
            provisions: self.provisions(),
            sessions: sessions.collect(),
            requirements: all.map(|id| self.requirement_view(&self.requirements[id])).collect(),
        }
    }

    /// Who provides, by name and instance.
    pub fn provisions(&self) -> Vec<ProvisionView> {
        self.records().map(|record| self.provision_view(record)).collect()
    }

    /// What is provided in a part of the registry, in no particular order.
    pub fn endpoints<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Arc<Endpoint>> {
        let records = self.registry.topics().flat_map(|topic| topic.records.values());
        let claimed = records.filter(|record| !record.unclaimed);
        claimed.map(|record| &record.endpoint).filter(|endpoint| filter.admits(&endpoint.name))
    }

    /// Whether it has heard of everyone since its start.
    pub fn complete(&self) -> bool {
        !self.holding
    }

    /// The registry's revision.
    pub fn rev(&self) -> u64 {
        self.registry.rev
    }

    /// Says of every provider of a name, in whatever role, whether a subscriber with these attributes would get it, and why not.
    pub fn explain(&self, query: &Query, attributes: &Attributes) -> Vec<(Arc<Endpoint>, Verdict)> {
        let Some(topic) = self.registry.find(&query.environment, &query.service, &query.endpoint) else {
            return Vec::new();
        };
        let topic = self.registry.topic(topic);
        matching::verdicts(query, attributes, topic, matching::best(query, attributes, topic, None))
    }

    /// Every provision, by name and instance.
    fn records(&self) -> impl Iterator<Item = &Record> {
        let mut records: Vec<&Record> = self.registry.topics().flat_map(|topic| topic.records.values()).collect();
        records.sort_by(|a, b| (&a.endpoint.name, &a.endpoint.instance).cmp(&(&b.endpoint.name, &b.endpoint.instance)));
        records.into_iter()
    }

    fn provision_view(&self, record: &Record) -> ProvisionView {
        let session = self.sessions.get(&record.session);
        ProvisionView {
            endpoint: Arc::clone(&record.endpoint),
            incarnation: record.incarnation,
            session: session.map(|session| session.name.to_string()).unwrap_or_default(),
            agent: session.map(|session| session.agent.to_string()).unwrap_or_default(),
            owner: record.owner.to_string(),
            connected: session.is_some_and(|session| session.connected()),
            leaving: record.leaving.is_some(),
            unclaimed: record.unclaimed,
        }
    }

    fn requirement_view(&self, requirement: &Requirement) -> RequirementView {
        let session = &self.sessions[&requirement.session];
        let told = |key: &str| requirement.told.contains_key(key);
        let verdicts = self.explain(&requirement.query, &session.attributes).into_iter().map(|(endpoint, verdict)| {
            let verdict = match verdict {
                Verdict::Chosen if !told(&endpoint.key()) && requirement.better_since.is_some() => Verdict::Failback,
                Verdict::LessPreferred { .. } if told(&endpoint.key()) => Verdict::Chosen,
                other => other,
            };
            (endpoint, verdict)
        });
        RequirementView {
            session: session.name.to_string(),
            agent: session.agent.to_string(),
            id: requirement.id.to_string(),
            query: requirement.query.clone(),
            connected: session.connected(),
            seq: requirement.seq,
            received: requirement.flight == crate::require::Flight::Ready,
            applied: requirement.applied,
            told: requirement.told.keys().map(|key| key.to_string()).collect(),
            verdicts: verdicts.collect(),
        }
    }

    /// The same for clients, as much as fits into a line.
    pub(crate) fn list(&self, filter: &List, grants: &Grants) -> Listing {
        let passes = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        let mut listing = Listing { rev: self.registry.rev, complete: !self.holding, ..Listing::default() };
        let mut budget = BUDGET;
        for record in self.records() {
            let name = &record.endpoint.name;
            if record.unclaimed
                || !grants.sees(&name.environment, &name.service)
                || !passes(&filter.environment, &name.environment)
                || !passes(&filter.service, &name.service)
                || !passes(&filter.role, &name.role)
            {
                continue;
            }
            if budget == 0 {
                listing.truncated = true;
                return listing;
            }
            budget = budget.saturating_sub(size(&record.endpoint) + 300);
            let ProvisionView { endpoint, incarnation, agent, connected, leaving, .. } = self.provision_view(record);
            let endpoint = Endpoint::clone(&endpoint);
            listing.provisions.push(ListedProvision { endpoint, incarnation, agent, connected, leaving });
        }
        for session in self.sessions.values() {
            for requirement in session.requirements.values().map(|id| &self.requirements[id]) {
                let query = &requirement.query;
                if !grants.sees(&query.environment, &query.service)
                    || !passes(&filter.environment, &query.environment)
                    || !passes(&filter.service, &query.service)
                    || !(query.role == "*" || passes(&filter.role, &query.role))
                {
                    continue;
                }
                if budget == 0 {
                    listing.truncated = true;
                    return listing;
                }
                let endpoints: Vec<String> = requirement.told.keys().map(|key| key.to_string()).collect();
                let conditions = query.r#match.len() * 200 + query.prefer.len() * 100;
                budget =
                    budget.saturating_sub(600 + conditions + endpoints.iter().map(|key| key.len() + 3).sum::<usize>());
                listing.requirements.push(ListedRequirement {
                    id: requirement.id.to_string(),
                    query: query.clone(),
                    agent: session.agent.to_string(),
                    connected: session.connected(),
                    seq: requirement.seq,
                    applied: requirement.applied,
                    endpoints,
                });
            }
        }
        listing
    }
}
