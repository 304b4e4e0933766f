//! A command that runs inside a container of the fake engine, and its process 1 as somebody attached to it sees it.

use super::model::Model;
use super::{Outcome, lock};
use crate::engine::{Create, Error, Exit, LogChunk, Process, ProcessControl, State, Stream};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::{mpsc, watch};

type Input = Option<std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>>;

fn pipe(stdin: bool) -> (Input, Option<DuplexStream>) {
    if !stdin {
        return (None, None);
    }
    // As large as a pipe of the kernel.
    let (ours, theirs) = tokio::io::duplex(65_536);
    (Some(Box::pin(ours)), Some(theirs))
}

/// Everything that process 1 writes from now on.
pub(super) fn attach(model: Arc<Mutex<Model>>, id: String, changed: watch::Receiver<()>, request: &Create) -> Process {
    let (input, theirs) = pipe(request.stdin);
    let code = Arc::new(OnceLock::new());
    let (sender, receiver) = mpsc::channel(64);
    let end = if request.tty { "\r\n" } else { "\n" };
    let seen = lock(&model).find(&id).map_or(0, |unit| unit.log.len());
    tokio::spawn(feed(model.clone(), id.clone(), changed.clone(), theirs));
    tokio::spawn(follow(model, id, changed, seen, end, sender, code.clone()));
    let output = stream::unfold(receiver, |mut it| async { Some((Ok(it.recv().await?), it)) }).boxed();
    Process { output, input, control: Box::new(Control { code }) }
}

async fn feed(model: Arc<Mutex<Model>>, id: String, mut changed: watch::Receiver<()>, stdin: Option<DuplexStream>) {
    let Some(mut stdin) = stdin else { return };
    let echoes = || lock(&model).find(&id).is_some_and(|unit| unit.info.state == State::Running && unit.behaviour.echo);
    while !echoes() {
        if changed.changed().await.is_err() {
            return;
        }
    }
    let mut buffer = vec![0; 4096];
    while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
        lock(&model).echo(&id, &buffer[..read]);
    }
    lock(&model).end(&id, Exit { code: 0, out_of_memory: false, error: None }, None);
}

async fn follow(
    model: Arc<Mutex<Model>>,
    id: String,
    mut changed: watch::Receiver<()>,
    mut seen: usize,
    end: &str,
    sender: mpsc::Sender<LogChunk>,
    code: Arc<OnceLock<i64>>,
) {
    loop {
        changed.mark_unchanged();
        let (lines, state) = {
            let model = lock(&model);
            let Some(unit) = model.find(&id) else { return };
            (unit.log[seen..].to_vec(), unit.info.state.clone())
        };
        seen += lines.len();
        for line in lines {
            let bytes = Bytes::from([&line.bytes[..], end.as_bytes()].concat());
            if sender.send(LogChunk { bytes, time: None, ..line }).await.is_err() {
                return;
            }
        }
        if let State::Exited(exit) = state {
            let _ = code.set(exit.code);
            return;
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

pub(super) fn run(outcome: Outcome, stdin: bool) -> Process {
    let (input, theirs) = pipe(stdin);
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
