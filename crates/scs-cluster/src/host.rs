//! One host: its namespaces, its disk, its engine.

use crate::network::Router;
use crate::process::Holder;
use crate::{Spec, shell, wait_for};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Directories that a host has to itself; everything else it shares with the machine.
const OWN: &[(&str, &str)] =
    &[("run", "/run"), ("docker", "/var/lib/docker"), ("scs", "/var/lib/scs"), ("etc", "/etc/scs")];

/// A host, on or off.
#[derive(Debug, Clone)]
pub struct Host {
    /// What it is.
    pub spec: Spec,
    cluster: PathBuf,
    directory: PathBuf,
}

/// How a program enters a host that is on.
#[derive(Debug, Clone)]
pub struct Enter {
    pid: u32,
    home: PathBuf,
}

impl Enter {
    /// A program on the host, not yet started. It has a home directory of the host's own and runs in this directory.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.pid.to_string(), "--net", "--uts", "--mount", "--pid"])
            .arg(format!("--wd={}", here.display()))
            .arg("--")
            .arg(program)
            .env("HOME", &self.home)
            .env_remove("DOCKER_HOST")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME");
        command
    }
}

impl Host {
    pub(crate) fn new(cluster: &Path, spec: Spec) -> Self {
        Self { spec, cluster: cluster.to_owned(), directory: cluster.join(spec.name) }
    }

    /// Where its disk lies on this machine.
    #[must_use]
    pub fn disk(&self) -> &Path {
        &self.directory
    }

    /// Its first process, while it is on.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.holder().pid()
    }

    /// The way in.
    ///
    /// # Errors
    /// Where it is off.
    pub fn enter(&self) -> Result<Enter> {
        let pid = self.pid().with_context(|| format!("host {} is off", self.spec.name))?;
        Ok(Enter { pid, home: self.directory.join("home") })
    }

    /// Switches it on and starts its engine; nothing if it is on. [`Host::wait_for_engine`] waits for that.
    ///
    /// # Errors
    /// What could not be made.
    pub fn power_on(&self) -> Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        let router = Router::find(&self.cluster).context("the cluster's router does not run")?;
        for (name, _) in OWN.iter().chain(&[("home", "")]) {
            let path = self.directory.join(name);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let mut first = format!("hostname {}\nip link set lo up\n", self.spec.name);
        for (name, place) in OWN {
            first += &format!("mkdir -p {place}\nmount --bind '{}/{name}' {place}\n", self.directory.display());
        }
        // What is under /run did not survive the last power failure on a real host either.
        first += "find /run -mindepth 1 -delete\nmkdir -p /run/lock\n";
        let flags = ["--net", "--uts", "--mount", "--mount-proc"];
        let pid =
            self.holder().start(&flags, &first).with_context(|| format!("cannot switch {} on", self.spec.name))?;
        router.plug(&self.spec, pid)?;
        if self.spec.engine {
            self.start_engine()?;
        }
        Ok(())
    }

    /// Starts its engine; [`Host::wait_for_engine`] waits until it answers.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start_engine(&self) -> Result<()> {
        let log = self.directory.join("dockerd.log");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut dockerd = self.enter()?.command("dockerd");
        dockerd.arg("--cgroup-parent").arg(self.cgroup());
        dockerd.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        dockerd.spawn().context("cannot start dockerd (package docker.io)")?;
        Ok(())
    }

    /// Ends its engine outright, containers and all, as a crash of `dockerd` with its `containerd` does.
    ///
    /// # Errors
    /// Where the host is off.
    pub fn kill_engine(&self) -> Result<()> {
        // By names within the host's own process namespace: no other host's are there.
        let kill = "pkill -9 -x dockerd; pkill -9 -x containerd; pkill -9 -f '^[^ ]*containerd-shim'; rm -f /run/docker.pid; true";
        shell::run(self.enter()?.command("sh").args(["-c", kill])).map(drop)
    }

    /// Waits until its engine answers.
    ///
    /// # Errors
    /// Where it does not in time, with the last it wrote.
    pub fn wait_for_engine(&self) -> Result<()> {
        if !self.spec.engine {
            return Ok(());
        }
        let enter = self.enter()?;
        wait_for(&format!("the engine of {} to answer", self.spec.name), || {
            let answered = enter.command("docker").arg("info").stdin(Stdio::null()).output();
            if answered.is_ok_and(|it| it.status.success()) {
                return Ok(());
            }
            let log = fs::read_to_string(self.directory.join("dockerd.log")).unwrap_or_default();
            Err(log.lines().rev().take(5).collect::<Vec<_>>().join("\n"))
        })
    }

    /// A power failure: everything on it ends at once, its disk stays.
    ///
    /// # Errors
    /// Where its processes do not end.
    pub fn power_off(&self) -> Result<()> {
        if let Some(router) = Router::find(&self.cluster) {
            // The kernel takes its time to unmake a namespace, and the host would answer meanwhile.
            router.unplug(&self.spec);
        }
        self.holder().kill()
    }

    /// Removes what the kernel keeps of a host that is off.
    pub(crate) fn forget(&self) -> Result<()> {
        for controller in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let group = controller.path().join(self.cgroup().trim_start_matches('/'));
            remove_groups(&group);
        }
        Ok(())
    }

    fn holder(&self) -> Holder {
        Holder::remembered(self.cluster.join(format!("{}.pid", self.spec.name)))
    }

    /// A control group for its containers, of a name that no other cluster has.
    fn cgroup(&self) -> String {
        let cluster = self.cluster.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        format!("/scs-cluster{cluster}-{}", self.spec.name)
    }
}

/// Removes a tree of control groups, which are removed from the leaves on. One that is in use stays.
fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}
