//! The registry as data, to be kept on disk and brought back after a restart.
//!
//! What comes back is *unclaimed*: the snapshot may be older than what has since been withdrawn, and acknowledged. It lets sessions be
//! resumed, and keeps a subscriber that has an endpoint from losing it; it is added to nobody's set, and refuses nobody, until its provider
//! says it again.

use std::{ops::Bound, sync::Arc, time::Duration};

use disco_proto::snapshot::{SavedProvision, SavedSession, Snapshot};

use crate::{
    core::{Core, millis},
    input::Effect,
    record::Record,
    registry::{Change, TopicId},
    session::{Session, SessionId},
    timers::Timer,
};

/// A snapshot that is taken piece by piece, so that nobody waits for all of it.
#[derive(Debug, Default)]
pub struct Saving {
    after: Option<SessionId>,
    sessions: Vec<SavedSession>,
}

impl Core {
    /// A number that is another one whenever [`Core::snapshot`] would be.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Everyone who provides something.
    pub fn snapshot(&self) -> Snapshot {
        let mut saving = Saving::default();
        while self.save(&mut saving, usize::MAX) {}
        self.saved(saving)
    }

    /// Copies some more of who provides something: so many endpoints, and what is left of the last session. Whether there is more. What
    /// changes between two calls may or may not be in it, which does no harm: whoever is there says again what it provides, and what a
    /// snapshot alone says is told to nobody.
    pub fn save(&self, saving: &mut Saving, endpoints: usize) -> bool {
        let mut left = endpoints;
        for (id, session) in
            self.sessions.range((saving.after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
        {
            if left == 0 {
                return true;
            }
            saving.after = Some(*id);
            if session.provisions.is_empty() {
                continue;
            }
            left = left.saturating_sub(session.provisions.len());
            saving.sessions.push(SavedSession {
                session: session.name.to_string(),
                agent: session.agent.to_string(),
                attributes: session.attributes.map(),
                window: millis(session.window),
                parked: session.parked.map(|parked| {
                    let away = session.conn.err().map_or(Duration::ZERO, |since| self.now.saturating_sub(since));
                    millis(parked.saturating_sub(away))
                }),
                provisions: session.provisions.iter().filter_map(|(topic, key)| self.provision(*topic, key)).collect(),
            });
        }
        false
    }

    /// What was copied, once there is no more.
    pub fn saved(&self, saving: Saving) -> Snapshot {
        Snapshot { epoch: self.options.epoch.clone(), rev: self.registry.rev, sessions: saving.sessions }
    }

    fn provision(&self, topic: TopicId, key: &str) -> Option<SavedProvision> {
        let topic = self.registry.topic(topic);
        let record = topic.record(key)?;
        let leaving =
            record.leaving.as_deref().map(|(reason, until)| (*reason, millis(until.saturating_sub(self.now))));
        let endpoint = Arc::new(record.endpoint(&topic.name));
        Some(SavedProvision { endpoint, incarnation: record.incarnation, leaving })
    }

    /// Brings back what a server before this one knew. To be called once, before anything else; without a hold there is nobody to wait for,
    /// and nothing is brought back.
    pub fn restore(&mut self, snapshot: Snapshot) {
        if !self.holding {
            return;
        }
        for saved in snapshot.sessions {
            let id = SessionId(self.number());
            let parked = saved.parked.map(|parked| Duration::from_millis(parked).min(self.options.longest));
            let session = Session::restored(&saved, parked, &self.options, self.now);
            if self.names.insert(session.name.clone(), id).is_some() {
                continue;
            }
            let owner = Arc::clone(&session.owner);
            self.sessions.insert(id, Box::new(session));
            if let Some(parked) = parked {
                self.arm(id, self.now + parked);
            }
            for provision in saved.provisions {
                self.bring_back(id, &owner, provision);
            }
        }
    }

    fn bring_back(&mut self, id: SessionId, owner: &Arc<str>, saved: SavedProvision) {
        let SavedProvision { endpoint, incarnation, leaving } = saved;
        let name = &endpoint.name;
        let topic = self.registry.topic_of(&name.environment, &name.service, &name.endpoint);
        let key: Arc<str> = endpoint.key().into();
        if self.registry.record(topic, &key).is_some() {
            return;
        }
        let leaving = leaving.map(|(reason, stays)| {
            let until = self.now + Duration::from_millis(stays).min(self.options.longest);
            self.timers.at(until, Timer::Leaving(topic, Arc::clone(&key)));
            Box::new((reason, until))
        });
        self.sessions.get_mut(&id).expect("just restored").own(topic, &key);
        let mut record = Record::of(&endpoint, key, incarnation, id, owner);
        record.leaving = leaving;
        record.unclaimed = true;
        // Nobody is there yet who could be told.
        self.commit(topic, Change::Put(record), &mut Vec::<Effect>::new());
    }
}
