//! Connections of the HTTP API: plain ones of this machine, or TLS, whose handshakes are made beside each other.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    middleware::Next,
    response::Response,
    serve::IncomingStream,
};
use disco_core::Grants;
use scs_pki::{Live, Trouble};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{Semaphore, mpsc, watch},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use crate::{
    admit::{Admit, Pass, Unfit},
    service::Spot,
    traffic::Traffic,
};

/// Connections at once: people and scrapers, not services.
const CONNECTIONS: usize = 1024;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pass: Pass,
}

impl Peer {
    /// What it may see now.
    pub(super) fn grants(&self) -> Result<Grants, Problem> {
        Ok(self.pass.grants()?)
    }

    /// Where news of that come from, if they come.
    pub(super) fn changes(&self) -> Option<watch::Receiver<u64>> {
        self.pass.changes()
    }
}

/// Asks for each request what its peer may see: that may have changed since it connected.
pub(super) async fn admitted(
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    request.extensions_mut().insert(peer.grants()?);
    Ok(next.run(request).await)
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Hands out connections whose handshake is done.
#[derive(Debug)]
pub(super) struct TlsListener {
    ready: mpsc::Receiver<(Guest, Peer)>,
}

impl TlsListener {
    pub(super) fn new(
        spot: Spot,
        tls: Option<Arc<Live>>,
        admit: Option<Arc<dyn Admit>>,
        traffic: Arc<Traffic>,
        stop: CancellationToken,
    ) -> Self {
        let (sender, ready) = mpsc::channel(16);
        tokio::spawn(accept(spot, tls, admit, traffic, sender, stop));
        Self { ready }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = Guest;
    type Addr = Peer;

    async fn accept(&mut self) -> (Guest, Peer) {
        match self.ready.recv().await {
            Some(guest) => guest,
            // Ended: whoever serves was told so, too.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { pass: Pass::Fixed(Grants::Everything) })
    }
}

async fn accept(
    spot: Spot,
    tls: Option<Arc<Live>>,
    admit: Option<Arc<dyn Admit>>,
    traffic: Arc<Traffic>,
    ready: mpsc::Sender<(Guest, Peer)>,
    stop: CancellationToken,
) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // With no seat free, the next ones wait in the system's queue.
        let next = async {
            let seat = Arc::clone(&seats).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((seat, spot.listener.accept().await?))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = stop.cancelled() => return,
        };
        let (seat, (stream, peer)) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for the HTTP API");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (tls, admit, traffic, ready) = (tls.clone(), admit.clone(), Arc::clone(&traffic), ready.clone());
        tokio::spawn(async move {
            let Some((stream, pass)) = greet(stream, peer, tls, admit, &traffic).await else { return };
            let _ = ready.send((Guest { stream, _seat: seat }, Peer { pass })).await;
        });
    }
}

fn said(trouble: &Trouble) -> (&'static str, String, String) {
    (trouble.code(), trouble.to_string(), trouble.hint())
}

async fn greet(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Live>>,
    admit: Option<Arc<dyn Admit>>,
    traffic: &Traffic,
) -> Option<(Stream, Pass)> {
    let Some(live) = tls else { return Some((Stream::Plain(stream), Pass::Fixed(Grants::Everything))) };
    let accepting = TlsAcceptor::from(live.https_server()).accept(stream).into_fallible();
    let (code, why, hint) = match tokio::time::timeout(HANDSHAKE, accepting).await {
        Ok(Ok(stream)) => match Pass::of(stream.get_ref().1, admit.as_ref()) {
            Ok(pass) => return Some((Stream::Tls(Box::new(stream)), pass)),
            Err(unfit) => {
                let said = (unfit.code(), disco_proto::Failure::from(unfit.clone()).message, String::new());
                if let Unfit::Revoked(revoked) = unfit {
                    crate::accept::part(stream, Problem::from(revoked).last_words().as_bytes()).await;
                }
                said
            }
        },
        Ok(Err((error, stream))) => {
            crate::accept::part(stream, &[]).await;
            said(&Trouble::of(&error).unwrap_or_else(|| Trouble::Other(error.to_string())))
        }
        Err(_) => said(&Trouble::Other("the handshake took too long".to_owned())),
    };
    traffic.refuse(code);
    tracing::info!(conn.peer = %peer, code, why, hint, "refused a connection for the HTTP API");
    None
}

/// A connection, and its place.
#[derive(Debug)]
pub(super) struct Guest {
    stream: Stream,
    _seat: tokio::sync::OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
