//! Telling subscribers: from what they were told to what is true, as a difference, when they can take it.

use std::sync::Arc;

use disco_proto::{
    Answer, Code, Failure, Message, Method, Query, Reason,
    message::{Change, Changed, Gone, Reset, Resolved, Snapshot},
};

use crate::{
    core::Core,
    difference::Difference,
    input::{Conn, Effect, Time},
    matching::{Rank, Wants},
    registry::{REMEMBERED, TopicId},
    require::Flight,
    requirements::RequirementId,
    session::SessionId,
    timers::Timer,
};

/// Bytes of endpoints in one message, before quoting: twice as many still fit into a line. What does not fit follows.
pub(crate) const BUDGET: usize = 400 * 1024;

impl Core {
    /// Something about a provision changed: whom it concerns is told.
    pub(crate) fn touch(&mut self, topic: TopicId, key: &Arc<str>) {
        self.views.clear();
        let role = key.split_once('/').map_or("", |(role, _)| role);
        let concerned = self.registry.topic(topic).requirements.clone();
        for id in concerned {
            let requirement = &self.requirements[id];
            if requirement.query.role != "*" && requirement.query.role != role {
                continue;
            }
            if !requirement.query.prefer.is_empty() {
                // How long a better tier has been there must be known even while nothing can be sent.
                self.choose(id);
            }
            self.enqueue(id);
        }
    }

    /// Remembers why something went, for those who have it and those who come with it in hand.
    pub(crate) fn depart(&mut self, topic: TopicId, key: &Arc<str>, reason: Reason) {
        // While the registry has not heard of everyone, only what a provider says counts, not its silence.
        let said = matches!(reason, Reason::Left | Reason::Died | Reason::Draining);
        if self.holding && !said {
            return;
        }
        if self.registry.depart(topic, Arc::clone(key), reason, self.now, !self.holding) {
            self.timers.at(self.now + REMEMBERED, Timer::Departed(topic));
        }
    }

    pub(crate) fn departed_due(&mut self, topic: TopicId) {
        if let Some(next) = self.registry.forget_departed(topic, self.now) {
            self.timers.at(next, Timer::Departed(topic));
        }
    }

