//! A one-off's terminal, or its pipes: everything passes as it is.

use crate::commands::exec::{Raw, size};
use crate::exit::Failure;
use futures_util::StreamExt as _;
use scs_agent::Console;
use scs_ports::engine::{Process, ProcessControl, Stream};
use std::io::{IsTerminal as _, Write as _, stderr, stdin, stdout};
use std::pin::Pin;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// This process's end of it.
#[derive(Debug)]
pub struct Ours {
    processes: mpsc::UnboundedReceiver<Process>,
    tty: bool,
    carrying: Option<JoinHandle<Result<(), Failure>>>,
}

/// Both ends. There is a terminal where we have one.
#[must_use]
pub fn open() -> (Console, Ours) {
    let tty = stdin().is_terminal() && stdout().is_terminal();
    let (taken, processes) = mpsc::unbounded_channel();
    (Console { tty: tty.then(size), taken }, Ours { processes, tty, carrying: None })
}

impl Ours {
    /// Carries what goes in and out until the container ends; waits for one to begin where there is none.
    ///
    /// # Errors
    /// Where nobody reads what it writes, or the terminal cannot be handed over.
    pub async fn carry(&mut self) -> Result<(), Failure> {
        loop {
            if let Some(carrying) = &mut self.carrying {
                let carried = carrying.await.unwrap_or(Ok(()));
                self.carrying = None;
                return carried;
            }
            match self.processes.recv().await {
                Some(process) => self.carrying = Some(tokio::spawn(carry(process, self.tty))),
                None => std::future::pending().await,
            }
        }
    }

    /// Whether something is carried, or still to be.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.carrying.is_some() || !self.processes.is_empty()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Some(carrying) = &self.carrying {
            carrying.abort();
        }
    }
}

async fn carry(mut process: Process, tty: bool) -> Result<(), Failure> {
    let raw = if tty { Some(Raw::set()?) } else { None };
    let input = process.input.take();
    let feeder = tokio::spawn(feed(input, process.control, tty));
    let shown = show(&mut process.output).await;
    feeder.abort();
    drop(raw);
    shown
}

async fn show(output: &mut (impl futures_util::Stream<Item = Chunk> + Unpin)) -> Result<(), Failure> {
    while let Some(Ok(chunk)) = output.next().await {
        let written = match chunk.stream {
            Stream::Stdout => {
                let mut out = stdout().lock();
                out.write_all(&chunk.bytes).and_then(|()| out.flush())
            }
            Stream::Stderr => stderr().lock().write_all(&chunk.bytes),
        };
        written.map_err(|_| Failure::NobodyReads)?;
    }
    Ok(())
}

type Chunk = Result<scs_ports::engine::LogChunk, scs_ports::engine::Error>;

async fn feed(mut input: Option<Input>, control: Box<dyn ProcessControl>, tty: bool) {
    let mut resized = signal(SignalKind::window_change()).ok().filter(|_| tty);
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            read = stdin.read(&mut buffer), if input.is_some() => {
                let Some(there) = &mut input else { continue };
                let passed = match read {
                    Ok(0) | Err(_) => {
                        let _ = there.shutdown().await;
                        false
                    }
                    Ok(count) => there.write_all(&buffer[..count]).await.is_ok() && there.flush().await.is_ok(),
                };
                if !passed {
                    // A command that takes nothing more may still have a terminal.
                    input = None;
                }
            }
            Some(()) = async { match &mut resized { Some(signal) => signal.recv().await, None => std::future::pending().await } } => {
                let (columns, rows) = size();
                let _ = control.resize(columns, rows).await;
            }
        }
    }
}
