//! What the engine has, against what the slot knows: adoption, ends that nobody reported, leftovers.

use super::fact::{Container, Desired, Effect, Exit, Found, FoundState, Memo};
use super::instance::Instance;
use super::{Attempt, Last, Lifecycle, RESTART, Retiring, STEP, Stage, Step, WITHDRAW};
use crate::change::{ChangeKind, classify};
use disco_proto::Reason;
use scs_manifest::compiled::Restart as Policy;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long subscribers may keep the address of a container that is stopped for another one to take its place: then nobody
/// believes in the successor any more.
const INTERRUPTION: Duration = Duration::from_secs(60);

/// What the subscribers of a container are told when it goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Farewell {
    /// It goes for good.
    Leave,
    /// Its successor is there.
    Replaced,
    /// Its successor is started as soon as it has stopped.
    Interrupted,
}

impl Lifecycle {
    pub(super) fn observed(&mut self, now: Instant, at: Instant, mut containers: Vec<Found>, out: &mut Vec<Effect>) {
        // What came or went since the engine was asked makes the answer old about what it does not know or no longer has.
        let fresh = self.changed.is_none_or(|changed| changed < at) || !self.observed && self.changed.is_none();
        containers.sort_by_key(|found| found.container.started);
        self.settle_unknown(now, at, &containers, out);
        let mut seen = Vec::new();
        for found in containers {
            seen.push(found.instance.clone());
            if self.knows(&found.instance) {
                if let FoundState::Exited(exit) = found.state {
                    self.ended(now, &found.instance, exit, out);
                }
            } else if self.attempt.as_ref().is_some_and(|attempt| attempt.instance == found.instance)
                || self.last.as_ref().is_some_and(|last| last.instance == found.instance)
            {
                // Its own effect answers for it.
            } else {
                self.found_unknown(now, found, fresh, out);
            }
        }
        let lost = |instance: &Instance| instance.launched < at && !seen.contains(&instance.id);
        let running = [&self.current, &self.candidate].into_iter().flatten();
        let lost: Vec<String> = running
            .chain(self.retiring.iter().map(|retiring| &retiring.instance))
            .filter(|instance| lost(instance))
            .map(|instance| instance.id.clone())
            .collect();
        for id in lost {
            let exit = Exit { message: Some("it was removed by somebody else".to_owned()), ..Exit::default() };
            self.ended(now, &id, exit, out);
        }
        self.observed = true;
    }

    /// A launch of which nobody knows whether it worked.
    fn settle_unknown(&mut self, now: Instant, at: Instant, containers: &[Found], out: &mut Vec<Effect>) {
        let Some(Attempt { instance, since, stage: Stage::Unknown(_), .. }) = &self.attempt else { return };
        if *since > at {
            return;
        }
        let instance = instance.clone();
        match containers.iter().find(|found| found.instance == instance) {
            Some(found) if found.state == FoundState::Running => self.launched(now, &instance, found.container.clone()),
            found => {
                if let Some(found) = found {
                    out.push(Effect::Remove { instance: instance.clone(), container: found.container.id.clone() });
                }
                let failure = self.failure.take().unwrap_or_default();
                self.step_failed(now, failure, STEP);
            }
        }
    }

    fn knows(&self, id: &str) -> bool {
        let running = [&self.current, &self.candidate].into_iter().flatten();
        running.chain(self.retiring.iter().map(|retiring| &retiring.instance)).any(|instance| instance.id == id)
    }

    fn found_unknown(&mut self, now: Instant, found: Found, fresh: bool, out: &mut Vec<Effect>) {
        let Found { instance, desired, container, state, memo } = found;
        let served = |memo: &Memo| memo.served || memo.healthy_once || !memo.published.is_empty();
        self.served |= memo.as_ref().is_some_and(served);
        match state {
            FoundState::Created => out.push(Effect::Remove { instance, container: container.id }),
            FoundState::Exited(exit) => {
                let newer = self.last.as_ref().is_none_or(|last| last.container.started < container.started);
                if !fresh || !newer {
                    return out.push(Effect::Remove { instance, container: container.id });
                }
                if self.stays_ended(&desired, &exit) {
                    self.restart.ended = true;
                }
                self.keep_last(instance, desired, container, exit, out);
            }
            FoundState::Running if !fresh => {}
            FoundState::Running => {
                self.restart.ended = false;
                let adopted = Instance::adopted(now, instance, desired, container, memo);
                if self.current.is_none() {
                    self.current = Some(adopted);
                } else if self.candidate.is_none() && self.fits(&adopted) {
                    // A replacement was under way.
                    self.candidate = Some(adopted);
                } else {
                    self.retire(now, adopted, Farewell::Leave, out);
                }
            }
        }
    }

