//! Thousands of clients of disco in groups of ten that provide for each other: their server is killed and comes back, they come back to it all at
//! once, and some of them fall silent.

use std::{
    cell::Cell,
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use disco_proto::{
    Method, Version,
    message::{Park, Resume},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::{sync::mpsc, task::LocalSet};

use crate::{
    disco::{Client, Disco},
    peer::Subscriber,
    process::{self, Cost, Meter},
    report::at,
    tls::Connector,
};

/// What was seen.
pub struct Seen {
    /// Until the last one was back with everything.
    pub back: Duration,
    pub cost: Cost,
    /// Endpoints that somebody was told had gone. None had.
    pub drops: usize,
    /// While they say nothing but `ping`.
    pub idle: Cost,
    /// Until the last of a silent one's group was told: the median and the longest.
    pub silent: Duration,
    pub longest: Duration,
}

/// How long the restarted server holds: long enough for everyone, short enough to wait for.
const HOLD: Duration = Duration::from_secs(8);

/// Who provides for each other.
const GROUP: usize = 10;

/// How many fall silent, one after another.
const SILENT: usize = 9;

/// Everything a client needs to come back.
struct Member {
    number: usize,
    /// Keeps the tickets that it resumes with.
    tls: Option<Connector>,
    session: Resume,
    known: BTreeMap<String, Version>,
}

impl Member {
    fn instance(&self) -> String {
        format!("c{}", self.number)
    }

    fn topic(&self) -> String {
        format!("g{}", self.number / GROUP)
    }
}

/// What a client tells of itself.
enum Said {
    /// It has everything again; so many endpoints are missing.
    Back(Result<usize>),
    /// It was told that the server has heard of everyone.
    Complete,
    /// It was told that so many endpoints are gone.
    Gone(usize),
}

/// Plays it through with so many clients.
pub async fn run(disco: &Disco, count: usize) -> Result<Seen> {
    let count = count / GROUP * GROUP;
    let address = process::free()?;
    let server = disco.start_at(address, Duration::ZERO, None)?;
    let joining = stream::iter((0..count).map(|number| join(address, disco.connector(), number))).buffer_unordered(64);
    let mut members: Vec<(Client, Member)> = joining.try_collect().await?;
    for (client, member) in &mut members {
        let answer = client.require(&member.topic(), BTreeMap::new()).await?;
        note(&answer, &mut member.known)?;
        if member.known.len() != GROUP {
            bail!("{} of {GROUP} are there", member.known.len());
        }
    }
    drop(server);

    let server = disco.start_at(address, HOLD, None)?;
    let (say, mut hear) = mpsc::unbounded_channel();
    let tasks = LocalSet::new();
    let meter = Meter::start(server.pid())?;
    let mut silencers = Vec::new();
    for (_, member) in members {
        let silent = Rc::new(Cell::new(false));
        silencers.push(Rc::clone(&silent));
        tasks.spawn_local(live(address, member, silent, say.clone()));
    }
    let playing = async {
        let mut drops = 0;
        for _ in 0..count {
            match next(&mut hear).await? {
                Said::Back(missing) => drops += missing?,
                Said::Gone(gone) => drops += gone,
                Said::Complete => bail!("the hold was over before everyone was back"),
            }
        }
        let cost = meter.stop()?;
        let mut complete = 0;
        while complete < count {
            match next(&mut hear).await? {
                Said::Complete => complete += 1,
                Said::Gone(gone) => drops += gone,
                Said::Back(_) => {}
            }
        }
        let meter = Meter::start(server.pid())?;
        let mut times = Vec::new();
        // From one group each, and at any time between two heartbeats.
        for silent in silencers.iter().step_by(count.div_ceil(SILENT)) {
            silent.set(true);
            let since = Instant::now();
            for _ in 1..GROUP {
                match next(&mut hear).await? {
                    Said::Gone(1) => {}
                    _ => bail!("something else happened"),
                }
            }
            times.push(since.elapsed());
        }
        Ok(Seen {
            back: cost.wall,
            cost,
            drops,
            idle: meter.stop()?,
            silent: at(&mut times, 500),
            longest: at(&mut times, 1000),
        })
    };
    tasks.run_until(playing).await
}

async fn next(hear: &mut mpsc::UnboundedReceiver<Said>) -> Result<Said> {
    hear.recv().await.context("everyone ended")
}

async fn join(address: SocketAddr, tls: Option<Connector>, number: usize) -> Result<(Client, Member)> {
    let (mut client, opened) = Client::open(address, tls.as_ref(), &format!("c{number}"), None).await?;
    let opened: Value = serde_json::from_str(&opened)?;
    let text = |member: &str| opened["result"][member].as_str().unwrap_or_default().to_owned();
    let session = Resume { session: text("session"), token: text("token") };
    let member = Member { number, tls, session, known: BTreeMap::new() };
    client.provide(&member.topic(), &member.instance(), 1).await?;
    // It says nothing more until everyone has joined.
    client.ask(Method::Park(Park { r#for: 60_000 })).await?;
    Ok((client, member))
}

async fn live(address: SocketAddr, member: Member, silent: Rc<Cell<bool>>, say: mpsc::UnboundedSender<Said>) {
    let mut client = match back(address, &member).await {
        Ok((client, missing)) => {
            let _ = say.send(Said::Back(Ok(missing)));
            client
        }
        Err(error) => {
            let _ = say.send(Said::Back(Err(error)));
            return;
        }
    };
    // Everyone came back at once, but does not breathe in step: golden ratio, for an even spread.
    let phase = Duration::from_secs_f64((member.number as f64 * 0.618_033_988_75).fract());
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + phase, Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = beat.tick() => {
                if silent.get() {
                    // The connection stays.
                    return std::future::pending().await;
                }
                if client.ping().await.is_err() {
                    return;
                }
            }
            line = client.told() => {
                let Ok(line) = line else { return };
                let gone = line.matches("\"reason\":").count();
                let said = if gone > 0 { Some(Said::Gone(gone)) } else { None };
                let complete = line.contains("\"complete\":true") && said.is_none();
                let _ = said.map(|said| say.send(said));
                if complete {
                    let _ = say.send(Said::Complete);
                }
                if client.acknowledge().await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn back(address: SocketAddr, member: &Member) -> Result<(Client, usize)> {
    let resume = Some(Resume { session: member.session.session.clone(), token: member.session.token.clone() });
    let mut client = Client::open(address, member.tls.as_ref(), &member.instance(), resume).await?.0;
    client.provide(&member.topic(), &member.instance(), 1).await?;
    let answer = client.require(&member.topic(), member.known.clone()).await?;
    Ok((client, answer.matches("\"reason\":").count()))
}

/// Notes what a line adds.
fn note(line: &str, known: &mut BTreeMap<String, Version>) -> Result<()> {
    let message: Value = serde_json::from_str(line)?;
    for endpoint in message["result"]["add"].as_array().into_iter().flatten() {
        let version = serde_json::from_value(endpoint["version"].clone())?;
        known.insert(format!("mysql/{}", endpoint["instance"].as_str().context("no instance")?), version);
    }
    Ok(())
}
