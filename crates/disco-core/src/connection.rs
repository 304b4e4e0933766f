//! Connections: who speaks, whether it still does, and how much.

use disco_proto::{Code, Failure, Limit, Message};

use crate::{
    core::Core,
    grants::Grants,
    input::{Conn, Effect, Time},
    requirements::RequirementId,
    session::{MISSED, SessionId},
    timers::Timer,
};

/// Seconds' worth of requests that a connection may make at once: a client that comes back says everything at once.
const BURST: u32 = 2;

/// One connection, with or without a session.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) session: Option<SessionId>,
    pub(crate) heard: Time,
    pub(crate) grants: Grants,
    /// Requests that it may still make now.
    tokens: u32,
    /// When they were last counted.
    counted: Time,
}

impl Connection {
    fn new(grants: Grants, now: Time, rate: u32) -> Self {
        Self { session: None, heard: now, grants, tokens: rate.saturating_mul(BURST), counted: now }
    }

    /// Takes so much of its share of the server.
    pub(crate) fn take(&mut self, now: Time, cost: u32, rate: u32) -> Result<(), Failure> {
        if cost > self.tokens {
            let earned = now.saturating_sub(self.counted).as_micros() * u128::from(rate) / 1_000_000;
            if earned > 0 {
                let earned = u32::try_from(earned).unwrap_or(u32::MAX);
                self.tokens = self.tokens.saturating_add(earned).min(rate.saturating_mul(BURST));
                self.counted = now;
            }
        }
        match self.tokens.checked_sub(cost) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => Err(Failure::limit(
                Limit::Messages,
                format!("more than {rate} requests a second on one connection; say it again in a second"),
            )),
        }
    }
}

impl Core {
    pub(crate) fn connected(&mut self, conn: Conn, grants: Grants) {
        self.conns.insert(conn, Connection::new(grants, self.now, self.options.limits.messages));
        self.timers.at(self.now + self.options.heartbeat * MISSED, Timer::Conn(conn));
    }

    pub(crate) fn never_opened(&mut self, conn: Conn, out: &mut Vec<Effect>) {
        if self.conns.get(&conn).is_some_and(|connection| connection.session.is_none()) {
            self.conns.remove(&conn);
            out.push(Effect::Close(conn));
        }
    }

    /// What a peer has and may no longer have goes at once. The peer is disconnected then, so that it comes back and hears from the
    /// refusals what that was.
    pub(crate) fn granted(&mut self, conn: Conn, grants: &Grants, out: &mut Vec<Effect>) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        if connection.grants == *grants {
            return;
        }
        connection.grants = grants.clone();
        let Some(id) = connection.session else { return };
        let mut lost = self.revoke(id, grants, out);
        let requirements: Vec<RequirementId> = self.sessions[&id].requirements.clone();
        for requirement in requirements {
            if grants.may_require(&self.requirements[requirement].query).is_err() {
                self.forget(requirement, out);
                lost = true;
            }
        }
        if lost || !grants.is_host(&self.sessions[&id].owner) {
            let words = "what this peer may do has changed, and it had what it may no longer have; come back";
            self.say(conn, Failure::new(Code::Forbidden, words), out);
            self.hang_up(id, out);
        }
    }

    /// A peer is to go. Its session is kept for no longer than a heartbeat may be missed, whatever window it asked for: who has a
    /// better certificate comes back with that.
    pub(crate) fn refused(&mut self, conn: Conn, failure: Failure, out: &mut Vec<Effect>) {
        let Some(connection) = self.conns.get(&conn) else { return };
        let session = connection.session;
        self.say(conn, failure, out);
        let Some(id) = session else {
            self.conns.remove(&conn);
            out.push(Effect::Close(conn));
            return;
        };
        let brief = self.options.heartbeat * MISSED;
        let session = self.sessions.get_mut(&id).expect("a connection's session exists");
        session.parked = None;
        session.window = session.window.min(brief);
        self.changes += 1;
        self.hang_up(id, out);
    }

    /// Says what is wrong with the peer itself, which did not ask.
    fn say(&mut self, conn: Conn, failure: Failure, out: &mut Vec<Effect>) {
        self.counters.refused(failure.code, failure.limit);
        out.push(Effect::Send(conn, Box::new(Message::Answer { id: None, result: Err(failure) })));
    }

    pub(crate) fn disconnected(&mut self, conn: Conn) {
        let Some(Connection { session: Some(id), .. }) = self.conns.remove(&conn) else { return };
        self.detach(id);
    }
}
