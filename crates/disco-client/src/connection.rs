//! One connection, from its opening to its end.

use std::{io, sync::Arc, time::Duration};

use disco_proto::{Failure, Frames, decode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    handle::Command,
    saver::Saver,
    state::{Phase, State},
};

/// Heartbeats that the server may miss.
const MISSED: u32 = 3;

/// How long the server has to answer `session.open`.
const OPENING: Duration = Duration::from_secs(5);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// This process ends.
    #[error("shut down")]
    Shutdown,
    /// It was meant to end.
    #[error("the server goes, or the session was closed")]
    Meant,
    #[error("the connection ended")]
    Eof,
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    #[error("the server fell silent")]
    Silent,
    #[error("the server does not speak the protocol")]
    Nonsense,
    #[error("the server refuses the session")]
    Refused(#[source] Failure),
}

pub(crate) struct Tools<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) commands: &'a mut mpsc::UnboundedReceiver<Command>,
    pub(crate) connected: &'a watch::Sender<bool>,
    pub(crate) trouble: &'a watch::Sender<Option<Arc<str>>>,
    pub(crate) saver: &'a mut Saver,
    pub(crate) shutdown: &'a CancellationToken,
}

pub(crate) async fn run<R, W>(mut reader: R, mut writer: W, tools: Tools<'_>) -> End
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Tools { state, commands, connected, trouble, saver, shutdown } = tools;
    let mut frames = Frames::new();
    let mut buffer = vec![0; 16 * 1024];
    let mut written = 0;
    let mut unflushed = false;
    let mut heard = Instant::now();
    let mut pinged = heard;
    state.connected();
    loop {
        match state.phase {
            Phase::Open => {
                trouble.send_if_modified(|trouble| trouble.take().is_some());
                connected.send_if_modified(|connected| !std::mem::replace(connected, true));
            }
            Phase::Sent(_) | Phase::Closed => return End::Meant,
            Phase::Refused => return state.refusal.take().map_or(End::Nonsense, End::Refused),
            Phase::Opening | Phase::Away => {}
        }
        let again = state.retry(Instant::now());
        let silence = if state.phase == Phase::Open { state.heartbeat * MISSED } else { OPENING };
        let ping = pinged + state.heartbeat;
        let wake = again.map_or(ping, |again| again.min(ping)).min(heard + silence);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {
                let last = async {
                    writer.write_all(&state.output[written..]).await?;
                    writer.flush().await
                };
                let _ = tokio::time::timeout(Duration::from_millis(200), last).await;
                return End::Shutdown;
            }
            result = send(&mut writer, &state.output[written..]), if unflushed || written < state.output.len() => match result {
                Ok(Some(0)) => return End::Eof,
                Ok(Some(count)) => {
                    written += count;
                    unflushed = true;
                    if written == state.output.len() {
                        state.output.clear();
                        written = 0;
                    }
                }
                Ok(None) => unflushed = false,
                Err(error) => return End::Broken(error),
            },
            result = reader.read(&mut buffer) => match result {
                Ok(0) => return End::Eof,
                Ok(count) => {
                    heard = Instant::now();
                    frames.push(&buffer[..count]);
                    if !hear(state, &mut frames) {
                        return End::Nonsense;
                    }
                }
                Err(error) => return End::Broken(error),
            },
            // Once nobody can ask any more, what is provided still stays until the shutdown.
            Some(command) = commands.recv() => state.command(command),
            () = saver.due(state) => saver.save(state),
            () = tokio::time::sleep_until(wake) => {
                let now = Instant::now();
                if now >= heard + silence {
                    return End::Silent;
                }
                if now >= ping && state.phase == Phase::Open {
                    state.ping();
                    pinged = now;
                } else if now >= ping {
                    pinged = now;
                }
            }
        }
    }
}

/// Writes some of it, how much; or, where there is nothing to write, lets go of what TLS has taken and not sent yet.
async fn send(writer: &mut (impl AsyncWrite + Unpin), rest: &[u8]) -> io::Result<Option<usize>> {
    if rest.is_empty() {
        return writer.flush().await.map(|()| None);
    }
    writer.write(rest).await.map(Some)
}

/// Takes every whole line; `false` when what comes is not the protocol.
fn hear(state: &mut State, frames: &mut Frames) -> bool {
    loop {
        match frames.next_line() {
            Ok(Some(line)) => match decode(line) {
                Ok(message) => state.heard(message),
                Err(broken) => {
                    tracing::warn!(error = %broken.failure, "a line of the disco server cannot be understood");
                    return false;
                }
            },
            Ok(None) => return true,
            Err(error) => {
                tracing::warn!(error = %error, "the disco server says too much");
                return false;
            }
        }
    }
}
