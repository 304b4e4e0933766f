//! `cargo xtask bench`: measurements, each beside the bare thing in the same run.

use crate::{engine, packages, shell};
use anyhow::{Context, Result};
use clap::Args;
use std::fs;
use std::process::{Command, Stdio};

/// Which measurements.
#[derive(Args)]
pub struct Options {
    /// Prints the table and leaves docs/benchmarks.md as it is
    #[arg(long)]
    dry_run: bool,
}

/// Measures, and keeps the table with the machine it was measured on.
pub fn run(options: &Options) -> Result<()> {
    packages::install(&[packages::ENGINE, packages::BASE, packages::SITE])?;
    let _engine = engine::ensure()?;
    shell::say("building scs, optimised");
    shell::run(&mut shell::cargo(&["build", "--release", "--package", "scs"]))?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    shell::say("measuring");
    let table =
        shell::output(shell::cargo(&["bench", "--package", "scs-e2e", "--bench", "machine"]).stderr(Stdio::inherit()))?;
    println!("{table}");
    if options.dry_run {
        return Ok(());
    }
    let page = shell::root().join("docs/benchmarks.md");
    let text = format!("{INTRODUCTION}\n{}\n\n{table}", machine(&load)?);
    fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))
}

const INTRODUCTION: &str = "\
# Benchmarks

Written by `cargo xtask bench`. Each row compares scs with the bare thing in the same run on the same machine, one after the
other in several rounds; figures are medians, and the ratio is what counts. The load average is what else kept the machine busy.
";

fn machine(load: &str) -> Result<String> {
    let text = |command: &mut Command| shell::output(command).map(|text| text.trim().to_owned());
    let cores = text(&mut Command::new("nproc"))?;
    let kernel = text(Command::new("uname").arg("-sr"))?;
    let engine = text(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))?;
    Ok(format!("Machine: {cores} cores, {kernel}, Docker Engine {engine}; load average at the start {load}."))
}
