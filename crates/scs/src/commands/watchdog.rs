//! `scs watchdog`: kills what runs by lease on this host once its lease has ended.

use super::Outcome;
use crate::cli::host::Watchdog;
use crate::exit::{Exit, Failure};

/// Runs it.
pub fn run(args: &Watchdog) -> Outcome {
    match scs_agent::watchdog(&args.directory) {
        Ok(()) => Ok(Exit::DONE),
        Err(error) => {
            Err(Failure::failed(format!("cannot look after the leases in {}", args.directory.display()))
                .because(&error))
        }
    }
}
