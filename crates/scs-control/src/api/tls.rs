//! The listener off this machine: TLS 1.3, with a certificate or to get one. Handshakes are made beside each other, so that nobody who
//! is slow at it holds up the others. Whether a certificate has been revoked is looked at with every request.

use super::Peer;
use axum::serve::Listener;
use scs_pki::rustls::ServerConfig;
use scs_pki::{Live, Side, Trouble, holder_of};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Connections at once: people and hosts, not services.
const CONNECTIONS: usize = 1024;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a peer that is refused may take to hear so.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the next connection is taken with.
type Config = fn(&Live) -> Arc<ServerConfig>;

/// Hands out connections whose handshake is done, with who is at the other end. Ends when dropped.
#[derive(Debug)]
pub struct TlsListener {
    ready: mpsc::Receiver<(Guest, Peer)>,
    _stop: DropGuard,
}

impl TlsListener {
    /// Takes connections of a bound socket with the certificate of this server, also of those who have none yet.
    #[must_use]
    pub fn new(listener: TcpListener, live: Arc<Live>) -> Self {
        Self::taking(listener, live, Live::joining_server)
    }

    /// The same of those alone who have a certificate.
    #[must_use]
    pub fn of_members(listener: TcpListener, live: Arc<Live>) -> Self {
        Self::taking(listener, live, Live::https_server)
    }

    fn taking(listener: TcpListener, live: Arc<Live>, config: Config) -> Self {
        let (sender, ready) = mpsc::channel(16);
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, live, config, sender, stop.clone()));
        Self { ready, _stop: stop.drop_guard() }
    }
}

impl Listener for TlsListener {
    type Io = Guest;
    type Addr = Peer;

    async fn accept(&mut self) -> (Guest, Peer) {
        match self.ready.recv().await {
            Some(guest) => guest,
            // Ended by a defect, which the log shows; whoever serves is told to end by others.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::Nobody)
    }
}

async fn accept(
    listener: TcpListener,
    live: Arc<Live>,
    config: Config,
    ready: mpsc::Sender<(Guest, Peer)>,
    stop: CancellationToken,
) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // With no seat free, the next ones wait in the system's queue.
        let next = async {
            let seat = seats.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((seat, listener.accept().await?))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = stop.cancelled() => return,
        };
        let (seat, (stream, address)) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for the API");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (live, ready) = (live.clone(), ready.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match greet(stream, config(&live)).await {
                Ok((stream, peer)) => drop(ready.send((Guest { stream, _seat: seat }, peer)).await),
                Err(trouble) => {
                    tracing::info!(conn.peer = %address, code = trouble.code(), why = %trouble, hint = trouble.hint(), "refused a connection for the API");
                }
            }
        });
    }
}

async fn greet(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(TlsStream<TcpStream>, Peer), Trouble> {
    let accepting = TlsAcceptor::from(config).accept(stream).into_fallible();
    match tokio::time::timeout(HANDSHAKE, accepting).await {
        Ok(Ok(stream)) => {
            let peer = match holder_of(stream.get_ref().1, SystemTime::now()) {
                Ok(holder) => Peer::Holder { identity: holder.identity, serial: holder.certificate.serial },
                Err(Trouble::Missing { whose: Side::Peer }) => Peer::Nobody,
                Err(trouble) => return Err(trouble),
            };
            Ok((stream, peer))
        }
        Ok(Err((error, stream))) => {
            part(stream).await;
            Err(Trouble::of(&error).unwrap_or_else(|| Trouble::Other(error.to_string())))
        }
        Err(_) => Err(Trouble::Other("the handshake took too long".to_owned())),
    }
}

/// Hears a peer out that is told why by an alert on its way: closing at once could overtake it.
async fn part(mut stream: TcpStream) {
    let parting = async {
        stream.shutdown().await?;
        let mut void = [0; 1024];
        while stream.read(&mut void).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LAST_WORDS, parting).await;
}

/// A connection, and its place.
#[derive(Debug)]
pub struct Guest {
    stream: TlsStream<TcpStream>,
    _seat: OwnedSemaphorePermit,
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
