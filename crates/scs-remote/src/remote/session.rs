//! Streams that have to say how they end.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use scs_api::deploy::Event;
use scs_api::error::Problem;
use scs_client::{Error, Receiver, Sender};
use scs_control::agents::{ExecInput, ExecOutput, ExecSession};
use tokio::sync::mpsc;

/// Pieces of input that wait for the network.
const INPUT: usize = 16;

/// Events up to the last one, which says how it went also where the connection broke before.
pub(super) fn to_the_end(
    events: BoxStream<'static, Result<Event, Error>>,
    cut_short: impl FnOnce() -> Problem + Send + 'static,
) -> BoxStream<'static, Event> {
    stream::unfold(Some((events, cut_short)), |state| async move {
        let (mut events, cut_short) = state?;
        match events.next().await {
            Some(Ok(event @ (Event::Done { .. } | Event::Failed { .. }))) => Some((event, None)),
            Some(Ok(event)) => Some((event, Some((events, cut_short)))),
            Some(Err(error)) => Some((Event::Failed { problem: error.into() }, None)),
            None => Some((Event::Failed { problem: cut_short() }, None)),
        }
    })
    .boxed()
}

/// A session over a connection; dropping both its ends drops that.
pub(super) fn of(mut sender: Sender, receiver: Receiver) -> ExecSession {
    let (input, mut inputs) = mpsc::channel::<ExecInput>(INPUT);
    tokio::spawn(async move {
        while let Some(input) = inputs.recv().await {
            if !sender.send(&input).await {
                return;
            }
        }
    });
    let output = stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        let output = receiver.next().await.unwrap_or_else(|error| ExecOutput::Failed(error.into()));
        let rest = (!output.is_last()).then_some(receiver);
        Some((output, rest))
    });
    ExecSession { input, output: output.boxed() }
}
