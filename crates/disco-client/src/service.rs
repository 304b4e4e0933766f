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
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    cache::Contents,
    connection::{self, End, Tools},
    handle::{Command, Handle},
    saver::Saver,
    state::{Phase, State},
    tls::Tls,
};

/// How to reach the server, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port` of the server; several, separated by commas, are tried in turn.
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
    /// What connections are secured with; without it they are plain, which only a server on loopback takes.
    pub tls: Option<Tls>,
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
    trouble: watch::Sender<Option<Arc<str>>>,
}

impl Service {
    /// A service that does not run yet, and a handle to it that may be used at once. Reads the last-known-good file.
    pub fn new(options: Options) -> (Self, Handle) {
        let (sender, commands) = mpsc::unbounded_channel();
        let (connected, receiver) = watch::channel(false);
        let (trouble, troubles) = watch::channel(None);
        let cache = Arc::new(options.cache.as_deref().map(Contents::read).unwrap_or_default());
        let handle = Handle {
            commands: sender,
            connected: receiver,
            trouble: troubles,
            address: options.address.as_str().into(),
            cached: Arc::clone(&cache),
            begun: Arc::default(),
            generation: Arc::new(AtomicU64::new(1)),
        };
        (Self { options, cache, commands, connected, trouble }, handle)
    }

    /// Connects, and reconnects, until `shutdown`. The session is left open, so that a restarted process can resume it; to end
    /// it, call [`Handle::close`] before.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { options, cache, mut commands, connected, trouble } = self;
        let mut saver = Saver::new(options.cache.clone());
        let mut servers = Servers::new(&options.address);
        let tls = options.tls.clone();
        let mut state = State::new(options, Contents::clone(&cache));
        drop(cache);
        let mut backoff = Backoff::default();
        let mut reported = false;
        loop {
            let mut was_open = false;
            let why: Arc<str> = match connect(servers.current(), tls.as_ref(), &mut state, &mut commands, &shutdown)
                .await
            {
                None => break,
                Some(Ok(stream)) => {
                    let tools = Tools {
                        state: &mut state,
                        commands: &mut commands,
                        connected: &connected,
                        trouble: &trouble,
                        saver: &mut saver,
                        shutdown: &shutdown,
                    };
                    let end = match stream {
                        Stream::Plain(stream) => {
                            let (reader, writer) = stream.into_split();
                            connection::run(reader, writer, tools).await
                        }
                        Stream::Secured(stream) => {
                            let (reader, writer) = tokio::io::split(*stream);
                            connection::run(reader, writer, tools).await
                        }
                    };
                    was_open = connected.send_replace(false);
                    if was_open {
                        backoff.succeeded();
                        servers.worked();
                        reported = false;
                    }
                    if let Phase::Sent(pause) = state.phase {
                        backoff.asked(pause);
                    }
                    state.disconnected(SystemTime::now());
                    if matches!(end, End::Shutdown) {
                        break;
                    }
                    tracing::info!(server = servers.current(), why = %end, "disconnected from the disco server");
                    chain(&end).into()
                }
                Some(Err(error)) => {
                    if !std::mem::replace(&mut reported, true) {
                        tracing::warn!(server = servers.current(), error = %error, "cannot reach the disco server; trying again");
                    }
                    chain(&error).into()
                }
            };
            let all_failed = servers.next();
            if all_failed && !was_open {
                trouble.send_replace(Some(format!("{}: {why}", servers.last()).into()));
            }
            // One server that is away must not keep it from the others; but those who have lost the same one do not go to the next in step.
            if all_failed || was_open {
                let until = Instant::now() + backoff.next(rand::random());
                if !wait(until, &mut state, &mut commands, &shutdown, &mut saver).await {
                    break;
                }
            }
        }
        saver.finish(&mut state).await;
    }
}

/// The servers, in the order in which they are tried.
#[derive(Debug)]
struct Servers {
    addresses: Vec<String>,
    current: usize,
    /// How many have failed since one worked or the last pause.
    failed: usize,
}

impl Servers {
    fn new(list: &str) -> Self {
        let addresses: Vec<String> =
            list.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect();
        // An empty list is one that nothing can be reached at, and is reported so.
        Self { addresses: if addresses.is_empty() { vec![list.to_owned()] } else { addresses }, current: 0, failed: 0 }
    }

    fn current(&self) -> &str {
        &self.addresses[self.current]
    }

    /// The one before the current one.
    fn last(&self) -> &str {
        &self.addresses[(self.current + self.addresses.len() - 1) % self.addresses.len()]
    }

    /// A session was open on the current one.
    fn worked(&mut self) {
        self.failed = 0;
    }

    /// The connection to the current one ended, or never came to be. Whether it was the last to fail.
    fn next(&mut self) -> bool {
        self.current = (self.current + 1) % self.addresses.len();
        self.failed += 1;
        let all = self.failed >= self.addresses.len();
        if all {
            self.failed = 0;
        }
        all
    }
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A connection, with the handshake done where there is one.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

async fn reach(address: &str, tls: Option<&Tls>) -> std::io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    let _ = stream.set_nodelay(true);
    match tls {
        None => Ok(Stream::Plain(stream)),
        Some(tls) => Ok(Stream::Secured(Box::new(tls.connect(address, stream).await?))),
    }
}

/// Connects while handles go on asking; `None` at the shutdown.
async fn connect(
    address: &str,
    tls: Option<&Tls>,
    state: &mut State,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    shutdown: &CancellationToken,
) -> Option<std::io::Result<Stream>> {
    let connecting = tokio::time::timeout(CONNECTING, reach(address, tls));
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

#[cfg(test)]
mod tests {
    use super::Servers;

    #[test]
    fn each_server_is_tried_before_there_is_a_pause() {
        let mut servers = Servers::new("one:1, two:2,three:3");
        let tried: Vec<(String, bool)> = (0..6).map(|_| (servers.current().to_owned(), servers.next())).collect();
        let expected = [("one:1", false), ("two:2", false), ("three:3", true)];
        let expected: Vec<(String, bool)> =
            expected.iter().cycle().take(6).map(|(server, pause)| ((*server).to_owned(), *pause)).collect();
        assert_eq!(tried, expected);
    }

    #[test]
    fn a_single_server_that_worked_is_tried_again_after_a_pause() {
        let mut servers = Servers::new("one:1");
        servers.worked();
        assert!(servers.next());
        assert_eq!(servers.current(), "one:1");
    }

    #[test]
    fn after_one_that_worked_every_other_is_tried_first() {
        let mut servers = Servers::new("one:1,two:2");
        assert!(!servers.next());
        servers.worked();
        assert!(!servers.next(), "two worked, and ended");
        assert_eq!(servers.current(), "one:1");
    }
}
