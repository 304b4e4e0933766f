//! Writing to a plain connection from the registry's task: whoever is told of something need not be woken to be told. What the socket does not
//! take at once is left to the connection's own task, and so is everything after it until that has caught up.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{io::AsyncWrite, net::tcp::OwnedWriteHalf, sync::mpsc::UnboundedSender};

use crate::connection::Item;

/// The writing half of a plain connection, for the two tasks that write to it.
#[derive(Debug)]
pub(crate) struct Direct(Mutex<Way>);

#[derive(Debug)]
struct Way {
    writer: OwnedWriteHalf,
    /// Messages that the connection's task has been given and has not written.
    behind: usize,
}

impl Direct {
    pub(crate) fn new(writer: OwnedWriteHalf) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Way { writer, behind: 0 })))
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes so many messages, or gives what was not written to the connection's task. Both under one lock: nothing else comes between the
    /// two halves of a line.
    pub(crate) fn write(&self, bytes: Vec<u8>, messages: usize, task: &UnboundedSender<Item>) {
        let mut way = self.way();
        let written = match way.behind {
            // An error is for the connection's task to find.
            0 => way.writer.try_write(&bytes).unwrap_or(0),
            _ => 0,
        };
        if written < bytes.len() {
            way.behind += messages;
            let rest = if written == 0 { bytes } else { bytes[written..].to_vec() };
            // A connection that has just ended needs no more words.
            let _ = task.send(Item::Bytes(rest, messages));
        }
    }

    /// Gives a message to the connection's task.
    pub(crate) fn leave(&self, item: Item, task: &UnboundedSender<Item>) {
        self.way().behind += item.messages();
        let _ = task.send(item);
    }

    /// The connection's task has written so many messages.
    pub(crate) fn caught_up(&self, messages: usize) {
        self.way().behind -= messages;
    }

    /// How many the connection's task has not written.
    pub(crate) fn behind(&self) -> usize {
        self.way().behind
    }
}

/// The same half as the connection's task has it.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Direct>);

impl AsyncWrite for Shared {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.way().writer).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.way().writer).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.way().writer).poll_shutdown(context)
    }
}
