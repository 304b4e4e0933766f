//! A command that runs inside a container of the fake engine.

use super::Outcome;
use crate::engine::{Error, LogChunk, Process, ProcessControl, Stream};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncReadExt, DuplexStream};

pub(super) fn run(outcome: Outcome, stdin: bool) -> Process {
    let (input, theirs) = if stdin {
        // As large as a pipe of the kernel.
        let (ours, theirs) = tokio::io::duplex(65_536);
        (Some(Box::pin(ours) as _), Some(theirs))
    } else {
        (None, None)
    };
    let code = Arc::new(OnceLock::new());
    Process { output: output(outcome, theirs, code.clone()), input, control: Box::new(Control { code }) }
}

fn output(
    outcome: Outcome,
    stdin: Option<DuplexStream>,
    code: Arc<OnceLock<i64>>,
) -> BoxStream<'static, Result<LogChunk, Error>> {
    let written = stream::iter(outcome.output).map(|(stream, bytes)| Ok(LogChunk { stream, time: None, bytes }));
    let echoed = stream::unfold(stdin.filter(|_| outcome.echo), |stdin| async {
        let mut stdin = stdin?;
        let mut buffer = vec![0; 4096];
        let read = stdin.read(&mut buffer).await.unwrap_or(0);
        buffer.truncate(read);
        let chunk = LogChunk { stream: Stream::Stdout, time: None, bytes: Bytes::from(buffer) };
        (read > 0).then_some((Ok(chunk), Some(stdin)))
    });
    let ended = stream::once(async move {
        match outcome.after {
            Some(after) if after.is_zero() => {}
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
        let _ = code.set(outcome.code);
    })
    .filter_map(|()| async { None });
    written.chain(echoed).chain(ended).boxed()
}

#[derive(Debug)]
struct Control {
    code: Arc<OnceLock<i64>>,
}

#[async_trait]
impl ProcessControl for Control {
    async fn exit_code(&self) -> Result<Option<i64>, Error> {
        Ok(self.code.get().copied())
    }

    async fn resize(&self, _columns: u16, _rows: u16) -> Result<(), Error> {
        Ok(())
    }
}
