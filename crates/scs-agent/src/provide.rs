//! The task that speaks to discovery for all containers, in the order in which it is told to.

use crate::ports::Discovery;
use crate::service::Fact;
use disco_client::{Health, Name, Protocol, Provision, Reason, Withdraw};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use scs_plan::slot::Slot;
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

/// Each request is begun before the next is looked at, so that a withdrawal never overtakes what it withdraws, and none waits
/// for the answer to another.
pub(crate) async fn run(
    discovery: Arc<dyn Discovery>,
    mut orders: mpsc::UnboundedReceiver<Say>,
    facts: mpsc::UnboundedSender<Fact>,
) {
    let mut open: FuturesUnordered<BoxFuture<'static, Fact>> = FuturesUnordered::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return };
                let mut request = carry_out(discovery.clone(), order).boxed();
                match futures_util::poll!(&mut request) {
                    Poll::Ready(fact) => drop(facts.send(fact)),
                    Poll::Pending => open.push(request),
                }
            }
            Some(fact) = open.next() => drop(facts.send(fact)),
        }
    }
}

async fn carry_out(discovery: Arc<dyn Discovery>, order: Say) -> Fact {
    match order {
        Say::Provide { slot, endpoint, provision } => {
            let instance = provision.instance.clone();
            let failure = match AssertUnwindSafe(discovery.provide(provision)).catch_unwind().await {
                Ok(result) => result.err().map(|error| crate::failure::chain(&*error).join(": ")),
                Err(payload) => Some(crate::failure::panicked(&*payload).message),
            };
            Fact::Provided { slot, instance, endpoint, failure }
        }
        Say::Withdraw { slot, instance, names, how } => {
            let withdraw = async |name| {
                let withdrawal = AssertUnwindSafe(discovery.withdraw(name, &instance, how)).catch_unwind().await;
                withdrawal.unwrap_or_else(|payload| Err(crate::failure::panicked(&*payload).message.into()))
            };
            let results = join_all(names.iter().map(withdraw)).await;
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
    }
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
