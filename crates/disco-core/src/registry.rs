//! The registry: who provides what. It changes by [`Change`]s only, in the order of their revisions, so that it does not matter who
//! commits them: this process for itself, or a store that several servers share.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    ops::Bound,
    sync::Arc,
};

use disco_proto::{Endpoint, Health, Name, Query, Reason};

use crate::{input::Time, require::RequirementId, session::SessionId};

/// All names that differ in nothing but the role: `environment/service/*/endpoint`. Nobody asks across topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(usize);

#[derive(Debug, Default)]
pub(crate) struct Topic {
    name: Box<str>,
    /// By `role/instance`.
    pub(crate) records: BTreeMap<Arc<str>, Record>,
    /// Who asks, in the order of asking.
    pub(crate) requirements: Vec<RequirementId>,
    /// Withdrawals that wait for their subscribers: what goes, and the drain.
    pub(crate) drains: Vec<(Arc<str>, u64)>,
    /// What providers have taken back while the registry holds: whoever comes with it in hand is told.
    pub(crate) departed: BTreeMap<Arc<str>, Reason>,
}

/// One provision.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) incarnation: u64,
    /// Whose it is now.
    pub(crate) session: SessionId,
    /// The host that may take it over.
    pub(crate) owner: Arc<str>,
    /// It is going, and stays usable until a successor is there or this time comes.
    pub(crate) leaving: Option<(Reason, Time)>,
    /// It comes from a snapshot, and its provider has not said it again.
    pub(crate) unclaimed: bool,
}

impl Record {
    /// Whether it should be used when there is nothing wrong with anything.
    pub(crate) fn live(&self) -> bool {
        self.leaving.is_none() && !self.endpoint.suspect && self.endpoint.health == Health::Passing
    }
}

/// A committed change.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is provided so.
    Put(Arc<str>, Record),
    /// It is going, but still usable.
    Leave(Arc<str>, Reason, Time),
    /// It is gone.
    Remove(Arc<str>, Reason),
}

/// What a committed change did.
#[derive(Debug)]
pub(crate) enum Applied<'a> {
    /// It is there now.
    Put {
        /// What was there before.
        before: Option<Record>,
        /// What is there now.
        now: &'a Record,
    },
    /// It is going.
    Leaving {
        /// As it was before.
        before: Record,
        /// As it is now.
        now: &'a Record,
    },
    /// It was there.
    Removed(Record, Reason),
    /// It had gone already.
    Nothing,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Counts commits.
    pub(crate) rev: u64,
    index: HashMap<Box<str>, TopicId>,
    topics: Vec<Topic>,
    free: Vec<TopicId>,
    scratch: String,
}

impl Registry {
    fn topic_name(&mut self, environment: &str, service: &str, endpoint: &str) {
        self.scratch.clear();
        for part in [environment, "/", service, "/", endpoint] {
            self.scratch.push_str(part);
        }
    }

    /// The topic of a name, made if there is none.
    pub(crate) fn topic_of(&mut self, environment: &str, service: &str, endpoint: &str) -> TopicId {
        self.topic_name(environment, service, endpoint);
        if let Some(id) = self.index.get(self.scratch.as_str()) {
            return *id;
        }
        let name: Box<str> = self.scratch.as_str().into();
        let topic = Topic { name: name.clone(), ..Topic::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.topics[id.0] = topic;
                id
            }
            None => {
                self.topics.push(topic);
                TopicId(self.topics.len() - 1)
            }
        };
        self.index.insert(name, id);
        id
    }

    pub(crate) fn topic_of_name(&mut self, name: &Name) -> TopicId {
        self.topic_of(&name.environment, &name.service, &name.endpoint)
    }

    /// The topic of a name, if anybody provides or requires anything in it.
    pub(crate) fn find(&self, environment: &str, service: &str, endpoint: &str) -> Option<TopicId> {
        let name = [environment, service, endpoint].join("/");
        self.index.get(name.as_str()).copied()
    }

    pub(crate) fn find_name(&self, name: &Name) -> Option<TopicId> {
        self.find(&name.environment, &name.service, &name.endpoint)
    }

    pub(crate) fn topic(&self, id: TopicId) -> &Topic {
        &self.topics[id.0]
    }

    pub(crate) fn topic_mut(&mut self, id: TopicId) -> &mut Topic {
        &mut self.topics[id.0]
    }

    pub(crate) fn record(&self, id: TopicId, key: &str) -> Option<&Record> {
        self.topics[id.0].records.get(key)
    }

    /// Every topic in use.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().filter(|topic| !topic.name.is_empty())
    }

    /// Forgets what has departed: everyone has been heard of, and what is not there is gone.
    pub(crate) fn forget_departed(&mut self) {
        for id in (0..self.topics.len()).map(TopicId) {
            self.topics[id.0].departed.clear();
            self.tidy(id);
        }
    }

    /// Frees a topic that nobody provides or requires anything in.
    pub(crate) fn tidy(&mut self, id: TopicId) {
        let topic = &mut self.topics[id.0];
        if topic.records.is_empty()
            && topic.requirements.is_empty()
            && topic.drains.is_empty()
            && topic.departed.is_empty()
            && !topic.name.is_empty()
        {
            let topic = std::mem::take(topic);
            self.index.remove(&topic.name);
            self.free.push(id);
        }
    }

    /// Applies one committed change.
    pub(crate) fn apply(&mut self, id: TopicId, change: Change) -> Applied<'_> {
        self.rev += 1;
        let records = &mut self.topics[id.0].records;
        match change {
            Change::Put(key, record) => match records.entry(key) {
                Entry::Vacant(entry) => Applied::Put { before: None, now: entry.insert(record) },
                Entry::Occupied(mut entry) => {
                    let before = Some(entry.insert(record));
                    Applied::Put { before, now: entry.into_mut() }
                }
            },
            Change::Leave(key, reason, until) => match records.get_mut(&key) {
                Some(record) => {
                    let before = record.clone();
                    record.leaving = Some((reason, until));
                    Applied::Leaving { before, now: record }
                }
                None => Applied::Nothing,
            },
            Change::Remove(key, reason) => {
                records.remove(&key).map_or(Applied::Nothing, |record| Applied::Removed(record, reason))
            }
        }
    }
}

impl Topic {
    /// The records of the queried role (or of all), admitted or not.
    pub(crate) fn of_role<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = (&'a Arc<str>, &'a Record)> {
        let role = query.role.as_str();
        let from = if role == "*" { String::new() } else { format!("{role}/") };
        self.records
            .range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded))
            .take_while(move |(_, record)| role == "*" || record.endpoint.name.role == role)
    }
}
