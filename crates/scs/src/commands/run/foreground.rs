//! One slot from its assignment to its end: its output is ours, and so is its exit code.

use super::console::{self, Ours};
use super::{Job, prepare};
use crate::commands::Context;
use crate::dev::notify;
use crate::exit::{Exit, Failure};
use crate::load::{self, Loaded};
use crate::output::say;
use crate::wiring::installation::{Installation, Place};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use scs_agent::Handle;
use scs_api::agent::{Assignments, Phase, SlotReport};
use scs_api::error::{Code, Problem};
use scs_api::log::{LogLine, LogQuery};
use scs_ports::engine::Labels;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long the session outlives its connection: short, for it ends with its one container.
const WINDOW: Duration = Duration::from_secs(3);
/// How long the removal may take beyond what the container has to stop.
const REMOVAL: Duration = Duration::from_secs(45);
/// How long the engine may take to remove a container that has stopped, and how often that is looked for.
const SETTLING: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
/// How long the engine may take to hand out the last lines of a container that has ended.
const LAST_LINES: Duration = Duration::from_secs(5);

/// Runs the job to its end.
pub async fn run(context: &Context, loaded: &Loaded, job: Job) -> Result<Exit, Failure> {
    let installation = Installation::open(&context.settings, Place::alone(&context.settings, &job.state)).await?;
    load::bundle(loaded, &installation.images.bundles).await?;
    let shared = context.settings.state.join("run/secrets").join(&job.slot.environment).join(&job.slot.service);
    let assignment = prepare::assignment(loaded, &job, &shared).await?;
    let (discovery, discovery_handle) = disco_client::Service::new(disco_client::Options {
        address: job.disco.clone(),
        agent: format!("scs run {} on {}", job.slot, installation.host),
        attributes: BTreeMap::from([("host".to_owned(), installation.host.clone())]),
        window: WINDOW,
        cache: Some(job.state.join("endpoints.json")),
        tls: None,
    });
    let (agent, handle) = installation.agent(&job.state, None, BTreeMap::new(), Arc::new(discovery_handle.clone()))?;
    let (agent, mut console) = match job.one_off.then(console::open) {
        Some((theirs, ours)) => (agent.with_console(theirs), Some(ours)),
        None => (agent, None),
    };
    let (stop_agent, stop_discovery) = (CancellationToken::new(), CancellationToken::new());
    let agent = tokio::spawn(agent.run(stop_agent.clone()));
    let discovery = tokio::spawn(discovery.run(stop_discovery.clone()));

    // Never lower than that of an earlier run, without a file that could be lost.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let revision = u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1);
    let mut wanted = Assignments {
        cluster: format!("run {}", job.slot),
        revision,
        assignments: vec![assignment],
        ..Assignments::default()
    };
    let mut lines = if job.one_off { stream::empty().boxed() } else { handle.present_logs(query(&job, true)) };
    let outcome = match handle.assign(wanted.clone()).await {
        Ok(()) => follow(&handle, &job, &mut lines, &mut console).await,
        Err(refused) => {
            Err(Failure::failed("the role cannot be started").because(&refused).hint("see the state directory"))
        }
    };
    wanted.assignments.clear();
    wanted.tombstones.push(job.slot.clone());
    wanted.revision += 1;
    let removed = showing(lines, &mut console, remove(&installation, &handle, &job, wanted)).await;
    drop(console);
    let _ = tokio::time::timeout(Duration::from_secs(2), discovery_handle.close()).await;
    stop_agent.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(5), agent).await;
    stop_discovery.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(2), discovery).await;
    outcome.and_then(|exit| removed.map(|()| exit))
}

fn query(job: &Job, follow: bool) -> LogQuery {
    LogQuery {
        environment: job.slot.environment.clone(),
        service: Some(job.slot.service.clone()),
        roles: job.slot.role.clone(),
        follow,
        ..LogQuery::default()
    }
}

type Lines = BoxStream<'static, LogLine>;

/// Goes on showing what the container writes while it is stopped: programs say much when they end.
async fn showing<T>(mut lines: Lines, console: &mut Option<Ours>, stopping: impl Future<Output = T>) -> T {
    let mut stopping = std::pin::pin!(stopping);
    // A reader that has gone holds nothing up now.
    let stopped = loop {
        tokio::select! {
            biased;
            Some(line) = lines.next() => drop(show(&line)),
            _ = carry(console) => {}
            stopped = &mut stopping => break stopped,
        }
    };
    while let Some(Some(line)) = lines.next().now_or_never() {
        let _ = show(&line);
    }
    stopped
}

