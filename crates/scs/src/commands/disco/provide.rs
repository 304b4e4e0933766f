//! `scs disco provide`: an endpoint is announced for as long as a command runs, or until Ctrl-C.

mod check;

use super::session::{self, Session};
use super::signals::{End, Ending, heard};
use crate::cli::disco::{Health, Provide};
use crate::commands::{Context, Outcome};
use crate::exit::{Exit, Failure};
use crate::output::{Printer, text};
use check::Check;
use disco_client::{Handle, Name, Provision, Reason, Withdraw};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::{Child, Command};
use tokio::signal::unix::SignalKind;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the last word about a command that has ended may take.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Announces until the command ends, or until it is told to end.
pub async fn run(context: &Context, args: Provide) -> Outcome {
    let mut ending = Ending::new()?;
    let name = name(context, &args)?;
    let session = Session::begin(context, &args.server, &format!("provide {name}"), BTreeMap::new(), None).await?;
    let reached = session.reached().await;
    if let Err(failure) = reached {
        if args.command.is_empty() {
            return Err(failure);
        }
        // The command is worth more than its announcement, which follows as soon as it can.
        context.printer.warn(format!("{failure} yet; {name} is announced once one does"));
    }
    let provision = provision(&args, name, &session.address)?;
    provision.check().map_err(|invalid| Failure::usage("this cannot be announced").because(&invalid))?;
    let mut command = match args.command.split_first() {
        Some((program, arguments)) => Some(Running::start(program, arguments)?),
        None => None,
    };
    let mut announcement = Announcement::begin(context.printer, session.handle.clone(), provision, &args);
    let outcome = tokio::select! {
        status = exited(&mut command) => {
            announcement.died().await;
            status
        }
        end = ending.next() => {
            tokio::select! {
                () = announcement.left(args.wait) => {}
                // Whoever asks twice does not want to wait.
                _ = ending.next() => {}
            }
            finish(&mut command, end, &mut ending).await
        }
        failure = announcement.failed(), if command.is_none() => Err(failure),
    };
    session.close().await;
    outcome
}

fn name(context: &Context, args: &Provide) -> Result<Name, Failure> {
    let query = super::query(context, &args.parts, &args.name, &Default::default())?;
    let Some(role) = args.name.role.as_ref().filter(|role| *role != "*") else {
        return Err(Failure::usage(format!("`{}` names no role", args.name.endpoint))
            .hint(format!("write ROLE/{0}, e.g. web/{0}", args.name.endpoint)));
    };
    Name::new(&query.environment, &query.service, role, &query.endpoint)
        .map_err(|invalid| Failure::usage("this is no name").because(&invalid))
}

