//! A forwarded port beside a direct connection, and beside `socat` where it is installed: throughput of one connection, round trips of 64
//! bytes over it, and connections opened, used and closed a second.
//!
//! `cargo bench -p disco-client --bench forward` for numbers that mean something.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use disco_client::{
    Options, Provision, Query, Service,
    forward::{self, Forward},
};
use tokio_util::sync::CancellationToken;

const BYTES: usize = 2 << 30;
const ROUND_TRIPS: usize = 20_000;
const CONNECTIONS: usize = 2_000;

fn main() {
    let service = serve();
    let (forwarded, _runtime) = forward(service);
    let socat = socat(service);
    let mut ways = vec![("direct", service), ("forward", forwarded)];
    if let Some((address, _)) = &socat {
        ways.push(("socat", *address));
    }
    say("way", "GiB/s", "round trip p50", "p99", "connections/s");
    for (name, address) in ways {
        // The first connection warms everything up.
        drop(round_trips(address, 1_000));
        let trips = round_trips(address, ROUND_TRIPS);
        let at = |share: usize| format!("{:.1} µs", trips[trips.len() * share / 100].as_secs_f64() * 1e6);
        let through = format!("{:.2}", throughput(address));
        let opened = format!("{:.0}", connections(address));
        say(name, &through, &at(50), &at(99), &opened);
    }
    if let Some((_, mut child)) = socat {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn say(name: &str, through: &str, median: &str, late: &str, opened: &str) {
    let line = format!("{name:<8} {through:>7} {median:>15} {late:>10} {opened:>14}\n");
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// Each connection begins with what it wants: `e`, everything back; `s`, nothing until the end, and then one byte.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let mut buffer = vec![0; 256 * 1024];
                if stream.read_exact(&mut buffer[..1]).is_err() {
                    return;
                }
                let echo = buffer[0] == b'e';
                while let Ok(count) = stream.read(&mut buffer) {
                    if count == 0 || (echo && stream.write_all(&buffer[..count]).is_err()) {
                        break;
                    }
                }
                let _ = stream.write_all(b".");
            });
        }
    });
    address
}

fn forward(service: SocketAddr) -> (SocketAddr, tokio::runtime::Runtime) {
    // As the command line runs it: one thread.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let address = runtime.block_on(async {
        let options = disco_server::Options::new("127.0.0.1:0".parse().unwrap());
        let server = disco_server::Service::bind(options).await.unwrap();
        let address = server.local_addr().to_string();
        tokio::spawn(server.run(CancellationToken::new()));
        let (client, handle) = Service::new(Options {
            address,
            agent: "bench".to_owned(),
            attributes: BTreeMap::new(),
            window: Duration::from_secs(3),
            cache: None,
            tls: None,
        });
        tokio::spawn(client.run(CancellationToken::new()));
        let name = "dev/bench/echo/tcp".parse().unwrap();
        let query = Query::of(&name);
        handle.provide(Provision::new(name, "1", "127.0.0.1", service.port())).await.unwrap();
        let subscription = handle.require("bench", query, Vec::new());
        let forward = Forward::bind(forward::Options::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let address = forward.local_addr();
        tokio::spawn(forward.run(subscription, CancellationToken::new(), |_| {}));
        address
    });
    (address, runtime)
}

fn socat(service: SocketAddr) -> Option<(SocketAddr, Child)> {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = format!("TCP-LISTEN:{},bind=127.0.0.1,reuseaddr,fork,nodelay,backlog=1024", free.port());
    let child = Command::new("socat")
        .args(["-b", "65536", &listen, &format!("TCP:{service},nodelay")])
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(free).is_err() {
        assert!(Instant::now() < deadline, "socat does not listen");
        std::thread::yield_now();
    }
    Some((free, child))
}

fn connect(address: SocketAddr, what: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(what).unwrap();
    stream
}

fn throughput(address: SocketAddr) -> f64 {
    let mut stream = connect(address, b"s");
    let block = vec![0; 256 * 1024];
    let started = Instant::now();
    for _ in 0..BYTES / block.len() {
        stream.write_all(&block).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    // Exact enough for a few digits.
    #[allow(clippy::cast_precision_loss)]
    let gib = BYTES as f64 / f64::from(1 << 30);
    gib / started.elapsed().as_secs_f64()
}

fn round_trips(address: SocketAddr, count: usize) -> Vec<Duration> {
    let mut stream = connect(address, b"e");
    let mut buffer = [7; 64];
    let mut taken: Vec<Duration> = (0..count)
        .map(|_| {
            let started = Instant::now();
            stream.write_all(&buffer).unwrap();
            stream.read_exact(&mut buffer).unwrap();
            started.elapsed()
        })
        .collect();
    taken.sort_unstable();
    taken
}

fn connections(address: SocketAddr) -> f64 {
    let started = Instant::now();
    for _ in 0..CONNECTIONS {
        let mut stream = connect(address, b"e!");
        stream.read_exact(&mut [0; 1]).unwrap();
    }
    f64::from(u32::try_from(CONNECTIONS).unwrap()) / started.elapsed().as_secs_f64()
}
