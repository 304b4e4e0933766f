//! `scs transfer-bridge`: what rsync takes for a remote shell while an agent copies a volume.

use super::Outcome;
use crate::cli::host::TransferBridge;
use crate::exit::{Exit, Failure};

/// Runs it.
pub fn run(args: &TransferBridge) -> Outcome {
    match scs_transfer::bridge::run(&args.socket, &args.arguments) {
        Ok(_) => Ok(Exit::DONE),
        Err(error) => Err(Failure::failed("the way to the other host broke").because(&error)),
    }
}
