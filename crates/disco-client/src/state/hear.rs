//! What the client makes of what it hears.

use std::time::Duration;

use disco_proto::{
    Answer, Code, Failure, Id, Message, Method, encode,
    message::{Change, Drain, Identity, Listing, Opened, Pong, Resolved, Withdrawn},
};
use tokio::time::Instant;

use super::{Asked, Phase, Provided, State};
use crate::{
    error::Cause,
    handle::{Command, Reply},
    requirement::Requirement,
};

/// How long after a refusal that may pass an endpoint is provided again.
const AGAIN: Duration = Duration::from_secs(2);

/// The same after one that passes only if somebody grants it meanwhile.
const FORBIDDEN: Duration = Duration::from_secs(10);

impl State {
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
                    self.refusal = Some(failure);
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
                Err(failure) => {
                    tracing::warn!(requirement = id, error = %failure, "a requirement is refused");
                    if let Some(requirement) = self.requirements.get(&id)
                        && requirement.generation == generation
                    {
                        requirement.refused(failure);
                    }
                }
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
            let pause = match failure.code {
                Code::Owned | Code::Stale | Code::Unavailable | Code::Limit => Some(AGAIN),
                // What a host may provide follows what is assigned to it.
                Code::Forbidden => Some(FORBIDDEN),
                _ => None,
            };
            provided.again = pause.map(|pause| Instant::now() + pause);
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
