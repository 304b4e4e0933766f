//! The workloads, one a row.

use std::{
    cell::RefCell,
    fmt::Write,
    future::Future,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream::FuturesUnordered};
use tokio::{sync::Notify, task::LocalSet};

use crate::{
    crowd,
    disco::{Client, Disco},
    etcd::{self, Etcd},
    nacos::Nacos,
    nats::Nats,
    peer::{Peer, Subscriber},
    process::{Cost, Meter, resident},
    report::{self, Better, Cell, Row, at, milliseconds},
};

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Rows whose key holds one of these: notify, register, fanout-1000, fanout-5000, memory, crowd, silent, connect
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Peers to measure beside disco; those that are not installed are left out
    #[arg(long, value_delimiter = ',', default_value = "nats,etcd,r-nacos")]
    peers: Vec<String>,
    /// Runs of each row; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Clients that come back at once
    #[arg(long, default_value_t = 9000)]
    clients: usize,
}

/// How long one row may take at one server.
const PATIENCE: Duration = Duration::from_secs(180);

/// The value that peers keep for an endpoint: what disco's subscribers get of it.
pub fn value(topic: &str, instance: &str, port: u16) -> String {
    format!(
        r#"{{"name":"bench/{topic}/mysql/mysql","instance":"{instance}","host":"192.0.2.11","port":{port},"protocol":"tcp","health":"passing"}}"#
    )
}

/// Measures everything and gives the table, with what it was measured with.
pub async fn run(options: &Options) -> Result<String> {
    let own = [Disco::default(), Disco::secured()?];
    let all: [Box<dyn Peer>; 5] =
        [Box::new(own[0].clone()), Box::new(own[1].clone()), Box::new(Nats), Box::new(Etcd), Box::new(Nacos)];
    let mut peers = Vec::new();
    let mut versions = Vec::new();
    for peer in all {
        let key = peer.name().split([' ', ',']).next().unwrap_or_default().to_lowercase();
        if key != "disco" && !options.peers.contains(&key) {
            continue;
        }
        match peer.version() {
            Ok(version) => {
                if !versions.contains(&version) {
                    versions.push(version);
                }
                peers.push(peer);
            }
            Err(error) => eprintln!("{error:#}: left out"),
        }
    }
    let wanted = |key: &str| options.only.is_empty() || options.only.iter().any(|only| key.contains(only.as_str()));
    let mut rows = Vec::new();
    if wanted("notify") {
        rows.extend(notify(&peers, options).await);
    }
    if wanted("register") {
        rows.push(register(&peers, options).await);
    }
    let mut memory = Row {
        what: "memory of the server for one connected idle client with one subscription, of 5,000".to_owned(),
        better: Better::Smaller,
        goal: "≤6 KB without TLS, stated with",
        met: None,
        cells: Vec::new(),
        note: Some("the resident set's growth while they connect; what the kernel keeps for each socket is the same for all and not in it".to_owned()),
    };
    for (count, goal, limit) in [(1000, "≤10 ms", 10), (5000, "≤50 ms", 50)] {
        if wanted(&format!("fanout-{count}")) || (count == 5000 && wanted("memory")) {
            rows.push(fan_out(&peers, options, count, goal, Duration::from_millis(limit), &mut memory).await);
        }
    }
    if !memory.cells.is_empty() {
        rows.push(memory);
    }
    if wanted("crowd") || wanted("silent") {
        rows.extend(everyone(&own, &peers, options).await);
    }
    if wanted("connect") {
        rows.extend(connect(&own, options).await);
    }
    let names: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
    let mut text = report::table(&rows, &names);
    let _ = writeln!(text, "- The same through etcd: not in this version.");
    let _ = write!(text, "\nMeasured with {}.", versions.join(", "));
    Ok(text)
}

/// One measurement at one server: a failure is a cell, too, and says why on standard error.
async fn measured<T>(peer: &dyn Peer, what: &str, measuring: impl Future<Output = Result<T>>) -> Option<T> {
    eprintln!("{what}: {}", peer.name());
    match tokio::time::timeout(PATIENCE, measuring).await {
        Ok(Ok(result)) => Some(result),
        Ok(Err(error)) => {
            eprintln!("{what}: {}: {error:#}", peer.name());
            None
        }
        Err(_) => {
            eprintln!("{what}: {}: not done within {} s", peer.name(), PATIENCE.as_secs());
            None
        }
    }
}

fn failed(peer: &dyn Peer) -> Cell {
    Cell { peer: peer.name(), shown: "failed".to_owned(), number: None, cost: None }
}

