//! What all changes share: following their events to the end.

use super::Context;
use crate::client::Client;
use crate::exit::Failure;
use crate::output::NAME;
use crate::output::progress::Progress;
use futures_util::StreamExt as _;
use hyper::Method;
use scs_api::deploy::{Address, Event};
use serde::Serialize;
use std::time::Instant;

/// How a change ended.
#[derive(Debug, Serialize)]
pub struct Done {
    /// Revision that is now desired.
    pub revision: u64,
    /// Where things can be reached.
    pub addresses: Vec<Address>,
}

/// Asks for a change and shows its events until it is done.
///
/// # Errors
/// Where it did not come to be, or Ctrl-C was pressed.
pub async fn follow(
    context: &Context,
    client: &Client,
    path: &str,
    body: &impl Serialize,
    heading: &str,
) -> Result<Done, Failure> {
    follow_as(context, client, Method::POST, path, Some(body), heading).await
}

/// The same with another method.
///
/// # Errors
/// Where it did not come to be, or Ctrl-C was pressed.
pub async fn follow_as(
    context: &Context,
    client: &Client,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
    heading: &str,
) -> Result<Done, Failure> {
    let mut events = client.stream::<Event>(method, path, body).await?;
    let mut progress = Progress::new(context.printer, heading);
    // One for all rounds: a signal between two of them must not get lost.
    let mut interrupted = std::pin::pin!(interrupt());
    let outcome = loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut interrupted => break Err(Failure::Interrupted),
        };
        match event {
            Some(Ok(Event::Done { revision, addresses })) => break Ok(Done { revision, addresses }),
            Some(Ok(Event::Failed { problem })) => break Err(problem.into()),
            Some(Ok(event)) => progress.event(&event),
            Some(Err(error)) => break Err(error.into()),
            None => {
                break Err(Failure::unavailable("`scs dev` ended before it was done")
                    .hint("containers keep running; run the same command again"));
            }
        }
    };
    progress.finish(outcome.is_ok());
    outcome
}

/// Says where things can be reached.
pub fn show_addresses(context: &Context, addresses: &[Address]) {
    let width = addresses.iter().map(|address| address.role.len() + address.endpoint.len() + 1).max().unwrap_or(0);
    for address in addresses {
        let name = format!("{}/{}", address.role, address.endpoint);
        let name = format!("{name:<width$}");
        context.printer.note(format!(" {}  {}", context.printer.err(NAME, name), address.address));
    }
}

/// How long something took, as a note.
pub fn took(since: Instant) -> String {
    crate::output::text::took(since.elapsed())
}

/// Ctrl-C, or the polite request to end.
pub async fn interrupt() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
