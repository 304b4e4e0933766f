//! A local TCP port that leads to whatever provides an endpoint right now.
//!
//! New connections go to the best endpoint of a [`Subscription`]; those that exist finish where they began. While there is no endpoint, or
//! none takes connections, new ones wait instead of failing. A withdrawal is acknowledged once nothing runs over the endpoint any more, or
//! after [`Options::finish`].

mod carry;
mod choice;

use std::{
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use disco_proto::Reason;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{EndpointSet, Subscription};
use carry::{Carry, Lease, Released};
use choice::Choice;

pub use choice::Policy;

/// How connections are forwarded.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How one of several endpoints that are equally good is chosen.
    pub policy: Policy,
    /// How long a connection waits for an endpoint that takes it.
    pub patience: Duration,
    /// How long existing connections may go on after the shutdown, and how long they hold up the acknowledgement of a withdrawal.
    pub finish: Duration,
    /// Connections at a time; further ones wait in the system's queue.
    pub connections: usize,
}

impl Options {
    /// The defaults, listening there.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            policy: Policy::default(),
            patience: Duration::from_secs(30),
            finish: Duration::from_secs(10),
            connections: 1024,
        }
    }
}

/// What happens, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// New connections go elsewhere from now on.
    Moved {
        /// Addresses before; none at the start or after a time without.
        from: Vec<String>,
        /// Addresses now, in order of preference; none: new connections wait.
        to: Vec<String>,
        /// Why one of those before went.
        reason: Option<Reason>,
    },
    /// No server confirms the endpoints; the last known ones are used.
    Stale,
    /// A server confirms them again.
    Confirmed,
    /// The server refuses to say who provides it; what was known before is used.
    Refused {
        /// Why.
        why: String,
    },
    /// An endpoint does not take connections; said once until it does.
    Failed {
        /// Which.
        address: String,
        /// Why.
        why: String,
    },
    /// It takes connections again.
    Works {
        /// Which.
        address: String,
    },
    /// A connection was ended: no endpoint took it in time.
    GaveUp,
    /// There are as many connections as there may be; said once until there are fewer.
    Full,
    /// A connection cannot be accepted.
    Unaccepted {
        /// Why.
        why: String,
    },
}

