//! Sessions: one client's provisions and requirements. A session outlives its connection by a window.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use disco_proto::{
    Answer, Code, Failure, Id, Limit, PROTOCOL, Reason,
    message::{Identity, Open, Opened, Park},
    snapshot::SavedSession,
};

use crate::{
    core::{Core, millis},
    grants::Grants,
    input::{Conn, Effect, Time},
    options::Options,
    packed::Packed,
    registry::TopicId,
    requirements::RequirementId,
    timers::Timer,
    token,
};

/// Heartbeats that may be missed.
pub(crate) const MISSED: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Session {
    /// Its id on the wire.
    pub(crate) name: Box<str>,
    pub(crate) agent: Box<str>,
    pub(crate) attributes: Packed,
    /// Who owns what it provides: its host, or who it says it is.
    pub(crate) owner: Arc<str>,
    pub(crate) window: Duration,
    /// The heartbeat that it was last told.
    pub(crate) heartbeat: Duration,
    /// The next absence may be as long as this.
    pub(crate) parked: Option<Duration>,
    /// It is kept although it may be gone: when it would have gone at the latest, and why.
    pub(crate) suspected: Option<(Time, Reason)>,
    /// Where it can be reached, and if not, since when.
    pub(crate) conn: Result<Conn, Time>,
    /// When its next timer fires; later ones in the heap are leftovers.
    pub(crate) due: Time,
    claim: Option<Time>,
    /// It comes from a snapshot, and nobody has resumed it.
    pub(crate) restored: bool,
    /// Sorted.
    pub(crate) provisions: Vec<(TopicId, Arc<str>)>,
    /// Sorted by their ids.
    pub(crate) requirements: Vec<RequirementId>,
    /// Requirements that may have something to be told, in the order in which it happened.
    pub(crate) dirty: VecDeque<RequirementId>,
    /// Requests of the server that the client has not answered.
    pub(crate) outstanding: Vec<(u64, RequirementId)>,
}

impl Session {
    /// As a server before this one left it.
    pub(crate) fn restored(saved: &SavedSession, parked: Option<Duration>, options: &Options, now: Time) -> Self {
        Self {
            name: saved.session.as_str().into(),
            agent: saved.agent.as_str().into(),
            owner: saved.attributes.get("host").unwrap_or(&saved.agent).as_str().into(),
            attributes: Packed::of(&saved.attributes),
            window: Duration::from_millis(saved.window).min(options.longest),
            heartbeat: options.heartbeat,
            parked,
            suspected: None,
            conn: Err(now),
            due: Time::MAX,
            claim: None,
            restored: true,
            provisions: Vec::new(),
            requirements: Vec::new(),
            dirty: VecDeque::new(),
            outstanding: Vec::new(),
        }
    }

    pub(crate) fn connected(&self) -> bool {
        self.conn.is_ok()
    }

    /// It provides this.
    pub(crate) fn own(&mut self, topic: TopicId, key: &Arc<str>) {
        if let Err(place) = self.place(topic, key) {
            if self.provisions.len() == self.provisions.capacity() {
                // Most have one or two; room for more than that is memory that hundreds of thousands do not use.
                self.provisions.reserve_exact(self.provisions.len() / 2 + 1);
            }
            self.provisions.insert(place, (topic, Arc::clone(key)));
        }
    }

    /// It provides this no more.
    pub(crate) fn disown(&mut self, topic: TopicId, key: &str) {
        if let Ok(place) = self.place(topic, key) {
            self.provisions.remove(place);
        }
    }

    fn place(&self, topic: TopicId, key: &str) -> Result<usize, usize> {
        self.provisions.binary_search_by(|(other, own)| (other, &**own).cmp(&(&topic, key)))
    }
}

impl Core {
    /// The session's connection is no more; it waits for another.
    pub(crate) fn detach(&mut self, id: SessionId) {
        let session = self.sessions.get_mut(&id).expect("a connection's session exists");
        session.conn = Err(self.now);
        self.counters.connected -= 1;
        session.outstanding.clear();
        session.dirty.clear();
        for requirement in &session.requirements {
            let requirement = self.requirements.get_mut(*requirement).expect("a session's requirement exists");
            requirement.unclaim();
        }
        let at = self.now + session.parked.unwrap_or(session.window);
        self.arm(id, at);
    }

    /// Makes sure that the session is looked at then.
    pub(crate) fn arm(&mut self, id: SessionId, at: Time) {
        let now = self.now;
        if let Some(session) = self.sessions.get_mut(&id)
            && (session.due > at || session.due < now)
        {
            session.due = at;
            self.timers.at(at, Timer::Session(id));
        }
    }

