//! `scs doctor`.

use super::{Context, Outcome};
use crate::cli::host::Doctor;
use crate::exit::Failure;

/// Runs it.
pub async fn run(_context: &Context, _args: &Doctor) -> Outcome {
    Err(Failure::failed("not there yet"))
}
