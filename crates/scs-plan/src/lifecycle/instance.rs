//! One container of a slot while it runs: its health checks, what it announces, what it has been told.

use super::chance::{Chance, Fingerprint};
use super::fact::{Container, Desired, Effect, Memo, Outcome, Tell, View};
use super::frozen::{frozen_requirements, frozen_secrets};
use super::requirement::Requirement;
use super::{SETTLE, STABLE};
use scs_manifest::compiled::{Health, LiveAction, LiveUpdate, OnFailure, ProvideMethod};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shortest pause between health checks of a container that is starting.
const PROBE_FIRST: Duration = Duration::from_millis(50);
/// The pause grows with the time that the start has taken so far, to this part of it: what has become ready is noticed at most a tenth
/// of its start late, and one that takes minutes is not asked thousands of times.
const PROBE_PART: u32 = 10;
/// Pauses between tries of a failed live update.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    /// What it is run by: what it was made of, with what could be changed while it ran.
    pub(super) desired: Arc<Desired>,
    pub(super) container: Container,
    /// When this process came to know that it runs.
    pub(super) launched: Instant,
    /// When it counts as ready where it has no health check.
    settled: Instant,
    /// When it has run for long enough that its end is no sign of a bad start.
    pub(super) stable: Instant,
    pub(super) checks: BTreeMap<String, Check>,
    pub(super) published: BTreeMap<String, Published>,
    pub(super) healthy_once: bool,
    pub(super) told: BTreeMap<String, u64>,
    frozen: Option<u64>,
    written: Option<u64>,
    revision: u64,
    pub(super) live: BTreeMap<String, Live>,
    running: Option<Run>,
    runs: u64,
    /// Why it has to be created anew although its role is the same.
    pub(super) anew: Option<String>,
    remembered: Option<Memo>,
}

#[derive(Debug)]
pub(super) struct Check {
    started: Instant,
    next: Instant,
    /// Since when an answer is waited for.
    asked: Option<Instant>,
    failures: u32,
    pub(super) passed_once: bool,
    pub(super) passing: bool,
    pub(super) failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) passing: bool,
    attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug)]
struct Run {
    number: u64,
    triggers: BTreeMap<String, u64>,
}

/// What is known about telling of one requirement or secret.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    /// What it changed to, and when that was first seen.
    changed: Option<(u64, Instant)>,
    /// After a failure: which content failed, and when it is tried again.
    retry: Option<(u64, Instant)>,
    pub(super) failures: u32,
    pub(super) last: Option<LiveRecord>,
}

/// The last live update of a requirement or secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRecord {
    /// When it started or, once it has, ended.
    pub at: Instant,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
    /// Failed tries in a row.
    pub failures: u32,
}

/// What the slot knows beside an instance.
pub(super) struct Around<'a> {
    pub(super) now: Instant,
    pub(super) requirements: &'a BTreeMap<String, Requirement>,
    pub(super) secrets: &'a BTreeMap<String, u64>,
}

impl Around<'_> {
    /// Current fingerprints of all that can change under a running container.
    pub(super) fn contents(&self) -> BTreeMap<String, u64> {
        let requirements = self.requirements.iter().map(|(name, r)| (name.clone(), r.content()));
        requirements.chain(self.secrets.iter().map(|(name, print)| (name.clone(), *print))).collect()
    }

    pub(super) fn frozen(&self, desired: &Desired) -> u64 {
        let mut print = Fingerprint::new();
        for name in frozen_requirements(&desired.role) {
            print.text(&name).number(self.requirements.get(&name).map_or(0, Requirement::first));
        }
        for name in frozen_secrets(&desired.role) {
            print.text(name).number(self.secrets.get(name).copied().unwrap_or(0));
        }
        print.value()
    }

    fn appearance(&self) -> u64 {
        let mut print = Fingerprint::new();
        for (name, requirement) in self.requirements {
            print.text(name).number(requirement.appearance());
        }
        for (name, secret) in self.secrets {
            print.text(name).number(*secret);
        }
        print.value()
    }

    pub(super) fn view(&self, revision: u64) -> Arc<View> {
        let requirements = self.requirements.iter().map(|(name, r)| (name.clone(), r.seen())).collect();
        Arc::new(View { revision, requirements })
    }
}

/// What was true when a container was launched.
#[derive(Debug, Clone)]
pub(super) struct Birth {
    pub(super) told: BTreeMap<String, u64>,
    pub(super) frozen: Option<u64>,
    pub(super) appearance: u64,
}

