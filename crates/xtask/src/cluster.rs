//! `cargo xtask cluster`: three hosts in two data centers on this machine, and a desk to reach them from.

use crate::{packages, shell};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use scs_cluster::{Cluster, HOSTS};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

/// What to do with the cluster.
#[derive(Subcommand)]
pub enum Action {
    /// Starts hosts and engines, and builds scs for them
    Up {
        /// Hosts reach nothing but each other
        #[arg(long)]
        isolated: bool,
    },
    /// Ends everything and deletes the hosts' disks
    Down,
    /// Shows the hosts
    Ls,
    /// Runs a command on a host; a shell without one
    Run {
        /// Which host
        host: String,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Cuts a host (h1) or a whole data center (east, west) off from the rest
    Cut {
        /// Host or data center
        what: String,
    },
    /// Undoes a cut
    Heal {
        /// Host or data center
        what: String,
    },
    /// A power failure of a host: everything on it ends, its disk stays
    Off {
        /// Which host
        host: String,
    },
    /// Switches a host on again
    On {
        /// Which host
        host: String,
    },
}

/// Carries it out.
pub fn run(action: &Action) -> Result<()> {
    if !packages::is_root() {
        bail!("hosts on one machine need namespaces, which only root may make: run this as root");
    }
    let cluster = cluster();
    match action {
        Action::Up { isolated } => up(&cluster, !isolated),
        Action::Down => cluster.down(),
        Action::Ls => {
            list(&cluster);
            Ok(())
        }
        Action::Run { host, command } => enter(&cluster, host, command),
        Action::Cut { what } => cluster.cut(what),
        Action::Heal { what } => cluster.heal(what),
        Action::Off { host } => cluster.host(host)?.power_off(),
        Action::On { host } => {
            let host = cluster.host(host)?;
            host.power_on()?;
            host.wait_for_engine()
        }
    }
}

fn cluster() -> Cluster {
    Cluster::at(&shell::root().join("target/cluster"))
}

fn up(cluster: &Cluster, outside: bool) -> Result<()> {
    packages::install(&[packages::ENGINE, packages::BASE, packages::HOSTS])?;
    shell::say("building scs");
    shell::run(&mut shell::cargo(&["build", "--workspace", "--bin", "scs"]))?;
    shell::say("starting the hosts");
    cluster.up(outside)?;
    list(cluster);
    eprintln!("\n`cargo xtask cluster run h1` opens a shell on h1, `cargo xtask cluster down` ends it all.");
    Ok(())
}

fn list(cluster: &Cluster) {
    println!("{:<6} {:<8} {:<16} {:<7} STATE", "HOST", "DC", "ADDRESS", "ENGINE");
    for host in cluster.hosts() {
        let spec = host.spec;
        let state = if host.pid().is_some() { "on" } else { "off" };
        let engine = if spec.engine { "yes" } else { "no" };
        println!("{:<6} {:<8} {:<16} {engine:<7} {state}", spec.name, spec.center, spec.address);
    }
}

/// Becomes the command.
fn enter(cluster: &Cluster, host: &str, command: &[String]) -> Result<()> {
    let host = cluster.host(host)?;
    let way = host.enter().with_context(|| {
        let names: Vec<&str> = HOSTS.iter().map(|spec| spec.name).collect();
        format!("is the cluster up? `cargo xtask cluster up` starts {}", names.join(", "))
    })?;
    let (program, arguments) = match command.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments),
        None => ("bash", &[][..]),
    };
    let mut path: Vec<PathBuf> = vec![shell::root().join("target/debug")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let prompt = format!("{}:\\w# ", host.spec.name);
    let mut command = way.command(program);
    command.args(arguments).env("PATH", std::env::join_paths(path)?).env("PS1", prompt);
    Err(command.exec()).with_context(|| format!("cannot run {program} on {}", host.spec.name))
}
