//! `cargo xtask simulate`: the cores of discovery and of moves against many seeds, optimised but with their checks of arithmetic.

use crate::shell;
use anyhow::Result;
use clap::{Args, ValueEnum};

/// Which seeds.
#[derive(Args)]
pub struct Options {
    /// How many, from 0
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// One alone, with a log of everything that happens
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Which core; both without
    #[arg(long, value_enum)]
    of: Option<Core>,
}

/// A core that is simulated.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Core {
    /// Many clients of one registry
    Discovery,
    /// One slot between two hosts
    Moves,
}

/// Runs the simulations; a seed that breaks a promise fails them and is printed.
pub fn run(options: &Options) -> Result<()> {
    // What the tests read, and which they are.
    let cores = [
        (Core::Discovery, ["disco-core", "DISCO_SIM_SEED", "DISCO_SIM_SEEDS"], ["--test", "it"], "simulation"),
        (Core::Moves, ["scs-plan", "SCS_SEED", "SCS_SEEDS"], ["--lib", "--quiet"], "movement::simulation"),
    ];
    for (core, [package, one, many], which, name) in cores {
        if options.of.is_some_and(|of| of != core) {
            continue;
        }
        let mut test = shell::cargo(&["test", "--profile", "simulate", "--package", package]);
        match options.seed {
            Some(seed) => test.env(one, seed.to_string()),
            None => test.env(many, options.seeds.to_string()),
        };
        shell::run(test.args(which).args(["--", name, "--nocapture"]))?;
    }
    Ok(())
}
