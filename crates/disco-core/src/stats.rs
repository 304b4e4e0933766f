//! Numbers for whoever keeps an eye on a server: counted as things happen, so that asking costs next to nothing.

use std::{collections::BTreeMap, time::Duration};

use disco_proto::{Code, Health, Limit, Reason};

use crate::{brake::BrakeView, core::Core, record::Record, registry::Applied};

/// What a server has and has done since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// The registry's revision.
    pub rev: u64,
    /// Whether it has heard of everyone since its start.
    pub complete: bool,
    /// The heartbeat that clients are told now.
    pub heartbeat: Duration,
    /// Connections, with or without a session.
    pub connections: usize,
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Sessions that are connected.
    pub connected: usize,
    /// What is provided.
    pub provisions: ProvisionStats,
    /// What is required.
    pub requirements: usize,
    /// Withdrawals that wait for their subscribers.
    pub drains: usize,
    /// The brake, while it is on.
    pub brake: Option<BrakeView>,
    /// How often the brake has come on.
    pub brakes: u64,
    /// Differences told to subscribers.
    pub deliveries: u64,
    /// Endpoints that went from the registry, by reason.
    pub drops: BTreeMap<Reason, u64>,
    /// Requests refused, by code, and by limit where it was one.
    pub refusals: BTreeMap<(Code, Option<Limit>), u64>,
}

/// What is provided; each is counted in one of the first four, and perhaps in the last as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProvisionStats {
    /// It works.
    pub passing: usize,
    /// It is about to go.
    pub draining: usize,
    /// It does not work.
    pub failing: usize,
    /// It comes from a snapshot and its provider has not said it again.
    pub unclaimed: usize,
    /// Of all of these, whose provider fell silent while too many did.
    pub suspect: usize,
}

impl ProvisionStats {
    /// How many provisions a change has made or unmade.
    fn count(&mut self, record: &Record, change: impl Fn(&mut usize)) {
        let leaving = record.leaving.is_some();
        change(match record.health {
            _ if record.unclaimed => &mut self.unclaimed,
            Health::Passing if !leaving => &mut self.passing,
            Health::Failing if !leaving => &mut self.failing,
            _ => &mut self.draining,
        });
        if record.suspect {
            change(&mut self.suspect);
        }
    }
}

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connected: usize,
    pub(crate) brakes: u64,
    pub(crate) deliveries: u64,
    provisions: ProvisionStats,
    drops: BTreeMap<Reason, u64>,
    refusals: BTreeMap<(Code, Option<Limit>), u64>,
}

impl Counters {
    pub(crate) fn refused(&mut self, code: Code, limit: Option<Limit>) {
        *self.refusals.entry((code, limit)).or_default() += 1;
    }

    pub(crate) fn committed(&mut self, applied: &Applied) {
        match applied {
            Applied::Put { before, now } => {
                if let Some(before) = before {
                    self.provisions.count(before, |number| *number -= 1);
                }
                self.provisions.count(now, |number| *number += 1);
            }
            Applied::Leaving { before, now } => {
                self.provisions.count(before, |number| *number -= 1);
                self.provisions.count(now, |number| *number += 1);
            }
            Applied::Removed(record, reason) => {
                self.provisions.count(record, |number| *number -= 1);
                *self.drops.entry(*reason).or_default() += 1;
            }
            Applied::Nothing => {}
        }
    }
}

impl Core {
    /// What this server has and has done since its start.
    pub fn stats(&self) -> Stats {
        Stats {
            rev: self.registry.rev,
            complete: !self.holding,
            heartbeat: self.heartbeat(),
            connections: self.conns.len(),
            sessions: self.sessions.len(),
            connected: self.counters.connected,
            provisions: self.counters.provisions,
            requirements: self.requirements.len(),
            drains: self.drains.len(),
            brake: self.brake.view(),
            brakes: self.counters.brakes,
            deliveries: self.counters.deliveries,
            drops: self.counters.drops.clone(),
            refusals: self.counters.refusals.clone(),
        }
    }
}
