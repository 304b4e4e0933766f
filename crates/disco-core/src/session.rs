//! Sessions: one client's provisions and requirements. A session outlives its connection by a window.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use disco_proto::{
    Answer, Code, Failure, Id, PROTOCOL, Reason,
    message::{Identity, Open, Opened, Park},
};

use crate::{
    core::{Core, millis},
    grants::Grants,
    input::{Conn, Effect, Time},
    registry::TopicId,
    require::RequirementId,
    timers::Timer,
    token,
};

/// Heartbeats that may be missed.
const MISSED: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

/// One connection, with or without a session.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) session: Option<SessionId>,
    pub(crate) heard: Time,
    pub(crate) grants: Grants,
}

#[derive(Debug)]
pub(crate) struct Session {
    /// Its id on the wire.
    pub(crate) name: Box<str>,
    pub(crate) agent: Box<str>,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Who owns what it provides: its host, or who it says it is.
    pub(crate) owner: Arc<str>,
    pub(crate) window: Duration,
    /// The next absence may be as long as this.
    parked: Option<Duration>,
    /// Where it can be reached, and if not, since when.
    pub(crate) conn: Result<Conn, Time>,
    /// When its next timer fires; later ones in the heap are leftovers.
    due: Time,
    claim: Option<Time>,
    pub(crate) provisions: BTreeSet<(TopicId, Arc<str>)>,
    pub(crate) requirements: BTreeMap<Box<str>, RequirementId>,
    /// Requirements that may have something to be told, in the order in which it happened.
    pub(crate) dirty: VecDeque<RequirementId>,
    /// Requests of the server that the client has not answered.
    pub(crate) outstanding: HashMap<u64, RequirementId>,
}

impl Session {
    pub(crate) fn connected(&self) -> bool {
        self.conn.is_ok()
    }
}

impl Core {
    pub(crate) fn connected(&mut self, conn: Conn, grants: Grants) {
        self.conns.insert(conn, Connection { session: None, heard: self.now, grants });
        self.timers.at(self.now + self.options.heartbeat * MISSED, Timer::Conn(conn));
    }

    pub(crate) fn never_opened(&mut self, conn: Conn, out: &mut Vec<Effect>) {
        if self.conns.get(&conn).is_some_and(|connection| connection.session.is_none()) {
            self.conns.remove(&conn);
            out.push(Effect::Close(conn));
        }
    }

    pub(crate) fn disconnected(&mut self, conn: Conn) {
        let Some(Connection { session: Some(id), .. }) = self.conns.remove(&conn) else { return };
        self.detach(id);
    }

    /// The session's connection is no more; it waits for another.
    fn detach(&mut self, id: SessionId) {
        let session = self.sessions.get_mut(&id).expect("a connection's session exists");
        session.conn = Err(self.now);
        session.outstanding.clear();
        session.dirty.clear();
        for requirement in session.requirements.values() {
            let requirement = self.requirements.get_mut(requirement).expect("a session's requirement exists");
            requirement.unclaim();
        }
        let at = self.now + session.parked.unwrap_or(session.window);
        self.arm(id, at);
    }

    /// Makes sure that the session is looked at then.
    fn arm(&mut self, id: SessionId, at: Time) {
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
            None => self.begin(conn, open),
        };
        let connection = self.conns.get_mut(&conn).expect("it speaks");
        connection.session = Some(session);
        connection.heard = self.now;
        if resumed.is_some() {
            self.revoke(session, &grants, out);
        }
        self.arm(session, self.now + self.options.heartbeat * MISSED);
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
            attributes: open.attributes,
            window: self.window(open.window),
            parked: None,
            conn: Ok(conn),
            due: Time::MAX,
            claim: None,
            provisions: BTreeSet::new(),
            requirements: BTreeMap::new(),
            dirty: VecDeque::new(),
            outstanding: HashMap::new(),
        };
        self.names.insert(name, id);
        self.sessions.insert(id, session);
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
        let session = self.sessions.get_mut(&id).expect("looked up by name");
        session.owner = owner(&open);
        session.agent = open.agent.into();
        session.attributes = open.attributes;
        session.window = window;
        session.parked = None;
        session.conn = Ok(conn);
        session.claim = Some(claim);
    }

    /// What a session provides and its peer may no longer provide goes.
    fn revoke(&mut self, id: SessionId, grants: &Grants, out: &mut Vec<Effect>) {
        if *grants == Grants::Everything {
            return;
        }
        let session = self.sessions.get_mut(&id).expect("just resumed");
        let registry = &self.registry;
        let granted = |(topic, key): &(TopicId, Arc<str>)| {
            let record = registry.record(*topic, key);
            record.is_none_or(|record| grants.may_provide_name(&record.endpoint.name).is_ok())
        };
        let (kept, revoked) = std::mem::take(&mut session.provisions).into_iter().partition(granted);
        session.provisions = kept;
        for (topic, key) in BTreeSet::into_iter(revoked) {
            self.remove(topic, &key, Reason::Left, out);
        }
    }

    fn window(&self, asked: Option<u64>) -> Duration {
        asked.map_or(self.options.window, Duration::from_millis).min(self.options.longest)
    }

    fn opened(&self, id: SessionId, resumed: bool) -> Opened {
        let session = &self.sessions[&id];
        let provides = session.provisions.iter().filter_map(|(topic, key)| {
            let endpoint = &self.registry.record(*topic, key)?.endpoint;
            Some(Identity { name: endpoint.name.clone(), instance: endpoint.instance.clone() })
        });
        Opened {
            session: session.name.to_string(),
            token: token::of(&self.options.secret, &session.name),
            resumed,
            epoch: self.options.epoch.clone(),
            heartbeat: millis(self.options.heartbeat),
            window: millis(session.window),
            provides: provides.collect(),
        }
    }

    pub(crate) fn park(&mut self, id: SessionId, park: Park) -> Result<Answer, Failure> {
        let pause = Duration::from_millis(park.r#for).min(self.options.longest);
        let session = self.sessions.get_mut(&id).expect("the caller's session exists");
        session.parked = Some(pause);
        Ok(Answer::Done {})
    }

    /// When the session ends if nothing is heard of it, and why.
    fn deadline(&self, session: &Session) -> (Time, Reason) {
        match session.conn {
            Ok(conn) => {
                let silence = (self.options.heartbeat * MISSED).max(session.parked.unwrap_or_default());
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
        if let Ok(conn) = session.conn {
            self.conns.remove(&conn);
            out.push(Effect::Close(conn));
        }
        self.end(id, reason, out);
    }

    /// What a resumed client has not required again by now it does not need.
    pub(crate) fn claim_due(&mut self, id: SessionId, at: Time, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.claim != Some(at) || !session.connected() {
            return;
        }
        session.claim = None;
        let all: Vec<RequirementId> = session.requirements.values().copied().collect();
        for requirement in all {
            if !self.requirements[&requirement].claimed() {
                self.forget(requirement, out);
            }
        }
    }

    /// Ends a session: everything it provides goes, everything it requires counts as applied.
    pub(crate) fn end(&mut self, id: SessionId, reason: Reason, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get(&id) else { return };
        let requirements: Vec<RequirementId> = session.requirements.values().copied().collect();
        for requirement in requirements {
            self.forget(requirement, out);
        }
        let session = self.sessions.get_mut(&id).expect("just seen");
        let provisions = std::mem::take(&mut session.provisions);
        let name = session.name.clone();
        for (topic, key) in provisions {
            self.remove(topic, &key, reason, out);
        }
        self.names.remove(&name);
        self.sessions.remove(&id);
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
