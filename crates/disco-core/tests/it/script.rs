//! A script against the core: clients that say things, and what they are told.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use disco_core::{Alarm, Conn, Core, Effect, Grants, Input, Observed, Options, Time};
use disco_proto::{
    Answer, Code, Failure, Id, Message, Method, Name, PROTOCOL, Provision, Query, Reason, Version,
    message::{Applied, Change, Changed, Open, Opened, Require, Resume, Unrequire, Withdraw, Withdrawn},
    snapshot::Snapshot,
};

pub const SECOND: Duration = Duration::from_secs(1);

pub struct Script {
    pub core: Core,
    pub now: Time,
    numbers: u64,
    /// What each connection was sent and nobody has looked at.
    sent: BTreeMap<Conn, VecDeque<Message>>,
    pub closed: Vec<Conn>,
    /// What a watcher of the registry saw.
    pub observed: Vec<Observed>,
    pub alarms: Vec<Alarm>,
}

impl Script {
    /// A server that has heard of everyone.
    pub fn new() -> Self {
        Self::with(|options| options.hold = Duration::ZERO)
    }

    pub fn with(set: impl FnOnce(&mut Options)) -> Self {
        Self::after(&Snapshot::default(), set)
    }

    /// A server that starts with what another one left.
    pub fn after(snapshot: &Snapshot, set: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(if snapshot.epoch == "epoch" { "next" } else { "epoch" }, [7; 32]);
        set(&mut options);
        let now = 100 * SECOND;
        let mut core = Core::new(options, now);
        core.restore(snapshot.clone());
        let mut script = Self {
            core,
            now,
            numbers: 1000,
            sent: BTreeMap::new(),
            closed: Vec::new(),
            observed: Vec::new(),
            alarms: Vec::new(),
        };
        script.input(Input::Tick);
        script
    }

