//! The registry: who provides what. It changes by [`Change`]s only, in the order of their revisions, so that it does not matter who
//! commits them: this process for itself, or a store that several servers share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use disco_proto::{Name, Query, Reason};

use crate::{input::Time, record::Record, requirements::RequirementId, told::Told};

/// All names that differ in nothing but the role: `environment/service/*/endpoint`. Nobody asks across topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(u32);

#[derive(Debug, Default)]
pub(crate) struct Topic {
    /// `environment/service/endpoint`.
    pub(crate) name: Box<str>,
    /// Sorted by `role/instance`. Boxed, so that many are moved quickly when one comes among them.
    #[allow(clippy::vec_box)]
    records: Vec<Box<Record>>,
    /// How many of them are going.
    leaving: u32,
    /// Who asks, in no particular order.
    pub(crate) requirements: Vec<RequirementId>,
    /// What is asked for, and what the last of those who ask it was told.
    queries: Vec<(Arc<Query>, Told)>,
    /// Withdrawals that wait for their subscribers: what goes, and the drain.
    pub(crate) drains: Vec<(Arc<str>, u64)>,
    /// What has gone lately, and why: whoever comes with it in hand is told.
    pub(crate) departed: BTreeMap<Arc<str>, Departed>,
}

/// Why something went, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Departed {
    pub(crate) reason: Reason,
    at: Time,
}

/// How long it is remembered why something went: subscribers that are away for longer are told that it is `lost`.
pub(crate) const REMEMBERED: Time = Time::from_secs(15 * 60);

/// How much of that is remembered of a topic once everyone has been heard of.
const DEPARTED: usize = 1024;

/// Different queries of a topic that are shared; more would take longer to look through than they save.
const QUERIES: usize = 64;

/// A committed change.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is provided so.
    Put(Box<Record>),
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
        before: Option<Box<Record>>,
        /// What is there now.
        now: &'a Record,
    },
    /// It is going.
    Leaving {
        /// As it was before.
        before: Box<Record>,
        /// As it is now.
        now: &'a Record,
    },
    /// It was there.
    Removed(Box<Record>, Reason),
    /// It had gone already.
    Nothing,
}

