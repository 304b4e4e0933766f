//! The state machine itself: what goes where.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use disco_proto::{Answer, Code, Failure, Id, Message, Method, message::Drain};

use crate::{
    drain::Drains,
    grants::Grants,
    input::{Conn, Effect, Input, Time},
    registry::Registry,
    require::{Requirement, RequirementId},
    session::{Connection, Session, SessionId},
    timers::{Timer, Timers},
};

/// How patient a registry is.
#[derive(Clone)]
pub struct Options {
    /// Which start of which server this is; short, and never the same twice. Part of session ids.
    pub epoch: String,
    /// Secret of the session tokens, the same on every server of a registry.
    pub secret: [u8; 32],
    /// The interval at which clients say something; three missed, and their endpoints expire.
    pub heartbeat: Duration,
    /// How long after the start nothing is dropped that was never heard of here.
    pub hold: Duration,
    /// How long a better tier must be there before subscribers go back to it.
    pub failback: Duration,
    /// The window of a client that does not name one.
    pub window: Duration,
    /// The longest window and park that are granted.
    pub longest: Duration,
    /// `changed` messages that one session may have unanswered. Bounds what waits for a slow client.
    pub in_flight: usize,
}

/// Without the secret.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("epoch", &self.epoch)
            .field("heartbeat", &self.heartbeat)
            .field("hold", &self.hold)
            .field("failback", &self.failback)
            .field("window", &self.window)
            .field("longest", &self.longest)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults of the design.
    pub fn new(epoch: impl Into<String>, secret: [u8; 32]) -> Self {
        Self {
            epoch: epoch.into(),
            secret,
            heartbeat: Duration::from_secs(1),
            hold: Duration::from_secs(15),
            failback: Duration::from_secs(10),
            window: Duration::from_secs(3),
            longest: Duration::from_secs(3600),
            in_flight: 64,
        }
    }
}

/// The registry of one server, and its clients.
#[derive(Debug)]
pub struct Core {
    pub(crate) options: Options,
    pub(crate) now: Time,
    /// While so, the registry has not heard of everyone.
    pub(crate) holding: bool,
    pub(crate) registry: Registry,
    pub(crate) conns: HashMap<Conn, Connection>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// Session ids on the wire → sessions.
    pub(crate) names: HashMap<Box<str>, SessionId>,
    pub(crate) requirements: HashMap<RequirementId, Requirement>,
    pub(crate) drains: Drains,
    pub(crate) timers: Timers,
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
            requirements: HashMap::new(),
            drains: Drains::default(),
            timers,
            numbers: 0,
            pulsing: false,
        }
    }

    /// Takes what happened and appends what to do.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        self.advance(now, out);
        match input {
            Input::Connected(conn, grants) => self.connected(conn, grants),
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
    }

    /// When [`Input::Tick`] is wanted at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next()
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
                Timer::Failback(requirement) => self.failback_due(requirement, out),
                Timer::Hold => self.hold_over(out),
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
            (Message::Call { id, method: Method::Ping }, _) => {
                let pong = disco_proto::message::Pong { heartbeat: millis(self.options.heartbeat) };
                self.answer(conn, id, Ok(Answer::Pong(pong)), out);
            }
            (Message::Call { id, method }, Some(session)) => {
                if let Err(failure) = permitted(&connection.grants, &method) {
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
                    && self.requirements[&requirement].dirty
                {
                    self.enqueue(requirement);
                    self.pump(session, out);
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
    pub(crate) fn answer(&self, conn: Conn, id: Option<Id>, result: Result<Answer, Failure>, out: &mut Vec<Effect>) {
        if id.is_some() {
            out.push(Effect::Send(conn, Box::new(Message::Answer { id, result })));
        }
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
