//! Looking into a running server.

use std::sync::Arc;

use disco_core::{Attributes, Filter, RegistryView, Stats, Verdict};
use disco_proto::{Endpoint, Query};
use tokio::sync::{mpsc, oneshot};

use crate::{
    registry::Event,
    watch::{Changes, Present},
};

/// A cheap, cloneable way to look into the registry.
#[derive(Debug, Clone)]
pub struct Handle {
    events: mpsc::WeakSender<Event>,
}

/// The server has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disco server has ended")]
pub struct Ended;

impl Handle {
    pub(crate) fn new(events: &mpsc::Sender<Event>) -> Self {
        Self { events: events.downgrade() }
    }

    /// Everything the registry knows now: who provides, who requires, what each was told and has applied, and why not the others.
    pub async fn snapshot(&self) -> Result<RegistryView, Ended> {
        self.ask(Event::View).await
    }

    /// Says of every provider of a name, in whatever role, whether a subscriber with these attributes would get it, and why not.
    pub async fn explain(&self, query: Query, attributes: Attributes) -> Result<Vec<(Arc<Endpoint>, Verdict)>, Ended> {
        self.ask(|reply| Event::Explain(Box::new(query), attributes, reply)).await
    }

    /// Part of the registry, and every change of it from there on, in order and without a gap.
    pub async fn watch(&self, filter: Filter) -> Result<(Present, Changes), Ended> {
        let (present, changes) = self.ask(|reply| Event::Watch(filter.clone(), reply)).await?;
        Ok((present, Changes::new(filter, changes)))
    }

    /// Numbers: what there is, and what has happened. Cheap for the registry, however large it is.
    pub async fn stats(&self) -> Result<Stats, Ended> {
        self.ask(Event::Stats).await
    }

    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> Result<T, Ended> {
        let (reply, answer) = oneshot::channel();
        let events = self.events.upgrade().ok_or(Ended)?;
        events.send(event(reply)).await.map_err(|_| Ended)?;
        answer.await.map_err(|_| Ended)
    }
}
