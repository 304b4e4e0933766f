//! Follows a committed change until it has come to be.

use super::events::Events;
use crate::agents::Reachability;
use crate::fleet::Members;
use crate::progress::Tracker;
use crate::service::Shared;
use crate::state::ServiceKey;
use futures_util::future::select_all;
use scs_api::agent::{HostReport, Phase};
use scs_api::deploy::{Address, Event};
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::Deployment;
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

/// How a change ended.
#[derive(Debug)]
pub(super) enum Followed {
    Reached,
    Failed(Problem),
    /// Nobody wants to know any more; the change goes on without.
    Unread,
}

/// What wakes a follower; made before the change is committed, so that nothing that follows from it is missed.
pub(super) struct Ears {
    members: watch::Receiver<Members>,
    reports: Vec<watch::Receiver<HostReport>>,
    reachable: Vec<watch::Receiver<Reachability>>,
    changed: watch::Receiver<u64>,
    refusals: watch::Receiver<std::collections::BTreeMap<String, Problem>>,
    output: Vec<broadcast::Receiver<crate::agents::OutputLine>>,
}

impl Ears {
    pub(super) fn new(shared: &Shared) -> Self {
        let mut ears = Self {
            members: shared.fleet.subscribe(),
            reports: Vec::new(),
            reachable: Vec::new(),
            changed: shared.changed.subscribe(),
            refusals: shared.refusals.subscribe(),
            output: Vec::new(),
        };
        ears.listen();
        ears
    }

    /// Listens to the hosts there are now.
    fn listen(&mut self) {
        let members = self.members.borrow_and_update().clone();
        self.reports = members.values().map(|it| it.agent.report()).collect();
        self.reachable = members.values().map(|it| it.agent.reachable()).collect();
        self.output = members.values().map(|it| it.agent.output()).collect();
    }
}

/// Sends what happens until every goal is reached or given up. With `patient` it goes on though nobody reads.
pub(super) async fn follow(
    shared: &Shared,
    service: &ServiceKey,
    tracker: &mut Tracker,
    ears: &mut Ears,
    events: &Events,
    patient: bool,
) -> Followed {
    loop {
        if ears.members.has_changed().unwrap_or(false) {
            ears.listen();
        }
        for report in &mut ears.reports {
            report.borrow_and_update();
        }
        for reachable in &mut ears.reachable {
            reachable.borrow_and_update();
        }
        ears.changed.borrow_and_update();
        let refusals = ears.refusals.borrow_and_update().clone();
        let mut reports = shared.reports();
        let silent = shared.fleet.silent();
        for report in &mut reports {
            match silent.get(&report.host) {
                // What else is wrong with it nobody knows.
                Some(silent) => report.problems = vec![format!("it {silent}")],
                // That a host was not even told is trouble of that host.
                None => report.problems.extend(refusals.get(&report.host).map(ToString::to_string)),
            }
        }
        let open: HashSet<_> = match shared.state.tombstones(Some(service)).await {
            // One of a host that was given up for dead is kept for the case that it joins anew, and is not waited for.
            Ok(tombstones) => {
                let there = shared.fleet.members();
                tombstones.into_iter().filter(|(_, it)| there.contains_key(&it.host)).map(|(slot, _)| slot).collect()
            }
            Err(error) => return Followed::Failed(error.into()),
        };
        let mut out = Vec::new();
        tracker.observe(Instant::now().into_std(), &reports, &open, &mut out);
        for event in out {
            if !events.send(event).await && !patient {
                return Followed::Unread;
            }
        }
        match tracker.outcome() {
            Some(Ok(())) => return Followed::Reached,
            Some(Err(problem)) => return Followed::Failed(problem),
            None => {}
        }
        if !wake(tracker, service, ears, events, patient, shared).await {
            return Followed::Unread;
        }
    }
}

