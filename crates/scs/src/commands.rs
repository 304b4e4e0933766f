//! The commands, one file each, and what they share.

mod agent;
mod build;
pub mod ca;
mod change;
mod compile;
mod completion;
mod config;
mod context;
mod dev;
mod diff;
mod disco;
mod docs;
mod doctor;
mod down;
mod environments;
mod exec;
mod explain;
mod history;
mod hosts;
mod init;
mod layout;
mod logs;
mod moves;
mod people;
mod plan;
mod prune;
mod ps;
mod roles;
mod rollback;
mod run;
mod schema;
mod secret;
mod server;
mod transfer_bridge;
mod up;
mod validate;
mod version;
mod volume;
mod watchdog;

use crate::cli::Command;
use crate::cli::target::{RoleAddress, TakeOver, Target};
use crate::cli::things::{SecretVerb, VolumeVerb};
use crate::dev::{Files, start};
use crate::exit::{Exit, Failure};
use crate::load;
use crate::output::Printer;
use crate::settings::{Settings, check_label};
use scs_api::deploy::Caller;
use std::future::Future;

/// How a command ends.
type Outcome = Result<Exit, Failure>;

/// Runs a command.
///
/// # Errors
/// Why it did not do what it was asked.
pub fn run(command: Command, settings: Settings) -> Outcome {
    let context = Context { printer: Printer { screen: settings.screen }, settings };
    match command {
        Command::Init(args) => init::run(&context, &args),
        Command::Validate(args) => validate::run(&context, &args),
        Command::Config(args) => config::run(&context, &args),
        Command::Compile(args) => compile::run(&context, &args),
        Command::Diff(args) => diff::run(&context, &args),
        Command::Schema(args) => schema::run(&context, &args),
        Command::Completion(args) => completion::run(&context, &args),
        Command::Docs(args) => docs::run(&context, &args),
        Command::TransferBridge(args) => transfer_bridge::run(&args),
        Command::Watchdog(args) => watchdog::run(&args),
        Command::Dev(args) => dev::run(&context, &args),
        Command::Server(args) => server::run(&context, &args),
        Command::Agent(args) => agent::run(&context, &args),
        Command::Ca(args) => ca::run(&context, &args),
        Command::Context(args) => context::run(&context, &args),
        Command::Run(args) => run::run(&context, &args),
        other => wait(remote(&context, other)),
    }
}

async fn remote(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Plan(args) => plan::run(context, &args).await,
        Command::Up(args) => up::run(context, &args).await,
        Command::Down(args) => down::run(context, &args).await,
        Command::Restart(args) => roles::run(context, &args, "restart").await,
        Command::Stop(args) => roles::run(context, &args, "stop").await,
        Command::Start(args) => roles::run(context, &args, "start").await,
        Command::Move(args) => moves::run(context, &args).await,
        Command::Build(args) => build::run(context, &args).await,
        Command::History(args) => history::run(context, &args).await,
        Command::Rollback(args) => rollback::run(context, &args).await,
        Command::Layout(args) => layout::run(context, &args).await,
        Command::Ps(args) => ps::run(context, &args).await,
        Command::Logs(args) => logs::run(context, args).await,
        Command::Exec(args) => exec::run(context, args).await,
        Command::Explain(args) => explain::run(context, &args).await,
        Command::Disco(args) => disco::run(context, args.verb).await,
        Command::Secret(args) => match args.verb {
            SecretVerb::Ls(args) => secret::list(context, &args).await,
            SecretVerb::Set(args) => secret::set(context, &args).await,
            SecretVerb::Rotate(args) => secret::rotate(context, &args).await,
        },
        Command::Volume(args) => match args.verb {
            VolumeVerb::Ls(args) => volume::list(context, &args).await,
            VolumeVerb::Rm(args) => volume::remove(context, &args).await,
            VolumeVerb::Export(args) => volume::export(context, &args).await,
            VolumeVerb::Import(args) => volume::import(context, &args).await,
        },
        Command::Host(args) => hosts::run(context, args.verb).await,
        Command::Person(args) => people::run(context, args.verb).await,
        Command::Audit(args) => people::audit(context, &args).await,
        Command::Prune(args) => prune::run(context, &args).await,
        Command::Doctor(args) => doctor::run(context, &args).await,
        Command::Version(args) => version::run(context, &args).await,
        local => unreachable!("{local:?} is done without a runtime"),
    }
}

