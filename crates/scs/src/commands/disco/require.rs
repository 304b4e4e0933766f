//! `scs disco require`: what a name leads to, printed at each change, or handed to a command.

mod runs;

use super::session::Session;
use super::signals::{End, Ending};
use crate::cli::disco::{self, Require};
use crate::cli::target::Format;
use crate::commands::{Context, Outcome};
use crate::exit::{Exit, Failure};
use crate::output::text;
use crate::wiring::discovery::info;
use disco_client::{Endpoint, EndpointSet};
use runs::{OnFailure, Runs};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How long a command that takes too long may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Follows the name until Ctrl-C.
pub async fn run(context: &Context, args: Require) -> Outcome {
    let mut ending = Ending::new()?;
    let query = super::query(context, &args.parts, &args.name, &args.selection)?;
    let own = super::attributes(&args.selection.own);
    let what = format!("require {}", query.name());
    let session = Session::begin(context, &args.server, &what, own, args.cache.clone()).await?;
    // The same from one start to the next: the file of last known endpoints goes by it.
    let mut subscription = session.handle.require(&what, query.clone(), Vec::new());
    let mut set = subscription.current();
    if let Err(failure) = session.reached().await {
        if set.endpoints.is_empty() {
            return Err(failure);
        }
        context.printer.warn(format!("{failure}; these are the last known endpoints"));
    }
    let follow = Follow { context, args: &args, name: query.name() };
    let outcome = if args.command.is_empty() {
        follow.print(&mut set, &mut subscription, &mut ending).await
    } else {
        follow.run(&mut set, &mut subscription, &mut ending).await
    };
    drop(subscription);
    session.close().await;
    outcome
}

struct Follow<'a> {
    context: &'a Context,
    args: &'a Require,
    name: String,
}

impl Follow<'_> {
    async fn print(
        &self,
        set: &mut EndpointSet,
        subscription: &mut disco_client::Subscription,
        ending: &mut Ending,
    ) -> Outcome {
        let (mut printed, mut stale) = (None, false);
        loop {
            if let Some(refused) = super::refused(set) {
                return Err(refused);
            }
            super::say_stale(self.context, &mut stale, set);
            // Nothing is known until a server has answered, or there is something from before.
            let known = set.complete || !set.endpoints.is_empty();
            let confirmed = set.stale_since.is_none();
            let wanted = known && !(self.args.once && set.endpoints.is_empty());
            if wanted && printed != Some(set.seq) {
                printed = Some(set.seq);
                if self.args.output.output == Format::Json {
                    self.context.printer.json_line(&document(&self.name, set))?;
                } else {
                    let addresses: Vec<String> = set.endpoints.iter().map(Endpoint::address).collect();
                    self.context.printer.line(addresses.join(" "))?;
                }
            }
            if known && confirmed {
                subscription.applied(set.seq).await;
                if self.args.once && !set.endpoints.is_empty() {
                    return Ok(Exit::DONE);
                }
            }
            *set = tokio::select! {
                set = subscription.changed() => set,
                end = ending.next() => return end.outcome(),
            };
        }
    }

    async fn run(
        &self,
        set: &mut EndpointSet,
        subscription: &mut disco_client::Subscription,
        ending: &mut Ending,
    ) -> Outcome {
        let on_failure = match self.args.on_failure {
            disco::OnFailure::Retry => OnFailure::Retry,
            disco::OnFailure::Ignore | disco::OnFailure::Exit => OnFailure::Ignore,
        };
        let mut runs = Runs::new(self.args.debounce, on_failure);
        let mut stale = false;
        loop {
            if let Some(refused) = super::refused(set) {
                return Err(refused);
            }
            super::say_stale(self.context, &mut stale, set);
            let known = set.complete || !set.endpoints.is_empty();
            let runnable = known && set.stale_since.is_none() && !(self.args.once && set.endpoints.is_empty());
            runs.set(now(), runnable.then_some(set.seq));
            let due = runs.due().map(tokio::time::Instant::from_std);
            tokio::select! {
                changed = subscription.changed() => {
                    *set = changed;
                    continue;
                }
                end = ending.next() => return end.outcome(),
                () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {}
            }
            runs.started();
            let ran = set.clone();
            let mut running = std::pin::pin!(self.command(&ran));
            let mut told = None;
            let outcome = loop {
                tokio::select! {
                    outcome = &mut running => break outcome?,
                    changed = subscription.changed() => {
                        *set = changed;
                        super::say_stale(self.context, &mut stale, set);
                        let known = set.complete || !set.endpoints.is_empty();
                        runs.set(now(), (known && set.stale_since.is_none()).then_some(set.seq));
                    }
                    // It is let finish: half a change is worse than a late one. A second Ctrl-C does not wait.
                    end = ending.next() => {
                        if told.replace(end).is_some() {
                            return end.outcome();
                        }
                    }
                }
            };
            if let Some(seq) = runs.ended(now(), outcome == Exit::DONE) {
                subscription.applied(seq).await;
            }
            if let Some(end) = told {
                return End::outcome(end);
            }
            let fails = outcome != Exit::DONE && self.args.on_failure == disco::OnFailure::Exit;
            if fails || (self.args.once && outcome == Exit::DONE) {
                return Ok(outcome);
            }
        }
    }

    /// Runs the command once; its exit code, 124 where it took too long.
    async fn command(&self, set: &EndpointSet) -> Outcome {
        let (program, arguments) = self.args.command.split_first().expect("the caller has looked");
        let name = self.args.r#as.as_deref().unwrap_or(&self.args.name.endpoint);
        let mut child = Command::new(program)
            .args(arguments)
            .envs(scs_agent::requirement_variables(name, &set.endpoints))
            .stdin(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Failure::failed(format!("cannot start `{program}`"))
                    .because(&error)
                    .hint("see whether it is there and may be run")
            })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let document = document(&self.name, set).to_string() + "\n";
        let stdin = child.stdin.take();
        let work = async {
            if let Some(mut stdin) = stdin {
                // A command that does not read it needs none of it.
                let _ = stdin.write_all(document.as_bytes()).await;
            }
            child.wait().await
        };
        let mut work = std::pin::pin!(work);
        let timeout = self.args.timeout;
        let status = match tokio::time::timeout(timeout, &mut work).await {
            Ok(status) => Some(status),
            Err(_) => {
                self.context
                    .printer
                    .warn(format!("`{program}` takes longer than {}; it is ended", text::took(timeout)));
                let tell = |signal| group.map(|group| kill_process_group(group, signal));
                tell(Signal::TERM);
                if tokio::time::timeout(GRACE, &mut work).await.is_err() {
                    tell(Signal::KILL);
                    let _ = work.await;
                }
                None
            }
        };
        let code = match status {
            None => 124,
            Some(status) => {
                let status = status.map_err(|error| Failure::failed("cannot wait for the command").because(&error))?;
                u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)
            }
        };
        if code != 0 {
            self.context.printer.warn(format!("`{program}` ended with exit code {code}: the change is not applied"));
        }
        Ok(Exit(code))
    }
}

/// A set for programs.
fn document(name: &str, set: &EndpointSet) -> Value {
    let gone: Vec<Value> = set
        .gone
        .iter()
        .map(|(endpoint, reason)| json!({"address": endpoint.address(), "instance": endpoint.instance, "reason": reason.as_str()}))
        .collect();
    json!({
        "name": name,
        "seq": set.seq,
        "complete": set.complete,
        "stale_since": set.stale_since.map(text::precise_time),
        "endpoints": set.endpoints.iter().map(info).collect::<Vec<_>>(),
        "gone": gone,
    })
}

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
