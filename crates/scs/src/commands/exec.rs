//! `scs exec`: a command inside a running container; its exit code is ours.

use super::{Context, Outcome};
use crate::cli::look::Exec;
use crate::client::{Client, Sender};
use crate::exit::{Exit, Failure};
use crate::output::Printer;
use crate::paths;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use scs_api::exec::{Input, Output};
use scs_api::inspect::Instance;
use std::io::{IsTerminal as _, Write as _, stderr, stdin, stdout};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

/// Runs it.
pub async fn run(context: &Context, args: Exec) -> Outcome {
    let (environment, service) = context.role(&args.target, &args.role)?;
    let terminal = stdin().is_terminal() && stdout().is_terminal();
    if args.tty && !terminal {
        return Err(Failure::usage("there is no terminal to give to the command").hint("leave `-t` out"));
    }
    let tty = terminal && !args.no_tty;
    let client = context.running_server().await?;
    let path = paths::query(
        "/v1/instances",
        &[("environment", Some(environment)), ("service", Some(service)), ("role", Some(args.role.role.clone()))],
    );
    let instances: Vec<Instance> = client.get(&path).await?;
    let instance = instance(&instances, &args)?;
    let (columns, rows) = if tty { size() } else { (0, 0) };
    let input = args.interactive || tty;
    let number = |value: u16| (value > 0).then(|| value.to_string());
    let path = paths::query(
        &format!("/v1/instances/{}/exec", paths::escape(&instance)),
        &[
            ("command", Some(serde_json::to_string(&args.command).expect("text serialises"))),
            ("user", args.user.clone()),
            ("stdin", input.then(|| "true".to_owned())),
            ("columns", number(columns)),
            ("rows", number(rows)),
        ],
    );
    attach(context, &client, &path, input, tty).await
}

fn instance(instances: &[Instance], args: &Exec) -> Result<String, Failure> {
    let role = args.role.instance();
    let index = args.role.index.unwrap_or(0);
    let found = instances.iter().find(|instance| instance.report.slot.index == index).ok_or_else(|| {
        Failure::failed(format!("{role} does not run here"))
            .hint("`scs ps` lists what runs; `--env` chooses another environment")
    })?;
    let container = found.report.container.as_ref().filter(|container| container.exit_code.is_none());
    container.map(|container| container.instance.clone()).ok_or_else(|| {
        let phase = super::ps::word(found.report.phase);
        Failure::failed(format!("{role} has no running container: it is {phase}"))
            .hint("`scs ps` and `scs logs` say more")
    })
}

/// Passes everything between the terminal and the command until it ends.
pub(super) async fn attach(context: &Context, client: &Client, path: &str, input: bool, tty: bool) -> Outcome {
    let (mut sender, mut receiver) = client.exec(path).await?;
    let raw = if tty { Some(Raw::set()?) } else { None };
    let feeder = tokio::spawn(async move {
        if input {
            feed(&mut sender, tty).await;
        }
        // Dropping the sender would close the way back too.
        std::future::pending::<()>().await;
    });
    let mut interrupted = std::pin::pin!(super::change::interrupt());
    let outcome = loop {
        let output = tokio::select! {
            output = receiver.next() => output,
            () = &mut interrupted => break Err(Failure::Interrupted),
        };
        match output {
            Ok(Output::Exit(code)) => break Ok(Exit(u8::try_from(code).unwrap_or(1))),
            Ok(Output::Failed(problem)) => break Err(problem.into()),
            Ok(output) => write(&context.printer, &output)?,
            Err(error) => break Err(error.into()),
        }
    };
    feeder.abort();
    drop(raw);
    outcome
}

fn write(printer: &Printer, output: &Output) -> Result<(), Failure> {
    match output {
        Output::Stdout(bytes) => printer.bytes(bytes),
        Output::Stderr(bytes) => {
            // Standard error of the command is ours; nobody is left to tell when it is gone.
            let _ = stderr().lock().write_all(bytes);
            Ok(())
        }
        Output::Exit(_) | Output::Failed(_) => Ok(()),
    }
}

async fn feed(sender: &mut Sender, tty: bool) {
    let mut resized = signal(SignalKind::window_change()).ok().filter(|_| tty);
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let input = tokio::select! {
            read = stdin.read(&mut buffer) => match read {
                Ok(0) | Err(_) => Input::End,
                Ok(count) => Input::Data(buffer[..count].to_vec().into()),
            },
            Some(()) = async { match &mut resized { Some(signal) => signal.recv().await, None => std::future::pending().await } } => {
                let (columns, rows) = size();
                Input::Resize { columns, rows }
            }
        };
        let last = matches!(input, Input::End);
        if !sender.send(&input).await || last {
            return;
        }
    }
}

pub(super) fn size() -> (u16, u16) {
    tcgetwinsize(stdout()).map_or((80, 24), |size| (size.ws_col.max(1), size.ws_row.max(1)))
}

/// The terminal passes every key on; as it was again when dropped.
pub(super) struct Raw(Termios);

impl Raw {
    pub(super) fn set() -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| {
            Failure::failed("cannot hand the terminal to the command")
                .because(&error)
                .hint("leave the terminal out with `-T`")
        };
        let before = tcgetattr(stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
