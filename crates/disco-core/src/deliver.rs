//! Telling subscribers: from what they were told to what is true, as a difference, when they can take it.

use std::sync::Arc;

use disco_proto::{
    Answer, Code, Endpoint, Failure, Health, Message, Method, Query, Reason,
    message::{Change, Changed, Gone, Reset, Resolved, Snapshot},
};

use crate::{
    core::Core,
    input::{Conn, Effect, Time},
    matching::{self, Attributes, Rank},
    registry::{Record, Topic, TopicId},
    require::{Flight, Requirement, RequirementId, Told},
    session::SessionId,
    timers::Timer,
};

/// Bytes of endpoints in one message, before quoting: twice as many still fit into a line. What does not fit follows.
pub(crate) const BUDGET: usize = 400 * 1024;

impl Core {
    /// Something about a provision changed (or it went, for this reason): whom it concerns is told.
    pub(crate) fn touch(&mut self, topic: TopicId, key: &Arc<str>, gone: Option<Reason>) {
        // While the registry has not heard of everyone, only what a provider says counts, not its silence.
        let said = |reason: &Reason| matches!(reason, Reason::Left | Reason::Died | Reason::Draining);
        let gone = gone.filter(|reason| !self.holding || said(reason));
        if let Some(reason) = gone.filter(|_| self.holding) {
            self.registry.topic_mut(topic).departed.insert(Arc::clone(key), reason);
        }
        let role = key.split_once('/').map_or("", |(role, _)| role);
        let concerned = self.registry.topic(topic).requirements.clone();
        for id in concerned {
            let requirement = self.requirements.get_mut(&id).expect("a topic's requirement exists");
            if requirement.query.role != "*" && requirement.query.role != role {
                continue;
            }
            if let Some(told) = requirement.told.get_mut(key) {
                told.gone = gone;
            }
            if !requirement.query.prefer.is_empty() {
                // How long a better tier has been there must be known even while nothing can be sent.
                self.choose(id);
            }
            self.enqueue(id);
        }
    }

    /// Puts a requirement into its session's queue.
    pub(crate) fn enqueue(&mut self, id: RequirementId) {
        let requirement = self.requirements.get_mut(&id).expect("asked for by id");
        requirement.dirty = true;
        if requirement.flight != Flight::Ready || requirement.queued {
            return;
        }
        requirement.queued = true;
        let session = self.sessions.get_mut(&requirement.session).expect("a requirement's session exists");
        session.dirty.push_back(id);
        self.ready.push(requirement.session);
    }

    /// Sends everyone what there is for them and they can take. Once, when everything that happened together has been taken in, so that
    /// nobody is told of what was true in between.
    pub(crate) fn pump_all(&mut self, out: &mut Vec<Effect>) {
        let mut ready = std::mem::take(&mut self.ready);
        for session in ready.drain(..) {
            self.pump(session, out);
        }
        self.ready = ready;
    }

    /// Sends a session what it can take.
    fn pump(&mut self, id: SessionId, out: &mut Vec<Effect>) {
        loop {
            let Some(session) = self.sessions.get_mut(&id) else { return };
            let Ok(conn) = session.conn else { return };
            if session.outstanding.len() >= self.options.in_flight {
                return;
            }
            let Some(requirement_id) = session.dirty.pop_front() else { return };
            let requirement = self.requirements.get_mut(&requirement_id).expect("a session's requirement exists");
            requirement.queued = false;
            if requirement.flight != Flight::Ready {
                continue;
            }
            if let Some(change) = self.change(requirement_id, false) {
                let id = self.requirements[&requirement_id].id.to_string();
                self.dispatch(conn, requirement_id, Method::Changed(Changed { id, change }), out);
            }
        }
    }

    /// Sends a requirement's next message, which the client must answer before it gets another.
    fn dispatch(&mut self, conn: Conn, id: RequirementId, method: Method, out: &mut Vec<Effect>) {
        let number = self.number();
        let requirement = self.requirements.get_mut(&id).expect("just seen");
        requirement.flight = Flight::Sent;
        let session = self.sessions.get_mut(&requirement.session).expect("a requirement's session exists");
        session.outstanding.insert(number, id);
        out.push(Effect::Send(conn, Box::new(Message::Call { id: Some(number.into()), method })));
    }

