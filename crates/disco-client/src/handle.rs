//! How the rest of the process speaks to the service.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use disco_proto::{
    Endpoint, Name, Provision, Query, Reason,
    message::{Identity, List, Listing, Withdrawn},
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    cache::Contents,
    error::{Cause, Error},
    set::EndpointSet,
};

/// How long a request waits for a server before it gives up (and, where it says so, goes on in the background): the longest
/// pause between two attempts to connect, so that a server that is back is not missed.
const PATIENCE: Duration = Duration::from_secs(6);

/// How an endpoint is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdraw {
    /// `Left`, `Died` or `Draining`.
    pub reason: Reason,
    /// How long the answer may wait for every subscriber to have applied it; `None`: it does not wait.
    pub wait: Option<Duration>,
    /// How long it stays usable while a subscriber has no successor for it; `None`: it goes at once.
    pub successor_by: Option<Duration>,
}

impl Withdraw {
    /// At once, without waiting for subscribers.
    pub fn now(reason: Reason) -> Self {
        Self { reason, wait: None, successor_by: None }
    }

    /// At once, and waits at most so long for subscribers to have applied it.
    pub fn waiting(reason: Reason, wait: Duration) -> Self {
        Self { reason, wait: Some(wait), successor_by: None }
    }
}

/// A cheap, cloneable way to the service. The service ends when its `shutdown` does, not with the last handle.
#[derive(Clone)]
pub struct Handle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) connected: watch::Receiver<bool>,
    pub(crate) trouble: watch::Receiver<Option<Arc<str>>>,
    pub(crate) address: Arc<str>,
    pub(crate) cached: Arc<Contents>,
    /// What was required since this process began: the file was true before that, and for nothing since.
    pub(crate) begun: Arc<Mutex<BTreeSet<String>>>,
    pub(crate) generation: Arc<AtomicU64>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("address", &self.address).field("connected", &*self.connected.borrow()).finish()
    }
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Cause>>;

/// What handles ask of the service.
#[derive(Debug)]
pub(crate) enum Command {
    Provide(Provision, Reply<()>),
    Withdraw(Name, String, Withdraw, Reply<Withdrawn>),
    Require { id: String, generation: u64, query: Query, sets: watch::Sender<EndpointSet> },
    Unrequire { id: String, generation: u64 },
    Applied { id: String, generation: u64, seq: u64 },
    Resolve(Query, Reply<Vec<Endpoint>>),
    List(List, Reply<Listing>),
    Inherited(Reply<Vec<Identity>>),
    Park(Duration, Reply<()>),
    Close(Reply<()>),
}

impl Command {
    /// Whether whoever asked has given up, so that an answer is wanted by nobody.
    pub(crate) fn abandoned(&self) -> bool {
        match self {
            Self::Resolve(_, reply) => reply.is_closed(),
            Self::List(_, reply) => reply.is_closed(),
            Self::Inherited(reply) => reply.is_closed(),
            Self::Park(_, reply) | Self::Close(reply) => reply.is_closed(),
            // Remembered for their own sake, whether or not somebody waits.
            _ => false,
        }
    }
}

impl Handle {
    /// Provides an endpoint, or changes one already provided. It is remembered and provided again after every reconnect.
    /// Returns when the server has it; an error with `retried` means that it is not there yet but still tried.
    pub async fn provide(&self, provision: Provision) -> Result<(), Error> {
        let what = format!("provide {} as {}", provision.name, provision.instance);
        if let Err(invalid) = provision.check() {
            let failure = disco_proto::Failure::new(disco_proto::Code::Params, invalid.to_string());
            return Err(Error { what, retried: false, cause: Cause::Refused(failure) });
        }
        self.ask(what, true, PATIENCE, |reply| Command::Provide(provision, reply)).await
    }

    /// Withdraws an endpoint: it is no longer provided, whether or not a server can be reached. With `wait`, the answer comes when
    /// every subscriber has applied it, or names those that had not by then. Withdrawing what is not provided is no error.
    pub async fn withdraw(&self, name: &Name, instance: &str, how: Withdraw) -> Result<Withdrawn, Error> {
        let what = format!("withdraw {name} of {instance}");
        let patience = PATIENCE + how.wait.unwrap_or_default() + how.successor_by.unwrap_or_default();
        let (name, instance) = (name.clone(), instance.to_owned());
        self.ask(what, true, patience, |reply| Command::Withdraw(name, instance, how, reply)).await
    }

