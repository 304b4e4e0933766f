//! A line between client and server that can be cut, stopped, slowed down, or broken in the middle of a message.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything passes.
    Open,
    /// Connections stay and nothing passes.
    Stopped,
    /// So many bytes pass at a time in each direction, with a pause after each.
    Slow(usize, Duration),
}

/// Bytes that may still pass from the server before its connections are reset; `usize::MAX`: any number.
type Rest = Arc<AtomicUsize>;

/// A line to one server. What passes over it is up to the test; dropping it ends every connection.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    cut: watch::Sender<u64>,
    rest: Rest,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A line to this server, open.
    ///
    /// # Panics
    /// Where no port of loopback is free.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (mode, modes) = watch::channel(Mode::Open);
        let (cut, cuts) = watch::channel(0);
        let rest = Rest::new(AtomicUsize::new(usize::MAX));
        let mut tasks = JoinSet::new();
        let counted = rest.clone();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                lines.spawn(carry(client, server, modes.clone(), cuts.clone(), counted.clone()));
            }
        });
        Self { address, mode, cut, rest, _tasks: tasks }
    }

    /// Ends every connection.
    pub fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    /// Lets so many bytes of the server pass, then resets the connection that they came over, and heals.
    pub fn reset_after(&self, bytes: usize) {
        self.rest.store(bytes, Ordering::SeqCst);
    }

    /// Whether that has happened.
    #[must_use]
    pub fn has_reset(&self) -> bool {
        self.rest.load(Ordering::SeqCst) == usize::MAX
    }

    /// Keeps every connection and lets nothing pass, as a host without power does.
    pub fn stop(&self) {
        self.mode.send_replace(Mode::Stopped);
    }

    /// Lets a few bytes pass at a time.
    pub fn slow(&self, bytes: usize, pause: Duration) {
        self.mode.send_replace(Mode::Slow(bytes, pause));
    }

    /// Everything passes again.
    pub fn go_on(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

async fn carry(
    client: TcpStream,
    server: SocketAddr,
    mode: watch::Receiver<Mode>,
    mut cut: watch::Receiver<u64>,
    rest: Rest,
) {
    cut.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let mut client = client;
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let reset = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            () = pass(from_client, to_server, mode.clone(), None) => false,
            () = pass(from_server, to_client, mode, Some(&rest)) => rest.load(Ordering::SeqCst) == 0,
            _ = cut.changed() => false,
        }
    };
    if reset {
        rest.store(usize::MAX, Ordering::SeqCst);
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Carries bytes one way, until the end or until no more may pass.
async fn pass(
    mut from: impl io::AsyncRead + Unpin,
    mut to: impl io::AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    rest: Option<&Rest>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let most = match *mode.borrow_and_update() {
            Mode::Slow(bytes, _) => bytes,
            Mode::Open | Mode::Stopped => buffer.len(),
        };
        let Ok(count) = io::AsyncReadExt::read(&mut from, &mut buffer[..most]).await else { return };
        let Ok(now) = mode.wait_for(|mode| *mode != Mode::Stopped).await.map(|mode| *mode) else { return };
        if count == 0 {
            return;
        }
        let left = rest.map_or(usize::MAX, |rest| rest.load(Ordering::SeqCst));
        let passing = count.min(left);
        if io::AsyncWriteExt::write_all(&mut to, &buffer[..passing]).await.is_err() {
            return;
        }
        if let Some(rest) = rest.filter(|_| left != usize::MAX) {
            rest.store(left - passing, Ordering::SeqCst);
            if left == passing {
                return;
            }
        }
        if let Mode::Slow(_, pause) = now {
            tokio::time::sleep(pause).await;
        }
    }
}