    /// The client has received a message (or could not make sense of it).
    pub(crate) fn receipt(
        &mut self,
        session: SessionId,
        number: u64,
        result: Result<Answer, Failure>,
        out: &mut Vec<Effect>,
    ) {
        let owner = self.sessions.get_mut(&session).expect("the caller's session exists");
        let Some(id) = owner.outstanding.remove(&number) else { return };
        let conn = owner.conn;
        let requirement = self.requirements.get_mut(&id).expect("a session's requirement exists");
        requirement.flight = Flight::Ready;
        match (result, conn) {
            (Ok(_), _) | (Err(_), Err(_)) => {
                if requirement.dirty {
                    self.enqueue(id);
                }
            }
            (Err(failure), Ok(_)) if failure.code == Code::Requirement => self.forget(id, out),
            (Err(failure), Ok(conn)) => {
                requirement.reset();
                let id_text = requirement.id.to_string();
                let reset = Reset { id: id_text.clone(), why: failure.message };
                out.push(Effect::Send(conn, Box::new(Message::Call { id: None, method: Method::Reset(reset) })));
                let Change { seq, rev, complete, add, .. } = self.change(id, true).unwrap_or_default();
                let snapshot = Snapshot { id: id_text, seq, rev, complete, endpoints: add };
                self.dispatch(conn, id, Method::Snapshot(snapshot), out);
            }
        }
        // It can take one more.
        self.ready.push(session);
    }

    /// The next difference of a requirement, noted as told; `None` if there is none, unless one is wanted in any case.
    pub(crate) fn change(&mut self, id: RequirementId, always: bool) -> Option<Change> {
        let chosen = self.choose(id);
        let requirement = self.requirements.get_mut(&id).expect("asked for by id");
        let topic = self.registry.topic(requirement.topic);
        let own = &self.sessions[&requirement.session].attributes;
        let mut difference = Difference::of(requirement, topic, own, chosen, self.holding);
        requirement.dirty = difference.more;
        let complete = !self.holding && !difference.more;
        if difference.is_empty() && requirement.complete == complete && !always {
            return None;
        }
        requirement.seq += 1;
        self.counters.deliveries += 1;
        requirement.complete = complete;
        for (key, endpoint) in difference.updates.iter().chain(&difference.adds) {
            requirement.told.insert(Arc::clone(key), Told { version: endpoint.version, gone: None });
        }
        let drop = std::mem::take(&mut difference.drops).into_iter().map(|(key, reason)| {
            requirement.told.remove(&key);
            requirement.linger(Arc::clone(&key));
            Gone { key: key.to_string(), reason }
        });
        Some(Change {
            drop: drop.collect(),
            seq: requirement.seq,
            rev: self.registry.rev,
            complete,
            add: difference.adds.into_iter().map(|(_, endpoint)| endpoint).collect(),
            update: difference.updates.into_iter().map(|(_, endpoint)| endpoint).collect(),
        })
    }

    /// The rank and tier that a requirement should be told, `None` if there is nothing. Failing over is immediate; failing back waits
    /// until the better tier has been there for long enough.
    pub(crate) fn choose(&mut self, id: RequirementId) -> Option<(Rank, usize)> {
        let requirement = self.requirements.get_mut(&id).expect("asked for by id");
        let topic = self.registry.topic(requirement.topic);
        let own = &self.sessions[&requirement.session].attributes;
        let Requirement { query, told, better_since, .. } = requirement;
        if query.prefer.is_empty() {
            return matching::admitted(query, topic, Some(told))
                .map(|(_, record)| Rank::of(record))
                .min()
                .map(|rank| (rank, 0));
        }
        let Some((rank, best)) = matching::best(query, own, topic, Some(told)) else {
            *better_since = None;
            return None;
        };
        let current = told.keys().filter_map(|key| {
            let record = topic.records.get(key)?;
            let usable = Rank::of(record) == rank && matching::admits(query, record);
            usable.then(|| matching::tier(query, own, &record.endpoint))
        });
        match current.min() {
            Some(current) if current > best => {
                let since = match *better_since {
                    Some(since) => since,
                    None => {
                        *better_since = Some(self.now);
                        self.timers.at(self.now + self.options.failback, Timer::Failback(id));
                        self.now
                    }
                };
                let stable = since + self.options.failback <= self.now;
                Some((rank, if stable { best } else { current }))
            }
            _ => {
                *better_since = None;
                Some((rank, best))
            }
        }
    }

    pub(crate) fn failback_due(&mut self, id: RequirementId) {
        if self.requirements.contains_key(&id) {
            self.enqueue(id);
        }
    }

    /// Everyone had the time to come back; what nobody claimed goes.
    pub(crate) fn hold_over(&mut self, out: &mut Vec<Effect>) {
        self.holding = false;
        self.registry.forget_departed();
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in &sessions {
            let Some(session) = self.sessions.get(id) else { continue };
            if session.restored && session.due == Time::MAX {
                self.expire(*id, Reason::Lost, out);
            } else if session.connected() && !self.claims(*id) {
                self.drop_unclaimed(*id, out);
            }
        }
        for session in sessions {
            let Some(owner) = self.sessions.get(&session) else { continue };
            let all: Vec<RequirementId> = owner.requirements.values().copied().collect();
            for requirement in all {
                self.enqueue(requirement);
            }
        }
    }

