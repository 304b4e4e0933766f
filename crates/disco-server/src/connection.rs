//! One connection: bytes to messages and back.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use disco_core::Conn;
use disco_proto::{Answer, Code, Failure, Frames, Id, Message, Method, decode, encode, message::Change};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::mpsc,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{admit::Pass, direct::Direct, registry::Event, traffic::Traffic};

/// Where the core puts what is for a connection; dropping it closes the connection. Unbounded in type only: the core has
/// a bounded number of messages unanswered, and a client that does not read what it asked for is no longer read from ([`UNREAD`]).
/// What the connection itself answers to nonsense takes the same way, and counts as much.
#[derive(Debug)]
pub(crate) struct Outbox {
    task: mpsc::UnboundedSender<Item>,
    direct: Option<Arc<Direct>>,
    /// Encoded and not written: what happens together goes out together.
    buffer: Vec<u8>,
    /// Messages in it.
    messages: usize,
    /// Wakes the connection even while it cannot write.
    _open: DropGuard,
}

/// What the connection's task is given to write.
#[derive(Debug)]
pub(crate) enum Item {
    /// A message.
    Message(Box<Message>),
    /// What is left of so many.
    Bytes(Vec<u8>, usize),
}

impl Item {
    pub(crate) fn messages(&self) -> usize {
        match self {
            Item::Message(_) => 1,
            Item::Bytes(_, messages) => *messages,
        }
    }

    fn write(self, output: &mut Vec<u8>) {
        match self {
            Item::Message(message) => encode(&message, output),
            Item::Bytes(bytes, _) if output.is_empty() => *output = bytes,
            Item::Bytes(bytes, _) => output.extend(bytes),
        }
    }
}

/// Bytes that are written without waiting for more: a system call costs little beside them.
const ENOUGH: usize = 32 * 1024;

impl Outbox {
    /// Takes a message; whether it waits for the next [`Outbox::flush`], and is the first to.
    pub(crate) fn send(&mut self, message: Box<Message>) -> bool {
        let Some(direct) = &self.direct else {
            // A connection that has just ended needs no more words.
            let _ = self.task.send(Item::Message(message));
            return false;
        };
        if direct.behind() > 0 || !small(&message) {
            // Not encoded before it can be written: as it is, it shares what it tells with others, and encoding much takes long.
            let direct = Arc::clone(direct);
            self.flush();
            direct.leave(Item::Message(message), &self.task);
            return false;
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(512);
        }
        encode(&message, &mut self.buffer);
        self.messages += 1;
        let first = self.messages == 1;
        if self.buffer.len() >= ENOUGH {
            self.flush();
        }
        first
    }

