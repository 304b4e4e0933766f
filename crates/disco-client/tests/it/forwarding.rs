//! A local port that leads to whatever provides an endpoint.

use std::{net::SocketAddr, time::Duration};

use disco_client::{
    Handle, Provision, Reason, Withdraw,
    forward::{Event, Forward, Options, Policy},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Client, DEADLINE, Server, eventually, mysql_query, name};

/// A service that says its name first, then answers everything it hears with it, until its peer has nothing more to say.
struct Named {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Named {
    async fn start(word: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    stream.write_all(word.as_bytes()).await.unwrap();
                    let mut heard = Vec::new();
                    stream.read_to_end(&mut heard).await.unwrap();
                    heard.extend_from_slice(word.as_bytes());
                    stream.write_all(&heard).await.unwrap();
                });
            }
        });
        Self { address, task }
    }

    async fn provide(&self, handle: &Handle, instance: &str) {
        handle.provide(provision(self.address, instance)).await.unwrap();
    }

    /// As a process that is killed: nothing listens any more, and every connection breaks.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn provision(address: SocketAddr, instance: &str) -> Provision {
    Provision::new(name("dev/blog/mysql/mysql"), instance, "127.0.0.1", address.port())
}

struct Forwarded {
    address: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    client: Client,
}

fn options() -> Options {
    Options::new("127.0.0.1:0".parse().unwrap())
}

impl Forwarded {
    async fn start(server: &Server, options: Options) -> Self {
        let client = Client::start(server, "forward");
        let subscription = client.handle.require("forward", mysql_query(), Vec::new());
        let forward = Forward::bind(options).await.unwrap();
        let address = forward.local_addr();
        let (sender, events) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let tell = move |event| drop(sender.send(event));
        let task = tokio::spawn(forward.run(subscription, shutdown.clone(), tell));
        Self { address, events, shutdown, task, client }
    }

    /// Waits for an event that holds.
    async fn event(&mut self, what: &str, holds: impl Fn(&Event) -> bool) -> Event {
        let mut seen = Vec::new();
        let waiting = async {
            while let Some(event) = self.events.recv().await {
                if holds(&event) {
                    return event;
                }
                seen.push(event);
            }
            panic!("{what}: the forwarder has ended");
        };
        match tokio::time::timeout(DEADLINE, waiting).await {
            Ok(event) => event,
            Err(_) => panic!("{what}: seen was {seen:?}"),
        }
    }

    async fn leads_to(&mut self, addresses: &[SocketAddr]) {
        let mut expected: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        expected.sort();
        self.event(&format!("to lead to {expected:?}"), |event| {
            let Event::Moved { to, .. } = event else { return false };
            let mut to = to.clone();
            to.sort();
            to == expected
        })
        .await;
    }

    async fn greeted(&self) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut word = [0; 3];
        tokio::time::timeout(DEADLINE, stream.read_exact(&mut word)).await.expect("a greeting").unwrap();
        (stream, String::from_utf8(word.to_vec()).unwrap())
    }
}

/// Says something, closes its side, and reads the rest.
async fn finish(mut stream: TcpStream, say: &[u8]) -> Vec<u8> {
    stream.write_all(say).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("the end").unwrap();
    rest
}

#[tokio::test]
async fn existing_connections_finish_where_they_began_and_new_ones_follow_the_move() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let (one, two) = (Named::start("one").await, Named::start("two").await);
    one.provide(&provider.handle, "1").await;
    let mut forward = Forwarded::start(&server, options()).await;
    forward.leads_to(&[one.address]).await;
    let (old, word) = forward.greeted().await;
    assert_eq!(word, "one");

    two.provide(&provider.handle, "2").await;
    provider.handle.withdraw(&name("dev/blog/mysql/mysql"), "1", Withdraw::now(Reason::Left)).await.unwrap();
    let moved =
        forward.event("to move", |event| matches!(event, Event::Moved { to, .. } if *to == [two.address.to_string()]));
    assert!(matches!(moved.await, Event::Moved { reason: Some(Reason::Left), .. }));
    let (new, word) = forward.greeted().await;
    assert_eq!(word, "two");
    let long = vec![b'x'; 1 << 20];
    let (old, new) = tokio::join!(finish(old, &long), finish(new, b"hello "));
    assert!(old.len() == long.len() + 3 && old.ends_with(b"xone"), "half-closed, and all of it came");
    assert_eq!(new, b"hello two");
}

