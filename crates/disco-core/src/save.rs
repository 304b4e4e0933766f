//! The registry as data, to be kept on disk and brought back after a restart.
//!
//! What comes back is *unclaimed*: the snapshot may be older than what has since been withdrawn, and acknowledged. It lets sessions be
//! resumed, and keeps a subscriber that has an endpoint from losing it; it is added to nobody's set, and refuses nobody, until its provider
//! says it again.

use std::{sync::Arc, time::Duration};

use disco_proto::snapshot::{SavedProvision, SavedSession, Snapshot};

use crate::{
    core::{Core, millis},
    input::Effect,
    registry::{Change, Record},
    session::{Session, SessionId},
    timers::Timer,
};

impl Core {
    /// A number that is another one whenever [`Core::snapshot`] would be.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Everyone who provides something. Nothing is copied but what is small; writing it is for another thread.
    pub fn snapshot(&self) -> Snapshot {
        let providing = self.sessions.values().filter(|session| !session.provisions.is_empty());
        let sessions = providing.map(|session| SavedSession {
            session: session.name.to_string(),
            agent: session.agent.to_string(),
            attributes: session.attributes.clone(),
            window: millis(session.window),
            parked: session.parked.map(|parked| {
                let away = session.conn.err().map_or(Duration::ZERO, |since| self.now.saturating_sub(since));
                millis(parked.saturating_sub(away))
            }),
            provisions: session.provisions.iter().filter_map(|(topic, key)| self.saved(*topic, key)).collect(),
        });
        Snapshot { epoch: self.options.epoch.clone(), rev: self.registry.rev, sessions: sessions.collect() }
    }

    fn saved(&self, topic: crate::registry::TopicId, key: &str) -> Option<SavedProvision> {
        let Record { endpoint, incarnation, leaving, .. } = self.registry.record(topic, key)?;
        let leaving = leaving.map(|(reason, until)| (reason, millis(until.saturating_sub(self.now))));
        Some(SavedProvision { endpoint: Arc::clone(endpoint), incarnation: *incarnation, leaving })
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
            self.sessions.insert(id, session);
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
            (reason, until)
        });
        let owner = Arc::clone(owner);
        let record = Record { endpoint, incarnation, session: id, owner, leaving, unclaimed: true };
        self.sessions.get_mut(&id).expect("just restored").provisions.insert((topic, Arc::clone(&key)));
        // Nobody is there yet who could be told.
        self.commit(topic, Change::Put(key, record), &mut Vec::<Effect>::new());
    }
}
