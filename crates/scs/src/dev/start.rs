//! Finds the running `scs dev`, or starts one that outlives the command which needed it.

use super::{Files, log};
use crate::client::{self, Client};
use crate::exit::{Exit, Failure};
use crate::output::Printer;
use scs_api::inspect::Version;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take: opening the store and asking the engine take milliseconds, a loaded machine takes its time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause before another try where somebody else has the installation: two starts a second leave it the machine.
const TURN: Duration = Duration::from_millis(500);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(15);

/// The client of the running one, and what it says of itself.
///
/// # Errors
/// With exit code 69 where none runs.
pub async fn find(files: &Files, printer: &Printer) -> Result<(Client, Version), Failure> {
    let client = client::of_socket(&files.socket());
    let version: Version = client.get("/v1/version").await?;
    if version.version != env!("CARGO_PKG_VERSION") {
        printer.warn(format!(
            "`scs dev` (process {}) is version {}, this is {}",
            version.pid,
            version.version,
            env!("CARGO_PKG_VERSION"),
        ));
        printer.hint("`scs dev --stop` ends it and the next `scs up` starts this version; containers keep running");
    }
    Ok((client, version))
}

/// The same, starting one where none runs.
///
/// # Errors
/// Where it does not start; its last words are shown.
pub async fn find_or_start(files: &Files, printer: &Printer) -> Result<(Client, Version), Failure> {
    match find(files, printer).await {
        Err(failure) if failure.exit() == Exit::UNAVAILABLE => {}
        found => return found,
    }
    // Asked here, where the answer can be shown well, and not from a log.
    crate::wiring::installation::engine().await?;
    let before = log::size(&files.log());
    let mut child = spawn(files)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(found) = find(files, printer).await {
            return Ok(found);
        }
        match child.try_wait().ok().flatten() {
            // Another command was faster, and its `scs dev` is about to answer; or one that nothing is left for is about to end.
            Some(status) if status.code() == Some(i32::from(Exit::LOCKED.0)) && Instant::now() < deadline => {
                tokio::time::sleep(TURN).await;
                child = spawn(files)?;
            }
            Some(status) => return Err(silent(files, before, &format!("`scs dev` ended at its start, with {status}"))),
            None if Instant::now() > deadline => {
                let message = format!("`scs dev` does not answer {} s after its start", PATIENCE.as_secs());
                return Err(silent(files, before, &message));
            }
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn silent(files: &Files, before: u64, message: &str) -> Failure {
    Failure::unavailable(message)
        .output(log::tail(&files.log(), before, 10))
        .hint(format!("its log is {}; `scs dev` runs it in the foreground", files.log().display()))
}

fn spawn(files: &Files) -> Result<Child, Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("cannot start `scs dev` in {}", files.state.display()))
            .because(&error)
            .hint("see who owns the directory, or set SCS_STATE_DIR to one of yours")
    };
    super::prepare(&files.state).map_err(failed)?;
    let log = log::open(&files.log()).map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    Command::new(program)
        .args(["dev", "--until-idle"])
        .env(crate::env::STATE_DIR, &files.state)
        // Few tasks at a time, and little memory to hand out to each: more arenas would only keep what they once had.
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log)
        .spawn()
        .map_err(failed)
}
