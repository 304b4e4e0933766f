//! What there is to say about a slot.

use super::instance::Instance;
use super::observe::how;
use super::report::{Connection, Phase, Report, Shown};
use super::requirement::Requirement;
use super::{Lifecycle, Stage};
use std::collections::BTreeMap;
use std::time::Instant;

impl Lifecycle {
    /// Where it stands.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        let (phase, message, details) = self.phase(now);
        let shown = self.candidate.as_ref().filter(|_| self.current.is_none()).or(self.current.as_ref());
        let shown = shown.or(self.retiring.last().map(|retiring| &retiring.instance));
        let live_updates = shown.into_iter().flat_map(|instance| &instance.live);
        let live_updates = live_updates.filter_map(|(name, live)| Some((name.clone(), live.last.clone()?))).collect();
        let container = shown.map(show).or_else(|| {
            self.last.as_ref().map(|last| Shown {
                instance: last.instance.clone(),
                container: last.container.clone(),
                spec_digest: last.desired.role.spec_digest.clone(),
                image_digest: last.desired.role.image_digest.clone(),
                exit: Some(last.exit.clone()),
                explained: last.explained,
                provides: last.container.provides.keys().map(|name| (name.clone(), (false, None))).collect(),
            })
        });
        Report {
            phase,
            message,
            details,
            container,
            applied: self.applied(now, phase),
            restarts: self.restart.count,
            served: self.served,
            live_updates,
            requirements: self.connections(now),
            volumes: self.volumes.clone(),
            gone: self.gone,
        }
    }

    fn connections(&self, now: Instant) -> BTreeMap<String, Connection> {
        let instance = self.current.as_ref().or(self.candidate.as_ref());
        let one = |(name, requirement): (&String, &Requirement)| {
            let (applied, standing) = match instance {
                Some(instance) => instance.standing(name, requirement.content()),
                None if self.attempt.is_some() && !requirement.satisfied(now) => {
                    (false, format!("the start waits for {}", requirement.wanted(name)))
                }
                None => (false, "no container runs that could work with it".to_owned()),
            };
            (name.clone(), Connection { applied, standing, ..requirement.report() })
        };
        self.requirements.iter().map(one).collect()
    }

    fn applied(&self, now: Instant, phase: Phase) -> Option<(String, String, u64)> {
        let desired = self.desired.as_ref().filter(|_| !self.tombstoned)?;
        let quiet = self.attempt.is_none() && self.candidate.is_none();
        let running =
            self.current.as_ref().is_some_and(|current| current.ready() && self.outdated(now, current).is_none());
        let done = match phase {
            Phase::Stopped | Phase::Ended => true,
            _ => quiet && running && self.wanted(),
        };
        done.then(|| (desired.role.spec_digest.clone(), desired.role.image_digest.clone(), desired.generation))
    }

    fn phase(&self, now: Instant) -> (Phase, Option<String>, Vec<String>) {
        let plain = |phase, message| (phase, message, Vec::new());
        if !self.wanted() {
            let stopped = self.attempt.is_none()
                && self.current.is_none()
                && self.candidate.is_none()
                && self.retiring.is_empty();
            if let Some(failure) = &self.failure {
                return (Phase::Stopping, Some(failure.message.clone()), failure.details.clone());
            }
            return if stopped && self.observed {
                plain(Phase::Stopped, None)
            } else {
                plain(Phase::Stopping, self.leaving())
            };
        }
        if let Some(attempt) = &self.attempt {
            let why = attempt.why.as_ref().map(|why| format!("to be replaced: {why}"));
            return match &attempt.stage {
                Stage::Image => plain(Phase::Image, why),
                Stage::Provisioning => plain(Phase::Provisioning, why),
                Stage::Launching(_) => plain(Phase::Starting, why),
                Stage::Unknown(_) => {
                    let failure = self.failure.clone().unwrap_or_default();
                    (Phase::Starting, Some(failure.message), failure.details)
                }
                Stage::Ready | Stage::Provisioned => match self.waiting(now) {
                    Some(waiting) => plain(Phase::Waiting, Some(waiting)),
                    None => plain(Phase::Stopping, self.leaving().or(why)),
                },
            };
        }
        if let Some(failure) = &self.failure {
            return (Phase::Failed, Some(failure.message.clone()), failure.details.clone());
        }
        if let Some(last) = self.last.as_ref().filter(|last| self.restart.fallen.as_ref() == Some(&last.instance)) {
            // Whoever is told that it failed is told all of it.
            let phase = if last.explained { Phase::Failed } else { Phase::Starting };
            let message = format!("the new container {}; the old one keeps running", how(&last.exit));
            return (phase, Some(message), last.exit.output.clone());
        }
        if self.candidate.is_some() {
            return plain(Phase::Starting, Some("the new container is starting; the old one keeps running".to_owned()));
        }
        if let Some(current) = &self.current {
            return match (current.late(now), current.failing()) {
                (Some(late), _) => plain(Phase::Failing, Some(late)),
                (None, Some(failing)) => plain(Phase::Failing, Some(failing)),
                (None, None) if current.ready() => plain(Phase::Running, told(current)),
                (None, None) => plain(Phase::Starting, None),
            };
        }
        match &self.last {
            _ if !self.observed => plain(Phase::Starting, Some("the engine is asked what runs".to_owned())),
            Some(last) if self.restart.ended => {
                (Phase::Ended, Some(format!("it {}", how(&last.exit))), last.exit.output.clone())
            }
            Some(last) if self.restart.after_end => {
                (Phase::Backoff, Some(format!("it {} and is started again", how(&last.exit))), last.exit.output.clone())
            }
            _ => plain(Phase::Starting, None),
        }
    }

    fn leaving(&self) -> Option<String> {
        let waits = self.retiring.iter().any(|retiring| matches!(retiring.step, super::Step::Withdrawing(_)));
        if waits {
            return Some("its users are being told".to_owned());
        }
        (!self.retiring.is_empty()).then(|| "its container is being stopped".to_owned())
    }

    /// What a start waits for.
    fn waiting(&self, now: Instant) -> Option<String> {
        let open = self.requirements.iter().filter(|(_, requirement)| !requirement.satisfied(now));
        let names: Vec<String> = open.map(|(name, requirement)| requirement.wanted(name)).collect();
        (!names.is_empty()).then(|| format!("waiting for {}", names.join(", ")))
    }
}

fn told(instance: &Instance) -> Option<String> {
    let failing = instance.live.iter().find(|(_, live)| live.failures > 0);
    failing.map(|(name, live)| format!("the live update for {name} failed {} times in a row", live.failures))
}

fn show(instance: &Instance) -> Shown {
    let provides = instance.container.provides.keys().map(|name| {
        let failure = instance.checks.get(name).and_then(|check| check.failure.clone());
        (name.clone(), (instance.published.contains_key(name), failure))
    });
    Shown {
        instance: instance.id.clone(),
        container: instance.container.clone(),
        spec_digest: instance.desired.role.spec_digest.clone(),
        image_digest: instance.desired.role.image_digest.clone(),
        exit: None,
        explained: false,
        provides: provides.collect(),
    }
}
