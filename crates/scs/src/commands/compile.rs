//! `scs compile`: roles as static documents with every default filled in.

use super::{Context, Outcome};
use crate::cli::manifest::Compile;
use crate::exit::Exit;
use crate::load;

/// Runs it.
pub fn run(context: &Context, args: &Compile) -> Outcome {
    let loaded = load::load(context, &args.manifests)?;
    match &args.role {
        Some(role) => context.printer.json(loaded.role(role)?)?,
        None => context.printer.json(&loaded.deployment)?,
    }
    Ok(Exit::DONE)
}
