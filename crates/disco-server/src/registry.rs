//! The task that owns the core.

use std::collections::HashMap;

use disco_core::{Conn, Core, Effect, Filter, Grants, Input, Observed, RegistryView, Time, Verdict};
use disco_proto::{Endpoint, Message, Query};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::Outbox,
    watch::{BEHIND, Present},
};

/// What reaches the core's task.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection, and where to send what is for it.
    Connected(Conn, Grants, Outbox),
    /// A message from it.
    Received(Conn, Box<Message>),
    /// Its end.
    Disconnected(Conn),
    /// A look at a part, and what changes from there on.
    Watch(Filter, oneshot::Sender<(Present, broadcast::Receiver<Observed>)>),
    /// A look at everything.
    View(oneshot::Sender<RegistryView>),
    /// An explanation.
    Explain(Box<Query>, disco_core::Attributes, oneshot::Sender<Vec<(std::sync::Arc<Endpoint>, Verdict)>>),
}

/// Events taken at once.
const BATCH: usize = 256;

/// How long clients are told to stay away while this server restarts.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_millis(200);

pub(crate) async fn run(mut core: Core, mut events: mpsc::Receiver<Event>, shutdown: CancellationToken) {
    let start = Instant::now();
    let mut shell = Shell { outboxes: HashMap::new(), watchers: broadcast::Sender::new(BEHIND) };
    let mut batch = Vec::with_capacity(BATCH);
    let mut effects = Vec::new();
    let alarm = tokio::time::sleep_until(start);
    tokio::pin!(alarm);
    let mut alarm_at: Option<Time> = None;
    loop {
        let deadline = core.next_deadline();
        if deadline != alarm_at {
            alarm_at = deadline;
            if let Some(deadline) = deadline {
                alarm.as_mut().reset(start + deadline);
            }
        }
        tokio::select! {
            biased;
            count = events.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
                let now = start.elapsed();
                for event in batch.drain(..) {
                    take(&mut core, now, event, &mut shell, &mut effects);
                    shell.carry_out(&mut effects);
                }
            }
            () = &mut alarm, if deadline.is_some() => {
                alarm_at = None;
                core.handle(start.elapsed(), Input::Tick, &mut effects);
                shell.carry_out(&mut effects);
            }
            () = shutdown.cancelled() => break,
        }
    }
    core.handle(start.elapsed(), Input::Stopping { retry_after: RETRY_AFTER }, &mut effects);
    shell.carry_out(&mut effects);
}

fn take(core: &mut Core, now: Time, event: Event, shell: &mut Shell, effects: &mut Vec<Effect>) {
    match event {
        Event::Connected(conn, grants, outbox) => {
            shell.outboxes.insert(conn, outbox);
            core.handle(now, Input::Connected(conn, grants), effects);
        }
        Event::Received(conn, message) => core.handle(now, Input::Received(conn, message), effects),
        Event::Disconnected(conn) => {
            shell.outboxes.remove(&conn);
            core.handle(now, Input::Disconnected(conn), effects);
        }
        Event::Watch(filter, reply) => {
            let endpoints = core.endpoints(&filter).cloned().collect();
            let present = Present { rev: core.rev(), complete: core.complete(), endpoints };
            let _ = reply.send((present, shell.watchers.subscribe()));
        }
        Event::View(reply) => {
            let _ = reply.send(core.view());
        }
        Event::Explain(query, attributes, reply) => {
            let _ = reply.send(core.explain(&query, &attributes));
        }
    }
}

/// Where effects go.
struct Shell {
    outboxes: HashMap<Conn, Outbox>,
    watchers: broadcast::Sender<Observed>,
}

impl Shell {
    fn carry_out(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(conn, message) => {
                    if let Some(outbox) = self.outboxes.get(&conn) {
                        outbox.send(message);
                    }
                }
                // Without its outbox, the connection's task sends what it still has and ends.
                Effect::Close(conn) => {
                    self.outboxes.remove(&conn);
                }
                // Nobody watching is the usual case, and no error.
                Effect::Changed(observed) => {
                    let _ = self.watchers.send(observed);
                }
            }
        }
    }
}
