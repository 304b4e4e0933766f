//! The task that watches the engine: its events, and from time to time everything it has.

use crate::labels::names;
use crate::service::Fact;
use futures_util::StreamExt;
use scs_ports::engine::{Engine, Labels};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Events say what happens at once; a look at everything finds what they missed. Three containers cost the engine 14 ms.
const LOOK: Duration = Duration::from_secs(30);
/// Pauses before an engine that does not answer is asked again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Watches until the receiver of facts is gone.
pub(crate) async fn run(engine: Arc<dyn Engine>, owner: String, look: Arc<Notify>, facts: mpsc::UnboundedSender<Fact>) {
    let labels: Labels = [(names::OWNER.to_owned(), owner)].into();
    let mut pause = PAUSE.0;
    loop {
        let failure = match watch(&*engine, &labels, &look, &facts, &mut pause).await {
            Ok(()) => "the engine closed its stream of events".to_owned(),
            Err(error) => crate::failure::chain(&error).join(": "),
        };
        if facts.send(Fact::EngineLost(failure)).is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

async fn watch(
    engine: &dyn Engine,
    labels: &Labels,
    look: &Notify,
    facts: &mpsc::UnboundedSender<Fact>,
    pause: &mut Duration,
) -> Result<(), scs_ports::engine::Error> {
    // Events first, so that nothing falls between the look and them.
    let mut events = engine.events(labels).await?;
    loop {
        let at = Instant::now().into_std();
        let containers = engine.containers(labels).await?;
        *pause = PAUSE.0;
        if facts.send(Fact::Listed { at, containers }).is_err() {
            return Ok(());
        }
        let next = tokio::time::sleep(LOOK);
        tokio::pin!(next);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => drop(facts.send(Fact::Event(event?))),
                    None => return Ok(()),
                },
                () = look.notified() => break,
                () = &mut next => break,
            }
        }
    }
}
