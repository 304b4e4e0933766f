//! A client of the simulation: what the real one does, without sockets.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use disco_core::{Conn, Time};
use disco_proto::{
    Answer, Code, Endpoint, Failure, Id, Message, Method, PROTOCOL, Provision, Query, Reason,
    message::{Applied, Change, Identity, Open, Opened, Require, Resume, Withdraw, Withdrawn},
};

/// A connection: what is under way in both directions. Each keeps its order.
#[derive(Debug, Default)]
pub struct Wire {
    pub to_server: VecDeque<Message>,
    pub to_client: VecDeque<Message>,
    /// The server has not heard of its end yet.
    pub half_open: bool,
}

#[derive(Debug)]
pub struct Requirement {
    generation: u64,
    pub query: Query,
    pub has: BTreeMap<String, Arc<Endpoint>>,
    /// What it works with, as far as it has said so in this session.
    pub uses: BTreeSet<String>,
    pub seq: Option<u64>,
    pub applied: u64,
    pub complete: bool,
}

#[derive(Debug)]
enum Asked {
    Open,
    Require(String, u64),
    Provide(Identity),
    Withdraw(Identity),
}

#[derive(Debug)]
pub struct Client {
    pub agent: String,
    pub host: String,
    pub zone: String,
    pub conn: Option<Conn>,
    pub open: bool,
    pub session: Option<Resume>,
    pub provisions: BTreeMap<Identity, Provision>,
    pub withdrawals: BTreeMap<Identity, Withdraw>,
    pub requirements: BTreeMap<String, Requirement>,
    /// Which start of which server it last spoke with.
    epoch: String,
    /// The newest request to provide each of them.
    provided: BTreeMap<Identity, u64>,
    asked: BTreeMap<u64, Asked>,
    numbers: u64,
    /// It neither reads nor says anything until then.
    pub asleep_until: Time,
    pub pinged: Time,
    /// When it was last out of reach in any way.
    pub troubled: Time,
    /// Withdrawals that were answered, for the world to look at.
    pub answered: Vec<(Identity, Withdrawn)>,
}

impl Client {
    pub fn new(agent: String, host: String, zone: String) -> Self {
        Self {
            agent,
            host,
            zone,
            conn: None,
            open: false,
            session: None,
            provisions: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            requirements: BTreeMap::new(),
            epoch: String::new(),
            provided: BTreeMap::new(),
            asked: BTreeMap::new(),
            numbers: 0,
            asleep_until: Time::ZERO,
            pinged: Time::ZERO,
            troubled: Time::ZERO,
            answered: Vec::new(),
        }
    }

    pub fn attributes(&self) -> BTreeMap<String, String> {
        crate::script::texts(&[("host", &self.host), ("zone", &self.zone)])
    }

    fn ask(&mut self, asked: Asked, method: Method) -> Message {
        self.numbers += 1;
        self.asked.insert(self.numbers, asked);
        Message::Call { id: Some(self.numbers.into()), method }
    }

    pub fn connected(&mut self, conn: Conn) -> Message {
        self.conn = Some(conn);
        let open = Open {
            protocol: PROTOCOL.to_owned(),
            agent: self.agent.clone(),
            attributes: self.attributes(),
            window: Some(3000),
            resume: self.session.clone(),
        };
        self.ask(Asked::Open, Method::Open(open))
    }

    pub fn disconnected(&mut self) {
        self.conn = None;
        self.open = false;
        self.asked.clear();
        for requirement in self.requirements.values_mut() {
            requirement.seq = None;
        }
    }

    pub fn provide(&mut self, provision: Provision) -> Option<Message> {
        let identity = Identity { name: provision.name.clone(), instance: provision.instance.clone() };
        self.withdrawals.remove(&identity);
        self.provisions.insert(identity, provision.clone());
        self.open.then(|| self.say_provide(provision))
    }

    fn say_provide(&mut self, provision: Provision) -> Message {
        let identity = Identity { name: provision.name.clone(), instance: provision.instance.clone() };
        let message = self.ask(Asked::Provide(identity.clone()), Method::Provide(provision));
        self.provided.insert(identity, self.numbers);
        message
    }

    pub fn withdraw(&mut self, withdraw: Withdraw) -> Option<Message> {
        let identity = Identity { name: withdraw.name.clone(), instance: withdraw.instance.clone() };
        self.provisions.remove(&identity);
        self.withdrawals.insert(identity.clone(), withdraw.clone());
        self.open.then(|| self.ask(Asked::Withdraw(identity), Method::Withdraw(withdraw)))
    }

    pub fn require(&mut self, id: &str, query: Query) -> Option<Message> {
        // What it has of something else says nothing about this.
        let before = self.requirements.remove(id).filter(|before| before.query == query);
        let has = before.map(|before| before.has).unwrap_or_default();
        self.numbers += 1;
        let generation = self.numbers;
        let requirement =
            Requirement { generation, query, has, uses: BTreeSet::new(), seq: None, applied: 0, complete: false };
        self.requirements.insert(id.to_owned(), requirement);
        self.open.then(|| self.say_require(id))
    }

    fn say_require(&mut self, id: &str) -> Message {
        let requirement = &self.requirements[id];
        let known = requirement.has.iter().map(|(key, endpoint)| (key.clone(), endpoint.version)).collect();
        let require = Require { id: id.to_owned(), query: requirement.query.clone(), known };
        let asked = Asked::Require(id.to_owned(), requirement.generation);
        self.ask(asked, Method::Require(require))
    }

