//! The agent's side: its API over TLS with certificates on both sides.

mod admit;
mod report;
mod routes;
mod volumes;

use crate::BEAT;
use scs_control::agents::Agent;
use scs_control::api::{Peer, TlsListener};
use scs_pki::Live;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long requests that are being answered may take once the end was asked for.
const PARTING: Duration = Duration::from_secs(2);

/// How an agent is served.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often it is heard of where it has nothing to say; [`BEAT`] unless a test is in a hurry.
    pub beat: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { beat: BEAT }
    }
}

/// What every request works with.
#[derive(Debug, Clone)]
struct Api {
    agent: Arc<dyn Agent>,
    beat: Duration,
    /// Ends streams that would go on for ever.
    shutdown: CancellationToken,
}

/// Serves an agent until told to stop. `live` is the certificate of its host.
///
/// # Errors
/// Where connections cannot be taken any more.
pub async fn serve(
    listener: TcpListener,
    live: Arc<Live>,
    agent: Arc<dyn Agent>,
    options: Options,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let api = Api { agent, beat: options.beat, shutdown: shutdown.clone() };
    let listener = TlsListener::of_members(listener, live);
    let router = routes::router(api).into_make_service_with_connect_info::<Peer>();
    let stop = shutdown.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(PARTING).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = late => Ok(()),
    }
}
