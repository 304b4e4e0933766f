//! `scs schema`.

use super::{Context, Outcome};
use crate::cli::manifest::Schema;
use crate::exit::Failure;

/// Runs it.
pub fn run(_context: &Context, _args: &Schema) -> Outcome {
    Err(Failure::failed("not there yet"))
}

/// Every key of both manifests, as Markdown.
pub fn reference() -> String {
    String::new()
}
