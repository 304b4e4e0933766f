//! `scs completion`: the completion script of a shell.

use super::{Context, Outcome};
use crate::cli::Cli;
use crate::cli::host::Completion;
use crate::exit::Exit;
use clap::CommandFactory as _;

/// Runs it.
pub fn run(context: &Context, args: &Completion) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "scs", &mut script);
    context.printer.bytes(&script)?;
    Ok(Exit::DONE)
}
