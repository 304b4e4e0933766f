//! Leases: hosts that run what says `fence: lease` ask for one every second, and are answered what they may run meanwhile.
//!
//! An answer and the passing on of what a host held exclude each other: what has passed on is in no later answer, and nothing passes on
//! within the time of an answer that was given.

use super::{Shared, assign};
use crate::agents::Agent;
use crate::state::{Error, ServiceKey};
use scs_api::agent::LeaseGrant;
use scs_plan::lease::Granted;
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was granted.
#[derive(Debug)]
pub(crate) struct Leases {
    granted: Mutex<Granted>,
    /// Held while an answer is made, or something passes on.
    turn: tokio::sync::Mutex<Known>,
}

/// What each host may run by lease, as of a revision of the assignments: they are not read anew for every question.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeMap<String, (u64, BTreeSet<Slot>)>);

impl Leases {
    /// None, though an earlier server may have granted some; they last so long.
    pub(crate) fn new(lasts: Duration) -> Self {
        Self { granted: Mutex::new(Granted::new(lasts, Instant::now())), turn: tokio::sync::Mutex::default() }
    }

    /// Keeps every answer back until dropped.
    pub(crate) async fn hold(&self) -> tokio::sync::MutexGuard<'_, Known> {
        self.turn.lock().await
    }

    /// How long what a host holds by lease may still run there.
    pub(crate) fn left(&self, host: &str) -> Duration {
        self.granted().left(host, Instant::now())
    }

    fn granted(&self) -> std::sync::MutexGuard<'_, Granted> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the questions of a host, until the control plane stops.
pub(super) async fn keep_leased(shared: Arc<Shared>, agent: Arc<dyn Agent>) {
    let mut questions = agent.questions();
    loop {
        let question = *questions.borrow_and_update();
        if let Some(question) = question {
            match answer(&shared, agent.host(), question).await {
                Ok(grant) => {
                    let Some(granted) = shared.unless_stopping(agent.lease(grant)).await else { return };
                    if let Err(error) = granted {
                        tracing::warn!(host.id = agent.host(), %error, "a lease could not be granted; the host asks again");
                    }
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(host.id = agent.host(), error, "what a host may run by lease is not known");
                }
            }
        }
        match shared.unless_stopping(questions.changed()).await {
            Some(Ok(())) => {}
            // It is in this process, and asks nothing.
            Some(Err(_)) => return shared.stopping.cancelled().await,
            None => return,
        }
    }
}

/// What a host may run, and that it was told so.
async fn answer(shared: &Shared, host: &str, question: u64) -> Result<LeaseGrant, Error> {
    let mut known = shared.leases.hold().await;
    let revision = shared.state.cluster().await?.revision;
    let slots = match known.0.get(host) {
        Some((of, slots)) if *of == revision => slots.clone(),
        _ => {
            let assignments = assign::for_host(shared, host).await?;
            // What is being stopped runs by lease, too, until it has.
            let mut slots: BTreeSet<Slot> =
                assignments.assignments.into_iter().filter(|it| it.leased).map(|it| it.slot).collect();
            slots.extend(ending(shared, host, assignments.tombstones).await?);
            known.0.insert(host.to_owned(), (assignments.revision, slots.clone()));
            slots
        }
    };
    shared.leases.granted().grant(host, Instant::now());
    Ok(LeaseGrant { question, slots })
}

/// Of slots that a host is to empty, those that no other host fills.
async fn ending(shared: &Shared, host: &str, tombstones: Vec<Slot>) -> Result<Vec<Slot>, Error> {
    let mut ending = Vec::new();
    for slot in tombstones {
        let service = ServiceKey { environment: slot.environment.clone(), service: slot.service.clone() };
        let record = shared.state.service(&service).await?;
        let elsewhere = record.and_then(|it| Some(it.host(&slot.role, slot.index)? != host)).unwrap_or(false);
        if !elsewhere {
            ending.push(slot);
        }
    }
    Ok(ending)
}
