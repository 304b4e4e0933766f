//! `exec`: a command with an end. The engine cannot kill what it runs in a container, so this does.

use crate::arguments::{Arguments, duration, unknown};
use crate::{Failure, sys};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Exit code at the timeout, as of `timeout(1)`.
const TIMED_OUT: u8 = 124;
/// Time between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How often a signal to us, or a lock, is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How long the output of a command that has ended is waited for, where a process it left behind keeps it open.
const DRAIN: Duration = Duration::from_millis(500);

pub(crate) fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut timeout, mut lock) = (None, None);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--timeout" => timeout = Some(arguments.value("--timeout", duration)?),
            "--lock" => lock = Some(arguments.value("--lock", |it| Some(PathBuf::from(it)))?),
            other => return Err(unknown(other)),
        }
    }
    let command = arguments.rest();
    let deadline = timeout.and_then(|it| Instant::now().checked_add(it));
    sys::catch_signals();
    let lock = lock.map(|path| take(&path, deadline)).transpose()?;
    let mut child = start(&command)?;
    let group = child.id();
    let output = forward(&mut child);
    let (sender, ended) = channel();
    thread::spawn(move || sender.send(child.wait()));
    let code = watch(group, deadline, &ended)?;
    let end = Instant::now() + DRAIN;
    for _ in 0..2 {
        let _ = output.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
    if let Some(lock) = lock {
        // What the command left behind has inherited it, and would hold it on.
        let _ = lock.unlock();
    }
    Ok(code)
}

/// Waits for the lock. The command inherits it: were this process killed, it would be held until the command has ended.
fn take(path: &Path, deadline: Option<Instant>) -> Result<File, Failure> {
    // Locking needs no writing, so that a file in a directory mounted read-only will do.
    let open = File::open(path)
        .or_else(|_| OpenOptions::new().create(true).append(true).open(path))
        .map_err(|error| Failure::at("open the lock", path, &error))?;
    loop {
        match open.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(Failure::at("lock", path, &error)),
        }
        if let Some(signal) = sys::caught() {
            return Err(Failure::new(code_of_signal(signal), "ended while waiting for the one before"));
        }
        if deadline.is_some_and(|it| Instant::now() >= it) {
            return Err(Failure::new(TIMED_OUT, format!("the one before still runs and holds {}", path.display())));
        }
        thread::sleep(LOOK);
    }
    sys::pass_on(&open)?;
    Ok(open)
}

fn start(command: &[OsString]) -> Result<Child, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::usage("a command is missing"));
    };
    let mut child = Command::new(program);
    child.args(arguments).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    child.spawn().map_err(|error| {
        let program = program.display();
        match error.kind() {
            ErrorKind::NotFound => Failure::new(127, format!("there is no program `{program}` in this container")),
            ErrorKind::PermissionDenied => Failure::new(126, format!("`{program}` is not executable")),
            _ => Failure::new(126, format!("cannot run `{program}`: {error}")),
        }
    })
}

/// Copies the command's output, and tells the receiver of each stream that has ended. Were it passed on as it is, a process
/// that the command leaves behind would keep the engine waiting for more.
fn forward(child: &mut Child) -> Receiver<()> {
    let (sender, receiver) = channel();
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || {
            copy(stdout, io::stdout());
            sender.send(())
        });
    }
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || {
            copy(stderr, io::stderr());
            sender.send(())
        });
    }
    receiver
}

fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            // A reader that went away must not stop the command, so the rest is read all the same.
            Ok(read) => drop(to.write_all(&buffer[..read]).and_then(|()| to.flush())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Waits for the command's end, and brings it about at the deadline or when this process is told to end.
fn watch(group: u32, deadline: Option<Instant>, ended: &Receiver<io::Result<ExitStatus>>) -> Result<u8, Failure> {
    loop {
        match ended.recv_timeout(LOOK) {
            Ok(status) => return status.map(code_of).map_err(Failure::from),
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::new(1, "the command was lost sight of")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(signal) = sys::caught() {
            end(group, ended);
            return Ok(code_of_signal(signal));
        }
        if deadline.is_some_and(|it| Instant::now() >= it) {
            end(group, ended);
            let _ = writeln!(io::stderr(), "scs-helper: the command took too long and was killed");
            return Ok(TIMED_OUT);
        }
    }
}

/// Ends the whole group. It is killed even when the command itself has ended meanwhile: others of the group may be left.
fn end(group: u32, ended: &Receiver<io::Result<ExitStatus>>) {
    sys::kill_group(group, sys::SIGTERM);
    let _ = ended.recv_timeout(GRACE);
    sys::kill_group(group, sys::SIGKILL);
}

fn code_of(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, signal) => code_of_signal(signal.unwrap_or(0)),
    }
}

/// As shells have it.
fn code_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
