//! `scs init`.

use super::{Context, Outcome};
use crate::cli::manifest::Init;
use crate::exit::Failure;

/// Runs it.
pub fn run(_context: &Context, _args: &Init) -> Outcome {
    Err(Failure::failed("not there yet"))
}
