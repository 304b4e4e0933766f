//! Commands run inside a container: live updates and health checks.

use crate::files::{HELPER, LOCK};
use futures_util::StreamExt;
use scs_plan::lifecycle::{Outcome, Tell};
use scs_ports::engine::{Engine, Error, Exec, Process};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Lines of output that are kept, and bytes of each.
const LINES: usize = 20;
const LINE: usize = 2000;
/// What the helper and the engine have beyond the timeout before the command counts as lost.
const SLACK: Duration = Duration::from_secs(5);

/// Exit code of the helper when the command took too long, as that of `timeout(1)`.
const TIMED_OUT: i64 = 124;

/// A command with its timeout and, so that two never run at once whatever becomes of this process, its lock.
pub(crate) fn wrapped(command: &[String], timeout: Duration, helper: bool, lock: bool) -> Vec<String> {
    if !helper {
        return command.to_vec();
    }
    let mut wrapped: Vec<String> =
        [HELPER, "exec", "--timeout", &scs_manifest::duration::format(timeout)].map(str::to_owned).into();
    if lock {
        wrapped.extend(["--lock", LOCK].map(str::to_owned));
    }
    wrapped.push("--".to_owned());
    wrapped.extend_from_slice(command);
    wrapped
}

/// Tells a running container of a change.
pub(crate) async fn tell(
    engine: &Arc<dyn Engine>,
    container: &str,
    action: &Tell,
    environment: BTreeMap<String, String>,
    helper: bool,
) -> Outcome {
    let started = Instant::now();
    let (limit, result) = match action {
        Tell::Signal(signal) => {
            let sent = tokio::time::timeout(SLACK, engine.signal(container, signal)).await;
            (SLACK, sent.map(|sent| sent.map(|()| (Some(0), Vec::new()))))
        }
        Tell::Command(command, timeout) => {
            let exec = Exec { command: wrapped(command, *timeout, helper, true), environment, ..Exec::default() };
            let run = async { finish(engine.exec(container, &exec).await?).await };
            (*timeout, tokio::time::timeout(*timeout + SLACK, run).await)
        }
    };
    let late = || format!("it did not end within {}", scs_manifest::duration::format(limit));
    let (code, output, failure) = match result {
        Ok(Ok((Some(TIMED_OUT), output))) if helper && started.elapsed() >= limit => (None, output, Some(late())),
        Ok(Ok((Some(code), output))) => (Some(code), output, None),
        Ok(Ok((None, output))) => (None, output, Some("the engine gave no exit code".to_owned())),
        Ok(Err(error)) => (None, Vec::new(), Some(crate::failure::chain(&error).join(": "))),
        Err(_) => (None, Vec::new(), Some(late())),
    };
    Outcome { code, failure, output, took: started.elapsed() }
}

/// Waits for a command's end; gives its exit code and last lines.
pub(crate) async fn finish(mut process: Process) -> Result<(Option<i64>, Vec<String>), Error> {
    let mut lines = Lines::default();
    while let Some(chunk) = process.output.next().await {
        lines.take(&chunk?.bytes);
    }
    let code = process.control.exit_code().await?;
    Ok((code, lines.end()))
}

/// The last lines of a stream of bytes, bounded.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: VecDeque<String>,
    open: Vec<u8>,
}

impl Lines {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.close();
            } else if self.open.len() < LINE {
                self.open.push(*byte);
            }
        }
    }

    fn close(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.open)).trim_end().to_owned();
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(crate) fn end(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.close();
        }
        self.lines.into()
    }
}
