//! The task that owns the core.

use std::collections::{HashMap, VecDeque};

use disco_core::{Alarm, Conn, Core, Effect, Filter, Grants, Input, Observed, RegistryView, Stats, Time, Verdict};
use disco_proto::{Endpoint, Failure, Message, Query};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admit::{self, Pass},
    connection::Outbox,
    store::Store,
    watch::{BEHIND, Present},
};

/// What reaches the core's task.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection, and where to send what is for it.
    Connected(Conn, Pass, Outbox),
    /// A message from it.
    Received(Conn, Box<Message>),
    /// Its end.
    Disconnected(Conn),
    /// A look at a part, and what changes from there on.
    Watch(Filter, oneshot::Sender<(Present, broadcast::Receiver<Observed>)>),
    /// Numbers.
    Stats(oneshot::Sender<Stats>),
    /// A look at everything.
    View(oneshot::Sender<RegistryView>),
    /// An explanation.
    Explain(Box<Query>, disco_core::Attributes, oneshot::Sender<Vec<(std::sync::Arc<Endpoint>, Verdict)>>),
}

/// How often what has changed is written to disk. What is younger, clients bring back by themselves.
const KEEP: std::time::Duration = std::time::Duration::from_secs(2);

/// Connections written to at once, a few milliseconds' worth; then those who speak are heard again.
const WRITES: usize = 1024;

/// Events taken at once.
const BATCH: usize = 256;

/// How long clients are told to stay away while this server restarts.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_millis(200);

pub(crate) async fn run(
    mut core: Core,
    mut events: mpsc::Receiver<Event>,
    mut store: Option<Store>,
    mut changes: Option<watch::Receiver<u64>>,
    shutdown: CancellationToken,
) {
    let start = Instant::now();
    let stopping = shutdown.cancelled_owned();
    tokio::pin!(stopping);
    let mut keep = tokio::time::interval(KEEP);
    keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shell = Shell {
        outboxes: HashMap::new(),
        passes: HashMap::new(),
        unwritten: VecDeque::new(),
        watchers: broadcast::Sender::new(BEHIND),
    };
    let mut batch = Vec::with_capacity(BATCH);
    let mut effects = Vec::new();
    let alarm = tokio::time::sleep_until(start);
    tokio::pin!(alarm);
    let mut alarm_at: Option<Time> = None;
    loop {
        shell.flush();
        let deadline = core.next_deadline();
        if deadline != alarm_at {
            alarm_at = deadline;
            if let Some(deadline) = deadline {
                alarm.as_mut().reset(start + deadline);
            }
        }
        tokio::select! {
            // Events last of what must not wait for them to end: there may always be more. Deadlines pass with them.
            biased;
            () = &mut stopping => break,
            _ = keep.tick(), if store.is_some() => {
                if let Some(store) = &mut store {
                    store.begin(&core).await;
                }
            }
            () = admit::changed(&mut changes) => {
                for (conn, pass) in &shell.passes {
                    judge(&mut core, start.elapsed(), *conn, pass, &mut effects);
                }
                shell.carry_out(&mut effects);
            }
            count = events.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
                let now = start.elapsed();
                for event in batch.drain(..) {
                    take(&mut core, now, event, &mut shell, &mut effects);
                    shell.carry_out(&mut effects);
                }
                if let Some(store) = &mut store {
                    store.copy(&core);
                }
            }
            () = &mut alarm, if deadline.is_some() => {
                alarm_at = None;
                core.handle(start.elapsed(), Input::Tick, &mut effects);
                shell.carry_out(&mut effects);
            }
            () = std::future::ready(()), if !shell.unwritten.is_empty() => {}
            // Also when nobody has anything to say.
            () = std::future::ready(()), if store.as_ref().is_some_and(Store::copying) => {
                if let Some(store) = &mut store {
                    store.copy(&core);
                }
                tokio::task::yield_now().await;
            }
        }
    }
    core.handle(start.elapsed(), Input::Stopping { retry_after: RETRY_AFTER }, &mut effects);
    shell.carry_out(&mut effects);
    while !shell.unwritten.is_empty() {
        shell.flush();
    }
    if let Some(mut store) = store {
        store.keep(&core).await;
    }
}

