//! The task that owns the connection and everything said over it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, SystemTime},
};

use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    cache::Contents,
    connection::{self, End, Tools},
    handle::{Command, Handle},
    saver::Saver,
    state::{Phase, State},
};

/// How to reach the server, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port` of the server.
    pub address: String,
    /// Who speaks, for people; 1 to 253 bytes.
    pub agent: String,
    /// The client's own: `host` (owns what is provided), `zone`, `dc`, …; `prefer` compares with them.
    pub attributes: BTreeMap<String, String>,
    /// How long the session outlives its connection: 3 s for a client that dies with what it provides, 30 s for an agent, whose
    /// containers live on and whose deaths it reports by itself.
    pub window: Duration,
    /// The last-known-good file. Without it, what is known ends with the process. One process at a time.
    pub cache: Option<PathBuf>,
}

/// How long one attempt to connect may take; a host that answers at all does so sooner.
const CONNECTING: Duration = Duration::from_secs(3);

/// The client's task.
#[derive(Debug)]
pub struct Service {
    options: Options,
    cache: Arc<Contents>,
    commands: mpsc::UnboundedReceiver<Command>,
    connected: watch::Sender<bool>,
}

impl Service {
    /// A service that does not run yet, and a handle to it that may be used at once. Reads the last-known-good file.
    pub fn new(options: Options) -> (Self, Handle) {
        let (sender, commands) = mpsc::unbounded_channel();
        let (connected, receiver) = watch::channel(false);
        let cache = Arc::new(options.cache.as_deref().map(Contents::read).unwrap_or_default());
        let handle = Handle {
            commands: sender,
            connected: receiver,
            address: options.address.as_str().into(),
            cached: Arc::clone(&cache),
            begun: Arc::default(),
            generation: Arc::new(AtomicU64::new(1)),
        };
        (Self { options, cache, commands, connected }, handle)
    }

    /// Connects, and reconnects, until `shutdown`. The session is left open, so that a restarted process can resume it; to end
    /// it, call [`Handle::close`] before.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { options, cache, mut commands, connected } = self;
        let mut saver = Saver::new(options.cache.clone());
        let address = options.address.clone();
        let mut state = State::new(options, Contents::clone(&cache));
        drop(cache);
        let mut backoff = Backoff::default();
        let mut reported = false;
        loop {
            match connect(&address, &mut state, &mut commands, &shutdown).await {
                None => break,
                Some(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    let (reader, writer) = stream.into_split();
                    let tools = Tools {
                        state: &mut state,
                        commands: &mut commands,
                        connected: &connected,
                        saver: &mut saver,
                        shutdown: &shutdown,
                    };
                    let end = connection::run(reader, writer, tools).await;
                    let was_open = connected.send_replace(false);
                    if was_open {
                        backoff.succeeded();
                        reported = false;
                    }
                    if let Phase::Sent(pause) = state.phase {
                        backoff.asked(pause);
                    }
                    state.disconnected(SystemTime::now());
                    if matches!(end, End::Shutdown) {
                        break;
                    }
                    tracing::info!(server = address, why = %end, "disconnected from the disco server");
                }
                Some(Err(error)) => {
                    if !std::mem::replace(&mut reported, true) {
                        tracing::warn!(server = address, error = %error, "cannot reach the disco server; trying again");
                    }
                }
            }
            let until = Instant::now() + backoff.next(rand::random());
            if !wait(until, &mut state, &mut commands, &shutdown, &mut saver).await {
                break;
            }
        }
        saver.finish(&mut state).await;
    }
}

/// Connects while handles go on asking; `None` at the shutdown.
async fn connect(
    address: &str,
    state: &mut State,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    shutdown: &CancellationToken,
) -> Option<std::io::Result<TcpStream>> {
    let connecting = tokio::time::timeout(CONNECTING, TcpStream::connect(address));
    tokio::pin!(connecting);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            result = &mut connecting => {
                return Some(result.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())));
            }
            Some(command) = commands.recv() => state.command(command),
        }
    }
}

/// Waits between two attempts while handles go on asking. After a closed session it waits for the next question, however
/// long that takes. `false` at the shutdown.
async fn wait(
    until: Instant,
    state: &mut State,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    shutdown: &CancellationToken,
    saver: &mut Saver,
) -> bool {
    loop {
        let closed = state.phase == Phase::Closed;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return false,
            () = tokio::time::sleep_until(until), if !closed => return true,
            () = saver.due(state) => saver.save(state),
            Some(command) = commands.recv() => {
                let wakes = !matches!(
                    command,
                    Command::Unrequire { .. } | Command::Applied { .. } | Command::Close(_) | Command::Withdraw(..)
                );
                state.command(command);
                if closed && wakes {
                    state.phase = Phase::Away;
                }
            }
        }
    }
}
