//! The stream of events that a change answers with.

use futures_util::stream::{BoxStream, StreamExt};
use scs_api::deploy::Event;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Events of a change, ending with `Done` or `Failed`.
pub type EventStream = BoxStream<'static, Event>;

/// How many events may wait for a slow reader; a build's output comes in bursts.
const WAITING: usize = 1024;
/// A reader that takes nothing for this long counts as gone: it must not hold up a change.
const READER_PATIENCE: Duration = Duration::from_secs(30);

/// The end into which a change puts its events.
#[derive(Debug, Clone)]
pub(crate) struct Events(Option<mpsc::Sender<Event>>);

impl Events {
    pub(crate) fn channel() -> (Self, EventStream) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(Some(sender)), ReceiverStream::new(receiver).boxed())
    }

    /// Events that nobody reads.
    pub(crate) fn nowhere() -> Self {
        Self(None)
    }

    /// Sends an event; false when nobody reads any more.
    pub(crate) async fn send(&self, event: Event) -> bool {
        match &self.0 {
            Some(sender) => sender.send_timeout(event, READER_PATIENCE).await.is_ok(),
            None => false,
        }
    }

    /// Done when the reader has gone; never for events that nobody was to read.
    pub(crate) async fn reader_gone(&self) {
        match &self.0 {
            Some(sender) => sender.closed().await,
            None => std::future::pending().await,
        }
    }
}
