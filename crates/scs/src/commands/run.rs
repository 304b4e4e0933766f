//! `scs run`.

use super::{Context, Outcome};
use crate::cli::host::Run;
use crate::exit::Failure;

/// Runs it.
pub fn run(_context: &Context, _args: Run) -> Outcome {
    Err(Failure::failed("not there yet"))
}
