//! `cargo xtask bench`: measurements, each beside the bare thing in the same run.

pub mod disco;
mod hosts;
mod page;

use crate::{engine, packages, shell};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::fs;
use std::process::{Command, Stdio};

/// Which measurements.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    subject: Option<Subject>,
    /// Prints the table and leaves docs/benchmarks.md as it is
    #[arg(long)]
    dry_run: bool,
}

/// What is measured; one machine where nothing is said.
#[derive(Subcommand)]
enum Subject {
    /// The discovery server beside etcd and NATS
    Disco(disco::Options),
    /// Three hosts on this machine: moves, deployments, a lost host, a hundred containers each (as root)
    Hosts(hosts::Options),
}

/// Measures, and keeps the table with the machine it was measured on.
pub fn run(options: &Options) -> Result<()> {
    match &options.subject {
        Some(Subject::Disco(options)) => return disco::run(options),
        Some(Subject::Hosts(options)) => return hosts::run(options),
        None => {}
    }
    packages::install(&[packages::ENGINE, packages::BASE, packages::SITE])?;
    let _engine = engine::ensure()?;
    shell::say("building scs, optimised");
    shell::run(&mut shell::cargo(&["build", "--release", "--package", "scs"]))?;
    let load = load();
    shell::say("measuring");
    let table =
        shell::output(shell::cargo(&["bench", "--package", "scs-e2e", "--bench", "machine"]).stderr(Stdio::inherit()))?;
    println!("{table}");
    if options.dry_run {
        return Ok(());
    }
    page::keep("One machine", &format!("{INTRODUCTION}\n{}\n\n{table}", machine(&load)?))
}

const INTRODUCTION: &str = "\
Written by `cargo xtask bench`. Each row compares scs with the bare thing in the same run on the same machine, one after the
other in several rounds; figures are medians, and the ratio is what counts. The load average is what else kept the machine busy.
";

fn machine(load: &str) -> Result<String> {
    let engine = text(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))?;
    Ok(format!("Machine: {}, Docker Engine {engine}; load average at the start {load}.", hardware()?))
}

/// Cores and kernel.
fn hardware() -> Result<String> {
    Ok(format!("{} cores, {}", text(&mut Command::new("nproc"))?, text(Command::new("uname").arg("-sr"))?))
}

fn text(command: &mut Command) -> Result<String> {
    shell::output(command).map(|text| text.trim().to_owned())
}

/// What else keeps the machine busy.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("?").to_owned()
}
