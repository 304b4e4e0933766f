//! Requirements: who wants what, and what it was last told.

use std::{collections::VecDeque, sync::Arc};

use disco_proto::{
    Answer, Code, Failure, Limit, Query,
    message::{Applied, Change, Require},
};

use crate::{
    core::Core,
    input::{Effect, Time},
    registry::{Topic, TopicId},
    requirements::RequirementId,
    session::SessionId,
    told::{Entry, Told},
};

/// Drops that a subscriber may have unapplied and remembered. One that never applies anything uses some endpoint for ever, as far
/// as anyone knows; only these are counted when one of them is withdrawn again.
const LINGERING: usize = 256;

/// There may be a million of these.
#[derive(Debug)]
pub(crate) struct Requirement {
    pub(crate) session: SessionId,
    pub(crate) id: Box<str>,
    /// What is asked for, shared by all who ask the same: without the instance.
    pub(crate) query: Arc<Query>,
    /// The subscriber's own instance, which never matches.
    pub(crate) instance: Option<Box<str>>,
    pub(crate) topic: TopicId,
    /// Where it stands in its topic's list.
    pub(crate) place: u32,
    /// What the subscriber has after the last difference sent.
    pub(crate) told: Told,
    /// The last difference sent.
    pub(crate) seq: u64,
    /// The last difference applied.
    pub(crate) applied: u64,
    /// Whether it was told that what it has is complete.
    pub(crate) complete: bool,
    pub(crate) flight: Flight,
    /// It may have something to be told.
    pub(crate) dirty: bool,
    /// It is in its session's queue.
    pub(crate) queued: bool,
    /// Since when a tier better than the delivered one is there.
    pub(crate) better_since: Option<Time>,
    /// Dropped with this `seq`, not applied yet.
    lingering: Option<Box<Lingering>>,
}

