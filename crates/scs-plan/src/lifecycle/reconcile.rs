//! Looks at the whole state after every fact and does what is due.

use super::fact::{Desired, Effect};
use super::instance::{Around, Birth, Instance};
use super::observe::Farewell;
use super::requirement::Requirement;
use super::{Attempt, Lifecycle, Releasing, STEP, Stage, Step};
use crate::change::{ChangeKind, Strategy, classify, replace_strategy};
use scs_manifest::compiled::{Query, RequireMethod};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// What the slot knows beside its instances, borrowed apart from them.
macro_rules! around {
    ($self:ident, $now:ident) => {
        Around {
            now: $now,
            requirements: &$self.requirements,
            secrets: $self.desired.as_ref().map_or(const { &BTreeMap::new() }, |desired| &desired.secrets),
        }
    };
}

impl Lifecycle {
    pub(super) fn reconcile(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.subscribe(now, out);
        self.take_over_role();
        if self.observed {
            if self.wanted() {
                self.fill(now, out);
            } else {
                self.empty(now, out);
            }
        }
        self.let_go(now, out);
        let around = around!(self, now);
        for instance in [&mut self.current, &mut self.candidate].into_iter().flatten() {
            instance.reconcile(&around, out);
            self.served |= instance.serves();
            instance.remember(self.served, out);
        }
        // An instance that has just become healthy, or is to be created anew, is acted upon at once.
        if self.observed && self.wanted() {
            self.fill(now, out);
            self.let_go(now, out);
        }
        self.acknowledge(out);
    }

    /// Whether a container should run.
    pub(super) fn wanted(&self) -> bool {
        !self.tombstoned && self.desired.as_ref().is_some_and(|desired| !desired.stopped)
    }

    fn subscribe(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let Some(desired) = self.desired.clone() else { return };
        let idle = !self.wanted() && self.releasing == Releasing::Done;
        let newest = self.attempt.as_ref().map(|attempt| &attempt.instance);
        let newest = newest.or(self.candidate.as_ref().or(self.current.as_ref()).map(|instance| &instance.id)).cloned();
        let required = if idle { None } else { Some(&desired.role.require) };
        self.requirements.retain(|name, requirement| {
            let stays = required.is_some_and(|required| required.contains_key(name));
            if !stays && requirement.asked.is_some() {
                out.push(Effect::Unsubscribe { requirement: name.clone() });
            }
            stays
        });
        for (name, require) in required.into_iter().flatten() {
            let requirement =
                self.requirements.entry(name.clone()).or_insert_with(|| Requirement::new(now, require.clone()));
            if requirement.require != *require {
                let asked = requirement.asked.is_some();
                requirement.change(require.clone());
                if asked && requirement.asked.is_none() {
                    out.push(Effect::Unsubscribe { requirement: name.clone() });
                }
            }
            if let RequireMethod::Disco(query) = &require.method {
                // The subscriber itself never matches; for all others one subscription serves every container of the slot.
                let itself = own(&self.slot, query);
                let instance = if itself { newest.clone() } else { None };
                if itself && instance.is_none() {
                    continue;
                }
                let asked = Some((query.clone(), instance.clone()));
                if requirement.asked != asked {
                    requirement.asked = asked;
                    out.push(Effect::Subscribe { requirement: name.clone(), query: query.clone(), instance });
                }
            }
        }
    }

    /// A running container that only has to be told is run by the new role from now on.
    fn take_over_role(&mut self) {
        let Some(desired) = &self.desired else { return };
        for instance in [&mut self.current, &mut self.candidate].into_iter().flatten() {
            if instance.desired != *desired
                && instance.desired.generation >= desired.generation
                && classify(&instance.desired.role, &desired.role) != ChangeKind::Replace
            {
                instance.desired = Arc::new(Desired { generation: instance.desired.generation, ..(**desired).clone() });
            }
        }
    }

    /// Why the container that runs has to be replaced.
    pub(super) fn outdated(&self, now: Instant, instance: &Instance) -> Option<String> {
        let desired = self.desired.as_ref()?;
        let around = around!(self, now);
        if instance.desired.generation < desired.generation {
            return Some("a restart was asked for".to_owned());
        }
        let changed = classify(&instance.desired.role, &desired.role) == ChangeKind::Replace;
        let changed = changed.then(|| "its image, process, mounts, ports or network changed".to_owned());
        changed.or_else(|| instance.anew.clone()).or_else(|| instance.outdated(&around).map(str::to_owned))
    }

