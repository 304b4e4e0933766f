//! A server under load, as a process of its own: started on a free port, looked at from outside, ended with everything it made.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(30);

/// A running server.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// Removed with it.
    _folder: Option<TempDir>,
}

impl Process {
    /// Starts a command and waits until somebody listens at the address.
    pub fn start(command: &mut Command, address: SocketAddr, folder: Option<TempDir>) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {name}"))?;
        let mut process = Self { child, address, _folder: folder };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = process.child.try_wait()? {
                bail!("{name} ended at once: {status}");
            }
            if started.elapsed() > START {
                bail!("{name} did not listen at {address} within {} s", START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens at: the system gives it to nobody else that soon.
pub fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// What a process has on the processor so far, all its threads together.
pub fn cpu(pid: u32) -> Result<Duration> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the look.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

/// Bytes that it has resident.
pub fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// Processor time of server and load over a stretch of time.
pub struct Meter {
    pid: u32,
    started: Instant,
    server: Duration,
    load: Duration,
}

/// What a [`Meter`] saw.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub wall: Duration,
    pub server: Duration,
    pub load: Duration,
}

impl Meter {
    pub fn start(pid: u32) -> Result<Self> {
        Ok(Self { pid, server: cpu(pid)?, load: cpu(std::process::id())?, started: Instant::now() })
    }

    pub fn stop(self) -> Result<Cost> {
        let wall = self.started.elapsed();
        Ok(Cost { wall, server: cpu(self.pid)? - self.server, load: cpu(std::process::id())? - self.load })
    }
}

impl Cost {
    /// Share of one core that each had: server, load.
    pub fn shares(&self) -> (f64, f64) {
        let wall = self.wall.as_secs_f64().max(1e-9);
        (self.server.as_secs_f64() / wall, self.load.as_secs_f64() / wall)
    }
}
