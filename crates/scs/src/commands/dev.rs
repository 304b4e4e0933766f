//! `scs dev`.

use super::{Context, Outcome};
use crate::cli::host::Dev;
use crate::exit::Failure;

/// Runs it.
pub fn run(_context: &Context, _args: &Dev) -> Outcome {
    Err(Failure::failed("not there yet"))
}