#[tokio::test]
async fn connections_wait_for_the_first_endpoint() {
    let server = Server::start().await;
    let mut forward = Forwarded::start(&server, options()).await;
    forward.leads_to(&[]).await;
    let waiting = TcpStream::connect(forward.address).await.unwrap();
    let provider = Client::start(&server, "provider");
    let one = Named::start("one").await;
    one.provide(&provider.handle, "1").await;
    assert_eq!(finish(waiting, b"").await, b"oneone");
}

#[tokio::test]
async fn one_that_waits_too_long_is_reset_and_not_ended() {
    let server = Server::start().await;
    let mut forward = Forwarded::start(&server, Options { patience: Duration::from_millis(50), ..options() }).await;
    let mut waiting = TcpStream::connect(forward.address).await.unwrap();
    let error = tokio::time::timeout(DEADLINE, waiting.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    forward.event("given up", |event| *event == Event::GaveUp).await;
}

#[tokio::test]
async fn one_killed_without_a_word_costs_no_connection() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let (one, two) = (Named::start("one").await, Named::start("two").await);
    one.provide(&provider.handle, "1").await;
    let mut forward = Forwarded::start(&server, options()).await;
    forward.leads_to(&[one.address]).await;
    let address = one.address.to_string();
    // It is gone, and discovery does not know yet.
    one.kill().await;
    let waiting = TcpStream::connect(forward.address).await.unwrap();
    forward.event("refused there", |event| matches!(event, Event::Failed { address: a, .. } if *a == address)).await;
    two.provide(&provider.handle, "2").await;
    assert_eq!(finish(waiting, b"").await, b"twotwo");
    let (_, word) = forward.greeted().await;
    assert_eq!(word, "two", "one that failed comes last");
}

#[tokio::test]
async fn an_endpoint_that_closes_before_a_word_was_said_did_not_take_the_connection() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let hollow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hollow_address = hollow.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = hollow.accept().await {
            drop(stream);
        }
    });
    let one = Named::start("one").await;
    provider.handle.provide(provision(hollow_address, "0")).await.unwrap();
    one.provide(&provider.handle, "1").await;
    let mut forward = Forwarded::start(&server, options()).await;
    forward.leads_to(&[hollow_address, one.address]).await;
    for _ in 0..4 {
        assert_eq!(forward.greeted().await.1, "one");
    }
    // Alone, its closing is its answer: an end, and no reset.
    provider.handle.withdraw(&name("dev/blog/mysql/mysql"), "1", Withdraw::now(Reason::Left)).await.unwrap();
    forward.leads_to(&[hollow_address]).await;
    let mut stream = TcpStream::connect(forward.address).await.unwrap();
    let count = tokio::time::timeout(DEADLINE, stream.read(&mut [0; 1])).await.unwrap().unwrap();
    assert_eq!(count, 0);
    accepting.abort();
}