/// Shows what the container writes, until it has ended or we are told to.
async fn follow(handle: &Handle, job: &Job, lines: &mut Lines, console: &mut Option<Ours>) -> Result<Exit, Failure> {
    let mut building = handle.output();
    let mut report = handle.report();
    let cannot = |error: std::io::Error| Failure::failed("cannot wait for signals").because(&error);
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let (mut shown, mut told, mut ready) = (BTreeMap::new(), String::new(), false);
    let wait = job.role.require.values().filter(|it| it.min > 0).map(|it| it.wait).max();
    let mut waiting: Option<Waiting> = None;
    loop {
        let given_up = waiting.as_ref().zip(wait).map(|(waiting, wait)| waiting.since + wait);
        tokio::select! {
            () = until(given_up) => {
                let what = waiting.map_or_else(|| "waiting".to_owned(), |waiting| waiting.what);
                return Err(still_waiting(job, &what, wait.unwrap_or_default()));
            }
            Some(line) = lines.next() => {
                show(&line)?;
                *shown.entry(line.source).or_insert(0) += 1;
            }
            carried = carry(console) => carried?,
            Ok(line) = building.recv() => say(&line.line),
            changed = report.changed() => {
                if changed.is_err() {
                    return Err(Failure::failed("the agent has ended").hint("this is a defect; run the command again"));
                }
                let slot = report.borrow_and_update().slots.iter().find(|slot| slot.slot == job.slot).cloned();
                let Some(slot) = slot else { continue };
                if let Err(error) = prepare::remember(&job.state, slot.volumes.keys()) {
                    tracing::warn!(%error, "cannot write down which volumes exist");
                }
                let what = slot.message.clone().filter(|_| slot.phase == Phase::Waiting);
                let since = waiting.as_ref().map_or_else(tokio::time::Instant::now, |waiting| waiting.since);
                waiting = what.map(|what| Waiting { since, what });
                match slot.phase {
                    Phase::Running if !ready => {
                        ready = true;
                        notify::ready();
                    }
                    Phase::Ended => {
                        *lines = stream::empty().boxed();
                        match console {
                            Some(console) if console.is_busy() => {
                                tokio::time::timeout(LAST_LINES, console.carry()).await.unwrap_or(Ok(()))?;
                            }
                            Some(_) => {}
                            None => rest(handle, query(job, false), shown).await?,
                        }
                        return Ok(exit(&slot));
                    }
                    Phase::Failed => return Err(failed(&slot)),
                    _ => {}
                }
                let words = slot.message.clone().unwrap_or_default();
                let worth_saying = matches!(slot.phase, Phase::Image | Phase::Waiting | Phase::Backoff);
                if !words.is_empty() && words != told && worth_saying {
                    say(&format!("{}: {words}", job.slot.role));
                    told = words;
                }
            }
            _ = terminate.recv() => { notify::stopping(); return Ok(Exit::DONE) }
            _ = interrupt.recv() => { notify::stopping(); return Err(Failure::Interrupted) }
        }
    }
}

/// What goes in and out of a one-off.
async fn carry(console: &mut Option<Ours>) -> Result<(), Failure> {
    match console {
        Some(console) => console.carry().await,
        None => std::future::pending().await,
    }
}

/// What is waited for, and since when something is.
struct Waiting {
    since: tokio::time::Instant,
    what: String,
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn still_waiting(job: &Job, what: &str, wait: Duration) -> Failure {
    let role = &job.slot.role;
    Failure::failed(format!("{role} is still {what} after {}", scs_manifest::duration::format(wait)))
        .hint(format!("see who provides it with `scs disco ls`; `wait:` of the requirement says how long {role} waits"))
}

/// The lines that came after those already shown, so many of each source: a container that has ended writes no more.
async fn rest(handle: &Handle, query: LogQuery, mut shown: BTreeMap<String, usize>) -> Result<(), Failure> {
    let mut lines = handle.present_logs(query);
    let all = async {
        while let Some(line) = lines.next().await {
            match shown.get_mut(&line.source).filter(|left| **left > 0) {
                Some(left) => *left -= 1,
                None => show(&line)?,
            }
        }
        Ok(())
    };
    tokio::time::timeout(LAST_LINES, all).await.unwrap_or(Ok(()))
}

fn show(line: &LogLine) -> Result<(), Failure> {
    let written = if line.source == "stderr" {
        writeln!(std::io::stderr().lock(), "{}", line.line)
    } else {
        writeln!(std::io::stdout().lock(), "{}", line.line)
    };
    written.map_err(|_| Failure::NobodyReads)
}

fn exit(slot: &SlotReport) -> Exit {
    let code = slot.container.as_ref().and_then(|container| container.exit_code).unwrap_or(1);
    Exit(u8::try_from(code).unwrap_or(1))
}

fn failed(slot: &SlotReport) -> Failure {
    let words = slot.message.clone().unwrap_or_else(|| "it failed".to_owned());
    let mut problem = Problem::new(Code::Failed, format!("{}: {words}", slot.slot.role));
    problem.output.clone_from(&slot.details);
    problem.hint("nothing of it is left running; volumes stay").into()
}

/// Stops and removes the container; volumes stay.
async fn remove(
    installation: &Installation,
    handle: &Handle,
    job: &Job,
    tombstone: Assignments,
) -> Result<(), Failure> {
    let mut report = handle.report();
    let left = |why: String| {
        Failure::failed(format!("the container of {} was not removed: {why}", job.slot))
            .hint("the next `scs run` of this role cleans it up")
    };
    handle.assign(tombstone).await.map_err(|refused| left(refused.to_string()))?;
    let gone = report.wait_for(|report| report.gone.contains(&job.slot));
    let patience = job.role.process.stop_grace_period + REMOVAL;
    match tokio::time::timeout(patience, gone).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return Err(left("the agent has ended".to_owned())),
        Err(_) => return Err(left(format!("it took longer than {} s", patience.as_secs()))),
    }
    // The slot is empty once its container has stopped; what is left of that is removed a moment later, by this process or not at all.
    let ours = Labels::from([(scs_agent::label::OWNER.to_owned(), installation.owner.clone())]);
    let deadline = Instant::now() + SETTLING;
    loop {
        match installation.engine.containers(&ours).await {
            Ok(containers) if containers.is_empty() => return Ok(()),
            Ok(_) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            Ok(_) => return Err(left(format!("it is still there after {} s", SETTLING.as_secs()))),
            Err(error) => return Err(left(error.to_string())),
        }
    }
}
