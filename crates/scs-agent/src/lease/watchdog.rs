//! The watchdog: a process beside the agent that kills containers whose lease has ended, whatever has become of agent, engine and network.
//!
//! It needs nobody to answer: a container's processes are found by their control group, which the engine names by the container's id, and
//! are killed by the kernel. Before that it takes away a directory that the container mounts, so that an engine that was asked to start it
//! and answers late cannot: what got past its mounts by then is in the control group already.

use super::entries::{Directory, FORMAT, now};
use super::processes;
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

/// How often it looks at least: much less than [`scs_plan::lease::MARGIN`], also where the machine slept and the pause did not count that.
const LOOK: Duration = Duration::from_millis(250);
/// How often one looks that has something left to kill.
const AGAIN: Duration = Duration::from_millis(20);
/// How long one stays that has nothing to do.
const IDLE: Duration = Duration::from_secs(30);
/// How long it waits for the lock, which whoever only looks whether there is a watchdog holds for a moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// Kills containers whose lease has ended, until there has been none for a while. Returns at once where another does it already.
///
/// # Errors
/// Where the directory cannot be read or locked.
pub fn run(directory: &Path) -> io::Result<()> {
    // Out of the agent's session: what ends that does not end this. Fails only for one that leads a session already.
    let _ = rustix::process::setsid();
    let directory = Directory::new(directory);
    let Some(_lock) = only_one(&directory)? else { return Ok(()) };
    // The last to go when memory is short. Not everybody may ask for that.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let mut idle_since = now();
    loop {
        let pause = match look(&directory) {
            Ok(Look { any, pause }) => {
                if any {
                    idle_since = now();
                }
                pause
            }
            // The agent's state is gone, and with it whatever this was for.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                say(&format!("cannot read {}: {error}; trying again", directory.path().display()));
                LOOK
            }
        };
        if now().saturating_sub(idle_since) > IDLE && ends(&directory)? {
            return Ok(());
        }
        std::thread::sleep(pause);
    }
}

/// The lock that says that there is a watchdog; `None` where there is another.
fn only_one(directory: &Directory) -> io::Result<Option<File>> {
    let mut file = directory.watchdog()?;
    let until = now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if now() < until => std::thread::sleep(AGAIN),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{FORMAT} {}", std::process::id())?;
    Ok(Some(file))
}

struct Look {
    /// Whether there are any entries.
    any: bool,
    /// When to look again.
    pause: Duration,
}

/// Kills what has to be, once.
fn look(directory: &Directory) -> io::Result<Look> {
    let entries = directory.read()?;
    let (any, mut pause) = (!entries.is_empty(), LOOK);
    for entry in entries {
        let left = entry.as_ref().map_or(Duration::ZERO, |it| it.until.saturating_sub(now()));
        if !left.is_zero() {
            pause = pause.min(left);
            continue;
        }
        let container = match &entry {
            Ok(entry) => {
                take_away(&entry.mounted);
                &entry.container
            }
            // How long it may run is not known, so it may not.
            Err(container) => container,
        };
        let killed = processes::kill(container)?;
        if killed > 0 {
            let whose = entry.as_ref().map(|it| format!(" of {}", it.slot)).unwrap_or_default();
            say(&format!("the lease{whose} has ended: killed container {container} ({killed} processes)"));
            pause = AGAIN;
        }
    }
    Ok(Look { any, pause })
}

/// Puts a directory where no mount finds it. Where it is mounted already, nothing changes.
fn take_away(mounted: &Path) {
    let mut gone = mounted.as_os_str().to_owned();
    gone.push(".lapsed");
    match fs::rename(mounted, &gone) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => say(&format!("cannot take {} away: {error}", mounted.display())),
    }
}

/// Whether there is nothing to do, and the agent, which adds entries in the same turn, sees it before it adds one.
fn ends(directory: &Directory) -> io::Result<bool> {
    let turn = directory.turn()?;
    if turn.try_lock().is_err() || !directory.read()?.is_empty() {
        return Ok(false);
    }
    // Until the process has ended and its other lock with it.
    std::mem::forget(turn);
    Ok(true)
}

/// Into the agent's log, while somebody reads that.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "scs watchdog: {what}");
}
