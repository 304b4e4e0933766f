//! From an accepted socket to a conversation: who may come in, TLS, and what a peer that may not is told.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use disco_core::{Conn, Grants};
use disco_proto::{Code, Failure, Message, encode};
use scs_pki::{Live, Trouble, rustls::HandshakeKind};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    admission::{Admission, Guests, Seat},
    admit::{Admit, Pass},
    connection::{self, Talk},
    direct::{Direct, Shared},
    registry::Event,
    traffic::Traffic,
};

/// Refusals said at once; beyond it, connections are closed without a word, or refusing would be work that anybody can order.
const REFUSALS: usize = 64;

/// How long the last words to a peer may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What all connections of a listener share.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) tls: Option<Arc<Live>>,
    pub(crate) admit: Option<Arc<dyn Admit>>,
    pub(crate) admission: Admission,
    pub(crate) guests: Arc<Guests>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) events: mpsc::Sender<Event>,
    refusals: Semaphore,
}

impl Door {
    pub(crate) fn new(
        tls: Option<Arc<Live>>,
        admit: Option<Arc<dyn Admit>>,
        admission: Admission,
        traffic: Arc<Traffic>,
        events: mpsc::Sender<Event>,
    ) -> Arc<Self> {
        Arc::new(Self {
            tls,
            admit,
            admission,
            guests: Guests::new(admission),
            traffic,
            events,
            refusals: Semaphore::new(REFUSALS),
        })
    }

    /// Has a conversation with a peer, if it may come in. What only the beginning needs is boxed, so that it is not part of what an idle
    /// connection takes.
    pub(crate) async fn welcome(&self, conn: Conn, stream: TcpStream, peer: SocketAddr) {
        // Lines are small and each is waited for: without this, an answer may wait for a full segment.
        let _ = stream.set_nodelay(true);
        let seat = self.guests.enter(peer.ip());
        let Some(live) = &self.tls else {
            match seat {
                Ok(seat) => Box::pin(self.plain(conn, stream, seat)).await,
                Err(failure) => Box::pin(self.refuse(stream, peer, failure)).await,
            }
            return;
        };
        if seat.is_err() && self.refusals.available_permits() == 0 {
            self.traffic.refuse(Code::Limit.as_str());
            return;
        }
        if let Some((talk, reader, writer, _seat)) = Box::pin(self.admit(live, stream, conn, peer, seat)).await {
            Box::pin(self.talk(talk, reader, writer)).await;
        }
    }

    async fn plain(&self, conn: Conn, stream: TcpStream, _seat: Seat) {
        let (reader, writer) = stream.into_split();
        let direct = Direct::new(writer);
        let talk =
            Talk { conn, pass: Pass::Fixed(Grants::Everything), buffered: false, direct: Some(Arc::clone(&direct)) };
        self.talk(talk, reader, Shared(direct)).await;
    }

    /// Makes the handshake and looks at the certificate; `None` where the peer was refused.
    async fn admit(
        &self,
        live: &Live,
        stream: TcpStream,
        conn: Conn,
        peer: SocketAddr,
        seat: Result<Seat, Failure>,
    ) -> Option<(Talk, ReadHalf<TlsStream<TcpStream>>, WriteHalf<TlsStream<TcpStream>>, Seat)> {
        let stream = handshake(live, stream, peer, self).await?;
        let admitted = seat.and_then(|seat| {
            let pass = Pass::of(stream.get_ref().1, self.admit.as_ref())?;
            tracing::debug!(conn.number = conn.0, conn.peer = %peer, ?pass, "a peer has shown its certificate");
            Ok((seat, pass))
        });
        match admitted {
            Ok((seat, pass)) => {
                let (reader, writer) = io::split(stream);
                Some((Talk { conn, pass, buffered: true, direct: None }, reader, writer, seat))
            }
            Err(failure) => {
                self.refuse(stream, peer, failure).await;
                None
            }
        }
    }

    async fn talk(&self, talk: Talk, reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin) {
        Traffic::count(&self.traffic.connections);
        Traffic::count(&self.traffic.open);
        connection::run(talk, reader, writer, &self.traffic, &self.events).await;
        self.traffic.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Says why not, and closes.
    async fn refuse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, failure: Failure) {
        self.traffic.refuse(failure.code.as_str());
        tracing::info!(conn.peer = %peer, code = failure.code.as_str(), why = failure.message, "refused a connection");
        let Ok(_permit) = self.refusals.try_acquire() else { return };
        let mut line = Vec::new();
        encode(&Message::Answer { id: None, result: Err(failure) }, &mut line);
        part(stream, &line).await;
    }
}

async fn handshake(live: &Live, stream: TcpStream, peer: SocketAddr, door: &Door) -> Option<TlsStream<TcpStream>> {
    let accepting = TlsAcceptor::from(live.disco_server()).accept(stream).into_fallible();
    let (code, why, hint) = match tokio::time::timeout(door.admission.handshake, accepting).await {
        Ok(Ok(stream)) => {
            let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            Traffic::count(if resumed { &door.traffic.resumed } else { &door.traffic.handshakes });
            return Some(stream);
        }
        Ok(Err((error, stream))) => {
            // The peer is told by an alert that is on its way; closing at once could overtake it.
            part(stream, &[]).await;
            match Trouble::of(&error) {
                Some(trouble) => (trouble.code(), trouble.to_string(), trouble.hint()),
                None => ("tls", error.to_string(), String::new()),
            }
        }
        Err(_) => ("tls_timeout", "the handshake took too long".to_owned(), String::new()),
    };
    door.traffic.refuse(code);
    tracing::info!(conn.peer = %peer, code, why, hint, "refused a connection");
    None
}

/// Writes the last words, and hears the peer out for a moment: what it has said and nobody read would make the system throw them away.
pub(crate) async fn part(mut stream: impl AsyncRead + AsyncWrite + Unpin, words: &[u8]) {
    let parting = async {
        stream.write_all(words).await?;
        stream.shutdown().await?;
        let mut void = [0; 1024];
        while stream.read(&mut void).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LAST_WORDS, parting).await;
}
