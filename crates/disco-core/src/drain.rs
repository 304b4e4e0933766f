//! Acknowledged withdrawals: the answer waits until nobody uses the endpoint any more, or for so long.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use disco_proto::{Answer, Id, message::Withdrawn};

use crate::{
    core::Core,
    input::{Conn, Effect},
    registry::TopicId,
    requirements::RequirementId,
    timers::Timer,
};

#[derive(Debug, Default)]
pub(crate) struct Drains {
    all: HashMap<u64, Drain>,
}

impl Drains {
    /// How many withdrawals wait.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

#[derive(Debug)]
struct Drain {
    conn: Conn,
    request: Option<Id>,
    topic: TopicId,
    key: Arc<str>,
    /// Who has not applied it yet.
    pending: BTreeSet<RequirementId>,
}

impl Core {
    /// Requirements that were told of a provision and have not applied its going.
    pub(crate) fn users(&self, topic: TopicId, key: &str) -> Vec<RequirementId> {
        let uses = |id: &&RequirementId| self.requirements[**id].uses(key);
        self.registry.topic(topic).requirements.iter().filter(uses).copied().collect()
    }

    pub(crate) fn begin_drain(
        &mut self,
        conn: Conn,
        request: Option<Id>,
        topic: TopicId,
        key: &Arc<str>,
        users: Vec<RequirementId>,
        wait: Duration,
    ) {
        let id = self.number();
        let drain = Drain { conn, request, topic, key: Arc::clone(key), pending: users.into_iter().collect() };
        self.drains.all.insert(id, drain);
        self.registry.topic_mut(topic).drains.push((Arc::clone(key), id));
        self.timers.at(self.now + wait, Timer::Drain(id));
    }

    /// Answers the drains of a topic that nobody keeps waiting any more.
    pub(crate) fn settle_drains(&mut self, topic: TopicId, out: &mut Vec<Effect>) {
        let waiting: Vec<u64> = self.registry.topic(topic).drains.iter().map(|(_, id)| *id).collect();
        for id in waiting {
            let users: BTreeSet<RequirementId> = {
                let drain = &self.drains.all[&id];
                self.users(topic, &drain.key).into_iter().collect()
            };
            let drain = self.drains.all.get_mut(&id).expect("a topic's drain exists");
            drain.pending = users;
            if drain.pending.is_empty() && !self.holding {
                self.finish_drain(id, false, out);
            }
        }
    }

    /// Everyone has been heard of: answers the drains that only waited for that.
    pub(crate) fn settle_all_drains(&mut self, out: &mut Vec<Effect>) {
        let topics: BTreeSet<TopicId> = self.drains.all.values().map(|drain| drain.topic).collect();
        for topic in topics {
            self.settle_drains(topic, out);
        }
    }

    pub(crate) fn drain_due(&mut self, id: u64, out: &mut Vec<Effect>) {
        if let Some(Drain { topic, key, .. }) = self.drains.all.get(&id) {
            // Some may have come meanwhile, with what is going in their hands.
            let users = self.users(*topic, key).into_iter().collect();
            self.drains.all.get_mut(&id).expect("just seen").pending = users;
            self.finish_drain(id, false, out);
        }
    }

    /// It is provided again: whoever waited for it to go need not wait any longer.
    pub(crate) fn abandon_drains(&mut self, topic: TopicId, key: &Arc<str>, out: &mut Vec<Effect>) {
        let of_key = |(drained, id): &(Arc<str>, u64)| (drained == key).then_some(*id);
        let waiting: Vec<u64> = self.registry.topic(topic).drains.iter().filter_map(of_key).collect();
        for id in waiting {
            self.finish_drain(id, true, out);
        }
    }

    fn finish_drain(&mut self, id: u64, abandoned: bool, out: &mut Vec<Effect>) {
        let Some(drain) = self.drains.all.remove(&id) else { return };
        self.registry.topic_mut(drain.topic).drains.retain(|(_, other)| *other != id);
        let name = |id: &RequirementId| {
            let requirement = self.requirements.get(*id)?;
            let session = self.sessions.get(&requirement.session)?;
            Some(format!("{}@{}", requirement.id, session.agent))
        };
        let mut unapplied: Vec<String> = drain.pending.iter().filter_map(name).collect();
        if self.holding && !abandoned {
            unapplied.push(UNHEARD.to_owned());
        }
        unapplied.sort_unstable();
        unapplied.truncate(NAMED);
        let withdrawn = Withdrawn { rev: self.registry.rev, unapplied };
        self.answer(drain.conn, drain.request, Ok(Answer::Withdrawn(withdrawn)), out);
        self.registry.tidy(drain.topic);
    }
}

/// Who may have it and has not come back since the server started.
const UNHEARD: &str = "*";

/// How many are named at most: with the longest names, these still fit into a line.
const NAMED: usize = 1000;
