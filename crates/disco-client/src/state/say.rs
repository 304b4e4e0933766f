//! What the client says.

use std::time::Duration;

use disco_proto::{
    Id, Message, Method, PROTOCOL, encode,
    message::{Applied, Identity, Open, Opened, Park, Require, Resume, Withdraw as WithdrawParams},
};
use tokio::time::Instant;

use super::{Asked, Phase, State};
use crate::handle::Command;

impl State {
    pub(super) fn ask(&mut self, asked: Asked, method: Method) {
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
        // A server that never answers a question answers nobody who still waits for it.
        self.asked.retain(|_, asked| !matches!(asked, Asked::Command(command) if command.abandoned()));
        self.ask(Asked::Ping, Method::Ping);
    }

    pub(super) fn opened(&mut self, opened: Opened) {
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

    pub(super) fn say_provide(&mut self, identity: &Identity) {
        let Some(provided) = self.provisions.get_mut(identity).filter(|_| self.phase == Phase::Open) else { return };
        provided.again = None;
        provided.said = self.numbers + 1;
        let provision = provided.provision.clone();
        self.ask(Asked::Provide(identity.clone()), Method::Provide(provision));
    }

    pub(super) fn say_withdraw(&mut self, identity: &Identity) {
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

    pub(super) fn say_require(&mut self, id: &str) {
        let Some(requirement) = self.requirements.get(id).filter(|_| self.phase == Phase::Open) else { return };
        let require = Require { id: id.to_owned(), query: requirement.query.clone(), known: requirement.known() };
        let asked = Asked::Require(id.to_owned(), requirement.generation);
        self.ask(asked, Method::Require(require));
    }

    pub(super) fn say_applied(&mut self, id: &str) {
        let Some(requirement) = self.requirements.get_mut(id).filter(|_| self.phase == Phase::Open) else { return };
        if let Some(seq) = requirement.applied_on_wire() {
            let method = Method::Applied(Applied { id: id.to_owned(), seq });
            encode(&Message::Call { id: None, method }, &mut self.output);
        }
    }

    pub(super) fn say_command(&mut self, command: Command) {
        if command.abandoned() {
            return;
        }
        let method = match &command {
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
}

/// Whole milliseconds, as durations travel.
fn duration(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