/// Runs a future to its end on this thread. Threads that still read standard input are left behind.
fn wait<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| no_runtime(&error))?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_background();
    outcome
}

fn no_runtime(error: &std::io::Error) -> Failure {
    Failure::failed("cannot start").because(error).hint("the machine may be out of file descriptors or threads")
}

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// What arguments, environment and defaults come to.
    pub settings: Settings,
    /// The way to the screen.
    pub printer: Printer,
}

impl Context {
    /// The files of this user's `scs dev`.
    pub fn files(&self) -> Files {
        Files::new(&self.settings.state)
    }

    /// The discovery server: as typed, as set, or that of `scs dev`. `flag` is what names one.
    async fn discovery(&self, given: Option<&String>, flag: &str) -> Result<String, Failure> {
        if let Some(address) = given.or(self.settings.disco.as_ref()) {
            return Ok(address.clone());
        }
        match start::find(&self.files(), &self.printer).await {
            Ok((_, version)) => Ok(version.disco),
            Err(failure) if failure.exit() == Exit::UNAVAILABLE => {
                Err(Failure::unavailable("there is no discovery server: `scs dev` does not run, and none is named")
                    .hint(format!("name one with `{flag} HOST:PORT`, or run `scs dev`")))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Environment and service a command works on.
    fn service(&self, target: &Target) -> Result<(String, String), Failure> {
        let (environment, service) = self.maybe_service(target)?;
        let service = service.ok_or_else(|| {
            Failure::usage("which service? there is no deployment.yaml in this directory")
                .hint("go to the directory of a deployment, or name it with `-f FILE` or `--service NAME`")
        })?;
        Ok((environment, service))
    }

    /// The same, without a service where neither a manifest nor a name is at hand.
    fn maybe_service(&self, target: &Target) -> Result<(String, Option<String>), Failure> {
        let environment = self.environment(target.env.as_ref())?;
        let service = match &target.service {
            Some(service) => Some(service.clone()),
            None => load::service_name(&target.file, &environment)?,
        };
        if let Some(service) = &service {
            check_label("service", service)?;
        }
        Ok((environment, service))
    }

    /// Who asks for a change of a service, and from where. What is named outright is meant wherever it was brought up from.
    fn caller(&self, target: &Target, take_over: TakeOver) -> Result<Caller, Failure> {
        let environment = self.environment(target.env.as_ref())?;
        let origin = if target.service.is_some() { None } else { load::origin(&target.file, &environment)? };
        Ok(Caller { who: who(), origin, take_over: take_over.take_over })
    }

    /// Environment and service of a role as it was typed.
    fn role(&self, target: &Target, role: &RoleAddress) -> Result<(String, String), Failure> {
        check_label("role", &role.role)?;
        let mut target = target.clone();
        if let Some(service) = &role.service {
            target.service = Some(service.clone());
        }
        self.service(&target)
    }

    /// Environment and service of several roles, which have to be of one service.
    fn roles(&self, target: &Target, roles: &[RoleAddress]) -> Result<(String, String), Failure> {
        let Some(first) = roles.first() else { return self.service(target) };
        let found = self.role(target, first)?;
        for role in roles {
            if self.role(target, role)? != found {
                return Err(
                    Failure::usage("these roles are not of one service").hint("run the command once for each service")
                );
            }
        }
        Ok(found)
    }

    /// Asks before something that cannot be undone; without a terminal it has to be said beforehand.
    fn sure(&self, yes: bool, question: &str) -> Result<(), Failure> {
        if yes || self.settings.yes {
            return Ok(());
        }
        if !self.settings.screen.interactive {
            return Err(Failure::usage("this cannot be undone, and there is no terminal to ask on").hint("say `--yes`"));
        }
        if self.printer.confirm(question) {
            return Ok(());
        }
        Err(Failure::failed("not confirmed: nothing was changed").hint("answer `y`, or say `--yes`"))
    }
}

/// Who asks, for the history: user@host.
fn who() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = accounts.lines().find(|line| line.split(':').nth(2) == Some(id.as_str()));
    let name = account.and_then(|line| line.split(':').next()).map_or_else(|| format!("uid {id}"), str::to_owned);
    format!("{name}@{}", crate::wiring::installation::host_name())
}

/// Done on Ctrl-C or a polite request to end.
pub async fn interrupted() {
    change::interrupt().await;
}
