//! `scs dev`: server and agent of this machine, in the foreground or as a service of systemd.

use super::{Context, Outcome};
use crate::cli::host::Dev;
use crate::dev::{daemon, log, start, unit};
use crate::env;
use crate::exit::{Exit, Failure};
use hyper::Method;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// How long an orderly end may take before we say that it did not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it.
pub fn run(context: &Context, args: &Dev) -> Outcome {
    if args.stop {
        return super::wait(stop(context));
    }
    if args.install || args.uninstall {
        return install(context, args.install);
    }
    if args.until_idle {
        // A session of its own: Ctrl-C and the end of the terminal are not meant for it.
        let _ = rustix::process::setsid();
        // Any directory of the user's would be kept from being unmounted; paths in the settings are absolute by now.
        let _ = std::env::set_current_dir(&context.settings.state);
    } else {
        super::wait(async { crate::wiring::installation::engine().await.map(drop) })?;
    }
    logged(context, args.until_idle)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| super::no_runtime(&error))?;
    let outcome = runtime.block_on(daemon::run(&context.settings, args.until_idle));
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// Sets logging up: to standard error, and, where that is not the log file itself, to the log file too.
fn logged(context: &Context, detached: bool) -> Result<(), Failure> {
    let settings = &context.settings;
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| {
        Failure::usage(format!("{}={} makes no sense", env::LOG, settings.log))
            .because(&error)
            .hint("try `info` or `scs_agent=debug`")
    })?;
    let screen = fmt::layer().with_writer(std::io::stderr).with_ansi(settings.screen.stderr_color);
    let files = context.files();
    let file =
        if detached { None } else { crate::dev::prepare(&files.state).and_then(|()| log::open(&files.log())).ok() };
    let file = file.map(|file| fmt::layer().with_writer(Mutex::new(file)).with_ansi(false).boxed());
    // A second one is a defect of ours, and no reason not to run.
    let _ = tracing_subscriber::registry().with(filter).with(screen).with(file).try_init();
    Ok(())
}

/// Ends the one that runs.
async fn stop(context: &Context) -> Outcome {
    let files = context.files();
    let found = start::find(&files, &context.printer).await;
    let (client, version) = match found {
        Err(failure) if failure.exit() == Exit::UNAVAILABLE => {
            context.printer.note("`scs dev` does not run");
            return Ok(Exit::DONE);
        }
        found => found?,
    };
    client.tell(Method::POST, "/v1/shutdown", None::<&()>).await?;
    let deadline = Instant::now() + PATIENCE;
    while Path::new(&format!("/proc/{}", version.pid)).exists() && !defunct(version.pid) {
        if Instant::now() > deadline {
            let message = format!("`scs dev` (process {}) did not end within {} s", version.pid, PATIENCE.as_secs());
            return Err(Failure::failed(message).hint(format!("its log is {}", files.log().display())));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    context.printer.note(format!("`scs dev` (process {}) has ended; containers keep running", version.pid));
    Ok(Exit::DONE)
}

/// Ended, and not yet looked after by its parent.
fn defunct(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// Makes it a service of systemd, or undoes that.
fn install(context: &Context, install: bool) -> Outcome {
    let root = rustix::process::geteuid().is_root();
    let settings = &context.settings;
    let path = unit::path(root, settings.configuration.as_deref()).ok_or_else(|| {
        Failure::usage("there is no directory for the unit: HOME is not set").hint("set HOME or XDG_CONFIG_HOME")
    })?;
    let unwritten = |error: std::io::Error| {
        Failure::failed(format!("cannot change {}", path.display())).because(&error).hint("nothing was changed")
    };
    if !install {
        systemctl(root, &["disable", "--now", unit::NAME]).ok();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritten(error)),
            _ => {}
        }
        systemctl(root, &["daemon-reload"]).ok();
        context.printer.note(format!("{} is gone; containers keep running", path.display()));
        return Ok(Exit::DONE);
    }
    let program = std::env::current_exe().map_err(unwritten)?;
    let mut environment = vec![(env::STATE_DIR, settings.state.display().to_string())];
    for name in [env::DOCKER_HOST, env::CACHE] {
        if let Ok(value) = std::env::var(name) {
            environment.push((name, value));
        }
    }
    let text = unit::text(&program, &environment, root)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(unwritten)?;
    }
    std::fs::write(&path, text).map_err(unwritten)?;
    context.printer.note(format!("wrote {}", path.display()));
    if super::wait(start::find(&context.files(), &context.printer)).is_ok() {
        // The one that a command started makes way for the service; containers keep running.
        super::wait(stop(context))?;
    }
    let enabled = systemctl(root, &["daemon-reload"]).and_then(|()| systemctl(root, &["enable", "--now", unit::NAME]));
    enabled.map_err(|why| {
        Failure::failed(format!("the unit is written, but systemd did not take it: {why}")).hint(format!(
            "`systemctl {}enable --now {}` tries again",
            if root { "" } else { "--user " },
            unit::NAME
        ))
    })?;
    context.printer.note("`scs dev` runs as a service now");
    if !root {
        context.printer.hint("`loginctl enable-linger` lets it run while you are not logged in");
    }
    Ok(Exit::DONE)
}

fn systemctl(root: bool, words: &[&str]) -> Result<(), String> {
    let mut command = Command::new("systemctl");
    if !root {
        command.arg("--user");
    }
    let output = command.args(words).output().map_err(|error| format!("systemctl: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
