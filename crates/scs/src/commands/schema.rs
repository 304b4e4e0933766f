//! `scs schema`: the JSON Schema of a manifest, for editors.

use super::{Context, Outcome};
use crate::cli::manifest::{Kind, Schema};
use crate::exit::Exit;
use scs_manifest::schema;

/// Runs it.
pub fn run(context: &Context, args: &Schema) -> Outcome {
    let document = match args.kind {
        Kind::Image => schema::image(),
        Kind::Deployment => schema::deployment(),
    };
    context.printer.json(&document)?;
    Ok(Exit::DONE)
}