type Lingering = VecDeque<(Arc<str>, u64)>;

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
        self.told.contains(key)
            || self.lingering.iter().flat_map(|all| all.iter()).any(|(dropped, _)| &**dropped == key)
    }

    /// What was asked for, instance and all.
    pub(crate) fn whole_query(&self) -> Query {
        Query { instance: self.instance.as_deref().map(str::to_owned), ..Query::clone(&self.query) }
    }

    /// Whether the subscriber is none of those that it asks for, so that it gets what everybody gets.
    pub(crate) fn is_elsewhere(&self, topic: &Topic) -> bool {
        let Some(instance) = self.instance.as_deref() else { return true };
        let role = &self.query.role;
        role != "*" && topic.record(&format!("{role}/{instance}")).is_none()
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
        let lingering = self.lingering.get_or_insert_default();
        if lingering.len() == LINGERING {
            lingering.pop_front();
        }
        lingering.push_back((key, self.seq));
    }

    /// Forgets what was dropped up to this `seq`; whether there was anything.
    fn let_go(&mut self, seq: u64) -> bool {
        let Some(lingering) = &mut self.lingering else { return false };
        let before = lingering.len();
        lingering.retain(|(_, dropped)| *dropped > seq);
        let any = lingering.len() != before;
        if lingering.is_empty() {
            self.lingering = None;
        }
        any
    }

    /// Forgets everything the subscriber was told; `seq` starts anew.
    pub(crate) fn reset(&mut self) {
        for key in std::mem::take(&mut self.told).keys() {
            self.linger(Arc::clone(key));
        }
        // Whatever it applies next is after all of these.
        self.lingering.iter_mut().flat_map(|all| all.iter_mut()).for_each(|(_, seq)| *seq = 1);
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
        let existing = self.find(session, &id);
        let most = self.options.limits.requirements;
        if existing.is_err() && self.sessions[&session].requirements.len() >= most {
            let words = format!("this session has {most} requirements, and may not have more");
            return Err(Failure::limit(Limit::Requirements, words));
        }
        let topic = self.registry.topic_of(&query.environment, &query.service, &query.endpoint);
        let there = self.registry.topic(topic);
        let entry = |(key, version): (String, _)| {
            let key = there.record(&key).map_or_else(|| key.as_str().into(), |record| Arc::clone(&record.key));
            Entry { key, version }
        };
        let told = Told::of(known.into_iter().map(entry).collect());
        let place = match existing {
            Ok(place) => {
                let requirement = self.sessions[&session].requirements[place];
                self.replace(requirement, query, topic, told, out);
                return Ok(requirement);
            }
            Err(place) => place,
        };
        let (query, instance) = self.registry.intern(topic, query);
        let requirement = self.requirements.insert(Requirement {
            session,
            id: id.into(),
            query,
            instance,
            topic,
            place: 0,
            told,
            complete: false,
            seq: 0,
            applied: 0,
            flight: Flight::Ready,
            dirty: false,
            queued: false,
            better_since: None,
            lingering: None,
        });
        self.join(requirement, topic);
        let owner = self.sessions.get_mut(&session).expect("the caller's session exists");
        owner.requirements.insert(place, requirement);
        Ok(requirement)
    }

    /// Puts a requirement into a topic's list.
    fn join(&mut self, id: RequirementId, topic: TopicId) {
        let all = &mut self.registry.topic_mut(topic).requirements;
        let place = u32::try_from(all.len()).expect("sessions and their requirements are limited");
        all.push(id);
        self.requirements.get_mut(id).expect("asked for by id").place = place;
    }

    /// Takes a requirement that stood at this place out of a topic's list. The last one takes its place, so that thousands can leave at once.
    fn part(&mut self, topic: TopicId, place: u32) {
        let all = &mut self.registry.topic_mut(topic).requirements;
        all.swap_remove(place as usize);
        if let Some(moved) = all.get(place as usize) {
            self.requirements.get_mut(*moved).expect("a topic's requirement exists").place = place;
        }
    }

    /// Where a session's requirement is in its list, or would be: they are sorted by their ids.
    fn find(&self, session: SessionId, id: &str) -> Result<usize, usize> {
        let all = &self.sessions[&session].requirements;
        all.binary_search_by(|requirement| (*self.requirements[*requirement].id).cmp(id))
    }

    /// The subscriber requires the same id again: after a reconnect, or because it wants something else.
    fn replace(&mut self, id: RequirementId, query: Query, topic: TopicId, told: Told, out: &mut Vec<Effect>) {
        let (query, instance) = self.registry.intern(topic, query);
        let requirement = self.requirements.get_mut(id).expect("a session's requirement exists");
        let before = requirement.topic;
        // What it was told and no longer has, it may still be using.
        let previous = std::mem::replace(&mut requirement.told, told);
        for key in previous.keys() {
            if !requirement.told.contains(key) {
                requirement.linger(Arc::clone(key));
            }
        }
        let asked = std::mem::replace(&mut requirement.query, query);
        requirement.instance = instance;
        requirement.topic = topic;
        requirement.flight = Flight::Ready;
        requirement.better_since = None;
        let place = requirement.place;
        let session = requirement.session;
        let owner = self.sessions.get_mut(&session).expect("a requirement's session exists");
        owner.outstanding.retain(|(_, other)| *other != id);
        // It can take one more, perhaps of another requirement.
        self.ready.push(session);
        self.registry.unintern(before, &asked);
        if before != topic {
            self.requirements.get_mut(id).expect("just seen").lingering = None;
            self.part(before, place);
            self.join(id, topic);
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
        let requirement = self.requirements.get_mut(id).expect("a session's requirement exists");
        let seq = applied.seq.min(requirement.seq);
        if seq > requirement.applied {
            requirement.applied = seq;
            let topic = requirement.topic;
            if requirement.let_go(seq) {
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
        let found = self.find(session, id).map(|place| self.sessions[&session].requirements[place]);
        found.map_err(|_| {
            let id: String = id.chars().take(80).collect();
            Failure::new(Code::Requirement, format!("this session has no requirement `{id}`"))
        })
    }

    /// A requirement ends; it counts as having applied everything.
    pub(crate) fn forget(&mut self, id: RequirementId, out: &mut Vec<Effect>) {
        let Some(requirement) = self.requirements.get(id) else { return };
        let place = self.find(requirement.session, &requirement.id);
        let Some(requirement) = self.requirements.remove(id) else { return };
        if let Some(session) = self.sessions.get_mut(&requirement.session) {
            if let Ok(place) = place {
                session.requirements.remove(place);
            }
            session.outstanding.retain(|(_, other)| *other != id);
            session.dirty.retain(|other| *other != id);
            // It can take one more, of another requirement.
            self.ready.push(requirement.session);
        }
        self.gone(&requirement, out);
    }

    /// A session requires nothing any more.
    pub(crate) fn forget_requirements(&mut self, id: SessionId, out: &mut Vec<Effect>) {
        let session = self.sessions.get_mut(&id).expect("the caller's session exists");
        session.outstanding.clear();
        session.dirty.clear();
        for requirement in std::mem::take(&mut session.requirements) {
            if let Some(requirement) = self.requirements.remove(requirement) {
                self.gone(&requirement, out);
            }
        }
        // Until the last had gone, something may have been found for them.
        self.sessions.get_mut(&id).expect("just seen").dirty.clear();
    }

    fn gone(&mut self, requirement: &Requirement, out: &mut Vec<Effect>) {
        self.part(requirement.topic, requirement.place);
        self.registry.unintern(requirement.topic, &requirement.query);
        self.released(requirement.topic, out);
    }

    /// A subscriber may have let go of something that somebody waits for.
    fn released(&mut self, topic: TopicId, out: &mut Vec<Effect>) {
        self.leave_if_unused(topic, out);
        self.settle_drains(topic, out);
        self.registry.tidy(topic);
    }
}
