//! A Docker Engine: the one that runs, or one of our own started in the background.

use crate::{packages, shell};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long an engine may take to answer: 4 s were seen on two cores, a slow disk takes longer.
const START: Duration = Duration::from_secs(60);

/// What to do about an engine.
#[derive(Subcommand)]
pub enum Action {
    /// Makes sure that one answers
    Up,
    /// Ends the one that `up` started, and no other
    Down,
}

/// Carries it out.
pub fn run(action: &Action) -> Result<()> {
    match action {
        Action::Up => {
            let guard = ensure()?;
            guard.keep();
            Ok(())
        }
        Action::Down => stop(&state()),
    }
}

/// An engine that answers; ends on drop where this very call started it.
pub struct Engine {
    started: bool,
}

impl Engine {
    /// Lets the engine run on.
    pub fn keep(mut self) {
        self.started = false;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.started
            && let Err(error) = stop(&state())
        {
            eprintln!("the engine that was started for this could not be ended: {error:#}");
        }
    }
}

/// Makes sure that an engine answers: installs and starts one where none does.
pub fn ensure() -> Result<Engine> {
    if answers() {
        return Ok(Engine { started: false });
    }
    packages::install(&[packages::ENGINE])?;
    if Path::new("/run/systemd/system").exists() {
        shell::say("starting Docker Engine (systemctl start docker)");
        shell::run(Command::new("systemctl").args(["start", "docker"]))?;
        wait(None)?;
        return Ok(Engine { started: false });
    }
    if !packages::is_root() {
        bail!("no Docker Engine answers, and only root can start one here: run `cargo xtask engine up` as root");
    }
    start()?;
    Ok(Engine { started: true })
}

fn start() -> Result<()> {
    let state = state();
    fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
    let log = state.join("dockerd.log");
    shell::say(&format!(
        "starting Docker Engine (no init system here, so as a process of its own; log: {})",
        log.display()
    ));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let dockerd = shell::find("dockerd").context("dockerd is installed but not on the path")?;
    let child = Command::new(dockerd)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        // A group of its own: Ctrl-C on this task must not take the containers down with it.
        .process_group(0)
        .spawn()
        .context("cannot start dockerd")?;
    fs::write(state.join("dockerd.pid"), child.id().to_string())?;
    wait(Some(&log))
}

fn wait(log: Option<&Path>) -> Result<()> {
    let deadline = Instant::now() + START;
    while !answers() {
        if Instant::now() > deadline {
            let tail = log.and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
            let lines: Vec<&str> = tail.lines().rev().take(10).collect();
            let shown: Vec<&str> = lines.into_iter().rev().collect();
            bail!("Docker Engine did not answer within {} s; its last lines:\n{}", START.as_secs(), shown.join("\n"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn stop(state: &Path) -> Result<()> {
    let file = state.join("dockerd.pid");
    let Ok(pid) = fs::read_to_string(&file) else {
        eprintln!("no engine of ours runs");
        return Ok(());
    };
    let pid = pid.trim();
    let ours = fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "dockerd");
    if ours {
        shell::run(Command::new("kill").arg(pid))?;
        let deadline = Instant::now() + START;
        while is_running(pid) {
            if Instant::now() > deadline {
                bail!("dockerd (process {pid}) did not end within {} s", START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
}

/// Whether the process lives; one that has ended and waits for its parent does not.
fn is_running(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Whether an engine answers on the socket that programs use by default.
pub fn answers() -> bool {
    use std::io::{Read as _, Write as _};
    let socket = std::env::var("DOCKER_HOST").ok().and_then(|host| host.strip_prefix("unix://").map(str::to_owned));
    let Ok(mut stream) = std::os::unix::net::UnixStream::connect(socket.as_deref().unwrap_or("/var/run/docker.sock"))
    else {
        return false;
    };
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b"200")
}

fn state() -> PathBuf {
    shell::root().join("target/engine")
}