    /// What a requirement would get now.
    pub(crate) fn resolve(&self, session: SessionId, query: &Query) -> Resolved {
        let mut resolved = Resolved { rev: self.registry.rev, complete: !self.holding, endpoints: Vec::new() };
        let Some(topic) = self.registry.find(&query.environment, &query.service, &query.endpoint) else {
            return resolved;
        };
        let topic = self.registry.topic(topic);
        let own = &self.sessions[&session].attributes;
        let chosen = matching::best(query, own, topic, None);
        let mut budget = BUDGET;
        for (_, record) in matching::admitted(query, topic, None) {
            if Some((Rank::of(record), matching::tier(query, own, &record.endpoint))) == chosen {
                if budget == 0 {
                    resolved.complete = false;
                    break;
                }
                budget = budget.saturating_sub(size(&record.endpoint));
                resolved.endpoints.push(Arc::clone(&record.endpoint));
            }
        }
        resolved
    }
}

/// What differs between told and true.
#[derive(Default)]
struct Difference {
    adds: Vec<(Arc<str>, Arc<Endpoint>)>,
    updates: Vec<(Arc<str>, Arc<Endpoint>)>,
    drops: Vec<(Arc<str>, Reason)>,
    /// It did not fit.
    more: bool,
}

impl Difference {
    fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.updates.is_empty() && self.drops.is_empty()
    }

    /// Additions come before drops, so that a set too large for one message is never told to be smaller than it is before and after.
    fn of(
        requirement: &Requirement,
        topic: &Topic,
        own: &Attributes,
        chosen: Option<(Rank, usize)>,
        holding: bool,
    ) -> Self {
        let Requirement { query, told, .. } = requirement;
        let heard =
            |key: &Arc<str>| topic.records.get(key).is_some_and(|record| !record.unclaimed && !record.endpoint.suspect);
        let unheard = |key: &Arc<str>, told: &Told| told.gone.is_none() && !heard(key);
        // After a restart, as long as something that the subscriber has may still come back, it is neither taken away nor replaced by
        // something less preferred; whatever is as good may come.
        let waiting = holding && told.iter().any(|(key, told)| unheard(key, told));
        let wanted = |key: &Arc<str>, record: &Record| {
            if waiting {
                return told.contains_key(key) || (query.prefer.is_empty() && record.live());
            }
            chosen == Some((Rank::of(record), matching::tier(query, own, &record.endpoint)))
        };
        let mut difference = Self::default();
        let mut budget = Budget(BUDGET);
        // Nothing is told of what only a snapshot says.
        let claimed = matching::admitted(query, topic, None);
        for (key, record) in claimed.filter(|(key, record)| wanted(key, record)) {
            let list = match told.get(key) {
                None => &mut difference.adds,
                Some(told) if told.version != record.endpoint.version => &mut difference.updates,
                Some(_) => continue,
            };
            if !budget.take(size(&record.endpoint)) {
                difference.more = true;
                return difference;
            }
            list.push((Arc::clone(key), Arc::clone(&record.endpoint)));
        }
        for (key, told) in told {
            let reason = match topic.records.get(key) {
                Some(record) if matching::admits(query, record) => {
                    if wanted(key, record) {
                        continue;
                    }
                    outdone(record)
                }
                Some(_) => Reason::Unmatched,
                None if waiting && told.gone.is_none() => continue,
                None => told.gone.unwrap_or(Reason::Lost),
            };
            if !budget.take(key.len() + 40) {
                difference.more = true;
                return difference;
            }
            difference.drops.push((Arc::clone(key), reason));
        }
        difference
    }
}

/// Why a record that is there and admitted is no longer delivered.
fn outdone(record: &Record) -> Reason {
    match record.leaving {
        Some((reason, _)) => reason,
        None if record.endpoint.suspect => Reason::Expired,
        None if record.endpoint.health == Health::Draining => Reason::Draining,
        None => Reason::Unmatched,
    }
}

struct Budget(usize);

impl Budget {
    /// Whether there is room; one item always has some.
    fn take(&mut self, size: usize) -> bool {
        if self.0 == 0 {
            return false;
        }
        self.0 = self.0.saturating_sub(size);
        true
    }
}

/// About how many bytes an endpoint takes in a message.
pub(crate) fn size(endpoint: &Endpoint) -> usize {
    let attributes: usize = endpoint.attributes.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    220 + endpoint.instance.len() + endpoint.host.len() + attributes
}
