//! The same workload against the disco server and its peers, side by side in one run; `cargo xtask bench disco` starts it.
//!
//! The table goes to standard output, what happens meanwhile to standard error.

mod crowd;
mod disco;
mod etcd;
mod nacos;
mod nats;
mod peer;
mod process;
mod report;
mod rows;
mod tls;
mod torture;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures and prints the table
    Run(rows::Options),
    /// Kills the server again and again, without warning, while clients use it
    Torture(torture::Options),
    /// Is the disco server that is measured, in a process of its own
    Serve(disco::Serve),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Run(options) => run(&options),
        Task::Torture(options) => torture::run(&options),
        Task::Serve(options) => disco::serve(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &rows::Options) -> Result<()> {
    // One thread for all the load, so that it can never take more than one of the machine's cores from the server.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let table = runtime.block_on(rows::run(options))?;
    println!("{table}");
    Ok(())
}
