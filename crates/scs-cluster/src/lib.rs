//! Several hosts in several data centers on one machine.
//!
//! A host is a process in namespaces of its own (network, host name, mounts, processes) with a Docker Engine at the usual
//! place, its own `/run`, `/var/lib/docker`, `/var/lib/scs` and `/etc/scs`: programs on it find what they would find on a real one. Killing
//! that process is a power failure: everything on the host ends at once, and its disk stays. A data center is a bridge; all bridges
//! lie in the namespace of one router, so that nothing of it is seen from outside and several clusters run side by side.
//!
//! Needs root, `iproute2`, `util-linux` and `docker.io`; knows nothing of scs itself.

mod host;
mod network;
mod outside;
mod process;
mod shell;

pub use host::{Enter, Host};

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A host to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Its name, and its host name.
    pub name: &'static str,
    /// The data center it is in.
    pub center: &'static str,
    /// Its address in that data center's network.
    pub address: &'static str,
    /// Whether a Docker Engine runs on it.
    pub engine: bool,
}

/// A data center's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Center {
    name: &'static str,
    /// The router's address in it, with the prefix length.
    gateway: &'static str,
}

/// Parts of a network for documentation (RFC 5737): nobody's machines are there. One network, as test machines have others of this kind.
const CENTERS: &[Center] = &[
    Center { name: "east", gateway: "198.51.100.1/26" },
    Center { name: "west", gateway: "198.51.100.65/26" },
    Center { name: "office", gateway: "198.51.100.129/25" },
];

/// Three hosts in two data centers, and a desk from which people reach them.
pub const HOSTS: &[Spec] = &[
    Spec { name: "h1", center: "east", address: "198.51.100.11", engine: true },
    Spec { name: "h2", center: "east", address: "198.51.100.12", engine: true },
    Spec { name: "h3", center: "west", address: "198.51.100.73", engine: true },
    Spec { name: "desk", center: "office", address: "198.51.100.140", engine: false },
];

/// A cluster, found by the directory in which its disks lie. It outlives this value; see [`Guard`] for tests.
#[derive(Debug, Clone)]
pub struct Cluster {
    directory: PathBuf,
}

impl Cluster {
    /// The cluster of a directory, whether or not it runs.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Makes router, hosts and engines, those that are there already left as they are. With `outside`, hosts reach what this
    /// machine reaches, e.g. Debian's packages.
    ///
    /// # Errors
    /// What could not be made; what was made stays, and [`Cluster::down`] removes it.
    pub fn up(&self, outside: bool) -> Result<()> {
        fs::create_dir_all(&self.directory).with_context(|| format!("cannot make {}", self.directory.display()))?;
        let router = network::Router::ensure(&self.directory)?;
        if outside {
            outside::open(&self.directory, &router)?;
        }
        for host in self.hosts() {
            host.power_on()?;
        }
        // Started side by side, waited for together.
        for host in self.hosts() {
            host.wait_for_engine()?;
        }
        Ok(())
    }

    /// Ends everything and deletes the hosts' disks.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn down(&self) -> Result<()> {
        for host in self.hosts() {
            host.power_off()?;
            host.forget()?;
        }
        outside::close(&self.directory)?;
        network::Router::remove(&self.directory)?;
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.directory.display()))
            }
            _ => Ok(()),
        }
    }

    /// All hosts.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        HOSTS.iter().map(|spec| Host::new(&self.directory, *spec)).collect()
    }

    /// One host.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn host(&self, name: &str) -> Result<Host> {
        let found = HOSTS.iter().find(|spec| spec.name == name).map(|spec| Host::new(&self.directory, *spec));
        found.with_context(|| {
            let names: Vec<&str> = HOSTS.iter().map(|spec| spec.name).collect();
            format!("there is no host {name}; hosts are {}", names.join(", "))
        })
    }

    /// Cuts a host or a data center off: nothing passes any more, and nobody is told. What is cut already stays so.
    ///
    /// # Errors
    /// Where there is no such thing, or the cluster does not run.
    pub fn cut(&self, what: &str) -> Result<()> {
        self.router()?.set_link(&link(what)?, false)
    }

    /// Undoes [`Cluster::cut`].
    ///
    /// # Errors
    /// Where there is no such thing, or the cluster does not run.
    pub fn heal(&self, what: &str) -> Result<()> {
        self.router()?.set_link(&link(what)?, true)
    }

    fn router(&self) -> Result<network::Router> {
        network::Router::find(&self.directory)
            .with_context(|| format!("no cluster runs in {}", self.directory.display()))
    }
}

/// The router's interface behind which a host or a data center lies.
fn link(what: &str) -> Result<network::Link> {
    if HOSTS.iter().any(|spec| spec.name == what) {
        return Ok(network::Link::Host(what.to_owned()));
    }
    if CENTERS.iter().any(|center| center.name == what) {
        return Ok(network::Link::Center(what.to_owned()));
    }
    let names: Vec<&str> = HOSTS.iter().map(|spec| spec.name).chain(CENTERS.iter().map(|center| center.name)).collect();
    bail!("there is neither a host nor a data center {what}; there are {}", names.join(", "))
}

/// A cluster of a test: taken down when dropped, and what killed runs left is removed first.
#[derive(Debug)]
pub struct Guard(Cluster);

impl Guard {
    /// A fresh cluster that runs.
    ///
    /// # Panics
    /// When it cannot be made: these tests prove what happens between hosts, and do not pass without them.
    #[must_use]
    pub fn new(outside: bool) -> Self {
        let base = std::env::temp_dir();
        sweep(&base);
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cluster = Cluster::at(&base.join(format!("{PREFIX}{}-{number}", std::process::id())));
        let guard = Self(cluster);
        if let Err(error) = guard.0.up(outside) {
            panic!("this test needs several hosts on this machine (as root): {error:#}");
        }
        guard
    }
}

impl std::ops::Deref for Guard {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.0.down() {
            shell::say(&format!("the cluster could not be removed: {error:#}"));
        }
    }
}

/// Directories of clusters of tests, followed by the process id of the test and a number.
const PREFIX: &str = "scs-cluster-test-";

/// Removes clusters whose tests have ended without doing so.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((pid, _)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')) else { continue };
        let Ok(pid) = pid.parse() else { continue };
        if !process::lives(pid)
            && let Err(error) = Cluster::at(&entry.path()).down()
        {
            shell::say(&format!("{name}, which a killed test left, could not be removed: {error:#}"));
        }
    }
}

/// Waits until `ready`; otherwise fails with what it said last.
fn wait_for(what: &str, mut ready: impl FnMut() -> Result<(), String>) -> Result<()> {
    // Four engines at once took 3 s on two busy cores.
    const PATIENCE: Duration = Duration::from_secs(60);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ready() {
            Ok(()) => return Ok(()),
            Err(last) if Instant::now() > deadline => bail!("waited {} s for {what}: {last}", PATIENCE.as_secs()),
            Err(_) => std::thread::sleep(Duration::from_millis(30)),
        }
    }
}
