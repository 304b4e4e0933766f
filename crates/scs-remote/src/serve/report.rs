//! The one stream that is always open: reports, output, and beats between them.

use super::Api;
use crate::wire::Line;
use axum::extract::State;
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use scs_api::agent::HostReport;
use scs_control::agents::{Agent, OutputLine};
use scs_control::api::answer;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior};

pub(super) async fn follow(State(api): State<Api>) -> Response {
    let mut reports = api.agent.report();
    // The newest one is the first line.
    reports.mark_changed();
    let mut asking = tokio::time::interval(api.beat);
    // Questions that were not asked in time are not made up for.
    asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let output = Some(api.agent.output());
    let lines = lines(Sources { agent: api.agent.clone(), reports, output, asking, beat: api.beat });
    answer::lines(lines.take_until(api.shutdown.cancelled_owned()))
}

struct Sources {
    agent: Arc<dyn Agent>,
    /// When to ask for a lease.
    asking: Interval,
    reports: watch::Receiver<HostReport>,
    output: Option<broadcast::Receiver<OutputLine>>,
    beat: Duration,
}

/// Reports go first: while the reader is slow, output is what gets lost, and of reports only the newest is told.
fn lines(sources: Sources) -> impl Stream<Item = Line> + Send {
    stream::unfold(sources, |mut sources| async move {
        let beat = sources.beat;
        let said = tokio::time::timeout(beat, next(&mut sources)).await;
        Some((said.unwrap_or(Some(Line::Beat))?, sources))
    })
}

/// `None` once the agent has ended.
async fn next(sources: &mut Sources) -> Option<Line> {
    loop {
        tokio::select! {
            biased;
            // First, and rarely: however much there is to say, a lease does not end for want of a question.
            _ = sources.asking.tick() => if let Some(question) = sources.agent.ask_lease().await {
                return Some(Line::Lease(question));
            },
            changed = sources.reports.changed() => {
                changed.ok()?;
                return Some(Line::Report(Box::new(sources.reports.borrow_and_update().clone())));
            }
            line = async { match &mut sources.output { Some(output) => output.recv().await, None => std::future::pending().await } } => {
                match line {
                    Ok(line) => return Some(Line::Output(line)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => sources.output = None,
                }
            }
        }
    }
}
