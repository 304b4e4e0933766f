//! One subscription: from the server's differences to the subscriber's sets.

use std::{
    collections::{BTreeMap, VecDeque},
    time::SystemTime,
};

use disco_proto::{
    Code, Endpoint, Failure, Query, Reason, Version,
    message::{Change, Snapshot},
};
use tokio::sync::watch;

use crate::set::{EndpointSet, usability};

/// Drops that a set shows at most.
const GONE: usize = 256;

/// Differences that are remembered until they are applied. Forgetting one in the middle only means that the server hears of it with the
/// next one.
const MARKS: usize = 64;

#[derive(Debug)]
pub(crate) struct Requirement {
    pub(crate) generation: u64,
    pub(crate) query: Query,
    sets: watch::Sender<EndpointSet>,
    /// What the subscriber has, by `role/instance`.
    endpoints: BTreeMap<String, Endpoint>,
    /// The server's last `seq`; `None` while it has not answered on this connection.
    wire: Option<u64>,
    /// The subscriber's own `seq`.
    seq: u64,
    applied: u64,
    /// Which `seq` of the subscriber's covers which of the server's, both growing.
    marks: VecDeque<(u64, u64)>,
    gone: VecDeque<(u64, Endpoint, Reason)>,
}

impl Requirement {
    pub(crate) fn new(generation: u64, query: Query, sets: watch::Sender<EndpointSet>) -> Self {
        let (seq, endpoints) = {
            let first = sets.borrow();
            (first.seq, first.endpoints.iter().map(|endpoint| (endpoint.key(), endpoint.clone())).collect())
        };
        Self {
            generation,
            query,
            sets,
            endpoints,
            wire: None,
            seq,
            applied: 0,
            marks: VecDeque::new(),
            gone: VecDeque::new(),
        }
    }

    /// What the subscriber has, as the server wants to hear it.
    pub(crate) fn known(&self) -> BTreeMap<String, Version> {
        self.endpoints.iter().map(|(key, endpoint)| (key.clone(), endpoint.version)).collect()
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let mut endpoints: Vec<Endpoint> = self.endpoints.values().cloned().collect();
        // A server sends one tier of preference only. Within it: what works first, then the oldest, so that the first one does not change
        // without need (instances are ordered by age if their ids are).
        endpoints
            .sort_by(|a, b| (usability(a), &a.instance, &a.name.role).cmp(&(usability(b), &b.instance, &b.name.role)));
        endpoints
    }

    pub(crate) fn revision(&self) -> u64 {
        self.sets.borrow().revision
    }

    /// Whether a server confirms the set at this moment.
    pub(crate) fn confirmed(&self) -> bool {
        self.wire.is_some()
    }

    /// The connection ended; what is known stays, marked.
    pub(crate) fn disconnected(&mut self, now: SystemTime) {
        self.wire = None;
        self.marks.clear();
        self.sets.send_if_modified(|set| {
            let marked = set.stale_since.is_none() && set.complete | !set.endpoints.is_empty();
            if marked {
                set.stale_since = Some(now);
                set.complete = false;
            }
            marked
        });
    }

    /// The server refuses to answer `require`.
    pub(crate) fn refused(&self, failure: Failure) {
        self.sets.send_modify(|set| set.refused = Some(failure));
    }

    /// The server's answer to `require`.
    pub(crate) fn answered(&mut self, change: Change) {
        self.wire = Some(change.seq);
        self.marks.clear();
        self.apply(change);
    }

    /// A later difference. `Err` when it does not follow the one before: something was lost.
    pub(crate) fn changed(&mut self, change: Change) -> Result<(), Failure> {
        let Some(wire) = self.wire else {
            // Meant for what was required before under the same id; the answer to the new requirement is still to come.
            return Ok(());
        };
        if change.seq != wire + 1 {
            return Err(Failure::new(Code::Gap, format!("{} follows {wire}", change.seq)));
        }
        self.wire = Some(change.seq);
        self.apply(change);
        Ok(())
    }

