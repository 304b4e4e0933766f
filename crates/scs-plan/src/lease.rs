//! Leases: how long a host may run what says `fence: lease` without hearing of its server, and when the server may let another host run it.
//!
//! The host counts from before it asked, the server from when it answered; so whatever the network did to question and answer, and
//! though the two never compare clocks, a lease has ended at the host before it has at the server. What lies between is [`MARGIN`]: for
//! clocks that run at different speeds, and for the time that killing takes.

use crate::slot::Slot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How long a lease lasts. Long enough for an agent or a server to be started anew meanwhile.
pub const LENGTH: Duration = Duration::from_secs(15);

/// How much longer the server waits before it passes on what a host held by lease.
pub const MARGIN: Duration = Duration::from_secs(3);

/// What has to be left of a lease for a container to be started by it: less, and it could end while it starts.
pub const ENOUGH: Duration = Duration::from_secs(5);

/// Questions that may be open at once; older ones are not worth an answer any more.
const OPEN: usize = 16;

/// The host's side. Times are durations on a clock that never stops nor goes back, such as that since boot.
#[derive(Debug, Default)]
pub struct Holder {
    next: u64,
    asked: VecDeque<(u64, Duration)>,
    until: BTreeMap<Slot, Duration>,
}

impl Holder {
    /// A holder of nothing. `first` is the number of its first question, and differs from one start to the next: an answer to a question
    /// of an earlier one is nobody's.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self { next: first, ..Self::default() }
    }

    /// Asks for a lease, at this time: the number of the question.
    pub fn ask(&mut self, now: Duration) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.asked.push_back((number, now));
        if self.asked.len() > OPEN {
            self.asked.pop_front();
        }
        number
    }

    /// A question was answered: these slots are held for [`LENGTH`] from when it was asked. `None` where nothing is known of the question,
    /// or so much time has passed that the answer is worth nothing. A lease never gets shorter by an answer.
    pub fn answered(&mut self, number: u64, slots: &BTreeSet<Slot>, now: Duration) -> Option<Duration> {
        let (_, asked) = *self.asked.iter().find(|(it, _)| *it == number)?;
        // Answers to older questions say nothing new.
        self.asked.retain(|(_, at)| *at > asked);
        let until = asked + LENGTH;
        if until <= now {
            return None;
        }
        for slot in slots {
            let held = self.until.entry(slot.clone()).or_insert(until);
            *held = until.max(*held);
        }
        self.until.retain(|_, until| *until > now);
        Some(until)
    }

    /// Until when a slot is held; `None` where it is not, or not any more.
    #[must_use]
    pub fn until(&self, slot: &Slot, now: Duration) -> Option<Duration> {
        self.until.get(slot).copied().filter(|until| *until > now)
    }

    /// Whether a container of a slot may be started.
    #[must_use]
    pub fn may_start(&self, slot: &Slot, now: Duration) -> bool {
        self.until(slot, now).is_some_and(|until| until - now >= ENOUGH)
    }
}

/// The server's side: what it has answered.
#[derive(Debug)]
pub struct Granted {
    lasts: Duration,
    /// Before that a server granted nobody knows what.
    since: Instant,
    hosts: BTreeMap<String, Instant>,
}

impl Granted {
    /// By a server that starts now: an earlier one may just have granted a lease to everybody. A lease counts as ended once it was granted
    /// so long ago: [`LENGTH`] and [`MARGIN`], unless a test is in a hurry.
    #[must_use]
    pub fn new(lasts: Duration, now: Instant) -> Self {
        Self { lasts, since: now, hosts: BTreeMap::new() }
    }

    /// A host is granted a lease. To be noted before the answer leaves.
    pub fn grant(&mut self, host: &str, now: Instant) {
        self.hosts.insert(host.to_owned(), now);
    }

    /// How long every lease of a host may still last: zero once each has ended, whatever the host knows.
    #[must_use]
    pub fn left(&self, host: &str, now: Instant) -> Duration {
        let last = self.hosts.get(host).copied().unwrap_or(self.since).max(self.since);
        self.lasts.saturating_sub(now.saturating_duration_since(last))
    }
}