/// Waits until there is something to look at; false when that is no longer of interest.
async fn wake(
    tracker: &Tracker,
    service: &ServiceKey,
    ears: &mut Ears,
    events: &Events,
    patient: bool,
    shared: &Shared,
) -> bool {
    // Without a deadline a look now and then costs nothing and mends what no event tells.
    const AT_LEAST: Duration = Duration::from_secs(10);
    let deadline = tracker.next_deadline().map_or_else(|| Instant::now() + AT_LEAST, Instant::from_std);
    loop {
        let Ears { members, reports, reachable, changed, refusals, output } = ears;
        tokio::select! {
            line = next_line(output) => {
                if service.holds(&line.slot) && !events.send(Event::Output { slot: line.slot, line: line.line }).await && !patient {
                    return false;
                }
            }
            () = any(reports) => return true,
            () = any(reachable) => return true,
            () = ended_never(members) => return true,
            () = ended_never(changed) => return true,
            () = ended_never(refusals) => return true,
            () = tokio::time::sleep_until(deadline) => return true,
            () = events.reader_gone(), if !patient => return false,
            () = shared.stopping.cancelled() => return false,
        }
    }
}

/// A change of one of these.
pub(super) async fn any<T>(receivers: &mut [watch::Receiver<T>]) {
    if receivers.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(receivers.iter_mut().map(|it| Box::pin(ended_never(it)))).await;
}

/// A change of a watched value; a sender that has gone is one that never changes it again.
pub(super) async fn ended_never<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending().await
    }
}

async fn next_line(receivers: &mut [broadcast::Receiver<crate::agents::OutputLine>]) -> crate::agents::OutputLine {
    if receivers.is_empty() {
        std::future::pending::<()>().await;
    }
    let each = receivers.iter_mut().map(|receiver| {
        Box::pin(async {
            loop {
                match receiver.recv().await {
                    Ok(line) => return line,
                    // A reader that is too slow for a build's output loses lines of it, and nothing else.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        })
    });
    select_all(each).await.0
}

/// Where the provided services of a deployment can be reached: from this machine, or from where a host's address leads.
pub(super) fn addresses(shared: &Shared, service: &ServiceKey, deployment: &Deployment) -> Vec<Address> {
    let (reports, members) = (shared.reports(), shared.fleet.members());
    // What is bound to the loopback interface of another machine is of no use to anybody here.
    let elsewhere = |host: &str| members.get(host).is_some_and(|member| member.address.is_some());
    let here = reports.iter().flat_map(|report| report.slots.iter().map(|slot| (elsewhere(&report.host), slot)));
    let mut slots: Vec<_> = here.filter(|(_, it)| service.holds(&it.slot)).collect();
    slots.sort_by(|(_, a), (_, b)| a.slot.cmp(&b.slot));
    let mut addresses = Vec::new();
    for (role, endpoint, provide) in
        deployment.roles.values().flat_map(|role| role.provide.iter().map(move |(name, it)| (role, name, it)))
    {
        for (elsewhere, report) in slots.iter().filter(|(_, it)| it.slot.role == role.name) {
            // What has ended, e.g. where the role was before it moved, is reached no more.
            let container =
                report.container.as_ref().filter(|it| it.exit_code.is_none() && report.phase != Phase::Stopped);
            let Some(seen) = container.and_then(|it| it.provides.get(endpoint)) else { continue };
            addresses.push(Address {
                role: role.name.clone(),
                endpoint: endpoint.clone(),
                address: seen.local_address.clone().filter(|_| !elsewhere).unwrap_or_else(|| seen.address.clone()),
                fixed: provide.publish.port.is_some(),
            });
        }
    }
    addresses
}

/// The last event of a change.
pub(super) fn last(followed: Followed, revision: u64, addresses: impl FnOnce() -> Vec<Address>) -> Option<Event> {
    match followed {
        Followed::Reached => Some(Event::Done { revision, addresses: addresses() }),
        Followed::Failed(problem) => Some(Event::Failed { problem }),
        // The server ends, or the reader has; the first is the reader's to know.
        Followed::Unread => Some(Event::Failed {
            problem: Problem::new(Code::Failed, "the server ended before the change had come to be")
                .hint("it stays wanted, and goes on when the server is back"),
        }),
    }
}