    /// Writes what there is.
    pub(crate) fn flush(&mut self) {
        let messages = std::mem::take(&mut self.messages);
        if let Some(direct) = self.direct.as_ref().filter(|_| messages > 0) {
            direct.write(std::mem::take(&mut self.buffer), messages, &self.task);
        }
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
    /// The same writer for the core's task.
    pub(crate) direct: Option<Arc<Direct>>,
}

pub(crate) async fn run<R, W>(talk: Talk, mut reader: R, mut writer: W, traffic: &Traffic, events: &mpsc::Sender<Event>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Talk { conn, pass, buffered, direct } = talk;
    let (messages, mut inbox) = mpsc::unbounded_channel::<Item>();
    // Weak, so that the core alone decides when there is nothing more to say.
    let refusals = Refusals { task: messages.downgrade(), direct: direct.clone() };
    let closed = CancellationToken::new();
    let outbox = Outbox {
        task: messages,
        direct: direct.clone(),
        buffer: Vec::new(),
        messages: 0,
        _open: closed.clone().drop_guard(),
    };
    if events.send(Event::Connected(conn, pass, outbox)).await.is_err() {
        return;
    }
    let mut frames = Frames::new();
    let mut output = Vec::new();
    let mut written = 0;
    let mut unflushed = false;
    // Messages of the output.
    let mut taken = 0;
    let ended = loop {
        let pending = written < output.len();
        tokio::select! {
            biased;
            Some(item) = inbox.recv(), if output.len() - written < AHEAD => {
                taken += item.messages();
                item.write(&mut output);
            }
            () = closed.cancelled() => break End::Closed,
            result = push(&mut writer, &output[written..]), if pending || unflushed => match result {
                Ok(Pushed::Written(0)) | Err(_) => break End::Lost,
                Ok(Pushed::Written(count)) => {
                    written += count;
                    unflushed = buffered;
                    if written == output.len() {
                        forget(&mut output);
                        written = 0;
                        if let Some(direct) = &direct {
                            direct.caught_up(std::mem::take(&mut taken));
                        }
                    }
                }
                Ok(Pushed::Flushed) => unflushed = false,
            },
            result = read_some(&mut reader, &mut frames), if direct.as_ref().map_or(inbox.len(), |direct| direct.behind()) < UNREAD => match result {
                Ok(0) | Err(_) => break End::Lost,
                Ok(_) => {
                    if let Err(end) = hear(conn, &mut frames, events, &refusals, traffic).await {
                        break end;
                    }
                }
            },
        }
    };
    tracing::debug!(conn.number = conn.0, ?ended, "disconnected");
    // Before the last words, however long they take: the conversation is over.
    let _ = events.send(Event::Disconnected(conn)).await;
    if matches!(ended, End::Lost) {
        return;
    }
    let unread = matches!(ended, End::Unreadable);
    let last_words = async {
        writer.write_all(&output[written..]).await?;
        // One by one: what waits for a client that did not read may be hundreds of megabytes once it is encoded.
        while let Ok(item) = inbox.try_recv() {
            output.clear();
            item.write(&mut output);
            writer.write_all(&output).await?;
        }
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

/// Endpoints that the core's task encodes by itself.
const FEW: usize = 8;

/// Whether a message is encoded in no time.
fn small(message: &Message) -> bool {
    let few = |change: &Change| change.add.len() + change.update.len() + change.drop.len() <= FEW;
    match message {
        Message::Answer { result: Ok(answer), .. } => match answer {
            Answer::Change(change) => few(change),
            Answer::Resolved(resolved) => resolved.endpoints.len() <= FEW,
            Answer::Opened(opened) => opened.provides.len() <= FEW,
            Answer::Withdrawn(withdrawn) => withdrawn.unapplied.len() <= FEW,
            Answer::Listing(_) | Answer::Json(_) => false,
            Answer::Pong(_) | Answer::Provided(_) | Answer::Done {} => true,
        },
        Message::Call { method: Method::Changed(changed), .. } => few(&changed.change),
        Message::Call { method: Method::Snapshot(_), .. } => false,
        _ => true,
    }
}

/// Where the connection's own answers to nonsense go.
struct Refusals {
    task: mpsc::WeakUnboundedSender<Item>,
    direct: Option<Arc<Direct>>,
}

impl Refusals {
    fn say(&self, id: Option<Id>, failure: Failure) {
        let Some(task) = self.task.upgrade() else { return };
        let item = Item::Message(Box::new(Message::Answer { id, result: Err(failure) }));
        match &self.direct {
            Some(direct) => direct.leave(item, &task),
            None => drop(task.send(item)),
        }
    }
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
    refusals: &Refusals,
    traffic: &Traffic,
) -> Result<(), End> {
    let mut heard: u64 = 0;
    loop {
        let message = match frames.next_line() {
            Ok(Some(line)) => decode(line),
            Ok(None) => {
                traffic.messages.fetch_add(heard, Ordering::Relaxed);
                return Ok(());
            }
            Err(error) => {
                refusals.say(None, Failure::new(Code::Parse, error.to_string()));
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
                refusals.say(broken.id, broken.failure);
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