fn met(cells: &[Cell], holds: impl Fn(f64) -> bool) -> Option<bool> {
    let own = cells.iter().find(|cell| cell.peer == "disco")?;
    Some(own.number.is_some_and(holds))
}

/// From "I provide" to "you are told", one at a time.
async fn notify(peers: &[Box<dyn Peer>], options: &Options) -> Vec<Row> {
    const ROUNDS: u16 = 3000;
    // One that gathers changes before it tells of them would take half an hour for as many.
    const LONGEST: Duration = Duration::from_secs(10);
    let row = |what: &str, goal| Row {
        what: what.to_owned(),
        better: Better::Smaller,
        goal,
        met: None,
        cells: Vec::new(),
        note: None,
    };
    let mut median = row("registered → notified, median", "≤0.05 ms");
    let mut worst = row("registered → notified, 99 of 100", "≤0.15 ms");
    for peer in peers {
        let measuring = async {
            let (mut medians, mut tails, mut cost) = (Vec::new(), Vec::new(), Cost::default());
            for _ in 0..options.runs {
                let server = peer.start()?;
                let mut provider = peer.provider(&server).await?;
                let mut subscriber = peer.subscriber(&server, "notify", 0).await?;
                let mut times = Vec::new();
                let begun = Instant::now();
                let meter = Meter::start(server.pid())?;
                for port in 1..=ROUNDS {
                    let started = Instant::now();
                    let told = async {
                        subscriber.next().await?;
                        times.push(started.elapsed());
                        subscriber.acknowledge().await
                    };
                    tokio::try_join!(provider.put("notify", "a", port), told)?;
                    if begun.elapsed() > LONGEST {
                        break;
                    }
                }
                cost = meter.stop()?;
                medians.push(at(&mut times, 500));
                tails.push(at(&mut times, 990));
            }
            Ok((at(&mut medians, 500), at(&mut tails, 500), cost))
        };
        match measured(&**peer, "notify", measuring).await {
            Some((middle, tail, cost)) => {
                for (row, time, cost) in [(&mut median, middle, Some(cost)), (&mut worst, tail, None)] {
                    let number = Some(time.as_secs_f64());
                    row.cells.push(Cell { peer: peer.name(), shown: milliseconds(time), number, cost });
                }
            }
            None => median.cells.push(failed(&**peer)),
        }
    }
    for (row, limit) in [(&mut median, 0.000_1), (&mut worst, 0.000_3)] {
        let secured = row.cells.iter().find(|cell| cell.peer == "disco, TLS").and_then(|cell| cell.number);
        row.note = secured.map(|seconds| {
            format!(
                "with TLS the goal is twice as long, {limit}: ",
                limit = milliseconds(Duration::from_secs_f64(limit))
            ) + if seconds <= limit { "met" } else { "not met" }
        });
    }
    median.met = met(&median.cells, |seconds| seconds <= 0.000_05);
    worst.met = met(&worst.cells, |seconds| seconds <= 0.000_15);
    vec![median, worst]
}

/// As many registrations of one client as the connection takes.
async fn register(peers: &[Box<dyn Peer>], options: &Options) -> Row {
    let mut cells = Vec::new();
    for peer in peers {
        let count = if ["etcd", "r-nacos"].contains(&peer.name()) { 10_000 } else { 50_000 };
        let measuring = async {
            let mut runs = Vec::new();
            for _ in 0..options.runs {
                let server = peer.start()?;
                let mut provider = peer.provider(&server).await?;
                let meter = Meter::start(server.pid())?;
                provider.put_many("register", count).await?;
                runs.push(meter.stop()?);
            }
            runs.sort_by_key(|cost| cost.server);
            Ok(runs[runs.len() / 2])
        };
        cells.push(match measured(&**peer, "register", measuring).await {
            Some(cost) => {
                let rate = f64::from(count) / cost.server.as_secs_f64().max(1e-9);
                let wall = f64::from(count) / cost.wall.as_secs_f64();
                let shown = format!("{:.1} k ({:.1} k/s by the clock)", rate / 1000.0, wall / 1000.0);
                Cell { peer: peer.name(), shown, number: Some(rate), cost: Some(cost) }
            }
            None => failed(&**peer),
        });
    }
    Row {
        what: "registrations for each second of one core".to_owned(),
        better: Better::Larger,
        goal: "≥100 k",
        met: met(&cells, |rate| rate >= 100_000.0),
        note: Some(
            "of one client that does not wait for answers; by the clock, client and answers included, it is less"
                .to_owned(),
        ),
        cells,
    }
}

