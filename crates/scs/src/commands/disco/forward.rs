//! `scs disco forward`: local ports that lead to endpoints.

use super::session::Session;
use super::signals::Ending;
use crate::cli::disco::{Balance, Forward, PortTo};
use crate::commands::{Context, Outcome};
use crate::exit::Failure;
use crate::output::{NAME, Printer, text};
use disco_client::forward::{self, Event, Policy};
use disco_client::{Query, Subscription};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One port, bound.
struct Port {
    forward: forward::Forward,
    asked: Query,
    /// Its number was left to the system.
    taken: bool,
}

/// Forwards until Ctrl-C.
pub async fn run(context: &Context, args: &Forward) -> Outcome {
    let mut ending = Ending::new()?;
    let mut ports = Vec::new();
    for port in &args.ports {
        ports.push(bind(context, args, port).await?);
    }
    files(context, args);
    let what = format!("forward {}", ports.iter().map(|port| port.asked.name()).collect::<Vec<_>>().join(" "));
    let own = super::attributes(&args.selection.own);
    let session = Session::begin(context, &args.server, &what, own, args.cache.clone()).await?;
    let mut subscriptions = subscribe(&session, &ports);
    let known = subscriptions.iter_mut().all(|subscription| !subscription.current().endpoints.is_empty());
    if let Err(failure) = session.reached().await {
        // With endpoints from before it can do its work.
        if !known {
            return Err(failure);
        }
        context.printer.warn(format!("{failure}; the last known endpoints are used"));
    }
    let shutdown = CancellationToken::new();
    let mut running = JoinSet::new();
    for (port, subscription) in ports.into_iter().zip(subscriptions) {
        let local = port.forward.local_addr();
        if port.taken {
            context.printer.line(local.to_string())?;
        }
        let words = Words {
            printer: context.printer,
            local: local.to_string(),
            name: port.asked.name(),
            patience: args.patience,
        };
        running.spawn(port.forward.run(subscription, shutdown.clone(), move |event| words.say(&event)));
    }
    let end = ending.next().await;
    context.printer.note(format!(
        "ending; existing connections may go on for {}, a second Ctrl-C ends them",
        text::took(args.finish)
    ));
    shutdown.cancel();
    tokio::select! {
        () = async { while running.join_next().await.is_some() {} } => {}
        _ = ending.next() => {}
    }
    drop(running);
    session.close().await;
    end.outcome()
}

async fn bind(context: &Context, args: &Forward, port: &PortTo) -> Result<Port, Failure> {
    let asked = super::query(context, &args.parts, &port.name, &args.selection)?;
    let options = forward::Options {
        policy: match args.balance {
            Balance::RoundRobin => Policy::RoundRobin,
            Balance::LeastConnections => Policy::LeastConnections,
        },
        patience: args.patience,
        finish: args.finish,
        connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
        ..forward::Options::new(port.listen)
    };
    let forward = forward::Forward::bind(options).await.map_err(|error| {
        Failure::failed(format!("cannot listen on {}", port.listen))
            .because(&error)
            .hint("nothing was started; another port, or 0 for a free one, may do")
    })?;
    Ok(Port { forward, asked, taken: port.listen.port() == 0 })
}

/// Their ids stay the same from one start to the next: the file of last known endpoints goes by them.
fn subscribe(session: &Session, ports: &[Port]) -> Vec<Subscription> {
    let subscribe = |(number, port): (usize, &Port)| {
        session.handle.require(format!("forward {number} {}", port.asked.name()), port.asked.clone(), Vec::new())
    };
    ports.iter().enumerate().map(subscribe).collect()
}

/// Each connection takes two files; the usual limit of a shell is lower than what may be asked for.
fn files(context: &Context, args: &Forward) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let ports = u64::try_from(args.ports.len()).unwrap_or(u64::MAX);
    let needed = u64::from(args.connections).saturating_mul(2).saturating_mul(ports).saturating_add(64);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current.filter(|current| *current < needed) else { return };
    let wanted = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    let limit = if raised { wanted } else { current };
    if limit < needed {
        context.printer.warn(format!(
            "this process may open {limit} files, enough for {} connections: raise `ulimit -n`, or lower `--connections`",
            limit.saturating_sub(64) / 2
        ));
    }
}

/// What is said of one port.
struct Words {
    printer: Printer,
    local: String,
    name: String,
    patience: Duration,
}

impl Words {
    fn say(&self, event: &Event) {
        let local = self.printer.err(NAME, &self.local);
        let waits = text::took(self.patience);
        let text = match event {
            Event::Moved { from, to, .. } if from.is_empty() && to.is_empty() => {
                format!("nobody provides {} yet: connections wait, {waits} at most", self.name)
            }
            Event::Moved { from, to, .. } if from.is_empty() => format!("leads to {}, {}", to.join(", "), self.name),
            Event::Moved { from, to, reason } => {
                let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                if to.is_empty() {
                    format!(
                        "{} went{why}, and nobody provides {} now: new connections wait, {waits} at most",
                        from.join(", "),
                        self.name
                    )
                } else {
                    format!("moved from {} to {}{why}", from.join(", "), to.join(", "))
                }
            }
            Event::Stale => "the discovery server does not answer: it goes on with the last known endpoints".to_owned(),
            Event::Confirmed => "the discovery server answers".to_owned(),
            Event::Failed { address, why } => format!("{address} takes no connections ({why})"),
            Event::Works { address } => format!("{address} takes connections again"),
            Event::GaveUp => format!("a connection was ended: none of {} took it within {waits}", self.name),
            Event::Full => "there are as many connections as may be: further ones wait (--connections)".to_owned(),
            Event::Refused { why } => {
                self.printer
                    .warn(format!("{local}: the discovery server refuses to say who provides {}: {why}", self.name));
                return;
            }
            Event::Unaccepted { why } => {
                self.printer.warn(format!("{local}: a connection cannot be accepted: {why}"));
                return;
            }
        };
        self.printer.note(format!("{local}: {text}"));
    }
}
