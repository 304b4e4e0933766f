//! What others see of the slots, made anew after every fact: the report, where lines are read, and what the watchdog watches.

use super::Service;
use crate::logs::Source;
use crate::report;
use crate::slots::Held;
use scs_plan::slot::Slot;
use std::sync::Arc;
use tokio::time::Instant;

impl Service {
    /// What runs by lease is the watchdog's, from before it starts until it has ended; what runs without is not.
    fn keep_leases(&self) {
        let leases = &self.hands.leases;
        // Not known of what was to go when the agent was started anew: such a container stays the watchdog's until it has ended.
        let leased = |held: &Held| held.assignment.as_ref().map(|it| it.leased);
        leases.want(self.slots.values().any(|held| leased(held) == Some(true) && !held.tombstoned));
        for (slot, held) in &self.slots {
            for (instance, known) in &held.containers {
                match (leased(held).filter(|_| !known.ended), leases.has(&known.id)) {
                    (Some(false), true) => leases.forget(&known.id),
                    (None, true) if known.ended => leases.forget(&known.id),
                    // It was started before the role was to run by lease. Until there is one, it runs as it did.
                    (Some(true), false) => drop(leases.add(slot, &known.id, &self.hands.files(instance).scs())),
                    _ => {}
                }
            }
        }
    }

    /// Whether nothing of a slot can outlive its lease.
    fn is_leased(&self, slot: &Slot) -> bool {
        self.slots.get(slot).is_some_and(|held| {
            let watched = |known: &crate::slots::Known| known.ended || self.hands.leases.has(&known.id);
            self.listed && held.assignment.as_ref().is_some_and(|it| it.leased) && held.containers.values().all(watched)
        })
    }

    pub(super) fn publish(&mut self) {
        self.keep_leases();
        let problems = self.engine_lost.iter().cloned().collect();
        let now = Instant::now().into_std();
        let options = self.hands.options.clone();
        let mut report = report::host(&options, self.store.revision, &mut self.slots, problems, self.clock, now);
        for slot in &mut report.slots {
            slot.leased = self.is_leased(&slot.slot);
        }
        let sources = self.slots.iter().flat_map(|(slot, held)| {
            let mut known: Vec<_> = held.containers.iter().collect();
            known.sort_by_key(|(_, known)| known.started);
            known.into_iter().map(|(instance, known)| Source {
                slot: slot.clone(),
                instance: instance.clone(),
                container: known.id.clone(),
                ended: known.ended,
                grown: held.logs.get(instance).map(|following| following.grown.clone()),
            })
        });
        let sources: Vec<Source> = sources.collect();
        self.sources.send_if_modified(|old| {
            let changed = **old != sources;
            if changed {
                *old = Arc::new(sources);
            }
            changed
        });
        // After the sources of lines: whoever hears that a container has ended reads what it wrote at once.
        self.report.send_if_modified(|old| {
            let changed = *old != report;
            *old = report;
            changed
        });
    }
}
