//! From "I provide" to "you are told": the server beside a bare relay of the same lines, in one run.
//!
//! `cargo bench -p disco-client` for numbers that mean something.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{net::SocketAddr, time::Duration};

use disco_proto::{
    Message, Method, Name, PROTOCOL, Provision, Query, encode,
    message::{Open, Require},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

const ROUNDS: u32 = 5000;

struct Peer {
    stream: BufReader<TcpStream>,
    numbers: u64,
}

impl Peer {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), numbers: 0 }
    }

    async fn open(address: SocketAddr, agent: &str) -> Self {
        let mut peer = Self::connect(address).await;
        peer.ask(Method::Open(Open {
            protocol: PROTOCOL.to_owned(),
            agent: agent.to_owned(),
            attributes: [("host".to_owned(), agent.to_owned())].into(),
            window: None,
            resume: None,
        }))
        .await;
        peer
    }

    fn line(&mut self, method: Method) -> Vec<u8> {
        self.numbers += 1;
        let mut line = Vec::new();
        encode(&Message::Call { id: Some(self.numbers.into()), method }, &mut line);
        line
    }

    async fn ask(&mut self, method: Method) {
        let line = self.line(method);
        self.stream.write_all(&line).await.unwrap();
        self.hear().await;
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line
    }
}

fn mysql(instance: &str, port: u16) -> Provision {
    let name: Name = "dev/blog/mysql/mysql".parse().unwrap();
    Provision::new(name, instance, "192.0.2.11", port)
}

fn request_id(line: &str) -> Option<String> {
    Some(line.split("\"id\":").nth(1)?.split(',').next()?.to_owned())
}

fn receipt(id: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n")
}

fn report(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 1000];
    println!("{what}: p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999));
    at(500)
}

/// Lines of one connection go to the other, and nothing else happens.
async fn relay() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut from, _) = listener.accept().await.unwrap();
        let (mut to, _) = listener.accept().await.unwrap();
        to.set_nodelay(true).unwrap();
        let mut buffer = vec![0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            to.write_all(&buffer[..count]).await.unwrap();
        }
    });
    address
}

async fn bare() -> Duration {
    let address = relay().await;
    let (mut from, mut to) = (Peer::connect(address).await, Peer::connect(address).await);
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let line = from.line(Method::Provide(mysql("a", 1 + u16::try_from(round % 60_000).unwrap())));
        let start = Instant::now();
        from.stream.write_all(&line).await.unwrap();
        to.hear().await;
        times.push(start.elapsed());
    }
    report("bare relay", times)
}

async fn notified(address: SocketAddr) -> Duration {
    let (mut provider, mut subscriber) =
        (Peer::open(address, "provider").await, Peer::open(address, "subscriber").await);
    let query = Query::of(&mysql("a", 1).name);
    subscriber.ask(Method::Require(Require { id: "db".to_owned(), query, known: Default::default() })).await;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let line = provider.line(Method::Provide(mysql("a", 1 + u16::try_from(round % 60_000).unwrap())));
        let start = Instant::now();
        provider.stream.write_all(&line).await.unwrap();
        let told = subscriber.hear().await;
        times.push(start.elapsed());
        subscriber.stream.write_all(receipt(&request_id(&told).unwrap()).as_bytes()).await.unwrap();
        provider.hear().await;
    }
    report("register to notified", times)
}

async fn registrations(address: SocketAddr, watched: bool) {
    let name: Name = format!("dev/blog/r{}/mysql", u8::from(watched)).parse().unwrap();
    let mut subscriber = Peer::open(address, "watcher").await;
    if watched {
        let require = Require { id: "db".to_owned(), query: Query::of(&name), known: Default::default() };
        subscriber.ask(Method::Require(require)).await;
        tokio::spawn(async move {
            // Until the server says that it goes, which nobody answers.
            while let Some(id) = request_id(&subscriber.hear().await) {
                subscriber.stream.write_all(receipt(&id).as_bytes()).await.unwrap();
            }
        });
    }
    let mut provider = Peer::open(address, &format!("many{watched}")).await;
    let count = 20_000;
    let mut lines = Vec::new();
    for number in 0..count {
        let provision = Provision { name: name.clone(), ..mysql(&format!("i{number}"), 1) };
        lines.extend(provider.line(Method::Provide(provision)));
    }
    let start = Instant::now();
    let (reader, mut writer) = provider.stream.into_inner().into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(&lines).await.unwrap();
        writer
    });
    let mut answers = BufReader::new(reader).lines();
    for _ in 0..count {
        answers.next_line().await.unwrap().unwrap();
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    println!("registrations, {}: {rate:.0} a second", if watched { "one subscriber of all" } else { "nobody asking" });
    drop(writing.await.unwrap());
}

#[tokio::main]
async fn main() {
    let mut options = disco_server::Options::new("127.0.0.1:0".parse().unwrap());
    options.hold = Duration::ZERO;
    options.heartbeat = Duration::from_secs(60);
    let service = disco_server::Service::bind(options).await.unwrap();
    let address = service.local_addr();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(service.run(shutdown.clone()));
    let bare = bare().await;
    let notified = notified(address).await;
    println!("ratio of the medians: {:.2}", notified.as_secs_f64() / bare.as_secs_f64());
    registrations(address, false).await;
    registrations(address, true).await;
    shutdown.cancel();
    server.await.unwrap();
}