impl Birth {
    pub(super) fn now(around: &Around<'_>, desired: &Desired) -> Self {
        Self { told: around.contents(), frozen: Some(around.frozen(desired)), appearance: around.appearance() }
    }
}

impl Instance {
    pub(super) fn launched(
        now: Instant,
        id: String,
        desired: Arc<Desired>,
        container: Container,
        birth: Birth,
        settle: Duration,
    ) -> Self {
        Self {
            id,
            desired,
            container,
            launched: now,
            settled: now + settle,
            stable: now + STABLE,
            checks: BTreeMap::new(),
            published: BTreeMap::new(),
            healthy_once: false,
            told: birth.told,
            frozen: birth.frozen,
            written: Some(birth.appearance),
            revision: 1,
            live: BTreeMap::new(),
            running: None,
            runs: 0,
            anew: None,
            remembered: None,
        }
    }

    /// Takes over a container that another process started. Without a memo it counts as told nothing, so that it is told once more.
    pub(super) fn adopted(
        now: Instant,
        id: String,
        desired: Arc<Desired>,
        container: Container,
        memo: Option<Memo>,
    ) -> Self {
        let memo = memo.unwrap_or_default();
        let none = Birth { told: memo.told.clone(), frozen: memo.frozen, appearance: 0 };
        let mut new = Self::launched(now, id, desired, container, none, SETTLE);
        new.written = None;
        new.revision = memo.revision;
        new.healthy_once = memo.healthy_once;
        if memo.healthy_once {
            // It has run since before we came.
            new.stable = now;
        }
        for (endpoint, passing) in &memo.published {
            new.published.insert(endpoint.clone(), Published { passing: *passing, attributes: None });
        }
        new
    }

    /// Whether it is as ready as it can be: everything that has a health check has passed it once, and where nothing has, it
    /// has run for a while.
    pub(super) fn ready(&self) -> bool {
        self.healthy_once
    }

    pub(super) fn failing(&self) -> Option<String> {
        self.checks.iter().find(|(_, check)| check.passed_once && !check.passing).map(|(name, check)| said(name, check))
    }

    /// What has not passed yet although the time it had for starting is over.
    pub(super) fn late(&self, now: Instant) -> Option<String> {
        let late = |(name, check): &(&String, &Check)| {
            !check.passed_once && self.health(name).is_some_and(|health| now >= check.started + health.start)
        };
        self.checks.iter().find(late).map(|(name, check)| {
            let start = self.health(name).map(|h| scs_manifest::duration::format(h.start)).unwrap_or_default();
            format!("{} (within the {start} it has to start)", said(name, check))
        })
    }

    fn health(&self, endpoint: &str) -> Option<&Health> {
        self.desired.role.provide.get(endpoint)?.health.as_ref()
    }

