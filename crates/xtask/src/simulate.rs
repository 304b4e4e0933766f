//! `cargo xtask simulate`: the discovery core against many seeds, optimised but with its checks of arithmetic.

use crate::shell;
use anyhow::Result;
use clap::Args;

/// Which seeds.
#[derive(Args)]
pub struct Options {
    /// How many, from 0
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// One alone, with a log of everything that happens
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
}

/// Runs the simulation; a seed that breaks a promise fails it and is printed.
pub fn run(options: &Options) -> Result<()> {
    let mut test = shell::cargo(&["test", "--profile", "simulate", "--package", "disco-core", "--test", "it"]);
    match options.seed {
        Some(seed) => test.env("DISCO_SIM_SEED", seed.to_string()),
        None => test.env("DISCO_SIM_SEEDS", options.seeds.to_string()),
    };
    shell::run(test.args(["--", "simulation", "--nocapture"]))
}