    fn fill(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.releasing = Releasing::No;
        let Some(desired) = self.desired.clone() else { return };
        self.judge_candidate(now, out);
        let why = self.current.as_ref().map(|current| self.outdated(now, current));
        let why = match why {
            Some(None) => {
                // It fits. Whatever was being prepared is not needed, unless it can no longer be called back.
                if self.attempt.as_ref().is_some_and(|attempt| !in_flight(&attempt.stage)) {
                    self.attempt = None;
                }
                if let Some(candidate) = self.candidate.take() {
                    self.retire(now, candidate, Farewell::Leave, out);
                }
                if self.attempt.is_none() && self.retiring.is_empty() {
                    self.failure = None;
                    self.restart.fallen = None;
                }
                return;
            }
            Some(Some(why)) => Some(why),
            None => None,
        };
        if self.candidate.is_some() || self.current.is_none() && self.restart.ended {
            return;
        }
        self.prepare(now, &desired, why, out);
    }

    /// A candidate takes over once it is healthy, and goes if it is not in time or no longer what is wanted.
    fn judge_candidate(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let Some(candidate) = self.candidate.take() else { return };
        let outdated = self.outdated(now, &candidate);
        if outdated.is_none() && (candidate.ready() || self.current.is_none()) {
            if let Some(old) = self.current.replace(candidate) {
                self.failure = None;
                self.retire(now, old, Farewell::Replaced, out);
            }
            return;
        }
        if let Some(late) = candidate.late(now) {
            self.retire(now, candidate, Farewell::Leave, out);
            let message = format!("the new container was given up, the old one keeps running: {late}");
            self.step_failed(now, super::Failure { message, ..super::Failure::default() }, STEP);
        } else if outdated.is_some() {
            self.retire(now, candidate, Farewell::Leave, out);
        } else {
            self.candidate = Some(candidate);
        }
    }

    fn prepare(&mut self, now: Instant, desired: &Arc<Desired>, why: Option<String>, out: &mut Vec<Effect>) {
        if let Some(attempt) = &self.attempt
            && !in_flight(&attempt.stage)
            && attempt.desired != *desired
        {
            self.attempt = None;
        }
        if self.attempt.is_none() {
            if self.restart.until.is_some_and(|until| now < until) {
                return;
            }
            let instance = self.chance.run_id();
            let (desired, stage) = (desired.clone(), Stage::Ready);
            self.attempt = Some(Attempt { instance, since: now, desired, why: why.clone(), stage, image: None });
            self.subscribe(now, out); // The new run id may be part of a question.
        }
        let satisfied = self.requirements.values().all(|requirement| requirement.satisfied(now));
        let Some(attempt) = &mut self.attempt else { return };
        attempt.why = why.or(attempt.why.take());
        match (&attempt.stage, &attempt.image) {
            (Stage::Ready, None) => {
                attempt.stage = Stage::Image;
                out.push(Effect::EnsureImage(attempt.desired.clone()));
            }
            (Stage::Ready, Some(_)) if satisfied => self.make_room(now, out),
            (Stage::Provisioned, Some(image)) if satisfied => {
                let around = around!(self, now);
                let birth = Birth::now(&around, &attempt.desired);
                out.push(Effect::Launch {
                    instance: attempt.instance.clone(),
                    desired: attempt.desired.clone(),
                    image: image.clone(),
                    view: around.view(1),
                });
                attempt.since = now;
                attempt.stage = Stage::Launching(birth);
            }
            _ => {}
        }
    }

    /// Stops what cannot run beside the new container, and provisions once it has ended.
    fn make_room(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let Some(attempt) = &self.attempt else { return };
        let beside = |instance: &Instance| {
            replace_strategy(&instance.desired.role, &attempt.desired.role) == Strategy::StartFirst
        };
        let room = self.retiring.iter().all(|retiring| beside(&retiring.instance));
        if self.current.as_ref().is_some_and(|current| !beside(current)) {
            if let Some(current) = self.current.take() {
                self.retire(now, current, Farewell::Interrupted, out);
            }
            return;
        }
        if let Some(attempt) = &mut self.attempt
            && room
        {
            attempt.stage = Stage::Provisioning;
            out.push(Effect::Provision { instance: attempt.instance.clone(), desired: attempt.desired.clone() });
        }
    }