    /// Why its frozen environment is no longer true. Nothing where nobody knows what it was started with, or what to start it
    /// with now.
    pub(super) fn outdated(&self, around: &Around<'_>) -> Option<&'static str> {
        let there = |name: &String| around.requirements.get(name).is_some_and(|r| r.satisfied(around.now));
        let known = frozen_requirements(&self.desired.role).iter().all(there)
            && frozen_secrets(&self.desired.role).all(|name| around.secrets.contains_key(name));
        (known && self.frozen? != around.frozen(&self.desired)).then_some("what its environment was made from changed")
    }

    pub(super) fn probed(&mut self, now: Instant, endpoint: &str, result: Result<(), String>) {
        let Some(health) = self.health(endpoint).cloned() else { return };
        let Some(check) = self.checks.get_mut(endpoint) else { return };
        let took = check.asked.take().map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        match result {
            Ok(()) => {
                (check.passed_once, check.passing, check.failures, check.failure) = (true, true, 0, None);
                check.next = now + health.interval;
            }
            Err(failure) => {
                check.failures = check.failures.saturating_add(1);
                check.failure = Some(failure);
                if check.failures >= health.unhealthy.max(1) {
                    check.passing = false;
                }
                let starting = now.saturating_duration_since(check.started) / PROBE_PART;
                // A check that is dear takes half of the time at most, or checking would slow down what it waits for.
                let starting = starting.max(took).max(PROBE_FIRST).min(health.interval);
                check.next = now + if check.passed_once { health.interval } else { starting };
            }
        }
    }

    pub(super) fn live_updated(&mut self, now: Instant, chance: &mut Chance, run: u64, outcome: &Outcome) {
        if self.running.as_ref().is_none_or(|running| running.number != run) {
            return;
        }
        let Some(run) = self.running.take() else { return };
        for (name, content) in run.triggers {
            let policy = self.policy(&name).map(|policy| policy.on_failure);
            let live = self.live.entry(name.clone()).or_default();
            if outcome.applied() {
                live.failures = 0;
                live.retry = None;
                self.told.insert(name, content);
            } else {
                live.failures = live.failures.saturating_add(1);
                match policy {
                    Some(OnFailure::Ignore) => {
                        self.told.insert(name, content);
                    }
                    Some(OnFailure::Restart) => self.anew = Some(format!("the live update for {name} failed")),
                    _ => live.retry = Some((content, now + chance.pause(live.failures, RETRY.0, RETRY.1))),
                }
            }
            live.last = Some(LiveRecord { at: now, outcome: Some(outcome.clone()), failures: live.failures });
        }
    }

    /// What it makes of the endpoints of a requirement: whether it works with them, and that in words.
    pub(super) fn standing(&self, name: &str, content: u64) -> (bool, String) {
        let live = self.live.get(name);
        let failures = live.map_or(0, |live| live.failures);
        let policy = self.policy(name);
        let untold = policy.is_some_and(|policy| policy.action == LiveAction::None);
        if self.told.get(name) == Some(&content) && live.is_none_or(|live| live.retry.is_none()) {
            return match failures {
                0 if untold => (true, "its files say so; it is not told of changes (`liveupdate: none`)".to_owned()),
                0 => (true, "the container has applied it".to_owned()),
                // What discovery is told, too: nobody waits for it.
                _ => (true, "its live update failed, which counts as applied (`on_failure: ignore`)".to_owned()),
            };
        }
        let standing = if let Some(why) = &self.anew {
            format!("not yet: its container is made anew, as {why}")
        } else if self.running.as_ref().is_some_and(|run| run.triggers.contains_key(name)) {
            "not yet: the live update is running".to_owned()
        } else if failures > 0 {
            let times = if failures == 1 { "once".to_owned() } else { format!("{failures} times in a row") };
            format!("not yet: the live update has failed {times} and is tried again")
        } else if !self.healthy_once {
            "not yet: the container is told once it has been healthy".to_owned()
        } else {
            "not yet: the container is about to be told".to_owned()
        };
        (false, standing)
    }

    fn policy(&self, name: &str) -> Option<&LiveUpdate> {
        let role = &self.desired.role;
        role.require.get(name).map(|r| &r.liveupdate).or_else(|| role.secrets.get(name).map(|s| &s.liveupdate))
    }

    /// Does all that is due while it runs.
    pub(super) fn reconcile(&mut self, around: &Around<'_>, out: &mut Vec<Effect>) {
        self.check(around.now, out);
        self.publish(out);
        self.write(around, out);
        self.tell(around, out);
    }

    fn check(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let role = &self.desired.role;
        self.checks.retain(|name, _| role.provide.get(name).is_some_and(|provide| provide.health.is_some()));
        for (name, provide) in &role.provide {
            let Some(health) = &provide.health else { continue };
            let published = self.published.get(name);
            let check = self.checks.entry(name.clone()).or_insert_with(|| Check {
                started: now,
                next: now,
                asked: None,
                failures: 0,
                // One that was announced before keeps that state until a check says otherwise.
                passed_once: published.is_some() || self.healthy_once,
                passing: published.map_or(self.healthy_once, |published| published.passing),
                failure: None,
            });
            if check.asked.is_none() && now >= check.next {
                check.asked = Some(now);
                out.push(Effect::Probe { instance: self.id.clone(), endpoint: name.clone(), health: health.clone() });
            }
        }
        if !self.healthy_once {
            let passed = self.checks.values().all(|check| check.passed_once);
            self.healthy_once = passed && (!self.checks.is_empty() || now >= self.settled);
        }
    }

    fn publish(&mut self, out: &mut Vec<Effect>) {
        for (name, provide) in &self.desired.role.provide {
            let passing = match self.checks.get(name) {
                Some(check) if !check.passed_once => continue,
                Some(check) => check.passing,
                None => true,
            };
            if provide.method != ProvideMethod::Disco {
                continue;
            }
            let wanted = Published { passing, attributes: Some(provide.attributes.clone()) };
            if self.published.get(name) != Some(&wanted) {
                out.push(Effect::Provide {
                    instance: self.id.clone(),
                    endpoint: name.clone(),
                    passing,
                    attributes: provide.attributes.clone(),
                });
                self.published.insert(name.clone(), wanted);
            }
        }
    }

    fn write(&mut self, around: &Around<'_>, out: &mut Vec<Effect>) {
        let appearance = around.appearance();
        if self.written != Some(appearance) {
            self.written = Some(appearance);
            self.revision += 1;
            out.push(Effect::WriteFiles { instance: self.id.clone(), view: around.view(self.revision) });
        }
    }

    fn tell(&mut self, around: &Around<'_>, out: &mut Vec<Effect>) {
        let now = around.now;
        let contents = around.contents();
        let role = &self.desired.role;
        self.told.retain(|name, _| role.require.contains_key(name) || role.secrets.contains_key(name));
        self.live.retain(|name, _| contents.contains_key(name));
        for (name, content) in &contents {
            let live = self.live.entry(name.clone()).or_default();
            if self.told.get(name) == Some(content) {
                // It may have changed and changed back; a failed try in between still has to be made good.
                if live.retry.is_none() {
                    live.changed = None;
                    continue;
                }
            }
            if live.changed.is_none_or(|(seen, _)| seen != *content) {
                let first = live.changed.map_or(now, |(_, first)| if live.retry.is_some() { now } else { first });
                live.changed = Some((*content, first));
            }
        }
        if !self.healthy_once || self.running.is_some() || self.anew.is_some() {
            return;
        }
        let due: Vec<String> =
            contents.keys().filter(|name| self.due(name).is_some_and(|at| now >= at)).cloned().collect();
        let Some(policy) = due.first().and_then(|name| self.policy(name)).cloned() else { return };
        // Whatever else is due and done by the same command is done by this run.
        let triggers: BTreeMap<String, u64> = due
            .into_iter()
            .filter(|name| self.policy(name).is_some_and(|other| other.action == policy.action))
            .filter_map(|name| contents.get(&name).map(|content| (name.clone(), *content)))
            .collect();
        for name in triggers.keys() {
            let live = self.live.entry(name.clone()).or_default();
            live.changed = None;
            live.retry = None;
        }
        let action = match policy.action {
            LiveAction::Command(command) => Tell::Command(command, policy.timeout),
            LiveAction::Signal(signal) => Tell::Signal(signal),
            LiveAction::Restart => {
                let names = triggers.into_keys().collect::<Vec<_>>().join(", ");
                self.anew = Some(format!("{names} changed"));
                return;
            }
            LiveAction::None => {
                self.told.extend(triggers);
                return self.tell(around, out);
            }
        };
        self.runs += 1;
        for name in triggers.keys() {
            let live = self.live.entry(name.clone()).or_default();
            live.last = Some(LiveRecord { at: now, outcome: None, failures: live.failures });
        }
        out.push(Effect::LiveUpdate {
            instance: self.id.clone(),
            run: self.runs,
            triggers: triggers.keys().cloned().collect(),
            action,
            view: around.view(self.revision),
        });
        self.running = Some(Run { number: self.runs, triggers });
    }

    /// When the change of a requirement or secret is to be told.
    fn due(&self, name: &str) -> Option<Instant> {
        let live = self.live.get(name)?;
        let policy = self.policy(name)?;
        let (content, first) = live.changed?;
        let at = first + policy.debounce;
        Some(match live.retry {
            // The same change that failed waits; a newer one does not have to.
            Some((failed, retry)) if failed == content => retry,
            Some((_, retry)) => at.min(retry),
            None => at,
        })
    }

    /// Whether others may have used it.
    pub(super) fn serves(&self) -> bool {
        self.healthy_once || !self.published.is_empty()
    }

    pub(super) fn remember(&mut self, served: bool, out: &mut Vec<Effect>) {
        let memo = Memo {
            revision: self.revision,
            told: self.told.clone(),
            frozen: self.frozen,
            healthy_once: self.healthy_once,
            served,
            published: self.published.iter().map(|(name, published)| (name.clone(), published.passing)).collect(),
        };
        if self.remembered.as_ref() != Some(&memo) {
            out.push(Effect::Remember { instance: self.id.clone(), memo: memo.clone() });
            self.remembered = Some(memo);
        }
    }

    /// When something becomes due although nothing happens.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let checks = self.checks.values().filter(|check| check.asked.is_none()).map(|check| check.next);
        let late = self.checks.iter().filter(|(_, check)| !check.passed_once);
        let late =
            late.filter_map(|(name, check)| Some(check.started + self.health(name)?.start)).filter(|at| *at > now);
        let settles = (!self.healthy_once && self.checks.is_empty()).then_some(self.settled);
        let tells = self.live.keys().filter(|_| self.healthy_once && self.running.is_none() && self.anew.is_none());
        checks.chain(late).chain(settles).chain(tells.filter_map(|name| self.due(name))).min()
    }
}

fn said(name: &str, check: &Check) -> String {
    format!("the health check of {name} does not pass: {}", check.failure.as_deref().unwrap_or("no answer yet"))
}
