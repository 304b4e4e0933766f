//! A container's output, in whole lines with their times.

mod lines;

use crate::Docker;
use crate::call::Subject;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use lines::Lines;
use scs_ports::engine::{Error, LogChunk, Logs, Stream};
use std::time::{SystemTime, UNIX_EPOCH};

impl Docker {
    pub(crate) async fn output_of(
        &self,
        id: &str,
        request: &Logs,
    ) -> Result<BoxStream<'static, Result<LogChunk, Error>>, Error> {
        let subject = Subject::container("read the output of", id);
        // The stream itself would say so only when it is first read.
        let found = self.inspect(id).await?.ok_or_else(|| Error::NotFound { what: subject.what.clone() })?;
        let id = found.id.unwrap_or_else(|| id.to_owned());
        // The engine counts in whole seconds here: it is asked for a little more, and the rest is left out below.
        let options = LogsOptions {
            follow: request.follow,
            stdout: true,
            stderr: true,
            since: request.since.map_or(0, seconds),
            until: request.until.map_or(0, |it| seconds(it).saturating_add(1)),
            timestamps: true,
            tail: request.tail.map_or_else(|| "all".to_owned(), |it| it.to_string()),
        };
        let docker = self.clone();
        let pieces = self.client.logs(&id, Some(options)).map_err(move |error| docker.failure(&subject, error));
        let (since, until) = (request.since, request.until);
        let wanted = move |line: &LogChunk| {
            line.time.is_none_or(|time| since.is_none_or(|it| time >= it) && until.is_none_or(|it| time <= it))
        };
        let whole = whole_lines(pieces.boxed());
        Ok(whole.try_filter(move |line| std::future::ready(wanted(line))).boxed())
    }
}

fn whole_lines(pieces: BoxStream<'static, Result<LogOutput, Error>>) -> BoxStream<'static, Result<LogChunk, Error>> {
    let state = (pieces, Lines::default(), false);
    let batches = stream::unfold(state, |(mut pieces, mut lines, ended)| async move {
        if ended {
            return None;
        }
        match pieces.next().await {
            Some(Ok(piece)) => {
                let (stream, bytes) = match piece {
                    LogOutput::StdErr { message } => (Stream::Stderr, message),
                    LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                        (Stream::Stdout, message)
                    }
                };
                let batch = lines.take_in(stream, &bytes).into_iter().map(Ok).collect::<Vec<_>>();
                Some((batch, (pieces, lines, false)))
            }
            Some(Err(error)) => {
                let mut batch: Vec<_> = lines.rest().into_iter().map(Ok).collect();
                batch.push(Err(error));
                Some((batch, (pieces, lines, true)))
            }
            None => {
                let batch = lines.rest().into_iter().map(Ok).collect();
                Some((batch, (pieces, lines, true)))
            }
        }
    });
    batches.flat_map(stream::iter).boxed()
}

fn seconds(time: SystemTime) -> i32 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // 0 means "no limit" to the engine.
    i32::try_from(since).unwrap_or(i32::MAX).max(1)
}