    /// Subscribes. `id` is the subscriber's own word for it, unique in this process and the same after its restart, since the
    /// last-known-good file goes by it; requiring the same id again replaces the subscription. `known` is what the caller still
    /// has from before, used where the file has nothing for it. The first set is there at once: the last known, or empty.
    pub fn require(&self, id: impl Into<String>, query: Query, known: Vec<Endpoint>) -> Subscription {
        let id = id.into();
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        let first = self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        let now = SystemTime::now();
        let (sets, receiver) = watch::channel(if first {
            self.cached.first_set(&id, &query, known, now)
        } else {
            Contents::default().first_set(&id, &query, known, now)
        });
        let _ = self.commands.send(Command::Require { id: id.clone(), generation, query, sets });
        Subscription { sets: receiver, id, generation, commands: self.commands.clone() }
    }

    /// What a requirement would get right now.
    pub async fn resolve(&self, query: Query) -> Result<Vec<Endpoint>, Error> {
        let what = format!("resolve {}", query.name());
        self.ask(what, false, PATIENCE, |reply| Command::Resolve(query, reply)).await
    }

    /// Who provides and requires what.
    pub async fn list(&self, filter: List) -> Result<Listing, Error> {
        self.ask("list".to_owned(), false, PATIENCE, |reply| Command::List(filter, reply)).await
    }

    /// What the server held for this session when this process resumed it, and this process has neither provided nor withdrawn since.
    /// An agent that was restarted withdraws those whose containers are gone; nothing else ever will. Waits for a session.
    pub async fn inherited(&self) -> Result<Vec<Identity>, Error> {
        self.ask("look at the resumed session".to_owned(), false, PATIENCE, Command::Inherited).await
    }

    /// Tells the server that this process will be away for at most so long, on purpose: its endpoints stay meanwhile.
    pub async fn park(&self, pause: Duration) -> Result<(), Error> {
        self.ask("park the session".to_owned(), false, PATIENCE, |reply| Command::Park(pause, reply)).await
    }

    /// Ends the session: everything provided has left, and subscriptions are no longer confirmed. The next thing asked of this handle
    /// starts a new session.
    pub async fn close(&self) -> Result<(), Error> {
        self.ask("close the session".to_owned(), false, PATIENCE, Command::Close).await
    }

    /// Whether there is a session with a server right now.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Why there is no session, once every server has been tried; `None` while there is one, and before that.
    pub fn trouble(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.trouble.clone()
    }

    async fn ask<T>(
        &self,
        what: String,
        retried: bool,
        patience: Duration,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let cause = if self.commands.send(command(reply)).is_err() {
            Cause::Closed
        } else {
            match tokio::time::timeout(patience, answer).await {
                Ok(Ok(Ok(value))) => return Ok(value),
                Ok(Ok(Err(cause))) => cause,
                Ok(Err(_)) => Cause::Closed,
                Err(_) => Cause::Unreachable { address: self.address.to_string(), waited: patience },
            }
        };
        let retried = retried && !matches!(cause, Cause::Closed);
        Err(Error { what, retried, cause })
    }
}

/// A subscription; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    /// The latest set. Intermediate ones may be skipped.
    pub sets: watch::Receiver<EndpointSet>,
    id: String,
    generation: u64,
    commands: mpsc::UnboundedSender<Command>,
}

impl Subscription {
    /// The subscriber's own word for it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The latest set, marked as seen.
    pub fn current(&mut self) -> EndpointSet {
        self.sets.borrow_and_update().clone()
    }

    /// Waits for a set that was not seen yet. Waits for ever once the service has ended: what is known stays valid.
    pub async fn changed(&mut self) -> EndpointSet {
        if self.sets.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.current()
    }

    /// Tells the server that the subscriber works with the set of this `seq` now. A provider that withdraws waits for it.
    pub async fn applied(&self, seq: u64) {
        let _ = self.commands.send(Command::Applied { id: self.id.clone(), generation: self.generation, seq });
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Unrequire { id: self.id.clone(), generation: self.generation });
    }
}
