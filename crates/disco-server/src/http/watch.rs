//! `GET /v1/watch`: what is there, then every change of it, as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, State},
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use disco_core::{Filter, Grants};
use futures_util::{Stream, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Shared,
    listener::Peer,
    problem::Problem,
    routes::{Looked, looked, sees},
    types::{Change, Endpoints, Which},
};
use crate::{Changes, Missed, Present, admit::changed};

/// How often something is said when there is nothing to say, so that proxies keep the connection and a dead one is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client should wait before it comes back.
const RETRY: Duration = Duration::from_secs(1);

/// That the watcher was too slow, or that nothing happened while it was away.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Note {
    /// In words.
    message: &'static str,
}

/// What is there, then every change
///
/// Server-sent events. `present` comes first and holds all endpoints (`Endpoints`); each `change` (`Change`) follows from it. A watcher that is
/// too slow gets `reset`, and `present` again. The id of each event is `EPOCH.REV`; with it in `Last-Event-ID`, and nothing changed since,
/// `unchanged` comes in place of `present`. A comment comes every 15 s.
#[utoipa::path(get, path = "/v1/watch", tag = "registry", params(Which,
    ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was seen")), responses(
    (status = 200, description = "Events without an end", body = Change, content_type = "text/event-stream"),
    (status = 400, description = "`invalid_params`", body = Problem),
    (status = 503, description = "`unavailable`", body = Problem),
))]
pub(super) async fn watch(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    query: Looked<Which>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let filter: Filter = looked(query)?.into();
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let grants = peer.grants()?;
    // The first look is taken before the answer begins, so that a server that cannot gives an error and not an empty stream.
    let first = shared.handle.watch(filter.clone()).await?;
    let watcher =
        Watcher { shared, filter, grants, news: peer.changes(), peer, known, look: Some(first), changes: None };
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok(event), watcher))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Watcher {
    shared: Arc<Shared>,
    filter: Filter,
    peer: Peer,
    /// What the peer may see.
    grants: Grants,
    /// Says when that may have changed.
    news: Option<tokio::sync::watch::Receiver<u64>>,
    /// What the client has seen, in its words.
    known: Option<String>,
    /// What is to be told first.
    look: Option<(Present, Changes)>,
    /// `None` after a reset.
    changes: Option<Changes>,
}

impl Watcher {
    async fn next(&mut self) -> Option<Event> {
        if let Some((present, changes)) = self.look.take() {
            return Some(self.begin(&present, changes));
        }
        loop {
            let Some(changes) = &mut self.changes else {
                let (present, changes) = self.shared.handle.watch(self.filter.clone()).await.ok()?;
                return Some(self.begin(&present, changes));
            };
            let next = tokio::select! {
                next = changes.next() => next,
                () = changed(&mut self.news) => {
                // Whoever may see nothing any more is disconnected; what it may see and what not is not told apart in the middle.
                let grants = self.peer.grants().ok()?;
                if grants == self.grants {
                    continue;
                }
                self.grants = grants;
                self.changes = None;
                return Some(event("reset", &Note { message: "what you may see has changed; what is there follows" }));
            }
                () = self.shared.stop.cancelled() => return None,
            };
            match next {
                Ok(observed) if sees(&self.grants, &observed.endpoint) => {
                    return Some(event("change", &Change::of(&observed)).id(self.id(observed.rev)));
                }
                Ok(_) => {}
                Err(Missed::Behind) => {
                    self.changes = None;
                    return Some(event("reset", &Note { message: "the watcher fell behind; what is there follows" }));
                }
                Err(Missed::Ended) => return None,
            }
        }
    }

    fn begin(&mut self, present: &Present, changes: Changes) -> Event {
        self.changes = Some(changes);
        let id = self.id(present.rev);
        let event = if self.known.take().as_ref() == Some(&id) {
            event("unchanged", &Note { message: "nothing has changed since" })
        } else {
            let grants = &self.grants;
            event("present", &Endpoints::of(&self.shared.epoch, present, |endpoint| sees(grants, endpoint)))
        };
        event.id(id).retry(RETRY)
    }

    fn id(&self, rev: u64) -> String {
        format!("{}.{rev}", self.shared.epoch)
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    // Our own types always become JSON, and JSON has no line ends.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}
