//! Holding on to a host: one connection over which it is heard of, made anew whenever it breaks or falls silent.

use super::Heard;
use super::pauses::Pauses;
use crate::wire::{self, Line};
use futures_util::StreamExt as _;
use scs_api::agent::HostReport;
use scs_client::{Client, Error, Method};
use scs_control::agents::Reachability;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

pub(super) async fn hold(client: Client, host: String, heard: Arc<Heard>, silence: Duration) {
    let mut pauses = Pauses::default();
    loop {
        let why = listen(&client, &host, &heard, silence, &mut pauses).await;
        heard.lost(&host, &why);
        tokio::time::sleep(pauses.next(rand::random())).await;
    }
}

/// Listens until there is nothing more to hear, and says why.
async fn listen(client: &Client, host: &str, heard: &Heard, silence: Duration, pauses: &mut Pauses) -> Lost {
    let asking = client.stream::<Line>(Method::GET, wire::REPORT, None::<&()>);
    // Whoever takes the connection and says nothing is as far away as one who does not.
    let mut lines = match timeout(silence.max(CONNECTING), asking).await {
        Ok(Ok(lines)) => lines,
        Ok(Err(error)) => return Lost { host_answers: answers(&error), why: reason(&error) },
        Err(_) => return Lost::silent(silence.max(CONNECTING)),
    };
    loop {
        match timeout(silence, lines.next()).await {
            Ok(Some(Ok(Line::Report(report)))) => {
                if let Some(other) = other(host, &report) {
                    return Lost::away(other);
                }
                heard.report(host, *report);
                pauses.reset();
            }
            // Nobody may be listening.
            Ok(Some(Ok(Line::Output(line)))) => drop(heard.output.send(line)),
            Ok(Some(Ok(Line::Beat))) => {}
            Ok(Some(Ok(Line::Lease(question)))) => drop(heard.questions.send_replace(Some(question))),
            // Its end has come to us.
            Ok(Some(Err(error))) => return Lost::away(reason(&error)),
            Ok(None) => return Lost::away("its agent ended".to_owned()),
            Err(_) => return Lost::silent(silence),
        }
    }
}

/// A connection that is far away takes this long in the worst case.
const CONNECTING: Duration = Duration::from_secs(6);

/// Why there is nothing more to hear.
struct Lost {
    why: String,
    /// Whether the host is there all the same.
    host_answers: bool,
}

impl Lost {
    fn silent(after: Duration) -> Self {
        Self { why: silent(after), host_answers: false }
    }

    fn away(why: String) -> Self {
        Self { why, host_answers: true }
    }
}

/// Whether a host that gave this error is there.
fn answers(error: &Error) -> bool {
    match error {
        Error::Unreachable { source, .. } => source.kind() == std::io::ErrorKind::ConnectionRefused,
        Error::Silent { .. } => false,
        _ => true,
    }
}

fn silent(after: Duration) -> String {
    format!("it has said nothing for {} s", after.as_secs_f32())
}

fn reason(error: &Error) -> String {
    match error {
        Error::Refused(problem) => problem.message.clone(),
        Error::Silent { after, .. } => silent(*after),
        other => other.why(),
    }
}

/// What to say of a report that is not this host's.
fn other(host: &str, report: &HostReport) -> Option<String> {
    let unnamed = report.host.is_empty() && report.revision == 0;
    (!unnamed && report.host != host).then(|| format!("it reports as host {}", report.host))
}

impl Heard {
    fn report(&self, host: &str, report: HostReport) {
        // An agent that was started anew has not looked yet: what it saw before is nearer to the truth than nothing.
        self.report.send_if_modified(|last| {
            let newer = report.revision > 0 || last.revision == 0;
            let changed = newer && *last != report;
            if changed {
                *last = report;
            }
            changed
        });
        self.reachable.send_if_modified(|now| {
            if matches!(now, Reachability::Reachable { .. }) {
                return false;
            }
            tracing::info!(host.id = host, "the agent of a host answers");
            *now = Reachability::Reachable { since: SystemTime::now() };
            true
        });
    }

    fn lost(&self, host: &str, lost: &Lost) {
        let Lost { why, host_answers } = lost;
        self.reachable.send_if_modified(|now| {
            let since = match now {
                Reachability::Unreachable { why: before, host_answers: answered, .. }
                    if before == why && answered == host_answers =>
                {
                    return false;
                }
                Reachability::Unreachable { since, .. } => *since,
                Reachability::Connecting | Reachability::Reachable { .. } => SystemTime::now(),
            };
            tracing::warn!(host.id = host, why, "the agent of a host does not answer");
            *now = Reachability::Unreachable { since, why: why.clone(), host_answers: *host_answers };
            true
        });
    }
}