fn provision(args: &Provide, name: Name, server: &str) -> Result<Provision, Failure> {
    let (host, port) = match (&args.address, &args.host, args.port) {
        (Some(address), ..) => (address.host.clone(), address.port),
        (None, host, port) => (host.clone().unwrap_or_else(|| towards(server).to_string()), port.unwrap_or_default()),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let instance = match &args.instance {
        Some(instance) => instance.clone(),
        // Ordered by age, as run ids of containers are.
        None => format!("{now:012x}-{:08x}", random()?),
    };
    let attributes = super::attributes(&args.attribute);
    // A second start under the same id takes over from the one before.
    Ok(Provision { attributes, incarnation: now, ..Provision::new(name, &instance, &host, port) })
}

fn random() -> Result<u32, Failure> {
    getrandom::u32().map_err(|error| Failure::failed("the system gives no random numbers").because(&error))
}

/// The address from which this machine speaks to the first server; nothing is sent.
fn towards(server: &str) -> IpAddr {
    let first = server.split(',').next().unwrap_or_default().trim();
    let local = |bind: &str| {
        let socket = UdpSocket::bind(bind).ok()?;
        socket.connect(first).ok()?;
        socket.local_addr().ok().map(|address: SocketAddr| address.ip())
    };
    local("0.0.0.0:0").or_else(|| local("[::]:0")).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Waits for the command's end; for ever without one.
async fn exited(command: &mut Option<Running>) -> Outcome {
    match command {
        Some(running) => running.ended().await,
        None => std::future::pending().await,
    }
}

/// Tells the command, and waits for its end.
async fn finish(command: &mut Option<Running>, end: End, ending: &mut Ending) -> Outcome {
    let Some(running) = command else { return end.outcome() };
    let mut end = end;
    loop {
        running.tell(match end {
            End::Interrupt => Signal::INT,
            End::Terminate => Signal::TERM,
        });
        tokio::select! {
            outcome = running.ended() => return outcome,
            again = ending.next() => end = again,
        }
    }
}

/// The command, in a process group of its own, so that Ctrl-C is heard here first: its users are told before it ends.
struct Running {
    child: Child,
    group: Option<Pid>,
    others: JoinHandle<()>,
}

impl Running {
    fn start(program: &str, arguments: &[String]) -> Result<Self, Failure> {
        // Another process group than the terminal's must not read from it.
        let stdin = if std::io::stdin().is_terminal() { Stdio::null() } else { Stdio::inherit() };
        let child = Command::new(program).args(arguments).stdin(stdin).process_group(0).spawn().map_err(|error| {
            Failure::failed(format!("cannot start `{program}`")).because(&error).hint("nothing was announced")
        })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let passed = [
            (SignalKind::hangup(), Signal::HUP),
            (SignalKind::quit(), Signal::QUIT),
            (SignalKind::user_defined1(), Signal::USR1),
            (SignalKind::user_defined2(), Signal::USR2),
        ];
        let mut streams = Vec::new();
        for (kind, signal) in passed {
            streams.push((heard(kind)?, signal));
        }
        let others = tokio::spawn(async move {
            loop {
                let next = streams.iter_mut().map(|(stream, signal)| {
                    Box::pin(async {
                        stream.recv().await;
                        *signal
                    })
                });
                let (signal, ..) = futures_util::future::select_all(next).await;
                tell(group, signal);
            }
        });
        Ok(Self { child, group, others })
    }

    fn tell(&self, signal: Signal) {
        tell(self.group, signal);
    }

    async fn ended(&mut self) -> Outcome {
        use std::os::unix::process::ExitStatusExt as _;
        let status: ExitStatus =
            self.child.wait().await.map_err(|error| Failure::failed("cannot wait for the command").because(&error))?;
        self.others.abort();
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
        Ok(Exit(u8::try_from(code).unwrap_or(1)))
    }
}

fn tell(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It may have ended meanwhile.
        let _ = kill_process_group(group, signal);
    }
}

/// What is announced, kept true by checks.
struct Announcement {
    handle: Handle,
    printer: Printer,
    name: Name,
    instance: String,
    task: JoinHandle<Failure>,
    announced: watch::Receiver<bool>,
}

impl Announcement {
    fn begin(printer: Printer, handle: Handle, provision: Provision, args: &Provide) -> Self {
        let (sender, announced) = watch::channel(false);
        let (name, instance) = (provision.name.clone(), provision.instance.clone());
        let check = Check::new(&provision.host, provision.port, args.health.clone(), args.interval);
        let quiet = args.health == Health::None;
        let task = tokio::spawn(keep(printer, handle.clone(), provision, check, quiet, sender));
        Self { handle, printer, name, instance, task, announced }
    }

    /// Waits for a refusal; for ever if there is none.
    async fn failed(&mut self) -> Failure {
        match (&mut self.task).await {
            Ok(failure) => failure,
            Err(_) => std::future::pending().await,
        }
    }

    /// Withdraws it and waits for its users.
    async fn left(&mut self, wait: Duration) {
        self.task.abort();
        if !*self.announced.borrow() || !*self.handle.connected().borrow() {
            return;
        }
        self.printer.note(format!("{}: withdrawn; its users have {} to move", self.name, text::took(wait)));
        match self.handle.withdraw(&self.name, &self.instance, Withdraw::waiting(Reason::Left, wait)).await {
            Ok(withdrawn) if withdrawn.unapplied.is_empty() => {}
            Ok(withdrawn) => self.printer.warn(format!("still in use by {}", withdrawn.unapplied.join(", "))),
            Err(error) => self.printer.warn(error.to_string()),
        }
    }

    /// Says that it is gone already.
    async fn died(&mut self) {
        self.task.abort();
        let gone = self.handle.withdraw(&self.name, &self.instance, Withdraw::now(Reason::Died));
        let _ = tokio::time::timeout(LAST_WORD, gone).await;
    }
}

/// Announces once the check passes, and every change of it since. Ends with a refusal.
async fn keep(
    printer: Printer,
    handle: Handle,
    mut provision: Provision,
    mut check: Check,
    quiet: bool,
    announced: watch::Sender<bool>,
) -> Failure {
    let at = format!("{} at {}", provision.name, disco_client::Endpoint::of(&provision).address());
    if !quiet {
        printer.note(format!("{at}: waiting until it accepts"));
    }
    loop {
        let health = check.changed().await;
        provision.health = health.0;
        // Even unanswered it may have come through: what ends must withdraw it.
        announced.send_replace(true);
        match handle.provide(provision.clone()).await {
            Ok(()) => {
                let why = health.1.map(|why| format!(" ({why})")).unwrap_or_default();
                let word = if health.0 == disco_client::Health::Passing { "announced" } else { "marked as failing" };
                printer.note(format!("{at}: {word}{why}"));
            }
            Err(error) if error.retried && matches!(error.cause, disco_client::Cause::Unreachable { .. }) => {
                printer.warn(format!("{at}: no discovery server answers; it is announced once one does"));
            }
            Err(error) => {
                let failure = session::failure(&error);
                printer.warn(format!("{at}: {failure}"));
                if !error.retried || matches!(error.cause, disco_client::Cause::Refused(_)) {
                    return failure;
                }
            }
        }
    }
}
