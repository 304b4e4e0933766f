//! Lines of logs: a container's output, and the log files that its image declares, across replaced containers.

mod archive;
mod follow;
mod read;
mod save;
mod set;

pub(crate) use archive::Archive;
pub(crate) use follow::{Follow, Following, closed};
pub(crate) use save::{place, save};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use read::{Container, Last, Narrow};
use scs_api::log::{LogLine, LogQuery};
use scs_plan::slot::Slot;
use scs_ports::engine::{Engine, Logs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Lines on their way to a reader; one that is slower holds the containers' streams up, not the agent.
const BUFFER: usize = 1000;
/// Lines of an ended container that are shown as the reason.
const LAST: u64 = 20;

/// A container that has lines.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) slot: Slot,
    pub(crate) instance: String,
    pub(crate) container: String,
    pub(crate) ended: bool,
    /// Changes with every line of its log files, where it has such; closed once no more come.
    pub(crate) grown: Option<watch::Receiver<()>>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        let grown = match (&self.grown, &other.grown) {
            (Some(one), Some(other)) => one.same_channel(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let of = |it: &Self| (it.slot.clone(), it.instance.clone(), it.container.clone(), it.ended);
        grown && of(self) == of(other)
    }
}

/// The last lines a container wrote.
pub(crate) async fn last_lines(engine: &dyn Engine, container: &str) -> Vec<String> {
    let read = async {
        let logs = Logs { tail: Some(LAST), ..Logs::default() };
        let Ok(mut chunks) = engine.logs(container, &logs).await else { return Vec::new() };
        let mut lines = Vec::new();
        while let Some(Ok(chunk)) = chunks.next().await {
            lines.push(String::from_utf8_lossy(&chunk.bytes).into_owned());
        }
        lines
    };
    tokio::time::timeout(Duration::from_secs(5), read).await.unwrap_or_default()
}

pub(crate) fn stream(
    engine: Arc<dyn Engine>,
    archive: Archive,
    sources: watch::Receiver<Arc<Vec<Source>>>,
    query: LogQuery,
    removed: bool,
) -> BoxStream<'static, LogLine> {
    let (lines, reader) = mpsc::channel(BUFFER);
    let narrow = Narrow::of(&query);
    let gather = Gather { engine, archive, query, narrow, removed, lines };
    // Ends with its reader: every send fails then, and so does the wait below.
    tokio::spawn(async move {
        let lines = gather.lines.clone();
        tokio::select! {
            () = lines.closed() => {}
            () = gather.run(sources) => {}
        }
    });
    stream::unfold(reader, |mut reader| async { reader.recv().await.map(|line| (line, reader)) }).boxed()
}

fn wanted(query: &LogQuery, slot: &Slot) -> bool {
    let mut roles = query.roles.split(',').map(str::trim).filter(|role| !role.is_empty()).peekable();
    slot.environment == query.environment
        && query.service.as_ref().is_none_or(|service| *service == slot.service)
        && (roles.peek().is_none() || roles.any(|role| slot.is_named(role)))
}

struct Gather {
    engine: Arc<dyn Engine>,
    archive: Archive,
    query: LogQuery,
    narrow: Narrow,
    /// Also of containers that only the archive knows.
    removed: bool,
    lines: mpsc::Sender<LogLine>,
}

impl Gather {
    /// Reads every container once; those that come while following are read from their beginning.
    async fn run(&self, mut sources: watch::Receiver<Arc<Vec<Source>>>) {
        let mut read = BTreeSet::new();
        let mut readers = tokio::task::JoinSet::new();
        let now = sources.borrow_and_update().clone();
        for (_, of_slot) in self.by_slot(&now) {
            let (past, running): (Vec<_>, Vec<_>) =
                of_slot.into_iter().partition(|source| source.ended || !self.query.follow);
            read.extend(running.iter().map(|source| source.instance.clone()));
            // The lines of those that ended come before those of their successor.
            self.past(past, &running).await;
            for source in running {
                self.follow(source, self.query.tail, &mut readers);
            }
        }
        read.extend(now.iter().map(|source| source.instance.clone()));
        while self.query.follow && sources.changed().await.is_ok() {
            let now = sources.borrow_and_update().clone();
            for source in now.iter().filter(|source| wanted(&self.query, &source.slot)) {
                if read.insert(source.instance.clone()) {
                    self.follow(source.clone(), None, &mut readers);
                }
            }
            while readers.try_join_next().is_some() {}
        }
    }

    /// The containers of each slot in the order of their starts, those that only the archive knows included where they are wanted.
    fn by_slot(&self, sources: &[Source]) -> BTreeMap<Slot, Vec<Source>> {
        let mut all: BTreeMap<Slot, Vec<Source>> = BTreeMap::new();
        let archived = if self.removed { self.archive.slots() } else { Vec::new() };
        for slot in archived.into_iter().filter(|slot| wanted(&self.query, slot)) {
            for kept in self.archive.kept(&slot) {
                if sources.iter().any(|source| source.instance == kept.instance) {
                    continue;
                }
                let container = kept.container().unwrap_or_default();
                let source =
                    Source { slot: slot.clone(), instance: kept.instance, container, ended: true, grown: None };
                all.entry(slot.clone()).or_default().push(source);
            }
        }
        for source in sources.iter().filter(|source| wanted(&self.query, &source.slot)) {
            all.entry(source.slot.clone()).or_default().push(source.clone());
        }
        all
    }

    fn container(&self, source: Source) -> Container {
        Container { engine: self.engine.clone(), archive: self.archive.clone(), source, narrow: self.narrow }
    }

    /// What a slot's containers wrote until now. The last lines are those of the slot, so what those have that are followed
    /// counts, too.
    async fn past(&self, sources: Vec<Source>, followed: &[Source]) {
        let mut tail = self.query.tail;
        if let Some(tail) = &mut tail {
            for source in followed {
                let count = self
                    .container(source.clone())
                    .past(Some(*tail))
                    .await
                    .take(usize::try_from(*tail).unwrap_or(usize::MAX))
                    .count()
                    .await;
                *tail = tail.saturating_sub(count as u64);
            }
        }
        if tail == Some(0) {
            return;
        }
        let mut last = Last::new(tail);
        for source in sources {
            let mut past = self.container(source).past(tail).await;
            while let Some(line) = past.next().await {
                if let Some(line) = last.push(line)
                    && self.lines.send(line).await.is_err()
                {
                    return;
                }
            }
        }
        for line in last.end() {
            let _ = self.lines.send(line).await;
        }
    }

    fn follow(&self, source: Source, tail: Option<u64>, readers: &mut tokio::task::JoinSet<()>) {
        let (of, lines) = (self.container(source.clone()), self.lines.clone());
        readers.spawn(async move { of.follow_files(tail, &lines).await });
        let (of, lines) = (self.container(source), self.lines.clone());
        readers.spawn(async move {
            let mut output = of.output(tail, true).await;
            while let Some(line) = output.next().await {
                if lines.send(line).await.is_err() {
                    return;
                }
            }
        });
    }
}
