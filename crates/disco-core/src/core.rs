//! The state machine itself: what goes where.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use disco_proto::{Answer, Code, Failure, Id, Message, Method, message::Drain};

use crate::{
    brake::Brake,
    connection::Connection,
    difference::Views,
    drain::Drains,
    grants::Grants,
    input::{Conn, Effect, Input, Time},
    options::Options,
    recent::Recent,
    registry::Registry,
    requirements::Requirements,
    session::{Session, SessionId},
    stats::Counters,
    timers::{Timer, Timers},
};

/// The registry of one server, and its clients.
#[derive(Debug)]
pub struct Core {
    pub(crate) options: Options,
    pub(crate) now: Time,
    /// While so, the registry has not heard of everyone.
    pub(crate) holding: bool,
    pub(crate) registry: Registry,
    pub(crate) conns: HashMap<Conn, Connection>,
    pub(crate) sessions: BTreeMap<SessionId, Box<Session>>,
    /// Session ids on the wire → sessions.
    pub(crate) names: HashMap<Box<str>, SessionId>,
    pub(crate) requirements: Requirements,
    pub(crate) recent: Recent,
    /// Differences that were just worked out, for those who are in the same place.
    pub(crate) views: Views,
    /// Sessions that may have something to be told, before this input is done.
    pub(crate) ready: Vec<SessionId>,
    pub(crate) drains: Drains,
    pub(crate) timers: Timers,
    pub(crate) brake: Brake,
    pub(crate) counters: Counters,
    /// Counts what a snapshot would show.
    pub(crate) changes: u64,
    /// The last number given to a session, requirement, drain or request.
    numbers: u64,
    pulsing: bool,
}

impl Core {
    /// An empty registry that starts now, and holds.
    pub fn new(options: Options, now: Time) -> Self {
        let mut timers = Timers::default();
        timers.at(now + options.hold, Timer::Hold);
        Self {
            holding: !options.hold.is_zero(),
            options,
            now,
            registry: Registry::default(),
            conns: HashMap::new(),
            sessions: BTreeMap::new(),
            names: HashMap::new(),
            requirements: Requirements::default(),
            recent: Recent::default(),
            views: Views::default(),
            ready: Vec::new(),
            drains: Drains::default(),
            timers,
            brake: Brake::default(),
            counters: Counters::default(),
            changes: 0,
            numbers: 0,
            pulsing: false,
        }
    }