    pub fn input(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.core.handle(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send(conn, message) => self.sent.entry(conn).or_default().push_back(*message),
                Effect::Close(conn) => self.closed.push(conn),
                Effect::Changed(observed) => self.observed.push(observed),
                Effect::Alarm(alarm) => self.alarms.push(alarm),
            }
        }
    }

    /// Lets time pass as a shell does, in the steps that the core wants.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.core.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    /// The same while these clients keep saying that they are there.
    pub fn pass_pinging(&mut self, time: Duration, clients: &[Conn]) {
        let end = self.now + time;
        while self.now < end {
            for client in clients {
                self.input(Input::Received(*client, Box::new(Message::Call { id: None, method: Method::Ping })));
            }
            self.pass((end - self.now).min(SECOND / 2));
        }
    }

    pub fn connect(&mut self) -> Conn {
        self.connect_as(Grants::Everything)
    }

    pub fn connect_as(&mut self, grants: Grants) -> Conn {
        self.numbers += 1;
        let conn = Conn(self.numbers);
        self.input(Input::Connected(conn, grants));
        conn
    }

    pub fn disconnect(&mut self, conn: Conn) {
        self.input(Input::Disconnected(conn));
    }

    /// A client of that name, on a host of that name, with a window of 3 s.
    pub fn client(&mut self, agent: &str) -> Conn {
        self.client_with(agent, &[])
    }

    pub fn client_with(&mut self, agent: &str, attributes: &[(&str, &str)]) -> Conn {
        self.open(agent, attributes, None).0
    }

    pub fn open(&mut self, agent: &str, attributes: &[(&str, &str)], resume: Option<&Opened>) -> (Conn, Opened) {
        let conn = self.connect();
        let mut own = texts(attributes);
        own.entry("host".to_owned()).or_insert_with(|| agent.to_owned());
        let open = Open {
            protocol: PROTOCOL.to_owned(),
            agent: agent.to_owned(),
            attributes: own,
            window: Some(3000),
            resume: resume.map(|opened| Resume { session: opened.session.clone(), token: opened.token.clone() }),
        };
        match self.ask(conn, Method::Open(open)) {
            Ok(Answer::Opened(opened)) => (conn, opened),
            other => panic!("not opened: {other:?}"),
        }
    }

    /// Says something and takes its answer, which must be there at once.
    pub fn ask(&mut self, conn: Conn, method: Method) -> Result<Answer, Failure> {
        let id = self.say(conn, method);
        self.answer(conn, &id).expect("an answer")
    }

    /// Says something whose answer may come later.
    pub fn say(&mut self, conn: Conn, method: Method) -> Id {
        self.numbers += 1;
        let id = Id::Number(self.numbers);
        self.input(Input::Received(conn, Box::new(Message::Call { id: Some(id.clone()), method })));
        id
    }

    /// The answer to an earlier request, if it is there.
    pub fn answer(&mut self, conn: Conn, id: &Id) -> Option<Result<Answer, Failure>> {
        let sent = self.sent.get_mut(&conn)?;
        let at = sent
            .iter()
            .position(|message| matches!(message, Message::Answer { id: Some(other), .. } if other == id))?;
        match sent.remove(at) {
            Some(Message::Answer { result, .. }) => Some(result),
            _ => unreachable!("just found"),
        }
    }

    /// The next message that is not an answer, not answered yet.
    pub fn told(&mut self, conn: Conn) -> Option<(Option<Id>, Method)> {
        let sent = self.sent.get_mut(&conn)?;
        let at = sent.iter().position(|message| matches!(message, Message::Call { .. }))?;
        match sent.remove(at) {
            Some(Message::Call { id, method }) => Some((id, method)),
            _ => unreachable!("just found"),
        }
    }

    pub fn receive(&mut self, conn: Conn, id: Option<Id>, result: Result<Answer, Failure>) {
        self.input(Input::Received(conn, Box::new(Message::Answer { id, result })));
    }

    /// The next `changed`, received.
    pub fn changed(&mut self, conn: Conn) -> Option<Change> {
        match self.told(conn)? {
            (id, Method::Changed(Changed { change, .. })) => {
                self.receive(conn, id, Ok(Answer::Done {}));
                Some(change)
            }
            other => panic!("not a change: {other:?}"),
        }
    }

    pub fn quiet(&mut self, conn: Conn) {
        if let Some(told) = self.told(conn) {
            panic!("{conn:?} was told {told:?}");
        }
    }

    pub fn provide(&mut self, conn: Conn, provision: Provision) {
        let result = self.ask(conn, Method::Provide(provision));
        assert!(matches!(result, Ok(Answer::Provided(_))), "{result:?}");
    }

    pub fn refused(&mut self, conn: Conn, method: Method) -> Code {
        self.ask(conn, method).expect_err("a refusal").code
    }

    pub fn require(&mut self, conn: Conn, id: &str, query: Query) -> Change {
        self.require_knowing(conn, id, query, &BTreeMap::new())
    }

    pub fn require_knowing(&mut self, conn: Conn, id: &str, query: Query, known: &BTreeMap<String, Version>) -> Change {
        let require = Require { id: id.to_owned(), query, known: known.clone() };
        match self.ask(conn, Method::Require(require)) {
            Ok(Answer::Change(change)) => change,
            other => panic!("not required: {other:?}"),
        }
    }

    pub fn unrequire(&mut self, conn: Conn, id: &str) {
        self.ask(conn, Method::Unrequire(Unrequire { id: id.to_owned() })).unwrap();
    }

    pub fn applied(&mut self, conn: Conn, id: &str, seq: u64) {
        let method = Method::Applied(Applied { id: id.to_owned(), seq });
        self.input(Input::Received(conn, Box::new(Message::Call { id: None, method })));
    }

    pub fn withdrawn(&mut self, conn: Conn, id: &Id) -> Option<Withdrawn> {
        self.answer(conn, id).map(|result| match result {
            Ok(Answer::Withdrawn(withdrawn)) => withdrawn,
            other => panic!("not withdrawn: {other:?}"),
        })
    }
}

pub fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn mysql(instance: &str) -> Provision {
    Provision::new(name("dev/blog/mysql/mysql"), instance, "192.0.2.11", 3306)
}

pub fn with(mut provision: Provision, attributes: &[(&str, &str)]) -> Provision {
    provision.attributes = texts(attributes);
    provision
}

pub fn mysql_query() -> Query {
    Query::of(&name("dev/blog/mysql/mysql"))
}

pub fn withdraw(instance: &str, reason: Reason) -> Withdraw {
    Withdraw {
        name: name("dev/blog/mysql/mysql"),
        instance: instance.to_owned(),
        reason,
        wait: None,
        successor_by: None,
    }
}

pub fn added(change: &Change) -> Vec<&str> {
    change.add.iter().map(|endpoint| endpoint.instance.as_str()).collect()
}

pub fn dropped(change: &Change) -> Vec<(&str, Reason)> {
    change.drop.iter().map(|gone| (gone.key.as_str(), gone.reason)).collect()
}
