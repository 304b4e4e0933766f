//! Everything the client holds and has asked for: what it says when a connection is there, and what it makes of the answers. Knows no
//! socket; what it says goes to a buffer.

mod hear;
mod say;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, SystemTime},
};

use disco_proto::{
    Failure, Method, Provision,
    message::{Identity, Resume, Unrequire, Withdrawn},
};
use tokio::time::Instant;

use crate::{
    cache::{Contents, Saved, millis},
    error::Cause,
    handle::{Command, Reply, Withdraw},
    requirement::Requirement,
    service::Options,
};

/// The longest silence between two `ping`s before a server has named one.
const HEARTBEAT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct State {
    options: Options,
    session: Option<Resume>,
    provisions: BTreeMap<Identity, Provided>,
    withdrawals: BTreeMap<Identity, Withdrawal>,
    requirements: BTreeMap<String, Requirement>,
    /// Whether the process is about to end: what it lets go of then is still wanted by the one that comes after it.
    parked: bool,
    /// Asked while there was no session, or not answered when it was lost.
    queue: Vec<Command>,
    inherited: BTreeSet<Identity>,
    /// Requests without an answer.
    asked: HashMap<u64, Asked>,
    numbers: u64,
    pub(crate) phase: Phase,
    /// Why the server refused the session.
    pub(crate) refusal: Option<Failure>,
    pub(crate) heartbeat: Duration,
    /// What is to be written.
    pub(crate) output: Vec<u8>,
    /// What the file should have.
    pub(crate) cache: Contents,
    /// The file does not have it yet.
    pub(crate) unsaved: bool,
}

/// Where the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No connection.
    Away,
    /// `session.open` is said and not answered.
    Opening,
    /// A session is there.
    Open,
    /// The server wants this connection to end, and the client back after so long.
    Sent(Duration),
    /// The session was closed on purpose; nothing is said until something is asked.
    Closed,
    /// The server refused the session.
    Refused,
}

#[derive(Debug)]
struct Provided {
    provision: Provision,
    /// The request that said so last; answers to those before settle nothing.
    said: u64,
    /// When it is said again because it was refused.
    again: Option<Instant>,
    waiting: Vec<Reply<()>>,
}

#[derive(Debug)]
struct Withdrawal {
    how: Withdraw,
    /// As above.
    said: u64,
    since: Instant,
    waiting: Vec<Reply<Withdrawn>>,
}

#[derive(Debug)]
enum Asked {
    Open,
    Ping,
    Provide(Identity),
    Withdraw(Identity),
    Require(String, u64),
    Unrequire,
    Command(Command),
}