    fn fits(&self, instance: &Instance) -> bool {
        self.desired.as_ref().is_some_and(|desired| {
            instance.desired.generation >= desired.generation
                && classify(&instance.desired.role, &desired.role) != ChangeKind::Replace
        })
    }

    /// Whether an ended container of what is wanted is the end of it.
    fn stays_ended(&self, made_of: &Desired, exit: &Exit) -> bool {
        self.desired.as_ref().is_some_and(|desired| {
            made_of.generation >= desired.generation
                && classify(&made_of.role, &desired.role) != ChangeKind::Replace
                && final_end(desired.role.restart, exit)
        })
    }

    /// The container of an instance has ended, by itself or because it was stopped.
    pub(super) fn ended(&mut self, now: Instant, id: &str, exit: Exit, out: &mut Vec<Effect>) {
        if let Some(index) = self.retiring.iter().position(|retiring| retiring.instance.id == id) {
            let instance = self.retiring.swap_remove(index).instance;
            return self.bury(now, instance, exit, out);
        }
        let is = |known: &Option<Instance>| known.as_ref().is_some_and(|instance| instance.id == id);
        let (instance, current) = if is(&self.current) {
            (self.current.take(), true)
        } else if is(&self.candidate) {
            (self.candidate.take(), false)
        } else {
            return;
        };
        let Some(instance) = instance else { return };
        if !instance.published.is_empty() {
            let instance = instance.id.clone();
            out.push(Effect::Withdraw { instance, reason: Reason::Died, wait: Duration::ZERO, successor_by: None });
        }
        let policy = self.desired.as_ref().map_or(instance.desired.role.restart, |desired| desired.role.restart);
        self.restart.stumbled = now < instance.stable;
        if !self.restart.stumbled {
            self.restart.failures = 0;
        }
        self.restart.failures = self.restart.failures.saturating_add(1);
        self.restart.until = Some(now + self.chance.pause(self.restart.failures, RESTART.0, RESTART.1));
        self.restart.after_end = true;
        self.failure = None;
        self.restart.fallen = (!current).then(|| instance.id.clone());
        if current && self.candidate.is_some() {
            self.current = self.candidate.take();
            self.restart.until = None;
        } else if current && instance.anew.is_none() && self.fits(&instance) && final_end(policy, &exit) {
            self.restart.ended = true;
            self.restart.until = None;
        }
        if !self.restart.ended {
            self.restart.count = self.restart.count.saturating_add(1);
        }
        self.bury(now, instance, exit, out);
    }

    fn bury(&mut self, now: Instant, instance: Instance, exit: Exit, out: &mut Vec<Effect>) {
        self.changed = Some(now);
        self.keep_last(instance.id, instance.desired, instance.container, exit, out);
    }

    fn keep_last(
        &mut self,
        instance: String,
        desired: Arc<Desired>,
        container: Container,
        exit: Exit,
        out: &mut Vec<Effect>,
    ) {
        out.push(Effect::Explain { instance: instance.clone(), container: container.id.clone() });
        let last = Last { instance, desired, container, exit, explained: false };
        if let Some(before) = self.last.replace(last) {
            out.push(Effect::Remove { instance: before.instance, container: before.container.id });
        }
    }

    /// Sends a container on its way out: first its subscribers, then it.
    pub(super) fn retire(&mut self, now: Instant, instance: Instance, farewell: Farewell, out: &mut Vec<Effect>) {
        let desired = self.desired.as_ref().filter(|desired| desired.role.name == instance.desired.role.name);
        let grace = desired.unwrap_or(&instance.desired).role.process.stop_grace_period;
        let step = if instance.published.is_empty() {
            Step::Stop(now, 0)
        } else {
            let (reason, wait, successor_by) = match farewell {
                Farewell::Leave => (Reason::Left, WITHDRAW, None),
                Farewell::Replaced => (Reason::Draining, WITHDRAW, Some(WITHDRAW)),
                Farewell::Interrupted => (Reason::Draining, Duration::ZERO, Some(INTERRUPTION)),
            };
            out.push(Effect::Withdraw { instance: instance.id.clone(), reason, wait, successor_by });
            // Whoever waits for subscribers answers in time; this is for the case that it does not.
            Step::Withdrawing(now + wait + Duration::from_secs(5))
        };
        self.retiring.push(Retiring { instance, step, grace });
    }
}

fn final_end(policy: Policy, exit: &Exit) -> bool {
    match policy {
        Policy::Always => false,
        Policy::OnFailure => exit.code == Some(0),
        Policy::Never => true,
    }
}

/// How a container ended, in words.
pub(super) fn how(exit: &Exit) -> String {
    match (exit.code, &exit.message) {
        (Some(code), Some(message)) => format!("ended with exit code {code} ({message})"),
        (Some(code), None) => format!("ended with exit code {code}"),
        (None, Some(message)) => format!("ended: {message}"),
        (None, None) => "ended".to_owned(),
    }
}
