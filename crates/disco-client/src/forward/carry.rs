//! One connection: finding an endpoint that takes it, and carrying its bytes.

use std::{io, time::Duration};

use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::Word;

/// How long one attempt to connect may take.
const CONNECTING: Duration = Duration::from_secs(3);

/// An endpoint that closes a connection so soon, before either side has said a word, did not take it: its process is ending, or it is
/// only a proxy in front of one that is not there.
const HASTY: Duration = Duration::from_secs(2);

/// Pauses between two rounds of attempts while the set stays the same.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Bytes that are under way in each direction.
const BUFFER: usize = 64 * 1024;

/// What a connection needs.
pub(super) struct Carry {
    pub(super) client: TcpStream,
    pub(super) words: mpsc::Sender<Word>,
    /// Counts the sets; a change is worth another attempt.
    pub(super) sets: watch::Receiver<u64>,
    /// How long it waits for an endpoint.
    pub(super) patience: Duration,
    /// No endpoint is waited for any more.
    pub(super) closing: CancellationToken,
}

/// An endpoint that was chosen for a connection and counts it until this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) address: String,
    pub(super) words: mpsc::UnboundedSender<Released>,
}

/// A lease ended.
#[derive(Debug)]
pub(super) struct Released(pub(super) String);

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.words.send(Released(std::mem::take(&mut self.address)));
    }
}

impl Carry {
    /// From its beginning to its end.
    pub(super) async fn run(self) {
        let Self { mut client, words, sets, patience, closing } = self;
        let mut search = Search { words, sets, patience };
        let found = tokio::select! {
            found = search.run(&client) => found,
            () = gone(&client) => return,
            () = closing.cancelled() => Found::Nothing,
        };
        match found {
            Found::Server(mut server, _lease) => {
                let carried = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await;
                if carried.is_err() {
                    // What broke must not look like an end.
                    let _ = (client.set_zero_linger(), server.set_zero_linger());
                }
            }
            Found::Closed => {}
            Found::Nothing => drop(client.set_zero_linger()),
        }
    }
}

/// What came of looking for an endpoint.
enum Found {
    /// One took the connection.
    Server(TcpStream, Lease),
    /// One closed it, and is still to be used: that is its answer.
    Closed,
    /// None within the time.
    Nothing,
}

struct Search {
    words: mpsc::Sender<Word>,
    sets: watch::Receiver<u64>,
    patience: Duration,
}

impl Search {
    async fn run(&mut self, client: &TcpStream) -> Found {
        let deadline = Instant::now() + self.patience;
        let mut pause = PAUSES.0;
        let mut closed: Option<Instant> = None;
        loop {
            self.sets.mark_unchanged();
            let mut tried = Vec::new();
            while let Some(lease) = self.pick(&tried).await {
                match attempt(client, &lease.address).await {
                    Ok(server) => {
                        self.say(Word::Worked(lease.address.clone())).await;
                        return Found::Server(server, lease);
                    }
                    Err(failure) => {
                        if matches!(failure, Failure::Closed) {
                            closed.get_or_insert_with(Instant::now);
                        }
                        self.say(Word::Failed(lease.address.clone(), failure.to_string())).await;
                        tried.push(lease.address.clone());
                    }
                }
            }
            // One that is still in the set a while after it has closed a connection means it.
            let meant = closed.filter(|_| !tried.is_empty()).map(|closed| closed + HASTY);
            let until = meant.map_or(deadline, |meant| meant.min(deadline));
            let again = if tried.is_empty() { until } else { until.min(Instant::now() + pause) };
            tokio::select! {
                changed = self.sets.changed() => {
                    if changed.is_err() {
                        return Found::Nothing;
                    }
                    (pause, closed) = (PAUSES.0, None);
                }
                () = tokio::time::sleep_until(again) => {
                    if meant.is_some_and(|meant| meant <= Instant::now()) {
                        return Found::Closed;
                    }
                    if deadline <= Instant::now() {
                        self.say(Word::GaveUp).await;
                        return Found::Nothing;
                    }
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn pick(&self, tried: &[String]) -> Option<Lease> {
        let (reply, answer) = oneshot::channel();
        self.say(Word::Pick(tried.to_vec(), reply)).await;
        answer.await.ok()?
    }

    /// Once the owner has ended, so does this soon.
    async fn say(&self, word: Word) {
        let _ = self.words.send(word).await;
    }
}

/// Why an endpoint did not take a connection.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Connect(io::Error),
    #[error("no answer within {CONNECTING:?}")]
    Silent,
    #[error("it closed the connection before anything was said")]
    Closed,
}

/// Connects, and sees whether the endpoint stays.
async fn attempt(client: &TcpStream, address: &str) -> Result<TcpStream, Failure> {
    let server = match tokio::time::timeout(CONNECTING, TcpStream::connect(address)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => return Err(Failure::Connect(error)),
        Err(_) => return Err(Failure::Silent),
    };
    prepare(&server);
    let (mut one, mut other) = ([0; 1], [0; 1]);
    tokio::select! {
        biased;
        heard = server.peek(&mut one) => match heard {
            Ok(0) | Err(_) => Err(Failure::Closed),
            Ok(_) => Ok(server),
        },
        // The client speaks first, or has closed its side already: either is the endpoint's to hear.
        _ = client.peek(&mut other) => Ok(server),
        () = tokio::time::sleep(HASTY) => Ok(server),
    }
}

/// Small packets go at once; a peer that vanished without a word is noticed within a minute or so.
pub(super) fn prepare(stream: &TcpStream) {
    use rustix::net::sockopt;
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true)
        .and_then(|()| sockopt::set_tcp_keepidle(stream, Duration::from_secs(30)))
        .and_then(|()| sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10)))
        .and_then(|()| sockopt::set_tcp_keepcnt(stream, 3));
}

/// Done when the client's connection broke. A client that only closed its sending side may still wait for an answer.
async fn gone(client: &TcpStream) {
    if client.peek(&mut [0; 1]).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
