//! One connection: bytes to messages and back.

use std::{future::poll_fn, sync::atomic::Ordering, time::Duration};

use disco_core::Conn;
use disco_proto::{Code, Failure, Frames, Message, decode, encode};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::mpsc,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{admit::Pass, registry::Event, traffic::Traffic};

/// Where the core puts what is for a connection; dropping it closes the connection. Unbounded in type only: the core has
/// a bounded number of messages unanswered, and a client that does not read what it asked for is no longer read from ([`UNREAD`]).
/// What the connection itself answers to nonsense takes the same way, and counts as much.
#[derive(Debug)]
pub(crate) struct Outbox {
    messages: mpsc::UnboundedSender<Box<Message>>,
    /// Wakes the connection even while it cannot write.
    _open: DropGuard,
}

impl Outbox {
    pub(crate) fn send(&self, message: Box<Message>) {
        // A connection that has just ended needs no more words.
        let _ = self.messages.send(message);
    }
}

/// Messages that may wait to be written before the client's next ones are left unread. More than the core ever has under way by itself
/// for one session, so that a slow reader's heartbeats are still heard.
const UNREAD: usize = 512;

/// Bytes encoded ahead of the socket.
const AHEAD: usize = 64 * 1024;

/// How long the last words to a client may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Who speaks, and over what.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) conn: Conn,
    pub(crate) pass: Pass,
    /// The writer keeps what it has taken until it is flushed: TLS does.
    pub(crate) buffered: bool,
}

pub(crate) async fn run<R, W>(talk: Talk, mut reader: R, mut writer: W, traffic: &Traffic, events: &mpsc::Sender<Event>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Talk { conn, pass, buffered } = talk;
    let (messages, mut inbox) = mpsc::unbounded_channel::<Box<Message>>();
    // Weak, so that the core alone decides when there is nothing more to say.
    let refusals = messages.downgrade();
    let closed = CancellationToken::new();
    let outbox = Outbox { messages, _open: closed.clone().drop_guard() };
    if events.send(Event::Connected(conn, pass, outbox)).await.is_err() {
        return;
    }
    let mut frames = Frames::new();
    let mut output = Vec::new();
    let mut written = 0;
    let mut unflushed = false;
    let ended = loop {
        let pending = written < output.len();
        tokio::select! {
            biased;
            Some(message) = inbox.recv(), if output.len() - written < AHEAD => encode(&message, &mut output),
            () = closed.cancelled() => break End::Closed,
            result = push(&mut writer, &output[written..]), if pending || unflushed => match result {
                Ok(Pushed::Written(0)) | Err(_) => break End::Lost,
                Ok(Pushed::Written(count)) => {
                    written += count;
                    unflushed = buffered;
                    if written == output.len() {
                        forget(&mut output);
                        written = 0;
                    }
                }
                Ok(Pushed::Flushed) => unflushed = false,
            },
            result = read_some(&mut reader, &mut frames), if inbox.len() < UNREAD => match result {
                Ok(0) | Err(_) => break End::Lost,
                Ok(_) => {
                    if let Err(end) = hear(conn, &mut frames, events, &refusals, traffic).await {
                        break end;
                    }
                }
            },
        }
    };
    while let Ok(message) = inbox.try_recv() {
        encode(&message, &mut output);
    }
    tracing::debug!(conn.number = conn.0, ?ended, "disconnected");
    // Before the last words, however long they take: the conversation is over.
    let _ = events.send(Event::Disconnected(conn)).await;
    if matches!(ended, End::Lost) {
        return;
    }
    let unread = matches!(ended, End::Unreadable);
    let last_words = async {
        writer.write_all(&output[written..]).await?;
        writer.shutdown().await?;
        // What the client has said and nobody read would make the system throw the last words away.
        let mut void = [0; 1024];
        while unread && reader.read(&mut void).await? > 0 {}
        io::Result::Ok(())
    };
    // Boxed, or every connection would carry from its beginning what this takes.
    let _ = Box::pin(tokio::time::timeout(LAST_WORDS, last_words)).await;
}

#[derive(Debug)]
enum End {
    /// The core wants no more of it.
    Closed,
    /// The socket ended or failed.
    Lost,
    /// What it sends cannot be cut into lines.
    Unreadable,
}

/// What was done towards a client having it all.
enum Pushed {
    /// So many bytes were taken.
    Written(usize),
    /// What was taken is on its way.
    Flushed,
}

/// Writes some of what there is; where there is nothing, makes sure that what was written goes out.
async fn push<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> io::Result<Pushed> {
    if bytes.is_empty() {
        return writer.flush().await.map(|()| Pushed::Flushed);
    }
    writer.write(bytes).await.map(Pushed::Written)
}

/// Passes on every whole line, and refuses what is none.
async fn hear(
    conn: Conn,
    frames: &mut Frames,
    events: &mpsc::Sender<Event>,
    refusals: &mpsc::WeakUnboundedSender<Box<Message>>,
    traffic: &Traffic,
) -> Result<(), End> {
    let mut heard: u64 = 0;
    let refuse = |id, failure| {
        if let Some(messages) = refusals.upgrade() {
            let _ = messages.send(Box::new(Message::Answer { id, result: Err(failure) }));
        }
    };
    loop {
        let message = match frames.next_line() {
            Ok(Some(line)) => decode(line),
            Ok(None) => {
                traffic.messages.fetch_add(heard, Ordering::Relaxed);
                return Ok(());
            }
            Err(error) => {
                refuse(None, Failure::new(Code::Parse, error.to_string()));
                return Err(End::Unreadable);
            }
        };
        heard += 1;
        match message {
            Ok(message) => {
                if events.send(Event::Received(conn, Box::new(message))).await.is_err() {
                    return Err(End::Closed);
                }
            }
            Err(broken) => {
                tracing::debug!(conn.number = conn.0, error = %broken.failure, "a line cannot be understood");
                Traffic::count(&traffic.broken);
                refuse(broken.id, broken.failure);
            }
        }
    }
}

/// Reads into a buffer on the stack, which an idle connection does not have.
async fn read_some<R: AsyncRead + Unpin>(reader: &mut R, frames: &mut Frames) -> io::Result<usize> {
    poll_fn(|context| {
        let mut space = [const { std::mem::MaybeUninit::uninit() }; 16 * 1024];
        let mut buffer = ReadBuf::uninit(&mut space);
        let polled = std::pin::Pin::new(&mut *reader).poll_read(context, &mut buffer);
        polled.map_ok(|()| {
            frames.push(buffer.filled());
            buffer.filled().len()
        })
    })
    .await
}

/// Everything was written: an idle connection should hold next to nothing.
fn forget(output: &mut Vec<u8>) {
    output.clear();
    if output.capacity() > 4096 {
        *output = Vec::new();
    }
}

#[cfg(test)]
mod tests;
