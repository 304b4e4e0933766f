//! Deadlines, soonest first.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use crate::{
    input::{Conn, Time},
    registry::TopicId,
    requirements::RequirementId,
    session::SessionId,
};

/// What a deadline is about. Whoever it concerns looks for itself whether it still holds, so none is ever taken back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A connection has not opened a session.
    Conn(Conn),
    /// A session may have fallen silent, or been away for too long.
    Session(SessionId),
    /// What a resumed session has not required again may go.
    Claim(SessionId),
    /// A drain may have waited long enough.
    Drain(u64),
    /// A leaving provision's time may be over.
    Leaving(TopicId, Arc<str>),
    /// A better tier may have been there for long enough.
    Failback(RequirementId),
    /// Why something went may have been remembered for long enough.
    Departed(TopicId),
    /// The hold after the start may be over.
    Hold,
    /// A window of the brake is over.
    Brake,
    /// A look at the clock, so that a pause of this process itself is noticed.
    Pulse,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Time, Timer)>>);

impl Timers {
    pub(crate) fn at(&mut self, time: Time, timer: Timer) {
        self.0.push(Reverse((time, timer)));
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.0.peek().map(|Reverse((time, _))| *time)
    }

    /// The soonest, if it is due.
    pub(crate) fn due(&mut self, now: Time) -> Option<(Time, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }
}
