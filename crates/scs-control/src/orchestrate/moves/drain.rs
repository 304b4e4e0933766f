//! `host drain`: everything that can leave a host does, one after the other; what cannot is said first.

use super::along;
use crate::orchestrate::events::{EventStream, Events};
use crate::orchestrate::planning::{Known, hosts};
use crate::service::{Handle, Shared};
use crate::state::{ServiceKey, Status, within};
use scs_api::deploy::Event;
use scs_api::error::{Code, Problem};
use scs_plan::placement::Placer;
use scs_plan::slot::Slot;
use std::sync::Arc;

/// What is on the host, and where it can go.
#[derive(Debug, Default)]
struct Ways {
    moves: Vec<(ServiceKey, Slot, String)>,
    /// What stays, and why.
    stays: Vec<String>,
}

impl Handle {
    /// Marks a host as one that takes nothing new, and moves what is there to others. It goes on when nobody reads the events, and ends
    /// with `Failed` where something stays.
    pub async fn drain_host(&self, host: &str, who: &str) -> Result<EventStream, Problem> {
        self.mark_drained(host, true).await?;
        let (shared, host, who) = (self.shared.clone(), host.to_owned(), who.to_owned());
        let ways = ways(&shared, &host).await?;
        let (events, stream) = Events::channel();
        shared.clone().spawn(async move {
            let left = leave(&shared, ways, &who, &events).await;
            let last = if left.is_empty() {
                Event::Done { revision: 0, addresses: Vec::new() }
            } else {
                let mut problem = Problem::new(Code::Failed, format!("host {host} still has {}", left.len()));
                problem.causes = left;
                Event::Failed { problem: problem.hint("it takes nothing new; `scs host undrain` undoes that") }
            };
            events.send(last).await;
        });
        Ok(stream)
    }
}

/// Where everything on a host can go, as its manifests place it among the other hosts.
async fn ways(shared: &Shared, host: &str) -> Result<Ways, Problem> {
    let hosts = hosts(shared, &shared.reports());
    let mut ways = Ways::default();
    for (service, record) in shared.state.services().await? {
        if record.status != Status::Up || !record.hosts.values().any(|it| it == host) {
            continue;
        }
        let known = Known::load(shared, &service, Some(record.clone())).await?;
        let Some(deployment) = known.deployment else { continue };
        let mut placer = Placer::new(&hosts);
        let slots = || deployment.roles.values().flat_map(|role| (0..role.replicas).map(move |index| (role, index)));
        // Those that stay where they are come first, so that the others spread beside them.
        for (role, index) in slots() {
            if let Some(at) = record.host(&role.name, index).filter(|at| *at != host) {
                placer.hold(&role.name, &role.placement, at);
            }
        }
        for (role, index) in
            slots().filter(|(role, index)| record.hosts.get(&within(&role.name, *index)).is_some_and(|it| it == host))
        {
            let slot = service.slot(&role.name, index);
            match placer.place(&role.name, &role.placement, None) {
                Ok(to) => ways.moves.push((service.clone(), slot, to.to_owned())),
                Err(why) => ways.stays.push(format!("{slot}: {why}")),
            }
        }
    }
    Ok(ways)
}

/// Moves what can be moved; gives what stays, and why.
async fn leave(shared: &Arc<Shared>, ways: Ways, who: &str, events: &Events) -> Vec<String> {
    let Ways { moves, mut stays } = ways;
    for message in &stays {
        events.send(Event::Warning { message: message.clone() }).await;
    }
    for (service, slot, to) in moves {
        let moved = match shared.locks.take(&service, &format!("move {} to {to}", slot.label()), who) {
            Ok(_lock) => along(shared, &service, &slot, to, who, events).await,
            Err(locked) => Err(locked),
        };
        match moved {
            Ok(Some(_)) => {}
            Ok(None) => stays.push(format!("{slot}: the server ended; it goes on when it is back")),
            Err(problem) => {
                let message = format!("{slot}: {problem}");
                events.send(Event::Warning { message: message.clone() }).await;
                stays.push(message);
            }
        }
    }
    stays
}