    /// Takes what happened and appends what to do.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        self.advance(now, out);
        match input {
            Input::Connected(conn, grants) => self.connected(conn, grants),
            Input::Granted(conn, grants) => self.granted(conn, &grants, out),
            Input::Refused(conn, failure) => self.refused(conn, failure, out),
            Input::Disconnected(conn) => self.disconnected(conn),
            Input::Received(conn, message) => self.received(conn, *message, out),
            Input::Tick => {}
            Input::Stopping { retry_after } => {
                let retry_after = millis(retry_after);
                let mut conns: Vec<Conn> = self.conns.keys().copied().collect();
                conns.sort_unstable();
                for conn in conns {
                    let drain = Message::Call { id: None, method: Method::Drain(Drain { retry_after }) };
                    out.push(Effect::Send(conn, Box::new(drain)));
                    out.push(Effect::Close(conn));
                }
            }
        }
        self.pump_all(out);
    }

    /// When [`Input::Tick`] is wanted at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The heartbeat that clients are told: the longer, the more of them there are, so that pings never take more than their share.
    pub(crate) fn heartbeat(&self) -> Duration {
        let crowds = self.conns.len().div_ceil(self.options.crowd.max(1)).max(1);
        self.options.heartbeat * u32::try_from(crowds).unwrap_or(u32::MAX)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn advance(&mut self, now: Time, out: &mut Vec<Effect>) {
        let gap = now.saturating_sub(self.now);
        if gap > self.options.heartbeat / 2 && self.pulsing {
            // A pulse every quarter of a heartbeat was due: it was this process that slept, and nobody else's silence counts.
            self.credit(gap);
        }
        self.now = self.now.max(now);
        if !self.pulsing && !self.sessions.is_empty() {
            self.pulsing = true;
            self.timers.at(self.now + self.options.heartbeat / 4, Timer::Pulse);
        }
        while let Some((at, timer)) = self.timers.due(self.now) {
            match timer {
                Timer::Conn(conn) => self.never_opened(conn, out),
                Timer::Session(session) => self.session_due(session, at, out),
                Timer::Claim(session) => self.claim_due(session, at, out),
                Timer::Drain(drain) => self.drain_due(drain, out),
                Timer::Leaving(topic, key) => self.leaving_due(topic, &key, out),
                Timer::Failback(requirement) => self.failback_due(requirement),
                Timer::Departed(topic) => self.departed_due(topic),
                Timer::Hold => self.hold_over(out),
                Timer::Brake => self.brake_due(out),
                Timer::Pulse => {
                    self.pulsing = !self.sessions.is_empty();
                    if self.pulsing {
                        self.timers.at(self.now + self.options.heartbeat / 4, Timer::Pulse);
                    }
                }
            }
        }
    }

    fn received(&mut self, conn: Conn, message: Message, out: &mut Vec<Effect>) {
        let Some(connection) = self.conns.get_mut(&conn) else {
            // Closed here a moment ago; what it still sent does not count.
            return;
        };
        connection.heard = self.now;
        let session = connection.session;
        match (message, session) {
            (Message::Call { id, method: Method::Open(open) }, None) => self.open(conn, id, open, out),
            (Message::Call { id, method: Method::Ping }, session) => {
                let heartbeat = self.heartbeat();
                // Who does not ask for an answer is not told, and keeps to what it knows.
                if let Some(session) = session.filter(|_| id.is_some()) {
                    self.sessions.get_mut(&session).expect("a connection's session exists").heartbeat = heartbeat;
                }
                let pong = disco_proto::message::Pong { heartbeat: millis(heartbeat) };
                self.answer(conn, id, Ok(Answer::Pong(pong)), out);
            }
            (Message::Call { id, method }, Some(session)) => {
                let taken = connection.take(self.now, cost(&method), self.options.limits.messages);
                if let Err(failure) = taken.and_then(|()| permitted(&connection.grants, &method)) {
                    self.answer(conn, id, Err(failure), out);
                    return;
                }
                self.call(conn, session, id, method, out);
            }
            (Message::Call { id, method }, None) => {
                let words = format!("`{}` before `session.open`", method.name());
                self.answer(conn, id, Err(Failure::new(Code::Session, words)), out);
            }
            (Message::Answer { id: Some(Id::Number(id)), result }, Some(session)) => {
                self.receipt(session, id, result, out);
            }
            (Message::Answer { .. }, _) => {}
        }
    }

    fn call(&mut self, conn: Conn, session: SessionId, id: Option<Id>, method: Method, out: &mut Vec<Effect>) {
        let result = match method {
            Method::Provide(provision) => self.provide(session, &provision, out).map(Answer::Provided),
            Method::Withdraw(withdraw) => {
                // It may answer later.
                self.withdraw(conn, session, id, &withdraw, out);
                return;
            }
            Method::Require(require) => {
                // The answer is the first that is heard of the requirement; what did not fit into it follows.
                let required = self.require(session, require, out);
                let result = required.as_ref().map(|id| Answer::Change(self.first_change(*id))).map_err(Failure::clone);
                self.answer(conn, id, result, out);
                if let Ok(requirement) = required
                    && self.requirements[requirement].dirty
                {
                    self.enqueue(requirement);
                }
                return;
            }
            Method::Applied(applied) => self.applied(session, &applied, out),
            Method::Unrequire(unrequire) => self.unrequire(session, &unrequire.id, out),
            Method::Resolve(query) => Ok(Answer::Resolved(self.resolve(session, &query))),
            Method::List(list) => Ok(Answer::Listing(Box::new(self.list(&list, &self.conns[&conn].grants)))),
            Method::Park(park) => self.park(session, park),
            Method::Close => {
                self.end(session, disco_proto::Reason::Left, out);
                self.answer(conn, id, Ok(Answer::Done {}), out);
                self.conns.remove(&conn);
                out.push(Effect::Close(conn));
                return;
            }
            Method::Open(_) => Err(Failure::new(Code::Session, "the session is open already")),
            Method::Changed(_) | Method::Snapshot(_) | Method::Reset(_) | Method::Drain(_) | Method::Ping => {
                Err(Failure::new(Code::Method, format!("`{}` is for servers to say", method.name())))
            }
        };
        self.answer(conn, id, result, out);
    }

    /// Answers a request; a notification gets none.
    pub(crate) fn answer(
        &mut self,
        conn: Conn,
        id: Option<Id>,
        result: Result<Answer, Failure>,
        out: &mut Vec<Effect>,
    ) {
        if let Err(failure) = &result {
            self.counters.refused(failure.code, failure.limit);
        }
        if id.is_some() {
            out.push(Effect::Send(conn, Box::new(Message::Answer { id, result })));
        }
    }
}

/// How much of a connection's share a message takes. What keeps a client alive, or tells the server what it waits for, takes nothing.
fn cost(method: &Method) -> u32 {
    match method {
        Method::Ping | Method::Applied(_) | Method::Close => 0,
        // It may look at the whole registry.
        Method::List(_) => 100,
        _ => 1,
    }
}

/// Whether a peer may ask for this at all.
fn permitted(grants: &Grants, method: &Method) -> Result<(), Failure> {
    match method {
        Method::Provide(provision) => grants.may_provide(provision),
        Method::Withdraw(withdraw) => grants.may_provide_name(&withdraw.name),
        Method::Require(require) => grants.may_require(&require.query),
        Method::Resolve(query) => grants.may_require(query),
        // What one may not see is left out of lists; the rest is about the peer itself.
        _ => Ok(()),
    }
}

/// Whole milliseconds, as durations travel.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
