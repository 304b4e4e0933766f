//! The task that speaks to discovery for all containers, in the order in which it is told to.

use crate::ports::Discovery;
use crate::service::Fact;
use disco_client::{Health, Name, Protocol, Provision, Reason, Withdraw};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use scs_plan::slot::Slot;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;

/// What discovery is told.
#[derive(Debug)]
pub(crate) enum Say {
    Provide { slot: Slot, endpoint: String, provision: Provision },
    Withdraw { slot: Slot, instance: String, names: Vec<Name>, how: Withdraw },
}

/// Pause before a request that panicked is made again.
const AGAIN: Duration = Duration::from_secs(1);

/// What became of a request.
enum Done {
    Told(Fact),
    /// An announcement that panicked, which is made again after a pause.
    Broken(u64, Announcement, String),
    Rested(u64, Announcement),
}

#[derive(Clone)]
struct Announcement {
    slot: Slot,
    endpoint: String,
    provision: Provision,
}

impl Announcement {
    fn told(&self, failure: Option<String>) -> Fact {
        let Self { slot, endpoint, provision } = self.clone();
        Fact::Provided { slot, instance: provision.instance, endpoint, failure }
    }

    fn about(&self) -> (Name, String) {
        (self.provision.name.clone(), self.provision.instance.clone())
    }
}

/// Each request is begun before the next is looked at, so that a withdrawal never overtakes what it withdraws, and none waits
/// for the answer to another. One that panicked is made again, unless a later one says something else of the endpoint.
pub(crate) async fn run(
    discovery: Arc<dyn Discovery>,
    mut orders: mpsc::UnboundedReceiver<Say>,
    facts: mpsc::UnboundedSender<Fact>,
) {
    let mut open: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
    // Number of the last request about an endpoint, as long as any is open.
    let mut latest: BTreeMap<(Name, String), u64> = BTreeMap::new();
    let mut number = 0;
    loop {
        let done = tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return };
                number += 1;
                let mut request = match order {
                    Say::Provide { slot, endpoint, provision } => {
                        let announcement = Announcement { slot, endpoint, provision };
                        latest.insert(announcement.about(), number);
                        announce(discovery.clone(), number, announcement).boxed()
                    }
                    Say::Withdraw { slot, instance, names, how } => {
                        latest.extend(names.iter().map(|name| ((name.clone(), instance.clone()), number)));
                        withdraw(discovery.clone(), slot, instance, names, how).map(Done::Told).boxed()
                    }
                };
                match futures_util::poll!(&mut request) {
                    Poll::Ready(done) => done,
                    Poll::Pending => {
                        open.push(request);
                        continue;
                    }
                }
            }
            Some(done) = open.next() => done,
        };
        match done {
            Done::Told(fact) => drop(facts.send(fact)),
            Done::Broken(number, announcement, failure) => {
                let _ = facts.send(announcement.told(Some(failure)));
                open.push(tokio::time::sleep(AGAIN).map(move |()| Done::Rested(number, announcement)).boxed());
            }
            Done::Rested(number, announcement) => {
                if latest.get(&announcement.about()) == Some(&number) {
                    open.push(announce(discovery.clone(), number, announcement).boxed());
                }
            }
        }
        if open.is_empty() {
            latest.clear();
        }
    }
}

async fn announce(discovery: Arc<dyn Discovery>, number: u64, announcement: Announcement) -> Done {
    match AssertUnwindSafe(discovery.provide(announcement.provision.clone())).catch_unwind().await {
        Ok(Ok(())) => Done::Told(announcement.told(None)),
        // Made again until somebody answers: discovery that was out of reach for a while says nothing by itself when it is back.
        Ok(Err(error)) => Done::Broken(number, announcement, crate::failure::chain(&*error).join(": ")),
        Err(payload) => Done::Broken(number, announcement, crate::failure::panicked(&*payload).message),
    }
}

async fn withdraw(
    discovery: Arc<dyn Discovery>,
    slot: Slot,
    instance: String,
    names: Vec<Name>,
    how: Withdraw,
) -> Fact {
    let one = async |name| loop {
        match AssertUnwindSafe(discovery.withdraw(name, &instance, how)).catch_unwind().await {
            Ok(result) => return result,
            // Nothing comes after a withdrawal, so it may be made as often as it takes.
            Err(payload) => {
                let error = crate::failure::panicked(&*payload).message;
                tracing::error!(%slot, %instance, error, "a withdrawal panicked; it is made again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    let results = join_all(names.iter().map(one)).await;
    let mut unapplied = Vec::new();
    for result in results {
        match result {
            Ok(names) => unapplied.extend(names),
            // Whoever cannot be asked cannot hold a container up: it is stopped all the same.
            Err(error) => {
                tracing::warn!(%instance, error = crate::failure::chain(&*error).join(": "), "withdrawn unheard")
            }
        }
    }
    Fact::Withdrawn { slot, instance, unapplied }
}

/// The attribute with the address over IPv6, `[host]:port`, of an endpoint that is reached over both.
pub(crate) const IPV6: &str = "ipv6";

/// How an endpoint is withdrawn.
pub(crate) fn how(reason: Reason, wait: Duration, successor_by: Option<Duration>) -> Withdraw {
    Withdraw { reason, wait: (!wait.is_zero()).then_some(wait), successor_by }
}

/// The endpoint of a slot.
pub(crate) fn name(slot: &Slot, endpoint: &str) -> Option<Name> {
    Name::new(&slot.environment, &slot.service, &slot.role, endpoint).ok()
}

/// A health check's word in discovery's words.
pub(crate) fn health(passing: bool) -> Health {
    if passing { Health::Passing } else { Health::Failing }
}

/// A transport in discovery's words.
pub(crate) fn protocol(protocol: scs_manifest::compiled::Protocol) -> Protocol {
    match protocol {
        scs_manifest::compiled::Protocol::Tcp => Protocol::Tcp,
        scs_manifest::compiled::Protocol::Udp => Protocol::Udp,
    }
}

/// A query in discovery's words.
pub(crate) fn query(query: &scs_manifest::compiled::Query, instance: Option<String>) -> disco_client::Query {
    use scs_manifest::compiled::Condition as Asked;
    let condition = |condition: &Asked| match condition {
        Asked::In(values) => disco_client::Condition::In(values.clone()),
        Asked::Not(values) => disco_client::Condition::Not(values.clone()),
        Asked::Exists(there) => disco_client::Condition::Exists(*there),
    };
    disco_client::Query {
        environment: query.environment.clone(),
        service: query.service.clone(),
        role: query.role.clone(),
        endpoint: query.endpoint.clone(),
        r#match: query.r#match.iter().map(|(name, it)| (name.clone(), condition(it))).collect(),
        prefer: query.prefer.clone(),
        instance,
    }
}