/// A bound port that does not forward yet.
pub struct Forward {
    options: Options,
    listener: TcpListener,
    address: SocketAddr,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What connections ask of the owner of the choice.
enum Word {
    Pick(Vec<String>, oneshot::Sender<Option<Lease>>),
    Failed(String, String),
    Worked(String),
    GaveUp,
}

impl Forward {
    /// Binds the port.
    ///
    /// # Errors
    /// Where the address cannot be listened on.
    pub async fn bind(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { options, listener, address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Forwards until `shutdown`; then existing connections may finish, for a bounded time. `tell` is told what happens.
    pub async fn run(
        self,
        mut subscription: Subscription,
        shutdown: CancellationToken,
        tell: impl FnMut(Event) + Send,
    ) {
        let Self { options, listener, .. } = self;
        let (words, mut heard) = mpsc::channel(64);
        let (released, mut releases) = mpsc::unbounded_channel();
        let mut owner = Owner {
            choice: Choice::new(options.policy),
            sets: watch::Sender::new(0),
            stale: false,
            known: false,
            released,
            tell,
        };
        let permits = Arc::new(Semaphore::new(options.connections));
        let closing = CancellationToken::new();
        let mut connections = JoinSet::new();
        let mut full = false;
        // The set that is applied once nothing is left of those before, or then.
        let mut unapplied = owner.take(&subscription.current());
        let mut applied_by = tokio::time::Instant::now() + options.finish;
        loop {
            if let Some(seq) = unapplied
                && (owner.choice.left_behind() == 0 || applied_by <= tokio::time::Instant::now())
            {
                subscription.applied(seq).await;
                unapplied = None;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(Released(address)) = releases.recv() => owner.choice.released(&address),
                set = subscription.changed() => if let Some(seq) = owner.take(&set) {
                    unapplied = Some(seq);
                    applied_by = tokio::time::Instant::now() + options.finish;
                },
                Some(word) = heard.recv() => owner.heard(word),
                () = tokio::time::sleep_until(applied_by), if unapplied.is_some() => {}
                Some(_) = connections.join_next() => full &= permits.available_permits() <= options.connections / 10,
                (accepted, permit) = accept(&listener, &permits) => match accepted {
                    Ok(client) => {
                        carry::prepare(&client);
                        let carry = Carry {
                            client,
                            words: words.clone(),
                            sets: owner.sets.subscribe(),
                            patience: options.patience,
                            closing: closing.clone(),
                        };
                        connections.spawn(async move {
                            carry.run().await;
                            drop(permit);
                        });
                        if permits.available_permits() == 0 && !std::mem::replace(&mut full, true) {
                            (owner.tell)(Event::Full);
                        }
                    }
                    Err(error) => (owner.tell)(Event::Unaccepted { why: error.to_string() }),
                },
            }
        }
        drop(listener);
        closing.cancel();
        let finishing = async {
            while !connections.is_empty() {
                tokio::select! {
                    _ = connections.join_next() => {}
                    Some(word) = heard.recv() => owner.heard(word),
                    Some(Released(address)) = releases.recv() => owner.choice.released(&address),
                }
            }
        };
        let _ = tokio::time::timeout(options.finish, finishing).await;
    }
}

/// The next connection, once there may be one more.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (io::Result<TcpStream>, Option<OwnedSemaphorePermit>) {
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    let accepted = listener.accept().await.map(|(client, _)| client);
    if accepted.is_err() {
        // Out of file descriptors, most likely: accepting at once again would only burn the processor.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (accepted, permit)
}

/// Whether they are the same in whatever order.
fn same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}

/// The one who chooses.
struct Owner<F> {
    choice: Choice,
    sets: watch::Sender<u64>,
    stale: bool,
    /// A server has answered, or there was a set from before.
    known: bool,
    released: mpsc::UnboundedSender<Released>,
    tell: F,
}

impl<F: FnMut(Event)> Owner<F> {
    /// A set came. Returns what is to be acknowledged.
    fn take(&mut self, set: &EndpointSet) -> Option<u64> {
        let from = self.choice.addresses();
        self.choice.set(&set.endpoints);
        let to = self.choice.addresses();
        let first = !self.known && (set.complete || !to.is_empty());
        self.known |= first;
        if !same(&from, &to) || (first && to.is_empty()) {
            let reason = set.gone.iter().rev().find(|(gone, _)| from.contains(&gone.address())).map(|(_, why)| *why);
            (self.tell)(Event::Moved { from, to, reason });
        }
        if self.stale != set.stale_since.is_some() {
            self.stale = !self.stale;
            (self.tell)(if self.stale { Event::Stale } else { Event::Confirmed });
        }
        if let Some(refused) = &set.refused {
            (self.tell)(Event::Refused { why: refused.to_string() });
        }
        self.sets.send_modify(|count| *count += 1);
        (set.seq > 0 && set.stale_since.is_none()).then_some(set.seq)
    }

    fn heard(&mut self, word: Word) {
        match word {
            Word::Pick(tried, reply) => {
                let picked = self.choice.pick(Instant::now(), &tried);
                let lease = picked.map(|address| Lease { address, words: self.released.clone() });
                // If the connection is gone meanwhile, the lease comes back by being dropped.
                let _ = reply.send(lease);
            }
            Word::Failed(address, why) => {
                if self.choice.failed(Instant::now(), &address) {
                    (self.tell)(Event::Failed { address, why });
                }
            }
            Word::Worked(address) => {
                if self.choice.worked(&address) {
                    (self.tell)(Event::Works { address });
                }
            }
            Word::GaveUp => (self.tell)(Event::GaveUp),
        }
    }
}