#[tokio::test]
async fn a_connection_that_breaks_is_reset_on_the_other_side() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    provider.handle.provide(provision(listener.local_addr().unwrap(), "1")).await.unwrap();
    let forward = Forwarded::start(&server, options()).await;
    let mut client = TcpStream::connect(forward.address).await.unwrap();
    client.write_all(b"a question").await.unwrap();
    let (mut served, _) = listener.accept().await.unwrap();
    served.read_exact(&mut [0; 10]).await.unwrap();
    served.write_all(b"half an ans").await.unwrap();
    client.read_exact(&mut [0; 11]).await.unwrap();
    served.set_zero_linger().unwrap();
    drop(served);
    let error = tokio::time::timeout(DEADLINE, client.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn equal_endpoints_share_the_connections_by_either_policy() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let (one, two) = (Named::start("one").await, Named::start("two").await);
    one.provide(&provider.handle, "1").await;
    two.provide(&provider.handle, "2").await;
    for policy in [Policy::RoundRobin, Policy::LeastConnections] {
        let mut forward = Forwarded::start(&server, Options { policy, ..options() }).await;
        forward.leads_to(&[one.address, two.address]).await;
        let mut kept = Vec::new();
        for _ in 0..4 {
            kept.push(forward.greeted().await);
        }
        let to_one = kept.iter().filter(|(_, word)| word == "one").count();
        assert_eq!(to_one, 2, "{policy:?}");
    }
}

#[tokio::test]
async fn a_withdrawal_is_acknowledged_once_nothing_runs_over_the_endpoint() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let one = Named::start("one").await;
    one.provide(&provider.handle, "1").await;
    let mut forward = Forwarded::start(&server, Options { finish: Duration::from_secs(600), ..options() }).await;
    forward.leads_to(&[one.address]).await;
    let (kept, _) = forward.greeted().await;
    let handle = provider.handle.clone();
    let mut withdrawing = tokio::spawn(async move {
        let how = Withdraw::waiting(Reason::Left, Duration::from_secs(60));
        handle.withdraw(&name("dev/blog/mysql/mysql"), "1", how).await.unwrap()
    });
    forward.leads_to(&[]).await;
    eventually("the forwarder has been told", || async {
        let view = server.handle.snapshot().await.unwrap();
        let told = view.requirements.iter().all(|requirement| requirement.seq > requirement.applied);
        if told { Ok(()) } else { Err(format!("{:?}", view.requirements)) }
    })
    .await;
    assert!(!withdrawing.is_finished());
    assert_eq!(finish(kept, b"").await, b"one");
    let withdrawn = tokio::time::timeout(DEADLINE, &mut withdrawing).await.expect("acknowledged").unwrap();
    assert!(withdrawn.unapplied.is_empty(), "{withdrawn:?}");
}

#[tokio::test]
async fn it_takes_no_more_connections_than_it_may() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let one = Named::start("one").await;
    one.provide(&provider.handle, "1").await;
    let mut forward = Forwarded::start(&server, Options { connections: 1, ..options() }).await;
    let (first, _) = forward.greeted().await;
    forward.event("full", |event| *event == Event::Full).await;
    let second = TcpStream::connect(forward.address).await.unwrap();
    let mut byte = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(100), second.peek(&mut byte)).await;
    assert!(early.is_err(), "the second waits: {early:?}");
    assert_eq!(finish(first, b"").await, b"one");
    assert_eq!(finish(second, b"").await, b"oneone");
}

#[tokio::test]
async fn the_shutdown_lets_connections_finish_and_ends_those_that_wait() {
    let server = Server::start().await;
    let provider = Client::start(&server, "provider");
    let one = Named::start("one").await;
    one.provide(&provider.handle, "1").await;
    let mut forward = Forwarded::start(&server, Options { finish: DEADLINE, ..options() }).await;
    forward.leads_to(&[one.address]).await;
    let (running, _) = forward.greeted().await;
    one.kill().await;
    let mut waiting = TcpStream::connect(forward.address).await.unwrap();
    forward.event("it waits", |event| matches!(event, Event::Failed { .. })).await;
    forward.shutdown.cancel();
    assert!(waiting.read(&mut [0; 1]).await.is_err());
    assert!(TcpStream::connect(forward.address).await.is_err(), "nothing listens any more");
    drop(running);
    tokio::time::timeout(DEADLINE, forward.task).await.expect("the end").unwrap();
    forward.client.stop().await;
}
