//! Bodies of requests.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A body on its way.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// How long an upload waits to be asked for: servers that never ask exist.
const CONTINUE: Duration = Duration::from_secs(2);

pub(crate) fn empty() -> Body {
    BoxBody::new(Full::new(Bytes::new()).map_err(|never| match never {}))
}

pub(crate) fn json(document: &impl Serialize) -> Body {
    let text = serde_json::to_vec(document).expect("our own types serialise");
    BoxBody::new(Full::new(Bytes::from(text)).map_err(|never| match never {}))
}

/// What reads a stream for a body, until dropped.
#[derive(Debug)]
pub(crate) struct Pump(AbortHandle);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A stream as a body that is sent once `asked` says so: who refuses would otherwise hang up in the middle.
pub(crate) fn upload(bytes: BoxStream<'static, io::Result<Bytes>>, asked: watch::Receiver<bool>) -> (Body, Pump) {
    // The body has to be `Sync`, which a boxed stream is not: a channel between them is.
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let pump = tokio::spawn(async move {
        let mut bytes = bytes;
        while let Some(chunk) = bytes.next().await {
            if sender.send(chunk).await.is_err() {
                break;
            }
        }
    });
    let stream = Box::pin(futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    }));
    let stream = futures_util::stream::once(async move {
        let mut asked = asked;
        let answered = matches!(tokio::time::timeout(CONTINUE, asked.wait_for(|asked| *asked)).await, Ok(Err(_)));
        if answered {
            // Nobody asked: sending now would break the connection before the answer has been read.
            std::future::pending::<()>().await;
        }
        stream
    });
    (BoxBody::new(StreamBody::new(stream.flatten().map_ok(Frame::data))), Pump(pump.abort_handle()))
}
