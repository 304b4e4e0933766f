//! Requirements: who wants what, and what it was last told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use disco_proto::{
    Answer, Code, Failure, Limit, Query, Reason, Version,
    message::{Applied, Change, Require},
};

use crate::{
    core::Core,
    input::{Effect, Time},
    registry::TopicId,
    session::SessionId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequirementId(pub(crate) u64);

/// Drops that a subscriber may have unapplied and remembered. One that never applies anything uses some endpoint for ever, as far
/// as anyone knows; only these are counted when one of them is withdrawn again.
const LINGERING: usize = 256;

#[derive(Debug)]
pub(crate) struct Requirement {
    pub(crate) session: SessionId,
    pub(crate) id: Box<str>,
    pub(crate) query: Query,
    pub(crate) topic: TopicId,
    /// What the subscriber has after the last difference sent.
    pub(crate) told: BTreeMap<Arc<str>, Told>,
    /// Whether it was told that this is complete.
    pub(crate) complete: bool,
    /// The last difference sent.
    pub(crate) seq: u64,
    /// The last difference applied.
    pub(crate) applied: u64,
    pub(crate) flight: Flight,
    /// It may have something to be told.
    pub(crate) dirty: bool,
    /// It is in its session's queue.
    pub(crate) queued: bool,
    /// Since when a tier better than the delivered one is there.
    pub(crate) better_since: Option<Time>,
    /// Dropped with this `seq`, not applied yet.
    lingering: VecDeque<(Arc<str>, u64)>,
}

/// What a subscriber was told of one endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) version: Version,
    /// It has gone since, for this reason, and the subscriber does not know yet.
    pub(crate) gone: Option<Reason>,
}

/// Whether the subscriber can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flight {
    /// It can.
    Ready,
    /// A difference is under way and not received.
    Sent,
    /// The client reconnected and has not said that it still needs it, nor what it knows.
    Unclaimed,
}

impl Requirement {
    /// Whether the subscriber may be using an endpoint.
    pub(crate) fn uses(&self, key: &str) -> bool {
        self.told.contains_key(key) || self.lingering.iter().any(|(dropped, _)| &**dropped == key)
    }

    pub(crate) fn claimed(&self) -> bool {
        self.flight != Flight::Unclaimed
    }

    /// The connection ended: what was under way may or may not have arrived.
    pub(crate) fn unclaim(&mut self) {
        self.flight = Flight::Unclaimed;
        self.dirty = false;
        self.queued = false;
    }

    /// Remembers that an endpoint was dropped with the current `seq`.
    pub(crate) fn linger(&mut self, key: Arc<str>) {
        if self.lingering.len() == LINGERING {
            self.lingering.pop_front();
        }
        self.lingering.push_back((key, self.seq));
    }

    /// Forgets everything the subscriber was told; `seq` starts anew.
    pub(crate) fn reset(&mut self) {
        for key in std::mem::take(&mut self.told).into_keys() {
            self.linger(key);
        }
        // Whatever it applies next is after all of these.
        self.lingering.iter_mut().for_each(|(_, seq)| *seq = 1);
        self.seq = 0;
        self.applied = 0;
        self.complete = false;
        self.flight = Flight::Ready;
    }
}

impl Core {
    pub(crate) fn require(
        &mut self,
        session: SessionId,
        require: Require,
        out: &mut Vec<Effect>,
    ) -> Result<RequirementId, Failure> {
        let Require { id, query, known } = require;
        let existing = self.sessions[&session].requirements.get(id.as_str()).copied();
        let most = self.options.limits.requirements;
        if existing.is_none() && self.sessions[&session].requirements.len() >= most {
            let words = format!("this session has {most} requirements, and may not have more");
            return Err(Failure::limit(Limit::Requirements, words));
        }
        let topic = self.registry.topic_of(&query.environment, &query.service, &query.endpoint);
        let told: BTreeMap<Arc<str>, Told> = known
            .into_iter()
            .map(|(key, version)| {
                let there = self.registry.topic(topic);
                let gone = there.departed.get(key.as_str()).copied();
                let key = there
                    .records
                    .get_key_value(key.as_str())
                    .map_or_else(|| key.as_str().into(), |(key, _)| Arc::clone(key));
                (key, Told { version, gone })
            })
            .collect();
        let requirement = match existing {
            Some(requirement) => {
                self.replace(requirement, query, topic, told, out);
                requirement
            }
            None => {
                let requirement = RequirementId(self.number());
                self.registry.topic_mut(topic).requirements.push(requirement);
                let id: Box<str> = id.into();
                let owner = self.sessions.get_mut(&session).expect("the caller's session exists");
                owner.requirements.insert(id.clone(), requirement);
                self.requirements.insert(
                    requirement,
                    Requirement {
                        session,
                        id,
                        query,
                        topic,
                        told,
                        complete: false,
                        seq: 0,
                        applied: 0,
                        flight: Flight::Ready,
                        dirty: false,
                        queued: false,
                        better_since: None,
                        lingering: VecDeque::new(),
                    },
                );
                requirement
            }
        };
        Ok(requirement)
    }

