//! `scs run`: one container in the foreground, for systemd, Puppet or a supervisor to own. Needs an engine and discovery, no server.

mod console;
mod foreground;
mod prepare;

use super::{Context, Outcome};
use crate::cli::host::Run;
use crate::dev;
use crate::dev::lock::Lock;
use crate::exit::{Exit, Failure};
use crate::load;
use crate::output::say;
use crate::settings::check_label;
use scs_manifest::compiled::{Access, Role};
use scs_plan::slot::Slot;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// What is run, and where what has to be remembered of it lies.
#[derive(Debug)]
struct Job {
    slot: Slot,
    role: Role,
    origin: PathBuf,
    /// Owned by this process alone while it holds the lock in it.
    state: PathBuf,
    /// A command somebody waits for, with their terminal or their pipes.
    one_off: bool,
    /// Discovery server.
    disco: String,
}

/// Runs it.
pub fn run(context: &Context, args: &Run) -> Outcome {
    let loaded = load::load(context, &args.manifests)?;
    check_label("role", &args.role.role)?;
    if let Some(service) = args.role.service.as_ref().filter(|service| **service != loaded.deployment.service) {
        return Err(Failure::usage(format!(
            "the manifests here are of {}, not of {service}",
            loaded.deployment.service
        ))
        .hint("name the deployment with `-f FILE`"));
    }
    let mut role = loaded.role(&args.role.role)?.clone();
    let one_off = !args.command.is_empty();
    if one_off {
        make_one_off(context, &mut role, args.command.clone());
    }
    // Whoever runs us starts us again; the container's end is ours.
    role.restart = scs_manifest::compiled::Restart::Never;
    let slot = Slot {
        environment: loaded.deployment.environment.clone(),
        service: loaded.deployment.service.clone(),
        role: role.name.clone(),
        index: 0,
    };
    // What goes on is the container's to say; ours is for those who look for it.
    let filter = if std::env::var_os(crate::env::LOG).is_some() { context.settings.log.as_str() } else { "warn" };
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!("{}={filter} makes no sense", crate::env::LOG)).because(&error).hint("try `info`")
    })?;
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();

    let name = format!("{}-{}-{}", slot.environment, slot.service, slot.role);
    let runs = context.settings.state.join("run");
    let state = if one_off { runs.join(format!("{name}-{}", std::process::id())) } else { runs.join(name) };
    dev::prepare(&state).map_err(|error| {
        Failure::failed(format!("cannot use {}", state.display())).because(&error).hint("see who owns the directory")
    })?;
    let lock = Lock::take(&state.join("run.pid"), "scs run").map_err(|failure| match failure.exit() {
        Exit::LOCKED => {
            Failure::new(Exit::LOCKED, format!("`scs run {}` runs already", slot.role)).hint("end it first")
        }
        _ => failure,
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| super::no_runtime(&error))?;
    let outcome = runtime.block_on(async {
        let disco = context.discovery(args.disco.as_ref(), "--disco").await?;
        let job = Job { slot, role, origin: loaded.origin.clone(), state: state.clone(), one_off, disco };
        foreground::run(context, &loaded, job).await
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    drop(lock);
    if one_off {
        let _ = std::fs::remove_dir_all(&state);
    }
    outcome
}

/// The role's image, environment and requirements, but a command of its own, and nothing that others would notice.
fn make_one_off(context: &Context, role: &mut Role, command: Vec<String>) {
    role.process.command = Some(command);
    role.provide.clear();
    role.logs.clear();
    role.quiesce = None;
    role.replicas = 1;
    let single: Vec<String> = role
        .volumes
        .iter()
        .filter(|(_, volume)| volume.access == Access::Single && volume.method != "bind")
        .map(|(name, _)| name.clone())
        .collect();
    for name in &single {
        role.volumes.shift_remove(name);
    }
    if !single.is_empty() && !context.printer.screen.quiet {
        say(&format!(
            "without {}: a volume with one writer belongs to the role's own container (`scs exec {}` runs a command there)",
            scs_manifest::diagnostic::listed(single.iter().map(String::as_str)),
            role.name,
        ));
    }
}