/// A commit that was applied.
#[derive(Debug)]
pub(crate) struct Committed<'a> {
    /// The revision with it.
    pub(crate) rev: u64,
    /// The topic's name.
    pub(crate) topic: &'a str,
    pub(crate) applied: Applied<'a>,
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
                self.topics[id.0 as usize] = topic;
                id
            }
            None => {
                self.topics.push(topic);
                TopicId(u32::try_from(self.topics.len() - 1).expect("provisions and requirements are limited"))
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
        &self.topics[id.0 as usize]
    }

    pub(crate) fn topic_mut(&mut self, id: TopicId) -> &mut Topic {
        &mut self.topics[id.0 as usize]
    }

    pub(crate) fn record(&self, id: TopicId, key: &str) -> Option<&Record> {
        self.topic(id).record(key)
    }

    /// What is asked for, as everyone in the topic who asks the same has it; and who asks.
    pub(crate) fn intern(&mut self, id: TopicId, mut query: Query) -> (Arc<Query>, Option<Box<str>>) {
        let instance = query.instance.take().map(String::into_boxed_str);
        let queries = &mut self.topic_mut(id).queries;
        if let Some((known, _)) = queries.iter().find(|(known, _)| **known == query) {
            return (Arc::clone(known), instance);
        }
        let query = Arc::new(query);
        if queries.len() == QUERIES {
            queries.retain(|(known, _)| Arc::strong_count(known) > 1);
        }
        if queries.len() < QUERIES {
            queries.push((Arc::clone(&query), Told::default()));
        }
        (query, instance)
    }

    /// Nobody asks so any more, perhaps.
    pub(crate) fn unintern(&mut self, id: TopicId, query: &Arc<Query>) {
        let queries = &mut self.topic_mut(id).queries;
        // One is ours, the other the list's.
        if Arc::strong_count(query) == 2
            && let Some(place) = queries.iter().position(|(known, _)| Arc::ptr_eq(known, query))
        {
            queries.swap_remove(place);
        }
    }

    /// Of equal lists of what was told, has one kept.
    pub(crate) fn share(&mut self, id: TopicId, query: &Arc<Query>, told: &mut Told) {
        let queries = &mut self.topic_mut(id).queries;
        if let Some((_, last)) = queries.iter_mut().find(|(known, _)| Arc::ptr_eq(known, query)) {
            told.share(last);
            *last = told.clone();
        }
    }

    /// Remembers why something went. Whether it is the first that the topic remembers.
    pub(crate) fn depart(&mut self, id: TopicId, key: Arc<str>, reason: Reason, now: Time, bounded: bool) -> bool {
        let departed = &mut self.topic_mut(id).departed;
        let first = departed.is_empty();
        departed.insert(key, Departed { reason, at: now });
        if bounded
            && departed.len() > DEPARTED
            && let Some(oldest) =
                departed.iter().min_by_key(|(_, departed)| departed.at).map(|(key, _)| Arc::clone(key))
        {
            departed.remove(&oldest);
        }
        first
    }

    /// Forgets why things went that have been gone for long; when the next ones may be forgotten.
    pub(crate) fn forget_departed(&mut self, id: TopicId, now: Time) -> Option<Time> {
        let departed = &mut self.topic_mut(id).departed;
        departed.retain(|_, departed| departed.at + REMEMBERED > now);
        let next = departed.values().map(|departed| departed.at).min();
        self.tidy(id);
        next.map(|at| at + REMEMBERED)
    }

    /// Every topic in use.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().filter(|topic| !topic.name.is_empty())
    }

    /// Frees a topic that nobody provides or requires anything in.
    pub(crate) fn tidy(&mut self, id: TopicId) {
        let topic = &mut self.topics[id.0 as usize];
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
    pub(crate) fn apply(&mut self, id: TopicId, change: Change) -> Committed<'_> {
        self.rev += 1;
        let topic = &mut self.topics[id.0 as usize];
        let going = |record: &Record| u32::from(record.leaving.is_some());
        let applied = match change {
            Change::Put(record) => {
                topic.leaving += going(&record);
                match topic.place(&record.key) {
                    Ok(place) => {
                        let before = std::mem::replace(&mut topic.records[place], record);
                        topic.leaving -= going(&before);
                        Applied::Put { before: Some(before), now: &topic.records[place] }
                    }
                    Err(place) => {
                        topic.records.insert(place, record);
                        Applied::Put { before: None, now: &topic.records[place] }
                    }
                }
            }
            Change::Leave(key, reason, until) => match topic.place(&key) {
                Ok(place) => {
                    let before = topic.records[place].clone();
                    topic.leaving += 1 - going(&before);
                    topic.records[place].leaving = Some(Box::new((reason, until)));
                    Applied::Leaving { before, now: &topic.records[place] }
                }
                Err(_) => Applied::Nothing,
            },
            Change::Remove(key, reason) => match topic.place(&key) {
                Ok(place) => {
                    let record = topic.records.remove(place);
                    topic.leaving -= going(&record);
                    if topic.records.is_empty() {
                        topic.records = Vec::new();
                    }
                    Applied::Removed(record, reason)
                }
                Err(_) => Applied::Nothing,
            },
        };
        Committed { rev: self.rev, topic: &topic.name, applied }
    }
}

impl Topic {
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.records.binary_search_by(|record| (*record.key).cmp(key))
    }

    pub(crate) fn record(&self, key: &str) -> Option<&Record> {
        self.place(key).ok().map(|place| &*self.records[place])
    }

    pub(crate) fn record_mut(&mut self, key: &str) -> Option<&mut Record> {
        self.place(key).ok().map(|place| &mut *self.records[place])
    }

    /// All of them, by `role/instance`.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map(|record| &**record)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Those that are going.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = &Record> {
        // Usually none is, and there may be thousands.
        let all = if self.leaving == 0 { &[] } else { &self.records[..] };
        all.iter().map(|record| &**record).filter(|record| record.leaving.is_some())
    }

    /// The records of the queried role (or of all), admitted or not.
    pub(crate) fn of_role<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = &'a Record> {
        let role = query.role.as_str();
        let from = if role == "*" { 0 } else { self.records.partition_point(|record| record.before_role(role)) };
        self.records[from..]
            .iter()
            .map(|record| &**record)
            .take_while(move |record| role == "*" || record.role() == role)
    }
}