fn take(core: &mut Core, now: Time, event: Event, shell: &mut Shell, effects: &mut Vec<Effect>) {
    match event {
        Event::Connected(conn, pass, outbox) => {
            shell.outboxes.insert(conn, outbox);
            let grants = match &pass {
                Pass::Fixed(grants) => grants.clone(),
                Pass::Asked(..) => Grants::nothing(),
            };
            core.handle(now, Input::Connected(conn, grants), effects);
            if matches!(pass, Pass::Asked(..)) {
                // Asked here again: from now on it hears of every change, and what was said at the handshake may be out of date.
                judge(core, now, conn, &pass, effects);
                shell.passes.insert(conn, pass);
            }
        }
        Event::Received(conn, message) => core.handle(now, Input::Received(conn, message), effects),
        Event::Disconnected(conn) => {
            shell.outboxes.remove(&conn);
            shell.passes.remove(&conn);
            core.handle(now, Input::Disconnected(conn), effects);
        }
        Event::Watch(filter, reply) => {
            let endpoints = core.endpoints(&filter).collect();
            let present = Present { rev: core.rev(), complete: core.complete(), endpoints };
            let _ = reply.send((present, shell.watchers.subscribe()));
        }
        Event::Stats(reply) => {
            let _ = reply.send(core.stats());
        }
        Event::View(reply) => {
            let _ = reply.send(core.view());
        }
        Event::Explain(query, attributes, reply) => {
            let _ = reply.send(core.explain(&query, &attributes));
        }
    }
}

/// Has a connection go on with what its peer may do now, if that is anything.
fn judge(core: &mut Core, now: Time, conn: Conn, pass: &Pass, effects: &mut Vec<Effect>) {
    let input = match pass.grants() {
        Ok(grants) => Input::Granted(conn, grants),
        Err(revoked) => {
            let failure = Failure::from(revoked);
            tracing::info!(
                conn.number = conn.0,
                code = failure.code.as_str(),
                why = failure.message,
                "ending a connection"
            );
            Input::Refused(conn, failure)
        }
    };
    core.handle(now, input, effects);
}

/// Where effects go.
struct Shell {
    outboxes: HashMap<Conn, Outbox>,
    /// Those of peers whose grants may change.
    passes: HashMap<Conn, Pass>,
    /// Connections that wait for what is encoded to be written.
    unwritten: VecDeque<Conn>,
    watchers: broadcast::Sender<Observed>,
}

impl Shell {
    /// Writes to some of those that wait for it.
    fn flush(&mut self) {
        for conn in self.unwritten.drain(..self.unwritten.len().min(WRITES)) {
            if let Some(outbox) = self.outboxes.get_mut(&conn) {
                outbox.flush();
            }
        }
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(conn, message) => {
                    if let Some(outbox) = self.outboxes.get_mut(&conn)
                        && outbox.send(message)
                    {
                        self.unwritten.push_back(conn);
                    }
                }
                // Without its outbox, the connection's task sends what it still has and ends.
                Effect::Close(conn) => {
                    if let Some(mut outbox) = self.outboxes.remove(&conn) {
                        outbox.flush();
                    }
                    self.passes.remove(&conn);
                }
                Effect::Alarm(Alarm::BrakeOn { overdue, hosts }) => {
                    tracing::error!(
                        overdue,
                        hosts,
                        "many hosts fell silent at once: their endpoints are kept as suspect"
                    );
                }
                Effect::Alarm(Alarm::BrakeOff { evicted, returned }) => {
                    tracing::warn!(evicted, returned, "nothing is suspect any more");
                }
                // Nobody watching is the usual case, and no error.
                Effect::Changed(observed) => {
                    let _ = self.watchers.send(observed);
                }
            }
        }
    }
}