    pub(crate) fn open(&mut self, conn: Conn, id: Option<Id>, mut open: Open, out: &mut Vec<Effect>) {
        if open.protocol != PROTOCOL {
            let words = format!("this server speaks {PROTOCOL}, not {}", open.protocol);
            self.answer(conn, id, Err(Failure::new(Code::Protocol, words)), out);
            self.conns.remove(&conn);
            out.push(Effect::Close(conn));
            return;
        }
        let grants = self.conns[&conn].grants.clone();
        if let Err(failure) = grants.introduce(&mut open) {
            self.answer(conn, id, Err(failure), out);
            return;
        }
        let resumed = open.resume.as_ref().and_then(|resume| {
            let verified = token::verifies(&self.options.secret, &resume.session, &resume.token);
            self.names.get(resume.session.as_str()).copied().filter(|_| verified)
        });
        // A session belongs to its host, whoever has its token.
        let resumed =
            resumed.filter(|session| grants == Grants::Everything || self.sessions[session].owner == owner(&open));
        let session = match resumed {
            Some(session) => {
                self.resume(session, conn, open, out);
                session
            }
            None if self.sessions.len() >= self.options.limits.sessions => {
                let words = format!("this server has {} sessions, and takes no more", self.options.limits.sessions);
                self.answer(conn, id, Err(Failure::limit(Limit::Sessions, words)), out);
                self.conns.remove(&conn);
                out.push(Effect::Close(conn));
                return;
            }
            None => self.begin(conn, open),
        };
        self.counters.connected += 1;
        let connection = self.conns.get_mut(&conn).expect("it speaks");
        connection.session = Some(session);
        connection.heard = self.now;
        if resumed.is_some() {
            self.revoke(session, &grants, out);
        }
        self.arm(session, self.now + self.heartbeat() * MISSED);
        let opened = self.opened(session, resumed.is_some());
        self.answer(conn, id, Ok(Answer::Opened(opened)), out);
    }

    fn begin(&mut self, conn: Conn, open: Open) -> SessionId {
        let id = SessionId(self.number());
        let name: Box<str> = format!("{}.{:x}", self.options.epoch, id.0).into();
        let session = Session {
            name: name.clone(),
            owner: owner(&open),
            agent: open.agent.into(),
            attributes: Packed::of(&open.attributes),
            window: self.window(open.window),
            heartbeat: self.heartbeat(),
            parked: None,
            suspected: None,
            conn: Ok(conn),
            due: Time::MAX,
            claim: None,
            restored: false,
            provisions: Vec::new(),
            requirements: Vec::new(),
            dirty: VecDeque::new(),
            outstanding: Vec::new(),
        };
        self.names.insert(name, id);
        self.sessions.insert(id, Box::new(session));
        id
    }

    fn resume(&mut self, id: SessionId, conn: Conn, open: Open, out: &mut Vec<Effect>) {
        let window = self.window(open.window);
        if let Ok(old) = self.sessions[&id].conn {
            // The newest connection wins; whatever the old one still says does not count.
            self.conns.remove(&old);
            out.push(Effect::Close(old));
            self.detach(id);
        }
        let claim = self.now + window;
        self.timers.at(claim, Timer::Claim(id));
        self.changes += 1;
        let heartbeat = self.heartbeat();
        let session = self.sessions.get_mut(&id).expect("looked up by name");
        session.owner = owner(&open);
        session.agent = open.agent.into();
        session.attributes = Packed::of(&open.attributes);
        session.window = window;
        session.heartbeat = heartbeat;
        session.parked = None;
        session.conn = Ok(conn);
        session.claim = Some(claim);
        session.restored = false;
        session.suspected = None;
        if self.brake.returned(id) {
            self.mark(id, false, out);
            self.release(out);
        }
    }

    /// What a session provides and its peer may no longer provide goes; whether there was anything.
    pub(crate) fn revoke(&mut self, id: SessionId, grants: &Grants, out: &mut Vec<Effect>) -> bool {
        if *grants == Grants::Everything {
            return false;
        }
        let session = self.sessions.get_mut(&id).expect("just resumed");
        let registry = &self.registry;
        let granted = |(topic, key): &(TopicId, Arc<str>)| {
            let record = registry.record(*topic, key);
            record.is_none_or(|record| grants.may_provide_record(&registry.topic(*topic).name, record).is_ok())
        };
        let (kept, revoked): (_, Vec<_>) = std::mem::take(&mut session.provisions).into_iter().partition(granted);
        session.provisions = kept;
        let any = !revoked.is_empty();
        for (topic, key) in revoked {
            self.remove(topic, &key, Reason::Left, out);
        }
        any
    }

    fn window(&self, asked: Option<u64>) -> Duration {
        asked.map_or(self.options.window, Duration::from_millis).min(self.options.longest)
    }