    /// Nothing is to run: everything goes, and then what was held for it.
    fn empty(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.attempt.as_ref().is_some_and(|attempt| !in_flight(&attempt.stage)) {
            self.attempt = None;
        }
        let moving = !self.tombstoned && self.desired.as_ref().is_some_and(|desired| desired.moving);
        let farewell = if moving { Farewell::Interrupted } else { Farewell::Leave };
        for instance in [self.candidate.take(), self.current.take()].into_iter().flatten() {
            self.retire(now, instance, farewell, out);
        }
        if self.attempt.is_some() || !self.retiring.is_empty() {
            return;
        }
        let made_of = self.desired.clone().or_else(|| self.last.as_ref().map(|last| last.desired.clone()));
        match (&self.releasing, made_of) {
            (Releasing::No, Some(desired)) => {
                out.push(Effect::Release(desired));
                self.releasing = Releasing::Asked;
            }
            (Releasing::Retry(at, _), Some(desired)) if now >= *at => {
                out.push(Effect::Release(desired));
                self.releasing = Releasing::Asked;
            }
            (Releasing::No, None) => self.releasing = Releasing::Done,
            _ => {}
        }
        if self.releasing != Releasing::Done {
            return;
        }
        self.failure = None;
        self.volumes.clear();
        self.subscribe(now, out);
        if self.tombstoned {
            if let Some(last) = self.last.take() {
                out.push(Effect::Remove { instance: last.instance, container: last.container.id });
            }
            self.gone = true;
        }
    }

    fn let_go(&mut self, now: Instant, out: &mut Vec<Effect>) {
        for retiring in &mut self.retiring {
            if matches!(retiring.step, Step::Withdrawing(until) if now >= until) {
                retiring.step = Step::Stop(now, 0);
            }
            if matches!(retiring.step, Step::Stop(at, _) if now >= at) {
                retiring.step = Step::Stopping;
                out.push(Effect::Stop {
                    instance: retiring.instance.id.clone(),
                    container: retiring.instance.container.id.clone(),
                    grace: retiring.grace,
                });
            }
        }
    }

    /// Tells disco what every container of the slot has applied; what has no container has nothing to apply.
    fn acknowledge(&mut self, out: &mut Vec<Effect>) {
        let launching = match &self.attempt {
            Some(Attempt { stage: Stage::Launching(birth) | Stage::Unknown(birth), .. }) => Some(&birth.told),
            _ => None,
        };
        let told: Vec<_> = [&self.current, &self.candidate]
            .into_iter()
            .flatten()
            .map(|instance| &instance.told)
            .chain(launching)
            .collect();
        for (name, requirement) in &mut self.requirements {
            let content = requirement.content();
            let done = told.iter().all(|told| told.get(name).is_none_or(|told| *told == content));
            let open =
                requirement.known && requirement.asked.is_some() && requirement.acknowledged != Some(requirement.seq);
            if open && done {
                requirement.acknowledged = Some(requirement.seq);
                out.push(Effect::Applied { requirement: name.clone(), seq: requirement.seq });
            }
        }
    }

    /// When [`super::Input::Tick`] has to be handled although nothing has happened.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let instances =
            [&self.current, &self.candidate].into_iter().flatten().filter_map(|instance| instance.deadline(now));
        let retiring = self.retiring.iter().filter_map(|retiring| match retiring.step {
            Step::Withdrawing(at) | Step::Stop(at, _) => Some(at),
            Step::Stopping => None,
        });
        let releasing = match self.releasing {
            Releasing::Retry(at, _) => Some(at),
            _ => None,
        };
        let pause = self.restart.until.filter(|until| *until > now && self.wanted());
        let waiting = self.requirements.values().filter_map(|requirement| requirement.deadline(now));
        instances.chain(retiring).chain(releasing).chain(pause).chain(waiting).min()
    }
}

/// Whether a step is under way whose outcome has to be waited for.
fn in_flight(stage: &Stage) -> bool {
    matches!(stage, Stage::Provisioning | Stage::Launching(_) | Stage::Unknown(_))
}

/// Whether a query could match what the slot itself provides.
fn own(slot: &crate::slot::Slot, query: &Query) -> bool {
    query.environment == slot.environment
        && query.service == slot.service
        && (query.role == slot.role || query.role == "*")
}
