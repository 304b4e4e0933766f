//! The server is killed without warning (`kill -9`) and started again, over and over, while clients provide, change and require. No subscriber may
//! ever be told that a live endpoint is gone, and in the end everyone's registrations are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use disco_client::{Handle, Name, Provision, Query, Service, Subscription};
use disco_proto::message::List;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{disco::Disco, process};

/// How hard.
#[derive(Args)]
pub struct Options {
    /// How often the server is killed
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// Clients, each of which provides one endpoint and requires all of them
    #[arg(long, default_value_t = 50)]
    clients: u16,
}

/// How long clients may take to be back: the longest pause between two attempts, several times.
const BACK: Duration = Duration::from_secs(30);

const HOLD: Duration = Duration::from_secs(15);

/// What went wrong, and how often anybody was told anything.
#[derive(Default)]
struct Seen {
    wrong: Vec<String>,
    sets: u64,
}

/// Fails with the first ten things that were wrong.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(play(options))
}

async fn play(options: &Options) -> Result<()> {
    let address = process::free()?;
    let folder = tempfile::tempdir()?;
    let snapshot = folder.path().join("registry");
    let disco = Disco::default();
    let mut server = disco.start_at(address, HOLD, Some(&snapshot))?;
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let port = Arc::new(AtomicU16::new(1));
    let expected: BTreeSet<String> = (0..options.clients).map(|number| format!("i{number}")).collect();
    let mut handles = Vec::new();
    for number in 0..options.clients {
        let (service, handle) = Service::new(client(address, &format!("client{number}")));
        tasks.spawn(service.run(shutdown.clone()));
        handle.provide(endpoint(number, 1)?).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        handles.push(handle);
    }
    for (number, handle) in handles.iter().enumerate() {
        let subscription = handle.require("all", Query::of(&name()?), Vec::new());
        tasks.spawn(watch(number, subscription, expected.clone(), Arc::clone(&seen)));
    }
    tasks.spawn(change(handles.clone(), Arc::clone(&port), shutdown.clone()));
    let probe = &handles[0];
    whole(probe, &expected).await.context("before the first round")?;
    let mut longest = Duration::ZERO;
    for round in 1..=options.rounds {
        // Somewhere else in what goes on each time, the same in every run.
        let part = (f64::from(round) * 0.618_033_988_75).fract();
        tokio::time::sleep(Duration::from_secs_f64(part * 0.4)).await;
        drop(server);
        tokio::time::sleep(Duration::from_secs_f64(part * part * 0.5)).await;
        server = disco.start_at(address, HOLD, Some(&snapshot)).with_context(|| format!("round {round}"))?;
        // Every third time it dies again while they are still coming back.
        if round % 3 != 0 {
            let since = Instant::now();
            whole(probe, &expected).await.with_context(|| format!("round {round}"))?;
            longest = longest.max(since.elapsed());
        }
        check(&seen).with_context(|| format!("round {round}"))?;
        if round % 10 == 0 {
            eprintln!("{round} rounds; everyone was back within {:.1} s", longest.as_secs_f64());
        }
    }
    whole(probe, &expected).await.context("in the end")?;
    complete(probe, &expected).await?;
    check(&seen)?;
    shutdown.cancel();
    let sets = seen.lock().map_or(0, |seen| seen.sets);
    println!(
        "{} times killed: {} clients were told {sets} sets and changed their endpoints {} times; no live endpoint was dropped, all are there; \
         everyone was back within {:.1} s",
        options.rounds,
        options.clients,
        port.load(Ordering::Relaxed),
        longest.as_secs_f64()
    );
    Ok(())
}

fn client(address: SocketAddr, agent: &str) -> disco_client::Options {
    disco_client::Options {
        address: address.to_string(),
        agent: agent.to_owned(),
        attributes: BTreeMap::from([("host".to_owned(), agent.to_owned())]),
        window: Duration::from_secs(3),
        cache: None,
        tls: None,
    }
}

fn name() -> Result<Name> {
    "torture/blog/web/http".parse().map_err(|error| anyhow::anyhow!("{error}"))
}

fn endpoint(number: u16, port: u16) -> Result<Provision> {
    Ok(Provision::new(name()?, &format!("i{number}"), "192.0.2.11", port))
}

/// Looks at every set that a subscriber gets: once it has had everyone, it always has.
async fn watch(number: usize, mut subscription: Subscription, expected: BTreeSet<String>, seen: Arc<Mutex<Seen>>) {
    let mut whole = false;
    loop {
        let set = subscription.changed().await;
        subscription.applied(set.seq).await;
        let has: BTreeSet<String> = set.endpoints.iter().map(|endpoint| endpoint.instance.clone()).collect();
        let missing: Vec<&String> = expected.difference(&has).collect();
        let Ok(mut seen) = seen.lock() else { return };
        seen.sets += 1;
        if whole && !missing.is_empty() {
            seen.wrong.push(format!("client{number} lost {missing:?}; gone: {:?}", set.gone));
        }
        whole |= missing.is_empty();
    }
}

/// The load: one after the other changes its endpoint.
async fn change(handles: Vec<Handle>, port: Arc<AtomicU16>, shutdown: CancellationToken) {
    for (number, handle) in handles.iter().enumerate().cycle() {
        let port = port.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        let Ok(provision) = u16::try_from(number).map_err(Into::into).and_then(|number| endpoint(number, port)) else {
            return;
        };
        // While no server answers it waits, and says it again by itself.
        let providing = handle.provide(provision);
        let _ = tokio::time::timeout(Duration::from_millis(500), providing).await;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
}

/// Until the server lists everyone as connected, provider and subscriber.
async fn whole(probe: &Handle, expected: &BTreeSet<String>) -> Result<()> {
    let since = Instant::now();
    loop {
        let words = match probe.list(List::default()).await {
            Ok(listing) => {
                let there: BTreeSet<String> = listing
                    .provisions
                    .iter()
                    .filter(|provision| provision.connected)
                    .map(|provision| provision.endpoint.instance.clone())
                    .collect();
                let subscribers = listing.requirements.iter().filter(|requirement| requirement.connected).count();
                if there == *expected && subscribers == expected.len() {
                    return Ok(());
                }
                format!("{} provide and {subscribers} require, of {}", there.len(), expected.len())
            }
            Err(error) => error.to_string(),
        };
        if since.elapsed() > BACK {
            bail!("not everyone is back after {} s: {words}", BACK.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Until the server has heard of everyone, and takes nobody away even then.
async fn complete(probe: &Handle, expected: &BTreeSet<String>) -> Result<()> {
    let since = Instant::now();
    while since.elapsed() < HOLD + BACK {
        if let Ok(listing) = probe.list(List::default()).await
            && listing.complete
        {
            if listing.provisions.len() != expected.len() {
                bail!("{} endpoints are listed instead of {}", listing.provisions.len(), expected.len());
            }
            // What it has to say to subscribers about that is on its way before this answer.
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the server does not say that it has heard of everyone")
}

fn check(seen: &Mutex<Seen>) -> Result<()> {
    let Ok(seen) = seen.lock() else { bail!("a watcher broke") };
    if seen.wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "{} times a live endpoint was dropped:\n  {}",
        seen.wrong.len(),
        seen.wrong[..seen.wrong.len().min(10)].join("\n  ")
    )
}
