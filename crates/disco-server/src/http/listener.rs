//! Connections of the HTTP API: plain ones of this machine, or TLS, whose handshakes are made beside each other.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use disco_core::Grants;
use scs_pki::{Live, Trouble, identity_of};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{service::Spot, traffic::Traffic};

/// Connections at once: people and scrapers, not services.
const CONNECTIONS: usize = 1024;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// What it may see.
    pub(super) grants: Grants,
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
    pub(super) fn new(spot: Spot, tls: Option<Arc<Live>>, traffic: Arc<Traffic>, stop: CancellationToken) -> Self {
        let (sender, ready) = mpsc::channel(16);
        tokio::spawn(accept(spot, tls, traffic, sender, stop));
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
        Ok(Peer { grants: Grants::Everything })
    }
}

async fn accept(
    spot: Spot,
    tls: Option<Arc<Live>>,
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
        let (tls, traffic, ready) = (tls.clone(), Arc::clone(&traffic), ready.clone());
        tokio::spawn(async move {
            let Some((stream, grants)) = greet(stream, peer, tls, &traffic).await else { return };
            let _ = ready.send((Guest { stream, _seat: seat }, Peer { grants })).await;
        });
    }
}

async fn greet(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Live>>,
    traffic: &Traffic,
) -> Option<(Stream, Grants)> {
    let Some(live) = tls else { return Some((Stream::Plain(stream), Grants::Everything)) };
    let accepting = TlsAcceptor::from(live.https_server()).accept(stream).into_fallible();
    let trouble = match tokio::time::timeout(HANDSHAKE, accepting).await {
        Ok(Ok(stream)) => match identity_of(stream.get_ref().1, SystemTime::now()) {
            Ok(identity) => return Some((Stream::Tls(Box::new(stream)), identity.grants())),
            Err(trouble) => trouble,
        },
        Ok(Err((error, stream))) => {
            crate::accept::part(stream, &[]).await;
            Trouble::of(&error).unwrap_or_else(|| Trouble::Other(error.to_string()))
        }
        Err(_) => Trouble::Other("the handshake took too long".to_owned()),
    };
    traffic.refuse(trouble.code());
    tracing::info!(conn.peer = %peer, code = trouble.code(), why = %trouble, hint = trouble.hint(), "refused a connection for the HTTP API");
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