    /// The subscriber requires the same id again: after a reconnect, or because it wants something else.
    fn replace(
        &mut self,
        id: RequirementId,
        query: Query,
        topic: TopicId,
        told: BTreeMap<Arc<str>, Told>,
        out: &mut Vec<Effect>,
    ) {
        let requirement = self.requirements.get_mut(&id).expect("a session's requirement exists");
        let before = requirement.topic;
        // What it was told and no longer has, it may still be using.
        let previous = std::mem::replace(&mut requirement.told, told);
        for key in previous.into_keys() {
            if !requirement.told.contains_key(&key) {
                requirement.linger(key);
            }
        }
        requirement.query = query;
        requirement.topic = topic;
        requirement.flight = Flight::Ready;
        requirement.better_since = None;
        let session = requirement.session;
        let owner = self.sessions.get_mut(&session).expect("a requirement's session exists");
        owner.outstanding.retain(|_, other| *other != id);
        // It can take one more, perhaps of another requirement.
        self.ready.push(session);
        if before != topic {
            self.requirements.get_mut(&id).expect("just seen").lingering.clear();
            self.registry.topic_mut(before).requirements.retain(|other| *other != id);
            self.registry.topic_mut(topic).requirements.push(id);
            self.released(before, out);
        }
    }

    /// The answer to `require`: the difference to what the subscriber knew.
    pub(crate) fn first_change(&mut self, id: RequirementId) -> Change {
        self.change(id, true).unwrap_or_default()
    }

    pub(crate) fn applied(
        &mut self,
        session: SessionId,
        applied: &Applied,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, Failure> {
        let id = self.requirement_of(session, &applied.id)?;
        let requirement = self.requirements.get_mut(&id).expect("a session's requirement exists");
        let seq = applied.seq.min(requirement.seq);
        if seq > requirement.applied {
            requirement.applied = seq;
            let before = requirement.lingering.len();
            requirement.lingering.retain(|(_, dropped)| *dropped > seq);
            let topic = requirement.topic;
            if requirement.lingering.len() != before {
                self.released(topic, out);
            }
        }
        Ok(Answer::Done {})
    }

    pub(crate) fn unrequire(&mut self, session: SessionId, id: &str, out: &mut Vec<Effect>) -> Result<Answer, Failure> {
        let id = self.requirement_of(session, id)?;
        self.forget(id, out);
        Ok(Answer::Done {})
    }

    fn requirement_of(&self, session: SessionId, id: &str) -> Result<RequirementId, Failure> {
        self.sessions[&session].requirements.get(id).copied().ok_or_else(|| {
            let id: String = id.chars().take(80).collect();
            Failure::new(Code::Requirement, format!("this session has no requirement `{id}`"))
        })
    }

    /// A requirement ends; it counts as having applied everything.
    pub(crate) fn forget(&mut self, id: RequirementId, out: &mut Vec<Effect>) {
        let Some(requirement) = self.requirements.remove(&id) else { return };
        if let Some(session) = self.sessions.get_mut(&requirement.session) {
            session.requirements.remove(&requirement.id);
            session.outstanding.retain(|_, other| *other != id);
            session.dirty.retain(|other| *other != id);
            // It can take one more, of another requirement.
            self.ready.push(requirement.session);
        }
        self.registry.topic_mut(requirement.topic).requirements.retain(|other| *other != id);
        self.released(requirement.topic, out);
    }

    /// A subscriber may have let go of something that somebody waits for.
    fn released(&mut self, topic: TopicId, out: &mut Vec<Effect>) {
        self.leave_if_unused(topic, out);
        self.settle_drains(topic, out);
        self.registry.tidy(topic);
    }
}
