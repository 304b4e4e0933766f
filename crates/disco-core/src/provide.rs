//! Providing and withdrawing.

use std::{sync::Arc, time::Duration};

use disco_proto::{
    Answer, Code, Endpoint, Failure, Id, Limit, Provision, Reason,
    message::{Provided, Withdraw, Withdrawn},
};

use crate::{
    core::Core,
    input::{Conn, Effect},
    observe::Observed,
    record::Record,
    registry::{Change, TopicId},
    session::SessionId,
    timers::Timer,
};

impl Core {
    pub(crate) fn provide(
        &mut self,
        id: SessionId,
        provision: &Provision,
        out: &mut Vec<Effect>,
    ) -> Result<Provided, Failure> {
        let name = &provision.name;
        let topic = self.registry.topic_of(&name.environment, &name.service, &name.endpoint);
        let key: Arc<str> = provision.key().into();
        let existing = self.registry.record(topic, &key);
        match existing {
            Some(record) => self.may_provide(id, record, provision)?,
            None => {
                if let Err(failure) = self.has_room(id, topic) {
                    self.registry.tidy(topic);
                    return Err(failure);
                }
            }
        }
        let endpoint = Arc::new(Endpoint::of(provision));
        if let Some(record) = existing
            && record.session == id
            && record.leaving.is_none()
            && !record.unclaimed
            && record.version == endpoint.version
            && record.endpoint(&self.registry.topic(topic).name) == *endpoint
        {
            // Said again, as after a reconnect: nothing to tell anybody.
            if let Some(record) = self.registry.topic_mut(topic).record_mut(&key) {
                record.incarnation = provision.incarnation;
            }
            return Ok(Provided { rev: self.registry.rev });
        }
        // One copy of the key for everyone.
        let key = existing.map_or(key, |record| Arc::clone(&record.key));
        let before = existing.map(|record| record.session);
        let owner = &self.sessions[&id].owner;
        let record = Record::of(&endpoint, Arc::clone(&key), provision.incarnation, id, owner);
        // Whoever watches, and whoever is told, gets it in a moment.
        let _ = record.at_hand.set(endpoint);
        self.recent.note(topic, &key);
        if let Some(before) = before.filter(|before| *before != id)
            && let Some(session) = self.sessions.get_mut(&before)
        {
            session.disown(topic, &key);
            let empty = session.provisions.is_empty();
            if empty && self.brake.returned(before) {
                // Its host is back with another session, and this one has nothing left.
                self.end(before, Reason::Lost, out);
                self.release(out);
            }
        }
        let session = self.sessions.get_mut(&id).expect("the caller's session exists");
        session.own(topic, &key);
        self.registry.topic_mut(topic).departed.remove(&key);
        self.commit(topic, Change::Put(record), out);
        let rev = self.registry.rev;
        self.abandon_drains(topic, &key, out);
        self.touch(topic, &key);
        Ok(Provided { rev })
    }

    /// Whether a session may provide one more, and a topic hold it.
    fn has_room(&self, id: SessionId, topic: TopicId) -> Result<(), Failure> {
        let limits = &self.options.limits;
        if self.sessions[&id].provisions.len() >= limits.provisions {
            let words = format!("this session provides {} endpoints, and may not provide more", limits.provisions);
            return Err(Failure::limit(Limit::Provisions, words));
        }
        if self.registry.topic(topic).len() >= limits.topic {
            let words = format!("{} endpoints are provided under this name, and not more may be", limits.topic);
            return Err(Failure::limit(Limit::Topic, words));
        }
        Ok(())
    }

    /// Whether a session may provide what is provided already.
    fn may_provide(&self, id: SessionId, record: &Record, provision: &Provision) -> Result<(), Failure> {
        if record.unclaimed {
            // A snapshot is no reason to refuse somebody who is there.
            return Ok(());
        }
        let what = || format!("{} of {}", provision.name, provision.instance);
        let session = &self.sessions[&id];
        if record.session != id && record.owner != session.owner {
            let words =
                format!("{} is provided from {}; withdraw it there, or wait for it to go", what(), record.owner);
            return Err(Failure::new(Code::Owned, words));
        }
        // An agent that lost its state must be newer than one that is still connected; once that is away, its equal will do.
        let rival = record.session != id && self.sessions.get(&record.session).is_some_and(|rival| rival.connected());
        if provision.incarnation < record.incarnation || (rival && provision.incarnation == record.incarnation) {
            let words = format!("{} is provided already, with incarnation {}", what(), record.incarnation);
            return Err(Failure::new(Code::Stale, words));
        }
        Ok(())
    }