    fn opened(&self, id: SessionId, resumed: bool) -> Opened {
        let session = &self.sessions[&id];
        let provides = session.provisions.iter().filter_map(|(topic, key)| {
            let topic = self.registry.topic(*topic);
            let record = topic.record(key)?;
            Some(Identity { name: record.name(&topic.name), instance: record.instance().to_owned() })
        });
        Opened {
            session: session.name.to_string(),
            token: token::of(&self.options.secret, &session.name),
            resumed,
            epoch: self.options.epoch.clone(),
            heartbeat: millis(session.heartbeat),
            window: millis(session.window),
            provides: provides.collect(),
        }
    }

    pub(crate) fn park(&mut self, id: SessionId, park: Park) -> Result<Answer, Failure> {
        let pause = Duration::from_millis(park.r#for).min(self.options.longest);
        let session = self.sessions.get_mut(&id).expect("the caller's session exists");
        session.parked = Some(pause);
        self.changes += 1;
        Ok(Answer::Done {})
    }

    /// When the session ends if nothing is heard of it, and why.
    pub(crate) fn deadline(&self, session: &Session) -> (Time, Reason) {
        match session.conn {
            Ok(conn) => {
                let silence = (session.heartbeat * MISSED).max(session.parked.unwrap_or_default());
                let heard = self.conns.get(&conn).map_or(self.now, |connection| connection.heard);
                (heard + silence, Reason::Expired)
            }
            Err(since) => (since + session.parked.unwrap_or(session.window), Reason::Lost),
        }
    }

    pub(crate) fn session_due(&mut self, id: SessionId, at: Time, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.due != at {
            return;
        }
        let (deadline, reason) = self.deadline(session);
        if deadline > self.now {
            let session = self.sessions.get_mut(&id).expect("just seen");
            session.due = deadline;
            self.timers.at(deadline, Timer::Session(id));
            return;
        }
        self.expire(id, reason, out);
    }

    /// Closes a session's connection, if it has one.
    pub(crate) fn hang_up(&mut self, id: SessionId, out: &mut Vec<Effect>) {
        if let Ok(conn) = self.sessions[&id].conn {
            self.conns.remove(&conn);
            out.push(Effect::Close(conn));
            self.detach(id);
        }
    }

    /// What a resumed client has not required again by now it does not need.
    pub(crate) fn claim_due(&mut self, id: SessionId, at: Time, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.claim != Some(at) || !session.connected() {
            return;
        }
        session.claim = None;
        let all = session.requirements.clone();
        for requirement in all {
            if !self.requirements[requirement].claimed() {
                self.forget(requirement, out);
            }
        }
        if !self.holding {
            self.drop_unclaimed(id, out);
        }
    }

    /// What a snapshot said of a session that is back, and it has not said again, is not there.
    pub(crate) fn drop_unclaimed(&mut self, id: SessionId, out: &mut Vec<Effect>) {
        let registry = &self.registry;
        let unclaimed =
            |(topic, key): &&(TopicId, Arc<str>)| registry.record(*topic, key).is_some_and(|record| record.unclaimed);
        let all: Vec<_> = self.sessions[&id].provisions.iter().filter(unclaimed).cloned().collect();
        for (topic, key) in all {
            let session = self.sessions.get_mut(&id).expect("just seen");
            session.disown(topic, &key);
            self.remove(topic, &key, Reason::Lost, out);
        }
    }

    /// When what a resumed session has not said again may go, if that is still to come.
    pub(crate) fn claims(&self, id: SessionId) -> bool {
        self.sessions[&id].claim.is_some()
    }

    /// Ends a session: everything it provides goes, everything it requires counts as applied.
    pub(crate) fn end(&mut self, id: SessionId, reason: Reason, out: &mut Vec<Effect>) {
        if !self.sessions.contains_key(&id) {
            return;
        }
        self.forget_requirements(id, out);
        let session = self.sessions.get_mut(&id).expect("just seen");
        if session.connected() {
            self.counters.connected -= 1;
        }
        let provisions = std::mem::take(&mut session.provisions);
        let name = session.name.clone();
        for (topic, key) in provisions {
            self.remove(topic, &key, reason, out);
        }
        self.names.remove(&name);
        self.sessions.remove(&id);
        self.brake.forget(id);
    }

    /// This process itself slept for so long: nobody was silent.
    pub(crate) fn credit(&mut self, pause: Duration) {
        for connection in self.conns.values_mut() {
            connection.heard += pause;
        }
        for session in self.sessions.values_mut() {
            if let Err(since) = &mut session.conn {
                *since += pause;
            }
        }
    }
}

/// Who may take over what this client provides.
fn owner(open: &Open) -> Arc<str> {
    open.attributes.get("host").unwrap_or(&open.agent).as_str().into()
}