/// Subscribers with a task each, and how many of them have been told.
struct Crowd {
    told: Rc<(RefCell<usize>, Notify)>,
    tasks: LocalSet,
}

/// One change, and so many who are told of it, each on a connection of its own.
async fn fan_out(
    peers: &[Box<dyn Peer>],
    options: &Options,
    count: usize,
    goal: &'static str,
    limit: Duration,
    memory: &mut Row,
) -> Row {
    const ROUNDS: u16 = 15;
    let rounds = ROUNDS * u16::try_from(options.runs).unwrap_or(1);
    let (mut cells, mut notes) = (Vec::new(), Vec::new());
    for peer in peers {
        let measuring = async {
            let server = peer.start()?;
            // Makes what a peer keeps endpoints in. The one that will announce comes last: it would be silent for too long.
            drop(peer.provider(&server).await?);
            let before = resident(server.pid())?;
            let mut subscribers = Vec::new();
            let joining = (0..count).map(|_| peer.subscriber(&server, "fan", 0));
            let mut joining = futures_util::stream::iter(joining).buffer_unordered(64);
            while let Some(subscriber) = joining.try_next().await? {
                subscribers.push(subscriber);
            }
            let bytes = resident(server.pid())?.saturating_sub(before) / count as u64;
            let mut provider = peer.provider(&server).await?;
            let told = Rc::new((RefCell::new(0), Notify::new()));
            let tasks = LocalSet::new();
            for subscriber in subscribers {
                tasks.spawn_local(listen(subscriber, Rc::clone(&told), count));
            }
            let crowd = Crowd { told, tasks };
            let playing = async {
                let mut times = Vec::new();
                let meter = Meter::start(server.pid())?;
                for port in 1..=rounds {
                    *crowd.told.0.borrow_mut() = 0;
                    let started = Instant::now();
                    provider.put("fan", "a", port).await?;
                    crowd.told.1.notified().await;
                    times.push(started.elapsed());
                }
                Ok::<_, anyhow::Error>((at(&mut times, 500), meter.stop()?))
            };
            let (time, cost) = crowd.tasks.run_until(playing).await?;
            Ok((time, cost, bytes))
        };
        cells.push(match measured(&**peer, &format!("fanout-{count}"), measuring).await {
            Some((time, cost, bytes)) => {
                if count == 5000 {
                    let shown = format!("{:.1} KB", bytes as f64 / 1024.0);
                    memory.cells.push(Cell { peer: peer.name(), shown, number: Some(bytes as f64), cost: None });
                }
                notes.push(format!("{} {}", peer.name(), report::each(cost, count * usize::from(rounds))));
                let number = Some(time.as_secs_f64());
                Cell { peer: peer.name(), shown: milliseconds(time), number, cost: Some(cost) }
            }
            None => failed(&**peer),
        });
    }
    memory.met = met(&memory.cells, |bytes| bytes <= 6.0 * 1024.0);
    Row {
        what: format!("one change, the last of {count} subscribers told (median)"),
        better: Better::Smaller,
        goal,
        met: met(&cells, |seconds| seconds <= limit.as_secs_f64()),
        cells,
        note: Some(format!("one subscriber costs {}; most of disco's is the kernel's, see below", notes.join("; "))),
    }
}

async fn listen(mut subscriber: Box<dyn Subscriber>, told: Rc<(RefCell<usize>, Notify)>, count: usize) {
    while subscriber.next().await.is_ok() {
        *told.0.borrow_mut() += 1;
        if *told.0.borrow() == count {
            told.1.notify_one();
        }
        if subscriber.acknowledge().await.is_err() {
            return;
        }
    }
}

