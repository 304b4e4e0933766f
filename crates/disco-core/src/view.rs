//! Looking in: lists for clients, and everything for this server's own pages and explanations.

use std::sync::Arc;

use disco_proto::{
    Endpoint, Name, Query,
    message::{List, ListedProvision, ListedRequirement, Listing},
};

use crate::{
    core::Core,
    deliver::BUDGET,
    grants::Grants,
    matching::{Attributes, Verdict, Wants},
    observe::Filter,
    packed::Packed,
    record::Record,
    registry::Topic,
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
            attributes: session.attributes.map(),
            connected: session.connected(),
            provisions: session.provisions.len(),
            requirements: session.requirements.len(),
        });
        let all = self.sessions.values().flat_map(|session| &session.requirements);
        RegistryView {
            rev: self.registry.rev,
            epoch: self.options.epoch.clone(),
            complete: !self.holding,
            provisions: self.provisions(),
            sessions: sessions.collect(),
            requirements: all.map(|id| self.requirement_view(&self.requirements[*id])).collect(),
        }
    }

    /// Who provides, by name and instance.
    pub fn provisions(&self) -> Vec<ProvisionView> {
        self.records().map(|(topic, record)| self.provision_view(topic, record)).collect()
    }

    /// What is provided in a part of the registry, in no particular order.
    pub fn endpoints<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = Arc<Endpoint>> + 'a {
        let records = self.registry.topics().flat_map(|topic| topic.records().map(move |record| (topic, record)));
        let claimed = records.filter(|(_, record)| !record.unclaimed);
        let admitted = claimed.filter(|(topic, record)| filter.admits(&record.name(&topic.name)));
        admitted.map(|(topic, record)| Arc::new(record.endpoint(&topic.name)))
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
        let own = Packed::of(attributes);
        let wants = Wants::asked(query, &own);
        wants.verdicts(topic, wants.best(topic, None))
    }

    /// Every provision, by name and instance.
    fn records(&self) -> impl Iterator<Item = (&Topic, &Record)> {
        let all = self.registry.topics().flat_map(|topic| topic.records().map(move |record| (topic, record)));
        let mut records: Vec<(Name, (&Topic, &Record))> =
            all.map(|(topic, record)| (record.name(&topic.name), (topic, record))).collect();
        records.sort_by(|(a, (_, one)), (b, (_, other))| (a, one.instance()).cmp(&(b, other.instance())));
        records.into_iter().map(|(_, found)| found)
    }

    fn provision_view(&self, topic: &Topic, record: &Record) -> ProvisionView {
        let session = self.sessions.get(&record.session);
        ProvisionView {
            endpoint: Arc::new(record.endpoint(&topic.name)),
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
        let told = |key: &str| requirement.told.contains(key);
        let query = requirement.whole_query();
        let verdicts = self.explain(&query, &session.attributes.map()).into_iter().map(|(endpoint, verdict)| {
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
            query,
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
        for (topic, record) in self.records() {
            let name = &record.name(&topic.name);
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
            budget = budget.saturating_sub(record.size() + 300);
            let ProvisionView { endpoint, incarnation, agent, connected, leaving, .. } =
                self.provision_view(topic, record);
            let endpoint = Endpoint::clone(&endpoint);
            listing.provisions.push(ListedProvision { endpoint, incarnation, agent, connected, leaving });
        }
        for session in self.sessions.values() {
            for requirement in session.requirements.iter().map(|id| &self.requirements[*id]) {
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
                    query: requirement.whole_query(),
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
