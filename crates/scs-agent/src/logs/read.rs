//! Reads the lines of one container: its output from the engine or from the archive, its log files from the archive.

use super::Source;
use super::archive::{Archive, Kept};
use super::follow::closed;
use super::set::Reader;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use scs_api::log::{LogLine, LogQuery};
use scs_ports::engine::{Engine, Logs, Stream};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// How long a container that has just ended may take to hand over what it wrote last.
const HANDOVER: Duration = Duration::from_secs(5);

type Lines = BoxStream<'static, LogLine>;

/// Which lines of it are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Narrow {
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl Narrow {
    pub(super) fn of(query: &LogQuery) -> Self {
        let at = |millis: u64| UNIX_EPOCH + Duration::from_millis(millis);
        Self { since: query.since.map(at), until: query.until.map(at) }
    }

    fn has(self, time: SystemTime) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) archive: Archive,
    pub(super) source: Source,
    pub(super) narrow: Narrow,
}

impl Container {
    fn line(&self, source: &str, time: Option<SystemTime>, text: &[u8]) -> LogLine {
        let Source { slot, instance, .. } = &self.source;
        let line = String::from_utf8_lossy(text).into_owned();
        LogLine { slot: slot.clone(), instance: instance.clone(), source: source.to_owned(), time, line }
    }

    fn kept(&self) -> Option<Kept> {
        self.archive.find(&self.source.slot, &self.source.instance)
    }

    /// What there is now, in the order of time.
    pub(super) async fn past(&self, tail: Option<u64>) -> Lines {
        if self.source.ended
            && let Some(grown) = self.source.grown.clone()
        {
            let _ = tokio::time::timeout(HANDOVER, closed(grown)).await;
        }
        let output = self.output(tail, false).await;
        let files = self.kept().map(|kept| self.stored(kept.files())).unwrap_or_default();
        merge(output, stream::iter(files).boxed())
    }

    /// What it writes itself. Once the engine has forgotten it, the archive knows.
    pub(super) async fn output(&self, tail: Option<u64>, follow: bool) -> Lines {
        let request = Logs { follow, tail, since: self.narrow.since, until: self.narrow.until };
        match self.engine.logs(&self.source.container, &request).await {
            Ok(chunks) => {
                let of = self.clone();
                let lines = chunks.take_while(|chunk| std::future::ready(chunk.is_ok())).filter_map(move |chunk| {
                    let line = chunk.ok().map(|chunk| {
                        let source = if chunk.stream == Stream::Stdout { "stdout" } else { "stderr" };
                        of.line(source, chunk.time, &chunk.bytes)
                    });
                    std::future::ready(line)
                });
                lines.boxed()
            }
            Err(error) => {
                let Some(kept) = self.kept().filter(|kept| kept.output().exists()) else {
                    tracing::debug!(slot = %self.source.slot, %error, "the lines of a container cannot be read");
                    return stream::empty().boxed();
                };
                stream::iter(self.stored(kept.output())).boxed()
            }
        }
    }

    fn stored(&self, set: PathBuf) -> Stored {
        Stored(Some((self.clone(), Reader::new(set))))
    }

    /// Lines of its log files as they are kept, those that are there already first.
    pub(super) async fn follow_files(&self, tail: Option<u64>, lines: &mpsc::Sender<LogLine>) {
        let Some(mut grown) = self.source.grown.clone() else { return };
        let mut reader = None;
        let mut first = true;
        loop {
            grown.mark_unchanged();
            if reader.is_none() {
                reader = self.kept().map(|kept| self.stored(kept.files()));
            }
            let mut last = Last::new(tail.filter(|_| first));
            first = false;
            for line in reader.iter_mut().flatten() {
                if let Some(line) = last.push(line)
                    && lines.send(line).await.is_err()
                {
                    return;
                }
            }
            for line in last.end() {
                if lines.send(line).await.is_err() {
                    return;
                }
            }
            if grown.changed().await.is_err() {
                // Once more for what came before the end.
                for line in reader.iter_mut().flatten() {
                    if lines.send(line).await.is_err() {
                        return;
                    }
                }
                return;
            }
        }
    }
}

/// Lines of a set; its end is not the end for ever.
#[derive(Default)]
struct Stored(Option<(Container, Reader)>);

impl Iterator for Stored {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        let (of, reader) = self.0.as_mut()?;
        let (line, kind) = reader.by_ref().find(|(line, _)| of.narrow.has(line.time))?;
        Some(of.line(&kind, Some(line.time), &line.text))
    }
}

/// The last lines, or all where none are asked for.
pub(super) struct Last {
    count: Option<usize>,
    lines: VecDeque<LogLine>,
}

impl Last {
    pub(super) fn new(count: Option<u64>) -> Self {
        Self { count: count.map(|count| usize::try_from(count).unwrap_or(usize::MAX)), lines: VecDeque::new() }
    }

    /// Gives a line back that need not be held.
    pub(super) fn push(&mut self, line: LogLine) -> Option<LogLine> {
        let Some(count) = self.count else { return Some(line) };
        self.lines.push_back(line);
        if self.lines.len() > count {
            self.lines.pop_front();
        }
        None
    }

    pub(super) fn end(self) -> VecDeque<LogLine> {
        self.lines
    }
}

/// Two streams, each in the order of time, as one.
fn merge(a: Lines, b: Lines) -> Lines {
    let state = (Box::pin(a.peekable()), Box::pin(b.peekable()));
    stream::unfold(state, |(mut a, mut b)| async move {
        let time = |line: Option<&LogLine>| line.map(|line| line.time);
        let (first, second) = (time(Pin::as_mut(&mut a).peek().await), time(Pin::as_mut(&mut b).peek().await));
        let from_a = match (first, second) {
            (Some(first), Some(second)) => first <= second,
            (first, _) => first.is_some(),
        };
        let line = if from_a { a.next().await } else { b.next().await };
        line.map(|line| (line, (a, b)))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use scs_plan::slot::Slot;

    fn line(text: &str, second: u64) -> LogLine {
        let slot = Slot { environment: "e".into(), service: "s".into(), role: "r".into(), index: 0 };
        let time = Some(UNIX_EPOCH + Duration::from_secs(second));
        LogLine { slot, instance: "i".into(), source: "stdout".into(), time, line: text.into() }
    }

    #[tokio::test]
    async fn two_streams_are_merged_by_time() {
        let a = stream::iter([line("a1", 1), line("a3", 3)]).boxed();
        let b = stream::iter([line("b2", 2), line("b3", 3), line("b4", 4)]).boxed();
        let all: Vec<String> = merge(a, b).map(|it| it.line).collect().await;
        assert_eq!(all, ["a1", "b2", "a3", "b3", "b4"]);
    }

    #[test]
    fn only_the_last_lines_are_held() {
        let mut last = Last::new(Some(2));
        assert!((0..5).all(|number| last.push(line(&number.to_string(), number)).is_none()));
        assert_eq!(last.end().into_iter().map(|it| it.line).collect::<Vec<_>>(), ["3", "4"]);
        assert!(Last::new(None).push(line("all", 1)).is_some());
    }
}
