//! `cargo xtask bench disco` and `cargo xtask torture`: the discovery server beside its peers, and what it survives.

use super::page;
use crate::{packages, shell};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Words for the program that measures.
#[derive(Args)]
pub struct Options {
    /// Prints the table and leaves docs/benchmarks.md as it is
    #[arg(long)]
    dry_run: bool,
    /// Passed on, e.g. `--only notify`; see `--help` of crates/disco-bench
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Measures, and keeps the table with what it was measured on.
pub fn run(options: &Options) -> Result<()> {
    packages::install(&[packages::PEERS])?;
    let program = build()?;
    let load = super::load();
    shell::say("measuring");
    let table = shell::output(Command::new(program).arg("run").args(&options.arguments).stderr(Stdio::inherit()))?;
    println!("{table}");
    if options.dry_run {
        return Ok(());
    }
    page::keep(
        "Discovery",
        &format!("{INTRODUCTION}\nMachine: {}; load average at the start {load}.\n\n{table}", super::hardware()?),
    )
}

/// How the server is tortured.
#[derive(Args)]
pub struct Torture {
    /// How often it is killed
    #[arg(long, default_value_t = 100)]
    rounds: u32,
}

/// Kills the server again and again while clients use it.
pub fn torture(options: &Torture) -> Result<()> {
    let program = build()?;
    shell::say("torture");
    shell::run(Command::new(program).args(["torture", "--rounds", &options.rounds.to_string()]))
}

/// Builds the program, which is a workspace of its own.
fn build() -> Result<PathBuf> {
    shell::say("building the measuring program and the peers' clients, optimised");
    let target = shell::root().join("target/bench");
    let manifest = "crates/disco-bench/Cargo.toml";
    shell::run(
        shell::cargo(&["build", "--release", "--locked", "--manifest-path", manifest]).env("CARGO_TARGET_DIR", &target),
    )?;
    Ok(target.join("release/disco-bench"))
}

const INTRODUCTION: &str = "\
Written by `cargo xtask bench disco`. The same workload against the disco server, NATS with JetStream KV, etcd and,
where it has been installed (`cargo install rnacos`), r-nacos, one after the other in one run,
each peer with its own client and every subscriber on a connection of its own. Below each figure is the share of one core that server and load had
while it was measured: the load, one thread, is on the same machine, so that near a sum of all cores the machine is the limit.
";