    /// The whole set anew.
    pub(crate) fn snapshot(&mut self, snapshot: Snapshot) {
        let Snapshot { seq, rev, complete, endpoints, .. } = snapshot;
        self.wire = Some(seq);
        self.marks.clear();
        let before = std::mem::take(&mut self.endpoints);
        self.endpoints = endpoints.iter().map(|endpoint| (endpoint.key(), Endpoint::clone(endpoint))).collect();
        let differs = before != self.endpoints;
        let lost: Vec<Endpoint> =
            before.into_iter().filter(|(key, _)| !self.endpoints.contains_key(key)).map(|(_, gone)| gone).collect();
        self.seq += u64::from(differs);
        for endpoint in lost {
            self.lose(endpoint, Reason::Unmatched);
        }
        self.publish(rev, complete);
        self.mark(seq);
    }

    fn apply(&mut self, change: Change) {
        let Change { seq, rev, complete, add, update, drop } = change;
        let mut differs = false;
        let mut lost = Vec::new();
        for gone in drop {
            if let Some(endpoint) = self.endpoints.remove(&gone.key) {
                differs = true;
                lost.push((endpoint, gone.reason));
            }
        }
        for endpoint in add.iter().chain(&update) {
            let before = self.endpoints.insert(endpoint.key(), Endpoint::clone(endpoint));
            differs |= before.as_ref() != Some(&**endpoint);
        }
        self.seq += u64::from(differs);
        for (endpoint, reason) in lost {
            self.lose(endpoint, reason);
        }
        let endpoints = &self.endpoints;
        self.gone.retain(|(_, endpoint, _)| !endpoints.contains_key(&endpoint.key()));
        self.publish(rev, complete);
        self.mark(seq);
    }

    fn lose(&mut self, endpoint: Endpoint, reason: Reason) {
        let key = endpoint.key();
        self.gone.retain(|(_, other, _)| other.key() != key);
        if self.gone.len() == GONE {
            self.gone.pop_front();
        }
        self.gone.push_back((self.seq, endpoint, reason));
    }

    fn publish(&self, revision: u64, complete: bool) {
        let set = EndpointSet {
            seq: self.seq,
            revision,
            endpoints: self.endpoints(),
            complete,
            stale_since: None,
            gone: self.gone.iter().map(|(_, endpoint, reason)| (endpoint.clone(), *reason)).collect(),
            refused: None,
        };
        self.sets.send_if_modified(|before| {
            // A new revision alone is no news.
            let differs = (before.seq, before.complete, before.stale_since) != (set.seq, set.complete, set.stale_since)
                || before.gone != set.gone
                || before.refused != set.refused;
            *before = set;
            differs
        });
    }

    fn mark(&mut self, wire: u64) {
        if self.marks.back().is_some_and(|(_, seq)| *seq == self.seq) {
            self.marks.pop_back();
        } else if self.marks.len() == MARKS {
            self.marks.remove(MARKS / 2);
        }
        self.marks.push_back((wire, self.seq));
    }

    /// The subscriber works with this set now.
    pub(crate) fn applied(&mut self, seq: u64) {
        self.applied = self.applied.max(seq.min(self.seq));
        let applied = self.applied;
        let before = self.gone.len();
        self.gone.retain(|(seq, ..)| *seq > applied);
        if self.gone.len() != before {
            // It knows: not worth waking it.
            self.sets.send_if_modified(|set| {
                set.gone = self.gone.iter().map(|(_, endpoint, reason)| (endpoint.clone(), *reason)).collect();
                false
            });
        }
    }

    /// The server's `seq` that is applied now and was not told yet.
    pub(crate) fn applied_on_wire(&mut self) -> Option<u64> {
        let mut applied = None;
        while let Some((wire, seq)) = self.marks.front()
            && *seq <= self.applied
        {
            applied = Some(*wire);
            self.marks.pop_front();
        }
        applied
    }
}