    pub(crate) fn withdraw(
        &mut self,
        conn: Conn,
        id: SessionId,
        request: Option<Id>,
        withdraw: &Withdraw,
        out: &mut Vec<Effect>,
    ) {
        let refuse = |core: &mut Self, code, words: String, out: &mut Vec<Effect>| {
            core.answer(conn, request.clone(), Err(Failure::new(code, words)), out);
        };
        if !matches!(withdraw.reason, Reason::Left | Reason::Died | Reason::Draining) {
            let words =
                format!("a provider goes because it `left`, `died` or is `draining`, not `{}`", withdraw.reason);
            return refuse(self, Code::Params, words, out);
        }
        let wait = Duration::from_millis(withdraw.wait.unwrap_or(0)).min(self.options.longest);
        let key = format!("{}/{}", withdraw.name.role, withdraw.instance);
        // Whoever comes with it in hand while the registry holds must be told, even if nobody asks for it yet.
        let known = match self.holding {
            true => Some(self.registry.topic_of_name(&withdraw.name)),
            false => self.registry.find_name(&withdraw.name),
        };
        let Some(topic) = known else {
            let withdrawn = Withdrawn { rev: self.registry.rev, unapplied: Vec::new() };
            return self.answer(conn, request, Ok(Answer::Withdrawn(withdrawn)), out);
        };
        let key = match self.registry.record(topic, &key) {
            Some(record) if record.session != id && record.owner != self.sessions[&id].owner && !record.unclaimed => {
                let words = format!("{} of {} is provided from {}", withdraw.name, withdraw.instance, record.owner);
                return refuse(self, Code::Owned, words, out);
            }
            Some(record) => Arc::clone(&record.key),
            None => key.into(),
        };
        let stays = withdraw.successor_by.filter(|time| *time > 0).map(Duration::from_millis);
        // The drain comes first, so that what follows is counted.
        let users = self.users(topic, &key);
        // While not everyone has been heard of, somebody may still come who uses it.
        let waits = !wait.is_zero() && (!users.is_empty() || self.holding);
        if waits {
            self.begin_drain(conn, request.clone(), topic, &key, users.clone(), wait);
        }
        match stays {
            Some(stays) if !users.is_empty() => self.leave(topic, &key, withdraw.reason, stays, out),
            _ => {
                self.disown(topic, &key);
                self.remove(topic, &key, withdraw.reason, out);
            }
        }
        if waits {
            self.settle_drains(topic, out);
        } else {
            let withdrawn = Withdrawn { rev: self.registry.rev, unapplied: Vec::new() };
            self.answer(conn, request, Ok(Answer::Withdrawn(withdrawn)), out);
        }
        self.registry.tidy(topic);
    }

    /// It goes once its users have a successor, or when its time is over.
    fn leave(&mut self, topic: TopicId, key: &Arc<str>, reason: Reason, stays: Duration, out: &mut Vec<Effect>) {
        let until = self.now + stays.min(self.options.longest);
        if self.registry.record(topic, key).is_none() {
            return;
        }
        self.commit(topic, Change::Leave(Arc::clone(key), reason, until), out);
        self.timers.at(until, Timer::Leaving(topic, Arc::clone(key)));
        self.touch(topic, key);
    }

    pub(crate) fn leaving_due(&mut self, topic: TopicId, key: &Arc<str>, out: &mut Vec<Effect>) {
        let leaving = self.registry.record(topic, key).and_then(|record| record.leaving.as_deref().copied());
        if let Some((reason, until)) = leaving
            && until <= self.now
        {
            self.disown(topic, key);
            self.remove(topic, key, reason, out);
            self.registry.tidy(topic);
        }
    }

    /// A leaving provision that nobody uses any more need not wait for its time.
    pub(crate) fn leave_if_unused(&mut self, topic: TopicId, out: &mut Vec<Effect>) {
        let leaving = |record: &Record| record.leaving.as_ref().map(|leaving| (Arc::clone(&record.key), leaving.0));
        let leaving: Vec<_> = self.registry.topic(topic).leaving().filter_map(leaving).collect();
        for (key, reason) in leaving {
            if self.users(topic, &key).is_empty() {
                self.disown(topic, &key);
                self.remove(topic, &key, reason, out);
            }
        }
    }

    /// Commits a change, and says so to whoever watches.
    pub(crate) fn commit(&mut self, topic: TopicId, change: Change, out: &mut Vec<Effect>) {
        self.changes += 1;
        let committed = self.registry.apply(topic, change);
        self.counters.committed(&committed.applied);
        out.extend(Observed::of(topic, &committed, &mut self.recent).map(Effect::Changed));
    }

    fn disown(&mut self, topic: TopicId, key: &Arc<str>) {
        let session = self.registry.record(topic, key).map(|record| record.session);
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(&session)) {
            session.disown(topic, key);
        }
    }

    /// Removes a provision, if it is there; its session has been told to forget it.
    pub(crate) fn remove(&mut self, topic: TopicId, key: &Arc<str>, reason: Reason, out: &mut Vec<Effect>) {
        let there = self.registry.record(topic, key).is_some();
        if there {
            self.commit(topic, Change::Remove(Arc::clone(key), reason), out);
        }
        // Even if it was not there, while not everyone has been heard of: a subscriber may have brought it along from before this
        // server's start. Later, remembering whatever somebody says has gone would be memory that anybody can fill.
        if there || self.holding {
            self.depart(topic, key, reason);
        }
        self.touch(topic, key);
        self.registry.tidy(topic);
    }
}
