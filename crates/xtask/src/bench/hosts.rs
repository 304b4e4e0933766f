//! `cargo xtask bench hosts`: three hosts in two data centers on this machine, and what takes how long between them.

use super::page;
use crate::{engine, packages, shell};
use anyhow::{Result, bail};
use clap::Args;
use std::process::Stdio;

/// Which measurements.
#[derive(Args)]
pub struct Options {
    /// Prints the table and leaves docs/benchmarks.md as it is
    #[arg(long)]
    dry_run: bool,
    /// Only these: moves, blog, lost, crowd, plan; the page is left as it is
    only: Vec<String>,
}

/// Measures, and keeps the table with the machine it was measured on.
pub fn run(options: &Options) -> Result<()> {
    if !packages::is_root() {
        bail!("hosts on one machine need namespaces, which only root may make: run this as root");
    }
    packages::install(&[packages::ENGINE, packages::BASE, packages::SITE, packages::HOSTS, packages::CLUSTER])?;
    // The blog's images are built on this machine's own engine.
    let _engine = engine::ensure()?;
    shell::say("building scs, optimised");
    // Both packages each time, so that what they share is built once.
    let packages = ["--package", "scs", "--package", "scs-e2e"];
    shell::run(shell::cargo(&["build", "--release", "--bin", "scs"]).args(packages))?;
    let load = super::load();
    shell::say("measuring");
    let mut bench = shell::cargo(&["bench", "--bench", "hosts"]);
    bench.args(packages).arg("--").args(&options.only);
    let table = shell::output(bench.stderr(Stdio::inherit()))?;
    println!("{table}");
    if options.dry_run || !options.only.is_empty() {
        return Ok(());
    }
    page::keep("Three hosts", &format!("{INTRODUCTION}\n{}\n\n{table}", super::machine(&load)?))
}

const INTRODUCTION: &str = "\
Written by `cargo xtask bench hosts`. Three hosts in two data centers are namespaces with a Docker Engine each on one machine (`cargo xtask cluster`), so
that they share its cores and its disk: what runs on three hosts has no more of them than what runs on one. Figures are medians of several rounds, both sides
in the same run.
";
