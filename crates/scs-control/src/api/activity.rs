//! How many requests are being answered, so that a server that ends when idle does not end in the middle of one.

use super::Api;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::stream::StreamExt;
use tokio::sync::watch;

/// Counts requests; a clone counts the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Activity(watch::Sender<usize>);

/// One request, until dropped.
#[derive(Debug)]
pub(super) struct Active(watch::Sender<usize>);

impl Activity {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }

    pub(super) fn begin(&self) -> Active {
        self.0.send_modify(|count| *count += 1);
        Active(self.0.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Counts a request until the last byte of its answer has gone.
pub(super) async fn count(State(api): State<Api>, request: Request, next: Next) -> Response {
    let active = api.handle.shared.activity.begin();
    next.run(request).await.map(|body| {
        let stream = body.into_data_stream().map(move |chunk| {
            let _until_the_end = &active;
            chunk
        });
        Body::from_stream(stream)
    })
}