    /// Puts a requirement into its session's queue.
    pub(crate) fn enqueue(&mut self, id: RequirementId) {
        let requirement = self.requirements.get_mut(id).expect("asked for by id");
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
        self.recent.forget(&mut self.registry);
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
            let requirement = self.requirements.get_mut(requirement_id).expect("a session's requirement exists");
            requirement.queued = false;
            if requirement.flight != Flight::Ready {
                continue;
            }
            if let Some(change) = self.change(requirement_id, false) {
                let id = self.requirements[requirement_id].id.to_string();
                self.dispatch(conn, requirement_id, Method::Changed(Changed { id, change }), out);
            }
        }
    }

    /// Sends a requirement's next message, which the client must answer before it gets another.
    fn dispatch(&mut self, conn: Conn, id: RequirementId, method: Method, out: &mut Vec<Effect>) {
        let number = self.number();
        let requirement = self.requirements.get_mut(id).expect("just seen");
        requirement.flight = Flight::Sent;
        let session = self.sessions.get_mut(&requirement.session).expect("a requirement's session exists");
        session.outstanding.push((number, id));
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
        let Some(place) = owner.outstanding.iter().position(|(other, _)| *other == number) else { return };
        let (_, id) = owner.outstanding.remove(place);
        let conn = owner.conn;
        let requirement = self.requirements.get_mut(id).expect("a session's requirement exists");
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
        let difference = self.difference(id);
        let requirement = self.requirements.get_mut(id).expect("asked for by id");
        requirement.dirty = difference.more;
        let complete = !self.holding && !difference.more;
        if difference.is_empty() && requirement.complete == complete && !always {
            return None;
        }
        requirement.seq += 1;
        self.counters.deliveries += 1;
        requirement.complete = complete;
        requirement.told = difference.told.clone();
        for (key, _) in &difference.drops {
            requirement.linger(Arc::clone(key));
        }
        let gone = |(key, reason): &(Arc<str>, Reason)| Gone { key: key.to_string(), reason: *reason };
        Some(Change {
            seq: requirement.seq,
            rev: self.registry.rev,
            complete,
            add: difference.adds.clone(),
            update: difference.updates.clone(),
            drop: difference.drops.iter().map(gone).collect(),
        })
    }

    /// What a requirement should be told: worked out once for all who ask the same and know the same.
    fn difference(&mut self, id: RequirementId) -> Arc<Difference> {
        let requirement = &self.requirements[id];
        let topic = self.registry.topic(requirement.topic);
        let alike = requirement.query.prefer.is_empty() && requirement.is_elsewhere(topic);
        let (query, topic_id) = (Arc::clone(&requirement.query), requirement.topic);
        let told = requirement.told.clone();
        if alike && let Some(difference) = self.views.get(topic_id, &query, &told) {
            return difference;
        }
        let chosen = self.choose(id);
        let requirement = &self.requirements[id];
        let own = &self.sessions[&requirement.session].attributes;
        let wants = Wants::of(requirement, own);
        let topic = self.registry.topic(topic_id);
        let endpoint = |record: &_| self.recent.endpoint(topic_id, &topic.name, record);
        let mut difference = Difference::of(wants, &told, topic, chosen, self.holding, endpoint);
        self.registry.share(topic_id, &query, &mut difference.told);
        let difference = Arc::new(difference);
        if alike {
            self.views.keep(topic_id, query, told, &difference);
        }
        difference
    }

    /// The rank and tier that a requirement should be told, `None` if there is nothing. Failing over is immediate; failing back waits
    /// until the better tier has been there for long enough.
    pub(crate) fn choose(&mut self, id: RequirementId) -> Option<(Rank, usize)> {
        let requirement = &self.requirements[id];
        let topic = self.registry.topic(requirement.topic);
        let wants = Wants::of(requirement, &self.sessions[&requirement.session].attributes);
        let best = wants.best(topic, Some(&requirement.told));
        if wants.query.prefer.is_empty() {
            return best;
        }
        let current = best.and_then(|(rank, _)| {
            let known = requirement.told.keys().filter_map(|key| topic.record(key));
            let usable = known.filter(|record| Rank::of(record) == rank && wants.admits(record));
            usable.map(|record| wants.tier(record)).min()
        });
        let requirement = self.requirements.get_mut(id).expect("just seen");
        match (best, current) {
            (Some((rank, best)), Some(current)) if current > best => {
                let since = match requirement.better_since {
                    Some(since) => since,
                    None => {
                        requirement.better_since = Some(self.now);
                        self.timers.at(self.now + self.options.failback, Timer::Failback(id));
                        self.now
                    }
                };
                let stable = since + self.options.failback <= self.now;
                Some((rank, if stable { best } else { current }))
            }
            _ => {
                requirement.better_since = None;
                best
            }
        }
    }

    pub(crate) fn failback_due(&mut self, id: RequirementId) {
        if self.requirements.get(id).is_some() {
            self.enqueue(id);
        }
    }

    /// Everyone had the time to come back; what nobody claimed goes.
    pub(crate) fn hold_over(&mut self, out: &mut Vec<Effect>) {
        self.holding = false;
        self.views.clear();
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
            let all = owner.requirements.clone();
            for requirement in all {
                self.enqueue(requirement);
            }
        }
        self.settle_all_drains(out);
    }

    /// What a requirement would get now.
    pub(crate) fn resolve(&mut self, session: SessionId, query: &Query) -> Resolved {
        let mut resolved = Resolved { rev: self.registry.rev, complete: !self.holding, endpoints: Vec::new() };
        let Some(topic_id) = self.registry.find(&query.environment, &query.service, &query.endpoint) else {
            return resolved;
        };
        let topic = self.registry.topic(topic_id);
        let wants = Wants::asked(query, &self.sessions[&session].attributes);
        let chosen = wants.best(topic, None);
        let mut budget = BUDGET;
        for record in wants.admitted(topic, None) {
            if Some(wants.standing(record)) == chosen {
                if budget == 0 {
                    resolved.complete = false;
                    break;
                }
                budget = budget.saturating_sub(record.size());
                resolved.endpoints.push(self.recent.endpoint(topic_id, &topic.name, record));
            }
        }
        resolved
    }
}
