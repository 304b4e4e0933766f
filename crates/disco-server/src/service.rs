//! Listening and accepting.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use disco_core::{BrakeOptions, Conn, Core, Limits};
use scs_pki::Live;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::Door,
    admission::Admission,
    admit::Admit,
    handle::Handle,
    registry::{self, Event},
    store::{self, Store},
    traffic::Traffic,
};

/// How the server listens and how patient it is.
#[derive(Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The interval at which clients say something; three missed, and their endpoints expire. Default: 1 s.
    pub heartbeat: Duration,
    /// How long after its start nothing is dropped that it has not heard of, so that its restart is not noticed. Default: 15 s,
    /// thrice the longest pause of a client between two attempts to connect.
    pub hold: Duration,
    /// How long a better tier of `prefer` must be there before subscribers go back to it. Default: 10 s.
    pub failback: Duration,
    /// Secret of the session tokens; `None` makes one up, so that sessions end with this process.
    pub secret: Option<[u8; 32]>,
    /// The window of a client that does not name one. Default: 3 s.
    pub window: Duration,
    /// What happens when many hosts fall silent at once.
    pub brake: BrakeOptions,
    /// How much clients may ask for.
    pub limits: Limits,
    /// The file that who is there is kept in over a restart, written every two seconds if anything changed, and at the end. It needs a
    /// `secret` that stays the same. Default: none.
    pub snapshot: Option<PathBuf>,
    /// Certificates: connections are TLS 1.3, and a client may do what its certificate says. Needed wherever `listen` is not loopback.
    /// Default: none.
    pub tls: Option<Arc<Live>>,
    /// Who decides what a certificate's holder may do, and which certificates have been revoked. Default: nobody; certificates say it.
    pub admit: Option<Arc<dyn Admit>>,
    /// How much it takes of whom.
    pub admission: Admission,
}

/// Without the secret.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("heartbeat", &self.heartbeat)
            .field("hold", &self.hold)
            .field("failback", &self.failback)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults, listening there.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            heartbeat: Duration::from_secs(1),
            hold: Duration::from_secs(15),
            failback: Duration::from_secs(10),
            secret: None,
            window: Duration::from_secs(3),
            brake: BrakeOptions::default(),
            limits: Limits::default(),
            snapshot: None,
            tls: None,
            admit: None,
            admission: Admission::default(),
        }
    }
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on; nothing was started.
    #[error("disco: cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Anybody could come in there; nothing was started.
    #[error("disco: {address} is not loopback, and there only those with a certificate may come in")]
    Exposed {
        /// Which.
        address: SocketAddr,
    },
}

/// Events that connections may have waiting for the core, all together. Beyond it they stop reading.
const EVENTS: usize = 4096;

/// The most that any system takes: the kernel cuts it down to its own `somaxconn`. With less, clients that come back all at once are
/// turned away and try again seconds later.
const BACKLOG: u32 = 65_535;

/// A bound server that does not serve yet.
#[derive(Debug)]
pub struct Service {
    options: Options,
    spot: Spot,
    traffic: Arc<Traffic>,
    events: mpsc::Sender<Event>,
    received: mpsc::Receiver<Event>,
}

impl Service {
    /// Binds the address.
    ///
    /// # Errors
    /// Where that cannot be, or may not be without certificates.
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let spot = listen(options.listen, options.tls.is_some())?;
        let (events, received) = mpsc::channel(EVENTS);
        Ok(Self { options, spot, traffic: Arc::default(), events, received })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.spot.address
    }

    /// What is counted of connections.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// A way to look into the registry, good from now on.
    pub fn handle(&self) -> Handle {
        Handle::new(&self.events)
    }

    /// Serves until `shutdown`, then tells the clients to come back and ends.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { options, spot: Spot { listener, .. }, traffic, events, received } = self;
        let mut core = disco_core::Options::new(
            format!("{:016x}", rand::random::<u64>()),
            options.secret.unwrap_or_else(rand::random),
        );
        core.heartbeat = options.heartbeat;
        core.hold = options.hold;
        core.failback = options.failback;
        core.window = options.window;
        core.brake = options.brake;
        core.limits = options.limits;
        let mut core = Core::new(core, Duration::ZERO);
        if let Some(path) = options.snapshot.clone()
            && let Ok(Some(snapshot)) = tokio::task::spawn_blocking(move || store::load(&path)).await
        {
            tracing::info!(sessions = snapshot.sessions.len(), "the registry begins with what was there before");
            core.restore(snapshot);
        }
        let store = options.snapshot.map(Store::new);
        let changes = options.admit.as_ref().map(|admit| admit.changes());
        let tasks = TaskTracker::new();
        let door = Door::new(options.tls, options.admit.clone(), options.admission, traffic, events);
        let owner = tokio::spawn(registry::run(core, received, store, changes, shutdown.clone()));
        let mut number = 0;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    number += 1;
                    let conn = Conn(number);
                    tracing::debug!(conn.number = number, conn.peer = %peer, "connected");
                    let door = Arc::clone(&door);
                    tasks.spawn(async move { door.welcome(conn, stream, peer).await });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: accepting at once again would only burn the processor.
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        drop(door);
        tasks.close();
        // The last words to clients are on their way; one that does not read does not hold the process.
        let _ = tokio::time::timeout(Duration::from_secs(2), tasks.wait()).await;
        if let Err(error) = owner.await {
            tracing::error!(error = %error, "the registry's task ended badly");
        }
    }
}

/// Where something listens.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Listens; off loopback only where connections are `secure`.
pub(crate) fn listen(address: SocketAddr, secure: bool) -> Result<Spot, Error> {
    if !secure && !address.ip().to_canonical().is_loopback() {
        return Err(Error::Exposed { address });
    }
    let bound = bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (bound, listener) = bound.map_err(|source| Error::Listen { address, source })?;
    Ok(Spot { listener, address: bound })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted server must not wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests;
