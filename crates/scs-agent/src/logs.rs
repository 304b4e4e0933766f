//! Lines of logs: a container's output, and the log files that its image declares, across replaced containers.

use crate::files::HELPER;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use scs_api::log::{LogLine, LogQuery};
use scs_manifest::compiled::LogFile;
use scs_plan::slot::Slot;
use scs_ports::engine::{Engine, Exec, Logs, Stream};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};

/// Lines on their way to a reader; one that is slower holds the containers' streams up, not the agent.
const BUFFER: usize = 1000;
/// Lines of an ended container that are shown as the reason.
const LAST: u64 = 20;

/// A container that has lines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    pub(crate) slot: Slot,
    pub(crate) instance: String,
    pub(crate) container: String,
    pub(crate) ended: bool,
    pub(crate) files: Vec<LogFile>,
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
    sources: watch::Receiver<Arc<Vec<Source>>>,
    query: LogQuery,
    helper: bool,
) -> BoxStream<'static, LogLine> {
    let (lines, reader) = mpsc::channel(BUFFER);
    // Ends with its reader: every send fails then, and so does the wait below.
    tokio::spawn(async move {
        tokio::select! {
            () = lines.closed() => {}
            () = gather(engine, sources, query, helper, lines.clone()) => {}
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

/// Reads every source once; containers that come while following are read from their beginning.
async fn gather(
    engine: Arc<dyn Engine>,
    mut sources: watch::Receiver<Arc<Vec<Source>>>,
    query: LogQuery,
    helper: bool,
    lines: mpsc::Sender<LogLine>,
) {
    let query = Arc::new(query);
    let mut read = BTreeSet::new();
    let mut readers = tokio::task::JoinSet::new();
    let mut first = true;
    loop {
        let now = sources.borrow_and_update().clone();
        for source in now.iter().filter(|source| wanted(&query, &source.slot)) {
            if !read.insert(source.instance.clone()) {
                continue;
            }
            let whole = !first;
            let reader = Reader { engine: engine.clone(), source: source.clone(), query: query.clone(), whole };
            let lines_of = lines.clone();
            // The lines of one that ended come before those of its successor.
            let follow = query.follow;
            if first && (source.ended || !follow) {
                reader.output(lines_of, false).await;
                if helper && !source.ended && !source.files.is_empty() {
                    reader.files(lines.clone(), false).await;
                }
                continue;
            }
            if helper && !source.files.is_empty() {
                let (reader, lines) = (reader.clone(), lines.clone());
                readers.spawn(async move { reader.files(lines, follow).await });
            }
            readers.spawn(async move { reader.output(lines_of, follow).await });
        }
        first = false;
        if !query.follow {
            return;
        }
        if sources.changed().await.is_err() {
            return;
        }
        while readers.try_join_next().is_some() {}
    }
}

#[derive(Clone)]
struct Reader {
    engine: Arc<dyn Engine>,
    source: Source,
    query: Arc<LogQuery>,
    whole: bool,
}

impl Reader {
    fn line(&self, source: &str, time: Option<SystemTime>, line: String) -> LogLine {
        let (slot, instance) = (self.source.slot.clone(), self.source.instance.clone());
        LogLine { slot, instance, source: source.to_owned(), time, line }
    }

    async fn output(&self, lines: mpsc::Sender<LogLine>, follow: bool) {
        let at = |millis: u64| UNIX_EPOCH + Duration::from_millis(millis);
        let request = Logs {
            follow,
            tail: self.query.tail.filter(|_| !self.whole),
            since: self.query.since.map(at),
            until: self.query.until.map(at),
        };
        let mut chunks = match self.engine.logs(&self.source.container, &request).await {
            Ok(chunks) => chunks,
            Err(error) => {
                tracing::debug!(slot = %self.source.slot, %error, "the lines of a container cannot be read");
                return;
            }
        };
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else { return };
            let source = if chunk.stream == Stream::Stdout { "stdout" } else { "stderr" };
            let line = self.line(source, chunk.time, String::from_utf8_lossy(&chunk.bytes).into_owned());
            if lines.send(line).await.is_err() {
                return;
            }
        }
    }

    /// Log files inside the container, through the helper; each line begins with the number of its file.
    async fn files(&self, lines: mpsc::Sender<LogLine>, follow: bool) {
        if self.query.until.is_some() || self.query.since.is_some() {
            // Their lines have no times that we could read.
            return;
        }
        let mut command: Vec<String> = [HELPER, "tail", "--until-eof"].map(str::to_owned).into();
        if let Some(tail) = self.query.tail.filter(|_| !self.whole) {
            command.extend(["--lines".to_owned(), tail.to_string()]);
        }
        command.extend(follow.then(|| "--follow".to_owned()));
        command.extend(self.source.files.iter().map(|file| file.path.clone()));
        // Its input stays open as long as somebody reads; when it closes, the helper ends.
        let exec = Exec { command, stdin: true, user: Some("0".to_owned()), ..Exec::default() };
        let Ok(mut process) = self.engine.exec(&self.source.container, &exec).await else { return };
        let mut open = Vec::new();
        while let Some(Ok(chunk)) = process.output.next().await {
            if chunk.stream != Stream::Stdout {
                continue;
            }
            open.extend_from_slice(&chunk.bytes);
            while let Some(end) = open.iter().position(|byte| *byte == b'\n') {
                let text = String::from_utf8_lossy(&open[..end]).into_owned();
                open.drain(..=end);
                let Some((number, text)) = text.split_once(' ') else { continue };
                let Some(file) = number.parse::<usize>().ok().and_then(|number| self.source.files.get(number)) else {
                    continue;
                };
                let time = follow.then(SystemTime::now);
                if lines.send(self.line(&file.r#type, time, text.to_owned())).await.is_err() {
                    return;
                }
            }
        }
    }
}
