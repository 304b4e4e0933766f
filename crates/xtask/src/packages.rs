//! Installs the Debian packages that tests and demo need, saying which and why.

use crate::shell;
use anyhow::{Result, bail};
use std::process::Command;

/// A program that has to be there, the package it comes in, and what for.
pub struct Need {
    /// Name of the program.
    pub program: &'static str,
    /// Debian packages that bring it.
    pub packages: &'static [&'static str],
    /// What it is needed for.
    pub why: &'static str,
}

/// What the engine needs.
pub const ENGINE: &[Need] = &[
    Need { program: "dockerd", packages: &["docker.io"], why: "the container engine" },
    Need { program: "iptables", packages: &["iptables"], why: "the engine's networks" },
];

/// What building the example's base system needs.
pub const BASE: &[Need] =
    &[Need { program: "mmdebstrap", packages: &["mmdebstrap"], why: "base images from Debian's packages" }];

/// What several hosts on one machine need.
pub const HOSTS: &[Need] = &[
    Need { program: "ip", packages: &["iproute2"], why: "networks between hosts" },
    Need { program: "nsenter", packages: &["util-linux"], why: "hosts as namespaces" },
    Need { program: "rsync", packages: &["rsync"], why: "copying volumes between hosts" },
];

/// What the suites over several hosts need beside them.
pub const CLUSTER: &[Need] = &[
    Need { program: "busybox", packages: &["busybox-static"], why: "images of the tests over several hosts" },
    Need { program: "faketime", packages: &["faketime"], why: "hosts whose clock is wrong" },
    Need { program: "curl", packages: &["curl"], why: "clients on the hosts of a test" },
];

/// What images come from beside the packages that make [`BASE`].
pub const SOURCES: &[Need] = &[
    Need { program: "docker-registry", packages: &["docker-registry"], why: "a registry that images are pulled from" },
    Need { program: "debootstrap", packages: &["debootstrap"], why: "base images where mmdebstrap is not there" },
];

/// What talks to the example's site.
pub const SITE: &[Need] =
    &[Need { program: "python3", packages: &["python3"], why: "reading and writing the example's site" }];

/// What discovery is measured beside.
pub const PEERS: &[Need] = &[
    Need { program: "etcd", packages: &["etcd-server"], why: "measuring beside it" },
    Need { program: "nats-server", packages: &["nats-server"], why: "measuring beside it" },
];

/// What talks to a database as programs do that know nothing of discovery.
pub const CLIENT: &[Need] =
    &[Need { program: "mariadb", packages: &["mariadb-client"], why: "a client of the example's database" }];

/// Installs what is missing of these.
pub fn install(needs: &[&[Need]]) -> Result<()> {
    let missing: Vec<&Need> =
        needs.iter().copied().flatten().filter(|need| shell::find(need.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    shell::say("installing what is missing on this machine:");
    for need in &missing {
        eprintln!("  {} ({})", need.packages.join(" "), need.why);
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages.iter().copied()).collect();
    if shell::find("apt-get").is_none() {
        bail!("there is no apt-get here; install these by hand and run this again: {}", packages.join(" "));
    }
    let apt = |arguments: &[&str]| {
        let mut command = if is_root() { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root() {
            command.arg("apt-get");
        }
        command.args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        shell::run(command.stdout(std::process::Stdio::null()))
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"][..], &packages].concat())
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    shell::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
