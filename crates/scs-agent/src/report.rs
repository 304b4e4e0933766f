//! What the agent says of its host.

use crate::options::Options;
use crate::slots::Held;
use scs_api::agent::{
    Applied, ContainerReport, HostReport, LiveUpdateReport, ProvideReport, RequirementReport, SlotReport, VolumeReport,
};
use scs_plan::lifecycle::{Connection, LiveRecord, Report, Shown};
use scs_plan::slot::Slot;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

/// A moment on both clocks, so that every moment is shown the same each time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) instant: Instant,
    pub(crate) system: SystemTime,
}

impl Clock {
    fn show(&self, at: Instant) -> SystemTime {
        self.system + at.saturating_duration_since(self.instant)
    }
}

/// Builds the report of a host.
pub(crate) fn host(
    options: &Options,
    revision: u64,
    slots: &mut BTreeMap<Slot, Held>,
    problems: Vec<String>,
    clock: Clock,
    now: Instant,
) -> HostReport {
    let mut report = HostReport { host: options.host.clone(), revision, slots: Vec::new(), gone: Vec::new(), problems };
    for (slot, held) in slots {
        let said = held.life.report(now);
        if said.gone {
            report.gone.push(slot.clone());
        } else {
            report.slots.push(one(slot, held, said, clock, now));
        }
    }
    report
}

fn one(slot: &Slot, held: &mut Held, said: Report, clock: Clock, now: Instant) -> SlotReport {
    let since = match &held.since {
        Some((phase, message, since)) if *phase == said.phase && *message == said.message => *since,
        _ => clock.show(now),
    };
    held.since = Some((said.phase, said.message.clone(), since));
    let mut details = said.details;
    details.extend(held.refused.iter().map(|(endpoint, why)| format!("{endpoint} is not announced: {why}")));
    SlotReport {
        slot: slot.clone(),
        phase: said.phase,
        message: said.message,
        details,
        since,
        container: said.container.map(|shown| container(held, shown)),
        applied: said.applied.map(|(spec_digest, image_digest, generation)| Applied {
            spec_digest,
            image_digest,
            generation,
        }),
        restarts: said.restarts,
        served: said.served,
        leased: false,
        live_updates: said.live_updates.iter().map(|(name, record)| (name.clone(), live(record, clock))).collect(),
        requirements: said.requirements.into_iter().map(|(name, it)| (name, requirement(it, clock))).collect(),
        volumes: said
            .volumes
            .into_iter()
            .map(|(name, it)| (name, VolumeReport { method: it.method, place: it.place, epoch: it.epoch }))
            .collect(),
    }
}

fn requirement(it: Connection, clock: Clock) -> RequirementReport {
    RequirementReport {
        sees: it.sees,
        held_since: it.held.map(|(since, _)| clock.show(since)),
        held_because: it.held.and_then(|(_, why)| why).map(|why| why.to_string()),
        stale_since: it.stale,
        applied: it.applied,
        standing: it.standing,
    }
}

fn container(held: &Held, shown: Shown) -> ContainerReport {
    let provides = shown.provides.into_iter().filter_map(|(name, (published, failure))| {
        let address = shown.container.provides.get(&name)?;
        let failure = failure.or_else(|| held.refused.get(&name).cloned());
        let (address, local_address) = (address.announced.clone(), address.local.clone());
        Some((name, ProvideReport { address, local_address, published, failure }))
    });
    let provides = provides.collect();
    ContainerReport {
        instance: shown.instance,
        id: shown.container.id,
        name: shown.container.name,
        spec_digest: shown.spec_digest,
        image_digest: shown.image_digest,
        image: shown.container.image,
        started: shown.container.started,
        exit_code: shown.exit.and_then(|exit| exit.code),
        explained: shown.explained,
        provides,
    }
}

fn live(record: &LiveRecord, clock: Clock) -> LiveUpdateReport {
    let outcome = record.outcome.as_ref();
    let mut output = outcome.map(|outcome| outcome.output.clone()).unwrap_or_default();
    output.extend(outcome.and_then(|outcome| outcome.failure.clone()));
    LiveUpdateReport {
        at: clock.show(record.at),
        running: outcome.is_none(),
        exit_code: outcome.and_then(|outcome| outcome.code),
        took_ms: outcome.map_or(0, |outcome| u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX)),
        output,
        failures: record.failures,
    }
}