impl State {
    pub(crate) fn new(options: Options, cache: Contents) -> Self {
        Self {
            options,
            session: cache.session.clone(),
            provisions: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            requirements: BTreeMap::new(),
            parked: false,
            queue: Vec::new(),
            inherited: BTreeSet::new(),
            asked: HashMap::new(),
            numbers: 0,
            phase: Phase::Away,
            refusal: None,
            heartbeat: HEARTBEAT,
            output: Vec::new(),
            cache,
            unsaved: false,
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        match command {
            Command::Provide(provision, reply) => self.provide(provision, reply),
            Command::Withdraw(name, instance, how, reply) => self.withdraw(&Identity { name, instance }, how, reply),
            Command::Require { id, generation, query, sets } => {
                self.parked = false;
                self.requirements.insert(id.clone(), Requirement::new(generation, query, sets));
                self.say_require(&id);
            }
            Command::Unrequire { .. } if self.parked => {}
            Command::Unrequire { id, generation } => {
                if self.requirements.get(&id).is_some_and(|requirement| requirement.generation == generation) {
                    self.requirements.remove(&id);
                    // Nobody wants it any more: who asks again one day starts from what is true then.
                    self.unsaved |= self.cache.requirements.remove(&id).is_some();
                    if self.phase == Phase::Open {
                        self.ask(Asked::Unrequire, Method::Unrequire(Unrequire { id }));
                    }
                }
            }
            Command::Applied { id, generation, seq } => {
                if let Some(requirement) = self.requirements.get_mut(&id)
                    && requirement.generation == generation
                {
                    requirement.applied(seq);
                    self.say_applied(&id);
                }
            }
            Command::Park(pause, reply) if !self.parked => {
                self.parked = true;
                self.command(Command::Park(pause, reply));
            }
            Command::Close(reply) if self.session.is_none() && self.phase != Phase::Opening => {
                self.forget_provisions();
                let _ = reply.send(Ok(()));
            }
            other if self.phase == Phase::Open => self.say_command(other),
            other => {
                // Whoever has given up wants no answer: an absence of days must not fill the memory.
                self.queue.retain(|queued| !queued.abandoned());
                self.queue.push(other);
            }
        }
    }

    fn provide(&mut self, provision: Provision, reply: Reply<()>) {
        let identity = Identity { name: provision.name.clone(), instance: provision.instance.clone() };
        self.inherited.remove(&identity);
        if let Some(withdrawal) = self.withdrawals.remove(&identity) {
            // It is no longer going. If the server was told already, it settles that itself.
            withdrawal.waiting.into_iter().for_each(|reply| {
                let _ = reply.send(Ok(Withdrawn { rev: 0, unapplied: Vec::new() }));
            });
        }
        let entry = self.provisions.entry(identity.clone());
        let provided = entry.or_insert_with(|| Provided {
            provision: provision.clone(),
            said: 0,
            again: None,
            waiting: Vec::new(),
        });
        provided.provision = provision;
        provided.waiting.retain(|reply| !reply.is_closed());
        provided.waiting.push(reply);
        self.say_provide(&identity);
    }

    fn withdraw(&mut self, identity: &Identity, how: Withdraw, reply: Reply<Withdrawn>) {
        self.inherited.remove(identity);
        if let Some(provided) = self.provisions.remove(identity) {
            provided.waiting.into_iter().for_each(|reply| drop(reply.send(Err(Cause::Withdrawn))));
        }
        if self.phase == Phase::Closed {
            let _ = reply.send(Ok(Withdrawn { rev: 0, unapplied: Vec::new() }));
            return;
        }
        let since = Instant::now();
        let withdrawal = self.withdrawals.entry(identity.clone()).or_insert_with(|| Withdrawal {
            how,
            said: 0,
            since,
            waiting: Vec::new(),
        });
        (withdrawal.how, withdrawal.since) = (how, since);
        withdrawal.waiting.retain(|reply| !reply.is_closed());
        withdrawal.waiting.push(reply);
        self.say_withdraw(identity);
    }

    fn forget_provisions(&mut self) {
        for provided in std::mem::take(&mut self.provisions).into_values() {
            provided.waiting.into_iter().for_each(|reply| drop(reply.send(Err(Cause::Withdrawn))));
        }
    }

    /// The connection ended. What was asked and not answered is asked again on the next one.
    pub(crate) fn disconnected(&mut self, now: SystemTime) {
        self.save(now);
        if self.phase != Phase::Closed {
            self.phase = Phase::Away;
        }
        self.output.clear();
        let mut asked: Vec<(u64, Asked)> = self.asked.drain().collect();
        asked.sort_unstable_by_key(|(number, _)| *number);
        for (_, asked) in asked {
            if let Asked::Command(command) = asked {
                self.queue.push(command);
            }
        }
        for requirement in self.requirements.values_mut() {
            requirement.disconnected(now);
        }
    }

    /// Notes what is known for the file.
    pub(crate) fn save(&mut self, now: SystemTime) {
        for (id, requirement) in self.requirements.iter().filter(|(_, requirement)| requirement.confirmed()) {
            let saved = Saved {
                query: requirement.query.clone(),
                revision: requirement.revision(),
                confirmed: millis(now),
                endpoints: requirement.endpoints(),
            };
            self.cache.requirements.insert(id.clone(), saved);
            self.unsaved = true;
        }
        self.cache.tidy(now);
    }
}