    /// It has run its live update.
    pub fn apply(&mut self, id: &str) -> Option<Message> {
        let open = self.open;
        let requirement = self.requirements.get_mut(id)?;
        let seq = requirement.seq.filter(|seq| open && *seq > requirement.applied)?;
        requirement.applied = seq;
        requirement.uses = requirement.has.keys().cloned().collect();
        Some(Message::Call { id: None, method: Method::Applied(Applied { id: id.to_owned(), seq }) })
    }

    /// Hears one message; returns what it says to that.
    pub fn hear(&mut self, message: Message) -> Vec<Message> {
        match message {
            Message::Answer { id: Some(Id::Number(number)), result } => match self.asked.remove(&number) {
                Some(asked) => self.answered(number, asked, result),
                None => Vec::new(),
            },
            Message::Answer { .. } => panic!("{}: an answer to nothing", self.agent),
            Message::Call { id, method: Method::Changed(changed) } => {
                let unknown = Failure::new(Code::Requirement, "unknown");
                let result = match self.requirements.get_mut(&changed.id) {
                    None => Err(unknown),
                    // Meant for what was required before under the same id.
                    Some(requirement) if requirement.seq.is_none() => Ok(Answer::Done {}),
                    Some(requirement) => {
                        assert_eq!(
                            Some(changed.change.seq),
                            requirement.seq.map(|seq| seq + 1),
                            "{}: a gap",
                            self.agent
                        );
                        change(requirement, changed.change);
                        Ok(Answer::Done {})
                    }
                };
                vec![Message::Answer { id, result }]
            }
            Message::Call { method: Method::Drain(_), .. } => Vec::new(),
            other => panic!("{}: an unexpected {other:?}", self.agent),
        }
    }

    fn answered(&mut self, number: u64, asked: Asked, result: Result<Answer, Failure>) -> Vec<Message> {
        match (asked, result) {
            (Asked::Open, Ok(Answer::Opened(opened))) => self.opened(opened),
            (Asked::Require(id, generation), Ok(Answer::Change(first))) => {
                // Not if something else is required under that id by now.
                if let Some(requirement) = self.requirements.get_mut(&id)
                    && requirement.generation == generation
                {
                    change(requirement, first);
                    requirement.applied = requirement.applied.min(requirement.seq.unwrap_or(0));
                }
                Vec::new()
            }
            (Asked::Withdraw(identity), result) => {
                self.withdrawals.remove(&identity);
                match result {
                    Ok(Answer::Withdrawn(withdrawn)) => self.answered.push((identity, withdrawn)),
                    Err(failure) if failure.code == Code::Owned => {}
                    other => panic!("{}: a strange answer {other:?}", self.agent),
                }
                Vec::new()
            }
            // What there is no room for it gives up, if it has not said it again meanwhile.
            (Asked::Provide(identity), Err(failure)) if failure.code == Code::Limit => {
                if self.provided.get(&identity) == Some(&number) {
                    self.provisions.remove(&identity);
                }
                Vec::new()
            }
            (Asked::Require(id, generation), Err(failure)) if failure.code == Code::Limit => {
                if self.requirements.get(&id).is_some_and(|requirement| requirement.generation == generation) {
                    self.requirements.remove(&id);
                }
                Vec::new()
            }
            (Asked::Provide(_), Ok(_)) => Vec::new(),
            (Asked::Provide(_), Err(failure)) => {
                assert!(matches!(failure.code, Code::Owned | Code::Stale), "{}: refused: {failure}", self.agent);
                Vec::new()
            }
            (asked, result) => panic!("{}: {asked:?} was answered with {result:?}", self.agent),
        }
    }

    fn opened(&mut self, opened: Opened) -> Vec<Message> {
        self.open = true;
        if !opened.resumed || opened.epoch != self.epoch {
            // This server knows nothing of what was used before.
            for requirement in self.requirements.values_mut() {
                requirement.uses.clear();
                requirement.applied = 0;
            }
        }
        self.epoch = opened.epoch;
        self.session = Some(Resume { session: opened.session, token: opened.token });
        let mut says = Vec::new();
        // A withdrawal that was answered while the answer was lost leaves it there no more; one that was not is asked again.
        let stray: Vec<Identity> =
            opened.provides.into_iter().filter(|identity| !self.provisions.contains_key(identity)).collect();
        for identity in stray {
            self.withdrawals.entry(identity.clone()).or_insert(Withdraw {
                name: identity.name,
                instance: identity.instance,
                reason: Reason::Died,
                wait: None,
                successor_by: None,
            });
        }
        for provision in self.provisions.values().cloned().collect::<Vec<_>>() {
            says.push(self.say_provide(provision));
        }
        for (identity, withdraw) in self.withdrawals.clone() {
            says.push(self.ask(Asked::Withdraw(identity), Method::Withdraw(withdraw)));
        }
        for id in self.requirements.keys().cloned().collect::<Vec<_>>() {
            says.push(self.say_require(&id));
        }
        says
    }
}

fn change(requirement: &mut Requirement, change: Change) {
    let Change { seq, complete, add, update, drop, .. } = change;
    requirement.seq = Some(seq);
    requirement.complete = complete;
    for gone in drop {
        assert!(requirement.has.remove(&gone.key).is_some(), "{} was dropped but never there", gone.key);
        if !complete {
            let said = !matches!(gone.reason, Reason::Lost | Reason::Expired);
            assert!(said, "{} was dropped as {} by a server that has not heard of everyone", gone.key, gone.reason);
        }
    }
    for endpoint in add {
        let key = endpoint.key();
        assert!(requirement.has.insert(key.clone(), endpoint).is_none(), "{key} was added twice");
    }
    for endpoint in update {
        let key = endpoint.key();
        let before = requirement.has.insert(key.clone(), Arc::clone(&endpoint));
        assert!(before.is_some_and(|before| before != endpoint), "{key} was updated without a change");
    }
}
