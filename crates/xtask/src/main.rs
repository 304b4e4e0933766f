//! Tasks of this repository: `cargo xtask --help`.

mod bench;
mod check;
mod cluster;
mod demo;
mod docs;
mod engine;
mod layers;
mod packages;
mod shell;
mod simulate;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Brings the example blog up, kills its database and shows the site coming back
    Demo(demo::Options),
    /// Runs every test, those that need Docker included; installs and starts what they need
    Test(test::Options),
    /// Formatting, lints, layers, house rules, generated files
    Check,
    /// Writes docs/commands.md, docs/manifest-reference.md and docs/openapi.json from the program itself
    Docs {
        /// Writes nothing and fails when they differ
        #[arg(long)]
        check: bool,
    },
    /// Runs the simulation of discovery over many seeds, or replays one
    Simulate(simulate::Options),
    /// Checks the house rules alone
    Tidy,
    /// Measures, side by side with the bare thing
    Bench(bench::Options),
    /// Kills the discovery server again and again, without warning, while clients use it
    Torture(bench::disco::Torture),
    /// Starts (or ends) a Docker Engine where none runs
    Engine {
        #[command(subcommand)]
        action: engine::Action,
    },
    /// Several hosts in two data centers on this machine, to try things on (as root)
    Cluster {
        #[command(subcommand)]
        action: cluster::Action,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Check => check::run(),
        Task::Docs { check } => docs::run(check),
        Task::Simulate(options) => simulate::run(&options),
        Task::Tidy => tidy::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Torture(options) => bench::disco::torture(&options),
        Task::Engine { action } => engine::run(&action),
        Task::Cluster { action } => cluster::run(&action),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes on one line, and never a backtrace: these are failed tasks, not defects.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
