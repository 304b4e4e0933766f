//! The tasks of each host, which hand out its assignments and take in its reports: they come and go as hosts do.

use super::{Shared, absorb, assign, lease};
use crate::agents::Agent;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinSet};

/// What runs for a host.
struct Running {
    agent: Arc<dyn Agent>,
    tasks: [AbortHandle; 3],
}

/// Runs them until the control plane stops, and has then waited for their ends. Ends earlier only where a task of a host has ended by a
/// defect.
pub(super) async fn keep_hosts(shared: Arc<Shared>) {
    let mut hosts = shared.fleet.subscribe();
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    loop {
        let members = hosts.borrow_and_update().clone();
        running.retain(|name, it| {
            let stays = members.get(name).is_some_and(|member| Arc::ptr_eq(&member.agent, &it.agent));
            if !stays {
                it.tasks.iter().for_each(AbortHandle::abort);
                shared.refusals.send_if_modified(|all| all.remove(name).is_some());
            }
            stays
        });
        for (name, member) in members.iter() {
            running.entry(name.clone()).or_insert_with(|| Running {
                agent: member.agent.clone(),
                tasks: [
                    tasks.spawn(assign::keep_assigned(shared.clone(), member.agent.clone())),
                    tasks.spawn(absorb::keep_absorbing(shared.clone(), member.agent.clone())),
                    tasks.spawn(lease::keep_leased(shared.clone(), member.agent.clone())),
                ],
            });
        }
        loop {
            tokio::select! {
                () = shared.stopping.cancelled() => {
                    while tasks.join_next().await.is_some() {}
                    return;
                }
                changed = hosts.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
                Some(ended) = tasks.join_next() => match ended {
                    Err(error) if error.is_panic() => {
                        tracing::error!(%error, "a task of a host stopped");
                        return;
                    }
                    // Of a host that has gone.
                    _ => {}
                },
            }
        }
    }
}