/// Everyone at once, and one who falls silent among them.
async fn everyone(own: &[Disco], peers: &[Box<dyn Peer>], options: &Options) -> Vec<Row> {
    let count = options.clients;
    let (mut back, mut silence) = (Vec::new(), Vec::new());
    for disco in own {
        match measured(disco, "crowd", crowd::run(disco, count)).await {
            Some(seen) => {
                let shown = format!("{}, {} false drops", milliseconds(seen.back), seen.drops);
                let number = (seen.drops == 0).then_some(seen.back.as_secs_f64());
                back.push(Cell { peer: disco.name(), shown, number, cost: Some(seen.cost) });
                let shown = format!("{}, at most {}", milliseconds(seen.silent), milliseconds(seen.longest));
                let number = Some(seen.silent.as_secs_f64());
                silence.push(Cell { peer: disco.name(), shown, number, cost: Some(seen.idle) });
            }
            None => back.push(failed(disco)),
        }
    }
    for peer in peers.iter().filter(|peer| !peer.name().starts_with("disco")) {
        let measuring = async {
            let server = peer.start()?;
            let mut provider = peer.provider(&server).await?;
            for number in 0..10 {
                provider.put("ten", &format!("i{number}"), 1).await?;
            }
            let meter = Meter::start(server.pid())?;
            let mut joining: FuturesUnordered<_> = (0..count).map(|_| peer.subscriber(&server, "ten", 10)).collect();
            let mut joined = Vec::new();
            while let Some(subscriber) = joining.try_next().await? {
                joined.push(subscriber);
            }
            meter.stop()
        };
        back.push(match measured(&**peer, "crowd", measuring).await {
            Some(cost) => {
                let number = Some(cost.wall.as_secs_f64());
                Cell { peer: peer.name(), shown: milliseconds(cost.wall), number, cost: Some(cost) }
            }
            None => failed(&**peer),
        });
        if peer.name() == "etcd" {
            silence.push(match measured(&**peer, "silent", leases(&**peer)).await {
                Some(time) => {
                    Cell { peer: peer.name(), shown: milliseconds(time), number: Some(time.as_secs_f64()), cost: None }
                }
                None => failed(&**peer),
            });
        }
    }
    let first = Row {
        what: format!(
            "{count} clients at once, each with a subscription of ten endpoints; to disco they come back after `kill -9`, each providing one of them"
        ),
        better: Better::Smaller,
        goal: "≤2 s, no false drop",
        met: met(&back, |seconds| seconds <= 2.0),
        cells: back,
        note: None,
    };
    let second = Row {
        what: format!("a host falls silent between two heartbeats, until it is told ({count} clients connected)"),
        better: Better::Smaller,
        goal: "≤3 s",
        met: met(&silence, |seconds| seconds <= 3.0),
        cells: silence,
        note: Some(
            "the server's heartbeat is one second up to 10,000 connections, and three are missed: two to three seconds by design, a few milliseconds more at most. \
             etcd's is the shortest lease it grants, from its last renewal on; NATS of this version tells nobody"
                .to_owned(),
        ),
    };
    vec![first, second]
}

/// One client after another connects and opens a session; then the same with the ticket of their last connection.
async fn connect(own: &[Disco], options: &Options) -> Vec<Row> {
    const CLIENTS: usize = 500;
    let row = |what: &str| Row {
        what: what.to_owned(),
        better: Better::Smaller,
        goal: "stated",
        met: None,
        cells: Vec::new(),
        note: None,
    };
    let mut rows = vec![
        row("connecting and opening a session, processor of the server"),
        row("the same by a client that was there before"),
    ];
    for disco in own {
        let measuring = async {
            let mut runs = [Vec::new(), Vec::new()];
            for _ in 0..options.runs {
                let server = disco.start()?;
                let connectors: Vec<_> = (0..CLIENTS).map(|_| disco.connector()).collect();
                for costs in &mut runs {
                    let meter = Meter::start(server.pid())?;
                    for tls in &connectors {
                        Client::open(server.address, tls.as_ref(), "client", None).await?;
                    }
                    costs.push(meter.stop()?);
                }
            }
            Ok(runs.map(|mut costs| {
                costs.sort_by_key(|cost| cost.server);
                costs[costs.len() / 2]
            }))
        };
        let measured = measured(disco, "connect", measuring).await;
        for (number, row) in rows.iter_mut().enumerate() {
            row.cells.push(match measured {
                Some(costs) => {
                    let each = costs[number].server / CLIENTS as u32;
                    let shown = milliseconds(each);
                    Cell { peer: disco.name(), shown, number: Some(each.as_secs_f64()), cost: Some(costs[number]) }
                }
                None => failed(disco),
            });
        }
    }
    if let Some(row) = rows.last_mut() {
        row.note = Some(
            "with TLS it resumes with a ticket: no certificate is sent, signed or checked again, and its holder's rights are asked anew all the same"
                .to_owned(),
        );
    }
    rows
}

/// The shortest lease that etcd grants.
async fn leases(peer: &dyn Peer) -> Result<Duration> {
    let server = peer.start()?;
    let mut times = Vec::new();
    for number in 0..5 {
        let topic = format!("silent{number}");
        let mut subscriber = peer.subscriber(&server, &topic, 0).await?;
        let started = Instant::now();
        etcd::silent(&server, &topic, 1).await?;
        subscriber.next().await?;
        subscriber.next().await?;
        times.push(started.elapsed());
    }
    if times.is_empty() {
        bail!("nothing was measured");
    }
    Ok(at(&mut times, 500))
}
