//! The brake on mass loss: when more than a few hosts fall silent together, most of them did not.
//!
//! At the first expiry the hosts are counted that nobody has heard of for two heartbeats. If there is more than one, and more of them than a
//! few in a hundred, what expires is kept as *suspect*, ranked below whatever is live, and given up slowly: at least one host a window, at
//! most those few in a hundred, and all that is left once the brake has been on for long enough or the others are back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use disco_proto::Reason;

use crate::{
    core::Core,
    input::{Alarm, Effect, Time},
    registry::Change,
    session::{Session, SessionId},
    timers::Timer,
};

/// Heartbeats of silence after which a host counts as overdue: one less than may be missed, so that those who fell silent together are
/// seen together.
const OVERDUE: u32 = 2;

#[derive(Debug, Default)]
pub(crate) struct Brake {
    on: Option<On>,
    /// When there was last no reason for it: expiries in the same moment need not count again.
    judged: Option<Time>,
    /// Sessions kept as suspect.
    suspects: BTreeSet<SessionId>,
}

#[derive(Debug)]
struct On {
    since: Time,
    evicted: usize,
    returned: usize,
}

/// The brake while it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrakeView {
    /// Since when.
    pub since: Time,
    /// Sessions whose endpoints are kept as suspect.
    pub suspects: usize,
    /// Sessions given up so far.
    pub evicted: usize,
}

impl Brake {
    pub(crate) fn view(&self) -> Option<BrakeView> {
        let on = self.on.as_ref()?;
        Some(BrakeView { since: on.since, suspects: self.suspects.len(), evicted: on.evicted })
    }

    /// A suspect session is back, or has nothing left.
    pub(crate) fn returned(&mut self, id: SessionId) -> bool {
        let was = self.suspects.remove(&id);
        if let Some(on) = self.on.as_mut().filter(|_| was) {
            on.returned += 1;
        }
        was
    }

    pub(crate) fn forget(&mut self, id: SessionId) {
        self.suspects.remove(&id);
    }
}

/// Hosts that provide something, and how many of them nobody has heard of for a while.
struct Census {
    overdue: usize,
    hosts: usize,
}

impl Core {
    /// A session's time is over: it ends, unless so many are over at once that it more likely has not.
    pub(crate) fn expire(&mut self, id: SessionId, reason: Reason, out: &mut Vec<Effect>) {
        let provides = self.sessions.get(&id).is_some_and(|session| !session.provisions.is_empty());
        if provides && self.braking(out) {
            self.suspect(id, out);
        } else {
            self.hang_up(id, out);
            self.end(id, reason, out);
        }
    }

    fn braking(&mut self, out: &mut Vec<Effect>) -> bool {
        if self.brake.on.is_some() {
            return true;
        }
        if self.brake.judged.is_some_and(|judged| self.now < judged + self.options.heartbeat / 4) {
            return false;
        }
        let census = self.census();
        if !self.too_many(&census) {
            self.brake.judged = Some(self.now);
            return false;
        }
        self.brake.on = Some(On { since: self.now, evicted: 0, returned: 0 });
        self.counters.brakes += 1;
        self.timers.at(self.now + self.options.brake.window, Timer::Brake);
        out.push(Effect::Alarm(Alarm::BrakeOn { overdue: census.overdue, hosts: census.hosts }));
        // All of them now, so that those who are a moment less late are not taken for live meanwhile.
        let provides = |session: &Session| !session.provisions.is_empty() && session.suspected.is_none();
        let all: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| provides(session) && self.overdue(session))
            .map(|(id, _)| *id)
            .collect();
        for id in all {
            self.suspect(id, out);
        }
        true
    }

    fn too_many(&self, census: &Census) -> bool {
        census.overdue > 1 && census.overdue * 100 > census.hosts * self.options.brake.percent
    }

    /// Counted anew each time, so that what has gone by then is in neither number.
    fn census(&self) -> Census {
        let mut hosts: BTreeMap<&str, bool> = BTreeMap::new();
        for session in self.sessions.values().filter(|session| !session.provisions.is_empty()) {
            *hosts.entry(&session.owner).or_insert(true) &= self.overdue(session);
        }
        Census { overdue: hosts.values().filter(|overdue| **overdue).count(), hosts: hosts.len() }
    }

    fn overdue(&self, session: &Session) -> bool {
        if session.suspected.is_some() {
            return true;
        }
        let silence = session.heartbeat * OVERDUE;
        match session.conn {
            Ok(conn) => {
                let heard = self.conns.get(&conn).map_or(self.now, |connection| connection.heard);
                heard + silence.max(session.parked.unwrap_or_default()) <= self.now
            }
            Err(since) => since + session.parked.unwrap_or(silence) <= self.now,
        }
    }

    /// Keeps what a session provides, marked. What it required it will require again if it comes back.
    fn suspect(&mut self, id: SessionId, out: &mut Vec<Effect>) {
        let session = &self.sessions[&id];
        if session.suspected.is_some() {
            return;
        }
        let over = self.deadline(session);
        self.hang_up(id, out);
        self.forget_requirements(id, out);
        let session = self.sessions.get_mut(&id).expect("just seen");
        session.suspected = Some(over);
        session.due = Time::MAX;
        self.brake.suspects.insert(id);
        self.mark(id, true, out);
    }

    /// Marks everything of a session as suspect, or as not.
    pub(crate) fn mark(&mut self, id: SessionId, suspect: bool, out: &mut Vec<Effect>) {
        let all = self.sessions[&id].provisions.clone();
        for (topic, key) in all {
            let there = self.registry.topic(topic);
            let Some(record) = there.record(&key) else { continue };
            let record = record.suspected(&there.name, suspect);
            self.commit(topic, Change::Put(record), out);
            self.touch(topic, &key);
        }
    }

    /// A window is over: some are given up, or all that are left.
    pub(crate) fn brake_due(&mut self, out: &mut Vec<Effect>) {
        let Some(on) = &self.brake.on else { return };
        let over = on.since + self.options.brake.longest <= self.now;
        let census = self.census();
        let mut suspects: Vec<(Time, Arc<str>, SessionId, Reason)> = Vec::new();
        for id in &self.brake.suspects {
            let session = &self.sessions[id];
            if let Some((over, reason)) = session.suspected.filter(|(over, _)| *over <= self.now) {
                suspects.push((over, Arc::clone(&session.owner), *id, reason));
            }
        }
        suspects.sort();
        let allowed = if over || !self.too_many(&census) {
            suspects.len()
        } else {
            (census.hosts * self.options.brake.percent / 100).max(1)
        };
        let mut evicted: BTreeSet<Arc<str>> = BTreeSet::new();
        for (_, owner, id, reason) in suspects {
            if evicted.len() == allowed && !evicted.contains(&owner) {
                continue;
            }
            evicted.insert(owner);
            if let Some(on) = &mut self.brake.on {
                on.evicted += 1;
            }
            self.end(id, reason, out);
        }
        if self.brake.suspects.is_empty() {
            self.release(out);
        } else {
            self.timers.at(self.now + self.options.brake.window, Timer::Brake);
        }
    }

    /// Takes the brake off if nothing is suspect any more.
    pub(crate) fn release(&mut self, out: &mut Vec<Effect>) {
        if self.brake.suspects.is_empty()
            && let Some(On { evicted, returned, .. }) = self.brake.on.take()
        {
            out.push(Effect::Alarm(Alarm::BrakeOff { evicted, returned }));
        }
    }
}
