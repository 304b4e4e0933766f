//! A line between client and server that can be cut or stopped.

use std::net::SocketAddr;

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
}

pub struct Proxy {
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    cut: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Open);
        let (cut, cuts) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                lines.spawn(carry(client, server, modes.clone(), cuts.clone()));
            }
        });
        Self { address, mode, cut, _tasks: tasks }
    }

    /// Ends every connection.
    pub fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    /// Keeps every connection and lets nothing pass, as a host without power does.
    pub fn stop(&self) {
        self.mode.send_replace(Mode::Stopped);
    }

    pub fn go_on(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

async fn carry(client: TcpStream, server: SocketAddr, mode: watch::Receiver<Mode>, mut cut: watch::Receiver<u64>) {
    cut.mark_unchanged();
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client, server) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pass(client.0, server.1, mode.clone()) => {}
        () = pass(server.0, client.1, mode) => {}
        _ = cut.changed() => {}
    }
}

async fn pass(
    mut from: impl io::AsyncRead + Unpin,
    mut to: impl io::AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count) = io::AsyncReadExt::read(&mut from, &mut buffer).await else { return };
        if mode.wait_for(|mode| *mode == Mode::Open).await.is_err() || count == 0 {
            return;
        }
        if io::AsyncWriteExt::write_all(&mut to, &buffer[..count]).await.is_err() {
            return;
        }
    }
}
