//! `move`: an instance goes to another host, its data included. What is decided is decided by [`scs_plan::movement`]; here it is carried
//! out, one task a move, and gone on with after a restart of the server.

mod ask;
mod copying;
mod drain;
mod record;
mod run;

pub(super) use ask::along;

use crate::locks::Lock;
use crate::service::{Handle, Shared};
use crate::state::ServiceKey;
use scs_api::deploy::AbortRequest;
use scs_api::error::{Code, Problem};
use scs_plan::movement::{Input, Record};
use scs_plan::slot::Slot;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The moves of this process, to say something to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moves(Arc<Mutex<HashMap<Slot, mpsc::UnboundedSender<Input>>>>);

/// A move's place among those of this process, until dropped.
#[derive(Debug)]
struct Place {
    moves: Moves,
    slot: Slot,
    orders: mpsc::UnboundedReceiver<Input>,
}

impl Moves {
    fn enter(&self, slot: &Slot) -> Place {
        let (sender, orders) = mpsc::unbounded_channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(slot.clone(), sender);
        Place { moves: self.clone(), slot: slot.clone(), orders }
    }

    fn tell(&self, slot: &Slot, input: Input) -> bool {
        let moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moves.get(slot).is_some_and(|orders| orders.send(input).is_ok())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.moves.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.slot);
    }
}

impl Handle {
    /// Calls a move off, where that can still be done without losing anything. What becomes of it is told to whoever follows the move.
    pub async fn abort_move(
        &self,
        environment: &str,
        service: &str,
        role: &str,
        request: &AbortRequest,
    ) -> Result<(), Problem> {
        let service = ServiceKey::new(environment, service);
        let moves = self.shared.state.moves().await?;
        let of_role = |it: &&Record| service.holds(&it.slot) && it.slot.role == role;
        let mut found = moves.iter().filter(of_role).filter(|it| request.index.is_none_or(|at| at == it.slot.index));
        let Some(record) = found.next() else {
            return Err(Problem::new(Code::NotFound, format!("role {role} of {service} is not being moved")));
        };
        if request.assume_host_dead
            && let Some(member) = self.shared.fleet.members().get(&record.to)
            && member.silent().is_none()
        {
            let to = &record.to;
            let message = format!("host {to} is not known to be out of reach: what runs there can still write");
            return Err(Problem::new(Code::Conflict, message).hint(format!(
                "nothing was changed; `--abort` alone has {to} stop it first; or switch {to} off, and say so again"
            )));
        }
        let who = if request.caller.who.is_empty() { "somebody" } else { &request.caller.who };
        let told = self.shared.moves.tell(&record.slot, Input::AbortAsked(format!("{who} called it off")));
        if request.assume_host_dead {
            tracing::warn!(slot = %record.slot, host.id = record.to, who, "a host is said to be dead for good");
            self.shared.moves.tell(&record.slot, Input::TargetFenced);
        }
        told.then_some(()).ok_or_else(|| {
            Problem::new(Code::Failed, format!("the move of {} is not being worked on", record.slot))
                .hint("nothing was changed; it goes on once the server has started anew")
        })
    }
}

/// Goes on with every move that was under way when the server ended.
pub(super) async fn resume(handle: &Handle) {
    let moves = match handle.shared.state.moves().await {
        Ok(moves) => moves,
        Err(error) => {
            tracing::error!(%error, "moves that are under way cannot be found");
            return;
        }
    };
    for record in moves {
        let shared = handle.shared.clone();
        let place = shared.moves.enter(&record.slot);
        let lock = shared.locks.take(&service_of(&record.slot), &what(&record), &record.who).ok();
        shared.clone().spawn(async move {
            let Some(lock) = take(&shared, &record, lock).await else { return };
            // What became of it is in the log.
            let _ = run::run(&shared, record, &super::events::Events::nowhere(), place).await;
            drop(lock);
        });
    }
}

/// The lock of a move's service. Whoever has it was quicker than the start of the server, and cannot have changed what is moving.
async fn take(shared: &Arc<Shared>, record: &Record, mut lock: Option<Lock>) -> Option<Lock> {
    const PAUSE: Duration = Duration::from_millis(500);
    while lock.is_none() {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shared.stopping.cancelled() => return None,
        }
        lock = shared.locks.take(&service_of(&record.slot), &what(record), &record.who).ok();
    }
    lock
}

fn service_of(slot: &Slot) -> ServiceKey {
    ServiceKey::new(&slot.environment, &slot.service)
}

/// As it stands in the history.
fn what(record: &Record) -> String {
    format!("move {} to {}", record.slot.label(), record.to)
}

/// Refuses a change of a service of which something is being moved: places and permits are the move's until it ends.
pub(super) async fn refuse_moving(shared: &Shared, service: &ServiceKey) -> Result<(), Problem> {
    match shared.state.moves().await?.iter().find(|it| service.holds(&it.slot)) {
        Some(moving) => {
            let (slot, to, who) = (&moving.slot, &moving.to, &moving.who);
            Err(Problem::new(Code::Locked, format!("{slot} is being moved to host {to} by {who}"))
                .hint("nothing was changed; try again when that has ended, or call it off with `scs move --abort`"))
        }
        None => Ok(()),
    }
}
