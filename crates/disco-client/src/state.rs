//! Everything the client holds and has asked for: what it says when a connection is there, and what it makes of the answers. Knows no
//! socket; what it says goes to a buffer.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, SystemTime},
};

use disco_proto::{
    Answer, Code, Failure, Id, Message, Method, PROTOCOL, Provision, encode,
    message::{
        Applied, Change, Drain, Identity, Listing, Open, Opened, Park, Pong, Require, Resolved, Resume, Unrequire,
        Withdraw as WithdrawParams, Withdrawn,
    },
};
use tokio::time::Instant;

use crate::{
    cache::{Contents, Saved, millis},
    error::Cause,
    handle::{Command, Reply, Withdraw},
    requirement::Requirement,
    service::Options,
};

/// How long after a refusal that may pass an endpoint is provided again.
const AGAIN: Duration = Duration::from_secs(2);

/// The longest silence between two `ping`s before a server has named one.
const HEARTBEAT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct State {
    options: Options,
    session: Option<Resume>,
    provisions: BTreeMap<Identity, Provided>,
    withdrawals: BTreeMap<Identity, Withdrawal>,
    requirements: BTreeMap<String, Requirement>,
    /// Asked while there was no session, or not answered when it was lost.
    queue: Vec<Command>,
    inherited: BTreeSet<Identity>,
    /// Requests without an answer.
    asked: HashMap<u64, Asked>,
    numbers: u64,
    pub(crate) phase: Phase,
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
            queue: Vec::new(),
            inherited: BTreeSet::new(),
            asked: HashMap::new(),
            numbers: 0,
            phase: Phase::Away,
            heartbeat: HEARTBEAT,
            output: Vec::new(),
            cache,
            unsaved: false,
        }
    }

    // === what handles ask ===

    pub(crate) fn command(&mut self, command: Command) {
        match command {
            Command::Provide(provision, reply) => self.provide(provision, reply),
            Command::Withdraw(name, instance, how, reply) => self.withdraw(&Identity { name, instance }, how, reply),
            Command::Require { id, generation, query, sets } => {
                self.requirements.insert(id.clone(), Requirement::new(generation, query, sets));
                self.say_require(&id);
            }
            Command::Unrequire { id, generation } => {
                if self.requirements.get(&id).is_some_and(|requirement| requirement.generation == generation) {
                    self.requirements.remove(&id);
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
            Command::Close(reply) if self.session.is_none() && self.phase != Phase::Opening => {
                self.forget_provisions();
                let _ = reply.send(Ok(()));
            }
            other if self.phase == Phase::Open => self.say_command(other),
            other => self.queue.push(other),
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
        withdrawal.waiting.push(reply);
        self.say_withdraw(identity);
    }

    fn forget_provisions(&mut self) {
        for provided in std::mem::take(&mut self.provisions).into_values() {
            provided.waiting.into_iter().for_each(|reply| drop(reply.send(Err(Cause::Withdrawn))));
        }
    }

    // === what is said ===

    fn ask(&mut self, asked: Asked, method: Method) {
        self.numbers += 1;
        let id = Some(Id::Number(self.numbers));
        encode(&Message::Call { id, method }, &mut self.output);
        self.asked.insert(self.numbers, asked);
    }

    /// A connection is there.
    pub(crate) fn connected(&mut self) {
        self.phase = Phase::Opening;
        let open = Open {
            protocol: PROTOCOL.to_owned(),
            agent: self.options.agent.clone(),
            attributes: self.options.attributes.clone(),
            window: Some(duration(self.options.window)),
            resume: self.session.clone(),
        };
        self.ask(Asked::Open, Method::Open(open));
    }

    pub(crate) fn ping(&mut self) {
        self.ask(Asked::Ping, Method::Ping);
    }

    fn opened(&mut self, opened: Opened) {
        self.phase = Phase::Open;
        self.heartbeat = Duration::from_millis(opened.heartbeat.max(1));
        let session = Resume { session: opened.session, token: opened.token };
        if self.session.as_ref() != Some(&session) {
            self.cache.session = Some(session.clone());
            self.session = Some(session);
            self.unsaved = true;
        }
        self.inherited =
            opened.provides.into_iter().filter(|identity| !self.provisions.contains_key(identity)).collect();
        let mine: Vec<Identity> = self.provisions.keys().cloned().collect();
        mine.iter().for_each(|identity| self.say_provide(identity));
        let going: Vec<Identity> = self.withdrawals.keys().cloned().collect();
        for identity in going {
            self.inherited.remove(&identity);
            self.say_withdraw(&identity);
        }
        let required: Vec<String> = self.requirements.keys().cloned().collect();
        required.iter().for_each(|id| self.say_require(id));
        for command in std::mem::take(&mut self.queue) {
            self.say_command(command);
        }
    }

    fn say_provide(&mut self, identity: &Identity) {
        let Some(provided) = self.provisions.get_mut(identity).filter(|_| self.phase == Phase::Open) else { return };
        provided.again = None;
        provided.said = self.numbers + 1;
        let provision = provided.provision.clone();
        self.ask(Asked::Provide(identity.clone()), Method::Provide(provision));
    }

    fn say_withdraw(&mut self, identity: &Identity) {
        let Some(withdrawal) = self.withdrawals.get_mut(identity).filter(|_| self.phase == Phase::Open) else { return };
        withdrawal.said = self.numbers + 1;
        let left = |time: Duration| duration(time.saturating_sub(withdrawal.since.elapsed()));
        let params = WithdrawParams {
            name: identity.name.clone(),
            instance: identity.instance.clone(),
            reason: withdrawal.how.reason,
            wait: withdrawal.how.wait.map(left),
            successor_by: withdrawal.how.successor_by.map(left),
        };
        self.ask(Asked::Withdraw(identity.clone()), Method::Withdraw(params));
    }

    fn say_require(&mut self, id: &str) {
        let Some(requirement) = self.requirements.get(id).filter(|_| self.phase == Phase::Open) else { return };
        let require = Require { id: id.to_owned(), query: requirement.query.clone(), known: requirement.known() };
        let asked = Asked::Require(id.to_owned(), requirement.generation);
        self.ask(asked, Method::Require(require));
    }

    fn say_applied(&mut self, id: &str) {
        let Some(requirement) = self.requirements.get_mut(id).filter(|_| self.phase == Phase::Open) else { return };
        if let Some(seq) = requirement.applied_on_wire() {
            let method = Method::Applied(Applied { id: id.to_owned(), seq });
            encode(&Message::Call { id: None, method }, &mut self.output);
        }
    }

    fn say_command(&mut self, command: Command) {
        let method = match &command {
            // Whoever asked has given up: an answer is wanted by nobody.
            Command::Resolve(_, reply) if reply.is_closed() => return,
            Command::List(_, reply) if reply.is_closed() => return,
            Command::Park(_, reply) | Command::Close(reply) if reply.is_closed() => return,
            Command::Resolve(query, _) => Method::Resolve(query.clone()),
            Command::List(list, _) => Method::List(list.clone()),
            Command::Park(pause, _) => Method::Park(Park { r#for: duration(*pause) }),
            Command::Close(_) => Method::Close,
            _ => {
                if let Command::Inherited(reply) = command {
                    let _ = reply.send(Ok(self.inherited.iter().cloned().collect()));
                }
                return;
            }
        };
        self.ask(Asked::Command(command), method);
    }

    /// Says again what was refused a while ago. Returns when to do so next.
    pub(crate) fn retry(&mut self, now: Instant) -> Option<Instant> {
        let due: Vec<Identity> = self
            .provisions
            .iter()
            .filter(|(_, provided)| provided.again.is_some_and(|again| again <= now))
            .map(|(identity, _)| identity.clone())
            .collect();
        due.iter().for_each(|identity| self.say_provide(identity));
        self.provisions.values().filter_map(|provided| provided.again).min()
    }

    // === what is heard ===

    pub(crate) fn heard(&mut self, message: Message) {
        match message {
            Message::Answer { id: Some(Id::Number(id)), result } => {
                if let Some(asked) = self.asked.remove(&id) {
                    self.answered(id, asked, result);
                }
            }
            Message::Answer { id: _, result } => {
                if let Err(failure) = result {
                    tracing::warn!(error = %failure, "the disco server did not understand something");
                }
            }
            Message::Call { id, method } => self.called(id, method),
        }
    }

    fn called(&mut self, id: Option<Id>, method: Method) {
        let result = match method {
            Method::Changed(changed) => {
                let done = self.requirement(&changed.id).and_then(|requirement| requirement.changed(changed.change));
                self.received(&changed.id);
                done
            }
            Method::Snapshot(snapshot) => {
                let id = snapshot.id.clone();
                let done = self.requirement(&id).map(|requirement| requirement.snapshot(snapshot));
                self.received(&id);
                done
            }
            Method::Reset(reset) => {
                tracing::debug!(requirement = reset.id, why = reset.why, "reset");
                Ok(())
            }
            Method::Drain(Drain { retry_after }) => {
                self.phase = Phase::Sent(Duration::from_millis(retry_after));
                Ok(())
            }
            Method::Ping => Ok(()),
            other => Err(Failure::new(Code::Method, format!("`{}` is for clients to say", other.name()))),
        };
        if id.is_some() {
            encode(&Message::Answer { id, result: result.map(|()| Answer::Done {}) }, &mut self.output);
        }
    }

    fn requirement(&mut self, id: &str) -> Result<&mut Requirement, Failure> {
        let unknown = || Failure::new(Code::Requirement, format!("this client has no requirement `{id}`"));
        self.requirements.get_mut(id).ok_or_else(unknown)
    }

    /// Something came for a requirement: it goes to the file, and what it changed nothing about is applied already.
    fn received(&mut self, id: &str) {
        self.say_applied(id);
        self.unsaved = true;
    }

    fn answered(&mut self, number: u64, asked: Asked, result: Result<Answer, Failure>) {
        match asked {
            Asked::Open => match result.map(Answer::parse::<Opened>) {
                Ok(Ok(opened)) => self.opened(opened),
                Ok(Err(error)) => {
                    tracing::warn!(error = %error, "the disco server's answer cannot be read");
                    self.phase = Phase::Refused;
                }
                Err(failure) => {
                    tracing::warn!(error = %failure, "the disco server refuses the session");
                    self.phase = Phase::Refused;
                }
            },
            Asked::Ping => {
                if let Ok(Ok(pong)) = result.map(Answer::parse::<Pong>) {
                    self.heartbeat = Duration::from_millis(pong.heartbeat.max(1));
                }
            }
            Asked::Provide(identity) => self.provided(number, &identity, &result),
            Asked::Withdraw(identity) => {
                let newest = self.withdrawals.get(&identity).is_some_and(|withdrawal| withdrawal.said == number);
                if newest && let Some(withdrawal) = self.withdrawals.remove(&identity) {
                    let outcome = outcome::<Withdrawn>(result);
                    share(outcome, withdrawal.waiting);
                }
            }
            Asked::Require(id, generation) => match result.map(Answer::parse::<Change>) {
                Ok(Ok(change)) => {
                    if let Some(requirement) = self.requirements.get_mut(&id)
                        && requirement.generation == generation
                    {
                        requirement.answered(change);
                        self.received(&id);
                    }
                }
                Ok(Err(error)) => tracing::warn!(requirement = id, error = %error, "the answer cannot be read"),
                Err(failure) => tracing::warn!(requirement = id, error = %failure, "a requirement is refused"),
            },
            Asked::Unrequire => {}
            Asked::Command(command) => self.command_answered(command, result),
        }
    }

    fn provided(&mut self, number: u64, identity: &Identity, result: &Result<Answer, Failure>) {
        let newest = |provided: &&mut Provided| provided.said == number;
        let Some(provided) = self.provisions.get_mut(identity).filter(newest) else { return };
        let waiting = std::mem::take(&mut provided.waiting);
        if let Err(failure) = result {
            let passes = matches!(failure.code, Code::Owned | Code::Stale | Code::Unavailable | Code::Limit);
            provided.again = passes.then(|| Instant::now() + AGAIN);
            tracing::warn!(endpoint = %identity.name, instance = identity.instance, error = %failure, "not provided");
        }
        for reply in waiting {
            let _ = reply.send(result.as_ref().map(|_| ()).map_err(|failure| Cause::Refused(failure.clone())));
        }
    }

    fn command_answered(&mut self, command: Command, result: Result<Answer, Failure>) {
        match command {
            Command::Resolve(_, reply) => {
                let endpoints =
                    |resolved: Resolved| resolved.endpoints.iter().map(|endpoint| (**endpoint).clone()).collect();
                let _ = reply.send(outcome::<Resolved>(result).map(endpoints));
            }
            Command::List(_, reply) => {
                let _ = reply.send(outcome::<Listing>(result));
            }
            Command::Park(_, reply) => {
                let _ = reply.send(result.map(|_| ()).map_err(Cause::Refused));
            }
            Command::Close(reply) => {
                self.session = None;
                self.cache.session = None;
                self.unsaved = true;
                self.phase = Phase::Closed;
                self.forget_provisions();
                let _ = reply.send(result.map(|_| ()).map_err(Cause::Refused));
            }
            _ => {}
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

fn outcome<T: serde::de::DeserializeOwned>(result: Result<Answer, Failure>) -> Result<T, Cause> {
    result.map_err(Cause::Refused)?.parse().map_err(Cause::Answer)
}

/// One answer for everyone who waits for it; of an unreadable one, the first gets the details.
fn share(outcome: Result<Withdrawn, Cause>, waiting: Vec<Reply<Withdrawn>>) {
    let copy = match &outcome {
        Ok(withdrawn) => Ok(withdrawn.clone()),
        Err(Cause::Refused(failure)) => Err(failure.clone()),
        Err(error) => Err(Failure::new(Code::Internal, error.to_string())),
    };
    let mut outcome = Some(outcome);
    for reply in waiting {
        let _ = reply.send(outcome.take().unwrap_or_else(|| copy.clone().map_err(Cause::Refused)));
    }
}

/// Whole milliseconds, as durations travel.
fn duration(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
