//! The HTTP API: who provides what, every change of it, why, and how the server is.
//!
//! On loopback it is plain and shows everything; elsewhere it asks for a certificate and shows what its holder may see.

mod listener;
mod metrics;
mod openapi;
mod problem;
mod routes;
mod types;
mod watch;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{Router, routing::get};
use scs_pki::Live;
use tokio_util::sync::CancellationToken;

pub use openapi::document;

use crate::{
    Admit, Handle,
    service::{Error, Spot, listen},
    traffic::Traffic,
};
use listener::{Peer, TlsListener};

/// Where the API is, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificates; needed wherever that is not loopback.
    pub tls: Option<Arc<Live>>,
    /// Who decides what a certificate's holder may see; as for the discovery protocol.
    pub admit: Option<Arc<dyn Admit>>,
    /// Version of the program, for `disco_build_info`.
    pub version: String,
}

/// How long requests under way may take once it ends.
const PARTING: Duration = Duration::from_secs(2);

/// What every request can look at.
#[derive(Debug)]
struct Shared {
    handle: Handle,
    traffic: Arc<Traffic>,
    tls: Option<Arc<Live>>,
    version: String,
    epoch: String,
    started: SystemTime,
    stop: CancellationToken,
}

/// A bound API that does not answer yet.
#[derive(Debug)]
pub struct Service {
    spot: Spot,
    options: Options,
    handle: Handle,
    traffic: Arc<Traffic>,
}

impl Service {
    /// Binds the address.
    ///
    /// # Errors
    /// Where that cannot be, or may not be without certificates.
    pub async fn bind(options: Options, handle: Handle, traffic: Arc<Traffic>) -> Result<Self, Error> {
        let spot = listen(options.listen, options.tls.is_some())?;
        Ok(Self { spot, options, handle, traffic })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.spot.address
    }

    /// Answers until `shutdown`, then ends watches and finishes what is under way.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { spot, options, handle, traffic } = self;
        let epoch = handle.snapshot().await.map(|view| view.epoch).unwrap_or_default();
        let shared = Arc::new(Shared {
            handle,
            traffic: Arc::clone(&traffic),
            tls: options.tls.clone(),
            version: options.version,
            epoch,
            started: SystemTime::now(),
            stop: shutdown.clone(),
        });
        let listener = TlsListener::new(spot, options.tls, options.admit.clone(), traffic, shutdown.clone());
        let app = router(shared).into_make_service_with_connect_info::<Peer>();
        let ending = shutdown.clone();
        let serving = axum::serve(listener, app).with_graceful_shutdown(async move { ending.cancelled().await });
        let late = async {
            shutdown.cancelled().await;
            tokio::time::sleep(PARTING).await;
        };
        tokio::select! {
            result = serving => if let Err(error) = result {
                tracing::error!(%error, "the HTTP API ended badly");
            },
            () = late => tracing::debug!("requests that were under way are cut off"),
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(routes::healthz))
        .route("/readyz", get(routes::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(routes::openapi))
        .route("/v1/endpoints", get(routes::endpoints))
        .route("/v1/endpoints/{environment}/{service}/{role}/{endpoint}", get(routes::endpoint))
        .route("/v1/watch", get(watch::watch))
        .route("/v1/explain", get(routes::explain))
        .route("/v1/sessions", get(routes::sessions))
        .fallback(routes::nowhere)
        .layer(axum::middleware::from_fn(listener::admitted))
        .with_state(shared)
}
